use super::*;
use crate::names::IfName;
use crate::topology::samples::{addressed, lab, node, nodes, prefixed, route, segment};
use crate::topology::{InterfaceOptions, Node, NodeInterface, NodeInterfaceKind, Segment};
use crate::{Device, kind};

fn with_routes(name: &str, texts: &[&str]) -> Node {
    let mut node = node(name);
    node.routes = texts.iter().map(|text| route(text)).collect();
    node
}

/// `a` with these routes, and `b`, on 10.0.0.0/24 and 2001:db8::/64: .1 and .2.
fn pair(texts: &[&str]) -> TopologyBuilder {
    let link = prefixed("a", "b", &["10.0.0.0/24", "2001:db8::/64"]);
    lab().node(with_routes("a", texts)).node("b").link(link)
}

#[test]
fn what_a_route_leaves_open_is_derived() {
    for (written, explicit) in [
        ("10.1.0.0/16 via 10.0.0.2", "10.1.0.0/16 via 10.0.0.2 dev b"),
        ("10.1.0.9/16 via b", "10.1.0.0/16 via 10.0.0.2 dev b"),
        ("2001:db8:1::/48 via b", "2001:db8:1::/48 via 2001:db8::2 dev b"),
        ("default via b", "default via 10.0.0.2 dev b"),
        ("default via 2001:db8::2", "default via 2001:db8::2 dev b"),
        ("default dev b", "default dev b"),
        ("10.1.0.0/16 via 10.9.9.9 dev b onlink", "10.1.0.0/16 via 10.9.9.9 dev b onlink"),
        ("10.1.0.0/16 via fe80::1 dev b", "10.1.0.0/16 via inet6 fe80::1 dev b"),
        (
            "10.1.0.0/16 dev b src 10.0.0.1 table 7 metric 5",
            "10.1.0.0/16 dev b table 7 src 10.0.0.1 metric 5",
        ),
        ("blackhole 10.1.0.0/16", "blackhole 10.1.0.0/16"),
        ("10.0.0.0/24 dev b metric 5", "10.0.0.0/24 dev b metric 5"),
        ("2001:db8::/64 dev b", "2001:db8::/64 dev b"),
    ] {
        assert_eq!(routes(&resolved(pair(&[written])), "a"), [explicit], "{written}");
    }
    // What is behind an interface directly is on link too.
    let texts = ["10.7.0.0/24 dev b", "10.8.0.0/24 via 10.7.0.1"];
    assert_eq!(
        routes(&resolved(pair(&texts)), "a"),
        ["10.7.0.0/24 dev b", "10.8.0.0/24 via 10.7.0.1 dev b"]
    );
}

#[test]
fn a_route_that_the_kernel_would_refuse_is_refused() {
    for (written, problem) in [
        ("10.1.0.0/16 via 10.9.9.9", "the gateway 10.9.9.9 is on no link of `a`"),
        ("10.1.0.0/16 via 10.9.9.9 dev b", "the gateway 10.9.9.9 is on no link of `a` on `b`"),
        ("10.1.0.0/16 via 10.0.0.1", "the gateway 10.0.0.1 is `a` itself"),
        ("10.1.0.0/16 via a", "the gateway a is `a` itself"),
        ("10.1.0.0/16 via b dev lo", "`a` and `b` share no link or segment on `lo`"),
        ("default via fe80::1", "the link-local gateway fe80::1 on `a` needs `dev`"),
        ("default dev eth7", "`a` has no interface `eth7`"),
        ("10.1.0.0/16", "the route to 10.1.0.0/16 on `a` has neither `via` nor `dev`"),
        ("10.1.0.0/16 dev b src 10.9.9.9", "`a` does not have the source address 10.9.9.9"),
        (
            "2001:db8:1::/48 via 10.0.0.2",
            "the route to 2001:db8:1::/48 can't have the gateway 10.0.0.2 of the other family",
        ),
        (
            "10.1.0.0/16 dev b src 2001:db8::1",
            "the route to 10.1.0.0/16 can't have the source 2001:db8::1 of the other family",
        ),
        ("10.0.0.0/24 dev b", "`a:b` is in 10.0.0.0/24, so the kernel has a route to it already"),
    ] {
        assert_eq!(problems(pair(&[written])), [problem], "{written}");
    }
    refused(
        pair(&["10.1.0.0/16 via b", "blackhole 10.1.0.0/16"]),
        "`a` has two routes to 10.1.0.0/16",
    );
    resolved(pair(&["10.1.0.0/16 via b", "blackhole 10.1.0.0/16 metric 9"]));
}

/// The routes to a VRF's prefixes are in its table, so only there they are in the way.
#[test]
fn a_prefix_of_a_vrf_is_in_its_table() {
    let topology = |route: &str| {
        let mut a = with_routes("a", &[route]);
        let device = Device::new(&kind::VRF).with("table", kind::Value::Number(10));
        let kind = NodeInterfaceKind::Device { device, ports: vec![IfName::new("b").unwrap()] };
        let name = IfName::new("red").unwrap();
        a.interfaces.push(NodeInterface { name, kind, options: InterfaceOptions::default() });
        let links = [prefixed("a", "b", &["10.0.0.0/24"]), prefixed("a", "c", &["10.1.0.0/24"])];
        let lab = lab().node(a).node("b").node("c");
        links.into_iter().fold(lab, TopologyBuilder::link)
    };
    assert_eq!(routes(&resolved(topology("10.0.0.0/24 dev c")), "a"), ["10.0.0.0/24 dev c"]);
    refused(
        topology("10.0.0.0/24 dev b table 10"),
        "`a:b` is in 10.0.0.0/24, so the kernel has a route to it already",
    );
    resolved(topology("10.1.0.0/24 dev c table 10"));
}

#[test]
fn a_route_needs_its_interface_up_and_its_family_on() {
    for written in ["default dev b", "default via b", "default via 10.0.0.2"] {
        let mut link = prefixed("a", "b", &["10.0.0.0/24"]);
        link.ends[0].options.up = Some(false);
        refused(
            lab().node(with_routes("a", &[written])).node("b").link(link),
            "the route to 0.0.0.0/0 leads over `a:b`, which is down",
        );
    }
    let mut a = with_routes("a", &["2001:db8:1::/48 dev b"]);
    a.ipv6 = false;
    refused(
        lab().node(a).node("b").link(("a", "b")),
        "`a` can't have a route to 2001:db8:1::/48: IPv6 is off there",
    );
}

#[test]
fn via_a_node_takes_the_first_shared_wire() {
    let topology = |texts: &[&str]| {
        lab()
            .node(with_routes("a", texts))
            .node("b")
            .node("c")
            .link(prefixed("a", "b", &["10.0.0.0/24"]))
            .link(prefixed("a", "b", &["10.0.1.0/24"]))
            .link(prefixed("b", "c", &["10.0.2.0/24"]))
    };
    assert_eq!(
        routes(&resolved(topology(&["default via b"])), "a"),
        ["default via 10.0.0.2 dev b"]
    );
    assert_eq!(
        routes(&resolved(topology(&["default via b dev b-2"])), "a"),
        ["default via 10.0.1.2 dev b-2"]
    );
    refused(topology(&["default via c"]), "`a` and `c` share no link or segment");
    refused(
        topology(&["2001:db8::/64 via b"]),
        "`b` has no IPv6 address that `a` could use as gateway",
    );
}

#[test]
fn via_a_node_in_another_subnet_is_on_link() {
    let link = addressed(("a", &["10.0.1.1/24"]), ("b", &["10.0.2.1/24"]));
    let a = with_routes("a", &["default via b"]);
    let desired = resolved(lab().node(a).node("b").link(link));
    assert_eq!(routes(&desired, "a"), ["default via 10.0.2.1 dev b onlink"]);
}

fn with_gateway(name: &str, members: &[&str], gateway: &str, prefixes: &[&str]) -> Segment {
    let mut segment = segment(name, members);
    segment.gateway = Some(NodeName::new(gateway).unwrap());
    segment.prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    segment
}

#[test]
fn a_gateway_is_the_others_default_route() {
    let s = with_gateway("s", &["a", "b", "gw"], "gw", &["10.0.0.0/24", "2001:db8::/64"]);
    let mut b = node("b");
    b.ipv6 = false;
    let desired = resolved(lab().node("a").node(b).node("gw").segment(s));
    let v4 = "default via 10.0.0.1 dev s";
    assert_eq!(routes(&desired, "a"), [v4, "default via 2001:db8::1 dev s"]);
    assert_eq!(routes(&desired, "b"), [v4]);
    assert_eq!(routes(&desired, "gw"), [""; 0]);
    assert_eq!(routes(&desired, "s"), [""; 0]);

    let mut link = prefixed("a", "gw", &["10.0.0.0/24"]);
    link.gateway = Some(NodeName::new("gw").unwrap());
    let desired = resolved(nodes(&["a", "gw"]).link(link));
    assert_eq!(routes(&desired, "a"), ["default via 10.0.0.1 dev gw"]);
}

#[test]
fn a_gateway_has_an_address() {
    refused(
        nodes(&["a", "gw"]).segment(with_gateway("s", &["a", "gw"], "gw", &[])),
        "the gateway `gw` has no address on `s`",
    );
}

#[test]
fn a_node_chooses_between_two_gateways() {
    let topology = |a: Node| {
        lab()
            .node(a)
            .node("g")
            .node("h")
            .segment(with_gateway("s", &["a", "g"], "g", &["10.0.0.0/24"]))
            .segment(with_gateway("t", &["a", "h"], "h", &["10.0.1.0/24"]))
    };
    refused(topology(node("a")), "`a` has two IPv4 gateways: `g` and `h`");
    let desired = resolved(topology(with_routes("a", &["default via h"])));
    assert_eq!(routes(&desired, "a"), ["default via 10.0.1.1 dev t"]);
}

#[test]
fn a_gateway_behind_a_bridge_in_the_node_is_the_bridges() {
    let mut gw = node("gw");
    gw.interfaces.push(crate::topology::samples::bridge("br0", &["a"]));
    gw.interfaces[0].options.addresses = vec![crate::topology::samples::address("10.0.0.1")];
    let mut link = prefixed("a", "gw", &["10.0.0.0/24"]);
    link.gateway = Some(NodeName::new("gw").unwrap());
    let desired = resolved(lab().node(gw).node("a").link(link));
    assert_eq!(routes(&desired, "a"), ["default via 10.0.0.1 dev gw"]);
}
