//! Addresses, as RTM_NEWADDR tells them.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use vnet_model::Address;
use vnet_model::ipnet::IpNet;
use vnet_netlink::attr::{Attribute, Malformed};
use vnet_netlink::{Error, Message, Socket};

/// `struct ifaddrmsg` (linux/if_addr.h), and what it and its attributes are called.
const HEADER_BYTES: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// An address and where it is.
pub(super) struct Found {
    /// The index of its interface.
    pub(super) index: u32,
    pub(super) address: Address,
    /// Whether the kernel makes a connected route with it, on an interface that is up.
    pub(super) connects: bool,
    /// Whether it stays: one with a lifetime is nobody's declared one.
    pub(super) is_permanent: bool,
    /// How far away it may be used, by the kernel's number.
    pub(super) scope: u8,
    /// Whether its preferred lifetime is over.
    pub(super) is_deprecated: bool,
}

/// Reads the permanent addresses of the socket's namespace.
pub(super) fn dump(socket: &mut Socket) -> Result<Vec<Found>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    socket.dump(&request, |message| Ok(address(message)?.filter(|found| found.is_permanent)))
}

/// Reads all addresses of the socket's namespace in the order in which a namespace has them: those of
/// IPv6 are listed the last first (`ipv6_link_dev_addr`, net/ipv6/addrconf.c).
pub(super) fn dump_all(socket: &mut Socket) -> Result<Vec<Found>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut all = socket.dump(&request, |message| Ok(address(message)?))?;
    let ipv4 = all.partition_point(|found: &Found| found.address.net.addr().is_ipv4());
    all[ipv4..].reverse();
    Ok(all)
}

/// Reads one address. Attribute by attribute, since there are many of them.
pub(super) fn address(message: Message<'_>) -> Result<Option<Found>, Malformed> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let [_, prefix_len, flags, scope, a, b, c, d, ..] = *message.payload else { return Ok(None) };
    let mut flags = u32::from(flags);
    let mut addr = None;
    let mut local = None;
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            IFA_ADDRESS => addr = ip(attribute),
            // With a peer, IFA_ADDRESS is the other side's.
            IFA_LOCAL => local = ip(attribute),
            IFA_FLAGS => flags = attribute.u32()?,
            _ => {}
        }
    }
    let net = local.or(addr).and_then(|addr| IpNet::new(addr, prefix_len).ok());
    let has_peer = local.zip(addr).is_some_and(|(local, addr)| local != addr);
    Ok(net.map(|net| Found {
        index: u32::from_ne_bytes([a, b, c, d]),
        address: Address::new(net),
        scope,
        is_permanent: flags & IFA_F_PERMANENT != 0,
        is_deprecated: flags & IFA_F_DEPRECATED != 0,
        connects: flags & IFA_F_NOPREFIXROUTE == 0 && !has_peer && connects(net, flags),
    }))
}

/// Tells whether the kernel makes a route to the prefix (`fib_add_ifaddr`, net/ipv4/fib_frontend.c;
/// `inet6_addr_add`, net/ipv6/addrconf.c). That of link-local addresses is left out: it is the same for
/// all, and on tunnels it may never have been there.
fn connects(net: IpNet, flags: u32) -> bool {
    match net {
        // Of IPv6, the flag tells a temporary address.
        IpNet::V4(net) => {
            net.prefix_len() < 32 && net.network().octets()[0] != 0 && flags & IFA_F_SECONDARY == 0
        }
        IpNet::V6(net) => !net.addr().is_unicast_link_local(),
    }
}

fn ip(attribute: Attribute<'_>) -> Option<IpAddr> {
    match attribute.value.len() {
        4 => attribute.array::<4>().ok().map(IpAddr::from),
        _ => attribute.array::<16>().ok().map(IpAddr::from),
    }
}
