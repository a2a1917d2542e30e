//! Reads what tables have by name beside chains and sets: objects, which rules share, and flow tables.

use vnet_model::nft::{Named, TableId};
use vnet_netlink::{Error, Message, Socket};

use super::numbers::{HEADER_BYTES, flowtable, msg, object};
use super::read::{devices, dump, place, u32_be};
use super::read_expr::only;

/// Something with a name in a table, by kind and name.
pub(super) type InTable = (TableId, String, Named);

/// Reads them all.
pub(super) fn all(socket: &mut Socket) -> Result<Vec<InTable>, Error> {
    let mut found = dump(socket, msg::GETOBJ, read_object)?;
    found.extend(dump(socket, msg::GETFLOWTABLE, read_flowtable)?);
    Ok(found)
}

/// Reads an object: of a counter only that it is one, of a quota what it is of.
fn read_object(message: Message<'_>) -> Result<Option<InTable>, Error> {
    let Some((id, name)) = place(message, object::TABLE, object::NAME)? else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let kind = u32_be(attributes, object::TYPE)?.unwrap_or_default();
    let mut what = kind.to_be_bytes().to_vec();
    if let Some(data) = attributes.find(object::DATA)? {
        what.extend_from_slice(&only(data.nested(), |field| match kind {
            object::COUNTER => false,
            object::QUOTA => field != object::QUOTA_CONSUMED,
            _ => true,
        })?);
    }
    Ok(Some((id, format!("object {name}"), Named::Other(what.into()))))
}

/// Reads a flow table: where it is, with its flags.
fn read_flowtable(message: Message<'_>) -> Result<Option<InTable>, Error> {
    let found = place(message, flowtable::TABLE, flowtable::NAME)?;
    let Some((id, name)) = found else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let flags = u32_be(attributes, flowtable::FLAGS)?.unwrap_or_default();
    let mut what = flags.to_be_bytes().to_vec();
    if let Some(hook) = attributes.find(flowtable::HOOK)? {
        for kind in [flowtable::HOOK_NUM, flowtable::HOOK_PRIORITY] {
            let number = u32_be(hook.nested(), kind)?.unwrap_or_default();
            what.extend(number.to_be_bytes());
        }
        let devices = devices(hook.nested().find(flowtable::HOOK_DEVS)?)?;
        what.extend(devices.join(" ").bytes());
    }
    Ok(Some((id, format!("flowtable {name}"), Named::Other(what.into()))))
}

/// Reads a message as the answer to each question.
#[cfg(fuzzing)]
pub(super) fn fuzz(message: Message<'_>) {
    drop((read_object(message), read_flowtable(message)));
}
