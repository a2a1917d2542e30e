//! Forwarding entries and VLANs of ports: built as declared, as `bridge` tells it, changed in place
//! and mended.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{Lab, shown};
use vnet_kernel::Realm;
use vnet_model::{FdbEntry, Mac, Origin, PortVlan};
use vnet_testns::sh;

/// Two nodes on a bridge in a namespace of its own.
fn lan() -> Lab {
    let lab = Lab::new().nodes(&["a", "b", "s"]).bridge("s:lan", false);
    ["a", "b"].iter().fold(lab, |lab, node| {
        let port = format!("s:{node}");
        lab.veth(&format!("{node}:lan"), &port).port(&port, "lan")
    })
}

fn entry(last: u8, dst: Option<&str>) -> FdbEntry {
    let dst = dst.map(|dst| dst.parse().unwrap());
    FdbEntry { mac: Mac([2, 0, 0, 0, 0, last]), dst, vlan: None, origin: Origin::NONE }
}

/// Does what is missing, and returns what that was.
fn apply(lab: &Lab, realm: &Realm) -> Vec<String> {
    let steps = lab.apply(realm).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(&lab.plan(realm).steps), [""; 0]);
    shown(&steps)
}

#[test]
fn static_entries_of_a_bridge() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        let lab = |entries: &[FdbEntry]| {
            let entries = entries.iter().copied().collect();
            lan().set("s:a", |i| i.fdb = Some(entries))
        };
        lab(&[entry(1, None), entry(2, None)]).build(&realm);
        let told = sh("bridge -n s -j fdb show dev a");
        for mac in ["02:00:00:00:00:01", "02:00:00:00:00:02"] {
            assert!(told.contains(&format!(r#""mac":"{mac}""#)), "{told}");
        }
        let changed = lab(&[entry(2, None), entry(3, None)]);
        assert_eq!(
            apply(&changed, &realm),
            ["- fdb 02:00:00:00:00:01 on s:a", "+ fdb 02:00:00:00:00:03 on s:a"]
        );
        sh("bridge -n s fdb del 02:00:00:00:00:02 dev a master");
        sh("bridge -n s fdb add 02:00:00:00:00:07 dev a master static");
        assert_eq!(
            apply(&changed, &realm),
            ["- fdb 02:00:00:00:00:07 on s:a", "+ fdb 02:00:00:00:00:02 on s:a"]
        );
        // What it has learned itself is nobody's configuration.
        sh("bridge -n s fdb add 02:00:00:00:00:08 dev a master dynamic");
        assert_eq!(apply(&changed, &realm), [""; 0]);
        sh("ip -n s link set dev a nomaster");
        assert_eq!(
            apply(&changed, &realm),
            [
                "~ s:a master lan",
                "+ fdb 02:00:00:00:00:02 on s:a",
                "+ fdb 02:00:00:00:00:03 on s:a"
            ]
        );
        Lab::new().remove(&realm);
    });
}

#[test]
fn vm_vlans_of_a_port() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["bridge-vlan"]);
        let realm = Realm::own().unwrap();
        let lab = |vlans: &[(u16, PortVlan)]| {
            let vlans = vlans.iter().copied().collect();
            lan().set("s:a", |i| i.vlans = Some(vlans))
        };
        let first =
            lab(&[(10, PortVlan::UNTAGGED), (20, PortVlan::TAGGED), (21, PortVlan::TAGGED)]);
        first.build(&realm);
        let told = sh("bridge -n s -j vlan show dev a");
        for words in [r#""vlan":10,"flags":["PVID","Egress Untagged"]"#, r#""vlan":20"#] {
            assert!(told.contains(words), "{told}");
        }
        assert!(!told.contains(r#""vlan":1,"#), "{told}");
        // Another VLAN of packets without a tag takes that from the one before, in one step.
        let second =
            lab(&[(10, PortVlan::TAGGED), (20, PortVlan::UNTAGGED), (21, PortVlan::TAGGED)]);
        assert_eq!(apply(&second, &realm), ["+ vlan 10 on s:a", "+ vlan 20 pvid untagged on s:a"]);
        sh("bridge -n s vlan del dev a vid 20-21; bridge -n s vlan add dev a vid 30 untagged");
        assert_eq!(
            apply(&second, &realm),
            ["- vlan 30 on s:a", "+ vlan 20 pvid untagged on s:a", "+ vlan 21 on s:a"]
        );
        sh("ip -n s link set dev a nomaster");
        assert_eq!(
            apply(&second, &realm),
            [
                "~ s:a master lan",
                "- vlan 1 on s:a",
                "+ vlan 10 on s:a",
                "+ vlan 20 pvid untagged on s:a",
                "+ vlan 21 on s:a"
            ]
        );
        Lab::new().remove(&realm);
    });
}
