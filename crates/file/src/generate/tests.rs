//! Generated files, read again.
use super::*;
use crate::{Source, parse};

/// Reads a generated file, and returns how many nodes and links it has.
#[track_caller]
fn sizes(shape: Shape) -> (usize, usize) {
    let text = Blueprint::new(shape).to_file().unwrap();
    let source = Source::new("generated", &text);
    let file = parse(&source, &[])
        .unwrap_or_else(|report| panic!("{}\n{text}", report.render(&source, false)));
    let desired =
        file.resolve().unwrap_or_else(|report| panic!("{}\n{text}", report.render(&source, false)));
    (desired.nodes.len(), desired.links.len())
}

#[test]
fn each_shape_has_the_size_that_was_asked_for() {
    for nodes in [3, 4, 10, 250, 251, 300] {
        assert_eq!(sizes(Shape::Line { nodes }), (nodes as usize, nodes as usize - 1));
        assert_eq!(sizes(Shape::Ring { nodes }), (nodes as usize, nodes as usize));
    }
    assert_eq!(sizes(Shape::Line { nodes: 2 }), (2, 1));
    assert_eq!(sizes(Shape::Star { hosts: 1 }), (2, 1));
    assert_eq!(sizes(Shape::Star { hosts: 400 }), (401, 400));
    assert_eq!(sizes(Shape::Tree { depth: 1, fanout: 1 }), (2, 1));
    assert_eq!(sizes(Shape::Tree { depth: 3, fanout: 1 }), (4, 3));
    assert_eq!(sizes(Shape::Tree { depth: 3, fanout: 2 }), (15, 14));
    assert_eq!(sizes(Shape::Tree { depth: 2, fanout: 7 }), (57, 56));
    assert_eq!(sizes(Shape::Mesh { nodes: 2 }), (2, 1));
    assert_eq!(sizes(Shape::Mesh { nodes: 20 }), (20, 190));
    assert_eq!(sizes(Shape::Grid { rows: 2, columns: 2 }), (4, 4));
    assert_eq!(sizes(Shape::Grid { rows: 3, columns: 5 }), (15, 22));
    assert_eq!(sizes(Shape::Torus { rows: 3, columns: 3 }), (9, 18));
    assert_eq!(sizes(Shape::Torus { rows: 5, columns: 8 }), (40, 80));
    for (spines, leaves, fanout) in
        [(1, 1, 0), (1, 3, 1), (2, 1, 2), (4, 8, 0), (4, 8, 1), (4, 8, 5)]
    {
        let nodes = spines + leaves + leaves * fanout;
        let links = spines * leaves + leaves * fanout;
        let shape = Shape::SpineLeaf { spines, leaves, fanout };
        assert_eq!(sizes(shape), (nodes as usize, links as usize), "{shape:?}");
    }
    assert_eq!(sizes(Shape::Segment { hosts: 1 }), (2, 0));
    assert_eq!(sizes(Shape::Segment { hosts: 253 }), (254, 0));
    assert_eq!(sizes(Shape::Segment { hosts: 1000 }), (1001, 0));
}

#[test]
fn the_largest_are_read_too() {
    let large = |shape| {
        let blueprint = Blueprint { routing: Some(Routing::None), ..Blueprint::new(shape) };
        let text = blueprint.to_file().unwrap();
        let source = Source::new("generated", &text);
        let file = parse(&source, &[])
            .unwrap_or_else(|report| panic!("{}", report.render(&source, false)));
        (file.topology().nodes().len(), file.topology().links().len())
    };
    assert_eq!(large(Shape::Ring { nodes: 50_000 }), (50_000, 50_000));
    assert_eq!(large(Shape::Mesh { nodes: 300 }), (300, 44_850));
}

#[test]
fn what_is_expected_is_what_comes() {
    // The bound on routes is meant for what there will be.
    for shape in [
        Shape::Ring { nodes: 9 },
        Shape::Torus { rows: 3, columns: 4 },
        Shape::Tree { depth: 3, fanout: 2 },
    ] {
        let counts = shape.counts();
        let (nodes, links) = sizes(shape);
        assert_eq!((counts.nodes, counts.links), (nodes as u64, links as u64), "{shape:?}");
    }
}

#[test]
fn what_is_too_large_or_too_small_is_refused() {
    let refusal = |shape| Blueprint::new(shape).to_file().unwrap_err().to_string();
    assert_eq!(refusal(Shape::Ring { nodes: 2 }), "a ring has at least 3 nodes, not 2");
    assert_eq!(
        refusal(Shape::Tree { depth: 10, fanout: 10 }),
        "a tree of this size has 11,111,111,111 nodes, of at most 50,000"
    );
    assert_eq!(
        refusal(Shape::Ring { nodes: 1000 }),
        "with `routing: auto`, a ring of this size has 2,000,000 routes, of at most 1,000,000"
    );
    for shape in [
        Shape::Ring { nodes: u32::MAX },
        Shape::Tree { depth: u32::MAX, fanout: 1 },
        Shape::Tree { depth: u32::MAX, fanout: u32::MAX },
        Shape::Mesh { nodes: u32::MAX },
        Shape::Torus { rows: u32::MAX, columns: u32::MAX },
        Shape::Grid { rows: u32::MAX, columns: u32::MAX },
        Shape::SpineLeaf { spines: u32::MAX, leaves: u32::MAX, fanout: u32::MAX },
        Shape::Segment { hosts: u32::MAX },
        Shape::Star { hosts: u32::MAX },
        Shape::Segment { hosts: 1001 },
    ] {
        refusal(shape);
    }
}

#[test]
fn it_is_short() {
    insta::assert_snapshot!(Blueprint::new(Shape::Ring { nodes: 6 }).to_file().unwrap());
    insta::assert_snapshot!(Blueprint::new(Shape::Tree { depth: 2, fanout: 2 }).to_file().unwrap());
    insta::assert_snapshot!(
        Blueprint::new(Shape::SpineLeaf { spines: 4, leaves: 8, fanout: 2 }).to_file().unwrap()
    );
    insta::assert_snapshot!(
        Blueprint::new(Shape::Torus { rows: 3, columns: 3 }).to_file().unwrap()
    );
    insta::assert_snapshot!(Blueprint::new(Shape::Segment { hosts: 20 }).to_file().unwrap());
}
