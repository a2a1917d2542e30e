//! Changes that go back by themselves unless they are confirmed.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{PAIR, line, vnet, write};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const PATIENCE: Duration = Duration::from_secs(20);

/// Writes the file as it is, and as it is to be.
fn files() {
    write("vnet.yaml", PAIR);
    write("after.yaml", PAIR.replace("10.0.0.", "10.9.0.").replace("[ a, b ]\n", "[ a, b, c ]\n"));
}

/// Waits until something is so.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the processes that wait for a confirmation.
fn workers() -> Vec<Pid> {
    let entries = Path::new("/proc").read_dir().unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let waits = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"__confirm")
    };
    pids.filter(waits).filter_map(Pid::from_raw).collect()
}

fn is(file: &str) -> bool {
    vnet(&["plan", "-q", file]).code == 0
}

fn ok(args: &[&str]) -> String {
    let run = vnet(args);
    assert_eq!(run.code, 0, "{args:?}: {run:?}");
    run.stderr
}

fn is_nothing_left() -> bool {
    let folder = std::env::var("XDG_RUNTIME_DIR").unwrap_or("/run".into()) + "/vnet/demo";
    !Path::new(&folder).exists() && workers().is_empty()
}

fn what_is_confirmed_stays() {
    files();
    ok(&["up"]);
    let said = ok(&["up", "after.yaml", "--confirm", "1h"]);
    assert!(said.contains("demo goes back to what was before in 3"), "{said}");
    assert!(said.contains("`vnet -l demo confirm` keeps it"), "{said}");
    assert!(ok(&["-l", "demo", "show"]).contains("demo goes back"));
    ok(&["confirm"]);
    assert!(is("after.yaml") && workers().is_empty());
    let run = vnet(&["confirm"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("no change to lab demo waits to be confirmed"), "{}", run.stderr);
    ok(&["down"]);
    assert!(is_nothing_left());
    assert!(vnet(&["confirm"]).stderr.contains("lab demo is not up"));
}

fn what_is_not_confirmed_goes_back() {
    files();
    // A lab that was not there goes.
    ok(&["up", "--confirm", "300ms"]);
    soon("gone", is_nothing_left);
    ok(&["up"]);
    // By hand: what was there comes back, not what the file said.
    assert_eq!(line("vnet exec a ip link set dev b mtu 1300").code, 0);
    ok(&["up", "after.yaml", "--confirm", "300ms"]);
    soon("without a worker", || workers().is_empty());
    let run = vnet(&["plan"]);
    assert!(run.stdout.contains("demo-a:b mtu 1500"), "{run:?}");
    assert!(run.stdout.contains("0 to add, 1 to change, 0 to remove"), "{run:?}");
    assert!(!run.stderr.contains("goes back"), "{run:?}");
    ok(&["up", "--confirm", "1h"]);
    ok(&["confirm", "--revert"]);
    assert!(vnet(&["plan"]).stdout.contains("demo-a:b mtu 1500"));
    ok(&["down"]);
    assert!(is_nothing_left());
}

fn others_meanwhile() {
    files();
    ok(&["up"]);
    ok(&["up", "after.yaml", "--confirm", "1h"]);
    // `up` without it means that all is well.
    ok(&["up", "after.yaml"]);
    assert!(is("after.yaml") && workers().is_empty());
    ok(&["up"]);
    // A second change to be confirmed: both go back.
    ok(&["up", "after.yaml", "--confirm", "1h"]);
    write("third.yaml", PAIR.replace("10.0.0.", "10.3.0."));
    ok(&["up", "third.yaml", "--confirm", "500ms"]);
    assert!(is("third.yaml"));
    soon("what it was", || is("vnet.yaml") && workers().is_empty());
    // One that fails changes nothing.
    ok(&["up", "after.yaml", "--confirm", "1h"]);
    let broken = PAIR.replace(
        "[ a, b ]\n",
        "{ a: , b: { sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 } } }\n",
    );
    write("broken.yaml", broken);
    for args in [&["up", "broken.yaml"][..], &["up", "broken.yaml", "--confirm", "300ms"]] {
        assert_eq!(vnet(args).code, 4);
        assert!(is("after.yaml"));
        assert_eq!(workers().len(), 1);
    }
    ok(&["down"]);
    assert!(is_nothing_left());
    assert_eq!(vnet(&["up", "broken.yaml", "--confirm", "300ms"]).code, 4);
    assert!(is_nothing_left());
}

fn whoever_made_it_is_killed() {
    files();
    ok(&["up"]);
    let mut shell = Command::new("sh")
        .args(["-c", "$VNET up after.yaml --confirm 2s -q; sleep 60"])
        .env("VNET", env!("CARGO_BIN_EXE_vnet"))
        .current_dir(std::env::var("HOME").unwrap())
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    soon("changed", || is("after.yaml"));
    let group = Pid::from_raw(shell.id().try_into().unwrap()).unwrap();
    for signal in [Signal::HUP, Signal::KILL] {
        // The first may have been enough.
        let _ = kill_process_group(group, signal);
    }
    shell.wait().unwrap();
    soon("what it was", || is("vnet.yaml") && workers().is_empty());
    // Killed in the midst of the change.
    let ring = "name: demo\nnodes: [ n1..40 ]\nlinks: [ { endpoints: [ n1..39, n2..40 ], pairs: each, pool: 10.7.0.0/16 } ]\n";
    write("ring.yaml", ring);
    let mut child = Command::new(env!("CARGO_BIN_EXE_vnet"))
        .args(["up", "ring.yaml", "--confirm", "500ms"])
        .current_dir(std::env::var("HOME").unwrap())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    soon("begun", || line("vnet -l demo exec n1 true").code == 0 || !workers().is_empty());
    std::thread::sleep(Duration::from_millis(20));
    child.kill().unwrap();
    child.wait().unwrap();
    soon("what it was", || is("vnet.yaml") && workers().is_empty());
    ok(&["down"]);
    assert!(is_nothing_left());
}

fn its_worker_is_killed() {
    files();
    ok(&["up"]);
    for (answer, file) in
        [(&["confirm"][..], "after.yaml"), (&["confirm", "--revert"], "vnet.yaml")]
    {
        ok(&["up", "vnet.yaml"]);
        ok(&["up", "after.yaml", "--confirm", "1s"]);
        let worker = workers()[0];
        kill_process(worker, Signal::KILL).unwrap();
        soon("without a worker", || workers().is_empty());
        for args in [&["-l", "demo", "show"][..], &["plan"]] {
            let said = vnet(args).stderr;
            assert!(said.contains("the process that was to take it back is gone"), "{said}");
        }
        ok(answer);
        assert!(is(file));
    }
    ok(&["down"]);
    assert!(is_nothing_left());
}

macro_rules! as_root_and_as_user {
    ($($what:ident: $root:ident, $user:ident;)*) => { $(
        #[test]
        fn $root() {
            vnet_testns::root($what);
        }

        #[test]
        fn $user() {
            vnet_testns::user($what);
        }
    )* };
}

as_root_and_as_user! {
    what_is_confirmed_stays: confirmed, confirmed_by_an_ordinary_user;
    what_is_not_confirmed_goes_back: not_confirmed, not_confirmed_by_an_ordinary_user;
    others_meanwhile: meanwhile, meanwhile_by_an_ordinary_user;
    whoever_made_it_is_killed: killed, killed_by_an_ordinary_user;
    its_worker_is_killed: worker_killed, worker_killed_by_an_ordinary_user;
}
