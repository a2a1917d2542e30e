//! The files that tests read.

use std::fs;
use std::path::{Path, PathBuf};

use vnet_file::Source;

/// Reads the files of a folder beside the crate's manifest, sorted by name.
pub(crate) fn files(folder: &str) -> Vec<(String, Source)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("a folder of files");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("a text");
        (name.clone(), Source::new(format!("{name}.yaml"), text))
    };
    paths.into_iter().map(read).collect()
}
