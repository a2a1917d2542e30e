//! Which interfaces hear each other: a link, or segments and bridges that links join, each VLAN by
//! itself.

use std::collections::HashMap;

use crate::kind;
use crate::topology::wiring::{Lane, PlaceKind, Wiring};
use crate::topology::{SegmentKind, Topology};

/// The broadcast domains of a topology.
#[derive(Debug)]
pub(super) struct Domains {
    /// The domain of each interface; one that has no wire is a domain by itself.
    pub(super) of: Vec<usize>,
    /// The interfaces in each domain that can have a conversation there: those of nodes which are
    /// not ports of a bridge, bridges themselves among them.
    pub(super) stations: Vec<Vec<usize>>,
    /// What it costs `routing: auto` to cross each: the most that one of its links or segments does.
    pub(super) costs: Vec<u32>,
}

/// What it costs to cross a tunnel: more than any way that its own packets may take, so that one is used
/// where it is the only way, or where its file says that it costs less.
const TUNNEL_COST: u32 = 1000;

impl Domains {
    pub(super) fn of(topology: &Topology, wiring: &Wiring<'_>) -> Self {
        let mut sets = Sets::new(wiring.interfaces.len());
        for ends in wiring.links.iter().chain(wiring.members.iter().flatten()) {
            for [a, b] in wiring.lanes(*ends) {
                let (a, b) = (sets.element(a), sets.element(b));
                sets.join(a, b);
            }
        }
        for id in 0..wiring.interfaces.len() {
            let lane = sets.element(wiring.untagged(id));
            sets.join(id, lane);
        }

        for (segment, ends) in topology.segments().iter().zip(&wiring.other_ends) {
            let is_tunnel = segment.kind != SegmentKind::Bridge;
            if let (true, [first, rest @ ..]) = (is_tunnel, ends.as_slice()) {
                rest.iter().for_each(|end| sets.join(*first, *end));
            }
        }
        join_uppers(wiring, &mut sets);

        let mut numbers = HashMap::new();
        let mut of = Vec::with_capacity(wiring.interfaces.len());
        let mut stations: Vec<Vec<usize>> = Vec::new();
        for (id, wired) in wiring.interfaces.iter().enumerate() {
            let domain = *numbers.entry(sets.root(id)).or_insert(stations.len());
            if domain == stations.len() {
                stations.push(Vec::new());
            }
            of.push(domain);
            let place = wiring.places[wired.place].kind;
            let in_node = matches!(place, PlaceKind::Node(_) | PlaceKind::Host);
            if in_node && !wiring.is_wire(id) && !wired.is_loopback() {
                stations[domain].push(id);
            }
        }

        let mut costs = vec![1; stations.len()];
        let links = wiring.links.iter().zip(topology.links());
        let links = links.filter(|(ends, _)| wiring.interfaces[ends[0]].carried.has_untagged());
        let links = links
            .map(|(ends, link)| (ends[0], link.cost.or(link.tunnel.as_ref().map(|_| TUNNEL_COST))));
        let segments = topology.segments().iter().enumerate().flat_map(|(index, segment)| {
            let cost = match &segment.kind {
                SegmentKind::Bridge => segment.cost,
                SegmentKind::Vxlan(_) | SegmentKind::Wireguard { .. } => {
                    segment.cost.or(Some(TUNNEL_COST))
                }
            };
            wiring.ends_of(index).into_iter().map(move |end| (end, cost))
        });
        for (end, cost) in links.chain(segments) {
            let domain = of[end];
            costs[domain] = costs[domain].max(cost.unwrap_or(1));
        }
        Self { of, stations, costs }
    }
}

/// Puts what stands on other interfaces where it is heard: a macvlan on the wire below it, a VLAN
/// with its like on the same wire.
fn join_uppers(wiring: &Wiring<'_>, sets: &mut Sets) {
    let uppers: Vec<_> = wiring
        .interfaces
        .iter()
        .enumerate()
        .filter_map(|(id, wired)| {
            let device = wired.device?;
            Some((id, device, wiring.interface(wired.place, device.lower.as_ref()?)?))
        })
        .collect();
    for (id, ..) in &uppers {
        if let Some(lane) = wiring.below(*id) {
            let lane = sets.element(lane);
            sets.join(*id, lane);
        }
    }
    for (id, _, lower) in uppers.iter().filter(|(_, device, _)| *device.spec != kind::VLAN) {
        sets.join(*id, *lower);
    }
    // What stands on one interface of the host hears each other, as in a node.
    let mut first = HashMap::new();
    for (id, wired) in wiring.interfaces.iter().enumerate() {
        let Some(device) = wired.device else { continue };
        let Some(lower) = &device.host_lower else { continue };
        let vlan = (*device.spec == kind::VLAN)
            .then(|| ["protocol", "id"].map(|word| device.options.get(word)));
        sets.join(*first.entry((lower, vlan)).or_insert(id), id);
    }
    // A VLAN may be a port of a bridge on which there are VLANs again: until nothing changes.
    let mut joined = true;
    while std::mem::take(&mut joined) {
        let mut first = HashMap::new();
        for (id, device, lower) in uppers.iter().filter(|(_, d, _)| *d.spec == kind::VLAN) {
            // Of a bridge that keeps VLANs apart only those that it is in are heard.
            if wiring.filters(*lower) {
                continue;
            }
            let options = ["protocol", "id"].map(|word| device.options.get(word));
            let other = *first.entry((sets.root(*lower), options)).or_insert(*id);
            joined |= sets.root(other) != sets.root(*id);
            sets.join(other, *id);
        }
    }
}

/// Sets of interfaces and VLANs of bridges, joined step by step (union-find with path halving).
struct Sets {
    /// Each element's way to the one that stands for its set. First come the interfaces.
    up: Vec<usize>,
    /// The elements that are a VLAN of a bridge.
    vlans: HashMap<Lane, usize>,
}

impl Sets {
    fn new(interfaces: usize) -> Self {
        Self { up: (0..interfaces).collect(), vlans: HashMap::new() }
    }

    fn element(&mut self, lane: Lane) -> usize {
        if let Lane::Interface(id) = lane {
            return id;
        }
        *self.vlans.entry(lane).or_insert_with(|| {
            self.up.push(self.up.len());
            self.up.len() - 1
        })
    }

    fn root(&mut self, mut id: usize) -> usize {
        while self.up[id] != id {
            self.up[id] = self.up[self.up[id]];
            id = self.up[id];
        }
        id
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.up[a.max(b)] = a.min(b);
    }
}
