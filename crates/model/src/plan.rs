//! The steps from one state to another. Pure and total.
//!
//! The planner works on a copy of the observed state: each step is applied there at once
//! ([`apply`](crate::apply)), and what follows is compared with what the step leaves. So an address
//! that goes with another one, or a route that goes with its interface, is put back by the same
//! comparison that finds what a person took away.
//!
//! The order: what stands in the way of a link; then, block by block and neighbours together,
//! namespaces with their `lo`, links, and the settings, addresses and routes of what is complete;
//! last what destroys for good, links and namespaces. So a failure before the end can be undone
//! without losing anything. (In blocks, because the kernel's half megabyte for each namespace is
//! still in the processor's cache when the links are made: a ring of 10,000 nodes took a third of
//! the time that three passes over all of them took, and 1,000 nodes the same.)

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::apply::LOOPBACK;
use crate::names::{IfName, LabName, Mark, NodeName, NsName};
use crate::origin::Origin;
use crate::resolve::Desired;
use crate::state::{
    Address, End, Interface, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, Namespace, Owner, Route,
    RouteKey, State,
};
use crate::step::{Change, LinkSetting, NewLink, Step, VethEnd};

/// Takes IPv6 off all interfaces, those to come too.
const IPV6_OFF: &str = "net.ipv6.conf.all.disable_ipv6";

/// The way from one state to another.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps in order; none where there are conflicts.
    pub steps: Vec<Step>,
    /// What belongs to somebody else and stands in the way.
    pub conflicts: Vec<Conflict>,
    /// What is there without being declared, and stays.
    pub undeclared: Vec<End>,
}

impl Plan {
    /// Tells whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }
}

/// Something foreign where the lab wants something of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// A namespace of the wanted name that the lab did not make.
    Namespace {
        /// The namespace.
        ns: NsName,
        /// Whose it is.
        owner: Owner,
        /// What asked for a namespace of this name.
        origin: Origin,
    },
    /// An interface of the wanted name, but of another kind, that vnet did not make.
    Interface {
        /// The interface.
        end: End,
        /// The kind it has.
        kind: String,
        /// What asked for an interface of this name.
        origin: Origin,
    },
}

impl Conflict {
    /// Returns what asked for the thing that is in the way.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Namespace { origin, .. } | Self::Interface { origin, .. } => *origin,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { ns, owner: Owner::Foreign, .. } => {
                write!(f, "namespace {ns} exists and was not made by vnet")
            }
            Self::Namespace { ns, owner: Owner::Lab(mark) | Owner::Stale(mark), .. } => {
                write!(f, "namespace {ns} belongs to lab {} (node {})", mark.lab, mark.node)
            }
            Self::Interface { end, kind, .. } => {
                write!(f, "{end} exists, is a {kind} and was not made by vnet")
            }
        }
    }
}

/// Plans the way from what is observed to what is desired.
#[must_use]
pub fn plan(desired: &Desired, observed: &State) -> Plan {
    plan_between(&desired.lab, &desired.state, observed)
}

/// Plans the way between any two states of a lab: a teardown has an empty target, a rollback the
/// state that was observed before.
#[must_use]
pub fn plan_between(lab: &LabName, target: &State, observed: &State) -> Plan {
    let mut planner =
        Planner { lab, target, observed, work: observed.clone(), plan: Plan::default() };
    planner.find_conflicts();
    if planner.plan.conflicts.is_empty() {
        planner.clear_the_way();
        planner.build();
        planner.leftovers();
    }
    planner.plan
}

impl Step {
    /// Returns the steps that lead back from after this step to `before` it.
    ///
    /// They restore configuration, not identity: an interface comes back under a new index. To undo
    /// several steps, plan back to the state before them ([`plan_between`]): in between there may be
    /// states that no steps lead to.
    #[must_use]
    pub fn inverse(&self, before: &State) -> Vec<Step> {
        let touched = self.touches(before);
        let only = |state: &State| State {
            namespaces: state
                .namespaces
                .iter()
                .filter(|(name, _)| touched.contains(*name))
                .map(|(name, ns)| (name.clone(), ns.clone()))
                .collect(),
        };
        let before = only(before);
        let mut after = before.clone();
        if self.apply(&mut after).is_err() {
            return Vec::new();
        }
        let mark = |state: &State| state.namespaces.get(&self.ns)?.owner.mark().cloned();
        match mark(&before).or_else(|| mark(&after)) {
            Some(Mark { lab, .. }) => plan_between(&lab, &before, &after).steps,
            None => Vec::new(),
        }
    }

    /// Lists the namespaces in which this step may change something: its own, and those at the
    /// other ends of its veths.
    fn touches(&self, before: &State) -> BTreeSet<NsName> {
        let mut touched = BTreeSet::from([self.ns.clone()]);
        if let Change::AddLink { link: NewLink::Veth { peer, .. }, .. } = &self.change {
            touched.insert(peer.end.ns.clone());
        }
        let here = before.namespaces.get(&self.ns).into_iter();
        for interface in here.flat_map(|ns| ns.interfaces.values()) {
            if let Kind::Veth { peer: Some(peer) } = &interface.kind {
                touched.insert(peer.ns.clone());
            }
        }
        touched
    }
}

/// How many namespaces are made before their links: enough for two threads, and few enough to stay in
/// the processor's cache.
const BLOCK: usize = 128;

struct Planner<'a> {
    lab: &'a LabName,
    target: &'a State,
    observed: &'a State,
    /// The observed state with the steps so far applied.
    work: State,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn push(&mut self, ns: &NsName, change: Change, origin: Origin) {
        let step = Step::new(ns.clone(), change).from(origin);
        // A refusal is the kernel's to make: it knows, this is only paper.
        let _ = step.apply(&mut self.work);
        self.plan.steps.push(step);
    }

    fn find_conflicts(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            let Some(found) = self.observed.namespaces.get(ns) else { continue };
            if found.owner.mark().is_none_or(|mark| mark.lab != *self.lab) {
                self.plan.conflicts.push(Conflict::Namespace {
                    ns: ns.clone(),
                    owner: found.owner.clone(),
                    origin: wanted.origin,
                });
                continue;
            }
            for (name, interface) in &wanted.interfaces {
                let Some(there) = found.interfaces.get(name) else { continue };
                if !there.ours && !can_become(&there.kind, &interface.kind) {
                    self.plan.conflicts.push(Conflict::Interface {
                        end: End { ns: ns.clone(), name: name.clone() },
                        kind: there.kind.name().to_owned(),
                        origin: interface.origin,
                    });
                }
            }
        }
    }

    /// Makes what is missing and sets what differs, block by block: the namespaces of a block, then
    /// the links whose two ends are there, then the settings of all namespaces that are complete.
    fn build(&mut self) {
        let mut missing = self.missing_interfaces();
        let order = build_order(self.target, &self.work);
        for block in order.chunks(BLOCK) {
            for (ns, wanted) in block {
                self.namespace(ns, wanted);
            }
            let is_complete = |(ns, _): &&(_, _)| !missing.contains_key(ns);
            let mut complete: Vec<_> = block.iter().filter(is_complete).copied().collect();
            for (ns, wanted) in block {
                self.links(ns, wanted, &mut missing, &mut complete);
            }
            for (ns, wanted) in complete {
                self.settings(ns, wanted);
                self.routes(ns, wanted);
            }
        }
        // Where something could not be made, the rest still can be as wanted.
        for (ns, wanted) in order.iter().filter(|(ns, _)| missing.contains_key(ns)) {
            self.settings(ns, wanted);
            self.routes(ns, wanted);
        }
    }

    /// Counts, for each namespace, the interfaces that are still to be made.
    fn missing_interfaces(&self) -> BTreeMap<&'a NsName, usize> {
        let mut missing = BTreeMap::new();
        for (ns, wanted) in &self.target.namespaces {
            let is_missing = |(name, interface): &(&IfName, &Interface)| {
                self.interface(ns, name).is_none() && self.new_link(interface).is_some()
            };
            match wanted.interfaces.iter().filter(is_missing).count() {
                0 => {}
                count => drop(missing.insert(ns, count)),
            }
        }
        missing
    }

    /// Makes a namespace where it is missing, with its early sysctls and `lo`, in one visit.
    fn namespace(&mut self, ns: &NsName, wanted: &Namespace) {
        let Owner::Lab(mark) = &wanted.owner else { return };
        let found = self.work.namespaces.get(ns).map(|found| &found.owner);
        if found.is_some_and(|owner| *owner != wanted.owner) {
            self.push(ns, Change::DelNamespace, wanted.origin);
        }
        if !self.work.namespaces.contains_key(ns) {
            self.push(ns, Change::AddNamespace { mark: mark.clone() }, wanted.origin);
        }
        self.sysctls(ns, wanted, |key| interface_of_sysctl(key).is_none());
        self.ipv6_again(ns, wanted);
        let lo_up = |ns: &Namespace| ns.interfaces.get(LOOPBACK).is_some_and(|lo| lo.up);
        if lo_up(wanted) && !self.work.namespaces.get(ns).is_some_and(lo_up) {
            self.set(ns, &lo_name(), LinkSetting::Up(true), wanted.origin);
        }
    }

    /// Takes back that IPv6 was off altogether. That also holds for interfaces that are made now,
    /// of which only this sysctl can tell.
    fn ipv6_again(&mut self, ns: &NsName, wanted: &Namespace) {
        let is_wanted = wanted.interfaces.get(LOOPBACK).and_then(wants_ipv6) == Some(true);
        let lo = self.work.namespaces.get(ns).and_then(|ns| ns.interfaces.get(LOOPBACK));
        if is_wanted && lo.is_some_and(|lo| lo.ipv6 == Some(false)) {
            let (key, value) = (IPV6_OFF.to_owned(), "0".to_owned());
            self.push(ns, Change::SetSysctl { key, value }, wanted.origin);
        }
    }

    fn sysctls(&mut self, ns: &NsName, wanted: &Namespace, which: fn(&str) -> bool) {
        for (key, value) in wanted.sysctls.iter().filter(|(key, _)| which(key)) {
            let found = self.work.namespaces.get(ns).and_then(|ns| ns.sysctls.get(key));
            if found != Some(value) {
                let change = Change::SetSysctl { key: key.clone(), value: value.clone() };
                self.push(ns, change, wanted.origin);
            }
        }
    }

    /// Removes interfaces that have a wanted name but can't be changed into what is wanted.
    fn clear_the_way(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            for (name, interface) in &wanted.interfaces {
                let found = self.interface(ns, name).map(|found| found.kind.clone());
                if found.is_some_and(|kind| !can_become(&kind, &interface.kind)) {
                    self.push(ns, Change::DelLink { name: name.clone() }, interface.origin);
                }
            }
        }
    }

    /// Makes the links of a namespace, but for those whose other end has no namespace yet: they are
    /// made when that one comes. Tells which namespaces then have all their interfaces.
    fn links(
        &mut self,
        ns: &NsName,
        wanted: &Namespace,
        missing: &mut BTreeMap<&'a NsName, usize>,
        complete: &mut Vec<(&'a NsName, &'a Namespace)>,
    ) {
        for (name, interface) in &wanted.interfaces {
            if self.interface(ns, name).is_some() {
                continue;
            }
            let Some(link) = self.new_link(interface) else { continue };
            let mut ends = vec![ns];
            if let Kind::Veth { peer: Some(peer) } = &interface.kind {
                if !self.work.namespaces.contains_key(&peer.ns) {
                    continue;
                }
                ends.push(&peer.ns);
            }
            self.push(ns, Change::AddLink { name: name.clone(), link }, interface.origin);
            for end in ends {
                let Some(count) = missing.get_mut(end) else { continue };
                *count -= 1;
                if *count == 0 {
                    missing.remove(end);
                    complete.extend(self.target.namespaces.get_key_value(end));
                }
            }
        }
    }

    /// Returns how to make an interface; `None` for what can't be made.
    fn new_link(&self, interface: &Interface) -> Option<NewLink> {
        match &interface.kind {
            // Its MTU is a setting: said at birth, its ports' would change it again
            // (`br_mtu_auto_adjust`, net/bridge/br_if.c).
            Kind::Bridge { stp } => {
                Some(NewLink::Bridge { mac: interface.mac, mtu: None, stp: *stp })
            }
            Kind::Veth { peer: Some(peer) } => {
                let other = lookup(self.target, peer)?;
                let peer = VethEnd { end: peer.clone(), mac: other.mac, mtu: other.mtu };
                Some(NewLink::Veth { mac: interface.mac, mtu: interface.mtu, peer })
            }
            // Not made by us: nothing that could be made again.
            Kind::Veth { peer: None } | Kind::Loopback | Kind::Other(_) => None,
        }
    }

    fn settings(&mut self, ns: &NsName, wanted: &Namespace) {
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

    fn routes(&mut self, ns: &NsName, wanted: &Namespace) {
        let found = self.work.namespaces.get(ns).map(|ns| &ns.routes);
        let mut missing: Vec<&Route> = wanted
            .routes
            .iter()
            .filter(|route| !found.is_some_and(|found| found.contains(*route)))
            .collect();
        for route in &missing {
            self.free_gateways(ns, wanted, route);
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

    /// Takes the gateways of a route off interfaces that are removed only at the end: no gateway may
    /// be an address of the namespace itself (`ip6_route_check_nh`, net/ipv6/route.c).
    fn free_gateways(&mut self, ns: &NsName, wanted: &Namespace, route: &Route) {
        let leaving = |(name, interface): &(&IfName, &Interface)| {
            interface.ours && !wanted.interfaces.contains_key(*name)
        };
        let is_gateway = |address: &&Address| {
            route.nexthops.iter().any(|hop| hop.via == Some(address.net.addr()))
        };
        let found = self.work.namespaces.get(ns).map(|ns| &ns.interfaces);
        let taken: Vec<(IfName, Address)> = found
            .into_iter()
            .flatten()
            .filter(leaving)
            .flat_map(|(dev, i)| i.addresses.iter().filter(is_gateway).map(|a| (dev.clone(), *a)))
            .collect();
        for (dev, address) in taken {
            self.push(ns, Change::DelAddress { dev, address }, route.origin);
        }
    }

    /// Removes what the lab made and no longer wants; names what others made.
    fn leftovers(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            let Some(found) = self.work.namespaces.get(ns) else { continue };
            let extra: Vec<(IfName, bool)> = found
                .interfaces
                .iter()
                .filter(|(name, _)| !wanted.interfaces.contains_key(*name))
                .map(|(name, interface)| (name.clone(), interface.ours))
                .collect();
            for (name, ours) in extra {
                match ours {
                    // The other end may have taken it along already.
                    true if self.interface(ns, &name).is_some() => {
                        self.push(ns, Change::DelLink { name }, wanted.origin);
                    }
                    true => {}
                    false => self.plan.undeclared.push(End { ns: ns.clone(), name }),
                }
            }
        }
        let ours = |owner: &Owner| owner.mark().is_some_and(|mark| mark.lab == *self.lab);
        let gone: Vec<NsName> = self
            .work
            .namespaces
            .iter()
            .filter(|(ns, found)| ours(&found.owner) && !self.target.namespaces.contains_key(*ns))
            .map(|(ns, _)| ns.clone())
            .collect();
        for ns in gone {
            self.push(&ns, Change::DelNamespace, Origin::NONE);
        }
    }

    fn set(&mut self, ns: &NsName, name: &IfName, set: LinkSetting, origin: Origin) {
        self.push(ns, Change::SetLink { name: name.clone(), set }, origin);
    }

    fn interface(&self, ns: &NsName, name: &IfName) -> Option<&Interface> {
        self.work.namespaces.get(ns)?.interfaces.get(name)
    }
}

/// Orders the namespaces of the target: neighbours near each other where some have to be made, so
/// that what is linked and set was made a moment ago.
fn build_order<'a>(target: &'a State, work: &State) -> Vec<(&'a NsName, &'a Namespace)> {
    let is_there = |ns: &NsName| work.namespaces.contains_key(ns);
    if target.namespaces.keys().all(is_there) {
        return target.namespaces.iter().collect();
    }
    let mut order = Vec::with_capacity(target.namespaces.len());
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::new();
    for start in target.namespaces.keys() {
        next.push_back(start);
        while let Some(ns) = next.pop_front() {
            let Some((ns, wanted)) = target.namespaces.get_key_value(ns) else { continue };
            if !seen.insert(ns) {
                continue;
            }
            order.push((ns, wanted));
            next.extend(wanted.interfaces.values().filter_map(|interface| match &interface.kind {
                Kind::Veth { peer: Some(peer) } => Some(&peer.ns),
                _ => None,
            }));
        }
    }
    order
}

fn lookup<'a>(state: &'a State, end: &End) -> Option<&'a Interface> {
    state.namespaces.get(&end.ns)?.interfaces.get(&end.name)
}

/// Tells whether an address is the first of its IPv4 subnet: the primary one, which the others hang
/// on and which packets are sent from. IPv6 has no such thing.
fn is_primary(address: &Address, interface: &Interface) -> bool {
    let subnet = address.net.trunc();
    let first = interface.addresses.iter().find(|other| other.net.trunc() == subnet);
    address.net.addr().is_ipv4() && first == Some(address)
}

/// Tells whether another address is to be the first of this one's subnet.
fn demoted(address: &Address, wanted: &Interface) -> bool {
    let is_ipv4 = address.net.addr().is_ipv4();
    is_ipv4 && wanted.addresses.contains(address) && !is_primary(address, wanted)
}

/// Tells whether IPv6 shall run on an interface, if anything is said of it: an address says so.
fn wants_ipv6(interface: &Interface) -> Option<bool> {
    let has_ipv6 = interface.addresses.iter().any(|address| address.net.addr().is_ipv6());
    interface.ipv6.or(has_ipv6.then_some(true))
}

/// Tells whether an interface of one kind can be made one of another by settings alone.
fn can_become(found: &Kind, wanted: &Kind) -> bool {
    match (found, wanted) {
        (Kind::Bridge { .. }, Kind::Bridge { .. }) => true,
        (found, wanted) => found == wanted,
    }
}

/// Returns the interface whose setting a sysctl is, where it is one's: it can't be written before
/// that interface exists.
fn interface_of_sysctl(key: &str) -> Option<&str> {
    let mut parts = key.split('.').skip(2);
    match (parts.next(), parts.next()) {
        (Some("conf" | "neigh"), Some(name)) if !matches!(name, "all" | "default") => Some(name),
        _ => None,
    }
}

#[expect(clippy::unwrap_used, reason = "`lo` is a valid interface name")]
fn lo_name() -> IfName {
    IfName::new(LOOPBACK).unwrap()
}

/// The node that a namespace of the target is for.
#[must_use]
pub fn node_of(namespace: &Namespace) -> Option<&NodeName> {
    namespace.owner.mark().map(|mark| &mark.node)
}

#[cfg(test)]
mod tests;
