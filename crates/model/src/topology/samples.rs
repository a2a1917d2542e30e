//! Short ways to parts of topologies, for tests.

use super::*;
use crate::state::RouteKind;

pub(crate) fn lab() -> TopologyBuilder {
    Topology::builder("lab")
}

pub(crate) fn nodes(names: &[&str]) -> TopologyBuilder {
    names.iter().fold(lab(), |lab, name| lab.node(*name))
}

pub(crate) fn node(name: &str) -> Node {
    name.try_into().unwrap()
}

pub(crate) fn segment(name: &str, members: &[&str]) -> Segment {
    let mut segment = Segment::new(NodeName::new(name).unwrap());
    segment.members = members.iter().map(|member| member.parse().unwrap()).collect();
    segment
}

pub(crate) fn interface(name: &str, options: InterfaceOptions) -> NodeInterface {
    let name = IfName::new(name).unwrap();
    NodeInterface { name, kind: NodeInterfaceKind::Existing, options }
}

pub(crate) fn bridge(name: &str, ports: &[&str]) -> NodeInterface {
    let ports = ports.iter().map(|port| IfName::new(port).unwrap()).collect();
    let kind = NodeInterfaceKind::Device { device: crate::Device::bridge(false), ports };
    NodeInterface { name: IfName::new(name).unwrap(), kind, options: InterfaceOptions::default() }
}

pub(crate) fn address(text: &str) -> AddressSpec {
    let (addr, len) = text.split_once('/').map_or((text, None), |(addr, len)| (addr, Some(len)));
    let prefix_len = len.map(|len| len.parse().unwrap());
    AddressSpec { addr: addr.parse().unwrap(), prefix_len, origin: Origin::NONE }
}

/// Makes a link whose ends have these addresses: `("r1", "10.0.0.1/24")`.
pub(crate) fn addressed(a: (&str, &[&str]), b: (&str, &[&str])) -> Link {
    let mut link = Link::between(a.0, b.0).unwrap();
    for (end, (_, addresses)) in link.ends.iter_mut().zip([a, b]) {
        end.options.addresses = addresses.iter().map(|text| address(text)).collect();
    }
    link
}

/// Makes the link between two ends with these prefixes.
pub(crate) fn prefixed(a: &str, b: &str, prefixes: &[&str]) -> Link {
    let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap());
    Link::between(a, b).unwrap().prefixes(prefixes.collect::<Vec<_>>())
}

/// Reads a static route in iproute2's words.
pub(crate) fn route(text: &str) -> StaticRoute {
    let mut words = text.split(' ').peekable();
    let kind = match words.next_if(|word| matches!(*word, "blackhole" | "throw")) {
        Some("blackhole") => RouteKind::Blackhole,
        Some(_) => RouteKind::Throw,
        None => RouteKind::Unicast,
    };
    let dst = words.next().filter(|word| *word != "default").map(|dst| dst.parse().unwrap());
    let mut route = StaticRoute::new(kind, dst, Vec::new());
    let mut leg = Leg::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap();
        match word {
            "via" => {
                let text = value();
                let node = || Via::Node(NodeName::new(text).unwrap());
                leg.via = Some(text.parse().map_or_else(|_| node(), Via::Addr));
            }
            "dev" => leg.dev = Some(IfName::new(value()).unwrap()),
            "src" => route.src = Some(value().parse().unwrap()),
            "metric" => route.metric = Some(value().parse().unwrap()),
            "table" => route.table = Some(value().parse().unwrap()),
            "onlink" => leg.onlink = true,
            word => panic!("{word}"),
        }
    }
    route.legs.extend((leg != Leg::default()).then_some(leg));
    route
}
