//! Every file in `valid/` and `examples/` is read; what is wrong with those in `invalid/` is
//! pinned.

mod common;

use common::files;
use vnet_file::{Report, Source, parse, write};
use vnet_model::Desired;

fn resolve(source: &Source) -> Result<Desired, Report> {
    parse(source, &[])?.resolve()
}

#[test]
fn valid_files_are_read() {
    let mut refused = String::new();
    for (_, source) in files("tests/valid").into_iter().chain(files("../../examples")) {
        if let Err(report) = resolve(&source) {
            refused.push_str(&report.render(&source, false));
        }
    }
    assert!(refused.is_empty(), "{refused}");
}

#[test]
fn what_is_wrong_with_invalid_files_is_pinned() {
    let mut read = Vec::new();
    for (name, source) in files("tests/invalid") {
        let Err(report) = resolve(&source) else {
            read.push(name);
            continue;
        };
        insta::with_settings!({
            prepend_module_to_snapshot => false, snapshot_path => "invalid", omit_expression => true
        }, {
            insta::assert_snapshot!(name, report.render(&source, false));
        });
    }
    assert!(read.is_empty(), "these are read, but should be refused: {read:?}");
}

#[test]
fn a_written_file_reads_back_as_the_same_network() {
    for (name, source) in files("tests/valid").into_iter().chain(files("../../examples")) {
        let file = parse(&source, &[]).unwrap();
        let mut desired = file.resolve().unwrap();
        let text = write(file.topology(), &desired);
        let written = Source::new(format!("{name} written"), text);
        let again = resolve(&written);
        let again = again.unwrap_or_else(|report| panic!("{}", report.render(&written, false)));
        // Now that they are written, they are no longer handed out.
        desired.handed_out.clear();
        assert_eq!(again, desired, "{}", written.text());
    }
}
