//! Routes as commands.

use vnet_model::state::TABLE_MAIN;
use vnet_model::{NextHop, NsName, Route, RouteKind};

use super::ip_for;
use crate::command::Command;

pub(super) fn set_route(ns: &NsName, verb: &str, route: &Route) -> Command {
    let command = describe(route_key(ns, verb, route), route, Some("static"));
    let ipv4 = route.dst.addr().is_ipv4();
    // iproute2 says so of itself where there is one leg, not where there are several.
    if ipv4 && route.nexthops.len() > 1 && route.nexthops.iter().all(|hop| hop.via.is_none()) {
        return legs(command.text("scope link"), route);
    }
    legs(command, route)
}

/// Removes a route whoever configured it: nothing is said of its protocol.
pub(super) fn del_route(ns: &NsName, route: &Route) -> Command {
    legs(describe(route_key(ns, "del", route), route, None), route)
}

/// The command as far as the destination.
fn route_key(ns: &NsName, verb: &str, route: &Route) -> Command {
    let command = ip_for(ns, &route.dst).word("route").word(verb);
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
    command
        .option("proto", protocol)
        .option("metric", Some(route.metric).filter(|metric| *metric != 0))
        .option("table", Some(route.table).filter(|table| *table != TABLE_MAIN))
        .option("src", route.src)
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
    let command = match hop.via {
        Some(via) if via.is_ipv6() && route.dst.addr().is_ipv4() => {
            command.text("via inet6").word(via)
        }
        via => command.option("via", via),
    };
    let command = command.word("dev").word(&hop.dev);
    if hop.onlink { command.word("onlink") } else { command }
}
