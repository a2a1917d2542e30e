use rustix::io::Errno;

use crate::attr::{Malformed, TooLong};
use crate::errno::{errno_name, errno_words};
use crate::refusal::Refusal;

/// What can go wrong with a netlink socket.
///
/// That the kernel refuses a message of a batch is not among it: see [`Outcome`](crate::Outcome).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a [`dump`](crate::Socket::dump) or a [`get`](crate::Socket::get).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A system call failed.
    #[error("cannot {operation}: {} ({})", errno_words(*errno), errno_name(*errno))]
    System {
        /// What was tried: `open a netlink socket`.
        operation: &'static str,
        /// Why it failed.
        errno: Errno,
    },
    /// A file descriptor is not a socket of a protocol that this crate knows.
    #[error("not a netlink socket of a known protocol")]
    NotNetlink,
    /// Sending a part of a batch failed. The messages before `first` are done or were refused; the rest is not sent.
    #[error("cannot send netlink messages: {} ({})", errno_words(*errno), errno_name(*errno))]
    Send {
        /// The index of the first message that was not sent.
        first: usize,
        /// Why it failed. ECONNREFUSED: the kernel lacks the protocol.
        errno: Errno,
    },
    /// Answers are missing or were dropped for want of room. The messages before `sent` may be done or not: ask the kernel.
    #[error("answers of the kernel to {sent} netlink messages are lost")]
    AnswersLost {
        /// How many messages of the batch were sent.
        sent: usize,
    },
    /// Events came faster than they were read, and the kernel dropped some: read the state anew.
    #[error("netlink events are lost")]
    EventsLost,
    /// What is dumped changed during each of the attempts.
    #[error("state of the kernel changed during each of {attempts} dumps")]
    DumpInterrupted {
        /// How often the dump was tried.
        attempts: u32,
    },
    /// A message is longer than the send buffer may be.
    #[error("message {index} is {length_bytes} bytes long, the send buffer takes {limit_bytes}")]
    MessageTooLong {
        /// Its index in the batch; the first one's in a transaction, which is sent whole.
        index: usize,
        /// Its length in bytes.
        length_bytes: usize,
        /// What the send buffer takes, as far as this user may enlarge it (sysctl net.core.wmem_max).
        limit_bytes: usize,
    },
    /// An attribute of a batch is longer than its length field can say. Nothing was sent.
    #[error("message {index}: {too_long}")]
    AttributeTooLong {
        /// The index of its message in the batch.
        index: usize,
        /// The attribute.
        #[source]
        too_long: TooLong,
    },
    /// The kernel's answer is not a netlink message.
    #[error("malformed netlink message in {available_bytes} bytes")]
    Malformed {
        /// How many bytes there were.
        available_bytes: usize,
    },
    /// The kernel's answer has malformed attributes.
    #[error("malformed netlink message: {0}")]
    Attribute(#[from] Malformed),
    /// The codec does not understand the kernel's answer.
    #[error("cannot decode netlink message of type {kind}: {source}")]
    Decode {
        /// The type of the message.
        kind: u16,
        /// What the codec says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Returns the errno behind the error, if there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(refusal) => Some(refusal.errno),
            Self::System { errno, .. } | Self::Send { errno, .. } => Some(*errno),
            Self::AnswersLost { .. } | Self::EventsLost => Some(Errno::NOBUFS),
            _ => None,
        }
    }

    pub(crate) fn system(operation: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System { operation, errno }
    }
}

impl From<TooLong> for Error {
    fn from(too_long: TooLong) -> Self {
        Self::AttributeTooLong { index: 0, too_long }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = error.errno().map_or(std::io::ErrorKind::Other, |errno| {
            std::io::Error::from_raw_os_error(errno.raw_os_error()).kind()
        });
        Self::new(kind, error)
    }
}
