//! The rules that a topology keeps, beside those that its types keep.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::wiring::{Made, PlaceKind, Wired, Wiring};
use super::{
    AddressSpec, Addressing, InterfaceOptions, Leg, SegmentKind, StaticNexthopKind, Sysctl,
    Topology, Via, devices, loops,
};
use crate::names::{NodeName, NsName};
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind, TunnelProblem, nearest};
use crate::resolve::namespaces::whole_name;
use crate::resolve::sysctls;
use crate::state::QUEUES_MAX;

/// The most nodes and segments of a lab: 430 kB of kernel memory each make 43 GB.
const PLACES_MAX: usize = 100_000;

/// The most ports of a bridge (`BR_MAX_PORTS` less the port 0, net/bridge/br_private.h).
const PORTS_MAX: usize = 1023;

/// What the number of a VLAN may be: 0 and 4095 mean something else (IEEE 802.1Q-2018, table 9-2), and
/// 1 is where a bridge puts ports that say nothing.
const VLANS: (u32, u32) = (2, 4094);

/// The largest number of a VXLAN, 24 bits (RFC 7348, section 5).
const VNI_MAX: u32 = 0xff_ffff;

/// What an MTU may be, in bytes: `ETH_MIN_MTU` (RFC 791, section 3.2) to `ETH_MAX_MTU`.
const MTU_BYTES: (u32, u32) = (68, 65535);

/// The longest alias, in bytes (`IFALIASZ - 1`, linux/if.h).
const ALIAS_MAX_BYTES: usize = 255;

/// Finds all that is wrong with a topology in itself, in no order.
pub(super) fn problems(topology: &Topology) -> Vec<Problem> {
    let mut wiring = Wiring::of(topology);
    let mut problems = std::mem::take(&mut wiring.problems);
    nodes(topology, &mut problems);
    host(topology, &mut problems);
    if let Err(more) = namespaces(topology) {
        problems.extend(more);
    }
    names(topology, &wiring, &mut problems);
    gateways(topology, &wiring, &mut problems);
    vlans(topology, &wiring, &mut problems);
    externals(topology, &wiring, &mut problems);
    link_names(topology, &wiring, &mut problems);
    for wired in &wiring.interfaces {
        interface(&wiring, wired, &mut problems);
    }
    numbers(topology, &mut problems);
    ports(&wiring, &mut problems);
    devices::problems(&wiring, &mut problems);
    problems.extend(loops::problems(topology, &wiring));
    problems
}

fn nodes(topology: &Topology, problems: &mut Vec<Problem>) {
    let count = topology.nodes.len() + topology.segments.len();
    if count > PLACES_MAX {
        let kind = ProblemKind::TooManyNodes { count, max: PLACES_MAX };
        problems.push(Problem::new(kind, Origin::NONE));
    }
    let mut first = HashMap::new();
    for (name, origin) in places(topology) {
        if let Some(first) = first.insert(name, origin) {
            let kind = ProblemKind::DuplicateNode { name: name.clone() };
            problems.push(Problem::new(kind, origin).with(first, "it is first defined here"));
        }
    }
    for node in &topology.nodes {
        for (key, sysctl) in &node.sysctls {
            if !is_sysctl(key) {
                let kind = ProblemKind::BadSysctl { key: key.clone() };
                problems.push(Problem::new(kind, sysctl.origin.or(node.origin)));
            }
        }
    }
}

/// Tells whether a name stays within `/proc/sys/net` when its dots become slashes.
fn is_sysctl(key: &str) -> bool {
    // `/` stands for a dot in an interface's name (`sysctl(8)`); two alone would lead elsewhere.
    let name =
        crate::plan::interface_of_sysctl(key).filter(|name| !name.trim_matches('/').is_empty());
    let fits = |part: &str| !part.is_empty() && (!part.contains('/') || Some(part) == name);
    key.starts_with("net.")
        && key.split('.').all(fits)
        && !key.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn places(topology: &Topology) -> impl Iterator<Item = (&NodeName, Origin)> {
    let nodes = topology.nodes.iter().map(|node| (&node.name, node.origin));
    nodes.chain(topology.segments.iter().map(|segment| (&segment.name, segment.origin)))
}

/// Names the namespaces: the nodes' in written order, then the segments'.
///
/// Asked again when the lab was renamed: names can become too long then.
///
/// # Errors
/// Returns names that can't be file names, and the first name that two would have.
pub(crate) fn namespaces(topology: &Topology) -> Result<Vec<NsName>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut names = Vec::new();
    let mut first: HashMap<NsName, (&NodeName, Origin)> = HashMap::new();
    let mut collision = None;
    for (node, origin) in places(topology) {
        match topology.netns.name(&topology.name, node) {
            Err(error) => problems.push(Problem::new(error, origin)),
            Ok(ns) => {
                let before = first.insert(ns.clone(), (node, origin));
                if let Some((other, place)) = before.filter(|(other, _)| *other != node) {
                    let (first, second) = (other.clone(), node.clone());
                    let kind = ProblemKind::NamespaceCollision { ns: ns.clone(), first, second };
                    let problem = Problem::new(kind, origin).with(place, "the other is this one");
                    // One is enough: without `$node` in the pattern, all nodes collide.
                    collision.get_or_insert(problem);
                }
                names.push(ns);
            }
        }
    }
    problems.extend(collision);
    if problems.is_empty() { Ok(names) } else { Err(problems) }
}

/// Checks that what is named as a node or segment is one.
fn names(topology: &Topology, wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    let node_names: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    let all_names: Vec<&str> = places(topology).map(|(name, _)| name.as_str()).collect();
    let mut check = |name: &NodeName, role: Option<&'static str>, origin| {
        let place = wiring.place(name).map(|place| wiring.places[place].kind);
        let kind = match (place, role) {
            (_, Some(role)) if name.is_host() => ProblemKind::HostRole { role },
            (Some(PlaceKind::Segment(_)), Some(role)) => {
                ProblemKind::NotANode { name: name.clone(), role }
            }
            (Some(_), _) => return,
            (None, role) => {
                let (what, names) = match role {
                    Some(_) => ("node", &node_names),
                    None => ("node or segment", &all_names),
                };
                let near = nearest(name.as_str(), names.iter().copied());
                let near = near.and_then(|name| NodeName::new(name).ok());
                ProblemKind::UnknownNode { what, name: name.clone(), nearest: near }
            }
        };
        problems.push(Problem::new(kind, origin));
    };
    for segment in &topology.segments {
        for member in &segment.members {
            check(&member.node, Some("a member"), member.origin.or(segment.origin));
        }
        if let Some(gateway) = &segment.gateway {
            check(gateway, Some("a gateway"), segment.origin);
        }
    }
    for link in &topology.links {
        for end in &link.ends {
            check(&end.node, None, end.origin.or(link.origin));
        }
        if let Some(gateway) = &link.gateway {
            check(gateway, Some("a gateway"), link.origin);
        }
    }
    for node in &topology.nodes {
        for nexthop in &node.nexthops {
            if let StaticNexthopKind::Leg(Leg { via: Some(Via::Node(via)), .. }) = &nexthop.kind {
                check(via, Some("a gateway"), nexthop.origin.or(node.origin));
            }
        }
        for route in &node.routes {
            for leg in &route.legs {
                if let Some(Via::Node(via)) = &leg.via {
                    check(via, Some("a gateway"), route.origin.or(node.origin));
                }
            }
        }
    }
}

/// Checks what the host is used for: it is the far end of a cable.
fn host(topology: &Topology, problems: &mut Vec<Problem>) {
    for link in topology.links.iter().filter(|link| link.is_to_host()) {
        let ends = link.ends.iter().filter(|end| end.node.is_host());
        let origin = |end: &super::Endpoint| end.origin.or(link.origin);
        let at = ends.clone().next().map(origin).unwrap_or(link.origin);
        let roles = [
            (ends.clone().any(|end| end.interface.is_none()), "an end without a name"),
            (ends.clone().count() > 1, "both ends of a link"),
            (link.tunnel.is_some(), "the end of a tunnel"),
            (ends.clone().any(|end| end.options.vrf.is_some()), "in a VRF"),
            (ends.clone().any(|end| end.isolated), "isolated"),
        ];
        for (_, role) in roles.into_iter().filter(|(is_so, _)| *is_so) {
            problems.push(Problem::new(ProblemKind::HostRole { role }, at));
        }
    }
    for (name, origin) in places(topology).filter(|(name, _)| name.is_host()) {
        problems.extend(NodeName::new(&name.to_string()).err().map(|e| Problem::new(e, origin)));
    }
}

fn gateways(topology: &Topology, wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    for (index, segment) in topology.segments.iter().enumerate() {
        let Some(gateway) = &segment.gateway else { continue };
        let place = |end: usize| &wiring.places[wiring.interfaces[end].place];
        if !wiring.ends_of(index).into_iter().any(|end| place(end).name == *gateway) {
            let (gateway, of) = (gateway.clone(), segment.name.to_string());
            let kind = ProblemKind::GatewayNotThere { gateway, role: "a member", of };
            problems.push(Problem::new(kind, segment.origin));
        }
    }
    for segment in &topology.segments {
        let SegmentKind::Wireguard { hub, .. } = &segment.kind else { continue };
        let is_stranger = |hub: &&NodeName| !segment.members.iter().any(|it| it.node == **hub);
        if let Some(hub) = hub.as_ref().filter(is_stranger) {
            let kind = TunnelProblem::HubNotThere { hub: hub.clone(), of: segment.name.clone() };
            problems.push(Problem::new(kind, segment.origin));
        }
        let mut nodes = std::collections::HashSet::new();
        for member in segment.members.iter().filter(|member| !nodes.insert(&member.node)) {
            let (node, of) = (member.node.clone(), segment.name.clone());
            let kind = TunnelProblem::MemberTwice { node, of };
            problems.push(Problem::new(kind, member.origin.or(segment.origin)));
        }
    }
    for link in &topology.links {
        let [a, b] = &link.ends;
        let Some(gateway) = &link.gateway else { continue };
        if a.node != *gateway && b.node != *gateway {
            let of = link.name.clone().unwrap_or_else(|| format!("{}--{}", a.node, b.node));
            let gateway = gateway.clone();
            let kind = ProblemKind::GatewayNotThere { gateway, role: "an end", of };
            problems.push(Problem::new(kind, link.origin));
        }
    }
}

/// Checks that the host has an address where it is, and that the name of its port is left to it.
fn externals(topology: &Topology, wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    for segment in topology.segments.iter().filter(|segment| segment.external) {
        if segment.prefixes.is_empty() && segment.without_bridge().is_none() {
            let kind = ProblemKind::ExternalWithoutPrefix { segment: segment.name.clone() };
            problems.push(Problem::new(kind, segment.origin));
        }
        let Some(place) = wiring.place(&segment.name) else { continue };
        let port = wiring.places[place].interfaces.iter().map(|&id| &wiring.interfaces[id]);
        for port in port.filter(|port| port.name.as_str() == "host") {
            let (node, interface) = (segment.name.clone(), port.name.clone());
            let kind = ProblemKind::DuplicateInterface { node, interface, derived: false };
            problems.push(Problem::new(kind, port.origin).with(segment.origin, "the host is here"));
        }
    }
}

/// Checks the numbers of VLANs, and that what is a VLAN alone is not used as a bridge.
fn vlans(topology: &Topology, wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    for segment in &topology.segments {
        let is_tunnel = segment.kind != SegmentKind::Bridge;
        let roles = [
            (segment.stp, "run STP"),
            (segment.external, "be external"),
            (is_tunnel && segment.vlan.is_some(), "be a VLAN"),
        ];
        for (_, role) in roles.into_iter().filter(|(is_on, _)| *is_on) {
            let kind = ProblemKind::no_bridge(segment, role);
            problems.extend(kind.map(|kind| Problem::new(kind, segment.origin)));
        }
        if let SegmentKind::Vxlan(vxlan) = &segment.kind {
            let kind = in_range("id", vxlan.id, (0, VNI_MAX));
            problems.extend(kind.map(|kind| Problem::new(kind, segment.origin)));
        }
        let Some(vlan) = segment.vlan else { continue };
        let kind = in_range("vlan", vlan.into(), VLANS);
        problems.extend(kind.map(|kind| Problem::new(kind, segment.origin)));
    }
    for (link, ends) in topology.links.iter().zip(&wiring.links) {
        for (end, id) in link.ends.iter().zip(ends) {
            let place = wiring.interfaces[*id].place;
            let PlaceKind::Segment(segment) = wiring.places[place].kind else { continue };
            let kind = ProblemKind::no_bridge(segment, "have links");
            problems.extend(kind.map(|kind| Problem::new(kind, end.origin.or(link.origin))));
        }
    }
    // Two names for one number are fine, as long as no bridge has to tell them apart.
    let mut named: HashMap<(usize, u16), (&NodeName, Origin)> = HashMap::new();
    for wired in &wiring.interfaces {
        let Some(bridge) = wired.master.filter(|&bridge| wiring.filters(bridge)) else { continue };
        for &index in wired.carried.access.iter().chain(&wired.carried.trunk) {
            let segment = &topology.segments[index];
            let Some(vlan) = segment.vlan else { continue };
            let own = wiring.places[wiring.interfaces[bridge].place].kind;
            let PlaceKind::Segment(own) = own else { continue };
            let first = named.entry((bridge, vlan)).or_insert((&segment.name, wired.origin));
            let own = (own.vlan == Some(vlan)).then_some((&own.name, own.origin));
            let (first, place) = own.unwrap_or(*first);
            if *first != segment.name {
                let (first, second) = (first.clone(), segment.name.clone());
                let kind = ProblemKind::SameVlan { vlan, first, second };
                problems.push(Problem::new(kind, wired.origin).with(place, "the other is here"));
            }
        }
    }
}

fn link_names(topology: &Topology, wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for (link, name) in topology.links.iter().zip(&wiring.link_names) {
        if let Some(first) = first.insert(name, link.origin) {
            let kind = ProblemKind::DuplicateLink { name: name.clone() };
            problems.push(Problem::new(kind, link.origin).with(first, "the first is here"));
        }
    }
}

fn interface(wiring: &Wiring<'_>, wired: &Wired<'_>, problems: &mut Vec<Problem>) {
    let place = &wiring.places[wired.place];
    for options in &wired.options {
        let origin = options.origin.or(wired.origin);
        let mut add = |kind| problems.push(Problem::new(kind, origin));
        if let Some(mtu) = options.mtu {
            in_range("mtu", mtu, MTU_BYTES).map(&mut add);
        }
        if let Some(mac) = options.mac.filter(|mac| !mac.is_usable()) {
            add(ProblemKind::MacNotUnicast { mac });
        }
        let alias_bytes = options.alias.as_ref().map_or(0, String::len);
        if alias_bytes > ALIAS_MAX_BYTES {
            add(ProblemKind::AliasTooLong { bytes: alias_bytes, max: ALIAS_MAX_BYTES });
        }
        for (word, count) in options.queues.words() {
            in_range(word, count, (1, QUEUES_MAX)).map(&mut add);
            if wired.made == Made::Loopback {
                add(ProblemKind::LoopbackOption { option: word });
            }
        }
        if wired.made == Made::Loopback && options.mac.is_some() {
            add(ProblemKind::LoopbackOption { option: "mac" });
        }
        if wired.made == Made::Loopback && options.alias.is_some() {
            add(ProblemKind::LoopbackOption { option: "alias" });
        }
        if wired.made == Made::Loopback && options.ipv6.is_some() {
            add(ProblemKind::LoopbackOption { option: "ipv6" });
        }
        for spec in &options.addresses {
            let mut kinds: Vec<ProblemKind> = address(spec).into_iter().collect();
            if let PlaceKind::Segment(segment) = place.kind {
                let (segment, addr) = (segment.name.clone(), spec.addr);
                kinds.push(ProblemKind::AddressOnSegment { segment, addr });
            }
            let origin = spec.origin.or(origin);
            problems.extend(kinds.into_iter().map(|kind| Problem::new(kind, origin)));
        }
    }
    contradictions(wiring, wired, problems);
    contradicting_sysctls(wiring, wired, problems);
}

fn address(spec: &AddressSpec) -> Option<ProblemKind> {
    let addr = spec.addr;
    let max = if addr.is_ipv4() { 32 } else { 128 };
    if let Some(prefix_len) = spec.prefix_len.filter(|&len| len > max) {
        return Some(ProblemKind::PrefixLen { addr, prefix_len, max });
    }
    let reason = match addr {
        _ if addr.is_unspecified() => "the unspecified address",
        _ if addr.is_multicast() => "a multicast address",
        IpAddr::V4(addr) if addr.is_broadcast() => "the broadcast address",
        _ => return None,
    };
    Some(ProblemKind::BadAddress { addr, reason })
}

/// Finds options that are given to one interface in two places, with two values.
fn contradictions(wiring: &Wiring<'_>, wired: &Wired<'_>, problems: &mut Vec<Problem>) {
    if wired.options.len() < 2 {
        return;
    }
    let mut check = |option, value: fn(&InterfaceOptions) -> Option<String>| {
        let mut given = wired.options.iter().filter_map(|o| Some((value(o)?, o.origin)));
        let Some((first, place)) = given.next() else { return };
        for (second, origin) in given.filter(|(second, _)| *second != first) {
            let node = wiring.places[wired.place].name.clone();
            let at = crate::problem::At { node, interface: wired.name.clone() };
            let first = first.clone();
            let kind = ProblemKind::ContradictingOption { at, option, first, second };
            let origin = origin.or(wired.origin);
            problems.push(Problem::new(kind, origin).with(place, "the other value is here"));
        }
    };
    check("mtu", |options| options.mtu.map(|mtu| mtu.to_string()));
    check("mac", |options| options.mac.map(|mac| mac.to_string()));
    check("alias", |options| options.alias.as_ref().map(|alias| format!("`{alias}`")));
    check("up", |options| options.up.map(|up| up.to_string()));
    check("txqueuelen", |options| options.txqueuelen.map(|length| length.to_string()));
    check("numtxqueues", |options| options.queues.tx.map(|count| count.to_string()));
    check("numrxqueues", |options| options.queues.rx.map(|count| count.to_string()));
    check("rps_cpus", |options| options.rps_cpus.as_ref().map(|cpus| format!("`{cpus}`")));
    check("accept_ra", |options| options.accept_ra.map(|on| on.to_string()));
    check("vrf", |options| options.vrf.as_ref().map(|vrf| format!("`{vrf}`")));
    check("ipv6", |options| options.ipv6.map(|on| on.to_string()));
}

/// Finds sysctls of one interface that have two values: in two places, or where an option says the same.
fn contradicting_sysctls(wiring: &Wiring<'_>, wired: &Wired<'_>, problems: &mut Vec<Problem>) {
    const ELSEWHERE: &str = "the other value is here";
    let place = &wiring.places[wired.place];
    let of_node = match place.kind {
        PlaceKind::Node(node) => Some(&node.sysctls),
        _ => None,
    };
    let mut said: BTreeMap<String, &Sysctl> = BTreeMap::new();
    let own = wired.options.iter().flat_map(|options| &options.sysctls);
    let own = own.map(|(key, sysctl)| (whole_name(key, &wired.name), sysctl));
    let of_node = of_node.into_iter().flatten().map(|(key, sysctl)| (key.clone(), sysctl));
    for (key, sysctl) in own.chain(of_node.filter(|(key, _)| is_about(key, wired))) {
        match said.get(&key) {
            Some(other) if other.value != sysctl.value => {
                let (first, second) = (other.value.clone(), sysctl.value.clone());
                let node = place.name.clone();
                let kind = ProblemKind::ContradictingSysctl { node, key, first, second };
                let origin = sysctl.origin.or(wired.origin);
                problems.push(Problem::new(kind, origin).with(other.origin, ELSEWHERE));
            }
            Some(_) => {}
            None => drop(said.insert(key, sysctl)),
        }
    }
    let mut check = |option, key: &str, value: fn(&InterfaceOptions) -> Option<bool>, off: &str| {
        let given = wired.options.iter().find_map(|o| Some((value(o)?, o.origin)));
        let sysctl = said.get(&whole_name(key, &wired.name));
        let Some(((on, origin), sysctl)) = given.zip(sysctl) else { return };
        if on == (sysctl.value == off) {
            let at = crate::problem::At { node: place.name.clone(), interface: wired.name.clone() };
            let (first, second) = (on.to_string(), format!("`{key}: {}`", sysctl.value));
            let kind = ProblemKind::ContradictingOption { at, option, first, second };
            let problem = Problem::new(kind, sysctl.origin.or(wired.origin));
            problems.push(problem.with(origin.or(wired.origin), ELSEWHERE));
        }
    };
    check("accept_ra", "ipv6.accept_ra", |options| options.accept_ra, "0");
    check("ipv6", "ipv6.disable_ipv6", |options| options.ipv6, "1");
}

/// Tells whether a sysctl of a node is one of this interface.
fn is_about(key: &str, wired: &Wired<'_>) -> bool {
    sysctls::interface_of(key).is_some_and(|name| name == wired.name)
}

/// Checks the numbers of links and segments.
fn numbers(topology: &Topology, problems: &mut Vec<Problem>) {
    let links = topology.links.iter().map(|link| (link.mtu, link.cost, link.origin));
    let segments = topology.segments.iter().map(|seg| (seg.mtu, seg.cost, seg.origin));
    for (mtu, cost, origin) in links.chain(segments) {
        let mtu = mtu.and_then(|mtu| in_range("mtu", mtu, MTU_BYTES));
        // A cost of 0 would allow equal shortest paths that lead in circles.
        let cost = cost.and_then(|cost| in_range("cost", cost, (1, u32::MAX)));
        problems.extend(mtu.into_iter().chain(cost).map(|kind| Problem::new(kind, origin)));
    }
    for segment in &topology.segments {
        let holds = |net: &IpNet| segment.prefixes.iter().any(|prefix| prefix.contains(net));
        for &net in segment.reserved.iter().filter(|net| !holds(net)) {
            let kind = ProblemKind::ReservedOutside { segment: segment.name.clone(), net };
            problems.push(Problem::new(kind, segment.origin));
        }
    }
    for link in &topology.links {
        match link.addressing {
            Addressing::Pool(index) if index >= topology.pools.len() => {
                problems.push(Problem::new(ProblemKind::UnknownPool { index }, link.origin));
            }
            _ => {}
        }
    }
}

fn in_range(option: &'static str, value: u32, (min, max): (u32, u32)) -> Option<ProblemKind> {
    let inside = (min..=max).contains(&value);
    (!inside).then_some(ProblemKind::OutOfRange { option, value, min, max })
}

/// Counts the ports of bridges.
fn ports(wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    let masters = wiring.interfaces.iter().filter_map(|wired| wired.master);
    for master in masters.filter(|&master| wiring.interfaces[master].is_bridge()) {
        *counts.entry(master).or_default() += 1;
    }
    let too_many = counts.into_iter().filter(|&(_, count)| count > PORTS_MAX);
    for (bridge, count) in too_many {
        let origin = wiring.interfaces[bridge].origin;
        let bridge = loops::bridge_name(wiring, bridge);
        let kind = ProblemKind::TooManyPorts { bridge, count, max: PORTS_MAX };
        problems.push(Problem::new(kind, origin));
    }
}
