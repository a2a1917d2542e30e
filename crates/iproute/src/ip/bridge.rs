//! The language of `bridge`: ports of bridges, what they have learned, VLANs, groups (`bridge(8)`).
//!
//! Where the kernel refuses, `bridge` exits with 255 and not, as `ip`, with 2.

pub mod fdb;
pub mod link;
pub mod mdb;
pub mod vlan;

use super::Context;
use super::failure::Failure;
use super::out::Out;
use super::wire::{Object, Request, rtm};
use super::words::{Read, Words, abbreviates};

/// `AF_BRIDGE`, the family of all these messages.
pub(crate) const AF_BRIDGE: u8 = 7;

/// A command of `bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// Shows ports, of one index where it is named.
    Links(Option<u32>),
    /// Shows forwarding entries.
    Fdb(fdb::Selection),
    /// Asks for one forwarding entry.
    FdbGet(Box<Request>, fdb::Selection),
    /// Shows VLANs.
    Vlans(vlan::Selection),
    /// Shows multicast groups.
    Mdb(mdb::Selection),
    /// Listens.
    Monitor(Monitor),
    /// The way it is used.
    Help,
}

const OBJECTS: &[&str] = &["link", "fdb", "mdb", "vlan", "vni", "monitor", "help"];

/// Reads a command of `bridge`, from its object on.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Help) };
    let object = OBJECTS.iter().find(|name| abbreviates(word, name)).copied();
    match object {
        Some("link") => link::read(words, context),
        Some("fdb") => fdb::read(words, context),
        Some("mdb") => mdb::read(words, context),
        Some("vlan") => vlan::read(words, context),
        Some("monitor") => monitor(words),
        Some("help") => Ok(Command::Help),
        Some(name) => Err(words.blame(Failure::not_covered(&format!("`bridge {name}`")))),
        None => {
            let line = format!("Object \"{word}\" is unknown, try \"bridge help\".");
            let hint = "objects: link, fdb, vlan, mdb, monitor";
            Err(words.blame(Failure::command(255, line)).hint(hint))
        }
    }
}

/// What is to be listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Monitor {
    /// The groups of events (`RTNLGRP_*`, linux/rtnetlink.h).
    pub groups: Vec<u32>,
    /// Whether each event is told with the kind of its object.
    pub labels: bool,
}

const GROUP_LINK: u32 = 1;
const GROUP_NEIGH: u32 = 3;
const GROUP_MDB: u32 = 26;
const GROUP_VLAN: u32 = 33;

fn monitor(words: &mut Words<'_>) -> Read<Command> {
    let mut monitor = Monitor::default();
    let usual = [GROUP_LINK, GROUP_NEIGH, GROUP_MDB];
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("file") || word == "vni" {
            let failure = Failure::not_covered(&format!("`{word}` of `bridge monitor`"));
            return Err(words.blame(failure));
        } else if is("link") {
            monitor.groups.push(GROUP_LINK);
        } else if is("fdb") {
            monitor.groups.push(GROUP_NEIGH);
        } else if is("mdb") {
            monitor.groups.push(GROUP_MDB);
        } else if is("vlan") {
            monitor.groups.push(GROUP_VLAN);
        } else if word == "all" {
            monitor.groups.extend(usual);
            monitor.groups.push(GROUP_VLAN);
            monitor.labels = true;
        } else if is("help") {
            return Ok(Command::Help);
        } else {
            let line = format!("Argument \"{word}\" is unknown, try \"bridge monitor help\".");
            return Err(words.blame(Failure::parser(line)));
        }
    }
    if monitor.groups.is_empty() {
        monitor.groups.extend(usual);
    }
    Ok(Command::Monitor(monitor))
}

impl Monitor {
    /// Returns the label of an event; `None` where it is not told.
    #[must_use]
    pub fn label(&self, event: &Object) -> Option<&'static str> {
        let family = event.u8_at(0);
        match event.kind {
            rtm::NEWLINK | rtm::DELLINK => matches!(family, 0 | AF_BRIDGE).then_some("[LINK]"),
            rtm::NEWNEIGH | rtm::DELNEIGH => (family == AF_BRIDGE).then_some("[NEIGH]"),
            rtm::NEWMDB | rtm::DELMDB => Some("[MDB]"),
            rtm::NEWVLAN | rtm::DELVLAN => Some("[VLAN]"),
            _ => None,
        }
    }

    /// Prints an event, with its line end.
    pub fn show(&self, out: &mut Out, event: &Object, context: &mut Context<'_>) {
        match event.kind {
            rtm::NEWLINK | rtm::DELLINK => link::show(out, event, context),
            rtm::NEWNEIGH | rtm::DELNEIGH => {
                fdb::show(out, event, context, &fdb::Selection::default());
            }
            rtm::NEWMDB | rtm::DELMDB => mdb::event(out, event, context),
            rtm::NEWVLAN | rtm::DELVLAN => vlan::event(out, event, context),
            _ => {}
        }
    }
}

/// Returns the index of an interface.
fn device(name: &str, context: &mut Context<'_>, what: &str) -> Read<u32> {
    match context.world.index(name) {
        0 => {
            let line = format!("Cannot find {what} \"{name}\"");
            Err(Failure { code: 255, line, ..Failure::no_device(name) })
        }
        index => Ok(index),
    }
}

/// Reads a number as C's `atoi` does: what follows the digits does not count, and no digits are 0.
fn atoi(word: &str) -> i64 {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: i64 = digits[..end].parse().unwrap_or_default();
    if digits.len() < word.len() { -number } else { number }
}

/// Reads what is shown of which interface: `dev NAME`, and the number behind `number`.
fn selection(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    number: &str,
) -> Read<(Option<u32>, u16)> {
    let (mut dev, mut id) = (None, 0);
    while let Some(word) = words.take() {
        if word == "dev" {
            let name = words.value()?;
            if dev.replace(name).is_some() {
                return Err(words.blame(Failure::twice("dev", name)));
            }
        } else if word == number {
            let word = words.value()?;
            if id != 0 {
                return Err(words.blame(Failure::twice(number, word)));
            }
            id = u16::try_from(atoi(word)).unwrap_or_default();
        }
    }
    let index = dev.map(|dev| device(dev, context, "device")).transpose()?;
    Ok((index, id))
}

fn unknown(word: &str, object: &str, known: &str) -> Failure {
    let line = format!("Command \"{word}\" is unknown, try \"bridge {object} help\".");
    Failure::parser(line).hint(format!("`bridge {object}` has: {known}"))
}
