//! Forwarding entries that a node's `fdb:` says.

use std::collections::{BTreeMap, BTreeSet};

use super::network::Network;
use crate::kind::Value;
use crate::mac::Mac;
use crate::problem::{Problem, ProblemKind, TunnelProblem};
use crate::state::FdbEntry;
use crate::topology::StaticFdb;
use crate::topology::wiring::{Made, Wired};

/// Returns the entries of an interface that the file says.
pub(super) fn of(network: &Network<'_>, id: usize) -> BTreeSet<FdbEntry> {
    let wired = &network.wiring.interfaces[id];
    let Some(node) = network.node(wired.place) else { return BTreeSet::new() };
    let own = node.fdb.iter().filter(|spec| spec.dev == wired.name);
    // What the tunnel's `remote` says anyway.
    let remote = wired.device.and_then(|device| device.options.get("remote"));
    let is_remote = |entry: &FdbEntry| {
        entry.mac == Mac([0; 6])
            && remote.is_some_and(|it| entry.dst.map(Value::Ip).as_ref() == Some(it))
    };
    let own = own.filter(|spec| !is_remote(&spec.entry));
    own.map(|spec| FdbEntry { origin: spec.entry.origin.or(node.origin), ..spec.entry }).collect()
}

/// Finds entries of what has none, and two that say different things.
pub(super) fn check(network: &Network<'_>, problems: &mut Vec<Problem>) {
    for place in 0..network.wiring.places.len() {
        let Some(node) = network.node(place) else { continue };
        let mut first: BTreeMap<(usize, Mac, Option<u16>), &StaticFdb> = BTreeMap::new();
        for spec in &node.fdb {
            let origin = spec.entry.origin.or(node.origin);
            let table = match table(network, place, spec) {
                Ok(table) => table,
                Err(kind) => {
                    problems.push(Problem::new(kind, origin));
                    continue;
                }
            };
            // What goes to all stands beside others of its kind.
            if spec.entry.dst.is_some() && !spec.entry.mac.is_usable() {
                continue;
            }
            let key = (table, spec.entry.mac, spec.entry.vlan);
            if let Some(first) = first.insert(key, spec) {
                let kind = TunnelProblem::FdbTwice { mac: spec.entry.mac };
                let problem = Problem::new(kind, origin);
                problems.push(problem.with(first.entry.origin, "the first is here"));
            }
        }
    }
}

/// Returns whose table an entry is in: the tunnel, or the bridge that its interface is a port of.
fn table(network: &Network<'_>, place: usize, spec: &StaticFdb) -> Result<usize, ProblemKind> {
    let wiring = &network.wiring;
    let Some(id) = wiring.interface(place, &spec.dev) else {
        return Err(wiring.unknown_interface(place, &spec.dev));
    };
    let wired = &wiring.interfaces[id];
    let is_bridge = |master: &usize| {
        wiring.interfaces[*master].device.is_some_and(|device| device.spec.is_bridge())
    };
    match spec.entry.dst {
        Some(_) if is_vxlan(wired) => Ok(id),
        Some(_) => Err(TunnelProblem::NoFdb { at: wiring.at(id), dst: true }.into()),
        None => wired
            .master
            .filter(is_bridge)
            .ok_or_else(|| TunnelProblem::NoFdb { at: wiring.at(id), dst: false }.into()),
    }
}

fn is_vxlan(wired: &Wired<'_>) -> bool {
    match wired.device {
        Some(device) => device.spec.name == "vxlan",
        None => matches!(wired.made, Made::Tunnel(_)),
    }
}
