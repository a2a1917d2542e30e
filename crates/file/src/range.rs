//! Ranges: `pc1..20` stands for twenty names, `10.0.0.1..3/32` for three addresses.
//!
//! A range is a number, two dots and a number, anywhere in a text. Numbers are decimal; the last
//! group of an IPv6 address is hexadecimal, as all its groups are (`2001:db8::8..b/64` is four
//! addresses, `::8` to `::b`). A first number with leading zeros keeps its width: `pc01..20`.
//! Several ranges in one text run beside each other and have the same length.

use std::net::Ipv6Addr;

/// How many texts one range may stand for.
const RANGE_MAX: usize = 100_000;

/// A longer text is no name or address, so it is not searched for ranges.
const TEXT_MAX_BYTES: usize = 1_000;

/// A text with at least one range in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range<'t> {
    /// How many texts it stands for.
    pub(crate) count: usize,
    pieces: Vec<Piece<'t>>,
    tail: &'t str,
}

/// Text, then a number that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece<'t> {
    before: &'t str,
    first: u64,
    width: usize,
    hex: bool,
}

/// Returns the texts that a text stands for: `r1..3` is `r1`, `r2` and `r3`; one without a range is
/// itself.
///
/// ```
/// assert_eq!(vnet_file::expand("r1..3")?, ["r1", "r2", "r3"]);
/// assert_eq!(vnet_file::expand("r1")?, ["r1"]);
/// # Ok::<(), vnet_file::RangeError>(())
/// ```
///
/// # Errors
/// When it counts down, or stands for more texts than a file may hold.
pub fn expand(text: &str) -> Result<Vec<String>, RangeError> {
    Ok(match Range::parse(text)? {
        Some(range) => (0..range.count).map(|index| range.at(index)).collect(),
        None => vec![text.to_owned()],
    })
}

/// Says why a text with `..` in it is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The first number is the larger one.
    #[error("the range `{text}` counts down")]
    Reversed {
        /// The range.
        text: String,
        /// The range with its numbers exchanged.
        mended: String,
    },
    /// It stands for more texts than a file may hold.
    #[error("the range `{text}` is too long: it stands for {} texts of at most {}", crate::report::thousands(*.count), crate::report::thousands(RANGE_MAX))]
    TooLong {
        /// The range.
        text: String,
        /// How many texts it stands for.
        count: usize,
    },
    /// Ranges in one text run beside each other, and these can't.
    #[error("the ranges in `{text}` have different lengths: {first} and {second}")]
    Unequal {
        /// The text with the ranges.
        text: String,
        /// The length of the first.
        first: usize,
        /// The length of one that differs.
        second: usize,
    },
}

impl RangeError {
    /// Says how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Reversed { mended, .. } => {
                Some(format!("write the lower number first: `{mended}`"))
            }
            Self::TooLong { .. } => None,
            Self::Unequal { .. } => Some(
                "ranges in one text run beside each other, so they need the same length".into(),
            ),
        }
    }
}

impl<'t> Range<'t> {
    /// Looks for ranges in a text; `None` is: it stands for itself.
    pub(crate) fn parse(text: &'t str) -> Result<Option<Self>, RangeError> {
        if text.len() > TEXT_MAX_BYTES || !text.contains("..") {
            return Ok(None);
        }
        let mut range = Self { count: 0, pieces: Vec::new(), tail: text };
        let mut done = 0;
        let mut from = 0;
        while let Some(dots) = text[from..].find("..").map(|at| from + at) {
            let Some(found) = Found::at(text, done, dots) else {
                from = dots + 1;
                continue;
            };
            let count = found.count()?;
            if range.count != 0 && range.count != count {
                let text = crate::report::shown(text);
                return Err(RangeError::Unequal { text, first: range.count, second: count });
            }
            range.count = count;
            range.pieces.push(Piece {
                before: &text[done..found.start],
                first: found.first,
                width: found.width,
                hex: found.hex,
            });
            done = found.end;
            from = done;
            range.tail = &text[done..];
        }
        Ok((range.count > 0).then_some(range))
    }

    /// Returns the text at a place of the range, counted from 0.
    pub(crate) fn at(&self, index: usize) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            out.push_str(piece.before);
            let (number, width) = (piece.first + index as u64, piece.width);
            match piece.hex {
                true => out.push_str(&format!("{number:0width$x}")),
                false => out.push_str(&format!("{number:0width$}")),
            }
        }
        out.push_str(self.tail);
        out
    }
}

/// A range at a place in a text.
struct Found<'t> {
    start: usize,
    end: usize,
    text: &'t str,
    first: u64,
    last: u64,
    width: usize,
    hex: bool,
}

impl<'t> Found<'t> {
    /// Reads the numbers around two dots; the first may reach back to `floor`.
    fn at(text: &'t str, floor: usize, dots: usize) -> Option<Self> {
        let hex = Self::of_digits(text, floor, dots, 16);
        if let Some(found) = hex.filter(|found| found.is_in_ipv6(text)) {
            return Some(found);
        }
        Self::of_digits(text, floor, dots, 10)
    }

    fn of_digits(text: &'t str, floor: usize, dots: usize, radix: u32) -> Option<Self> {
        let (before, after) = (&text[floor..dots], &text[dots + 2..]);
        let start = floor + before.trim_end_matches(|c: char| c.is_digit(radix)).len();
        let after_digits = after.trim_start_matches(|c: char| c.is_digit(radix));
        let end = text.len() - after_digits.len();
        let (first, last) = (&text[start..dots], &text[dots + 2..end]);
        // Numbers of more digits than fit are as good as the largest: too long a range.
        let number = |digits: &str| u64::from_str_radix(digits, radix).unwrap_or(u64::MAX / 2);
        (!first.is_empty() && !last.is_empty()).then(|| Self {
            start,
            end,
            text: &text[start..end],
            first: number(first),
            last: number(last),
            width: if first.starts_with('0') { first.len().min(20) } else { 0 },
            hex: radix == 16,
        })
    }

    /// Tells whether the word around it is an IPv6 address, and it is a group of that address.
    fn is_in_ipv6(&self, text: &str) -> bool {
        let before = text[..self.start].rsplit(char::is_whitespace).next().unwrap_or("");
        let after = text[self.end..].split(char::is_whitespace).next().unwrap_or("");
        let after = after.split_once('/').map_or(after, |(addr, _)| addr);
        before.ends_with(':') && format!("{before}0{after}").parse::<Ipv6Addr>().is_ok()
    }

    fn count(&self) -> Result<usize, RangeError> {
        let text = crate::report::shown(self.text);
        if self.last < self.first {
            let mended =
                self.text.split_once("..").map_or(String::new(), |(a, b)| format!("{b}..{a}"));
            return Err(RangeError::Reversed { text, mended });
        }
        let count = usize::try_from(self.last - self.first).unwrap_or(usize::MAX).saturating_add(1);
        match count > RANGE_MAX || self.last >= u64::MAX / 2 {
            true => Err(RangeError::TooLong { text, count }),
            false => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let range = Range::parse(text).unwrap().unwrap();
        (0..range.count).map(|index| range.at(index)).collect()
    }

    #[test]
    fn counts_in_names_and_addresses() {
        assert_eq!(all("pc1..3"), ["pc1", "pc2", "pc3"]);
        assert_eq!(all("leaf9..10:eth0"), ["leaf9:eth0", "leaf10:eth0"]);
        assert_eq!(all("10.255.0.1..3/32"), ["10.255.0.1/32", "10.255.0.2/32", "10.255.0.3/32"]);
        assert_eq!(all("10.0.1..2.0/24"), ["10.0.1.0/24", "10.0.2.0/24"]);
        assert_eq!(all("pc4..4"), ["pc4"]);
    }

    #[test]
    fn keeps_the_width_of_leading_zeros() {
        assert_eq!(all("pc08..10"), ["pc08", "pc09", "pc10"]);
        assert_eq!(all("pc0..1"), ["pc0", "pc1"]);
    }

    #[test]
    fn groups_of_an_ipv6_address_are_hexadecimal() {
        assert_eq!(all("2001:db8::9..a/128"), ["2001:db8::9/128", "2001:db8::a/128"]);
        assert_eq!(all("2001:db8:9..b::/64")[1], "2001:db8:a::/64");
        assert_eq!(all("::ffff:10.0.0.9..10")[1], "::ffff:10.0.0.10");
        // Looks like one, but is an interface of a node.
        assert_eq!(all("abc9..10:e0")[1], "abc10:e0");
    }

    #[test]
    fn several_ranges_run_beside_each_other() {
        assert_eq!(all("10.1..2.0.0/16 via r1..2"), ["10.1.0.0/16 via r1", "10.2.0.0/16 via r2"]);
        assert!(matches!(Range::parse("1..2.1..3"), Err(RangeError::Unequal { .. })));
    }

    #[test]
    fn any_white_space_parts_words() {
        assert_eq!(
            all("x\u{85}::9..10"),
            [
                "x\u{85}::9",
                "x\u{85}::a",
                "x\u{85}::b",
                "x\u{85}::c",
                "x\u{85}::d",
                "x\u{85}::e",
                "x\u{85}::f",
                "x\u{85}::10"
            ]
        );
    }

    #[test]
    fn refuses_what_is_too_long_or_reversed() {
        assert!(matches!(Range::parse("pc5..1"), Err(RangeError::Reversed { .. })));
        assert!(matches!(Range::parse("pc1..1000000000"), Err(RangeError::TooLong { .. })));
        assert!(matches!(
            Range::parse("pc1..99999999999999999999999"),
            Err(RangeError::TooLong { .. })
        ));
    }

    #[test]
    fn text_with_dots_need_not_be_a_range() {
        for text in ["pc..", "..", "...", "a..b", "pc1..", "..3", "1...3"] {
            assert_eq!(Range::parse(text), Ok(None), "{text}");
        }
    }
}
