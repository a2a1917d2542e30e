//! Interfaces, as RTM_NEWLINK tells them.

use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, InfoBridge, InfoData, InfoKind, LinkAttribute,
    LinkExtentMask, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, Prop,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::apply::LOOPBACK;
use vnet_model::{IfName, Interface, Kind, Mac, Mark};
use vnet_netlink::{Error, RawMessage, Socket};

/// An interface and what refers to others by index.
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: IfName,
    pub(super) interface: Interface,
    pub(super) master: Option<u32>,
    /// Where the other end of a veth is.
    pub(super) place: Option<Place>,
}

/// An interface by its index in a namespace, which is the own one where there is no nsid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) nsid: Option<i32>,
}

/// Reads all interfaces of the socket's namespace.
pub(super) fn dump(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let request = RouteNetlinkMessage::GetLink(request());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewLink(message) => link(message),
        _ => None,
    })
}

/// Reads the mark on the `lo` of the socket's namespace, or of the one with the nsid.
pub(super) fn mark(socket: &mut Socket, nsid: Option<i32>) -> Result<Option<Mark>, Error> {
    let mut message = request();
    message.header.index = 1;
    message.attributes.extend(nsid.map(LinkAttribute::IfNetnsId));
    let marks = socket.get(&RouteNetlinkMessage::GetLink(message), |answer| {
        let RouteNetlinkMessage::NewLink(lo) = answer.decode()? else { return Ok(None) };
        Ok(lo.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfAlias(alias) => Mark::parse(alias),
            _ => None,
        }))
    });
    match marks {
        Ok(marks) => Ok(marks.into_iter().next()),
        // The namespace went away, or it is somebody else's.
        Err(Error::Refused(_)) if nsid.is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether IPv6 packets are forwarded in the socket's namespace (RTM_GETNETCONF).
pub(super) fn ipv6_forwarding(socket: &mut Socket) -> Result<bool, Error> {
    const RTM_GETNETCONF: u16 = 82;
    const NETCONFA_IFINDEX: u16 = 1;
    const NETCONFA_FORWARDING: u16 = 2;
    const NETCONFA_IFINDEX_ALL: i32 = -1;
    /// `struct netconfmsg`: the family alone.
    const HEADER_BYTES: usize = 4;
    let request = RawMessage::new(RTM_GETNETCONF, |writer| {
        writer.header(&[u8::from(AddressFamily::Inet6), 0, 0, 0]);
        writer.i32(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL);
    })
    .map_err(|too_long| Error::AttributeTooLong { index: 0, too_long })?;
    let answers = socket.get(&request, |answer| {
        let mut forwarding = None;
        for attribute in answer.attributes(HEADER_BYTES)? {
            let attribute = attribute?;
            if attribute.kind == NETCONFA_FORWARDING {
                forwarding = Some(attribute.u32()? != 0);
            }
        }
        Ok(forwarding)
    })?;
    Ok(answers.into_iter().next().unwrap_or(false))
}

fn request() -> LinkMessage {
    let mut message = LinkMessage::default();
    // Counters are most of an answer, and nobody asked.
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

fn link(message: LinkMessage) -> Option<Link> {
    let loopback = message.header.link_layer_type == LinkLayerType::Loopback;
    let kind = if loopback { Kind::Loopback } else { Kind::Other(String::new()) };
    let mut interface = Interface::new(kind);
    interface.up = message.header.flags.contains(LinkFlags::Up);
    // IPv6 is known to be on only where the kernel has something to say about it.
    interface.ipv6 = Some(false);
    let mut link = Link {
        index: message.header.index,
        name: IfName::new("?").ok()?,
        interface,
        master: None,
        place: None,
    };
    let mut name = None;
    let mut peer = None;
    let mut nsid = None;
    for attribute in message.attributes {
        match attribute {
            // Whatever a person calls it: it can't be removed, nor is there another.
            LinkAttribute::IfName(_) if loopback => name = IfName::new(LOOPBACK).ok(),
            LinkAttribute::IfName(text) => name = IfName::new(&text).ok(),
            LinkAttribute::Link(index) => peer = Some(index),
            LinkAttribute::LinkNetNsId(id) => nsid = Some(id),
            LinkAttribute::Controller(index) => link.master = Some(index),
            other => take(&mut link.interface, other),
        }
    }
    if matches!(link.interface.kind, Kind::Veth { .. }) {
        link.place = peer.map(|index| Place { index, nsid });
    }
    Some(Link { name: name?, ..link })
}

fn take(interface: &mut Interface, attribute: LinkAttribute) {
    match attribute {
        LinkAttribute::Mtu(mtu) => interface.mtu = Some(mtu),
        LinkAttribute::Address(bytes) if interface.kind != Kind::Loopback => {
            interface.mac = <[u8; 6]>::try_from(bytes).ok().map(Mac);
        }
        LinkAttribute::IfAlias(alias) => interface.alias = Some(alias),
        LinkAttribute::PropList(props) => {
            let altname = |prop| match prop {
                Prop::AltIfName(name) => Some(name),
                _ => None,
            };
            interface.altnames = props.into_iter().filter_map(altname).collect();
        }
        LinkAttribute::LinkInfo(infos) => take_info(interface, infos),
        LinkAttribute::AfSpecUnspec(specs) => take_families(interface, specs),
        _ => {}
    }
}

fn take_info(interface: &mut Interface, infos: Vec<LinkInfo>) {
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Veth) => interface.kind = Kind::Veth { peer: None },
            LinkInfo::Kind(InfoKind::Bridge) => interface.kind = Kind::Bridge { stp: false },
            LinkInfo::Kind(kind) => interface.kind = Kind::Other(kind.to_string()),
            LinkInfo::Data(InfoData::Bridge(options)) => {
                let on = |option: &InfoBridge| matches!(option, InfoBridge::StpState(s) if u32::from(*s) != 0);
                interface.kind = Kind::Bridge { stp: options.iter().any(on) };
            }
            _ => {}
        }
    }
}

fn take_families(interface: &mut Interface, specs: Vec<AfSpecUnspec>) {
    for spec in specs {
        match spec {
            AfSpecUnspec::Inet(options) => {
                interface.forward_ipv4 = options.iter().find_map(|option| match option {
                    AfSpecInet::DevConf(conf) => Some(conf.forwarding != 0),
                    _ => None,
                });
            }
            AfSpecUnspec::Inet6(options) => {
                interface.ipv6 = options.iter().find_map(|option| match option {
                    AfSpecInet6::DevConf(conf) => Some(conf.disable_ipv6 == 0),
                    _ => None,
                });
            }
            _ => {}
        }
    }
}
