//! A tree: from its root down, or around its middle.
use std::collections::BTreeSet;

use super::cluster::{Cluster, drop_from_bar};
use super::{GAP, Rooted, Sheet, radial};
use crate::graph::VertexKind;

/// A tree that would be wider, in pixels, stands around its middle.
const WIDTH_MAX: f64 = 2600.0;

/// From so many leaves on a star is a trunk with leaves at its sides.
const STAR_MAX: usize = 24;

/// How far the levels are apart.
const LEVEL: f64 = 84.0;

pub(super) fn place(sheet: &mut Sheet<'_>, part: &[usize]) {
    let root = root(sheet, part);
    let rooted = Rooted::at(sheet, &[root]);
    let leaves = rooted.children[root].len();
    let is_star = part.iter().filter(|&&vertex| sheet.degree(vertex) > 1).count() == 1;
    if is_star
        && !sheet.is_segment(root)
        && sheet.degree(root) > 1
        && (5..=STAR_MAX).contains(&leaves)
    {
        return radial::around(sheet, &[root]);
    }
    let blocks = Blocks::of(sheet, &rooted);
    match blocks.widths[root] > WIDTH_MAX && !is_star {
        true => radial::around(sheet, &[root]),
        false => blocks.place(sheet, &rooted),
    }
}

/// The middle of the tree; a router before a segment, the first of two.
fn root(sheet: &Sheet<'_>, part: &[usize]) -> usize {
    let mut degrees: Vec<usize> = sheet.neighbours.iter().map(Vec::len).collect();
    let mut left: BTreeSet<usize> = part.iter().copied().collect();
    while left.len() > 2 {
        let outer: Vec<usize> =
            left.iter().copied().filter(|&vertex| degrees[vertex] <= 1).collect();
        for vertex in outer {
            left.remove(&vertex);
            sheet.neighbours[vertex].iter().for_each(|&next| degrees[next] -= 1);
        }
    }
    let middle = left
        .iter()
        .copied()
        .find(|&vertex| sheet.graph.vertices[vertex].kind == VertexKind::Router)
        .or_else(|| left.first().copied())
        .unwrap_or(part[0]);
    let is_router = |&&next: &&usize| sheet.graph.vertices[next].kind == VertexKind::Router;
    match sheet.is_segment(middle) {
        true => *sheet.neighbours[middle].iter().find(is_router).unwrap_or(&middle),
        false => middle,
    }
}

/// How wide each vertex is with all below it.
struct Blocks {
    widths: Vec<f64>,
    /// For each vertex, the leaves below it as one, and the other vertices below it.
    clusters: Vec<Option<Cluster>>,
    inner: Vec<Vec<usize>>,
}

impl Blocks {
    fn of(sheet: &Sheet<'_>, rooted: &Rooted) -> Self {
        let count = sheet.neighbours.len();
        let mut blocks = Self {
            widths: vec![0.0; count],
            clusters: std::iter::repeat_with(|| None).take(count).collect(),
            inner: vec![Vec::new(); count],
        };
        let is_parent = |vertex: usize| {
            rooted.children[vertex].iter().any(|&child| rooted.children[child].is_empty())
        };
        let parents = rooted.order.iter().filter(|&&vertex| is_parent(vertex)).count();
        for &vertex in rooted.order.iter().rev() {
            let (leaves, inner): (Vec<usize>, Vec<usize>) = rooted.children[vertex]
                .iter()
                .partition(|&&child| rooted.children[child].is_empty());
            let mut below: Vec<f64> = inner.iter().map(|&child| blocks.widths[child]).collect();
            if !leaves.is_empty() {
                let cluster = Cluster::of(sheet, &leaves, parents);
                below.push(cluster.width);
                blocks.clusters[vertex] = Some(cluster);
            }
            let width = below.iter().sum::<f64>() + GAP * below.len().saturating_sub(1) as f64;
            blocks.widths[vertex] = width.max(sheet.rects[vertex].width);
            blocks.inner[vertex] = inner;
        }
        blocks
    }

    fn place(&self, sheet: &mut Sheet<'_>, rooted: &Rooted) {
        // Levels are as high as the highest box in them; clusters hang below their parent's.
        let mut heights: Vec<f64> = Vec::new();
        for &vertex in &rooted.order {
            let depth = rooted.depths[vertex];
            heights.resize(heights.len().max(depth + 1), 0.0);
            heights[depth] = heights[depth].max(sheet.rects[vertex].height);
        }
        let mut tops = vec![0.0];
        for height in &heights {
            tops.push(tops[tops.len() - 1] + height + LEVEL);
        }
        let mut lefts = vec![0.0; sheet.neighbours.len()];
        for &vertex in &rooted.order {
            // Leaves are put where their cluster is.
            if vertex != rooted.order[0] && rooted.children[vertex].is_empty() {
                continue;
            }
            let depth = rooted.depths[vertex];
            let middle = lefts[vertex] + self.widths[vertex] / 2.0;
            let height = sheet.rects[vertex].height;
            sheet.move_to(
                vertex,
                middle,
                tops[depth] + (heights[depth] - height) / 2.0 + height / 2.0,
            );
            let cluster = self.clusters[vertex].as_ref();
            let inner = self.inner[vertex].iter().map(|&child| self.widths[child]);
            let below: Vec<f64> = inner.chain(cluster.map(|cluster| cluster.width)).collect();
            let total = below.iter().sum::<f64>() + GAP * below.len().saturating_sub(1) as f64;
            let mut left = middle - total / 2.0;
            for (&child, width) in self.inner[vertex].iter().zip(&below) {
                lefts[child] = left;
                left += width + GAP;
            }
            if let Some(cluster) = cluster {
                let top = tops[depth] + heights[depth] + cluster.apart(LEVEL);
                cluster.place(sheet, vertex, left + cluster.width / 2.0, top);
            }
        }
        for &vertex in &rooted.order {
            drop_from_bar(sheet, vertex, &self.inner[vertex]);
        }
    }
}
