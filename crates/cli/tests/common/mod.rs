//! Sessions: shell lines and what they print, as one text to be compared.
#![allow(
    dead_code,
    unused_macros,
    reason = "each test file is a crate of its own, and uses what it needs"
)]
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The tutorial's network.
pub(crate) const TUTORIAL: &str = include_str!("../../../../examples/tutorial.yaml");

/// Two nodes and a link.
pub(crate) const PAIR: &str = "\
name: demo
nodes: [ a, b ]
links:
  - { endpoints: [ a, b ], prefix: 10.0.0.0/24 }
";

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs `vnet` in the home folder.
pub(crate) fn vnet(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vnet"));
    command.args(args).current_dir(home()).stdin(Stdio::null()).output().unwrap().into()
}

/// Runs a shell line in the home folder, with `vnet` on its path.
pub(crate) fn line(text: &str) -> Run {
    let vnet = Path::new(env!("CARGO_BIN_EXE_vnet")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("sh")
        .args(["-c", text])
        .env("PATH", format!("{}:{path}", vnet.display()))
        .env("SHELL", "/bin/sh")
        .current_dir(home())
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into()
}

/// Runs shell lines one after the other and returns what a person would have seen: `!` is before
/// what came on stderr. Times and process ids are replaced.
pub(crate) fn session(lines: &str) -> String {
    let mut text = String::new();
    for typed in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let run = line(typed);
        writeln!(text, "$ {typed}").unwrap();
        text.push_str(&normal(&run.stdout));
        for line in normal(&run.stderr).lines() {
            writeln!(text, "! {line}").unwrap();
        }
        if run.code != 0 {
            writeln!(text, "exit {}", run.code).unwrap();
        }
        text.push('\n');
    }
    text
}

/// Compares a session with its snapshot.
macro_rules! pinned {
    ($lines:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(common::session($lines));
        })
    };
}

/// Writes a file into the home folder, which is this test's alone.
pub(crate) fn write(name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(Path::new(&home()).join(name), text).unwrap();
}

fn home() -> String {
    std::env::var("HOME").unwrap()
}

/// Replaces what differs from run to run: `3.3 ms` and `pid 123`.
pub(crate) fn normal(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        let unit = words[index].split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
        let is_number = words[index - 1].parse::<f64>().is_ok();
        if matches!(unit, "ms" | "s") && is_number {
            words[index] = words[index].replacen(unit, "[TIME]", 1);
            words[index - 1] = String::new();
        }
        let digits = words[index].trim_end_matches(|c: char| !c.is_ascii_digit());
        if words[index - 1].ends_with("pid") && !digits.is_empty() {
            words[index] = words[index].replacen(digits, "[PID]", 1);
        }
    }
    // A number that was replaced leaves two spaces.
    words.join(" ").replace(" in  [", " in [")
}
