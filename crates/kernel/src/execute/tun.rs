//! Steps that make TUN and TAP devices, which no message does.

use vnet_model::{Change, Device, LinkSetting, NewLink, Step};

use super::{Executor, failed, message};
use crate::error::Error;
use crate::realm::SysctlAccess;

/// Tells whether a change makes a TUN or TAP device.
pub(super) fn is_tun(change: &Change) -> bool {
    matches!(change, Change::AddLink { link: NewLink::Device { device, .. }, .. }
        if device.spec.is_tun())
}

/// What a device is by its options: IP packets or frames, and what comes with each (`IFF_…`,
/// linux/if_tun.h).
fn flags(device: &Device) -> u16 {
    const IFF_TUN: u16 = 1;
    const IFF_TAP: u16 = 2;
    const IFF_MULTI_QUEUE: u16 = 0x100;
    const IFF_NO_PI: u16 = 0x1000;
    const IFF_VNET_HDR: u16 = 0x4000;
    let option = |word, on, off| if device.is_on(word) { on } else { off };
    (if device.spec.is_tap() { IFF_TAP } else { IFF_TUN })
        | option("multi_queue", IFF_MULTI_QUEUE, 0)
        | option("pi", 0, IFF_NO_PI)
        | option("vnet_hdr", IFF_VNET_HDR, 0)
}

impl Executor<'_> {
    /// Does the step, which makes a device: what else is said of it follows as messages.
    pub(super) fn tun(&mut self, step: &Step) -> Result<usize, Error> {
        let Change::AddLink { name, link: NewLink::Device { mac, mtu, device, .. } } = &step.change
        else {
            return Ok(1);
        };
        let id = |word| u32::try_from(device.options.number(word)?).ok();
        let make = SysctlAccess::MakeTun {
            name: name.clone(),
            flags: flags(device),
            owner: id("user"),
            group: id("group"),
        };
        let answers = self.realm.sysctls(0, vec![(step.ns.clone(), vec![make])]);
        let answers = answers.map_err(|source| failed(step, source))?;
        let index = answers.into_iter().flatten().flatten().find_map(|text| text.parse().ok());
        let Some(index) = index else {
            let missing = Error::NoInterface { ns: step.ns.clone(), name: name.to_string() };
            return Err(failed(step, missing));
        };
        self.indexes.entry(step.ns.clone()).or_default().insert(name.clone(), index);
        let sets = mac.map(LinkSetting::Mac).into_iter().chain(mtu.map(LinkSetting::Mtu));
        self.batch.clear();
        for set in sets {
            message::set_link(&mut self.batch, index, &set);
        }
        if !self.batch.is_empty() {
            let netlink = |source| {
                let doing = "change interfaces";
                failed(step, Error::Netlink { doing, ns: step.ns.clone(), source })
            };
            let opened = self.sockets.get(&step.ns).map_err(|source| failed(step, source))?;
            let outcome = opened.socket.submit(&mut self.batch).map_err(netlink)?;
            outcome
                .into_result()
                .map_err(|(_, refusal)| Error::Refused { step: Box::new(step.clone()), refusal })?;
        }
        Ok(1)
    }
}
