//! Makes rules, expression by expression as nft makes them, so that nft lists them as written.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    CmpOp, Counts, Ct, CtState, Data, Expr, Limit, Log, Meta, Nat, PayloadBase, Reg, Reject, Rule,
    Set, Verdict,
};
use crate::names::IfName;
use crate::origin::Origin;

/// The register that conditions use, and addresses of translations.
const REG_1: Reg = 1;
/// The register of the ports of translations.
const REG_2: Reg = 2;

/// nft's numbers of the types of a set's elements (`enum datatypes`, include/datatype.h of nftables).
pub mod kind {
    /// An IPv4 address.
    pub const IPV4_ADDR: u32 = 7;
    /// An IPv6 address.
    pub const IPV6_ADDR: u32 = 8;
    /// A protocol of IP.
    pub const INET_PROTO: u32 = 12;
    /// A port.
    pub const INET_SERVICE: u32 = 13;
    /// A type of an ICMPv6 message.
    pub const ICMPV6_TYPE: u32 = 29;
    /// The name of an interface.
    pub const IFNAME: u32 = 41;
}

/// The number of IPv4 among the families of packets (`NFPROTO_IPV4`, linux/netfilter.h).
pub const NFPROTO_IPV4: u8 = 2;
/// The number of IPv6 there.
pub const NFPROTO_IPV6: u8 = 10;

/// ICMP for IPv4 (`IPPROTO_ICMP`, linux/in.h).
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6 (`IPPROTO_ICMPV6`, linux/in6.h).
pub const ICMPV6: u8 = 58;

/// A direction: which end of a packet's way a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// A rule of an `inet` table while it is made.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    exprs: Vec<Expr>,
    nfproto: Option<u8>,
    l4proto: Option<u8>,
}

impl Builder {
    /// Begins a rule that holds for every packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the rule.
    #[must_use]
    pub fn rule(self, origin: Origin) -> Rule {
        Rule { exprs: self.exprs, origin }
    }

    fn push(mut self, expr: Expr) -> Self {
        self.exprs.push(expr);
        self
    }

    /// Only packets that come in, or leave, by one of these interfaces; nothing for none.
    #[must_use]
    pub fn interfaces(self, side: Side, names: &[IfName]) -> Self {
        let key = match side {
            Side::Source => Meta::IifName,
            Side::Destination => Meta::OifName,
        };
        let values = names.iter().map(|name| Data::interface(name.as_str())).collect();
        match names {
            [] => self,
            _ => self.push(Expr::Meta { key, reg: REG_1 }).one_of(kind::IFNAME, 16, values),
        }
    }

    /// Only packets to an address of the namespace itself (`fib daddr type local`).
    #[must_use]
    pub fn to_local(self) -> Self {
        // `NFT_FIB_RESULT_ADDRTYPE` of `NFTA_FIB_F_DADDR`; `RTN_LOCAL` (linux/rtnetlink.h).
        self.push(Expr::Fib { result: 3, flags: 2, reg: REG_1 }).equals(2_u32.to_ne_bytes())
    }

    /// Only packets of IPv4 or IPv6.
    #[must_use]
    pub fn family(mut self, nfproto: u8) -> Self {
        if self.nfproto.replace(nfproto).is_some() {
            return self;
        }
        self.push(Expr::Meta { key: Meta::NfProto, reg: REG_1 }).equals([nfproto])
    }

    /// Only packets from, or to, one of these prefixes, which are of one family; nothing for none.
    #[must_use]
    pub fn prefixes(self, side: Side, prefixes: &[IpNet]) -> Self {
        let Some(first) = prefixes.first() else { return self };
        let (nfproto, kind, len, offset) = match (first, side) {
            (IpNet::V4(_), Side::Source) => (NFPROTO_IPV4, kind::IPV4_ADDR, 4, 12),
            (IpNet::V4(_), Side::Destination) => (NFPROTO_IPV4, kind::IPV4_ADDR, 4, 16),
            (IpNet::V6(_), Side::Source) => (NFPROTO_IPV6, kind::IPV6_ADDR, 16, 8),
            (IpNet::V6(_), Side::Destination) => (NFPROTO_IPV6, kind::IPV6_ADDR, 16, 24),
        };
        let load = |len| Expr::Payload { base: PayloadBase::Network, offset, len, reg: REG_1 };
        let this = self.family(nfproto);
        let [prefix] = prefixes else {
            let ranges = prefixes.iter().map(|net| (net.network().into(), net.broadcast().into()));
            return this.push(load(len)).in_set(kind, len, ranges.collect());
        };
        let bits = prefix.prefix_len();
        let (whole, network) = (u32::from(bits / 8), Data::from(prefix.network()));
        match bits % 8 {
            _ if bits == 0 => this,
            // As nft does: what is a whole number of bytes long is compared without a mask.
            0 => {
                let first = usize::from(bits / 8);
                this.push(load(whole)).equals(&network[..first])
            }
            _ => {
                let (mask, xor) = (Data::from(prefix.netmask()), vec![0; network.len()].into());
                this.push(load(len))
                    .push(Expr::Bitwise { from: REG_1, to: REG_1, mask, xor })
                    .equals(&network[..])
            }
        }
    }

    /// Only packets of one of these protocols; nothing for none.
    #[must_use]
    pub fn protocols(mut self, protocols: &[u8]) -> Self {
        if let [protocol] = protocols
            && self.l4proto.replace(*protocol) == Some(*protocol)
        {
            return self;
        }
        let values = protocols.iter().map(|protocol| [*protocol].into()).collect();
        match protocols {
            [] => self,
            _ => {
                let load = Expr::Meta { key: Meta::L4Proto, reg: REG_1 };
                self.push(load).one_of(kind::INET_PROTO, 1, values)
            }
        }
    }

    /// Only packets to one of these ports, each a range with its ends included; nothing for none.
    /// The protocol must have been said.
    #[must_use]
    pub fn ports(self, ports: &[(u16, u16)]) -> Self {
        let data = |port: u16| Data::from(port.to_be_bytes());
        let (base, offset, len) = (PayloadBase::Transport, 2, 2);
        let load = Expr::Payload { base, offset, len, reg: REG_1 };
        match ports {
            [] => self,
            [(from, to)] if from == to => self.push(load).equals(from.to_be_bytes()),
            [(from, to)] => {
                self.push(load).compare(CmpOp::Gte, data(*from)).compare(CmpOp::Lte, data(*to))
            }
            many => {
                let ranges = many.iter().map(|(from, to)| (data(*from), data(*to)));
                self.push(load).in_set(kind::INET_SERVICE, 2, ranges.collect())
            }
        }
    }

    /// Only ICMPv6 messages of these types.
    #[must_use]
    pub fn icmpv6_types(self, types: &[u8]) -> Self {
        let (base, offset, len) = (PayloadBase::Transport, 0, 1);
        let values = types.iter().map(|number| [*number].into()).collect();
        self.family(NFPROTO_IPV6)
            .protocols(&[ICMPV6])
            .push(Expr::Payload { base, offset, len, reg: REG_1 })
            .one_of(kind::ICMPV6_TYPE, 1, values)
    }

    /// Only packets of connections in one of these states; nothing for none.
    #[must_use]
    pub fn states(self, states: &[CtState]) -> Self {
        match states.iter().fold(0, |mask, state| mask | state.bit()) {
            0 => self,
            mask => self.has_bits(Ct::State, mask),
        }
    }

    /// Only packets of connections whose destination is translated.
    #[must_use]
    pub fn translated(self) -> Self {
        self.has_bits(Ct::Status, super::CT_STATUS_DNAT)
    }

    fn has_bits(self, key: Ct, mask: u32) -> Self {
        let (mask, xor) = (mask.to_ne_bytes().into(), [0; 4].into());
        self.push(Expr::Ct { key, dir: None, reg: REG_1 })
            .push(Expr::Bitwise { from: REG_1, to: REG_1, mask, xor })
            .compare(CmpOp::Neq, [0; 4].into())
    }

    fn compare(self, op: CmpOp, data: Data) -> Self {
        self.push(Expr::Cmp { reg: REG_1, op, data })
    }

    fn equals(self, data: impl Into<Data>) -> Self {
        self.compare(CmpOp::Eq, data.into())
    }

    fn one_of(self, kind: u32, key_len: u32, mut values: Vec<Data>) -> Self {
        match values.as_slice() {
            [_] => self.compare(CmpOp::Eq, values.swap_remove(0)),
            _ => {
                let ranges = values.into_iter().map(|value| (value.clone(), value)).collect();
                self.in_set(kind, key_len, ranges)
            }
        }
    }

    fn in_set(self, kind: u32, key_len: u32, ranges: Vec<(Data, Data)>) -> Self {
        let elements = merged(ranges);
        let (fields, is_dynamic) = Default::default();
        let set = Set { name: None, kind, key_len, fields, elements, is_dynamic };
        self.push(Expr::Lookup { reg: REG_1, set, invert: false })
    }

    /// Lets through only so many.
    #[must_use]
    pub fn limit(self, limit: Limit) -> Self {
        self.push(Expr::Limit(limit))
    }

    /// Counts what comes so far.
    #[must_use]
    pub fn counter(self) -> Self {
        self.push(Expr::Counter(Counts::default()))
    }

    /// Writes what comes so far to the kernel's log, as a warning.
    #[must_use]
    pub fn log(self, prefix: &str) -> Self {
        // As nft has it: the kernel's default is to be a warning, and nothing is said of it.
        self.push(Expr::Log(Log { prefix: prefix.to_owned(), group: None, level: Some(4) }))
    }

    /// Accepts.
    #[must_use]
    pub fn accept(self) -> Self {
        self.push(Expr::Verdict(Verdict::Accept))
    }

    /// Drops in silence.
    #[must_use]
    pub fn drop(self) -> Self {
        self.push(Expr::Verdict(Verdict::Drop))
    }

    /// Drops and tells the sender: by a reset where it is TCP, by ICMP else.
    #[must_use]
    pub fn reject(self) -> Self {
        let reject = match self.l4proto {
            Some(TCP) => Reject::TCP_RESET,
            _ => Reject::PORT_UNREACHABLE,
        };
        self.push(Expr::Reject(reject))
    }

    /// Gives it the source address of the interface it leaves by.
    #[must_use]
    pub fn masquerade(self) -> Self {
        self.push(Expr::Masquerade { flags: 0 })
    }

    /// Gives it another source address.
    #[must_use]
    pub fn snat(self, addr: IpAddr) -> Self {
        self.nat(false, addr, None)
    }

    /// Gives it another destination, and another port where one is given.
    #[must_use]
    pub fn dnat(self, addr: IpAddr, port: Option<u16>) -> Self {
        self.nat(true, addr, port)
    }

    fn nat(self, dnat: bool, addr: IpAddr, port: Option<u16>) -> Self {
        let family = if addr.is_ipv4() { NFPROTO_IPV4 } else { NFPROTO_IPV6 };
        // A translation is of one family, so the kernel must have seen that the packet is of it.
        let mut this = self.family(family);
        this.exprs.push(Expr::Immediate { reg: REG_1, data: addr.into() });
        if let Some(port) = port {
            this.exprs.push(Expr::Immediate { reg: REG_2, data: port.to_be_bytes().into() });
        }
        this.push(Expr::Nat(Nat {
            dnat,
            family: family.into(),
            addr: Some(REG_1),
            addr_max: None,
            port: port.map(|_| REG_2),
            port_max: None,
            flags: 0,
        }))
    }
}

/// Sorts ranges, and joins those that overlap or touch, as the kernel wants them. Values alone stay
/// apart: they need no order, and it finds them faster.
#[must_use]
pub fn merged(mut ranges: Vec<(Data, Data)>) -> Vec<(Data, Data)> {
    ranges.sort();
    ranges.dedup();
    if ranges.iter().all(|(from, to)| from == to) {
        return ranges;
    }
    let mut all: Vec<(Data, Data)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match all.last_mut() {
            Some((_, last)) if from <= *last || next(last).as_ref() == Some(&from) => {
                *last = to.max(last.clone());
            }
            _ => all.push((from, to)),
        }
    }
    all
}

/// Returns the value after this one; nothing after the last.
#[must_use]
pub fn next(data: &Data) -> Option<Data> {
    step(data, 0xff, 0, |byte| byte + 1)
}

/// Returns the value before this one; nothing before the first.
#[must_use]
pub fn previous(data: &Data) -> Option<Data> {
    step(data, 0, 0xff, |byte| byte - 1)
}

fn step(data: &Data, full: u8, turns_to: u8, one: fn(u8) -> u8) -> Option<Data> {
    let mut bytes = data.to_vec();
    for byte in bytes.iter_mut().rev() {
        if *byte != full {
            *byte = one(*byte);
            return Some(bytes.into());
        }
        *byte = turns_to;
    }
    None
}
