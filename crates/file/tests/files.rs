//! Every file in `valid/` and `examples/` is read; what is wrong with those in `invalid/` is
//! pinned.

use std::fs;
use std::path::{Path, PathBuf};

use vnet_file::{Source, parse};

fn files(folder: &str) -> Vec<(String, Source)> {
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

#[test]
fn valid_files_are_read() {
    for (name, source) in files("tests/valid").into_iter().chain(files("../../examples")) {
        if let Err(report) = parse(&source, &[]) {
            panic!("{name}:\n{}", report.render(&source, false));
        }
    }
}

#[test]
fn what_is_wrong_with_invalid_files_is_pinned() {
    for (name, source) in files("tests/invalid") {
        let report = match parse(&source, &[]) {
            Ok(_) => panic!("{name} is read"),
            Err(report) => report.render(&source, false),
        };
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "invalid", omit_expression => true }, {
            insta::assert_snapshot!(name, report);
        });
    }
}
