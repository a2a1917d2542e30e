//! What happens in many namespaces, heard at one place.
//!
//! A *hub* is a network namespace without a name, in which every namespace of interest has an id.
//! One socket of each protocol in it hears the events of all of them (`NETLINK_LISTEN_ALL_NSID`,
//! `netlink(7)`), each with the id. One socket in each namespace would slow down the kernel: it
//! looks at every subscriber for every event. The hub lives as long as its sockets.
//!
//! What happens to the pins themselves is heard by inotify.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};
use vnet_model::NsName;
use vnet_netlink::{Batch, Error as NetlinkError, Event, Flags, Protocol, Socket, Status};

use crate::error::Error;
use crate::pins::NETNS_DIR;
use crate::realm::{Entry, Realm};
use crate::thread::Walker;

/// `RTM_NEWNSID` and `RTM_DELNSID` (linux/rtnetlink.h).
const RTM_NEWNSID: u16 = 88;
const RTM_DELNSID: u16 = 89;

/// The id that a namespace gets, and the namespace (linux/net_namespace.h).
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// `struct rtgenmsg`, padded.
const RTGENMSG_BYTES: usize = 4;

/// Neighbour entries that came and went (linux/rtnetlink.h).
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

/// Where `struct ndmsg` has the state, and the state of an entry that somebody wrote
/// (linux/neighbour.h).
const NDM_STATE_OFFSET: usize = 8;
const NUD_PERMANENT: u16 = 0x80;

/// The groups of route events, `RTNLGRP_*` of linux/rtnetlink.h: LINK, NEIGH, TC, IPV4_IFADDR,
/// IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_IFINFO, IPV6_RULE, IPV4_NETCONF,
/// IPV6_NETCONF, NSID, NEXTHOP, BRVLAN.
const ROUTE_GROUPS: [u32; 15] = [1, 3, 4, 5, 7, 8, 9, 11, 12, 19, 24, 25, 28, 32, 33];

/// The group of changes to nftables (`NFNLGRP_NFTABLES`, linux/netfilter/nfnetlink.h).
const NFTABLES_GROUP: u32 = 7;

/// How many bytes of events the kernel may queue, where nothing else is said.
const QUEUE_BYTES: usize = 8 << 20;

/// How many datagrams are taken in a row: a flood must not keep whoever listens from looking.
const DATAGRAMS_MAX: usize = 4096;

/// How many namespaces are open at a time while they get their ids.
const CHUNK: usize = 64;

/// Room for a few events of inotify; the longest is 272 bytes.
const INOTIFY_BYTES: usize = 4096;

/// How a hub is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubOptions {
    /// How many bytes of events the kernel may queue, its bookkeeping included; what is beyond gets
    /// lost, which is told. 8 MiB where not given, or as many as this user may have.
    pub queue_bytes: Option<usize>,
}

/// What a hub is made of, as descriptors: a worker hands them out.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) commands: Socket,
    pub(crate) route: Socket,
    /// `None` where the kernel has no netfilter.
    pub(crate) netfilter: Option<Socket>,
    /// `None` where there is no folder of pins.
    pub(crate) pins: Option<OwnedFd>,
}

/// Something that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something happened in this namespace, or to its pin.
    In(NsName),
    /// Events were lost: anything may have happened anywhere.
    Lost,
}

/// The place at which the events of many namespaces are heard.
#[derive(Debug)]
pub struct Hub {
    parts: Parts,
    /// Who has which id. An id is never given twice.
    names: BTreeMap<i32, NsName>,
    next_id: i32,
    batch: Batch,
    /// For each socket, whether events were lost and its queue was not seen empty since: until then
    /// more get lost, and nothing is said of them (`netlink_overrun`, net/netlink/af_netlink.c).
    is_behind: [bool; 2],
}

impl Hub {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            names: BTreeMap::new(),
            next_id: 0,
            batch: Batch::new(),
            is_behind: [false; 2],
        }
    }

    pub(crate) fn into_parts(self) -> Parts {
        self.parts
    }

    /// Begins to hear of namespaces; those that are heard of already stay so, and those that do not
    /// exist are passed over. What happens after this call is heard.
    ///
    /// # Errors
    /// When a namespace can't be opened, or the kernel gives it no id.
    pub fn listen_to(&mut self, realm: &Realm, names: &[NsName]) -> Result<(), Error> {
        for chunk in names.chunks(CHUNK) {
            let entries = realm.open(0, chunk)?;
            self.batch.clear();
            let mut asked = Vec::with_capacity(chunk.len());
            for (name, entry) in chunk.iter().zip(&entries) {
                let Entry::Namespace(opened) = entry else { continue };
                let fd = std::os::fd::AsRawFd::as_raw_fd(&opened.ns);
                let id = self.next_id;
                self.next_id = self.next_id.checked_add(1).unwrap_or_default();
                self.batch.push_raw(RTM_NEWNSID, Flags::NONE, |message| {
                    message.header(&[0; RTGENMSG_BYTES]).i32(NETNSA_NSID, id).i32(NETNSA_FD, fd);
                });
                asked.push((id, name));
            }
            let failed = |name: &NsName, source| Error::Netlink {
                doing: "listen to events",
                ns: name.clone(),
                source,
            };
            let Some((_, first)) = asked.first() else { continue };
            let outcome =
                self.parts.commands.submit(&mut self.batch).map_err(|e| failed(first, e))?;
            for (index, (id, name)) in asked.iter().enumerate() {
                match outcome.status(index) {
                    // It has an id already.
                    Status::Refused(refusal) if refusal.errno == Errno::EXIST => {}
                    Status::Refused(refusal) => return Err(failed(name, refusal.clone().into())),
                    _ => drop(self.names.insert(*id, (*name).clone())),
                }
            }
        }
        Ok(())
    }

    /// Waits up to `timeout` for anything, and hands out what is queued by then; returns whether
    /// there was anything. A signal ends the waiting early.
    ///
    /// # Errors
    /// When the kernel can't be listened to any more.
    pub fn wait(&mut self, timeout: Duration, mut heard: impl FnMut(Heard)) -> Result<bool, Error> {
        let Parts { route, netfilter, pins, .. } = &self.parts;
        let sources = [Some(route.as_fd()), netfilter.as_ref().map(AsFd::as_fd)];
        let sources = sources.into_iter().chain([pins.as_ref().map(AsFd::as_fd)]).flatten();
        let mut ready: Vec<PollFd<'_>> =
            sources.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let limit = Timespec::try_from(timeout).ok();
        match rustix::event::poll(&mut ready, limit.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(Error::system("wait for", "events")(errno)),
        }
        drop(ready);
        let mut any = hear_pins(pins.as_ref(), &mut heard)?;
        let names = &mut self.names;
        let sockets = [Some(&mut self.parts.route), self.parts.netfilter.as_mut()];
        for (socket, is_behind) in sockets.into_iter().zip(&mut self.is_behind) {
            let Some(socket) = socket else { continue };
            any |= hear(socket, names, is_behind, &mut heard)?;
        }
        Ok(any)
    }
}

/// Takes what is queued in a socket.
fn hear(
    socket: &mut Socket,
    names: &mut BTreeMap<i32, NsName>,
    is_behind: &mut bool,
    heard: &mut impl FnMut(Heard),
) -> Result<bool, Error> {
    let mut any = false;
    for _ in 0..DATAGRAMS_MAX {
        let take = |event: Event<'_>| match event.nsid {
            Some(id) if matters(&event) => {
                names.get(&id).into_iter().for_each(|name| heard(Heard::In(name.clone())));
            }
            Some(_) => {}
            // In the hub itself only one thing happens: a namespace that has an id goes away.
            None if event.message.kind == RTM_DELNSID => {
                let name = nsid(&event).and_then(|id| names.remove(&id));
                name.into_iter().for_each(|name| heard(Heard::In(name)));
            }
            None => {}
        };
        match socket.receive_event(Some(Duration::ZERO), take) {
            Ok(true) => any = true,
            Ok(false) => {
                if std::mem::take(is_behind) {
                    heard(Heard::Lost);
                }
                return Ok(any);
            }
            Err(NetlinkError::EventsLost) => {
                *is_behind = true;
                any = true;
            }
            Err(source) => return Err(failed(&source)),
        }
    }
    Ok(any)
}

/// Tells whether an event is about something that somebody may have declared: entries of the
/// neighbour table come and go with the traffic.
fn matters(event: &Event<'_>) -> bool {
    if !matches!(event.message.kind, RTM_NEWNEIGH | RTM_DELNEIGH) {
        return true;
    }
    let state = event.message.payload.get(NDM_STATE_OFFSET..NDM_STATE_OFFSET + 2);
    let state = state.and_then(|bytes| Some(u16::from_ne_bytes(*bytes.first_chunk()?)));
    state.is_some_and(|state| state & NUD_PERMANENT != 0)
}

fn nsid(event: &Event<'_>) -> Option<i32> {
    let attributes = event.message.attributes(RTGENMSG_BYTES).ok()?;
    let id = attributes.flatten().find(|attribute| attribute.kind == NETNSA_NSID)?;
    Some(i32::from_ne_bytes(id.u32().ok()?.to_ne_bytes()))
}

/// Takes what happened to pins.
fn hear_pins(pins: Option<&OwnedFd>, heard: &mut impl FnMut(Heard)) -> Result<bool, Error> {
    let Some(pins) = pins else { return Ok(false) };
    let mut room = [std::mem::MaybeUninit::uninit(); INOTIFY_BYTES];
    let mut events = inotify::Reader::new(pins, &mut room);
    let mut any = false;
    loop {
        let event = match events.next() {
            Ok(event) => event,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(any),
            Err(errno) => return Err(Error::system("listen to", NETNS_DIR)(errno)),
        };
        any = true;
        let name = event.file_name().and_then(|name| name.to_str().ok());
        match name.map(NsName::new) {
            Some(Ok(name)) => heard(Heard::In(name)),
            // No name that a namespace can have.
            Some(Err(_)) => {}
            // The folder itself, or too many events.
            None => heard(Heard::Lost),
        }
    }
}

/// Makes a hub's parts, on a thread that may enter namespaces. CAP_SYS_ADMIN and CAP_NET_ADMIN.
pub(crate) fn make(walker: &Walker, options: HubOptions) -> Result<Parts, Error> {
    walker.enter_new().map_err(Error::system("make", "a namespace to listen from"))?;
    let commands = Socket::open(Protocol::Route).map_err(|e| failed(&e))?;
    let mut route = Socket::open(Protocol::Route).map_err(|e| failed(&e))?;
    for group in ROUTE_GROUPS {
        subscribe(&mut route, group)?;
    }
    prepare(&mut route, options)?;
    let netfilter = match Socket::open(Protocol::Netfilter) {
        Ok(mut socket) => {
            subscribe(&mut socket, NFTABLES_GROUP)?;
            prepare(&mut socket, options)?;
            Some(socket)
        }
        // A kernel without it has no tables that could change.
        Err(_) => None,
    };
    Ok(Parts { commands, route, netfilter, pins: listen_to_pins()? })
}

/// Subscribes to a group, if the kernel has it: some are younger than others.
fn subscribe(socket: &mut Socket, group: u32) -> Result<(), Error> {
    match socket.subscribe(&[group]) {
        Err(error) if error.errno() == Some(Errno::INVAL) => Ok(()),
        result => result.map_err(|error| failed(&error)),
    }
}

fn prepare(socket: &mut Socket, options: HubOptions) -> Result<(), Error> {
    socket.listen_all_nsid().map_err(|error| failed(&error))?;
    // The kernel doubles what it is told.
    let bytes = options.queue_bytes.unwrap_or(QUEUE_BYTES) / 2;
    sockopt::set_socket_recv_buffer_size_force(&*socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&*socket, bytes))
        .map_err(Error::system("set", "the size of a queue of events"))
}

fn listen_to_pins() -> Result<Option<OwnedFd>, Error> {
    use inotify::{CreateFlags, WatchFlags};
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(Error::system("make", "an inotify instance"))?;
    let what = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR;
    match inotify::add_watch(&fd, NETNS_DIR, what) {
        Ok(_) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::system("listen to", NETNS_DIR)(errno)),
    }
}

fn failed(error: &NetlinkError) -> Error {
    Error::System {
        doing: "listen to",
        object: "the events of namespaces".into(),
        errno: error.errno().unwrap_or(Errno::IO),
    }
}

/// Reads a message as an event.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: vnet_netlink::Message<'_>) {
    let event = Event { message, nsid: Some(1) };
    let _ = (matters(&event), nsid(&event));
}
