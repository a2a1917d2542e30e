//! Which routes are shown: the words of `ip route show`.

use std::net::IpAddr;

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::tables::Tables;
use super::super::wire::{Attr, Attrs, Object, Request, rtm};
use super::super::words::{Family, Prefix, Read, Words, abbreviates, integer};
use super::{
    HEADER_BYTES, Header, RTA_DST, RTA_FLOW, RTA_GATEWAY, RTA_IIF, RTA_MARK, RTA_NH_ID, RTA_OIF,
    RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTM_F_CLONED, TABLE_MAIN, route_type,
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
    /// Only routes from sources within this prefix.
    pub from_root: Option<Prefix>,
    /// Only routes from sources that hold this prefix.
    pub from_matching: Option<Prefix>,
    /// Only routes of this type of service.
    pub tos: Option<u8>,
    /// Only routes of packets from this interface, by index.
    pub in_dev: Option<u32>,
    /// Only routes of packets with this mark.
    pub mark: Option<u32>,
    /// Only routes of this next hop.
    pub nexthop: Option<u32>,
    /// Only routes with these realms: value and mask.
    pub realms: Option<(u32, u32)>,
    /// What the kernel keeps of routes in use, which it no longer does.
    pub is_cache: bool,
    /// Whether local and broadcast routes are left out, which the kernel derives from addresses.
    pub leaves_out_derived: bool,
    /// Whether nothing was selected: a packet's route is shown, not a table.
    pub is_answer: bool,
}

/// Reads the name of a VRF for its table; `default` is the main one.
pub(super) fn vrf_table(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<u32> {
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
    let (mut device, mut in_device) = (None, None);
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
        } else if word == "tos" || is("dsfield") {
            let tables = context.world.tables().clone();
            let read = |word: &str| tables.read_dsfield(word);
            said.tos = Some(words.parse("TOS value is invalid\n", read)?);
        } else if word == "iif" {
            in_device = Some(words.value()?);
        } else if word == "mark" {
            said.mark = Some(words.parse("invalid mark value", integer)?);
        } else if word == "nhid" {
            said.nexthop = Some(words.parse("invalid id value", integer)?);
        } else if is("realms") {
            let tables = context.world.tables().clone();
            let read = |word: &str| read_realms(word, &tables);
            said.realms = Some(words.parse("invalid realms\n", read)?);
        } else if is("from") {
            said.read_from(words)?;
        } else {
            said.read_destination(words, word)?;
        }
    }
    if said.family == Family::Any && said.table.is_some() {
        said.family = Family::Inet;
    }
    for (name, index) in [(in_device, &mut said.in_dev), (device, &mut said.dev)] {
        if let Some(name) = name {
            match context.world.index(name) {
                0 => return Err(Failure::no_device(name)),
                found => *index = Some(found),
            }
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
        let (root, matching) = read_prefix(words, word, self.family)?;
        (self.root, self.matching) = (root.or(self.root), matching.or(self.matching));
        Ok(())
    }

    fn read_from(&mut self, words: &mut Words<'_>) -> Read<()> {
        let word = words.value()?;
        let (root, matching) = read_prefix(words, word, self.family)?;
        self.from_root = root.or(self.from_root);
        self.from_matching = matching.or(self.from_matching);
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
            && self.in_dev.is_none_or(|dev| attrs.u32(RTA_IIF) == Some(dev))
            && self.tos.is_none_or(|tos| header.tos == tos)
            && self.mark.is_none_or(|mark| attrs.u32(RTA_MARK).unwrap_or(0) == mark)
            && self.nexthop.is_none_or(|id| attrs.u32(RTA_NH_ID).unwrap_or(0) == id)
            && self.realms.is_none_or(|(realms, mask)| {
                (attrs.u32(RTA_FLOW).unwrap_or(0) ^ realms) & mask == 0
            })
            && self.wants_ends(header, &attrs)
    }

    /// Tells whether destination and source are asked for.
    fn wants_ends(&self, header: Header, attrs: &Attrs<'_>) -> bool {
        [
            (self.root, self.matching, RTA_DST, header.dst_len),
            (self.from_root, self.from_matching, RTA_SRC, header.src_len),
        ]
        .into_iter()
        .all(|(root, matching, attr, length)| {
            let holds = |prefix: &Prefix, bits| holds(prefix, attrs.address(attr), bits);
            root.is_none_or(|root| root.length <= length && holds(&root, root.length))
                && matching.is_none_or(|prefix| prefix.length >= length && holds(&prefix, length))
        })
    }
}

/// Reads a prefix that was begun with this word: the one that holds what is asked for, and the one that
/// it holds. Both are the same without `root` and `match`.
fn read_prefix(
    words: &mut Words<'_>,
    word: &str,
    family: Family,
) -> Read<(Option<Prefix>, Option<Prefix>)> {
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
    let prefix = words.prefix(family)?;
    Ok((wants_root.then_some(prefix), wants_match.then_some(prefix)))
}

/// Reads realms with what of them counts: a side that is not named does not.
fn read_realms(word: &str, tables: &Tables) -> Option<(u32, u32)> {
    let number = |word: &str| match word {
        "" => Some(0),
        word => tables.realms.number(word, 0xffff),
    };
    let realms = match word.split_once('/') {
        Some((from, to)) => tables.realms.number(from, 0xffff)? << 16 | number(to)?,
        None => number(word)?,
    };
    let mut mask = u32::MAX;
    if realms & 0xffff == 0 && word.ends_with('/') {
        mask &= !0xffff;
    }
    if realms >> 16 == 0 && !word.contains('/') {
        mask &= 0xffff;
    }
    Some((realms, mask))
}

/// Tells whether an end of a route agrees with a prefix in its first `length` bits.
fn holds(prefix: &Prefix, found: Option<IpAddr>, length: u8) -> bool {
    match (prefix.address, found) {
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
