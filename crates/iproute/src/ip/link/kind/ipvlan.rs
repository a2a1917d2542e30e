//! ipvlan and ipvtap: further interfaces with the same MAC address (drivers/net/ipvlan/).

use super::super::super::World;
use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Read, Words, abbreviates};
use super::Kind;

pub(super) const IPVLAN: Kind = Kind {
    name: "ipvlan",
    read: |words, _| read(words, "ipvlan: unknown option"),
    print: Some(print),
    print_port: None,
    read_port: None,
};
pub(super) const IPVTAP: Kind = Kind {
    name: "ipvtap",
    read: |words, _| read(words, "ipvtap: unknown option"),
    print: Some(print),
    print_port: None,
    read_port: None,
};

const MODE: u16 = 1;
const FLAGS: u16 = 2;
const PRIVATE: u16 = 1;
const VEPA: u16 = 2;

const MODES: [&str; 3] = ["l2", "l3", "l3s"];

fn read(words: &mut Words<'_>, complaint: &str) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    let mut flags = None;
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("mode") {
            let mode = words.value()?;
            let Some(at) = MODES.iter().position(|name| *name == mode) else {
                let line = "Error: argument of \"mode\" must be either \"l2\", \"l3\" or \"l3s\"";
                return Err(words.blame(Failure::command(1, line)));
            };
            attrs.push(Attr::u16(MODE, u16::try_from(at).unwrap_or_default()));
        } else if is("private") && flags.is_none() {
            flags = Some(PRIVATE);
        } else if is("vepa") && flags.is_none() {
            flags = Some(VEPA);
        } else if is("bridge") && flags.is_none() {
            flags = Some(0);
        } else {
            return Err(super::unknown(words, complaint, word));
        }
    }
    attrs.push(Attr::u16(FLAGS, flags.unwrap_or(0)));
    Ok(attrs)
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if let Some(mode) = data.u16(MODE) {
        let name = MODES.get(usize::from(mode)).unwrap_or(&"unknown");
        out.str("mode", " mode {} ", name);
    }
    if let Some(flags) = data.u16(FLAGS) {
        let word = match flags {
            flags if flags & PRIVATE != 0 => "private",
            flags if flags & VEPA != 0 => "vepa",
            _ => "bridge",
        };
        out.flag(word, &format!("{word} "));
    }
}
