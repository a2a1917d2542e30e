//! Which interfaces a topology makes, what they are called, and which of them share a wire.
//!
//! What VLANs keep apart on such a wire is in [`lanes`].
//!
//! It takes topologies that are not checked yet too: what can't be is in [`Wiring::problems`].

mod lanes;
mod names;

use std::collections::{HashMap, HashSet};

use super::{
    Endpoint, InterfaceOptions, Link, Node, NodeInterface, NodeInterfaceKind, Segment, Topology,
};
use crate::kind::Device;
use crate::mac::Mac;
use crate::names::{IfName, NodeName};
use crate::origin::Origin;
use crate::problem::{At, Problem, ProblemKind, TunnelProblem, nearest};
use crate::state::PortVlans;

pub(crate) use lanes::{Carried, Lane};
pub(crate) use names::derived_name;
use names::{Cables, Named, count_cable, end_name};

/// All interfaces of a topology.
#[derive(Debug)]
pub(crate) struct Wiring<'t> {
    /// The nodes in written order, then the segments, then the host where a link ends there, then names
    /// that nothing defines.
    pub(crate) places: Vec<Place<'t>>,
    pub(crate) interfaces: Vec<Wired<'t>>,
    /// The interfaces at both ends of each link.
    pub(crate) links: Vec<[usize; 2]>,
    /// The name of each link.
    pub(crate) link_names: Vec<String>,
    /// For each segment and member: the member's interface and the segment's port.
    pub(crate) members: Vec<Vec<[usize; 2]>>,
    /// For each segment: the interfaces of nodes that are on it without a cable to its bridge: those
    /// that ports of other segments put into the VLAN that it is, and the ends of a tunnel.
    pub(crate) other_ends: Vec<Vec<usize>>,
    /// The bridges that keep VLANs apart: of segments, and those of nodes of which VLANs are said.
    filtering: HashSet<usize>,
    /// The place of the first segment.
    first_segment: usize,
    /// Names given twice, and names that nothing has.
    pub(crate) problems: Vec<Problem>,
    by_name: HashMap<NodeName, usize>,
}

/// A node or segment: what becomes a namespace.
#[derive(Debug)]
pub(crate) struct Place<'t> {
    pub(crate) name: NodeName,
    pub(crate) kind: PlaceKind<'t>,
    /// Its interfaces, `lo` first.
    pub(crate) interfaces: Vec<usize>,
    by_name: HashMap<IfName, usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum PlaceKind<'t> {
    Node(&'t Node),
    Segment(&'t Segment),
    /// The lab's host, where links end there.
    Host,
    Unknown,
}

/// An interface: where it is, what it is called and what is said about it.
#[derive(Debug)]
pub(crate) struct Wired<'t> {
    pub(crate) place: usize,
    pub(crate) name: IfName,
    /// The name before it was shortened to what the kernel takes.
    pub(crate) full_name: Option<String>,
    /// Whether the file does not name it.
    pub(crate) derived: bool,
    pub(crate) made: Made,
    /// The bridge that it is a port of.
    pub(crate) master: Option<usize>,
    /// What it is, where a node's `interfaces:` makes it, a tunnel that is a link or a WireGuard segment, or a
    /// link whose cable is no veth pair.
    pub(crate) device: Option<&'t Device>,
    /// Whether it is an isolated port of a segment.
    pub(crate) isolated: bool,
    /// The VLANs on its cable, where something is said of them.
    pub(crate) carried: Carried,
    /// The VLANs that it is in as a port of a bridge of its node which keeps them apart, or as such a
    /// bridge itself.
    pub(crate) vlans: Option<PortVlans>,
    /// What is said about it, in all places where something is.
    pub(crate) options: Vec<&'t InterfaceOptions>,
    pub(crate) origin: Origin,
}

/// What makes an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Loopback,
    /// One end of this link.
    LinkEnd(usize),
    /// The member's end of a membership in this segment.
    Member(usize),
    /// The segment's end of it.
    Port(usize),
    /// The bridge that a segment is.
    SegmentBridge(usize),
    /// An interface that a node's `interfaces:` makes.
    NodeDevice,
    /// The member's end of a segment that is a tunnel.
    Tunnel(usize),
    /// A VLAN (by its segment) on a trunk, as an interface of its own.
    Vlan {
        segment: usize,
        parent: usize,
    },
}

impl Wired<'_> {
    pub(crate) fn mtu(&self) -> Option<u32> {
        self.options.iter().find_map(|options| options.mtu)
    }

    pub(crate) fn mac(&self) -> Option<Mac> {
        self.options.iter().find_map(|options| options.mac)
    }

    pub(crate) fn alias(&self) -> Option<&str> {
        self.options.iter().find_map(|options| options.alias.as_deref())
    }

    pub(crate) fn ipv6(&self) -> Option<bool> {
        self.options.iter().find_map(|options| options.ipv6)
    }

    /// Up unless said otherwise; a segment's side of a member is up in any case.
    pub(crate) fn up(&self) -> bool {
        self.options.iter().find_map(|options| options.up).unwrap_or(true)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.made == Made::Loopback
    }

    pub(crate) fn is_bridge(&self) -> bool {
        let is_bridge = |device: &Device| device.spec.is_bridge();
        matches!(self.made, Made::SegmentBridge(_)) || self.device.is_some_and(is_bridge)
    }

    pub(crate) fn is_bond(&self) -> bool {
        self.device.is_some_and(|device| device.spec.is_bond())
    }

    /// Tells whether it is a bond that gives its ports its own hardware address: not where each must
    /// keep its own to be told apart.
    pub(crate) fn shares_mac(&self) -> bool {
        self.device.is_some_and(crate::kind::shares_mac)
    }

    pub(crate) fn is_vrf(&self) -> bool {
        self.device.is_some_and(|device| device.spec.is_vrf())
    }
}

impl<'t> Wiring<'t> {
    pub(crate) fn of(topology: &'t Topology) -> Self {
        let mut wiring = Self {
            places: Vec::new(),
            interfaces: Vec::new(),
            links: Vec::new(),
            link_names: Vec::new(),
            members: Vec::new(),
            filtering: HashSet::new(),
            first_segment: topology.nodes().len(),
            other_ends: vec![Vec::new(); topology.segments().len()],
            problems: Vec::new(),
            by_name: HashMap::new(),
        };
        for node in topology.nodes() {
            wiring.add_place(&node.name, PlaceKind::Node(node), node.origin);
        }
        for segment in topology.segments() {
            wiring.add_place(&segment.name, PlaceKind::Segment(segment), segment.origin);
        }
        if topology.links().iter().any(Link::is_to_host) {
            wiring.add_place(&NodeName::host(), PlaceKind::Host, Origin::NONE);
        }
        // How many cables there are so far between two places: parallels are told apart by it.
        let mut cables = HashMap::new();
        for (index, segment) in topology.segments().iter().enumerate() {
            let place = topology.nodes().len() + index;
            wiring.add_segment(index, place, segment, &mut cables);
        }
        for (index, link) in topology.links().iter().enumerate() {
            wiring.add_link(index, link, &mut cables);
        }
        wiring.add_vlans(topology);
        for (place, node) in topology.nodes().iter().enumerate() {
            wiring.add_node_interfaces(place, node);
        }
        for (place, node) in topology.nodes().iter().enumerate() {
            wiring.attach_ports(place, node);
        }
        wiring.add_vlans_of_bridges(topology);
        wiring
    }

    /// Returns the node or segment with this name.
    pub(crate) fn place(&self, name: &NodeName) -> Option<usize> {
        self.by_name
            .get(name)
            .copied()
            .filter(|&place| !matches!(self.places[place].kind, PlaceKind::Unknown))
    }

    /// Returns the interface with this name in a node or segment.
    pub(crate) fn interface(&self, place: usize, name: &IfName) -> Option<usize> {
        self.places[place].by_name.get(name).copied()
    }

    /// Tells whether it is the end of a tunnel that finds its way by itself: a link, or a member of a
    /// WireGuard segment.
    pub(crate) fn is_tunnel(&self, interface: usize, topology: &Topology) -> bool {
        match self.interfaces[interface].made {
            Made::LinkEnd(link) => topology.links()[link].tunnel.is_some(),
            Made::Tunnel(segment) => topology.segments()[segment].kind.device().is_some(),
            _ => false,
        }
    }

    /// Tells whether it is a port of a bridge or bond: a wire, which says nothing for itself.
    pub(crate) fn is_wire(&self, interface: usize) -> bool {
        let master = self.interfaces[interface].master;
        master.is_some_and(|master| !self.interfaces[master].is_vrf())
    }

    pub(crate) fn at(&self, interface: usize) -> At {
        let wired = &self.interfaces[interface];
        At { node: self.places[wired.place].name.clone(), interface: wired.name.clone() }
    }

    /// Says that a place has no interface of that name.
    pub(crate) fn unknown_interface(&self, place: usize, name: &IfName) -> ProblemKind {
        let place = &self.places[place];
        let names = place.interfaces.iter().map(|&id| self.interfaces[id].name.as_str());
        ProblemKind::UnknownInterface {
            node: place.name.clone(),
            interface: name.clone(),
            nearest: nearest(name.as_str(), names).and_then(|name| IfName::new(name).ok()),
        }
    }

    fn add_place(&mut self, name: &NodeName, kind: PlaceKind<'t>, origin: Origin) -> usize {
        let place = self.places.len();
        self.places.push(Place {
            name: name.clone(),
            kind,
            interfaces: Vec::new(),
            by_name: HashMap::new(),
        });
        self.by_name.entry(name.clone()).or_insert(place);
        let lo = IfName::new("lo").expect("`lo` is a name");
        self.add(place, Named::given(&lo), Made::Loopback, origin);
        place
    }

    fn place_or_unknown(&mut self, name: &NodeName, origin: Origin) -> usize {
        match self.by_name.get(name) {
            Some(&place) => place,
            None => self.add_place(name, PlaceKind::Unknown, origin),
        }
    }

    fn add_segment(
        &mut self,
        index: usize,
        place: usize,
        segment: &'t Segment,
        cables: &mut Cables,
    ) {
        // Its bridge is named like the segment: no port is, but for a name given or a parallel
        // (`sw-2`), and such a clash is a problem, so that adding a member renames nothing.
        if segment.without_bridge().is_some() {
            for member in &segment.members {
                self.add_tunnel_end(index, segment, place, member, cables);
            }
            self.members.push(Vec::new());
            return;
        }
        let name = derived_name(&segment.name, 1);
        let bridge = self.add(place, name, Made::SegmentBridge(index), segment.origin);
        let mut members = Vec::with_capacity(segment.members.len());
        for member in &segment.members {
            self.refuse_wireguard(member, segment.origin);
            let node = self.place_or_unknown(&member.node, member.origin);
            let number = count_cable(cables, node, place);
            let name = end_name(member, &segment.name, number);
            let end = self.add(node, name, Made::Member(index), member.origin);
            self.interfaces[end].options.push(&member.options);
            let name = derived_name(&member.node, number);
            let port = self.add(place, name, Made::Port(index), member.origin);
            self.interfaces[port].master = Some(bridge);
            self.interfaces[port].isolated = member.isolated;
            members.push([end, port]);
        }
        self.members.push(members);
    }

    /// Adds the interface of a member of a segment that is a tunnel.
    fn add_tunnel_end(
        &mut self,
        index: usize,
        segment: &'t Segment,
        place: usize,
        member: &'t Endpoint,
        cables: &mut Cables,
    ) {
        let node = self.place_or_unknown(&member.node, member.origin);
        let number = count_cable(cables, node, place);
        let name = end_name(member, &segment.name, number);
        let end = self.add(node, name, Made::Tunnel(index), member.origin);
        self.interfaces[end].options.push(&member.options);
        self.interfaces[end].device = segment.kind.device();
        self.other_ends[index].push(end);
        if segment.kind.device().is_none() {
            self.refuse_wireguard(member, segment.origin);
        }
        let said = [
            (member.vlan.is_some(), "put a member into a VLAN"),
            (!member.trunk.is_empty(), "have a trunk"),
            (member.isolated, "isolate a member"),
        ];
        for (_, role) in said.into_iter().filter(|(is_said, _)| *is_said) {
            let kind = ProblemKind::no_bridge(segment, role);
            let origin = member.origin.or(segment.origin);
            self.problems.extend(kind.map(|kind| Problem::new(kind, origin)));
        }
    }

    /// Refuses what only a member of a WireGuard segment can say.
    fn refuse_wireguard(&mut self, end: &Endpoint, origin: Origin) {
        let said = [
            (end.listen_port.is_some(), "listen_port"),
            (!end.allowed_ips.is_empty(), "allowed_ips"),
        ];
        for (_, option) in said.into_iter().filter(|(is_said, _)| *is_said) {
            let kind = TunnelProblem::OnlyWireguard { option };
            self.problems.push(Problem::new(kind, end.origin.or(origin)));
        }
    }

    fn add_link(&mut self, index: usize, link: &'t Link, cables: &mut Cables) {
        let [a, b] = &link.ends;
        let places = [&a.node, &b.node].map(|name| self.place_or_unknown(name, link.origin));
        let number = count_cable(cables, places[0], places[1]);
        // A link of a node with itself has two ends there: each is counted.
        let second =
            if places[0] == places[1] { [number * 2 - 1, number * 2] } else { [number; 2] };
        let names = [end_name(a, &b.node, second[0]), end_name(b, &a.node, second[1])];
        let mut ends = [0; 2];
        for (end, (endpoint, name)) in link.ends.iter().zip(names).enumerate() {
            self.refuse_wireguard(endpoint, link.origin);
            if end == 1 && self.is_same_interface(ends[0], places[1], &name.name) {
                let at = self.at(ends[0]);
                self.problems.push(Problem::new(ProblemKind::SameInterface { at }, link.origin));
                ends[1] = ends[0];
                continue;
            }
            let origin = endpoint.origin.or(link.origin);
            ends[end] = self.add(places[end], name, Made::LinkEnd(index), origin);
            let wired = &mut self.interfaces[ends[end]];
            wired.options.push(&endpoint.options);
            let tunnel = link.tunnel.as_ref().map(|tunnel| &tunnel.device);
            wired.device = tunnel.or(link.cable.as_ref());
            if let PlaceKind::Segment(segment) = self.places[places[end]].kind {
                let bridge = derived_name(&segment.name, 1).name;
                self.interfaces[ends[end]].master = self.interface(places[end], &bridge);
                self.interfaces[ends[end]].isolated = endpoint.isolated;
            }
        }
        self.links.push(ends);
        self.link_names.push(match (&link.name, number) {
            (Some(name), _) => name.clone(),
            (None, 1) => format!("{}--{}", a.node, b.node),
            (None, number) => format!("{}--{}-{number}", a.node, b.node),
        });
    }

    fn is_same_interface(&self, interface: usize, place: usize, name: &IfName) -> bool {
        let wired = &self.interfaces[interface];
        wired.place == place && wired.name == *name
    }

    fn add_node_interfaces(&mut self, place: usize, node: &'t Node) {
        for NodeInterface { name, kind, options } in &node.interfaces {
            let origin = options.origin.or(node.origin);
            if let NodeInterfaceKind::Device { device, .. } = kind {
                let id = self.add(place, Named::given(name), Made::NodeDevice, origin);
                self.interfaces[id].options.push(options);
                self.interfaces[id].device = Some(device);
            }
        }
        for NodeInterface { name, kind, options } in &node.interfaces {
            if *kind != NodeInterfaceKind::Existing {
                continue;
            }
            match self.interface(place, name) {
                Some(interface) => self.interfaces[interface].options.push(options),
                None => {
                    let kind = self.unknown_interface(place, name);
                    self.problems.push(Problem::new(kind, options.origin.or(node.origin)));
                }
            }
        }
    }

    fn attach_ports(&mut self, place: usize, node: &'t Node) {
        for NodeInterface { name, kind, options } in &node.interfaces {
            let NodeInterfaceKind::Device { ports, .. } = kind else { continue };
            let Some(bridge) = self.interface(place, name) else { continue };
            for port in ports {
                let result = self.attach_port(place, bridge, port);
                let problem =
                    result.map_err(|kind| Problem::new(kind, options.origin.or(node.origin)));
                self.problems.extend(problem.err());
            }
        }
        for id in self.places[place].interfaces.clone() {
            let wired = &self.interfaces[id];
            let asked = wired.options.iter().find_map(|o| Some((o.vrf.as_ref()?, o.origin)));
            let Some((vrf, origin)) = asked else { continue };
            let origin = origin.or(wired.origin);
            let result = self.join_vrf(place, id, vrf);
            self.problems.extend(result.err().map(|kind| Problem::new(kind, origin)));
        }
    }

    /// Makes an interface a port of the VRF that it names, if it is not one already.
    fn join_vrf(&mut self, place: usize, id: usize, name: &IfName) -> Result<(), ProblemKind> {
        let vrf = self.interface(place, name);
        let vrf = vrf.ok_or_else(|| self.unknown_interface(place, name))?;
        if !self.interfaces[vrf].is_vrf() {
            return Err(ProblemKind::NotAVrf { at: self.at(vrf) });
        }
        if self.interfaces[id].master == Some(vrf) {
            return Ok(());
        }
        let port = self.interfaces[id].name.clone();
        self.attach_port(place, vrf, &port)
    }

    fn attach_port(
        &mut self,
        place: usize,
        bridge: usize,
        name: &IfName,
    ) -> Result<(), ProblemKind> {
        let port = self.interface(place, name);
        let port = port.ok_or_else(|| self.unknown_interface(place, name))?;
        let bad = |wiring: &Self, reason| ProblemKind::BadPort {
            port: wiring.at(port),
            bridge: wiring.interfaces[bridge].name.clone(),
            reason,
        };
        match (self.interfaces[port].made, self.interfaces[port].master) {
            (Made::Loopback, _) => Err(bad(self, "the loopback interface")),
            _ if port == bridge => Err(bad(self, "the same interface")),
            _ if self.interfaces[port].is_vrf() => Err(bad(self, "a VRF")),
            _ if self.interfaces[port].is_bridge() && !self.interfaces[bridge].is_vrf() => {
                Err(bad(self, "a bridge itself"))
            }
            _ if self.interfaces[port].is_bond() && self.interfaces[bridge].is_bond() => {
                Err(bad(self, "a bond itself"))
            }
            (_, Some(first)) => Err(ProblemKind::PortTwice {
                port: self.at(port),
                first: self.interfaces[first].name.clone(),
            }),
            (_, None) => {
                self.interfaces[port].master = Some(bridge);
                Ok(())
            }
        }
    }

    /// Adds an interface; where its name is taken it is added all the same, with a problem.
    fn add(
        &mut self,
        place: usize,
        Named { name, full, derived }: Named,
        made: Made,
        origin: Origin,
    ) -> usize {
        let id = self.interfaces.len();
        let options = Vec::new();
        self.interfaces.push(Wired {
            place,
            name: name.clone(),
            full_name: full,
            derived,
            made,
            master: None,
            device: None,
            isolated: false,
            carried: Carried::default(),
            vlans: None,
            options,
            origin,
        });
        self.places[place].interfaces.push(id);
        match self.places[place].by_name.get(&name) {
            None => {
                self.places[place].by_name.insert(name, id);
            }
            Some(&first) => {
                let node = self.places[place].name.clone();
                let derived = derived || self.interfaces[first].derived;
                let kind = ProblemKind::DuplicateInterface { node, interface: name, derived };
                let first = self.interfaces[first].origin;
                self.problems
                    .push(Problem::new(kind, origin).with(first, "the first is made here"));
            }
        }
        id
    }
}
