//! Rows of vertices that are called alike, with lines between neighbouring rows alone: spines, leaves, hosts.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::cluster::Cluster;
use super::{GAP, Sheet};
use crate::text::stem;

/// More rows than that are no rows.
const ROWS_MAX: usize = 8;

/// Rows of up to so many are wider than they must be.
const ROOMY_MAX: usize = 12;

pub(super) struct Rows {
    /// From the top down.
    rows: Vec<Vec<usize>>,
    /// What hangs below the last row: the leaves of each vertex.
    hanging: BTreeMap<usize, Vec<usize>>,
}

impl Rows {
    /// Finds rows by the names; `None` if the lines do not go from row to row.
    pub(super) fn of(sheet: &Sheet<'_>, part: &[usize]) -> Option<Self> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for &vertex in part {
            groups.entry(stem(&sheet.graph.vertices[vertex].name)).or_default().push(vertex);
        }
        let groups: Vec<Vec<usize>> = groups.into_values().collect();
        if groups.len() < 2 || groups.len() > ROWS_MAX {
            return None;
        }
        let mut group_of = BTreeMap::new();
        for (number, group) in groups.iter().enumerate() {
            group_of.extend(group.iter().map(|&vertex| (vertex, number)));
        }
        let mut joined = vec![BTreeSet::new(); groups.len()];
        for &vertex in part {
            for next in &sheet.neighbours[vertex] {
                joined[group_of[&vertex]].insert(group_of[next]);
            }
        }
        let joints: usize = joined.iter().map(BTreeSet::len).sum::<usize>() / 2;
        let has_inner = joined.iter().enumerate().any(|(number, next)| next.contains(&number));
        if has_inner || joints + 1 != groups.len() {
            return None;
        }
        let depths = depths(&joined, top(sheet, &groups, &joined)?);
        let mut rows = vec![Vec::new(); depths.iter().max()? + 1];
        for (group, depth) in groups.iter().zip(&depths) {
            rows[*depth].extend(group);
        }
        rows.iter_mut().for_each(|row| row.sort_unstable());
        Some(Self::hung_up(sheet, rows))
    }

    /// Takes the last row off as what hangs at the one above, if each of it has one line only.
    fn hung_up(sheet: &Sheet<'_>, mut rows: Vec<Vec<usize>>) -> Self {
        let mut hanging: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let is_leaf = |&vertex: &usize| sheet.degree(vertex) == 1;
        if rows.len() > 2 && rows[rows.len() - 1].iter().all(is_leaf) {
            for leaf in rows.pop().unwrap_or_default() {
                hanging.entry(sheet.neighbours[leaf][0]).or_default().push(leaf);
            }
        }
        Self { rows, hanging }
    }

    pub(super) fn place(&self, sheet: &mut Sheet<'_>) {
        let clusters: BTreeMap<usize, Cluster> = self
            .hanging
            .iter()
            .map(|(&vertex, leaves)| (vertex, Cluster::of(sheet, leaves, self.hanging.len())))
            .collect();
        // Few have room for more texts between them.
        let longest = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let gap = if longest <= ROOMY_MAX { 2.0 * GAP } else { GAP };
        let room = |sheet: &Sheet<'_>, vertex: usize| {
            let below = clusters.get(&vertex).map_or(0.0, |cluster| cluster.width);
            sheet.rects[vertex].width.max(below) + gap
        };
        let widths: Vec<f64> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|&vertex| room(sheet, vertex)).sum())
            .collect();
        let total = widths.iter().copied().fold(0.0, f64::max);
        // Long flat lines are hard to follow.
        let apart = (total * 0.16).clamp(120.0, 420.0);
        let mut top = 0.0;
        for (row, width) in self.rows.iter().zip(&widths) {
            let height = sheet.highest(row);
            // What is narrower than the widest row is spread over it, not to its edges.
            let spread = (total / width.max(1.0)).clamp(1.0, 1.0_f64.max(0.9 * total / width));
            let mut left = (total - width * spread) / 2.0;
            for &vertex in row {
                let room = room(sheet, vertex) * spread;
                sheet.move_to(vertex, left + room / 2.0, top + height / 2.0);
                left += room;
            }
            top += height + apart;
        }
        let last = self.rows.last().map_or(0.0, |row| sheet.highest(row));
        let below = top - apart + 56.0;
        for (vertex, cluster) in &clusters {
            let middle = sheet.rects[*vertex].middle;
            debug_assert!(middle.y + last / 2.0 <= below);
            cluster.place(sheet, *vertex, middle.x, below);
        }
    }
}

/// The group at the top: of those at an end, the one with the most lines at each.
fn top(sheet: &Sheet<'_>, groups: &[Vec<usize>], joined: &[BTreeSet<usize>]) -> Option<usize> {
    let lines = |group: &[usize]| group.iter().map(|&it| sheet.degree(it)).sum::<usize>();
    // Compared as fractions, without rounding.
    (0..groups.len()).filter(|&number| joined[number].len() == 1).max_by(|&a, &b| {
        let (a, b) = (&groups[a], &groups[b]);
        (lines(a) * b.len()).cmp(&(lines(b) * a.len())).then(b.len().cmp(&a.len()))
    })
}

fn depths(joined: &[BTreeSet<usize>], top: usize) -> Vec<usize> {
    let mut depths = vec![usize::MAX; joined.len()];
    depths[top] = 0;
    let mut queue = VecDeque::from([top]);
    while let Some(at) = queue.pop_front() {
        for &next in &joined[at] {
            if depths[next] == usize::MAX {
                depths[next] = depths[at] + 1;
                queue.push_back(next);
            }
        }
    }
    depths
}
