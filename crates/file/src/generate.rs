//! Writes files of networks that have a shape and a size: rings, trees, fabrics.
//!
//! ```
//! use vnet_file::generate::{Blueprint, Shape};
//!
//! let ring = Blueprint::new(Shape::Ring { nodes: 5 });
//! let text = ring.to_file()?;
//! assert!(text.contains("endpoints: [ r1..4, r2..5 ], pairs: each"));
//! # Ok::<(), vnet_file::generate::TooLarge>(())
//! ```
//!
//! Routers are called `r`, `spine` or `leaf`, and have an address of their own on `lo`, of 10.255.0.0/16, where routes
//! lead there; hosts are called
//! `h`. Each link has a /31 of 10.0.0.0/9, each segment a prefix of it. The same blueprint gives the same text.

mod blocks;
mod shapes;

use std::fmt::Write as _;

use vnet_model::LabName;
use vnet_model::topology::Routing;

use blocks::{Blocks, loopback};

/// How many nodes a generated network may have.
pub const NODES_MAX: u64 = 50_000;

/// How many links it may have.
pub const LINKS_MAX: u64 = 90_000;

/// How many routes `routing: auto` may come to.
pub const ROUTES_MAX: u64 = 1_000_000;

/// How many routers a full mesh may have: the language has up to 100,000 pairs in one line.
pub const MESH_NODES_MAX: u64 = 300;

/// How many hosts a segment may have beside its gateway: a bridge takes 1,023 ports.
pub const SEGMENT_HOSTS_MAX: u64 = 1_000;

/// What a network looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Routers in a row.
    Line {
        /// How many; at least 2.
        nodes: u32,
    },
    /// Routers in a circle.
    Ring {
        /// How many; at least 3.
        nodes: u32,
    },
    /// Hosts around one router, each on a link of its own.
    Star {
        /// How many hosts; at least 1.
        hosts: u32,
    },
    /// Routers from a root down, with hosts as leaves.
    Tree {
        /// How many levels there are below the root; at least 1.
        depth: u32,
        /// How many nodes are below each router; at least 1.
        fanout: u32,
    },
    /// Routers, each linked with each.
    Mesh {
        /// How many; at least 2.
        nodes: u32,
    },
    /// Routers in rows and columns.
    Grid {
        /// How many rows; at least 2.
        rows: u32,
        /// How many columns; at least 2.
        columns: u32,
    },
    /// A grid whose rows and columns are closed to rings.
    Torus {
        /// How many rows; at least 3.
        rows: u32,
        /// How many columns; at least 3.
        columns: u32,
    },
    /// Leaves that are each linked with all spines, and hosts at each leaf.
    SpineLeaf {
        /// How many spines; at least 1.
        spines: u32,
        /// How many leaves; at least 1.
        leaves: u32,
        /// How many hosts each leaf has.
        fanout: u32,
    },
    /// Hosts and a router on one segment.
    Segment {
        /// How many hosts; at least 1.
        hosts: u32,
    },
}

/// A network to write a file of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// What it looks like.
    pub shape: Shape,
    /// The lab's name; that of the shape where not given.
    pub name: Option<LabName>,
    /// Where its routes come from; where not given, shortest paths for what has more than one router.
    pub routing: Option<Routing>,
}

/// Says why there is no file of a network: it is larger than vnet builds, or too small to have its shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooLarge {
    /// A number is too small for the shape.
    #[error("{shape} has at least {least} {what}, not {given}")]
    TooFew {
        /// The shape: `a ring`.
        shape: &'static str,
        /// What is counted: `nodes`.
        what: &'static str,
        /// The smallest number.
        least: u32,
        /// The number given.
        given: u32,
    },
    /// There would be too much of something.
    #[error("{shape} of this size has {} {what}, of at most {}", large(*.count), large(*.most))]
    TooMany {
        /// The shape: `a ring`.
        shape: &'static str,
        /// What is counted: `links`.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// How many there may be.
        most: u64,
    },
    /// There would be too many routes.
    #[error("with `routing: auto`, {shape} of this size has {} routes, of at most {}", large(*.count), large(*.most))]
    TooManyRoutes {
        /// The shape: `a ring`.
        shape: &'static str,
        /// How many there would be.
        count: u64,
        /// How many there may be.
        most: u64,
    },
}

impl TooLarge {
    /// Says how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooManyRoutes { .. } => {
                Some("without automatic routes it can be larger: --routing none")
            }
            _ => None,
        }
    }
}

impl Blueprint {
    /// Makes one that leaves name and routing to the shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, name: None, routing: None }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it would be larger than vnet builds, or has not the least that its shape needs.
    pub fn to_file(&self) -> Result<String, TooLarge> {
        self.shape.check_least()?;
        let routing = self.routing.unwrap_or(self.shape.routing());
        let counts = self.shape.counts();
        counts.check(self.shape, routing)?;
        let mut file = Draft { with_loopbacks: routing == Routing::Auto, ..Draft::default() };
        shapes::draw(self.shape, &mut file);
        let name = self.name.as_ref().map_or(self.shape.word(), |name| name.as_str());
        Ok(file.text(name, &self.shape.title(), routing))
    }
}

fn large(count: u64) -> String {
    crate::report::thousands(usize::try_from(count).unwrap_or(usize::MAX))
}

/// How much of everything there will be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) nodes: u64,
    pub(crate) links: u64,
    /// The addresses and prefixes that each node has a route to.
    pub(crate) targets: u64,
}

impl Counts {
    fn check(self, shape: Shape, routing: Routing) -> Result<(), TooLarge> {
        let article = shape.article();
        let bound = |what, count, most| match count > most {
            true => Err(TooLarge::TooMany { shape: article, what, count, most }),
            false => Ok(()),
        };
        bound("nodes", self.nodes, NODES_MAX)?;
        bound("links", self.links, LINKS_MAX)?;
        match shape {
            Shape::Segment { hosts } => bound("hosts", hosts.into(), SEGMENT_HOSTS_MAX)?,
            Shape::Mesh { nodes } => bound("nodes", nodes.into(), MESH_NODES_MAX)?,
            _ => {}
        }
        let routes = self.nodes.saturating_mul(self.targets);
        match routing == Routing::Auto && routes > ROUTES_MAX {
            true => {
                Err(TooLarge::TooManyRoutes { shape: article, count: routes, most: ROUTES_MAX })
            }
            false => Ok(()),
        }
    }
}

/// A file that is being written.
#[derive(Debug, Default)]
struct Draft {
    nodes: String,
    segments: String,
    links: String,
    blocks: Blocks,
    routers: u32,
    /// Whether routers have addresses of their own: without routes nobody would reach them.
    with_loopbacks: bool,
}

impl Draft {
    /// Adds routers `PREFIX first` to `PREFIX last` with their own addresses; `after` ends each name.
    fn routers(&mut self, before: &str, first: u32, last: u32, after: &str) {
        if !self.with_loopbacks {
            let name = range(before, first, last, after);
            let _ = writeln!(self.nodes, "  {name}: {{ forward: true }}");
            return;
        }
        let mut at = first;
        while at <= last {
            let (address, count) = loopback(self.routers, last - at + 1);
            let name = range(before, at, at + count - 1, after);
            let _ = writeln!(
                self.nodes,
                "  {name}: {{ forward: true, interfaces: {{ lo: {address}/32 }} }}"
            );
            self.routers += count;
            at += count;
        }
    }

    /// Adds hosts of these names.
    fn hosts(&mut self, names: &str) {
        let _ = writeln!(self.nodes, "  {names}:");
    }

    /// Adds links that have a block of addresses between them. `more` are further keys, each with `, ` before it.
    fn links(&mut self, from: &str, to: &str, count: u32, more: &str) {
        let _ = match count {
            1 => {
                let prefix = self.blocks.take(1);
                writeln!(
                    self.links,
                    "  - {{ endpoints: [ {from}, {to} ], prefix: {prefix}{more} }}"
                )
            }
            _ => {
                let pool = self.blocks.take(count);
                writeln!(self.links, "  - {{ endpoints: [ {from}, {to} ]{more}, pool: {pool} }}")
            }
        };
    }

    /// Adds links between two ranges of this length, the first with the first and so on.
    fn links_of_each(&mut self, from: &str, to: &str, count: u32, more: &str) {
        match count {
            1 => self.links(from, to, 1, more),
            _ => self.links(from, to, count, &format!(", pairs: each{more}")),
        }
    }

    fn text(self, name: &str, title: &str, routing: Routing) -> String {
        let mut text = format!("# {title}\nname: {name}\n");
        if routing == Routing::Auto {
            text.push_str("routing: auto\n");
        }
        for (key, entries) in
            [("nodes", &self.nodes), ("segments", &self.segments), ("links", &self.links)]
        {
            if !entries.is_empty() {
                let _ = write!(text, "\n{key}:\n{entries}");
            }
        }
        text
    }
}

/// Writes a range of names, or the one name that it is.
fn range(before: &str, first: u32, last: u32, after: &str) -> String {
    match first == last {
        true => format!("{before}{first}{after}"),
        false => format!("{before}{first}..{last}{after}"),
    }
}

#[cfg(test)]
mod tests;
