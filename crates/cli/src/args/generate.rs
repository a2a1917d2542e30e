//! What can be typed behind `vnet generate`.

use clap::{Args, Subcommand, ValueEnum};
use vnet::LabName;

/// The arguments of `vnet generate`.
#[derive(Debug, Args)]
#[command(subcommand_value_name = "SHAPE", subcommand_help_heading = "Shapes")]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) shape: Shape,
    /// The lab's name [default: the shape's]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) name: Option<LabName>,
    /// Where routes come from: shortest paths, or nowhere [default: auto, but for a star or segment]
    #[arg(long, value_name = "FROM", global = true)]
    pub(crate) routing: Option<Routing>,
}

/// Where routes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Routing {
    Auto,
    None,
}

/// What a generated network looks like.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Shape {
    /// Routers in a row
    Line {
        #[arg(value_name = "ROUTERS", default_value_t = 3)]
        nodes: u32,
    },
    /// Routers in a circle
    Ring {
        #[arg(value_name = "ROUTERS", default_value_t = 6)]
        nodes: u32,
    },
    /// Hosts around one router, each on a link of its own
    Star {
        #[arg(default_value_t = 6)]
        hosts: u32,
    },
    /// Routers from a root down, with hosts as leaves
    Tree {
        /// How many levels there are below the root
        #[arg(default_value_t = 3)]
        depth: u32,
        /// How many nodes are below each router
        #[arg(long, value_name = "NODES", default_value_t = 2)]
        fanout: u32,
    },
    /// Routers, each linked with each
    Mesh {
        #[arg(value_name = "ROUTERS", default_value_t = 4)]
        nodes: u32,
    },
    /// Routers in rows and columns
    Grid {
        #[arg(default_value_t = 3)]
        rows: u32,
        #[arg(default_value_t = 4)]
        columns: u32,
    },
    /// A grid whose rows and columns are closed to rings
    Torus {
        #[arg(default_value_t = 4)]
        rows: u32,
        #[arg(default_value_t = 4)]
        columns: u32,
    },
    /// Leaves that are each linked with all spines, and hosts at each leaf
    SpineLeaf {
        #[arg(default_value_t = 2)]
        spines: u32,
        #[arg(default_value_t = 4)]
        leaves: u32,
        /// How many hosts are at each leaf
        #[arg(long, value_name = "HOSTS", default_value_t = 1)]
        fanout: u32,
    },
    /// Hosts and a router on one segment
    Segment {
        #[arg(default_value_t = 10)]
        hosts: u32,
    },
}
