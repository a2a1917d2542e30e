//! Bridges: which ports a frame that comes in by one goes out by, and in which VLAN.

use vnet_model::kind::Value;
use vnet_model::state::PortVlans;
use vnet_model::{End, IfName};

use super::{Block, ETH_P_8021AD, SPARE_BYTES, Search, Station};

impl Search<'_, '_> {
    /// Enters a bridge by a port.
    pub(super) fn cross(&mut self, mut at: Station, bridge: &IfName) {
        let here = End { ns: at.end.ns.clone(), name: bridge.clone() };
        let up = self.scene.end(&here).is_some_and(|found| found.up);
        let port = at.end.clone();
        self.note_return(&mut at, &here);
        at.ports.push(port.clone());
        self.is_taken_in(&mut at, &port);
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
        let mut up = Station { end: bridge, vlan, ..at.clone() };
        self.is_handed_up(&mut up, &at.end);
        self.comes_in(&mut up);
        self.hear(up);
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
    pub(super) fn vlans(&self, bridge: &End, port: &End) -> Option<PortVlans> {
        let filters = self.scene.is_on(bridge, "vlan_filtering");
        filters.then(|| self.scene.port_vlans(port)).flatten()
    }

    /// Tells whether a bridge keeps VLANs apart as was meant, as far as it is known what was.
    fn is_meant_to_filter(&self, bridge: &End) -> bool {
        let meant = self.scene.meant_interface(&bridge.ns, &bridge.name);
        meant.is_none_or(|meant| meant.kind.device().is_some_and(|it| it.is_on("vlan_filtering")))
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
    pub(super) fn flood(&mut self, at: &Station, bridge: &IfName, came_in: Option<&IfName>) {
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
                self.is_passed_on(next, came_in);
            }
            self.queue.extend(next);
        }
    }
}

/// The VLAN of packets without a tag.
pub(super) fn pvid(vlans: &PortVlans) -> Option<u16> {
    vlans.iter().find(|(_, vlan)| vlan.pvid).map(|(vid, _)| *vid)
}
