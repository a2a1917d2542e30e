//! VLANs of ports, and forwarding entries, as messages of the bridge (`AF_BRIDGE`).

use std::net::IpAddr;

use vnet_model::{FdbEntry, PortVlan};
use vnet_netlink::{Batch, Flags};

const AF_BRIDGE: u8 = 7;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

/// Puts a port into a VLAN, or the bridge itself where that is told with the index (`br_afspec`,
/// net/bridge/br_netlink.c).
pub fn set_port_vlan(batch: &mut Batch, dev: (u32, bool), vid: u16, vlan: PortVlan) {
    port_vlan(batch, RTM_SETLINK, dev, vid, vlan);
}

/// Takes a port out of a VLAN, or the bridge itself.
pub fn del_port_vlan(batch: &mut Batch, dev: (u32, bool), vid: u16) {
    port_vlan(batch, RTM_DELLINK, dev, vid, PortVlan::TAGGED);
}

fn port_vlan(batch: &mut Batch, kind: u16, dev: (u32, bool), vid: u16, vlan: PortVlan) {
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_BRIDGE_FLAGS: u16 = 0;
    const BRIDGE_FLAGS_SELF: u16 = 2;
    const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
    const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
    const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
    let mut flags = 0;
    flags |= if vlan.pvid { BRIDGE_VLAN_INFO_PVID } else { 0 };
    flags |= if vlan.untagged { BRIDGE_VLAN_INFO_UNTAGGED } else { 0 };
    // `struct ifinfomsg`: family, type, index, flags, change.
    let (index, itself) = dev;
    let mut header = [0; 16];
    header[0] = AF_BRIDGE;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    batch.push_raw(kind, Flags::NONE, |message| {
        message.header(&header).nest(IFLA_AF_SPEC, |spec| {
            if itself {
                spec.u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
            }
            // `struct bridge_vlan_info`: flags, VLAN.
            let [f, g] = flags.to_ne_bytes();
            let [v, w] = vid.to_ne_bytes();
            spec.bytes(IFLA_BRIDGE_VLAN_INFO, &[f, g, v, w]);
        });
    });
}

/// Adds a forwarding entry. One for every unknown address stands beside others of its kind; one for
/// an address takes the place of what was learned of it.
pub fn add_fdb(batch: &mut Batch, index: u32, entry: &FdbEntry) {
    let stands_beside = entry.dst.is_some() && !entry.mac.is_usable();
    let flags = if stands_beside { Flags::APPEND } else { Flags::REPLACE };
    fdb(batch, RTM_NEWNEIGH, Flags::CREATE | flags, index, entry);
}

/// Removes a forwarding entry.
pub fn del_fdb(batch: &mut Batch, index: u32, entry: &FdbEntry) {
    fdb(batch, RTM_DELNEIGH, Flags::NONE, index, entry);
}

fn fdb(batch: &mut Batch, kind: u16, flags: Flags, index: u32, entry: &FdbEntry) {
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    const NDA_VLAN: u16 = 5;
    const NTF_SELF: u8 = 0x02;
    const NTF_MASTER: u8 = 0x04;
    const NUD_NOARP: u16 = 0x40;
    const NUD_PERMANENT: u16 = 0x80;
    // Of a bridge, "permanent" would say that the address is the bridge's own.
    let (table, state) = match entry.dst {
        Some(_) => (NTF_SELF, NUD_PERMANENT | NUD_NOARP),
        None => (NTF_MASTER, NUD_NOARP),
    };
    // `struct ndmsg`: family, index, state, flags, type.
    let mut header = [0; 12];
    header[0] = AF_BRIDGE;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header[10] = table;
    batch.push_raw(kind, flags, |message| {
        message.header(&header).bytes(NDA_LLADDR, &entry.mac.0);
        match entry.dst {
            Some(IpAddr::V4(addr)) => drop(message.bytes(NDA_DST, &addr.octets())),
            Some(IpAddr::V6(addr)) => drop(message.bytes(NDA_DST, &addr.octets())),
            None => {}
        }
        if let Some(vlan) = entry.vlan {
            message.u16(NDA_VLAN, vlan);
        }
    });
}
