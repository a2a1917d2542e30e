//! A command line as its words.

use std::fmt;

/// The words of one command line, and what the command reads, if it reads anything.
///
/// Shown, it is text for a POSIX shell that gives exactly these words:
///
/// ```
/// let command = vnet_iproute::Command::new(["ip", "link", "set", "dev", "a", "alias", "it's"]);
/// assert_eq!(command.to_string(), r"ip link set dev a alias 'it'\''s'");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<String>,
    input: Option<String>,
}

impl Command {
    /// Makes a command of its words, the program's name first.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), input: None }
    }

    /// Returns the words, the program's name first; unquoted, as `execve` takes them.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns what the command reads from its standard input.
    #[must_use]
    pub fn input_text(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// Gives it a text to read: whole lines.
    pub(crate) fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// Appends a word.
    pub(crate) fn word(mut self, word: impl fmt::Display) -> Self {
        self.words.push(word.to_string());
        self
    }

    /// Appends words that hold no spaces, written as one text.
    pub(crate) fn text(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// Appends a keyword and its value, if there is one.
    pub(crate) fn option(self, keyword: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.word(keyword).word(value),
            None => self,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            if is_plain(word) {
                f.write_str(word)?;
            } else {
                // Inside single quotes only the single quote means something (POSIX.1-2017, Shell
                // Command Language, 2.2.2).
                write!(f, "'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        if let Some(input) = &self.input {
            // A delimiter that is no line of the text, quoted, so that nothing in it is expanded
            // (POSIX.1-2017, Shell Command Language, 2.7.4).
            let mut end = "EOF".to_owned();
            while input.lines().any(|line| line == end) {
                end.push('_');
            }
            write!(f, " <<'{end}'\n{input}{end}")?;
        }
        Ok(())
    }
}

/// Tells whether a shell takes a word for itself, wherever it stands behind the program's name.
fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        let cases = [
            ("eth0.10", "eth0.10"),
            ("a=b", "a=b"),
            ("", "''"),
            ("two words", "'two words'"),
            ("$HOME", "'$HOME'"),
            ("`id`", "'`id`'"),
            ("it's", r"'it'\''s'"),
            ("~", "'~'"),
            ("#1", "'#1'"),
            ("a\nb", "'a\nb'"),
            ("ä", "'ä'"),
        ];
        for (word, shown) in cases {
            assert_eq!(Command::new([word]).to_string(), shown);
        }
    }
}
