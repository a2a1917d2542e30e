//! ICMP and ICMPv6 as far as an echo needs them: requests out, replies and errors in.
//!
//! Nothing here trusts a length: whatever the bytes, a packet is read or it is `None`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a probe did not arrive, as the ICMP error says it (RFC 792; RFC 1812, section 5.2.7.1; RFC
/// 4443, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is no route to the network: ICMP type 3, codes 0, 6 and 11; ICMPv6 type 1, codes 0
    /// and 6. Linux routers answer so for IPv6 routes of the type `unreachable` too.
    NetworkUnreachable,
    /// The host can't be reached, mostly because nobody answers for its address on the last link:
    /// ICMP type 3, codes 1, 7, 8 and 12; ICMPv6 type 1, code 3.
    HostUnreachable,
    /// Nobody there speaks ICMP: ICMP type 3, code 2; ICMPv6 type 4, code 1.
    ProtocolUnreachable,
    /// The port is closed, which for an echo means that a firewall says so: ICMP type 3, code 3;
    /// ICMPv6 type 1, code 4.
    PortUnreachable,
    /// A firewall or a route of the type `prohibit` forbids it: ICMP type 3, codes 9, 10 and 13;
    /// ICMPv6 type 1, codes 1 and 5.
    Prohibited,
    /// The packet does not fit a link on the way: ICMP type 3, code 4 (RFC 1191, section 4); ICMPv6
    /// type 2.
    PacketTooBig {
        /// What would fit, in bytes; 0 where the router does not say.
        mtu_bytes: u32,
    },
    /// It went through too many routers, in a loop mostly: ICMP type 11, code 0; ICMPv6 type 3,
    /// code 0.
    TtlExceeded,
    /// Any other error.
    Other {
        /// The ICMP type.
        kind: u8,
        /// The ICMP code.
        code: u8,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ProtocolUnreachable => "protocol unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::Prohibited => "administratively prohibited",
            Self::PacketTooBig { mtu_bytes: 0 } => "packet too big",
            Self::PacketTooBig { mtu_bytes } => {
                return write!(f, "packet too big, the MTU there is {mtu_bytes} bytes");
            }
            Self::TtlExceeded => "TTL exceeded",
            Self::Other { kind, code } => return write!(f, "ICMP type {kind} code {code}"),
        })
    }
}

/// What comes back to a prober.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// The answer.
    Reply(Echo<'a>),
    /// An error about a request of somebody's.
    Error {
        reason: Reason,
        /// Where the request was going.
        dst: IpAddr,
        /// As much of the request as the error repeats.
        request: Echo<'a>,
    },
}

/// The fields of an echo request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    pub(super) id: u16,
    pub(super) seq: u16,
    pub(super) payload: &'a [u8],
}

const HEADER_BYTES: usize = 8;
const IPV6_HEADER_BYTES: usize = 40;
const PROTO_ICMP: u8 = 1;
const PROTO_ICMPV6: u8 = 58;
const PROTO_FRAGMENT: u8 = 44;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
const V6_UNREACHABLE: u8 = 1;
const V6_PACKET_TOO_BIG: u8 = 2;
const V6_TIME_EXCEEDED: u8 = 3;
const V6_PARAMETER_PROBLEM: u8 = 4;
const V6_ECHO_REQUEST: u8 = 128;
const V6_ECHO_REPLY: u8 = 129;

/// The ICMP types that [`parse_ipv4`] reads.
pub(super) const TYPES: [u8; 4] = [ECHO_REPLY, UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM];

/// The ICMPv6 types that [`parse_icmpv6`] reads.
pub(super) const V6_TYPES: [u8; 5] =
    [V6_UNREACHABLE, V6_PACKET_TOO_BIG, V6_TIME_EXCEEDED, V6_PARAMETER_PROBLEM, V6_ECHO_REPLY];

/// Writes an ICMP echo request (RFC 792, page 14) into `out`, replacing what is there.
pub(super) fn emit_request(echo: Echo<'_>, out: &mut Vec<u8>) {
    emit(ECHO_REQUEST, echo, out);
    let sum = checksum(out);
    out[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Writes an ICMPv6 echo request (RFC 4443, section 4.1) into `out`, replacing what is there. Its
/// checksum is left to the kernel, who alone knows the source (RFC 3542, section 3.1).
pub(super) fn emit_request_v6(echo: Echo<'_>, out: &mut Vec<u8>) {
    emit(V6_ECHO_REQUEST, echo, out);
}

/// Reads an IPv4 packet with its header, as a raw socket gives it; and who sent it.
///
/// The ICMP checksum is verified, because raw sockets are served before the kernel does it
/// (`ip_protocol_deliver_rcu`, net/ipv4/ip_input.c).
pub(super) fn parse_ipv4(packet: &[u8]) -> Option<(Ipv4Addr, Message<'_>)> {
    let (header, icmp) = split_ipv4(packet)?;
    if header.protocol != PROTO_ICMP || checksum(icmp) != 0 {
        return None;
    }
    let [kind, code, _, _, rest @ ..] = icmp else { return None };
    if *kind == ECHO_REPLY {
        return Some((header.src, Message::Reply(echo(icmp)?)));
    }
    let mtu = u32::from(u16_at(rest, 2)?);
    let reason = reason(*kind, *code, mtu)?;
    // The IP header and at least 8 bytes of the request. Where extensions follow (RFC 4884, section
    // 3) they stand behind the 128th byte, beyond all that is looked at.
    let (original, request) = split_ipv4(icmp.get(HEADER_BYTES..)?)?;
    if original.protocol != PROTO_ICMP || request.first() != Some(&ECHO_REQUEST) {
        return None;
    }
    let request = echo(request)?;
    Some((header.src, Message::Error { reason, dst: original.dst.into(), request }))
}

/// Reads an ICMPv6 message without the IPv6 header, as a raw socket gives it: the kernel has
/// verified the checksum.
pub(super) fn parse_icmpv6(icmp: &[u8]) -> Option<Message<'_>> {
    let [kind, code, _, _, rest @ ..] = icmp else { return None };
    if *kind == V6_ECHO_REPLY {
        return Some(Message::Reply(echo(icmp)?));
    }
    let mtu = u32::from_be_bytes(*rest.first_chunk()?);
    let reason = reason_v6(*kind, *code, mtu)?;
    let original = icmp.get(HEADER_BYTES..)?;
    let dst: [u8; 16] = original.get(24..IPV6_HEADER_BYTES)?.try_into().ok()?;
    let mut next = original[6];
    let mut request = &original[IPV6_HEADER_BYTES..];
    if next == PROTO_FRAGMENT {
        // Only the first fragment begins with the request (RFC 8200, section 4.5).
        let is_first = u16_at(request, 2)? & 0xfff8 == 0;
        next = *request.first().filter(|_| is_first)?;
        request = request.get(8..)?;
    }
    if next != PROTO_ICMPV6 || request.first() != Some(&V6_ECHO_REQUEST) {
        return None;
    }
    Some(Message::Error { reason, dst: Ipv6Addr::from(dst).into(), request: echo(request)? })
}

/// Computes the Internet checksum (RFC 1071): 0 over bytes that contain their right checksum.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words = words.iter().map(|word| u64::from(u16::from_be_bytes(*word)));
    let last = rest.first().map_or(0, |byte| u64::from(*byte) << 8);
    let mut sum = words.sum::<u64>() + last;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn emit(kind: u8, echo: Echo<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&echo.id.to_be_bytes());
    out.extend_from_slice(&echo.seq.to_be_bytes());
    out.extend_from_slice(echo.payload);
}

fn echo(icmp: &[u8]) -> Option<Echo<'_>> {
    Some(Echo { id: u16_at(icmp, 4)?, seq: u16_at(icmp, 6)?, payload: &icmp[HEADER_BYTES..] })
}

struct Ipv4Header {
    protocol: u8,
    src: Ipv4Addr,
    dst: Ipv4Addr,
}

/// Parts an IPv4 packet (RFC 791, section 3.1) into its header and what follows.
fn split_ipv4(packet: &[u8]) -> Option<(Ipv4Header, &[u8])> {
    let fixed: &[u8; 20] = packet.first_chunk()?;
    let header_bytes = usize::from(fixed[0] & 0xf) * 4;
    // Of a fragment only the first has the beginning.
    let fragment_offset = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
    if fixed[0] >> 4 != 4 || header_bytes < fixed.len() || fragment_offset != 0 {
        return None;
    }
    let address = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
    let header = Ipv4Header { protocol: fixed[9], src: address(12), dst: address(16) };
    Some((header, packet.get(header_bytes..)?))
}

fn reason(kind: u8, code: u8, mtu_bytes: u32) -> Option<Reason> {
    Some(match (kind, code) {
        (UNREACHABLE, 0 | 6 | 11) => Reason::NetworkUnreachable,
        (UNREACHABLE, 1 | 7 | 8 | 12) => Reason::HostUnreachable,
        (UNREACHABLE, 2) => Reason::ProtocolUnreachable,
        (UNREACHABLE, 3) => Reason::PortUnreachable,
        (UNREACHABLE, 4) => Reason::PacketTooBig { mtu_bytes },
        (UNREACHABLE, 9 | 10 | 13) => Reason::Prohibited,
        (TIME_EXCEEDED, 0) => Reason::TtlExceeded,
        _ if TYPES.contains(&kind) => Reason::Other { kind, code },
        _ => return None,
    })
}

fn reason_v6(kind: u8, code: u8, mtu_bytes: u32) -> Option<Reason> {
    Some(match (kind, code) {
        (V6_UNREACHABLE, 0 | 6) => Reason::NetworkUnreachable,
        (V6_UNREACHABLE, 1 | 5) => Reason::Prohibited,
        (V6_UNREACHABLE, 3) => Reason::HostUnreachable,
        (V6_UNREACHABLE, 4) => Reason::PortUnreachable,
        (V6_PACKET_TOO_BIG, _) => Reason::PacketTooBig { mtu_bytes },
        (V6_TIME_EXCEEDED, 0) => Reason::TtlExceeded,
        (V6_PARAMETER_PROBLEM, 1) => Reason::ProtocolUnreachable,
        _ if V6_TYPES.contains(&kind) => Reason::Other { kind, code },
        _ => return None,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
