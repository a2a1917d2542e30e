//! vxlan: a layer 2 network over UDP (RFC 7348, drivers/net/vxlan/).

use std::net::IpAddr;

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Family, Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "vxlan", read, print: Some(print), print_port: None, read_port: None };

const ID: u16 = 1;
const GROUP: u16 = 2;
const LINK: u16 = 3;
const LOCAL: u16 = 4;
const TTL: u16 = 5;
const TOS: u16 = 6;
const LEARNING: u16 = 7;
const AGEING: u16 = 8;
const LIMIT: u16 = 9;
const PORT_RANGE: u16 = 10;
const PROXY: u16 = 11;
const RSC: u16 = 12;
const L2MISS: u16 = 13;
const L3MISS: u16 = 14;
const PORT: u16 = 15;
const GROUP6: u16 = 16;
const LOCAL6: u16 = 17;
const UDP_CSUM: u16 = 18;
const UDP_ZERO_CSUM6_TX: u16 = 19;
const UDP_ZERO_CSUM6_RX: u16 = 20;
const REMCSUM_TX: u16 = 21;
const REMCSUM_RX: u16 = 22;
const GBP: u16 = 23;
const COLLECT_METADATA: u16 = 25;
const LABEL: u16 = 26;
const TTL_INHERIT: u16 = 28;
const GPE: u16 = 27;
const DF: u16 = 29;

/// iproute2's words of this place that are not covered.
const NOT_COVERED: &[&str] = &["gpe"];

/// Words that turn something on, with `no` before them off.
const SWITCHES: &[(&str, u16)] = &[
    ("learning", LEARNING),
    ("proxy", PROXY),
    ("rsc", RSC),
    ("l2miss", L2MISS),
    ("l3miss", L3MISS),
    ("udpcsum", UDP_CSUM),
    ("udp6zerocsumtx", UDP_ZERO_CSUM6_TX),
    ("udp6zerocsumrx", UDP_ZERO_CSUM6_RX),
    ("remcsumtx", REMCSUM_TX),
    ("remcsumrx", REMCSUM_RX),
    ("external", COLLECT_METADATA),
];

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    let (mut has_id, mut has_port, mut has_metadata) = (false, false, false);
    let (mut group, mut remote, mut local) = (None, None, None);
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("id") || is("vni") {
            let id = words.parse("invalid id", integer::<u32>)?;
            if id >= 1 << 24 {
                return Err(words.blame(Failure::invalid("invalid id", &id.to_string())));
            }
            attrs.push(Attr::u32(ID, id));
            has_id = true;
        } else if is("group") {
            let family = local.map_or(Family::Any, Family::of);
            let found = end(words, family, true, "invalid group address")?;
            attrs.push(address(found, GROUP, GROUP6));
            group = Some(found);
        } else if is("remote") {
            let family = local.map_or(Family::Any, Family::of);
            let found = end(words, family, false, "invalid remote address")?;
            attrs.push(address(found, GROUP, GROUP6));
            remote = Some(found);
        } else if is("local") {
            let family = remote.or(group).map_or(Family::Any, Family::of);
            let found = end(words, family, false, "invalid local address")?;
            attrs.push(address(found, LOCAL, LOCAL6));
            local = Some(found);
        } else if is("dev") {
            let name = words.value()?;
            match context.world.index(name) {
                0 => return Err(words.blame(Failure::no_device(name))),
                index => attrs.push(Attr::u32(LINK, index)),
            }
        } else if is("ttl") || is("hoplimit") {
            if words.peek() == Some("inherit") {
                words.take();
                attrs.push(Attr::Value(TTL_INHERIT, Vec::new()));
                continue;
            }
            let read = |word: &str| if word == "auto" { Some(0) } else { integer::<u8>(word) };
            attrs.push(Attr::u8(TTL, words.parse("TTL must be <= 255", read)?));
        } else if is("tos") || is("dsfield") {
            attrs.push(Attr::u8(TOS, super::tunnel::tos(words, context)?));
        } else if is("ageing") {
            let read = |word: &str| if word == "none" { Some(0) } else { integer::<u32>(word) };
            attrs.push(Attr::u32(AGEING, words.parse("ageing timer", read)?));
        } else if is("maxaddress") {
            let read =
                |word: &str| if word == "unlimited" { Some(0) } else { integer::<u32>(word) };
            attrs.push(Attr::u32(LIMIT, words.parse("max addresses", read)?));
        } else if is("port") || is("srcport") {
            let low = words.parse("min port", integer::<u16>)?;
            let high = words.parse("max port", integer::<u16>)?;
            let range = [low.to_be_bytes(), high.to_be_bytes()].concat();
            attrs.push(Attr::Value(PORT_RANGE, range));
        } else if is("dstport") {
            let port = words.parse("dst port", integer::<u16>)?;
            attrs.push(Attr::Value(PORT, port.to_be_bytes().to_vec()));
            has_port = true;
        } else if let Some((attr, on)) = switch(word) {
            attrs.push(Attr::u8(attr, on.into()));
            has_metadata |= attr == COLLECT_METADATA && on;
        } else if is("flowlabel") || is("label") {
            let read = |word: &str| integer::<u32>(word).filter(|label| *label <= 0xf_ffff);
            let label = words.parse("invalid flowlabel", read)?;
            attrs.push(Attr::Value(LABEL, label.to_be_bytes().to_vec()));
        } else if is("df") {
            attrs.push(Attr::u8(DF, super::tunnel::df(words)?));
        } else if is("gbp") {
            attrs.push(Attr::Value(GBP, Vec::new()));
        } else if NOT_COVERED.iter().any(|known| is(known)) {
            return Err(words.blame(Failure::not_covered(&format!("`{word}` of a vxlan"))));
        } else {
            return Err(super::unknown(words, "vxlan: unknown command", word));
        }
    }
    if group.is_some() && remote.is_some() {
        let line = "vxlan: both group and remote cannot be specified";
        return Err(Failure::command(1, line));
    }
    if has_metadata && has_id {
        let line = "vxlan: both 'external' and vni cannot be specified";
        return Err(Failure::command(1, line));
    }
    if !has_id && !has_metadata && context.creates {
        return Err(Failure::command(1, "vxlan: missing virtual network identifier"));
    }
    if has_metadata && !attrs.iter().any(|attr| matches!(attr, Attr::Value(LEARNING, _))) {
        attrs.push(Attr::u8(LEARNING, 0));
    }
    if !has_port && context.creates {
        // IANA has given it 4789, but the kernel's default is what Linux used before (8472).
        context.warnings.push("vxlan: destination port not specified".to_owned());
        context
            .warnings
            .push("the kernel takes 8472; `dstport 4789` is the assigned one".to_owned());
    }
    Ok(attrs)
}

/// Reads the address of an end: a group's where `is_group`, otherwise none of a group.
fn end(words: &mut Words<'_>, family: Family, is_group: bool, why: &str) -> Read<IpAddr> {
    let found = words.address(family)?;
    if found.is_multicast() != is_group {
        return Err(words.blame(Failure::invalid(why, &found.to_string())));
    }
    Ok(found)
}

fn switch(word: &str) -> Option<(u16, bool)> {
    let find = |word: &str| SWITCHES.iter().find(|(name, _)| abbreviates(word, name));
    if let Some((_, attr)) = find(word) {
        return Some((*attr, true));
    }
    find(word.strip_prefix("no")?).map(|(_, attr)| (*attr, false))
}

fn address(address: IpAddr, v4: u16, v6: u16) -> Attr {
    Attr::address(if address.is_ipv4() { v4 } else { v6 }, address)
}

fn print(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    let on = |attr: u16| data.u8(attr).is_some_and(|on| on != 0);
    if on(COLLECT_METADATA) {
        out.flag("external", "external ");
    }
    if let Some(id) = data.u32(ID) {
        out.num("id", "id {} ", id);
    }
    for (attr, key, multicast) in [(GROUP, "", true), (GROUP6, "6", true)] {
        if let Some(address) = data.address(attr).filter(|address| !address.is_unspecified()) {
            let word = if multicast && address.is_multicast() { "group" } else { "remote" };
            out.str(&format!("{word}{key}"), &format!("{word} {{}} "), &address.to_string());
        }
    }
    for (attr, key) in [(LOCAL, "local"), (LOCAL6, "local6")] {
        if let Some(address) = data.address(attr).filter(|address| !address.is_unspecified()) {
            out.str(key, "local {} ", &address.to_string());
        }
    }
    if let Some(index) = data.u32(LINK).filter(|index| *index != 0) {
        out.str("link", "dev {} ", &world.name(index));
    }
    if let Some([a, b, c, d]) = data.get(PORT_RANGE).and_then(|range| range.first_chunk::<4>()) {
        let (low, high) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        out.text(&format!("srcport {low} {high} "));
        out.json(|json| {
            json.name("port_range");
            json.begin_object();
            json.name("low");
            json.plain(low);
            json.name("high");
            json.plain(high);
            json.end_object();
        });
    }
    if let Some(port) = data.u16_be(PORT) {
        out.num("port", "dstport {} ", port);
    }
    print_switches(out, data);
}

fn print_switches(out: &mut Out, data: &Attrs<'_>) {
    let on = |attr: u16| data.u8(attr).is_some_and(|on| on != 0);
    match data.u8(LEARNING) {
        Some(0) => out.num_as("learning", "{} ", false, "nolearning"),
        Some(_) => out.json(|json| {
            json.name("learning");
            json.plain(true);
        }),
        None => {}
    }
    for (attr, word) in [(PROXY, "proxy"), (RSC, "rsc"), (L2MISS, "l2miss"), (L3MISS, "l3miss")] {
        if on(attr) {
            out.flag(word, &format!("{word} "));
        }
    }
    match data.u8(TOS) {
        Some(1) => out.text("tos inherit "),
        Some(tos) if tos != 0 => out.str("tos", "tos {} ", &format!("{tos:#x}")),
        _ => {}
    }
    match data.u8(TTL) {
        _ if data.u8(TTL_INHERIT).is_some_and(|on| on != 0) => out.text("ttl inherit "),
        Some(0) | None => out.num_as("ttl", "ttl {} ", 0, "auto"),
        Some(ttl) => out.num("ttl", "ttl {} ", ttl),
    }
    match data.u8(DF) {
        Some(1) => out.str("df", "df {} ", "set"),
        Some(2) => out.str("df", "df {} ", "inherit"),
        Some(_) if out.is_json() => out.str("df", "", "unset"),
        _ => {}
    }
    if let Some(label) = data.get(LABEL).and_then(|label| label.first_chunk::<4>())
        && u32::from_be_bytes(*label) != 0
    {
        let label = format!("{:#x}", u32::from_be_bytes(*label));
        out.str("label", "flowlabel {} ", &label);
    }
    match data.u32(AGEING) {
        Some(0) => out.num_as("ageing", "ageing {} ", 0, "none"),
        Some(seconds) => out.num("ageing", "ageing {} ", seconds),
        None => {}
    }
    if let Some(limit) = data.u32(LIMIT).filter(|limit| *limit != 0) {
        out.num("limit", "maxaddr {} ", limit);
    }
    for (attr, key, yes, no) in [
        (UDP_CSUM, "udp_csum", "udpcsum ", "noudpcsum "),
        (UDP_ZERO_CSUM6_TX, "udp_zero_csum6_tx", "udp6zerocsumtx ", "noudp6zerocsumtx "),
        (UDP_ZERO_CSUM6_RX, "udp_zero_csum6_rx", "udp6zerocsumrx ", "noudp6zerocsumrx "),
    ] {
        if let Some(on) = data.u8(attr) {
            out.num_as(key, "{}", on != 0, if on != 0 { yes } else { no });
        }
    }
    for (attr, key, word) in
        [(REMCSUM_TX, "remcsum_tx", "remcsumtx "), (REMCSUM_RX, "remcsum_rx", "remcsumrx ")]
    {
        if on(attr) {
            out.flag(key, word);
        }
    }
    if data.get(GBP).is_some() {
        out.flag("gbp", "gbp ");
    }
    if data.get(GPE).is_some() {
        out.flag("gpe", "gpe ");
    }
}
