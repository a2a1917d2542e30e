//! What decides about packets beside routes and filters: queues, and entries of bridges that no
//! state has.

use std::collections::BTreeMap;

use vnet_model::{IfName, Namespace};
use vnet_netlink::{Error, Message, Socket};

use super::question;
use crate::observe::bridging::bridge_entries;

const RTM_GETQDISC: u16 = 38;
/// `struct tcmsg`: family, padding, index, handle, parent, info.
const TC_BYTES: usize = 20;
const TCA_KIND: u16 = 1;
const RTM_GETMDB: u16 = 86;
/// `struct br_port_msg`.
const MDB_BYTES: usize = 8;
const AF_BRIDGE: u8 = 7;
/// `struct br_mdb_entry` (linux/if_bridge.h) begins with the port's index and the state.
const MDB_PERMANENT: u8 = 1;

/// Names queueing disciplines that somebody set (those of the kernel have no handle), with what
/// hangs on them, and multicast and local entries of bridges that somebody wrote.
pub(super) fn words(
    socket: &mut Socket,
    devs: &BTreeMap<u32, IfName>,
    ns: &Namespace,
) -> Result<Vec<String>, Error> {
    let qdiscs = question(RTM_GETQDISC, &[0; TC_BYTES])?;
    let mut words = socket.dump(&qdiscs, |message| qdisc(message, devs))?;
    let mut header = [0; MDB_BYTES];
    header[0] = AF_BRIDGE;
    let entries = socket.dump(&question(RTM_GETMDB, &header)?, |message| mdb(message, devs))?;
    words.extend(entries.into_iter().flatten());
    if ns.interfaces.values().any(|interface| interface.kind.is_bridge()) {
        let macs = ns.interfaces.values().filter_map(|interface| interface.mac).collect();
        let entries = bridge_entries(socket, devs, &macs)?.into_iter();
        let local = entries.filter(|entry| entry.is_local);
        words
            .extend(local.map(|it| format!("the local forwarding entry {} of {}", it.mac, it.dev)));
    }
    Ok(words)
}

fn qdisc(message: Message<'_>, devs: &BTreeMap<u32, IfName>) -> Result<Option<String>, Error> {
    let Some(&[_, _, _, _, i, j, k, l, h0, h1, h2, h3, ..]) =
        message.payload.first_chunk::<TC_BYTES>()
    else {
        return Ok(None);
    };
    let handle = u32::from_ne_bytes([h0, h1, h2, h3]) >> 16;
    let dev = devs.get(&u32::from_ne_bytes([i, j, k, l]));
    let kind = message.attributes(TC_BYTES)?.find(TCA_KIND)?;
    let Some((dev, kind)) = dev.zip(kind).filter(|_| handle != 0) else { return Ok(None) };
    Ok(Some(format!("the qdisc {} {handle:x}: of {dev}", kind.text()?)))
}

fn mdb(message: Message<'_>, devs: &BTreeMap<u32, IfName>) -> Result<Option<Vec<String>>, Error> {
    const MDBA_MDB: u16 = 1;
    let Some(list) = message.attributes(MDB_BYTES)?.find(MDBA_MDB)? else { return Ok(None) };
    let mut words = Vec::new();
    for entry in list.nested() {
        for info in entry?.nested() {
            let info = info?;
            let Some(&[a, b, c, d, state]) = info.value.first_chunk::<5>() else { continue };
            let dev = devs.get(&u32::from_ne_bytes([a, b, c, d]));
            let dev = dev.filter(|_| state == MDB_PERMANENT);
            words.extend(dev.map(|dev| format!("a multicast entry of {dev}")));
        }
    }
    Ok(Some(words))
}
