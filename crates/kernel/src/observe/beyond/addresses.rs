//! What addresses have beside themselves and the length of their prefix.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::IfName;
use vnet_model::ipnet::IpNet;
use vnet_netlink::attr::Attribute;
use vnet_netlink::{Error, Message, Socket};

use super::question;

const RTM_GETADDR: u16 = 22;
/// `struct ifaddrmsg`: family, length, flags, scope, index.
const HEADER_BYTES: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
const IFA_F_PERMANENT: u32 = 0x80;
const FLAGS: [(u32, &str); 4] =
    [(0x10, "home"), (0x100, "mngtmpaddr"), (0x200, "noprefixroute"), (0x400, "autojoin")];

/// Names what a file can't say of addresses.
pub(super) fn words(
    socket: &mut Socket,
    devs: &BTreeMap<u32, IfName>,
) -> Result<Vec<String>, Error> {
    socket.dump(&question(RTM_GETADDR, &[0; HEADER_BYTES])?, |message| one(message, devs))
}

fn one(message: Message<'_>, devs: &BTreeMap<u32, IfName>) -> Result<Option<String>, Error> {
    let Some(header) = message.payload.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [_, len, flags, scope, a, b, c, d] = *header;
    let Some(dev) = devs.get(&u32::from_ne_bytes([a, b, c, d])) else { return Ok(None) };
    let mut flags = u32::from(flags);
    let (mut addr, mut local, mut broadcast) = (None, None, None);
    let mut words = Vec::new();
    for attribute in message.attributes(HEADER_BYTES)? {
        let attribute = attribute?;
        match attribute.kind {
            IFA_ADDRESS => addr = ip(attribute),
            IFA_LOCAL => local = ip(attribute),
            IFA_FLAGS => flags = attribute.u32()?,
            IFA_LABEL if attribute.text()? != dev.as_str() => {
                words.push(format!("label {}", attribute.text()?));
            }
            IFA_BROADCAST => broadcast = ip(attribute),
            IFA_RT_PRIORITY => words.push(format!("metric {}", attribute.u32()?)),
            _ => {}
        }
    }
    let Some(own) = local.or(addr) else { return Ok(None) };
    // The subnet's own is said by nobody, and there whether it is told or not (`fib_add_ifaddr`).
    let subnets = match IpNet::new(own, len) {
        Ok(IpNet::V4(net)) => Some(IpAddr::from(net.broadcast())),
        _ => None,
    };
    if let Some(other) = broadcast.filter(|it| Some(*it) != subnets) {
        words.insert(0, format!("broadcast {other}"));
    }
    if let Some(peer) = addr.filter(|addr| *addr != own) {
        words.insert(0, format!("peer {peer}"));
    }
    if scope != usual_scope(own) {
        words.push(format!("scope {scope}"));
    }
    words.extend(FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, it)| (*it).to_owned()));
    Ok(match words.as_slice() {
        _ if flags & IFA_F_PERMANENT == 0 => {
            Some(format!("address {own}/{len} of {dev}, which is for a while,"))
        }
        [] => None,
        words => Some(format!("`{}` of address {own}/{len} of {dev}", words.join(" "))),
    })
}

/// What the kernel gives an address where nobody names one: an IPv4 address gets what it is told,
/// and vnet, as `ip`, tells it that those of `lo` are the host's.
fn usual_scope(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(addr) if addr.is_loopback() => SCOPE_HOST,
        IpAddr::V6(Ipv6Addr::LOCALHOST) => SCOPE_HOST,
        IpAddr::V6(addr) if addr.is_unicast_link_local() => SCOPE_LINK,
        _ => SCOPE_UNIVERSE,
    }
}

/// Reads an address of either family.
pub(super) fn ip(attribute: Attribute<'_>) -> Option<IpAddr> {
    match attribute.value.len() {
        4 => Some(Ipv4Addr::from(attribute.array::<4>().ok()?).into()),
        _ => Some(Ipv6Addr::from(attribute.array::<16>().ok()?).into()),
    }
}
