//! `ip link property`: further names of an interface.

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::{Attr, Request, ifinfomsg, rtm};
use super::super::words::{Read, Words, abbreviates, is_altname};
use super::{Command, IFLA_ALT_IFNAME, IFLA_PROP_LIST};

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (kind, flags) = match words.take() {
        None | Some("help") => return Ok(Command::Help),
        Some(word) if abbreviates(word, "add") => {
            (rtm::NEWLINKPROP, Flags::CREATE | Flags::EXCL | Flags::APPEND)
        }
        Some(word) if abbreviates(word, "del") => (rtm::DELLINKPROP, Flags::NONE),
        Some(word) => {
            let line = "Operator required";
            return Err(words
                .blame(Failure::command(255, line))
                .hint(format!("`ip link property` has: add, del; `{word}` is neither")));
        }
    };
    let (mut names, mut device) = (Vec::new(), None);
    while let Some(word) = words.take() {
        if abbreviates(word, "altname") {
            let name = words.value()?;
            if !is_altname(name) {
                return Err(words.blame(Failure::invalid("not a valid altname", name)));
            }
            names.push(Attr::text(IFLA_ALT_IFNAME, name));
        } else {
            let word = if abbreviates(word, "dev") { words.value()? } else { word };
            if device.replace(word).is_some() {
                return Err(words.blame(Failure::garbage("dev", word)));
            }
        }
    }
    let Some(device) = device else {
        return Err(Failure::parser("Not enough of information: \"dev\" argument is required."));
    };
    let index = match context.world.index(device) {
        0 => return Err(Failure::no_device(device)),
        index => index,
    };
    let mut request = Request::new(kind, flags, ifinfomsg(0, index, 0, 0));
    request.attrs.push(Attr::Nest(IFLA_PROP_LIST, names));
    Ok(Command::Change(Box::new(request)))
}
