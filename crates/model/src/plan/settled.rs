//! What need not be planned, since it is as wanted: mostly nearly everything.
//!
//! The planner asks for each thing by namespace and name, which takes 30 µs a namespace; that nothing
//! differs is told by one walk through both, which takes 2.

use std::collections::BTreeSet;

use super::{can_become, wants_ipv6};
use crate::names::{LabName, NsName};
use crate::state::{Address, Interface, Kind, MTU_IPV6_MIN_BYTES, Namespace, Owner, State};

/// How far from a namespace that differs others are planned with it. What a step does reaches the
/// other ends of its links; one link more does no harm.
const REACH: usize = 2;

/// Returns the namespaces to which all that is to be done is confined; `None` where that can't be told,
/// or more than `most` of them differ.
pub(super) fn unsettled(
    lab: &LabName,
    target: &State,
    observed: &State,
    most: usize,
) -> Option<BTreeSet<NsName>> {
    // What stands on the host's interfaces follows them from afar.
    let host = NsName::host();
    if target.namespaces.contains_key(&host) || observed.namespaces.contains_key(&host) {
        return None;
    }
    let mut found = observed.namespaces.iter().peekable();
    let mut wanted = target.namespaces.iter().peekable();
    let mut differing = BTreeSet::new();
    // Both are sorted: side by side none is looked for.
    while let Some((name, of_both)) = next_of_both(&mut wanted, &mut found) {
        match of_both {
            (Some(wanted), Some(found)) if is_settled(lab, wanted, found) => {}
            (None, Some(found)) if found.owner.mark().is_none_or(|mark| mark.lab != *lab) => {}
            _ => drop(differing.insert(name.clone())),
        }
        if differing.len() > most {
            return None;
        }
    }
    let is_wireguard = |name: &NsName| {
        let both = [target, observed].into_iter().filter_map(|state| state.namespaces.get(name));
        both.flat_map(|ns| ns.interfaces.values()).any(|interface| interface.wireguard.is_some())
    };
    // Its peers may be anywhere.
    if differing.iter().any(is_wireguard) {
        return None;
    }
    Some(with_what_is_near(differing, &[target, observed]))
}

/// A namespace as it is wanted, and as it is there.
type Both<'s> = (Option<&'s Namespace>, Option<&'s Namespace>);

type Sorted<'s> = std::iter::Peekable<crate::state::namespaces::Iter<'s>>;

/// Returns the next name in either list, with what has it in each.
fn next_of_both<'s>(
    wanted: &mut Sorted<'s>,
    found: &mut Sorted<'s>,
) -> Option<(&'s NsName, Both<'s>)> {
    let first = match (wanted.peek(), found.peek()) {
        (Some((wanted, _)), Some((found, _))) => (*wanted).min(*found),
        (Some((name, _)), None) | (None, Some((name, _))) => *name,
        (None, None) => return None,
    };
    let of_wanted = wanted.next_if(|(name, _)| *name == first).map(|(_, ns)| ns);
    let of_found = found.next_if(|(name, _)| *name == first).map(|(_, ns)| ns);
    Some((first, (of_wanted, of_found)))
}

fn with_what_is_near(mut names: BTreeSet<NsName>, states: &[&State]) -> BTreeSet<NsName> {
    let mut edge: Vec<NsName> = names.iter().cloned().collect();
    for _ in 0..REACH {
        let mut next = Vec::new();
        for name in edge {
            let here = states.iter().filter_map(|state| state.namespaces.get(&name));
            let leads_to =
                here.flat_map(|ns| ns.interfaces.values()).filter_map(|it| it.kind.leads_to());
            next.extend(leads_to.filter(|other| names.insert(other.clone())));
        }
        edge = next;
    }
    names
}

/// Tells whether it is certain that a namespace needs no step, is in no conflict and has nothing that
/// nobody declared. That it is not certain means nothing.
fn is_settled(lab: &LabName, wanted: &Namespace, found: &Namespace) -> bool {
    let is_of_lab = matches!(&wanted.owner, Owner::Lab(mark) if mark.lab == *lab);
    is_of_lab
        && wanted.owner == found.owner
        && wanted.lost_rules == found.lost_rules
        && wanted.nft_text.is_none()
        && wanted.tables == found.tables
        && wanted.routes == found.routes
        && wanted.entries == found.entries
        && found.foreign.is_empty()
        && wanted.sysctls.iter().all(|(key, value)| found.sysctl(key) == Some(value.as_str()))
        && are_settled(wanted, found)
}

fn are_settled(wanted: &Namespace, found: &Namespace) -> bool {
    let mut both = wanted.interfaces.iter().zip(&found.interfaces);
    wanted.interfaces.len() == found.interfaces.len()
        && both.all(|((wanted_name, wanted), (name, found))| {
            wanted_name == name && is_interface_settled(wanted, found)
        })
}

fn is_interface_settled(wanted: &Interface, found: &Interface) -> bool {
    let is_as =
        |wanted: Option<bool>, found: Option<bool>| wanted.is_none_or(|on| found != Some(!on));
    let ipv6 = wants_ipv6(wanted);
    let is_large_enough =
        ipv6 != Some(true) || found.mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES);
    let same_options = match (&found.kind, &wanted.kind) {
        (Kind::Device(found), Kind::Device(wanted)) => found.changes_to(wanted).is_empty(),
        _ => true,
    };
    found.ours
        && can_become(found, wanted)
        && found.kind.moved_from() == wanted.kind.moved_from()
        && same_options
        && is_large_enough
        && is_as(ipv6, found.ipv6)
        && is_as(wanted.forward_ipv4, found.forward_ipv4)
        && wanted.up == found.up
        && wanted.mtu.is_none_or(|mtu| found.mtu == Some(mtu))
        && wanted.mac.is_none_or(|mac| found.mac == Some(mac))
        && wanted.txqueuelen.is_none_or(|length| found.txqueuelen == Some(length))
        && (wanted.rps_cpus.is_none() || wanted.rps_cpus == found.rps_cpus)
        && wanted.alias == found.alias
        && wanted.altnames == found.altnames
        && wanted.master == found.master
        && wanted.port == found.port
        && (wanted.vlans.is_none() || wanted.vlans == found.vlans)
        && wanted.fdb.iter().flatten().eq(found.fdb.iter().flatten())
        && wanted.wireguard.is_none()
        && wanted.offload.iter().all(|(offload, on)| found.offload.get(offload) == Some(on))
        && found.cut_off.is_empty()
        && have_same_addresses(wanted, found)
}

/// Tells whether addresses are the same, those of IPv4 in the same order.
fn have_same_addresses(wanted: &Interface, found: &Interface) -> bool {
    let is_ipv4 = |address: &&Address| address.net.addr().is_ipv4();
    let is_ipv6 = |address: &&Address| !is_ipv4(address);
    let mut extra = found.addresses.iter().filter(is_ipv6);
    let mut missing = wanted.addresses.iter().filter(is_ipv6);
    wanted.addresses.iter().filter(is_ipv4).eq(found.addresses.iter().filter(is_ipv4))
        && missing.all(|address| found.addresses.contains(address))
        && extra.all(|address| address.is_ipv6_link_local() || wanted.addresses.contains(address))
}
