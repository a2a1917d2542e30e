//! What is odd on the ways between nodes that work, and what drops packets on those that don't.

use std::collections::BTreeMap;

use vnet_model::state::MTU_DEFAULT_BYTES;
use vnet_model::{End, Namespace, NsName, Origin, Route};

use super::Linter;
use crate::By;
use crate::travel::Trip;
use crate::walk::{Stop, Walked};

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
    pub(super) fn ways(&mut self, seen: Seen) {
        for ((ns, route), to) in seen.holes {
            let (label, to) = (self.scene.label(&ns), self.scene.label(&to));
            let message = format!("`{route}` in {label} drops what goes to {to}");
            self.say("black-hole", route.origin, message);
        }
        for (narrow, first) in seen.narrow {
            let port = |end: &End| self.scene.port(&end.ns, &end.name);
            let mtu = |end: &End| {
                self.scene.end(end).and_then(|found| found.mtu).unwrap_or(MTU_DEFAULT_BYTES)
            };
            let message = format!(
                "packets of {} bytes, as leave {}, do not fit {}, whose MTU is {}: they are cut or \
                 refused there",
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
