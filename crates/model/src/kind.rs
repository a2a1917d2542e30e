//! The kinds of interfaces as one table: a file a kind, a row an option.
//!
//! All else comes from the table: the keys of the file and their bounds, the JSON schema, the words
//! of `ip link … type KIND`, the attributes of a netlink message and their reading back, and whether
//! a change is made in place or takes another interface. A new kind is a new file here and a line in
//! [`ALL`]; what it needs beyond a table is in its file too.
//!
//! Numbers of attributes are those of `linux/if_link.h` (`IFLA_…`), of `linux/if_tunnel.h` for
//! tunnels. Words are iproute2's.

mod bond;
mod bridge;
mod device;
mod dummy;
mod geneve;
mod ifb;
mod ipvlan;
mod macvlan;
mod netkit;
mod options;
pub mod physical;
mod spec;
mod tun;
mod tunnel;
mod value;
mod vlan;
mod vrf;
mod vxlan;
pub mod wireguard;

pub use device::Device;
pub use options::Options;
pub use physical::PHYSICAL;
pub use spec::{ChangeBy, Hardware, KindSpec, Lower, OptionSpec, Unsaid};
pub use value::{FLOW_INHERIT, Form, Switch, Value, Width};

pub use bond::BOND;
pub(crate) use bond::{shares_mac, uses_one};
pub use bridge::BRIDGE;
pub use netkit::NETKIT;
pub(crate) use netkit::from_the_other_end;
pub use vlan::VLAN;
pub use vrf::VRF;
pub use vxlan::VXLAN;
pub use wireguard::{WIREGUARD, Wireguard};

/// All kinds that the file can ask for with `kind:`.
pub static ALL: &[&KindSpec] = &[
    &bridge::BRIDGE,
    &vlan::VLAN,
    &vxlan::VXLAN,
    &dummy::DUMMY,
    &vrf::VRF,
    &macvlan::MACVLAN,
    &macvlan::MACVTAP,
    &ipvlan::IPVLAN,
    &bond::BOND,
    &tunnel::GRE,
    &tunnel::GRETAP,
    &tunnel::IP6GRE,
    &tunnel::IP6GRETAP,
    &tunnel::IPIP,
    &tunnel::SIT,
    &tunnel::IP6TNL,
    &geneve::GENEVE,
    &wireguard::WIREGUARD,
    &netkit::NETKIT,
    &ifb::IFB,
    &tun::TUN,
    &tun::TAP,
    &physical::PHYSICAL,
];

/// Returns the kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static KindSpec> {
    ALL.iter().copied().find(|kind| kind.name == name)
}

/// Returns the options of this file key, with the kind that each is of; those of ports are not
/// among them.
pub fn options_called(key: &str) -> impl Iterator<Item = (&'static KindSpec, &'static OptionSpec)> {
    let of = move |kind: &'static KindSpec| Some((kind, kind.option_called(key)?));
    ALL.iter().copied().filter_map(of)
}

/// Returns the word as the table has it, which lives for ever.
fn intern(word: &str) -> Option<&'static str> {
    let all = ALL.iter().flat_map(|kind| kind.options.iter().chain(kind.port));
    all.map(|option| option.word).find(|known| *known == word)
}

#[cfg(test)]
mod tests;
