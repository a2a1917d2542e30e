//! A packet filter drops it.

use std::net::IpAddr;

use vnet_model::nft::{Chain, ChainKind, CtState, Edit, Expr, Family, Hook, Rule, Table, TableId};
use vnet_model::{Change, NsName, Step};

use super::Case;
use crate::filter::Dropped;
use crate::walk::Walked;
use crate::{Cause, Effect, Mend};

/// The chains of a table by which addresses are translated.
fn translating(table: &Table) -> Vec<&Chain> {
    let is_nat =
        |chain: &&Chain| chain.base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat);
    table.chains.iter().filter(is_nat).collect()
}

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
        let mut cause = self.cause("dead-translation", object, evidence, Vec::new());
        cause.mend.extend(self.leave_as_it_was(ns, before));
        Some(cause)
    }

    /// Has a chain that translates destinations, and is not the lab's, leave those to an address alone.
    fn leave_as_it_was(&self, ns: &NsName, dst: IpAddr) -> Option<Mend> {
        let changes = |rule: &Rule| {
            rule.exprs.iter().any(|expr| match expr {
                Expr::Nat(nat) => nat.dnat,
                Expr::Redirect { .. } => true,
                _ => false,
            })
        };
        let tables = self.scene.tables(ns).into_iter().filter(|table| table.mark.is_none());
        let mut chains = tables.flat_map(|table| {
            let chains = translating(table).into_iter();
            chains.filter(|chain| chain.rules.iter().any(changes)).map(move |it| (table, it))
        });
        let (table, chain) = chains.next()?;
        let protocol = if dst.is_ipv4() { "ip" } else { "ip6" };
        let effect = Effect::LetThrough(ns.clone(), table.id.clone(), chain.name.clone());
        let packets = [format!("{protocol} daddr {dst}")];
        Some(self.accept_first(ns, (&table.id, &chain.name), &packets, effect))
    }

    /// Has a chain accept some packets before all else.
    fn accept_first(
        &self,
        ns: &NsName,
        (table, chain): (&TableId, &str),
        packets: &[String],
        effect: Effect,
    ) -> Mend {
        let insert = |what: &String| {
            let words = format!("insert rule {table} {chain} {what} accept");
            vnet_iproute::nft_words(ns, &words).to_string()
        };
        let text = format!("~ chain {chain} of table {table} on {}", self.scene.label(ns));
        Mend::Command { text, commands: packets.iter().map(insert).collect(), effect }
    }

    /// A namespace on the way there was meant to translate and does so differently, or not at all.
    pub(super) fn lost_translation(&self, forth: &Walked) -> Option<Cause> {
        let mut passed = forth.decisions.iter().map(|decided| &decided.ns);
        passed.find_map(|ns| {
            let meant = self.scene.meant(ns)?.tables.values();
            // What else differs in such a table does not keep it from translating.
            let mut lost = meant.filter(|table| {
                let found = self.scene.ns(ns).and_then(|found| found.tables.get(&table.id));
                let found = found.map(translating).unwrap_or_default();
                !translating(table).is_empty() && found != translating(table)
            });
            lost.find_map(|table| self.lost_table(ns, table, "translation-missing"))
        })
    }

    /// A table that is not as it was meant to be.
    fn lost_table(&self, ns: &NsName, meant: &Table, code: &'static str) -> Option<Cause> {
        let found = self.scene.ns(ns)?.tables.get(&meant.id);
        let label = self.scene.label(ns);
        let (what, change) = match found {
            None => ("is missing", Change::AddTable(Box::new(meant.clone()))),
            Some(found) if found != meant => {
                let (table, edit) = (Box::new(meant.clone()), Edit::between(found, meant));
                ("is not as the file says", Change::ChangeTable { table, edit })
            }
            Some(_) => return None,
        };
        let evidence = format!("table {} {what} on {label}", meant.id);
        let object = format!("table {} on {label}", meant.id);
        let step = Step::new(ns.clone(), change).from(meant.origin);
        Some(self.cause(code, object, evidence, vec![step]))
    }

    /// The lab's own table drops it.
    fn by_own_table(&self, ns: &NsName, dropped: &Dropped) -> Option<Cause> {
        let found = self.scene.ns(ns)?.tables.get(&dropped.table)?;
        found.mark.as_ref()?;
        let code = if dropped.rule.is_some() { "filter-drop" } else { "filter-policy" };
        let meant = self.scene.meant(ns)?;
        match meant.tables.get(&dropped.table) {
            Some(meant) => self.lost_table(ns, meant, code),
            // The file says it in nft's own language.
            None if meant.declared_tables().any(|table| table.id == dropped.table) => None,
            None => {
                let label = self.scene.label(ns);
                let evidence = format!("{label}: {}", dropped.text());
                let object = format!("table {} on {label}", dropped.table);
                let step = Step::new(ns.clone(), Change::DelTable(dropped.table.clone()));
                Some(self.cause(code, object, evidence, vec![step]))
            }
        }
    }

    pub(super) fn by_filter(&self, ns: &NsName, dropped: &Dropped) -> Cause {
        if let Some(cause) = self.by_own_table(ns, dropped) {
            return cause;
        }
        let Dropped { table, chain, rule, state, asks, .. } = dropped;
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
        let (object, what) = match asks {
            // The packet may be dropped there too.
            Some(asks) => (format!("{object}, for {}", asks.protocol()), asks.text()),
            None if self.is_back => (object, "the answer".to_owned()),
            None => (object, "it".to_owned()),
        };
        let evidence = match (rule, is_invalid) {
            (_, true) => format!(
                "{label} has not seen what this answers, so that it belongs to no connection there: \
                 the way back is another than the way there"
            ),
            (Some(rule), _) if dropped.rejects => format!("{label} rejects {what}: `{rule}`"),
            (Some(rule), _) => format!("{label} drops {what}: `{rule}`"),
            (None, _) => format!("no rule of chain {chain} on {label} lets {what} through"),
        };
        let mut cause = self.cause(code, object, evidence, Vec::new());
        cause.origin = self.scene.origin_of_rule(ns, table, chain, rule.as_deref());
        cause.mend.push(self.let_through(ns, dropped));
        if let Some(meant) = self.scene.meant(ns).and_then(|meant| meant.tables.get(table)) {
            self.add_line(&mut cause, meant.origin, format!("`firewall:` of {label} says so"));
        } else if cause.origin.index().is_some() {
            let origin = cause.origin;
            self.add_line(&mut cause, origin, format!("`nftables:` of {label} says so"));
        }
        cause
    }

    /// Has a chain let through what it drops.
    fn let_through(&self, ns: &NsName, dropped: &Dropped) -> Mend {
        let Dropped { table, base, asks, .. } = dropped;
        let matches = match asks.map(|asks| asks.addr) {
            None => self.packets(ns, dropped),
            Some(IpAddr::V4(_)) if table.family == Family::Arp => vec!["arp ptype ip".to_owned()],
            // `ether type` would not see it behind the tag of a VLAN.
            Some(IpAddr::V4(_)) => vec!["meta protocol arp".to_owned()],
            Some(IpAddr::V6(_)) => {
                let of = "meta protocol ip6 icmpv6 type";
                ["solicit", "advert"].map(|what| format!("{of} nd-neighbor-{what}")).to_vec()
            }
        };
        let effect = match asks {
            None => Effect::LetThrough(ns.clone(), table.clone(), base.clone()),
            Some(_) => Effect::LetAsk(ns.clone(), table.clone(), base.clone()),
        };
        self.accept_first(ns, (table, base), &matches, effect)
    }

    /// Says, as nft does, which packets a chain is to let through.
    fn packets(&self, ns: &NsName, dropped: &Dropped) -> Vec<String> {
        let there = (self.walked.src, Some(self.dst));
        let mut ways = vec![there];
        // What goes through comes back the same way, through the same chain.
        if self.sees_both_ways(ns, dropped) {
            ways.push((there.1, there.0));
        }
        let protocol = if self.dst.is_ipv4() { "ip" } else { "ip6" };
        let side =
            |side: &str, addr: Option<IpAddr>| addr.map(|addr| format!("{protocol} {side} {addr}"));
        let words = |(src, dst): (Option<IpAddr>, Option<IpAddr>)| {
            let sides = [side("saddr", src), side("daddr", dst)];
            sides.into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        ways.into_iter().map(words).collect()
    }

    /// Tells whether a chain sees what goes there and what comes back.
    fn sees_both_ways(&self, ns: &NsName, dropped: &Dropped) -> bool {
        match dropped.hook {
            Hook::Prerouting | Hook::Forward | Hook::Postrouting => true,
            Hook::Ingress | Hook::Egress => {
                let mut tables = self.scene.tables(ns).into_iter();
                let table = tables.find(|table| table.id == dropped.table);
                let chain = table.and_then(|table| table.chain(&dropped.base));
                let devices = chain.and_then(|chain| chain.base.as_ref()).map(|base| &base.devices);
                devices.is_some_and(|all| {
                    all.len() > 1 || all.first().is_some_and(|one| one.ends_with('*'))
                })
            }
            Hook::Input | Hook::Output | Hook::Other(_) => false,
        }
    }
}
