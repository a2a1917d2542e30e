//! Whatever a file holds, it is read or refused: never a panic, never a wait.

mod common;

use std::time::{Duration, Instant};

use common::files;
use proptest::prelude::*;
use vnet_file::{File, SOURCE_MAX_BYTES, Source, parse, write};
use vnet_model::Desired;

/// Pieces that mean something somewhere.
const WORDS: [&str; 36] = [
    "name",
    "nodes",
    "links",
    "segments",
    "endpoints",
    "members",
    "prefix",
    "pool",
    "vars",
    "interfaces",
    "routes",
    "via ",
    "dev ",
    "default ",
    "pairs: all",
    "..",
    "1..3",
    "9999999999",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "  ",
    "$",
    "${n}",
    "&a ",
    "*a",
    "<<",
    "'",
    "\"",
    "/",
    "\u{9b}",
];

/// Reads a text and shows what is wrong with it. What is right is written and read again.
fn run(text: &str) {
    let source = Source::new("hostile.yaml", text);
    match parse(&source, &[]) {
        Ok(file) => match file.resolve() {
            Ok(desired) => reads_back(&file, desired),
            Err(report) => assert!(!report.render(&source, true).is_empty()),
        },
        Err(report) => {
            assert!(!report.diagnostics.is_empty());
            let shown = report.render(&source, false);
            let obeyed = |c: char| c.is_control() && c != '\n';
            assert!(!shown.contains(obeyed), "{shown:?}");
        }
    }
}

fn reads_back(file: &File, mut desired: Desired) {
    let written = Source::new("written.yaml", write(file.topology(), &desired));
    if written.text().len() > SOURCE_MAX_BYTES {
        return;
    }
    let again = parse(&written, &[]).and_then(|file| file.resolve());
    let again = again.unwrap_or_else(|report| {
        panic!("{}\n{}", report.render(&written, false), file.source().text())
    });
    desired.handed_out.clear();
    assert_eq!(again, desired, "{}", written.text());
}

/// One edit of a text: where, how much goes, and what comes.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let word = prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let new =
        prop_oneof![4 => word, 1 => Just(String::new()), 1 => any::<char>().prop_map(String::from)];
    (any::<prop::sample::Index>(), 0..6_usize, new)
}

fn mutated(text: &str, edits: &[(prop::sample::Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, new) in edits {
        let start = at.index(chars.len() + 1);
        let end = (start + gone).min(chars.len());
        chars.splice(start..end, new.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        run(&text);
    }

    #[test]
    fn arbitrary_words_never_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        run(&words.concat());
    }

    #[test]
    fn mutations_of_valid_files_never_panic(
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec(edit(), 1..8),
    ) {
        let files = files("tests/valid");
        let (_, source) = file.get(&files);
        run(&mutated(source.text(), &edits));
    }
}

/// Files made to cost much: each is refused at once.
#[test]
fn garbage_is_refused_quickly() {
    let alias_chain: String = (1..200).map(|n| format!("x{n}: &x{n} [ *x{} ]\n", n - 1)).collect();
    let keys: String = (0..200_000).map(|n| format!("k{n}: 1\n")).collect();
    let routes = "default foo, ".repeat(50_000);
    let hostile = [
        ("10 MB of one letter", "x".repeat(10_000_000)),
        ("one long line", format!("nodes: [{}]", "@a,".repeat(1_000_000))),
        ("many values", format!("nodes: [{}]", "a,".repeat(1_000_000))),
        ("many keys", keys),
        ("many brackets", "[".repeat(1_000_000)),
        ("aliases in aliases", format!("x0: &x0 [ y ]\n{alias_chain}")),
        ("many ranges in one text", format!("nodes: '{}'", "1..2".repeat(500_000))),
        (
            "wrong routes of many nodes",
            format!("nodes: {{ a1..100000: {{ routes: [{routes}] }} }}"),
        ),
        ("ranges of ranges", "nodes: { a1..100000: { interfaces: { b1..100000: } } }".to_owned()),
        (
            "products",
            "nodes: a1..1000\nlinks: [ { endpoints: [ a1..1000, a1..1000 ], pairs: all } ]"
                .to_owned(),
        ),
    ];
    for (what, text) in hostile {
        let source = Source::new("hostile.yaml", text);
        let start = Instant::now();
        let report = parse(&source, &[]).expect_err(what);
        assert!(report.render(&source, false).len() < 100_000, "{what}");
        // A release build takes 0.2 s at most; this is for a debug build on a busy machine.
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: {:?}", start.elapsed());
    }
}
