//! gre, gretap, ip6gre and ip6gretap: tunnels of RFC 2784 (net/ipv4/ip_gre.c, net/ipv6/ip6_gre.c).

use std::net::{IpAddr, Ipv4Addr};

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Family, Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::Kind;
use super::tunnel::{self, GRE, Tunnel};

const fn over_ipv4(name: &'static str) -> Kind {
    Kind { name, read, print: Some(print), print_port: None, read_port: None }
}

const fn over_ipv6(name: &'static str) -> Kind {
    Kind { name, read: read6, print: Some(print6), print_port: None, read_port: None }
}

pub(super) const KINDS: [Kind; 4] =
    [over_ipv4("gre"), over_ipv4("gretap"), over_ipv6("ip6gre"), over_ipv6("ip6gretap")];

const IFLAGS: u16 = 2;
const OFLAGS: u16 = 3;
const IKEY: u16 = 4;
const OKEY: u16 = 5;
const TOS: u16 = 9;
const PMTUDISC: u16 = 10;
const IGNORE_DF: u16 = 19;

/// Bits of the header (`GRE_*`, linux/if_tunnel.h).
const CSUM: u16 = 0x8000;
const KEY: u16 = 0x2000;
const SEQ: u16 = 0x1000;

/// Words that set bits of what is received, of what is sent, or of both; with `no` before them they
/// clear them.
const BITS: &[(&str, u16, bool, bool)] = &[
    ("seq", SEQ, true, true),
    ("iseq", SEQ, true, false),
    ("oseq", SEQ, false, true),
    ("csum", CSUM, true, true),
    ("icsum", CSUM, true, false),
    ("ocsum", CSUM, false, true),
];

const KEYS: &[(&str, bool, bool)] =
    &[("key", true, true), ("ikey", true, false), ("okey", false, true)];

/// Reads a word of the header's bits and keys.
fn read_header(tunnel: &mut Tunnel, words: &mut Words<'_>, word: &str) -> Read<bool> {
    let find = |word: &str| KEYS.iter().find(|(name, ..)| abbreviates(word, name));
    if let Some((name, receives, sends)) = find(word) {
        let key = key(words, name)?;
        for (flags, attr, wanted) in [(IFLAGS, IKEY, receives), (OFLAGS, OKEY, sends)] {
            if *wanted {
                tunnel.set_bits_be(flags, KEY, true);
                tunnel.set(attr, &key.to_be_bytes());
            }
        }
        return Ok(true);
    }
    if let Some((_, receives, sends)) = word.strip_prefix("no").and_then(find) {
        for (flags, attr, wanted) in [(IFLAGS, IKEY, receives), (OFLAGS, OKEY, sends)] {
            if *wanted {
                tunnel.set_bits_be(flags, KEY, false);
                tunnel.set(attr, &[0; 4]);
            }
        }
        return Ok(true);
    }
    let find = |word: &str| BITS.iter().find(|(name, ..)| abbreviates(word, name));
    let (found, on) = match find(word) {
        Some(found) => (Some(found), true),
        None => (word.strip_prefix("no").and_then(find), false),
    };
    let Some((_, bit, receives, sends)) = found else { return Ok(false) };
    for (flags, wanted) in [(IFLAGS, receives), (OFLAGS, sends)] {
        if *wanted {
            tunnel.set_bits_be(flags, *bit, on);
        }
    }
    Ok(true)
}

/// Reads a key: a number, or four with dots between them.
fn key(words: &mut Words<'_>, name: &str) -> Read<u32> {
    let word = words.value()?;
    let read = match word.contains('.') {
        true => super::super::super::words::address(word, Family::Inet).and_then(|key| match key {
            IpAddr::V4(key) => Some(u32::from(key)),
            IpAddr::V6(_) => None,
        }),
        false => integer(word),
    };
    read.ok_or_else(|| {
        let line =
            format!("invalid value for \"{name}\": \"{word}\"; it should be an unsigned integer");
        words.blame(Failure::parser(line))
    })
}

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut tunnel = Tunnel::begin(context)?;
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if read_header(&mut tunnel, words, word)? {
        } else if is("nopmtudisc") {
            tunnel.set(PMTUDISC, &[0]);
        } else if is("pmtudisc") {
            tunnel.set(PMTUDISC, &[1]);
        } else if is("tos") || is("tclass") || is("dsfield") {
            let tos = tunnel::tos(words, context)?;
            tunnel.set(TOS, &[tos]);
        } else if word == "ignore-df" || word == "noignore-df" {
            tunnel.set(IGNORE_DF, &[u8::from(word == "ignore-df")]);
        } else if word == "fwmark" {
            let mark = words.parse("invalid fwmark\n", integer::<u32>)?;
            tunnel.set(GRE.fwmark, &mark.to_ne_bytes());
        } else if !tunnel.read(words, context, &GRE, (word, Family::Inet, false))? {
            return Err(super::usage(words));
        }
    }
    broadcast(&mut tunnel)?;
    tunnel.set_default(PMTUDISC, &[1]);
    for (attr, length) in [(IFLAGS, 2), (OFLAGS, 2), (IKEY, 4), (OKEY, 4), (TOS, 1), (GRE.ttl, 1)] {
        tunnel.set_default(attr, &[0; 4][..length]);
    }
    defaults_of_all(&mut tunnel);
    let mut settable = vec![IFLAGS, OFLAGS, IKEY, OKEY, TOS, PMTUDISC, IGNORE_DF];
    settable.extend(SETTABLE);
    Ok(tunnel.finish(GRE.metadata, &[], &settable))
}

/// A tunnel to a group has that for its key, and needs an address to send from.
fn broadcast(tunnel: &mut Tunnel) -> Read<()> {
    let group = Ipv4Addr::from(tunnel.u32(GRE.remote).to_ne_bytes());
    if !group.is_multicast() {
        return Ok(());
    }
    for (flags, attr) in [(IFLAGS, IKEY), (OFLAGS, OKEY)] {
        if tunnel.u32(attr) == 0 {
            tunnel.set(attr, &group.octets());
            tunnel.set_bits_be(flags, KEY, true);
        }
    }
    if !tunnel.has(GRE.local) {
        return Err(Failure::command(1, "A broadcast tunnel requires a source address.")
            .hint("say from which: `local ADDRESS`"));
    }
    Ok(())
}

/// What all tunnels of GRE send.
const SETTABLE: [u16; 9] = [
    GRE.link,
    GRE.local,
    GRE.remote,
    GRE.ttl,
    GRE.fwmark,
    GRE.encap_type,
    GRE.encap_flags,
    GRE.encap_sport,
    GRE.encap_dport,
];

fn defaults_of_all(tunnel: &mut Tunnel) {
    tunnel.set_default(GRE.fwmark, &[0; 4]);
    for attr in [GRE.encap_type, GRE.encap_flags, GRE.encap_sport, GRE.encap_dport] {
        tunnel.set_default(attr, &[0; 2]);
    }
}

fn read6(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut tunnel = Tunnel::begin(context)?;
    while let Some(word) = words.take() {
        let known = read_header(&mut tunnel, words, word)?
            || tunnel.read_over_ipv6(words, &GRE, word, false)?
            || tunnel.read(words, context, &GRE, (word, Family::Inet6, false))?;
        if !known {
            return Err(super::usage(words));
        }
    }
    tunnel.set_default(GRE.ttl, &[64]);
    tunnel.set_default(GRE.encap_limit, &[4]);
    for (attr, length) in [(IFLAGS, 2), (OFLAGS, 2), (IKEY, 4), (OKEY, 4)] {
        tunnel.set_default(attr, &[0; 4][..length]);
    }
    tunnel.set_default(GRE.flow_info, &[0; 4]);
    tunnel.set_default(GRE.flags, &[0; 4]);
    defaults_of_all(&mut tunnel);
    let mut settable = vec![IFLAGS, OFLAGS, IKEY, OKEY, GRE.encap_limit, GRE.flow_info, GRE.flags];
    settable.extend(SETTABLE);
    Ok(tunnel.finish(GRE.metadata, &[], &settable))
}

fn print_header(out: &mut Out, data: &Attrs<'_>) {
    let (received, sent) = (data.u16_be(IFLAGS).unwrap_or(0), data.u16_be(OFLAGS).unwrap_or(0));
    for (flags, attr, key) in [(received, IKEY, "ikey"), (sent, OKEY, "okey")] {
        if let Some(bytes) = data.get(attr).and_then(|bytes| bytes.first_chunk::<4>())
            && flags & KEY != 0
        {
            out.str(key, &format!("{key} {{}} "), &Ipv4Addr::from(*bytes).to_string());
        }
    }
    for (flags, bit, word) in [
        (received, SEQ, "iseq"),
        (sent, SEQ, "oseq"),
        (received, CSUM, "icsum"),
        (sent, CSUM, "ocsum"),
    ] {
        if flags & bit != 0 {
            out.flag(word, &format!("{word} "));
        }
    }
}

fn print(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    if data.get(GRE.metadata).is_some() {
        out.flag("external", "external ");
    }
    tunnel::print_ends(out, data, &GRE, world);
    tunnel::print_ttl(out, data.u8(GRE.ttl).unwrap_or(0), "ttl");
    tunnel::print_tos(out, data.u8(TOS).unwrap_or(0));
    match data.u8(PMTUDISC) {
        Some(0) => out.num_as("pmtudisc", "{}", false, "nopmtudisc "),
        Some(_) => out.num_as("pmtudisc", "{}", true, ""),
        None => {}
    }
    if data.u8(IGNORE_DF).is_some_and(|on| on != 0) {
        out.flag("ignore_df", "ignore-df ");
    }
    print_header(out, data);
    tunnel::print_mark(out, data.u32(GRE.fwmark));
    tunnel::print_encapsulation(out, data, &GRE);
}

fn print6(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    if data.get(GRE.metadata).is_some() {
        out.flag("external", "external ");
    }
    tunnel::print_ends(out, data, &GRE, world);
    tunnel::print_ttl(out, data.u8(GRE.ttl).unwrap_or(0), "hoplimit");
    tunnel::print_over_ipv6(out, data, &GRE);
    print_header(out, data);
    tunnel::print_flags_over_ipv6(out, data, &GRE, false);
    tunnel::print_encapsulation(out, data, &GRE);
}
