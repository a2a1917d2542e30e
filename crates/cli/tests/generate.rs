//! `vnet generate`: what it writes is checked, built, and everybody reaches everybody.

#[macro_use]
mod common;

use common::{line, vnet};

/// Builds what was generated, and has all nodes ask all others.
#[track_caller]
fn builds(words: &str) {
    for typed in [
        &format!("vnet generate {words} > vnet.yaml"),
        "vnet check",
        "vnet up -q",
        "vnet plan",
        "vnet ping -q -W 5",
        "vnet down -q",
    ] {
        let run = line(typed);
        assert_eq!(run.code, 0, "{words}: {typed}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn lines_and_rings_and_stars() {
    vnet_testns::root(|| {
        for words in ["line 5", "ring", "ring 3 --name other", "star 4", "star 1 --routing auto"] {
            builds(words);
        }
    });
}

#[test]
fn trees() {
    vnet_testns::root(|| {
        for words in ["tree 2", "tree 1 --fanout 5", "tree 3 --fanout 1"] {
            builds(words);
        }
    });
}

#[test]
fn meshes_grids_and_tori() {
    vnet_testns::root(|| {
        for words in ["mesh 5", "grid 2 3", "torus 3 3"] {
            builds(words);
        }
    });
}

#[test]
fn fabrics_and_segments() {
    vnet_testns::root(|| {
        for words in ["spine-leaf", "spine-leaf 1 2 --fanout 2", "segment 5"] {
            builds(words);
        }
    });
}

#[test]
fn without_automatic_routes_it_is_checked_and_built_too() {
    vnet_testns::root(|| {
        for shape in ["line", "ring", "tree 2", "mesh", "grid", "torus", "spine-leaf"] {
            let typed = format!(
                "vnet generate {shape} --routing none > vnet.yaml; vnet check && vnet up -q && vnet down -q"
            );
            let run = line(&typed);
            assert_eq!(run.code, 0, "{shape}\n{}{}", run.stdout, run.stderr);
        }
    });
}

#[test]
fn what_it_says() {
    vnet_testns::root(|| {
        pinned!(
            "vnet generate ring 4
             vnet -l mine generate segment 3
             vnet generate tree 2 --fanout 3 --routing none --name demo
             vnet generate ring 2
             vnet generate ring 1000
             vnet generate ring 1000 --routing none | head -n 3
             vnet generate tree 10 --fanout 10
             vnet generate spiral"
        );
    });
    // Without a shape it says which there are.
    assert_eq!(vnet(&["generate"]).code, 2);
}
