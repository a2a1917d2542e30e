//! The routing tables of namespaces, to be asked a million times.
//!
//! All prefixes of all namespaces are numbered. Of each the table of a namespace has the number of
//! what it does with packets there (a *way*): most routes share a handful of those. An address is
//! looked up by the numbers of the prefixes that hold it, which are the same everywhere.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use vnet_model::ipnet::IpNet;
use vnet_model::{IfName, Namespace, NextHop, Route, RouteKind};

use super::hash::Quick;
use crate::fib;

/// The number of a prefix in a table of the kernel's, by which a place is found.
type Key = (usize, IpNet);

/// Says that a table has no route to a prefix.
const NO_WAY: u32 = u32::MAX;

/// The prefixes of all namespaces, numbered.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    numbers: HashMap<Key, u32, Quick>,
    /// The lengths that there are, of each family.
    lengths: [BTreeSet<u8>; 2],
}

impl Prefixes {
    fn number(&mut self, key: Key) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(NO_WAY);
        *self.numbers.entry(key).or_insert_with(|| {
            self.lengths[usize::from(key.1.addr().is_ipv6())].insert(key.1.prefix_len());
            next
        })
    }

    /// Counts them: where there are more than before, an address may be in more of them.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Lists the prefixes that hold an address, in the order in which they are asked: table by
    /// table, the longest first.
    pub(super) fn holding(&self, addr: IpAddr) -> Holding {
        let lengths = &self.lengths[usize::from(addr.is_ipv6())];
        let in_table = |table: usize| {
            let nets = lengths.iter().rev().filter_map(|length| IpNet::new(addr, *length).ok());
            nets.filter_map(|net| self.numbers.get(&(table, net.trunc())).copied()).collect()
        };
        std::array::from_fn(in_table)
    }
}

/// The prefixes that hold an address, table by table.
pub(super) type Holding = [Vec<u32>; fib::TABLES.len()];

/// What counts of a route.
#[derive(Debug, Clone)]
pub(super) struct Way {
    metric: u32,
    kind: RouteKind,
    /// The source address that the route prefers.
    pub(super) src: Option<IpAddr>,
    pub(super) legs: Vec<NextHop>,
    /// One of the routes that do so.
    route: Route,
}

impl Way {
    /// Tells whether packets may leave by one of these interfaces; a nexthop object is not looked
    /// into.
    fn may_use(&self, devs: &[IfName]) -> bool {
        self.route.nhid.is_some() || self.legs.iter().any(|leg| devs.contains(&leg.dev))
    }

    /// Tells whether packets go by one of these gateways.
    pub(super) fn is_via(&self, addrs: &[IpAddr]) -> bool {
        self.legs.iter().any(|leg| leg.via.is_some_and(|via| addrs.contains(&via)))
    }

    /// Tells whether packets fare no worse by another way: it is none, as this one, or has some of
    /// its legs and no others.
    fn is_no_worse(&self, now: &Self) -> bool {
        if std::ptr::eq(self, now) {
            return true;
        }
        let leads = !now.legs.is_empty() || self.legs.is_empty();
        self.kind == now.kind && leads && now.legs.iter().all(|leg| self.legs.contains(leg))
    }
}

/// The routes of a namespace.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) ways: Vec<Rc<Way>>,
    /// The way of each prefix, by its number.
    of: Vec<u32>,
    /// The prefix and the way of each route, in their order.
    routes: Vec<(u32, u32)>,
}

impl Table {
    /// Takes the routes of a namespace, those that the kernel derives of addresses too.
    pub(super) fn of(ns: &Namespace, kernel: Option<&[Route]>, prefixes: &mut Prefixes) -> Self {
        let derived;
        let kernel = match kernel {
            Some(kernel) => kernel,
            None => {
                derived = fib::connected(ns);
                &derived
            }
        };
        let mut table = Self::default();
        let mut known: HashMap<_, Option<u32>, Quick> = HashMap::default();
        let before = ns.routes.iter().filter(|route| fib::comes_first(route));
        let behind = ns.routes.iter().filter(|route| !fib::comes_first(route));
        for route in before.chain(kernel).chain(behind) {
            let Some(number) = fib::TABLES.iter().position(|known| *known == route.table) else {
                continue;
            };
            let ipv6 = route.dst.addr().is_ipv6();
            let alike = (&route.nexthops, route.nhid, route.kind, route.metric, route.src, ipv6);
            let way = *known.entry(alike).or_insert_with(|| table.add(ns, route));
            if let Some(way) = way {
                let prefix = prefixes.number((number, route.dst));
                table.routes.push((prefix, way));
                table.lead(prefix, way);
            }
        }
        table
    }

    /// Makes the table of the same namespace when these interfaces have gone down: the legs by them
    /// are dead, and so are the routes that have no other. A way that is as it was is the same one.
    pub(super) fn when(&self, now: &Namespace, down: &[IfName]) -> Self {
        let alive = |way: &Rc<Way>| {
            if !way.may_use(down) {
                return Rc::clone(way);
            }
            let legs = fib::alive(now, &way.route);
            match legs == way.legs {
                true => Rc::clone(way),
                false => Rc::new(Way { legs, ..Way::clone(way) }),
            }
        };
        let ways: Vec<Rc<Way>> = self.ways.iter().map(alive).collect();
        let dies = |(was, now): (&Rc<Way>, &Rc<Way>)| !was.legs.is_empty() && now.legs.is_empty();
        let dead: Vec<bool> = self.ways.iter().zip(&ways).map(dies).collect();
        let mut table = Self { ways, of: Vec::new(), routes: Vec::new() };
        if !dead.contains(&true) {
            table.of.clone_from(&self.of);
            return table;
        }
        table.of.resize(self.of.len(), NO_WAY);
        for &(prefix, way) in self.routes.iter().filter(|(_, way)| !dead[*way as usize]) {
            table.lead(prefix, way);
        }
        table
    }

    /// Lists the prefixes in which packets may fare worse than they did by another table, and those
    /// in which they now take a way that `is_doubtful`.
    pub(super) fn worse_than(&self, was: &Self, is_doubtful: impl Fn(&Way) -> bool) -> Vec<u32> {
        let mut known: HashMap<(u32, u32), bool, Quick> = HashMap::default();
        let mut is_worse = |old: u32, new: u32| {
            if old == NO_WAY && new == NO_WAY {
                return false;
            }
            *known.entry((old, new)).or_insert_with(|| {
                let (old, new) = (was.ways.get(old as usize), self.ways.get(new as usize));
                !old.zip(new).is_some_and(|(old, new)| old.is_no_worse(new) && !is_doubtful(new))
            })
        };
        let count = self.of.len().max(was.of.len()) as u32;
        (0..count).filter(|prefix| is_worse(was.way_of(*prefix), self.way_of(*prefix))).collect()
    }

    fn way_of(&self, prefix: u32) -> u32 {
        self.of.get(prefix as usize).copied().unwrap_or(NO_WAY)
    }

    /// Adds what a route does; `None` for one that is dead.
    fn add(&mut self, ns: &Namespace, route: &Route) -> Option<u32> {
        let legs = fib::alive(ns, route);
        if route.kind == RouteKind::Unicast && legs.is_empty() {
            return None;
        }
        let (metric, kind, src, route) = (route.metric, route.kind, route.src, route.clone());
        self.ways.push(Rc::new(Way { metric, kind, src, legs, route }));
        u32::try_from(self.ways.len() - 1).ok()
    }

    /// Has a prefix take a way, if it has no better one: of equals the kernel takes the first.
    fn lead(&mut self, prefix: u32, way: u32) {
        let at = prefix as usize;
        if self.of.len() <= at {
            self.of.resize(at + 1, NO_WAY);
        }
        let better = |old: u32| self.ways[way as usize].metric < self.ways[old as usize].metric;
        if self.of[at] == NO_WAY || better(self.of[at]) {
            self.of[at] = way;
        }
    }

    /// Finds the way of packets to an address that is not the namespace's own; `None` where they are
    /// dropped, or nothing leads there.
    pub(super) fn lookup(&self, holding: &Holding) -> Option<usize> {
        for prefixes in holding {
            for prefix in prefixes {
                let way = self.way_of(*prefix);
                let Some(found) = self.ways.get(way as usize) else { continue };
                match found.kind {
                    RouteKind::Unicast => return Some(way as usize),
                    RouteKind::Throw => break,
                    _ => return None,
                }
            }
        }
        None
    }
}
