//! What must hold, on paper: what is said of cuts, and of who can't be tried.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::collections::BTreeSet;

use vnet_model::Desired;
use vnet_why::expect::{Judged, Miss, judge};
use vnet_why::{Question, Verdict, World, why};

/// ```text
///  pc -- r1 -- r2 -- web      bare: no address
/// ```
fn judged(expect: &str) -> Judged {
    judged_in("routing: auto", expect)
}

fn judged_in(routing: &str, expect: &str) -> Judged {
    let desired = desired(routing, expect);
    let world = World::on_paper(&desired);
    judge(&world, &desired, &desired.expect[0])
}

fn desired(routing: &str, expect: &str) -> Desired {
    let text = format!(
        "name: t
{routing}
nodes:
  r1..2: {{ forward: true }}
  pc:
  web:
  bare:
links:
  - {{ endpoints: [ pc, r1 ], prefix: 10.0.1.0/24, gateway: r1 }}
  - {{ endpoints: [ r1, r2 ], prefix: 10.0.2.0/24 }}
  - {{ endpoints: [ r2, web ], prefix: 10.0.3.0/24, gateway: r2 }}
expect: [ \"{expect}\" ]
"
    );
    let source = vnet_file::Source::new("lab", text);
    vnet_file::parse(&source, &[]).unwrap().resolve().unwrap()
}

fn words(misses: &[vnet_why::expect::Miss]) -> Vec<&str> {
    misses.iter().map(|miss| miss.what.as_str()).collect()
}

#[test]
fn a_cut_is_named_and_not_mended() {
    for link in ["r1--r2", "pc--r1", "r2--web"] {
        let found = judged(&format!("pc reaches web if {link} is down"));
        let [miss] = found.misses.as_slice() else { panic!("{:?}", found.misses) };
        let causes = &miss.answer.as_ref().unwrap().causes;
        assert!(miss.what.ends_with(", because of the cut that was asked for"), "{}", miss.what);
        assert_eq!(causes.len(), 1, "{causes:#?}");
        let commands: Vec<String> = causes[0].mend.iter().flat_map(|it| it.commands()).collect();
        assert!(!commands.iter().any(|it| it.ends_with(" up")), "{commands:?}");
    }
}

#[test]
fn a_fault_beside_a_cut_is_still_named() {
    // Nobody has routes: without the cut they would not reach each other either.
    let found = judged_in("routing: none", "pc reaches web if r2--web is down");
    let causes = &found.misses[0].answer.as_ref().unwrap().causes;
    let is_cut = |evidence: &str| evidence.contains("the cut that was asked for");
    assert!(causes.iter().any(|cause| !is_cut(&cause.evidence)), "{causes:#?}");
}

/// The kernel sends to a group by a default route, but nothing says who has joined it.
#[test]
fn what_is_sent_to_a_group_is_not_guessed_about() {
    for claim in ["reaches", "cannot reach"] {
        let found = judged_in("routing: none", &format!("pc {claim} 239.1.2.3"));
        assert_eq!(words(&found.unknown), ["can't tell whether pc reaches 239.1.2.3"]);
        assert!(found.misses.is_empty(), "{found:#?}");
    }
    let desired = desired("routing: none", "pc reaches web");
    let world = World::on_paper(&desired);
    for group in ["239.1.2.3", "ff05::1:3"] {
        let pc = desired.ns_of("pc").unwrap();
        let answer = why(&world, &Question::new(pc, group.parse().unwrap()));
        assert_eq!(answer.verdict, Verdict::Unknown);
        assert_eq!(answer.unknown, [format!("{group} is a group, and who joined it is not known")]);
        assert!(answer.causes.is_empty(), "{:?}", answer.causes);
    }
}

#[test]
fn who_has_no_address_is_said() {
    let found = judged("pc, bare reach web");
    assert_eq!(words(&found.unknown), ["bare has no address that can be tried"]);
    assert_eq!((found.cases, found.misses.len(), found.left_out.len()), (1, 0, 0));
    let found = judged("bare reaches pc ipv4");
    assert_eq!(words(&found.unknown), ["bare has no IPv4 address that can be tried"]);
    assert_eq!(found.cases, 0);
    let found = judged("pc reaches web ipv6");
    let both =
        ["pc has no IPv6 address that can be tried", "web has no IPv6 address that can be tried"];
    assert_eq!(words(&found.unknown), both);
    // Of many, those that have one are tried.
    let found = judged("all reach all");
    assert_eq!(found.left_out, ["bare has no address that can be tried"]);
    assert!(found.unknown.is_empty() && found.misses.is_empty(), "{found:?}");
    assert_eq!(found.cases, 12);
}

/// ```text
///  pc ─┐         ┌─ s ── web      s and t are segments
///      t ── r1 ──┤
///                └─ r2 (also on s)
/// ```
fn on_segments(expect: &str) -> Result<Judged, String> {
    let text = format!(
        "name: t
routing: auto
nodes: {{ pc: , web: , r1..2: {{ forward: true }} }}
segments:
  t: {{ prefix: 10.0.1.0/24, gateway: r1, members: [ r1, pc:eth0 ] }}
  s: {{ prefix: 10.0.2.0/24, gateway: r1, members: [ r1, r2, web ] }}
links: [ {{ endpoints: [ pc:up, r2:down ], prefix: 10.0.3.0/24 }} ]
expect: [ \"{expect}\" ]
"
    );
    let source = vnet_file::Source::new("lab", text);
    let file = vnet_file::parse(&source, &[]).map_err(|report| format!("{report:?}"))?;
    let desired = file.resolve().map_err(|report| format!("{report:?}"))?;
    let world = World::on_paper(&desired);
    Ok(judge(&world, &desired, &desired.expect[0]))
}

#[test]
fn a_cable_to_a_segment_fails_as_any_other() {
    let cut_by = |found: &Judged| -> Vec<String> {
        found.misses.iter().flat_map(|miss| miss.cut.clone()).collect()
    };
    let found = on_segments("pc reaches web for every single link failure").unwrap();
    // One of two legs is left where r1 or r2 loses a cable, which its kernel tells nobody of.
    let cut = ["r1--s", "r2--s", "web--s", "r1--t"];
    assert_eq!(cut_by(&found), cut, "{:?}", words(&found.misses));
    for name in ["web--s", "s--web", "web:s", "s:web", "web"] {
        let found = on_segments(&format!("pc reaches web if {name} is down")).unwrap();
        assert_eq!(cut_by(&found), ["web--s"], "{name}");
    }
    // There are two ways: by the segment, and by the link.
    for name in ["pc--t", "pc:eth0", "pc:up", "t"] {
        let found = on_segments(&format!("pc reaches r2 if {name} is down")).unwrap();
        assert!(found.misses.is_empty() && found.cases == 1, "{name}: {:?}", words(&found.misses));
    }
    let found = on_segments("pc reaches r2 if pc:up and t are down").unwrap();
    assert_eq!(cut_by(&found), ["pc--r2", "pc--t", "r1--t"]);
    let error = on_segments("pc reaches r2 if pc--s is down").unwrap_err();
    assert!(error.contains("`pc--s`"), "{error}");
}

#[test]
fn without_links_no_failure_can_be_tried() {
    let text = "name: t\nnodes: { a: { interfaces: { lo: 10.0.0.1/32 } } }\nexpect: [ 'a reaches a for every single link failure' ]\n";
    let source = vnet_file::Source::new("lab", text.to_owned());
    let desired = vnet_file::parse(&source, &[]).unwrap().resolve().unwrap();
    let world = World::on_paper(&desired);
    let found = judge(&world, &desired, &desired.expect[0]);
    assert_eq!(words(&found.unknown), ["the lab has no link that could fail"]);
}

/// ```text
///  h1..8 ── s ── r1 ── r2 ── g1..8
///                 └──r3──┘
/// ```
/// Of so many pairs all are tried at once, of each node's by itself one after the other: it comes to the same.
#[test]
fn all_pairs_at_once_lose_what_each_loses() {
    let text = "
name: t
routing: auto
nodes: { r1..3: { forward: true }, h1..8: , g1..8: }
segments: { s: { prefix: 10.0.0.0/24, gateway: r1, members: [ r1, h1..8 ] } }
links:
  - { endpoints: [ r1..3, r1..3 ], pairs: all, pool: 10.1.0.0/24 }
  - { endpoints: [ r2, g1..8 ], pairs: all, pool: 10.2.0.0/24, gateway: r2 }
expect:
  - all reach all for every single link failure
  - r1 reaches all for every single link failure
  - h3 reaches all for every single link failure
  - g5 reaches all for every single link failure
";
    let source = vnet_file::Source::new("lab", text.to_owned());
    let desired = vnet_file::parse(&source, &[]).unwrap().resolve().unwrap();
    let world = World::on_paper(&desired);
    let lost = |number: usize| -> BTreeSet<(String, String, String)> {
        let found = judge(&world, &desired, &desired.expect[number]);
        let of = |miss: Miss| (miss.from, miss.to, miss.cut.concat());
        found.misses.into_iter().map(of).collect()
    };
    let all = lost(0);
    for (number, node) in [(1, "r1"), (2, "h3"), (3, "g5")] {
        let own: BTreeSet<_> = all.iter().filter(|(from, ..)| from == node).cloned().collect();
        assert!(own.iter().any(|(.., cut)| cut.ends_with("--s")), "{node}: {own:?}");
        assert_eq!(lost(number), own, "{node}");
    }
}
