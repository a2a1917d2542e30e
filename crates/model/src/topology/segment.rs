//! Segments: what many nodes share.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Endpoint, Tunnel};
use crate::kind::{Device, Options};
use crate::names::{IfName, NodeName};
use crate::origin::Origin;

/// A segment: a bridge in a namespace of its own, and its members; or a VLAN, which is on other
/// segments.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its name, which no other segment or node has.
    pub name: NodeName,
    /// The prefixes its members get addresses of, in member order, gateway first.
    pub prefixes: Vec<IpNet>,
    /// The addresses that are never handed out: single ones have their full length. An interface
    /// that names one gets it all the same.
    pub reserved: Vec<IpNet>,
    /// The member that is the others' default route.
    pub gateway: Option<NodeName>,
    /// Its members in written order.
    pub members: Vec<Endpoint>,
    /// The VLAN that it is, 2 to 4094, and that members which say nothing else are in. Without
    /// members it is nothing more than that: the ports of other segments carry it.
    pub vlan: Option<u16>,
    /// What carries packets between its members.
    pub kind: SegmentKind,
    /// Whether the lab's host is on it, with the first address of each prefix: it is the way out for
    /// members without another default route, and hides them behind its own address.
    pub external: bool,
    /// The MTU of all its interfaces, in bytes, where a member does not say otherwise.
    pub mtu: Option<u32>,
    /// Whether its bridge runs the spanning tree protocol.
    pub stp: bool,
    /// Further options of its bridge.
    pub bridge: Options,
    /// What it costs `routing: auto` to cross it; 1 where not given.
    pub cost: Option<u32>,
    /// What asked for it.
    pub origin: Origin,
}

impl Segment {
    /// Makes a segment without members.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            prefixes: Vec::new(),
            reserved: Vec::new(),
            gateway: None,
            members: Vec::new(),
            vlan: None,
            kind: SegmentKind::Bridge,
            external: false,
            mtu: None,
            stp: false,
            bridge: Options::new(),
            cost: None,
            origin: Origin::NONE,
        }
    }

    /// Says why it has no bridge and no namespace of its own, if so.
    #[must_use]
    pub fn without_bridge(&self) -> Option<&'static str> {
        match self.kind {
            SegmentKind::Vxlan(_) => Some("a VXLAN"),
            SegmentKind::Wireguard { .. } => Some("a WireGuard tunnel"),
            SegmentKind::Bridge if self.vlan.is_some() && self.members.is_empty() => {
                Some("a VLAN without members")
            }
            SegmentKind::Bridge => None,
        }
    }
}

/// What carries packets between the members of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentKind {
    /// A bridge in a namespace of its own, with a cable to each member.
    Bridge,
    /// A tunnel from each member to each other, over the lab's own network (RFC 7348).
    Vxlan(Vxlan),
    /// A WireGuard tunnel from each member to each other, or to the hub alone, which passes on.
    Wireguard {
        /// What all members have of options, and the interface that it goes over.
        tunnel: Tunnel,
        /// The member that the others connect to; without one each connects to each.
        hub: Option<NodeName>,
    },
}

impl SegmentKind {
    /// Returns the kind of its members' interfaces, where the segment says what those do.
    pub(crate) fn device(&self) -> Option<&Device> {
        match self {
            Self::Wireguard { tunnel, .. } => Some(&tunnel.device),
            Self::Bridge | Self::Vxlan(_) => None,
        }
    }
}

/// What there is to say of a VXLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// Its number (VNI), up to 16777215.
    pub id: u32,
    /// The interface of each member whose address its packets go from and to.
    pub over: IfName,
    /// The multicast group for packets to addresses that are not known; without one they go to each
    /// member.
    pub group: Option<IpAddr>,
    /// The UDP port of its packets.
    pub port: u16,
}

impl Vxlan {
    /// The UDP port that VXLAN has (RFC 7348, section 5).
    pub const PORT: u16 = 4789;
}
