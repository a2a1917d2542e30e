//! What stands beside the routes in a namespace: policy rules, neighbours, nexthop objects.
//!
//! One type for all of them: they are set and removed alike, and few labs have any.

mod neighbor;
mod nexthop;
mod rule;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::IfName;
use crate::origin::Origin;

pub use neighbor::Neighbor;
pub use nexthop::{NexthopKind, NexthopObject};
pub use rule::{PortRange, Rule, RuleAction};

/// An entry of one of the tables that decide where packets go, beside the routes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Entry {
    /// A nexthop object.
    Nexthop(NexthopObject),
    /// A policy rule.
    Rule(Rule),
    /// A neighbour that is known without asking, or one that is answered for.
    Neighbor(Neighbor),
    /// Something of others that no file can say, in a person's words.
    Unknown(String),
}

impl Entry {
    /// Tells whether both can't be there at the same time: one replaces the other.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nexthop(a), Self::Nexthop(b)) => a.id == b.id,
            (Self::Neighbor(a), Self::Neighbor(b)) => a.key() == b.key(),
            (a, b) => a == b,
        }
    }

    /// Returns what asked for it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Nexthop(it) => it.origin,
            Self::Rule(it) => it.origin,
            Self::Neighbor(it) => it.origin,
            Self::Unknown(_) => Origin::NONE,
        }
    }

    /// Returns the interface that it is on, with which it goes.
    #[must_use]
    pub fn dev(&self) -> Option<&IfName> {
        match self {
            Self::Nexthop(it) => it.dev(),
            Self::Neighbor(it) => Some(&it.dev),
            Self::Rule(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns the id, if it is a nexthop object.
    #[must_use]
    pub fn nexthop_id(&self) -> Option<u32> {
        match self {
            Self::Nexthop(it) => Some(it.id),
            _ => None,
        }
    }

    /// Tells whether it is of IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Nexthop(it) => it.ipv6,
            Self::Rule(it) => it.ipv6,
            Self::Neighbor(it) => it.addr.is_ipv6(),
            Self::Unknown(_) => false,
        }
    }
}

impl fmt::Display for Entry {
    /// Writes what it is and then iproute2's words: `rule 100: from 10.0.0.1 table 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nexthop(it) => write!(f, "nexthop {it}"),
            Self::Rule(it) => write!(f, "rule {it}"),
            Self::Neighbor(it) => write!(f, "neighbor {it}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}
