//! VLANs: which of them a cable carries, and what they keep apart.

use std::collections::BTreeSet;

use super::{PlaceKind, Topology, Wiring, derived_name};
use crate::apply::bridging::{born_vlans, default_pvid};
use crate::kind::{self, Device, Value};
use crate::names::NodeName;
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind, nearest};
use crate::state::{PortVlan, PortVlans};
use crate::topology::wiring::Made;
use crate::topology::{Endpoint, Segment, VlanSpec, Vlans};

/// The VLAN of ports that say nothing (`default_pvid` of a bridge).
pub(crate) const VID_DEFAULT: u16 = 1;

/// The VLANs on a cable, each by the index of its segment; the same at both of its ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// The VLAN of packets without a tag.
    pub(crate) access: Option<usize>,
    /// The VLANs with tags.
    pub(crate) trunk: Vec<usize>,
}

impl Carried {
    pub(crate) fn is_plain(&self) -> bool {
        self.access.is_none() && self.trunk.is_empty()
    }

    /// Tells whether packets without a tag go over the cable: not over a mere trunk.
    pub(crate) fn has_untagged(&self) -> bool {
        self.access.is_some() || self.trunk.is_empty()
    }
}

/// What can't be divided further: an interface, a bridge that does not look at VLANs, or one VLAN of
/// a bridge that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Interface(usize),
    Vlan { bridge: usize, vid: u16 },
}

impl Lane {
    /// Returns the interface, or the bridge.
    pub(crate) fn interface(self) -> usize {
        match self {
            Self::Interface(id) | Self::Vlan { bridge: id, .. } => id,
        }
    }
}

/// Tells whether a device is this VLAN of what it stands on.
fn is_vlan(device: &Device, vid: u16) -> bool {
    let is = |word, number| device.options.get(word) == Some(&Value::Number(number));
    let has_tag = device.options.get("protocol").is_none() || is("protocol", 0x8100);
    *device.spec == kind::VLAN && has_tag && is("id", vid.into())
}

impl<'t> Wiring<'t> {
    /// Reads what cables say about VLANs, and makes the interfaces of those that end at a node.
    pub(super) fn add_vlans(&mut self, topology: &'t Topology) {
        for (index, segment) in topology.segments().iter().enumerate() {
            // Of a tunnel there are none.
            for (member, ends) in segment.members.iter().zip(self.members[index].clone()) {
                let origin = member.origin.or(segment.origin);
                let carried = self.carried(topology, member.vlan.as_ref(), &member.trunk, origin);
                self.carry(topology, ends, &carried);
            }
        }
        for (link, ends) in topology.links().iter().zip(self.links.clone()) {
            let at = link.ends.iter().find(|end| end.vlan.is_some());
            let origin = at.map_or(link.origin, |end| end.origin.or(link.origin));
            let access = at.and_then(|end| end.vlan.as_ref());
            let carried = self.carried(topology, access, &link.trunk, origin);
            self.check_link_ends(&link.ends, link.origin);
            self.carry(topology, ends, &carried);
        }
    }

    /// Reads what is said of VLANs at bridges of nodes, and at their ports.
    pub(super) fn add_vlans_of_bridges(&mut self, topology: &Topology) {
        for id in 0..self.interfaces.len() {
            let wired = &self.interfaces[id];
            let options: Vec<_> = wired.options.iter().filter(|it| it.vlans.is_some()).collect();
            let origin = options.first().map_or(wired.origin, |it| it.origin.or(wired.origin));
            let specs: Option<Vec<&VlanSpec>> = (!options.is_empty())
                .then(|| options.into_iter().flat_map(|it| it.vlans.iter().flatten()).collect());
            let bridge = if wired.is_bridge() { Some(id) } else { wired.master };
            let device = bridge.and_then(|bridge| self.interfaces[bridge].device);
            let device = device.filter(|it| it.spec.is_bridge() && it.is_on("vlan_filtering"));
            self.interfaces[id].vlans = match (bridge.zip(device), specs) {
                (Some((bridge, _)), Some(specs)) => {
                    self.filtering.insert(bridge);
                    Some(self.vlans_said(topology, id, &specs, origin))
                }
                (Some((_, device)), None) => Some(born_vlans(default_pvid(Some(&device.options)))),
                (None, Some(_)) => {
                    let kind = ProblemKind::NoVlansThere { at: self.at(id) };
                    self.problems.push(Problem::new(kind, origin));
                    None
                }
                (None, None) => None,
            };
        }
    }

    fn vlans_said(
        &mut self,
        topology: &Topology,
        id: usize,
        specs: &[&VlanSpec],
        origin: Origin,
    ) -> PortVlans {
        let at = self.at(id);
        let mut all = PortVlans::new();
        for spec in specs {
            let origin = spec.origin.or(origin);
            let (first, last) = match &spec.which {
                Vlans::Numbers(first, last) => (*first, *last),
                Vlans::Segment(name) => match self.vlan(topology, name, origin) {
                    Some(segment) => (self.vid(segment), self.vid(segment)),
                    None => continue,
                },
            };
            for vid in first..=last {
                let other = all.iter().find(|(_, how)| how.pvid && spec.how.pvid);
                if let Some((&first, _)) = other.filter(|(other, _)| **other != vid) {
                    let kind = ProblemKind::TwoPvids { at: at.clone(), first, second: vid };
                    self.problems.push(Problem::new(kind, origin));
                }
                if all.insert(vid, spec.how).is_some() {
                    let kind = ProblemKind::PortVlanTwice { at: at.clone(), vid };
                    self.problems.push(Problem::new(kind, origin));
                }
            }
        }
        all
    }

    /// Adds the interface of a VLAN on a trunk that ends at a node.
    fn add_vlan(&mut self, topology: &Topology, parent: usize, segment: usize) {
        let place = self.interfaces[parent].place;
        let is_same = |id: usize| {
            let other = &self.interfaces[id];
            other.place == place && matches!(other.made, Made::Vlan { .. })
        };
        let same = self.other_ends[segment].iter().filter(|&&id| is_same(id));
        let name = derived_name(&topology.segments()[segment].name, same.count() + 1);
        let origin = self.interfaces[parent].origin;
        let sub = self.add(place, name, Made::Vlan { segment, parent }, origin);
        self.other_ends[segment].push(sub);
    }

    /// Finds the segments that VLANs are.
    fn carried(
        &mut self,
        topology: &Topology,
        access: Option<&NodeName>,
        trunk: &[NodeName],
        origin: Origin,
    ) -> Carried {
        let access = access.and_then(|name| self.vlan(topology, name, origin));
        let mut carried = Carried { access, trunk: Vec::new() };
        for name in trunk {
            let Some(vlan) = self.vlan(topology, name, origin) else { continue };
            if carried.access == Some(vlan) || carried.trunk.contains(&vlan) {
                let kind = ProblemKind::VlanTwice { vlan: name.clone() };
                self.problems.push(Problem::new(kind, origin));
            } else {
                carried.trunk.push(vlan);
            }
        }
        carried
    }

    fn vlan(&mut self, topology: &Topology, name: &NodeName, origin: Origin) -> Option<usize> {
        let segments = topology.segments();
        let is_vlan = |segment: &Segment| segment.vlan.is_some();
        let kind = match segments.iter().position(|segment| segment.name == *name) {
            Some(index) if is_vlan(&segments[index]) => return Some(index),
            Some(_) => ProblemKind::NotAVlan { name: name.clone() },
            None => {
                let vlans = segments.iter().filter(|segment| is_vlan(segment));
                let near = nearest(name.as_str(), vlans.map(|segment| segment.name.as_str()));
                let near = near.and_then(|name| NodeName::new(name).ok());
                ProblemKind::UnknownNode { what: "VLAN", name: name.clone(), nearest: near }
            }
        };
        self.problems.push(Problem::new(kind, origin));
        None
    }

    /// Finds what the ends of a link can't say of VLANs.
    fn check_link_ends(&mut self, ends: &[Endpoint; 2], origin: Origin) {
        for end in ends {
            let origin = end.origin.or(origin);
            if !end.trunk.is_empty() {
                self.problems.push(Problem::new(ProblemKind::TrunkAtEnd, origin));
            }
            let place = self.place(&end.node).map(|place| self.places[place].kind);
            if let (true, Some(PlaceKind::Node(node))) = (end.isolated, place) {
                let kind = ProblemKind::IsolatedNode { node: node.name.clone() };
                self.problems.push(Problem::new(kind, origin));
            }
            if let (Some(vlan), Some(PlaceKind::Node(_) | PlaceKind::Host)) = (&end.vlan, place) {
                let (node, vlan) = (end.node.clone(), vlan.clone());
                self.problems.push(Problem::new(ProblemKind::VlanAtNode { node, vlan }, origin));
            }
        }
        if let [Some(first), Some(second)] = [&ends[0].vlan, &ends[1].vlan]
            && first != second
        {
            let (first, second) = (first.clone(), second.clone());
            self.problems.push(Problem::new(ProblemKind::TwoVlans { first, second }, origin));
        }
    }

    /// Notes the VLANs on a cable. Those with tags have an interface where it ends at a node.
    fn carry(&mut self, topology: &Topology, ends: [usize; 2], carried: &Carried) {
        if carried.is_plain() {
            return;
        }
        for end in ends {
            if let PlaceKind::Node(_) = self.places[self.interfaces[end].place].kind {
                if let Some(vlan) = carried.access {
                    self.other_ends[vlan].push(end);
                }
                carried.trunk.iter().for_each(|&vlan| self.add_vlan(topology, end, vlan));
            }
            self.interfaces[end].carried = carried.clone();
            self.filtering.extend(self.interfaces[end].master);
        }
    }

    /// Returns the interfaces of nodes on a segment: of members that are in its own VLAN, and of all
    /// that other segments put into it.
    pub(crate) fn ends_of(&self, segment: usize) -> Vec<usize> {
        let members = self.members[segment].iter().map(|[end, _]| *end);
        let plain = members.filter(|&end| self.interfaces[end].carried.is_plain());
        plain.chain(self.other_ends[segment].iter().copied()).collect()
    }

    /// Tells whether a bridge keeps VLANs apart: one of its ports carries some, or is said to be in some.
    pub(crate) fn filters(&self, bridge: usize) -> bool {
        self.filtering.contains(&bridge)
    }

    /// Returns the VLANs of a port of a bridge that filters.
    pub(crate) fn port_vlans(&self, port: usize) -> PortVlans {
        if let Some(vlans) = &self.interfaces[port].vlans {
            return vlans.clone();
        }
        let Carried { access, trunk } = &self.interfaces[port].carried;
        let own = |port: usize| self.vid_of(self.interfaces[port].place);
        let access = access.map_or_else(|| own(port), |vlan| self.vid(vlan));
        let untagged = self.interfaces[port].carried.has_untagged();
        let untagged = untagged.then_some((access, PortVlan::UNTAGGED));
        let tagged = trunk.iter().map(|&vlan| (self.vid(vlan), PortVlan::TAGGED));
        tagged.chain(untagged).collect()
    }

    /// Returns the number of the VLAN that a segment is.
    pub(crate) fn vid(&self, segment: usize) -> u16 {
        self.vid_of(self.first_segment + segment)
    }

    fn vid_of(&self, place: usize) -> u16 {
        match self.places[place].kind {
            PlaceKind::Segment(segment) => segment.vlan.unwrap_or(VID_DEFAULT),
            _ => VID_DEFAULT,
        }
    }

    /// Returns what a cable joins: the lanes at its two ends, for packets without a tag and for each
    /// VLAN with one.
    pub(crate) fn lanes(&self, ends: [usize; 2]) -> Vec<[Lane; 2]> {
        let carried = &self.interfaces[ends[0]].carried;
        let untagged = carried.has_untagged().then(|| ends.map(|end| self.untagged(end)));
        let tagged = carried.trunk.iter().map(|&vlan| ends.map(|end| self.tagged(end, vlan)));
        let own = ends.iter().filter_map(|&end| self.interfaces[end].vlans.as_ref());
        let own: BTreeSet<u16> = own.flat_map(|vlans| vlans.keys().copied()).collect();
        let own = own
            .into_iter()
            .filter_map(|vid| Some([self.with_tag(ends[0], vid)?, self.with_tag(ends[1], vid)?]));
        untagged.into_iter().chain(tagged).chain(own).collect()
    }

    /// Returns where packets with this tag go at one end of a cable to a bridge of a node, if anywhere.
    fn with_tag(&self, end: usize, vid: u16) -> Option<Lane> {
        let wired = &self.interfaces[end];
        if let Some(bridge) = wired.master.filter(|_| self.is_wire(end)) {
            let is_tagged = |how: &PortVlan| !how.untagged;
            let passes =
                self.filters(bridge) && self.port_vlans(end).get(&vid).is_some_and(is_tagged);
            return passes.then_some(Lane::Vlan { bridge, vid });
        }
        let is_sub = |id: &&usize| {
            let device = self.interfaces[**id].device;
            device.is_some_and(|it| it.lower.as_ref() == Some(&wired.name) && is_vlan(it, vid))
        };
        let sub = self.places[wired.place].interfaces.iter().find(is_sub)?;
        Some(self.untagged(*sub))
    }

    /// Returns the VLAN of a bridge of its node that an interface stands on.
    pub(crate) fn below(&self, upper: usize) -> Option<Lane> {
        let wired = &self.interfaces[upper];
        let device = wired.device?;
        let bridge = self.interface(wired.place, device.lower.as_ref()?)?;
        let vlans = self.interfaces[bridge].vlans.as_ref().filter(|_| self.filters(bridge))?;
        let vid = vlans.keys().copied().find(|&vid| is_vlan(device, vid));
        vid.filter(|_| self.interfaces[bridge].is_bridge()).map(|vid| Lane::Vlan { bridge, vid })
    }

    /// Returns where packets without a tag go at one end of a cable.
    pub(crate) fn untagged(&self, end: usize) -> Lane {
        let wired = &self.interfaces[end];
        // Of a segment's bridge nobody hears anything.
        let itself = (wired.is_bridge() && wired.vlans.is_some()).then_some(end);
        match itself.or(wired.master.filter(|_| self.is_wire(end))) {
            Some(bridge) if self.filters(bridge) => {
                let vlans = self.port_vlans(end);
                let pvid = vlans.iter().find(|(_, how)| how.pvid);
                pvid.map_or(Lane::Interface(end), |(&vid, _)| Lane::Vlan { bridge, vid })
            }
            Some(bridge) => Lane::Interface(bridge),
            None => Lane::Interface(end),
        }
    }

    fn tagged(&self, end: usize, vlan: usize) -> Lane {
        let bridge = self.interfaces[end].master;
        if let Some(bridge) = bridge.filter(|&bridge| self.filters(bridge)) {
            return Lane::Vlan { bridge, vid: self.vid(vlan) };
        }
        let made = Made::Vlan { segment: vlan, parent: end };
        let sub = self.other_ends[vlan].iter().find(|&&id| self.interfaces[id].made == made);
        sub.map_or(Lane::Interface(end), |&sub| self.untagged(sub))
    }
}
