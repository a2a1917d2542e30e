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
const IFA_F_PERMANENT: u32 = 0x80;

/// Reads the permanent addresses of the socket's namespace, with the index of their interface.
pub(super) fn dump(socket: &mut Socket) -> Result<Vec<(u32, Address)>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    socket.dump(&request, |message| Ok(address(message)?))
}

/// Reads one address; `None` for one that is not permanent. Attribute by attribute, since there are
/// many of them.
pub(super) fn address(message: Message<'_>) -> Result<Option<(u32, Address)>, Malformed> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let [_, prefix_len, flags, _, a, b, c, d, ..] = *message.payload else { return Ok(None) };
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
    let net = net.filter(|_| flags & IFA_F_PERMANENT != 0);
    Ok(net.map(|net| (u32::from_ne_bytes([a, b, c, d]), Address::new(net))))
}

fn ip(attribute: Attribute<'_>) -> Option<IpAddr> {
    match attribute.value.len() {
        4 => attribute.array::<4>().ok().map(IpAddr::from),
        _ => attribute.array::<16>().ok().map(IpAddr::from),
    }
}
