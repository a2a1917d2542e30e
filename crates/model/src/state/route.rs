//! Routes, as the kernel has them.

mod encap;
mod metric;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{METRIC_IPV6_DEFAULT, TABLE_MAIN};
use crate::names::IfName;
use crate::origin::Origin;

pub use encap::{Encap, Seg6Mode};
pub use metric::{Metric, MetricValue};

/// The table of addresses that are this host's own (`RT_TABLE_LOCAL`, linux/rtnetlink.h).
pub const TABLE_LOCAL: u32 = 255;

/// The routing tables that have names (`/etc/iproute2/rt_tables`).
pub const TABLES: [(&str, u32); 3] =
    [("default", 253), ("main", TABLE_MAIN), ("local", TABLE_LOCAL)];

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
    /// Where it leads, sorted; empty for kinds that lead nowhere, and with a nexthop object.
    pub nexthops: Vec<NextHop>,
    /// The nexthop object that says where it leads, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhid: Option<u32>,
    /// The preferred source address.
    pub src: Option<IpAddr>,
    /// How far away the destination is, where that is not [`Route::default_scope`]. IPv4 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<u8>,
    /// What is known of the way: its MTU and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<Metric, MetricValue>,
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
        Self {
            table: TABLE_MAIN,
            dst,
            metric,
            kind: RouteKind::Unicast,
            nexthops,
            nhid: None,
            src: None,
            scope: None,
            metrics: BTreeMap::new(),
            origin: Origin::NONE,
        }
    }

    /// Returns the scope that a route has of which nothing else is said, as iproute2 has it
    /// (`iproute_modify`, ip/iproute.c): what is on the link has scope link, so that it can hold the
    /// gateway of another (`fib_check_nh_v4_gw`, net/ipv4/fib_semantics.c). IPv6 has no scopes.
    #[must_use]
    pub fn default_scope(&self) -> u8 {
        let on_link =
            !self.nexthops.is_empty() && self.nexthops.iter().all(|hop| hop.via.is_none());
        match self.kind {
            _ if self.dst.addr().is_ipv6() => SCOPE_UNIVERSE,
            RouteKind::Local => SCOPE_HOST,
            RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => SCOPE_LINK,
            RouteKind::Unicast if on_link => SCOPE_LINK,
            _ => SCOPE_UNIVERSE,
        }
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

/// Anywhere (`RT_SCOPE_UNIVERSE`, linux/rtnetlink.h).
const SCOPE_UNIVERSE: u8 = 0;
/// On the link (`RT_SCOPE_LINK`).
const SCOPE_LINK: u8 = 253;
/// In this host (`RT_SCOPE_HOST`).
const SCOPE_HOST: u8 = 254;

/// The scopes that have names (`/etc/iproute2/rt_scopes`), but for `nowhere`, which no route has.
pub const SCOPES: [(&str, u8); 4] =
    [("global", SCOPE_UNIVERSE), ("site", 200), ("link", SCOPE_LINK), ("host", SCOPE_HOST)];

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
    /// It is for this host.
    Local,
    /// It is for all hosts on the link.
    Broadcast,
    /// It is for this host, as one of many with the address.
    Anycast,
    /// It is for a group of hosts.
    Multicast,
    /// It is dropped in silence.
    Blackhole,
    /// It is dropped; the sender gets ICMP "host unreachable".
    Unreachable,
    /// It is dropped; the sender gets ICMP "administratively prohibited".
    Prohibit,
    /// The lookup in this table ends as if there were no route.
    Throw,
}

impl RouteKind {
    /// All kinds, by the words that iproute2 has for them.
    pub const ALL: [(&str, Self); 9] = [
        ("unicast", Self::Unicast),
        ("local", Self::Local),
        ("broadcast", Self::Broadcast),
        ("anycast", Self::Anycast),
        ("multicast", Self::Multicast),
        ("blackhole", Self::Blackhole),
        ("unreachable", Self::Unreachable),
        ("prohibit", Self::Prohibit),
        ("throw", Self::Throw),
    ];

    /// Tells whether it leads over an interface.
    #[must_use]
    pub fn leads(self) -> bool {
        !matches!(self, Self::Blackhole | Self::Unreachable | Self::Prohibit | Self::Throw)
    }

    /// Returns the table in which iproute2 puts a route of this kind that names none.
    #[must_use]
    pub fn default_table(self) -> u32 {
        match self {
            Self::Local | Self::Broadcast | Self::Anycast => TABLE_LOCAL,
            _ => TABLE_MAIN,
        }
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(known.map_or("", |(word, _)| word))
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
    /// What is put around packets that go this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encap: Option<Encap>,
}

impl NextHop {
    /// Makes a leg through a gateway.
    #[must_use]
    pub fn via(via: IpAddr, dev: IfName) -> Self {
        Self { dev, via: Some(via), weight: 1, onlink: false, encap: None }
    }

    /// Makes a leg to what is on the link itself.
    #[must_use]
    pub fn dev(dev: IfName) -> Self {
        Self { dev, via: None, weight: 1, onlink: false, encap: None }
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
        if let Some(nhid) = self.nhid {
            write!(f, " nhid {nhid}")?;
        }
        if self.table != self.kind.default_table() {
            write!(f, " table {}", self.table)?;
        }
        if let Some(scope) = self.scope {
            match SCOPES.iter().find(|(_, number)| *number == scope) {
                Some((name, _)) => write!(f, " scope {name}")?,
                None => write!(f, " scope {scope}")?,
            }
        }
        if let Some(src) = self.src {
            write!(f, " src {src}")?;
        }
        if self.metric != default_metric(&self.dst) {
            write!(f, " metric {}", self.metric)?;
        }
        for (metric, value) in &self.metrics {
            write!(f, " {metric} {value}")?;
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
        if let Some(encap) = &hop.encap {
            write!(f, " encap {encap}")?;
        }
        if let Some(via) = hop.via {
            let foreign_family = via.is_ipv6() && self.dst.addr().is_ipv4();
            write!(f, " via {}{via}", if foreign_family { "inet6 " } else { "" })?;
        }
        write!(f, " dev {}{}", hop.dev, if hop.onlink { " onlink" } else { "" })
    }
}
