//! ipvlan: further IP stacks behind one hardware address (drivers/net/ipvlan/).

use super::spec::{Hardware, KindSpec, Lower, OptionSpec};
use super::value::{Form, Width};

/// One more station on the wire of another interface, with the same hardware address.
pub(super) static IPVLAN: KindSpec = KindSpec {
    lower: Lower::Required,
    hardware: Hardware::None,
    // `ip` says no flag where none is among its words.
    says_all: true,
    ..KindSpec::new(
        "ipvlan",
        "CONFIG_IPVLAN",
        "One more station on the wire of another interface, with its hardware address.",
        OPTIONS,
    )
};

/// `IFLA_IPVLAN_…`; `enum ipvlan_mode`, `IPVLAN_F_…` (linux/if_link.h). All on one interface share
/// mode and flag (`ipvlan_set_port_mode`).
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        1,
        Form::Choice { width: Width::U16, words: &[("l2", 0), ("l3", 1), ("l3s", 2)] },
        "Whether packets are switched (`l2`) or routed (`l3`, and `l3s` past the firewall).",
    )
    .by_default(1),
    OptionSpec::new(
        "mode_flag",
        2,
        Form::Choice { width: Width::U16, words: &[("bridge", 0), ("private", 1), ("vepa", 2)] },
        "Whether it reaches its like on the same interface: `bridge` directly, `vepa` by way of \
         the switch, `private` not at all.",
    )
    .by_default(0)
    .bare(),
];
