//! `vnet graph`: the network as a picture.

use std::path::Path;
use std::process::ExitCode;

use vnet_draw::Graph;

use super::Outcome;
use crate::args::{self, Drawn};
use crate::context::Context;
use crate::errors::{Failure, words};

pub(super) fn run(context: &Context<'_>, args: &args::Graph) -> Outcome {
    let graph = graph(context, args)?;
    let text = match args.format.unwrap_or_else(|| by_name(args.output.as_deref())) {
        Drawn::Svg => vnet_draw::svg(&graph, &vnet_draw::arrange(&graph)),
        Drawn::Dot => vnet_draw::dot(&graph),
        Drawn::Mermaid => vnet_draw::mermaid(&graph),
    };
    match &args.output {
        Some(path) => std::fs::write(path, text).map_err(|error| {
            let message = format!("cannot write to {}: {}", path.display(), words(&error));
            Failure::failed("failed", message)
        })?,
        None => context.printer.data(&text),
    }
    Ok(ExitCode::SUCCESS)
}

fn graph(context: &Context<'_>, args: &args::Graph) -> Result<Graph, Failure> {
    let picked = context.lab_without_file(&args.file);
    if !args.live && picked.is_none() {
        let file = context.file(&args.file)?;
        return Ok(Graph::new(&context.resolve(&file)?, None));
    }
    let name = match picked {
        Some(name) => name.clone(),
        None => context.lab_name(&args.file)?,
    };
    let seen = context.open(&name)?.show().map_err(|error| Failure::from(error).cannot_tell())?;
    Ok(Graph::new(&seen.desired, Some(&seen.observed)))
}

/// The form that a file's name asks for.
fn by_name(path: Option<&Path>) -> Drawn {
    match path.and_then(Path::extension).and_then(|extension| extension.to_str()) {
        Some("dot" | "gv") => Drawn::Dot,
        Some("mmd" | "mermaid") => Drawn::Mermaid,
        _ => Drawn::Svg,
    }
}
