//! The figures as a table, the reach, and JSON.
use std::fmt::{self, Display};
use std::fs;

use anyhow::Context;
use serde::Serialize;

use super::MANY_NODES;
use super::contender::{Contender, Sample};

/// The project's reach: what the table is checked against.
mod reach {
    pub(super) const UP_TO_FLOOR: f64 = 1.3;
    pub(super) const UP_OF_1000_SECONDS: f64 = 2.5;
    pub(super) const SCRIPT_TO_UP: f64 = 10.0;
    pub(super) const BATCH_TO_UP: f64 = 2.5;
    pub(super) const UP_AGAIN_OF_1000_SECONDS: f64 = 0.3;
    pub(super) const PEAK_MEGABYTES: f64 = 60.0;
    pub(super) const THREADS: f64 = 8.0;
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: String,
    pub(super) rows: Vec<Row>,
}

/// One contender at one size.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    nodes: u32,
    pub(super) contender: Contender,
    samples: Vec<Sample>,
    peak_bytes: Option<u64>,
    threads: Option<u32>,
}

impl Row {
    pub(super) fn new(nodes: u32, contender: Contender) -> Self {
        Self { nodes, contender, samples: Vec::new(), peak_bytes: None, threads: None }
    }

    /// Adds a turn. The warm-up tells only what was needed, since that was watched at the cost of its times.
    pub(super) fn add(&mut self, sample: Sample, is_warm_up: bool) {
        self.peak_bytes = self.peak_bytes.max(sample.peak_bytes);
        self.threads = self.threads.max(sample.threads);
        if !is_warm_up {
            self.samples.push(sample);
        }
    }

    fn times(&self, which: impl Fn(&Sample) -> Option<f64>) -> Option<Times> {
        Times::of(self.samples.iter().filter_map(which).collect())
    }

    fn up(&self) -> Option<Times> {
        self.times(|sample| Some(sample.up))
    }

    fn peak_megabytes(&self) -> Option<f64> {
        self.peak_bytes.map(|bytes| bytes as f64 / 1e6)
    }
}

/// Several measurements of one thing, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Times {
    pub(super) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let (&min, &max) = (seconds.first()?, seconds.last()?);
        let middle = seconds.len() / 2;
        let median = match seconds.len() % 2 {
            0 => f64::midpoint(seconds[middle - 1], seconds[middle]),
            _ => seconds[middle],
        };
        Some(Self { median, min, max })
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3}..{:.3})", self.median, self.min, self.max)
    }
}

impl Report {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { machine: machine()?, rows: Vec::new() })
    }

    fn row(&self, nodes: u32, contender: Contender) -> Option<&Row> {
        self.rows.iter().find(|row| row.nodes == nodes && row.contender == contender)
    }

    /// How many times the other's `up` takes of `one`'s, at one size.
    fn ratio(&self, nodes: u32, other: Contender, one: Contender) -> Option<f64> {
        Some(self.row(nodes, other)?.up()?.median / self.row(nodes, one)?.up()?.median)
    }

    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| nodes | who | up, s | × floor | up again, s | down, s | until gone, s | peak, MB | threads |"
        )?;
        writeln!(f, "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for row in &self.rows {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.nodes,
                row.contender,
                cell(row.up()),
                cell(self.ratio(row.nodes, row.contender, Contender::Floor).map(two_digits)),
                cell(row.times(|sample| sample.up_again)),
                cell(row.times(|sample| Some(sample.down))),
                cell(row.times(|sample| Some(sample.gone))),
                cell(row.peak_megabytes().map(|megabytes| format!("{megabytes:.1}"))),
                cell(row.threads),
            )?;
        }
        Ok(())
    }

    /// Lists what can be checked with the contenders that took part.
    fn checks(&self) -> Vec<Check> {
        use Contender::{Batch, Floor, Script, Vnet};
        let mut checks = Vec::new();
        for row in self.rows.iter().filter(|row| row.contender == Vnet) {
            let nodes = row.nodes;
            let mut check = |what, value: Option<f64>, bound| {
                checks.extend(value.map(|value| Check { nodes, what, value, bound }));
            };
            check("up / floor", self.ratio(nodes, Vnet, Floor), AtMost(reach::UP_TO_FLOOR));
            check("ip script / up", self.ratio(nodes, Script, Vnet), AtLeast(reach::SCRIPT_TO_UP));
            check("ip -batch / up", self.ratio(nodes, Batch, Vnet), AtLeast(reach::BATCH_TO_UP));
            if nodes == MANY_NODES {
                let up = row.up().map(|up| up.median);
                check("up, s", up, AtMost(reach::UP_OF_1000_SECONDS));
                let again = row.times(|sample| sample.up_again).map(|again| again.median);
                check("up again, s", again, AtMost(reach::UP_AGAIN_OF_1000_SECONDS));
            }
            check("peak memory, MB", row.peak_megabytes(), AtMost(reach::PEAK_MEGABYTES));
            check("threads", row.threads.map(f64::from), AtMost(reach::THREADS));
        }
        checks
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        self.write_table(f)?;
        let checks = self.checks();
        if !checks.is_empty() {
            writeln!(f)?;
        }
        checks.iter().try_for_each(|check| writeln!(f, "{check}"))
    }
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}
use Bound::{AtLeast, AtMost};

/// One line of the reach.
#[derive(Debug)]
struct Check {
    nodes: u32,
    what: &'static str,
    value: f64,
    bound: Bound,
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (holds, sign, bound) = match self.bound {
            AtMost(bound) => (self.value <= bound, '≤', bound),
            AtLeast(bound) => (self.value >= bound, '≥', bound),
        };
        let verdict = if holds { "pass" } else { "miss" };
        let Self { nodes, what, value, .. } = self;
        write!(f, "{verdict}: {nodes} nodes: {what}: {value:.2}, reach {sign} {bound}")
    }
}

fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn two_digits(value: f64) -> String {
    format!("{value:.2}")
}

/// Describes the machine in a line.
pub(super) fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("no /proc")?;
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model =
        model.map_or("unknown processor", |model| model.trim_start_matches(['\t', ' ', ':']));
    Ok(format!("{cores} cores, Linux {}, {model}", kernel.trim()))
}

#[cfg(test)]
mod tests {
    use super::{AtLeast, AtMost, Check, Contender, Report, Row, Sample};

    fn row(contender: Contender, up: &[f64]) -> Row {
        let mut row = Row::new(1000, contender);
        for &up in up {
            let again = (contender == Contender::Vnet).then_some(0.4);
            let sample = Sample {
                up,
                up_again: again,
                down: 0.1,
                gone: 0.2,
                peak_bytes: None,
                threads: None,
            };
            row.add(sample, false);
        }
        row
    }

    #[test]
    fn a_report() {
        let rows = vec![
            row(Contender::Vnet, &[1.4, 1.6, 1.5]),
            row(Contender::Floor, &[1.0, 1.5]),
            row(Contender::Script, &[12.0]),
        ];
        let report = Report { machine: "a machine".to_owned(), rows };
        let expected = "\
a machine

| nodes | who | up, s | × floor | up again, s | down, s | until gone, s | peak, MB | threads |
| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 1000 | vnet | 1.500 (1.400..1.600) | 1.20 | 0.400 (0.400..0.400) | 0.100 (0.100..0.100) | 0.200 (0.200..0.200) | – | – |
| 1000 | floor | 1.250 (1.000..1.500) | 1.00 | – | 0.100 (0.100..0.100) | 0.200 (0.200..0.200) | – | – |
| 1000 | ip script | 12.000 (12.000..12.000) | 9.60 | – | 0.100 (0.100..0.100) | 0.200 (0.200..0.200) | – | – |

pass: 1000 nodes: up / floor: 1.20, reach ≤ 1.3
miss: 1000 nodes: ip script / up: 8.00, reach ≥ 10
pass: 1000 nodes: up, s: 1.50, reach ≤ 2.5
miss: 1000 nodes: up again, s: 0.40, reach ≤ 0.3
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn a_bound_itself_passes() {
        for bound in [AtMost(1.3), AtLeast(1.3)] {
            let check = Check { nodes: 10, what: "up", value: 1.3, bound };
            assert!(check.to_string().starts_with("pass: "), "{check}");
        }
    }
}
