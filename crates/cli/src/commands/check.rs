//! `vnet check`: what is probably not meant in the file; `vnet explain`: what a code means.

use std::process::ExitCode;

use serde::Serialize;
use vnet::file::{File, Report, Warning};
use vnet::why::{CODES, lint};
use vnet::{Desired, Error};

use super::{DIFFERS, Outcome};
use crate::args::{self, FileArg};
use crate::context::Context;
use crate::errors::Failure;
use crate::printer::{count, off, on, style};

#[derive(Serialize)]
struct Body<'r> {
    warnings: Vec<Found<'r>>,
}

/// A warning as data.
#[derive(Serialize)]
struct Found<'r> {
    code: String,
    #[serde(flatten)]
    diagnostic: &'r vnet::file::Diagnostic,
}

pub(super) fn run(context: &Context<'_>, args: &FileArg) -> Outcome {
    let file = context.file(args)?;
    let desired = context.resolve(&file)?;
    let mut warnings = warnings(&file, lint::lint(&desired));
    warnings.extend(texts(context, &file, &desired));
    warnings.retain(|(code, _)| !file.allowed().iter().any(|(allowed, _)| allowed == code));
    for (code, span) in file.allowed() {
        if vnet::why::explain(code).is_none() {
            let mut warning = at(Some(*span), format!("there is no code `{code}`"));
            warning.hint = Some("`vnet explain` lists them".to_owned());
            warnings.push(("unknown-code", warning));
        }
    }
    let clean = warnings.is_empty();
    let report = file.report_warnings(warnings.into_iter().map(shown).collect());
    match context.printer.is_json() {
        true => context.printer.json("check", Body { warnings: found(&report) }),
        false if clean => context.printer.summary("nothing to warn of\n"),
        false => {
            context.printer.data(&report.render(file.source(), true));
            let all = count(report.diagnostics.len() + report.more, "warning");
            context.printer.hint(format!("{all}; `vnet explain CODE` says more"));
        }
    }
    Ok(ExitCode::from(if clean { 0 } else { DIFFERS }))
}

/// Has `nft` read what only it understands, where it is and can: as root, or where the lab is up.
fn texts(context: &Context<'_>, file: &File, desired: &Desired) -> Vec<(&'static str, Warning)> {
    if desired.state.namespaces.values().all(|found| found.nft_text.is_none()) {
        return Vec::new();
    }
    let untold = |why: &str| {
        context.printer.note(format!("`nftables:` was not read: {why}"));
        Vec::new()
    };
    let lab = context.open(&desired.lab);
    let found = match lab.map(|lab| lab.try_texts(desired)) {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => return untold("that takes root, or the lab to be up"),
        Ok(Err(error)) => return untold(&error.to_string()),
        Err(_) => return untold("the lab can't be opened"),
    };
    if let Some(missing) = found.iter().find(|it| matches!(it, Error::MissingProgram { .. })) {
        return untold(&missing.to_string());
    }
    let warning = |error: Error| match &error {
        Error::NftText { message, .. } => at(file.span(error.origin()), message.clone()),
        _ => at(file.span(error.origin()), error.to_string()),
    };
    found.into_iter().map(|error| ("nft-text", warning(error))).collect()
}

fn warnings(file: &File, lints: Vec<lint::Lint>) -> Vec<(&'static str, Warning)> {
    let mut warnings = Vec::new();
    for lint in lints {
        let mut warning = at(file.span(lint.origin), lint.message);
        let label = lint.related.and_then(|(origin, text)| Some((file.span(origin)?, text)));
        // A label at the very same place would say nothing.
        warning.label = label.filter(|(span, _)| Some(*span) != warning.span);
        warning.hint = lint.hint;
        warnings.push((lint.code, warning));
    }
    for (name, span) in file.unused_variables() {
        let mut warning = at(Some(*span), format!("the variable `{name}` is not used"));
        warning.hint = Some(format!("remove it, or write `${name}` where it belongs"));
        warnings.push(("unused-variable", warning));
    }
    warnings
}

fn at(span: Option<vnet::file::Span>, message: String) -> Warning {
    Warning { message, span, label: None, hint: None }
}

/// Puts the code behind the message.
fn shown((code, warning): (&'static str, Warning)) -> Warning {
    Warning { message: format!("{} ({code})", warning.message), ..warning }
}

fn found(report: &Report) -> Vec<Found<'_>> {
    let code = |message: &str| {
        let (_, code) = message.rsplit_once(" (")?;
        Some(code.trim_end_matches(')').to_owned())
    };
    let diagnostics = report.diagnostics.iter();
    diagnostics
        .map(|diagnostic| Found { code: code(&diagnostic.message).unwrap_or_default(), diagnostic })
        .collect()
}

/// Says what a code means, or lists them all.
pub(super) fn explain(context: &Context<'_>, args: &args::Explain) -> Outcome {
    let (on, off) = (on(style::NAME), off(style::NAME));
    let text = match &args.code {
        None => CODES.iter().map(|code| format!("{}\n", code.name)).collect(),
        Some(name) => match vnet::why::explain(name) {
            Some(code) => format!("{on}{}{off}\n{}\n", code.name, code.text),
            None => {
                let names = CODES.iter().map(|code| code.name);
                let failure = Failure::usage("no-code", format!("there is no code `{name}`"));
                return Err(match vnet::model::problem::nearest(name, names) {
                    Some(near) => failure.hint(format!("one with a similar name exists: {near}")),
                    None => failure.hint("`vnet explain` lists them"),
                });
            }
        },
    };
    context.printer.data(&text);
    Ok(ExitCode::SUCCESS)
}
