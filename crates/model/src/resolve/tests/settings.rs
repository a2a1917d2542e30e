use super::*;
use crate::origin::Origin;
use crate::state::Kind;
use crate::topology::samples::{
    self, address, addressed, bridge, lab, node, nodes, prefixed, segment,
};
use crate::topology::{InterfaceOptions, Link, Node, Segment, Sysctl};

#[test]
fn lo_is_as_the_kernel_makes_it_and_holds_the_files_addresses() {
    let mut a = node("a");
    let addresses =
        ["10.255.0.1", "127.0.0.1/8", "2001:db8::1", "10.254.0.0/24"].map(address).to_vec();
    let options = InterfaceOptions { addresses, ..InterfaceOptions::default() };
    a.interfaces.push(samples::interface("lo", options));
    let desired = resolved(lab().node(a));
    let lo = interface(&desired, "a:lo");
    assert_eq!(lo.kind, Kind::Loopback);
    assert_eq!((lo.up, lo.mtu, lo.mac, lo.ipv6, lo.forward_ipv4), (true, None, None, None, None));
    assert_eq!(
        super::addresses(&desired, "a:lo"),
        ["127.0.0.1/8", "::1/128", "10.255.0.1/32", "2001:db8::1/128", "10.254.0.0/24"]
    );
}

#[test]
fn an_mtu_is_the_ends_else_the_links() {
    let mut link = Link::between("a", "b").unwrap();
    let desired = resolved(nodes(&["a", "b"]).link(link.clone()));
    assert_eq!(interface(&desired, "a:b").mtu, Some(1500));
    link.mtu = Some(9000);
    link.ends[1].options.mtu = Some(1400);
    let desired = resolved(nodes(&["a", "b"]).link(link));
    assert_eq!(interface(&desired, "a:b").mtu, Some(9000));
    assert_eq!(interface(&desired, "b:a").mtu, Some(1400));
}

#[test]
fn a_segments_port_has_the_mtu_of_its_member() {
    let mut s = segment("s", &["a", "b"]);
    s.members[0].options.mtu = Some(1400);
    let mtus = |s: &Segment| {
        let desired = resolved(nodes(&["a", "b"]).segment(s.clone()));
        ["a:s", "s:a", "b:s", "s:b", "s:s"].map(|at| interface(&desired, at).mtu)
    };
    assert_eq!(mtus(&s), [Some(1400), Some(1400), Some(1500), Some(1500), None]);
    s.mtu = Some(9000);
    assert_eq!(mtus(&s), [Some(1400), Some(1400), Some(9000), Some(9000), Some(9000)]);
}

#[test]
fn routers_and_gateways_forward() {
    let mut r = node("r");
    r.forward = true;
    let mut link = prefixed("gw", "a", &["10.0.0.0/24"]);
    link.gateway = Some(NodeName::new("gw").unwrap());
    let topology = || lab().node(r.clone()).node("gw").node("a").link(("r", "gw"));
    let desired = resolved(topology().link(link.clone()));
    let forward = |at| interface(&desired, at).forward_ipv4;
    assert_eq!(forward("r:gw"), Some(true));
    assert_eq!(forward("gw:r"), Some(true));
    assert_eq!(forward("a:gw"), Some(false));
    assert_eq!(forward("r:lo"), None);
    // `/proc/sys` is left alone where the lab has no IPv6 addresses.
    assert!(ns(&desired, "r").sysctls.is_empty());
    let link = link.prefixes(["2001:db8::/64".parse().unwrap()]);
    let desired = resolved(topology().link(link));
    assert_eq!(ns(&desired, "r").sysctls["net.ipv6.conf.all.forwarding"], "1");
    assert_eq!(ns(&desired, "a").sysctls["net.ipv6.conf.all.forwarding"], "0");
    // A new namespace has it so: nothing is written.
    let steps = crate::plan(&desired, &crate::State::default()).steps;
    let written = |step: &&crate::Step| matches!(step.change, crate::Change::SetSysctl { .. });
    assert_eq!(steps.iter().filter(written).count(), 2, "r and gw");
}

fn with_sysctl(mut node: Node, key: &str, value: &str) -> Node {
    node.sysctls.insert(key.into(), Sysctl { value: value.into(), origin: Origin::NONE });
    node
}

#[test]
fn a_sysctl_that_the_file_writes_wins() {
    let mut r = node("r");
    r.forward = true;
    let forward = |node: &Node| {
        let desired =
            resolved(lab().node(node.clone()).node("b").link(("r", "b")).link(("r:x", "b:x")));
        ["r:b", "r:x"].map(|at| interface(&desired, at).forward_ipv4)
    };
    assert_eq!(forward(&r), [Some(true), Some(true)]);
    assert_eq!(forward(&with_sysctl(r.clone(), "net.ipv4.ip_forward", "0")), [None, None]);
    let one = with_sysctl(r.clone(), "net.ipv4.conf.x.forwarding", "0");
    assert_eq!(forward(&one), [Some(true), None]);

    let own = with_sysctl(r, "net.ipv6.conf.all.forwarding", "0");
    let link = prefixed("r", "b", &["2001:db8::/64"]);
    let desired = resolved(lab().node(own).node("b").link(link));
    assert_eq!(ns(&desired, "r").sysctls["net.ipv6.conf.all.forwarding"], "0");
}

#[test]
fn wires_have_no_ipv6() {
    let desired = resolved(nodes(&["a"]).segment(segment("s", &["a"])));
    assert_eq!(ns(&desired, "s").sysctls["net.ipv6.conf.default.disable_ipv6"], "1");
    assert_eq!(interface(&desired, "s:s").ipv6, Some(false));
    assert_eq!(interface(&desired, "s:a").ipv6, Some(false));
    assert_eq!(interface(&desired, "a:s").ipv6, None);

    let mut a = node("a");
    a.interfaces.push(bridge("br0", &["b"]));
    let mut addressed = a.clone();
    addressed.interfaces[0].options.addresses = vec![address("10.0.0.1/24")];
    let topology = |a: Node| lab().node(a).node("b").link(("a", "b"));
    let desired = resolved(topology(a));
    assert_eq!(interface(&desired, "a:br0").ipv6, Some(false));
    assert_eq!(interface(&desired, "a:b").ipv6, Some(false));
    assert_eq!(interface(&desired, "a:b").master.as_ref().unwrap().as_str(), "br0");
    let desired = resolved(topology(addressed));
    assert_eq!(interface(&desired, "a:br0").ipv6, Some(true));
}

#[test]
fn ipv6_is_off_on_a_node_that_says_so() {
    let mut a = node("a");
    a.ipv6 = false;
    let link = prefixed("a", "b", &["10.0.0.0/24", "2001:db8::/64"]);
    let desired = resolved(lab().node(a.clone()).node("b").link(link));
    let sysctls: Vec<&String> = ns(&desired, "a").sysctls.keys().collect();
    assert_eq!(sysctls, ["net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6"]);
    assert_eq!(interface(&desired, "a:b").ipv6, Some(false));
    assert_eq!(addresses(&desired, "a:lo"), ["127.0.0.1/8"]);
    // What is handed out leaves it out; what is written for it is a mistake.
    assert_eq!(addresses(&desired, "a:b"), ["10.0.0.1/24"]);
    assert_eq!(addresses(&desired, "b:a"), ["10.0.0.2/24", "2001:db8::1/64"]);
    let link = addressed(("a", &["2001:db8::1/64"]), ("b", &[]));
    refused(lab().node(a).node("b").link(link), "`a:b` can't have 2001:db8::1: IPv6 is off on `a`");
}

#[test]
fn ipv6_needs_its_mtu() {
    let mut link = prefixed("a", "b", &["2001:db8::/64"]);
    link.mtu = Some(1280);
    resolved(nodes(&["a", "b"]).link(link.clone()));
    link.ends[1].options.mtu = Some(1279);
    refused(
        nodes(&["a", "b"]).link(link),
        "`b:a` can't have 2001:db8::2: its mtu is 1279, and IPv6 needs 1280",
    );
}

#[test]
fn an_interface_is_up_unless_said_otherwise() {
    let mut s = segment("s", &["a"]);
    s.members[0].options.up = Some(false);
    let desired = resolved(nodes(&["a"]).segment(s));
    assert!(!interface(&desired, "a:s").up);
    assert!(interface(&desired, "s:a").up);
    assert!(interface(&desired, "s:s").up);
}
