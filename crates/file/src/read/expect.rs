//! `expect:`, in words.

use std::iter::Peekable;
use std::net::IpAddr;
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use vnet_model::expect::{Claim, Condition, Expectation, Group, Packet, Part};
use vnet_model::problem::nearest;

use super::{Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::source::Span;
use crate::syntax::{Data, Value};

/// The words that part who from whom.
const VERBS: [&str; 5] = ["reaches", "reach", "cannot", "sees", "see"];

/// The words that end the list of who is asked, beside packets.
const AFTER_WHOM: [&str; 7] = ["via", "within", "ipv4", "ipv6", "if", "for", "as"];

/// How a link failure is written, behind `for`.
const EACH_LINK: [&str; 4] = ["every", "single", "link", "failure"];

/// What an expectation may look like.
const FORMS: &str = "write `A reaches B`, `A cannot reach B` or `A sees B as ADDRESS`";

type Words<'t> = Peekable<SplitWhitespace<'t>>;

impl Reader<'_> {
    /// Reads `expect:`. A range in it is a group of nodes, not a list of expectations.
    pub(super) fn expectations(&mut self, value: &Value) -> Vec<Expectation> {
        let items = match &value.data {
            Data::Empty => return Vec::new(),
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        if !self.spend(items.len(), value.span) {
            return Vec::new();
        }
        let read = |item| {
            let text = self.text(item, "expect", None)?;
            self.expectation(&text)
        };
        items.iter().filter_map(read).collect()
    }

    fn expectation(&mut self, text: &Text<'_>) -> Option<Expectation> {
        let mut words = text.text.split_whitespace().peekable();
        let who = self.group(&mut words, text, |word| VERBS.contains(&word))?;
        let claim = self.verb(&mut words, text)?;
        let ends = |word: &str| AFTER_WHOM.contains(&word) || is_packet(word);
        let whom = self.group(&mut words, text, ends)?;
        let written = text.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut expectation = Expectation {
            text: written,
            who,
            claim,
            whom,
            packet: None,
            ipv6: None,
            via: Vec::new(),
            within: None,
            when: Condition::Always,
            origin: self.origin(text.span),
        };
        if let Claim::Sees(_) = claim {
            expectation.claim = Claim::Sees(self.seen_as(&mut words, text)?);
        }
        while let Some(word) = words.next() {
            self.option(&mut expectation, word, &mut words, text)?;
        }
        self.check_expectation(&expectation, text).then_some(expectation)
    }

    /// Reads the verb. The address of `sees` stands behind whom.
    fn verb(&mut self, words: &mut Words<'_>, text: &Text<'_>) -> Option<Claim> {
        match words.next() {
            Some("reaches" | "reach") => Some(Claim::Reaches),
            Some("sees" | "see") => Some(Claim::Sees(IpAddr::from([0, 0, 0, 0]))),
            Some(word) if word != "cannot" => {
                self.unknown_word(word, text);
                None
            }
            Some(word) if words.next_if_eq(&"reach").is_none() => {
                let message = "`cannot` must be followed by `reach`";
                self.error(Diagnostic::error(message, Some(text.piece(word))).hint(FORMS));
                None
            }
            Some(_) => Some(Claim::CannotReach),
            None => {
                let message = "the expectation says nothing of anybody";
                self.error(Diagnostic::error(message, Some(text.span)).hint(FORMS));
                None
            }
        }
    }

    /// Reads names up to a word that ends them: `pc1..3, web`, `pc*`, `all`.
    fn group(
        &mut self,
        words: &mut Words<'_>,
        text: &Text<'_>,
        ends: impl Fn(&str) -> bool,
    ) -> Option<Group> {
        let mut parts = Vec::new();
        let mut open = true;
        while let Some(word) = words.next_if(|word| !ends(word) && (open || *word == "and")) {
            open = word.ends_with(',') || word == "and";
            let names = word.split(',').filter(|name| !name.is_empty() && *name != "and");
            for name in names {
                self.part(name, text, &mut parts)?;
            }
        }
        if parts.is_empty() {
            let place = words.peek().map_or(text.span, |word| text.piece(word));
            let message = "here a node, a segment or `all` is missing";
            self.error(Diagnostic::error(message, Some(place)).hint(FORMS));
            return None;
        }
        Some(Group(parts))
    }

    fn part(&mut self, name: &str, text: &Text<'_>, parts: &mut Vec<Part>) -> Option<()> {
        let span = text.piece(name);
        if name == "all" {
            parts.push(Part::All);
        } else if let Ok(addr) = IpAddr::from_str(name) {
            parts.push(Part::Address(addr));
        } else if name.contains(['*', '?']) {
            parts.push(Part::Glob(name.to_owned()));
        } else {
            for one in self.expand((name, span, false), None) {
                parts.push(match one.text.split_once(':') {
                    Some((node, dev)) => {
                        let node = self.node_name(node, span)?;
                        Part::Interface(node, self.if_name(dev, span)?)
                    }
                    None => Part::Name(self.node_name(&one.text, span)?),
                });
            }
        }
        Some(())
    }

    fn seen_as(&mut self, words: &mut Words<'_>, text: &Text<'_>) -> Option<IpAddr> {
        let address = words.next_if_eq(&"as").and_then(|_| words.next());
        let Some(word) = address else {
            let message = "`sees` does not say as which address";
            let hint = "write `A sees B as 192.0.2.2`";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        };
        self.ip(word, text.piece(word))
    }

    fn option<'t>(
        &mut self,
        expectation: &mut Expectation,
        word: &'t str,
        words: &mut Words<'t>,
        text: &Text<'_>,
    ) -> Option<()> {
        let twice = match word {
            _ if is_packet(word) => {
                let packet = Packet::from_str(word).map_err(|why| {
                    let message = format!("`{}` is no packet: {why}", shown(word));
                    self.error(Diagnostic::error(message, Some(text.piece(word))));
                });
                expectation.packet.replace(packet.ok()?).is_some()
            }
            "ipv4" | "ipv6" => expectation.ipv6.replace(word == "ipv6").is_some(),
            "via" => {
                let named = words.next_if(|next| !AFTER_WHOM.contains(next) && !is_packet(next));
                let names = self.following(word, named, text)?;
                for name in names.split(',').filter(|name| !name.is_empty()) {
                    expectation.via.push(self.node_name(name, text.piece(name))?);
                }
                false
            }
            "within" => {
                let named = words.next();
                let time = self.following(word, named, text)?;
                expectation.within.replace(self.time(time, text)?).is_some()
            }
            "if" | "for" => {
                let when = self.condition(word, words, text)?;
                std::mem::replace(&mut expectation.when, when) != Condition::Always
            }
            _ => {
                self.unknown_word(word, text);
                return None;
            }
        };
        if twice {
            let message = format!("`{}` is there twice", shown(word));
            self.error(Diagnostic::error(message, Some(text.piece(word))));
        }
        (!twice).then_some(())
    }

    /// Takes the word behind another.
    fn following<'t>(
        &mut self,
        word: &str,
        next: Option<&'t str>,
        text: &Text<'_>,
    ) -> Option<&'t str> {
        if next.is_none() {
            let message = format!("`{word}` has nothing after it");
            self.error(Diagnostic::error(message, Some(text.piece(word))));
        }
        next
    }

    /// Reads a time with its unit: `30ms`.
    fn time(&mut self, word: &str, text: &Text<'_>) -> Option<Duration> {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &word[digits.len()..] {
            "us" => Some(1e-6),
            "ms" => Some(1e-3),
            "s" => Some(1.0),
            _ => None,
        };
        let seconds = digits.parse::<f64>().ok().zip(unit).map(|(number, unit)| number * unit);
        let time = seconds.filter(|seconds| (1e-6..=60.0).contains(seconds));
        if time.is_none() {
            let message = format!("`{}` is no time up to 60s", shown(word));
            let error = Diagnostic::error(message, Some(text.piece(word)));
            self.error(error.hint("write it with a unit: `500us`, `30ms`, `2s`"));
        }
        time.map(Duration::from_secs_f64)
    }

    fn condition<'t>(
        &mut self,
        word: &'t str,
        words: &mut Words<'t>,
        text: &Text<'_>,
    ) -> Option<Condition> {
        if word == "for" {
            let rest: Vec<&str> = words.by_ref().take(EACH_LINK.len()).collect();
            if rest == EACH_LINK {
                return Some(Condition::EachLink);
            }
            let error =
                Diagnostic::error("what `for` is about is not known", Some(text.piece(word)));
            self.error(error.hint("write `for every single link failure`"));
            return None;
        }
        let mut names = Vec::new();
        while let Some(word) = words.next() {
            let name = word.trim_end_matches(',');
            match name {
                "and" | "" => {}
                "is" | "are" => {
                    let more = words.next() == Some("down");
                    if !more || names.is_empty() {
                        break;
                    }
                    if words.next_if_eq(&"and").is_none() {
                        return Some(Condition::Down(names));
                    }
                }
                _ => names.push(self.cable(name, text.piece(name))?),
            }
        }
        let error = Diagnostic::error("what `if` is about is not known", Some(text.piece(word)));
        self.error(error.hint("write `if r1--r2 is down`, or a node for all its links"));
        None
    }

    /// Reads what is to be down: a name, or an interface of a node's.
    fn cable(&mut self, name: &str, span: Span) -> Option<String> {
        Some(match name.split_once(':') {
            Some((node, dev)) => {
                format!("{}:{}", self.node_name(node, span)?, self.if_name(dev, span)?)
            }
            None => self.node_name(name, span)?.to_string(),
        })
    }

    fn unknown_word(&mut self, word: &str, text: &Text<'_>) {
        let message = format!("`{}` is no word of an expectation", shown(word));
        let error = Diagnostic::error(message, Some(text.piece(word)));
        let known = AFTER_WHOM.iter().chain(&VERBS).copied();
        self.error(match nearest(word, known) {
            Some(near) => error.hint(format!("a similar word exists: `{near}`")),
            None => error.hint(
                "behind whom may stand tcp/80, `ipv6`, `via NODE`, `within 30ms`, `if LINK is down`",
            ),
        });
    }

    /// Checks that the words belong together.
    fn check_expectation(&mut self, expectation: &Expectation, text: &Text<'_>) -> bool {
        let is_address = |part: &Part| matches!(part, Part::Address(_));
        let Expectation { who, claim, whom, packet, via, within, when, .. } = expectation;
        let reaches = *claim == Claim::Reaches;
        let sees = matches!(claim, Claim::Sees(_));
        let message = if who.0.iter().any(is_address) {
            "who asks is a node, not an address"
        } else if sees && whom.0.iter().any(is_address) {
            "who is seen is a node, not an address"
        } else if !reaches && !via.is_empty() {
            "`via` is about a way, and there is none that must be there"
        } else if !reaches && within.is_some() {
            "`within` is about an answer that must come"
        } else if sees && *packet == Some(Packet::Icmp) {
            "who sees looks at a connection: take tcp/80 or so instead of icmp"
        } else if sees && *when != Condition::Always {
            "`sees` is tried as things are: it takes no condition"
        } else {
            return true;
        };
        self.error(Diagnostic::error(message, Some(text.span)));
        false
    }
}

fn is_packet(word: &str) -> bool {
    word == "icmp" || word.starts_with("tcp/") || word.starts_with("udp/")
}
