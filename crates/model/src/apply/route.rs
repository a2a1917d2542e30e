//! Routes: what the kernel accepts, and what it takes away of itself.

use super::Refused;
use crate::names::IfName;
use crate::state::{Address, Interface, Namespace, NextHop, Route, TABLE_MAIN, is_ipv6_link_local};

impl Namespace {
    /// Removes the routes over an interface that have no living leg over another: such a leg keeps
    /// the rest of its route, dead, until that comes back. Which legs are dead the kernel notes in
    /// the route; here, those are over interfaces that are down or have no address.
    pub(super) fn lose_routes(&mut self, dev: &IfName, which: impl Fn(&Route) -> bool) {
        let interfaces = &self.interfaces;
        let lives =
            |hop: &NextHop| hop.dev != *dev && interfaces.get(&hop.dev).is_some_and(|i| i.up);
        let dead = |route: &Route| route.uses(dev) && !route.nexthops.iter().any(lives);
        self.routes.retain(|route| !(which(route) && dead(route)));
    }

    /// Removes the IPv4 routes of the main table that prefer a source address which is gone
    /// (`fib_sync_down_addr`, net/ipv4/fib_semantics.c); IPv6 routes only forget the preference
    /// (`fib6_remove_prefsrc`, net/ipv6/route.c).
    pub(super) fn forget_source(&mut self, address: &Address) {
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

    pub(super) fn add_route(&mut self, route: &Route) -> Result<(), Refused> {
        if self.routes.iter().any(|other| other.key() == route.key()) {
            return Err(Refused::Exists(format!("route {route}")));
        }
        self.check_route(route)?;
        self.routes.insert(route.clone());
        Ok(())
    }

    pub(super) fn check_route(&self, route: &Route) -> Result<(), Refused> {
        if let Some(id) = route.nhid
            && self.nexthop(id).is_none()
        {
            return Err(Refused::Missing(format!("nexthop id {id}")));
        }
        let leads = !route.nexthops.is_empty() || route.nhid.is_some();
        if route.kind.leads() != leads {
            return Err(Refused::Invalid(format!("route {route} has the wrong next hops")));
        }
        for hop in &route.nexthops {
            self.check_hop(hop)?;
        }
        let has = |addr| self.interfaces.values().any(|i| i.has_addr(addr));
        // The source of an IPv4 route that leads nowhere is not looked at (`fib_create_info`).
        let checked = route.kind.leads() || route.dst.addr().is_ipv6();
        match route.src {
            Some(src) if checked && !has(src) => {
                Err(Refused::Invalid(format!("{src} is not an address")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_hop(&self, hop: &NextHop) -> Result<(), Refused> {
        let missing = || Refused::Missing(format!("interface {}", hop.dev));
        let interface = self.interfaces.get(&hop.dev).ok_or_else(missing)?;
        if !interface.up {
            return Err(Refused::Unreachable(format!("{} is down and", hop.dev)));
        }
        let Some(via) = hop.via else { return Ok(()) };
        // Every IPv6 interface has a link-local prefix (RFC 4291, section 2.1).
        let link_local = is_ipv6_link_local(via);
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
}
