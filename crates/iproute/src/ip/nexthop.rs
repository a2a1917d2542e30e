//! `ip nexthop`: next hops as objects of their own, and groups of them (`ip-nexthop(8)`).

mod set;
mod show;

pub use show::{bucket, entry, show, uncovered};

use vnet_netlink::Flags;

use super::failure::Failure;
use super::wire::{Attr, Request, rtm};
use super::words::{Read, Words, abbreviates, integer};
use super::{Context, unknown_command};

// `NHA_*`, linux/nexthop.h.
pub(crate) const NHA_ID: u16 = 1;
pub(crate) const NHA_GROUP: u16 = 2;
pub(crate) const NHA_GROUP_TYPE: u16 = 3;
pub(crate) const NHA_BLACKHOLE: u16 = 4;
pub(crate) const NHA_OIF: u16 = 5;
pub(crate) const NHA_GATEWAY: u16 = 6;
pub(crate) const NHA_GROUPS: u16 = 9;
pub(crate) const NHA_MASTER: u16 = 10;
pub(crate) const NHA_FDB: u16 = 11;
pub(crate) const NHA_RES_GROUP: u16 = 12;
/// What is put around packets, and its kind.
const TUNNEL: [u16; 2] = [8, 7];
pub(crate) const NHA_RES_BUCKET: u16 = 13;
pub(crate) const NHA_RES_BUCKET_INDEX: u16 = 1;
pub(crate) const NHA_RES_BUCKET_NH_ID: u16 = 3;

/// The length of `struct nhmsg`.
pub const HEADER_BYTES: usize = 8;

/// The fixed header, `struct nhmsg`.
pub(crate) fn header(family: u8, protocol: u8, flags: u32) -> Vec<u8> {
    let mut header = vec![family, 0, protocol, 0];
    header.extend_from_slice(&flags.to_ne_bytes());
    header
}

/// A command of `ip nexthop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// Asks for one.
    Get(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes one.
    FlushOne(Box<Request>),
    /// Removes all that are asked for.
    Flush(Selection),
    /// Asks for the buckets of resilient groups.
    Buckets(Box<Request>),
    /// Asks for one bucket.
    Bucket(Box<Request>),
    /// The way it is used.
    Help,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    family: u8,
    attrs: Vec<Attr>,
    protocol: Option<u32>,
    /// Whether nothing was said.
    pub all: bool,
}

impl Selection {
    /// Returns the question; `groups` asks for groups alone.
    #[must_use]
    pub fn question(&self, groups: bool) -> Request {
        let mut request = Request::new(rtm::GETNEXTHOP, Flags::NONE, header(self.family, 0, 0));
        request.attrs.clone_from(&self.attrs);
        if groups {
            request.attrs.push(Attr::Value(NHA_GROUPS, Vec::new()));
        }
        request
    }

    /// Tells whether a next hop is asked for: the kernel does not know the protocol's part.
    #[must_use]
    pub fn wants(&self, nexthop: &super::wire::Object) -> bool {
        self.protocol.is_none_or(|protocol| protocol == u32::from(nexthop.u8_at(2)))
    }
}

const COMMANDS: &[&str] =
    &["add", "replace", "delete", "list", "show", "get", "flush", "bucket", "help"];

/// Reads a command of `ip nexthop`.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else {
        return Ok(Command::Show(Selection {
            family: context.options.family.number(),
            all: true,
            ..Selection::default()
        }));
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        set::read(words, context, rtm::NEWNEXTHOP, Flags::CREATE | Flags::EXCL)
    } else if is("replace") {
        set::read(words, context, rtm::NEWNEXTHOP, Flags::CREATE | Flags::REPLACE)
    } else if is("delete") {
        set::read(words, context, rtm::DELNEXTHOP, Flags::NONE)
    } else if is("list") || is("show") || is("lst") {
        select(words, context, false)
    } else if is("get") {
        get(words, context)
    } else if is("flush") {
        select(words, context, true)
    } else if is("bucket") {
        buckets(words, context)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "nexthop", COMMANDS)))
    }
}

fn id(words: &mut Words<'_>) -> Read<u32> {
    words.parse("invalid id value", integer)
}

fn about(id: u32, family: u8, kind: u16) -> Box<Request> {
    let mut request = Request::new(kind, Flags::NONE, header(family, 0, 0));
    request.attrs.push(Attr::u32(NHA_ID, id));
    Box::new(request)
}

fn device(words: &mut Words<'_>, context: &mut Context<'_>, why: &str) -> Read<u32> {
    let name = words.value()?;
    match context.world.index(name) {
        0 => Err(words.blame(Failure::invalid(why, name))),
        index => Ok(index),
    }
}

fn select(words: &mut Words<'_>, context: &mut Context<'_>, flush: bool) -> Read<Command> {
    let family = context.options.family.number();
    let mut said = Selection { family, all: words.left() == 0, ..Selection::default() };
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("dev") {
            said.attrs.push(Attr::u32(NHA_OIF, device(words, context, "Device does not exist\n")?));
        } else if is("groups") {
            said.attrs.push(Attr::Value(NHA_GROUPS, Vec::new()));
        } else if is("master") {
            let index = device(words, context, "Device does not exist\n")?;
            said.attrs.push(Attr::u32(NHA_MASTER, index));
        } else if is("vrf") {
            said.attrs.push(Attr::u32(NHA_MASTER, device(words, context, "Invalid VRF\n")?));
        } else if word == "id" {
            let id = id(words)?;
            return Ok(match flush {
                true => Command::FlushOne(about(id, 0, rtm::DELNEXTHOP)),
                false => Command::Get(about(id, family, rtm::GETNEXTHOP)),
            });
        } else if is("protocol") {
            let protocol = words.parse("invalid protocol value", integer)?;
            said.protocol = Some(protocol).filter(|protocol| *protocol != 0);
        } else if is("fdb") {
            said.attrs.push(Attr::Value(NHA_FDB, Vec::new()));
        } else if is("help") {
            return Ok(Command::Help);
        } else {
            return Err(words.blame(Failure::invalid("", word)));
        }
    }
    Ok(if flush { Command::Flush(said) } else { Command::Show(said) })
}

fn get(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let mut wanted = 0;
    while let Some(word) = words.take() {
        if word != "id" {
            return Ok(Command::Help);
        }
        wanted = id(words)?;
    }
    Ok(match wanted {
        0 => Command::Help,
        id => Command::Get(about(id, context.options.family.number(), rtm::GETNEXTHOP)),
    })
}

fn buckets(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let family = context.options.family.number();
    let mut request = Request::new(rtm::GETNEXTHOPBUCKET, Flags::NONE, header(family, 0, 0));
    let word = words.take().unwrap_or("list");
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("get") {
        return bucket_get(words, request);
    }
    if is("help") {
        return Ok(Command::Help);
    }
    if !(is("list") || is("show") || is("lst")) {
        return Err(words.blame(unknown_command(word, "nexthop", &["list", "get"])));
    }
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        request.attrs.push(if is("dev") {
            Attr::u32(NHA_OIF, device(words, context, "Device does not exist\n")?)
        } else if is("master") {
            Attr::u32(NHA_MASTER, device(words, context, "Device does not exist\n")?)
        } else if is("vrf") {
            Attr::u32(NHA_MASTER, device(words, context, "Invalid VRF\n")?)
        } else if word == "id" {
            Attr::u32(NHA_ID, id(words)?)
        } else if word == "nhid" {
            let inner = Attr::u32(NHA_RES_BUCKET_NH_ID, id(words)?);
            Attr::Nest(NHA_RES_BUCKET | Attr::NESTED, vec![inner])
        } else if is("help") {
            return Ok(Command::Help);
        } else {
            return Err(words.blame(Failure::invalid("", word)));
        });
    }
    Ok(Command::Buckets(Box::new(request)))
}

fn bucket_get(words: &mut Words<'_>, mut request: Request) -> Read<Command> {
    let (mut wanted, mut at) = (0, None);
    while let Some(word) = words.take() {
        match word {
            "id" => wanted = id(words)?,
            "index" => {
                at = Some(words.parse("invalid bucket index value", integer::<u16>)?);
            }
            _ => return Ok(Command::Help),
        }
    }
    let (Some(at), 1..) = (at, wanted) else { return Ok(Command::Help) };
    request.attrs.push(Attr::u32(NHA_ID, wanted));
    let inner = Attr::u16(NHA_RES_BUCKET_INDEX, at);
    request.attrs.push(Attr::Nest(NHA_RES_BUCKET | Attr::NESTED, vec![inner]));
    Ok(Command::Bucket(Box::new(request)))
}
