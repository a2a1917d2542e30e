//! vlan: one VLAN of another interface (net/8021q/vlan_netlink.c; IEEE 802.1Q).

use super::spec::{KindSpec, Lower, OptionSpec};
use super::value::{Form, Switch, Width};

/// The tags of VLANs (linux/if_ether.h).
pub(super) const PROTOCOL: Form =
    Form::Choice { width: Width::Be16, words: &[("802.1Q", 0x8100), ("802.1ad", 0x88a8)] };

/// What leaves it gets a tag and goes out of the interface below.
pub static VLAN: KindSpec = KindSpec {
    module: "8021q",
    lower: Lower::Required,
    // `vlan_check_real_dev`, net/8021q/vlan.c.
    key: &[("protocol", 0x8100), ("id", 0)],
    ..KindSpec::new(
        "vlan",
        "CONFIG_VLAN_8021Q",
        "One VLAN of another interface: what leaves it is tagged.",
        OPTIONS,
    )
};

const fn flag(bit: u32) -> Form {
    Form::Bit { bit, say: Switch::OnOff }
}

/// `IFLA_VLAN_…`, and bits of `enum vlan_flags` (linux/if_vlan.h). The id can't be changed: the
/// kernel takes no notice (`vlan_changelink`).
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "protocol",
        5,
        PROTOCOL,
        "The tag: `802.1Q` or, for the outer of two, `802.1ad`.",
    )
    .by_default(0x8100)
    .at_birth(),
    OptionSpec::new("id", 1, Form::number(Width::U16, 0, 4094), "The VLAN's number.")
        .at_birth()
        .required(),
    OptionSpec::new(
        "reorder_hdr",
        2,
        flag(0x1),
        "Whether packets that come in look as if they had had no tag.",
    )
    .on_by_default(),
    OptionSpec::new("gvrp", 2, flag(0x2), "Whether it is announced by GVRP.").off_by_default(),
    OptionSpec::new(
        "loose_binding",
        2,
        flag(0x4),
        "Whether it may be up while the interface below is down.",
    )
    .off_by_default(),
    OptionSpec::new("mvrp", 2, flag(0x8), "Whether it is announced by MVRP.").off_by_default(),
    OptionSpec::new(
        "bridge_binding",
        2,
        flag(0x10),
        "Whether it is up only while a port of the bridge below is that has its VLAN.",
    )
    .off_by_default(),
    OptionSpec::new(
        "ingress-qos-map",
        4,
        Form::Map { from: 7, to: u32::MAX as u64 },
        "Which priority packets have that come in with each of the tag.",
    )
    .else_empty(),
    OptionSpec::new(
        "egress-qos-map",
        3,
        Form::Map { from: u32::MAX as u64, to: 7 },
        "Which priority the tag of packets has that go out with each.",
    )
    .else_empty(),
];
