//! What differs in a namespace that has all its interfaces: settings, addresses, sysctls.

use super::{Planner, demoted, interface_of_sysctl, is_primary, wants_ipv6};
use crate::names::{IfName, NsName};
use crate::state::{Address, Interface, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, Namespace};
use crate::step::{Change, LinkSetting};

impl Planner<'_> {
    pub(super) fn settings(&mut self, ns: &NsName, wanted: &Namespace) {
        self.sysctls(ns, wanted, |key| interface_of_sysctl(key).is_some());
        // Before anything is up: no packet comes by that is not to.
        self.tables(ns, wanted);
        // Bridges before their ports.
        let is_port = |interface: &Interface| interface.master.is_some();
        for ports in [false, true] {
            for (name, interface) in &wanted.interfaces {
                if is_port(interface) == ports && self.interface(ns, name).is_some() {
                    self.interface_settings(ns, name, interface);
                    self.port_vlans(ns, name, interface);
                    self.fdb(ns, name, interface);
                    self.addresses(ns, name, interface);
                }
            }
        }
    }

    /// Makes the tables that are missing or differ. One that is as wanted is not touched, so its
    /// counters go on.
    fn tables(&mut self, ns: &NsName, wanted: &Namespace) {
        for (id, table) in &wanted.tables {
            let found = self.work.namespaces.get(ns).and_then(|ns| ns.tables.get(id));
            let change = match found {
                Some(found) if found == table => continue,
                Some(_) => Change::ReplaceTable(Box::new(table.clone())),
                None => Change::AddTable(Box::new(table.clone())),
            };
            self.push(ns, change, table.origin.or(wanted.origin));
        }
    }

    fn interface_settings(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        let Some(found) = self.interface(ns, name) else { return };
        let differs =
            |wanted: Option<bool>, found: Option<bool>| wanted.filter(|on| found == Some(!on));
        // First the MTU: IPv6 comes and goes with it, and asks for one where none is declared.
        let too_small = wants_ipv6(wanted) == Some(true)
            && found.mtu.is_some_and(|mtu| mtu < MTU_IPV6_MIN_BYTES);
        let mtu = wanted.mtu.or(too_small.then_some(MTU_DEFAULT_BYTES));
        if let Some(mtu) = mtu.filter(|mtu| found.mtu != Some(*mtu)) {
            self.set(ns, name, LinkSetting::Mtu(mtu), wanted.origin);
        }
        let Some(found) = self.interface(ns, name) else { return };
        let mut sets = Vec::new();
        sets.extend(differs(wants_ipv6(wanted), found.ipv6).map(LinkSetting::Ipv6));
        sets.extend(wanted.mac.filter(|mac| found.mac != Some(*mac)).map(LinkSetting::Mac));
        if wanted.alias != found.alias {
            sets.push(LinkSetting::Alias(wanted.alias.clone()));
        }
        let gone = found.altnames.difference(&wanted.altnames).cloned();
        sets.extend(gone.map(LinkSetting::DelAltname));
        let new = wanted.altnames.difference(&found.altnames).cloned();
        sets.extend(new.map(LinkSetting::AddAltname));
        if let (Kind::Bridge { stp }, Kind::Bridge { stp: found }) = (&wanted.kind, &found.kind)
            && stp != found
        {
            sets.push(LinkSetting::Stp(*stp));
        }
        if wanted.master != found.master {
            sets.push(LinkSetting::Master(wanted.master.clone()));
        }
        sets.extend(differs(wanted.forward_ipv4, found.forward_ipv4).map(LinkSetting::ForwardIpv4));
        if wanted.up != found.up {
            sets.push(LinkSetting::Up(wanted.up));
        }
        for set in sets {
            self.set(ns, name, set, wanted.origin);
        }
    }

    /// Removes first, adds then: the last removal may take the rest of a subnet with it.
    fn addresses(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        let extra =
            |found: &Address| !wanted.addresses.contains(found) && !found.is_ipv6_link_local();
        let found = self.interface(ns, name).map(|i| i.addresses.clone()).unwrap_or_default();
        for address in found.into_iter().filter(|found| extra(found) || demoted(found, wanted)) {
            // It is the first of its subnet now, or it would not matter.
            let there = self.interface(ns, name).is_some_and(|i| {
                i.addresses.contains(&address) && (extra(&address) || is_primary(&address, i))
            });
            if there {
                let change = Change::DelAddress { dev: name.clone(), address };
                self.push(ns, change, wanted.origin);
            }
        }
        for address in &wanted.addresses {
            let there = self.interface(ns, name).is_some_and(|i| i.addresses.contains(address));
            if !there {
                let change = Change::AddAddress { dev: name.clone(), address: *address };
                self.push(ns, change, address.origin.or(wanted.origin));
            }
        }
    }

    pub(super) fn sysctls(&mut self, ns: &NsName, wanted: &Namespace, which: fn(&str) -> bool) {
        for (key, value) in wanted.sysctls.iter().filter(|(key, _)| which(key)) {
            let found = self.work.namespaces.get(ns).and_then(|ns| ns.sysctls.get(key));
            if found != Some(value) {
                let change = Change::SetSysctl { key: key.clone(), value: value.clone() };
                self.push(ns, change, wanted.origin);
            }
        }
    }
}
