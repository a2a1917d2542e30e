//! What exists, or should: namespaces, interfaces, addresses, routes. All explicit.
//!
//! The same types describe the state that a file wants and the state that the kernel has. Where a
//! field is an `Option`, `None` means "not declared": it is not compared and never changed.

mod bridging;
mod cpus;
mod entry;
mod interfaces;
pub(crate) mod namespaces;
mod offload;
mod queues;
mod route;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::kind::{Device, Options, Wireguard};
use crate::mac::Mac;
use crate::names::{IfName, Mark, NsName};
use crate::nft::{RawText, Table, TableId};
use crate::origin::{Origin, Origins};

pub use bridging::{FdbEntry, PortVlan, PortVlans};
pub use cpus::{Cpus, CpusError};
pub use entry::{Entry, Neighbor, NexthopKind, NexthopObject, PortRange, Rule, RuleAction};
pub use interfaces::Interfaces;
pub use namespaces::Namespaces;
pub use offload::Offload;
pub use queues::{QUEUES_MAX, Queues};
pub use route::{
    Encap, Metric, MetricValue, NextHop, Route, RouteKey, RouteKind, SCOPES, Seg6Mode, TABLE_LOCAL,
    TABLES, default_metric,
};

/// The main routing table (`RT_TABLE_MAIN`, linux/rtnetlink.h).
pub const TABLE_MAIN: u32 = 254;

/// The table that is asked last (`RT_TABLE_DEFAULT`, linux/rtnetlink.h).
pub const TABLE_DEFAULT: u32 = 253;

/// The metric the kernel gives an IPv6 route that names none (`IP6_RT_PRIO_USER`, net/ip6_route.h).
pub const METRIC_IPV6_DEFAULT: u32 = 1024;

/// The metric of the route that comes with an IPv6 address's prefix (`IP6_RT_PRIO_ADDRCONF`,
/// net/ip6_route.h).
pub(crate) const METRIC_IPV6_CONNECTED: u32 = 256;

/// The MTU of an Ethernet-like interface that names none, in bytes (`ETH_DATA_LEN`).
pub const MTU_DEFAULT_BYTES: u32 = 1500;

/// The MTU the kernel gives `lo`, in bytes (drivers/net/loopback.c).
pub const MTU_LOOPBACK_BYTES: u32 = 65536;

/// The smallest MTU that carries IPv6, in bytes (RFC 8200, section 5); below it the kernel takes
/// IPv6 off the interface.
pub const MTU_IPV6_MIN_BYTES: u32 = 1280;

/// The sysctl that says whether a namespace forwards IPv6 packets: one for all interfaces. Netlink tells
/// it and its changes.
pub const IPV6_FORWARDING: &str = "net.ipv6.conf.all.forwarding";

/// A set of namespaces and all that is in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The namespaces by the name they are pinned under.
    pub namespaces: Namespaces,
}

impl State {
    /// Returns the part with these namespaces alone.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<NsName>) -> Self {
        Self { namespaces: self.namespaces.only(names) }
    }
}

/// One network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Whose it is.
    pub owner: Owner,
    /// Its interfaces, `lo` among them.
    pub interfaces: Interfaces,
    /// Its routes, without those the kernel derives from addresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub routes: BTreeSet<Route>,
    /// Its policy rules, neighbours and nexthop objects: those that are declared or were made by
    /// vnet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub entries: BTreeSet<Entry>,
    /// The entries that others made, as far as they were asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign: BTreeSet<Entry>,
    /// The policy rules that it was born with and that somebody took away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lost_rules: BTreeSet<Rule>,
    /// Sysctls by their dotted name (`net.ipv4.tcp_ecn`), as far as they are declared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// What asked for them.
    #[serde(skip)]
    pub sysctl_origins: Origins,
    /// Its tables of nf_tables: those that carry a lab's mark, and of others, only those whose name
    /// is one that is declared, without what is in them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<TableId, Table>,
    /// A text for the program `nft` that is declared: the tables that it makes are declared by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nft_text: Option<RawText>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl Namespace {
    /// Returns the ways that a route leads: its own, or those of its nexthop object.
    #[must_use]
    pub fn legs(&self, route: &Route) -> Vec<NextHop> {
        let Some(nhid) = route.nhid else { return route.nexthops.clone() };
        let leg = |id: u32, weight: u16| match &self.nexthop(id)?.kind {
            NexthopKind::Leg(leg) => Some(NextHop { weight, ..leg.clone() }),
            _ => None,
        };
        match self.nexthop(nhid).map(|object| &object.kind) {
            Some(NexthopKind::Group(members)) => {
                members.iter().filter_map(|&(id, weight)| leg(id, weight)).collect()
            }
            _ => leg(nhid, 1).into_iter().collect(),
        }
    }

    /// Returns a sysctl, as far as it is known: a new namespace forwards no IPv6 packets, unless the host
    /// has it do as the host does (`addrconf_init_net`, net/ipv6/addrconf.c).
    #[must_use]
    pub fn sysctl(&self, key: &str) -> Option<&str> {
        let unsaid = (key == IPV6_FORWARDING).then_some("0");
        self.sysctls.get(key).map(String::as_str).or(unsaid)
    }

    /// Finds a nexthop object by its id.
    #[must_use]
    pub fn nexthop(&self, id: u32) -> Option<&NexthopObject> {
        self.entries.iter().chain(&self.foreign).find_map(|entry| match entry {
            Entry::Nexthop(object) if object.id == id => Some(object),
            _ => None,
        })
    }
}

/// Whose a pinned namespace is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// It carries this mark.
    Lab(Mark),
    /// A pin file of ours with no namespace mounted on it: a creation was cut short.
    Stale(Mark),
    /// vnet did not make it.
    Foreign,
    /// The lab's host: of what is in it only the lab's own is looked at and changed.
    Host,
}

impl Owner {
    /// Returns the mark, if it is one of ours.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Lab(mark) | Self::Stale(mark) => Some(mark),
            Self::Foreign | Self::Host => None,
        }
    }
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// What it is, with what only this kind has.
    pub kind: Kind,
    /// Whether it is administratively up (`IFF_UP`).
    pub up: bool,
    /// The largest packet it sends, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Its hardware address; `lo` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// A free text for people (`ip link set … alias`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Further names, longer than 15 bytes too (`ip link property add … altname`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub altnames: BTreeSet<String>,
    /// The bridge, bond or VRF it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<IfName>,
    /// The VLANs it is in as the port of a bridge, or as a bridge itself; observed where some are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlans: Option<PortVlans>,
    /// Its forwarding entries: of a tunnel, or of the bridge it is a port of. Observed at tunnels, and
    /// where some are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fdb: Option<BTreeSet<FdbEntry>>,
    /// What it does as a WireGuard device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<Wireguard>,
    /// Its options as a port, as far as they are declared.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub port: Options,
    /// Its addresses in the order in which they were or will be added: the first of an IPv4
    /// subnet is the primary one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Those of its addresses whose connected route somebody removed: the kernel made one to the prefix
    /// with the address, and packets to the neighbours find no way without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_off: Vec<Address>,
    /// How many packets its queue holds (`ip link set … txqueuelen`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txqueuelen: Option<u32>,
    /// How many queues it has; observed where some are declared.
    #[serde(default, skip_serializing_if = "Queues::is_unsaid")]
    pub queues: Queues,
    /// Which processors take what comes in (`/sys/class/net/IF/queues/rx-*/rps_cpus`); observed where
    /// it is declared, `None` also where its queues differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rps_cpus: Option<Cpus>,
    /// Work that it does for the kernel, on or off; observed where some is declared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offload: BTreeMap<Offload, bool>,
    /// The work that it does, or not, whatever is said; observed with what it does.
    #[serde(skip)]
    pub fixed: BTreeSet<Offload>,
    /// Whether IPv4 packets that come in here are forwarded (`net.ipv4.conf.IF.forwarding`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_ipv4: Option<bool>,
    /// Whether IPv6 runs on it (`net.ipv6.conf.IF.disable_ipv6`, the other way round).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Whether vnet made it: seen by a derived hardware address or in the record of intent.
    pub ours: bool,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl Namespace {
    /// Lists the tables that are declared, whoever makes them.
    pub fn declared_tables(&self) -> impl Iterator<Item = &Table> {
        let of_text = self.nft_text.iter().flat_map(|raw| raw.tables.iter().flatten());
        self.tables.values().chain(of_text)
    }
}

impl Interface {
    /// Makes an interface of this kind as the kernel makes it when nothing more is said: down,
    /// without addresses.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            up: false,
            mtu: None,
            mac: None,
            alias: None,
            altnames: BTreeSet::new(),
            cut_off: Vec::new(),
            master: None,
            vlans: None,
            fdb: None,
            wireguard: None,
            port: Options::new(),
            addresses: Vec::new(),
            txqueuelen: None,
            queues: Queues::default(),
            rps_cpus: None,
            offload: BTreeMap::new(),
            fixed: BTreeSet::new(),
            forward_ipv4: None,
            ipv6: None,
            ours: true,
            origin: Origin::NONE,
        }
    }
}

/// The kind of an interface, with what only this kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// `lo`, which every namespace has from birth.
    Loopback,
    /// One end of a veth pair.
    Veth {
        /// The other end; `None` where it is in a namespace that is not looked at.
        peer: Option<End>,
    },
    /// An interface of a kind of the [table](crate::kind).
    Device(Device),
    /// A kind that vnet does not manage, by the kernel's name (`IFLA_INFO_KIND`).
    Other(String),
}

impl Kind {
    /// Returns the kernel's name of the kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Loopback => "loopback",
            Self::Veth { .. } => "veth",
            Self::Device(device) => device.spec.name,
            Self::Other(name) => name,
        }
    }

    /// Returns the device that it is, if its kind is one of the table.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Device(device) => Some(device),
            _ => None,
        }
    }

    /// Returns the interface of the lab's host that it stands on.
    #[must_use]
    pub fn host_lower(&self) -> Option<&IfName> {
        self.device()?.host_lower.as_ref()
    }

    /// Returns the name that it has in the host, where it is one of the host's that was moved.
    #[must_use]
    pub fn moved_from(&self) -> Option<&IfName> {
        self.device().filter(|device| device.spec.is_physical())?.host_lower.as_ref()
    }

    /// Returns the other end of a cable, where it is known.
    #[must_use]
    pub fn peer(&self) -> Option<&End> {
        match self {
            Self::Veth { peer } => peer.as_ref(),
            Self::Device(device) => device.peer.as_ref(),
            _ => None,
        }
    }

    /// Returns the other end of a cable, where it is known, to be called otherwise.
    pub fn peer_mut(&mut self) -> Option<&mut End> {
        match self {
            Self::Veth { peer } => peer.as_mut(),
            Self::Device(device) => device.peer.as_mut(),
            _ => None,
        }
    }

    /// Tells whether it is one end of a cable: of a pair, of veth or of a kind of the table.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        match self {
            Self::Veth { .. } => true,
            Self::Device(device) => device.spec.is_pair(),
            _ => false,
        }
    }

    /// Returns the namespace that it leads to: that of a cable's other end, or the host where it stands
    /// on an interface there.
    #[must_use]
    pub fn leads_to(&self) -> Option<NsName> {
        let on_host = || self.host_lower().map(|_| NsName::host());
        self.peer().map(|peer| peer.ns.clone()).or_else(on_host)
    }

    /// Takes over where another of its kind leads, where that is not known of this one: nobody looked
    /// there.
    pub fn lead_as(&mut self, other: &Self) {
        match (self, other) {
            (Self::Veth { peer: peer @ None }, Self::Veth { peer: known }) => {
                peer.clone_from(known);
            }
            (Self::Device(device), Self::Device(known))
                if device.spec == known.spec && !device.stands() && device.peer.is_none() =>
            {
                device.host_lower.clone_from(&known.host_lower);
                device.peer.clone_from(&known.peer);
            }
            _ => {}
        }
    }

    /// Returns how many packets the queue of such an interface holds where nobody says it (`alloc_netdev`,
    /// net/core/dev.c; drivers/net/{tun,tap,ifb}.c).
    #[must_use]
    pub fn queue_len(&self) -> u32 {
        match self.name() {
            "tun" | "macvtap" => 500,
            "ifb" => 32,
            _ => 1000,
        }
    }

    /// Tells whether it is a bridge.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.device().is_some_and(|device| device.spec.is_bridge())
    }

    /// Tells whether its ports are wires, which hear and say nothing themselves: those of a bridge
    /// and of a bond, not those of a VRF.
    #[must_use]
    pub fn has_wires(&self) -> bool {
        self.device().is_some_and(|device| device.spec.is_bridge() || device.spec.is_bond())
    }
}

/// An interface in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    /// The namespace.
    pub ns: NsName,
    /// The interface in it.
    pub name: IfName,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ns, self.name)
    }
}

/// An address on an interface, with the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The address and its prefix length.
    pub net: IpNet,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl Address {
    /// Makes an address that nobody asked for in particular.
    #[must_use]
    pub fn new(net: IpNet) -> Self {
        Self { net, origin: Origin::NONE }
    }

    /// Tells whether it is an IPv6 link-local address (RFC 4291, section 2.5.6).
    #[must_use]
    pub fn is_ipv6_link_local(&self) -> bool {
        is_ipv6_link_local(self.net.addr())
    }
}

/// Tells whether an address is an IPv6 link-local one (RFC 4291, section 2.5.6): such addresses
/// mean something on their own link alone.
#[must_use]
pub fn is_ipv6_link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.net.fmt(f)
    }
}
