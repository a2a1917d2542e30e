//! `vnet show`: what exists.

use std::process::ExitCode;

use serde::Serialize;
use vnet::Seen;

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::printer::{off, on, plain, style};
use crate::view::{self, Change};

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    lab: view::Lab,
    /// What differs from what was meant.
    drift: Vec<Change>,
    /// What stands where something of the lab should.
    conflicts: Vec<String>,
    undeclared: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Show) -> Outcome {
    let lab = context.open_to_look()?;
    let seen = lab.show().map_err(|error| Failure::from(error).cannot_tell())?;
    let mut shown = view::Lab::of(&seen.desired, &seen.observed);
    if let Some(target) = &args.node {
        shown.keep(&vnet::target::places(&seen.desired, target)?);
    }
    if context.printer.is_json() {
        context.printer.json("show", body(shown, &seen));
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    if args.node.is_none() {
        text = format!(
            "{}{}{}: {}\n",
            on(style::NAME),
            seen.desired.lab,
            off(style::NAME),
            shown.counts()
        );
    }
    text.push_str(&shown.table());
    if args.node.is_some() {
        text.push_str(&routes(&shown));
        text.push_str(&rules(&shown));
    }
    context.printer.data(&text);
    super::up::note_undeclared(context, &seen.plan.undeclared);
    note_drift(context, &seen);
    super::confirm::note_pending(context, &lab)?;
    Ok(ExitCode::SUCCESS)
}

fn routes(shown: &view::Lab) -> String {
    let mut text = String::new();
    for node in &shown.nodes {
        for route in &node.routes {
            text.push_str(&format!("{}: {}\n", node.name, plain(route)));
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\nROUTES\n{text}"),
    }
}

/// Lists the rules of firewalls and translations, chain by chain, with what they have counted.
fn rules(shown: &view::Lab) -> String {
    let mut text = String::new();
    for node in &shown.nodes {
        for chain in node.tables.iter().flat_map(|table| &table.chains) {
            let base = chain.base.as_ref().map(|base| format!(" ({base})")).unwrap_or_default();
            text.push_str(&format!("{}: {}{base}\n", node.name, plain(&chain.name)));
            for rule in &chain.rules {
                text.push_str(&format!("    {}\n", plain(&rule.text)));
            }
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\nRULES\n{text}"),
    }
}

fn note_drift(context: &Context<'_>, seen: &Seen) {
    if seen.plan.is_empty() && seen.outlet.is_none() {
        return;
    }
    for conflict in &seen.plan.conflicts {
        context.printer.note(plain(&conflict.to_string()));
    }
    let differs = seen.plan.steps.len() + seen.plan.conflicts.len();
    let what = match differs + usize::from(seen.outlet.is_some()) {
        1 => "1 thing differs".to_owned(),
        many => format!("{many} things differ"),
    };
    context.printer.note(format!("{what} from what `vnet up` was told"));
    context.printer.hint("`vnet plan` lists them, `vnet up` puts them right");
}

fn body(lab: view::Lab, seen: &Seen) -> Body {
    Body {
        lab,
        drift: Change::all_of(seen),
        conflicts: seen.plan.conflicts.iter().map(ToString::to_string).collect(),
        undeclared: seen.plan.undeclared.iter().map(ToString::to_string).collect(),
    }
}
