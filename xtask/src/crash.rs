//! `cargo xtask faults` and `cargo xtask stress`: the long forms of two tests.

use std::process::Command;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// Tries those of one operation alone
    #[arg(long, value_enum)]
    only: Option<Operation>,
}

/// What goes wrong: `up` from nothing, `up` as a change, `down`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Operation {
    Build,
    Change,
    Down,
}

#[derive(Debug, Args)]
pub(crate) struct Stress {
    /// How long to go on, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The first seed; the next ones follow
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints the table of everything that can go wrong at every instant, as markdown: some 4,000 cases.
pub(crate) fn faults(options: &Faults) -> anyhow::Result<()> {
    let mut command = test("vnet", "faults", "the_whole_table");
    if let Some(only) = options.only.and_then(|only| only.to_possible_value()) {
        command.env("VNET_FAULTS_ONLY", only.get_name());
    }
    run(&mut command)
}

/// Does random things to random labs, and prints what comes out wrong with its seed.
pub(crate) fn stress(options: &Stress) -> anyhow::Result<()> {
    run(test("vnet-cli", "stress", "many_seeds")
        .env("VNET_STRESS_SECONDS", options.seconds.to_string())
        .env("VNET_STRESS_SEED", options.seed.to_string()))
}

fn test(package: &str, file: &str, name: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--quiet", "--package", package, "--test", file, "--"])
        .args([name, "--exact", "--ignored", "--nocapture"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "something came out wrong: see above");
    Ok(())
}
