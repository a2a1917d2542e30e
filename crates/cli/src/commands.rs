//! The commands, one file each.

mod config;
mod down;
mod exec;
mod generate;
mod ls;
mod ping;
mod plan;
mod shell;
mod show;
mod up;

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::environment::Environment;
use crate::errors::Failure;
use crate::printer::Printer;

/// What a command ends with: an exit code, or what went wrong.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// The answer "no, it differs".
pub(crate) const DIFFERS: u8 = 1;

/// Does what was typed.
pub(crate) fn run(cli: Cli, printer: &Printer) -> Outcome {
    let context = Context { global: cli.global, environment: Environment::take(), printer };
    match cli.command {
        Command::Up(args) => up::run(&context, &args),
        Command::Down(args) => down::run(&context, &args),
        Command::Plan(args) => plan::run(&context, &args),
        Command::Config(args) => config::run(&context, &args),
        Command::Ls => ls::run(&context),
        Command::Show(args) => show::run(&context, &args),
        Command::Exec(args) => exec::run(&context, &args),
        Command::Shell(args) => shell::run(&context, &args),
        Command::Ping(args) => ping::run(&context, &args),
        Command::Schema => generate::schema(&context),
        Command::Completions(args) => generate::completions(&context, &args),
        Command::Man(args) => generate::man(&context, &args),
        Command::Hold { lab } => Ok(hold(&lab)),
        Command::Work { lab } => Ok(work(&lab)),
    }
}

/// Is the process that keeps an ordinary user's lab alive. What went wrong was said to whoever
/// started it.
fn hold(lab: &vnet::LabName) -> ExitCode {
    match vnet::keeper::hold(lab) {
        Ok(never) => match never {},
        Err(_) => ExitCode::from(4),
    }
}

/// Is a process that works inside of it for a program with threads.
fn work(lab: &vnet::LabName) -> ExitCode {
    match vnet::keeper::work(lab) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(4),
    }
}
