//! Several interfaces on one wire, and one on several: macvlans, ipvlans, bonds.

use std::collections::{BTreeSet, VecDeque};

use vnet_model::kind::Value;
use vnet_model::{End, IfName};

use super::{Block, Domain, MACVLAN_PASSTHRU, Search, Station, shares};

/// `BOND_MODE_ACTIVEBACKUP` (linux/if_bonding.h).
const ACTIVE_BACKUP: u64 = 1;

impl Search<'_, '_> {
    /// Sends by the interface whose wire this one shares. What is next to it there is in the same
    /// namespace, and so is not asked.
    pub(super) fn send_beside(&mut self, at: Station, lower: IfName) {
        let up = self.scene.end(&at.end).is_some_and(|interface| interface.up);
        let down = Block::Down(at.end.clone());
        let Some(mut at) = self.pass(at, (!up).then_some(down)) else { return };
        at.end.name = lower;
        self.send(at);
    }

    /// Takes a frame in that is for the namespace, by the interface that it came to or by one that
    /// shares its wire. In mode `passthru` only that one does.
    pub(super) fn hear_beside(&mut self, at: Station) {
        let Some(namespace) = self.scene.ns(&at.end.ns) else { return };
        let end = |name: &IfName| End { ns: at.end.ns.clone(), name: name.clone() };
        let ups: Vec<End> = namespace
            .interfaces
            .iter()
            .map(|(name, found)| (end(name), found.up))
            .filter(|(it, _)| shares(self.scene, it).as_ref() == Some(&at.end.name))
            .filter_map(|(it, up)| (up || self.through).then_some(it))
            .collect();
        let takes_all = |it: &End| {
            self.scene.end(it).is_some_and(|found| found.kind.name() == "macvlan")
                && self.scene.option(it, "mode") == Some(&Value::Number(MACVLAN_PASSTHRU))
        };
        if !ups.iter().any(takes_all) {
            self.found.stations.push(at.clone());
        }
        for it in ups {
            let up = self.scene.end(&it).is_some_and(|found| found.up);
            let down = (!up).then(|| Block::PeerDown(it.clone()));
            if let Some(at) = self.pass(Station { end: it, ..at.clone() }, down) {
                self.found.stations.push(at);
            }
        }
    }

    /// Sends by one of the ports of a bond, of which it is not known by which: who does not hear it
    /// by each of them is in doubt.
    pub(super) fn send_by_bond(&mut self, at: Station) {
        let up = self.scene.end(&at.end).is_some_and(|interface| interface.up);
        let bond = at.end.clone();
        let Some(at) = self.pass(at, (!up).then(|| Block::Down(bond.clone()))) else { return };
        let port = |name: IfName| End { ns: bond.ns.clone(), name };
        let all: Vec<End> = self.scene.ports(&bond.ns, &bond.name).into_iter().map(port).collect();
        let good: Vec<End> = all.iter().filter(|port| self.has_carrier(port)).cloned().collect();
        let used = if good.is_empty() { all } else { good };
        let mut merged: Vec<(Station, usize)> = Vec::new();
        for port in &used {
            let found = self.heard_by(Station { end: port.clone(), ..at.clone() });
            self.found.unknown.extend(found.unknown);
            for station in found.stations {
                match merged.iter_mut().find(|(known, _)| known.end == station.end) {
                    Some((_, times)) => *times += 1,
                    None => merged.push((station, 1)),
                }
            }
        }
        for (mut station, times) in merged {
            if times < used.len() {
                let label = self.label(&bond);
                let text = format!("{label}, a bond, leads there only by some of its ports");
                station.unsure.push((None, text));
            }
            self.found.stations.push(station);
        }
    }

    /// Looks who hears what a port of a bond sends.
    fn heard_by(&self, start: Station) -> Domain {
        let mut search = Search {
            scene: self.scene,
            size_bytes: self.size_bytes,
            through: self.through,
            seen: BTreeSet::new(),
            queue: VecDeque::from([start]),
            found: Domain::default(),
        };
        while let Some(sender) = search.queue.pop_front() {
            search.send(sender);
        }
        search.found
    }

    /// Tells whether both ends of a cable are up.
    fn has_carrier(&self, end: &End) -> bool {
        self.scene.end(end).is_some_and(|it| {
            let far = it.kind.peer().and_then(|far| self.scene.end(far));
            it.up && far.is_some_and(|far| far.up)
        })
    }

    /// Gives a bond what one of its ports has heard. One that waits (`active-backup`) drops it, and
    /// which that is is not known: a bridge learns it, but not who sends by a cable.
    pub(super) fn take_in_by_bond(&mut self, at: Station, bond: End) {
        let up = self.scene.end(&bond).is_some_and(|found| found.up);
        let down = (!up).then(|| Block::PeerDown(bond.clone()));
        let Some(mut at) = self.pass(at, down) else { return };
        let ports = self.scene.ports(&bond.ns, &bond.name);
        let ports = ports.into_iter().map(|name| End { ns: bond.ns.clone(), name });
        let waits = self.scene.option(&bond, "mode") == Some(&Value::Number(ACTIVE_BACKUP))
            && ports.filter(|port| self.has_carrier(port)).count() > 1;
        if waits && at.ports.is_empty() {
            let text =
                format!("{} has a port that waits, and drops what comes in", self.label(&bond));
            at.unsure.push((None, text));
        }
        at.end = bond;
        self.take_in(at);
    }
}
