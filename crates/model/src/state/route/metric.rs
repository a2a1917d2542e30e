//! What a route says of the way: `ip-route(8)`, the options from `mtu` on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A property of the way that a route leads (`RTAX_*`, linux/rtnetlink.h), a number each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Metric {
    /// The largest packet, in bytes.
    Mtu,
    /// The largest segment that TCP asks the peer for, in bytes.
    Advmss,
    /// The largest window that TCP offers, in bytes.
    Window,
    /// The congestion window at most, in segments; has an effect only where locked.
    Cwnd,
    /// The first congestion window, in segments.
    Initcwnd,
    /// The first receive window that is offered, in segments.
    Initrwnd,
    /// The first slow start threshold, in segments.
    Ssthresh,
    /// How far packets may be out of order before TCP takes them for lost.
    Reordering,
    /// The hop limit (TTL) of packets sent.
    Hoplimit,
    /// Whether TCP acknowledges at once: 0 or 1.
    Quickack,
}

impl Metric {
    /// All of them, by the words that iproute2 has for them, with the kernel's numbers.
    pub const ALL: [(&str, Self, u16); 10] = [
        ("mtu", Self::Mtu, 2),
        ("advmss", Self::Advmss, 8),
        ("window", Self::Window, 3),
        ("cwnd", Self::Cwnd, 7),
        ("initcwnd", Self::Initcwnd, 11),
        ("initrwnd", Self::Initrwnd, 14),
        ("ssthresh", Self::Ssthresh, 6),
        ("reordering", Self::Reordering, 9),
        ("hoplimit", Self::Hoplimit, 10),
        ("quickack", Self::Quickack, 15),
    ];

    /// Returns the greatest value that the kernel keeps as it is (`ip_metrics_convert`,
    /// net/ipv4/metrics.c).
    #[must_use]
    pub fn value_max(self) -> u32 {
        match self {
            Self::Mtu => 65535 - 15,
            Self::Advmss => 65535 - 40,
            Self::Hoplimit => 255,
            Self::Quickack => 1,
            _ => u32::MAX,
        }
    }

    /// Returns the kernel's number for it (`RTAX_MTU`, …).
    #[must_use]
    pub fn number(self) -> u16 {
        Self::ALL.iter().find(|(_, metric, _)| *metric == self).map_or(0, |(_, _, number)| *number)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(_, metric, _)| metric == self);
        f.write_str(known.map_or("", |(word, _, _)| word))
    }
}

/// The value of a [`Metric`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricValue {
    /// The number.
    pub value: u32,
    /// Whether the kernel leaves it as it is: path MTU discovery would lower an `mtu`.
    pub lock: bool,
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.lock { "lock " } else { "" }, self.value)
    }
}
