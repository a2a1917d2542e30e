//! vxlan: Ethernet over UDP (drivers/net/vxlan/vxlan_core.c; RFC 7348).

use super::options::Options;
use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Switch, Value, Width};

/// One end of an Ethernet network over UDP.
pub static VXLAN: KindSpec = KindSpec {
    check,
    // `vxlan_config_validate`.
    key: &[("id", 0), ("dstport", 8472)],
    ..KindSpec::new(
        "vxlan",
        "CONFIG_VXLAN",
        "One end of an Ethernet network that goes over UDP.",
        OPTIONS,
    )
};

const NO: Form = Form::switch(Switch::No);

/// As of a geneve, as those that follow.
pub(super) const fn df(attr: u16) -> OptionSpec {
    OptionSpec::new(
        "df",
        attr,
        Form::Choice { width: Width::U8, words: &[("unset", 0), ("set", 1), ("inherit", 2)] },
        "Whether its packets over IPv4 may not be cut into fragments: `inherit` as those inside.",
    )
    .by_default(0)
}

pub(super) const fn flowlabel(attr: u16) -> OptionSpec {
    let form = Form::number(Width::Be32, 0, 0xf_ffff);
    OptionSpec::new("flowlabel", attr, form, "The flow label of its packets over IPv6.")
        .by_default(0)
}

pub(super) const fn udp6zerocsumtx(attr: u16) -> OptionSpec {
    let doc = "Whether its UDP packets over IPv6 have no checksum.";
    OptionSpec::new("udp6zerocsumtx", attr, NO, doc).off_by_default()
}

pub(super) const fn udp6zerocsumrx(attr: u16) -> OptionSpec {
    let doc = "Whether UDP packets over IPv6 without a checksum are taken.";
    OptionSpec::new("udp6zerocsumrx", attr, NO, doc).off_by_default()
}

pub(super) const fn ttl_inherit(attr: u16, form: Form) -> OptionSpec {
    let doc = "Whether the time to live of its packets is that of the packet inside.";
    OptionSpec::new("ttl inherit", attr, form, doc).called("ttl_inherit").off_by_default()
}

pub(super) const TWO_TTLS: &str = "has a `ttl` of its own or `ttl_inherit`, not both";

pub(super) fn has_two_ttls(options: &Options) -> bool {
    options.get("ttl inherit") == Some(&Value::Bool(true)) && options.get("ttl").is_some()
}

/// `IFLA_VXLAN_…`. What `vxlan_changelink` refuses to change is said at birth.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "id",
        1,
        Form::number(Width::U32, 0, 0xff_ffff),
        "The network's number (VNI), which its two or more ends share.",
    )
    .at_birth(),
    OptionSpec::new(
        "remote",
        2,
        Form::Address { v6: 16 },
        "The far end, or the multicast group, to which frames for unknown addresses go.",
    )
    .else_no_address()
    .in_family(),
    OptionSpec::new(
        "local",
        4,
        Form::Address { v6: 17 },
        "The address that its packets have as their source.",
    )
    .else_no_address()
    .in_family(),
    OptionSpec::new(
        "dev",
        3,
        Form::Interface { dies: true },
        "The interface that its packets leave by.",
    )
    .else_without(),
    OptionSpec::new(
        "dstport",
        15,
        Form::number(Width::Be16, 1, u16::MAX as u64),
        "The UDP port of all its ends: 4789 by the standard, 8472 where not given.",
    )
    .by_default(8472)
    .at_birth(),
    OptionSpec::new(
        "ttl",
        5,
        Form::Number { width: Width::U8, min: 1, max: 255, words: &[("auto", 0)] },
        "The time to live of its packets.",
    )
    .by_default(0),
    ttl_inherit(28, Form::Flag).at_birth(),
    OptionSpec::new("tos", 6, Form::Tos, "The type of service of its packets.").by_default(0),
    flowlabel(26),
    OptionSpec::new(
        "srcport",
        10,
        Form::Ports,
        "The UDP ports that its packets come from, one for each flow.",
    )
    .else_without()
    .at_birth(),
    OptionSpec::new(
        "learning",
        7,
        NO,
        "Whether it learns from what it receives where each address is.",
    )
    .on_by_default(),
    OptionSpec::new(
        "ageing",
        8,
        // Of 0 the kernel makes the default (`vxlan_config_apply`, drivers/net/vxlan/vxlan_core.c).
        Form::number(Width::U32, 1, u32::MAX as u64),
        "How long a learned address is kept, in seconds.",
    )
    .by_default(300),
    OptionSpec::new(
        "maxaddress",
        9,
        Form::Number {
            width: Width::U32,
            min: 1,
            max: u32::MAX as u64,
            words: &[("unlimited", 0)],
        },
        "How many addresses it keeps.",
    )
    .by_default(0)
    .at_birth(),
    OptionSpec::new("proxy", 11, NO, "Whether it answers ARP for whom it knows.")
        .off_by_default()
        .at_birth(),
    OptionSpec::new(
        "rsc",
        12,
        NO,
        "Whether packets to a router go straight to whom it would send them.",
    )
    .off_by_default()
    .at_birth(),
    OptionSpec::new("l2miss", 13, NO, "Whether it tells of addresses that it does not know.")
        .off_by_default()
        .at_birth(),
    OptionSpec::new("l3miss", 14, NO, "Whether it tells of neighbours that it does not know.")
        .off_by_default()
        .at_birth(),
    OptionSpec::new("udpcsum", 18, NO, "Whether its UDP packets over IPv4 have a checksum.")
        .on_by_default()
        .at_birth(),
    OptionSpec::new(
        "external",
        25,
        NO,
        "Whether routes and filters say for each packet where it goes.",
    )
    .off_by_default()
    .at_birth(),
    udp6zerocsumtx(19).at_birth(),
    udp6zerocsumrx(20).at_birth(),
    df(29),
    OptionSpec::new("gbp", 23, Form::Flag, "Whether its packets carry the group policy extension.")
        .off_by_default()
        .at_birth(),
];

/// As `vxlan_nl2conf` and `vxlan_config_validate` have it.
fn check(options: &Options) -> Result<(), &'static str> {
    let external = options.get("external") == Some(&Value::Bool(true));
    let has_label = options.get("flowlabel").is_some_and(|label| *label != Value::Number(0));
    let is_ipv6 = |value: &Value| matches!(value, Value::Ip(ip) if ip.is_ipv6());
    match (options.get("id"), options.get("remote"), options.get("local")) {
        (None, _, _) if !external => Err("needs an `id`"),
        (Some(_), _, _) if external => Err("is `external` or has an `id`, not both"),
        (_, Some(Value::Ip(remote)), Some(Value::Ip(local)))
            if remote.is_ipv4() != local.is_ipv4() =>
        {
            Err("has a `local` and a `remote` of two families")
        }
        _ if has_two_ttls(options) => Err(TWO_TTLS),
        (_, remote, local)
            if has_label && ![remote, local].iter().flatten().any(|it| is_ipv6(it)) =>
        {
            Err("has a `flowlabel` only over IPv6")
        }
        (_, Some(Value::Ip(remote)), _)
            if remote.is_multicast() && options.get("dev").is_none() =>
        {
            Err("needs a `dev` for its multicast group")
        }
        _ => Ok(()),
    }
}
