//! Which interfaces of other namespaces interfaces stand on.
//!
//! The kernel tells the index there, and the nsid. Which namespace that is, is found by the mark on its
//! `lo`, and made sure by its descriptor.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use vnet_model::{End, Facts, IfName, Mark, NsName};
use vnet_netlink::Socket;

use super::super::link::{self, Link};
use super::super::{CHUNK, peers};
use crate::error::Error;
use crate::realm::{Entry, Realm};

/// What stands on something in another namespace.
#[derive(Default)]
pub(super) struct Standing {
    /// The marks of namespaces that have one.
    marks: BTreeMap<NsName, Mark>,
    /// By namespace, and by the nsid of where it stands: what does, with the index there.
    all: BTreeMap<NsName, BTreeMap<i32, Vec<(IfName, u32)>>>,
}

impl Standing {
    /// Notes what of a namespace stands elsewhere.
    pub(super) fn note(&mut self, ns: &NsName, links: &[Link]) {
        if let Some(mark) = links.iter().find_map(Link::mark) {
            self.marks.insert(ns.clone(), mark);
        }
        for link in links {
            if let Some((index, nsid)) = link.stands_elsewhere() {
                let here = self.all.entry(ns.clone()).or_default();
                here.entry(nsid).or_default().push((link.name.clone(), index));
            }
        }
    }

    /// Finds where all that is, among the namespaces of the facts, and says it there.
    pub(super) fn find(self, realm: &Realm, facts: &mut Facts) -> Result<(), Error> {
        for (ns, places) in &self.all {
            let opened = realm.open(0, std::slice::from_ref(ns))?.pop();
            let Some(Entry::Namespace(mut here)) = opened else { continue };
            for (nsid, links) in places {
                let Some(there) = self.identify(realm, (ns, &mut here.socket), *nsid, facts)?
                else {
                    continue;
                };
                let indexes = facts.namespaces.get(&there).map(|facts| facts.indexes.clone());
                let indexes = indexes.unwrap_or_default();
                let known = facts.namespaces.get_mut(ns);
                let Some(known) = known else { continue };
                for (dev, index) in links {
                    let lower = indexes.iter().find(|(_, other)| *other == index);
                    let below =
                        lower.map(|(name, _)| End { ns: there.clone(), name: name.clone() });
                    known.interfaces.entry(dev.clone()).or_default().below = below;
                }
            }
        }
        Ok(())
    }

    /// Finds the namespace that has an nsid in another one.
    fn identify(
        &self,
        realm: &Realm,
        (ns, socket): (&NsName, &mut Socket),
        nsid: i32,
        facts: &Facts,
    ) -> Result<Option<NsName>, Error> {
        let failed = |source| Error::Netlink { doing: "survey", ns: ns.clone(), source };
        let mark = link::mark(socket, Some(nsid)).map_err(failed)?;
        let is_alike = |other: &&NsName| self.marks.get(*other) == mark.as_ref();
        let alike: Vec<NsName> = facts.namespaces.keys().filter(is_alike).cloned().collect();
        for chunk in alike.chunks(CHUNK) {
            for (name, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
                let Entry::Namespace(there) = entry else { continue };
                if peers::nsid(socket, there.ns.as_fd()).map_err(failed)? == Some(nsid) {
                    return Ok(Some(name.clone()));
                }
            }
        }
        Ok(None)
    }
}
