//! Broadcast domains: which interfaces hear what one of them sends.
//!
//! A frame sent on a veth comes in at the other end; there a bridge takes it if the interface is its
//! port, and sends it out by its other ports (net/bridge/br_forward.c). Whoever hears it and is no
//! port is a *station*: its namespace may take the packet. A bridge that filters VLANs keeps every
//! frame in one of them (net/bridge/br_vlan.c); an interface of a VLAN puts the tag on and takes it
//! off. A tunnel that carries frames is a cable to each of its far ends.

mod beside;
mod bridge;
mod hairpin;
pub(crate) mod policy;
mod trail;

pub(crate) use beside::{
    BRIDGE, IPVLAN_L2, IPVLAN_L3, IPVLAN_L3S, ipvlan_mode, is_routed_below, macvlan_mode,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use vnet_model::kind::{self, Value};
use vnet_model::state::PortVlan;
use vnet_model::{End, IfName, Kind};

use crate::filter::Point;
use crate::scene::Scene;
use crate::tunnel::{self, Broken, Crossed, Fault, Load, Medium};

/// What a frame may be longer than the receiver's MTU: a VLAN tag, which `is_skb_forwardable` always
/// leaves room for (net/core/dev.c).
const SPARE_BYTES: u32 = 4;

/// Outer tags (linux/if_ether.h).
const ETH_P_8021AD: u64 = 0x88a8;

/// Something that keeps a frame from getting further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// The interface it would leave by is down.
    Down(End),
    /// An end of a pair drops what is sent by it.
    Policy(End),
    /// The other end of the cable is down.
    PeerDown(End),
    /// There is no other end.
    NoPeer(End),
    /// A port of a bridge is down.
    PortDown(End),
    /// A port of a bridge does not forward.
    Blocked(End),
    /// A port of a bridge passes nothing on to others of its kind, such as the one it came in by.
    Isolated(End),
    /// The bridge is down.
    BridgeDown(End),
    /// A port of a bridge sends nothing back where it came in.
    Hairpin(End),
    /// An ipvlan that is routed answers no ARP: it is reached by way of the interface below.
    NoArp(End, End),
    /// Two interfaces share a wire, of which one does not hear the other there.
    Beside(End, End),
    /// An interface that was meant to be a port of this bridge is none.
    NotAPort(End, IfName),
    /// A port of a bridge is not in the frame's VLAN as it was meant to be, if that is known.
    Vlan(End, u16, Option<PortVlan>),
    /// A bridge keeps VLANs apart, which it was not meant to: a port is not in that of the frame.
    Apart(End, End),
    /// An interface whose MTU in bytes is too small for the frame.
    Mtu(End, u32),
    /// A tunnel is not passed.
    Tunnel(Box<Broken>),
    /// A tunnel is not told of a far end that it was meant to send to.
    NoFlood(End, IpAddr),
}

/// An interface that hears a frame, and how it gets there.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) end: End,
    /// The ports of bridges on the way, in and out.
    pub(crate) ports: Vec<End>,
    /// The tunnels on the way.
    pub(crate) crossed: Vec<Crossed>,
    /// Where rules look at frames on the way, in namespaces that have any for such.
    pub(crate) trail: Vec<Point>,
    /// What is in its way; empty but where blocks were to be looked through.
    pub(crate) blocks: Vec<Block>,
    /// What may be in its way and is not evaluated, with the family whose neighbours are kept from
    /// being found by it; both where none is said.
    unsure: Vec<(Option<bool>, String)>,
    /// The interface that sent it by another one below, with that: it may come back to it.
    sent_by: Option<(End, End)>,
    /// The port of a bridge that has sent it back where it came in.
    returned: Option<End>,
    /// The number in the frame's tag; in a bridge that filters VLANs, of the one that it is in.
    vlan: Option<u16>,
}

impl Station {
    /// A frame where it begins.
    fn new(end: End) -> Self {
        let (ports, crossed, trail, blocks, unsure) = Default::default();
        let (sent_by, returned, vlan) = Default::default();
        Self { end, ports, crossed, trail, blocks, unsure, sent_by, returned, vlan }
    }

    /// What may be in the way of packets of this family, or not.
    pub(crate) fn doubts(&self, ipv6: bool) -> impl Iterator<Item = &str> {
        let counts = move |(of, _): &&(Option<bool>, String)| of.is_none_or(|of| of == ipv6);
        self.unsure.iter().filter(counts).map(|(_, text)| text.as_str())
    }
}

/// All that hear what an interface sends.
#[derive(Debug, Default)]
pub(crate) struct Domain {
    pub(crate) stations: Vec<Station>,
    /// Interfaces behind which there may be more, of kinds that are not modelled.
    pub(crate) unknown: Vec<End>,
    /// A tunnel on it that would have to carry itself.
    pub(crate) circle: Option<Box<Broken>>,
}

/// Finds who hears a frame of `size_bytes` that `from` sends. `through` looks through what is in
/// the way, and notes it.
pub(crate) fn domain(scene: &Scene<'_>, from: &End, size_bytes: u32, through: bool) -> Domain {
    Search::new(scene, size_bytes, through, from.clone()).run()
}

struct Search<'s, 'a> {
    scene: &'s Scene<'a>,
    size_bytes: u32,
    through: bool,
    /// Who has sent, with which tag.
    seen: BTreeSet<(End, Option<u16>)>,
    /// Interfaces that are to send, with what led there.
    queue: VecDeque<Station>,
    /// Who sends in the first place.
    from: End,
    /// Those that are next to a sender and do not hear it; others may come first.
    apart: Vec<Station>,
    /// Bridges to which a port of another sends frames back, with that.
    confused: BTreeMap<End, End>,
    found: Domain,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(scene: &'s Scene<'a>, size_bytes: u32, through: bool, from: End) -> Self {
        let (seen, queue, apart, confused, found) = Default::default();
        Self { scene, size_bytes, through, seen, queue, from, apart, confused, found }
    }
}

impl Search<'_, '_> {
    fn run(mut self) -> Domain {
        let from = &self.from.clone();
        let mut start = Station::new(from.clone());
        match self.scene.end(from).map(|interface| (&interface.kind, interface.up)) {
            Some((kind, up)) if kind.is_bridge() => {
                // What the bridge itself sends is in the VLAN of its own packets without a tag.
                self.goes_out(&mut start);
                start.vlan = self.vlans(&start.end, from).and_then(|vlans| bridge::pvid(&vlans));
                if let Some(start) =
                    self.pass(start, (!up).then(|| Block::BridgeDown(from.clone())))
                {
                    self.flood(&start, &from.name, None);
                }
            }
            Some(_) => self.queue.push_back(start),
            None => {}
        }
        self.finish()
    }

    /// Sends all that is to be sent.
    fn finish(mut self) -> Domain {
        while let Some(sender) = self.queue.pop_front() {
            self.send(sender);
        }
        self.found.stations.append(&mut self.apart);
        self.doubt_confused();
        self.found
    }

    /// Goes on past a block, if there is one, where blocks are looked through.
    fn pass(&self, mut at: Station, block: Option<Block>) -> Option<Station> {
        match block {
            None => Some(at),
            Some(block) if self.through => {
                at.blocks.push(block);
                Some(at)
            }
            Some(_) => None,
        }
    }

    fn send(&mut self, mut at: Station) {
        if !self.seen.insert((at.end.clone(), at.vlan)) {
            return;
        }
        let Some(interface) = self.scene.end(&at.end) else { return };
        self.goes_out(&mut at);
        if let Some((vid, below)) = vlan_of(self.scene, &at.end) {
            return self.send_tagged(at, vid, below);
        }
        if let Medium::Tunnel(carrier) = self.scene.medium(&at.end)
            && carrier.is_ethernet
        {
            return self.send_in_tunnel(at);
        }
        if let Some(lower) = shares(self.scene, &at.end) {
            return self.send_beside(at, lower);
        }
        if is_bond(self.scene, &at.end) {
            return self.send_by_bond(at);
        }
        let peer = match &interface.kind {
            kind if kind.is_pair() => kind.peer().cloned(),
            Kind::Loopback => return,
            _ => return self.found.unknown.push(at.end),
        };
        let is_port = !at.ports.is_empty();
        let down = match is_port {
            true => Block::PortDown(at.end.clone()),
            false => Block::Down(at.end.clone()),
        };
        if at.end == self.from {
            self.note_apart(&at);
        }
        let Some(at) = self.pass(at, (!interface.up).then_some(down)) else { return };
        let dropped = policy::drops(self.scene, &at.end).then(|| Block::Policy(at.end.clone()));
        let Some(mut at) = self.pass(at, dropped) else { return };
        let peer = peer.filter(|peer| self.scene.end(peer).is_some());
        let Some(peer) = peer else {
            // Nobody is there, with whatever patience.
            at.blocks.push(Block::NoPeer(at.end.clone()));
            if self.through {
                self.found.stations.push(at);
            }
            return;
        };
        at.end = peer;
        self.receive(at);
    }

    /// Sends in packets, to every far end that the tunnel is told of; the end of the cable is there.
    fn send_in_tunnel(&mut self, at: Station) {
        let up = self.scene.end(&at.end).is_some_and(|interface| interface.up);
        let down = Block::Down(at.end.clone());
        let Some(at) = self.pass(at, (!up).then_some(down)) else { return };
        if at.vlan.is_some() {
            return self.found.unknown.push(at.end);
        }
        let load = Load {
            src: None,
            dst: Ipv4Addr::UNSPECIFIED.into(),
            size_bytes: self.size_bytes,
            is_answer: false,
            flows: &[],
            heard: &[],
            legs: None,
        };
        for way in tunnel::ways(self.scene, &at.end, &load) {
            let mut next = at.clone();
            match way {
                Ok(crossed) => {
                    next.end = crossed.end.clone();
                    next.crossed.push(crossed);
                    self.take_in(next);
                }
                Err(broken) if matches!(broken.fault, Fault::Unknown(_)) => {
                    self.found.unknown.push(at.end.clone());
                }
                Err(broken) => {
                    if broken.is_circle() {
                        self.found.circle.get_or_insert_with(|| broken.clone());
                    }
                    if let Some(end) = tunnel::likely(self.scene, &broken) {
                        next.end = end;
                        self.go_past(next, Block::Tunnel(broken));
                    }
                }
            }
        }
        for dst in self.lost_flood(&at.end) {
            if let Some(end) = tunnel::far_end(self.scene, &at.end, dst) {
                let block = Block::NoFlood(at.end.clone(), dst);
                self.go_past(Station { end, ..at.clone() }, block);
            }
        }
    }

    fn go_past(&mut self, at: Station, block: Block) {
        if let Some(at) = self.pass(at, Some(block)) {
            self.take_in(at);
        }
    }

    /// The far ends that a tunnel was meant to send to, and is not told of.
    fn lost_flood(&self, end: &End) -> Vec<IpAddr> {
        let meant = self.scene.meant_interface(&end.ns, &end.name);
        let meant = meant.and_then(|meant| meant.fdb.as_ref()).into_iter().flatten();
        let found = self.scene.end(end).and_then(|found| found.fdb.as_ref());
        let lost = meant.filter(|entry| found.is_some_and(|found| !found.contains(entry)));
        lost.filter_map(|entry| entry.dst).collect()
    }

    /// Sends by the interface below, with a tag. A tag on another is not modelled.
    fn send_tagged(&mut self, at: Station, vid: u16, below: End) {
        let up = self.scene.end(&at.end).is_some_and(|interface| interface.up);
        let down = Block::Down(at.end.clone());
        let Some(mut at) = self.pass(at, (!up).then_some(down)) else { return };
        let is_plain = self.scene.end(&below).is_some_and(|it| it.kind.is_pair())
            && !policy::asks_nobody(self.scene, &below);
        if at.vlan.is_some() || !is_plain {
            return self.found.unknown.push(at.end);
        }
        (at.end, at.vlan) = (below, Some(vid));
        self.send(at);
    }

    /// Takes a frame in that is for the namespace: with a tag, only the interface of that VLAN does.
    fn hear(&mut self, mut at: Station) {
        let Some(vid) = at.vlan else { return self.hear_beside(at) };
        let lower = at.end.clone();
        let is_it = |end: &End| vlan_of(self.scene, end) == Some((vid, lower.clone()));
        let Some(end) = self.scene.uppers(&lower).into_iter().find(is_it) else { return };
        let up = self.scene.end(&end).is_some_and(|found| found.up);
        (at.end, at.vlan) = (end, None);
        if self.scene.bridge_of(&at.end).is_some() {
            return self.found.unknown.push(at.end);
        }
        self.comes_in(&mut at);
        let down = Block::PeerDown(at.end.clone());
        if let Some(at) = self.pass(at, (!up).then_some(down)) {
            self.hear_beside(at);
        }
    }

    fn receive(&mut self, at: Station) {
        let Some(interface) = self.scene.end(&at.end) else { return };
        let (up, mtu) = (interface.up, interface.mtu);
        let master = self.scene.bridge_of(&at.end);
        let meant = self.scene.meant_bridge_of(&at.end);
        let meant = meant.filter(|_| self.through && master.is_none());
        let is_port = master.is_some() || meant.is_some();
        let down = match is_port {
            true => Block::PortDown(at.end.clone()),
            false => Block::PeerDown(at.end.clone()),
        };
        let Some(at) = self.pass(at, (!up).then_some(down)) else { return };
        let narrow = mtu.filter(|mtu| self.size_bytes > mtu + SPARE_BYTES);
        let narrow = narrow.map(|mtu| Block::Mtu(at.end.clone(), mtu));
        if let Some(at) = self.pass(at, narrow) {
            self.take_in(at);
        }
    }

    /// Gives a frame that has come in to the bridge that the interface is a port of, or to the
    /// namespace.
    fn take_in(&mut self, mut at: Station) {
        self.comes_in(&mut at);
        let master = self.scene.bridge_of(&at.end);
        let meant = self.scene.meant_bridge_of(&at.end);
        let meant = meant.filter(|_| self.through && master.is_none());
        let stray = meant.clone().map(|bridge| Block::NotAPort(at.end.clone(), bridge));
        match master.or(meant) {
            Some(bridge) => {
                if let Some(at) = self.pass(at, stray) {
                    let bond = End { ns: at.end.ns.clone(), name: bridge };
                    match is_bond(self.scene, &bond) {
                        true => self.take_in_by_bond(at, bond),
                        false => self.cross(at, &bond.name),
                    }
                }
            }
            None => self.hear(at),
        }
    }

    fn label(&self, end: &End) -> String {
        self.scene.port(&end.ns, &end.name)
    }
}

/// Returns the interface whose wire another shares as one more station on it: of a macvlan in all
/// modes, which differ in what goes to its like (drivers/net/macvlan.c), of an ipvlan in `l2`
/// (drivers/net/ipvlan/).
pub(crate) fn shares(scene: &Scene<'_>, end: &End) -> Option<End> {
    let device = scene.end(end)?.kind.device()?;
    let is_followed = match device.spec.name {
        "macvlan" => true,
        "ipvlan" => ipvlan_mode(scene, end) == Some(IPVLAN_L2),
        _ => false,
    };
    scene.below(end).filter(|_| is_followed)
}

/// Tells whether an interface is a bond whose way of working is known.
pub(crate) fn is_bond(scene: &Scene<'_>, end: &End) -> bool {
    scene.end(end).and_then(|found| found.kind.device()).is_some_and(|it| it.spec.is_bond())
}

/// Returns the number of the VLAN that an interface is, and the interface that it is one of. Outer
/// tags (802.1ad) are not modelled.
pub(crate) fn vlan_of(scene: &Scene<'_>, end: &End) -> Option<(u16, End)> {
    scene.end(end)?.kind.device().filter(|device| *device.spec == kind::VLAN)?;
    let Some(Value::Number(vid)) = scene.option(end, "id") else { return None };
    if scene.option(end, "protocol") == Some(&Value::Number(ETH_P_8021AD)) {
        return None;
    }
    Some((u16::try_from(*vid).ok()?, scene.below(end)?))
}
