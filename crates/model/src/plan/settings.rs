//! What differs in a namespace that has all its interfaces: settings, addresses, routes.

use std::collections::BTreeSet;

use super::{Planner, demoted, interface_of_sysctl, is_primary, wants_ipv6};
use crate::names::{IfName, NsName};
use crate::state::{
    Address, Interface, Kind, METRIC_IPV6_CONNECTED, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES,
    Namespace, Route, RouteKey, TABLE_MAIN,
};
use crate::step::{Change, LinkSetting};

impl Planner<'_> {
    pub(super) fn settings(&mut self, ns: &NsName, wanted: &Namespace) {
        self.sysctls(ns, wanted, |key| interface_of_sysctl(key).is_some());
        // Bridges before their ports.
        let is_port = |interface: &Interface| interface.master.is_some();
        for ports in [false, true] {
            for (name, interface) in &wanted.interfaces {
                if is_port(interface) == ports && self.interface(ns, name).is_some() {
                    self.interface_settings(ns, name, interface);
                    self.addresses(ns, name, interface);
                }
            }
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

    pub(super) fn routes(&mut self, ns: &NsName, wanted: &Namespace) {
        let found = self.work.namespaces.get(ns).map(|ns| &ns.routes);
        let mut missing: Vec<&Route> = wanted
            .routes
            .iter()
            .filter(|route| !found.is_some_and(|found| found.contains(*route)))
            .collect();
        for route in &missing {
            self.free_the_way(ns, wanted, route);
        }
        // What is on the link first: a gateway may be reached through it.
        missing.sort_by_key(|route| route.nexthops.iter().any(|hop| hop.via.is_some()));
        // A route that was there a moment ago may still be, if the kernel's rules are not the usual.
        let keys: BTreeSet<RouteKey> = match missing.is_empty() {
            true => BTreeSet::new(),
            false => self
                .observed
                .namespaces
                .get(ns)
                .map(|ns| ns.routes.iter().map(Route::key).collect())
                .unwrap_or_default(),
        };
        for route in missing {
            let change = match keys.contains(&route.key()) {
                true => Change::ReplaceRoute(route.clone()),
                false => Change::AddRoute(route.clone()),
            };
            self.push(ns, change, route.origin);
        }
        let found = self.work.namespaces.get(ns).map(|ns| ns.routes.clone()).unwrap_or_default();
        for route in found.into_iter().filter(|route| !wanted.routes.contains(route)) {
            self.push(ns, Change::DelRoute(route), wanted.origin);
        }
    }

    /// Takes addresses off interfaces that are removed only at the end: no gateway may be an address
    /// of the namespace itself (`ip6_route_check_nh`, net/ipv6/route.c), and the route that comes
    /// with an address's prefix may have the place of a wanted one (EEXIST).
    fn free_the_way(&mut self, ns: &NsName, wanted: &Namespace, route: &Route) {
        let leaving = |(name, interface): &(&IfName, &Interface)| {
            interface.ours && !wanted.interfaces.contains_key(*name)
        };
        let is_in_the_way = |address: &&Address| {
            route.nexthops.iter().any(|hop| hop.via == Some(address.net.addr()))
                || connected(address) == route.key()
        };
        let found = self.work.namespaces.get(ns).map(|ns| &ns.interfaces);
        let taken: Vec<(IfName, Address)> = found
            .into_iter()
            .flatten()
            .filter(leaving)
            .flat_map(|(dev, i)| {
                i.addresses.iter().filter(is_in_the_way).map(|a| (dev.clone(), *a))
            })
            .collect();
        for (dev, address) in taken {
            // It may have gone with another one.
            if self.interface(ns, &dev).is_some_and(|i| i.addresses.contains(&address)) {
                self.push(ns, Change::DelAddress { dev, address }, route.origin);
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

/// Returns the key of the route that the kernel makes for an address's prefix
/// (`fib_add_ifaddr`, net/ipv4/fib_frontend.c; `addrconf_prefix_route`, net/ipv6/addrconf.c).
fn connected(address: &Address) -> RouteKey {
    let metric = if address.net.addr().is_ipv4() { 0 } else { METRIC_IPV6_CONNECTED };
    (TABLE_MAIN, address.net.trunc(), metric)
}
