//! `vnet adopt`: takes over what a script made.

use std::process::ExitCode;

use serde::Serialize;

use super::{DIFFERS, Outcome};
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::printer;
use crate::view::Change;

#[derive(Serialize)]
struct Body {
    lab: String,
    namespaces: Vec<String>,
    adopted: bool,
    changes: Vec<Change>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Adopt) -> Outcome {
    let file = context.file(&args.file)?;
    let desired = context.resolve(&file)?;
    let mut lab = context.open(&desired.lab)?;
    lab.file = context.full_path(&args.file);
    let failed = |error: vnet::Error| Failure::of(&error, Some(&file));
    let adoption = match args.yes {
        true => lab.adopt(&desired).map_err(failed)?,
        false => lab.adoption(&desired).map_err(failed)?,
    };
    if !args.yes && !adoption.obstacles.is_empty() {
        let obstacles = adoption.obstacles;
        return Err(failed(vnet::Error::Obstacles { obstacles }));
    }
    if !args.yes && !adoption.conflicts.is_empty() {
        let conflicts = adoption.conflicts;
        return Err(failed(vnet::Error::Conflicts { conflicts }));
    }
    if context.printer.is_json() {
        context.printer.json(
            "adopt",
            Body {
                lab: desired.lab.to_string(),
                namespaces: adoption.namespaces.iter().map(ToString::to_string).collect(),
                adopted: args.yes,
                changes: adoption.differs.iter().map(Change::of).collect(),
            },
        );
    } else {
        say(context, &desired.lab, &adoption, args.yes);
    }
    Ok(ExitCode::from(if args.yes { 0 } else { DIFFERS }))
}

fn say(
    context: &Context<'_>,
    lab: &vnet::LabName,
    adoption: &vnet::snapshot::Adoption,
    is_done: bool,
) {
    let names: Vec<&str> = adoption.namespaces.iter().map(vnet::model::NsName::as_str).collect();
    let (verb, count) = (if is_done { "adopted" } else { "would adopt" }, names.len());
    let plural = if count == 1 { "" } else { "s" };
    let mut text = match count {
        0 => format!("nothing to adopt: all namespaces of the file are lab {lab}'s\n"),
        _ => format!("{verb} {count} namespace{plural} as lab {lab}: {}\n", names.join(", ")),
    };
    if !adoption.differs.is_empty() {
        text.push_str("`vnet up` would then change:\n");
        text.push_str(&printer::steps(&adoption.differs));
    }
    context.printer.data(&text);
    if !is_done && count > 0 {
        context.printer.note(
            "from then on they are the lab's: `vnet up` changes what differs from the file, and \
             `vnet down` removes them with all that is in them",
        );
        context.printer.hint("`vnet adopt --yes` does it");
    }
}
