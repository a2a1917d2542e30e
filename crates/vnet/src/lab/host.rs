//! What a lab has in its host: what must hold there before anything is made, and its end.

use std::collections::BTreeSet;

use vnet_kernel::observe::Scope;
use vnet_kernel::realm::SysctlAccess;
use vnet_kernel::{execute, observe_some};
use vnet_model::plan::plan_between;
use vnet_model::{Desired, NsName, State};

use super::Lab;
use crate::error::Error;

impl Lab {
    /// Finds out whether the host can be the way to the world for the segments that it is on, and
    /// from it to published ports.
    ///
    /// # Errors
    /// [`Error::ExternalRootless`] in a keeper's namespaces, which have no world around them;
    /// [`Error::HostForwarding`] where the host passes nothing on. That is a setting of the whole
    /// host, so it is not changed here.
    pub(super) fn check_host(&self, desired: &Desired) -> Result<(), Error> {
        let host = NsName::host();
        let Some(wanted) = desired.state.namespaces.get(&host) else { return Ok(()) };
        let Some(place) = self.place()? else { return Ok(()) };
        // The cables of published ports lead into the lab alone.
        let external = wanted.interfaces.values().filter(|it| it.forward_ipv4 == Some(true));
        let origin = external.clone().map(|it| it.origin).next();
        if place.keeper_pid().is_some() {
            let what = match origin {
                Some(_) => "an external segment",
                None => "a published port",
            };
            let first = wanted.interfaces.values().map(|it| it.origin).next();
            let origin = origin.or(first).unwrap_or_default();
            return Err(Error::ExternalRootless { what, origin });
        }
        let origin = origin.unwrap_or_default();
        let addresses = external.flat_map(|interface| &interface.addresses);
        let families: BTreeSet<bool> = addresses.map(|it| it.net.addr().is_ipv4()).collect();
        for is_ipv4 in families {
            let key = if is_ipv4 { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" };
            let read = vec![SysctlAccess::Read(key.to_owned())];
            let answers = place.realm.sysctls(0, vec![(host.clone(), read)])?;
            if answers.into_iter().flatten().flatten().next().as_deref() == Some("0") {
                return Err(Error::HostForwarding { key, origin });
            }
        }
        Ok(())
    }

    /// Removes what the lab has in its host.
    pub(super) fn clear_host(&self) -> Result<(), Error> {
        let Some(place) = self.place()? else { return Ok(()) };
        let host = NsName::host();
        let known = self.record()?.map(|record| record.known());
        if known.as_ref().is_some_and(|known| !known.namespaces.contains_key(&host)) {
            return Ok(());
        }
        let nothing = State::default();
        let known: Option<[&State; 1]> = known.as_ref().map(|known| [known]);
        let recorded = known.as_ref().map(<[_; 1]>::as_slice);
        let scope = Scope { lab: &self.name, declared: &nothing, recorded };
        let now = observe_some(&place.realm, scope, &[host])?;
        let steps = plan_between(&self.name, &nothing, &now.state).steps;
        Ok(execute(&place.realm, &now, &steps)?)
    }
}
