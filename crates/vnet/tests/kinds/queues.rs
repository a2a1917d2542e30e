//! How many queues an interface is made with: as the file says, as `ip` tells, by a new interface where
//! that changes, and as the kernel has it where nothing is said any more.

use serde_json::Value;
use vnet::model::kind::{self, KindSpec};
use vnet::{Desired, Down};
use vnet_testns::sh;

use super::common::{desired, open, planned, signed};
use super::{lab, link};

const NOTHING: [&str; 0] = [];

/// How many queues `ip` tells of the interface `x` of node `a`: those it sends and receives by.
fn told() -> [Value; 2] {
    let link = link("x");
    ["num_tx_queues", "num_rx_queues"].map(|key| link[key].clone())
}

/// Goes through the life of an interface with queues of its own.
fn live(least: &str) {
    let with = |queues: &str| lab(&format!("{{ {least}{queues} }}"));
    let (bare, more) = (with(""), with(", numtxqueues: 3, numrxqueues: 2"));
    let mut lab = open(&bare);
    let mut up = |desired: &Desired, expected: [u64; 2]| {
        let steps = lab.up(desired, |_| {}).unwrap().steps;
        assert_eq!(told(), expected.map(Value::from), "{least}");
        assert_eq!(planned(&lab, desired), NOTHING, "{least}");
        (signed(&steps), link("x")["ifindex"].clone())
    };
    let usual = if least == "kind: bond" { 16 } else { 1 };
    let (_, index) = up(&bare, [usual; 2]);
    let (steps, changed) = up(&more, [3, 2]);
    assert_eq!(steps[0], "- interface k-a:x", "{least}: {steps:?}");
    assert!(steps[1].contains("k-a:x numtxqueues 3 numrxqueues 2"), "{least}: {steps:?}");
    assert_ne!(changed, index);
    sh("ip -n k-a link del dev x");
    up(&more, [3, 2]);
    if usual == 1 {
        up(&bare, [1, 1]);
    }
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
}

/// A test for each kind, with the least that can be said of it.
macro_rules! kinds {
    ($($kind:ident: $least:expr;)*) => {
        const KINDS: &[&str] = &[$(stringify!($kind)),*];

        mod vm_kinds {
            $(
                #[test]
                fn $kind() {
                    vnet_testns::root(|| {
                        vnet_testns::requires(&[stringify!($kind)]);
                        super::live($least);
                    });
                }
            )*
        }
    };
}

kinds! {
    bridge: "kind: bridge";
    vlan: "kind: vlan, link: eth0, id: 10";
    vxlan: "kind: vxlan, id: 100";
    dummy: "kind: dummy";
    vrf: "kind: vrf, table: 10";
    macvlan: "kind: macvlan, link: eth0";
    macvtap: "kind: macvtap, link: eth0";
    ipvlan: "kind: ipvlan, link: eth0";
    bond: "kind: bond";
    gre: "kind: gre, local: 10.0.0.1, remote: 10.0.0.2";
    gretap: "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2";
    ip6gre: "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\"";
    ip6gretap: "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\"";
    ipip: "kind: ipip, local: 10.0.0.1, remote: 10.0.0.2";
    sit: "kind: sit, local: 10.0.0.1, remote: 10.0.0.2";
    ip6tnl: "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\"";
    geneve: "kind: geneve, id: 5, remote: 10.0.0.2";
    ifb: "kind: ifb";
}

/// All kinds have a test, but those that are not made by a message, and WireGuard's and netkit's, whose
/// interfaces come with a link.
#[test]
fn no_kind_is_left_out() {
    let with_link = |spec: &KindSpec| spec.is_wireguard() || spec.is_pair();
    let by_message = |spec: &&&KindSpec| !spec.is_tun() && !spec.is_physical() && !with_link(spec);
    let known: Vec<&str> = kind::ALL.iter().filter(by_message).map(|spec| spec.name).collect();
    assert_eq!(KINDS, known);
}

#[test]
fn vm_a_wireguard_device_has_the_queues_that_the_file_says() {
    let file = "{ name: k, nodes: [ a, b ], links: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 }, \
                { kind: wireguard, endpoints: { a:x: { numtxqueues: 3 }, b:x: }, prefix: 10.1.0.0/24 } ] }";
    vnet_testns::root(|| {
        vnet_testns::requires(&["wireguard"]);
        let desired = desired(file);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        assert_eq!(told(), [3, 1].map(Value::from));
        assert_eq!(planned(&lab, &desired), NOTHING);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// The end of a cable that says nothing has room for as many queues as there are processors, and uses
/// one. To say as many is still another thing.
#[test]
fn the_ends_of_a_cable_use_the_queues_that_the_file_says() {
    let file = |ends: &str| {
        desired(&format!(
            "{{ name: k, nodes: [ a, b ], links: [ {{ endpoints: {{ {ends} }} }} ] }}"
        ))
    };
    let used = |node: &str| {
        let queues = format!("ip netns exec k-{node} ls /sys/class/net/x/queues");
        let queues = sh(&queues);
        ["tx-", "rx-"].map(|kind| queues.lines().filter(|line| line.starts_with(kind)).count())
    };
    vnet_testns::root(|| {
        let bare = file("a:x: , b:x:");
        let mut lab = open(&bare);
        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((used("a"), used("b")), ([1, 1], [1, 1]));
        let room = told()[0].as_u64().unwrap();

        let as_many = file(&format!("a:x: {{ numtxqueues: {room} }}, b:x:"));
        let steps = signed(&lab.up(&as_many, |_| {}).unwrap().steps);
        let made = format!("+ veth k-a:x numtxqueues {room} -- k-b:x numtxqueues 1");
        let expected = match room {
            1 => vec![],
            _ => vec!["- interface k-a:x", &made, "~ k-a:x up", "~ k-b:x up"],
        };
        assert_eq!(steps, expected);
        assert_eq!(planned(&lab, &as_many), NOTHING);
        assert_eq!(used("a"), [usize::try_from(room).unwrap(), 1]);

        // The end that is made second alone.
        let second = file("a:x: , b:x: { numtxqueues: 4 }");
        lab.up(&second, |_| {}).unwrap();
        assert_eq!((used("a"), used("b")), ([1, 1], [4, 1]));
        let both = file("a:x: { numtxqueues: 4, numrxqueues: 3 }, b:x: { numrxqueues: 2 }");
        lab.up(&both, |_| {}).unwrap();
        assert_eq!((used("a"), used("b")), ([4, 3], [1, 2]));
        assert_eq!(told(), [4, 3].map(Value::from));
        assert_eq!(planned(&lab, &both), NOTHING);
        // Somebody has it use fewer.
        sh("ip netns exec k-a ethtool -L x tx 1");
        assert_ne!(planned(&lab, &both), NOTHING);
        lab.up(&both, |_| {}).unwrap();
        assert_eq!((used("a"), used("b")), ([4, 3], [1, 2]));

        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((used("a"), used("b")), ([1, 1], [1, 1]));
        assert_eq!(planned(&lab, &bare), NOTHING);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
