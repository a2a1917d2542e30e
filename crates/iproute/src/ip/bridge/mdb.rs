//! `bridge mdb`: which ports want which multicast groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_netlink::Flags;
use vnet_netlink::attr::Attributes;

use super::super::out::{Out, Shade};
use super::super::wire::{Attr, Attrs, Object, Request, mac_of, rtm};
use super::super::words::{Read, Words, abbreviates, hardware_address};
use super::super::{Context, failure::Failure};
use super::{AF_BRIDGE, Command, atoi, device, selection, unknown};

const MDBA_MDB: u16 = 1;
const MDBA_ROUTER: u16 = 2;
const MDBA_SET_ENTRY: u16 = 1;
const MDBA_SET_ENTRY_ATTRS: u16 = 2;
const MDBE_ATTR_SOURCE: u16 = 1;

// `MDBA_MDB_EATTR_*`, linux/if_bridge.h.
const TIMER: u16 = 1;
const SRC_LIST: u16 = 2;
const GROUP_MODE: u16 = 3;
const SOURCE: u16 = 4;
const RTPROT: u16 = 5;

const PERMANENT: u8 = 1;

/// What is particular about an entry (`MDB_FLAGS_*`).
const ENTRY_FLAGS: &[(u8, &str)] =
    &[(1, "offload"), (2, "fast_leave"), (4, "added_by_star_ex"), (8, "blocked")];

/// The length of `struct br_port_msg`, with its padding.
const HEADER_BYTES: usize = 8;

/// The length of `struct br_mdb_entry`.
const ENTRY_BYTES: usize = 28;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    index: Option<u32>,
    vlan: u16,
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Mdb(Selection::default())) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        change(words, context, rtm::NEWMDB, Flags::CREATE | Flags::EXCL)
    } else if is("delete") {
        change(words, context, rtm::DELMDB, Flags::NONE)
    } else if is("show") || is("lst") || is("list") {
        let (index, vlan) = selection(words, context, "vid")?;
        Ok(Command::Mdb(Selection { index, vlan }))
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown(word, "mdb", "add, delete, show, help")))
    }
}

fn header(index: u32) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header
}

fn change(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    kind: u16,
    how: Flags,
) -> Read<Command> {
    let (mut dev, mut port, mut group, mut source) = (None, None, None, None);
    let (mut state, mut vlan) = (0, 0);
    while let Some(word) = words.take() {
        match word {
            "dev" => dev = Some(words.value()?),
            "grp" => group = Some(words.value()?),
            "port" => port = Some(words.value()?),
            "permanent" if kind == rtm::NEWMDB => state |= PERMANENT,
            "vid" => vlan = u16::try_from(atoi(words.value()?) & 0xffff).unwrap_or_default(),
            "src" => source = Some(words.value()?),
            _ if abbreviates(word, "help") => return Ok(Command::Help),
            _ => {}
        }
    }
    let (Some(dev), Some(port), Some(group)) = (dev, port, group) else {
        let line = "Device, group address and port name are required arguments.";
        return Err(Failure::command(255, line));
    };
    let index = device(dev, context, "device")?;
    let port = device(port, context, "device")?;
    let (bytes, protocol) = group_of(group).ok_or_else(|| {
        let line = format!("Invalid address \"{group}\"");
        Failure::command(255, line).hint("a group is an IPv4, IPv6 or hardware address")
    })?;
    let mut entry = port.to_ne_bytes().to_vec();
    entry.extend_from_slice(&[state, 0]);
    entry.extend_from_slice(&vlan.to_ne_bytes());
    entry.extend_from_slice(&bytes);
    entry.extend_from_slice(&protocol.to_be_bytes());
    entry.resize(ENTRY_BYTES, 0);
    let mut attrs = vec![Attr::Value(MDBA_SET_ENTRY, entry)];
    if let Some(source) = source {
        let address: IpAddr = source
            .parse()
            .map_err(|_| Failure::command(255, format!("Invalid source address \"{source}\"")))?;
        let inner = Attr::address(MDBE_ATTR_SOURCE, address);
        attrs.push(Attr::Nest(MDBA_SET_ENTRY_ATTRS | Attr::NESTED, vec![inner]));
    }
    Ok(Command::Change(Box::new(Request { kind, flags: how, header: header(index), attrs })))
}

/// Reads a group: its 16 bytes and the protocol in which they mean something.
fn group_of(word: &str) -> Option<([u8; 16], u16)> {
    let mut bytes = [0; 16];
    let (address, protocol) = match word.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (address.octets().to_vec(), ETH_P_IP),
        Ok(IpAddr::V6(address)) => (address.octets().to_vec(), ETH_P_IPV6),
        Err(_) => (hardware_address(word).filter(|mac| mac.len() == 6)?, 0),
    };
    bytes[..address.len()].copy_from_slice(&address);
    Some((bytes, protocol))
}

/// Returns the question for all groups and router ports.
#[must_use]
pub fn question() -> Request {
    Request::new(rtm::GETMDB, Flags::NONE, header(0))
}

impl Selection {
    /// Tells whether a bridge is asked for.
    #[must_use]
    pub fn wants(&self, bridge: &Object) -> bool {
        self.index.is_none_or(|index| index == bridge.u32_at(4))
    }
}

/// Prints the groups of bridges and, with `-details`, the ports behind which routers are.
pub fn show(out: &mut Out, bridges: &[Object], context: &mut Context<'_>, said: &Selection) {
    out.open(None);
    out.open_array("mdb", "");
    for bridge in bridges {
        print_groups(out, bridge, context, said);
    }
    out.close_array("");
    out.open(Some("router"));
    for bridge in bridges.iter().filter(|_| context.options.details) {
        if let Some(ports) = bridge.attrs(HEADER_BYTES).get(MDBA_ROUTER) {
            print_routers(out, bridge.u32_at(4), ports, context.options.stats > 0, context.world);
        }
    }
    out.close();
    out.close();
}

/// Prints what changed.
pub fn event(out: &mut Out, event: &Object, context: &mut Context<'_>) {
    out.deleted(event.kind == rtm::DELMDB);
    print_groups(out, event, context, &Selection::default());
    let attrs = event.attrs(HEADER_BYTES);
    if let Some(port) = attrs.get(MDBA_ROUTER).and_then(first_router) {
        let (port, bridge) = (context.world.name(port), context.world.name(event.u32_at(4)));
        out.text(&format!("router port dev {port} master {bridge}\n"));
    }
}

fn values(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    Attributes::new(bytes).map_while(Result::ok).map(|attr| attr.value)
}

fn index_of(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn first_router(ports: &[u8]) -> Option<u32> {
    values(ports).next().map(index_of)
}

fn print_routers(
    out: &mut Out,
    index: u32,
    ports: &[u8],
    stats: bool,
    world: &mut dyn super::super::World,
) {
    let bridge = world.name(index);
    let title = if stats { String::new() } else { format!("router ports on {bridge}: ") };
    out.open_array(&bridge, &title);
    for port in values(ports) {
        let name = world.name(index_of(port));
        out.open(None);
        if stats {
            out.text(&format!("router ports on {bridge}: "));
            out.str("port", "{}", &name);
            let attrs = Attrs::read(port.get(4..).unwrap_or_default());
            print_router_stats(out, &attrs);
            out.text("\n");
        } else {
            out.str("port", "{} ", &name);
        }
        out.close();
    }
    if !stats {
        out.next_line();
    }
    out.close_array("");
}

fn print_router_stats(out: &mut Out, attrs: &Attrs<'_>) {
    if let Some(ticks) = attrs.u32(1) {
        out.str("timer", " {}", &timer(ticks, 4));
    }
    if let Some(kind) = attrs.u8(2) {
        // `MDB_RTR_TYPE_TEMP_QUERY` and `MDB_RTR_TYPE_TEMP`.
        out.str("type", " {}", if matches!(kind, 1 | 3) { "temp" } else { "permanent" });
    }
}

/// Shows ticks of 1/100 s in seconds.
fn timer(ticks: u32, width: usize) -> String {
    format!("{:width$}.{:02}", ticks / 100, ticks % 100)
}

fn print_groups(out: &mut Out, bridge: &Object, context: &mut Context<'_>, said: &Selection) {
    let attrs = bridge.attrs(HEADER_BYTES);
    let Some(groups) = attrs.get(MDBA_MDB) else { return };
    for entry in values(groups).flat_map(values) {
        print_entry(out, bridge.u32_at(4), entry, context, said);
    }
}

fn print_entry(
    out: &mut Out,
    bridge: u32,
    entry: &[u8],
    context: &mut Context<'_>,
    said: &Selection,
) {
    let Some((fixed, rest)) = entry.split_at_checked(ENTRY_BYTES) else { return };
    let attrs = Attrs::read(rest);
    let (state, flags) = (fixed[4], fixed[5]);
    let vlan = u16::from_ne_bytes([fixed[6], fixed[7]]);
    if said.vlan != 0 && said.vlan != vlan {
        return;
    }
    let (group, shade) = shown(&fixed[8..24], u16::from_be_bytes([fixed[24], fixed[25]]));
    out.open(None);
    out.json(|json| {
        json.name("index");
        json.plain(bridge);
    });
    let (dev, port) = (context.world.name(bridge), context.world.name(index_of(fixed)));
    out.shaded(Shade::Name, "dev", "dev {}", &dev);
    out.str("port", " port {}", &port);
    out.shaded(shade, "grp", " grp {}", &group);
    if let Some(source) = attrs.address(SOURCE) {
        out.shaded(shade, "src", " src {}", &source.to_string());
    }
    let word = if state & PERMANENT != 0 { "permanent" } else { "temp" };
    out.str("state", " {}", word);
    if context.options.details {
        print_details(out, &attrs, shade, context);
    }
    out.open_array("flags", "");
    for (_, word) in ENTRY_FLAGS.iter().filter(|(flag, _)| flags & flag != 0) {
        out.str("", " {}", word);
    }
    out.close_array("");
    if vlan != 0 {
        out.num("vid", " vid {}", vlan);
    }
    if let Some(ticks) = attrs.u32(TIMER).filter(|_| context.options.stats > 0) {
        out.str("timer", " {}", &timer(ticks, 4));
    }
    out.next_line();
    out.close();
}

fn shown(bytes: &[u8], protocol: u16) -> (String, Shade) {
    let v4 = || bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes));
    let v6 = || bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes));
    match protocol {
        0 => (mac_of(&bytes[..6.min(bytes.len())]), Shade::Mac),
        ETH_P_IP => (v4().map_or_else(String::new, |address| address.to_string()), Shade::Inet),
        _ => (v6().map_or_else(String::new, |address| address.to_string()), Shade::Inet6),
    }
}

fn print_details(out: &mut Out, attrs: &Attrs<'_>, shade: Shade, context: &mut Context<'_>) {
    if let Some(mode) = attrs.u8(GROUP_MODE) {
        // `MCAST_INCLUDE` of linux/in.h is 1.
        let word = if mode == 1 { "include" } else { "exclude" };
        out.str("filter_mode", " filter_mode {}", word);
    }
    if let Some(sources) = attrs.get(SRC_LIST) {
        out.open_array("source_list", " source_list");
        let mut before = " ";
        for source in values(sources).map(Attrs::read) {
            let (Some(address), Some(ticks)) = (source.address(1), source.u32(2)) else { continue };
            out.open(None);
            out.text(before);
            out.shaded(shade, "address", "{}", &address.to_string());
            out.str("timer", "/{}", &timer(ticks, 0));
            out.close();
            before = ",";
        }
        out.close_array("");
    }
    if let Some(protocol) = attrs.u8(RTPROT) {
        let tables = context.world.tables();
        out.str("protocol", " proto {} ", &tables.show(&tables.protocols, protocol.into()));
    }
}
