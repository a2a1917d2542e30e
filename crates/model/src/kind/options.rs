//! Options with their values.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::spec::OptionSpec;
use super::value::Value;

/// Options by iproute2's words, as far as they are declared: what is not here is not compared and
/// never changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Value>", into = "BTreeMap<String, Value>")]
pub struct Options(BTreeMap<&'static str, Value>);

impl Options {
    /// Makes an empty set, as [`Default`] does.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Returns the value of an option.
    #[must_use]
    pub fn get(&self, word: &str) -> Option<&Value> {
        self.0.get(word)
    }

    /// Returns the number that an option is.
    #[must_use]
    pub fn number(&self, word: &str) -> Option<u64> {
        match self.get(word) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Gives an option a value, and returns the one it had.
    pub fn set(&mut self, option: &'static OptionSpec, value: Value) -> Option<Value> {
        self.0.insert(option.word, value)
    }

    /// Forgets an option.
    pub fn forget(&mut self, word: &str) {
        self.0.remove(word);
    }

    /// Takes over the options of another set; they win.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(word, value)| (*word, value.clone())));
    }

    /// Forgets all options that another set does not have.
    pub fn keep_only(&mut self, known: &Self) {
        self.0.retain(|word, _| known.0.contains_key(word));
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over words and values, sorted by word.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(word, value)| (*word, value))
    }

    /// Iterates over those of a table that are here, in the table's order.
    pub fn of<'a>(
        &'a self,
        table: &'static [OptionSpec],
    ) -> impl Iterator<Item = (&'static OptionSpec, &'a Value)> {
        table.iter().filter_map(|option| Some((option, self.get(option.word)?)))
    }

    /// Iterates over the options of a table that are here, and not in `wanted`, with another value
    /// than where nothing is said: they were said once. (What never was is not read.)
    pub fn no_longer_in<'a>(
        &'a self,
        wanted: &'a Self,
        table: &'static [OptionSpec],
    ) -> impl Iterator<Item = &'static OptionSpec> + 'a {
        let left = |option: &OptionSpec, value| {
            wanted.get(option.word).is_none() && option.is_unusual(value)
        };
        self.of(table).filter(move |(option, value)| left(option, value)).map(|(option, _)| option)
    }

    /// Returns what makes these options of a table the wanted ones: those that are not here or have
    /// another value, and those that go back to their defaults.
    #[must_use]
    pub fn changes_to(&self, wanted: &Self, table: &'static [OptionSpec]) -> Self {
        let back =
            |option: &'static OptionSpec| Some((option, option.back_from(self.get(option.word)?)?));
        let mut changes: Self = self.no_longer_in(wanted, table).filter_map(back).collect();
        let differs = |(option, value): &(&'static OptionSpec, &Value)| {
            let found = self.get(option.word);
            found.is_none_or(|found| !option.is_same(found, value))
        };
        let wanted: Self =
            wanted.of(table).filter(differs).map(|(o, value)| (o, value.clone())).collect();
        changes.extend(&wanted);
        for (option, found) in self.of(table) {
            if let Some(value) = changes.0.get_mut(option.word) {
                *value = option.with_what_goes(value, Some(found));
            }
        }
        changes
    }

    /// Writes the options of a table as people read them: `ageing_time 300, stp on`.
    pub(crate) fn show(
        &self,
        table: &'static [OptionSpec],
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        for (index, (option, value)) in self.of(table).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", option.key, option.form.shown(value))?;
        }
        Ok(())
    }
}

impl From<BTreeMap<String, Value>> for Options {
    /// Takes the options that the table knows: others are another version's.
    fn from(options: BTreeMap<String, Value>) -> Self {
        let known = |(word, value): (String, Value)| Some((super::intern(&word)?, value));
        Self(options.into_iter().filter_map(known).collect())
    }
}

impl From<Options> for BTreeMap<String, Value> {
    fn from(options: Options) -> Self {
        options.0.into_iter().map(|(word, value)| (word.to_owned(), value)).collect()
    }
}

impl FromIterator<(&'static OptionSpec, Value)> for Options {
    fn from_iter<T: IntoIterator<Item = (&'static OptionSpec, Value)>>(options: T) -> Self {
        Self(options.into_iter().map(|(option, value)| (option.word, value)).collect())
    }
}
