//! Links that end in the host, and interfaces on one of the host's: made, mended, and gone with the
//! lab, while nothing of the host's own is touched.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, open, planned, signed};
use vnet::{Desired, Down, Error, Lab};
use vnet_testns::sh;

/// ```text
///  host:lab0 ──── a:up     10.9.0.0/24, 2001:db8:9::/64
///  host:lab1 ──── a:host-2 10.9.1.0/24
///  host:lab2 ──[ lan ]── b  10.9.2.0/24
/// ```
const LINKS: &str = r#"
name: l
nodes: [ a, b ]
segments: { lan: { prefix: 10.9.2.0/24, members: [ b ] } }
links:
  - { endpoints: [ "host:lab0", a:up ], prefix: [ 10.9.0.0/24, 2001:db8:9::/64 ] }
  - { endpoints: [ "host:lab1", a ], prefix: 10.9.1.0/24 }
  - { endpoints: { lan: , host:lab2: 10.9.2.100/24 } }
"#;

const NOTHING: [String; 0] = [];

/// All that is in the host, but what its own settings bring of themselves.
fn host() -> String {
    sh("ip -o link | sed 's/^[0-9]*: //'; ip -o address | sed /fe80/d; ip route; nft list ruleset")
}

fn up(lab: &mut Lab, desired: &Desired) -> Vec<String> {
    let steps = signed(&lab.up(desired, |_| {}).unwrap().steps);
    assert_eq!(planned(lab, desired), NOTHING);
    steps
}

fn down(lab: &mut Lab) {
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
}

fn pings(from: &str, to: &[&str]) {
    let from = if from == "host" { String::new() } else { format!("ip netns exec {from} ") };
    for to in to {
        sh(&format!("{from}ping -q -c 1 -W 2 {to}"));
    }
}

#[test]
fn a_link_to_the_host() {
    vnet_testns::root(|| {
        sh("ip link add mine0 type bridge; ip address add 192.0.2.1/24 dev mine0");
        let before = host();
        let desired = desired(LINKS);
        let mut lab = open(&desired);
        up(&mut lab, &desired);
        pings("host", &["10.9.0.2", "2001:db8:9::2", "10.9.1.2", "10.9.2.1"]);
        pings("l-a", &["10.9.0.1", "2001:db8:9::1", "10.9.1.1"]);
        pings("l-b", &["10.9.2.100"]);
        assert_eq!(up(&mut lab, &desired), NOTHING);

        for damage in [
            "ip link del lab0",
            "ip -n l-a link del dev up",
            "ip link set lab1 down",
            "ip address del 10.9.2.100/24 dev lab2",
            "ip address add 10.9.77.1/24 dev lab2",
            "ip link property del dev lab0 altname vnet:l::lab0",
            "ip link set lab1 name other",
            "ip -n l-lan link set host nomaster",
            "ip netns del l-a",
        ] {
            sh(damage);
            assert!(!planned(&lab, &desired).is_empty(), "{damage}");
            up(&mut lab, &desired);
            pings("host", &["10.9.0.2", "2001:db8:9::2", "10.9.1.2", "10.9.2.1"]);
        }

        // One option is a change in place, of both ends here.
        let index = || sh("cat /sys/class/net/lab0/ifindex");
        let (old, shorter) = (index(), LINKS.replace("db8:9::/64 ]", "db8:9::/64 ], mtu: 1400"));
        let shorter = common::desired(&shorter);
        let steps = up(&mut lab, &shorter);
        assert_eq!(steps, ["~ host:lab0 mtu 1400", "~ l-a:up mtu 1400"]);
        assert_eq!(index(), old);

        // What the file no longer says leaves the host at once.
        let one = common::desired(
            "{ name: l, nodes: [ a ], links: [ { endpoints: [ \"host:lab1\", a ], prefix: 10.9.1.0/24 } ] }",
        );
        up(&mut lab, &one);
        assert!(!host().contains("lab0") && !host().contains("lab2"), "{}", host());
        pings("host", &["10.9.1.2"]);
        lab.down(&Down::default()).unwrap();
        assert_eq!(host(), before);

        // Without a record, the further names alone say what is the lab's.
        up(&mut lab, &desired);
        sh("rm /run/vnet/l/lab.json");
        lab.down(&Down::default()).unwrap();
        assert_eq!(host(), before);
        sh("ip link del mine0");
    });
}

#[test]
fn a_name_that_the_host_uses_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        let desired = desired(LINKS);
        let mut lab = open(&desired);
        // Even where it is just as the lab would have it.
        for other in ["bridge", "veth peer name lab9"] {
            sh(&format!("ip link add lab1 type {other}"));
            let before = host();
            let text = lab.up(&desired, |_| {}).unwrap_err().to_string();
            let kind = other.split(' ').next().unwrap();
            assert_eq!(text, format!("host:lab1 exists, is a {kind} and was not made by vnet"));
            assert_eq!((host(), sh("ip netns list")), (before, String::new()));
            sh("ip link del lab1");
        }
    });
}

/// Puts the test's own namespace, which is the host here, on a network of others':
///
/// ```text
///  host:up0 ── eth0:inet      198.51.100.0/24
/// ```
fn world() {
    sh("ip netns add inet
        ip link add up0 type veth peer name eth0 netns inet
        ip address add 198.51.100.1/24 dev up0
        ip link set up0 up
        ip -n inet address add 198.51.100.2/24 dev eth0
        ip -n inet link set eth0 up
        until ip link show up0 | grep -q 'state UP'; do sleep 0.01; done");
}

fn end_of_the_world() {
    sh("ip link del up0; ip netns del inet");
}

fn on_host(interface: &str) -> Desired {
    desired(&format!("{{ name: u, nodes: {{ a: {{ interfaces: {{ x: {interface} }} }}, b: }} }}"))
}

/// Builds an interface on the host's `up0`; changes one option, which is one step, and then it reaches who
/// is out there; deletes it by hand; and takes it down.
fn try_out(kind: &str, [first, second]: [&str; 2], step: &str, extra: &str) {
    world();
    sh(extra);
    let before = host();
    let of = |options: &str| {
        on_host(&format!(
            "{{ kind: {kind}, link: \"host:up0\", addresses: 198.51.100.9/24, {options} }}"
        ))
    };
    let (first, second) = (of(first), of(second));
    let mut lab = open(&first);
    up(&mut lab, &first);
    let index = || sh("ip netns exec u-a cat /sys/class/net/x/ifindex");
    let old = index();
    assert_eq!(up(&mut lab, &second), [step]);
    assert_eq!(index(), old);
    pings("u-a", &["198.51.100.2"]);

    for damage in ["ip -n u-a link del x", "ip -n u-a link set x down", "ip netns del u-a"] {
        sh(damage);
        assert!(!planned(&lab, &second).is_empty(), "{damage}");
        up(&mut lab, &second);
        pings("u-a", &["198.51.100.2"]);
    }
    // It is free again at once, so that another may stand there.
    lab.down(&Down::default()).unwrap();
    up(&mut lab, &first);
    sh("rm /run/vnet/u/lab.json");
    lab.down(&Down::default()).unwrap();
    up(&mut lab, &first);
    down(&mut lab);
    assert_eq!(host(), before);
    end_of_the_world();
}

#[test]
fn vm_macvlan_on_the_hosts() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["macvlan"]);
        try_out("macvlan", ["mode: bridge", "mode: vepa"], "~ u-a:x mode vepa", "");
    });
}

#[test]
fn vm_ipvlan_on_the_hosts() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["ipvlan"]);
        // What is routed answers nobody who asks for it by ARP.
        try_out("ipvlan", ["mode: l3", "mode: l2"], "~ u-a:x mode l2", "");
    });
}

#[test]
fn vm_vlan_on_the_hosts() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vlan"]);
        let there = "ip -n inet link add eth0.10 link eth0 type vlan id 10
            ip -n inet address del 198.51.100.2/24 dev eth0
            ip -n inet address add 198.51.100.2/24 dev eth0.10
            ip -n inet link set eth0.10 up";
        try_out("vlan", ["id: 10", "id: 10, gvrp: on"], "~ u-a:x gvrp on", there);
    });
}

#[test]
fn vm_an_interface_that_the_host_lacks_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["macvlan"]);
        world();
        let before = host();
        let wrong = on_host("{ kind: macvlan, link: \"host:up7\" }");
        let mut lab = open(&wrong);
        let error = lab.up(&wrong, |_| {}).unwrap_err();
        assert!(matches!(error, Error::NoHostInterface { .. }), "{error}");
        assert_eq!(error.to_string(), "the host has no interface up7");
        assert_eq!((host(), sh("ip netns list")), (before, "inet (id: 0)\n".to_owned()));

        // So it is where it goes away while the lab is up, and with it what stands on it.
        let right = on_host("{ kind: macvlan, link: \"host:up0\" }");
        up(&mut lab, &right);
        end_of_the_world();
        let error = lab.up(&right, |_| {}).unwrap_err();
        assert!(matches!(error, Error::NoHostInterface { .. }), "{error}");
        // Another of its name is as good.
        world();
        let before = host();
        up(&mut lab, &right);
        // It moves to another of the host's.
        sh("ip link add up1 type veth peer name eth1 netns inet");
        let moved = on_host("{ kind: macvlan, link: \"host:up1\" }");
        assert_eq!(up(&mut lab, &moved)[..2], ["- interface u-a:x", "+ macvlan u-a:x on host:up1"],);
        down(&mut lab);
        sh("ip link del up1");
        assert_eq!(host(), before);
        end_of_the_world();
    });
}

/// It is whatever it is: here one end of a cable into the world.
#[test]
fn an_interface_of_the_hosts_is_moved_in_and_given_back() {
    vnet_testns::root(|| {
        world();
        let physical = |node: &str, name: &str, rest: &str| {
            desired(&format!(
                "{{ name: u, nodes: {{ b: , {node}: {{ interfaces: {{ {name}: {{ kind: physical,
                   link: \"host:up0\", addresses: 198.51.100.9/24 }} }} }} }} {rest} }}"
            ))
        };
        let first = physical("a", "x", "");
        let mut lab = open(&first);
        // Whoever is using it keeps it.
        let in_use = host();
        let text = lab.up(&first, |_| {}).unwrap_err().to_string();
        let says = "host:up0 is in use: it has the address 198.51.100.1/24, which it would lose";
        assert_eq!((text.as_str(), host()), (says, in_use));
        sh("ip address flush dev up0; ip link set up0 down");

        // A queue comes with being up for the first time.
        let host = || host().replace(" noqueue ", " noop ");
        let before = host();
        let steps = up(&mut lab, &first);
        assert!(steps.contains(&"+ physical u-a:x on host:up0".to_owned()), "{steps:?}");
        assert!(!host().contains("up0"), "{}", host());
        pings("u-a", &["198.51.100.2"]);
        assert_eq!(up(&mut lab, &first), NOTHING);
        let damages =
            ["ip -n u-a link set x down", "ip -n u-a address flush dev x", "ip netns del u-b"];
        for damage in damages {
            sh(damage);
            assert!(!planned(&lab, &first).is_empty(), "{damage}");
            up(&mut lab, &first);
            pings("u-a", &["198.51.100.2"]);
        }

        // What it goes back with is not said of it: the file that is written can be read.
        let seen = lab.snapshot("u-*", &[]).unwrap();
        let text = vnet::file::write_short(&seen.topology, &seen.desired);
        assert!(text.contains("physical") && !text.contains("offload"), "{text}");
        desired(&text);

        // Another name, another node: it goes by way of the host.
        let second = physical("a", "y", "");
        assert_eq!(
            up(&mut lab, &second)[..2],
            ["- interface u-a:x, back to host:up0", "+ physical u-a:y on host:up0"]
        );
        let third = physical("c", "y", "");
        up(&mut lab, &third);
        pings("u-c", &["198.51.100.2"]);
        // Moved by hand it is found in the lab; elsewhere it is others'.
        sh("ip -n u-c link set y netns u-b");
        up(&mut lab, &third);
        pings("u-c", &["198.51.100.2"]);
        sh("ip -n u-c link set y netns inet");
        let text = lab.up(&third, |_| {}).unwrap_err().to_string();
        assert_eq!(text, "the host has no interface up0");
        sh("ip -n inet link set y netns u-c");
        up(&mut lab, &third);
        pings("u-c", &["198.51.100.2"]);

        // A change that fails takes it back to where it was.
        let failing = physical("c", "y", ", links: [ { endpoints: [ b, \"host:mine0\" ] } ]");
        sh("ip link add mine0 type bridge");
        lab.up(&failing, |_| {}).unwrap_err();
        sh("ip link del mine0");
        pings("u-c", &["198.51.100.2"]);

        lab.down(&Down::default()).unwrap();
        assert_eq!(host(), before);
        up(&mut lab, &first);
        sh("rm /run/vnet/u/lab.json");
        lab.down(&Down::default()).unwrap();
        assert_eq!(host(), before);
        // Nor is it lost with its node.
        up(&mut lab, &first);
        let none = desired("{ name: u, nodes: [ b ] }");
        assert_eq!(up(&mut lab, &none), ["- interface u-a:x, back to host:up0", "- namespace u-a"]);
        assert_eq!(host(), before);
        down(&mut lab);
        end_of_the_world();
    });
}
