use super::*;

use crate::kind::{self, Device, Value};
use crate::names::IfName;
use crate::state::{Kind, PortVlan};
use crate::topology::samples::{nodes, segment};
use crate::topology::{
    AddressSpec, InterfaceOptions, Link, Node, NodeInterface, NodeInterfaceKind, Routing, Segment,
    VlanSpec, Vlans,
};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn vlan(text: &str, vid: u16, prefix: &str) -> Segment {
    let mut vlan = segment(text, &[]);
    vlan.vlan = Some(vid);
    vlan.prefixes = vec![prefix.parse().unwrap()];
    vlan
}

/// A switch: each member with its VLAN, and those on its trunk.
fn switch(text: &str, members: &[(&str, Option<&str>, &[&str])]) -> Segment {
    let names: Vec<&str> = members.iter().map(|(name, ..)| *name).collect();
    let mut switch = segment(text, &names);
    for (member, (_, access, trunk)) in switch.members.iter_mut().zip(members) {
        member.vlan = access.map(name);
        member.trunk = trunk.iter().map(|vlan| name(vlan)).collect();
    }
    switch
}

/// ```text
///  gw ══ sw1 ── (trunk) ── sw2 ── b, c
///         └ a
/// ```
fn lab(trunk: &[&str]) -> TopologyBuilder {
    let mut staff = vlan("staff", 10, "10.0.10.0/24");
    staff.gateway = Some(name("gw"));
    let mut cable = Link::between("sw1", "sw2").unwrap();
    cable.trunk = trunk.iter().map(|vlan| name(vlan)).collect();
    nodes(&["gw", "a", "b", "c"])
        .segment(staff)
        .segment(vlan("guest", 20, "10.0.20.0/24"))
        .segment(switch("sw1", &[("a", Some("staff"), &[]), ("gw", None, &["staff", "guest"])]))
        .segment(switch("sw2", &[("b", Some("guest"), &[]), ("c", Some("staff"), &["guest"])]))
        .link(cable)
}

#[test]
fn a_vlan_hands_out_across_switches_gateway_first() {
    let desired = resolved(lab(&["staff", "guest"]));
    assert_eq!(interfaces(&desired, "gw"), ["guest", "lo", "staff", "sw1"]);
    let none: [&str; 0] = [];
    assert_eq!(addresses(&desired, "gw:sw1"), none);
    assert_eq!(addresses(&desired, "gw:staff"), ["10.0.10.1/24"]);
    assert_eq!(addresses(&desired, "a:sw1"), ["10.0.10.2/24"]);
    assert_eq!(addresses(&desired, "c:sw2"), ["10.0.10.3/24"]);
    // In written order, of untagged and tagged ends alike.
    assert_eq!(addresses(&desired, "gw:guest"), ["10.0.20.1/24"]);
    assert_eq!(addresses(&desired, "b:sw2"), ["10.0.20.2/24"]);
    assert_eq!(addresses(&desired, "c:guest"), ["10.0.20.3/24"]);
    assert_eq!(routes(&desired, "c"), ["default via 10.0.10.1 dev sw2"]);
    // A VLAN without members has no namespace.
    assert!(!desired.segments.contains_key(&name("staff")));
    assert!(!desired.state.namespaces.contains_key("lab-staff"));
}

#[test]
fn ports_are_in_their_vlans_alone() {
    let desired = resolved(lab(&["staff", "guest"]));
    let vlans = |at: &str| interface(&desired, at).vlans.clone().unwrap();
    assert_eq!(vlans("sw1:a"), [(10, PortVlan::UNTAGGED)].into());
    assert_eq!(vlans("sw1:gw"), [(10, PortVlan::TAGGED), (20, PortVlan::TAGGED)].into());
    assert_eq!(vlans("sw1:sw2"), vlans("sw1:gw"));
    assert_eq!(vlans("sw2:c"), [(10, PortVlan::UNTAGGED), (20, PortVlan::TAGGED)].into());
    let device = |at: &str| interface(&desired, at).kind.device().unwrap().clone();
    assert!(device("sw1:sw1").is_on("vlan_filtering"));
    let guest = device("c:guest");
    assert_eq!((guest.spec.name, guest.lower.unwrap().as_str()), ("vlan", "sw2"));
    assert_eq!(guest.options.get("id"), Some(&Value::Number(20)));
    // A bridge that has no VLANs is told nothing about them.
    let plain = resolved(nodes(&["a"]).segment(segment("lan", &["a"])));
    assert_eq!(interface(&plain, "lan:a").vlans, None);
    let Kind::Device(bridge) = &interface(&plain, "lan:lan").kind else { panic!() };
    assert_eq!(bridge.options.get("vlan_filtering"), None);
}

/// The router is behind a cable that does not carry the VLAN.
#[test]
fn what_a_trunk_does_not_carry_stays_apart() {
    let over = |trunk: &[&str]| {
        let lab = lab(trunk).routing(Routing::Auto);
        routes(&resolved(lab), "b")
    };
    assert_eq!(over(&["staff", "guest"]), ["10.0.10.0/24 via 10.0.20.1 dev sw2"]);
    let nothing: [&str; 0] = [];
    assert_eq!(over(&["staff"]), nothing);
}

/// ```text
///  a ── 10 ┐
///  b ── 20 ┼ sw:br0 ══ gw
/// ```
fn own_bridge(of_b: u16, of_cable: &[u16]) -> TopologyBuilder {
    let vlans = |vids: &[u16], how| {
        let spec = |vid: &u16| VlanSpec {
            which: Vlans::Numbers(*vid, *vid),
            how,
            origin: crate::Origin::NONE,
        };
        Some(vids.iter().map(spec).collect())
    };
    let made = |name: &str, device: Device, address: Option<&str>, ports: &[&str]| {
        let addresses = address.map(|text| AddressSpec {
            addr: text.parse().unwrap(),
            prefix_len: Some(24),
            origin: crate::Origin::NONE,
        });
        let addresses = addresses.into_iter().collect();
        NodeInterface {
            name: if_name(name),
            kind: NodeInterfaceKind::Device {
                device,
                ports: ports.iter().map(|p| if_name(p)).collect(),
            },
            options: InterfaceOptions { addresses, ..InterfaceOptions::default() },
        }
    };
    let port = |name: &str, vlans| NodeInterface {
        name: if_name(name),
        kind: NodeInterfaceKind::Existing,
        options: InterfaceOptions { vlans, ..InterfaceOptions::default() },
    };
    let mut sw = Node::new(name("sw"));
    let bridge = Device::bridge(false).with("vlan_filtering", Value::Bool(true));
    sw.interfaces = vec![
        made("br0", bridge, None, &["a", "b", "gw"]),
        port("a", vlans(&[10], PortVlan::UNTAGGED)),
        port("b", vlans(&[of_b], PortVlan::UNTAGGED)),
        port("gw", vlans(of_cable, PortVlan::TAGGED)),
    ];
    let mut gw = Node::new(name("gw"));
    gw.forward = true;
    let sub = |vid: u64| Device::new(&kind::VLAN).with("id", Value::Number(vid)).on(if_name("sw"));
    gw.interfaces = vec![
        made("v10", sub(10), Some("10.0.10.1"), &[]),
        made("v20", sub(20), Some("10.0.20.1"), &[]),
    ];
    let end = |node: &str, address: &str| {
        let mut link = Link::between(node, "sw").unwrap();
        link.ends[0].options.addresses = vec![AddressSpec {
            addr: address.parse().unwrap(),
            prefix_len: Some(24),
            origin: crate::Origin::NONE,
        }];
        link
    };
    nodes(&["a", "b"])
        .node(sw)
        .node(gw)
        .link(end("a", "10.0.10.2"))
        .link(end("b", "10.0.20.2"))
        .link(Link::between("gw", "sw").unwrap())
        .routing(Routing::Auto)
}

fn if_name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

/// The ports of a node's own bridge hear each other in their VLANs alone.
#[test]
fn a_bridge_of_a_node_keeps_vlans_apart() {
    let to = |of_b, of_cable: &[u16]| routes(&resolved(own_bridge(of_b, of_cable)), "a");
    assert_eq!(to(20, &[10, 20]), ["10.0.20.0/24 via 10.0.10.1 dev sw"]);
    let nothing: [&str; 0] = [];
    assert_eq!(to(20, &[20]), nothing);
    // The router is not heard by who is in another VLAN than it.
    assert_eq!(routes(&resolved(own_bridge(21, &[10, 20])), "b"), nothing);
    let desired = resolved(own_bridge(20, &[10, 20]));
    let vlans = |at: &str| interface(&desired, at).vlans.clone().unwrap();
    assert_eq!(vlans("sw:gw"), [(10, PortVlan::TAGGED), (20, PortVlan::TAGGED)].into());
    // What nothing is said of is as the kernel makes it.
    assert_eq!(vlans("sw:br0"), [(1, PortVlan::UNTAGGED)].into());
}
