//! macvlan and macvtap: further MAC addresses on an interface (drivers/net/macvlan.c).

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs, mac_of};
use super::super::super::words::{Read, Words, abbreviates, hardware_address, integer};
use super::super::super::{Context, World};
use super::Kind;

pub(super) const MACVLAN: Kind =
    Kind { name: "macvlan", read, print: Some(print), print_port: None, read_port: None };
pub(super) const MACVTAP: Kind =
    Kind { name: "macvtap", read, print: Some(print), print_port: None, read_port: None };

const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_MACVLAN_FLAGS: u16 = 2;
const IFLA_MACVLAN_MACADDR_MODE: u16 = 3;
const IFLA_MACVLAN_MACADDR: u16 = 4;
const IFLA_MACVLAN_MACADDR_DATA: u16 = 5;
const IFLA_MACVLAN_MACADDR_COUNT: u16 = 6;
const IFLA_MACVLAN_BC_QUEUE_LEN: u16 = 7;
const IFLA_MACVLAN_BC_QUEUE_LEN_USED: u16 = 8;

const NOPROMISC: u16 = 1;
const SOURCE: u32 = 16;

const MODES: &[(&str, u32)] =
    &[("private", 1), ("vepa", 2), ("bridge", 4), ("passthru", 8), ("source", SOURCE)];

fn read(words: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    while let Some(word) = words.take() {
        if abbreviates(word, "mode") {
            let mode = words.value()?;
            let found = MODES.iter().find(|(name, _)| *name == mode);
            let Some((_, value)) = found else {
                let line = "Error: argument of \"mode\" must be \"private\", \"vepa\", \
                            \"bridge\", \"passthru\" or \"source\", not ";
                return Err(words.blame(Failure::command(1, format!("{line}\"{mode}\""))));
            };
            attrs.push(Attr::u32(IFLA_MACVLAN_MODE, *value));
            if mode == "passthru" && words.peek().is_some_and(|word| abbreviates(word, "nopromisc"))
            {
                words.take();
                attrs.push(Attr::u16(IFLA_MACVLAN_FLAGS, NOPROMISC));
            }
        } else if abbreviates(word, "bcqueuelen") {
            let length = words.parse("Invalid \"bcqueuelen\" value\n", integer::<u32>)?;
            attrs.push(Attr::u32(IFLA_MACVLAN_BC_QUEUE_LEN, length));
        } else if word == "macaddr" && words.peek().is_some_and(|it| ["set", "flush"].contains(&it))
        {
            attrs.extend(read_sources(words)?);
        } else {
            let failure = Failure::not_covered(&format!("`{word}` of a macvlan"));
            return Err(words.blame(failure));
        }
    }
    Ok(attrs)
}

/// Reads from which hardware addresses frames are taken: `set` and all that follow, or `flush`.
fn read_sources(words: &mut Words<'_>) -> Read<Vec<Attr>> {
    const FLUSH: u32 = 2;
    const SET: u32 = 3;
    if words.value()? == "flush" {
        return Ok(vec![Attr::u32(IFLA_MACVLAN_MACADDR_MODE, FLUSH)]);
    }
    let mut all = Vec::new();
    while words.peek().is_some() {
        let read = |word: &str| hardware_address(word).filter(|mac| mac.len() == 6);
        all.push(Attr::Value(IFLA_MACVLAN_MACADDR, words.parse("invalid mac address", read)?));
    }
    let mode = Attr::u32(IFLA_MACVLAN_MACADDR_MODE, SET);
    Ok(vec![mode, Attr::Nest(IFLA_MACVLAN_MACADDR_DATA, all)])
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if let Some(mode) = data.u32(IFLA_MACVLAN_MODE) {
        let name =
            MODES.iter().find(|(_, value)| *value == mode).map_or("unknown", |(name, _)| name);
        out.str("mode", "mode {} ", name);
    }
    if data.u16(IFLA_MACVLAN_FLAGS).is_some_and(|flags| flags & NOPROMISC != 0) {
        out.flag("nopromisc", "nopromisc ");
    }
    if let Some(length) = data.u32(IFLA_MACVLAN_BC_QUEUE_LEN) {
        out.num("bcqueuelen", "bcqueuelen {} ", length);
    }
    if let Some(length) = data.u32(IFLA_MACVLAN_BC_QUEUE_LEN_USED) {
        out.num("usedbcqueuelen", "usedbcqueuelen {} ", length);
    }
    if data.u32(IFLA_MACVLAN_MODE) == Some(SOURCE) {
        print_sources(out, data);
    }
}

/// Prints from which hardware addresses frames are taken.
fn print_sources(out: &mut Out, data: &Attrs<'_>) {
    let Some(count) = data.u32(IFLA_MACVLAN_MACADDR_COUNT) else { return };
    out.num("macaddr_count", "remotes ({}) ", count);
    let addresses = data.get(IFLA_MACVLAN_MACADDR_DATA).unwrap_or_default();
    for address in vnet_netlink::attr::Attributes::new(addresses).map_while(Result::ok) {
        out.text(&format!("{} ", mac_of(address.value)));
    }
}
