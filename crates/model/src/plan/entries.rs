//! What differs in rules, neighbours and nexthop objects.

use super::Planner;
use crate::names::NsName;
use crate::state::{Entry, Namespace, NexthopKind};
use crate::step::Change;

impl Planner<'_> {
    /// Sets the rules and neighbours that are missing, and removes those of ours that are not
    /// wanted.
    pub(super) fn entries(&mut self, ns: &NsName, wanted: &Namespace) {
        self.set_entries(ns, wanted, |entry| entry.nexthop_id().is_none());
        self.del_entries(ns, wanted, |entry| entry.nexthop_id().is_none());
    }

    /// Does the same with nexthop objects and the routes that go by them. Last of all: the kernel
    /// takes none over an interface without a carrier, so both ends of each link must be up.
    pub(super) fn nexthops(&mut self) {
        let has = |ns: &Namespace| ns.entries.iter().any(|entry| entry.nexthop_id().is_some());
        for (ns, wanted) in &self.target.namespaces {
            let found = self.work.namespaces.get(ns);
            if has(wanted) || found.is_some_and(has) {
                self.set_entries(ns, wanted, |entry| entry.nexthop_id().is_some());
                self.add_routes(ns, wanted, |route| route.nhid.is_some());
                self.del_entries(ns, wanted, |entry| entry.nexthop_id().is_some());
            }
        }
    }

    /// Gives a namespace back the rules that it was born with, before anything that needs a route:
    /// a gateway is looked for by them.
    pub(super) fn rules_again(&mut self, ns: &NsName, wanted: &Namespace) {
        let Some(found) = self.work.namespaces.get(ns) else { return };
        let again: Vec<_> = found.lost_rules.difference(&wanted.lost_rules).cloned().collect();
        for rule in again {
            self.push(ns, Change::SetEntry(Entry::Rule(rule)), wanted.origin);
        }
    }

    /// Takes away those that were missing in the state to go back to, after all that needs a route.
    pub(super) fn rules_lost(&mut self, ns: &NsName, wanted: &Namespace) {
        let Some(found) = self.work.namespaces.get(ns) else { return };
        let lost: Vec<_> = wanted.lost_rules.difference(&found.lost_rules).cloned().collect();
        for rule in lost {
            self.push(ns, Change::DelEntry(Entry::Rule(rule)), wanted.origin);
        }
    }

    fn set_entries(&mut self, ns: &NsName, wanted: &Namespace, which: fn(&Entry) -> bool) {
        let mut missing: Vec<&Entry> = wanted.entries.iter().filter(|entry| which(entry)).collect();
        // The members of a group before it.
        let is_group = |entry: &Entry| matches!(entry, Entry::Nexthop(it) if matches!(it.kind, NexthopKind::Group(_)));
        missing.sort_by_key(|entry| is_group(entry));
        for entry in missing {
            let Some(found) = self.work.namespaces.get(ns) else { return };
            if found.entries.contains(entry) || found.foreign.contains(entry) {
                continue;
            }
            let mut all = found.entries.iter().chain(&found.foreign);
            let there = all.find(|other| other.same_key(entry)).cloned();
            if let (Some(Entry::Nexthop(it)), Entry::Nexthop(wanted)) = (&there, entry)
                && !it.can_become(wanted)
            {
                let there = Entry::Nexthop(it.clone());
                self.push(ns, Change::DelEntry(there), entry.origin());
            }
            self.push(ns, Change::SetEntry(entry.clone()), entry.origin());
        }
    }

    fn del_entries(&mut self, ns: &NsName, wanted: &Namespace, which: fn(&Entry) -> bool) {
        let found = self.work.namespaces.get(ns).map(|ns| &ns.entries);
        let is_extra = |entry: &&Entry| which(entry) && !wanted.entries.contains(*entry);
        let extra: Vec<Entry> = found.into_iter().flatten().filter(is_extra).cloned().collect();
        for entry in extra {
            // A group goes with its last member.
            let there = self.work.namespaces.get(ns).is_some_and(|ns| ns.entries.contains(&entry));
            if there {
                self.push(ns, Change::DelEntry(entry), wanted.origin);
            }
        }
    }
}
