//! What is printed of `encap`.

use std::net::Ipv6Addr;

use super::super::Context;
use super::super::out::{Out, Shade};
use super::super::wire::Attrs;
use super::{
    FLAGS, IP, IP_DST, IP_FLAGS, IP_ID, IP_SRC, IP_TOS, IP_TTL, IP6, KINDS, MPLS, MPLS_DST,
    MPLS_TTL, SEG6, SEG6_LOCAL, SEG6_MODES, SEG6_SRH, SEGMENT_BYTES, SRH_BYTES,
};

/// Prints the tunnel that the attributes of these numbers are: the tunnel, and its kind.
pub(crate) fn print(
    out: &mut Out,
    attrs: &Attrs<'_>,
    [tunnel, kind]: [u16; 2],
    context: &mut Context<'_>,
) {
    let Some(found) = attrs.nested(tunnel) else { return };
    let kind = attrs.u16(kind).unwrap_or_default();
    let name = KINDS.get(usize::from(kind)).copied().unwrap_or("unknown");
    out.str("encap", " encap {} ", name);
    match kind {
        MPLS => mpls(out, &found),
        IP => ip(out, &found, Shade::Inet, ["ttl", "tos"]),
        IP6 => ip(out, &found, Shade::Inet6, ["hoplimit", "tc"]),
        SEG6 => seg6(out, &found),
        SEG6_LOCAL => seg6_local(out, &found, context),
        _ => {}
    }
}

fn mpls(out: &mut Out, found: &Attrs<'_>) {
    if let Some(stack) = found.get(MPLS_DST) {
        let label = |entry: &[u8]| {
            let entry = entry.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            (entry >> 12).to_string()
        };
        let labels: Vec<String> = stack.chunks(4).map(label).collect();
        out.str("dst", " {} ", &labels.join("/"));
    }
    if let Some(ttl) = found.u8(MPLS_TTL) {
        out.num("ttl", "ttl {} ", ttl);
    }
}

fn ip(out: &mut Out, found: &Attrs<'_>, shade: Shade, [ttl, tos]: [&str; 2]) {
    if let Some(id) = found.get(IP_ID).and_then(|id| id.first_chunk()) {
        out.num("id", "id {} ", u64::from_be_bytes(*id));
    }
    for (attr, key) in [(IP_SRC, "src"), (IP_DST, "dst")] {
        if let Some(address) = found.address(attr) {
            out.shaded(shade, key, &format!("{key} {{}} "), &address.to_string());
        }
    }
    for (attr, key) in [(IP_TTL, ttl), (IP_TOS, tos)] {
        if let Some(number) = found.u8(attr) {
            out.num(key, &format!("{key} {{}} "), number);
        }
    }
    let flags = found.u16_be(IP_FLAGS).unwrap_or_default();
    for (name, bit) in FLAGS {
        if flags & bit != 0 {
            out.flag(name, &format!("{name} "));
        }
    }
}

fn seg6(out: &mut Out, found: &Attrs<'_>) {
    let Some((mode, header)) = found.get(SEG6_SRH).and_then(<[u8]>::split_first_chunk) else {
        return;
    };
    let mode = usize::try_from(u32::from_ne_bytes(*mode)).ok();
    let name = mode.and_then(|mode| SEG6_MODES.get(mode)).copied().unwrap_or("<unknown>");
    out.str("mode", "mode {} ", name);
    segments(out, header);
}

/// Prints a segment routing header: the segments in the order in which they are passed, and the key
/// that signs them.
fn segments(out: &mut Out, header: &[u8]) {
    const FLAG_HMAC: u8 = 8;
    let Some((&[_, _, _, _, first, flags, ..], rest)) = header.split_first_chunk::<SRH_BYTES>()
    else {
        return;
    };
    let count = usize::from(first) + 1;
    let (segments, behind) = rest.split_at_checked(count * SEGMENT_BYTES).unwrap_or_default();
    out.open_array("segs", &format!("segs {count} [ "));
    for segment in segments.chunks_exact(SEGMENT_BYTES).rev() {
        if let Some(bytes) = segment.first_chunk::<SEGMENT_BYTES>() {
            out.shaded(Shade::Inet6, "", "{} ", &Ipv6Addr::from(*bytes).to_string());
        }
    }
    out.close_array("] ");
    // A type, a length and two bytes that are reserved before the number of the key.
    if flags & FLAG_HMAC != 0
        && let Some(key) = behind.get(4..).and_then(|rest| rest.first_chunk())
    {
        let key = u32::from_be_bytes(*key);
        match out.is_json() {
            true => out.str("hmac", "", &format!("{key:#x}")),
            false => out.text(&format!("hmac {key:X} ")),
        }
    }
}

/// What a segment does with a packet that has come to it (`SEG6_LOCAL_…`, linux/seg6_local.h).
fn seg6_local(out: &mut Out, found: &Attrs<'_>, context: &mut Context<'_>) {
    const ACTIONS: [&str; 17] = [
        "<unknown>",
        "End",
        "End.X",
        "End.T",
        "End.DX2",
        "End.DX6",
        "End.DX4",
        "End.DT6",
        "End.DT4",
        "End.B6",
        "End.B6.Encaps",
        "End.BM",
        "End.S",
        "End.AS",
        "End.AM",
        "End.BPF",
        "End.DT46",
    ];
    let action = found.u32(1).and_then(|action| usize::try_from(action).ok()).unwrap_or_default();
    out.str("action", "action {} ", ACTIONS.get(action).copied().unwrap_or("<unknown>"));
    if let Some(header) = found.get(2) {
        out.open(Some("srh"));
        segments(out, header);
        out.close();
    }
    for (attr, key) in [(3, "table"), (9, "vrftable")] {
        if let Some(table) = found.u32(attr) {
            let tables = context.world.tables();
            out.str(key, &format!("{key} {{}} "), &tables.show(&tables.tables, table));
        }
    }
    for (attr, key, shade) in [(4, "nh4", Shade::Inet), (5, "nh6", Shade::Inet6)] {
        if let Some(address) = found.address(attr) {
            out.shaded(shade, key, &format!("{key} {{}} "), &address.to_string());
        }
    }
    for (attr, key) in [(6, "iif"), (7, "oif")] {
        if let Some(index) = found.u32(attr) {
            out.str(key, &format!("{key} {{}} "), &context.world.name(index));
        }
    }
    if let Some(flavors) = found.nested(11) {
        print_flavors(out, &flavors);
    }
}

fn print_flavors(out: &mut Out, flavors: &Attrs<'_>) {
    const OPERATION: u16 = 1;
    const NAMES: [&str; 4] = ["psp", "usp", "usd", "next-csid"];
    let set = flavors.u32(OPERATION).unwrap_or_default();
    let names: Vec<&str> =
        (1_u32..).zip(NAMES).filter(|(bit, _)| set & 1 << bit != 0).map(|(_, name)| name).collect();
    if out.is_json() {
        out.open_array("flavors", "");
        names.iter().for_each(|name| out.str("", "", name));
        out.close_array("");
    } else if !names.is_empty() {
        out.text(&format!("flavors {} ", names.join(",")));
    }
}
