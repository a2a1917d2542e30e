//! Broadcast domains: which interfaces hear what one of them sends.
//!
//! A frame sent on a veth comes in at the other end; there a bridge takes it if the interface is its
//! port, and sends it out by its other ports (net/bridge/br_forward.c). Whoever hears it and is no
//! port is a *station*: its namespace may take the packet.

use std::collections::{BTreeSet, VecDeque};

use vnet_model::{End, IfName, Kind};

use crate::scene::Scene;

/// What a frame may be longer than the receiver's MTU: a VLAN tag, which `is_skb_forwardable` always
/// leaves room for (net/core/dev.c).
const SPARE_BYTES: u32 = 4;

/// Something that keeps a frame from getting further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// The interface it would leave by is down.
    Down(End),
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
    /// An interface that was meant to be a port of this bridge is none.
    NotAPort(End, IfName),
    /// An interface whose MTU in bytes is too small for the frame.
    Mtu(End, u32),
}

/// An interface that hears a frame, and how it gets there.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) end: End,
    /// The ports of bridges on the way, in and out.
    pub(crate) ports: Vec<End>,
    /// What is in its way; empty but where blocks were to be looked through.
    pub(crate) blocks: Vec<Block>,
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
    let search = Search {
        scene,
        size_bytes,
        through,
        seen: BTreeSet::new(),
        queue: VecDeque::new(),
        found: Domain::default(),
    };
    search.run(from)
}

struct Search<'s, 'a> {
    scene: &'s Scene<'a>,
    size_bytes: u32,
    through: bool,
    seen: BTreeSet<End>,
    /// Interfaces that are to send, with what led there.
    queue: VecDeque<Station>,
    found: Domain,
}

impl Search<'_, '_> {
    fn run(mut self, from: &End) -> Domain {
        let start = Station { end: from.clone(), ports: Vec::new(), blocks: Vec::new() };
        match self.scene.end(from).map(|interface| (&interface.kind, interface.up)) {
            Some((kind, up)) if kind.is_bridge() => {
                if let Some(start) =
                    self.pass(start, (!up).then(|| Block::BridgeDown(from.clone())))
                {
                    self.flood(&start, &from.name, None);
                }
            }
            Some(_) => self.queue.push_back(start),
            None => {}
        }
        while let Some(sender) = self.queue.pop_front() {
            self.send(sender);
        }
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
        if !self.seen.insert(at.end.clone()) {
            return;
        }
        let Some(interface) = self.scene.end(&at.end) else { return };
        let peer = match &interface.kind {
            Kind::Veth { peer } => peer.clone(),
            Kind::Loopback => return,
            _ => return self.found.unknown.push(at.end),
        };
        let is_port = !at.ports.is_empty();
        let down = match is_port {
            true => Block::PortDown(at.end.clone()),
            false => Block::Down(at.end.clone()),
        };
        let Some(mut at) = self.pass(at, (!interface.up).then_some(down)) else { return };
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

    fn receive(&mut self, at: Station) {
        let Some(interface) = self.scene.end(&at.end) else { return };
        let (up, mtu) = (interface.up, interface.mtu);
        let master = interface.master.clone();
        let meant = self.meant_master(&at.end).filter(|_| self.through && master.is_none());
        let is_port = master.is_some() || meant.is_some();
        let down = match is_port {
            true => Block::PortDown(at.end.clone()),
            false => Block::PeerDown(at.end.clone()),
        };
        let Some(at) = self.pass(at, (!up).then_some(down)) else { return };
        let narrow = mtu.filter(|mtu| self.size_bytes > mtu + SPARE_BYTES);
        let narrow = narrow.map(|mtu| Block::Mtu(at.end.clone(), mtu));
        let Some(at) = self.pass(at, narrow) else { return };
        let stray = meant.clone().map(|bridge| Block::NotAPort(at.end.clone(), bridge));
        match master.or(meant) {
            Some(bridge) => {
                if let Some(at) = self.pass(at, stray) {
                    self.cross(at, &bridge);
                }
            }
            None => self.found.stations.push(at),
        }
    }

    /// The bridge that an interface was meant to be a port of, if it is there.
    fn meant_master(&self, end: &End) -> Option<IfName> {
        let master = self.scene.meant_interface(&end.ns, &end.name)?.master.clone()?;
        self.scene.interface(&end.ns, &master).is_some().then_some(master)
    }

    /// Enters a bridge by a port.
    fn cross(&mut self, mut at: Station, bridge: &IfName) {
        let here = End { ns: at.end.ns.clone(), name: bridge.clone() };
        let up = self.scene.end(&here).is_some_and(|found| found.up);
        let port = at.end.clone();
        at.ports.push(port.clone());
        let Some(at) = self.pass(at, (!up).then(|| Block::BridgeDown(here.clone()))) else {
            return;
        };
        let blocked = !self.scene.port_facts(&port).forwards;
        let Some(at) = self.pass(at, blocked.then(|| Block::Blocked(port.clone()))) else {
            return;
        };
        self.found.stations.push(Station { end: here, ..at.clone() });
        self.flood(&at, bridge, Some(&port.name));
    }

    /// Sends out by all ports of a bridge but the one it came in by.
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
            if Some(&name) == came_in {
                continue;
            }
            let mut next = at.clone();
            next.end = End { ns: ns.clone(), name: name.clone() };
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
            let next = next.and_then(|next| self.pass(next, blocked));
            let next = next.and_then(|next| self.pass(next, isolated));
            self.queue.extend(next);
        }
    }
}
