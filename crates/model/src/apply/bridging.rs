//! VLANs of ports, and forwarding entries.

use super::Refused;
use crate::state::{FdbEntry, Interface, PortVlan, PortVlans};

impl Interface {
    /// Returns the VLANs that it is in; where they are not known, those that the kernel puts every
    /// new port into (`nbp_vlan_init`, net/bridge/br_vlan.c).
    #[must_use]
    pub fn port_vlans(&self) -> PortVlans {
        self.vlans.clone().unwrap_or_else(|| [(1, PortVlan::UNTAGGED)].into())
    }

    pub(super) fn set_port_vlan(&mut self, vid: u16, vlan: PortVlan) -> Result<(), Refused> {
        if self.master.is_none() {
            return Err(Refused::Invalid("it is the port of no bridge".into()));
        }
        let mut vlans = self.port_vlans();
        if vlan.pvid {
            vlans.values_mut().for_each(|other| other.pvid = false);
        }
        vlans.insert(vid, vlan);
        self.vlans = Some(vlans);
        Ok(())
    }

    pub(super) fn remove_port_vlan(&mut self, vid: u16) -> Result<(), Refused> {
        let mut vlans = self.port_vlans();
        if self.master.is_none() || vlans.remove(&vid).is_none() {
            return Err(Refused::Missing(format!("vlan {vid}")));
        }
        self.vlans = Some(vlans);
        Ok(())
    }

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
