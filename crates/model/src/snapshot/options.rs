//! What is said of an interface in a file: what is not so anyway.

use crate::kind::{Device, Hardware, Options};
use crate::mac::Mac;
use crate::origin::Origin;
use crate::state::{
    Address, Interface, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, MTU_LOOPBACK_BYTES, Namespace,
    Queues,
};
use crate::topology::{AddressSpec, InterfaceOptions};

/// Returns what is to be said of an interface: what is not so anyway.
pub(super) fn options(interface: &Interface, ns: &Namespace, node_ipv6: bool) -> InterfaceOptions {
    let is_loopback = interface.kind == Kind::Loopback;
    let default = match interface.kind {
        Kind::Loopback => MTU_LOOPBACK_BYTES,
        _ => MTU_DEFAULT_BYTES,
    };
    let master = interface.master.as_ref().and_then(|master| ns.interfaces.get(master));
    let is_wire =
        interface.kind.is_bridge() || master.is_some_and(|master| master.kind.has_wires());
    let addresses: Vec<AddressSpec> = interface
        .addresses
        .iter()
        .filter(|address| !is_derived(address, interface.mac))
        .filter(|address| !(is_loopback && is_born(&address.net.to_string())))
        .map(|address| AddressSpec {
            addr: address.net.addr(),
            prefix_len: Some(address.net.prefix_len()),
            origin: Origin::NONE,
        })
        .collect();
    let expected = is_wire.then_some(!addresses.is_empty());
    // The kernel takes IPv6 off where packets are too small for it.
    let carries_ipv6 = interface.mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES);
    let ipv6 = match (interface.ipv6, expected) {
        _ if is_loopback || !node_ipv6 || !carries_ipv6 => None,
        (Some(on), Some(expected)) => (on != expected).then_some(on),
        (Some(false), None) => Some(false),
        _ => None,
    };
    // What the file must not say of it goes back with it.
    let is_made = interface.kind.moved_from().is_none();
    InterfaceOptions {
        addresses,
        mtu: interface.mtu.filter(|mtu| *mtu != default && !follows_another(interface)),
        mac: interface
            .mac
            .filter(|_| !is_loopback && interface.kind.device().is_none_or(Device::has_own_mac)),
        alias: interface.alias.clone().filter(|_| !is_loopback),
        up: (!interface.up).then_some(false),
        ipv6,
        txqueuelen: interface
            .txqueuelen
            .filter(|len| is_made && *len != interface.kind.queue_len()),
        queues: if is_made { interface.queues.unusual(&interface.kind) } else { Queues::default() },
        rps_cpus: interface.rps_cpus.clone().filter(|_| is_made),
        offload: interface.offload.clone().into_iter().filter(|_| is_made).collect(),
        port: master
            .map(|master| interface.telling_port(master, &Options::new()))
            .unwrap_or_default(),
        ..InterfaceOptions::default()
    }
}

/// Tells whether the kernel works the MTU out from what is below, or has no say in it.
fn follows_another(interface: &Interface) -> bool {
    let device = interface.kind.device();
    device.is_some_and(|device| device.stands() || device.spec.hardware == Hardware::None)
}

/// Tells whether the kernel gives `lo` this address by itself.
fn is_born(net: &str) -> bool {
    matches!(net, "127.0.0.1/8" | "::1/128")
}

/// Tells whether the kernel gives an interface this address by itself: the link-local one that
/// follows from the hardware address (RFC 4291, appendix A). Where there is none it has other ways.
pub(super) fn is_derived(address: &Address, mac: Option<Mac>) -> bool {
    let from = |Mac([a, b, c, d, e, f]): Mac| {
        let parts = [u16::from_be_bytes([a ^ 2, b]), u16::from_be_bytes([c, 0xff])];
        let rest = [u16::from_be_bytes([0xfe, d]), u16::from_be_bytes([e, f])];
        let own = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, parts[0], parts[1], rest[0], rest[1]);
        address.net.addr() == own && address.net.prefix_len() == 64
    };
    address.is_ipv6_link_local() && mac.is_none_or(from)
}
