//! What a word on a command line means: a node, several by a range, or a segment.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use vnet_model::problem::nearest;
use vnet_model::{Desired, NodeName, NsName};

use crate::error::Error;
use crate::lab::Lab;

impl Lab {
    /// Finds the nodes that a target means in a lab that is up, as [`nodes_of`] does.
    ///
    /// # Errors
    /// [`Error::NotUp`], and those of [`nodes_of`].
    pub fn nodes_of(&self, target: &str) -> Result<Vec<NodeName>, Error> {
        let not_up = || Error::NotUp { lab: self.name().clone() };
        nodes_of(&self.record()?.ok_or_else(not_up)?.desired, target)
    }
}

/// Finds the nodes that a target means: a node (`r1`), a range (`r1..3`), or a segment, which stands
/// for all its members.
///
/// # Errors
/// [`Error::NoNode`] for a name that is none, [`Error::Range`] for a range that can't be one.
pub fn nodes_of(desired: &Desired, target: &str) -> Result<Vec<NodeName>, Error> {
    let places = places(desired, target)?;
    Ok(places
        .into_iter()
        .flat_map(|place| match desired.segments.get(&place) {
            Some(ns) => members(desired, ns),
            None => vec![place],
        })
        .collect())
}

/// Finds the nodes and segments that a target names.
///
/// # Errors
/// As [`nodes_of`].
pub fn places(desired: &Desired, target: &str) -> Result<Vec<NodeName>, Error> {
    let names = vnet_file::expand(target).map_err(Error::Range)?;
    names.iter().map(|name| place(desired, name)).collect()
}

fn place(desired: &Desired, name: &str) -> Result<NodeName, Error> {
    let names = || desired.nodes.keys().chain(desired.segments.keys());
    names().find(|found| found.as_str() == name).cloned().ok_or_else(|| {
        let near = nearest(name, names().map(NodeName::as_str));
        let near = near.and_then(|near| names().find(|name| name.as_str() == near)).cloned();
        Error::NoNode { lab: desired.lab.clone(), node: name.to_owned(), nearest: near }
    })
}

/// Finds the nodes whose interfaces are plugged into a segment, in the order of a person.
fn members(desired: &Desired, segment: &NsName) -> Vec<NodeName> {
    let nodes: BTreeMap<&NsName, &NodeName> =
        desired.nodes.iter().map(|(name, ns)| (ns, name)).collect();
    let ports = desired.state.namespaces.get(segment).into_iter().flat_map(|ns| &ns.interfaces);
    let mut members: Vec<NodeName> =
        ports.filter_map(|(_, port)| nodes.get(&port.kind.peer()?.ns).copied().cloned()).collect();
    members.sort_by(|a, b| by_number(a.as_str(), b.as_str()));
    members.dedup();
    members
}

/// Orders names as a person does: `pc2` before `pc10`.
#[must_use]
pub fn by_number(a: &str, b: &str) -> Ordering {
    let split = |text: &str| -> (String, Option<u64>) {
        let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
        (letters.to_owned(), text[letters.len()..].parse().ok())
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> Desired {
        let text =
            "{ name: demo, nodes: [ pc1..11, r1 ], segments: { lan: { members: [ pc1..11 ] } } }";
        let source = vnet_file::Source::new("t", text);
        vnet_file::parse(&source, &[]).unwrap().resolve().unwrap()
    }

    fn found(target: &str) -> String {
        match nodes_of(&desired(), target) {
            Ok(names) => names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_target_is_a_node_a_range_or_a_segment() {
        assert_eq!(found("r1"), "r1");
        assert_eq!(found("pc9..11"), "pc9 pc10 pc11");
        assert_eq!(found("lan"), "pc1 pc2 pc3 pc4 pc5 pc6 pc7 pc8 pc9 pc10 pc11");
    }

    #[test]
    fn a_target_that_is_none_is_named() {
        assert_eq!(found("r2"), "lab demo has no node r2");
        assert_eq!(found("pc11..12"), "lab demo has no node pc12");
        assert_eq!(found("pc2..1"), "the range `2..1` counts down");
    }
}
