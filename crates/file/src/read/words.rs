//! iproute2's words, read one after the other.

use std::iter::Peekable;
use std::str::SplitWhitespace;

use vnet_model::IfName;
use vnet_model::state::TABLES;

use super::{Reader, Text};
use crate::report::{Diagnostic, shown};

/// The words of a text that have not been read yet.
pub(super) struct Words<'t> {
    pub(super) text: &'t Text<'t>,
    words: Peekable<SplitWhitespace<'t>>,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t Text<'t>) -> Self {
        Self { text, words: text.text.split_whitespace().peekable() }
    }

    pub(super) fn peek(&mut self) -> Option<&'t str> {
        self.words.peek().copied()
    }

    /// Takes the next word if it is this one.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.words.next_if_eq(&word).is_some()
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        self.words.next()
    }
}

/// What is told of the words of one kind of line.
pub(super) struct Language {
    /// What it is: "a route".
    pub(super) of: &'static str,
    /// Its words.
    pub(super) words: &'static [&'static str],
    /// Words that iproute2 knows and this version does not.
    pub(super) later: &'static [&'static str],
    /// What to write, for a word that is like none of them.
    pub(super) hint: &'static str,
}

impl Reader<'_> {
    /// Takes the word after an option.
    pub(super) fn after<'t>(&mut self, option: &str, words: &mut Words<'t>) -> Option<&'t str> {
        let next = words.next();
        if next.is_none() {
            let message = format!("`{option}` has nothing after it");
            self.error(Diagnostic::error(message, Some(words.text.piece(option))));
        }
        next
    }

    /// Takes the number after an option.
    pub(super) fn number_after(
        &mut self,
        option: &str,
        words: &mut Words<'_>,
        bounds: (u32, u32),
    ) -> Option<u32> {
        let word = self.after(option, words)?;
        self.number_of(word, words.text.piece(word), option, bounds)
    }

    /// Takes the interface after an option, if none was said before.
    pub(super) fn dev_after(
        &mut self,
        option: &str,
        words: &mut Words<'_>,
        dev: &mut Option<IfName>,
    ) -> Option<()> {
        let word = self.after(option, words)?;
        let name = self.if_name(word, words.text.piece(word))?;
        self.put(dev, name, option, words.text)
    }

    /// Keeps what an option says, if nothing was said of it before.
    pub(super) fn put<T>(
        &mut self,
        slot: &mut Option<T>,
        value: T,
        option: &str,
        text: &Text<'_>,
    ) -> Option<()> {
        if slot.replace(value).is_some() {
            self.twice(option, text);
            return None;
        }
        Some(())
    }

    pub(super) fn twice(&mut self, option: &str, text: &Text<'_>) {
        let message = format!("`{option}` is there twice");
        self.error(Diagnostic::error(message, Some(text.piece(option))));
    }

    /// Reads a routing table: its number, or one of the names that every system has.
    pub(super) fn table(&mut self, word: &str, text: &Text<'_>) -> Option<u32> {
        if let Some((_, table)) = TABLES.iter().find(|(name, _)| *name == word) {
            return Some(*table);
        }
        self.number_of(word, text.piece(word), "table", (1, u32::MAX))
    }

    /// Refuses a word that is none of a line's.
    pub(super) fn stray_word(&mut self, word: &str, text: &Text<'_>, language: &Language) {
        let of = language.of;
        if language.later.contains(&word) {
            let message = format!("`{word}` in {of} is not supported yet");
            self.error(Diagnostic::error(message, Some(text.piece(word))));
            return;
        }
        let message = format!("`{}` is no word of {of}", shown(word));
        let error = Diagnostic::error(message, Some(text.piece(word)));
        self.error(match vnet_model::problem::nearest(word, language.words) {
            Some(near) => error.hint(format!("a similar word exists: `{near}`")),
            None => error.hint(language.hint),
        });
    }

    /// Reads `proto`: what vnet makes is static, and is known by that.
    pub(super) fn proto_static(&mut self, option: &str, words: &mut Words<'_>) -> Option<()> {
        let word = self.after(option, words)?;
        if matches!(word, "static" | "4") {
            return Some(());
        }
        let message = format!("what vnet makes is of protocol `static`, not `{}`", shown(word));
        let error = Diagnostic::error(message, Some(words.text.piece(word)));
        self.error(error.hint(format!("leave out `{option}`")));
        None
    }
}
