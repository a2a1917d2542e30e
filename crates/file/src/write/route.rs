//! Routes in iproute2's words, as the file takes them.

use std::fmt::Write;

use vnet_model::ipnet::IpNet;
use vnet_model::topology::{StaticRoute, Via};
use vnet_model::{Route, RouteKind};

/// Writes a route in iproute2's words, as the file takes them.
pub(super) fn route(route: &Route) -> String {
    let text = route.to_string();
    // `default` is IPv6 only where a gateway says so.
    match (route.dst, text.split_once("default")) {
        (IpNet::V6(net), Some((before, after))) if net.prefix_len() == 0 => {
            format!("{before}::/0{after}")
        }
        _ => text,
    }
}

/// Writes a route as the file wrote it.
pub(super) fn static_route(route: &StaticRoute) -> String {
    let mut text = String::new();
    if route.kind != RouteKind::Unicast {
        let _ = write!(text, "{} ", route.kind);
    }
    match route.dst {
        None => text.push_str("default"),
        Some(dst) => {
            let _ = write!(text, "{dst}");
        }
    }
    match &route.via {
        None => {}
        Some(Via::Node(node)) => {
            let _ = write!(text, " via {node}");
        }
        Some(Via::Addr(addr)) => {
            let family = if addr.is_ipv6() { "inet6" } else { "inet" };
            let _ = write!(text, " via {family} {addr}");
        }
    }
    let numbers = [("metric", route.metric), ("table", route.table)];
    if let Some(dev) = &route.dev {
        let _ = write!(text, " dev {dev}");
    }
    for (word, number) in numbers {
        if let Some(number) = number {
            let _ = write!(text, " {word} {number}");
        }
    }
    if let Some(src) = route.src {
        let _ = write!(text, " src {src}");
    }
    if route.onlink {
        text.push_str(" onlink");
    }
    text
}
