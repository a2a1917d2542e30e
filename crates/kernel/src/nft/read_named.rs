//! Reads what tables have by name beside chains and sets: objects, which rules share, and flow tables.

use vnet_model::nft::{Data, TableId};
use vnet_netlink::attr::{Attributes, Writer};
use vnet_netlink::{Error, Message, Socket};

use super::numbers::{HEADER_BYTES, chain, flowtable, msg, object};
use super::read::{dump, family, text, u32_be};

/// Something with a name in a table, and what tells whether it is still the same.
pub(super) type Named = (TableId, String, Data);

/// Reads them all.
pub(super) fn all(socket: &mut Socket) -> Result<Vec<Named>, Error> {
    let mut found = dump(socket, msg::GETOBJ, read_object)?;
    found.extend(dump(socket, msg::GETFLOWTABLE, read_flowtable)?);
    Ok(found)
}

/// Reads an object: of a counter only that it is one, of a quota what it is of.
fn read_object(message: Message<'_>) -> Result<Option<Named>, Error> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let Some((id, name)) = place(&message, object::TABLE, object::NAME)? else { return Ok(None) };
    let kind = u32_be(attributes, object::TYPE)?.unwrap_or_default();
    let mut what = kind.to_be_bytes().to_vec();
    if let Some(data) = attributes.find(object::DATA)? {
        let mut writer = Writer::new(&mut what);
        for field in data.nested() {
            let field = field?;
            let counts = match kind {
                object::COUNTER => true,
                object::QUOTA => field.kind == object::QUOTA_CONSUMED,
                _ => false,
            };
            if !counts {
                writer.bytes(field.kind, field.value);
            }
        }
    }
    Ok(Some((id, format!("object {name}"), what.into())))
}

/// Reads a flow table: where it is, with its flags.
fn read_flowtable(message: Message<'_>) -> Result<Option<Named>, Error> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let found = place(&message, flowtable::TABLE, flowtable::NAME)?;
    let Some((id, name)) = found else { return Ok(None) };
    let flags = u32_be(attributes, flowtable::FLAGS)?.unwrap_or_default();
    let mut what = flags.to_be_bytes().to_vec();
    if let Some(hook) = attributes.find(flowtable::HOOK)? {
        for kind in [flowtable::HOOK_NUM, flowtable::HOOK_PRIORITY] {
            let number = u32_be(hook.nested(), kind)?.unwrap_or_default();
            what.extend(number.to_be_bytes());
        }
        what.extend(devices(hook.nested())?);
    }
    Ok(Some((id, format!("flowtable {name}"), what.into())))
}

/// The interfaces that a flow table is at, sorted.
fn devices(hook: Attributes<'_>) -> Result<Vec<u8>, Error> {
    let mut names = Vec::new();
    for device in hook.find(flowtable::HOOK_DEVS)?.iter().flat_map(|list| list.nested()) {
        let device = device?;
        match device.kind {
            chain::DEVICE_NAME => names.push(device.text()?.to_owned()),
            chain::DEVICE_PREFIX => names.push(format!("{}*", device.text()?)),
            _ => {}
        }
    }
    names.sort();
    Ok(names.join(" ").into_bytes())
}

fn place(message: &Message<'_>, table: u16, name: u16) -> Result<Option<(TableId, String)>, Error> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let (table, name) = (text(attributes, table)?, text(attributes, name)?);
    let of = family(message).zip(table).zip(name);
    Ok(of.map(|((family, table), name)| (TableId { family, name: table }, name)))
}

/// Reads a message as the answer to each question.
#[cfg(fuzzing)]
pub(super) fn fuzz(message: Message<'_>) {
    drop((read_object(message), read_flowtable(message)));
}
