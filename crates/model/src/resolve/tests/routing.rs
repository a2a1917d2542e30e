use super::*;
use crate::topology::samples::{
    self, address, addressed, bridge, lab, node, nodes, prefixed, route, segment,
};
use crate::topology::{InterfaceOptions, NetnsPattern, Node};

/// A node that forwards.
fn router(name: &str) -> Node {
    let mut node = node(name);
    node.forward = true;
    node
}

fn with_lo(mut node: Node, addresses: &[&str]) -> Node {
    let addresses = addresses.iter().map(|text| address(text)).collect();
    let options = InterfaceOptions { addresses, ..InterfaceOptions::default() };
    node.interfaces.push(samples::interface("lo", options));
    node
}

fn auto() -> TopologyBuilder {
    lab().routing(Routing::Auto)
}

#[test]
fn the_tutorial_has_its_two_routes() {
    let desired = resolved(
        nodes(&["vnet0", "vnet1"])
            .netns(NetnsPattern::new("$node"))
            .routing(Routing::Auto)
            .link(addressed(("vnet0:veth0", &["10.0.1.0/24"]), ("vnet1:veth1", &["10.0.2.0/24"]))),
    );
    let routes = |ns: &str| -> Vec<String> {
        desired.state.namespaces[ns].routes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(routes("vnet0"), ["10.0.2.0/24 dev veth0"]);
    assert_eq!(routes("vnet1"), ["10.0.1.0/24 dev veth1"]);
}

/// `a -- r -- s -- b`, where `r` and `s` forward.
fn line(r: Node, s: Node) -> TopologyBuilder {
    auto()
        .node("a")
        .node(r)
        .node(s)
        .node("b")
        .link(prefixed("a", "r", &["10.0.1.0/24", "2001:db8:1::/64"]))
        .link(prefixed("r", "s", &["10.0.2.0/24", "2001:db8:2::/64"]))
        .link(prefixed("s", "b", &["10.0.3.0/24"]))
}

#[test]
fn each_family_has_its_own_paths() {
    let desired = resolved(line(router("r"), router("s")));
    assert_eq!(
        routes(&desired, "a"),
        [
            "10.0.2.0/24 via 10.0.1.2 dev r",
            "10.0.3.0/24 via 10.0.1.2 dev r",
            "2001:db8:2::/64 via 2001:db8:1::2 dev r",
        ]
    );
    assert_eq!(
        routes(&desired, "b"),
        ["10.0.1.0/24 via 10.0.3.1 dev s", "10.0.2.0/24 via 10.0.3.1 dev s"]
    );
    assert_eq!(
        routes(&desired, "s"),
        ["10.0.1.0/24 via 10.0.2.1 dev r", "2001:db8:1::/64 via 2001:db8:2::1 dev r"]
    );
    assert_eq!(
        resolved(line(router("r"), router("s")).routing(Routing::None)).state.namespaces["lab-a"]
            .routes
            .len(),
        0
    );
}

#[test]
fn only_nodes_that_forward_are_on_the_way() {
    let desired = resolved(line(router("r"), node("s")));
    assert_eq!(
        routes(&desired, "a"),
        ["10.0.2.0/24 via 10.0.1.2 dev r", "2001:db8:2::/64 via 2001:db8:1::2 dev r"]
    );
    assert_eq!(routes(&desired, "b"), [""; 0]);
}

#[test]
fn loopback_addresses_are_reached_also_on_a_host() {
    let desired = resolved(line(router("r"), with_lo(node("s"), &["10.255.0.1", "2001:db8::1"])));
    assert!(routes(&desired, "a").contains(&"10.255.0.1 via 10.0.1.2 dev r".into()));
    assert!(routes(&desired, "a").contains(&"2001:db8::1 via 2001:db8:1::2 dev r".into()));
    assert!(routes(&desired, "r").contains(&"10.255.0.1 via 10.0.2.2 dev s".into()));
    assert!(routes(&desired, "b").contains(&"10.255.0.1 via 10.0.3.1 dev s".into()));
}

#[test]
fn subnets_that_differ_are_crossed_on_link() {
    let topology = auto()
        .node("a")
        .node(router("r"))
        .node("b")
        .link(addressed(("a", &["10.0.1.1/24"]), ("r", &["10.0.2.1/24"])))
        .link(prefixed("r", "b", &["10.0.3.0/24"]));
    let desired = resolved(topology);
    assert_eq!(
        routes(&desired, "a"),
        ["10.0.2.0/24 dev r", "10.0.3.0/24 via 10.0.2.1 dev r onlink"]
    );
    assert_eq!(
        routes(&desired, "b"),
        ["10.0.1.0/24 via 10.0.3.1 dev r", "10.0.2.0/24 via 10.0.3.1 dev r"]
    );
    assert_eq!(routes(&desired, "r"), ["10.0.1.0/24 dev a"]);
}

/// Two leaves and two spines, with a loopback address on `leaf2`.
fn fabric(cost: Option<u32>) -> TopologyBuilder {
    let mut lab = auto()
        .node(router("leaf1"))
        .node(with_lo(router("leaf2"), &["10.255.0.2"]))
        .node(router("spine1"))
        .node(router("spine2"));
    for (number, (leaf, spine)) in
        [("leaf1", "spine1"), ("leaf1", "spine2"), ("leaf2", "spine1"), ("leaf2", "spine2")]
            .into_iter()
            .enumerate()
    {
        let mut link = prefixed(leaf, spine, &[&format!("10.1.{number}.0/31")]);
        link.cost = cost.filter(|_| number == 0);
        lab = lab.link(link);
    }
    lab
}

#[test]
fn equal_paths_are_one_multipath_route() {
    assert_eq!(
        routes(&resolved(fabric(None)), "leaf1"),
        [
            "10.1.2.0/31 via 10.1.0.1 dev spine1",
            "10.1.3.0/31 via 10.1.1.1 dev spine2",
            "10.255.0.2 nexthop via 10.1.0.1 dev spine1 weight 1 nexthop via 10.1.1.1 dev spine2 weight 1",
        ]
    );
}

#[test]
fn cost_turns_traffic_away() {
    let desired = resolved(fabric(Some(5)));
    assert_eq!(
        routes(&desired, "leaf1"),
        [
            "10.1.2.0/31 via 10.1.1.1 dev spine2",
            "10.1.3.0/31 via 10.1.1.1 dev spine2",
            "10.255.0.2 via 10.1.1.1 dev spine2",
        ]
    );
}

#[test]
fn parallel_links_share_the_traffic() {
    let desired = resolved(
        auto()
            .node("a")
            .node(with_lo(node("b"), &["10.255.0.1"]))
            .link(prefixed("a", "b", &["10.0.1.0/24"]))
            .link(prefixed("a", "b", &["10.0.2.0/24"])),
    );
    assert_eq!(
        routes(&desired, "a"),
        ["10.255.0.1 nexthop via 10.0.1.2 dev b weight 1 nexthop via 10.0.2.2 dev b-2 weight 1"]
    );
}

#[test]
fn a_segment_is_one_hop() {
    let mut s = segment("s", &["a", "r", "q"]);
    s.prefixes = vec!["10.0.0.0/24".parse().unwrap()];
    let desired = resolved(
        auto()
            .node("a")
            .node(with_lo(router("r"), &["10.255.0.1"]))
            .node(with_lo(router("q"), &["10.255.0.1"]))
            .node("b")
            .segment(s)
            .link(prefixed("b", "r", &["10.0.1.0/24"])),
    );
    // An address on two nodes leads to both.
    assert_eq!(
        routes(&desired, "a"),
        [
            "10.0.1.0/24 via 10.0.0.2 dev s",
            "10.255.0.1 nexthop via 10.0.0.2 dev s weight 1 nexthop via 10.0.0.3 dev s weight 1",
        ]
    );
    assert_eq!(
        routes(&desired, "b"),
        ["10.0.0.0/24 via 10.0.1.2 dev r", "10.255.0.1 via 10.0.1.2 dev r"]
    );
}

#[test]
fn a_bridge_in_a_node_is_one_wire_with_its_ports() {
    let mut leaf = router("leaf");
    leaf.interfaces.push(bridge("br0", &["h1", "h2"]));
    leaf.interfaces[0].options.addresses = vec![address("10.0.0.1/24")];
    let desired = resolved(
        auto()
            .node(leaf)
            .node("h1")
            .node("h2")
            .node("up")
            .link(addressed(("leaf", &[]), ("h1", &["10.0.0.11/24"])))
            .link(addressed(("leaf", &[]), ("h2", &["10.0.0.12/24"])))
            .link(prefixed("leaf", "up", &["10.0.1.0/24"])),
    );
    assert_eq!(routes(&desired, "h1"), ["10.0.1.0/24 via 10.0.0.1 dev leaf"]);
    assert_eq!(routes(&desired, "up"), ["10.0.0.0/24 via 10.0.1.1 dev leaf"]);
    assert_eq!(routes(&desired, "leaf"), [""; 0]);
}

#[test]
fn the_files_own_routes_stay() {
    let mut r = router("r");
    r.routes = vec![route("blackhole 10.0.3.0/24")];
    let desired = resolved(line(r, router("s")));
    assert_eq!(routes(&desired, "r"), ["blackhole 10.0.3.0/24"]);
}

#[test]
fn an_interface_that_is_down_leads_nowhere() {
    let mut link = prefixed("a", "b", &["10.0.1.0/24"]);
    link.ends[0].options.up = Some(false);
    let desired = resolved(auto().node("a").node(with_lo(node("b"), &["10.255.0.1"])).link(link));
    assert_eq!(routes(&desired, "a"), [""; 0]);
}

/// `a -- r1 -- r2 -- b`, all with an address on `lo`, of which all forward.
fn long_way() -> TopologyBuilder {
    auto()
        .node(with_lo(router("a"), &["10.255.0.1", "10.255.1.1"]))
        .node(router("r1"))
        .node(router("r2"))
        .node(with_lo(router("b"), &["10.255.0.2", "10.255.1.2"]))
        .link(prefixed("a", "r1", &["10.0.1.0/24", "2001:db8:1::/64"]))
        .link(prefixed("r1", "r2", &["10.0.2.0/24", "2001:db8:2::/64"]))
        .link(prefixed("r2", "b", &["10.0.3.0/24", "2001:db8:3::/64"]))
}

/// A tunnel by which all ways would be shorter.
fn cheap(kind: &str, [a, b]: [&str; 2], net: &str, over: Option<&str>) -> crate::topology::Link {
    let mut link = prefixed(a, b, &[net]);
    let mut device = crate::Device::new(crate::kind::find(kind).unwrap());
    if kind == "vxlan" {
        device = device.with("id", crate::kind::Value::Number(7));
    }
    let over = over.map(|over| over.try_into().unwrap());
    link.tunnel = Some(crate::topology::Tunnel { device, over });
    link.cost = Some(1);
    link
}

/// The next hops of a node to some destination.
#[track_caller]
fn way(desired: &Desired, node: &str, dst: &str) -> String {
    let routes = routes(desired, node);
    let way = routes.iter().find_map(|route| route.strip_prefix(&format!("{dst} ")));
    way.unwrap_or_else(|| panic!("no way from {node} to {dst}: {routes:?}")).to_owned()
}

#[test]
fn no_tunnel_leads_to_its_own_ends() {
    for kind in ["vxlan", "gre", "wireguard"] {
        let tunnel = cheap(kind, ["a:t", "b:t"], "10.9.0.0/30", None);
        let desired = resolved(long_way().link(tunnel.clone()));
        // It goes from `lo` to `lo`.
        assert_eq!(way(&desired, "a", "10.255.0.2"), "via 10.0.1.2 dev r1", "{kind}");
        assert_eq!(way(&desired, "r1", "10.255.0.2"), "via 10.0.2.2 dev r2", "{kind}");
        assert_eq!(way(&desired, "b", "10.255.0.1"), "via 10.0.3.1 dev r2", "{kind}");
        // All else goes by it.
        assert_eq!(way(&desired, "a", "10.255.1.2"), "via 10.9.0.2 dev t", "{kind}");
        assert_eq!(way(&desired, "a", "10.0.3.0/24"), "via 10.9.0.2 dev t", "{kind}");
        assert_eq!(way(&desired, "r1", "10.9.0.0/30"), "via 10.0.1.1 dev a", "{kind}");

        let over = |over| cheap(kind, ["a:t", "b:t"], "10.9.0.0/30", Some(over));
        let desired = resolved(long_way().link(over("lo")));
        assert_eq!(way(&desired, "a", "10.255.0.2"), "via 10.0.1.2 dev r1", "{kind}");
        // `b` has no such interface, and its end of it is on `lo`.
        let desired = resolved(long_way().link(over("r1")));
        assert_eq!(way(&desired, "a", "10.255.0.2"), "via 10.0.1.2 dev r1", "{kind}");
        assert_eq!(way(&desired, "b", "10.0.1.0/24"), "via 10.0.3.1 dev r2", "{kind}");
    }
}

/// Two tunnels, of which each would be a shorter way to the ends of the other.
#[test]
fn tunnels_do_not_carry_each_other() {
    let second = cheap("gre", ["a:u", "b:u"], "10.9.1.0/30", Some("r1"));
    let first = cheap("gre", ["a:t", "b:t"], "10.9.0.0/30", Some("lo"));
    let desired = resolved(long_way().link(first).link(second));
    assert_eq!(way(&desired, "a", "10.255.0.2"), "via 10.0.1.2 dev r1");
    assert_eq!(way(&desired, "b", "10.255.0.1"), "via 10.0.3.1 dev r2");
    assert_eq!(way(&desired, "b", "10.0.1.0/24"), "via 10.0.3.1 dev r2");
}

/// `a == b -- c`, where the only way between the first two is a tunnel over IPv6, and what ends on `lo`
/// goes in that.
#[test]
fn a_tunnel_goes_in_another_where_there_is_no_other_way() {
    let lab = |t: &str, u: &str| {
        auto()
            .node(with_lo(router("a"), &["10.255.0.1"]))
            .node(router("r"))
            .node(router("b"))
            .node(with_lo(router("c"), &["10.255.0.3"]))
            .link(prefixed("a", "r", &["2001:db8:1::/64"]))
            .link(prefixed("r", "b", &["2001:db8:2::/64"]))
            .link(cheap(t, ["a:t", "b:t"], "10.9.0.0/30", None))
            .link(prefixed("b", "c", &["10.0.4.0/24"]))
            .link(cheap(u, ["a:u", "c:u"], "10.9.1.0/30", Some("lo")))
    };
    for (t, u) in [("ip6gre", "gre"), ("ip6gre", "wireguard"), ("ip6gretap", "vxlan")] {
        let desired = resolved(lab(t, u));
        assert_eq!(way(&desired, "a", "10.255.0.3"), "via 10.9.0.2 dev t", "{t} {u}");
        assert_eq!(way(&desired, "b", "10.255.0.1"), "via 10.9.0.1 dev t", "{t} {u}");
        assert_eq!(way(&desired, "c", "10.255.0.1"), "via 10.0.4.1 dev b", "{t} {u}");
        assert_eq!(way(&desired, "a", "10.0.4.0/24").matches("dev u").count(), 1, "{t} {u}");
    }
}

/// The same where both are carried by IPv4: layer upon layer.
#[test]
fn a_tunnel_in_a_tunnel_is_a_layer_more() {
    let lab = auto()
        .node(router("a"))
        .node(router("r"))
        .node(router("b"))
        .node(with_lo(node("c"), &["10.255.0.3"]))
        .node(with_lo(node("d"), &["10.255.0.4"]))
        .link(prefixed("a", "r", &["10.0.1.0/24"]))
        .link(prefixed("r", "b", &["10.0.2.0/24"]))
        .link(cheap("gre", ["a:t", "b:t"], "10.9.0.0/30", None))
        .link(cheap("gre", ["a:u", "b:u"], "10.9.1.0/30", Some("t")))
        .link(cheap("gre", ["a:v", "b:v"], "10.9.2.0/30", Some("u")))
        .link(prefixed("c", "a", &["10.0.3.0/24"]))
        .link(prefixed("d", "b", &["10.0.4.0/24"]));
    let desired = resolved(lab);
    assert_eq!(way(&desired, "a", "10.0.2.0/24"), "via 10.0.1.2 dev r");
    assert_eq!(way(&desired, "r", "10.9.1.0/30").matches("via").count(), 2);
    assert_eq!(way(&desired, "c", "10.9.2.0/30"), "via 10.0.3.2 dev a");
    assert_eq!(way(&desired, "a", "10.255.0.4").matches("via").count(), 3);
}

#[test]
fn a_tunnel_that_nothing_carries_does_not_carry_itself() {
    let lab = auto()
        .node(with_lo(router("a"), &["10.255.0.1"]))
        .node(with_lo(router("b"), &["10.255.0.2", "10.255.1.2"]))
        .link(cheap("gre", ["a:t", "b:t"], "10.9.0.0/30", Some("lo")));
    assert_eq!(routes(&resolved(lab), "a"), ["10.255.1.2 via 10.9.0.2 dev t"]);
}

/// Members of a segment that is a tunnel have a way to each other without it.
#[test]
fn no_segment_leads_to_its_own_ends() {
    let vxlan = |over: &str| {
        crate::topology::SegmentKind::Vxlan(crate::topology::Vxlan {
            id: 7,
            port: 4789,
            over: over.try_into().unwrap(),
            group: None,
        })
    };
    let wireguard = crate::topology::Tunnel {
        device: crate::Device::new(&crate::kind::WIREGUARD),
        over: Some("lo".try_into().unwrap()),
    };
    let hub = Some("a".try_into().unwrap());
    for kind in [vxlan("lo"), crate::topology::SegmentKind::Wireguard { tunnel: wireguard, hub }] {
        let mut s = segment("s", &["a", "b"]);
        s.prefixes = vec!["10.9.0.0/24".parse().unwrap()];
        (s.kind, s.cost) = (kind, Some(1));
        let desired = resolved(long_way().segment(s));
        assert_eq!(way(&desired, "a", "10.255.0.2"), "via 10.0.1.2 dev r1");
        assert_eq!(way(&desired, "b", "10.255.0.1"), "via 10.0.3.1 dev r2");
        assert_eq!(way(&desired, "a", "10.255.1.2"), "via 10.9.0.2 dev s");
    }
}

/// A VRF of a node with its ports.
fn vrf(name: &str, table: u64, ports: &[&str]) -> crate::topology::NodeInterface {
    let mut vrf = bridge(name, ports);
    let device = crate::Device::new(&crate::kind::VRF);
    let device = device.with("table", crate::kind::Value::Number(table));
    let ports = ports.iter().map(|port| (*port).try_into().unwrap()).collect();
    vrf.kind = crate::topology::NodeInterfaceKind::Device { device, ports };
    vrf
}

/// ```text
///   ce1 --r-- pe1 ==red== pe2 --r-- ce2      10.0.1.0/24, 10.0.9.0/30, 10.0.2.0/24
///   cb1 --b-- pe1 ==blue= pe2 --b-- cb2      the same
///    p1 ----- pe1 ------- pe2 ----- p2       192.168.1.0/24, 192.168.9.0/30, 192.168.2.0/24
/// ```
fn two_vrfs() -> TopologyBuilder {
    let pe = |name: &str| {
        let mut pe = router(name);
        pe.interfaces = vec![vrf("red", 10, &["r", "pr"]), vrf("blue", 20, &["b", "pb"])];
        pe
    };
    let mut lab = auto().node(pe("pe1")).node(pe("pe2"));
    for (ce, addr) in [
        ("ce1", "10.255.0.1"),
        ("cb1", "10.255.0.1"),
        ("ce2", "10.255.0.2"),
        ("cb2", "10.255.0.2"),
        ("p1", "10.255.0.2"),
        ("p2", "10.255.0.3"),
    ] {
        lab = lab.node(with_lo(node(ce), &[addr]));
    }
    for (a, b, net) in [
        ("pe1:r", "ce1", "10.0.1.0/24"),
        ("pe1:b", "cb1", "10.0.1.0/24"),
        ("pe2:r", "ce2", "10.0.2.0/24"),
        ("pe2:b", "cb2", "10.0.2.0/24"),
        ("pe1:pr", "pe2:pr", "10.0.9.0/30"),
        ("pe1:pb", "pe2:pb", "10.0.9.0/30"),
        ("pe1", "p1", "192.168.1.0/24"),
        ("pe2", "p2", "192.168.2.0/24"),
        ("pe1:up", "pe2:up", "192.168.9.0/30"),
    ] {
        lab = lab.link(prefixed(a, b, &[net]));
    }
    lab
}

#[test]
fn each_vrf_has_its_own_paths_in_its_own_table() {
    let desired = resolved(two_vrfs());
    assert_eq!(
        routes(&desired, "pe1"),
        [
            "10.0.2.0/24 via 10.0.9.2 dev pr table 10",
            "10.255.0.1 via 10.0.1.2 dev r table 10",
            "10.255.0.2 via 10.0.9.2 dev pr table 10",
            "10.0.2.0/24 via 10.0.9.2 dev pb table 20",
            "10.255.0.1 via 10.0.1.2 dev b table 20",
            "10.255.0.2 via 10.0.9.2 dev pb table 20",
            "10.255.0.2 via 192.168.1.2 dev p1",
            "10.255.0.3 via 192.168.9.2 dev up",
            "192.168.2.0/24 via 192.168.9.2 dev up",
        ]
    );
    for customer in ["ce1", "cb1"] {
        assert_eq!(
            routes(&desired, customer),
            [
                "10.0.2.0/24 via 10.0.1.1 dev pe1",
                "10.0.9.0/30 via 10.0.1.1 dev pe1",
                "10.255.0.2 via 10.0.1.1 dev pe1",
            ]
        );
    }
    assert_eq!(
        routes(&desired, "p1"),
        [
            "10.255.0.3 via 192.168.1.1 dev pe1",
            "192.168.2.0/24 via 192.168.1.1 dev pe1",
            "192.168.9.0/30 via 192.168.1.1 dev pe1",
        ]
    );
}

/// A node that is in two VRFs and forwards joins them, if it is asked to; what a VRF itself has is in it.
#[test]
fn a_vrf_has_addresses_and_neighbours_as_a_node_has() {
    let mut pe = router("pe");
    let mut red = vrf("red", 10, &["x"]);
    red.options.addresses = vec![address("10.255.1.1/32")];
    pe.interfaces = vec![red, vrf("blue", 20, &["y"])];
    let lab = |ce: Node| {
        auto()
            .node(pe.clone())
            .node(ce)
            .node(router("q"))
            .link(prefixed("pe:x", "ce", &["10.0.1.0/24"]))
            .link(prefixed("pe:y", "ce", &["10.0.2.0/24"]))
            .link(prefixed("pe", "q", &["10.0.3.0/24"]))
    };
    let joined = [
        "10.0.2.0/24 via 10.0.1.2 dev x table 10",
        "10.0.1.0/24 via 10.0.2.2 dev y table 20",
        "10.255.1.1 via 10.0.2.2 dev y table 20",
    ];
    assert_eq!(routes(&resolved(lab(router("ce"))), "pe"), joined);
    // To who is on it, it is no way on.
    let apart = resolved(lab(node("ce")));
    assert_eq!(routes(&apart, "pe"), joined[..0]);
    assert_eq!(routes(&apart, "ce"), ["10.255.1.1 via 10.0.1.1 dev pe"]);
    assert_eq!(routes(&apart, "q"), [""; 0]);
}

/// Every order of five links, with the routers turned round, with costs, two equal ways, unequal
/// prefix lengths and a tunnel.
#[test]
fn the_order_of_the_file_does_not_matter() {
    let costs = |cost, mut link: crate::topology::Link| {
        link.cost = Some(cost);
        link
    };
    let mut tunnel = addressed(("p:t", &["10.9.0.1/30"]), ("s:t", &["10.9.0.2/30"]));
    let device = crate::Device::new(crate::kind::find("gre").unwrap());
    tunnel.tunnel = Some(crate::topology::Tunnel { device, over: None });
    let links = [
        costs(2, addressed(("p:q", &["10.0.1.1/24"]), ("q:p", &["10.0.1.2/24"]))),
        addressed(("p:r", &["10.0.2.1/28"]), ("r:p", &["10.0.2.2/28"])),
        costs(2, addressed(("q:s", &["10.0.3.1/31"]), ("s:q", &["10.0.3.0/31"]))),
        costs(3, addressed(("r:s", &["10.0.5.1/30"]), ("s:r", &["10.0.5.2/30"]))),
        tunnel,
    ];
    let names = ["p", "q", "r", "s"];
    let built = |order: &[usize], turn: usize| {
        let nodes = (0..names.len()).map(|index| names[(index + turn) % names.len()]);
        let nodes = nodes.map(|name| with_lo(router(name), &[lo_of(name)]));
        let lab = nodes.fold(auto(), TopologyBuilder::node);
        let desired =
            resolved(order.iter().map(|&i| links[i].clone()).fold(lab, TopologyBuilder::link));
        names.map(|name| routes(&desired, name))
    };
    let first = built(&[0, 1, 2, 3, 4], 0);
    // Four either way.
    let to_s = first[0].iter().find(|route| route.starts_with("10.255.0.4 ")).unwrap();
    assert!(to_s.contains("dev q") && to_s.contains("dev r"), "{to_s}");
    // Over `p`, though `s` is as near by hops.
    assert!(first[1].contains(&"10.255.0.3 via 10.0.1.1 dev p".to_owned()), "{:?}", first[1]);
    for (count, order) in orders(&[0, 1, 2, 3, 4]).iter().enumerate() {
        assert_eq!(built(order, count % names.len()), first, "{order:?}");
    }
}

fn lo_of(name: &str) -> &'static str {
    match name {
        "p" => "10.255.0.1/32",
        "q" => "10.255.0.2/32",
        "r" => "10.255.0.3/32",
        _ => "10.255.0.4/32",
    }
}

/// Lists all orders of some numbers.
fn orders(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, &first) in of.iter().enumerate() {
        let rest = [&of[..at], &of[at + 1..]].concat();
        all.extend(orders(&rest).into_iter().map(|rest| [vec![first], rest].concat()));
    }
    all
}
