//! What tunnels have in common: their two ends, and what is around their packets.

use std::collections::BTreeMap;

use super::super::super::failure::Failure;
use super::super::super::out::Out;
use super::super::super::wire::{Attr, Attrs};
use super::super::super::words::{Family, Read, Words, abbreviates, integer};
use super::super::super::{Context, World};
use super::super::{HEADER_BYTES, IFLA_INFO_DATA, IFLA_LINKINFO};

/// The numbers of the attributes that all tunnels have, each kind its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) link: u16,
    pub(super) local: u16,
    pub(super) remote: u16,
    pub(super) ttl: u16,
    pub(super) encap_type: u16,
    pub(super) encap_flags: u16,
    pub(super) encap_sport: u16,
    pub(super) encap_dport: u16,
    pub(super) metadata: u16,
    pub(super) fwmark: u16,
    /// Of tunnels over IPv6.
    pub(super) encap_limit: u16,
    pub(super) flow_info: u16,
    pub(super) flags: u16,
}

/// Tunnels of GRE (`IFLA_GRE_*`, linux/if_tunnel.h).
pub(super) const GRE: Layout = Layout {
    link: 1,
    local: 6,
    remote: 7,
    ttl: 8,
    encap_type: 14,
    encap_flags: 15,
    encap_sport: 16,
    encap_dport: 17,
    metadata: 18,
    fwmark: 20,
    encap_limit: 11,
    flow_info: 12,
    flags: 13,
};

/// Tunnels of IP in IP (`IFLA_IPTUN_*`, linux/if_tunnel.h).
pub(super) const IPTUN: Layout = Layout {
    link: 1,
    local: 2,
    remote: 3,
    ttl: 4,
    encap_type: 15,
    encap_flags: 16,
    encap_sport: 17,
    encap_dport: 18,
    metadata: 19,
    fwmark: 20,
    encap_limit: 6,
    flow_info: 7,
    flags: 8,
};

/// The attributes of a tunnel: as they are, or as they are born.
#[derive(Debug, Default)]
pub(super) struct Tunnel {
    values: BTreeMap<u16, Vec<u8>>,
}

impl Tunnel {
    /// Begins with what is said of the tunnel so far where it is there already.
    pub(super) fn begin(context: &mut Context<'_>) -> Read<Self> {
        if context.creates {
            return Ok(Self::default());
        }
        let failed = || Failure::command(1, "Failed to get existing tunnel info.");
        let link = context.world.link(context.index).ok_or_else(failed)?;
        let attrs = link.attrs(HEADER_BYTES);
        let info = attrs.nested(IFLA_LINKINFO).ok_or_else(failed)?;
        let data = info.get(IFLA_INFO_DATA).ok_or_else(failed)?;
        let found = vnet_netlink::attr::Attributes::new(data).map_while(Result::ok);
        Ok(Self { values: found.map(|attr| (attr.kind, attr.value.to_vec())).collect() })
    }

    pub(super) fn has(&self, attr: u16) -> bool {
        self.values.contains_key(&attr)
    }

    pub(super) fn set(&mut self, attr: u16, value: &[u8]) {
        self.values.insert(attr, value.to_vec());
    }

    pub(super) fn remove(&mut self, attr: u16) {
        self.values.remove(&attr);
    }

    /// Sets what was not said.
    pub(super) fn set_default(&mut self, attr: u16, value: &[u8]) {
        self.values.entry(attr).or_insert_with(|| value.to_vec());
    }

    pub(super) fn u16(&self, attr: u16) -> u16 {
        self.values.get(&attr).and_then(|v| v.first_chunk()).map_or(0, |b| u16::from_ne_bytes(*b))
    }

    pub(super) fn u32(&self, attr: u16) -> u32 {
        self.values.get(&attr).and_then(|v| v.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b))
    }

    pub(super) fn u8(&self, attr: u16) -> u8 {
        self.values.get(&attr).and_then(|v| v.first()).copied().unwrap_or_default()
    }

    /// Sets and clears bits of a number of 16 bits in network order.
    pub(super) fn set_bits_be(&mut self, attr: u16, bits: u16, on: bool) {
        let now = u16::from_be(self.u16(attr));
        let bits = now & !bits | if on { bits } else { 0 };
        self.set(attr, &bits.to_be_bytes());
    }

    /// Sets and clears bits of a number of 32 bits.
    pub(super) fn set_bits(&mut self, attr: u16, bits: u32, on: bool) {
        let bits = self.u32(attr) & !bits | if on { bits } else { 0 };
        self.set(attr, &bits.to_ne_bytes());
    }

    /// Returns the attributes that may be sent; with `metadata` these alone.
    pub(super) fn finish(self, metadata: u16, kept: &[u16], settable: &[u16]) -> Vec<Attr> {
        let wanted = |attr: &u16| match self.values.contains_key(&metadata) {
            true => *attr == metadata || kept.contains(attr),
            false => settable.contains(attr),
        };
        let values = self.values.iter().filter(|(attr, _)| wanted(attr));
        values.map(|(attr, value)| Attr::Value(*attr, value.clone())).collect()
    }

    /// Reads a word that all tunnels know; `exact` where it may not be abbreviated.
    pub(super) fn read(
        &mut self,
        words: &mut Words<'_>,
        context: &mut Context<'_>,
        layout: &Layout,
        (word, family, exact): (&str, Family, bool),
    ) -> Read<bool> {
        let is = |keyword: &str| word == keyword || (!exact && abbreviates(word, keyword));
        if is("remote") || is("local") {
            let attr = if is("remote") { layout.remote } else { layout.local };
            let address = any_address(words, family)?;
            match address.is_unspecified() {
                true => self.remove(attr),
                false => self.set(attr, &super::super::super::wire::bytes_of(address)),
            }
        } else if abbreviates(word, "dev") {
            let name = words.value()?;
            match context.world.index(name) {
                0 => {
                    let failure = Failure { ends: true, code: 255, ..Failure::no_device(name) };
                    return Err(words.blame(failure));
                }
                index => self.set(layout.link, &index.to_ne_bytes()),
            }
        } else if is("ttl") || is("hoplimit") || is("hlim") {
            let why = if family == Family::Inet { "invalid TTL\n" } else { "invalid HLIM\n" };
            let read = |word: &str| if word == "inherit" { Some(0) } else { integer::<u8>(word) };
            let ttl = words.parse(why, read)?;
            self.set(layout.ttl, &[ttl]);
        } else {
            return self.read_encapsulation(words, layout, word);
        }
        Ok(true)
    }

    fn read_encapsulation(
        &mut self,
        words: &mut Words<'_>,
        layout: &Layout,
        word: &str,
    ) -> Read<bool> {
        match word {
            "noencap" => self.set(layout.encap_type, &0_u16.to_ne_bytes()),
            "encap" => {
                let read = |word: &str| ["none", "fou", "gue"].iter().position(|n| *n == word);
                let kind = words.parse("Invalid encap type.", read)?;
                let kind = u16::try_from(kind).unwrap_or_default();
                self.set(layout.encap_type, &kind.to_ne_bytes());
            }
            "encap-sport" => {
                let read = |word: &str| if word == "auto" { Some(0) } else { integer::<u16>(word) };
                let port = words.parse("Invalid source port.", read)?;
                self.set(layout.encap_sport, &port.to_be_bytes());
            }
            "encap-dport" => {
                let port = words.parse("Invalid destination port.", integer::<u16>)?;
                self.set(layout.encap_dport, &port.to_be_bytes());
            }
            "external" => self.set(layout.metadata, &[]),
            word => {
                let (name, on) = match word.strip_prefix("no") {
                    Some(name) => (name, false),
                    None => (word, true),
                };
                let bit = match name {
                    "encap-csum" => 1,
                    "encap-udp6-csum" => 2,
                    "encap-remcsum" => 4,
                    _ => return Ok(false),
                };
                let flags = self.u16(layout.encap_flags) & !bit | if on { bit } else { 0 };
                self.set(layout.encap_flags, &flags.to_ne_bytes());
            }
        }
        Ok(true)
    }

    /// Reads what only tunnels over IPv6 know.
    pub(super) fn read_over_ipv6(
        &mut self,
        words: &mut Words<'_>,
        layout: &Layout,
        word: &str,
        exact: bool,
    ) -> Read<bool> {
        let is = |keyword: &str| word == keyword || (!exact && abbreviates(word, keyword));
        let hex = |max: u32| {
            move |word: &str| {
                let digits = word.trim_start_matches("0x");
                u32::from_str_radix(digits, 16).ok().filter(|number| *number <= max)
            }
        };
        if word == "encaplimit" {
            if words.peek() == Some("none") {
                words.take();
                self.set_bits(layout.flags, IGN_ENCAP_LIMIT, true);
            } else {
                let limit = words.parse("invalid ELIM", integer::<u8>)?;
                self.set(layout.encap_limit, &[limit]);
                self.set_bits(layout.flags, IGN_ENCAP_LIMIT, false);
            }
        } else if is("tos")
            || is("tclass")
            || (exact && word == "tc")
            || abbreviates(word, "dsfield")
        {
            let inherits = words.peek() == Some("inherit");
            let class = words.parse("invalid TClass", |word| match word {
                "inherit" => Some(0),
                word => hex(0xff)(word),
            })?;
            self.set_flow(layout, 0x0ff0_0000, class << 20);
            self.set_bits(layout.flags, USE_ORIG_TCLASS, inherits);
        } else if word == "flowlabel" || word == "fl" {
            let inherits = words.peek() == Some("inherit");
            let label = words.parse("invalid Flowlabel", |word| match word {
                "inherit" => Some(0),
                word => hex(0xf_ffff)(word),
            })?;
            self.set_flow(layout, 0x000f_ffff, label);
            self.set_bits(layout.flags, USE_ORIG_FLOWLABEL, inherits);
        } else if word == "dscp" {
            let word = words.value()?;
            if word != "inherit" {
                return Err(words.blame(Failure::invalid("not inherit", word)));
            }
            self.set_bits(layout.flags, RCV_DSCP_COPY, true);
        } else if word == "fwmark" {
            let inherits = words.peek() == Some("inherit");
            let read = |word: &str| if word == "inherit" { Some(0) } else { integer::<u32>(word) };
            let mark = words.parse("invalid fwmark\n", read)?;
            self.set(layout.fwmark, &mark.to_ne_bytes());
            self.set_bits(layout.flags, USE_ORIG_FWMARK, inherits);
        } else if word == "allow-localremote" || word == "noallow-localremote" {
            self.set_bits(layout.flags, ALLOW_LOCAL_REMOTE, !word.starts_with("no"));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Sets a part of what stands in network order at the head of each packet.
    fn set_flow(&mut self, layout: &Layout, mask: u32, value: u32) {
        let flow = u32::from_be(self.u32(layout.flow_info)) & !mask | value;
        self.set(layout.flow_info, &flow.to_be_bytes());
    }
}

/// Reads an address of a family, or `any`.
fn any_address(words: &mut Words<'_>, family: Family) -> Read<std::net::IpAddr> {
    if let Some("any" | "all" | "default") = words.peek() {
        words.take();
        return Ok(match family {
            Family::Inet => std::net::Ipv4Addr::UNSPECIFIED.into(),
            _ => std::net::Ipv6Addr::UNSPECIFIED.into(),
        });
    }
    words.address(family)
}

/// Reads a type of service; `inherit` is 1.
pub(super) fn tos(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<u8> {
    let tables = context.world.tables().clone();
    let read = |word: &str| match word {
        "inherit" => Some(1),
        word => tables.read_dsfield(word),
    };
    words.parse("bad TOS value", read)
}

/// Whether packets over IPv4 may not be cut into fragments, by their numbers.
pub(super) const DF_WORDS: [&str; 3] = ["unset", "set", "inherit"];

/// Reads one of [`DF_WORDS`].
pub(super) fn df(words: &mut Words<'_>) -> Read<u8> {
    let read = |word: &str| DF_WORDS.iter().position(|name| *name == word);
    let at = words.parse("DF must be 'unset', 'set' or 'inherit'", read)?;
    Ok(u8::try_from(at).unwrap_or_default())
}

// `IP6_TNL_F_*`, linux/ip6_tunnel.h.
const IGN_ENCAP_LIMIT: u32 = 0x1;
const USE_ORIG_TCLASS: u32 = 0x2;
const USE_ORIG_FLOWLABEL: u32 = 0x4;
const MIP6_DEV: u32 = 0x8;
const RCV_DSCP_COPY: u32 = 0x10;
const USE_ORIG_FWMARK: u32 = 0x20;
const ALLOW_LOCAL_REMOTE: u32 = 0x40;

/// Prints a type of service that is not 0.
pub(super) fn print_tos(out: &mut Out, tos: u8) {
    match tos {
        0 => {}
        1 if !out.is_json() => out.text("tos inherit "),
        tos => out.str("tos", "tos {} ", &format!("{tos:#x}")),
    }
}

/// Prints both ends, and the interface that the tunnel is bound to.
pub(super) fn print_ends(out: &mut Out, data: &Attrs<'_>, layout: &Layout, world: &mut dyn World) {
    for (attr, key) in [(layout.remote, "remote"), (layout.local, "local")] {
        let address = data.address(attr).filter(|address| !address.is_unspecified());
        let text = address.map_or_else(|| "any".to_owned(), |address| address.to_string());
        out.str(key, &format!("{key} {{}} "), &text);
    }
    if let Some(index) = data.u32(layout.link).filter(|index| *index != 0) {
        out.str("link", "dev {} ", &world.name(index));
    }
}

/// Prints how many hops a packet may take.
pub(super) fn print_ttl(out: &mut Out, ttl: u8, word: &str) {
    match ttl {
        0 if !out.is_json() => out.text(&format!("{word} inherit ")),
        ttl => out.num("ttl", &format!("{word} {{}} "), ttl),
    }
}

/// Prints a mark in hexadecimal where there is one.
pub(super) fn print_mark(out: &mut Out, mark: Option<u32>) {
    if let Some(mark) = mark.filter(|mark| *mark != 0) {
        out.str("fwmark", "fwmark {} ", &format!("{mark:#x}"));
    }
}

/// Prints how packets over IPv6 are headed.
pub(super) fn print_over_ipv6(out: &mut Out, data: &Attrs<'_>, layout: &Layout) {
    let flags = data.u32(layout.flags).unwrap_or(0);
    let flow = data.get(layout.flow_info).and_then(|flow| flow.first_chunk());
    let flow = flow.map(|flow| u32::from_be_bytes(*flow));
    if flags & IGN_ENCAP_LIMIT != 0 {
        out.flag("ip6_tnl_f_ign_encap_limit", "encaplimit none ");
    } else if let Some(limit) = data.u8(layout.encap_limit) {
        out.num("encap_limit", "encaplimit {} ", limit);
    }
    if flags & USE_ORIG_TCLASS != 0 {
        out.flag("ip6_tnl_f_use_orig_tclass", "tclass inherit ");
    } else if let Some(flow) = flow {
        out.str("tclass", "tclass {} ", &format!("0x{:02x}", flow >> 20 & 0xff));
    }
    if flags & USE_ORIG_FLOWLABEL != 0 {
        out.flag("ip6_tnl_f_use_orig_flowlabel", "flowlabel inherit ");
    } else if let Some(flow) = flow {
        out.str("flowlabel", "flowlabel {} ", &format!("0x{:05x}", flow & 0xf_ffff));
    }
    if flags & RCV_DSCP_COPY != 0 {
        out.flag("ip6_tnl_f_rcv_dscp_copy", "dscp inherit ");
    }
}

/// Prints what follows of tunnels over IPv6.
pub(super) fn print_flags_over_ipv6(out: &mut Out, data: &Attrs<'_>, layout: &Layout, mip6: bool) {
    let flags = data.u32(layout.flags).unwrap_or(0);
    if mip6 && flags & MIP6_DEV != 0 {
        out.flag("ip6_tnl_f_mip6_dev", "mip6 ");
    }
    if flags & ALLOW_LOCAL_REMOTE != 0 {
        out.flag("ip6_tnl_f_allow_local_remote", "allow-localremote ");
    }
    if flags & USE_ORIG_FWMARK != 0 {
        out.flag("ip6_tnl_f_use_orig_fwmark", "fwmark inherit ");
    } else {
        print_mark(out, data.u32(layout.fwmark));
    }
}

/// Prints what is around the tunnel's packets (`TUNNEL_ENCAP_*`, linux/if_tunnel.h).
pub(super) fn print_encapsulation(out: &mut Out, data: &Attrs<'_>, layout: &Layout) {
    let Some(kind) = data.u16(layout.encap_type).filter(|kind| *kind != 0) else { return };
    let flags = data.u16(layout.encap_flags).unwrap_or(0);
    let port = |attr: u16| data.u16_be(attr).unwrap_or(0);
    let (source, target) = (port(layout.encap_sport), port(layout.encap_dport));
    out.open(Some("encap"));
    out.text("encap ");
    match kind {
        1 => out.str("type", "{} ", "fou"),
        2 => out.str("type", "{} ", "gue"),
        _ => out.num_as("type", "{} ", "null", "unknown"),
    }
    match source {
        0 if !out.is_json() => out.text("encap-sport auto "),
        port => out.num("sport", "encap-sport {} ", port),
    }
    out.num("dport", "encap-dport {} ", target);
    for (bit, word) in [(1, "csum"), (2, "csum6"), (4, "remcsum")] {
        let on = flags & bit != 0;
        let no = if on { "" } else { "no" };
        out.num_as(word, "{}", on, &format!("{no}encap-{word} "));
    }
    out.close();
}
