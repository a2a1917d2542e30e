//! Lightweight tunnels of routes and nexthop objects as netlink has them, written and read.

use std::net::Ipv6Addr;

use vnet_model::{Encap, Seg6Mode};
use vnet_netlink::attr::{Attributes, Writer};

/// The types (`enum lwtunnel_encap_types`, linux/lwtunnel.h).
const LWTUNNEL_ENCAP_MPLS: u16 = 1;
const LWTUNNEL_ENCAP_SEG6: u16 = 5;

/// MPLS (linux/mpls_iptunnel.h).
const MPLS_IPTUNNEL_DST: u16 = 1;
const MPLS_IPTUNNEL_TTL: u16 = 2;

/// SRv6 (linux/seg6_iptunnel.h).
const SEG6_IPTUNNEL_SRH: u16 = 1;
const SEG6_IPTUN_MODE_INLINE: i32 = 0;
const SEG6_IPTUN_MODE_ENCAP: i32 = 1;

/// The routing type of a segment routing header (`IPV6_SRCRT_TYPE_4`, RFC 8754, section 2).
const SRH_TYPE: u8 = 4;
/// The fixed part of that header in bytes (`struct ipv6_sr_hdr`).
const SRH_BYTES: usize = 8;

/// Returns the type and the attributes of a tunnel.
pub(crate) fn write(encap: &Encap) -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    let kind = match encap {
        Encap::Mpls { labels, ttl } => {
            let last = labels.len().saturating_sub(1);
            // RFC 3032, section 2.1: 20 bits of label, then class, bottom of stack, TTL.
            let entry = |(at, label): (usize, &u32)| {
                (label << 12 | u32::from(at == last) << 8).to_be_bytes()
            };
            let stack: Vec<u8> = labels.iter().enumerate().flat_map(entry).collect();
            writer.bytes(MPLS_IPTUNNEL_DST, &stack);
            if let Some(ttl) = ttl {
                writer.u8(MPLS_IPTUNNEL_TTL, *ttl);
            }
            LWTUNNEL_ENCAP_MPLS
        }
        Encap::Seg6 { mode, segments } => {
            writer.bytes(SEG6_IPTUNNEL_SRH, &seg6(*mode, segments));
            LWTUNNEL_ENCAP_SEG6
        }
        // What a later version of the model knows is refused there.
        _ => 0,
    };
    (kind, bytes)
}

/// `struct seg6_iptunnel_encap`, as iproute2 lays it out (`parse_encap_seg6`, ip/iproute_lwtunnel.c):
/// inline, the packet's own destination comes last, and the kernel fills it in.
fn seg6(mode: Seg6Mode, segments: &[Ipv6Addr]) -> Vec<u8> {
    let own_last = mode == Seg6Mode::Inline;
    let number = match mode {
        Seg6Mode::Inline => SEG6_IPTUN_MODE_INLINE,
        Seg6Mode::Encap => SEG6_IPTUN_MODE_ENCAP,
    };
    let count = segments.len() + usize::from(own_last);
    let last = u8::try_from(count - 1).unwrap_or(u8::MAX);
    // The length in units of 8 bytes, without the first.
    let length = u8::try_from(count * 2).unwrap_or(u8::MAX);
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend([0, length, SRH_TYPE, last, last, 0, 0, 0]);
    let own = own_last.then_some(Ipv6Addr::UNSPECIFIED);
    // The last segment comes first (RFC 8754, section 2).
    for segment in own.iter().chain(segments.iter().rev()) {
        bytes.extend(segment.octets());
    }
    bytes
}

/// Reads a tunnel of the given type; `None` for what the model does not know.
pub(crate) fn read(kind: u16, bytes: &[u8]) -> Option<Encap> {
    let attributes = Attributes::new(bytes);
    match kind {
        LWTUNNEL_ENCAP_MPLS => {
            let stack = attributes.find(MPLS_IPTUNNEL_DST).ok()??.value;
            let entries = stack.chunks_exact(4);
            let labels = entries.map(|e| u32::from_be_bytes([e[0], e[1], e[2], e[3]]) >> 12);
            let ttl = attributes.find(MPLS_IPTUNNEL_TTL).ok()?;
            // The kernel tells a TTL of 0 where none was said (`mpls_fill_encap_info`).
            let ttl = ttl.and_then(|ttl| ttl.u8().ok()).filter(|ttl| *ttl != 0);
            Some(Encap::Mpls { labels: labels.collect(), ttl })
        }
        LWTUNNEL_ENCAP_SEG6 => {
            let value = attributes.find(SEG6_IPTUNNEL_SRH).ok()??.value;
            let (number, header) = value.split_first_chunk::<4>()?;
            let mode = match i32::from_ne_bytes(*number) {
                SEG6_IPTUN_MODE_INLINE => Seg6Mode::Inline,
                SEG6_IPTUN_MODE_ENCAP => Seg6Mode::Encap,
                _ => return None,
            };
            let count = usize::from(*header.get(4)?) + 1;
            let list = header.get(SRH_BYTES..SRH_BYTES + 16 * count)?;
            let addr = |b: &[u8]| <[u8; 16]>::try_from(b).ok().map(Ipv6Addr::from);
            let mut segments: Vec<Ipv6Addr> = list.chunks_exact(16).filter_map(addr).collect();
            if mode == Seg6Mode::Inline {
                segments.remove(0);
            }
            segments.reverse();
            Some(Encap::Seg6 { mode, segments })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let segments: Vec<Ipv6Addr> =
            ["2001:db8::1", "2001:db8::2"].iter().map(|text| text.parse().unwrap()).collect();
        let all = [
            Encap::Mpls { labels: vec![16], ttl: None },
            Encap::Mpls { labels: vec![16, 0xfffff], ttl: Some(9) },
            Encap::Seg6 { mode: Seg6Mode::Encap, segments: segments.clone() },
            Encap::Seg6 { mode: Seg6Mode::Inline, segments: segments[..1].to_vec() },
        ];
        for encap in all {
            let (kind, bytes) = write(&encap);
            assert_eq!(read(kind, &bytes), Some(encap));
        }
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_nothing() {
        assert_eq!(read(2, &[]), None);
        assert_eq!(read(LWTUNNEL_ENCAP_SEG6, &[12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(read(LWTUNNEL_ENCAP_MPLS, &[1]), None);
    }
}
