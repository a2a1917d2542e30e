//! How interfaces treat packets, as `ip monitor` tells of it (linux/netconf.h, ip/ipnetconf.c).

use super::Context;
use super::out::Out;
use super::wire::{Object, rtm};

/// The length of `struct netconfmsg`, with what fills it up.
const HEADER_BYTES: usize = 4;

const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_RP_FILTER: u16 = 3;

/// The settings in iproute2's order.
const SETTINGS: [(u16, &str); 6] = [
    (2, "forwarding"),
    (NETCONFA_RP_FILTER, "rp_filter"),
    (4, "mc_forwarding"),
    (5, "proxy_neigh"),
    (6, "ignore_routes_with_linkdown"),
    (7, "input"),
];

/// What stands instead of an interface for all, and for those to come.
const ALL: u32 = u32::MAX;
const DEFAULT: u32 = u32::MAX - 1;

const FAMILIES: [(u8, &str); 3] = [(2, "inet"), (10, "inet6"), (28, "mpls")];

/// Prints what is set, with its line end.
pub(super) fn show(out: &mut Out, event: &Object, context: &mut Context<'_>) {
    let attrs = event.attrs(HEADER_BYTES);
    out.open(None);
    out.deleted(event.kind == rtm::DELNETCONF);
    let family = FAMILIES.iter().find(|(number, _)| *number == event.u8_at(0));
    out.str("family", "{} ", family.map_or("???", |(_, name)| name));
    if let Some(index) = attrs.u32(NETCONFA_IFINDEX) {
        let name = match index {
            ALL => "all".to_owned(),
            DEFAULT => "default".to_owned(),
            index => context.world.name(index),
        };
        out.str("interface", "{} ", &name);
    }
    for (attr, name) in SETTINGS {
        let Some(value) = attrs.u32(attr) else { continue };
        let format = format!("{name} {{}} ");
        match (attr, value) {
            (NETCONFA_RP_FILTER, 1) => out.str(name, &format, "strict"),
            (NETCONFA_RP_FILTER, 2) => out.str(name, &format, "loose"),
            (NETCONFA_RP_FILTER, 0) => out.str(name, &format, "off"),
            (NETCONFA_RP_FILTER, _) => out.str(name, &format, "unknown"),
            (_, value) => out.on_off(name, &format, value != 0),
        }
    }
    out.text("\n");
    out.close();
}
