//! geneve: a layer 2 network over UDP (RFC 8926, drivers/net/geneve.c).

use std::net::IpAddr;

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Family, Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "geneve", read, print: Some(print), print_port: None, read_port: None };

const ID: u16 = 1;
const REMOTE: u16 = 2;
const TTL: u16 = 3;
const TOS: u16 = 4;
const PORT: u16 = 5;
const COLLECT_METADATA: u16 = 6;
const REMOTE6: u16 = 7;
const UDP_CSUM: u16 = 8;
const UDP_ZERO_CSUM6_TX: u16 = 9;
const UDP_ZERO_CSUM6_RX: u16 = 10;
const LABEL: u16 = 11;
const TTL_INHERIT: u16 = 12;
const DF: u16 = 13;
const INNER_PROTO_INHERIT: u16 = 14;

/// Words that turn something on, with `no` before them off.
const SWITCHES: &[(&str, u16)] = &[
    ("external", COLLECT_METADATA),
    ("udpcsum", UDP_CSUM),
    ("udp6zerocsumtx", UDP_ZERO_CSUM6_TX),
    ("udp6zerocsumrx", UDP_ZERO_CSUM6_RX),
];

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs: Vec<Attr> = Vec::new();
    let mut seen: Vec<u16> = Vec::new();
    let (mut id, mut metadata) = (None, false);
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        let mut once = |words: &mut Words<'_>, attr: u16, keyword: &str| match seen.contains(&attr)
        {
            true => {
                let value = words.value()?;
                Err(words.blame(Failure::garbage(keyword, value)))
            }
            false => {
                seen.push(attr);
                Ok(())
            }
        };
        if is("id") || is("vni") {
            once(words, ID, "id")?;
            let read = |word: &str| integer::<u32>(word).filter(|id| *id < 1 << 24);
            id = Some(words.parse("invalid id", read)?);
        } else if is("remote") {
            once(words, REMOTE, "remote")?;
            attrs.push(remote(words)?);
        } else if is("ttl") || is("hoplimit") {
            once(words, TTL, "ttl")?;
            attrs.push(ttl(words)?);
        } else if is("tos") || is("dsfield") {
            once(words, TOS, "tos")?;
            attrs.push(Attr::u8(TOS, super::tunnel::tos(words, context)?));
        } else if is("df") {
            once(words, DF, "df")?;
            attrs.push(Attr::u8(DF, super::tunnel::df(words)?));
        } else if is("label") || is("flowlabel") {
            once(words, LABEL, "flowlabel")?;
            let read = |word: &str| integer::<u32>(word).filter(|label| *label < 1 << 20);
            let label = words.parse("invalid flowlabel", read)?;
            attrs.push(Attr::Value(LABEL, label.to_be_bytes().to_vec()));
        } else if is("dstport") {
            once(words, PORT, "dstport")?;
            let port = words.parse("dstport", integer::<u16>)?;
            if port != 0 {
                attrs.push(Attr::Value(PORT, port.to_be_bytes().to_vec()));
            }
        } else if let Some((attr, on)) = switch(word) {
            match attr {
                COLLECT_METADATA => metadata = on,
                attr => attrs.push(Attr::u8(attr, on.into())),
            }
        } else if word == "innerprotoinherit" {
            attrs.push(Attr::Value(INNER_PROTO_INHERIT, Vec::new()));
        } else {
            return Err(super::unknown(words, "geneve: unknown command", word));
        }
    }
    finish(attrs, id, metadata, context.creates)
}

fn finish(mut attrs: Vec<Attr>, id: Option<u32>, metadata: bool, creates: bool) -> Read<Vec<Attr>> {
    let has = |attrs: &[Attr], wanted: &[u16]| {
        attrs.iter().any(|attr| matches!(attr, Attr::Value(kind, _) if wanted.contains(kind)))
    };
    if metadata && id.is_some() {
        let line = "geneve: both 'external' and vni cannot be specified";
        return Err(Failure::command(1, line));
    }
    if !metadata && id.is_none() {
        let line = "geneve: missing virtual network identifier";
        return Err(Failure::command(1, line).hint("say which: `id N`"));
    }
    if !metadata && creates && !has(&attrs, &[REMOTE, REMOTE6]) {
        let line = "geneve: remote link partner not specified";
        return Err(Failure::command(1, line).hint("say who: `remote ADDRESS`"));
    }
    attrs.push(Attr::u32(ID, id.unwrap_or(0)));
    if metadata {
        attrs.push(Attr::Value(COLLECT_METADATA, Vec::new()));
    }
    if creates {
        if !has(&attrs, &[LABEL]) {
            attrs.push(Attr::u32(LABEL, 0));
        }
        for attr in [TTL, TOS] {
            if !has(&attrs, &[attr]) {
                attrs.push(Attr::u8(attr, 0));
            }
        }
    }
    Ok(attrs)
}

fn remote(words: &mut Words<'_>) -> Read<Attr> {
    let address = words.address(Family::Any)?;
    if address.is_multicast() {
        let word = address.to_string();
        return Err(words.blame(Failure::invalid("invalid remote address", &word)));
    }
    let attr = if matches!(address, IpAddr::V4(_)) { REMOTE } else { REMOTE6 };
    Ok(Attr::address(attr, address))
}

fn ttl(words: &mut Words<'_>) -> Read<Attr> {
    match words.value()? {
        "inherit" => Ok(Attr::u8(TTL_INHERIT, 1)),
        "auto" => Ok(Attr::u8(TTL, 0)),
        word => match integer::<u32>(word).map(u8::try_from) {
            Some(Ok(ttl)) => Ok(Attr::u8(TTL, ttl)),
            Some(Err(_)) => Err(words.blame(Failure::invalid("TTL must be <= 255", word))),
            None => Err(words.blame(Failure::invalid("invalid TTL", word))),
        },
    }
}

fn switch(word: &str) -> Option<(u16, bool)> {
    let find = |word: &str| SWITCHES.iter().find(|(name, _)| abbreviates(word, name));
    if let Some((_, attr)) = find(word) {
        return Some((*attr, true));
    }
    find(word.strip_prefix("no")?).map(|(_, attr)| (*attr, false))
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    if data.get(COLLECT_METADATA).is_some() {
        out.flag("external", "external ");
    }
    if let Some(id) = data.u32(ID) {
        out.num("id", "id {} ", id);
    }
    for (attr, key) in [(REMOTE, "remote"), (REMOTE6, "remote6")] {
        if let Some(address) = data.address(attr).filter(|address| !address.is_unspecified()) {
            out.str(key, "remote {} ", &address.to_string());
        }
    }
    if data.u8(TTL_INHERIT).is_some_and(|on| on != 0) {
        out.text("ttl inherit ");
    } else if let Some(ttl) = data.u8(TTL) {
        match ttl {
            0 if !out.is_json() => out.text("ttl auto "),
            ttl => out.num("ttl", "ttl {} ", ttl),
        }
    }
    super::tunnel::print_tos(out, data.u8(TOS).unwrap_or(0));
    match data.u8(DF).map(|df| super::tunnel::DF_WORDS.get(usize::from(df))) {
        Some(Some(&"unset")) => out.json(|json| {
            json.name("df");
            json.string("unset");
        }),
        Some(Some(word)) => out.str("df", "df {} ", word),
        _ => {}
    }
    if let Some(label) = data.get(LABEL).and_then(|label| label.first_chunk::<4>())
        && u32::from_be_bytes(*label) != 0
    {
        out.str("label", "flowlabel {} ", &format!("{:#x}", u32::from_be_bytes(*label)));
    }
    if let Some(port) = data.u16_be(PORT) {
        out.num("port", "dstport {} ", port);
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
    if data.get(INNER_PROTO_INHERIT).is_some() {
        out.flag("inner_proto_inherit", "innerprotoinherit ");
    }
}
