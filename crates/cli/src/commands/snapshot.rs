//! `vnet snapshot`: what exists, as a file.

use std::process::ExitCode;

use serde::Serialize;
use vnet::LabName;
use vnet::snapshot::{lab_name, matches};

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::view;

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    lab: view::Lab,
    /// What exists and the file does not say.
    left_out: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Snapshot) -> Outcome {
    let name = lab(context, args)?;
    let lab = context.open(&name).map_err(Failure::cannot_tell)?;
    let seen =
        lab.snapshot(&args.netns, &args.pid).map_err(|e| Failure::of(&e, None).cannot_tell())?;
    if seen.desired.state.namespaces.is_empty() {
        let message = format!("no namespace is called `{}`", args.netns);
        let hint = "`ip netns list` shows those that are there";
        return Err(Failure::failed("nothing-found", message).hint(hint));
    }
    let mut left_out = seen.left_out;
    left_out.extend(
        seen.differs.iter().map(|step| format!("`vnet up` would do `{} {step}`", step.sign())),
    );
    if context.printer.is_json() {
        let lab = view::Lab::of(&seen.desired, &seen.desired.state);
        context.printer.json("snapshot", Body { lab, left_out });
        return Ok(ExitCode::SUCCESS);
    }
    let text = vnet::file::write_short(&seen.topology, &seen.desired);
    context.printer.data(&text);
    for what in &left_out {
        context.printer.note(format!("left out: {what}"));
    }
    if !left_out.is_empty() {
        context.printer.hint("`vnet plan` on the file shows what `vnet up` would change");
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the name that the file gets: as said, or after what the namespaces have in common.
fn lab(context: &Context<'_>, args: &args::Snapshot) -> Result<LabName, Failure> {
    if let Some(name) = &context.global.lab {
        return Ok(name.clone());
    }
    if !context.environment.privileged {
        // What an ordinary user makes with `vnet ip` is there.
        return LabName::new(super::ip::DEFAULT_LAB)
            .map_err(|error| Failure::usage("usage", error.to_string()));
    }
    let pins =
        vnet::kernel::pins::Pins::open().map_err(|e| Failure::of(&e.into(), None).cannot_tell())?;
    let names = match pins {
        Some(pins) => pins.names().map_err(|e| Failure::of(&e.into(), None).cannot_tell())?,
        None => Vec::new(),
    };
    let names: Vec<_> =
        names.into_iter().filter(|name| matches(&args.netns, name.as_str())).collect();
    Ok(lab_name(&names))
}
