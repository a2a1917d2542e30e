//! The text of a file, and places in it.

use std::ops::Range;

use serde::Serialize;

use crate::report::{Diagnostic, Report};

/// The largest file that is read, in bytes. A longer one is no topology that a person wrote, and
/// reading it would only make the error late.
pub const SOURCE_MAX_BYTES: usize = 4 << 20;

/// The text of a file and the name to show it under.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Takes a text and the name to show it under, such as `vnet.yaml`.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { name: name.into(), text }
    }

    /// Takes a file's bytes as they were read.
    ///
    /// # Errors
    /// When they are not UTF-8. The returned source holds the part before the first bad byte, to
    /// render the report with.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, (Self, Report)> {
        let name = name.into();
        let error = match String::from_utf8(bytes) {
            Ok(text) => return Ok(Self::new(name, text)),
            Err(error) => error,
        };
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let source = Self::new(name, String::from_utf8_lossy(good));
        let end = source.text.len();
        let message = "the file is not UTF-8 text: there is a stray byte here";
        let diagnostic = Diagnostic::error(message, Some(Span::new(end, end)));
        let report = Report::new(vec![diagnostic], &source);
        Err((source, report))
    }

    /// Returns the name to show it under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text, without a byte order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Finds the lines of a text that was read at a span, each without the space around it; none
    /// where they don't stand there letter for letter, as in quotes.
    pub(crate) fn lines_of(&self, span: Span, text: &str) -> Vec<Span> {
        /// A block's text begins on its own line or on the next.
        const TRIES: usize = 3;
        let from = self.text.floor_char_boundary(span.start.min(self.text.len()));
        let mut at = self.text[..from].rfind('\n').map_or(0, |newline| newline + 1);
        // A block's empty first lines are before its span.
        for _ in text.lines().take_while(|line| line.trim().is_empty()) {
            let before = self.text[..at.saturating_sub(1)].rfind('\n');
            at = before.map_or(0, |newline| newline + 1);
        }
        let mut lines = Vec::new();
        let count = text.lines().count().max(1);
        for line in self.text[at..].split('\n').take(count + TRIES) {
            let indent = line.len() - line.trim_start().len();
            let start = at + indent;
            lines.push(Span::new(start, start.max(at + line.trim_end().len())));
            at += line.len() + 1;
        }
        let stands = |spans: &[Span]| {
            let mut wanted = text.lines().zip(spans);
            wanted.all(|(line, span)| line.trim() == self.slice(*span).trim())
        };
        let mut tries = lines.windows(count).take(TRIES);
        tries.find(|spans| stands(spans)).map(<[Span]>::to_vec).unwrap_or_default()
    }

    /// Returns a span as far as its first line goes.
    pub(crate) fn first_line(&self, span: Span) -> Span {
        let length = self.slice(span).find('\n').unwrap_or(span.end - span.start);
        Span::new(span.start, span.start + length)
    }

    /// Returns what stands at a span; nothing where the span is not of this text.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }
}

/// A piece of a source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// The lines of a text, for many lookups of line and column.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        let after =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// Returns line and column of a byte, both counted from 1, the column in characters.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize) {
        let byte = self.floor(byte);
        let line = self.starts.partition_point(|start| *start <= byte) - 1;
        (line + 1, self.text[self.starts[line]..byte].chars().count() + 1)
    }

    /// Returns the byte at a line and column, both counted from 1.
    pub(crate) fn byte(&self, line: usize, column: usize) -> usize {
        let Some(start) = self.starts.get(line.saturating_sub(1)).copied() else {
            return self.text.len();
        };
        let mut chars = self.text[start..].char_indices();
        chars.nth(column.saturating_sub(1)).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// Returns the bytes from the beginning of one line to the end of another, counted from 1.
    pub(crate) fn range(&self, first: usize, last: usize) -> Range<usize> {
        let start = self.starts.get(first.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.starts.get(last).copied().unwrap_or(self.text.len());
        start..end.max(start)
    }

    /// Goes back to the beginning of the character that holds a byte.
    fn floor(&self, byte: usize) -> usize {
        self.text.floor_char_boundary(byte.min(self.text.len()))
    }
}
