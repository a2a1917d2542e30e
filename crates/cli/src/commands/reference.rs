//! What is generated from the definitions: schema, completions, man pages.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use super::Outcome;
use crate::args::{self, Cli};
use crate::context::Context;
use crate::errors::{Failure, words};

pub(super) fn schema(context: &Context<'_>) -> Outcome {
    context.printer.data(&format!("{:#}\n", vnet::file::schema()));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn completions(context: &Context<'_>, args: &args::Completions) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vnet", &mut text);
    context.printer.data(&String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(context: &Context<'_>, args: &args::Man) -> Outcome {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error| Failure::failed("failed", format!("cannot write to {path}: {}", words(&error)))
    };
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(failed(dir))?;
            clap_mangen::generate_to(Cli::command(), dir).map_err(failed(dir))?;
        }
        None => {
            let mut text = Vec::new();
            let man = clap_mangen::Man::new(Cli::command());
            man.render(&mut text).map_err(failed(Path::new("stdout")))?;
            context.printer.data(&String::from_utf8_lossy(&text));
        }
    }
    Ok(ExitCode::SUCCESS)
}
