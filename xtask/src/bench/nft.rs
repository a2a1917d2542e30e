//! `cargo xtask bench nft`: what firewalls and NAT cost.
//!
//! Two measurements in one run, on a host of the benchmark's own. One: a table of five rules is made in each of many
//! namespaces, by one netlink batch, and by the program `nft`, in turns. Two: the ring with and without such a table in each
//! node comes up by `vnet up`, in turns.
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use vnet_kernel::nft;
use vnet_model::nft::build::{Builder, Side, TCP, UDP};
use vnet_model::nft::{Base, Chain, ChainKind, CtState, Family, Hook, Table, TableId, text};
use vnet_model::{IfName, Origin};
use vnet_netlink::{Batch, Protocol, Socket};

use super::contender::Turn;
use super::host;
use super::report::Times;
use super::ring::Ring;

/// In how many namespaces the table is made each time.
const NAMESPACES: usize = 100;

/// The reach: seconds a namespace, and how many times as long the ring takes.
const BATCH_SECONDS_MAX: f64 = 0.0006;
const RATIO_MAX: f64 = 2.0;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sizes of the ring
    #[arg(long, value_delimiter = ',', default_value = "1000", value_parser = clap::value_parser!(u32).range(3..=30_000))]
    nodes: Vec<u32>,
    /// Counted rounds
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The binary to measure, instead of building one
    #[arg(long, value_name = "PATH")]
    vnet: Option<PathBuf>,
}

/// Measures, and prints both.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let vnet = match &options.vnet {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?,
        None => super::build_vnet()?,
    };
    host::leave_machine()?;
    let runs = options.runs.max(1);
    let (mut batches, mut programs) = (Vec::new(), Vec::new());
    for round in 0..=runs {
        let (batch, program) = table_times()?;
        if round > 0 {
            batches.extend(batch);
            programs.extend(program);
        }
    }
    let (batch, program) = (times(batches)?, times(programs)?);
    println!("A table of 5 rules a namespace ({NAMESPACES} namespaces, {runs} rounds), in ms:");
    println!("  by netlink in one batch   {}", ms(batch));
    println!("  by the program nft        {}", ms(program));
    println!(
        "  reach: at most {:.1}{}",
        BATCH_SECONDS_MAX * 1e3,
        met(batch.median <= BATCH_SECONDS_MAX)
    );
    for ring in options.nodes.iter().map(|nodes| Ring(*nodes)) {
        let (plain, filtered) = ring_times(ring, runs, &vnet)?;
        let ratio = filtered.median / plain.median;
        println!("\nA ring of {} nodes comes up ({runs} rounds), in s:", ring.0);
        println!("  without                   {}", s(plain));
        println!("  with firewall and NAT     {}", s(filtered));
        println!(
            "  {ratio:.2} times as long; reach: at most {RATIO_MAX}{}",
            met(ratio <= RATIO_MAX)
        );
    }
    Ok(())
}

fn met(is_met: bool) -> &'static str {
    if is_met { ": met" } else { ": NOT MET" }
}

fn ms(times: Times) -> String {
    let Times { median, min, max } = times;
    format!("{:.3} ({:.3} to {:.3})", median * 1e3, min * 1e3, max * 1e3)
}

fn s(times: Times) -> String {
    let Times { median, min, max } = times;
    format!("{median:.3} ({min:.3} to {max:.3})")
}

fn times(samples: Vec<f64>) -> anyhow::Result<Times> {
    Times::of(samples).context("there are no samples")
}

/// Two chains with five rules: what a small gateway has.
fn table() -> anyhow::Result<Table> {
    let wan = [IfName::new("wan")?];
    let lan = ["10.0.0.0/8".parse()?];
    let established = [CtState::Established, CtState::Related];
    let filter = vec![
        Builder::new().states(&established).accept(),
        Builder::new().prefixes(Side::Source, &lan).accept(),
        Builder::new().protocols(&[TCP]).ports(&[(22, 22)]).accept(),
        Builder::new().protocols(&[UDP]).ports(&[(53, 53)]).accept(),
    ];
    let nat = vec![Builder::new().interfaces(Side::Destination, &wan).masquerade()];
    let chain = |name: &str, kind, hook, priority, accepts, rules: Vec<Builder>| Chain {
        name: name.to_owned(),
        base: Some(Base { kind, hook, priority, accepts, devices: Vec::new() }),
        rules: rules.into_iter().map(|rule| rule.rule(Origin::NONE)).collect(),
    };
    let id = TableId { family: Family::Inet, name: "vnet".to_owned() };
    Ok(Table {
        chains: vec![
            chain("forward", ChainKind::Filter, Hook::Forward, 0, false, filter),
            chain("postrouting", ChainKind::Nat, Hook::Postrouting, 100, true, nat),
        ],
        ..Table::new(id, vnet_model::Mark::parse("vnet:bench/gw"))
    })
}

/// Makes the table in new namespaces: in every second one by netlink, in the others by the program.
fn table_times() -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let work = || -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let home = File::open("/proc/thread-self/ns/net")?;
        let table = table()?;
        let script = text::table(&table);
        let (mut batches, mut programs) = (Vec::new(), Vec::new());
        // All are held until the end: the kernel makes new ones slower while it removes old ones.
        let mut held = Vec::new();
        let mut batch = Batch::new();
        for number in 0..2 * NAMESPACES {
            host::enter_new_network()?;
            held.push(File::open("/proc/thread-self/ns/net")?);
            if number % 2 == 0 {
                let mut socket = Socket::open(Protocol::Netfilter)?;
                let start = Instant::now();
                nft::add(&mut batch, &table);
                let outcome = socket.submit_transaction(&mut batch)?;
                batches.push(start.elapsed().as_secs_f64());
                ensure!(outcome.is_ok(), "refused: {:?}", outcome.refusals());
            } else {
                let start = Instant::now();
                program(&script)?;
                programs.push(start.elapsed().as_secs_f64());
            }
        }
        move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network))?;
        let sentinels = host::Sentinels::new()?;
        drop(held);
        sentinels.wait()?;
        Ok((batches, programs))
    };
    thread::spawn(work).join().map_err(|_| anyhow!("a thread panicked"))?
}

fn program(script: &str) -> anyhow::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run nft (package nftables)")?;
    child.stdin.take().context("no pipe")?.write_all(script.as_bytes())?;
    ensure!(child.wait()?.success(), "nft failed");
    Ok(())
}

fn ring_times(ring: Ring, runs: usize, vnet: &std::path::Path) -> anyhow::Result<(Times, Times)> {
    let turn = Turn::prepare(ring, vnet)?;
    let (mut plain, mut filtered) = (Vec::new(), Vec::new());
    for round in 0..=runs {
        for (file, samples) in [("vnet.yaml", &mut plain), ("filtered.yaml", &mut filtered)] {
            let seconds = turn.up_and_down(file)?;
            eprintln!("{} nodes, round {round}/{runs}: {file}: up {seconds:.3} s", ring.0);
            if round > 0 {
                samples.push(seconds);
            }
        }
    }
    Ok((times(plain)?, times(filtered)?))
}
