//! VLANs of ports, and forwarding entries, as commands of `bridge(8)`.

use vnet_model::{FdbEntry, IfName, NsName, PortVlan};

use crate::command::Command;

fn bridge(ns: &NsName) -> Command {
    super::program("bridge", ns)
}

pub(super) fn set_port_vlan(
    ns: &NsName,
    dev: (&IfName, bool),
    vid: u16,
    vlan: PortVlan,
) -> Command {
    let add = port_vlan(ns, "add", dev, vid);
    let add = if vlan.pvid { add.word("pvid") } else { add };
    if vlan.untagged { add.word("untagged") } else { add }
}

pub(super) fn del_port_vlan(ns: &NsName, dev: (&IfName, bool), vid: u16) -> Command {
    port_vlan(ns, "del", dev, vid)
}

fn port_vlan(ns: &NsName, verb: &str, (dev, itself): (&IfName, bool), vid: u16) -> Command {
    let command = bridge(ns).text("vlan").word(verb).word("dev").word(dev);
    let command = command.word("vid").word(vid);
    if itself { command.word("self") } else { command }
}

pub(super) fn add_fdb(ns: &NsName, dev: &IfName, entry: &FdbEntry) -> Command {
    let stands_beside = entry.dst.is_some() && !entry.mac.is_usable();
    fdb(ns, if stands_beside { "append" } else { "replace" }, dev, entry)
}

pub(super) fn del_fdb(ns: &NsName, dev: &IfName, entry: &FdbEntry) -> Command {
    fdb(ns, "del", dev, entry)
}

fn fdb(ns: &NsName, verb: &str, dev: &IfName, entry: &FdbEntry) -> Command {
    let command = bridge(ns).text("fdb").word(verb).word(entry.mac).word("dev").word(dev);
    let command = command.option("dst", entry.dst).option("vlan", entry.vlan);
    match entry.dst {
        Some(_) => command.text("self permanent"),
        None => command.text("master static"),
    }
}
