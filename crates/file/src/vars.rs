//! Variables: `$name` in a text of the file stands for what `vars:` or `--var` says.
//!
//! They are substituted in all texts below `vars:`, in names too, so that `pc1..$n` is as many
//! nodes as the command line asks for. A variable may use those above it. `$$` is a `$`.

use std::collections::{BTreeMap, HashMap};

use vnet_model::problem::nearest;

use crate::report::{Diagnostic, shown};
use crate::source::Span;
use crate::syntax::{Data, Key, Value};

/// The names that mean something of their own in `netns:`.
const BUILT_IN: [&str; 2] = ["lab", "node"];

/// How many bytes all substitutions of a file may write, so that a few variables can't fill the
/// memory.
const SUBSTITUTED_MAX_BYTES: usize = 16 << 20;

/// What substituting came to.
#[derive(Debug, Default)]
pub(crate) struct Substituted {
    /// What is wrong.
    pub(crate) found: Vec<Diagnostic>,
    /// The variables that stand nowhere.
    pub(crate) unused: Vec<(String, Span)>,
}

/// Substitutes variables in the whole tree. `overrides` come from the command line.
pub(crate) fn substitute(root: &mut Value, overrides: &[(String, String)]) -> Substituted {
    let Data::Map(entries) = &mut root.data else { return Substituted::default() };
    let mut vars = Vars {
        values: BTreeMap::new(),
        unused: BTreeMap::new(),
        left_bytes: SUBSTITUTED_MAX_BYTES,
        found: vec![],
    };
    if let Some((_, declared)) = entries.iter().find(|(key, _)| key.text == "vars") {
        vars.declare(declared, overrides);
    }
    vars.check_overrides(overrides);
    for (key, value) in entries.iter_mut().filter(|(key, _)| key.text != "vars") {
        let keep: &[&str] = if key.text == "netns" { &BUILT_IN } else { &[] };
        vars.value(value, keep);
    }
    Substituted { found: vars.found, unused: vars.unused.into_iter().collect() }
}

struct Vars {
    values: BTreeMap<String, String>,
    /// Those that were not met yet, with their places.
    unused: BTreeMap<String, Span>,
    left_bytes: usize,
    found: Vec<Diagnostic>,
}

impl Vars {
    /// Takes the variables of `vars:`, each with its override where there is one.
    fn declare(&mut self, declared: &Value, overrides: &[(String, String)]) {
        let entries: &[(Key, Value)] = match &declared.data {
            Data::Map(entries) => entries,
            Data::Empty => return,
            _ => {
                let message =
                    format!("`vars` is a map from name to text, this is {}", declared.kind());
                let hint = "write `vars: { loss: 2% }`";
                self.found.push(Diagnostic::error(message, Some(declared.span)).hint(hint));
                return;
            }
        };
        for (key, value) in entries {
            self.check_name(key);
            let text = match &value.data {
                Data::Text(text) => text.as_str(),
                Data::Empty => "",
                _ => {
                    let message = format!(
                        "the variable `{}` is {}, not a text",
                        shown(&key.text),
                        value.kind()
                    );
                    self.found.push(Diagnostic::error(message, Some(value.span)));
                    ""
                }
            };
            let given = overrides.iter().rfind(|(name, _)| *name == key.text);
            let text = match given {
                Some((_, text)) => text.clone(),
                None => self.text(text, value.span, &[]).unwrap_or_else(|| text.to_owned()),
            };
            self.values.insert(key.text.clone(), text);
            self.unused.insert(key.text.clone(), key.span);
        }
    }

    fn check_name(&mut self, key: &Key) {
        let name = shown(&key.text);
        if BUILT_IN.contains(&key.text.as_str()) {
            let message =
                format!("a variable can't be named `{name}`: in `netns:` it has a meaning");
            self.found.push(Diagnostic::error(message, Some(key.span)));
        } else if name_len(&key.text) != key.text.len() || key.text.is_empty() {
            let message = format!("`{name}` is not the name of a variable");
            let hint = "use letters, digits and `_`, beginning with a letter";
            self.found.push(Diagnostic::error(message, Some(key.span)).hint(hint));
        }
    }

    fn check_overrides(&mut self, overrides: &[(String, String)]) {
        for (name, _) in overrides.iter().filter(|(name, _)| !self.values.contains_key(name)) {
            let message = format!("`--var {0}=…`: the file has no variable `{0}`", shown(name));
            let hint = match nearest(name, self.values.keys().map(String::as_str)) {
                Some(near) => format!("one with a similar name exists: `{near}`"),
                None => format!("declare it in the file: `vars: {{ {}: … }}`", shown(name)),
            };
            self.found.push(Diagnostic::error(message, None).hint(hint));
        }
    }

    fn value(&mut self, value: &mut Value, keep: &[&str]) {
        match &mut value.data {
            Data::Empty => {}
            Data::Text(text) => {
                if let Some(new) = self.text(text, value.span, keep) {
                    *text = new;
                }
            }
            Data::List(items) => items.iter_mut().for_each(|item| self.value(item, keep)),
            Data::Map(entries) => {
                let mut changed = false;
                for (key, value) in entries.iter_mut() {
                    if let Some(new) = self.text(&key.text, key.span, keep) {
                        key.text = new;
                        changed = true;
                    }
                    // `$` means something of its own there: a definition.
                    if key.text != "nftables" {
                        self.value(value, keep);
                    }
                }
                if changed {
                    self.check_keys(entries);
                }
            }
        }
    }

    /// Refuses keys that have become equal.
    fn check_keys(&mut self, entries: &[(Key, Value)]) {
        let mut seen = HashMap::new();
        for (key, _) in entries {
            if let Some(first) = seen.insert(key.text.as_str(), key.span) {
                let message = format!("the key `{}` is there twice", shown(&key.text));
                let error = Diagnostic::error(message, Some(key.span));
                self.found.push(error.label(first, "first one here"));
            }
        }
    }

    /// Substitutes in one text; `None` is: there is nothing to substitute.
    fn text(&mut self, text: &str, span: Span, keep: &[&str]) -> Option<String> {
        if !text.contains('$') || self.left_bytes == 0 {
            return None;
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let (name, len) = match reference(&rest[at + 1..]) {
                Reference::Dollar => ("", 1),
                Reference::Name { name, len } => (name, len),
                Reference::Broken => {
                    let hint = "a variable is written `$name` or `${name}`, and a `$` itself `$$`";
                    let message =
                        format!("there is no variable's name after the `$` in `{}`", shown(text));
                    self.found.push(Diagnostic::error(message, Some(span)).hint(hint));
                    return None;
                }
            };
            match name {
                "" => out.push('$'),
                name if keep.contains(&name) => out.push_str(&format!("${name}")),
                name => out.push_str(&self.lookup(name, span)?),
            }
            rest = &rest[at + 1 + len..];
            if out.len() + rest.len() >= self.left_bytes {
                self.left_bytes = 0;
                let message = "the variables of this file write more than 16 MiB of text";
                self.found.push(Diagnostic::error(message, Some(span)));
                return None;
            }
        }
        out.push_str(rest);
        self.left_bytes -= out.len();
        Some(out)
    }

    fn lookup(&mut self, name: &str, span: Span) -> Option<String> {
        self.unused.remove(name);
        if let Some(text) = self.values.get(name) {
            return Some(text.clone());
        }
        let error =
            Diagnostic::error(format!("there is no variable `{}`", shown(name)), Some(span));
        let near = nearest(name, self.values.keys().map(String::as_str));
        self.found.push(match near {
            Some(near) => error.hint(format!("one with a similar name exists: `{near}`")),
            None if BUILT_IN.contains(&name) => {
                error.hint("`$lab` and `$node` stand only in `netns:`")
            }
            None => error.hint(format!("declare it: `vars: {{ {}: … }}`", shown(name))),
        });
        None
    }
}

/// What follows a `$`.
enum Reference<'t> {
    Dollar,
    Name { name: &'t str, len: usize },
    Broken,
}

fn reference(after: &str) -> Reference<'_> {
    if after.starts_with('$') {
        return Reference::Dollar;
    }
    if let Some(inner) = after.strip_prefix('{') {
        return match name_len(inner) {
            len if len > 0 && inner[len..].starts_with('}') => {
                Reference::Name { name: &inner[..len], len: len + 2 }
            }
            _ => Reference::Broken,
        };
    }
    match name_len(after) {
        0 => Reference::Broken,
        len => Reference::Name { name: &after[..len], len },
    }
}

/// Returns the length of the variable's name that a text begins with.
fn name_len(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}
