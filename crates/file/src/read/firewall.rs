//! `firewall:`, in plain words.

use vnet_model::nft::{CtState, Limit, RawText};
use vnet_model::topology::firewall::{Firewall, FirewallRule, Peer, Verdict, Way};
use vnet_model::{IfName, NodeName};

use super::{At, Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::source::Span;
use crate::syntax::{Data, Value};
use crate::vocabulary::FIREWALL;

const VERDICTS: [(&str, Verdict); 3] =
    [("accept", Verdict::Accept), ("drop", Verdict::Drop), ("reject", Verdict::Reject)];

/// The words before an entry of `rules:`; `count` decides nothing.
const ACTIONS: [(&str, Option<Verdict>); 4] = [
    ("allow", Some(Verdict::Accept)),
    ("deny", Some(Verdict::Drop)),
    ("reject", Some(Verdict::Reject)),
    ("count", None),
];

const WAYS: [(&str, Way); 3] = [("in", Way::In), ("out", Way::Out), ("forward", Way::Forward)];

/// The words of a rule, beside its protocol.
const WORDS: [&str; 9] = ["from", "to", "iif", "oif", "state", "limit", "burst", "log", "counter"];

/// Who is meant where it does not matter.
const ANYBODY: &str = "any";

/// The protocols that have names here (`IPPROTO_*`, linux/in.h).
pub(crate) const PROTOCOLS: [(&str, u8); 9] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("icmpv6", 58),
    ("sctp", 132),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipip", 4),
];

/// The protocols with ports: TCP, UDP, SCTP.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

const UNITS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)];

/// How many packets a limit lets through at once, where not given; as nft has it.
const BURST_DEFAULT: u32 = 5;

/// The longest prefix of a line in the log, in bytes (`NF_LOG_PREFIXLEN - 1`,
/// linux/netfilter/nf_log.h).
const LOG_PREFIX_MAX_BYTES: usize = 127;

/// What a text for nft shall not say: words, what is wrong with them, and what helps.
const NOT_IN_A_TEXT: [(&[&str], &str, &str); 2] = [
    (
        &["flush", "ruleset"],
        "`flush ruleset` takes the tables of others too",
        "leave it out: the tables of this text are replaced as a whole",
    ),
    (
        &["include"],
        "`include` is not for `nftables:`: that file may change after it was tried out",
        "write here what the file says",
    ),
];

impl Reader<'_> {
    /// Reads a node's `firewall:`.
    pub(super) fn firewall(&mut self, value: &Value, key: Span, at: At<'_>) -> Option<Firewall> {
        if matches!(value.data, Data::Empty) {
            return None;
        }
        let fields = self.fields(value, &FIREWALL)?;
        let mut firewall =
            Firewall { established: true, origin: self.origin(key), ..Firewall::default() };
        let mut policy =
            |name: &str| fields.get(name).and_then(|value| self.word(value, name, at, &VERDICTS));
        firewall.input = policy("in");
        firewall.output = policy("out");
        firewall.forward = policy("forward");
        if let Some(value) = fields.get("established") {
            firewall.established = self.boolean(value, "established", at).unwrap_or(true);
        }
        let lists = [
            ("rules", None),
            ("deny", Some(Verdict::Drop)),
            ("reject", Some(Verdict::Reject)),
            ("allow", Some(Verdict::Accept)),
        ];
        for (name, verdict) in lists {
            let Some(value) = fields.get(name) else { continue };
            let texts = self.texts(value, name, at);
            for text in &texts {
                firewall.rules.extend(self.firewall_rule(text, verdict));
            }
        }
        Some(firewall)
    }

    /// Reads a node's `nftables:`. Only nft understands it; what would take the tables of others is
    /// refused here.
    pub(super) fn nftables(&mut self, value: &Value, key: Span) -> Option<RawText> {
        let Data::Text(text) = &value.data else {
            self.mismatch(value, "nftables", "a text");
            return None;
        };
        let mut spans = self.source.lines_of(value.span, text);
        if spans.is_empty() {
            // In quotes, or folded: it is known where it begins.
            spans = vec![self.source.first_line(value.span); text.lines().count()];
        }
        let mut raw = RawText::new(text.clone());
        raw.origin = self.origin(key);
        raw.lines = spans.iter().map(|span| self.origin(*span)).collect();
        for (words, message, hint) in NOT_IN_A_TEXT {
            let Some(line) = raw.line_of(words) else { continue };
            let span = spans.get(line - 1).copied().unwrap_or(key);
            self.error(Diagnostic::error(message, Some(span)).hint(hint));
        }
        Some(raw)
    }

    /// Reads a rule. Without a verdict, its first word says it.
    fn firewall_rule(&mut self, text: &Text<'_>, verdict: Option<Verdict>) -> Option<FirewallRule> {
        let origin = self.origin(text.span);
        let mut rule = FirewallRule { verdict, origin, ..FirewallRule::default() };
        let mut words = text.text.split_whitespace().peekable();
        if verdict.is_none() {
            rule.verdict = self.action(words.next(), text)?;
            // What only counts, counts.
            rule.counter = rule.verdict.is_none();
        }
        let way = words.peek().and_then(|word| WAYS.iter().find(|(name, _)| name == word));
        if let Some((_, way)) = way {
            rule.way = Some(*way);
            words.next();
        }
        while let Some(word) = words.next() {
            self.firewall_word(&mut rule, word, &mut words, text)?;
        }
        Some(rule)
    }

    #[expect(clippy::option_option, reason = "outer: whether it could be read")]
    fn action(&mut self, word: Option<&str>, text: &Text<'_>) -> Option<Option<Verdict>> {
        let known = word.and_then(|word| ACTIONS.iter().find(|(name, _)| *name == word));
        if let Some((_, verdict)) = known {
            return Some(*verdict);
        }
        let span = word.map_or(text.span, |word| text.piece(word));
        let message = "a rule begins with `allow`, `deny`, `reject` or `count`";
        self.error(Diagnostic::error(message, Some(span)));
        None
    }

    fn firewall_word<'t>(
        &mut self,
        rule: &mut FirewallRule,
        word: &'t str,
        words: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
        text: &Text<'_>,
    ) -> Option<()> {
        match word {
            "counter" => {
                rule.counter = true;
                return Some(());
            }
            "log" => return self.log(rule, words, text),
            _ if WORDS.contains(&word) => {}
            _ => {
                let (protocol, ports) = self.protocol(word, text)?;
                rule.protocols.push(protocol);
                rule.ports.extend(ports);
                if rule.protocols.len() > 1 {
                    return self.at_fault(word, text, "a rule is about one protocol", None);
                }
                return Some(());
            }
        }
        let Some(value) = words.next() else {
            let message = format!("`{word}` has nothing after it");
            return self.at_fault(word, text, &message, None);
        };
        match word {
            "from" => rule.from.extend(self.peers(value, text)?),
            "to" => rule.to.extend(self.peers(value, text)?),
            "iif" => rule.iif.extend(self.if_names(value, text)?),
            "oif" => rule.oif.extend(self.if_names(value, text)?),
            "state" => rule.states.extend(self.states(value, text)?),
            "limit" if rule.limit.is_some() => {
                return self.at_fault(word, text, "a rule has one `limit`", None);
            }
            "limit" => rule.limit = Some(self.limit(value, text)?),
            _ => self.burst(rule, value, text)?,
        }
        Some(())
    }

    fn at_fault<T>(
        &mut self,
        word: &str,
        text: &Text<'_>,
        message: &str,
        hint: Option<String>,
    ) -> Option<T> {
        let error = Diagnostic::error(message, Some(text.piece(word)));
        self.error(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
        None
    }

    /// Reads `log`, or `log prefix WORD`.
    fn log<'t>(
        &mut self,
        rule: &mut FirewallRule,
        words: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
        text: &Text<'_>,
    ) -> Option<()> {
        let mut prefix = String::new();
        if words.peek() == Some(&"prefix") {
            let word = words.next().unwrap_or_default();
            let Some(value) = words.next() else {
                return self.at_fault(word, text, "`prefix` has nothing after it", None);
            };
            let is_plain = |c: char| !c.is_control() && c != '"' && c != '\\';
            if value.len() >= LOG_PREFIX_MAX_BYTES || !value.chars().all(is_plain) {
                let message = format!("`{}` can't begin a line of the log", shown(value));
                let hint = format!("it has at most {} bytes, no quotes", LOG_PREFIX_MAX_BYTES - 1);
                return self.at_fault(value, text, &message, Some(hint));
            }
            // Else it would run into the line.
            prefix = format!("{value} ");
        }
        rule.log = Some(prefix);
        Some(())
    }

    /// Reads who is at one end: names and prefixes with commas between, or `any`: nobody in
    /// particular.
    pub(super) fn peers(&mut self, list: &str, text: &Text<'_>) -> Option<Vec<Peer>> {
        if list == ANYBODY {
            return Some(Vec::new());
        }
        let mut peers = Vec::new();
        for word in list.split(',') {
            if word == ANYBODY {
                let message = format!("`{ANYBODY}` stands alone: the others are meant by it too");
                return self.at_fault(list, text, &message, None);
            }
            peers.push(self.peer(word, text)?);
        }
        Some(peers)
    }

    pub(super) fn peer(&mut self, word: &str, text: &Text<'_>) -> Option<Peer> {
        if let Ok(addr) = word.parse::<std::net::IpAddr>() {
            return Some(Peer::Net(addr.into()));
        }
        if word.contains('/') {
            return self.prefix(word, text).map(Peer::Net);
        }
        if NodeName::new(word).is_err() && IfName::new(word).is_err() {
            self.node_name(word, text.piece(word))?;
        }
        Some(Peer::Name(word.to_owned()))
    }

    fn if_names(&mut self, list: &str, text: &Text<'_>) -> Option<Vec<IfName>> {
        list.split(',').map(|word| self.if_name(word, text.piece(word))).collect()
    }

    fn states(&mut self, list: &str, text: &Text<'_>) -> Option<Vec<CtState>> {
        let mut states = Vec::new();
        for word in list.split(',') {
            let Some(state) = CtState::ALL.iter().find(|state| state.name() == word) else {
                let message = format!("`{}` is no state of a connection", shown(word));
                let names = CtState::ALL.map(CtState::name).join("`, `");
                let hint = format!("there are `{names}`");
                return self.at_fault(word, text, &message, Some(hint));
            };
            states.push(*state);
        }
        Some(states)
    }

    /// Reads `10/second`.
    fn limit(&mut self, word: &str, text: &Text<'_>) -> Option<Limit> {
        let parts = word.split_once('/').and_then(|(rate, unit)| {
            let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
            let rate = rate.parse::<u32>().ok().filter(|rate| *rate > 0)?;
            Some((u64::from(rate), *seconds))
        });
        match parts {
            Some((rate, seconds)) => {
                Some(Limit { rate, seconds, burst: BURST_DEFAULT, bytes: false, over: false })
            }
            None => {
                let message = format!("`{}` is no limit", shown(word));
                let hint = "write how many packets in a `second`, `minute`, `hour` or `day`: \
                            `limit 10/second`";
                self.at_fault(word, text, &message, Some(hint.to_owned()))
            }
        }
    }

    fn burst(&mut self, rule: &mut FirewallRule, word: &str, text: &Text<'_>) -> Option<()> {
        let burst = self.number_of(word, text.piece(word), "burst", (1, u32::MAX))?;
        match &mut rule.limit {
            Some(limit) => {
                limit.burst = burst;
                Some(())
            }
            None => self.at_fault(word, text, "`burst` stands behind a `limit`", None),
        }
    }

    /// Reads a protocol with or without ports: `tcp/80,443,8000-8080`.
    pub(super) fn protocol(
        &mut self,
        word: &str,
        text: &Text<'_>,
    ) -> Option<(u8, Vec<(u16, u16)>)> {
        let (name, list) = match word.split_once('/') {
            Some((name, list)) => (name, Some(list)),
            None => (word, None),
        };
        let known = PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let Some(protocol) = known.or_else(|| name.parse().ok()) else {
            let message = format!("`{}` is no word of a rule", shown(word));
            let all = PROTOCOLS.iter().map(|(name, _)| *name).chain(WORDS);
            let hint = match vnet_model::problem::nearest(name, all) {
                Some(near) => format!("a similar word exists: `{near}`"),
                None => "write a protocol such as `tcp/22`, `from`, `to`, `iif`, `oif`, `state`, \
                         `limit`, `log` or `counter`"
                    .to_owned(),
            };
            return self.at_fault(word, text, &message, Some(hint));
        };
        let Some(list) = list else { return Some((protocol, Vec::new())) };
        if !WITH_PORTS.contains(&protocol) {
            let message = format!("`{name}` has no ports");
            return self.at_fault(word, text, &message, None);
        }
        let ports: Option<Vec<_>> = list.split(',').map(|part| self.ports(part, text)).collect();
        Some((protocol, ports?))
    }

    /// Reads a port, or a range of ports.
    fn ports(&mut self, word: &str, text: &Text<'_>) -> Option<(u16, u16)> {
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        let mut port = |word: &str| {
            let number = self.number_of(word, text.piece(word), "port", (1, 65535))?;
            u16::try_from(number).ok()
        };
        let (from, to) = (port(from)?, port(to)?);
        if from > to {
            let message = format!("the ports `{word}` are the wrong way round");
            return self.at_fault(word, text, &message, Some(format!("write `{to}-{from}`")));
        }
        Some((from, to))
    }
}
