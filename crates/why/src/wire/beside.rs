//! Several interfaces on one wire, and one on several: macvlans, ipvlans, bonds.

use vnet_model::facts::Apart;
use vnet_model::kind::Value;
use vnet_model::{End, IfName};

use super::{Block, Domain, Search, Station, shares};
use crate::scene::Scene;

/// `BOND_MODE_ACTIVEBACKUP` (linux/if_bonding.h).
const ACTIVE_BACKUP: u64 = 1;

/// `MACVLAN_MODE_…` (linux/if_link.h).
pub(crate) const BRIDGE: u64 = 4;
pub(super) const PRIVATE: u64 = 1;
pub(super) const VEPA: u64 = 2;
const PASSTHRU: u64 = 8;

/// `IPVLAN_MODE_…` (linux/if_link.h).
pub(crate) const IPVLAN_L2: u64 = 0;
pub(crate) const IPVLAN_L3: u64 = 1;
pub(crate) const IPVLAN_L3S: u64 = 2;

/// The mode of an ipvlan, where it is known; what nobody chose is `l3` (`ipvlan_link_new`,
/// drivers/net/ipvlan/ipvlan_main.c).
pub(crate) fn ipvlan_mode(scene: &Scene<'_>, end: &End) -> Option<u64> {
    match scene.option(end, "mode") {
        Some(Value::Number(mode @ (IPVLAN_L2 | IPVLAN_L3 | IPVLAN_L3S))) => Some(*mode),
        None if scene.facts(&end.ns).is_none() => Some(IPVLAN_L3),
        _ => None,
    }
}

/// Tells whether what an ipvlan sends is routed in the namespace of the interface below.
pub(crate) fn is_routed_below(scene: &Scene<'_>, end: &End) -> bool {
    let is_ipvlan = scene.end(end).is_some_and(|found| found.kind.name() == "ipvlan");
    is_ipvlan
        && scene.below(end).is_some()
        && matches!(ipvlan_mode(scene, end), Some(IPVLAN_L3 | IPVLAN_L3S))
}

/// Whether one of two interfaces that stand on the same hears the other.
pub(super) enum Near {
    Heard,
    /// Not for sure.
    Doubt,
    Apart,
}

/// The mode of a macvlan, where it is one that is evaluated; what nobody chose is `vepa`
/// (`macvlan_common_newlink`, drivers/net/macvlan.c).
pub(crate) fn macvlan_mode(scene: &Scene<'_>, end: &End) -> Option<u64> {
    match scene.option(end, "mode") {
        Some(Value::Number(mode @ (PRIVATE | VEPA | BRIDGE | PASSTHRU))) => Some(*mode),
        None if scene.facts(&end.ns).is_none() => Some(VEPA),
        _ => None,
    }
}

pub(super) fn is_macvlan(scene: &Scene<'_>, end: &End) -> bool {
    scene.end(end).is_some_and(|found| found.kind.name() == "macvlan")
}

impl Search<'_, '_> {
    /// Sends by the interface whose wire this one shares, and to what is next to it there. What is in
    /// the same namespace is not asked.
    pub(super) fn send_beside(&mut self, at: Station, lower: End) {
        let up = self.scene.end(&at.end).is_some_and(|interface| interface.up);
        let down = Block::Down(at.end.clone());
        let Some(mut at) = self.pass(at, (!up).then_some(down)) else { return };
        for upper in self.elsewhere(&lower, &at.end) {
            match self.near(&at.end, &upper) {
                Near::Apart => self.note_apart_from(&at, upper),
                heard => {
                    let mut next = at.clone();
                    if matches!(heard, Near::Doubt) || !self.is_up(&lower) {
                        let text = "stand on one interface, and may not reach each other";
                        let names = [self.label(&at.end), self.label(&upper)].join(" and ");
                        next.unsure.push((None, format!("{names} {text}")));
                    }
                    next.end = upper;
                    self.push_upper(next);
                }
            }
        }
        self.note_apart_from(&at, lower.clone());
        at.sent_by = Some((at.end, lower.clone()));
        at.end = lower;
        self.send(at);
    }

    /// Lists what else stands on an interface, in other namespaces than what sends by it.
    fn elsewhere(&self, lower: &End, sender: &End) -> Vec<End> {
        let all = self.scene.uppers(lower).into_iter();
        all.filter(|it| it.ns != sender.ns && shares(self.scene, it).is_some()).collect()
    }

    /// Tells whether one interface hears what another on the same sends, without any switch
    /// (`macvlan_queue_xmit`, drivers/net/macvlan.c; `ipvlan_xmit_mode_l2`,
    /// drivers/net/ipvlan/ipvlan_core.c).
    fn near(&self, sender: &End, other: &End) -> Near {
        if !is_macvlan(self.scene, sender) {
            // What asks is heard all the same, but not what answers.
            return match self.scene.apart(sender) {
                None => Near::Heard,
                Some(Apart::Private | Apart::Vepa) => Near::Apart,
                Some(Apart::Other) => Near::Doubt,
            };
        }
        match [sender, other].map(|end| macvlan_mode(self.scene, end)) {
            [Some(BRIDGE), Some(BRIDGE)] => Near::Heard,
            [Some(_), Some(_)] => Near::Apart,
            _ => Near::Doubt,
        }
    }

    /// Notes that what stands on the sender does not hear it.
    pub(super) fn note_apart(&mut self, at: &Station) {
        for upper in self.elsewhere(&at.end, &at.end) {
            self.note_apart_from(at, upper);
        }
        let mut routed = self.scene.uppers(&at.end);
        routed.retain(|upper| upper.ns != at.end.ns);
        self.note_routed(at, &routed);
    }

    fn note_apart_from(&mut self, at: &Station, other: End) {
        if self.through && other.ns != at.end.ns {
            let mut next = at.clone();
            next.blocks.push(Block::Beside(at.end.clone(), other.clone()));
            next.blocks.extend((!self.is_up(&other)).then(|| Block::PeerDown(other.clone())));
            next.end = other;
            self.apart.push(next);
        }
    }

    /// Notes what stands on an interface and does not hear what goes to all.
    fn note_routed(&mut self, at: &Station, uppers: &[End]) {
        if !self.through || at.returned.is_some() {
            return;
        }
        for upper in uppers.iter().filter(|upper| is_routed_below(self.scene, upper)) {
            let mut next = at.clone();
            next.blocks.push(Block::NoArp(upper.clone(), at.end.clone()));
            next.end = upper.clone();
            self.apart.push(next);
        }
    }

    fn is_up(&self, end: &End) -> bool {
        self.scene.end(end).is_some_and(|found| found.up)
    }

    /// Gives a frame to an interface that stands on another.
    fn push_upper(&mut self, mut at: Station) {
        self.comes_in(&mut at);
        let down = (!self.is_up(&at.end)).then(|| Block::PeerDown(at.end.clone()));
        if let Some(at) = self.pass(at, down) {
            self.push(at);
        }
    }

    /// Takes a frame in that is for the namespace, by the interface that it came to or by one that
    /// shares its wire. In mode `passthru` only that one does.
    pub(super) fn hear_beside(&mut self, at: Station) {
        let mut uppers = self.scene.uppers(&at.end);
        self.note_routed(&at, &uppers);
        uppers.retain(|it| shares(self.scene, it).is_some() && (self.is_up(it) || self.through));
        let takes_all =
            |it: &End| is_macvlan(self.scene, it) && macvlan_mode(self.scene, it) == Some(PASSTHRU);
        if !uppers.iter().any(takes_all)
            && let Some(at) = self.take_back(&at, None)
        {
            self.push(at);
        }
        for upper in uppers {
            let Some(mut next) = self.take_back(&at, Some(&upper)) else { continue };
            if is_macvlan(self.scene, &upper) && macvlan_mode(self.scene, &upper).is_none() {
                let text = "is a macvlan in a mode that is not evaluated";
                next.unsure.push((None, format!("{} {text}", self.label(&upper))));
            }
            next.end = upper;
            self.push_upper(next);
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
                    Some((known, times)) => {
                        *times += 1;
                        if !self.meets_the_same(known, &station) {
                            let text = "leads there by several ports, where filters may differ";
                            let text = format!("{}, a bond, {text}", self.label(&bond));
                            known.unsure.retain(|(_, other)| *other != text);
                            known.unsure.push((None, text));
                            known.trail.clear();
                        }
                    }
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
        let mut search = Search::new(self.scene, self.size_bytes, self.through, self.from.clone());
        search.queue.push_back(start);
        search.finish()
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
