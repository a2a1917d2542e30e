use super::*;
use crate::origin::Origin;
use crate::topology::samples::{
    self, address, addressed, bridge, lab, node, nodes, prefixed, segment,
};
use crate::topology::{Addressing, InterfaceOptions, Link, Pool, Segment};

fn prefixed_segment(members: &[&str], prefixes: &[&str]) -> Segment {
    let mut s = segment("s", members);
    s.prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    s
}

#[test]
fn a_prefix_hands_out_in_written_order_gateway_first() {
    let mut s = prefixed_segment(&["a", "b", "gw"], &["10.0.0.0/24", "2001:db8::/64"]);
    s.gateway = Some(NodeName::new("gw").unwrap());
    let desired = resolved(nodes(&["gw", "b", "a"]).segment(s));
    assert_eq!(addresses(&desired, "gw:s"), ["10.0.0.1/24", "2001:db8::1/64"]);
    assert_eq!(addresses(&desired, "a:s"), ["10.0.0.2/24", "2001:db8::2/64"]);
    assert_eq!(addresses(&desired, "b:s"), ["10.0.0.3/24", "2001:db8::3/64"]);
    assert_eq!(desired.handed_out.len(), 6);

    let desired = resolved(nodes(&["a", "b"]).link(prefixed("a", "b", &["10.0.0.0/31"])));
    assert_eq!(addresses(&desired, "a:b"), ["10.0.0.0/31"]);
    assert_eq!(addresses(&desired, "b:a"), ["10.0.0.1/31"]);
}

#[test]
fn pinned_addresses_are_handed_out_to_nobody_else() {
    let mut s = prefixed_segment(&["a", "b", "c"], &["10.0.0.0/24"]);
    s.members[1].options.addresses = vec![address("10.0.0.1"), address("192.0.2.1/30")];
    s.members[2].options.addresses = vec![address("192.0.2.2/30")];
    let desired = resolved(nodes(&["a", "b", "c"]).segment(s));
    assert_eq!(addresses(&desired, "a:s"), ["10.0.0.2/24"]);
    assert_eq!(addresses(&desired, "b:s"), ["10.0.0.1/24", "192.0.2.1/30"]);
    // An address elsewhere does not keep it from getting one here.
    assert_eq!(addresses(&desired, "c:s"), ["192.0.2.2/30", "10.0.0.3/24"]);
    let handed_out: Vec<String> =
        desired.handed_out.iter().map(|(end, net)| format!("{end} {net}")).collect();
    assert_eq!(handed_out, ["lab-a:s 10.0.0.2/24", "lab-c:s 10.0.0.3/24"]);
}

#[test]
fn reserved_addresses_are_not_handed_out_but_may_be_pinned() {
    let mut s = prefixed_segment(&["a", "b", "c"], &["10.0.0.0/29", "2001:db8::/64"]);
    s.reserved = ["10.0.0.1/32", "10.0.0.4/30"].map(|net| net.parse().unwrap()).to_vec();
    s.members[1].options.addresses = vec![address("10.0.0.5")];
    let desired = resolved(nodes(&["a", "b", "c"]).segment(s.clone()));
    assert_eq!(addresses(&desired, "a:s"), ["10.0.0.2/29", "2001:db8::1/64"]);
    assert_eq!(addresses(&desired, "b:s"), ["10.0.0.5/29", "2001:db8::2/64"]);
    assert_eq!(addresses(&desired, "c:s"), ["10.0.0.3/29", "2001:db8::3/64"]);
    s.members[1].options.addresses.clear();
    assert_eq!(
        problems(nodes(&["a", "b", "c"]).segment(s)),
        ["`10.0.0.0/29` has room for 2, and 3 are needed"]
    );
}

#[test]
fn addresses_of_both_places_are_merged() {
    let mut a = node("a");
    let addresses = ["10.0.0.7/24", "10.0.0.9"].map(address).to_vec();
    let options = InterfaceOptions { addresses, ..InterfaceOptions::default() };
    a.interfaces.push(samples::interface("b", options));
    let mut link = prefixed("a", "b", &["10.0.0.0/24"]);
    link.ends[0].options.addresses = ["10.0.0.8/24", "10.0.0.9"].map(address).to_vec();
    let desired = resolved(lab().node(a).node("b").link(link));
    assert_eq!(super::addresses(&desired, "a:b"), ["10.0.0.8/24", "10.0.0.9/24", "10.0.0.7/24"]);
}

#[test]
fn a_pool_gives_each_link_a_prefix_of_its_own() {
    let topology = |prefixes: &[&str]| {
        let mut lab = nodes(&["a", "b", "c"]);
        let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let pool = lab.push_pool(Pool { prefixes, origin: Origin::NONE });
        for (a, b) in [("a", "b"), ("a", "c"), ("b", "c")] {
            let mut link = Link::between(a, b).unwrap();
            link.addressing = Addressing::Pool(pool);
            lab = lab.link(link);
        }
        lab
    };
    let desired = resolved(topology(&["10.1.0.0/24", "2001:db8::/64"]));
    assert_eq!(addresses(&desired, "a:b"), ["10.1.0.0/31", "2001:db8::/127"]);
    assert_eq!(addresses(&desired, "b:a"), ["10.1.0.1/31", "2001:db8::1/127"]);
    assert_eq!(addresses(&desired, "c:b"), ["10.1.0.5/31", "2001:db8::5/127"]);
    refused(
        topology(&["10.1.0.0/30"]),
        "the pool 10.1.0.0/30 has room for 2 links, and 3 are needed",
    );
}

#[test]
fn a_prefix_that_is_too_small_says_so() {
    refused(
        nodes(&["a", "b", "c"]).segment(prefixed_segment(&["a", "b", "c"], &["10.0.0.0/30"])),
        "`10.0.0.0/30` has room for 2, and 3 are needed",
    );
    let mut s = prefixed_segment(&["a", "b", "c"], &["10.0.0.0/30"]);
    s.members[2].options.addresses = vec![address("10.0.0.2")];
    refused(nodes(&["a", "b", "c"]).segment(s), "`10.0.0.0/30` has room for 2, and 3 are needed");
}

#[test]
fn a_bare_address_takes_the_length_of_the_prefix_around_it() {
    let mut s = prefixed_segment(&["a"], &["10.0.0.0/24", "10.0.0.0/16"]);
    s.members[0].options.addresses = vec![address("10.0.0.1"), address("10.0.1.1")];
    let desired = resolved(nodes(&["a"]).segment(s.clone()));
    assert_eq!(addresses(&desired, "a:s"), ["10.0.0.1/24", "10.0.1.1/16"]);

    s.members[0].options.addresses = vec![address("10.9.0.1")];
    refused(
        nodes(&["a"]).segment(s.clone()),
        "`10.9.0.1` on `a:s` is outside 10.0.0.0/24, 10.0.0.0/16",
    );
    s.prefixes.clear();
    refused(
        nodes(&["a"]).segment(s),
        "`10.9.0.1` on `a:s` has no prefix length, and no prefix is around to take it from",
    );
    // At the end of a link to a segment, the segment's prefix is around.
    let desired = resolved(
        nodes(&["a", "b"])
            .segment(prefixed_segment(&["b"], &["10.0.0.0/24"]))
            .link(addressed(("a", &["10.0.0.1"]), ("s", &[]))),
    );
    assert_eq!(addresses(&desired, "a:s"), ["10.0.0.1/24"]);
    assert_eq!(addresses(&desired, "b:s"), ["10.0.0.2/24"]);
}

#[test]
fn an_address_is_once_on_a_wire_and_once_in_a_node() {
    refused(
        nodes(&["a", "b"]).link(addressed(("a", &["10.0.0.1/24"]), ("b", &["10.0.0.1/24"]))),
        "`a:b` and `b:a` both have the address 10.0.0.1",
    );
    refused(
        nodes(&["a", "b"])
            .link(addressed(("a", &["10.0.0.1/32"]), ("b", &[])))
            .link(addressed(("a", &["10.0.0.1/32"]), ("b", &[]))),
        "`a:b` and `a:b-2` both have the address 10.0.0.1",
    );
    // A link-local address is a link's own, and lo's are nobody else's business.
    let mut lab = nodes(&["b"]);
    for name in ["a", "c"] {
        let mut node = node(name);
        let addresses = vec![address("10.255.0.1")];
        let options = InterfaceOptions { addresses, ..InterfaceOptions::default() };
        node.interfaces.push(samples::interface("lo", options));
        lab = lab.node(node);
    }
    resolved(
        lab.link(addressed(("a", &["fe80::1/64"]), ("b", &[])))
            .link(addressed(("a", &["fe80::1/64"]), ("c", &[]))),
    );
}

#[test]
fn prefixes_of_a_node_on_different_wires_are_apart() {
    let topology = |first: &str, second: &str| {
        nodes(&["a", "b"])
            .link(addressed(("a", &[first]), ("b", &[])))
            .link(addressed(("a", &[second]), ("b", &[])))
    };
    for (first, second) in [
        ("10.0.1.1/24", "10.0.2.1/24"),
        ("10.0.1.1/24", "10.0.1.2/32"),
        ("fe80::1/64", "fe80::2/64"),
    ] {
        resolved(topology(first, second));
    }
    refused(
        topology("10.0.1.1/24", "10.0.1.2/24"),
        "`a:b` in 10.0.1.0/24 and `a:b-2` in 10.0.1.0/24 overlap",
    );
    refused(
        topology("10.0.1.1/24", "10.0.9.9/8"),
        "`a:b-2` in 10.0.0.0/8 and `a:b` in 10.0.1.0/24 overlap",
    );
    // Two interfaces on one segment can be in one prefix.
    resolved(nodes(&["a"]).segment(prefixed_segment(&["a", "a"], &["10.0.0.0/24"])));
}

#[test]
fn wires_get_no_address() {
    let mut a = node("a");
    a.interfaces.push(bridge("br0", &["s"]));
    a.interfaces[0].options.addresses = vec![address("10.0.0.9")];
    let s = prefixed_segment(&["a", "b"], &["10.0.0.0/24"]);
    let desired = resolved(lab().node(a).node("b").segment(s));
    assert_eq!(addresses(&desired, "a:s"), [""; 0]);
    assert_eq!(addresses(&desired, "a:br0"), ["10.0.0.9/24"]);
    assert_eq!(addresses(&desired, "b:s"), ["10.0.0.1/24"]);
    assert_eq!(addresses(&desired, "s:s"), [""; 0]);
}
