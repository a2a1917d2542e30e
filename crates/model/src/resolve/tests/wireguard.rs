//! Peers of WireGuard segments and what goes to them.

use super::*;
use crate::kind::{Device, WIREGUARD};
use crate::topology::{Endpoint, Link, Node, Segment, SegmentKind, Tunnel};

fn segment(name: &str, members: &[&str], prefix: &str) -> Segment {
    let mut segment = Segment::new(name.try_into().unwrap());
    segment.prefixes = vec![prefix.parse().unwrap()];
    segment.members = members.iter().map(|member| member.parse().unwrap()).collect();
    segment
}

fn vpn(hub: Option<&str>, members: &[&str]) -> Segment {
    let tunnel = Tunnel { device: Device::new(&WIREGUARD), over: None };
    let hub = hub.map(|hub| hub.try_into().unwrap());
    let kind = SegmentKind::Wireguard { tunnel, hub };
    Segment { kind, ..segment("vpn", members, "10.9.0.0/24") }
}

/// Three nodes on a wire, each with a network behind it, and a tunnel between them.
fn lab(vpn: Segment) -> TopologyBuilder {
    let mut lab = Topology::builder("lab").routing(Routing::Auto);
    for name in ["a", "b", "c"] {
        lab = lab.node(Node { forward: true, ..Node::new(name.try_into().unwrap()) });
    }
    let links = [("b", "10.2.0.0/24"), ("c", "10.3.0.0/24")];
    for (node, prefix) in links {
        let pc = format!("pc-{node}");
        let link = Link::between(node, &pc).unwrap().prefixes([prefix.parse().unwrap()]);
        lab = lab.node(pc.as_str()).link(link);
    }
    lab.segment(segment("lan", &["a", "b", "c"], "192.0.2.0/24")).segment(vpn)
}

#[track_caller]
fn peers(desired: &Desired, at: &str) -> Vec<String> {
    let config = interface(desired, at).wireguard.as_ref().unwrap();
    let words = config.to_string();
    words.split(" peer ").map(str::to_owned).collect()
}

#[test]
fn each_member_of_a_mesh_is_a_peer_of_each() {
    let desired = resolved(lab(vpn(None, &["a", "b", "c"])));
    let all = [
        "listen-port 51820",
        "lab-b:vpn endpoint 192.0.2.2:51820 allowed-ips 10.9.0.2/32",
        "lab-c:vpn endpoint 192.0.2.3:51820 allowed-ips 10.9.0.3/32",
    ];
    assert_eq!(peers(&desired, "a:vpn"), all);
    assert_eq!(interface(&desired, "a:vpn").fdb, None);
    assert!(desired.segments.keys().all(|name| name.as_str() != "vpn"));
}

#[test]
fn the_others_are_peers_of_the_hub_alone() {
    let desired = resolved(lab(vpn(Some("c"), &["a", "b", "c"])));
    let hub = ["listen-port 51820", "lab-c:vpn endpoint 192.0.2.3:51820"];
    assert_eq!(peers(&desired, "a:vpn"), hub);
    assert_eq!(peers(&desired, "c:vpn").len(), 3);
    assert_eq!(interface(&desired, "c:vpn").forward_ipv4, Some(true));
}

/// What a node has routes to by a peer may come from there.
#[test]
fn what_routes_lead_to_is_let_through() {
    let mut vpn = vpn(None, &["a", "b", "c"]);
    vpn.members[2].allowed_ips = vec!["10.77.0.0/16".parse().unwrap()];
    vpn.cost = Some(1);
    let mut wire = segment("lan", &["a", "b", "c"], "192.0.2.0/24");
    wire.cost = Some(9);
    let mut built = Topology::builder("lab").routing(Routing::Auto).segment(wire).segment(vpn);
    for name in ["a", "b", "c"] {
        built = built.node(Node { forward: true, ..Node::new(name.try_into().unwrap()) });
    }
    let far = Link::between("b", "pc").unwrap().prefixes(["10.2.0.0/24".parse().unwrap()]);
    let desired = resolved(built.node("pc").link(far));
    let all = [
        "listen-port 51820",
        "lab-b:vpn endpoint 192.0.2.2:51820 allowed-ips 10.2.0.0/24,10.9.0.2/32",
        "lab-c:vpn endpoint 192.0.2.3:51820 allowed-ips 10.9.0.3/32,10.77.0.0/16",
    ];
    assert_eq!(peers(&desired, "a:vpn"), all);
    // What is routed around the tunnel is not.
    assert_eq!(
        peers(&desired, "c:vpn")[1],
        "lab-a:vpn endpoint 192.0.2.1:51820 allowed-ips 10.9.0.1/32"
    );
}

/// A tunnel goes over no other: which of two would be below was not said.
#[test]
fn a_tunnel_is_no_way_for_another() {
    let second = Segment { name: "second".try_into().unwrap(), ..vpn(None, &["a", "b"]) };
    let second = Segment { prefixes: vec!["10.8.0.0/24".parse().unwrap()], ..second };
    let desired = resolved(lab(vpn(None, &["a", "b", "c"])).segment(second));
    let other = ["listen-port 51821", "lab-b:second endpoint 192.0.2.2:51821"];
    assert_eq!(peers(&desired, "a:second"), other);
    let end: Endpoint = "d:wg0".parse().unwrap();
    let mut alone = vpn(None, &["a", "b"]);
    alone.members.push(end);
    let text = "`a` and `d` have no addresses that a wireguard could go between";
    refused(lab(alone).node("d"), text);
}
