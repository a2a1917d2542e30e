//! A path: a row, or several that go to and fro.
use super::{GAP, LINE_ROOM, Sheet};

/// Up to so many stand in one row.
const ROW_MAX: usize = 10;

pub(super) fn place(sheet: &mut Sheet<'_>, part: &[usize]) {
    let walk = walk(sheet, part);
    let a_row = match walk.len() <= ROW_MAX {
        true => walk.len(),
        false => ((walk.len() as f64 * 0.7).sqrt().ceil() as usize).max(3),
    };
    let step = sheet.widest(part) + LINE_ROOM;
    let down = sheet.highest(part) + GAP + 56.0;
    for (index, &vertex) in walk.iter().enumerate() {
        let (row, column) = (index / a_row, index % a_row);
        let column = if row % 2 == 0 { column } else { a_row - 1 - column };
        sheet.move_to(vertex, column as f64 * step, row as f64 * down);
    }
}

/// The path from the end that is named first.
fn walk(sheet: &Sheet<'_>, part: &[usize]) -> Vec<usize> {
    let end = part.iter().find(|&&vertex| sheet.degree(vertex) <= 1);
    let mut walk: Vec<usize> = end.into_iter().copied().collect();
    while let Some(&next) = walk.last().and_then(|&last| {
        sheet.neighbours[last].iter().find(|&next| walk.iter().rev().nth(1) != Some(next))
    }) {
        walk.push(next);
    }
    walk
}
