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

    /// Lists the tables that the text names, as `family name` (`ip` where it says none).
    #[must_use]
    pub fn named_tables(&self) -> Vec<String> {
        const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
        let is_break = |c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}');
        let code = self.text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let mut words = code.flat_map(|line| line.split(is_break)).filter(|word| !word.is_empty());
        let mut named = Vec::new();
        while let Some(word) = words.next() {
            if word != "table" {
                continue;
            }
            let Some(first) = words.next() else { break };
            let name = match FAMILIES.contains(&first) {
                true => words.next().map(|name| format!("{first} {name}")),
                false => Some(format!("ip {first}")),
            };
            named.extend(name);
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_text_are_found() {
        let text = RawText::new(
            "table inet a {\n chain c { } # table inet no\n}\nadd table b; delete table ip6 c",
        );
        assert_eq!(text.named_tables(), ["inet a", "ip b", "ip6 c"]);
    }
}
