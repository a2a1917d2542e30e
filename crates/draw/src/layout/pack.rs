//! The parts side by side.
use super::Sheet;
use crate::geometry::Rect;

/// How far parts are apart.
const APART: f64 = 64.0;

/// Moves each part to a place of its own, in rows from left to right.
pub(super) fn pack(sheet: &mut Sheet<'_>, parts: &[Vec<usize>]) {
    let mut boxes: Vec<(usize, Rect)> =
        parts.iter().enumerate().map(|(number, part)| (number, bounds(sheet, part))).collect();
    // The largest first; the sort keeps the order of the others.
    boxes.sort_by(|a, b| parts[b.0].len().cmp(&parts[a.0].len()));
    let area: f64 = boxes.iter().map(|(_, it)| (it.width + APART) * (it.height + APART)).sum();
    let widest = boxes.iter().map(|(_, it)| it.width).fold(0.0, f64::max);
    let width = widest.max((area * 1.6).sqrt());
    let (mut left, mut top, mut height) = (0.0, 0.0, 0.0_f64);
    for (number, rect) in boxes {
        if left > 0.0 && left + rect.width > width {
            (left, top, height) = (0.0, top + height + APART, 0.0);
        }
        shift(sheet, &parts[number], left - rect.left(), top - rect.top());
        left += rect.width + APART;
        height = height.max(rect.height);
    }
}

fn bounds(sheet: &Sheet<'_>, part: &[usize]) -> Rect {
    let mut all = part.iter().map(|&vertex| sheet.rects[vertex]);
    let first = all.next().unwrap_or(Rect::new(crate::geometry::Point::new(0.0, 0.0), 0.0, 0.0));
    let boxes = all.fold(first, |a, b| a.around(&b));
    let paths = own_paths(sheet, part).into_iter().filter_map(|edge| sheet.paths[edge].as_ref());
    let points = paths.flat_map(crate::geometry::Path::pieces);
    points.fold(boxes, |a, point| a.around(&Rect::new(point, 0.0, 0.0)))
}

fn own_paths(sheet: &Sheet<'_>, part: &[usize]) -> Vec<usize> {
    let edges = sheet.graph.edges.iter().enumerate();
    edges
        .filter(|(_, edge)| part.binary_search(&edge.ends[0]).is_ok())
        .map(|(index, _)| index)
        .collect()
}

fn shift(sheet: &mut Sheet<'_>, part: &[usize], x: f64, y: f64) {
    for &vertex in part {
        sheet.rects[vertex].middle = sheet.rects[vertex].middle.plus(x, y);
    }
    for edge in own_paths(sheet, part) {
        if let Some(path) = &mut sheet.paths[edge] {
            path.shift(x, y);
        }
    }
}
