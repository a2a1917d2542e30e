//! `vnet shell`: a shell in a node, or in the lab's own host.

use std::ffi::OsString;

use vnet::exec::{ENV_LAB, ENV_NODE};

use super::Outcome;
use super::exec::{become_program, command, how};
use crate::args;
use crate::context::Context;
use crate::errors::Failure;

const FALLBACK: &str = "/bin/sh";

pub(super) fn run(context: &Context<'_>, args: &args::Shell) -> Outcome {
    let lab = context.open_to_look()?;
    let entrance = match &args.node {
        Some(node) => lab.entrance(node, how(context, args.as_me))?,
        None if lab.keeper_pid().is_some() => lab.host_entrance()?,
        None if context.environment.privileged => {
            let message = "with root a lab has no host of its own: this one is it";
            return Err(Failure::usage("usage", message)
                .hint("name a node: `vnet shell NODE`; `ip netns` sees the lab from here"));
        }
        None => return Err(vnet::Error::NotUp { lab: lab.name().clone() }.into()),
    };
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = command(context, &[shell.unwrap_or_else(|| OsString::from(FALLBACK))]);
    command.env(ENV_LAB, lab.name().as_str());
    match &args.node {
        Some(node) => command.env(ENV_NODE, node),
        None => command.env_remove(ENV_NODE),
    };
    // Its threads end with it: some namespaces take in a single thread only.
    drop(lab);
    Err(become_program(context, &entrance, command))
}
