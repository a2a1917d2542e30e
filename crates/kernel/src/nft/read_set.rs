//! Reads sets with their elements: a rule is told apart by what it looks up, not by the name that
//! the kernel gave the set.

use std::collections::BTreeMap;

use vnet_model::nft::build::{merged, previous};
use vnet_model::nft::{Data, Set, TableId};
use vnet_netlink::attr::{Attributes, Writer};
use vnet_netlink::{Error, Message, RawMessage, Socket};

use super::numbers::{HEADER_BYTES, data, elem, msg, set};
use super::read::{dump, family, text, u32_be};

/// The sets of some tables by table and name.
#[derive(Debug, Default)]
pub(super) struct Sets(BTreeMap<(TableId, String), Found>);

/// What is known of a set.
#[derive(Debug)]
pub(super) enum Found {
    /// All.
    Set(Set),
    /// Only whether it is still the same: it is a map, or has several fields.
    Other {
        /// Whether the kernel gave it its name.
        is_anonymous: bool,
        /// Its elements as they came, sorted; none where packets or time change them.
        elements: Vec<u8>,
    },
}

impl Sets {
    pub(super) fn get(&self, table: &TableId, name: &str) -> Option<&Found> {
        self.0.get(&(table.clone(), name.to_owned()))
    }
}

struct Head {
    table: TableId,
    name: String,
    flags: u32,
    kind: u32,
    key_len: u32,
}

/// Reads the sets of those tables that are wanted.
pub(super) fn all(
    socket: &mut Socket,
    is_wanted: impl Fn(&TableId) -> bool,
) -> Result<Sets, Error> {
    let heads = dump(socket, msg::GETSET, read_head)?;
    let mut sets = Sets::default();
    for head in heads.into_iter().filter(|head| is_wanted(&head.table)) {
        let found = match head.flags & (set::F_MAP | set::F_CONCAT) {
            0 => Found::Set(set_of(&head, elements(socket, &head, read_element)?)),
            _ => read_other(socket, &head)?,
        };
        sets.0.insert((head.table, head.name), found);
    }
    Ok(sets)
}

fn read_head(message: Message<'_>) -> Result<Option<Head>, Error> {
    let Some(family) = family(&message) else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let (table, name) = (text(attributes, set::TABLE)?, text(attributes, set::NAME)?);
    let (Some(table), Some(name)) = (table, name) else { return Ok(None) };
    let table = TableId { family, name: table };
    let number = |kind| Ok::<_, Error>(u32_be(attributes, kind)?.unwrap_or_default());
    let (flags, kind) = (number(set::FLAGS)?, number(set::KEY_TYPE)?);
    Ok(Some(Head { table, name, flags, kind, key_len: number(set::KEY_LEN)? }))
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
fn elements<T>(
    socket: &mut Socket,
    head: &Head,
    read: fn(Attributes<'_>) -> Result<Option<T>, Error>,
) -> Result<Vec<T>, Error> {
    let request = RawMessage::new(msg::GETSETELEM, |writer| {
        writer.header(&[head.table.family.number(), 0, 0, 0]);
        writer.text(elem::LIST_TABLE, &head.table.name).text(elem::LIST_SET, &head.name);
    })?;
    let answers = socket.dump(&request, |message| read_elements(message, read))?;
    Ok(answers.into_iter().flatten().collect())
}

fn read_elements<T>(
    message: Message<'_>,
    read: fn(Attributes<'_>) -> Result<Option<T>, Error>,
) -> Result<Option<Vec<T>>, Error> {
    let list = message.attributes(HEADER_BYTES)?.find(elem::LIST_ELEMENTS)?;
    let mut found = Vec::new();
    for element in list.iter().flat_map(|list| list.nested()) {
        found.extend(read(element?.nested())?);
    }
    Ok(Some(found))
}

/// Reads a set that is only compared.
fn read_other(socket: &mut Socket, head: &Head) -> Result<Found, Error> {
    let mut found = match head.is_dynamic() {
        true => Vec::new(),
        false => elements(socket, head, bytes_of_element)?,
    };
    found.sort();
    Ok(Found::Other { is_anonymous: head.is_anonymous(), elements: found.concat() })
}

/// Returns what an element is, without what packets and time make of it.
fn bytes_of_element(element: Attributes<'_>) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    for kind in [elem::KEY, elem::KEY_END, elem::DATA, elem::FLAGS, elem::OBJREF] {
        if let Some(found) = element.find(kind)? {
            writer.bytes(kind, found.value);
        }
    }
    Ok(Some(bytes))
}

fn set_of(head: &Head, elements: Vec<(Data, bool)>) -> Set {
    let ranges = match head.flags & set::F_INTERVAL {
        0 => elements.into_iter().map(|(key, _)| (key.clone(), key)).collect(),
        _ => intervals(elements, head.key_len),
    };
    Set {
        name: (!head.is_anonymous()).then(|| head.name.clone()),
        kind: head.kind,
        key_len: head.key_len,
        elements: merged(ranges),
        is_dynamic: head.is_dynamic(),
    }
}

/// Reads an element: its key, and whether it ends an interval.
fn read_element(element: Attributes<'_>) -> Result<Option<(Data, bool)>, Error> {
    let Some(key) = element.find(elem::KEY)? else { return Ok(None) };
    let Some(value) = key.nested().find(data::VALUE)? else { return Ok(None) };
    let flags = u32_be(element, elem::FLAGS)?.unwrap_or_default();
    Ok(Some((value.value.into(), flags & elem::F_INTERVAL_END != 0)))
}

/// Makes ranges of the beginnings of intervals and their ends, which are no part of them. What has
/// no end goes on to the last value.
fn intervals(mut elements: Vec<(Data, bool)>, key_len: u32) -> Vec<(Data, Data)> {
    // An end comes before a beginning of the same value.
    elements.sort_by(|(a, a_ends), (b, b_ends)| a.cmp(b).then(b_ends.cmp(a_ends)));
    let last = || Data::from(vec![0xff; usize::try_from(key_len).unwrap_or_default()]);
    let mut ranges: Vec<(Data, Data)> = Vec::new();
    let mut open = None;
    for (key, ends) in elements {
        match (open.take(), ends) {
            (Some(from), true) => ranges.extend(previous(&key).map(|to| (from, to))),
            (Some(from), false) => {
                ranges.extend(previous(&key).map(|to| (from, to)));
                open = Some(key);
            }
            (None, true) => {}
            (None, false) => open = Some(key),
        }
    }
    ranges.extend(open.map(|from| (from, last())));
    ranges
}

/// Reads a message as a set, and as the elements of one.
#[cfg(fuzzing)]
pub(super) fn fuzz(message: Message<'_>) -> Sets {
    let head = read_head(message).ok().flatten();
    drop(read_elements(message, bytes_of_element));
    let elements = read_elements(message, read_element).ok().flatten().unwrap_or_default();
    // A key that is not as long as one says is the kernel's to refuse.
    let key_len = elements.first().map_or(4, |(key, _)| key.len() as u32);
    let head = head.map(|head| Head { key_len, ..head });
    let set = head.map(|head| {
        let set = set_of(&head, elements);
        ((head.table, head.name), Found::Set(set))
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
            (key(0), true),
            (key(20), true),
            (key(10), false),
            (key(20), false),
            (key(30), true),
            (key(250), false),
        ];
        let ranges = intervals(elements, 1);
        assert_eq!(ranges, [(key(10), key(19)), (key(20), key(29)), (key(250), key(255))]);
    }
}
