//! From what exists to a topology that means it: the other way than [`resolve`](crate::resolve()).
//!
//! What a topology says anyway is left out: MTUs that are the default, interfaces that are up,
//! forwarding that every interface of a node has. What a topology can't say is named.

mod options;

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::bridging::{born_vlans, default_pvid};
use crate::kind::{Device, Options};
use crate::names::{IfName, LabName, Mark, NodeName, NsName};
use crate::origin::Origin;
use crate::plan::plan;
use crate::problem::Problem;
use crate::resolve::{Desired, resolve, sysctls};
use crate::state::{
    Entry, IPV6_FORWARDING, Interface, Kind, Namespace, NextHop, NexthopKind, NexthopObject, Owner,
    Route, State, TABLE_MAIN, default_metric,
};
use crate::step::Step;
use crate::topology::{
    Endpoint, InterfaceOptions, Leg, Link, NetnsPattern, Node, NodeInterface, NodeInterfaceKind,
    StaticFdb, StaticNexthop, StaticNexthopKind, StaticRoute, StaticRule, Sysctl, Topology, Via,
    VlanSpec,
};
use options::{is_derived, options};

/// Sysctls of a namespace as a whole that a snapshot looks at, besides those of its interfaces.
pub const SYSCTLS: [&str; 3] = [IPV6_FORWARDING, IPV6_OFF, IPV6_OFF_DEFAULT];
const IPV6_OFF: &str = "net.ipv6.conf.all.disable_ipv6";
const IPV6_OFF_DEFAULT: &str = "net.ipv6.conf.default.disable_ipv6";

/// A topology that means what exists.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The topology.
    pub topology: Topology,
    /// What it resolves to.
    pub desired: Desired,
    /// What exists and the topology does not say, in words.
    pub left_out: Vec<String>,
    /// What `up` would change nonetheless; empty where the topology says all.
    pub differs: Vec<Step>,
}

/// Returns the name by which the namespace of a process would be pinned: `pid123`.
#[must_use]
pub fn name_of_process(pid: u32) -> String {
    format!("pid{pid}")
}

/// Gives namespaces marks by which they would be nodes of a lab: after their names, without the
/// lab's name before it where all have that; those of processes after [`name_of_process`].
///
/// Names that can't be a node's are left out.
#[must_use]
pub fn marks(lab: &LabName, names: &BTreeSet<NsName>) -> BTreeMap<NsName, Mark> {
    let prefix = format!("{lab}-");
    let is_short = names.iter().all(|name| name.as_str().starts_with(&prefix));
    let node = |name: &NsName| {
        if let Some(pid) = name.process() {
            return NodeName::new(&name_of_process(pid)).ok();
        }
        NodeName::new(if is_short { &name.as_str()[prefix.len()..] } else { name.as_str() }).ok()
    };
    names
        .iter()
        .filter_map(|name| Some((name.clone(), Mark { lab: lab.clone(), node: node(name)? })))
        .collect()
}

/// Makes a topology of what exists. Every namespace in `state` belongs to the lab and has a mark
/// as [`marks`] gives it, with the values of [`SYSCTLS`].
///
/// # Errors
/// When what exists contradicts itself as a topology.
pub fn snapshot(lab: &LabName, state: &State) -> Result<Snapshot, Vec<Problem>> {
    let mut taken = Taken { state, left_out: Vec::new() };
    let short = format!("{lab}-");
    let is_short = state.namespaces.iter().all(|(name, ns)| {
        let node = ns.owner.mark().map(|mark| mark.node.as_str());
        node.is_some_and(|node| name.as_str() == format!("{short}{node}"))
    });
    let pattern = if is_short { NetnsPattern::default() } else { NetnsPattern::new("$node") };
    let mut builder = Topology::builder(lab.as_str()).netns(pattern);
    let links = taken.links();
    for (name, ns) in &state.namespaces {
        if let Owner::Lab(mark) = &ns.owner {
            let mut node = taken.node(name, mark, ns);
            keep_sysctls_of(&mut node, &links);
            builder = builder.node(node);
        }
    }
    for link in links {
        builder = builder.link(link);
    }
    let topology = builder.build()?;
    let desired = resolve(&topology)?;
    let mut observed = state.clone();
    for ns in observed.namespaces.values_mut() {
        ns.interfaces.values_mut().for_each(|interface| interface.ours = true);
    }
    let differs = plan(&desired, &observed).steps;
    Ok(Snapshot { topology, desired, left_out: taken.left_out, differs })
}

struct Taken<'s> {
    state: &'s State,
    left_out: Vec<String>,
}

impl Taken<'_> {
    fn node(&mut self, name: &NsName, mark: &Mark, ns: &Namespace) -> Node {
        let mut node = Node::new(mark.node.clone());
        let others = || ns.interfaces.values().filter(|it| it.kind != Kind::Loopback);
        node.ipv6 = ns.sysctls.get(IPV6_OFF).is_none_or(|value| value != "1");
        let mut forwards = others().filter_map(|it| it.forward_ipv4).peekable();
        node.forward = forwards.peek().is_some() && forwards.all(|on| on);
        let ipv6_forwards = ns.sysctls.get(IPV6_FORWARDING).is_some_and(|value| value == "1");
        if node.ipv6 && node.forward != ipv6_forwards && (ipv6_forwards || has_ipv6(self.state)) {
            set(&mut node, IPV6_FORWARDING, ipv6_forwards);
        }
        sysctls(ns, &mut node);
        // Off now, but not on what comes.
        if !node.ipv6 && ns.sysctls.get(IPV6_OFF_DEFAULT).is_some_and(|value| value == "0") {
            set(&mut node, IPV6_OFF_DEFAULT, false);
        }
        for (dev, interface) in &ns.interfaces {
            self.interface(name, dev, interface, ns, &mut node);
        }
        node.routes = ns.routes.iter().map(static_route).collect();
        for entry in ns.entries.iter().chain(&ns.foreign) {
            self.entry(name, entry, &mut node);
        }
        node
    }

    fn entry(&mut self, ns: &NsName, entry: &Entry, node: &mut Node) {
        match entry {
            Entry::Nexthop(nexthop) => node.nexthops.push(static_nexthop(nexthop)),
            Entry::Rule(rule) => {
                let priority = Some(rule.priority);
                node.rules.push(StaticRule { priority, rule: rule.clone() });
            }
            Entry::Neighbor(neighbor) => node.neighbors.push(neighbor.clone()),
            Entry::Unknown(what) => self.left_out.push(format!("{what} in {ns}")),
        }
    }

    fn interface(
        &mut self,
        ns_name: &NsName,
        dev: &IfName,
        interface: &Interface,
        ns: &Namespace,
        node: &mut Node,
    ) {
        let is_told = node.forward || node.sysctls.contains_key(IPV4_FORWARD);
        if interface.kind != Kind::Loopback && !is_told && interface.forward_ipv4 == Some(true) {
            set(node, &forwarding_of(dev), true);
        }
        if is_known(interface, ns) {
            let entries = interface.fdb.iter().flatten();
            node.fdb.extend(entries.map(|&entry| StaticFdb { dev: dev.clone(), entry }));
        }
        let vlans = vlans(ns, dev, interface);
        let kind = match &interface.kind {
            Kind::Loopback => NodeInterfaceKind::Existing,
            kind if kind.peer().is_some() => {
                if vlans.is_some() {
                    let (name, options) =
                        (dev.clone(), InterfaceOptions { vlans, ..Default::default() });
                    let kind = NodeInterfaceKind::Existing;
                    node.interfaces.push(NodeInterface { name, kind, options });
                }
                return;
            }
            kind if kind.is_pair() => {
                let why = "the other end of its cable is in no namespace that was looked at";
                self.left_out.push(format!("{dev} in {ns_name}: {why}"));
                return;
            }
            Kind::Device(device) if can_be_said(device, ns) => {
                let is_port = |(_, port): &(&IfName, &Interface)| {
                    port.master.as_ref() == Some(dev) && is_known(port, ns)
                };
                let ports = ns.interfaces.iter().filter(is_port);
                let ports = ports.map(|(name, _)| name.clone()).collect();
                NodeInterfaceKind::Device { device: device.telling(&Options::new()), ports }
            }
            kind => {
                let kind = kind.name();
                self.left_out.push(format!("{dev} in {ns_name}: a {kind} is not in the language"));
                return;
            }
        };
        let options = InterfaceOptions { vlans, ..options(interface, ns, node.ipv6) };
        let says_nothing = options == InterfaceOptions::default();
        if kind != NodeInterfaceKind::Existing || !says_nothing {
            node.interfaces.push(NodeInterface { name: dev.clone(), kind, options });
        }
    }

    /// Returns the cables, each once.
    fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for (name, ns) in &self.state.namespaces {
            for (dev, interface) in &ns.interfaces {
                let Some(peer) = interface.kind.peer() else { continue };
                if (&peer.ns, &peer.name) < (name, dev) {
                    continue;
                }
                let far = self.state.namespaces.get(&peer.ns);
                let far_end = far.and_then(|far| far.interfaces.get(&peer.name));
                if let (Some(far), Some(far_end)) = (far, far_end)
                    && let Some(a) = end(ns, dev, interface)
                    && let Some(b) = end(far, &peer.name, far_end)
                {
                    let cable = interface.kind.device();
                    links.push(link([a, b], cable.map(said_of_cable)));
                }
            }
        }
        links
    }
}

/// Leaves out the sysctls of interfaces that are left out.
fn keep_sysctls_of(node: &mut Node, links: &[Link]) {
    let own = node.interfaces.iter().map(|interface| interface.name.clone());
    let ends = links.iter().flat_map(|link| &link.ends).filter(|end| end.node == node.name);
    let said: BTreeSet<IfName> = own.chain(ends.filter_map(|end| end.interface.clone())).collect();
    node.sysctls.retain(|key, _| {
        let of = sysctls::interface_of(key);
        of.is_none_or(|name| said.contains(&name) || sysctls::is_of_kernel(name.as_str()))
    });
}

/// Tells whether an interface can be part of a topology.
fn is_known(interface: &Interface, ns: &Namespace) -> bool {
    match &interface.kind {
        kind if kind.is_pair() => kind.peer().is_some(),
        Kind::Device(device) => can_be_said(device, ns),
        _ => false,
    }
}

/// Tells whether what a device stands on is part of a topology too.
fn can_be_said(device: &Device, ns: &Namespace) -> bool {
    let is_there = |name: &IfName| {
        ns.interfaces.get(name).is_some_and(|below| match &below.kind {
            kind if kind.is_pair() => kind.peer().is_some(),
            // No device stands on itself: it would have to be there before it was.
            Kind::Device(other) => other != device && can_be_said(other, ns),
            kind => *kind == Kind::Loopback,
        })
    };
    device.needs().all(is_there)
}

/// Returns the VLANs of a bridge that keeps them apart, or of its port, where they are not as new ones have
/// them.
fn vlans(ns: &Namespace, dev: &IfName, interface: &Interface) -> Option<Vec<VlanSpec>> {
    let master = || ns.interfaces.get(interface.master.as_ref()?);
    let bridge = if interface.kind.is_bridge() { Some(interface) } else { master() };
    let device = bridge?.kind.device().filter(|it| it.spec.is_bridge())?;
    let born = born_vlans(default_pvid(Some(&device.options)));
    let vlans = device.is_on("vlan_filtering").then(|| ns.port_vlans(dev))?;
    (vlans != born).then(|| VlanSpec::of(&vlans))
}

/// Tells whether the file will have IPv6 addresses.
fn has_ipv6(state: &State) -> bool {
    let interfaces = state.namespaces.values().flat_map(|ns| ns.interfaces.values());
    let mut written = interfaces.flat_map(|interface| {
        interface.addresses.iter().filter(|address| !is_derived(address, interface.mac))
    });
    written.any(|address| address.net.addr().is_ipv6() && !address.net.addr().is_loopback())
}

const IPV4_FORWARD: &str = "net.ipv4.ip_forward";
const IPV4_FORWARD_ALL: &str = "net.ipv4.conf.all.forwarding";
const IPV4_FORWARD_DEFAULT: &str = "net.ipv4.conf.default.forwarding";

/// Takes over the sysctls, but those that say what the node's options do: whether it forwards, and
/// whether IPv6 runs in it.
fn sysctls(ns: &Namespace, node: &mut Node) {
    let value = |key: &str| ns.sysctls.get(key).map_or("0", String::as_str);
    let forwards = value(IPV4_FORWARD) == "1";
    let forwardings: BTreeSet<String> = ns.interfaces.keys().map(forwarding_of).collect();
    for (key, found) in &ns.sysctls {
        let said = match key.as_str() {
            IPV4_FORWARD => node.forward || !forwards,
            IPV4_FORWARD_ALL => true,
            IPV4_FORWARD_DEFAULT => node.forward || value(IPV4_FORWARD) == found,
            key => SYSCTLS.contains(&key) || forwardings.contains(key),
        };
        if !said {
            let sysctl = Sysctl { value: found.clone(), origin: Origin::NONE };
            node.sysctls.insert(key.clone(), sysctl);
        }
    }
    // What is written of all holds for each that does not say otherwise.
    if forwards && !node.forward {
        let off = ns.interfaces.iter().filter(|(_, it)| it.forward_ipv4 == Some(false));
        off.for_each(|(dev, _)| set(node, &forwarding_of(dev), false));
    }
}

/// The sysctl that says whether an interface forwards.
fn forwarding_of(dev: &IfName) -> String {
    format!("net.ipv4.conf.{}.forwarding", dev.in_sysctls())
}

fn set(node: &mut Node, key: &str, on: bool) {
    let value = if on { "1" } else { "0" }.to_owned();
    node.sysctls.insert(key.to_owned(), Sysctl { value, origin: Origin::NONE });
}

fn end(ns: &Namespace, dev: &IfName, interface: &Interface) -> Option<Endpoint> {
    let node = ns.owner.mark()?.node.clone();
    let ipv6 = ns.sysctls.get(IPV6_OFF).is_none_or(|value| value != "1");
    let options = options(interface, ns, ipv6);
    Some(Endpoint { options, ..Endpoint::new(node, Some(dev.clone())) })
}

/// Returns what is said of a cable that is no veth pair.
fn said_of_cable(device: &Device) -> Device {
    Device { peer: None, came_along: false, ..device.telling(&Options::new()) }
}

fn link(ends: [Endpoint; 2], cable: Option<Device>) -> Link {
    Link {
        name: None,
        ends,
        addressing: crate::topology::Addressing::Given,
        gateway: None,
        mtu: None,
        cost: None,
        cable,
        tunnel: None,
        trunk: Vec::new(),
        origin: Origin::NONE,
    }
}

/// Returns a route as a file writes it.
fn static_route(route: &Route) -> StaticRoute {
    let several = route.nexthops.len() > 1;
    let legs = route.nexthops.iter().map(|hop| leg(hop, several)).collect();
    let (metric, table) = (route.metric, route.table);
    StaticRoute {
        nhid: route.nhid,
        src: route.src,
        metric: (metric != default_metric(&route.dst)).then_some(metric),
        table: (table != TABLE_MAIN).then_some(table),
        scope: route.scope.filter(|scope| *scope != route.default_scope()),
        metrics: route.metrics.clone(),
        ..StaticRoute::new(route.kind, Some(route.dst), legs)
    }
}

fn leg(hop: &NextHop, has_weight: bool) -> Leg {
    Leg {
        via: hop.via.map(Via::Addr),
        dev: Some(hop.dev.clone()),
        weight: Some(hop.weight).filter(|weight| has_weight && *weight != 1),
        onlink: hop.onlink,
        encap: hop.encap.clone(),
    }
}

fn static_nexthop(nexthop: &NexthopObject) -> StaticNexthop {
    let kind = match &nexthop.kind {
        NexthopKind::Leg(hop) => StaticNexthopKind::Leg(leg(hop, false)),
        NexthopKind::Blackhole => StaticNexthopKind::Blackhole,
        NexthopKind::Group(members) => StaticNexthopKind::Group(members.clone()),
    };
    StaticNexthop { id: nexthop.id, ipv6: nexthop.ipv6, kind, origin: Origin::NONE }
}

#[cfg(test)]
mod tests;
