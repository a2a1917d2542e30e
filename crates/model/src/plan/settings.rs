//! What differs in a namespace that has all its interfaces: settings, addresses, sysctls.

use super::order::{By, ordered};
use super::{Planner, demoted, interface_of_sysctl, is_primary, wants_ipv6};
use crate::kind::{ChangeBy, KindSpec, OptionSpec, Options, Value};
use crate::names::{IfName, NsName};
use crate::nft::{Edit, Table};
use crate::state::{
    Address, End, Interface, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, Namespace,
};
use crate::step::{Change, LinkSetting};

impl Planner<'_> {
    pub(super) fn settings(&mut self, ns: &NsName, wanted: &Namespace) {
        self.sysctls(ns, wanted, |key| interface_of_sysctl(key).is_some());
        // Before anything is up: no packet comes by that is not to.
        self.tables(ns, wanted);
        for (name, interface) in ordered(wanted, By::MasterAndLower) {
            if self.interface(ns, name).is_some() {
                self.interface_settings(ns, name, interface);
                self.port_vlans(ns, name, interface);
                self.fdb(ns, name, interface);
                self.addresses(ns, name, interface);
            }
        }
        // What one port says of another waits until both are.
        for (name, interface) in &wanted.interfaces {
            if interface.port.iter().any(|(_, value)| matches!(value, Value::Interface(_))) {
                self.master(ns, name, interface);
            }
        }
    }

    /// Makes the tables that are missing or differ. What is as wanted is not touched, so its counters
    /// go on.
    fn tables(&mut self, ns: &NsName, wanted: &Namespace) {
        for (id, table) in &wanted.tables {
            let found = self.work.namespaces.get(ns).and_then(|ns| ns.tables.get(id));
            let change = match found {
                Some(found) if found == table => continue,
                Some(found) => Change::ChangeTable {
                    edit: Edit::between(found, table),
                    table: Box::new(table.clone()),
                },
                None => Change::AddTable(Box::new(table.clone())),
            };
            self.push(ns, change, table.origin.or(wanted.origin));
        }
        let Some(raw) = &wanted.nft_text else { return };
        let found = self.work.namespaces.get(ns).map(|ns| &ns.tables);
        let is_there = |table: &Table| found.is_some_and(|all| all.get(&table.id) == Some(table));
        if !raw.tables.as_ref().is_some_and(|tables| tables.iter().all(is_there)) {
            let change = Change::RunNft(Box::new(raw.clone()));
            self.push(ns, change, raw.origin.or(wanted.origin));
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
        for set in sets {
            self.set(ns, name, set, wanted.origin);
        }
        self.device_options(ns, name, wanted);
        self.master(ns, name, wanted);
        let Some(found) = self.interface(ns, name) else { return };
        let forward = differs(wanted.forward_ipv4, found.forward_ipv4);
        let up = (wanted.up != found.up).then_some(wanted.up);
        let length = wanted.txqueuelen.filter(|length| found.txqueuelen != Some(*length));
        let sets = forward.map(LinkSetting::ForwardIpv4).into_iter();
        let sets = sets.chain(length.map(LinkSetting::TxQueueLen));
        let cpus = wanted.rps_cpus.clone().filter(|cpus| found.rps_cpus.as_ref() != Some(cpus));
        let sets = sets.chain(cpus.map(LinkSetting::RpsCpus));
        for set in sets.chain(up.map(LinkSetting::Up)) {
            self.set(ns, name, set, wanted.origin);
        }
        self.offloads(ns, name, wanted);
    }

    /// Turns off first: what is on may need what is turned on.
    fn offloads(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        for turn in [false, true] {
            for (offload, on) in wanted.offload.iter().filter(|(_, on)| **on == turn) {
                let found = self.interface(ns, name).and_then(|it| it.offload.get(offload));
                if found != Some(on) {
                    self.set(ns, name, LinkSetting::Offload(*offload, *on), wanted.origin);
                }
            }
        }
    }

    /// Sets what differs of the options of its kind.
    fn device_options(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        let Some(found) = self.interface(ns, name) else { return };
        let (Kind::Device(wanted_device), Kind::Device(device)) = (&wanted.kind, &found.kind)
        else {
            return;
        };
        let mut set = device.changes_to(wanted_device);
        if set.is_empty() {
            return;
        }
        let spec = wanted_device.spec;
        let waits = spec.leave_out_unsayable(&mut set);
        let mut rest = Options::new();
        if spec.says_all {
            rest = device.options.clone();
            set.iter().for_each(|(word, _)| rest.forget(word));
            let once = spec.options.iter().filter(|option| option.once);
            once.for_each(|option| rest.forget(option.word));
        }
        let down = |option: &OptionSpec| option.change == ChangeBy::MessageWhileDown;
        let goes_down = found.up && set.of(spec.options).any(|(option, _)| down(option));
        let here = End { ns: ns.clone(), name: name.clone() };
        let (end, set) = LinkSetting::options(here, device, set, rest);
        if goes_down {
            self.set(ns, name, LinkSetting::Up(false), wanted.origin);
        }
        self.set(&end.ns, &end.name, set, wanted.origin);
        if waits {
            self.device_options(ns, name, wanted);
        }
    }

    /// Makes it a port of what it shall be one of, and sets what differs of its options there.
    fn master(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        let Some(found) = self.interface(ns, name) else { return };
        let master = wanted.master.as_ref().and_then(|master| self.interface(ns, master));
        let spec = master.and_then(|master| Some(master.kind.device()?.spec));
        if wanted.master != found.master {
            // A bond takes nobody who is up (`bond_enslave`, drivers/net/bonding/bond_main.c).
            if found.up && spec.is_some_and(KindSpec::is_bond) {
                self.set(ns, name, LinkSetting::Up(false), wanted.origin);
            }
            let set = LinkSetting::Master(wanted.master.clone());
            self.set(ns, name, set, wanted.origin);
        }
        let Some((spec, found)) = spec.zip(self.interface(ns, name)) else { return };
        let is_port = |value: &Value| match value {
            Value::Interface(other) => {
                self.interface(ns, other).is_some_and(|it| it.master == wanted.master)
            }
            _ => true,
        };
        let set = found.port.changes_to(&wanted.port, spec.port);
        let set: Options = set
            .of(spec.port)
            .filter(|(_, value)| is_port(value))
            .map(|(option, value)| (option, value.clone()))
            .collect();
        if !set.is_empty() && found.master == wanted.master {
            let set = LinkSetting::Options { spec, port: true, set, rest: Options::new() };
            self.set(ns, name, set, wanted.origin);
        }
    }

    /// Removes first, adds then: the last removal may take the rest of a subnet with it. An address whose
    /// connected route is gone is added anew, which brings it back.
    fn addresses(&mut self, ns: &NsName, name: &IfName, wanted: &Interface) {
        let Some(found) = self.interface(ns, name) else { return };
        let (found, cut_off) = (found.addresses.clone(), found.cut_off.clone());
        let extra = |found: &Address| {
            cut_off.contains(found)
                || (!wanted.addresses.contains(found) && !found.is_ipv6_link_local())
        };
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
            let found = self.work.namespaces.get(ns).and_then(|ns| ns.sysctl(key));
            if found != Some(value.as_str()) {
                let change = Change::SetSysctl { key: key.clone(), value: value.clone() };
                self.push(ns, change, wanted.sysctl_origins.get(key).or(wanted.origin));
            }
        }
    }
}
