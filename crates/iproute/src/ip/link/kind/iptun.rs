//! ipip, sit and ip6tnl: IP packets in IP packets (net/ipv4/ipip.c, net/ipv6/sit.c,
//! net/ipv6/ip6_tunnel.c).

use std::net::{IpAddr, Ipv6Addr};

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs, bytes_of};
use super::super::super::words::{Family, Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::Kind;
use super::tunnel::{self, IPTUN, Tunnel};

pub(super) const KINDS: [Kind; 3] = [
    Kind { name: "ipip", read, print: Some(print), print_port: None, read_port: None },
    Kind { name: "sit", read: read_sit, print: Some(print), print_port: None, read_port: None },
    Kind { name: "ip6tnl", read: read6, print: Some(print6), print_port: None, read_port: None },
];

const TOS: u16 = 5;
const PROTO: u16 = 9;
const PMTUDISC: u16 = 10;
const PREFIX: u16 = 11;
const RELAY_PREFIX: u16 = 12;
const PREFIX_LEN: u16 = 13;
const RELAY_PREFIX_LEN: u16 = 14;

const ISATAP: u16 = 1;

const IPPROTO_IPIP: u8 = 4;
const IPPROTO_IPV6: u8 = 41;
const IPPROTO_MPLS: u8 = 137;

fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    read_over_ipv4(words, context, false)
}

fn read_sit(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    read_over_ipv4(words, context, true)
}

fn read_over_ipv4(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    is_sit: bool,
) -> Read<Vec<Attr>> {
    let mut tunnel = Tunnel::begin(context)?;
    while let Some(word) = words.take() {
        match word {
            "mode" => {
                let read = |word: &str| match word {
                    "ipv6/ipv4" | "ip6ip" if is_sit => Some(IPPROTO_IPV6),
                    "ipv4/ipv4" | "ipip" | "ip4ip4" => Some(IPPROTO_IPIP),
                    "mpls/ipv4" | "mplsip" => Some(IPPROTO_MPLS),
                    "any/ipv4" | "any" => Some(0),
                    _ => None,
                };
                let protocol = words.parse("Cannot guess tunnel mode.", read)?;
                tunnel.set(PROTO, &[protocol]);
            }
            "nopmtudisc" => tunnel.set(PMTUDISC, &[0]),
            "pmtudisc" => tunnel.set(PMTUDISC, &[1]),
            "isatap" if is_sit => {
                let flags = tunnel.u16(IPTUN.flags) | ISATAP;
                tunnel.set(IPTUN.flags, &flags.to_ne_bytes());
            }
            "6rd-prefix" | "6rd-relay_prefix" => read_6rd(&mut tunnel, words, word)?,
            "6rd-reset" => {
                let net: Ipv6Addr = "2002::".parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
                tunnel.set(PREFIX, &net.octets());
                tunnel.set(PREFIX_LEN, &16_u16.to_ne_bytes());
                tunnel.remove(RELAY_PREFIX);
                tunnel.remove(RELAY_PREFIX_LEN);
            }
            "fwmark" => {
                let mark = words.parse("invalid fwmark\n", integer::<u32>)?;
                tunnel.set(IPTUN.fwmark, &mark.to_ne_bytes());
            }
            _ if ["tos", "tclass", "tc"].contains(&word) || abbreviates(word, "dsfield") => {
                let tos = tunnel::tos(words, context)?;
                tunnel.set(TOS, &[tos]);
            }
            word => {
                if !tunnel.read(words, context, &IPTUN, (word, Family::Inet, true))? {
                    return Err(super::usage(words));
                }
            }
        }
    }
    tunnel.set_default(PMTUDISC, &[1]);
    if tunnel.u8(IPTUN.ttl) != 0 && tunnel.u8(PMTUDISC) == 0 {
        return Err(Failure::parser("ttl != 0 and nopmtudisc are incompatible"));
    }
    for attr in [PROTO, TOS, IPTUN.ttl] {
        tunnel.set_default(attr, &[0]);
    }
    defaults_of_all(&mut tunnel);
    let mut settable = SETTABLE.to_vec();
    settable.extend([TOS, PMTUDISC]);
    if is_sit {
        tunnel.set_default(IPTUN.flags, &[0; 2]);
        settable.extend([IPTUN.flags, PREFIX, PREFIX_LEN, RELAY_PREFIX, RELAY_PREFIX_LEN]);
        // Only as much of it is told as is set.
        if !tunnel.has(PREFIX) {
            tunnel.remove(PREFIX_LEN);
        }
    }
    Ok(tunnel.finish(IPTUN.metadata, &[PROTO], &settable))
}

/// What all these tunnels send.
const SETTABLE: [u16; 10] = [
    PROTO,
    IPTUN.link,
    IPTUN.local,
    IPTUN.remote,
    IPTUN.ttl,
    IPTUN.fwmark,
    IPTUN.encap_type,
    IPTUN.encap_flags,
    IPTUN.encap_sport,
    IPTUN.encap_dport,
];

fn defaults_of_all(tunnel: &mut Tunnel) {
    tunnel.set_default(IPTUN.link, &[0; 4]);
    tunnel.set_default(IPTUN.fwmark, &[0; 4]);
    for attr in [IPTUN.encap_type, IPTUN.encap_flags, IPTUN.encap_sport, IPTUN.encap_dport] {
        tunnel.set_default(attr, &[0; 2]);
    }
}

/// Reads a prefix of RFC 5969.
fn read_6rd(tunnel: &mut Tunnel, words: &mut Words<'_>, keyword: &str) -> Read<()> {
    let (attr, length_attr, family) = match keyword {
        "6rd-prefix" => (PREFIX, PREFIX_LEN, Family::Inet6),
        _ => (RELAY_PREFIX, RELAY_PREFIX_LEN, Family::Inet),
    };
    let prefix = words.prefix(family)?;
    if let Some(address) = prefix.address {
        tunnel.set(attr, &bytes_of(address));
        tunnel.set(length_attr, &u16::from(prefix.length).to_ne_bytes());
    }
    Ok(())
}

fn read6(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Vec<Attr>> {
    let mut tunnel = Tunnel::begin(context)?;
    while let Some(word) = words.take() {
        if word == "mode" {
            let read = |word: &str| match word {
                "ipv6/ipv6" | "ip6ip6" => Some(IPPROTO_IPV6),
                "ip/ipv6" | "ipv4/ipv6" | "ipip6" | "ip4ip6" => Some(IPPROTO_IPIP),
                "any/ipv6" | "any" => Some(0),
                _ => None,
            };
            let protocol = words.parse("Cannot guess tunnel mode.", read)?;
            tunnel.set(PROTO, &[protocol]);
            continue;
        }
        let known = tunnel.read_over_ipv6(words, &IPTUN, word, true)?
            || tunnel.read(words, context, &IPTUN, (word, Family::Inet6, true))?;
        if !known {
            return Err(super::usage(words));
        }
    }
    tunnel.set_default(PROTO, &[0]);
    tunnel.set_default(IPTUN.ttl, &[64]);
    tunnel.set_default(IPTUN.encap_limit, &[4]);
    tunnel.set_default(IPTUN.flow_info, &[0; 4]);
    tunnel.set_default(IPTUN.flags, &[0; 4]);
    defaults_of_all(&mut tunnel);
    let mut settable = SETTABLE.to_vec();
    settable.extend([IPTUN.encap_limit, IPTUN.flow_info, IPTUN.flags]);
    Ok(tunnel.finish(IPTUN.metadata, &[PROTO], &settable))
}

fn print_protocol(out: &mut Out, data: &Attrs<'_>, names: &[(u8, &str)]) {
    let Some(protocol) = data.u8(PROTO) else { return };
    if let Some((_, name)) = names.iter().find(|(number, _)| *number == protocol) {
        out.str("proto", "{} ", name);
    }
}

fn print(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    if data.get(IPTUN.metadata).is_some() {
        out.flag("external", "external ");
    }
    let names =
        [(IPPROTO_IPIP, "ipip"), (IPPROTO_IPV6, "ip6ip"), (IPPROTO_MPLS, "mplsip"), (0, "any")];
    print_protocol(out, data, &names);
    tunnel::print_ends(out, data, &IPTUN, world);
    tunnel::print_ttl(out, data.u8(IPTUN.ttl).unwrap_or(0), "ttl");
    tunnel::print_tos(out, data.u8(TOS).unwrap_or(0));
    match data.u8(PMTUDISC) {
        Some(1..) => out.flag("pmtudisc", "pmtudisc "),
        _ => out.num_as("pmtudisc", "{}", false, "nopmtudisc "),
    }
    if data.u16(IPTUN.flags).is_some_and(|flags| flags & ISATAP != 0) {
        out.flag("isatap", "isatap ");
    }
    print_6rd(out, data);
    tunnel::print_mark(out, data.u32(IPTUN.fwmark));
    tunnel::print_encapsulation(out, data, &IPTUN);
}

fn print_6rd(out: &mut Out, data: &Attrs<'_>) {
    let Some(length) = data.u16(PREFIX_LEN).filter(|length| *length != 0) else { return };
    let prefix = data.address(PREFIX).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    out.str("prefix", "6rd-prefix {}/", &prefix.to_string());
    out.num("prefixlen", "{} ", length);
    if let Some(relay) = data.address(RELAY_PREFIX).filter(|relay| !relay.is_unspecified()) {
        out.str("relay_prefix", "6rd-relay_prefix {}/", &relay.to_string());
        out.num("relay_prefixlen", "{} ", data.u16(RELAY_PREFIX_LEN).unwrap_or(0));
    }
}

fn print6(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    if data.get(IPTUN.metadata).is_some() {
        out.flag("external", "external ");
    }
    print_protocol(out, data, &[(IPPROTO_IPIP, "ipip6"), (IPPROTO_IPV6, "ip6ip6"), (0, "any")]);
    tunnel::print_ends(out, data, &IPTUN, world);
    tunnel::print_ttl(out, data.u8(IPTUN.ttl).unwrap_or(0), "hoplimit");
    tunnel::print_over_ipv6(out, data, &IPTUN);
    tunnel::print_flags_over_ipv6(out, data, &IPTUN, true);
    tunnel::print_encapsulation(out, data, &IPTUN);
}
