//! `cargo xtask bench why`: all pairs of a spine-leaf fabric on paper, each single failure of its links, and what
//! `vnet check` finds in a large segment.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use vnet_file::generate::{Blueprint, Shape};
use vnet_model::expect::first_address;
use vnet_model::{Desired, NsName};
use vnet_why::World;
use vnet_why::lint::lint;
use vnet_why::pairs::{all_pairs, each_link};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many nodes: four of them are spines, of the others half are leaves and half hosts
    #[arg(long, default_value_t = 1000)]
    nodes: u32,
    /// How often the pairs are tried
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Also cuts each link
    #[arg(long)]
    links: bool,
    /// How many hosts the segment has that is checked
    #[arg(long, default_value_t = 200)]
    hosts: u32,
}

const SPINES: u32 = 4;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!((6..=4000).contains(&options.nodes), "6 to 4000 nodes");
    ensure!(
        !cfg!(debug_assertions),
        "measure a release build: `cargo run --release -p xtask -- bench why`"
    );
    let begun = Instant::now();
    let desired = fabric(options.nodes)?;
    let routes: usize = desired.state.namespaces.values().map(|ns| ns.routes.len()).sum();
    println!(
        "{} nodes, {} links, {routes} routes: resolved in {:.2?}",
        desired.nodes.len(),
        desired.links.len(),
        begun.elapsed()
    );
    let world = World { state: &desired.state, facts: None, intent: None, assumed: &[] };
    let from: Vec<NsName> = desired.nodes.values().cloned().collect();
    let address = |ns: &NsName| first_address(&desired.state.namespaces[ns], false);
    let to: Option<Vec<_>> = from.iter().map(|ns| Some((ns.clone(), address(ns)?))).collect();
    let to = to.context("a node has no address")?;
    for _ in 0..options.runs.max(1) {
        let begun = Instant::now();
        let broken = all_pairs(&world, &from, &to).context("this takes walks")?;
        let pairs = from.len() * (to.len() - 1);
        println!("{pairs} pairs in {:.2?}, {} of them broken", begun.elapsed(), broken.len());
    }
    if options.links {
        let begun = Instant::now();
        let links =
            each_link(&world, &desired, &desired.links, &from, &to).context("this takes walks")?;
        let elapsed = begun.elapsed();
        let broken: usize = links.iter().map(|(_, broken)| broken.len()).sum();
        println!("{} links cut one by one in {elapsed:.2?}: {broken} pairs broken", links.len());
    }
    let desired = segment(options.hosts)?;
    for _ in 0..options.runs.max(1) {
        let begun = Instant::now();
        let found = lint(&desired).len();
        println!(
            "a segment of {} hosts checked in {:.2?}, with {found} warnings",
            options.hosts,
            begun.elapsed()
        );
    }
    Ok(())
}

fn segment(hosts: u32) -> anyhow::Result<Desired> {
    resolve(Blueprint::new(Shape::Segment { hosts }).to_file()?)
}

fn fabric(nodes: u32) -> anyhow::Result<Desired> {
    let leaves = (nodes - SPINES) / 2;
    let mut text = String::from("name: fabric\nrouting: auto\nnodes:\n");
    for spine in 1..=SPINES {
        writeln!(
            text,
            "  spine{spine}: {{ forward: true, interfaces: {{ lo: 10.255.255.{spine}/32 }} }}"
        )?;
    }
    let octets = |leaf: u32| (leaf / 250, leaf % 250);
    for leaf in 1..=leaves {
        let (high, low) = octets(leaf);
        writeln!(
            text,
            "  leaf{leaf}: {{ forward: true, interfaces: {{ lo: 10.254.{high}.{low}/32 }} }}"
        )?;
        writeln!(text, "  h{leaf}: {{ routes: default via leaf{leaf} }}")?;
    }
    writeln!(text, "links:")?;
    writeln!(
        text,
        "  - {{ endpoints: [ leaf1..{leaves}, spine1..{SPINES} ], pairs: all, pool: 10.0.0.0/16 }}"
    )?;
    for leaf in 1..=leaves {
        let (high, low) = octets(leaf);
        writeln!(
            text,
            "  - {{ endpoints: [ leaf{leaf}, h{leaf} ], prefix: 10.{}.{low}.0/24 }}",
            100 + high
        )?;
    }
    resolve(text)
}

fn resolve(text: String) -> anyhow::Result<Desired> {
    let source = vnet_file::Source::new("bench", text);
    let file = vnet_file::parse(&source, &[]).map_err(|report| anyhow!("{report}"))?;
    file.resolve().map_err(|report| anyhow!("{report}"))
}
