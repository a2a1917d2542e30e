//! Reads namespaces whose ever they are, as if they were a lab's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use vnet_model::{Interface, Kind, Mark, Namespace, NsName, Offload, Owner, Queues, State};
use vnet_netlink::Socket;

use super::{
    CHUNK, Found, Observed, Scope, features, peers, read_links, read_namespace, read_sysctls,
};
use crate::error::Error;
use crate::realm::{Entry, Realm};

/// Reads the namespaces that have these names, each as if it carried the mark given to it, with the
/// sysctls that `keys` names. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// Veths are followed by the ids that namespaces have in each other. All namespaces are held open
/// meanwhile.
///
/// # Errors
/// When a namespace can't be read. One that goes away meanwhile, and a pin without a namespace, is
/// left out.
pub fn observe_whole(
    realm: &Realm,
    marks: &BTreeMap<NsName, Mark>,
    keys: &[&str],
) -> Result<Observed, Error> {
    let Some(lab) = marks.values().next().map(|mark| mark.lab.clone()) else {
        return Ok(Observed::default());
    };
    let names: Vec<NsName> = marks.keys().cloned().collect();
    let declared = declared(marks, keys);
    let scope = Scope { lab: &lab, declared: &declared, recorded: None };
    let mut found: Vec<Found> = Vec::new();
    let mut opened: Vec<(Socket, OwnedFd, NsName)> = Vec::new();
    for chunk in names.chunks(CHUNK) {
        let mut read = Vec::new();
        for (name, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
            let Entry::Namespace(mut entry) = entry else { continue };
            let mark = &marks[name];
            let mut read_one = |scope| {
                let links = read_links(&mut entry, name, scope)?;
                read_namespace(&mut entry, name, (mark.clone(), links), scope)
            };
            let mut one = read_one(scope)?;
            if let Some(asked) = all_options(&one, &declared) {
                one = read_one(Scope { declared: &asked, ..scope })?;
            }
            take_names_from_marks(&mut one);
            read.push(one);
            opened.push((entry.socket, entry.ns, name.clone()));
        }
        read_sysctls(realm, 0, &mut read, scope)?;
        let asked = all_features(&read, &declared);
        features::read(realm, 0, &mut read, Scope { declared: &asked, ..scope })?;
        found.append(&mut read);
    }
    for (at, found) in found.iter_mut().enumerate() {
        identify_neighbours(found, at, &mut opened, marks)?;
    }
    peers::connect(&mut found);
    let mut observed = Observed::default();
    for found in found {
        observed.indexes.insert(found.name.clone(), found.indexes);
        observed.state.namespaces.insert(found.name, found.namespace);
    }
    Ok(observed)
}

fn declared(marks: &BTreeMap<NsName, Mark>, keys: &[&str]) -> State {
    let sysctls: BTreeMap<String, String> =
        keys.iter().map(|key| ((*key).to_owned(), String::new())).collect();
    let namespace = |mark: &Mark| Namespace {
        sysctls: sysctls.clone(),
        ..Namespace::new(Owner::Lab(mark.clone()))
    };
    let namespaces = marks.iter().map(|(name, mark)| (name.clone(), namespace(mark)));
    State { namespaces: namespaces.collect() }
}

/// Returns what asks for all options of the devices that were found, of ports, and for forwarding
/// entries: only those are read that are declared. `None` where there are no devices.
fn all_options(found: &Found, declared: &State) -> Option<State> {
    let interfaces = &found.namespace.interfaces;
    if !interfaces.values().any(|interface| interface.kind.device().is_some()) {
        return None;
    }
    let mut namespace = declared.namespaces.get(&found.name)?.clone();
    let all = interfaces.iter().map(|(name, interface)| (name.clone(), interface.asking_for_all()));
    namespace.interfaces = all.collect();
    Some(State { namespaces: [(found.name.clone(), namespace)].into() })
}

/// Returns what asks for the offloads and queues of all interfaces that were found.
fn all_features(found: &[Found], declared: &State) -> State {
    let mut asked = declared.only(&found.iter().map(|found| found.name.clone()).collect());
    for found in found {
        let Some(namespace) = asked.namespaces.get_mut(&found.name) else { continue };
        let all = found.namespace.interfaces.iter().map(|(name, interface)| {
            let offload = Offload::ALL.iter().map(|(_, offload)| (*offload, true)).collect();
            let queues = Queues { tx: Some(0), rx: Some(0) };
            (name.clone(), Interface { offload, queues, ..Interface::new(interface.kind.clone()) })
        });
        namespace.interfaces = all.collect();
    }
    asked
}

/// A link that is nobody's is not the lab's own.
fn take_names_from_marks(found: &mut Found) {
    for interface in found.namespace.interfaces.values_mut() {
        interface.ours = interface.kind == Kind::Loopback;
    }
}

/// Finds out which of the namespaces the ids stand for that one has for its neighbours.
fn identify_neighbours(
    found: &mut Found,
    at: usize,
    opened: &mut [(Socket, OwnedFd, NsName)],
    marks: &BTreeMap<NsName, Mark>,
) -> Result<(), Error> {
    let nsids = found.peers.iter().filter_map(|(_, place)| place.nsid);
    found.neighbours = nsids.map(|nsid| (nsid, None)).collect();
    let mut unknown = found.neighbours.len();
    for other in 0..opened.len() {
        if unknown == 0 {
            break;
        }
        if other == at {
            continue;
        }
        let Ok([here, there]) = opened.get_disjoint_mut([at, other]) else { continue };
        let name = there.2.clone();
        let failed =
            |source| Error::Netlink { doing: "identify namespaces", ns: name.clone(), source };
        let id = peers::nsid(&mut here.0, there.1.as_fd()).map_err(failed)?;
        if let Some(mark) = id.and_then(|id| found.neighbours.get_mut(&id))
            && mark.is_none()
        {
            *mark = marks.get(&there.2).cloned();
            unknown -= 1;
        }
    }
    Ok(())
}

/// Reads the alias of the `lo` of a namespace, which is where a mark stands; an empty one is none.
///
/// # Errors
/// When the namespace can't be read.
pub fn alias_of_lo(realm: &Realm, name: &NsName) -> Result<Option<String>, Error> {
    let Some(Entry::Namespace(mut opened)) = realm.open(0, std::slice::from_ref(name))?.pop()
    else {
        return Ok(None);
    };
    let failed = |source| Error::Netlink { doing: "read lo", ns: name.clone(), source };
    let alias = super::link::alias(&mut opened.socket, None).map_err(failed)?;
    Ok(alias.filter(|alias| !alias.is_empty()))
}
