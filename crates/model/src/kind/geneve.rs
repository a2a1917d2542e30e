//! geneve: Ethernet over UDP with options (drivers/net/geneve.c; RFC 8926).

use super::options::Options;
use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Switch, Value, Width};
use super::vxlan;

/// One end of an Ethernet tunnel over UDP.
pub(super) static GENEVE: KindSpec = KindSpec {
    // The kernel keeps what is left out; `ip` wants number and far end each time.
    says_all: true,
    check,
    // `geneve_find_dev`.
    key: &[("id", 0), ("remote", 0), ("dstport", 6081)],
    ..KindSpec::new("geneve", "CONFIG_GENEVE", "One end of an Ethernet tunnel over UDP.", OPTIONS)
};

const NO: Form = Form::switch(Switch::No);

/// `IFLA_GENEVE_…`. What `geneve_changelink` refuses to change is said at birth.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "id",
        1,
        Form::number(Width::U32, 0, 0xff_ffff),
        "The tunnel's number (VNI), which both ends share.",
    )
    .at_birth(),
    OptionSpec::new("remote", 2, Form::Address { v6: 7 }, "The far end.").in_family(),
    OptionSpec::new(
        "ttl",
        3,
        Form::Number { width: Width::U8, min: 1, max: 255, words: &[("auto", 0)] },
        "The time to live of its packets.",
    )
    .by_default(0),
    vxlan::ttl_inherit(12, Form::switch(Switch::Word)),
    OptionSpec::new("tos", 4, Form::Tos, "The type of service of its packets.").by_default(0),
    vxlan::flowlabel(11),
    OptionSpec::new(
        "dstport",
        5,
        Form::number(Width::Be16, 1, u16::MAX as u64),
        "The UDP port of both ends; 6081 where not given.",
    )
    .by_default(6081)
    .once(),
    OptionSpec::new(
        "external",
        6,
        Form::Flag,
        "Whether routes and filters say for each packet where it goes.",
    )
    .off_by_default()
    .once(),
    OptionSpec::new("udpcsum", 8, NO, "Whether its UDP packets over IPv4 have a checksum.")
        .off_by_default()
        .once(),
    vxlan::udp6zerocsumtx(9).once(),
    vxlan::udp6zerocsumrx(10).once(),
    vxlan::df(13),
];

fn check(options: &Options) -> Result<(), &'static str> {
    let external = options.get("external") == Some(&Value::Bool(true));
    let has = |word| options.get(word).is_some();
    if vxlan::has_two_ttls(options) {
        return Err(vxlan::TWO_TTLS);
    }
    let is_ipv4 = matches!(options.get("remote"), Some(Value::Ip(remote)) if remote.is_ipv4());
    if is_ipv4 && options.number("flowlabel").unwrap_or(0) != 0 {
        return Err("has a `flowlabel` only over IPv6");
    }
    match external {
        false if !(has("id") && has("remote")) => Err("needs an `id` and a `remote`"),
        true if has("id") || has("remote") => {
            Err("is `external` or has an `id` and a `remote`, not both")
        }
        _ => Ok(()),
    }
}
