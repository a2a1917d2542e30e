//! Static routes, rules, neighbours and nexthop objects, as a file writes them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::names::{IfName, NodeName};
use crate::origin::Origin;
use crate::state::{Encap, Metric, MetricValue, RouteKind, Rule};

/// A static route of a node, as written in iproute2's words.
#[derive(Debug, Clone)]
pub struct StaticRoute {
    /// What happens to a packet that takes it.
    pub kind: RouteKind,
    /// The destination; `None` is `default` in the family of the gateway.
    pub dst: Option<IpNet>,
    /// The ways it leads; none where it leads nowhere, or by a nexthop object.
    pub legs: Vec<Leg>,
    /// The nexthop object that says where it leads, by its id.
    pub nhid: Option<u32>,
    /// The preferred source address.
    pub src: Option<IpAddr>,
    /// The metric; the family's default where not given.
    pub metric: Option<u32>,
    /// The routing table; main where not given, or local for what is local.
    pub table: Option<u32>,
    /// The scope; what is usual for such a route where not given.
    pub scope: Option<u8>,
    /// What is known of the way.
    pub metrics: BTreeMap<Metric, MetricValue>,
    /// What asked for it.
    pub origin: Origin,
}

impl StaticRoute {
    /// Makes a route of which only kind, destination and ways are said.
    #[must_use]
    pub fn new(kind: RouteKind, dst: Option<IpNet>, legs: Vec<Leg>) -> Self {
        Self {
            kind,
            dst,
            legs,
            nhid: None,
            src: None,
            metric: None,
            table: None,
            scope: None,
            metrics: BTreeMap::new(),
            origin: Origin::NONE,
        }
    }
}

/// One way that a route or a nexthop object leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leg {
    /// The gateway.
    pub via: Option<Via>,
    /// The interface.
    pub dev: Option<IfName>,
    /// The share among several, 1 to 256; 1 where not given.
    pub weight: Option<u16>,
    /// Takes the gateway to be on the link although no prefix says so.
    pub onlink: bool,
    /// What is put around packets that go this way.
    pub encap: Option<Encap>,
}

/// A gateway: an address, or the node that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// This address.
    Addr(IpAddr),
    /// The address of this node on the link or segment that both are on.
    Node(NodeName),
}

/// A nexthop object of a node, as written in iproute2's words.
#[derive(Debug, Clone)]
pub struct StaticNexthop {
    /// Its id, from 1.
    pub id: u32,
    /// Whether it is for IPv6, where its gateway does not say so.
    pub ipv6: bool,
    /// What it is.
    pub kind: StaticNexthopKind,
    /// What asked for it.
    pub origin: Origin,
}

/// What a nexthop object is, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaticNexthopKind {
    /// One way.
    Leg(Leg),
    /// Nowhere: packets are dropped.
    Blackhole,
    /// Several, by their ids and weights.
    Group(Vec<(u32, u16)>),
}

/// A policy rule of a node, as written in iproute2's words.
#[derive(Debug, Clone)]
pub struct StaticRule {
    /// The priority; handed out in written order, from 20000, where not given.
    pub priority: Option<u32>,
    /// The rest; its own priority means nothing.
    pub rule: Rule,
}
