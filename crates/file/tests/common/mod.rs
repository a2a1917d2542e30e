//! The files that tests read.

use std::fs;
use std::path::{Path, PathBuf};

use vnet_file::Source;

/// Reads the files of a folder beside the crate's manifest, sorted by name.
pub(crate) fn files(folder: &str) -> Vec<(String, Source)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = Source::new(format!("{name}.yaml"), fs::read_to_string(path).unwrap());
        (name, source)
    };
    paths.into_iter().map(read).collect()
}
