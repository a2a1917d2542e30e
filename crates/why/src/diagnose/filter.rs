//! A packet filter drops it.

use std::net::IpAddr;

use vnet_model::NsName;
use vnet_model::nft::{CtState, Family, Hook};

use super::Case;
use crate::filter::Dropped;
use crate::{Cause, Mend};

impl Case<'_, '_> {
    /// Its destination was translated to an address that nobody has.
    pub(super) fn dead_translation(&self) -> Option<Cause> {
        let flow = self.walked.flows.iter().find(|flow| flow.left.dst != flow.came.dst);
        let (before, now) = match flow {
            Some(flow) => (flow.came.dst, flow.left.dst),
            None => (self.question.dst, self.walked.dst),
        };
        if before == now || !self.scene.owners(now).is_empty() {
            return None;
        }
        let ns = flow.map_or(&self.walked.at, |flow| &flow.ns);
        let label = self.scene.label(ns);
        let evidence = format!("{label} translates {before} to {now}, which nobody has");
        let object = format!("{before} to {now} on {label}");
        Some(self.cause("dead-translation", object, evidence, Vec::new()))
    }

    pub(super) fn by_filter(&self, ns: &NsName, dropped: &Dropped) -> Cause {
        let Dropped { table, chain, base, rule, state, .. } = dropped;
        let label = self.scene.label(ns);
        let is_invalid = *state == Some(CtState::Invalid)
            && rule.as_ref().is_some_and(|rule| rule.contains("invalid"));
        let code = match rule {
            _ if is_invalid => "conntrack-invalid",
            Some(_) => "filter-drop",
            None => "filter-policy",
        };
        let object = match rule {
            Some(rule) => format!("`{rule}` in chain {chain} of table {table} on {label}"),
            None => format!("chain {chain} of table {table} on {label}"),
        };
        let direction = if self.is_back { "the answer" } else { "it" };
        let evidence = match (rule, is_invalid) {
            (_, true) => format!(
                "{label} has not seen what this answers, so that it belongs to no connection there: \
                 the way back is another than the way there"
            ),
            (Some(rule), _) if dropped.rejects => format!("{label} rejects {direction}: `{rule}`"),
            (Some(rule), _) => format!("{label} drops {direction}: `{rule}`"),
            (None, _) => {
                format!("no rule of chain {chain} on {label} lets {direction} through")
            }
        };
        let mut cause = self.cause(code, object, evidence, Vec::new());
        if matches!(table.family, Family::Ip | Family::Ip6 | Family::Inet) {
            let there = (self.walked.src, Some(self.dst));
            let mut ways = vec![there];
            // What goes through comes back the same way, through the same chain.
            if matches!(dropped.hook, Hook::Prerouting | Hook::Forward | Hook::Postrouting) {
                ways.push((there.1, there.0));
            }
            let command = |(src, dst): &(Option<IpAddr>, Option<IpAddr>)| {
                let protocol = if self.dst.is_ipv4() { "ip" } else { "ip6" };
                let side = |side: &str, addr: &Option<IpAddr>| {
                    addr.map(|addr| format!("{protocol} {side} {addr} ")).unwrap_or_default()
                };
                let (src, dst) = (side("saddr", src), side("daddr", dst));
                format!("ip netns exec {ns} nft insert rule {table} {base} {src}{dst}accept")
            };
            let commands = ways.iter().map(command).collect();
            let (ns, table, chain) = (ns.clone(), table.clone(), base.clone());
            cause.mend.push(Mend::LetThrough { ns, table, chain, commands });
        }
        cause
    }
}
