//! The library in a program with threads, of an ordinary user: it can't join a keeper's namespaces,
//! and works all the same.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::process::Stdio;

use vnet::kernel::echo::{Options, Outcome, Probe, echo};
use vnet::{Desired, Down, Error, Exec, Keeper, Lab, Settings, Topology};
use vnet_testns::sh;

fn settings() -> Settings {
    let keeper = Keeper { program: env!("CARGO_BIN_EXE_vnet").into(), join: false };
    let state_dir = format!("{}/vnet", std::env::var("XDG_RUNTIME_DIR").unwrap());
    Settings { keeper: Some(keeper), ..Settings::new(state_dir) }
}

fn desired(subnet: &str) -> Desired {
    let link = vnet::model::topology::Link::between("a", "b").unwrap();
    let topology = Topology::builder("threads")
        .node("a")
        .node("b")
        .link(link.prefixes([subnet.parse().unwrap()]))
        .build()
        .unwrap();
    vnet::resolve(&topology).unwrap()
}

#[test]
fn a_program_with_threads_of_an_ordinary_user_has_labs() {
    vnet_testns::user(|| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other_thread = std::thread::spawn(move || stopped.recv());
        let before = desired("10.0.0.0/24");
        let mut lab = Lab::open(&settings(), &before.lab).unwrap();
        assert!(matches!(lab.show(), Err(Error::NotUp { .. })));
        let up = lab.up(&before, |_| {}).unwrap();
        assert!(!up.steps.is_empty());

        // A second look, from another thread: everything is as wanted.
        let (settings, name) = (settings(), before.lab.clone());
        let look = move || Lab::open(&settings, &name).unwrap().show().unwrap().plan.steps.len();
        assert_eq!(std::thread::spawn(look).join().unwrap(), 0);

        let after = desired("10.1.0.0/24");
        assert_eq!(lab.up(&after, |_| {}).unwrap().steps.len(), 4);
        let probe = Probe::new(after.nodes["a"].clone(), "10.1.0.2".parse().unwrap());
        let outcomes =
            echo(lab.realm().unwrap(), &[probe], &Options::default(), |_, _| {}).unwrap();
        assert!(matches!(outcomes[0], Outcome::Reply { .. }), "{:?}", outcomes[0]);

        let mut command = lab.command("b", "sh", Exec::default()).unwrap();
        let output = command.args(["-c", "hostname; id -u; ls /sys/class/net"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "b\n0\na\nlo\n");

        // What vnet started is ended with the lab.
        let mut sleep = lab.command("a", "sleep", Exec::default()).unwrap();
        let mut sleep = sleep.arg("600").stdin(Stdio::null()).spawn().unwrap();
        let removed = lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        assert_eq!((removed.namespaces.len(), removed.processes), (2, 1));
        sleep.wait().unwrap();
        drop(stop);
        other_thread.join().unwrap().unwrap_err();
    });
}

#[test]
fn what_is_dropped_half_way_leaves_nothing_behind() {
    vnet_testns::user(|| {
        // Opened and never brought up.
        drop(Lab::open(&settings(), &desired("10.0.0.0/24").lab).unwrap());
        // Brought up into an error.
        let topology = Topology::builder("threads").node("a").build().unwrap();
        let mut broken = vnet::resolve(&topology).unwrap();
        let namespace = broken.state.namespaces.values_mut().next().unwrap();
        namespace.sysctls.insert("net.ipv4.conf.nowhere.rp_filter".into(), "1".into());
        let mut lab = Lab::open(&settings(), &broken.lab).unwrap();
        let error = lab.up(&broken, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        assert!(error.to_string().contains("net.ipv4.conf.nowhere.rp_filter"), "{error}");
        drop(lab);
        assert_eq!(sh("ls -A $XDG_RUNTIME_DIR/vnet"), "");
    });
}

/// Neither the keeper nor who waits for a confirmation stays as a zombie in a program that goes on.
#[test]
fn a_program_that_goes_on_has_no_children_left() {
    vnet_testns::user(|| {
        // As the first process of its namespace, the one of a test has all that has no parent.
        let mut program = std::process::Command::new("/proc/self/exe");
        program.args(["goes_on", "--exact", "--ignored", "--nocapture"]).env(ENV_GOES_ON, "1");
        assert!(program.status().unwrap().success());
    });
}

/// Set for a program that goes on.
const ENV_GOES_ON: &str = "VNET_LIBRARY_GOES_ON";

/// No test, but what that program does.
#[test]
#[ignore = "the main function of a child process"]
fn goes_on() {
    if std::env::var_os(ENV_GOES_ON).is_none() {
        return;
    }
    let desired = desired("10.0.0.0/24");
    let mut lab = Lab::open(&settings(), &desired.lab).unwrap();
    let confirm = |within| vnet::Confirm {
        within: std::time::Duration::from_millis(within),
        program: env!("CARGO_BIN_EXE_vnet").into(),
    };
    // One that is confirmed, and one that goes back by itself.
    lab.up_to_confirm(&desired, &confirm(3_600_000), |_| {}).unwrap();
    lab.confirm().unwrap();
    lab.down(&Down::default()).unwrap();
    lab.up_to_confirm(&desired, &confirm(200), |_| {}).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !matches!(lab.show(), Err(Error::NotUp { .. })) {
        assert!(std::time::Instant::now() < until, "it does not go back");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(lab);
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let children: String = tasks.map(|task| children(task.path().join("children"))).collect();
    assert_eq!(children, "");
}

#[test]
fn without_a_keeper_it_says_what_it_needs() {
    vnet_testns::user(|| {
        let settings = Settings { keeper: None, ..settings() };
        let error = Lab::open(&settings, &desired("10.0.0.0/24").lab).unwrap_err();
        assert!(matches!(error, Error::Unprivileged), "{error:?}");
    });
}
