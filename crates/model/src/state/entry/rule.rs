//! Policy rules: `ip-rule(8)`.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::route::TABLES;
use crate::names::IfName;
use crate::origin::Origin;

/// A rule that says in which table the route of a packet is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// The place in the order; the lowest is asked first. 0, 32766 and 32767 are the kernel's own.
    pub priority: u32,
    /// Whether it is for IPv6 packets.
    pub ipv6: bool,
    /// Whether it is for the packets that do not match.
    pub not: bool,
    /// The prefix that the source is in.
    pub from: Option<IpNet>,
    /// The prefix that the destination is in.
    pub to: Option<IpNet>,
    /// The interface that the packet came in by; `lo` for those that the host sends.
    pub iif: Option<IfName>,
    /// The interface that the socket is bound to.
    pub oif: Option<IfName>,
    /// The packet's mark, and which bits of it count.
    pub fwmark: Option<(u32, u32)>,
    /// The protocol by its number (6 is TCP).
    pub ipproto: Option<u8>,
    /// The source port.
    pub sport: Option<PortRange>,
    /// The destination port.
    pub dport: Option<PortRange>,
    /// Takes a route that is found for none where its prefix is this long at most.
    pub suppress_prefixlength: Option<u8>,
    /// What happens to the packets.
    pub action: RuleAction,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Ports from one to another, both among them.
pub type PortRange = (u16, u16);

/// What happens to the packets of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RuleAction {
    /// Their route is looked for in this table.
    Table(u32),
    /// The rules from this priority on are asked.
    Goto(u32),
    /// They are dropped in silence.
    Blackhole,
    /// They are dropped; the sender gets ICMP "host unreachable".
    Unreachable,
    /// They are dropped; the sender gets ICMP "administratively prohibited".
    Prohibit,
}

impl Rule {
    /// Makes a rule for all packets of a family.
    #[must_use]
    pub fn new(ipv6: bool, priority: u32, action: RuleAction) -> Self {
        Self {
            priority,
            ipv6,
            not: false,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            ipproto: None,
            sport: None,
            dport: None,
            suppress_prefixlength: None,
            action,
            origin: Origin::NONE,
        }
    }

    /// Returns what it selects by, in iproute2's words: `from 10.0.0.0/8 iif eth0`; `-6` before
    /// those of a rule for IPv6 that has no address.
    #[must_use]
    pub fn selector(&self) -> String {
        let mut words = Vec::new();
        if self.ipv6 && self.from.is_none() && self.to.is_none() {
            words.push("-6".to_owned());
        }
        if self.not {
            words.push("not".to_owned());
        }
        words.push(format!("from {}", self.from.map_or("all".into(), prefix)));
        words.extend(self.to.map(|to| format!("to {}", prefix(to))));
        words.extend(self.iif.as_ref().map(|dev| format!("iif {dev}")));
        words.extend(self.oif.as_ref().map(|dev| format!("oif {dev}")));
        words.extend(self.fwmark.map(|(mark, mask)| match (mark, mask) {
            // Of no mark the mask must be said: else any packet has it (`fib_nl2rule`,
            // net/core/fib_rules.c).
            (1.., u32::MAX) => format!("fwmark {mark:#x}"),
            _ => format!("fwmark {mark:#x}/{mask:#x}"),
        }));
        words.extend(self.ipproto.map(|number| format!("ipproto {number}")));
        words.extend(self.sport.map(|range| format!("sport {}", ports(range))));
        words.extend(self.dport.map(|range| format!("dport {}", ports(range))));
        words.join(" ")
    }

    /// Returns what it does, in iproute2's words: `table 100 suppress_prefixlength 0`.
    #[must_use]
    pub fn outcome(&self) -> String {
        let mut text = self.action.to_string();
        if let Some(len) = self.suppress_prefixlength {
            text.push_str(&format!(" suppress_prefixlength {len}"));
        }
        text
    }
}

impl fmt::Display for Rule {
    /// Writes it in iproute2's words, as far as these can be given back to it: `from all table 7
    /// priority 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} priority {}", self.selector(), self.outcome(), self.priority)
    }
}

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => match TABLES.iter().find(|(_, number)| number == table) {
                Some((name, _)) => write!(f, "table {name}"),
                None => write!(f, "table {table}"),
            },
            Self::Goto(priority) => write!(f, "goto {priority}"),
            Self::Blackhole => f.write_str("blackhole"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Prohibit => f.write_str("prohibit"),
        }
    }
}

fn prefix(net: IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    }
}

fn ports((first, last): PortRange) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
