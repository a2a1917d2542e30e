//! Reads the tables of a namespace. CAP_NET_ADMIN there, as nf_tables wants for reading too.

use std::collections::{BTreeMap, BTreeSet};

use vnet_model::nft::{Base, Chain, Family, Hook, Rule, Table, TableId};
use vnet_model::resolve::TABLE_ID;
use vnet_model::{Mark, Origin};
use vnet_netlink::attr::{Attribute, Attributes};
use vnet_netlink::{Error, Message, RawMessage, Socket};

use super::numbers::{HEADER_BYTES, LIST_ELEM, chain, msg, rule, table, verdict};
use super::read_expr;
use super::read_named;
use super::read_set::{self, Sets};

/// Which tables are read whole.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All.
    All,
    /// Those that carry a mark; of those with one of these names, only that they are there.
    Marked(&'a [TableId]),
}

/// Reads tables with their chains, rules and sets; chains of dormant tables are no base chains. A kernel without nf_tables has none.
///
/// # Errors
/// When the kernel can't be asked.
pub fn tables(socket: &mut Socket, which: Which<'_>) -> Result<Vec<Table>, Error> {
    tables_with(socket, which, |_| {})
}

/// As [`tables`]; `on_rule` is handed each rule that comes into one, in order.
pub(super) fn tables_with(
    socket: &mut Socket,
    which: Which<'_>,
    mut on_rule: impl FnMut(&Placed),
) -> Result<Vec<Table>, Error> {
    let (mut tables, dormant) = match heads(socket) {
        Ok(heads) => apart(heads),
        // The module is not there (`nfnetlink_rcv_msg`, net/netfilter/nfnetlink.c).
        Err(error) if error.errno() == Some(rustix::io::Errno::INVAL) => Default::default(),
        Err(error) => return Err(error),
    };
    if let Which::Marked(named) = which {
        tables.retain(|table| table.mark.is_some() || named.contains(&table.id));
    }
    let is_whole = |table: &Table| matches!(which, Which::All) || table.mark.is_some();
    if !tables.iter().any(is_whole) {
        return Ok(tables);
    }
    let mut by_id: BTreeMap<TableId, &mut Table> = tables
        .iter_mut()
        .filter(|table| is_whole(table))
        .map(|table| (table.id.clone(), table))
        .collect();
    for (id, mut chain) in dump(socket, msg::GETCHAIN, read_chain)? {
        if let Some(table) = by_id.get_mut(&id) {
            chain.base = chain.base.filter(|_| !dormant.contains(&id));
            table.chains.push(chain);
        }
    }
    let sets = read_set::all(socket, |id| by_id.contains_key(id))?;
    // What the file's own words make has rules alone.
    let has_more = by_id.keys().any(|id| id.to_string() != TABLE_ID);
    let more = if has_more { read_named::all(socket)? } else { Vec::new() };
    for (id, name, what) in sets.named().chain(more) {
        if let Some(table) = by_id.get_mut(&id) {
            table.named.insert(name, what);
        }
    }
    for placed in dump(socket, msg::GETRULE, |message| read_rule(message, &sets))? {
        let chains = by_id.get_mut(&placed.table).map(|table| table.chains.iter_mut());
        if let Some(chain) = chains.into_iter().flatten().find(|it| it.name == placed.chain) {
            on_rule(&placed);
            chain.rules.push(placed.rule);
        }
    }
    Ok(tables)
}

/// Tells tables from those among them that are dormant: no packets come to the chains of such.
fn apart(heads: Vec<(Table, bool)>) -> (Vec<Table>, BTreeSet<TableId>) {
    let dormant = heads.iter().filter(|(_, is_dormant)| *is_dormant);
    let dormant = dormant.map(|(table, _)| table.id.clone()).collect();
    (heads.into_iter().map(|(table, _)| table).collect(), dormant)
}

/// Lists the tables, with their marks, whether they are dormant, and nothing of what is in them.
fn heads(socket: &mut Socket) -> Result<Vec<(Table, bool)>, Error> {
    dump(socket, msg::GETTABLE, read_head)
}

fn read_head(message: Message<'_>) -> Result<Option<(Table, bool)>, Error> {
    let Some(family) = family(&message) else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let Some(name) = text(attributes, table::NAME)? else { return Ok(None) };
    let userdata = attributes.find(table::USERDATA)?;
    let comment = userdata.and_then(|data| super::comment_of(data.value));
    let mark = comment.and_then(Mark::parse);
    let flags = u32_be(attributes, table::FLAGS)?.unwrap_or_default();
    let id = TableId { family, name };
    Ok(Some((Table::new(id, mark), flags & table::F_DORMANT != 0)))
}

/// Asks for all objects of a kind, of all families.
pub(super) fn dump<T>(
    socket: &mut Socket,
    kind: u16,
    decode: impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
) -> Result<Vec<T>, Error> {
    let request = RawMessage::new(kind, |writer| {
        writer.header(&[0; HEADER_BYTES]);
    })?;
    socket.dump(&request, decode)
}

/// The family of a message; nothing for one that is not known.
pub(super) fn family(message: &Message<'_>) -> Option<Family> {
    Family::from_number(*message.payload.first()?)
}

pub(super) fn text(attributes: Attributes<'_>, kind: u16) -> Result<Option<String>, Error> {
    Ok(attributes.find(kind)?.map(|found| found.text()).transpose()?.map(str::to_owned))
}

pub(super) fn u32_be(attributes: Attributes<'_>, kind: u16) -> Result<Option<u32>, Error> {
    Ok(attributes.find(kind)?.map(|found| found.u32_be()).transpose()?)
}

/// The table that something is in, and its name there, by their attributes; nothing where either is not said.
pub(super) fn place(
    message: Message<'_>,
    table: u16,
    name: u16,
) -> Result<Option<(TableId, String)>, Error> {
    let Some(family) = family(&message) else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let (table, name) = (text(attributes, table)?, text(attributes, name)?);
    Ok(table.zip(name).map(|(table, name)| (TableId { family, name: table }, name)))
}

/// The interfaces that something is at, sorted (`enum nft_devices_attributes`).
pub(super) fn devices(list: Option<Attribute<'_>>) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for device in list.iter().flat_map(|list| list.nested()) {
        let device = device?;
        match device.kind {
            chain::DEVICE_NAME => names.push(device.text()?.to_owned()),
            chain::DEVICE_PREFIX => names.push(format!("{}*", device.text()?)),
            _ => {}
        }
    }
    names.sort();
    Ok(names)
}

fn read_chain(message: Message<'_>) -> Result<Option<(TableId, Chain)>, Error> {
    let Some((id, name)) = place(message, chain::TABLE, chain::NAME)? else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let base = match attributes.find(chain::HOOK)? {
        None => None,
        Some(hook) => Some(read_base(id.family, attributes, hook)?),
    };
    Ok(Some((id, Chain { name, base, rules: Vec::new() })))
}

fn read_base(family: Family, chain: Attributes<'_>, hook: Attribute<'_>) -> Result<Base, Error> {
    let number = u32_be(hook.nested(), chain::HOOK_HOOKNUM)?.unwrap_or_default();
    let priority = u32_be(hook.nested(), chain::HOOK_PRIORITY)?.unwrap_or_default();
    let policy = u32_be(chain, chain::POLICY)?;
    Ok(Base {
        kind: text(chain, chain::TYPE)?.unwrap_or_default().as_str().into(),
        hook: Hook::from_number(number, family),
        priority: priority.cast_signed(),
        accepts: policy.is_none_or(|policy| policy.cast_signed() != verdict::DROP),
        devices: devices(hook.nested().find(chain::HOOK_DEVS)?)?,
    })
}

/// A rule and where it is.
pub(super) struct Placed {
    pub(super) table: TableId,
    pub(super) chain: String,
    /// What the kernel knows it by, in its table.
    pub(super) handle: u64,
    pub(super) rule: Rule,
}

pub(super) fn read_rule(message: Message<'_>, sets: &Sets) -> Result<Option<Placed>, Error> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let place = place(message, rule::TABLE, rule::CHAIN)?;
    let handle = attributes.find(rule::HANDLE)?.map(|found| found.u64_be()).transpose()?;
    let Some(((table, chain), handle)) = place.zip(handle) else { return Ok(None) };
    let mut exprs = Vec::new();
    if let Some(list) = attributes.find(rule::EXPRESSIONS)? {
        for element in list.nested() {
            let element = element?;
            if element.kind == LIST_ELEM {
                exprs.push(read_expr::expr(element.nested(), &table, sets)?);
            }
        }
    }
    Ok(Some(Placed { table, chain, handle, rule: Rule { exprs, origin: Origin::NONE } }))
}

/// Reads a message as the answer to each question.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: Message<'_>) {
    let sets = read_set::fuzz(message);
    sets.named().for_each(drop);
    read_named::fuzz(message);
    drop((read_head(message), read_chain(message), read_rule(message, &sets)));
}
