//! What of a lab is in its host: interfaces with the lab's mark, or known by the record.

use std::collections::BTreeMap;

use vnet_model::ipnet::IpNet;
use vnet_model::{IfName, Interfaces, Mark, Namespace, NsName, Owner, State};

use super::link::{self, Link};
use super::{Found, Indexes, Scope, address, peers};
use crate::error::Error;
use crate::realm::{Entry, Opened, Realm};

/// Tells whether to look at the host: it may hold something of the lab.
///
/// Not where a record says that the lab never had anything there: a host may have thousands of
/// interfaces of others.
pub(super) fn is_asked_for(scope: Scope<'_>) -> bool {
    let holds = |state: &State| state.namespaces.contains_key(&NsName::host());
    let recorded = scope.recorded.is_none_or(|states| states.iter().any(|state| holds(state)));
    recorded || holds(scope.declared)
}

/// Reads what is the lab's in the host, and what has a name that the lab wants there.
pub(super) fn read(opened: &mut Opened, scope: Scope<'_>) -> Result<Found, Error> {
    let host = NsName::host();
    let failed = |source| Error::Netlink { doing: "read interfaces", ns: host.clone(), source };
    let socket = &mut opened.socket;
    let mut found = Found {
        name: host.clone(),
        namespace: Namespace { interfaces: Interfaces::new(), ..Namespace::new(Owner::Host) },
        indexes: Indexes::default(),
        peers: Vec::new(),
        neighbours: BTreeMap::new(),
        wireguards: Default::default(),
    };
    let mut names = BTreeMap::new();
    for link in link::dump(socket, Some(&|_| Vec::new())).map_err(failed)? {
        // All of them: a new one must have another index.
        found.indexes.insert(link.name.clone(), link.index);
        take(&mut found, &mut names, link, scope);
    }
    for one in address::dump(socket).map_err(failed)? {
        let name = names.get(&one.index);
        let interface = name.and_then(|name| found.namespace.interfaces.get_mut(name));
        if let Some(interface) = interface {
            interface.addresses.push(one.address);
        }
    }
    peers::read_marks(&mut found, socket).map_err(failed)?;
    Ok(found)
}

/// Forgets what has turned out to be others'.
pub(super) fn forget_strangers(found: &mut [Found], scope: Scope<'_>) {
    for host in found.iter_mut().filter(|found| found.name.is_host()) {
        let declared = scope.declared.namespaces.get(&host.name);
        let is_declared =
            |name: &IfName| declared.is_some_and(|declared| declared.interfaces.contains_key(name));
        host.namespace.interfaces.retain(|name, interface| interface.ours || is_declared(name));
    }
}

/// Returns the addresses that the host has, each with its interface, whosoever it is.
///
/// # Errors
/// When the host's namespace can't be read.
pub fn host_addresses(realm: &Realm) -> Result<Vec<(IfName, IpNet)>, Error> {
    let host = NsName::host();
    let failed = |source| Error::Netlink { doing: "read interfaces", ns: host.clone(), source };
    let mut addresses = Vec::new();
    for entry in realm.open(0, std::slice::from_ref(&host))? {
        let Entry::Namespace(mut opened) = entry else { continue };
        let socket = &mut opened.socket;
        let links = link::dump(socket, Some(&|_| Vec::new())).map_err(failed)?;
        let names: BTreeMap<u32, IfName> =
            links.into_iter().map(|link| (link.index, link.name)).collect();
        let found = address::dump(socket).map_err(failed)?;
        let named = |one: address::Found| Some((names.get(&one.index)?.clone(), one.address.net));
        addresses.extend(found.into_iter().filter_map(named));
    }
    Ok(addresses)
}

fn take(found: &mut Found, names: &mut BTreeMap<u32, IfName>, link: Link, scope: Scope<'_>) {
    let (index, name, place) = (link.index, link.name.clone(), link.place);
    let mut interface = link.into_interface(names);
    let of = |state: &State| {
        let namespace = state.namespaces.get(&found.name)?;
        namespace.interfaces.get(&name).map(|known| known.mac)
    };
    let is_marked =
        |altname: &String| Mark::lab_of_altname(altname).is_some_and(|lab| lab == *scope.lab);
    // A creation that was cut short before the mark is known by the record.
    let is_known = |states: &[&State]| {
        states.iter().any(|state| interface.mac.is_some() && of(state) == Some(interface.mac))
    };
    interface.ours =
        interface.altnames.iter().any(is_marked) || scope.recorded.is_some_and(is_known);
    // The other end tells then, in one of the lab's namespaces.
    let may_be = scope.recorded.is_none()
        && interface.kind.is_pair()
        && place.as_ref().is_some_and(|place| place.nsid.is_some());
    if interface.ours || of(scope.declared).is_some() || may_be {
        found.peers.extend(place.map(|place| (name.clone(), place)));
        names.insert(index, name.clone());
        found.namespace.interfaces.insert(name, interface);
    }
}
