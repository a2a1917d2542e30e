//! The metrics of a route (`RTAX_*`, linux/rtnetlink.h).

use super::super::failure::Failure;
use super::super::out::Out;
use super::super::wire::{Attr, Attrs};
use super::super::words::{Read, Words, abbreviates, integer, number};

const RTAX_LOCK: u16 = 1;
const RTAX_RTT: u16 = 4;
const RTAX_RTTVAR: u16 = 5;
const RTAX_HOPLIMIT: u16 = 10;
const RTAX_FEATURES: u16 = 12;
const RTAX_RTO_MIN: u16 = 13;
const RTAX_CC_ALGO: u16 = 16;

/// The metrics by number, from 2 on; those with `true` may be abbreviated.
const NAMES: &[(u16, &str, bool)] = &[
    (2, "mtu", false),
    (3, "window", true),
    (RTAX_RTT, "rtt", false),
    (RTAX_RTTVAR, "rttvar", true),
    (6, "ssthresh", true),
    (7, "cwnd", true),
    (8, "advmss", false),
    (9, "reordering", true),
    (RTAX_HOPLIMIT, "hoplimit", false),
    (11, "initcwnd", true),
    (RTAX_FEATURES, "features", true),
    (RTAX_RTO_MIN, "rto_min", false),
    (14, "initrwnd", true),
    (15, "quickack", true),
    (RTAX_CC_ALGO, "congctl", false),
    (17, "fastopen_no_cookie", true),
];

/// The metrics as they are read.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    attrs: Vec<Attr>,
    lock: u32,
}

impl Metrics {
    /// Reads a metric, if the word begins one.
    pub(super) fn read(&mut self, words: &mut Words<'_>, word: &str) -> Read<bool> {
        let found = NAMES.iter().find(|(_, name, may)| {
            *name == word || (*may && word.len() > 2 && abbreviates(word, name))
        });
        let Some((attr, name, _)) = found else { return Ok(false) };
        if *attr == RTAX_RTO_MIN {
            self.lock |= 1 << attr;
        } else if words.peek() == Some("lock") && *name != "features" {
            words.take();
            self.lock |= 1 << attr;
        }
        let why = format!("\"{name}\" value is invalid\n");
        let value = match *attr {
            RTAX_CC_ALGO => {
                let name = words.value()?.as_bytes().to_vec();
                self.attrs.push(Attr::Value(RTAX_CC_ALGO, name));
                return Ok(true);
            }
            RTAX_FEATURES => match words.value()? {
                "ecn" => 1,
                word => {
                    return Err(
                        words.blame(Failure::invalid("\"features\" value not valid\n", word))
                    );
                }
            },
            RTAX_RTT | RTAX_RTTVAR | RTAX_RTO_MIN => {
                let (time, has_unit) = words.parse(&why, time)?;
                match *attr {
                    RTAX_RTT if has_unit => time * 8,
                    RTAX_RTTVAR if has_unit => time * 4,
                    _ => time,
                }
            }
            RTAX_HOPLIMIT => {
                let value: u32 = words.parse(&why, integer)?;
                if value > 255 {
                    return Err(words.blame(Failure::invalid(&why, &value.to_string())));
                }
                value
            }
            _ => words.parse(&why, integer)?,
        };
        self.attrs.push(Attr::u32(*attr, value));
        Ok(true)
    }

    /// Returns the attributes that go into `RTA_METRICS`; none where nothing was said.
    pub(super) fn into_attrs(mut self) -> Vec<Attr> {
        if self.lock != 0 && !self.attrs.is_empty() {
            self.attrs.push(Attr::u32(RTAX_LOCK, self.lock));
        }
        self.attrs
    }
}

/// Reads a time in milliseconds, and whether it has a unit.
fn time(word: &str) -> Option<(u32, bool)> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let factor = match unit {
        "" => return Some((u32::try_from(number(digits)?).ok()?, false)),
        "s" | "sec" | "secs" => 1000.0,
        "ms" | "msec" | "msecs" => 1.0,
        _ => return None,
    };
    let time = digits.parse::<f64>().ok()? * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (time.is_finite() && time >= 0.0 && time < f64::from(u32::MAX))
        .then_some((time.ceil() as u32, true))
}

pub(super) fn print(out: &mut Out, metrics: &Attrs<'_>) {
    out.open_array("metrics", "");
    out.open(None);
    let lock = metrics.u32(RTAX_LOCK).unwrap_or(0);
    for (attr, name, _) in NAMES {
        let locked = lock & (1 << attr) != 0;
        if *attr == RTAX_CC_ALGO {
            if let Some(value) = metrics.text(*attr) {
                let lock = if locked { "lock " } else { "" };
                out.str("congestion", &format!("congctl {lock}{{}} "), &value);
            }
            continue;
        }
        let value = metrics.u32(*attr);
        if (value.is_none() && !locked) || (*attr == RTAX_HOPLIMIT && value == Some(u32::MAX)) {
            continue;
        }
        let value = value.unwrap_or(0);
        let lock = if locked { "lock " } else { "" };
        let format = format!("{name} {lock}{{}} ");
        match *attr {
            RTAX_FEATURES if value == 1 => out.num_as("ecn", "features {} ", "null", "ecn"),
            RTAX_FEATURES => out.text(&format!("features {value:#x} ")),
            RTAX_RTT => print_time(out, name, &format, value / 8),
            RTAX_RTTVAR => print_time(out, name, &format, value / 4),
            RTAX_RTO_MIN => print_time(out, name, &format, value),
            _ => out.num(name, &format, value),
        }
    }
    out.close();
    out.close_array("");
}

fn print_time(out: &mut Out, name: &str, format: &str, milliseconds: u32) {
    let text = match milliseconds {
        value if value >= 1000 => format!("{}s", f64::from(value) / 1000.0),
        value => format!("{value}ms"),
    };
    out.num_as(name, format, milliseconds, &text);
}
