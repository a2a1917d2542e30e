//! Tunnels: between which addresses of their two nodes they go.

use std::net::IpAddr;

use super::network::{Family, Network};
use super::wireguard;
use crate::kind::{Device, Form, KindSpec, Value};
use crate::names::IfName;
use crate::problem::{Problem, TunnelProblem};
use crate::state::is_ipv6_link_local;

/// Finds the addresses of all tunnels, and says what each of their ends is.
pub(super) fn assign(network: &mut Network<'_>, problems: &mut Vec<Problem>) {
    for (index, link) in network.topology.links().iter().enumerate() {
        let Some(tunnel) = &link.tunnel else { continue };
        let ends = network.wiring.links[index];
        match underlay(network, ends, tunnel.device.spec, tunnel.over.as_ref()) {
            Some([a, b]) if tunnel.device.spec.is_wireguard() => {
                wireguard::link(network, &tunnel.device, ends, [a, b]);
            }
            Some([a, b]) => {
                network.tunnels[ends[0]] = Some(end(&tunnel.device, a, b));
                network.tunnels[ends[1]] = Some(end(&at_the_other_end(&tunnel.device), b, a));
            }
            None => {
                let [a, b] = link.ends.each_ref().map(|end| end.node.clone());
                let kind = TunnelProblem::NoUnderlay { a, b, kind: tunnel.device.spec.name };
                problems.push(Problem::new(kind, link.origin));
            }
        }
    }
    wireguard::segments(network, problems);
}

fn end(device: &Device, local: IpAddr, remote: IpAddr) -> Device {
    device.clone().with("local", Value::Ip(local)).with("remote", Value::Ip(remote))
}

/// Returns what a link says of its first end as its second has it.
fn at_the_other_end(device: &Device) -> Device {
    let mut device = device.clone();
    let options = device.options.of(device.spec.options);
    device.options = options
        .map(|(option, value)| match option.form {
            Form::GreKey => (option, value.at_the_other_end()),
            _ => (option, value.clone()),
        })
        .collect();
    device
}

/// The families that a kind can go over, the first that both nodes have wins.
fn families(spec: &KindSpec) -> &'static [Family] {
    match spec.option("remote").map(|option| option.form) {
        Some(Form::Ipv4) => &[Family::V4],
        Some(Form::Ipv6) => &[Family::V6],
        _ => &Family::BOTH,
    }
}

/// Returns the addresses of both nodes: of the interface that the tunnel is to go over; else those by
/// which the two reach each other on a wire that both are on; else of `lo`; else the first they have.
pub(super) fn underlay(
    network: &Network<'_>,
    ends: [usize; 2],
    spec: &KindSpec,
    over: Option<&IfName>,
) -> Option<[IpAddr; 2]> {
    let places = ends.map(|end| network.wiring.interfaces[end].place);
    families(spec).iter().find_map(|&family| {
        if let Some(over) = over {
            let named = |place: usize| network.wiring.interface(place, over);
            let [a, b] =
                places.map(|place| named(place).and_then(|id| address_on(network, id, family)));
            if a.is_none() && b.is_none() {
                return None;
            }
            let other = |found: Option<IpAddr>, place| {
                found.or_else(|| own_address(network, place, family))
            };
            return Some([other(a, places[0])?, other(b, places[1])?]);
        }
        on_one_wire(network, places, family).or_else(|| {
            Some([
                own_address(network, places[0], family)?,
                own_address(network, places[1], family)?,
            ])
        })
    })
}

/// Lists the interfaces of a node that a tunnel may go over unasked: no tunnel, none in a VRF.
fn stations<'a>(network: &'a Network<'_>, place: usize) -> impl Iterator<Item = usize> + 'a {
    let ids = network.wiring.places[place].interfaces.iter().copied();
    ids.filter(|&id| {
        network.is_live_station(id)
            && network.vrf(id).is_none()
            && !network.wiring.is_tunnel(id, network.topology)
    })
}

fn on_one_wire(network: &Network<'_>, places: [usize; 2], family: Family) -> Option<[IpAddr; 2]> {
    stations(network, places[0]).find_map(|a| {
        let domain = network.domains.of[a];
        let mut there = stations(network, places[1]);
        there.by_ref().filter(|&b| network.domains.of[b] == domain).find_map(|b| {
            let via = |from, to| {
                let hop = network.hop(from, to, family)?;
                (!is_ipv6_link_local(hop.via)).then_some(hop.via)
            };
            Some([via(b, a)?, via(a, b)?])
        })
    })
}

fn own_address(network: &Network<'_>, place: usize, family: Family) -> Option<IpAddr> {
    let lo = network.wiring.places[place].interfaces.first().copied();
    let all = lo.into_iter().chain(stations(network, place));
    all.into_iter().find_map(|id| address_on(network, id, family))
}

fn address_on(network: &Network<'_>, id: usize, family: Family) -> Option<IpAddr> {
    let addresses = network.addresses_of(id, family);
    let mut addrs = addresses.iter().map(|address| address.net.addr());
    addrs.find(|addr| !addr.is_loopback() && !is_ipv6_link_local(*addr))
}
