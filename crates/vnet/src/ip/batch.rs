//! `ip -batch`: many commands, one a line.
//!
//! Plainly, each waits for the kernel's answer, and the first failure ends it. With `-force` changes
//! are sent many at a time, and failures are told as their answers come. With `--atomic` too, but
//! the first failure undoes everything.

use std::io::{BufRead, BufReader};

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::options::Options;

use super::engine::Engine;
use super::explain::explain;
use super::undo::{Snapshot, cannot_be_undone};
use super::{Io, command};

/// A command of a batch.
#[derive(Debug)]
struct Line {
    /// The number of its last line in the file, from 1 on.
    number: usize,
    /// Its words.
    words: Vec<String>,
}

/// A batch that is under way.
struct Batch<'a, 'w> {
    engine: &'a mut Engine,
    options: &'a Options,
    name: &'a str,
    io: &'a mut Io<'w>,
    /// The commands that were sent and may still fail.
    sent: Vec<Line>,
    code: u8,
    /// How many failures were explained.
    explained: usize,
}

/// How many failures of a batch are explained by what is there.
const EXPLAINED_MAX: usize = 10;

pub(super) fn run(engine: &mut Engine, options: &Options, name: &str, io: &mut Io<'_>) -> u8 {
    let reader: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        match std::fs::File::open(name) {
            Ok(file) => Box::new(BufReader::new(file)),
            Err(error) => {
                let errno = rustix::io::Errno::from_io_error(&error);
                let why = vnet_netlink::errno_words(errno.unwrap_or(rustix::io::Errno::IO));
                io.say(&format!("Cannot open file \"{name}\" for reading: {why}"));
                return 1;
            }
        }
    };
    let mut lines = Lines { reader, number: 0 };
    if options.atomic {
        return run_atomic(engine, options, name, io, lines.by_ref().collect());
    }
    engine.queue_changes(options.force);
    let mut batch = Batch { engine, options, name, io, sent: Vec::new(), code: 0, explained: 0 };
    for line in lines {
        if batch.one(line) {
            return batch.code;
        }
    }
    batch.flush();
    batch.code
}

impl Batch<'_, '_> {
    /// Does a line; tells whether the batch ends here.
    fn one(&mut self, line: Line) -> bool {
        self.engine.tag(line.number);
        let result = command(self.engine, self.options, &line.words, self.io);
        let may_fail_later = self.engine.is_queueing();
        match result {
            Ok(0) => {
                if may_fail_later {
                    self.sent.push(line);
                }
            }
            Ok(code) => {
                self.fail(&line, &Failure::command(code, ""));
                if code == 255 {
                    self.code = code;
                    return true;
                }
            }
            Err(failure) => {
                self.flush();
                if failure.ends {
                    self.io.explain(&failure, &line.words);
                    self.code = failure.code;
                    return true;
                }
                self.fail(&line, &failure);
            }
        }
        self.answers();
        self.code != 0 && !self.options.force
    }

    /// Says which line failed, as iproute2 does, and why.
    fn fail(&mut self, line: &Line, failure: &Failure) {
        let mut failure = failure.clone();
        // What is in the way is looked up as long as somebody might read it all.
        if self.explained < EXPLAINED_MAX {
            self.explained += 1;
            failure = explain(self.options, &line.words, failure);
        }
        if !failure.line.is_empty() {
            failure.line.push('\n');
        }
        failure.line.push_str(&format!("Command failed {}:{}", self.name, line.number));
        self.io.explain(&failure, &line.words);
        self.code = 1;
    }

    /// Tells what has failed meanwhile.
    fn answers(&mut self) {
        for (tag, failure) in self.engine.take_failures() {
            let Some(at) = self.sent.iter().position(|line| line.number == tag) else { continue };
            let line = self.sent.remove(at);
            self.fail(&line, &failure);
        }
        if !self.engine.has_queued() {
            self.sent.clear();
        }
    }

    fn flush(&mut self) {
        self.engine.flush();
        self.answers();
    }
}

/// Does all lines or none.
fn run_atomic(
    engine: &mut Engine,
    options: &Options,
    name: &str,
    io: &mut Io<'_>,
    lines: Vec<Line>,
) -> u8 {
    for line in &lines {
        if let Some(what) = cannot_be_undone(options.language, &line.words) {
            let failure =
                Failure::not_covered(&format!("{what} with --atomic: it can't be undone"));
            show(&failure, name, line, "nothing was changed", io);
            return 1;
        }
    }
    let before = match Snapshot::take(engine) {
        Ok(snapshot) => snapshot,
        Err(failure) => {
            io.explain(&failure, &[]);
            return 1;
        }
    };
    let cancel = io.cancel.and_then(|begin| begin());
    let is_called_off = || cancel.as_ref().is_some_and(|cancel| cancel.signal().is_some());
    engine.queue_changes(true);
    let mut failed: Option<(usize, Failure)> = None;
    for (at, line) in lines.iter().enumerate() {
        if is_called_off() {
            break;
        }
        engine.tag(at);
        let result = command(engine, options, &line.words, io);
        failed = engine.take_failures().into_iter().next();
        match result {
            _ if failed.is_some() => {}
            Ok(0) => {}
            Ok(code) => failed = Some((at, Failure::command(code, ""))),
            Err(failure) => {
                engine.flush();
                // An earlier line may have failed, and this one because of it.
                failed = engine.take_failures().into_iter().next().or(Some((at, failure)));
            }
        }
        if failed.is_some() {
            break;
        }
    }
    engine.flush();
    let failed = failed.or_else(|| engine.take_failures().into_iter().next());
    engine.queue_changes(false);
    let Some((at, failure)) = failed else {
        return if is_called_off() { call_off(engine, &before, io) } else { 0 };
    };
    let failure = match lines.get(at) {
        // As long as what is in the way is there.
        Some(line) => explain(options, &line.words, failure),
        None => failure,
    };
    let outcome = match before.restore(engine) {
        Ok(()) => "nothing has changed: what was done before it is undone".to_owned(),
        Err(why) => format!("what was done before it could not all be undone: {why}"),
    };
    if let Some(line) = lines.get(at) {
        show(&failure, name, line, &outcome, io);
    }
    1
}

/// Takes back what was done until a signal came.
fn call_off(engine: &mut Engine, before: &Snapshot, io: &mut Io<'_>) -> u8 {
    match before.restore(engine) {
        Ok(()) => io.say("called off: nothing has changed, what was done is undone"),
        Err(why) => io.say(&format!("called off: what was done could not all be undone: {why}")),
    }
    1
}

/// Shows a failure under its line of the file.
fn show(failure: &Failure, name: &str, line: &Line, outcome: &str, io: &mut Io<'_>) {
    if !failure.line.is_empty() {
        io.say(failure.line.trim_end_matches('\n'));
    }
    io.say(&format!("Command failed {name}:{}", line.number));
    let number = line.number.to_string();
    let margin = " ".repeat(number.len());
    io.say(&format!("{margin}--> {name}:{number}"));
    io.say(&format!("{number} | {}", line.words.join(" ")));
    let length = |word: &String| word.chars().count();
    let (before, marked) = match failure.word.filter(|at| *at < line.words.len()) {
        Some(at) => {
            (line.words[..at].iter().map(|w| length(w) + 1).sum(), length(&line.words[at]).max(1))
        }
        None => (0, line.words.join(" ").chars().count()),
    };
    io.say(&format!("{margin} | {}{}", " ".repeat(before), "^".repeat(marked)));
    if let Some(hint) = &failure.hint {
        io.say(&format!("{margin} = hint: {hint}"));
    }
    io.say(&format!("{margin} = {outcome}"));
}

/// Reads commands: a line each, or several that end in a backslash; `#` begins a comment.
struct Lines {
    reader: Box<dyn BufRead>,
    number: usize,
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let mut text = String::new();
            loop {
                let mut bytes = Vec::new();
                if self.reader.read_until(b'\n', &mut bytes).unwrap_or(0) == 0 {
                    if text.is_empty() {
                        return None;
                    }
                    break;
                }
                self.number += 1;
                let line = String::from_utf8_lossy(&bytes);
                let line = line.trim_end_matches('\n');
                match line.strip_suffix('\\') {
                    Some(part) => {
                        text.push_str(part);
                        text.push(' ');
                    }
                    None => {
                        text.push_str(line);
                        break;
                    }
                }
            }
            let words = split(text.split('#').next().unwrap_or_default());
            if !words.is_empty() {
                return Some(Line { number: self.number, words });
            }
        }
    }
}

/// Splits at white space, but not within quotes (`makeargs`, lib/utils.c).
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '"' | '\'');
        let body = if quoted { &rest[1..] } else { rest };
        let end = if quoted { body.find(first) } else { body.find(char::is_whitespace) };
        let end = end.unwrap_or(body.len());
        words.push(body[..end].to_owned());
        let after = body.get(end + usize::from(quoted)..).unwrap_or_default();
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str) -> Vec<(usize, String)> {
        let lines = Lines { reader: Box::new(text.as_bytes()), number: 0 };
        lines.map(|line| (line.number, line.words.join("|"))).collect()
    }

    #[test]
    fn comments_empty_lines_and_continued_ones() {
        let text = "# nothing\n\nlink show # all\naddr add \\\n 10.0.0.1/8\n'a b' \"c d\"";
        let read = lines(text);
        assert_eq!(
            read,
            [(3, "link|show".into()), (5, "addr|add|10.0.0.1/8".into()), (6, "a b|c d".into())]
        );
    }
}
