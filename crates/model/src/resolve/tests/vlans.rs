use super::*;
use crate::kind::Value;
use crate::state::{Kind, PortVlan};
use crate::topology::samples::{nodes, segment};
use crate::topology::{Link, Routing, Segment};

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
