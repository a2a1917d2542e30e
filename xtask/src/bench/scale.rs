//! `cargo xtask bench scale`: how time and memory grow with the number of nodes.
//!
//! vnet, the floor and `ip -batch` take turns at each size, on the benchmark's own host, as in `bench`; `mn`, where it is
//! installed, in namespaces of its own too, since it kills processes by name and removes files when it ends badly. Each
//! turn is one line of JSON in the output file, written when it is done: a run that was stopped goes on from there.

mod plot;
mod table;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::contender::{Contender, FOLDER, Turn};
use super::host::{self, Sentinels};
use super::ring::Ring;

/// `mn` takes a second for each switch: more nodes tell nothing new.
const MN_NODES: [u32; 3] = [10, 50, 100];

/// From this many nodes on there are fewer rounds.
const MANY_NODES: u32 = 5000;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sizes of the ring
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000,10000")]
    #[arg(value_parser = clap::value_parser!(u32).range(3..=30_000))]
    nodes: Vec<u32>,
    /// Rounds at each size [default: 3, from 5000 nodes on 2]
    #[arg(long)]
    rounds: Option<u32>,
    /// Who takes part
    #[arg(long, value_delimiter = ',', value_enum, default_value = "vnet,floor,batch,mn")]
    only: Vec<Who>,
    /// Up to how many nodes `ip -batch` takes part
    #[arg(long, default_value_t = 10_000)]
    batch_up_to: u32,
    /// The binary to measure, instead of building one
    #[arg(long, value_name = "PATH")]
    vnet: Option<PathBuf>,
    /// The folder for the turns, the table and the plot; what is there already is not done again
    #[arg(long, value_name = "DIR", default_value = "target/scale")]
    out: PathBuf,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Who {
    Vnet,
    Floor,
    Batch,
    /// `mn --topo linear,N --switch lxbr`, started and stopped
    Mn,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Vnet => "vnet",
            Self::Floor => "floor",
            Self::Batch => "ip -batch",
            Self::Mn => "mn (up and down)",
        }
    }
}

/// One turn. Times in seconds, as of whole commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) who: Who,
    pub(super) nodes: u32,
    pub(super) round: u32,
    /// How long building took; of `mn` removing too.
    pub(super) up: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vnet: Option<VnetTimes>,
    /// Until the command that removes has ended.
    pub(super) down: Option<f64>,
    /// Until the kernel has removed the namespaces too.
    pub(super) gone: Option<f64>,
    /// How much less memory was available when the network was up.
    pub(super) kernel_bytes: Option<u64>,
}

/// What only vnet does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct VnetTimes {
    /// `up` when nothing differs.
    pub(super) again: f64,
    /// `plan` when nothing differs.
    pub(super) plan: f64,
    /// `up` after a change of one link, the whole kernel looked at.
    pub(super) change: f64,
    pub(super) peak_bytes: u64,
    /// Single changes by the library, which look at nothing else: in milliseconds.
    pub(super) single: Option<Single>,
}

/// Single changes by the library, in milliseconds (`crates/vnet/examples/single.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Single {
    pub(super) link_down_ms: f64,
    pub(super) link_up_ms: f64,
    pub(super) address_ms: f64,
    pub(super) no_address_ms: f64,
}

impl Single {
    /// Returns the slowest.
    fn most_ms(&self) -> f64 {
        let Self { link_down_ms, link_up_ms, address_ms, no_address_ms } = *self;
        link_down_ms.max(link_up_ms).max(address_ms).max(no_address_ms)
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // What needs the machine comes first: afterwards `/run` is another one, and there is no network.
    fs::create_dir_all(&options.out).context("cannot make the folder")?;
    let out = fs::canonicalize(&options.out)?;
    let vnet = match &options.vnet {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?,
        None => {
            build_single()?;
            super::build_vnet()?
        }
    };
    let machine = super::report::machine()?;
    let path = out.join("turns.jsonl");
    let mut lines = read(&path)?;
    let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
    host::leave_machine()?;
    for (nodes, round, who) in turns(options) {
        if lines.iter().any(|line| (line.nodes, line.round, line.who) == (nodes, round, who)) {
            continue;
        }
        eprintln!("{nodes} nodes, round {round}: {}", who.name());
        let taken = take(nodes, round, who, &vnet)
            .with_context(|| format!("{} with {nodes} nodes", who.name()));
        let line = match taken {
            // What another's program does is no reason to do without the rest.
            Err(error) if who == Who::Mn => {
                eprintln!("  left out: {error:#}");
                continue;
            }
            taken => taken?,
        };
        eprintln!("  up {:.3} s", line.up);
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
        lines.push(line);
        // After each turn: whoever stops it has what was measured.
        write(&out, &machine, &lines)?;
    }
    write(&out, &machine, &lines)?;
    print!("{}", table::table(&machine, &lines));
    eprintln!("{}: turns.jsonl, table.md, plot.svg", out.display());
    Ok(())
}

/// Lists the turns, those of one size beside each other, in an order that differs from round to round.
fn turns(options: &Options) -> Vec<(u32, u32, Who)> {
    let mut turns = Vec::new();
    for &nodes in &options.nodes {
        let rounds = options.rounds.unwrap_or(if nodes >= MANY_NODES { 2 } else { 3 });
        for round in 1..=rounds {
            let takes_part = |who: &&Who| match who {
                Who::Vnet | Who::Floor => true,
                Who::Batch => nodes <= options.batch_up_to,
                Who::Mn => false,
            };
            let mut order: Vec<Who> = options.only.iter().filter(takes_part).copied().collect();
            let first = round as usize % order.len().max(1);
            order.rotate_left(first);
            turns.extend(order.into_iter().map(|who| (nodes, round, who)));
        }
    }
    if options.only.contains(&Who::Mn) {
        // `--switch lxbr` runs `brctl`, which Debian's mininet does not depend on.
        match is_installed("mn") && is_installed("brctl") {
            true => turns.extend(MN_NODES.map(|nodes| (nodes, 1, Who::Mn))),
            false => eprintln!(
                "mn or brctl is not installed (Debian's mininet and bridge-utils): mn is left out"
            ),
        }
    }
    turns
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn take(nodes: u32, round: u32, who: Who, vnet: &Path) -> anyhow::Result<Line> {
    let ring = Ring(nodes);
    let line =
        |up| Line { who, nodes, round, up, vnet: None, down: None, gone: None, kernel_bytes: None };
    if who == Who::Mn {
        return Ok(line(mn(nodes)?));
    }
    let turn = Turn::prepare(ring, vnet)?;
    let contender = match who {
        Who::Vnet => Contender::Vnet,
        Who::Floor => Contender::Floor,
        _ => Contender::Batch,
    };
    let before = available_bytes()?;
    let (up, usage) = super::contender::timed(|| turn.up(contender, false))?;
    let kernel_bytes = Some(before.saturating_sub(available_bytes()?));
    host::verify(nodes).context("it built something else")?;
    let times = match usage.filter(|_| who == Who::Vnet) {
        Some(usage) => Some(more_of_vnet(&turn, ring, vnet, usage.peak_bytes)?),
        None => None,
    };
    let sentinels = Sentinels::new()?;
    let start = Instant::now();
    let (down, _) = super::contender::timed(|| turn.down(contender, false))?;
    sentinels.wait()?;
    let gone = start.elapsed().as_secs_f64();
    let left = fs::read_dir("/run/netns")?.count();
    ensure!(left == 0, "{left} namespaces are left");
    Ok(Line { vnet: times, down: Some(down), gone: Some(gone), kernel_bytes, ..line(up) })
}

/// Measures what only vnet does, on a network that is up.
fn more_of_vnet(
    turn: &Turn<'_>,
    ring: Ring,
    vnet: &Path,
    peak_bytes: u64,
) -> anyhow::Result<VnetTimes> {
    let changed = ring.topology().replace("10.255.0.0/31 }", "10.255.0.0/31, mtu: 1400 }");
    ensure!(changed != ring.topology(), "no link was changed");
    fs::write(format!("{FOLDER}/changed.yaml"), changed)?;
    let mut peak_bytes = peak_bytes;
    let mut timed = |arguments: &[&str]| -> anyhow::Result<f64> {
        let (seconds, usage) = super::contender::timed(|| turn.run_vnet(arguments))?;
        peak_bytes = peak_bytes.max(usage.peak_bytes);
        Ok(seconds)
    };
    let again = timed(&["up", "vnet.yaml"])?;
    let plan = timed(&["plan", "vnet.yaml"])?;
    let change = timed(&["up", "changed.yaml"])?;
    // The example is built beside the program; one that is measured from elsewhere has none.
    let example = vnet.with_file_name("examples").join("single");
    let single = if example.is_file() { Some(single(&example)?) } else { None };
    Ok(VnetTimes { again, plan, change, peak_bytes, single })
}

fn single(example: &Path) -> anyhow::Result<Single> {
    let output = Command::new(example)
        .args(["changed.yaml", "/run/vnet"])
        .current_dir(FOLDER)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the example `single`")?;
    ensure!(output.status.success(), "the example `single` failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("the example `single` printed something else")
}

/// Builds the example that makes single changes, beside the program.
fn build_single() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "vnet", "--example", "single"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the example `single` does not build");
    Ok(())
}

/// Starts and stops a chain of `nodes` switches with one host each, in namespaces of its own.
fn mn(nodes: u32) -> anyhow::Result<f64> {
    // It removes what it does not know in /tmp, too.
    let script = format!(
        "mount -t tmpfs tmpfs /tmp && exec mn --topo linear,{nodes} --switch lxbr --controller none --test none"
    );
    let (seconds, output) = super::contender::timed(|| {
        Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--mount", "--net", "sh", "-c", &script])
            .stdin(Stdio::null())
            .output()
            .context("cannot run unshare")
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    ensure!(output.status.success(), "`{script}` failed: {}: {last}", output.status);
    Ok(seconds)
}

fn available_bytes() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = line.context("no MemAvailable")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Reads what was measured before; a last line that is cut short is left out.
fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<Line> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if !text.is_empty() {
        eprintln!("{} turns are there already: {}", lines.len(), path.display());
        let mut whole = String::new();
        for line in &lines {
            whole.push_str(&serde_json::to_string(line)?);
            whole.push('\n');
        }
        fs::write(path, whole)?;
    }
    Ok(lines)
}

fn write(out: &Path, machine: &str, lines: &[Line]) -> anyhow::Result<()> {
    fs::write(out.join("table.md"), table::table(machine, lines))?;
    let mut file = File::create(out.join("plot.svg"))?;
    Ok(file.write_all(plot::svg(machine, lines).as_bytes())?)
}

/// Returns the median of some numbers.
fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(numbers[middle]),
        _ => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
    }
}

/// Returns the sizes at which somebody took part, from small to large, each with a figure's median.
fn curve(lines: &[Line], who: Who, what: impl Fn(&Line) -> Option<f64>) -> Vec<(u32, f64)> {
    let mut sizes: Vec<u32> = lines.iter().filter(|l| l.who == who).map(|l| l.nodes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let at = |nodes: u32| {
        let turns = lines.iter().filter(|line| (line.who, line.nodes) == (who, nodes));
        Some((nodes, median(turns.filter_map(&what))?))
    };
    sizes.into_iter().filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of two contenders at two sizes.
    pub(super) fn turns() -> Vec<Line> {
        let mut lines = Vec::new();
        for (who, factor) in [(Who::Vnet, 1.2), (Who::Floor, 1.0), (Who::Batch, 4.0)] {
            for (nodes, round, up) in [(100, 1, 0.1), (100, 2, 0.3), (1000, 1, 2.0)] {
                let vnet = (who == Who::Vnet).then_some(VnetTimes {
                    again: 0.1,
                    plan: 0.09,
                    change: 0.11,
                    peak_bytes: 30_000_000,
                    single: Some(Single {
                        link_down_ms: 2.0,
                        link_up_ms: 3.0,
                        address_ms: 1.0,
                        no_address_ms: 1.0,
                    }),
                });
                lines.push(Line {
                    who,
                    nodes,
                    round,
                    up: up * factor,
                    vnet,
                    down: Some(0.1),
                    gone: Some(0.5 * factor),
                    kernel_bytes: Some(430_000 * u64::from(nodes)),
                });
            }
        }
        lines
    }

    #[test]
    fn what_was_measured_is_read_again() {
        let path = std::env::temp_dir().join(format!("vnet-scale-{}", std::process::id()));
        let lines = turns();
        let text: Vec<String> =
            lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        // The last line is cut short.
        fs::write(&path, format!("{}\n{}", text.join("\n"), &text[0][..20])).unwrap();
        assert_eq!(read(&path).unwrap(), lines);
        assert_eq!(fs::read_to_string(&path).unwrap(), text.join("\n") + "\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_curve_is_of_medians() {
        let up = curve(&turns(), Who::Floor, |line| Some(line.up));
        assert_eq!(up, [(100, 0.2), (1000, 2.0)]);
        assert_eq!(curve(&turns(), Who::Mn, |line| Some(line.up)), []);
    }
}
