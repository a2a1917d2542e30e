//! From what exists to a file, and making it a lab's.

mod adopt;

use std::collections::{BTreeMap, BTreeSet};

use vnet_kernel::Realm;
use vnet_kernel::observe::{alias_of_lo, beyond, observe_whole};
use vnet_model::snapshot::{self, SYSCTLS, Snapshot};
use vnet_model::{LabName, Mark, NsName, State};

pub use adopt::{Adoption, Obstacle};

use crate::error::Error;
use crate::lab::Lab;

/// Tells whether a name is one that a pattern means: `*` stands for anything, `?` for one character.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            let mut starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.any(|at| matches(rest, &name[at..]))
        }
        Some(first) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|letter| first == '?' || first == letter)
                && matches(&pattern[first.len_utf8()..], letters.as_str())
        }
    }
}

impl Lab {
    /// Reads what exists in namespaces whose names match, whoever made them, and in those that
    /// processes are in, as a topology of this lab. CAP_SYS_ADMIN and CAP_NET_ADMIN, or a keeper;
    /// CAP_SYS_PTRACE for other users' processes.
    ///
    /// The namespace of a process that is pinned goes by its name, and else by the number of the
    /// process: `pid123`.
    ///
    /// # Errors
    /// When a namespace can't be read, or there is no such process; [`Error::NotUp`] where no keeper
    /// runs.
    pub fn snapshot(&self, pattern: &str, pids: &[u32]) -> Result<Snapshot, Error> {
        let realm = self.realm()?;
        let pinned = realm.names().map_err(Error::from)?;
        let mut names: BTreeSet<NsName> =
            pinned.iter().filter(|name| matches(pattern, name.as_str())).cloned().collect();
        names.extend(of_processes(realm, &pinned, pids)?);
        let marks = snapshot::marks(self.name(), &names);
        let mut observed = observe_whole(realm, &marks, &SYSCTLS)?;
        let beyond = beyond(realm, &mut observed)?;
        let read: Vec<NsName> = observed.state.namespaces.keys().cloned().collect();
        let unpinned: Vec<u32> = names.iter().filter_map(NsName::process).collect();
        for pid in &unpinned {
            name_after_process(&mut observed.state, *pid);
        }
        let mut seen = snapshot::snapshot(self.name(), &observed.state)
            .map_err(|problems| Error::Snapshot { problems })?;
        seen.left_out.extend(beyond);
        for (ns, facts) in vnet_kernel::observe::survey::survey(realm, &read)?.namespaces {
            let filters = facts.filters.into_iter();
            seen.left_out.extend(filters.map(|table| format!("the packet filter {table} in {ns}")));
        }
        for ns in &read {
            let alias = alias_of_lo(realm, ns)?.filter(|alias| Mark::parse(alias).is_none());
            seen.left_out.extend(alias.map(|_| format!("the alias of lo in {ns}")));
        }
        let unnamed = names.iter().filter(|name| !marks.contains_key(*name));
        seen.left_out
            .extend(unnamed.map(|name| format!("namespace {name}: no node can be called so")));
        seen.left_out.extend(unpinned.iter().map(|pid| {
            let name = snapshot::name_of_process(*pid);
            format!("{name} has no name yet: `ip netns attach {name} {pid}` gives it that one")
        }));
        Ok(seen)
    }
}

/// Returns the names of the namespaces that processes are in: each once, and by its pin where it has
/// one.
fn of_processes(realm: &Realm, pinned: &[NsName], pids: &[u32]) -> Result<Vec<NsName>, Error> {
    let asked: Vec<NsName> = pids.iter().map(|pid| NsName::of_process(*pid)).collect();
    let all: Vec<NsName> = pinned.iter().chain(&asked).cloned().collect();
    let identities = if pids.is_empty() { BTreeMap::new() } else { realm.identities(&all)? };
    let of = |name: &NsName| {
        let own = identities
            .get(name)
            .ok_or_else(|| Error::from(vnet_kernel::Error::Gone { ns: name.clone() }))?;
        let same = all.iter().find(|other| identities.get(*other) == Some(own));
        Ok(same.unwrap_or(name).clone())
    };
    asked.iter().map(of).collect()
}

/// Gives the namespace of a process the name by which it would be pinned, where that is free.
fn name_after_process(state: &mut State, pid: u32) {
    let (name, new) = (NsName::of_process(pid), snapshot::name_of_process(pid));
    let Some(new) = NsName::new(&new).ok().filter(|new| !state.namespaces.contains_key(new)) else {
        return;
    };
    if let Some(ns) = state.namespaces.remove(&name) {
        state.namespaces.insert(new.clone(), ns);
    }
    let interfaces = state.namespaces.values_mut().flat_map(|ns| ns.interfaces.values_mut());
    for interface in interfaces {
        if let Some(peer) = interface.kind.peer_mut().filter(|peer| peer.ns == name) {
            peer.ns = new.clone();
        }
    }
}

/// Returns the name of a lab for namespaces that have a common beginning before a dash; `snapshot`
/// where they have none.
#[must_use]
pub fn lab_name(names: &[NsName]) -> LabName {
    let beginning = |name: &NsName| name.as_str().split_once('-').map(|(lab, _)| lab.to_owned());
    let mut beginnings = names.iter().map(beginning);
    let first = beginnings.next().flatten();
    let common = first.filter(|first| beginnings.all(|other| other.as_ref() == Some(first)));
    common.and_then(|name| LabName::new(&name).ok()).unwrap_or_else(default_lab)
}

#[expect(clippy::expect_used, reason = "`snapshot` is a valid lab name")]
fn default_lab() -> LabName {
    LabName::new("snapshot").expect("it is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_a_shells() {
        for (pattern, name, is_meant) in [
            ("*", "vnet0", true),
            ("vnet?", "vnet0", true),
            ("vnet?", "vnet10", false),
            ("*-r*", "demo-r1", true),
            ("", "a", false),
            ("ä*", "äb", true),
        ] {
            assert_eq!(matches(pattern, name), is_meant, "{pattern} {name}");
        }
    }

    #[test]
    fn a_common_beginning_names_the_lab() {
        let names = |list: &[&str]| -> Vec<NsName> {
            list.iter().map(|name| NsName::new(name).unwrap()).collect()
        };
        assert_eq!(lab_name(&names(&["demo-a", "demo-b"])).as_str(), "demo");
        assert_eq!(lab_name(&names(&["demo-a", "b"])).as_str(), "snapshot");
        assert_eq!(lab_name(&[]).as_str(), "snapshot");
    }
}
