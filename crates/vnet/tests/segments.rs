//! Segments that do more than pass everything on: isolated members, VXLANs, VLANs. Each is built as
//! the file says, carries what it shall and nothing else, is changed in place, and mended.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, indexes, open, planned, signed};
use vnet::{Desired, Down, Error, Lab};
use vnet_testns::sh;

const NOTHING: [String; 0] = [];

/// Brings a lab to what a file says, sees that nothing is left to do, and returns what was done.
#[track_caller]
fn up(lab: &mut Lab, desired: &Desired) -> Vec<String> {
    let done = lab.up(desired, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(planned(lab, desired), NOTHING);
    signed(&done.steps)
}

fn down(lab: &mut Lab) {
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
}

/// Tells whether a node gets an answer, which may take a moment after a change.
fn reaches(ns: &str, addr: &str) -> bool {
    let ping =
        format!("ip netns exec {ns} ping -q -c 1 -W 1 {addr} >/dev/null && echo yes || true");
    (0..3).any(|_| sh(&ping).contains("yes"))
}

/// Tells that a node gets no answer, asked once: for nothing to come, one has to wait.
fn is_cut_off(ns: &str, addr: &str) -> bool {
    sh(&format!("ip netns exec {ns} ping -q -c 2 -i 0.2 -W 1 {addr} || echo no")).contains("no")
}

#[test]
fn isolated_members_reach_the_others_alone() {
    vnet_testns::root(|| {
        let lab = |c: &str| {
            let members = format!("a: , b: {{ isolated: true }}, c: {{ {c} }}");
            desired(&format!(
                "{{ name: iso, nodes: [ a, b, c ],
                   segments: {{ lan: {{ prefix: 10.0.0.0/24, members: {{ {members} }} }} }} }}"
            ))
        };
        let both = lab("isolated: true");
        let mut iso = open(&both);
        up(&mut iso, &both);
        let isolated = || sh("bridge -n iso-lan -d link show | grep -c 'isolated on' || true");
        assert_eq!(isolated().trim(), "2");
        // 10.0.0.1 is a, .2 is b, .3 is c.
        assert!(reaches("iso-b", "10.0.0.1") && reaches("iso-c", "10.0.0.1"));
        assert!(is_cut_off("iso-b", "10.0.0.3"));

        let one = lab("isolated: false");
        let before = indexes("iso-lan");
        assert_eq!(up(&mut iso, &one), ["~ iso-lan:c port isolated off"]);
        assert_eq!(indexes("iso-lan"), before);
        assert!(reaches("iso-b", "10.0.0.3"));

        sh("bridge -n iso-lan link set dev b isolated off");
        assert_eq!(up(&mut iso, &one), ["~ iso-lan:b port isolated on"]);
        down(&mut iso);
    });
}

/// A segment's bridge takes the options of any other.
#[test]
fn options_of_a_segment() {
    vnet_testns::root(|| {
        let lab = |more: &str| {
            desired(&format!(
                "{{ name: opt, nodes: [ a, b ],
                   segments: {{ lan: {{ prefix: 10.0.0.0/24, members: [ a, b ] {more} }} }} }}"
            ))
        };
        let told = |key: &str| {
            let json = sh("ip -n opt-lan -d -j link show dev lan");
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            json[0]["linkinfo"]["info_data"][key].clone()
        };
        let bare = lab("");
        let mut opt = open(&bare);
        up(&mut opt, &bare);
        let before = indexes("opt-lan");
        let some = lab(", ageing_time: 100, group_fwd_mask: 8");
        assert_eq!(up(&mut opt, &some), ["~ opt-lan:lan ageing_time 100, group_fwd_mask 8"]);
        assert_eq!((told("ageing_time"), told("group_fwd_mask")), (100.into(), "0x8".into()));
        sh("ip -n opt-lan link set dev lan type bridge ageing_time 200");
        assert_eq!(up(&mut opt, &some), ["~ opt-lan:lan ageing_time 100"]);
        up(&mut opt, &bare);
        assert_eq!((told("ageing_time"), told("group_fwd_mask")), (30000.into(), "0".into()));
        assert_eq!(indexes("opt-lan"), before);
        down(&mut opt);
    });
}

/// ```text
///  h1 ── leaf1 ── spine ── leaf2 ── h2      one Ethernet from h1 to h2, over three routers
///                   │
///                 leaf3
/// ```
fn fabric(members: &str) -> Desired {
    desired(&format!(
        "
name: fab
routing: auto
nodes:
  spine: {{ forward: true }}
  leaf1..3: {{ forward: true, interfaces: {{ lo: 10.255.0.1..3/32 }} }}
  leaf1: {{ interfaces: {{ br: {{ kind: bridge, ports: [ vx, h1 ] }} }} }}
  leaf2: {{ interfaces: {{ br: {{ kind: bridge, ports: [ vx, h2 ] }} }} }}
  h1..2:
segments:
  vni: {{ kind: vxlan, id: 100, over: lo, prefix: 10.100.0.0/24, members: [ {members} ] }}
links:
  - {{ endpoints: [ leaf1..3, spine ], pool: 10.1.0.0/24 }}
  - {{ endpoints: {{ leaf1..2: , h1..2: 10.100.0.11..12/24 }}, pairs: each }}
"
    ))
}

#[test]
fn a_vxlan_over_a_routed_network() {
    vnet_testns::root(|| {
        let two = fabric("leaf1..2:vx");
        let mut lab = open(&two);
        up(&mut lab, &two);
        let link = sh("ip -n fab-leaf1 -d link show vx");
        for words in ["vxlan id 100 ", "local 10.255.0.1 ", "dstport 4789 ", "mtu 1430 "] {
            assert!(link.contains(words), "{words}: {link}");
        }
        let fdb = || sh("bridge -n fab-leaf1 fdb show dev vx | grep ^00:00:00:00:00:00 | sort");
        assert_eq!(fdb(), "00:00:00:00:00:00 dst 10.255.0.2 self permanent\n");
        assert!(reaches("fab-h1", "10.100.0.12"));
        sh("ip netns exec fab-h1 ping -q -c 1 -W 2 -M do -s 1402 10.100.0.12");

        // One member more: the tunnels that are there go on.
        let three = fabric("leaf1..3:vx");
        let before = indexes("fab-leaf1");
        let steps = up(&mut lab, &three);
        let flood = "+ fdb 00:00:00:00:00:00 dst 10.255.0.3 on fab-leaf1:vx";
        assert!(steps.iter().any(|step| step == flood), "{steps:?}");
        assert_eq!(indexes("fab-leaf1"), before);
        assert!(reaches("fab-h1", "10.100.0.1"));

        sh("bridge -n fab-leaf1 fdb del 00:00:00:00:00:00 dev vx dst 10.255.0.2
            bridge -n fab-leaf1 fdb append 00:00:00:00:00:00 dev vx dst 10.255.0.9
            ip -n fab-leaf3 link del vx");
        let steps = up(&mut lab, &three);
        for step in [
            "- fdb 00:00:00:00:00:00 dst 10.255.0.9 on fab-leaf1:vx",
            "+ fdb 00:00:00:00:00:00 dst 10.255.0.2 on fab-leaf1:vx",
        ] {
            assert!(steps.iter().any(|done| done == step), "{steps:?}");
        }
        assert!(steps.iter().any(|step| step.starts_with("+ vxlan fab-leaf3:vx")), "{steps:?}");
        down(&mut lab);
    });
}

/// ```text
///  gw ══ sw1 ══ sw2         ══ carries both VLANs
///      pc1 ┘     ├ web      staff
///      pc2 ┘     └ pc3      guest
/// ```
const VLANS: &str = "
name: lan
nodes: [ gw, pc1..3, web ]
segments:
  staff: { vlan: 10, prefix: 10.0.10.0/24, gateway: gw }
  guest: { vlan: 20, prefix: 10.0.20.0/24 }
  sw1: { members: { gw: { trunk: [ staff, guest ] }, pc1: { vlan: staff }, pc2: { vlan: guest } } }
  sw2: { members: { pc3: { vlan: guest }, web: { vlan: staff } } }
links: [ { endpoints: [ sw1, sw2 ], trunk: [ staff, guest ] } ]
";

#[test]
fn vm_a_trunk_keeps_vlans_apart() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vlan", "bridge-vlan"]);
        let both = desired(VLANS);
        let mut lab = open(&both);
        up(&mut lab, &both);
        let vlans = sh("bridge -n lan-sw1 -j vlan show dev pc1");
        assert!(vlans.contains(r#"[{"vlan":10,"flags":["PVID","Egress Untagged"]}]"#), "{vlans}");
        let vlans = sh("bridge -n lan-sw1 -j vlan show dev sw2");
        assert!(vlans.contains(r#"[{"vlan":10},{"vlan":20}]"#), "{vlans}");
        assert!(sh("ip -n lan-gw -d link show staff").contains("vlan protocol 802.1Q id 10 "));

        // Over both switches (.3 is web, and pc3), and to the router's tagged interfaces (.1).
        assert!(reaches("lan-pc1", "10.0.10.3") && reaches("lan-pc2", "10.0.20.3"));
        assert!(reaches("lan-pc1", "10.0.10.1") && reaches("lan-pc3", "10.0.20.1"));
        // As if it were on pc1's wire: no router stands between, and no answer comes.
        sh("ip -n lan-pc2 address add 10.0.10.99/24 dev sw1");
        assert!(is_cut_off("lan-pc1", "10.0.10.99"));
        sh("ip -n lan-pc2 address del 10.0.10.99/24 dev sw1");

        // Less on the trunk: in place.
        let less = desired(&VLANS.replace(
            "links: [ { endpoints: [ sw1, sw2 ], trunk: [ staff, guest ] } ]",
            "links: [ { endpoints: [ sw1, sw2 ], trunk: [ staff ] } ]",
        ));
        let before = indexes("lan-sw1");
        assert_eq!(up(&mut lab, &less), ["- vlan 20 on lan-sw1:sw2", "- vlan 20 on lan-sw2:sw1"]);
        assert_eq!(indexes("lan-sw1"), before);
        assert!(reaches("lan-pc1", "10.0.10.3") && is_cut_off("lan-pc2", "10.0.20.3"));

        sh("bridge -n lan-sw1 vlan del dev pc1 vid 10
            bridge -n lan-sw1 vlan add dev pc1 vid 20 pvid untagged
            ip -n lan-sw2 link set sw2 type bridge vlan_filtering 0
            ip -n lan-gw link del staff");
        let steps = up(&mut lab, &less);
        for step in [
            "~ lan-sw2:sw2 vlan_filtering on",
            "- vlan 20 on lan-sw1:pc1",
            "+ vlan 10 pvid untagged on lan-sw1:pc1",
        ] {
            assert!(steps.iter().any(|done| done == step), "{step}: {steps:?}");
        }
        assert!(reaches("lan-pc1", "10.0.10.3") && reaches("lan-pc1", "10.0.10.1"));

        // No VLANs any more: what is left on the ports means nothing.
        let plain = "
name: lan
nodes: [ gw, pc1..3, web ]
segments: { sw1: { prefix: 10.0.0.0/24, members: [ gw, pc1, pc2 ] }, sw2: { members: [ pc3, web ] } }
links: [ [ sw1, sw2 ] ]
";
        let plain = desired(plain);
        up(&mut lab, &plain);
        assert!(reaches("lan-pc1", "10.0.0.3"));
        down(&mut lab);
    });
}

#[test]
fn a_kernel_without_vlans_in_bridges_is_named_before_anything_is_touched() {
    vnet_testns::root(|| {
        let bridge = |option: &str| {
            format!(
                "{{ name: lan, nodes: {{ a: {{ interfaces: {{ x: {{ kind: bridge, {option} }} }} }} }} }}"
            )
        };
        let files = ["vlan_filtering: on", "vlan_default_pvid: 0", "vlan_stats_enabled: on"];
        for file in files.map(bridge).into_iter().chain([VLANS.to_owned()]) {
            let wanted = desired(&file);
            let mut lab = open(&wanted);
            match lab.up(&wanted, |_| {}) {
                Ok(_) => down(&mut lab),
                Err(error @ Error::MissingKind { .. }) => {
                    let text = error.to_string();
                    let named = ["CONFIG_BRIDGE_VLAN_FILTERING", "CONFIG_VLAN_8021Q"];
                    assert!(named.iter().any(|config| text.contains(config)), "{file}: {text}");
                    assert_eq!(sh("ip netns list"), "");
                }
                Err(error) => panic!("{file}: {error}"),
            }
        }
    });
}

#[test]
fn the_example_of_a_vxlan() {
    vnet_testns::root(|| {
        let example = desired(include_str!("../../../examples/vxlan.yaml"));
        let mut lab = open(&example);
        up(&mut lab, &example);
        assert!(reaches("vxlan-h1", "10.100.0.2"));
        down(&mut lab);
    });
}

#[test]
fn vm_the_example_of_vlans() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vlan", "bridge-vlan"]);
        let example = desired(include_str!("../../../examples/vlans.yaml"));
        let mut lab = open(&example);
        up(&mut lab, &example);
        assert_eq!(common::ping_all(&lab, &example), NOTHING);
        down(&mut lab);
    });
}

/// ```text
///  h ── a:h, a:br, a:vx ──(VXLAN by what the file says of addresses)── b, c
/// ```
fn forwarding(fdb: &str) -> Desired {
    desired(&format!(
        "
name: fwd
nodes:
  a:
    interfaces:
      br: {{ kind: bridge, ports: [ h, vx ] }}
      vx: {{ kind: vxlan, id: 7, local: 10.0.0.1, dstport: 4789, learning: off }}
    fdb: [ {fdb} ]
  b: {{ interfaces: {{ vx: {{ kind: vxlan, id: 7, local: 10.0.0.2, remote: 10.0.0.1, dstport: 4789, mac: 02:00:00:00:00:0b, addresses: 10.9.0.2/24 }} }} }}
  h:
links:
  - {{ endpoints: [ a:eth0, b:eth0 ], prefix: 10.0.0.0/24 }}
  - {{ endpoints: {{ a:h: , h: {{ addresses: 10.9.0.1/24, mac: 02:00:00:00:00:01 }} }} }}
"
    ))
}

#[test]
fn forwarding_entries_are_as_the_file_says() {
    vnet_testns::root(|| {
        let flood = "00:00:00:00:00:00 dev vx dst 10.0.0.3, 00:00:00:00:00:00 dev vx dst 10.0.0.2";
        let first = forwarding(&format!(
            "02:00:00:00:00:01 dev h, 02:00:00:00:00:0b dev vx dst 10.0.0.2, {flood}"
        ));
        let mut lab = open(&first);
        up(&mut lab, &first);
        let told = |dev: &str| {
            sh(&format!("bridge -n fwd-a fdb show dev {dev} | grep -E 'static|dst' | sort"))
        };
        assert_eq!(told("h"), "02:00:00:00:00:01 master br static\n");
        let of_tunnel = "00:00:00:00:00:00 dst 10.0.0.2 self permanent
00:00:00:00:00:00 dst 10.0.0.3 self permanent
02:00:00:00:00:0b dst 10.0.0.2 self permanent\n";
        assert_eq!(told("vx"), of_tunnel);
        assert!(reaches("fwd-h", "10.9.0.2"));

        // Another far end, in place; what nobody wrote in the file stays as it is.
        sh("bridge -n fwd-b fdb add 02:00:00:00:00:0f dev vx dst 10.0.0.9");
        let second = forwarding(&format!("02:00:00:00:00:0b dev vx dst 10.0.0.3, {flood}"));
        let before = indexes("fwd-a");
        let steps = up(&mut lab, &second);
        assert_eq!(
            steps,
            [
                "- fdb 02:00:00:00:00:01 on fwd-a:h",
                "- fdb 02:00:00:00:00:0b dst 10.0.0.2 on fwd-a:vx",
                "+ fdb 02:00:00:00:00:0b dst 10.0.0.3 on fwd-a:vx",
            ]
        );
        assert_eq!(indexes("fwd-a"), before);
        assert_eq!(told("h"), "");
        assert!(is_cut_off("fwd-h", "10.9.0.2"));
        assert!(sh("bridge -n fwd-b fdb show dev vx").contains("02:00:00:00:00:0f dst 10.0.0.9"));

        up(&mut lab, &first);
        sh("bridge -n fwd-a fdb del 02:00:00:00:00:0b dev vx dst 10.0.0.2
            bridge -n fwd-a fdb del 02:00:00:00:00:01 dev h master
            bridge -n fwd-a fdb del 00:00:00:00:00:00 dev vx dst 10.0.0.2
            bridge -n fwd-a fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.9");
        let steps = up(&mut lab, &first);
        assert_eq!(
            steps,
            [
                "+ fdb 02:00:00:00:00:01 on fwd-a:h",
                "- fdb 00:00:00:00:00:00 dst 10.0.0.9 on fwd-a:vx",
                "+ fdb 00:00:00:00:00:00 dst 10.0.0.2 on fwd-a:vx",
                "+ fdb 02:00:00:00:00:0b dst 10.0.0.2 on fwd-a:vx",
            ]
        );
        assert_eq!(told("vx"), of_tunnel);
        assert!(reaches("fwd-h", "10.9.0.2"));
        // The interface and all its entries.
        sh("ip -n fwd-a link del vx");
        up(&mut lab, &first);
        assert_eq!(told("vx"), of_tunnel);
        assert!(reaches("fwd-h", "10.9.0.2"));
        down(&mut lab);
    });
}
