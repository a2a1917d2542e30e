//! What a realm and the worker that serves it say to each other: a length, JSON, and descriptors.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vnet_model::nft::Table;
use vnet_model::{Mark, NsName};

use super::{NewNamespace, SysctlRequest};
use crate::error::Error;
use crate::hub::HubOptions;
use crate::nft::{Trial, Unusable};
use crate::probe::MissingKind;
use crate::process::Identity;
use crate::socket::SocketKind;
use crate::sysctl::Tried;

/// How many namespaces are handed over at a time: two descriptors each, and the kernel takes 253 in
/// one message (`SCM_MAX_FD`, include/net/scm.h).
pub(super) const NAMESPACES_MAX: usize = 64;

/// The longest message in bytes; a longer one is a mistake.
const LENGTH_MAX: u32 = 64 << 20;

/// What the worker is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Names,
    Create(Vec<NewNamespace>),
    Open(Vec<NsName>),
    Remove(Vec<NsName>),
    Sysctls(Vec<SysctlRequest>),
    Identities(Vec<NsName>),
    TrySysctls(Vec<(String, String)>),
    BornSysctls,
    MissingKinds(Vec<String>),
    Sockets(Vec<NsName>, SocketKind),
    MissingForTables(Vec<Table>),
    TryNft(Vec<Trial>),
    RunNft(NsName, String),
    WaitUntilGone { seconds: u64 },
    Hub(HubOptions),
}

/// What the worker answers; descriptors go along: two for each namespace, one for each socket,
/// and what a hub is made of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Names(Vec<NsName>),
    /// Which were made, and the first error.
    Created(Vec<bool>, Option<(usize, Failure)>),
    Opened(Vec<Found>),
    /// What could not be removed.
    Removed(Vec<(NsName, Failure)>),
    Sysctls(Vec<Vec<Option<String>>>),
    Identities(BTreeMap<NsName, Identity>),
    TriedSysctls(Vec<Tried>),
    BornSysctls(BTreeMap<String, String>),
    MissingKinds(Vec<MissingKind>),
    /// Why there is none, for each namespace without a descriptor.
    Sockets(Vec<Option<Failure>>),
    MissingForTables(Option<MissingKind>),
    TriedNft(Vec<Result<Vec<Table>, Unusable>>),
    RanNft(Result<(), Unusable>),
    Gone,
    /// Whether there is a socket for netfilter, and a descriptor for pins.
    Hub {
        netfilter: bool,
        pins: bool,
    },
    Failed(Failure),
}

/// What a pin is, as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Found {
    Namespace,
    Stale(Mark),
    Foreign,
    Gone,
}

/// An error, as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    text: String,
    errno: Option<i32>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { text: error.to_string(), errno: error.errno().map(Errno::raw_os_error) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let errno = failure.errno.map(Errno::from_raw_os_error);
        Self::Worker { text: failure.text, errno }
    }
}

/// Sends a message with its descriptors.
pub(super) fn send(
    socket: &UnixStream,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Error> {
    let body = serde_json::to_vec(message).map_err(|error| broken(&error))?;
    let length = u32::try_from(body.len()).map_err(|error| broken(&error))?.to_ne_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * NAMESPACES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    // The descriptors travel with the length, which is too short to be split.
    let parts = [IoSlice::new(&length)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)
        .map_err(|errno| broken(&errno))?;
    (&*socket).write_all(&body).map_err(|error| broken(&error))
}

/// Receives a message with its descriptors; `None` at the end.
pub(super) fn receive<T: DeserializeOwned>(
    socket: &UnixStream,
) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * NAMESPACES_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut length)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut control, flags)
    })
    .map_err(|errno| broken(&errno))?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let length = u32::from_ne_bytes(length);
    if received.bytes != 4 || length > LENGTH_MAX {
        return Err(broken(&"a message has a wrong length"));
    }
    let mut body = vec![0; length as usize];
    (&*socket).read_exact(&mut body).map_err(|error| broken(&error))?;
    let message = serde_json::from_slice(&body).map_err(|error| broken(&error))?;
    Ok(Some((message, descriptors)))
}

fn broken(why: &dyn std::fmt::Display) -> Error {
    Error::Keeper(format!("can't be talked to: {why}"))
}
