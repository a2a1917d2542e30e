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

/// What VRFs keep apart may be the same, and is said to overlap only where it is not apart.
#[test]
fn prefixes_that_overlap_in_two_vrfs() {
    let lab = |blue: &str, other: &str| {
        format!(
            "
name: t
routing: auto
nodes:
  pe1..2: {{ forward: true, interfaces: {{ red: {{ kind: vrf, table: 10 }}, blue: {{ kind: vrf, table: 20 }} }} }}
  ce1..2: {{ interfaces: {{ lo: 192.168.0.1..2/32 }} }}
  cb1..2: {{ interfaces: {{ lo: 192.168.0.1..2/32 }} }}
links:
  - {{ endpoints: {{ pe1:r: {{ vrf: red }}, ce1: }}, prefix: 10.0.1.0/24 }}
  - {{ endpoints: {{ pe2:r: {{ vrf: red }}, ce2: }}, prefix: 10.0.2.0/24 }}
  - {{ endpoints: {{ pe1:b: {{ vrf: {blue} }}, cb1: }}, prefix: {other} }}
  - {{ endpoints: {{ pe2:b: {{ vrf: blue }}, cb2: }}, prefix: 10.0.2.0/24 }}
  - {{ endpoints: {{ pe1:pr: {{ vrf: red }}, pe2:pr: {{ vrf: red }} }}, prefix: 10.0.9.0/30 }}
  - {{ endpoints: {{ pe1:pb: {{ vrf: blue }}, pe2:pb: {{ vrf: blue }} }}, prefix: 10.0.9.0/30 }}
"
        )
    };
    assert!(codes(&lab("blue", "10.0.1.0/24")).is_empty());
    let found = codes(&lab("red", "10.0.2.0/25"));
    assert!(found.contains(&"overlapping-prefixes"), "{found:?}");
}

/// A tunnel that is as short as the way that carries it is one wire, with its own gateways.
#[test]
fn a_tunnel_between_routers_is_fine() {
    let text = "
name: t
routing: auto
nodes: { a: { forward: true }, b: { forward: true }, r: { forward: true }, pa: , pb: }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
  - { endpoints: [ pa, a ], prefix: 10.1.0.0/24 }
  - { endpoints: [ pb, b ], prefix: 10.2.0.0/24 }
  - { kind: vxlan, id: 7, dstport: 4789, endpoints: [ a:vx0, b:vx0 ], prefix: 10.9.0.0/24, cost: 1 }
";
    assert!(codes(text).is_empty(), "{:?}", codes(text));
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
    assert_eq!(codes(text), ["wrong-gateway", "unused-object", "unreachable-node", "routing-loop"]);
}

#[test]
fn ways_that_differ() {
    let text = include_str!("labs/asymmetric.yaml");
    assert!(codes(text).contains(&"asymmetric-route"));
}

#[test]
fn routes_that_drop_what_goes_to_a_node() {
    let text = "
name: t
routing: auto
nodes: { a: , b: , r: { forward: true, routes: [ blackhole 10.0.2.2 ] } }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
";
    assert_eq!(codes(text), ["unreachable-node", "black-hole"]);
}

#[test]
fn ways_that_get_narrower() {
    let lab = |mtu: u32| {
        format!(
            "
name: t
routing: auto
nodes: {{ a: , b: , r: {{ forward: true }} }}
links:
  - {{ endpoints: [ a, r ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ r, b ], prefix: 10.0.2.0/24, mtu: {mtu} }}
"
        )
    };
    assert_eq!(codes(&lab(1400)), ["mtu-shrinks"]);
    assert!(codes(&lab(1500)).is_empty());
}

#[test]
fn rules_that_no_packet_reaches() {
    let lab = |rules: &str| {
        format!(
            "
name: t
routing: auto
nodes: {{ a: , b: , r: {{ forward: true, firewall: {{ forward: drop, rules: [ {rules} ] }} }} }}
links:
  - {{ endpoints: [ a, r ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ r, b ], prefix: 10.0.2.0/24 }}
"
        )
    };
    let never = |rules: &str| codes(&lab(rules)).contains(&"rule-never-reached");
    assert!(never("allow, deny from a"));
    assert!(never("allow from 10.0.1.0/24, deny from 10.0.1.1"));
    assert!(never("allow tcp/80-90 from a to b, deny tcp/85 from a to b"));
    assert!(!never("deny from 10.0.1.1, allow from 10.0.1.0/24"));
    assert!(!never("allow tcp/80, deny tcp/81"));
    assert!(!never("allow from 10.0.1.0/24, allow from 10.0.2.0/24"));
    assert!(!never("allow from a limit 5/second, allow from a"));
}

#[test]
fn what_nothing_leads_to() {
    let text = "
name: t
nodes: [ a, b, c ]
segments: { lan: { members: [ ] } }
links: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]
";
    assert_eq!(codes(text), ["unused-object", "unused-object"]);
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

/// What is refused of the things that `vnet check` looks for has a code that is explained; the kernel
/// would take a part of them, and then a file may say that they are meant.
#[test]
fn mistakes_have_codes_and_some_may_be_meant() {
    let links = |links: &str| {
        format!("nodes: {{ a: , b: {{ routes: [ ROUTE ] }}, c: }}\nlinks: [ {links} ]")
    };
    let cable = "{ endpoints: { a: 10.0.0.1/24, b: 10.0.0.2/24 } }";
    let nat = "nodes: { a: { nat: [ { dnat: tcp/80, iif: b, to: b tcp/80 }, { dnat: tcp/80, iif: b, \
               to: b tcp/81 } ] }, b: }\nlinks: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]";
    let loops =
        "segments: { s: , t: }\nlinks: [ { endpoints: [ s, t ] }, { endpoints: [ s, t ] } ]";
    let mistakes = [
        ("duplicate-address", links(&cable.replace(".2/", ".1/")), true),
        (
            "duplicate-mac",
            links(cable).replace(
                "a: 10.0.0.1/24, b: 10.0.0.2/24",
                "a: { mac: 02:00:00:00:00:01 }, b: { mac: 02:00:00:00:00:01 }",
            ),
            true,
        ),
        (
            "overlapping-prefixes",
            links(&format!("{cable}, {{ endpoints: {{ b: 10.0.0.130/25, c: 10.0.0.131/25 }} }}")),
            true,
        ),
        ("nat-shadowed", nat.to_owned(), true),
        ("bridge-loop", loops.to_owned(), false),
        ("gateway-off-link", links(cable).replace("ROUTE", "default via 10.7.0.1"), false),
    ];
    for (code, text, may_be_meant) in mistakes {
        let read = |allow: &str| {
            let text = format!("name: t\nallow: [ {allow} ]\n{}", text.replace("ROUTE", ""));
            let source = vnet_file::Source::new("t", text);
            vnet_file::parse(&source, &[])
                .and_then(|file| file.resolve())
                .map_err(|report| report.render(&source, false))
        };
        let said = read("network-address").unwrap_err();
        assert!(said.lines().any(|line| line.ends_with(&format!(" ({code})"))), "{said}");
        assert!(vnet_why::explain(code).is_some(), "{code}");
        assert_eq!(read(code).is_ok(), may_be_meant, "{code}: {:?}", read(code).err());
    }
}

/// What nobody has goes round where default routes lead to each other; each family by itself.
#[test]
fn default_routes_in_a_circle() {
    let lab = |a: &str, b: &str| {
        format!(
            "{{ name: t, nodes: {{ a: {{ forward: true, routes: {a} }}, b: {{ forward: true, routes: {b} }} }},
               links: [ {{ endpoints: [ a, b ], prefix: [ 10.0.0.0/24, 2001:db8::/64 ] }} ] }}"
        )
    };
    assert_eq!(codes(&lab("default via 10.0.0.2", "default via 10.0.0.1")), ["routing-loop"]);
    assert_eq!(codes(&lab("default via 2001:db8::2", "default via 2001:db8::1")), ["routing-loop"]);
    assert!(codes(&lab("default via 10.0.0.2", "default via 2001:db8::1")).is_empty());
}

/// Tunnels that nodes say one by one have no wire: nobody is looked for on one.
#[test]
fn tunnels_of_nodes_are_fine() {
    let end = |own: u8, far: u8| {
        format!(
            "interfaces: {{ tun: {{ kind: gre, local: 10.0.0.{own}, remote: 10.0.0.{far}, addresses: 10.9.0.{own}/30 }},
               lo: 10.255.0.{own}/32 }}, routes: [ 10.255.0.{far}/32 via 10.9.0.{far} ]"
        )
    };
    let text = format!(
        "{{ name: t, nodes: {{ a: {{ {} }}, b: {{ {} }} }},
           links: [ {{ endpoints: {{ a: 10.0.0.1/24, b: 10.0.0.2/24 }} }} ] }}",
        end(1, 2),
        end(2, 1)
    );
    assert!(codes(&text).is_empty(), "{:?}", codes(&text));
    // A gateway that is not the other end's is still nobody's on a wire.
    let cable = "{ name: t, nodes: { a: { routes: [ 10.9.0.0/24 via 10.0.0.7 ] }, b: },
                   links: [ { endpoints: { a: 10.0.0.1/24, b: 10.0.0.2/24 } } ] }";
    assert_eq!(codes(cable), ["wrong-gateway"]);
}

/// Each address is asked, of both families, and by the host too.
#[test]
fn addresses_that_nobody_reaches_beside_one_that_is() {
    let lab = |routes: &str| {
        format!(
            "
name: t
nodes:
  a: {{ routes: [ {routes} ] }}
  b: {{ interfaces: {{ lo: [ 10.9.0.1/32, 2001:db8:9::1/128 ] }} }}
links: [ {{ endpoints: [ a, b ], prefix: [ 10.0.0.0/24, 2001:db8::/64 ] }} ]
"
        )
    };
    assert_eq!(codes(&lab("")), ["unreachable-address", "unreachable-address"]);
    assert_eq!(codes(&lab("10.9.0.1/32 via b")), ["unreachable-address"]);
    assert_eq!(codes(&lab("10.9.0.1/32 via b, '2001:db8:9::1/128 via b'")), [""; 0]);
    // What is on a link to the host, the host reaches.
    let host = "
name: t
nodes: [ a, b ]
links:
  - { endpoints: [ a, b ], prefix: 10.0.0.0/24 }
  - { endpoints: { a: 10.1.0.1/24, 'host:v': 10.1.0.2/24 } }
  - { endpoints: { b: 10.2.0.1/24, 'host:w': 10.2.0.2/24 } }
";
    assert_eq!(codes(host), [""; 0]);
}

/// With more nodes than pairs are walked of: a ring whose stubs each go there by one side and back by
/// the other, and a link in the middle that is narrower.
#[test]
fn ways_of_large_labs_are_held_against_each_other() {
    let lab = |mtu: &str, link: &str, route: &str| {
        format!(
            "
name: t
routing: auto
nodes:
  r1..4: {{ forward: true }}
  r1: {{ forward: true, routes: [ {route} ] }}
  s1..40:
links:
  - {{ name: up, endpoints: [ r1, r2 ], prefix: 10.0.1.0/24{mtu} }}
  - {{ endpoints: [ r2, r3 ], prefix: 10.0.2.0/24 }}
  - {{ endpoints: [ r3, r4 ], prefix: 10.0.3.0/24 }}
{link}  - {{ endpoints: [ r1, s1..20 ], pairs: all, pool: 10.1.0.0/24, gateway: r1 }}
segments: {{ lan: {{ prefix: 10.3.0.0/24, gateway: r3, members: [ r3, s21..40 ] }} }}
"
        )
        .replace("  r1..4: { forward: true }\n", "  r2..4: { forward: true }\n")
    };
    assert_eq!(codes(&lab("", "", "")), [""; 0]);
    assert_eq!(codes(&lab(", mtu: 1400", "", "")), ["mtu-shrinks", "mtu-shrinks"]);
    let link = "  - { endpoints: [ r4, r1 ], prefix: 10.0.4.0/24, cost: 9 }\n";
    let found = codes(&lab("", link, "10.3.0.0/24 via r4"));
    // There are some 400, of which the first are named.
    assert_eq!(found, ["asymmetric-route"; 10]);
}
