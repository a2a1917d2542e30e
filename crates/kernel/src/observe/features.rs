//! What only ethtool's family tells of interfaces: their offloads, and how many queues veths use.

use std::collections::BTreeMap;

use rustix::io::Errno;
use vnet_model::{IfName, Interface, Kind, State};
use vnet_netlink::{Error as NetlinkError, Socket};

use super::{Found, Scope, generic_socket, is_gone};
use crate::error::Error;
use crate::ethtool;
use crate::realm::Realm;

/// What to ask of an interface.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    offload: bool,
    queues: bool,
}

/// Reads the offloads and queues of interfaces of which some are declared, or were.
pub(super) fn read(
    realm: &Realm,
    thread: usize,
    found: &mut [Found],
    scope: Scope<'_>,
) -> Result<(), Error> {
    let states: Vec<&State> =
        scope.recorded.into_iter().flatten().copied().chain([scope.declared]).collect();
    for found in found.iter_mut() {
        let asked = asked(found, &states);
        let ns = found.name.clone();
        let failed =
            |source| Error::Netlink { doing: "read offloads and queues", ns: ns.clone(), source };
        let mut line = None;
        for (name, asked) in asked {
            let Some(index) = found.indexes.get(name) else { continue };
            let Some(interface) = found.namespace.interfaces.get_mut(name) else { continue };
            let (socket, family) = match &mut line {
                Some(line) => line,
                None => {
                    let mut socket = match generic_socket(realm, thread, &ns) {
                        Err(Error::Gone { .. }) => break,
                        socket => socket?,
                    };
                    let family = ethtool::family(&mut socket).map_err(failed)?;
                    line.insert((socket, family))
                }
            };
            match read_one((socket, *family), index, asked, interface) {
                Err(error) if is_gone(&error) => found.forget(name),
                read => read.map_err(failed)?,
            }
        }
    }
    Ok(())
}

/// Finds out what to ask in a namespace.
fn asked<'s>(found: &Found, states: &[&'s State]) -> BTreeMap<&'s IfName, Asked> {
    let mut asked: BTreeMap<&IfName, Asked> = BTreeMap::new();
    let namespaces = states.iter().filter_map(|state| state.namespaces.get(&found.name));
    for (name, declared) in namespaces.flat_map(|ns| &ns.interfaces) {
        let is_veth = found.namespace.interfaces.get(name).is_some_and(is_veth);
        let offload = !declared.offload.is_empty();
        let queues = is_veth && !declared.queues.is_unsaid();
        if offload || queues {
            let of_name = asked.entry(name).or_default();
            of_name.offload |= offload;
            of_name.queues |= queues;
        }
    }
    asked
}

fn is_veth(interface: &Interface) -> bool {
    matches!(interface.kind, Kind::Veth { .. })
}

fn read_one(
    (socket, family): (&mut Socket, u16),
    index: u32,
    asked: Asked,
    interface: &mut Interface,
) -> Result<(), NetlinkError> {
    if asked.offload {
        (interface.offload, interface.fixed) = ethtool::get(socket, family, index)?;
    }
    if asked.queues {
        match ethtool::channels(socket, family, index) {
            // Veths tell since Linux 5.14; before, they used all that they had.
            Err(NetlinkError::Refused(refusal)) if refusal.errno == Errno::OPNOTSUPP => {}
            queues => interface.queues = queues?,
        }
    }
    Ok(())
}
