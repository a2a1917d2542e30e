//! The expressions that rules are made of.

use serde::{Deserialize, Serialize};

use super::data::{Counts, Data};

/// A register, as the kernel reports it: 1 to 4 hold 16 bytes each, 8 to 23 are quarters of them.
pub type Reg = u32;

/// How long a quarter of a register is, in bytes: what is loaded begins with one, and is filled up with zeros.
pub const QUARTER_BYTES: usize = 4;

/// Returns at which byte a register begins, of those that follow one another.
#[must_use]
pub fn start(reg: Reg) -> u32 {
    if reg < 8 { reg.saturating_sub(1) * 16 } else { (reg - 8) * 4 }
}

/// Returns the register that begins at a byte, as the kernel reports it (`nft_dump_register`,
/// net/netfilter/nf_tables_api.c).
#[must_use]
pub fn register(start: u32) -> Reg {
    if start.is_multiple_of(16) { 1 + start / 16 } else { 8 + start / 4 }
}

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Expr {
    /// Loads bytes of the packet.
    Payload {
        /// From where.
        base: PayloadBase,
        /// How many bytes behind that.
        offset: u32,
        /// How many bytes.
        len: u32,
        /// Into which register.
        reg: Reg,
    },
    /// Loads what the kernel knows about the packet.
    Meta {
        /// What.
        key: Meta,
        /// Into which register.
        reg: Reg,
    },
    /// Loads what the kernel knows about its connection.
    Ct {
        /// What.
        key: Ct,
        /// Of which direction: 0 is the original one, 1 the reply's; nothing where it has none.
        dir: Option<u8>,
        /// Into which register.
        reg: Reg,
    },
    /// Looks an address up in the routing tables.
    Fib {
        /// What is asked: 1 the interface's index, 2 its name, 3 the type of the address.
        result: u32,
        /// Of what (`enum nft_fib_flags`): 1 the source, 2 the destination, …
        flags: u32,
        /// Into which register.
        reg: Reg,
    },
    /// Compares a register; the rule ends where it is not so.
    Cmp {
        /// Which.
        reg: Reg,
        /// How.
        op: CmpOp,
        /// With what.
        data: Data,
    },
    /// Tests whether a register is in a range, ends included.
    Range {
        /// Which.
        reg: Reg,
        /// Whether it must be outside.
        invert: bool,
        /// The least.
        from: Data,
        /// The greatest.
        to: Data,
    },
    /// Computes `to = (from & mask) ^ xor`.
    Bitwise {
        /// The register that is read.
        from: Reg,
        /// The register that is written.
        to: Reg,
        /// The bits that stay.
        mask: Data,
        /// The bits that are turned round then.
        xor: Data,
    },
    /// Tests whether a register is in a set.
    Lookup {
        /// Which.
        reg: Reg,
        /// The set.
        set: Set,
        /// Whether it must not be in it.
        invert: bool,
    },
    /// Decides, or puts something into a register, by what a map has for what is in another; the rule
    /// ends where it has nothing.
    Map {
        /// Which is looked up.
        reg: Reg,
        /// The map.
        map: Map,
        /// Which is written; nothing where it decides.
        to: Option<Reg>,
    },
    /// Puts a value into a register.
    Immediate {
        /// Which.
        reg: Reg,
        /// The value.
        data: Data,
    },
    /// Decides.
    Verdict(Verdict),
    /// Counts.
    Counter(Counts),
    /// Lets only so many through; the rule ends for the others.
    Limit(Limit),
    /// Writes to the log.
    Log(Log),
    /// Drops it and tells the sender.
    Reject(Reject),
    /// Translates an address.
    Nat(Nat),
    /// Translates the source to the address of the interface it leaves by.
    Masquerade {
        /// `NF_NAT_RANGE_*` (linux/netfilter/nf_nat.h).
        flags: u32,
    },
    /// Translates the destination to the namespace itself.
    Redirect {
        /// The register with the port, if it changes.
        port: Option<Reg>,
        /// `NF_NAT_RANGE_*`.
        flags: u32,
    },
    /// One that is not known here.
    Unknown {
        /// The kernel's name of it.
        name: String,
        /// Its attributes as they came.
        data: Data,
    },
}

/// Where bytes of a packet are counted from (`enum nft_payload_bases`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadBase {
    /// The link layer's header.
    Link,
    /// The IP header.
    Network,
    /// The header of TCP, UDP, ICMP, …
    Transport,
    /// One with another number.
    Other(u32),
}

/// What the kernel knows about a packet (`enum nft_meta_keys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meta {
    /// Its length in bytes.
    Len,
    /// Its Ethernet protocol.
    Protocol,
    /// Its mark.
    Mark,
    /// The index of the interface it came in by.
    Iif,
    /// The index of the interface it leaves by.
    Oif,
    /// The name of the interface it came in by, filled up with zeros to 16 bytes.
    IifName,
    /// The name of the interface it leaves by.
    OifName,
    /// Its family: 2 is IPv4, 10 is IPv6 (`NFPROTO_*`).
    NfProto,
    /// Its protocol: 6 is TCP, 17 is UDP, …
    L4Proto,
    /// The type of the interface it came in by: 1 is Ethernet (`ARPHRD_*`, linux/if_arp.h).
    IifType,
    /// The type of the interface it leaves by.
    OifType,
    /// The name of the bridge that the interface it came in by is a port of.
    IbrName,
    /// The name of the bridge that the interface it leaves by is a port of.
    ObrName,
    /// Whom its frame is for: 0 is the interface itself, 1 all, 2 a group, 3 somebody else
    /// (`PACKET_*`, linux/if_packet.h).
    PktType,
    /// One with another number.
    Other(u32),
}

impl Meta {
    const ALL: [(Self, u32); 14] = [
        (Self::Len, 0),
        (Self::Protocol, 1),
        (Self::Mark, 3),
        (Self::Iif, 4),
        (Self::Oif, 5),
        (Self::IifName, 6),
        (Self::OifName, 7),
        (Self::NfProto, 15),
        (Self::L4Proto, 16),
        (Self::IifType, 8),
        (Self::OifType, 9),
        (Self::IbrName, 17),
        (Self::ObrName, 18),
        (Self::PktType, 19),
    ];

    /// Returns the kernel's number.
    #[must_use]
    pub fn number(self) -> u32 {
        if let Self::Other(number) = self {
            return number;
        }
        let known = Self::ALL.iter().find(|(key, _)| *key == self);
        known.map_or(u32::MAX, |(_, number)| *number)
    }

    /// Returns the key with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let known = Self::ALL.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(key, _)| *key)
    }
}

/// What the kernel knows about a connection (`enum nft_ct_keys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ct {
    /// Its state as one bit of [`CtState`], in host byte order.
    State,
    /// The direction of the packet: 0 is the original one.
    Direction,
    /// Its status bits (`enum ip_conntrack_status`), in host byte order.
    Status,
    /// Its mark.
    Mark,
    /// One with another number.
    Other(u32),
}

impl Ct {
    /// Returns the kernel's number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::State => 0,
            Self::Direction => 1,
            Self::Status => 2,
            Self::Mark => 3,
            Self::Other(number) => number,
        }
    }

    /// Returns the key with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::State,
            1 => Self::Direction,
            2 => Self::Status,
            3 => Self::Mark,
            other => Self::Other(other),
        }
    }
}

/// A state of a connection, as the bit that `ct state` loads (`NF_CT_STATE_BIT`,
/// linux/netfilter/nf_conntrack_common.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CtState {
    /// The packet belongs to no connection and can begin none.
    Invalid,
    /// Packets were seen in both directions.
    Established,
    /// It begins a connection that another one expects, or is an ICMP error about one.
    Related,
    /// The packet begins a connection.
    New,
    /// Connections are not tracked here.
    Untracked,
}

impl CtState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Invalid, Self::Established, Self::Related, Self::New, Self::Untracked];

    /// Returns the bit.
    #[must_use]
    pub fn bit(self) -> u32 {
        match self {
            Self::Invalid => 1,
            Self::Established => 2,
            Self::Related => 4,
            Self::New => 8,
            Self::Untracked => 64,
        }
    }

    /// Returns nft's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Established => "established",
            Self::Related => "related",
            Self::New => "new",
            Self::Untracked => "untracked",
        }
    }
}

/// The status bit of a connection whose destination is translated (`IPS_DST_NAT`,
/// linux/netfilter/nf_conntrack_common.h).
pub const CT_STATUS_DNAT: u32 = 1 << 5;

/// How a register is compared (`enum nft_cmp_ops`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CmpOp {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

impl CmpOp {
    /// All, by the kernel's number.
    pub const ALL: [Self; 6] = [Self::Eq, Self::Neq, Self::Lt, Self::Lte, Self::Gt, Self::Gte];

    /// Compares as the kernel does: byte by byte.
    #[must_use]
    pub fn holds(self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Neq => left != right,
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
        }
    }
}

/// A set: its elements stand in the rule that looks them up, whatever it is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Set {
    /// Its name; nothing for one that belongs to its rule alone.
    pub name: Option<String>,
    /// nft's number of the type of its elements, which the kernel only keeps.
    pub kind: u32,
    /// How long an element is, in bytes.
    pub key_len: u32,
    /// How long each field of an element is, in bytes, where it has several: each begins with a quarter
    /// of a register.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<u32>,
    /// Its elements as ranges, ends included, sorted. An element alone is a range of one; of several
    /// fields each has its own.
    pub elements: Vec<(Data, Data)>,
    /// Whether packets or time change its elements (flags `dynamic` and `timeout`, `nft(8)`).
    #[serde(default)]
    pub is_dynamic: bool,
}

/// Where packets or time change the elements, the set stays the same.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        let head = |set: &Self| (set.name.clone(), set.kind, set.key_len, set.is_dynamic);
        head(self) == head(other)
            && self.fields == other.fields
            && (self.is_dynamic || self.elements == other.elements)
    }
}

impl Eq for Set {}

impl Set {
    /// Tells whether a value is in it.
    #[must_use]
    pub fn contains(&self, value: &[u8]) -> bool {
        let value: Vec<Option<u8>> = value.iter().copied().map(Some).collect();
        self.holds(&value).any(|holds| holds == Some(true))
    }

    /// Tells of each element whether a value of which some bytes are known is in it; nothing where those
    /// that are not known decide.
    pub fn holds<'s>(&'s self, value: &'s [Option<u8>]) -> impl Iterator<Item = Option<bool>> + 's {
        let places = self.places();
        self.elements.iter().map(move |(from, to)| {
            let fields = places.iter().map(|place| {
                let part = |data: &'s Data| data.get(place.clone()).unwrap_or_default();
                is_between(part(from), value.get(place.clone()).unwrap_or_default(), part(to))
            });
            fields.reduce(|all, one| match (all, one) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            })?
        })
    }

    /// Where the fields of an element are; all of it where it has one alone.
    #[must_use]
    pub fn places(&self) -> Vec<std::ops::Range<usize>> {
        let mut start = 0;
        let place = |field: &u32| {
            let end = start + *field as usize;
            std::mem::replace(&mut start, end.next_multiple_of(QUARTER_BYTES))..end
        };
        let fields = match self.fields.as_slice() {
            [] => std::slice::from_ref(&self.key_len),
            fields => fields,
        };
        fields.iter().map(place).collect()
    }
}

/// Tells whether a value of which some bytes are known is in a range.
fn is_between(from: &[u8], value: &[Option<u8>], to: &[u8]) -> Option<bool> {
    let known: Vec<u8> = value.iter().map_while(|byte| *byte).collect();
    let known = known.as_slice();
    if known.len() == value.len() {
        return Some(from <= known && known <= to);
    }
    let is_other = |(byte, wanted): (&Option<u8>, &u8)| byte.is_some_and(|byte| byte != *wanted);
    let differs = from == to && value.iter().zip(from).any(is_other);
    let len = known.len().min(from.len()).min(to.len());
    let is_outside = known < &from[..len] || known > &to[..len];
    (differs || is_outside).then_some(false)
}

/// What each key of a map gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Map {
    /// Its keys; one for all others comes last.
    pub keys: Set,
    /// What they give, in the same order.
    pub values: Vec<Mapped>,
}

/// As of [`Set`].
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && (self.keys.is_dynamic || self.values == other.values)
    }
}

impl Eq for Map {}

/// What a map gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mapped {
    /// A decision.
    Verdict(Verdict),
    /// Something for a register.
    Value(Data),
}

/// A decision (`enum nft_verdicts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The packet passes this chain.
    Accept,
    /// The packet is dropped.
    Drop,
    /// The next rule decides.
    Continue,
    /// The calling chain goes on.
    Return,
    /// Another chain decides, and if it does not, the next rule.
    Jump(String),
    /// Another chain decides, and if it does not, the chain that called this one.
    Goto(String),
    /// One with another code: to a program, say.
    Other(i32),
}

impl Verdict {
    /// Returns the chain that is to decide, if one is.
    #[must_use]
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(name) | Self::Goto(name) => Some(name),
            _ => None,
        }
    }
}

impl Expr {
    /// Returns the decisions that it may come to, by themselves.
    #[must_use]
    pub fn verdicts(&self) -> Vec<&Verdict> {
        match self {
            Self::Verdict(verdict) => vec![verdict],
            Self::Map { map, .. } => map
                .values
                .iter()
                .filter_map(|value| match value {
                    Mapped::Verdict(verdict) => Some(verdict),
                    Mapped::Value(_) => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// How many packets or bytes are let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// How many.
    pub rate: u64,
    /// In how many seconds.
    pub seconds: u64,
    /// How many more at once.
    pub burst: u32,
    /// Whether bytes are counted, not packets.
    pub bytes: bool,
    /// Whether it lets through what is over the limit instead.
    pub over: bool,
}

/// What is written to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// A text before it.
    pub prefix: String,
    /// The group of listeners that gets it (`nfnetlink_log`); the kernel's log where there is none.
    pub group: Option<u16>,
    /// How grave it is: 4 is a warning (`enum nft_log_level`); nothing where a group gets it.
    pub level: Option<u32>,
}

/// How the sender is told (`enum nft_reject_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// 0 is ICMP of the packet's family, 1 a TCP reset, 2 ICMP of either family.
    pub kind: u32,
    /// The code of the ICMP message.
    pub code: u8,
}

impl Reject {
    /// A TCP reset.
    pub const TCP_RESET: Self = Self { kind: 1, code: 0 };
    /// ICMP or ICMPv6 "port unreachable".
    pub const PORT_UNREACHABLE: Self = Self { kind: 2, code: 1 };
}

/// A translation of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// Whether the destination is translated, not the source.
    pub dnat: bool,
    /// Which kind of address, 2 is IPv4 and 10 is IPv6 (`NFPROTO_*`).
    pub family: u32,
    /// The register with the address, if it changes.
    pub addr: Option<Reg>,
    /// The register with the last address, where it is one of several.
    pub addr_max: Option<Reg>,
    /// The register with the port, if it changes.
    pub port: Option<Reg>,
    /// The register with the last port.
    pub port_max: Option<Reg>,
    /// `NF_NAT_RANGE_*` (linux/netfilter/nf_nat.h), without those that say only which registers there
    /// are.
    pub flags: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_several_fields_hold_field_by_field() {
        let (kind, is_dynamic, name) = Default::default();
        // A port, filled up to a register, and an address.
        let element =
            (Data::from([0, 10, 0, 0, 10, 0, 0, 1]), Data::from([0, 20, 0, 0, 10, 0, 0, 9]));
        let set =
            Set { name, kind, key_len: 8, fields: vec![2, 4], elements: vec![element], is_dynamic };
        assert!(set.contains(&[0, 15, 0, 0, 10, 0, 0, 5]));
        // Between the two as one number, and not in each field.
        assert!(!set.contains(&[0, 15, 0, 0, 10, 0, 0, 10]));
        assert!(!set.contains(&[0, 21, 0, 0, 10, 0, 0, 5]));
        let some = |bytes: [Option<u8>; 8]| set.holds(&bytes).next().unwrap();
        let (port, addr) = ([Some(0), Some(15)], [Some(10), Some(0), Some(0), Some(10)]);
        let zero = Some(0);
        assert_eq!(some([port[0], port[1], zero, zero, None, None, None, None]), None);
        assert_eq!(some([None, None, zero, zero, addr[0], addr[1], addr[2], addr[3]]), Some(false));
        assert_eq!(some([None, None, zero, zero, addr[0], addr[1], addr[2], Some(5)]), None);
        assert_eq!(some([Some(1), None, zero, zero, addr[0], addr[1], addr[2], None]), Some(false));
    }

    #[test]
    fn registers_begin_where_the_kernel_says() {
        for (reg, at) in [(1, 0), (2, 16), (4, 48), (9, 4), (12, 16), (23, 60)] {
            assert_eq!(start(reg), at, "{reg}");
        }
        for (at, reg) in [(0, 1), (4, 9), (16, 2), (20, 13), (60, 23)] {
            assert_eq!(register(at), reg, "{at}");
        }
    }
}
