use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, recvmsg};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::ack::NLMSG_OVERRUN;
use crate::errno::from_nix;
use crate::error::Error;
use crate::message::{Message, Messages};
use crate::options;
use crate::socket::Socket;

/// A message that the kernel sends to a group of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened: `RTM_NEWLINK`, …
    pub message: Message<'a>,
    /// The id of the namespace in which it happened, as the socket's namespace numbers them (`ip netns list-id`). `None` for
    /// the socket's own namespace.
    pub nsid: Option<i32>,
}

impl Socket {
    /// Subscribes to groups of events: `RTNLGRP_*`, `NFNLGRP_*`, or the numbers of a generic family's groups.
    ///
    /// Groups are numbered from 1. Route and generic groups need no capability; netfilter's need CAP_NET_ADMIN in the user
    /// namespace that owns the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with EINVAL for a group that the kernel does not have.
    pub fn subscribe(&mut self, groups: &[u32]) -> Result<(), Error> {
        groups.iter().try_for_each(|group| {
            options::set(&*self, options::AddMembership, group)
                .map_err(Error::system("subscribe to netlink events"))
        })
    }

    /// Ends the subscription to groups of events. What is queued already is still received.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with EINVAL for a group that the kernel does not have.
    pub fn unsubscribe(&mut self, groups: &[u32]) -> Result<(), Error> {
        groups.iter().try_for_each(|group| {
            options::set(&*self, options::DropMembership, group)
                .map_err(Error::system("unsubscribe from netlink events"))
        })
    }

    /// Listens also to the events of all namespaces that have an id in the socket's own (`NETLINK_LISTEN_ALL_NSID`).
    ///
    /// Needs CAP_NET_BROADCAST in the user namespace that owns the socket's network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with EPERM without the capability, ENOPROTOOPT before Linux 4.2.
    pub fn listen_all_nsid(&mut self) -> Result<(), Error> {
        options::set(&*self, options::ListenAllNsid, &true)
            .map_err(Error::system("listen to the netlink events of all namespaces"))
    }

    /// Waits up to `timeout` for events, and hands out those of one datagram: mostly one, of nf_tables a transaction's.
    ///
    /// `None` waits for as long as it takes, zero does not wait. Returns whether there were any. To wait for other things
    /// too, poll the socket's file descriptor, and call this with zero until it returns false.
    ///
    /// # Errors
    ///
    /// [`Error::EventsLost`] if the receive buffer was full: the state must be read anew. The events after the gap follow.
    pub fn receive_event(
        &mut self,
        timeout: Option<Duration>,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<bool, Error> {
        if !self.wait_readable(timeout)? {
            return Ok(false);
        }
        let receive = Error::system("receive netlink events");
        let length = match self.peek_length() {
            Ok(length) => length,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::NOBUFS) => return Err(Error::EventsLost),
            Err(errno) => return Err(receive(errno)),
        };
        self.reserve(length);
        let datagram = match self.receive_with_nsid() {
            Ok(datagram) => datagram,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::NOBUFS) => return Err(Error::EventsLost),
            Err(errno) => return Err(receive(errno)),
        };
        let mut any = false;
        for message in Messages::new(&self.buffer[..datagram.length_bytes]) {
            let message = message?;
            if message.kind == NLMSG_OVERRUN {
                return Err(Error::EventsLost);
            }
            if !message.is_control() && datagram.is_from_kernel {
                on_event(Event { message, nsid: datagram.nsid });
                any = true;
            }
        }
        Ok(any)
    }

    fn wait_readable(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = [PollFd::new(self, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("wait for netlink events")(errno)),
            }
        }
    }

    /// Receives by nix, whose control messages include those it does not know; rustix drops them.
    fn receive_with_nsid(&mut self) -> Result<Datagram, Errno> {
        let fd = self.as_fd().as_raw_fd();
        let mut control = vec![0; CONTROL_BYTES];
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let received =
            recvmsg::<NetlinkAddr>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)
                .map_err(from_nix)?;
        let nsid = received.cmsgs().map_err(from_nix)?.find_map(|control| match control {
            ControlMessageOwned::Unknown(unknown)
                if unknown.cmsg_header.cmsg_level == libc::SOL_NETLINK
                    && unknown.cmsg_header.cmsg_type == libc::NETLINK_LISTEN_ALL_NSID =>
            {
                unknown.data_bytes.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
            }
            _ => None,
        });
        Ok(Datagram {
            length_bytes: received.bytes,
            is_from_kernel: received.address.is_none_or(|sender| sender.pid() == 0),
            nsid,
        })
    }
}

struct Datagram {
    length_bytes: usize,
    is_from_kernel: bool,
    nsid: Option<i32>,
}

/// Room for a few control messages; the namespace's id takes 24 bytes.
const CONTROL_BYTES: usize = 128;
