//! Each rule of [`TopologyBuilder::build`], broken once.

use super::samples::{address, bridge, interface, lab, node, nodes, segment};
use super::*;

fn errors(lab: TopologyBuilder) -> Vec<String> {
    lab.build().err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(lab: TopologyBuilder, error: &str) {
    assert_eq!(errors(lab), [error]);
}

#[track_caller]
fn accepted(lab: TopologyBuilder) {
    assert_eq!(errors(lab), [""; 0]);
}

#[test]
fn names_are_defined_once() {
    refused(nodes(&["a", "a"]), "`a` is defined twice");
    refused(nodes(&["a"]).segment(segment("a", &[])), "`a` is defined twice");
    refused(
        nodes(&["all"]),
        "node name `all` is reserved: `host`, `all`, `default` and `lo` can't name a node",
    );
}

#[test]
fn names_that_are_used_exist() {
    let problems = nodes(&["leaf1", "leaf2"]).link(("leaf1", "laef2")).build().unwrap_err();
    assert_eq!(problems[0].to_string(), "there is no node or segment `laef2`");
    assert_eq!(problems[0].kind.hint().unwrap(), "one with a similar name exists: `leaf2`");
    refused(nodes(&["a"]).segment(segment("s", &["b"])), "there is no node `b`");
    refused(
        lab().segment(segment("s", &[])).segment(segment("t", &["s"])),
        "`s` is a segment, and only a node can be a member",
    );
    let mut a = node("a");
    a.routes.push(samples::route("default via b"));
    refused(lab().node(a), "there is no node `b`");
}

#[test]
fn a_gateway_is_on_its_segment_or_link() {
    let mut s = segment("s", &["a"]);
    s.gateway = Some(NodeName::new("b").unwrap());
    refused(nodes(&["a", "b"]).segment(s), "the gateway `b` is not a member of `s`");
    let mut link = Link::between("a", "b").unwrap();
    link.gateway = Some(NodeName::new("c").unwrap());
    refused(nodes(&["a", "b", "c"]).link(link), "the gateway `c` is not an end of `a--b`");
}

#[test]
fn interfaces_of_a_node_have_names_of_their_own() {
    refused(
        nodes(&["a", "b", "c"]).link(("a:eth0", "b")).link(("a:eth0", "c")),
        "`a` has two interfaces named `eth0`",
    );
    // A given name that is what another is called after its far end.
    let problems = nodes(&["a", "b", "c"]).link(("a", "b")).link(("a:b", "c")).build().unwrap_err();
    assert_eq!(problems[0].to_string(), "`a` has two interfaces named `b`");
    assert_eq!(
        problems[0].kind.hint().unwrap(),
        "one is named after its far end; name it yourself: `a:NAME`"
    );
    refused(nodes(&["a", "b"]).link(("a:lo", "b")), "`a` has two interfaces named `lo`");
    accepted(nodes(&["a", "b"]).link(("a", "b")).link(("b", "a")).link(("a", "a")));
}

#[test]
fn options_are_for_interfaces_that_exist() {
    let mut a = node("a");
    a.interfaces.push(interface("b", InterfaceOptions::default()));
    a.interfaces.push(interface("lo", InterfaceOptions::default()));
    accepted(lab().node(a.clone()).node("b").link(("a", "b")));
    refused(lab().node(a).node("b"), "`a` has no interface `b`");
}

#[test]
fn options_given_twice_agree() {
    let mut a = node("a");
    let mtu = |mtu| InterfaceOptions { mtu: Some(mtu), ..InterfaceOptions::default() };
    a.interfaces.push(interface("b", mtu(1400)));
    let mut link = Link::between("a", "b").unwrap();
    link.ends[0].options = mtu(1400);
    accepted(lab().node(a.clone()).node("b").link(link.clone()));
    link.ends[0].options = mtu(1300);
    refused(lab().node(a).node("b").link(link), "`a:b` has two values for `mtu`: 1300 and 1400");
}

#[test]
fn values_are_within_their_ranges() {
    let with = |options| {
        let mut link = Link::between("a", "b").unwrap();
        link.ends[0].options = options;
        nodes(&["a", "b"]).link(link)
    };
    let none = InterfaceOptions::default;
    refused(
        with(InterfaceOptions { mtu: Some(67), ..none() }),
        "`mtu` is 67, which is not within 68 to 65535",
    );
    accepted(with(InterfaceOptions { mtu: Some(65535), ..none() }));
    refused(
        with(InterfaceOptions { mac: Some("01:00:5e:00:00:01".parse().unwrap()), ..none() }),
        "`01:00:5e:00:00:01` is not the hardware address of one interface",
    );
    refused(
        with(InterfaceOptions { alias: Some("x".repeat(256)), ..none() }),
        "an alias of 256 bytes is longer than the kernel's 255",
    );
    for (text, error) in [
        ("10.0.0.1/33", "the prefix length of `10.0.0.1/33` is longer than 32"),
        ("224.0.0.1/24", "`224.0.0.1` is a multicast address, which no interface can have"),
        ("ff02::1/64", "`ff02::1` is a multicast address, which no interface can have"),
        ("0.0.0.0/8", "`0.0.0.0` is the unspecified address, which no interface can have"),
    ] {
        refused(with(InterfaceOptions { addresses: vec![address(text)], ..none() }), error);
    }
    // The network's own base address: the kernel takes it.
    accepted(with(InterfaceOptions { addresses: vec![address("10.0.1.0/24")], ..none() }));
    let mut link = Link::between("a", "b").unwrap();
    link.cost = Some(0);
    refused(nodes(&["a", "b"]).link(link), "`cost` is 0, which is not within 1 to 4294967295");
}

#[test]
fn lo_keeps_its_mark() {
    let mut a = node("a");
    let options = InterfaceOptions { alias: Some("mine".into()), ..InterfaceOptions::default() };
    a.interfaces.push(interface("lo", options));
    refused(lab().node(a), "`lo` can't have `alias`");
}

#[test]
fn sysctls_stay_under_net() {
    for key in ["kernel.hostname", "net..x", "net.ipv4/ip_forward", "net.ipv4.x\n"] {
        let mut a = node("a");
        a.sysctls.insert(key.into(), Sysctl { value: "1".into(), origin: Origin::NONE });
        let shown = key.escape_debug();
        refused(lab().node(a), &format!("`{shown}` is not a sysctl of a network namespace"));
    }
}

#[test]
fn a_link_has_two_ends_and_a_name_of_its_own() {
    refused(nodes(&["a"]).link(("a:x", "a:x")), "both ends of the link are `a:x`");
    refused(
        lab().segment(segment("s", &[])).link(("s:x", "s:y")),
        "the link joins `s` with itself",
    );
    let mut link = Link::between("a", "b").unwrap();
    link.name = Some("a--b".into());
    refused(nodes(&["a", "b"]).link(("a", "b")).link(link), "two links are named `a--b`");
}

#[test]
fn a_bridge_has_ports_of_its_own() {
    let with = |bridges: Vec<NodeInterface>| {
        let mut a = node("a");
        a.interfaces = bridges;
        lab().node(a).node("b").link(("a", "b"))
    };
    accepted(with(vec![bridge("br0", &["b"])]));
    refused(with(vec![bridge("br0", &["c"])]), "`a` has no interface `c`");
    refused(
        with(vec![bridge("br0", &["lo"])]),
        "`a:lo` can't be a port of `br0`: it is the loopback interface",
    );
    refused(
        with(vec![bridge("br0", &["br1"]), bridge("br1", &[])]),
        "`a:br1` can't be a port of `br0`: it is a bridge itself",
    );
    refused(
        with(vec![bridge("br0", &["b"]), bridge("br1", &["b"])]),
        "`a:b` is a port of `br0` already",
    );
}

#[test]
fn a_bridge_takes_1023_ports() {
    let names: Vec<String> = (0..1024).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lab = |members: &[&str]| nodes(&names).segment(segment("s", members));
    accepted(lab(&names[..1023]));
    refused(lab(&names), "`s` has 1024 ports, and a bridge takes at most 1023");
    refused(
        lab(&names[..1023]).link(("s", "n0")),
        "`s` has 1024 ports, and a bridge takes at most 1023",
    );
}

#[test]
fn a_loop_of_bridges_is_refused() {
    let ring = |stp| {
        let mut s1 = segment("s1", &[]);
        s1.stp = stp;
        lab()
            .segment(s1)
            .segment(segment("s2", &[]))
            .segment(segment("s3", &[]))
            .link(("s1", "s2"))
            .link(("s2", "s3"))
            .link(("s3", "s1"))
    };
    refused(ring(false), "bridges form a loop, and none of them runs STP: s3 - s2 - s1 - s3");
    accepted(ring(true));
    // Two cables are a loop too.
    refused(
        lab()
            .segment(segment("s", &[]))
            .segment(segment("t", &[]))
            .link(("s", "t"))
            .link(("s", "t")),
        "bridges form a loop, and none of them runs STP: s - t - s",
    );
}

#[test]
fn a_loop_through_a_bridge_in_a_node_is_refused() {
    let lab = |ports: &[&str]| {
        let mut a = node("a");
        a.interfaces.push(bridge("br0", ports));
        lab().node(a).segment(segment("s", &["a"])).segment(segment("t", &["a"])).link(("s", "t"))
    };
    accepted(lab(&["s"]));
    refused(
        lab(&["s", "t"]),
        "bridges form a loop, and none of them runs STP: a:br0 - s - t - a:br0",
    );
}

#[test]
fn namespaces_have_names_of_their_own() {
    refused(
        nodes(&["a", "b", "c"]).netns(NetnsPattern::new("$lab")),
        "`a` and `b` would both be the namespace `lab`",
    );
    let problems = nodes(&["a"]).netns(NetnsPattern::new("x/$node")).build().unwrap_err();
    assert_eq!(problems[0].to_string(), "namespace name `x/a` may not contain `/`");
}

#[test]
fn all_problems_come_at_once_sorted_by_place() {
    let at = |mut node: Node, index| {
        node.origin = Origin::new(index);
        node
    };
    let mut link = Link::between("b", "nowhere").unwrap();
    link.origin = Origin::new(1);
    let lab = lab().node("bad name").link(link).node(at(node("b"), 0)).node(at(node("b"), 2));
    assert_eq!(
        errors(lab),
        [
            "node name `bad name` may contain only letters, digits, `-`, `_` and `.`",
            "there is no node or segment `nowhere`",
            "`b` is defined twice",
        ]
    );
}
