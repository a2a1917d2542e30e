//! `vnet plan`: what `up` would do.

use std::process::ExitCode;

use serde::Serialize;
use vnet::file::File;
use vnet::model::{NsName, Step};
use vnet::moved::{Moved, moved};
use vnet::{Desired, Error, Lab, OutletChange, Seen};

use super::{DIFFERS, Outcome};
use crate::args::{self, Form};
use crate::context::Context;
use crate::errors::Failure;
use crate::printer;
use crate::view::{Change, OUTLET};

/// How many shifted addresses are named.
const MOVED_SHOWN_MAX: usize = 5;

#[derive(Serialize)]
struct Body {
    lab: String,
    changes: Vec<Change>,
    undeclared: Vec<String>,
    /// Interfaces whose addresses were handed out, and would be others now.
    moved: Vec<MovedBody>,
}

#[derive(Serialize)]
struct MovedBody {
    interface: String,
    from: Vec<String>,
    to: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Plan) -> Outcome {
    let (lab, desired, file) = wanted(context, args)?;
    let seen = lab.plan(&desired).map_err(|e| Failure::of(&e, file.as_ref()).cannot_tell())?;
    if !seen.plan.conflicts.is_empty() {
        let conflicts = seen.plan.conflicts;
        return Err(Failure::of(&Error::Conflicts { conflicts }, file.as_ref()));
    }
    let moved =
        seen.recorded.as_ref().map(|record| moved(&record.desired, &desired)).unwrap_or_default();
    match args.form {
        _ if context.printer.is_json() => {
            context.printer.json("plan", body(&desired, &seen, &moved))
        }
        Some(Form::Ip) => context.printer.data(&vnet_iproute::script(&seen.plan.steps)),
        None => say(context, &desired, &seen),
    }
    super::up::note_undeclared(context, &seen.plan.undeclared);
    note_moved(context, &desired, &moved);
    super::confirm::note_pending(context, &lab)?;
    let is_so = seen.plan.steps.is_empty() && seen.outlet.is_none();
    let code = ExitCode::from(if is_so { 0 } else { DIFFERS });
    // The process ends: its memory goes at once, and not piece by piece.
    std::mem::forget((file, desired, seen));
    Ok(code)
}

/// Finds out what is wanted: what the file says, or, where there is none and `-l` picks a lab that is
/// up, what that one was last told to be.
fn wanted(
    context: &Context<'_>,
    args: &args::Plan,
) -> Result<(Lab, Desired, Option<File>), Failure> {
    if let Some(name) = context.lab_without_file(&args.file) {
        let lab = context.open(name).map_err(Failure::cannot_tell)?;
        let record = lab.record().map_err(|e| Failure::of(&e, None).cannot_tell())?;
        let not_up = || Failure::of(&Error::NotUp { lab: name.clone() }, None);
        let desired = record.ok_or_else(not_up)?.desired;
        return Ok((lab, desired, None));
    }
    let file = context.file(&args.file)?;
    let desired = context.resolve(&file)?;
    let lab = context.open(&desired.lab).map_err(Failure::cannot_tell)?;
    Ok((lab, desired, Some(file)))
}

fn say(context: &Context<'_>, desired: &Desired, seen: &Seen) {
    let steps = &seen.plan.steps;
    let signs: Vec<char> =
        steps.iter().map(Step::sign).chain(seen.outlet.map(OutletChange::sign)).collect();
    if signs.is_empty() {
        return context.printer.data(&format!("no changes: {} is as the file says\n", desired.lab));
    }
    let count = |sign| signs.iter().filter(|found| **found == sign).count();
    let (add, set, remove) = (count('+'), count('~'), count('-'));
    let mut steps = printer::steps(steps);
    if let Some(change) = seen.outlet {
        steps.push_str(&printer::signed(change.sign(), &format!("{} {OUTLET}", NsName::host())));
    }
    context.printer.data(&format!("{steps}{add} to add, {set} to change, {remove} to remove\n"));
}

fn note_moved(context: &Context<'_>, desired: &Desired, moved: &[Moved]) {
    let Some(first) = moved.first() else { return };
    let shown = moved.iter().take(MOVED_SHOWN_MAX).map(ToString::to_string);
    let mut list = shown.collect::<Vec<_>>().join("; ");
    if moved.len() > MOVED_SHOWN_MAX {
        list.push_str(&format!("; and {} more", moved.len() - MOVED_SHOWN_MAX));
    }
    context.printer.note(format!("addresses that a prefix hands out would move: {list}"));
    let node = desired.nodes.iter().find(|(_, ns)| **ns == first.end.ns);
    if let (Some((node, _)), [addr, ..]) = (node, first.from.as_slice()) {
        let addr = addr.addr();
        context.printer.hint(format!("an address that is written stays, such as `{node}: {addr}`"));
    }
}

fn body(desired: &Desired, seen: &Seen, moved: &[Moved]) -> Body {
    let texts = |nets: &[vnet::model::ipnet::IpNet]| nets.iter().map(ToString::to_string).collect();
    Body {
        lab: desired.lab.to_string(),
        changes: Change::all_of(seen),
        undeclared: seen.plan.undeclared.iter().map(ToString::to_string).collect(),
        moved: moved
            .iter()
            .map(|moved| MovedBody {
                interface: moved.end.to_string(),
                from: texts(&moved.from),
                to: texts(&moved.to),
            })
            .collect(),
    }
}
