//! `ip route get`: which route a packet would take.

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::link::is_vrf;
use super::super::wire::{Attr, Request, rtm};
use super::super::words::{Family, Read, Words, abbreviates, integer};
use super::{
    Command, Header, RTA_DPORT, RTA_DST, RTA_IIF, RTA_IP_PROTO, RTA_MARK, RTA_OIF, RTA_SPORT,
    RTA_SRC, RTA_UID,
};

/// The answer names the table (linux/rtnetlink.h).
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;

/// Listeners are told of the answer.
const RTM_F_NOTIFY: u32 = 0x100;

/// The answer is the route, not what becomes of it.
const RTM_F_FIB_MATCH: u32 = 0x2000;

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let mut header = Header::default();
    let mut family = context.options.family;
    let mut attrs = Vec::new();
    let (mut in_dev, mut out_dev) = (None, None);
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        match word {
            _ if word == "tos" || is("dsfield") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.read_dsfield(word);
                header.tos = words.parse("TOS value is invalid\n", read)?;
            }
            _ if is("from") => {
                let from = words.prefix(family)?;
                family = family.or(from.family());
                header.src_len = from.length;
                attrs.extend(from.address.map(|address| Attr::address(RTA_SRC, address)));
            }
            _ if is("iif") => in_dev = Some(words.value()?),
            "mark" => {
                let mark = words.parse("\"mark\" value is invalid\n", integer)?;
                attrs.push(Attr::u32(RTA_MARK, mark));
            }
            _ if is("oif") || word == "dev" => out_dev = Some(words.value()?),
            "uid" => {
                let uid = words.parse("invalid UID\n", integer)?;
                attrs.push(Attr::u32(RTA_UID, uid));
            }
            _ if is("fibmatch") => header.flags |= RTM_F_FIB_MATCH,
            "sport" | "dport" => {
                let port: u16 = words.parse("invalid port\n", integer)?;
                let attr = if word == "sport" { RTA_SPORT } else { RTA_DPORT };
                attrs.push(Attr::Value(attr, port.to_be_bytes().to_vec()));
            }
            "ipproto" => {
                let protocol = words.parse("Invalid \"ipproto\" value\n", protocol)?;
                attrs.push(Attr::u8(RTA_IP_PROTO, protocol));
            }
            "vrf" => {
                let name = words.value()?;
                let index = context.world.index(name);
                if !is_vrf(context, index) {
                    return Err(words.blame(Failure::invalid("Invalid VRF\n", name)));
                }
                out_dev = Some(name);
            }
            _ if is("notify") => header.flags |= RTM_F_NOTIFY,
            // iproute2 asks again from the source that it found, and shows the first answer twice.
            _ if matches!(word, "as" | "via") || is("connected") => {
                let failure = Failure::not_covered(&format!("`{word}` of `ip route get`"));
                return Err(words.blame(failure));
            }
            "help" => return Ok(Command::Help),
            _ => {
                if word != "to" {
                    words.back();
                }
                let to = words.prefix(family)?;
                family = family.or(to.family());
                let bits = if to.family() == Family::Inet6 { 128 } else { 32 };
                if to.address.is_some() && to.length != bits {
                    context.warnings.push(format!(
                        "Warning: /{} as prefix is invalid, only /{bits} (or none) is supported.",
                        to.length
                    ));
                }
                header.dst_len = if to.address.is_some() { bits } else { 0 };
                attrs.extend(to.address.map(|address| Attr::address(RTA_DST, address)));
            }
        }
    }
    if header.dst_len == 0 {
        return Err(Failure::command(1, "need at least a destination address"));
    }
    for (name, attr) in [(in_dev, RTA_IIF), (out_dev, RTA_OIF)] {
        if let Some(name) = name {
            match context.world.index(name) {
                0 => return Err(Failure::no_device(name)),
                index => attrs.push(Attr::u32(attr, index)),
            }
        }
    }
    header.family = family.or(Family::Inet).number();
    if header.family == Family::Inet.number() {
        header.flags |= RTM_F_LOOKUP_TABLE;
    }
    let header = header.to_bytes();
    let request = Request { kind: rtm::GETROUTE, flags: Flags::NONE, header, attrs };
    Ok(Command::Get(Box::new(request)))
}

/// Reads a protocol on top of IP: its name or number (`protocols(5)`).
fn protocol(word: &str) -> Option<u8> {
    match word {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        "ipv6-icmp" => Some(58),
        "sctp" => Some(132),
        word => integer(word),
    }
}
