//! Each doubt on the smallest file that raises it, and none on files that are fine.

use vnet_why::lint::lint;

#[track_caller]
fn codes(text: &str) -> Vec<&'static str> {
    let source = vnet_file::Source::new("vnet.yaml", text);
    let file = vnet_file::parse(&source, &[]).unwrap_or_else(|report| panic!("{report}"));
    let desired = file.resolve().unwrap_or_else(|report| panic!("{report}"));
    let lints = lint(&desired);
    assert!(lints.iter().all(|lint| file.span(lint.origin).is_some()), "{lints:?}");
    lints.into_iter().map(|lint| lint.code).collect()
}

#[test]
fn addresses_that_no_host_should_have() {
    let lab = |a: &str, b: &str| {
        format!("{{ name: t, nodes: [ a, b ], links: [ {{ endpoints: {{ a: {a}, b: {b} }} }} ] }}")
    };
    assert_eq!(codes(&lab("10.0.0.0/24", "10.0.0.1/24")), ["network-address"]);
    let found = codes(&lab("10.0.0.1/24", "10.0.0.255/24"));
    assert!(found.contains(&"broadcast-address"), "{found:?}");
    // Two on a point-to-point link have all addresses there are (RFC 3021).
    assert!(codes(&lab("10.0.0.0/31", "10.0.0.1/31")).is_empty());
    assert!(codes(&lab("10.0.0.1/24", "10.0.0.2/24")).is_empty());
}

#[test]
fn ends_of_different_mtu() {
    let text = "
name: t
nodes: [ a, b ]
links: [ { endpoints: { a: { addresses: 10.0.0.1/24, mtu: 1400 }, b: 10.0.0.2/24 } } ]
";
    assert_eq!(codes(text), ["mtu-mismatch"]);
}

#[test]
fn prefixes_that_overlap_on_different_links() {
    let text = "
name: t
nodes: [ a, b, c, d ]
links:
  - { endpoints: { a: 10.0.0.1/16, b: 10.0.0.2/16 } }
  - { endpoints: { c: 10.0.1.1/24, d: 10.0.1.2/24 } }
";
    assert_eq!(codes(text), ["overlapping-prefixes"]);
}

#[test]
fn gateways_that_nobody_has_and_circles() {
    let text = "
name: t
nodes:
  a: { forward: true, routes: [ 10.9.0.0/24 via 10.0.0.2, 10.8.0.0/24 via 10.0.0.9 ] }
  b: { forward: true, routes: [ 10.9.0.0/24 via 10.0.0.1 ] }
  c: { interfaces: { lo: 10.9.0.1 } }
links: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]
";
    assert_eq!(codes(text), ["wrong-gateway", "unreachable-node", "routing-loop"]);
}

#[test]
fn ways_that_differ() {
    let text = include_str!("labs/asymmetric.yaml");
    assert!(codes(text).contains(&"asymmetric-route"));
}

#[test]
fn nothing_is_said_against_what_is_fine() {
    for text in [
        include_str!("labs/chain.yaml"),
        include_str!("labs/lan.yaml"),
        include_str!("labs/square.yaml"),
    ] {
        assert!(codes(text).is_empty(), "{text}");
    }
}

/// Every code that is used is explained, once.
#[test]
fn codes_are_unique() {
    let mut names: Vec<&str> = vnet_why::CODES.iter().map(|code| code.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(vnet_why::explain("lo-down").is_some());
}
