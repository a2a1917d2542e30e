//! bond: several interfaces as one (drivers/net/bonding/bond_netlink.c).

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs, mac_of};
use super::super::super::words::{
    Family, Read, Words, abbreviates, address, hardware_address, integer,
};
use super::super::super::{Context, World};
use super::super::select::signed;
use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "bond",
    read,
    print: Some(print),
    print_port: Some(print_port),
    read_port: Some(read_port),
};

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    Bits8,
    Bits16,
    Bits32,
    /// One of these words, or its place among them; in 8 bits.
    Name8(&'static [&'static str]),
    /// The same in 32 bits.
    Name32(&'static [&'static str]),
    /// An interface.
    Port,
    Mac,
    Targets(Family),
    /// Groups of numbers that can only be shown.
    Info,
}

const ACTIVE_PORT: u16 = 2;
const ARP_VALIDATE: u16 = 9;

const MODES: &[&str] = &[
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];
const VALIDATE: &[&str] =
    &["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"];
const HASH: &[&str] = &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"];

/// The options in the order in which they are shown (`IFLA_BOND_*`): attribute, word, JSON key, form.
const OPTIONS: &[(u16, &str, &str, Form)] = &[
    (1, "mode", "mode", Form::Name8(MODES)),
    (ACTIVE_PORT, "active_slave", "active_slave", Form::Port),
    (3, "miimon", "miimon", Form::Bits32),
    (4, "updelay", "updelay", Form::Bits32),
    (5, "downdelay", "downdelay", Form::Bits32),
    (28, "peer_notify_delay", "peer_notify_delay", Form::Bits32),
    (6, "use_carrier", "use_carrier", Form::Bits8),
    (7, "arp_interval", "arp_interval", Form::Bits32),
    (30, "arp_missed_max", "arp_missed_max", Form::Bits8),
    (8, "arp_ip_target", "arp_ip_target", Form::Targets(Family::Inet)),
    (31, "ns_ip6_target", "ns_ip6_target", Form::Targets(Family::Inet6)),
    (ARP_VALIDATE, "arp_validate", "arp_validate", Form::Name32(VALIDATE)),
    (10, "arp_all_targets", "arp_all_targets", Form::Name32(&["any", "all"])),
    (11, "primary", "primary", Form::Port),
    (12, "primary_reselect", "primary_reselect", Form::Name8(&["always", "better", "failure"])),
    (13, "fail_over_mac", "fail_over_mac", Form::Name8(&["none", "active", "follow"])),
    (14, "xmit_hash_policy", "xmit_hash_policy", Form::Name8(HASH)),
    (15, "resend_igmp", "resend_igmp", Form::Bits32),
    (16, "num_grat_arp", "num_peer_notif", Form::Bits8),
    (17, "all_slaves_active", "all_slaves_active", Form::Bits8),
    (18, "min_links", "min_links", Form::Bits32),
    (19, "lp_interval", "lp_interval", Form::Bits32),
    (20, "packets_per_slave", "packets_per_slave", Form::Bits32),
    (29, "lacp_active", "ad_lacp_active", Form::Name8(&["off", "on"])),
    (21, "lacp_rate", "ad_lacp_rate", Form::Name8(&["slow", "fast"])),
    (22, "ad_select", "ad_select", Form::Name8(&["stable", "bandwidth", "count"])),
    (23, "", "ad_info", Form::Info),
    (24, "ad_actor_sys_prio", "ad_actor_sys_prio", Form::Bits16),
    (25, "ad_user_port_key", "ad_user_port_key", Form::Bits16),
    (26, "ad_actor_system", "ad_actor_system", Form::Mac),
    (27, "tlb_dynamic_lb", "tlb_dynamic_lb", Form::Bits8),
];

/// The words in the order in which iproute2 compares abbreviations; those after the first list must
/// be written out.
const ORDER: &[&str] = &[
    "mode",
    "active_slave",
    "clear_active_slave",
    "miimon",
    "updelay",
    "downdelay",
    "peer_notify_delay",
    "use_carrier",
    "arp_interval",
    "arp_ip_target",
    "arp_validate",
    "arp_all_targets",
    "primary",
    "primary_reselect",
    "fail_over_mac",
    "xmit_hash_policy",
    "resend_igmp",
    "num_grat_arp",
    "num_unsol_na",
    "all_slaves_active",
    "min_links",
    "lp_interval",
    "packets_per_slave",
    "lacp_rate",
    "ad_select",
    "ad_user_port_key",
    "ad_actor_sys_prio",
    "ad_actor_system",
    "tlb_dynamic_lb",
];
const WRITTEN_OUT: &[&str] = &["ns_ip6_target", "arp_missed_max", "lacp_active"];

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    while let Some(word) = words.take() {
        let name = WRITTEN_OUT
            .iter()
            .find(|name| **name == word)
            .or_else(|| ORDER.iter().find(|name| abbreviates(word, name)));
        let name = match name {
            Some(&"clear_active_slave") => {
                attrs.push(Attr::u32(ACTIVE_PORT, 0));
                continue;
            }
            Some(&"num_unsol_na") => "num_grat_arp",
            Some(name) => name,
            None => return Err(super::unknown(words, "bond: unknown command", word)),
        };
        let found = OPTIONS.iter().find(|(_, known, ..)| *known == name);
        let Some((attr, name, _, form)) = found else { continue };
        attrs.push(read_one(words, context, *attr, name, *form)?);
    }
    Ok(attrs)
}

fn read_one(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    attr: u16,
    name: &str,
    form: Form,
) -> Read<Attr> {
    let why = match name {
        "num_grat_arp" => "invalid num_grat_arp|num_unsol_na".to_owned(),
        name => format!("invalid {name}"),
    };
    let place = |names: &'static [&'static str]| {
        move |word: &str| {
            let by_number = integer::<usize>(word).filter(|at| *at < names.len());
            by_number.or_else(|| names.iter().position(|name| *name == word))
        }
    };
    Ok(match form {
        Form::Bits8 => Attr::u8(attr, words.parse(&why, integer)?),
        Form::Bits16 => Attr::u16(attr, words.parse(&why, integer)?),
        Form::Bits32 | Form::Info => Attr::u32(attr, words.parse(&why, integer)?),
        Form::Name8(names) => {
            let at = words.parse(&why, place(names))?;
            Attr::u8(attr, u8::try_from(at).unwrap_or_default())
        }
        Form::Name32(names) => {
            let at = words.parse(&why, place(names))?;
            Attr::u32(attr, u32::try_from(at).unwrap_or_default())
        }
        Form::Port => {
            let name = words.value()?;
            match context.world.index(name) {
                0 => return Err(words.blame(Failure::no_device(name))),
                index => Attr::u32(attr, index),
            }
        }
        Form::Mac => {
            let word = words.value()?;
            let mac = hardware_address(word).ok_or_else(|| {
                words.blame(Failure::command(1, format!("\"{word}\" is invalid lladdr.")))
            })?;
            Attr::Value(attr, mac)
        }
        Form::Targets(family) => targets(words, attr, family)?,
    })
}

/// Reads addresses with commas between them; none where the line ends here.
fn targets(words: &mut Words<'_>, attr: u16, family: Family) -> Read<Attr> {
    const TARGETS_MAX: usize = 16;
    let list = words.take().unwrap_or_default();
    let mut inner = Vec::new();
    for (at, word) in list.split(',').filter(|word| !word.is_empty()).take(TARGETS_MAX).enumerate()
    {
        let target = address(word, family).ok_or_else(|| {
            let line = match family {
                Family::Inet => {
                    format!("Error: an IP address is expected rather than \"{word}\"")
                }
                _ => format!("Error: inet6 address is expected rather than \"{word}\"."),
            };
            words.blame(Failure { ends: true, ..Failure::command(1, line) })
        })?;
        inner.push(Attr::address(u16::try_from(at).unwrap_or_default(), target));
    }
    Ok(Attr::Nest(attr, inner))
}

fn print(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    for (attr, word, key, form) in OPTIONS {
        let format = format!("{word} {{}} ");
        match form {
            Form::Bits8 => {
                if let Some(value) = data.u8(*attr) {
                    out.num(key, &format, value);
                }
            }
            Form::Bits16 => {
                if let Some(value) = data.u16(*attr) {
                    out.num(key, &format, value);
                }
            }
            Form::Bits32 => {
                if let Some(value) = data.u32(*attr) {
                    out.num(key, &format, value);
                }
            }
            Form::Name8(names) => {
                if let Some(value) = data.u8(*attr) {
                    out.str(key, &format, names.get(usize::from(value)).unwrap_or(&"UNKNOWN"));
                }
            }
            Form::Name32(names) => match data.u32(*attr) {
                Some(0) if *attr == ARP_VALIDATE && out.is_json() => out.num(key, "", "null"),
                Some(value) => {
                    let name = usize::try_from(value).ok().and_then(|at| names.get(at));
                    out.str(key, &format, name.unwrap_or(&"UNKNOWN"));
                }
                None => {}
            },
            Form::Port => {
                if let Some(index) = data.u32(*attr).filter(|index| *index != 0) {
                    out.str(key, &format, &world.name(index));
                }
            }
            Form::Mac => {
                if let Some(mac) = data.get(*attr) {
                    out.str(key, &format, &mac_of(mac));
                }
            }
            Form::Targets(_) => {
                if let Some(list) = data.nested(*attr) {
                    print_targets(out, word, &list);
                }
            }
            Form::Info => {
                if let Some(info) = data.nested(*attr) {
                    print_info(out, &info);
                }
            }
        }
    }
}

fn print_targets(out: &mut Out, word: &str, list: &Attrs<'_>) {
    if list.get(0).is_none() {
        return;
    }
    out.open_array(word, &format!("{word} "));
    let mut before = "";
    for address in (0..16).filter_map(|at| list.address(at)) {
        out.str("", &format!("{before}{{}}"), &address.to_string());
        before = ",";
    }
    out.close_array(" ");
}

fn print_info(out: &mut Out, info: &Attrs<'_>) {
    out.open(Some("ad_info"));
    for (attr, key) in [(1, "aggregator"), (2, "num_ports"), (3, "actor_key"), (4, "partner_key")] {
        if let Some(value) = info.u16(attr) {
            out.num(key, &format!("ad_{key} {{}} "), value);
        }
    }
    if let Some(mac) = info.get(5) {
        out.str("partner_mac", "ad_partner_mac {} ", &mac_of(mac));
    }
    out.close();
}

// `IFLA_BOND_SLAVE_*`.
const PORT_STATE: u16 = 1;
const PORT_MII: u16 = 2;
const PORT_FAILURES: u16 = 3;
const PORT_MAC: u16 = 4;
const PORT_QUEUE: u16 = 5;
const PORT_AGGREGATOR: u16 = 6;
const PORT_ACTOR_STATE: u16 = 7;
const PORT_PARTNER_STATE: u16 = 8;
const PORT_PRIORITY: u16 = 9;

const LACP_STATES: [&str; 8] = [
    "active",
    "short_timeout",
    "aggregating",
    "in_sync",
    "collecting",
    "distributing",
    "defaulted",
    "expired",
];

fn read_port(words: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    while let Some(word) = words.take() {
        if abbreviates(word, "queue_id") {
            attrs.push(Attr::u16(PORT_QUEUE, words.parse("queue_id is invalid", integer)?));
        } else if word == "prio" {
            let priority = words.parse("prio is invalid", signed)?;
            attrs.push(Attr::u32(PORT_PRIORITY, priority.cast_unsigned()));
        } else {
            return Err(super::unknown(words, "bond_slave: unknown option", word));
        }
    }
    Ok(attrs)
}

fn print_port(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if let Some(state) = data.u8(PORT_STATE) {
        match ["ACTIVE", "BACKUP"].get(usize::from(state)) {
            Some(name) => out.str("state", "state {} ", name),
            None => out.num("state_index", "state {} ", state),
        }
    }
    if let Some(status) = data.u8(PORT_MII) {
        match ["UP", "GOING_DOWN", "DOWN", "GOING_BACK"].get(usize::from(status)) {
            Some(name) => out.str("mii_status", "mii_status {} ", name),
            None => out.num("mii_status_index", "mii_status {} ", status),
        }
    }
    if let Some(count) = data.u32(PORT_FAILURES) {
        out.num("link_failure_count", "link_failure_count {} ", count);
    }
    if let Some(mac) = data.get(PORT_MAC) {
        out.str("perm_hwaddr", "perm_hwaddr {} ", &mac_of(mac));
    }
    if let Some(queue) = data.u16(PORT_QUEUE) {
        out.num("queue_id", "queue_id {} ", queue);
    }
    if let Some(priority) = data.u32(PORT_PRIORITY) {
        out.num("prio", "prio {} ", priority.cast_signed());
    }
    if let Some(id) = data.u16(PORT_AGGREGATOR) {
        out.num("ad_aggregator_id", "ad_aggregator_id {} ", id);
    }
    for (attr, key) in [
        (PORT_ACTOR_STATE, "ad_actor_oper_port_state"),
        (PORT_PARTNER_STATE, "ad_partner_oper_port_state"),
    ] {
        let Some(state) = data.u8(attr) else { continue };
        out.num(key, &format!("{key} {{}} "), state);
        let title = format!("{key}_str");
        out.open_array(&title, &format!("{title} <"));
        let mut before = "";
        for (_, name) in LACP_STATES.iter().enumerate().filter(|(bit, _)| state >> bit & 1 != 0) {
            out.str("", &format!("{before}{{}}"), name);
            before = ",";
        }
        out.close_array("> ");
    }
}
