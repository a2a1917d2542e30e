//! `bridge fdb`: which hardware address is behind which port.

use vnet_netlink::Flags;

use super::super::out::{Out, Shade};
use super::super::wire::{Attr, Object, Request, mac_of, rtm};
use super::super::words::{Read, Words, abbreviates, integer};
use super::super::{Context, failure::Failure};
use super::{AF_BRIDGE, Command, atoi, device, unknown};

// `NDA_*`, linux/neighbour.h.
const DST: u16 = 1;
const LLADDR: u16 = 2;
const CACHEINFO: u16 = 3;
const VLAN: u16 = 5;
const PORT: u16 = 6;
const VNI: u16 = 7;
const IFINDEX: u16 = 8;
const MASTER: u16 = 9;
const LINK_NETNSID: u16 = 10;
const SRC_VNI: u16 = 11;
const NH_ID: u16 = 13;
const NDM_STATE_MASK: u16 = 16;
const NDM_FLAGS_MASK: u16 = 17;

const NTF_USE: u8 = 0x01;
const NTF_SELF: u8 = 0x02;
const NTF_MASTER: u8 = 0x04;
const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_OFFLOADED: u8 = 0x20;
const NTF_STICKY: u8 = 0x40;
const NTF_ROUTER: u8 = 0x80;

const NUD_REACHABLE: u16 = 0x02;
const NUD_STALE: u16 = 0x04;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;

/// The length of `struct ndmsg`.
const HEADER_BYTES: usize = 12;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    index: Option<u32>,
    master: Option<u32>,
    vlan: u16,
    states: u32,
    dynamic: bool,
}

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Fdb(Selection::default())) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        change(words, context, rtm::NEWNEIGH, Flags::CREATE | Flags::EXCL)
    } else if is("append") {
        change(words, context, rtm::NEWNEIGH, Flags::CREATE | Flags::APPEND)
    } else if is("replace") {
        change(words, context, rtm::NEWNEIGH, Flags::CREATE | Flags::REPLACE)
    } else if is("delete") {
        change(words, context, rtm::DELNEIGH, Flags::NONE)
    } else if is("get") {
        get(words, context)
    } else if is("show") || is("lst") || is("list") {
        select(words, context)
    } else if word == "flush" {
        flush(words, context)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        let known = "add, append, replace, delete, get, show, flush, help";
        Err(words.blame(unknown(word, "fdb", known)))
    }
}

fn header(index: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header.extend_from_slice(&state.to_ne_bytes());
    header.extend_from_slice(&[flags, 0]);
    header
}

/// The words of an entry that set a bit of its flags or its state.
fn flag(word: &str) -> Option<(u8, u16)> {
    let is = |keyword: &str| abbreviates(word, keyword);
    Some(match word {
        "self" => (NTF_SELF, 0),
        _ if is("master") => (NTF_MASTER, 0),
        _ if is("router") => (NTF_ROUTER, 0),
        _ if is("local") || is("permanent") => (0, NUD_PERMANENT),
        _ if is("temp") || is("static") => (0, NUD_REACHABLE),
        _ => return None,
    })
}

fn late_flag(word: &str) -> Option<u8> {
    let is = |keyword: &str| abbreviates(word, keyword);
    Some(match word {
        _ if is("use") => NTF_USE,
        _ if is("extern_learn") => NTF_EXT_LEARNED,
        _ if is("sticky") => NTF_STICKY,
        _ => return None,
    })
}

fn change(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    kind: u16,
    how: Flags,
) -> Read<Command> {
    let (mut dev, mut mac, mut attrs) = (None, None, Vec::new());
    let (mut flags, mut state) = (0, NUD_NOARP);
    let (mut has_dst, mut has_nexthop, mut has_vlan) = (false, false, false);
    while let Some(word) = words.take() {
        match word {
            "dev" => dev = Some(words.value()?),
            "dst" => {
                let family = context.options.family;
                if has_dst {
                    let word = words.value()?;
                    return Err(words.blame(Failure::garbage("dst", word)));
                }
                attrs.push(Attr::address(DST, words.address(family)?));
                has_dst = true;
            }
            "nhid" => {
                attrs.push(Attr::u32(NH_ID, words.parse("\"id\" value is invalid\n", integer)?));
                has_nexthop = true;
            }
            "port" => {
                let port = words.parse("invalid port\n", port)?;
                attrs.push(Attr::Value(PORT, port.to_be_bytes().to_vec()));
            }
            "vni" => attrs.push(Attr::u32(VNI, words.parse("invalid VNI\n", vni)?)),
            "src_vni" => attrs.push(Attr::u32(SRC_VNI, words.parse("invalid src VNI\n", vni)?)),
            "via" => {
                let name = words.value()?;
                attrs.push(Attr::u32(IFINDEX, device(name, context, "device")?));
            }
            word => match flag(word) {
                Some((bit, bits)) => {
                    flags |= bit;
                    state |= bits;
                }
                None if abbreviates(word, "dynamic") => {
                    state = (state | NUD_REACHABLE) & !NUD_NOARP;
                }
                None if abbreviates(word, "vlan") => {
                    let word = words.value()?;
                    if has_vlan {
                        return Err(words.blame(Failure::garbage("vlan", word)));
                    }
                    attrs.push(Attr::u16(VLAN, vlan_id(word)));
                    has_vlan = true;
                }
                None => match late_flag(word) {
                    Some(bit) => flags |= bit,
                    None => match address_word(words, word, mac)? {
                        Some(word) => mac = Some(word),
                        None => return Ok(Command::Help),
                    },
                },
            },
        }
    }
    let (Some(dev), Some(mac)) = (dev, mac) else {
        return Err(Failure::command(255, "Device and address are required arguments."));
    };
    let is_target = |attr: &Attr| matches!(attr, Attr::Value(DST | PORT | VNI, _));
    if has_nexthop && attrs.iter().any(is_target) {
        let line = "dst, port, vni are mutually exclusive with nhid";
        return Err(Failure::command(255, line));
    }
    if flags & (NTF_SELF | NTF_MASTER) == 0 {
        flags |= NTF_SELF;
    }
    if state & (NUD_PERMANENT | NUD_REACHABLE) == 0 {
        state |= NUD_PERMANENT;
    }
    attrs.insert(0, Attr::Value(LLADDR, hardware(mac)?));
    let index = device(dev, context, "device")?;
    let header = header(index, state, flags);
    Ok(Command::Change(Box::new(Request { kind, flags: how, header, attrs })))
}

/// Takes the word for the address; `None` where it asks for help.
fn address_word<'a>(
    words: &mut Words<'a>,
    word: &'a str,
    before: Option<&str>,
) -> Read<Option<&'a str>> {
    let word = if word == "to" { words.value()? } else { word };
    if abbreviates(word, "help") {
        return Ok(None);
    }
    match before {
        Some(_) => Err(words.blame(Failure::garbage("to", word))),
        None => Ok(Some(word)),
    }
}

fn hardware(word: &str) -> Read<Vec<u8>> {
    let bytes = super::super::words::hardware_address(word);
    bytes.filter(|bytes| bytes.len() >= 6 && word.contains(':')).map_or_else(
        || {
            let line = format!("Invalid mac address {word}");
            Err(Failure::command(255, line).hint("write it as 02:00:00:00:00:01"))
        },
        |bytes| Ok(bytes[..6].to_vec()),
    )
}

fn vlan_id(word: &str) -> u16 {
    u16::try_from(atoi(word) & 0xffff).unwrap_or_default()
}

fn vni(word: &str) -> Option<u32> {
    integer::<u32>(word).filter(|vni| *vni < 1 << 24)
}

/// Reads a port of UDP: its number or its name in `/etc/services` where that is usual.
fn port(word: &str) -> Option<u16> {
    match word {
        "vxlan" => Some(4789),
        word => integer(word),
    }
}

fn get(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut dev, mut bridge, mut mac, mut attrs) = (None, None, None, Vec::new());
    let (mut flags, mut said) = (0, Selection::default());
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        match word {
            "brport" | "dev" => dev = Some(words.value()?),
            "br" => bridge = Some(words.value()?),
            "vni" => attrs.push(Attr::u32(VNI, words.parse("invalid VNI\n", vni)?)),
            "self" => flags |= NTF_SELF,
            _ if is("master") => flags |= NTF_MASTER,
            _ if is("vlan") => attrs.push(Attr::u16(VLAN, vlan_id(words.value()?))),
            _ if is("dynamic") => said.dynamic = true,
            word => match address_word(words, word, mac)? {
                Some(word) => mac = Some(word),
                None => return Ok(Command::Help),
            },
        }
    }
    let Some(mac) = mac.filter(|_| dev.is_some() || bridge.is_some()) else {
        let line = "Device or master and address are required arguments.";
        return Err(Failure::command(255, line));
    };
    attrs.insert(0, Attr::Value(LLADDR, hardware(mac)?));
    let index = dev.map(|dev| device(dev, context, "device")).transpose()?;
    if let Some(bridge) = bridge {
        attrs.push(Attr::u32(MASTER, device(bridge, context, "bridge device")?));
    }
    let header = header(index.unwrap_or(0), 0, flags);
    let request = Request { kind: rtm::GETNEIGH, flags: Flags::NONE, header, attrs };
    Ok(Command::FdbGet(Box::new(request), said))
}

fn select(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut dev, mut bridge, mut said) = (None, None, Selection::default());
    while let Some(word) = words.take() {
        match word {
            "brport" | "dev" => dev = Some(words.value()?),
            "br" => bridge = Some(words.value()?),
            "vlan" => {
                let word = words.value()?;
                if said.vlan != 0 {
                    return Err(words.blame(Failure::twice("vlan", word)));
                }
                said.vlan = vlan_id(word);
            }
            "state" => said.states |= words.parse("invalid state", state)?,
            "dynamic" => said.dynamic = true,
            _ if abbreviates(word, "help") => return Ok(Command::Help),
            _ => {}
        }
    }
    said.master = bridge.map(|name| device(name, context, "bridge device")).transpose()?;
    said.index = dev.map(|name| device(name, context, "device")).transpose()?;
    Ok(Command::Fdb(said))
}

fn state(word: &str) -> Option<u32> {
    let is = |keyword: &str| abbreviates(word, keyword);
    Some(match word {
        _ if is("permanent") => NUD_PERMANENT.into(),
        _ if is("static") || is("temp") => NUD_NOARP.into(),
        _ if is("stale") => NUD_STALE.into(),
        _ if is("reachable") || is("dynamic") => NUD_REACHABLE.into(),
        "all" => u32::MAX,
        word => return integer(word),
    })
}

/// What `bridge fdb flush` goes by: the word, the bits that it sets and those it looks at, of the
/// flags and of the state. With `no` before it, it clears them.
const FLUSHED: &[(&str, u8, u16, u16)] = &[
    ("permanent", 0, NUD_PERMANENT, NUD_PERMANENT),
    ("static", 0, NUD_NOARP, NUD_NOARP | NUD_PERMANENT),
    ("added_by_user", NTF_USE, 0, 0),
    ("extern_learn", NTF_EXT_LEARNED, 0, 0),
    ("sticky", NTF_STICKY, 0, 0),
    ("offloaded", NTF_OFFLOADED, 0, 0),
];

fn flush(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut dev, mut port, mut vlan) = (None, None, None);
    let (mut flags, mut state, mut flags_mask, mut state_mask) = (0_u8, 0_u16, 0_u8, 0_u16);
    while let Some(word) = words.take() {
        match word {
            "dev" => dev = Some(words.value()?),
            "master" => flags |= NTF_MASTER,
            "self" => flags |= NTF_SELF,
            "dynamic" => {
                state &= !NUD_NOARP | NUD_PERMANENT;
                state_mask |= NUD_NOARP | NUD_PERMANENT;
            }
            "nodynamic" => {
                state |= NUD_NOARP;
                state_mask |= NUD_NOARP;
            }
            "nostatic" => {
                state &= !NUD_NOARP;
                state_mask |= NUD_NOARP;
            }
            "brport" => port = Some(words.value()?),
            "vlan" => vlan = Some(vlan_id(words.value()?)),
            "help" => drop(words.value()?),
            word => {
                let (name, on) = word.strip_prefix("no").map_or((word, true), |name| (name, false));
                let found = FLUSHED.iter().find(|(known, ..)| *known == name);
                let Some((_, flag, bits, mask)) = found else { continue };
                flags = flags & !flag | if on { *flag } else { 0 };
                state = state & !bits | if on { *bits } else { 0 };
                flags_mask |= flag;
                state_mask |= mask;
            }
        }
    }
    let Some(dev) = dev else {
        return Err(Failure::command(255, "Device is a required argument."));
    };
    let index = device(dev, context, "bridge device")?;
    if flags & (NTF_SELF | NTF_MASTER) == 0 {
        flags |= NTF_SELF;
    }
    let mut request = Request::new(rtm::DELNEIGH, Flags::BULK, header(index, state, flags));
    if let Some(port) = port {
        request.attrs.push(Attr::u32(IFINDEX, device(port, context, "bridge port device")?));
    }
    if let Some(vlan) = vlan {
        if vlan >= 4096 {
            return Err(Failure::command(255, format!("Invalid VLAN ID \"{vlan}\"")));
        }
        request.attrs.push(Attr::u16(VLAN, vlan));
    }
    if flags_mask != 0 {
        request.attrs.push(Attr::u8(NDM_FLAGS_MASK, flags_mask));
    }
    if state_mask != 0 {
        request.attrs.push(Attr::u16(NDM_STATE_MASK, state_mask));
    }
    Ok(Command::Change(Box::new(request)))
}

impl Selection {
    /// Returns the question.
    #[must_use]
    pub fn question(&self) -> Request {
        let header = header(self.index.unwrap_or(0), 0, 0);
        let mut request = Request::new(rtm::GETNEIGH, Flags::NONE, header);
        request.attrs.extend(self.master.map(|index| Attr::u32(MASTER, index)));
        request
    }

    /// Tells whether an entry is asked for.
    #[must_use]
    pub fn wants(&self, entry: &Object) -> bool {
        let state = entry.u16_at(8);
        let vlan = entry.attrs(HEADER_BYTES).u16(VLAN).unwrap_or_default();
        entry.u8_at(0) == AF_BRIDGE
            && self.index.is_none_or(|index| index == entry.u32_at(4))
            && (self.states == 0 || u32::from(state) & self.states != 0)
            && (self.vlan == 0 || self.vlan == vlan)
            && !(self.dynamic && state & NUD_PERMANENT != 0)
    }
}

/// Prints an entry, with its line end.
pub fn show(out: &mut Out, entry: &Object, context: &mut Context<'_>, said: &Selection) {
    let attrs = entry.attrs(HEADER_BYTES);
    out.open(None);
    out.deleted(entry.kind == rtm::DELNEIGH);
    if let Some(mac) = attrs.get(LLADDR) {
        out.shaded(Shade::Mac, "mac", "{} ", &mac_of(mac));
    }
    if said.index.is_none() && entry.u32_at(4) != 0 {
        out.text("dev ");
        out.shaded(Shade::Name, "ifname", "{} ", &context.world.name(entry.u32_at(4)));
    }
    if let Some(address) = attrs.address(DST) {
        let shade = if address.is_ipv4() { Shade::Inet } else { Shade::Inet6 };
        out.text("dst ");
        out.shaded(shade, "dst", "{} ", &address.to_string());
    }
    if let Some(vlan) = attrs.u16(VLAN).filter(|vlan| *vlan != 0) {
        out.num("vlan", "vlan {} ", vlan);
    }
    if let Some(port) = attrs.u16_be(PORT) {
        out.num("port", "port {} ", port);
    }
    if let Some(vni) = attrs.u32(VNI) {
        out.num("vni", "vni {} ", vni);
    }
    if let Some(vni) = attrs.u32(SRC_VNI) {
        out.num("src_vni", "src_vni {} ", vni);
    }
    let elsewhere = attrs.u32(LINK_NETNSID);
    if let Some(index) = attrs.u32(IFINDEX) {
        match elsewhere {
            Some(_) => out.num("viaIfIndex", "via ifindex {} ", index),
            None => out.str("viaIf", "via {} ", &context.world.name(index)),
        }
    }
    if let Some(id) = attrs.u32(NH_ID) {
        out.num("nhid", "nhid {} ", id);
    }
    if let Some(id) = elsewhere {
        out.num("linkNetNsId", "link-netnsid {} ", id);
    }
    if context.options.stats > 0
        && let Some(times) = attrs.get(CACHEINFO)
    {
        print_times(out, times);
    }
    print_flags(out, entry.u8_at(10));
    if let Some(master) = attrs.u32(MASTER) {
        out.str("master", "master {} ", &context.world.name(master));
    }
    let state = match entry.u16_at(8) {
        state if state & NUD_PERMANENT != 0 => "permanent".to_owned(),
        state if state & NUD_NOARP != 0 => "static".to_owned(),
        state if state & NUD_STALE != 0 => "stale".to_owned(),
        state if state & NUD_REACHABLE != 0 => String::new(),
        0 if out.is_json() => "0".to_owned(),
        0 => "state=0".to_owned(),
        state if out.is_json() => format!("{state:#x}"),
        state => format!("state={state:#x}"),
    };
    out.str("state", "{}\n", &state);
    out.close();
}

/// `struct nda_cacheinfo`: confirmed, used, updated, in ticks of 1/100 s.
fn print_times(out: &mut Out, times: &[u8]) {
    let at = |place: usize| {
        let bytes = times.get(place * 4..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes)) / 100
    };
    out.num("used", "used {}", at(1));
    out.num("updated", "/{} ", at(2));
}

fn print_flags(out: &mut Out, flags: u8) {
    out.open_array("flags", "");
    for (flag, word) in [
        (NTF_SELF, "self"),
        (NTF_ROUTER, "router"),
        (NTF_EXT_LEARNED, "extern_learn"),
        (NTF_OFFLOADED, "offload"),
        (NTF_MASTER, "master"),
        (NTF_STICKY, "sticky"),
    ] {
        if flags & flag != 0 {
            out.str("", "{} ", word);
        }
    }
    out.close_array("");
}
