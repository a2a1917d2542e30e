//! Finds loops of bridges, in which one broadcast frame would circle for ever.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::Topology;
use super::wiring::{Made, Wiring};
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};

/// Finds the loops in which no bridge runs the spanning tree protocol.
///
/// One that does breaks the loop for all: the others pass its frames on (`br_handle_frame`,
/// net/bridge/br_input.c), so it hears itself and blocks a port.
pub(super) fn problems(topology: &Topology, wiring: &Wiring<'_>) -> Vec<Problem> {
    let cables = wiring.links.iter().zip(topology.links()).map(|(ends, link)| (*ends, link.origin));
    let members = wiring.members.iter().flatten();
    let cables = cables.chain(members.map(|ends| (*ends, wiring.interfaces[ends[0]].origin)));

    let mut forest = Forest::default();
    let mut problems = Vec::new();
    for ([a, b], origin) in cables {
        let bridge = |end: usize| {
            let master = wiring.interfaces[end].master?;
            wiring.interfaces[master].is_bridge().then_some(master)
        };
        let bridges = [a, b].map(bridge);
        let [Some(a), Some(b)] = bridges else { continue };
        match (a == b, wiring.interfaces[a].made) {
            (true, Made::SegmentBridge(index)) => {
                let segment = topology.segments()[index].name.clone();
                problems.push(Problem::new(ProblemKind::SegmentToItself { segment }, origin));
            }
            _ if [a, b].iter().any(|&bridge| runs_stp(topology, wiring, bridge)) => {}
            _ => problems.extend(forest.close(wiring, [a, b], origin)),
        }
    }
    problems
}

fn runs_stp(topology: &Topology, wiring: &Wiring<'_>, bridge: usize) -> bool {
    match wiring.interfaces[bridge].made {
        Made::SegmentBridge(index) => topology.segments()[index].stp,
        _ => wiring.interfaces[bridge].device.is_some_and(|device| device.is_on("stp_state")),
    }
}

/// Names a bridge as people know it: a segment, or `node:bridge`.
pub(super) fn bridge_name(wiring: &Wiring<'_>, bridge: usize) -> String {
    let wired = &wiring.interfaces[bridge];
    match wired.made {
        Made::SegmentBridge(_) => wiring.places[wired.place].name.to_string(),
        _ => wiring.at(bridge).to_string(),
    }
}

/// The cables between bridges so far, without those that closed a loop.
#[derive(Debug, Default)]
struct Forest {
    /// For each bridge its neighbours, each with what asked for the cable.
    neighbours: HashMap<usize, Vec<(usize, Origin)>>,
    /// Each bridge's way to the one that stands for its tree (union-find).
    trees: HashMap<usize, usize>,
}

impl Forest {
    /// Adds a cable between two bridges, or says which loop it closes.
    fn close(
        &mut self,
        wiring: &Wiring<'_>,
        [a, b]: [usize; 2],
        origin: Origin,
    ) -> Option<Problem> {
        let (tree_a, tree_b) = (self.tree(a), self.tree(b));
        if tree_a != tree_b {
            self.trees.insert(tree_a, tree_b);
            self.neighbours.entry(a).or_default().push((b, origin));
            self.neighbours.entry(b).or_default().push((a, origin));
            return None;
        }
        let path = self.path(a, b);
        let mut bridges: Vec<String> =
            path.iter().map(|&(bridge, _)| bridge_name(wiring, bridge)).collect();
        bridges.push(bridge_name(wiring, a));
        let mut problem = Problem::new(ProblemKind::BridgeLoop { bridges }, origin);
        for (_, origin) in path.into_iter().skip(1) {
            problem = problem.with(origin, "this is part of the loop");
        }
        Some(problem)
    }

    fn tree(&mut self, bridge: usize) -> usize {
        let mut root = bridge;
        while let Some(&up) = self.trees.get(&root) {
            root = up;
        }
        let mut next = bridge;
        while next != root {
            next = self.trees.insert(next, root).unwrap_or(root);
        }
        root
    }

    /// Finds the way from `a` to `b`, each bridge with the cable that leads there.
    fn path(&self, a: usize, b: usize) -> Vec<(usize, Origin)> {
        // Searched from the far end, so that following the steps back begins at `a`.
        let mut towards_b = HashMap::from([(b, (b, Origin::NONE))]);
        let mut queue = VecDeque::from([b]);
        while let Some(bridge) = queue.pop_front() {
            for &(next, origin) in self.neighbours.get(&bridge).into_iter().flatten() {
                if let Entry::Vacant(vacant) = towards_b.entry(next) {
                    vacant.insert((bridge, origin));
                    queue.push_back(next);
                }
            }
        }
        let mut path = vec![(a, Origin::NONE)];
        let mut here = a;
        while here != b {
            let (next, origin) = towards_b[&here];
            path.push((next, origin));
            here = next;
        }
        path
    }
}
