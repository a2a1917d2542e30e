//! Routes as netlink messages.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use vnet_model::state::METRIC_IPV6_DEFAULT;
use vnet_model::{Encap, IfName, NextHop, Route, RouteKind};
use vnet_netlink::{Batch, Flags};

use super::family;
use crate::encap;
use crate::error::Error;

const _: () = assert!(METRIC_IPV6_DEFAULT != 0, "an IPv6 route always names its metric");

/// Adds a route.
///
/// # Errors
/// When `index` does not know an interface.
pub fn add_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let message = RouteNetlinkMessage::NewRoute(route_message(route, index)?);
    batch.push(&message, Flags::CREATE | Flags::EXCL);
    Ok(())
}

/// Replaces the route with the same key, or adds it.
///
/// # Errors
/// As [`add_route`].
pub fn replace_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let message = RouteNetlinkMessage::NewRoute(route_message(route, index)?);
    batch.push(&message, Flags::CREATE | Flags::REPLACE);
    Ok(())
}

/// Removes a route, whoever configured it.
///
/// # Errors
/// As [`add_route`].
pub fn del_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let mut message = route_message(route, index)?;
    message.header.protocol = RouteProtocol::Unspec;
    // Any scope (`fib_table_delete`, net/ipv4/fib_trie.c): a person may have said another.
    message.header.scope = RouteScope::NoWhere;
    batch.push(&RouteNetlinkMessage::DelRoute(message), Flags::NONE);
    Ok(())
}

fn route_message(
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<RouteMessage, Error> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.dst.addr()),
        destination_prefix_length: route.dst.prefix_len(),
        // The table is an attribute: the header has room for 255 only.
        table: 0,
        protocol: RouteProtocol::Static,
        scope: RouteScope::from(route.scope.unwrap_or_else(|| route.default_scope())),
        kind: match route.kind {
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Unreachable => RouteType::Unreachable,
            RouteKind::Prohibit => RouteType::Prohibit,
            RouteKind::Throw => RouteType::Throw,
            RouteKind::Local => RouteType::Local,
            RouteKind::Broadcast => RouteType::Broadcast,
            RouteKind::Anycast => RouteType::Anycast,
            RouteKind::Multicast => RouteType::Multicast,
            _ => RouteType::Unicast,
        },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.dst.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.dst.addr().into()));
    }
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(src.into())));
    attributes.extend(route.nhid.map(RouteAttribute::NhId));
    attributes.extend(metrics(route));
    match route.nexthops.as_slice() {
        [] => {}
        [hop] => {
            attributes.extend(hop.via.map(|via| gateway(route, via)));
            attributes.extend(hop.encap.iter().flat_map(tunnel));
            attributes.push(RouteAttribute::Oif(index(&hop.dev)?));
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
        }
        hops => {
            let legs = hops.iter().map(|hop| leg(route, hop, &index)).collect::<Result<_, _>>()?;
            attributes.push(RouteAttribute::MultiPath(legs));
        }
    }
    Ok(message)
}

fn leg(
    route: &Route,
    hop: &NextHop,
    index: &impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<RouteNextHop, Error> {
    let mut leg = RouteNextHop::default();
    leg.interface_index = index(&hop.dev)?;
    leg.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        leg.flags = RouteNextHopFlags::Onlink;
    }
    leg.attributes = hop.via.map(|via| gateway(route, via)).into_iter().collect();
    leg.attributes.extend(hop.encap.iter().flat_map(tunnel));
    Ok(leg)
}

/// RTA_METRICS, with RTAX_LOCK for those that are locked.
fn metrics(route: &Route) -> Option<RouteAttribute> {
    let locked = route.metrics.iter().filter(|(_, value)| value.lock);
    let lock = locked.fold(0u32, |lock, (metric, _)| lock | 1 << metric.number());
    let number = |kind: u16, value: u32| {
        RouteMetric::Other(DefaultNla::new(kind, value.to_ne_bytes().to_vec()))
    };
    let values = route.metrics.iter().map(|(metric, it)| number(metric.number(), it.value));
    let mut all: Vec<RouteMetric> = values.collect();
    all.extend((lock != 0).then_some(RouteMetric::Lock(lock)));
    (!all.is_empty()).then_some(RouteAttribute::Metrics(all))
}

/// RTA_ENCAP_TYPE and RTA_ENCAP.
fn tunnel(encap: &Encap) -> [RouteAttribute; 2] {
    const RTA_ENCAP: u16 = 22;
    let (kind, value) = encap::write(encap);
    let value = DefaultNla::new(RTA_ENCAP | NLA_F_NESTED, value);
    [RouteAttribute::EncapType(kind.into()), RouteAttribute::Other(value)]
}

/// The gateway; one of the other family goes as RTA_VIA.
fn gateway(route: &Route, via: IpAddr) -> RouteAttribute {
    match via {
        IpAddr::V6(via) if route.dst.addr().is_ipv4() => RouteAttribute::Via(RouteVia::Inet6(via)),
        via => RouteAttribute::Gateway(RouteAddress::from(via)),
    }
}
