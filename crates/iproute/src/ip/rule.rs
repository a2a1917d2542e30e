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
const FRA_FLOW: u16 = 11;
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

/// A command of `ip rule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// A question.
    Show(Selection),
    /// Removes the rules that are asked for, but the first.
    Flush(Selection),
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
    not: bool,
    tos: Option<u8>,
    /// A mark and a mask; zero is any.
    mark: u32,
    mask: u32,
    l3mdev: bool,
    /// Who made the rules that are to be flushed; iproute2 shows those of all others too.
    protocol: Option<u8>,
    /// Attributes that a rule must have as they are; one of zeros is not looked at, but for users.
    conditions: Vec<Attr>,
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
        return select(words, context).map(Command::Flush);
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
            "fwmark" => {
                let (mark, mask) = read_mark(words)?;
                self.attrs.push(Attr::u32(FRA_FWMARK, mark));
                self.attrs.extend(mask.map(|mask| Attr::u32(FRA_FWMASK, mask)));
            }
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
            "uidrange" | "ipproto" | "sport" | "dport" => {
                self.attrs.extend(read_condition(words, word)?);
            }
            _ if is("realms") => {
                let tables = context.world.tables().clone();
                let realms = words.parse("invalid realms\n", |word| tables.read_realms(word))?;
                self.attrs.push(Attr::u32(FRA_FLOW, realms));
            }
            "l3mdev" => {
                self.attrs.push(Attr::u8(FRA_L3MDEV, 1));
                self.table.get_or_insert(0);
            }
            _ if is("nat") || is("map-to") => {
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

/// Reads a mark, and its mask where there is one.
fn read_mark(words: &mut Words<'_>) -> Read<(u32, Option<u32>)> {
    let word = words.value()?;
    let number = |what: &str, word: &str| {
        let why = format!("{what} value is invalid\n");
        integer(word).ok_or_else(|| words.blame(Failure::invalid(&why, word)))
    };
    match word.split_once('/') {
        Some((mark, mask)) => Ok((number("fwmark", mark)?, Some(number("fwmask", mask)?))),
        None => Ok((number("fwmark", word)?, None)),
    }
}

/// Reads what of a packet or its sender a rule is for, after one of these keywords.
fn read_condition(words: &mut Words<'_>, word: &str) -> Read<Option<Attr>> {
    let ports = |attr: u16, (first, last): (u16, u16)| {
        Attr::Value(attr, [first.to_ne_bytes(), last.to_ne_bytes()].concat())
    };
    Ok(Some(match word {
        "uidrange" => {
            let read = |word: &str| range::<u32>(word).filter(|_| word.contains('-'));
            let (first, last) = words.parse("invalid UID range\n", read)?;
            Attr::Value(FRA_UID_RANGE, [first.to_ne_bytes(), last.to_ne_bytes()].concat())
        }
        "ipproto" => {
            let read = |word: &str| {
                let named = IP_PROTOCOLS.iter().find(|(name, _)| *name == word);
                named.map(|(_, number)| *number).or_else(|| integer(word))
            };
            Attr::u8(FRA_IP_PROTO, words.parse("Invalid \"ipproto\" value\n", read)?)
        }
        // As iproute2 calls them.
        "sport" => ports(FRA_SPORT_RANGE, words.parse("invalid port range\n", range)?),
        "dport" => ports(FRA_DPORT_RANGE, words.parse("invalid dport range\n", range)?),
        _ => return Ok(None),
    }))
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
        } else if word == "not" {
            said.not = true;
        } else if word == "tos" || is("dsfield") {
            let tables = context.world.tables().clone();
            said.tos = Some(words.parse("TOS value is invalid\n", |it| tables.read_dsfield(it))?);
        } else if word == "fwmark" {
            let (mark, mask) = read_mark(words)?;
            (said.mark, said.mask) = (mark, mask.unwrap_or(0));
        } else if word == "l3mdev" {
            said.l3mdev = true;
        } else if is("protocol") {
            let tables = context.world.tables().clone();
            let read = |word: &str| match word {
                "all" => Some(None),
                word => Some(Some(u8::try_from(tables.protocols.number(word, 255)?).ok()?)),
            };
            said.protocol = words.parse("invalid \"protocol\"\n", read)?;
        } else if word == "tun_id" {
            let id: u64 = words.parse("\"tun_id\" value is invalid\n", integer)?;
            let id = Attr::Value(FRA_TUN_ID, id.to_be_bytes().to_vec());
            said.conditions.push(id);
        } else if let Some(condition) = read_condition(words, word)? {
            said.conditions.push(condition);
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
            && self.meets(rule, &attrs)
    }

    /// Tells whether a rule is for packets of this sort.
    fn meets(&self, rule: &Object, attrs: &Attrs<'_>) -> bool {
        let number =
            |wanted: u32, attr: u16| wanted == 0 || attrs.u32(attr).unwrap_or_default() == wanted;
        let is_met = |condition: &Attr| match condition {
            Attr::Value(attr, value)
                if *attr != FRA_UID_RANGE && value.iter().all(|byte| *byte == 0) =>
            {
                true
            }
            Attr::Value(attr, value) => attrs.get(*attr) == Some(value.as_slice()),
            Attr::Nest(..) => false,
        };
        number(self.mark, FRA_FWMARK)
            && number(self.mask, FRA_FWMASK)
            && self.tos.is_none_or(|tos| rule.u8_at(3) == tos)
            && (!self.not || rule.u32_at(8) & FIB_RULE_INVERT != 0)
            && (!self.l3mdev || attrs.u8(FRA_L3MDEV).is_some_and(|on| on != 0))
            && self.conditions.iter().all(is_met)
    }

    /// Tells whether a rule is to be flushed: never the one that finds this host's own addresses.
    #[must_use]
    pub fn flushes(&self, rule: &Object) -> bool {
        let attrs = rule.attrs(HEADER_BYTES);
        let is_by = |wanted| attrs.u8(FRA_PROTOCOL).unwrap_or_default() == wanted;
        priority(&attrs) != 0 && self.wants(rule) && self.protocol.is_none_or(is_by)
    }
}

fn priority(attrs: &Attrs<'_>) -> u32 {
    attrs.u32(FRA_PRIORITY).unwrap_or(0)
}

fn table(rule: &Object, attrs: &Attrs<'_>) -> u32 {
    attrs.u32(FRA_TABLE).unwrap_or_else(|| rule.u8_at(4).into())
}
