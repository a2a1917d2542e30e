//! vrf: interfaces with a routing table of their own (drivers/net/vrf.c).

use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Width};

/// A routing table of its own for the interfaces that are its ports.
pub static VRF: KindSpec = KindSpec {
    has_ports: true,
    ..KindSpec::new(
        "vrf",
        "CONFIG_NET_VRF",
        "A router in the router: its ports have a routing table of their own.",
        OPTIONS,
    )
};

/// `IFLA_VRF_…`. The main and local tables would be everybody's.
const OPTIONS: &[OptionSpec] = &[OptionSpec::new(
    "table",
    1,
    Form::number(Width::U32, 1, u32::MAX as u64),
    "The routing table of this VRF.",
)
.at_birth()
.required()];
