//! What can be wrong with tunnels.

use ipnet::IpNet;

use super::{At, article};
use crate::mac::Mac;
use crate::names::{IfName, NodeName};

/// Something about a tunnel: a link or a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelProblem {
    /// A member of a tunnel has no address that it could go over.
    #[error("`{at}` goes over `{over}`, which has no {family}address")]
    NoOuterAddress {
        /// The member's end of the tunnel.
        at: At,
        /// The interface that it goes over.
        over: IfName,
        /// "IPv4 ", "IPv6 ", or nothing where any would do.
        family: &'static str,
    },
    /// A link is of a kind that has no two ends.
    #[error("a link can't be {} {kind}", article(kind))]
    NotALink {
        /// The kind.
        kind: &'static str,
    },
    /// Two nodes have no addresses that a tunnel could go between.
    #[error("`{a}` and `{b}` have no addresses that {} {kind} could go between", article(kind))]
    NoUnderlay {
        /// One end.
        a: NodeName,
        /// The other.
        b: NodeName,
        /// The kind of the tunnel.
        kind: &'static str,
    },
    /// What only a member of a WireGuard segment can say stands elsewhere.
    #[error("`{option}` is for members of a segment of `kind: wireguard`")]
    OnlyWireguard {
        /// The option.
        option: &'static str,
    },
    /// The hub of a WireGuard segment is not on it.
    #[error("the hub `{hub}` is not a member of `{of}`")]
    HubNotThere {
        /// The hub.
        hub: NodeName,
        /// The segment.
        of: NodeName,
    },
    /// A node is a member of a WireGuard segment twice.
    #[error("`{node}` is a member of `{of}` twice")]
    MemberTwice {
        /// The node.
        node: NodeName,
        /// The segment.
        of: NodeName,
    },
    /// Two peers are to get packets to the same prefix.
    #[error("`{first}` and `{second}` both have {net}: a device sends it to one peer alone")]
    AllowedTwice {
        /// The prefix.
        net: IpNet,
        /// The member that has it first.
        first: At,
        /// The other.
        second: At,
    },
    /// A forwarding entry is of an interface that has none such.
    #[error("`{at}` is no {}", if *dst { "VXLAN: nothing goes to a `dst` by it" } else { "port of a bridge of the node" })]
    NoFdb {
        /// The interface.
        at: At,
        /// Whether the entry has a `dst`, as those of tunnels have.
        dst: bool,
    },
    /// Two forwarding entries of one table are of one address.
    #[error("`{mac}` has two entries in one table")]
    FdbTwice {
        /// The hardware address.
        mac: Mac,
    },
    /// Two WireGuard devices of a node listen on the same port.
    #[error("`{at}` can't have the UDP port {port}: `{first}` of the node has it")]
    SamePort {
        /// The second device.
        at: At,
        /// The first.
        first: IfName,
        /// The port.
        port: u16,
    },
}

impl TunnelProblem {
    /// Returns one line on how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoUnderlay { .. } => {
                "both need one of its family, on a common link, on `lo` or on the interface that \
                 `over` names"
                    .into()
            }
            Self::NotALink { .. } => {
                let is_link = |kind: &&&crate::kind::KindSpec| kind.is_tunnel() || kind.is_pair();
                let links = crate::kind::ALL.iter().filter(is_link);
                let names: Vec<&str> = links.map(|kind| kind.name).collect();
                format!("the kinds of links are {}", names.join(", "))
            }
            Self::OnlyWireguard { option: "listen_port" } => {
                "a link of that kind says it beside its `endpoints`".into()
            }
            Self::OnlyWireguard { .. } => "a link of that kind lets everything through".into(),
            Self::NoFdb { dst: true, .. } => "leave out `dst` for a port of a bridge".into(),
            Self::NoFdb { .. } => "say the far end by `dst` for a VXLAN".into(),
            Self::SamePort { .. } => "give one of them another `listen_port`".into(),
            Self::AllowedTwice { .. } => {
                "take it off one of them; a part of it, being longer, may go to the other".into()
            }
            _ => return None,
        })
    }
}
