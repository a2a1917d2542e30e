//! The realm of a keeper, from inside: the worker.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vnet_netlink::Socket;

use super::wire::{Answer, Found, Request, receive, send};
use super::{Created, Entry, Opened, Realm};
use crate::error::Error;
use crate::hub::Parts;

/// Serves a [`Realm::kept`] from a process that has joined the keeper's namespaces, until the
/// socket's other end is closed. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// # Errors
/// When the line breaks; what a request fails with is its answer.
pub fn serve(socket: &UnixStream) -> Result<(), Error> {
    let realm = Realm::own()?;
    while let Some((request, _)) = receive::<Request>(socket)? {
        let mut handed = Vec::new();
        let answer =
            act(&realm, request, &mut handed).unwrap_or_else(|error| Answer::Failed(error.into()));
        let handed: Vec<BorrowedFd<'_>> = handed.iter().map(AsFd::as_fd).collect();
        send(socket, &answer, &handed)?;
    }
    Ok(())
}

fn act(realm: &Realm, request: Request, handed: &mut Vec<OwnedFd>) -> Result<Answer, Error> {
    let mut hand = |opened: Opened| handed.extend([opened.socket.into_fd(), opened.ns]);
    Ok(match request {
        Request::Names => Answer::Names(realm.names()?),
        Request::Create(new) => {
            let Created { made, error } = realm.create(&new);
            let which = made.iter().map(Option::is_some).collect();
            made.into_iter().flatten().for_each(hand);
            Answer::Created(which, error.map(|(at, error)| (at, error.into())))
        }
        Request::Open(names) => {
            let tell = |entry| match entry {
                Entry::Namespace(opened) => {
                    hand(opened);
                    Found::Namespace
                }
                Entry::Stale(mark) => Found::Stale(mark),
                Entry::Foreign => Found::Foreign,
                Entry::Gone => Found::Gone,
            };
            Answer::Opened(realm.open(0, &names)?.into_iter().map(tell).collect())
        }
        Request::Remove(names) => {
            let errors = realm.remove(&names).err().unwrap_or_default();
            Answer::Removed(errors.into_iter().map(|(name, error)| (name, error.into())).collect())
        }
        Request::Sysctls(requests) => Answer::Sysctls(realm.sysctls(0, requests)?),
        Request::Identities(names) => Answer::Identities(realm.identities(&names)?),
        Request::TrySysctls(pairs) => Answer::TriedSysctls(realm.try_sysctls(pairs)?),
        Request::BornSysctls => Answer::BornSysctls(realm.born_sysctls()?),
        Request::MissingKinds(kinds) => {
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            Answer::MissingKinds(realm.missing_kinds(&kinds)?)
        }
        Request::MissingForTables(tables) => {
            Answer::MissingForTables(realm.missing_for_tables(&tables)?)
        }
        Request::TryNft(trials) => Answer::TriedNft(realm.try_nft(&trials)?),
        Request::RunNft(name, text) => Answer::RanNft(realm.run_nft(&name, &text)?),
        Request::Sockets(names, kind) => hand_each(realm.sockets(0, &names, kind)?, handed),
        Request::Hub(options) => {
            let Parts { commands, route, netfilter, pins } = realm.hub(options)?.into_parts();
            let answer = Answer::Hub { netfilter: netfilter.is_some(), pins: pins.is_some() };
            handed.extend([commands.into_fd(), route.into_fd()]);
            handed.extend(netfilter.map(Socket::into_fd).into_iter().chain(pins));
            answer
        }
        Request::WaitUntilGone { seconds } => {
            realm.wait_until_gone(Duration::from_secs(seconds))?;
            Answer::Gone
        }
    })
}

/// Hands over sockets, and tells why there is none for the others.
fn hand_each(sockets: Vec<Result<OwnedFd, Error>>, handed: &mut Vec<OwnedFd>) -> Answer {
    let tell = |socket| match socket {
        Ok(socket) => {
            handed.push(socket);
            None
        }
        Err(error) => Some(Error::into(error)),
    };
    Answer::Sockets(sockets.into_iter().map(tell).collect())
}
