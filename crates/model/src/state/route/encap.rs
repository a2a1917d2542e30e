//! What a route puts around packets: `ip-route(8)`, "encap".

use std::fmt;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

/// A lightweight tunnel: what is put around packets that take a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Encap {
    /// MPLS labels (RFC 3032), the outermost first. CONFIG_MPLS_IPTUNNEL.
    Mpls {
        /// The labels, 0 to 1,048,575.
        labels: Vec<u32>,
        /// The TTL of the labels; that of the packet where not given.
        ttl: Option<u8>,
    },
    /// An IPv6 segment routing header (RFC 8754). CONFIG_IPV6_SEG6_LWTUNNEL.
    Seg6 {
        /// How it is put around.
        mode: Seg6Mode,
        /// The segments in the order in which they are gone through.
        segments: Vec<Ipv6Addr>,
    },
}

/// How a segment routing header is put around a packet (`SEG6_IPTUN_MODE_*`,
/// linux/seg6_iptunnel.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seg6Mode {
    /// Into the packet's own IPv6 header.
    Inline,
    /// With an IPv6 header of its own around the packet.
    Encap,
}

impl fmt::Display for Encap {
    /// Writes it in iproute2's words, without `encap`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mpls { labels, ttl } => {
                write!(f, "mpls {}", joined(labels, "/"))?;
                ttl.map_or(Ok(()), |ttl| write!(f, " ttl {ttl}"))
            }
            Self::Seg6 { mode, segments } => {
                let mode = match mode {
                    Seg6Mode::Inline => "inline",
                    Seg6Mode::Encap => "encap",
                };
                write!(f, "seg6 mode {mode} segs {}", joined(segments, ","))
            }
        }
    }
}

fn joined(items: &[impl ToString], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
