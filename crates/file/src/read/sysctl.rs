//! `sysctls:` of a node and of an interface, and `offload:`.

use std::collections::BTreeMap;

use vnet_model::Offload;
use vnet_model::topology::Sysctl;

use super::{At, Reader};
use crate::report::{Diagnostic, shown};
use crate::syntax::{Data, Value};

/// Whose sysctls they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SysctlsOf {
    /// The whole network's, by their full names.
    Node,
    /// One interface's, by what they are called within it.
    Interface,
}

/// What an interface has folders for under `/proc/sys/net`.
const OF_INTERFACE: [&str; 3] = ["ipv4.", "ipv6.", "mpls."];

impl SysctlsOf {
    fn has(self, key: &str) -> bool {
        let begins = match self {
            Self::Node => key.starts_with("net."),
            // The interface's name, where a `/` may stand for a dot, is none of it.
            Self::Interface => {
                !key.contains('/') && OF_INTERFACE.iter().any(|prefix| key.starts_with(prefix))
            }
        };
        begins && !key.split('.').any(str::is_empty)
    }

    fn complaint(self, key: &str) -> (String, &'static str) {
        match self {
            Self::Node => (
                format!("`{}` is not a sysctl of a network", shown(key)),
                "only those under `net.` belong to a node, such as `net.ipv4.tcp_ecn`",
            ),
            Self::Interface => (
                format!("`{}` is not a sysctl of an interface", shown(key)),
                "write what it is called within the interface, such as `ipv4.rp_filter`",
            ),
        }
    }
}

/// Takes over sysctls of another entry for the same thing.
pub(super) fn add_sysctls(
    mine: &mut BTreeMap<String, Sysctl>,
    others: BTreeMap<String, Sysctl>,
    wins: bool,
) {
    for (name, sysctl) in others {
        if wins || !mine.contains_key(&name) {
            mine.insert(name, sysctl);
        }
    }
}

impl Reader<'_> {
    /// Reads `sysctls:`, a map from names to values.
    pub(super) fn sysctls(
        &mut self,
        value: &Value,
        of: SysctlsOf,
        at: At<'_>,
    ) -> BTreeMap<String, Sysctl> {
        let mut sysctls = BTreeMap::new();
        let entries = match &value.data {
            Data::Map(entries) => entries.as_slice(),
            Data::Empty => &[],
            _ => {
                self.mismatch(value, "sysctls", "a map from name to value");
                &[]
            }
        };
        for (key, value) in entries {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
            let text = key.text.as_str();
            if !of.has(text) || !text.chars().all(plain) {
                let (message, hint) = of.complaint(text);
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
                continue;
            }
            let Some(text) = self.text(value, &key.text, at) else { continue };
            let words: Vec<&str> = text.text.split_whitespace().collect();
            if let ["true" | "false"] = words.as_slice() {
                let number = if words == ["true"] { 1 } else { 0 };
                let message =
                    format!("`{}` takes what the kernel takes, not `{}`", key.text, words[0]);
                let hint = format!("write `{number}`");
                self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            }
            let origin = self.origin(key.span);
            sysctls.insert(key.text.clone(), Sysctl { value: words.join(" "), origin });
        }
        sysctls
    }
}

impl Reader<'_> {
    /// Reads an interface's `offload:`, a map from ethtool's words to `on` and `off`.
    pub(super) fn offload(&mut self, value: &Value, at: At<'_>) -> BTreeMap<Offload, bool> {
        let switch = [("on", true), ("off", false), ("true", true), ("false", false)];
        let mut offload = BTreeMap::new();
        let Data::Map(entries) = &value.data else {
            self.mismatch(value, "offload", "a map from `tx`, `tso` and so on to `on` or `off`");
            return offload;
        };
        for (key, value) in entries {
            let Some((_, known)) = Offload::ALL.iter().find(|(word, _)| *word == key.text) else {
                let message = format!("there is no offload `{}`", shown(&key.text));
                let words: Vec<&str> = Offload::ALL.iter().map(|(word, _)| *word).collect();
                let hint = format!("there are `{}`", words.join("`, `"));
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
                continue;
            };
            offload.extend(self.word(value, &key.text, at, &switch).map(|on| (*known, on)));
        }
        offload
    }
}
