//! Checks that what expectations name exists.

use super::Desired;
use crate::expect::{Claim, Condition, Expectation, Group, Part};
use crate::names::{IfName, NodeName};
use crate::problem::{Problem, ProblemKind, nearest};

/// Finds the names in expectations that are none.
pub(super) fn problems(desired: &Desired) -> Vec<Problem> {
    let mut problems = Vec::new();
    for expectation in &desired.expect {
        let kinds = kinds(desired, expectation);
        problems.extend(kinds.into_iter().map(|kind| Problem::new(kind, expectation.origin)));
    }
    problems
}

fn kinds(desired: &Desired, expectation: &Expectation) -> Vec<ProblemKind> {
    let mut kinds = Vec::new();
    for group in [&expectation.who, &expectation.whom] {
        kinds.extend(group.0.iter().filter_map(|part| of_part(desired, part)));
    }
    let no_node = |name: &&NodeName| !desired.nodes.contains_key(*name);
    let via = expectation.via.iter().filter(no_node);
    kinds.extend(via.map(|name| unknown("node", name, desired.nodes.keys())));
    if let Condition::Down(names) = &expectation.when {
        let cables = desired.cables();
        for name in names.iter().filter(|name| Desired::links_of(&cables, name).is_empty()) {
            let links = cables.iter().map(|link| link.name.as_str());
            let nodes = desired.nodes.keys().chain(desired.segments.keys()).map(NodeName::as_str);
            kinds.push(ProblemKind::UnknownLink {
                name: name.clone(),
                nearest: nearest(name, links.chain(nodes)).map(str::to_owned),
            });
        }
    }
    let (asks, asked) = match expectation.claim {
        Claim::Sees(_) => (&expectation.whom, &expectation.who),
        Claim::Reaches | Claim::CannotReach => (&expectation.who, &expectation.whom),
    };
    let is_nobody = |group: &Group| group.members(desired).is_empty();
    if kinds.is_empty() && (is_nobody(asks) || is_nobody(asked)) {
        kinds.push(ProblemKind::NobodyMeant { text: expectation.text.clone() });
    }
    kinds
}

fn of_part(desired: &Desired, part: &Part) -> Option<ProblemKind> {
    match part {
        Part::All | Part::Address(_) => None,
        Part::Glob(pattern) => {
            let group = Group(vec![part.clone()]);
            let pattern = pattern.clone();
            group.members(desired).is_empty().then_some(ProblemKind::NothingFits { pattern })
        }
        Part::Name(name) => {
            let known = desired.nodes.contains_key(name) || desired.segments.contains_key(name);
            let names = desired.nodes.keys().chain(desired.segments.keys());
            (!known).then(|| unknown("node or segment", name, names))
        }
        Part::Interface(node, dev) => {
            let Some(ns) = desired.nodes.get(node) else {
                return Some(unknown("node", node, desired.nodes.keys()));
            };
            let interfaces = &desired.state.namespaces.get(ns)?.interfaces;
            (!interfaces.contains_key(dev)).then(|| {
                let near = nearest(dev.as_str(), interfaces.keys().map(IfName::as_str));
                ProblemKind::UnknownInterface {
                    node: node.clone(),
                    interface: dev.clone(),
                    nearest: near.and_then(|near| IfName::new(near).ok()),
                }
            })
        }
    }
}

fn unknown<'n>(
    what: &'static str,
    name: &NodeName,
    names: impl Iterator<Item = &'n NodeName>,
) -> ProblemKind {
    let near = nearest(name.as_str(), names.map(NodeName::as_str));
    let nearest = near.and_then(|near| NodeName::new(near).ok());
    ProblemKind::UnknownNode { what, name: name.clone(), nearest }
}
