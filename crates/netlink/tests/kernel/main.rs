//! What the kernel says, in namespaces of the tests' own.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod ask;
mod events;
mod netfilter;
mod submit;

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_netlink::{Batch, Error, Flags, Outcome, Protocol, Socket};

pub(crate) const LO: u32 = 1;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_GETADDR: u16 = 22;
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const IFLA_IFNAME: u16 = 3;
const IFI_HEADER_BYTES: usize = 16;
const IFA_LOCAL: u16 = 2;
const IFA_HEADER_BYTES: usize = 8;

pub(crate) fn exclusive() -> Flags {
    Flags::CREATE | Flags::EXCL
}

/// The address 10.1.x.y/32 on lo.
pub(crate) fn new_address(number: u16) -> RouteNetlinkMessage {
    let [high, low] = number.to_be_bytes();
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = 32;
    message.header.index = LO;
    let address = IpAddr::V4(Ipv4Addr::new(10, 1, high, low));
    message.attributes.push(AddressAttribute::Local(address));
    RouteNetlinkMessage::NewAddress(message)
}

pub(crate) fn new_route(destination: Ipv4Addr, gateway: Ipv4Addr) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 24;
    message.header.table = 254;
    message.header.kind = netlink_packet_route::route::RouteType::Unicast;
    message.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(destination)));
    message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    RouteNetlinkMessage::NewRoute(message)
}

pub(crate) fn named_link(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

pub(crate) fn new_veth(name: &str, peer: &str) -> RouteNetlinkMessage {
    let mut message = named_link(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(named_link(peer)))),
    ]));
    RouteNetlinkMessage::NewLink(message)
}

pub(crate) fn set_up(index: u32) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    RouteNetlinkMessage::SetLink(message)
}

pub(crate) fn batch(
    messages: impl IntoIterator<Item = RouteNetlinkMessage>,
    flags: Flags,
) -> Batch {
    let mut batch = Batch::new();
    for message in messages {
        batch.push(&message, flags);
    }
    batch
}

pub(crate) fn socket() -> Socket {
    Socket::open(Protocol::Route).unwrap()
}

pub(crate) fn submit(socket: &mut Socket, message: RouteNetlinkMessage, flags: Flags) -> Outcome {
    socket.submit(&mut batch([message], flags)).unwrap()
}

/// The IPv4 addresses on lo, read by the fast path.
pub(crate) fn addresses(socket: &mut Socket) -> Vec<Ipv4Addr> {
    try_addresses(socket).unwrap()
}

pub(crate) fn try_addresses(socket: &mut Socket) -> Result<Vec<Ipv4Addr>, Error> {
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet;
    let request = RouteNetlinkMessage::GetAddress(request);
    let read = |message: vnet_netlink::Message<'_>| {
        assert_eq!(message.kind, RTM_NEWADDR);
        let local = message.attributes(IFA_HEADER_BYTES)?.find(IFA_LOCAL)?;
        Ok(local.map(|local| local.array::<4>()).transpose()?.map(Ipv4Addr::from))
    };
    socket.dump(&request, read)
}

pub(crate) fn link_names(socket: &mut Socket) -> Vec<String> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let read = |message: vnet_netlink::Message<'_>| {
        let name = message.attributes(IFI_HEADER_BYTES)?.find(IFLA_IFNAME)?;
        Ok(name.map(|name| name.text().map(str::to_owned)).transpose()?)
    };
    socket.dump(&request, read).unwrap()
}
