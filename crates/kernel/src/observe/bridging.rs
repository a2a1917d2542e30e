//! VLANs of ports, and forwarding entries, as the bridge tells them (`AF_BRIDGE`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vnet_model::facts::BridgeEntry;
use vnet_model::kind::Value;
use vnet_model::state::PortVlans;
use vnet_model::{FdbEntry, IfName, Mac, Namespace, Origin, PortVlan};
use vnet_netlink::{Error, Message, RawMessage, Socket};

const AF_BRIDGE: u8 = 7;
const RTM_GETLINK: u16 = 18;
const RTM_GETNEIGH: u16 = 30;

/// Reads the VLANs of all ports in the socket's namespace, and of the bridges themselves.
///
/// To be asked for only where a bridge keeps VLANs apart, or shall: it is a dump more.
pub(super) fn read_vlans(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<(IfName, PortVlans)>, Error> {
    const IFLA_EXT_MASK: u16 = 29;
    const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 1 << 2;
    const IFINFOMSG_BYTES: usize = 16;
    const IFLA_AF_SPEC: u16 = 26;
    let mut header = [0; IFINFOMSG_BYTES];
    header[0] = AF_BRIDGE;
    let request = request(RTM_GETLINK, &header, |message| {
        message.u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
    })?;
    socket.dump(&request, |message: Message<'_>| {
        let name = index_of(message.payload).and_then(|index| names.get(&index));
        let Some(name) = name else { return Ok(None) };
        let mut vlans = PortVlans::new();
        for attribute in message.attributes(IFINFOMSG_BYTES)? {
            let attribute = attribute?;
            if attribute.kind == IFLA_AF_SPEC {
                vlans = port_vlans(attribute.nested())?;
            }
        }
        Ok(Some((name.clone(), vlans)))
    })
}

/// Takes over the VLANs that were read, where some are declared or the bridge keeps them apart: one that
/// does not may be of a kernel that can't.
pub(super) fn take_vlans(
    ports: Vec<(IfName, PortVlans)>,
    wanted: Option<&Namespace>,
    namespace: &mut Namespace,
) {
    let interfaces = &mut namespace.interfaces;
    for (name, vlans) in ports {
        let Some(interface) = interfaces.get(&name) else { continue };
        let itself = interface.kind.is_bridge();
        let bridge = if itself { Some(&name) } else { interface.master.as_ref() };
        let Some(bridge) = bridge.and_then(|bridge| interfaces.get(bridge)) else { continue };
        let keeps = bridge.kind.device().is_some_and(|device| device.is_on("vlan_filtering"));
        let wanted = wanted.and_then(|ns| ns.interfaces.get(&name)?.vlans.as_ref());
        // Of a bridge none are declared where just all is asked for.
        let declared = wanted.is_some_and(|vlans| !itself || !vlans.is_empty());
        if (keeps || declared)
            && let Some(interface) = interfaces.get_mut(&name)
        {
            interface.vlans = Some(vlans);
        }
    }
}

/// Reads the VLANs of one port, of which a range is told by its first and its last.
fn port_vlans(spec: vnet_netlink::attr::Attributes<'_>) -> Result<PortVlans, Error> {
    const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
    const PVID: u16 = 1 << 1;
    const UNTAGGED: u16 = 1 << 2;
    const RANGE_END: u16 = 1 << 4;
    let mut vlans = PortVlans::new();
    let mut begin = 0;
    for attribute in spec {
        let attribute = attribute?;
        if attribute.kind != IFLA_BRIDGE_VLAN_INFO {
            continue;
        }
        let [f, g, v, w] = attribute.array()?;
        let (flags, vid) = (u16::from_ne_bytes([f, g]), u16::from_ne_bytes([v, w]));
        let vlan = PortVlan { pvid: flags & PVID != 0, untagged: flags & UNTAGGED != 0 };
        begin = if flags & RANGE_END != 0 { begin } else { vid };
        vlans.extend((begin..=vid).map(|vid| (vid, vlan)));
    }
    Ok(vlans)
}

/// Reads the forwarding entries in the socket's namespace that somebody wrote.
///
/// To be asked for only where there is a tunnel with some, or some are declared: of these
/// interfaces, or of all where they are not given.
pub(super) fn read_fdb(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
    namespace: &mut Namespace,
    of: Option<&BTreeSet<&IfName>>,
) -> Result<(), Error> {
    let entries = dump_fdb(socket)?;
    let entries = entries.into_iter().filter_map(|raw| Some((raw.index, raw.written()?)));
    for (name, interface) in namespace.interfaces.iter_mut() {
        if of.is_none_or(|of| of.contains(name)) {
            interface.fdb = Some(Default::default());
        }
    }
    for (index, entry) in entries {
        let interface = names.get(&index).and_then(|name| namespace.interfaces.get_mut(name));
        // What a tunnel's `remote` says is an entry too.
        let remote = interface.as_ref().and_then(|it| it.kind.device()?.options.get("remote"));
        let is_flood = entry.mac == Mac([0; 6]);
        if is_flood && remote.is_some_and(|it| entry.dst.map(Value::Ip).as_ref() == Some(it)) {
            continue;
        }
        if let Some(fdb) = interface.and_then(|interface| interface.fdb.as_mut()) {
            fdb.insert(entry);
        }
    }
    Ok(())
}

/// Reads the forwarding entries of bridges that somebody wrote, those too that end in the namespace.
/// `macs` are the addresses of the namespace's own interfaces, of which there is such an entry each.
pub(super) fn bridge_entries(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
    macs: &BTreeSet<Mac>,
) -> Result<Vec<BridgeEntry>, Error> {
    let entry = |raw: RawEntry| {
        let is_local = raw.state & NUD_PERMANENT != 0;
        let born = is_local && macs.contains(&raw.mac);
        let written = raw.of_bridge() && raw.mac.0[0] & 1 == 0 && !born;
        let dev = names.get(&raw.index).filter(|_| written)?.clone();
        Some(BridgeEntry { dev, mac: raw.mac, vlan: raw.vlan, is_local })
    };
    Ok(dump_fdb(socket)?.into_iter().filter_map(entry).collect())
}

const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;

/// A forwarding entry as the kernel tells it.
struct RawEntry {
    index: u32,
    state: u16,
    flags: u8,
    mac: Mac,
    dst: Option<IpAddr>,
    vlan: Option<u16>,
    has_master: bool,
}

impl RawEntry {
    /// Tells whether it is one of a bridge, and not learned.
    fn of_bridge(&self) -> bool {
        const NTF_EXT_LEARNED: u8 = 0x10;
        let fixed = self.state & (NUD_NOARP | NUD_PERMANENT) != 0;
        self.has_master && self.dst.is_none() && fixed && self.flags & NTF_EXT_LEARNED == 0
    }

    /// Returns the entry, if somebody wrote it: a permanent one of a tunnel, a static one of a bridge.
    /// The bridge's permanent ones are mostly its own addresses.
    fn written(&self) -> Option<FdbEntry> {
        const NTF_SELF: u8 = 0x02;
        let of_tunnel =
            self.flags & NTF_SELF != 0 && self.dst.is_some() && self.state & NUD_PERMANENT != 0;
        let of_bridge = self.of_bridge() && self.state == NUD_NOARP;
        let entry =
            FdbEntry { mac: self.mac, dst: self.dst, vlan: self.vlan, origin: Origin::NONE };
        (of_tunnel || of_bridge).then_some(entry)
    }
}

/// Reads all forwarding entries of the socket's namespace.
fn dump_fdb(socket: &mut Socket) -> Result<Vec<RawEntry>, Error> {
    const NDMSG_BYTES: usize = 12;
    let mut header = [0; NDMSG_BYTES];
    header[0] = AF_BRIDGE;
    let request = request(RTM_GETNEIGH, &header, |_| {})?;
    socket.dump(&request, |message: Message<'_>| {
        let Some(index) = index_of(message.payload) else { return Ok(None) };
        let Some(&[s, t, flags, _]) = message.payload.get(8..NDMSG_BYTES) else { return Ok(None) };
        raw_entry(message, index, u16::from_ne_bytes([s, t]), flags)
    })
}

fn raw_entry(
    message: Message<'_>,
    index: u32,
    state: u16,
    flags: u8,
) -> Result<Option<RawEntry>, Error> {
    const NDMSG_BYTES: usize = 12;
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    const NDA_VLAN: u16 = 5;
    const NDA_MASTER: u16 = 9;
    let (mut mac, mut dst, mut vlan, mut has_master) = (None, None, None, false);
    for attribute in message.attributes(NDMSG_BYTES)? {
        let attribute = attribute?;
        match attribute.kind {
            NDA_LLADDR => mac = attribute.array().ok().map(Mac),
            NDA_DST => dst = address(attribute.value),
            NDA_VLAN => vlan = Some(attribute.u16()?),
            NDA_MASTER => has_master = true,
            _ => {}
        }
    }
    Ok(mac.map(|mac| RawEntry { index, state, flags, mac, dst, vlan, has_master }))
}

/// Reads a message as the VLANs of a port, and as a forwarding entry.
#[cfg(fuzzing)]
pub(super) fn fuzz(message: Message<'_>) {
    drop(message.attributes(0).map(port_vlans));
    drop(raw_entry(message, 1, 0, 0));
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    ipv4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Reads the index, which stands at the same place in `ifinfomsg` and `ndmsg`.
fn index_of(payload: &[u8]) -> Option<u32> {
    payload.get(4..8)?.try_into().ok().map(u32::from_ne_bytes)
}

fn request(
    kind: u16,
    header: &[u8],
    write: impl FnOnce(&mut vnet_netlink::attr::Writer<'_>),
) -> Result<RawMessage, Error> {
    let message = RawMessage::new(kind, |message| {
        message.header(header);
        write(message);
    });
    message.map_err(|too_long| Error::AttributeTooLong { index: 0, too_long })
}
