//! `vnet up`: builds the lab, or changes what differs; with a command, only as long as that runs.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde::Serialize;
use vnet::exec::ENV_LAB;
use vnet::file::File;
use vnet::model::Change;
use vnet::{Confirm, Desired, Down, Error, Lab, Up};

use super::{Outcome, confirm};
use crate::args;
use crate::child::{self, Held};
use crate::context::Context;
use crate::environment::{self, ENV_STATE_DIR};
use crate::errors::Failure;
use crate::interrupt;
use crate::printer;
use crate::progress::Progress;
use crate::view::{self, ms, time};

/// How many changes are listed in a summary; more are only counted.
const CHANGES_SHOWN_MAX: usize = 20;

#[derive(Serialize)]
struct Body {
    elapsed_ms: f64,
    changes: Vec<view::Change>,
    undeclared: Vec<String>,
    #[serde(flatten)]
    lab: view::Lab,
}

pub(super) fn run(context: &Context<'_>, args: &args::Up) -> Outcome {
    let file = context.file(&args.file)?;
    let desired = context.resolve(&file)?;
    // Held back from before the first change: whatever comes, the lab is taken down.
    let held = if args.command.is_empty() { None } else { Some(Held::new()?) };
    let cancel = interrupt::flag()?;
    let mut lab = context.open_to_change(&desired.lab, &cancel)?;
    lab.file = context.full_path(&args.file);
    let up = build(context, &mut lab, &file, &desired, args.confirm)?;
    if context.printer.is_verbose() {
        context.printer.talk(&printer::steps(&up.steps));
    }
    match held {
        Some(held) => run_inside(context, &mut lab, held, &args.command),
        None => {
            say(context, &desired, &up);
            confirm::note_pending(context, &lab)?;
            // The process ends: its memory goes at once, and not piece by piece.
            std::mem::forget((file, desired, up));
            // It came when all was done.
            Ok(cancel.signal().map_or(ExitCode::SUCCESS, interrupt::die_by))
        }
    }
}

fn build(
    context: &Context<'_>,
    lab: &mut Lab,
    file: &File,
    desired: &Desired,
    confirm: Option<Duration>,
) -> Result<Up, Failure> {
    let confirm = match confirm {
        Some(within) => Some(Confirm { within, program: environment::program()? }),
        None => None,
    };
    let progress = Progress::new(context.printer);
    let result = match confirm {
        Some(confirm) => lab.up_to_confirm(desired, &confirm, |phase| progress.phase(phase)),
        None => lab.up(desired, |phase| progress.phase(phase)),
    };
    // Its line is gone before anything else is written.
    drop(progress);
    result.map_err(|error| Failure::of(&error, Some(file)))
}

/// Says what exists now.
fn say(context: &Context<'_>, desired: &Desired, up: &Up) {
    let printer = context.printer;
    if printer.is_json() {
        let shown = view::Lab::of(desired, &up.state);
        let changes = up.steps.iter().map(view::Change::of).collect();
        let undeclared = up.undeclared.iter().map(ToString::to_string).collect();
        let elapsed_ms = ms(up.elapsed);
        return printer.json("up", Body { elapsed_ms, changes, undeclared, lab: shown });
    }
    let made = up.steps.iter().filter(|s| matches!(s.change, Change::AddNamespace { .. })).count();
    let (time, counts) = (time(up.elapsed), view::counts(desired));
    let all_new = made == desired.state.namespaces.len();
    match up.steps.len() {
        0 => printer.summary(&format!("no changes in {time}: {counts}\n")),
        _ if all_new => {
            printer.summary(&format!("up in {time}: {counts}\n{}", view::brief(desired, &up.state)))
        }
        changes => {
            let list = match changes <= CHANGES_SHOWN_MAX && !printer.is_verbose() {
                true => printer::steps(&up.steps),
                false => String::new(),
            };
            let changes = printer::count(changes, "change");
            printer.summary(&format!("{changes} in {time}: {counts}\n{list}"));
        }
    }
    note_undeclared(context, &up.undeclared);
    if !context.environment.privileged && all_new {
        printer.hint("`vnet shell` enters the lab's own host, where `ip netns` sees its nodes");
    }
}

/// Names what nobody declared.
pub(super) fn note_undeclared(context: &Context<'_>, undeclared: &[vnet::model::plan::Undeclared]) {
    if !undeclared.is_empty() {
        let ends: Vec<String> = undeclared.iter().map(ToString::to_string).collect();
        let ends = printer::plain(&ends.join(", "));
        context.printer.note(format!("not in the file, and left alone: {ends}"));
    }
}

/// Runs a program while the lab is up, and takes the lab down whatever happens.
fn run_inside(context: &Context<'_>, lab: &mut Lab, mut held: Held, words: &[OsString]) -> Outcome {
    // From here on signals end the program, and not the clean-up.
    lab.insist();
    let result = match held.come() {
        Some(signal) => Ok(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        None => {
            let mut command = Command::new(&words[0]);
            command
                .args(&words[1..])
                .env(ENV_LAB, lab.name().as_str())
                .env(ENV_STATE_DIR, &context.environment.state_dir);
            context.environment.restore_limits();
            held.run(&mut command).map(child::code)
        }
    };
    let down = take_down(context, lab);
    match (result, down) {
        (Ok(code), Ok(())) => Ok(ExitCode::from(code)),
        (Err(failure), Ok(())) => Err(failure),
        // The program's own code says more than that the clean-up failed, unless it was 0.
        (Ok(0), Err(failure)) => Err(failure),
        (Ok(code), Err(failure)) => {
            context.printer.report(&failure);
            Ok(ExitCode::from(code))
        }
        (Err(first), Err(failure)) => {
            context.printer.report(&failure);
            Err(first)
        }
    }
}

/// Takes the lab down: by force where somebody is inside, since it was promised to be gone.
fn take_down(context: &Context<'_>, lab: &mut Lab) -> Result<(), Failure> {
    match lab.down(&Down::default()) {
        Err(error @ Error::Inhabited { .. }) => {
            context.printer.warning(printer::plain(&format!("{error}; they are cut off")));
            lab.down(&Down { force: true, wait: false })?;
            Ok(())
        }
        Ok(_) | Err(Error::NotUp { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
