//! Finds what exists in namespaces and no [`State`](vnet_model::State) holds by itself: for
//! snapshots, which leave nothing out in silence.

mod addresses;
mod links;
mod options;
mod others;
mod routes;
mod sysctls;
pub(super) mod traffic;

use std::collections::BTreeMap;

use vnet_model::apply::LOOPBACK;
use vnet_model::{Cpus, IfName, Namespace, NsName};
use vnet_netlink::{Error as NetlinkError, RawMessage};

pub(super) use others::ipsec_policies;

use super::{Observed, generic_socket};
use crate::error::Error;
use crate::ethtool;
use crate::realm::{Entry, Realm, SysctlAccess};

/// Takes into the state the sysctls and offloads that are not as they are where nobody says
/// anything, and returns in words what the state can't hold. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// It reads all of `/proc/sys/net` in each namespace: a few milliseconds, more with many interfaces.
///
/// # Errors
/// When a namespace can't be read; one that went away meanwhile is passed over.
pub fn beyond(realm: &Realm, observed: &mut Observed) -> Result<Vec<String>, Error> {
    let born = realm.born_sysctls()?;
    let mut words = Vec::new();
    for (name, ns) in observed.state.namespaces.iter_mut() {
        let Some(indexes) = observed.indexes.get(name) else { continue };
        let devs: BTreeMap<u32, IfName> =
            indexes.by_name.iter().map(|(dev, index)| (*index, dev.clone())).collect();
        match one(realm, name, ns, &devs, &born) {
            Err(Error::Gone { .. }) => {}
            here => words.extend(here?.into_iter().map(|what| format!("{what} in {name}"))),
        }
    }
    Ok(words)
}

fn one(
    realm: &Realm,
    name: &NsName,
    ns: &mut Namespace,
    devs: &BTreeMap<u32, IfName>,
    born: &BTreeMap<String, String>,
) -> Result<Vec<String>, Error> {
    let asked = vec![SysctlAccess::List, SysctlAccess::ListRps];
    let answers = realm.sysctls(0, vec![(name.clone(), asked)])?.into_iter().next();
    let mut lists = answers.into_iter().flatten();
    let (list, steered) = (lists.next().flatten(), lists.next().flatten());
    let Some(Entry::Namespace(mut opened)) = realm.open(0, std::slice::from_ref(name))?.pop()
    else {
        return Err(Error::Gone { ns: name.clone() });
    };
    let socket = &mut opened.socket;
    let mut words = Vec::new();
    sysctls::take(&sysctls::read(list.into_iter()), born, ns, &mut words);
    take_steered(&steered.unwrap_or_default(), ns, &mut words);
    let failed = |source| Error::Netlink { doing: "look around", ns: name.clone(), source };
    words.extend(links::words(socket, ns).map_err(failed)?);
    words.extend(addresses::words(socket, devs).map_err(failed)?);
    words.extend(routes::words(socket, devs).map_err(failed)?);
    words.extend(traffic::words(socket, devs, ns).map_err(failed)?);
    words.extend(others::labels(socket).map_err(failed)?);
    words.extend(others::ipsec(realm, name)?);
    let mut socket = generic_socket(realm, 0, name)?;
    words.extend(others::families(&mut socket).map_err(failed)?);
    let family = ethtool::family(&mut socket).map_err(failed)?;
    for (index, dev) in devs {
        let Some(interface) = ns.interfaces.get_mut(dev) else { continue };
        match ethtool::features(&mut socket, family, *index) {
            Err(error) if super::is_gone(&error) => {}
            features => {
                let changed = features.map_err(failed)?.changed(interface.kind.name());
                words.extend(changed.words.into_iter().map(|what| format!("{what} of {dev}")));
                interface.offload = changed.groups;
            }
        }
    }
    Ok(words)
}

/// Takes over which processors take what comes in, where it is not as an interface is born
/// (`net.core.rps_default_mask`; `lo` is there before anybody sets that).
fn take_steered(list: &str, ns: &mut Namespace, words: &mut Vec<String>) {
    let usual = ns.sysctls.get("net.core.rps_default_mask");
    let usual = usual.and_then(|mask| Cpus::from_mask(mask)).unwrap_or_default();
    for (name, cpus) in list.lines().filter_map(|line| line.split_once(' ')) {
        let found = IfName::new(name).ok().and_then(|name| ns.interfaces.get_mut(&name));
        let Some(interface) = found else { continue };
        let born = if name == LOOPBACK { Cpus::default() } else { usual.clone() };
        match cpus.parse() {
            Ok(cpus) => interface.rps_cpus = Some(cpus).filter(|cpus| *cpus != born),
            Err(_) => words.push(format!("different rps_cpus of the queues of {name}")),
        }
    }
}

/// Lays out a question of another family than those that the codec knows.
fn question(kind: u16, header: &[u8]) -> Result<RawMessage, NetlinkError> {
    let message = RawMessage::new(kind, |writer| {
        writer.header(header);
    });
    message.map_err(|too_long| NetlinkError::AttributeTooLong { index: 0, too_long })
}

/// Reads a number of any width.
fn number(value: &[u8]) -> Option<u64> {
    match value {
        [] => Some(1),
        [a] => Some((*a).into()),
        [a, b] => Some(u16::from_ne_bytes([*a, *b]).into()),
        value => match value.first_chunk::<8>() {
            Some(bytes) if value.len() == 8 => Some(u64::from_ne_bytes(*bytes)),
            _ if value.len() == 4 => Some(u32::from_ne_bytes(*value.first_chunk()?).into()),
            _ => None,
        },
    }
}
