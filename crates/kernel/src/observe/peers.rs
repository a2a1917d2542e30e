//! Where veths lead.
//!
//! The kernel tells the other end's index and the nsid of its namespace. Whose that is, is asked of the
//! kernel too: a namespace that is open at the same time is told apart by its descriptor, another one by
//! the mark on its `lo`, which takes five times as long.

use std::collections::btree_map;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use vnet_model::{End, IfName, Kind, Mark, NsName, Owner};
use vnet_netlink::{Error as NetlinkError, RawMessage, Socket};

use super::{Found, Scope, known, link};
use crate::error::Error;
use crate::realm::Opened;

const RTM_GETNSID: u16 = 90;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// `struct rtgenmsg`, with its padding.
const HEADER_BYTES: usize = 4;

/// Returns the id that a namespace has in the one of the socket, if it has one there.
pub(super) fn nsid(socket: &mut Socket, ns: BorrowedFd<'_>) -> Result<Option<i32>, NetlinkError> {
    let request = RawMessage::new(RTM_GETNSID, |writer| {
        writer.header(&[0; HEADER_BYTES]);
        writer.i32(NETNSA_FD, ns.as_raw_fd());
    })?;
    let id = socket.get_one(&request, |answer| {
        let id = answer.attributes(HEADER_BYTES)?.find(NETNSA_NSID)?;
        Ok(id.map(|id| id.i32()).transpose()?)
    })?;
    Ok(id.filter(|id| *id >= 0))
}

/// Finds out whose the namespaces at the other ends of veths are, for all that were opened together.
pub(super) fn identify(
    found: &mut [Found],
    opened: &mut BTreeMap<NsName, Opened>,
    scope: Scope<'_>,
) -> Result<(), Error> {
    let owners: BTreeMap<NsName, Owner> =
        found.iter().map(|found| (found.name.clone(), found.namespace.owner.clone())).collect();
    for found in found {
        let failed = |ns: &NsName, source| Error::Netlink {
            doing: "read interfaces",
            ns: ns.clone(),
            source,
        };
        // It can't be lent twice, once for its socket.
        let Some(mut here) = opened.remove(&found.name) else { continue };
        for (place, other) in expected(found, scope) {
            let Some((other, there)) = opened.get_key_value(other) else { continue };
            if found.neighbours.contains_key(&place) {
                continue;
            }
            let id = nsid(&mut here.socket, there.ns.as_fd());
            if id.map_err(|source| failed(&found.name, source))? == Some(place) {
                let mark = owners.get(other).and_then(|owner| match owner {
                    Owner::Lab(mark) => Some(mark.clone()),
                    _ => None,
                });
                found.neighbours.insert(place, mark);
            }
        }
        let read = read_marks(found, &mut here.socket);
        read.map_err(|source| failed(&found.name, source))?;
        opened.insert(found.name.clone(), here);
    }
    Ok(())
}

/// Lists the nsids that veths lead to, each with the namespace that it should be by what is declared.
fn expected<'s>(found: &Found, scope: Scope<'s>) -> Vec<(i32, &'s NsName)> {
    let known = known(&found.name, scope);
    let peers = found.peers.iter().filter_map(|(name, place)| Some((name, place.nsid?)));
    let expected = peers.filter_map(|(name, nsid)| {
        let mut interfaces = known.iter().filter_map(|known| known.interfaces.get(name));
        interfaces.find_map(|interface| Some((nsid, &interface.kind.peer()?.ns)))
    });
    expected.collect()
}

/// Reads the marks of the namespaces at the other ends of veths, where it is not known whose they are.
pub(super) fn read_marks(found: &mut Found, socket: &mut Socket) -> Result<(), NetlinkError> {
    for nsid in found.peers.iter().filter_map(|(_, place)| place.nsid) {
        if let btree_map::Entry::Vacant(entry) = found.neighbours.entry(nsid) {
            entry.insert(link::mark(socket, Some(nsid))?);
        }
    }
    Ok(())
}

/// Finds out which interface each veth leads to.
///
/// The two ends must agree about each other: a namespace that was unpinned and made
/// again has the same mark as what is left of the old one.
pub(super) fn connect(found: &mut [Found]) {
    let by_mark: HashMap<Mark, usize> = found
        .iter()
        .enumerate()
        .filter_map(|(at, found)| match &found.namespace.owner {
            Owner::Lab(mark) => Some((mark.clone(), at)),
            _ => None,
        })
        .collect();
    let host = found.iter().position(|found| found.name.is_host());
    let by_index: Vec<ByIndex> = found.iter().map(ByIndex::of).collect();
    for at in 0..found.len() {
        for (name, place) in std::mem::take(&mut found[at].peers) {
            let there = match place.nsid {
                None => Some(at),
                Some(nsid) => {
                    let mark = found[at].neighbours.get(&nsid).and_then(Option::as_ref);
                    mark.map_or(host, |mark| by_mark.get(mark).copied())
                }
            };
            let own_index = found[at].indexes.get(&name);
            if let Some(Kind::Device(device)) =
                found[at].namespace.interfaces.get_mut(&name).map(|it| &mut it.kind)
                && !device.spec.is_pair()
            {
                // Only the host has such: what was moved there belongs to nobody.
                let there = there.filter(|there| Some(*there) == host);
                let lower = there.and_then(|there| by_index[there].get(place.index));
                device.host_lower = lower.map(|(name, _)| name.clone());
                continue;
            }
            let peer = there.and_then(|there| {
                let (peer, back) = by_index[there].get(place.index)?;
                let agrees = *back == own_index;
                agrees.then(|| End { ns: found[there].name.clone(), name: peer.clone() })
            });
            if let Some(interface) = found[at].namespace.interfaces.get_mut(&name) {
                match &mut interface.kind {
                    Kind::Device(device) => device.peer = peer,
                    kind => *kind = Kind::Veth { peer },
                }
            }
        }
    }
}

/// The interfaces of one namespace by their indexes, each with that of its other end.
struct ByIndex(Vec<(u32, (IfName, Option<u32>))>);

impl ByIndex {
    fn of(found: &Found) -> Self {
        let peers: BTreeMap<&IfName, u32> =
            found.peers.iter().map(|(veth, place)| (veth, place.index)).collect();
        let names = found.indexes.by_name.iter();
        let all = names.map(|(name, index)| (*index, (name.clone(), peers.get(name).copied())));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(index, _)| *index);
        Self(all)
    }

    fn get(&self, index: u32) -> Option<&(IfName, Option<u32>)> {
        let at = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(&self.0[at].1)
    }
}
