//! What `ip route` prints of a route.

use std::net::IpAddr;

use super::super::Context;
use super::super::encap;
use super::super::failure::Failure;
use super::super::out::{Out, Shade};
use super::super::wire::{Attrs, Object, address_of, rtm};
use super::super::words::{Family, Prefix};
use super::{
    HEADER_BYTES, Header, RTA_CACHEINFO, RTA_DST, RTA_FLOW, RTA_GATEWAY, RTA_IIF, RTA_MARK,
    RTA_METRICS, RTA_MULTIPATH, RTA_NH_ID, RTA_OIF, RTA_PREF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC,
    RTA_TABLE, RTA_UID, RTA_VIA, RTM_F_CLONED, RTN_UNICAST, SCOPE_UNIVERSE, Selection, TABLE_MAIN,
    TUNNEL, TYPES, metrics,
};

const RTPROT_BOOT: u8 = 3;

/// Flags of a leg (`RTNH_F_*`, linux/rtnetlink.h), in the order in which they are shown.
const LEG_FLAGS: &[(u32, &str)] = &[
    (0x01, "dead"),
    (0x04, "onlink"),
    (0x02, "pervasive"),
    (0x08, "offload"),
    (0x40, "trap"),
    (0x100, "notify"),
    (0x10, "linkdown"),
    (0x20, "unresolved"),
    (0x4000, "rt_offload"),
    (0x8000, "rt_trap"),
    (0x2000_0000, "rt_offload_failed"),
];

/// Flags of what a packet's route became (`RTCF_*`, linux/in_route.h).
const CACHE_FLAGS: &[(u32, &str)] = &[
    (0x8000_0000, "local"),
    (0x4000_0000, "reject"),
    (0x2000_0000, "mc"),
    (0x1000_0000, "brd"),
    (0x0800_0000, "dst-nat"),
    (0x0400_0000, "src-direct"),
    (0x0004_0000, "redirected"),
    (0x0100_0000, "redirect"),
    (0x0001_0000, "notify"),
];

/// Prints a route, with its line end. What was selected by is not repeated.
pub fn show(out: &mut Out, route: &Object, context: &mut Context<'_>, selection: &Selection) {
    let header = Header::of(route);
    let attrs = route.attrs(HEADER_BYTES);
    let details = context.options.details;
    out.open(None);
    out.deleted(route.kind == rtm::DELROUTE);
    if header.kind != RTN_UNICAST || details {
        let name = TYPES.get(usize::from(header.kind)).map_or_else(
            || header.kind.to_string(),
            |name| {
                if context.world.tables().numeric {
                    header.kind.to_string()
                } else {
                    (*name).to_owned()
                }
            },
        );
        out.str("type", "{} ", &name);
    }
    print_ends(out, header, &attrs, context);
    encap::print(out, &attrs, TUNNEL, context);
    if header.tos != 0 && selection.tos.is_none() {
        out.str("tos", "tos {} ", &context.world.tables().dsfield(header.tos));
    }
    if let Some(id) = attrs.u32(RTA_NH_ID) {
        out.num("nhid", "nhid {} ", id);
    }
    if !is_host(selection.via) {
        print_gateway(out, header.family, &attrs, context);
    }
    if let Some(index) = attrs.u32(RTA_OIF).filter(|_| selection.dev.is_none()) {
        out.text("dev ");
        out.shaded(Shade::Name, "dev", "{} ", &context.world.name(index));
    }
    print_origin(out, header, &attrs, context, selection);
    if let Some(source) = attrs.address(RTA_PREFSRC).filter(|_| !is_host(selection.source)) {
        out.text("src ");
        out.shaded(shade(header.family), "prefsrc", "{} ", &context.shown(source));
    }
    if let Some(metric) = attrs.u32(RTA_PRIORITY).filter(|_| selection.metric.is_none()) {
        out.num("metric", "metric {} ", metric);
    }
    print_flags(out, header.flags);
    if let Some(mark) = attrs.u32(RTA_MARK).filter(|mark| *mark != 0) {
        match mark {
            0..16 => out.num("mark", "mark {} ", mark),
            _ => out.num_as("mark", "mark {} ", mark, &format!("{mark:#x}")),
        }
    }
    let is_selected = selection.realms.is_some_and(|(_, mask)| mask == u32::MAX);
    if let Some(realms) = attrs.u32(RTA_FLOW).filter(|_| !is_selected) {
        print_realms(out, realms, context);
    }
    if let Some(uid) = attrs.u32(RTA_UID) {
        out.num("uid", "uid {} ", uid);
    }
    print_cache(out, header, &attrs, context);
    if let Some(found) = attrs.nested(RTA_METRICS) {
        metrics::print(out, &found);
    }
    if let Some(index) = attrs.u32(RTA_IIF) {
        out.shaded(Shade::Name, "iif", "iif {} ", &context.world.name(index));
    }
    if let Some(preference) = attrs.u8(RTA_PREF) {
        match preference {
            0 => out.str("pref", "pref {}", "medium"),
            3 => out.str("pref", "pref {}", "low"),
            1 => out.str("pref", "pref {}", "high"),
            other => out.num("pref", "pref {}", other),
        }
    }
    if let Some(nexthop) = attrs.u32(RTA_NH_ID).filter(|_| details)
        && let Some(nexthop) = context.world.nexthop(nexthop)
    {
        out.text("\n\tnh_info ");
        super::super::nexthop::entry(out, Some("nh_info"), &nexthop, context);
    }
    if let Some(legs) = attrs.get(RTA_MULTIPATH) {
        print_legs(out, header.family, legs, context);
    }
    out.text("\n");
    out.close();
}

/// Tells whether routes were selected by a single address, which is then not repeated.
fn is_host(prefix: Option<Prefix>) -> bool {
    prefix.is_some_and(|prefix| match prefix.address {
        Some(IpAddr::V4(_)) => prefix.length == 32,
        Some(IpAddr::V6(_)) => prefix.length == 128,
        None => false,
    })
}

pub(crate) fn shade(family: u8) -> Shade {
    if family == Family::Inet6.number() { Shade::Inet6 } else { Shade::Inet }
}

/// Prints destination and source prefix.
fn print_ends(out: &mut Out, header: Header, attrs: &Attrs<'_>, context: &mut Context<'_>) {
    let bits = if header.family == Family::Inet6.number() { 128 } else { 32 };
    let mut shown = |address: IpAddr, length: u8| match length {
        length if length == bits => context.shown(address),
        length => format!("{address}/{length}"),
    };
    let color = shade(header.family);
    match (attrs.address(RTA_DST), header.dst_len) {
        (Some(address), length) => out.shaded(color, "dst", "{} ", &shown(address, length)),
        (None, 0) => out.str("dst", "{} ", "default"),
        (None, length) => out.str("dst", "{} ", &format!("0/{length}")),
    }
    match (attrs.address(RTA_SRC), header.src_len) {
        (Some(address), length) => out.shaded(color, "from", "from {} ", &shown(address, length)),
        (None, 0) => {}
        (None, length) => out.str("from", "from {} ", &format!("0/{length}")),
    }
}

fn print_gateway(out: &mut Out, family: u8, attrs: &Attrs<'_>, context: &mut Context<'_>) {
    if let Some(gateway) = attrs.address(RTA_GATEWAY) {
        out.text("via ");
        out.shaded(shade(family), "gateway", "{} ", &context.shown(gateway));
    }
    if let Some(via) = attrs.get(RTA_VIA)
        && let Some(address) = via.get(2..).and_then(address_of)
    {
        let family = if address.is_ipv4() { "inet" } else { "inet6" };
        out.open(Some("via"));
        out.str("family", "via {} ", family);
        out.shaded(shade(Family::of(address).number()), "host", "{} ", &context.shown(address));
        out.close();
    }
}

/// Prints in which table the route is, who made it, and how far it reaches.
fn print_origin(
    out: &mut Out,
    header: Header,
    attrs: &Attrs<'_>,
    context: &mut Context<'_>,
    selection: &Selection,
) {
    let details = context.options.details;
    let tables = context.world.tables();
    let table = attrs.u32(RTA_TABLE).unwrap_or_else(|| header.table.into());
    if table != 0 && (table != TABLE_MAIN || details) && selection.table.is_none() {
        out.str("table", "table {} ", &tables.show(&tables.tables, table));
    }
    if header.flags & RTM_F_CLONED != 0 {
        return;
    }
    if (header.protocol != RTPROT_BOOT || details) && selection.protocol.is_none() {
        let name = tables.show(&tables.protocols, header.protocol.into());
        out.str("protocol", "proto {} ", &name);
    }
    if (header.scope != SCOPE_UNIVERSE || details) && selection.scope.is_none() {
        out.str("scope", "scope {} ", &tables.show(&tables.scopes, header.scope.into()));
    }
}

/// Prints what is particular about a leg.
pub(crate) fn print_flags(out: &mut Out, flags: u32) {
    out.open_array("flags", "");
    for (flag, name) in LEG_FLAGS {
        if flags & flag != 0 {
            out.str("", "{} ", name);
        }
    }
    out.close_array("");
}

fn print_realms(out: &mut Out, realms: u32, context: &mut Context<'_>) {
    let tables = context.world.tables();
    let (from, to) = (realms >> 16, realms & 0xffff);
    let name = |number: u32| tables.show(&tables.realms, number);
    let word = if from == 0 { "realm" } else { "realms" };
    out.text(&format!("{word} "));
    out.open(Some("flow"));
    if from != 0 {
        out.str("from", "{}/", &name(from));
    }
    out.str("to", "{} ", &name(to));
    out.close();
}

/// Prints what a packet's route became, and how long it lasts.
fn print_cache(out: &mut Out, header: Header, attrs: &Attrs<'_>, context: &mut Context<'_>) {
    if header.family == Family::Inet.number() && header.flags & RTM_F_CLONED != 0 {
        out.next_line();
        let set = CACHE_FLAGS.iter().filter(|(flag, _)| header.flags & flag != 0);
        let names: Vec<&str> = set.map(|(_, name)| *name).collect();
        out.text("    cache ");
        out.open_array("cache", "");
        if out.is_json() {
            for name in names {
                out.str("", "", name);
            }
        } else if !names.is_empty() {
            out.text(&format!("<{}> ", names.join(",")));
        }
        out.close_array("");
    }
    // struct rta_cacheinfo: users, last use, expiry, error, uses, …
    let Some(info) = attrs.get(RTA_CACHEINFO) else { return };
    let at = |place: usize| {
        let bytes = info.get(place * 4..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    if at(2) != 0 {
        // In ticks, of which there are 100 a second (`USER_HZ`).
        out.num("expires", "expires {}sec ", at(2).cast_signed() / 100);
    }
    if at(3) != 0 {
        out.num("error", "error {} ", at(3).cast_signed());
    }
    if context.options.stats > 0 {
        for (place, key, format) in [(0, "users", "users {} "), (4, "used", "used {} ")] {
            if at(place) != 0 {
                out.num(key, format, at(place));
            }
        }
        if at(1) != 0 {
            out.num("age", "age {}sec ", at(1) / 100);
        }
    }
}

/// Returns why a route can't be shown whole.
#[must_use]
pub fn uncovered(route: &Object) -> Option<Failure> {
    let attrs = route.attrs(HEADER_BYTES);
    let mut legs = attrs.get(RTA_MULTIPATH).into_iter().flat_map(legs);
    let own = encap::uncovered(&attrs, TUNNEL);
    own.or_else(|| legs.find_map(|(_, attrs)| encap::uncovered(&attrs, TUNNEL)))
}

/// The header of a leg: `struct rtnexthop`.
const LEG_BYTES: usize = 8;

/// Takes apart the legs of a route with several: each a `struct rtnexthop` and its attributes.
fn legs(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; LEG_BYTES], Attrs<'_>)> {
    std::iter::from_fn(move || {
        let header = *bytes.first_chunk::<LEG_BYTES>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let leg = bytes.get(..length).filter(|leg| leg.len() >= LEG_BYTES)?;
        bytes = bytes.get((length + 3) & !3..).unwrap_or_default();
        Some((header, Attrs::read(&leg[LEG_BYTES..])))
    })
}

fn print_legs(out: &mut Out, family: u8, bytes: &[u8], context: &mut Context<'_>) {
    out.open_array("nexthops", "");
    for ([_, _, flags, hops, index @ ..], attrs) in legs(bytes) {
        out.open(None);
        out.next_line();
        out.text("\tnexthop ");
        encap::print(out, &attrs, TUNNEL, context);
        print_gateway(out, family, &attrs, context);
        if let Some(realms) = attrs.u32(RTA_FLOW) {
            print_realms(out, realms, context);
        }
        let name = context.world.name(u32::from_ne_bytes(index));
        out.str("dev", "dev {} ", &name);
        out.num("weight", "weight {} ", u16::from(hops) + 1);
        print_flags(out, flags.into());
        out.close();
    }
    out.close_array("");
}
