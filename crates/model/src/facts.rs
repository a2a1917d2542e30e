//! What else was observed of namespaces: what no file declares and `plan` never compares.
//!
//! Only who explains what a packet meets needs it, and reading it costs more than the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{IfName, NsName};
use crate::nft::Table;
use crate::state::Route;

/// Facts about namespaces, by the name they are pinned under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The namespaces that were asked.
    pub namespaces: BTreeMap<NsName, NamespaceFacts>,
}

/// Facts about one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceFacts {
    /// The routes of the main and default table that nobody configured: the kernel derived them of
    /// addresses, or a router or daemon brought them. In the kernel's order.
    pub routes: Vec<Route>,
    /// Policy rules beside the three that every namespace is born with, in a person's words.
    pub rules: Vec<String>,
    /// Neighbour entries that somebody wrote: `10.0.0.2 dev eth0`.
    pub neighbours: Vec<String>,
    /// The names of the tables of nftables and iptables, each with its family: `inet filter`.
    pub filters: Vec<String>,
    /// The tables of nf_tables, whoever made them, with their rules as far as they are understood.
    pub tables: Vec<Table>,
    /// The indexes of its interfaces.
    pub indexes: BTreeMap<IfName, u32>,
    /// Sysctls by their dotted names, as far as they were asked for.
    pub sysctls: BTreeMap<String, String>,
}
