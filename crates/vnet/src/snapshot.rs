//! From what exists to a file, and making it a lab's.

use std::collections::BTreeSet;

use vnet_kernel::observe::{list_marked, observe_whole};
use vnet_kernel::{Realm, execute};
use vnet_model::snapshot::{self, SYSCTLS, Snapshot};
use vnet_model::{Change, Desired, IfName, LabName, LinkSetting, Mark, NsName, Owner, Step};

use crate::error::Error;
use crate::lab::Lab;
use crate::record::Record;

/// Why something that exists can't be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such namespace.
    Missing(NsName),
    /// It is another lab's.
    Owned(NsName, Mark),
    /// Its `lo` has an alias of the user's, where the mark would stand.
    Alias(NsName),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(ns) => write!(f, "there is no namespace {ns}"),
            Self::Owned(ns, mark) => write!(f, "namespace {ns} belongs to lab {}", mark.lab),
            Self::Alias(ns) => {
                write!(f, "`lo` in namespace {ns} has an alias, where the lab's mark would stand")
            }
        }
    }
}

impl Obstacle {
    /// Returns what can be done about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(_) => "`vnet snapshot` writes a file of what exists".to_owned(),
            Self::Owned(_, mark) => format!("`vnet -l {} down` removes that lab", mark.lab),
            Self::Alias(ns) => format!("`ip -n {ns} link set lo alias ''` takes it away"),
        }
    }
}

/// What taking over means.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The namespaces that get the lab's mark.
    pub namespaces: Vec<NsName>,
    /// What `up` would change then.
    pub differs: Vec<Step>,
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    marks: Vec<Step>,
    indexes: vnet_kernel::Observed,
}

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
    /// Reads what exists in namespaces whose names match, whoever made them, as a topology of this
    /// lab. CAP_SYS_ADMIN and CAP_NET_ADMIN, or a keeper.
    ///
    /// # Errors
    /// When a namespace can't be read; [`Error::NotUp`] where no keeper runs.
    pub fn snapshot(&self, pattern: &str) -> Result<Snapshot, Error> {
        let realm = self.realm()?;
        let names: BTreeSet<NsName> = realm
            .names()
            .map_err(Error::from)?
            .into_iter()
            .filter(|name| matches(pattern, name.as_str()))
            .collect();
        let marks = snapshot::marks(self.name(), &names);
        let observed = observe_whole(realm, &marks, &SYSCTLS)?;
        let mut seen = snapshot::snapshot(self.name(), &observed.state)
            .map_err(|problems| Error::Snapshot { problems })?;
        let read: Vec<NsName> = observed.state.namespaces.keys().cloned().collect();
        for (ns, facts) in vnet_kernel::observe::survey::survey(realm, &read)?.namespaces {
            let filters = facts.filters.into_iter();
            seen.left_out.extend(filters.map(|table| format!("the packet filter {table} in {ns}")));
        }
        let unnamed = names.iter().filter(|name| !marks.contains_key(*name));
        seen.left_out
            .extend(unnamed.map(|name| format!("namespace {name}: no node can be called so")));
        Ok(seen)
    }

    /// Finds out what it means to take over what exists: all namespaces that `desired` names.
    ///
    /// # Errors
    /// When a namespace can't be read; [`Error::NotUp`] where no keeper runs.
    pub fn adoption(&self, desired: &Desired) -> Result<Adoption, Error> {
        let realm = self.realm()?;
        let marked = list_marked(realm)?;
        let mut adoption = Adoption {
            namespaces: Vec::new(),
            differs: Vec::new(),
            obstacles: Vec::new(),
            marks: Vec::new(),
            indexes: vnet_kernel::Observed::default(),
        };
        let wanted = desired.state.namespaces.iter().filter_map(|(name, ns)| match &ns.owner {
            Owner::Lab(mark) => Some((name.clone(), mark.clone())),
            _ => None,
        });
        let wanted: std::collections::BTreeMap<NsName, Mark> = wanted.collect();
        let keys = sysctls_of(desired);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut observed = observe_whole(realm, &wanted, &keys)?;
        for (name, mark) in &wanted {
            match marked.get(name) {
                Some(theirs) if theirs.lab != mark.lab => {
                    adoption.obstacles.push(Obstacle::Owned(name.clone(), theirs.clone()));
                }
                Some(_) => {}
                None if !observed.state.namespaces.contains_key(name) => {
                    adoption.obstacles.push(Obstacle::Missing(name.clone()));
                }
                None if has_alias(realm, name)? => {
                    adoption.obstacles.push(Obstacle::Alias(name.clone()));
                }
                None => {
                    adoption.namespaces.push(name.clone());
                    adoption.marks.push(set_mark(name, mark));
                }
            }
        }
        for ns in observed.state.namespaces.values_mut() {
            ns.interfaces.values_mut().for_each(|interface| interface.ours = true);
        }
        adoption.differs = vnet_model::plan::plan(desired, &observed.state).steps;
        adoption.indexes = observed;
        Ok(adoption)
    }

    /// Takes over what exists: writes down that it is meant, and marks the namespaces as the lab's.
    ///
    /// Nothing else changes. A kill leaves a record of which some namespaces do not know yet; to do
    /// it again goes on, and `down` removes those that know.
    ///
    /// # Errors
    /// [`Error::Obstacles`] before anything is touched; when a mark can't be set.
    pub fn adopt(&mut self, desired: &Desired) -> Result<Adoption, Error> {
        let lock = self.lock()?;
        let result = self.adopt_locked(desired);
        if result.is_err() && !self.dir.has_record() {
            // Nothing of the lab exists; the folder goes last, since with it goes the lock.
            let _ = self.dir.remove(&lock);
        }
        result
    }

    fn adopt_locked(&mut self, desired: &Desired) -> Result<Adoption, Error> {
        let adoption = self.adoption(desired)?;
        if !adoption.obstacles.is_empty() {
            return Err(Error::Obstacles { obstacles: adoption.obstacles });
        }
        let record = Record::new(desired.clone(), None, self.file.clone());
        self.dir.write_record(&record, true)?;
        execute(self.realm()?, &adoption.indexes, &adoption.marks)?;
        Ok(adoption)
    }
}

fn set_mark(name: &NsName, mark: &Mark) -> Step {
    let set = LinkSetting::Alias(Some(mark.to_string()));
    Step::new(name.clone(), Change::SetLink { name: lo(), set })
}

#[expect(clippy::expect_used, reason = "`lo` is a valid interface name")]
fn lo() -> IfName {
    IfName::new(vnet_model::apply::LOOPBACK).expect("it is valid")
}

/// Returns all sysctls that are declared, of any namespace.
fn sysctls_of(desired: &Desired) -> BTreeSet<String> {
    desired.state.namespaces.values().flat_map(|ns| ns.sysctls.keys().cloned()).collect()
}

/// Tells whether the `lo` of a namespace has an alias.
fn has_alias(realm: &Realm, name: &NsName) -> Result<bool, Error> {
    Ok(vnet_kernel::observe::alias_of_lo(realm, name)?.is_some())
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
