//! The commands, one file each.

mod adopt;
mod check;
mod config;
mod confirm;
mod down;
mod exec;
mod generate;
mod graph;
pub(crate) mod ip;
mod ls;
mod ping;
mod plan;
mod reference;
mod shell;
mod show;
mod snapshot;
mod test;
mod up;
mod watch;
mod why;

use std::process::ExitCode;

use vnet::ip::Language;

use crate::args::{Cli, Command, Inner};
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
        Command::Confirm(args) => confirm::run(&context, &args),
        Command::Down(args) => down::run(&context, &args),
        Command::Plan(args) => plan::run(&context, &args),
        Command::Watch(args) => watch::run(&context, &args),
        Command::Config(args) => config::run(&context, &args),
        Command::Snapshot(args) => snapshot::run(&context, &args),
        Command::Adopt(args) => adopt::run(&context, &args),
        Command::Ls => ls::run(&context),
        Command::Show(args) => show::run(&context, &args),
        Command::Exec(args) => exec::run(&context, &args),
        Command::Shell(args) => shell::run(&context, &args),
        Command::Ping(args) => ping::run(&context, &args),
        Command::Why(args) => why::run(&context, &args),
        Command::Check(args) => check::run(&context, &args),
        Command::Test(args) => test::run(&context, &args),
        Command::Explain(args) => check::explain(&context, &args),
        Command::Ip(args) => ip::run(&context, &args, Language::Ip),
        Command::Bridge(args) => ip::run(&context, &args, Language::Bridge),
        Command::Schema => reference::schema(&context),
        Command::Completions(args) => reference::completions(&context, &args),
        Command::Man(args) => reference::man(&context, &args),
        Command::Graph(args) => graph::run(&context, &args),
        Command::Generate(args) => generate::run(&context, args),
    }
}

/// Is what vnet starts itself as. What goes wrong is told by other ways than exit codes.
pub(crate) fn run_inner(inner: &Inner) -> ExitCode {
    // A worker opens a socket for each namespace.
    let environment = Environment::take();
    let result = match inner {
        Inner::Hold(lab) => vnet::keeper::hold(lab).map(|never| match never {}),
        Inner::LeadOut(lab, program, ports) => vnet::keeper::lead_out(lab, program, ports),
        Inner::Work(lab) => vnet::keeper::work(lab),
        Inner::Confirm(lab, folder, id) => confirm::wait(&environment, lab, folder, id),
    };
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
