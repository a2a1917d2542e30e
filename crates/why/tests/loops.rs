//! Tunnels that are to carry themselves: that is what is said, of a file as of the kernel.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::time::Duration;

use common::{down, is_well, probing, replied, shown, up};
use vnet::Desired;
use vnet::why::Ask;
use vnet_testns::sh;
use vnet_why::{Answer, Question, Verdict, World, lint, why};

/// `a -- r -- b`, where `a` goes to where `b` is by way of tunnels between the two.
fn lab(a: &str, links: &str) -> Desired {
    let text = format!(
        "name: t
netns: $node
nodes:
  a: {{ {a} }}
  r: {{ forward: true, routes: [ 10.255.0.1 via a, 10.255.0.2 via b ] }}
  b: {{ interfaces: {{ lo: 10.255.0.2/32 }}, routes: [ 10.0.1.0/24 via r, 10.255.0.1 via r ] }}
links:
  - {{ endpoints: [ a, r ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ r, b ], prefix: 10.0.2.0/24 }}
{links}"
    );
    let source = vnet_file::Source::new("vnet.yaml", text);
    let file = vnet_file::parse(&source, &[]).unwrap_or_else(|report| panic!("{report}"));
    file.resolve().unwrap_or_else(|report| panic!("{report}"))
}

fn one(kind: &str) -> Desired {
    lab(
        "routes: [ 10.0.2.0/24 via 10.9.0.2, 10.255.0.0/24 via 10.9.0.2 ]",
        &format!("  - {{ kind: {kind}, endpoints: [ a:t, b:t ], prefix: 10.9.0.0/24 }}"),
    )
}

fn on_paper(desired: &Desired, dst: &str) -> Answer {
    let world = World::on_paper(desired);
    let a = desired.nodes["a"].clone();
    why(&world, &Question::new(a, dst.parse().unwrap()))
}

/// Asks for both, and for what is behind: it ends, and says why.
#[track_caller]
fn is_named(desired: &Desired, object: &str) {
    for dst in ["10.9.0.2", "10.0.2.2"] {
        let answer = on_paper(desired, dst);
        let causes: Vec<_> = answer.causes.iter().map(|it| (it.code, &*it.object)).collect();
        let found = (answer.verdict, causes);
        assert_eq!(
            found,
            (Verdict::Unreachable, vec![("tunnel-loop", object)]),
            "{dst}: {answer:?}"
        );
    }
    let lints = lint::lint(desired);
    assert!(lints.iter().any(|lint| lint.code == "tunnel-loop"), "{lints:?}");
}

#[test]
fn a_tunnel_that_carries_itself_is_named() {
    for kind in ["gre", "ipip", "vxlan, id: 7", "geneve, id: 7", "wireguard"] {
        is_named(&one(kind), "a:t");
    }
}

#[test]
fn so_it_is_on_a_bridge() {
    let bridge = "interfaces: { br0: { kind: bridge, ports: [ t ], addresses: 10.9.0.1/24 } }, \
                  routes: [ 10.0.2.0/24 via 10.9.0.2, 10.255.0.0/24 via 10.9.0.2 ]";
    let link = "  - { kind: vxlan, id: 7, endpoints: { a:t: , b:t: 10.9.0.2/24 } }";
    is_named(&lab(bridge, link), "a:t");
}

#[test]
fn so_are_two_that_carry_each_other() {
    let a = "interfaces: { lo: 10.255.0.1/32 }, \
             routes: [ 10.0.2.0/24 via 10.9.0.2, 10.255.0.2 via 10.9.1.2 ]";
    for kind in ["gre", "vxlan, id: 7, dstport: 4789", "wireguard"] {
        let links = format!(
            "  - {{ kind: {kind}, endpoints: [ a:t, b:t ], prefix: 10.9.0.0/24, over: lo }}
  - {{ kind: {}, endpoints: [ a:u, b:u ], prefix: 10.9.1.0/24, over: r }}",
            kind.replace("id: 7", "id: 8")
        );
        let desired = lab(a, &links);
        for dst in ["10.9.0.2", "10.9.1.2", "10.0.2.2", "10.255.0.2"] {
            let answer = on_paper(&desired, dst);
            let codes: Vec<_> = answer.causes.iter().map(|it| it.code).collect();
            assert_eq!(codes, ["tunnel-loop"], "{kind} {dst}: {answer:?}");
        }
    }
}

/// One that goes in another is none.
#[test]
fn a_tunnel_in_a_tunnel_is_fine() {
    let a =
        "interfaces: { lo: 10.255.0.1/32 }, routes: [ 10.0.2.0/24 via r, 10.255.0.2 via 10.9.1.2 ]";
    let links = "  - { kind: gre, endpoints: [ a:t, b:t ], prefix: 10.9.0.0/24, over: lo }
  - { kind: vxlan, id: 7, endpoints: [ a:u, b:u ], prefix: 10.9.1.0/24, over: r }";
    let desired = lab(a, links);
    let answer = on_paper(&desired, "10.9.0.2");
    assert_eq!(answer.verdict, Verdict::Reachable, "{answer:?}");
    assert!(answer.forth.iter().any(|hop| hop.text.contains("in vxlan")), "{answer:?}");
    let lints = lint::lint(&desired);
    assert!(!lints.iter().any(|lint| lint.code == "tunnel-loop"), "{lints:?}");
}

#[test]
fn vm_the_kernel_drops_them_too() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vxlan"]);
        let desired = one("vxlan, id: 7");
        let lab = up(&desired);
        for dst in ["10.9.0.2", "10.0.2.2"] {
            let told = lab.why("a", dst, &probing()).unwrap();
            let codes: Vec<_> = told.answer.causes.iter().map(|it| it.code).collect();
            assert_eq!((codes, replied(&told)), (vec!["tunnel-loop"], false), "{}", shown(&told));
            assert_eq!(told.otherwise.len(), 0, "{}", shown(&told));
        }
        sh("ip -n a route replace 10.255.0.0/24 via 10.0.1.2");
        // Whoever was asked in vain is asked again a second later.
        let patient = Ask { timeout: Some(Duration::from_secs(10)), ..probing() };
        let told = lab.why("a", "10.9.0.2", &patient).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}
