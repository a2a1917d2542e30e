use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::error::Error;
use crate::options;
use crate::protocol::Protocol;

/// A netlink socket of one network namespace.
///
/// It is bound to the namespace in which it was opened, wherever its owner goes (`sock_net`, net/core/sock.c). It takes no
/// memory for messages until it is first used; then it keeps a receive buffer of 32 KiB or more.
///
/// ```
/// use netlink_packet_route::RouteNetlinkMessage;
/// use netlink_packet_route::link::LinkMessage;
/// use vnet_netlink::{Protocol, Socket};
///
/// let mut socket = Socket::open(Protocol::Route)?;
/// let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
/// let links = socket.dump(&request, |message| Ok(Some(message.decode::<RouteNetlinkMessage>()?)))?;
/// assert!(!links.is_empty());
/// # Ok::<(), vnet_netlink::Error>(())
/// ```
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    features: Features,
    sequence: u32,
    pub(crate) buffer: Vec<u8>,
    receive_room_bytes: usize,
    send_room_bytes: usize,
}

/// Which of its options the kernel knows. All are there since Linux 4.20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// Refusals come with the kernel's words (`NETLINK_EXT_ACK`, Linux 4.12).
    pub extended_acks: bool,
    /// Refusals do not repeat the request (`NETLINK_CAP_ACK`, Linux 4.3).
    pub capped_acks: bool,
    /// Dumps are filtered as asked, or refused (`NETLINK_GET_STRICT_CHK`, Linux 4.20). Without it filters are ignored.
    pub strict_checks: bool,
}

/// How much a receive buffer must hold. The kernel fills a dump's part up to what was last received, at most 32 KiB, unless
/// a single message is longer (`netlink_dump`, net/netlink/af_netlink.c).
const DUMP_PART_BYTES: usize = 32 * 1024;

/// A capped acknowledgement is 36 bytes and the kernel's words, 120 bytes together at most of those seen.
const ACK_BYTES: usize = 4 * 1024;

/// The receive buffer asked for. `SO_RCVBUF` counts the kernel's bookkeeping too, and doubles what is asked.
const RECEIVE_ROOM_BYTES: usize = 1024 * 1024;

/// What `netlink_sendmsg` takes off the send buffer before it compares.
const SEND_OVERHEAD_BYTES: usize = 32;

impl Socket {
    /// Opens a socket in the calling thread's network namespace, close-on-exec, with extended acknowledgements.
    ///
    /// Needs no capability; changes to the network do (CAP_NET_ADMIN in the user namespace that owns the network
    /// namespace). With CAP_NET_ADMIN in the first user namespace the receive buffer is larger, and windows are longer.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with EPROTONOSUPPORT if the kernel lacks the protocol.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol.to_rustix(),
        )
        .map_err(Error::system("open a netlink socket"))?;
        let set = Error::system("set an option of a netlink socket");
        let features = Features {
            extended_acks: options::enable(&fd, options::ExtAck).map_err(&set)?,
            capped_acks: options::enable(&fd, options::CapAck).map_err(&set)?,
            strict_checks: options::enable(&fd, options::StrictCheck).map_err(&set)?,
        };
        // The forced size needs CAP_NET_ADMIN in the first user namespace, the other is cut to sysctl net.core.rmem_max.
        sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_ROOM_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_ROOM_BYTES))
            .map_err(&set)?;
        // A connected socket takes messages from its peer only: port 0, the kernel (`netlink_getsockbyportid`).
        rustix::net::connect(&fd, &SocketAddrNetlink::new(0, 0))
            .map_err(Error::system("connect a netlink socket to the kernel"))?;
        Self::assemble(fd, protocol, features)
    }

    /// Takes over a socket that [`open`](Self::open) made, in this process or another one (SCM_RIGHTS).
    ///
    /// It stays bound to the namespace in which it was opened, and keeps its options. The one who opened it must no longer
    /// use it: answers would go to whoever reads first.
    ///
    /// # Errors
    ///
    /// [`Error::NotNetlink`] if it is another kind of file.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        if sockopt::socket_domain(&fd) != Ok(AddressFamily::NETLINK) {
            return Err(Error::NotNetlink);
        }
        let ask = Error::system("read an option of a netlink socket");
        let protocol = sockopt::socket_protocol(&fd).map_err(ask)?;
        let protocol = Protocol::from_rustix(protocol).ok_or(Error::NotNetlink)?;
        let features = Features {
            extended_acks: options::is_enabled(&fd, options::ExtAck),
            capped_acks: options::is_enabled(&fd, options::CapAck),
            strict_checks: options::is_enabled(&fd, options::StrictCheck),
        };
        rustix::net::connect(&fd, &SocketAddrNetlink::new(0, 0))
            .map_err(Error::system("connect a netlink socket to the kernel"))?;
        Self::assemble(fd, protocol, features)
    }

    /// Gives the file descriptor away, to be sent to another process, say.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The protocol it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Which of its options the kernel knows.
    pub fn features(&self) -> Features {
        self.features
    }

    fn assemble(fd: OwnedFd, protocol: Protocol, features: Features) -> Result<Self, Error> {
        let ask = Error::system("read an option of a netlink socket");
        let receive_room_bytes = sockopt::socket_recv_buffer_size(&fd).map_err(&ask)?;
        let send_room_bytes = sockopt::socket_send_buffer_size(&fd).map_err(&ask)?;
        Ok(Self {
            fd,
            protocol,
            features,
            sequence: first_sequence(),
            buffer: Vec::new(),
            receive_room_bytes,
            send_room_bytes,
        })
    }

    /// What the kernel can queue, its bookkeeping included.
    pub(crate) fn receive_room_bytes(&self) -> usize {
        self.receive_room_bytes
    }

    /// The longest datagram that can be sent.
    pub(crate) fn send_limit_bytes(&self) -> usize {
        self.send_room_bytes.saturating_sub(SEND_OVERHEAD_BYTES)
    }

    /// Enlarges the send buffer so that a datagram of this length can be sent, as far as this user may.
    pub(crate) fn make_send_room(&mut self, length_bytes: usize) {
        if length_bytes <= self.send_limit_bytes() {
            return;
        }
        let wanted = length_bytes.saturating_add(SEND_OVERHEAD_BYTES);
        // Refused or cut to sysctl net.core.wmem_max: the caller compares with the limit.
        let _ = sockopt::set_socket_send_buffer_size_force(&self.fd, wanted)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&self.fd, wanted));
        if let Ok(room) = sockopt::socket_send_buffer_size(&self.fd) {
            self.send_room_bytes = room;
        }
    }

    /// Returns the first of `count` unused sequence numbers that follow each other, wrapping.
    pub(crate) fn next_sequence(&mut self, count: usize) -> u32 {
        let first = self.sequence;
        // Only the low 32 bits matter in a number that wraps.
        self.sequence = first.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    pub(crate) fn send(&self, datagram: &[u8]) -> Result<(), Errno> {
        retry_on_intr(|| rustix::net::send(&self.fd, datagram, SendFlags::empty())).map(drop)
    }

    /// Receives a datagram that is already queued, of any length, into the buffer; returns its length.
    ///
    /// Its length is looked at first, so that the buffer can grow and nothing is cut. EAGAIN if nothing is queued.
    pub(crate) fn receive(&mut self) -> Result<usize, Errno> {
        let length = self.peek_length()?;
        self.reserve(length.max(DUMP_PART_BYTES));
        // Only another reader, who took the datagram that was looked at, could make it another length.
        self.receive_now().map(|length| length.min(self.buffer.len()))
    }

    /// Receives a part of an answer that can be asked for again, by one system call instead of two; returns its length.
    ///
    /// `None` if it did not fit and is lost: next time it will.
    pub(crate) fn receive_part(&mut self) -> Result<Option<usize>, Errno> {
        self.reserve(DUMP_PART_BYTES);
        let length = self.receive_now()?;
        let fits = length <= self.buffer.len();
        self.reserve(length);
        Ok(fits.then_some(length))
    }

    /// Receives a queued acknowledgement by one system call instead of two; returns its length.
    ///
    /// A datagram that does not fit is no acknowledgement; it is dropped, and its length is 0.
    pub(crate) fn receive_ack(&mut self) -> Result<usize, Errno> {
        self.reserve(ACK_BYTES);
        let length = self.receive_now()?;
        Ok(if length > self.buffer.len() { 0 } else { length })
    }

    /// The length of the next queued datagram. EAGAIN if there is none.
    pub(crate) fn peek_length(&self) -> Result<usize, Errno> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK | RecvFlags::TRUNC;
        let mut nothing = [0; 0];
        retry_on_intr(|| rustix::net::recv(&self.fd, &mut nothing, flags)).map(|(_, length)| length)
    }

    /// Throws away what is queued, so that the next request has the whole receive buffer for its answers.
    pub(crate) fn drain(&mut self) {
        self.reserve(ACK_BYTES);
        loop {
            match self.receive_now() {
                Err(Errno::AGAIN) => return,
                // ENOBUFS, once after each overflow; reading it clears it.
                Ok(_) | Err(Errno::NOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    pub(crate) fn reserve(&mut self, length_bytes: usize) {
        if self.buffer.len() < length_bytes {
            self.buffer.resize(length_bytes, 0);
        }
    }

    /// Receives a queued datagram; returns its length, which is more than the buffer's if it was cut.
    fn receive_now(&mut self) -> Result<usize, Errno> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let buffer = &mut self.buffer[..];
        retry_on_intr(|| rustix::net::recv(&self.fd, &mut *buffer, flags)).map(|(_, length)| length)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Starts the numbers of a socket at the clock, so that what a former owner left in the queue answers none of ours.
fn first_sequence() -> u32 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let [_, _, _, _, low @ ..] =
        now.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec).to_be_bytes();
    u32::from_be_bytes(low)
}
