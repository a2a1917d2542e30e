//! The chains of a firewall.

use super::Context;
use super::peers::{self, End};
use crate::apply::LOOPBACK;
use crate::names::IfName;
use crate::nft::build::{Builder, ICMP, ICMPV6, NFPROTO_IPV4, NFPROTO_IPV6, Side};
use crate::nft::{Base, Chain, ChainKind, CtState, Hook, Rule};
use crate::origin::Origin;
use crate::problem::{FilterProblem, Problem};
use crate::topology::NatKind;
use crate::topology::firewall::{Firewall, FirewallRule, Verdict, Way};

/// The ICMPv6 messages by which neighbours and routers are found (RFC 4861, section 4; the types
/// 133 to 136), without which nothing is reached by IPv6.
const NEIGHBOUR_DISCOVERY: [u8; 4] = [133, 134, 135, 136];

pub(super) fn firewall(context: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<Chain> {
    let Some(firewall) = &context.node.firewall else { return Vec::new() };
    Way::ALL.iter().filter_map(|way| chain(context, firewall, *way, problems)).collect()
}

fn chain(
    context: &Context<'_>,
    firewall: &Firewall,
    way: Way,
    problems: &mut Vec<Problem>,
) -> Option<Chain> {
    let default = match context.network.forwards[context.place] {
        true => Way::Forward,
        false => Way::In,
    };
    let mut own: Vec<&FirewallRule> = firewall.rules.iter().collect();
    own.retain(|rule| rule.way.unwrap_or(default) == way);
    let policy = firewall.policy(way);
    if policy.is_none() && own.is_empty() {
        return None;
    }
    let mut rules = first_rules(firewall, way);
    for rule in own {
        rules.extend(written(context, rule, way, problems));
    }
    if way == Way::Forward && context.node.nat.iter().any(|rule| redirects(&rule.kind)) {
        // What the node itself sends elsewhere it also lets through, unless a rule says no.
        rules.push(Builder::new().translated().accept().rule(firewall.origin));
    }
    if policy == Some(Verdict::Reject) {
        rules.push(Builder::new().reject().rule(firewall.origin));
    }
    let (name, hook) = match way {
        Way::In => ("input", Hook::Input),
        Way::Out => ("output", Hook::Output),
        Way::Forward => ("forward", Hook::Forward),
    };
    let accepts = matches!(policy, None | Some(Verdict::Accept));
    let base =
        Some(Base { kind: ChainKind::Filter, hook, priority: 0, accepts, devices: Vec::new() });
    Some(Chain { name: name.to_owned(), base, rules })
}

/// Tells whether a translation gives packets another destination.
fn redirects(kind: &NatKind) -> bool {
    matches!(kind, NatKind::Dnat { .. } | NatKind::Binat { .. })
}

/// What comes before the rules of the file.
fn first_rules(firewall: &Firewall, way: Way) -> Vec<Rule> {
    let mut builders = Vec::new();
    if firewall.established {
        let states = [CtState::Established, CtState::Related];
        builders.push(Builder::new().states(&states).accept());
    }
    let side = match way {
        Way::In => Some(Side::Source),
        Way::Out => Some(Side::Destination),
        Way::Forward => None,
    };
    if let (Some(side), Ok(lo)) = (side, IfName::new(LOOPBACK)) {
        builders.push(Builder::new().interfaces(side, &[lo]).accept());
        builders.push(Builder::new().icmpv6_types(&NEIGHBOUR_DISCOVERY).accept());
    }
    builders.into_iter().map(|builder| builder.rule(firewall.origin)).collect()
}

/// Makes the rules that one of the file becomes: one for each pair of ends and family.
fn written(
    context: &Context<'_>,
    rule: &FirewallRule,
    way: Way,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let before = problems.len();
    let from = peers::ends(context, &rule.from, rule.origin, problems);
    let to = peers::ends(context, &rule.to, rule.origin, problems);
    check_interfaces(context, rule, way, (&from, &to), problems);
    if problems.len() > before {
        return Vec::new();
    }
    let mut rules = Vec::new();
    for from in &from {
        for to in &to {
            let (a, b) = (from.family(), to.family());
            if a.is_none() || b.is_none() || a == b {
                rules.push(one(rule, from, to).rule(rule.origin));
            }
        }
    }
    let icmp = match rule.protocols[..] {
        [ICMP] => Some(("icmp", NFPROTO_IPV4, "IPv4", "icmpv6")),
        [ICMPV6] => Some(("icmpv6", NFPROTO_IPV6, "IPv6", "icmp")),
        _ => None,
    };
    if let Some((word, number, family, other)) = icmp {
        let is_other = |end: &End| end.family().is_some_and(|family| family != number);
        if from.iter().all(is_other) || to.iter().all(is_other) {
            let problem = FilterProblem::OtherIcmp { word, family, other };
            problems.push(Problem::new(problem, rule.origin));
        }
    }
    if rules.is_empty() {
        problems.push(Problem::new(FilterProblem::NoCommonFamily, rule.origin));
    }
    rules
}

fn one(rule: &FirewallRule, from: &End, to: &End) -> Builder {
    let mut builder =
        Builder::new().interfaces(Side::Source, &rule.iif).interfaces(Side::Destination, &rule.oif);
    builder = from.when(builder, Side::Source);
    builder = to.when(builder, Side::Destination);
    builder = builder.protocols(&rule.protocols).ports(&rule.ports).states(&rule.states);
    if let Some(limit) = &rule.limit {
        builder = builder.limit(limit.clone());
    }
    if rule.counter {
        builder = builder.counter();
    }
    if let Some(prefix) = &rule.log {
        builder = builder.log(prefix);
    }
    match rule.verdict {
        None => builder,
        Some(Verdict::Accept) => builder.accept(),
        Some(Verdict::Drop) => builder.drop(),
        Some(Verdict::Reject) => builder.reject(),
    }
}

/// Checks the interfaces of a rule: that they exist, and that packets on this way have one there.
fn check_interfaces(
    context: &Context<'_>,
    rule: &FirewallRule,
    way: Way,
    (from, to): (&[End], &[End]),
    problems: &mut Vec<Problem>,
) {
    for name in rule.iif.iter().chain(&rule.oif) {
        known(context, name, rule.origin, problems);
    }
    let named = |ends: &[End]| {
        ends.iter().find_map(|end| match end {
            End::Interfaces(names) => names.first().cloned(),
            _ => None,
        })
    };
    let problem = match way {
        Way::In => {
            let name = rule.oif.first().cloned().or_else(|| named(to));
            name.map(|interface| FilterProblem::LeavesNowhere { interface })
        }
        Way::Out => {
            let name = rule.iif.first().cloned().or_else(|| named(from));
            name.map(|interface| FilterProblem::ComesFromNowhere { interface })
        }
        Way::Forward => None,
    };
    problems.extend(problem.map(|problem| Problem::new(problem, rule.origin)));
}

/// Checks that the node has an interface, and returns its number.
pub(super) fn known(
    context: &Context<'_>,
    name: &IfName,
    origin: Origin,
    problems: &mut Vec<Problem>,
) -> Option<usize> {
    let wiring = &context.network.wiring;
    let found = wiring.interface(context.place, name);
    if found.is_none() {
        problems.push(Problem::new(wiring.unknown_interface(context.place, name), origin));
    }
    found
}
