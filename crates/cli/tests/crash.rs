//! Signals, crowds, and processes that are killed: nothing is half done, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

#[macro_use]
mod common;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{PAIR, vnet, write};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use vnet::kernel::{At, Watch};
use vnet_testns::sh;

/// Enough nodes for `up` to take a while.
const RING: &str = "
name: ring
nodes: { n1..80: { forward: true } }
links: [ { endpoints: [ n1..79, n2..80 ], pairs: each, pool: 10.0.0.0/16 } ]
";

fn begin(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vnet"))
        .args(args)
        .current_dir(std::env::var("HOME").unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts all at once, and fails unless all succeed.
fn all_at_once(commands: &[Vec<String>]) {
    let begun: Vec<Child> = commands
        .iter()
        .map(|args| begin(&args.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    for (child, args) in begun.into_iter().zip(commands) {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert!(status.success(), "{args:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn pins() -> usize {
    Path::new("/run/netns").read_dir().map_or(0, Iterator::count)
}

/// Lists what is left of any lab of whoever runs this test.
fn left() -> Vec<String> {
    let user = std::env::var("XDG_RUNTIME_DIR").map(|folder| format!("{folder}/vnet"));
    let folders = ["/run/netns".to_owned(), user.unwrap_or_else(|_| "/run/vnet".to_owned())];
    let entries = folders.iter().filter_map(|folder| Path::new(folder).read_dir().ok()).flatten();
    entries.flatten().map(|entry| entry.path().display().to_string()).collect()
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap()).unwrap()
}

/// Sends a signal as soon as it is time, and returns how the process ended.
fn interrupt(args: &[&str], signal: Signal, is_time: impl Fn() -> bool) -> Output {
    let mut child = begin(args);
    while !is_time() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    // It may have ended by itself.
    let _ = kill_process(pid_of(&child), signal);
    child.wait_with_output().unwrap()
}

#[test]
fn a_signal_undoes_a_new_lab() {
    vnet_testns::root(|| {
        write("vnet.yaml", RING);
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let output = interrupt(&["up"], signal, || pins() > 20);
            assert_eq!(output.status.signal(), Some(signal.as_raw()));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("interrupted by signal"), "{said}");
            assert_eq!(left(), [""; 0]);
        }
    });
}

#[test]
fn a_signal_undoes_a_change() {
    vnet_testns::root(|| {
        write("vnet.yaml", RING.replace("80", "10").replace("79", "9"));
        write("more.yaml", RING);
        assert_eq!(vnet(&["up"]).code, 0);
        let output = interrupt(&["up", "more.yaml"], Signal::INT, || pins() > 30);
        assert_eq!(output.status.signal(), Some(Signal::INT.as_raw()));
        assert_eq!((pins(), vnet(&["plan"]).code), (10, 0));
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

/// Whoever is told to end while waiting does so; a teardown that has begun is finished.
#[test]
fn a_signal_ends_a_teardown_before_or_after_it() {
    vnet_testns::root(|| {
        write("vnet.yaml", RING);
        assert_eq!(vnet(&["up"]).code, 0);
        let lock = std::fs::File::open("/run/vnet/ring/lock").unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let begun = Instant::now();
        let late = || begun.elapsed() > Duration::from_millis(200);
        for command in ["down", "up"] {
            let output = interrupt(&[command], Signal::TERM, late);
            assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()));
            assert_eq!(pins(), 80);
        }
        drop(lock);
        let output = interrupt(&["down", "--wait"], Signal::TERM, || pins() < 80);
        assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()));
        assert_eq!(left(), [""; 0]);
    });
}

#[test]
fn fifty_labs_at_once_while_others_make_namespaces() {
    vnet_testns::root(|| {
        let all = |command: &str| -> Vec<Vec<String>> {
            (0..50).map(|lab| words(&format!("-f vnet.yaml -l lab{lab} {command} -q"))).collect()
        };
        write("vnet.yaml", PAIR);
        let script = "until [ -e stop ]; do for i in 1 2 3; do ip netns add other$i
            ip -n other$i link add x type veth peer name y; done
            # Not while it is taken down: then somebody is inside.
            if [ -e meddle ]; then ip -n lab7-a link add made type bridge 2> /dev/null
                ip -n lab7-a link del made 2> /dev/null; else : > quiet; fi
            for i in 3 1 2; do ip netns del other$i; done; done";
        let home = std::env::var("HOME").unwrap();
        let mut others =
            Command::new("sh").args(["-c", script]).current_dir(&home).spawn().unwrap();
        for _ in 0..2 {
            write("meddle", "");
            all_at_once(&all("up"));
            std::fs::remove_file(format!("{home}/meddle")).unwrap();
            // What is made in the lab goes again, and the lab is as wanted all the time.
            all_at_once(&all("plan"));
            while std::fs::remove_file(format!("{home}/quiet")).is_err() {}
            all_at_once(&all("down"));
        }
        // Killed, it would leave an `ip` that is under way.
        write("stop", "");
        others.wait().unwrap();
        sh("ip -all netns del");
        assert_eq!(left(), [""; 0]);
    });
}

/// Brings one lab up and down from many processes at once.
fn crowd_on_one_lab() {
    write("vnet.yaml", PAIR);
    write("more.yaml", PAIR.replace("[ a, b ]\n", "[ a, b, c ]\n"));
    for round in 0..4 {
        let commands = ["up -q", "down -q", "up more.yaml -q", "up -q"].map(words);
        all_at_once(&[commands.clone(), commands].concat());
        let is_up = ["vnet.yaml", "more.yaml"].map(|file| vnet(&["plan", file]).code == 0);
        assert!(
            left().is_empty() || is_up[0] != is_up[1],
            "round {round}: {is_up:?}, {:?}",
            left()
        );
    }
    assert_eq!(vnet(&["down"]).code, 0);
    assert_eq!(left(), [""; 0]);
}

#[test]
fn a_crowd_on_one_lab() {
    vnet_testns::root(crowd_on_one_lab);
}

#[test]
fn a_crowd_on_one_lab_of_an_ordinary_user() {
    vnet_testns::user(crowd_on_one_lab);
}

/// Returns the processes of a lab of an ordinary user: `__hold` or `__work`.
fn keepers(argument: &str) -> BTreeSet<u32> {
    let entries = Path::new("/proc").read_dir().unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(argument.as_bytes())
    })
    .collect()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    while std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z"))
    {}
}

/// Returns the processes that read nftables text in a namespace that is pinned.
fn readers_of_text() -> Vec<u32> {
    let identity = |path: &Path| {
        let found = path.metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    let pins = Path::new("/run/netns").read_dir().into_iter().flatten().flatten();
    let pins: BTreeSet<_> = pins.filter_map(|pin| identity(&pin.path())).collect();
    let pids = Path::new("/proc").read_dir().unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let place = identity(Path::new(&format!("/proc/{pid}/ns/net")));
        name == "nft\n" && place.is_some_and(|place| pins.contains(&place))
    })
    .collect()
}

/// A text takes a while, and a killed `up` leaves nobody behind who is still at it.
#[test]
fn what_reads_nftables_text_ends_with_whoever_started_it() {
    vnet_testns::root(|| {
        let words: String =
            (0..30_000).map(|number| format!("      define word{number} = {number}\n")).collect();
        let node = format!("nftables: |\n{words}      table ip mine {{ }}\n");
        write("vnet.yaml", format!("name: texts\nnodes:\n  a:\n    {node}"));
        // One that still waits for its text would end without it.
        let since = Cell::new(None);
        let is_at_it = || {
            let has_begun = !readers_of_text().is_empty();
            let begun = since.get().unwrap_or_else(Instant::now);
            since.set(has_begun.then_some(begun));
            has_begun && begun.elapsed() > Duration::from_millis(200)
        };
        let output = interrupt(&["up"], Signal::KILL, is_at_it);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()), "{said}");
        let down = vnet(&["down"]);
        assert_eq!(down.code, 0, "{}", down.stderr);
        assert_eq!((left(), readers_of_text()), (vec![], vec![]));
    });
}

#[test]
fn a_holder_that_is_killed_takes_the_lab_with_it_and_no_more() {
    vnet_testns::user(|| {
        write("vnet.yaml", PAIR);
        for after in ["up", "down"] {
            assert_eq!(vnet(&["up"]).code, 0);
            keepers("__hold").into_iter().for_each(kill);
            assert_eq!(vnet(&["plan"]).code, 1);
            assert_eq!(vnet(&[after]).code, 0, "{after}");
            let is_up = vnet(&["plan"]).code == 0;
            assert_eq!(is_up, after == "up");
        }
        assert_eq!(left(), [""; 0]);
        assert_eq!(keepers("__hold"), BTreeSet::new());
    });
}

#[test]
fn a_command_of_an_ordinary_user_that_is_killed_is_made_good_by_the_next() {
    vnet_testns::user(|| {
        write("vnet.yaml", RING.replace("80", "12").replace("79", "11"));
        let begun = Instant::now();
        assert_eq!(vnet(&["up"]).code, 0);
        let whole = begun.elapsed();
        assert_eq!(vnet(&["down"]).code, 0);
        for part in 1..16 {
            let mut child = begin(&["up"]);
            std::thread::sleep(whole * part / 16);
            child.kill().unwrap();
            child.wait().unwrap();
            if part % 2 == 0 {
                assert_eq!(vnet(&["up"]).code, 0);
                assert_eq!(vnet(&["plan"]).code, 0);
            }
            assert_eq!(vnet(&["down"]).code, 0);
            assert_eq!(left(), [""; 0], "killed after {part}/16");
            assert_eq!(keepers("__hold"), BTreeSet::new(), "killed after {part}/16");
        }
    });
}

/// Kills the worker of a lab at an instant, once.
#[derive(Debug)]
struct Killer(usize, AtomicBool);

impl Watch for Killer {
    fn at(&self, at: At<'_>) -> Result<(), rustix::io::Errno> {
        if at == At::Step(self.0) && !self.1.swap(true, Ordering::Relaxed) {
            keepers("__work").into_iter().for_each(kill);
        }
        Ok(())
    }

    fn steps_until(&self, done: usize) -> usize {
        if done < self.0 { self.0 } else { usize::MAX }
    }
}

#[test]
fn a_worker_that_is_killed_loses_no_network() {
    vnet_testns::user(|| {
        let desired = |text: &str| {
            let source = vnet::file::Source::new("vnet.yaml", text);
            vnet::file::parse(&source, &[]).unwrap().resolve().unwrap()
        };
        let before = desired(PAIR);
        let after =
            desired(&PAIR.replace("[ a, b ]\n", "[ a, b, c ]\n").replace("10.0.0", "10.9.9"));
        let mut settings = vnet::Settings::new("/run/user/1000/vnet");
        let program = env!("CARGO_BIN_EXE_vnet").into();
        settings.keeper = Some(vnet::Keeper { program, join: false });
        let mut lab = vnet::Lab::open(&settings, &before.lab).unwrap();
        lab.up(&before, |_| {}).unwrap();
        let holder = keepers("__hold");
        let steps = lab.plan(&after).unwrap().plan.steps.len();
        let mut undone = 0;
        for step in 0..=steps {
            let watch: Arc<dyn Watch> = Arc::new(Killer(step, AtomicBool::new(false)));
            let watched = vnet::Settings { watch: Some(watch), ..settings.clone() };
            let mut other = vnet::Lab::open(&watched, &before.lab).unwrap();
            let expected = match other.up(&after, |_| {}) {
                // What does not need the worker any more is done without.
                Ok(_) => &after,
                Err(error) => {
                    assert!(matches!(error, vnet::Error::Undone { .. }), "{step}: {error}");
                    undone += 1;
                    &before
                }
            };
            drop(other);
            // What else looked at the lab has lost its worker too.
            lab = vnet::Lab::open(&settings, &before.lab).unwrap();
            let plan = lab.plan(expected).unwrap().plan;
            assert!(plan.is_empty(), "{step}: {:?}", plan.steps);
            lab.up(&before, |_| {}).unwrap();
        }
        assert!(undone > 0);
        assert_eq!(keepers("__hold"), holder);
        lab.down(&vnet::Down::default()).unwrap();
        assert_eq!(left(), [""; 0]);
    });
}

/// Enough bridges for a batch to take a while.
const BRIDGES: usize = 200;

/// Lines that make bridges.
fn bridges() -> String {
    (0..BRIDGES).map(|number| format!("link add br{number} group 42 type bridge\n")).collect()
}

/// Lists the bridges of [`bridges`] that are there, by their numbers.
fn made() -> BTreeSet<usize> {
    let devices = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let number = |line: &str| line.trim().strip_prefix("br")?.split(':').next()?.parse().ok();
    devices.lines().filter_map(number).collect()
}

#[test]
fn a_signal_undoes_an_atomic_batch() {
    vnet_testns::root(|| {
        write("batch", bridges());
        let before = vnet_testns::Snapshot::take();
        let args = ["ip", "--atomic", "-batch", "batch"];
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let output = interrupt(&args, signal, || made().len() > 20);
            assert_eq!(output.status.signal(), Some(signal.as_raw()));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.starts_with("called off: nothing has changed"), "{said}");
            assert_eq!(before.leaks(), [""; 0]);
        }
    });
}

/// Nothing of a batch is written down, so nobody can take back what it has done: its first lines, all
/// of them and in order. That they are there is said when it is tried again.
#[test]
fn a_batch_that_is_killed_leaves_its_first_lines() {
    vnet_testns::root(|| {
        write("batch", bridges());
        for options in [&["--atomic"][..], &[], &["-force"]] {
            let args: Vec<&str> =
                ["ip"].iter().chain(options).chain(&["-batch", "batch"]).copied().collect();
            let output = interrupt(&args, Signal::KILL, || made().len() > 20);
            assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()), "{options:?}");
            let left = made();
            // What was sent in one go is done to its end.
            assert!(left.len() > 20, "{options:?}: {}", left.len());
            assert_eq!(left, (0..left.len()).collect(), "{options:?}");
            let again = vnet(&["ip", "--atomic", "-batch", "batch"]);
            assert_eq!((again.code, made()), (1, left), "{}", again.stderr);
            assert!(again.stderr.contains("File exists"), "{}", again.stderr);
            sh("ip link del group 42");
        }
        assert_eq!(vnet(&["ip", "--atomic", "-batch", "batch"]).code, 0);
        assert_eq!(made().len(), BRIDGES);
        sh("ip link del group 42");
    });
}
