//! Trying an expectation for real.

use std::net::IpAddr;
use std::time::Duration;

use vnet_kernel::connect::{self, Attempt};
use vnet_kernel::echo::{self, Options as EchoOptions, Probe};
use vnet_model::expect::{Claim, Condition, Expectation};
use vnet_model::{NsName, Packet};
use vnet_why::expect::{Case, Judged, Miss};
use vnet_why::{Answer, why};

use super::{Found, Options};
use crate::error::Error;
use crate::lab::Lab;

/// How many failures of one expectation are explained.
const EXPLAINED_MAX: usize = 8;

/// How often an answer that took too long is asked for again: the first of a pair resolves neighbours.
const SLOW_TRIES: usize = 3;

/// How long a connection may take beyond the time that an answer has: the kernel sends a SYN again
/// after a second (`TCP_TIMEOUT_INIT`, net/tcp.h).
const CONNECT_EXTRA: Duration = Duration::from_millis(200);

/// The port at which who sees listens where no packet is named.
const SEEN_PORT: u16 = 40_861;

/// What came of one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Reached { rtt: Duration, seen: Option<IpAddr> },
    Not,
    Untold,
}

/// The answer of the kernel, with its words.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    tried: Tried,
    words: String,
}

/// Asks all cases, and those that took too long again.
pub(super) fn ask(
    lab: &Lab,
    found: &Found<'_>,
    expectation: &Expectation,
    cases: &[Case],
    options: &Options,
) -> Result<Vec<Asked>, Error> {
    let all: Vec<&Case> = cases.iter().collect();
    let mut asked = ask_once(lab, found, expectation, &all, options)?;
    for _ in 1..SLOW_TRIES {
        let slow: Vec<usize> =
            (0..cases.len()).filter(|&at| is_slow(expectation, &asked[at])).collect();
        if slow.is_empty() {
            break;
        }
        let again: Vec<&Case> = slow.iter().map(|&at| &cases[at]).collect();
        let answers = ask_once(lab, found, expectation, &again, options)?;
        for (at, answer) in slow.into_iter().zip(answers) {
            asked[at] = answer;
        }
    }
    Ok(asked)
}

fn is_slow(expectation: &Expectation, asked: &Asked) -> bool {
    match (expectation.within, asked.tried) {
        (Some(within), Tried::Reached { rtt, .. }) => rtt > within,
        _ => false,
    }
}

fn ask_once(
    lab: &Lab,
    found: &Found<'_>,
    expectation: &Expectation,
    cases: &[&Case],
    options: &Options,
) -> Result<Vec<Asked>, Error> {
    let packet = match (expectation.packet, expectation.claim) {
        (Some(packet), _) => packet,
        (None, Claim::Sees(_)) => Packet::Tcp(SEEN_PORT),
        (None, _) => Packet::Icmp,
    };
    match packet {
        Packet::Icmp => echoes(lab, found, cases, options),
        packet => connections(lab, cases, packet, options),
    }
}

fn echoes(
    lab: &Lab,
    found: &Found<'_>,
    cases: &[&Case],
    options: &Options,
) -> Result<Vec<Asked>, Error> {
    let probe = |case: &&Case| {
        let question = &case.question;
        Probe { src: question.src, ..Probe::new(question.from.clone(), question.dst) }
    };
    let probes: Vec<Probe> = cases.iter().map(probe).collect();
    let watched: Vec<NsName> = found.state.namespaces.keys().cloned().collect();
    let options = EchoOptions { timeout: options.timeout, watched, ..EchoOptions::default() };
    let outcomes = echo::echo(lab.realm()?, &probes, &options, |_, _| {})?;
    let asked = |outcome: echo::Outcome| {
        let tried = match outcome {
            echo::Outcome::Reply { rtt } => Tried::Reached { rtt, seen: None },
            _ => Tried::Not,
        };
        Asked { tried, words: outcome.to_string() }
    };
    Ok(outcomes.into_iter().map(asked).collect())
}

fn connections(
    lab: &Lab,
    cases: &[&Case],
    packet: Packet,
    options: &Options,
) -> Result<Vec<Asked>, Error> {
    let port = packet.port().unwrap_or(SEEN_PORT);
    let attempt = |case: &&Case| {
        let question = &case.question;
        let at = question.to.clone().map(|to| (to, port));
        let (from, src, dst) = (question.from.clone(), question.src, question.dst);
        Attempt { from, src, dst, scope: 0, packet, at }
    };
    let attempts: Vec<Attempt> = cases.iter().map(attempt).collect();
    let timeout = options.timeout + CONNECT_EXTRA;
    let outcomes = connect::connect(lab.realm()?, &attempts, timeout)?;
    let asked = |outcome: connect::Outcome| {
        let tried = match outcome {
            connect::Outcome::Reached { rtt, seen } => Tried::Reached { rtt, seen },
            connect::Outcome::Untold | connect::Outcome::Failed { .. } => Tried::Untold,
            connect::Outcome::Refused { .. } | connect::Outcome::NoAnswer => Tried::Not,
        };
        Asked { tried, words: outcome.to_string() }
    };
    Ok(outcomes.into_iter().map(asked).collect())
}

/// Holds what came of the cases against what is expected.
pub(super) fn judge(
    found: &Found<'_>,
    expectation: &Expectation,
    cases: &[Case],
    asked: &[Asked],
    cut: &[String],
) -> Judged {
    let begun = Judged::begin(found.desired, expectation, cases);
    let mut judged = Judged { cases: cases.len(), ..begun };
    for (case, asked) in cases.iter().zip(asked) {
        let explain = judged.misses.len() < EXPLAINED_MAX;
        let (from, to) = (case.from.to_string(), case.to.to_string());
        let miss = |what: String, answer: Option<Answer>| {
            let (from, to, cut) = (from.clone(), to.clone(), cut.to_vec());
            Miss { from, to, cut, what, answer }
        };
        let missed = match (expectation.claim, asked.tried) {
            (_, Tried::Untold) => {
                judged.unknown.push(miss(format!("{from} to {to}: {}", asked.words), None));
                continue;
            }
            (Claim::Reaches, Tried::Reached { rtt, .. }) => match expectation.within {
                Some(within) if rtt > within => {
                    miss(format!("{from} reaches {to} only after {rtt:.1?}"), None)
                }
                _ => continue,
            },
            (Claim::CannotReach, Tried::Not) => continue,
            // By which way, the model knows.
            (Claim::CannotReach, Tried::Reached { .. }) => {
                let answer = explain.then(|| why(&found.world(), &case.question));
                miss(format!("{from} reaches {to}"), answer)
            }
            (Claim::Sees(wanted), Tried::Reached { seen, .. }) => match seen {
                Some(seen) if seen == wanted => continue,
                Some(seen) => miss(format!("{to} sees {from} as {seen}"), None),
                None => miss(format!("somebody else than {to} took what {from} sent"), None),
            },
            (Claim::Reaches | Claim::Sees(_), Tried::Not) => {
                let answer = explain.then(|| why(&found.world(), &case.question));
                miss(refused(&from, &to, asked, answer.as_ref()), answer)
            }
        };
        judged.misses.push(missed);
    }
    if !expectation.via.is_empty() {
        judge_ways(found, expectation, &mut judged);
    }
    judged
}

/// Says what kept them apart: the kernel's word, and the model's reason.
fn refused(from: &str, to: &str, asked: &Asked, answer: Option<&Answer>) -> String {
    let words = &asked.words;
    match answer {
        None => format!("{from} does not reach {to} ({words})"),
        Some(answer) if answer.verdict == vnet_why::Verdict::Reachable => {
            format!("{from} does not reach {to} ({words}), though on paper it does")
        }
        Some(answer) => format!("{} ({words})", answer.sentence(from, to)),
    }
}

/// Looks on paper whether the ways of those who reach each other pass where they shall: which way a
/// packet took, its answer does not say.
fn judge_ways(found: &Found<'_>, expectation: &Expectation, judged: &mut Judged) {
    let when = Condition::Always;
    let as_is = Expectation { when, within: None, ..expectation.clone() };
    let on_paper = vnet_why::expect::judge(&found.world(), found.desired, &as_is);
    let known = |judged: &Judged, miss: &Miss| {
        judged.misses.iter().any(|other| other.from == miss.from && other.to == miss.to)
    };
    let astray = on_paper.misses.into_iter().filter(|miss| miss.answer.is_none());
    let astray: Vec<Miss> = astray.filter(|miss| !known(judged, miss)).collect();
    judged.misses.extend(astray);
    let untold = |miss: &Miss| !judged.unknown.iter().any(|other| other.what == miss.what);
    let more: Vec<Miss> = on_paper.unknown.into_iter().filter(untold).collect();
    judged.unknown.extend(more);
}
