//! What `ip nexthop` prints.

use super::super::Context;
use super::super::encap;
use super::super::failure::Failure;
use super::super::out::{Out, Shade};
use super::super::route::{print_flags, shade};
use super::super::wire::{Attrs, Object, rtm};
use super::{
    HEADER_BYTES, NHA_BLACKHOLE, NHA_FDB, NHA_GATEWAY, NHA_GROUP, NHA_GROUP_TYPE, NHA_ID, NHA_OIF,
    NHA_RES_BUCKET, NHA_RES_BUCKET_INDEX, NHA_RES_BUCKET_NH_ID, NHA_RES_GROUP, TUNNEL,
};

const NHA_RES_BUCKET_IDLE_TIME: u16 = 2;

/// The length of `struct nexthop_grp`.
const MEMBER_BYTES: usize = 8;

/// Prints a next hop, with its line end.
pub fn show(out: &mut Out, nexthop: &Object, context: &mut Context<'_>) {
    entry(out, None, nexthop, context);
    out.text("\n");
}

/// Prints a next hop without a line end, under a name where it is part of something.
pub fn entry(out: &mut Out, name: Option<&str>, nexthop: &Object, context: &mut Context<'_>) {
    let attrs = nexthop.attrs(HEADER_BYTES);
    let details = context.options.details;
    let (family, scope, protocol) = (nexthop.u8_at(0), nexthop.u8_at(1), nexthop.u8_at(2));
    out.open(name);
    out.deleted(nexthop.kind == rtm::DELNEXTHOP);
    out.num("id", "id {} ", attrs.u32(NHA_ID).unwrap_or_default());
    if let Some(members) = attrs.get(NHA_GROUP) {
        print_group(out, members);
    }
    match attrs.u16(NHA_GROUP_TYPE) {
        None | Some(0) => {}
        Some(1) => out.str("type", "type {} ", "resilient"),
        Some(_) => out.str("type", "type {} ", "<unknown type>"),
    }
    if let Some(group) = attrs.nested(NHA_RES_GROUP) {
        print_resilient(out, &group);
    }
    encap::print(out, &attrs, TUNNEL, context);
    if let Some(gateway) = attrs.address(NHA_GATEWAY) {
        out.text("via ");
        out.shaded(shade(family), "gateway", "{} ", &context.shown(gateway));
    }
    if let Some(index) = attrs.u32(NHA_OIF) {
        out.text("dev ");
        out.shaded(Shade::Name, "dev", "{} ", &context.world.name(index));
    }
    let tables = context.world.tables();
    if scope != 0 || details {
        out.str("scope", "scope {} ", &tables.show(&tables.scopes, scope.into()));
    }
    if attrs.get(NHA_BLACKHOLE).is_some() {
        out.num_as("blackhole", "{} ", "null", "blackhole");
    }
    if protocol != 0 || details {
        out.str("protocol", "proto {} ", &tables.show(&tables.protocols, protocol.into()));
    }
    print_flags(out, nexthop.u32_at(4));
    if attrs.get(NHA_FDB).is_some() {
        out.num_as("fdb", "{}", "null", "fdb");
    }
    out.close();
}

/// Returns why a next hop can't be shown whole.
#[must_use]
pub fn uncovered(nexthop: &Object) -> Option<Failure> {
    encap::uncovered(&nexthop.attrs(HEADER_BYTES), TUNNEL)
}

fn print_group(out: &mut Out, members: &[u8]) {
    out.open_array("group", "group ");
    for (at, member) in members.chunks_exact(MEMBER_BYTES).enumerate() {
        out.open(None);
        if at > 0 {
            out.text("/");
        }
        let id = member.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        out.num("id", "{}", id);
        // Zero stands for one, which is not said.
        if let Some(weight) = member.get(4).filter(|weight| **weight != 0) {
            out.num("weight", ",{}", u16::from(*weight) + 1);
        }
        out.close();
    }
    out.close_array(" ");
}

fn print_resilient(out: &mut Out, group: &Attrs<'_>) {
    out.open(Some("resilient_args"));
    out.num("buckets", "buckets {} ", group.u16(1).unwrap_or_default());
    let time = |attr: u16| seconds(group.u32(attr).unwrap_or_default().into());
    out.num("idle_timer", "idle_timer {} ", time(2));
    out.num("unbalanced_timer", "unbalanced_timer {} ", time(3));
    out.num("unbalanced_time", "unbalanced_time {} ", seconds(group.u64(4).unwrap_or_default()));
    out.close();
}

/// Shows a time in ticks of 1/100 s in seconds, with six digits at most (`%g`).
pub(crate) fn seconds(ticks: u64) -> String {
    let (whole, rest) = (ticks / 100, ticks % 100);
    let digits = whole.checked_ilog10().map_or(1, |log| log + 1);
    let text = match digits {
        0..=4 => format!("{whole}.{rest:02}"),
        5 => format!("{whole}.{}", (rest + 5) / 10),
        _ => format!("{whole}"),
    };
    match text.split_once('.') {
        Some((whole, rest)) if rest.trim_end_matches('0').is_empty() => whole.to_owned(),
        Some((whole, rest)) => format!("{whole}.{}", rest.trim_end_matches('0')),
        None => text,
    }
}

/// Prints a bucket of a resilient group, with its line end.
pub fn bucket(out: &mut Out, bucket: &Object, _: &mut Context<'_>) {
    let attrs = bucket.attrs(HEADER_BYTES);
    out.open(None);
    if let Some(id) = attrs.u32(NHA_ID) {
        out.num("id", "id {} ", id);
    }
    if let Some(inner) = attrs.nested(NHA_RES_BUCKET) {
        out.open(Some("bucket"));
        if let Some(index) = inner.u16(NHA_RES_BUCKET_INDEX) {
            out.num("index", "index {} ", index);
        }
        if let Some(ticks) = inner.u64(NHA_RES_BUCKET_IDLE_TIME) {
            out.num("idle_time", "idle_time {} ", seconds(ticks));
        }
        if let Some(id) = inner.u32(NHA_RES_BUCKET_NH_ID) {
            out.num("nhid", "nhid {} ", id);
        }
        out.close();
    }
    print_flags(out, bucket.u32_at(4));
    out.text("\n");
    out.close();
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_has_six_digits_at_most() {
        let cases = [(0, "0"), (12_000, "120"), (150, "1.5"), (11_999, "119.99"), (1, "0.01")];
        for (ticks, text) in cases {
            assert_eq!(seconds(ticks), text);
        }
    }
}
