//! What is wrong with a file, as data, and how it is shown.

mod render;

pub(crate) use render::thousands;

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use vnet_model::Problem;

use crate::source::{Lines, Source, Span};

/// How many diagnostics are kept; what is beyond is only counted.
const DIAGNOSTICS_MAX: usize = 50;

/// Everything that is wrong with a file, sorted by place.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What is wrong, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are than those kept.
    pub more: usize,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, one line.
    pub message: String,
    /// Where; nothing is a matter of the file as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Further places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, but probably does not mean what its writer thinks.
    Warning,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line, from 1; 0 until the report is finished.
    pub line: usize,
    /// The column in characters, from 1; 0 until the report is finished.
    pub column: usize,
    /// The piece of text.
    pub span: Span,
}

/// A further place that matters to a diagnostic, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Label {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What it has to do with it.
    pub text: String,
}

impl Diagnostic {
    /// Makes an error. Here, in hints and in labels, control characters become escapes: texts of
    /// the file get into all of them.
    pub(crate) fn error(message: impl AsRef<str>, span: Option<Span>) -> Self {
        Self {
            severity: Severity::Error,
            message: printable(message.as_ref()),
            place: span.map(Place::of),
            labels: Vec::new(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(printable(hint.as_ref()));
        self
    }

    pub(crate) fn label(mut self, span: Span, text: impl AsRef<str>) -> Self {
        let text = printable(text.as_ref());
        self.labels.push(Label { place: Place::of(span), text });
        self
    }

    /// Gives a problem of the model its places; `span` looks them up.
    pub(crate) fn of_problem(
        problem: &Problem,
        span: impl Fn(vnet_model::Origin) -> Option<Span>,
    ) -> Self {
        let code = problem.kind.code().map(|code| format!(" ({code})")).unwrap_or_default();
        let mut diagnostic = Self::error(format!("{problem}{code}"), span(problem.origin));
        diagnostic.hint = problem.kind.hint().map(|hint| printable(&hint));
        for (origin, label) in &problem.related {
            if let Some(span) = span(*origin) {
                diagnostic = diagnostic.label(span, *label);
            }
        }
        diagnostic
    }
}

impl Place {
    fn of(span: Span) -> Self {
        Self { line: 0, column: 0, span }
    }
}

impl Report {
    /// Sorts what was found by place, drops what is said twice, keeps the first
    /// [`DIAGNOSTICS_MAX`], and looks up their lines.
    pub(crate) fn new(mut diagnostics: Vec<Diagnostic>, source: &Source) -> Self {
        let mut seen = HashSet::new();
        diagnostics.retain(|found| {
            seen.insert((found.place.map(|place| place.span), found.message.clone()))
        });
        diagnostics.sort_by_key(|found| found.place.map(|place| place.span));
        let more = diagnostics.len().saturating_sub(DIAGNOSTICS_MAX);
        diagnostics.truncate(DIAGNOSTICS_MAX);
        let lines = Lines::new(source.text());
        for diagnostic in &mut diagnostics {
            let labels = diagnostic.labels.iter_mut().map(|label| &mut label.place);
            for place in diagnostic.place.iter_mut().chain(labels) {
                (place.line, place.column) = lines.place(place.span.start);
            }
        }
        Self { diagnostics, more }
    }

    /// Tells whether the file can't be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// Shows the report in rustc's form: message, line, caret, help.
    ///
    /// `source` is the one that was read. Control characters of its text are replaced, so that a
    /// file can't write escapes to the terminal. `color` adds colours.
    #[must_use]
    pub fn render(&self, source: &Source, color: bool) -> String {
        render::render(self, source, color)
    }
}

impl fmt::Display for Report {
    /// Writes one line for each diagnostic: `3:7: there is no node `r9``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, found) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(place) = found.place {
                write!(f, "{}:{}: ", place.line, place.column)?;
            }
            f.write_str(&found.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// How much of a text of the file is shown in a message, in characters.
const SHOWN_MAX_CHARS: usize = 60;

/// Makes a text of the file fit to be shown in a message: short, on one line, and without
/// characters that a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        None => printable(text),
        Some((end, _)) => format!("{}…", printable(&text[..end])),
    }
}

/// Replaces control characters, and those that turn the direction of writing, by their escapes.
pub(crate) fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match obeyed(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}
