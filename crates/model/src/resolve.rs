//! Derives everything that is not written, deterministically: the same topology gives the same
//! state, everywhere and always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{IfName, LabName, NodeName, NsName};
use crate::origin::Origin;
use crate::problem::Problem;
use crate::state::State;
use crate::topology::Topology;

/// A topology with nothing left open: what `up` builds and `plan` compares the kernel with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The lab.
    pub lab: LabName,
    /// All that shall exist.
    pub state: State,
    /// The namespace of each node.
    pub nodes: BTreeMap<NodeName, NsName>,
    /// The namespace of each segment.
    pub segments: BTreeMap<NodeName, NsName>,
    /// The links by name, each with its two ends, in written order.
    pub links: Vec<DesiredLink>,
}

/// A link with its name and the interfaces it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredLink {
    /// The name: as written, else `a--b`; parallels `a--b-2`.
    pub name: String,
    /// Node (or segment) and interface of each end.
    pub ends: [(NodeName, IfName); 2],
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Derives names, hardware addresses, addresses and routes.
///
/// # Errors
/// Returns all problems, sorted by the place that caused them.
pub fn resolve(topology: &Topology) -> Result<Desired, Vec<Problem>> {
    let _ = topology;
    todo!()
}
