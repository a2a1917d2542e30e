//! Routes, as RTM_NEWROUTE tells them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::ipnet::IpNet;
use vnet_model::{IfName, NextHop, Origin, Route, RouteKind};
use vnet_netlink::{Error, Socket};

/// Reads the routes of the socket's namespace that somebody configured: those of protocol boot and
/// static. What the kernel derives, router advertisements bring or a routing daemon learns is not
/// configuration.
pub(super) fn dump(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<Route>, Error> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRoute(message) if is_configured(&message) => route(&message, names),
        _ => None,
    })
}

/// Reads the other routes of the main and default table, in the kernel's order.
pub(super) fn derived(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<Route>, Error> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRoute(message) if !is_configured(&message) => {
            route(&message, names).filter(|route| matches!(route.table, 253 | 254))
        }
        _ => None,
    })
}

fn is_configured(message: &RouteMessage) -> bool {
    matches!(message.header.protocol, RouteProtocol::Boot | RouteProtocol::Static)
}

fn route(message: &RouteMessage, names: &BTreeMap<u32, IfName>) -> Option<Route> {
    let header = &message.header;
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let any: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut dst = any;
    let mut table = u32::from(header.table);
    let mut metric = 0;
    let mut src = None;
    let mut legs = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(found) => dst = addr(found)?,
            RouteAttribute::Table(found) => table = *found,
            RouteAttribute::Priority(found) => metric = *found,
            RouteAttribute::PrefSource(found) => src = addr(found),
            RouteAttribute::MultiPath(found) => legs.clone_from(found),
            _ => {}
        }
    }
    let kind = kind(header.kind)?;
    let mut nexthops: Vec<NextHop> = match kind {
        RouteKind::Unicast if legs.is_empty() => vec![single(message, names)?],
        RouteKind::Unicast => legs.iter().filter_map(|found| leg(found, names)).collect(),
        _ => Vec::new(),
    };
    nexthops.sort();
    let dst = IpNet::new(dst, header.destination_prefix_length).ok()?;
    Some(Route { table, dst, metric, kind, nexthops, src, origin: Origin::NONE })
}

fn kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::Prohibit => Some(RouteKind::Prohibit),
        RouteType::Throw => Some(RouteKind::Throw),
        _ => None,
    }
}

fn single(message: &RouteMessage, names: &BTreeMap<u32, IfName>) -> Option<NextHop> {
    let index = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })?;
    let onlink = message.header.flags.contains(RouteFlags::Onlink);
    let dev = names.get(&index)?.clone();
    Some(NextHop { dev, via: gateway(&message.attributes), weight: 1, onlink })
}

fn leg(found: &RouteNextHop, names: &BTreeMap<u32, IfName>) -> Option<NextHop> {
    Some(NextHop {
        dev: names.get(&found.interface_index)?.clone(),
        via: gateway(&found.attributes),
        weight: u16::from(found.hops) + 1,
        onlink: found.flags.contains(RouteNextHopFlags::Onlink),
    })
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(found) => addr(found),
        RouteAttribute::Via(RouteVia::Inet(found)) => Some((*found).into()),
        RouteAttribute::Via(RouteVia::Inet6(found)) => Some((*found).into()),
        _ => None,
    })
}

fn addr(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(addr) => Some((*addr).into()),
        RouteAddress::Inet6(addr) => Some((*addr).into()),
        _ => None,
    }
}
