//! What must hold of a network: `pc1 reaches web tcp/80`.
//!
//! ```text
//!  WHO reaches WHOM [PACKET] [ipv4 | ipv6] [via NODE]… [within TIME] [CONDITION]
//!  WHO cannot reach WHOM [PACKET] [ipv4 | ipv6] [CONDITION]
//!  WHO sees WHOM as ADDRESS [PACKET] [CONDITION]
//!  CONDITION: if LINK is down | if LINK and LINK are down | for every single link failure
//! ```
//!
//! A LINK is a cable by its name, that of a member to its segment too (`pc1--lan`), or by one of its
//! interfaces (`pc1:lan`); a node or segment means all its cables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{IfName, NodeName, NsName};
use crate::origin::Origin;
use crate::resolve::{Desired, DesiredLink};
use crate::state::{End, Kind, Namespace};
use crate::step::{Change, LinkSetting, Step};

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// It, as it was written.
    pub text: String,
    /// Who asks, or who sees.
    pub who: Group,
    /// What is claimed.
    pub claim: Claim,
    /// Who is asked, or seen.
    pub whom: Group,
    /// What is sent; echo requests where nothing is said.
    pub packet: Option<Packet>,
    /// Whether only IPv6 is meant, or only IPv4; both, where both sides have an address, else.
    pub ipv6: Option<bool>,
    /// The nodes that the way there must pass, in this order.
    pub via: Vec<NodeName>,
    /// How long the answer may take.
    pub within: Option<Duration>,
    /// Under which condition it must hold.
    pub when: Condition,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an expectation claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// Each of the one reaches each of the others, and the answer comes back.
    Reaches,
    /// None does.
    CannotReach,
    /// What comes from the others seems to come from this address.
    Sees(IpAddr),
}

/// Under which condition an expectation must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// As things are.
    Always,
    /// While all these links are down: each as [`Desired::links_of`] knows it.
    Down(Vec<String>),
    /// Whichever link is down.
    EachLink,
}

/// Some nodes, interfaces or addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group(pub Vec<Part>);

/// A part of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// All nodes.
    All,
    /// A node, or all members of a segment.
    Name(NodeName),
    /// All nodes whose name fits a pattern with `*` and `?`.
    Glob(String),
    /// A node by the address of one of its interfaces.
    Interface(NodeName, IfName),
    /// Whoever has this address.
    Address(IpAddr),
}

/// One of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// A node, by one of its interfaces where that was said.
    Node(NodeName, Option<IfName>),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node, None) => node.fmt(f),
            Self::Node(node, Some(dev)) => write!(f, "{node}:{dev}"),
            Self::Address(addr) => addr.fmt(f),
        }
    }
}

impl Group {
    /// Finds who is meant, each once, in the order of the names.
    #[must_use]
    pub fn members(&self, desired: &Desired) -> Vec<Member> {
        let mut found = Vec::new();
        let nodes = |fits: &dyn Fn(&NodeName) -> bool| -> Vec<Member> {
            let names = desired.nodes.keys().filter(|name| fits(name));
            names.map(|name| Member::Node(name.clone(), None)).collect()
        };
        for part in &self.0 {
            found.extend(match part {
                Part::All => nodes(&|_| true),
                Part::Glob(pattern) => nodes(&|name| fits(pattern, name.as_str())),
                Part::Name(name) => match desired.segments.get(name) {
                    Some(segment) => {
                        let members = plugged_into(desired, segment);
                        nodes(&|name| members.contains(&name))
                    }
                    None => vec![Member::Node(name.clone(), None)],
                },
                Part::Interface(node, dev) => {
                    vec![Member::Node(node.clone(), Some(dev.clone()))]
                }
                Part::Address(addr) => vec![Member::Address(*addr)],
            });
        }
        found.sort();
        found.dedup();
        found
    }
}

/// Finds the nodes that have an interface on a segment.
fn plugged_into<'d>(desired: &'d Desired, segment: &NsName) -> Vec<&'d NodeName> {
    let ports = desired.state.namespaces.get(segment).into_iter().flat_map(|ns| &ns.interfaces);
    let peers: Vec<&NsName> =
        ports.filter_map(|(_, port)| port.kind.peer()).map(|peer| &peer.ns).collect();
    desired.nodes.iter().filter(|(_, ns)| peers.contains(ns)).map(|(name, _)| name).collect()
}

/// Tells whether a name fits a pattern: `*` is any text, `?` one character.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => name
            .char_indices()
            .map(|(at, _)| at)
            .chain([name.len()])
            .any(|at| fits(rest.as_str(), &name[at..])),
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|first| wanted == '?' || wanted == first)
                && fits(rest.as_str(), name.as_str())
        }
    }
}

impl Desired {
    /// Lists all cables: the links, and those by which members are plugged into their segments. Such
    /// a one is called `NODE--SEGMENT`, and a second one of the same two `NODE--SEGMENT-2`.
    ///
    /// What leads a segment to the host is none: it ends outside of the lab.
    #[must_use]
    pub fn cables(&self) -> Vec<DesiredLink> {
        let mut cables = self.links.clone();
        let mut names: BTreeSet<String> = cables.iter().map(|link| link.name.clone()).collect();
        let known: BTreeSet<End> = cables.iter().flat_map(|link| self.ends_of(link)).collect();
        let nodes = self.names_of_nodes();
        for (segment, ns) in &self.segments {
            let ports = self.state.namespaces.get(ns).into_iter().flat_map(|ns| &ns.interfaces);
            for (port, interface) in ports {
                let Some(peer) = interface.kind.peer().filter(|peer| !known.contains(peer)) else {
                    continue;
                };
                let Some(node) = nodes.get(&peer.ns) else { continue };
                let first = format!("{node}--{segment}");
                let more = (2..).map(|number| format!("{first}-{number}"));
                let free =
                    std::iter::once(first.clone()).chain(more).find(|it| !names.contains(it));
                let name = free.unwrap_or_default();
                names.insert(name.clone());
                let ends = [((*node).clone(), peer.name.clone()), (segment.clone(), port.clone())];
                let own = self.state.namespaces.get(&peer.ns);
                let own = own.and_then(|found| found.interfaces.get(&peer.name));
                let origin = own.unwrap_or(interface).origin;
                cables.push(DesiredLink { name, ends, origin });
            }
        }
        cables
    }

    /// Finds the cables that are down under a condition's name: a cable by its name, from either end,
    /// or by one of its interfaces (`NODE:INTERFACE`), or all cables of a node or segment.
    #[must_use]
    pub fn links_of<'c>(cables: &'c [DesiredLink], name: &str) -> Vec<&'c DesiredLink> {
        let reversed = name.split_once("--").map(|(a, b)| format!("{b}--{a}"));
        let interface = name.split_once(':');
        let is_it = |link: &&DesiredLink| {
            link.name == name
                || Some(&link.name) == reversed.as_ref()
                || link.ends.iter().any(|(node, dev)| match interface {
                    None => node.as_str() == name,
                    Some(end) => (node.as_str(), dev.as_str()) == end,
                })
        };
        cables.iter().filter(is_it).collect()
    }

    /// Lists the two interfaces of a link.
    #[must_use]
    pub fn ends_of(&self, link: &DesiredLink) -> Vec<End> {
        let end = |(node, dev): &(NodeName, IfName)| {
            Some(End { ns: self.ns_of(node.as_str())?, name: dev.clone() })
        };
        link.ends.iter().filter_map(end).collect()
    }

    /// Lists the steps that take links down, at both ends.
    #[must_use]
    pub fn cut(&self, links: &[&DesiredLink]) -> Vec<Step> {
        let down = |end: End| {
            let change = Change::SetLink { name: end.name, set: LinkSetting::Up(false) };
            Step::new(end.ns, change)
        };
        links.iter().flat_map(|link| self.ends_of(link)).map(down).collect()
    }

    /// Returns the nodes by their namespaces.
    #[must_use]
    pub fn names_of_nodes(&self) -> BTreeMap<&NsName, &NodeName> {
        self.nodes.iter().map(|(name, ns)| (ns, name)).collect()
    }
}

/// Returns the address by which a node is best reached: one of `lo`, else of any interface.
#[must_use]
pub fn first_address(namespace: &Namespace, ipv6: bool) -> Option<IpAddr> {
    let mut interfaces: Vec<_> = namespace.interfaces.iter().collect();
    interfaces.sort_by_key(|(_, interface)| interface.kind != Kind::Loopback);
    interfaces
        .into_iter()
        .flat_map(|(_, interface)| &interface.addresses)
        .filter(|address| !address.net.addr().is_loopback() && !address.is_ipv6_link_local())
        .map(|address| address.net.addr())
        .find(|addr| addr.is_ipv6() == ipv6)
}

/// What is sent.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum Packet {
    /// An echo request (RFC 792, RFC 4443).
    #[default]
    Icmp,
    /// The beginning of a TCP connection to this port.
    Tcp(u16),
    /// A UDP datagram to this port.
    Udp(u16),
}

impl Packet {
    /// Returns the number of its protocol (IANA's "Protocol Numbers").
    #[must_use]
    pub fn protocol(self, ipv6: bool) -> u8 {
        match self {
            Self::Icmp if ipv6 => 58,
            Self::Icmp => 1,
            Self::Tcp(_) => 6,
            Self::Udp(_) => 17,
        }
    }

    /// Returns the port it goes to.
    #[must_use]
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Icmp => None,
            Self::Tcp(port) | Self::Udp(port) => Some(port),
        }
    }
}

impl FromStr for Packet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err("a port is a number from 1 to 65535"),
            Ok(port) => Ok(port),
        };
        match text.split_once('/') {
            None if text == "icmp" => Ok(Self::Icmp),
            Some(("tcp", text)) => Ok(Self::Tcp(port(text)?)),
            Some(("udp", text)) => Ok(Self::Udp(port(text)?)),
            _ => Err("write it as tcp/80, udp/53 or icmp"),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icmp => f.write_str("icmp"),
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
        }
    }
}

impl TryFrom<String> for Packet {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Packet> for String {
    fn from(packet: Packet) -> Self {
        packet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_names() {
        assert!(fits("pc*", "pc12") && fits("*", "x") && fits("h?", "h1") && fits("*a*", "cab"));
        assert!(!fits("pc*", "p") && !fits("h?", "h12") && !fits("", "x") && !fits("*a", "ab"));
    }

    #[test]
    fn a_packet_is_read_as_it_is_written() {
        for text in ["icmp", "tcp/80", "udp/65535"] {
            assert_eq!(text.parse::<Packet>().unwrap().to_string(), text);
        }
        assert!("tcp/0".parse::<Packet>().is_err() && "tcp".parse::<Packet>().is_err());
    }
}
