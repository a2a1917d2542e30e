//! `cargo xtask bench watch`: how long `vnet watch --repair` takes to mend what somebody has damaged.
//!
//! On a host of the benchmark's own, a ring comes up and is watched. Each damage is one netlink message. Two clocks run: from
//! before that message until the kernel has all of both nodes as it was, looked at every 0.2 ms, and the one of vnet's own
//! that it prints.
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::contender::{Contender, FOLDER, Turn};
use super::host::{self, Sentinels};
use super::report::Times;
use super::ring::{Ring, RingEnd, Side};
use super::wire::{Messages, RTM_GETADDR, RTM_GETLINK, Socket, number};

/// The reach, in milliseconds.
const REACH_MS: f64 = 100.0;

/// How often it is looked whether all is as it was.
const GLANCE: Duration = Duration::from_micros(200);

/// How long there is peace after each damage.
const PEACE: Duration = Duration::from_millis(150);

/// How long mending may take at all.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sizes of the ring
    #[arg(long, value_delimiter = ',', default_value = "10,1000", value_parser = clap::value_parser!(u32).range(4..=30_000))]
    nodes: Vec<u32>,
    /// How often each sort of damage is done
    #[arg(long, default_value_t = 50)]
    runs: u32,
    /// The binary to measure, instead of building one
    #[arg(long, value_name = "PATH")]
    vnet: Option<PathBuf>,
}

/// What is done to an interface.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It loses its address.
    NoAddress,
    /// It gets one more.
    MoreAddress,
    /// It is set down.
    Down,
    /// It is deleted, and with it its other end.
    Gone,
}

impl Damage {
    const ALL: [Self; 4] = [Self::NoAddress, Self::MoreAddress, Self::Down, Self::Gone];

    fn words(self) -> &'static str {
        match self {
            Self::NoAddress => "an address removed",
            Self::MoreAddress => "an address added",
            Self::Down => "a link set down",
            Self::Gone => "a link deleted",
        }
    }

    fn message(self, end: &RingEnd, index: u32) -> Messages {
        let mut messages = Messages::default();
        match self {
            Self::NoAddress => messages.del_address(index, end.address, 31),
            Self::MoreAddress => messages.add_address(index, [192, 0, 2, 1].into(), 32),
            Self::Down => messages.set_down(index),
            Self::Gone => messages.del_link(index),
        }
        messages
    }
}

/// Measures, and prints a table.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let vnet = match &options.vnet {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?,
        None => super::build_vnet()?,
    };
    host::leave_machine()?;
    println!("Mended by `vnet watch --repair`, in ms: median (min to max) of {}", options.runs);
    println!("{:>6}  {:<20} {:>24} {:>24}", "nodes", "damage", "in the kernel", "as vnet says");
    let mut verdicts = Vec::new();
    for ring in options.nodes.iter().map(|nodes| Ring(*nodes)) {
        verdicts.extend(measure(ring, options.runs.max(1), &vnet)?);
    }
    println!();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    Ok(())
}

fn measure(ring: Ring, runs: u32, vnet: &Path) -> anyhow::Result<Vec<String>> {
    let turn = Turn::prepare(ring, vnet)?;
    turn.up(Contender::Vnet, false)?;
    host::verify(ring.0).context("it built something else")?;
    let watch = Watch::begin(vnet)?;
    let mut verdicts = Vec::new();
    for damage in Damage::ALL {
        let (mut seen, mut told) = (Vec::new(), Vec::new());
        for run in 0..runs {
            let link = 1 + run.wrapping_mul(37) % ring.0;
            let (kernel, words) = watch
                .mends(ring, link, damage)
                .with_context(|| format!("{}, link {link}", damage.words()))?;
            seen.push(kernel);
            told.push(words);
        }
        let late = seen.iter().filter(|ms| **ms > REACH_MS).count();
        let median = Times::of(seen.clone()).context("no samples")?.median;
        let verdict = if median <= REACH_MS { "pass" } else { "miss" };
        verdicts.push(format!(
            "{verdict}: {} nodes: {}: {median:.1} ms, reach ≤ {REACH_MS}; {late} of {runs} took longer",
            ring.0,
            damage.words()
        ));
        let (seen, told) = (shown(seen)?, shown(told)?);
        println!("{:>6}  {:<20} {seen:>24} {told:>24}", ring.0, damage.words());
    }
    watch.end()?;
    host::verify(ring.0).context("it mended it to something else")?;
    let sentinels = Sentinels::new()?;
    turn.down(Contender::Vnet, false)?;
    sentinels.wait()?;
    Ok(verdicts)
}

fn shown(samples: Vec<f64>) -> anyhow::Result<String> {
    let Times { median, min, max } = Times::of(samples).context("there are no samples")?;
    Ok(format!("{median:.1} ({min:.1} to {max:.1})"))
}

/// A `vnet watch --repair --json`, and the lines that it prints.
struct Watch {
    child: Child,
    lines: Receiver<serde_json::Value>,
}

impl Watch {
    fn begin(vnet: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(vnet)
            .args(["-l", "bench", "watch", "--repair", "--json"])
            .current_dir(FOLDER)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run vnet watch")?;
        let stdout = child.stdout.take().context("no pipe")?;
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once it is measured.
                let _ = serde_json::from_str(&line).map(|line| tell.send(line));
            }
        });
        let watch = Self { child, lines };
        watch.until("begun")?;
        Ok(watch)
    }

    /// Waits for the next line of an event.
    fn until(&self, event: &str) -> anyhow::Result<serde_json::Value> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).with_context(|| format!("no {event}"))?;
            if line["event"] == event {
                return Ok(line);
            }
        }
    }

    /// Damages one end of a link, and returns how long it took until all was as before: in the kernel, and by vnet's words;
    /// in milliseconds.
    fn mends(&self, ring: Ring, link: u32, damage: Damage) -> anyhow::Result<(f64, f64)> {
        let end = ring.end(link, Side::First);
        let sockets = [socket_in(end.node)?, socket_in(ring.end(link, Side::Second).node)?];
        let index = index_of(&sockets[0], &end)?;
        let mut message = damage.message(&end, index);
        let start = Instant::now();
        message.send(&sockets[0])?;
        while !(is_whole(&sockets[0])? && is_whole(&sockets[1])?) {
            ensure!(start.elapsed() < PATIENCE, "nobody mends it");
            thread::sleep(GLANCE);
        }
        let kernel = start.elapsed().as_secs_f64() * 1e3;
        let elapsed = |line: &serde_json::Value| line["elapsed_ms"].as_f64();
        let mut words = elapsed(&self.until("mended")?).context("no elapsed_ms")?;
        thread::sleep(PEACE);
        for line in self.lines.try_iter().filter(|line| line["event"] == "mended") {
            words = words.max(elapsed(&line).context("no elapsed_ms")?);
        }
        Ok((kernel, words))
    }

    fn end(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

/// Opens a socket in a node.
fn socket_in(node: u32) -> anyhow::Result<Socket> {
    let open = move || -> anyhow::Result<Socket> {
        let namespace = File::open(format!("/run/netns/n{node}"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(Socket::open()?)
    };
    thread::spawn(open).join().map_err(|_| anyhow!("a thread panicked"))?
}

/// Finds the index of the interface that has an end's address.
fn index_of(socket: &Socket, end: &RingEnd) -> anyhow::Result<u32> {
    let octets = end.address.octets();
    let mut index = None;
    socket.dump(RTM_GETADDR, |address| {
        if address.windows(4).any(|bytes| bytes == octets) {
            index = Some(number(address, 4));
        }
    })?;
    index.with_context(|| format!("n{} has no {}", end.node, end.address))
}

/// Tells whether a node has its three interfaces up, each with an address.
fn is_whole(socket: &Socket) -> anyhow::Result<bool> {
    let (mut up, mut addressed) = (0, 0);
    socket.dump(RTM_GETLINK, |link| up += number(link, 8) & 1)?;
    socket.dump(RTM_GETADDR, |address| addressed += u32::from(address[0] == 2))?;
    Ok((up, addressed) == (3, 3))
}
