//! What registers hold, by nft's names, and values as nft writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CmpOp, Ct, Data, ETHER_TYPES, Meta, PayloadBase, states};
use crate::Mac;
use crate::nft::CT_STATUS_DNAT;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// An IPv4 or IPv6 address, or the first bytes of one, by its length.
    Address,
    /// The first bytes of an address of which `.0` bytes were loaded.
    Prefix(usize),
    Port,
    /// The name of an interface.
    Name,
    /// A protocol of IP.
    Protocol,
    /// A family.
    Family,
    /// A protocol of Ethernet.
    EtherType,
    /// A hardware address.
    Mac,
    /// What a message of ARP is.
    Operation,
    /// Whom a frame is for.
    PacketType,
    /// Bits of [`super::CtState`].
    State,
    /// Bits of a connection's status.
    Status,
    /// A number in network byte order.
    Number,
    /// A number in host byte order.
    HostNumber,
    /// A type of address (`RTN_*`, linux/rtnetlink.h).
    AddressType,
    Hex,
}

pub(super) fn meta(key: Meta) -> (String, Show) {
    let (name, show) = match key {
        Meta::IifName => ("iifname", Show::Name),
        Meta::OifName => ("oifname", Show::Name),
        Meta::Iif => ("iif", Show::HostNumber),
        Meta::Oif => ("oif", Show::HostNumber),
        Meta::NfProto => ("meta nfproto", Show::Family),
        Meta::L4Proto => ("meta l4proto", Show::Protocol),
        Meta::Mark => ("meta mark", Show::HostNumber),
        Meta::Len => ("meta length", Show::HostNumber),
        Meta::Protocol => ("meta protocol", Show::EtherType),
        Meta::IifType => ("meta iiftype", Show::HostNumber),
        Meta::OifType => ("meta oiftype", Show::HostNumber),
        Meta::IbrName => ("meta ibrname", Show::Name),
        Meta::ObrName => ("meta obrname", Show::Name),
        Meta::PktType => ("meta pkttype", Show::PacketType),
        Meta::Other(number) => return (format!("<meta {number}>"), Show::Hex),
    };
    (name.to_owned(), show)
}

pub(super) fn ct(key: Ct, dir: Option<u8>) -> (String, Show) {
    let (name, show) = match key {
        Ct::State => ("state", Show::State),
        Ct::Status => ("status", Show::Status),
        Ct::Mark => ("mark", Show::HostNumber),
        Ct::Direction => ("direction", Show::HostNumber),
        Ct::Other(number) => return (format!("<ct {number}>"), Show::Hex),
    };
    let dir = match dir {
        None => "",
        Some(0) => "original ",
        Some(_) => "reply ",
    };
    (format!("ct {dir}{name}"), show)
}

/// A lookup in the routing tables (`enum nft_fib_flags`, `enum nft_fib_result`).
pub(super) fn fib(result: u32, flags: u32) -> (String, Show) {
    const FLAGS: [&str; 5] = ["saddr", "daddr", "mark", "iif", "oif"];
    let set = FLAGS.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0);
    let of = set.map(|(_, name)| *name).collect::<Vec<_>>().join(" . ");
    let (what, show) = match result {
        1 => ("oif", Show::HostNumber),
        2 => ("oifname", Show::Name),
        _ => ("type", Show::AddressType),
    };
    (format!("fib {of} {what}"), show)
}

/// A part of an Ethernet header.
pub(super) fn link(offset: u32, len: u32) -> Option<(String, Show)> {
    let (field, show) = match (offset, len) {
        (0, 6) => ("daddr", Show::Mac),
        (6, 6) => ("saddr", Show::Mac),
        (12, 2) => ("type", Show::EtherType),
        _ => return None,
    };
    Some((format!("ether {field}"), show))
}

/// A part of an IP header, or of a message of ARP.
pub(super) fn network(nfproto: Option<u8>, offset: u32, len: u32) -> Option<(String, Show)> {
    let address = |name: &str, whole: u32| match len {
        _ if len == whole => Some((name.to_owned(), Show::Address)),
        _ if len < whole => {
            Some((name.to_owned(), Show::Prefix(usize::try_from(whole).unwrap_or(16))))
        }
        _ => None,
    };
    match (nfproto?, offset) {
        (2, 12) => address("ip saddr", 4),
        (2, 16) => address("ip daddr", 4),
        (2, 2) if len == 2 => Some(("ip length".to_owned(), Show::Number)),
        (2, 8) if len == 1 => Some(("ip ttl".to_owned(), Show::Number)),
        (2, 9) if len == 1 => Some(("ip protocol".to_owned(), Show::Protocol)),
        (10, 4) if len == 2 => Some(("ip6 length".to_owned(), Show::Number)),
        (10, 7) if len == 1 => Some(("ip6 hoplimit".to_owned(), Show::Number)),
        (10, 8) => address("ip6 saddr", 16),
        (10, 24) => address("ip6 daddr", 16),
        (10, 6) if len == 1 => Some(("ip6 nexthdr".to_owned(), Show::Protocol)),
        (3, 2) if len == 2 => Some(("arp ptype".to_owned(), Show::EtherType)),
        (3, 6) if len == 2 => Some(("arp operation".to_owned(), Show::Operation)),
        (3, 8) if len == 6 => Some(("arp saddr ether".to_owned(), Show::Mac)),
        (3, 14) => address("arp saddr ip", 4),
        (3, 18) if len == 6 => Some(("arp daddr ether".to_owned(), Show::Mac)),
        (3, 24) => address("arp daddr ip", 4),
        _ => None,
    }
}

/// A part of the header behind the IP header.
pub(super) fn transport(l4proto: Option<u8>, offset: u32, len: u32) -> Option<(String, Show)> {
    let protocol = match l4proto {
        Some(1) => "icmp",
        Some(58) => "icmpv6",
        Some(6) => "tcp",
        Some(17) => "udp",
        Some(132) => "sctp",
        _ => "th",
    };
    let (field, show) = match (protocol, offset, len) {
        ("icmp" | "icmpv6", 0, 1) => ("type", Show::Number),
        ("icmp" | "icmpv6", 1, 1) => ("code", Show::Number),
        ("icmp" | "icmpv6", ..) => return None,
        (_, 0, 2) => ("sport", Show::Port),
        (_, 2, 2) => ("dport", Show::Port),
        ("udp", 4, 2) => ("length", Show::Number),
        _ => return None,
    };
    Some((format!("{protocol} {field}"), show))
}

/// Bytes without a name (`nft(8)`, "RAW PAYLOAD EXPRESSION").
pub(super) fn raw(base: PayloadBase, offset: u32, len: u32) -> (String, Show) {
    let base = match base {
        PayloadBase::Link => "ll",
        PayloadBase::Network => "nh",
        PayloadBase::Transport => "th",
        PayloadBase::Other(_) => "ih",
    };
    (format!("@{base},{},{}", u64::from(offset) * 8, u64::from(len) * 8), Show::Hex)
}

/// Writes a value.
pub(super) fn shown(show: Show, data: &Data) -> String {
    let known = match (show, &**data) {
        (Show::Address, _) => address(data).map(|addr| addr.to_string()),
        (Show::Prefix(whole), bytes) => {
            let mut all = bytes.to_vec();
            all.resize(whole, 0);
            address(&all).map(|addr| format!("{addr}/{}", bytes.len() * 8))
        }
        (Show::Port | Show::Number, bytes) if bytes.len() <= 8 => Some(number(bytes).to_string()),
        (Show::Name, bytes) => {
            let end = bytes.iter().position(|byte| *byte == 0);
            let star = if end.is_none() && bytes.len() < 16 { "*" } else { "" };
            let name = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok();
            name.map(|name| format!("\"{name}{star}\""))
        }
        (Show::Protocol, [protocol]) => Some(protocol_name(*protocol)),
        (Show::Family, [2]) => Some("ipv4".to_owned()),
        (Show::Family, [10]) => Some("ipv6".to_owned()),
        (Show::EtherType, bytes) => ether_type(bytes).map(str::to_owned),
        (Show::Operation, [0, 1]) => Some("request".to_owned()),
        (Show::Operation, [0, 2]) => Some("reply".to_owned()),
        (Show::PacketType, [kind]) => packet_type(*kind).map(str::to_owned),
        (Show::Mac, bytes) => <[u8; 6]>::try_from(bytes).ok().map(|mac| Mac(mac).to_string()),
        (Show::State, bytes) => host_number(bytes).map(states),
        (Show::HostNumber, bytes) => host_number(bytes).map(|number| number.to_string()),
        (Show::AddressType, bytes) => host_number(bytes).map(address_type),
        _ => None,
    };
    known.unwrap_or_else(|| format!("0x{data}"))
}

/// How a value is written of which only the length in bytes is known.
pub(super) fn of_len(len: usize) -> Show {
    match len {
        4 | 16 => Show::Address,
        2 => Show::Port,
        _ => Show::Hex,
    }
}

/// Tells whether a range is of all values.
pub(super) fn is_whole((from, to): &(Data, Data)) -> bool {
    from.iter().all(|byte| *byte == 0) && to.iter().all(|byte| *byte == 0xff)
}

/// Writes a range; one that is a prefix as such.
pub(super) fn range(show: Show, from: &Data, to: &Data) -> String {
    if from == to {
        return shown(show, from);
    }
    if show == Show::Address
        && let Some(len) = prefix_len(from, to)
    {
        return format!("{}/{len}", shown(show, from));
    }
    format!("{}-{}", shown(show, from), shown(show, to))
}

/// Writes the right side of a masked comparison, where it has a form of its own, and whether it is
/// to be `!=`.
pub(super) fn masked(show: Show, mask: &Data, op: CmpOp, right: &Data) -> Option<(String, bool)> {
    let is_zero = right.iter().all(|byte| *byte == 0);
    match (show, op) {
        (Show::State, CmpOp::Neq) if is_zero => Some((states(host_number(mask)?), false)),
        (Show::State, CmpOp::Eq) if is_zero => Some((states(host_number(mask)?), true)),
        (Show::Status, CmpOp::Neq) if is_zero && host_number(mask)? == CT_STATUS_DNAT => {
            Some(("dnat".to_owned(), false))
        }
        (Show::Address, CmpOp::Eq | CmpOp::Neq) => {
            let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
            let leading = mask.iter().take_while(|byte| **byte == 0xff).count();
            let next = mask.get(leading).map_or(0, |byte| byte.leading_ones());
            let is_prefix = u32::try_from(leading).ok()? * 8 + next == ones;
            is_prefix.then(|| (format!("{}/{ones}", shown(show, right)), op == CmpOp::Neq))
        }
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn host_number(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [byte] => Some(u32::from(*byte)),
        bytes => bytes.try_into().ok().map(u32::from_ne_bytes),
    }
}

/// The length of the prefix that a range of addresses is, if it is one.
fn prefix_len(from: &[u8], to: &[u8]) -> Option<u32> {
    let differ: Vec<u8> = from.iter().zip(to).map(|(from, to)| from ^ to).collect();
    let same: u32 = differ.iter().take_while(|byte| **byte == 0).count().try_into().ok()?;
    let partial = usize::try_from(same).ok().and_then(|at| differ.get(at));
    let len = same * 8 + partial.map_or(0, |byte| byte.leading_zeros());
    let host = |at: usize| {
        let bits = u32::try_from(at).unwrap_or(0) * 8;
        (0xffu32 >> len.saturating_sub(bits).min(8)) as u8
    };
    let is_whole = from.iter().enumerate().all(|(at, byte)| byte & host(at) == 0)
        && to.iter().enumerate().all(|(at, byte)| byte & host(at) == host(at));
    is_whole.then_some(len)
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// `ETH_P_*` (linux/if_ether.h).
fn ether_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x81, 0x00] => Some("8021q"),
        [0x88, 0xa8] => Some("8021ad"),
        bytes => {
            let family = ETHER_TYPES.iter().find(|(known, _)| known == bytes);
            family.map(|(_, family)| family.name())
        }
    }
}

fn packet_type(kind: u8) -> Option<&'static str> {
    ["host", "broadcast", "multicast", "other"].get(usize::from(kind)).copied()
}

fn address_type(number: u32) -> String {
    match number {
        1 => "unicast".to_owned(),
        2 => "local".to_owned(),
        3 => "broadcast".to_owned(),
        4 => "anycast".to_owned(),
        5 => "multicast".to_owned(),
        other => other.to_string(),
    }
}
