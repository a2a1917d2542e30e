//! What a node lets through, and what it translates, as it is meant.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::names::IfName;
use crate::nft::{CtState, Limit};
use crate::origin::Origin;

/// What a node lets in, out and through.
#[derive(Debug, Clone, Default)]
pub struct Firewall {
    /// What becomes of packets to the node itself that no rule decides; nothing: they are accepted.
    pub input: Option<Verdict>,
    /// What becomes of packets that the node sends itself.
    pub output: Option<Verdict>,
    /// What becomes of packets that it passes on.
    pub forward: Option<Verdict>,
    /// Whether packets of connections that are established, or related to such, are let through
    /// before any rule is asked, in all three.
    pub established: bool,
    /// The rules in the order in which they are asked: the first that decides does.
    pub rules: Vec<FirewallRule>,
    /// What asked for it.
    pub origin: Origin,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is let through.
    Accept,
    /// It is dropped in silence.
    Drop,
    /// It is dropped, and its sender is told.
    Reject,
}

/// Which of a node's packets a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Those to the node itself.
    In,
    /// Those that it sends itself.
    Out,
    /// Those that it passes on.
    Forward,
}

impl Way {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Forward];

    /// Returns the word of the file for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "forward",
        }
    }
}

impl Firewall {
    /// Returns what becomes of packets on this way that no rule decides.
    #[must_use]
    pub fn policy(&self, way: Way) -> Option<Verdict> {
        match way {
            Way::In => self.input,
            Way::Out => self.output,
            Way::Forward => self.forward,
        }
    }
}

/// One rule of a firewall. What is empty holds for every packet.
#[derive(Debug, Clone, Default)]
pub struct FirewallRule {
    /// What becomes of the packet; nothing for a rule that only counts or logs.
    pub verdict: Option<Verdict>,
    /// Which packets it is about; nothing: those that the node passes on if it forwards, else those
    /// that come to it.
    pub way: Option<Way>,
    /// Where it comes from: one of these.
    pub from: Vec<Peer>,
    /// Where it goes: one of these.
    pub to: Vec<Peer>,
    /// The interfaces of the node that it comes in by: one of these.
    pub iif: Vec<IfName>,
    /// The interfaces that it leaves by: one of these.
    pub oif: Vec<IfName>,
    /// Its protocol (`IPPROTO_*`): one of these.
    pub protocols: Vec<u8>,
    /// The port that it goes to, in one of these ranges with their ends included.
    pub ports: Vec<(u16, u16)>,
    /// The state of its connection: one of these.
    pub states: Vec<CtState>,
    /// How many such packets it holds for.
    pub limit: Option<Limit>,
    /// Writes a line to the kernel's log that begins with this text.
    pub log: Option<String>,
    /// Whether it counts what it holds for.
    pub counter: bool,
    /// What asked for it.
    pub origin: Origin,
}

/// One end of a packet's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An address in this prefix.
    Net(IpNet),
    /// An address of this node, or in a prefix of this segment; else, by or to this interface of the
    /// node that has the rule.
    Name(String),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// One translation of addresses.
#[derive(Debug, Clone)]
pub struct NatRule {
    /// What it does.
    pub kind: NatKind,
    /// What asked for it.
    pub origin: Origin,
}

/// What a translation does.
#[derive(Debug, Clone)]
pub enum NatKind {
    /// What leaves by these interfaces gets their address as its source.
    Masquerade {
        /// The interfaces.
        oif: Vec<IfName>,
        /// Only what comes from one of these.
        from: Vec<Peer>,
    },
    /// What comes from one of these gets another source address.
    Snat {
        /// Where it comes from.
        from: Vec<Peer>,
        /// Only what leaves by one of these interfaces.
        oif: Vec<IfName>,
        /// The new source.
        to: IpAddr,
    },
    /// What comes to these ports gets another destination.
    Dnat {
        /// The protocol (`IPPROTO_*`).
        protocol: u8,
        /// The ports as a range with its ends included; nothing is all.
        ports: Option<(u16, u16)>,
        /// Only what comes in by this interface, and to one of its addresses.
        iif: Option<IfName>,
        /// Only what comes to this address; else to one of the interface's, or of the node's.
        dst: Option<IpAddr>,
        /// The new destination: an address, or a node.
        to: Peer,
        /// The new port.
        port: Option<u16>,
        /// Whether it also holds for what comes in elsewhere, from the node itself, and from
        /// neighbours of the new destination, whose source is translated too, so that the answers
        /// come back.
        hairpin: bool,
    },
    /// One address stands for another, in both directions and for all ports.
    Binat {
        /// The address that is seen.
        addr: IpAddr,
        /// Whom it stands for: an address, or a node.
        to: Peer,
        /// Only by this interface.
        oif: Option<IfName>,
    },
}
