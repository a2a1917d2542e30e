//! Who listens for attempts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt;
use vnet_model::NsName;

use super::{Attempt, COOKIE_BYTES, Cookie, forget_at_close, kind_of};
use crate::echo::Family;
use crate::socket::SocketKind;

/// How many connections may wait to be taken.
const BACKLOG: i32 = 256;

/// A place to listen at: one for all attempts at the same port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) ns: NsName,
    pub(super) kind: SocketKind,
    pub(super) port: u16,
}

impl Place {
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
        let (ns, port) = attempt.at.clone()?;
        Some(Self { ns, kind: kind_of(attempt), port })
    }
}

/// A socket that takes what comes to a port.
pub(super) enum Listener {
    Tcp { socket: TcpListener, taken: Vec<(TcpStream, IpAddr)> },
    Udp(UdpSocket),
}

impl Listener {
    /// Listens on all addresses of the socket's namespace. EADDRINUSE where somebody does already,
    /// be it on one address.
    pub(super) fn listen(socket: OwnedFd, kind: SocketKind, port: u16) -> Result<Self, Errno> {
        let any: IpAddr = match kind {
            SocketKind::Tcp(Family::V6) | SocketKind::Udp(Family::V6) => {
                sockopt::set_ipv6_v6only(&socket, true)?;
                Ipv6Addr::UNSPECIFIED.into()
            }
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let is_udp = matches!(kind, SocketKind::Udp(_));
        if !is_udp {
            // Old connections don't matter, those who listen do.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        rustix::net::bind(&socket, &SocketAddr::new(any, port))?;
        if is_udp {
            return Ok(Self::Udp(socket.into()));
        }
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self::Tcp { socket: socket.into(), taken: Vec::new() })
    }

    /// The descriptors that may have something to be read.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let (own, taken) = match self {
            Self::Tcp { socket, taken } => (socket.as_fd(), taken.as_slice()),
            Self::Udp(socket) => (socket.as_fd(), [].as_slice()),
        };
        [own].into_iter().chain(taken.iter().map(|(stream, _)| stream.as_fd()))
    }

    /// Takes what has come: whose it is, and whom it seems to come from. A datagram is sent back.
    pub(super) fn take(&mut self) -> Vec<(Cookie, IpAddr)> {
        let mut seen = Vec::new();
        match self {
            Self::Tcp { socket, taken } => {
                while let Ok((stream, from)) = socket.accept() {
                    forget_at_close(&stream);
                    if stream.set_nonblocking(true).is_ok() {
                        taken.push((stream, from.ip()));
                    }
                }
                taken.retain_mut(|(stream, from)| match read_cookie(stream) {
                    Some(cookie) => {
                        seen.push((cookie, *from));
                        false
                    }
                    None => true,
                });
            }
            Self::Udp(socket) => {
                let mut buffer = [0; COOKIE_BYTES];
                while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
                    if bytes == COOKIE_BYTES {
                        // Where it is lost, the attempt says so.
                        let _ = socket.send_to(&buffer, from);
                        seen.push((buffer, from.ip()));
                    }
                }
            }
        }
        seen
    }
}

fn read_cookie(stream: &TcpStream) -> Option<Cookie> {
    let mut buffer = [0; COOKIE_BYTES];
    let read = std::io::Read::read(&mut &*stream, &mut buffer);
    matches!(read, Ok(COOKIE_BYTES)).then_some(buffer)
}
