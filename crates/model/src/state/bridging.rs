//! What bridges and tunnels know of their ports and stations: VLANs and forwarding entries.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::origin::Origin;

/// The VLANs of a bridge's port by their number, 1 to 4094.
pub type PortVlans = BTreeMap<u16, PortVlan>;

/// How a port is in a VLAN (`bridge(8)`, "bridge vlan add").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortVlan {
    /// Whether packets that come in without a tag are in this VLAN; of one VLAN of a port at most.
    pub pvid: bool,
    /// Whether its packets go out without a tag.
    pub untagged: bool,
}

impl PortVlan {
    /// The VLAN of packets without a tag, in both directions.
    pub const UNTAGGED: Self = Self { pvid: true, untagged: true };

    /// A VLAN with tags, in both directions.
    pub const TAGGED: Self = Self { pvid: false, untagged: false };
}

impl fmt::Display for PortVlan {
    /// Writes the words of `bridge vlan add`, each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pvid { " pvid" } else { "" })?;
        f.write_str(if self.untagged { " untagged" } else { "" })
    }
}

/// A forwarding entry that somebody wrote: where packets to a hardware address go (`bridge(8)`,
/// "bridge fdb").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The hardware address; all zeros is every one that is not known, and broadcasts.
    pub mac: Mac,
    /// The far end of the tunnel; `None` for an entry of the bridge that the interface is a port of.
    pub dst: Option<IpAddr>,
    /// The VLAN of the bridge that it is for.
    pub vlan: Option<u16>,
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl FdbEntry {
    /// Says that packets to every address that is not known go to this far end of a tunnel too.
    #[must_use]
    pub fn flood_to(dst: IpAddr) -> Self {
        Self { mac: Mac([0; 6]), dst: Some(dst), vlan: None, origin: Origin::NONE }
    }
}

impl fmt::Display for FdbEntry {
    /// Writes it in the words of `bridge fdb`, without the interface.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mac.fmt(f)?;
        if let Some(dst) = self.dst {
            write!(f, " dst {dst}")?;
        }
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        Ok(())
    }
}
