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
    #[arg(long, default_value_t = 11)]
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
    contenders: Vec<Contender>,
    floor: Option<fn(u32) -> anyhow::Result<()>>,
    count: u32,
    reach: Vec<Reach>,
}

/// Who does it.
struct Contender {
    name: &'static str,
    words: Vec<String>,
    /// The place of the one it is compared with.
    against: usize,
}

/// What is to be shown: that a contender is at least so many times as fast as another one.
struct Reach {
    contender: usize,
    against: usize,
    least: f64,
    /// Whether it may need no more memory either.
    memory: bool,
}

/// The figures of a contender: seconds and bytes.
struct Row {
    name: &'static str,
    against: usize,
    seconds: Vec<f64>,
    peak_bytes: u64,
}

impl Row {
    fn median(&self) -> f64 {
        quarter(&self.seconds, 2)
    }

    fn least(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Returns where so many quarters of the values are below; 2 is the median.
fn quarter(values: &[f64], quarters: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() * quarters / 4).copied().unwrap_or_default()
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
        print!("{}{}", table(&job, &rows), verdicts(&job, &rows));
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
    fs::write(format!("{FOLDER}/ring"), ring.whole_batch())?;
    fs::write(format!("{FOLDER}/ring-outside"), ring.batch())?;
    for node in ring.nodes() {
        fs::write(format!("{FOLDER}/ring-n{node}"), ring.node_batch(node))?;
    }
    let vnet = vnet.display().to_string();
    // All against iproute2's plain batch.
    let batch = |file: &str| -> Vec<Contender> {
        [
            ("ip -batch", "ip -batch"),
            ("ip -force -batch", "ip -force -batch"),
            ("vnet ip -batch", "VNET ip -batch"),
            ("vnet ip -force -batch", "VNET ip -force -batch"),
            ("vnet ip --atomic -batch", "VNET ip --atomic -batch"),
        ]
        .into_iter()
        .map(|(name, words)| contender(name, &format!("{words} {file}"), &vnet, 0))
        .collect()
    };
    let mut ring_contenders = batch("ring");
    // What makes namespaces can't be undone, so it is not done as a whole. In its place: a batch
    // for what is outside, and one for each node.
    ring_contenders.truncate(4);
    let by_node = format!(
        "set -e; ip -batch ring-outside; for n in $(seq {}); do ip -n n$n -batch ring-n$n; done",
        ring.0
    );
    let words = ["sh", "-c", &by_node].map(str::to_owned).to_vec();
    ring_contenders.push(Contender { name: "ip -batch for each node", words, against: 0 });
    let shows = [
        ("ip link show", 0),
        ("vnet ip link show", 0),
        ("ip -d link show", 2),
        ("vnet ip -d link show", 2),
    ];
    let shows = shows.map(|(words, against)| {
        contender(words, &words.replace("vnet ip", "VNET ip"), &vnet, against)
    });
    let at_least = |contender, against, least| Reach { contender, against, least, memory: false };
    Ok(vec![
        Job {
            name: format!("{count} addresses"),
            before: "link add v0 type veth peer name v1\nlink set v0 up\n".into(),
            contenders: batch("addresses"),
            floor: Some(floor_addresses),
            count,
            reach: vec![at_least(2, 0, 1.0), at_least(3, 0, 2.0), at_least(4, 0, 2.0)],
        },
        Job {
            name: format!("{count} veth pairs"),
            before: String::new(),
            contenders: batch("veths"),
            floor: Some(floor_veths),
            count,
            reach: vec![at_least(2, 0, 1.0), at_least(3, 0, 1.0), at_least(4, 0, 1.0)],
        },
        Job {
            name: format!("a ring of {} as one file", ring.0),
            before: String::new(),
            contenders: ring_contenders,
            floor: Some(|nodes| super::floor::up(Ring(nodes))),
            count: ring.0,
            reach: vec![at_least(2, 0, 2.5), at_least(3, 0, 2.5), at_least(2, 4, 2.5)],
        },
        Job {
            name: format!("`link show` of {shown} interfaces"),
            before: many,
            contenders: shows.into(),
            floor: None,
            count,
            reach: vec![
                Reach { memory: true, ..at_least(1, 0, 1.0) },
                Reach { memory: true, ..at_least(3, 2, 1.0) },
            ],
        },
    ])
}

fn contender(name: &'static str, words: &str, vnet: &str, against: usize) -> Contender {
    let words = words.replace("VNET", vnet).split(' ').map(str::to_owned).collect();
    Contender { name, words, against }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

/// Lets all contenders take turns.
fn measure(job: &Job, runs: usize) -> anyhow::Result<Vec<Row>> {
    let row = |name, against| Row { name, against, seconds: Vec::new(), peak_bytes: 0 };
    let mut rows: Vec<Row> = job.contenders.iter().map(|it| row(it.name, it.against)).collect();
    rows.extend(job.floor.map(|_| row("floor", 0)));
    for round in 0..=runs {
        for place in 0..rows.len() {
            let at = (round + place) % rows.len();
            let (seconds, usage) =
                turn(job, at).with_context(|| format!("{} by {}", job.name, rows[at].name))?;
            eprintln!("{}, round {round}/{runs}: {}: {seconds:.4} s", job.name, rows[at].name);
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
                Some(contender) => Some(host::run(&mut command(&contender.words), false)?),
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

/// Shows medians, and how many times as fast as who it is compared with each is.
fn table(job: &Job, rows: &[Row]) -> String {
    let mut text = format!("\n{}\n", job.name);
    for row in rows {
        let (time, least) = (row.median() * 1e3, row.least() * 1e3);
        let ratio = rows[row.against].median() / row.median();
        let memory = match row.peak_bytes {
            0 => String::new(),
            bytes => format!("{:6.1} MB", bytes as f64 / 1e6),
        };
        let name = row.name;
        let _ = writeln!(
            text,
            "  {name:24} {time:9.1} ms  (least {least:7.1})  {ratio:5.2} x  {memory}"
        );
    }
    text
}

/// Says of each reach whether it holds, by the medians. Where it does not, but the middle half of the rounds' own ratios
/// is on both sides of it, the two are `even`: this run can't tell them apart.
fn verdicts(job: &Job, rows: &[Row]) -> String {
    let mut text = String::new();
    for reach in &job.reach {
        let (row, other) = (&rows[reach.contender], &rows[reach.against]);
        let ratio = other.median() / row.median();
        let rounds = other.seconds.iter().zip(&row.seconds);
        let rounds: Vec<f64> = rounds.map(|(other, own)| other / own).collect();
        let (low, high) = (quarter(&rounds, 1), quarter(&rounds, 3));
        let wanted = reach.least;
        let verdict = match ratio {
            ratio if ratio >= wanted => "yes",
            _ if (low..=high).contains(&wanted) => "even",
            _ => "NO",
        };
        let (name, against) = (row.name, other.name);
        let _ = write!(
            text,
            "  {verdict:4} {name}: {ratio:.2} x `{against}` ({low:.2} to {high:.2}), at least {wanted}"
        );
        // What the kernel alone takes bounds what any program can do.
        if let Some(floor) = rows.last().filter(|row| row.name == "floor") {
            let _ = write!(text, " (the floor: {:.2})", other.median() / floor.median());
        }
        text.push('\n');
        if reach.memory {
            let verdict = if row.peak_bytes <= other.peak_bytes { "yes" } else { "NO" };
            let megabytes = |row: &Row| row.peak_bytes as f64 / 1e6;
            let (ours, theirs) = (megabytes(row), megabytes(other));
            let _ = writeln!(
                text,
                "  {verdict:4} {name}: {ours:.1} MB, at most the {theirs:.1} MB of `{against}`"
            );
        }
    }
    text
}
