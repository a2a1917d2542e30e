//! vlan: a VLAN of an interface (net/8021q/vlan_netlink.c).

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::super::set::on_off;
use super::Kind;

pub(super) const KIND: Kind =
    Kind { name: "vlan", read, print: Some(print), print_port: None, read_port: None };

const ID: u16 = 1;
const FLAGS: u16 = 2;
const EGRESS_QOS: u16 = 3;
const INGRESS_QOS: u16 = 4;
const PROTOCOL: u16 = 5;
const QOS_MAPPING: u16 = 1;

/// The flags in the order in which they are shown: bit, word, name.
const SWITCHES: &[(u32, &str, &str)] = &[
    (1, "reorder_hdr", "REORDER_HDR"),
    (2, "gvrp", "GVRP"),
    (8, "mvrp", "MVRP"),
    (4, "loose_binding", "LOOSE_BINDING"),
    (16, "bridge_binding", "BRIDGE_BINDING"),
];

fn read(words: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut attrs = Vec::new();
    let (mut flags, mut mask) = (0_u32, 0_u32);
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("protocol") {
            let protocol = words.parse("protocol is invalid", protocol)?;
            attrs.push(Attr::Value(PROTOCOL, protocol.to_be_bytes().to_vec()));
        } else if is("id") {
            attrs.push(Attr::u16(ID, words.parse("id is invalid", integer)?));
        } else if let Some((bit, name, _)) = SWITCHES.iter().find(|(_, name, _)| is(name)) {
            mask |= bit;
            flags = flags & !bit | if on_off(words, name)? { *bit } else { 0 };
        } else if is("ingress-qos-map") {
            attrs.push(mapping(words, INGRESS_QOS, "invalid ingress-qos-map")?);
        } else if is("egress-qos-map") {
            attrs.push(mapping(words, EGRESS_QOS, "invalid egress-qos-map")?);
        } else {
            return Err(super::unknown(words, "vlan: unknown command", word));
        }
    }
    if mask != 0 {
        attrs.push(Attr::Value(FLAGS, [flags.to_ne_bytes(), mask.to_ne_bytes()].concat()));
    }
    Ok(attrs)
}

fn protocol(word: &str) -> Option<u16> {
    match word.to_ascii_lowercase().as_str() {
        "802.1q" => Some(0x8100),
        "802.1ad" => Some(0x88a8),
        word => integer(word),
    }
}

/// Reads pairs `FROM:TO` as far as there are any.
fn mapping(words: &mut Words<'_>, attr: u16, why: &str) -> Read<Attr> {
    words.value()?;
    words.back();
    let mut pairs = Vec::new();
    while let Some((from, to)) = words.peek().and_then(|word| word.split_once(':')) {
        words.take();
        let (Some(from_number), Some(to)) = (integer::<u32>(from), integer::<u32>(to)) else {
            // iproute2 has cut the word at its colon by then.
            return Err(words.blame(Failure::invalid(why, from)));
        };
        let value = [from_number.to_ne_bytes(), to.to_ne_bytes()].concat();
        pairs.push(Attr::Value(QOS_MAPPING, value));
    }
    Ok(Attr::Nest(attr, pairs))
}

fn print(out: &mut Out, data: &Attrs<'_>, _: &mut dyn World) {
    let Some(id) = data.u16(ID) else { return };
    let protocol = match data.u16_be(PROTOCOL) {
        None => "802.1q".to_owned(),
        Some(0x8100) => "802.1Q".to_owned(),
        Some(0x88a8) => "802.1ad".to_owned(),
        Some(other) => format!("[{other}]"),
    };
    out.str("protocol", "protocol {} ", &protocol);
    out.num("id", "id {} ", id);
    if let Some(bytes) = data.get(FLAGS).and_then(|flags| flags.first_chunk()) {
        let flags = u32::from_ne_bytes(*bytes);
        out.open_array("flags", "<");
        let mut before = "";
        for (_, _, name) in SWITCHES.iter().filter(|(bit, ..)| flags & bit != 0) {
            out.str("", &format!("{before}{{}}"), name);
            before = ",";
        }
        out.close_array("> ");
    }
    for (attr, key, word) in [
        (INGRESS_QOS, "ingress_qos", "ingress-qos-map"),
        (EGRESS_QOS, "egress_qos", "egress-qos-map"),
    ] {
        if let Some(map) = data.get(attr) {
            print_map(out, key, word, map);
        }
    }
}

fn print_map(out: &mut Out, key: &str, word: &str, map: &[u8]) {
    out.next_line();
    out.open_array(key, &format!("      {word} {{ "));
    for pair in vnet_netlink::attr::Attributes::new(map).map_while(Result::ok) {
        let Some([a, b, c, d, e, f, g, h]) = pair.value.first_chunk::<8>() else { continue };
        out.open(None);
        out.num("from", "{}:", u32::from_ne_bytes([*a, *b, *c, *d]));
        out.num("to", "{} ", u32::from_ne_bytes([*e, *f, *g, *h]));
        out.close();
    }
    out.close_array("} ");
}
