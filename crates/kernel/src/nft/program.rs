//! `nftables:` text, which only the program `nft` understands.
//!
//! A text is tried out in a network namespace that nobody else is in and that goes at once: what nft
//! makes of it there is what is wanted. So the file's mistakes are found before the first step, and
//! what exists can be compared with what the text says. Tried out is what will be run, with what
//! replaces and marks its tables, and beside tables of others: what it does to those there, it would
//! do in the node.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use vnet_model::nft::{Expr, Meta, RawText, Table, TableId};
use vnet_model::{IfName, Mark, NsName};
use vnet_netlink::{Batch, Protocol, Socket};

use super::sentinel::Sentinels;
use super::{Which, tables};
use crate::error::Error;
use crate::pins::Pins;
use crate::probe::push_new_link;
use crate::process::end_with_parent;
use crate::thread::Walker;

/// Where the program is. `PATH` is asked last: it may be somebody else's, and ordinary users have no
/// `/usr/sbin` there.
const PLACES: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "nft"];

/// A text to be tried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trial {
    /// The text.
    pub text: String,
    /// The interfaces that must be there, if it needs them.
    pub interfaces: Vec<IfName>,
}

/// Why a text can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unusable {
    /// The program is not there.
    NoProgram,
    /// It says no: its words, and where in the text, counted from 1.
    Refused {
        /// The first error in its words.
        message: String,
        /// The line.
        line: Option<usize>,
    },
    /// It goes by the number of an interface: the word that does, where it is known. The number changes when the interface
    /// is made anew; only `lo` has the same one everywhere.
    Numbers(Option<String>),
    /// It changes tables that it does not name, as `flush ruleset` and `reset counters` do.
    Reaches,
    /// It removes a table that it makes, so that the mark by which it is known would be lost.
    Remakes(TableId),
}

/// Tries a text out, and returns the tables that come of it. Where it needs interfaces that is done
/// once more among others of other numbers: what is not the same then goes by those.
pub(crate) fn try_out(
    walker: &Walker,
    trial: &Trial,
) -> Result<Result<Vec<Table>, Unusable>, Error> {
    let Trial { text, interfaces } = trial;
    let made = match try_among(walker, text, interfaces)? {
        Ok(made) => made,
        Err(unusable) => return Ok(Err(unusable)),
    };
    if let Some(word) = by_number(&made) {
        return Ok(Err(Unusable::Numbers(Some(word.to_owned()))));
    }
    if interfaces.is_empty() {
        return Ok(Ok(made));
    }
    let others: Vec<IfName> = filler(interfaces).iter().chain(interfaces).cloned().collect();
    let again = try_among(walker, text, &others)?;
    Ok(if again.is_ok_and(|again| again == made) { Ok(made) } else { Err(Unusable::Numbers(None)) })
}

/// A name that none of these interfaces has.
fn filler(names: &[IfName]) -> Option<IfName> {
    let free = |number: usize| IfName::new(&format!("filler{number}")).ok();
    (0..=names.len()).filter_map(free).find(|name| !names.contains(name))
}

/// Tries a text out in a new namespace with these interfaces, numbered as they are listed. The thread
/// comes home after its job, and with that the namespace goes.
fn try_among(
    walker: &Walker,
    text: &str,
    interfaces: &[IfName],
) -> Result<Result<Vec<Table>, Unusable>, Error> {
    walker.enter_new().map_err(Error::system("make", "a namespace to try nftables text in"))?;
    make_interfaces(interfaces)?;
    if let Err(unusable) = run(text)? {
        return Ok(Err(unusable));
    }
    let failed = |source: vnet_netlink::Error| {
        let errno = source.errno().unwrap_or(rustix::io::Errno::IO);
        Error::System { doing: "read", object: "tables".into(), errno }
    };
    let mut socket = Socket::open(Protocol::Netfilter).map_err(failed)?;
    // Now that the tables are known, as it will be run.
    let mut raw = RawText::new(text);
    let mark = Mark::parse("vnet:try/out");
    let marked = |table| Table { mark: mark.clone(), ..table };
    let made = tables(&mut socket, Which::All).map_err(failed)?;
    raw.tables = Some(made.into_iter().map(marked).collect());
    let script = raw.script();
    let sentinels = Sentinels::put(&mut socket).map_err(failed)?;
    if let Err(unusable) = run(&script)? {
        let before = script.lines().count().saturating_sub(text.lines().count());
        return Ok(Err(unusable.above(before)));
    }
    if !sentinels.are_unchanged(&mut socket).map_err(failed)? {
        return Ok(Err(Unusable::Reaches));
    }
    let mut made = tables(&mut socket, Which::All).map_err(failed)?;
    made.retain(|table| !sentinels.is_one(table));
    if let Some(unmarked) = made.iter().find(|table| table.mark != mark) {
        return Ok(Err(Unusable::Remakes(unmarked.id.clone())));
    }
    Ok(Ok(made))
}

/// Makes interfaces for nft to find: each the end of a veth pair, the one kind that is everywhere.
fn make_interfaces(names: &[IfName]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let failed = Error::system("make", "interfaces for nftables text");
    let mut batch = Batch::new();
    for name in names {
        push_new_link(&mut batch, name.as_str(), "veth", |_| {});
    }
    let sent = Socket::open(Protocol::Route).and_then(|mut socket| socket.submit(&mut batch));
    let outcome = match sent {
        Ok(outcome) => outcome,
        Err(error) => return Err(failed(error.errno().unwrap_or(rustix::io::Errno::IO))),
    };
    // A far end that the kernel has named may have one's name already: that is there, too.
    let there = rustix::io::Errno::EXIST;
    let mut errnos = outcome.refusals().iter().map(|(_, refusal)| refusal.errno);
    match errnos.find(|errno| *errno != there) {
        Some(errno) => Err(failed(errno)),
        None => Ok(()),
    }
}

/// Finds what goes by the number of an interface that is not `lo`'s.
fn by_number(tables: &[Table]) -> Option<&'static str> {
    const LO: [u8; 4] = 1_u32.to_ne_bytes();
    let rules = tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| rule.exprs.windows(2)).find_map(|pair| {
        let word = match pair.first()? {
            Expr::Meta { key: Meta::Iif, .. } => "iif",
            Expr::Meta { key: Meta::Oif, .. } => "oif",
            _ => return None,
        };
        let is_lo = |expr: &Expr| matches!(expr, Expr::Cmp { data, .. } if **data == LO);
        pair.get(1).filter(|next| !is_lo(next)).map(|_| word)
    })
}

impl Unusable {
    /// Counts lines from behind those that were put before the text.
    fn above(self, before: usize) -> Self {
        match self {
            Self::Refused { message, line } => {
                Self::Refused { message, line: line.and_then(|line| line.checked_sub(before)) }
            }
            other => other,
        }
    }
}

/// Has nft read a text in a namespace.
pub(crate) fn run_in(
    walker: &Walker,
    name: &NsName,
    text: &str,
) -> Result<Result<(), Unusable>, Error> {
    let gone = || Error::Gone { ns: name.clone() };
    let ns = Pins::open()?.ok_or_else(gone)?.open_namespace(name)?;
    walker.enter(&ns).map_err(Error::system("enter", format!("namespace {name}")))?;
    run(text)
}

fn run(text: &str) -> Result<Result<(), Unusable>, Error> {
    let failed = |error: &std::io::Error| {
        let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
        Error::System { doing: "run", object: "nft".into(), errno }
    };
    for place in PLACES {
        let mut command = Command::new(place);
        command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(Stdio::piped()).env("LC_ALL", "C");
        end_with_parent(&mut command);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&error)),
        };
        if let Some(mut stdin) = child.stdin.take() {
            // Where it has ended before it read all, its own words say why.
            let _ = stdin.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| failed(&error))?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        return Ok(Err(refusal(&String::from_utf8_lossy(&output.stderr))));
    }
    Ok(Err(Unusable::NoProgram))
}

/// Finds the first error in what nft says: `/dev/stdin:3:5-9: Error: syntax error, …`.
fn refusal(said: &str) -> Unusable {
    let parsed = said.lines().find_map(|line| {
        let (place, message) = line.split_once(": Error: ")?;
        let mut numbers = place.rsplit(':');
        let line = numbers.nth(1)?.parse().ok()?;
        Some((line, message.to_owned()))
    });
    match parsed {
        Some((line, message)) => Unusable::Refused { message, line: Some(line) },
        None => {
            let first = said.lines().next().unwrap_or("it says nothing");
            let message = first.trim_start_matches("Error: ").to_owned();
            Unusable::Refused { message, line: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_is_found() {
        let said = "/dev/stdin:6:45-46: Error: transport protocol mapping is only valid after \
                    transport protocol match\n    ip6 daddr\n";
        let message = "transport protocol mapping is only valid after transport protocol match";
        let expected = Unusable::Refused { message: message.into(), line: Some(6) };
        assert_eq!(refusal(said), expected);
        let expected = Unusable::Refused { message: "no".into(), line: None };
        assert_eq!(refusal("Error: no\n"), expected);
    }
}
