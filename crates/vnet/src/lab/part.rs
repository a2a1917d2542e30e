//! A part of a lab: some of its namespaces, read again without the others.

use std::collections::BTreeSet;

use vnet_kernel::Observed;
use vnet_model::{Change, IfName, Kind, Namespace, NewLink, NsName, State, Step};

/// Returns the namespaces in which steps do something.
pub(super) fn of_steps(steps: &[Step]) -> BTreeSet<NsName> {
    let own = steps.iter().map(|step| step.ns.clone());
    own.chain(other_ends(steps).cloned()).collect()
}

/// Returns the namespaces of the other ends of the veths that steps make.
pub(super) fn other_ends(steps: &[Step]) -> impl Iterator<Item = &NsName> {
    steps.iter().filter_map(|step| match &step.change {
        Change::AddLink { link: NewLink::Pair { peer, .. }, .. } => Some(&peer.end.ns),
        _ => None,
    })
}

/// Returns these namespaces with all that interfaces lead to from them, in any of the states, and with
/// all that have WireGuard devices if one of them has: these know their peers by their keys, and
/// whose a key is shows only where its owner is read too.
pub(super) fn with_neighbours(names: &BTreeSet<NsName>, states: &[&State]) -> BTreeSet<NsName> {
    let mut all = names.clone();
    for state in states {
        let here = names.iter().filter_map(|name| state.namespaces.get(name));
        let here = here.flat_map(|ns| ns.interfaces.values());
        let kinds = here.clone().map(|interface| &interface.kind);
        all.extend(kinds.filter_map(Kind::leads_to));
        if here.into_iter().any(|interface| interface.wireguard.is_some()) {
            let has_one = |ns: &Namespace| ns.interfaces.values().any(|i| i.wireguard.is_some());
            let others = state.namespaces.iter().filter(|(_, ns)| has_one(ns));
            all.extend(others.map(|(name, _)| name.clone()));
        }
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

/// Tells where interfaces lead that go beyond the part: to where they did, since nothing has changed
/// there. One that was made again has another index.
fn complete(known: &Observed, names: &BTreeSet<NsName>, found: &mut Observed, ns: &NsName) {
    let index = |observed: &Observed, name: &IfName| observed.indexes.get(ns)?.get(name);
    let Some(before) = known.state.namespaces.get(ns) else { return };
    let same: Vec<(IfName, Kind)> = before
        .interfaces
        .iter()
        .filter(|(name, _)| index(known, name) == index(found, name))
        .filter(|(_, interface)| interface.kind.leads_to().is_some_and(|to| !names.contains(&to)))
        .map(|(name, interface)| (name.clone(), interface.kind.clone()))
        .collect();
    let Some(now) = found.state.namespaces.get_mut(ns) else { return };
    for (name, kind) in same {
        if let Some(interface) = now.interfaces.get_mut(&name) {
            interface.kind.lead_as(&kind);
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
