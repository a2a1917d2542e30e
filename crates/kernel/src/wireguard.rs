//! WireGuard devices by generic netlink (linux/wireguard.h, drivers/net/wireguard/netlink.c).
//!
//! Private keys come from a [`Keys`] and go to the kernel, nowhere else: what the kernel tells of
//! them is passed over. Public keys are the kernel's to derive: no curve is computed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use vnet_model::End;
use vnet_model::ipnet::IpNet;
use vnet_model::kind::wireguard::{Peer, Wireguard};
use vnet_netlink::attr::{Attributes, Writer};
use vnet_netlink::generic::HEADER_BYTES;
use vnet_netlink::{Batch, Error as NetlinkError, Flags, RawMessage, Socket, generic};

/// The length of a key in bytes (`WG_KEY_LEN`).
pub const KEY_BYTES: usize = 32;

/// A public key, by which devices know each other.
pub type PublicKey = [u8; KEY_BYTES];

/// A private key, which nobody gets to see.
pub struct PrivateKey(pub [u8; KEY_BYTES]);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Who has the private keys of a lab's devices.
pub trait Keys: fmt::Debug + Send + Sync {
    /// Returns the key of a device, and makes one where there is none yet.
    ///
    /// # Errors
    /// When it can't be read or kept.
    fn private_key(&self, end: &End) -> std::io::Result<PrivateKey>;
}

const WG_CMD_GET_DEVICE: u8 = 0;
const WG_CMD_SET_DEVICE: u8 = 1;
const VERSION: u8 = 1;
const WGDEVICE_A_IFINDEX: u16 = 1;
const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
const WGDEVICE_A_PUBLIC_KEY: u16 = 4;
const WGDEVICE_A_LISTEN_PORT: u16 = 6;
const WGDEVICE_A_FWMARK: u16 = 7;
const WGDEVICE_A_PEERS: u16 = 8;
const WGPEER_A_PUBLIC_KEY: u16 = 1;
const WGPEER_A_FLAGS: u16 = 3;
const WGPEER_A_ENDPOINT: u16 = 4;
const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
const WGPEER_A_ALLOWEDIPS: u16 = 9;
const WGPEER_F_REMOVE_ME: u32 = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;
const WGALLOWEDIP_A_FAMILY: u16 = 1;
const WGALLOWEDIP_A_IPADDR: u16 = 2;
const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// What a device does, peers by their keys.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Its public key; none where it has no private one yet.
    pub(crate) public_key: Option<PublicKey>,
    listen_port: u16,
    fwmark: u32,
    peers: BTreeMap<PublicKey, Peer>,
}

impl Found {
    /// Returns what it does in terms of the devices that are known by their keys; `None` where it
    /// was never told.
    pub(crate) fn known(self, devices: &BTreeMap<PublicKey, End>) -> Option<Wireguard> {
        self.public_key?;
        let (listen_port, fwmark) = (self.listen_port, self.fwmark);
        let mut config = Wireguard { listen_port, fwmark, ..Wireguard::default() };
        for (key, peer) in self.peers {
            match devices.get(&key) {
                Some(end) => drop(config.peers.insert(end.clone(), peer)),
                None => config.strangers += 1,
            }
        }
        Some(config)
    }
}

/// A generic netlink socket in a namespace, and the number of the family.
#[derive(Debug)]
pub(crate) struct Conversation {
    socket: Socket,
    family: u16,
}

impl Conversation {
    /// Asks for the family, which is there as soon as there is a device.
    pub(crate) fn new(mut socket: Socket) -> Result<Self, NetlinkError> {
        let family = generic::family(&mut socket, "wireguard")?;
        Ok(Self { socket, family })
    }

    /// Reads a device by its index.
    pub(crate) fn get(&mut self, index: u32) -> Result<Found, NetlinkError> {
        let request = RawMessage::new(self.family, |writer| {
            writer.header(&[WG_CMD_GET_DEVICE, VERSION, 0, 0]);
            writer.u32(WGDEVICE_A_IFINDEX, index);
        })?;
        let mut found = Found::default();
        // Many peers come in several messages; `dump` may begin again.
        let parts = self.socket.dump(&request, |message| {
            let mut part = Found::default();
            read(message.attributes(HEADER_BYTES)?, &mut part)?;
            Ok(Some(part))
        })?;
        for part in parts {
            found.public_key = found.public_key.or(part.public_key);
            found.listen_port = found.listen_port.max(part.listen_port);
            found.fwmark = found.fwmark.max(part.fwmark);
            for (key, peer) in part.peers {
                let known = found.peers.entry(key).or_default();
                known.endpoint = known.endpoint.or(peer.endpoint);
                known.keepalive = known.keepalive.max(peer.keepalive);
                known.allowed_ips.extend(peer.allowed_ips);
            }
        }
        Ok(found)
    }

    /// Gives a device its private key, and returns the public one.
    pub(crate) fn set_key(
        &mut self,
        index: u32,
        key: &PrivateKey,
    ) -> Result<Option<PublicKey>, NetlinkError> {
        self.set(index, |writer| {
            writer.bytes(WGDEVICE_A_PRIVATE_KEY, &key.0);
        })?;
        Ok(self.get(index)?.public_key)
    }

    /// Tells a device its port, its mark and its peers; those that it has beside them go.
    pub(crate) fn set_peers(
        &mut self,
        index: u32,
        (listen_port, fwmark): (u16, u32),
        peers: &[(PublicKey, &Peer)],
    ) -> Result<(), NetlinkError> {
        let found = self.get(index)?.peers;
        let extra: Vec<PublicKey> = found
            .into_keys()
            .filter(|key| !peers.iter().any(|(wanted, _)| wanted == key))
            .collect();
        self.set(index, |writer| {
            writer.u16(WGDEVICE_A_LISTEN_PORT, listen_port);
            writer.u32(WGDEVICE_A_FWMARK, fwmark);
            writer.nest(WGDEVICE_A_PEERS, |list| {
                for key in &extra {
                    list.nest(0, |peer| {
                        peer.bytes(WGPEER_A_PUBLIC_KEY, key);
                        peer.u32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
                    });
                }
                for (key, peer) in peers {
                    list.nest(0, |writer| write_peer(writer, key, peer));
                }
            });
        })
    }

    fn set(&mut self, index: u32, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), NetlinkError> {
        let mut batch = Batch::new();
        batch.push_raw(self.family, Flags::NONE, |writer| {
            writer.header(&[WG_CMD_SET_DEVICE, VERSION, 0, 0]);
            writer.u32(WGDEVICE_A_IFINDEX, index);
            write(writer);
        });
        let outcome = self.socket.submit(&mut batch)?;
        outcome.into_result().map_err(|(_, refusal)| refusal.into())
    }
}

fn write_peer(writer: &mut Writer<'_>, key: &PublicKey, peer: &Peer) {
    writer.bytes(WGPEER_A_PUBLIC_KEY, key);
    writer.u32(WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
    if let Some(endpoint) = peer.endpoint {
        writer.bytes(WGPEER_A_ENDPOINT, &sockaddr(endpoint));
    }
    writer.u16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer.keepalive);
    writer.nest(WGPEER_A_ALLOWEDIPS, |list| {
        for net in &peer.allowed_ips {
            list.nest(0, |allowed| {
                match net.addr() {
                    IpAddr::V4(addr) => {
                        allowed.u16(WGALLOWEDIP_A_FAMILY, AF_INET);
                        allowed.bytes(WGALLOWEDIP_A_IPADDR, &addr.octets());
                    }
                    IpAddr::V6(addr) => {
                        allowed.u16(WGALLOWEDIP_A_FAMILY, AF_INET6);
                        allowed.bytes(WGALLOWEDIP_A_IPADDR, &addr.octets());
                    }
                }
                allowed.u8(WGALLOWEDIP_A_CIDR_MASK, net.prefix_len());
            });
        }
    });
}

/// `struct sockaddr_in` or `struct sockaddr_in6`.
fn sockaddr(endpoint: SocketAddr) -> Vec<u8> {
    let port = endpoint.port().to_be_bytes();
    match endpoint.ip() {
        IpAddr::V4(addr) => [&AF_INET.to_ne_bytes()[..], &port, &addr.octets(), &[0; 8]].concat(),
        IpAddr::V6(addr) => {
            [&AF_INET6.to_ne_bytes()[..], &port, &[0; 4], &addr.octets(), &[0; 4]].concat()
        }
    }
}

fn endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    let addr: IpAddr = match u16::from_ne_bytes(*bytes.first_chunk()?) {
        AF_INET => Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?).into(),
        AF_INET6 => Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some((addr, port).into())
}

fn read(attributes: Attributes<'_>, found: &mut Found) -> Result<(), NetlinkError> {
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            WGDEVICE_A_PUBLIC_KEY => found.public_key = Some(attribute.array()?),
            WGDEVICE_A_LISTEN_PORT => found.listen_port = attribute.u16()?,
            WGDEVICE_A_FWMARK => found.fwmark = attribute.u32()?,
            WGDEVICE_A_PEERS => {
                for peer in attribute.nested() {
                    let (key, peer) = read_peer(peer?.nested())?;
                    found.peers.insert(key, peer);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_peer(attributes: Attributes<'_>) -> Result<(PublicKey, Peer), NetlinkError> {
    let mut key = [0; KEY_BYTES];
    let mut peer = Peer::default();
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            WGPEER_A_PUBLIC_KEY => key = attribute.array()?,
            WGPEER_A_ENDPOINT => peer.endpoint = endpoint(attribute.value),
            WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL => peer.keepalive = attribute.u16()?,
            WGPEER_A_ALLOWEDIPS => peer.allowed_ips = read_allowed(attribute.nested())?,
            _ => {}
        }
    }
    Ok((key, peer))
}

fn read_allowed(list: Attributes<'_>) -> Result<BTreeSet<IpNet>, NetlinkError> {
    let mut all = BTreeSet::new();
    for allowed in list {
        let allowed = allowed?.nested();
        let (Some(addr), Some(len)) =
            (allowed.find(WGALLOWEDIP_A_IPADDR)?, allowed.find(WGALLOWEDIP_A_CIDR_MASK)?)
        else {
            continue;
        };
        let addr: IpAddr = match addr.value.len() {
            4 => Ipv4Addr::from(addr.array::<4>()?).into(),
            _ => Ipv6Addr::from(addr.array::<16>()?).into(),
        };
        all.extend(IpNet::new(addr, len.u8()?).ok());
    }
    Ok(all)
}

/// Reads a message as what a device tells of itself.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: vnet_netlink::Message<'_>) {
    let mut found = Found::default();
    if let Ok(attributes) = message.attributes(HEADER_BYTES) {
        drop(read(attributes, &mut found));
        drop(found.known(&BTreeMap::new()));
    }
}

/// Makes a private key for those who keep none.
///
/// # Errors
/// When the kernel has no random bytes.
pub fn random_key() -> Result<PrivateKey, Errno> {
    let mut key = [0; KEY_BYTES];
    let mut filled = 0;
    while filled < KEY_BYTES {
        filled +=
            rustix::rand::getrandom(&mut key[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    // As the curve wants it (RFC 7748, section 5).
    key[0] &= 248;
    key[31] = (key[31] & 127) | 64;
    Ok(PrivateKey(key))
}
