//! Development tasks: `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool talks to its user")]

mod bench;

use clap::{Parser, Subcommand};

/// Development tasks of vnet.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds and removes the same network with vnet, by bare system calls and with iproute2, side by side
    Bench(bench::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Bench(options) => bench::run(&options),
    }
}
