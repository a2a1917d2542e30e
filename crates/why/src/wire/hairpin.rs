//! Frames that a port of a bridge sends back where they came in (`BR_HAIRPIN_MODE`).

use vnet_model::End;
use vnet_model::facts::Apart;
use vnet_model::kind::Value;

use super::beside::{BRIDGE, Near, PRIVATE, VEPA, is_macvlan, macvlan_mode};
use super::{Search, Station, shares};

impl Search<'_, '_> {
    /// Tells whether a port sends back what comes in by it.
    pub(super) fn sends_back(&self, port: &End) -> bool {
        self.scene.port_is_on(port, "hairpin") == Some(true)
    }

    /// Tells whether it matters that a port sends back, or does not: it does, or it was meant to, or
    /// several stand on the interface at the other end of its cable.
    pub(super) fn may_return(&self, port: &End) -> bool {
        if self.sends_back(port) || !self.through {
            return self.sends_back(port);
        }
        let meant = self.scene.meant_interface(&port.ns, &port.name);
        let is_meant = meant.is_some_and(|it| it.port.get("hairpin") == Some(&Value::Bool(true)));
        let far = self.scene.end(port).and_then(|it| it.kind.peer());
        let is_shared = |far: &End| {
            let mut uppers = self.scene.uppers(far).into_iter();
            self.scene.bridge_of(far).is_none()
                && uppers.any(|it| shares(self.scene, &it).is_some())
        };
        is_meant || far.is_some_and(is_shared)
    }

    /// Finds a station; the sender is none of what comes back.
    pub(super) fn push(&mut self, at: Station) {
        if at.returned.is_none() || at.end.ns != self.from.ns {
            self.found.stations.push(at);
        }
    }

    /// Gives a frame to an interface, or to one that stands on it: where it is one that was sent from
    /// there, not all of these take it (`macvlan_handle_frame` and `macvlan_multicast_rx`,
    /// drivers/net/macvlan.c).
    pub(super) fn take_back(&self, at: &Station, upper: Option<&End>) -> Option<Station> {
        let mut at = at.clone();
        let sent_by = at.sent_by.as_ref().filter(|(_, lower)| *lower == at.end);
        if at.returned.is_none() || (sent_by.is_none() && self.from != at.end) {
            return Some(at);
        }
        let (sender, taker) = (sent_by.map(|(sender, _)| sender), upper.unwrap_or(&at.end));
        match self.taken_back(sender, upper) {
            Near::Heard => Some(at),
            Near::Apart => None,
            // That would be no mend.
            Near::Doubt if self.through => None,
            Near::Doubt => {
                let names = [self.label(sender.unwrap_or(&at.end)), self.label(taker)];
                let text =
                    format!("what {} sends comes back, and {} may not take it", names[0], names[1]);
                at.unsure.push((None, text));
                Some(at)
            }
        }
    }

    /// Tells whether what the interface below takes in is given to an interface on it, or to the
    /// namespace, where it was sent by another of these.
    fn taken_back(&self, sender: Option<&End>, upper: Option<&End>) -> Near {
        if [sender, upper].into_iter().flatten().any(|it| !is_macvlan(self.scene, it)) {
            return self.taken_back_by_ipvlan(sender, upper);
        }
        let Some(sender) = sender else { return Near::Heard };
        match (macvlan_mode(self.scene, sender), upper.map(|it| macvlan_mode(self.scene, it))) {
            (None, _) | (_, Some(None)) => Near::Doubt,
            // What goes to all does not get there; what goes to it alone does.
            (Some(PRIVATE), None) => Near::Doubt,
            (Some(VEPA | BRIDGE), None) => Near::Heard,
            (Some(VEPA), Some(Some(VEPA | BRIDGE))) => Near::Heard,
            (Some(BRIDGE), Some(Some(VEPA))) => Near::Heard,
            _ => Near::Apart,
        }
    }

    /// The same of ipvlans of mode `l2` (`ipvlan_handle_mode_l2`, drivers/net/ipvlan/ipvlan_core.c): what
    /// one of them asks goes to the namespace below alone when it comes back, since its like have heard
    /// it; what is for one of them comes back to it where it was not given it before.
    fn taken_back_by_ipvlan(&self, sender: Option<&End>, upper: Option<&End>) -> Near {
        let (Some(sender), Some(_)) = (sender, upper) else { return Near::Heard };
        match self.scene.apart(sender) {
            Some(Apart::Vepa) => Near::Heard,
            None | Some(Apart::Private) => Near::Apart,
            Some(Apart::Other) => Near::Doubt,
        }
    }

    /// Notes that a frame comes back to a bridge that it has passed: that learns of the sender anew, and
    /// wrongly, where the port it comes in by learns.
    pub(super) fn note_return(&mut self, at: &mut Station, bridge: &End) {
        let Some(port) = at.returned.clone() else { return };
        let is_its = |port: &End| {
            port.ns == bridge.ns && self.scene.bridge_of(port).as_ref() == Some(&bridge.name)
        };
        if !at.ports.iter().any(is_its) {
            return;
        }
        let text = self.confusion(bridge, &port);
        at.unsure.push((None, text));
        if self.scene.port_is_on(&at.end, "learning") != Some(false) {
            self.confused.insert(bridge.clone(), port);
        }
    }

    /// Doubts all ways through bridges that learn wrongly.
    pub(super) fn doubt_confused(&mut self) {
        let confused = std::mem::take(&mut self.confused);
        for (bridge, port) in &confused {
            let text = self.confusion(bridge, port);
            let scene = self.scene;
            let is_its = |port: &End| {
                port.ns == bridge.ns && scene.bridge_of(port).as_ref() == Some(&bridge.name)
            };
            for station in &mut self.found.stations {
                let is_known = station.unsure.iter().any(|(_, known)| *known == text);
                if !is_known && station.ports.iter().any(is_its) {
                    station.unsure.push((None, text.clone()));
                }
            }
        }
    }

    fn confusion(&self, bridge: &End, port: &End) -> String {
        let [bridge, port] = [bridge, port].map(|end| self.label(end));
        format!(
            "{port} sends back what came in by it (hairpin), also to the bridge {bridge}, which then \
             takes the sender to be there"
        )
    }
}
