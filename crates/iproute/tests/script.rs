//! Runs scripts by Debian's `sh`, `ip` and `sysctl`, and looks what they have made.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

#[path = "../../kernel/tests/common/mod.rs"]
mod common;
#[path = "script/said.rs"]
mod said;
#[path = "script/same.rs"]
mod same;
#[path = "script/words.rs"]
mod words;

use common::random::{self, Random};
use common::{Lab, settled, shown, states};
use vnet_kernel::Realm;
use vnet_model::State;

/// Does the plan of a lab by a script and sees that nothing is left to do.
fn run_script(lab: &Lab, realm: &Realm, name: &str) {
    let plan = lab.plan(realm);
    assert_eq!(plan.conflicts, []);
    let script = vnet_iproute::script(&plan.steps);
    vnet_testns::sh(&script);
    assert_eq!(shown(&lab.plan(realm).steps), [""; 0], "{name}, after {script}");
}

/// What `ip` shows of addresses and routes, which is more than vnet knows: broadcast addresses,
/// scopes, protocols. Without what the kernel adds or notes in its own time.
fn details(lab: &Lab) -> Vec<String> {
    let mut lines = Vec::new();
    for ns in lab.state.namespaces.keys() {
        for words in ["-o address show", "-o route show table all", "-o -6 route show table all"] {
            let text = vnet_testns::sh(&format!("ip -n '{ns}' {words}"));
            let lasting =
                |line: &&str| !["fe80:", "ff00:", "anycast"].iter().any(|s| line.contains(s));
            // Up to the interface's index, which is the kernel's choice.
            let name = |line: &str| line.split_once(": ").map_or(line, |(_, rest)| rest).to_owned();
            let plain = |line: &str| name(line).replace(" linkdown", "").replace(" dead", "");
            lines.extend(text.lines().filter(lasting).map(|line| format!("{ns} {}", plain(line))));
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_script_makes_what_the_steps_make() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for (name, lab) in states::all() {
            run_script(&lab, &realm, name);
            let by_script = (settled(lab.observe(&realm).state), details(&lab));
            lab.remove(&realm);
            lab.build(&realm);
            let by_steps = (settled(lab.observe(&realm).state), details(&lab));
            assert_eq!(by_script.0, by_steps.0, "{name}");
            assert_eq!(by_script.1, by_steps.1, "{name}");
            run_script(&Lab { state: State::default(), ..lab }, &realm, name);
            assert_eq!(realm.names().unwrap(), [], "{name}");
        }
    });
}

#[test]
fn a_script_goes_from_any_network_to_any_other() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for seed in 0..20 {
            run_script(&random::lab(&mut Random::new(seed)), &realm, &format!("seed {seed}"));
        }
        Lab::new().remove(&realm);
    });
}
