//! VLANs of ports, and forwarding entries.

use super::Refused;
use crate::kind::Options;
use crate::names::IfName;
use crate::state::{FdbEntry, Interface, Namespace, PortVlan, PortVlans};

/// The option of a bridge that says in which VLAN its new ports are.
const DEFAULT_PVID: &str = "vlan_default_pvid";

impl Namespace {
    /// Returns the VLANs that a port of a bridge is in, or a bridge itself; where they are not known,
    /// those that the kernel puts each into that is new (`nbp_vlan_init`, net/bridge/br_vlan.c).
    #[must_use]
    pub fn port_vlans(&self, dev: &IfName) -> PortVlans {
        let interface = self.interfaces.get(dev);
        let known = interface.and_then(|interface| interface.vlans.clone());
        known.unwrap_or_else(|| {
            let itself = interface.filter(|interface| interface.kind.is_bridge());
            let master = || self.interfaces.get(interface?.master.as_ref()?);
            let bridge = itself.or_else(master).and_then(|bridge| bridge.kind.device());
            born_vlans(default_pvid(bridge.map(|device| &device.options)))
        })
    }

    pub(super) fn set_port_vlan(
        &mut self,
        dev: (&IfName, bool),
        vid: u16,
        vlan: PortVlan,
    ) -> Result<(), Refused> {
        if !self.has_vlans(dev) {
            return Err(Refused::Invalid("it is the port of no bridge".into()));
        }
        let mut vlans = self.port_vlans(dev.0);
        if vlan.pvid {
            vlans.values_mut().for_each(|other| other.pvid = false);
        }
        vlans.insert(vid, vlan);
        self.interface_mut(dev.0)?.vlans = Some(vlans);
        Ok(())
    }

    pub(super) fn remove_port_vlan(
        &mut self,
        dev: (&IfName, bool),
        vid: u16,
    ) -> Result<(), Refused> {
        let mut vlans = self.port_vlans(dev.0);
        if !self.has_vlans(dev) || vlans.remove(&vid).is_none() {
            return Err(Refused::Missing(format!("vlan {vid}")));
        }
        self.interface_mut(dev.0)?.vlans = Some(vlans);
        Ok(())
    }

    /// Tells whether it is a port, or a bridge as is said with it.
    fn has_vlans(&self, (dev, itself): (&IfName, bool)) -> bool {
        let is = |interface: &Interface| match itself {
            true => interface.kind.is_bridge(),
            false => interface.master.is_some(),
        };
        self.interfaces.get(dev).is_some_and(is)
    }

    /// Moves the ports of a bridge, and the bridge itself, that are in its VLAN for new ones as they were
    /// born (`__br_vlan_set_default_pvid`, net/bridge/br_vlan.c).
    pub(super) fn default_pvid_follows(&mut self, bridge: &IfName, before: u16, set: &Options) {
        if set.number(DEFAULT_PVID).is_none() {
            return;
        }
        let (old, new) = (born_vlans(before), born_vlans(default_pvid(Some(set))));
        for (name, interface) in self.interfaces.iter_mut() {
            let is_of = name == bridge || interface.master.as_ref() == Some(bridge);
            let Some(vlans) = interface.vlans.as_mut().filter(|_| is_of) else { continue };
            let is_as_born = old.iter().all(|(vid, vlan)| vlans.get(vid) == Some(vlan));
            if is_as_born && !new.keys().any(|vid| vlans.contains_key(vid)) {
                vlans.retain(|vid, _| !old.contains_key(vid));
                vlans.extend(&new);
            }
        }
    }
}

/// Returns the VLAN that new ports of a bridge with these options are in; 0 for none.
pub(crate) fn default_pvid(options: Option<&Options>) -> u16 {
    let vid = options.and_then(|options| options.number(DEFAULT_PVID));
    vid.and_then(|vid| u16::try_from(vid).ok()).unwrap_or(1)
}

/// Returns the VLANs of a new port.
pub(crate) fn born_vlans(default_pvid: u16) -> PortVlans {
    let vlan = (default_pvid != 0).then_some((default_pvid, PortVlan::UNTAGGED));
    vlan.into_iter().collect()
}

impl Interface {
    pub(super) fn add_fdb(&mut self, entry: FdbEntry) -> Result<(), Refused> {
        match self.fdb.get_or_insert_default().insert(entry) {
            true => Ok(()),
            false => Err(Refused::Exists(format!("fdb {entry}"))),
        }
    }

    pub(super) fn remove_fdb(&mut self, entry: &FdbEntry) -> Result<(), Refused> {
        match self.fdb.as_mut().is_some_and(|fdb| fdb.remove(entry)) {
            true => Ok(()),
            false => Err(Refused::Missing(format!("fdb {entry}"))),
        }
    }

    /// Forgets what it had as the port of a bridge.
    pub(super) fn leave_bridge(&mut self) {
        self.vlans = None;
        if let Some(fdb) = &mut self.fdb {
            fdb.retain(|entry| entry.dst.is_some());
        }
    }
}
