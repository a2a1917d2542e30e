//! Nexthop objects: `ip-nexthop(8)`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::route::NextHop;
use crate::names::IfName;
use crate::origin::Origin;

/// A next hop, or a group of them, that routes refer to by its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NexthopObject {
    /// Its id in the namespace, from 1.
    pub id: u32,
    /// Whether it is for IPv6 routes; a group is for those of its members.
    pub ipv6: bool,
    /// What it is.
    pub kind: NexthopKind,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// What a nexthop object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NexthopKind {
    /// One way; its weight has no meaning here.
    Leg(NextHop),
    /// Nowhere: packets are dropped.
    Blackhole,
    /// Several, by their ids and weights (1 to 256), sorted by id.
    Group(Vec<(u32, u16)>),
}

impl NexthopObject {
    /// Returns the interface that it leads over, if it is a single way.
    #[must_use]
    pub fn dev(&self) -> Option<&IfName> {
        match &self.kind {
            NexthopKind::Leg(leg) => Some(&leg.dev),
            _ => None,
        }
    }

    /// Tells whether it is a group with this member.
    #[must_use]
    pub fn has_member(&self, id: u32) -> bool {
        matches!(&self.kind, NexthopKind::Group(members) if members.iter().any(|(m, _)| *m == id))
    }

    /// Tells whether the kernel can make one the other without a removal: no group of a single one,
    /// and no other family (`replace_nexthop`, net/ipv4/nexthop.c).
    #[must_use]
    pub fn can_become(&self, wanted: &Self) -> bool {
        let is_group = |it: &Self| matches!(it.kind, NexthopKind::Group(_));
        is_group(self) == is_group(wanted) && self.ipv6 == wanted.ipv6
    }
}

impl fmt::Display for NexthopObject {
    /// Writes it in iproute2's words: `id 1 via 10.0.0.2 dev eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says_family = match &self.kind {
            NexthopKind::Leg(leg) => leg.via.is_none(),
            NexthopKind::Blackhole => true,
            NexthopKind::Group(_) => false,
        };
        let family = if says_family && self.ipv6 { "-6 " } else { "" };
        write!(f, "{family}id {}", self.id)?;
        match &self.kind {
            NexthopKind::Blackhole => f.write_str(" blackhole"),
            NexthopKind::Group(members) => {
                let member = |&(id, weight): &(u32, u16)| match weight {
                    1 => id.to_string(),
                    weight => format!("{id},{weight}"),
                };
                let members: Vec<String> = members.iter().map(member).collect();
                write!(f, " group {}", members.join("/"))
            }
            NexthopKind::Leg(leg) => {
                if let Some(encap) = &leg.encap {
                    write!(f, " encap {encap}")?;
                }
                if let Some(via) = leg.via {
                    write!(f, " via {via}")?;
                }
                write!(f, " dev {}{}", leg.dev, if leg.onlink { " onlink" } else { "" })
            }
        }
    }
}
