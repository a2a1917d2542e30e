//! How many queues an interface sends and receives by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Interface, Kind};

/// The most queues that the kernel makes of one kind (`rtnl_create_link`, net/core/rtnetlink.c).
pub const QUEUES_MAX: u32 = 4096;

/// How many queues an interface has (`IFLA_NUM_TX_QUEUES`, `IFLA_NUM_RX_QUEUES`). They are said when it is
/// made, and never changed.
///
/// What is said of a veth's end is how many it uses: of one of which nothing is said the kernel keeps
/// room for as many as there are processors, and uses one (`veth_init_queues`, drivers/net/veth.c).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// Those it sends by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<u32>,
    /// Those it receives by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx: Option<u32>,
}

impl Queues {
    /// Tells whether nothing is said.
    #[must_use]
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// Lists what is said, with iproute2's words.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let words = [("numtxqueues", self.tx), ("numrxqueues", self.rx)];
        words.into_iter().filter_map(|(word, count)| Some((word, count?)))
    }

    /// Says of both ends of a veth what is said of one. The kernel looks at the first end alone to
    /// know whether it was said of either: the other would use all that it has room for, or one
    /// (`veth_newlink`, drivers/net/veth.c).
    pub(crate) fn of_pair(this: Self, that: Self) -> [Self; 2] {
        let both = |this: Option<u32>, that: Option<u32>| match this.or(that) {
            Some(_) => [Some(this.unwrap_or(1)), Some(that.unwrap_or(1))],
            None => [None, None],
        };
        let (tx, rx) = (both(this.tx, that.tx), both(this.rx, that.rx));
        [0, 1].map(|end| Self { tx: tx[end], rx: rx[end] })
    }

    /// Leaves out what is as it is where nothing is said of an interface of this kind.
    #[must_use]
    pub(crate) fn unusual(self, kind: &Kind) -> Self {
        let unusual = |count: Option<u32>| count.filter(|count| *count != usual(kind));
        Self { tx: unusual(self.tx), rx: unusual(self.rx) }
    }
}

impl fmt::Display for Queues {
    /// Writes what is said, each after a space: ` numtxqueues 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().try_for_each(|(word, count)| write!(f, " {word} {count}"))
    }
}

impl Interface {
    /// Tells whether it has the queues that are wanted: those that are said, and for what is not said
    /// those that it has from the kernel.
    #[must_use]
    pub(crate) fn has_queues_of(&self, wanted: &Self) -> bool {
        let usual = usual(&self.kind);
        let same = |found: Option<u32>, wanted: Option<u32>| match wanted {
            Some(wanted) => found.unwrap_or(usual) == wanted,
            // Of a bond it is a parameter of the module.
            None => is_bond(&self.kind) || found.is_none_or(|found| found == usual),
        };
        same(self.queues.tx, wanted.queues.tx) && same(self.queues.rx, wanted.queues.rx)
    }
}

/// How many queues of either kind an interface has where nobody says it (`get_num_tx_queues` of
/// `rtnl_link_ops`; `tx_queues`, drivers/net/bonding/bond_main.c).
fn usual(kind: &Kind) -> u32 {
    if is_bond(kind) { 16 } else { 1 }
}

fn is_bond(kind: &Kind) -> bool {
    kind.device().is_some_and(|device| device.spec.is_bond())
}
