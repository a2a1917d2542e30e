//! The catalogue: `tests/faults/*.yaml`, each a lab and what is done to it.
//!
//! ```yaml
//! lab: chain                  # tests/labs/chain.yaml
//! needs: [ vlan ]             # what the kernel must have (`vnet_testns::requires`)
//! well: [ a b ]               # who reaches whom while nothing is wrong
//! faults:
//!   - why: a b tcp/80         # what is asked
//!     size: 1400              # bytes, not to be fragmented
//!     damage: ip -n a link set dev r1 down # for a shell, or one line of `vnet ip`
//!     causes: interface-down a:r1          # code, and a part of the object; in the packet's order
//!     partly: yes             # some packets pass, by the flow that they are of
//!     answered: yes           # an echo is answered all the same
//!     then: a 10.0.0.5        # what holds after the mend, if not the same; `nothing` where none is
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser};

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) lab: String,
    pub(crate) needs: Vec<String>,
    pub(crate) well: Vec<String>,
    pub(crate) faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    pub(crate) why: String,
    pub(crate) size: Option<u32>,
    pub(crate) damage: String,
    pub(crate) causes: Vec<String>,
    pub(crate) answered: bool,
    /// Whether it depends on the flow.
    pub(crate) partly: bool,
    pub(crate) then: Option<String>,
}

/// The files' names without `.yaml`, sorted.
pub(crate) fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

pub(crate) fn read(name: &str) -> Catalogue {
    let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    let mut found = Catalogue::default();
    for (key, value) in tree(name, &text).map() {
        match key.as_str() {
            "lab" => found.lab = value.text(),
            "needs" => found.needs = value.texts(),
            "well" => found.well = value.texts(),
            "faults" => found.faults = value.list().into_iter().map(fault).collect(),
            key => panic!("{name}: what is {key}?"),
        }
    }
    assert!(!found.lab.is_empty() && !found.faults.is_empty(), "{name}: a lab and faults");
    found
}

fn fault(value: Value) -> Fault {
    let mut fault = Fault::default();
    for (key, value) in value.map() {
        match key.as_str() {
            "why" => fault.why = value.text(),
            "size" => fault.size = Some(value.text().parse().unwrap()),
            "damage" => fault.damage = value.text(),
            "causes" => fault.causes = value.texts(),
            "partly" => fault.partly = value.text() == "yes",
            "answered" => fault.answered = value.text() == "yes",
            "then" => fault.then = Some(value.text()),
            key => panic!("{fault:?}: what is {key}?"),
        }
    }
    assert!(!fault.why.is_empty() && !fault.causes.is_empty(), "{fault:?}: why, and causes");
    fault
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults")
}

#[derive(Debug)]
enum Value {
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    fn list(self) -> Vec<Self> {
        match self {
            Self::List(values) => values,
            other => panic!("{other:?} is no list"),
        }
    }

    /// A list of texts, or a single one.
    fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            other => other.list().into_iter().map(Self::text).collect(),
        }
    }

    fn map(self) -> Vec<(String, Self)> {
        match self {
            Self::Map(entries) => entries,
            other => panic!("{other:?} is no map"),
        }
    }
}

fn tree(name: &str, text: &str) -> Value {
    let events = Parser::new_from_str(text).map(|event| match event {
        Ok((event, _)) => event,
        Err(error) => panic!("{name}: {error}"),
    });
    let is_value =
        |event: &Event<'_>| !matches!(event, Event::StreamStart | Event::DocumentStart(..));
    let mut events = events.filter(is_value);
    value(&mut events).unwrap_or_else(|| panic!("{name} is empty"))
}

/// Reads the next value; `None` where a list or a map ends.
fn value<'t>(events: &mut impl Iterator<Item = Event<'t>>) -> Option<Value> {
    match events.next()? {
        Event::Scalar(text, ..) => Some(Value::Text(text.into_owned())),
        Event::SequenceStart(..) => {
            Some(Value::List(std::iter::from_fn(|| value(events)).collect()))
        }
        Event::MappingStart(..) => {
            let entry = || Some((value(events)?.text(), value(events).unwrap()));
            let entries: Vec<(String, Value)> = std::iter::from_fn(entry).collect();
            let mut keys: Vec<&String> = entries.iter().map(|(key, _)| key).collect();
            keys.sort();
            assert!(keys.windows(2).all(|two| two[0] != two[1]), "a key is there twice: {keys:?}");
            Some(Value::Map(entries))
        }
        Event::SequenceEnd | Event::MappingEnd => None,
        other => panic!("{other:?} has no meaning here"),
    }
}
