//! Work that an interface does for the kernel, or that the kernel puts off: `ethtool(8)`, "-K".

use std::fmt;

use serde::{Deserialize, Serialize};

/// A group of features of an interface that are turned on and off together, by ethtool's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Offload {
    /// Checksums of packets that come in.
    Rx,
    /// Checksums of packets that go out.
    Tx,
    /// Packets in pieces of memory.
    Sg,
    /// TCP segments are cut late.
    Tso,
    /// Segments of other protocols are cut late.
    Gso,
    /// Segments that come in are put together.
    Gro,
}

impl Offload {
    /// All of them, with ethtool's words.
    pub const ALL: [(&str, Self); 6] = [
        ("rx", Self::Rx),
        ("tx", Self::Tx),
        ("sg", Self::Sg),
        ("tso", Self::Tso),
        ("gso", Self::Gso),
        ("gro", Self::Gro),
    ];

    /// Tells whether a feature is in the group, by the kernel's name (`netdev_features_strings`,
    /// net/ethtool/common.c): as ethtool has it, which newer kernels add features to (`off_flag_def`,
    /// ethtool.c).
    #[must_use]
    pub fn has(self, feature: &str) -> bool {
        match self {
            Self::Rx => feature == "rx-checksum",
            Self::Tx => feature.starts_with("tx-checksum-"),
            Self::Sg => feature.starts_with("tx-scatter-gather"),
            Self::Tso => feature.starts_with("tx-tcp") && feature.ends_with("-segmentation"),
            Self::Gso => feature == "tx-generic-segmentation",
            Self::Gro => feature == "rx-gro",
        }
    }

    /// Tells whether an interface of this kind has it on from birth, where it can be changed: a veth's
    /// packets are put together only where somebody asks for it (`veth_newlink`, drivers/net/veth.c).
    #[must_use]
    pub fn usual(self, kind: &str) -> bool {
        !(kind == "veth" && self == Self::Gro)
    }
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, offload)| offload == self);
        f.write_str(known.map_or("", |(word, _)| word))
    }
}
