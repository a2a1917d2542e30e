//! What VRFs keep apart.

use std::collections::BTreeMap;

use vnet_model::{End, IfName, NsName};

use crate::scene::Scene;

/// What links join: namespaces, and what in them has tables of its own.
pub(super) struct Vrfs<'s, 'a> {
    scene: &'s Scene<'a>,
    namespaces: Groups<NsName>,
    instances: Groups<(NsName, Option<IfName>)>,
}

impl<'s, 'a> Vrfs<'s, 'a> {
    pub(super) fn of(scene: &'s Scene<'a>, wires: &[Vec<End>]) -> Self {
        let (namespaces, instances) = Default::default();
        let mut vrfs = Self { scene, namespaces, instances };
        for wire in wires {
            vrfs.namespaces.join(wire.iter().map(|end| end.ns.clone()));
            vrfs.instances.join(wire.iter().map(|end| instance(scene, end)));
        }
        vrfs
    }

    /// Tells whether VRFs alone keep one interface from the other.
    pub(super) fn keep_apart(&self, one: &End, other: &End) -> bool {
        let [first, second] = [one, other].map(|end| instance(self.scene, end));
        self.namespaces.are_joined(&one.ns, &other.ns)
            && !self.instances.are_joined(&first, &second)
    }
}

fn instance(scene: &Scene<'_>, end: &End) -> (NsName, Option<IfName>) {
    (end.ns.clone(), scene.vrf_of(&end.ns, &end.name))
}

/// What is joined, step by step: each knows the number of its group, and the smaller group is renamed.
struct Groups<T> {
    of: BTreeMap<T, usize>,
    members: Vec<Vec<T>>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), members: Vec::new() }
    }
}

impl<T: Ord + Clone> Groups<T> {
    fn join(&mut self, all: impl Iterator<Item = T>) {
        let mut joined: Option<usize> = None;
        for one in all {
            let group = self.group(one);
            joined = Some(joined.map_or(group, |joined| self.merge(joined, group)));
        }
    }

    fn group(&mut self, one: T) -> usize {
        let Self { of, members } = self;
        *of.entry(one.clone()).or_insert_with(|| {
            members.push(vec![one]);
            members.len() - 1
        })
    }

    fn merge(&mut self, one: usize, other: usize) -> usize {
        if one == other {
            return one;
        }
        let is_larger = self.members[one].len() >= self.members[other].len();
        let (kept, gone) = if is_larger { (one, other) } else { (other, one) };
        for member in std::mem::take(&mut self.members[gone]) {
            self.of.insert(member.clone(), kept);
            self.members[kept].push(member);
        }
        kept
    }

    fn are_joined(&self, one: &T, other: &T) -> bool {
        match (self.of.get(one), self.of.get(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }
}
