//! Steps as netlink messages: one function a message.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Prop,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::ipnet::IpNet;
use vnet_model::state::METRIC_IPV6_DEFAULT;
use vnet_model::{Address, IfName, LinkSetting, Mac, Mark, NextHop, Route, RouteKind};
use vnet_netlink::{Batch, Flags};

use crate::error::Error;

/// The interface index of `lo` in every namespace (`LOOPBACK_IFINDEX`, net/net_namespace.h).
const LOOPBACK_INDEX: u32 = 1;

/// The IPv4 settings of an interface (linux/if_link.h).
const IFLA_INET_CONF: u16 = 1;

/// Whether an interface forwards (linux/ip.h).
const IPV4_DEVCONF_FORWARDING: u16 = 1;

/// What must be said of an interface when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// Its index.
    pub index: u32,
    /// Its hardware address; the kernel's choice where not given.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
}

/// Marks a namespace as a lab's, on its `lo`, and sets that up.
pub fn mark_lo(batch: &mut Batch, mark: &Mark, up: bool) {
    let mut message = existing(LOOPBACK_INDEX);
    message.attributes.push(LinkAttribute::IfAlias(mark.to_string()));
    if up {
        set_up(&mut message, true);
    }
    batch.push(&RouteNetlinkMessage::SetLink(message), Flags::NONE);
}

/// Sets up the `lo` of a namespace.
pub fn set_lo_up(batch: &mut Batch) {
    set_link(batch, LOOPBACK_INDEX, &LinkSetting::Up(true));
}

/// Makes a veth pair, both ends born where they live.
pub fn add_veth(batch: &mut Batch, this: &Birth<'_>, there: &Birth<'_>, there_ns: &OwnedFd) {
    let mut peer = birth(there);
    peer.attributes.push(LinkAttribute::NetNsFd(there_ns.as_fd().as_raw_fd()));
    let mut message = birth(this);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    batch.push(&RouteNetlinkMessage::NewLink(message), Flags::CREATE | Flags::EXCL);
}

/// Makes a bridge.
pub fn add_bridge(batch: &mut Batch, this: &Birth<'_>, stp: bool) {
    let mut message = birth(this);
    let mut info = vec![LinkInfo::Kind(InfoKind::Bridge)];
    if stp {
        info.push(bridge_stp(true));
    }
    message.attributes.push(LinkAttribute::LinkInfo(info));
    batch.push(&RouteNetlinkMessage::NewLink(message), Flags::CREATE | Flags::EXCL);
}

/// Removes an interface.
pub fn del_link(batch: &mut Batch, index: u32) {
    batch.push(&RouteNetlinkMessage::DelLink(existing(index)), Flags::NONE);
}

/// Makes an interface a port of a bridge.
pub fn set_master(batch: &mut Batch, index: u32, master: u32) {
    let mut message = existing(index);
    message.attributes.push(LinkAttribute::Controller(master));
    batch.push(&RouteNetlinkMessage::SetLink(message), Flags::NONE);
}

/// Changes a setting of an interface, but for what needs another interface's index or a sysctl.
pub fn set_link(batch: &mut Batch, index: u32, set: &LinkSetting) {
    let mut message = existing(index);
    match set {
        LinkSetting::Up(up) => set_up(&mut message, *up),
        LinkSetting::Mtu(mtu) => message.attributes.push(LinkAttribute::Mtu(*mtu)),
        LinkSetting::Mac(mac) => message.attributes.push(LinkAttribute::Address(mac.0.into())),
        LinkSetting::Alias(alias) => {
            // An empty alias takes it away (`dev_set_alias`, net/core/dev.c).
            message.attributes.push(LinkAttribute::IfAlias(alias.clone().unwrap_or_default()));
        }
        LinkSetting::AddAltname(name) => {
            message.attributes.push(altname(name));
            batch.push(
                &RouteNetlinkMessage::NewLinkProp(message),
                Flags::CREATE | Flags::EXCL | Flags::APPEND,
            );
            return;
        }
        LinkSetting::DelAltname(name) => {
            message.attributes.push(altname(name));
            batch.push(&RouteNetlinkMessage::DelLinkProp(message), Flags::NONE);
            return;
        }
        LinkSetting::ForwardIpv4(on) => message.attributes.push(forward_ipv4(*on)),
        LinkSetting::Stp(on) => {
            let info = vec![LinkInfo::Kind(InfoKind::Bridge), bridge_stp(*on)];
            message.attributes.push(LinkAttribute::LinkInfo(info));
            // RTM_SETLINK takes no notice of what only a kind of interface has (`do_setlink`,
            // net/core/rtnetlink.c).
            batch.push(&RouteNetlinkMessage::NewLink(message), Flags::NONE);
            return;
        }
        // 0 is no interface: out of any bridge. `Ipv6` is a sysctl and does not come here.
        _ => message.attributes.push(LinkAttribute::Controller(0)),
    }
    batch.push(&RouteNetlinkMessage::SetLink(message), Flags::NONE);
}

/// Adds an address; that it is there already is as good.
pub fn add_address(batch: &mut Batch, index: u32, address: &Address) {
    let message = RouteNetlinkMessage::NewAddress(address_message(index, address));
    batch.push(&message, Flags::CREATE | Flags::REPLACE);
}

/// Removes an address.
pub fn del_address(batch: &mut Batch, index: u32, address: &Address) {
    batch.push(&RouteNetlinkMessage::DelAddress(address_message(index, address)), Flags::NONE);
}

/// Adds a route.
///
/// # Errors
/// When `index` does not know an interface.
pub fn add_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let message = RouteNetlinkMessage::NewRoute(route_message(route, index)?);
    batch.push(&message, Flags::CREATE | Flags::EXCL);
    Ok(())
}

/// Replaces the route with the same key, or adds it.
///
/// # Errors
/// As [`add_route`].
pub fn replace_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let message = RouteNetlinkMessage::NewRoute(route_message(route, index)?);
    batch.push(&message, Flags::CREATE | Flags::REPLACE);
    Ok(())
}

/// Removes a route, whoever configured it.
///
/// # Errors
/// As [`add_route`].
pub fn del_route(
    batch: &mut Batch,
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let mut message = route_message(route, index)?;
    message.header.protocol = RouteProtocol::Unspec;
    // Any scope (`fib_table_delete`, net/ipv4/fib_trie.c): a person may have said another.
    message.header.scope = RouteScope::NoWhere;
    batch.push(&RouteNetlinkMessage::DelRoute(message), Flags::NONE);
    Ok(())
}

fn existing(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn birth(birth: &Birth<'_>) -> LinkMessage {
    let mut message = existing(birth.index);
    message.attributes.push(LinkAttribute::IfName(birth.name.to_string()));
    message.attributes.extend(birth.mac.map(|mac| LinkAttribute::Address(mac.0.into())));
    message.attributes.extend(birth.mtu.map(LinkAttribute::Mtu));
    message
}

fn set_up(message: &mut LinkMessage, up: bool) {
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
}

fn altname(name: &str) -> LinkAttribute {
    LinkAttribute::PropList(vec![Prop::AltIfName(name.to_owned())])
}

fn bridge_stp(on: bool) -> LinkInfo {
    let state = if on { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
    LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::StpState(state)]))
}

/// IFLA_INET_CONF with the one setting in it (`inet_set_link_af`, net/ipv4/devinet.c). Written by
/// hand: netlink-packet-route leaves out settings that are 0, so nothing could be turned off.
fn forward_ipv4(on: bool) -> LinkAttribute {
    let forwarding = DefaultNla::new(IPV4_DEVCONF_FORWARDING, u32::from(on).to_ne_bytes().to_vec());
    let mut settings = vec![0; forwarding.buffer_len()];
    forwarding.emit(&mut settings);
    let conf = DefaultNla::new(IFLA_INET_CONF | NLA_F_NESTED, settings);
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![AfSpecInet::Other(conf)])])
}

fn address_message(index: u32, address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    let addr = address.net.addr();
    message.header.index = index;
    message.header.prefix_len = address.net.prefix_len();
    message.header.family = family(addr);
    // As iproute2 does: an address of this host's own on `lo` is of scope host.
    let host = matches!(addr, IpAddr::V4(addr) if addr.is_loopback());
    message.header.scope = if host { AddressScope::Host } else { AddressScope::Universe };
    if addr.is_ipv6() {
        // Nothing else can have the address: no waiting for duplicates (RFC 4862, section 5.4).
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes = vec![AddressAttribute::Local(addr), AddressAttribute::Address(addr)];
    if let IpNet::V4(net) = address.net
        && net.prefix_len() < 31
        && !host
    {
        message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
    }
    message
}

fn route_message(
    route: &Route,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<RouteMessage, Error> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.dst.addr()),
        destination_prefix_length: route.dst.prefix_len(),
        // The table is an attribute: the header has room for 255 only.
        table: 0,
        protocol: RouteProtocol::Static,
        scope: scope(route),
        kind: match route.kind {
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Unreachable => RouteType::Unreachable,
            RouteKind::Prohibit => RouteType::Prohibit,
            RouteKind::Throw => RouteType::Throw,
            _ => RouteType::Unicast,
        },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.dst.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.dst.addr().into()));
    }
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(src.into())));
    match route.nexthops.as_slice() {
        [] => {}
        [hop] => {
            attributes.extend(hop.via.map(|via| gateway(route, via)));
            attributes.push(RouteAttribute::Oif(index(&hop.dev)?));
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
        }
        hops => {
            let legs = hops.iter().map(|hop| leg(route, hop, &index)).collect::<Result<_, _>>()?;
            attributes.push(RouteAttribute::MultiPath(legs));
        }
    }
    Ok(message)
}

fn leg(
    route: &Route,
    hop: &NextHop,
    index: &impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<RouteNextHop, Error> {
    let mut leg = RouteNextHop::default();
    leg.interface_index = index(&hop.dev)?;
    leg.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        leg.flags = RouteNextHopFlags::Onlink;
    }
    leg.attributes = hop.via.map(|via| gateway(route, via)).into_iter().collect();
    Ok(leg)
}

/// The gateway; one of the other family goes as RTA_VIA.
fn gateway(route: &Route, via: IpAddr) -> RouteAttribute {
    match via {
        IpAddr::V6(via) if route.dst.addr().is_ipv4() => RouteAttribute::Via(RouteVia::Inet6(via)),
        via => RouteAttribute::Gateway(RouteAddress::from(via)),
    }
}

/// The scope of a route: a destination on the link has scope link, so that it can hold the gateway
/// of another (`fib_check_nh_v4_gw`, net/ipv4/fib_semantics.c). IPv6 has none.
fn scope(route: &Route) -> RouteScope {
    let on_link = !route.nexthops.is_empty() && route.nexthops.iter().all(|hop| hop.via.is_none());
    match on_link && route.dst.addr().is_ipv4() {
        true => RouteScope::Link,
        false => RouteScope::Universe,
    }
}

fn family(addr: IpAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

const _: () = assert!(METRIC_IPV6_DEFAULT != 0, "an IPv6 route always names its metric");
