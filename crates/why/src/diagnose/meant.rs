//! Decisions held against what was meant.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Change, End, Interface, LinkSetting, NsName, Route, RouteKind, Step};

use super::Case;
use crate::Cause;
use crate::fib::{self, Decision};
use crate::scene::Scene;
use crate::walk::Walked;

impl Case<'_, '_> {
    /// Finds the first decision of the failing direction that is not the one that was meant.
    pub(super) fn as_meant(&self) -> Option<Cause> {
        self.walked.decisions.iter().find_map(|decided| {
            let case = Case { dst: decided.packet.dst, ..*self };
            let want = self.scene.meant_lookup(&decided.ns, &decided.packet)?;
            // Of the host's own the file says nothing, nor of what each link has.
            let is_unsaid = decided.ns.is_host() && want == Decision::None;
            if is_unsaid || is_ipv6_link_local(case.dst) {
                return None;
            }
            match same(self.scene, &decided.ns, &want, &decided.decision) {
                true => None,
                false => case.explain(&decided.ns, &want, &decided.decision),
            }
        })
    }

    /// Tells whether the packet left with another source than was meant: then its answer goes astray.
    pub(super) fn wrong_source(&self, forth: &Walked) -> Option<Cause> {
        if self.question.src.is_some() {
            return None;
        }
        let first = forth.decisions.first()?;
        let Decision::Via { route, connected: false, .. } = &first.decision else { return None };
        let src = forth.left_with.filter(|src| route.src == Some(*src))?;
        let meant = self.scene.meant(&first.ns);
        if meant.is_some_and(|meant| meant.routes.contains(route)) {
            return None;
        }
        let evidence =
            format!("`{route}` makes packets come from {src}, to which the answer finds no way");
        let same_key = |other: &&Route| other.key() == route.key();
        let wanted = meant.and_then(|meant| meant.routes.iter().find(same_key).cloned());
        let change = match wanted {
            Some(wanted) => Change::ReplaceRoute(wanted),
            None => Change::ReplaceRoute(Route { src: None, ..route.clone() }),
        };
        let step = Step::new(first.ns.clone(), change);
        Some(self.cause("wrong-source", self.object(route, &first.ns), evidence, vec![step]))
    }

    fn explain(&self, ns: &NsName, want: &Decision, got: &Decision) -> Option<Cause> {
        match (want, got) {
            (Decision::Local, _) => self.lost_address(ns, self.dst),
            (Decision::None, Decision::Via { .. } | Decision::Local) if self.is_made_by_hand() => {
                None
            }
            (_, Decision::Local) => Some(self.stray_address(ns, self.dst)),
            (Decision::Via { route, connected: true, .. }, _) => {
                self.lost_connected(ns, route, got)
            }
            (Decision::Via { route, .. }, _) => self.lost_route(ns, route, got),
            _ => self.extra(ns, got),
        }
    }

    /// Tells whether the packet was on a way to the only one who has the address, and something ended it
    /// there: where nobody asked for a way at all, that is at fault, and not the way.
    fn is_made_by_hand(&self) -> bool {
        self.walked.stop.is_some() && self.scene.owners(self.dst).len() == 1
    }

    /// Something takes the packet that was not meant to be there.
    fn extra(&self, ns: &NsName, got: &Decision) -> Option<Cause> {
        match got {
            Decision::Via { route, connected: true, .. } => self.extra_subnet(ns, route),
            Decision::Via { route, .. } => {
                let meant = self.scene.meant(ns)?.routes.contains(route);
                (!meant).then(|| self.astray(ns, route))
            }
            Decision::Dropped { route } => Some(self.dropped(ns, route)),
            _ => None,
        }
    }

    /// A subnet that was not meant: another mask of an address that was, or a stray address.
    fn extra_subnet(&self, ns: &NsName, route: &Route) -> Option<Cause> {
        let dev = &route.nexthops.first()?.dev;
        let found = self.scene.interface(ns, dev)?;
        let meant = self.scene.meant_interface(ns, dev)?;
        let of_route = |net: &IpNet| net.trunc() == route.dst;
        let net = found.addresses.iter().map(|a| a.net).find(of_route)?;
        if let Some(wanted) = same_addr(meant, net.addr()) {
            return (wanted != net).then(|| self.wrong_mask(ns, dev, net, wanted));
        }
        (!meant.addresses.iter().any(|a| a.net == net)).then(|| {
            let port = self.scene.port(ns, dev);
            let evidence = format!("{port} has {net}, which nobody asked for");
            let steps = self.without_address(ns, net.addr());
            self.cause("stray-address", format!("{net} on {port}"), evidence, steps)
        })
    }

    pub(super) fn wrong_mask(
        &self,
        ns: &NsName,
        dev: &vnet_model::IfName,
        net: IpNet,
        wanted: IpNet,
    ) -> Cause {
        let port = self.scene.port(ns, dev);
        let evidence = format!("{port} has {net} instead of {wanted}");
        let steps = self.readdress(ns, dev, net, wanted);
        self.cause("wrong-mask", format!("{net} on {port}"), evidence, steps)
    }

    /// A route that leads somewhere else than was meant.
    fn astray(&self, ns: &NsName, route: &Route) -> Cause {
        if route.kind != RouteKind::Unicast {
            return self.dropped(ns, route);
        }
        let evidence = format!("`{route}` takes packets to {}, and nobody asked for it", self.dst);
        let step = Step::new(ns.clone(), Change::DelRoute(route.clone()));
        self.cause("route-astray", self.object(route, ns), evidence, vec![step])
    }

    fn stray_address(&self, ns: &NsName, addr: IpAddr) -> Cause {
        if let Some(cause) = self.made_local(ns, addr) {
            return cause;
        }
        let label = self.scene.label(ns);
        let others = self.scene.owners(addr).len() > 1;
        let code = if others { "duplicate-address" } else { "stray-address" };
        let evidence = format!("{label} has {addr}, which it was not meant to have");
        let steps = self.without_address(ns, addr);
        self.cause(code, format!("{addr} on {label}"), evidence, steps)
    }

    /// What makes an address a namespace's own that no interface of it has: a route of the table `local`, or
    /// a subnet on `lo`, of which all is.
    fn made_local(&self, ns: &NsName, addr: IpAddr) -> Option<Cause> {
        let found = self.scene.ns(ns)?;
        if fib::holder(found, addr).is_some() {
            return None;
        }
        let label = self.scene.label(ns);
        let is_it = |route: &&Route| {
            matches!(route.kind, RouteKind::Local | RouteKind::Anycast) && route.dst.contains(&addr)
        };
        if let Some(route) = found.routes.iter().find(is_it) {
            let evidence = format!("`{route}` makes {addr} an address of {label} itself");
            let step = Step::new(ns.clone(), Change::DelRoute(route.clone()));
            let object = format!("{addr} on {label}");
            return Some(self.cause("stray-address", object, evidence, vec![step]));
        }
        let net = fib::subnet_on_lo(found, addr)?;
        let evidence = format!(
            "{label} has {net} on lo, where all of a subnet is an address of {label} itself: {addr} too"
        );
        let mut steps = self.without_address(ns, net.addr());
        let meant = self.scene.meant(ns).and_then(|meant| fib::holder(meant, net.addr()));
        steps.extend(meant.into_iter().flat_map(|(dev, _)| self.restore(ns, dev)));
        Some(self.cause("stray-address", format!("{net} on {label}:lo"), evidence, steps))
    }

    /// An own address that was meant and is not there, or not answered for.
    pub(super) fn lost_address(&self, ns: &NsName, addr: IpAddr) -> Option<Cause> {
        let (dev, wanted) = fib::holder(self.scene.meant(ns)?, addr)?;
        Some(self.lost_on(ns, dev, wanted))
    }

    /// Why an interface has not the address that it was meant to have.
    fn lost_on(&self, ns: &NsName, dev: &vnet_model::IfName, wanted: IpNet) -> Cause {
        let port = self.scene.port(ns, dev);
        let Some(found) = self.scene.interface(ns, dev) else {
            return self.interface_missing(ns, dev);
        };
        let ipv6 = wanted.addr().is_ipv6();
        if !found.up {
            return self.interface_down(ns, dev);
        }
        if ipv6 && !fib::has_ipv6(found) {
            let evidence = format!("IPv6 is off on {port}, and its addresses and routes are gone");
            return self.cause("ipv6-off", port, evidence, self.restore(ns, dev));
        }
        if let Some(net) = same_addr(found, wanted.addr())
            && net != wanted
        {
            return self.wrong_mask(ns, dev, net, wanted);
        }
        if self.scene.is_unrouted(ns, wanted.addr())
            && let Some(cause) = self.unrouted(ns, wanted.addr())
        {
            return cause;
        }
        let evidence = format!("{port} has no {wanted}");
        let steps = self.restore(ns, dev);
        self.cause("address-missing", format!("{wanted} on {port}"), evidence, steps)
    }

    /// The subnet of an address was meant to hold the destination.
    fn lost_connected(&self, ns: &NsName, route: &Route, got: &Decision) -> Option<Cause> {
        let dev = &route.nexthops.first()?.dev;
        let meant = self.scene.meant_interface(ns, dev)?;
        let wanted = meant.addresses.iter().map(|a| a.net).find(|net| net.trunc() == route.dst)?;
        let found = self.scene.interface(ns, dev);
        let there = found.is_some_and(|found| {
            found.up && found.addresses.iter().any(|a| a.net.trunc() == route.dst)
        });
        if !there {
            return Some(self.lost_on(ns, dev, wanted));
        }
        if wanted.addr().is_ipv6() && found.is_some_and(|found| !fib::has_ipv6(found)) {
            return Some(self.lost_on(ns, dev, wanted));
        }
        if let Some(cause) = self.extra(ns, got) {
            return Some(cause);
        }
        let label = self.scene.label(ns);
        let evidence = format!("{label} has {wanted} on {dev}, but not the route of its subnet");
        let step = Step::new(ns.clone(), Change::AddRoute(Route { src: None, ..route.clone() }));
        Some(self.cause("connected-route-missing", self.object(route, ns), evidence, vec![step]))
    }

    /// A route was meant to take the packet.
    fn lost_route(&self, ns: &NsName, route: &Route, got: &Decision) -> Option<Cause> {
        let found = self.scene.ns(ns)?;
        if found.routes.contains(route) {
            // It is there, and something else comes first, or its interfaces are down.
            let cause = self.extra(ns, got).or_else(|| self.dead_leg(ns, route));
            return cause.or_else(|| self.thrown(ns, route));
        }
        if let Some(cause) = self.dead_leg(ns, route) {
            return Some(cause);
        }
        let other = found.routes.iter().find(|other| other.key() == route.key());
        let replaced = other.filter(|other| match got {
            Decision::Via { route: got, .. } | Decision::Dropped { route: got } => got == *other,
            _ => true,
        });
        if let Some(other) = replaced {
            return Some(self.replaced(ns, route, other));
        }
        let label = self.scene.label(ns);
        let code = match self.is_back {
            _ if self.is_leak(ns, route) => "vrf-leak-missing",
            true => "no-route-back",
            false => "no-route",
        };
        let evidence = match got {
            Decision::Via { route: got, .. } | Decision::Dropped { route: got } => {
                format!("`{route}` is missing in {label}, so `{got}` takes packets to {}", self.dst)
            }
            _ => format!("`{route}` is missing in {label}"),
        };
        let add = Change::AddRoute(route.clone());
        let step = Step::new(ns.clone(), add).from(route.origin);
        Some(self.cause(code, self.object(route, ns), evidence, vec![step]))
    }

    /// A more specific route of type `throw` ends the lookup before one that was meant.
    fn thrown(&self, ns: &NsName, meant: &Route) -> Option<Cause> {
        let all = &self.scene.ns(ns)?.routes;
        let is_before = |route: &&Route| {
            route.kind == RouteKind::Throw
                && route.table == meant.table
                && route.dst.contains(&self.dst)
                && route.dst.prefix_len() >= meant.dst.prefix_len()
        };
        let route = all.iter().find(is_before)?;
        let label = self.scene.label(ns);
        let evidence = format!("`{route}` of {label} ends the lookup before `{meant}` is found");
        let step = Step::new(ns.clone(), Change::DelRoute(route.clone()));
        Some(self.cause("throw-route", self.object(route, ns), evidence, vec![step]))
    }

    /// An interface of a route that is not as it was meant, so that the route can't be there.
    fn dead_leg(&self, ns: &NsName, route: &Route) -> Option<Cause> {
        let ipv6 = route.dst.addr().is_ipv6();
        route.nexthops.iter().find_map(|leg| {
            let Some(found) = self.scene.interface(ns, &leg.dev) else {
                return Some(self.interface_missing(ns, &leg.dev));
            };
            if !found.up {
                return Some(self.interface_down(ns, &leg.dev));
            }
            let meant = self.scene.meant_interface(ns, &leg.dev)?;
            // The address in whose subnet the gateway is, else any of the family.
            let of_family = |net: &IpNet| net.addr().is_ipv6() == ipv6;
            let near = |net: &IpNet| leg.via.is_none_or(|via| net.contains(&via));
            let nets = || meant.addresses.iter().map(|a| a.net).filter(of_family);
            let wanted = nets().find(near).or_else(|| nets().next())?;
            let has = found.addresses.iter().any(|a| a.net == wanted);
            let off = ipv6 && !fib::has_ipv6(found);
            (!has || off).then(|| self.lost_on(ns, &leg.dev, wanted))
        })
    }

    /// Another route is where one was meant.
    fn replaced(&self, ns: &NsName, route: &Route, other: &Route) -> Cause {
        let code = match other.kind {
            RouteKind::Blackhole => "blackhole-route",
            RouteKind::Prohibit => "prohibit-route",
            RouteKind::Unreachable => "unreachable-route",
            RouteKind::Throw => "throw-route",
            _ if other.nexthops == route.nexthops => "wrong-source",
            _ if other.nexthops.len() > 1 => "wrong-leg",
            _ => "wrong-gateway",
        };
        let label = self.scene.label(ns);
        let evidence = format!("{label} has `{other}` instead of `{route}`");
        let step = Step::new(ns.clone(), Change::ReplaceRoute(route.clone())).from(route.origin);
        self.cause(code, self.object(other, ns), evidence, vec![step])
    }

    pub(super) fn interface_missing(&self, ns: &NsName, dev: &vnet_model::IfName) -> Cause {
        let port = self.scene.port(ns, dev);
        let evidence = format!("{port} does not exist");
        let mut steps = self.scene.plan();
        steps.retain(|step| self.is_about(step, ns, dev) || self.is_in_the_way(step, ns, dev));
        self.cause("interface-missing", port, evidence, steps)
    }

    /// Tells whether a step removes the link that an interface was an end of, which may be elsewhere
    /// by now.
    fn is_in_the_way(&self, step: &Step, ns: &NsName, dev: &vnet_model::IfName) -> bool {
        let Change::DelLink { name, .. } = &step.change else { return false };
        if step.ns == *ns && name == dev {
            return true;
        }
        let meant = self.scene.meant_interface(ns, dev);
        let Some(peer) = meant.and_then(|meant| meant.kind.peer()) else { return false };
        let moved = self.scene.end(peer).and_then(|found| found.kind.peer());
        let is = |end: &End| end.ns == step.ns && end.name == *name;
        is(peer) || moved.is_some_and(is)
    }

    /// Tells whether a step has to do with an interface or its other end.
    pub(super) fn is_about(&self, step: &Step, ns: &NsName, dev: &vnet_model::IfName) -> bool {
        let meant = self.scene.meant_interface(ns, dev);
        let peer = meant.and_then(|meant| meant.kind.peer());
        let is = |at: &NsName, name: &vnet_model::IfName| {
            (at == ns && name == dev)
                || peer.is_some_and(|peer| peer.ns == *at && peer.name == *name)
        };
        match &step.change {
            // What becomes a port of it again.
            Change::SetLink { name, set: LinkSetting::Master(Some(master)) } => {
                (step.ns == *ns && master == dev) || is(&step.ns, name)
            }
            Change::AddLink { name, .. }
            | Change::SetLink { name, .. }
            | Change::AddAddress { dev: name, .. } => is(&step.ns, name),
            Change::AddRoute(route) | Change::ReplaceRoute(route) => {
                route.nexthops.iter().any(|leg| is(&step.ns, &leg.dev))
            }
            _ => false,
        }
    }
}

/// An interface's address with this value, whatever its mask.
fn same_addr(interface: &Interface, addr: IpAddr) -> Option<IpNet> {
    interface.addresses.iter().map(|a| a.net).find(|net| net.addr() == addr)
}

/// A route without what it says of the way: where that matters, it is what the packet stops at.
fn way(route: &Route) -> Route {
    Route { metrics: BTreeMap::new(), ..fib::plain(route) }
}

/// Tells whether two decisions come to the same. Two subnets that are the same on two interfaces are
/// taken in the order in which they came, which a file does not say.
fn same(scene: &Scene<'_>, ns: &NsName, want: &Decision, got: &Decision) -> bool {
    match (want, got) {
        (
            Decision::Via { route: want, connected: true, .. },
            Decision::Via { route: got, connected: true, .. },
        ) => {
            let meant = scene.meant(ns).map(fib::connected).unwrap_or_default();
            let alike = |a: &Route, b: &Route| a.dst == b.dst && a.nexthops == b.nexthops;
            want.dst == got.dst && meant.iter().any(|route| alike(route, got))
        }
        (
            Decision::Via { route: want, legs: wanted, .. },
            Decision::Via { route: got, legs, .. },
        ) => way(want) == way(got) && wanted.len() == legs.len(),
        (Decision::Dropped { route: want }, Decision::Dropped { route: got }) => want == got,
        (want, got) => std::mem::discriminant(want) == std::mem::discriminant(got),
    }
}
