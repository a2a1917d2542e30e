//! The tree of values to a topology.
//!
//! This module has the combinators: objects with keys, entries with names, texts beside ranges.
//! They report what is wrong and go on, so that all errors of a file are found in one go. What
//! the keys mean is in the modules below, one an object.

mod expect;
mod fdb;
mod file;
mod firewall;
mod interface;
mod leg;
mod link;
mod merge;
mod nat;
mod neighbor;
mod nexthop;
mod node;
mod publish;
mod route;
mod rule;
mod scalar;
mod segment;
mod sysctl;
mod vlans;
mod words;

pub(crate) use firewall::PROTOCOLS;

use std::borrow::Cow;
use std::collections::HashSet;

use vnet_model::problem::nearest;
use vnet_model::{Origin, Problem, Topology};

use crate::range::Range;
use crate::report::{Diagnostic, shown};
use crate::source::{Source, Span};
use crate::syntax::{Data, Key, Value};
use crate::vocabulary::{Object, Shape};

/// The words for something that is on or off.
const SWITCH: [(&str, bool); 4] = [("on", true), ("off", false), ("true", true), ("false", false)];

/// How many nodes, segments or links a file may describe.
pub(crate) const OBJECTS_MAX: usize = 100_000;

/// How many texts may be read, those in a range's entry counted once for each of its names.
const TEXTS_MAX: usize = 3_000_000;

/// How many different errors are looked for.
const ERRORS_MAX: usize = 2_000;

/// What came out of reading: a topology if nothing was wrong.
pub(crate) struct Read {
    pub(crate) topology: Option<Topology>,
    pub(crate) spans: Vec<Span>,
    pub(crate) found: Vec<Diagnostic>,
    /// The codes of `allow:`.
    pub(crate) allow: Vec<(String, Span)>,
}

/// Reads a tree of values.
pub(crate) fn read(root: &Value, source: &Source, earlier: Vec<Diagnostic>) -> Read {
    let mut reader = Reader {
        source,
        broken: earlier.iter().filter_map(|found| Some(found.place?.span)).collect(),
        found: earlier,
        seen: HashSet::new(),
        spans: Vec::new(),
        allow: Vec::new(),
        texts_left: Some(TEXTS_MAX),
        names_whole: true,
    };
    let topology = reader.file(root);
    Read { topology, spans: reader.spans, found: reader.found, allow: reader.allow }
}

/// Collects what is read and what is wrong.
struct Reader<'s> {
    source: &'s Source,
    found: Vec<Diagnostic>,
    seen: HashSet<(Option<Span>, String)>,
    /// Texts that are known to be wrong: what else is wrong with them is said beside the point.
    broken: HashSet<Span>,
    spans: Vec<Span>,
    allow: Vec<(String, Span)>,
    /// How many texts may still be read; nothing once there were too many.
    texts_left: Option<usize>,
    /// Whether all names of nodes and segments could be read. If not, what is said about unknown
    /// names would be wrong.
    names_whole: bool,
}

/// A place beside a range: what is read now belongs to one of its names.
#[derive(Debug, Clone, Copy)]
struct Beside<'v> {
    index: usize,
    count: usize,
    range: &'v str,
    span: Span,
}

type At<'v> = Option<Beside<'v>>;

/// A text of the file, ranges replaced.
#[derive(Debug, Clone)]
struct Text<'v> {
    text: Cow<'v, str>,
    span: Span,
    /// Whether it stands in the file letter for letter.
    verbatim: bool,
    at: At<'v>,
}

impl Text<'_> {
    /// Returns the span of a piece of the text, or of the whole where that can't be told.
    fn piece(&self, piece: &str) -> Span {
        let offset = (piece.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        match self.verbatim && offset <= self.text.len() {
            true => Span::new(self.span.start + offset, self.span.start + offset + piece.len()),
            false => self.span,
        }
    }
}

/// A name and what stands behind it.
#[derive(Debug, Clone)]
struct Entry<'v> {
    name: Text<'v>,
    value: Option<&'v Value>,
    /// Whether the name is one of a range of its own.
    ranged: bool,
}

impl Entry<'_> {
    fn at(&self) -> At<'_> {
        self.name.at
    }
}

/// The keys of an object, each known to the vocabulary.
struct Fields<'v> {
    object: &'static Object,
    entries: &'v [(Key, Value)],
}

impl<'v> Fields<'v> {
    fn get(&self, name: &str) -> Option<&'v Value> {
        self.find(name).map(|(_, value)| value)
    }

    fn find(&self, name: &str) -> Option<(&'v Key, &'v Value)> {
        debug_assert!(self.object.key(name).is_some(), "`{name}` is not in the vocabulary");
        self.entries.iter().find(|(key, _)| key.text == name).map(|(key, value)| (key, value))
    }
}

impl<'s> Reader<'s> {
    fn error(&mut self, diagnostic: Diagnostic) {
        let span = diagnostic.place.map(|place| place.span);
        if span.is_some_and(|span| self.broken.contains(&span)) {
            return;
        }
        if self.found.len() < ERRORS_MAX && self.seen.insert((span, diagnostic.message.clone())) {
            self.found.push(diagnostic);
        }
    }

    /// Reports that something else was expected.
    fn mismatch(&mut self, value: &Value, what: &str, takes: &str) {
        let message = match value.data {
            Data::Empty => format!("`{what}` has no value"),
            _ => format!("`{what}` takes {takes}, this is {}", value.kind()),
        };
        self.error(Diagnostic::error(message, Some(value.span)));
    }

    fn origin(&mut self, span: Span) -> Origin {
        if self.spans.last() != Some(&span) {
            self.spans.push(span);
        }
        Origin::new(self.spans.len() - 1)
    }

    fn problem(&mut self, problem: &Problem) {
        let diagnostic =
            Diagnostic::of_problem(problem, |origin| self.spans.get(origin.index()?).copied());
        self.error(diagnostic);
    }

    /// Reads an object; `None` where it is none. Unknown keys are reported and passed over.
    fn fields<'v>(&mut self, value: &'v Value, object: &'static Object) -> Option<Fields<'v>> {
        let entries: &[(Key, Value)] = match &value.data {
            Data::Map(entries) => entries,
            Data::Empty => &[],
            _ => {
                let message = format!("{} is a map, this is {}", object.name, value.kind());
                self.error(Diagnostic::error(message, Some(value.span)));
                return None;
            }
        };
        if !self.spend(entries.len(), value.span) {
            return None;
        }
        for (key, _) in entries {
            self.check_key(key, object);
        }
        Some(Fields { object, entries })
    }

    fn check_key(&mut self, key: &Key, object: &'static Object) {
        if self.found.len() >= ERRORS_MAX {
            return;
        }
        let name = shown(&key.text);
        match object.key(&key.text) {
            Some(known) if matches!(known.shape, Shape::Later) => {
                let message = format!("`{name}` is not supported yet");
                let hint = "a later version will know it; leave it out for now";
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            }
            _ if object.knows(&key.text) => {}
            _ => {
                let names = object.names();
                let all = names.clone().chain(object.option_names());
                let hint = match nearest(&key.text, all) {
                    Some(near) => format!("a key with a similar name exists: `{near}`"),
                    None => format!(
                        "its keys are {}",
                        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                    ),
                };
                let message = format!("{} has no key `{name}`", object.name);
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            }
        }
    }

    /// Reads the entries of a list of names: one name, a list, or a map from names to values.
    fn entries<'v>(&mut self, value: &'v Value, what: &str, at: At<'v>) -> Vec<Entry<'v>> {
        let mut entries = Vec::new();
        self.add_entries(&mut entries, value, what, at);
        entries
    }

    fn add_entries<'v>(
        &mut self,
        entries: &mut Vec<Entry<'v>>,
        value: &'v Value,
        what: &str,
        at: At<'v>,
    ) {
        match &value.data {
            Data::Empty => {}
            Data::Text(text) => {
                let verbatim = value.is_verbatim(self.source);
                self.add_names(entries, (text, value.span, verbatim), None, at);
            }
            Data::List(items) if !self.spend(items.len(), value.span) => {}
            Data::Map(map) if !self.spend(map.len(), value.span) => {}
            Data::List(items) => {
                for item in items {
                    match &item.data {
                        Data::Text(_) | Data::Map(_) => self.add_entries(entries, item, what, at),
                        Data::Empty => {
                            let message = format!("an entry of `{what}` is empty");
                            self.error(Diagnostic::error(message, Some(item.span)));
                        }
                        Data::List(_) => self.mismatch(item, what, "names"),
                    }
                }
            }
            Data::Map(map) => {
                for (key, value) in map {
                    let verbatim = self.source.slice(key.span) == key.text;
                    self.add_names(entries, (&key.text, key.span, verbatim), Some(value), at);
                }
            }
        }
    }

    fn add_names<'v>(
        &mut self,
        entries: &mut Vec<Entry<'v>>,
        name: (&'v str, Span, bool),
        value: Option<&'v Value>,
        at: At<'v>,
    ) {
        let names = self.expand(name, at);
        if entries.len() + names.len() > OBJECTS_MAX {
            let max = crate::report::thousands(OBJECTS_MAX);
            let message = format!("there are more than {max} names here");
            self.names_whole = false;
            self.error(Diagnostic::error(message, Some(name.1)));
            return;
        }
        let ranged = at.is_none() && names.first().is_some_and(|name| name.at.is_some());
        entries.extend(names.into_iter().map(|name| Entry { name, value, ranged }));
    }

    /// Reads a text or a list of texts; ranges that stand beside no other are written out.
    fn texts<'v>(&mut self, value: &'v Value, what: &str, at: At<'v>) -> Vec<Text<'v>> {
        let items = match &value.data {
            Data::Empty => return Vec::new(),
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let mut texts = Vec::new();
        if !self.spend(items.len(), value.span) {
            return texts;
        }
        for item in items {
            match &item.data {
                Data::Text(text) => {
                    let verbatim = item.is_verbatim(self.source);
                    texts.extend(self.expand((text, item.span, verbatim), at));
                }
                Data::Empty => {
                    let message = format!("an entry of `{what}` is empty");
                    self.error(Diagnostic::error(message, Some(item.span)));
                }
                _ => self.mismatch(item, what, "texts"),
            }
        }
        texts
    }

    /// Reads one text. A range in it must stand beside another.
    fn text<'v>(&mut self, value: &'v Value, what: &str, at: At<'v>) -> Option<Text<'v>> {
        let Data::Text(text) = &value.data else {
            self.mismatch(value, what, "one value");
            return None;
        };
        let verbatim = value.is_verbatim(self.source);
        match at {
            Some(_) => self.expand((text, value.span, verbatim), at).pop(),
            None => Some(Text { text: text.into(), span: value.span, verbatim, at: None }),
        }
    }

    /// Replaces ranges in a text: beside another range by the number of that place, else by all
    /// numbers in turn.
    fn expand<'v>(
        &mut self,
        (text, span, verbatim): (&'v str, Span, bool),
        at: At<'v>,
    ) -> Vec<Text<'v>> {
        let range = match Range::parse(text) {
            Ok(Some(range)) => range,
            Ok(None) if !self.spend(1, span) => return Vec::new(),
            Ok(None) => return vec![Text { text: text.into(), span, verbatim, at }],
            Err(error) => {
                self.names_whole = false;
                let diagnostic = Diagnostic::error(error.to_string(), Some(span));
                self.error(match error.hint() {
                    Some(hint) => diagnostic.hint(hint),
                    None => diagnostic,
                });
                return Vec::new();
            }
        };
        if let Some(beside) = at {
            self.check_length(&range, text, span, &beside);
            let text = range.at(beside.index.min(range.count - 1));
            return if self.spend(1, span) {
                vec![Text { text: text.into(), span, verbatim: false, at }]
            } else {
                Vec::new()
            };
        }
        if !self.spend(range.count, span) {
            return Vec::new();
        }
        (0..range.count)
            .map(|index| {
                let at = Some(Beside { index, count: range.count, range: text, span });
                Text { text: range.at(index).into(), span, verbatim: false, at }
            })
            .collect()
    }

    fn check_length(&mut self, range: &Range<'_>, text: &str, span: Span, beside: &Beside<'_>) {
        if range.count == beside.count {
            return;
        }
        let message = format!(
            "the range `{}` has {} texts, but it stands beside `{}`, which has {}",
            shown(text),
            range.count,
            shown(beside.range),
            beside.count
        );
        self.error(
            Diagnostic::error(message, Some(span))
                .label(beside.span, "runs beside this range")
                .hint("a range in a value runs beside its key's: write as many"),
        );
    }

    /// Counts texts, so that ranges of ranges end; `false` is: there were too many.
    fn spend(&mut self, count: usize, span: Span) -> bool {
        let Some(left) = self.texts_left else { return false };
        if self.found.len() >= ERRORS_MAX {
            self.texts_left = None;
            self.names_whole = false;
            return false;
        }
        self.texts_left = left.checked_sub(count);
        if self.texts_left.is_none() {
            self.names_whole = false;
            let max = crate::report::thousands(TEXTS_MAX);
            let message = format!("the ranges of this file stand for more than {max} texts");
            self.error(Diagnostic::error(message, Some(span)));
        }
        self.texts_left.is_some()
    }
}
