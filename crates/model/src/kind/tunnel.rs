//! gre, gretap, ip6gre, ip6gretap, ipip, sit, ip6tnl: one packet in another (net/ipv4/ip_gre.c,
//! net/ipv6/ip6_gre.c, net/ipv4/ipip.c, net/ipv6/sit.c, net/ipv6/ip6_tunnel.c; RFC 2784, 2003,
//! 4213, 2473).
//!
//! They share their options, under numbers of two families: `IFLA_GRE_…` and `IFLA_IPTUN_…`
//! (linux/if_tunnel.h). A change says all options again, since the kernel sets those that are left
//! out to their defaults (`ipgre_changelink`).

use super::options::Options;
use super::spec::{Hardware, KindSpec, OptionSpec};
use super::value::{Form, Switch, Value, Width};

const fn tunnel(
    name: &'static str,
    module: &'static str,
    config: &'static str,
    doc: &'static str,
    options: &'static [OptionSpec],
) -> KindSpec {
    KindSpec {
        module,
        hardware: Hardware::None,
        says_all: true,
        // `ip_tunnel_find`, net/ipv4/ip_tunnel.c. A word that the kind lacks is nothing for all.
        key: &[("local", 0), ("remote", 0), ("dev", 0), ("key", 0)],
        check: has_ends,
        ..KindSpec::new(name, config, doc, options)
    }
}

/// What a tunnel over IPv6 has where nothing is said: a hop limit, and how many tunnels its packets
/// may enter further on, 4 (RFC 2473, section 6.6). The kernel's default of 0 would let them enter
/// none (`ip6_tnl_xmit`, net/ipv6/ip6_tunnel.c).
const HOP_LIMIT: u8 = 64;
const ENCAP_LIMIT: u8 = 4;

/// `IFLA_GRE_TTL` and `IFLA_GRE_ENCAP_LIMIT`.
const GRE_V6_UNSAID: &[(u16, u8)] = &[(8, HOP_LIMIT), (11, ENCAP_LIMIT)];
/// `IFLA_IPTUN_TTL` and `IFLA_IPTUN_ENCAP_LIMIT`.
const IPTUN_V6_UNSAID: &[(u16, u8)] = &[(4, HOP_LIMIT), (6, ENCAP_LIMIT)];

/// IP in GRE over IPv4.
pub(super) static GRE: KindSpec = KindSpec {
    check: is_cut_or_ignored,
    ..tunnel(
        "gre",
        "ip_gre",
        "CONFIG_NET_IPGRE",
        "One end of a tunnel of IP packets in GRE over IPv4.",
        GRE_V4,
    )
};

/// Ethernet in GRE over IPv4.
pub(super) static GRETAP: KindSpec = KindSpec {
    hardware: Hardware::Own,
    check: is_cut_or_ignored,
    ..tunnel(
        "gretap",
        "ip_gre",
        "CONFIG_NET_IPGRE",
        "One end of a tunnel of Ethernet frames in GRE over IPv4.",
        GRE_V4,
    )
};

/// IP in GRE over IPv6.
pub(super) static IP6GRE: KindSpec = KindSpec {
    unsaid: GRE_V6_UNSAID,
    ..tunnel(
        "ip6gre",
        "ip6_gre",
        "CONFIG_IPV6_GRE",
        "One end of a tunnel of IP packets in GRE over IPv6.",
        GRE_V6,
    )
};

/// Ethernet in GRE over IPv6.
pub(super) static IP6GRETAP: KindSpec = KindSpec {
    hardware: Hardware::Own,
    unsaid: GRE_V6_UNSAID,
    ..tunnel(
        "ip6gretap",
        "ip6_gre",
        "CONFIG_IPV6_GRE",
        "One end of a tunnel of Ethernet frames in GRE over IPv6.",
        GRE_V6,
    )
};

/// IPv4 in IPv4.
pub(super) static IPIP: KindSpec = KindSpec {
    check: is_cut_or_counted,
    ..tunnel(
        "ipip",
        "ipip",
        "CONFIG_NET_IPIP",
        "One end of a tunnel of IPv4 packets in IPv4.",
        &IPTUN_IPIP,
    )
};

/// IPv6 in IPv4.
pub(super) static SIT: KindSpec = KindSpec {
    check: is_cut_or_counted,
    // `IFLA_IPTUN_TTL`: to the kernel it is 64.
    unsaid: &[(4, 0)],
    ..tunnel(
        "sit",
        "sit",
        "CONFIG_IPV6_SIT",
        "One end of a tunnel of IPv6 packets in IPv4.",
        &IPTUN_SIT,
    )
};

/// IPv4 and IPv6 in IPv6.
pub(super) static IP6TNL: KindSpec = KindSpec {
    unsaid: IPTUN_V6_UNSAID,
    ..tunnel(
        "ip6tnl",
        "ip6_tunnel",
        "CONFIG_IPV6_TUNNEL",
        "One end of a tunnel of IPv4 and IPv6 packets in IPv6.",
        IPTUN_V6,
    )
};

const GRE_KEY_DOC: &str = "The number in each packet by which both ends know the tunnel; `ikey 1 okey 2` \
     where it differs in the two directions.";
const TTL: Form = Form::Number { width: Width::U8, min: 1, max: 255, words: &[("inherit", 0)] };
const FWMARK: Form = Form::number(Width::U32, 0, u32::MAX as u64);

/// The mark with which routes are looked up for its packets (`IFLA_GRE_FWMARK`, `IFLA_IPTUN_FWMARK`).
const FWMARK_OPTION: OptionSpec =
    OptionSpec::new("fwmark", 20, FWMARK, "The mark by which rules find a route for its packets.")
        .by_default(0);

/// `IFLA_GRE_ENCAP_LIMIT` and `IFLA_IPTUN_ENCAP_LIMIT`, each with the attribute of the flags.
const fn encaplimit(attr: u16, flags: u16) -> OptionSpec {
    let doc = "How many tunnels its packets may enter further on.";
    // `IP6_TNL_F_IGN_ENCAP_LIMIT` (linux/ip6_tunnel.h).
    OptionSpec::new("encaplimit", attr, Form::EncapLimit { flags, none: 0x1 }, doc)
        .by_default(ENCAP_LIMIT as u64)
}

/// `IFLA_GRE_FLOWINFO` and `IFLA_IPTUN_FLOWINFO`.
const fn tclass(attr: u16, flags: u16) -> OptionSpec {
    let form = Form::Flow { shift: 20, max: 0xff, flags, inherit: 0x2 };
    OptionSpec::new("tclass", attr, form, "The traffic class of its packets.").by_default(0)
}

const fn flowlabel(attr: u16, flags: u16) -> OptionSpec {
    let form = Form::Flow { shift: 0, max: 0xf_ffff, flags, inherit: 0x4 };
    OptionSpec::new("flowlabel", attr, form, "The flow label of its packets.").by_default(0)
}

const PMTUDISC: &str = "Whether its packets may not be cut into fragments on their way.";

const fn local(attr: u16, form: Form) -> OptionSpec {
    OptionSpec::new("local", attr, form, "The address of this end.")
}

const fn remote(attr: u16, form: Form) -> OptionSpec {
    OptionSpec::new("remote", attr, form, "The address of the far end.")
}

const fn dev(attr: u16) -> OptionSpec {
    OptionSpec::new(
        "dev",
        attr,
        Form::Interface { dies: false },
        "The interface that its packets leave by.",
    )
    .else_without()
}

const fn ttl(attr: u16) -> OptionSpec {
    OptionSpec::new("ttl", attr, TTL, "The time to live of its packets.").by_default(0)
}

/// `IFLA_GRE_…` over IPv4; flags of linux/if_tunnel.h. A change of key and flags changes the length of the
/// header, and with it the MTU, where none is said (`ipgre_link_update`).
const GRE_V4: &[OptionSpec] = &[
    remote(7, Form::Ipv4),
    local(6, Form::Ipv4),
    dev(1),
    ttl(8),
    OptionSpec::new("tos", 9, Form::Tos, "The type of service of its packets.").by_default(0),
    OptionSpec::new("key", 4, Form::GreKey, GRE_KEY_DOC).by_default(0),
    OptionSpec::new("csum", 2, Form::GreFlag(0x8000), "Whether its packets have a checksum.")
        .off_by_default(),
    OptionSpec::new("seq", 2, Form::GreFlag(0x1000), "Whether its packets are numbered.")
        .off_by_default(),
    OptionSpec::new("pmtudisc", 10, Form::switch(Switch::No), PMTUDISC).on_by_default(),
    OptionSpec::new(
        "ignore-df",
        19,
        Form::switch(Switch::No),
        "Whether it cuts packets into fragments that say they may not be.",
    )
    .off_by_default(),
    FWMARK_OPTION,
];

const GRE_V6: &[OptionSpec] = &[
    remote(7, Form::Ipv6),
    local(6, Form::Ipv6),
    dev(1),
    OptionSpec::new(
        "hoplimit",
        8,
        Form::number(Width::U8, 0, 255),
        "The hop limit of its packets.",
    )
    .by_default(HOP_LIMIT as u64),
    OptionSpec::new("key", 4, Form::GreKey, GRE_KEY_DOC).by_default(0),
    OptionSpec::new("csum", 2, Form::GreFlag(0x8000), "Whether its packets have a checksum.")
        .off_by_default(),
    OptionSpec::new("seq", 2, Form::GreFlag(0x1000), "Whether its packets are numbered.")
        .off_by_default(),
    encaplimit(11, 13),
    tclass(12, 13),
    flowlabel(12, 13),
    FWMARK_OPTION,
];

/// `IFLA_IPTUN_…` over IPv4. What goes through it is said by the protocol inside, which no message changes
/// (`ip_tunnel_update`, net/ipv4/ip_tunnel.c).
const fn iptun_v4(mode: &'static [(&'static str, u64)], usual: u64) -> [OptionSpec; 8] {
    let mode = Form::Choice { width: Width::U8, words: mode };
    [
        remote(3, Form::Ipv4),
        local(2, Form::Ipv4),
        dev(1),
        OptionSpec::new("mode", 9, mode, "Which packets go through it.")
            .by_default(usual)
            .at_birth(),
        ttl(4),
        OptionSpec::new("tos", 5, Form::Tos, "The type of service of its packets.").by_default(0),
        OptionSpec::new("pmtudisc", 10, Form::switch(Switch::No), PMTUDISC).on_by_default(),
        FWMARK_OPTION,
    ]
}

/// `IPPROTO_IPIP`, `IPPROTO_IPV6` and `IPPROTO_MPLS` (linux/in.h).
static IPTUN_IPIP: [OptionSpec; 8] = iptun_v4(&[("ipip", 4), ("mplsip", 137), ("any", 0)], 4);
static IPTUN_SIT: [OptionSpec; 8] =
    iptun_v4(&[("ip6ip", 41), ("ipip", 4), ("mplsip", 137), ("any", 0)], 41);

const IPTUN_V6: &[OptionSpec] = &[
    remote(3, Form::Ipv6),
    local(2, Form::Ipv6),
    dev(1),
    OptionSpec::new(
        "hoplimit",
        4,
        Form::number(Width::U8, 0, 255),
        "The hop limit of its packets.",
    )
    .by_default(HOP_LIMIT as u64),
    OptionSpec::new(
        "mode",
        9,
        // The protocol inside: any, IPv6 (41) or IPv4 (4).
        Form::Choice { width: Width::U8, words: &[("any", 0), ("ip6ip6", 41), ("ipip6", 4)] },
        "Which packets go through it.",
    )
    .by_default(0),
    encaplimit(6, 8),
    tclass(7, 8),
    flowlabel(7, 8),
    FWMARK_OPTION,
];

/// As [`has_ends`]; and with a time to live of its own a packet must not be cut into fragments, which
/// `ip` refuses (`iptunnel_parse_opt`, ip/iplink_iptun.c).
fn is_cut_or_counted(options: &Options) -> Result<(), &'static str> {
    let has_ttl = options.get("ttl").is_some_and(|ttl| *ttl != Value::Number(0));
    match options.get("pmtudisc") {
        Some(Value::Bool(false)) if has_ttl => Err("has a `ttl` or no `pmtudisc`, not both"),
        _ => has_ends(options),
    }
}

/// As [`has_ends`]; and what may be cut on its way alone may be cut here (`ipgre_netlink_parms`,
/// net/ipv4/ip_gre.c).
fn is_cut_or_ignored(options: &Options) -> Result<(), &'static str> {
    let is = |word, on| options.get(word) == Some(&Value::Bool(on));
    match is("ignore-df", true) && !is("pmtudisc", false) {
        true => Err("has `ignore-df` only with `pmtudisc: false`"),
        false => has_ends(options),
    }
}

fn has_ends(options: &Options) -> Result<(), &'static str> {
    match (options.get("local"), options.get("remote")) {
        (Some(Value::Ip(_)), Some(Value::Ip(_))) => Ok(()),
        _ => Err("needs a `local` and a `remote` address"),
    }
}
