//! All output. stdout is data, stderr is talk; what is on stdout never depends on the terminal but
//! for colours.

use std::fmt::{Display, Write as _};
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use serde::Serialize;
use vnet::model::Step;

use crate::args::{Color, Global};
use crate::errors::{EXIT_VNET_FAILED, Failure};

/// The version of the envelope around all JSON.
const ENVELOPE_VERSION: u32 = 1;

/// The few styles there are. Output is understandable without them.
pub(crate) mod style {
    use anstyle::{AnsiColor, Style};

    pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
    pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
    pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
    pub(crate) const ADD: Style = AnsiColor::Green.on_default();
    pub(crate) const REMOVE: Style = AnsiColor::Red.on_default();
    pub(crate) const CHANGE: Style = AnsiColor::Yellow.on_default();
    pub(crate) const NAME: Style = Style::new().bold();
}

/// The one way to stdout and stderr.
#[derive(Debug)]
pub(crate) struct Printer {
    color: ColorChoice,
    json: bool,
    quiet: bool,
    verbose: bool,
}

#[derive(Serialize)]
struct Envelope<'k, T> {
    version: u32,
    kind: &'k str,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct ErrorBody<'f> {
    error: &'f str,
    message: &'f str,
    hints: &'f [String],
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { color, json: global.json, quiet: global.quiet, verbose: global.verbose }
    }

    /// Tells whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether each step is to be said.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Tells whether somebody watches who may be shown progress.
    pub(crate) fn is_watched(&self) -> bool {
        !self.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr())
    }

    /// Prints data on stdout.
    pub(crate) fn data(&self, text: &str) {
        // A reader that is gone has seen enough; nothing else could be told to anybody.
        let _ = self.try_data(text);
    }

    /// Prints data on stdout, as long as somebody reads it.
    fn try_data(&self, text: &str) -> ControlFlow<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(&self.rendered(text, &out)).and_then(|()| out.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Prints one of many things on stdout, as long as somebody reads them: text for people, or
    /// one line of JSON in the envelope.
    pub(crate) fn one(&self, text: &str, kind: &str, body: impl Serialize) -> ControlFlow<()> {
        if !self.json {
            return self.try_data(text);
        }
        let envelope = Envelope { version: ENVELOPE_VERSION, kind, body };
        // Only maps with keys that are no text can't be written, and there are none.
        let mut line = serde_json::to_string(&envelope).unwrap_or_default();
        line.push('\n');
        self.try_data(&line)
    }

    /// Prints data on stdout that is a by-product: not when quiet.
    pub(crate) fn summary(&self, text: &str) {
        if !self.quiet {
            self.data(text);
        }
    }

    /// Prints JSON on stdout, in the envelope.
    pub(crate) fn json(&self, kind: &str, body: impl Serialize) {
        let envelope = Envelope { version: ENVELOPE_VERSION, kind, body };
        // Only maps with keys that are no text can't be written, and there are none.
        let mut text = serde_json::to_string_pretty(&envelope).unwrap_or_default();
        text.push('\n');
        self.data(&text);
    }

    /// Prints lines on stderr as they are: they are what was asked for.
    pub(crate) fn talk(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // Where stderr is closed there is nobody to tell.
        let _ = out.write_all(&self.rendered(text, &out));
    }

    /// Makes of a text what is written to a stream, with colours or without: all of it before, since
    /// what is written in one go is not torn apart by what others write there.
    fn rendered(&self, text: &str, stream: &impl RawStream) -> Vec<u8> {
        let choice = match self.color {
            ColorChoice::Auto => AutoStream::choice(stream),
            choice => choice,
        };
        let mut rendered = AutoStream::new(Vec::new(), choice);
        // Writing to a Vec can't fail.
        let _ = rendered.write_all(text.as_bytes());
        rendered.into_inner()
    }

    /// Says something worth knowing on stderr, unless quiet.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.talk(&format!("{}note{}: {text}\n", on(style::HINT), off(style::HINT)));
        }
    }

    /// Warns on stderr.
    pub(crate) fn warning(&self, text: impl Display) {
        self.talk(&format!("{}warning{}: {text}\n", on(style::WARNING), off(style::WARNING)));
    }

    /// Says how to go on, on stderr, unless quiet.
    pub(crate) fn hint(&self, text: impl Display) {
        if !self.quiet {
            self.talk(&hint(text));
        }
    }

    /// Shows what went wrong, and returns the exit code. JSON goes to stdout, for people it is said
    /// on stderr all the same.
    pub(crate) fn failure(&self, failure: &Failure, passes_code: bool) -> ExitCode {
        if self.json && !passes_code {
            let Failure { kind, message, hints, .. } = failure;
            self.json("error", ErrorBody { error: kind, message, hints });
        }
        self.report(failure);
        match passes_code && failure.code < EXIT_VNET_FAILED {
            true => ExitCode::from(EXIT_VNET_FAILED),
            false => ExitCode::from(failure.code),
        }
    }

    /// Shows what went wrong.
    pub(crate) fn report(&self, failure: &Failure) {
        if let Some(shown) = &failure.shown {
            return self.talk(shown);
        }
        let (on, off) = (on(style::ERROR), off(style::ERROR));
        let mut text = format!("{on}error{off}: {}\n", plain(&failure.message));
        for line in &failure.hints {
            text.push_str(&hint(plain(line)));
        }
        self.talk(&text);
    }
}

fn hint(text: impl Display) -> String {
    format!("{}hint{}: {text}\n", on(style::HINT), off(style::HINT))
}

/// Begins a style.
pub(crate) fn on(style: anstyle::Style) -> impl Display {
    style.render()
}

/// Ends a style.
pub(crate) fn off(style: anstyle::Style) -> impl Display {
    style.render_reset()
}

/// Writes one line for each step: sign and what it is about.
pub(crate) fn steps(steps: &[Step]) -> String {
    steps.iter().map(|step| signed(step.sign(), &step.to_string())).collect()
}

/// Writes the line of a change.
pub(crate) fn signed(sign: char, what: &str) -> String {
    let style = match sign {
        '+' => style::ADD,
        '-' => style::REMOVE,
        _ => style::CHANGE,
    };
    format!("{}{sign}{} {}\n", on(style), off(style), plain(what))
}

/// Writes a count with its noun: `1 link`, `20 nodes`.
pub(crate) fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Replaces characters that a terminal would obey, but for line ends.
pub(crate) fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n')
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

/// Lays out rows in columns that are as wide as what is in them; the last one is not padded.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\u{202e}"), "a\\u{1b}[31mb\\r\nc\\u{202e}");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(columns(&[row(["a", "b"]), row(["long", ""])]), "a     b\nlong\n");
    }
}
