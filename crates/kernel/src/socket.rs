//! Sockets that are opened in a namespace and used from anywhere: a socket stays bound to the
//! namespace in which it was made.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, RecvMsg};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto};
use serde::{Deserialize, Serialize};
use vnet_model::NsName;
use vnet_netlink::{self as netlink, Socket};

use crate::echo::Family;
use crate::error::Error;
use crate::pins;
use crate::thread::Walker;

/// All protocols (linux/if_ether.h).
const ETH_P_ALL: u16 = 3;

/// What kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SocketKind {
    /// Raw ICMP (`raw(7)`, `icmp(7)`). CAP_NET_RAW in the user namespace that owns the namespace.
    Icmp(Family),
    /// TCP (`tcp(7)`).
    Tcp(Family),
    /// UDP (`udp(7)`).
    Udp(Family),
    /// Netlink about sockets (`sock_diag(7)`).
    Diag,
    /// Netlink about packet filters. What is asked by it takes CAP_NET_ADMIN.
    Netfilter,
    /// Generic netlink. What is asked and changed by it takes CAP_NET_ADMIN.
    Generic,
    /// Netlink about IPsec. What is asked by it takes CAP_NET_ADMIN.
    Xfrm,
    /// All packets of all interfaces, without their link header (`packet(7)`). CAP_NET_RAW.
    Packet,
}

impl SocketKind {
    fn words(self) -> &'static str {
        match self {
            Self::Icmp(_) => "a raw ICMP socket",
            Self::Tcp(_) => "a TCP socket",
            Self::Udp(_) => "a UDP socket",
            Self::Diag => "a sock_diag socket",
            Self::Netfilter => "a netfilter socket",
            Self::Generic => "a generic netlink socket",
            Self::Xfrm => "an xfrm socket",
            Self::Packet => "a packet socket",
        }
    }

    fn open(self) -> Result<OwnedFd, Errno> {
        let inet = |family| match family {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
        };
        let (domain, kind, protocol) = match self {
            Self::Icmp(family @ Family::V4) => (inet(family), SocketType::RAW, Some(ipproto::ICMP)),
            Self::Icmp(family) => (inet(family), SocketType::RAW, Some(ipproto::ICMPV6)),
            Self::Tcp(family) => (inet(family), SocketType::STREAM, None),
            Self::Udp(family) => (inet(family), SocketType::DGRAM, None),
            Self::Diag => return netlink(netlink::Protocol::SockDiag),
            Self::Netfilter => return netlink(netlink::Protocol::Netfilter),
            Self::Generic => return netlink(netlink::Protocol::Generic),
            Self::Xfrm => return netlink(netlink::Protocol::Xfrm),
            Self::Packet => {
                // In network byte order (`packet(7)`).
                let all = std::num::NonZeroU32::new(u32::from(ETH_P_ALL.to_be()));
                (AddressFamily::PACKET, SocketType::DGRAM, all.map(Protocol::from_raw))
            }
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(domain, kind, flags, protocol)
    }
}

/// Opens a netlink socket, with the options that all of ours have.
fn netlink(protocol: netlink::Protocol) -> Result<OwnedFd, Errno> {
    match Socket::open(protocol) {
        Ok(socket) => Ok(socket.into_fd()),
        Err(error) => Err(error.errno().unwrap_or(Errno::PROTONOSUPPORT)),
    }
}

/// Takes a netlink socket that was handed over.
pub(crate) fn from_fd(socket: OwnedFd) -> Result<Socket, Error> {
    Socket::from_fd(socket)
        .map_err(|error| Error::Keeper(format!("sent something that is {error}")))
}

/// Opens a socket in each of these namespaces, on a thread that may enter them.
pub(crate) fn open_each(
    walker: &Walker,
    names: &[NsName],
    kind: SocketKind,
) -> Result<Vec<Result<OwnedFd, Error>>, Error> {
    pins::in_each(walker, names, |name| {
        let object = format!("{} in namespace {name}", kind.words());
        kind.open().map_err(Error::system("open", object))
    })
}

/// Converts from nix, which sets socket options and reads control messages.
pub(crate) fn from_nix(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

/// Returns when the kernel received a packet, since 1970; `None` where it does not say
/// (`SO_TIMESTAMPNS`, socket(7)).
pub(crate) fn received_at<S>(received: &RecvMsg<'_, '_, S>) -> Option<Duration> {
    received.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })
}
