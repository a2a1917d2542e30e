use rustix::net::netlink;

/// A netlink protocol: which part of the kernel answers (`NETLINK_*` in man 7 netlink).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Interfaces, addresses, routes, neighbours, rules, traffic control (man 7 rtnetlink).
    Route,
    /// Sockets (man 7 sock_diag).
    SockDiag,
    /// nf_tables, conntrack and others of netfilter (net/netfilter/nfnetlink.c).
    Netfilter,
    /// Families that register by name: wireguard, ethtool (net/netlink/genetlink.c).
    Generic,
    /// IPsec: states and policies (net/xfrm/xfrm_user.c).
    Xfrm,
}

impl Protocol {
    /// `None` is `NETLINK_ROUTE`, whose number is 0.
    pub(crate) fn to_rustix(self) -> Option<rustix::net::Protocol> {
        match self {
            Self::Route => None,
            Self::SockDiag => Some(netlink::SOCK_DIAG),
            Self::Netfilter => Some(netlink::NETFILTER),
            Self::Generic => Some(netlink::GENERIC),
            Self::Xfrm => Some(netlink::XFRM),
        }
    }

    pub(crate) fn from_rustix(protocol: Option<rustix::net::Protocol>) -> Option<Self> {
        [Self::Route, Self::SockDiag, Self::Netfilter, Self::Generic, Self::Xfrm]
            .into_iter()
            .find(|known| known.to_rustix() == protocol)
    }

    /// Returns the length of the struct between the netlink header and the attributes of a request, padded to 4 bytes.
    ///
    /// `None` where it is not known. Source: the `*msg` structs of include/uapi/linux/{rtnetlink,if_link,neighbour,
    /// fib_rules,if_addrlabel,net_namespace,nexthop,if_bridge}.h, `struct nfgenmsg`, `struct genlmsghdr`.
    pub(crate) fn request_header_bytes(self, kind: u16) -> Option<usize> {
        const RTM_BASE: u16 = 16;
        match self {
            Self::Netfilter | Self::Generic => Some(4),
            Self::SockDiag | Self::Xfrm => None,
            // rtnetlink's types come in fours: new, delete, get, set.
            Self::Route => match kind.checked_sub(RTM_BASE)? / 4 {
                0 | 23 => Some(16),                // ifinfomsg: LINK, LINKPROP
                1 => Some(8),                      // ifaddrmsg
                2 | 4 => Some(12),                 // rtmsg, fib_rule_hdr
                3 => Some(12),                     // ndmsg
                5 | 6 | 7 | 21 => Some(20),        // tcmsg: QDISC, TCLASS, TFILTER, CHAIN
                8 | 12 | 16 | 18 => Some(4),       // tcamsg, ndtmsg, netconfmsg, rtgenmsg (NSID)
                14 => Some(12),                    // ifaddrlblmsg
                17 | 22 | 24 | 25 | 26 => Some(8), // br_port_msg, nhmsg, br_vlan_msg, nhmsg, tunnel_msg
                19 => Some(12),                    // if_stats_msg
                _ => None,
            },
        }
    }
}
