//! `ip nexthop add`, `replace` and `delete`: words to one message.

use std::net::IpAddr;

use vnet_netlink::Flags;

use super::super::Context;
use super::super::encap;
use super::super::failure::Failure;
use super::super::route::RTNH_F_ONLINK;
use super::super::wire::{Attr, Request};
use super::super::words::{Family, Read, Words, abbreviates, integer};
use super::{
    Command, NHA_BLACKHOLE, NHA_FDB, NHA_GATEWAY, NHA_GROUP, NHA_GROUP_TYPE, NHA_ID, NHA_OIF,
    NHA_RES_GROUP, TUNNEL, device, header, id,
};

/// The words of a resilient group and their attributes (`NHA_RES_GROUP_*`).
const BUCKETS: u16 = 1;
const IDLE_TIMER: u16 = 2;
const UNBALANCED_TIMER: u16 = 3;

/// Ticks of the kernel's timers in a second (`USER_HZ`).
const TICKS: u32 = 100;

pub(super) fn read(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    kind: u16,
    how: Flags,
) -> Read<Command> {
    let mut family = context.options.family;
    let (mut attrs, mut flags, mut protocol) = (Vec::new(), 0, 0);
    while let Some(word) = words.take() {
        match word {
            "id" => attrs.push(Attr::u32(NHA_ID, id(words)?)),
            "dev" => {
                let index = device(words, context, "Device does not exist\n")?;
                attrs.push(Attr::u32(NHA_OIF, index));
                family = family.or(Family::Inet);
            }
            "via" => {
                let gateway = gateway(words, family)?;
                if family != Family::Any && family != Family::of(gateway) {
                    let word = gateway.to_string();
                    let failure = Failure::invalid("address family mismatch\n", &word);
                    return Err(words.blame(failure));
                }
                family = Family::of(gateway);
                attrs.push(Attr::address(NHA_GATEWAY, gateway));
            }
            "encap" => attrs.extend(encap::read(words, context, TUNNEL)?),
            "blackhole" => {
                attrs.push(Attr::Value(NHA_BLACKHOLE, Vec::new()));
                family = family.or(Family::Inet);
            }
            "fdb" => attrs.push(Attr::Value(NHA_FDB, Vec::new())),
            "onlink" => flags |= u32::from(RTNH_F_ONLINK),
            "group" => {
                let word = words.value()?;
                attrs.push(group(words, word)?);
            }
            "type" => group_type(words, &mut attrs)?,
            "help" => return Ok(Command::Help),
            _ if abbreviates(word, "protocol") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| u8::try_from(tables.protocols.number(word, 255)?).ok();
                protocol = words.parse("\"protocol\" value is invalid\n", read)?;
            }
            _ => return Err(words.blame(Failure::invalid("", word))),
        }
    }
    let header = header(family.number(), protocol, flags);
    Ok(Command::Change(Box::new(Request { kind, flags: how, header, attrs })))
}

/// Reads a gateway, which may have the name of its family before it.
fn gateway(words: &mut Words<'_>, family: Family) -> Read<IpAddr> {
    match words.peek() {
        Some("inet") => {
            words.take();
            words.address(Family::Inet)
        }
        Some("inet6") => {
            words.take();
            words.address(Family::Inet6)
        }
        _ => words.address(family),
    }
}

/// Reads `ID[,WEIGHT]/…` into `struct nexthop_grp`s.
fn group(words: &Words<'_>, word: &str) -> Read<Attr> {
    let invalid = |why: &str, word: &str| words.blame(Failure::invalid(why, word));
    let mut bytes = Vec::new();
    for part in word.split('/') {
        let (id, weight) = match part.split_once(',') {
            Some((id, weight)) => (id, Some(weight)),
            None => (part, None),
        };
        let id: u32 =
            integer(id).ok_or_else(|| invalid("\"group\" value is invalid\n", part_of(word)))?;
        let weight = match weight {
            None => 1,
            Some(weight) => integer::<u32>(weight)
                .filter(|weight| (1..=256).contains(weight))
                .ok_or_else(|| invalid("\"weight\" is invalid\n", weight))?,
        };
        bytes.extend_from_slice(&id.to_ne_bytes());
        bytes.extend_from_slice(&[u8::try_from(weight - 1).unwrap_or(u8::MAX), 0, 0, 0]);
    }
    Ok(Attr::Value(NHA_GROUP, bytes))
}

/// What iproute2 has left of the word when it complains: it cuts it at the first separator.
fn part_of(word: &str) -> &str {
    word.split(['/', ',']).next().unwrap_or(word)
}

fn group_type(words: &mut Words<'_>, attrs: &mut Vec<Attr>) -> Read<()> {
    let read = |word: &str| ["mpath", "resilient"].iter().position(|name| *name == word);
    let kind = words.parse("\"type\" value is invalid\n", read)?;
    let mut resilient = Vec::new();
    let option = |word: Option<&str>| match word {
        Some("buckets") => Some(BUCKETS),
        Some("idle_timer") => Some(IDLE_TIMER),
        Some("unbalanced_timer") => Some(UNBALANCED_TIMER),
        _ => None,
    };
    while let Some(attr) = option(words.peek()).filter(|_| kind == 1) {
        words.take();
        resilient.push(match attr {
            BUCKETS => Attr::u16(attr, words.parse("invalid buckets value", integer)?),
            _ => {
                let why = match attr {
                    IDLE_TIMER => "invalid idle timer value",
                    _ => "invalid unbalanced timer value",
                };
                let read = |word: &str| integer::<u32>(word).filter(|s| *s < u32::MAX / TICKS);
                Attr::u32(attr, words.parse(why, read)? * TICKS)
            }
        });
    }
    if !resilient.is_empty() {
        attrs.push(Attr::Nest(NHA_RES_GROUP | Attr::NESTED, resilient));
    }
    attrs.push(Attr::u16(NHA_GROUP_TYPE, u16::from(kind == 1)));
    Ok(())
}
