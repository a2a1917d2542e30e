//! `ip neighbour`: which hardware address is behind an IP address (`ip-neighbour(8)`).

use std::net::IpAddr;

use vnet_netlink::Flags;

use super::failure::Failure;
use super::link::is_vrf;
use super::out::{Out, Shade};
use super::wire::{Attr, Object, Request, mac_of, rtm};
use super::words::{Family, Prefix, Read, Words, abbreviates, hardware_address, integer};
use super::{Context, unknown_command};

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
const NDA_PROBES: u16 = 4;
const NDA_MASTER: u16 = 9;
const NDA_PROTOCOL: u16 = 12;

/// What stands for no master where 0 would mean that none was named.
const NO_MASTER: u32 = u32::MAX;

const NTF_USE: u8 = 0x01;
const NTF_PROXY: u8 = 0x08;
const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_OFFLOADED: u8 = 0x20;
const NTF_ROUTER: u8 = 0x80;

/// The length of `struct ndmsg`.
const HEADER_BYTES: usize = 12;

/// The states in the order in which they are shown (`NUD_*`, linux/neighbour.h).
const STATES: &[(u16, &str)] = &[
    (0x01, "INCOMPLETE"),
    (0x02, "REACHABLE"),
    (0x04, "STALE"),
    (0x08, "DELAY"),
    (0x10, "PROBE"),
    (0x20, "FAILED"),
    (NUD_NOARP, "NOARP"),
    (NUD_PERMANENT, "PERMANENT"),
];
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;

/// What iproute2 calls the state 0 in a selection.
const NUD_NONE: u16 = 0x100;

/// A command of `ip neighbour`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// Asks for one.
    Get(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes all that are asked for.
    Flush(Selection),
    /// The way it is used.
    Help,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    family: Family,
    index: Option<u32>,
    /// The states, as bits.
    pub states: u16,
    prefix: Option<Prefix>,
    proxy: bool,
    protocol: Option<u8>,
    /// Only those of ports of this interface, by index.
    master: Option<u32>,
    /// Only those that nothing uses.
    unused: bool,
}

const COMMANDS: &[&str] =
    &["add", "change", "replace", "delete", "get", "show", "lst", "list", "flush", "help"];

/// Reads a command of `ip neighbour`.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else {
        return select(words, context, 0xff & !NUD_NOARP).map(Command::Show);
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        change(words, context, rtm::NEWNEIGH, Flags::CREATE | Flags::EXCL)
    } else if is("change") || word == "chg" {
        change(words, context, rtm::NEWNEIGH, Flags::REPLACE)
    } else if is("replace") {
        change(words, context, rtm::NEWNEIGH, Flags::CREATE | Flags::REPLACE)
    } else if is("delete") {
        change(words, context, rtm::DELNEIGH, Flags::NONE)
    } else if is("get") {
        get(words, context)
    } else if is("show") || is("lst") || is("list") {
        select(words, context, 0xff & !NUD_NOARP).map(Command::Show)
    } else if is("flush") {
        if words.left() == 0 {
            return Err(Failure::command(1, "Flush requires arguments."));
        }
        select(words, context, !(NUD_PERMANENT | NUD_NOARP)).map(Command::Flush)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "neigh", COMMANDS)))
    }
}

fn header(family: u8, index: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![family, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header.extend_from_slice(&state.to_ne_bytes());
    header.extend_from_slice(&[flags, 0]);
    header
}

fn device(name: &str, context: &mut Context<'_>) -> Read<u32> {
    match context.world.index(name) {
        0 => Err(Failure::no_device(name)),
        index => Ok(index),
    }
}

fn protocol(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<u8> {
    let tables = context.world.tables().clone();
    let read = |word: &str| u8::try_from(tables.protocols.number(word, 255)?).ok();
    words.parse("\"protocol\" value is invalid\n", read)
}

fn change(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    kind: u16,
    how: Flags,
) -> Read<Command> {
    let mut family = context.options.family;
    let (mut dev, mut to, mut attrs) = (None, None, Vec::new());
    let (mut state, mut flags) = (NUD_PERMANENT, 0);
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("lladdr") {
            let word = words.value()?;
            if word != "null" {
                let mac = hardware_address(word).ok_or_else(|| {
                    words.blame(Failure::command(1, format!("\"{word}\" is invalid lladdr.")))
                })?;
                attrs.push(Attr::Value(NDA_LLADDR, mac));
            }
        } else if word == "nud" {
            state = words.parse("nud state is bad", read_state)?;
        } else if is("proxy") {
            to = Some(words.address(family)?);
            flags |= NTF_PROXY;
        } else if word == "router" {
            flags |= NTF_ROUTER;
        } else if word == "use" {
            flags |= NTF_USE;
        } else if is("extern_learn") {
            flags |= NTF_EXT_LEARNED;
        } else if word == "managed" {
            return Err(words.blame(Failure::not_covered("`managed` of a neighbour")));
        } else if word == "dev" {
            dev = Some(words.value()?);
        } else if is("protocol") {
            attrs.push(Attr::u8(NDA_PROTOCOL, protocol(words, context)?));
        } else if is("help") {
            return Ok(Command::Help);
        } else {
            if word != "to" {
                words.back();
            }
            if to.is_some() {
                let word = words.value()?;
                return Err(words.blame(Failure::garbage("to", word)));
            }
            to = Some(words.address(family)?);
        }
        family = family.or(to.map_or(Family::Any, Family::of));
    }
    // Who is answered for may be asked for anywhere.
    let is_anywhere = flags & NTF_PROXY != 0 && dev.is_none();
    let Some(to) = to.filter(|_| dev.is_some() || is_anywhere) else {
        return Err(Failure::parser("Device and destination are required arguments."));
    };
    if kind == rtm::DELNEIGH {
        attrs.clear();
    }
    attrs.insert(0, Attr::address(NDA_DST, to));
    let index = dev.map_or(Ok(0), |dev| device(dev, context))?;
    let header = header(Family::of(to).number(), index, state, flags);
    Ok(Command::Change(Box::new(Request { kind, flags: how, header, attrs })))
}

fn get(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let family = context.options.family;
    let (mut dev, mut to, mut flags) = (None, None, 0);
    while let Some(word) = words.take() {
        if word == "dev" {
            dev = Some(words.value()?);
        } else if abbreviates(word, "proxy") {
            flags |= NTF_PROXY;
            to = Some(words.address(family)?);
        } else {
            if word != "to" {
                words.back();
            }
            if to.is_some() {
                let word = words.value()?;
                return Err(words.blame(Failure::garbage("to", word)));
            }
            to = Some(words.address(family)?);
        }
    }
    let (Some(dev), Some(to)) = (dev, to) else {
        return Err(Failure::command(1, "Device and address are required arguments."));
    };
    let index = device(dev, context)?;
    let header = header(Family::of(to).number(), index, 0, flags);
    let mut request = Request::new(rtm::GETNEIGH, Flags::NONE, header);
    request.attrs.push(Attr::address(NDA_DST, to));
    Ok(Command::Get(Box::new(request)))
}

/// Reads a state: its word or its number (`nud_state_a2n`, lib/utils.c).
fn read_state(word: &str) -> Option<u16> {
    if word == "none" {
        return Some(0);
    }
    let named = STATES.iter().find(|(_, name)| {
        let name = name.to_ascii_lowercase();
        name == word || (word != "noarp" && abbreviates(word, &name))
    });
    named.map(|(state, _)| *state).or_else(|| integer(word))
}

fn select(words: &mut Words<'_>, context: &mut Context<'_>, states: u16) -> Read<Selection> {
    let mut said = Selection {
        family: context.options.family,
        index: None,
        states,
        prefix: None,
        proxy: false,
        protocol: None,
        master: None,
        unused: false,
    };
    let (mut dev, mut has_states) = (None, false);
    while let Some(word) = words.take() {
        if word == "dev" {
            dev = Some(words.value()?);
        } else if word == "nud" {
            let word = words.value()?;
            if !has_states {
                (said.states, has_states) = (0, true);
            }
            said.states |= match word {
                "all" => !0,
                word => match read_state(word) {
                    Some(0) => NUD_NONE,
                    Some(state) => state,
                    None => return Err(words.blame(Failure::invalid("nud state is bad", word))),
                },
            };
        } else if abbreviates(word, "proxy") {
            said.proxy = true;
        } else if abbreviates(word, "protocol") {
            said.protocol = Some(protocol(words, context)?);
        } else if word == "master" || word == "vrf" {
            let name = words.value()?;
            let index = context.world.index(name);
            let is_there = if word == "vrf" { is_vrf(context, index) } else { index != 0 };
            if !is_there {
                let why = match word {
                    "vrf" => "Not a valid VRF name\n",
                    _ => "Device does not exist\n",
                };
                return Err(words.blame(Failure::invalid(why, name)));
            }
            said.master = Some(index);
        } else if word == "nomaster" {
            said.master = Some(NO_MASTER);
        } else if word == "unused" {
            said.unused = true;
        } else {
            if word != "to" {
                words.back();
            }
            let prefix = words.prefix(said.family)?;
            said.family = said.family.or(prefix.family());
            said.prefix = Some(prefix);
        }
    }
    said.index = dev.map(|dev| device(dev, context)).transpose()?;
    Ok(said)
}

impl Selection {
    /// Returns the question.
    #[must_use]
    pub fn question(&self) -> Request {
        let flags = if self.proxy { NTF_PROXY } else { 0 };
        let header = header(self.family.number(), 0, 0, flags);
        let mut request = Request::new(rtm::GETNEIGH, Flags::NONE, header);
        request.attrs.extend(self.master.map(|master| Attr::u32(NDA_MASTER, master)));
        request
    }

    /// Tells whether a neighbour is asked for.
    #[must_use]
    pub fn wants(&self, neighbour: &Object) -> bool {
        let attrs = neighbour.attrs(HEADER_BYTES);
        let (state, flags) = (neighbour.u16_at(8), neighbour.u8_at(10));
        let by_state = self.states & state != 0
            || flags & (NTF_PROXY | NTF_EXT_LEARNED) != 0
            || (state == 0 && self.states & NUD_NONE != 0);
        by_state
            && (self.family == Family::Any || self.family.number() == neighbour.u8_at(0))
            && self.index.is_none_or(|index| index == neighbour.u32_at(4))
            && !(self.unused && users(&attrs) != 0)
            && self.protocol.is_none_or(|protocol| attrs.u8(NDA_PROTOCOL) == Some(protocol))
            && self.prefix.is_none_or(|prefix| {
                attrs.address(NDA_DST).is_some_and(|address| contains(&prefix, address))
            })
    }
}

/// Returns how many use an entry: the last number of `struct nda_cacheinfo`.
fn users(attrs: &super::wire::Attrs<'_>) -> u32 {
    let info = attrs.get(NDA_CACHEINFO).and_then(|info| info.get(12..)?.first_chunk());
    info.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn contains(prefix: &Prefix, address: IpAddr) -> bool {
    prefix.address.is_none_or(|net| super::route::agree(net, address, prefix.length))
}

/// Prints a neighbour, with its line end.
pub fn show(
    out: &mut Out,
    neighbour: &Object,
    context: &mut Context<'_>,
    said: Option<&Selection>,
) {
    let attrs = neighbour.attrs(HEADER_BYTES);
    let (state, flags) = (neighbour.u16_at(8), neighbour.u8_at(10));
    let shade = if neighbour.u8_at(0) == 2 { Shade::Inet } else { Shade::Inet6 };
    let name = context.world.name(neighbour.u32_at(4));
    let mac = attrs.get(NDA_LLADDR).map(mac_of);
    out.open(None);
    out.deleted(neighbour.kind == rtm::DELNEIGH);
    let brief = context.options.brief;
    if let Some(address) = attrs.address(NDA_DST) {
        let format = if brief { "{:40}" } else { "{} " };
        out.shaded(shade, "dst", format, &context.shown(address));
    }
    if said.is_none_or(|said| said.index.is_none()) && neighbour.u32_at(4) != 0 {
        out.text(if brief { "" } else { "dev " });
        out.shaded(Shade::Name, "dev", if brief { "{:16} " } else { "{} " }, &name);
    }
    if let Some(mac) = mac {
        out.text(if brief { "" } else { "lladdr " });
        out.shaded(Shade::Mac, "lladdr", if brief { "{}" } else { "{} " }, &mac);
    }
    if !brief {
        for (flag, word) in [
            (NTF_ROUTER, "router"),
            (NTF_PROXY, "proxy"),
            (NTF_EXT_LEARNED, "extern_learn"),
            (NTF_OFFLOADED, "offload"),
        ] {
            if flags & flag != 0 {
                out.num_as(word, "{} ", "null", word);
            }
        }
        if context.options.stats > 0 {
            print_stats(out, &attrs);
        }
        if state != 0 {
            out.open_array("state", "");
            for (_, word) in STATES.iter().filter(|(bit, _)| state & bit != 0) {
                out.str("", "{} ", word);
            }
            out.close_array("");
        }
        if let Some(protocol) = attrs.u8(NDA_PROTOCOL) {
            let tables = context.world.tables();
            out.str("protocol", "proto {} ", &tables.show(&tables.protocols, protocol.into()));
        }
    }
    out.text("\n");
    out.close();
}

/// Prints how long ago it was used: `struct nda_cacheinfo`, in ticks of 1/100 s.
fn print_stats(out: &mut Out, attrs: &super::wire::Attrs<'_>) {
    if let Some(info) = attrs.get(NDA_CACHEINFO) {
        let at = |place: usize| {
            let bytes = info.get(place * 4..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        if at(3) != 0 {
            out.num("refcnt", " ref {}", at(3));
        }
        out.num("used", " used {}", at(1) / 100);
        out.num("confirmed", "/{}", at(0) / 100);
        out.num("updated", "/{}", at(2) / 100);
    }
    if let Some(probes) = attrs.u32(NDA_PROBES) {
        out.num("probes", "probes {} ", probes);
    }
}
