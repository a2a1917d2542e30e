//! `ip rule`: which routing table a packet is looked up in (`ip-rule(8)`).

use vnet_netlink::Flags;

use super::failure::Failure;
use super::wire::{Attr, Attrs, Object, Request, rtm};
use super::words::{Family, Prefix, Read, Words, abbreviates, integer, is_interface_name};
use super::{Context, unknown_command};

mod show;

pub use show::show;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;

const FIB_RULE_INVERT: u32 = 2;
const FIB_RULE_UNRESOLVED: u32 = 4;
const FIB_RULE_IIF_DETACHED: u32 = 8;
const FIB_RULE_OIF_DETACHED: u32 = 16;

const TO_TABLE: u8 = 1;
const GOTO: u8 = 2;
const NOP: u8 = 3;
const TABLE_MAIN: u8 = 254;
const RTPROT_KERNEL: u8 = 2;

/// The length of `struct fib_rule_hdr`.
const HEADER_BYTES: usize = 12;

/// Protocols on top of IP by name (`/etc/protocols`), as far as rules are made for them.
const IP_PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
    ("udplite", 136),
];

/// iproute2's words of a selection that are not covered.
const MISSING: &[&str] = &[
    "not",
    "tos",
    "dsfield",
    "fwmark",
    "l3mdev",
    "uidrange",
    "protocol",
    "ipproto",
    "sport",
    "dport",
    "suppress_prefixlength",
];

/// A command of `ip rule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes all rules but the first, of this family.
    Flush(Family),
    /// The way it is used.
    Help,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    family: Family,
    priority: Option<u32>,
    table: Option<u32>,
    iif: Option<String>,
    oif: Option<String>,
    from: Option<Prefix>,
    to: Option<Prefix>,
}

const COMMANDS: &[&str] = &["list", "show", "add", "delete", "flush", "help"];

/// Reads a command of `ip rule`.
///
/// # Errors
/// When it can't be understood.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else {
        return select(words, context).map(Command::Show);
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("list") || is("lst") || is("show") {
        return select(words, context).map(Command::Show);
    }
    if is("save") || is("restore") {
        return Err(words.blame(Failure::not_covered(&format!("`ip rule {word}`"))));
    }
    let (kind, flags, name) = if is("add") {
        (rtm::NEWRULE, Flags::CREATE | Flags::EXCL, "add")
    } else if is("delete") {
        (rtm::DELRULE, Flags::NONE, "del")
    } else if is("flush") {
        if words.left() > 0 {
            return Err(words.blame(Failure::not_covered("a selection of rules to flush")));
        }
        return Ok(Command::Flush(context.options.family.or(Family::Inet)));
    } else if is("help") {
        return Ok(Command::Help);
    } else {
        return Err(words.blame(unknown_command(word, "rule", COMMANDS)));
    };
    if words.left() == 0 {
        return Err(Failure::command(1, format!("\"ip rule {name}\" requires arguments.")));
    }
    let mut rule = Rule { family: context.options.family, ..Rule::default() };
    if kind == rtm::NEWRULE {
        rule.action = TO_TABLE;
    }
    while let Some(word) = words.take() {
        if rule.read_one(words, context, word)? {
            return Ok(Command::Help);
        }
    }
    Ok(Command::Change(Box::new(rule.request(kind, flags))))
}

/// A rule as it was typed.
#[derive(Debug, Default)]
struct Rule {
    family: Family,
    dst_len: u8,
    src_len: u8,
    tos: u8,
    table: Option<u32>,
    action: u8,
    flags: u32,
    attrs: Vec<Attr>,
}

impl Rule {
    /// Reads a word and what belongs to it; tells whether it asked for help.
    fn read_one(
        &mut self,
        words: &mut Words<'_>,
        context: &mut Context<'_>,
        word: &str,
    ) -> Read<bool> {
        let is = |keyword: &str| abbreviates(word, keyword);
        match word {
            "not" => self.flags |= FIB_RULE_INVERT,
            "from" => (self.src_len) = self.read_prefix(words, FRA_SRC)?,
            "to" => (self.dst_len) = self.read_prefix(words, FRA_DST)?,
            _ if is("preference") || is("order") || is("priority") => {
                let priority = words.parse("preference value is invalid\n", integer)?;
                self.attrs.push(Attr::u32(FRA_PRIORITY, priority));
            }
            _ if word == "tos" || is("dsfield") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.read_dsfield(word);
                self.tos = words.parse("TOS value is invalid\n", read)?;
            }
            "fwmark" => self.read_mark(words)?,
            _ if is("protocol") => {
                let tables = context.world.tables().clone();
                let read = |word: &str| u8::try_from(tables.protocols.number(word, 255)?).ok();
                let protocol = words.parse("\"protocol\" value is invalid\n", read)?;
                self.attrs.push(Attr::u8(FRA_PROTOCOL, protocol));
            }
            _ if is("table") || word == "lookup" => {
                self.table = Some(read_table(words, context, "invalid table ID\n")?);
            }
            _ if is("suppress_prefixlength") || word == "sup_pl" => {
                let length = words.parse("suppress_prefixlength value is invalid\n", integer)?;
                self.attrs.push(Attr::u32(FRA_SUPPRESS_PREFIXLEN, length));
            }
            _ if is("suppress_ifgroup") || word == "sup_group" => {
                let tables = context.world.tables().clone();
                let read = |word: &str| tables.groups.number(word, u32::MAX);
                let group = words.parse("Invalid \"suppress_ifgroup\" value\n", read)?;
                self.attrs.push(Attr::u32(FRA_SUPPRESS_IFGROUP, group));
            }
            "dev" | "iif" => {
                let name = interface(words, "\"iif\"/\"dev\" not a valid ifname")?;
                self.attrs.push(Attr::text(FRA_IIFNAME, name));
            }
            "oif" => {
                let name = interface(words, "\"oif\" not a valid ifname")?;
                self.attrs.push(Attr::text(FRA_OIFNAME, name));
            }
            "tun_id" => {
                let id: u64 = words.parse("\"tun_id\" value is invalid\n", integer)?;
                self.attrs.push(Attr::Value(FRA_TUN_ID, id.to_be_bytes().to_vec()));
            }
            "uidrange" => {
                let read = |word: &str| range::<u32>(word).filter(|_| word.contains('-'));
                let (first, last) = words.parse("invalid UID range\n", read)?;
                let range = [first.to_ne_bytes(), last.to_ne_bytes()].concat();
                self.attrs.push(Attr::Value(FRA_UID_RANGE, range));
            }
            "ipproto" => {
                let read = |word: &str| {
                    let named = IP_PROTOCOLS.iter().find(|(name, _)| *name == word);
                    named.map(|(_, number)| *number).or_else(|| integer(word))
                };
                let protocol = words.parse("Invalid \"ipproto\" value\n", read)?;
                self.attrs.push(Attr::u8(FRA_IP_PROTO, protocol));
            }
            "sport" | "dport" => {
                let read = |word: &str| range::<u16>(word);
                // As iproute2 calls them.
                let what = if word == "sport" { "port" } else { word };
                let (first, last) = words.parse(&format!("invalid {what} range\n"), read)?;
                let attr = if word == "sport" { FRA_SPORT_RANGE } else { FRA_DPORT_RANGE };
                let range = [first.to_ne_bytes(), last.to_ne_bytes()].concat();
                self.attrs.push(Attr::Value(attr, range));
            }
            "l3mdev" => {
                self.attrs.push(Attr::u8(FRA_L3MDEV, 1));
                self.table.get_or_insert(0);
            }
            _ if is("realms") || is("nat") || is("map-to") => {
                return Err(words.blame(Failure::not_covered(&format!("`{word}` of a rule"))));
            }
            _ => return self.read_action(words, word),
        }
        Ok(false)
    }

    fn read_prefix(&mut self, words: &mut Words<'_>, attr: u16) -> Read<u8> {
        // Without `-6` a rule is of IPv4, whatever is said: then the kernel refuses.
        let prefix = words.prefix(self.family)?;
        self.attrs.extend(prefix.address.map(|address| Attr::address(attr, address)));
        Ok(prefix.length)
    }

    fn read_mark(&mut self, words: &mut Words<'_>) -> Read<()> {
        let word = words.value()?;
        let (mark, mask) = match word.split_once('/') {
            Some((mark, mask)) => (mark, Some(mask)),
            None => (word, None),
        };
        let failure = |why: &str, word: &str| Failure::invalid(why, word);
        let mark =
            integer(mark).ok_or_else(|| words.blame(failure("fwmark value is invalid\n", mark)))?;
        self.attrs.push(Attr::u32(FRA_FWMARK, mark));
        if let Some(mask) = mask {
            let mask = integer(mask)
                .ok_or_else(|| words.blame(failure("fwmask value is invalid\n", mask)))?;
            self.attrs.push(Attr::u32(FRA_FWMASK, mask));
        }
        Ok(())
    }

    fn read_action(&mut self, words: &mut Words<'_>, word: &str) -> Read<bool> {
        let word = if word == "type" { words.value()? } else { word };
        if abbreviates(word, "help") {
            return Ok(true);
        }
        if abbreviates(word, "goto") {
            let target = words.parse("invalid target\n", integer)?;
            self.action = GOTO;
            self.attrs.push(Attr::u32(FRA_GOTO, target));
        } else if abbreviates(word, "nop") {
            self.action = NOP;
        } else {
            self.action = super::route::route_type(word)
                .ok_or_else(|| words.blame(Failure::invalid("Failed to parse rule type", word)))?;
        }
        Ok(false)
    }

    fn request(mut self, kind: u16, flags: Flags) -> Request {
        let table = match self.table {
            None if kind == rtm::NEWRULE && self.action == TO_TABLE => TABLE_MAIN,
            None => 0,
            Some(table) => u8::try_from(table).unwrap_or_else(|_| {
                self.attrs.push(Attr::u32(FRA_TABLE, table));
                0
            }),
        };
        let family = self.family.or(Family::Inet).number();
        let mut header =
            vec![family, self.dst_len, self.src_len, self.tos, table, 0, 0, self.action];
        header.extend_from_slice(&self.flags.to_ne_bytes());
        Request { kind, flags, header, attrs: self.attrs }
    }
}

fn read_table(words: &mut Words<'_>, context: &mut Context<'_>, why: &str) -> Read<u32> {
    let tables = context.world.tables().clone();
    words.parse(why, |word| tables.tables.number(word, u32::MAX))
}

/// Reads a name that an interface can have.
fn interface<'a>(words: &mut Words<'a>, why: &str) -> Read<&'a str> {
    let name = words.value()?;
    match is_interface_name(name) {
        true => Ok(name),
        false => Err(words.blame(Failure::invalid(why, name))),
    }
}

/// Reads a number, or two with `-` between.
fn range<T: TryFrom<u64> + Copy>(word: &str) -> Option<(T, T)> {
    match word.split_once('-') {
        Some((first, last)) => Some((integer(first)?, integer(last)?)),
        None => integer(word).map(|number| (number, number)),
    }
}

fn select(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Selection> {
    let family = context.options.family.or(Family::Inet);
    let mut said = Selection { family, ..Selection::default() };
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("preference") || is("order") || is("priority") {
            said.priority = Some(words.parse("preference value is invalid\n", integer)?);
        } else if is("table") || is("lookup") {
            said.table = Some(read_table(words, context, "table id value is invalid\n")?);
        } else if word == "dev" || word == "iif" {
            said.iif = Some(words.value()?.to_owned());
        } else if word == "oif" {
            said.oif = Some(words.value()?.to_owned());
        } else if word == "from" {
            said.from = Some(words.prefix(said.family)?);
        } else if MISSING.contains(&word) {
            let failure = Failure::not_covered(&format!("`{word}` of a selection of rules"));
            return Err(words.blame(failure));
        } else {
            if word != "to" && !is("dst") {
                words.back();
            }
            said.to = Some(words.prefix(said.family)?);
        }
    }
    Ok(said)
}

/// Returns the question for all rules of a family.
#[must_use]
pub fn question(family: Family) -> Request {
    let mut header = vec![0; HEADER_BYTES];
    header[0] = family.number();
    Request::new(rtm::GETRULE, Flags::NONE, header)
}

impl Selection {
    /// Returns the question.
    #[must_use]
    pub fn question(&self) -> Request {
        question(self.family)
    }

    /// Tells whether a rule is asked for.
    #[must_use]
    pub fn wants(&self, rule: &Object) -> bool {
        let attrs = rule.attrs(HEADER_BYTES);
        let name = |wanted: &Option<String>, attr: u16| {
            wanted.as_ref().is_none_or(|wanted| attrs.text(attr).as_ref() == Some(wanted))
        };
        let prefix = |wanted: Option<Prefix>, attr: u16, length: u8| {
            wanted.is_none_or(|wanted| match (wanted.address, attrs.address(attr)) {
                (Some(net), Some(found)) => {
                    wanted.length <= length && super::route::agree(net, found, wanted.length)
                }
                (None, _) => true,
                _ => false,
            })
        };
        self.priority.is_none_or(|wanted| priority(&attrs) == wanted)
            && self.table.is_none_or(|wanted| table(rule, &attrs) == wanted)
            && name(&self.iif, FRA_IIFNAME)
            && name(&self.oif, FRA_OIFNAME)
            && prefix(self.from, FRA_SRC, rule.u8_at(2))
            && prefix(self.to, FRA_DST, rule.u8_at(1))
    }
}

/// Tells whether a flush leaves a rule alone: the one that finds this host's own addresses.
#[must_use]
pub fn is_kept(rule: &Object) -> bool {
    priority(&rule.attrs(HEADER_BYTES)) == 0
}

fn priority(attrs: &Attrs<'_>) -> u32 {
    attrs.u32(FRA_PRIORITY).unwrap_or(0)
}

fn table(rule: &Object, attrs: &Attrs<'_>) -> u32 {
    attrs.u32(FRA_TABLE).unwrap_or_else(|| rule.u8_at(4).into())
}
