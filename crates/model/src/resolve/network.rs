//! What the parts of resolving share: the wiring and what was derived for each interface so far.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::domains::Domains;
use super::vxlan;
use crate::kind::{Device, Wireguard};
use crate::mac::Mac;
use crate::names::{NodeName, NsName};
use crate::origin::Origin;
use crate::state::{MTU_DEFAULT_BYTES, TABLE_MAIN, is_ipv6_link_local};
use crate::topology::wiring::{Made, PlaceKind, Wiring};
use crate::topology::{Node, SegmentKind, Topology};

/// A topology with its interfaces by number.
#[derive(Debug)]
pub(super) struct Network<'t> {
    pub(super) topology: &'t Topology,
    pub(super) wiring: Wiring<'t>,
    pub(super) domains: Domains,
    /// The namespace of each place.
    pub(super) namespaces: Vec<NsName>,
    /// Whether each place forwards packets.
    pub(super) forwards: Vec<bool>,
    /// The MTU of each interface in bytes, where one is declared.
    pub(super) mtus: Vec<Option<u32>>,
    /// The hardware address of each interface but `lo`.
    pub(super) macs: Vec<Option<Mac>>,
    /// The other end of each interface that has one.
    pub(super) peers: Vec<Option<usize>>,
    /// What each interface is that is the end of a tunnel.
    pub(super) tunnels: Vec<Option<Device>>,
    /// What each interface does that is a WireGuard device.
    pub(super) wireguards: Vec<Option<Wireguard>>,
    /// The addresses of each interface.
    pub(super) addresses: Vec<Vec<Assigned>>,
    /// The addresses of the host on each segment that it is on.
    pub(super) host_addresses: Vec<Vec<IpNet>>,
}

/// An address that an interface gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assigned {
    pub(super) net: IpNet,
    /// Whether it was not written but comes from a prefix or pool.
    pub(super) handed_out: bool,
    pub(super) origin: Origin,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Returns the prefix that holds every address of the family.
    pub(super) fn default_dst(self) -> IpNet {
        match self {
            Self::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
            Self::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
        }
    }
}

/// How one node reaches another over the wire that both are on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop {
    pub(super) via: IpAddr,
    pub(super) onlink: bool,
}

impl<'t> Network<'t> {
    pub(super) fn of(topology: &'t Topology, mut namespaces: Vec<NsName>) -> Self {
        let wiring = Wiring::of(topology);
        if wiring.place(&NodeName::host()).is_some() {
            namespaces.push(NsName::host());
        }
        let domains = Domains::of(topology, &wiring);
        let mut peers = vec![None; wiring.interfaces.len()];
        for [a, b] in wiring.links.iter().chain(wiring.members.iter().flatten()) {
            (peers[*a], peers[*b]) = (Some(*b), Some(*a));
        }
        let mut network = Self {
            topology,
            namespaces,
            forwards: forwards(topology, &wiring),
            mtus: Vec::new(),
            macs: Vec::new(),
            tunnels: vec![None; wiring.interfaces.len()],
            wireguards: vec![None; wiring.interfaces.len()],
            host_addresses: vec![Vec::new(); topology.segments().len()],
            addresses: vec![Vec::new(); wiring.interfaces.len()],
            wiring,
            domains,
            peers,
        };
        let interfaces = 0..network.wiring.interfaces.len();
        network.mtus = interfaces.clone().map(|id| network.mtu(id)).collect();
        network.macs = interfaces.map(|id| network.mac(id)).collect();
        network
    }

    pub(super) fn node(&self, place: usize) -> Option<&'t Node> {
        match self.wiring.places[place].kind {
            PlaceKind::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Tells whether it is the end of a link in the lab's host.
    pub(super) fn is_in_host(&self, id: usize) -> bool {
        matches!(self.place_kind(id), PlaceKind::Host)
    }

    /// Tells whether addresses on an interface are of use to others: not on a port of a bridge.
    pub(super) fn is_station(&self, id: usize) -> bool {
        let wired = &self.wiring.interfaces[id];
        !self.is_wire(id) && !wired.is_loopback()
    }

    /// Tells whether it is a port of a bridge or bond: a wire, which says nothing for itself.
    pub(super) fn is_wire(&self, id: usize) -> bool {
        self.wiring.is_wire(id)
    }

    /// Returns the VRF that it is a port of.
    pub(super) fn vrf(&self, id: usize) -> Option<usize> {
        let master = self.wiring.interfaces[id].master?;
        self.wiring.interfaces[master].is_vrf().then_some(master)
    }

    /// Returns the table in which the kernel makes the routes to its prefixes: that of the VRF that it is,
    /// or is a port of (`fib_magic` with `l3mdev_fib_table`, net/ipv4/fib_frontend.c).
    pub(super) fn table_of_prefixes(&self, id: usize) -> u32 {
        let vrf = if self.wiring.interfaces[id].is_vrf() { Some(id) } else { self.vrf(id) };
        let device = vrf.and_then(|vrf| self.wiring.interfaces[vrf].device);
        let table = device.and_then(|device| device.options.number("table"));
        table.and_then(|table| u32::try_from(table).ok()).unwrap_or(TABLE_MAIN)
    }

    /// Tells whether it is a station that is up.
    pub(super) fn is_live_station(&self, id: usize) -> bool {
        self.is_station(id) && self.wiring.interfaces[id].up()
    }

    /// Returns the addresses of an interface of one family, link-local ones last.
    pub(super) fn addresses_of(&self, id: usize, family: Family) -> Vec<&Assigned> {
        let mut addresses: Vec<&Assigned> = self.addresses[id]
            .iter()
            .filter(|address| Family::of(address.net.addr()) == family)
            .collect();
        addresses.sort_by_key(|address| is_ipv6_link_local(address.net.addr()));
        addresses
    }

    /// Says how a node reaches the node of another interface on the same wire.
    ///
    /// Prefers an address that a prefix of the near interface holds. Where there is none, as on
    /// links between two subnets, the far address is declared to be on link.
    pub(super) fn hop(&self, from: usize, to: usize, family: Family) -> Option<Hop> {
        let far = self.addresses_of(to, family);
        let near = &self.addresses[from];
        let held = |addr| near.iter().any(|address| address.net.contains(&addr));
        let on_link = far.iter().map(|address| address.net.addr()).find(|&addr| held(addr));
        let any = far.first().map(|address| address.net.addr());
        on_link
            .map(|via| Hop { via, onlink: false })
            .or_else(|| any.map(|via| Hop { via, onlink: !is_ipv6_link_local(via) }))
    }

    /// The MTU of an interface: its own, else that of its link or segment, else the default of a
    /// cable. A segment's port follows the member, being the same cable.
    fn mtu(&self, id: usize) -> Option<u32> {
        let wired = &self.wiring.interfaces[id];
        let segment = |index: usize| self.topology.segments()[index].mtu;
        // Where packets without a tag are in a VLAN.
        let access = wired.carried.access.and_then(segment);
        let common = match wired.made {
            Made::Loopback | Made::NodeDevice => return wired.mtu(),
            Made::SegmentBridge(index) => return segment(index),
            Made::Vlan { segment: vlan, parent } => segment(vlan).or_else(|| self.mtu(parent)),
            // The kernel knows best what is left of a packet in another.
            Made::Tunnel(index) if wired.device.is_some() => return wired.mtu().or(segment(index)),
            Made::Tunnel(index) => Some(segment(index).unwrap_or(vxlan::MTU_BYTES)),
            Made::Member(index) => access.or(segment(index)),
            Made::Port(index) => {
                let member = self.peers[id].and_then(|peer| self.wiring.interfaces[peer].mtu());
                member.or(access).or(segment(index))
            }
            Made::LinkEnd(index) if wired.device.is_some_and(|device| !device.spec.is_pair()) => {
                return wired.mtu().or(self.topology.links()[index].mtu);
            }
            Made::LinkEnd(index) => {
                let link = &self.topology.links()[index];
                let mut ends = self.wiring.links[index].iter();
                link.mtu.or(access).or_else(|| {
                    ends.find_map(|&end| match self.place_kind(end) {
                        PlaceKind::Segment(segment) => segment.mtu,
                        _ => None,
                    })
                })
            }
        };
        Some(wired.mtu().or(common).unwrap_or(MTU_DEFAULT_BYTES))
    }

    fn place_kind(&self, id: usize) -> PlaceKind<'t> {
        self.wiring.places[self.wiring.interfaces[id].place].kind
    }

    fn mac(&self, id: usize) -> Option<Mac> {
        let wired = &self.wiring.interfaces[id];
        if wired.is_loopback() || wired.device.is_some_and(|device| !device.has_own_mac()) {
            return None;
        }
        // The ports of a bond have its address (`bond_enslave`, drivers/net/bonding/bond_main.c).
        let bond = wired.master.filter(|&master| self.wiring.interfaces[master].shares_mac());
        let wired = bond.map_or(wired, |bond| &self.wiring.interfaces[bond]);
        let node = &self.wiring.places[wired.place].name;
        Some(wired.mac().unwrap_or_else(|| Mac::derive(self.topology.name(), node, &wired.name)))
    }
}

fn hub(kind: &SegmentKind) -> Option<&NodeName> {
    match kind {
        SegmentKind::Wireguard { hub, .. } => hub.as_ref(),
        SegmentKind::Bridge | SegmentKind::Vxlan(_) => None,
    }
}

/// Tells which places forward: nodes that say so, and gateways and hubs, which are of no use
/// otherwise.
fn forwards(topology: &Topology, wiring: &Wiring<'_>) -> Vec<bool> {
    let links = topology.links().iter().filter_map(|link| link.gateway.as_ref());
    let segments = topology.segments().iter();
    let segments = segments.flat_map(|segment| segment.gateway.iter().chain(hub(&segment.kind)));
    let gateways: HashSet<_> = links.chain(segments).collect();
    let places = wiring.places.iter();
    places
        .map(|place| match place.kind {
            PlaceKind::Node(node) => node.forward || gateways.contains(&node.name),
            _ => false,
        })
        .collect()
}
