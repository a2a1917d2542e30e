//! Reads what WireGuard devices do.

use std::collections::BTreeMap;

use vnet_model::{End, IfName, NsName};

use super::Found;
use crate::error::Error;
use crate::realm::Realm;
use crate::socket::{self, SocketKind};
use crate::wireguard::{Conversation, PublicKey};

/// Reads the devices of these namespaces, peers by their keys: whose those are is known when all
/// namespaces are read.
pub(super) fn read(realm: &Realm, thread: usize, found: &mut [Found]) -> Result<(), Error> {
    let devices = |found: &Found| -> Vec<IfName> {
        let all = found.namespace.interfaces.iter();
        let is_one = |kind: &vnet_model::Kind| {
            kind.device().is_some_and(|device| device.spec.is_wireguard())
        };
        all.filter(|(_, i)| is_one(&i.kind)).map(|(name, _)| name.clone()).collect()
    };
    let with: Vec<(usize, Vec<IfName>)> = found
        .iter()
        .enumerate()
        .map(|(at, found)| (at, devices(found)))
        .filter(|(_, devices)| !devices.is_empty())
        .collect();
    if with.is_empty() {
        return Ok(());
    }
    let names: Vec<NsName> = with.iter().map(|(at, _)| found[*at].name.clone()).collect();
    let sockets = realm.sockets(thread, &names, SocketKind::Generic)?;
    for ((at, devices), socket) in with.into_iter().zip(sockets) {
        let socket = match socket {
            Ok(socket) => socket,
            Err(Error::Gone { .. }) => continue,
            Err(error) => return Err(error),
        };
        let found = &mut found[at];
        let ns = found.name.clone();
        let failed = |source| Error::Netlink { doing: "read WireGuard", ns: ns.clone(), source };
        let mut conversation = Conversation::new(socket::from_fd(socket)?).map_err(failed)?;
        for name in devices {
            let Some(index) = found.indexes.get(&name) else { continue };
            match conversation.get(index) {
                Err(error) if super::is_gone(&error) => found.forget(&name),
                device => drop(found.wireguards.insert(name, device.map_err(failed)?)),
            }
        }
    }
    Ok(())
}

/// Finds out whose the keys are.
pub(super) fn connect(found: &mut [Found]) {
    let mut devices: BTreeMap<PublicKey, End> = BTreeMap::new();
    for found in found.iter() {
        for (name, device) in &found.wireguards {
            let end = End { ns: found.name.clone(), name: name.clone() };
            devices.extend(device.public_key.map(|key| (key, end)));
        }
    }
    for found in found {
        for (name, device) in std::mem::take(&mut found.wireguards) {
            if let Some(interface) = found.namespace.interfaces.get_mut(&name) {
                interface.wireguard = device.known(&devices);
            }
        }
    }
}
