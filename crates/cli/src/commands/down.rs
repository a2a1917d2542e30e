//! `vnet down`: takes a lab down, or all of this user's.

use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;
use vnet::{Down, Error, Lab, LabName, Removed};

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::interrupt;
use crate::printer::count;
use crate::view::time;

#[derive(Serialize)]
struct Body {
    labs: Vec<Gone>,
}

#[derive(Serialize)]
struct Gone {
    lab: String,
    namespaces: Vec<String>,
    /// How many processes were ended.
    processes: usize,
}

pub(super) fn run(context: &Context<'_>, args: &args::Down) -> Outcome {
    let how = Down { force: args.force, wait: args.wait };
    if args.all {
        return all(context, &how);
    }
    let name = context.lab_name(&args.file)?;
    let begin = Instant::now();
    let cancel = interrupt::flag()?;
    let removed = match context.open_to_change(&name, &cancel)?.down(&how) {
        Ok(removed) => Some(removed),
        Err(Error::NotUp { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match &removed {
        _ if context.printer.is_json() => {}
        None => context.printer.note(format!("lab {name} is not up: nothing to take down")),
        Some(removed) => say(context, &name, removed, begin),
    }
    finish(context, removed.map(|removed| (name, removed)).into_iter().collect());
    // What had begun when it came was finished.
    Ok(cancel.signal().map_or(ExitCode::SUCCESS, interrupt::die_by))
}

/// Takes down every lab of this user; goes on after a failure, and fails at the end.
fn all(context: &Context<'_>, how: &Down) -> Outcome {
    let cancel = interrupt::flag()?;
    let mut settings = context.settings()?;
    settings.cancel = Some(cancel.clone());
    if let Some(keeper) = &mut settings.keeper {
        // A process joins one lab only, and for good.
        keeper.join = false;
    }
    let mut gone = Vec::new();
    let mut worst = 0;
    for listed in vnet::list(&settings)? {
        let begin = Instant::now();
        match Lab::open(&settings, &listed.lab).and_then(|mut lab| lab.down(how)) {
            Ok(removed) => {
                if !context.printer.is_json() {
                    say(context, &listed.lab, &removed, begin);
                }
                gone.push((listed.lab, removed));
            }
            Err(Error::NotUp { .. }) => {}
            Err(error @ Error::Interrupted { .. }) => return Err(error.into()),
            Err(error) => {
                let mut failure = Failure::from(error);
                failure.message = format!("lab {}: {}", listed.lab, failure.message);
                worst = worst.max(failure.code);
                context.printer.report(&failure);
            }
        }
    }
    if gone.is_empty() && worst == 0 && !context.printer.is_json() {
        context.printer.note("no lab is up: nothing to take down");
    }
    finish(context, gone);
    Ok(cancel.signal().map_or(ExitCode::from(worst), interrupt::die_by))
}

fn say(context: &Context<'_>, name: &LabName, removed: &Removed, begin: Instant) {
    let mut what = vec![count(removed.namespaces.len(), "namespace")];
    if removed.processes > 0 {
        let noun = if removed.processes == 1 { "process" } else { "processes" };
        what.push(format!("{} {noun}", removed.processes));
    }
    let (what, time) = (what.join(", "), time(begin.elapsed()));
    context.printer.summary(&format!("{name} down in {time}: {what}\n"));
}

fn finish(context: &Context<'_>, gone: Vec<(LabName, Removed)>) {
    if context.printer.is_json() {
        let gone = gone.into_iter().map(|(lab, removed)| Gone {
            lab: lab.to_string(),
            namespaces: removed.namespaces.iter().map(ToString::to_string).collect(),
            processes: removed.processes,
        });
        context.printer.json("down", Body { labs: gone.collect() });
    }
}
