//! Which interfaces and addresses are shown: the words of `ip link show` and `ip address show`.

use std::net::IpAddr;

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::{Attr, Object, Request, ifinfomsg, rtm};
use super::super::words::{Family, Prefix, Read, Words, abbreviates, integer};
use super::{IFLA_EXT_MASK, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, SKIP_STATS};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The family of the addresses; links alone for [`Family::Link`].
    pub family: Family,
    /// The one interface, by index.
    pub index: Option<u32>,
    /// Only interfaces that are up.
    pub up: bool,
    /// Only ports of this interface; 0 for those of none.
    pub master: Option<u32>,
    /// Only interfaces of this kind.
    pub kind: Option<String>,
    /// Only ports of interfaces of this kind.
    pub port_kind: Option<String>,
    /// Only interfaces of this group.
    pub group: Option<u32>,
    /// Only addresses of this scope.
    pub scope: Option<u8>,
    /// Only addresses with these flags as given: mask and value.
    pub flags: (u32, u32),
    /// The family for which links are asked.
    pub links_family: Family,
    /// Only addresses in this prefix.
    pub prefix: Option<Prefix>,
    /// Only addresses with a label that matches.
    pub label: Option<String>,
    /// Whether it is told that it has changed: without the length of its queue.
    pub is_event: bool,
    /// Whether it is about links and not their addresses.
    pub links_only: bool,
}

/// The flags of an address by their words (linux/if_addr.h).
const FLAGS: &[(&str, u32)] = &[
    ("secondary", 0x01),
    ("temporary", 0x01),
    ("nodad", 0x02),
    ("optimistic", 0x04),
    ("dadfailed", 0x08),
    ("home", 0x10),
    ("deprecated", 0x20),
    ("tentative", 0x40),
    ("permanent", 0x80),
    ("mngtmpaddr", 0x100),
    ("noprefixroute", 0x200),
    ("autojoin", 0x400),
    ("stable-privacy", 0x800),
];

/// Reads what is asked for.
///
/// # Errors
/// When a word can't be understood, or the interface is not there.
pub fn select(words: &mut Words<'_>, context: &mut Context<'_>, links: bool) -> Read<Selection> {
    let family = if links { Family::Link } else { context.options.family };
    let mut selection =
        Selection { family, links_family: family, links_only: links, ..Selection::default() };
    let mut device: Option<&str> = None;
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if word == "to" {
            let prefix = words.prefix(selection.family)?;
            selection.family = selection.family.or(prefix.family());
            selection.prefix = prefix.address.map(|_| prefix);
        } else if word == "scope" {
            selection.scope = read_scope(words, context)?;
        } else if word == "up" {
            selection.up = true;
        } else if is("group") {
            selection.group = Some(read_group(words, context)?);
        } else if is("label") {
            selection.label = Some(words.value()?.to_owned());
        } else if word == "master" || word == "vrf" {
            let name = words.value()?;
            let index = context.world.index(name);
            let is_there = if word == "vrf" { super::is_vrf(context, index) } else { index != 0 };
            match is_there {
                false => {
                    let why = match word {
                        "vrf" => "Not a valid VRF name\n",
                        _ => "Device does not exist\n",
                    };
                    return Err(words.blame(Failure::invalid(why, name)));
                }
                true => selection.master = Some(index),
            }
        } else if word == "nomaster" {
            selection.master = Some(0);
        } else if word == "type" {
            let kind = words.value()?;
            match kind.strip_suffix("_slave") {
                Some(kind) => selection.port_kind = Some(kind.to_owned()),
                None => selection.kind = Some(kind.to_owned()),
            }
        } else if selection.read_flag(word) {
        } else {
            let word = if word == "dev" { words.value()? } else { word };
            if word == "help" && device.is_none() {
                return Err(Failure::command(255, "help"));
            }
            if device.replace(word).is_some() {
                return Err(words.blame(Failure::garbage("dev", word)));
            }
        }
    }
    if let Some(name) = device {
        match context.world.index(name) {
            0 => {
                let line = format!("Device \"{name}\" does not exist.");
                let hint = "`ip -br link` lists the interfaces that are here";
                return Err(Failure::command(1, line).hint(hint));
            }
            index => selection.index = Some(index),
        }
    }
    Ok(selection)
}

fn read_scope(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Option<u8>> {
    let word = words.value()?;
    if word == "all" {
        return Ok(None);
    }
    match context.world.tables().scopes.number(word, 255) {
        Some(scope) => Ok(u8::try_from(scope).ok()),
        None => Err(words.blame(Failure::invalid("invalid \"scope\"\n", word))),
    }
}

pub(super) fn read_group(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<u32> {
    let tables = context.world.tables().clone();
    words.parse("Invalid \"group\" value\n", |word| tables.groups.number(word, i32::MAX as u32))
}

impl Selection {
    /// Reads a word that stands for a flag of an address, or `-` and such a word.
    fn read_flag(&mut self, word: &str) -> bool {
        if word == "dynamic" || word == "permanent" {
            self.flags.0 |= 0x80;
            self.flags.1 = self.flags.1 & !0x80 | if word == "permanent" { 0x80 } else { 0 };
            return true;
        }
        if word == "primary" {
            self.flags.0 |= 0x01;
            self.flags.1 &= !0x01;
            return true;
        }
        let (name, on) = match word.strip_prefix('-') {
            Some(name) => (name, false),
            None => (word, true),
        };
        let Some((_, flag)) = FLAGS.iter().find(|(known, _)| *known == name) else {
            return false;
        };
        self.flags.0 |= flag;
        self.flags.1 = self.flags.1 & !flag | if on { *flag } else { 0 };
        true
    }

    /// Returns the question for the links.
    #[must_use]
    pub fn question(&self, stats: bool) -> Request {
        let family = if self.index.is_some() { 0 } else { self.links_family.number() };
        let index = self.index.unwrap_or(0);
        let mut request =
            Request::new(rtm::GETLINK, vnet_netlink::Flags::NONE, ifinfomsg(family, index, 0, 0));
        let mask = 1 | if stats { 0 } else { SKIP_STATS };
        if matches!(family, 2 | 10) {
            // Such a dump takes no conditions (`inet6_valid_dump_ifinfo`, net/ipv6/addrconf.c).
            return request;
        }
        request.attrs.push(Attr::u32(IFLA_EXT_MASK, mask));
        if self.index.is_none() {
            request.attrs.extend(
                self.master.filter(|index| *index != 0).map(|index| Attr::u32(IFLA_MASTER, index)),
            );
            if let Some(kind) = &self.kind {
                let kind = Attr::text(IFLA_INFO_KIND, kind);
                request.attrs.push(Attr::Nest(IFLA_LINKINFO, vec![kind]));
            }
        }
        request
    }

    /// Tells whether an interface's own settings are as asked for; the kernel tells some of it.
    #[must_use]
    pub fn wants_settings(&self, link: &Object) -> bool {
        let attrs = link.attrs(super::HEADER_BYTES);
        let is_up = link.u32_at(8) & 1 != 0;
        let kind = |attr: u16| attrs.nested(IFLA_LINKINFO).and_then(|info| info.text(attr));
        let is_of = |wanted: &Option<String>, attr: u16| {
            wanted.as_ref().is_none_or(|wanted| kind(attr).as_ref() == Some(wanted))
        };
        (is_up || !self.up)
            && self.group.is_none_or(|group| attrs.u32(super::IFLA_GROUP) == Some(group))
            && self.master.is_none_or(|master| attrs.u32(IFLA_MASTER).unwrap_or(0) == master)
            && is_of(&self.kind, IFLA_INFO_KIND)
            && is_of(&self.port_kind, super::IFLA_INFO_SLAVE_KIND)
    }

    /// Tells whether an address is asked for; `name` is its interface's.
    #[must_use]
    pub fn wants_address(&self, address: &Object, name: &str) -> bool {
        let attrs = address.attrs(super::super::addr::HEADER_BYTES);
        let family = address.u8_at(0);
        let flags = super::super::addr::flags_of(address, &attrs);
        let local = super::super::addr::local_of(&attrs);
        let label = || attrs.text(super::super::addr::IFA_LABEL).unwrap_or_else(|| name.to_owned());
        (self.family == Family::Any || self.family.number() == family)
            && self.scope.is_none_or(|scope| scope == address.u8_at(3))
            && flags & self.flags.0 == self.flags.1
            && self.prefix.is_none_or(|prefix| local.is_some_and(|local| contains(&prefix, local)))
            && self.label.as_deref().is_none_or(|pattern| {
                // An IPv6 address has no label: it goes by its interface's name.
                matches_pattern(pattern, &label())
            })
    }

    /// Tells whether an interface with these addresses is shown.
    #[must_use]
    pub fn wants_link(&self, index: u32, name: &str, addresses: &[Object]) -> bool {
        if self.family == Family::Link {
            return true;
        }
        let mut has_any = false;
        for address in addresses.iter().filter(|address| address.u32_at(4) == index) {
            has_any = true;
            if self.wants_address(address, name) {
                return true;
            }
        }
        !has_any && matches!(self.family, Family::Any | Family::Link)
    }
}

/// Tells whether an address is in a prefix.
fn contains(prefix: &Prefix, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let Some(net) = prefix.address else { return true };
    if net.is_ipv4() != address.is_ipv4() {
        return false;
    }
    let length = u32::from(prefix.length);
    length == 0 || (bits(net).0 ^ bits(address).0) >> (128 - length) == 0
}

/// Matches a pattern of a shell: `*`, `?` (`fnmatch(3)`).
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| matches_pattern(rest, &text[at..]))
        }
        Some(c) => {
            let mut text = text.chars();
            text.next().is_some_and(|found| c == '?' || c == found)
                && matches_pattern(rest.as_str(), text.as_str())
        }
    }
}

/// Reads a number with a sign (`get_integer`, lib/utils.c).
pub(super) fn signed(word: &str) -> Option<i32> {
    match word.strip_prefix('-') {
        Some(digits) => i32::try_from(-i64::from(integer::<u32>(digits)?)).ok(),
        None => integer::<i32>(word),
    }
}
