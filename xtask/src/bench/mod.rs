//! `cargo xtask bench`: the same ring of nodes built by vnet, by bare system calls and with iproute2, side by side.
//!
//! All contenders take turns in one run, on a host of the benchmark's own: a new network namespace, and a mount namespace
//! with a tmpfs on `/run`. Before each turn the kernel has done with the namespaces of the one before, since it makes new
//! ones up to three times slower meanwhile. The first round warms up and is not counted. What a contender built is checked.
//!
//! Times are those of the whole command, process start included, but for the floor, which is a thread here.

mod contender;
mod floor;
mod host;
mod ip;
mod nft;
mod report;
mod ring;
mod scale;
mod watch;
mod why;
mod wire;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use contender::{Contender, Sample, Turn};
use report::{Report, Row};
use ring::Ring;

/// From this many nodes on a turn of the shell script takes half a minute.
const MANY_NODES: u32 = 1000;
const RUNS_OF_MANY_NODES: usize = 3;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// Sizes of the ring [default: 10,100,1000]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(3..=30_000))]
    nodes: Vec<u32>,
    /// Counted rounds; at most 3 from 1000 nodes on unless given
    #[arg(long)]
    runs: Option<usize>,
    /// Take 10 and 100 nodes and 2 rounds unless told otherwise
    #[arg(long)]
    quick: bool,
    /// Who takes part
    #[arg(long, value_delimiter = ',', value_enum, default_value = "vnet,floor,batch,script")]
    only: Vec<Contender>,
    /// The binary to measure, instead of building one
    #[arg(long, value_name = "PATH")]
    vnet: Option<PathBuf>,
    /// Write every single sample to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures how time and memory grow up to 10,000 nodes, as a table and a plot; takes half an hour in quiet
    Scale(scale::Options),
    /// Measures what firewalls and NAT cost: a table in many namespaces, and the ring with and without
    Nft(nft::Options),
    /// Measures `vnet ip` against iproute2: batches of addresses, of links, a ring, and showing many interfaces
    Ip(ip::Options),
    /// Tries all pairs of a fabric of 1,000 nodes on paper, each single failure of its links, and checks a segment
    Why(why::Options),
    /// Damages a ring that `vnet watch --repair` watches, and measures how long it takes to mend it
    Watch(watch::Options),
}

impl Options {
    fn nodes(&self) -> &[u32] {
        match (self.nodes.is_empty(), self.quick) {
            (false, _) => &self.nodes,
            (true, true) => &[10, 100],
            (true, false) => &[10, 100, 1000],
        }
    }

    fn runs(&self, nodes: u32) -> usize {
        let usual = match (self.quick, nodes >= MANY_NODES) {
            (true, _) => 2,
            (false, true) => RUNS_OF_MANY_NODES,
            (false, false) => 5,
        };
        self.runs.unwrap_or(usual).max(1)
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
        Some(What::Scale(options)) => return scale::run(options),
        Some(What::Nft(options)) => return nft::run(options),
        Some(What::Ip(options)) => return ip::run(options),
        Some(What::Why(options)) => return why::run(options),
        Some(What::Watch(options)) => return watch::run(options),
        None => {}
    }
    // What needs the machine comes first: afterwards `/run` is another one, and there is no network.
    let vnet = match (&options.vnet, options.only.contains(&Contender::Vnet)) {
        (Some(path), _) => {
            fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?
        }
        (None, true) => build_vnet()?,
        (None, false) => PathBuf::new(),
    };
    let json =
        options.json.as_ref().map(fs::File::create).transpose().context("cannot write JSON")?;
    host::leave_machine()?;

    let mut report = Report::new()?;
    for &nodes in options.nodes() {
        report.rows.extend(measure(options, Ring(nodes), &vnet)?);
    }
    print!("{report}");
    match json {
        Some(file) => Ok(serde_json::to_writer_pretty(file, &report)?),
        None => Ok(()),
    }
}

/// Lets the contenders take turns at one ring.
fn measure(options: &Options, ring: Ring, vnet: &std::path::Path) -> anyhow::Result<Vec<Row>> {
    let runs = options.runs(ring.0);
    let mut rows: Vec<Row> = options.only.iter().map(|&who| Row::new(ring.0, who)).collect();
    let turn = Turn::prepare(ring, vnet)?;
    for round in 0..=runs {
        for place in 0..rows.len() {
            let row = (round + place) % rows.len();
            let row = &mut rows[row];
            let is_warm_up = round == 0;
            let sample = turn
                .take(row.contender, is_warm_up)
                .with_context(|| format!("{} with {} nodes", row.contender, ring.0))?;
            let Sample { up, down, .. } = sample;
            let what =
                if is_warm_up { "warm-up".to_owned() } else { format!("round {round}/{runs}") };
            eprintln!(
                "{} nodes, {what}: {}: up {up:.3} s, down {down:.3} s",
                ring.0, row.contender
            );
            row.add(sample, is_warm_up);
        }
    }
    Ok(rows)
}

fn build_vnet() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "vnet-cli"])
        .current_dir(&root)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "vnet does not build");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    fs::canonicalize(target.join("release/vnet")).context("cargo built no vnet")
}
