//! The labs that there are.

use std::collections::BTreeMap;

use vnet_kernel::Realm;
use vnet_kernel::holder::Holder;
use vnet_kernel::observe::list_marked;
use vnet_model::{LabName, NsName};

use crate::Settings;
use crate::error::Error;
use crate::state_dir::StateDir;

/// A lab that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub lab: LabName,
    /// Its namespaces: as the kernel has them, or, while a keeper keeps them, as recorded.
    pub namespaces: Vec<NsName>,
    /// How many namespaces it should have; `None` where its record is lost, or not this user's alone.
    pub wanted: Option<usize>,
    /// The file it was read from, where known.
    pub file: Option<std::path::PathBuf>,
}

/// Lists the labs of which anything exists: namespaces with a mark, or a folder of state. A user
/// without privileges sees the labs of their own keepers.
///
/// # Errors
/// When the folders of pins or state can't be read.
pub fn list(settings: &Settings) -> Result<Vec<Listed>, Error> {
    let mut labs: BTreeMap<LabName, Vec<NsName>> = BTreeMap::new();
    let privileged = vnet_kernel::probe::is_privileged();
    if privileged {
        for (ns, mark) in list_marked(&Realm::own()?)? {
            labs.entry(mark.lab).or_default().push(ns);
        }
    }
    for lab in recorded_labs(settings)? {
        labs.entry(lab).or_default();
    }
    labs.into_iter()
        .map(|(lab, mut namespaces)| {
            let record = match StateDir::new(&settings.state_dir, &lab).record() {
                // What can't be trusted is as good as lost.
                Err(Error::UnsafeStateDir { .. }) => None,
                record => record?,
            };
            let wanted = record.as_ref().map(|record| record.desired.state.namespaces.len());
            // What a keeper keeps can't be looked at without joining it, one at a time.
            if !privileged
                && Holder::find(&lab)?.is_some()
                && let Some(record) = &record
            {
                namespaces = record.desired.state.namespaces.keys().cloned().collect();
            }
            Ok(Listed { lab, namespaces, wanted, file: record.and_then(|record| record.file) })
        })
        .collect()
}

/// Lists the labs that have a folder of state.
///
/// # Errors
/// When the folder can't be read; that there is none is no error.
pub fn recorded_labs(settings: &Settings) -> Result<Vec<LabName>, Error> {
    let path = &settings.state_dir;
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(Error::StateDir { doing: "read", path: path.clone(), source });
        }
    };
    let name = |entry: std::fs::DirEntry| LabName::new(entry.file_name().to_str()?).ok();
    let mut labs: Vec<LabName> = entries.flatten().filter_map(name).collect();
    labs.sort();
    Ok(labs)
}
