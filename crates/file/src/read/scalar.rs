//! Texts to names, numbers and addresses.

use std::net::IpAddr;
use std::str::FromStr;

use vnet_model::ipnet::IpNet;
use vnet_model::topology::AddressSpec;
use vnet_model::{IfName, Mac, NameError, NodeName};

use super::{At, Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::source::Span;
use crate::syntax::{Data, Value};

impl Reader<'_> {
    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Value, what: &str, at: At<'_>) -> Option<bool> {
        self.word(value, what, at, &[("true", true), ("false", false)])
    }

    /// Reads one of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        value: &Value,
        what: &str,
        at: At<'_>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(value, what, at)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text.text) {
            return Some(*meaning);
        }
        let message = format!("`{what}` takes {}, not `{}`", either(words), shown(&text.text));
        let same = words
            .iter()
            .find(|(word, _)| switch(word) == switch(&text.text) && switch(word).is_some());
        let near = vnet_model::problem::nearest(&text.text, words.iter().map(|(word, _)| *word));
        let meant = same.map(|(word, _)| *word).or(near);
        let error = Diagnostic::error(message, Some(text.span));
        self.error(match meant {
            Some(word) => error.hint(format!("write `{word}`")),
            None => error,
        });
        None
    }

    /// Reads a whole number within bounds.
    pub(super) fn number(
        &mut self,
        value: &Value,
        what: &str,
        at: At<'_>,
        bounds: (u32, u32),
    ) -> Option<u32> {
        let text = self.text(value, what, at)?;
        self.number_of(&text.text, text.span, what, bounds)
    }

    /// Reads a whole number from a word.
    pub(super) fn number_of(
        &mut self,
        word: &str,
        span: Span,
        what: &str,
        (min, max): (u32, u32),
    ) -> Option<u32> {
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        match word.parse::<u32>() {
            Ok(number) if digits && (min..=max).contains(&number) => return Some(number),
            _ => {}
        }
        let message = match digits {
            true => format!("`{what}` is {min} to {max}, not {}", shown(word)),
            false => format!("`{what}` takes a whole number, not `{}`", shown(word)),
        };
        let error = Diagnostic::error(message, Some(span));
        let units = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        self.error(match !digits && units.len() < word.len() && !units.contains(['.', '-']) {
            true => error.hint("write the number in full, without a unit"),
            false => error,
        });
        None
    }

    /// Reads a hardware address.
    pub(super) fn mac(&mut self, value: &Value, at: At<'_>) -> Option<Mac> {
        let text = self.text(value, "mac", at)?;
        self.mac_of(&text.text, text.span)
    }

    /// Reads a hardware address from a word.
    pub(super) fn mac_of(&mut self, word: &str, span: Span) -> Option<Mac> {
        let dashed = word.replace('-', ":");
        let error = match (Mac::from_str(word), Mac::from_str(&dashed)) {
            (Ok(mac), _) if mac.is_usable() => return Some(mac),
            (Ok(mac), _) => {
                let message = format!("`{mac}` can't be the hardware address of one interface");
                Diagnostic::error(message, Some(span))
                    .hint("use a unicast one: the first byte even, such as 02:00:00:00:00:01")
            }
            (Err(_), Ok(mac)) => {
                let message = format!("`{}` is not a hardware address", shown(word));
                Diagnostic::error(message, Some(span)).hint(format!("write `{mac}`"))
            }
            (Err(_), Err(_)) => {
                let message = format!("`{}` is not a hardware address", shown(word));
                Diagnostic::error(message, Some(span))
                    .hint("it has six pairs of hexadecimal digits, such as 02:00:00:00:00:01")
            }
        };
        self.error(error);
        None
    }

    /// Reads an interface's addresses, with or without a prefix length.
    pub(super) fn addresses(&mut self, value: &Value, at: At<'_>) -> Vec<AddressSpec> {
        let texts = self.texts(value, "addresses", at);
        texts.iter().filter_map(|text| self.address(text)).collect()
    }

    fn address(&mut self, text: &Text<'_>) -> Option<AddressSpec> {
        let (addr, prefix_len) = match text.text.split_once('/') {
            None => (self.ip(&text.text, text.span)?, None),
            Some((addr, len)) => {
                let addr = self.ip(addr, text.span)?;
                (addr, Some(self.prefix_len(addr, len, text)?))
            }
        };
        Some(AddressSpec { addr, prefix_len, origin: self.origin(text.span) })
    }

    /// Reads the address of a host.
    pub(super) fn ip(&mut self, word: &str, span: Span) -> Option<IpAddr> {
        if let Ok(addr) = word.parse() {
            return Some(addr);
        }
        let message = format!("`{}` is not an IP address", shown(word));
        let error = Diagnostic::error(message, Some(span));
        self.error(match ip_hint(word) {
            Some(hint) => error.hint(hint),
            None => error,
        });
        None
    }

    fn prefix_len(&mut self, addr: IpAddr, len: &str, text: &Text<'_>) -> Option<u8> {
        let (family, max) = match addr {
            IpAddr::V4(_) => ("IPv4", 32),
            IpAddr::V6(_) => ("IPv6", 128),
        };
        let digits = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(number) = len.parse().ok().filter(|number| digits && *number <= max) {
            return Some(number);
        }
        let span = text.piece(len);
        let message = format!("`/{}` is no prefix length of an {family} address", shown(len));
        let error = Diagnostic::error(message, Some(span));
        let mask =
            len.parse().ok().and_then(|mask| vnet_model::ipnet::ip_mask_to_prefix(mask).ok());
        self.error(match mask {
            Some(len) => error.hint(format!("write the mask as its length: `{addr}/{len}`")),
            None => error.hint(format!("it is a number from 0 to {max}")),
        });
        None
    }

    /// Reads prefixes, one or many.
    pub(super) fn prefixes(&mut self, value: &Value, what: &str, at: At<'_>) -> Vec<IpNet> {
        if matches!(value.data, Data::Empty) {
            self.mismatch(value, what, "prefixes");
        }
        let texts = self.texts(value, what, at);
        texts.iter().filter_map(|text| self.host_prefix(text)).collect()
    }

    /// Reads addresses and prefixes, an address without a length for itself.
    pub(super) fn nets(&mut self, value: &Value, what: &str, at: At<'_>) -> Vec<IpNet> {
        if matches!(value.data, Data::Empty) {
            self.mismatch(value, what, "addresses");
        }
        let texts = self.texts(value, what, at);
        let net = |text: &Text<'_>| match text.text.contains('/') {
            true => self.prefix(&text.text, text),
            false => self.ip(&text.text, text.span).map(IpNet::from),
        };
        texts.iter().filter_map(net).collect()
    }

    /// Reads a prefix that hosts can have addresses of.
    fn host_prefix(&mut self, text: &Text<'_>) -> Option<IpNet> {
        let net = self.prefix(&text.text, text)?;
        let addr = net.addr();
        // 0.0.0.0/8 is "this network" (RFC 791, section 3.2).
        let is_nobody = matches!(addr, IpAddr::V4(addr) if addr.octets()[0] == 0);
        if is_nobody || addr.is_unspecified() || addr.is_multicast() {
            let message = format!("no host can have an address of `{net}`");
            let hint = "use a private prefix, such as 10.0.0.0/24 or fd00::/64";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        }
        Some(net)
    }

    /// Reads a prefix: an address without bits beyond its length.
    pub(super) fn prefix(&mut self, word: &str, text: &Text<'_>) -> Option<IpNet> {
        let span = text.piece(word);
        let Some((addr, len)) = word.split_once('/') else {
            let addr = self.ip(word, span)?;
            let message = format!("the prefix `{addr}` has no length");
            let example = if addr.is_ipv4() { 24 } else { 64 };
            let hint = format!("write it after a slash, such as `{addr}/{example}`");
            self.error(Diagnostic::error(message, Some(span)).hint(hint));
            return None;
        };
        let addr = self.ip(addr, span)?;
        let len = self.prefix_len(addr, len, text)?;
        let net = IpNet::new(addr, len).ok()?;
        if net.trunc() != net {
            let message = format!("`{net}` is an address in a prefix, not a prefix");
            let hint = format!("the prefix is `{}`", net.trunc());
            self.error(Diagnostic::error(message, Some(span)).hint(hint));
            return None;
        }
        Some(net)
    }

    /// Reads the name of a node or segment.
    pub(super) fn node_name(&mut self, word: &str, span: Span) -> Option<NodeName> {
        // What stands for the host in the model is no name that could be written.
        let name = NodeName::new(word).and_then(|name| match name.is_host() {
            true => NodeName::new(&format!("{word}/")),
            false => Ok(name),
        });
        self.name(word, span, name)
    }

    /// Reads the name of an interface.
    pub(super) fn if_name(&mut self, word: &str, span: Span) -> Option<IfName> {
        self.name(word, span, IfName::new(word))
    }

    /// Reports a name that is none, with a guess at what was meant.
    pub(super) fn name<T>(
        &mut self,
        word: &str,
        span: Span,
        name: Result<T, NameError>,
    ) -> Option<T> {
        let dots = word.contains("..");
        match name {
            Ok(name) if !dots => return Some(name),
            Ok(_) => {
                let message = format!("`{}` is no range", shown(word));
                let hint = "a range is written with two numbers and two dots: `pc1..20`";
                self.error(Diagnostic::error(message, Some(span)).hint(hint));
            }
            Err(mut error) => {
                error.text = word.chars().take(60).collect();
                let diagnostic = Diagnostic::error(error.to_string(), Some(span));
                self.error(match name_hint(word) {
                    Some(hint) => diagnostic.hint(hint),
                    None => diagnostic,
                });
            }
        }
        None
    }
}

/// Lists words: "`a`, `b` or `c`".
fn either<T>(words: &[(&str, T)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        words => words.concat(),
    }
}

/// Tells which way a word throws a switch, if it does.
fn switch(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "enabled" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "disabled" => Some(false),
        _ => None,
    }
}

fn ip_hint(word: &str) -> Option<&'static str> {
    if word.contains('%') {
        return Some("leave out the `%` and what follows: the interface is known");
    }
    let groups: Vec<&str> = word.split('.').collect();
    let numbers = groups.iter().all(|group| group.parse::<u32>().is_ok());
    match numbers && groups.len() > 1 {
        true if groups.len() != 4 => Some("an IPv4 address has four numbers, such as 10.0.0.1"),
        true if groups.iter().any(|group| group.len() > 1 && group.starts_with('0')) => {
            Some("write its numbers without leading zeros")
        }
        true => Some("the numbers of an IPv4 address are 0 to 255"),
        false if word.contains("..") => {
            Some("a range counts in one place: `10.0.0.1..3/24` is three addresses")
        }
        false => None,
    }
}

fn name_hint(word: &str) -> Option<&'static str> {
    let written = |c: char| c.is_ascii_alphanumeric() || "-_.:,[]{}*".contains(c);
    if word.contains(['[', '{', '*']) && word.chars().all(written) {
        Some("a range is written with two numbers and two dots: `pc1..20`")
    } else if word.contains(", ") || word.contains(',') {
        Some("a list is written in brackets: `[ a, b ]`")
    } else if word.contains("..") {
        Some("a range is written with two numbers and two dots: `pc1..20`")
    } else {
        None
    }
}
