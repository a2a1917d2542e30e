//! What must hold, on paper: what is said of cuts, and of who can't be tried.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use vnet_model::Desired;
use vnet_why::expect::{Judged, judge};
use vnet_why::{Question, Verdict, World, why};

/// ```text
///  pc -- r1 -- r2 -- web      bare: no address
/// ```
fn judged(expect: &str) -> Judged {
    judged_in("routing: auto", expect)
}

fn judged_in(routing: &str, expect: &str) -> Judged {
    let desired = desired(routing, expect);
    let world = World { state: &desired.state, facts: None, intent: Some(&desired), assumed: &[] };
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
    let world = World { state: &desired.state, facts: None, intent: Some(&desired), assumed: &[] };
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
