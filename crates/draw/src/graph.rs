//! What is drawn: nodes and segments, and the lines between them.
use std::collections::{BTreeSet, HashMap};

use vnet_model::ipnet::IpNet;
use vnet_model::names::{NodeName, NsName};
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Desired, Interface, Kind, Namespace, State};

use crate::text::natural;
use crate::wires::{Place, Wire, wires};

/// What stands at a point of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VertexKind {
    /// A node that forwards.
    Router,
    /// A node that does not.
    Host,
    /// A segment.
    Segment,
}

/// What was found where it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is as it should be, or nobody looked.
    Fine,
    /// It does not exist.
    Missing,
    /// It is there, and not up.
    Down,
}

/// A node or a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: VertexKind,
    /// What stands below the name: addresses of its own that no line leads to, or a segment's prefixes.
    pub lines: Vec<String>,
    /// What was found.
    pub status: Status,
}

/// A line between two: a link, or a member's way to its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The two vertices, by their place in [`Graph::vertices`].
    pub ends: [usize; 2],
    /// The link's name, or `member--segment`.
    pub name: String,
    /// The interfaces.
    pub interfaces: [String; 2],
    /// What stands in the middle: the prefixes that both ends have an address of, the VLANs that a port
    /// carries, and what a tunnel is that has no prefix.
    pub middle: Vec<String>,
    /// What stands at each end: the rest of its address, `.1`, or all of it where there is no prefix in common.
    pub near: [Option<String>; 2],
    /// All addresses, for whom the texts are not enough.
    pub addresses: [Vec<String>; 2],
    /// What was found.
    pub status: Status,
    /// The kernel's name of what it is, with its number, if it is no cable.
    pub kind: Option<String>,
}

/// A network, ready to be drawn. Vertices and edges are in the order of their names, `r2` before `r10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The lab's name.
    pub name: String,
    /// Whether what exists was looked at.
    pub observed: bool,
    /// The nodes and segments.
    pub vertices: Vec<Vertex>,
    /// The lines between them.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Takes what is meant and, where it was looked at, what exists: then addresses are those that are there.
    #[must_use]
    pub fn new(desired: &Desired, observed: Option<&State>) -> Self {
        Sources { desired, observed }.graph()
    }

    /// The vertices that each one has a line to, in order, each once.
    pub(crate) fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut found = vec![BTreeSet::new(); self.vertices.len()];
        for &Edge { ends: [a, b], .. } in &self.edges {
            if a != b {
                found[a].insert(b);
                found[b].insert(a);
            }
        }
        found.into_iter().map(|set| set.into_iter().collect()).collect()
    }
}

struct Sources<'d> {
    desired: &'d Desired,
    observed: Option<&'d State>,
}

impl<'d> Sources<'d> {
    fn graph(&self) -> Graph {
        let mut names: Vec<(&NodeName, &NsName, bool)> = Vec::new();
        names.extend(self.desired.nodes.iter().map(|(name, ns)| (name, ns, false)));
        names.extend(self.desired.segments.iter().map(|(name, ns)| (name, ns, true)));
        let host = NsName::host();
        let mut ends = self.desired.links.iter().flat_map(|link| &link.ends);
        if let Some((name, _)) = ends.find(|(name, _)| name.is_host()) {
            names.push((name, &host, false));
        }
        names.sort_by(|a, b| natural(a.0.as_str(), b.0.as_str()));
        let index: HashMap<&NodeName, usize> =
            names.iter().enumerate().map(|(index, (name, _, _))| (*name, index)).collect();
        let (wires, drawn) = wires(self.desired);
        let mut degrees = vec![0; names.len()];
        wires.iter().flat_map(|wire| &wire.ends).for_each(|(name, _)| degrees[index[name]] += 1);
        let is_end = |name| degrees[index[name]] == 1 && self.desired.nodes.contains_key(name);
        let mut vertices: Vec<Vertex> = names
            .iter()
            .map(|(name, ns, is_segment)| self.vertex(name, ns, *is_segment, &drawn))
            .collect();
        let lacks_own: Vec<bool> = vertices.iter().map(|vertex| vertex.lines.is_empty()).collect();
        let mut edges = Vec::new();
        for wire in &wires {
            let mut edge = self.edge(wire, [index[wire.ends[0].0], index[wire.ends[1].0]]);
            for side in 0..2 {
                // A segment says its members' prefixes itself.
                let vertex = &mut vertices[edge.ends[side]];
                if vertex.kind == VertexKind::Segment {
                    let new: Vec<_> = std::mem::take(&mut edge.middle);
                    vertex.lines.extend(new);
                    vertex.lines.sort();
                    vertex.lines.dedup();
                }
            }
            for side in 0..2 {
                // Where only one line leads the address is the node's own, as people see it.
                let lacks_own = lacks_own[edge.ends[side]];
                if is_end(wire.ends[side].0) && lacks_own {
                    edge.near[side] = None;
                    edge.middle.clear();
                    vertices[edge.ends[side]]
                        .lines
                        .extend(edge.addresses[side].iter().take(2).cloned());
                }
            }
            edge.middle.extend(self.vlans(wire));
            if let Some(what) = edge.kind.as_ref().filter(|_| edge.middle.is_empty()) {
                edge.middle.push(what.clone());
            }
            edges.push(edge);
        }
        edges.sort_by_key(|edge| edge.ends);
        Graph {
            name: self.desired.lab.to_string(),
            observed: self.observed.is_some(),
            vertices,
            edges,
        }
    }

    fn vertex(
        &self,
        name: &NodeName,
        ns: &NsName,
        is_segment: bool,
        drawn: &BTreeSet<Place<'_>>,
    ) -> Vertex {
        let wanted = self.desired.state.namespaces.get(ns);
        let forwards = |namespace: &Namespace| {
            namespace.interfaces.values().any(|interface| interface.forward_ipv4 == Some(true))
        };
        let kind = match wanted {
            _ if is_segment => VertexKind::Segment,
            Some(namespace) if forwards(namespace) => VertexKind::Router,
            _ => VertexKind::Host,
        };
        let there = self.namespace(ns);
        let lines = there.map_or(Vec::new(), |there| own_lines(name, there, drawn));
        let status = if there.is_some() { Status::Fine } else { Status::Missing };
        Vertex { name: name.to_string(), kind, lines, status }
    }

    fn edge(&self, wire: &Wire<'_>, ends: [usize; 2]) -> Edge {
        let nets = [0, 1].map(|side| self.nets(wire, side));
        let common: Vec<IpNet> = nets[0]
            .iter()
            .filter(|net| nets[1].iter().any(|other| other.trunc() == net.trunc()))
            .map(|net| net.trunc())
            .collect();
        // A segment has no addresses: a member's prefixes are the segment's.
        let is_segment = |side: usize| self.desired.segments.contains_key(wire.ends[side].0);
        let common = match (is_segment(0), is_segment(1)) {
            (true, true) | (false, false) => common,
            (true, false) => nets[1].iter().map(IpNet::trunc).collect(),
            (false, true) => nets[0].iter().map(IpNet::trunc).collect(),
        };
        let near = [0, 1].map(|side| {
            let first = nets[side].first()?;
            Some(if common.contains(&first.trunc()) { rest(first) } else { first.to_string() })
        });
        let mut middle: Vec<String> = common.iter().map(IpNet::to_string).collect();
        middle.truncate(2);
        let kind = self.wanted(wire, 0).map(|interface| &interface.kind);
        Edge {
            ends,
            name: wire.name.clone(),
            interfaces: [0, 1].map(|side| wire.ends[side].1.to_string()),
            middle,
            near,
            addresses: nets.map(|nets| nets.iter().map(IpNet::to_string).collect()),
            status: self.status(wire),
            kind: kind.filter(|kind| !kind.is_pair()).map(words),
        }
    }

    /// The VLANs that a cable carries to a bridge that keeps them apart: `vlan 10`, `trunk 10, 20`.
    fn vlans(&self, wire: &Wire<'_>) -> Option<String> {
        let mut ports = [0, 1].into_iter().filter_map(|side| self.wanted(wire, side));
        let vlans = ports.find_map(|port| port.vlans.as_ref()).filter(|all| !all.is_empty())?;
        let numbers: Vec<String> = vlans.keys().map(u16::to_string).collect();
        let is_access = vlans.len() == 1 && vlans.values().all(|vlan| vlan.untagged);
        Some(format!("{} {}", if is_access { "vlan" } else { "trunk" }, numbers.join(", ")))
    }

    fn status(&self, wire: &Wire<'_>) -> Status {
        let mut status = Status::Fine;
        for side in 0..2 {
            match (self.wanted(wire, side), self.interface(wire, side)) {
                (Some(_), None) => return Status::Missing,
                (Some(wanted), Some(there)) if wanted.up && !there.up => status = Status::Down,
                _ => {}
            }
        }
        status
    }

    fn nets(&self, wire: &Wire<'_>, side: usize) -> Vec<IpNet> {
        let interface = self.interface(wire, side);
        let nets =
            interface.into_iter().flat_map(|interface| &interface.addresses).map(|it| it.net);
        nets.filter(|net| !is_ipv6_link_local(net.addr())).collect()
    }

    fn ns(&self, wire: &Wire<'_>, side: usize) -> Option<NsName> {
        self.desired.ns_of(wire.ends[side].0.as_str())
    }

    fn wanted(&self, wire: &Wire<'_>, side: usize) -> Option<&'d Interface> {
        let namespace = self.desired.state.namespaces.get(&self.ns(wire, side)?)?;
        namespace.interfaces.get(&wire.ends[side].1)
    }

    fn interface(&self, wire: &Wire<'_>, side: usize) -> Option<&'d Interface> {
        self.namespace(&self.ns(wire, side)?)?.interfaces.get(&wire.ends[side].1)
    }

    /// The namespace as it exists, or as it is meant where nobody looked.
    fn namespace(&self, ns: &NsName) -> Option<&'d Namespace> {
        self.observed.unwrap_or(&self.desired.state).namespaces.get(ns)
    }
}

/// How many addresses of its own stand in a box.
const OWN_MAX: usize = 4;

/// The addresses that no line leads to: of `lo` as they are, of others with the interface.
fn own_lines(name: &NodeName, there: &Namespace, drawn: &BTreeSet<Place<'_>>) -> Vec<String> {
    let addresses = |interface: &'_ Interface| -> Vec<IpNet> {
        let nets = interface.addresses.iter().map(|it| it.net);
        nets.filter(|net| !net.addr().is_loopback() && !is_ipv6_link_local(net.addr())).collect()
    };
    let lo = there.interfaces.get("lo").map(addresses).unwrap_or_default();
    let mut lines: Vec<String> = lo.iter().map(|net| net.addr().to_string()).collect();
    for (dev, interface) in &there.interfaces {
        if dev.as_str() != "lo" && !drawn.contains(&(name, dev.clone())) {
            lines.extend(addresses(interface).iter().map(|net| format!("{dev} {net}")));
        }
    }
    if lines.len() > OWN_MAX {
        let more = lines.len() - (OWN_MAX - 1);
        lines.truncate(OWN_MAX - 1);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// A tunnel's kind with its number, if it has one.
fn words(kind: &Kind) -> String {
    match kind.device().and_then(|device| device.options.number("id")) {
        Some(id) => format!("{} {id}", kind.name()),
        None => kind.name().to_owned(),
    }
}

/// Writes what an address has beyond its prefix: `.1` of 10.0.0.1/24, `.2.1` of 10.0.2.1/16, `::1` of 2001:db8::1/64.
fn rest(net: &IpNet) -> String {
    match net {
        IpNet::V4(net) => {
            let octets = net.addr().octets();
            let fixed = usize::from(net.prefix_len() / 8).min(3);
            octets[fixed..].iter().map(|octet| format!(".{octet}")).collect()
        }
        IpNet::V6(net) => {
            let host = u128::from(net.addr()) & u128::from(net.hostmask());
            std::net::Ipv6Addr::from(host).to_string()
        }
    }
}
