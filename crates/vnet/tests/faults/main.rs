//! Whatever goes wrong at whatever instant: nothing is half done, and nothing is lost.
//!
//! A process that dies is a child process: this test binary again, for the one test [`child`].
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]
#![allow(clippy::print_stdout, reason = "the table is the outcome")]

#[path = "../common/mod.rs"]
mod common;
mod job;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use job::{Fault, Labs, Operation, Watcher, What, When, Which};
use table::Table;
use vnet::kernel::{At, Watch};
use vnet::model::{Change, NewLink};
use vnet::{Down, Lab, Phase, Settings};

/// How long a sample may take where others want the processors too; 40 s is usual.
const WHILE_BUSY: Duration = Duration::from_secs(600);

/// How much of the table is tried.
struct Sample {
    /// Every how many-th instant.
    every: usize,
    /// How many kills at any time.
    random: usize,
    random_state: u64,
}

impl Sample {
    /// Takes every so many-th instant, and others each time.
    fn of(&mut self, instants: &[When], every: usize) -> Vec<When> {
        let first = self.pick(every.min(instants.len()).max(1));
        instants.iter().skip(first).step_by(every).cloned().collect()
    }

    /// Takes every so many-th step, and of all that is no step the same share or a few.
    fn all(&mut self, instants: &[When]) -> Vec<When> {
        let (steps, others): (Vec<When>, Vec<When>) =
            instants.iter().cloned().partition(|when| matches!(when, When::Step(_)));
        let mut sample = self.of(&steps, self.every);
        sample.extend(self.of(&others, self.every.min(9)));
        sample
    }

    /// Returns a number below `limit` (SplitMix64).
    fn pick(&mut self, limit: usize) -> usize {
        self.random_state = self.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random_state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

/// Fills the table of some operations.
fn fill(which: Which, operations: &[Operation], mut sample: Sample) -> Table {
    let labs = Labs::read(which);
    let _host = table::be_host();
    let mut table = Table::default();
    for &operation in operations {
        let instants = operation.instants(&labs);
        assert!(!instants.iter().any(table::is_undoing), "it went wrong by itself");
        let steps: Vec<When> =
            instants.iter().filter(|when| matches!(when, When::Step(_))).cloned().collect();
        let rows = &mut table.0;
        rows.push(table::die(&labs, operation, &sample.all(&instants), false));
        let seldom = 4 * sample.every;
        rows.push(table::die(&labs, operation, &sample.of(&instants, seldom), true));
        rows.push(table::fail(&labs, operation, &sample.all(&instants), What::Fail));
        if operation != Operation::Down {
            let some = sample.of(&steps, sample.every);
            rows.push(table::fail(&labs, operation, &some, What::Refuse));
            for what in [What::Die, What::Fail] {
                let some = sample.of(&steps, seldom);
                rows.push(table::undo(&labs, operation, &some, what, |limit| sample.pick(limit)));
            }
        }
        let runs = sample.random;
        rows.push(table::random(&labs, operation, runs, |limit| sample.pick(limit)));
    }
    table
}

/// Fills a table with one thing of each kind that goes wrong half-way: an emulated machine takes seconds for each.
fn few(labs: &Labs) -> Table {
    let half = |before: &vnet::model::State| {
        vec![When::Step(vnet::plan(&labs.after, before).steps.len() / 2)]
    };
    let (build, change) = (half(&vnet::model::State::default()), half(&labs.before.state));
    let down = [When::Unmounted("f-r1".into())];
    Table(vec![
        table::fail(labs, Operation::Build, &build, What::Fail),
        table::fail(labs, Operation::Change, &change, What::Refuse),
        table::die(labs, Operation::Change, &change, false),
        table::die(labs, Operation::Down, &down, false),
    ])
}

fn check(operations: &[Operation], every: usize, random: usize) {
    let sample = Sample { every, random, random_state: every as u64 };
    show(&fill(Which::Whole, operations, sample));
}

/// Prints the table, and fails where something came out wrong.
fn show(table: &Table) {
    println!("{table}");
    assert_eq!(table.findings(), [""; 0]);
}

/// What steps do, as the names of the changes.
fn changes(steps: &[vnet::model::Step]) -> std::collections::BTreeSet<String> {
    let text = |step: &vnet::model::Step| format!("{:?}", step.change);
    let word = |text: String| text.split([' ', '(', '{']).next().unwrap().to_owned();
    steps.iter().map(|step| word(text(step))).collect()
}

#[test]
fn the_labs_use_the_whole_vocabulary() {
    let labs = Labs::read_all(Which::Whole);
    let nothing = vnet::model::State::default();
    let all = vnet::plan(&labs.after, &nothing).steps;
    let change = vnet::plan(&labs.after, &labs.before.state).steps;
    assert!(all.len() >= 200, "{}", all.len());
    assert!(change.len() >= 100, "{}", change.len());
    let mut seen = changes(&all);
    seen.extend(changes(&change));
    let expected = [
        "AddAddress",
        "AddFdb",
        "AddLink",
        "AddNamespace",
        "AddRoute",
        "AddTable",
        "ChangeTable",
        "DelAddress",
        "DelEntry",
        "DelFdb",
        "DelLink",
        "DelNamespace",
        "DelRoute",
        "DelTable",
        "ReplaceRoute",
        "RunNft",
        "SetEntry",
        "SetLink",
        "SetSysctl",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    let text = format!("{all:?} {change:?}");
    let settings = [
        "Up(true)",
        "Up(false)",
        "Mtu(",
        "Mac(",
        "Alias(Some",
        "Alias(None",
        "AddAltname(",
        "ForwardIpv4(true)",
        "Ipv6(false)",
        "stp_state",
        "Master(Some",
        "Master(None",
        "Blackhole",
        "Unreachable",
        "Prohibit",
        "Throw",
        "onlink: true",
        "disable_ipv6",
        "TxQueueLen(",
        "Queues { tx: Some(2)",
        "Offload(",
        "rp_filter",
        "accept_ra",
        "isolated",
        "macvlan",
        "vxlan",
        "\"tap\"",
        "\"/host\"",
    ];
    for setting in settings {
        assert!(text.contains(setting), "no {setting}");
    }
}

/// What the other labs lack is in those for the virtual machines.
#[test]
fn the_labs_have_each_kind_and_what_only_some_kernels_do() {
    let steps = |which| {
        let labs = Labs::read_all(which);
        let nothing = vnet::model::State::default();
        let plans = [
            vnet::plan(&labs.before, &nothing),
            vnet::plan(&labs.after, &labs.before.state),
            vnet::plan(&labs.after, &nothing),
        ];
        plans.map(|plan| plan.steps).concat()
    };
    let [whole, vm, newer] = [Which::Whole, Which::Vm, Which::Newer].map(steps);
    let seen = changes(&vm);
    for change in ["SetPortVlan", "DelPortVlan", "SetWireguard"] {
        assert!(seen.contains(change), "no {change}: {seen:?}");
    }
    let all = whole.iter().chain(&vm).chain(&newer);
    let devices = all.filter_map(|step| match &step.change {
        Change::AddLink { link: NewLink::Device { device, .. }, .. } => Some(device.spec.name),
        Change::AddLink { link: NewLink::Pair { device, .. }, .. } => {
            Some(device.as_ref()?.spec.name)
        }
        _ => None,
    });
    let devices: std::collections::BTreeSet<&str> = devices.collect();
    let all = vnet::model::kind::ALL.iter().map(|spec| spec.name);
    let missing: Vec<&str> = all.filter(|kind| !devices.contains(kind)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_build_that_goes_wrong() {
    vnet_testns::root_within(WHILE_BUSY, || check(&[Operation::Build], 96, 3));
}

#[test]
fn a_change_that_goes_wrong() {
    vnet_testns::root_within(WHILE_BUSY, || check(&[Operation::Change], 160, 3));
}

#[test]
fn a_teardown_that_goes_wrong() {
    vnet_testns::root_within(WHILE_BUSY, || check(&[Operation::Down], 4, 3));
}

#[test]
fn a_record_that_is_cut_at_any_byte() {
    vnet_testns::root(|| show(&Table(vec![table::cut_anywhere(101)])));
}

/// As all of these together, of what the kernel at hand may lack.
#[test]
fn vm_what_takes_more_of_a_kernel() {
    vnet_testns::machine_root(|| {
        vnet_testns::requires(&[
            "vlan",
            "bridge-vlan",
            "vrf",
            "dummy",
            "bond",
            "ipvlan",
            "gre",
            "ipip",
            "ip6tnl",
            "geneve",
            "wireguard",
            "macvtap",
            "gretap",
            "ip6gre",
            "ip6gretap",
            "sit",
            "rps",
        ]);
        show(&few(&Labs::read(Which::Vm)));
    });
}

#[test]
fn vm_what_takes_a_newer_kernel() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["netkit"]);
        show(&few(&Labs::read(Which::Newer)));
    });
}

/// A pin that a killed `up` has left without a namespace goes when the next one fails; what it had
/// made stays as it was.
#[test]
fn a_failure_after_a_kill() {
    vnet_testns::root(|| {
        let _host = table::be_host();
        let labs = Labs::read(Which::Whole);
        let instants = Operation::Build.instants(&labs);
        let fault = |when: &When, what| Fault { when: when.clone(), what, undoing: false };
        for when in instants.iter().filter(|when| matches!(when, When::Named(_))).step_by(4) {
            job::die_elsewhere(&labs, Operation::Build, &[fault(when, What::Die)]).unwrap();
            let When::Named(stale) = when else { continue };
            let stale = format!("{}/{stale}", vnet::kernel::pins::NETNS_DIR);
            let mut before = table::left();
            assert!(before.contains(&stale), "{before:?}");
            // Two threads make namespaces: the other one may have been as far.
            let is_stale = |path: &String| {
                std::fs::read_to_string(path).is_ok_and(|text| text.starts_with("vnet:"))
            };
            before.retain(|path| !is_stale(path));
            let end = fault(&When::Said("all is as wanted".into()), What::Fail);
            let error = labs.act(Operation::Build, Watcher::new(vec![end])).unwrap_err();
            assert!(matches!(error, vnet::Error::Undone { .. }), "{error:?}");
            if before.iter().any(|path| path.contains("netns")) {
                assert_eq!(table::left(), before);
                labs.open(None).down(&Down::default()).unwrap();
            }
            assert_eq!(table::left(), [""; 0]);
        }
    });
}

/// Somebody who changes something by hand between a look and the first step.
#[derive(Debug)]
struct Meddler(&'static str, AtomicBool);

impl Watch for Meddler {
    fn at(&self, at: At<'_>) -> Result<(), rustix::io::Errno> {
        if at == At::Step(0) && !self.1.swap(true, Ordering::Relaxed) {
            vnet_testns::sh(self.0);
        }
        Ok(())
    }
}

#[test]
fn what_others_do_meanwhile_is_looked_at_again() {
    vnet_testns::root(|| {
        let labs = Labs::read(Which::Whole);
        let cases = [
            // Interfaces with the indexes that were chosen for others (EBUSY), …
            "for ns in f-r2 f-r3 f-quiet; do ip -n $ns link add made type bridge; done",
            // … interfaces and addresses that were to be changed or removed and are gone, …
            "ip -n f-sw link del h1; ip -n f-r1 address del 10.1.2.1/24 dev r2",
            // … and namespaces that go away.
            "ip netns del f-r3; ip netns del f-pc1",
        ];
        for script in cases {
            let _host = table::be_host();
            labs.open(None).up(&labs.before, |_| {}).unwrap();
            let watch = Arc::new(Meddler(script, AtomicBool::new(false)));
            let settings = Settings { watch: Some(watch), ..Settings::new(common::STATE_DIR) };
            let mut lab = Lab::open(&settings, &labs.after.lab).unwrap();
            let executed = std::cell::Cell::new(0);
            let count = |phase| {
                executed.set(executed.get() + usize::from(matches!(phase, Phase::Executing(_))));
            };
            lab.up(&labs.after, count).unwrap_or_else(|error| panic!("{script}: {error}"));
            assert!(executed.get() > 1, "{script}: nobody was in the way");
            assert_eq!(common::planned(&lab, &labs.after), [""; 0], "{script}");
            lab.down(&Down::default()).unwrap();
        }
    });
}

#[test]
#[ignore = "takes many minutes: `cargo xtask faults`"]
fn the_whole_table() {
    vnet_testns::root_within(Duration::from_secs(3 * 3600), || {
        let sample = Sample { every: 1, random: 400, random_state: 1 };
        let only = std::env::var("VNET_FAULTS_ONLY").ok();
        let is_asked = |it: &Operation| only.as_deref().is_none_or(|only| only == it.word());
        let operations: Vec<Operation> = Operation::ALL.into_iter().filter(is_asked).collect();
        assert!(!operations.is_empty(), "nothing is called {only:?}");
        let mut table = fill(Which::Whole, &operations, sample);
        table.0.push(table::cut_anywhere(1));
        show(&table);
    });
}

/// No test, but what a child process does: nothing without a job.
#[test]
#[ignore = "the main function of a child process"]
fn child() {
    job::be_child();
}
