//! Neighbour entries that somebody wrote: `ip-neighbour(8)`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::names::IfName;
use crate::origin::Origin;

/// A neighbour that is never asked for (NUD_PERMANENT), or one that the host answers for
/// (NTF_PROXY).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbor {
    /// The interface.
    pub dev: IfName,
    /// The address.
    pub addr: IpAddr,
    /// The hardware address that it has; `None` for one that the host answers for in its place.
    pub lladdr: Option<Mac>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl Neighbor {
    /// Tells whether the host answers for the address in the place of who has it.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.lladdr.is_none()
    }

    /// Returns what the kernel knows it by.
    #[must_use]
    pub fn key(&self) -> (&IfName, IpAddr, bool) {
        (&self.dev, self.addr, self.is_proxy())
    }
}

impl fmt::Display for Neighbor {
    /// Writes it in iproute2's words: `10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lladdr {
            Some(lladdr) => write!(f, "{} lladdr {lladdr} dev {}", self.addr, self.dev),
            None => write!(f, "proxy {} dev {}", self.addr, self.dev),
        }
    }
}
