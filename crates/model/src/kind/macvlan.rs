//! macvlan and macvtap: further hardware addresses on an interface (drivers/net/macvlan.c).

use super::options::Options;
use super::spec::{KindSpec, Lower, OptionSpec};
use super::value::{Form, Switch, Value, Width};

/// The mode in which the one macvlan takes the whole interface.
pub(super) const PASSTHRU: Option<&Value> = Some(&Value::Number(8));

/// The mode in which it takes frames by who sent them.
pub(super) const SOURCE: u64 = 16;

/// One more station on the wire of another interface.
pub(super) static MACVLAN: KindSpec = KindSpec {
    lower: Lower::Required,
    check,
    ..KindSpec::new(
        "macvlan",
        "CONFIG_MACVLAN",
        "One more station on the wire of another interface, with an address of its own.",
        OPTIONS,
    )
};

/// A macvlan whose packets a program reads and writes, by `/dev/tapN`.
pub(super) static MACVTAP: KindSpec = KindSpec {
    lower: Lower::Required,
    check,
    ..KindSpec::new(
        "macvtap",
        "CONFIG_MACVTAP",
        "A macvlan whose packets a program reads and writes.",
        OPTIONS,
    )
};

/// `IFLA_MACVLAN_…`, modes of `enum macvlan_mode`. To and from `passthru` no message leads
/// (`macvlan_changelink`): it is made again.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        1,
        Form::Choice {
            width: Width::U32,
            words: &[("private", 1), ("vepa", 2), ("bridge", 4), ("passthru", 8), ("source", SOURCE)],
        },
        "Whether it reaches its like on the same interface: `bridge` directly, `vepa` by way of \
         the switch, `private` not at all; `passthru` takes the whole interface, `source` what comes from those of `macaddr`.",
    )
    .by_default(2),
    // It follows the mode in `ip` too.
    OptionSpec::new(
        "nopromisc",
        2,
        Form::Switch { say: Switch::Word, width: Width::U16 },
        "Whether the interface below hears what is for itself alone, with `mode: passthru`.",
    )
    .off_by_default()
    // The kernel would change it; iproute2 has no words for that.
    .at_birth(),
    OptionSpec::new(
        "bcqueuelen",
        7,
        Form::number(Width::U32, 0, u32::MAX as u64),
        "How many broadcasts wait for their copies.",
    )
    .by_default(1000),
    // `ip` takes all that follows for addresses.
    OptionSpec::new(
        "macaddr",
        5,
        Form::Macs,
        "Whose frames it takes, with `mode: source`.",
    )
    .else_empty(),
];

/// As `macvlan_common_newlink` and `macvlan_changelink` have it.
fn check(options: &Options) -> Result<(), &'static str> {
    let mode = options.get("mode");
    let has = |word| options.get(word).is_some_and(|value| *value != Value::Bool(false));
    if has("macaddr") && mode != Some(&Value::Number(SOURCE)) {
        return Err("has `macaddr` only with `mode: source`");
    }
    match has("nopromisc") && mode != PASSTHRU {
        true => Err("has `nopromisc` only with `mode: passthru`"),
        false => Ok(()),
    }
}
