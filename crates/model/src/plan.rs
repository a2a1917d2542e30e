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

mod back;
mod bridging;
mod build;
mod conflict;
mod entries;
mod keys;
mod order;
mod routes;
mod settings;
mod settled;

use std::collections::BTreeSet;
use std::fmt;

use crate::apply::LOOPBACK;
use crate::names::{IfName, LabName, Mark, NodeName, NsName};
use crate::nft::{Table, TableId};
use crate::origin::Origin;
use crate::resolve::Desired;
use crate::state::{Address, End, Entry, Interface, Kind, Namespace, Owner, State};
use crate::step::{Change, LinkSetting, NewLink, Step};

pub use back::{Born, with_what_goes_back};
pub use conflict::Conflict;

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
    pub undeclared: Vec<Undeclared>,
}

/// Something in the lab's namespaces that others made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undeclared {
    /// An interface.
    Interface(End),
    /// A rule, neighbour or nexthop object; looked for only in namespaces with some of their own.
    Entry(NsName, Entry),
}

impl Undeclared {
    /// Returns the namespace that it is in.
    #[must_use]
    pub fn ns(&self) -> &NsName {
        match self {
            Self::Interface(end) => &end.ns,
            Self::Entry(ns, _) => ns,
        }
    }
}

impl fmt::Display for Undeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(end) => end.fmt(f),
            Self::Entry(ns, entry) => write!(f, "{entry} in {ns}"),
        }
    }
}

impl Plan {
    /// Tells whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
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
    // Where much differs, there is little to leave out.
    let most = target.namespaces.len() / 4;
    match settled::unsettled(lab, target, observed, most) {
        Some(part) => plan_all(lab, &target.only(&part), &observed.only(&part)),
        None => plan_all(lab, target, observed),
    }
}

/// Plans without asking first where anything differs.
fn plan_all(lab: &LabName, target: &State, observed: &State) -> Plan {
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
        let before = before.only(&self.touches(before));
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
    /// other ends of its cables.
    fn touches(&self, before: &State) -> BTreeSet<NsName> {
        let mut touched = BTreeSet::from([self.ns.clone()]);
        if let Change::AddLink { link: NewLink::Pair { peer, .. }, .. } = &self.change {
            touched.insert(peer.end.ns.clone());
        }
        let here = before.namespaces.get(&self.ns).into_iter();
        for interface in here.flat_map(|ns| ns.interfaces.values()) {
            if let Some(peer) = interface.kind.peer() {
                touched.insert(peer.ns.clone());
            }
        }
        touched
    }
}

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
        self.rules_again(ns, wanted);
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

    /// Removes interfaces that have a wanted name but can't be changed into what is wanted, and those
    /// that are no longer wanted but are all that another could be told apart by.
    fn clear_the_way(&mut self) {
        self.give_back();
        self.clear_keys();
        for (ns, wanted) in &self.target.namespaces {
            for (name, interface) in &wanted.interfaces {
                let found = self.interface(ns, name);
                if let Some(found) = found.filter(|found| !can_become(found, interface)) {
                    let change = Change::del_link(name.clone(), &found.kind);
                    self.push(ns, change, interface.origin);
                }
            }
        }
    }

    /// Gives back interfaces of the host's that are no longer wanted where they are: another node may want
    /// them, and with its namespace one would go, or come back under another name.
    fn give_back(&mut self) {
        let back: Vec<(NsName, Change)> = self
            .work
            .namespaces
            .iter()
            .flat_map(|(ns, found)| found.interfaces.iter().map(move |it| (ns, it)))
            .filter(|(ns, (name, it))| {
                let wanted = self.target.namespaces.get(*ns);
                let wanted = wanted.and_then(|wanted| wanted.interfaces.get(*name));
                let from = it.kind.moved_from();
                from.is_some() && wanted.and_then(|wanted| wanted.kind.moved_from()) != from
            })
            .map(|(ns, (name, it))| (ns.clone(), Change::del_link(name.clone(), &it.kind)))
            .collect();
        for (ns, change) in back {
            self.push(&ns, change, Origin::NONE);
        }
    }

    /// Removes what the lab made and no longer wants; names what others made.
    fn leftovers(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            self.rules_lost(ns, wanted);
            let Some(found) = self.work.namespaces.get(ns) else { continue };
            let ours = |table: &&Table| table.mark.as_ref().is_some_and(|m| m.lab == *self.lab);
            let extra = found.tables.values().filter(ours).map(|table| table.id.clone());
            let declared = |id: &TableId| wanted.declared_tables().any(|table| table.id == *id);
            let extra: Vec<_> = extra.filter(|id| !declared(id)).collect();
            for id in extra {
                self.push(ns, Change::DelTable(id), wanted.origin);
            }
            let Some(found) = self.work.namespaces.get(ns) else { continue };
            let foreign = found.foreign.difference(&wanted.entries);
            let foreign = foreign.map(|entry| Undeclared::Entry(ns.clone(), entry.clone()));
            self.plan.undeclared.extend(foreign);
            let extra: Vec<(IfName, Option<Change>)> = found
                .interfaces
                .iter()
                .filter(|(name, _)| !wanted.interfaces.contains_key(*name))
                .map(|(name, it)| {
                    let remove = || Change::del_link(name.clone(), &it.kind);
                    (name.clone(), it.ours.then(remove))
                })
                .collect();
            for (name, remove) in extra {
                match remove {
                    // The other end may have taken it along already.
                    Some(remove) if self.interface(ns, &name).is_some() => {
                        self.push(ns, remove, wanted.origin);
                    }
                    Some(_) => {}
                    None => {
                        let end = End { ns: ns.clone(), name };
                        self.plan.undeclared.push(Undeclared::Interface(end));
                    }
                }
            }
        }
        self.host_leftovers();
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

    /// Removes what the lab no longer wants in its host, before the namespaces it leads to: that
    /// would take it along, but some time later.
    fn host_leftovers(&mut self) {
        let host = NsName::host();
        let Some(found) = self.work.namespaces.get(&host) else { return };
        if self.target.namespaces.contains_key(&host) {
            return;
        }
        let ours = found.interfaces.iter().filter(|(_, interface)| interface.ours);
        let ours: Vec<IfName> = ours.map(|(name, _)| name.clone()).collect();
        let is_ours = |table: &&Table| table.mark.as_ref().is_some_and(|m| m.lab == *self.lab);
        let tables = found.tables.values().filter(is_ours).map(|table| table.id.clone());
        let tables: Vec<_> = tables.collect();
        for name in ours {
            self.push(&host, Change::DelLink { name, back: None }, Origin::NONE);
        }
        for id in tables {
            self.push(&host, Change::DelTable(id), Origin::NONE);
        }
    }

    fn set(&mut self, ns: &NsName, name: &IfName, set: LinkSetting, origin: Origin) {
        self.push(ns, Change::SetLink { name: name.clone(), set }, origin);
    }

    fn interface(&self, ns: &NsName, name: &IfName) -> Option<&Interface> {
        self.work.namespaces.get(ns)?.interfaces.get(name)
    }
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

/// Tells whether an interface can be made another by settings alone.
fn can_become(found: &Interface, wanted: &Interface) -> bool {
    let same_kind = match (&found.kind, &wanted.kind) {
        (Kind::Device(found), Kind::Device(wanted)) => found.can_become(wanted),
        (found, wanted) => found == wanted,
    };
    same_kind && found.has_queues_of(wanted)
}

/// Returns the interface whose setting a sysctl is, where it is one's: it can't be written before
/// that interface exists.
#[must_use]
pub fn interface_of_sysctl(key: &str) -> Option<&str> {
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
