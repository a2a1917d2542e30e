//! Each example is brought up, pinged, changed, damaged, mended and taken down.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, desired_with, indexes, open, ping_all, planned};
use vnet::{Desired, Down, Lab};
use vnet_testns::sh;

const NOTHING: [String; 0] = [];

/// Brings a lab up and checks that all is as wanted, and that everybody reaches everybody.
fn up(desired: &Desired) -> Lab {
    let mut lab = open(desired);
    let up = lab.up(desired, |_| {}).unwrap();
    assert!(!up.steps.is_empty());
    assert_eq!(planned(&lab, desired), NOTHING);
    assert_eq!(ping_all(&lab, desired), NOTHING);
    lab
}

/// Brings the changed lab up, and checks the same.
fn change(lab: &mut Lab, desired: &Desired) -> Vec<String> {
    let steps = common::signed(&lab.up(desired, |_| {}).unwrap().steps);
    assert_eq!(planned(lab, desired), NOTHING);
    assert_eq!(ping_all(lab, desired), NOTHING);
    steps
}

/// Takes the lab down, and checks that nothing is left of it.
fn down(mut lab: Lab) {
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    assert_eq!(sh("ip netns list"), "");
    assert!(!std::path::Path::new(common::STATE_DIR).join(lab.name().as_str()).exists());
    assert!(matches!(lab.down(&Down::default()), Err(vnet::Error::NotUp { .. })));
}

#[test]
fn tutorial() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/tutorial.yaml");
        let mut lab = up(&desired(text));
        assert_eq!(sh("ip netns list | cut -d' ' -f1 | sort"), "vnet0\nvnet1\n");
        assert!(sh("ip -n vnet0 -br addr show veth0").contains("10.0.1.0/24"));
        let before = indexes("vnet0");
        let steps = change(&mut lab, &desired(&text.replace("10.0.2.0/24", "10.0.3.0/24")));
        assert_eq!(
            steps,
            [
                "+ route 10.0.3.0/24 dev veth0 in vnet0",
                "- route 10.0.2.0/24 dev veth0 in vnet0",
                "- address 10.0.2.0/24 on vnet1:veth1",
                "+ address 10.0.3.0/24 on vnet1:veth1",
                "~ route 10.0.1.0/24 dev veth1 in vnet1",
            ]
        );
        assert_eq!(indexes("vnet0"), before);
        down(lab);
    });
}

#[test]
fn point_to_point() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/point-to-point.yaml");
        let mut lab = up(&desired(text));
        change(&mut lab, &desired(&text.replace("alice, bob ], p", "alice, bob ], mtu: 1400, p")));
        assert!(sh("ip -n p2p-bob link show alice").contains("mtu 1400"));
        down(lab);
    });
}

#[test]
fn triangle() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/triangle.yaml");
        let mut lab = up(&desired(text));
        let before = indexes("triangle-r1");
        // Without `cost` the direct way from r1 to r3 is the shortest: routes change, links don't.
        let steps = change(&mut lab, &desired(&text.replace(", cost: 2", "")));
        assert!(!steps.is_empty() && steps.iter().all(|step| step.contains("route ")), "{steps:?}");
        assert_eq!(indexes("triangle-r1"), before);
        // A whole router is lost, with all its links.
        sh("ip netns del triangle-r3");
        // The kernel may still be at removing its links, which then stand in the way.
        let planned = planned(&lab, &desired(&text.replace(", cost: 2", "")));
        assert!(planned.contains(&"+ namespace triangle-r3".to_owned()), "{planned:?}");
        change(&mut lab, &desired(&text.replace(", cost: 2", "")));
        down(lab);
    });
}

#[test]
fn bridge() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/bridge.yaml");
        let mut lab = up(&desired(text));
        let before = indexes("bridge-pc7");
        let larger = text.replace("pc1..20:", "pc1..21:").replace("pc20:", "pc21: , pc20:");
        let steps = change(&mut lab, &desired(&larger));
        assert_eq!(steps[0], "+ namespace bridge-pc21");
        assert!(
            steps.iter().all(|step| step.starts_with('+') || step.starts_with('~')),
            "{steps:?}"
        );
        let steps = change(&mut lab, &desired(text));
        assert_eq!(steps.last().unwrap(), "- namespace bridge-pc21");
        assert_eq!(indexes("bridge-pc7"), before);
        down(lab);
    });
}

#[test]
fn dual_stack() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/dual-stack.yaml");
        let mut lab = up(&desired(text));
        assert_eq!(
            sh("ip netns exec dual-stack-server cat /proc/sys/net/ipv4/tcp_ecn").trim(),
            "1"
        );
        sh("ip -n dual-stack-router link set uplink down");
        let steps = change(&mut lab, &desired(text));
        assert_eq!(steps[0], "~ dual-stack-router:uplink up");
        assert!(steps.contains(&"+ address 2001:db8:2::1/64 on dual-stack-router:uplink".into()));
        down(lab);
    });
}

#[test]
fn spine_leaf() {
    vnet_testns::root(|| {
        let text = include_str!("../../../examples/spine-leaf.yaml");
        let mut lab = up(&desired(text));
        assert_eq!(
            sh("ip -n spine-leaf-leaf1 route show 10.100.2.0/24 | grep -c nexthop").trim(),
            "4"
        );
        change(&mut lab, &desired_with(text, &[("leaves", "9")]));
        change(&mut lab, &desired_with(text, &[("leaves", "7")]));
        down(lab);
    });
}
