//! Static routes, as a file writes them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::names::{IfName, NodeName};
use crate::origin::Origin;
use crate::state::RouteKind;

/// A static route of a node, as written in iproute2's words.
#[derive(Debug, Clone)]
pub struct StaticRoute {
    /// What happens to a packet that takes it.
    pub kind: RouteKind,
    /// The destination; `None` is `default` in the family of the gateway.
    pub dst: Option<IpNet>,
    /// The gateway.
    pub via: Option<Via>,
    /// The interface.
    pub dev: Option<IfName>,
    /// The preferred source address.
    pub src: Option<IpAddr>,
    /// The metric; the family's default where not given.
    pub metric: Option<u32>,
    /// The routing table; main where not given.
    pub table: Option<u32>,
    /// Takes the gateway to be on the link although no prefix says so.
    pub onlink: bool,
    /// What asked for it.
    pub origin: Origin,
}

/// A gateway: an address, or the node that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// This address.
    Addr(IpAddr),
    /// The address of this node on the link or segment that both are on.
    Node(NodeName),
}
