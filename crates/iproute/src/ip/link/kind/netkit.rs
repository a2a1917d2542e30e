//! netkit: a pair of interfaces (drivers/net/netkit.c), in the words of iproute2 6.7.

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Read, Words};
use super::super::super::{Context, World};
use super::{Kind, veth};

pub(super) const KIND: Kind =
    Kind { name: "netkit", read, print: Some(print), print_port: None, read_port: None };

/// `IFLA_NETKIT_…` (linux/if_link.h).
const PRIMARY: u16 = 2;
const POLICY: u16 = 3;
const PEER_POLICY: u16 = 4;
const MODE: u16 = 5;

/// `NETKIT_L2`, `NETKIT_L3`; `NETKIT_PASS`, `NETKIT_DROP` (linux/if_link.h).
const MODES: [(&str, u32); 2] = [("l2", 0), ("l3", 1)];
const POLICIES: [(&str, u32); 2] = [("forward", 0), ("blackhole", 2)];

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    let mut mode = None;
    let mut has_peer = false;
    while let Some(word) = words.take() {
        if word == "mode" {
            let said = words.value()?;
            if mode.replace(said).is_some() {
                return Err(words.blame(Failure::twice("mode", said)));
            }
            let Some(number) = number(&MODES, said) else {
                let line = "Error: argument of \"mode\" must be either \"l3\" or \"l2\"";
                return Err(words.blame(Failure::command(255, line)));
            };
            attrs.push(Attr::u32(MODE, number));
        } else if let Some(policy) = number(&POLICIES, word) {
            attrs.push(Attr::u32(if has_peer { PEER_POLICY } else { POLICY }, policy));
        } else if word == "peer" {
            if has_peer {
                let next = words.peek().unwrap_or_default();
                return Err(words.blame(Failure::twice("peer", next)));
            }
            has_peer = true;
        } else if has_peer {
            words.back();
            attrs.push(veth::read_peer(words, context)?);
            break;
        } else {
            return Err(super::unknown(words, "netkit: unknown option", word));
        }
    }
    Ok(attrs)
}

fn number(names: &[(&str, u32)], word: &str) -> Option<u32> {
    names.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

fn name(names: &[(&'static str, u32)], number: u32) -> &'static str {
    names.iter().find(|(_, known)| *known == number).map_or("UNKNOWN", |(name, _)| *name)
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if let Some(mode) = data.u32(MODE) {
        out.str("mode", "mode {} ", name(&MODES, mode));
    }
    if let Some(primary) = data.u8(PRIMARY) {
        out.str("type", "type {} ", if primary != 0 { "primary" } else { "peer" });
    }
    if let Some(policy) = data.u32(POLICY) {
        out.str("policy", "policy {} ", name(&POLICIES, policy));
    }
    if let Some(policy) = data.u32(PEER_POLICY) {
        out.str("peer_policy", "peer policy {} ", name(&POLICIES, policy));
    }
}
