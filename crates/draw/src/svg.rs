//! The picture as SVG: one file that needs no font, script or style from elsewhere.
use std::fmt::Write as _;

use crate::geometry::Path;
use crate::graph::{Edge, Graph, Status, Vertex, VertexKind};
use crate::labels::{Drawing, Label, Shape};

const STYLE: &str = "\
text{font-family:'DejaVu Sans',Verdana,Inter,Helvetica,Arial,sans-serif;text-anchor:middle;fill:#475569}
.name{font-weight:600;fill:#0f172a}
.title{font-weight:600;text-anchor:start;fill:#0f172a}
.title tspan{font-weight:400;fill:#64748b}
.line{fill:none;stroke:#94a3b8;stroke-width:1.6;stroke-linejoin:round}
.tunnel{stroke:#7c3aed;stroke-dasharray:2 4;stroke-linecap:round}
.box{stroke-width:1.6}
.router{fill:#dbeafe;stroke:#3b82f6}
.host{fill:#f8fafc;stroke:#94a3b8}
.segment{fill:#fef3c7;stroke:#f59e0b}
.back{fill:#fff}
.wrong{stroke:#dc2626;stroke-dasharray:6 4}
.box.wrong{fill:#fee2e2}
.title .bad{fill:#dc2626}
";

/// Writes a graph and where everything of it stands as an SVG file.
#[must_use]
pub fn svg(graph: &Graph, drawing: &Drawing) -> String {
    let (width, height) = (drawing.width.ceil(), drawing.height.ceil());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>\n{STYLE}</style>\n<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    write_title(&mut out, graph);
    // What is wrong lies over what is right, where lines share a way.
    let mut edges: Vec<(&Edge, &Path)> = graph.edges.iter().zip(&drawing.paths).collect();
    edges.sort_by_key(|(edge, _)| edge.status != Status::Fine);
    for (edge, path) in edges {
        write_edge(&mut out, graph, edge, path);
    }
    for label in &drawing.labels {
        let _ = writeln!(
            out,
            "<rect class=\"back\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" opacity=\"0.85\"/>",
            label.x - label.width / 2.0,
            label.y - label.height / 2.0,
            label.width,
            label.height
        );
    }
    drawing.labels.iter().for_each(|label| write_label(&mut out, label));
    for (vertex, shape) in graph.vertices.iter().zip(&drawing.shapes) {
        write_vertex(&mut out, vertex, shape);
    }
    drawing.names.iter().for_each(|label| write_label(&mut out, label));
    out.push_str("</svg>\n");
    out
}

/// The title's text, as far as nothing is wrong.
pub(crate) fn title(graph: &Graph) -> String {
    format!("{}  {}", graph.name, counts(graph))
}

fn counts(graph: &Graph) -> String {
    let segments = graph.vertices.iter().filter(|it| it.kind == VertexKind::Segment).count();
    let is_member =
        |edge: &&Edge| edge.ends.iter().any(|&end| graph.vertices[end].kind == VertexKind::Segment);
    let links = graph.edges.len() - graph.edges.iter().filter(is_member).count();
    let mut words = vec![counted(graph.vertices.len() - segments, "node")];
    words.extend((segments > 0).then(|| counted(segments, "segment")));
    words.extend((links > 0).then(|| counted(links, "link")));
    words.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn write_title(out: &mut String, graph: &Graph) {
    let statuses = graph
        .vertices
        .iter()
        .map(|vertex| vertex.status)
        .chain(graph.edges.iter().map(|edge| edge.status));
    let wrong = statuses.filter(|status| *status != Status::Fine).count();
    let state = match (graph.observed, wrong) {
        (false, _) => String::new(),
        (true, 0) => " · up".to_owned(),
        (true, wrong) => {
            format!("</tspan><tspan class=\"bad\" dx=\"8\">{wrong} missing or down")
        }
    };
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"32\" y=\"38\" font-size=\"15\">{}<tspan dx=\"12\" font-size=\"12\">{}{state}</tspan></text>",
        escaped(&graph.name),
        counts(graph)
    );
}

fn write_edge(out: &mut String, graph: &Graph, edge: &Edge, path: &Path) {
    let mut class = "line".to_owned();
    if edge.kind.is_some() {
        class.push_str(" tunnel");
    }
    if edge.status != Status::Fine {
        class.push_str(" wrong");
    }
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"{}\"><title>{}</title></path>",
        data(path),
        escaped(&tooltip(graph, edge))
    );
}

/// All there is to say of a line: its name, both ends with their addresses, and what is wrong.
fn tooltip(graph: &Graph, edge: &Edge) -> String {
    let mut text = edge.name.clone();
    if let Some(kind) = &edge.kind {
        let _ = write!(text, " ({kind})");
    }
    for side in 0..2 {
        let vertex = &graph.vertices[edge.ends[side]].name;
        let _ =
            write!(text, "\n{vertex}:{} {}", edge.interfaces[side], edge.addresses[side].join(" "));
    }
    match edge.status {
        Status::Fine => {}
        Status::Missing => text.push_str("\nmissing"),
        Status::Down => text.push_str("\ndown"),
    }
    text
}

fn data(path: &Path) -> String {
    let points = &path.points;
    let mut data = String::new();
    for (index, point) in points.iter().enumerate() {
        let letter = match (index, path.bow) {
            (0, _) => "M",
            (1, true) => "Q",
            (2, true) => " ",
            _ => "L",
        };
        let _ = write!(data, "{letter}{:.1} {:.1}", point.x, point.y);
    }
    data
}

fn write_vertex(out: &mut String, vertex: &Vertex, shape: &Shape) {
    let (class, radius) = match vertex.kind {
        VertexKind::Router => ("router", 8.0),
        VertexKind::Host => ("host", 4.0),
        VertexKind::Segment => ("segment", (shape.height / 2.0).min(18.0)),
    };
    let wrong = if vertex.status == Status::Fine { "" } else { " wrong" };
    let _ = writeln!(
        out,
        "<rect class=\"box {class}{wrong}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{radius:.0}\"/>",
        shape.x, shape.y, shape.width, shape.height
    );
}

fn write_label(out: &mut String, label: &Label) {
    let class = if label.is_name { " class=\"name\"" } else { "" };
    // The baseline is a third of the size below the middle.
    let _ = writeln!(
        out,
        "<text{class} x=\"{:.1}\" y=\"{:.1}\" font-size=\"{}\">{}</text>",
        label.x,
        label.y + label.size * 0.35,
        label.size,
        escaped(&label.text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
