//! bond: several interfaces as one (drivers/net/bonding/; Documentation/networking/bonding.rst).

use super::device::Device;
use super::options::Options;
use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Switch, Value, Width};

/// Several interfaces as one.
pub static BOND: KindSpec = KindSpec {
    module: "bonding",
    has_ports: true,
    port: PORT,
    check,
    ..KindSpec::new(
        "bond",
        "CONFIG_BONDING",
        "Several interfaces of the node as one, for more bandwidth or when one fails.",
        OPTIONS,
    )
};

const ROUND_ROBIN: u64 = 0;
const ACTIVE_BACKUP: u64 = 1;
const XOR: u64 = 2;
const BROADCAST: u64 = 3;
const LACP: u64 = 4;
const TLB: u64 = 5;
const ALB: u64 = 6;

const fn number(min: u64, max: u64) -> Form {
    Form::number(Width::U32, min, max)
}

/// `IFLA_BOND_…`; words of drivers/net/bonding/bond_options.c. Of what a system calls itself in LACP
/// (`ad_actor_…`, `ad_user_port_key`) the kernel tells the machine's root alone (`bond_fill_info`), and the
/// port in use changes by itself.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        1,
        Form::Choice {
            width: Width::U8,
            words: &[
                ("balance-rr", 0),
                ("active-backup", ACTIVE_BACKUP),
                ("balance-xor", 2),
                ("broadcast", 3),
                ("802.3ad", LACP),
                ("balance-tlb", TLB),
                ("balance-alb", ALB),
            ],
        },
        "How its ports share the work.",
    )
    .by_default(0)
    // Only without ports, and down.
    .at_birth(),
    OptionSpec::new(
        "miimon",
        3,
        number(0, i32::MAX as u64),
        "How often the link of each port is looked at, in ms.",
    ),
    OptionSpec::new(
        "arp_interval",
        7,
        number(0, i32::MAX as u64),
        "How often it is asked by ARP whether each port is well, in ms; instead of `miimon`.",
    )
    .by_default(0),
    OptionSpec::new("arp_ip_target", 8, Form::Ipv4s, "Who is asked by ARP.").else_empty(),
    OptionSpec::new(
        "arp_validate",
        9,
        Form::Choice {
            width: Width::U32,
            words: &[
                ("none", 0),
                ("active", 1),
                ("backup", 2),
                ("all", 3),
                ("filter", 4),
                ("filter_active", 5),
                ("filter_backup", 6),
            ],
        },
        "Of which ports the answers by ARP alone count.",
    )
    .by_default(0),
    OptionSpec::new(
        "arp_all_targets",
        10,
        Form::Choice { width: Width::U32, words: &[("any", 0), ("all", 1)] },
        "How many of those that are asked by ARP must answer.",
    )
    .by_default(0),
    OptionSpec::new(
        "arp_missed_max",
        30,
        Form::number(Width::U8, 1, 255),
        "How many answers by ARP in a row must be missing for a port to be given up.",
    )
    .by_default(2),
    OptionSpec::new(
        "updelay",
        4,
        number(0, i32::MAX as u64),
        "How long a port must be well to be used again, in ms.",
    )
    .by_default(0),
    OptionSpec::new(
        "downdelay",
        5,
        number(0, i32::MAX as u64),
        "How long a port must be down to be given up, in ms.",
    )
    .by_default(0),
    OptionSpec::new(
        "xmit_hash_policy",
        14,
        Form::Choice {
            width: Width::U8,
            words: &[
                ("layer2", 0),
                ("layer3+4", 1),
                ("layer2+3", 2),
                ("encap2+3", 3),
                ("encap3+4", 4),
                ("vlan+srcmac", 5),
            ],
        },
        "What of a packet says which port it takes.",
    )
    .by_default(0),
    OptionSpec::new(
        "fail_over_mac",
        13,
        Form::Choice { width: Width::U8, words: &[("none", 0), ("active", 1), ("follow", 2)] },
        "Whose hardware address its ports have: that of the bond (`none`), or their own.",
    )
    .by_default(0)
    .at_birth(),
    OptionSpec::new(
        "primary_reselect",
        12,
        Form::Choice { width: Width::U8, words: &[("always", 0), ("better", 1), ("failure", 2)] },
        "When the primary port takes over again.",
    )
    .by_default(0),
    OptionSpec::new(
        "min_links",
        18,
        number(0, i32::MAX as u64),
        "With how many good ports it is up itself.",
    )
    .by_default(0),
    OptionSpec::new(
        "lacp_rate",
        21,
        Form::Choice { width: Width::U8, words: &[("slow", 0), ("fast", 1)] },
        "How often its partner is to speak LACP: each 30 s or each second.",
    )
    .by_default(0)
    .while_down(),
    OptionSpec::new(
        "ad_select",
        22,
        Form::Choice { width: Width::U8, words: &[("stable", 0), ("bandwidth", 1), ("count", 2)] },
        "Which of several groups of ports is used.",
    )
    .by_default(0)
    .while_down(),
    OptionSpec::new(
        "all_slaves_active",
        17,
        Form::switch(Switch::Digit),
        "Whether frames that come in by a waiting port are taken.",
    )
    .off_by_default(),
    OptionSpec::new(
        "lp_interval",
        19,
        number(1, i32::MAX as u64),
        "How often switches are told where it is, in seconds.",
    )
    .by_default(1),
    OptionSpec::new(
        "packets_per_slave",
        20,
        number(0, 65535),
        "How many packets take one port before the next has its turn.",
    )
    .by_default(1),
    OptionSpec::new(
        "resend_igmp",
        15,
        number(0, 255),
        "How often multicast groups are joined again after a change.",
    )
    .by_default(1),
    OptionSpec::new(
        "primary",
        11,
        Form::Interface { dies: false },
        "The port that is used as long as it is well, with the modes that use one at a time.",
    )
    .else_without(),
    OptionSpec::new(
        "num_grat_arp",
        16,
        Form::number(Width::U8, 0, 255),
        "How often neighbours are told of a change of the port in use.",
    )
    .by_default(1),
    OptionSpec::new(
        "peer_notify_delay",
        28,
        number(0, 300_000),
        "The time between these, in ms; 0 for that of `miimon`.",
    )
    .by_default(0),
    OptionSpec::new(
        "tlb_dynamic_lb",
        27,
        Form::switch(Switch::Digit),
        "Whether flows move to the port with the least load, with `balance-tlb`.",
    )
    .on_by_default()
    .while_down(),
    OptionSpec::new(
        "lacp_active",
        29,
        Form::switch(Switch::OnOff),
        "Whether it speaks LACP unasked.",
    )
    .on_by_default()
    .while_down(),
];

/// `IFLA_BOND_SLAVE_…`; iproute2's words after `type bond_slave`.
const PORT: &[OptionSpec] = &[
    OptionSpec::new(
        "queue_id",
        5,
        Form::number(Width::U16, 0, u16::MAX as u64),
        "The queue whose packets take this port.",
    )
    .by_default(0),
    OptionSpec::new(
        "prio",
        9,
        number(0, i32::MAX as u64),
        "Its priority where one port is in use at a time: the highest wins.",
    )
    .by_default(0),
];

/// Tells whether a device is a bond whose ports all have its hardware address.
pub(crate) fn shares_mac(device: &Device) -> bool {
    let own = [Some(&Value::Number(TLB)), Some(&Value::Number(ALB))];
    let follows = device.options.get("fail_over_mac").is_none_or(|v| *v == Value::Number(0));
    device.spec.is_bond() && follows && !own.contains(&device.options.get("mode"))
}

/// Tells whether a bond of this mode uses one port at a time, or one for what comes in: only there they have
/// priorities (`bond_opts`, drivers/net/bonding/bond_options.c).
pub(crate) fn uses_one(mode: Option<&Value>) -> bool {
    let modes = [ACTIVE_BACKUP, TLB, ALB].map(Value::Number);
    mode.is_some_and(|mode| modes.contains(mode))
}

/// What some modes have alone (`bond_opts`, drivers/net/bonding/bond_options.c).
const ONLY: [(&str, &[u64], &str); 8] = [
    ("lacp_rate", &[LACP], "has `lacp_rate` only with `mode: 802.3ad`"),
    ("ad_select", &[LACP], "has `ad_select` only with `mode: 802.3ad`"),
    ("lacp_active", &[LACP], "has `lacp_active` only with `mode: 802.3ad`"),
    ("tlb_dynamic_lb", &[TLB], "has `tlb_dynamic_lb` only with `mode: balance-tlb`"),
    (
        "arp_interval",
        &[ROUND_ROBIN, ACTIVE_BACKUP, XOR, BROADCAST],
        "has no `arp_interval` with `802.3ad`, `balance-tlb` or `balance-alb`",
    ),
    (
        "arp_validate",
        &[ROUND_ROBIN, ACTIVE_BACKUP, XOR, BROADCAST],
        "has no `arp_validate` with `802.3ad`, `balance-tlb` or `balance-alb`",
    ),
    (
        "arp_missed_max",
        &[ROUND_ROBIN, ACTIVE_BACKUP, XOR, BROADCAST],
        "has no `arp_missed_max` with `802.3ad`, `balance-tlb` or `balance-alb`",
    ),
    (
        "primary",
        &[ACTIVE_BACKUP, TLB, ALB],
        "has a `primary` only with `active-backup`, `balance-tlb` or `balance-alb`",
    ),
];

fn check(options: &Options) -> Result<(), &'static str> {
    let number = |word| options.number(word).unwrap_or(0);
    let mode = number("mode");
    let is_wrong =
        |word: &str, modes: &[u64]| options.get(word).is_some() && !modes.contains(&mode);
    if number("arp_interval") != 0 && number("miimon") != 0 {
        return Err("looks after its ports by `miimon` or by `arp_interval`, not both");
    }
    // They are counted in looks (`_bond_option_delay_set`, drivers/net/bonding/bond_options.c).
    // Where it is not said LACP looks every 100 ms, as the balancing modes do.
    let every = match number("miimon") {
        0 if [LACP, TLB, ALB].contains(&mode) => 100,
        every => every,
    };
    for word in ["updelay", "downdelay", "peer_notify_delay"] {
        let delay = number(word);
        if delay != 0 && (every == 0 || delay % every != 0) {
            return Err("counts its delays in looks: each must be a multiple of `miimon`");
        }
    }
    match ONLY.into_iter().find(|(word, modes, _)| is_wrong(word, modes)) {
        Some((_, _, why)) => Err(why),
        None => Ok(()),
    }
}
