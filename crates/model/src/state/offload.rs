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

    /// Returns the kernel's names of the features in the group (`netdev_features_strings`,
    /// net/ethtool/common.c; `off_flag_def`, ethtool's ethtool.c).
    #[must_use]
    pub fn features(self) -> &'static [&'static str] {
        match self {
            Self::Rx => &["rx-checksum"],
            Self::Tx => &[
                "tx-checksum-ipv4",
                "tx-checksum-ip-generic",
                "tx-checksum-ipv6",
                "tx-checksum-fcoe-crc",
                "tx-checksum-sctp",
            ],
            Self::Sg => &["tx-scatter-gather", "tx-scatter-gather-fraglist"],
            Self::Tso => &[
                "tx-tcp-segmentation",
                "tx-tcp-ecn-segmentation",
                "tx-tcp-mangleid-segmentation",
                "tx-tcp6-segmentation",
            ],
            Self::Gso => &["tx-generic-segmentation"],
            Self::Gro => &["rx-gro"],
        }
    }
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, offload)| offload == self);
        f.write_str(known.map_or("", |(word, _)| word))
    }
}
