//! physical: an interface of the host's that is in the node as long as the lab is up.
//!
//! No kind of the kernel's: whatever it is, it is moved (`dev_change_net_namespace`, net/core/dev.c) and
//! not made. Its alias says whence, so that it is given back under its name whatever becomes of the
//! record.

use super::spec::{Hardware, KindSpec, Lower};
use crate::names::IfName;

/// An interface of the host's, moved into the node.
pub static PHYSICAL: KindSpec = KindSpec {
    lower: Lower::Host,
    // It keeps its own.
    hardware: Hardware::None,
    ..KindSpec::new(
        "physical",
        "CONFIG_NET_NS",
        "An interface of the host's, which is in the node as long as the lab is up.",
        &[],
    )
};

/// How the alias begins of what was moved in.
const FROM: &str = "vnet:from:";

/// Returns the alias of an interface that was moved in from the host, where it has this name.
#[must_use]
pub fn alias_of(name: &IfName) -> String {
    format!("{FROM}{name}")
}

/// Returns the name that an interface has in the host, by its alias; `None` where it was not moved in.
#[must_use]
pub fn from_alias(alias: &str) -> Option<IfName> {
    IfName::new(alias.strip_prefix(FROM)?).ok()
}
