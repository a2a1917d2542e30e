//! Anything else: as far apart on the picture as in the network.
//!
//! Stress majorization, one vertex after the other: each moves to the mean of where the others would have it (Gansner, Koren,
//! North: Graph Drawing by Stress Majorization, 2004). It begins with a circle, so it is the same each time.
use std::collections::VecDeque;

use super::{LINE_ROOM, Sheet, radial};
use crate::geometry::Point;

/// More would take seconds: they are drawn as a tree of shortest ways, with the other lines across.
const VERTICES_MAX: usize = 600;

pub(super) fn place(sheet: &mut Sheet<'_>, part: &[usize]) {
    if part.len() > VERTICES_MAX {
        let most =
            part.iter().copied().max_by_key(|&vertex| (sheet.degree(vertex), usize::MAX - vertex));
        return radial::around(sheet, &[most.unwrap_or(part[0])]);
    }
    let step = sheet.widest(part) + LINE_ROOM;
    let distances: Vec<Vec<f64>> =
        part.iter().map(|&from| distances(sheet, part, from, step)).collect();
    let count = part.len();
    let radius = step * count as f64 / std::f64::consts::TAU;
    let mut points: Vec<Point> =
        (0..count).map(|index| Point::on_circle(radius, index as f64 / count as f64)).collect();
    let rounds = (4_000_000 / (count * count)).clamp(30, 300);
    for _ in 0..rounds {
        for index in 0..count {
            points[index] = wished(&points, &distances[index], index);
        }
    }
    for (&vertex, point) in part.iter().zip(points) {
        // Boxes are wider than high.
        sheet.move_to(vertex, point.x, point.y * 0.8);
    }
    spread(sheet, part);
}

/// Where all others together would have a vertex.
fn wished(points: &[Point], distances: &[f64], index: usize) -> Point {
    let (mut x, mut y, mut weights) = (0.0, 0.0, 0.0);
    let here = points[index];
    for (other, (point, &wanted)) in points.iter().zip(distances).enumerate() {
        if other == index {
            continue;
        }
        let weight = 1.0 / (wanted * wanted);
        let there = here.distance(*point).max(0.01);
        x += weight * (point.x + wanted * (here.x - point.x) / there);
        y += weight * (point.y + wanted * (here.y - point.y) / there);
        weights += weight;
    }
    Point::new(x / weights, y / weights)
}

/// How far each vertex of the part is from one, in pixels.
fn distances(sheet: &Sheet<'_>, part: &[usize], from: usize, step: f64) -> Vec<f64> {
    let mut hops = vec![0.0; sheet.neighbours.len()];
    let mut seen = vec![false; sheet.neighbours.len()];
    seen[from] = true;
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        for &next in &sheet.neighbours[at] {
            if !std::mem::replace(&mut seen[next], true) {
                hops[next] = hops[at] + 1.0;
                queue.push_back(next);
            }
        }
    }
    part.iter().map(|&vertex| hops[vertex] * step).collect()
}

/// Enlarges the whole until no boxes overlap: so it keeps its form.
fn spread(sheet: &mut Sheet<'_>, part: &[usize]) {
    for _ in 0..40 {
        let overlaps = part.iter().enumerate().any(|(index, &a)| {
            let rect = sheet.rects[a].grown(8.0);
            part[index + 1..].iter().any(|&b| rect.overlaps(&sheet.rects[b].grown(8.0)))
        });
        if !overlaps {
            return;
        }
        for &vertex in part {
            let middle = sheet.rects[vertex].middle;
            sheet.move_to(vertex, middle.x * 1.12, middle.y * 1.12);
        }
    }
}
