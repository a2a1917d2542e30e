//! tun and tap: interfaces whose packets a program reads and writes (drivers/net/tun.c).
//!
//! No message makes them: `/dev/net/tun` is opened in their namespace. They last without a program
//! that has them open, as `ip tuntap add` makes them.

use super::spec::{Hardware, KindSpec, OptionSpec};
use super::value::{Form, Switch, Width};

/// An interface whose IP packets a program reads and writes.
pub(super) static TUN: KindSpec = KindSpec {
    hardware: Hardware::None,
    ..KindSpec::new(
        "tun",
        "CONFIG_TUN",
        "An interface whose IP packets a program reads and writes.",
        OPTIONS,
    )
};

/// An interface whose Ethernet frames a program reads and writes.
pub(super) static TAP: KindSpec = KindSpec {
    module: "tun",
    ..KindSpec::new(
        "tap",
        "CONFIG_TUN",
        "An interface whose Ethernet frames a program reads and writes.",
        OPTIONS,
    )
};

/// `IFLA_TUN_…`, as they are told: what is made is said by flags (`IFF_…`).
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "multi_queue",
        7,
        Form::switch(Switch::OnOff),
        "Whether several programs, or threads of one, may have it open: a queue each.",
    )
    .off_by_default()
    .at_birth(),
    OptionSpec::new(
        "pi",
        4,
        Form::switch(Switch::OnOff),
        "Whether flags and a protocol come before each packet (`struct tun_pi`, linux/if_tun.h).",
    )
    .off_by_default()
    .at_birth(),
    OptionSpec::new(
        "vnet_hdr",
        5,
        Form::switch(Switch::OnOff),
        "Whether a header comes before each packet that says what of it is not done yet, as its checksum \
         (`struct virtio_net_hdr`, linux/virtio_net.h).",
    )
    .off_by_default()
    .at_birth(),
    OptionSpec::new("user", 1, ID, "The number of the user who may open it.")
        .else_without()
        .at_birth(),
    OptionSpec::new("group", 2, ID, "The number of the group whose members may open it.")
        .else_without()
        .at_birth(),
];

/// The number of a user or group; the highest is none (`uid_valid`, linux/uidgid.h).
const ID: Form = Form::number(Width::U32, 0, u32::MAX as u64 - 1);
