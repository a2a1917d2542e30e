//! What a namespace does with a packet: local delivery, then the routing tables.
//!
//! Without policy rules of somebody's the kernel asks three tables in turn: `local`, `main`, `default`
//! (`fib_default_rules_init`, net/ipv4/fib_rules.c; `ip-rule(8)`). In each the longest prefix wins,
//! then the lowest metric (`fib_table_lookup`, net/ipv4/fib_trie.c).

mod rules;
mod vrf;

use std::collections::BTreeMap;
use std::net::IpAddr;

use vnet_model::apply::LOOPBACK;
use vnet_model::facts::PolicyRule;
use vnet_model::ipnet::IpNet;
use vnet_model::state::{MTU_IPV6_MIN_BYTES, NexthopKind, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN};
use vnet_model::{IfName, Interface, Namespace, NextHop, Origin, Route, RouteKind, Rule};

pub(crate) use rules::{Flowi, matches};
pub(crate) use vrf::{table_of, vrf_of};

/// The tables that are asked for what is not the own namespace's, in their order.
pub(crate) const TABLES: [u32; 2] = [TABLE_MAIN, TABLE_DEFAULT];

/// The metric of IPv6 routes that the kernel derives (`IP6_RT_PRIO_ADDRCONF`, net/ip6_route.h).
const METRIC_IPV6_CONNECTED: u32 = 256;

/// On the link (`RT_SCOPE_LINK`, linux/rtnetlink.h).
const SCOPE_LINK: u8 = 253;

/// What a namespace does with packets to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// They are its own.
    Local,
    /// They go to all on a link.
    Broadcast {
        /// The interface whose subnet has this broadcast address.
        dev: IfName,
    },
    /// They take this route, by one of the legs that are alive.
    Via {
        route: Route,
        /// Whether the kernel made it of an address.
        connected: bool,
        legs: Vec<NextHop>,
    },
    /// They are dropped by this route.
    Dropped { route: Route },
    /// They are dropped by this policy rule.
    Refused { rule: Rule },
    /// It depends on whether this policy rule is for them, which is not known.
    Untold { rule: Rule },
    /// Nothing leads there.
    None,
}

/// Tells whether IPv6 runs on an interface.
pub(crate) fn has_ipv6(interface: &Interface) -> bool {
    let fits = interface.mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES);
    interface.ipv6 != Some(false) && fits
}

/// Tells whether an address is one of the namespace's own.
///
/// The `local` table keeps an IPv4 address while its interface is down (`fib_sync_down_dev` leaves
/// routes of scope `nowhere`, net/ipv4/fib_semantics.c); IPv6 loses it.
pub(crate) fn owns(ns: &Namespace, addr: IpAddr) -> bool {
    ns.interfaces.values().any(|interface| has(interface, addr))
}

/// Tells whether an address is the namespace's own by this interface.
pub(crate) fn has(interface: &Interface, addr: IpAddr) -> bool {
    let alive = addr.is_ipv4() || (interface.up && has_ipv6(interface));
    alive && interface.addresses.iter().any(|address| address.net.addr() == addr)
}

/// The longest IPv4 subnet on `lo` that holds an address: all of it is the namespace's
/// own (`fib_add_ifaddr`, net/ipv4/fib_frontend.c). But `local` and `main` are one trie while there
/// are no policy rules (`fib_new_table`), so that a longer prefix in `main` comes first.
pub(crate) fn subnet_on_lo(ns: &Namespace, addr: IpAddr) -> Option<IpNet> {
    let lo = ns.interfaces.get(LOOPBACK).filter(|lo| lo.up && addr.is_ipv4())?;
    let nets = lo.addresses.iter().map(|address| address.net);
    nets.filter(|net| net.contains(&addr)).max_by_key(IpNet::prefix_len)
}

/// Finds what becomes of a packet. `kernel` are the routes that the kernel derived, in its order,
/// where they were observed; else they are derived here. `rules` are the policy rules; none are those
/// that every namespace is born with.
pub(crate) fn lookup(
    ns: &Namespace,
    kernel: Option<&[Route]>,
    rules: &[PolicyRule],
    packet: &Flowi,
) -> Decision {
    decide(ns, kernel, rules, packet).0
}

/// As [`lookup`], with the policy rule by whose table, where rules were asked.
pub(crate) fn decide<'r>(
    ns: &Namespace,
    kernel: Option<&[Route]>,
    rules: &'r [PolicyRule],
    packet: &Flowi,
) -> (Decision, Option<&'r PolicyRule>) {
    let derived;
    let kernel = match kernel {
        Some(kernel) => kernel,
        None => {
            derived = connected(ns);
            &derived
        }
    };
    if let Some(link) = packet.link() {
        return (on_link(ns, kernel, link, packet.dst), None);
    }
    match rules {
        [] => (born(ns, kernel, packet.dst), None),
        rules => rules::decide(ns, kernel, rules, packet),
    }
}

/// Finds what becomes of packets to a link-local address: only what is by its interface counts
/// (`rt6_score_route` with RT6_LOOKUP_F_IFACE, net/ipv6/route.c).
fn on_link(ns: &Namespace, kernel: &[Route], link: &IfName, dst: IpAddr) -> Decision {
    if ns.interfaces.get(link).is_some_and(|interface| has(interface, dst)) {
        return Decision::Local;
    }
    let all = kernel.iter().map(|route| (route, true));
    let all = all.chain(ns.routes.iter().map(|route| (route, false)));
    let holding =
        all.filter(|(route, _)| route.dst.contains(&dst)).filter_map(|(route, is_kernel)| {
            let mut legs = alive(ns, route);
            legs.retain(|leg| leg.dev == *link);
            (!legs.is_empty()).then_some((route, is_kernel, legs))
        });
    let found = holding.min_by_key(|(route, ..)| (u8::MAX - route.dst.prefix_len(), route.metric));
    match found {
        Some((route, connected, legs)) => Decision::Via { route: route.clone(), connected, legs },
        None => Decision::None,
    }
}

/// Asks the tables `local`, `main` and `default`.
fn born(ns: &Namespace, kernel: &[Route], dst: IpAddr) -> Decision {
    let subnet = subnet_on_lo(ns, dst).map(|net| net.prefix_len());
    if let Some(found) = own(ns, TABLE_LOCAL, dst) {
        return found;
    }
    for table in TABLES {
        let found = in_table(ns, kernel, table, dst);
        if subnet.is_some() && subnet >= found.as_ref().map(|(_, length)| *length) {
            return Decision::Local;
        }
        match found {
            Some((decision, _)) => return decision,
            None => continue,
        }
    }
    Decision::None
}

/// Asks the table `local` alone.
fn local(ns: &Namespace, dst: IpAddr) -> Option<Decision> {
    own(ns, TABLE_LOCAL, dst).or_else(|| subnet_on_lo(ns, dst).map(|_| Decision::Local))
}

/// Finds what becomes of packets to an address that is the namespace's own, or all of a link's, by
/// the table of such: `local`, or that of a VRF.
fn own(ns: &Namespace, table: u32, dst: IpAddr) -> Option<Decision> {
    if vrf::interfaces(ns, table).any(|(_, interface)| has(interface, dst)) {
        return Some(Decision::Local);
    }
    if let Some(dev) = broadcast(ns, table, dst) {
        return Some(Decision::Broadcast { dev });
    }
    let is_local = |route: &Route| {
        matches!(route.kind, RouteKind::Local | RouteKind::Anycast)
            && route.table == table
            && route.dst.contains(&dst)
    };
    ns.routes.iter().any(is_local).then_some(Decision::Local)
}

/// Tells whether packets to an address end here by the table `local`, or by that of a VRF.
pub(crate) fn is_local(ns: &Namespace, vrf: Option<&IfName>, addr: IpAddr) -> bool {
    let found = match vrf.and_then(|vrf| vrf::table(ns, vrf)) {
        Some(table) => own(ns, table, addr),
        None => local(ns, addr),
    };
    found == Some(Decision::Local)
}

/// Asks one table: what it says, and the length of the prefix by which. `None` where another is to be
/// asked.
fn in_table(ns: &Namespace, kernel: &[Route], table: u32, dst: IpAddr) -> Option<(Decision, u8)> {
    let kernel = kernel
        .iter()
        .filter(|route| !route.kind.leads() || route.kind == RouteKind::Unicast)
        .map(|route| (route, true));
    let own = ns.routes.iter().map(|route| (route, false));
    let is_before = |(route, _): &(&Route, bool)| comes_first(route);
    let mut found: Vec<(&Route, bool, Vec<NextHop>)> = own
        .clone()
        .filter(is_before)
        .chain(kernel)
        .chain(own.filter(|route| !is_before(route)))
        .filter(|(route, _)| route.table == table && route.dst.contains(&dst))
        .map(|(route, connected)| (route, connected, alive(ns, route)))
        .filter(|(route, _, legs)| !legs.is_empty() || leads_nowhere(ns, route))
        .collect();
    // Stable: of equals the kernel takes the first.
    found.sort_by_key(|(route, ..)| (u8::MAX - route.dst.prefix_len(), route.metric));
    let (route, connected, legs) = found.into_iter().next()?;
    let decision = match route.kind {
        RouteKind::Unicast if !legs.is_empty() => {
            Decision::Via { route: route.clone(), connected, legs }
        }
        RouteKind::Throw => return None,
        _ => Decision::Dropped { route: route.clone() },
    };
    Some((decision, route.dst.prefix_len()))
}

/// Tells whether a route that somebody configured comes before the kernel's own that is like it. Of IPv4
/// the kernel puts a connected route behind what is there (`fib_magic`, net/ipv4/fib_frontend.c), and
/// `ip route add` is refused beside one.
pub(crate) fn comes_first(route: &Route) -> bool {
    route.dst.addr().is_ipv4()
}

/// Tells whether a route drops packets by intent.
fn leads_nowhere(ns: &Namespace, route: &Route) -> bool {
    let object = route.nhid.and_then(|nhid| ns.nexthop(nhid));
    !route.kind.leads() || object.is_some_and(|it| it.kind == NexthopKind::Blackhole)
}

/// The legs of a route over interfaces that are up (RTNH_F_DEAD marks the others).
pub(crate) fn alive(ns: &Namespace, route: &Route) -> Vec<NextHop> {
    let ipv6 = route.dst.addr().is_ipv6();
    let lives = |hop: &&NextHop| {
        let interface = ns.interfaces.get(&hop.dev);
        interface.is_some_and(|interface| interface.up && (!ipv6 || has_ipv6(interface)))
    };
    ns.legs(route).into_iter().filter(|hop| lives(&hop)).collect()
}

fn broadcast(ns: &Namespace, table: u32, dst: IpAddr) -> Option<IfName> {
    let IpAddr::V4(dst) = dst else { return None };
    let has = |interface: &Interface| {
        interface.up
            && interface.addresses.iter().any(|address| match address.net {
                IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == dst,
                IpNet::V6(_) => false,
            })
    };
    vrf::interfaces(ns, table).find(|(_, found)| has(found)).map(|(name, _)| name.clone())
}

/// Derives the routes that the kernel makes of addresses on interfaces that are up (`fib_add_ifaddr`,
/// net/ipv4/fib_frontend.c; `addrconf_prefix_route`, net/ipv6/addrconf.c).
pub(crate) fn connected(ns: &Namespace) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for (name, interface) in &ns.interfaces {
        if !interface.up || name.as_str() == LOOPBACK {
            continue;
        }
        for address in &interface.addresses {
            let net = address.net;
            let whole = net.prefix_len() == net.max_prefix_len();
            if whole || (net.addr().is_ipv6() && !has_ipv6(interface)) {
                continue;
            }
            let mut route = Route::unicast(net.trunc(), vec![NextHop::dev(name.clone())]);
            route.origin = address.origin;
            match net {
                IpNet::V4(_) => route.src = Some(net.addr()),
                IpNet::V6(_) => route.metric = METRIC_IPV6_CONNECTED,
            }
            if let Some(table) = vrf_of(ns, name).and_then(|vrf| vrf::table(ns, vrf)) {
                route.table = table;
            }
            let known = |other: &Route| other.dst == route.dst && other.nexthops == route.nexthops;
            if !routes.iter().any(known) {
                routes.push(route);
            }
        }
    }
    routes
}

/// Chooses the source address of a packet that leaves by this route and leg.
///
/// IPv4: what the route prefers, else the primary address of the interface in whose subnet the
/// gateway is, else its first, else one of another interface (`inet_select_addr`, net/ipv4/devinet.c).
/// IPv6: RFC 6724, section 5, as far as its rules can differ here.
/// What is known of the addresses themselves counts too.
pub(crate) fn source(
    ns: &Namespace,
    known: Known<'_>,
    route: &Route,
    leg: &NextHop,
    dst: IpAddr,
) -> Option<IpAddr> {
    source_of(ns, known, route.src, leg, dst)
}

/// As [`source`], for a route that prefers `src`.
pub(crate) fn source_of(
    ns: &Namespace,
    known: Known<'_>,
    src: Option<IpAddr>,
    leg: &NextHop,
    dst: IpAddr,
) -> Option<IpAddr> {
    if let Some(src) = src
        && owns(ns, src)
    {
        return Some(src);
    }
    match dst.is_ipv4() {
        true => source_ipv4(ns, known, &leg.dev, leg.via),
        false => source_ipv6(ns, known, &leg.dev, dst),
    }
}

/// What else is known of the addresses of a namespace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'k> {
    /// Those whose preferred lifetime is over, which IPv4 does not ask about.
    pub(crate) deprecated: &'k [IpAddr],
    /// Those of IPv6 of which it is not known yet that no other has them, or known that one has.
    pub(crate) unusable: &'k [(IfName, IpAddr, bool)],
    /// How far those of IPv4 go that don't go anywhere.
    pub(crate) scopes: Option<&'k BTreeMap<IpAddr, u8>>,
}

impl Known<'_> {
    fn scope(&self, addr: IpAddr) -> u8 {
        self.scopes.and_then(|scopes| scopes.get(&addr)).copied().unwrap_or(0)
    }
}

/// The IPv4 addresses of an interface, in their order; the kernel gives 127/8 the scope `host`, by which
/// nothing leaves.
fn ipv4(interface: &Interface) -> impl Iterator<Item = IpNet> {
    interface.addresses.iter().map(|address| address.net).filter(|net| {
        let addr = net.addr();
        addr.is_ipv4() && !addr.is_loopback()
    })
}

/// Chooses among the addresses that go as far as the destination (`inet_select_addr`, net/ipv4/devinet.c):
/// those of the link do to what is on it.
pub(crate) fn source_ipv4(
    ns: &Namespace,
    known: Known<'_>,
    dev: &IfName,
    towards: Option<IpAddr>,
) -> Option<IpAddr> {
    let own = ns.interfaces.get(dev)?;
    let reach = if towards.is_some() { 0 } else { SCOPE_LINK };
    let far = |net: &IpNet| known.scope(net.addr()) <= reach;
    let near = towards.and_then(|via| ipv4(own).filter(far).find(|net| net.contains(&via)));
    let first = || ipv4(own).find(far);
    // Only those of the same VRF, or of none; the VRF's own first (`inet_select_addr`). None of a link.
    let anywhere = |net: &IpNet| known.scope(net.addr()) < SCOPE_LINK && far(net);
    let domain = vrf_of(ns, dev);
    let of_vrf = || ipv4(ns.interfaces.get(domain?)?).find(anywhere);
    let mut others = ns.interfaces.iter().filter(|(name, _)| vrf_of(ns, name) == domain);
    let other = || others.find_map(|(_, other)| ipv4(other).find(anywhere));
    near.or_else(first).or_else(of_vrf).or_else(other).map(|net| net.addr())
}

pub(crate) fn source_ipv6(
    ns: &Namespace,
    known: Known<'_>,
    dev: &IfName,
    dst: IpAddr,
) -> Option<IpAddr> {
    let IpAddr::V6(dst) = dst else { return None };
    let is_usable = |addr: IpAddr| !known.unusable.iter().any(|(_, other, _)| *other == addr);
    /// What counts, the first most: greater is better.
    type Score = (bool, bool, bool, bool, u32);
    let mut best: Option<(Score, IpAddr)> = None;
    for (name, interface) in &ns.interfaces {
        if !interface.up || !has_ipv6(interface) || vrf_of(ns, name) != vrf_of(ns, dev) {
            continue;
        }
        for address in &interface.addresses {
            let IpAddr::V6(addr) = address.net.addr() else { continue };
            let link_local = addr.is_unicast_link_local();
            if addr.is_loopback() || (link_local && name != dev) {
                continue;
            }
            let common = (u128::from(addr) ^ u128::from(dst)).leading_zeros();
            let common = common.min(u32::from(address.net.prefix_len()));
            let of_scope = link_local == dst.is_unicast_link_local();
            let is_preferred = !known.deprecated.contains(&addr.into());
            // One that can't be used is passed over (`__ipv6_dev_get_saddr`, net/ipv6/addrconf.c); where
            // there is no other, it is what is at fault.
            let is_usable = is_usable(addr.into());
            let score = (is_usable, of_scope, is_preferred, name == dev, common);
            // The one added last comes first in the kernel's list, and the first of equals wins.
            if best.as_ref().is_none_or(|(known, _)| score >= *known) {
                best = Some((score, addr.into()));
            }
        }
    }
    best.map(|(_, addr)| addr)
}

/// Finds the interface that has an address, with the address.
pub(crate) fn holder(ns: &Namespace, addr: IpAddr) -> Option<(&IfName, IpNet)> {
    ns.interfaces.iter().find_map(|(name, interface)| {
        let address = interface.addresses.iter().find(|address| address.net.addr() == addr)?;
        Some((name, address.net))
    })
}

/// Makes a route without the place that asked for it, so that two can be told to be the same.
pub(crate) fn plain(route: &Route) -> Route {
    Route { origin: Origin::NONE, ..route.clone() }
}
