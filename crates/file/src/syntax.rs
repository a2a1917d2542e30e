//! YAML text to a tree of values that know where they stand.
//!
//! The tree holds texts, lists and maps, no numbers or booleans: what a text means depends on the
//! key it stands under. So `0123`, `10:20`, `yes` and `2%` come through as they were written. It
//! is the only module that knows the YAML crate.
//!
//! It takes the events of granit-parser, the parser below serde-saphyr, as they come. By way of
//! serde the same file took two and a half times as long, 40 kB of stack for each level of
//! nesting, and a second look at the text for what had been taken for a number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

use crate::report::{Diagnostic, shown, thousands};
use crate::source::{Lines, SOURCE_MAX_BYTES, Source, Span};

/// How many values a file may hold.
const VALUES_MAX: usize = 500_000;

/// How many values aliases may stand for, all in all: a few lines of aliases of aliases would be
/// more than any memory holds.
const ALIASED_MAX: usize = 100_000;

/// How deep lists and maps may nest; the language needs nine levels.
const DEPTH_MAX: usize = 32;

/// How many errors end the reading.
const ERRORS_MAX: usize = 1_000;

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
        let (is, max) = (thousands(text.len()), thousands(SOURCE_MAX_BYTES));
        let message = format!("the file is too long: {is} bytes of at most {max}");
        let hint = "a range such as `pc1..1000` writes many nodes in one line";
        return (None, vec![Diagnostic::error(message, None).hint(hint)]);
    }
    let mut tree = Tree::new(source);
    for event in Parser::new_from_str(text) {
        let taken = match event {
            Ok((event, span)) => {
                let range = span.byte_range().unwrap_or(0..0);
                tree.take(event, Span::new(range.start, range.end))
            }
            Err(error) => Err(syntax_error(&error, source)),
        };
        if let Err(diagnostic) = taken {
            tree.found.push(diagnostic);
            return (None, tree.found);
        }
        if tree.found.len() > ERRORS_MAX {
            return (None, tree.found);
        }
    }
    let empty = Value { span: Span::new(0, 0), data: Data::Empty };
    (Some(tree.root.unwrap_or(empty)), tree.found)
}

/// What has been read of the tree.
struct Tree<'s> {
    source: &'s Source,
    root: Option<Value>,
    /// The lists and maps that are not closed yet, the outermost first.
    open: Vec<Open>,
    /// The values that aliases can name, with how many values they are and how deep.
    anchors: HashMap<usize, (Value, Size)>,
    values: usize,
    aliased: usize,
    found: Vec<Diagnostic>,
}

/// How much a value holds.
#[derive(Debug, Clone, Copy)]
struct Size {
    values: usize,
    depth: usize,
}

/// A list or map that is not closed yet.
struct Open {
    span: Span,
    flow: bool,
    anchor: usize,
    size: Size,
    items: Items,
}

enum Items {
    List(Vec<Value>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<(Key, Value)>,
    seen: HashMap<String, Span>,
    /// The key whose value comes next.
    pending: Option<Pending>,
    /// The values of `<<`.
    merged: Vec<Value>,
}

enum Pending {
    Key(Key),
    Merge,
    /// One that can't be used; its value is passed over.
    Broken,
}

impl<'s> Tree<'s> {
    fn new(source: &'s Source) -> Self {
        Self {
            source,
            root: None,
            open: Vec::new(),
            anchors: HashMap::new(),
            values: 0,
            aliased: 0,
            found: Vec::new(),
        }
    }

    /// Takes the next event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let error = Diagnostic::error("a second document begins here", Some(span));
                return Err(error.hint("one file is one lab: put the other in a file of its own"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let empty = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let data = match plain && empty {
                    true => Data::Empty,
                    false => Data::Text(text.into_owned()),
                };
                self.count(span)?;
                self.add(Value { span, data }, Size { values: 1, depth: 0 }, anchor);
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.open(span, style, anchor, Items::List(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.open(span, style, anchor, Items::Map(OpenMap::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        span: Span,
        style: StructureStyle,
        anchor: usize,
        items: Items,
    ) -> Result<(), Diagnostic> {
        self.count(span)?;
        self.check_depth(1, span)?;
        let flow = style == StructureStyle::Flow;
        let size = Size { values: 1, depth: 0 };
        self.open.push(Open { span, flow, anchor, size, items });
        Ok(())
    }

    fn close(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        let (data, last) = match open.items {
            Items::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Data::List(items), last)
            }
            Items::Map(mut map) => {
                for value in std::mem::take(&mut map.merged) {
                    self.merge(&mut map, value);
                }
                let last = map.entries.last().map(|(key, value)| value.span.end.max(key.span.end));
                (Data::Map(map.entries), last)
            }
        };
        let end = if open.flow { end.end } else { last.unwrap_or(open.span.end) };
        let span = self.first_line(Span::new(open.span.start, end));
        let size = Size { depth: open.size.depth + 1, ..open.size };
        self.add(Value { span, data }, size, open.anchor);
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            let message = "the alias is part of what it stands for";
            return Err(Diagnostic::error(message, Some(span)));
        };
        let (value, size) = (value.clone(), *size);
        self.check_depth(size.depth, span)?;
        self.aliased += size.values;
        if self.aliased > ALIASED_MAX {
            let max = thousands(ALIASED_MAX);
            let message = format!("the aliases of this file stand for more than {max} values");
            return Err(Diagnostic::error(message, Some(span)));
        }
        self.add(value, size, 0);
        Ok(())
    }

    /// Puts a value where it belongs: into the list or map that is open.
    fn add(&mut self, value: Value, size: Size, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        open.size.values += size.values;
        open.size.depth = open.size.depth.max(size.depth);
        match &mut open.items {
            Items::List(items) => items.push(value),
            Items::Map(map) => match map.pending.take() {
                None => map.pending = Some(pending(map, value, &mut self.found)),
                Some(Pending::Key(key)) => map.entries.push((key, value)),
                Some(Pending::Merge) => map.merged.push(value),
                Some(Pending::Broken) => {}
            },
        }
    }

    /// Adds the entries of a merged map (`<<: *defaults`) whose keys are not there.
    fn merge(&mut self, map: &mut OpenMap, merged: Value) {
        match merged.data {
            Data::Map(entries) => {
                for (key, value) in entries {
                    if let Entry::Vacant(free) = map.seen.entry(key.text.clone()) {
                        free.insert(key.span);
                        map.entries.push((key, value));
                    }
                }
            }
            Data::List(values) => values.into_iter().for_each(|value| self.merge(map, value)),
            _ => {
                let message = format!("`<<` merges maps, this is {}", merged.kind());
                self.found.push(Diagnostic::error(message, Some(merged.span)));
            }
        }
    }

    fn count(&mut self, span: Span) -> Result<(), Diagnostic> {
        self.values += 1;
        if self.values <= VALUES_MAX {
            return Ok(());
        }
        let message = format!("the file holds more than {} values", thousands(VALUES_MAX));
        Err(Diagnostic::error(message, Some(span)))
    }

    fn check_depth(&self, more: usize, span: Span) -> Result<(), Diagnostic> {
        if self.open.len() + more <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("lists and maps nest deeper than {DEPTH_MAX} levels");
        Err(Diagnostic::error(message, Some(span)))
    }

    /// Refuses tags but those of YAML itself, which are not needed here and do no harm.
    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let message = format!("the tag `{}` has no meaning here", shown(&tag.original()));
            self.found.push(Diagnostic::error(message, Some(span)));
        }
    }

    /// Cuts a span at the end of its first line.
    fn first_line(&self, span: Span) -> Span {
        let text = self.source.slice(span);
        let line = text.split('\n').next().unwrap_or("").trim_end();
        Span::new(span.start, span.start + line.len())
    }
}

/// Makes a key of the value that stands where one belongs.
fn pending(map: &mut OpenMap, value: Value, found: &mut Vec<Diagnostic>) -> Pending {
    let Data::Text(text) = value.data else {
        let message = format!("a key must be a name, this is {}", value.kind());
        found.push(Diagnostic::error(message, Some(value.span)));
        return Pending::Broken;
    };
    if text == "<<" {
        return Pending::Merge;
    }
    match map.seen.entry(text) {
        Entry::Vacant(free) => {
            let text = free.key().clone();
            free.insert(value.span);
            Pending::Key(Key { span: value.span, text })
        }
        Entry::Occupied(first) => {
            let message = format!("the key `{}` is there twice", shown(first.key()));
            let error = Diagnostic::error(message, Some(value.span));
            found.push(error.label(*first.get(), "first one here"));
            Pending::Broken
        }
    }
}

fn syntax_error(error: &ScanError, source: &Source) -> Diagnostic {
    let lines = Lines::new(source.text());
    let start = lines.byte(error.marker().line(), error.marker().col() + 1);
    let after = source.text()[start..].chars().next().filter(|c| *c != '\n');
    let span = Span::new(start, start + after.map_or(0, char::len_utf8));
    let diagnostic = Diagnostic::error(error.kind().to_string(), Some(span));
    match hint(error.kind()) {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// Says in plain words what the parser's words mean, where newcomers stumble.
fn hint(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => "YAML is indented with spaces, not with tabs",
        ErrorKind::UnknownAnchor => "an alias such as `*x` needs an anchor `&x` before it",
        ErrorKind::UnclosedQuotedScalar => "the text that begins here has no closing quote",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            "a list in `[ ]` or a map in `{ }` is not closed or lacks a comma, or a text that holds \
             `: ` lacks quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the text in quotes",
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry => "indent the keys of one map alike",
        ErrorKind::InvalidColonPlacement => "a list `[` or a map `{` before it may lack its end",
        ErrorKind::MappingValueNotAllowed => {
            "put a text that holds `: ` in quotes, and indent the keys of one map alike"
        }
        _ => return None,
    })
}
