//! The graph as a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html), which code forges draw in Markdown.
use std::fmt::Write as _;

use crate::graph::{Graph, Status, VertexKind};

/// Writes a graph as a Mermaid flowchart.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut out = String::from("flowchart TB\n");
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let mut label = vec![escaped(&vertex.name)];
        label.extend(vertex.lines.iter().map(|line| escaped(line)));
        let label = label.join("<br>");
        let shape = match vertex.kind {
            VertexKind::Router => format!("(\"{label}\"):::router"),
            VertexKind::Host => format!("[\"{label}\"]:::host"),
            VertexKind::Segment => format!("([\"{label}\"]):::segment"),
        };
        // Names may be words of Mermaid's own: `end`, `graph`.
        let _ = writeln!(out, "  n{index}{shape}");
    }
    let mut wrong = Vec::new();
    for (index, edge) in graph.edges.iter().enumerate() {
        let [from, to] = edge.ends;
        let line = if edge.kind.is_some() { "-.-" } else { "---" };
        let label = match edge.middle.is_empty() {
            true => String::new(),
            false => format!("|\"{}\"|", escaped(&edge.middle.join("<br>"))),
        };
        let _ = writeln!(out, "  n{from} {line}{label} n{to}");
        if edge.status != Status::Fine {
            wrong.push(index.to_string());
        }
    }
    out.push_str("  classDef router fill:#dbeafe,stroke:#3b82f6\n");
    out.push_str("  classDef host fill:#f8fafc,stroke:#94a3b8\n");
    out.push_str("  classDef segment fill:#fef3c7,stroke:#f59e0b\n");
    if !wrong.is_empty() {
        let _ =
            writeln!(out, "  linkStyle {} stroke:#dc2626,stroke-dasharray:6 4", wrong.join(","));
    }
    for (index, vertex) in graph.vertices.iter().enumerate() {
        if vertex.status != Status::Fine {
            let _ = writeln!(out, "  style n{index} stroke:#dc2626,stroke-dasharray:6 4");
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('"', "#quot;")
}
