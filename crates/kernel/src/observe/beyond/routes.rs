//! Routes that no file can say, or not as they are.

use std::collections::BTreeMap;

use netlink_packet_core::Nla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAttribute, RouteLwEnCapType, RouteMessage, RouteMetric, RoutePreference, RouteProtocol,
};
use vnet_model::state::TABLE_LOCAL;
use vnet_model::{IfName, Metric};
use vnet_netlink::{Error, Socket};

use super::question;
use crate::observe::route::{is_configured, is_for_some, route, tunnel};

const RTM_GETROUTE: u16 = 26;
/// `struct rtmsg`.
const HEADER_BYTES: usize = 12;
/// Families that have routes of their own (linux/socket.h, linux/rtnetlink.h).
const OTHERS: [(u8, &str); 3] =
    [(28, "MPLS route"), (128, "multicast route"), (129, "IPv6 multicast route")];

/// Names the routes, or what is left out of them.
pub(super) fn words(
    socket: &mut Socket,
    devs: &BTreeMap<u32, IfName>,
) -> Result<Vec<String>, Error> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    let mut words = crate::observe::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRoute(message) => one(&message, devs),
        _ => None,
    })?;
    for (family, what) in OTHERS {
        let mut header = [0; HEADER_BYTES];
        header[0] = family;
        // A kernel without that family answers with the routes of all others.
        let found = socket.dump(&question(RTM_GETROUTE, &header)?, |message| {
            Ok((message.payload.first() == Some(&family)).then_some(()))
        })?;
        match found.len() {
            0 => {}
            1 => words.push(format!("a {what}")),
            count => words.push(format!("{count} {what}s")),
        }
    }
    Ok(words)
}

fn one(message: &RouteMessage, devs: &BTreeMap<u32, IfName>) -> Option<String> {
    let is_own = matches!(
        message.header.protocol,
        RouteProtocol::Kernel | RouteProtocol::IcmpRedirect | RouteProtocol::Ra
    );
    if is_own {
        return None;
    }
    let read = route(message, devs);
    let named = read.as_ref().map_or_else(|| destination(message), ToString::to_string);
    if !is_configured(message) {
        let is_local = read.is_none_or(|route| route.table == TABLE_LOCAL);
        let by = u8::from(message.header.protocol);
        return (!is_local).then(|| format!("route {named}, which is of protocol {by},"));
    }
    let left_out = left_out(message);
    if is_for_some(message) {
        return Some(format!("route {named} {}", left_out.join(" ")));
    }
    match (read, left_out.as_slice()) {
        // What passes by was found out by the kernel.
        (None, _) if message.header.flags.contains(cloned()) => None,
        (None, _) => Some(format!("route {named}")),
        (Some(_), []) => None,
        (Some(_), words) => Some(format!("`{}` of route {named}", words.join(" "))),
    }
}

fn cloned() -> netlink_packet_route::route::RouteFlags {
    netlink_packet_route::route::RouteFlags::Cloned
}

fn destination(message: &RouteMessage) -> String {
    let len = message.header.destination_prefix_length;
    let addr = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(addr) => Some(format!("{addr:?}/{len}")),
        _ => None,
    });
    addr.unwrap_or_else(|| "default".to_owned())
}

fn left_out(message: &RouteMessage) -> Vec<String> {
    let mut words = Vec::new();
    if message.header.tos != 0 {
        words.push(format!("tos {}", message.header.tos));
    }
    if message.header.source_prefix_length != 0 {
        words.push("from".to_owned());
    }
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Realm(_) => words.push("realm".to_owned()),
            RouteAttribute::TtlPropagate(_) => words.push("ttl-propagate".to_owned()),
            RouteAttribute::Preference(RoutePreference::Low) => words.push("pref low".to_owned()),
            RouteAttribute::Preference(RoutePreference::High) => words.push("pref high".to_owned()),
            RouteAttribute::Metrics(found) => words.extend(found.iter().filter_map(metric)),
            RouteAttribute::MultiPath(legs) => {
                let unread = legs.iter().any(|leg| is_unread_tunnel(&leg.attributes));
                words.extend(unread.then(|| "encap".to_owned()));
            }
            _ => {}
        }
    }
    words.extend(is_unread_tunnel(&message.attributes).then(|| "encap".to_owned()));
    words
}

fn is_unread_tunnel(attributes: &[RouteAttribute]) -> bool {
    let has_one = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::EncapType(kind) => *kind != RouteLwEnCapType::None,
        _ => false,
    };
    attributes.iter().any(has_one) && tunnel(attributes).is_none()
}

/// Names a metric that the model does not know.
fn metric(found: &RouteMetric) -> Option<String> {
    const RTAX_LOCK: u16 = 1;
    const RTAX_FEATURES: u16 = 12;
    const RTAX_CC_ALGO: u16 = 16;
    match found.kind() {
        RTAX_LOCK => None,
        RTAX_FEATURES => Some("features".to_owned()),
        RTAX_CC_ALGO => Some("congctl".to_owned()),
        kind if Metric::ALL.iter().any(|(_, _, number)| *number == kind) => None,
        kind => Some(format!("metric {kind}")),
    }
}
