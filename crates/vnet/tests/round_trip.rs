//! There and back on the real kernel: what exists is said, and what is said exists.
//!
//! The labs are random and the same in each run. `PROPTEST_RNG_SEED` picks others, `PROPTEST_CASES`
//! says how many.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;
#[path = "round_trip/look.rs"]
mod look;

use common::{open, planned, signed};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vnet::model::{Change, Desired, LinkSetting, Step, Topology, arbitrary};
use vnet::{Down, Lab};

/// Random labs, the same in each run.
struct Labs<S> {
    runner: TestRunner,
    strategy: S,
    left: usize,
    number: usize,
}

impl<S: Strategy<Value = (Topology, Desired)>> Labs<S> {
    fn new(strategy: S, usual: usize) -> Self {
        let asked = |key: &str| std::env::var(key).ok()?.parse().ok();
        let seed: u64 = asked("PROPTEST_RNG_SEED").unwrap_or(20_261_125);
        let left = asked("PROPTEST_CASES").and_then(|n| n.try_into().ok()).unwrap_or(usual);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(Config::default(), rng);
        Self { runner, strategy, left, number: 0 }
    }
}

impl<S: Strategy<Value = (Topology, Desired)>> Iterator for Labs<S> {
    type Item = (usize, Desired);
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.number += 1;
        let (_, desired) = self.strategy.new_tree(&mut self.runner).unwrap().current();
        Some((self.number, desired))
    }
}

fn build(desired: &Desired) -> Lab {
    let mut lab = open(desired);
    lab.up(desired, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    lab
}

/// Further names are not in the language.
fn is_altname(step: &Step) -> bool {
    matches!(&step.change, Change::SetLink { set: LinkSetting::DelAltname(_), .. })
}

/// Takes a snapshot of a lab, and sees that the file which is written of it means what is there.
fn snapshot_means_what_is_there(number: usize, desired: &Desired) {
    let lab = build(desired);
    let seen = lab.snapshot("lab-*", &[]).unwrap_or_else(|error| panic!("lab {number}: {error:?}"));
    assert_eq!(seen.left_out, [""; 0], "lab {number}");
    let differs: Vec<Step> = seen.differs.iter().filter(|it| !is_altname(it)).cloned().collect();
    assert_eq!(signed(&differs), [""; 0], "lab {number}");
    let text = vnet::file::write_short(&seen.topology, &seen.desired);
    let read = common::desired(&text);
    let altnames = |line: &String| line.contains(" no altname ");
    // As for one who finds it there: what the record says was declared before would go back.
    let observed = lab.plan(&read).unwrap().observed;
    let mut plan = signed(&vnet::plan(&read, &observed).steps);
    plan.retain(|line| !altnames(line));
    assert_eq!(plan, [""; 0], "lab {number}, of which the snapshot is\n{text}");
    let mut lab = lab;
    lab.down(&Down::default()).unwrap();
}

/// Has Debian's `ip` and others do what `vnet plan --as ip` prints, and sees that they make what `up` makes.
fn script_makes_what_up_makes(number: usize, desired: &Desired) {
    let mut lab = open(desired);
    let plan = lab.plan(desired).unwrap().plan;
    let script = vnet_iproute::script(&plan.steps);
    vnet_testns::sh(&script);
    assert_eq!(planned(&lab, desired), [""; 0], "lab {number}, after {script}");
    let namespaces: Vec<String> =
        desired.state.namespaces.keys().map(ToString::to_string).collect();
    let by_script = look::settled(&namespaces);
    lab.down(&Down::default()).unwrap();
    lab.up(desired, |_| {}).unwrap_or_else(|error| panic!("lab {number}: {error}"));
    let by_steps = look::settled(&namespaces);
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    if by_script != by_steps {
        let (more, less) = (only(&by_script, &by_steps), only(&by_steps, &by_script));
        panic!("lab {number}, after {script}\nis {more:#?}\ninstead of {less:#?}");
    }
    lab.down(&Down::default()).unwrap();
}

#[test]
fn a_script_of_a_random_lab_makes_that_lab() {
    vnet_testns::root(|| {
        for (number, desired) in Labs::new(arbitrary::desired_with_entries(), 10) {
            script_makes_what_up_makes(number, &desired);
        }
    });
}

#[test]
fn vm_a_script_of_a_random_lab_of_all_kinds_makes_that_lab() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vlan", "vrf", "dummy", "bond", "vxlan", "macvlan"]);
        for (number, desired) in Labs::new(arbitrary::desired_of_all_kinds(), 2) {
            script_makes_what_up_makes(number, &desired);
        }
    });
}

#[test]
fn a_snapshot_of_a_random_lab_is_that_lab() {
    vnet_testns::root(|| {
        for (number, desired) in Labs::new(arbitrary::desired_with_settings(), 16) {
            snapshot_means_what_is_there(number, &desired);
        }
    });
}
