//! nf_tables as the kernel has it: tables, chains, rules, and the expressions that rules are made of.
//!
//! A rule is a small program: expressions load parts of a packet into registers and compare them;
//! the first comparison that fails ends the rule, a verdict ends the chain. Both what a lab wants
//! and what the kernel has, of whoever's making, is described so: two rules are the same when their
//! expressions are. Numbers are as on the wire: what comes from a packet in network byte order, what
//! the kernel keeps for itself (`ct state`, `mark`) in the host's.
//!
//! [`build`] makes rules; [`text`] writes them in nft's language. Names and numbers are those of
//! include/uapi/linux/netfilter/nf_tables.h.

pub mod build;
pub mod data;
pub mod edit;
pub mod expr;
pub mod raw;
pub mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::Mark;
use crate::origin::Origin;

pub use data::{Counts, Data};
pub use edit::Edit;
pub use expr::{
    CT_STATUS_DNAT, CmpOp, Ct, CtState, Expr, Limit, Log, Map, Mapped, Meta, Nat, PayloadBase, Reg,
    Reject, Set, Verdict,
};
pub use raw::RawText;

/// The family of a table (`NFPROTO_*`, linux/netfilter.h): which packets it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// Packets of one interface, before all else.
    Netdev,
    /// What bridges pass on.
    Bridge,
    /// IPv6.
    Ip6,
}

impl Family {
    /// Returns the kernel's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// Returns the family with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6];
        all.into_iter().find(|family| family.number() == number)
    }

    /// Returns nft's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        }
    }
}

/// What tells the tables of a namespace apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableId {
    /// The family.
    pub family: Family,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.family.name(), self.name)
    }
}

impl From<TableId> for String {
    fn from(id: TableId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TableId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (family, name) = text.split_once(' ').ok_or("a table has a family and a name")?;
        let all = [1, 2, 3, 5, 7, 10].into_iter().filter_map(Family::from_number);
        let family = all.into_iter().find(|known| known.name() == family);
        let family = family.ok_or("there is no such family of tables")?;
        Ok(Self { family, name: name.to_owned() })
    }
}

/// A table with all that is in it. Two that differ only in the order in which their chains were made
/// are the same: a chain says itself when packets come to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// What it is known by.
    pub id: TableId,
    /// Whose it is: the mark in its comment. Nothing is: not a lab's.
    pub mark: Option<Mark>,
    /// Its chains, in the order in which they were made.
    pub chains: Vec<Chain>,
    /// What else is in it, by kind and name: `set ports`, `object c`, `flowtable f`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Named>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Something with a name in a table that is no chain. Two are the same whatever packets and time have made of
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Named {
    /// A set.
    Set(Set),
    /// A map.
    Map(Map),
    /// An object or a flow table: what of it tells whether it is the same.
    Other(Data),
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        let has = |chain: &Chain| other.chain(&chain.name) == Some(chain);
        self.id == other.id
            && self.mark == other.mark
            && self.named == other.named
            && self.chains.len() == other.chains.len()
            && self.chains.iter().all(has)
    }
}

impl Eq for Table {}

impl Table {
    /// Makes a table with nothing in it.
    #[must_use]
    pub const fn new(id: TableId, mark: Option<Mark>) -> Self {
        Self { id, mark, chains: Vec::new(), named: BTreeMap::new(), origin: Origin::NONE }
    }

    /// Returns a chain by its name.
    #[must_use]
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }
}

/// A chain: rules that a packet meets in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets come to it; nothing for a chain that others jump to.
    pub base: Option<Base>,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// Where packets come to a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// What it is for.
    pub kind: ChainKind,
    /// At which point of a packet's way.
    pub hook: Hook,
    /// When, among the chains of the same hook: the lowest first.
    pub priority: i32,
    /// Whether what no rule decides is accepted; else it is dropped.
    pub accepts: bool,
    /// The interfaces that it is at, sorted, where its hook is at single ones; one that ends in `*`
    /// stands for all whose names begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// What a chain is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainKind {
    /// To filter.
    Filter,
    /// To translate addresses: only the first packet of a connection comes here.
    Nat,
    /// To route again what the chain changes.
    Route,
    /// Something else, by the kernel's name.
    Other(String),
}

impl ChainKind {
    /// Returns the kernel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for ChainKind {
    fn from(name: &str) -> Self {
        match name {
            "filter" => Self::Filter,
            "nat" => Self::Nat,
            "route" => Self::Route,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A point of a packet's way (`enum nf_inet_hooks`, linux/netfilter.h; ARP and netdev have others
/// under the same numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// After it came in, before it is routed.
    Prerouting,
    /// Before a program here gets it.
    Input,
    /// On its way through.
    Forward,
    /// After a program here has sent it.
    Output,
    /// After it was routed, before it leaves.
    Postrouting,
    /// As it comes in by one interface.
    Ingress,
    /// As it leaves by one interface.
    Egress,
    /// One with another number.
    Other(u32),
}

impl Hook {
    const ALL: [(Self, u32); 6] = [
        (Self::Prerouting, 0),
        (Self::Input, 1),
        (Self::Forward, 2),
        (Self::Output, 3),
        (Self::Postrouting, 4),
        (Self::Ingress, 5),
    ];

    /// The hooks with numbers of their own in a family.
    fn of(family: Family) -> &'static [(Self, u32)] {
        match family {
            Family::Inet | Family::Ip | Family::Ip6 | Family::Bridge => &Self::ALL,
            // `NF_NETDEV_INGRESS` and `NF_NETDEV_EGRESS`, `NF_ARP_IN` and `NF_ARP_OUT`.
            Family::Netdev => &[(Self::Ingress, 0), (Self::Egress, 1)],
            Family::Arp => &[(Self::Input, 0), (Self::Output, 1)],
        }
    }

    /// Returns the kernel's number in a family; one that it refuses where that has no such hook.
    #[must_use]
    pub fn number(self, family: Family) -> u32 {
        if let Self::Other(number) = self {
            return number;
        }
        let known = Self::of(family).iter().find(|(hook, _)| *hook == self);
        known.map_or(u32::MAX, |(_, number)| *number)
    }

    /// Returns the hook with this number in a family.
    #[must_use]
    pub fn from_number(number: u32, family: Family) -> Self {
        let found = Self::of(family).iter().find(|(_, known)| *known == number);
        found.map_or(Self::Other(number), |(hook, _)| *hook)
    }

    /// Returns nft's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Other(_) => "unknown",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it does, in order.
    pub exprs: Vec<Expr>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}
