//! Namespaces that are none of a lab's, looked at beside it.

use std::collections::{BTreeMap, BTreeSet};

use vnet_kernel::observe::observe_whole;
use vnet_kernel::{Error as KernelError, Realm};
use vnet_model::snapshot::SYSCTLS;
use vnet_model::{LabName, Mark, Namespace, NodeName, NsName, Owner, State};

use crate::error::Error;

/// Tells whether a namespace is meant by what was typed.
pub(super) fn is_called(ns: &NsName, text: &str) -> bool {
    match ns.process() {
        Some(pid) => text == pid.to_string(),
        None if ns.is_host() => text == "host",
        None => text == ns.as_str(),
    }
}

/// Reads namespaces into a state, and which links of those that are in it lead there.
pub(super) fn add(
    realm: &Realm,
    lab: &LabName,
    state: &mut State,
    others: &[NsName],
) -> Result<(), Error> {
    let all: BTreeSet<&NsName> = state.namespaces.keys().chain(others).collect();
    let named = |(number, ns): (usize, &&NsName)| {
        let node = NodeName::new(&format!("n{number}")).ok()?;
        Some(((*ns).clone(), Mark { lab: lab.clone(), node }))
    };
    let marks: BTreeMap<NsName, Mark> = all.iter().enumerate().filter_map(named).collect();
    let whole = observe_whole(realm, &marks, &SYSCTLS)?.state;
    for (name, mut found) in whole.namespaces {
        match state.namespaces.get_mut(&name).filter(|_| !others.contains(&name)) {
            Some(known) => connect(known, &found),
            None => {
                // It is nobody's, whatever it was read as; the lab's own tables in the host stay known.
                found.owner = Owner::Foreign;
                if let Some(known) = state.namespaces.get(&name) {
                    found.tables.clone_from(&known.tables);
                }
                state.namespaces.insert(name, found);
            }
        }
    }
    match others.iter().find(|name| !state.namespaces.contains_key(*name)) {
        Some(gone) => Err(KernelError::Gone { ns: gone.clone() }.into()),
        None => Ok(()),
    }
}

/// Takes over where links lead that led to a place that was not looked at.
fn connect(known: &mut Namespace, found: &Namespace) {
    for (name, interface) in known.interfaces.iter_mut() {
        if let Some(found) = found.interfaces.get(name) {
            interface.kind.lead_as(&found.kind);
        }
    }
}
