//! What can be wrong with a topology, as data: whoever shows it adds the place and the picture.

mod filter;
mod hint;
mod nearest;
mod routing;
mod tunnel;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::mac::Mac;
use crate::names::{IfName, NameError, NodeName, NsName};
use crate::origin::Origin;
use crate::state::{MTU_IPV6_MIN_BYTES, TABLE_MAIN, default_metric};
use crate::topology::Segment;

pub use filter::FilterProblem;
pub use nearest::nearest;
pub use routing::RoutingProblem;
pub use tunnel::TunnelProblem;

/// Something that keeps a topology from being valid, with the places that matter.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The place to point at.
    pub origin: Origin,
    /// Further places, each with a label that says what it has to do with it.
    pub related: Vec<(Origin, &'static str)>,
}

impl ProblemKind {
    /// Returns the code of what `vnet explain` says more about.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::DuplicateAddress { .. } => "duplicate-address",
            Self::DuplicateMac { .. } => "duplicate-mac",
            Self::OverlappingPrefixes { .. } => "overlapping-prefixes",
            Self::BridgeLoop { .. } | Self::DeafLoop { .. } => "bridge-loop",
            Self::GatewayNotOnLink { .. } | Self::NoSharedLink { .. } => "gateway-off-link",
            Self::Filter(FilterProblem::NatOverlap { .. }) => "nat-shadowed",
            _ => return None,
        })
    }

    /// Tells whether it may be meant, and is by these codes: the kernel takes it, though it works for
    /// some packets alone, or for none.
    #[must_use]
    pub fn is_allowed(&self, codes: &BTreeSet<String>) -> bool {
        const MAY_BE_MEANT: [&str; 4] =
            ["duplicate-address", "duplicate-mac", "overlapping-prefixes", "nat-shadowed"];
        let code = self.code().filter(|code| MAY_BE_MEANT.contains(code));
        code.is_some_and(|code| codes.contains(code))
    }

    /// Says that a segment can't do what only one with a bridge can; nothing for one that has.
    pub(crate) fn no_bridge(segment: &Segment, role: &'static str) -> Option<Self> {
        let what = segment.without_bridge()?;
        Some(Self::NoBridge { segment: segment.name.clone(), what, role })
    }
}

impl Problem {
    /// Makes a problem at a place.
    #[must_use]
    pub fn new(kind: impl Into<ProblemKind>, origin: Origin) -> Self {
        Self { kind: kind.into(), origin, related: Vec::new() }
    }

    /// Adds another place to show, with its label, if the place is known.
    #[must_use]
    pub fn with(mut self, origin: Origin, label: &'static str) -> Self {
        if origin.index().is_some() {
            self.related.push((origin, label));
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Problem {}

/// The rule that a topology breaks.
///
/// [`ProblemKind::hint`] says how to mend it, where there is more to say than the message does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A name breaks the rules of its kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A firewall or a translation of addresses breaks a rule.
    #[error(transparent)]
    Filter(#[from] FilterProblem),
    /// Two nodes or segments have the same name.
    #[error("`{name}` is defined twice")]
    DuplicateNode {
        /// The name that both have.
        name: NodeName,
    },
    /// There are more nodes and segments than a lab may have.
    #[error("{count} nodes and segments are more than the {max} that a lab may have")]
    TooManyNodes {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The host stands where it can't.
    #[error("the host can't be {role}")]
    HostRole {
        /// What it was to be: "a member", "a gateway", "both ends of a link".
        role: &'static str,
    },
    /// A node or segment is named that does not exist.
    #[error("there is no {what} `{name}`")]
    UnknownNode {
        /// What kind of thing was looked for: "node", "node or segment".
        what: &'static str,
        /// The name that was looked for.
        name: NodeName,
        /// The most similar name that exists.
        nearest: Option<NodeName>,
    },
    /// What is to be down is none that could be.
    #[error("there is no link, or node with links, `{name}`")]
    UnknownLink {
        /// The name that was looked for.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// A pattern fits the name of no node.
    #[error("no node's name fits `{pattern}`")]
    NothingFits {
        /// The pattern.
        pattern: String,
    },
    /// An expectation is about nobody.
    #[error("`{text}` is about nobody")]
    NobodyMeant {
        /// The expectation.
        text: String,
    },
    /// A segment stands where only a node may.
    #[error("`{name}` is a segment, and only a node can be {role}")]
    NotANode {
        /// The segment.
        name: NodeName,
        /// What it was to be: "a member", "a gateway".
        role: &'static str,
    },
    /// Two nodes get the same namespace name.
    #[error("`{first}` and `{second}` would both be the namespace `{ns}`")]
    NamespaceCollision {
        /// The namespace name.
        ns: NsName,
        /// The node that has it.
        first: NodeName,
        /// The node that would have it too.
        second: NodeName,
    },
    /// A sysctl's name is not one that a node may set.
    #[error("`{}` is not a sysctl of a network namespace", key.escape_debug())]
    BadSysctl {
        /// The name as written.
        key: String,
    },

    /// Two interfaces of a node have the same name.
    #[error("`{node}` has two interfaces named `{interface}`")]
    DuplicateInterface {
        /// The node.
        node: NodeName,
        /// The name that both have.
        interface: IfName,
        /// Whether one of them was not named but called after its far end.
        derived: bool,
    },
    /// Two nodes, or one twice, would be reached by the same port outside.
    #[error("{port} of the host is published twice")]
    PublishedTwice {
        /// The port: `tcp/8080`.
        port: String,
    },
    /// An interface is named that nothing makes.
    #[error("`{node}` has no interface `{interface}`")]
    UnknownInterface {
        /// The node.
        node: NodeName,
        /// The name that was looked for.
        interface: IfName,
        /// The most similar name that exists.
        nearest: Option<IfName>,
    },
    /// An option of one interface is given in two places, with two values.
    #[error("`{at}` has two values for `{option}`: {first} and {second}")]
    ContradictingOption {
        /// The interface.
        at: At,
        /// The option.
        option: &'static str,
        /// Its first value.
        first: String,
        /// Its second value.
        second: String,
    },
    /// A sysctl is given in two places, with two values.
    #[error("`{node}` has two values for the sysctl {key}: {first} and {second}")]
    ContradictingSysctl {
        /// The node, or the host.
        node: NodeName,
        /// The sysctl's whole name.
        key: String,
        /// Its first value.
        first: String,
        /// Its second value.
        second: String,
    },
    /// A number is outside what it may be.
    #[error("`{option}` is {value}, which is not within {min} to {max}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u32,
        /// The least it may be.
        min: u32,
        /// The most it may be.
        max: u32,
    },
    /// An interface can't have this hardware address.
    #[error("`{mac}` is not the hardware address of one interface")]
    MacNotUnicast {
        /// The address.
        mac: Mac,
    },
    /// An option that `lo` does not have.
    #[error("`lo` can't have `{option}`")]
    LoopbackOption {
        /// The option.
        option: &'static str,
    },
    /// An alias is longer than the kernel takes.
    #[error("an alias of {bytes} bytes is longer than the kernel's {max}")]
    AliasTooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The longest.
        max: usize,
    },

    /// A segment is named as a VLAN that is none.
    #[error("`{name}` is not a VLAN")]
    NotAVlan {
        /// The segment.
        name: NodeName,
    },
    /// A VLAN is carried twice by one cable.
    #[error("the VLAN `{vlan}` is named twice")]
    VlanTwice {
        /// The VLAN.
        vlan: NodeName,
    },
    /// VLANs are said of what is no port of a bridge that keeps them apart, nor such a bridge.
    #[error("`{at}` is not a port of a bridge of the node that has `vlan_filtering: true`")]
    NoVlansThere {
        /// The interface.
        at: At,
    },
    /// A port of a bridge is put into a VLAN twice.
    #[error("`{at}` is put into VLAN {vid} twice")]
    PortVlanTwice {
        /// The port, or the bridge.
        at: At,
        /// The VLAN.
        vid: u16,
    },
    /// Packets without a tag would be in two VLANs.
    #[error("packets without a tag at `{at}` would be in two VLANs, {first} and {second}")]
    TwoPvids {
        /// The port, or the bridge.
        at: At,
        /// One VLAN.
        first: u16,
        /// The other.
        second: u16,
    },
    /// The two ends of a link put it into two VLANs.
    #[error("the link would be in two VLANs, `{first}` and `{second}`")]
    TwoVlans {
        /// The VLAN at its first end.
        first: NodeName,
        /// The VLAN at its second end.
        second: NodeName,
    },
    /// An end of a link that is a node names a VLAN.
    #[error("`{node}` is a node: the VLAN `{vlan}` of a link is said at the segment's end")]
    VlanAtNode {
        /// The node.
        node: NodeName,
        /// The VLAN.
        vlan: NodeName,
    },
    /// An end of a link has a trunk of its own.
    #[error("a `trunk` is the whole link's, not one end's")]
    TrunkAtEnd,
    /// A segment without a bridge is used as one.
    #[error("`{segment}` is {what}: it has no bridge that could {role}")]
    NoBridge {
        /// The segment.
        segment: NodeName,
        /// What it is: "a VLAN without members", "a VXLAN".
        what: &'static str,
        /// What it was to do: "have links", "run STP".
        role: &'static str,
    },
    /// The end of a link that is a node is to be isolated.
    #[error("`{node}` is a node: what is isolated is the segment's end of a link")]
    IsolatedNode {
        /// The node.
        node: NodeName,
    },
    /// Two VLANs on one bridge have the same number.
    #[error("`{first}` and `{second}` are both VLAN {vlan}, on one bridge")]
    SameVlan {
        /// The number.
        vlan: u16,
        /// One VLAN.
        first: NodeName,
        /// The other.
        second: NodeName,
    },

    /// Two links have the same name.
    #[error("two links are named `{}`", name.escape_debug())]
    DuplicateLink {
        /// The name.
        name: String,
    },
    /// Both ends of a link are one interface.
    #[error("both ends of the link are `{at}`")]
    SameInterface {
        /// The interface.
        at: At,
    },
    /// A link joins a segment with itself.
    #[error("the link joins `{segment}` with itself")]
    SegmentToItself {
        /// The segment.
        segment: NodeName,
    },
    /// The gateway of a link or segment is not on it.
    #[error("the gateway `{gateway}` is not {role} of `{of}`")]
    GatewayNotThere {
        /// The gateway.
        gateway: NodeName,
        /// What it should be: "a member", "an end".
        role: &'static str,
        /// The link or segment.
        of: String,
    },
    /// An interface can't be a port of a bridge.
    #[error("`{port}` can't be a port of `{bridge}`: it is {reason}")]
    BadPort {
        /// The interface.
        port: At,
        /// The bridge.
        bridge: IfName,
        /// Why not.
        reason: &'static str,
    },
    /// A port has a priority where all ports are used.
    #[error(
        "`{at}` has a `prio` only in a bond of `active-backup`, `balance-tlb` or `balance-alb`"
    )]
    NoPriority {
        /// The port.
        at: At,
    },
    /// The backup of a port is no other port of its bridge.
    #[error("`{backup}` can't take the frames of `{at}`: it is no other port of its bridge")]
    NoBackup {
        /// The port.
        at: At,
        /// Its backup.
        backup: IfName,
    },
    /// An interface is a port twice.
    #[error("`{port}` is a port of `{first}` already")]
    PortTwice {
        /// The interface.
        port: At,
        /// The bridge that has it.
        first: IfName,
    },
    /// A bridge has more ports than the kernel takes.
    #[error("`{bridge}` has {count} ports, and a bridge takes at most {max}")]
    TooManyPorts {
        /// The segment, or the node and bridge.
        bridge: String,
        /// How many it has.
        count: usize,
        /// How many it may have.
        max: usize,
    },
    /// An interface says of itself what its kind does not allow.
    #[error("`{at}` is {} {kind} and {reason}", article(kind))]
    BadDevice {
        /// The interface.
        at: At,
        /// Its kind.
        kind: &'static str,
        /// Why not: "needs an `id`".
        reason: String,
    },
    /// An interface of a kind without a hardware address of its own is given one.
    #[error("`{at}` is {} {kind}, which can't have a `mac` of its own", article(kind))]
    NoMac {
        /// The interface.
        at: At,
        /// Its kind.
        kind: &'static str,
    },
    /// An interface stands on itself, by way of others or not.
    #[error("`{at}` stands on itself")]
    StandsOnItself {
        /// The interface.
        at: At,
    },
    /// An interface names something as its VRF that is none.
    #[error("`{at}` is not a VRF")]
    NotAVrf {
        /// What is none.
        at: At,
    },
    /// An interface has an option of ports, and is no port of a master that has it.
    #[error("`{at}` is no port that has `{option}`")]
    PortOption {
        /// The interface.
        at: At,
        /// The option.
        option: &'static str,
    },
    /// Bridges form a loop in which none runs the spanning tree protocol.
    #[error("bridges form a loop, and none of them runs STP: {}", bridges.join(" - "))]
    BridgeLoop {
        /// The bridges in order, the first again at the end.
        bridges: Vec<String>,
    },

    /// Bridges form a loop, and the spanning tree protocol of some can't be heard by all.
    #[error("bridges form a loop, and STP does not get through their trunks: {}", bridges.join(" - "))]
    DeafLoop {
        /// The bridges in order, the first again at the end.
        bridges: Vec<String>,
    },

    /// A prefix length is longer than the address.
    #[error("the prefix length of `{addr}/{prefix_len}` is longer than {max}")]
    PrefixLen {
        /// The address.
        addr: IpAddr,
        /// The length as written.
        prefix_len: u8,
        /// The longest there is for its family.
        max: u8,
    },
    /// An interface can't have this address.
    #[error("`{addr}` is {reason}, which no interface can have")]
    BadAddress {
        /// The address.
        addr: IpAddr,
        /// What it is: "a multicast address".
        reason: &'static str,
    },
    /// A link refers to a pool that is not there.
    #[error("there is no address pool {index}")]
    UnknownPool {
        /// Its index.
        index: usize,
    },
    /// A prefix has fewer addresses than are asked of it.
    #[error("`{prefix}` has room for {room}, and {needed} are needed")]
    PrefixExhausted {
        /// The prefix.
        prefix: IpNet,
        /// How many addresses it has for hosts.
        room: u128,
        /// How many are needed, pinned ones among them.
        needed: usize,
    },
    /// What a segment reserves is in none of its prefixes.
    #[error("`{segment}` reserves `{net}`, which is in none of its prefixes")]
    ReservedOutside {
        /// The segment.
        segment: NodeName,
        /// What it reserves.
        net: IpNet,
    },
    /// A pool has fewer prefixes than there are links.
    #[error("the pool {} has room for {room} links, and {needed} are needed", list(prefixes))]
    PoolExhausted {
        /// The pool's prefixes of the family that ran out.
        prefixes: Vec<IpNet>,
        /// How many links it has room for.
        room: u128,
        /// How many links ask for addresses.
        needed: usize,
    },
    /// An address without a length is in no prefix of its link or segment.
    #[error("`{addr}` on `{at}` is outside {}", list(prefixes))]
    AddressOutside {
        /// The address.
        addr: IpAddr,
        /// The interface.
        at: At,
        /// The prefixes there are.
        prefixes: Vec<IpNet>,
    },
    /// An address without a length, and no prefix that it could take its length from.
    #[error("`{addr}` on `{at}` has no prefix length, and no prefix is around to take it from")]
    BareAddress {
        /// The address.
        addr: IpAddr,
        /// The interface.
        at: At,
    },
    /// The host is on a segment where it has no address, so nobody could send anything by it.
    #[error("`{segment}` is external, and has no prefix for the host to be a gateway of")]
    ExternalWithoutPrefix {
        /// The segment.
        segment: NodeName,
    },
    /// Two interfaces that can see each other have the same address.
    #[error("`{first}` and `{second}` both have the address {addr}")]
    DuplicateAddress {
        /// The address.
        addr: IpAddr,
        /// One interface.
        first: At,
        /// The other.
        second: At,
    },
    /// Two interfaces on one link or segment have the same hardware address.
    #[error("`{first}` and `{second}` both have the hardware address {mac}")]
    DuplicateMac {
        /// The hardware address.
        mac: Mac,
        /// One interface.
        first: At,
        /// The other.
        second: At,
    },
    /// A node has one part of the address space on two links.
    #[error("`{first_at}` in {first} and `{second_at}` in {second} overlap")]
    OverlappingPrefixes {
        /// One prefix.
        first: IpNet,
        /// The interface that has an address in it.
        first_at: At,
        /// The other prefix.
        second: IpNet,
        /// The interface of the same node that has an address in it.
        second_at: At,
    },
    /// An IPv6 address on a node without IPv6.
    #[error("`{at}` can't have {addr}: IPv6 is off on `{}`", at.node)]
    Ipv6Off {
        /// The interface.
        at: At,
        /// The address.
        addr: IpAddr,
    },
    /// An IPv6 address on an interface without IPv6.
    #[error("`{at}` can't have {addr}: IPv6 is off there")]
    Ipv6OffThere {
        /// The interface.
        at: At,
        /// The address.
        addr: IpAddr,
    },
    /// An IPv6 address on an interface whose MTU is too small for IPv6.
    #[error("`{at}` can't have {addr}: its mtu is {mtu}, and IPv6 needs {MTU_IPV6_MIN_BYTES}")]
    Ipv6SmallMtu {
        /// The interface.
        at: At,
        /// The address.
        addr: IpAddr,
        /// Its MTU in bytes.
        mtu: u32,
    },
    /// An address at the end of a link that is a segment.
    #[error("`{segment}` is a segment and can't have the address {addr}")]
    AddressOnSegment {
        /// The segment.
        segment: NodeName,
        /// The address.
        addr: IpAddr,
    },

    /// A route does not say where to.
    #[error("{of} on `{node}` has neither `via` nor `dev`")]
    RouteIncomplete {
        /// The node.
        node: NodeName,
        /// What: "the route to 10.0.0.0/8".
        of: String,
    },
    /// A route's gateway is a node that shares no link or segment.
    #[error("`{node}` and `{via}` share no link or segment{}", on_dev(dev))]
    NoSharedLink {
        /// The node that has the route.
        node: NodeName,
        /// The gateway.
        via: NodeName,
        /// The interface that the route names.
        dev: Option<IfName>,
    },
    /// A route's gateway is a node without an address of the family.
    #[error("`{via}` has no {family} address that `{node}` could use as gateway")]
    NoGatewayAddress {
        /// The node that has the route.
        node: NodeName,
        /// The gateway.
        via: NodeName,
        /// "IPv4" or "IPv6".
        family: &'static str,
    },
    /// A route's gateway is in no prefix that the node is on.
    #[error("the gateway {gateway} is on no link of `{node}`{}", on_dev(dev))]
    GatewayNotOnLink {
        /// The node that has the route.
        node: NodeName,
        /// The gateway.
        gateway: IpAddr,
        /// The interface that the route names.
        dev: Option<IfName>,
        /// The prefixes that are on link.
        prefixes: Vec<IpNet>,
    },
    /// A link-local gateway without the interface it is to be found on.
    #[error("the link-local gateway {gateway} on `{node}` needs `dev`")]
    LinkLocalNeedsDev {
        /// The node that has the route.
        node: NodeName,
        /// The gateway.
        gateway: IpAddr,
    },
    /// A node is to be its own gateway.
    #[error("the gateway {gateway} is `{node}` itself")]
    GatewayIsSelf {
        /// The node that has the route.
        node: NodeName,
        /// The gateway: an address or the node's name.
        gateway: String,
    },
    /// Parts of a route are of different address families.
    #[error("the route to {dst} can't have the {part} {addr} of the other family")]
    FamilyMismatch {
        /// The destination.
        dst: IpNet,
        /// "gateway" or "source".
        part: &'static str,
        /// The address.
        addr: IpAddr,
    },
    /// An IPv6 route on a node without IPv6.
    #[error("`{node}` can't have a route to {dst}: IPv6 is off there")]
    RouteWithoutIpv6 {
        /// The node.
        node: NodeName,
        /// The destination.
        dst: IpNet,
    },
    /// A route leads over an interface that is down.
    #[error("the route to {dst} leads over `{at}`, which is down")]
    RouteOverDown {
        /// The destination.
        dst: IpNet,
        /// The interface.
        at: At,
    },
    /// A route's preferred source is not an address of the node.
    #[error("`{node}` does not have the source address {src}")]
    SourceNotOwn {
        /// The node that has the route.
        node: NodeName,
        /// The address.
        src: IpAddr,
    },
    /// Two routes of a node have the same table, destination and metric.
    #[error("`{node}` has two routes to {dst}{}", table_metric(*table, *metric, dst))]
    DuplicateRoute {
        /// The node.
        node: NodeName,
        /// The destination.
        dst: IpNet,
        /// The routing table.
        table: u32,
        /// The metric.
        metric: u32,
    },
    /// A route to a prefix that the kernel makes a route to by itself, with the same metric.
    #[error("`{at}` is in {dst}, so the kernel has a route to it already")]
    RouteIsConnected {
        /// The interface in the prefix.
        at: At,
        /// The destination.
        dst: IpNet,
    },
    /// The gateway of a link or segment has no address on it.
    #[error("the gateway `{gateway}` has no address on `{of}`")]
    GatewayWithoutAddress {
        /// The gateway.
        gateway: NodeName,
        /// The link or segment.
        of: String,
    },
    /// A node is on two links or segments with a gateway, and does not say which one it takes.
    #[error("`{node}` has two {family} gateways: `{first}` and `{second}`")]
    TwoGateways {
        /// The node.
        node: NodeName,
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// One gateway.
        first: NodeName,
        /// The other.
        second: NodeName,
    },
    /// Something about rules, neighbours or nexthop objects.
    #[error(transparent)]
    Routing(#[from] RoutingProblem),
    /// A tunnel that can't be.
    #[error(transparent)]
    Tunnel(#[from] TunnelProblem),
}

/// An interface of a node or segment, as people write it: `node:interface`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The node or segment.
    pub node: NodeName,
    /// The interface.
    pub interface: IfName,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.interface)
    }
}

/// Sorts problems by the place that caused them, those without a place first, and drops repeats.
pub(crate) fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.origin.index());
    problems.dedup_by(|a, b| a.kind == b.kind && a.origin.index() == b.origin.index());
    problems
}

/// The indefinite article of a word.
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

fn list(prefixes: &[IpNet]) -> String {
    let texts: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn on_dev(dev: &Option<IfName>) -> String {
    dev.as_ref().map(|dev| format!(" on `{dev}`")).unwrap_or_default()
}

fn table_metric(table: u32, metric: u32, dst: &IpNet) -> String {
    let mut text = String::new();
    if table != TABLE_MAIN {
        text = format!(" in table {table}");
    }
    if metric != default_metric(dst) {
        text += &format!(" with metric {metric}");
    }
    text
}
