//! Where static routes and nexthop objects lead: a gateway by address or by node, an interface by
//! name, or what follows from the one for the other.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::names::{IfName, NodeName};
use crate::problem::ProblemKind;
use crate::resolve::network::{Family, Network};
use crate::state::{NextHop, RouteKind, is_ipv6_link_local};
use crate::topology::{Leg, Node, Via};

/// Makes routes of one node.
pub(super) struct Maker<'n, 't> {
    pub(super) network: &'n Network<'t>,
    pub(super) place: usize,
    pub(super) node: &'t Node,
}

/// Where a route leads: an interface by number, and the gateway on it.
pub(super) struct Way {
    pub(super) dev: usize,
    pub(super) via: Option<IpAddr>,
    onlink: bool,
}

impl Maker<'_, '_> {
    /// Finds the way of a leg; where it names a node, in the first of these families that does.
    /// `of` is what it is a leg of, for messages.
    pub(super) fn way(&self, leg: &Leg, families: &[Family], of: &str) -> Result<Way, ProblemKind> {
        let dev = leg.dev.as_ref().map(|name| self.interface(name)).transpose()?;
        match &leg.via {
            Some(Via::Addr(addr)) => self.by_address(*addr, dev, leg),
            Some(Via::Node(name)) => self.by_node(name, dev, leg, families),
            None => {
                let node = || self.node.name.clone();
                let incomplete =
                    || ProblemKind::RouteIncomplete { node: node(), of: of.to_owned() };
                Ok(Way { dev: dev.ok_or_else(incomplete)?, via: None, onlink: false })
            }
        }
    }

    /// Makes the next hop of a way.
    pub(super) fn next_hop(&self, way: &Way, leg: &Leg) -> NextHop {
        NextHop {
            dev: self.network.wiring.interfaces[way.dev].name.clone(),
            via: way.via,
            weight: leg.weight.unwrap_or(1),
            onlink: way.onlink,
            encap: leg.encap.clone(),
        }
    }

    pub(super) fn interface(&self, name: &IfName) -> Result<usize, ProblemKind> {
        let wiring = &self.network.wiring;
        let id = wiring.interface(self.place, name);
        id.ok_or_else(|| wiring.unknown_interface(self.place, name))
    }

    /// Finds the interface whose prefix holds a gateway, the longest first.
    fn by_address(
        &self,
        gateway: IpAddr,
        dev: Option<usize>,
        leg: &Leg,
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
            None if is_ipv6_link_local(gateway) => {
                return Err(ProblemKind::LinkLocalNeedsDev { node: node(), gateway });
            }
            Some(dev) if leg.onlink || is_ipv6_link_local(gateway) => {
                return Ok(Way { dev, via: Some(gateway), onlink: leg.onlink });
            }
            _ => {}
        }
        let mut on_link = self.on_link(Family::of(gateway));
        on_link.retain(|(id, _)| dev.is_none_or(|dev| dev == *id));
        let holds = on_link.iter().filter(|(_, net)| net.contains(&gateway));
        // `rev` because the last of equals is the greatest, and the first is wanted.
        match holds.rev().max_by_key(|(_, net)| net.prefix_len()) {
            Some(&(dev, _)) => Ok(Way { dev, via: Some(gateway), onlink: leg.onlink }),
            None => Err(ProblemKind::GatewayNotOnLink {
                node: node(),
                gateway,
                dev: leg.dev.clone(),
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
            let dst = route.dst.filter(|_| route.kind == RouteKind::Unicast)?;
            let leg = route.legs.iter().find(|leg| leg.via.is_none())?;
            Some((network.wiring.interface(self.place, leg.dev.as_ref()?)?, dst.trunc()))
        });
        connected.chain(direct).filter(|(_, net)| Family::of(net.addr()) == family).collect()
    }

    /// Finds the address of a node on the first link or segment that is shared with it.
    fn by_node(
        &self,
        name: &NodeName,
        dev: Option<usize>,
        leg: &Leg,
        families: &[Family],
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
            let (via, dev) = (name.clone(), leg.dev.clone());
            return Err(ProblemKind::NoSharedLink { node: node(), via, dev });
        }
        for &family in families {
            let mut hops = shared
                .iter()
                .filter_map(|&(dev, there)| Some((dev, network.hop(dev, there, family)?)));
            if let Some((dev, hop)) = hops.next() {
                let onlink = leg.onlink || hop.onlink;
                return Ok(Way { dev, via: Some(hop.via), onlink });
            }
        }
        let family = families[0].name();
        Err(ProblemKind::NoGatewayAddress { node: node(), via: name.clone(), family })
    }
}
