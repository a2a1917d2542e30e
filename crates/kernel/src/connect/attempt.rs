//! One attempt, from its first packet to its end.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use vnet_model::Packet;

use super::{Attempt, Cookie, Outcome, Sought, forget_at_close};

/// How long after an answer a listener of ours may take to see whose it was.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

/// An attempt that has begun.
pub(super) struct Running {
    pub(super) cookie: Cookie,
    socket: Option<Socket>,
    begun: Instant,
    /// Whether a listener of ours is to see it.
    ours: bool,
    answered: Option<Duration>,
    seen: Option<IpAddr>,
    ended: Option<Outcome>,
}

enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

impl Running {
    /// An attempt that could not begin.
    pub(super) fn failed(errno: Errno) -> Self {
        let ended = Some(Outcome::Failed { errno });
        let begun = Instant::now();
        Self {
            cookie: [0; 16],
            socket: None,
            begun,
            ours: false,
            answered: None,
            seen: None,
            ended,
        }
    }

    /// Sends the first packet.
    pub(super) fn start(
        socket: OwnedFd,
        attempt: &Attempt,
        ours: bool,
        sought: Option<Sought<'_>>,
    ) -> Self {
        let mut running = Self { ended: None, ours, ..Self::failed(Errno::NODATA) };
        if let Err(errno) = running.begin(socket, attempt, sought) {
            running.ended = Some(refused(errno));
        }
        running
    }

    fn begin(
        &mut self,
        socket: OwnedFd,
        attempt: &Attempt,
        sought: Option<Sought<'_>>,
    ) -> Result<(), Errno> {
        rustix::rand::getrandom(&mut self.cookie, rustix::rand::GetRandomFlags::empty())?;
        let any: IpAddr = match attempt.dst {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        if attempt.src.is_some() || sought.is_some() {
            rustix::net::bind(&socket, &SocketAddr::new(attempt.src.unwrap_or(any), 0))?;
        }
        if let Some(Sought { cookie, begins }) = sought {
            self.cookie[..cookie.len()].copy_from_slice(&cookie);
            let own = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
            begins(own.port());
        }
        let mut to = SocketAddr::new(attempt.dst, attempt.packet.port().unwrap_or_default());
        if let SocketAddr::V6(to) = &mut to {
            to.set_scope_id(attempt.scope);
        }
        self.begun = Instant::now();
        let connected = rustix::net::connect(&socket, &to);
        match attempt.packet {
            Packet::Udp(_) => {
                connected?;
                let socket = UdpSocket::from(socket);
                socket.send(&self.cookie).map_err(|error| errno_of(&error))?;
                self.socket = Some(Socket::Udp(socket));
            }
            _ => {
                forget_at_close(&socket);
                match connected {
                    Ok(()) | Err(Errno::INPROGRESS) => {}
                    Err(errno) => return Err(errno),
                }
                self.socket = Some(Socket::Tcp(socket.into()));
            }
        }
        Ok(())
    }

    /// What it waits for, while it does.
    pub(super) fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.ended.is_some() || self.answered.is_some() {
            return None;
        }
        let socket = self.socket.as_ref()?;
        let flags = match socket {
            Socket::Tcp(_) => PollFlags::OUT,
            Socket::Udp(_) => PollFlags::IN,
        };
        Some((socket.as_fd(), flags))
    }

    /// Looks whether there is an answer.
    pub(super) fn go_on(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Some(answered) = self.answered {
            // Somebody else may have taken it: an address translation that nobody knew of.
            if self.begun.elapsed() > answered + SEEN_WITHIN {
                self.ended = Some(Outcome::Reached { rtt: answered, seen: None });
            }
            return;
        }
        let asked = match &self.socket {
            None => return,
            Some(Socket::Tcp(stream)) => connected(stream, &self.cookie),
            Some(Socket::Udp(socket)) => {
                let mut buffer = [0; 64];
                socket.recv(&mut buffer).map_err(|error| errno_of(&error))
            }
        };
        match asked {
            Ok(_) => {
                let rtt = self.begun.elapsed();
                self.answered = Some(rtt);
                if !self.ours || self.seen.is_some() {
                    self.ended = Some(Outcome::Reached { rtt, seen: self.seen });
                }
            }
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::NOTCONN) => {}
            Err(errno) => self.ended = Some(refused(errno)),
        }
    }

    /// A listener of ours has seen it.
    pub(super) fn was_seen(&mut self, from: IpAddr) {
        self.seen = Some(from);
        if let (Some(rtt), None) = (self.answered, self.ended) {
            self.ended = Some(Outcome::Reached { rtt, seen: Some(from) });
        }
    }

    /// What came of it, as soon as it is known.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.ended
    }

    /// What came of it when there is no more time.
    pub(super) fn conclude(&self) -> Outcome {
        let is_udp = matches!(self.socket, Some(Socket::Udp(_)));
        match (self.ended, self.answered) {
            (Some(outcome), _) => outcome,
            (None, Some(rtt)) => Outcome::Reached { rtt, seen: self.seen },
            (None, None) if is_udp && !self.ours => Outcome::Untold,
            (None, None) => Outcome::NoAnswer,
        }
    }
}

/// Tells whether a connection stands, and sends the cookie then.
fn connected(stream: &TcpStream, cookie: &Cookie) -> Result<usize, Errno> {
    if let Some(error) = stream.take_error().map_err(|error| errno_of(&error))? {
        return Err(errno_of(&error));
    }
    stream.peer_addr().map_err(|error| errno_of(&error))?;
    // What is answered before it is sent says no less.
    std::io::Write::write(&mut &*stream, cookie).map_err(|error| errno_of(&error))
}

fn refused(errno: Errno) -> Outcome {
    match errno {
        Errno::TIMEDOUT => Outcome::NoAnswer,
        errno => Outcome::Refused { errno },
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    match (error.raw_os_error(), error.kind()) {
        (Some(number), _) => Errno::from_raw_os_error(number),
        (None, ErrorKind::WouldBlock) => Errno::AGAIN,
        (None, _) => Errno::IO,
    }
}
