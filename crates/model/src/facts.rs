//! What else was observed of namespaces: what no file declares and `plan` never compares.
//!
//! Only who explains what a packet meets needs it, and reading it costs more than the rest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
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
    /// Neighbour entries that somebody wrote.
    pub neighbours: Vec<Neighbour>,
    /// IPv6 addresses that can't be used, each with whether another has it too; otherwise that is
    /// still being found out (RFC 4862, section 5.4).
    pub unusable: Vec<(IfName, IpAddr, bool)>,
    /// The ports of bridges that don't pass on all.
    pub ports: BTreeMap<IfName, Port>,
    /// Who listens on which port; nothing where it was not asked.
    pub listeners: Option<Vec<Listener>>,
    /// The names of the tables of nftables and iptables, each with its family: `inet filter`.
    pub filters: Vec<String>,
    /// The tables of nf_tables, whoever made them, with their rules as far as they are understood.
    pub tables: Vec<Table>,
    /// The indexes of its interfaces.
    pub indexes: BTreeMap<IfName, u32>,
    /// Sysctls by their dotted names, as far as they were asked for.
    pub sysctls: BTreeMap<String, String>,
}

/// A neighbour entry that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's address.
    pub addr: IpAddr,
    /// The hardware address that it is said to have.
    pub mac: Option<Mac>,
}

/// The port of a bridge that does not pass on all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Whether it forwards: the spanning tree protocol, or a person, may have it blocked.
    pub forwards: bool,
    /// Whether it passes nothing on to other ports that are isolated too.
    pub isolated: bool,
}

/// A socket that waits for packets from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP or UDP.
    pub transport: Transport,
    /// The address that it is bound to.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
    /// Whether it takes IPv6 only, where it is bound to `::`.
    pub ipv6_only: bool,
}

impl Listener {
    /// Tells whether it takes what goes to this address.
    #[must_use]
    pub fn takes(&self, dst: IpAddr) -> bool {
        match self.addr {
            IpAddr::V4(addr) => dst.is_ipv4() && (addr.is_unspecified() || self.addr == dst),
            IpAddr::V6(addr) if addr.is_unspecified() => dst.is_ipv6() || !self.ipv6_only,
            IpAddr::V6(addr) => match (addr.to_ipv4_mapped(), dst) {
                (Some(addr), IpAddr::V4(dst)) => addr == dst,
                _ => self.addr == dst,
            },
        }
    }
}

/// A protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}
