//! Points, boxes and lines, in pixels; y grows downwards.
use std::f64::consts::TAU;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Point {
    pub(crate) const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// The point at an angle on a circle around the origin; 0 is at the top, and it grows clockwise.
    pub(crate) fn on_circle(radius: f64, turns: f64) -> Self {
        let angle = turns * TAU;
        Self::new(radius * angle.sin(), -radius * angle.cos())
    }

    pub(crate) fn plus(self, x: f64, y: f64) -> Self {
        Self::new(self.x + x, self.y + y)
    }

    pub(crate) fn between(self, other: Self, part: f64) -> Self {
        Self::new(self.x + (other.x - self.x) * part, self.y + (other.y - self.y) * part)
    }

    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A box by its middle and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) middle: Point,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) const fn new(middle: Point, width: f64, height: f64) -> Self {
        Self { middle, width, height }
    }

    pub(crate) fn left(&self) -> f64 {
        self.middle.x - self.width / 2.0
    }

    pub(crate) fn right(&self) -> f64 {
        self.middle.x + self.width / 2.0
    }

    pub(crate) fn top(&self) -> f64 {
        self.middle.y - self.height / 2.0
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.middle.y + self.height / 2.0
    }

    /// Tells whether two boxes have a point in common, the edge not counted.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        (self.middle.x - other.middle.x).abs() * 2.0 < self.width + other.width
            && (self.middle.y - other.middle.y).abs() * 2.0 < self.height + other.height
    }

    /// The smallest box around both.
    pub(crate) fn around(&self, other: &Self) -> Self {
        let (left, right) = (self.left().min(other.left()), self.right().max(other.right()));
        let (top, bottom) = (self.top().min(other.top()), self.bottom().max(other.bottom()));
        let middle = Point::new((left + right) / 2.0, (top + bottom) / 2.0);
        Self::new(middle, right - left, bottom - top)
    }

    /// The box with so much more on each side.
    pub(crate) fn grown(&self, by: f64) -> Self {
        Self::new(self.middle, self.width + 2.0 * by, self.height + 2.0 * by)
    }

    /// Tells whether a piece of a straight line runs through the box.
    pub(crate) fn is_crossed(&self, from: Point, to: Point) -> bool {
        // Liang-Barsky: the part of the line that is within all four sides.
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        for (p, q) in [
            (-dx, from.x - self.left()),
            (dx, self.right() - from.x),
            (-dy, from.y - self.top()),
            (dy, self.bottom() - from.y),
        ] {
            if p == 0.0 {
                if q <= 0.0 {
                    return false;
                }
            } else if p < 0.0 {
                first = first.max(q / p);
            } else {
                last = last.min(q / p);
            }
        }
        first < last
    }
}

/// A line through points; its corners are rounded, or it is one bow with the middle point pulling it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) points: Vec<Point>,
    pub(crate) bow: bool,
}

impl Path {
    pub(crate) fn straight(from: Point, to: Point) -> Self {
        Self { points: vec![from, to], bow: false }
    }

    pub(crate) fn through(points: Vec<Point>) -> Self {
        Self { points, bow: false }
    }

    /// A bow between two points that `pull` is beside of.
    pub(crate) fn bow(from: Point, pull: Point, to: Point) -> Self {
        Self { points: vec![from, pull, to], bow: true }
    }

    /// The line as short straight pieces.
    pub(crate) fn pieces(&self) -> Vec<Point> {
        match (self.bow, self.points.as_slice()) {
            (true, &[from, pull, to]) => (0..=24)
                .map(|step| f64::from(step) / 24.0)
                .map(|part| from.between(pull, part).between(pull.between(to, part), part))
                .collect(),
            _ => self.points.clone(),
        }
    }

    /// The point where so much of the line lies behind; 0 is its beginning, 1 its end.
    pub(crate) fn at(&self, part: f64) -> Point {
        let pieces = self.pieces();
        let mut left = part * length(&pieces);
        for pair in pieces.windows(2) {
            let piece = pair[0].distance(pair[1]);
            if left <= piece && piece > 0.0 {
                return pair[0].between(pair[1], left / piece);
            }
            left -= piece;
        }
        *pieces.last().unwrap_or(&Point::new(0.0, 0.0))
    }

    pub(crate) fn length(&self) -> f64 {
        length(&self.pieces())
    }

    pub(crate) fn shift(&mut self, x: f64, y: f64) {
        self.points.iter_mut().for_each(|point| *point = point.plus(x, y));
    }
}

fn length(points: &[Point]) -> f64 {
    points.windows(2).map(|pair| pair[0].distance(pair[1])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_touch_do_not_overlap() {
        let rect = Rect::new(Point::new(0.0, 0.0), 10.0, 10.0);
        assert!(!rect.overlaps(&Rect::new(Point::new(10.0, 0.0), 10.0, 10.0)));
        assert!(rect.overlaps(&Rect::new(Point::new(9.0, 9.0), 10.0, 10.0)));
    }

    #[test]
    fn a_line_crosses_a_box_or_not() {
        let rect = Rect::new(Point::new(0.0, 0.0), 10.0, 10.0);
        assert!(rect.is_crossed(Point::new(-20.0, 0.0), Point::new(20.0, 1.0)));
        assert!(!rect.is_crossed(Point::new(-20.0, 6.0), Point::new(20.0, 6.0)));
        assert!(!rect.is_crossed(Point::new(-20.0, 0.0), Point::new(-6.0, 0.0)));
    }

    #[test]
    fn the_middle_of_a_line_is_half_way() {
        let path = Path::through(vec![
            Point::new(0.0, 0.0),
            Point::new(0.0, 10.0),
            Point::new(30.0, 10.0),
        ]);
        assert_eq!(path.at(0.5), Point::new(10.0, 10.0));
    }
}
