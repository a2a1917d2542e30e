//! Rules in nft's language (`nft(8)`).
//!
//! It reads the expressions of a rule as nft itself does when it lists one: each register is
//! remembered by what was loaded into it, and a comparison is written as the two sides. What nft
//! says of itself, as `meta l4proto tcp` before `tcp dport 22`, is left out again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::{
    Base, CmpOp, Counts, Ct, CtState, Data, Expr, Family, Limit, Log, Map, Mapped, Meta, Nat,
    PayloadBase, Reg, Reject, Rule, Set, Table, Verdict,
};
use value::{Show, range, shown};

mod value;

/// Writes a table as nft reads it; the counters begin at zero.
#[must_use]
pub fn table(table: &Table) -> String {
    let mut out = format!("table {} {{\n", table.id);
    if let Some(mark) = &table.mark {
        let _ = writeln!(out, "\tcomment \"{mark}\"");
    }
    for chain in &table.chains {
        let _ = writeln!(out, "\tchain {} {{", chain.name);
        if let Some(base) = &chain.base {
            let _ = writeln!(out, "\t\t{}", base_line(base));
        }
        for rule in &chain.rules {
            let _ = writeln!(out, "\t\t{}", self::rule(rule, table.id.family));
        }
        out.push_str("\t}\n");
    }
    out.push_str("}\n");
    out
}

/// Writes what makes a table this one, whatever it was before, for `nft -f`: all in one transaction.
#[must_use]
pub fn replace(wanted: &Table) -> String {
    let id = &wanted.id;
    // Adding first, so that there is one to delete.
    format!("table {id}\ndelete table {id}\n{}", table(wanted))
}

fn base_line(base: &Base) -> String {
    let Base { kind, hook, priority, accepts, devices } = base;
    let policy = if *accepts { "accept" } else { "drop" };
    let (kind, hook) = (kind.name(), hook.name());
    let quoted: Vec<String> = devices.iter().map(|device| format!("\"{device}\"")).collect();
    let at = match quoted.as_slice() {
        [] => String::new(),
        [one] => format!(" device {one}"),
        several => format!(" devices = {{ {} }}", several.join(", ")),
    };
    format!("type {kind} hook {hook}{at} priority {priority}; policy {policy};")
}

/// Writes a rule of a table of this family.
#[must_use]
pub fn rule(rule: &Rule, family: Family) -> String {
    Writer { nfproto: family_number(family), ..Writer::default() }.rule(rule)
}

/// Writes a rule with what its counters have counted, as `nft list` does.
#[must_use]
pub fn rule_counted(rule: &Rule, family: Family) -> String {
    Writer { nfproto: family_number(family), counted: true, ..Writer::default() }.rule(rule)
}

/// Writes where packets come to a chain, and what becomes of those that no rule decides:
/// `filter, hook forward, priority 0, policy drop`.
#[must_use]
pub fn base(base: &Base) -> String {
    let Base { kind, hook, priority, accepts, devices } = base;
    let policy = if *accepts { "accept" } else { "drop" };
    let (kind, hook) = (kind.name(), hook.name());
    let at = match devices.as_slice() {
        [] => String::new(),
        [one] => format!(", device {one}"),
        several => format!(", devices {}", several.join(" and ")),
    };
    format!("{kind}, hook {hook}{at}, priority {priority}, policy {policy}")
}

/// The one family that the packets of a table have (`NFPROTO_*`), if there is one.
fn family_number(family: Family) -> Option<u8> {
    matches!(family, Family::Ip | Family::Ip6 | Family::Arp).then(|| family.number())
}

/// `ARPHRD_ETHER` (linux/if_arp.h).
const ARPHRD_ETHER: u16 = 1;

/// The protocols of Ethernet that are families.
const ETHER_TYPES: [([u8; 2], Family); 3] =
    [([0x08, 0x00], Family::Ip), ([0x08, 0x06], Family::Arp), ([0x86, 0xdd], Family::Ip6)];

/// What a register holds.
#[derive(Debug, Clone)]
enum Held {
    /// Something of the packet: how nft calls it, and what was masked away.
    Left { text: String, show: Show, mask: Option<Data> },
    /// A value.
    Value(Data),
}

/// A part of the rule's text.
#[derive(Debug)]
struct Word {
    text: String,
    /// What only makes way for a later part, which says it too.
    implied: Option<Implied>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Implied {
    /// By `ip …`, `ip6 …` or `arp …`.
    Family,
    /// By `ether …`.
    Ethernet,
    /// By `tcp …`, `udp …`, `icmp …`.
    Protocol,
}

#[derive(Debug, Default)]
struct Writer {
    words: Vec<Word>,
    held: BTreeMap<Reg, Held>,
    nfproto: Option<u8>,
    l4proto: Option<u8>,
    /// Whether counters are written with what they have counted.
    counted: bool,
}

impl Writer {
    fn rule(mut self, rule: &Rule) -> String {
        let mut rest = rule.exprs.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = self.take(first, after);
        }
        let words: Vec<String> = self.words.into_iter().map(|word| word.text).collect();
        words.join(" ")
    }

    fn say(&mut self, text: impl Into<String>) {
        self.words.push(Word { text: text.into(), implied: None });
    }

    /// Takes an expression, and the next where the two are one.
    fn take<'e>(&mut self, expr: &Expr, after: &'e [Expr]) -> &'e [Expr] {
        match expr {
            Expr::Payload { base, offset, len, reg } => {
                let left = self.payload(*base, *offset, *len);
                self.held.insert(*reg, left);
            }
            Expr::Meta { key, reg } => self.hold(*reg, value::meta(*key)),
            Expr::Ct { key, dir, reg } => self.hold(*reg, value::ct(*key, *dir)),
            Expr::Fib { result, flags, reg } => self.hold(*reg, value::fib(*result, *flags)),
            Expr::Immediate { reg, data } => {
                self.held.insert(*reg, Held::Value(data.clone()));
            }
            Expr::Bitwise { from, to, mask, xor } => self.bitwise(*from, *to, mask, xor),
            Expr::Cmp { reg, op: CmpOp::Gte, data: least } => {
                if let [Expr::Cmp { reg: same, op: CmpOp::Lte, data: most }, after @ ..] = after
                    && same == reg
                {
                    self.in_range(*reg, false, least, most);
                    return after;
                }
                self.compare(*reg, CmpOp::Gte, least);
            }
            Expr::Cmp { reg, op, data } => self.compare(*reg, *op, data),
            Expr::Range { reg, invert, from, to } => self.in_range(*reg, *invert, from, to),
            Expr::Lookup { reg, set, invert } => self.lookup(*reg, set, *invert),
            Expr::Map { reg, map, to } => self.map(*reg, map, *to),
            Expr::Verdict(verdict) => self.say(verdict_word(verdict)),
            Expr::Counter(Counts { packets, bytes }) if self.counted => {
                self.say(format!("counter packets {packets} bytes {bytes}"));
            }
            Expr::Counter(_) => self.say("counter"),
            Expr::Limit(limit) => self.say(limit_words(limit)),
            Expr::Log(log) => self.say(log_words(log)),
            Expr::Reject(reject) => self.say(reject_words(*reject, self.nfproto)),
            Expr::Nat(nat) => self.nat(nat),
            Expr::Masquerade { flags } => self.say(format!("masquerade{}", flag_words(*flags))),
            Expr::Redirect { port, flags } => {
                let to = port.map(|reg| format!(" to :{}", self.port(reg))).unwrap_or_default();
                self.say(format!("redirect{to}{}", flag_words(*flags)));
            }
            Expr::Unknown { name, .. } => self.say(format!("<{name}>")),
        }
        after
    }

    fn hold(&mut self, reg: Reg, (text, show): (String, Show)) {
        self.held.insert(reg, Held::Left { text, show, mask: None });
    }

    /// Names a part of the packet by what the rule has said of it so far.
    fn payload(&self, base: PayloadBase, offset: u32, len: u32) -> Held {
        let known = match base {
            PayloadBase::Link => value::link(offset, len),
            PayloadBase::Network => value::network(self.nfproto, offset, len),
            PayloadBase::Transport => value::transport(self.l4proto, offset, len),
            PayloadBase::Other(_) => None,
        };
        let (text, show) = known.unwrap_or_else(|| value::raw(base, offset, len));
        Held::Left { text, show, mask: None }
    }

    fn bitwise(&mut self, from: Reg, to: Reg, mask: &Data, xor: &Data) {
        let held = match self.held.get(&from) {
            Some(Held::Left { text, show, mask: None }) if xor.iter().all(|byte| *byte == 0) => {
                Held::Left { text: text.clone(), show: *show, mask: Some(mask.clone()) }
            }
            _ => {
                let text = format!("(register {from} & 0x{mask} ^ 0x{xor})");
                Held::Left { text, show: Show::Hex, mask: None }
            }
        };
        self.held.insert(to, held);
    }

    fn left(&self, reg: Reg) -> (String, Show, Option<Data>) {
        match self.held.get(&reg) {
            Some(Held::Left { text, show, mask }) => (text.clone(), *show, mask.clone()),
            Some(Held::Value(data)) => (format!("0x{data}"), Show::Hex, None),
            None => (format!("register {reg}"), Show::Hex, None),
        }
    }

    fn compare(&mut self, reg: Reg, op: CmpOp, data: &Data) {
        let (text, show, mask) = self.left(reg);
        let right = match mask {
            None => shown(show, data),
            Some(mask) => match value::masked(show, &mask, op, data) {
                Some((words, is_inverted)) => {
                    let sign = if is_inverted { "!= " } else { "" };
                    return self.condition(&text, format!("{text} {sign}{words}"), None);
                }
                None => {
                    let sign = sign(op);
                    let sign = if sign.is_empty() { "== " } else { sign };
                    let (mask, right) = (shown(show, &mask), shown(show, data));
                    return self.condition(&text, format!("{text} & {mask} {sign}{right}"), None);
                }
            },
        };
        let is_eq = op == CmpOp::Eq;
        let implied = self.learn(&text, is_eq, data);
        self.condition(&text, format!("{text} {}{right}", sign(op)), implied);
    }

    /// Remembers what the rule has said of family and protocol.
    fn learn(&mut self, text: &str, is_eq: bool, data: &Data) -> Option<Implied> {
        if !is_eq {
            return None;
        }
        if matches!(text, "meta iiftype" | "meta oiftype") {
            return (**data == u16::to_ne_bytes(ARPHRD_ETHER)).then_some(Implied::Ethernet);
        }
        if matches!(text, "meta protocol" | "ether type") {
            let known = ETHER_TYPES.iter().find(|(bytes, _)| **data == *bytes);
            self.nfproto = known.map(|(_, family)| family.number());
            return known.map(|_| Implied::Family);
        }
        let [byte] = **data else { return None };
        match text {
            "meta nfproto" => {
                self.nfproto = Some(byte);
                Some(Implied::Family)
            }
            "meta l4proto" | "ip protocol" | "ip6 nexthdr" => {
                self.l4proto = Some(byte);
                (text == "meta l4proto").then_some(Implied::Protocol)
            }
            _ => None,
        }
    }

    /// Says a condition, and takes back what it implies.
    fn condition(&mut self, left: &str, text: String, implied: Option<Implied>) {
        self.take_back(left);
        self.words.push(Word { text, implied });
    }

    /// Takes back what is implied by words of the packet.
    fn take_back(&mut self, left: &str) {
        let firsts: Vec<&str> =
            left.split(" . ").map(|part| part.split(' ').next().unwrap_or_default()).collect();
        let says = |implied: Implied| {
            firsts.iter().any(|first| match implied {
                Implied::Family => matches!(*first, "ip" | "ip6" | "icmpv6" | "icmp" | "arp"),
                Implied::Ethernet => *first == "ether",
                Implied::Protocol => matches!(*first, "tcp" | "udp" | "icmp" | "icmpv6" | "sctp"),
            })
        };
        self.words.retain(|word| !word.implied.is_some_and(says));
    }

    fn in_range(&mut self, reg: Reg, invert: bool, from: &Data, to: &Data) {
        let (text, show, _) = self.left(reg);
        let sign = if invert { "!= " } else { "" };
        self.condition(&text, format!("{text} {sign}{}", range(show, from, to)), None);
    }

    fn lookup(&mut self, reg: Reg, set: &Set, invert: bool) {
        let (text, fields) = self.key(reg, set);
        let sign = if invert { "!= " } else { "" };
        let right = match &set.name {
            Some(name) => format!("@{name}"),
            None => braced(set.elements.iter().map(|range| element(range, &fields))),
        };
        self.condition(&text, format!("{text} {sign}{right}"), None);
    }

    fn map(&mut self, reg: Reg, map: &Map, to: Option<Reg>) {
        let (text, fields) = self.key(reg, &map.keys);
        let word = if to.is_none() { "vmap" } else { "map" };
        let last = map.keys.elements.last();
        let entry = |(range, value): (&(Data, Data), &Mapped)| {
            let value = match value {
                Mapped::Verdict(verdict) => verdict_word(verdict),
                Mapped::Value(data) => shown(value::of_len(data.len()), data),
            };
            let key = match Some(range) == last && value::is_whole(range) {
                true => "*".to_owned(),
                false => element(range, &fields),
            };
            format!("{key} : {value}")
        };
        let right = match &map.keys.name {
            Some(name) => format!("@{name}"),
            None => braced(map.keys.elements.iter().zip(&map.values).map(entry)),
        };
        let words = format!("{text} {word} {right}");
        match to {
            None => self.condition(&text, words, None),
            Some(to) => {
                self.take_back(&text);
                self.hold(to, (words, Show::Hex));
            }
        }
    }

    /// What is looked up, which may be several registers after one another: its words, and where each field
    /// of an element is and how it is written.
    fn key(&self, reg: Reg, set: &Set) -> (String, Vec<Field>) {
        let start = super::expr::start(reg);
        let field = |place: Range<usize>| {
            let at = start + u32::try_from(place.start).unwrap_or_default();
            let (text, show, _) =
                self.left(if at == start { reg } else { super::expr::register(at) });
            (text, (place, show))
        };
        let (texts, fields): (Vec<String>, _) = set.places().into_iter().map(field).unzip();
        (texts.join(" . "), fields)
    }

    fn nat(&mut self, nat: &Nat) {
        let (word, show) = match nat.family {
            10 => ("ip6", Show::Address),
            _ => ("ip", Show::Address),
        };
        let of = |reg: Option<Reg>| match reg.and_then(|reg| self.held.get(&reg)) {
            Some(Held::Value(data)) => Some(shown(show, data)),
            Some(Held::Left { text, .. }) => Some(text.clone()),
            None => None,
        };
        let mut to = of(nat.addr).unwrap_or_default();
        if let Some(last) = of(nat.addr_max).filter(|last| *last != to) {
            to = format!("{to}-{last}");
        }
        if let Some(port) = nat.port {
            to = if to.contains(':') { format!("[{to}]") } else { to };
            to = format!("{to}:{}", self.port(port));
        }
        if let Some(last) = nat.port_max.filter(|last| Some(*last) != nat.port) {
            to = format!("{to}-{}", self.port(last));
        }
        let verb = if nat.dnat { "dnat" } else { "snat" };
        self.say(format!("{verb} {word} to {to}{}", flag_words(nat.flags)));
    }

    fn port(&self, reg: Reg) -> String {
        match self.held.get(&reg) {
            Some(Held::Value(data)) => shown(Show::Port, data),
            Some(Held::Left { text, .. }) => text.clone(),
            None => format!("register {reg}"),
        }
    }
}

/// Writes the elements of a set without a name.
fn braced(elements: impl Iterator<Item = String>) -> String {
    format!("{{ {} }}", elements.collect::<Vec<_>>().join(", "))
}

/// A field of a set's elements: where it is, and how it is written.
type Field = (Range<usize>, Show);

/// Writes an element of a set, field by field.
fn element((from, to): &(Data, Data), fields: &[Field]) -> String {
    let part =
        |data: &Data, place: &Range<usize>| Data::from(data.get(place.clone()).unwrap_or_default());
    let field = |(place, show): &Field| range(*show, &part(from, place), &part(to, place));
    fields.iter().map(field).collect::<Vec<_>>().join(" . ")
}

/// The sign before a comparison's right side.
fn sign(op: CmpOp) -> &'static str {
    match op {
        CmpOp::Eq => "",
        CmpOp::Neq => "!= ",
        CmpOp::Lt => "< ",
        CmpOp::Lte => "<= ",
        CmpOp::Gt => "> ",
        CmpOp::Gte => ">= ",
    }
}

fn verdict_word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Continue => "continue".to_owned(),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Goto(chain) => format!("goto {chain}"),
        Verdict::Other(code) => format!("<verdict {code}>"),
    }
}

/// The burst in packets that nft takes where none is given.
const BURST_DEFAULT: u32 = 5;

fn limit_words(limit: &Limit) -> String {
    let over = if limit.over { "over " } else { "" };
    let unit = match limit.seconds {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86400 => "day",
        _ => "week",
    };
    let (rate, burst) = (limit.rate, limit.burst);
    match (limit.bytes, burst) {
        (false, BURST_DEFAULT) => format!("limit rate {over}{rate}/{unit}"),
        (false, _) => format!("limit rate {over}{rate}/{unit} burst {burst} packets"),
        (true, 0) => format!("limit rate {over}{rate} bytes/{unit}"),
        (true, _) => format!("limit rate {over}{rate} bytes/{unit} burst {burst} bytes"),
    }
}

/// The level that nft takes where none is given: a warning.
const LEVEL_DEFAULT: u32 = 4;

fn log_words(log: &Log) -> String {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    let mut words = "log".to_owned();
    if !log.prefix.is_empty() {
        let _ = write!(words, " prefix \"{}\"", log.prefix);
    }
    if let Some(group) = log.group {
        let _ = write!(words, " group {group}");
    }
    if let Some(level) = log.level.filter(|level| *level != LEVEL_DEFAULT) {
        let level = usize::try_from(level).ok().and_then(|level| LEVELS.get(level));
        let _ = write!(words, " level {}", level.copied().unwrap_or("audit"));
    }
    words
}

fn reject_words(reject: Reject, nfproto: Option<u8>) -> String {
    const ICMPX: [&str; 4] =
        ["no-route", "port-unreachable", "host-unreachable", "admin-prohibited"];
    match (reject.kind, reject.code) {
        (1, _) => "reject with tcp reset".to_owned(),
        // Where the family is known, nft would take its own message instead.
        (2, 1) if nfproto.is_none() => "reject".to_owned(),
        (2, code) => {
            let code = ICMPX.get(usize::from(code)).copied().unwrap_or("no-route");
            format!("reject with icmpx {code}")
        }
        (_, code) => {
            let icmp = if nfproto == Some(10) { "icmpv6" } else { "icmp" };
            format!("reject with {icmp} {code}")
        }
    }
}

/// The words after a translation (`NF_NAT_RANGE_*`); those of them that follow from what it
/// translates to are not said.
fn flag_words(flags: u32) -> String {
    const FLAGS: [(u32, &str); 3] =
        [(1 << 2, "random"), (1 << 4, "fully-random"), (1 << 3, "persistent")];
    let words = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word);
    match words.collect::<Vec<_>>().join(",") {
        words if words.is_empty() => words,
        words => format!(" {words}"),
    }
}

/// Writes the states of a mask of [`CtState`] bits.
fn states(mask: u32) -> String {
    let states = CtState::ALL.iter().filter(|state| mask & state.bit() != 0);
    states.map(|state| state.name()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
