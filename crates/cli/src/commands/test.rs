//! `vnet test`: whether what must hold of a lab does.

mod forms;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use vnet::expect::{Miss, Options, Report, Tested, Verdict, on_paper};
use vnet::file::File;
use vnet::{Desired, Error};

use super::{DIFFERS, Outcome};
use crate::args;
use crate::context::Context;
use crate::errors::Failure;
use crate::interrupt;
use crate::printer::{count, off, on, plain, steps, style};
use crate::progress::Progress;
use crate::view::{Change, time};

/// The answer "can't tell".
const CANNOT_TELL: u8 = 3;

/// How many pairs that fail are shown of one expectation.
const MISSES_SHOWN_MAX: usize = 5;

#[derive(Serialize)]
struct Body<'r> {
    lab: String,
    /// The file that the lines are of; nothing where none are known.
    file: Option<&'r str>,
    verdict: &'static str,
    /// What differs from what `up` was told.
    drift: Vec<Change>,
    expectations: Vec<Row<'r>>,
}

#[derive(Serialize)]
struct Row<'r> {
    text: &'r str,
    line: Option<usize>,
    verdict: &'static str,
    /// Whether it was tried for real.
    live: bool,
    cases: usize,
    misses: &'r [Miss],
    unknown: &'r [Miss],
    /// Who is meant too and was not tried, and why.
    left_out: &'r [String],
    elapsed_ms: f64,
}

pub(super) fn run(context: &Context<'_>, args: &args::Test) -> Outcome {
    let (desired, file) = wanted(context, args)?;
    let mut report = match args.on_paper {
        true => on_paper(&desired),
        false => live(context, args, &desired, file.as_ref())?,
    };
    if let Some(file) = &file {
        let all =
            report.tested.iter_mut().flat_map(|it| it.misses.iter_mut().chain(&mut it.unknown));
        for answer in all.filter_map(|miss| miss.answer.as_mut()) {
            answer.name_lines(|origin| file.line(origin));
        }
    }
    if let Some(path) = &args.junit {
        write(path, &forms::junit(&desired.lab, &report, file.as_ref()))?;
    }
    match args.tap {
        _ if context.printer.is_json() => {
            context.printer.json("test", body(&desired, file.as_ref(), &report));
        }
        true => context.printer.data(&forms::tap(&report, file.as_ref())),
        false => context.printer.data(&text(&report, file.as_ref())),
    }
    if desired.expect.is_empty() {
        context.printer.note("the file expects nothing: write what must hold into `expect:`");
    }
    Ok(ExitCode::from(match report.verdict() {
        Verdict::Holds => 0,
        Verdict::Fails => DIFFERS,
        Verdict::Unknown => CANNOT_TELL,
    }))
}

/// Finds out what is wanted: what the file says, or, where there is none and `-l` picks a lab that is
/// up, what that one was last told to be.
fn wanted(context: &Context<'_>, args: &args::Test) -> Result<(Desired, Option<File>), Failure> {
    if let Some(name) = context.lab_without_file(&args.file) {
        let record = context.open(name).map_err(Failure::cannot_tell)?.record();
        let record = record.map_err(|error| Failure::of(&error, None).cannot_tell())?;
        let not_up = || Failure::of(&Error::NotUp { lab: name.clone() }, None);
        let record = record.ok_or_else(not_up)?;
        let file = record.file.and_then(|path| context.file_again(&path, name));
        let read = file.as_ref().and_then(|file| record.desired.read_again(file.resolve().ok()?));
        let is_known = read.is_some();
        return Ok((read.unwrap_or(record.desired), file.filter(|_| is_known)));
    }
    let file = context.file(&args.file)?;
    Ok((context.resolve(&file)?, Some(file)))
}

fn live(
    context: &Context<'_>,
    args: &args::Test,
    desired: &Desired,
    file: Option<&File>,
) -> Result<Report, Failure> {
    let cancel = interrupt::flag()?;
    let mut lab = context.open_to_change(&desired.lab, &cancel)?;
    let options = Options { live: args.live, timeout: args.timeout };
    let progress = Progress::new(context.printer);
    let all = desired.expect.len();
    let tested = lab.test(desired, &options, |done| {
        progress.say(|| format!("trying expectation {} of {all}", done + 1));
    });
    drop(progress);
    tested.map_err(|error| Failure::of(&error, file).cannot_tell())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        let words = crate::errors::words(&error);
        Failure::failed("failed", format!("cannot write {}: {words}", path.display()))
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "fails",
        Verdict::Unknown => "unknown",
    }
}

fn body<'r>(desired: &Desired, file: Option<&'r File>, report: &'r Report) -> Body<'r> {
    let row = |tested: &'r Tested| Row {
        text: &tested.text,
        line: file.and_then(|file| file.line(tested.origin)),
        verdict: word(tested.verdict),
        live: tested.live,
        cases: tested.cases,
        misses: &tested.misses,
        unknown: &tested.unknown,
        left_out: &tested.left_out,
        elapsed_ms: tested.elapsed.as_secs_f64() * 1e3,
    };
    Body {
        lab: desired.lab.to_string(),
        file: file.map(|file| file.source().name()),
        verdict: word(report.verdict()),
        drift: report.drift.iter().map(Change::of).collect(),
        expectations: report.tested.iter().map(row).collect(),
    }
}

fn text(report: &Report, file: Option<&File>) -> String {
    let mut text = String::new();
    if !report.drift.is_empty() {
        let (on, off) = (on(style::REMOVE), off(style::REMOVE));
        let _ = writeln!(text, "{on}differs{off}  the lab is not as `up` was told; `up` would do");
        for line in steps(&report.drift).lines() {
            let _ = writeln!(text, "           {line}");
        }
    }
    for tested in &report.tested {
        let (style, sign) = match tested.verdict {
            Verdict::Holds => (style::ADD, "holds"),
            Verdict::Fails => (style::REMOVE, "fails"),
            Verdict::Unknown => (style::CHANGE, "unknown"),
        };
        let (on, off) = (on(style), off(style));
        let how = if tested.live { "" } else { ", on paper" };
        let cases = count(tested.cases, "case");
        let took = time(tested.elapsed);
        let (pad, text_of) = (" ".repeat(9 - sign.len()), plain(&tested.text));
        let _ = writeln!(text, "{on}{sign}{off}{pad}{text_of}  ({cases}{how}, {took})");
        text.push_str(&misses(tested.misses.iter().chain(&tested.unknown), file));
        for why in tested.left_out.iter().take(MISSES_SHOWN_MAX) {
            let _ = writeln!(text, "         left out: {}", plain(why));
        }
        if tested.left_out.len() > MISSES_SHOWN_MAX {
            let more = tested.left_out.len() - MISSES_SHOWN_MAX;
            let _ = writeln!(text, "         and {more} more left out");
        }
    }
    let good = report.tested.iter().filter(|t| t.verdict == Verdict::Holds).count();
    let _ = writeln!(text, "{good} of {} hold", report.tested.len());
    text
}

/// Says what is not as expected, each with what is at fault and what would mend it.
fn misses<'m>(misses: impl Iterator<Item = &'m Miss>, file: Option<&File>) -> String {
    let all: Vec<&Miss> = misses.collect();
    let mut text = String::new();
    for miss in all.iter().take(MISSES_SHOWN_MAX) {
        for line in forms::lines(miss, file) {
            let _ = writeln!(text, "         {}", plain(&line));
        }
    }
    if all.len() > MISSES_SHOWN_MAX {
        let _ = writeln!(text, "         and {} more", all.len() - MISSES_SHOWN_MAX);
    }
    text
}
