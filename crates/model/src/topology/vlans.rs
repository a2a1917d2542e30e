//! VLANs of the ports of a node's own bridge, and of that bridge itself.

use std::fmt;

use crate::names::NodeName;
use crate::origin::Origin;
use crate::state::{PortVlan, PortVlans};

/// VLANs that an interface is in as a port of a bridge of its node, or such a bridge itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanSpec {
    /// Which VLANs.
    pub which: Vlans,
    /// How it is in them.
    pub how: PortVlan,
    /// What asked for it.
    pub origin: Origin,
}

/// Which VLANs are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vlans {
    /// Those with these numbers, 1 to 4094, and all between.
    Numbers(u16, u16),
    /// The one that a segment is.
    Segment(NodeName),
}

impl VlanSpec {
    /// Says these VLANs of a port in as few specs as there are ranges of them: the one of packets without
    /// a tag first.
    #[must_use]
    pub fn of(vlans: &PortVlans) -> Vec<Self> {
        let mut specs: Vec<Self> = Vec::new();
        for (&vid, &how) in vlans {
            if let Some(Self { which: Vlans::Numbers(_, last), how: before, .. }) = specs.last_mut()
                && (*last + 1, *before) == (vid, how)
                && !how.pvid
            {
                *last = vid;
                continue;
            }
            specs.push(Self { which: Vlans::Numbers(vid, vid), how, origin: Origin::NONE });
        }
        specs.sort_by_key(|spec| spec.how != PortVlan::UNTAGGED);
        specs
    }
}

impl fmt::Display for VlanSpec {
    /// Writes it in the words of `bridge vlan`: `10 pvid untagged`, `20-29`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.which, self.how)
    }
}

impl fmt::Display for Vlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(first, last) if first == last => first.fmt(f),
            Self::Numbers(first, last) => write!(f, "{first}-{last}"),
            Self::Segment(name) => name.fmt(f),
        }
    }
}
