//! `vnet ping`: who reaches whom.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use vnet::kernel::echo::{Options, Outcome};
use vnet::ping::{Families, Goal, Pinged, with_address};
use vnet::{Error, Lab, NodeName};

use super::{DIFFERS, Outcome as Ended};
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::printer::{columns, off, on, plain, style};
use crate::progress::Progress;
use crate::view::{ms, time};

/// A lab with more nodes gets no matrix, but a summary and what failed.
const MATRIX_NODES_MAX: usize = 30;

/// How many pairs are listed one by one; with more a matrix says it better.
const LIST_MAX: usize = 40;

/// How many failures are listed without `-v`.
const FAILURES_SHOWN_MAX: usize = 20;

/// How many failures are explained.
const EXPLAINED_MAX: usize = 40;

#[derive(Serialize)]
struct Body {
    lab: String,
    asked: usize,
    reached: usize,
    elapsed_ms: f64,
    pairs: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    from: String,
    to: String,
    address: Option<String>,
    reached: bool,
    rtt_ms: Option<f64>,
    /// Why not.
    reason: Option<String>,
    /// What is at fault, as far as it was looked for.
    why: Option<String>,
}

pub(super) fn run(context: &Context<'_>, args: &args::Ping) -> Ended {
    let lab = context.open_to_look()?;
    let families = match (args.ipv4, args.ipv6) {
        (true, _) => Families::Ipv4,
        (_, true) => Families::Ipv6,
        _ => Families::Both,
    };
    let (from, to) = ends(&lab, args, families)?;
    let options = Options { timeout: args.timeout, ..Options::default() };
    let begin = Instant::now();
    let progress = Progress::new(context.printer);
    let pinged = lab.ping(&from, &to, families, &options, |known| {
        progress.say(|| format!("asking, {known} answers"));
    });
    drop(progress);
    let pinged = pinged.map_err(|error| Failure::from(error).cannot_tell())?;
    if pinged.is_empty() {
        return Err(Failure::usage(
            "usage",
            "there is nobody to ask: it takes two nodes with an address",
        ));
    }
    let elapsed = begin.elapsed();
    let reasons = reasons(&lab, &pinged);
    match context.printer.is_json() {
        true => context.printer.json("ping", body(&lab, &pinged, &reasons, elapsed)),
        false => context.printer.data(&text(context, &from, &to, &pinged, &reasons, elapsed)),
    }
    Ok(ExitCode::from(if pinged.iter().all(Pinged::is_reached) { 0 } else { DIFFERS }))
}

/// What is at fault, by the place of the question.
type Reasons = BTreeMap<usize, String>;

/// Finds out on paper what keeps the first few from each other, by their places.
fn reasons(lab: &Lab, pinged: &[Pinged]) -> Reasons {
    let failed = pinged.iter().enumerate().filter(|(_, one)| !one.is_reached());
    let (places, failed): (Vec<usize>, Vec<&Pinged>) = failed.take(EXPLAINED_MAX).unzip();
    if failed.is_empty() {
        return BTreeMap::new();
    }
    // Without a reason the kernel's word has to do.
    let reasons = lab.explain(&failed).unwrap_or_default();
    places.into_iter().zip(reasons).filter_map(|(at, reason)| Some((at, reason?))).collect()
}

/// Finds who asks whom.
fn ends(
    lab: &Lab,
    args: &args::Ping,
    families: Families,
) -> Result<(Vec<NodeName>, Vec<Goal>), Error> {
    let all = || -> Result<Vec<NodeName>, Error> {
        let not_up = || Error::NotUp { lab: lab.name().clone() };
        Ok(with_address(&lab.record()?.ok_or_else(not_up)?.desired, families))
    };
    let from = match &args.from {
        Some(from) => lab.nodes_of(from)?,
        None => all()?,
    };
    let to = match &args.to {
        Some(to) => lab.goals_of(to)?,
        None => all()?.into_iter().map(Goal::Node).collect(),
    };
    Ok((from, to))
}

fn text(
    context: &Context<'_>,
    from: &[NodeName],
    to: &[Goal],
    pinged: &[Pinged],
    reasons: &Reasons,
    elapsed: Duration,
) -> String {
    let all: Vec<(usize, &Pinged)> = pinged.iter().enumerate().collect();
    let failures: Vec<(usize, &Pinged)> =
        all.iter().filter(|(_, one)| !one.is_reached()).copied().collect();
    let mut text = String::new();
    if from.len() == 1 && pinged.len() <= LIST_MAX {
        text.push_str(&list(&all, reasons));
    } else {
        if from.len().max(to.len()) <= MATRIX_NODES_MAX {
            text.push_str(&matrix(from, to, pinged));
        }
        let verbose = context.printer.is_verbose();
        let shown = if verbose { failures.len() } else { failures.len().min(FAILURES_SHOWN_MAX) };
        text.push_str(&list(&failures[..shown], reasons));
        if shown < failures.len() {
            let _ = writeln!(text, "and {} more, which -v lists", failures.len() - shown);
        }
    }
    let style = if failures.is_empty() { style::ADD } else { style::REMOVE };
    let (on, off, time) = (on(style), off(style), time(elapsed));
    let (reached, asked) = (pinged.len() - failures.len(), pinged.len());
    let _ = writeln!(text, "{on}{reached} of {asked} reached{off} in {time}");
    text
}

/// Writes one line for each: who, whom, what came of it.
fn list(pinged: &[(usize, &Pinged)], reasons: &Reasons) -> String {
    let row = |(at, one): &(usize, &Pinged)| {
        let address = match (&one.to, one.answer) {
            (Goal::Node(_), Some((addr, _))) => addr.to_string(),
            _ => String::new(),
        };
        let why = reasons.get(at).map(|why| format!(": {}", plain(why))).unwrap_or_default();
        let outcome = format!("{}{why}", outcome(one));
        vec![one.from.to_string(), "->".to_owned(), one.to.to_string(), address, outcome]
    };
    columns(&pinged.iter().map(row).collect::<Vec<_>>())
}

fn outcome(one: &Pinged) -> String {
    match one.answer {
        Some((_, Outcome::Reply { rtt })) => format!("{:.3} ms", ms(rtt)),
        Some((_, other)) => other.to_string(),
        None => "they have no address of the same family".to_owned(),
    }
}

/// Draws one row for each node that asks and one column for each goal. Columns have numbers: those
/// of the rows, where a goal is one of them.
fn matrix(from: &[NodeName], to: &[Goal], pinged: &[Pinged]) -> String {
    let mut cells: BTreeMap<(&NodeName, String), Vec<&Pinged>> = BTreeMap::new();
    for one in pinged {
        cells.entry((&one.from, one.to.to_string())).or_default().push(one);
    }
    let to: Vec<String> = to.iter().map(ToString::to_string).collect();
    let number = |index: usize| (index + 1).to_string();
    let mut rows = vec![vec![String::new(), String::new()]];
    rows[0].extend((0..to.len()).map(number));
    for name in from {
        let place = to.iter().position(|to| *to == name.as_str());
        let mut row = vec![place.map_or_else(String::new, number), name.to_string()];
        row.extend(to.iter().map(|to| cell(cells.get(&(name, to.clone())))));
        rows.push(row);
    }
    let drawn = |mark: &str| rows[1..].iter().any(|row| row[2..].iter().any(|cell| cell == mark));
    let meanings = [
        ("ok", "ok reached"),
        ("4", "4 only by IPv4"),
        ("6", "6 only by IPv6"),
        ("X", "X not reached"),
    ];
    let legend: Vec<&str> =
        meanings.iter().filter(|(mark, _)| drawn(mark)).map(|(_, meaning)| *meaning).collect();
    let mut text = columns(&rows);
    text.push_str(&legend.join(", "));
    for (index, goal) in to.iter().enumerate() {
        if !from.iter().any(|from| from.as_str() == goal) {
            let _ = write!(text, "; {} is {goal}", number(index));
        }
    }
    text.push('\n');
    text
}

fn cell(pinged: Option<&Vec<&Pinged>>) -> String {
    let Some(pinged) = pinged else { return "-".to_owned() };
    let reached = |is_ipv6: bool| {
        let of = |one: &&&Pinged| one.answer.is_some_and(|(addr, _)| addr.is_ipv6() == is_ipv6);
        pinged.iter().filter(of).any(|one| one.is_reached())
    };
    let mark = match (pinged.iter().all(|one| one.is_reached()), reached(false), reached(true)) {
        (true, ..) => "ok",
        (_, true, _) => "4",
        (_, _, true) => "6",
        _ => "X",
    };
    mark.to_owned()
}

fn body(lab: &Lab, pinged: &[Pinged], reasons: &Reasons, elapsed: Duration) -> Body {
    let pair = |(at, one): (usize, &Pinged)| Pair {
        from: one.from.to_string(),
        to: one.to.to_string(),
        address: one.answer.map(|(addr, _)| addr.to_string()),
        reached: one.is_reached(),
        rtt_ms: match one.answer {
            Some((_, Outcome::Reply { rtt })) => Some(ms(rtt)),
            _ => None,
        },
        reason: (!one.is_reached()).then(|| outcome(one)),
        why: reasons.get(&at).cloned(),
    };
    Body {
        lab: lab.name().to_string(),
        asked: pinged.len(),
        reached: pinged.iter().filter(|one| one.is_reached()).count(),
        elapsed_ms: ms(elapsed),
        pairs: pinged.iter().enumerate().map(pair).collect(),
    }
}
