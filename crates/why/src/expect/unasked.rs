//! Who is meant by an expectation and can't be tried, and why.

use vnet_model::Desired;
use vnet_model::expect::{Expectation, Group, Member, Part};

use super::{Case, Miss, place};

/// What of an expectation can't be tried.
#[derive(Debug, Clone, Default)]
pub struct Unasked {
    /// What was asked for by name, or leaves nothing to be tried: of it nothing can be told.
    pub unknown: Vec<Miss>,
    /// Nodes of a group that others are of too, each with the reason in one sentence.
    pub left_out: Vec<String>,
}

/// Finds who of an expectation with these cases can't be tried: who has no address.
#[must_use]
pub fn unasked(desired: &Desired, expectation: &Expectation, cases: &[Case]) -> Unasked {
    let mut found = Unasked::default();
    let mut known: Vec<Member> = Vec::new();
    for group in [&expectation.who, &expectation.whom] {
        let members = group.members(desired);
        if members.is_empty() {
            found.unknown.push(miss(&expectation.text, "it means nobody on one side".to_owned()));
        }
        for member in members {
            if has_address(desired, &member, expectation.ipv6) || known.contains(&member) {
                continue;
            }
            let family = match expectation.ipv6 {
                None => "",
                Some(false) => "IPv4 ",
                Some(true) => "IPv6 ",
            };
            let what = format!("{member} has no {family}address that can be tried");
            match is_named(group, &member) || cases.is_empty() {
                true => found.unknown.push(miss(&member, what)),
                false => found.left_out.push(what),
            }
            known.push(member);
        }
    }
    if cases.is_empty() && found.unknown.is_empty() {
        let what = "no two of those that are meant have addresses of the same family";
        found.unknown.push(miss(&expectation.text, what.to_owned()));
    }
    found
}

fn has_address(desired: &Desired, member: &Member, ipv6: Option<bool>) -> bool {
    let asked = [false, true].into_iter().filter(|family| ipv6.is_none_or(|only| only == *family));
    asked.filter_map(|family| place(desired, member, family)).next().is_some()
}

/// Tells whether a group says a member itself, and not only one of many.
fn is_named(group: &Group, member: &Member) -> bool {
    group.0.iter().any(|part| match (part, member) {
        (Part::Name(name), Member::Node(node, None)) => name == node,
        (Part::Interface(name, on), Member::Node(node, dev)) => {
            name == node && Some(on) == dev.as_ref()
        }
        (Part::Address(asked), Member::Address(addr)) => asked == addr,
        _ => false,
    })
}

fn miss(whose: &impl ToString, what: String) -> Miss {
    let whose = whose.to_string();
    Miss { from: whose.clone(), to: whose, cut: Vec::new(), what, answer: None }
}
