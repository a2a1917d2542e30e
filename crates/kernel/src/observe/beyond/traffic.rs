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

/// Finds the interfaces whose queue drops all that is to leave by them, with its words: `netem` that loses all,
/// a fifo that holds nothing.
pub(in crate::observe) fn losing(
    socket: &mut Socket,
    devs: &BTreeMap<u32, IfName>,
) -> Result<BTreeMap<IfName, String>, Error> {
    let qdiscs = question(RTM_GETQDISC, &[0; TC_BYTES])?;
    let found = socket.dump(&qdiscs, |message| losing_one(message, devs))?;
    Ok(found.into_iter().collect())
}

fn losing_one(
    message: Message<'_>,
    devs: &BTreeMap<u32, IfName>,
) -> Result<Option<(IfName, String)>, Error> {
    const TCA_OPTIONS: u16 = 2;
    const TC_H_ROOT: u32 = u32::MAX;
    /// Where `struct tc_netem_qopt` has the loss, a share of 2³² (linux/pkt_sched.h).
    const LOSS_AT: usize = 8;
    let Some(&[_, _, _, _, i, j, k, l, _, _, _, _, p0, p1, p2, p3, ..]) =
        message.payload.first_chunk::<TC_BYTES>()
    else {
        return Ok(None);
    };
    let is_root = u32::from_ne_bytes([p0, p1, p2, p3]) == TC_H_ROOT;
    let Some(dev) = devs.get(&u32::from_ne_bytes([i, j, k, l])).filter(|_| is_root) else {
        return Ok(None);
    };
    let kind = message.attributes(TC_BYTES)?.find(TCA_KIND)?;
    let options = message.attributes(TC_BYTES)?.find(TCA_OPTIONS)?;
    let (Some(kind), Some(options)) = (kind, options) else { return Ok(None) };
    let number =
        |at: usize| options.value.get(at..)?.first_chunk().map(|it| u32::from_ne_bytes(*it));
    let words = match kind.text()? {
        "netem" if number(LOSS_AT) == Some(u32::MAX) => Some("netem loss 100%"),
        "pfifo" if number(0) == Some(0) => Some("pfifo limit 0"),
        "bfifo" if number(0) == Some(0) => Some("bfifo limit 0"),
        _ => None,
    };
    Ok(words.map(|words| (dev.clone(), words.to_owned())))
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
