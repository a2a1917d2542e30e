//! Reads sets with their elements: a rule is told apart by what it looks up, not by the name that
//! the kernel gave the set.

use std::collections::BTreeMap;

use vnet_model::nft::build::{merged, previous};
use vnet_model::nft::expr::QUARTER_BYTES;
use vnet_model::nft::{Data, Map, Mapped, Named, Set, TableId};
use vnet_netlink::attr::Attributes;
use vnet_netlink::{Error, Message, RawMessage, Socket};

use super::numbers::{HEADER_BYTES, data, elem, msg, set};
use super::read::{dump, place, u32_be};
use super::read_expr;
use super::read_named::InTable;

/// The sets and maps of some tables by table and name.
#[derive(Debug, Default)]
pub(super) struct Sets(BTreeMap<(TableId, String), Named>);

impl Sets {
    /// Those that have a name of their own, by kind and name.
    pub(super) fn named(&self) -> impl Iterator<Item = InTable> + '_ {
        self.0.iter().filter_map(|((table, name), found)| {
            let (word, set) = match found {
                Named::Set(set) => ("set", set),
                Named::Map(map) => ("map", &map.keys),
                _ => return None,
            };
            set.name.as_ref()?;
            Some((table.clone(), format!("{word} {name}"), found.clone()))
        })
    }

    pub(super) fn get(&self, table: &TableId, name: &str) -> Option<&Named> {
        self.0.get(&(table.clone(), name.to_owned()))
    }
}

struct Head {
    table: TableId,
    name: String,
    flags: u32,
    kind: u32,
    key_len: u32,
    /// The lengths of its fields in bytes, where it has several.
    fields: Vec<u32>,
}

/// An element as it came.
struct Element {
    /// Nothing for the one that stands for all others.
    key: Option<Data>,
    /// The last key of a range, where one element says both.
    last: Option<Data>,
    /// Whether a range ends before it.
    ends: bool,
    value: Option<Mapped>,
}

/// The first and the last key of a range, and what they give.
type Entry = ((Data, Data), Option<Mapped>);

/// Reads the sets of those tables that are wanted.
pub(super) fn all(
    socket: &mut Socket,
    is_wanted: impl Fn(&TableId) -> bool,
) -> Result<Sets, Error> {
    let heads = dump(socket, msg::GETSET, read_head)?;
    let mut sets = Sets::default();
    for head in heads.into_iter().filter(|head| is_wanted(&head.table)) {
        let found = found(&head, elements(socket, &head)?);
        sets.0.insert((head.table, head.name), found);
    }
    Ok(sets)
}

fn read_head(message: Message<'_>) -> Result<Option<Head>, Error> {
    let Some((table, name)) = place(message, set::TABLE, set::NAME)? else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let number = |kind| Ok::<_, Error>(u32_be(attributes, kind)?.unwrap_or_default());
    let (flags, kind) = (number(set::FLAGS)?, number(set::KEY_TYPE)?);
    let key_len = number(set::KEY_LEN)?;
    let mut fields = Vec::new();
    if let Some(desc) = attributes.find(set::DESC)?
        && let Some(list) = desc.nested().find(set::DESC_CONCAT)?
    {
        for field in list.nested() {
            fields.extend(u32_be(field?.nested(), set::FIELD_LEN)?);
        }
    }
    if fields.is_empty() {
        fields = fields_of(kind, key_len);
    }
    Ok(Some(Head { table, name, flags, kind, key_len, fields }))
}

/// The lengths in bytes of the fields that the type of a set is made of, six bits for each
/// (`concat_type_alloc`, src/datatype.c of nftables): the kernel has them only of sets with ranges. One
/// that is not known takes what the others leave; nothing for a type of one field.
fn fields_of(kind: u32, key_len: u32) -> Vec<u32> {
    const KIND_BITS: u32 = 6;
    /// `enum datatypes` (include/datatype.h of nftables), with their lengths.
    const BYTES: [(u32, u32); 24] = [
        (2, 1),
        (7, 4),
        (8, 16),
        (9, 6),
        (10, 2),
        (11, 2),
        (12, 1),
        (13, 2),
        (14, 1),
        (15, 1),
        (19, 4),
        (20, 4),
        (21, 2),
        (22, 4),
        (24, 4),
        (25, 4),
        (26, 4),
        (27, 1),
        (28, 4),
        (29, 1),
        (31, 1),
        (35, 4),
        (36, 1),
        (41, 16),
    ];
    let shifts = (0..u32::BITS / KIND_BITS + 1).rev().map(|at| at * KIND_BITS);
    let kinds = shifts.map(|shift| kind >> shift & ((1 << KIND_BITS) - 1)).filter(|it| *it != 0);
    let bytes_of = |kind| BYTES.iter().find(|(known, _)| *known == kind).map(|(_, bytes)| *bytes);
    let fields: Vec<Option<u32>> = kinds.map(bytes_of).collect();
    let known = fields.iter().flatten();
    let known: u32 = known.map(|bytes| bytes.next_multiple_of(QUARTER_BYTES as u32)).sum();
    let unknown = fields.iter().filter(|bytes| bytes.is_none()).count();
    match (fields.len(), unknown, key_len.checked_sub(known)) {
        (2.., 0, Some(0)) => fields.into_iter().flatten().collect(),
        (2.., 1, Some(rest)) => fields.into_iter().map(|bytes| bytes.unwrap_or(rest)).collect(),
        _ => Vec::new(),
    }
}

impl Head {
    fn is_anonymous(&self) -> bool {
        self.flags & set::F_ANONYMOUS != 0
    }

    fn is_dynamic(&self) -> bool {
        self.flags & (set::F_TIMEOUT | set::F_EVAL) != 0
    }
}

/// Asks for a set's elements.
fn elements(socket: &mut Socket, head: &Head) -> Result<Vec<Element>, Error> {
    let request = RawMessage::new(msg::GETSETELEM, |writer| {
        writer.header(&[head.table.family.number(), 0, 0, 0]);
        writer.text(elem::LIST_TABLE, &head.table.name).text(elem::LIST_SET, &head.name);
    })?;
    let answers = socket.dump(&request, read_elements)?;
    Ok(answers.into_iter().flatten().collect())
}

fn read_elements(message: Message<'_>) -> Result<Option<Vec<Element>>, Error> {
    let list = message.attributes(HEADER_BYTES)?.find(elem::LIST_ELEMENTS)?;
    let elements = list.iter().flat_map(|list| list.nested());
    elements.map(|element| read_element(element?.nested())).collect::<Result<_, _>>().map(Some)
}

fn read_element(element: Attributes<'_>) -> Result<Element, Error> {
    let key = |kind| {
        let Some(key) = element.find(kind)? else { return Ok::<_, Error>(None) };
        Ok(key.nested().find(data::VALUE)?.map(|value| Data::from(value.value)))
    };
    let flags = u32_be(element, elem::FLAGS)?.unwrap_or_default();
    let value = match element.find(elem::DATA)? {
        None => None,
        Some(nest) => match read_expr::verdict(nest.nested())? {
            Some(verdict) => Some(Mapped::Verdict(verdict)),
            None => nest.nested().find(data::VALUE)?.map(|it| Mapped::Value(it.value.into())),
        },
    };
    let ends = flags & elem::F_INTERVAL_END != 0;
    Ok(Element { key: key(elem::KEY)?, last: key(elem::KEY_END)?, ends, value })
}

fn found(head: &Head, elements: Vec<Element>) -> Named {
    let entries = entries(head, elements);
    let set = |elements| Set {
        name: (!head.is_anonymous()).then(|| head.name.clone()),
        kind: head.kind,
        key_len: head.key_len,
        fields: head.fields.clone(),
        elements,
        is_dynamic: head.is_dynamic(),
    };
    if head.flags & set::F_MAP == 0 {
        let ranges: Vec<(Data, Data)> = entries.into_iter().map(|(range, _)| range).collect();
        let is_simple = head.fields.is_empty();
        return Named::Set(set(if is_simple { merged(ranges) } else { ranges }));
    }
    let whole = entries.into_iter().filter_map(|(range, value)| Some((range, value?)));
    let (keys, values) = whole.unzip();
    Named::Map(Map { keys: set(keys), values })
}

/// Makes ranges of elements, sorted; the one for all others comes last.
fn entries(head: &Head, elements: Vec<Element>) -> Vec<Entry> {
    let (mut some, mut others) = (Vec::new(), Vec::new());
    for Element { key, last, ends, value } in elements {
        match key {
            Some(key) => some.push((key, last, ends, value)),
            None => others.push(((bound(0, head.key_len), bound(0xff, head.key_len)), value)),
        }
    }
    let mut entries: Vec<Entry> = match head.flags & (set::F_INTERVAL | set::F_CONCAT) {
        set::F_INTERVAL => {
            let bounds = some.into_iter().map(|(key, _, ends, value)| (key, ends, value));
            intervals(bounds.collect(), head.key_len)
        }
        _ => {
            let range = |key: Data, last: Option<Data>| (key.clone(), last.unwrap_or(key));
            some.into_iter().map(|(key, last, _, value)| (range(key, last), value)).collect()
        }
    };
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries.append(&mut others);
    entries
}

/// A key of these bytes.
fn bound(byte: u8, key_len: u32) -> Data {
    Data::from(vec![byte; usize::try_from(key_len).unwrap_or_default()])
}

/// Makes ranges of the beginnings of intervals and their ends, which are no part of them. What has
/// no end goes on to the last value.
fn intervals(mut bounds: Vec<(Data, bool, Option<Mapped>)>, key_len: u32) -> Vec<Entry> {
    // An end comes before a beginning of the same value.
    bounds.sort_by(|(a, a_ends, _), (b, b_ends, _)| a.cmp(b).then(b_ends.cmp(a_ends)));
    let mut ranges: Vec<Entry> = Vec::new();
    let mut open = None;
    for (key, ends, value) in bounds {
        if let Some((from, value)) = open.take() {
            ranges.extend(previous(&key).map(|to| ((from, to), value)));
        }
        open = (!ends).then_some((key, value));
    }
    ranges.extend(open.map(|(from, value)| ((from, bound(0xff, key_len)), value)));
    ranges
}

/// Reads a message as a set, and as the elements of one.
#[cfg(fuzzing)]
pub(super) fn fuzz(message: Message<'_>) -> Sets {
    let head = read_head(message).ok().flatten();
    let elements = read_elements(message).ok().flatten().unwrap_or_default();
    // A key that is not as long as one says is the kernel's to refuse.
    let key_len = elements.iter().find_map(|it| Some(it.key.as_ref()?.len() as u32)).unwrap_or(4);
    let head = head.map(|head| Head { key_len, ..head });
    let set = head.map(|head| {
        let found = found(&head, elements);
        ((head.table, head.name), found)
    });
    Sets(set.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_closed() {
        let key = |byte: u8| Data::from([byte]);
        let elements = vec![
            (key(0), true, None),
            (key(20), true, None),
            (key(10), false, None),
            (key(20), false, None),
            (key(30), true, None),
            (key(250), false, None),
        ];
        let ranges: Vec<_> = intervals(elements, 1).into_iter().map(|(range, _)| range).collect();
        assert_eq!(ranges, [(key(10), key(19)), (key(20), key(29)), (key(250), key(255))]);
    }
}
