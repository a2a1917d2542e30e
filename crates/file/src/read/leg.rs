//! Where routes and nexthop objects lead: `via`, `dev`, `onlink`, `encap`.

use std::net::{IpAddr, Ipv6Addr};

use vnet_model::topology::{Leg, Via};
use vnet_model::{Encap, Seg6Mode};

use super::Reader;
use super::words::Words;
use crate::report::{Diagnostic, shown};

/// Words that say where a leg leads.
pub(super) const LEG: [&str; 4] = ["via", "dev", "onlink", "encap"];

/// The largest MPLS label: 20 bits (RFC 3032, section 2.1).
const LABEL_MAX: u32 = (1 << 20) - 1;

impl Reader<'_> {
    /// Reads one of the words of [`LEG`] and what follows it.
    pub(super) fn leg_option<'t>(
        &mut self,
        leg: &mut Leg,
        option: &'t str,
        words: &mut Words<'t>,
    ) -> Option<()> {
        if option == "onlink" {
            leg.onlink = true;
            return Some(());
        }
        let text = words.text;
        let word = self.after(option, words)?;
        match option {
            "via" => {
                let via = self.via(word, words)?;
                self.put(&mut leg.via, via, option, text)
            }
            "dev" => {
                let dev = self.if_name(word, text.piece(word))?;
                self.put(&mut leg.dev, dev, option, text)
            }
            _ => {
                let encap = self.encap(word, words)?;
                self.put(&mut leg.encap, encap, option, text)
            }
        }
    }

    /// Reads a gateway: an address, one with its family before it, or a node.
    fn via<'t>(&mut self, word: &'t str, words: &mut Words<'t>) -> Option<Via> {
        let text = words.text;
        if word == "inet" || word == "inet6" {
            let Some(addr) = words.next() else {
                let message = format!("`via {word}` has no address after it");
                self.error(Diagnostic::error(message, Some(text.piece(word))));
                return None;
            };
            let span = text.piece(addr);
            let addr = self.ip(addr, span)?;
            if addr.is_ipv6() != (word == "inet6") {
                let message = format!("`{addr}` is no address of the family `{word}`");
                self.error(Diagnostic::error(message, Some(span)));
                return None;
            }
            return Some(Via::Addr(addr));
        }
        if let Ok(addr) = word.parse::<IpAddr>() {
            return Some(Via::Addr(addr));
        }
        let number = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/');
        if word.contains(':') || (word.contains('.') && word.chars().all(number)) {
            self.ip(word, text.piece(word))?;
        }
        self.node_name(word, text.piece(word)).map(Via::Node)
    }

    /// Reads what follows `encap`: `mpls 100/200 ttl 9`, or `seg6 mode encap segs A,B`.
    fn encap<'t>(&mut self, kind: &'t str, words: &mut Words<'t>) -> Option<Encap> {
        const LATER: [&str; 8] = ["ip", "ip6", "ila", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];
        let text = words.text;
        match kind {
            "mpls" => {
                let word = self.after(kind, words)?;
                let labels = word.split('/');
                let labels =
                    labels.map(|l| self.number_of(l, text.piece(l), "label", (0, LABEL_MAX)));
                let labels = labels.collect::<Option<_>>()?;
                let ttl = match words.take_word("ttl") {
                    true => Some(self.number_after("ttl", words, (1, 255))?),
                    false => None,
                };
                Some(Encap::Mpls { labels, ttl: ttl.and_then(|ttl| u8::try_from(ttl).ok()) })
            }
            "seg6" => self.seg6(kind, words),
            other => {
                let message = match LATER.contains(&other) {
                    true => format!("`encap {other}` is not supported yet"),
                    false => format!("there is no `encap {}`", shown(other)),
                };
                let error = Diagnostic::error(message, Some(text.piece(other)));
                self.error(error.hint("there are `encap seg6` and `encap mpls`"));
                None
            }
        }
    }

    fn seg6<'t>(&mut self, kind: &'t str, words: &mut Words<'t>) -> Option<Encap> {
        let text = words.text;
        let (mut mode, mut segments) = (None, None);
        while let Some(option) = words.peek().filter(|word| matches!(*word, "mode" | "segs")) {
            words.next();
            let word = self.after(option, words)?;
            if option == "mode" {
                let found = match word {
                    "encap" => Seg6Mode::Encap,
                    "inline" => Seg6Mode::Inline,
                    other => {
                        let message = format!("`mode {}` is not supported", shown(other));
                        let error = Diagnostic::error(message, Some(text.piece(other)));
                        self.error(error.hint("there are `mode encap` and `mode inline`"));
                        return None;
                    }
                };
                self.put(&mut mode, found, option, text)?;
            } else {
                let list = word.split(',').map(|word| self.segment_address(word, words));
                let list = list.collect::<Option<Vec<_>>>()?;
                self.put(&mut segments, list, option, text)?;
            }
        }
        let Some(segments) = segments else {
            let error = Diagnostic::error("`encap seg6` has no `segs`", Some(text.piece(kind)));
            self.error(error.hint("write `encap seg6 mode encap segs 2001:db8::1,2001:db8::2`"));
            return None;
        };
        Some(Encap::Seg6 { mode: mode.unwrap_or(Seg6Mode::Encap), segments })
    }

    fn segment_address(&mut self, word: &str, words: &Words<'_>) -> Option<Ipv6Addr> {
        let span = words.text.piece(word);
        match self.ip(word, span)? {
            IpAddr::V6(addr) => Some(addr),
            IpAddr::V4(addr) => {
                let message = format!("{addr} is no IPv6 address, which a segment is");
                self.error(Diagnostic::error(message, Some(span)));
                None
            }
        }
    }
}
