//! Where a packet is seen: packet sockets that hear all interfaces of some namespaces while somebody
//! sends something recognisable.
//!
//! One socket in each namespace hears what comes in and what leaves by every interface there
//! (`packet(7)`), and says by which. A packet of ours is known by the random bytes in its payload,
//! however many headers stand before them: so it is seen on a bridge, in a VLAN and in a tunnel too.
//! The first packet of a TCP connection has no payload: it is known by its sequence number, which
//! is random too and which address translation leaves as it is. (A mark does not cross a veth, and
//! the IP id is the kernel's to choose.)
//!
//! # What it costs
//! A classic BPF program in the kernel drops what can't be it, so that a busy lab does not overrun
//! the sockets; what they lost all the same is told. Nothing is configured, nothing remains, and no
//! interface becomes promiscuous: a frame for another hardware address is seen where it gets to.

mod filter;
mod packet;

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::sys::socket::{MsgFlags, SetSockOpt, SockaddrStorage, recvmsg, sockopt};
use nix::sys::time::TimeSpec;
use rustix::io::Errno;
use vnet_model::sighting::Sighting;
use vnet_model::{IfName, NsName};

use crate::error::Error;
use crate::realm::Realm;
use crate::socket::{SocketKind, from_nix, received_at};

/// In no more namespaces than this is looked at a time.
const NAMESPACES_MAX: usize = 256;

/// No more packets than this are read from a namespace.
const READ_MAX: usize = 4096;

/// How much of a packet is looked at, in bytes: room for two tunnels around it.
const SNAP_BYTES: usize = 320;

/// How long the kernel mostly takes until it notes down times of receipt for somebody who has just
/// begun to ask for them: it does that on another thread (`net_enable_timestamp`, net/core/dev.c).
const CLOCK_WITHIN: Duration = Duration::from_millis(20);

/// How a packet is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// An echo request: by the beginning of its payload, which the answer repeats.
    Echo([u8; 8]),
    /// A datagram to this port: by the beginning of its payload.
    Datagram([u8; 8], u16),
    /// The packet that asks for a TCP connection.
    Connection,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// In the order of time.
    pub sightings: Vec<Sighting>,
    /// The namespaces in which nobody could look, in which packets were lost to whoever looked, or of
    /// which the order is not known.
    pub blind: Vec<NsName>,
}

/// Who looks.
#[derive(Debug)]
pub struct Lookout {
    sought: Sought,
    posts: Vec<(NsName, OwnedFd)>,
    blind: Vec<NsName>,
}

impl Lookout {
    /// Begins to look in these namespaces. CAP_NET_RAW in the user namespace that owns each; where it
    /// can't be looked, that is told with what was seen.
    ///
    /// # Errors
    /// When the folder of pins can't be read.
    pub fn open(realm: &Realm, names: &[NsName], sought: Sought) -> Result<Self, Error> {
        let (looked, rest) = names.split_at(names.len().min(NAMESPACES_MAX));
        let mut lookout = Self { sought, posts: Vec::new(), blind: rest.to_vec() };
        for (name, socket) in looked.iter().zip(realm.sockets(0, looked, SocketKind::Packet)?) {
            match socket.map(|socket| prepare(&socket, sought).map(|()| socket)) {
                Ok(Ok(socket)) => lookout.posts.push((name.clone(), socket)),
                Ok(Err(_)) | Err(_) => lookout.blind.push(name.clone()),
            }
        }
        std::thread::sleep(CLOCK_WITHIN);
        Ok(lookout)
    }

    /// Ends looking and tells what was seen. `indexes` say by which index an interface is known.
    /// A connection is one that came from `from`, by this port of it.
    #[must_use]
    pub fn close(
        mut self,
        indexes: &BTreeMap<NsName, &BTreeMap<IfName, u32>>,
        from: (&NsName, Option<u16>),
    ) -> Seen {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut caught: Vec<(NsName, Caught)> = Vec::new();
        for (ns, socket) in &self.posts {
            let (found, lost) = read(socket);
            caught.extend(found.into_iter().map(|caught| (ns.clone(), caught)));
            if lost {
                self.blind.push(ns.clone());
            }
        }
        // Where the kernel noted down no time yet, it says that of reading. That was before all of which
        // it did; where it never did, nobody knows the order.
        for (_, untimed) in caught.iter_mut().filter(|(_, one)| one.at >= begun) {
            untimed.at = Duration::ZERO;
        }
        if !caught.is_empty() && caught.iter().all(|(_, one)| one.at.is_zero()) {
            self.blind.push(from.0.clone());
        }
        caught.sort_by_key(|(_, caught)| caught.at);
        let number = match self.sought {
            Sought::Connection => number(&caught, from),
            _ => None,
        };
        let sighting = |(ns, caught): (NsName, Caught)| {
            let heading = match self.sought {
                Sought::Connection => packet::of_connection(&caught.bytes, number?)?,
                Sought::Echo(cookie) => packet::with_cookie(&caught.bytes, &cookie, None)?,
                Sought::Datagram(cookie, port) => {
                    packet::with_cookie(&caught.bytes, &cookie, Some(port))?
                }
            };
            let known = indexes.get(&ns)?.iter().find(|(_, index)| **index == caught.index)?;
            let dev = known.0.clone();
            let (at, leaves, for_another) = (caught.at, caught.leaves, caught.for_another);
            Some(Sighting { at, ns, dev, leaves, for_another, heading })
        };
        let sightings = caught.into_iter().filter_map(sighting).collect();
        Seen { sightings, blind: self.blind }
    }
}

/// The sequence number with which a connection began.
fn number(caught: &[(NsName, Caught)], (from, port): (&NsName, Option<u16>)) -> Option<u32> {
    let mut own = caught.iter().filter(|(ns, caught)| ns == from && caught.leaves);
    own.find_map(|(_, caught)| packet::asks_for_connection(&caught.bytes, port?))
}

/// A packet as it was heard.
#[derive(Debug)]
struct Caught {
    at: Duration,
    index: u32,
    leaves: bool,
    for_another: bool,
    bytes: Vec<u8>,
}

fn prepare(socket: &OwnedFd, sought: Sought) -> Result<(), Errno> {
    // Without it there is more to be read, and more that can be lost.
    let _ = filter::attach(socket, sought);
    sockopt::ReceiveTimestampns.set(socket, &true).map_err(from_nix)
}

/// Reads all that a socket has heard, and whether something was lost to it.
fn read(socket: &OwnedFd) -> (Vec<Caught>, bool) {
    let mut all = Vec::new();
    while all.len() < READ_MAX
        && let Ok(caught) = receive(socket)
    {
        all.extend(caught);
    }
    let lost = filter::has_lost(socket) || all.len() >= READ_MAX;
    (all, lost)
}

/// Receives a packet; `None` for one that comes from nowhere.
fn receive(socket: &OwnedFd) -> Result<Option<Caught>, Errno> {
    let mut buffer = [0; SNAP_BYTES];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut control = nix::cmsg_space!(TimeSpec);
    let flags = MsgFlags::MSG_DONTWAIT;
    let fd = socket.as_raw_fd();
    let received =
        recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).map_err(from_nix)?;
    let at = received_at(&received);
    let length = received.bytes;
    let Some(link) = received.address.and_then(|address| address.as_link_addr().copied()) else {
        return Ok(None);
    };
    Ok(Some(Caught {
        at: at.unwrap_or_default(),
        index: u32::try_from(link.ifindex()).unwrap_or_default(),
        leaves: link.pkttype() == libc::PACKET_OUTGOING,
        for_another: link.pkttype() == libc::PACKET_OTHERHOST,
        bytes: buffer[..length.min(SNAP_BYTES)].to_vec(),
    }))
}
