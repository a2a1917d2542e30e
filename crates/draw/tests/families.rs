//! Every generated family, from small to a hundred nodes: nothing covers anything.
use vnet_draw::{Drawing, Graph, Label, arrange};
use vnet_file::generate::{Blueprint, Shape};
use vnet_file::{Source, parse};

fn graph(text: &str) -> Graph {
    let source = Source::new("test", text);
    let file =
        parse(&source, &[]).unwrap_or_else(|report| panic!("{}", report.render(&source, false)));
    Graph::new(&file.resolve().expect("it can be resolved"), None)
}

fn generated(shape: Shape) -> Graph {
    graph(&Blueprint::new(shape).to_file().expect("it is not too large"))
}

/// Left, upper, right and lower edge.
type Box4 = [f64; 4];

fn of_label(label: &Label) -> Box4 {
    let (x, y) = (label.width / 2.0, label.height / 2.0);
    [label.x - x, label.y - y, label.x + x, label.y + y]
}

fn overlap(a: &Box4, b: &Box4) -> bool {
    const ROUNDING: f64 = 0.01;
    a[0] + ROUNDING < b[2]
        && b[0] + ROUNDING < a[2]
        && a[1] + ROUNDING < b[3]
        && b[1] + ROUNDING < a[3]
}

fn is_inside(inner: &Box4, outer: &Box4) -> bool {
    inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

/// No text covers another or a box, no box another, and all is on the picture.
#[track_caller]
fn is_clear(what: &str, graph: &Graph) -> Drawing {
    let drawing = arrange(graph);
    let boxes: Vec<Box4> =
        drawing.shapes.iter().map(|it| [it.x, it.y, it.x + it.width, it.y + it.height]).collect();
    let labels: Vec<Box4> = drawing.labels.iter().map(of_label).collect();
    let names: Vec<Box4> = drawing.names.iter().map(of_label).collect();
    let texts: Vec<(&Box4, &str)> = labels
        .iter()
        .zip(&drawing.labels)
        .chain(names.iter().zip(&drawing.names))
        .map(|(at, label)| (at, label.text.as_str()))
        .collect();
    for (index, (a, text)) in texts.iter().enumerate() {
        for (b, other) in &texts[index + 1..] {
            assert!(!overlap(a, b), "{what}: {text} covers {other}");
        }
    }
    for (index, a) in boxes.iter().enumerate() {
        let name = &graph.vertices[index].name;
        for (other, b) in boxes.iter().enumerate().skip(index + 1) {
            assert!(!overlap(a, b), "{what}: {name} covers {}", graph.vertices[other].name);
        }
        for (label, text) in labels.iter().zip(&drawing.labels) {
            assert!(!overlap(a, label), "{what}: {name} covers {}", text.text);
        }
    }
    for name in &names {
        assert!(
            boxes.iter().any(|shape| is_inside(name, shape)),
            "{what}: a name outside of its box"
        );
    }
    let all = [0.0, 0.0, drawing.width, drawing.height];
    for (text, at) in texts.iter().map(|(at, text)| (*text, *at)) {
        assert!(is_inside(at, &all), "{what}: {text} is outside of the picture");
    }
    assert_eq!(drawing, arrange(graph), "{what}: not the same each time");
    drawing
}

#[test]
fn no_two_texts_overlap_in_any_family_up_to_a_hundred_nodes() {
    let sizes = [3, 4, 5, 6, 7, 10, 11, 16, 25, 40, 41, 64, 99, 100];
    for nodes in sizes {
        is_clear(&format!("line {nodes}"), &generated(Shape::Line { nodes }));
        is_clear(&format!("ring {nodes}"), &generated(Shape::Ring { nodes }));
        is_clear(&format!("star {nodes}"), &generated(Shape::Star { hosts: nodes - 1 }));
        is_clear(&format!("segment {nodes}"), &generated(Shape::Segment { hosts: nodes - 1 }));
    }
    for nodes in [2, 3, 4, 8, 12, 20] {
        is_clear(&format!("mesh {nodes}"), &generated(Shape::Mesh { nodes }));
    }
    for (depth, fanout) in
        [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (2, 3), (3, 3), (3, 4), (2, 9), (1, 99), (9, 1)]
    {
        is_clear(&format!("tree {depth} {fanout}"), &generated(Shape::Tree { depth, fanout }));
    }
    for (rows, columns) in [(2, 2), (3, 4), (5, 5), (2, 50), (50, 2), (10, 10)] {
        is_clear(&format!("grid {rows} {columns}"), &generated(Shape::Grid { rows, columns }));
    }
    for (rows, columns) in [(3, 3), (4, 4), (3, 33), (10, 10)] {
        is_clear(&format!("torus {rows} {columns}"), &generated(Shape::Torus { rows, columns }));
    }
    for (spines, leaves, fanout) in [
        (1, 1, 0),
        (1, 4, 1),
        (2, 2, 0),
        (2, 4, 1),
        (4, 8, 2),
        (4, 8, 11),
        (2, 16, 4),
        (10, 90, 0),
        (4, 48, 1),
    ] {
        let shape = Shape::SpineLeaf { spines, leaves, fanout };
        is_clear(&format!("{shape:?}"), &generated(shape));
    }
}

/// A hundred nodes is not the whole of it: what is only read by tooltips must still be drawn.
#[test]
fn in_small_pictures_every_address_has_a_place() {
    for shape in [
        Shape::Line { nodes: 5 },
        Shape::Ring { nodes: 6 },
        Shape::Ring { nodes: 20 },
        Shape::Star { hosts: 8 },
        Shape::Tree { depth: 3, fanout: 2 },
        Shape::Mesh { nodes: 4 },
        Shape::Grid { rows: 3, columns: 4 },
        Shape::Torus { rows: 4, columns: 4 },
        Shape::SpineLeaf { spines: 2, leaves: 4, fanout: 1 },
    ] {
        assert_eq!(is_clear(&format!("{shape:?}"), &generated(shape)).hidden, 0, "{shape:?}");
    }
}

#[test]
fn networks_of_no_family_are_clear_too() {
    // A number that looks random: the next of a multiplicative congruence (Park, Miller 1988).
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    };
    for nodes in [5, 12, 30, 60, 100] {
        for density in [1, 2, 4] {
            let mut text = format!(
                "name: random\nnodes: [ a1..{nodes} ]\nsegments: {{ lan: {{ prefix: 10.9.0.0/24, members: [ a1..3 ] }} }}\nlinks:\n"
            );
            for number in 0..nodes * density / 2 {
                let (a, b) = (next(nodes) + 1, next(nodes) + 1);
                if a != b {
                    let (high, low) = (number / 250, number % 250);
                    text.push_str(&format!(
                        "  - {{ endpoints: [ a{a}, a{b} ], prefix: 10.{high}.{low}.0/24 }}\n"
                    ));
                }
            }
            is_clear(&format!("{nodes} nodes, density {density}"), &graph(&text));
        }
    }
}

/// Segments that nodes are at in common are bars one below the other, with straight lines down.
#[test]
fn segments_are_buses_whatever_is_linked_besides() {
    let graph = graph(
        "name: two
nodes: [ gw1..2, web, db, h1..2, core ]
segments:
  office: { prefix: 10.0.1.0/24, members: [ gw1..2, h1..2 ] }
  servers: { prefix: 10.0.2.0/24, members: [ gw1..2, web, db ] }
  wan: { prefix: 10.0.3.0/24, members: [ gw1..2, core ] }
links:
  - { endpoints: [ web, db ], prefix: 10.0.9.0/30 }
  - { endpoints: [ core, gw1 ], prefix: 10.0.10.0/30 }",
    );
    let drawing = is_clear("buses", &graph);
    assert_eq!(drawing.hidden, 0);
    let of = |name: &str| {
        let at = graph.vertices.iter().position(|vertex| vertex.name == name).unwrap();
        drawing.shapes[at]
    };
    let bars = ["office", "servers", "wan"].map(of);
    assert!(bars.is_sorted_by(|a, b| a.y + a.height < b.y), "{bars:?}");
    for (bar, members) in bars.iter().zip([&["gw1", "h2"][..], &["gw2", "db"], &["gw1", "core"]]) {
        for member in members {
            let x = of(member).x + of(member).width / 2.0;
            assert!(bar.x < x && x < bar.x + bar.width, "{member} is not at its bar");
        }
    }
}

#[test]
fn large_ones_are_drawn() {
    for shape in [
        Shape::Ring { nodes: 1000 },
        Shape::Star { hosts: 900 },
        Shape::Grid { rows: 30, columns: 30 },
    ] {
        let blueprint = Blueprint {
            routing: Some(vnet_model::topology::Routing::None),
            ..Blueprint::new(shape)
        };
        let graph = graph(&blueprint.to_file().unwrap());
        let drawing = arrange(&graph);
        assert_eq!(drawing.shapes.len(), graph.vertices.len());
    }
}
