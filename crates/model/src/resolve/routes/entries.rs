//! Policy rules, neighbours and nexthop objects.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::way::Maker;
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind, RoutingProblem};
use crate::resolve::network::{Family, Network};
use crate::state::{Entry, Neighbor, NexthopKind, NexthopObject, Rule, RuleAction};
use crate::topology::{StaticNexthop, StaticNexthopKind};

/// The priority of the first rule that names none. From here on in written order: one more at the
/// end leaves those before it as they are.
const PRIORITY_FIRST: u32 = 20_000;

/// The priorities of the rules that every namespace is born with (`fib_default_rules_init`,
/// net/ipv4/fib_rules.c).
const BORN: [u32; 3] = [0, 32766, 32767];

/// Makes what a node has beside its routes.
pub(in crate::resolve) fn of_node(
    network: &Network<'_>,
    place: usize,
    problems: &mut Vec<Problem>,
) -> BTreeSet<Entry> {
    let Some(node) = network.node(place) else { return BTreeSet::new() };
    let maker = Maker { network, place, node };
    let mut entries: Vec<Entry> = Vec::new();
    let mut add =
        |made: Result<Entry, ProblemKind>, origin: Origin, problems: &mut Vec<Problem>| {
            let twice = |entry: &Entry| entries.iter().find(|other| other.same_key(entry));
            match made {
                Ok(entry) => match twice(&entry) {
                    None => entries.push(entry),
                    Some(first) => {
                        let problem = Problem::new(maker.twice(&entry), origin);
                        problems.push(problem.with(first.origin(), "the first is here"));
                    }
                },
                Err(kind) => problems.push(Problem::new(kind, origin)),
            }
        };
    for spec in &node.nexthops {
        let made = maker.nexthop(spec).map(Entry::Nexthop);
        add(made, spec.origin.or(node.origin), problems);
    }
    let rules = rules(&maker);
    for rule in &rules {
        let origin = rule.origin;
        add(maker.rule(rule, &rules).map(Entry::Rule), origin, problems);
    }
    for spec in &node.neighbors {
        let made = maker.neighbor(spec).map(Entry::Neighbor);
        add(made, spec.origin.or(node.origin), problems);
    }
    entries.into_iter().collect()
}

/// The rules of a node with their priorities.
fn rules(maker: &Maker<'_, '_>) -> Vec<Rule> {
    let mut next = PRIORITY_FIRST;
    let specs = maker.node.rules.iter();
    specs
        .map(|spec| {
            let priority = spec.priority.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            let origin = spec.rule.origin.or(maker.node.origin);
            Rule { priority, origin, ..spec.rule.clone() }
        })
        .collect()
}

impl Maker<'_, '_> {
    fn twice(&self, entry: &Entry) -> ProblemKind {
        let node = self.node.name.clone();
        let kind = match entry {
            Entry::Nexthop(it) => RoutingProblem::NexthopTwice { node, id: it.id },
            Entry::Neighbor(it) => {
                let at = crate::problem::At { node, interface: it.dev.clone() };
                RoutingProblem::NeighborTwice { at, addr: it.addr }
            }
            Entry::Rule(it) => RoutingProblem::RuleTwice { node, rule: it.to_string() },
            Entry::Unknown(text) => RoutingProblem::RuleTwice { node, rule: text.clone() },
        };
        kind.into()
    }

    fn nexthop(&self, spec: &StaticNexthop) -> Result<NexthopObject, ProblemKind> {
        let id = spec.id;
        let families = if spec.ipv6 { vec![Family::V6] } else { Family::BOTH.to_vec() };
        let mut ipv6 = spec.ipv6;
        let kind = match &spec.kind {
            StaticNexthopKind::Blackhole => NexthopKind::Blackhole,
            StaticNexthopKind::Group(members) => {
                members
                    .iter()
                    .try_for_each(|(member, _)| self.member(id, *member, members.len()))?;
                let mut members = members.clone();
                members.sort_unstable();
                NexthopKind::Group(members)
            }
            StaticNexthopKind::Leg(leg) => {
                let way = self.way(leg, &families, &format!("nexthop {id}"))?;
                let wiring = &self.network.wiring;
                let far = self.network.peers[way.dev];
                let down = |end: usize| !wiring.interfaces[end].up();
                let over_down = |far| {
                    let at = wiring.at(way.dev);
                    Err(RoutingProblem::NexthopOverDown { id, at, far }.into())
                };
                match (down(way.dev), far.is_some_and(down)) {
                    (true, _) => return over_down(false),
                    (_, true) => return over_down(true),
                    _ => {}
                }
                ipv6 |= way.via.is_some_and(|via| via.is_ipv6());
                NexthopKind::Leg(self.next_hop(&way, leg))
            }
        };
        Ok(NexthopObject { id, ipv6, kind, origin: spec.origin.or(self.node.origin) })
    }

    fn spec_of(&self, id: u32) -> Result<&StaticNexthop, ProblemKind> {
        let node = self.node.name.clone();
        let unknown = || RoutingProblem::UnknownNexthop { node, id };
        Ok(self.node.nexthops.iter().find(|spec| spec.id == id).ok_or_else(unknown)?)
    }

    /// Checks what the kernel does of the members of a group (`valid_group_nh`, net/ipv4/nexthop.c).
    fn member(&self, id: u32, member: u32, count: usize) -> Result<(), ProblemKind> {
        match self.spec_of(member)?.kind {
            StaticNexthopKind::Group(_) => Err(RoutingProblem::GroupInGroup { id, member }.into()),
            StaticNexthopKind::Blackhole if count > 1 => {
                Err(RoutingProblem::BlackholeInGroup { id, member }.into())
            }
            _ => Ok(()),
        }
    }

    /// Finds out which routes can go by a nexthop object; IPv4 ones can by one for IPv6 too
    /// (RFC 8950).
    pub(super) fn family_of_nexthop(&self, id: u32) -> Result<Family, ProblemKind> {
        let mut spec = self.spec_of(id)?;
        if let StaticNexthopKind::Group(members) = &spec.kind
            && let Some((first, _)) = members.first()
        {
            spec = self.spec_of(*first)?;
        }
        let made = self.nexthop(spec);
        Ok(if made.is_ok_and(|made| made.ipv6) { Family::V6 } else { Family::V4 })
    }

    fn rule(&self, rule: &Rule, all: &[Rule]) -> Result<Rule, ProblemKind> {
        for dev in rule.iif.iter().chain(&rule.oif) {
            self.interface(dev)?;
        }
        if let RuleAction::Goto(target) = rule.action {
            let is_target = |other: &Rule| other.ipv6 == rule.ipv6 && other.priority == target;
            let exists = BORN.contains(&target) || all.iter().any(is_target);
            let why = match target > rule.priority {
                false => Some("only later rules can be gone to"),
                true => (!exists).then_some("there is no rule with that priority"),
            };
            if let Some(why) = why {
                let priority = rule.priority;
                return Err(RoutingProblem::BadGoto { priority, target, why }.into());
            }
        }
        Ok(rule.clone())
    }

    fn neighbor(&self, spec: &Neighbor) -> Result<Neighbor, ProblemKind> {
        let id = self.interface(&spec.dev)?;
        let at = || self.network.wiring.at(id);
        if matches!(spec.addr, IpAddr::V6(_)) && !self.node.ipv6 {
            return Err(RoutingProblem::NeighborWithoutIpv6 { at: at(), addr: spec.addr }.into());
        }
        Ok(Neighbor { origin: spec.origin.or(self.node.origin), ..spec.clone() })
    }
}
