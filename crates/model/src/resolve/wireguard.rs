//! WireGuard devices: their ports, their peers, and what goes to which of these.
//!
//! A device with one peer sends it everything, so that routes alone decide. One with several has to
//! know: each has its own addresses, what the file says, and what this node's routes lead to by it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::namespaces::end;
use super::network::{Family, Network};
use super::routes::Table;
use super::tunnels::underlay;
use crate::kind::wireguard::{LISTEN_PORT, Peer};
use crate::kind::{Device, WIREGUARD, Wireguard};
use crate::names::IfName;
use crate::problem::{Problem, TunnelProblem};
use crate::state::{End, Entry, NextHop, NexthopKind, Route, RouteKind};
use crate::topology::wiring::Made;
use crate::topology::{Endpoint, SegmentKind, Tunnel};

/// Makes the two ends of a link each other's only peer.
pub(super) fn link(
    network: &mut Network<'_>,
    device: &Device,
    ends: [usize; 2],
    addrs: [IpAddr; 2],
) {
    let ports = ends.map(|id| number(device, "listen-port").unwrap_or(listen_port(network, id)));
    for (here, there) in [(0, 1), (1, 0)] {
        let peer = Peer {
            endpoint: Some((addrs[there], ports[there]).into()),
            allowed_ips: everything(),
            keepalive: number(device, "persistent-keepalive").unwrap_or(0),
        };
        let peers = [(end(network, ends[there]), peer)].into();
        let fwmark = number(device, "fwmark").unwrap_or(0);
        let config = Wireguard { listen_port: ports[here], fwmark, peers, strangers: 0 };
        network.tunnels[ends[here]] = Some(Device::new(&WIREGUARD));
        network.wireguards[ends[here]] = Some(config);
    }
}

/// Makes the members of segments peers: each of each, or of the hub alone.
pub(super) fn segments(network: &mut Network<'_>, problems: &mut Vec<Problem>) {
    for (index, segment) in network.topology.segments().iter().enumerate() {
        let SegmentKind::Wireguard { tunnel, hub } = &segment.kind else { continue };
        let ends = network.wiring.other_ends[index].clone();
        let members: Vec<(usize, &Endpoint)> = ends.into_iter().zip(&segment.members).collect();
        for (id, member) in &members {
            let port = member.listen_port.or(number(&tunnel.device, "listen-port"));
            let listen_port = port.unwrap_or(listen_port(network, *id));
            network.tunnels[*id] = Some(Device::new(&WIREGUARD));
            let fwmark = number(&tunnel.device, "fwmark").unwrap_or(0);
            network.wireguards[*id] =
                Some(Wireguard { listen_port, fwmark, ..Wireguard::default() });
        }
        let mut lost = HashSet::new();
        for (at, there) in members.iter().enumerate() {
            for here in &members[..at] {
                let is_hub = |member: &Endpoint| Some(&member.node) == hub.as_ref();
                if hub.is_some() && !is_hub(here.1) && !is_hub(there.1) {
                    continue;
                }
                if let Err(kind) = join(network, tunnel, [*here, *there])
                    && lost.insert(there.0)
                {
                    let origin = there.1.origin.or(segment.origin);
                    problems.push(Problem::new(kind, origin));
                }
            }
        }
        for (id, _) in &members {
            let Some(config) = &mut network.wireguards[*id] else { continue };
            if let [only] = config.peers.values_mut().collect::<Vec<_>>().as_mut_slice() {
                only.allowed_ips = everything();
            }
        }
        // The hub is in nobody's way: it is the only peer that the others have.
        let is_spoke = |(_, member): &&(usize, &Endpoint)| Some(&member.node) != hub.as_ref();
        let rivals: Vec<_> = members.iter().filter(is_spoke).copied().collect();
        if hub.is_some() || rivals.len() > 2 {
            find_rivals(network, &rivals, problems);
        }
    }
    find_ports(network, problems);
}

/// Makes two members each other's peers.
fn join(
    network: &mut Network<'_>,
    tunnel: &Tunnel,
    members: [(usize, &Endpoint); 2],
) -> Result<(), TunnelProblem> {
    let ends = members.map(|(id, _)| id);
    let addrs = underlay(network, ends, &WIREGUARD, tunnel.over.as_ref()).ok_or_else(|| {
        let [a, b] = members.map(|(_, member)| member.node.clone());
        TunnelProblem::NoUnderlay { a, b, kind: WIREGUARD.name }
    })?;
    for (here, there) in [(0, 1), (1, 0)] {
        let (id, member) = members[there];
        let port = network.wireguards[id].as_ref().map_or(LISTEN_PORT, |it| it.listen_port);
        let peer = Peer {
            endpoint: Some((addrs[there], port).into()),
            allowed_ips: own(network, id, member),
            keepalive: number(&tunnel.device, "persistent-keepalive").unwrap_or(0),
        };
        let name = end(network, id);
        if let Some(config) = &mut network.wireguards[ends[here]] {
            config.peers.insert(name, peer);
        }
    }
    Ok(())
}

/// What a member has whoever asks: its addresses there, and what the file says.
fn own(network: &Network<'_>, id: usize, member: &Endpoint) -> BTreeSet<IpNet> {
    let addresses = network.addresses[id].iter().map(|it| IpNet::from(it.net.addr()));
    addresses.chain(member.allowed_ips.iter().map(IpNet::trunc)).collect()
}

/// Finds what two members have that are peers of one device.
fn find_rivals(network: &Network<'_>, members: &[(usize, &Endpoint)], problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for (id, member) in members {
        for net in own(network, *id, member) {
            let (before, origin) = *first.entry(net).or_insert((*id, member.origin));
            if before != *id {
                let [first, second] = [before, *id].map(|id| network.wiring.at(id));
                let kind = TunnelProblem::AllowedTwice { net, first, second };
                let problem = Problem::new(kind, member.origin);
                problems.push(problem.with(origin, "the other is here"));
            }
        }
    }
}

/// Finds devices of one node that are to listen on the same port.
fn find_ports(network: &Network<'_>, problems: &mut Vec<Problem>) {
    let mut first: HashMap<(usize, u16), usize> = HashMap::new();
    for (id, config) in network.wireguards.iter().enumerate() {
        let Some(port) = config.as_ref().map(|config| config.listen_port) else { continue };
        let wired = &network.wiring.interfaces[id];
        let before = *first.entry((wired.place, port)).or_insert(id);
        if before != id {
            let before = &network.wiring.interfaces[before];
            let (at, first) = (network.wiring.at(id), before.name.clone());
            let problem = Problem::new(TunnelProblem::SamePort { at, first, port }, wired.origin);
            problems.push(problem.with(before.origin, "the other is here"));
        }
    }
}

/// Lets through what the routes of a node lead to by a peer, where a device has several. What two
/// peers would have goes to the first: of a multipath route, its first leg.
pub(super) fn allow(network: &mut Network<'_>, tables: &[Table], entries: &[BTreeSet<Entry>]) {
    for id in 0..network.wireguards.len() {
        let Made::Tunnel(segment) = network.wiring.interfaces[id].made else { continue };
        let several = |config: &Wireguard| config.peers.len() > 1;
        let Some(mut config) = network.wireguards[id].take_if(|config| several(config)) else {
            continue;
        };
        let wired = &network.wiring.interfaces[id];
        let peers: BTreeMap<IpAddr, End> = peers(network, segment);
        let mut taken: BTreeSet<IpNet> =
            config.peers.values().flat_map(|peer| &peer.allowed_ips).copied().collect();
        let legs = legs(&entries[wired.place]);
        for route in tables[wired.place].routes() {
            let Some(end) = peer_of(route, &legs, (&wired.name, &peers)) else { continue };
            if let Some(peer) = config.peers.get_mut(end)
                && taken.insert(route.dst)
            {
                peer.allowed_ips.insert(route.dst);
            }
        }
        network.wireguards[id] = Some(config);
    }
}

/// The members of a segment by their addresses there.
fn peers(network: &Network<'_>, segment: usize) -> BTreeMap<IpAddr, End> {
    let ids = network.wiring.other_ends[segment].iter();
    let addresses = ids.flat_map(|&id| {
        network.addresses[id].iter().map(move |it| (it.net.addr(), end(network, id)))
    });
    addresses.collect()
}

/// The nexthop objects of a node that lead one way, by their ids; a group leads its first one's.
fn legs(entries: &BTreeSet<Entry>) -> HashMap<u32, &NextHop> {
    let objects = entries.iter().filter_map(|entry| match entry {
        Entry::Nexthop(object) => Some(object),
        _ => None,
    });
    let mut legs = HashMap::new();
    // Groups are of single ones alone, which come first.
    let (groups, single): (Vec<_>, Vec<_>) =
        objects.partition(|object| matches!(object.kind, NexthopKind::Group(_)));
    for object in single.into_iter().chain(groups) {
        let leg = match &object.kind {
            NexthopKind::Leg(leg) => Some(leg),
            NexthopKind::Group(members) => {
                members.first().and_then(|(id, _)| legs.get(id).copied())
            }
            NexthopKind::Blackhole => None,
        };
        legs.extend(leg.map(|leg| (object.id, leg)));
    }
    legs
}

/// Returns the peer that a route leads to by a device.
fn peer_of<'p>(
    route: &Route,
    legs: &HashMap<u32, &NextHop>,
    (dev, peers): (&IfName, &'p BTreeMap<IpAddr, End>),
) -> Option<&'p End> {
    let object = route.nhid.and_then(|id| legs.get(&id).copied());
    let mut hops = route.nexthops.iter().chain(object).filter(|hop| hop.dev == *dev);
    let hop = hops.next().filter(|_| route.kind == RouteKind::Unicast)?;
    peers.get(&hop.via?)
}

fn everything() -> BTreeSet<IpNet> {
    Family::BOTH.map(Family::default_dst).into()
}

/// Returns the number that an option is, which fits by its bounds.
fn number<N: TryFrom<u64>>(device: &Device, word: &str) -> Option<N> {
    N::try_from(device.options.number(word)?).ok()
}

/// The port of a device: the first of a node has the usual one, the next the next.
fn listen_port(network: &Network<'_>, end: usize) -> u16 {
    let wiring = &network.wiring;
    let is_one =
        |id: &&usize| wiring.interfaces[**id].device.is_some_and(|d| d.spec.is_wireguard());
    let all = wiring.places[wiring.interfaces[end].place].interfaces.iter().filter(is_one);
    let before = all.take_while(|id| **id != end).count();
    LISTEN_PORT.saturating_add(u16::try_from(before).unwrap_or(u16::MAX))
}
