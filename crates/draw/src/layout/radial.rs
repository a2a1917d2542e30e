//! Circles: one vertex or a circle of them in the middle, and trees outwards.
use std::collections::BTreeSet;

use super::{GAP, LINE_ROOM, Rooted, Sheet};
use crate::geometry::Point;

/// Circles of up to so many have room for the texts of the lines between them.
const WITH_TEXTS_MAX: usize = 40;

/// How far circles are apart at least.
const RING: f64 = 120.0;

/// The vertices that make a circle, in the order in which they stand: a cycle, or each with each; what hangs at them are trees.
pub(super) fn circle(sheet: &Sheet<'_>, part: &[usize]) -> Option<Vec<usize>> {
    let mut degrees: Vec<usize> = sheet.neighbours.iter().map(Vec::len).collect();
    let mut core: BTreeSet<usize> = part.iter().copied().collect();
    let mut leaves: Vec<usize> =
        part.iter().copied().filter(|&vertex| degrees[vertex] <= 1).collect();
    while let Some(leaf) = leaves.pop() {
        core.remove(&leaf);
        for &next in sheet.neighbours[leaf].iter().filter(|next| core.contains(next)) {
            degrees[next] -= 1;
            leaves.extend((degrees[next] == 1).then_some(next));
        }
    }
    let inside = |vertex: usize| {
        sheet.neighbours[vertex]
            .iter()
            .copied()
            .filter(|next| core.contains(next))
            .collect::<Vec<_>>()
    };
    if core.iter().all(|&vertex| inside(vertex).len() + 1 == core.len()) {
        return Some(core.into_iter().collect());
    }
    if core.iter().any(|&vertex| inside(vertex).len() != 2) {
        return None;
    }
    let mut walk: Vec<usize> = core.first().copied().into_iter().collect();
    let mut seen: BTreeSet<usize> = walk.iter().copied().collect();
    while let Some(next) =
        walk.last().and_then(|&last| inside(last).into_iter().find(|next| !seen.contains(next)))
    {
        seen.insert(next);
        walk.push(next);
    }
    (walk.len() == core.len()).then_some(walk)
}

/// Puts `middle` in the middle, as a circle if there are several, and all that hangs at them around.
pub(super) fn around(sheet: &mut Sheet<'_>, middle: &[usize]) {
    let trees = Rooted::at(sheet, middle);
    let inner = usize::from(middle.len() > 1);
    // How much of a circle each vertex wants, with all outside of it.
    let mut wants = vec![0.0_f64; sheet.neighbours.len()];
    let line_room = if middle.len() <= WITH_TEXTS_MAX { LINE_ROOM } else { GAP };
    for &vertex in trees.order.iter().rev() {
        let outside: f64 = trees.children[vertex].iter().map(|&child| wants[child]).sum();
        let room = if trees.depths[vertex] == 0 { line_room } else { GAP };
        wants[vertex] = outside.max(sheet.rects[vertex].width + room);
    }
    let total: f64 = middle.iter().map(|&root| wants[root]).sum();
    let radii = radii(sheet, &trees, &wants, inner, total);
    // The first stands at the top.
    let first = match middle {
        [root] => sheet.neighbours[*root].first().copied().unwrap_or(*root),
        _ => middle[0],
    };
    let mut angle = -wants[first] / total / 2.0;
    let mut begins = vec![0.0; sheet.neighbours.len()];
    for &root in middle {
        begins[root] = angle;
        angle += wants[root] / total;
    }
    for &vertex in &trees.order {
        let turns = wants[vertex] / total;
        let radius = radii[trees.depths[vertex] + inner];
        let at = Point::on_circle(radius, begins[vertex] + turns / 2.0);
        sheet.move_to(vertex, at.x, at.y);
        let outside: f64 = trees.children[vertex].iter().map(|&child| wants[child]).sum();
        let mut begin = begins[vertex] + (turns - outside / total) / 2.0;
        for &child in &trees.children[vertex] {
            begins[child] = begin;
            begin += wants[child] / total;
        }
    }
}

/// The radius of each circle: the middle is the first, of no radius; each has room for what is on it.
fn radii(sheet: &Sheet<'_>, trees: &Rooted, wants: &[f64], inner: usize, total: f64) -> Vec<f64> {
    let mut radii = vec![0.0_f64];
    for &vertex in &trees.order {
        let depth = trees.depths[vertex];
        let circle = depth + inner;
        if circle == 0 {
            continue;
        }
        radii.resize(radii.len().max(circle + 1), 0.0);
        // Boxes on the same circle are apart by a chord; a box is as wide as it is at the top, where that is most.
        let room = if depth == 0 { wants[vertex] } else { sheet.rects[vertex].width + GAP };
        let turns = (wants[vertex] / total).min(0.5);
        let chord = 2.0 * (turns * std::f64::consts::PI).sin();
        radii[circle] = radii[circle].max(room / chord);
    }
    for circle in 1..radii.len() {
        let least = if circle == 1 && inner == 1 { 0.0 } else { RING };
        radii[circle] = radii[circle].max(radii[circle - 1] + least);
    }
    radii
}
