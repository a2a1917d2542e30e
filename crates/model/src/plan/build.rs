//! The order in which a network is built.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::order::{By, ordered};
use super::{Planner, lookup};
use crate::kind::{Device, Wireguard};
use crate::names::{IfName, NsName};
use crate::state::{Interface, Kind, Namespace, Queues, State};
use crate::step::{Change, NewLink, PairEnd};

/// How many namespaces are made before their links: enough for two threads, and few enough to stay in
/// the processor's cache.
const BLOCK: usize = 128;

impl<'a> Planner<'a> {
    /// Makes what is missing and sets what differs, block by block: the namespaces of a block, then
    /// the links whose two ends are there, then the settings of all namespaces that are complete.
    pub(super) fn build(&mut self) {
        let mut missing = self.missing_interfaces();
        let order = build_order(self.target, &self.work);
        for block in order.chunks(BLOCK) {
            for (ns, wanted) in block {
                self.namespace(ns, wanted);
            }
            let is_complete = |(ns, _): &&(_, _)| !missing.contains_key(ns);
            let mut complete: Vec<_> = block.iter().filter(is_complete).copied().collect();
            for (ns, wanted) in block {
                self.links(ns, wanted, &mut missing, &mut complete);
            }
            for (ns, wanted) in complete {
                self.settle(ns, wanted);
            }
        }
        self.wireguards();
        // Where something could not be made, the rest still can be as wanted.
        for (ns, wanted) in order.iter().filter(|(ns, _)| missing.contains_key(ns)) {
            self.settle(ns, wanted);
        }
        self.nexthops();
    }

    /// Sets what differs in a namespace whose interfaces are all there.
    fn settle(&mut self, ns: &NsName, wanted: &Namespace) {
        self.settings(ns, wanted);
        self.routes(ns, wanted);
        self.entries(ns, wanted);
    }

    /// Tells all WireGuard devices what to do, now that their peers are there: each must have its key
    /// before others can know it.
    fn wireguards(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            for (name, interface) in &wanted.interfaces {
                let Some(config) = &interface.wireguard else { continue };
                let Some(found) = self.interface(ns, name) else { continue };
                let same = |found: &Wireguard| {
                    (found.listen_port, found.fwmark) == (config.listen_port, config.fwmark)
                        && found.peers == config.peers
                        && found.strangers <= config.strangers
                };
                if !found.wireguard.as_ref().is_some_and(same) {
                    let (name, config) = (name.clone(), config.clone());
                    let change = Change::SetWireguard { name, config };
                    self.push(ns, change, interface.origin);
                }
            }
        }
    }

    /// Counts, for each namespace, the interfaces that are still to be made.
    fn missing_interfaces(&self) -> BTreeMap<&'a NsName, usize> {
        let mut missing = BTreeMap::new();
        for (ns, wanted) in &self.target.namespaces {
            let is_missing = |(name, interface): &(&IfName, &Interface)| {
                self.interface(ns, name).is_none() && self.new_link(interface).is_some()
            };
            match wanted.interfaces.iter().filter(is_missing).count() {
                0 => {}
                count => drop(missing.insert(ns, count)),
            }
        }
        missing
    }

    /// Makes the links of a namespace, but for those whose other end has no namespace yet: they are
    /// made when that one comes. Tells which namespaces then have all their interfaces.
    fn links(
        &mut self,
        ns: &NsName,
        wanted: &Namespace,
        missing: &mut BTreeMap<&'a NsName, usize>,
        complete: &mut Vec<(&'a NsName, &'a Namespace)>,
    ) {
        let mut neighbours = BTreeSet::new();
        for (name, interface) in ordered(wanted, By::Lower) {
            if self.interface(ns, name).is_some() {
                continue;
            }
            let Some(link) = self.new_link(interface) else { continue };
            let mut ends = vec![ns];
            match (interface.kind.peer(), &interface.kind) {
                (Some(peer), _) => {
                    if !self.work.namespaces.contains_key(&peer.ns) {
                        continue;
                    }
                    ends.push(&peer.ns);
                    neighbours.insert(&peer.ns);
                }
                // It comes with the last cable that it needs.
                (None, Kind::Device(device))
                    if device.needs().any(|needed| self.interface(ns, needed).is_none()) =>
                {
                    continue;
                }
                _ => {}
            }
            self.push(ns, Change::AddLink { name: name.clone(), link }, interface.origin);
            for end in ends {
                let Some(count) = missing.get_mut(end) else { continue };
                *count -= 1;
                if *count == 0 {
                    missing.remove(end);
                    complete.extend(self.target.namespaces.get_key_value(end));
                }
            }
        }
        // What waits there for the other ends of these links.
        for other in neighbours.into_iter().filter(|other| *other != ns) {
            let stands = |interface: &Interface| {
                interface.kind.device().is_some_and(|device| device.needs().next().is_some())
            };
            if let Some((other, wanted)) = self.target.namespaces.get_key_value(other)
                && missing.contains_key(other)
                && wanted.interfaces.values().any(stands)
            {
                self.links(other, wanted, missing, complete);
            }
        }
    }

    /// Returns how to make an interface; `None` for what can't be made.
    fn new_link(&self, interface: &Interface) -> Option<NewLink> {
        if let Some(peer) = interface.kind.peer() {
            let other = lookup(self.target, peer)?;
            let [queues, of_peer] = Queues::of_pair(interface.queues, other.queues);
            let end = peer.clone();
            let peer = PairEnd { end, mac: other.mac, mtu: other.mtu, queues: of_peer };
            let (mac, mtu) = (interface.mac, interface.mtu);
            let device = interface.kind.device().cloned();
            let device = device.map(|device| Device { peer: None, ..device });
            return Some(NewLink::Pair { device, mac, mtu, queues, peer });
        }
        match &interface.kind {
            // Not made by us: nothing that could be made again.
            kind if kind.is_pair() => None,
            // The MTU of a bridge is a setting: said at birth, its ports' would change it again
            // (`br_mtu_auto_adjust`, net/bridge/br_if.c).
            Kind::Device(device) => Some(NewLink::Device {
                mac: interface.mac.filter(|_| device.has_own_mac()),
                mtu: interface.mtu.filter(|_| !device.spec.is_bridge()),
                queues: interface.queues,
                device: device.clone(),
            }),
            Kind::Veth { .. } | Kind::Loopback | Kind::Other(_) => None,
        }
    }
}

/// Orders the namespaces of the target: neighbours near each other where some have to be made, so
/// that what is linked and set was made a moment ago.
fn build_order<'a>(target: &'a State, work: &State) -> Vec<(&'a NsName, &'a Namespace)> {
    let is_there = |ns: &NsName| work.namespaces.contains_key(ns);
    if target.namespaces.keys().all(is_there) {
        return target.namespaces.iter().collect();
    }
    let mut order = Vec::with_capacity(target.namespaces.len());
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::new();
    for start in target.namespaces.keys() {
        next.push_back(start);
        while let Some(ns) = next.pop_front() {
            let Some((ns, wanted)) = target.namespaces.get_key_value(ns) else { continue };
            if !seen.insert(ns) {
                continue;
            }
            order.push((ns, wanted));
            let peers = wanted.interfaces.values().filter_map(|interface| interface.kind.peer());
            next.extend(peers.map(|peer| &peer.ns));
        }
    }
    order
}
