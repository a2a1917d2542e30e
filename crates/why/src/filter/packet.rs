//! What is known of a packet, as the bytes that rules load.

use std::net::IpAddr;

use vnet_model::nft::{CT_STATUS_DNAT, Ct, CtState, Meta, PayloadBase, TableId};
use vnet_model::{IfName, NsName, Packet};

use super::rule::Looked;

/// Bytes of which some are not known.
pub(super) type Bytes = Vec<Option<u8>>;

/// `IPS_SRC_NAT` (linux/netfilter/nf_conntrack_common.h).
const CT_STATUS_SNAT: u32 = 1 << 4;

/// What a rule has put into a set, or taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    /// The name of the set.
    pub(super) set: String,
    /// What its key begins with: it is as long as the set says.
    pub(super) key: Bytes,
    /// Whether it is there for sure.
    pub(super) is_sure: bool,
}

impl Put {
    /// No key is longer (`NFT_DATA_VALUE_MAXLEN`, net/netfilter/nf_tables.h).
    pub(super) const KEY_BYTES_MAX: usize = 64;

    /// Tells whether it is this key for sure.
    pub(super) fn is(&self, key: &[Option<u8>]) -> bool {
        self.key.iter().zip(key).all(|(put, byte)| put.is_some() && put == byte)
    }

    /// Tells whether it may be this key.
    pub(super) fn may_be(&self, key: &[Option<u8>]) -> bool {
        let differs = |(put, byte): (&Option<u8>, &Option<u8>)| {
            put.zip(*byte).is_some_and(|(put, byte)| put != byte)
        };
        !self.key.iter().zip(key).any(differs)
    }
}

/// What rules have done with a packet beside translating it and setting its mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Whether conntrack passes it by where it is.
    pub(crate) is_untracked: bool,
    /// Whether the byte of its IP header that says how urgent it is was written.
    pub(crate) is_urged: bool,
    /// What they have put into sets, of which namespace and table.
    pub(crate) put: Vec<(NsName, TableId, Put)>,
}

impl Done {
    /// What they have put into the sets of a table.
    pub(super) fn put_in(&self, ns: &NsName, table: &TableId) -> impl Iterator<Item = Put> {
        let there = self.put.iter().filter(move |(at, of, _)| at == ns && of == table);
        there.map(|(.., put)| put.clone())
    }
}

/// A packet on its way, where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its source, as soon as there is one.
    pub(crate) src: Option<IpAddr>,
    /// Its destination.
    pub(crate) dst: IpAddr,
    /// What is asked.
    pub(crate) packet: Packet,
    /// Whether it is the answer to that.
    pub(crate) is_answer: bool,
    /// Whether it is ICMP's word that a packet could not get further.
    pub(crate) is_error: bool,
    /// What it is of ICMP, where it is neither an echo request nor the answer to one nor that word.
    pub(crate) icmp: Option<u8>,
    /// The port it comes from; that of who asks is not known.
    pub(crate) sport: Option<u16>,
    /// The port it goes to.
    pub(crate) dport: Option<u16>,
    /// The length of the IP packet in bytes, where it is known.
    pub(crate) len: Option<u32>,
    /// How many nodes it may still pass, where that is known.
    pub(crate) ttl: Option<u32>,
    /// Its protocol, where it carries another packet.
    pub(crate) outer: Option<u8>,
    /// Its mark, where it is known.
    pub(crate) mark: Option<u32>,
    pub(crate) done: Done,
}

/// Where a packet is when rules look at it.
#[derive(Debug, Clone, Default)]
pub(super) struct Here {
    pub(super) iif: Option<IfName>,
    pub(super) oif: Option<IfName>,
    pub(super) iif_index: Option<u32>,
    pub(super) oif_index: Option<u32>,
    pub(super) state: Option<CtState>,
    pub(super) snat: bool,
    pub(super) dnat: bool,
}

/// What loading something gives.
pub(super) enum Loaded {
    Bytes(Bytes),
    /// There is none of it here: the rule ends.
    Nothing,
    /// It is not modelled.
    Unknown,
}

/// Looks up what `fib` asks for, where that is modelled.
pub(super) type Fib<'f> = &'f dyn Fn(u32, u32) -> Loaded;

/// Cuts out what a rule loads; what is not there is not known.
pub(super) fn slice(whole: &[Option<u8>], offset: u32, len: u32) -> Loaded {
    let at = |index: u32| whole.get(index as usize).copied().flatten();
    Loaded::Bytes((offset..offset.saturating_add(len.min(64))).map(at).collect())
}

pub(super) fn known(bytes: impl AsRef<[u8]>) -> Bytes {
    bytes.as_ref().iter().map(|byte| Some(*byte)).collect()
}

/// A number of two bytes.
fn number(number: Option<u32>) -> Bytes {
    let number = number.and_then(|number| u16::try_from(number).ok());
    number.map_or_else(|| vec![None; 2], |number| known(number.to_be_bytes()))
}

/// The name of an interface; where there is none it is empty (`nft_meta_store_ifname`,
/// net/netfilter/nft_meta.c).
pub(super) fn name(dev: Option<&IfName>) -> Loaded {
    let name = dev.map_or("", IfName::as_str);
    Loaded::Bytes(known(&*vnet_model::nft::Data::interface(name)))
}

pub(super) fn index(dev: Option<&IfName>, index: Option<u32>) -> Loaded {
    match if dev.is_none() { Some(0) } else { index } {
        Some(index) => Loaded::Bytes(known(index.to_ne_bytes())),
        None => Loaded::Unknown,
    }
}

/// A packet where rules of IP look at it.
pub(super) struct InPlace<'p> {
    pub(super) header: &'p Header,
    pub(super) here: Here,
    pub(super) fib: Fib<'p>,
    pub(super) put: Vec<Put>,
}

impl Looked for InPlace<'_> {
    fn payload(&self, base: PayloadBase, offset: u32, len: u32) -> Loaded {
        match base {
            PayloadBase::Network => slice(&self.header.network(), offset, len),
            PayloadBase::Transport => slice(&self.header.transport(), offset, len),
            PayloadBase::Link | PayloadBase::Other(_) => Loaded::Unknown,
        }
    }

    fn meta(&self, key: Meta) -> Loaded {
        let here = &self.here;
        let ipv6 = self.header.dst.is_ipv6();
        match key {
            Meta::Iif => index(here.iif.as_ref(), here.iif_index),
            Meta::Oif => index(here.oif.as_ref(), here.oif_index),
            Meta::IifName => name(here.iif.as_ref()),
            Meta::OifName => name(here.oif.as_ref()),
            Meta::NfProto => Loaded::Bytes(known([if ipv6 { 10 } else { 2 }])),
            key => self.header.meta(key),
        }
    }

    fn ct(&self, key: Ct, dir: Option<u8>) -> Loaded {
        let here = &self.here;
        let reply = self.header.is_answer && here.state == Some(CtState::Established);
        match (key, here.state, dir) {
            (Ct::State, Some(state), None) => Loaded::Bytes(known(state.bit().to_ne_bytes())),
            (_, Some(CtState::Untracked), _) => Loaded::Nothing,
            (Ct::Direction, Some(_), None) => Loaded::Bytes(known([u8::from(reply)])),
            (Ct::Status, Some(_), None) => {
                let dnat = if here.dnat { CT_STATUS_DNAT } else { 0 };
                let snat = if here.snat { CT_STATUS_SNAT } else { 0 };
                Loaded::Bytes(known((dnat | snat).to_ne_bytes()))
            }
            _ => Loaded::Unknown,
        }
    }

    fn fib(&self, result: u32, flags: u32) -> Loaded {
        (self.fib)(result, flags)
    }

    fn put(&self) -> &[Put] {
        &self.put
    }
}

impl Header {
    pub(crate) fn protocol(&self) -> u8 {
        self.outer.unwrap_or_else(|| self.packet.protocol(self.dst.is_ipv6()))
    }

    /// Loads what the kernel knows about it wherever it is.
    pub(super) fn meta(&self, key: Meta) -> Loaded {
        Loaded::Bytes(match key {
            Meta::Len => match self.len {
                Some(len) => known(len.to_ne_bytes()),
                None => return Loaded::Unknown,
            },
            Meta::Mark => match self.mark {
                Some(mark) => known(mark.to_ne_bytes()),
                None => return Loaded::Unknown,
            },
            Meta::Protocol => known(self.ether_type()),
            Meta::L4Proto => known([self.protocol()]),
            _ => return Loaded::Unknown,
        })
    }

    pub(super) fn ether_type(&self) -> [u8; 2] {
        if self.dst.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] }
    }

    /// The IP header (RFC 791, section 3.1; RFC 8200, section 3).
    pub(super) fn network(&self) -> Bytes {
        let addr = |addr: Option<IpAddr>, len: usize| match addr {
            Some(IpAddr::V4(addr)) => known(addr.octets()),
            Some(IpAddr::V6(addr)) => known(addr.octets()),
            None => vec![None; len],
        };
        let (protocol, ttl) = (Some(self.protocol()), self.ttl.and_then(|ttl| ttl.try_into().ok()));
        let (mut bytes, len) = match self.dst {
            IpAddr::V4(_) => {
                let mut bytes =
                    [vec![Some(0x45), Some(0)], number(self.len), vec![None; 8]].concat();
                (bytes[8], bytes[9]) = (ttl, protocol);
                (bytes, 4)
            }
            IpAddr::V6(_) => {
                let mut bytes = vec![Some(0x60), None, None, None];
                bytes.extend(number(self.behind()));
                bytes.extend([protocol, ttl]);
                (bytes, 16)
            }
        };
        if self.done.is_urged {
            bytes[..2].fill(None);
        }
        bytes.extend(addr(self.src, len));
        bytes.extend(addr(Some(self.dst), len));
        bytes
    }

    /// How long it is behind the IP header, in bytes.
    fn behind(&self) -> Option<u32> {
        self.len?.checked_sub(if self.dst.is_ipv6() { 40 } else { 20 })
    }

    /// The header behind it: of TCP the first packet of each direction.
    pub(super) fn transport(&self) -> Bytes {
        let port = |port: Option<u16>| number(port.map(u32::from));
        match self.packet {
            Packet::Icmp if self.outer.is_some() => Vec::new(),
            Packet::Icmp if self.icmp.is_some() => vec![self.icmp, Some(0)],
            // "Fragmentation needed" (RFC 792), "packet too big" (RFC 4443, section 3.2).
            Packet::Icmp if self.is_error => match self.dst.is_ipv6() {
                false => vec![Some(3), Some(4)],
                true => vec![Some(2), Some(0)],
            },
            Packet::Icmp => {
                let kind = match (self.dst.is_ipv6(), self.is_answer) {
                    (false, false) => 8,
                    (false, true) => 0,
                    (true, false) => 128,
                    (true, true) => 129,
                };
                vec![Some(kind), Some(0)]
            }
            Packet::Tcp(_) => {
                let mut bytes = [port(self.sport), port(self.dport), vec![None; 9]].concat();
                // SYN, and SYN with ACK (RFC 9293, section 3.1).
                bytes.push(Some(if self.is_answer { 0x12 } else { 0x02 }));
                bytes
            }
            Packet::Udp(_) => [port(self.sport), port(self.dport), number(self.behind())].concat(),
        }
    }
}
