//! Broadcast domains: which interfaces hear what one of them sends.
//!
//! A frame sent on a veth comes in at the other end; there a bridge takes it if the interface is its
//! port, and sends it out by its other ports (net/bridge/br_forward.c). Whoever hears it and is no
//! port is a *station*: its namespace may take the packet. A bridge that filters VLANs keeps every
//! frame in one of them (net/bridge/br_vlan.c); an interface of a VLAN puts the tag on and takes it
//! off. A tunnel that carries frames is a cable to each of its far ends.

mod beside;
mod hairpin;
pub(crate) mod policy;

pub(crate) use beside::{
    BRIDGE, IPVLAN_L2, IPVLAN_L3, IPVLAN_L3S, ipvlan_mode, is_routed_below, macvlan_mode,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use vnet_model::kind::{self, Value};
use vnet_model::state::{PortVlan, PortVlans};
use vnet_model::{End, IfName, Kind};

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
        let (ports, crossed, blocks, unsure) = Default::default();
        let (sent_by, returned, vlan) = Default::default();
        Self { end, ports, crossed, blocks, unsure, sent_by, returned, vlan }
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
                start.vlan = self.vlans(&start.end, from).and_then(|vlans| pvid(&vlans));
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

    fn send(&mut self, at: Station) {
        if !self.seen.insert((at.end.clone(), at.vlan)) {
            return;
        }
        let Some(interface) = self.scene.end(&at.end) else { return };
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
    fn take_in(&mut self, at: Station) {
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

    /// Enters a bridge by a port.
    fn cross(&mut self, mut at: Station, bridge: &IfName) {
        let here = End { ns: at.end.ns.clone(), name: bridge.clone() };
        let up = self.scene.end(&here).is_some_and(|found| found.up);
        let port = at.end.clone();
        self.note_return(&mut at, &here);
        at.ports.push(port.clone());
        let Some(at) = self.pass(at, (!up).then(|| Block::BridgeDown(here.clone()))) else {
            return;
        };
        let blocked = !self.scene.port_facts(&port).forwards;
        let Some(at) = self.pass(at, blocked.then(|| Block::Blocked(port.clone()))) else {
            return;
        };
        let Some(mut at) = self.enter(at, &here, &port) else { return };
        self.doubt_port(&mut at, &port, false);
        if self.scene.option(&here, "vlan_protocol") == Some(&Value::Number(ETH_P_8021AD))
            && self.scene.is_on(&here, "vlan_filtering")
        {
            let text = "has VLANs with tags of 802.1ad, which are not followed";
            at.unsure.push((None, format!("{} {text}", self.label(&here))));
        }
        self.enter_self(&at, here);
        self.flood(&at, bridge, Some(&port.name));
    }

    /// Finds the VLAN of a frame that comes into a bridge by a port: the tag's, else the port's own
    /// (`__allowed_ingress`, net/bridge/br_vlan.c). Past a block it is the one that was meant.
    fn enter(&self, mut at: Station, bridge: &End, port: &End) -> Option<Station> {
        let Some(vlans) = self.vlans(bridge, port) else { return Some(at) };
        let meant = self.meant_vlans(port);
        let meant_pvid = meant.as_ref().filter(|_| self.through).and_then(pvid);
        let vid = at.vlan.or(meant_pvid).or_else(|| pvid(&vlans));
        if self.through && !self.is_meant_to_filter(bridge) {
            let enters = vid.is_some_and(|vid| vlans.contains_key(&vid));
            at.vlan = at.vlan.or(vid);
            return self.pass(at, (!enters).then(|| Block::Apart(bridge.clone(), port.clone())));
        }
        let vid = vid?;
        let enters = vlans.get(&vid).is_some_and(|vlan| at.vlan.is_some() || vlan.pvid);
        let how = meant.and_then(|meant| meant.get(&vid).copied());
        at.vlan = Some(vid);
        self.pass(at, (!enters).then(|| Block::Vlan(port.clone(), vid, how)))
    }

    /// Gives a frame in a bridge to the bridge's own interface, which has VLANs like a port.
    fn enter_self(&mut self, at: &Station, bridge: End) {
        let vlan = match (self.vlans(&bridge, &bridge), at.vlan) {
            (Some(vlans), Some(vid)) => match vlans.get(&vid) {
                Some(vlan) => (!vlan.untagged).then_some(vid),
                None => return,
            },
            (_, vlan) => vlan,
        };
        self.hear(Station { end: bridge, vlan, ..at.clone() });
    }

    /// Finds the tag of a frame that leaves a bridge by a port, if the port is in its VLAN
    /// (`br_allowed_egress` and `br_handle_vlan`, net/bridge/br_vlan.c).
    fn exit(&self, mut at: Station, bridge: &End) -> Option<Station> {
        let Some(vlans) = self.vlans(bridge, &at.end) else { return Some(at) };
        if self.through && !self.is_meant_to_filter(bridge) {
            let found = at.vlan.and_then(|vid| vlans.get(&vid));
            if found.is_none_or(|found| found.untagged) {
                at.vlan = None;
            }
            let block = Block::Apart(bridge.clone(), at.end.clone());
            return self.pass(at, found.is_none().then_some(block));
        }
        let vid = at.vlan?;
        let meant = self.meant_vlans(&at.end);
        let how = meant.as_ref().and_then(|meant| meant.get(&vid).copied());
        if meant.is_some() && how.is_none() && !vlans.contains_key(&vid) {
            // Kept apart, as was meant.
            return None;
        }
        let found = vlans.get(&vid).copied();
        let leaves =
            found.is_some_and(|found| how.is_none_or(|how| how.untagged == found.untagged));
        let goes = found.is_some_and(|_| leaves || !self.through);
        let untagged = match goes {
            true => found.is_some_and(|found| found.untagged),
            false => how.is_none_or(|how| how.untagged),
        };
        let block = (!goes).then(|| Block::Vlan(at.end.clone(), vid, how));
        at.vlan = (!untagged).then_some(vid);
        self.pass(at, block)
    }

    /// The VLANs of a port, or of the bridge itself, where the bridge keeps them apart.
    fn vlans(&self, bridge: &End, port: &End) -> Option<PortVlans> {
        self.scene.port_vlans(port).filter(|_| self.scene.is_on(bridge, "vlan_filtering"))
    }

    /// Tells whether a bridge keeps VLANs apart as was meant, as far as it is known what was.
    fn is_meant_to_filter(&self, bridge: &End) -> bool {
        let meant = self.scene.meant_interface(&bridge.ns, &bridge.name);
        meant.is_none_or(|meant| meant.kind.device().is_some_and(|it| it.is_on("vlan_filtering")))
    }

    fn label(&self, end: &End) -> String {
        self.scene.port(&end.ns, &end.name)
    }

    /// Notes what a port is set to that may keep neighbours from being found, or frames from getting
    /// to them, and is not evaluated.
    fn doubt_port(&self, at: &mut Station, port: &End, is_way_out: bool) {
        let on = |word: &str| self.scene.port_is_on(port, word);
        let mut doubt = |ipv6: Option<bool>, what: &str| {
            at.unsure.push((ipv6, format!("{}, a port of a bridge, {what}", self.label(port))));
        };
        for word in ["neigh_suppress", "proxy_arp"] {
            if on(word) == Some(true) {
                let ipv6 = (word == "proxy_arp").then_some(false);
                doubt(ipv6, &format!("has {word} on: the bridge may answer for others"));
            }
        }
        if !is_way_out {
            return;
        }
        if on("flood") == Some(false) && on("learning") == Some(false) {
            doubt(None, "neither learns who is behind it nor floods what it does not know");
        }
        for (word, ipv6) in [("bcast_flood", false), ("mcast_flood", true)] {
            if on(word) == Some(false) {
                doubt(Some(ipv6), &format!("has {word} off: whoever is behind it is not asked"));
            }
        }
    }

    fn meant_vlans(&self, port: &End) -> Option<PortVlans> {
        self.scene.meant_interface(&port.ns, &port.name)?.vlans.clone()
    }

    /// Sends out by all ports of a bridge; by the one that it came in by only where that sends back
    /// (`should_deliver`, net/bridge/br_forward.c).
    fn flood(&mut self, at: &Station, bridge: &IfName, came_in: Option<&IfName>) {
        let ns = at.end.ns.clone();
        let mut ports: Vec<(IfName, bool)> =
            self.scene.ports(&ns, bridge).into_iter().map(|port| (port, true)).collect();
        if self.through
            && let Some(meant) = self.scene.meant(&ns)
        {
            let meant = meant.interfaces.iter();
            let meant = meant.filter(|(_, port)| port.master.as_ref() == Some(bridge));
            for (name, _) in meant {
                let exists = self.scene.interface(&ns, name).is_some_and(|i| i.master.is_none());
                if exists {
                    ports.push((name.clone(), false));
                }
            }
        }
        for (name, is_port) in ports {
            let mut next = at.clone();
            next.end = End { ns: ns.clone(), name: name.clone() };
            let returns = Some(&name) == came_in;
            if returns && !self.may_return(&next.end) {
                continue;
            }
            let hairpin =
                (returns && !self.sends_back(&next.end)).then(|| Block::Hairpin(next.end.clone()));
            if returns {
                next.returned = Some(next.end.clone());
            }
            next.ports.push(next.end.clone());
            let stray = (!is_port).then(|| Block::NotAPort(next.end.clone(), bridge.clone()));
            let mtu = self.scene.end(&next.end).and_then(|port| port.mtu);
            let narrow = mtu.filter(|mtu| self.size_bytes > mtu + SPARE_BYTES);
            let narrow = narrow.map(|mtu| Block::Mtu(next.end.clone(), mtu));
            let facts = self.scene.port_facts(&next.end);
            let isolated = facts.isolated
                && came_in.is_some_and(|from| {
                    let from = End { ns: ns.clone(), name: from.clone() };
                    self.scene.port_facts(&from).isolated
                });
            let isolated = isolated.then(|| Block::Isolated(next.end.clone()));
            let blocked = (!facts.forwards).then(|| Block::Blocked(next.end.clone()));
            let next = self.pass(next, stray).and_then(|next| self.pass(next, narrow));
            let next = next.and_then(|next| self.pass(next, hairpin));
            let next = next.and_then(|next| self.pass(next, blocked));
            let next = next.and_then(|next| self.pass(next, isolated));
            let here = End { ns: ns.clone(), name: bridge.clone() };
            let mut next = next.and_then(|next| self.exit(next, &here));
            if let Some(next) = &mut next {
                let port = next.end.clone();
                self.doubt_port(next, &port, true);
            }
            self.queue.extend(next);
        }
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

/// The VLAN of packets without a tag.
fn pvid(vlans: &PortVlans) -> Option<u16> {
    vlans.iter().find(|(_, vlan)| vlan.pvid).map(|(vid, _)| *vid)
}
