//! Which interfaces a line joins: links, tunnels of segments without a place of their own, and the ways
//! of members to their segments.
use std::collections::{BTreeMap, BTreeSet};

use vnet_model::names::{IfName, NodeName, NsName};
use vnet_model::{Desired, Interface};

/// An interface of a node or segment.
pub(crate) type Place<'d> = (&'d NodeName, IfName);

/// An edge before its texts are known.
pub(crate) struct Wire<'d> {
    pub(crate) name: String,
    pub(crate) ends: [Place<'d>; 2],
}

/// Finds all lines, and the interfaces that they join.
pub(crate) fn wires(desired: &Desired) -> (Vec<Wire<'_>>, BTreeSet<Place<'_>>) {
    let named = desired.nodes.iter().chain(&desired.segments);
    let places = named.map(|(name, ns)| (ns, name)).collect();
    let mut finder = Finder { desired, places, wires: Vec::new(), known: BTreeSet::new() };
    for link in &desired.links {
        let ends = [0, 1].map(|side| (&link.ends[side].0, link.ends[side].1.clone()));
        finder.add(link.name.clone(), ends);
    }
    finder.tunnels();
    finder.members();
    (finder.wires, finder.known)
}

struct Finder<'d> {
    desired: &'d Desired,
    places: BTreeMap<&'d NsName, &'d NodeName>,
    wires: Vec<Wire<'d>>,
    known: BTreeSet<Place<'d>>,
}

impl<'d> Finder<'d> {
    fn add(&mut self, name: String, ends: [Place<'d>; 2]) {
        self.known.extend(ends.iter().cloned());
        self.wires.push(Wire { name, ends });
    }

    /// The tunnels that no link makes: of WireGuard one to each peer, of VXLANs one between any two of
    /// the same number.
    fn tunnels(&mut self) {
        let mut ends: Vec<[Place<'d>; 2]> = Vec::new();
        let mut by_id: BTreeMap<u64, Vec<Place<'d>>> = BTreeMap::new();
        for (name, dev, interface) in self.interfaces(&self.desired.nodes) {
            let here = (name, dev.clone());
            if self.known.contains(&here) {
                continue;
            }
            let peers = interface.wireguard.iter().flat_map(|config| config.peers.keys());
            for peer in peers {
                let there = self.places.get(&peer.ns).map(|there| (*there, peer.name.clone()));
                // Each is the other's peer: once is enough.
                ends.extend(there.filter(|there| here < *there).map(|there| [here.clone(), there]));
            }
            let vxlan = interface.kind.device().filter(|device| device.spec.name == "vxlan");
            if let Some(id) = vxlan.and_then(|device| device.options.number("id")) {
                let others = by_id.entry(id).or_default();
                ends.extend(others.iter().map(|other| [other.clone(), here.clone()]));
                others.push(here);
            }
        }
        for ends in ends {
            self.add(format!("{}--{}", ends[0].0, ends[1].0), ends);
        }
    }

    fn members(&mut self) {
        let ways: Vec<[Place<'d>; 2]> = self
            .interfaces(&self.desired.segments)
            .filter_map(|(segment, name, interface)| {
                let peer = interface.kind.peer()?;
                let member = self.places.get(&peer.ns)?;
                Some([(*member, peer.name.clone()), (segment, name.clone())])
            })
            .collect();
        for ends in ways {
            // Between two switches it is found from both sides.
            if !ends.iter().any(|end| self.known.contains(end)) {
                self.add(format!("{}--{}", ends[0].0, ends[1].0), ends);
            }
        }
    }

    fn interfaces(
        &self,
        of: &'d BTreeMap<NodeName, NsName>,
    ) -> impl Iterator<Item = (&'d NodeName, &'d IfName, &'d Interface)> + use<'d> {
        let namespaces = &self.desired.state.namespaces;
        of.iter()
            .filter_map(|(name, ns)| Some((name, namespaces.get(ns)?)))
            .flat_map(|(name, ns)| ns.interfaces.iter().map(move |(dev, it)| (name, dev, it)))
    }
}
