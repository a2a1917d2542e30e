//! A part of a lab: some of its namespaces, read again without the others.

use std::collections::BTreeSet;

use vnet_kernel::Observed;
use vnet_model::{IfName, Kind, NsName, State};

/// Returns these namespaces with all that veths lead to from them, in any of the states.
pub(super) fn with_neighbours(names: &BTreeSet<NsName>, states: &[&State]) -> BTreeSet<NsName> {
    let mut all = names.clone();
    for state in states {
        let here = names.iter().filter_map(|name| state.namespaces.get(name));
        let kinds = here.flat_map(|ns| ns.interfaces.values()).map(|interface| &interface.kind);
        all.extend(kinds.filter_map(|kind| match kind {
            Kind::Veth { peer: Some(peer) } => Some(peer.ns.clone()),
            _ => None,
        }));
    }
    all
}

/// Takes what was found of some namespaces in the place of what was known of them.
pub(super) fn take(known: &mut Observed, names: &BTreeSet<NsName>, mut found: Observed) {
    for ns in found.state.namespaces.keys().cloned().collect::<Vec<_>>() {
        complete(known, names, &mut found, &ns);
    }
    for name in names {
        known.state.namespaces.remove(name);
        known.indexes.remove(name);
    }
    known.state.namespaces.append(&mut found.state.namespaces);
    known.indexes.append(&mut found.indexes);
}

/// Tells where veths lead that go beyond the part: to where they did, since nothing has changed
/// there. A veth that was made again has another index.
fn complete(known: &Observed, names: &BTreeSet<NsName>, found: &mut Observed, ns: &NsName) {
    let index = |observed: &Observed, name: &IfName| observed.indexes.get(ns)?.get(name);
    let Some(before) = known.state.namespaces.get(ns) else { return };
    let same: Vec<(IfName, Kind)> = before
        .interfaces
        .iter()
        .filter(|(name, _)| index(known, name) == index(found, name))
        .filter_map(|(name, interface)| match &interface.kind {
            kind @ Kind::Veth { peer: Some(peer) } if !names.contains(&peer.ns) => {
                Some((name.clone(), kind.clone()))
            }
            _ => None,
        })
        .collect();
    let Some(now) = found.state.namespaces.get_mut(ns) else { return };
    for (name, kind) in same {
        let there = now.interfaces.get_mut(&name);
        if let Some(interface) = there.filter(|i| i.kind == Kind::Veth { peer: None }) {
            interface.kind = kind;
        }
    }
}

/// Returns the namespaces of the part alone.
pub(super) fn only(observed: &Observed, names: &BTreeSet<NsName>) -> Observed {
    let indexes = names.iter().filter_map(|name| observed.indexes.get_key_value(name));
    Observed {
        state: observed.state.only(names),
        indexes: indexes.map(|(name, indexes)| (name.clone(), indexes.clone())).collect(),
    }
}
