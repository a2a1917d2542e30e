//! What else was observed of namespaces: what no file declares and `plan` never compares.
//!
//! Only who explains what a packet meets needs it, and reading it costs more than the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::kind::Options;
use crate::mac::Mac;
use crate::names::{IfName, NsName};
use crate::nft::Table;
use crate::state::{
    Address, End, Interface, Kind, Namespace, NexthopObject, PortVlans, Route, Rule, RuleAction,
    TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN,
};

/// Facts about namespaces, by the name they are pinned under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The namespaces that were asked.
    pub namespaces: BTreeMap<NsName, NamespaceFacts>,
}

/// Facts about one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceFacts {
    /// The routes of all tables but `local` that nobody configured: the kernel derived them of
    /// addresses, or a router or daemon brought them. In the kernel's order.
    pub routes: Vec<Route>,
    /// All its policy rules in the order in which they are asked; none where they are those that every
    /// namespace is born with ([`PolicyRule::born`]).
    pub rules: Vec<PolicyRule>,
    /// Neighbour entries that somebody wrote.
    pub neighbours: Vec<Neighbour>,
    /// Neighbour entries that were learned, or look so: the kernel asks anew when they get old.
    pub learned: Vec<Neighbour>,
    /// All addresses, in the kernel's order, of the interfaces that have one with a lifetime (by DHCP, or
    /// a router's word): those are in no [`Namespace`].
    pub addresses: BTreeMap<IfName, Vec<IpNet>>,
    /// Addresses that IPv6 leaves from only where there is no other: their preferred lifetime is over.
    pub deprecated: Vec<IpAddr>,
    /// Own addresses to which nothing in the tables leads: the kernel's `local` route was removed.
    #[serde(default)]
    pub unrouted: Vec<IpAddr>,
    /// Addresses of IPv4 that are not for everywhere: link or host, by the kernel's number.
    #[serde(default)]
    pub scopes: BTreeMap<IpAddr, u8>,
    /// Routes of IPv6 that are for packets from a prefix alone: whither, and whence.
    #[serde(default)]
    pub sourced: Vec<(IpNet, IpNet)>,
    /// Neighbours that are answered for by an interface, because somebody wrote that.
    #[serde(default)]
    pub proxied: Vec<(IfName, IpAddr)>,
    /// Interfaces whose queue drops all that is to leave by them, with its words.
    #[serde(default)]
    pub losing: BTreeMap<IfName, String>,
    /// What IPsec has to say about packets: `2 xfrm policies`.
    #[serde(default)]
    pub ipsec: Option<String>,
    /// Neighbours that were asked for and have not answered: the kernel's `INCOMPLETE` and `FAILED`.
    pub silent: Vec<(IfName, IpAddr)>,
    /// What it has learned of the MTUs of ways, by where they lead; as far as that was asked.
    #[serde(default)]
    pub learned_mtus: BTreeMap<IpAddr, u32>,
    /// Nexthop objects, whoever made them.
    pub nexthops: Vec<NexthopObject>,
    /// IPv6 addresses that can't be used, each with whether another has it too; otherwise that is
    /// still being found out (RFC 4862, section 5.4).
    pub unusable: Vec<(IfName, IpAddr, bool)>,
    /// The ports of bridges that don't pass on all.
    pub ports: BTreeMap<IfName, Port>,
    /// What interfaces are set to, declared or not.
    pub interfaces: BTreeMap<IfName, InterfaceFacts>,
    /// The forwarding entries of bridges that somebody wrote.
    pub fdb: Vec<BridgeEntry>,
    /// Who listens on which port; nothing where it was not asked.
    pub listeners: Option<Vec<Listener>>,
    /// The names of the tables of nftables and iptables, each with its family: `inet filter`.
    pub filters: Vec<String>,
    /// The tables of nf_tables, whoever made them, with their rules as far as they are understood.
    pub tables: Vec<Table>,
    /// The indexes of its interfaces.
    pub indexes: BTreeMap<IfName, u32>,
    /// Sysctls by their dotted names, as far as they were asked for.
    pub sysctls: BTreeMap<String, String>,
}

impl NamespaceFacts {
    /// Tells whether addresses with a lifetime were found that a namespace lacks.
    #[must_use]
    pub fn has_more_addresses(&self, ns: &Namespace) -> bool {
        self.addresses.iter().any(|(dev, nets)| {
            let found = ns.interfaces.get(dev);
            found.is_some_and(|found| nets.iter().any(|net| !has(&found.addresses, *net)))
        })
    }

    /// Gives a namespace the addresses with a lifetime too, in the kernel's order.
    pub fn add_addresses(&self, ns: &mut Namespace) {
        for (dev, nets) in &self.addresses {
            let Some(interface) = ns.interfaces.get_mut(dev) else { continue };
            let known = std::mem::take(&mut interface.addresses);
            let all = nets.iter().map(|net| {
                let known = known.iter().find(|address| address.net == *net);
                known.copied().unwrap_or_else(|| Address::new(*net))
            });
            let mut all: Vec<Address> = all.collect();
            all.extend(known.iter().filter(|address| !nets.contains(&address.net)));
            interface.addresses = all;
        }
    }
}

fn has(addresses: &[Address], net: IpNet) -> bool {
    addresses.iter().any(|address| address.net == net)
}

/// A policy rule as it is, one of the kernel's own too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// What a file can say of it.
    pub rule: Rule,
    /// The type of service that packets must have, where that is not 0.
    pub tos: u8,
    /// Whether its table is that of the VRF that the packet is in (`l3mdev`).
    pub l3mdev: bool,
    /// Whether it selects by something else.
    pub is_unread: bool,
}

impl PolicyRule {
    /// Makes the rules that every namespace is born with (`fib_default_rules_init`,
    /// net/ipv4/fib_rules.c; `fib6_rules_net_init`, net/ipv6/fib6_rules.c).
    #[must_use]
    pub fn born() -> Vec<Self> {
        let tables = [(0, TABLE_LOCAL), (32766, TABLE_MAIN), (32767, TABLE_DEFAULT)];
        let ipv4 = tables.iter().map(|&(priority, table)| (false, priority, table));
        let ipv6 = tables[..2].iter().map(|&(priority, table)| (true, priority, table));
        let rule = |(ipv6, priority, table)| {
            Self::from(Rule::new(ipv6, priority, RuleAction::Table(table)))
        };
        ipv4.chain(ipv6).map(rule).collect()
    }
}

impl PolicyRule {
    /// Makes the rules that a namespace gets with its first VRF (`vrf_add_fib_rules`,
    /// drivers/net/vrf.c).
    #[must_use]
    pub fn of_vrfs() -> [Self; 2] {
        [false, true].map(|ipv6| Self {
            l3mdev: true,
            ..Rule::new(ipv6, L3MDEV_PRIORITY, RuleAction::Table(0)).into()
        })
    }

    /// Tells whether it is one that namespaces are born with, or get with a VRF.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        Self::born().contains(self) || Self::of_vrfs().contains(self)
    }
}

/// `FIB_RULE_PREF` (drivers/net/vrf.c).
const L3MDEV_PRIORITY: u32 = 1000;

impl From<Rule> for PolicyRule {
    fn from(rule: Rule) -> Self {
        Self { rule, tos: 0, l3mdev: false, is_unread: false }
    }
}

/// A neighbour entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's address.
    pub addr: IpAddr,
    /// The hardware address that it is said to have.
    pub mac: Option<Mac>,
}

/// The port of a bridge that does not pass on all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Whether it forwards: the spanning tree protocol, or a person, may have it blocked.
    pub forwards: bool,
    /// Whether it passes nothing on to other ports that are isolated too.
    pub isolated: bool,
}

/// All that an interface is set to, where a state has only what is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceFacts {
    /// The options of its kind.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// Its options as the port of a bridge.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub port: Options,
    /// Its VLANs as the port of a bridge, or those of the bridge itself, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlans: Option<PortVlans>,
    /// Whether neighbours are neither asked nor answered by it (`ip link set … arp off`).
    #[serde(default)]
    pub no_arp: bool,
    /// The interface that it stands on, where that is in another namespace, and one that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<End>,
    /// What keeps it apart from its like on the same interface, where it is an ipvlan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
}

/// What keeps the ipvlans on one interface apart: a flag of that interface, the same for all of them
/// (`IPVLAN_F_…`, linux/if_link.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Apart {
    /// Nothing passes between them there (`private`).
    Private,
    /// What one sends to another leaves by the interface, as if for a stranger (`vepa`).
    Vepa,
    /// A flag that is not known here.
    Other,
}

impl Apart {
    /// Reads the flags of an ipvlan.
    #[must_use]
    pub fn of_flags(flags: u16) -> Option<Self> {
        match flags {
            0 => None,
            1 => Some(Self::Private),
            2 => Some(Self::Vepa),
            _ => Some(Self::Other),
        }
    }
}

impl InterfaceFacts {
    /// Tells whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let says_more = self.no_arp || self.below.is_some() || self.apart.is_some();
        self.options.is_empty() && self.port.is_empty() && self.vlans.is_none() && !says_more
    }

    /// Says in an interface what it does not say itself. What is there already stays.
    pub fn complete(&self, interface: &mut Interface) {
        let fill = |own: &mut Options, found: &Options| {
            let declared = std::mem::replace(own, found.clone());
            own.extend(&declared);
        };
        if let Kind::Device(device) = &mut interface.kind {
            fill(&mut device.options, &self.options);
        }
        fill(&mut interface.port, &self.port);
        if interface.vlans.is_none() {
            interface.vlans.clone_from(&self.vlans);
        }
    }
}

/// A forwarding entry of a bridge that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeEntry {
    /// The port, or the bridge itself.
    pub dev: IfName,
    /// The hardware address.
    pub mac: Mac,
    /// The VLAN that it is for.
    pub vlan: Option<u16>,
    /// Whether frames to it end in the namespace, instead of leaving by the port.
    pub is_local: bool,
}

/// A socket that waits for packets from anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP or UDP.
    pub transport: Transport,
    /// The address that it is bound to.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
    /// Whether it takes IPv6 only, where it is bound to `::`.
    pub ipv6_only: bool,
    /// The interface that it is bound to, where it is to one: also that of a VRF.
    #[serde(default)]
    pub dev: Option<IfName>,
}

impl Listener {
    /// Tells whether it takes what goes to this address.
    #[must_use]
    pub fn takes(&self, dst: IpAddr) -> bool {
        match self.addr {
            IpAddr::V4(addr) => dst.is_ipv4() && (addr.is_unspecified() || self.addr == dst),
            IpAddr::V6(addr) if addr.is_unspecified() => dst.is_ipv6() || !self.ipv6_only,
            IpAddr::V6(addr) => match (addr.to_ipv4_mapped(), dst) {
                (Some(addr), IpAddr::V4(dst)) => addr == dst,
                _ => self.addr == dst,
            },
        }
    }
}

/// A protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A packet that a namespace is to route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lookup {
    /// The namespace.
    pub ns: NsName,
    /// Its source address, if it has one yet.
    pub src: Option<IpAddr>,
    /// Its destination.
    pub dst: IpAddr,
    /// The interface that it came in by; nothing for one of the namespace's own.
    pub iif: Option<IfName>,
    /// The VRF that it is sent in, or the interface on whose link its link-local destination is.
    pub vrf: Option<IfName>,
    /// Its mark, if that is known.
    pub mark: Option<u32>,
    /// The protocol in it, by its number, if that is known.
    pub protocol: Option<u8>,
    /// The port it comes from.
    pub sport: Option<u16>,
    /// The port it goes to.
    pub dport: Option<u16>,
}

/// What becomes of such a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is for the namespace itself.
    Local,
    /// It goes to all, or to many, on a link.
    All,
    /// It leaves.
    Leaves {
        /// The interface that it leaves by.
        dev: IfName,
        /// The gateway that it goes to; nothing where its destination is on the link.
        via: Option<IpAddr>,
    },
    /// It is dropped, whatever for: no route leads there, say.
    Refused,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("delivers it itself"),
            Self::All => f.write_str("takes it for all on a link"),
            Self::Leaves { dev, via: None } => write!(f, "sends it by {dev}"),
            Self::Leaves { dev, via: Some(via) } => write!(f, "sends it by {dev} to {via}"),
            Self::Refused => f.write_str("drops it"),
        }
    }
}
