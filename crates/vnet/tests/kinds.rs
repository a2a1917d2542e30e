//! Every kind of interface, by one table: built as the file says, seen by `ip -d -j link`, changed in
//! place, mended when somebody deletes it. What a small kernel lacks runs in the VM tier.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;
#[path = "kinds/queues.rs"]
mod queues;
#[path = "kinds/vm_bridge_vlans.rs"]
mod vm_bridge_vlans;
#[path = "kinds/vm_defaults.rs"]
mod vm_defaults;
#[path = "kinds/vm_netkit.rs"]
mod vm_netkit;
#[path = "kinds/vm_wireguard.rs"]
mod vm_wireguard;

use common::{desired, open, ping_all, planned, signed};
use vnet::kernel::echo::{self, Outcome, Probe};
use vnet::{Desired, Down, Lab};
use vnet_testns::sh;

/// A kind with options, and one change.
struct Case {
    /// What the kernel must have (`crates/testns/src/features.rs`).
    needs: &'static [&'static str],
    /// The interface `x` of node `a`.
    first: &'static str,
    /// What `ip -d -j link` says of it, by JSON pointers below `linkinfo/info_data`.
    shows: &'static [(&'static str, &'static str)],
    /// The same with something changed that the kernel can change in place.
    second: &'static str,
    /// The one step that this takes.
    step: &'static str,
    /// What `ip` says then.
    shows_then: &'static [(&'static str, &'static str)],
}

impl Case {
    /// The kind, by the file's word.
    fn kind(&self) -> &'static str {
        let rest = self.first.strip_prefix("{ kind: ").unwrap();
        rest.split([',', ' ']).next().unwrap()
    }
}

/// ```text
///  a:eth0 ─── b:eth0    10.0.0.0/24, 2001:db8::/64
///  a:m0 ───── b:m0
///  a:m1 ───── b:m1
/// ```
fn lab(interface: &str) -> Desired {
    desired(&format!(
        "
name: k
nodes: {{ a: {{ interfaces: {{ x: {interface} }} }}, b: }}
links:
  - {{ endpoints: [ a:eth0, b:eth0 ], prefix: [ 10.0.0.0/24, \"2001:db8::/64\" ] }}
  - {{ endpoints: [ a:m0, b:m0 ] }}
  - {{ endpoints: [ a:m1, b:m1 ] }}
"
    ))
}

fn link(dev: &str) -> serde_json::Value {
    let json = sh(&format!("ip -n k-a -d -j link show dev {dev}"));
    serde_json::from_str::<serde_json::Value>(&json).unwrap()[0].clone()
}

fn assert_shows(info: &str, expected: &[(&str, &str)]) {
    let link = link("x");
    let data = &link["linkinfo"][info];
    for (key, value) in expected {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        assert_eq!(data[key], value, "{key} of {data:#}");
    }
}

fn try_out(case: &Case) {
    vnet_testns::root(|| {
        vnet_testns::requires(case.needs);
        let (first, second) = (lab(case.first), lab(case.second));
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!(planned(&lab, &first), Vec::<String>::new());
        assert_shows("info_data", case.shows);
        // The kernel has one name for both.
        let kind = if case.kind() == "tap" { "tun" } else { case.kind() };
        assert_eq!(link("x")["linkinfo"]["info_kind"], kind);
        let index = link("x")["ifindex"].clone();

        let up = lab.up(&second, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), [case.step]);
        assert_shows("info_data", case.shows_then);
        assert_eq!(link("x")["ifindex"], index);

        sh("ip -n k-a link del dev x");
        assert_ne!(planned(&lab, &second), Vec::<String>::new());
        lab.up(&second, |_| {}).unwrap();
        assert_eq!(planned(&lab, &second), Vec::<String>::new());
        assert_shows("info_data", case.shows_then);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        pub(super) const CASES: &[Case] = &[$($case),*];

        $(
            #[test]
            fn $name() {
                super::try_out(&$case);
            }
        )*
    };
}

mod vm_kinds {
    use super::Case;

    cases! {
        bridge: Case {
            needs: &["bridge"],
            first: "{ kind: bridge, ageing_time: 60000, priority: 4096 }",
            shows: &[("ageing_time", "60000"), ("priority", "4096"), ("stp_state", "0")],
            second: "{ kind: bridge, ageing_time: 50000, priority: 4096, stp: true, hello_time: 300 }",
            step: "~ k-a:x hello_time 300, ageing_time 50000, stp on",
            shows_then: &[("ageing_time", "50000"), ("stp_state", "1"), ("hello_time", "300")],
        };
        bridge_vlans: Case {
            needs: &["bridge-vlan"],
            first: "{ kind: bridge, vlan_filtering: true }",
            shows: &[("vlan_filtering", "1"), ("vlan_protocol", "\"802.1Q\"")],
            second: "{ kind: bridge, vlan_filtering: true, vlan_protocol: 802.1ad }",
            step: "~ k-a:x vlan_protocol 802.1ad",
            shows_then: &[("vlan_protocol", "\"802.1ad\"")],
        };
        vxlan: Case {
            needs: &["vxlan"],
            first: "{ kind: vxlan, id: 100, local: 10.0.0.1, remote: 10.0.0.2, dstport: 4789, ttl: 5, \
                    learning: off }",
            shows: &[
                ("id", "100"),
                ("local", "\"10.0.0.1\""),
                ("remote", "\"10.0.0.2\""),
                ("port", "4789"),
                ("ttl", "5"),
                ("learning", "false"),
            ],
            second: "{ kind: vxlan, id: 100, local: 10.0.0.1, remote: 10.0.0.9, dstport: 4789, ttl: 6, \
                     learning: on }",
            step: "~ k-a:x remote 10.0.0.9, ttl 6, learning on",
            shows_then: &[("remote", "\"10.0.0.9\""), ("ttl", "6"), ("learning", "true")],
        };
        vxlan_multicast: Case {
            needs: &["vxlan"],
            first: "{ kind: vxlan, id: 100, remote: \"ff05::100\", dev: eth0, dstport: 4789 }",
            shows: &[("group6", "\"ff05::100\""), ("link", "\"eth0\"")],
            second: "{ kind: vxlan, id: 100, remote: \"ff05::100\", dev: eth0, dstport: 4789, ageing: 60 }",
            step: "~ k-a:x ageing 60",
            shows_then: &[("ageing", "60")],
        };
        macvlan: Case {
            needs: &["macvlan"],
            first: "{ kind: macvlan, link: eth0, mode: bridge, addresses: 10.0.0.11/24 }",
            shows: &[("mode", "\"bridge\"")],
            second: "{ kind: macvlan, link: eth0, mode: vepa, addresses: 10.0.0.11/24 }",
            step: "~ k-a:x mode vepa",
            shows_then: &[("mode", "\"vepa\"")],
        };
        macvtap: Case {
            needs: &["macvtap"],
            first: "{ kind: macvtap, link: eth0, mode: private }",
            shows: &[("mode", "\"private\"")],
            second: "{ kind: macvtap, link: eth0, mode: bridge }",
            step: "~ k-a:x mode bridge",
            shows_then: &[("mode", "\"bridge\"")],
        };
        ifb: Case {
            needs: &["ifb"],
            first: "{ kind: ifb }",
            shows: &[],
            second: "{ kind: ifb, mtu: 1400 }",
            step: "~ k-a:x mtu 1400",
            shows_then: &[],
        };
        tun: Case {
            needs: &["tun"],
            first: "{ kind: tun, addresses: 10.8.0.1/24, user: 0, group: 0 }",
            shows: &[
                ("type", "\"tun\""),
                ("persist", "true"),
                ("user", "\"root\""),
                ("group", "\"root\""),
            ],
            second: "{ kind: tun, addresses: 10.8.0.1/24, user: 0, group: 0, mtu: 1400 }",
            step: "~ k-a:x mtu 1400",
            shows_then: &[("type", "\"tun\"")],
        };
        tap: Case {
            needs: &["tap"],
            first: "{ kind: tap, mtu: 1400, multi_queue: on, user: 0, group: 0 }",
            shows: &[
                ("type", "\"tap\""),
                ("persist", "true"),
                ("multi_queue", "true"),
                ("user", "\"root\""),
                ("group", "\"root\""),
            ],
            second: "{ kind: tap, mtu: 1300, multi_queue: on, user: 0, group: 0 }",
            step: "~ k-a:x mtu 1300",
            shows_then: &[("type", "\"tap\""), ("multi_queue", "true")],
        };
        dummy: Case {
            needs: &["dummy"],
            first: "{ kind: dummy, addresses: 10.99.0.1/32 }",
            shows: &[],
            second: "{ kind: dummy, addresses: [ 10.99.0.1/32, 10.99.0.2/32 ] }",
            step: "+ address 10.99.0.2/32 on k-a:x",
            shows_then: &[],
        };
        vlan: Case {
            needs: &["vlan"],
            first: "{ kind: vlan, link: eth0, id: 10, addresses: 10.10.0.1/24 }",
            shows: &[("id", "10"), ("protocol", "\"802.1Q\"")],
            second: "{ kind: vlan, link: eth0, id: 10, gvrp: on, addresses: 10.10.0.1/24 }",
            step: "~ k-a:x gvrp on",
            shows_then: &[("flags", "[\"REORDER_HDR\",\"GVRP\"]")],
        };
        vlan_of_a_provider: Case {
            needs: &["vlan-ad"],
            first: "{ kind: vlan, link: eth0, id: 10, protocol: 802.1ad }",
            shows: &[("protocol", "\"802.1ad\"")],
            second: "{ kind: vlan, link: eth0, id: 10, protocol: 802.1ad, mtu: 1400 }",
            step: "~ k-a:x mtu 1400",
            shows_then: &[("protocol", "\"802.1ad\"")],
        };
        vrf: Case {
            needs: &["vrf"],
            first: "{ kind: vrf, table: 10, ports: m0 }",
            shows: &[("table", "10")],
            second: "{ kind: vrf, table: 10, ports: [ m0, m1 ] }",
            step: "~ k-a:m1 master x",
            shows_then: &[("table", "10")],
        };
        ipvlan: Case {
            needs: &["ipvlan"],
            first: "{ kind: ipvlan, link: eth0, mode: l2, addresses: 10.0.0.11/24 }",
            shows: &[("mode", "\"l2\"")],
            second: "{ kind: ipvlan, link: eth0, mode: l3, addresses: 10.0.0.11/24 }",
            step: "~ k-a:x mode l3",
            shows_then: &[("mode", "\"l3\"")],
        };
        bond: Case {
            needs: &["bond"],
            first: "{ kind: bond, mode: active-backup, miimon: 100, ports: [ m0, m1 ] }",
            shows: &[("mode", "\"active-backup\""), ("miimon", "100")],
            second: "{ kind: bond, mode: active-backup, miimon: 50, ports: [ m0, m1 ] }",
            step: "~ k-a:x miimon 50",
            shows_then: &[("miimon", "50")],
        };
        bond_lacp: Case {
            needs: &["bond"],
            first: "{ kind: bond, mode: 802.3ad, lacp_rate: fast, xmit_hash_policy: layer3+4 }",
            shows: &[
                ("mode", "\"802.3ad\""),
                ("ad_lacp_rate", "\"fast\""),
                ("xmit_hash_policy", "\"layer3+4\""),
            ],
            second: "{ kind: bond, mode: 802.3ad, lacp_rate: fast, xmit_hash_policy: layer2+3 }",
            step: "~ k-a:x xmit_hash_policy layer2+3",
            shows_then: &[("xmit_hash_policy", "\"layer2+3\"")],
        };
        gre: Case {
            needs: &["gre"],
            first: "{ kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: 7, ttl: 64, csum: on }",
            shows: &[
                ("local", "\"10.0.0.1\""),
                ("remote", "\"10.0.0.2\""),
                ("ttl", "64"),
                ("ikey", "\"0.0.0.7\""),
                ("okey", "\"0.0.0.7\""),
                ("icsum", "true"),
                ("ocsum", "true"),
            ],
            second: "{ kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: 7, ttl: 65, csum: on }",
            step: "~ k-a:x ttl 65",
            shows_then: &[("ttl", "65"), ("ikey", "\"0.0.0.7\""), ("ocsum", "true")],
        };
        gretap: Case {
            needs: &["gretap"],
            first: "{ kind: gretap, local: 10.0.0.1, remote: 10.0.0.2 }",
            shows: &[("local", "\"10.0.0.1\""), ("remote", "\"10.0.0.2\"")],
            second: "{ kind: gretap, local: 10.0.0.1, remote: 10.0.0.3 }",
            step: "~ k-a:x remote 10.0.0.3",
            shows_then: &[("local", "\"10.0.0.1\""), ("remote", "\"10.0.0.3\"")],
        };
        ip6gre: Case {
            needs: &["ip6gre"],
            first: "{ kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\", hoplimit: 32 }",
            shows: &[("remote", "\"2001:db8::2\""), ("ttl", "32")],
            second: "{ kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\", hoplimit: 33 }",
            step: "~ k-a:x hoplimit 33",
            shows_then: &[("remote", "\"2001:db8::2\""), ("ttl", "33")],
        };
        ip6gretap: Case {
            needs: &["ip6gretap"],
            first: "{ kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\" }",
            shows: &[("local", "\"2001:db8::1\"")],
            second: "{ kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::3\" }",
            step: "~ k-a:x remote 2001:db8::3",
            shows_then: &[("remote", "\"2001:db8::3\"")],
        };
        ipip: Case {
            needs: &["ipip"],
            first: "{ kind: ipip, local: 10.0.0.1, remote: 10.0.0.2, ttl: 64 }",
            shows: &[("remote", "\"10.0.0.2\""), ("ttl", "64")],
            second: "{ kind: ipip, local: 10.0.0.1, remote: 10.0.0.2, ttl: 65, tos: inherit }",
            step: "~ k-a:x ttl 65, tos inherit",
            shows_then: &[("remote", "\"10.0.0.2\""), ("ttl", "65"), ("tos", "\"0x1\"")],
        };
        sit: Case {
            needs: &["sit"],
            first: "{ kind: sit, local: 10.0.0.1, remote: 10.0.0.2, dev: eth0 }",
            shows: &[("remote", "\"10.0.0.2\""), ("link", "\"eth0\"")],
            second: "{ kind: sit, local: 10.0.0.1, remote: 10.0.0.3, dev: eth0 }",
            step: "~ k-a:x remote 10.0.0.3",
            shows_then: &[("remote", "\"10.0.0.3\""), ("link", "\"eth0\"")],
        };
        ip6tnl: Case {
            needs: &["ip6tnl"],
            first: "{ kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", mode: ipip6 }",
            shows: &[("proto", "\"ipip6\""), ("remote", "\"2001:db8::2\"")],
            second: "{ kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", mode: ipip6, \
                     hoplimit: 9 }",
            step: "~ k-a:x hoplimit 9",
            shows_then: &[("proto", "\"ipip6\""), ("ttl", "9")],
        };
        geneve: Case {
            needs: &["geneve"],
            first: "{ kind: geneve, id: 5, remote: 10.0.0.2, ttl: 9 }",
            shows: &[("id", "5"), ("remote", "\"10.0.0.2\""), ("ttl", "9")],
            second: "{ kind: geneve, id: 5, remote: 10.0.0.2, ttl: 10 }",
            step: "~ k-a:x ttl 10",
            shows_then: &[("ttl", "10")],
        };
    }
}

/// Brings up a lab of a file and hands it over, then takes it down.
fn in_lab(needs: &[&str], file: &str, body: impl FnOnce(&mut Lab, &Desired)) {
    vnet_testns::root(|| {
        vnet_testns::requires(needs);
        let desired = desired(file);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        assert_eq!(planned(&lab, &desired), Vec::<String>::new());
        body(&mut lab, &desired);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// Pings an address from a node.
fn ping(lab: &Lab, desired: &Desired, from: &str, dst: &str) -> Outcome {
    let probe = Probe::new(desired.nodes[from].clone(), dst.parse().unwrap());
    let options = echo::Options::default();
    echo::echo(lab.realm().unwrap(), &[probe], &options, |_, _| {}).unwrap().remove(0)
}

mod vm_links {
    use super::*;

    /// Each kind of tunnel that is a link carries packets, and is made again when it is deleted.
    #[test]
    fn tunnels_carry_packets() {
        let needs = ["gre", "ipip", "sit", "ip6tnl", "vxlan", "geneve", "gretap"];
        let file = include_str!("../../file/tests/valid/tunnels.yaml");
        in_lab(&needs, file, |lab, desired| {
            assert_eq!(ping_all(lab, desired), Vec::<String>::new());
            for dev in ["gre1", "tun1", "sit1", "six1", "vx1", "gnv1"] {
                sh(&format!("ip -n tunnels-r1 link del dev {dev}"));
            }
            lab.up(desired, |_| {}).unwrap();
            assert_eq!(ping_all(lab, desired), Vec::<String>::new());
        });
    }

    #[test]
    fn tunnels_over_ipv6_carry_packets() {
        let file = "
name: six
nodes: [ a, b ]
links:
  - { endpoints: [ a, b ], prefix: 2001:db8:12::/64 }
  - { kind: ip6gre, endpoints: [ a:gre6, b:gre6 ], prefix: [ 172.16.7.0/30, 2001:db8:f::/64 ], key: 8 }
  - { kind: ip6gretap, endpoints: [ a:tap6, b:tap6 ], prefix: [ 172.16.8.0/30, 2001:db8:e::/64 ], key: 9 }
";
        in_lab(&["ip6gre", "ip6gretap"], file, |lab, desired| {
            let sent = |dev: &str| -> u32 {
                let path = format!("/sys/class/net/{dev}/statistics/tx_packets");
                sh(&format!("ip netns exec six-a cat {path}")).trim().parse().unwrap()
            };
            let before = ["gre6", "tap6"].map(sent);
            assert_eq!(ping_all(lab, desired), Vec::<String>::new());
            // It was not by another way.
            let after = ["gre6", "tap6"].map(sent);
            assert!(after[0] >= before[0] + 2 && after[1] >= before[1] + 2, "{before:?} {after:?}");
            sh("ip -n six-a link del dev gre6; ip -n six-b link del dev tap6");
            lab.up(desired, |_| {}).unwrap();
            assert_eq!(ping_all(lab, desired), Vec::<String>::new());
        });
    }

    /// Two stations behind one port hear each other only where it sends frames back:
    ///
    /// ```text
    ///  sw ── b:eth0, and on it c:m1 and d:m2, which hand over all to the switch (vepa)
    /// ```
    #[test]
    fn a_port_with_hairpin_sends_frames_back() {
        let file = |hairpin: &str| {
            format!(
                "
name: k
nodes: {{ sw: {{ interfaces: {{ br: {{ kind: bridge, ports: b }} }} }}, b: }}
links: [ {{ endpoints: {{ sw:b: {{ port: {{ hairpin: {hairpin} }} }}, b:eth0: }} }} ]
"
            )
        };
        let (on, off) = (desired(&file("on")), desired(&file("off")));
        in_lab(&["bridge", "macvlan"], &file("on"), |lab, _| {
            for (ns, dev, addr) in [("c", "m1", "10.0.0.1/24"), ("d", "m2", "10.0.0.2/24")] {
                sh(&format!(
                    "ip netns add {ns}
                     ip -n k-b link add {dev} link eth0 type macvlan mode vepa
                     ip -n k-b link set {dev} netns {ns}
                     ip -n {ns} address add {addr} dev {dev}
                     ip -n {ns} link set {dev} up"
                ));
            }
            let ping = "ip netns exec c ping -q -c 1 -W 1 10.0.0.2";
            sh(ping);
            for (desired, step) in [(&off, "off"), (&on, "on")] {
                let up = lab.up(desired, |_| {}).unwrap();
                assert_eq!(signed(&up.steps), [format!("~ k-sw:b port hairpin {step}")]);
                let not = if step == "on" { "" } else { "! " };
                sh(&format!("{not}{ping}"));
            }
            sh("ip netns del c; ip netns del d");
        });
    }

    #[test]
    fn a_vxlan_goes_over_a_routed_network() {
        let file = "
name: over
routing: auto
nodes: { a: , r: { forward: true }, b: }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
  - { kind: vxlan, id: 7, dstport: 4789, endpoints: [ a:vx0, b:vx0 ], prefix: 10.9.0.0/24 }
";
        in_lab(&["vxlan"], file, |lab, desired| {
            let outcome = ping(lab, desired, "a", "10.9.0.2");
            assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
            let id = "ip -n over-a -d -j link show dev vx0";
            let json: serde_json::Value = serde_json::from_str(&sh(id)).unwrap();
            assert_eq!(json[0]["linkinfo"]["info_data"]["remote"], "10.0.2.2");
            assert_eq!(json[0]["linkinfo"]["info_data"]["local"], "10.0.1.1");
        });
    }

    /// Two customers with the same addresses behind one router.
    #[test]
    fn vrfs_keep_equal_addresses_apart() {
        let file = include_str!("../../file/tests/valid/vrf.yaml");
        in_lab(&["vrf"], file, |lab, desired| {
            for customer in ["ce1", "ce2"] {
                let outcome = ping(lab, desired, customer, "10.0.0.1");
                assert!(matches!(outcome, Outcome::Reply { .. }), "{customer}: {outcome}");
            }
            // Taken out by hand, the interface comes back into its VRF.
            sh("ip -n vrf-pe link set dev b nomaster");
            assert!(planned(lab, desired).contains(&"~ vrf-pe:b master blue".to_owned()));
            lab.up(desired, |_| {}).unwrap();
            let outcome = ping(lab, desired, "ce2", "10.0.0.1");
            assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
        });
    }

    /// ```text
    ///   ce1 ──r── pe1 ──pr(red)── pe2 ──r── ce2
    ///   cb1 ──b── pe1 ──pb(blue)─ pe2 ──b── cb2
    /// ```
    /// Both VRFs have the same prefixes, but that the `lo` of cb2 has an address more.
    #[test]
    fn automatic_routes_of_vrfs_keep_to_them() {
        let file = "
name: vrf
routing: auto
nodes:
  pe1..2: { forward: true, interfaces: { red: { kind: vrf, table: 10 }, blue: { kind: vrf, table: 20 } } }
  ce1: { interfaces: { lo: 192.168.0.1/32 } }
  ce2: { interfaces: { lo: 192.168.0.2/32 } }
  cb1: { interfaces: { lo: 192.168.0.1/32 } }
  cb2: { interfaces: { lo: [ 192.168.0.2/32, 192.168.0.3/32 ] } }
links:
  - { endpoints: { pe1:r: { vrf: red }, ce1: }, prefix: [ 10.0.1.0/24, '2001:db8:1::/64' ] }
  - { endpoints: { pe2:r: { vrf: red }, ce2: }, prefix: [ 10.0.2.0/24, '2001:db8:2::/64' ] }
  - { endpoints: { pe1:b: { vrf: blue }, cb1: }, prefix: [ 10.0.1.0/24, '2001:db8:1::/64' ] }
  - { endpoints: { pe2:b: { vrf: blue }, cb2: }, prefix: [ 10.0.2.0/24, '2001:db8:2::/64' ] }
  - { endpoints: { pe1:pr: { vrf: red }, pe2:pr: { vrf: red } }, prefix: [ 10.0.9.0/30, '2001:db8:9::/64' ] }
  - { endpoints: { pe1:pb: { vrf: blue }, pe2:pb: { vrf: blue } }, prefix: [ 10.0.9.0/30, '2001:db8:9::/64' ] }
";
        in_lab(&["vrf"], file, |lab, desired| {
            for (from, other) in [("ce1", "cb2"), ("cb1", "ce2")] {
                for dst in ["10.0.2.2", "192.168.0.2", "2001:db8:2::2"] {
                    // The other that has the address hears nothing of it.
                    let heard = received(other);
                    let outcome = ping(lab, desired, from, dst);
                    assert!(matches!(outcome, Outcome::Reply { .. }), "{from} {dst}: {outcome}");
                    assert_eq!(received(other), heard, "{from} {dst}");
                }
            }
            let outcome = ping(lab, desired, "cb1", "192.168.0.3");
            assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
            // Of what the other VRF has alone this one knows nothing, whoever asks for it.
            sh("ip -n vrf-ce1 route add 192.168.0.3 via 10.0.1.1");
            let outcome = ping(lab, desired, "ce1", "192.168.0.3");
            assert!(!matches!(outcome, Outcome::Reply { .. }), "{outcome}");
            let told = lab.why("ce1", "192.168.0.2", &vnet::why::Ask::default()).unwrap();
            assert_eq!(told.answer.verdict, vnet::why::Verdict::Reachable, "{:?}", told.answer);
        });
    }

    /// How many echo requests a node was asked.
    fn received(node: &str) -> String {
        sh(&format!(
            "ip netns exec vrf-{node} grep -h -e ^Icmp: -e ^Icmp6InEchos /proc/net/snmp /proc/net/snmp6"
        ))
    }
}

/// Says which module is missing before anything is made. (A kernel that has them all can't tell.)
#[test]
fn a_kernel_without_the_kind_is_told_before_anything_is_made() {
    vnet_testns::root(|| {
        let desired = desired(
            "{ name: none, nodes: { a: { interfaces: { x: { kind: gre, local: 10.0.0.1, \
             remote: 10.0.0.2 } } } } }",
        );
        let mut lab = open(&desired);
        match lab.up(&desired, |_| {}) {
            Err(error @ vnet::Error::MissingKind { .. }) => {
                let text = error.to_string();
                assert!(text.contains("ip_gre") && text.contains("CONFIG_NET_IPGRE"), "{text}");
                assert_eq!(sh("ip netns list"), "");
            }
            Ok(_) => {
                sh("ip -n none-a link show dev x");
                lab.down(&Down { wait: true, ..Down::default() }).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    });
}

/// All kinds of the table have a case, but those that are not made as an interface of a node alone:
/// they have tests of their own.
#[test]
fn every_kind_has_a_case() {
    const ELSEWHERE: [(&str, &str); 3] = [
        // It comes with a link.
        ("wireguard", include_str!("kinds/vm_wireguard.rs")),
        // It comes with a link.
        ("netkit", include_str!("kinds/vm_netkit.rs")),
        // It is one of the host's.
        ("physical", include_str!("host.rs")),
    ];
    let cases = vm_kinds::CASES.iter().map(Case::kind);
    let cases: std::collections::BTreeSet<&str> = cases.collect();
    for kind in vnet::model::kind::ALL {
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == kind.name);
        let is_there = |(name, tests): &(&str, &str)| tests.contains(&format!("kind: {name}"));
        assert!(cases.contains(kind.name) || elsewhere.is_some_and(is_there), "{}", kind.name);
    }
}

/// No option of any kind is without its case here: one that names the kind and the option.
#[test]
fn each_option_of_each_kind_has_its_case() {
    const TRIED: [&str; 5] = [
        include_str!("kinds.rs"),
        include_str!("kinds/vm_bridge_vlans.rs"),
        include_str!("kinds/vm_defaults.rs"),
        include_str!("kinds/vm_netkit.rs"),
        include_str!("kinds/vm_wireguard.rs"),
    ];
    let says = |text: &str, key: &str| {
        text.match_indices(key).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c))
                && text[at + key.len()..].starts_with(':')
        })
    };
    // A case is what stands between two kinds.
    let cases: Vec<&str> = TRIED.iter().flat_map(|text| text.split("kind: ").skip(1)).collect();
    let is_tried = |kind: &str, key: &str| {
        cases.iter().any(|case| {
            let rest = case.strip_prefix(kind);
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric) && says(rest, key))
        })
    };
    let mut missing = Vec::new();
    for spec in vnet::model::kind::ALL {
        let untried = spec.options.iter().filter(|option| !is_tried(spec.name, option.key));
        missing.extend(untried.map(|option| format!("{} {}", spec.name, option.key)));
        let of_ports = spec.port.iter();
        let untried = of_ports.filter(|option| !TRIED.iter().any(|text| says(text, option.key)));
        missing.extend(untried.map(|option| format!("port of a {}: {}", spec.name, option.key)));
    }
    assert_eq!(missing, Vec::<String>::new());
}
