//! Routes, as the kernel has them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{METRIC_IPV6_DEFAULT, TABLE_MAIN};
use crate::names::IfName;
use crate::origin::Origin;

/// A route. Two routes with the same [`Route::key`] can't both exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// The routing table; [`TABLE_MAIN`] by custom.
    pub table: u32,
    /// The destination prefix; a length of 0 is the default route.
    pub dst: IpNet,
    /// The metric: the lowest wins. The kernel's defaults are 0 for IPv4 and 1024 for IPv6.
    pub metric: u32,
    /// What happens to a packet that takes it.
    pub kind: RouteKind,
    /// Where it leads, sorted; empty for all but unicast.
    pub nexthops: Vec<NextHop>,
    /// The preferred source address.
    pub src: Option<IpAddr>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// What tells routes apart.
pub type RouteKey = (u32, IpNet, u32);

impl Route {
    /// Makes a unicast route in the main table with the family's default metric.
    #[must_use]
    pub fn unicast(dst: IpNet, mut nexthops: Vec<NextHop>) -> Self {
        nexthops.sort();
        let dst = dst.trunc();
        let metric = default_metric(&dst);
        let kind = RouteKind::Unicast;
        Self { table: TABLE_MAIN, dst, metric, kind, nexthops, src: None, origin: Origin::NONE }
    }

    /// Returns what the kernel knows it by: table, destination and metric.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        (self.table, self.dst, self.metric)
    }

    /// Tells whether one of its next hops is on `dev`.
    #[must_use]
    pub fn uses(&self, dev: &IfName) -> bool {
        self.nexthops.iter().any(|hop| hop.dev == *dev)
    }
}

/// Returns the metric that the kernel gives a route to `dst` that names none.
#[must_use]
pub fn default_metric(dst: &IpNet) -> u32 {
    match dst {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => METRIC_IPV6_DEFAULT,
    }
}

/// What happens to a packet that takes a route (`ip-route(8)`, "ROUTE TYPES").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RouteKind {
    /// It goes to the next hop.
    Unicast,
    /// It is dropped in silence.
    Blackhole,
    /// It is dropped; the sender gets ICMP "host unreachable".
    Unreachable,
    /// It is dropped; the sender gets ICMP "administratively prohibited".
    Prohibit,
    /// The lookup in this table ends as if there were no route.
    Throw,
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
        })
    }
}

/// One leg of a unicast route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// The interface.
    pub dev: IfName,
    /// The gateway; `None` where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The share among several legs, 1 to 256.
    pub weight: u16,
    /// Takes the gateway to be on the link although no prefix says so.
    pub onlink: bool,
}

impl NextHop {
    /// Makes a leg through a gateway.
    #[must_use]
    pub fn via(via: IpAddr, dev: IfName) -> Self {
        Self { dev, via: Some(via), weight: 1, onlink: false }
    }

    /// Makes a leg to what is on the link itself.
    #[must_use]
    pub fn dev(dev: IfName) -> Self {
        Self { dev, via: None, weight: 1, onlink: false }
    }
}

impl fmt::Display for Route {
    /// Writes it in iproute2's words: `10.66.0.0/16 via 10.0.12.2 dev eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind)?;
        }
        match self.dst {
            IpNet::V4(net) if net.prefix_len() == 0 => f.write_str("default")?,
            IpNet::V6(net) if net.prefix_len() == 0 => f.write_str("default")?,
            net if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr())?,
            net => write!(f, "{net}")?,
        }
        if let [hop] = self.nexthops.as_slice() {
            self.fmt_hop(hop, f)?;
        }
        if self.table != TABLE_MAIN {
            write!(f, " table {}", self.table)?;
        }
        if let Some(src) = self.src {
            write!(f, " src {src}")?;
        }
        if self.metric != default_metric(&self.dst) {
            write!(f, " metric {}", self.metric)?;
        }
        if self.nexthops.len() > 1 {
            for hop in &self.nexthops {
                f.write_str(" nexthop")?;
                self.fmt_hop(hop, f)?;
                write!(f, " weight {}", hop.weight)?;
            }
        }
        Ok(())
    }
}

impl Route {
    fn fmt_hop(&self, hop: &NextHop, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(via) = hop.via {
            let foreign_family = via.is_ipv6() && self.dst.addr().is_ipv4();
            write!(f, " via {}{via}", if foreign_family { "inet6 " } else { "" })?;
        }
        write!(f, " dev {}{}", hop.dev, if hop.onlink { " onlink" } else { "" })
    }
}
