//! Who takes part, and what one turn is.
use std::fmt::{self, Display, Write};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::floor;
use super::host::{self, Sentinels, Usage};
use super::ring::Ring;

/// Where the contenders' files are: on the benchmark's own tmpfs.
pub(super) const FOLDER: &str = "/run/bench";

/// How many lines one `ip -batch` gets: it keeps two files open for each link, and 20,000 is a usual limit.
const BATCH_LINES_MAX: usize = 8_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Contender {
    /// `vnet up FILE`, again, and `vnet down FILE`
    Vnet,
    /// The same kernel objects by bare system calls
    Floor,
    /// `ip -batch`: one for all namespaces and links, then one in each namespace
    Batch,
    /// A shell script of one `ip` for each object
    Script,
}

impl Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vnet => "vnet",
            Self::Floor => "floor",
            Self::Batch => "ip -batch",
            Self::Script => "ip script",
        })
    }
}

/// One turn's figures; times in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sample {
    pub(super) up: f64,
    pub(super) up_again: Option<f64>,
    /// Until the command has ended.
    pub(super) down: f64,
    /// Until the kernel has removed the namespaces too.
    pub(super) gone: f64,
    pub(super) peak_bytes: Option<u64>,
    /// Only of the warm-up: counting them costs time.
    pub(super) threads: Option<u32>,
}

/// A ring and the files that describe it to each contender.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    ring: Ring,
    vnet: &'a Path,
}

impl<'a> Turn<'a> {
    pub(super) fn prepare(ring: Ring, vnet: &'a Path) -> anyhow::Result<Self> {
        if Path::new(FOLDER).exists() {
            fs::remove_dir_all(FOLDER)?;
        }
        fs::create_dir(FOLDER)?;
        let mut batch_up = String::from("set -e\n");
        let lines: Vec<String> = ring.batch().lines().map(str::to_owned).collect();
        for (number, part) in lines.chunks(BATCH_LINES_MAX).enumerate() {
            _ = writeln!(batch_up, "ip -batch {FOLDER}/all{number}.batch");
            fs::write(format!("{FOLDER}/all{number}.batch"), part.join("\n") + "\n")?;
        }
        let mut script_down = String::from("set -e\n");
        let mut batch_down = String::new();
        for node in ring.nodes() {
            _ = writeln!(batch_up, "{} {FOLDER}/n{node}.batch", enter(ring, node));
            _ = writeln!(script_down, "ip netns del n{node}");
            _ = writeln!(batch_down, "netns del n{node}");
            fs::write(format!("{FOLDER}/n{node}.batch"), ring.node_batch(node))?;
        }
        let files = [
            ("vnet.yaml", ring.topology()),
            ("filtered.yaml", ring.filtered_topology()),
            ("script-up.sh", ring.script()),
            ("script-down.sh", script_down),
            ("batch-up.sh", batch_up),
            ("down.batch", batch_down),
        ];
        for (name, text) in files {
            fs::write(format!("{FOLDER}/{name}"), text)?;
        }
        Ok(Self { ring, vnet })
    }

    /// Builds the ring, checks it, removes it, and waits until the kernel has removed it too.
    pub(super) fn take(&self, who: Contender, watch: bool) -> anyhow::Result<Sample> {
        let (up, up_usage) = timed(|| self.up(who, watch))?;
        host::verify(self.ring.0).context("it built something else")?;
        let again = match who {
            Contender::Vnet => Some(timed(|| self.up(who, watch))?),
            _ => None,
        };
        if again.is_some() {
            host::verify(self.ring.0).context("the second up changed something")?;
        }
        let sentinels = Sentinels::new()?;
        let start = Instant::now();
        let (down, down_usage) = timed(|| self.down(who, watch))?;
        sentinels.wait()?;
        let gone = start.elapsed().as_secs_f64();
        let left = fs::read_dir("/run/netns")?.count();
        ensure!(left == 0, "{left} namespaces are left");

        let usages = [up_usage, again.and_then(|(_, usage)| usage), down_usage];
        Ok(Sample {
            up,
            up_again: again.map(|(seconds, _)| seconds),
            down,
            gone,
            peak_bytes: usages.iter().flatten().map(|usage| usage.peak_bytes).max(),
            threads: usages.iter().flatten().filter_map(|usage| usage.threads).max(),
        })
    }

    /// Builds the ring of a file with vnet, checks it, removes it, and returns how long building took.
    pub(super) fn up_and_down(&self, file: &str) -> anyhow::Result<f64> {
        let run = |verb| host::run(&mut command(self.vnet, &[verb, file]), false);
        let (seconds, _) = timed(|| run("up"))?;
        host::verify(self.ring.0).context("it built something else")?;
        let sentinels = Sentinels::new()?;
        run("down")?;
        sentinels.wait()?;
        Ok(seconds)
    }

    pub(super) fn up(&self, who: Contender, watch: bool) -> anyhow::Result<Option<Usage>> {
        match who {
            Contender::Floor => floor::up(self.ring).map(|()| None),
            Contender::Vnet => self.vnet("up", watch).map(Some),
            Contender::Batch => run("sh", &["batch-up.sh"]),
            Contender::Script => run("sh", &["script-up.sh"]),
        }
    }

    pub(super) fn down(&self, who: Contender, watch: bool) -> anyhow::Result<Option<Usage>> {
        match who {
            Contender::Floor => floor::down(self.ring).map(|()| None),
            Contender::Vnet => self.vnet("down", watch).map(Some),
            Contender::Batch => run("ip", &["-batch", "down.batch"]),
            Contender::Script => run("sh", &["script-down.sh"]),
        }
    }

    /// Runs vnet with other arguments.
    pub(super) fn run_vnet(&self, arguments: &[&str]) -> anyhow::Result<Usage> {
        host::run(&mut command(self.vnet, arguments), false)
    }

    fn vnet(&self, verb: &str, watch: bool) -> anyhow::Result<Usage> {
        host::run(&mut command(self.vnet, &[verb, "vnet.yaml"]), watch)
    }
}

/// The faster of the ways to run a batch in a node.
///
/// `ip -n` copies the mount namespace to mount a `/sys` of its own, hence all pins too: with 1000 of them a ring takes 5.8 s
/// by it and 4.4 s by `nsenter`, with 100 it is 0.32 s and 0.44 s.
fn enter(ring: Ring, node: u32) -> String {
    match ring.0 {
        ..500 => format!("ip -n n{node} -batch"),
        500.. => format!("nsenter --net=/run/netns/n{node} ip -batch"),
    }
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<Option<Usage>> {
    // What iproute2's processes need is of no interest here.
    host::run(&mut command(Path::new(program), arguments), false).map(|_| None)
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(FOLDER).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

pub(super) fn timed<T>(action: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let start = Instant::now();
    let result = action()?;
    Ok((start.elapsed().as_secs_f64(), result))
}
