//! What can be wrong with firewalls and translations of addresses.

use std::net::IpAddr;

use crate::names::{IfName, NodeName};

/// The rule that a firewall or a translation breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterProblem {
    /// A name is none of a node, a segment, or an interface of the node.
    #[error("`{name}` is no node, no segment and no interface of `{node}`")]
    UnknownPeer {
        /// The node with the rule.
        node: NodeName,
        /// The name.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// A node or segment without an address stands where addresses are compared.
    #[error("`{name}` has no address, so no packet is from or to it")]
    PeerWithoutAddress {
        /// The node or segment.
        name: String,
    },
    /// A rule about packets to the node itself names the interface that they leave by.
    #[error("packets to the node itself leave by no interface, so `{interface}` can't be it")]
    LeavesNowhere {
        /// The interface.
        interface: IfName,
    },
    /// A rule about packets that the node sends itself names the interface that they come in by.
    #[error("packets of the node's own come in by no interface, so `{interface}` can't be it")]
    ComesFromNowhere {
        /// The interface.
        interface: IfName,
    },
    /// Source and destination of a rule have no address family in common.
    #[error(
        "no packet is from one of these to one of those: they have no address family in common"
    )]
    NoCommonFamily,
    /// The new address is of another family than what is translated.
    #[error("{addr} can't be translated to {to}: they are of different families")]
    OtherFamily {
        /// What is translated.
        addr: String,
        /// The new address.
        to: IpAddr,
    },
    /// What packets are to be sent to is no node.
    #[error("there is no node `{name}` that packets could be sent to")]
    UnknownTarget {
        /// The name.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// A node that packets are translated to has no address of the family.
    #[error("`{to}` has no {family} address that {what} could be translated to")]
    NoTarget {
        /// The node.
        to: String,
        /// "IPv4", "IPv6", or "IPv4 or IPv6".
        family: &'static str,
        /// What is translated.
        what: String,
    },
    /// The interface that packets come in by has no address that they could be sent to.
    #[error("`{node}:{interface}` has no address, so nothing is sent to it")]
    NoOuterAddress {
        /// The node.
        node: NodeName,
        /// The interface.
        interface: IfName,
    },
    /// A rule is about messages of one family, and about addresses of the other.
    #[error("`{word}` is of {family}, and these addresses are not")]
    OtherIcmp {
        /// The word that it has.
        word: &'static str,
        /// Its family.
        family: &'static str,
        /// The word for the other family.
        other: &'static str,
    },
    /// Two translations are for the same packets.
    #[error("`{second}` is for packets that `{first}` is for too, on `{node}`")]
    NatOverlap {
        /// The node.
        node: NodeName,
        /// The one that is written first.
        first: String,
        /// The other.
        second: String,
    },
}

impl FilterProblem {
    /// Returns one line on how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownPeer { nearest: Some(name), .. }
            | Self::UnknownTarget { nearest: Some(name), .. } => {
                format!("one with a similar name exists: `{name}`")
            }
            Self::PeerWithoutAddress { .. } => {
                "give it addresses, or name an interface: `iif NAME`".into()
            }
            Self::LeavesNowhere { .. } => "say where it comes in, with `from` or `iif`".into(),
            Self::ComesFromNowhere { .. } => "say where it goes out, with `to` or `oif`".into(),
            Self::OtherIcmp { other, .. } => format!("theirs are `{other}`"),
            Self::NatOverlap { .. } => {
                "only the first would ever be asked; give them different ports, sources or \
                 interfaces"
                    .into()
            }
            _ => return None,
        })
    }
}
