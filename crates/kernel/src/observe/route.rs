//! Routes, as RTM_NEWROUTE tells them.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Nla;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::ipnet::IpNet;
use vnet_model::state::TABLE_LOCAL;
use vnet_model::{Encap, IfName, Metric, MetricValue, NextHop, Route, RouteKind};
use vnet_netlink::attr::Malformed;
use vnet_netlink::{Error, Message, Socket};

use crate::encap;

/// `struct rtmsg`, the attributes and the types of routes (linux/rtnetlink.h).
const HEADER_BYTES: usize = 12;
const PROTOCOL_AT: usize = 5;
const TYPE_AT: usize = 7;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;

/// The routes of a namespace.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) configured: Vec<Route>,
    /// The connected ones: the interface's index and the prefix.
    pub(super) connected: HashSet<(u32, IpNet)>,
}

/// Reads the routes of the socket's namespace that somebody configured: those of protocol boot and
/// static. What the kernel derives, router advertisements bring or a routing daemon learns is not
/// configuration; of the kernel's, the connected ones are listed beside.
pub(super) fn dump(socket: &mut Socket, names: &BTreeMap<u32, IfName>) -> Result<Routes, Error> {
    enum Read {
        Configured(Route),
        Connected(u32, IpNet),
    }
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    let read = socket.dump(&request, |message| {
        // Nearly all are the kernel's: to take them apart took longer than to get them.
        let protocol = message.payload.get(PROTOCOL_AT).copied().map(RouteProtocol::from);
        if protocol == Some(RouteProtocol::Kernel) {
            return Ok(connected(message)?.map(|(index, net)| Read::Connected(index, net)));
        }
        if !protocol.is_some_and(configures) {
            return Ok(None);
        }
        Ok(match message.decode()? {
            RouteNetlinkMessage::NewRoute(message) if !is_for_some(&message) => {
                route(&message, names).map(Read::Configured)
            }
            _ => None,
        })
    })?;
    let mut routes = Routes::default();
    for one in read {
        match one {
            Read::Configured(route) => routes.configured.push(route),
            Read::Connected(index, net) => drop(routes.connected.insert((index, net))),
        }
    }
    Ok(routes)
}

/// Reads a route of the kernel's, attribute by attribute; `None` for one that is not connected.
fn connected(message: Message<'_>) -> Result<Option<(u32, IpNet)>, Malformed> {
    if message.payload.get(TYPE_AT).copied() != Some(u8::from(RouteType::Unicast)) {
        return Ok(None);
    }
    let (mut dst, mut index) = (None, None);
    for attribute in message.attributes(HEADER_BYTES)? {
        let attribute = attribute?;
        match attribute.kind {
            RTA_DST if attribute.value.len() == 4 => dst = Some(attribute.array::<4>()?.into()),
            RTA_DST => dst = Some(IpAddr::from(attribute.array::<16>()?)),
            RTA_OIF => index = Some(attribute.u32()?),
            _ => {}
        }
    }
    let length = message.payload.get(1).copied().unwrap_or_default();
    let net = dst.and_then(|dst| IpNet::new(dst, length).ok());
    Ok(index.zip(net))
}

/// What nobody configured, and what no route of the model can say.
#[derive(Default)]
pub(super) struct Derived {
    /// The other routes of all tables but `local`, in the kernel's order.
    pub(super) routes: Vec<Route>,
    /// The prefixes that are a namespace's own, whoever said so.
    pub(super) own: HashSet<IpNet>,
    /// Where routes lead that are for packets from a prefix alone, with that.
    pub(super) sourced: Vec<(IpNet, IpNet)>,
}

/// Reads them.
pub(super) fn derived(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Derived, Error> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    let all = super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRoute(message) => {
            let found = route(&message, names)?;
            Some((found, source(&message), is_for_some(&message), is_configured(&message)))
        }
        _ => None,
    })?;
    let mut derived = Derived::default();
    for (route, source, is_for_some, is_configured) in all {
        if route.kind == RouteKind::Local {
            derived.own.insert(route.dst);
        }
        derived.sourced.extend(source.map(|source| (route.dst, source)));
        if !is_for_some && !is_configured && route.table != TABLE_LOCAL {
            derived.routes.push(route);
        }
    }
    Ok(derived)
}

/// Tells whether a route is for a part of the packets only: of IPv4 those of a type of service, of IPv6 those
/// from a prefix. The model has no such.
pub(super) fn is_for_some(message: &RouteMessage) -> bool {
    let header = &message.header;
    header.source_prefix_length != 0
        || (header.tos != 0 && header.address_family == AddressFamily::Inet)
}

/// The prefix from which packets must be that take a route of IPv6.
fn source(message: &RouteMessage) -> Option<IpNet> {
    let length = message.header.source_prefix_length;
    let found = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Source(found) => addr(found),
        _ => None,
    });
    found.filter(|_| length != 0).and_then(|addr| IpNet::new(addr, length).ok())
}

pub(super) fn is_configured(message: &RouteMessage) -> bool {
    configures(message.header.protocol)
}

fn configures(protocol: RouteProtocol) -> bool {
    matches!(protocol, RouteProtocol::Boot | RouteProtocol::Static)
}

pub(super) fn route(message: &RouteMessage, names: &BTreeMap<u32, IfName>) -> Option<Route> {
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
    let (mut metric, mut src, mut nhid) = (0, None, None);
    let mut legs = Vec::new();
    let mut metrics = BTreeMap::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(found) => dst = addr(found)?,
            RouteAttribute::Table(found) => table = *found,
            RouteAttribute::Priority(found) => metric = *found,
            RouteAttribute::PrefSource(found) => src = addr(found),
            RouteAttribute::MultiPath(found) => legs.clone_from(found),
            RouteAttribute::NhId(found) => nhid = Some(*found),
            RouteAttribute::Metrics(found) => metrics = way(found),
            _ => {}
        }
    }
    // A route by a nexthop object that drops is shown as one that drops itself (`fib_dump_info`,
    // net/ipv4/fib_semantics.c; `rt6_fill_node`, net/ipv6/route.c).
    let kind = match kind(header.kind)? {
        RouteKind::Blackhole if nhid.is_some() => RouteKind::Unicast,
        kind => kind,
    };
    // A route by a nexthop object tells its legs as well.
    let mut nexthops: Vec<NextHop> = match kind.leads() && nhid.is_none() {
        true if legs.is_empty() => vec![single(message, names)?],
        true => legs.iter().filter_map(|found| leg(found, names)).collect(),
        false => Vec::new(),
    };
    nexthops.sort();
    let dst = IpNet::new(dst, header.destination_prefix_length).ok()?;
    let mut route =
        Route { table, metric, kind, nhid, src, metrics, ..Route::unicast(dst, nexthops) };
    let scope = u8::from(header.scope);
    route.scope = (dst.addr().is_ipv4() && scope != route.default_scope()).then_some(scope);
    Some(route)
}

/// Reads RTA_METRICS, as far as the model knows them.
pub(super) fn way(found: &[RouteMetric]) -> BTreeMap<Metric, MetricValue> {
    let number = |metric: &RouteMetric| {
        let mut value = [0; 4];
        (metric.value_len() == 4).then(|| metric.emit_value(&mut value))?;
        Some(u32::from_ne_bytes(value))
    };
    let lock = found.iter().find_map(|metric| match metric {
        RouteMetric::Lock(lock) => Some(*lock),
        _ => None,
    });
    let known = found.iter().filter_map(|found| {
        let kind = found.kind();
        let (_, metric, _) = Metric::ALL.iter().find(|(_, _, number)| *number == kind)?;
        let lock = lock.unwrap_or(0) & (1 << kind) != 0;
        Some((*metric, MetricValue { value: number(found)?, lock }))
    });
    known.collect()
}

fn kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::Prohibit => Some(RouteKind::Prohibit),
        RouteType::Throw => Some(RouteKind::Throw),
        RouteType::Local => Some(RouteKind::Local),
        RouteType::Broadcast => Some(RouteKind::Broadcast),
        RouteType::Anycast => Some(RouteKind::Anycast),
        RouteType::Multicast => Some(RouteKind::Multicast),
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
    let attributes = &message.attributes;
    Some(NextHop { dev, via: gateway(attributes), weight: 1, onlink, encap: tunnel(attributes) })
}

fn leg(found: &RouteNextHop, names: &BTreeMap<u32, IfName>) -> Option<NextHop> {
    Some(NextHop {
        dev: names.get(&found.interface_index)?.clone(),
        via: gateway(&found.attributes),
        weight: u16::from(found.hops) + 1,
        onlink: found.flags.contains(RouteNextHopFlags::Onlink),
        encap: tunnel(&found.attributes),
    })
}

pub(super) fn tunnel(attributes: &[RouteAttribute]) -> Option<Encap> {
    let mut kind = None;
    let mut value = None;
    for attribute in attributes {
        match attribute {
            RouteAttribute::EncapType(found) => kind = Some(u16::from(*found)),
            RouteAttribute::Encap(_) => {
                let mut bytes = vec![0; attribute.value_len()];
                attribute.emit_value(&mut bytes);
                value = Some(bytes);
            }
            _ => {}
        }
    }
    encap::read(kind?, &value?)
}

pub(super) fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
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
