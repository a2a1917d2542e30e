//! Offloads are turned on and off by ethtool's family of generic netlink, which takes a socket of its
//! own in the namespace.

use std::collections::BTreeMap;

use vnet_model::{Change, IfName, LinkSetting, Offload, Step};
use vnet_netlink::Batch;

use super::{Executor, failed, known};
use crate::error::Error;
use crate::ethtool;
use crate::observe::generic_socket;

/// Tells whether a change is one of an offload.
pub(super) fn is_offload(change: &Change) -> bool {
    matches!(change, Change::SetLink { set: LinkSetting::Offload(..), .. })
}

impl Executor<'_> {
    /// Does a run of changes of offloads in one namespace, with one message for each interface.
    pub(super) fn offloads(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let Some(first) = steps.first() else { return Ok(0) };
        let mut run = 0;
        let mut wanted: BTreeMap<&IfName, BTreeMap<Offload, bool>> = BTreeMap::new();
        for step in steps.iter().take_while(|step| step.ns == first.ns) {
            let Change::SetLink { name, set: LinkSetting::Offload(offload, on) } = &step.change
            else {
                break;
            };
            wanted.entry(name).or_default().insert(*offload, *on);
            run += 1;
        }
        self.set_offloads(first, &wanted).map_err(|source| failed(first, source))?;
        Ok(run)
    }

    fn set_offloads(
        &mut self,
        first: &Step,
        wanted: &BTreeMap<&IfName, BTreeMap<Offload, bool>>,
    ) -> Result<(), Error> {
        let ns = &first.ns;
        let netlink = |source| Error::Netlink { doing: "set offloads", ns: ns.clone(), source };
        let mut socket = generic_socket(self.realm, 0, ns)?;
        let family = ethtool::family(&mut socket).map_err(netlink)?;
        let mut batch = Batch::new();
        for (name, offloads) in wanted {
            let index = known(&self.indexes, ns, name)?;
            let features = ethtool::features(&mut socket, family, index).map_err(netlink)?;
            let message = ethtool::set(family, index, &features, offloads);
            batch.push(&message.map_err(netlink)?, vnet_netlink::Flags::NONE);
        }
        let outcome = socket.submit(&mut batch).map_err(netlink)?;
        outcome.into_result().map_err(|(_, refusal)| netlink(refusal.into()))
    }
}
