//! Each shape: its words, its size, its nodes and links.
use std::fmt::Write as _;

use vnet_model::topology::Routing;

use super::{Counts, Draft, Shape, TooLarge, range};

impl Shape {
    /// Returns its name: `ring`, `spine-leaf`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Line { .. } => "line",
            Self::Ring { .. } => "ring",
            Self::Star { .. } => "star",
            Self::Tree { .. } => "tree",
            Self::Mesh { .. } => "mesh",
            Self::Grid { .. } => "grid",
            Self::Torus { .. } => "torus",
            Self::SpineLeaf { .. } => "spine-leaf",
            Self::Segment { .. } => "segment",
        }
    }

    /// Its name with the article, as messages begin.
    pub(super) fn article(self) -> &'static str {
        match self {
            Self::Line { .. } => "a line",
            Self::Ring { .. } => "a ring",
            Self::Star { .. } => "a star",
            Self::Tree { .. } => "a tree",
            Self::Mesh { .. } => "a mesh",
            Self::Grid { .. } => "a grid",
            Self::Torus { .. } => "a torus",
            Self::SpineLeaf { .. } => "a spine-leaf fabric",
            Self::Segment { .. } => "a segment",
        }
    }

    /// The first line of the file: what it is.
    pub(super) fn title(self) -> String {
        match self {
            Self::Line { nodes } => format!("A line of {nodes} routers."),
            Self::Ring { nodes } => format!("A ring of {nodes} routers."),
            Self::Star { hosts } => format!("A star: {hosts} hosts, each on a link to the hub."),
            Self::Tree { depth, fanout } => {
                format!(
                    "A tree of depth {depth}: {fanout} below each router, hosts below the last."
                )
            }
            Self::Mesh { nodes } => format!("A full mesh of {nodes} routers."),
            Self::Grid { rows, columns } => {
                format!("A grid of routers: {rows} rows, {columns} columns.")
            }
            Self::Torus { rows, columns } => {
                format!("A torus of routers: {rows} rows, {columns} columns, each a ring.")
            }
            Self::SpineLeaf { spines, leaves, fanout } => format!(
                "A fabric of {spines} spines and {leaves} leaves, each with each, and {fanout} hosts at each leaf."
            ),
            Self::Segment { hosts } => format!("A segment with {hosts} hosts and their gateway."),
        }
    }

    /// Where routes come from unless it is said: a single router is everybody's default route.
    pub(super) fn routing(self) -> Routing {
        match self {
            Self::Star { .. } | Self::Segment { .. } => Routing::None,
            _ => Routing::Auto,
        }
    }

    /// Refuses numbers that are too small to give the shape.
    pub(super) fn check_least(self) -> Result<(), TooLarge> {
        let numbers = match self {
            Self::Line { nodes } | Self::Mesh { nodes } => vec![("nodes", nodes, 2)],
            Self::Ring { nodes } => vec![("nodes", nodes, 3)],
            Self::Star { hosts } | Self::Segment { hosts } => vec![("hosts", hosts, 1)],
            Self::Tree { depth, fanout } => vec![("levels", depth, 1), ("below each", fanout, 1)],
            Self::Grid { rows, columns } => vec![("rows", rows, 2), ("columns", columns, 2)],
            Self::Torus { rows, columns } => vec![("rows", rows, 3), ("columns", columns, 3)],
            Self::SpineLeaf { spines, leaves, .. } => {
                vec![("spines", spines, 1), ("leaves", leaves, 1)]
            }
        };
        match numbers.into_iter().find(|(_, given, least)| given < least) {
            Some((what, given, least)) => {
                Err(TooLarge::TooFew { shape: self.article(), what, least, given })
            }
            None => Ok(()),
        }
    }

    /// Says how much there will be of everything; more than `u64` holds is as much as it holds.
    pub(super) fn counts(self) -> Counts {
        let wide = u64::from;
        let routers =
            |nodes: u64, links: u64| Counts { nodes, links, targets: nodes.saturating_add(links) };
        match self {
            Self::Line { nodes } => routers(wide(nodes), wide(nodes) - 1),
            Self::Ring { nodes } => routers(wide(nodes), wide(nodes)),
            Self::Star { hosts } => {
                Counts { nodes: wide(hosts) + 1, links: wide(hosts), targets: wide(hosts) + 1 }
            }
            Self::Tree { depth, fanout } => {
                let nodes = match fanout {
                    1 => wide(depth) + 1,
                    // Below the 64th level there is no more than `u64` holds already.
                    _ => (0..=depth.min(64))
                        .map(|level| wide(fanout).saturating_pow(level))
                        .fold(0, u64::saturating_add),
                };
                Counts { nodes, links: nodes - 1, targets: nodes.saturating_mul(2) }
            }
            Self::Mesh { nodes } => routers(wide(nodes), wide(nodes) * (wide(nodes) - 1) / 2),
            Self::Grid { rows, columns } => {
                let (rows, columns) = (wide(rows), wide(columns));
                let nodes = rows * columns;
                routers(nodes, nodes.saturating_mul(2) - rows - columns)
            }
            Self::Torus { rows, columns } => {
                let nodes = wide(rows) * wide(columns);
                routers(nodes, nodes.saturating_mul(2))
            }
            Self::SpineLeaf { spines, leaves, fanout } => {
                let (spines, leaves, fanout) = (wide(spines), wide(leaves), wide(fanout));
                let hosts = leaves * fanout;
                let links = (leaves * spines).saturating_add(hosts);
                let nodes = hosts.saturating_add(spines + leaves);
                Counts { nodes, links, targets: links.saturating_add(spines + leaves) }
            }
            Self::Segment { hosts } => Counts { nodes: wide(hosts) + 1, links: 0, targets: 2 },
        }
    }
}

/// Writes the nodes and links of a shape.
pub(super) fn draw(shape: Shape, file: &mut Draft) {
    match shape {
        Shape::Line { nodes } => line(file, nodes),
        Shape::Ring { nodes } => {
            line(file, nodes);
            file.links(&format!("r{nodes}"), "r1", 1, "");
        }
        Shape::Star { hosts } => {
            let names = range("h", 1, hosts, "");
            file.nodes.push_str("  hub: { forward: true }\n");
            file.hosts(&names);
            file.links("hub", &names, hosts, ", gateway: hub");
        }
        Shape::Tree { depth, fanout } => tree(file, depth, fanout),
        Shape::Mesh { nodes: 2 } => line(file, 2),
        Shape::Mesh { nodes } => {
            let names = range("r", 1, nodes, "");
            file.routers("r", 1, nodes, "");
            file.links(&names, &names, nodes * (nodes - 1) / 2, ", pairs: all");
        }
        Shape::Grid { rows, columns } => grid(file, rows, columns, false),
        Shape::Torus { rows, columns } => grid(file, rows, columns, true),
        Shape::SpineLeaf { spines, leaves, fanout } => spine_leaf(file, spines, leaves, fanout),
        Shape::Segment { hosts } => {
            let names = range("h", 1, hosts, "");
            file.nodes.push_str("  gw: { forward: true }\n");
            file.hosts(&names);
            // The network's own address and the broadcast address are nobody's.
            let prefix = file.blocks.take_addresses(hosts + 3);
            let _ = writeln!(
                file.segments,
                "  lan: {{ prefix: {prefix}, gateway: gw, members: [ gw, {names} ] }}"
            );
        }
    }
}

fn line(file: &mut Draft, nodes: u32) {
    file.routers("r", 1, nodes, "");
    let (from, to) = (range("r", 1, nodes - 1, ""), range("r", 2, nodes, ""));
    file.links_of_each(&from, &to, nodes - 1, "");
}

/// Routers are numbered level by level, hosts from left to right.
fn tree(file: &mut Draft, depth: u32, fanout: u32) {
    let routers: u32 = (0..depth).map(|level| fanout.pow(level)).sum();
    let last_level = fanout.pow(depth - 1);
    file.routers("r", 1, routers, "");
    file.hosts(&range("h", 1, last_level * fanout, ""));
    let above = routers - last_level;
    for router in 1..=routers {
        let from = format!("r{router}");
        match router <= above {
            true => {
                let first = (router - 1) * fanout + 2;
                file.links(&from, &range("r", first, first + fanout - 1, ""), fanout, "");
            }
            false => {
                let first = (router - above - 1) * fanout + 1;
                let hosts = range("h", first, first + fanout - 1, "");
                file.links(&from, &hosts, fanout, &format!(", gateway: {from}"));
            }
        }
    }
}

/// Rows are `r1-1..N`, `r2-1..N` and so on.
fn grid(file: &mut Draft, rows: u32, columns: u32, closed: bool) {
    let row = |row: u32, first, last| range(&format!("r{row}-"), first, last, "");
    for number in 1..=rows {
        file.routers(&format!("r{number}-"), 1, columns, "");
    }
    for number in 1..=rows {
        let (from, to) = (row(number, 1, columns - 1), row(number, 2, columns));
        file.links_of_each(&from, &to, columns - 1, "");
        if closed {
            file.links(&row(number, columns, columns), &row(number, 1, 1), 1, "");
        }
    }
    for number in 1..rows {
        let (from, to) = (row(number, 1, columns), row(number + 1, 1, columns));
        file.links_of_each(&from, &to, columns, "");
    }
    if closed {
        file.links_of_each(&row(rows, 1, columns), &row(1, 1, columns), columns, "");
    }
}

/// The hosts of leaf 1 are `h1` or, where it has several, `h1-1`, `h1-2` and so on.
fn spine_leaf(file: &mut Draft, spines: u32, leaves: u32, fanout: u32) {
    let (spine, leaf) = (range("spine", 1, spines, ""), range("leaf", 1, leaves, ""));
    file.routers("spine", 1, spines, "");
    file.routers("leaf", 1, leaves, "");
    let slots: Vec<String> = match fanout {
        1 => vec![range("h", 1, leaves, "")],
        _ => (1..=fanout).map(|slot| range("h", 1, leaves, &format!("-{slot}"))).collect(),
    };
    for hosts in &slots {
        file.hosts(hosts);
    }
    let all = if spines > 1 && leaves > 1 { ", pairs: all" } else { "" };
    file.links(&leaf, &spine, leaves * spines, all);
    for hosts in &slots {
        file.links_of_each(&leaf, hosts, leaves, &format!(", gateway: {leaf}"));
    }
}
