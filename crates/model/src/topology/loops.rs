//! Finds loops of bridges, in which one broadcast frame would circle for ever.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::Topology;
use super::wiring::{Lane, Made, Wiring};
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};

/// Finds the loops that nothing breaks.
///
/// One bridge that runs the spanning tree protocol breaks a loop for all: the others pass its frames
/// on (`br_handle_frame`, net/bridge/br_input.c), so it hears itself and blocks a port. But those
/// frames have no tag, so they don't get over the trunks of a bridge that does not speak it.
pub(super) fn problems(topology: &Topology, wiring: &Wiring<'_>) -> Vec<Problem> {
    let cables = wiring.links.iter().zip(topology.links()).map(|(ends, link)| (*ends, link.origin));
    let members = wiring.members.iter().flatten();
    let cables = cables.chain(members.map(|ends| (*ends, wiring.interfaces[ends[0]].origin)));

    let runs_stp = |lane: &Lane| runs_stp(topology, wiring, lane.interface());
    let is_deaf = |lane: &Lane| matches!(lane, Lane::Vlan { .. }) && !runs_stp(lane);
    let mut without_stp = Forest::default();
    let mut all = Forest::default();
    let mut problems = Vec::new();
    for (ends, origin) in cables {
        if let Some(problem) = to_itself(topology, wiring, ends, origin) {
            problems.push(problem);
            continue;
        }
        // Each VLAN for itself; one loop a cable is enough to know of.
        let mut found = None;
        for lanes in wiring.lanes(ends) {
            if !lanes.iter().all(|lane| wiring.interfaces[lane.interface()].is_bridge()) {
                continue;
            }
            let path = all.close(lanes, origin).filter(|path| path.iter().any(|(l, _)| is_deaf(l)));
            let silent = !lanes.iter().any(runs_stp);
            let bare = silent.then(|| without_stp.close(lanes, origin)).flatten();
            found = found.or(bare.map(|path| (path, false))).or(path.map(|path| (path, true)));
        }
        problems.extend(found.map(|(path, is_deaf)| problem(wiring, path, is_deaf, origin)));
    }
    problems
}

/// Finds out whether a cable joins a segment with itself.
fn to_itself(
    topology: &Topology,
    wiring: &Wiring<'_>,
    ends: [usize; 2],
    origin: Origin,
) -> Option<Problem> {
    let [a, b] = ends.map(|end| wiring.interfaces[end].master);
    let made = wiring.interfaces[a.filter(|_| a == b)?].made;
    let Made::SegmentBridge(index) = made else { return None };
    let segment = topology.segments()[index].name.clone();
    Some(Problem::new(ProblemKind::SegmentToItself { segment }, origin))
}

/// Says which loop a cable closes.
fn problem(
    wiring: &Wiring<'_>,
    path: Vec<(Lane, Origin)>,
    is_deaf: bool,
    origin: Origin,
) -> Problem {
    let around = path.iter().chain(path.first());
    let bridges = around.map(|(lane, _)| bridge_name(wiring, lane.interface())).collect();
    let kind = match is_deaf {
        true => ProblemKind::DeafLoop { bridges },
        false => ProblemKind::BridgeLoop { bridges },
    };
    let mut problem = Problem::new(kind, origin);
    for (_, origin) in path.into_iter().skip(1) {
        problem = problem.with(origin, "this is part of the loop");
    }
    problem
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
    /// For each bridge, or VLAN of one, its neighbours, each with what asked for the cable.
    neighbours: HashMap<Lane, Vec<(Lane, Origin)>>,
    /// The way of each to the one that stands for its tree (union-find).
    trees: HashMap<Lane, Lane>,
}

impl Forest {
    /// Adds a cable between two bridges, or returns the way from one to the other that is there
    /// already.
    fn close(&mut self, [a, b]: [Lane; 2], origin: Origin) -> Option<Vec<(Lane, Origin)>> {
        let (tree_a, tree_b) = (self.tree(a), self.tree(b));
        if tree_a != tree_b {
            self.trees.insert(tree_a, tree_b);
            self.neighbours.entry(a).or_default().push((b, origin));
            self.neighbours.entry(b).or_default().push((a, origin));
            return None;
        }
        Some(self.path(a, b))
    }

    fn tree(&mut self, bridge: Lane) -> Lane {
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
    fn path(&self, a: Lane, b: Lane) -> Vec<(Lane, Origin)> {
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
