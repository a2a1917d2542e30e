//! What nodes of random topologies have beside links: policy rules, neighbours, nexthop objects, and
//! the routes that go with them.

use std::net::IpAddr;

use super::{net, route};
use crate::mac::Mac;
use crate::names::IfName;
use crate::origin::Origin;
use crate::state::{Metric, MetricValue, Neighbor, RouteKind, Rule, RuleAction};
use crate::topology::{Leg, Node, StaticNexthop, StaticNexthopKind, StaticRoute, StaticRule, Via};

/// Adds what the bits of `which` say; what needs an interface only where there is one. `variant`
/// picks one of two values for what has some.
pub(super) fn add(
    node: &mut Node,
    number: usize,
    which: u8,
    variant: bool,
    dev: Option<&IfName>,
) -> Option<()> {
    let has = |bit: u8| which & (1 << bit) != 0;
    if has(0) {
        let from = net(&format!("10.6.{number}.0/24"))?;
        let lookup = Rule { from: Some(from), not: variant, ..rule(false, 1000, 100) };
        node.rules.push(written(lookup));
        let default = route(RouteKind::Blackhole, "0.0.0.0/0", None)?;
        node.routes.push(StaticRoute { table: Some(100), metric: Some(7), ..default });
    }
    if has(1) {
        let mask = if variant { u32::MAX } else { 0xff };
        let web = Rule {
            fwmark: Some((5, mask)),
            ipproto: Some(6),
            dport: Some((80, 443)),
            sport: variant.then_some((1024, 1024)),
            suppress_prefixlength: Some(0),
            ..rule(true, 1001, 70_000)
        };
        node.rules.push(written(web));
    }
    if has(2) {
        let iif = dev.cloned().or_else(|| IfName::new("lo").ok());
        let action = if variant { RuleAction::Unreachable } else { RuleAction::Prohibit };
        let target = Rule { to: net("192.0.2.0/24"), ..Rule::new(false, 2000, action) };
        let jump = Rule { iif, ..Rule::new(false, 1002, RuleAction::Goto(2000)) };
        node.rules.extend([jump, target].map(written));
    }
    if has(3) {
        node.nexthops.push(nexthop(1, variant, StaticNexthopKind::Blackhole));
        let dst = if variant { "2001:db8:51::/64" } else { "198.51.100.0/24" };
        node.routes.push(by_object(dst, 1)?);
    }
    let Some(dev) = dev else { return Some(()) };
    if has(4) {
        let lladdr = Some(Mac([2, 0, 0, 0, 9, u8::try_from(number).ok()?]));
        let neighbor = |addr: &str, lladdr| {
            let (dev, addr) = (dev.clone(), addr.parse().ok()?);
            Some(Neighbor { dev, addr, lladdr, origin: Origin::NONE })
        };
        node.neighbors.extend([neighbor("10.8.0.9", lladdr)?, neighbor("10.8.1.9", None)?]);
        if node.ipv6 {
            node.neighbors.push(neighbor("2001:db8:8::9", lladdr)?);
        }
    }
    let leg = |via: &str| {
        let via = Some(Via::Addr(via.parse::<IpAddr>().ok()?));
        Some(Leg { via, dev: Some(dev.clone()), onlink: true, ..Leg::default() })
    };
    if has(5) {
        let other = if variant { leg("10.200.0.3")? } else { on_link(dev) };
        node.nexthops.push(nexthop(2, false, StaticNexthopKind::Leg(leg("10.200.0.2")?)));
        node.nexthops.push(nexthop(3, false, StaticNexthopKind::Leg(other)));
        let members = vec![(2, 1), (3, if variant { 1 } else { 20 })];
        node.nexthops.push(nexthop(4, false, StaticNexthopKind::Group(members)));
        node.routes.extend([by_object("10.97.1.0/24", 4)?, by_object("10.97.2.0/24", 3)?]);
    }
    if has(6) {
        let weighted = |via, weight| Some(Leg { weight: Some(weight), ..leg(via)? });
        let legs = vec![weighted("10.200.1.2", 1)?, weighted("10.200.1.3", 9)?];
        let value = MetricValue { value: 1400, lock: variant };
        let metrics = [(Metric::Mtu, value)].into();
        let several = StaticRoute::new(RouteKind::Unicast, net("10.96.0.0/16"), legs);
        node.routes.push(StaticRoute { metrics, table: Some(77), ..several });
    }
    if has(7) {
        let single = StaticRoute::new(RouteKind::Unicast, net("10.95.0.0/16"), vec![on_link(dev)]);
        let scope = variant.then_some(200);
        node.routes.push(StaticRoute { metric: Some(9), scope, ..single });
        if node.ipv6 {
            let legs = vec![leg("2001:db8:200::2")?];
            let single = StaticRoute::new(RouteKind::Unicast, net("2001:db8:95::/48"), legs);
            node.routes.push(StaticRoute { metric: variant.then_some(9), ..single });
        }
    }
    Some(())
}

fn rule(ipv6: bool, priority: u32, table: u32) -> Rule {
    Rule::new(ipv6, priority, RuleAction::Table(table))
}

fn written(rule: Rule) -> StaticRule {
    StaticRule { priority: Some(rule.priority), rule }
}

fn nexthop(id: u32, ipv6: bool, kind: StaticNexthopKind) -> StaticNexthop {
    StaticNexthop { id, ipv6, kind, origin: Origin::NONE }
}

fn by_object(dst: &str, id: u32) -> Option<StaticRoute> {
    let route = StaticRoute::new(RouteKind::Unicast, Some(net(dst)?), Vec::new());
    Some(StaticRoute { nhid: Some(id), ..route })
}

fn on_link(dev: &IfName) -> Leg {
    Leg { dev: Some(dev.clone()), ..Leg::default() }
}
