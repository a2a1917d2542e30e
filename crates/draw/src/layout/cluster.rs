//! The leaves below one vertex: a row of few, or many on both sides of trunks.
use super::{GAP, Sheet};
use crate::geometry::Point;

/// Up to so many stand in a row.
const ROW_MAX: usize = 4;

/// From so many clusters side by side on, leaves stand on one side of a trunk only.
const NARROW_FROM: usize = 9;

/// How far leaves stand from their trunk.
const STUB: f64 = 14.0;

/// How long a trunk is above its first leaves.
const TRUNK: f64 = 48.0;

/// How the leaves below a vertex stand.
pub(super) struct Cluster {
    leaves: Vec<usize>,
    /// 0 is a row.
    trunks: usize,
    /// On how many sides of a trunk there are leaves: one or two.
    sides: usize,
    cell: (f64, f64),
    pub(super) width: f64,
}

impl Cluster {
    /// `clusters` is how many of them stand side by side: the more, the narrower.
    pub(super) fn of(sheet: &Sheet<'_>, leaves: &[usize], clusters: usize) -> Self {
        let cell = (sheet.widest(leaves), sheet.highest(leaves) + 12.0);
        let count = leaves.len();
        let is_narrow = clusters >= NARROW_FROM;
        if count <= ROW_MAX && !(is_narrow && count > 1) {
            let width = leaves.iter().map(|&leaf| sheet.rects[leaf].width).sum::<f64>()
                + GAP * count.saturating_sub(1) as f64;
            return Self { leaves: leaves.to_vec(), trunks: 0, sides: 2, cell, width };
        }
        if is_narrow {
            let width = cell.0 + STUB;
            return Self { leaves: leaves.to_vec(), trunks: 1, sides: 1, cell, width };
        }
        let size = |trunks: usize| {
            let rows = count.div_ceil(2 * trunks);
            (trunks as f64 * (2.0 * (cell.0 + STUB) + GAP) - GAP, rows as f64 * cell.1)
        };
        let mut trunks = 1;
        while size(trunks).0 * (clusters as f64) < size(trunks).1 * 1.4 {
            trunks += 1;
        }
        let width = size(trunks).0;
        Self { leaves: leaves.to_vec(), trunks, sides: 2, cell, width }
    }

    /// How far below their parent the leaves begin.
    pub(super) fn apart(&self, usual: f64) -> f64 {
        if self.trunks == 0 { usual } else { TRUNK }
    }

    /// Puts the leaves below their parent, which stands already; the first row's upper edge is at `top`.
    pub(super) fn place(&self, sheet: &mut Sheet<'_>, parent: usize, middle: f64, top: f64) {
        if self.trunks == 0 {
            return self.place_row(sheet, parent, middle, top);
        }
        // Leaves on one side alone are in the middle of their block, the trunk at its left.
        let middle = if self.sides == 1 { middle - self.width / 2.0 } else { middle };
        let pitch = 2.0 * (self.cell.0 + STUB) + GAP;
        let first = middle - pitch * (self.trunks - 1) as f64 / 2.0;
        let last = first + pitch * (self.trunks - 1) as f64;
        if sheet.is_segment(parent) {
            widen(sheet, parent, first, last);
        }
        let rows = self.leaves.len().div_ceil(self.sides * self.trunks);
        for (index, &leaf) in self.leaves.iter().enumerate() {
            // Down one trunk after the other, left before right.
            let (trunk, place) = (index / (self.sides * rows), index % (self.sides * rows));
            let (row, is_right) = (place / self.sides, place % self.sides == self.sides - 1);
            let x = first + pitch * trunk as f64;
            let y = top + self.cell.1 * (row as f64 + 0.5);
            let side = if is_right { 1.0 } else { -1.0 };
            sheet.move_to(leaf, x + side * (STUB + sheet.rects[leaf].width / 2.0), y);
            let from = sheet.rects[parent];
            let start =
                if from.width / 2.0 > (x - from.middle.x).abs() + 6.0 { x } else { from.middle.x };
            let bus = from.bottom() + (top - from.bottom()) / 2.0;
            let mut points = vec![Point::new(start, from.bottom())];
            if start != x {
                points.extend([Point::new(start, bus), Point::new(x, bus)]);
            }
            points.extend([Point::new(x, y), Point::new(x + side * STUB, y)]);
            sheet.route(parent, leaf, &points);
        }
    }

    fn place_row(&self, sheet: &mut Sheet<'_>, parent: usize, middle: f64, top: f64) {
        let mut left = middle - self.width / 2.0;
        for &leaf in &self.leaves {
            let rect = sheet.rects[leaf];
            sheet.move_to(leaf, left + rect.width / 2.0, top + rect.height / 2.0);
            left += rect.width + GAP;
        }
        drop_from_bar(sheet, parent, &self.leaves);
    }
}

/// Draws a segment as a bar over those below it, with straight lines down.
pub(super) fn drop_from_bar(sheet: &mut Sheet<'_>, parent: usize, children: &[usize]) {
    if !sheet.is_segment(parent) || children.is_empty() {
        return;
    }
    let xs = children.iter().map(|&child| sheet.rects[child].middle.x);
    let (first, last) = xs.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    widen(sheet, parent, first, last);
    let bar = sheet.rects[parent];
    for &child in children {
        let rect = sheet.rects[child];
        if (rect.middle.x - bar.middle.x).abs() < bar.width / 2.0 {
            let points =
                [Point::new(rect.middle.x, bar.bottom()), Point::new(rect.middle.x, rect.top())];
            sheet.route(parent, child, &points);
        }
    }
}

/// Has a box reach from `first` to `last`, where it does not already.
fn widen(sheet: &mut Sheet<'_>, vertex: usize, first: f64, last: f64) {
    let rect = &mut sheet.rects[vertex];
    let half = (first - rect.middle.x).abs().max((last - rect.middle.x).abs()) + GAP;
    rect.width = rect.width.max(2.0 * half);
}
