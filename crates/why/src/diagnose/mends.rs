//! What mends: steps that bring back what was meant, or make something that works.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::ipnet::IpNet;
use vnet_model::{Address, Change, IfName, LinkSetting, NsName, Route, Step};

use super::{Case, set};
use crate::fib;
use crate::suggest;

/// How many addresses of a prefix are tried.
const ADDRESSES_TRIED_MAX: u32 = 4096;

impl Case<'_, '_> {
    /// Brings an interface up, with all that it was meant to have and went with it: IPv6 addresses,
    /// and routes.
    pub(super) fn restore(&self, ns: &NsName, dev: &IfName) -> Vec<Step> {
        let Some(found) = self.scene.interface(ns, dev) else { return Vec::new() };
        let mut steps = Vec::new();
        if !found.up {
            steps.push(set(ns, dev, LinkSetting::Up(true)));
        }
        let Some(meant) = self.scene.meant_interface(ns, dev) else { return steps };
        if let Some(mtu) = meant.mtu.filter(|_| found.mtu.is_some_and(|mtu| mtu < 1280)) {
            steps.push(set(ns, dev, LinkSetting::Mtu(mtu)));
        }
        if found.ipv6 == Some(false) && meant.ipv6 != Some(false) {
            steps.push(set(ns, dev, LinkSetting::Ipv6(true)));
        }
        let missing = |address: &&Address| !found.addresses.contains(address);
        for address in meant.addresses.iter().filter(missing) {
            let change = Change::AddAddress { dev: dev.clone(), address: *address };
            steps.push(Step::new(ns.clone(), change).from(address.origin));
        }
        steps.extend(self.lost_routes(ns, dev));
        steps
    }

    /// The routes by an interface that were meant and are not there.
    pub(super) fn lost_routes(&self, ns: &NsName, dev: &IfName) -> Vec<Step> {
        let (Some(meant), Some(found)) = (self.scene.meant(ns), self.scene.ns(ns)) else {
            return Vec::new();
        };
        let lost = |route: &&Route| {
            let key = route.key();
            route.uses(dev) && !found.routes.iter().any(|other| other.key() == key)
        };
        let add = |route: &Route| {
            Step::new(ns.clone(), Change::AddRoute(route.clone())).from(route.origin)
        };
        meant.routes.iter().filter(lost).map(add).collect()
    }

    /// Puts the IPv4 routes by an interface as they are: they may go with an address.
    pub(super) fn routes_by(&self, ns: &NsName, dev: &IfName) -> Vec<Step> {
        let found = self.scene.ns(ns).into_iter().flat_map(|found| &found.routes);
        let by = found.filter(|route| route.uses(dev) && route.dst.addr().is_ipv4());
        by.map(|route| Step::new(ns.clone(), Change::ReplaceRoute(route.clone()))).collect()
    }

    /// Takes an address away from whoever has it there.
    pub(super) fn without_address(&self, ns: &NsName, addr: IpAddr) -> Vec<Step> {
        let held = self.scene.ns(ns).and_then(|found| fib::holder(found, addr));
        let del = |(dev, net): (&IfName, IpNet)| {
            let change = Change::DelAddress { dev: dev.clone(), address: Address::new(net) };
            Step::new(ns.clone(), change)
        };
        held.map(del).into_iter().collect()
    }

    /// Gives an interface another address instead of one, and puts back the routes by it.
    pub(super) fn readdress(&self, ns: &NsName, dev: &IfName, old: IpNet, new: IpNet) -> Vec<Step> {
        let address = |net| Address::new(net);
        let del = Change::DelAddress { dev: dev.clone(), address: address(old) };
        let add = Change::AddAddress { dev: dev.clone(), address: address(new) };
        // The old one last where both can be there together: the routes then outlive it.
        let mut steps = vec![Step::new(ns.clone(), add), Step::new(ns.clone(), del)];
        if old.addr().is_ipv6() && old.addr() == new.addr() {
            steps.reverse();
        }
        if let Some(found) = self.scene.ns(ns) {
            let meant = self.scene.meant(ns);
            let lost = |route: &&Route| match meant {
                Some(meant) => route.src.is_some() && meant.routes.contains(*route),
                None => route.src == Some(old.addr()),
            };
            let back = found.routes.iter().filter(|route| route.uses(dev)).filter(lost);
            let back = back.map(|route| Change::ReplaceRoute(route.clone()));
            steps.extend(back.map(|change| Step::new(ns.clone(), change)));
        }
        steps.extend(self.lost_routes(ns, dev));
        steps
    }

    /// Moves whoever has an address to a free one of its subnet.
    pub(super) fn other_address(&self, ns: &NsName, addr: IpAddr) -> Vec<Step> {
        let Some((dev, old)) = self.scene.ns(ns).and_then(|found| fib::holder(found, addr)) else {
            return Vec::new();
        };
        let Some(new) = self.free_in(old) else { return Vec::new() };
        self.readdress(ns, dev, old, new)
    }

    /// Gives a namespace that has no address of the family one: as was meant, else one of a subnet
    /// that others on one of its links have.
    pub(super) fn free_address(&self, ns: &NsName) -> Vec<Step> {
        let ipv4 = self.dst.is_ipv4();
        if let Some(meant) = self.scene.meant(ns) {
            let of_family = |address: &Address| {
                address.net.addr().is_ipv4() == ipv4 && !address.net.addr().is_loopback()
            };
            let steps: Vec<Step> = meant
                .interfaces
                .iter()
                .filter(|(_, interface)| interface.addresses.iter().any(of_family))
                .flat_map(|(dev, _)| self.restore(ns, dev))
                .collect();
            if !steps.is_empty() {
                return steps;
            }
        }
        for (dev, far) in suggest::neighbours(self.scene, ns) {
            let nets = self.scene.end(&far).into_iter().flat_map(|i| &i.addresses);
            let mut nets = nets.map(|address| address.net);
            let net =
                nets.find(|net| net.addr().is_ipv4() == ipv4 && !super::link_local(net.addr()));
            if let Some(new) = net.and_then(|net| self.free_in(net)) {
                let change = Change::AddAddress { dev, address: Address::new(new) };
                return vec![Step::new(ns.clone(), change)];
            }
        }
        Vec::new()
    }

    /// Finds an address of a subnet that nobody has.
    fn free_in(&self, net: IpNet) -> Option<IpNet> {
        (1..ADDRESSES_TRIED_MAX).find_map(|number| {
            let addr: IpAddr = match net.network() {
                IpAddr::V4(base) => Ipv4Addr::from(u32::from(base).checked_add(number)?).into(),
                IpAddr::V6(base) => {
                    Ipv6Addr::from(u128::from(base).checked_add(number.into())?).into()
                }
            };
            let usable = net.contains(&addr) && addr != net.broadcast();
            (usable && self.scene.owners(addr).is_empty())
                .then(|| IpNet::new(addr, net.prefix_len()).ok())?
        })
    }
}
