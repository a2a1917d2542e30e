use super::*;
use crate::state::Kind;
use crate::topology::samples::{bridge, lab, node, nodes, segment};
use crate::topology::{Link, NetnsPattern};

#[test]
fn a_namespace_is_named_by_the_pattern_and_marked() {
    let topology = || nodes(&["a"]).segment(segment("s", &["a"]));
    let desired = resolved(topology());
    assert_eq!(desired.nodes["a"].as_str(), "lab-a");
    assert_eq!(desired.segments["s"].as_str(), "lab-s");
    let mark = ns(&desired, "s").owner.mark().unwrap();
    assert_eq!(mark.to_string(), "vnet:lab/s");
    let desired = resolved(topology().netns(NetnsPattern::new("$node")));
    assert_eq!(desired.nodes["a"].as_str(), "a");
}

#[test]
fn a_renamed_lab_can_get_names_that_are_too_long() {
    let topology =
        nodes(&["a"]).netns(NetnsPattern::new("$lab$lab$lab$lab$lab-$node")).build().unwrap();
    let topology = topology.renamed(LabName::new(&"x".repeat(63)).unwrap());
    assert!(resolve(&topology).is_err_and(|problems| problems.len() == 1));
}

#[test]
fn an_interface_is_named_after_its_far_end() {
    let desired = resolved(
        nodes(&["leaf1", "spine2", "pc1"])
            .segment(segment("lan", &["pc1"]))
            .link(("leaf1", "spine2"))
            .link(("leaf1:up", "lan")),
    );
    assert_eq!(interfaces(&desired, "leaf1"), ["lo", "spine2", "up"]);
    assert_eq!(interfaces(&desired, "spine2"), ["leaf1", "lo"]);
    assert_eq!(interfaces(&desired, "pc1"), ["lan", "lo"]);
    // The segment's bridge is named like it, its ports after the members.
    assert_eq!(interfaces(&desired, "lan"), ["lan", "leaf1", "lo", "pc1"]);
    for port in ["lan:leaf1", "lan:pc1"] {
        assert_eq!(interface(&desired, port).master.as_ref().unwrap().as_str(), "lan");
    }
    let Kind::Veth { peer: Some(peer) } = &interface(&desired, "lan:leaf1").kind else { panic!() };
    assert_eq!(peer.to_string(), "lab-leaf1:up");
}

#[test]
fn parallels_are_numbered_in_written_order() {
    let desired = resolved(
        nodes(&["r1", "r2", "r3"])
            .link(("r1", "r2"))
            .link(("r1", "r3"))
            .link(("r2", "r1:eth0"))
            .link(("r1", "r2"))
            .link(("r3", "r3")),
    );
    assert_eq!(interfaces(&desired, "r1"), ["eth0", "lo", "r2", "r2-3", "r3"]);
    assert_eq!(interfaces(&desired, "r2"), ["lo", "r1", "r1-2", "r1-3"]);
    assert_eq!(interfaces(&desired, "r3"), ["lo", "r1", "r3", "r3-2"]);
    let names: Vec<&str> = desired.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["r1--r2", "r1--r3", "r2--r1-2", "r1--r2-3", "r3--r3"]);
}

#[test]
fn a_long_name_stays_as_altname() {
    let desired = resolved(nodes(&["a", "datacenter1-leaf12"]).link(("a", "datacenter1-leaf12")));
    let (name, interface) = ns(&desired, "a").interfaces.iter().next().unwrap();
    assert_eq!(name.as_str().len(), 15);
    assert!(name.as_str().starts_with("datacent-"));
    assert_eq!(interface.altnames.iter().collect::<Vec<_>>(), ["datacenter1-leaf12"]);
    assert!(ns(&desired, "datacenter1-leaf12").interfaces["a"].altnames.is_empty());
}

#[test]
fn hardware_addresses_are_given_or_derived() {
    let mut link = Link::between("a", "b").unwrap();
    link.ends[0].options.mac = Some("02:00:00:00:00:01".parse().unwrap());
    let desired = resolved(nodes(&["a", "b"]).link(link));
    let mac = |at| interface(&desired, at).mac;
    assert_eq!(mac("a:b").unwrap().to_string(), "02:00:00:00:00:01");
    let derived =
        crate::Mac::derive(&desired.lab, &NodeName::new("b").unwrap(), &IfName::new("a").unwrap());
    assert_eq!(mac("b:a"), Some(derived));
    assert_eq!(mac("a:lo"), None);
}

#[test]
fn a_hardware_address_is_once_on_a_wire() {
    let end = |text: &str| {
        let mut end: crate::topology::Endpoint = text.parse().unwrap();
        end.options.mac = Some("02:00:00:00:00:01".parse().unwrap());
        end
    };
    let mut s = segment("s", &[]);
    s.members = vec![end("a"), end("b")];
    let mut t = segment("t", &[]);
    t.members = vec![end("a")];
    let problem = "`a:s` and `b:s` both have the hardware address 02:00:00:00:00:01";
    refused(nodes(&["a", "b"]).segment(s.clone()).segment(t.clone()), problem);
    // Segments that a link joins are one wire, and so are those that a bridge in a node joins.
    s.members.pop();
    let problem = "`a:s` and `a:t` both have the hardware address 02:00:00:00:00:01";
    refused(nodes(&["a"]).segment(s.clone()).segment(t.clone()).link(("s", "t")), problem);
    let mut a = node("a");
    a.interfaces.push(bridge("br0", &["s", "t"]));
    refused(lab().node(a).segment(s).segment(t), problem);
}
