//! VXLANs: the device of each member, and where it sends what it does not know.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::network::{Family, Network};
use crate::kind::{self, Device, Value};
use crate::problem::{Problem, TunnelProblem};
use crate::state::{FdbEntry, MTU_DEFAULT_BYTES};
use crate::topology::{SegmentKind, Vxlan};

/// The MTU of a VXLAN, in bytes: what is left of the usual one after Ethernet (14), IPv6 (40), UDP and
/// VXLAN (8 each). Over IPv4 20 more would fit; the same for both is easier to remember.
pub(super) const MTU_BYTES: u32 = MTU_DEFAULT_BYTES - 70;

/// Makes the device of a member.
pub(super) fn device(network: &Network<'_>, segment: usize, id: usize) -> Device {
    let device = Device::new(&kind::VXLAN);
    let Some(vxlan) = of(network, segment) else { return device };
    let device = device
        .with("id", Value::Number(vxlan.id.into()))
        .with("dstport", Value::Number(vxlan.port.into()));
    let device = match local(network, segment, id) {
        Some(local) => device.with("local", Value::Ip(local)),
        None => device,
    };
    match vxlan.group {
        Some(group) => device
            .with("remote", Value::Ip(group))
            .with("dev", Value::Interface(vxlan.over.clone())),
        None => device,
    }
}

/// Sends what is for everybody, or for nobody known, to each other member; where there is a group,
/// the device itself sends it there.
pub(super) fn fdb(network: &Network<'_>, segment: usize, id: usize) -> BTreeSet<FdbEntry> {
    if of(network, segment).is_none_or(|vxlan| vxlan.group.is_some()) {
        return BTreeSet::new();
    }
    let ends = network.wiring.other_ends[segment].iter();
    let others = ends.filter(|&&other| other != id);
    let addresses = others.filter_map(|&other| local(network, segment, other));
    let origin = network.wiring.interfaces[id].origin;
    addresses.map(|addr| FdbEntry { origin, ..FdbEntry::flood_to(addr) }).collect()
}

/// Finds members without an address to go over.
pub(super) fn check(network: &Network<'_>, problems: &mut Vec<Problem>) {
    for (segment, ends) in network.wiring.other_ends.iter().enumerate() {
        let Some(vxlan) = of(network, segment) else { continue };
        let family = family(network, segment, vxlan);
        for &id in ends {
            let wired = &network.wiring.interfaces[id];
            let origin = wired.origin.or(network.topology.segments()[segment].origin);
            if network.wiring.interface(wired.place, &vxlan.over).is_none() {
                let kind = network.wiring.unknown_interface(wired.place, &vxlan.over);
                problems.push(Problem::new(kind, origin));
            } else if local(network, segment, id).is_none() {
                let family = match family {
                    Family::V4 => "IPv4 ",
                    Family::V6 => "IPv6 ",
                };
                let (at, over) = (network.wiring.at(id), vxlan.over.clone());
                let kind = TunnelProblem::NoOuterAddress { at, over, family };
                problems.push(Problem::new(kind, origin));
            }
        }
    }
}

/// Lists the members of a segment that is a VXLAN, with the addresses that the packets go from and to.
pub(super) fn ends(network: &Network<'_>, segment: usize) -> Vec<(usize, IpAddr)> {
    let Some(vxlan) = of(network, segment) else { return Vec::new() };
    let family = family(network, segment, vxlan);
    let ends = network.wiring.other_ends[segment].iter();
    ends.filter_map(|&id| Some((id, over(network, vxlan, id, family)?))).collect()
}

fn of<'t>(network: &Network<'t>, segment: usize) -> Option<&'t Vxlan> {
    match &network.topology.segments()[segment].kind {
        SegmentKind::Vxlan(vxlan) => Some(vxlan),
        SegmentKind::Bridge | SegmentKind::Wireguard { .. } => None,
    }
}

/// Returns the address of a member that the packets go from and to.
fn local(network: &Network<'_>, segment: usize, id: usize) -> Option<IpAddr> {
    let vxlan = of(network, segment)?;
    over(network, vxlan, id, family(network, segment, vxlan))
}

fn over(network: &Network<'_>, vxlan: &Vxlan, id: usize, family: Family) -> Option<IpAddr> {
    let place = network.wiring.interfaces[id].place;
    let over = network.wiring.interface(place, &vxlan.over)?;
    let addresses = network.addresses_of(over, family).into_iter().map(|it| it.net.addr());
    addresses.into_iter().find(|addr| !addr.is_loopback())
}

/// The family of the packets: the group's, else the first that all members have an address of.
fn family(network: &Network<'_>, segment: usize, vxlan: &Vxlan) -> Family {
    let ends = &network.wiring.other_ends[segment];
    let all = |family| ends.iter().all(|&id| over(network, vxlan, id, family).is_some());
    match vxlan.group {
        Some(group) => Family::of(group),
        None if all(Family::V6) && !all(Family::V4) => Family::V6,
        None => Family::V4,
    }
}
