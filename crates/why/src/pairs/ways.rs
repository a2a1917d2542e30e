//! Ways there and back.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vnet_model::NsName;

use super::Net;
use crate::World;

/// How many namespaces a way may pass.
const PASSED_MAX: usize = 64;

/// Finds the pairs between which there is one way only, and one way back, which passes other namespaces. All
/// are asked by all at the address given.
///
/// `None` as for [`all_pairs`](super::all_pairs).
pub(crate) fn asymmetric(
    world: &World<'_>,
    all: &[(NsName, IpAddr)],
) -> Option<BTreeSet<(usize, usize)>> {
    let from: Vec<NsName> = all.iter().map(|(ns, _)| ns.clone()).collect();
    let mut net = Net::of(world, &from, all)?;
    let asked = net.to.clone();
    let mut odd = BTreeSet::new();
    for (number, &(from, _)) in asked.iter().enumerate() {
        for (other, &(to, goal)) in asked.iter().enumerate().skip(number + 1) {
            let Some(mut there) = net.way(from, goal) else { continue };
            let mut sources = Vec::new();
            net.all_sources(from, goal, |_, src| {
                sources.push(src);
                true
            });
            let [source] = sources[..] else { continue };
            let Some(back) = net.way(to, source) else { continue };
            there.reverse();
            if there != back {
                odd.insert((number, other));
            }
        }
    }
    Some(odd)
}

/// Finds, by their numbers, the addresses that are reached by somebody: each is given with whose it is and who
/// asks.
///
/// `None` as for [`all_pairs`](super::all_pairs).
pub(crate) fn reached(
    world: &World<'_>,
    asked: &[(NsName, IpAddr, Vec<NsName>)],
) -> Option<BTreeSet<usize>> {
    let to: Vec<(NsName, IpAddr)> = asked.iter().map(|(ns, addr, _)| (ns.clone(), *addr)).collect();
    let mut net = Net::of(world, &[], &to)?;
    let goals = net.to.clone();
    let mut found = BTreeSet::new();
    for (number, ((_, _, from), (to, goal))) in asked.iter().zip(goals).enumerate() {
        let from: Vec<usize> = from.iter().filter_map(|ns| net.number(ns)).collect();
        if from.into_iter().any(|from| net.is_well(from, to, goal)) {
            found.insert(number);
        }
    }
    Some(found)
}

impl Net<'_> {
    /// Follows the only way to an address; `None` where there is none, or several.
    fn way(&mut self, from: usize, goal: usize) -> Option<Vec<usize>> {
        let mut way = vec![from];
        let mut at = from;
        while !self.has(at, goal) {
            let decided = self.decide(at, goal);
            let [leg] = decided.legs.as_slice() else { return None };
            at = self.next(at, leg, goal)?;
            if way.len() > PASSED_MAX {
                return None;
            }
            way.push(at);
        }
        Some(way)
    }
}
