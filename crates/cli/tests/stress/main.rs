//! Random labs, changes, damage, kills and teardowns: after each, the kernel has what is wanted.
//!
//! Everything that is done follows from a seed, but for the time at which a kill takes effect. What
//! is found is tried again with less and less, and told with its seed, which then belongs into
//! `seeds.txt`. `cargo xtask stress --seconds N --seed S` goes on as long as one likes.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]
#![allow(clippy::print_stdout, reason = "findings are the outcome")]

mod random;
mod topology;
mod world;

use std::time::{Duration, Instant};

use random::Random;
use world::{Op, World};

/// How much is done for a seed.
const OPS: usize = 14;

/// How often a finding is tried again with one thing less.
const SHRINKS_MAX: usize = 60;

fn ops(seed: u64) -> Vec<Op> {
    let mut random = Random(seed);
    (0..OPS).map(|_| Op::random(&mut random)).collect()
}

/// Does it all on a clean host, and tells what went wrong.
fn run(ops: &[Op]) -> Result<(), String> {
    let mut world = World::default();
    let mut result = Ok(());
    for op in ops {
        result = world
            .act(op)
            .and_then(|()| world.check())
            .map_err(|what| format!("{op:?}: {what}{}", world.damage_done()));
        if result.is_err() {
            break;
        }
    }
    let end = world.end();
    result.and(end)
}

/// Leaves out what is not needed to find it.
fn shrink(ops: Vec<Op>) -> (Vec<Op>, Option<String>) {
    let mut least = ops;
    let mut why = None;
    let mut tried = 0;
    let mut at = least.len();
    while at > 0 && tried < SHRINKS_MAX {
        at -= 1;
        tried += 1;
        let mut fewer = least.clone();
        fewer.remove(at);
        if let Err(finding) = run(&fewer) {
            why = Some(finding);
            least = fewer;
            at = at.min(least.len());
        }
    }
    (least, why)
}

/// Runs one seed; a finding is told with the least that shows it.
fn check(seed: u64) -> Result<(), String> {
    let ops = ops(seed);
    let Err(first) = run(&ops) else { return Ok(()) };
    let (least, why) = shrink(ops);
    let trace: Vec<String> = least.iter().map(|op| format!("  {op:?}")).collect();
    let again = why.unwrap_or_else(|| "did not come again".to_owned());
    Err(format!("seed {seed}: {first}\n  at last: {again}\n{}", trace.join("\n")))
}

fn check_all(seeds: impl Iterator<Item = u64>, deadline: Option<Instant>) {
    let mut findings = Vec::new();
    let mut count = 0;
    for seed in seeds {
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
        count += 1;
        if let Err(finding) = check(seed) {
            println!("{finding}");
            findings.push(finding);
        }
    }
    println!("{count} seeds of {OPS} operations, {} findings", findings.len());
    assert_eq!(findings, [""; 0]);
}

#[test]
fn seeds_that_once_found_something() {
    vnet_testns::root(|| {
        let lines = include_str!("seeds.txt").lines();
        let seeds = lines.filter_map(|line| line.split_whitespace().next()?.parse().ok());
        check_all(seeds, None);
    });
}

#[test]
fn some_seeds() {
    vnet_testns::root(|| check_all(1..=3, None));
}

#[test]
#[ignore = "takes as long as one likes: `cargo xtask stress`"]
fn many_seeds() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seconds = number("VNET_STRESS_SECONDS", 60);
    let first = number("VNET_STRESS_SEED", 1);
    vnet_testns::root_within(Duration::from_secs(2 * seconds + 120), || {
        check_all(first.., Some(Instant::now() + Duration::from_secs(seconds)));
    });
}
