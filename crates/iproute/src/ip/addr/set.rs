//! `ip address add`, `change`, `replace` and `delete`: words to one message.

use std::net::{IpAddr, Ipv4Addr};

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::{Attr, Request, rtm};
use super::super::words::{Family, Prefix, Read, Words, abbreviates, integer};
use super::{
    Command, IFA_ADDRESS, IFA_ANYCAST, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_LABEL,
    IFA_LOCAL, IFA_RT_PRIORITY,
};

const FOREVER: u32 = u32::MAX;
const SCOPE_HOST: u8 = 254;
const IFA_F_MCAUTOJOIN: u32 = 0x400;

/// The flags that can be set by their words (linux/if_addr.h), and whether IPv4 has them too.
const FLAGS: &[(&str, u32, bool)] = &[
    ("nodad", 0x02, false),
    ("optimistic", 0x04, false),
    ("home", 0x10, false),
    ("mngtmpaddr", 0x100, false),
    ("noprefixroute", 0x200, true),
    ("autojoin", IFA_F_MCAUTOJOIN, true),
];

/// The flags that only the kernel sets.
const READ_ONLY: &[&str] = &[
    "secondary",
    "temporary",
    "dadfailed",
    "deprecated",
    "tentative",
    "permanent",
    "stable-privacy",
];

/// What is done to the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Change,
    Replace,
    Delete,
}

/// The broadcast address as it was said.
#[derive(Debug, Clone, Copy)]
enum Broadcast {
    /// `+` or `-`: the host bits all set, or all clear.
    HostBits(bool),
    This(IpAddr),
}

/// What was said.
#[derive(Debug, Default)]
struct Said<'a> {
    family: Family,
    local: Option<(Prefix, usize)>,
    peer: Option<Prefix>,
    broadcast: Option<Broadcast>,
    anycast: Option<IpAddr>,
    scope: Option<u8>,
    dev: Option<&'a str>,
    label: Option<&'a str>,
    metric: Option<u32>,
    valid: Option<u32>,
    preferred: Option<u32>,
    flags: u32,
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>, verb: Verb) -> Read<Command> {
    let mut said = Said { family: context.options.family, ..Said::default() };
    while let Some(word) = words.take() {
        if abbreviates(word, "help") {
            return Ok(Command::Help);
        }
        said.read_one(words, context, word)?;
    }
    let Some(dev) = said.dev else {
        let line = "Not enough information: \"dev\" argument is required.";
        return Err(Failure::command(1, line).hint("end the line with `dev NAME`"));
    };
    let (kind, flags) = match verb {
        Verb::Add => (rtm::NEWADDR, Flags::CREATE | Flags::EXCL),
        Verb::Change => (rtm::NEWADDR, Flags::REPLACE),
        Verb::Replace => (rtm::NEWADDR, Flags::CREATE | Flags::REPLACE),
        Verb::Delete => (rtm::DELADDR, Flags::NONE),
    };
    said.request(context, dev, kind, flags).map(|request| Command::Change(Box::new(request)))
}

impl<'a> Said<'a> {
    fn read_one(
        &mut self,
        words: &mut Words<'a>,
        context: &mut Context<'_>,
        word: &'a str,
    ) -> Read<()> {
        let is = |keyword: &str| abbreviates(word, keyword);
        match word {
            "peer" | "remote" => {
                let peer = words.prefix(self.family)?;
                self.family = self.family.or(peer.family());
                self.peer = Some(peer);
            }
            _ if is("broadcast") || word == "brd" => {
                if self.broadcast.is_some() {
                    let value = words.value()?;
                    return Err(words.blame(Failure::twice("broadcast", value)));
                }
                self.broadcast = Some(self.read_broadcast(words)?);
            }
            "anycast" => {
                let anycast = words.address(self.family)?;
                self.family = self.family.or(Family::of(anycast));
                self.anycast = Some(anycast);
            }
            "scope" => {
                let tables = context.world.tables().clone();
                let read = |word: &str| u8::try_from(tables.scopes.number(word, 255)?).ok();
                self.scope = Some(words.parse("invalid scope value.", read)?);
            }
            "dev" => self.dev = Some(words.value()?),
            "label" => self.label = Some(words.value()?),
            _ if is("metric") || is("priority") || is("preference") => {
                self.metric = Some(words.parse("\"metric\" value is invalid\n", integer)?);
            }
            _ if is("valid_lft") => {
                self.valid = Some(words.parse("valid_lft value", lifetime)?);
            }
            _ if is("preferred_lft") => {
                self.preferred = Some(words.parse("preferred_lft value", lifetime)?);
            }
            _ => return self.read_local(words, context, word),
        }
        Ok(())
    }

    fn read_broadcast(&mut self, words: &mut Words<'a>) -> Read<Broadcast> {
        match words.peek() {
            Some(sign @ ("+" | "-")) => {
                words.take();
                Ok(Broadcast::HostBits(sign == "+"))
            }
            _ => {
                let address = words.address(self.family)?;
                self.family = self.family.or(Family::of(address));
                Ok(Broadcast::This(address))
            }
        }
    }

    fn read_local(
        &mut self,
        words: &mut Words<'a>,
        context: &mut Context<'_>,
        word: &'a str,
    ) -> Read<()> {
        if READ_ONLY.contains(&word) {
            context.warnings.push(format!("Warning: {word} option is not mutable from userspace"));
            return Ok(());
        }
        if let Some((_, flag, has_ipv4)) = FLAGS.iter().find(|(name, ..)| *name == word) {
            // What family it is must be known by then.
            if *has_ipv4 || self.family == Family::Inet6 {
                self.flags |= flag;
            } else {
                let line = format!("Warning: {word} option can be set only for IPv6 addresses");
                context.warnings.push(line);
            }
            return Ok(());
        }
        if word != "local" {
            words.back();
        }
        if self.local.is_some() {
            let word = words.value()?;
            return Err(words.blame(Failure::garbage("local", word)));
        }
        let local = words.prefix(self.family)?;
        self.family = self.family.or(local.family());
        self.local = Some((local, words.last()));
        Ok(())
    }

    fn request(
        &self,
        context: &mut Context<'_>,
        dev: &str,
        kind: u16,
        flags: Flags,
    ) -> Read<Request> {
        let deletes = kind == rtm::DELADDR;
        let local = self.local.map(|(local, _)| local);
        let mut attrs = Vec::new();
        let mut length = self.peer.map(|peer| peer.length);
        if let Some(address) = local.and_then(|local| local.address) {
            attrs.push(Attr::address(IFA_LOCAL, address));
        }
        let mut remote = self.peer;
        if let (None, Some(local)) = (self.peer, local) {
            if deletes && local.family() == Family::Inet && !local.has_length {
                context.warnings.push(
                    "Warning: Executing wildcard deletion to stay compatible with old scripts."
                        .to_owned(),
                );
                context.warnings.push("write the prefix length to remove one address".to_owned());
            } else {
                remote = Some(local);
            }
        }
        if let Some(address) = remote.and_then(|remote| remote.address) {
            attrs.push(Attr::address(IFA_ADDRESS, address));
        }
        length = length.or(local.map(|local| local.length));
        self.push_broadcast(&mut attrs, remote.or(local), deletes)?;
        if let Some(anycast) = self.anycast {
            attrs.push(Attr::address(IFA_ANYCAST, anycast));
        }
        attrs.extend(self.label.map(|label| Attr::text(IFA_LABEL, label)));
        attrs.extend(self.metric.map(|metric| Attr::u32(IFA_RT_PRIORITY, metric)));
        let index = match context.world.index(dev) {
            0 => return Err(Failure::no_device(dev)),
            index => index,
        };
        self.push_times(&mut attrs)?;
        let is_group =
            local.is_some_and(|local| local.address.is_some_and(|address| address.is_multicast()));
        if self.flags & IFA_F_MCAUTOJOIN != 0 && !is_group {
            return Err(Failure::command(1, "autojoin needs multicast address"));
        }
        if self.flags > 0xff {
            attrs.push(Attr::u32(IFA_FLAGS, self.flags));
        }
        let host = local.is_some_and(|local| {
            matches!(local.address, Some(IpAddr::V4(address)) if address.octets()[0] == 127)
        });
        let default_scope = if host && !deletes { SCOPE_HOST } else { 0 };
        let mut header = vec![
            self.family.number(),
            length.unwrap_or(0),
            u8::try_from(self.flags & 0xff).unwrap_or_default(),
            self.scope.unwrap_or(default_scope),
        ];
        header.extend_from_slice(&index.to_ne_bytes());
        Ok(Request { kind, flags, header, attrs })
    }

    fn push_broadcast(
        &self,
        attrs: &mut Vec<Attr>,
        net: Option<Prefix>,
        deletes: bool,
    ) -> Read<()> {
        match self.broadcast {
            Some(Broadcast::This(address)) => attrs.push(Attr::address(IFA_BROADCAST, address)),
            Some(Broadcast::HostBits(set)) if !deletes => {
                let Some((IpAddr::V4(address), length)) =
                    net.and_then(|net| Some((net.address?, net.length)))
                else {
                    let line = "Broadcast can be set only for IPv4 addresses";
                    return Err(Failure::command(1, line));
                };
                if length <= 30 {
                    let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                    let bits = u32::from(address);
                    let bits = if set { bits | host } else { bits & !host };
                    attrs.push(Attr::address(IFA_BROADCAST, Ipv4Addr::from(bits).into()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push_times(&self, attrs: &mut Vec<Attr>) -> Read<()> {
        if self.valid.is_none() && self.preferred.is_none() {
            return Ok(());
        }
        let valid = self.valid.unwrap_or(FOREVER);
        let preferred = self.preferred.unwrap_or(FOREVER);
        if valid == 0 {
            return Err(Failure::command(1, "valid_lft is zero"));
        }
        if valid < preferred {
            return Err(Failure::command(1, "preferred_lft is greater than valid_lft"));
        }
        // struct ifa_cacheinfo: preferred, valid, created, updated.
        let mut times = preferred.to_ne_bytes().to_vec();
        times.extend_from_slice(&valid.to_ne_bytes());
        times.extend_from_slice(&[0; 8]);
        attrs.push(Attr::Value(IFA_CACHEINFO, times));
        Ok(())
    }
}

fn lifetime(word: &str) -> Option<u32> {
    if word == "forever" { Some(FOREVER) } else { integer(word) }
}
