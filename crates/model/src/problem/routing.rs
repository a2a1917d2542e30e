//! What can be wrong with policy rules, neighbours and nexthop objects.

use std::net::IpAddr;

use ipnet::IpNet;

use super::At;
use crate::names::NodeName;

/// Something about what stands beside the routes of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingProblem {
    /// A route or group names a nexthop object that there is not.
    #[error("`{node}` has no nexthop with id {id}")]
    UnknownNexthop {
        /// The node.
        node: NodeName,
        /// The id.
        id: u32,
    },
    /// Two nexthop objects of a node have the same id.
    #[error("`{node}` has two nexthops with id {id}")]
    NexthopTwice {
        /// The node.
        node: NodeName,
        /// The id.
        id: u32,
    },
    /// A member of a group is a group.
    #[error("nexthop {id} can't have the member {member}: it is a group itself")]
    GroupInGroup {
        /// The group.
        id: u32,
        /// The member.
        member: u32,
    },
    /// A member of a group with several leads nowhere.
    #[error("nexthop {id} can't have the member {member} among others: it leads nowhere")]
    BlackholeInGroup {
        /// The group.
        id: u32,
        /// The member.
        member: u32,
    },
    /// A nexthop object leads over an interface that is down.
    #[error("nexthop {id} leads over `{at}`, which {}", down(*far))]
    NexthopOverDown {
        /// The nexthop object.
        id: u32,
        /// The interface.
        at: At,
        /// Whether it is its far end that is down.
        far: bool,
    },
    /// An IPv6 route by a nexthop object for IPv4.
    #[error("the route to {dst} can't go by nexthop {nhid}, which is for {family}")]
    NexthopOfOtherFamily {
        /// The destination.
        dst: IpNet,
        /// The nexthop object.
        nhid: u32,
        /// "IPv4" or "IPv6".
        family: &'static str,
    },
    /// A rule goes back, or nowhere.
    #[error("the rule with priority {priority} can't go to {target}: {why}")]
    BadGoto {
        /// The rule.
        priority: u32,
        /// Where it goes.
        target: u32,
        /// "only later rules can be gone to" or "there is no rule with that priority".
        why: &'static str,
    },
    /// The same rule is there twice.
    #[error("`{node}` has the rule `{rule}` twice")]
    RuleTwice {
        /// The node.
        node: NodeName,
        /// The rule in iproute2's words.
        rule: String,
    },
    /// Two entries for the same neighbour.
    #[error("`{at}` has two entries for the neighbor {addr}")]
    NeighborTwice {
        /// The interface.
        at: At,
        /// The address of the neighbour.
        addr: IpAddr,
    },
    /// An IPv6 neighbour on a node without IPv6.
    #[error("`{at}` can't have the neighbor {addr}: IPv6 is off there")]
    NeighborWithoutIpv6 {
        /// The interface.
        at: At,
        /// The address of the neighbour.
        addr: IpAddr,
    },
}

fn down(far: bool) -> &'static str {
    if far { "has no carrier: its far end is down" } else { "is down" }
}
