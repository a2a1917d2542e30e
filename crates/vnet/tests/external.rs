//! A segment that the host is on leads to the world, and nothing of it is left behind.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, open, planned, signed};
use vnet::{Down, Error, Lab};
use vnet_testns::sh;

/// ```text
///  pc ── isp ──[ world ]── host ── eth0:inet      198.51.100.0/24
///                172.30.0.0/24
/// ```
const LAB: &str = "
name: out
nodes: { isp: { forward: true, nat: [ { masquerade: world } ] }, pc: }
segments:
  world: { external: true, prefix: [ 172.30.0.0/24, 2001:db8:30::/64 ], members: [ isp ] }
links: [ { endpoints: [ isp, pc ], prefix: 10.0.0.0/24, gateway: isp } ]
";

const NOTHING: [String; 0] = [];

/// Puts the test's own namespace, which is the host here, on a network of others'.
fn world() {
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip link set lo up
        ip netns add inet
        ip link add up0 type veth peer name eth0 netns inet
        ip address add 198.51.100.1/24 dev up0
        ip link set up0 up
        ip -n inet address add 198.51.100.2/24 dev eth0
        ip -n inet link set eth0 up");
}

fn end_of_the_world() {
    sh("ip link del up0; ip netns del inet");
}

/// All that is in the host, but what its own settings bring of themselves.
fn host() -> String {
    sh("ip -o link | sed 's/^[0-9]*: //'; ip -o address | grep -v fe80; nft list ruleset")
}

#[test]
fn a_member_reaches_a_server_in_the_host_and_beyond() {
    vnet_testns::root(|| {
        world();
        let before = host();
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        assert_eq!(planned(&lab, &desired), NOTHING);
        sh("ip netns exec out-isp ping -q -c 1 -W 2 172.30.0.1");
        sh("ip netns exec out-isp ping -q -c 1 -W 2 2001:db8:30::1");
        // The far end knows the way to nobody but the host.
        sh("ip netns exec out-isp ping -q -c 1 -W 2 198.51.100.2");
        sh("ip netns exec out-pc ping -q -c 1 -W 2 198.51.100.2");

        assert!(sh("nft list ruleset").contains("ip saddr 172.30.0.0/24 masquerade"));

        for damage in [
            "ip link del out-world",
            "nft delete table inet vnet-out",
            "ip address del 172.30.0.1/24 dev out-world",
            "ip link property del dev out-world altname vnet:out:world",
            "ip -n out-world link set dev host nomaster",
        ] {
            sh(damage);
            assert!(!planned(&lab, &desired).is_empty(), "{damage}");
            lab.up(&desired, |_| {}).unwrap();
            assert_eq!(planned(&lab, &desired), NOTHING, "{damage}");
        }
        sh("ip netns exec out-isp ping -q -c 1 -W 2 198.51.100.2");
        // Nothing of the host's own was touched by all that.
        sh("nft flush ruleset; nft add table inet mine; ip link add mine0 type bridge");
        lab.up(&desired, |_| {}).unwrap();
        down(&mut lab);
        assert!(
            sh("nft list ruleset").contains("inet mine")
                && !sh("nft list ruleset").contains("vnet")
        );
        sh("nft delete table inet mine; ip link del mine0");
        assert_eq!(host(), before);
        end_of_the_world();
    });
}

#[test]
fn what_is_no_longer_external_leaves_the_host() {
    vnet_testns::root(|| {
        world();
        let before = host();
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        let without = common::desired(&LAB.replace("external: true, ", ""));
        let done = lab.up(&without, |_| {}).unwrap();
        let steps = signed(&done.steps);
        assert!(steps.iter().any(|step| step.starts_with("- nftables inet vnet-out")), "{steps:?}");
        assert_eq!(planned(&lab, &without), NOTHING);
        assert_eq!(host(), before);
        // Without a record, the marks alone say what is the lab's.
        lab.up(&desired, |_| {}).unwrap();
        sh("rm /run/vnet/out/lab.json");
        down(&mut lab);
        assert_eq!(host(), before);
        end_of_the_world();
    });
}

#[test]
fn a_host_that_can_not_serve_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        let desired = desired(LAB);
        let mut lab = open(&desired);
        sh("sysctl -qw net.ipv4.ip_forward=0");
        let error = lab.up(&desired, |_| {}).unwrap_err();
        assert!(matches!(error, Error::HostForwarding { .. }), "{error}");
        sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        sh("ip link add out-world type bridge");
        let error = lab.up(&desired, |_| {}).unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "host:out-world exists, is a bridge and was not made by vnet");
        assert_eq!(sh("ip netns list"), "");
        sh("ip link del out-world; nft add table inet vnet-out");
        let error = lab.up(&desired, |_| {}).unwrap_err().to_string();
        assert!(error.contains("inet vnet-out"), "{error}");
        sh("nft delete table inet vnet-out");
    });
}

fn down(lab: &mut Lab) {
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
}
