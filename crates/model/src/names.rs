//! Names as types: what holds a [`NodeName`] holds a valid one.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::by_text;

/// Says why a text is not a valid name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{}` {reason}", text.escape_debug())]
pub struct NameError {
    /// The kind of name, in words: "node name", "interface name", …
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// The rule it breaks.
    pub reason: &'static str,
}

/// The longest interface name, in bytes (`IFNAMSIZ - 1`, linux/if.h).
pub const IF_NAME_MAX_BYTES: usize = 15;

/// What stands for the lab's host among the names of namespaces: no file can be called so.
const HOST: &str = "/host";

/// What the names of processes' namespaces begin with.
const PROCESSES: &str = "/proc/";

/// Names that mean something else where a node could stand.
const RESERVED_NODES: [&str; 4] = ["host", "all", "default", "lo"];

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                by_text::read(deserializer)
            }
        }

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            /// Names the rule that `text` breaks.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(reason) => Err(NameError { what: $what, text: text.into(), reason }),
                }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The `/` of what is no file's name is not for people.
                f.pad(self.0.strip_prefix('/').unwrap_or(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a lab: letters, digits, `-`, `_` and `.`, at most 63 bytes.
    LabName, "lab name", |text| plain(text, 63)
);
name!(
    /// The name of a node or segment: letters, digits, `-`, `_` and `.`, at most 63 bytes.
    ///
    /// `host`, `all`, `default` and `lo` are refused: they mean something else where a node may
    /// stand.
    NodeName, "node name", |text| match RESERVED_NODES.contains(&text) {
        true => Err("is reserved: `host`, `all`, `default` and `lo` can't name a node"),
        false if text == HOST => Ok(()),
        false => plain(text, 63),
    }
);
name!(
    /// The name of an interface, as the kernel allows it (`dev_valid_name`, net/core/dev.c): 1 to
    /// 15 bytes, no white space, `/` or `:`. `all` and `default` are refused too, because sysctl
    /// folders have these names.
    IfName, "interface name", |text| match text {
        "" => Err("is empty"),
        "." | ".." => Err("is not a name"),
        "all" | "default" => Err("is reserved by the kernel for sysctls"),
        _ if text.len() > IF_NAME_MAX_BYTES => Err("is longer than the kernel's 15 bytes"),
        _ if text.contains(['/', ':', '%']) => Err("may not contain `/`, `:` or `%`"),
        _ => printable(text),
    }
);
name!(
    /// The name of a pinned network namespace: a file name in `/run/netns`, at most 255 bytes.
    NsName, "namespace name", |text| match text {
        HOST => Ok(()),
        _ if process(text).is_some() => Ok(()),
        "" => Err("is empty"),
        "." | ".." => Err("is not a name"),
        _ if text.len() > 255 => Err("is longer than a file name's 255 bytes"),
        _ if text.contains('/') => Err("may not contain `/`"),
        _ => printable(text),
    }
);

impl NodeName {
    /// Returns what stands for the lab's host among the ends of links. It is shown as `host`.
    #[must_use]
    pub fn host() -> Self {
        Self(HOST.into())
    }

    /// Tells whether it stands for the lab's host, which is no node.
    #[must_use]
    pub fn is_host(&self) -> bool {
        &*self.0 == HOST
    }
}

impl IfName {
    /// Returns the name as it stands in a sysctl's: `/` for its dots (`sysctl(8)`).
    #[must_use]
    pub fn in_sysctls(&self) -> String {
        self.as_str().replace('.', "/")
    }
}

impl NsName {
    /// Returns what stands for the lab's host: the namespace that vnet runs in, or a keeper's.
    #[must_use]
    pub fn host() -> Self {
        Self(HOST.into())
    }

    /// Tells whether it stands for the lab's host, which is pinned nowhere.
    #[must_use]
    pub fn is_host(&self) -> bool {
        &*self.0 == HOST
    }

    /// Returns what stands for the namespace that a process is in.
    #[must_use]
    pub fn of_process(pid: u32) -> Self {
        Self(format!("{PROCESSES}{pid}").into())
    }

    /// The process whose namespace it stands for, which may be pinned nowhere.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        process(&self.0)
    }
}

fn process(text: &str) -> Option<u32> {
    let digits = text.strip_prefix(PROCESSES)?;
    digits.parse().ok().filter(|pid: &u32| pid.to_string() == digits)
}

fn plain(text: &str, max_bytes: usize) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > max_bytes {
        return Err("is longer than 63 bytes");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must begin with a letter, a digit or `_`");
    }
    match text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        true => Ok(()),
        false => Err("may contain only letters, digits, `-`, `_` and `.`"),
    }
}

fn printable(text: &str) -> Result<(), &'static str> {
    match text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        true => Err("may not contain white space or control characters"),
        false => Ok(()),
    }
}

/// The mark that says whose a namespace is: `vnet:<lab>/<node>`.
///
/// It stands as the alias of the namespace's `lo` and as the content of its pin file, so that
/// ownership can be read back from the kernel after any crash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The lab that owns the namespace.
    pub lab: LabName,
    /// The node or segment that the namespace is.
    pub node: NodeName,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vnet:{}/{}", self.lab, self.node)
    }
}

impl Mark {
    /// Writes it as the further name of an interface in the host: `ip` takes no `/` there.
    #[must_use]
    pub fn altname(&self) -> String {
        format!("vnet:{}:{}", self.lab, self.node)
    }

    /// Writes the further name of the end of a link in the host. A node may have many of these, and
    /// such names are the host's alone to give: so it has the interface's name in it.
    #[must_use]
    pub fn altname_of_end(lab: &LabName, name: &IfName) -> String {
        format!("vnet:{lab}::{name}")
    }

    /// Reads whose an interface in the host is, from what [`Self::altname`] and
    /// [`Self::altname_of_end`] write; `None` is: not one of ours.
    #[must_use]
    pub fn lab_of_altname(text: &str) -> Option<LabName> {
        let (lab, _) = text.strip_prefix("vnet:")?.split_once(':')?;
        LabName::new(lab).ok()
    }

    /// Reads a mark; `None` is: not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (lab, node) = text.strip_prefix("vnet:")?.split_once('/')?;
        Some(Self { lab: LabName::new(lab).ok()?, node: NodeName::new(node).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["eth0", "a", "123456789012345", "ä-ö"] {
            assert!(IfName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "1234567890123456", "a b", "a/b", "a:b", "all", "default", "a\n"]
        {
            assert!(IfName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_shows_the_text_escaped() {
        let error = NsName::new("a\u{1b}[31m").unwrap_err();
        assert_eq!(
            error.to_string(),
            "namespace name `a\\u{1b}[31m` may not contain white space or control characters"
        );
    }

    #[test]
    fn a_mark_reads_back() {
        let mark = Mark::parse("vnet:demo/r1").unwrap();
        assert_eq!(mark.to_string(), "vnet:demo/r1");
        let end = Mark::altname_of_end(&mark.lab, &IfName::new("r1").unwrap());
        assert_ne!(end, mark.altname());
        for altname in [mark.altname(), end] {
            assert_eq!(Mark::lab_of_altname(&altname), Some(mark.lab.clone()));
        }
        assert_eq!(Mark::lab_of_altname("vnet:demo/r1"), None);
        assert_eq!(Mark::parse("vnet:demo"), None);
        assert_eq!(Mark::parse("docker:demo/r1"), None);
    }
}
