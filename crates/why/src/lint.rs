//! What a file says that is probably not meant.

mod rules;
mod vrfs;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::{Address, Desired, End, Kind, NsName, Origin};

use crate::scene::Scene;
use crate::travel::{Trip, travel};
use crate::walk::Stop;
use crate::{Question, World, suggest, tunnel, walk, wire};

/// In a lab with more nodes the ways between all pairs are not looked at.
const NODES_ALL_PAIRS_MAX: usize = 30;

/// How many others are tried before a node is said to be reached by none, and how many far ends of a tunnel.
const TRIED_MAX: usize = 32;

/// The length of a frame that fits any wire, in bytes.
const SMALL_BYTES: u32 = 68;

/// Something doubtful.
#[derive(Debug, Clone)]
pub struct Lint {
    /// What kind of doubt: one of [`CODES`](crate::CODES).
    pub code: &'static str,
    /// What it is about, in one sentence.
    pub message: String,
    /// What asked for it.
    pub origin: Origin,
    /// Another place that matters, and why.
    pub related: Option<(Origin, String)>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Looks for all that is doubtful in what a file resolves to.
#[must_use]
pub fn lint(desired: &Desired) -> Vec<Lint> {
    let world = World { state: &desired.state, facts: None, intent: Some(desired), assumed: &[] };
    let scene = Scene::new(&world);
    let mut linter = Linter { scene: &scene, desired, found: Vec::new() };
    linter.addresses();
    linter.wires();
    linter.gateways();
    linter.tunnels();
    linter.unused();
    linter.filters();
    linter.nodes();
    linter.found
}

struct Linter<'s, 'a> {
    scene: &'s Scene<'a>,
    desired: &'a Desired,
    found: Vec<Lint>,
}

impl Linter<'_, '_> {
    fn say(&mut self, code: &'static str, origin: Origin, message: String) -> &mut Lint {
        let at = self.found.len();
        self.found.push(Lint { code, message, origin, related: None, hint: None });
        &mut self.found[at]
    }

    /// Addresses that mean the network itself or all on it (RFC 1122, section 3.2.1.3). A subnet of
    /// two has neither (RFC 3021).
    fn addresses(&mut self) {
        for (end, address) in all_addresses(self.desired) {
            let IpNet::V4(net) = address.net else { continue };
            if net.prefix_len() > 30 || end.name.as_str() == vnet_model::apply::LOOPBACK {
                continue;
            }
            let port = self.scene.port(&end.ns, &end.name);
            let addr = net.addr();
            if addr == net.network() {
                let message = format!("{net} on {port} is the address of the network itself");
                let lint = self.say("network-address", address.origin, message);
                let next = u32::from(addr) + 1;
                let next = std::net::Ipv4Addr::from(next);
                lint.hint = Some(format!("a host's address would be {next}/{}", net.prefix_len()));
            } else if addr == net.broadcast() {
                let message = format!("{net} on {port} is the broadcast address of its subnet");
                let lint = self.say("broadcast-address", address.origin, message);
                lint.hint = Some("nobody on the link can send to it; take another".to_owned());
            }
        }
    }

    /// Wires with ends of different MTUs, and prefixes that overlap on different wires.
    fn wires(&mut self) {
        let mut prefixes: Vec<(IpNet, usize, End, Origin)> = Vec::new();
        let wires = wires(self.scene);
        let vrfs = vrfs::Vrfs::of(self.scene, &wires);
        for (number, wire) in wires.iter().enumerate() {
            self.mtus(wire);
            for end in wire {
                let addresses = self.scene.end(end).map(|i| i.addresses.clone());
                for address in addresses.unwrap_or_default() {
                    let net = address.net.trunc();
                    if net.prefix_len() < net.max_prefix_len() {
                        prefixes.push((net, number, end.clone(), address.origin));
                    }
                }
            }
        }
        // A prefix stands right behind those that hold it.
        prefixes.sort_by_key(|(net, number, ..)| (net.network(), net.prefix_len(), *number));
        let mut around: Vec<usize> = Vec::new();
        let mut said = BTreeSet::new();
        for at in 0..prefixes.len() {
            let net = prefixes[at].0;
            around.retain(|&outer| prefixes[outer].0.contains(&net));
            let clash = around.iter().copied().find(|&outer| {
                prefixes[outer].1 != prefixes[at].1
                    && !vrfs.keep_apart(&prefixes[outer].2, &prefixes[at].2)
            });
            if let Some(outer) = clash
                && said.insert((prefixes[outer].1, prefixes[at].1))
            {
                let (first, second) = (&prefixes[outer], &prefixes[at]);
                let port = |end: &End| self.scene.port(&end.ns, &end.name);
                let message = format!(
                    "{} at {} overlaps {} at {}, on another link",
                    second.0,
                    port(&second.2),
                    first.0,
                    port(&first.2)
                );
                let (origin, other) = (second.3, first.3);
                let lint = self.say("overlapping-prefixes", origin, message);
                lint.related = Some((other, "the other is here".to_owned()));
            }
            around.push(at);
        }
    }

    fn mtus(&mut self, wire: &[End]) {
        let mtu = |end: &End| self.scene.end(end).and_then(|interface| interface.mtu);
        let known = || wire.iter().filter_map(|end| Some((mtu(end)?, end)));
        let (Some((least, small)), Some((most, large))) = (known().min(), known().max()) else {
            return;
        };
        if least < most {
            let port = |end: &End| self.scene.port(&end.ns, &end.name);
            let (small_port, large_port) = (port(small), port(large));
            let origin = |end: &End| self.scene.end(end).map(|i| i.origin).unwrap_or_default();
            let (origin, other) = (origin(small), origin(large));
            let message = format!(
                "{small_port} has an MTU of {least} bytes, but {large_port} on the same link has \
                 {most}: what is longer is lost in silence"
            );
            let lint = self.say("mtu-mismatch", origin, message);
            lint.related = Some((other, "the other end is here".to_owned()));
            lint.hint = Some("give `mtu:` to the link or segment instead of one end".to_owned());
        }
    }

    /// Gateways that nobody has.
    fn gateways(&mut self) {
        for (ns, namespace) in &self.desired.state.namespaces {
            for route in &namespace.routes {
                for leg in &route.nexthops {
                    let Some(via) = leg.via else { continue };
                    let from = End { ns: ns.clone(), name: leg.dev.clone() };
                    let stations = wire::domain(self.scene, &from, SMALL_BYTES, true).stations;
                    if stations.iter().any(|there| walk::answers(self.scene, &there.end, via)) {
                        continue;
                    }
                    let port = self.scene.port(ns, &leg.dev);
                    let message = format!("nobody on the link of {port} has the gateway {via}");
                    self.say("wrong-gateway", route.origin, message);
                }
            }
        }
    }

    /// Tunnels whose packets would go into them again.
    fn tunnels(&mut self) {
        for (ns, namespace) in &self.desired.state.namespaces {
            for (name, interface) in &namespace.interfaces {
                let end = End { ns: ns.clone(), name: name.clone() };
                let Some(broken) = tunnel::circle(self.scene, &end, TRIED_MAX) else { continue };
                let port = self.scene.port(ns, name);
                let message = format!("{port} would carry itself: {}", broken.text());
                let lint = self.say("tunnel-loop", interface.origin, message);
                lint.hint = Some("lead to its far end by routes around it".to_owned());
            }
        }
    }

    /// Who is reached by nobody, and what is odd on the ways of those who are.
    fn nodes(&mut self) {
        let nodes: Vec<NsName> = self.desired.nodes.values().cloned().collect();
        let all_pairs = nodes.len() <= NODES_ALL_PAIRS_MAX;
        let (mut loops, mut odd) = (BTreeSet::new(), BTreeSet::new());
        let mut seen = ways::Seen::default();
        for to in &nodes {
            let Some((dst, origin)) = self.first_address(to) else { continue };
            let near: BTreeSet<NsName> =
                suggest::neighbours(self.scene, to).into_iter().map(|(_, end)| end.ns).collect();
            let mut others: Vec<&NsName> = nodes.iter().filter(|from| *from != to).collect();
            others.sort_by_key(|from| !near.contains(*from));
            let mut reached = others.is_empty();
            let tried = if all_pairs { others.len() } else { TRIED_MAX };
            for from in others.into_iter().take(tried) {
                let trips = travel(self.scene, &Question::new(from.clone(), dst));
                reached |= trips.iter().any(|trip| trip.failed().is_none());
                seen.note(self, &trips, to);
                if let Some(circle) = circle_of(&trips) {
                    loops.insert(circle);
                }
                if all_pairs && is_asymmetric(&trips) {
                    let (a, b) = if from < to { (from, to) } else { (to, from) };
                    odd.insert((a.clone(), b.clone()));
                }
                if reached && !all_pairs {
                    break;
                }
            }
            if !reached {
                let message = format!("no other node reaches {} at {dst}", self.scene.label(to));
                let lint = self.say("unreachable-node", origin, message);
                let hint =
                    "`vnet why --static` says what is missing; `routing: auto` adds all routes";
                lint.hint = Some(hint.to_owned());
            }
        }
        self.ways(seen);
        for circle in loops {
            let names: Vec<String> = circle.iter().map(|ns| self.scene.label(ns)).collect();
            let message = format!("routes lead in a circle: {}", names.join(" -> "));
            let origin = self.scene.ns(&circle[0]).map(|ns| ns.origin).unwrap_or_default();
            self.say("routing-loop", origin, message);
        }
        for (a, b) in odd {
            let origin = self.scene.ns(&a).map(|ns| ns.origin).unwrap_or_default();
            let (a, b) = (self.scene.label(&a), self.scene.label(&b));
            let message = format!("the way from {a} to {b} is not the way back");
            self.say("asymmetric-route", origin, message);
        }
    }

    fn first_address(&self, ns: &NsName) -> Option<(IpAddr, Origin)> {
        let found = self.desired.state.namespaces.get(ns)?;
        let all = found.interfaces.values().flat_map(|interface| &interface.addresses);
        let mut usable = all.filter(|address| {
            let addr = address.net.addr();
            !addr.is_loopback() && !address.is_ipv6_link_local()
        });
        usable.next().map(|address| (address.net.addr(), found.origin))
    }
}

fn all_addresses(desired: &Desired) -> impl Iterator<Item = (End, Address)> {
    desired.state.namespaces.iter().flat_map(|(ns, namespace)| {
        namespace.interfaces.iter().flat_map(move |(name, interface)| {
            let end = End { ns: ns.clone(), name: name.clone() };
            interface.addresses.iter().map(move |address| (end.clone(), *address))
        })
    })
}

/// The interfaces that hear each other, wire by wire.
fn wires(scene: &Scene<'_>) -> Vec<Vec<End>> {
    let mut wires = Vec::new();
    let mut seen: BTreeMap<End, ()> = BTreeMap::new();
    for (ns, namespace) in &scene.state.namespaces {
        for (name, interface) in &namespace.interfaces {
            let end = End { ns: ns.clone(), name: name.clone() };
            let is_end = scene.bridge_of(&end).is_none() && interface.kind != Kind::Loopback;
            if !is_end || seen.contains_key(&end) {
                continue;
            }
            let mut wire = vec![end.clone()];
            let heard = wire::domain(scene, &end, SMALL_BYTES, true).stations;
            wire.extend(heard.into_iter().map(|station| station.end));
            seen.extend(wire.iter().map(|end| (end.clone(), ())));
            wires.push(wire);
        }
    }
    wires
}

/// The circle that a packet goes round in, beginning with its first name.
fn circle_of(trips: &[Trip]) -> Option<Vec<NsName>> {
    trips.iter().find_map(|trip| match trip.failed()?.stop.as_ref()? {
        Stop::Loop(circle) => {
            let mut circle = circle.clone();
            let first = circle.iter().enumerate().min_by_key(|(_, ns)| (*ns).clone())?.0;
            circle.rotate_left(first);
            Some(circle)
        }
        _ => None,
    })
}

/// Tells whether the only way there passes other nodes than the only way back.
fn is_asymmetric(trips: &[Trip]) -> bool {
    let [trip] = trips else { return false };
    let (None, Some(back)) = (trip.failed(), &trip.back) else { return false };
    let passed = |walked: &walk::Walked| {
        walked.decisions.iter().map(|decided| decided.ns.clone()).collect::<Vec<_>>()
    };
    let mut there = passed(&trip.forth);
    there.reverse();
    there != passed(back)
}
