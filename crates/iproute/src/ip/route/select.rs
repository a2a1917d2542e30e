//! Which routes are shown: the words of `ip route show`.

use std::net::IpAddr;

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::{Attr, Object, Request, rtm};
use super::super::words::{Family, Prefix, Read, Words, abbreviates, integer};
use super::{
    HEADER_BYTES, Header, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE,
    RTM_F_CLONED, TABLE_MAIN, route_type,
};

const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The family.
    pub family: Family,
    /// The table; `None` all.
    pub table: Option<u32>,
    /// Only routes through this interface, by index.
    pub dev: Option<u32>,
    /// Only routes of this protocol.
    pub protocol: Option<u8>,
    /// Only routes of this scope.
    pub scope: Option<u8>,
    /// Only routes of this type.
    pub kind: Option<u8>,
    /// Only routes with this metric.
    pub metric: Option<u32>,
    /// Only routes through this gateway.
    pub via: Option<Prefix>,
    /// Only routes with this source address.
    pub source: Option<Prefix>,
    /// Only destinations within this prefix.
    pub root: Option<Prefix>,
    /// Only destinations that hold this prefix.
    pub matching: Option<Prefix>,
    /// What the kernel keeps of routes in use, which it no longer does.
    pub is_cache: bool,
    /// Whether local and broadcast routes are left out, which the kernel derives from addresses.
    pub leaves_out_derived: bool,
    /// Whether nothing was selected: a packet's route is shown, not a table.
    pub is_answer: bool,
}

/// iproute2's words of this place that are not covered.
const MISSING: &[&str] = &["iif", "mark", "from", "nhid", "tos", "dsfield"];

/// Reads the name of a VRF for its table; `default` is the main one.
fn vrf_table(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<u32> {
    let name = words.value()?;
    let index = context.world.index(name);
    let link = if index == 0 { None } else { context.world.link(index) };
    let table = link.and_then(|link| super::super::link::vrf_table(&link));
    match table {
        Some(table) => Ok(table),
        None if name == "default" => Ok(TABLE_MAIN),
        None => Err(words.blame(Failure::invalid("Invalid VRF\n", name))),
    }
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Selection> {
    let family = context.options.family;
    let mut said = Selection { family, table: Some(TABLE_MAIN), ..Selection::default() };
    let mut device = None;
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("table") {
            said.read_table(words, context)?;
        } else if is("cached") || is("cloned") {
            said.is_cache = true;
        } else if is("metric") || is("priority") || is("preference") {
            said.metric = Some(words.parse("\"metric\" value is invalid\n", integer)?);
        } else if is("protocol") {
            let tables = context.world.tables().clone();
            let word = words.value()?;
            if word != "all" {
                let number = tables.protocols.number(word, 255).and_then(|n| u8::try_from(n).ok());
                let failure = || Failure::invalid("invalid \"protocol\"\n", word);
                said.protocol = Some(number.ok_or_else(|| words.blame(failure()))?);
            }
        } else if is("scope") {
            let tables = context.world.tables().clone();
            let word = words.value()?;
            if word != "all" {
                let number = tables.scopes.number(word, 255).and_then(|n| u8::try_from(n).ok());
                let failure = || Failure::invalid("invalid \"scope\"\n", word);
                said.scope = Some(number.ok_or_else(|| words.blame(failure()))?);
            }
        } else if is("type") {
            said.kind = Some(words.parse("node type value is invalid\n", route_type)?);
        } else if word == "dev" || word == "oif" {
            device = Some(words.value()?);
        } else if word == "via" {
            if let Some(family) = match words.peek() {
                Some("inet") => Some(Family::Inet),
                Some("inet6") => Some(Family::Inet6),
                _ => None,
            } {
                words.take();
                said.via = Some(words.prefix(family)?);
            } else {
                said.via = Some(words.prefix(said.family)?);
            }
        } else if word == "vrf" {
            said.table = Some(vrf_table(words, context)?);
            said.leaves_out_derived = true;
        } else if word == "src" {
            said.source = Some(words.prefix(said.family)?);
        } else if MISSING.contains(&word) || is("realms") {
            let failure = Failure::not_covered(&format!("`{word}` of a selection of routes"));
            return Err(words.blame(failure));
        } else {
            said.read_destination(words, word)?;
        }
    }
    if said.family == Family::Any && said.table.is_some() {
        said.family = Family::Inet;
    }
    if let Some(name) = device {
        match context.world.index(name) {
            0 => return Err(Failure::no_device(name)),
            index => said.dev = Some(index),
        }
    }
    Ok(said)
}

impl Selection {
    /// What `ip route get` shows: whatever the kernel answered.
    #[must_use]
    pub fn answer() -> Self {
        Self { is_answer: true, ..Self::default() }
    }

    /// Tells whether the main table is asked for.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.table == Some(TABLE_MAIN)
    }

    fn read_table(&mut self, words: &mut Words<'_>, context: &mut Context<'_>) -> Read<()> {
        let tables = context.world.tables().clone();
        match words.value()? {
            "all" => self.table = None,
            "cache" => self.is_cache = true,
            word => match tables.tables.number(word, u32::MAX) {
                Some(0) => self.table = None,
                Some(table) => self.table = Some(table),
                None => {
                    let failure = Failure::invalid("table id value is invalid\n", word);
                    let hint = "a table is a number or a name of /etc/iproute2/rt_tables";
                    return Err(words.blame(failure).hint(hint));
                }
            },
        }
        Ok(())
    }

    fn read_destination(&mut self, words: &mut Words<'_>, word: &str) -> Read<()> {
        let word = if word == "to" { words.value()? } else { word };
        let (wants_root, wants_match) = if abbreviates(word, "root") {
            (true, false)
        } else if abbreviates(word, "match") {
            (false, true)
        } else {
            if !abbreviates(word, "exact") {
                words.back();
            }
            (true, true)
        };
        let prefix = words.prefix(self.family)?;
        if wants_root {
            self.root = Some(prefix);
        }
        if wants_match {
            self.matching = Some(prefix);
        }
        Ok(())
    }

    /// Returns the question for the routes.
    #[must_use]
    pub fn question(&self) -> Request {
        let header = Header {
            family: self.family.number(),
            protocol: self.protocol.unwrap_or(0),
            flags: if self.is_cache { RTM_F_CLONED } else { 0 },
            ..Header::default()
        };
        let mut request = Request::new(rtm::GETROUTE, Flags::NONE, header.to_bytes());
        request.attrs.extend(self.table.map(|table| Attr::u32(RTA_TABLE, table)));
        request.attrs.extend(self.dev.map(|dev| Attr::u32(RTA_OIF, dev)));
        request
    }

    /// Tells whether a route is asked for.
    #[must_use]
    pub fn wants(&self, route: &Object) -> bool {
        if self.is_answer {
            return true;
        }
        let header = Header::of(route);
        let attrs = route.attrs(HEADER_BYTES);
        let table = attrs.u32(RTA_TABLE).unwrap_or_else(|| header.table.into());
        let equal = |wanted: Option<u8>, found: u8| wanted.is_none_or(|wanted| wanted == found);
        let within = |prefix: Option<Prefix>, attr: u16| {
            prefix.is_none_or(|prefix| match (prefix.address, attrs.address(attr)) {
                (None, _) => true,
                (Some(net), Some(found)) => agree(net, found, prefix.length),
                (Some(_), None) => false,
            })
        };
        let is_cached = header.flags & RTM_F_CLONED != 0;
        is_cached == self.is_cache
            && self.table.is_none_or(|wanted| wanted == table)
            && (self.family == Family::Any || self.family.number() == header.family)
            && equal(self.protocol, header.protocol)
            && equal(self.scope, header.scope)
            && equal(self.kind, header.kind)
            && !(self.leaves_out_derived && matches!(header.kind, RTN_LOCAL | RTN_BROADCAST))
            && self.dev.is_none_or(|dev| attrs.u32(RTA_OIF) == Some(dev))
            && self.metric.is_none_or(|metric| attrs.u32(RTA_PRIORITY).unwrap_or(0) == metric)
            && within(self.via, RTA_GATEWAY)
            && within(self.source, RTA_PREFSRC)
            && self.root.is_none_or(|root| {
                root.length <= header.dst_len && holds(&root, &attrs, root.length)
            })
            && self.matching.is_none_or(|prefix| {
                prefix.length >= header.dst_len && holds(&prefix, &attrs, header.dst_len)
            })
    }
}

/// Tells whether a route's destination agrees with a prefix in its first `length` bits.
fn holds(prefix: &Prefix, attrs: &super::super::wire::Attrs<'_>, length: u8) -> bool {
    match (prefix.address, attrs.address(RTA_DST)) {
        (Some(net), Some(found)) => agree(net, found, length),
        (Some(_), None) => length == 0,
        (None, _) => true,
    }
}

/// Tells whether two addresses have the same first `length` bits.
#[must_use]
pub fn agree(one: IpAddr, other: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    one.is_ipv4() == other.is_ipv4()
        && (length == 0 || (bits(one) ^ bits(other)) >> (128 - u32::from(length)) == 0)
}
