//! netkit: a pair of interfaces such as veth, by default without Ethernet's neighbours
//! (drivers/net/netkit.c; Linux 6.7).

use super::options::Options;
use super::spec::{KindSpec, OptionSpec};
use super::value::{Form, Value, Width};

/// One end of a pair of interfaces that programs of BPF can be attached to.
pub static NETKIT: KindSpec = KindSpec::new(
    "netkit",
    "CONFIG_NETKIT",
    "One end of a pair of interfaces such as veth, for programs of BPF; a link makes it.",
    OPTIONS,
);

/// The mode in which frames have addresses, and neighbours are asked for theirs.
pub(super) const L2: Value = Value::Number(0);

/// The words of these are apart: `policy` and `peer` are of one end and of the other.
const POLICY: &str = "policy";
const PEER: &str = "peer";

/// `NETKIT_PASS` and `NETKIT_DROP`, which iproute2 calls so.
const POLICIES: Form =
    Form::Choice { width: Width::U32, words: &[("forward", 0), ("blackhole", 2)] };

/// `IFLA_NETKIT_…`; `enum netkit_mode`, `enum netkit_action` (linux/if_link.h).
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        5,
        Form::Choice { width: Width::U32, words: &[("l2", 0), ("l3", 1)] },
        "Whether frames have hardware addresses and neighbours are asked for theirs (`l2`), or \
         whatever is sent comes out at the other end (`l3`).",
    )
    .by_default(1)
    .at_birth(),
    OptionSpec::new(
        POLICY,
        3,
        POLICIES,
        "What becomes of what the first end sends, where no program says it: `forward` or \
         `blackhole`.",
    )
    .by_default(0)
    .bare(),
    OptionSpec::new(
        PEER,
        4,
        POLICIES,
        "What becomes of what the second end sends, where no program says it: `forward` or \
         `blackhole`.",
    )
    .called("peer_policy")
    .by_default(0),
];

/// Returns the options as the other end has them: what is one's own to one is the other's to it.
pub(crate) fn from_the_other_end(options: &Options) -> Options {
    let swapped = options.of(OPTIONS).map(|(option, value)| {
        let word = match option.word {
            POLICY => PEER,
            PEER => POLICY,
            word => word,
        };
        (OPTIONS.iter().find(|it| it.word == word).unwrap_or(option), value.clone())
    });
    swapped.collect()
}
