//! VLANs of ports, and forwarding entries.

use std::collections::BTreeSet;

use super::Planner;
use crate::names::{IfName, NsName};
use crate::state::{FdbEntry, Interface};
use crate::step::Change;

impl Planner<'_> {
    /// Takes a port of a bridge, or the bridge itself, out of the VLANs that it shall not be in first: no
    /// packet goes where it went before and shall not, while it is already where it shall be.
    pub(super) fn port_vlans(&mut self, ns: &NsName, dev: &IfName, wanted: &Interface) {
        let Some(vlans) = &wanted.vlans else { return };
        let (dev, itself) = (dev.clone(), wanted.kind.is_bridge());
        let found = self.work.namespaces.get(ns).map(|ns| ns.port_vlans(&dev)).unwrap_or_default();
        for &vid in found.keys().filter(|vid| !vlans.contains_key(*vid)) {
            let change = Change::DelPortVlan { dev: dev.clone(), itself, vid };
            self.push(ns, change, wanted.origin);
        }
        for (&vid, &vlan) in vlans {
            // One that becomes that of packets without a tag takes this from another.
            let found = self.work.namespaces.get(ns).map(|ns| ns.port_vlans(&dev));
            if found.unwrap_or_default().get(&vid) != Some(&vlan) {
                let change = Change::SetPortVlan { dev: dev.clone(), itself, vid, vlan };
                self.push(ns, change, wanted.origin);
            }
        }
    }

    pub(super) fn fdb(&mut self, ns: &NsName, dev: &IfName, wanted: &Interface) {
        // Of what declares none, and never did, they are not read.
        let (entries, none) = (wanted.fdb.as_ref(), BTreeSet::new());
        let entries = entries.unwrap_or(&none);
        let found = self.interface(ns, dev).and_then(|it| it.fdb.clone()).unwrap_or_default();
        // An entry that names no VLAN is made in each of the port's too (`br_fdb_add`,
        // net/bridge/br_fdb.c).
        let follows = |found: &FdbEntry| entries.contains(&FdbEntry { vlan: None, ..*found });
        for &entry in found.iter().filter(|found| !entries.contains(found) && !follows(found)) {
            self.push(ns, Change::DelFdb { dev: dev.clone(), entry }, wanted.origin);
        }
        for &entry in entries.iter().filter(|entry| !found.contains(entry)) {
            let origin = entry.origin.or(wanted.origin);
            self.push(ns, Change::AddFdb { dev: dev.clone(), entry }, origin);
        }
    }
}
