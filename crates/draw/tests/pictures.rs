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
