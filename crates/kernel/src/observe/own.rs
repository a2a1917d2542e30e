//! Finds what is the lab's own although its name does not say so.

use std::collections::BTreeMap;

use vnet_model::kind::Hardware;
use vnet_model::{End, IfName, Interface, Kind, Mac, NsName, Owner, State};

use super::{Found, Scope};

/// Marks as the lab's own what it made and somebody renamed or moved, and the far ends of its veths.
pub(super) fn claim(found: &mut [Found], scope: Scope<'_>) {
    claim_pairs(found);
    claim_moved(found, scope);
}

/// A pair is made as one, so both its ends are the lab's where one is. (The other's hardware address
/// may be one that only a lost record says; or it is in the host, and was not marked yet.)
fn claim_pairs(found: &mut [Found]) {
    let mut ours = Vec::new();
    let at: BTreeMap<&NsName, usize> =
        found.iter().enumerate().map(|(at, found)| (&found.name, at)).collect();
    let host = found.iter().enumerate().filter(|(_, found)| found.name.is_host());
    let in_host =
        host.flat_map(|(at, found)| found.namespace.interfaces.iter().map(move |it| (at, it)));
    let in_host = in_host.filter(|(_, (_, interface))| is_strange(interface));
    for (index, (name, interface)) in strangers(found).chain(in_host) {
        let Some(End { ns, name: peer }) = interface.kind.peer() else { continue };
        let peer = at.get(ns).and_then(|at| found[*at].namespace.interfaces.get(peer));
        if peer.is_some_and(|peer| peer.ours) {
            ours.push((index, name.clone()));
        }
    }
    mark(found, ours);
}

fn mark(found: &mut [Found], ours: Vec<(usize, IfName)>) {
    for (at, name) in ours {
        if let Some(interface) = found[at].namespace.interfaces.get_mut(&name) {
            interface.ours = true;
        }
    }
}

/// Lists what is not known to be the lab's, with the index of where it is.
fn strangers(found: &[Found]) -> impl Iterator<Item = (usize, (&IfName, &Interface))> {
    let inside = found.iter().enumerate().filter(|(_, found)| !found.name.is_host());
    let all =
        inside.flat_map(|(at, found)| found.namespace.interfaces.iter().map(move |it| (at, it)));
    all.filter(|(_, (_, interface))| is_strange(interface))
}

fn is_strange(interface: &Interface) -> bool {
    !interface.ours && matches!(interface.kind, Kind::Veth { .. } | Kind::Device(_))
}

/// What has the kind and the hardware address of an interface that is not where it should be is that
/// interface. (While that one is there, another of its address stands on it, or is a person's copy.)
fn claim_moved(found: &mut [Found], scope: Scope<'_>) {
    let strangers: Vec<(usize, IfName, Mac, String)> = strangers(found)
        .filter_map(|(at, (name, interface))| {
            Some((at, name.clone(), interface.mac?, interface.kind.name().to_owned()))
        })
        .collect();
    if strangers.is_empty() {
        return;
    }
    let there: BTreeMap<&NsName, &Found> = found.iter().map(|found| (&found.name, found)).collect();
    let mut missing: Vec<(Mac, &str)> = Vec::new();
    for state in [scope.declared].into_iter().chain(scope.recorded.into_iter().flatten().copied()) {
        missing.extend(missing_of(state, &there));
    }
    let is_missing = |mac: Mac, kind: &str| missing.contains(&(mac, kind));
    let strangers = strangers.into_iter();
    let ours = strangers.filter(|(_, _, mac, kind)| is_missing(*mac, kind));
    let ours = ours.map(|(at, name, _, _)| (at, name)).collect();
    mark(found, ours);
}

/// Lists the hardware addresses and kinds of the interfaces of a state that are not there.
fn missing_of<'s>(state: &'s State, there: &BTreeMap<&NsName, &Found>) -> Vec<(Mac, &'s str)> {
    let mut missing = Vec::new();
    for (ns, known) in &state.namespaces {
        let Owner::Lab(mark) = &known.owner else { continue };
        for (name, interface) in &known.interfaces {
            let has_own = match &interface.kind {
                Kind::Veth { .. } => true,
                Kind::Device(device) if device.spec.is_pair() => device.has_own_mac(),
                Kind::Device(device) => device.spec.hardware == Hardware::Own,
                _ => false,
            };
            if !has_own {
                continue;
            }
            let mac = interface.mac.unwrap_or_else(|| Mac::derive(&mark.lab, &mark.node, name));
            let present = there.get(ns).and_then(|found| found.namespace.interfaces.get(name));
            let is_it =
                |it: &Interface| it.mac == Some(mac) && it.kind.name() == interface.kind.name();
            if !present.is_some_and(is_it) {
                missing.push((mac, interface.kind.name()));
            }
        }
    }
    missing
}
