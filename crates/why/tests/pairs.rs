//! All pairs at once, held against walks one by one.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vnet_model::nft::{Base, Chain, ChainKind, Family, Hook, Table, TableId};
use vnet_model::{Desired, Facts, NamespaceFacts, NsName, Step};
use vnet_why::pairs::{Broken, all_pairs, each_link};
use vnet_why::{Question, Verdict, World, why};

fn ends(desired: &Desired) -> (Vec<NsName>, Vec<(NsName, IpAddr)>) {
    let from: Vec<NsName> = desired.nodes.values().cloned().collect();
    let mut to = Vec::new();
    for ns in &from {
        for interface in desired.state.namespaces[ns].interfaces.values() {
            let usable = interface.addresses.iter().filter(|address| {
                !address.net.addr().is_loopback() && !address.is_ipv6_link_local()
            });
            to.extend(usable.map(|address| (ns.clone(), address.net.addr())));
        }
    }
    (from, to)
}

fn one_by_one(desired: &Desired, assumed: &[Step]) -> Broken {
    let world = World { state: &desired.state, facts: None, intent: None, assumed };
    let (from, to) = ends(desired);
    let mut broken = BTreeSet::new();
    for (asker, from) in from.iter().enumerate() {
        for (number, (ns, dst)) in to.iter().enumerate().filter(|(_, (ns, _))| ns != from) {
            let question = Question { to: Some(ns.clone()), ..Question::new(from.clone(), *dst) };
            if why(&world, &question).verdict != Verdict::Reachable {
                broken.insert((asker, number));
            }
        }
    }
    broken
}

#[test]
fn all_pairs_at_once_are_as_one_by_one() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = vnet_model::arbitrary::desired();
    let (mut known, mut cut) = (0, 0);
    for lab in 0..150 {
        let (_, desired) = strategy.new_tree(&mut runner).unwrap().current();
        let world = World { state: &desired.state, facts: None, intent: None, assumed: &[] };
        let (from, to) = ends(&desired);
        let Some(broken) = all_pairs(&world, &from, &to) else { continue };
        let before = one_by_one(&desired, &[]);
        assert_eq!(broken, before, "lab {lab}: {:#?}", desired.state);
        known += 1;
        let Some(links) = each_link(&world, &desired, &desired.links, &from, &to) else { continue };
        for (link, (name, broken)) in desired.links.iter().zip(links) {
            let steps = desired.cut(&[link]);
            let now: Broken = one_by_one(&desired, &steps).difference(&before).copied().collect();
            assert_eq!(broken, now, "lab {lab} without {name}: {:#?}", desired.state);
            cut += 1;
        }
    }
    assert!(known > 20 && cut > 100, "{known} labs, {cut} links");
}

fn lab(text: &str) -> Desired {
    let source = vnet_file::Source::new("lab", text.to_owned());
    vnet_file::parse(&source, &[]).unwrap().resolve().unwrap()
}

/// So many links that several threads cut them; each is held against all pairs tried anew.
#[test]
fn cut_links_of_a_fabric_are_as_all_pairs_without_them() {
    let desired = lab("
name: t
routing: auto
nodes:
  spine1..3: { forward: true }
  leaf1..40: { forward: true }
  h1..40:
links:
  - { endpoints: [ leaf1..40, spine1..3 ], pairs: all, pool: 10.0.0.0/16 }
  - { endpoints: [ leaf1, h1..40 ], pairs: all, pool: 10.1.0.0/16, gateway: leaf1 }
");
    let (from, to) = ends(&desired);
    let world = World { state: &desired.state, facts: None, intent: None, assumed: &[] };
    let before = all_pairs(&world, &from, &to).unwrap();
    let links = each_link(&world, &desired, &desired.links, &from, &to).unwrap();
    assert_eq!(links.len(), desired.links.len());
    assert!(links.len() >= 160);
    for (link, (name, broken)) in desired.links.iter().zip(&links).step_by(11) {
        assert_eq!(*name, link.name);
        let steps = desired.cut(&[link]);
        let cut = all_pairs(&World { assumed: &steps, ..world }, &from, &to).unwrap();
        let now: Broken = cut.difference(&before).copied().collect();
        assert_eq!(*broken, now, "without {name}");
        assert!(!now.is_empty(), "without {name}");
    }
}

/// Who is behind two bridges is lost when the cable between those is cut, which neither of them asks
/// for anything itself.
#[test]
fn links_at_bridges_are_left_to_walks() {
    let desired = lab("
name: t
nodes:
  a: { interfaces: { e: 10.0.0.1/24 } }
  b: { interfaces: { e: 10.0.0.2/24 } }
  s: { interfaces: { br: { kind: bridge, ports: [ a, t ] } } }
  t: { interfaces: { br: { kind: bridge, ports: [ s, b ] } } }
links:
  - { endpoints: [ 'a:e', 's:a' ] }
  - { endpoints: [ 's:t', 't:s' ] }
  - { endpoints: [ 't:b', 'b:e' ] }
");
    let (from, to) = ends(&desired);
    let world = World { state: &desired.state, facts: None, intent: None, assumed: &[] };
    let before = one_by_one(&desired, &[]);
    let middle = desired.links.iter().find(|link| link.name == "s--t").unwrap();
    let now = one_by_one(&desired, &desired.cut(&[middle]));
    assert!(now.len() > before.len());
    assert_eq!(each_link(&world, &desired, &desired.links, &from, &to), None);
}

/// What frames are filtered by is left to walks too.
#[test]
fn filters_of_frames_are_left_to_walks() {
    let desired = lab("
name: t
nodes:
  a: { interfaces: { e: 10.0.0.1/24 } }
  b: { interfaces: { e: 10.0.0.2/24 } }
  s: { interfaces: { br: { kind: bridge, ports: [ a, b ] } } }
links: [ { endpoints: [ 'a:e', 's:a' ] }, { endpoints: [ 's:b', 'b:e' ] } ]
");
    let (from, to) = ends(&desired);
    let world = World { state: &desired.state, facts: None, intent: None, assumed: &[] };
    assert!(all_pairs(&world, &from, &to).is_some());
    for (family, hook, name) in [
        (Family::Bridge, Hook::Forward, &desired.nodes["s"]),
        (Family::Netdev, Hook::Egress, &desired.nodes["a"]),
    ] {
        let devices = desired.state.namespaces[name].interfaces.keys().map(ToString::to_string);
        let (kind, devices) = (ChainKind::Filter, devices.collect());
        let base = Base { kind, hook, priority: 0, accepts: false, devices };
        let chain = Chain { name: "c".to_owned(), base: Some(base), rules: Vec::new() };
        let id = TableId { family, name: "f".to_owned() };
        let table = Table { chains: vec![chain], ..Table::new(id, None) };
        let mut facts = Facts::default();
        let filtered = NamespaceFacts { tables: vec![table], ..NamespaceFacts::default() };
        facts.namespaces.insert(name.clone(), filtered);
        let world = World { facts: Some(&facts), ..world };
        assert_eq!(all_pairs(&world, &from, &to), None);
        if family == Family::Bridge {
            let answer = why(&world, &Question::new(from[0].clone(), to[1].1));
            let codes: Vec<&str> = answer.causes.iter().map(|cause| cause.code).collect();
            // Of ARP, and of the packet.
            assert_eq!(codes, ["filter-policy"; 2]);
        }
    }
}
