//! The routing table of a namespace, to be asked a million times.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use vnet_model::ipnet::IpNet;
use vnet_model::{Namespace, NextHop, Route, RouteKind};

use super::hash::Quick;
use crate::fib;

/// Routes by table, length of prefix, and prefix: of equal ones the first that counts.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Of each family and table, the longest prefixes first.
    lengths: [[Vec<u8>; 2]; 2],
    routes: HashMap<(usize, IpNet), Found, Quick>,
}

/// What counts of a route. Many have the same legs: those are kept once.
#[derive(Debug)]
struct Found {
    metric: u32,
    kind: RouteKind,
    src: Option<IpAddr>,
    legs: Rc<[NextHop]>,
}

/// What becomes of packets.
#[derive(Debug)]
pub(super) enum Lookup<'t> {
    Via {
        /// The source address that the route prefers.
        src: Option<IpAddr>,
        legs: &'t [NextHop],
    },
    /// They are dropped, or nothing leads there.
    Nowhere,
}

impl Table {
    /// Takes the routes of a namespace, those that the kernel derives of addresses too.
    pub(super) fn of(ns: &Namespace, kernel: Option<&[Route]>) -> Self {
        let mut table = Self::default();
        let derived;
        let kernel = match kernel {
            Some(kernel) => kernel,
            None => {
                derived = fib::connected(ns);
                &derived
            }
        };
        table.routes.reserve(kernel.len() + ns.routes.len());
        let mut all_legs: HashSet<Rc<[NextHop]>, Quick> = HashSet::default();
        for route in kernel.iter().chain(&ns.routes) {
            let Some(number) = fib::TABLES.iter().position(|known| *known == route.table) else {
                continue;
            };
            let legs = fib::alive(ns, route);
            if route.kind == RouteKind::Unicast && legs.is_empty() {
                continue;
            }
            let key = (number, route.dst);
            // Stable: of equals the kernel takes the first.
            let better = table.routes.get(&key).is_none_or(|old| route.metric < old.metric);
            if better {
                let legs = match all_legs.get(&legs[..]) {
                    Some(known) => Rc::clone(known),
                    None => {
                        let legs: Rc<[NextHop]> = legs.into();
                        all_legs.insert(Rc::clone(&legs));
                        legs
                    }
                };
                let (metric, kind, src) = (route.metric, route.kind, route.src);
                table.routes.insert(key, Found { metric, kind, src, legs });
            }
            let family = usize::from(route.dst.addr().is_ipv6());
            let lengths = &mut table.lengths[number][family];
            if !lengths.contains(&route.dst.prefix_len()) {
                lengths.push(route.dst.prefix_len());
                lengths.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
        table
    }

    /// Looks an address up that is not the namespace's own.
    pub(super) fn lookup(&self, dst: IpAddr) -> Lookup<'_> {
        for (number, lengths) in self.lengths.iter().enumerate() {
            for length in &lengths[usize::from(dst.is_ipv6())] {
                let Ok(net) = IpNet::new(dst, *length) else { continue };
                let Some(found) = self.routes.get(&(number, net.trunc())) else { continue };
                match found.kind {
                    RouteKind::Unicast => {
                        return Lookup::Via { src: found.src, legs: &found.legs };
                    }
                    RouteKind::Throw => break,
                    _ => return Lookup::Nowhere,
                }
            }
        }
        Lookup::Nowhere
    }

    /// Lists the prefixes by which destinations are told apart.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.routes.keys().map(|(_, net)| *net)
    }
}
