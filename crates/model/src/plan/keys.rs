//! Interfaces that the kernel tells apart by more than their names: ends of tunnels, VLANs.

use super::{Planner, can_become, lookup};
use crate::kind::Device;
use crate::names::{IfName, NsName};
use crate::origin::Origin;
use crate::state::{End, Interface};
use crate::step::Change;

impl<'a> Planner<'a> {
    /// Removes what the lab no longer wants under its name where that has the key of what is to be
    /// made: the file calls it otherwise now, or somebody renamed it or moved it to another
    /// namespace.
    pub(super) fn clear_keys(&mut self) {
        let leftovers = self.leftovers_with_keys();
        if leftovers.is_empty() {
            return;
        }
        let new: Vec<(&NsName, &Interface, &Device, Origin)> = self
            .target
            .namespaces
            .iter()
            .flat_map(|(ns, wanted)| wanted.interfaces.iter().map(move |it| (ns, it)))
            .filter_map(|(ns, (name, wanted))| {
                let device = self.is_new(ns, name, wanted)?;
                Some((ns, wanted, device, wanted.origin))
            })
            .collect();
        for end in leftovers {
            let Some(found) = lookup(self.observed, &end) else { continue };
            let Some(device) = found.kind.device() else { continue };
            let in_the_way = |(ns, wanted, of, _): &&(&NsName, &Interface, &Device, Origin)| {
                // It has its key where it was made: that is known by its hardware address.
                let is_from_there =
                    end.ns == **ns || (found.mac.is_some() && found.mac == wanted.mac);
                is_from_there && device.excludes(of)
            };
            if let Some((_, _, _, origin)) = new.iter().find(in_the_way)
                && lookup(&self.work, &end).is_some()
            {
                self.push(&end.ns, Change::DelLink { name: end.name.clone(), back: None }, *origin);
            }
        }
    }

    /// Finds who has the key of an interface that is to be made, in its namespace, and was not made
    /// by vnet.
    pub(super) fn stranger_with_key(
        &self,
        ns: &NsName,
        name: &IfName,
        wanted: &Interface,
    ) -> Option<(End, &'a Device)> {
        let device = self.is_new(ns, name, wanted).filter(|device| !device.spec.key.is_empty())?;
        let observed = self.observed;
        let strangers = observed.namespaces.get(ns)?.interfaces.iter().filter(|(_, it)| !it.ours);
        let mut devices = strangers.filter_map(|(name, it)| Some((name, it.kind.device()?)));
        let (name, found) = devices.find(|(_, found)| found.excludes(device))?;
        Some((End { ns: ns.clone(), name: name.clone() }, found))
    }

    fn leftovers_with_keys(&self) -> Vec<End> {
        let mut leftovers = Vec::new();
        for (ns, found) in &self.work.namespaces {
            let wanted = self.target.namespaces.get(ns);
            for (name, interface) in &found.interfaces {
                let has_key = interface.kind.device().is_some_and(|it| !it.spec.key.is_empty());
                let is_wanted = wanted.is_some_and(|ns| ns.interfaces.contains_key(name));
                if has_key && interface.ours && !is_wanted {
                    leftovers.push(End { ns: ns.clone(), name: name.clone() });
                }
            }
        }
        leftovers
    }

    /// Returns the device that an interface is to be, where none of its name is or becomes it.
    fn is_new<'w>(&self, ns: &NsName, name: &IfName, wanted: &'w Interface) -> Option<&'w Device> {
        let found = self.interface(ns, name);
        let device = wanted.kind.device()?;
        (!found.is_some_and(|found| can_become(found, wanted))).then_some(device)
    }
}
