//! bridge: a switch (net/bridge/br_netlink.c).

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs, mac_of};
use super::super::super::words::{Read, Words, abbreviates, hardware_address, integer};
use super::super::super::{Context, World};
use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "bridge",
    read,
    print: Some(print),
    print_port: Some(print_port),
    read_port: Some(read_port),
};

/// The width of a number in bits, or another form of value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bits8,
    Bits16,
    Bits32,
    Bits64,
    /// A 16-bit mask, shown in hexadecimal.
    Mask,
    Mac,
    /// An id, which can't be set.
    Id,
    /// A time in 1/100 s, which can't be set.
    Timer,
    /// A bit of `IFLA_BR_MULTI_BOOLOPT`.
    Bool(u8),
    /// 802.1Q or 802.1ad.
    Protocol,
}

/// IFLA_BR_MULTI_BOOLOPT (`struct br_boolopt_multi`, linux/if_bridge.h).
const MULTI_BOOLOPT: u16 = 46;

/// Whether VLANs are told apart (`IFLA_BR_VLAN_FILTERING`).
const VLAN_FILTERING: u16 = 7;

/// The options in the order in which they are shown: attribute, word, JSON key, form.
const OPTIONS: &[(u16, &str, &str, Form)] = &[
    (1, "forward_delay", "forward_delay", Form::Bits32),
    (2, "hello_time", "hello_time", Form::Bits32),
    (3, "max_age", "max_age", Form::Bits32),
    (4, "ageing_time", "ageing_time", Form::Bits32),
    (5, "stp_state", "stp_state", Form::Bits32),
    (6, "priority", "priority", Form::Bits16),
    (VLAN_FILTERING, "vlan_filtering", "vlan_filtering", Form::Bits8),
    (8, "vlan_protocol", "vlan_protocol", Form::Protocol),
    (11, "bridge_id", "bridge_id", Form::Id),
    (10, "designated_root", "root_id", Form::Id),
    (12, "root_port", "root_port", Form::Bits16),
    (13, "root_path_cost", "root_path_cost", Form::Bits32),
    (14, "topology_change", "topology_change", Form::Bits8),
    (15, "topology_change_detected", "topology_change_detected", Form::Bits8),
    (16, "hello_timer", "hello_timer", Form::Timer),
    (17, "tcn_timer", "tcn_timer", Form::Timer),
    (18, "topology_change_timer", "topology_change_timer", Form::Timer),
    (19, "gc_timer", "gc_timer", Form::Timer),
    (39, "vlan_default_pvid", "vlan_default_pvid", Form::Bits16),
    (41, "vlan_stats_enabled", "vlan_stats_enabled", Form::Bits8),
    (45, "vlan_stats_per_port", "vlan_stats_per_port", Form::Bits8),
    (9, "group_fwd_mask", "group_fwd_mask", Form::Mask),
    (20, "group_address", "group_addr", Form::Mac),
    (23, "mcast_snooping", "mcast_snooping", Form::Bits8),
    (MULTI_BOOLOPT, "no_linklocal_learn", "no_linklocal_learn", Form::Bool(0)),
    (MULTI_BOOLOPT, "mcast_vlan_snooping", "mcast_vlan_snooping", Form::Bool(1)),
    (22, "mcast_router", "mcast_router", Form::Bits8),
    (24, "mcast_query_use_ifaddr", "mcast_query_use_ifaddr", Form::Bits8),
    (25, "mcast_querier", "mcast_querier", Form::Bits8),
    (26, "mcast_hash_elasticity", "mcast_hash_elasticity", Form::Bits32),
    (27, "mcast_hash_max", "mcast_hash_max", Form::Bits32),
    (28, "mcast_last_member_count", "mcast_last_member_cnt", Form::Bits32),
    (29, "mcast_startup_query_count", "mcast_startup_query_cnt", Form::Bits32),
    (30, "mcast_last_member_interval", "mcast_last_member_intvl", Form::Bits64),
    (31, "mcast_membership_interval", "mcast_membership_intvl", Form::Bits64),
    (32, "mcast_querier_interval", "mcast_querier_intvl", Form::Bits64),
    (33, "mcast_query_interval", "mcast_query_intvl", Form::Bits64),
    (34, "mcast_query_response_interval", "mcast_query_response_intvl", Form::Bits64),
    (35, "mcast_startup_query_interval", "mcast_startup_query_intvl", Form::Bits64),
    (42, "mcast_stats_enabled", "mcast_stats_enabled", Form::Bits8),
    (43, "mcast_igmp_version", "mcast_igmp_version", Form::Bits8),
    (44, "mcast_mld_version", "mcast_mld_version", Form::Bits8),
    (36, "nf_call_iptables", "nf_call_iptables", Form::Bits8),
    (37, "nf_call_ip6tables", "nf_call_ip6tables", Form::Bits8),
    (38, "nf_call_arptables", "nf_call_arptables", Form::Bits8),
];

/// What the kernel says but nobody can set.
const READ_ONLY: &[&str] =
    &["root_port", "root_path_cost", "topology_change", "topology_change_detected"];

fn read(words: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    let mut bools = (0_u32, 0_u32);
    while let Some(word) = words.take() {
        let settable = |name: &str, form: Form| {
            !READ_ONLY.contains(&name) && !matches!(form, Form::Id | Form::Timer)
        };
        let found = OPTIONS
            .iter()
            .find(|(_, name, _, form)| abbreviates(word, name) && settable(name, *form));
        let Some((attr, name, _, form)) = found else {
            if word == "fdb_flush" {
                return Err(words.blame(Failure::not_covered("`fdb_flush` of a bridge")));
            }
            let line = format!("bridge: unknown command \"{word}\"?");
            return Err(words.blame(Failure::command(1, line)));
        };
        match form {
            Form::Bool(bit) => {
                let why = format!("invalid {name}");
                let on = words.parse(&why, integer::<u8>)? != 0;
                bools.0 |= u32::from(on) << bit;
                bools.1 |= 1 << bit;
            }
            form => attrs.push(read_one(words, *attr, name, *form)?),
        }
    }
    // One attribute has them all.
    if bools.1 != 0 {
        let value = [bools.0.to_ne_bytes(), bools.1.to_ne_bytes()].concat();
        attrs.push(Attr::Value(MULTI_BOOLOPT, value));
    }
    Ok(attrs)
}

fn read_one(words: &mut Words<'_>, attr: u16, name: &str, form: Form) -> Read<Attr> {
    let why = format!("invalid {name}");
    let number = |bits: u32| {
        move |word: &str| integer::<u64>(word).filter(|value| bits == 64 || *value >> bits == 0)
    };
    let bytes = |value: u64, length: usize| value.to_ne_bytes()[..length].to_vec();
    Ok(match form {
        Form::Bits8 => Attr::Value(attr, bytes(words.parse(&why, number(8))?, 1)),
        Form::Bits16 | Form::Mask => Attr::Value(attr, bytes(words.parse(&why, number(16))?, 2)),
        Form::Bits64 => Attr::Value(attr, bytes(words.parse(&why, number(64))?, 8)),
        Form::Mac => {
            let read = |word: &str| hardware_address(word).filter(|mac| mac.len() == 6);
            Attr::Value(attr, words.parse(&why, read)?)
        }
        Form::Protocol => {
            let read = |word: &str| match word.to_ascii_lowercase().as_str() {
                "802.1q" => Some(0x8100_u16),
                "802.1ad" => Some(0x88a8),
                _ => None,
            };
            Attr::Value(attr, words.parse(&why, read)?.to_be_bytes().to_vec())
        }
        Form::Bits32 | Form::Id | Form::Timer | Form::Bool(_) => {
            Attr::Value(attr, bytes(words.parse(&why, number(32))?, 4))
        }
    })
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    for (attr, word, key, form) in OPTIONS {
        let Some(value) = data.get(*attr) else { continue };
        print_one(out, (word, key), *form, value, data);
    }
}

fn print_one(out: &mut Out, (word, key): (&str, &str), form: Form, value: &[u8], data: &Attrs<'_>) {
    let format = format!("{word} {{}} ");
    match form {
        Form::Mask => {
            let mask = number_of(value);
            out.str(key, &format, &if mask == 0 { "0".to_owned() } else { format!("{mask:#x}") });
        }
        Form::Mac => out.str(key, &format, &mac_of(value)),
        Form::Id => out.str(key, &format, &id_of(value)),
        Form::Timer => print_timer(out, key, number_of(value)),
        Form::Bool(bit) => {
            let (value, mask) = (number_of(&value[..4.min(value.len())]), value.get(4).copied());
            if mask.is_some_and(|mask| mask & (1 << bit) != 0) {
                out.num(key, &format, value >> bit & 1);
            }
        }
        Form::Protocol => {
            let name = match data.u16_be(8) {
                Some(0x88a8) => "802.1ad",
                _ => "802.1Q",
            };
            out.str(key, &format, name);
        }
        _ => out.num(key, &format, number_of(value)),
    }
}

fn number_of(value: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = value.len().min(8);
    bytes[..length].copy_from_slice(&value[..length]);
    u64::from_ne_bytes(bytes)
}

/// Shows `struct ifla_bridge_id`: priority and hardware address.
fn id_of(value: &[u8]) -> String {
    let parts: Vec<String> = value.iter().skip(2).map(|byte| format!("{byte:x}")).collect();
    let priority: String = value.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    format!("{priority}.{}", parts.join(":"))
}

fn print_timer(out: &mut Out, key: &str, hundredths: u64) {
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    out.num_as(key, "{}", format!("{seconds}.{rest:02}"), &format!("{key} {seconds:4}.{rest:02} "));
}

/// How a setting of a port is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PortForm {
    OnOff,
    Bits16,
    Bits32,
    Bits8,
    Hex,
    Id,
    Timer,
    State,
    Mask,
}

/// The settings of a port in the order in which they are shown (`IFLA_BRPORT_*`): attribute, word
/// when shown, word when set, JSON key, form.
const PORT_OPTIONS: &[(u16, &str, &str, &str, PortForm)] = &[
    (1, "state", "state", "state", PortForm::State),
    (2, "priority", "priority", "priority", PortForm::Bits16),
    (3, "cost", "cost", "cost", PortForm::Bits32),
    (4, "hairpin", "hairpin", "hairpin", PortForm::OnOff),
    (5, "guard", "guard", "guard", PortForm::OnOff),
    (6, "root_block", "root_block", "root_block", PortForm::OnOff),
    (7, "fastleave", "fastleave", "fastleave", PortForm::OnOff),
    (8, "learning", "learning", "learning", PortForm::OnOff),
    (9, "flood", "flood", "flood", PortForm::OnOff),
    (17, "port_id", "", "id", PortForm::Hex),
    (18, "port_no", "", "no", PortForm::Hex),
    (15, "designated_port", "", "designated_port", PortForm::Bits16),
    (16, "designated_cost", "", "designated_cost", PortForm::Bits16),
    (14, "designated_bridge", "", "bridge_id", PortForm::Id),
    (13, "designated_root", "", "root_id", PortForm::Id),
    (23, "hold_timer", "", "hold_timer", PortForm::Timer),
    (21, "message_age_timer", "", "message_age_timer", PortForm::Timer),
    (22, "forward_delay_timer", "", "forward_delay_timer", PortForm::Timer),
    (19, "topology_change_ack", "", "topology_change_ack", PortForm::Bits8),
    (20, "config_pending", "", "config_pending", PortForm::Bits8),
    (10, "proxy_arp", "proxy_arp", "proxy_arp", PortForm::OnOff),
    (12, "proxy_arp_wifi", "proxy_arp_wifi", "proxy_arp_wifi", PortForm::OnOff),
    (25, "mcast_router", "mcast_router", "multicast_router", PortForm::Bits8),
    (7, "mcast_fast_leave", "mcast_fast_leave", "", PortForm::OnOff),
    (27, "mcast_flood", "mcast_flood", "mcast_flood", PortForm::OnOff),
    (30, "bcast_flood", "bcast_flood", "bcast_flood", PortForm::OnOff),
    (28, "mcast_to_unicast", "mcast_to_unicast", "mcast_to_unicast", PortForm::OnOff),
    (32, "neigh_suppress", "neigh_suppress", "neigh_suppress", PortForm::OnOff),
    (31, "group_fwd_mask", "group_fwd_mask", "group_fwd_mask", PortForm::Mask),
    (29, "vlan_tunnel", "vlan_tunnel", "vlan_tunnel", PortForm::OnOff),
    (33, "isolated", "isolated", "isolated", PortForm::OnOff),
    (39, "locked", "locked", "locked", PortForm::OnOff),
];

/// The states of a port in the spanning tree, by number (`BR_STATE_*`).
pub(crate) const PORT_STATES: [&str; 5] =
    ["disabled", "listening", "learning", "forwarding", "blocking"];

/// `IFLA_BRPORT_BACKUP_PORT`.
const BACKUP_PORT: u16 = 34;

/// Reads which port takes over, or that none does.
fn read_backup(words: &mut Words<'_>, context: &mut Context<'_>, word: &str) -> Read<u32> {
    if word == "nobackup_port" {
        return Ok(0);
    }
    let name = words.value()?;
    match context.world.index(name) {
        0 => Err(words.blame(Failure::no_device(name))),
        index => Ok(index),
    }
}

fn read_port(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    while let Some(word) = words.take() {
        let found = PORT_OPTIONS.iter().find(|(_, _, name, _, _)| abbreviates(word, name));
        let Some((attr, _, name, _, form)) = found else {
            if ["backup_port", "nobackup_port"].contains(&word) {
                attrs.push(Attr::u32(BACKUP_PORT, read_backup(words, context, word)?));
                continue;
            }
            if ["fdb_flush", "mab"].contains(&word) {
                return Err(words.blame(Failure::not_covered(&format!("`{word}` of a port"))));
            }
            let line = format!("bridge_slave: unknown option \"{word}\"?");
            return Err(words.blame(Failure::command(1, line)));
        };
        let why = format!("invalid {name}");
        attrs.push(match form {
            PortForm::OnOff => Attr::u8(*attr, words.on_off(name)?.into()),
            PortForm::Bits16 | PortForm::Mask => Attr::u16(*attr, words.parse(&why, integer)?),
            PortForm::Bits32 => Attr::u32(*attr, words.parse(&why, integer)?),
            _ => Attr::u8(*attr, words.parse(&why, integer)?),
        });
    }
    Ok(attrs)
}

fn print_port(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    for (attr, word, _, key, form) in PORT_OPTIONS {
        let Some(value) = data.get(*attr) else { continue };
        let number = number_of(value);
        let format = format!("{word} {{}} ");
        match form {
            PortForm::OnOff if key.is_empty() => {
                out.text(&format!("{word} {} ", if number == 0 { "off" } else { "on" }));
            }
            PortForm::OnOff => out.on_off(key, &format, number != 0),
            PortForm::Hex => out.str(key, &format, &format!("{number:#x}")),
            PortForm::Id => out.str(key, &format, &id_of(value)),
            PortForm::Timer => print_timer(out, key, number),
            PortForm::State => {
                let at = usize::try_from(number).unwrap_or(usize::MAX);
                match PORT_STATES.get(at) {
                    Some(state) => out.str(key, &format, state),
                    None => out.num("state_index", "state ({}) ", number),
                }
            }
            PortForm::Mask => {
                let text = if number == 0 { "0".to_owned() } else { format!("{number:#x}") };
                out.str(key, &format, &text);
                out.str("group_fwd_mask_str", "group_fwd_mask_str {} ", &format!("{number:#x}"));
            }
            _ => out.num(key, &format, number),
        }
    }
}
