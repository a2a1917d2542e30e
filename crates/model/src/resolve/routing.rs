//! `routing: auto`: shortest paths over links and segments, by hops or `cost`.
//!
//! Each family has a graph of its own: nodes, and the broadcast domains that join those with an
//! address of the family there. Only nodes that forward are on others' paths. For each prefix and
//! each loopback address the distances of all nodes are searched from there, once; a node's next
//! hops are then the neighbours which are nearer by what the way to them costs. Equal ones make
//! one multipath route.
//!
//! A VRF is a node of that graph by itself, with the interfaces that are its ports, and its routes are in
//! its table. So the same prefix may be in several: each leads to that which its own links lead to.
//!
//! A node says nothing by an interface at which it masquerades: who is out there knows only the
//! node's own address there, and sends answers to that.
//!
//! The ways to where tunnels end are found layer by layer, so that none leads into the tunnel that it is to
//! carry: [`layers`].
//!
//! A prefix that a node is in is the kernel's business. One that is on a wire of the node, but in
//! which it has no address, is on link: `10.0.2.0/24 dev veth0`.

mod instances;
mod layers;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use ipnet::IpNet;

use self::instances::Instances;
use super::network::{Family, Network};
use super::routes::Table;
use crate::state::{NextHop, Route, is_ipv6_link_local};
use crate::topology::NatKind;

/// Adds to each node the routes to all prefixes that it is not in, where the file says no other.
pub(super) fn add(network: &Network<'_>, tables: &mut [Table]) {
    let instances = Instances::of(network);
    for family in Family::BOTH {
        let graph = Graph::of(network, &instances, family);
        let (dsts, targets): (Vec<IpNet>, Vec<Target>) =
            targets(network, &instances, &graph, family).into_iter().unzip();
        let ends = layers::Ends::of(network, family, &dsts);
        let mut search = Search::new(&graph);
        let mut found: Vec<Found> = instances.all.iter().map(|_| Found::default()).collect();
        for (number, target) in targets.iter().enumerate() {
            if ends.has(number) {
                continue;
            }
            search.run(&graph, target);
            for (instance, found) in found.iter_mut().enumerate() {
                if !target.is_at(instance) {
                    search.hops(&graph, instance, &mut found.hops);
                    found.keep(number);
                }
            }
        }
        ends.find(&graph, &targets, &mut search, &mut found);
        for (found, &(place, table)) in found.into_iter().zip(&instances.all) {
            if let Some(node) = network.node(place) {
                let routes = found.into_routes(network, family, &dsts);
                let routes = routes.map(|route| Route { table, origin: node.origin, ..route });
                tables[place].add_automatic(routes);
            }
        }
    }
}

/// A next hop: the interface, and the one at the far end where that passes on.
type Hop = (usize, Option<usize>);

/// The next hops of one instance to all targets, in numbers: a lab of 1,000 nodes has millions.
#[derive(Debug, Default)]
struct Found {
    /// The next hops to the target at hand.
    hops: Vec<Hop>,
    /// Each set of next hops that there is, with its number.
    sets: HashMap<Box<[Hop]>, usize>,
    /// The number of the target and that of the set of next hops there.
    routes: Vec<(usize, usize)>,
}

impl Found {
    /// Keeps the next hops at hand as those to this target.
    fn keep(&mut self, target: usize) {
        if self.hops.is_empty() {
            return;
        }
        let set = match self.sets.get(self.hops.as_slice()) {
            Some(&set) => set,
            None => {
                let set = self.sets.len();
                self.sets.insert(self.hops.as_slice().into(), set);
                set
            }
        };
        self.routes.push((target, set));
    }

    /// Makes the routes, sorted by where they lead.
    fn into_routes(
        mut self,
        network: &Network<'_>,
        family: Family,
        dsts: &[IpNet],
    ) -> impl Iterator<Item = Route> {
        let mut sets = vec![Vec::new(); self.sets.len()];
        for (hops, set) in self.sets {
            sets[set] = hops.iter().filter_map(|&hop| nexthop(network, family, hop)).collect();
            sets[set].sort();
        }
        self.routes.sort_unstable();
        self.routes.into_iter().map(move |(dst, set)| Route::unicast(dsts[dst], sets[set].clone()))
    }
}

fn nexthop(network: &Network<'_>, family: Family, (from, to): Hop) -> Option<NextHop> {
    let dev = network.wiring.interfaces[from].name.clone();
    let Some(to) = to else { return Some(NextHop::dev(dev)) };
    let hop = network.hop(from, to, family)?;
    Some(NextHop { onlink: hop.onlink, ..NextHop::via(hop.via, dev) })
}

/// The infinite distance.
const FAR: u64 = u64::MAX;

/// What is joined with what in one family.
#[derive(Clone)]
struct Graph<'n> {
    /// For each instance, the domains that it is in, with its interface there.
    instances: Vec<Vec<(usize, usize)>>,
    /// For each domain, the instances in it, with their interfaces there.
    domains: Vec<Vec<(usize, usize)>>,
    costs: &'n [u32],
    /// Whether each instance forwards.
    forwards: Vec<bool>,
    /// The interfaces at which a node masquerades.
    masquerades: HashSet<usize>,
}

impl<'n> Graph<'n> {
    fn of(network: &'n Network<'_>, instances: &Instances, family: Family) -> Self {
        let mut graph = Self {
            instances: vec![Vec::new(); instances.all.len()],
            domains: vec![Vec::new(); network.domains.stations.len()],
            costs: &network.domains.costs,
            forwards: instances.all.iter().map(|&(place, _)| network.forwards[place]).collect(),
            masquerades: masquerades(network),
        };
        for (domain, stations) in network.domains.stations.iter().enumerate() {
            for &id in stations {
                let instance = instances.of[id];
                let speaks = !network.addresses_of(id, family).is_empty();
                let ways = &mut graph.instances[instance];
                // One way into a wire is enough, also for a node that is on it twice.
                let known = ways.last().is_some_and(|(known, _)| *known == domain);
                if network.is_live_station(id) && speaks && !known {
                    ways.push((domain, id));
                    graph.domains[domain].push((instance, id));
                }
            }
        }
        graph
    }

    /// What is left of it without some domains.
    fn without(&self, closed: &BTreeSet<usize>) -> Self {
        let is_open = |domain: &usize| !closed.contains(domain);
        let mut left = self.clone();
        left.instances.iter_mut().for_each(|ways| ways.retain(|(domain, _)| is_open(domain)));
        closed.iter().for_each(|&domain| left.domains[domain].clear());
        left
    }
}

/// The interfaces at which their nodes masquerade.
fn masquerades(network: &Network<'_>) -> HashSet<usize> {
    let mut found = HashSet::new();
    for place in 0..network.wiring.places.len() {
        let rules = network.node(place).into_iter().flat_map(|node| &node.nat);
        for rule in rules {
            if let NatKind::Masquerade { oif, .. } = &rule.kind {
                found.extend(oif.iter().filter_map(|name| network.wiring.interface(place, name)));
            }
        }
    }
    found
}

/// Where a destination is.
#[derive(Debug, Default)]
struct Target {
    /// The domains on which it is a prefix.
    domains: Vec<usize>,
    /// The instances that have it on `lo`.
    on_lo: Vec<usize>,
    /// The instances that are in it and need no route, sorted.
    owners: Vec<usize>,
}

impl Target {
    /// Tells whether an instance is in it.
    fn is_at(&self, instance: usize) -> bool {
        self.owners.binary_search(&instance).is_ok()
    }
}

/// Collects all destinations: connected prefixes and what is on `lo`.
fn targets(
    network: &Network<'_>,
    instances: &Instances,
    graph: &Graph<'_>,
    family: Family,
) -> BTreeMap<IpNet, Target> {
    let mut targets: BTreeMap<IpNet, Target> = BTreeMap::new();
    for contents in &network.wiring.places {
        for &id in &contents.interfaces {
            let on_lo = network.wiring.interfaces[id].is_loopback();
            if !on_lo && !network.is_live_station(id) {
                continue;
            }
            for address in network.addresses_of(id, family) {
                let addr = address.net.addr();
                if addr.is_loopback() || is_ipv6_link_local(addr) {
                    continue;
                }
                let target = targets.entry(address.net.trunc()).or_default();
                target.owners.push(instances.of[id]);
                match on_lo {
                    true => target.on_lo.push(instances.of[id]),
                    false => target.domains.push(network.domains.of[id]),
                }
            }
        }
    }
    for target in targets.values_mut() {
        target.domains.retain(|&domain| !graph.domains[domain].is_empty());
        for list in [&mut target.domains, &mut target.on_lo, &mut target.owners] {
            list.sort_unstable();
            list.dedup();
        }
    }
    targets
}

/// How far all instances are from one target (Dijkstra's algorithm, from the target outwards).
struct Search {
    /// The distance of each instance.
    instances: Vec<u64>,
    /// The distance of the nearest instance in each domain that passes packets on; 0 where the
    /// target is.
    domains: Vec<u64>,
    /// The interfaces in each domain of the instances at that distance; none where the target is.
    relays: Vec<Vec<usize>>,
    /// What was reached and not looked at yet, the nearest first.
    queue: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Search {
    fn new(graph: &Graph<'_>) -> Self {
        Self {
            instances: vec![FAR; graph.instances.len()],
            domains: vec![FAR; graph.domains.len()],
            relays: vec![Vec::new(); graph.domains.len()],
            queue: BinaryHeap::new(),
        }
    }

    fn run(&mut self, graph: &Graph<'_>, target: &Target) {
        self.instances.fill(FAR);
        self.domains.fill(FAR);
        self.relays.iter_mut().for_each(Vec::clear);
        for &domain in &target.domains {
            self.enter(graph, domain, 0);
        }
        for &instance in &target.on_lo {
            self.instances[instance] = 0;
            self.queue.push(Reverse((0, instance)));
        }
        while let Some(Reverse((distance, instance))) = self.queue.pop() {
            let passes_on = graph.forwards[instance] || distance == 0;
            if distance > self.instances[instance] || !passes_on {
                continue;
            }
            for &(domain, interface) in &graph.instances[instance] {
                if graph.masquerades.contains(&interface) {
                    continue;
                }
                if distance < self.domains[domain] {
                    self.enter(graph, domain, distance);
                }
                // Instances come in order of distance, so a domain keeps the distance it got first.
                // Where the target is itself, nobody needs to pass on.
                if distance == self.domains[domain] && !target.domains.contains(&domain) {
                    self.relays[domain].push(interface);
                }
            }
        }
    }

    /// Reaches all instances in a domain, at its cost.
    fn enter(&mut self, graph: &Graph<'_>, domain: usize, distance: u64) {
        self.domains[domain] = distance;
        let distance = distance + u64::from(graph.costs[domain]);
        for &(instance, _) in &graph.domains[domain] {
            if distance < self.instances[instance] {
                self.instances[instance] = distance;
                self.queue.push(Reverse((distance, instance)));
            }
        }
    }

    /// Finds the next hops of an instance on its shortest ways to the target.
    fn hops(&self, graph: &Graph<'_>, instance: usize, hops: &mut Vec<Hop>) {
        hops.clear();
        let distance = self.instances[instance];
        if distance == FAR || distance == 0 {
            return;
        }
        for &(domain, interface) in &graph.instances[instance] {
            let there = self.domains[domain];
            if there == FAR || there + u64::from(graph.costs[domain]) != distance {
                continue;
            }
            match self.relays[domain].as_slice() {
                [] => hops.push((interface, None)),
                relays => hops.extend(relays.iter().map(|&far| (interface, Some(far)))),
            }
        }
    }
}
