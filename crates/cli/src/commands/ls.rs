//! `vnet ls`: the labs that are up.

use std::process::ExitCode;

use serde::Serialize;
use vnet::Listed;

use super::Outcome;
use crate::context::Context;
use crate::errors::Failure;
use crate::printer::{columns, plain};

#[derive(Serialize)]
struct Body {
    labs: Vec<Lab>,
}

#[derive(Serialize)]
struct Lab {
    name: String,
    /// `up`, `partial` or `unknown`: its record is lost.
    state: &'static str,
    namespaces: Vec<String>,
    file: Option<String>,
}

pub(super) fn run(context: &Context<'_>) -> Outcome {
    let settings = context.settings()?;
    let labs = vnet::list(&settings).map_err(|error| Failure::from(error).cannot_tell())?;
    if context.printer.is_json() {
        let labs = labs.into_iter().map(|listed| Lab {
            name: listed.lab.to_string(),
            state: state(&listed),
            namespaces: listed.namespaces.iter().map(ToString::to_string).collect(),
            file: listed.file.map(|path| path.to_string_lossy().into_owned()),
        });
        context.printer.json("ls", Body { labs: labs.collect() });
        return Ok(ExitCode::SUCCESS);
    }
    if labs.is_empty() {
        context.printer.note("no lab is up");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["LAB", "STATE", "NAMESPACES", "FILE"].map(str::to_owned).to_vec()];
    rows.extend(labs.iter().map(row));
    context.printer.data(&columns(&rows));
    Ok(ExitCode::SUCCESS)
}

fn row(listed: &Listed) -> Vec<String> {
    let there = listed.namespaces.len();
    let namespaces = match listed.wanted {
        Some(wanted) if wanted != there => format!("{there} of {wanted}"),
        _ => there.to_string(),
    };
    let file = listed.file.as_ref().map_or("-".into(), |path| path.to_string_lossy());
    vec![listed.lab.to_string(), state(listed).to_owned(), namespaces, plain(&file)]
}

fn state(listed: &Listed) -> &'static str {
    match listed.wanted {
        None => "unknown",
        Some(wanted) if wanted == listed.namespaces.len() => "up",
        Some(_) => "partial",
    }
}
