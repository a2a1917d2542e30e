//! dummy: an interface that drops what it is to send (drivers/net/dummy.c).

use super::spec::KindSpec;

/// An interface that has addresses and drops what it is to send.
pub(super) static DUMMY: KindSpec = KindSpec::new(
    "dummy",
    "CONFIG_DUMMY",
    "An interface that has addresses, and drops what it is to send.",
    &[],
);
