//! `ip route`: routing tables (`ip-route(8)`).

mod get;
mod metrics;
mod select;
mod set;
mod show;

pub use select::Selection;
pub use select::agree;
pub use show::show;
pub use show::uncovered;
pub(crate) use show::{print_flags, shade};

use super::failure::Failure;
use super::wire::Request;
use super::words::{Read, Words, abbreviates};
use super::{Context, unknown_command};

pub(crate) const RTA_DST: u16 = 1;
pub(crate) const RTA_SRC: u16 = 2;
pub(crate) const RTA_IIF: u16 = 3;
pub(crate) const RTA_OIF: u16 = 4;
pub(crate) const RTA_GATEWAY: u16 = 5;
pub(crate) const RTA_PRIORITY: u16 = 6;
pub(crate) const RTA_PREFSRC: u16 = 7;
pub(crate) const RTA_METRICS: u16 = 8;
pub(crate) const RTA_MULTIPATH: u16 = 9;
pub(crate) const RTA_FLOW: u16 = 11;
pub(crate) const RTA_CACHEINFO: u16 = 12;
pub(crate) const RTA_TABLE: u16 = 15;
pub(crate) const RTA_MARK: u16 = 16;
pub(crate) const RTA_VIA: u16 = 18;
pub(crate) const RTA_PREF: u16 = 20;
pub(crate) const RTA_ENCAP_TYPE: u16 = 21;
pub(crate) const RTA_ENCAP: u16 = 22;
pub(crate) const RTA_EXPIRES: u16 = 23;
/// What is put around packets, and its kind.
pub(crate) const TUNNEL: [u16; 2] = [RTA_ENCAP, RTA_ENCAP_TYPE];
pub(crate) const RTA_UID: u16 = 25;
pub(crate) const RTA_IP_PROTO: u16 = 27;
pub(crate) const RTA_SPORT: u16 = 28;
pub(crate) const RTA_DPORT: u16 = 29;
pub(crate) const RTA_NH_ID: u16 = 30;

pub(crate) const TABLE_MAIN: u32 = 254;
pub(crate) const TABLE_LOCAL: u32 = 255;
pub(crate) const SCOPE_UNIVERSE: u8 = 0;
pub(crate) const SCOPE_LINK: u8 = 253;
pub(crate) const SCOPE_HOST: u8 = 254;
pub(crate) const SCOPE_NOWHERE: u8 = 255;
pub(crate) const RTN_UNICAST: u8 = 1;
pub(crate) const RTM_F_CLONED: u32 = 0x200;
pub(crate) const RTNH_F_ONLINK: u8 = 4;
pub(crate) const RTNH_F_PERVASIVE: u8 = 2;

/// The length of `struct rtmsg`.
pub const HEADER_BYTES: usize = 12;

/// The types of routes by number (`RTN_*`, linux/rtnetlink.h).
pub(crate) const TYPES: [&str; 12] = [
    "none",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];

/// Reads a type of route: its word, or its number.
pub(crate) fn route_type(word: &str) -> Option<u8> {
    let word = match word {
        "any" => "anycast",
        "brd" => "broadcast",
        word => word,
    };
    let by_name = TYPES.iter().position(|name| *name == word && word != "none");
    by_name.and_then(|at| u8::try_from(at).ok()).or_else(|| super::words::integer(word))
}

/// The fixed header, `struct rtmsg`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) family: u8,
    pub(crate) dst_len: u8,
    pub(crate) src_len: u8,
    pub(crate) tos: u8,
    pub(crate) table: u8,
    pub(crate) protocol: u8,
    pub(crate) scope: u8,
    pub(crate) kind: u8,
    pub(crate) flags: u32,
}

impl Header {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![
            self.family,
            self.dst_len,
            self.src_len,
            self.tos,
            self.table,
            self.protocol,
            self.scope,
            self.kind,
        ];
        bytes.extend_from_slice(&self.flags.to_ne_bytes());
        bytes
    }

    pub(crate) fn of(object: &super::wire::Object) -> Self {
        Self {
            family: object.u8_at(0),
            dst_len: object.u8_at(1),
            src_len: object.u8_at(2),
            tos: object.u8_at(3),
            table: object.u8_at(4),
            protocol: object.u8_at(5),
            scope: object.u8_at(6),
            kind: object.u8_at(7),
            flags: object.u32_at(8),
        }
    }
}

/// A command of `ip route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// Asks which route a packet would take.
    Get(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes all routes that are asked for.
    Flush(Selection),
    /// The way it is used.
    Help,
}

const COMMANDS: &[&str] = &[
    "list", "show", "get", "add", "change", "replace", "prepend", "append", "test", "delete",
    "flush", "help",
];

/// Reads a command of `ip route`.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    use set::Verb;
    let Some(word) = words.take() else {
        return select::read(words, context).map(Command::Show);
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("list") || is("show") || is("lst") {
        select::read(words, context).map(Command::Show)
    } else if is("get") {
        get::read(words, context)
    } else if is("add") {
        set::read(words, context, Verb::Add)
    } else if is("change") || word == "chg" {
        set::read(words, context, Verb::Change)
    } else if is("replace") {
        set::read(words, context, Verb::Replace)
    } else if is("prepend") {
        set::read(words, context, Verb::Prepend)
    } else if is("append") {
        set::read(words, context, Verb::Append)
    } else if is("test") {
        set::read(words, context, Verb::Test)
    } else if is("delete") {
        set::read(words, context, Verb::Delete)
    } else if is("flush") {
        if words.left() == 0 {
            return Err(Failure::command(1, "\"ip route flush\" requires arguments.")
                .hint("`ip route flush table main` removes all routes of that table"));
        }
        select::read(words, context).map(Command::Flush)
    } else if is("save") || is("restore") || is("showdump") {
        Err(words.blame(Failure::not_covered(&format!("`ip route {word}`"))))
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "route", COMMANDS)))
    }
}
