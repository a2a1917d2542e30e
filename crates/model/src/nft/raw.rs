//! Text in nft's language, for what the words of the file can't say.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Table;
use crate::origin::Origin;

/// A text for the program `nft`, and what comes of it.
///
/// As everywhere, what asked for it takes no part in a comparison.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
pub struct RawText {
    /// The text.
    pub text: String,
    /// The tables that it makes, with the lab's mark; nothing as long as nobody has tried it out.
    pub tables: Option<Vec<Table>>,
    /// What asked for each of its lines.
    #[serde(skip)]
    pub lines: Vec<Origin>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl PartialEq for RawText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.tables == other.tables
    }
}

impl RawText {
    /// Makes a text that nobody has tried out.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tables: None, lines: Vec::new(), origin: Origin::NONE }
    }

    /// Returns what asked for a line of the text, counted from 1.
    #[must_use]
    pub fn line(&self, number: usize) -> Origin {
        let line = number.checked_sub(1).and_then(|at| self.lines.get(at)).copied();
        line.unwrap_or_default().or(self.origin)
    }

    /// Writes it for `nft -f` so that its tables are replaced whole and carry their mark, in one
    /// transaction.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = String::new();
        for table in self.tables.iter().flatten() {
            let id = &table.id;
            let _ = writeln!(script, "table {id}\ndelete table {id}");
            if let Some(mark) = &table.mark {
                let _ = writeln!(script, "table {id} {{\n\tcomment \"{mark}\"\n}}");
            }
        }
        script.push_str(&self.text);
        if !script.ends_with('\n') {
            script.push('\n');
        }
        script
    }

    /// Lists the tables that the text names, as `family name` (`ip` where it says none), and the
    /// lines on which it does.
    #[must_use]
    pub fn named_tables(&self) -> Vec<(String, usize)> {
        const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
        let mut words = Words::new(&self.text);
        let mut named = Vec::new();
        while let Some((word, _)) = words.next() {
            if word != "table" {
                continue;
            }
            let Some((first, line)) = words.next() else { break };
            let name = match FAMILIES.contains(&first) {
                true => words.next().map(|(name, _)| format!("{first} {name}")),
                false => Some(format!("ip {first}")),
            };
            named.extend(name.map(|name| (name, line)));
        }
        named
    }

    /// Tells whether interfaces must be there for nft to read it: it names some by more than their names,
    /// or has chains or flow tables at them.
    #[must_use]
    pub fn needs_interfaces(&self) -> bool {
        const NEED: [&str; 7] = ["iif", "oif", "device", "devices", "flowtable", "fwd", "iface"];
        let first = |word: &str| -> String {
            word.chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
        };
        Words::new(&self.text).any(|(word, _)| NEED.contains(&first(word).as_str()))
    }

    /// Finds the line, counted from 1, on which the text first says these words one after another,
    /// as nft reads it: not in a comment, nor in quotes.
    #[must_use]
    pub fn line_of(&self, wanted: &[&str]) -> Option<usize> {
        let words: Vec<(&str, usize)> = Words::new(&self.text).collect();
        let mut places = words.windows(wanted.len().max(1));
        let found = places.find(|at| at.iter().map(|(word, _)| word).eq(wanted));
        found.map(|at| at[0].1)
    }
}

/// The words of a text with their lines, as nft's scanner tells them apart: a comment goes to the end
/// of its line, but for a `#` in quotes; what is in quotes is a word with them and may go over lines,
/// and a `\\` before a line's end is space.
struct Words<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Words<'t> {
    fn new(text: &'t str) -> Self {
        Self { rest: text, line: 1 }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = (&'t str, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let is_break = |c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}' | '\\');
        loop {
            let first = self.rest.chars().next()?;
            let line = self.line;
            let ends = |is_end: &dyn Fn(char) -> bool| self.rest.find(is_end);
            match first {
                '#' => {
                    let end = ends(&|c| c == '\n').unwrap_or(self.rest.len());
                    self.take(end);
                }
                '"' => {
                    let end = self.rest[1..].find('"').map_or(self.rest.len(), |end| end + 2);
                    return Some((self.take(end), line));
                }
                _ if is_break(first) => {
                    self.take(first.len_utf8());
                }
                _ => {
                    let end = ends(&|c| is_break(c) || matches!(c, '#' | '"'));
                    return Some((self.take(end.unwrap_or(self.rest.len())), line));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_text_are_found() {
        let named = |text: &str| RawText::new(text).named_tables();
        let own = |text: &str| named(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let text =
            "table inet a {\n chain c { } # table inet no\n}\nadd table b; delete table ip6 c";
        let expected = [("inet a", 1), ("ip b", 4), ("ip6 c", 4)];
        assert_eq!(named(text), expected.map(|(name, line)| (name.to_owned(), line)));
        // What is in quotes neither begins a comment nor is a word.
        assert_eq!(own("x comment \"# \ntable no\"; table a#b"), ["ip a"]);
        assert_eq!(own("# it's \" table no\ndelete \\\n table \\\n inet\\\n a"), ["inet a"]);
        assert_eq!(own("table inet \"a b\"; table $x"), ["inet \"a b\"", "ip $x"]);
        assert_eq!(own("table"), [""; 0]);
    }

    #[test]
    fn words_are_found_as_nft_reads_them() {
        let line = |text: &str, words: &[&str]| RawText::new(text).line_of(words);
        let flush = ["flush", "ruleset"];
        assert_eq!(line("a\nflush \\\n\truleset", &flush), Some(2));
        assert_eq!(line("table a { };flush  ruleset;", &flush), Some(1));
        assert_eq!(
            line("# flush ruleset\nflush # it\nx; log prefix \"flush ruleset\"", &flush),
            None
        );
        assert_eq!(line("\n}include\"/etc/x\"", &["include"]), Some(2));
        assert_eq!(line("", &["include"]), None);
    }

    #[test]
    fn what_needs_interfaces_is_told() {
        let needs = |text: &str| RawText::new(text).needs_interfaces();
        assert!(needs("chain c { type filter hook ingress device eth0 priority 0; }"));
        assert!(needs("hook ingress priority 0; devices={ eth0, eth1 }"));
        assert!(
            needs("flowtable f{ }") && needs("iif eth0 accept") && needs("meta oif . ip saddr")
        );
        assert!(!needs("iifname eth0 accept # device eth0\nlog prefix \"iif eth0\""));
    }
}
