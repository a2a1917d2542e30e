//! Finds addresses and prefixes that get in each other's way.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::IpNet;

use super::namespaces::whole_name;
use super::network::{Assigned, Network};
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};
use crate::state::{MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, is_ipv6_link_local};
use crate::topology::wiring::{Made, Wired};

const FIRST: &str = "the other is here";

/// Finds all conflicts of addresses.
pub(super) fn find(network: &Network<'_>, problems: &mut Vec<Problem>) {
    duplicate_addresses(network, problems);
    duplicate_macs(network, problems);
    for place in 0..network.wiring.places.len() {
        overlaps(network, place, problems);
    }
    let bridge_mtus = bridge_mtus(network);
    for id in 0..network.wiring.interfaces.len() {
        ipv6_impossible(network, &bridge_mtus, id, problems);
    }
}

/// Remembers who had a thing first.
struct First<K>(HashMap<K, (usize, Origin)>);

impl<K: Hash + Eq> First<K> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    /// Returns who has it already, or takes it.
    fn taken(&mut self, key: K, id: usize, origin: Origin) -> Option<(usize, Origin)> {
        match self.0.get(&key) {
            Some(&first) => Some(first),
            None => {
                self.0.insert(key, (id, origin));
                None
            }
        }
    }
}

/// No two interfaces on one wire or in one node have the same address. Link-local ones are a
/// link's own, so a node may have the same on each (RFC 4007, section 5).
fn duplicate_addresses(network: &Network<'_>, problems: &mut Vec<Problem>) {
    let mut on_wire = First::new();
    let mut in_node = First::new();
    for (id, addresses) in network.addresses.iter().enumerate() {
        let wired = &network.wiring.interfaces[id];
        for Assigned { net, origin, .. } in addresses {
            let addr = net.addr();
            let wire = on_wire.taken((network.domains.of[id], addr), id, *origin);
            let node = match is_ipv6_link_local(addr) {
                true => None,
                false => in_node.taken((wired.place, network.vrf(id), addr), id, *origin),
            };
            if let Some((first, place)) = wire.or(node) {
                let (first, second) = (network.wiring.at(first), network.wiring.at(id));
                let kind = ProblemKind::DuplicateAddress { addr, first, second };
                problems.push(Problem::new(kind, *origin).with(place, FIRST));
            }
        }
    }
}

fn duplicate_macs(network: &Network<'_>, problems: &mut Vec<Problem>) {
    let mut on_wire = First::new();
    for (id, mac) in network.macs.iter().enumerate() {
        let wired = &network.wiring.interfaces[id];
        // The ports of a bond have its address.
        let shared = wired.master.is_some_and(|bond| network.wiring.interfaces[bond].shares_mac());
        let (Some(mac), false, origin) = (*mac, shared, wired.origin) else { continue };
        if let Some((first, place)) = on_wire.taken((network.domains.of[id], mac), id, origin) {
            let (first, second) = (network.wiring.at(first), network.wiring.at(id));
            let kind = ProblemKind::DuplicateMac { mac, first, second };
            problems.push(Problem::new(kind, origin).with(place, FIRST));
        }
    }
}

/// Finds prefixes of a node on two different wires of which one holds the other: the node could
/// not tell where an address is. Prefixes of one address hold nobody else; `lo` has no wire.
fn overlaps(network: &Network<'_>, place: usize, problems: &mut Vec<Problem>) {
    let mut prefixes: Vec<(IpNet, usize, Origin)> = Vec::new();
    for &id in &network.wiring.places[place].interfaces {
        if network.wiring.interfaces[id].is_loopback() {
            continue;
        }
        let nets = network.addresses[id].iter().map(|address| (address.net, address.origin));
        let nets = nets.filter(|(net, _)| {
            net.prefix_len() < net.max_prefix_len() && !is_ipv6_link_local(net.addr())
        });
        prefixes.extend(nets.map(|(net, origin)| (net.trunc(), id, origin)));
    }
    // Sorted, what a prefix holds follows it: two prefixes are nested or apart, nothing else.
    prefixes.sort_by_key(|&(net, id, _)| (net, id));
    let mut around: Vec<(IpNet, usize, Origin)> = Vec::new();
    for (net, id, origin) in prefixes {
        while around.last().is_some_and(|(outer, _, _)| !outer.contains(&net)) {
            around.pop();
        }
        let elsewhere = |other: usize| {
            network.domains.of[other] != network.domains.of[id]
                && network.vrf(other) == network.vrf(id)
        };
        if let Some(&(first, other, place)) = around.iter().find(|&&(_, other, _)| elsewhere(other))
        {
            // Point at the later one of the two in the file.
            let mut both = [(first, other, place), (net, id, origin)];
            both.sort_by_key(|(_, _, origin)| origin.index());
            let [(first, first_id, place), (second, second_id, origin)] = both;
            let (first_at, second_at) = (network.wiring.at(first_id), network.wiring.at(second_id));
            let kind = ProblemKind::OverlappingPrefixes { first, first_at, second, second_at };
            problems.push(Problem::new(kind, origin).with(place, FIRST));
        }
        around.push((net, id, origin));
    }
}

/// An IPv6 address needs IPv6: on in the node, and an MTU that the kernel runs it at.
fn ipv6_impossible(
    network: &Network<'_>,
    bridge_mtus: &HashMap<usize, u32>,
    id: usize,
    problems: &mut Vec<Problem>,
) {
    let wired = &network.wiring.interfaces[id];
    let off = network.node(wired.place).is_some_and(|node| !node.ipv6);
    let mtu = network.mtus[id].or(bridge_mtus.get(&id).copied()).unwrap_or(MTU_DEFAULT_BYTES);
    let off_there = ipv6_off(network, wired);
    for Assigned { net, origin, .. } in &network.addresses[id] {
        let IpAddr::V6(addr) = net.addr() else { continue };
        let (addr, at) = (addr.into(), network.wiring.at(id));
        if off {
            problems.push(Problem::new(ProblemKind::Ipv6Off { at, addr }, *origin));
        } else if let Some(place) = off_there {
            let problem = Problem::new(ProblemKind::Ipv6OffThere { at, addr }, *origin);
            problems.push(problem.with(place, "it is turned off here"));
        } else if mtu < MTU_IPV6_MIN_BYTES {
            problems.push(Problem::new(ProblemKind::Ipv6SmallMtu { at, addr, mtu }, *origin));
        }
    }
}

/// Tells what turns IPv6 off on an interface: its option, or a sysctl.
fn ipv6_off(network: &Network<'_>, wired: &Wired<'_>) -> Option<Origin> {
    const KEY: &str = "ipv6.disable_ipv6";
    let option = wired.options.iter().find(|options| options.ipv6 == Some(false));
    let of_node = network.node(wired.place).map(|node| &node.sysctls);
    let of_node = of_node.and_then(|all| all.get(&whole_name(KEY, &wired.name)));
    let sysctls = wired.options.iter().filter_map(|options| options.sysctls.get(KEY));
    let mut sysctls = sysctls.chain(of_node).filter(|sysctl| sysctl.value == "1");
    let by_option = option.map(|options| options.origin.or(wired.origin));
    by_option.or_else(|| sysctls.next().map(|sysctl| sysctl.origin))
}

/// Returns the MTU that the kernel gives each bridge in a node that names none: its ports' least
/// (`br_mtu_auto_adjust`, net/bridge/br_if.c).
fn bridge_mtus(network: &Network<'_>) -> HashMap<usize, u32> {
    let mut mtus = HashMap::new();
    for (id, wired) in network.wiring.interfaces.iter().enumerate() {
        let Some(master) = wired.master else { continue };
        let is_bridge = network.wiring.interfaces[master].is_bridge();
        let in_node = is_bridge && network.wiring.interfaces[master].made == Made::NodeDevice;
        if let Some(mtu) = network.mtus[id].filter(|_| in_node) {
            mtus.entry(master)
                .and_modify(|least: &mut u32| *least = mtu.min(*least))
                .or_insert(mtu);
        }
    }
    mtus
}
