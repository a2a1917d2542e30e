//! Labs in tests.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::net::IpAddr;

use vnet::kernel::echo::{self, Outcome, Probe};
use vnet::model::NsName;
use vnet::{Desired, Lab, Settings};
use vnet_testns::sh;

/// Where labs keep their state in a test.
pub(crate) const STATE_DIR: &str = "/run/vnet";

/// Reads a topology file that is right.
pub(crate) fn desired(text: &str) -> Desired {
    desired_with(text, &[])
}

/// Reads a topology file that is right, with variables overridden.
pub(crate) fn desired_with(text: &str, vars: &[(&str, &str)]) -> Desired {
    let vars: Vec<_> = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let source = vnet::file::Source::new("vnet.yaml", text);
    let file = vnet::file::parse(&source, &vars).unwrap_or_else(|report| panic!("{report:?}"));
    file.resolve().unwrap_or_else(|report| panic!("{report:?}"))
}

/// Opens the lab of a topology.
pub(crate) fn open(desired: &Desired) -> Lab {
    Lab::open(&Settings::new(STATE_DIR), &desired.lab).unwrap()
}

/// Returns the steps as `vnet plan` prints them.
pub(crate) fn planned(lab: &Lab, desired: &Desired) -> Vec<String> {
    let plan = lab.plan(desired).unwrap().plan;
    assert_eq!(plan.conflicts, []);
    signed(&plan.steps)
}

/// Prints steps with their signs.
pub(crate) fn signed(steps: &[vnet::model::Step]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {step}", step.sign())).collect()
}

/// All addresses of the nodes but loopback ones, each with its namespace.
pub(crate) fn addresses(desired: &Desired) -> Vec<(NsName, IpAddr)> {
    let mut all = Vec::new();
    for ns in desired.nodes.values() {
        let interfaces = desired.state.namespaces[ns].interfaces.values();
        let addresses = interfaces.flat_map(|interface| &interface.addresses);
        let addrs = addresses.map(|address| address.net.addr());
        all.extend(addrs.filter(|addr| !addr.is_loopback()).map(|addr| (ns.clone(), addr)));
    }
    all
}

/// Pings every address of every node from every node, and returns what failed.
pub(crate) fn ping_all(lab: &Lab, desired: &Desired) -> Vec<String> {
    let targets = addresses(desired);
    let probes: Vec<Probe> = desired
        .nodes
        .values()
        .flat_map(|from| targets.iter().map(|(_, dst)| Probe::new(from.clone(), *dst)))
        .collect();
    let options = echo::Options::default();
    let outcomes = echo::echo(lab.realm().unwrap(), &probes, &options, |_, _| {}).unwrap();
    probes
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| !matches!(outcome, Outcome::Reply { .. }))
        .map(|(probe, outcome)| format!("{} to {}: {outcome}", probe.ns, probe.dst))
        .collect()
}

/// Returns the interface indexes of a namespace, by `ip`.
pub(crate) fn indexes(ns: &str) -> Vec<(String, u64)> {
    let links = sh(&format!("ip -n {ns} -o link"));
    let line = |line: &str| {
        let mut parts = line.split(": ");
        let index = parts.next().unwrap().trim().parse().unwrap();
        (parts.next().unwrap().split('@').next().unwrap().to_owned(), index)
    };
    links.lines().map(line).collect()
}
