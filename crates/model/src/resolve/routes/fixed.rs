//! Static routes as the file writes them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::names::{IfName, NodeName};
use crate::problem::{Problem, ProblemKind};
use crate::resolve::network::{Family, Network, is_link_local};
use crate::state::{NextHop, Route, RouteKind, TABLE_MAIN, default_metric};
use crate::topology::{Node, StaticRoute, Via};

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

/// Makes routes of one node.
struct Maker<'n, 't> {
    network: &'n Network<'t>,
    place: usize,
    node: &'t Node,
}

/// Where a route leads: an interface by number, and the gateway on it.
struct Way {
    dev: usize,
    via: Option<IpAddr>,
    onlink: bool,
}

impl Maker<'_, '_> {
    fn route(&self, spec: &StaticRoute) -> Result<Route, ProblemKind> {
        let dev = spec.dev.as_ref().map(|name| self.interface(name)).transpose()?;
        let way = match (spec.kind, &spec.via) {
            (RouteKind::Unicast, Some(via)) => Some(match via {
                Via::Addr(addr) => self.by_address(*addr, dev, spec)?,
                Via::Node(name) => self.by_node(name, dev, spec)?,
            }),
            (RouteKind::Unicast, None) => {
                let dev = dev.ok_or_else(|| ProblemKind::RouteIncomplete {
                    node: self.node.name.clone(),
                    dst: spec.dst.map_or("default".into(), |dst| dst.to_string()),
                })?;
                Some(Way { dev, via: None, onlink: false })
            }
            _ => None,
        };
        let family = way.as_ref().and_then(|way| way.via).map_or(Family::V4, Family::of);
        let dst = spec.dst.unwrap_or(family.default_dst()).trunc();
        let metric = spec.metric.unwrap_or(default_metric(&dst));
        let table = spec.table.unwrap_or(TABLE_MAIN);
        if let Some(way) = &way {
            self.check_way(way, dst)?;
        }
        self.check(spec, dst)?;
        if (table, metric) == (TABLE_MAIN, 0) {
            self.check_connected(dst)?;
        }
        let nexthops = way.map(|way| NextHop {
            dev: self.network.wiring.interfaces[way.dev].name.clone(),
            via: way.via,
            weight: 1,
            onlink: way.onlink,
        });
        Ok(Route {
            table,
            dst,
            metric,
            kind: spec.kind,
            nexthops: nexthops.into_iter().collect(),
            src: spec.src,
            origin: spec.origin.or(self.node.origin),
        })
    }

    fn interface(&self, name: &IfName) -> Result<usize, ProblemKind> {
        let wiring = &self.network.wiring;
        let id = wiring.interface(self.place, name);
        id.ok_or_else(|| wiring.unknown_interface(self.place, name))
    }

    /// Finds the interface whose prefix holds a gateway, the longest first.
    fn by_address(
        &self,
        gateway: IpAddr,
        dev: Option<usize>,
        spec: &StaticRoute,
    ) -> Result<Way, ProblemKind> {
        let node = || self.node.name.clone();
        let own = &self.network.wiring.places[self.place].interfaces;
        let own = own.iter().flat_map(|&id| &self.network.addresses[id]);
        if own.into_iter().any(|address| address.net.addr() == gateway) {
            let gateway = gateway.to_string();
            return Err(ProblemKind::GatewayIsSelf { node: node(), gateway });
        }
        // What is link-local is on any link; which one has to be said (RFC 4007, section 6).
        match dev {
            None if is_link_local(gateway) => {
                return Err(ProblemKind::LinkLocalNeedsDev { node: node(), gateway });
            }
            Some(dev) if spec.onlink || is_link_local(gateway) => {
                return Ok(Way { dev, via: Some(gateway), onlink: spec.onlink });
            }
            _ => {}
        }
        let mut on_link = self.on_link(Family::of(gateway));
        on_link.retain(|(id, _)| dev.is_none_or(|dev| dev == *id));
        let holds = on_link.iter().filter(|(_, net)| net.contains(&gateway));
        // `rev` because the last of equals is the greatest, and the first is wanted.
        match holds.rev().max_by_key(|(_, net)| net.prefix_len()) {
            Some(&(dev, _)) => Ok(Way { dev, via: Some(gateway), onlink: spec.onlink }),
            None => Err(ProblemKind::GatewayNotOnLink {
                node: node(),
                gateway,
                dev: spec.dev.clone(),
                prefixes: on_link.into_iter().map(|(_, net)| net).collect(),
            }),
        }
    }

    /// Returns what is on link: the prefixes of the node's addresses, and what its own routes say
    /// is behind an interface without a gateway, which the kernel accepts as well
    /// (`fib_check_nh_v4_gw`, net/ipv4/fib_semantics.c).
    fn on_link(&self, family: Family) -> Vec<(usize, IpNet)> {
        let network = self.network;
        let stations = network.wiring.places[self.place].interfaces.iter();
        let stations = stations.filter(|&&id| network.is_station(id));
        let connected = stations
            .flat_map(|&id| network.addresses[id].iter().map(move |a| (id, a.net.trunc())))
            .filter(|(_, net)| net.prefix_len() < net.max_prefix_len());
        let direct = self.node.routes.iter().filter_map(|route| {
            let direct = route.via.is_none() && route.kind == RouteKind::Unicast;
            let dst = route.dst.filter(|_| direct)?;
            Some((network.wiring.interface(self.place, route.dev.as_ref()?)?, dst.trunc()))
        });
        connected.chain(direct).filter(|(_, net)| Family::of(net.addr()) == family).collect()
    }

    /// Finds the address of a node on the first link or segment that is shared with it.
    fn by_node(
        &self,
        name: &NodeName,
        dev: Option<usize>,
        spec: &StaticRoute,
    ) -> Result<Way, ProblemKind> {
        let network = self.network;
        if *name == self.node.name {
            let gateway = name.to_string();
            return Err(ProblemKind::GatewayIsSelf { node: name.clone(), gateway });
        }
        let far = network.wiring.place(name);
        let own = network.wiring.places[self.place].interfaces.iter().copied();
        let own = own.filter(|id| dev.is_none_or(|dev| dev == *id));
        let shared: Vec<(usize, usize)> = own
            .filter(|&id| network.is_station(id))
            .flat_map(|id| {
                let stations = network.domains.stations[network.domains.of[id]].iter();
                stations.map(move |&other| (id, other))
            })
            .filter(|(_, other)| Some(network.wiring.interfaces[*other].place) == far)
            .collect();
        let node = || self.node.name.clone();
        if shared.is_empty() {
            let (via, dev) = (name.clone(), spec.dev.clone());
            return Err(ProblemKind::NoSharedLink { node: node(), via, dev });
        }
        let families = match spec.dst {
            Some(dst) => vec![Family::of(dst.addr())],
            None => Family::BOTH.to_vec(),
        };
        for &family in &families {
            let mut hops = shared
                .iter()
                .filter_map(|&(dev, there)| Some((dev, network.hop(dev, there, family)?)));
            if let Some((dev, hop)) = hops.next() {
                let onlink = spec.onlink || hop.onlink;
                return Ok(Way { dev, via: Some(hop.via), onlink });
            }
        }
        let family = families[0].name();
        Err(ProblemKind::NoGatewayAddress { node: node(), via: name.clone(), family })
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
    fn check_connected(&self, dst: IpNet) -> Result<(), ProblemKind> {
        let interfaces = &self.network.wiring.places[self.place].interfaces;
        let mut up = interfaces.iter().filter(|&&id| self.network.wiring.interfaces[id].up());
        let is_dst = |net: IpNet| net.prefix_len() < net.max_prefix_len() && net.trunc() == dst;
        let at = up.find(|&&id| self.network.addresses[id].iter().any(|a| is_dst(a.net)));
        match at {
            None => Ok(()),
            Some(&id) => Err(ProblemKind::RouteIsConnected { at: self.network.wiring.at(id), dst }),
        }
    }
}
