//! Shows a report in rustc's form.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Place, Report, Severity};
use crate::source::{Lines, Source};

/// A line longer than this is not shown: it is not one that a person wrote.
const LINE_MAX_BYTES: usize = 10_000;

pub(super) fn render(report: &Report, source: &Source, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let lines = Lines::new(source.text());
    let mut out = String::new();
    for diagnostic in &report.diagnostics {
        out.push_str(&renderer.render(&[group(diagnostic, source, &lines)]));
        out.push_str("\n\n");
    }
    if report.more > 0 {
        out.push_str(&format!("and {} more\n\n", thousands(report.more)));
    }
    out.pop();
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, source: &'a Source, lines: &Lines<'_>) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .elements(None::<Snippet<'_, annotate_snippets::Annotation<'_>>>);
    if let Some(place) = &diagnostic.place {
        group = group.element(snippet(diagnostic, place, source, lines));
    }
    match &diagnostic.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }
}

/// Cuts out the lines that matter, so that the cost does not grow with the file.
fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    place: &Place,
    source: &'a Source,
    lines: &Lines<'_>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let places = || diagnostic.labels.iter().map(|label| label.place).chain([*place]);
    let first = places().map(|place| place.line).min().unwrap_or(1);
    let last = places().map(|place| place.line).max().unwrap_or(1);
    let mut range = lines.range(first, last);
    let text = &source.text()[range.clone()];
    if text.lines().any(|line| line.len() > LINE_MAX_BYTES) {
        range.end = range.start;
    }
    let text = &source.text()[range.clone()];
    let within = |place: &Place| {
        let start = place.span.start.clamp(range.start, range.end);
        let end = place.span.end.clamp(start, range.end);
        start - range.start..end - range.start
    };
    let primary = AnnotationKind::Primary.span(within(place));
    let labels = diagnostic
        .labels
        .iter()
        .map(|label| AnnotationKind::Context.span(within(&label.place)).label(label.text.as_str()));
    Snippet::source(harmless(text))
        .path(super::printable(source.name()))
        .line_start(first)
        .annotation(primary)
        .annotations(labels)
}

/// Replaces the control characters that the renderer lets through, those of two bytes (C1: some
/// terminals obey U+009B as they do `ESC [`), by a dot of two bytes, so that no span moves.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c.len_utf8() == 2;
    match text.contains(obeyed) {
        true => Cow::Owned(text.replace(obeyed, "\u{b7}")),
        false => Cow::Borrowed(text),
    }
}

/// Writes a count with a comma between thousands.
pub(crate) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
