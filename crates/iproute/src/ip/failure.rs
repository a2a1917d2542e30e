//! Why a command line fails, as iproute2 says it, and what can be done about it.

use vnet_netlink::{Refusal, errno_words};

/// The exit code of iproute2 where its parser gives up (`exit(-1)`).
pub const EXIT_PARSER: u8 = 255;

/// How it begins that something is not covered.
const NOT_COVERED: &str = "vnet ip does not cover ";

/// A command that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What iproute2 6.1 writes to stderr, without the last line end; may be empty.
    pub line: String,
    /// The exit code.
    pub code: u8,
    /// Whether iproute2 ends at once: then `-force` does not go on with the next line of a batch.
    pub ends: bool,
    /// Which word is at fault, counted from the object's name.
    pub word: Option<usize>,
    /// What to do about it: one line.
    pub hint: Option<String>,
    /// The kernel's errno, where the kernel refused.
    pub errno: Option<i32>,
    /// The type of the outermost attribute that the kernel points at.
    pub attribute: Option<u16>,
}

impl Failure {
    /// Makes a failure of a command that was understood: the next line of a batch may follow.
    #[must_use]
    pub fn command(code: u8, line: impl Into<String>) -> Self {
        let line = line.into();
        Self { line, code, ends: false, word: None, hint: None, errno: None, attribute: None }
    }

    /// Makes a failure at which iproute2's parser ends.
    #[must_use]
    pub fn parser(line: impl Into<String>) -> Self {
        Self { ends: true, ..Self::command(EXIT_PARSER, line) }
    }

    /// Says that a word can't stand where it does.
    #[must_use]
    pub fn invalid(why: &str, word: &str) -> Self {
        Self::parser(format!("Error: argument \"{word}\" is wrong: {why}"))
    }

    /// Says that a keyword stands twice.
    #[must_use]
    pub fn twice(keyword: &str, value: &str) -> Self {
        Self::parser(format!("Error: duplicate \"{keyword}\": \"{value}\" is the second value."))
    }

    /// Says that a word is unknown where only a name could stand, and the name is there already.
    #[must_use]
    pub fn garbage(keyword: &str, word: &str) -> Self {
        Self::parser(format!(
            "Error: either \"{keyword}\" is duplicate, or \"{word}\" is a garbage."
        ))
        .hint(format!("`{word}` is no word that can stand here"))
    }

    /// Says that the line ends too early.
    #[must_use]
    pub fn incomplete() -> Self {
        Self::parser("Command line is not complete. Try option \"help\"")
    }

    /// Says that there is no such interface.
    #[must_use]
    pub fn no_device(name: &str) -> Self {
        Self::command(1, format!("Cannot find device \"{name}\""))
            .hint(format!("no interface here is called `{name}`: `ip -br link` lists them"))
    }

    /// Says that this is iproute2's, but not covered.
    #[must_use]
    pub fn not_covered(what: &str) -> Self {
        Self { ends: true, ..Self::command(1, format!("{NOT_COVERED}{what}")) }
            .hint("iproute2's own `ip` does".to_owned())
    }

    /// Tells whether it says that something is not covered.
    #[must_use]
    pub fn is_not_covered(&self) -> bool {
        self.line.starts_with(NOT_COVERED)
    }

    /// Takes the kernel's no to a change, in iproute2's words (`rtnl_dump_ext_ack`, lib/libnetlink.c).
    #[must_use]
    pub fn refused(refusal: &Refusal) -> Self {
        let line = match &refusal.message {
            Some(message) if !message.is_empty() => {
                let stop = if message.ends_with(['.', '\n']) { "" } else { "." };
                format!("Error: {message}{stop}")
            }
            _ => format!("RTNETLINK answers: {}", errno_words(refusal.errno)),
        };
        let attribute = refusal.attribute.as_ref().and_then(|path| path.types().first().copied());
        let errno = Some(refusal.errno.raw_os_error());
        Self { errno, attribute, ..Self::command(2, line) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds which word is at fault.
    #[must_use]
    pub fn at(mut self, word: usize) -> Self {
        self.word.get_or_insert(word);
        self
    }
}
