//! The namespaces of a state.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Namespace;
use crate::names::NsName;

/// The namespaces of a state by their names: a `BTreeMap` whose values are shared by the copies of a
/// state until one of them changes one.
///
/// A change of one link of a lab handles six states of it (what is wanted, what was, what is there,
/// what will be), which differ in two namespaces: copying all of 10,000 took a third of a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeMap<NsName, Arc<Namespace>>);

impl Namespaces {
    /// Makes an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds a namespace.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&Namespace>
    where
        NsName: Borrow<Q>,
    {
        self.0.get(name).map(Arc::as_ref)
    }

    /// Finds a namespace, and its name as it stands here.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, name: &Q) -> Option<(&NsName, &Namespace)>
    where
        NsName: Borrow<Q>,
    {
        self.0.get_key_value(name).map(|(name, ns)| (name, ns.as_ref()))
    }

    /// Finds a namespace to change it; copies it where another state has it too.
    #[must_use]
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<&mut Namespace>
    where
        NsName: Borrow<Q>,
    {
        self.0.get_mut(name).map(Arc::make_mut)
    }

    /// Tells whether there is such a namespace.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        NsName: Borrow<Q>,
    {
        self.0.contains_key(name)
    }

    /// Puts a namespace in, in the place of the one that had its name.
    pub fn insert(&mut self, name: NsName, namespace: Namespace) {
        self.0.insert(name, Arc::new(namespace));
    }

    /// Takes a namespace out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<Namespace>
    where
        NsName: Borrow<Q>,
    {
        self.0.remove(name).map(Arc::unwrap_or_clone)
    }

    /// Finds a namespace to change it, or puts one in.
    pub fn get_or_insert_with(
        &mut self,
        name: NsName,
        namespace: impl FnOnce() -> Namespace,
    ) -> &mut Namespace {
        Arc::make_mut(self.0.entry(name).or_insert_with(|| Arc::new(namespace())))
    }

    /// Keeps only some of them.
    pub fn retain(&mut self, mut keeps: impl FnMut(&NsName, &Namespace) -> bool) {
        self.0.retain(|name, namespace| keeps(name, namespace));
    }

    /// Takes over all of another map, in the place of what had their names.
    pub fn append(&mut self, others: &mut Self) {
        self.0.append(&mut others.0);
    }

    /// Returns those of these names, shared with this map.
    #[must_use]
    pub fn only<'n>(&self, names: impl IntoIterator<Item = &'n NsName>) -> Self {
        let part = names.into_iter().filter_map(|name| self.0.get_key_value(name));
        Self(part.map(|(name, ns)| (name.clone(), Arc::clone(ns))).collect())
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lists them by name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// Lists their names in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &NsName> + ExactSizeIterator + Clone {
        self.0.keys()
    }

    /// Lists them without their names.
    pub fn values(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Namespace> + ExactSizeIterator + Clone {
        self.0.values().map(Arc::as_ref)
    }

    /// Lists them to change them; copies all that other states have too.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&NsName, &mut Namespace)> {
        self.0.iter_mut().map(|(name, ns)| (name, Arc::make_mut(ns)))
    }

    /// Lists them without their names to change them; copies all that other states have too.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Namespace> {
        self.0.values_mut().map(Arc::make_mut)
    }
}

/// Namespaces by name.
#[derive(Debug, Clone)]
pub struct Iter<'a>(btree_map::Iter<'a, NsName, Arc<Namespace>>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a NsName, &'a Namespace);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, namespace)| (name, namespace.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Namespaces {
    type Item = (&'a NsName, &'a Namespace);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Namespaces {
    type Item = (NsName, Namespace);
    type IntoIter = std::iter::Map<
        btree_map::IntoIter<NsName, Arc<Namespace>>,
        fn((NsName, Arc<Namespace>)) -> (NsName, Namespace),
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(name, namespace)| (name, Arc::unwrap_or_clone(namespace)))
    }
}

impl<Q: Ord + ?Sized> Index<&Q> for Namespaces
where
    NsName: Borrow<Q>,
{
    type Output = Namespace;

    fn index(&self, name: &Q) -> &Namespace {
        &self.0[name]
    }
}

impl Extend<(NsName, Namespace)> for Namespaces {
    fn extend<T: IntoIterator<Item = (NsName, Namespace)>>(&mut self, namespaces: T) {
        self.0.extend(namespaces.into_iter().map(|(name, ns)| (name, Arc::new(ns))));
    }
}

impl FromIterator<(NsName, Namespace)> for Namespaces {
    fn from_iter<T: IntoIterator<Item = (NsName, Namespace)>>(namespaces: T) -> Self {
        Self(namespaces.into_iter().map(|(name, ns)| (name, Arc::new(ns))).collect())
    }
}

impl<const N: usize> From<[(NsName, Namespace); N]> for Namespaces {
    fn from(namespaces: [(NsName, Namespace); N]) -> Self {
        namespaces.into_iter().collect()
    }
}

impl Serialize for Namespaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let namespaces = BTreeMap::<NsName, Namespace>::deserialize(deserializer)?;
        Ok(namespaces.into_iter().collect())
    }
}
