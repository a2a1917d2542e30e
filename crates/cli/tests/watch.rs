//! `vnet watch`, as root and as an ordinary user.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::{PAIR, line, vnet, write};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    action: String,
    namespace: String,
    object: String,
}

/// A line of what it prints: fields that are not promised here fail these tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "that they are read is what is tested")]
struct Line {
    version: u32,
    kind: String,
    lab: String,
    event: String,
    namespaces: Option<usize>,
    #[serde(default)]
    changes: Vec<Change>,
    conflict: Option<String>,
    undeclared: Option<String>,
    elapsed_ms: Option<f64>,
    message: Option<String>,
}

/// A `vnet watch --json` and what it prints.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn begin(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vnet"))
            .args(["watch", "--json"])
            .args(args)
            .current_dir(std::env::var("HOME").unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut watch = Self { child, lines };
        assert_eq!(watch.until("begun").namespaces, Some(2));
        watch
    }

    /// Reads up to the next line of this event.
    fn until(&mut self, event: &str) -> Line {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("it ended before {event}"));
            let line: Line = serde_json::from_str(&line.unwrap()).unwrap();
            assert_eq!((line.version, line.kind.as_str(), line.lab.as_str()), (1, "watch", "demo"));
            if line.event == event {
                return line;
            }
        }
    }
}

fn damage_is_seen_and_mended() {
    write("vnet.yaml", PAIR);
    assert_eq!(vnet(&["up"]).code, 0);
    let mut watch = Watch::begin(&[]);
    assert_eq!(line("vnet exec a ip link set dev b down").code, 0);
    let drift = watch.until("drift");
    let Change { action, namespace, object } = &drift.changes[0];
    assert_eq!([action, namespace, object], ["set", "demo-a", "demo-a:b up"]);
    assert_eq!(line("vnet exec a ip link set dev b up").code, 0);
    watch.until("gone");
    let pid = Pid::from_raw(watch.child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(watch.child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));

    let mut watch = Watch::begin(&["--repair"]);
    assert_eq!(line("vnet exec a ip addr del 10.0.0.1/24 dev b").code, 0);
    let mended = watch.until("mended");
    assert_eq!(mended.changes[0].object, "address 10.0.0.1/24 on demo-a:b");
    let plan = vnet(&["plan"]);
    assert_eq!(plan.code, 0, "{} {}", plan.stdout, plan.stderr);
    assert_eq!(line("vnet -l demo exec b ip link del dev a").code, 0);
    watch.until("mended");
    let ping = vnet(&["ping"]);
    assert_eq!(ping.code, 0, "{} {}", ping.stdout, ping.stderr);
    assert_eq!(vnet(&["down"]).code, 0);
    watch.until("down");
    assert!(watch.child.wait().unwrap().success());

    let run = vnet(&["watch"]);
    assert_eq!((run.code, run.stdout.as_str()), (4, ""));
    assert!(run.stderr.contains("lab demo is not up"), "{}", run.stderr);
}

#[test]
fn damage() {
    vnet_testns::root(damage_is_seen_and_mended);
}

#[test]
fn damage_to_a_lab_of_an_ordinary_user() {
    vnet_testns::user(damage_is_seen_and_mended);
}

#[test]
fn it_ends_when_nobody_reads_it() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        assert_eq!(vnet(&["up"]).code, 0);
        let Watch { mut child, lines } = Watch::begin(&[]);
        drop(lines);
        assert_eq!(line("vnet exec a ip link set dev b down").code, 0);
        assert!(child.wait().unwrap().success());
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

/// A program with threads can't join the keeper: its worker hands out what it listens by.
#[test]
fn a_library_in_a_program_of_an_ordinary_user() {
    vnet_testns::user(|| {
        let source = vnet::file::Source::new("vnet.yaml", PAIR);
        let desired = vnet::file::parse(&source, &[]).unwrap().resolve().unwrap();
        let mut settings = vnet::Settings::new("/run/user/1000/vnet");
        let program = env!("CARGO_BIN_EXE_vnet").into();
        settings.keeper = Some(vnet::Keeper { program, join: false });
        let mut lab = vnet::Lab::open(&settings, &desired.lab).unwrap();
        lab.up(&desired, |_| {}).unwrap();
        let how = vnet::Watching { repair: true, ..vnet::Watching::default() };
        let mut mended = Vec::new();
        let ended = lab.watch(&how, |notice| match notice {
            vnet::Notice::Begun { .. } => {
                assert_eq!(line("vnet -l demo exec a ip addr flush dev b").code, 0);
                ControlFlow::Continue(())
            }
            vnet::Notice::Mended { steps, .. } => {
                mended.extend(steps.iter().map(ToString::to_string));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(ended.unwrap(), vnet::Ended::Enough);
        assert!(mended.contains(&"address 10.0.0.1/24 on demo-a:b".to_owned()), "{mended:?}");
        lab.down(&vnet::Down::default()).unwrap();
    });
}
