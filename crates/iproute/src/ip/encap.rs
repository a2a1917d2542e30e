//! What a route puts around packets: `encap` (`ip-route(8)`; `struct lwtunnel_…`, linux/lwtunnel.h).

mod read;
mod show;

pub(crate) use read::read;
pub(crate) use show::print;

use super::failure::Failure;
use super::wire::Attrs;

/// The kinds by iproute2's words, in the order of their numbers (`LWTUNNEL_ENCAP_…`).
const KINDS: [&str; 11] =
    ["none", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];

const MPLS: u16 = 1;
const IP: u16 = 2;
const IP6: u16 = 4;
const SEG6: u16 = 5;
const SEG6_LOCAL: u16 = 7;

const MPLS_DST: u16 = 1;
const MPLS_TTL: u16 = 2;

/// `LWTUNNEL_IP_…`, and of IPv6 those of the same numbers.
const IP_ID: u16 = 1;
const IP_DST: u16 = 2;
const IP_SRC: u16 = 3;
const IP_TTL: u16 = 4;
const IP_TOS: u16 = 5;
const IP_FLAGS: u16 = 6;
const IP_OPTIONS: u16 = 8;
/// Flags with the words for them, in the order in which they are shown (include/net/ip_tunnels.h).
const FLAGS: [(&str, u16); 3] = [("key", 4), ("csum", 1), ("seq", 8)];

const SEG6_SRH: u16 = 1;
/// The ways that segments are put around a packet, by number (linux/seg6_iptunnel.h).
const SEG6_MODES: [&str; 5] = ["inline", "encap", "l2encap", "encap.red", "l2encap.red"];
/// `struct ipv6_sr_hdr` without its segments (linux/seg6.h).
const SRH_BYTES: usize = 8;
const SEGMENT_BYTES: usize = 16;

/// Returns why a tunnel can't be shown, which has the attributes of these numbers.
pub(crate) fn uncovered(attrs: &Attrs<'_>, [tunnel, kind]: [u16; 2]) -> Option<Failure> {
    const SEG6_LOCAL_BPF: u16 = 8;
    let found = attrs.nested(tunnel)?;
    let kind = attrs.u16(kind).unwrap_or_default();
    let has_all = match kind {
        MPLS | SEG6 => true,
        IP | IP6 => found.get(IP_OPTIONS).is_none(),
        SEG6_LOCAL => found.get(SEG6_LOCAL_BPF).is_none(),
        _ => false,
    };
    let name = KINDS.get(usize::from(kind)).copied().unwrap_or("of an unknown kind");
    (!has_all).then(|| Failure::not_covered(&format!("what `encap {name}` says")))
}
