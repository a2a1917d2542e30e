//! Entries of one name that are written in two places: a single name adds to a range's entry.

use std::collections::HashMap;

use super::{Beside, Entry, Reader};
use crate::report::{Diagnostic, shown};
use crate::source::Span;

/// What an entry is read into, so that another can be added to it.
pub(super) trait Add {
    /// Adds what another entry says; where both say something and only one can hold, `other` is
    /// the more specific one if `wins`.
    fn add(&mut self, other: Self, wins: bool);
}

/// Takes the one of two values that counts.
pub(super) fn pick<T>(mine: &mut Option<T>, other: Option<T>, wins: bool) {
    if mine.is_none() || (wins && other.is_some()) {
        *mine = other;
    }
}

/// Entries by name, in written order.
pub(super) struct Merge<T> {
    places: HashMap<String, Place>,
    items: Vec<T>,
}

struct Place {
    index: usize,
    single: Option<Span>,
    ranged: Option<(String, Span)>,
}

impl<T: Add> Merge<T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), items: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Adds what an entry was read into. Two ranges may not both hold the name, nor may it stand
    /// alone twice.
    pub(super) fn push(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>, item: T) {
        let name = entry.name.text.as_ref();
        let span = entry.name.span;
        let range = entry.at().filter(|_| entry.ranged);
        let Some(place) = self.places.get_mut(name) else {
            let place = Place {
                index: self.items.len(),
                single: range.is_none().then_some(span),
                ranged: range.map(|range| (range.range.to_owned(), range.span)),
            };
            self.places.insert(name.to_owned(), place);
            self.items.push(item);
            return;
        };
        match (range, &place.ranged, place.single) {
            (Some(range), Some(first), _) => overlap(reader, &range, first),
            (None, _, Some(first)) => {
                let message = format!("`{}` is there twice", shown(name));
                reader.error(
                    Diagnostic::error(message, Some(span))
                        .label(first, "first one here")
                        .hint("write all that is said about it in one entry"),
                );
            }
            (Some(range), None, _) => {
                place.ranged = Some((range.range.to_owned(), range.span));
                self.items[place.index].add(item, false);
            }
            (None, _, None) => {
                place.single = Some(span);
                self.items[place.index].add(item, true);
            }
        }
    }
}

fn overlap(reader: &mut Reader<'_>, range: &Beside<'_>, first: &(String, Span)) {
    let message = format!("the ranges `{}` and `{}` overlap", shown(&first.0), shown(range.range));
    reader.error(
        Diagnostic::error(message, Some(range.span))
            .label(first.1, "first one here")
            .hint("only a single name may add to a range's entry"),
    );
}
