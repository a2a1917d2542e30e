//! What a query prints: text or JSON, told once for both.

use std::fmt::{Display, Write as _};

use super::json::JsonWriter;
use super::options::Options;

/// Builds the output of a command. A format holds one `{}`, which stands for the value.
#[derive(Debug)]
pub struct Out {
    text: String,
    json: Option<JsonWriter>,
    /// Between the lines of one record: a line end, or `\` with `-oneline`.
    pub line_end: &'static str,
    color: Option<Palette>,
}

/// From how many bytes on text is handed over.
const MUCH_TEXT: usize = 1 << 16;

/// What is coloured (`enum color_attr`, include/color.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// An interface's name.
    Name,
    /// A hardware address.
    Mac,
    /// An IPv4 address.
    Inet,
    /// An IPv6 address.
    Inet6,
    /// A state that is up.
    Up,
    /// A state that is down.
    Down,
    /// Nothing.
    None,
}

#[derive(Debug, Clone, Copy)]
enum Palette {
    Light,
    Dark,
}

impl Out {
    /// Begins the output of a command.
    #[must_use]
    pub fn new(options: &Options, colored: bool, dark: bool) -> Self {
        let json = options.json.then(|| {
            let mut json = JsonWriter::new(options.pretty);
            json.begin_array();
            json
        });
        let palette = if dark { Palette::Dark } else { Palette::Light };
        Self {
            text: String::new(),
            json,
            line_end: if options.oneline { "\\" } else { "\n" },
            color: colored.then_some(palette),
        }
    }

    /// Tells whether JSON is written.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// Ends the output and returns it.
    #[must_use]
    pub fn finish(self) -> String {
        match self.json {
            Some(mut json) => {
                json.end_array();
                json.finish() + "\n"
            }
            None => self.text,
        }
    }

    /// Hands over the text so far where there is much of it: whoever shows many objects need not keep all of it. JSON is one
    /// value and stays.
    pub fn hand_over(&mut self, to: impl FnOnce(&str)) {
        if self.text.len() >= MUCH_TEXT {
            to(&self.text);
            self.text.clear();
        }
    }

    /// Writes text only.
    pub fn text(&mut self, text: &str) {
        if self.json.is_none() {
            self.text.push_str(text);
        }
    }

    /// Writes the line end within a record.
    pub fn next_line(&mut self) {
        self.text(self.line_end);
    }

    /// Does something with the JSON only.
    pub fn json(&mut self, write: impl FnOnce(&mut JsonWriter)) {
        if let Some(json) = &mut self.json {
            write(json);
        }
    }

    /// Begins a JSON object, with a name where it has one.
    pub fn open(&mut self, name: Option<&str>) {
        self.json(|json| {
            if let Some(name) = name {
                json.name(name);
            }
            json.begin_object();
        });
    }

    /// Ends a JSON object.
    pub fn close(&mut self) {
        self.json(JsonWriter::end_object);
    }

    /// Begins an array; `before` is the text's.
    pub fn open_array(&mut self, name: &str, before: &str) {
        self.text(before);
        self.json(|json| {
            json.name(name);
            json.begin_array();
        });
    }

    /// Ends an array; `after` is the text's.
    pub fn close_array(&mut self, after: &str) {
        self.text(after);
        self.json(JsonWriter::end_array);
    }

    /// Writes a text; an empty key is an array's member.
    pub fn str(&mut self, key: &str, format: &str, value: &str) {
        self.shaded(Shade::None, key, format, value);
    }

    /// Writes a text in colour.
    pub fn shaded(&mut self, shade: Shade, key: &str, format: &str, value: &str) {
        match &mut self.json {
            Some(json) => {
                if !key.is_empty() {
                    json.name(key);
                }
                json.string(value);
            }
            None => {
                let code = self.color.and_then(|palette| Some((palette, code(shade)?)));
                if let Some((palette, code)) = code {
                    let bold = if matches!(palette, Palette::Dark) { "1;" } else { "" };
                    let _ = write!(self.text, "\u{1b}[{bold}{code}m");
                }
                fill(&mut self.text, format, value);
                if code.is_some() {
                    self.text.push_str("\u{1b}[0m");
                }
            }
        }
    }

    /// Writes a number.
    pub fn num(&mut self, key: &str, format: &str, value: impl Display) {
        match &mut self.json {
            Some(json) => {
                if !key.is_empty() {
                    json.name(key);
                }
                json.plain(value);
            }
            None => fill(&mut self.text, format, value),
        }
    }

    /// Writes a text in text, and a number in JSON.
    pub fn num_as(&mut self, key: &str, format: &str, value: impl Display, text: &str) {
        match &self.json {
            Some(_) => self.num(key, "", value),
            None => self.str(key, format, text),
        }
    }

    /// Writes `on` or `off`; in JSON true or false.
    pub fn on_off(&mut self, key: &str, format: &str, on: bool) {
        self.num_as(key, format, on, if on { "on" } else { "off" });
    }

    /// Writes that what follows is gone, where it is.
    pub fn deleted(&mut self, is_gone: bool) {
        if is_gone {
            self.flag("deleted", "Deleted ");
        }
    }

    /// Writes a word where something is so; in JSON `true`.
    pub fn flag(&mut self, key: &str, text: &str) {
        self.num_as(key, "{}", true, text);
    }
}

fn code(shade: Shade) -> Option<u8> {
    Some(match shade {
        Shade::Name => 36,
        Shade::Mac => 33,
        Shade::Inet => 35,
        Shade::Inet6 => 34,
        Shade::Up => 32,
        Shade::Down => 31,
        Shade::None => return None,
    })
}

/// Appends a format with the value where `{}` stands; `{:16}` pads it to that width.
fn fill(text: &mut String, format: &str, value: impl Display) {
    let Some(open) = format.find('{') else { return text.push_str(format) };
    let (before, rest) = (&format[..open], &format[open + 1..]);
    let (width, after) = rest.split_once('}').unwrap_or((rest, ""));
    text.push_str(before);
    let begin = text.len();
    let _ = write!(text, "{value}");
    if let Some(width) = width.strip_prefix(':') {
        let width: usize = width.parse().unwrap_or(0);
        let shown = text[begin..].chars().count();
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(shown)));
    }
    text.push_str(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_text_is_handed_over_and_json_is_not() {
        for json in [false, true] {
            let mut out = Out::new(&Options { json, ..Options::default() }, false, false);
            let mut handed = String::new();
            for _ in 0..MUCH_TEXT / 4 {
                out.open(None);
                out.num("a", "a {}\n", 1234);
                out.close();
                out.hand_over(|text| handed.push_str(text));
            }
            assert_eq!(handed.is_empty(), json);
            let rest = out.finish();
            assert!(json || rest.len() < MUCH_TEXT);
            assert_eq!((handed + &rest).matches("1234").count(), MUCH_TEXT / 4);
        }
    }

    #[test]
    fn json_is_laid_out_as_iproute2_does() {
        let options = Options { json: true, pretty: true, ..Options::default() };
        let mut out = Out::new(&options, false, false);
        out.open(None);
        out.num("a", "", 1);
        out.open_array("b", "");
        out.str("", "", "x\"y");
        out.close_array("");
        out.open_array("c", "");
        out.close_array("");
        out.close();
        let shown =
            "[ {\n        \"a\": 1,\n        \"b\": [ \"x\\\"y\" ],\n        \"c\": [ ]\n    } ]\n";
        assert_eq!(out.finish(), shown);
    }

    #[test]
    fn a_value_is_padded() {
        let mut text = String::from("-");
        fill(&mut text, "<{:4}> ", "ab");
        fill(&mut text, "{}|", 12);
        fill(&mut text, "{:2}.", "äöü");
        fill(&mut text, "no place", "ab");
        assert_eq!(text, "-<ab  > 12|äöü.no place");
    }
}
