//! Random topologies for property tests, here and in the crates above.
//!
//! They have parallel links, segments and links to them, bridges in nodes, all ways of addressing,
//! gateways and routes, interfaces that stand on others, bonds and VRFs, policy rules, neighbours and
//! nexthop objects. All are valid; most of them, but not all, [`resolve`].

mod entries;
mod settings;
pub mod step;

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::kind::{self, Device, NETKIT, Value};
use crate::names::{IfName, NodeName};
use crate::origin::Origin;
use crate::resolve::{Desired, resolve};
use crate::state::RouteKind;
use crate::topology::{
    AddressSpec, Addressing, Endpoint, InterfaceOptions, Leg, Link, Node, NodeInterface,
    NodeInterfaceKind, Pool, Routing, Segment, StaticRoute, Topology, Via,
};

/// Makes random topologies, of up to 7 nodes, 2 segments and 10 links.
///
/// Their interfaces are veths and bridges, which every kernel has: these can be built.
pub fn topology() -> impl Strategy<Value = Topology> {
    topology_of(Just(Extras::default()))
}

/// Makes random topologies whose nodes have interfaces of other kinds too, with what they resolve to.
pub fn desired_of_all_kinds() -> impl Strategy<Value = (Topology, Desired)> {
    resolved(topology_of(Extras::of(prop_oneof![Just(0u8), any::<u8>()])))
}

/// Makes random topologies as [`desired_of_all_kinds`] some of whose links are no veth pairs.
pub fn desired_of_all_links() -> impl Strategy<Value = (Topology, Desired)> {
    let extras = (Extras::of(prop_oneof![Just(0u8), any::<u8>()]), any::<u8>());
    resolved(topology_of(extras.prop_map(|(extras, cables)| Extras { cables, ..extras })))
}

/// Makes random topologies of veths and bridges with policy rules, neighbours and nexthop objects too,
/// with what they resolve to.
pub fn desired_with_entries() -> impl Strategy<Value = (Topology, Desired)> {
    resolved(topology_of(Extras::of(Just(0u8))))
}

/// Makes random topologies as [`desired_with_entries`] whose nodes and links have settings too:
/// sysctls, queues, offloads, options of ports.
pub fn desired_with_settings() -> impl Strategy<Value = (Topology, Desired)> {
    let extras = (Extras::of(Just(0u8)), any::<u8>());
    resolved(topology_of(extras.prop_map(|(extras, settings)| Extras { settings, ..extras })))
}

/// What nodes have beside what all random topologies have.
#[derive(Debug, Clone, Copy, Default)]
struct Extras {
    /// Which interfaces of other kinds, a bit each.
    kinds: u8,
    /// Which rules, neighbours and nexthop objects, a bit each.
    entries: u8,
    /// Which of two values their options have.
    variant: bool,
    /// Which settings, a bit each; of the links that begin at them too.
    settings: u8,
    /// What the links that begin at them are: netkits by the first bit, with policies by the next two, and
    /// hardware addresses by another.
    cables: u8,
}

/// The bit of a bond, which takes the node's first link.
const BOND: u8 = 1 << 3;

impl Extras {
    fn of(kinds: impl Strategy<Value = u8> + Clone) -> impl Strategy<Value = Self> + Clone {
        let entries = prop_oneof![Just(0u8), any::<u8>()];
        let parts = (kinds, entries, any::<bool>());
        parts.prop_map(|(kinds, entries, variant)| Self {
            kinds,
            entries,
            variant,
            ..Self::default()
        })
    }
}

fn topology_of(extras: impl Strategy<Value = Extras> + Clone) -> impl Strategy<Value = Topology> {
    let nodes = vec(node(extras), 1..=7);
    let segments = vec(segment(), 0..=2);
    let links = vec(link(), 0..=10);
    let parts = (nodes, segments, links, any::<bool>());
    let parts =
        parts.prop_map(|(nodes, segments, links, auto)| Parts { nodes, segments, links, auto });
    parts.prop_filter_map("a loop of bridges", |parts| parts.build())
}

/// Makes random topologies with what they resolve to.
pub fn desired() -> impl Strategy<Value = (Topology, Desired)> {
    resolved(topology())
}

fn resolved(
    topology: impl Strategy<Value = Topology>,
) -> impl Strategy<Value = (Topology, Desired)> {
    topology.prop_filter_map("does not resolve", |topology| {
        let desired = resolve(&topology).ok()?;
        Some((topology, desired))
    })
}

/// What is random of a topology; numbers that name nodes are taken modulo how many there are.
#[derive(Debug, Clone)]
struct Parts {
    nodes: Vec<NodePart>,
    segments: Vec<SegmentPart>,
    links: Vec<LinkPart>,
    auto: bool,
}

#[derive(Debug, Clone)]
struct NodePart {
    forward: bool,
    ipv6: bool,
    has_lo_address: bool,
    /// Whether it has a bridge over its first two links, and whether that has an address.
    bridge: Option<bool>,
    has_blackhole: bool,
    extras: Extras,
    /// Whether it has a route to the other end of its first link.
    has_route: bool,
    has_long_name: bool,
}

#[derive(Debug, Clone)]
struct SegmentPart {
    members: Vec<usize>,
    prefixes: usize,
    has_gateway: bool,
}

#[derive(Debug, Clone)]
struct LinkPart {
    ends: [usize; 2],
    to_segment: bool,
    addressing: usize,
    mtu: Option<u32>,
    cost: Option<u32>,
    named: bool,
}

fn node(extras: impl Strategy<Value = Extras>) -> impl Strategy<Value = NodePart> {
    let yes = |probability| prop::bool::weighted(probability);
    let bridge = prop::option::weighted(0.15, any::<bool>());
    let parts = (yes(0.6), yes(0.9), yes(0.5), bridge, yes(0.2), yes(0.2), yes(0.1), extras);
    parts.prop_map(
        |(
            forward,
            ipv6,
            has_lo_address,
            bridge,
            has_blackhole,
            has_route,
            has_long_name,
            extras,
        )| {
            NodePart {
                forward,
                ipv6,
                has_lo_address,
                bridge,
                has_blackhole,
                extras,
                has_route,
                has_long_name,
            }
        },
    )
}

fn segment() -> impl Strategy<Value = SegmentPart> {
    let parts = (vec(0usize..7, 0..5), 0usize..3, prop::bool::weighted(0.3));
    parts.prop_map(|(members, prefixes, has_gateway)| SegmentPart {
        members,
        prefixes,
        has_gateway,
    })
}

fn link() -> impl Strategy<Value = LinkPart> {
    let mtu = prop::option::weighted(0.2, 1280u32..9001);
    let cost = prop::option::weighted(0.3, 1u32..5);
    let yes = |probability| prop::bool::weighted(probability);
    let parts = ([0usize..7, 0usize..7], yes(0.15), 0usize..5, mtu, cost, yes(0.2));
    parts.prop_map(|(ends, to_segment, addressing, mtu, cost, named)| LinkPart {
        ends,
        to_segment,
        addressing,
        mtu,
        cost,
        named,
    })
}

impl Parts {
    fn build(&self) -> Option<Topology> {
        let routing = if self.auto { Routing::Auto } else { Routing::None };
        let mut lab = Topology::builder("lab").routing(routing);
        let prefixes = vec![net("10.4.0.0/16")?, net("2001:db8:4::/64")?];
        let pool = lab.push_pool(Pool { prefixes, origin: Origin::NONE });
        for number in 0..self.nodes.len() {
            lab = lab.node(self.node(number)?);
        }
        for number in 0..self.segments.len() {
            lab = lab.segment(self.segment(number)?);
        }
        for number in 0..self.links.len() {
            lab = lab.link(self.link(number, pool)?);
        }
        lab.build().ok()
    }

    fn name(&self, number: usize) -> Option<NodeName> {
        let number = number % self.nodes.len();
        let long = self.nodes[number].has_long_name;
        let prefix = if long { "a-node-with-a-long-name-" } else { "n" };
        NodeName::new(&format!("{prefix}{number}")).ok()
    }

    fn node(&self, number: usize) -> Option<Node> {
        let part = &self.nodes[number];
        let mut node = Node::new(self.name(number)?);
        (node.forward, node.ipv6) = (part.forward, part.ipv6);
        if part.has_lo_address {
            let addr = format!("10.255.0.{number}");
            node.interfaces.push(interface("lo", NodeInterfaceKind::Existing, &[&addr])?);
        }
        if let Some(addressed) = part.bridge {
            let ports = self.first_links(number).take(2);
            let ports = ports.filter_map(|link| IfName::new(&format!("eth{link}")).ok()).collect();
            let addr = format!("10.5.{number}.1/24");
            let addresses: &[&str] = if addressed { &[&addr] } else { &[] };
            let kind = NodeInterfaceKind::Device { device: Device::bridge(false), ports };
            node.interfaces.push(interface("br0", kind, addresses)?);
        }
        self.add_devices(number, &mut node)?;
        if part.has_blackhole {
            node.routes.push(route(RouteKind::Blackhole, &format!("10.99.{number}.0/24"), None)?);
        }
        if let (true, Some(link)) = (part.has_route, self.first_links(number).next()) {
            let [a, b] = self.ends(link);
            let far = self.name(if a == number { b } else { a })?;
            let route = route(RouteKind::Unicast, &format!("10.98.{number}.0/24"), Some(far))?;
            node.routes.push(route);
        }
        let Extras { kinds, entries, variant, settings, .. } = part.extras;
        let is_station = part.bridge.is_none() && kinds & BOND == 0;
        let link = self.first_links(number).next().filter(|_| is_station);
        let dev = link.and_then(|link| IfName::new(&format!("eth{link}")).ok());
        entries::add(&mut node, number, entries, variant, dev.as_ref())?;
        settings::add_to_node(&mut node, settings);
        Some(node)
    }

    /// Adds interfaces of other kinds: what stands on a link, or takes it, where no bridge does.
    fn add_devices(&self, number: usize, node: &mut Node) -> Option<()> {
        let NodePart { extras: Extras { kinds, variant, .. }, bridge, .. } = self.nodes[number];
        let has = |bit: u8| kinds & (1 << bit) != 0;
        let link = self.first_links(number).next().filter(|_| bridge.is_none());
        let mut add = |name: &str, device: Device, ports: Vec<IfName>, addresses: &[&str]| {
            let kind = NodeInterfaceKind::Device { device, ports };
            node.interfaces.push(interface(name, kind, addresses)?);
            Some(())
        };
        let number_of = |of: [u64; 2]| Value::Number(of[usize::from(variant)]);
        if has(0) {
            let addr = format!("10.6.{number}.1/24");
            add("d0", Device::new(kind::find("dummy")?), Vec::new(), &[&addr])?;
        }
        if has(1) {
            let ports = if has(0) { vec![IfName::new("d0").ok()?] } else { Vec::new() };
            let vrf = Device::new(&kind::VRF).with("table", number_of([10, 11]));
            add("red", vrf, ports, &[])?;
        }
        if has(2) {
            let mut vxlan = Device::new(&kind::VXLAN).with("id", number_of([7, 7]));
            if variant {
                vxlan = vxlan.with("ttl", Value::Number(9));
            }
            add("vx0", vxlan, Vec::new(), &[])?;
        }
        let Some(link) = link else { return Some(()) };
        let eth = IfName::new(&format!("eth{link}")).ok()?;
        let vlan = |id| Device::new(&kind::VLAN).with("id", id);
        if kinds & BOND != 0 {
            let bond = Device::new(&kind::BOND).with("miimon", number_of([50, 100]));
            let lower = IfName::new("bond0").ok()?;
            add("bond0", bond.with("mode", number_of([1, 0])), vec![eth], &[])?;
            add("a0", vlan(number_of([3, 4])).on(lower), Vec::new(), &[])?;
            return Some(());
        }
        if has(4) {
            let device = Device::new(kind::find("macvlan")?).with("mode", number_of([1, 4]));
            add("mv0", device.on(eth.clone()), Vec::new(), &[])?;
        }
        if has(5) {
            let addr = format!("10.7.{number}.1/24");
            add("zv0", vlan(number_of([5, 6])).on(eth), Vec::new(), &[&addr])?;
            add("av0", vlan(Value::Number(5)).on(IfName::new("zv0").ok()?), Vec::new(), &[])?;
        }
        Some(())
    }

    /// The links of a node whose interface there is named by their number, so that a bridge can
    /// have it as port: not to itself, and not to a segment.
    fn first_links(&self, number: usize) -> impl Iterator<Item = usize> {
        (0..self.links.len()).filter(move |&link| {
            let [a, b] = self.ends(link);
            self.links[link].named
                && !self.to_segment(link)
                && a != b
                && (a == number || b == number)
        })
    }

    fn ends(&self, link: usize) -> [usize; 2] {
        self.links[link].ends.map(|end| end % self.nodes.len())
    }

    fn to_segment(&self, link: usize) -> bool {
        self.links[link].to_segment && !self.segments.is_empty()
    }

    fn segment(&self, number: usize) -> Option<Segment> {
        let part = &self.segments[number];
        let mut segment = Segment::new(segment_name(number)?);
        for &member in &part.members {
            segment.members.push(Endpoint::new(self.name(member)?, None));
        }
        let prefixes =
            [net(&format!("10.1.{number}.0/24"))?, net(&format!("2001:db8:1:{number}::/64"))?];
        segment.prefixes = prefixes.into_iter().take(part.prefixes).collect();
        segment.gateway = segment.members.first().map(|member| member.node.clone());
        segment.gateway = segment.gateway.filter(|_| part.has_gateway && part.prefixes > 0);
        Some(segment)
    }

    /// What a link is, where it is no veth pair. What is plugged into a segment has a hardware address.
    fn cable(&self, number: usize) -> Option<Device> {
        let bits = self.nodes[self.ends(number)[0]].extras.cables;
        let has = |bit: u8| bits & 1 << bit != 0;
        let policy = |bit: u8| Value::Number(if has(bit) { 2 } else { 0 });
        let mode = if has(3) || self.to_segment(number) { 0 } else { 1 };
        let cable = Device::new(&NETKIT).with("mode", Value::Number(mode));
        has(0).then(|| cable.with("policy", policy(1)).with("peer", policy(2)))
    }

    fn link(&self, number: usize, pool: usize) -> Option<Link> {
        let part = &self.links[number];
        let name = IfName::new(&format!("eth{number}")).ok();
        let [a, b] = self.ends(number);
        let second = match self.to_segment(number) {
            true => segment_name(part.ends[1] % self.segments.len())?,
            false => self.name(b)?,
        };
        let ends = [
            Endpoint::new(self.name(a)?, name.clone().filter(|_| part.named)),
            Endpoint::new(
                second,
                name.filter(|_| part.named && a != b && !self.to_segment(number)),
            ),
        ];
        let mut link = Link {
            name: None,
            ends,
            addressing: Addressing::Given,
            trunk: Vec::new(),
            gateway: None,
            mtu: part.mtu,
            cost: part.cost,
            cable: self.cable(number),
            tunnel: None,
            origin: Origin::NONE,
        };
        let prefixes =
            [net(&format!("10.0.{number}.0/24"))?, net(&format!("2001:db8:0:{number}::/64"))?];
        match part.addressing {
            0 => {}
            1 => link.addressing = Addressing::Prefixes(prefixes[..1].to_vec()),
            2 => link.addressing = Addressing::Prefixes(prefixes.to_vec()),
            3 => link.addressing = Addressing::Pool(pool),
            // Two subnets on one link, as in the tutorial; a segment has no address.
            _ => {
                for (end, subnet) in link.ends.iter_mut().zip([2, 3]) {
                    if !(subnet == 3 && self.to_segment(number)) {
                        let addr = format!("10.{subnet}.{number}.1/24");
                        end.options.addresses.push(address(&addr)?);
                    }
                }
            }
        }
        let settings = self.nodes[a].extras.settings;
        settings::add_to_end(&mut link.ends[0], settings, &self.node(a)?.interfaces);
        Some(link)
    }
}

fn segment_name(number: usize) -> Option<NodeName> {
    NodeName::new(&format!("seg{number}")).ok()
}

fn net(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok()
}

fn address(text: &str) -> Option<AddressSpec> {
    let (addr, prefix_len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len.parse().ok()?)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().ok()?;
    Some(AddressSpec { addr, prefix_len, origin: Origin::NONE })
}

fn interface(name: &str, kind: NodeInterfaceKind, addresses: &[&str]) -> Option<NodeInterface> {
    let addresses = addresses.iter().map(|text| address(text)).collect::<Option<_>>()?;
    let options = InterfaceOptions { addresses, ..InterfaceOptions::default() };
    Some(NodeInterface { name: IfName::new(name).ok()?, kind, options })
}

fn route(kind: RouteKind, dst: &str, via: Option<NodeName>) -> Option<StaticRoute> {
    let legs = via.map(|via| Leg { via: Some(Via::Node(via)), ..Leg::default() });
    Some(StaticRoute::new(kind, Some(net(dst)?), legs.into_iter().collect()))
}
