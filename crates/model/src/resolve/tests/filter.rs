use super::*;
use crate::nft::text;
use crate::topology::Node;
use crate::topology::firewall::{Firewall, FirewallRule, NatKind, NatRule, Peer, Verdict, Way};
use crate::topology::samples::{addressed, lab, node, prefixed};

fn named(name: &str) -> Vec<Peer> {
    vec![Peer::Name(name.to_owned())]
}

fn allow(from: &str) -> FirewallRule {
    FirewallRule { verdict: Some(Verdict::Accept), from: named(from), ..FirewallRule::default() }
}

/// `pc -- gw -- isp`, both families on both links.
fn three(gw: Node) -> TopologyBuilder {
    lab()
        .node(gw)
        .node("pc")
        .node("isp")
        .link(prefixed("gw:lan", "pc", &["10.0.0.0/24", "2001:db8::/64"]))
        .link(addressed(("gw:wan", &["192.0.2.2/24"]), ("isp", &["192.0.2.1/24"])))
}

fn router(firewall: Option<Firewall>, nat: Vec<NatKind>) -> Node {
    let mut gw = node("gw");
    gw.forward = true;
    gw.firewall = firewall;
    gw.nat = nat.into_iter().map(|kind| NatRule { kind, origin: Origin::NONE }).collect();
    gw
}

/// The rules of a node, each after the name of its chain.
#[track_caller]
fn rules(desired: &Desired) -> Vec<String> {
    let tables = ns(desired, "gw").tables.values();
    let rule = |table: &crate::nft::Table, chain: &crate::nft::Chain| {
        let text = |rule| format!("{}: {}", chain.name, text::rule(rule, table.id.family));
        chain.rules.iter().map(text).collect::<Vec<_>>()
    };
    tables.flat_map(|table| table.chains.iter().flat_map(move |chain| rule(table, chain))).collect()
}

#[test]
fn a_node_with_neither_has_no_table() {
    assert!(rules(&resolved(three(router(None, Vec::new())))).is_empty());
    let empty = Firewall { established: true, ..Firewall::default() };
    assert!(rules(&resolved(three(router(Some(empty), Vec::new())))).is_empty());
}

#[test]
fn a_rule_becomes_one_for_each_family() {
    let firewall = Firewall {
        established: true,
        forward: Some(Verdict::Reject),
        rules: vec![FirewallRule { to: named("isp"), ..allow("pc") }, allow("pc"), allow("lan")],
        ..Firewall::default()
    };
    assert_eq!(
        rules(&resolved(three(router(Some(firewall), Vec::new())))),
        [
            "forward: ct state established,related accept",
            "forward: ip saddr 10.0.0.2 ip daddr 192.0.2.1 accept",
            "forward: ip saddr 10.0.0.2 accept",
            "forward: ip6 saddr 2001:db8::2 accept",
            "forward: iifname \"lan\" accept",
            "forward: reject",
        ]
    );
}

/// What keeps a node alive comes first, and `established: false` takes away one line of it.
#[test]
fn what_comes_in_and_goes_out_has_a_way_for_the_node_itself() {
    let way = |way| FirewallRule { way: Some(way), counter: true, ..FirewallRule::default() };
    let firewall = Firewall {
        input: Some(Verdict::Drop),
        rules: vec![way(Way::Out), way(Way::In)],
        ..Firewall::default()
    };
    let discovery = "icmpv6 type { 133, 134, 135, 136 } accept";
    assert_eq!(
        rules(&resolved(three(router(Some(firewall), Vec::new())))),
        [
            "input: iifname \"lo\" accept",
            &format!("input: {discovery}"),
            "input: counter",
            "output: oifname \"lo\" accept",
            &format!("output: {discovery}"),
            "output: counter",
        ]
    );
}

#[test]
fn a_node_that_does_not_forward_is_asked_about_what_comes_to_it() {
    let firewall = Firewall { rules: vec![allow("pc")], ..Firewall::default() };
    let mut gw = router(Some(firewall), Vec::new());
    gw.forward = false;
    let rules = rules(&resolved(three(gw)));
    assert!(rules.contains(&"input: ip saddr 10.0.0.2 accept".to_owned()), "{rules:?}");
    assert!(rules.iter().all(|rule| rule.starts_with("input: ")), "{rules:?}");
}

#[test]
fn translations_stand_from_the_special_to_the_general() {
    let wan = || vec![IfName::new("wan").unwrap()];
    let nat = vec![
        NatKind::Masquerade { oif: wan(), from: Vec::new() },
        NatKind::Dnat {
            protocol: 6,
            ports: Some((2222, 2222)),
            iif: wan().pop(),
            dst: None,
            to: Peer::Name("pc".into()),
            port: Some(22),
            hairpin: true,
        },
        NatKind::Binat {
            addr: "192.0.2.10".parse().unwrap(),
            to: Peer::Net("10.0.0.2/32".parse().unwrap()),
            oif: wan().pop(),
        },
    ];
    let firewall = Firewall { forward: Some(Verdict::Drop), ..Firewall::default() };
    // The outer interface has IPv4 alone, so nothing is said of IPv6.
    assert_eq!(
        rules(&resolved(three(router(Some(firewall), nat)))),
        [
            "forward: ct status dnat accept",
            "prerouting: ip daddr 192.0.2.2 tcp dport 2222 dnat ip to 10.0.0.2:22",
            "prerouting: iifname \"wan\" ip daddr 192.0.2.10 dnat ip to 10.0.0.2",
            "output-nat: ip daddr 192.0.2.2 tcp dport 2222 dnat ip to 10.0.0.2:22",
            "postrouting: oifname \"wan\" ip saddr 10.0.0.2 snat ip to 192.0.2.10",
            "postrouting: ip saddr 10.0.0.0/24 ip daddr 10.0.0.2 tcp dport 22 ct status dnat masquerade",
            "postrouting: oifname \"wan\" masquerade",
        ]
    );
}

#[test]
fn routes_stop_at_a_masquerade() {
    let wan = vec![IfName::new("wan").unwrap()];
    let hidden = NatKind::Masquerade { oif: wan, from: Vec::new() };
    let auto = |nat| resolved(three(router(None, nat)).routing(Routing::Auto));
    assert_eq!(routes(&auto(Vec::new()), "isp"), ["10.0.0.0/24 via 192.0.2.2 dev gw"]);
    let desired = auto(vec![hidden]);
    assert!(routes(&desired, "isp").is_empty());
    assert_eq!(routes(&desired, "pc"), ["192.0.2.0/24 via 10.0.0.1 dev gw"]);
}
