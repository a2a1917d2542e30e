//! The network as it is meant: nodes, links, segments. What is not written is not here yet;
//! [`resolve`](crate::resolve::resolve) derives it.
//!
//! A [`Topology`] is valid by construction: names are unique, links end at nodes and segments that
//! exist, and so on. [`TopologyBuilder::build`] is the only way to one.

mod builder;
pub(crate) mod check;
mod devices;
pub mod firewall;
mod loops;
mod route;
mod segment;
mod vlans;
pub(crate) mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::expect::Expectation;
use crate::kind::{Device, Options};
use crate::mac::Mac;
use crate::names::{IfName, LabName, NodeName, NsName};
use crate::nft::RawText;
use crate::origin::Origin;
use crate::state::{Cpus, FdbEntry, Neighbor, Offload, Queues};

pub use builder::TopologyBuilder;
pub use firewall::{Firewall, FirewallRule, NatKind, NatRule, Peer};
pub use route::{Leg, StaticNexthop, StaticNexthopKind, StaticRoute, StaticRule, Via};
pub use segment::{Segment, SegmentKind, Vxlan};
pub use vlans::{VlanSpec, Vlans};

/// A network as it is meant, checked to be consistent in itself.
#[derive(Debug, Clone)]
pub struct Topology {
    name: LabName,
    netns: NetnsPattern,
    routing: Routing,
    nodes: Vec<Node>,
    segments: Vec<Segment>,
    links: Vec<Link>,
    pools: Vec<Pool>,
    expect: Vec<Expectation>,
    allowed: BTreeSet<String>,
}

impl Topology {
    /// Begins a topology with the given lab name.
    #[must_use]
    pub fn builder(name: &str) -> TopologyBuilder {
        TopologyBuilder::new(name)
    }

    /// Returns the name of the lab.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// Returns the same topology as another lab (`vnet -l`).
    #[must_use]
    pub fn renamed(self, name: LabName) -> Self {
        Self { name, ..self }
    }

    /// Returns how namespaces are named.
    #[must_use]
    pub fn netns(&self) -> &NetnsPattern {
        &self.netns
    }

    /// Returns where routes between prefixes come from.
    #[must_use]
    pub fn routing(&self) -> Routing {
        self.routing
    }

    /// Returns the nodes in written order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the segments in written order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the links in written order, those of a product one after the other.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Returns the address pools that links refer to by [`Addressing::Pool`].
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Returns the codes of what is meant, though it looks like a mistake.
    #[must_use]
    pub fn allowed(&self) -> &BTreeSet<String> {
        &self.allowed
    }

    /// Returns what must hold of it, in written order.
    #[must_use]
    pub fn expect(&self) -> &[Expectation] {
        &self.expect
    }
}

/// How namespaces are named: a text with `$lab` and `$node` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetnsPattern(String);

impl Default for NetnsPattern {
    fn default() -> Self {
        Self("$lab-$node".to_owned())
    }
}

impl NetnsPattern {
    /// Takes a pattern; that it gives every node a valid name of its own is checked at
    /// [`TopologyBuilder::build`].
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Returns the pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the namespace of a node.
    ///
    /// # Errors
    /// When what comes out can't be a file name.
    pub fn name(&self, lab: &LabName, node: &NodeName) -> Result<NsName, crate::names::NameError> {
        // `$node` first: a lab's name has no `$`, so nothing is substituted twice.
        let text = self.0.replace("$node", node.as_str()).replace("$lab", lab.as_str());
        let is_path = |name: &NsName| name.is_host() || name.process().is_some();
        match NsName::new(&text).ok().filter(is_path) {
            // What stands for the host can't be written.
            Some(_) => NsName::new("a/b"),
            None => NsName::new(&text),
        }
    }
}

/// Where routes between prefixes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Routing {
    /// From the file's `routes:` and `gateway:` alone.
    #[default]
    None,
    /// Shortest paths over all links and segments, by hops or `cost`; to where a tunnel ends never by that
    /// tunnel. Each VRF has its own, in its table.
    Auto,
}

/// A host or router: one network namespace.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, which no other node or segment has.
    pub name: NodeName,
    /// Whether it forwards packets between its interfaces (both families).
    pub forward: bool,
    /// Whether IPv6 runs in it at all.
    pub ipv6: bool,
    /// `lo`, bridges inside the node, and options for what links and segments make.
    pub interfaces: Vec<NodeInterface>,
    /// Its static routes.
    pub routes: Vec<StaticRoute>,
    /// Its nexthop objects.
    pub nexthops: Vec<StaticNexthop>,
    /// Its policy rules, in written order.
    pub rules: Vec<StaticRule>,
    /// Its permanent neighbours, and those that it answers for.
    pub neighbors: Vec<Neighbor>,
    /// Its forwarding entries: of tunnels, and of ports of its bridges.
    pub fdb: Vec<StaticFdb>,
    /// Its ports that are reached from outside the lab.
    pub publish: Vec<Publish>,
    /// Its sysctls by dotted name, under `net.`.
    pub sysctls: BTreeMap<String, Sysctl>,
    /// What it lets in, out and through; nothing: all.
    pub firewall: Option<Firewall>,
    /// What it translates, in written order.
    pub nat: Vec<NatRule>,
    /// A text for the program `nft`, for what the words can't say.
    pub nftables: Option<RawText>,
    /// What asked for it.
    pub origin: Origin,
}

impl Node {
    /// Makes a node with nothing said about it: it does not forward, and IPv6 is on.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            forward: false,
            ipv6: true,
            interfaces: Vec::new(),
            routes: Vec::new(),
            nexthops: Vec::new(),
            rules: Vec::new(),
            neighbors: Vec::new(),
            fdb: Vec::new(),
            publish: Vec::new(),
            sysctls: BTreeMap::new(),
            firewall: None,
            nat: Vec::new(),
            nftables: None,
            origin: Origin::NONE,
        }
    }
}

impl TryFrom<&str> for Node {
    type Error = crate::names::NameError;
    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Ok(Self::new(name.try_into()?))
    }
}

/// A port of a node that is reached from outside the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The protocol's number: TCP's or UDP's.
    pub protocol: u8,
    /// The port of 127.0.0.1 in the host.
    pub outside: u16,
    /// The node's port.
    pub inside: u16,
    /// What asked for it.
    pub origin: Origin,
}

impl Publish {
    /// Returns the name of its protocol.
    #[must_use]
    pub fn protocol_name(&self) -> &'static str {
        match self.protocol {
            crate::nft::build::UDP => "udp",
            _ => "tcp",
        }
    }
}

impl std::fmt::Display for Publish {
    /// Writes it as in a file: `tcp/8080:80`, `udp/53`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.protocol_name(), self.outside)?;
        if self.inside != self.outside { write!(f, ":{}", self.inside) } else { Ok(()) }
    }
}

/// A forwarding entry of an interface of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticFdb {
    /// A tunnel, or a port of a bridge.
    pub dev: IfName,
    /// Where packets to a hardware address go.
    pub entry: FdbEntry,
}

/// The value of a sysctl, as text with single spaces, and what asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// The value to write.
    pub value: String,
    /// What asked for it.
    pub origin: Origin,
}

/// An entry of a node's `interfaces:`.
#[derive(Debug, Clone)]
pub struct NodeInterface {
    /// Its name in the node.
    pub name: IfName,
    /// What makes it.
    pub kind: NodeInterfaceKind,
    /// Its options.
    pub options: InterfaceOptions,
}

/// What makes an interface that a node's `interfaces:` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeInterfaceKind {
    /// It is there anyway: `lo`, or an interface that a link or segment makes.
    Existing,
    /// An interface of a kind of the [table](crate::kind).
    Device {
        /// What it is; what it stands on is another interface of the node.
        device: Device,
        /// The interfaces of the node that become its ports: of a bridge, a bond or a VRF.
        ports: Vec<IfName>,
    },
}

/// The one interface object of the language, which stands in three places: under a node's
/// `interfaces:`, a link's `endpoints:` and a segment's `members:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceOptions {
    /// Its addresses in written order.
    pub addresses: Vec<AddressSpec>,
    /// The largest packet it sends, in bytes (68 to 65535).
    pub mtu: Option<u32>,
    /// Its hardware address; derived from lab, node and interface where not given.
    pub mac: Option<Mac>,
    /// A free text for people.
    pub alias: Option<String>,
    /// Whether it is set up; up unless said otherwise.
    pub up: Option<bool>,
    /// How many packets its queue holds.
    pub txqueuelen: Option<u32>,
    /// How many queues it is made with (1 to 4096).
    pub queues: Queues,
    /// Which processors take what comes in.
    pub rps_cpus: Option<Cpus>,
    /// Work that it does for the kernel, on or off.
    pub offload: BTreeMap<Offload, bool>,
    /// Whether it listens to router advertisements; the kernel's default where not given: hosts do.
    pub accept_ra: Option<bool>,
    /// Its sysctls by what they are called within the interface: `ipv4.rp_filter`.
    pub sysctls: BTreeMap<String, Sysctl>,
    /// The VRF of the node that it is a port of.
    pub vrf: Option<IfName>,
    /// Its options as a port of a bridge or bond of the node.
    pub port: Options,
    /// The VLANs that it is in as a port of a bridge of the node, or as such a bridge itself; as the
    /// kernel has new ones where not given.
    pub vlans: Option<Vec<VlanSpec>>,
    /// Whether IPv6 runs on it; left to the kernel where not given, but for bridges and their ports,
    /// on which it is off unless they have an address.
    pub ipv6: Option<bool>,
    /// What asked for it.
    pub origin: Origin,
}

/// An address as written, with or without the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressSpec {
    /// The address.
    pub addr: IpAddr,
    /// The prefix length; `None` takes that of the link's or segment's prefix which holds the
    /// address, and the full length on `lo`.
    pub prefix_len: Option<u8>,
    /// What asked for it.
    pub origin: Origin,
}

/// A link: one cable between two ends.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name; `a--b` where not given.
    pub name: Option<String>,
    /// Its two ends in written order.
    pub ends: [Endpoint; 2],
    /// Where its addresses come from, beside those its ends have of their own.
    pub addressing: Addressing,
    /// The VLANs that it carries with their tags.
    pub trunk: Vec<NodeName>,
    /// The end that is the other's default route.
    pub gateway: Option<NodeName>,
    /// The MTU of both ends, in bytes, where an end does not say otherwise.
    pub mtu: Option<u32>,
    /// What it costs `routing: auto` to cross it; 1 where not given, 1000 for a tunnel.
    pub cost: Option<u32>,
    /// What its cable is, where it is no veth pair, as its first end has it.
    pub cable: Option<Device>,
    /// What it is instead of a cable.
    pub tunnel: Option<Tunnel>,
    /// What asked for it.
    pub origin: Origin,
}

/// A tunnel between two nodes, or from each member of a segment to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// Its kind, with the options that both ends have; where from and where to follows.
    pub device: Device,
    /// The interface of both nodes that it goes over.
    pub over: Option<IfName>,
}

impl TryFrom<(&str, &str)> for Link {
    type Error = crate::names::NameError;
    fn try_from((a, b): (&str, &str)) -> Result<Self, Self::Error> {
        Self::between(a, b)
    }
}

impl Link {
    /// Makes a link between two ends, each `node` or `node:interface`.
    ///
    /// # Errors
    /// When an end's name is not valid.
    pub fn between(a: &str, b: &str) -> Result<Self, crate::names::NameError> {
        Ok(Self {
            name: None,
            ends: [a.parse()?, b.parse()?],
            addressing: Addressing::Given,
            trunk: Vec::new(),
            gateway: None,
            mtu: None,
            cost: None,
            cable: None,
            tunnel: None,
            origin: Origin::NONE,
        })
    }

    /// Tells whether one of its ends is in the lab's host.
    #[must_use]
    pub fn is_to_host(&self) -> bool {
        self.ends.iter().any(|end| end.node.is_host())
    }

    /// Gives the link prefixes, of which its ends get addresses in written order.
    #[must_use]
    pub fn prefixes(mut self, prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        self.addressing = Addressing::Prefixes(prefixes.into_iter().collect());
        self
    }
}

/// Where a link's addresses come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// Its ends have what their options say, no more.
    Given,
    /// Each end without a pinned address in it gets one of each of these prefixes.
    Prefixes(Vec<IpNet>),
    /// It gets a /31 or /127 of its own from the pool with this index in [`Topology::pools`].
    Pool(usize),
}

/// A supply of /31 and /127 prefixes for the links of one product.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The prefixes to cut from, one for each family at most.
    pub prefixes: Vec<IpNet>,
    /// What asked for it.
    pub origin: Origin,
}

/// The end of a link, or a member of a segment: a node (or, at a link, a segment) and an interface.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The node or segment.
    pub node: NodeName,
    /// The interface; named after the far end where not given.
    pub interface: Option<IfName>,
    /// The VLAN that its packets without a tag are in, on the segment that it is plugged into.
    pub vlan: Option<NodeName>,
    /// The VLANs that it carries with their tags. At a node each is an interface of its own, named
    /// after the VLAN.
    pub trunk: Vec<NodeName>,
    /// Whether it can't reach the other isolated ones on the segment that it is plugged into.
    pub isolated: bool,
    /// The UDP port of a member of a WireGuard segment, where the segment does not say it.
    pub listen_port: Option<u16>,
    /// What may come from a member of a WireGuard segment, and is sent to it, beside its own addresses
    /// and what the others' routes lead to by it.
    pub allowed_ips: Vec<IpNet>,
    /// Its options.
    pub options: InterfaceOptions,
    /// What asked for it.
    pub origin: Origin,
}

impl Endpoint {
    /// Makes an end on a node without options.
    #[must_use]
    pub fn new(node: NodeName, interface: Option<IfName>) -> Self {
        Self {
            node,
            interface,
            vlan: None,
            trunk: Vec::new(),
            isolated: false,
            listen_port: None,
            allowed_ips: Vec::new(),
            options: InterfaceOptions::default(),
            origin: Origin::NONE,
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = crate::names::NameError;

    /// Reads `node` or `node:interface`, where `host:interface` is in the lab's host.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None => Ok(Self::new(NodeName::new(text)?, None)),
            Some(("host", name)) => Ok(Self::new(NodeName::host(), Some(IfName::new(name)?))),
            Some((node, name)) => Ok(Self::new(NodeName::new(node)?, Some(IfName::new(name)?))),
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
