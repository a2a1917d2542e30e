//! The JSON schema: that the committed one is current, and what it accepts.

mod common;

use std::fs;
use std::path::Path;

use common::files;

/// Reads YAML as another crate does: the second opinion on what a file holds.
fn json(text: &str) -> Option<serde_json::Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).ok()
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vnet.schema.json");
    let schema = vnet_file::schema();
    if std::env::var_os("VNET_BLESS").is_some() {
        fs::write(&path, format!("{schema:#}\n")).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    // As values: the order of keys in text depends on the features of serde_json in a build.
    assert!(
        serde_json::from_str::<serde_json::Value>(&committed).is_ok_and(|it| it == schema),
        "vnet.schema.json is old: run `VNET_BLESS=1 cargo test -p vnet-file --test schema`"
    );
}

#[test]
fn the_schema_accepts_every_valid_file() {
    let validator = jsonschema::draft7::new(&vnet_file::schema()).unwrap();
    for (name, source) in files("tests/valid").into_iter().chain(files("../../examples")) {
        let value = json(source.text()).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

/// What an editor can't see and only `vnet` tells is pinned, so that a change shows.
#[test]
fn the_schema_refuses_most_invalid_files() {
    let validator = jsonschema::draft7::new(&vnet_file::schema()).unwrap();
    let accepted = |text: &str| json(text).is_some_and(|value| validator.is_valid(&value));
    let names: Vec<String> = files("tests/invalid")
        .into_iter()
        .filter(|(_, source)| accepted(source.text()))
        .map(|(name, _)| name)
        .collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(names.join("\n"));
    });
}
