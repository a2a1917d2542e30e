//! Small pictures, as they are written.
use vnet_draw::{Graph, Status, arrange, dot, mermaid, svg};
use vnet_file::{Source, parse};
use vnet_model::Desired;

const TRIANGLE: &str = include_str!("../../../examples/triangle.yaml");
const DUAL_STACK: &str = include_str!("../../../examples/dual-stack.yaml");
const TUTORIAL: &str = include_str!("../../../examples/tutorial.yaml");

fn desired(text: &str) -> Desired {
    let file = parse(&Source::new("test", text), &[]).expect("it can be read");
    file.resolve().expect("it can be resolved")
}

fn graph(text: &str) -> Graph {
    Graph::new(&desired(text), None)
}

#[test]
fn a_picture() {
    let graph = graph(TRIANGLE);
    insta::assert_snapshot!(svg(&graph, &arrange(&graph)));
}

#[test]
fn for_graphviz() {
    insta::assert_snapshot!(dot(&graph(DUAL_STACK)));
}

#[test]
fn for_mermaid() {
    insta::assert_snapshot!(mermaid(&graph(DUAL_STACK)));
}

#[test]
fn what_is_missing_or_down_is_seen() {
    let desired = desired(TUTORIAL);
    let mut observed = desired.state.clone();
    let all_there = Graph::new(&desired, Some(&observed));
    assert!(svg(&all_there, &arrange(&all_there)).contains("1 link · up"));
    let vnet0 = observed.namespaces.get_mut("vnet0").unwrap();
    let veth0 = vnet0.interfaces.get_mut("veth0").unwrap();
    veth0.up = false;
    let addresses = std::mem::take(&mut veth0.addresses);
    let down = Graph::new(&desired, Some(&observed));
    assert_eq!(down.edges[0].status, Status::Down);
    assert_eq!(down.vertices[0].lines, [""; 0]);
    assert_eq!(down.vertices[1].lines, ["10.0.2.0/24"]);
    assert!(svg(&down, &arrange(&down)).contains("1 missing or down"));

    let vnet0 = observed.namespaces.get_mut("vnet0").unwrap();
    vnet0.interfaces.get_mut("veth0").unwrap().addresses = addresses;
    observed.namespaces.remove("vnet1");
    let missing = Graph::new(&desired, Some(&observed));
    assert_eq!(
        (missing.vertices[1].status, missing.edges[0].status),
        (Status::Missing, Status::Missing)
    );
    insta::assert_snapshot!(mermaid(&missing));
}

#[test]
fn a_tunnel_is_another_line() {
    let graph = graph(include_str!("../../file/tests/valid/wireguard.yaml"));
    let kinds: Vec<_> = graph.edges.iter().filter_map(|edge| edge.kind.as_deref()).collect();
    assert!(kinds.contains(&"wireguard"), "{kinds:?}");
    assert!(svg(&graph, &arrange(&graph)).contains("class=\"line tunnel\""));
    assert!(mermaid(&graph).contains(" -.-"));
}

#[test]
fn a_tunnel_of_many_is_a_line_to_each_peer() {
    let graph = graph(include_str!("../../file/tests/valid/wireguard-segments.yaml"));
    let tunnels = graph.edges.iter().filter(|edge| edge.kind.as_deref() == Some("wireguard"));
    let ends = |edge: &vnet_draw::Edge| edge.ends.map(|end| graph.vertices[end].name.clone());
    let mut ends: Vec<String> = tunnels.map(|edge| ends(edge).join(" ")).collect();
    ends.sort();
    let spokes = ["spoke1 spoke2", "spoke1 spoke3", "spoke2 spoke3"];
    assert_eq!(ends, [&["hub spoke1", "hub spoke2", "hub spoke3"][..], &spokes].concat());
}

#[test]
fn a_vxlan_is_a_line_between_its_members() {
    let graph = graph(include_str!("../../../examples/vxlan.yaml"));
    let tunnel = graph.edges.iter().find(|edge| edge.kind.is_some()).unwrap();
    assert_eq!(tunnel.ends.map(|end| graph.vertices[end].name.as_str()), ["leaf1", "leaf2"]);
    assert_eq!(tunnel.middle, ["vxlan 100"]);
}

#[test]
fn a_cable_says_which_vlans_it_carries() {
    let graph = graph(include_str!("../../../examples/vlans.yaml"));
    let of = |name: &str| &graph.edges.iter().find(|edge| edge.name == name).unwrap().middle;
    assert_eq!(of("pc1--sw1"), &["vlan 10"]);
    assert_eq!(of("gw--sw1"), &["trunk 10, 20"]);
    assert_eq!(of("sw1--sw2"), &["trunk 10, 20"]);
    // The addresses of its interfaces in the VLANs are where no line leads.
    let gw = graph.vertices.iter().find(|vertex| vertex.name == "gw").unwrap();
    let lines = ["guest 10.0.20.1/24", "guest 2001:db8:20::1/64", "staff 10.0.10.1/24"];
    assert_eq!(gw.lines[..3], lines);
}

#[test]
fn a_box_has_the_addresses_that_no_line_leads_to() {
    let lines = |interfaces: &str| {
        let text = format!(
            "{{ name: t, nodes: {{ a: {{ interfaces: {{ {interfaces} }} }}, b: }},
               links: [ {{ endpoints: [ a, b ], prefix: 10.0.0.0/24 }} ] }}"
        );
        graph(&text).vertices.swap_remove(0).lines
    };
    let lo = "lo: [ 10.255.0.1/32, 10.255.0.2/32, 10.255.0.3/32 ]";
    let bridge = "br0: { kind: bridge, addresses: [ 172.16.0.1/24 ] }";
    let all = ["10.255.0.1", "10.255.0.2", "10.255.0.3", "br0 172.16.0.1/24"];
    assert_eq!(lines(&format!("{lo}, {bridge}")), all);
    let more = "br1: { kind: bridge, addresses: [ 172.17.0.1/24 ] }";
    assert_eq!(lines(&format!("{lo}, {bridge}, {more}"))[3], "and 2 more");
}
