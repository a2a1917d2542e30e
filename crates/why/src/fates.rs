//! Routing decisions on a packet's ways, as questions that the kernel can be asked too.

use std::collections::BTreeSet;

use vnet_model::facts::{Fate, Lookup};

use crate::Routed;
use crate::fib::Decision;
use crate::scene::Scene;
use crate::travel::Trip;
use crate::walk::{Decided, Stop, Walked};

/// Lists the routing decisions on all ways, each once.
pub(crate) fn of(scene: &Scene<'_>, trips: &[Trip]) -> Vec<Routed> {
    let mut all: Vec<Routed> = Vec::new();
    for walked in trips.iter().flat_map(|trip| [Some(&trip.forth), trip.back.as_ref()]).flatten() {
        for (at, decided) in walked.decisions.iter().enumerate() {
            let is_last = at + 1 == walked.decisions.len();
            let Some(mut routed) = routed(scene, decided) else { continue };
            if is_last && refuses_too(walked, decided) {
                routed.fates.insert(Fate::Refused);
            }
            match all.iter_mut().find(|other| other.lookup == routed.lookup) {
                Some(other) => other.fates.extend(routed.fates),
                None => all.push(routed),
            }
        }
    }
    all
}

/// Tells whether the kernel answers a question about this decision with what stopped the packet after
/// it: it checks sources and forwarding too (`ip_route_input_slow`, net/ipv4/route.c).
fn refuses_too(walked: &Walked, decided: &Decided) -> bool {
    let checks = match &walked.stop {
        Some(Stop::Filtered(_) | Stop::NotForwarded(_) | Stop::Martian(_) | Stop::Loopback(_)) => {
            true
        }
        // Where it goes round, the way here was not checked.
        Some(Stop::Loop(_)) => true,
        _ => false,
    };
    checks && walked.at == decided.ns
}

fn routed(scene: &Scene<'_>, decided: &Decided) -> Option<Routed> {
    let Decided { ns, packet, decision } = decided;
    // What a VRF passes on looks like the namespace's own, but has another's source, of which the
    // kernel takes no question.
    let is_asked = |src: &std::net::IpAddr| packet.iif.is_some() || scene.owns(ns, *src);
    let lookup = Lookup {
        ns: ns.clone(),
        src: packet.src.filter(is_asked),
        dst: packet.dst,
        iif: packet.iif.clone(),
        vrf: packet.link.clone().or_else(|| packet.vrf.clone()),
        mark: Some(packet.mark?),
        protocol: Some(packet.protocol?),
        sport: packet.sport,
        dport: packet.dport,
    };
    let fates = match decision {
        Decision::Local => BTreeSet::from([Fate::Local]),
        Decision::Broadcast { .. } => BTreeSet::from([Fate::All]),
        Decision::Via { legs, .. } => {
            let leaves = legs.iter().map(|leg| Fate::Leaves { dev: leg.dev.clone(), via: leg.via });
            leaves.collect()
        }
        Decision::Dropped { .. } | Decision::Refused { .. } | Decision::None => {
            BTreeSet::from([Fate::Refused])
        }
        Decision::Untold { .. } => return None,
    };
    Some(Routed { lookup, fates })
}
