//! `ip route add`, `replace`, `delete` and the like: words to one message.

use std::net::IpAddr;

use vnet_netlink::Flags;

use super::super::Context;
use super::super::encap;
use super::super::failure::Failure;
use super::super::wire::{Attr, Request, bytes_of, rtm};
use super::super::words::{Family, Prefix, Read, Words, abbreviates, integer};
use super::metrics::Metrics;
use super::select::vrf_table;
use super::{
    Command, Header, RTA_DST, RTA_EXPIRES, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH,
    RTA_NH_ID, RTA_OIF, RTA_PREF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA,
    RTN_UNICAST, RTNH_F_ONLINK, RTNH_F_PERVASIVE, SCOPE_HOST, SCOPE_LINK, SCOPE_NOWHERE,
    SCOPE_UNIVERSE, TABLE_LOCAL, TABLE_MAIN, TUNNEL, route_type,
};

const RTPROT_BOOT: u8 = 3;

/// iproute2's words of this place that are not covered.
const NOT_COVERED: &[&str] = &["as", "ttl-propagate", "offload"];

/// What is done to the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Change,
    Replace,
    Prepend,
    Append,
    Test,
    Delete,
}

/// What was said.
#[derive(Debug, Default)]
struct Said<'a> {
    header: Header,
    attrs: Vec<Attr>,
    metrics: Metrics,
    has_destination: bool,
    has_gateway: bool,
    has_legs: bool,
    table: Option<u32>,
    scope: Option<u8>,
    dev: Option<&'a str>,
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>, verb: Verb) -> Read<Command> {
    let (kind, flags) = match verb {
        Verb::Add => (rtm::NEWROUTE, Flags::CREATE | Flags::EXCL),
        Verb::Change => (rtm::NEWROUTE, Flags::REPLACE),
        Verb::Replace => (rtm::NEWROUTE, Flags::CREATE | Flags::REPLACE),
        Verb::Prepend => (rtm::NEWROUTE, Flags::CREATE),
        Verb::Append => (rtm::NEWROUTE, Flags::CREATE | Flags::APPEND),
        Verb::Test => (rtm::NEWROUTE, Flags::EXCL),
        Verb::Delete => (rtm::DELROUTE, Flags::NONE),
    };
    let mut said = Said::default();
    said.header.family = context.options.family.number();
    said.header.scope = SCOPE_NOWHERE;
    if verb != Verb::Delete {
        said.header.protocol = RTPROT_BOOT;
        said.header.scope = SCOPE_UNIVERSE;
        said.header.kind = RTN_UNICAST;
    }
    while let Some(word) = words.take() {
        if word == "help" || said.read_one(words, context, word)? {
            return Ok(Command::Help);
        }
    }
    if !said.has_destination {
        return Ok(Command::Help);
    }
    said.request(context, kind, flags).map(|request| Command::Change(Box::new(request)))
}

impl<'a> Said<'a> {
    fn family(&self) -> Family {
        match self.header.family {
            2 => Family::Inet,
            10 => Family::Inet6,
            _ => Family::Any,
        }
    }

    fn learn(&mut self, family: Family) {
        if self.header.family == 0 {
            self.header.family = family.number();
        }
    }

    /// Reads a word and what belongs to it; tells whether it asked for help.
    fn read_one(
        &mut self,
        words: &mut Words<'a>,
        context: &mut Context<'_>,
        word: &'a str,
    ) -> Read<bool> {
        let is = |keyword: &str| abbreviates(word, keyword);
        match word {
            "src" => {
                let source = words.address(self.family())?;
                self.learn(Family::of(source));
                self.attrs.push(Attr::address(RTA_PREFSRC, source));
            }
            "via" => self.read_gateway(words)?,
            "encap" => self.attrs.extend(encap::read(words, context, TUNNEL)?),
            "from" => {
                let from = words.prefix(self.family())?;
                self.learn(from.family());
                self.attrs.extend(from.address.map(|from| Attr::address(RTA_SRC, from)));
                self.header.src_len = from.length;
            }
            _ if word == "tos" || is("dsfield") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.read_dsfield(word);
                self.header.tos = words.parse("\"tos\" value is invalid\n", read)?;
            }
            "pref" => {
                let read =
                    |word: &str| ["medium", "high", "", "low"].iter().position(|n| *n == word);
                let pref = words.parse("\"pref\" value is invalid\n", read)?;
                self.attrs.push(Attr::u8(RTA_PREF, u8::try_from(pref).unwrap_or_default()));
            }
            "expires" => {
                let seconds = words.parse("\"expires\" value is invalid\n", integer)?;
                self.attrs.push(Attr::u32(RTA_EXPIRES, seconds));
            }
            _ if is("metric") || is("priority") || is("preference") => {
                let metric = words.parse("\"metric\" value is invalid\n", integer)?;
                self.attrs.push(Attr::u32(RTA_PRIORITY, metric));
            }
            "scope" => {
                let tables = context.world.tables().clone();
                let read = |word: &str| u8::try_from(tables.scopes.number(word, 255)?).ok();
                self.scope = Some(words.parse("invalid \"scope\" value\n", read)?);
            }
            "onlink" => self.header.flags |= u32::from(RTNH_F_ONLINK),
            _ if is("nexthop") => return self.read_legs(words, context).map(|()| false),
            "nhid" => {
                let id = words.parse("\"id\" value is invalid\n", integer)?;
                self.attrs.push(Attr::u32(RTA_NH_ID, id));
                self.has_legs = true;
            }
            _ if is("protocol") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| u8::try_from(tables.protocols.number(word, 255)?).ok();
                self.header.protocol = words.parse("\"protocol\" value is invalid\n", read)?;
            }
            _ if is("table") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.tables.number(word, u32::MAX);
                self.table = Some(words.parse("\"table\" value is invalid\n", read)?);
            }
            "dev" | "oif" => self.dev = Some(words.value()?),
            _ if self.metrics.read(words, word)? => {}
            _ if is("realms") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.read_realms(word);
                let realm = words.parse("\"realm\" value is invalid\n", read)?;
                self.attrs.push(Attr::u32(RTA_FLOW, realm));
            }
            _ if is("pervasive") => self.header.flags |= u32::from(RTNH_F_PERVASIVE),
            _ if is("vrf") => self.table = Some(vrf_table(words, context)?),
            _ if NOT_COVERED.contains(&word) => {
                let failure = Failure::not_covered(&format!("`{word}` of a route"));
                return Err(words.blame(failure));
            }
            _ => return self.read_destination(words, word),
        }
        Ok(false)
    }

    fn read_gateway(&mut self, words: &mut Words<'a>) -> Read<()> {
        self.has_gateway = true;
        let (gateway, attr) = gateway(words, self.family())?;
        self.learn(Family::of(gateway));
        self.attrs.push(attr);
        Ok(())
    }

    fn read_destination(&mut self, words: &mut Words<'a>, word: &'a str) -> Read<bool> {
        let mut word = if word == "to" { words.value()? } else { word };
        if !word.starts_with(|c: char| c.is_ascii_digit())
            && let Some(kind) = route_type(word)
        {
            self.header.kind = kind;
            word = words.value()?;
        }
        if abbreviates(word, "help") {
            return Ok(true);
        }
        if self.has_destination {
            return Err(words.blame(Failure::garbage("to", word)));
        }
        words.back();
        let destination: Prefix = words.prefix(self.family())?;
        self.learn(destination.family());
        self.header.dst_len = destination.length;
        self.has_destination = true;
        self.attrs.extend(destination.address.map(|address| Attr::address(RTA_DST, address)));
        Ok(false)
    }

    /// Reads all that follows the first `nexthop`.
    fn read_legs(&mut self, words: &mut Words<'a>, context: &mut Context<'_>) -> Read<()> {
        words.back();
        let mut legs = Vec::new();
        while let Some(word) = words.take() {
            if word != "nexthop" {
                let line =
                    format!("Error: \"nexthop\" or end of line is expected instead of \"{word}\"");
                return Err(words.blame(Failure::parser(line)));
            }
            if words.left() == 0 {
                let line = "Error: unexpected end of line after \"nexthop\"";
                return Err(words.blame(Failure::parser(line)));
            }
            legs.extend(self.read_leg(words, context)?);
        }
        self.has_legs = true;
        self.attrs.push(Attr::Value(RTA_MULTIPATH | Attr::NESTED, legs));
        Ok(())
    }

    /// Reads one leg into `struct rtnexthop` and its attributes.
    fn read_leg(&mut self, words: &mut Words<'a>, context: &mut Context<'_>) -> Read<Vec<u8>> {
        let (mut flags, mut hops, mut index, mut attrs) = (0_u8, 0_u8, 0_u32, Vec::new());
        while let Some(word) = words.take() {
            match word {
                "via" => {
                    let (gateway, attr) = gateway(words, self.family())?;
                    self.learn(Family::of(gateway));
                    attrs.push(attr);
                }
                "dev" => {
                    let name = words.value()?;
                    index = context.world.index(name);
                    if index == 0 {
                        let failure = Failure { code: 255, ..Failure::no_device(name) };
                        return Err(words.blame(failure));
                    }
                }
                "weight" => {
                    let read = |word: &str| {
                        integer::<u32>(word).filter(|weight| (1..=256).contains(weight))
                    };
                    let weight = words.parse("\"weight\" is invalid\n", read)?;
                    hops = u8::try_from(weight - 1).unwrap_or(u8::MAX);
                }
                "encap" => attrs.extend(encap::read(words, context, TUNNEL)?),
                "onlink" => flags |= RTNH_F_ONLINK,
                _ if NOT_COVERED.contains(&word) => {
                    let failure = Failure::not_covered(&format!("`{word}` of a leg"));
                    return Err(words.blame(failure));
                }
                _ => {
                    words.back();
                    break;
                }
            }
        }
        let mut bytes = vec![0, 0, flags, hops];
        bytes.extend_from_slice(&index.to_ne_bytes());
        Attr::write_all(&attrs, &mut bytes);
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        bytes[..2].copy_from_slice(&length.to_ne_bytes());
        Ok(bytes)
    }

    fn request(mut self, context: &mut Context<'_>, kind: u16, flags: Flags) -> Read<Request> {
        if let Some(dev) = self.dev {
            match context.world.index(dev) {
                0 => return Err(Failure::no_device(dev)),
                index => self.attrs.push(Attr::u32(RTA_OIF, index)),
            }
        }
        let metrics = self.metrics.into_attrs();
        if !metrics.is_empty() {
            self.attrs.push(Attr::Nest(RTA_METRICS, metrics));
        }
        if self.header.family == 0 {
            self.header.family = Family::Inet.number();
        }
        let name = super::TYPES.get(usize::from(self.header.kind)).copied().unwrap_or("");
        let is_local = matches!(name, "local" | "broadcast" | "nat" | "anycast");
        let table = self.table.unwrap_or(if is_local { TABLE_LOCAL } else { TABLE_MAIN });
        match u8::try_from(table) {
            Ok(table) => self.header.table = table,
            Err(_) => self.attrs.push(Attr::u32(RTA_TABLE, table)),
        }
        self.header.scope = match (self.scope, name) {
            (Some(scope), _) => scope,
            (None, "local" | "nat") => SCOPE_HOST,
            (None, "broadcast" | "multicast" | "anycast") => SCOPE_LINK,
            (None, "unicast" | "none") if kind == rtm::DELROUTE => SCOPE_NOWHERE,
            (None, "unicast" | "none") if !self.has_gateway && !self.has_legs => SCOPE_LINK,
            _ => self.header.scope,
        };
        Ok(Request { kind, flags, header: self.header.to_bytes(), attrs: self.attrs })
    }
}

/// Reads a gateway, with its family before it where that differs; one of another family than the
/// route's goes as `RTA_VIA`.
fn gateway(words: &mut Words<'_>, family: Family) -> Read<(IpAddr, Attr)> {
    let said = match words.peek() {
        Some("inet") => Family::Inet,
        Some("inet6") => Family::Inet6,
        _ => Family::Any,
    };
    if said != Family::Any {
        words.take();
    }
    let address = words.address(if said == Family::Any { family } else { said })?;
    if family == Family::Any || family == Family::of(address) {
        return Ok((address, Attr::address(RTA_GATEWAY, address)));
    }
    let mut via = u16::from(Family::of(address).number()).to_ne_bytes().to_vec();
    via.extend(bytes_of(address));
    Ok((address, Attr::Value(RTA_VIA, via)))
}
