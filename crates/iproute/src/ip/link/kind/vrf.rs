//! vrf: a routing table of its own for some interfaces (drivers/net/vrf.c).

use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Read, Words, abbreviates};
use super::super::super::{Context, World};
use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "vrf", read, print: Some(print), print_port: Some(print), read_port: None };

/// The same for a vrf and its ports.
const TABLE: u16 = 1;

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    while let Some(word) = words.take() {
        if !abbreviates(word, "table") {
            return Err(super::unknown(words, "vrf: unknown option", word));
        }
        let tables = context.world.tables().clone();
        let read = |word: &str| tables.tables.number(word, u32::MAX);
        attrs.push(Attr::u32(TABLE, words.parse("invalid table ID\n", read)?));
    }
    Ok(attrs)
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if let Some(table) = data.u32(TABLE) {
        out.num("table", "table {} ", table);
    }
}
