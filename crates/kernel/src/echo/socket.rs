//! Raw ICMP sockets for many probes.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, MsgFlags, SetSockOpt, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
    sendmsg, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::{libc, setsockopt_impl, sockopt_impl};
use rustix::io::Errno;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use serde::{Deserialize, Serialize};

use super::icmp;
use crate::socket::{from_nix, received_at};

/// Which of the two Internet protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address.
    #[must_use]
    pub fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// linux/icmp.h and linux/icmpv6.h; a bit that is set keeps a type out.
const ICMP_FILTER: libc::c_int = 1;
const ICMPV6_FILTER: libc::c_int = 1;

sockopt_impl!(Filter, SetOnly, libc::SOL_RAW, ICMP_FILTER, u32);
sockopt_impl!(FilterV6, SetOnly, libc::SOL_ICMPV6, ICMPV6_FILTER, [u32; 8]);

/// The room for one packet: the longest that IP has.
pub(super) const PACKET_BYTES: usize = 65_536;

/// A raw ICMP socket for many probes.
#[derive(Debug)]
pub(super) struct EchoSocket {
    fd: OwnedFd,
}

/// Where a request goes and comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) src: Option<IpAddr>,
    pub(super) dst: IpAddr,
    /// The index of the interface it must leave by; 0 for any.
    pub(super) dev: u32,
}

/// What was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) bytes: usize,
    pub(super) from: IpAddr,
    /// When the kernel received it, since 1970.
    pub(super) at: Option<Duration>,
}

impl EchoSocket {
    /// Takes a socket of [`Realm::sockets`](crate::Realm::sockets) and makes it deaf to what is no answer.
    pub(super) fn new(fd: OwnedFd, family: Family, whole: bool) -> Result<Self, Errno> {
        let set = match family {
            Family::V4 => {
                let open = icmp::TYPES.iter().fold(0_u32, |bits, kind| bits | 1 << kind);
                Filter.set(&fd, &!open)
            }
            Family::V6 => {
                let mut closed = [u32::MAX; 8];
                for kind in icmp::V6_TYPES {
                    closed[usize::from(kind / 32)] &= !(1 << (kind % 32));
                }
                FilterV6.set(&fd, &closed)
            }
        };
        if whole {
            // As programs do that want to know: the route's MTU counts, and what was learned of the way.
            match family {
                Family::V4 => set_ip_mtu_discover(&fd, Ipv4PathMtuDiscovery::DO)?,
                Family::V6 => {
                    set_ipv6_mtu_discover(&fd, Ipv6PathMtuDiscovery::DO)?;
                    sockopt::Ipv6DontFrag.set(&fd, &true).map_err(from_nix)?;
                }
            }
        }
        // The time of receipt is the kernel's: a reply may wait here while others are sent.
        set.and_then(|()| sockopt::ReceiveTimestampns.set(&fd, &true)).map_err(from_nix)?;
        Ok(Self { fd })
    }

    /// Sends an ICMP message.
    pub(super) fn send(&self, way: Way, message: &[u8]) -> Result<(), Errno> {
        let fd = self.fd.as_raw_fd();
        let bytes = [IoSlice::new(message)];
        let flags = MsgFlags::empty();
        let special = way.src.is_some() || way.dev != 0;
        let sent = match way.dst {
            IpAddr::V4(dst) => {
                let info = pktinfo(way);
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                let to = SockaddrIn::from(SocketAddrV4::new(dst, 0));
                sendmsg(fd, &bytes, if special { &control } else { &[] }, flags, Some(&to))
            }
            IpAddr::V6(dst) => {
                let info = pktinfo_v6(way);
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let scope = if dst.is_unicast_link_local() { way.dev } else { 0 };
                let to = SockaddrIn6::from(SocketAddrV6::new(dst, 0, 0, scope));
                sendmsg(fd, &bytes, if special { &control } else { &[] }, flags, Some(&to))
            }
        };
        sent.map(drop).map_err(from_nix)
    }

    /// Receives a packet; EAGAIN when there is none.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        let mut bytes = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(TimeSpec);
        let fd = self.fd.as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(fd, &mut bytes, Some(&mut control), MsgFlags::empty())
                .map_err(from_nix)?;
        let from = received.address.and_then(|from| {
            let v4 = from.as_sockaddr_in().map(|from| IpAddr::V4(from.ip()));
            v4.or_else(|| from.as_sockaddr_in6().map(|from| IpAddr::V6(from.ip())))
        });
        let at = received_at(&received);
        Ok(Received { bytes: received.bytes, from: from.ok_or(Errno::PROTO)?, at })
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn pktinfo(way: Way) -> libc::in_pktinfo {
    let src = match way.src {
        Some(IpAddr::V4(src)) => src,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    libc::in_pktinfo {
        ipi_ifindex: i32::try_from(way.dev).unwrap_or(0),
        // In network byte order already.
        ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(src.octets()) },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn pktinfo_v6(way: Way) -> libc::in6_pktinfo {
    let src = match way.src {
        Some(IpAddr::V6(src)) => src,
        _ => Ipv6Addr::UNSPECIFIED,
    };
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: src.octets() }, ipi6_ifindex: way.dev }
}
