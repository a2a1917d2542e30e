//! JSON laid out exactly as iproute2 lays it out, indented or not.

use std::fmt::{Display, Write as _};

/// Writes JSON from left to right.
#[derive(Debug, Default)]
pub struct JsonWriter {
    text: String,
    depth: usize,
    /// Whether something stands before what comes next on the same level.
    follows: bool,
    pretty: bool,
}

impl JsonWriter {
    /// Begins a text.
    #[must_use]
    pub fn new(pretty: bool) -> Self {
        Self { pretty, ..Self::default() }
    }

    /// Returns the text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// Begins an object; inside an object it needs a name first.
    pub fn begin_object(&mut self) {
        self.begin('{');
    }

    /// Ends an object.
    pub fn end_object(&mut self) {
        self.end('}');
    }

    /// Begins an array.
    pub fn begin_array(&mut self) {
        self.begin('[');
        if self.pretty {
            self.text.push(' ');
        }
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        if self.pretty && self.follows {
            self.text.push(' ');
        }
        self.follows = false;
        self.end(']');
    }

    /// Writes the name of a member.
    pub fn name(&mut self, name: &str) {
        self.separate();
        self.new_line();
        self.follows = false;
        self.quote(name);
        self.text.push(':');
        if self.pretty {
            self.text.push(' ');
        }
    }

    /// Writes a text.
    pub fn string(&mut self, value: &str) {
        self.separate();
        self.quote(value);
    }

    /// Writes something that stands for itself: a number, `true`, `null`.
    pub fn plain(&mut self, value: impl Display) {
        self.separate();
        // Writing to a String can't fail.
        let _ = write!(self.text, "{value}");
    }

    fn begin(&mut self, bracket: char) {
        self.separate();
        self.text.push(bracket);
        self.depth += 1;
        self.follows = false;
    }

    fn end(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        if self.follows {
            self.new_line();
        }
        self.text.push(bracket);
        self.follows = true;
    }

    fn separate(&mut self) {
        if self.follows {
            self.text.push(',');
        }
        self.follows = true;
    }

    fn new_line(&mut self) {
        if self.pretty {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("    ", self.depth));
        }
    }

    fn quote(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\u{c}' => self.text.push_str("\\f"),
                '\u{8}' => self.text.push_str("\\b"),
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}
