//! Help, completions, man pages, schema.

mod common;

use std::process::Command;

use common::{normal, vnet};

const COMMANDS: [&str; 25] = [
    "up",
    "watch",
    "confirm",
    "down",
    "plan",
    "config",
    "snapshot",
    "adopt",
    "ls",
    "show",
    "exec",
    "shell",
    "graph",
    "generate",
    "ip",
    "bridge",
    "ping",
    "why",
    "check",
    "explain",
    "test",
    "schema",
    "completions",
    "man",
    "",
];

#[test]
fn help() {
    let mut text = String::new();
    // What follows `ip` and `bridge` is iproute2's language, help too.
    for command in COMMANDS.into_iter().filter(|command| !matches!(*command, "ip" | "bridge")) {
        let words = if command.is_empty() { vec!["--help"] } else { vec![command, "--help"] };
        let run = vnet(&words);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
        text.push_str(&format!("$ vnet {}\n{}\n", words.join(" "), normal(&run.stdout)));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(text) });
}

#[test]
fn completions_know_every_command_and_no_inner_one() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = vnet(&["completions", shell]);
        assert_eq!(run.code, 0, "{shell}");
        for command in COMMANDS {
            assert!(run.stdout.contains(command), "{shell}: {command}");
        }
        assert!(!run.stdout.contains("__hold"), "{shell}");
    }
}

#[test]
fn man_pages() {
    let run = vnet(&["man"]);
    assert!(run.code == 0 && run.stdout.contains(".TH vnet 1"), "{run:?}");
    assert!(!run.stdout.contains("hold"), "{}", run.stdout);
    let dir = std::env::temp_dir().join(format!("vnet-man-{}", std::process::id()));
    let run = vnet(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // Each shape has a page of its own.
        .filter(|name| !name.starts_with("vnet-generate-"))
        .collect();
    names.sort();
    let mut wanted: Vec<String> = COMMANDS
        .iter()
        .map(|name| if name.is_empty() { "vnet.1".into() } else { format!("vnet-{name}.1") })
        .collect();
    wanted.sort();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(names, wanted);
}

#[test]
fn the_schema_is_the_one_that_is_kept() {
    let kept = include_str!("../../file/vnet.schema.json");
    let kept: serde_json::Value = serde_json::from_str(kept).unwrap();
    let printed: serde_json::Value = serde_json::from_str(&vnet(&["schema"]).stdout).unwrap();
    assert_eq!(printed, kept);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let vnet = env!("CARGO_BIN_EXE_vnet");
    let output = Command::new("sh").args(["-c", &format!("{vnet} schema | head -c 1")]).output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_picture_is_the_one_that_is_kept() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/spine-leaf.yaml");
    let run = vnet(&["graph", example]);
    let kept = include_str!("../../../docs/spine-leaf.svg");
    assert!(
        run.stdout == kept,
        "write it anew: vnet graph examples/spine-leaf.yaml -o docs/spine-leaf.svg"
    );
}
