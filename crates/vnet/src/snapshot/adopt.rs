//! Making what others made a lab's.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use vnet_kernel::observe::{list_marked, observe_whole};
use vnet_kernel::{Observed, Realm, execute};
use vnet_model::plan::{Conflict, plan};
use vnet_model::{
    Change, Desired, IfName, Interface, Kind, LinkSetting, Mac, Mark, NsName, Owner, State, Step,
};

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
    /// It is this lab's, and another node of it.
    OtherNode(NsName, Mark),
    /// Its `lo` has an alias of the user's, where the mark would stand.
    Alias(NsName),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(ns) => write!(f, "there is no namespace {ns}"),
            Self::Owned(ns, mark) => write!(f, "namespace {ns} belongs to lab {}", mark.lab),
            Self::OtherNode(ns, mark) => {
                write!(f, "namespace {ns} is node {} of lab {}", mark.node, mark.lab)
            }
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
            Self::OtherNode(_, mark) => {
                format!("a file in which it is node {} can say what it becomes", mark.node)
            }
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
    /// What `up` would refuse to touch even then.
    pub conflicts: Vec<Conflict>,
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    marks: Vec<Step>,
    indexes: Observed,
}

impl Lab {
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
            conflicts: Vec::new(),
            obstacles: Vec::new(),
            marks: Vec::new(),
            indexes: Observed::default(),
        };
        let wanted = desired.state.namespaces.iter().filter_map(|(name, ns)| match &ns.owner {
            Owner::Lab(mark) => Some((name.clone(), mark.clone())),
            _ => None,
        });
        let wanted: BTreeMap<NsName, Mark> = wanted.collect();
        let keys = sysctls_of(desired);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut observed = observe_whole(realm, &wanted, &keys)?;
        for (name, mark) in &wanted {
            match marked.get(name) {
                Some(theirs) if theirs.lab != mark.lab => {
                    adoption.obstacles.push(Obstacle::Owned(name.clone(), theirs.clone()));
                }
                Some(theirs) if theirs.node != mark.node => {
                    adoption.obstacles.push(Obstacle::OtherNode(name.clone(), theirs.clone()));
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
        let known = self.record()?.map(|record| record.known());
        let known: Vec<&State> = iter::once(&desired.state).chain(&known).collect();
        for (ns, mark) in &wanted {
            let Some(found) = observed.state.namespaces.get_mut(ns) else { continue };
            for (name, interface) in found.interfaces.iter_mut() {
                let known = known.iter().filter_map(|state| state.namespaces.get(ns));
                let mut known = known.filter_map(|ns| ns.interfaces.get(name));
                interface.ours = interface.kind == Kind::Loopback
                    || interface.mac == Some(Mac::derive(&mark.lab, &mark.node, name))
                    || known.any(|known| is_known_as(interface, known));
            }
        }
        let plan = plan(desired, &observed.state);
        (adoption.differs, adoption.conflicts) = (plan.steps, plan.conflicts);
        adoption.indexes = observed;
        Ok(adoption)
    }

    /// Takes over what exists: writes down that it is meant, and marks the namespaces as the lab's.
    ///
    /// Nothing else changes. A kill leaves a record of which some namespaces do not know yet; to do
    /// it again goes on, and `down` removes those that know.
    ///
    /// # Errors
    /// [`Error::Obstacles`] and [`Error::Conflicts`] before anything is touched; when a mark can't be set.
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
        if !adoption.conflicts.is_empty() {
            return Err(Error::Conflicts { conflicts: adoption.conflicts });
        }
        // What the lab is known to own, after an `up` that was killed too, goes on to be its own.
        let known = self.record()?.map(|record| record.known());
        let previous = known.filter(|known| *known != desired.state);
        let record = Record::new(desired.clone(), previous, self.file.clone());
        self.dir.write_record(&record, true)?;
        execute(self.realm()?, &adoption.indexes, &adoption.marks)?;
        Ok(adoption)
    }
}

/// Tells whether an interface will be known as the lab's once the record has one of its name: all
/// others are undeclared then, and stay.
fn is_known_as(interface: &Interface, known: &Interface) -> bool {
    let spec = |interface: &Interface| interface.kind.device().map(|device| device.spec);
    match known.mac {
        Some(mac) => interface.mac == Some(mac),
        // Of a kind that has none of its own: the record alone knows it.
        None => spec(interface).is_some() && spec(known) == spec(interface),
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
