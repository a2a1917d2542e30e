//! Values of options, and the forms that they have in a file, a command and a message.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::spec::OptionSpec;
use crate::mac::Mac;
use crate::names::IfName;

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// On or off.
    Bool(bool),
    /// A number, or what a word stands for.
    Number(u64),
    /// An address of either family.
    Ip(IpAddr),
    /// Another interface of the same namespace.
    Interface(IfName),
    /// A hardware address.
    Mac(Mac),
    /// Two numbers that belong together, of which each form knows how.
    Pair(u64, u64),
    /// Several of these, each once.
    List(BTreeSet<Value>),
}

impl Value {
    /// A list of nothing.
    pub const NONE: Self = Self::List(BTreeSet::new());
}

/// What an option takes.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// On or off.
    Switch {
        /// How iproute2 says so.
        say: Switch,
        /// The number in the message: 0 or 1.
        width: Width,
    },
    /// On, or not there at all: an attribute without a value. The kernel may tell of it by a number.
    Flag,
    /// A whole number in bounds, or a word that stands for one.
    Number {
        /// The number in the message.
        width: Width,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
        /// Words for some numbers, within the bounds or not.
        words: &'static [(&'static str, u64)],
    },
    /// One of some words; numbers that have none are shown as numbers, and not taken.
    Choice {
        /// The number in the message.
        width: Width,
        /// The words and what they stand for.
        words: &'static [(&'static str, u64)],
    },
    /// The type-of-service byte: a number or `inherit` (1). iproute2 has it in hexadecimal.
    Tos,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address of either family: an IPv6 one has another attribute.
    Address {
        /// The attribute of an IPv6 address.
        v6: u16,
    },
    /// Another interface of the namespace, by its index in the message.
    Interface {
        /// Whether this one goes when that one goes.
        dies: bool,
    },
    /// A hardware address.
    Mac,
    /// A bit of flags, of which a message says some by a mask, 32 bits each: `struct ifla_vlan_flags`
    /// (linux/if_link.h), `struct br_boolopt_multi` (linux/if_bridge.h).
    Bit {
        /// The bit.
        bit: u32,
        /// How iproute2 says so.
        say: Switch,
    },
    /// A key of a GRE tunnel: IKEY is this attribute, OKEY the next, each big-endian, and `GRE_KEY` in
    /// the flags of each (linux/if_tunnel.h). A number is both of them.
    GreKey,
    /// A range of UDP ports, big-endian, the first and the last (`struct ifla_vxlan_port_range`).
    Ports,
    /// Which numbers stand for which: `FROM:TO`, in a nest of two 32-bit numbers each (`struct
    /// ifla_vlan_qos_mapping`). What stands for 0 stands for nothing.
    Map {
        /// The highest of the numbers that stand for others.
        from: u64,
        /// The highest of those that they stand for.
        to: u64,
    },
    /// IPv4 addresses, in a nest of one each.
    Ipv4s,
    /// Hardware addresses, in a nest of one each, after the attribute that says that these take the place
    /// of those before (`IFLA_MACVLAN_MACADDR_…`).
    Macs,
    /// A part of the flow information of packets over IPv6, or `inherit` as a bit in another attribute
    /// (`IP6_TNL_F_…`, linux/ip6_tunnel.h).
    Flow {
        /// The lowest of its bits.
        shift: u8,
        /// The highest number.
        max: u64,
        /// The attribute of the flags.
        flags: u16,
        /// The flag that it is as in the packet inside.
        inherit: u32,
    },
    /// How many tunnels packets may enter further on, or `none` as a bit in another attribute.
    EncapLimit {
        /// The attribute of the flags.
        flags: u16,
        /// The flag that there is no limit.
        none: u32,
    },
    /// A bit in the big-endian flags of a GRE tunnel, of both ways.
    GreFlag(u16),
}

/// How iproute2 says on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `word 1`, `word 0`.
    Digit,
    /// `word on`, `word off`.
    OnOff,
    /// `word`, `noword`.
    No,
    /// `word`; of an interface that exists iproute2 can't say off.
    Word,
}

/// The width and byte order of a number in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A byte.
    U8,
    /// 16 bits in host order.
    U16,
    /// 32 bits in host order.
    U32,
    /// 64 bits in host order.
    U64,
    /// 16 bits in network order.
    Be16,
    /// 32 bits in network order.
    Be32,
}

impl Form {
    /// A switch in one byte.
    pub(super) const fn switch(say: Switch) -> Self {
        Self::Switch { say, width: Width::U8 }
    }

    /// A number without words.
    pub(super) const fn number(width: Width, min: u64, max: u64) -> Self {
        Self::Number { width, min, max, words: &[] }
    }

    /// Reads a value as a file has it.
    ///
    /// # Errors
    /// What it takes instead, to end the sentence "`x` takes …".
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let takes = || Err(self.takes());
        match self {
            Self::Switch { .. } | Self::Flag | Self::Bit { .. } | Self::GreFlag(_) => match text {
                "true" | "on" => Ok(Value::Bool(true)),
                "false" | "off" => Ok(Value::Bool(false)),
                _ => takes(),
            },
            Self::Number { min, max, words, .. } => match find(words, text) {
                Some(number) => Ok(Value::Number(number)),
                None => number(text, *min, *max).map_or_else(takes, |n| Ok(Value::Number(n))),
            },
            Self::Choice { words, .. } => match find(words, text) {
                Some(number) => Ok(Value::Number(number)),
                None => takes(),
            },
            Self::Tos if text == "inherit" => Ok(Value::Number(TOS_INHERIT)),
            Self::Tos => {
                number(text, 0, u8::MAX.into()).map_or_else(takes, |n| Ok(Value::Number(n)))
            }
            Self::GreKey => gre_key(text).map_or_else(takes, Ok),
            Self::Ports => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                let port = |text| number(text, 1, u16::MAX.into());
                match (port(first), port(last)) {
                    (Some(first), Some(last)) if first <= last => Ok(Value::Pair(first, last)),
                    _ => takes(),
                }
            }
            Self::Map { from, to } => list(text, |item| {
                let (first, second) = item.split_once(':')?;
                Some(Value::Pair(number(first, 0, *from)?, number(second, 0, *to)?))
            })
            .map_or_else(takes, Ok),
            Self::Ipv4s => {
                let ip = |item: &str| item.parse().ok().map(|ip| Value::Ip(IpAddr::V4(ip)));
                list(text, ip).map_or_else(takes, Ok)
            }
            Self::Macs => {
                list(text, |item| item.parse().ok().map(Value::Mac)).map_or_else(takes, Ok)
            }
            Self::Flow { .. } if text == "inherit" => Ok(Value::Number(FLOW_INHERIT)),
            Self::Flow { max, .. } => {
                number(text, 0, *max).map_or_else(takes, |n| Ok(Value::Number(n)))
            }
            Self::EncapLimit { .. } if text == "none" => Ok(Value::Number(FLOW_INHERIT)),
            Self::EncapLimit { .. } => {
                number(text, 0, u8::MAX.into()).map_or_else(takes, |n| Ok(Value::Number(n)))
            }
            Self::Ipv4 | Self::Ipv6 | Self::Address { .. } => match text.parse::<IpAddr>() {
                Ok(addr) if self.has_family(addr) => Ok(Value::Ip(addr)),
                _ => takes(),
            },
            Self::Interface { .. } => match IfName::new(text) {
                Ok(name) => Ok(Value::Interface(name)),
                Err(_) => takes(),
            },
            Self::Mac => match text.parse::<Mac>() {
                Ok(mac) => Ok(Value::Mac(mac)),
                Err(_) => takes(),
            },
        }
    }

    /// Says what values it takes, to end the sentence "`x` takes …".
    #[must_use]
    pub fn takes(&self) -> String {
        match self {
            Self::Switch { .. } | Self::Flag | Self::Bit { .. } | Self::GreFlag(_) => {
                "`true` or `false`".into()
            }
            Self::Number { min, max, words: [], .. } => format!("a number from {min} to {max}"),
            Self::Number { min, max, words, .. } => {
                format!("{} or a number from {min} to {max}", listed(words))
            }
            Self::Choice { words, .. } => listed(words),
            Self::Tos => "`inherit` or a number from 0 to 255".into(),
            Self::GreKey => format!("a number from 0 to {}, or `ikey 1 okey 2`", u32::MAX),
            Self::Ports => "a range of ports such as `49152-65535`".into(),
            Self::Map { from, to } => {
                format!("a list such as `0:1`, from 0 to {from} and from 0 to {to}")
            }
            Self::Ipv4s => "a list of IPv4 addresses".into(),
            Self::Macs => "a list of hardware addresses such as 02:00:00:00:00:01".into(),
            Self::Flow { max, .. } => format!("`inherit` or a number from 0 to {max}"),
            Self::EncapLimit { .. } => "`none` or a number from 0 to 255".into(),
            Self::Ipv4 => "an IPv4 address".into(),
            Self::Ipv6 => "an IPv6 address".into(),
            Self::Address { .. } => "an address".into(),
            Self::Interface { .. } => "the name of an interface of the node".into(),
            Self::Mac => "a hardware address such as 02:00:00:00:00:01".into(),
        }
    }

    /// Returns the words it takes, if it takes words alone.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let words: &'static [(&'static str, u64)] = match self {
            Self::Choice { words, .. } => words,
            _ => &[],
        };
        words.iter().map(|(word, _)| *word)
    }

    /// Tells whether it is on or off.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        matches!(self, Self::Switch { .. } | Self::Flag | Self::Bit { .. } | Self::GreFlag(_))
    }

    /// Tells whether it takes several values.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Map { .. } | Self::Ipv4s | Self::Macs)
    }

    /// Writes a value as a file has it.
    #[must_use]
    pub fn written(&self, value: &Value) -> String {
        match value {
            Value::Bool(on) => on.to_string(),
            value => self.shown(value),
        }
    }

    /// Writes a value as people read it.
    #[must_use]
    pub fn shown(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Bool(on)) => if *on { "on" } else { "off" }.to_owned(),
            (Self::Number { words, .. } | Self::Choice { words, .. }, Value::Number(number)) => {
                let word = words.iter().find(|(_, stands_for)| stands_for == number);
                word.map_or_else(|| number.to_string(), |(word, _)| (*word).to_owned())
            }
            (Self::Tos, Value::Number(TOS_INHERIT))
            | (Self::Flow { .. }, Value::Number(FLOW_INHERIT)) => "inherit".to_owned(),
            (Self::EncapLimit { .. }, Value::Number(FLOW_INHERIT))
            | (Self::Interface { .. }, Value::Number(_)) => "none".to_owned(),
            (Self::GreKey, Value::Pair(ikey, okey)) => format!("ikey {ikey} okey {okey}"),
            (Self::Ports, Value::Pair(first, last)) => format!("{first}-{last}"),
            (_, Value::Pair(from, to)) => format!("{from}:{to}"),
            (_, Value::List(items)) => {
                items.iter().map(|item| self.shown(item)).collect::<Vec<_>>().join(",")
            }
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Ip(addr)) => addr.to_string(),
            (_, Value::Interface(name)) => name.to_string(),
            (_, Value::Mac(mac)) => mac.to_string(),
        }
    }

    fn has_family(&self, addr: IpAddr) -> bool {
        match self {
            Self::Ipv4 => addr.is_ipv4(),
            Self::Ipv6 => addr.is_ipv6(),
            _ => true,
        }
    }
}

impl OptionSpec {
    /// Tells whether two values are the same to the kernel.
    #[must_use]
    pub fn is_same(&self, a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) if self.ticks => {
                a == b || a.abs_diff(*b) == 1 && a.max(b) % 2 == 1
            }
            (Value::List(a), Value::List(b)) => {
                let is_nothing = |value: &&Value| matches!(value, Value::Pair(_, 0));
                a.iter().filter(|it| !is_nothing(it)).eq(b.iter().filter(|it| !is_nothing(it)))
            }
            (a, b) => a == b,
        }
    }

    /// Returns what a message says to make `found` the wanted value: what no longer stands for anything is
    /// said too.
    #[must_use]
    pub(super) fn with_what_goes(&self, wanted: &Value, found: Option<&Value>) -> Value {
        match (self.form, wanted, found) {
            (Form::Map { .. }, Value::List(wanted), Some(Value::List(found))) => {
                let from = |value: &Value| if let Value::Pair(from, _) = value { *from } else { 0 };
                let is_said = |value: &&Value| wanted.iter().any(|it| from(it) == from(value));
                let gone =
                    found.iter().filter(|it| !is_said(it)).map(|it| Value::Pair(from(it), 0));
                Value::List(wanted.iter().cloned().chain(gone).collect())
            }
            _ => wanted.clone(),
        }
    }

    /// Returns iproute2's words that give the option this value.
    #[must_use]
    pub fn words(&self, value: &Value) -> Vec<String> {
        let word = self.word.to_owned();
        if self.bare {
            return vec![self.form.shown(value)];
        }
        match (&self.form, value) {
            (
                Form::Switch { say: Switch::Digit, .. } | Form::Bit { say: Switch::Digit, .. },
                Value::Bool(on),
            ) => vec![word, u8::from(*on).to_string()],
            (Form::Switch { say: Switch::OnOff, .. } | Form::Bit { .. }, value) => {
                vec![word, self.form.shown(value)]
            }
            // In hexadecimal, whatever stands before it.
            (Form::Flow { .. }, Value::Number(number)) if *number != FLOW_INHERIT => {
                vec![word, format!("{number:#x}")]
            }
            // Nothing else takes an interface away again.
            (Form::Interface { .. }, Value::Number(_)) => vec![format!("no{word}")],
            (Form::GreKey, Value::Pair(ikey, okey)) => {
                let key = |word: &str, key: u64| match key {
                    0 => vec![format!("no{word}")],
                    key => vec![word.to_owned(), key.to_string()],
                };
                [key("ikey", *ikey), key("okey", *okey)].concat()
            }
            (Form::Ports, Value::Pair(first, last)) => {
                vec![word, first.to_string(), last.to_string()]
            }
            (Form::Map { .. }, Value::List(items)) if items.is_empty() => Vec::new(),
            (Form::Macs, Value::List(items)) if items.is_empty() => {
                vec![word, "flush".to_owned()]
            }
            (Form::Map { .. } | Form::Macs, Value::List(items)) => {
                let set = matches!(self.form, Form::Macs).then(|| "set".to_owned());
                let items = items.iter().map(|item| self.form.shown(item));
                [word].into_iter().chain(set).chain(items).collect()
            }
            // Off is said by saying nothing; not all have a word for it.
            (Form::Flag | Form::Switch { say: Switch::Word, .. }, Value::Bool(on)) => {
                word.split(' ').filter(|_| *on).map(str::to_owned).collect()
            }
            (Form::Switch { .. } | Form::GreFlag(_), Value::Bool(on)) => {
                vec![if *on { word } else { format!("no{word}") }]
            }
            // A key of 0 would be one: none is what is meant.
            (Form::GreKey, Value::Number(0)) => vec![format!("no{word}")],
            // iproute2 has a word of its own for a group.
            (Form::Address { .. }, Value::Ip(addr)) if addr.is_multicast() => {
                vec!["group".to_owned(), addr.to_string()]
            }
            (Form::Tos, Value::Number(tos)) if *tos != TOS_INHERIT => {
                vec![word, format!("0x{tos:x}")]
            }
            (form, value) => vec![word, form.shown(value)],
        }
    }
}

/// What stands for the flow information of the packet inside, or for no limit: no number that is one.
pub const FLOW_INHERIT: u64 = 1 << 32;

/// Reads a key of both ways, or `ikey 1 okey 2`.
fn gre_key(text: &str) -> Option<Value> {
    let key = |text: &str| number(text, 0, u32::MAX.into());
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (ikey, okey) = match words.as_slice() {
        ["ikey", ikey, "okey", okey] => (key(ikey)?, key(okey)?),
        ["ikey", ikey] => (key(ikey)?, 0),
        ["okey", okey] => (0, key(okey)?),
        _ => return key(text).map(Value::Number),
    };
    Some(Value::of_keys(ikey, okey))
}

impl Value {
    /// The key of a GRE tunnel: what comes in, and what goes out.
    #[must_use]
    pub fn of_keys(ikey: u64, okey: u64) -> Self {
        if ikey == okey { Self::Number(ikey) } else { Self::Pair(ikey, okey) }
    }

    /// Returns the value as the other end of a tunnel has it: what goes out here comes in there.
    #[must_use]
    pub fn at_the_other_end(&self) -> Self {
        match self {
            Self::Pair(here, there) => Self::Pair(*there, *here),
            value => value.clone(),
        }
    }

    /// Returns the key of a GRE tunnel that what comes in has.
    #[must_use]
    pub fn incoming(&self) -> Self {
        match self {
            Self::Pair(ikey, _) => Self::Number(*ikey),
            value => value.clone(),
        }
    }
}

/// Reads a list with commas between its items.
fn list(text: &str, item: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    let items = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    items.map(item).collect::<Option<BTreeSet<Value>>>().map(Value::List)
}

/// What stands for the type of service of the packet inside (net/ipv4/ip_tunnel.c).
const TOS_INHERIT: u64 = 1;

fn find(words: &[(&str, u64)], text: &str) -> Option<u64> {
    words.iter().find(|(word, _)| *word == text).map(|(_, number)| *number)
}

fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (min..=max).contains(number))
}

/// Lists words: "`a`, `b` or `c`".
fn listed(words: &[(&str, u64)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        words => words.concat(),
    }
}
