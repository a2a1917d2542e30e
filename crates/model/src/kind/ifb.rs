//! ifb: where incoming packets are sent to be shaped (drivers/net/ifb.c).

use super::spec::KindSpec;

/// An interface that packets are redirected to, so that what comes in can be queued.
pub(super) static IFB: KindSpec = KindSpec::new(
    "ifb",
    "CONFIG_IFB",
    "An interface that incoming packets are sent by, so that they can be shaped.",
    &[],
);
