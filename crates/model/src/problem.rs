//! What can be wrong with a topology, as data: whoever shows it adds the place and the picture.

use std::fmt;

use crate::names::{IfName, NameError, NodeName, NsName};
use crate::origin::Origin;

/// Something that keeps a topology from being valid, with the places that matter.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The place to point at.
    pub origin: Origin,
    /// Further places, each with a label that says what it has to do with it.
    pub related: Vec<(Origin, &'static str)>,
}

impl Problem {
    /// Makes a problem at a place.
    #[must_use]
    pub fn new(kind: impl Into<ProblemKind>, origin: Origin) -> Self {
        Self { kind: kind.into(), origin, related: Vec::new() }
    }

    /// Adds another place to show, with its label.
    #[must_use]
    pub fn with(mut self, origin: Origin, label: &'static str) -> Self {
        self.related.push((origin, label));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Problem {}

/// The rule that a topology breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A name breaks the rules of its kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two nodes or segments have the same name.
    #[error("`{name}` is defined twice")]
    DuplicateNode {
        /// The name that both have.
        name: NodeName,
    },
    /// A node or segment is named that does not exist.
    #[error("there is no {what} `{name}`")]
    UnknownNode {
        /// What kind of thing was looked for: "node", "node or segment".
        what: &'static str,
        /// The name that was looked for.
        name: NodeName,
        /// The most similar name that exists.
        nearest: Option<NodeName>,
    },
    /// Two interfaces of a node have the same name.
    #[error("`{node}` has two interfaces named `{interface}`")]
    DuplicateInterface {
        /// The node.
        node: NodeName,
        /// The name that both have.
        interface: IfName,
    },
    /// An interface is named that nothing makes.
    #[error("`{node}` has no interface `{interface}`")]
    UnknownInterface {
        /// The node.
        node: NodeName,
        /// The name that was looked for.
        interface: IfName,
        /// The most similar name that exists.
        nearest: Option<IfName>,
    },
    /// Two nodes get the same namespace name.
    #[error("`{first}` and `{second}` would both be the namespace `{ns}`")]
    NamespaceCollision {
        /// The namespace name.
        ns: NsName,
        /// The node that has it.
        first: NodeName,
        /// The node that would have it too.
        second: NodeName,
    },
}

impl ProblemKind {
    /// Returns one line on how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownNode { nearest: Some(name), .. } => {
                Some(format!("one with a similar name exists: `{name}`"))
            }
            _ => None,
        }
    }
}

/// Finds the name most like `name`, if one is near enough to be what was meant.
pub fn nearest<'a, N: AsRef<str> + ?Sized + 'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a N>,
) -> Option<&'a N> {
    let limit = (name.len() / 3).max(1);
    names
        .into_iter()
        .map(|other| (distance(name, other.as_ref()), other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.as_ref().cmp(y.as_ref())))
        .map(|(_, other)| other)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_slip_away() {
        let names = ["leaf1", "leaf2", "spine1", "web"];
        assert_eq!(nearest("laef1", names), Some("leaf1"));
        assert_eq!(nearest("wbe", names), Some("web"));
        assert_eq!(nearest("spine11", names), Some("spine1"));
        assert_eq!(nearest("gateway", names), None);
    }
}
