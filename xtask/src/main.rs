//! Development tasks: `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool talks to its user")]

mod bench;
mod crash;
mod fuzz;
mod vm;

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
    /// Makes everything go wrong at every instant, and prints the table of what came of it; takes an hour and more
    Faults(crash::Faults),
    /// Runs the fuzz targets, two at a time, and fails on any finding
    Fuzz(fuzz::Options),
    /// Does random things to random labs, kills included, and checks what came of it
    Stress(crash::Stress),
    /// Runs the tests that need a full kernel on Debian's, in QEMU: those whose names begin with `vm_`
    Vm(vm::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Bench(options) => bench::run(&options),
        Task::Faults(options) => crash::faults(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Stress(options) => crash::stress(&options),
        Task::Vm(options) => vm::run(&options),
    }
}
