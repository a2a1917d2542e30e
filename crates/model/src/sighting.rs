//! Packets that were seen on their way.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{IfName, NsName};

/// Which way a packet goes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Heading {
    /// There.
    #[default]
    Forth,
    /// Back: it is the answer.
    Back,
    /// Back: it says that the packet, or its answer, got no further, or was not wanted. An ICMP
    /// error, or a TCP reset.
    Refusal,
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forth => "forth",
            Self::Back => "back",
            Self::Refusal => "refusal",
        })
    }
}

/// A packet that was seen at an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When, since 1970.
    pub at: Duration,
    /// The namespace.
    pub ns: NsName,
    /// The interface.
    pub dev: IfName,
    /// Whether it left by that; else it came in.
    pub leaves: bool,
    /// Whether its frame was for another hardware address than the interface's.
    pub for_another: bool,
    /// Which way it was going.
    pub heading: Heading,
}
