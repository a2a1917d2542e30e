//! A way that would work, where nobody wrote one.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Change, End, IfName, NextHop, NsName, Route, Step};

use crate::World;
use crate::fib;
use crate::scene::Scene;
use crate::walk::answers;
use crate::wire;

/// The length of a frame that fits any wire, in bytes.
const SMALL_BYTES: u32 = 68;

/// Finds the first hop of a shortest way from `ns` to `dst`, over nodes that forward, and makes it a
/// route. `replace` says whether to take the place of one with the same destination.
pub(crate) fn route(
    scene: &Scene<'_>,
    ns: &NsName,
    dst: IpAddr,
    replace: Option<&Route>,
) -> Option<Step> {
    let (dev, far) = first_hop(scene, ns, dst)?;
    let prefix = match replace {
        Some(route) => route.dst,
        None => prefix_of(scene, dst),
    };
    let leg = match answers(scene, &far, dst) {
        true => NextHop::dev(dev),
        false => {
            let (via, onlink) = gateway(scene, ns, &dev, &far, dst)?;
            NextHop { onlink, ..NextHop::via(via, dev) }
        }
    };
    let mut route = Route::unicast(prefix, vec![leg]);
    let change = match replace {
        Some(old) => {
            (route.metric, route.table) = (old.metric, old.table);
            Change::ReplaceRoute(route)
        }
        None => Change::AddRoute(route),
    };
    Some(Step::new(ns.clone(), change))
}

/// The subnet that a destination is in, as whoever has it says; the address alone otherwise.
fn prefix_of(scene: &Scene<'_>, dst: IpAddr) -> IpNet {
    let owners = scene.owners(dst);
    let held = owners.iter().find_map(|ns| fib::holder(scene.ns(ns)?, dst).map(|(_, net)| net));
    held.filter(|net| net.prefix_len() > 0).map_or(IpNet::from(dst), |net| net.trunc())
}

/// Finds the interface to leave by and the interface there that takes it.
pub(crate) fn first_hop(scene: &Scene<'_>, ns: &NsName, dst: IpAddr) -> Option<(IfName, End)> {
    let mut first: BTreeMap<NsName, (IfName, End)> = BTreeMap::new();
    let mut queue = VecDeque::from([ns.clone()]);
    while let Some(here) = queue.pop_front() {
        for (dev, far) in neighbours(scene, &here) {
            if far.ns == *ns || first.contains_key(&far.ns) {
                continue;
            }
            let way = first.get(&here).cloned().unwrap_or((dev, far.clone()));
            if scene.owns(&far.ns, dst) {
                return Some(way);
            }
            if scene.forwards(&far.ns, &far.name, dst.is_ipv6()) {
                first.insert(far.ns.clone(), way);
                queue.push_back(far.ns);
            }
        }
    }
    None
}

/// Finds a link-local address of IPv6 by which one namespace is a neighbour of another, with the interface of
/// the asker that is on that link.
#[must_use]
pub fn link_to(world: &World<'_>, from: &NsName, to: &NsName) -> Option<(IfName, IpAddr)> {
    let scene = Scene::new(world);
    let mut near = neighbours(&scene, from).into_iter().filter(|(_, far)| far.ns == *to);
    near.find_map(|(dev, far)| {
        let own = scene.end(&far).into_iter().flat_map(|interface| &interface.addresses);
        let mut own = own.map(|address| address.net.addr());
        Some((dev, own.find(|addr| is_ipv6_link_local(*addr))?))
    })
}

/// The interfaces that a namespace hears, each with its own that hears them.
pub(crate) fn neighbours(scene: &Scene<'_>, ns: &NsName) -> Vec<(IfName, End)> {
    let mut found = Vec::new();
    for (dev, interface) in scene.ns(ns).into_iter().flat_map(|ns| &ns.interfaces) {
        let from = End { ns: ns.clone(), name: dev.clone() };
        if interface.up && scene.bridge_of(&from).is_none() {
            let stations = wire::domain(scene, &from, SMALL_BYTES, false).stations;
            let others = stations.into_iter().filter(|station| station.end.ns != *ns);
            found.extend(others.map(|station| (dev.clone(), station.end)));
        }
    }
    found
}

/// An address of the far end to send by, and whether the kernel must be told that it is on link.
fn gateway(
    scene: &Scene<'_>,
    ns: &NsName,
    dev: &IfName,
    far: &End,
    dst: IpAddr,
) -> Option<(IpAddr, bool)> {
    let own = scene.interface(ns, dev)?;
    let family = |net: &IpNet| net.addr().is_ipv4() == dst.is_ipv4();
    let there: Vec<IpNet> =
        scene.end(far)?.addresses.iter().map(|a| a.net).filter(family).collect();
    let shared = there.iter().find(|net| own.addresses.iter().any(|a| a.net.contains(&net.addr())));
    let any = || there.first().map(|net| (net.addr(), true));
    shared.map(|net| (net.addr(), false)).or_else(any)
}
