//! Where a thing was asked for.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// The place that asked for an object: a key into the span table of whoever read the text.
///
/// It travels from a line of the file to the step that the line causes, so that a kernel error can
/// be shown under that line. It never takes part in a comparison: two objects that differ only in
/// origin are the same object, so all origins are equal and hash alike.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(u32);

impl Origin {
    /// Nothing is known of where it was asked for.
    pub const NONE: Self = Self(0);

    /// Makes the origin with the given place in a span table.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index + 1).unwrap_or(0))
    }

    /// Returns the place in the span table.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        self.0.checked_sub(1).map(|index| index as usize)
    }

    /// Returns this origin, or `other` where this one is unknown.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.0 == 0 { other } else { self }
    }
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Origin {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Where each of several things was asked for, by name. As [`Origin`], it takes no part in comparisons.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Notes where a thing was asked for.
    pub fn insert(&mut self, name: String, origin: Origin) {
        self.0.insert(name, origin);
    }

    /// Returns where a thing was asked for.
    #[must_use]
    pub fn get(&self, name: &str) -> Origin {
        self.0.get(name).copied().unwrap_or(Origin::NONE)
    }
}

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origins {}
