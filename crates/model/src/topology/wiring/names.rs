//! What interfaces are called.

use std::collections::HashMap;

use crate::mac::stable_hash;
use crate::names::{IF_NAME_MAX_BYTES, IfName, NodeName};
use crate::topology::Endpoint;

/// The name of an interface to be made.
#[derive(Debug)]
pub(crate) struct Named {
    /// What the kernel takes.
    pub(crate) name: IfName,
    /// What had to be shortened to it.
    pub(super) full: Option<String>,
    /// Whether the file does not name it.
    pub(super) derived: bool,
}

impl Named {
    pub(super) fn given(name: &IfName) -> Self {
        Self { name: name.clone(), full: None, derived: false }
    }
}

/// The number of cables between two places, by their indices in order.
pub(super) type Cables = HashMap<(usize, usize), usize>;

pub(super) fn count_cable(cables: &mut Cables, a: usize, b: usize) -> usize {
    let count = cables.entry((a.min(b), a.max(b))).or_default();
    *count += 1;
    *count
}

/// Names an end: as given, else after the far end.
pub(super) fn end_name(end: &Endpoint, far: &NodeName, number: usize) -> Named {
    match &end.interface {
        Some(name) => Named::given(name),
        None => derived_name(far, number),
    }
}

/// Names an interface after its far end: `spine2`, and `spine2-3` for the third cable to it.
///
/// What is over 15 bytes becomes its first eight bytes, `-`, and six base32 characters of its
/// hash: 30 bits, so that among 1,000 such names of one node two are alike once in 2,000 labs,
/// and that is reported.
pub(crate) fn derived_name(far: impl std::fmt::Display, number: usize) -> Named {
    let full = match number {
        0 | 1 => far.to_string(),
        _ => format!("{far}-{number}"),
    };
    match IfName::new(&full) {
        Ok(name) => Named { name, full: None, derived: true },
        Err(_) => Named { name: shortened(&full), full: Some(full), derived: true },
    }
}

fn shortened(full: &str) -> IfName {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648, section 6
    const HASHED_BYTES: usize = 6;
    let hash = stable_hash(&[full]);
    let mut name: String = full.chars().take(IF_NAME_MAX_BYTES - HASHED_BYTES - 1).collect();
    name.push('-');
    for index in 0..HASHED_BYTES {
        name.push(char::from(ALPHABET[(hash >> (5 * index)) as usize & 31]));
    }
    IfName::new(&name).expect("a node's name is ASCII without white space")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(far: &str, number: usize) -> (String, Option<String>) {
        let named = derived_name(NodeName::new(far).unwrap(), number);
        (named.name.to_string(), named.full)
    }

    #[test]
    fn names_follow_the_far_end() {
        assert_eq!(named("r2", 1), ("r2".into(), None));
        assert_eq!(named("r2", 3), ("r2-3".into(), None));
        assert_eq!(named("fifteen-bytes-x", 1), ("fifteen-bytes-x".into(), None));
    }

    #[test]
    fn a_long_name_is_shortened_the_same_way_always() {
        // Pinned: a change here would rename interfaces of labs that are up.
        assert_eq!(
            named("fifteen-bytes-x", 2),
            ("fifteen--ubuxmg".into(), Some("fifteen-bytes-x-2".into()))
        );
        let (short, _) = named("datacenter1-spine1", 1);
        assert_eq!(short.len(), 15);
        assert_ne!(short, named("datacenter1-spine2", 1).0);
    }
}
