//! Which interfaces hear each other: a link, or segments and bridges that links join.

use std::collections::HashMap;

use crate::topology::Topology;
use crate::topology::wiring::{PlaceKind, Wiring};

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

impl Domains {
    pub(super) fn of(topology: &Topology, wiring: &Wiring<'_>) -> Self {
        let mut sets = Sets::new(wiring.interfaces.len());
        for [a, b] in wiring.links.iter().chain(wiring.members.iter().flatten()) {
            sets.join(*a, *b);
        }
        for (id, wired) in wiring.interfaces.iter().enumerate() {
            if let Some(master) = wired.master {
                sets.join(id, master);
            }
        }

        let mut numbers = HashMap::new();
        let mut of = Vec::with_capacity(wiring.interfaces.len());
        let mut stations: Vec<Vec<usize>> = Vec::new();
        for (id, wired) in wiring.interfaces.iter().enumerate() {
            let domain = *numbers.entry(sets.root(id)).or_insert(stations.len());
            if domain == stations.len() {
                stations.push(Vec::new());
            }
            of.push(domain);
            let in_node = matches!(wiring.places[wired.place].kind, PlaceKind::Node(_));
            if in_node && wired.master.is_none() && !wired.is_loopback() {
                stations[domain].push(id);
            }
        }

        let mut costs = vec![1; stations.len()];
        let links = wiring.links.iter().zip(topology.links()).map(|(ends, link)| (ends, link.cost));
        let segments = wiring.members.iter().zip(topology.segments());
        let segments = segments.filter_map(|(members, seg)| Some((members.first()?, seg.cost)));
        for (ends, cost) in links.chain(segments) {
            let domain = of[ends[0]];
            costs[domain] = costs[domain].max(cost.unwrap_or(1));
        }
        Self { of, stations, costs }
    }
}

/// Sets of interfaces, joined step by step (union-find with path halving).
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut id: usize) -> usize {
        while self.0[id] != id {
            self.0[id] = self.0[self.0[id]];
            id = self.0[id];
        }
        id
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
