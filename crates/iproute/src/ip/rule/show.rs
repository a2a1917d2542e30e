//! Rules as `ip rule` prints them.

use std::net::IpAddr;

use super::super::Context;
use super::super::out::Out;
use super::super::wire::{Attrs, Object, rtm};
use super::super::words::Family;
use super::{
    FIB_RULE_IIF_DETACHED, FIB_RULE_INVERT, FIB_RULE_OIF_DETACHED, FIB_RULE_UNRESOLVED,
    FRA_DPORT_RANGE, FRA_DST, FRA_FLOW, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME,
    FRA_IP_PROTO, FRA_L3MDEV, FRA_OIFNAME, FRA_PROTOCOL, FRA_SPORT_RANGE, FRA_SRC,
    FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TUN_ID, FRA_UID_RANGE, GOTO, HEADER_BYTES,
    IP_PROTOCOLS, NOP, RTPROT_KERNEL, TO_TABLE, priority, table,
};

/// Prints a rule, with its line end.
pub fn show(out: &mut Out, rule: &Object, context: &mut Context<'_>) {
    let attrs = rule.attrs(HEADER_BYTES);
    let flags = rule.u32_at(8);
    let bits = if rule.u8_at(0) == Family::Inet6.number() { 128 } else { 32 };
    out.open(None);
    out.deleted(rule.kind == rtm::DELRULE);
    out.num("priority", "{}:\t", priority(&attrs));
    if flags & FIB_RULE_INVERT != 0 {
        out.num_as("not", "{}", "null", "not ");
    }
    let mut end = |address: Option<IpAddr>, length: u8| match (address, length) {
        (Some(address), length) if length == bits => Some((context.shown(address), None)),
        (Some(address), length) => Some((address.to_string(), Some(length))),
        (None, 0) => None,
        (None, length) => Some(("0".to_owned(), Some(length))),
    };
    out.text("from ");
    match end(attrs.address(FRA_SRC), rule.u8_at(2)) {
        Some((address, length)) => print_end(out, "src", "srclen", &address, length),
        None => out.str("src", "{} ", "all"),
    }
    if let Some((address, length)) = end(attrs.address(FRA_DST), rule.u8_at(1)) {
        out.text("to ");
        print_end(out, "dst", "dstlen", &address, length);
    }
    if rule.u8_at(3) != 0 {
        out.str("tos", "tos {} ", &context.world.tables().dsfield(rule.u8_at(3)));
    }
    print_conditions(out, &attrs, flags, context.world.tables().numeric);
    print_action(out, rule, &attrs, context);
    if let Some(protocol) = attrs.u8(FRA_PROTOCOL)
        && ((protocol != 0 && protocol != RTPROT_KERNEL) || context.options.details)
    {
        let tables = context.world.tables();
        out.str("protocol", " proto {}", &tables.show(&tables.protocols, protocol.into()));
    }
    out.text("\n");
    out.close();
}

fn print_end(out: &mut Out, key: &str, length_key: &str, address: &str, length: Option<u8>) {
    match length {
        Some(length) => {
            out.str(key, "{}", address);
            out.num(length_key, "/{} ", length);
        }
        None => out.str(key, "{} ", address),
    }
}

fn print_conditions(out: &mut Out, attrs: &Attrs<'_>, flags: u32, numeric: bool) {
    let mark = attrs.u32(FRA_FWMARK).unwrap_or(0);
    let mask = attrs.u32(FRA_FWMASK);
    if mark != 0 || mask.is_some_and(|mask| mask != 0) {
        match mask.filter(|mask| *mask != u32::MAX) {
            Some(mask) => {
                out.str("fwmark", "fwmark {}", &format!("{mark:#x}"));
                out.str("fwmask", "/{} ", &format!("{mask:#x}"));
            }
            None => out.str("fwmark", "fwmark {} ", &format!("{mark:#x}")),
        }
    }
    for (attr, key, detached) in
        [(FRA_IIFNAME, "iif", FIB_RULE_IIF_DETACHED), (FRA_OIFNAME, "oif", FIB_RULE_OIF_DETACHED)]
    {
        if let Some(name) = attrs.text(attr) {
            out.str(key, &format!("{key} {{}} "), &name);
            if flags & detached != 0 {
                out.num_as(&format!("{key}_detached"), "{}", "null", "[detached] ");
            }
        }
    }
    if let Some([a, b]) = attrs.get(FRA_UID_RANGE).and_then(pair::<4>) {
        out.num("uid_start", "uidrange {}", u32::from_ne_bytes(a));
        out.num("uid_end", "-{} ", u32::from_ne_bytes(b));
    }
    if let Some(protocol) = attrs.u8(FRA_IP_PROTO) {
        let named = IP_PROTOCOLS.iter().find(|(_, number)| *number == protocol && !numeric);
        let name = named.map_or_else(|| format!("ipproto-{protocol}"), |(name, _)| (*name).into());
        out.str("ipproto", "ipproto {} ", &name);
    }
    for (attr, key) in [(FRA_SPORT_RANGE, "sport"), (FRA_DPORT_RANGE, "dport")] {
        if let Some([a, b]) = attrs.get(attr).and_then(pair::<2>) {
            let (first, last) = (u16::from_ne_bytes(a), u16::from_ne_bytes(b));
            if first == last {
                out.num(key, &format!("{key} {{}} "), first);
            } else {
                out.num(&format!("{key}_start"), &format!("{key} {{}}"), first);
                out.num(&format!("{key}_end"), "-{} ", last);
            }
        }
    }
    if let Some(id) = attrs.get(FRA_TUN_ID).and_then(|id| id.first_chunk()) {
        out.num("tun_id", "tun_id {} ", u64::from_be_bytes(*id));
    }
}

/// Takes the two halves of a range.
fn pair<const N: usize>(bytes: &[u8]) -> Option<[[u8; N]; 2]> {
    Some([*bytes.first_chunk()?, *bytes.get(N..)?.first_chunk()?])
}

fn print_action(out: &mut Out, rule: &Object, attrs: &Attrs<'_>, context: &mut Context<'_>) {
    let number = table(rule, attrs);
    if attrs.u8(FRA_L3MDEV).is_some_and(|on| on != 0) {
        out.num_as("l3mdev", "{}", "null", "lookup [l3mdev-table]");
    }
    if number != 0 {
        let tables = context.world.tables();
        out.str("table", "lookup {}", &tables.show(&tables.tables, number));
        let length = attrs.u32(FRA_SUPPRESS_PREFIXLEN).filter(|length| *length != u32::MAX);
        if let Some(length) = length {
            out.num("suppress_prefixlen", " suppress_prefixlength {}", length.cast_signed());
        }
        let group = attrs.u32(FRA_SUPPRESS_IFGROUP).filter(|group| *group != u32::MAX);
        if let Some(group) = group {
            let name = context.world.tables().groups.name(group);
            out.str("suppress_ifgroup", " suppress_ifgroup {}", &name);
        }
    }
    if let Some(realms) = attrs.u32(FRA_FLOW) {
        let tables = context.world.tables();
        let (from, to) = (realms >> 16, realms & 0xffff);
        out.text(" realms ");
        if from != 0 {
            out.str("flow_from", "{}/", &tables.show(&tables.realms, from));
        }
        out.str("flow_to", "{}", &tables.show(&tables.realms, to));
    }
    match rule.u8_at(7) {
        TO_TABLE | 0 => {}
        GOTO => {
            out.text("goto ");
            match attrs.u32(FRA_GOTO) {
                Some(target) => out.num("goto", "{}", target),
                None => out.str("goto", "{}", "none"),
            }
            if rule.u32_at(8) & FIB_RULE_UNRESOLVED != 0 {
                out.num_as("unresolved", "{}", "null", " [unresolved]");
            }
        }
        NOP => out.num_as("nop", "{}", "null", "nop"),
        action => {
            let known = super::super::route::TYPES.get(usize::from(action));
            let name = known.filter(|_| !context.world.tables().numeric);
            let name = name.map_or_else(|| action.to_string(), |name| (*name).to_owned());
            out.str("action", "{}", &name);
        }
    }
}
