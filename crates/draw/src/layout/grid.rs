//! Rows and columns, by two numbers in the names: `r2-3` is in row 2, column 3.
use std::collections::BTreeMap;

use super::{GAP, LINE_ROOM, Sheet};
use crate::geometry::{Path, Point};
use crate::text::{Piece, piece};

pub(super) struct Grid {
    places: BTreeMap<(u64, u64), usize>,
    columns: u64,
    rows: u64,
}

impl Grid {
    /// Reads the places out of the names; `None` unless all lines lead to a neighbour, or from one end to the other.
    pub(super) fn of(sheet: &Sheet<'_>, part: &[usize]) -> Option<Self> {
        let mut places = BTreeMap::new();
        let mut before = None;
        for &vertex in part {
            let (stem, row, column) = coordinates(&sheet.graph.vertices[vertex].name)?;
            if *before.get_or_insert(stem) != stem || places.insert((row, column), vertex).is_some()
            {
                return None;
            }
        }
        let rows = places.keys().map(|place| place.0);
        let columns = places.keys().map(|place| place.1);
        let (first_row, first_column) = (rows.clone().min()?, columns.clone().min()?);
        let (last_row, last_column) = (rows.max()?, columns.max()?);
        let places: BTreeMap<_, _> = places
            .into_iter()
            .map(|((row, column), vertex)| ((row - first_row, column - first_column), vertex))
            .collect();
        let grid = Self {
            places,
            columns: last_column - first_column + 1,
            rows: last_row - first_row + 1,
        };
        let at: BTreeMap<usize, (u64, u64)> =
            grid.places.iter().map(|(&place, &vertex)| (vertex, place)).collect();
        let is_near = |a: u64, b: u64, count: u64| a.abs_diff(b) == 1 || a.abs_diff(b) + 1 == count;
        let fits = part.iter().all(|vertex| {
            sheet.neighbours[*vertex].iter().all(|next| {
                let (a, b) = (at[vertex], at[next]);
                (a.0 == b.0 && is_near(a.1, b.1, grid.columns))
                    || (a.1 == b.1 && is_near(a.0, b.0, grid.rows))
            })
        });
        // A sparse one is no grid: two numbers may mean something else.
        (fits && part.len() as u64 * 2 > grid.rows.saturating_mul(grid.columns)).then_some(grid)
    }

    pub(super) fn place(&self, sheet: &mut Sheet<'_>) {
        let all: Vec<usize> = self.places.values().copied().collect();
        let across = sheet.widest(&all) + LINE_ROOM + GAP;
        let down = sheet.highest(&all) + 92.0;
        for (&(row, column), &vertex) in &self.places {
            sheet.move_to(vertex, column as f64 * across, row as f64 * down);
        }
        for row in 0..self.rows {
            self.close(sheet, (row, 0), (row, self.columns - 1), self.columns, (0.0, -down * 0.8));
        }
        for column in 0..self.columns {
            self.close(sheet, (0, column), (self.rows - 1, column), self.rows, (across * 0.7, 0.0));
        }
    }

    /// Draws the line that closes a row or column to a ring as a bow beside the others.
    fn close(
        &self,
        sheet: &mut Sheet<'_>,
        first: (u64, u64),
        last: (u64, u64),
        count: u64,
        pull: (f64, f64),
    ) {
        let (Some(&a), Some(&b)) = (self.places.get(&first), self.places.get(&last)) else {
            return;
        };
        if count < 3 {
            return;
        }
        for edge in sheet.edges_between(a, b) {
            let [from, to] = sheet.graph.edges[edge].ends.map(|end| {
                let rect = sheet.rects[end];
                match pull.0 == 0.0 {
                    true => Point::new(rect.middle.x, rect.top()),
                    false => Point::new(rect.right(), rect.middle.y),
                }
            });
            let middle = from.between(to, 0.5).plus(pull.0, pull.1);
            sheet.paths[edge] = Some(Path::bow(from, middle, to));
        }
    }
}

/// Reads `r2-3`: the text before, row and column.
fn coordinates(name: &str) -> Option<(&str, u64, u64)> {
    let mut rest = name;
    let pieces: Vec<Piece<'_>> = std::iter::from_fn(|| piece(&mut rest)).take(5).collect();
    match pieces[..] {
        [
            Piece::Text(stem),
            Piece::Number(row),
            Piece::Text("-" | "x" | "_" | "."),
            Piece::Number(column),
        ] => Some((stem, row, column)),
        _ => None,
    }
}
