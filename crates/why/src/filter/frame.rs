//! What bridges and single interfaces drop: frames, be it with a packet or with a message that looks
//! for a neighbour.
//!
//! Chains of the family netdev are at interfaces, where what comes in is seen first, and what leaves
//! last; chains of bridges see what these pass on, chains of the family arp what a namespace itself asks
//! and answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::nft::{Base, Ct, CtState, Family, Hook, Meta, PayloadBase, Rule, Table};
use vnet_model::{End, IfName, Kind, Mac, NsName, Packet};

use super::chain::Place;
use super::packet::{Bytes, Header, Loaded, Put, index, known, name, slice};
use super::rule::{self, Comes, Looked};
use super::{Asks, Done, Passed};
use crate::scene::Scene;

/// When conntrack looks at what a bridge takes in (`NF_IP_PRI_CONNTRACK`,
/// net/bridge/netfilter/nf_conntrack_bridge.c).
const PRIORITY_CONNTRACK: i32 = -200;

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` (linux/if_arp.h).
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// `PACKET_HOST` and those after it (linux/if_packet.h).
const FOR_HOST: u8 = 0;
const FOR_ALL: u8 = 1;
const FOR_GROUP: u8 = 2;
const FOR_OTHER: u8 = 3;

/// A frame on its way.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The hardware addresses that it is for and from, as far as they are known; nothing on interfaces
    /// that carry packets without.
    pub(crate) link: Option<[Option<Mac>; 2]>,
    pub(crate) body: Body,
    /// What it looks for, where it does.
    pub(crate) asks: Option<Asks>,
    /// Its mark, where it is known.
    pub(crate) mark: Option<u32>,
    pub(crate) done: Done,
}

/// What a frame carries.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Packet(Header),
    /// A message of ARP, of IPv4 on Ethernet (RFC 826).
    Arp {
        is_reply: bool,
        /// Who sends it, and who is meant.
        sender: (Option<Mac>, Option<Ipv4Addr>),
        target: (Option<Mac>, Option<Ipv4Addr>),
    },
}

/// A place at which rules look at a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) ns: NsName,
    /// Netdev for single interfaces, bridge or arp.
    pub(crate) of: Family,
    pub(crate) hook: Hook,
    pub(crate) iif: Option<IfName>,
    pub(crate) oif: Option<IfName>,
    /// The number in the frame's tag there.
    pub(crate) vlan: Option<u16>,
}

impl Point {
    /// Where what comes in by an interface is seen first, or what leaves by it last.
    pub(crate) fn at(end: &End, hook: Hook, vlan: Option<u16>) -> Self {
        Self { vlan, ..Self::of(Family::Netdev, end, hook) }
    }

    /// Where a namespace sees what it takes in, or sends, of ARP.
    pub(crate) fn of_arp(end: &End, hook: Hook) -> Self {
        Self::of(Family::Arp, end, hook)
    }

    fn of(of: Family, end: &End, hook: Hook) -> Self {
        let (ns, name) = (end.ns.clone(), Some(end.name.clone()));
        let (iif, oif) = match hook {
            Hook::Egress | Hook::Output => (None, name),
            _ => (name, None),
        };
        Self { ns, of, hook, iif, oif, vlan: None }
    }

    /// Tells whether there are chains here.
    pub(crate) fn is_watched(&self, scene: &Scene<'_>) -> bool {
        (self.is_passed_on() && scene.hands_frames_on(&self.ns)) || self.has_chains(scene)
    }

    /// Tells whether a bridge passes frames on here from one of its ports to another.
    pub(crate) fn is_passed_on(&self) -> bool {
        (self.of, self.hook) == (Family::Bridge, Hook::Forward)
    }

    fn has_chains(&self, scene: &Scene<'_>) -> bool {
        scene.tables(&self.ns).into_iter().any(|table| {
            let mut bases = table.chains.iter().filter_map(|chain| chain.base.as_ref());
            bases.any(|base| self.is_seen_by(table.id.family, base, true))
        })
    }

    /// Tells whether a chain of a family looks at frames here, with a packet in them or without.
    fn is_seen_by(&self, family: Family, base: &Base, has_packet: bool) -> bool {
        let is_there = || {
            let dev = self.iif.as_ref().or(self.oif.as_ref());
            dev.is_some_and(|dev| base.devices.iter().any(|known| stands_for(known, dev)))
        };
        base.hook == self.hook
            && match (self.of, family) {
                (Family::Netdev, Family::Netdev) => is_there(),
                // `nft_do_chain_inet_ingress` (net/netfilter/nft_chain_filter.c).
                (Family::Netdev, Family::Inet) => {
                    self.hook == Hook::Ingress && has_packet && is_there()
                }
                (of, family) => of == family,
            }
    }
}

/// Tells whether an interface is one that a chain is said to be at.
fn stands_for(known: &str, dev: &IfName) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => dev.as_str().starts_with(prefix),
        None => known == dev.as_str(),
    }
}

/// Tells whether a table of a namespace may drop frames.
pub(crate) fn sees_frames(table: &Table) -> bool {
    match table.id.family {
        Family::Netdev | Family::Bridge | Family::Arp => has_chain_at(table, |_| true),
        Family::Inet => has_chain_at(table, |hook| hook == Hook::Ingress),
        Family::Ip | Family::Ip6 => false,
    }
}

/// Tells whether a table of a namespace may drop packets.
pub(crate) fn sees_packets(table: &Table) -> bool {
    match table.id.family {
        Family::Ip | Family::Ip6 | Family::Inet => {
            has_chain_at(table, |hook| hook != Hook::Ingress)
        }
        Family::Netdev | Family::Bridge | Family::Arp => false,
    }
}

fn has_chain_at(table: &Table, is_it: impl Fn(Hook) -> bool) -> bool {
    table.chains.iter().filter_map(|chain| chain.base.as_ref()).any(|base| is_it(base.hook))
}

/// Runs all chains that look at a frame somewhere. `is_known` says whether conntrack has seen in this
/// namespace what it answers.
pub(crate) fn pass(scene: &Scene<'_>, frame: &mut Frame, point: &Point, is_known: bool) -> Passed {
    let has_packet = matches!(frame.body, Body::Packet(_));
    let mut chains = Vec::new();
    for table in scene.tables(&point.ns) {
        for chain in &table.chains {
            let base = chain.base.as_ref();
            let base = base.filter(|base| point.is_seen_by(table.id.family, base, has_packet));
            chains.extend(base.map(|base| (table, chain, base.priority)));
        }
    }
    chains.sort_by_key(|(.., priority)| *priority);
    for (table, chain, priority) in chains {
        let is_tracked = point.of == Family::Bridge
            && (point.hook != Hook::Prerouting || priority > PRIORITY_CONNTRACK);
        let state = is_tracked.then(|| frame.state(is_known));
        let place = Place { scene, ns: &point.ns, hook: point.hook, asks: frame.asks, state };
        let mut rule = |rule: &Rule| {
            let family = table.id.family;
            let put = frame.done.put_in(&point.ns, &table.id).collect();
            let looked = InPlace { scene, frame: &*frame, point, family, state, put };
            let (comes, beside) = rule::run(rule, &looked);
            frame.mark = beside.mark.unwrap_or(frame.mark);
            if let Body::Packet(header) = &mut frame.body {
                header.done.is_urged |= beside.urges;
            }
            let put = beside.put.into_iter().map(|put| (point.ns.clone(), table.id.clone(), put));
            frame.done.put.extend(put);
            match beside.untracks {
                true => Comes::Unknown("`notrack`".to_owned()),
                false => comes,
            }
        };
        match place.base(table, chain, &mut rule) {
            Passed::On(_) => {}
            stopped => return stopped,
        }
    }
    Passed::On(Vec::new())
}

impl Frame {
    /// What conntrack makes of it in a bridge (`nf_ct_bridge_pre`).
    fn state(&self, is_known: bool) -> CtState {
        match &self.body {
            _ if self.asks.is_some() => CtState::Untracked,
            Body::Arp { .. } => CtState::Untracked,
            Body::Packet(header) if !header.is_answer => CtState::New,
            Body::Packet(header) if is_known && header.is_error => CtState::Related,
            Body::Packet(_) if is_known => CtState::Established,
            Body::Packet(header) => match header.packet {
                Packet::Udp(_) => CtState::New,
                _ if header.outer.is_some() => CtState::New,
                _ => CtState::Invalid,
            },
        }
    }

    fn ether_type(&self) -> [u8; 2] {
        match &self.body {
            Body::Packet(header) => header.ether_type(),
            Body::Arp { .. } => [0x08, 0x06],
        }
    }

    /// The Ethernet header, with a tag where it has one (`nft_payload_copy_vlan`,
    /// net/netfilter/nft_payload.c).
    fn header(&self, link: [Option<Mac>; 2], vlan: Option<u16>) -> Bytes {
        let mut bytes: Bytes = link.into_iter().flat_map(mac).collect();
        if let Some(vlan) = vlan {
            bytes.extend(known([0x81, 0x00]));
            bytes.extend(known(vlan.to_be_bytes()));
        }
        bytes.extend(known(self.ether_type()));
        bytes
    }

    fn network(&self) -> Bytes {
        let (is_reply, sender, target) = match &self.body {
            Body::Packet(header) => return header.network(),
            Body::Arp { is_reply, sender, target } => (*is_reply, sender, target),
        };
        // Ethernet, IPv4, and the lengths of their addresses.
        let mut bytes = known([0, 1, 8, 0, 6, 4, 0, if is_reply { 2 } else { 1 }]);
        for (hardware, protocol) in [sender, target] {
            bytes.extend(mac(*hardware));
            bytes.extend(protocol.map_or_else(|| vec![None; 4], |addr| known(addr.octets())));
        }
        bytes
    }
}

fn mac(mac: Option<Mac>) -> Bytes {
    mac.map_or_else(|| vec![None; 6], |Mac(bytes)| known(bytes))
}

/// A frame where rules look at it.
struct InPlace<'p, 'a> {
    scene: &'p Scene<'a>,
    frame: &'p Frame,
    point: &'p Point,
    /// That of the table.
    family: Family,
    state: Option<CtState>,
    put: Vec<Put>,
}

impl InPlace<'_, '_> {
    fn end(&self, dev: &IfName) -> End {
        End { ns: self.point.ns.clone(), name: dev.clone() }
    }

    fn index(&self, dev: Option<&IfName>) -> Loaded {
        let facts = self.scene.facts(&self.point.ns);
        index(dev, facts.zip(dev).and_then(|(facts, dev)| facts.indexes.get(dev).copied()))
    }

    fn kind(&self, dev: Option<&IfName>) -> Loaded {
        let Some(dev) = dev else { return Loaded::Nothing };
        let number = match self.scene.interface(&self.point.ns, dev).map(|found| &found.kind) {
            Some(Kind::Loopback) => ARPHRD_LOOPBACK,
            Some(_) if self.frame.link.is_some() => ARPHRD_ETHER,
            _ => return Loaded::Unknown,
        };
        Loaded::Bytes(known(number.to_ne_bytes()))
    }

    fn bridge(&self, dev: Option<&IfName>) -> Loaded {
        match dev.and_then(|dev| self.scene.bridge_of(&self.end(dev))) {
            Some(bridge) => name(Some(&bridge)),
            None => Loaded::Nothing,
        }
    }

    /// Whom it is for, of what came in by an interface (`eth_type_trans`, net/ethernet/eth.c;
    /// `br_handle_frame`, net/bridge/br_input.c).
    fn packet_type(&self) -> Loaded {
        let (Some(dev), Some([Some(dst), _])) = (&self.point.iif, self.frame.link) else {
            return Loaded::Unknown;
        };
        let end = self.end(dev);
        let bridge = self.scene.bridge_of(&end).map(|bridge| self.end(&bridge));
        let bridge = bridge.filter(|_| self.point.of == Family::Bridge);
        let mut takers = [Some(end), bridge].into_iter().flatten();
        let is_own = |end: End| Some(self.scene.end(&end)?.mac? == dst);
        let kind = match dst.0 {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => FOR_ALL,
            [first, ..] if first & 1 != 0 => FOR_GROUP,
            _ => match takers.try_fold(false, |known, end| Some(known || is_own(end)?)) {
                Some(true) => FOR_HOST,
                Some(false) => FOR_OTHER,
                None => return Loaded::Unknown,
            },
        };
        Loaded::Bytes(known([kind]))
    }
}

impl Looked for InPlace<'_, '_> {
    fn payload(&self, base: PayloadBase, offset: u32, len: u32) -> Loaded {
        match (base, self.frame.link, &self.frame.body) {
            (PayloadBase::Link, ..) if self.family == Family::Arp => Loaded::Unknown,
            (PayloadBase::Link, None, _) => Loaded::Nothing,
            (PayloadBase::Link, Some(link), _) => {
                slice(&self.frame.header(link, self.point.vlan), offset, len)
            }
            (PayloadBase::Network, ..) => slice(&self.frame.network(), offset, len),
            (PayloadBase::Transport, _, Body::Packet(header)) => {
                slice(&header.transport(), offset, len)
            }
            (PayloadBase::Transport, ..) => Loaded::Nothing,
            (PayloadBase::Other(_), ..) => Loaded::Unknown,
        }
    }

    fn meta(&self, key: Meta) -> Loaded {
        let Point { iif, oif, hook, .. } = self.point;
        let (iif, oif) = (iif.as_ref(), oif.as_ref());
        match (key, &self.frame.body) {
            (Meta::Iif, _) => self.index(iif),
            (Meta::Oif, _) => self.index(oif),
            (Meta::IifName, _) => name(iif),
            (Meta::OifName, _) => name(oif),
            // Of the one that it is at, whichever that is.
            (Meta::IifType, _) => self.kind(oif.or(iif)),
            (Meta::OifType, _) => self.kind(oif),
            (Meta::IbrName, _) => self.bridge(iif),
            (Meta::ObrName, _) => self.bridge(oif),
            (Meta::PktType, _) => self.packet_type(),
            (Meta::Protocol, _) => Loaded::Bytes(known(self.frame.ether_type())),
            (Meta::Mark, _) => match self.frame.mark {
                Some(mark) => Loaded::Bytes(known(mark.to_ne_bytes())),
                None => Loaded::Unknown,
            },
            (Meta::NfProto, Body::Packet(header)) if self.family == Family::Inet => {
                let family = if header.dst.is_ipv6() { Family::Ip6 } else { Family::Ip };
                Loaded::Bytes(known([family.number()]))
            }
            (Meta::NfProto, _) => Loaded::Bytes(known([self.family.number()])),
            // With its Ethernet header.
            (Meta::Len, _) if *hook == Hook::Egress => Loaded::Unknown,
            (key, Body::Packet(header)) => header.meta(key),
            (Meta::L4Proto, Body::Arp { .. }) => Loaded::Nothing,
            (_, Body::Arp { .. }) => Loaded::Unknown,
        }
    }

    fn ct(&self, key: Ct, dir: Option<u8>) -> Loaded {
        match (key, self.state, dir) {
            (Ct::State, Some(state), None) => Loaded::Bytes(known(state.bit().to_ne_bytes())),
            _ => Loaded::Unknown,
        }
    }

    fn fib(&self, _: u32, _: u32) -> Loaded {
        Loaded::Unknown
    }

    fn put(&self) -> &[Put] {
        &self.put
    }
}

/// The group that is asked for an IPv6 address, with its hardware address (RFC 4291, section 2.7.1; RFC
/// 2464, section 7).
pub(crate) fn group_of(addr: Ipv6Addr) -> (IpAddr, Mac) {
    let [.., a, b, c] = addr.octets();
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
    (Ipv6Addr::from(group).into(), Mac([0x33, 0x33, 0xff, a, b, c]))
}
