//! Routes as commands.

use vnet_model::ipnet::IpNet;
use vnet_model::state::SCOPES;
use vnet_model::{NextHop, NsName, Route, RouteKind};

use super::ip;
use crate::command::Command;

pub(super) fn set_route(ns: &NsName, verb: &str, route: &Route) -> Command {
    let command = describe(route_key(ns, verb, route), route, Some("static"));
    legs(command, route)
}

/// Removes a route whoever configured it: nothing is said of its protocol.
pub(super) fn del_route(ns: &NsName, route: &Route) -> Command {
    legs(describe(route_key(ns, "del", route), route, None), route)
}

/// The command as far as the destination.
fn route_key(ns: &NsName, verb: &str, route: &Route) -> Command {
    let is_ipv6 = |via: std::net::IpAddr| via.is_ipv6();
    let command = match route.dst {
        IpNet::V6(_) => ip(ns).word("-6"),
        // Else `default` would be of the family of the gateway.
        _ if route.dst.prefix_len() == 0
            && route.nexthops.iter().any(|hop| hop.via.is_some_and(is_ipv6)) =>
        {
            ip(ns).word("-4")
        }
        IpNet::V4(_) => ip(ns),
    };
    let command = command.word("route").word(verb);
    let command = match route.kind {
        RouteKind::Unicast => command,
        kind => command.word(kind),
    };
    match route.dst.prefix_len() {
        0 => command.word("default"),
        _ => command.word(route.dst),
    }
}

/// What follows the destination, up to the legs of a route with several: these come last, since
/// iproute2 takes all that follows the first `nexthop` for legs.
fn describe(command: Command, route: &Route, protocol: Option<&str>) -> Command {
    let command = match route.nexthops.as_slice() {
        [hop] => leg(command, route, hop),
        _ => command,
    };
    let command = command
        .option("proto", protocol)
        .option("metric", Some(route.metric).filter(|metric| *metric != 0))
        .option("table", Some(route.table).filter(|table| *table != route.kind.default_table()))
        .option("src", route.src)
        .option("scope", scope(route))
        .option("nhid", route.nhid);
    route.metrics.iter().fold(command, |command, (metric, it)| {
        let command = command.word(metric);
        let command = if it.lock { command.word("lock") } else { command };
        command.word(it.value)
    })
}

/// The scope that must be said: one that is not the usual, and link where there are several legs, of
/// which iproute2 says it itself only where there is one.
fn scope(route: &Route) -> Option<String> {
    let several = route.nexthops.len() > 1 && route.default_scope() != 0;
    let scope = route.scope.or(several.then(|| route.default_scope()))?;
    let named = SCOPES.iter().find(|(_, number)| *number == scope);
    Some(named.map_or(scope.to_string(), |(name, _)| (*name).to_owned()))
}

fn legs(command: Command, route: &Route) -> Command {
    match route.nexthops.as_slice() {
        [] | [_] => command,
        hops => hops.iter().fold(command, |command, hop| {
            leg(command.word("nexthop"), route, hop).word("weight").word(hop.weight)
        }),
    }
}

fn leg(command: Command, route: &Route, hop: &NextHop) -> Command {
    leg_words(command, hop, route.dst.addr().is_ipv4())
}

/// Where a leg leads; the family of a gateway is said where it may be another than that of the route.
pub(super) fn leg_words(command: Command, hop: &NextHop, in_ipv4: bool) -> Command {
    let command = match &hop.encap {
        Some(encap) => command.word("encap").text(&encap.to_string()),
        None => command,
    };
    let command = match hop.via {
        Some(via) if via.is_ipv6() && in_ipv4 => command.text("via inet6").word(via),
        via => command.option("via", via),
    };
    let command = command.word("dev").word(&hop.dev);
    if hop.onlink { command.word("onlink") } else { command }
}
