//! `cargo xtask bench ip`: the same commands by `ip -batch` and by `vnet ip -batch`, side by side, in one run.
//!
//! Contenders take turns, each in a new network namespace, on the benchmark's own host. Before a turn the kernel has done
//! with the namespaces of the one before. The first round warms up and is not counted. Times are those of the whole
//! command, process start included; the floor is the same messages by hand in this process, pipelined.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;

use super::contender::FOLDER;
use super::host::{self, Sentinels, Usage};
use super::ring::Ring;
use super::wire::{End, Messages, Socket};

/// How many messages the floor sends at a time.
const FLOOR_CHUNK: u32 = 64;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Counted rounds
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How many addresses, veth pairs and interfaces to show, each divided by ten
    #[arg(long)]
    quick: bool,
    /// The binary to measure, instead of building one
    #[arg(long, value_name = "PATH")]
    vnet: Option<PathBuf>,
}

/// Something to be done, and what is there before.
struct Job {
    name: String,
    /// A batch that makes what is there before.
    before: String,
    /// Who does it: a name and a command line, in which VNET stands for the program.
    contenders: Vec<(&'static str, Vec<String>)>,
    floor: Option<fn(u32) -> anyhow::Result<()>>,
    count: u32,
}

/// The figures of a contender: seconds and bytes.
struct Row {
    name: &'static str,
    seconds: Vec<f64>,
    peak_bytes: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let vnet = match &options.vnet {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?,
        None => super::build_vnet()?,
    };
    host::leave_machine()?;
    fs::create_dir(FOLDER)?;
    let scale = if options.quick { 10 } else { 1 };
    for job in jobs(scale, &vnet)? {
        let rows = measure(&job, options.runs.max(1))?;
        print!("{}", table(&job, &rows));
    }
    Ok(())
}

fn jobs(scale: u32, vnet: &Path) -> anyhow::Result<Vec<Job>> {
    let (count, shown) = (1000 / scale, 5000 / scale);
    let mut addresses = String::new();
    let mut veths = String::new();
    for number in 0..count {
        writeln!(addresses, "address add {}/32 dev v0", address(number))?;
        writeln!(veths, "link add a{number} type veth peer name b{number}")?;
    }
    let mut many = String::new();
    for number in 0..shown / 2 {
        writeln!(many, "link add a{number} type veth peer name b{number}")?;
    }
    let ring = Ring(100 / scale);
    fs::write(format!("{FOLDER}/addresses"), addresses)?;
    fs::write(format!("{FOLDER}/veths"), veths)?;
    fs::write(format!("{FOLDER}/ring"), ring.batch())?;
    let vnet = vnet.display().to_string();
    let batch = |file: &str| -> Vec<(&'static str, Vec<String>)> {
        let words = |words: &str| -> Vec<String> {
            let words = words.replace("VNET", &vnet);
            words.split(' ').map(str::to_owned).chain([file.to_owned()]).collect()
        };
        vec![
            ("ip -batch", words("ip -batch")),
            ("ip -force -batch", words("ip -force -batch")),
            ("vnet ip -batch", words("VNET ip -batch")),
            ("vnet ip -force -batch", words("VNET ip -force -batch")),
            ("vnet ip --atomic -batch", words("VNET ip --atomic -batch")),
        ]
    };
    let show = |words: &str| -> Vec<String> {
        words.replace("VNET", &vnet).split(' ').map(str::to_owned).collect()
    };
    let mut ring_contenders = batch("ring");
    // What makes namespaces can't be undone, so it is not done as a whole.
    ring_contenders.truncate(4);
    Ok(vec![
        Job {
            name: format!("{count} addresses"),
            before: "link add v0 type veth peer name v1\nlink set v0 up\n".into(),
            contenders: batch("addresses"),
            floor: Some(floor_addresses),
            count,
        },
        Job {
            name: format!("{count} veth pairs"),
            before: String::new(),
            contenders: batch("veths"),
            floor: Some(floor_veths),
            count,
        },
        Job {
            name: format!("the namespaces and links of a ring of {}", ring.0),
            before: String::new(),
            contenders: ring_contenders,
            floor: None,
            count,
        },
        Job {
            name: format!("`link show` of {shown} interfaces"),
            before: many,
            contenders: vec![
                ("ip link show", show("ip link show")),
                ("vnet ip link show", show("VNET ip link show")),
                ("ip -d link show", show("ip -d link show")),
                ("vnet ip -d link show", show("VNET ip -d link show")),
            ],
            floor: None,
            count,
        },
    ])
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

/// Lets all contenders take turns.
fn measure(job: &Job, runs: usize) -> anyhow::Result<Vec<Row>> {
    let names = job.contenders.iter().map(|(name, _)| *name);
    let names: Vec<&'static str> = names.chain(job.floor.map(|_| "floor")).collect();
    let mut rows: Vec<Row> =
        names.iter().map(|name| Row { name, seconds: Vec::new(), peak_bytes: 0 }).collect();
    for round in 0..=runs {
        for place in 0..rows.len() {
            let at = (round + place) % rows.len();
            let (seconds, usage) =
                turn(job, at).with_context(|| format!("{} by {}", job.name, names[at]))?;
            eprintln!("{}, round {round}/{runs}: {}: {seconds:.4} s", job.name, names[at]);
            if round > 0 {
                rows[at].seconds.push(seconds);
            }
            rows[at].peak_bytes = rows[at].peak_bytes.max(usage.map_or(0, |u| u.peak_bytes));
        }
    }
    Ok(rows)
}

/// One contender's turn, on a thread and in a namespace of its own.
fn turn(job: &Job, at: usize) -> anyhow::Result<(f64, Option<Usage>)> {
    let sentinels = std::thread::scope(|scope| {
        let turn = scope.spawn(|| -> anyhow::Result<_> {
            host::enter_new_network()?;
            if !job.before.is_empty() {
                fs::write(format!("{FOLDER}/before"), &job.before)?;
                host::run(&mut command(&["ip".into(), "-batch".into(), "before".into()]), false)?;
            }
            let start = Instant::now();
            let usage = match job.contenders.get(at) {
                Some((_, words)) => Some(host::run(&mut command(words), false)?),
                None => job.floor.map(|floor| floor(job.count)).transpose().map(|_| None)?,
            };
            Ok((start.elapsed().as_secs_f64(), usage))
        });
        turn.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
    })?;
    // The kernel goes on cleaning up the namespace, and what was pinned in it.
    let pins: Vec<_> = fs::read_dir("/run/netns")?.flatten().map(|pin| pin.file_name()).collect();
    if !pins.is_empty() {
        let words = ["ip", "-all", "netns", "del"].map(str::to_owned);
        host::run(&mut command(&words), false)?;
    }
    Sentinels::new()?.wait()?;
    ensure!(fs::read_dir("/run/netns")?.count() == 0, "namespaces are left");
    Ok(sentinels)
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(FOLDER).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn floor_addresses(count: u32) -> anyhow::Result<()> {
    let socket = Socket::open()?;
    let name = fs::read_to_string("/proc/thread-self/net/dev")?;
    ensure!(name.contains("v0:"), "there is no v0");
    // The pair is made `v1` first, whose index is 2.
    let index = 3;
    let mut messages = Messages::default();
    for number in 0..count {
        messages.add_address(index, address(number), 32);
        if number % FLOOR_CHUNK == FLOOR_CHUNK - 1 || number + 1 == count {
            messages.send(&socket)?;
        }
    }
    Ok(())
}

fn floor_veths(count: u32) -> anyhow::Result<()> {
    let socket = Socket::open()?;
    let namespace = fs::File::open("/proc/thread-self/ns/net")?;
    let mut messages = Messages::default();
    for number in 0..count {
        let (near, far) = (format!("a{number}"), format!("b{number}"));
        let end = |name, side: u32| {
            let [a, b, c, d] = (number * 2 + side).to_be_bytes();
            End { name, index: 10 + number * 2 + side, mac: [2, 0, a, b, c, d] }
        };
        messages.add_veth(&end(&near, 0), &end(&far, 1), namespace.as_fd());
        if number % FLOOR_CHUNK == FLOOR_CHUNK - 1 || number + 1 == count {
            messages.send(&socket)?;
        }
    }
    Ok(())
}

/// Shows medians, and how many times as fast as `ip -batch` (or the first contender) each is.
fn table(job: &Job, rows: &[Row]) -> String {
    let median = |row: &Row| {
        let mut seconds = row.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or_default()
    };
    let mut text = format!("\n{}\n", job.name);
    for (at, row) in rows.iter().enumerate() {
        let (time, least) =
            (median(row), row.seconds.iter().copied().fold(f64::INFINITY, f64::min));
        // `show` has two pairs of contenders.
        let base = if job.floor.is_none() && rows.len() == 4 && at >= 2 && job.name.contains("show")
        {
            &rows[2]
        } else {
            &rows[0]
        };
        let ratio = median(base) / time;
        let memory = match row.peak_bytes {
            0 => String::new(),
            bytes => format!("{:6.1} MB", bytes as f64 / 1e6),
        };
        let name = row.name;
        let _ = writeln!(
            text,
            "  {name:24} {:9.1} ms  (least {:7.1})  {ratio:5.2} x  {memory}",
            time * 1e3,
            least * 1e3
        );
    }
    text
}
