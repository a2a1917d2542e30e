//! Labs in which nothing is wrong: nobody is said not to be reached, and nothing to be at fault.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::{down, is_well, of_text, pairs, probing, replied, runner, shown, up};
use proptest::strategy::{Strategy, ValueTree};
use vnet_file::generate::{Blueprint, Shape};
use vnet_model::{Desired, NsName};
use vnet_why::lint::lint;
use vnet_why::{Question, Verdict, World, why};

/// How many labs there are, and of how many one is built.
const LABS: usize = 200;
const BUILT: usize = 8;

/// How many pairs are asked in a lab that is built.
const PAIRS_ASKED: usize = 6;

/// Any shape, of up to some twenty nodes.
fn shape() -> impl Strategy<Value = Shape> {
    (0..9u8, 1..5u32, 1..5u32, 0..3u32).prop_map(|(kind, a, b, c)| match kind {
        0 => Shape::Line { nodes: a + b },
        1 => Shape::Ring { nodes: a + b + 1 },
        2 => Shape::Star { hosts: a * b },
        3 => Shape::Tree { depth: a.min(3), fanout: b.min(2) },
        4 => Shape::Mesh { nodes: a + 1 },
        5 => Shape::Grid { rows: a + 1, columns: b.min(3) + 1 },
        6 => Shape::Torus { rows: 3, columns: a.min(2) + 2 },
        7 => Shape::SpineLeaf { spines: a, leaves: b, fanout: c },
        _ => Shape::Segment { hosts: a * b },
    })
}

fn labs() -> impl Iterator<Item = (usize, Desired)> {
    let mut runner = runner(9);
    (0..LABS).map(move |number| {
        let shape = shape().new_tree(&mut runner).unwrap().current();
        let file = Blueprint::new(shape).to_file().unwrap_or_else(|e| panic!("{shape:?}: {e}"));
        (number, of_text(&file))
    })
}

/// All pairs of a node and an address that it does not have itself.
fn pairs_of_two(desired: &Desired) -> Vec<(NsName, IpAddr)> {
    let mut all = pairs(desired);
    all.retain(|(from, dst)| {
        let mut own = desired.state.namespaces[from].interfaces.values();
        !own.any(|interface| interface.addresses.iter().any(|it| it.net.addr() == *dst))
    });
    all
}

#[test]
fn nothing_is_invented_on_paper() {
    let mut asked = 0;
    for (number, desired) in labs() {
        let lints: Vec<String> = lint(&desired).into_iter().map(|lint| lint.message).collect();
        assert_eq!(lints, Vec::<String>::new(), "lab {number}");
        for (from, dst) in pairs_of_two(&desired) {
            let answer = why(&World::on_paper(&desired), &Question::new(from.clone(), dst));
            let is_clear = answer.verdict == Verdict::Reachable
                && answer.causes.is_empty()
                && answer.unknown.is_empty();
            assert!(is_clear, "lab {number}, {from} to {dst}: {answer:#?}");
            asked += 1;
        }
    }
    assert!(asked > 10_000, "{asked}");
}

#[test]
fn nothing_is_invented_of_what_is_built() {
    vnet_testns::root_within(Duration::from_secs(300), || {
        for (number, desired) in labs().filter(|(number, _)| number % BUILT == 0) {
            let lab = up(&desired);
            let pairs = pairs_of_two(&desired);
            for (from, dst) in pairs.iter().step_by(pairs.len().div_ceil(PAIRS_ASKED).max(1)) {
                let name = desired.nodes.iter().find(|(_, ns)| *ns == from).unwrap().0.to_string();
                let told = lab.why(&name, &dst.to_string(), &probing()).unwrap();
                let is_clear = is_well(&told) && replied(&told) && told.answer.unknown.is_empty();
                assert!(is_clear, "lab {number}, {from} to {dst}: {}", shown(&told));
            }
            down(lab);
        }
    });
}
