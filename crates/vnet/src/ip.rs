//! `ip` as a library: command lines of iproute2, done by netlink without a process.
//!
//! What is printed, what goes to stderr as its first line, and the exit code are iproute2 6.1's.
//! After that first line comes an explanation: the line with the word at fault underlined, and
//! what to do about it.
//!
//! ```
//! let words = ["-br", "link", "show", "dev", "lo"].map(str::to_owned);
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let code = vnet::ip::run(&words, &mut vnet::ip::Io::new(&mut out, &mut err));
//! assert_eq!(code, 0);
//! assert!(String::from_utf8_lossy(&out).starts_with("lo "));
//! ```

mod batch;
mod bridge;
mod device;
mod engine;
mod explain;
mod help;
mod monitor;
mod netns;
mod nexthop;
mod other;
mod route;
mod show;
mod undo;

use std::io::Write;

use vnet_iproute::ip::failure::Failure;
pub use vnet_iproute::ip::options::Language;
use vnet_iproute::ip::options::{Color, Options};
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire;
use vnet_iproute::ip::words::Words;
use vnet_iproute::ip::{
    Context, Object, addr, link, maddr, monitor as monitors, neigh, nexthop as nexthops,
    route as routes, rule, tuntap,
};

use crate::cancel::Cancel;
use engine::Engine;

/// Where a command line reads and writes.
pub struct Io<'w> {
    /// What is asked for.
    pub out: &'w mut dyn Write,
    /// What went wrong.
    pub err: &'w mut dyn Write,
    /// Whether `out` is a terminal.
    pub is_terminal: bool,
    /// Whether the terminal's background is dark.
    pub is_dark: bool,
    /// Whether `out` and `err` are this process's own, which `netns exec` then hands on: it replaces
    /// this process by the program, as iproute2 does, unless more commands follow.
    pub replaces: bool,
    /// The program's name in explanations.
    pub program: &'static str,
    /// Called before `--atomic` changes anything; by what it returns, that is called off and undone.
    pub cancel: Option<&'w dyn Fn() -> Option<Cancel>>,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

impl<'w> Io<'w> {
    /// Writes to these, which are no terminals.
    pub fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        let (is_terminal, is_dark, replaces) = (false, false, false);
        let program = "vnet ip";
        Self { out, err, is_terminal, is_dark, replaces, program, cancel: None }
    }

    /// Writes what is asked for. A reader that is gone has seen enough.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }

    /// Says something on stderr. Where that is closed, there is nobody to tell.
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Says why a command failed: iproute2's line, then ours.
    fn explain(&mut self, failure: &Failure, words: &[String]) {
        if !failure.line.is_empty() {
            self.say(failure.line.trim_end_matches('\n'));
        }
        if let Some(at) = failure.word.filter(|at| *at < words.len()) {
            let before: usize = words[..at].iter().map(|word| word.chars().count() + 1).sum();
            let indent = " ".repeat(self.program.chars().count() + 1 + before);
            let mark = "^".repeat(words[at].chars().count().max(1));
            let line = format!("  {} {}\n  {indent}{mark}", self.program, words.join(" "));
            self.say(&line);
        }
        if let Some(hint) = &failure.hint {
            self.say(&format!("  hint: {hint}"));
        }
    }
}

/// Runs one command line of `ip`, without the program's name; returns the exit code.
pub fn run(words: &[String], io: &mut Io<'_>) -> u8 {
    run_in(Language::Ip, words, io)
}

/// Runs one command line of `bridge`, without the program's name; returns the exit code.
pub fn run_bridge(words: &[String], io: &mut Io<'_>) -> u8 {
    run_in(Language::Bridge, words, io)
}

fn run_in(language: Language, words: &[String], io: &mut Io<'_>) -> u8 {
    let code = match Options::read(words, language) {
        Ok((options, taken)) => run_options(&options, words, taken, io),
        Err(failure) => {
            io.explain(&failure, words);
            failure.code
        }
    };
    let _ = io.out.flush();
    code
}

/// Tells whether a command line is meant to change something: all but showing and help.
#[must_use]
pub fn changes(words: &[String], language: Language) -> bool {
    let Ok((options, taken)) = Options::read(words, language) else { return false };
    const READS: [&str; 10] =
        ["show", "list", "lst", "get", "help", "identify", "pids", "exec", "list-id", "monitor"];
    let object = words.get(taken).and_then(|word| Object::read(word).ok());
    if object == Some(Object::Monitor) {
        return false;
    }
    match words.get(taken + 1) {
        _ if options.batch.is_some() => true,
        None => false,
        // `ip link s` is `set`, where other objects have `show`.
        Some(word) if object == Some(Object::Link) && "set".starts_with(word.as_str()) => true,
        Some(word) => !READS.iter().any(|read| read.starts_with(word.as_str())),
    }
}

fn run_options(options: &Options, words: &[String], taken: usize, io: &mut Io<'_>) -> u8 {
    if options.version {
        let name = if options.language == Language::Ip { "ip" } else { "bridge" };
        io.print(&format!("{name} utility, vnet-{}\n", env!("CARGO_PKG_VERSION")));
        return 0;
    }
    let usage = if options.language == Language::Ip { help::IP } else { help::BRIDGE };
    if options.help {
        io.say(usage);
        return 255;
    }
    let mut engine = match Engine::start(options) {
        Ok(engine) => engine,
        Err(failure) => {
            let failure = explain::explain(options, &words[taken..], failure);
            io.explain(&failure, words);
            return failure.code;
        }
    };
    if let Some(name) = &options.batch {
        return batch::run(&mut engine, options, name, io);
    }
    if words.len() == taken {
        io.say(usage);
        return 255;
    }
    match command(&mut engine, options, &words[taken..], io) {
        Ok(code) => code,
        Err(failure) => {
            let mut failure = explain::explain(options, &words[taken..], failure);
            failure.word = failure.word.map(|at| at + taken);
            io.explain(&failure, words);
            failure.code
        }
    }
}

/// Does one command, from its object on.
fn command(
    engine: &mut Engine,
    options: &Options,
    words: &[String],
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    if options.language == Language::Bridge {
        return bridge::run(engine, options, words, io);
    }
    let object = words.first().map_or(Ok(Object::Help), |word| Object::read(word))?;
    let rest = words.get(1..).unwrap_or_default();
    // The grammar counts words from behind the object.
    let shift = |mut failure: Failure| {
        failure.word = failure.word.map(|at| at + 1);
        failure
    };
    run_object(engine, options, object, rest, io).map_err(shift)
}

fn run_object(
    engine: &mut Engine,
    options: &Options,
    object: Object,
    words: &[String],
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let mut words = Words::new(words);
    let mut context = Context::new(options, engine);
    let usage = |io: &mut Io<'_>, text: &str| {
        io.say(text);
        Ok(255)
    };
    match object {
        Object::Link => {
            let command = link::read(&mut words, &mut context);
            warn(&context, io);
            match command? {
                link::Command::Change(request) => engine.change_link(&request),
                link::Command::Group(request) => engine.change_link(&request),
                link::Command::Nothing => Ok(0),
                link::Command::Show(selection) => show::links(engine, options, &selection, io),
                link::Command::Help => usage(io, help::LINK),
            }
        }
        Object::Address => {
            let command = addr::read(&mut words, &mut context);
            warn(&context, io);
            match command? {
                addr::Command::Change(request) => engine.change(&request),
                addr::Command::Show(selection) => show::links(engine, options, &selection, io),
                addr::Command::Flush(selection) => show::flush(engine, options, &selection, io),
                addr::Command::Help => usage(io, help::ADDRESS),
            }
        }
        Object::Route => {
            let command = routes::read(&mut words, &mut context);
            warn(&context, io);
            match command? {
                routes::Command::Change(request) => engine.change(&request),
                routes::Command::Get(request) => route::get(engine, options, &request, io),
                routes::Command::Show(selection) => route::show(engine, options, &selection, io),
                routes::Command::Flush(selection) => route::flush(engine, options, &selection, io),
                routes::Command::Help => usage(io, help::ROUTE),
            }
        }
        Object::Nexthop => {
            let command = nexthops::read(&mut words, &mut context)?;
            nexthop::run(engine, options, command, io)
        }
        Object::Tuntap => device::tuntap(engine, options, tuntap::read(&mut words)?, io),
        Object::Maddress => device::maddress(engine, options, maddr::read(&mut words)?, io),
        Object::Monitor => match monitors::read(&mut words, &mut context)? {
            monitors::Command::Listen(said) => monitor::run(engine, options, &said, io),
            monitors::Command::Help => usage(io, help::MONITOR),
        },
        Object::Netns => netns::run(engine, options, &mut words, io),
        Object::Help => usage(io, help::IP),
        Object::Neighbour => {
            let command = neigh::read(&mut words, &mut context);
            warn(&context, io);
            match command? {
                neigh::Command::Change(request) => engine.change(&request),
                neigh::Command::Get(request) => other::neighbour(engine, options, &request, io),
                neigh::Command::Show(said) => other::neighbours(engine, options, &said, io),
                neigh::Command::Flush(said) => other::flush_neighbours(engine, options, said, io),
                neigh::Command::Help => usage(io, help::NEIGHBOUR),
            }
        }
        Object::Rule => {
            let command = rule::read(&mut words, &mut context);
            warn(&context, io);
            match command? {
                rule::Command::Change(request) => engine.change(&request),
                rule::Command::Show(said) => other::rules(engine, options, &said, io),
                rule::Command::Flush(said) => other::flush_rules(engine, &said),
                rule::Command::Help => usage(io, help::RULE),
            }
        }
    }
}

fn warn(context: &Context<'_>, io: &mut Io<'_>) {
    for line in &context.warnings {
        io.say(line);
    }
}

/// Refuses to print objects of which one says what is not covered, rather than half of it.
fn ensure_covered(
    objects: &[wire::Object],
    uncovered: impl Fn(&wire::Object) -> Option<Failure>,
) -> Result<(), Failure> {
    objects.iter().find_map(uncovered).map_or(Ok(()), Err)
}

/// Prints objects one after the other.
fn print(
    engine: &mut Engine,
    options: &Options,
    io: &mut Io<'_>,
    objects: &[wire::Object],
    show: impl Fn(&mut Out, &wire::Object, &mut Context<'_>),
) {
    let mut out = Out::new(options, is_colored(options, io), io.is_dark);
    let mut context = Context::new(options, engine);
    for object in objects {
        show(&mut out, object, &mut context);
        out.hand_over(|text| io.print(text));
    }
    io.print(&out.finish());
}

/// Tells whether output is coloured.
fn is_colored(options: &Options, io: &Io<'_>) -> bool {
    match options.color {
        Color::Never => false,
        Color::Auto => io.is_terminal,
        Color::Always => true,
    }
}
