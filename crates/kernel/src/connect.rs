//! TCP connections and UDP datagrams from namespace to namespace: does a port answer?
//!
//! Where nobody listens on a port, the probe itself does for as long as it runs, on all addresses of
//! the namespace. Who connects sends 16 random bytes, by which a listener of ours knows the attempt
//! whatever address translation has made of it, and sees whom it seems to come from.
//!
//! Nothing remains: sockets are closed by a reset (`SO_LINGER` of 0), so that no port is held in
//! TIME_WAIT. Neighbour entries and conntrack's may be new; they expire.

mod attempt;
mod listener;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vnet_model::{NsName, Packet};

use crate::echo::Family;
use crate::error::Error;
use crate::realm::Realm;
use crate::socket::SocketKind;
use attempt::Running;
use listener::{Listener, Place};

/// How many attempts are under way at a time: each takes one descriptor, and its listener others.
const WAVE: usize = 128;

/// How long nothing may happen before all is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The length of what is sent, in bytes.
const COOKIE_BYTES: usize = 16;

/// A random text that no two attempts share.
type Cookie = [u8; COOKIE_BYTES];

/// A question: does this port answer to this namespace?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The namespace that asks.
    pub from: NsName,
    /// Its address; the kernel's choice where not given.
    pub src: Option<IpAddr>,
    /// The address that is asked.
    pub dst: IpAddr,
    /// The index of the interface on whose link it is, where it is a link-local address of IPv6.
    pub scope: u32,
    /// TCP or UDP, with the port.
    pub packet: Packet,
    /// The namespace and port that shall answer, where it is known.
    pub at: Option<(NsName, u16)>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The port answered.
    Reached {
        /// From before the first packet until the answer.
        rtt: Duration,
        /// The address that the attempt seemed to come from; `None` where somebody else listens.
        seen: Option<IpAddr>,
    },
    /// Somebody said no: ECONNREFUSED, that nobody listens, or a firewall; EHOSTUNREACH and
    /// others, that there is no way.
    Refused {
        /// What the kernel made of it.
        errno: Errno,
    },
    /// Nothing came back in time.
    NoAnswer,
    /// Somebody else listens on this UDP port, and did not answer to what means nothing to it.
    Untold,
    /// No socket could be made, or nobody could listen.
    Failed {
        /// Why.
        errno: Errno,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use vnet_netlink::{errno_name, errno_words};
        match self {
            Self::Reached { rtt, .. } => write!(f, "answer after {rtt:.3?}"),
            Self::Refused { errno } => {
                write!(f, "{} ({})", errno_words(*errno), errno_name(*errno))
            }
            Self::NoAnswer => f.write_str("no answer"),
            Self::Untold => f.write_str("somebody listens, but does not answer to a probe"),
            Self::Failed { errno } => {
                write!(f, "cannot ask: {} ({})", errno_words(*errno), errno_name(*errno))
            }
        }
    }
}

/// Tries to connect, and returns what came of each attempt, in their order. CAP_SYS_ADMIN, and
/// CAP_NET_BIND_SERVICE in the namespaces for ports below 1,024.
///
/// # Errors
/// When the folder of pins can't be read. What is the matter with one attempt is its [`Outcome`].
pub fn connect(
    realm: &Realm,
    attempts: &[Attempt],
    timeout: Duration,
) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::with_capacity(attempts.len());
    for wave in attempts.chunks(WAVE) {
        outcomes.extend(Wave::open(realm, wave, None)?.run(timeout));
    }
    Ok(outcomes)
}

/// As [`connect()`], for one attempt that is looked for on its way: a datagram begins with this
/// cookie, and `begins` is told by which port of the asker it goes, just before it does.
///
/// # Errors
/// As there.
pub fn connect_sought(
    realm: &Realm,
    attempt: &Attempt,
    cookie: [u8; 8],
    timeout: Duration,
    begins: &mut dyn FnMut(u16),
) -> Result<Outcome, Error> {
    let sought = Some(Sought { cookie, begins });
    let wave = Wave::open(realm, std::slice::from_ref(attempt), sought)?;
    Ok(wave.run(timeout).first().copied().unwrap_or(Outcome::NoAnswer))
}

/// How an attempt is known on its way.
struct Sought<'a> {
    cookie: [u8; 8],
    begins: &'a mut dyn FnMut(u16),
}

/// Attempts that are under way together.
struct Wave {
    listeners: Vec<Listener>,
    running: Vec<Running>,
}

impl Wave {
    fn open(
        realm: &Realm,
        attempts: &[Attempt],
        mut sought: Option<Sought<'_>>,
    ) -> Result<Self, Error> {
        let mut wave = Self { listeners: Vec::new(), running: Vec::new() };
        let mut places: BTreeMap<Place, Result<bool, Errno>> = BTreeMap::new();
        for place in attempts.iter().filter_map(Place::of) {
            if places.contains_key(&place) {
                continue;
            }
            let listening = match open(realm, &place.ns, place.kind)? {
                Ok(socket) => Listener::listen(socket, place.kind, place.port),
                Err(errno) => Err(errno),
            };
            // Somebody else listens there.
            let ours = match listening {
                Ok(listener) => {
                    wave.listeners.push(listener);
                    Ok(true)
                }
                Err(Errno::ADDRINUSE) => Ok(false),
                Err(errno) => Err(errno),
            };
            places.insert(place, ours);
        }
        for attempt in attempts {
            let ours = Place::of(attempt).and_then(|place| places.get(&place).copied());
            let running = match ours {
                Some(Err(errno)) => Running::failed(errno),
                _ => match open(realm, &attempt.from, kind_of(attempt))? {
                    Err(errno) => Running::failed(errno),
                    Ok(socket) => {
                        Running::start(socket, attempt, ours == Some(Ok(true)), sought.take())
                    }
                },
            };
            wave.running.push(running);
        }
        Ok(wave)
    }

    fn run(mut self, timeout: Duration) -> Vec<Outcome> {
        let end = Instant::now() + timeout;
        while self.running.iter().any(|running| running.outcome().is_none()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if self.wait(left.min(LOOK_AGAIN)).is_err() {
                break;
            }
            for running in &mut self.running {
                running.go_on();
            }
            for listener in &mut self.listeners {
                for (cookie, seen) in listener.take() {
                    let asked = self.running.iter_mut().find(|running| running.cookie == cookie);
                    if let Some(running) = asked {
                        running.was_seen(seen);
                    }
                }
            }
        }
        self.running.iter().map(Running::conclude).collect()
    }

    /// Waits until something can go on.
    fn wait(&self, left: Duration) -> Result<(), Errno> {
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        for listener in &self.listeners {
            fds.extend(listener.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        for running in &self.running {
            if let Some((socket, flags)) = running.waits_for() {
                fds.push(PollFd::from_borrowed_fd(socket, flags));
            }
        }
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut fds, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

fn kind_of(attempt: &Attempt) -> SocketKind {
    let family = Family::of(attempt.dst);
    match attempt.packet {
        Packet::Udp(_) => SocketKind::Udp(family),
        _ => SocketKind::Tcp(family),
    }
}

/// Opens one socket; the inner error is the kernel's refusal.
fn open(realm: &Realm, ns: &NsName, kind: SocketKind) -> Result<Result<OwnedFd, Errno>, Error> {
    let opened = realm.sockets(0, std::slice::from_ref(ns), kind)?.pop();
    Ok(match opened {
        Some(Ok(socket)) => Ok(socket),
        Some(Err(error)) => Err(error.errno().unwrap_or(Errno::NODEV)),
        None => Err(Errno::NODEV),
    })
}

/// Has the kernel close a TCP socket by a reset, so that its port is free at once.
fn forget_at_close(socket: impl AsFd) {
    // It is only tidier.
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
