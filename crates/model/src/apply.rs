//! A kernel on paper: what a step does to a state, side effects too.
//!
//! The planner tries its steps out here before they go to the kernel, so it knows what else each of
//! them takes away: the secondary addresses behind a primary one, the routes of an interface that
//! goes down. Tests use it as the kernel itself. Where the real one turns out to differ (it has
//! settings that change these rules), `up` sees that when it looks again and mends it in another
//! round.

use std::net::IpAddr;

use crate::mac::Mac;
use crate::names::{IfName, NsName};
use crate::state::{
    Address, End, Interface, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, MTU_LOOPBACK_BYTES,
    Namespace, NextHop, Owner, Route, RouteKind, State, TABLE_MAIN,
};
use crate::step::{Change, LinkSetting, NewLink, Step};

/// Why the kernel on paper refuses a step; the real one would too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// What is to be made exists already (EEXIST).
    #[error("{0} exists")]
    Exists(String),
    /// What is to be changed or removed does not exist (ENODEV, ENOENT, EADDRNOTAVAIL, ESRCH).
    #[error("{0} does not exist")]
    Missing(String),
    /// The interface can't have this setting (EOPNOTSUPP, EACCES, EINVAL).
    #[error("{0}")]
    Invalid(String),
    /// A route's interface is down (ENETDOWN) or its gateway is not on the link (ENETUNREACH).
    #[error("{0} is not reachable")]
    Unreachable(String),
}

/// The name of the loopback interface.
pub const LOOPBACK: &str = "lo";

impl Step {
    /// Does the step to a state, with all that the kernel does of itself.
    ///
    /// # Errors
    /// Where the kernel would refuse; the state is then as before.
    pub fn apply(&self, state: &mut State) -> Result<(), Refused> {
        match &self.change {
            Change::AddNamespace { mark } => {
                let new = Namespace::new(Owner::Lab(mark.clone()));
                if state.namespaces.contains_key(&self.ns) {
                    return Err(Refused::Exists(self.to_string()));
                }
                state.namespaces.insert(self.ns.clone(), new);
                Ok(())
            }
            Change::DelNamespace => state.remove_namespace(&self.ns),
            Change::AddLink { name, link } => state.add_link(&self.ns, name, link),
            Change::DelLink { name } => state.remove_link(&self.ns, name),
            Change::SetLink { name, set } => state.namespace_mut(&self.ns)?.set_link(name, set),
            Change::AddAddress { dev, address } => {
                state.namespace_mut(&self.ns)?.interface_mut(dev)?.add_address(*address)
            }
            Change::DelAddress { dev, address } => {
                state.namespace_mut(&self.ns)?.remove_address(dev, address)
            }
            Change::AddRoute(route) => state.namespace_mut(&self.ns)?.add_route(route),
            Change::ReplaceRoute(route) => {
                let ns = state.namespace_mut(&self.ns)?;
                ns.check_route(route)?;
                ns.routes.retain(|other| other.key() != route.key());
                ns.routes.insert(route.clone());
                Ok(())
            }
            Change::DelRoute(route) => match state.namespace_mut(&self.ns)?.routes.remove(route) {
                true => Ok(()),
                false => Err(Refused::Missing(self.to_string())),
            },
            Change::SetSysctl { key, value } => {
                state.namespace_mut(&self.ns)?.set_sysctl(key, value);
                Ok(())
            }
        }
    }
}

impl State {
    fn namespace_mut(&mut self, ns: &NsName) -> Result<&mut Namespace, Refused> {
        self.namespaces.get_mut(ns).ok_or_else(|| Refused::Missing(format!("namespace {ns}")))
    }

    fn remove_namespace(&mut self, ns: &NsName) -> Result<(), Refused> {
        let interfaces: Vec<IfName> =
            self.namespace_mut(ns)?.interfaces.keys().filter(|n| !is_lo(n)).cloned().collect();
        for name in interfaces {
            // A pair with both ends in here is gone after its first end.
            let _ = self.remove_link(ns, &name);
        }
        self.namespaces.remove(ns);
        Ok(())
    }

    fn add_link(&mut self, ns: &NsName, name: &IfName, link: &NewLink) -> Result<(), Refused> {
        let here = End { ns: ns.clone(), name: name.clone() };
        self.check_free(&here)?;
        match link {
            NewLink::Bridge { mac, mtu, stp } => {
                self.insert_link(&here, Kind::Bridge { stp: *stp }, *mac, *mtu)
            }
            NewLink::Veth { mac, mtu, peer } => {
                self.check_free(&peer.end)?;
                if peer.end == here {
                    return Err(Refused::Exists(here.to_string()));
                }
                let kind = |peer: &End| Kind::Veth { peer: Some(peer.clone()) };
                self.insert_link(&here, kind(&peer.end), *mac, *mtu)?;
                self.insert_link(&peer.end, kind(&here), peer.mac, peer.mtu)
            }
        }
    }

    fn check_free(&mut self, end: &End) -> Result<(), Refused> {
        match self.namespace_mut(&end.ns)?.interfaces.contains_key(&end.name) {
            true => Err(Refused::Exists(format!("interface {end}"))),
            false => Ok(()),
        }
    }

    fn insert_link(
        &mut self,
        end: &End,
        kind: Kind,
        mac: Option<Mac>,
        mtu: Option<u32>,
    ) -> Result<(), Refused> {
        let ns = self.namespace_mut(&end.ns)?;
        let forward = ns.sysctl_is("net.ipv4.conf.default.forwarding", "1");
        let is_bridge = matches!(kind, Kind::Bridge { .. });
        let interface = Interface {
            mac,
            // A bridge takes over the least of its ports' until it is told one.
            mtu: mtu.or((!is_bridge).then_some(MTU_DEFAULT_BYTES)),
            forward_ipv4: Some(forward),
            ipv6: Some(ns.default_ipv6() && mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES)),
            ..Interface::new(kind)
        };
        ns.interfaces.insert(end.name.clone(), interface);
        Ok(())
    }

    fn remove_link(&mut self, ns: &NsName, name: &IfName) -> Result<(), Refused> {
        let removed = self.namespace_mut(ns)?.remove_interface(name)?;
        if let Kind::Veth { peer: Some(peer) } = removed.kind
            && let Some(other) = self.namespaces.get_mut(&peer.ns)
        {
            // The peer may have lost its namespace, or the two may not agree about each other.
            let _ = other.remove_interface(&peer.name);
        }
        Ok(())
    }
}

impl Namespace {
    /// Makes a namespace as the kernel makes it: nothing but a `lo` that is down.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        let lo = Interface {
            mtu: Some(MTU_LOOPBACK_BYTES),
            forward_ipv4: Some(false),
            ipv6: Some(true),
            ..Interface::new(Kind::Loopback)
        };
        #[expect(clippy::unwrap_used, reason = "`lo` is a valid interface name")]
        let name = IfName::new(LOOPBACK).unwrap();
        Self {
            owner,
            interfaces: [(name, lo)].into(),
            routes: Default::default(),
            sysctls: Default::default(),
            origin: Default::default(),
        }
    }

    /// Tells whether IPv6 runs on interfaces that are made now. Where the sysctl is not known, `lo`
    /// serves as a sign: its IPv6 goes off and on with all others'.
    fn default_ipv6(&self) -> bool {
        match self.sysctls.get("net.ipv6.conf.default.disable_ipv6") {
            Some(value) => value != "1",
            None => self.interfaces.get(LOOPBACK).is_none_or(|lo| lo.ipv6 != Some(false)),
        }
    }

    fn sysctl_is(&self, key: &str, value: &str) -> bool {
        self.sysctls.get(key).is_some_and(|found| found == value)
    }

    fn interface_mut(&mut self, name: &IfName) -> Result<&mut Interface, Refused> {
        self.interfaces.get_mut(name).ok_or_else(|| Refused::Missing(format!("interface {name}")))
    }

    fn remove_interface(&mut self, name: &IfName) -> Result<Interface, Refused> {
        if is_lo(name) {
            return Err(Refused::Invalid("lo can't be removed".into()));
        }
        let missing = || Refused::Missing(format!("interface {name}"));
        let removed = self.interfaces.remove(name).ok_or_else(missing)?;
        self.routes.retain(|route| !route.uses(name));
        for address in &removed.addresses {
            self.forget_source(address);
        }
        for other in self.interfaces.values_mut() {
            if other.master.as_ref() == Some(name) {
                other.master = None;
            }
        }
        Ok(removed)
    }

    fn set_link(&mut self, name: &IfName, set: &LinkSetting) -> Result<(), Refused> {
        let is_bridge = |ns: &Self, name: &IfName| {
            matches!(ns.interfaces.get(name).map(|i| &i.kind), Some(Kind::Bridge { .. }))
        };
        match set {
            LinkSetting::Master(Some(master)) if !is_bridge(self, master) => {
                return Err(Refused::Invalid(format!("{master} is not a bridge")));
            }
            LinkSetting::Stp(_) if !is_bridge(self, name) => {
                return Err(Refused::Invalid(format!("{name} is not a bridge")));
            }
            _ => {}
        }
        let interface = self.interface_mut(name)?;
        match set {
            LinkSetting::Up(true) => interface.go_up(),
            LinkSetting::Up(false) => self.go_down(name)?,
            LinkSetting::Mtu(mtu) => self.set_mtu(name, *mtu)?,
            LinkSetting::Mac(mac) => interface.mac = Some(*mac),
            LinkSetting::Alias(alias) => interface.alias.clone_from(alias),
            LinkSetting::Master(master) => interface.master.clone_from(master),
            LinkSetting::AddAltname(name) => {
                interface.altnames.insert(name.clone());
            }
            LinkSetting::DelAltname(name) => {
                interface.altnames.remove(name);
            }
            LinkSetting::ForwardIpv4(on) => interface.forward_ipv4 = Some(*on),
            LinkSetting::Ipv6(on) => self.set_ipv6(name, *on)?,
            LinkSetting::Stp(on) => interface.kind = Kind::Bridge { stp: *on },
        }
        Ok(())
    }

    /// Changes an MTU; IPv6 leaves an interface that is too small for it, and comes back to one that
    /// has grown (`addrconf_notify`, net/ipv6/addrconf.c).
    fn set_mtu(&mut self, name: &IfName, mtu: u32) -> Result<(), Refused> {
        let default_ipv6 = self.default_ipv6();
        let interface = self.interface_mut(name)?;
        let fits = |mtu: u32| mtu >= MTU_IPV6_MIN_BYTES;
        let before = interface.mtu.replace(mtu);
        if !fits(mtu) {
            interface.ipv6 = Some(false);
            self.lose_ipv6_addresses(name)?;
            // As if the interface were gone: other legs save nothing.
            self.routes.retain(|route| route.dst.addr().is_ipv4() || !route.uses(name));
        } else if before.is_some_and(|mtu| !fits(mtu)) {
            interface.ipv6 = Some(default_ipv6);
        }
        Ok(())
    }

    fn set_ipv6(&mut self, name: &IfName, on: bool) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        interface.ipv6 = Some(on);
        match on {
            true => interface.add_loopback_ipv6(),
            false => {
                self.lose_ipv6_addresses(name)?;
                self.lose_routes(name, |route| route.dst.addr().is_ipv6());
            }
        }
        Ok(())
    }

    /// Takes a link down: IPv6 loses its addresses (`keep_addr_on_down` is 0), both families the
    /// routes that have no other leg up (`fib_sync_down_dev`, net/ipv4/fib_semantics.c).
    fn go_down(&mut self, name: &IfName) -> Result<(), Refused> {
        self.interface_mut(name)?.up = false;
        self.lose_ipv6_addresses(name)?;
        self.lose_routes(name, |_| true);
        Ok(())
    }

    /// Removes the routes over an interface that have no living leg over another: such a leg keeps
    /// the rest of its route, dead, until that comes back. Which legs are dead the kernel notes in
    /// the route; here, those are over interfaces that are down or have no address.
    fn lose_routes(&mut self, dev: &IfName, which: impl Fn(&Route) -> bool) {
        let interfaces = &self.interfaces;
        let lives =
            |hop: &NextHop| hop.dev != *dev && interfaces.get(&hop.dev).is_some_and(|i| i.up);
        let dead = |route: &Route| route.uses(dev) && !route.nexthops.iter().any(lives);
        self.routes.retain(|route| !(which(route) && dead(route)));
    }

    fn lose_ipv6_addresses(&mut self, name: &IfName) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        let (lost, kept) = interface.addresses.iter().partition(|a| a.net.addr().is_ipv6());
        interface.addresses = kept;
        let lost: Vec<Address> = lost;
        lost.iter().for_each(|address| self.forget_source(address));
        Ok(())
    }

    /// Removes an address and what hangs on it: the secondary addresses of its IPv4 subnet when it
    /// was the primary one (`promote_secondaries` is 0), the IPv4 routes of the interface when it was
    /// the last (`fib_disable_ip`), and routes that prefer it as their source.
    fn remove_address(&mut self, dev: &IfName, address: &Address) -> Result<(), Refused> {
        let interface = self.interface_mut(dev)?;
        let Some(at) = interface.addresses.iter().position(|other| other == address) else {
            return Err(Refused::Missing(format!("address {address} on {dev}")));
        };
        let mut removed = vec![interface.addresses.remove(at)];
        if address.net.addr().is_ipv4() {
            let subnet = address.net.trunc();
            let same = |other: &&Address| other.net.trunc() == subnet;
            if !interface.addresses[..at].iter().any(|other| same(&other)) {
                removed.extend(interface.addresses.iter().filter(same));
                interface.addresses.retain(|other| !same(&other));
            }
            if !interface.addresses.iter().any(|other| other.net.addr().is_ipv4()) {
                self.lose_routes(dev, |route| route.dst.addr().is_ipv4());
            }
        }
        removed.iter().for_each(|address| self.forget_source(address));
        Ok(())
    }

    /// Removes the IPv4 routes of the main table that prefer a source address which is gone
    /// (`fib_sync_down_addr`, net/ipv4/fib_semantics.c); IPv6 routes only forget the preference
    /// (`fib6_remove_prefsrc`, net/ipv6/route.c).
    fn forget_source(&mut self, address: &Address) {
        let addr = address.net.addr();
        let still = |i: &Interface| i.addresses.iter().any(|other| other.net.addr() == addr);
        if self.interfaces.values().any(still) {
            return;
        }
        let affected = |route: &&Route| {
            route.src == Some(addr) && (addr.is_ipv6() || route.table == TABLE_MAIN)
        };
        let affected: Vec<Route> = self.routes.iter().filter(affected).cloned().collect();
        for route in affected {
            self.routes.remove(&route);
            if addr.is_ipv6() {
                self.routes.insert(Route { src: None, ..route });
            }
        }
    }

    fn add_route(&mut self, route: &Route) -> Result<(), Refused> {
        if self.routes.iter().any(|other| other.key() == route.key()) {
            return Err(Refused::Exists(format!("route {route}")));
        }
        self.check_route(route)?;
        self.routes.insert(route.clone());
        Ok(())
    }

    fn check_route(&self, route: &Route) -> Result<(), Refused> {
        if (route.kind == RouteKind::Unicast) == route.nexthops.is_empty() {
            return Err(Refused::Invalid(format!("route {route} has the wrong next hops")));
        }
        for hop in &route.nexthops {
            self.check_hop(hop)?;
        }
        let has = |addr| self.interfaces.values().any(|i| i.has_addr(addr));
        // The source of an IPv4 route that leads nowhere is not looked at (`fib_create_info`).
        let checked = route.kind == RouteKind::Unicast || route.dst.addr().is_ipv6();
        match route.src {
            Some(src) if checked && !has(src) => {
                Err(Refused::Invalid(format!("{src} is not an address")))
            }
            _ => Ok(()),
        }
    }

    fn check_hop(&self, hop: &NextHop) -> Result<(), Refused> {
        let missing = || Refused::Missing(format!("interface {}", hop.dev));
        let interface = self.interfaces.get(&hop.dev).ok_or_else(missing)?;
        if !interface.up {
            return Err(Refused::Unreachable(format!("{} is down and", hop.dev)));
        }
        let Some(via) = hop.via else { return Ok(()) };
        // Every IPv6 interface has a link-local prefix (RFC 4291, section 2.1).
        let link_local = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
        let on_link = link_local
            || interface.addresses.iter().any(|address| address.net.contains(&via))
            || self.routes.iter().any(|route| {
                route.dst.contains(&via)
                    && route.nexthops.iter().any(|leg| leg.dev == hop.dev && leg.via.is_none())
            });
        match on_link || hop.onlink {
            true => Ok(()),
            false => Err(Refused::Unreachable(format!("gateway {via} on {}", hop.dev))),
        }
    }

    fn set_sysctl(&mut self, key: &str, value: &str) {
        self.sysctls.insert(key.to_owned(), value.to_owned());
        let parts: Vec<&str> = key.split('.').collect();
        let (scope, setting) = match parts.as_slice() {
            ["net", "ipv4", "ip_forward"] => {
                return self.set_sysctl("net.ipv4.conf.all.forwarding", value);
            }
            ["net", "ipv4", "conf", scope, "forwarding"] => (*scope, "forwarding"),
            ["net", "ipv6", "conf", scope, "disable_ipv6"] => (*scope, "disable_ipv6"),
            _ => return,
        };
        let names: Vec<IfName> = match scope {
            "default" => return,
            "all" => {
                // What is written for all goes for those to come, too.
                let default = key.replace(".all.", ".default.");
                self.sysctls.insert(default, value.to_owned());
                self.interfaces.keys().cloned().collect()
            }
            // Dots of an interface's name are written as `/` (`sysctl(8)`).
            name => IfName::new(&name.replace('/', ".")).into_iter().collect(),
        };
        for name in names {
            let set = match setting {
                "forwarding" => LinkSetting::ForwardIpv4(value == "1"),
                _ => LinkSetting::Ipv6(value != "1"),
            };
            let _ = self.set_link(&name, &set);
        }
    }
}

impl Interface {
    fn has_addr(&self, addr: std::net::IpAddr) -> bool {
        self.addresses.iter().any(|address| address.net.addr() == addr)
    }

    /// Brings a link up; `lo` gets its addresses if it has none (`inetdev_event`, net/ipv4/
    /// devinet.c; `init_loopback`, net/ipv6/addrconf.c).
    fn go_up(&mut self) {
        self.up = true;
        if self.kind == Kind::Loopback {
            if !self.addresses.iter().any(|address| address.net.addr().is_ipv4()) {
                self.addresses.insert(0, Address::loopback_ipv4());
            }
            self.add_loopback_ipv6();
        }
    }

    fn add_loopback_ipv6(&mut self) {
        let address = Address::loopback_ipv6();
        let wanted = self.kind == Kind::Loopback && self.up && self.ipv6 != Some(false);
        if wanted && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    fn add_address(&mut self, address: Address) -> Result<(), Refused> {
        let addr = address.net.addr();
        // IPv4 tells addresses apart by their prefix length too, IPv6 does not.
        let clash = |other: &&Address| match addr.is_ipv4() {
            true => **other == address,
            false => other.net.addr() == addr,
        };
        if let Some(other) = self.addresses.iter().find(clash) {
            return Err(Refused::Exists(format!("address {other}")));
        }
        let too_small = self.mtu.is_some_and(|mtu| mtu < MTU_IPV6_MIN_BYTES);
        if addr.is_ipv6() && (self.ipv6 == Some(false) || too_small) {
            return Err(Refused::Invalid("IPv6 is disabled on this device".into()));
        }
        self.addresses.push(address);
        Ok(())
    }
}

impl Address {
    /// Returns 127.0.0.1/8, which the kernel puts on `lo`.
    #[must_use]
    pub fn loopback_ipv4() -> Self {
        Self::new(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 8).into())
    }

    /// Returns `::1/128`, which the kernel puts on `lo`.
    #[must_use]
    pub fn loopback_ipv6() -> Self {
        Self::new(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128).into())
    }
}

fn is_lo(name: &IfName) -> bool {
    name.as_str() == LOOPBACK
}
