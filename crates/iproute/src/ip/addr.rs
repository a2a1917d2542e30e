//! `ip address`: addresses of interfaces (`ip-address(8)`).

mod set;
mod show;

use std::net::IpAddr;

pub use show::{event, show};

use super::failure::Failure;
use super::link::{Selection, select};
use super::wire::{Attrs, Object, Request};
use super::words::{Read, Words, abbreviates};
use super::{Context, unknown_command};

pub(crate) const IFA_ADDRESS: u16 = 1;
pub(crate) const IFA_LOCAL: u16 = 2;
pub(crate) const IFA_LABEL: u16 = 3;
pub(crate) const IFA_BROADCAST: u16 = 4;
pub(crate) const IFA_ANYCAST: u16 = 5;
pub(crate) const IFA_CACHEINFO: u16 = 6;
pub(crate) const IFA_FLAGS: u16 = 8;
pub(crate) const IFA_RT_PRIORITY: u16 = 9;

/// The length of `struct ifaddrmsg`.
pub const HEADER_BYTES: usize = 8;

/// A command of `ip address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes all addresses that are asked for.
    Flush(Selection),
    /// The way it is used.
    Help,
}

const COMMANDS: &[&str] =
    &["add", "change", "replace", "delete", "show", "lst", "list", "flush", "help"];

/// What iproute2 has and this crate has not.
const MISSING: &[&str] = &["save", "showdump", "restore"];

/// Reads a command of `ip address`.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else {
        return select(words, context, false).map(Command::Show);
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        set::read(words, context, set::Verb::Add)
    } else if is("change") || word == "chg" {
        set::read(words, context, set::Verb::Change)
    } else if is("replace") {
        set::read(words, context, set::Verb::Replace)
    } else if is("delete") {
        set::read(words, context, set::Verb::Delete)
    } else if is("show") || is("lst") || is("list") {
        select(words, context, false).map(Command::Show)
    } else if is("flush") {
        if words.left() == 0 {
            return Err(Failure::command(1, "Flush requires arguments.")
                .hint("`ip address flush dev NAME` removes all addresses of an interface"));
        }
        select(words, context, false).map(Command::Flush)
    } else if let Some(name) = MISSING.iter().find(|name| is(name)) {
        Err(words.blame(Failure::not_covered(&format!("`ip address {name}`"))))
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "address", COMMANDS)))
    }
}

/// Returns the flags of an address: the header has room for the first eight only.
#[must_use]
pub fn flags_of(address: &Object, attrs: &Attrs<'_>) -> u32 {
    attrs.u32(IFA_FLAGS).unwrap_or_else(|| address.u8_at(2).into())
}

/// Returns the address on this side.
#[must_use]
pub fn local_of(attrs: &Attrs<'_>) -> Option<IpAddr> {
    attrs.address(IFA_LOCAL).or_else(|| attrs.address(IFA_ADDRESS))
}
