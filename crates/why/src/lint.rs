//! What a file says that is probably not meant.

mod rules;
mod vrfs;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::ipnet::IpNet;
use vnet_model::{
    Address, Desired, End, IfName, Interface, Kind, Namespace, NsName, Origin, Route,
};

use crate::scene::Scene;
use crate::travel::{Trip, travel};
use crate::walk::Stop;
use crate::{Question, World, pairs, suggest, tunnel, walk, wire};

/// In a lab with more nodes not all that is odd on the ways between all pairs is looked for.
const NODES_ALL_PAIRS_MAX: usize = 30;

/// So many pairs are named whose way back is not the way there.
const ODD_SHOWN_MAX: usize = 10;

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
    let world = World::on_paper(desired);
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
            // Who is at the other end of a tunnel is not known by its wire.
            if let [end] = wire.as_slice()
                && self.scene.end(end).is_some_and(is_tunnel)
            {
                continue;
            }
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

    /// Gateways that nobody has. Many routes lead by one, which is looked for once.
    fn gateways(&mut self) {
        for (ns, namespace) in &self.desired.state.namespaces {
            let mut known: BTreeMap<(&IfName, IpAddr), bool> = BTreeMap::new();
            for route in &namespace.routes {
                for leg in &route.nexthops {
                    let Some(via) = leg.via else { continue };
                    let dev = namespace.interfaces.get(&leg.dev);
                    if dev.is_some_and(leads_out) {
                        continue;
                    }
                    let is_there = known.entry((&leg.dev, via)).or_insert_with(|| {
                        let from = End { ns: ns.clone(), name: leg.dev.clone() };
                        let stations = wire::domain(self.scene, &from, SMALL_BYTES, true).stations;
                        // A tunnel without a wire leads to whoever its far end is.
                        (stations.is_empty() && dev.is_some_and(is_tunnel))
                            || stations.iter().any(|it| walk::answers(self.scene, &it.end, via))
                    });
                    if *is_there {
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
        let well = if all_pairs { BTreeSet::new() } else { self.well(&nodes) };
        for to in &nodes {
            let Some(found) = self.desired.state.namespaces.get(to) else { continue };
            let asked = asked_addresses(found);
            let most = if all_pairs { usize::MAX } else { TRIED_MAX };
            let others = self.others(&nodes, to, most);
            let mut unreached = Vec::new();
            for (number, asked) in asked.iter().enumerate() {
                if well.contains(&(to.clone(), asked.net.addr())) {
                    continue;
                }
                // All ways are looked at to the first address.
                let all = all_pairs && number == 0;
                let mut reached = others.is_empty();
                let mut told = true;
                for from in others.iter().take(if all { most } else { TRIED_MAX }) {
                    let question = Question::new(from.clone(), asked.net.addr());
                    let trips = travel(self.scene, &question);
                    reached |= trips.iter().any(|trip| trip.failed().is_none());
                    told &= !trips.iter().any(is_filtered);
                    seen.note(self, &trips, to);
                    if let Some(circle) = circle_of(&trips) {
                        loops.insert(circle);
                    }
                    if all && !from.is_host() && is_asymmetric(&trips) {
                        let (a, b) = if from < to { (from, to) } else { (to, from) };
                        odd.insert((a.clone(), b.clone()));
                    }
                    if reached && !all {
                        break;
                    }
                }
                if !reached {
                    unreached.push((*asked, told));
                }
            }
            self.unreached(to, asked.len(), &unreached);
        }
        if !all_pairs {
            odd = self.asymmetric(&nodes);
            self.narrow(&mut seen);
        }
        self.ways(seen);
        loops.extend(self.default_circles(&nodes));
        for circle in loops {
            let names: Vec<String> = circle.iter().map(|ns| self.scene.label(ns)).collect();
            let message = format!("routes lead in a circle: {}", names.join(" -> "));
            let origin = self.scene.ns(&circle[0]).map(|ns| ns.origin).unwrap_or_default();
            self.say("routing-loop", origin, message);
        }
        let more = odd.len().saturating_sub(ODD_SHOWN_MAX);
        for (number, (a, b)) in odd.into_iter().take(ODD_SHOWN_MAX).enumerate() {
            let origin = self.scene.ns(&a).map(|ns| ns.origin).unwrap_or_default();
            let (a, b) = (self.scene.label(&a), self.scene.label(&b));
            let mut message = format!("the way from {a} to {b} is not the way back");
            if number + 1 == ODD_SHOWN_MAX && more > 0 {
                message.push_str(&format!(", nor are those of {more} more pairs"));
            }
            self.say("asymmetric-route", origin, message);
        }
    }

    /// Finds where default routes lead in a circle: what nobody has goes round in it.
    fn default_circles(&self, nodes: &[NsName]) -> BTreeSet<Vec<NsName>> {
        // Of documentation alone (RFC 5737, RFC 3849), else one that the lab has means something.
        let anywhere = [
            IpAddr::from(Ipv4Addr::new(203, 0, 113, 213)),
            IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0, 0, 0, 0xd5)),
        ];
        let leads = |route: &Route, dst: IpAddr| {
            route.dst.prefix_len() == 0 && route.dst.addr().is_ipv4() == dst.is_ipv4()
        };
        let mut circles = BTreeSet::new();
        for ns in nodes {
            let Some(found) = self.desired.state.namespaces.get(ns) else { continue };
            for dst in anywhere {
                if found.routes.iter().any(|route| leads(route, dst)) {
                    circles.extend(circle_of(&travel(self.scene, &Question::new(ns.clone(), dst))));
                }
            }
        }
        circles
    }

    /// Finds the addresses of nodes that somebody reaches, as far as all can be asked at once.
    fn well(&self, nodes: &[NsName]) -> BTreeSet<(NsName, IpAddr)> {
        let mut asked = Vec::new();
        for to in nodes {
            let Some(found) = self.desired.state.namespaces.get(to) else { continue };
            let others = self.others(nodes, to, TRIED_MAX);
            let all = asked_addresses(found).into_iter().map(|address| address.net.addr());
            asked.extend(all.map(|addr| (to.clone(), addr, others.clone())));
        }
        let reached = pairs::reached(&World::on_paper(self.desired), &asked).unwrap_or_default();
        reached.into_iter().map(|number| (asked[number].0.clone(), asked[number].1)).collect()
    }

    /// Lists who may reach a node, its neighbours first: the other nodes, and the host where it has to do
    /// with the lab.
    fn others(&self, nodes: &[NsName], to: &NsName, most: usize) -> Vec<NsName> {
        let near: BTreeSet<NsName> =
            suggest::neighbours(self.scene, to).into_iter().map(|(_, end)| end.ns).collect();
        let host = self.scene.state.namespaces.keys().filter(|ns| ns.is_host());
        let all = nodes.iter().chain(host).filter(|from| *from != to);
        let (first, rest): (Vec<_>, Vec<_>) = all.partition(|from| near.contains(*from));
        first.into_iter().chain(rest).take(most).cloned().collect()
    }

    /// Says of a node, or of some of its addresses, that nobody reaches them.
    fn unreached(&mut self, to: &NsName, asked: usize, unreached: &[(Address, bool)]) {
        let label = self.scene.label(to);
        let hint = "`vnet why --static` says what is missing; `routing: auto` adds all routes";
        if let Some((first, _)) = unreached.first().filter(|_| unreached.len() == asked) {
            let origin = self.scene.ns(to).map(|found| found.origin).unwrap_or_default();
            let message = format!("no other node reaches {label} at {}", first.net.addr());
            self.say("unreachable-node", origin, message).hint = Some(hint.to_owned());
            return;
        }
        // What a filter keeps away is meant to be.
        for (address, _) in unreached.iter().filter(|(_, told)| *told) {
            let message = format!("no other node reaches {label} at {}", address.net.addr());
            let lint = self.say("unreachable-address", address.origin, message);
            lint.hint = Some(hint.to_owned());
        }
    }
}

/// Lists the addresses of a namespace by which others may reach it; not where others than the lab's are
/// on the link.
fn asked_addresses(found: &Namespace) -> Vec<Address> {
    let own = found.interfaces.values().filter(|interface| !leads_out(interface));
    let all = own.flat_map(|interface| &interface.addresses);
    let usable = all.filter(|address| {
        let addr = address.net.addr();
        !addr.is_loopback() && !address.is_ipv6_link_local()
    });
    usable.copied().collect()
}

/// Tells whether an interface is on a link of the host's, on which others are that no file knows.
fn leads_out(interface: &Interface) -> bool {
    interface.kind.host_lower().is_some()
}

fn is_tunnel(interface: &Interface) -> bool {
    interface.kind.device().is_some_and(|device| device.spec.is_tunnel())
}

/// Tells whether a filter ended a way, or nobody can tell where it ends.
fn is_filtered(trip: &Trip) -> bool {
    let stop = trip.failed().and_then(|walked| walked.stop.as_ref());
    trip.is_unsure() || matches!(stop, Some(Stop::ByFilter(_) | Stop::Unknown(_)))
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
