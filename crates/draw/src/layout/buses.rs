//! Segments as buses: bars one below the other, and below each the nodes that are at it first. A node
//! at two has a line up and one down. Where a line would run through what it does not lead to, a
//! network is none of this form.
use std::collections::{BTreeMap, BTreeSet};

use super::{GAP, LINE_ROOM, Sheet, border};
use crate::geometry::{Point, Rect};

/// How far a bar and the nodes at it are apart.
const DROP: f64 = 56.0;

/// A network whose nodes would stand in more columns is none that people draw so.
const COLUMNS_MAX: usize = 24;

pub(super) struct Buses {
    bars: Vec<usize>,
    /// The nodes, by the bar above them and their column.
    cells: BTreeMap<(usize, usize), usize>,
    /// For each node the bars that it is at.
    at: BTreeMap<usize, BTreeSet<usize>>,
}

impl Buses {
    /// Finds a place for each node; `None` where there are no segments, or one is linked to another.
    pub(super) fn of(sheet: &Sheet<'_>, part: &[usize]) -> Option<Self> {
        let bars = order(sheet, part)?;
        let mut at: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (number, &bar) in bars.iter().enumerate() {
            for &node in &sheet.neighbours[bar] {
                at.entry(node).or_default().insert(number);
            }
        }
        let mut buses = Self { bars, cells: BTreeMap::new(), at };
        buses.fill(sheet, part);
        let columns = buses.cells.keys().map(|(_, column)| column + 1).max()?;
        (columns <= COLUMNS_MAX).then_some(buses)
    }

    /// Puts the nodes into their cells, row by row: those that lead on first, each with the nodes that
    /// are at no bar and reached by it at its side.
    fn fill(&mut self, sheet: &Sheet<'_>, part: &[usize]) {
        let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut placed: BTreeSet<usize> = self.bars.iter().copied().collect();
        for row in 0..self.bars.len() {
            let mut nodes: Vec<usize> = sheet.neighbours[self.bars[row]]
                .iter()
                .copied()
                .filter(|node| self.at[node].first() == Some(&row))
                .collect();
            // Those that are linked stand beside each other.
            nodes.sort_by_key(|node| (self.at[node].len() == 1, *node));
            let mut queue: Vec<usize> = nodes.into_iter().rev().collect();
            while let Some(node) = queue.pop() {
                if !placed.insert(node) {
                    continue;
                }
                let last = self.at.get(&node).and_then(|at| at.last().copied());
                let rows = row..last.unwrap_or(row).max(row + 1);
                let is_free =
                    |column: &usize| rows.clone().all(|row| !taken.contains(&(row, *column)));
                let column = (0..part.len()).find(is_free).unwrap_or(part.len());
                taken.extend(rows.map(|row| (row, column)));
                self.cells.insert((row, column), node);
                let is_next = |next: &&usize| !placed.contains(next) && self.begins(**next, row);
                queue.extend(sheet.neighbours[node].iter().rev().filter(is_next));
            }
        }
    }

    /// Tells whether a node may stand beside one of a row that it is linked to: its first bar is above
    /// or below, or it has none.
    fn begins(&self, node: usize, row: usize) -> bool {
        let first = self.at.get(&node).and_then(|at| at.first());
        first.is_none_or(|first| *first == row || *first == row + 1)
    }

    /// Places all; tells whether each line leads to its ends alone.
    pub(super) fn place(&self, sheet: &mut Sheet<'_>) -> bool {
        let (rects, paths) = (sheet.rects.clone(), sheet.paths.clone());
        let xs = self.columns(sheet);
        let mut y = 0.0;
        for (row, &bar) in self.bars.iter().enumerate() {
            let ends =
                sheet.neighbours[bar].iter().filter_map(|node| Some(xs[self.column(*node)?]));
            let (first, last) =
                ends.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
            let rect = &mut sheet.rects[bar];
            rect.width = rect.width.max(last - first + 2.0 * GAP);
            rect.middle = Point::new((first + last) / 2.0, y + rect.height / 2.0);
            y = rect.bottom() + DROP;
            let cells = self.cells.range((row, 0)..(row + 1, 0));
            let nodes: Vec<(usize, usize)> =
                cells.map(|(&(_, column), &node)| (column, node)).collect();
            let all: Vec<usize> = nodes.iter().map(|(_, node)| *node).collect();
            let height = sheet.highest(&all);
            for (column, node) in nodes {
                sheet.move_to(node, xs[column], y + height / 2.0);
            }
            y += if all.is_empty() { 0.0 } else { height + DROP };
        }
        for &bar in &self.bars {
            self.drop_lines(sheet, bar);
        }
        let is_clear = is_clear(sheet, self.cells.values().chain(&self.bars));
        if !is_clear {
            (sheet.rects, sheet.paths) = (rects, paths);
        }
        is_clear
    }

    /// Straight lines between a bar and its nodes.
    fn drop_lines(&self, sheet: &mut Sheet<'_>, bar: usize) {
        let rect = sheet.rects[bar];
        for node in sheet.neighbours[bar].clone() {
            let there = sheet.rects[node];
            let (from, to) = match there.middle.y > rect.middle.y {
                true => (rect.bottom(), there.top()),
                false => (rect.top(), there.bottom()),
            };
            let x = there.middle.x;
            sheet.route(bar, node, &[Point::new(x, from), Point::new(x, to)]);
        }
    }

    fn column(&self, node: usize) -> Option<usize> {
        self.cells.iter().find(|(_, at)| **at == node).map(|((_, column), _)| *column)
    }

    /// The middle of each column: wide enough for its boxes, and for texts where a line leads from one
    /// to the next.
    fn columns(&self, sheet: &Sheet<'_>) -> Vec<f64> {
        let count = self.cells.keys().map(|(_, column)| column + 1).max().unwrap_or_default();
        let mut widths = vec![0.0_f64; count];
        let mut gaps = vec![GAP * 1.5; count];
        for (&(row, column), &node) in &self.cells {
            widths[column] = widths[column].max(sheet.rects[node].width);
            let next = self.cells.get(&(row, column + 1));
            if next.is_some_and(|next| sheet.neighbours[node].contains(next)) {
                gaps[column] = LINE_ROOM;
            }
        }
        let mut left = 0.0;
        let middles = widths.iter().zip(&gaps).map(|(width, gap)| {
            let middle = left + width / 2.0;
            left += width + gap;
            middle
        });
        middles.collect()
    }
}

/// The segments from one end of the network to the other: each next to those it shares most with.
fn order(sheet: &Sheet<'_>, part: &[usize]) -> Option<Vec<usize>> {
    let bars: Vec<usize> =
        part.iter().copied().filter(|&vertex| sheet.is_segment(vertex)).collect();
    let is_linked = |&bar: &usize| sheet.neighbours[bar].iter().any(|&next| sheet.is_segment(next));
    if bars.iter().any(is_linked) {
        return None;
    }
    let shared = |a: usize, b: usize| {
        let there = &sheet.neighbours[b];
        sheet.neighbours[a].iter().filter(|node| there.contains(node)).count()
    };
    let others = |a: usize| bars.iter().filter(|&&b| b != a && shared(a, b) > 0).count();
    let first = bars.iter().copied().min_by_key(|&bar| (others(bar), bar))?;
    let mut ordered = vec![first];
    while let Some(last) = ordered.last().copied().filter(|_| ordered.len() < bars.len()) {
        let left = bars.iter().copied().filter(|bar| !ordered.contains(bar));
        let next =
            left.max_by_key(|&bar| (shared(last, bar), usize::MAX - others(bar), usize::MAX - bar));
        ordered.push(next?);
    }
    Some(ordered)
}

/// Tells whether no line between these runs through one that it does not lead to.
fn is_clear<'v>(sheet: &Sheet<'_>, vertices: impl Iterator<Item = &'v usize>) -> bool {
    let vertices: BTreeSet<usize> = vertices.copied().collect();
    let boxes: Vec<(usize, Rect)> =
        vertices.iter().map(|&vertex| (vertex, sheet.rects[vertex])).collect();
    sheet.graph.edges.iter().zip(&sheet.paths).all(|(edge, path)| {
        let [a, b] = edge.ends;
        if !vertices.contains(&a) || a == b {
            return true;
        }
        let (from, to) = (&sheet.rects[a], &sheet.rects[b]);
        let points = match path {
            Some(path) => path.pieces(),
            None => vec![border(from, to.middle), border(to, from.middle)],
        };
        // A line to a bar may run through another that the node is at as well.
        let is_at = |bar: &usize| {
            let leads = |end: &usize| sheet.neighbours[*end].contains(bar);
            sheet.is_segment(*bar) && [a, b].iter().any(leads)
        };
        let others =
            boxes.iter().filter(|(vertex, _)| *vertex != a && *vertex != b && !is_at(vertex));
        others.into_iter().all(|(_, rect)| {
            points.windows(2).all(|piece| !rect.grown(4.0).is_crossed(piece[0], piece[1]))
        })
    })
}
