//! Policy rules that lead a packet elsewhere, or nowhere.

use vnet_model::facts::PolicyRule;
use vnet_model::{Change, Entry, NsName, Rule, RuleAction, Step};

use super::Case;
use crate::fib::{self, Decision, Flowi};
use crate::{Cause, Effect, Mend};

impl Case<'_, '_> {
    /// Finds the first decision of the failing direction that rules make another than was meant.
    pub(super) fn by_rules(&self) -> Option<Cause> {
        let mut decided = self.walked.decisions.iter();
        decided.find_map(|decided| self.by_rules_of(&decided.ns, &decided.packet))
    }

    /// Finds a rule of a namespace that was not meant and changes what becomes of a packet, or one
    /// that was meant and is not there.
    pub(super) fn by_rules_of(&self, ns: &NsName, packet: &Flowi) -> Option<Cause> {
        let scene = self.scene;
        let rules = scene.rules(ns);
        if rules.is_empty() {
            return None;
        }
        let meant = scene.meant_rules(ns).filter(|meant| !meant.is_empty());
        let meant = meant.unwrap_or_else(PolicyRule::born);
        let decision = scene.lookup_by(ns, packet, &rules);
        if scene.lookup_by(ns, packet, &meant) == decision {
            return None;
        }
        let changes = |rules: &[PolicyRule]| scene.lookup_by(ns, packet, rules) != decision;
        let extra: Vec<&PolicyRule> = rules.iter().filter(|rule| !meant.contains(rule)).collect();
        let lost: Vec<&PolicyRule> = meant.iter().filter(|rule| !rules.contains(rule)).collect();
        let one = extra.iter().find(|policy| {
            let others = rules.iter().filter(|other| *other != **policy).cloned();
            changes(&others.collect::<Vec<_>>())
        });
        if let Some(policy) = one {
            return Some(self.stray_rule(ns, packet, &policy.rule, &decision));
        }
        let missing = lost.into_iter().find(|policy| {
            let mut more = rules.to_vec();
            more.push((*policy).clone());
            more.sort_by_key(|policy| policy.rule.priority);
            changes(&more)
        })?;
        let add = Change::SetEntry(Entry::Rule(missing.rule.clone()));
        // What says that VRFs count can't be said as a step.
        let add = (!missing.l3mdev).then(|| Step::new(ns.clone(), add).from(missing.rule.origin));
        let steps: Vec<Step> = add.into_iter().collect();
        let vrf = scene.ns(ns).and_then(|found| packet.vrf_in(found));
        let asked = extra.iter().find(|policy| fib::matches(policy, packet, vrf) == Some(true));
        let label = scene.label(ns);
        let Some(instead) = asked else {
            let evidence = format!("the policy rule `{}` is missing in {label}", missing.rule);
            let object = format!("rule {} in {label}", missing.rule);
            return Some(self.cause("rule-missing", object, evidence, steps));
        };
        let mut cause = self.stray_rule(ns, packet, &instead.rule, &decision);
        cause.evidence = format!("{}, instead of `{}`", cause.evidence, missing.rule);
        cause.mend.extend(steps.into_iter().map(Mend::Step));
        Some(cause)
    }

    /// A rule that nobody asked for.
    fn stray_rule(&self, ns: &NsName, packet: &Flowi, rule: &Rule, got: &Decision) -> Cause {
        let label = self.scene.label(ns);
        let dst = packet.dst;
        let (code, evidence) = match (got, rule.action) {
            (Decision::Refused { rule }, _) => return self.refused(ns, rule),
            (Decision::None, RuleAction::Goto(_)) => (
                "rule-to-empty-table",
                format!("`{rule}` in {label} leads past the table that has a route to {dst}"),
            ),
            (Decision::None, _) => (
                "rule-to-empty-table",
                format!("`{rule}` in {label} leads to a table with nothing for {dst}"),
            ),
            (Decision::Via { route, .. } | Decision::Dropped { route }, _) => {
                ("rule-astray", format!("`{rule}` in {label} has `{route}` take packets to {dst}"))
            }
            _ => ("rule-astray", format!("`{rule}` in {label} decides about packets to {dst}")),
        };
        let mut cause = self.cause(code, format!("rule {rule} in {label}"), evidence, Vec::new());
        cause.mend.push(without(ns, rule));
        cause
    }

    /// A rule that drops.
    pub(super) fn refused(&self, ns: &NsName, rule: &Rule) -> Cause {
        let label = self.scene.label(ns);
        let evidence = format!("{label} drops packets to {}: `{rule}`", self.dst);
        let object = format!("rule {rule} in {label}");
        let mut cause = self.cause("rule-refuses", object, evidence, Vec::new());
        cause.mend.push(without(ns, rule));
        let meant =
            self.scene.meant(ns).and_then(|meant| meant.entries.get(&Entry::Rule(rule.clone())));
        if let Some(meant) = meant {
            self.add_line(&mut cause, meant.origin(), format!("the file asks for `rule {rule}`"));
        }
        cause
    }
}

/// The end of a rule; a step would leave those that others made.
fn without(ns: &NsName, rule: &Rule) -> Mend {
    Mend::Command {
        text: format!("- rule {rule} in {ns}"),
        commands: vec![vnet_iproute::del_rule(ns, rule).to_string()],
        effect: Effect::Unruled(ns.clone(), Box::new(rule.clone())),
    }
}
