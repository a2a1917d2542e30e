//! veth: a pair of interfaces (drivers/net/veth.c).

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::wire::{Attr, ifinfomsg};
use super::super::super::words::{Read, Words};
use super::super::set::Settings;
use super::Kind;

/// The other end: a link header and attributes (`VETH_INFO_PEER`, linux/veth.h;
/// `IFLA_NETKIT_PEER_INFO`, linux/if_link.h).
const PEER_INFO: u16 = 1;

pub(super) const KIND: Kind =
    Kind { name: "veth", read, print: None, print_port: None, read_port: None };

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let Some(word) = words.take() else { return Ok(Vec::new()) };
    if word == "help" {
        return Err(Failure::command(255, "... veth [ peer [ name NAME ] LINK-OPTIONS ]"));
    }
    if word != "peer" {
        let failure = Failure::command(1, format!("vnet ip: unknown option `{word}` of a veth"));
        return Err(words.blame(failure).hint("a veth knows only `peer`"));
    }
    Ok(vec![read_peer(words, context)?])
}

/// Reads what is said of the other end of a pair.
pub(super) fn read_peer(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Attr> {
    let peer = Settings::read(words, context)?;
    let (flags, change) = peer.flags();
    let mut value = ifinfomsg(0, peer.index.unwrap_or(0), flags, change);
    let mut inner = Vec::new();
    if let Some(name) = peer.name.or(peer.dev) {
        inner.push(Attr::text(super::super::IFLA_IFNAME, name));
    }
    inner.extend(peer.attrs);
    Attr::write_all(&inner, &mut value);
    Ok(Attr::Value(PEER_INFO | Attr::NESTED, value))
}
