//! YAML text to a tree of values that know where they stand.
//!
//! The tree holds texts, lists and maps, no numbers or booleans: what a text means depends on the
//! key it stands under. So `0123`, `10:20`, `yes` and `2%` come through as they were written. It
//! is the only module that knows the YAML crate.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Spanned};

use crate::report::{Diagnostic, shown};
use crate::source::{Lines, SOURCE_MAX_BYTES, Source, Span};

/// How many values a file may hold, those of aliases counted at each use.
const VALUES_MAX: usize = 1_000_000;

/// How deep lists and maps may nest; the language itself needs nine levels.
const DEPTH_MAX: usize = 64;

/// A value and the piece of text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Nothing was written, or `~` or `null`.
    Empty,
    /// A scalar, as it was written.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map in written order; no key is there twice.
    Map(Vec<(Key, Value)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Value {
    /// Names the kind of the value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Empty => "nothing",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// Tells whether the text stands in the file letter for letter, so that a piece of it can be
    /// pointed at.
    pub(crate) fn is_verbatim(&self, source: &Source) -> bool {
        matches!(&self.data, Data::Text(text) if source.slice(self.span) == text)
    }
}

/// Reads a YAML text. Returns a tree, and what is wrong with it; no tree where the text is broken.
pub(crate) fn parse(source: &Source) -> (Option<Value>, Vec<Diagnostic>) {
    let text = source.text();
    if text.len() > SOURCE_MAX_BYTES {
        let message =
            format!("the file is too long: {} bytes of at most {SOURCE_MAX_BYTES}", text.len());
        let hint = "a range such as `pc1..1000` writes many nodes in one line";
        return (None, vec![Diagnostic::error(message, None).hint(hint)]);
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(root) => {
            let mut lift = Lift { source, found: Vec::new() };
            let value = lift.value(root);
            (Some(value), lift.found)
        }
        Err(error) => (None, vec![syntax_error(&error, source)]),
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_events: 2 * VALUES_MAX,
            max_documents: 1,
        },
        // Reported by `Lift`, with both places and all at once.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
    }
}

/// A value as the YAML crate hands it out. What it takes for a number or boolean is read again
/// from the text.
enum Raw {
    Empty,
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// Turns raw values into values: takes texts from the source, refuses keys that are there twice,
/// and merges `<<`.
struct Lift<'s> {
    source: &'s Source,
    found: Vec<Diagnostic>,
}

impl Lift<'_> {
    fn value(&mut self, raw: Spanned<Raw>) -> Value {
        let span = span(&raw.defined);
        match raw.value {
            Raw::Empty => Value { span, data: Data::Empty },
            Raw::Plain => {
                let text = self.source.slice(span).to_owned();
                Value { span, data: Data::Text(text) }
            }
            Raw::Text(text) => Value { span, data: Data::Text(text) },
            Raw::List(items) => {
                let items: Vec<Value> = items.into_iter().map(|item| self.value(item)).collect();
                let end = items.last().map(|item| item.span.end);
                Value { span: self.whole(span, end), data: Data::List(items) }
            }
            Raw::Map(entries) => {
                let entries = self.map(entries);
                let end = entries.last().map(|(key, value)| value.span.end.max(key.span.end));
                Value { span: self.whole(span, end), data: Data::Map(entries) }
            }
        }
    }

    fn map(&mut self, entries: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<(Key, Value)> {
        let mut seen = HashMap::with_capacity(entries.len());
        let mut map: Vec<(Key, Value)> = Vec::with_capacity(entries.len());
        let mut merged = Vec::new();
        for (key, value) in entries {
            let key = self.value(key);
            let value = self.value(value);
            let Data::Text(text) = key.data else {
                let message = format!("a key must be a name, this is {}", key.kind());
                self.found.push(Diagnostic::error(message, Some(key.span)));
                continue;
            };
            if text == "<<" {
                merged.push(value);
                continue;
            }
            if let Some(first) = seen.insert(text.clone(), key.span) {
                let message = format!("the key `{}` is there twice", shown(&text));
                self.found.push(
                    Diagnostic::error(message, Some(key.span)).label(first, "first one here"),
                );
                continue;
            }
            map.push((Key { span: key.span, text }, value));
        }
        for value in merged {
            self.merge(&mut map, &mut seen, value);
        }
        map
    }

    /// Adds the entries of a merged map (`<<: *defaults`) whose keys are not there.
    fn merge(
        &mut self,
        map: &mut Vec<(Key, Value)>,
        seen: &mut HashMap<String, Span>,
        merged: Value,
    ) {
        match merged.data {
            Data::Map(entries) => {
                for (key, value) in entries {
                    if let Entry::Vacant(free) = seen.entry(key.text.clone()) {
                        free.insert(key.span);
                        map.push((key, value));
                    }
                }
            }
            Data::List(values) => {
                for value in values {
                    self.merge(map, seen, value);
                }
            }
            _ => {
                let message = format!("`<<` merges maps, this is {}", merged.kind());
                self.found.push(Diagnostic::error(message, Some(merged.span)));
            }
        }
    }

    /// Stretches the span of a list or map to its end, if that is on the same line; else to the
    /// end of its first line.
    fn whole(&self, span: Span, last: Option<usize>) -> Span {
        let text = self.source.text();
        let rest = text.get(span.start..).unwrap_or("");
        let line = span.start + rest.find('\n').unwrap_or(rest.len());
        let last = last.unwrap_or(span.end).max(span.end);
        if last > line {
            let line = text.get(span.start..line).unwrap_or("").trim_end();
            return Span::new(span.start, span.start + line.len());
        }
        let flow = rest.starts_with(['[', '{']);
        let closing = text.get(last..line).unwrap_or("").find([']', '}']);
        match closing {
            Some(at) if flow => Span::new(span.start, last + at + 1),
            _ => Span::new(span.start, last),
        }
    }
}

fn span(location: &Location) -> Span {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    Span::new(start, start + span.byte_len().unwrap_or(0) as usize)
}

fn syntax_error(error: &serde_saphyr::Error, source: &Source) -> Diagnostic {
    let text = error.without_snippet().to_string();
    // "error: line 2 column 2: tabs disallowed …": the place is shown another way.
    let mut message = text.lines().next().unwrap_or("broken YAML");
    message = message.strip_prefix("error: ").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("line ") {
        message = rest.split_once(": ").map_or(message, |(_, rest)| rest);
    }
    let span = error.location().map(|location| {
        let lines = Lines::new(source.text());
        let start = lines.byte(location.line() as usize, location.column() as usize);
        let after = source.text()[start..].chars().next().filter(|c| *c != '\n');
        Span::new(start, start + after.map_or(0, char::len_utf8))
    });
    let diagnostic = Diagnostic::error(crate::report::printable(message), span);
    match hint(message) {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// Says in plain words what the parser's words mean, where newcomers stumble.
fn hint(message: &str) -> Option<&'static str> {
    let known = [
        ("tab", "YAML is indented with spaces, not with tabs"),
        (
            "mapping values are not allowed",
            "put a text that holds `: ` in quotes, and indent keys of one map alike",
        ),
        ("unknown anchor", "an alias such as `*x` needs an anchor `&x` before it"),
        ("multiple YAML documents", "one file is one lab: put the others in files of their own"),
        ("unclosed quote", "the text that begins here has no closing quote"),
        (
            "did not find expected ','",
            "a list in `[ ]` or a map in `{ }` is not closed, or lacks a comma",
        ),
    ];
    known.iter().find(|(words, _)| message.contains(words)).map(|(_, hint)| *hint)
}
