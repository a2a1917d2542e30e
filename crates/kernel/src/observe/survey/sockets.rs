//! Who listens on which port, by sock_diag.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::facts::{Facts, Listener, Transport};
use vnet_model::{IfName, NsName};
use vnet_netlink::{Error as NetlinkError, RawMessage, Socket};

use crate::error::Error;
use crate::realm::Realm;
use crate::socket::{self, SocketKind};

/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h).
const BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const PROTOCOLS: [(u8, Transport); 2] = [(6, Transport::Tcp), (17, Transport::Udp)];
/// `TCP_LISTEN` and `TCP_CLOSE`, which a UDP socket without a peer is in (include/net/tcp_states.h).
const STATE_LISTEN: u32 = 10;
const STATE_CLOSE: u32 = 7;
/// `INET_DIAG_SKV6ONLY` (linux/inet_diag.h).
const SKV6ONLY: u16 = 11;
/// The length of `struct inet_diag_msg`, and where the port and the address stand in it.
const MESSAGE_BYTES: usize = 72;
const PORT_AT: usize = 4;
const ADDRESS_AT: usize = 8;
const INTERFACE_AT: usize = 40;

/// Adds to facts who listens on TCP and UDP ports. CAP_SYS_ADMIN.
///
/// # Errors
/// When a namespace can't be read; a kernel without sock_diag tells of nobody, so that nothing is
/// known then.
pub fn listeners(realm: &Realm, names: &[NsName], facts: &mut Facts) -> Result<(), Error> {
    for (name, opened) in names.iter().zip(realm.sockets(0, names, SocketKind::Diag)?) {
        let (Some(found), Ok(opened)) = (facts.namespaces.get_mut(name), opened) else { continue };
        let mut socket = socket::from_fd(opened)?;
        found.listeners = read(&mut socket, &found.indexes).ok();
    }
    Ok(())
}

fn read(
    socket: &mut Socket,
    indexes: &BTreeMap<IfName, u32>,
) -> Result<Vec<Listener>, NetlinkError> {
    let mut all = Vec::new();
    for family in [AF_INET, AF_INET6] {
        for (protocol, transport) in PROTOCOLS {
            let state = match transport {
                Transport::Tcp => STATE_LISTEN,
                Transport::Udp => STATE_CLOSE,
            };
            // `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and an
            // empty `inet_diag_sockid`.
            let mut header = [0; 56];
            (header[0], header[1]) = (family, protocol);
            header[4..8].copy_from_slice(&(1_u32 << state).to_ne_bytes());
            let request = RawMessage::new(BY_FAMILY, |writer| {
                writer.header(&header);
            })
            .map_err(|too_long| NetlinkError::AttributeTooLong { index: 0, too_long })?;
            all.extend(socket.dump(&request, |message| {
                let listener = listener(message.payload, transport, indexes);
                let only = message.attributes(MESSAGE_BYTES)?.find(SKV6ONLY)?;
                let only = only.map(|attribute| attribute.u8()).transpose()?.unwrap_or(0) != 0;
                Ok::<_, NetlinkError>(listener.map(|one| Listener { ipv6_only: only, ..one }))
            })?);
        }
    }
    Ok(all)
}

fn listener(
    payload: &[u8],
    transport: Transport,
    indexes: &BTreeMap<IfName, u32>,
) -> Option<Listener> {
    let port = u16::from_be_bytes(payload.get(PORT_AT..PORT_AT + 2)?.try_into().ok()?);
    let bytes: [u8; 16] = payload.get(ADDRESS_AT..ADDRESS_AT + 16)?.try_into().ok()?;
    let addr: IpAddr = match payload.first()? {
        &AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?).into(),
        _ => Ipv6Addr::from(bytes).into(),
    };
    let index = payload.get(INTERFACE_AT..INTERFACE_AT + 4)?.try_into().ok()?;
    let index = u32::from_ne_bytes(index);
    let dev = indexes.iter().find(|(_, known)| **known == index).map(|(name, _)| name.clone());
    (port != 0).then_some(Listener { transport, addr, port, ipv6_only: false, dev })
}
