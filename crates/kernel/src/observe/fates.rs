//! What the kernel itself decides about packets: RTM_GETROUTE, the question of `ip route get`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::facts::{Facts, Fate, Lookup};
use vnet_model::{IfName, Metric, NsName};
use vnet_netlink::{Error as NetlinkError, Socket};

use super::CHUNK;
use crate::error::Error;
use crate::realm::{Entry, Realm};

/// The protocols that a question may name (`rtm_getroute_parse_ip_proto`, net/ipv4/fib_frontend.c).
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Asks the kernel what becomes of each of these packets where it is. `facts` say by which index an
/// interface is known. CAP_SYS_ADMIN, to enter the namespaces.
///
/// The answer is `None` for a question that the kernel can't be asked: about a protocol that it takes
/// no questions of, about an interface that is unknown, or in a namespace that is gone.
///
/// # Errors
/// When a namespace can't be entered, and when the kernel's answers are lost.
pub fn fates(realm: &Realm, facts: &Facts, lookups: &[Lookup]) -> Result<Vec<Option<Fate>>, Error> {
    // Where it is refused that is the answer: no route, or one that drops.
    ask(realm, facts, lookups, |route, names| match route {
        Some(route) => read(route, names),
        None => Some(Fate::Refused),
    })
}

/// Asks the kernel what it has learned of the MTUs of the ways that these packets take: a router's word, or
/// what a tunnel noted down, which it forgets after `mtu_expires` (ip-sysctl). `None` where it has learned
/// nothing. Otherwise as [`fates`].
///
/// # Errors
/// As [`fates`].
pub fn learned_mtus(
    realm: &Realm,
    facts: &Facts,
    lookups: &[Lookup],
) -> Result<Vec<Option<u32>>, Error> {
    ask(realm, facts, lookups, |route, _| learned_mtu(route?))
}

/// Asks about each packet; `read` gets the kernel's answer, none where it refuses one.
fn ask<T: Clone>(
    realm: &Realm,
    facts: &Facts,
    lookups: &[Lookup],
    read: impl Fn(Option<&RouteMessage>, &Names<'_>) -> Option<T>,
) -> Result<Vec<Option<T>>, Error> {
    let mut by_ns: BTreeMap<&NsName, Vec<usize>> = BTreeMap::new();
    for (at, lookup) in lookups.iter().enumerate() {
        by_ns.entry(&lookup.ns).or_default().push(at);
    }
    let mut all = vec![None; lookups.len()];
    let names: Vec<NsName> = by_ns.keys().map(|ns| (*ns).clone()).collect();
    for chunk in names.chunks(CHUNK) {
        for (ns, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
            let (Entry::Namespace(mut opened), Some(found)) = (entry, facts.namespaces.get(ns))
            else {
                continue;
            };
            for &at in by_ns.get(ns).map(Vec::as_slice).unwrap_or_default() {
                let failed =
                    |source| Error::Netlink { doing: "ask for a route", ns: ns.clone(), source };
                all[at] = ask_one(&mut opened.socket, &found.indexes, &lookups[at], &read)
                    .map_err(failed)?;
            }
        }
    }
    Ok(all)
}

/// The names of interfaces, by their indexes.
type Names<'n> = BTreeMap<u32, &'n IfName>;

fn ask_one<T>(
    socket: &mut Socket,
    indexes: &BTreeMap<IfName, u32>,
    lookup: &Lookup,
    read: impl Fn(Option<&RouteMessage>, &Names<'_>) -> Option<T>,
) -> Result<Option<T>, NetlinkError> {
    let Some(request) = request(indexes, lookup) else { return Ok(None) };
    let names: Names<'_> = indexes.iter().map(|(name, at)| (*at, name)).collect();
    let answers = socket.get(&request, |answer| match answer.decode()? {
        RouteNetlinkMessage::NewRoute(route) => Ok(read(Some(&route), &names)),
        _ => Ok(None),
    });
    match answers {
        Ok(answers) => Ok(answers.into_iter().next()),
        Err(NetlinkError::Refused(_)) => Ok(read(None, &names)),
        Err(error) => Err(error),
    }
}

/// The MTU that an answer says was learned: of IPv4 one that expires (`rt_fill_info`, net/ipv4/route.c), of
/// IPv6 that of a copy of the route (`rt6_fill_node`, net/ipv6/route.c).
fn learned_mtu(route: &RouteMessage) -> Option<u32> {
    let is_cloned = route.header.flags.contains(RouteFlags::Cloned);
    let expires = route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::CacheInfo(info) => info.expires != 0,
        _ => false,
    });
    let metrics = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(super::route::way(metrics)),
        _ => None,
    });
    metrics?.get(&Metric::Mtu).filter(|_| is_cloned && expires).map(|mtu| mtu.value)
}

fn request(indexes: &BTreeMap<IfName, u32>, lookup: &Lookup) -> Option<RouteNetlinkMessage> {
    let mut message = RouteMessage::default();
    let (family, length) = match lookup.dst {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = length;
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(address(lookup.dst)));
    if let Some(src) = lookup.src {
        message.header.source_prefix_length = length;
        attributes.push(RouteAttribute::Source(address(src)));
    }
    if let Some(dev) = &lookup.iif {
        attributes.push(RouteAttribute::Iif(*indexes.get(dev)?));
    }
    if let Some(vrf) = &lookup.vrf {
        attributes.push(RouteAttribute::Oif(*indexes.get(vrf)?));
    }
    if let Some(mark) = lookup.mark.filter(|mark| *mark != 0) {
        attributes.push(RouteAttribute::Mark(mark));
    }
    match (lookup.protocol?, lookup.dst) {
        (protocol @ (TCP | UDP), _)
        | (protocol @ ICMP, IpAddr::V4(_))
        | (protocol @ ICMPV6, IpAddr::V6(_)) => {
            attributes.push(RouteAttribute::IpProto(protocol));
            let has_ports = matches!(protocol, TCP | UDP);
            let port = |port: Option<u16>| port.filter(|_| has_ports);
            attributes.extend(port(lookup.sport).map(RouteAttribute::Sport));
            attributes.extend(port(lookup.dport).map(RouteAttribute::Dport));
        }
        _ => return None,
    }
    Some(RouteNetlinkMessage::GetRoute(message))
}

fn address(addr: IpAddr) -> RouteAddress {
    match addr {
        IpAddr::V4(addr) => RouteAddress::Inet(addr),
        IpAddr::V6(addr) => RouteAddress::Inet6(addr),
    }
}

fn read(message: &RouteMessage, names: &Names<'_>) -> Option<Fate> {
    match message.header.kind {
        RouteType::Local | RouteType::Anycast => Some(Fate::Local),
        RouteType::Broadcast | RouteType::Multicast => Some(Fate::All),
        RouteType::Unicast => {
            let index = message.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(index),
                _ => None,
            })?;
            let dev = (*names.get(index)?).clone();
            Some(Fate::Leaves { dev, via: super::route::gateway(&message.attributes) })
        }
        _ => Some(Fate::Refused),
    }
}
