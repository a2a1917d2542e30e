//! How wide texts are, and how names are ordered.
use std::cmp::Ordering;

/// The height of a line of text for its size.
pub(crate) const LINE_HEIGHT: f64 = 1.3;

/// Returns the width of a text in pixels, in the widest of the fonts that the picture names (DejaVu Sans).
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|sign| em(sign) * size).sum()
}

/// Returns the width of a name: it is written bold, which is that much wider.
pub(crate) fn name_width(text: &str, size: f64) -> f64 {
    width(text, size) * 1.12
}

fn em(sign: char) -> f64 {
    match sign {
        '.' | ',' | ':' | ';' | '\'' | 'i' | 'j' | 'l' | '|' | ' ' => 0.34,
        '/' | '-' | 'f' | 'r' | 't' | '(' | ')' | '[' | ']' | 'I' => 0.42,
        'm' | 'M' | 'W' | '@' | '%' => 1.0,
        'w' | 'A'..='Z' | '_' | '~' | '+' | '=' => 0.84,
        sign if sign.is_ascii() => 0.64,
        _ => 1.1,
    }
}

/// Orders names as people do: `r2` before `r10`.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        match (piece(&mut a_rest), piece(&mut b_rest)) {
            (None, None) => return a.cmp(b),
            (a, b) if a == b => {}
            (Some(Piece::Number(a)), Some(Piece::Number(b))) => return a.cmp(&b),
            (a, b) => return a.cmp(&b),
        }
    }
}

/// A part of a name: what is before a number, or the number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece<'t> {
    Number(u64),
    Text(&'t str),
}

/// Takes the first part off a name.
pub(crate) fn piece<'t>(text: &mut &'t str) -> Option<Piece<'t>> {
    let is_number = text.chars().next()?.is_ascii_digit();
    let end = text.find(|sign: char| sign.is_ascii_digit() != is_number).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    *text = rest;
    Some(match part.parse() {
        Ok(number) if is_number => Piece::Number(number),
        _ => Piece::Text(part),
    })
}

/// Returns the name without its numbers: `leaf` of `leaf12`, `h-` of `h1-2`.
pub(crate) fn stem(name: &str) -> String {
    name.chars().filter(|sign| !sign.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["r10", "r2", "h1-10", "h1-9", "r1", "gw"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["gw", "h1-9", "h1-10", "r1", "r2", "r10"]);
        assert_eq!(stem("h1-12"), "h-");
    }
}
