//! Default routes to the gateways of links and segments.

use std::collections::HashMap;

use super::Table;
use crate::names::NodeName;
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};
use crate::resolve::network::{Family, Network};
use crate::state::{NextHop, Route};

/// A link or segment with a gateway, by the interfaces of its ends or members.
struct Wire<'t> {
    name: &'t str,
    gateway: &'t NodeName,
    ends: Vec<usize>,
    origin: Origin,
}

/// Gives the others on each link and segment with a gateway a default route to it.
///
/// A default route of the node's own wins. So does none where two gateways would do: the node has
/// to say which one it takes.
pub(super) fn add(network: &Network<'_>, tables: &mut [Table], problems: &mut Vec<Problem>) {
    let own: Vec<[bool; 2]> =
        tables.iter().map(|table| Family::BOTH.map(|family| table.has_default(family))).collect();
    let mut chosen: HashMap<(usize, &'static str), (usize, &NodeName, Origin)> = HashMap::new();
    for (number, wire) in wires(network).into_iter().enumerate() {
        let Some(gateway) = network.wiring.place(wire.gateway) else { continue };
        let at = |&id: &usize| station(network, id);
        let (there, others): (Vec<usize>, Vec<usize>) = wire
            .ends
            .iter()
            .filter_map(at)
            .partition(|&id| network.wiring.interfaces[id].place == gateway);
        let Some(&there) = there.first() else { continue };
        if network.addresses[there].is_empty() {
            let (gateway, of) = (wire.gateway.clone(), wire.name.to_owned());
            let kind = ProblemKind::GatewayWithoutAddress { gateway, of };
            problems.push(Problem::new(kind, wire.origin));
        }
        for from in others {
            for (index, family) in Family::BOTH.into_iter().enumerate() {
                let place = network.wiring.interfaces[from].place;
                if own[place][index] {
                    continue;
                }
                let Some(route) = route(network, from, there, family, wire.origin) else {
                    continue;
                };
                match chosen.get(&(place, family.name())) {
                    None => {
                        let choice = (number, wire.gateway, wire.origin);
                        chosen.insert((place, family.name()), choice);
                        tables[place].written.insert(route.key(), route);
                    }
                    // The node is on this wire twice: one way to its gateway is enough.
                    Some((first, _, _)) if *first == number => {}
                    Some((_, first, origin)) => {
                        let kind = ProblemKind::TwoGateways {
                            node: network.wiring.places[place].name.clone(),
                            family: family.name(),
                            first: (*first).clone(),
                            second: wire.gateway.clone(),
                        };
                        let problem = Problem::new(kind, wire.origin);
                        problems.push(problem.with(*origin, "the other gateway is set here"));
                    }
                }
            }
        }
    }
}

/// Gives those on a segment that the host is on a default route to the host, where they have no
/// other.
pub(super) fn add_external(network: &Network<'_>, tables: &mut [Table]) {
    for (index, segment) in network.topology.segments().iter().enumerate() {
        let ends = network.wiring.ends_of(index);
        for from in ends.into_iter().filter_map(|id| station(network, id)) {
            let wired = &network.wiring.interfaces[from];
            for host in &network.host_addresses[index] {
                let family = Family::of(host.addr());
                let own = network.addresses_of(from, family);
                let is_near = own.iter().any(|address| address.net.contains(&host.addr()));
                if !is_near || tables[wired.place].has_default(family) {
                    continue;
                }
                let hop = NextHop::via(host.addr(), wired.name.clone());
                let route = Route::unicast(family.default_dst(), vec![hop]);
                let route = Route { origin: segment.origin, ..route };
                tables[wired.place].written.insert(route.key(), route);
            }
        }
    }
}

fn wires<'n>(network: &'n Network<'_>) -> Vec<Wire<'n>> {
    let segments = network.topology.segments().iter().enumerate();
    let segments = segments.filter_map(|(index, segment)| {
        let ends = network.wiring.ends_of(index);
        let (name, origin) = (segment.name.as_str(), segment.origin);
        Some(Wire { name, gateway: segment.gateway.as_ref()?, ends, origin })
    });
    let names = &network.wiring.link_names;
    let links = network.topology.links().iter().zip(&network.wiring.links).zip(names);
    let links = links.filter_map(|((link, ends), name)| {
        let ends = ends.to_vec();
        Some(Wire { name, gateway: link.gateway.as_ref()?, ends, origin: link.origin })
    });
    segments.chain(links).collect()
}

/// Returns the interface that has the conversation for an end: itself, or its bridge.
fn station(network: &Network<'_>, id: usize) -> Option<usize> {
    let wired = &network.wiring.interfaces[id];
    let id = wired.master.unwrap_or(id);
    network.node(wired.place).filter(|_| network.is_live_station(id)).map(|_| id)
}

/// Makes the default route of one family, if both ends have an address of it.
fn route(
    network: &Network<'_>,
    from: usize,
    to: usize,
    family: Family,
    origin: Origin,
) -> Option<Route> {
    if network.addresses_of(from, family).is_empty() {
        return None;
    }
    let hop = network.hop(from, to, family)?;
    let dev = network.wiring.interfaces[from].name.clone();
    let hop = NextHop { onlink: hop.onlink, ..NextHop::via(hop.via, dev) };
    Some(Route { origin, ..Route::unicast(family.default_dst(), vec![hop]) })
}
