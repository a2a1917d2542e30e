//! `vnet config`: the file, fully resolved.

use std::process::ExitCode;

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::view;

pub(super) fn run(context: &Context<'_>, args: &args::FileArg) -> Outcome {
    let file = context.file(args)?;
    let desired = context.resolve(&file)?;
    match context.printer.is_json() {
        true => context.printer.json("config", view::Lab::of(&desired, &desired.state)),
        false => context.printer.data(&vnet::file::write(file.topology(), &desired)),
    }
    Ok(ExitCode::SUCCESS)
}
