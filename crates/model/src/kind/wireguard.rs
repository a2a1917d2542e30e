//! wireguard: a tunnel to peers that are known by their keys (drivers/net/wireguard/; wg(8)).
//!
//! The device is made as all others are; what it shall do is told by generic netlink afterwards, in
//! [`Change::SetWireguard`](crate::Change::SetWireguard). No key is in any state: a peer is named by
//! the interface at its other end. Whoever executes has the private keys; the public ones the kernel
//! tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::spec::{Hardware, KindSpec, OptionSpec};
use super::value::{Form, Width};
use crate::state::End;

/// The UDP port of the first such device of a node; the next has the next.
pub const LISTEN_PORT: u16 = 51820;

/// A tunnel to peers that are known by their keys.
pub static WIREGUARD: KindSpec = KindSpec {
    hardware: Hardware::None,
    ..KindSpec::new("wireguard", "CONFIG_WIREGUARD", "One end of an encrypted tunnel.", OPTIONS)
};

/// What a link of this kind can say. They are no attributes of the interface: its [`Wireguard`] is
/// made of them. Numbers are `WGDEVICE_A_…`, `WGPEER_A_…` (linux/wireguard.h).
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "listen-port",
        6,
        Form::number(Width::U16, 1, u16::MAX as u64),
        "The UDP port of both ends; 51820 for the first of a node where not given, then 51821.",
    )
    .called("listen_port"),
    OptionSpec::new(
        "persistent-keepalive",
        5,
        Form::number(Width::U16, 0, u16::MAX as u64),
        "How often a packet is sent so that firewalls keep the way open, in seconds; 0 for never.",
    )
    .called("keepalive"),
    OptionSpec::new(
        "fwmark",
        7,
        Form::number(Width::U32, 0, u32::MAX as u64),
        "The mark by which rules find a route for its packets.",
    ),
];

/// What a device does, but for its private key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wireguard {
    /// The UDP port that it listens on.
    pub listen_port: u16,
    /// The mark that its packets have; 0 for none.
    #[serde(default)]
    pub fwmark: u32,
    /// The peers by their own device.
    #[serde(with = "peers")]
    pub peers: BTreeMap<End, Peer>,
    /// How many peers it has that are of no device of the lab; none are ever wanted.
    #[serde(default)]
    pub strangers: usize,
}

/// A peer of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where its packets go until it sends one from elsewhere.
    pub endpoint: Option<SocketAddr>,
    /// What may come from it, and what is sent to it.
    pub allowed_ips: BTreeSet<IpNet>,
    /// How often a packet is sent in any case, in seconds; 0 for never.
    pub keepalive: u16,
}

impl fmt::Display for Wireguard {
    /// Writes it in wg(8)'s words, peers by their interfaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen-port {}", self.listen_port)?;
        if self.fwmark != 0 {
            write!(f, " fwmark {}", self.fwmark)?;
        }
        for (end, peer) in &self.peers {
            write!(f, " peer {end}")?;
            if let Some(endpoint) = peer.endpoint {
                write!(f, " endpoint {endpoint}")?;
            }
            // What is so anyway, between two alone, is not said.
            if peer.allowed_ips.iter().any(|net| net.prefix_len() > 0)
                || peer.allowed_ips.is_empty()
            {
                let nets: Vec<String> = peer.allowed_ips.iter().map(IpNet::to_string).collect();
                let nets = if nets.is_empty() { "none".to_owned() } else { nets.join(",") };
                write!(f, " allowed-ips {nets}")?;
            }
            if peer.keepalive > 0 {
                write!(f, " persistent-keepalive {}", peer.keepalive)?;
            }
        }
        Ok(())
    }
}

/// Peers as a list: a key in JSON is a text.
mod peers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{End, Peer};

    pub(super) fn serialize<S: Serializer>(
        peers: &BTreeMap<End, Peer>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(peers)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<End, Peer>, D::Error> {
        Ok(Vec::<(End, Peer)>::deserialize(deserializer)?.into_iter().collect())
    }
}
