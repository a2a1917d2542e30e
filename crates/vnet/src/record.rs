//! What was meant: the record of intent, one JSON file a lab.
//!
//! It is written and synced before the first step of a change. It is never needed to find out what
//! exists; it says which interfaces are the lab's own where their hardware address does not, and
//! lets commands work without the file.

mod written;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vnet_model::kind::Options;
use vnet_model::{Desired, Interface, Kind, State};

pub(crate) use written::Written;

/// The version of the file's form.
const VERSION: u32 = 1;

/// What a lab was last told to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// What is wanted.
    pub desired: Desired,
    /// What was wanted before, while a change is under way.
    pub previous: Option<State>,
    /// The file that it was read from.
    pub file: Option<PathBuf>,
}

impl Record {
    /// Makes the record of a change from `previous` to `desired`.
    #[must_use]
    pub fn new(desired: Desired, previous: Option<State>, file: Option<PathBuf>) -> Self {
        Self { version: VERSION, desired, previous, file }
    }

    /// Reads a record; `None` where it is cut short or of another version.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(text).ok()?;
        (record.version == VERSION).then_some(record)
    }

    /// Writes the record as text.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        // Only maps with keys that are no text can't be written, and there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Tells whether it says that this is wanted, and that no change is under way.
    pub(crate) fn is_settled_as(&self, desired: &Desired, file: Option<&Path>) -> bool {
        self.previous.is_none() && self.file.as_deref() == file && self.desired == *desired
    }

    /// Returns all that is known to be the lab's own: what is wanted and what was before.
    #[must_use]
    pub fn known(&self) -> State {
        let mut known = self.desired.state.clone();
        for (name, ns) in self.previous.iter().flat_map(|state| &state.namespaces) {
            let there = known.namespaces.get_or_insert_with(name.clone(), || ns.clone());
            for (key, value) in &ns.sysctls {
                there.sysctls.entry(key.clone()).or_insert_with(|| value.clone());
            }
            there.entries.extend(ns.entries.iter().cloned());
            for (name, interface) in &ns.interfaces {
                let there = there.interfaces.get_or_insert_with(name.clone(), || interface.clone());
                add_options(there, interface);
            }
        }
        known
    }
}

/// Adds what only the other one says of what is read as far as it is declared, or goes back once it no
/// longer is.
fn add_options(there: &mut Interface, other: &Interface) {
    if let (Kind::Device(device), Kind::Device(other)) = (&mut there.kind, &other.kind)
        && device.spec == other.spec
    {
        device.options = both(&device.options, &other.options);
    }
    there.port = both(&there.port, &other.port);
    there.fdb = there.fdb.take().or_else(|| other.fdb.clone());
    there.txqueuelen = there.txqueuelen.or(other.txqueuelen);
    there.rps_cpus = there.rps_cpus.take().or_else(|| other.rps_cpus.clone());
    there.ipv6 = there.ipv6.or(other.ipv6);
    for (offload, on) in &other.offload {
        there.offload.entry(*offload).or_insert(*on);
    }
}

fn both(first: &Options, other: &Options) -> Options {
    let mut both = other.clone();
    both.extend(first);
    both
}
