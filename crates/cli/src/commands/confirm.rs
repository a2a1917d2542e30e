//! `vnet confirm`: keeps a change that goes back by itself, or has it go back now.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use vnet::{Error, Lab, LabName};

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::environment::Environment;
use crate::interrupt;
use crate::view::time;

#[derive(Serialize)]
struct Body {
    lab: String,
    /// Whether the change stays.
    kept: bool,
}

pub(super) fn run(context: &Context<'_>, args: &args::Confirm) -> Outcome {
    let name = context.lab_name(&args.file)?;
    let cancel = interrupt::flag()?;
    let mut lab = context.open_to_change(&name, &cancel)?;
    match args.revert {
        true => lab.revert()?,
        false => lab.confirm()?,
    }
    let body = Body { lab: name.to_string(), kept: !args.revert };
    match args.revert {
        _ if context.printer.is_json() => context.printer.json("confirm", body),
        true => context.printer.summary(&format!("{name} is as it was before\n")),
        false => context.printer.summary(&format!("{name} stays as it is\n")),
    }
    Ok(cancel.signal().map_or(ExitCode::SUCCESS, interrupt::die_by))
}

/// Is the worker that waits for the confirmation of a change.
pub(super) fn wait(
    environment: &Environment,
    lab: &LabName,
    folder: &Path,
    id: &str,
) -> Result<(), Error> {
    let settings = environment.settings(folder).map_err(|_| Error::Unprivileged)?;
    vnet::confirm::wait(&settings, lab, id)
}

/// Says that a change of the lab waits for its confirmation, where one does.
pub(super) fn note_pending(context: &Context<'_>, lab: &Lab) -> Result<(), Error> {
    let Some(pending) = lab.pending()? else { return Ok(()) };
    let name = lab.name();
    let hint = format!(
        "`vnet -l {name} confirm` keeps it, `vnet -l {name} confirm --revert` goes back now"
    );
    match (&pending.failure, pending.is_guarded()) {
        (Some(failure), _) => context.printer.warning(crate::printer::plain(&format!(
            "a change of {name} was not confirmed, and could not be taken back: {failure}"
        ))),
        (None, true) => {
            let left = time(pending.left());
            context.printer.note(format!("{name} goes back to what was before in {left}"));
        }
        (None, false) => context.printer.warning(format!(
            "a change of {name} was not confirmed, and the process that was to take it back is gone"
        )),
    }
    context.printer.hint(hint);
    Ok(())
}
