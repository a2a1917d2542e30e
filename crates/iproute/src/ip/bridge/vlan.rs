//! `bridge vlan`: which VLANs pass at which port.

use vnet_netlink::Flags;

use super::super::link::IFLA_AF_SPEC;
use super::super::wire::{Attr, Request, ifinfomsg, rtm};
use super::super::words::{Read, Words, abbreviates, integer};
use super::super::{Context, failure::Failure};
use super::{AF_BRIDGE, Command, atoi, device, selection, unknown};

mod show;

pub use show::event;

const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const IFLA_BRIDGE_VLAN_TUNNEL_INFO: u16 = 3;

// `BRIDGE_VLAN_INFO_*`, linux/if_bridge.h.
const PVID: u16 = 2;
const UNTAGGED: u16 = 4;
const RANGE_BEGIN: u16 = 8;
const RANGE_END: u16 = 16;
const ONLY_OPTS: u16 = 64;

// `BRIDGE_VLANDB_*`.
const ENTRY: u16 = 1;
const GLOBAL_OPTIONS: u16 = 2;
const ENTRY_INFO: u16 = 1;
const ENTRY_RANGE: u16 = 2;
const ENTRY_STATE: u16 = 3;
const ENTRY_STATS: u16 = 5;
const ENTRY_MCAST_ROUTER: u16 = 6;
const DUMP_FLAGS: u16 = 1;
const DUMP_STATS: u32 = 1;
const DUMP_GLOBAL: u32 = 2;

/// The length of `struct br_vlan_msg`.
const HEADER_BYTES: usize = 8;

/// Where the columns begin.
const NAME_WIDTH: usize = 16;
const ID_WIDTH: usize = 9;

/// What of VLANs is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Subject {
    /// The VLANs.
    #[default]
    Vlans,
    /// With their settings.
    Details,
    /// The tunnels behind them.
    Tunnels,
    /// The settings of a bridge's VLANs.
    Global,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    subject: Subject,
    index: Option<u32>,
    vlan: u16,
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return show_words(words, context, Subject::Vlans) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        change(words, context, rtm::SETLINK)
    } else if is("delete") {
        change(words, context, rtm::DELLINK)
    } else if is("show") || is("lst") || is("list") {
        show_words(words, context, Subject::Vlans)
    } else if is("tunnelshow") {
        show_words(words, context, Subject::Tunnels)
    } else if is("set") {
        set(words, context)
    } else if word == "global" {
        match words.take() {
            None | Some("show" | "lst" | "list") => show_words(words, context, Subject::Global),
            Some("set") => global_set(words, context),
            Some(_) => Ok(Command::Help),
        }
    } else if is("help") {
        Ok(Command::Help)
    } else {
        let known = "add, delete, show, tunnelshow, set, global, help";
        Err(words.blame(unknown(word, "vlan", known)))
    }
}

fn show_words(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    mut subject: Subject,
) -> Read<Command> {
    if subject == Subject::Vlans && context.options.details {
        subject = Subject::Details;
    }
    if context.options.stats > 0 && matches!(subject, Subject::Vlans | Subject::Tunnels) {
        return Err(Failure::not_covered("`bridge -statistics vlan` without -details"));
    }
    let (index, vlan) = selection(words, context, "vid")?;
    Ok(Command::Vlans(Selection { subject, index, vlan }))
}

/// Reads `VID` or `VID-VID`; the second is `None` where there is no range.
fn ids(words: &mut Words<'_>) -> Read<(i64, Option<i64>)> {
    let word = words.value()?;
    Ok(match word.split_once('-') {
        Some((first, last)) => (atoi(first), Some(atoi(last))),
        None => (atoi(word), None),
    })
}

fn small(number: i64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

fn check_id(id: i64) -> Read<()> {
    match id {
        4096.. => Err(Failure::command(255, format!("Invalid VLAN ID \"{}\"", small(id)))
            .hint("a VLAN has a number from 1 to 4094")),
        _ => Ok(()),
    }
}

/// Reads one number of a VLAN, or a range that goes up.
fn checked_ids(words: &mut Words<'_>) -> Read<(i64, Option<i64>)> {
    let (first, last) = ids(words)?;
    if let Some(last) = last.filter(|last| first >= *last || *last >= 4096) {
        return Err(bad_range(first, last));
    }
    check_id(first)?;
    Ok((first, last))
}

fn bad_range(first: i64, last: i64) -> Failure {
    let line = format!("Invalid VLAN range \"{}-{}\"", small(first), small(last));
    Failure::command(255, line)
}

fn needs_both() -> Failure {
    Failure::command(255, "Device and VLAN ID are required arguments.")
}

fn change(words: &mut Words<'_>, context: &mut Context<'_>, kind: u16) -> Read<Command> {
    let (mut dev, mut id, mut last, mut tunnel) = (None, None, None, None);
    let (mut flags, mut info) = (0_u16, 0_u16);
    while let Some(word) = words.take() {
        match word {
            "dev" => dev = Some(words.value()?),
            "vid" => {
                let (first, end) = ids(words)?;
                id = Some(first);
                if end.is_some() {
                    last = end;
                    info |= RANGE_BEGIN;
                }
            }
            "self" => flags |= 2,
            "master" => flags |= 1,
            "pvid" => info |= PVID,
            "untagged" => info |= UNTAGGED,
            "tunnel_info" => tunnel = Some(tunnel_ids(words)?),
            _ if abbreviates(word, "help") => drop(words.value()?),
            _ => {}
        }
    }
    let (Some(dev), Some(id)) = (dev, id.filter(|id| *id != -1)) else { return Err(needs_both()) };
    let index = device(dev, context, "bridge device")?;
    check_id(id)?;
    if let Some(last) = last {
        if last >= 4096 || id >= last {
            return Err(bad_range(id, last));
        }
        if info & PVID != 0 {
            return Err(Failure::command(255, "pvid cannot be configured for a vlan range"));
        }
    }
    let mut spec = Vec::new();
    if flags != 0 {
        spec.push(Attr::u16(IFLA_BRIDGE_FLAGS, flags));
    }
    match tunnel {
        Some((first, end)) => {
            let ends = last.map_or(vec![(id, first, 0)], |last| {
                vec![(id, first, RANGE_BEGIN), (last, end, RANGE_END)]
            });
            for (id, tunnel, flags) in ends {
                let inner =
                    vec![Attr::u32(1, tunnel), Attr::u16(2, small(id)), Attr::u16(3, flags)];
                spec.push(Attr::Nest(IFLA_BRIDGE_VLAN_TUNNEL_INFO, inner));
            }
        }
        None => {
            let attr = |flags: u16, id: i64| {
                let value = [flags.to_ne_bytes(), small(id).to_ne_bytes()].concat();
                Attr::Value(IFLA_BRIDGE_VLAN_INFO, value)
            };
            spec.push(attr(info, id));
            spec.extend(last.map(|last| attr(info & !RANGE_BEGIN | RANGE_END, last)));
        }
    }
    let mut request = Request::new(kind, Flags::NONE, ifinfomsg(AF_BRIDGE, index, 0, 0));
    request.attrs.push(Attr::Nest(IFLA_AF_SPEC, spec));
    Ok(Command::Change(Box::new(request)))
}

/// Reads `id N` or `id N-N`, the ids of tunnels.
fn tunnel_ids(words: &mut Words<'_>) -> Read<(u32, u32)> {
    let word = words.value()?;
    if !abbreviates(word, "id") {
        return Err(words.blame(Failure::invalid("tunnel id expected", word)));
    }
    let word = words.value()?;
    let read = |part: &str| integer::<u32>(part).filter(|id| *id < 1 << 24);
    let (first, last) = word.split_once('-').unwrap_or((word, "0"));
    let invalid = |part: &str| words.blame(Failure::invalid("invalid tun id", part));
    Ok((read(first).ok_or_else(|| invalid(first))?, read(last).ok_or_else(|| invalid(last))?))
}

fn vlan_header(index: u32) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header
}

fn set(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut index, mut has_id, mut entry) = (None, false, Vec::new());
    while let Some(word) = words.take() {
        match word {
            "dev" => index = Some(device(words.value()?, context, "network device")?),
            "vid" => {
                let (first, last) = checked_ids(words)?;
                let info = [ONLY_OPTS.to_ne_bytes(), small(first).to_ne_bytes()].concat();
                entry.push(Attr::Value(ENTRY_INFO, info));
                entry.extend(last.map(|last| Attr::u16(ENTRY_RANGE, small(last))));
                has_id = first != -1;
            }
            "state" => {
                let state = super::link::state(words).map_err(|failure| Failure {
                    line: failure.line.replace("STP port state", "STP state"),
                    ..failure
                })?;
                entry.push(Attr::u8(ENTRY_STATE, state));
            }
            "mcast_router" => {
                let value = words.parse("invalid mcast_router", integer::<u8>)?;
                entry.push(Attr::u8(ENTRY_MCAST_ROUTER, value));
            }
            _ if abbreviates(word, "help") => drop(words.value()?),
            _ => {}
        }
    }
    let Some(index) = index.filter(|_| has_id) else { return Err(needs_both()) };
    let mut request = Request::new(rtm::NEWVLAN, Flags::NONE, vlan_header(index));
    request.attrs.push(Attr::Nest(ENTRY | Attr::NESTED, entry));
    Ok(Command::Change(Box::new(request)))
}

/// The settings of a bridge's VLAN (`BRIDGE_VLANDB_GOPTS_*`) in the order in which they are shown:
/// attribute, word, width in bytes.
const GLOBAL: &[(u16, &str, usize)] = &[
    (3, "mcast_snooping", 1),
    (15, "mcast_querier", 1),
    (4, "mcast_igmp_version", 1),
    (5, "mcast_mld_version", 1),
    (6, "mcast_last_member_count", 4),
    (8, "mcast_last_member_interval", 8),
    (7, "mcast_startup_query_count", 4),
    (14, "mcast_startup_query_interval", 8),
    (10, "mcast_membership_interval", 8),
    (11, "mcast_querier_interval", 8),
    (12, "mcast_query_interval", 8),
    (13, "mcast_query_response_interval", 8),
];
const GLOBAL_ID: u16 = 1;
const GLOBAL_RANGE: u16 = 2;
const GLOBAL_ROUTER_PORTS: u16 = 16;

fn global_set(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut index, mut has_id, mut options) = (None, false, Vec::new());
    while let Some(word) = words.take() {
        match word {
            "dev" => index = Some(device(words.value()?, context, "network device")?),
            "vid" => {
                let (first, last) = checked_ids(words)?;
                options.push(Attr::u16(GLOBAL_ID, small(first)));
                options.extend(last.map(|last| Attr::u16(GLOBAL_RANGE, small(last))));
                has_id = first != -1;
            }
            "help" => drop(words.value()?),
            word => {
                let found = GLOBAL.iter().find(|(_, name, _)| *name == word);
                let Some((attr, name, bytes)) = found else { continue };
                let fits = |value: &u64| *bytes == 8 || *value >> (bytes * 8) == 0;
                let read = |word: &str| integer::<u64>(word).filter(fits);
                let value = words.parse(&format!("invalid {name}"), read)?;
                options.push(Attr::Value(*attr, value.to_ne_bytes()[..*bytes].to_vec()));
            }
        }
    }
    let Some(index) = index.filter(|_| has_id) else { return Err(needs_both()) };
    let mut request = Request::new(rtm::NEWVLAN, Flags::NONE, vlan_header(index));
    request.attrs.push(Attr::Nest(GLOBAL_OPTIONS | Attr::NESTED, options));
    Ok(Command::Change(Box::new(request)))
}
