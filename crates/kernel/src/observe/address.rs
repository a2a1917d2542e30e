//! Addresses, as RTM_NEWADDR tells them.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use vnet_model::Address;
use vnet_model::ipnet::IpNet;
use vnet_netlink::{Error, Socket};

/// Reads the permanent addresses of the socket's namespace, with the index of their interface.
pub(super) fn dump(socket: &mut Socket) -> Result<Vec<(u32, Address)>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewAddress(message) => address(&message),
        _ => None,
    })
}

pub(super) fn address(message: &AddressMessage) -> Option<(u32, Address)> {
    let mut addr = None;
    let mut local = None;
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => addr = Some(*found),
            // With a peer, IFA_ADDRESS is the other side's.
            AddressAttribute::Local(found) => local = Some(*found),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    if !flags.contains(AddressFlags::Permanent) {
        return None;
    }
    let net = IpNet::new(local.or(addr)?, message.header.prefix_len).ok()?;
    Some((message.header.index, Address::new(net)))
}
