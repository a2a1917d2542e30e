//! The graph in Graphviz's language (graphviz.org/doc/info/lang.html), for layouts of its own.
use std::fmt::Write as _;

use crate::graph::{Graph, Status, VertexKind};

/// Writes a graph in Graphviz's language: `vnet graph --format dot | dot -Tsvg`.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut out = format!("graph {} {{\n", quoted(&graph.name));
    out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f8fafc\", color=\"#94a3b8\", fontname=\"sans-serif\"]\n");
    out.push_str("  edge [color=\"#94a3b8\", fontname=\"sans-serif\", fontsize=10]\n");
    for vertex in &graph.vertices {
        let mut label = vec![vertex.name.clone()];
        label.extend(vertex.lines.iter().cloned());
        let mut more = match vertex.kind {
            VertexKind::Router => ", fillcolor=\"#dbeafe\", color=\"#3b82f6\"".to_owned(),
            VertexKind::Host => String::new(),
            VertexKind::Segment => {
                ", shape=ellipse, fillcolor=\"#fef3c7\", color=\"#f59e0b\"".to_owned()
            }
        };
        if vertex.status != Status::Fine {
            more.push_str(", color=\"#dc2626\", style=\"rounded,dashed\"");
        }
        let _ =
            writeln!(out, "  {} [label={}{more}]", quoted(&vertex.name), quoted(&label.join("\n")));
    }
    for edge in &graph.edges {
        let [from, to] = edge.ends.map(|end| quoted(&graph.vertices[end].name));
        let mut more = Vec::new();
        if !edge.middle.is_empty() {
            more.push(format!("label={}", quoted(&edge.middle.join("\n"))));
        }
        for (key, near) in ["taillabel", "headlabel"].iter().zip(&edge.near) {
            more.extend(near.as_ref().map(|text| format!("{key}={}", quoted(text))));
        }
        match (edge.status, &edge.kind) {
            (Status::Fine, Some(_)) => more.push("style=dotted, color=\"#7c3aed\"".to_owned()),
            (Status::Fine, None) => {}
            _ => more.push("style=dashed, color=\"#dc2626\"".to_owned()),
        }
        let more = if more.is_empty() { String::new() } else { format!(" [{}]", more.join(", ")) };
        let _ = writeln!(out, "  {from} -- {to}{more}");
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
