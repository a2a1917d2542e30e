//! Routes in iproute2's words, as the file takes them.

use std::fmt::Write;

use vnet_model::ipnet::IpNet;
use vnet_model::topology::{Leg, StaticRoute, Via};
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
    if let [leg] = route.legs.as_slice()
        && leg.weight.is_none()
    {
        write_leg(&mut text, leg);
    }
    let numbers = [("nhid", route.nhid), ("metric", route.metric), ("table", route.table)];
    for (word, number) in numbers {
        if let Some(number) = number {
            let _ = write!(text, " {word} {number}");
        }
    }
    if let Some(src) = route.src {
        let _ = write!(text, " src {src}");
    }
    if let Some(scope) = route.scope {
        let _ = write!(text, " scope {scope}");
    }
    for (metric, value) in &route.metrics {
        let _ = write!(text, " {metric} {value}");
    }
    if route.legs.len() > 1 || route.legs.iter().any(|leg| leg.weight.is_some()) {
        for leg in &route.legs {
            text.push_str(" nexthop");
            write_leg(&mut text, leg);
            if let Some(weight) = leg.weight {
                let _ = write!(text, " weight {weight}");
            }
        }
    }
    text
}

fn write_leg(text: &mut String, leg: &Leg) {
    if let Some(encap) = &leg.encap {
        let _ = write!(text, " encap {encap}");
    }
    match &leg.via {
        None => {}
        Some(Via::Node(node)) => {
            let _ = write!(text, " via {node}");
        }
        Some(Via::Addr(addr)) => {
            let family = if addr.is_ipv6() { "inet6" } else { "inet" };
            let _ = write!(text, " via {family} {addr}");
        }
    }
    if let Some(dev) = &leg.dev {
        let _ = write!(text, " dev {dev}");
    }
    if leg.onlink {
        text.push_str(" onlink");
    }
}
