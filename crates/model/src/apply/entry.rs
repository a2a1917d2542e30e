//! Rules, neighbours and nexthop objects: what the kernel accepts, and what it takes away of itself.

use super::Refused;
use crate::facts::PolicyRule;
use crate::names::{IfName, NsName};
use crate::state::{Entry, Kind, Namespace, NexthopKind, NexthopObject, Rule, State};

impl State {
    pub(super) fn set_entry(&mut self, ns: &NsName, entry: &Entry) -> Result<(), Refused> {
        if let Entry::Nexthop(object) = entry {
            self.check_nexthop(ns, object)?;
        }
        self.namespace_mut(ns)?.set_entry(entry)
    }

    /// Nexthop objects want a carrier (`rtm_to_nh_config`, net/ipv4/nexthop.c): a cable has one while
    /// both ends are up.
    fn check_nexthop(&self, ns: &NsName, object: &NexthopObject) -> Result<(), Refused> {
        let missing = || Refused::Missing(format!("namespace {ns}"));
        let here = self.namespaces.get(ns).ok_or_else(missing)?;
        match &object.kind {
            NexthopKind::Blackhole => Ok(()),
            NexthopKind::Group(members) => {
                let lacks = |id: u32| here.nexthop(id).is_none();
                match members.iter().find(|(id, _)| lacks(*id)) {
                    Some((id, _)) => Err(Refused::Missing(format!("nexthop id {id}"))),
                    None => Ok(()),
                }
            }
            NexthopKind::Leg(leg) => {
                here.check_hop(leg)?;
                match self.has_carrier(ns, &leg.dev) {
                    true => Ok(()),
                    false => Err(Refused::Unreachable(format!("{} has no carrier and", leg.dev))),
                }
            }
        }
    }

    fn has_carrier(&self, ns: &NsName, dev: &IfName) -> bool {
        let kind = self.namespaces.get(ns).and_then(|ns| Some(&ns.interfaces.get(dev)?.kind));
        let Some(peer) = kind.and_then(Kind::peer) else { return true };
        let peer = self.namespaces.get(&peer.ns).and_then(|ns| ns.interfaces.get(&peer.name));
        peer.is_none_or(|peer| peer.up)
    }

    /// Takes the nexthop objects at the far end of a cable whose carrier this end has taken away
    /// (`nh_netdev_event`, net/ipv4/nexthop.c).
    pub(super) fn carrier_follows(&mut self, ns: &NsName, dev: &IfName) {
        let interface = self.namespaces.get(ns).and_then(|ns| ns.interfaces.get(dev));
        let Some(interface) = interface.filter(|interface| !interface.up) else { return };
        let Some(peer) = interface.kind.peer().cloned() else { return };
        if let Some(there) = self.namespaces.get_mut(&peer.ns) {
            there.lose_entries(&peer.name, |entry| matches!(entry, Entry::Nexthop(_)));
        }
    }
}

impl Namespace {
    fn set_entry(&mut self, entry: &Entry) -> Result<(), Refused> {
        if entry.dev().is_some_and(|dev| !self.interfaces.contains_key(dev)) {
            return Err(Refused::Missing(format!("the interface of {entry}")));
        }
        if matches!(entry, Entry::Rule(rule) if self.lost_rules.remove(rule)) {
            return Ok(());
        }
        let mut all = self.entries.iter().chain(&self.foreign);
        match all.find(|other| other.same_key(entry)) {
            Some(Entry::Rule(_)) => return Err(Refused::Exists(entry.to_string())),
            Some(Entry::Nexthop(found)) if matches!(entry, Entry::Nexthop(it) if !found.can_become(it)) =>
            {
                return Err(Refused::Invalid(format!("{entry} is of another kind")));
            }
            _ => {}
        }
        self.entries.retain(|other| !other.same_key(entry));
        self.foreign.retain(|other| !other.same_key(entry));
        self.entries.insert(entry.clone());
        Ok(())
    }

    pub(super) fn del_entry(&mut self, entry: &Entry) -> Result<(), Refused> {
        let is_born = |rule: &Rule| PolicyRule::born().iter().any(|born| born.rule == *rule);
        if let Entry::Rule(rule) = entry
            && is_born(rule)
            && self.lost_rules.insert(rule.clone())
        {
            return Ok(());
        }
        if !self.entries.remove(entry) && !self.foreign.remove(entry) {
            return Err(Refused::Missing(entry.to_string()));
        }
        if let Entry::Nexthop(object) = entry {
            self.lost_nexthop(object.id);
        }
        Ok(())
    }

    /// Removes the entries on an interface that has gone, or gone down.
    pub(super) fn lose_entries(&mut self, dev: &IfName, which: impl Fn(&Entry) -> bool) {
        if self.entries.is_empty() && self.foreign.is_empty() {
            return;
        }
        let lost = |entry: &Entry| entry.dev() == Some(dev) && which(entry);
        let all = self.entries.iter().chain(&self.foreign);
        let ids: Vec<u32> = all.filter(|entry| lost(entry)).filter_map(Entry::nexthop_id).collect();
        self.entries.retain(|entry| !lost(entry));
        self.foreign.retain(|entry| !lost(entry));
        ids.into_iter().for_each(|id| self.lost_nexthop(id));
    }

    /// Takes away what hangs on a nexthop object that is gone: its routes, its place in groups, and
    /// groups that have no other member (`__remove_nexthop`, net/ipv4/nexthop.c).
    fn lost_nexthop(&mut self, id: u32) {
        self.routes.retain(|route| route.nhid != Some(id));
        let has = |entry: &&Entry| matches!(entry, Entry::Nexthop(it) if it.has_member(id));
        let groups: Vec<Entry> = self.entries.iter().filter(has).cloned().collect();
        for group in groups {
            self.entries.remove(&group);
            let Entry::Nexthop(mut object) = group else { continue };
            let NexthopKind::Group(members) = &mut object.kind else { continue };
            members.retain(|(member, _)| *member != id);
            match members.is_empty() {
                true => self.lost_nexthop(object.id),
                false => drop(self.entries.insert(Entry::Nexthop(object))),
            }
        }
    }
}
