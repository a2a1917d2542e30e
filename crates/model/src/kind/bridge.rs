//! bridge: a switch (net/bridge/br_netlink.c; `ip-link(8)`, "BRIDGE Type Support").

use super::options::Options;
use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Switch, Value, Width};

/// A switch: frames go between its ports by hardware address.
pub static BRIDGE: KindSpec = KindSpec {
    has_ports: true,
    port: PORT,
    check,
    ..KindSpec::new(
        "bridge",
        "CONFIG_BRIDGE",
        "A switch between the interfaces of the node that are its ports.",
        OPTIONS,
    )
};

const DIGIT: Form = Form::switch(Switch::Digit);
const ON_OFF: Form = Form::switch(Switch::OnOff);

/// `IFLA_BR_MULTI_BOOLOPT`, and its bits (`enum br_boolopt_id`, linux/if_bridge.h).
const BOOLOPT: u16 = 46;
const NO_LINKLOCAL_LEARN: Form = Form::Bit { bit: 1, say: Switch::Digit };
const MCAST_VLAN_SNOOPING: Form = Form::Bit { bit: 2, say: Switch::Digit };

/// Times are in hundredths of a second (`clock_t`).
const fn time(min: u64, max: u64) -> Form {
    Form::number(Width::U32, min, max)
}

/// `IFLA_BR_…`.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "forward_delay",
        1,
        time(200, 3000),
        "How long a port listens and learns before it forwards, with STP, in 1/100 s.",
    )
    .by_default(1500)
    .in_ticks(),
    OptionSpec::new(
        "hello_time",
        2,
        time(100, 1000),
        "How often the root bridge of STP says hello, in 1/100 s.",
    )
    .by_default(200)
    .in_ticks(),
    OptionSpec::new(
        "max_age",
        3,
        time(600, 4000),
        "How long another bridge's word counts in STP, in 1/100 s.",
    )
    .by_default(2000)
    .in_ticks(),
    OptionSpec::new(
        "ageing_time",
        4,
        time(0, u32::MAX as u64),
        "How long a learned address is kept, in 1/100 s.",
    )
    .by_default(30000)
    .in_ticks(),
    OptionSpec::new(
        "stp_state",
        5,
        Form::Switch { say: Switch::Digit, width: Width::U32 },
        "Whether this bridge runs the spanning tree protocol.",
    )
    .off_by_default()
    .called("stp"),
    OptionSpec::new(
        "priority",
        6,
        Form::number(Width::U16, 0, u16::MAX as u64),
        "Its priority in the election of STP's root: the lowest wins.",
    )
    .by_default(32768),
    OptionSpec::new("vlan_filtering", 7, DIGIT, "Whether it tells VLANs apart.").off_by_default(),
    OptionSpec::new("vlan_protocol", 8, super::vlan::PROTOCOL, "The tags that it takes for VLANs.")
        .by_default(0x8100),
    OptionSpec::new(
        "group_fwd_mask",
        9,
        Form::number(Width::U16, 0, u16::MAX as u64),
        "The link-local groups 01:80:C2:00:00:0X whose frames it forwards, a bit each.",
    )
    .by_default(0),
    OptionSpec::new(
        "mcast_router",
        22,
        Form::number(Width::U8, 0, 2),
        "Whether a multicast router is behind it: 0 no, 1 as found out, 2 yes.",
    )
    .by_default(1),
    OptionSpec::new(
        "mcast_snooping",
        23,
        DIGIT,
        "Whether it sends multicast only to ports that asked for it.",
    )
    .on_by_default(),
    OptionSpec::new(
        "mcast_query_use_ifaddr",
        24,
        DIGIT,
        "Whether its IGMP queries have its own address instead of 0.0.0.0.",
    )
    .off_by_default(),
    OptionSpec::new("mcast_querier", 25, DIGIT, "Whether it asks who wants which multicast.")
        .off_by_default(),
    OptionSpec::new(
        "mcast_hash_max",
        27,
        Form::number(Width::U32, 1, u32::MAX as u64),
        "How many multicast groups it keeps; a power of two.",
    )
    .by_default(4096),
    OptionSpec::new(
        "mcast_last_member_count",
        28,
        Form::number(Width::U32, 0, u32::MAX as u64),
        "How often a group is asked after whether others want it, when one leaves.",
    )
    .by_default(2),
    OptionSpec::new(
        "mcast_startup_query_count",
        29,
        Form::number(Width::U32, 0, u32::MAX as u64),
        "How many queries it sends at the start.",
    )
    .by_default(2),
    OptionSpec::new(
        "mcast_last_member_interval",
        30,
        Form::number(Width::U64, 0, u32::MAX as u64),
        "The time between queries after one has left a group, in 1/100 s.",
    )
    .by_default(100)
    .in_ticks(),
    OptionSpec::new(
        "mcast_membership_interval",
        31,
        Form::number(Width::U64, 0, u32::MAX as u64),
        "How long a member counts that says no more, in 1/100 s.",
    )
    .by_default(26000)
    .in_ticks(),
    OptionSpec::new(
        "mcast_querier_interval",
        32,
        Form::number(Width::U64, 0, u32::MAX as u64),
        "How long another querier counts that says no more, in 1/100 s.",
    )
    .by_default(25500)
    .in_ticks(),
    OptionSpec::new(
        "mcast_query_interval",
        33,
        Form::number(Width::U64, 100, u32::MAX as u64),
        "The time between its queries, in 1/100 s.",
    )
    .by_default(12500)
    .in_ticks(),
    OptionSpec::new(
        "mcast_query_response_interval",
        34,
        Form::number(Width::U64, 0, u32::MAX as u64),
        "How long a member may take to answer a query, in 1/100 s.",
    )
    .by_default(1000)
    .in_ticks(),
    OptionSpec::new(
        "mcast_startup_query_interval",
        35,
        Form::number(Width::U64, 100, u32::MAX as u64),
        "The time between its queries at the start, in 1/100 s.",
    )
    .by_default(3125)
    .in_ticks(),
    OptionSpec::new(
        "mcast_vlan_snooping",
        BOOLOPT,
        MCAST_VLAN_SNOOPING,
        "Whether it looks after the multicast groups of each VLAN by itself.",
    )
    .off_by_default(),
    OptionSpec::new(
        "no_linklocal_learn",
        BOOLOPT,
        NO_LINKLOCAL_LEARN,
        "Whether it learns no addresses from link-local frames.",
    )
    .off_by_default(),
    OptionSpec::new(
        "nf_call_iptables",
        36,
        DIGIT,
        "Whether IPv4 packets that it forwards pass the firewall of the node.",
    )
    .off_by_default(),
    OptionSpec::new(
        "nf_call_ip6tables",
        37,
        DIGIT,
        "Whether IPv6 packets that it forwards pass the firewall of the node.",
    )
    .off_by_default(),
    OptionSpec::new(
        "nf_call_arptables",
        38,
        DIGIT,
        "Whether ARP packets that it forwards pass the firewall of the node.",
    )
    .off_by_default(),
    OptionSpec::new(
        "vlan_default_pvid",
        39,
        Form::number(Width::U16, 0, 4094),
        "The VLAN that untagged frames of a new port belong to; 0 for none.",
    )
    .by_default(1),
    OptionSpec::new("vlan_stats_enabled", 41, DIGIT, "Whether it counts per VLAN.")
        .off_by_default(),
    OptionSpec::new("vlan_stats_per_port", 45, DIGIT, "Whether it counts per VLAN of each port.")
        .off_by_default(),
    OptionSpec::new("mcast_stats_enabled", 42, DIGIT, "Whether it counts IGMP and MLD.")
        .off_by_default(),
    OptionSpec::new(
        "mcast_igmp_version",
        43,
        Form::number(Width::U8, 2, 3),
        "The version of IGMP that it speaks.",
    )
    .by_default(2),
    OptionSpec::new(
        "mcast_mld_version",
        44,
        Form::number(Width::U8, 1, 2),
        "The version of MLD that it speaks.",
    )
    .by_default(1),
];

/// As `br_multicast_toggle_vlan_snooping` has it (net/bridge/br_multicast.c).
fn check(options: &Options) -> Result<(), &'static str> {
    /// `BR_GROUPFWD_RESTRICTED` (net/bridge/br_private.h).
    const KEPT: u64 = 0x7;
    if options.number("group_fwd_mask").is_some_and(|mask| mask & KEPT != 0) {
        return Err("never forwards the first three groups of `group_fwd_mask`");
    }
    let is_on = |word| options.get(word) == Some(&Value::Bool(true));
    match is_on("mcast_vlan_snooping") && !is_on("vlan_filtering") {
        true => Err("has `mcast_vlan_snooping` only with `vlan_filtering: true`"),
        false => Ok(()),
    }
}

/// `IFLA_BRPORT_…`; iproute2's words after `type bridge_slave`.
const PORT: &[OptionSpec] = &[
    OptionSpec::new(
        "priority",
        2,
        Form::number(Width::U16, 0, 63),
        "Its priority in STP among ports of one cost: the lowest wins.",
    )
    .by_default(32),
    OptionSpec::new(
        "cost",
        3,
        Form::number(Width::U32, 1, 65535),
        "What it costs STP to send by this port.",
    ),
    OptionSpec::new("hairpin", 4, ON_OFF, "Whether a frame may go out where it came in.")
        .off_by_default(),
    OptionSpec::new("guard", 5, ON_OFF, "Whether STP's messages are dropped here (BPDU guard).")
        .off_by_default(),
    OptionSpec::new(
        "root_block",
        6,
        ON_OFF,
        "Whether no root bridge of STP may be behind this port.",
    )
    .off_by_default(),
    OptionSpec::new(
        "fastleave",
        7,
        ON_OFF,
        "Whether a multicast group ends here at once when one member leaves.",
    )
    .off_by_default(),
    OptionSpec::new("learning", 8, ON_OFF, "Whether addresses are learned here.").on_by_default(),
    OptionSpec::new("flood", 9, ON_OFF, "Whether frames to unknown addresses go out here.")
        .on_by_default(),
    OptionSpec::new(
        "proxy_arp",
        10,
        ON_OFF,
        "Whether the bridge answers ARP here for whom it knows.",
    )
    .off_by_default(),
    OptionSpec::new(
        "mcast_router",
        25,
        Form::number(Width::U8, 0, 3),
        "Whether a multicast router is here: 0 no, 1 as found out, 2 yes, 3 for a while.",
    )
    .by_default(1),
    OptionSpec::new(
        "mcast_flood",
        27,
        ON_OFF,
        "Whether multicast that nobody asked for goes out here.",
    )
    .on_by_default(),
    OptionSpec::new(
        "mcast_to_unicast",
        28,
        ON_OFF,
        "Whether multicast goes out as a unicast frame for each who asked.",
    )
    .off_by_default(),
    OptionSpec::new("bcast_flood", 30, ON_OFF, "Whether broadcast goes out here.").on_by_default(),
    OptionSpec::new(
        "neigh_suppress",
        32,
        ON_OFF,
        "Whether ARP and neighbour discovery are answered by the bridge where it can.",
    )
    .off_by_default(),
    OptionSpec::new(
        "isolated",
        33,
        ON_OFF,
        "Whether it can't reach other isolated ports, only the rest.",
    )
    .off_by_default(),
    OptionSpec::new(
        "proxy_arp_wifi",
        12,
        ON_OFF,
        "Whether the bridge answers ARP here for whom it knows, as access points need it.",
    )
    .off_by_default(),
    OptionSpec::new(
        "vlan_tunnel",
        29,
        ON_OFF,
        "Whether the VLANs of this port are numbers of tunnels too.",
    )
    .off_by_default(),
    OptionSpec::new(
        "group_fwd_mask",
        31,
        Form::number(Width::U16, 0, u16::MAX as u64),
        "The link-local groups 01:80:C2:00:00:0X whose frames it forwards, a bit each.",
    )
    .by_default(0),
    OptionSpec::new(
        "backup_port",
        34,
        Form::Interface { dies: false },
        "The port that takes its frames while it has no carrier.",
    )
    .else_no_interface(),
    OptionSpec::new(
        "locked",
        39,
        ON_OFF,
        "Whether only those whose address is in its table are heard.",
    )
    .off_by_default(),
];
