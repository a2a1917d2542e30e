//! What is odd on the ways between nodes that work, and what drops packets on those that don't.

use std::collections::{BTreeMap, BTreeSet};

use vnet_model::state::MTU_DEFAULT_BYTES;
use vnet_model::{Address, End, Interface, Kind, Namespace, NsName, Origin, Route};

use super::Linter;
use crate::pairs::asymmetric;
use crate::travel::{Trip, travel};
use crate::walk::{Stop, Walked};
use crate::{By, Question, World, suggest};

/// Between so many nodes at most, by name, it is looked whether the way back is the way there.
const NODES_BOTH_WAYS_MAX: usize = 1_500;

/// From and to how many neighbours packets are followed through a narrow interface.
const NARROW_ENDS_MAX: usize = 4;

/// How many packets are followed at most to find where it gets narrower.
const NARROW_TRIES_MAX: usize = 4_000;

/// What was seen on ways so far, each thing once.
#[derive(Default)]
pub(super) struct Seen {
    /// Routes that drop what goes to a node.
    holes: BTreeMap<(NsName, Route), NsName>,
    /// Interfaces that take shorter packets only than one before them on a way, with that.
    narrow: BTreeMap<End, End>,
}

impl Seen {
    pub(super) fn note(&mut self, linter: &Linter<'_, '_>, trips: &[Trip], to: &NsName) {
        for trip in trips {
            if let Some(walked) = trip.failed()
                && let Some(Stop::Dropped(route)) = &walked.stop
            {
                let to = if trip.is_back() { &trip.forth.at } else { to };
                self.holes.entry((walked.at.clone(), route.clone())).or_insert(to.clone());
            }
            if trip.failed().is_none() {
                self.note_narrow(linter, &trip.forth);
            }
        }
    }

    fn note_narrow(&mut self, linter: &Linter<'_, '_>, walked: &Walked) {
        let out = walked.hops.iter().filter(|hop| matches!(hop.by, By::Connected | By::Route));
        let mtu = |end: &End| {
            linter.scene.end(end).and_then(|found| found.mtu).unwrap_or(MTU_DEFAULT_BYTES)
        };
        let mut ends =
            out.filter_map(|hop| Some(End { ns: hop.ns.clone(), name: hop.interface.clone()? }));
        let Some(first) = ends.next() else { return };
        if let Some(narrow) = ends.filter(|end| mtu(end) < mtu(&first)).min_by_key(mtu) {
            self.narrow.entry(narrow).or_insert(first);
        }
    }
}

impl Linter<'_, '_> {
    /// Finds the pairs whose only way there is not the way back, in a lab with many nodes.
    pub(super) fn asymmetric(&self, nodes: &[NsName]) -> BTreeSet<(NsName, NsName)> {
        let desired = self.desired;
        let nodes = &nodes[..nodes.len().min(NODES_BOTH_WAYS_MAX)];
        let to = nodes.iter().filter_map(|ns| {
            let first = super::asked_addresses(desired.state.namespaces.get(ns)?);
            Some((ns.clone(), first.first()?.net.addr()))
        });
        let to: Vec<_> = to.collect();
        let odd = asymmetric(&World::on_paper(desired), &to).unwrap_or_default();
        odd.into_iter().map(|(a, b)| (to[a].0.clone(), to[b].0.clone())).collect()
    }

    /// Looks for interfaces that take shorter packets than those by which packets come to their node, in a
    /// lab with many nodes: from each neighbour by such a one to the neighbours behind the narrow one.
    pub(super) fn narrow(&self, seen: &mut Seen) {
        let all = self.desired.state.namespaces.iter();
        let all = all.flat_map(|(ns, found)| found.interfaces.iter().map(move |it| (ns, it)));
        let mtu = |found: &Interface| found.mtu.unwrap_or(MTU_DEFAULT_BYTES);
        let links = || all.clone().filter(|(_, (_, found))| !matches!(found.kind, Kind::Loopback));
        let Some(most) = links().map(|(_, (_, found))| mtu(found)).max() else { return };
        let mut tries = NARROW_TRIES_MAX;
        let mut lines = BTreeSet::new();
        for (ns, (dev, interface)) in links().filter(|(_, (_, found))| mtu(found) < most) {
            // What one line of the file made is alike.
            if lines.contains(&interface.origin.index()) {
                continue;
            }
            let near = suggest::neighbours(self.scene, ns);
            let wide = |end: &End| self.scene.end(end).is_some_and(|it| mtu(it) > mtu(interface));
            let from = near.iter().filter(|(by, end)| by != dev && wide(end));
            for (_, from) in from.take(NARROW_ENDS_MAX) {
                let behind = near.iter().filter(|(by, end)| by == dev && end.ns != from.ns);
                for (_, to) in behind.take(NARROW_ENDS_MAX) {
                    let addresses = self.scene.end(to).map(|it| it.addresses.clone());
                    let usable = |address: &Address| !address.is_ipv6_link_local();
                    let Some(to_addr) = addresses.into_iter().flatten().find(usable) else {
                        continue;
                    };
                    if tries == 0 {
                        return;
                    }
                    tries -= 1;
                    let question = Question::new(from.ns.clone(), to_addr.net.addr());
                    let known = seen.narrow.len();
                    seen.note(self, &travel(self.scene, &question), &to.ns);
                    if seen.narrow.len() > known {
                        lines.insert(interface.origin.index());
                    }
                }
            }
        }
    }

    pub(super) fn ways(&mut self, seen: Seen) {
        for ((ns, route), to) in seen.holes {
            let (label, to) = (self.scene.label(&ns), self.scene.label(&to));
            let message = format!("`{route}` in {label} drops what goes to {to}");
            self.say("black-hole", route.origin, message);
        }
        // Of those that one line of the file made, one is named.
        let mut lines: BTreeMap<Option<usize>, Vec<(End, End)>> = BTreeMap::new();
        for (narrow, first) in seen.narrow {
            let line = self.scene.end(&narrow).and_then(|found| found.origin.index());
            lines.entry(line).or_default().push((narrow, first));
        }
        for mut all in lines.into_values() {
            let more = all.len() - 1;
            let (narrow, first) = all.swap_remove(0);
            let port = |end: &End| self.scene.port(&end.ns, &end.name);
            let mtu = |end: &End| {
                self.scene.end(end).and_then(|found| found.mtu).unwrap_or(MTU_DEFAULT_BYTES)
            };
            let more = match more {
                0 => String::new(),
                more => format!("; so it is at {more} more of the same line"),
            };
            let message = format!(
                "packets of {} bytes, as leave {}, do not fit {}, whose MTU is {}: they are cut or \
                 refused there{more}",
                mtu(&first),
                port(&first),
                port(&narrow),
                mtu(&narrow)
            );
            let origin = |end: &End| self.scene.end(end).map(|found| found.origin);
            let (at, other) = (origin(&narrow).unwrap_or_default(), origin(&first));
            let lint = self.say("mtu-shrinks", at, message);
            lint.related = other.map(|other| (other, "longer ones leave here".to_owned()));
            lint.hint =
                Some("let no filter drop ICMP, or give all links of the way one `mtu`".to_owned());
        }
    }

    /// Nodes and segments that nothing leads to.
    pub(super) fn unused(&mut self) {
        let desired = self.desired;
        let found = |ns: &NsName| desired.state.namespaces.get(ns);
        let mut unused: Vec<(String, Origin)> = Vec::new();
        // A lab of one node may well be no network.
        for (name, ns) in desired.nodes.iter().filter(|_| desired.nodes.len() > 1) {
            if let Some(found) = found(ns).filter(|found| found.interfaces.len() < 2) {
                unused.push((format!("no link leads to the node {name}"), found.origin));
            }
        }
        for (name, ns) in &desired.segments {
            let has_port = |found: &Namespace| {
                found.interfaces.values().any(|interface| interface.master.is_some())
            };
            if let Some(found) = found(ns).filter(|found| !has_port(found)) {
                unused.push((format!("the segment {name} has no members"), found.origin));
            }
        }
        for (message, origin) in unused {
            let lint = self.say("unused-object", origin, message);
            lint.hint = Some("link it, or remove it".to_owned());
        }
    }
}
