//! All pairs at once: who reaches whom in a large network, and what each single cut link breaks.
//!
//! Most routes of a namespace do the same with packets: what that comes to is decided once; of each
//! address only the last hop is its own. Towards one address the decisions of all namespaces are a
//! graph, and who reaches it is found by one walk over that graph, not by one for each pair. A pair is well when all legs there reach the destination, and all legs back reach each
//! source address that the packet may have left with.
//!
//! Where a link is cut, only the two namespaces at its ends decide otherwise. If both still reach an
//! address, so does everybody who did before.
//!
//! This way knows routes and cables. Where something else could decide (filters, rules, neighbours,
//! checks of sources, an address that two have), it says so by `None`, and the pairs have to be
//! walked one by one.

mod cut;
mod hash;
mod table;
mod ways;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use vnet_model::apply::LOOPBACK;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{End, IfName, Kind, Namespace, NsName, Route};

use crate::scene::Scene;
use crate::{World, fib, walk, wire};
use cut::Cut;
pub use cut::each_link;
pub(crate) use cut::ends_at_bridge;
use hash::Quick;
use table::{Holding, Prefixes, Table};
pub(crate) use ways::{asymmetric, reached};

/// The length of a frame that fits any wire, in bytes.
const SMALL_BYTES: u32 = 68;

/// The sysctl by which interfaces to come have no IPv6.
const IPV6_OFF_DEFAULT: &str = "net.ipv6.conf.default.disable_ipv6";

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

/// Where a packet goes from a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Leg {
    /// To a router; whether that passes it on.
    Router { to: usize, forwards: bool },
    /// To whoever on this link has the address.
    Link(IfName),
    /// Nowhere.
    Dead,
}

/// What a namespace does with packets that take one way.
#[derive(Debug, Default)]
struct Decided {
    legs: Vec<Leg>,
    /// The IPv4 sources that packets may leave with, by their numbers; none where one leg has none.
    sources: Option<Vec<usize>>,
}

/// Who answers for an address, and whether that passes packets on.
type Resolved = Option<(usize, bool)>;

struct Node {
    name: NsName,
    table: Table,
    own: HashSet<IpAddr, Quick>,
    /// What was decided, by way; the last is for what has none.
    decided: Vec<Option<Rc<Decided>>>,
    /// Who answers on a link, and whether that passes packets on.
    resolved: HashMap<(IfName, IpAddr), Resolved, Quick>,
    /// Who hears what an interface sends.
    heard: HashMap<IfName, Rc<Heard>, Quick>,
}

impl Node {
    fn new(
        name: NsName,
        table: Table,
        own: HashSet<IpAddr, Quick>,
        decided: Vec<Option<Rc<Decided>>>,
    ) -> Self {
        let (resolved, heard) = Default::default();
        Self { name, table, own, decided, resolved, heard }
    }

    /// What was decided about an address in these prefixes, if it was.
    fn decided(&self, holding: &Holding) -> Option<&Decided> {
        let way = self.table.lookup(holding);
        self.decided[way.unwrap_or(self.table.ways.len())].as_deref()
    }
}

/// The interfaces of others that hear what one sends, with whose they are, in their order.
#[derive(Default)]
struct Heard {
    stations: Vec<(usize, IfName)>,
    /// The place of the first of each namespace.
    first: HashMap<usize, usize, Quick>,
}

impl Heard {
    /// Those that may have an address, which one namespace alone has if that is given.
    fn from(&self, owner: Option<usize>) -> &[(usize, IfName)] {
        let first = owner.map_or(Some(0), |owner| self.first.get(&owner).copied());
        first.map_or(&[], |first| &self.stations[first..])
    }
}

/// An address that is asked about.
struct Goal {
    addr: IpAddr,
    holding: Holding,
    /// The namespace that has it, where one alone does and nothing is cut there.
    owner: Option<usize>,
    /// Who reaches it, as far as it was asked: by namespace.
    reached: Vec<Reach>,
}

struct Net<'a> {
    scene: Scene<'a>,
    nodes: Vec<Node>,
    numbers: BTreeMap<NsName, usize>,
    from: Vec<usize>,
    /// Who is asked, at which address, by its number.
    to: Vec<(usize, usize)>,
    prefixes: Prefixes,
    goals: Vec<Goal>,
    goal_of: HashMap<IpAddr, usize, Quick>,
    /// Who has an address that one alone has.
    owners: HashMap<IpAddr, usize, Quick>,
    /// What is cut.
    cut: Cut,
    /// Who ever found the way of a packet to lead to a namespace, by that.
    before: Vec<HashSet<usize, Quick>>,
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
        let mut prefixes = Prefixes::default();
        let mut nodes = Vec::with_capacity(names.len());
        for name in names {
            nodes.push(node(scene.ns(&name)?, scene.kernel_routes(&name), &name, &mut prefixes)?);
        }
        let mut owners: HashMap<IpAddr, usize, Quick> = HashMap::default();
        for (number, node) in nodes.iter().enumerate() {
            owners.extend(node.own.iter().filter(|addr| is_lonely(**addr)).map(|a| (*a, number)));
        }
        let number = |ns: &NsName| numbers.get(ns).copied();
        let from = from.iter().map(number).collect::<Option<_>>()?;
        let asked: Option<Vec<(usize, IpAddr)>> =
            to.iter().map(|(ns, addr)| Some((number(ns)?, *addr))).collect();
        let mut net = Self {
            before: vec![HashSet::default(); nodes.len()],
            scene,
            nodes,
            numbers,
            from,
            to: Vec::new(),
            prefixes,
            goals: Vec::new(),
            goal_of: HashMap::default(),
            owners,
            cut: Cut::default(),
        };
        net.to = asked?.into_iter().map(|(ns, addr)| (ns, net.goal(addr))).collect();
        Some(net)
    }

    fn number(&self, ns: &NsName) -> Option<usize> {
        self.numbers.get(ns).copied()
    }

    /// Finds the number of an address.
    fn goal(&mut self, addr: IpAddr) -> usize {
        if let Some(goal) = self.goal_of.get(&addr) {
            return *goal;
        }
        let owner = self.owners.get(&addr).copied().filter(|at| !self.cut.is_at(*at));
        let reached = vec![Reach::NotAsked; self.nodes.len()];
        let holding = self.prefixes.holding(addr);
        self.goals.push(Goal { addr, holding, owner, reached });
        self.goal_of.insert(addr, self.goals.len() - 1);
        self.goals.len() - 1
    }

    fn has(&self, at: usize, goal: usize) -> bool {
        match self.goals[goal].owner {
            Some(owner) => owner == at,
            None => self.nodes[at].own.contains(&self.goals[goal].addr),
        }
    }

    fn decide(&mut self, at: usize, goal: usize) -> Rc<Decided> {
        let node = &self.nodes[at];
        let way = node.table.lookup(&self.goals[goal].holding);
        let place = way.unwrap_or(node.table.ways.len());
        if let Some(decided) = &node.decided[place] {
            return Rc::clone(decided);
        }
        let dst = self.goals[goal].addr;
        let found = self.scene.ns(&node.name);
        let mut hops = Vec::new();
        let mut sources = Some(BTreeSet::new());
        if let Some(way) = way.map(|way| &node.table.ways[way]) {
            for leg in &way.legs {
                hops.push((leg.dev.clone(), leg.via));
                let known = self.scene.known(&node.name);
                let source =
                    found.and_then(|found| fib::source_of(found, known, way.src, leg, dst));
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
        let sources = sources.map(|all| all.into_iter().map(|src| self.goal(src)).collect());
        let decided = Rc::new(Decided { legs, sources });
        self.nodes[at].decided[place] = Some(Rc::clone(&decided));
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
        let known = self.nodes[at].resolved.get(&key).copied();
        if let Some(known) = known.or_else(|| self.resolved_before(at, &key)) {
            return known;
        }
        let heard = self.heard(at, dev);
        let owner = self.owners.get(&addr).copied();
        let found = heard.from(owner).iter().find_map(|(to, name)| {
            let node = &self.nodes[*to];
            let end = || End { ns: node.name.clone(), name: name.clone() };
            let answers = node.own.contains(&addr)
                && (addr.is_ipv4() || walk::answers(&self.scene, &end(), addr));
            answers.then(|| (*to, self.scene.forwards(&node.name, name, addr.is_ipv6())))
        });
        self.nodes[at].resolved.insert(key, found);
        if let Some((to, _)) = found {
            self.before[to].insert(at);
        }
        found
    }

    /// Finds who else hears what an interface sends.
    fn heard(&mut self, at: usize, dev: &IfName) -> Rc<Heard> {
        if let Some(known) = self.nodes[at].heard.get(dev) {
            return Rc::clone(known);
        }
        let from = End { ns: self.nodes[at].name.clone(), name: dev.clone() };
        let mut heard = Heard::default();
        for station in wire::domain(&self.scene, &from, SMALL_BYTES, false).stations {
            if let Some(number) = self.number(&station.end.ns).filter(|number| *number != at) {
                heard.first.entry(number).or_insert(heard.stations.len());
                heard.stations.push((number, station.end.name));
            }
        }
        let heard = Rc::new(heard);
        self.nodes[at].heard.insert(dev.clone(), Rc::clone(&heard));
        heard
    }

    /// Tells whether all packets from a namespace to an address get there.
    fn reaches(&mut self, at: usize, goal: usize) -> bool {
        if self.has(at, goal) {
            return true;
        }
        let known = &mut self.goals[goal].reached[at];
        match known {
            Reach::NotAsked => *known = Reach::Asking,
            Reach::Asking | Reach::No => return false,
            Reach::Yes => return true,
        }
        let decided = self.decide(at, goal);
        let well = decided.legs.iter().all(|leg| match self.next(at, leg, goal) {
            Some(next) => self.reaches(next, goal),
            None => false,
        });
        self.goals[goal].reached[at] = if well { Reach::Yes } else { Reach::No };
        well
    }

    /// Finds the namespace behind a leg that delivers a packet or passes it on.
    fn next(&mut self, at: usize, leg: &Leg, goal: usize) -> Option<usize> {
        let (to, forwards) = match leg {
            Leg::Dead => return None,
            Leg::Router { to, forwards } => (*to, *forwards),
            Leg::Link(dev) => self.resolve(at, dev, self.goals[goal].addr)?,
        };
        (forwards || self.has(to, goal)).then_some(to)
    }

    /// Tells whether something holds of all addresses that packets to another may come from; not
    /// where there is none for a leg.
    fn all_sources(
        &mut self,
        at: usize,
        goal: usize,
        mut holds: impl FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        if self.has(at, goal) {
            return holds(self, goal);
        }
        let dst = self.goals[goal].addr;
        if dst.is_ipv4() {
            let decided = self.decide(at, goal);
            let Some(sources) = &decided.sources else { return false };
            return sources.iter().all(|src| holds(self, *src));
        }
        // RFC 6724 looks at the destination itself.
        let node = &self.nodes[at];
        let way = node.table.lookup(&self.goals[goal].holding).map(|way| &node.table.ways[way]);
        let (Some(found), Some(way)) = (self.scene.ns(&node.name), way) else { return false };
        let known = self.scene.known(&node.name);
        let source = |leg| fib::source_of(found, known, way.src, leg, dst);
        let Some(sources) = way.legs.iter().map(source).collect::<Option<Vec<_>>>() else {
            return false;
        };
        sources.into_iter().all(|src| {
            let src = self.goal(src);
            holds(self, src)
        })
    }

    fn is_well(&mut self, from: usize, to: usize, goal: usize) -> bool {
        self.reaches(from, goal) && self.all_sources(from, goal, |net, src| net.reaches(to, src))
    }

    /// Tries all pairs.
    fn broken(&mut self) -> Broken {
        let mut broken = Broken::new();
        for (number, (to, goal)) in self.to.clone().into_iter().enumerate() {
            for (asker, from) in self.from.clone().into_iter().enumerate() {
                if from != to && !self.is_well(from, to, goal) {
                    broken.insert((asker, number));
                }
            }
        }
        broken
    }
}

/// Makes a namespace ready to be asked; `None` where only a walk can tell what it does.
fn node(
    found: &Namespace,
    kernel: Option<&[Route]>,
    name: &NsName,
    prefixes: &mut Prefixes,
) -> Option<Node> {
    let mut own = HashSet::default();
    for (dev, interface) in &found.interfaces {
        for address in &interface.addresses {
            let net = address.net;
            let is_wide = net.prefix_len() < net.max_prefix_len() && net.addr().is_ipv4();
            // All of a subnet on `lo` is its own.
            if dev.as_str() == LOOPBACK && is_wide && !net.addr().is_loopback() {
                return None;
            }
            own.extend(fib::has(interface, net.addr()).then(|| net.addr()));
        }
        let is_port = interface.master.is_some() && !interface.addresses.is_empty();
        let known = matches!(interface.kind, Kind::Loopback | Kind::Veth { .. })
            || interface.kind.name() == "bridge";
        if is_port || !known || interface.vlans.is_some() {
            return None;
        }
    }
    let table = Table::of(found, kernel, prefixes);
    let decided = vec![None; table.ways.len() + 1];
    Some(Node::new(name.clone(), table, own, decided))
}

/// Tells whether an address is one that only one namespace has, where it is a plain world.
fn is_lonely(addr: IpAddr) -> bool {
    !addr.is_loopback() && !is_ipv6_link_local(addr)
}

/// Tells whether nothing but routes and cables decides in this world, and no address is there twice.
fn is_plain(scene: &Scene<'_>) -> bool {
    let mut all = HashSet::new();
    scene.state.namespaces.iter().all(|(name, found)| {
        let addresses = found.interfaces.values().flat_map(|interface| &interface.addresses);
        let mut own = addresses.map(|address| address.net.addr()).filter(|addr| is_lonely(*addr));
        let tables = scene.tables(name).iter().all(|table| table.chains.is_empty())
            && !scene.has_untried_text(name);
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
        let returns = |dev: &IfName| {
            let end = End { ns: name.clone(), name: dev.clone() };
            scene.port_is_on(&end, "hairpin") == Some(true)
        };
        let ports = found.interfaces.iter().filter(|(_, port)| port.master.is_some());
        let plain = plain && !ports.map(|(dev, _)| dev).any(returns);
        // Segments have no IPv6 on their ports, which those say themselves.
        let is_plain = |key: &str| key.ends_with("forwarding") || key == IPV6_OFF_DEFAULT;
        let declared = found.sysctls.keys().all(|key| is_plain(key));
        let plain = plain && scene.rules(name).is_empty() && tables;
        plain && declared && own.all(|addr| all.insert(addr))
    })
}
