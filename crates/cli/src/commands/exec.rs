//! `vnet exec`: a program in a node, or in one after the other.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use vnet::exec::{ENV_LAB, ENV_NODE};
use vnet::kernel::process::Entrance;
use vnet::{Exec, Lab, NodeName};

use super::Outcome;
use crate::args;
use crate::child;
use crate::context::Context;
use crate::environment::ENV_STATE_DIR;
use crate::errors::Failure;
use crate::printer::{off, on, style};

pub(super) fn run(context: &Context<'_>, args: &args::Exec) -> Outcome {
    let lab = context.open_to_look()?;
    let nodes = lab.nodes_of(&args.node)?;
    let how = how(context, args.as_me);
    match nodes.as_slice() {
        [node] => {
            let entrance = lab.entrance(node.as_str(), how)?;
            let name = lab.name().clone();
            // Its threads end with it: some namespaces take in a single thread only.
            drop(lab);
            let mut command = command(context, &args.command);
            command.env(ENV_LAB, name.as_str()).env(ENV_NODE, node.as_str());
            Err(become_program(context, &entrance, command))
        }
        nodes => one_after_the_other(context, &lab, nodes, how, &args.command),
    }
}

/// Returns whose ids the program has.
pub(super) fn how(context: &Context<'_>, as_me: bool) -> Exec {
    Exec { as_user: as_me.then_some(context.environment.user) }
}

/// Makes the command; programs in a lab find the lab's state where it is.
pub(super) fn command(context: &Context<'_>, words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(ENV_STATE_DIR, &context.environment.state_dir);
    command
}

/// Replaces this process by the program, so that signals, terminal and exit code are the program's
/// own. Returns only on failure.
pub(super) fn become_program(
    context: &Context<'_>,
    entrance: &Entrance,
    mut command: Command,
) -> Failure {
    context.environment.restore_limits();
    if let Err(errno) = entrance.enter() {
        let error = vnet::kernel::Error::system("enter", "the node")(errno);
        return vnet::Error::from(error).into();
    }
    let error = command.exec();
    child::not_started(command.get_program(), &error)
}

/// Runs the program in each node, and goes on whatever it returns. The exit code is the first that
/// is not 0.
fn one_after_the_other(
    context: &Context<'_>,
    lab: &Lab,
    nodes: &[NodeName],
    how: Exec,
    words: &[OsString],
) -> Outcome {
    context.environment.restore_limits();
    let mut first = 0;
    for node in nodes {
        context.printer.talk(&format!("{}{node}{}:\n", on(style::NAME), off(style::NAME)));
        let mut command = command(context, words);
        command.env(ENV_LAB, lab.name().as_str()).env(ENV_NODE, node.as_str());
        lab.entrance(node.as_str(), how)?.apply_to(&mut command);
        let status = command.status().map_err(|error| child::not_started(&words[0], &error))?;
        if first == 0 {
            first = child::code(status);
        }
    }
    Ok(ExitCode::from(first))
}
