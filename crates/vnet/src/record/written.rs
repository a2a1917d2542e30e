//! What is wanted, as text: a record that says the same need not be taken apart, nor be written anew.
//!
//! One change of a lab leaves nearly all of its record as it was. At 10,000 nodes the text is 5 MB, and to
//! compare it takes a fiftieth of the time that it takes to make a state of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vnet_model::{Desired, Expectation, LabName, NsName, State};

use super::{Record, VERSION};

/// What is wanted of a lab, with its text as it stands in a record.
pub(crate) struct Written<'d> {
    pub(crate) desired: &'d Desired,
    text: Vec<u8>,
    /// Where each namespace's text is.
    namespaces: Vec<Range<usize>>,
    /// Where the others' is.
    rest: Rest<Range<usize>>,
}

/// What a large lab has much of besides its state.
struct Rest<T> {
    nodes: T,
    segments: T,
    links: T,
    handed_out: T,
}

/// A record, taken apart as far as its parts are compared.
#[derive(Deserialize)]
struct Parts<'t> {
    version: u32,
    #[serde(borrow)]
    desired: &'t RawValue,
    previous: Option<State>,
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct DesiredParts<'t> {
    lab: LabName,
    #[serde(borrow)]
    state: StateParts<'t>,
    #[serde(borrow)]
    nodes: &'t RawValue,
    #[serde(borrow)]
    segments: &'t RawValue,
    #[serde(borrow)]
    links: &'t RawValue,
    #[serde(borrow)]
    handed_out: &'t RawValue,
    #[serde(default)]
    published: BTreeSet<String>,
    #[serde(default)]
    expect: Vec<Expectation>,
}

#[derive(Deserialize)]
struct StateParts<'t> {
    #[serde(borrow)]
    namespaces: BTreeMap<NsName, &'t RawValue>,
}

impl<'d> Written<'d> {
    pub(crate) fn of(desired: &'d Desired) -> Self {
        // Nothing may be left out: a new field has no place here until it is written below.
        let Desired { lab, state, nodes, segments, links, handed_out, published, expect } = desired;
        let State { namespaces } = state;
        let mut text = Vec::new();
        put(&mut text, "{\"lab\":", lab);
        text.extend_from_slice(b",\"state\":{\"namespaces\":{");
        let mut ranges = Vec::with_capacity(namespaces.len());
        for (name, namespace) in namespaces {
            put(&mut text, if ranges.is_empty() { "" } else { "," }, name);
            ranges.push(put(&mut text, ":", namespace));
        }
        let rest = Rest {
            nodes: put(&mut text, "}},\"nodes\":", nodes),
            segments: put(&mut text, ",\"segments\":", segments),
            links: put(&mut text, ",\"links\":", links),
            handed_out: put(&mut text, ",\"handed_out\":", handed_out),
        };
        if !published.is_empty() {
            put(&mut text, ",\"published\":", published);
        }
        put(&mut text, ",\"expect\":", expect);
        text.push(b'}');
        Self { desired, text, namespaces: ranges, rest }
    }

    /// Reads a record; `None` where it is cut short or of another version. What it says in the same words
    /// is taken from what is wanted.
    pub(crate) fn read(&self, record: &[u8]) -> Option<Record> {
        let parts: Parts<'_> = serde_json::from_slice(record).ok()?;
        if parts.version != VERSION {
            return None;
        }
        let desired = match parts.desired.get().as_bytes() == self.text {
            true => self.desired.clone(),
            false => self.read_desired(parts.desired)?,
        };
        Some(Record::new(desired, parts.previous, parts.file))
    }

    fn read_desired(&self, text: &RawValue) -> Option<Desired> {
        let parts: DesiredParts<'_> = serde_json::from_str(text.get()).ok()?;
        let (ours, rest) = (self.desired, &self.rest);
        Some(Desired {
            lab: parts.lab,
            state: self.read_state(parts.state)?,
            nodes: self.part(parts.nodes, &rest.nodes, &ours.nodes)?,
            segments: self.part(parts.segments, &rest.segments, &ours.segments)?,
            links: self.part(parts.links, &rest.links, &ours.links)?,
            handed_out: self.part(parts.handed_out, &rest.handed_out, &ours.handed_out)?,
            published: parts.published,
            expect: parts.expect,
        })
    }

    fn read_state(&self, parts: StateParts<'_>) -> Option<State> {
        let ours = &self.desired.state.namespaces;
        let texts: BTreeMap<&NsName, &Range<usize>> = ours.keys().zip(&self.namespaces).collect();
        let is_same = |name: &NsName, text: &RawValue| {
            texts.get(name).is_some_and(|ours| text.get().as_bytes() == &self.text[(*ours).clone()])
        };
        let (same, others): (Vec<_>, Vec<_>) =
            parts.namespaces.into_iter().partition(|(name, text)| is_same(name, text));
        let mut namespaces = ours.only(same.iter().map(|(name, _)| name));
        for (name, text) in others {
            namespaces.insert(name, serde_json::from_str(text.get()).ok()?);
        }
        Some(State { namespaces })
    }

    fn part<T: Clone + DeserializeOwned>(
        &self,
        text: &RawValue,
        ours: &Range<usize>,
        same: &T,
    ) -> Option<T> {
        match text.get().as_bytes() == &self.text[ours.clone()] {
            true => Some(same.clone()),
            false => serde_json::from_str(text.get()).ok(),
        }
    }

    /// Writes the record, with what was before while a change is under way.
    pub(crate) fn record(&self, previous: Option<&State>, file: Option<&Path>) -> Vec<u8> {
        let mut text = Vec::with_capacity(2 * self.text.len());
        put(&mut text, "{\"version\":", &VERSION);
        text.extend_from_slice(b",\"desired\":");
        text.extend_from_slice(&self.text);
        text.extend_from_slice(b",\"previous\":");
        match previous {
            Some(state) => self.put_state(&mut text, state),
            None => text.extend_from_slice(b"null"),
        }
        put(&mut text, ",\"file\":", &file);
        text.push(b'}');
        text
    }

    /// Writes another state, of which most is the same.
    fn put_state(&self, text: &mut Vec<u8>, state: &State) {
        let State { namespaces } = state;
        let mut ours = self.desired.state.namespaces.iter().zip(&self.namespaces).peekable();
        text.extend_from_slice(b"{\"namespaces\":{");
        for (index, (name, namespace)) in namespaces.iter().enumerate() {
            put(text, if index == 0 { "" } else { "," }, name);
            while ours.next_if(|((other, _), _)| *other < name).is_some() {}
            match ours.peek() {
                Some(((_, same), range)) if std::ptr::eq(*same, namespace) => {
                    text.push(b':');
                    text.extend_from_slice(&self.text[(*range).clone()]);
                }
                _ => drop(put(text, ":", namespace)),
            }
        }
        text.extend_from_slice(b"}}");
    }
}

/// Appends a value, and returns where it stands.
fn put<T: Serialize + ?Sized>(text: &mut Vec<u8>, before: &str, value: &T) -> Range<usize> {
    text.extend_from_slice(before.as_bytes());
    let start = text.len();
    // Only maps with keys that are no text can't be written, and there are none.
    let _ = serde_json::to_writer(&mut *text, value);
    start..text.len()
}

#[cfg(test)]
mod tests {
    use vnet_model::topology::{Link, Topology};

    use super::*;

    fn ring(nodes: usize, mtu: u32) -> Desired {
        let name = |number: usize| format!("n{}", number % nodes);
        let mut topology = Topology::builder("ring");
        for number in 0..nodes {
            topology = topology.node(name(number).as_str());
        }
        for number in 0..nodes {
            let (a, b) = (name(number), name(number + 1));
            let net = format!("10.0.{number}.0/24").parse().unwrap();
            let mut link = Link::between(&a, &b).unwrap().prefixes([net]);
            if number == 0 {
                link.mtu = Some(mtu);
            }
            topology = topology.link(link);
        }
        vnet_model::resolve(&topology.build().unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_was_wanted() {
        let desired = ring(5, 1500);
        let record = Record::new(desired.clone(), Some(ring(4, 1400).state), Some("/a".into()));
        let text = Written::of(&desired).record(record.previous.as_ref(), Some(Path::new("/a")));
        assert_eq!(Record::parse(&text), Some(record.clone()));
        assert_eq!(Record::parse(&record.to_text()), Some(record));
    }

    #[test]
    fn what_is_alike_is_read_like_all_else() {
        let now = ring(5, 1500);
        let written = Written::of(&now);
        // At the first link two namespaces differ, and as many where the ring is closed elsewhere.
        let all = [(5, 1500, 5), (5, 1400, 3), (4, 1500, 2), (6, 1400, 2)];
        for (nodes, mtu, same) in all {
            let before = Record::new(ring(nodes, mtu), None, None);
            let text = before.to_text();
            let read = written.read(&text);
            assert_eq!(read, Some(before), "{nodes} {mtu}");
            let known = read.unwrap().known();
            let shared = known.namespaces.iter().filter(|(name, ns)| {
                now.state.namespaces.get(*name).is_some_and(|ours| std::ptr::eq(ours, *ns))
            });
            assert_eq!(shared.count(), same, "{nodes} {mtu}");
            // What was before comes out as it went in.
            let intent = written.record(Some(&known), None);
            assert_eq!(Record::parse(&intent).unwrap().previous, Some(known));
            for end in [0, 1, text.len() / 2, text.len() - 1] {
                assert_eq!(written.read(&text[..end]), None);
            }
        }
    }
}
