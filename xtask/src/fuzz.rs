//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, two at a time, each from the seeds that the tests have.
//!
//! They are built by cargo-fuzz without a sanitizer: that takes a nightly compiler, and the product's own `unsafe` code is
//! system calls. What is looked for is panics, failed assertions, waits and too much memory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;

/// The targets, each with its folders of seeds.
const TARGETS: [(&str, &[&str]); 5] = [
    ("netlink", &["fuzz/seeds/netlink"]),
    ("show", &["fuzz/seeds/netlink"]),
    ("file", &["crates/file/tests/valid", "crates/file/tests/invalid", "examples"]),
    ("record", &["fuzz/seeds/record"]),
    ("ip", &["crates/vnet/tests/ip"]),
];

/// How long one input may take, in seconds.
const SLOW_SECONDS: u32 = 20;

/// How much memory one input may take, in megabytes.
const MEMORY_MEGABYTES: u32 = 2048;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let root = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let wanted =
        |name: &str| options.targets.is_empty() || options.targets.iter().any(|t| t == name);
    let targets: Vec<_> = TARGETS.into_iter().filter(|(name, _)| wanted(name)).collect();
    ensure!(!targets.is_empty(), "no such target");
    let built = Command::new("cargo-fuzz")
        .args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir", "fuzz"])
        .current_dir(&root)
        .status()
        .context("cannot run cargo-fuzz: `cargo install cargo-fuzz --locked`")?;
    ensure!(built.success(), "the fuzz targets do not build");
    let mut findings = Vec::new();
    for pair in targets.chunks(2) {
        let mut begun = Vec::new();
        for (name, seeds) in pair {
            begun.push((*name, begin(&root, name, seeds, options.seconds)?));
        }
        for (name, mut child) in begun {
            if !child.wait()?.success() {
                findings.push(name);
            }
            for line in last_words(&root, name) {
                println!("{name}: {line}");
            }
        }
    }
    match findings.as_slice() {
        [] => Ok(()),
        findings => {
            bail!("findings: {}; see fuzz/artifacts and the logs beside it", findings.join(", "))
        }
    }
}

fn begin(root: &Path, name: &str, seeds: &[&str], seconds: u64) -> anyhow::Result<Child> {
    let fuzz = root.join("fuzz");
    let folder = |kind: &str| fuzz.join(kind).join(name);
    for kind in ["corpus", "artifacts"] {
        std::fs::create_dir_all(folder(kind))?;
    }
    let log = std::fs::File::create(log(root, name))?;
    let program = format!("target/{}-unknown-linux-gnu/release/{name}", std::env::consts::ARCH);
    Command::new(fuzz.join(program))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOW_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MEGABYTES}"))
        .arg(format!("-artifact_prefix={}/", folder("artifacts").display()))
        .arg(folder("corpus"))
        .args(seeds.iter().map(|seeds| root.join(seeds)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run the target {name}"))
}

fn log(root: &Path, name: &str) -> PathBuf {
    root.join("fuzz/artifacts").join(format!("{name}.log"))
}

/// Returns what a target has said in the end: how much it did, or what it found.
fn last_words(root: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read(log(root, name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let says = |line: &&str| {
        ["panicked", "ERROR", "SUMMARY", "DONE", "Done"].iter().any(|word| line.contains(word))
    };
    text.lines().filter(says).map(str::to_owned).collect()
}
