//! Where everything stands.
//!
//! Each connected part is laid out by itself, by the first form that it has, and the parts are then put side by side:
//!
//! | form | looks like |
//! | --- | --- |
//! | a path | a row; a long one goes to and fro |
//! | a tree | from its root down, or around its middle where that would be too wide |
//! | rows and columns in its names (`r2-3`) | a grid |
//! | rows by its names, with lines between neighbouring rows alone (`spine1`, `leaf1`, `h1`) | rows |
//! | segments, and no line through what it does not lead to | bars, the nodes between them |
//! | a cycle, or each with each, with trees at it | a circle, the trees outside |
//! | anything else | by distances |

mod buses;
mod cluster;
mod grid;
mod line;
mod pack;
mod radial;
mod rows;
mod stress;
mod tree;

use std::collections::BTreeMap;

use crate::geometry::{Path, Point, Rect};
use crate::graph::{Graph, Vertex, VertexKind};
use crate::text;

/// The size of a name, in pixels.
pub(crate) const NAME_SIZE: f64 = 13.0;

/// The size of every other text.
pub(crate) const TEXT_SIZE: f64 = 10.0;

/// How far apart boxes are at least.
const GAP: f64 = 24.0;

/// How much room a line wants for its texts.
const LINE_ROOM: f64 = 124.0;

/// Boxes and lines, each in the graph's order.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) rects: Vec<Rect>,
    pub(crate) paths: Vec<Path>,
}

/// A layout that is being made.
struct Sheet<'g> {
    graph: &'g Graph,
    neighbours: Vec<Vec<usize>>,
    rects: Vec<Rect>,
    /// The lines that are more than the shortest way between two boxes.
    paths: Vec<Option<Path>>,
}

/// Lays a graph out.
pub(crate) fn layout(graph: &Graph) -> Layout {
    let mut sheet = Sheet {
        graph,
        neighbours: graph.neighbours(),
        rects: graph.vertices.iter().map(size).collect(),
        paths: vec![None; graph.edges.len()],
    };
    let parts = sheet.parts();
    for part in &parts {
        sheet.place(part);
    }
    pack::pack(&mut sheet, &parts);
    let paths = sheet.connected();
    Layout { rects: sheet.rects, paths }
}

/// The size of a vertex's box.
fn size(vertex: &Vertex) -> Rect {
    let lines = vertex.lines.iter().map(|line| text::width(line, TEXT_SIZE));
    let widest = lines.fold(text::name_width(&vertex.name, NAME_SIZE), f64::max);
    let height = NAME_SIZE * text::LINE_HEIGHT
        + vertex.lines.len() as f64 * TEXT_SIZE * text::LINE_HEIGHT
        + 12.0;
    let least = if vertex.kind == VertexKind::Segment { 90.0 } else { 56.0 };
    Rect::new(Point::new(0.0, 0.0), (widest + 20.0).max(least), height)
}

impl Sheet<'_> {
    /// The connected parts, each in the graph's order.
    fn parts(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.neighbours.len()];
        let mut parts = Vec::new();
        for start in 0..self.neighbours.len() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut part = vec![start];
            let mut at = 0;
            while let Some(&vertex) = part.get(at) {
                for &next in &self.neighbours[vertex] {
                    if !std::mem::replace(&mut seen[next], true) {
                        part.push(next);
                    }
                }
                at += 1;
            }
            part.sort_unstable();
            parts.push(part);
        }
        parts
    }

    fn place(&mut self, part: &[usize]) {
        let lines: usize =
            part.iter().map(|&vertex| self.neighbours[vertex].len()).sum::<usize>() / 2;
        let is_tree = lines + 1 == part.len();
        if is_tree && part.iter().all(|&vertex| self.degree(vertex) <= 2) {
            line::place(self, part);
        } else if is_tree {
            tree::place(self, part);
        } else if let Some(grid) = grid::Grid::of(self, part) {
            grid.place(self);
        } else if let Some(rows) = rows::Rows::of(self, part) {
            rows.place(self);
        } else if buses::Buses::of(self, part).is_some_and(|buses| buses.place(self)) {
            // All stands where it shall.
        } else if let Some(circle) = radial::circle(self, part) {
            radial::around(self, &circle);
        } else {
            stress::place(self, part);
        }
    }

    fn degree(&self, vertex: usize) -> usize {
        self.neighbours[vertex].len()
    }

    fn is_segment(&self, vertex: usize) -> bool {
        self.graph.vertices[vertex].kind == VertexKind::Segment
    }

    fn move_to(&mut self, vertex: usize, x: f64, y: f64) {
        self.rects[vertex].middle = Point::new(x, y);
    }

    fn widest(&self, vertices: &[usize]) -> f64 {
        vertices.iter().map(|&vertex| self.rects[vertex].width).fold(0.0, f64::max)
    }

    fn highest(&self, vertices: &[usize]) -> f64 {
        vertices.iter().map(|&vertex| self.rects[vertex].height).fold(0.0, f64::max)
    }

    /// The edges between two vertices.
    fn edges_between(&self, a: usize, b: usize) -> Vec<usize> {
        let edges = self.graph.edges.iter().enumerate();
        edges
            .filter(|(_, edge)| edge.ends == [a, b] || edge.ends == [b, a])
            .map(|(index, _)| index)
            .collect()
    }

    /// Gives all edges between two vertices a path that is said from `a` on.
    fn route(&mut self, a: usize, b: usize, points: &[Point]) {
        let edges = self.edges_between(a, b);
        // Parallels are told apart as bows.
        if let [edge] = edges[..] {
            let mut points = points.to_vec();
            if self.graph.edges[edge].ends[0] != a {
                points.reverse();
            }
            self.paths[edge] = Some(Path::through(points));
        }
    }

    /// All lines: those laid out, and the shortest between two boxes for the others.
    fn connected(&self) -> Vec<Path> {
        let mut bundles: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
        for (index, edge) in self.graph.edges.iter().enumerate() {
            let [a, b] = edge.ends;
            bundles.entry([a.min(b), a.max(b)]).or_default().push(index);
        }
        let mut paths: Vec<Option<Path>> = self.paths.clone();
        for (_, bundle) in bundles {
            for (number, &edge) in bundle.iter().enumerate() {
                if paths[edge].is_none() {
                    let aside = (number as f64 - (bundle.len() - 1) as f64 / 2.0) * 44.0;
                    paths[edge] = Some(self.connection(self.graph.edges[edge].ends, aside));
                }
            }
        }
        paths.into_iter().flatten().collect()
    }

    fn connection(&self, [a, b]: [usize; 2], aside: f64) -> Path {
        let (from, to) = (&self.rects[a], &self.rects[b]);
        if a == b {
            let corner = Point::new(from.right(), from.top());
            return Path::bow(
                corner.plus(0.0, 8.0),
                corner.plus(40.0, -40.0),
                corner.plus(-8.0, 0.0),
            );
        }
        if aside == 0.0 {
            return Path::straight(border(from, to.middle), border(to, from.middle));
        }
        let length = from.middle.distance(to.middle).max(1.0);
        // Parallels bow to their own side whichever end they are said from.
        let sign = if a < b { 1.0 } else { -1.0 };
        let (across_x, across_y) = (
            -(to.middle.y - from.middle.y) / length * sign,
            (to.middle.x - from.middle.x) / length * sign,
        );
        let pull = from.middle.between(to.middle, 0.5).plus(across_x * aside, across_y * aside);
        Path::bow(border(from, pull), pull, border(to, pull))
    }
}

/// The point of a box's edge that lies towards another point.
fn border(rect: &Rect, to: Point) -> Point {
    let (dx, dy) = (to.x - rect.middle.x, to.y - rect.middle.y);
    let part = (rect.width / 2.0 / dx.abs()).min(rect.height / 2.0 / dy.abs());
    if part.is_finite() { rect.middle.between(to, part.min(1.0)) } else { rect.middle }
}

/// Trees, each vertex with those below it.
struct Rooted {
    children: Vec<Vec<usize>>,
    /// The roots, then what is below them, each after the one above it.
    order: Vec<usize>,
    depths: Vec<usize>,
}

impl Rooted {
    /// Hangs up what is reached from the roots; what is reached on several ways, on the shortest.
    fn at(sheet: &Sheet<'_>, roots: &[usize]) -> Self {
        let count = sheet.neighbours.len();
        let mut rooted = Self {
            children: vec![Vec::new(); count],
            order: roots.to_vec(),
            depths: vec![0; count],
        };
        let mut seen = vec![false; count];
        roots.iter().for_each(|&root| seen[root] = true);
        let mut at = 0;
        while let Some(&vertex) = rooted.order.get(at) {
            for &next in &sheet.neighbours[vertex] {
                if !std::mem::replace(&mut seen[next], true) {
                    rooted.children[vertex].push(next);
                    rooted.depths[next] = rooted.depths[vertex] + 1;
                    rooted.order.push(next);
                }
            }
            at += 1;
        }
        rooted
    }
}
