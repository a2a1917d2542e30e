//! The least of netlink that a benchmark needs: messages laid by hand, one send for several, one answer for all.
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recv, send, socket_with};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/veth.h (6.18)
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE_EXCL: u16 = 0x600;
const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;
pub(super) const RTMGRP_LINK: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const HEADER: usize = 16;

/// One end of a veth pair as it is to be made.
pub(super) struct End<'a> {
    pub(super) name: &'a str,
    pub(super) index: u32,
    pub(super) mac: [u8; 6],
}

/// Messages for one send. The last one asks for an acknowledgement; an error of an earlier one comes unasked.
#[derive(Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    last: usize,
}

impl Messages {
    /// Adds a veth pair: `near` in the socket's namespace, `far` in `namespace`.
    pub(super) fn add_veth(&mut self, near: &End<'_>, far: &End<'_>, namespace: BorrowedFd<'_>) {
        self.begin(RTM_NEWLINK, NLM_F_CREATE_EXCL, &ifinfo(near.index, 0));
        self.end_attributes(near);
        let info = self.open(IFLA_LINKINFO);
        self.attribute(IFLA_INFO_KIND, b"veth");
        let data = self.open(IFLA_INFO_DATA);
        let peer = self.open(VETH_INFO_PEER);
        self.bytes.extend(ifinfo(far.index, 0));
        self.end_attributes(far);
        self.attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        self.close(peer);
        self.close(data);
        self.close(info);
        self.finish();
    }

    pub(super) fn set_up(&mut self, index: u32) {
        const IFF_UP: u32 = 1;
        self.begin(RTM_NEWLINK, 0, &ifinfo(index, IFF_UP));
        self.finish();
    }

    pub(super) fn set_down(&mut self, index: u32) {
        const IFF_UP: u32 = 1;
        let mut fixed = ifinfo(index, 0);
        fixed[12..].copy_from_slice(&IFF_UP.to_ne_bytes());
        self.begin(RTM_NEWLINK, 0, &fixed);
        self.finish();
    }

    pub(super) fn del_link(&mut self, index: u32) {
        self.begin(RTM_DELLINK, 0, &ifinfo(index, 0));
        self.finish();
    }

    pub(super) fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix_length: u8) {
        self.address((RTM_NEWADDR, NLM_F_CREATE_EXCL), index, address, prefix_length);
    }

    pub(super) fn del_address(&mut self, index: u32, address: Ipv4Addr, prefix_length: u8) {
        self.address((RTM_DELADDR, 0), index, address, prefix_length);
    }

    fn address(&mut self, (kind, flags): (u16, u16), index: u32, address: Ipv4Addr, length: u8) {
        let mut fixed = [libc::AF_INET as u8, length, 0, 0, 0, 0, 0, 0];
        fixed[4..].copy_from_slice(&index.to_ne_bytes());
        self.begin(kind, flags, &fixed);
        self.attribute(IFA_LOCAL, &address.octets());
        self.attribute(IFA_ADDRESS, &address.octets());
        self.finish();
    }

    fn end_attributes(&mut self, end: &End<'_>) {
        let mut name = end.name.as_bytes().to_vec();
        name.push(0);
        self.attribute(IFLA_IFNAME, &name);
        self.attribute(IFLA_ADDRESS, &end.mac);
    }

    fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) {
        self.last = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend(fixed);
    }

    fn finish(&mut self) {
        let length = (self.bytes.len() - self.last) as u32;
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend(payload);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Sends the messages and empties the list.
    ///
    /// # Errors
    /// The first message's that failed; those after it may have been executed.
    pub(super) fn send(&mut self, socket: &Socket) -> io::Result<()> {
        let flags = self.last + 6;
        self.bytes[flags] |= NLM_F_ACK as u8;
        send(&socket.0, &self.bytes, SendFlags::empty())?;
        self.bytes.clear();
        let mut answer = [0; 4096];
        let (length, _) = recv(&socket.0, &mut answer, RecvFlags::empty())?;
        match messages(&answer[..length]).next() {
            Some((NLMSG_ERROR, payload)) => match number(payload, 0).cast_signed() {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(-errno)),
            },
            _ => Err(io::Error::other("the kernel's answer is no acknowledgement")),
        }
    }
}

/// A route socket of the namespace in which it was opened.
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let kind = SocketType::RAW;
        Ok(Self(socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, None)?))
    }

    /// Opens a socket that hears a group's events, each for at most `patience` long.
    pub(super) fn listen(groups: u32, patience: Duration) -> io::Result<Self> {
        let socket = Self::open()?;
        bind(&socket.0, &SocketAddrNetlink::new(0, groups))?;
        set_socket_timeout(&socket.0, Timeout::Recv, Some(patience))?;
        Ok(socket)
    }

    /// Waits for the event `kind` of the interface `index`.
    pub(super) fn wait_for(&self, kind: u16, index: u32) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())
                .context("the kernel takes too long to remove namespaces")?;
            if messages(&buffer[..length])
                .any(|(k, payload)| k == kind && number(payload, 4) == index)
            {
                return Ok(());
            }
        }
    }

    /// Dumps `kind` and hands each object's message body to `each`.
    pub(super) fn dump(&self, kind: u16, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut request = Messages::default();
        request.begin(kind, NLM_F_DUMP, &ifinfo(0, 0));
        request.finish();
        send(self.0.as_fd(), &request.bytes, SendFlags::empty())?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for (kind, payload) in messages(&buffer[..length]) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => bail!("a dump failed"),
                    _ => each(payload),
                }
            }
        }
    }
}

/// The fixed part of a link's message.
fn ifinfo(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

/// Reads the 32-bit number at `offset`.
pub(super) fn number(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes.get(offset..offset + 4).and_then(|field| field.try_into().ok());
    field.map_or(0, u32::from_ne_bytes)
}

/// Splits a datagram into message types and bodies.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = number(bytes, 0) as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([message[4], message[5]]), &message[HEADER..]))
    })
}
