//! What holds for every topology.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::state::{Kind, Route, RouteKind};
use crate::topology::wiring::Wiring;

proptest! {
    #[test]
    fn resolving_is_deterministic(topology in arbitrary::topology()) {
        match (resolve(&topology), resolve(&topology)) {
            (Ok(first), Ok(second)) => prop_assert_eq!(first, second),
            (Err(first), Err(second)) => {
                prop_assert!(!first.is_empty());
                prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
            }
            _ => prop_assert!(false, "once so, once so"),
        }
    }

    #[test]
    fn most_topologies_resolve((_, desired) in arbitrary::desired()) {
        prop_assert!(!desired.nodes.is_empty());
    }

    #[test]
    fn removing_a_link_renames_nothing_else(
        topology in arbitrary::topology(),
        index in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!topology.links().is_empty());
        let removed = index.index(topology.links().len());
        let without = without_link(&topology, removed);
        prop_assume!(without.is_some());
        let without = without.unwrap();
        let (before, after) = (cables(&topology), cables(&without));
        let pair = before[removed].0.clone();
        let rest = before.iter().enumerate().filter(|(link, _)| *link != removed);
        for ((_, before), after) in rest.zip(&after) {
            // Parallels of it close ranks.
            if before.0 != pair {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn nobody_on_a_wire_shares_an_address((_, desired) in arbitrary::desired()) {
        for ns in desired.state.namespaces.values() {
            let (mut addresses, mut macs) = (HashSet::new(), HashSet::new());
            // A segment: all peers of its ports are on one wire.
            if !desired.segments.values().any(|name| desired.state.namespaces[name] == *ns) {
                continue;
            }
            for port in ns.interfaces.values() {
                let Kind::Veth { peer: Some(peer) } = &port.kind else { continue };
                let far = &desired.state.namespaces[&peer.ns].interfaces[&peer.name];
                prop_assert!(macs.insert(far.mac));
                for address in &far.addresses {
                    prop_assert!(addresses.insert(address.net.addr()));
                }
            }
        }
    }

    #[test]
    fn both_ends_of_a_veth_name_each_other((_, desired) in arbitrary::desired()) {
        for (ns, namespace) in &desired.state.namespaces {
            for (name, interface) in &namespace.interfaces {
                let Kind::Veth { peer } = &interface.kind else { continue };
                let peer = peer.as_ref().unwrap();
                let far = &desired.state.namespaces[&peer.ns].interfaces[&peer.name];
                let back = Kind::Veth { peer: Some(End { ns: ns.clone(), name: name.clone() }) };
                prop_assert_eq!(&far.kind, &back);
                prop_assert_ne!(far.mac, interface.mac);
            }
        }
    }

    #[test]
    fn next_hops_are_on_link((_, desired) in arbitrary::desired()) {
        for namespace in desired.state.namespaces.values() {
            for hop in namespace.routes.iter().flat_map(|route| &route.nexthops) {
                let interface = &namespace.interfaces[&hop.dev];
                prop_assert!(interface.up && interface.master.is_none());
                let Some(via) = hop.via else { continue };
                let held = interface.addresses.iter().any(|address| address.net.contains(&via));
                prop_assert_eq!(held, !hop.onlink);
                prop_assert!(owner(&desired, via).is_some());
            }
        }
    }

    #[test]
    fn automatic_routes_lead_to_their_targets((_, desired) in arbitrary::desired()) {
        let target_of = |route: &Route| {
            let full = route.dst.prefix_len() == route.dst.max_prefix_len();
            (full && route.kind == RouteKind::Unicast).then(|| route.dst.addr())
        };
        for (ns, namespace) in &desired.state.namespaces {
            for target in namespace.routes.iter().filter_map(target_of) {
                walk(&desired, ns, target, 0)?;
            }
        }
    }
}

/// Each link: the two places that it joins, in order, and the names of its two ends.
fn cables(topology: &Topology) -> Vec<([String; 2], [String; 2])> {
    let wiring = Wiring::of(topology);
    let ends = wiring.links.iter().map(|ends| ends.map(|end| wiring.at(end)));
    ends.map(|ends| {
        let mut places = [ends[0].node.to_string(), ends[1].node.to_string()];
        places.sort();
        (places, ends.map(|end| end.interface.to_string()))
    })
    .collect()
}

fn without_link(topology: &Topology, removed: usize) -> Option<Topology> {
    let mut lab = Topology::builder("lab").routing(topology.routing());
    for pool in topology.pools() {
        lab.push_pool(pool.clone());
    }
    let lab = topology.nodes().iter().cloned().fold(lab, TopologyBuilder::node);
    let lab = topology.segments().iter().cloned().fold(lab, TopologyBuilder::segment);
    let links = topology.links().iter().cloned().enumerate();
    let links = links.filter(|(link, _)| *link != removed).map(|(_, link)| link);
    links.fold(lab, TopologyBuilder::link).build().ok()
}

/// Returns the namespace that has an address.
fn owner(desired: &Desired, addr: IpAddr) -> Option<&NsName> {
    let has = |ns: &&NsName| {
        let mut interfaces = desired.state.namespaces[*ns].interfaces.values();
        interfaces.any(|i| i.addresses.iter().any(|address| address.net.addr() == addr))
    };
    desired.state.namespaces.keys().find(has)
}

/// Follows every next hop to a target, as the kernel would, until it is there: over nodes that
/// forward, and not in circles.
fn walk(desired: &Desired, ns: &NsName, target: IpAddr, hops: usize) -> Result<(), TestCaseError> {
    let namespace = &desired.state.namespaces[ns];
    let own = namespace.interfaces.values().flat_map(|interface| &interface.addresses);
    if own.clone().any(|address| address.net.addr() == target) {
        return Ok(());
    }
    prop_assert!(hops < desired.nodes.len(), "{} goes in circles", target);
    let mut interfaces = namespace.interfaces.values();
    let forwards = interfaces.any(|interface| interface.forward_ipv4 == Some(true));
    prop_assert!(hops == 0 || forwards, "{} is on the way to {}", ns, target);
    let connected = own.map(|address| (address.net.trunc(), None));
    let routed = namespace.routes.iter().map(|route| (route.dst, Some(route)));
    let fits = connected.chain(routed).filter(|(net, _)| net.contains(&target));
    let by_length: BTreeMap<u8, Option<&Route>> =
        fits.map(|(net, route): (IpNet, _)| (net.prefix_len(), route)).collect();
    let best = by_length.last_key_value().map(|(_, route)| *route);
    prop_assert!(best.is_some(), "{} knows no way to {}", ns, target);
    let Some(Some(route)) = best else { return Ok(()) };
    for hop in &route.nexthops {
        if let Some(next) = hop.via.and_then(|via| owner(desired, via)) {
            walk(desired, next, target, hops + 1)?;
        }
    }
    Ok(())
}
