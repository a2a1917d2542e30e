//! Static routes as the file writes them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::way::{Maker, Way};
use crate::problem::{Problem, ProblemKind, RoutingProblem};
use crate::resolve::network::{Family, Network};
use crate::state::{Route, default_metric};
use crate::topology::{Leg, StaticRoute};

/// Makes the static routes of a node, in written order.
pub(super) fn of_node(
    network: &Network<'_>,
    place: usize,
    problems: &mut Vec<Problem>,
) -> Vec<Route> {
    let Some(node) = network.node(place) else { return Vec::new() };
    let maker = Maker { network, place, node };
    let mut routes = Vec::new();
    for spec in &node.routes {
        match maker.route(spec) {
            Ok(route) => routes.push(route),
            Err(kind) => problems.push(Problem::new(kind, spec.origin.or(node.origin))),
        }
    }
    routes
}

impl Maker<'_, '_> {
    fn route(&self, spec: &StaticRoute) -> Result<Route, ProblemKind> {
        let families = match spec.dst {
            Some(dst) => vec![Family::of(dst.addr())],
            None => Family::BOTH.to_vec(),
        };
        let to = spec.dst.map_or("default".into(), |dst| dst.to_string());
        let of = format!("the route to {to}");
        let empty = [Leg::default()];
        let legs = match spec.kind.leads() && spec.nhid.is_none() && spec.legs.is_empty() {
            true => &empty,
            false => spec.legs.as_slice(),
        };
        let ways = legs.iter().map(|leg| self.way(leg, &families, &of));
        let ways: Vec<Way> = ways.collect::<Result<_, _>>()?;
        let family = match spec.nhid {
            Some(nhid) => self.family_of_nexthop(nhid)?,
            None => ways.iter().find_map(|way| way.via).map_or(Family::V4, Family::of),
        };
        let dst = spec.dst.unwrap_or(family.default_dst()).trunc();
        if let Some(nhid) = spec.nhid.filter(|_| family == Family::V4 && dst.addr().is_ipv6()) {
            let kind = RoutingProblem::NexthopOfOtherFamily { dst, nhid, family: family.name() };
            return Err(kind.into());
        }
        let metric = spec.metric.unwrap_or(default_metric(&dst));
        let table = spec.table.unwrap_or(spec.kind.default_table());
        for way in &ways {
            self.check_way(way, dst)?;
        }
        self.check(spec, dst)?;
        if metric == 0 {
            self.check_connected(dst, table)?;
        }
        let hops = ways.iter().zip(&spec.legs).map(|(way, leg)| self.next_hop(way, leg));
        let mut route = Route {
            table,
            metric,
            kind: spec.kind,
            nhid: spec.nhid,
            src: spec.src,
            metrics: spec.metrics.clone(),
            origin: spec.origin.or(self.node.origin),
            ..Route::unicast(dst, hops.collect())
        };
        route.scope = spec.scope.filter(|scope| *scope != route.default_scope());
        Ok(route)
    }

    fn check_way(&self, way: &Way, dst: IpNet) -> Result<(), ProblemKind> {
        // IPv4 may go by an IPv6 gateway (RFC 8950), not the other way round.
        if let Some(addr @ IpAddr::V4(_)) = way.via.filter(|_| dst.addr().is_ipv6()) {
            return Err(ProblemKind::FamilyMismatch { dst, part: "gateway", addr });
        }
        match self.network.wiring.interfaces[way.dev].up() {
            true => Ok(()),
            // The kernel says "Network is down" (ENETDOWN).
            false => Err(ProblemKind::RouteOverDown { dst, at: self.network.wiring.at(way.dev) }),
        }
    }

    fn check(&self, spec: &StaticRoute, dst: IpNet) -> Result<(), ProblemKind> {
        let node = || self.node.name.clone();
        if dst.addr().is_ipv6() && !self.node.ipv6 {
            return Err(ProblemKind::RouteWithoutIpv6 { node: node(), dst });
        }
        let Some(src) = spec.src else { return Ok(()) };
        if src.is_ipv4() != dst.addr().is_ipv4() {
            return Err(ProblemKind::FamilyMismatch { dst, part: "source", addr: src });
        }
        let own = self.network.wiring.places[self.place].interfaces.iter();
        let mut own = own.flat_map(|&id| &self.network.addresses[id]);
        match src.is_loopback() || own.any(|address| address.net.addr() == src) {
            true => Ok(()),
            false => Err(ProblemKind::SourceNotOwn { node: node(), src }),
        }
    }

    /// The kernel has a route with metric 0 to each IPv4 prefix that the node is in, and would
    /// answer "File exists" (EEXIST). Its IPv6 ones have metric 256, so they get in nobody's way.
    fn check_connected(&self, dst: IpNet, table: u32) -> Result<(), ProblemKind> {
        let interfaces = &self.network.wiring.places[self.place].interfaces;
        let mut up = interfaces.iter().filter(|&&id| {
            self.network.wiring.interfaces[id].up() && self.network.table_of_prefixes(id) == table
        });
        let is_dst = |net: IpNet| net.prefix_len() < net.max_prefix_len() && net.trunc() == dst;
        let at = up.find(|&&id| self.network.addresses[id].iter().any(|a| is_dst(a.net)));
        match at {
            None => Ok(()),
            Some(&id) => Err(ProblemKind::RouteIsConnected { at: self.network.wiring.at(id), dst }),
        }
    }
}
