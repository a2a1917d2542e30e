//! All pairs at once: who reaches whom in a large network, and what each single cut link breaks.
//!
//! Addresses that no routing table tells apart are one *class*. For each class a namespace decides
//! once; of each address only the last hop is its own. Towards one address the decisions of all
//! namespaces are a graph, and who reaches it is found by one walk over that graph, not by one for
//! each pair. A pair is well when all legs there reach the destination, and all legs back reach each
//! source address that the packet may have left with.
//!
//! Where a link is cut, only the two namespaces at its ends decide otherwise. If both still reach an
//! address, so does everybody who did before.
//!
//! This way knows routes and cables. Where something else could decide (filters, rules, neighbours,
//! checks of sources, an address that two have), it says so by `None`, and the pairs have to be
//! walked one by one.

mod hash;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use vnet_model::apply::LOOPBACK;
use vnet_model::ipnet::IpNet;
use vnet_model::{Desired, End, IfName, Kind, Namespace, NsName, Route, State};

use crate::scene::Scene;
use crate::{World, fib, walk, wire};
use hash::Quick;
use table::{Lookup, Table};

/// The length of a frame that fits any wire, in bytes.
const SMALL_BYTES: u32 = 68;

/// Pairs that don't reach each other: the number of who asks, and of what is asked.
pub type Broken = BTreeSet<(usize, usize)>;

/// Finds the pairs in which not every packet gets there and back. `from` are the namespaces that ask,
/// `to` the addresses that are asked, each with whose it is; nobody is asked by itself.
///
/// `None` where this world has something in it that only walking pair by pair can tell.
#[must_use]
pub fn all_pairs(world: &World<'_>, from: &[NsName], to: &[(NsName, IpAddr)]) -> Option<Broken> {
    Some(Net::of(world, from, to)?.broken())
}

/// Finds for each link of a lab the pairs that are well as things are, and no more when it is cut.
///
/// `None` as for [`all_pairs`], and where a link ends at a segment.
#[must_use]
pub fn each_link(
    world: &World<'_>,
    desired: &Desired,
    from: &[NsName],
    to: &[(NsName, IpAddr)],
) -> Option<Vec<(String, Broken)>> {
    let mut net = Net::of(world, from, to)?;
    let before = net.broken();
    let mut found = Vec::new();
    for link in &desired.links {
        if link.ends.iter().any(|(node, _)| desired.segments.contains_key(node)) {
            return None;
        }
        let steps = desired.cut(&[link]);
        let mut cut = State::default();
        for End { ns, .. } in desired.ends_of(link) {
            let found = net.scene.ns(&ns).cloned();
            cut.namespaces.extend(found.map(|found| (ns, found)));
        }
        for step in &steps {
            // What can't be done on paper is so already.
            let _ = step.apply(&mut cut);
        }
        let broken = net.without(&cut)?;
        found.push((link.name.clone(), broken.difference(&before).copied().collect()));
    }
    Some(found)
}

/// Where a packet goes from a namespace.
#[derive(Debug, Clone)]
enum Leg {
    /// To a router; whether that passes it on.
    Router { to: usize, forwards: bool },
    /// To whoever on this link has the address.
    Link(IfName),
    /// Nowhere.
    Dead,
}

/// What a namespace does with a class of addresses.
#[derive(Debug)]
struct Decided {
    legs: Vec<Leg>,
    /// The IPv4 sources that packets may leave with; none where one leg has none.
    sources: Option<Vec<IpAddr>>,
}

struct Node {
    name: NsName,
    table: Table,
    own: HashSet<IpAddr, Quick>,
    decided: HashMap<usize, Rc<Decided>, Quick>,
    /// Who answers on a link, and whether that passes packets on.
    resolved: HashMap<(IfName, IpAddr), Option<(usize, bool)>, Quick>,
}

struct Net<'a> {
    scene: Scene<'a>,
    nodes: Vec<Node>,
    numbers: BTreeMap<NsName, usize>,
    from: Vec<usize>,
    to: Vec<(usize, IpAddr)>,
    /// All prefixes of all tables, by which classes are made.
    prefixes: HashSet<IpNet, Quick>,
    lengths: [Vec<u8>; 2],
    classes: HashMap<Option<IpNet>, usize, Quick>,
    class_of: HashMap<IpAddr, usize, Quick>,
    /// Who reaches an address, as far as it was asked: by namespace.
    reached: HashMap<IpAddr, Vec<Reach>, Quick>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    NotAsked,
    /// It is being found out: who comes here again goes round in circles.
    Asking,
    No,
    Yes,
}

impl<'a> Net<'a> {
    fn of(world: &World<'a>, from: &[NsName], to: &[(NsName, IpAddr)]) -> Option<Self> {
        let scene = Scene::new(world);
        if !is_plain(&scene) {
            return None;
        }
        let names: Vec<NsName> = scene.state.namespaces.keys().cloned().collect();
        let numbers: BTreeMap<NsName, usize> =
            names.iter().cloned().enumerate().map(|(number, name)| (name, number)).collect();
        let node = |name: NsName| node(scene.ns(&name)?, scene.kernel_routes(&name), name);
        let nodes: Option<Vec<Node>> = names.into_iter().map(node).collect();
        let nodes = nodes?;
        let prefixes: HashSet<IpNet, Quick> =
            nodes.iter().flat_map(|node| node.table.prefixes()).collect();
        let lengths = [false, true].map(|ipv6| {
            let of_family = prefixes.iter().filter(|net| net.addr().is_ipv6() == ipv6);
            let all: BTreeSet<u8> = of_family.map(IpNet::prefix_len).collect();
            all.into_iter().rev().collect()
        });
        let number = |ns: &NsName| numbers.get(ns).copied();
        let from = from.iter().map(number).collect::<Option<_>>()?;
        let to = to.iter().map(|(ns, addr)| Some((number(ns)?, *addr))).collect::<Option<_>>()?;
        let (classes, class_of, reached) = Default::default();
        Some(Self {
            scene,
            nodes,
            numbers,
            from,
            to,
            prefixes,
            lengths,
            classes,
            class_of,
            reached,
        })
    }

    fn number(&self, ns: &NsName) -> Option<usize> {
        self.numbers.get(ns).copied()
    }

    /// Finds the class of an address: the longest prefix of any table that it is in.
    fn class(&mut self, addr: IpAddr) -> usize {
        if let Some(class) = self.class_of.get(&addr) {
            return *class;
        }
        let lengths = &self.lengths[usize::from(addr.is_ipv6())];
        let nets =
            lengths.iter().filter_map(|length| Some(IpNet::new(addr, *length).ok()?.trunc()));
        let longest = { nets }.find(|net| self.prefixes.contains(net));
        let next = self.classes.len();
        let class = *self.classes.entry(longest).or_insert(next);
        self.class_of.insert(addr, class);
        class
    }

    fn decide(&mut self, at: usize, dst: IpAddr) -> Rc<Decided> {
        let class = self.class(dst);
        if let Some(decided) = self.nodes[at].decided.get(&class) {
            return Rc::clone(decided);
        }
        let node = &self.nodes[at];
        let found = self.scene.ns(&node.name);
        let mut hops = Vec::new();
        let mut sources = Some(BTreeSet::new());
        if let Lookup::Via { src, legs } = node.table.lookup(dst) {
            for leg in legs {
                hops.push((leg.dev.clone(), leg.via));
                let source = found.and_then(|found| fib::source_of(found, src, leg, dst));
                sources = sources.zip(source).map(|(mut all, one)| {
                    all.insert(one);
                    all
                });
            }
        }
        let mut legs: Vec<Leg> = hops
            .into_iter()
            .map(|(dev, via)| match via {
                None => Leg::Link(dev),
                Some(via) => self.router(at, &dev, via),
            })
            .collect();
        if legs.is_empty() {
            legs.push(Leg::Dead);
        }
        let sources = sources.map(|sources| sources.into_iter().collect());
        let decided = Rc::new(Decided { legs, sources });
        self.nodes[at].decided.insert(class, Rc::clone(&decided));
        decided
    }

    fn router(&mut self, at: usize, dev: &IfName, via: IpAddr) -> Leg {
        match self.resolve(at, dev, via) {
            Some((to, forwards)) => Leg::Router { to, forwards },
            None => Leg::Dead,
        }
    }

    /// Finds who on a link answers for an address, and whether it passes on what comes in there.
    fn resolve(&mut self, at: usize, dev: &IfName, addr: IpAddr) -> Option<(usize, bool)> {
        let key = (dev.clone(), addr);
        if let Some(known) = self.nodes[at].resolved.get(&key) {
            return *known;
        }
        let from = End { ns: self.nodes[at].name.clone(), name: dev.clone() };
        let heard = wire::domain(&self.scene, &from, SMALL_BYTES, false).stations;
        let answers = heard.into_iter().find(|station| {
            let number = self.numbers.get(&station.end.ns);
            let has = number.is_some_and(|number| self.nodes[*number].own.contains(&addr));
            let on_it = || walk::answers(&self.scene, &station.end, addr);
            station.end.ns != from.ns && has && (addr.is_ipv4() || on_it())
        });
        let found = answers.and_then(|station| {
            let End { ns, name } = &station.end;
            Some((self.number(ns)?, self.scene.forwards(ns, name, addr.is_ipv6())))
        });
        self.nodes[at].resolved.insert(key, found);
        found
    }

    /// Tells whether all packets from a namespace to an address get there.
    fn reaches(&mut self, at: usize, dst: IpAddr) -> bool {
        if self.nodes[at].own.contains(&dst) {
            return true;
        }
        let count = self.nodes.len();
        let known = self.reached.entry(dst).or_insert_with(|| vec![Reach::NotAsked; count]);
        match known[at] {
            Reach::NotAsked => known[at] = Reach::Asking,
            Reach::Asking | Reach::No => return false,
            Reach::Yes => return true,
        }
        let decided = self.decide(at, dst);
        let well = decided.legs.iter().all(|leg| match self.next(at, leg, dst) {
            Some(next) => self.reaches(next, dst),
            None => false,
        });
        if let Some(known) = self.reached.get_mut(&dst) {
            known[at] = if well { Reach::Yes } else { Reach::No };
        }
        well
    }

    /// Finds the namespace behind a leg that delivers a packet or passes it on.
    fn next(&mut self, at: usize, leg: &Leg, dst: IpAddr) -> Option<usize> {
        let (to, forwards) = match leg {
            Leg::Dead => return None,
            Leg::Router { to, forwards } => (*to, *forwards),
            Leg::Link(dev) => self.resolve(at, dev, dst)?,
        };
        (forwards || self.nodes[to].own.contains(&dst)).then_some(to)
    }

    /// The addresses that packets to another may come from.
    fn sources(&mut self, at: usize, dst: IpAddr) -> Option<Vec<IpAddr>> {
        if self.nodes[at].own.contains(&dst) {
            return Some(vec![dst]);
        }
        let decided = self.decide(at, dst);
        if dst.is_ipv4() {
            return decided.sources.clone();
        }
        // RFC 6724 looks at the destination itself, not only at its class.
        let found = self.scene.ns(&self.nodes[at].name)?;
        match self.nodes[at].table.lookup(dst) {
            Lookup::Via { src, legs } => {
                legs.iter().map(|leg| fib::source_of(found, src, leg, dst)).collect()
            }
            Lookup::Nowhere => None,
        }
    }

    fn is_well(&mut self, from: usize, to: usize, dst: IpAddr) -> bool {
        self.reaches(from, dst)
            && self
                .sources(from, dst)
                .is_some_and(|sources| sources.into_iter().all(|src| self.reaches(to, src)))
    }

    /// Tries all pairs.
    fn broken(&mut self) -> Broken {
        let mut broken = Broken::new();
        for (number, (to, dst)) in self.to.clone().into_iter().enumerate() {
            for (asker, from) in self.from.clone().into_iter().enumerate() {
                if from != to && !self.is_well(from, to, dst) {
                    broken.insert((asker, number));
                }
            }
        }
        broken
    }

    /// Tries all pairs again while some namespaces decide otherwise.
    fn without(&mut self, cut: &State) -> Option<Broken> {
        let mut old = Vec::new();
        for (name, found) in &cut.namespaces {
            let end = self.number(name)?;
            let new = node(found, None, name.clone())?;
            old.push((end, std::mem::replace(&mut self.nodes[end], new)));
        }
        let ends: Vec<usize> = old.iter().map(|(end, _)| *end).collect();
        let before = std::mem::take(&mut self.reached);
        let mut broken = Broken::new();
        for (dst, known) in &before {
            // Who reached it and does not now; who has it needs no way there.
            let own = |at: usize| old.iter().any(|(end, was)| *end == at && was.own.contains(dst));
            let lost = |net: &mut Self, at: usize| {
                (known[at] == Reach::Yes || own(at)) && !net.reaches(at, *dst)
            };
            let mut ends = ends.iter();
            if !ends.any(|end| lost(self, *end)) {
                self.reached.remove(dst);
                continue;
            }
            let lost: HashSet<usize> = (0..self.nodes.len()).filter(|at| lost(self, *at)).collect();
            self.note(*dst, &lost, &mut broken);
        }
        for (end, node) in old {
            self.nodes[end] = node;
        }
        self.reached = before;
        Some(broken)
    }

    /// Notes down the pairs that are broken because some don't reach an address any more.
    fn note(&mut self, dst: IpAddr, lost: &HashSet<usize>, broken: &mut Broken) {
        let from: Vec<(usize, usize)> = self.from.iter().copied().enumerate().collect();
        // Few have it: only their answers go there.
        let has = |(_, at): &(usize, usize)| self.nodes[*at].own.contains(&dst);
        let owners: Vec<(usize, usize)> = from.iter().copied().filter(has).collect();
        for (number, (to, asked)) in self.to.clone().into_iter().enumerate() {
            if asked == dst {
                let forth = from.iter().filter(|(_, at)| *at != to && lost.contains(at));
                broken.extend(forth.map(|(asker, _)| (*asker, number)));
            }
            if !lost.contains(&to) {
                continue;
            }
            for &(asker, at) in owners.iter().filter(|(_, at)| *at != to) {
                if self.sources(at, asked).is_some_and(|sources| sources.contains(&dst)) {
                    broken.insert((asker, number));
                }
            }
        }
    }
}

/// Makes a namespace ready to be asked; `None` where only a walk can tell what it does.
fn node(found: &Namespace, kernel: Option<&[Route]>, name: NsName) -> Option<Node> {
    let mut own = HashSet::default();
    for (dev, interface) in &found.interfaces {
        for address in &interface.addresses {
            let net = address.net;
            let is_wide = net.prefix_len() < net.max_prefix_len() && net.addr().is_ipv4();
            // All of a subnet on `lo` is its own.
            if dev.as_str() == LOOPBACK && is_wide && !net.addr().is_loopback() {
                return None;
            }
            own.extend(fib::owns(found, net.addr()).then(|| net.addr()));
        }
        let is_port = interface.master.is_some() && !interface.addresses.is_empty();
        let known = matches!(interface.kind, Kind::Loopback | Kind::Veth { .. })
            || interface.kind.name() == "bridge";
        if is_port || !known || interface.vlans.is_some() {
            return None;
        }
    }
    let table = Table::of(found, kernel);
    let (decided, resolved) = Default::default();
    Some(Node { name, table, own, decided, resolved })
}

/// Tells whether nothing but routes and cables decides in this world, and no address is there twice.
fn is_plain(scene: &Scene<'_>) -> bool {
    let mut all = HashSet::new();
    scene.state.namespaces.iter().all(|(name, found)| {
        let addresses = found.interfaces.values().flat_map(|interface| &interface.addresses);
        let mut own = addresses.map(|address| address.net.addr()).filter(|addr| {
            let link_local = matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local());
            !addr.is_loopback() && !link_local
        });
        let tables = scene.tables(name).iter().all(|table| table.chains.is_empty());
        let plain = scene.facts(name).is_none_or(|facts| {
            facts.filters.is_empty()
                && facts.neighbours.is_empty()
                && facts.unusable.is_empty()
                && facts.ports.is_empty()
                && facts.sysctls.iter().all(|(key, value)| {
                    let decides =
                        ["rp_filter", "arp_ignore", "arp_filter", "proxy_arp", "ignore_all"];
                    value == "0" || !decides.iter().any(|word| key.ends_with(word))
                })
        });
        let declared = found.sysctls.keys().all(|key| key.ends_with("forwarding"));
        let plain = plain && scene.rules(name).is_empty() && tables;
        plain && declared && own.all(|addr| all.insert(addr))
    })
}
