//! From what exists to a file, and making it a lab's.

mod adopt;

use std::collections::BTreeSet;

use vnet_kernel::observe::{alias_of_lo, beyond, observe_whole};
use vnet_model::snapshot::{self, SYSCTLS, Snapshot};
use vnet_model::{LabName, Mark, NsName};

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
        let mut observed = observe_whole(realm, &marks, &SYSCTLS)?;
        let beyond = beyond(realm, &mut observed)?;
        let mut seen = snapshot::snapshot(self.name(), &observed.state)
            .map_err(|problems| Error::Snapshot { problems })?;
        seen.left_out.extend(beyond);
        let read: Vec<NsName> = observed.state.namespaces.keys().cloned().collect();
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
        Ok(seen)
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
