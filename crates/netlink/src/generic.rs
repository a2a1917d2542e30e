//! Generic netlink: families that are known by name (linux/genetlink.h).

use std::collections::BTreeMap;

use crate::attr::Writer;
use crate::error::Error;
use crate::message::{Message, RawMessage};
use crate::socket::Socket;

/// The family that knows the others (`GENL_ID_CTRL`).
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// The length of `struct genlmsghdr` in bytes.
pub const HEADER_BYTES: usize = 4;

/// Returns the number of a family, which is the same in all namespaces until the machine is started
/// again.
///
/// # Errors
/// [`Error::Refused`] with ENOENT where the kernel has no family of that name.
pub fn family(socket: &mut Socket, name: &str) -> Result<u16, Error> {
    let request = request(CONTROLLER, CTRL_CMD_GETFAMILY, 1, |message| {
        message.text(CTRL_ATTR_FAMILY_NAME, name);
    })?;
    let ids = socket.get(&request, |answer: Message<'_>| {
        let id = answer.attributes(HEADER_BYTES)?.find(CTRL_ATTR_FAMILY_ID)?;
        Ok(id.map(|id| id.u16()).transpose()?)
    })?;
    ids.into_iter().next().ok_or(Error::AnswersLost { sent: 1 })
}

/// Lists the families that the kernel has at present, by their names. Asking for one by its name would
/// have it load a module.
///
/// # Errors
/// If the kernel does not answer.
pub fn families(socket: &mut Socket) -> Result<BTreeMap<String, u16>, Error> {
    let request = request(CONTROLLER, CTRL_CMD_GETFAMILY, 1, |_| {})?;
    let list = socket.dump(&request, |answer| {
        let attributes = answer.attributes(HEADER_BYTES)?;
        let (id, name) =
            (attributes.find(CTRL_ATTR_FAMILY_ID)?, attributes.find(CTRL_ATTR_FAMILY_NAME)?);
        let (Some(id), Some(name)) = (id, name) else { return Ok(None) };
        Ok(Some((name.text()?.to_owned(), id.u16()?)))
    })?;
    Ok(list.into_iter().collect())
}

/// Lays out a request to a family.
///
/// # Errors
/// If an attribute does not fit its length field.
pub fn request(
    family: u16,
    command: u8,
    version: u8,
    write: impl FnOnce(&mut Writer<'_>),
) -> Result<RawMessage, Error> {
    Ok(RawMessage::new(family, |message| {
        message.header(&[command, version, 0, 0]);
        write(message);
    })?)
}
