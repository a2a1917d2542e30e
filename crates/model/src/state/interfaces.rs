//! The interfaces of a namespace.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::ops::Index;

use serde::{Deserialize, Serialize};

use super::Interface;
use crate::names::IfName;

/// The interfaces of a namespace by their names: a `BTreeMap` in which each has a box of its own.
///
/// A node of a `BTreeMap` has room for eleven values, and most namespaces have two or three
/// interfaces: unboxed, they would take three times the memory, which is most of what a state takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interfaces(BTreeMap<IfName, Box<Interface>>);

impl Interfaces {
    /// Makes an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds an interface.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&Interface>
    where
        IfName: Borrow<Q>,
    {
        self.0.get(name).map(Box::as_ref)
    }

    /// Finds an interface, and its name as it stands here.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, name: &Q) -> Option<(&IfName, &Interface)>
    where
        IfName: Borrow<Q>,
    {
        self.0.get_key_value(name).map(|(name, interface)| (name, interface.as_ref()))
    }

    /// Finds an interface to change it.
    #[must_use]
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<&mut Interface>
    where
        IfName: Borrow<Q>,
    {
        self.0.get_mut(name).map(Box::as_mut)
    }

    /// Tells whether there is such an interface.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        IfName: Borrow<Q>,
    {
        self.0.contains_key(name)
    }

    /// Puts an interface in; returns the one that had its name.
    pub fn insert(&mut self, name: IfName, interface: Interface) -> Option<Interface> {
        self.0.insert(name, Box::new(interface)).map(|before| *before)
    }

    /// Takes an interface out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<Interface>
    where
        IfName: Borrow<Q>,
    {
        self.0.remove(name).map(|interface| *interface)
    }

    /// Finds an interface, or puts one in.
    pub fn get_or_insert_with(
        &mut self,
        name: IfName,
        interface: impl FnOnce() -> Interface,
    ) -> &mut Interface {
        self.0.entry(name).or_insert_with(|| Box::new(interface()))
    }

    /// Keeps only some of them.
    pub fn retain(&mut self, mut keeps: impl FnMut(&IfName, &Interface) -> bool) {
        self.0.retain(|name, interface| keeps(name, interface));
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
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &IfName> + ExactSizeIterator + Clone {
        self.0.keys()
    }

    /// Lists them without their names.
    pub fn values(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Interface> + ExactSizeIterator + Clone {
        self.0.values().map(Box::as_ref)
    }

    /// Lists them to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&IfName, &mut Interface)> {
        self.0.iter_mut().map(|(name, interface)| (name, interface.as_mut()))
    }

    /// Lists them without their names to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Interface> {
        self.0.values_mut().map(Box::as_mut)
    }
}

/// Interfaces by name.
#[derive(Debug, Clone)]
pub struct Iter<'a>(btree_map::Iter<'a, IfName, Box<Interface>>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a IfName, &'a Interface);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, interface)| (name, interface.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Interfaces {
    type Item = (&'a IfName, &'a Interface);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<Q: Ord + ?Sized> Index<&Q> for Interfaces
where
    IfName: Borrow<Q>,
{
    type Output = Interface;

    fn index(&self, name: &Q) -> &Interface {
        &self.0[name]
    }
}

impl FromIterator<(IfName, Interface)> for Interfaces {
    fn from_iter<T: IntoIterator<Item = (IfName, Interface)>>(interfaces: T) -> Self {
        let boxed = interfaces.into_iter().map(|(name, interface)| (name, Box::new(interface)));
        Self(boxed.collect())
    }
}
