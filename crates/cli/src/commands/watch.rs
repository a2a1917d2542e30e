//! `vnet watch`: what differs from what was meant, as it happens.

use std::ops::ControlFlow;
use std::process::ExitCode;

use serde::Serialize;
use vnet::{Difference, Ended, Notice, Watching};

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::interrupt;
use crate::printer::{self, count, plain};
use crate::view::{Change, ms, time};

/// One line of JSON.
#[derive(Debug, Default, Serialize)]
struct Body<'a> {
    lab: &'a str,
    /// `begun`, `drift`, `gone`, `mended`, `not-mended`, `lost`, `changed` or `down`.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<usize>,
    /// What would mend what differs; what was done to mend it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undeclared: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Watch) -> Outcome {
    let cancel = interrupt::flag()?;
    let name = context.lab_to_look_into()?;
    let mut lab = context.open_to_change(&name, &cancel)?;
    let how = Watching { repair: args.repair, ..Watching::default() };
    let ended = lab
        .watch(&how, |notice| tell(context, name.as_str(), &notice))
        .map_err(|error| Failure::from(error).cannot_tell())?;
    match ended {
        Ended::Down => {
            let body = Body { lab: name.as_str(), event: "down", ..Body::default() };
            // It ends anyway.
            let _ = context.printer.one(&format!("lab {name} was taken down\n"), "watch", body);
            Ok(ExitCode::SUCCESS)
        }
        Ended::CalledOff(signal) => Ok(interrupt::die_by(signal)),
        Ended::Enough => Ok(ExitCode::SUCCESS),
    }
}

fn tell(context: &Context<'_>, lab: &str, notice: &Notice<'_>) -> ControlFlow<()> {
    let body = Body { lab, ..Body::default() };
    let (text, body) = match notice {
        Notice::Begun { namespaces } => {
            let body = Body { event: "begun", namespaces: Some(*namespaces), ..body };
            (format!("watching {lab}: {}\n", count(*namespaces, "namespace")), body)
        }
        Notice::Drift(difference) => {
            (said(difference), of(Body { event: "drift", ..body }, difference))
        }
        Notice::Gone(difference) => {
            let text = format!("as it was: {}", said(difference));
            (text, of(Body { event: "gone", ..body }, difference))
        }
        Notice::Mended { steps, elapsed } => {
            let changes = steps.iter().map(Change::of).collect();
            let text = format!("mended in {}: {}\n", time(*elapsed), count(steps.len(), "change"));
            (text, Body { event: "mended", changes, elapsed_ms: Some(ms(*elapsed)), ..body })
        }
        Notice::NotMended { error } => {
            let message = error.to_string();
            context.printer.warning(plain(&format!("can't mend it: {message}")));
            (String::new(), Body { event: "not-mended", message: Some(message), ..body })
        }
        Notice::Lost => {
            context
                .printer
                .note("more happened at once than the kernel can tell: looked at all of it");
            (String::new(), Body { event: "lost", ..body })
        }
        Notice::Changed { namespaces } => {
            let text = format!("{lab} was changed: {}\n", count(*namespaces, "namespace"));
            (text, Body { event: "changed", namespaces: Some(*namespaces), ..body })
        }
        _ => return ControlFlow::Continue(()),
    };
    context.printer.one(&text, "watch", body)
}

/// Says what differs, by what would mend it.
fn said(difference: &Difference) -> String {
    match difference {
        Difference::Step(step) => printer::steps(std::slice::from_ref(step)),
        other => format!("! {}\n", plain(&other.to_string())),
    }
}

fn of<'a>(body: Body<'a>, difference: &Difference) -> Body<'a> {
    match difference {
        Difference::Step(step) => Body { changes: vec![Change::of(step)], ..body },
        Difference::Undeclared(end) => Body { undeclared: Some(end.to_string()), ..body },
        other => Body { conflict: Some(other.to_string()), ..body },
    }
}
