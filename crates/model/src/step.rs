//! One change to the system: the vocabulary that everything which changes the kernel speaks.

use std::fmt;

use crate::kind::{self, Device, KindSpec, OptionSpec, Options, Wireguard};
use crate::mac::Mac;
use crate::names::{IfName, Mark, NsName};
use crate::nft::{Edit, RawText, Table, TableId};
use crate::origin::Origin;
use crate::state::{Address, Cpus, End, Entry, FdbEntry, Kind, Offload, PortVlan, Queues, Route};

/// One change in one namespace.
///
/// A step can be executed (`vnet-kernel`), printed as the equivalent command (`vnet-iproute`),
/// applied to a state on paper ([`Step::apply`](crate::apply)) and inverted
/// ([`Step::inverse`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The namespace in which it happens.
    pub ns: NsName,
    /// What changes.
    pub change: Change,
    /// What asked for it.
    pub origin: Origin,
}

/// What a step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Makes the namespace itself, marks it and pins it. CAP_SYS_ADMIN.
    AddNamespace {
        /// Whose it is.
        mark: Mark,
    },
    /// Unpins the namespace; the kernel removes it with all that is in it. CAP_SYS_ADMIN.
    DelNamespace,
    /// Makes an interface; with a pair, its other end too. CAP_NET_ADMIN, as all that follow.
    AddLink {
        /// Its name.
        name: IfName,
        /// What it is.
        link: NewLink,
    },
    /// Removes an interface; with a pair, its other end too.
    DelLink {
        /// Its name.
        name: IfName,
        /// Where it is one of the host's that was moved, its name there: then it goes back.
        back: Option<IfName>,
    },
    /// Changes one setting of an interface.
    SetLink {
        /// Its name.
        name: IfName,
        /// The setting and its new value.
        set: LinkSetting,
    },
    /// Puts a port of a bridge into a VLAN, or the bridge itself, or changes how it is in it.
    SetPortVlan {
        /// The port, or the bridge.
        dev: IfName,
        /// Whether it is the bridge.
        itself: bool,
        /// The number of the VLAN.
        vid: u16,
        /// How it is in it.
        vlan: PortVlan,
    },
    /// Takes a port of a bridge out of a VLAN, or the bridge itself.
    DelPortVlan {
        /// The port, or the bridge.
        dev: IfName,
        /// Whether it is the bridge.
        itself: bool,
        /// The number of the VLAN.
        vid: u16,
    },
    /// Adds a forwarding entry beside those there are.
    AddFdb {
        /// The tunnel, or the port of a bridge.
        dev: IfName,
        /// The entry.
        entry: FdbEntry,
    },
    /// Removes a forwarding entry.
    DelFdb {
        /// The tunnel, or the port of a bridge.
        dev: IfName,
        /// The entry.
        entry: FdbEntry,
    },
    /// Tells a WireGuard device what to do: its key where it has none, its port and all its peers.
    SetWireguard {
        /// Its name.
        name: IfName,
        /// What it shall do.
        config: Wireguard,
    },
    /// Adds an address to an interface (IPv6: without duplicate address detection).
    AddAddress {
        /// The interface.
        dev: IfName,
        /// The address.
        address: Address,
    },
    /// Removes an address from an interface.
    DelAddress {
        /// The interface.
        dev: IfName,
        /// The address.
        address: Address,
    },
    /// Adds a route where none has its key.
    AddRoute(Route),
    /// Replaces the route that has the same key.
    ReplaceRoute(Route),
    /// Removes a route.
    DelRoute(Route),
    /// Makes a table of nf_tables, which must not exist, with all that is in it.
    AddTable(Box<Table>),
    /// Makes a table what it shall be in one transaction, whatever it was. Rules that stay are not
    /// touched, so that their counters go on.
    ChangeTable {
        /// What it shall be.
        table: Box<Table>,
        /// How many of its rules that is about.
        edit: Edit,
    },
    /// Has the program `nft` make the tables of a text anew, in one transaction.
    RunNft(Box<RawText>),
    /// Removes a table with all that is in it.
    DelTable(TableId),
    /// Adds a rule, neighbour or nexthop object, or puts it in the place of the one with its key.
    SetEntry(Entry),
    /// Removes a rule, neighbour or nexthop object.
    DelEntry(Entry),
    /// Writes a sysctl.
    SetSysctl {
        /// Its dotted name, such as `net.ipv4.tcp_ecn`.
        key: String,
        /// The value, fields apart by single spaces.
        value: String,
    },
}

/// An interface to be made, with what must be said at birth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewLink {
    /// A pair, both ends born in their namespaces with their final names.
    Pair {
        /// What it is, where it is no veth, and how this end is.
        device: Option<Device>,
        /// This end's hardware address; the kernel's choice where not given.
        mac: Option<Mac>,
        /// This end's MTU in bytes.
        mtu: Option<u32>,
        /// This end's queues.
        queues: Queues,
        /// The other end.
        peer: PairEnd,
    },
    /// An interface of a kind of the [table](crate::kind).
    Device {
        /// Its hardware address; the kernel's choice where not given.
        mac: Option<Mac>,
        /// Its MTU in bytes; the kernel's choice where not given.
        mtu: Option<u32>,
        /// Its queues.
        queues: Queues,
        /// What it is.
        device: Device,
    },
}

impl NewLink {
    /// Returns the interface of the lab's host that it stands on.
    #[must_use]
    pub fn host_lower(&self) -> Option<&IfName> {
        match self {
            Self::Device { device, .. } => device.host_lower.as_ref(),
            Self::Pair { .. } => None,
        }
    }

    /// Returns the kernel's name of what is made.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pair { device: None, .. } => "veth",
            Self::Pair { device: Some(device), .. } | Self::Device { device, .. } => {
                device.spec.name
            }
        }
    }
}

/// The other end of a pair to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEnd {
    /// Its namespace and name.
    pub end: End,
    /// Its hardware address; the kernel's choice where not given.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its queues.
    pub queues: Queues,
}

/// A setting of an interface that can be changed in place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkSetting {
    /// Administratively up (true) or down.
    Up(bool),
    /// MTU in bytes.
    Mtu(u32),
    /// Hardware address.
    Mac(Mac),
    /// Alias; `None` takes it away.
    Alias(Option<String>),
    /// The bridge, bond or VRF it is a port of; `None` takes it out.
    Master(Option<IfName>),
    /// One more name.
    AddAltname(String),
    /// One further name less.
    DelAltname(String),
    /// How many packets its queue holds.
    TxQueueLen(u32),
    /// Which processors take what comes in.
    RpsCpus(Cpus),
    /// Whether it does this work for the kernel.
    Offload(Offload, bool),
    /// Whether IPv4 packets that come in here are forwarded.
    ForwardIpv4(bool),
    /// Whether IPv6 runs on it.
    Ipv6(bool),
    /// Options of its kind, or as a port of this kind of master.
    Options {
        /// The kind whose table they are of.
        spec: &'static KindSpec,
        /// Whether they are those of a port.
        port: bool,
        /// What changes.
        set: Options,
        /// What stays and must be said again ([`KindSpec::says_all`]).
        rest: Options,
    },
}

impl LinkSetting {
    /// Changes options of an interface of a kind. Those of a pair say what both ends do, and are changed
    /// by the end that it was made by (`netkit_change_link`, drivers/net/netkit.c): tells by which.
    #[must_use]
    pub fn options(here: End, device: &Device, set: Options, rest: Options) -> (End, Self) {
        let (spec, port) = (device.spec, false);
        match device.peer.clone().filter(|_| device.came_along) {
            Some(there) => {
                let set = kind::from_the_other_end(&set);
                (there, Self::Options { spec, port, set, rest })
            }
            None => (here, Self::Options { spec, port, set, rest }),
        }
    }

    /// Returns the table that options are of: of a kind, or of the ports of one.
    #[must_use]
    pub fn table(spec: &'static KindSpec, port: bool) -> &'static [OptionSpec] {
        if port { spec.port } else { spec.options }
    }
}

impl Change {
    /// Makes the change that removes an interface of this kind.
    #[must_use]
    pub fn del_link(name: IfName, kind: &Kind) -> Self {
        Self::DelLink { name, back: kind.moved_from().cloned() }
    }
}

impl Step {
    /// Makes a step that nobody asked for in particular.
    #[must_use]
    pub fn new(ns: NsName, change: Change) -> Self {
        Self { ns, change, origin: Origin::NONE }
    }

    /// Gives the step the place that asked for it.
    #[must_use]
    pub fn from(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Returns the sign that `vnet plan` prints before it: `+` makes, `-` removes, `~` changes.
    #[must_use]
    pub fn sign(&self) -> char {
        match self.change {
            Change::AddNamespace { .. }
            | Change::AddLink { .. }
            | Change::AddFdb { .. }
            | Change::AddAddress { .. }
            | Change::AddRoute(_)
            | Change::AddTable(_)
            | Change::SetEntry(_) => '+',
            Change::DelNamespace
            | Change::DelLink { .. }
            | Change::DelPortVlan { .. }
            | Change::DelFdb { .. }
            | Change::DelAddress { .. }
            | Change::DelRoute(_)
            | Change::DelTable(_)
            | Change::DelEntry(_) => '-',
            Change::SetPortVlan { .. } => '+',
            Change::SetWireguard { .. }
            | Change::SetLink { .. }
            | Change::ReplaceRoute(_)
            | Change::ChangeTable { .. }
            | Change::RunNft(_)
            | Change::SetSysctl { .. } => '~',
        }
    }
}

impl fmt::Display for Step {
    /// Writes what the step is about, without its sign: `address 10.0.0.1/24 on demo-r1:eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = &self.ns;
        match &self.change {
            Change::AddNamespace { .. } | Change::DelNamespace => write!(f, "namespace {ns}"),
            Change::AddLink { name, link } => match link {
                NewLink::Pair { device, queues, peer, .. } => {
                    let kind = link.kind();
                    write!(f, "{kind} {ns}:{name}{queues} -- {}{}", peer.end, peer.queues)?;
                    device.as_ref().map_or(Ok(()), |device| device.show_rest(f))
                }
                NewLink::Device { queues, device, .. } => {
                    write!(f, "{} {ns}:{name}{queues}", device.spec.name)?;
                    device.show_rest(f)
                }
            },
            Change::DelLink { name, back } => {
                write!(f, "interface {ns}:{name}")?;
                back.as_ref().map_or(Ok(()), |back| write!(f, ", back to host:{back}"))
            }
            Change::SetLink { name, set } => write!(f, "{ns}:{name} {set}"),
            Change::SetWireguard { name, config } => write!(f, "{ns}:{name} {config}"),
            Change::SetPortVlan { dev, vid, vlan, .. } => {
                write!(f, "vlan {vid}{vlan} on {ns}:{dev}")
            }
            Change::DelPortVlan { dev, vid, .. } => write!(f, "vlan {vid} on {ns}:{dev}"),
            Change::AddFdb { dev, entry } | Change::DelFdb { dev, entry } => {
                write!(f, "fdb {entry} on {ns}:{dev}")
            }
            Change::AddAddress { dev, address } | Change::DelAddress { dev, address } => {
                write!(f, "address {address} on {ns}:{dev}")
            }
            Change::AddRoute(route) | Change::ReplaceRoute(route) | Change::DelRoute(route) => {
                write!(f, "route {route} in {ns}")
            }
            Change::AddTable(table) | Change::ChangeTable { table, .. } => {
                let rules: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
                let s = if rules == 1 { "" } else { "s" };
                write!(f, "nftables {} in {ns} ({rules} rule{s}", table.id)?;
                match &self.change {
                    Change::ChangeTable { edit, .. } if *edit != Edit::default() => {
                        write!(f, ": {edit})")
                    }
                    _ => f.write_str(")"),
                }
            }
            Change::RunNft(raw) => {
                let lines = raw.text.lines().count();
                let s = if lines == 1 { "" } else { "s" };
                write!(f, "nftables text in {ns} ({lines} line{s})")
            }
            Change::DelTable(id) => write!(f, "nftables {id} in {ns}"),
            Change::SetEntry(entry) | Change::DelEntry(entry) => write!(f, "{entry} in {ns}"),
            Change::SetSysctl { key, value } => write!(f, "sysctl {key} = {value} in {ns}"),
        }
    }
}

impl fmt::Display for LinkSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on_off = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Self::Up(up) => f.write_str(if *up { "up" } else { "down" }),
            Self::Mtu(mtu) => write!(f, "mtu {mtu}"),
            Self::Mac(mac) => write!(f, "mac {mac}"),
            Self::Alias(Some(alias)) => write!(f, "alias `{}`", alias.escape_debug()),
            Self::Alias(None) => f.write_str("no alias"),
            Self::Master(Some(master)) => write!(f, "master {master}"),
            Self::Master(None) => f.write_str("no master"),
            Self::AddAltname(name) => write!(f, "altname {}", name.escape_debug()),
            Self::DelAltname(name) => write!(f, "no altname {}", name.escape_debug()),
            Self::TxQueueLen(len) => write!(f, "txqueuelen {len}"),
            Self::RpsCpus(cpus) => write!(f, "rps_cpus {cpus}"),
            Self::Offload(offload, on) => write!(f, "offload {offload} {}", on_off(on)),
            Self::ForwardIpv4(on) => write!(f, "ipv4 forwarding {}", on_off(on)),
            Self::Ipv6(on) => write!(f, "ipv6 {}", on_off(on)),
            Self::Options { spec, port, set, .. } => {
                f.write_str(if *port { "port " } else { "" })?;
                set.show(Self::table(spec, *port), f)
            }
        }
    }
}
