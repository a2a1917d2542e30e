//! VLANs of a node's own bridge and of its ports: as the file says, as `bridge` tells, changed in place, and
//! back where nothing is said any more.

use serde_json::{Value, json};
use vnet::{Desired, Down};
use vnet_testns::sh;

use super::common::{desired, open, planned, signed};

const NOTHING: [&str; 0] = [];

/// ```text
///  pc1 ── 10 ┐
///  pc2 ── 20 ┼ sw:br0 (10, and 30 with tags) ── 10, 20 with tags ── gw:v10, gw:v20
/// ```
fn apart(of_br0: &str, of_pc1: &str) -> Desired {
    desired(&format!(
        "
name: k
routing: auto
nodes:
  sw:
    interfaces:
      br0: {{ kind: bridge, vlan_filtering: on, ports: [ pc1, pc2, gw ], addresses: 10.0.10.9/24 {of_br0} }}
      pc1: {{ {of_pc1} }}
      pc2: {{ vlan: 20 }}
      gw: {{ trunk: [ staff, 20-22 ] }}
  gw:
    forward: true
    interfaces:
      v10: {{ kind: vlan, link: sw, id: 10, addresses: 10.0.10.1/24 }}
      v20: {{ kind: vlan, link: sw, id: 20, addresses: 10.0.20.1/24 }}
  pc1..2:
segments: {{ staff: {{ vlan: 10 }} }}
links:
  - {{ endpoints: {{ sw:pc1: , pc1:eth0: 10.0.10.2/24 }} }}
  - {{ endpoints: {{ sw:pc2: , pc2:eth0: 10.0.20.2/24 }} }}
  - {{ endpoints: [ sw:gw, gw:sw ] }}
"
    ))
}

/// What `bridge` tells of the VLANs of an interface.
fn told(dev: &str) -> Value {
    let all: Value = serde_json::from_str(&sh("bridge -n k-sw -j vlan show")).unwrap();
    let of = all.as_array().unwrap().iter().find(|of| of["ifname"] == dev);
    of.map_or(json!([]), |of| of["vlans"].clone())
}

fn untagged(vid: u16) -> Value {
    json!([{ "vlan": vid, "flags": ["PVID", "Egress Untagged"] }])
}

/// Tells whether a node gets an answer, which may take a moment after a change.
fn reaches(ns: &str, addr: &str) -> bool {
    let ping =
        format!("ip netns exec {ns} ping -q -c 1 -W 1 {addr} >/dev/null && echo yes || true");
    (0..3).any(|_| sh(&ping).contains("yes"))
}

#[test]
fn vm_bridge_vlans_of_a_node() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vlan", "bridge-vlan"]);
        let first = apart(", vlan: staff, trunk: 30", "vlan: 10");
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!(planned(&lab, &first), NOTHING);
        assert_eq!((told("pc1"), told("pc2")), (untagged(10), untagged(20)));
        assert_eq!(
            told("br0"),
            json!([{ "vlan": 10, "flags": ["PVID", "Egress Untagged"] }, { "vlan": 30 }])
        );
        let trunk = [10, 20, 21, 22].map(|vlan| json!({ "vlan": vlan }));
        assert_eq!(told("gw"), Value::from(trunk.to_vec()));
        // By way of the router, which is behind tags, and from the bridge itself.
        assert!(reaches("k-pc1", "10.0.20.2") && reaches("k-sw", "10.0.10.2"));

        // More of a port in place, and what somebody does by hand.
        let second = apart(", vlan: staff, trunk: 30", "vlan: 20, trunk: [ 10, 50 untagged ]");
        let up = lab.up(&second, |_| {}).unwrap();
        // Both are in one VLAN now, so that no router stands between: their routes change too.
        let mut steps = signed(&up.steps);
        steps.retain(|step| step.contains(" vlan "));
        assert_eq!(
            steps,
            [
                "+ vlan 10 on k-sw:pc1",
                "+ vlan 20 pvid untagged on k-sw:pc1",
                "+ vlan 50 untagged on k-sw:pc1"
            ]
        );
        assert_eq!(
            told("pc1"),
            json!([
                { "vlan": 10 },
                { "vlan": 20, "flags": ["PVID", "Egress Untagged"] },
                { "vlan": 50, "flags": ["Egress Untagged"] }
            ])
        );
        sh("bridge -n k-sw vlan del dev pc1 vid 50
            bridge -n k-sw vlan del dev br0 vid 30 self
            bridge -n k-sw vlan add dev br0 vid 31 self");
        assert_eq!(
            planned(&lab, &second),
            ["- vlan 31 on k-sw:br0", "+ vlan 30 on k-sw:br0", "+ vlan 50 untagged on k-sw:pc1"]
        );
        lab.up(&second, |_| {}).unwrap();
        assert_eq!(planned(&lab, &second), NOTHING);

        // A snapshot says the same.
        let seen = lab.snapshot("k-*", &[]).unwrap();
        assert_eq!(seen.left_out, NOTHING);
        let text = vnet::file::write_short(&seen.topology, &seen.desired);
        for line in
            ["pc1: { vlan: 20, trunk: [ 10, 50 untagged ] }", "gw: { trunk: [ 10, 20-22 ] }"]
        {
            assert!(text.contains(line), "no {line} in {text}");
        }
        assert!(text.contains("vlan: 10, trunk: [ 30 ]"), "{text}");
        let again = desired(&text);
        let observed = lab.plan(&again).unwrap().observed;
        assert_eq!(signed(&vnet::plan(&again, &observed).steps), NOTHING, "{text}");

        // What is said no longer is as it was at birth.
        let bare = apart("", "");
        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((told("pc1"), told("br0")), (untagged(1), untagged(1)));
        let other = apart(", vlan_default_pvid: 7", "");
        let up = lab.up(&other, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-sw:br0 vlan_default_pvid 7"]);
        assert_eq!((told("pc1"), told("br0")), (untagged(7), untagged(7)));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
