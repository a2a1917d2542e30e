//! What differs in the routes of a namespace.

use std::collections::BTreeSet;

use super::Planner;
use crate::names::{IfName, NsName};
use crate::state::{
    Address, Interface, METRIC_IPV6_CONNECTED, Namespace, Route, RouteKey, TABLE_MAIN,
};
use crate::step::Change;

impl Planner<'_> {
    /// Adds the routes that are missing and removes those that are not wanted, but for those by a
    /// nexthop object: these want the other ends of their links to be up.
    pub(super) fn routes(&mut self, ns: &NsName, wanted: &Namespace) {
        self.add_routes(ns, wanted, |route| route.nhid.is_none());
        let found = self.work.namespaces.get(ns).map(|ns| ns.routes.clone()).unwrap_or_default();
        for route in found.into_iter().filter(|route| !wanted.routes.contains(route)) {
            let key = route.key();
            if !wanted.routes.iter().any(|route| route.nhid.is_some() && route.key() == key) {
                self.push(ns, Change::DelRoute(route), wanted.origin);
            }
        }
    }

    pub(super) fn add_routes(
        &mut self,
        ns: &NsName,
        wanted: &Namespace,
        which: fn(&Route) -> bool,
    ) {
        let found = self.work.namespaces.get(ns).map(|ns| &ns.routes);
        let mut missing: Vec<&Route> = wanted
            .routes
            .iter()
            .filter(|route| which(route))
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
    }

    /// Takes addresses that are in the way off interfaces that are removed only at the end.
    fn free_the_way(&mut self, ns: &NsName, wanted: &Namespace, route: &Route) {
        let leaving = |(name, interface): &(&IfName, &Interface)| {
            interface.ours && !wanted.interfaces.contains_key(*name)
        };
        let found = self.work.namespaces.get(ns).map(|ns| &ns.interfaces);
        let taken: Vec<(IfName, Address)> = found
            .into_iter()
            .flatten()
            .filter(leaving)
            .flat_map(|(dev, i)| {
                let addresses = i.addresses.iter().filter(|a| is_in_the_way(a, route));
                addresses.map(|a| (dev.clone(), *a))
            })
            .collect();
        for (dev, address) in taken {
            // It may have gone with another one.
            if self.interface(ns, &dev).is_some_and(|i| i.addresses.contains(&address)) {
                self.push(ns, Change::DelAddress { dev, address }, route.origin);
            }
        }
    }
}

/// Tells whether a route can't be added while there is this address: no gateway may be one of the
/// namespace itself (`ip6_route_check_nh`, net/ipv6/route.c; `fib_check_nh_v4_gw`, net/ipv4/
/// fib_semantics.c), and the route that comes with an address's prefix may have its place (EEXIST).
pub(super) fn is_in_the_way(address: &Address, route: &Route) -> bool {
    // No route comes with an IPv4 address that is all of its prefix.
    let is_host = address.net.prefix_len() == 32 && address.net.addr().is_ipv4();
    route.nexthops.iter().any(|hop| hop.via == Some(address.net.addr()))
        || (!is_host && connected(address) == route.key())
}

/// Returns the key of the route that the kernel makes for an address's prefix
/// (`fib_add_ifaddr`, net/ipv4/fib_frontend.c; `addrconf_prefix_route`, net/ipv6/addrconf.c).
fn connected(address: &Address) -> RouteKey {
    let metric = if address.net.addr().is_ipv4() { 0 } else { METRIC_IPV6_CONNECTED };
    (TABLE_MAIN, address.net.trunc(), metric)
}
