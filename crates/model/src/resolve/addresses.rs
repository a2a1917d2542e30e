//! Addresses: what is pinned, and what prefixes and pools hand out around it.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::network::{Assigned, Family, Network};
use super::prefix::{hosts_outside, room, subnet, subnet_count};
use crate::names::NodeName;
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};
use crate::topology::Addressing;
use crate::topology::wiring::{Made, PlaceKind};

/// Gives every interface its addresses.
///
/// Each prefix hands out in written order, the gateway first. So the same topology gives the same
/// addresses; an insertion moves those after it, unless they are pinned.
pub(super) fn assign(network: &mut Network<'_>, problems: &mut Vec<Problem>) {
    let wires = wires(network, problems);
    let mut held = Held::of(network, &wires);
    for id in 0..network.wiring.interfaces.len() {
        pinned(network, &held, id, problems);
        let domain = network.domains.of[id];
        held.used.extend(network.addresses[id].iter().map(|a| (domain, a.net.addr())));
    }
    for wire in &wires {
        for &prefix in &wire.prefixes {
            hand_out(network, &mut held.used, wire, prefix, problems);
        }
    }
}

/// A link or segment, as far as addresses go.
struct Wire {
    prefixes: Vec<IpNet>,
    /// The segment that the host is on, and has the first address of.
    external: Option<usize>,
    /// What is not handed out.
    reserved: Vec<IpNet>,
    /// The interfaces of its ends or members, the gateway's first.
    ends: Vec<usize>,
    origin: Origin,
}

impl Wire {
    /// Returns the domains of its ends: one, but that of a VLAN whose switches no trunk joins.
    fn domains(&self, network: &Network<'_>) -> BTreeSet<usize> {
        self.ends.iter().map(|&end| network.domains.of[end]).collect()
    }
}

/// What each domain has.
struct Held {
    /// The prefixes of all links and segments in each domain.
    prefixes: Vec<Vec<IpNet>>,
    /// The addresses that are taken, by domain.
    used: HashSet<(usize, IpAddr)>,
}

impl Held {
    fn of(network: &Network<'_>, wires: &[Wire]) -> Self {
        let mut prefixes = vec![Vec::new(); network.domains.stations.len()];
        for wire in wires {
            for domain in wire.domains(network) {
                prefixes[domain].extend(&wire.prefixes);
            }
        }
        Self { prefixes, used: HashSet::new() }
    }
}

/// Collects what has prefixes: the segments, then the links.
fn wires(network: &Network<'_>, problems: &mut Vec<Problem>) -> Vec<Wire> {
    let topology = network.topology;
    let gateway_first = |ends: &mut Vec<usize>, gateway: &Option<NodeName>| {
        let place = |end: usize| network.wiring.interfaces[end].place;
        let name = |end: usize| &network.wiring.places[place(end)].name;
        ends.sort_by_key(|&end| Some(name(end)) != gateway.as_ref());
    };
    let mut wires = Vec::new();
    for (index, segment) in topology.segments().iter().enumerate() {
        let mut ends = network.wiring.ends_of(index);
        gateway_first(&mut ends, &segment.gateway);
        let prefixes = segment.prefixes.iter().map(IpNet::trunc).collect();
        let reserved = segment.reserved.clone();
        let external = segment.external.then_some(index);
        wires.push(Wire { prefixes, external, reserved, ends, origin: segment.origin });
    }
    let pooled = pools(network, problems);
    for ((link, ends), pooled) in topology.links().iter().zip(&network.wiring.links).zip(pooled) {
        let mut ends = ends.to_vec();
        gateway_first(&mut ends, &link.gateway);
        let prefixes = match &link.addressing {
            Addressing::Given => Vec::new(),
            Addressing::Prefixes(prefixes) => prefixes.iter().map(IpNet::trunc).collect(),
            Addressing::Pool(_) => pooled,
        };
        let (external, reserved) = (None, Vec::new());
        wires.push(Wire { prefixes, external, reserved, ends, origin: link.origin });
    }
    wires
}

/// Cuts a /31 (RFC 3021) and a /127 (RFC 6164) for each link that has a pool, in link order.
fn pools(network: &Network<'_>, problems: &mut Vec<Problem>) -> Vec<Vec<IpNet>> {
    let topology = network.topology;
    let mut cut = vec![Vec::new(); topology.links().len()];
    for (index, pool) in topology.pools().iter().enumerate() {
        let links = topology.links().iter().enumerate();
        let asks = |addressing: &Addressing| *addressing == Addressing::Pool(index);
        let links: Vec<usize> =
            links.filter(|(_, link)| asks(&link.addressing)).map(|(link, _)| link).collect();
        for family in Family::BOTH {
            let prefixes = pool.prefixes.iter().map(IpNet::trunc);
            let prefixes: Vec<IpNet> =
                prefixes.filter(|prefix| Family::of(prefix.addr()) == family).collect();
            if prefixes.is_empty() {
                continue;
            }
            let len = prefixes[0].max_prefix_len() - 1;
            let room: u128 = prefixes.iter().map(|prefix| subnet_count(prefix, len)).sum();
            if room < links.len() as u128 {
                let kind = ProblemKind::PoolExhausted { prefixes, room, needed: links.len() };
                problems.push(Problem::new(kind, pool.origin));
                continue;
            }
            let mut subnets = prefixes.iter().flat_map(|prefix| {
                (0..subnet_count(prefix, len)).map(move |nth| subnet(prefix, len, nth))
            });
            for &link in &links {
                cut[link].extend(subnets.next());
            }
        }
    }
    cut
}

/// Takes the addresses that are written for an interface.
fn pinned(network: &mut Network<'_>, held: &Held, id: usize, problems: &mut Vec<Problem>) {
    let wired = &network.wiring.interfaces[id];
    let prefixes = &held.prefixes[network.domains.of[id]];
    let mut addresses: Vec<Assigned> = Vec::new();
    for (index, options) in wired.options.iter().enumerate() {
        for spec in &options.addresses {
            // The same in both places where it may stand is said twice, not two addresses.
            if wired.options[..index].iter().any(|earlier| earlier.addresses.contains(spec)) {
                continue;
            }
            let origin = spec.origin.or(options.origin).or(wired.origin);
            let full_len = if spec.addr.is_ipv4() { 32 } else { 128 };
            let holds = |prefix: &&IpNet| prefix.contains(&spec.addr);
            let around = prefixes.iter().filter(holds).map(IpNet::prefix_len).max();
            let prefix_len = spec.prefix_len.or(around);
            let prefix_len = prefix_len.or((wired.made == Made::Loopback).then_some(full_len));
            match prefix_len.and_then(|len| IpNet::new(spec.addr, len).ok()) {
                Some(net) => addresses.push(Assigned { net, handed_out: false, origin }),
                None => {
                    let kind = no_length(network, id, spec.addr, prefixes);
                    problems.push(Problem::new(kind, origin));
                }
            }
        }
    }
    network.addresses[id] = addresses;
}

/// Says why an address without a length can't be given one.
fn no_length(network: &Network<'_>, id: usize, addr: IpAddr, prefixes: &[IpNet]) -> ProblemKind {
    let at = network.wiring.at(id);
    let same = prefixes.iter().filter(|prefix| Family::of(prefix.addr()) == Family::of(addr));
    let prefixes: Vec<IpNet> = same.copied().collect();
    match prefixes.is_empty() {
        true => ProblemKind::BareAddress { addr, at },
        false => ProblemKind::AddressOutside { addr, at, prefixes },
    }
}

/// Hands out the addresses of one prefix to all ends that have none pinned in it.
///
/// Segments and ports of bridges get none, being wires; a node without IPv6 gets no IPv6 one.
fn hand_out(
    network: &mut Network<'_>,
    used: &mut HashSet<(usize, IpAddr)>,
    wire: &Wire,
    prefix: IpNet,
    problems: &mut Vec<Problem>,
) {
    let takes = |id: usize| {
        let wired = &network.wiring.interfaces[id];
        let family_on = match network.wiring.places[wired.place].kind {
            PlaceKind::Node(node) => prefix.addr().is_ipv4() || node.ipv6,
            PlaceKind::Host => true,
            PlaceKind::Segment(_) | PlaceKind::Unknown => return false,
        };
        let has_one = network.addresses[id]
            .iter()
            .any(|address| !address.handed_out && prefix.contains(&address.net.addr()));
        !network.is_wire(id) && family_on && !has_one
    };
    let takers: Vec<usize> = wire.ends.iter().copied().filter(|&id| takes(id)).collect();
    let count = takers.len() + usize::from(wire.external.is_some());
    if count == 0 {
        return;
    }
    let domains = wire.domains(network);
    let is_used = |addr: &IpAddr| domains.iter().any(|&domain| used.contains(&(domain, *addr)));
    let is_reserved = |addr: &IpAddr| wire.reserved.iter().any(|net| net.contains(addr));
    let free = hosts_outside(prefix, &wire.reserved);
    let free = free.filter(|addr| !is_used(addr));
    let addresses: Vec<IpAddr> = free.take(count).collect();
    if addresses.len() < count {
        let in_room = |addr: &IpAddr| prefix.contains(addr) && !is_reserved(addr);
        let taken =
            used.iter().filter(|(domain, addr)| domains.contains(domain) && in_room(addr)).count();
        // So few that they can be counted: all were tried.
        let room = match wire.reserved.is_empty() {
            true => room(&prefix),
            false => hosts_outside(prefix, &wire.reserved).count() as u128,
        };
        let needed = taken + count;
        let kind = ProblemKind::PrefixExhausted { prefix, room, needed };
        problems.push(Problem::new(kind, wire.origin));
        return;
    }
    let mut addresses = addresses.into_iter();
    if let Some(segment) = wire.external {
        let net = addresses.next().and_then(|addr| IpNet::new(addr, prefix.prefix_len()).ok());
        for domain in &domains {
            used.extend(net.map(|net| (*domain, net.addr())));
        }
        network.host_addresses[segment].extend(net);
    }
    for (id, addr) in takers.into_iter().zip(addresses) {
        used.insert((network.domains.of[id], addr));
        if let Ok(net) = IpNet::new(addr, prefix.prefix_len()) {
            let assigned = Assigned { net, handed_out: true, origin: wire.origin };
            network.addresses[id].push(assigned);
        }
    }
}
