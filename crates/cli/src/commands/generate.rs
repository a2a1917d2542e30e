//! `vnet generate`: files of networks that have a shape and a size.

use std::process::ExitCode;

use vnet::file::generate::{Blueprint, Shape};
use vnet::model::topology::Routing;

use super::Outcome;
use crate::args;
use crate::context::Context;
use crate::errors::Failure;

pub(super) fn run(context: &Context<'_>, args: args::Generate) -> Outcome {
    let routing = args.routing.map(|routing| match routing {
        args::Routing::Auto => Routing::Auto,
        args::Routing::None => Routing::None,
    });
    let name = args.name.or_else(|| context.global.lab.clone());
    let blueprint = Blueprint { shape: shape(args.shape), name, routing };
    let text = blueprint.to_file().map_err(|error| {
        let failure = Failure::usage("size", error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    context.printer.data(&text);
    Ok(ExitCode::SUCCESS)
}

fn shape(shape: args::Shape) -> Shape {
    match shape {
        args::Shape::Line { nodes } => Shape::Line { nodes },
        args::Shape::Ring { nodes } => Shape::Ring { nodes },
        args::Shape::Star { hosts } => Shape::Star { hosts },
        args::Shape::Tree { depth, fanout } => Shape::Tree { depth, fanout },
        args::Shape::Mesh { nodes } => Shape::Mesh { nodes },
        args::Shape::Grid { rows, columns } => Shape::Grid { rows, columns },
        args::Shape::Torus { rows, columns } => Shape::Torus { rows, columns },
        args::Shape::SpineLeaf { spines, leaves, fanout } => {
            Shape::SpineLeaf { spines, leaves, fanout }
        }
        args::Shape::Segment { hosts } => Shape::Segment { hosts },
    }
}
