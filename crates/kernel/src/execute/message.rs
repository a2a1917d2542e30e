//! Steps as netlink messages: one function a message.

mod bridging;
mod device;
mod entry;
mod route;

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage, Prop,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::ipnet::IpNet;
use vnet_model::{Address, Change, IfName, LinkSetting, Mac, Mark, Queues};
use vnet_netlink::{Batch, Flags};

pub use bridging::{add_fdb, del_fdb, del_port_vlan, set_port_vlan};
pub use device::{add_device, add_pair, set_options};
pub use entry::{del_entry, set_entry};
pub use route::{add_route, del_route, replace_route};

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
    /// Its queues.
    pub queues: Queues,
}

/// Appends the message that does a change, if it is one; making an interface, which takes an index,
/// is none of them ([`add_pair`], [`add_device`]).
///
/// # Errors
/// When `index` does not know an interface.
pub fn push(
    batch: &mut Batch,
    change: &Change,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    match change {
        Change::DelLink { name, .. } => del_link(batch, index(name)?),
        Change::SetLink { name, set: LinkSetting::Master(Some(master)) } => {
            set_master(batch, index(name)?, index(master)?);
        }
        Change::SetLink { name, set: LinkSetting::Options { spec, port, set, rest } } => {
            set_options(batch, index(name)?, (*spec, *port), (set, rest), index)?;
        }
        Change::SetLink { name, set } => set_link(batch, index(name)?, set),
        Change::SetPortVlan { dev, itself, vid, vlan } => {
            set_port_vlan(batch, (index(dev)?, *itself), *vid, *vlan);
        }
        Change::DelPortVlan { dev, itself, vid } => {
            del_port_vlan(batch, (index(dev)?, *itself), *vid);
        }
        Change::AddFdb { dev, entry } => add_fdb(batch, index(dev)?, entry),
        Change::DelFdb { dev, entry } => del_fdb(batch, index(dev)?, entry),
        Change::AddAddress { dev, address } => add_address(batch, index(dev)?, address),
        Change::DelAddress { dev, address } => del_address(batch, index(dev)?, address),
        Change::AddRoute(route) => add_route(batch, route, index)?,
        Change::ReplaceRoute(route) => replace_route(batch, route, index)?,
        Change::DelRoute(route) => del_route(batch, route, index)?,
        Change::SetEntry(entry) => set_entry(batch, entry, index)?,
        Change::DelEntry(entry) => del_entry(batch, entry, index)?,
        _ => {}
    }
    Ok(())
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

/// Removes an interface.
pub fn del_link(batch: &mut Batch, index: u32) {
    batch.push(&RouteNetlinkMessage::DelLink(existing(index)), Flags::NONE);
}

/// Moves an interface to another namespace, where it has this name and alias; an empty one takes the
/// alias away. In that one message, so that it is nowhere without them.
pub fn move_link(batch: &mut Batch, index: u32, there: &OwnedFd, name: &IfName, alias: &str) {
    let mut message = existing(index);
    message.attributes = vec![
        LinkAttribute::NetNsFd(there.as_raw_fd()),
        LinkAttribute::IfName(name.to_string()),
        LinkAttribute::IfAlias(alias.to_owned()),
    ];
    batch.push(&RouteNetlinkMessage::SetLink(message), Flags::NONE);
}

/// Makes an interface a port of a bridge, bond or VRF.
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
        LinkSetting::TxQueueLen(length) => {
            message.attributes.push(LinkAttribute::TxQueueLen(*length));
        }
        LinkSetting::ForwardIpv4(on) => message.attributes.push(forward_ipv4(*on)),
        // 0 is no interface: out of any bridge. What is no message or has its own does not come here.
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

fn existing(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn set_up(message: &mut LinkMessage, up: bool) {
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
}

fn altname(name: &str) -> LinkAttribute {
    LinkAttribute::PropList(vec![Prop::AltIfName(name.to_owned())])
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

fn family(addr: IpAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
