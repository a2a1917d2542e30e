//! Rules, neighbours and nexthop objects as commands.

use vnet_model::{Entry, NexthopKind, NexthopObject, NsName, Rule};

use super::{ip, leg_words};
use crate::command::Command;

/// Ours are known by the protocol static.
const OURS: &str = "proto static";

pub(super) fn set_entry(ns: &NsName, entry: &Entry) -> Option<Command> {
    match entry {
        Entry::Rule(rule) => Some(rule_command(ns, "add", rule).text(OURS)),
        Entry::Neighbor(it) => {
            let command = ip(ns).text("neighbor replace").text(&it.to_string());
            // iproute2 6.1 takes an entry with an address for permanent of itself.
            Some(command.text(OURS))
        }
        Entry::Nexthop(object) => {
            let command = nexthop(ns, "replace", object);
            Some(command.text(OURS))
        }
        _ => None,
    }
}

pub(super) fn del_entry(ns: &NsName, entry: &Entry) -> Option<Command> {
    match entry {
        // One that others made may select the same.
        Entry::Rule(rule) => Some(del_rule(ns, rule).text(OURS)),
        Entry::Neighbor(it) => Some(ip(ns).text("neighbor del").text(&it.to_string())),
        Entry::Nexthop(object) => Some(ip(ns).text("nexthop del id").word(object.id)),
        _ => None,
    }
}

/// Returns the command that removes a policy rule, whoever made it.
#[must_use]
pub fn del_rule(ns: &NsName, rule: &Rule) -> Command {
    rule_command(ns, "del", rule)
}

fn rule_command(ns: &NsName, verb: &str, rule: &Rule) -> Command {
    let command = ip(ns);
    let command = if rule.ipv6 { command.word("-6") } else { command };
    let selector = rule.selector();
    let command = command.word("rule").word(verb).text(selector.trim_start_matches("-6 "));
    command.text(&rule.outcome()).text("priority").word(rule.priority)
}

fn nexthop(ns: &NsName, verb: &str, object: &NexthopObject) -> Command {
    let command = ip(ns);
    let is_group = matches!(object.kind, NexthopKind::Group(_));
    let command = if object.ipv6 && !is_group { command.word("-6") } else { command };
    let command = command.word("nexthop").word(verb).word("id").word(object.id);
    match &object.kind {
        NexthopKind::Leg(leg) => leg_words(command, leg, false),
        _ => {
            let text = object.to_string();
            let words = text.split(' ').skip_while(|word| !matches!(*word, "group" | "blackhole"));
            words.fold(command, |command, word| command.word(word))
        }
    }
}
