//! `vnet why`: what keeps A from B.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use vnet::why::{
    Answer, Ask, By, Cause, Dropped, Grown, Hop, LastSeen, Loss, Mend, Spotted, Told, Verdict,
    on_paper,
};

use vnet::Lab;
use vnet::file::File;
use vnet::model::sighting::{Heading, Sighting};
use vnet::model::{IfName, LabName, NsName, Packet};

use super::{DIFFERS, Outcome};
use crate::args::{self, FileArg};
use crate::context::Context;
use crate::errors::Failure;
use crate::printer::{columns, off, on, plain, style};

/// The answer "can't tell".
const CANNOT_TELL: u8 = 3;

#[derive(Serialize)]
struct Body<'t> {
    from: &'t str,
    to: &'t str,
    sentence: String,
    /// The file that the lines are of; nothing where none are known.
    file: Option<&'t str>,
    #[serde(flatten)]
    answer: &'t Answer,
    /// What a packet met; nothing where none was sent.
    probe: Option<String>,
    /// Where that was seen.
    seen: Option<SeenBody<'t>>,
    /// Whether the probe contradicts the model.
    disagree: bool,
    /// About how many routing decisions the kernel was asked.
    compared: usize,
    /// Those that it makes otherwise than the model.
    otherwise: Vec<String>,
}

#[derive(Serialize)]
struct SeenBody<'t> {
    /// Where the packet was last.
    last: &'t LastSeen,
    /// Whether that is where it stops on paper; nothing where it arrived or that can't be compared.
    agrees: Option<bool>,
    /// All places, in the order of time.
    places: Vec<PlaceBody<'t>>,
    /// The namespaces in which nobody could look.
    blind: &'t [NsName],
    /// What rules of nf_tables dropped it, as the kernel says.
    dropped: Vec<DroppedBody<'t>>,
    /// The namespaces with tables in which that was not asked.
    untraced: &'t [NsName],
    /// With which reasons the kernel dropped packets while it was sent.
    reasons: Vec<ReasonBody<'t>>,
    /// Why those could not be heard, or not all of them.
    unheard: Option<&'t str>,
    /// The counters of losses that grew meanwhile where it was last, whatever moved them.
    grown: Vec<GrownBody<'t>>,
}

#[derive(Serialize)]
struct ReasonBody<'t> {
    /// As the kernel calls it.
    reason: &'t str,
    /// What that means; nothing where it is a rare one.
    means: Option<&'static str>,
    times: usize,
}

#[derive(Serialize)]
struct GrownBody<'t> {
    ns: &'t NsName,
    counter: &'t str,
    by: u64,
}

#[derive(Serialize)]
struct DroppedBody<'t> {
    ns: &'t NsName,
    table: String,
    chain: &'t str,
    /// Nothing where the chain's policy did.
    rule: Option<&'t str>,
}

#[derive(Serialize)]
struct PlaceBody<'t> {
    ns: &'t NsName,
    interface: &'t IfName,
    leaves: bool,
    for_another: bool,
    heading: Heading,
}

impl<'t> From<&'t Spotted> for SeenBody<'t> {
    fn from(spotted: &'t Spotted) -> Self {
        let place = |seen: &'t Sighting| {
            let Sighting { ns, dev: interface, leaves, for_another, heading, .. } = seen;
            let (leaves, for_another, heading) = (*leaves, *for_another, *heading);
            PlaceBody { ns, interface, leaves, for_another, heading }
        };
        let dropped = |Dropped { ns, table, chain, rule }: &'t Dropped| {
            let (table, rule) = (table.to_string(), rule.as_deref());
            DroppedBody { ns, table, chain, rule }
        };
        let reason = |loss: &'t Loss| {
            let (reason, means, times) = (loss.reason.as_str(), loss.means(), loss.times);
            ReasonBody { reason, means, times }
        };
        let grown = |Grown { ns, counter, by }: &'t Grown| GrownBody { ns, counter, by: *by };
        Self {
            last: &spotted.last,
            agrees: spotted.agrees,
            places: spotted.sightings.iter().map(place).collect(),
            blind: &spotted.blind,
            dropped: spotted.dropped.iter().map(dropped).collect(),
            untraced: &spotted.untraced,
            reasons: spotted.reasons.iter().map(reason).collect(),
            unheard: spotted.unheard.as_deref(),
            grown: spotted.grown.iter().map(grown).collect(),
        }
    }
}

pub(super) fn run(context: &Context<'_>, args: &args::Why) -> Outcome {
    let packet = args.packet.unwrap_or(Packet::Icmp);
    let is_static = args.on_paper.is_some();
    let mut ask = Ask {
        src: args.source,
        size_bytes: args.size,
        ipv6: args.ipv6,
        packet,
        beside: beside(args),
        probe: !args.no_probe && !is_static,
        trace_foreign: args.trace_foreign,
        read: None,
        timeout: None,
    };
    let (mut told, file) = match &args.on_paper {
        Some(path) => {
            let file = context.file(&FileArg { path: path.clone() })?;
            (on_paper(&context.resolve(&file)?, &args.from, &args.to, &ask)?, Some(file))
        }
        None => {
            let lab = lab(context, !ask.beside.is_empty())?;
            let file = told_by(context, &lab);
            ask.read = file.as_ref().and_then(|file| file.resolve().ok()).map(Box::new);
            let told = lab.why(&args.from, &args.to, &ask);
            let told = told.map_err(|error| Failure::from(error).cannot_tell())?;
            let is_known = ask.read.is_some() && !told.is_read_otherwise;
            if let Some(file) =
                file.as_ref().filter(|_| !is_known && !told.answer.causes.is_empty())
            {
                let name = file.source().name();
                let what = "says something else than `up` was told: no lines of it are named";
                context.printer.note(format!("{name} {what}"));
            }
            (told, file.filter(|_| is_known))
        }
    };
    if let Some(file) = &file {
        told.answer.name_lines(|origin| file.line(origin));
    }
    let name = file.as_ref().map(|file| file.source().name());
    let probe = told.probed.map(|outcome| outcome.to_string());
    match context.printer.is_json() {
        true => context.printer.json(
            "why",
            Body {
                from: &args.from,
                to: &args.to,
                sentence: sentence(args, &told),
                file: name,
                answer: &told.answer,
                probe,
                seen: told.spotted.as_ref().map(SeenBody::from),
                disagree: told.disagree(),
                compared: told.compared,
                otherwise: told.otherwise.iter().map(ToString::to_string).collect(),
            },
        ),
        false => context.printer.data(&text(args, &told, file.as_ref())),
    }
    Ok(ExitCode::from(code(&told)))
}

/// The namespaces that are looked at beside the lab's.
fn beside(args: &args::Why) -> Vec<NsName> {
    let is_host = |end: &String| end == "host" || end.starts_with("host:");
    let host = [&args.from, &args.to].into_iter().any(is_host).then(NsName::host);
    let processes = args.pid.iter().map(|pid| NsName::of_process(*pid));
    args.netns.iter().cloned().chain(processes).chain(host).collect()
}

/// Opens the lab; where others are looked at beside, there need be none.
fn lab(context: &Context<'_>, others: bool) -> Result<Lab, Failure> {
    match context.lab_to_look_into() {
        Err(_) if others => {
            let name = LabName::new(super::ip::DEFAULT_LAB);
            context.open(&name.map_err(|error| Failure::usage("usage", error.to_string()))?)
        }
        name => context.open(&name?),
    }
}

/// Reads the file that a lab was told by, if it is still there.
fn told_by(context: &Context<'_>, lab: &Lab) -> Option<File> {
    let path = lab.record().ok()??.file?;
    context.file_again(&path, lab.name())
}

/// Gives the exit code. Where model and kernel disagree, the kernel is right.
fn code(told: &Told) -> u8 {
    let replied = told.probed.and_then(|probed| probed.replied());
    match (told.answer.verdict, replied) {
        (Verdict::Reachable, Some(false)) => DIFFERS,
        (Verdict::Reachable, _) => 0,
        (Verdict::Unreachable, _) if told.disagree() => 0,
        (Verdict::Unreachable | Verdict::Partly, _) => DIFFERS,
        (Verdict::Unknown, Some(true)) => 0,
        (Verdict::Unknown, _) => CANNOT_TELL,
    }
}

/// Says the verdict. Where model and kernel disagree, the kernel's.
fn sentence(args: &args::Why, told: &Told) -> String {
    let (from, to) = (&args.from, &args.to);
    match told.probed.and_then(|probed| probed.replied()).filter(|_| told.disagree()) {
        Some(true) => format!("{from} reaches {to}, unlike what was worked out"),
        Some(false) => format!("{from} does not reach {to}, unlike what was worked out"),
        None => told.answer.sentence(from, to),
    }
}

fn text(args: &args::Why, told: &Told, file: Option<&File>) -> String {
    let answer = &told.answer;
    let style = match answer.verdict {
        Verdict::Reachable => style::ADD,
        Verdict::Unreachable => style::REMOVE,
        Verdict::Partly | Verdict::Unknown => style::CHANGE,
    };
    let mut text = format!("{}{}{}\n", on(style), plain(&sentence(args, told)), off(style));
    for what in &answer.unknown {
        let _ = writeln!(text, "  not evaluated: {}", plain(what));
    }
    let src = answer.src.map_or_else(|| "?".to_owned(), |src| src.to_string());
    let name = file.map(|file| plain(file.source().name()));
    text.push_str(&way(&format!("forth {src} -> {}", answer.dst), &answer.forth, name.as_deref()));
    text.push_str(&way(&format!("back {} -> {src}", answer.dst), &answer.back, name.as_deref()));
    for cause in &answer.causes {
        text.push_str(&shown(cause, file));
    }
    if let Some(outcome) = &told.probed {
        let what = match told.question.packet {
            Packet::Icmp => "echo request".to_owned(),
            packet => packet.to_string(),
        };
        let contradicts = if told.disagree() { ", unlike what was worked out above" } else { "" };
        let _ = writeln!(text, "\n{what}: {outcome}{contradicts}");
        if let Some(spotted) = told.spotted.as_ref().filter(|_| outcome.replied() != Some(true)) {
            text.push_str(&seen(answer, spotted));
        }
    }
    for otherwise in &told.otherwise {
        let _ = writeln!(text, "\nwrongly worked out above: {}", plain(&otherwise.to_string()));
    }
    text
}

/// Says where a packet that did not arrive was last, and why there.
fn seen(answer: &Answer, spotted: &Spotted) -> String {
    let mut text = format!("  {}", plain(&spotted.last.to_string()));
    let stop = [&answer.back, &answer.forth].into_iter().find_map(|hops| hops.last());
    let stop = stop.filter(|hop| hop.by == By::Stop);
    let stop = stop.map(|hop| (plain(&hop.node), plain(&hop.text)));
    match (spotted.agrees, stop) {
        (Some(true), Some((_, why))) => {
            let _ = write!(text, ": {why}");
        }
        (Some(false), Some((node, why))) => {
            let _ = write!(text, ", unlike what was worked out above: it stops at {node}, {why}");
        }
        (Some(false), None) => text.push_str(", unlike what was worked out above: it arrives"),
        (Some(true), None) | (None, _) => {}
    }
    text.push('\n');
    for Dropped { ns, table, chain, rule } in &spotted.dropped {
        let by = match rule {
            Some(rule) => format!("`{}`", plain(rule)),
            None => "its policy".to_owned(),
        };
        let (table, chain) = (plain(&table.to_string()), plain(chain));
        let _ = writeln!(text, "  traced in {ns}: table {table}, chain {chain}, {by}");
    }
    let reason = |loss: &Loss| match loss.means() {
        Some(means) => format!("{} ({means})", loss.reason),
        None => loss.reason.clone(),
    };
    let reasons: Vec<String> = spotted.reasons.iter().map(reason).collect();
    if !reasons.is_empty() {
        let _ = writeln!(text, "  while it was sent the kernel dropped: {}", reasons.join(", "));
    }
    if !spotted.grown.is_empty() {
        text.push_str("  grew there meanwhile, whatever packets moved them:");
        for (at, Grown { ns, counter, by }) in spotted.grown.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(text, "{comma} {} by {by} in {ns}", plain(counter));
        }
        text.push('\n');
    }
    if !spotted.blind.is_empty() {
        let names: Vec<&str> = spotted.blind.iter().map(NsName::as_str).collect();
        let _ = writeln!(text, "  not looked for, or not all seen, in {}", names.join(", "));
    }
    text
}

fn way(title: &str, hops: &[Hop], file: Option<&str>) -> String {
    if hops.is_empty() {
        return String::new();
    }
    let row = |hop: &Hop| {
        let by = match hop.by {
            By::Local => "local",
            By::Rule => "rule",
            By::Connected => "link",
            By::Route => "route",
            By::Neighbour => "->",
            By::Port => "bridge",
            By::Tunnel => "tunnel",
            By::Filter => "nft",
            By::Stop => "stop",
        };
        let mut row = vec![format!("  {}", hop.node), by.to_owned(), plain(&hop.text)];
        let line = file.zip(hop.line);
        row.extend(line.map(|(file, line)| format!("{file}:{line}")));
        row
    };
    format!("\n{title}\n{}", columns(&hops.iter().map(row).collect::<Vec<_>>()))
}

fn shown(cause: &Cause, file: Option<&File>) -> String {
    let (name, end) = (on(style::NAME), off(style::NAME));
    let (object, evidence) = (plain(&cause.object), plain(&cause.evidence));
    let mut text = format!("\n{name}{}{end}: {object}\n  {evidence}\n", cause.code);
    if let Some((file, line)) = file.zip(cause.line) {
        let words = file.source().text().lines().nth(line - 1).unwrap_or_default();
        let (name, words) = (plain(file.source().name()), plain(words.trim()));
        let _ = writeln!(text, "  {name}:{line}: {words}");
    }
    for mend in &cause.mend {
        match mend {
            Mend::Step(step) => {
                let _ = writeln!(text, "  {} {}", step.sign(), plain(&step.to_string()));
            }
            Mend::Command { text: what, .. } => {
                let _ = writeln!(text, "  {}", plain(what));
            }
            Mend::Line { text: line, .. } => {
                let _ = writeln!(text, "  in the file: {}", plain(line));
            }
        }
        for command in mend.commands() {
            let _ = writeln!(text, "      {}", plain(&command));
        }
    }
    text
}
