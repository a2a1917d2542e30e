//! Values of options, and the forms that they have in a file, a command and a message.

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
    /// On, or not there at all: an attribute without a value.
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
    /// A bit of `struct ifla_vlan_flags` (linux/if_link.h): flags and a mask, 32 bits each.
    VlanFlag(u32),
    /// A key of a GRE tunnel, both ways: IKEY is this attribute, OKEY the next, each big-endian, and
    /// `GRE_KEY` in the flags of both (linux/if_tunnel.h).
    GreKey,
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
            Self::Switch { .. } | Self::Flag | Self::VlanFlag(_) | Self::GreFlag(_) => match text {
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
            Self::GreKey => {
                number(text, 0, u32::MAX.into()).map_or_else(takes, |n| Ok(Value::Number(n)))
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
            Self::Switch { .. } | Self::Flag | Self::VlanFlag(_) | Self::GreFlag(_) => {
                "`true` or `false`".into()
            }
            Self::Number { min, max, words: [], .. } => format!("a number from {min} to {max}"),
            Self::Number { min, max, words, .. } => {
                format!("{} or a number from {min} to {max}", listed(words))
            }
            Self::Choice { words, .. } => listed(words),
            Self::Tos => "`inherit` or a number from 0 to 255".into(),
            Self::GreKey => format!("a number from 0 to {}", u32::MAX),
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
        matches!(self, Self::Switch { .. } | Self::Flag | Self::VlanFlag(_) | Self::GreFlag(_))
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
            (Self::Tos, Value::Number(TOS_INHERIT)) => "inherit".to_owned(),
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
    /// Returns iproute2's words that give the option this value.
    #[must_use]
    pub fn words(&self, value: &Value) -> Vec<String> {
        let word = self.word.to_owned();
        if self.bare {
            return vec![self.form.shown(value)];
        }
        match (&self.form, value) {
            (Form::Switch { say: Switch::Digit, .. }, Value::Bool(on)) => {
                vec![word, u8::from(*on).to_string()]
            }
            (Form::Switch { say: Switch::OnOff, .. } | Form::VlanFlag(_), value) => {
                vec![word, self.form.shown(value)]
            }
            // Off is said by saying nothing; not all have a word for it.
            (Form::Flag, Value::Bool(on)) => on.then_some(word).into_iter().collect(),
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
