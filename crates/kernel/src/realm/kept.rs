//! The realm of a keeper, seen from outside.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vnet_model::NsName;
use vnet_model::nft::Table;
use vnet_netlink::Socket;

use super::wire::{Answer, Found, NAMESPACES_MAX, Request, receive, send};
use super::{Created, Entry, NewNamespace, Opened, SysctlRequest};
use crate::error::Error;
use crate::hub::{HubOptions, Parts};
use crate::nft::{Trial, Unusable};
use crate::probe::MissingKind;
use crate::process::Identity;
use crate::socket::{self, SocketKind};
use crate::sysctl::Tried;

/// The line to a worker.
#[derive(Debug)]
pub(super) struct Kept {
    worker: Mutex<UnixStream>,
}

impl Kept {
    pub(super) fn new(worker: UnixStream) -> Self {
        Self { worker: Mutex::new(worker) }
    }

    /// Asks the worker, and waits for its answer.
    fn ask(&self, request: &Request) -> Result<(Answer, Vec<OwnedFd>), Error> {
        // A panic elsewhere does not break the line: requests and answers go in turn.
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        send(&worker, request, &[])?;
        match receive(&worker)? {
            Some((Answer::Failed(failure), _)) => Err(failure.into()),
            Some(answer) => Ok(answer),
            None => Err(Error::Keeper("has lost its worker".into())),
        }
    }

    pub(super) fn names(&self) -> Result<Vec<NsName>, Error> {
        match self.ask(&Request::Names)?.0 {
            Answer::Names(names) => Ok(names),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn create(&self, new: &[NewNamespace]) -> Created {
        let mut created = Created::default();
        for part in new.chunks(NAMESPACES_MAX) {
            let begin = created.made.len();
            if let Err((at, error)) = self.create_part(part, &mut created.made) {
                created.error = Some((begin + at, error));
                break;
            }
        }
        created.made.resize_with(new.len(), || None);
        created
    }

    fn create_part(
        &self,
        part: &[NewNamespace],
        made: &mut Vec<Option<Opened>>,
    ) -> Result<(), (usize, Error)> {
        let whole = |error| (0, error);
        let (answer, descriptors) = self.ask(&Request::Create(part.to_vec())).map_err(whole)?;
        let Answer::Created(which, error) = answer else {
            return Err(whole(unexpected(&answer)));
        };
        let mut descriptors = descriptors.into_iter();
        for was_made in which {
            let opened = was_made.then(|| assemble(&mut descriptors)).transpose().map_err(whole)?;
            made.push(opened);
        }
        error.map_or(Ok(()), |(at, failure)| Err((at, failure.into())))
    }

    pub(super) fn open(&self, names: &[NsName]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(names.len());
        for part in names.chunks(NAMESPACES_MAX) {
            let (answer, descriptors) = self.ask(&Request::Open(part.to_vec()))?;
            let Answer::Opened(found) = answer else { return Err(unexpected(&answer)) };
            let mut descriptors = descriptors.into_iter();
            for found in found {
                entries.push(match found {
                    Found::Namespace => Entry::Namespace(assemble(&mut descriptors)?),
                    Found::Stale(mark) => Entry::Stale(mark),
                    Found::Foreign => Entry::Foreign,
                    Found::Gone => Entry::Gone,
                });
            }
        }
        Ok(entries)
    }

    pub(super) fn remove(&self, names: &[NsName]) -> Result<(), Vec<(NsName, Error)>> {
        let failed = |error| names.first().map(|name| (name.clone(), error)).into_iter().collect();
        match self.ask(&Request::Remove(names.to_vec())) {
            Ok((Answer::Removed(errors), _)) if errors.is_empty() => Ok(()),
            Ok((Answer::Removed(errors), _)) => {
                Err(errors.into_iter().map(|(name, failure)| (name, failure.into())).collect())
            }
            Ok((other, _)) => Err(failed(unexpected(&other))),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn sysctls(
        &self,
        requests: Vec<SysctlRequest>,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        match self.ask(&Request::Sysctls(requests))?.0 {
            Answer::Sysctls(answers) => Ok(answers),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn identities(&self, names: &[NsName]) -> Result<BTreeMap<NsName, Identity>, Error> {
        match self.ask(&Request::Identities(names.to_vec()))?.0 {
            Answer::Identities(identities) => Ok(identities),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn try_sysctls(&self, pairs: Vec<(String, String)>) -> Result<Vec<Tried>, Error> {
        match self.ask(&Request::TrySysctls(pairs))?.0 {
            Answer::TriedSysctls(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn born_sysctls(&self) -> Result<BTreeMap<String, String>, Error> {
        match self.ask(&Request::BornSysctls)?.0 {
            Answer::BornSysctls(sysctls) => Ok(sysctls),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn missing_kinds(&self, kinds: &[&str]) -> Result<Vec<MissingKind>, Error> {
        let kinds = kinds.iter().map(ToString::to_string).collect();
        match self.ask(&Request::MissingKinds(kinds))?.0 {
            Answer::MissingKinds(missing) => Ok(missing),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn missing_for_tables(
        &self,
        tables: &[Table],
    ) -> Result<Option<MissingKind>, Error> {
        match self.ask(&Request::MissingForTables(tables.to_vec()))?.0 {
            Answer::MissingForTables(missing) => Ok(missing),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn try_nft(
        &self,
        trials: &[Trial],
    ) -> Result<Vec<Result<Vec<Table>, Unusable>>, Error> {
        match self.ask(&Request::TryNft(trials.to_vec()))?.0 {
            Answer::TriedNft(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn run_nft(&self, name: &NsName, text: &str) -> Result<Result<(), Unusable>, Error> {
        match self.ask(&Request::RunNft(name.clone(), text.to_owned()))?.0 {
            Answer::RanNft(ran) => Ok(ran),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn sockets(
        &self,
        names: &[NsName],
        kind: SocketKind,
    ) -> Result<Vec<Result<OwnedFd, Error>>, Error> {
        let mut sockets = Vec::with_capacity(names.len());
        for part in names.chunks(NAMESPACES_MAX) {
            let (answer, descriptors) = self.ask(&Request::Sockets(part.to_vec(), kind))?;
            let Answer::Sockets(failures) = answer else { return Err(unexpected(&answer)) };
            let mut descriptors = descriptors.into_iter();
            sockets.extend(failures.into_iter().map(|failure| match failure {
                Some(failure) => Err(failure.into()),
                None => descriptors.next().ok_or_else(too_few),
            }));
        }
        Ok(sockets)
    }

    pub(super) fn hub(&self, options: HubOptions) -> Result<Parts, Error> {
        let (answer, descriptors) = self.ask(&Request::Hub(options))?;
        let Answer::Hub { netfilter, pins } = answer else { return Err(unexpected(&answer)) };
        let mut descriptors = descriptors.into_iter();
        let (commands, route) = (socket(&mut descriptors)?, socket(&mut descriptors)?);
        let netfilter = netfilter.then(|| socket(&mut descriptors)).transpose()?;
        let pins = pins.then(|| descriptors.next().ok_or_else(too_few)).transpose()?;
        Ok(Parts { commands, route, netfilter, pins })
    }

    pub(super) fn wait_until_gone(&self, timeout: Duration) -> Result<(), Error> {
        match self.ask(&Request::WaitUntilGone { seconds: timeout.as_secs() })?.0 {
            Answer::Gone => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

/// Takes the two descriptors of a namespace.
fn assemble(descriptors: &mut impl Iterator<Item = OwnedFd>) -> Result<Opened, Error> {
    let socket = socket(descriptors)?;
    let ns = descriptors.next().ok_or_else(too_few)?;
    Ok(Opened { socket, ns })
}

fn socket(descriptors: &mut impl Iterator<Item = OwnedFd>) -> Result<Socket, Error> {
    socket::from_fd(descriptors.next().ok_or_else(too_few)?)
}

fn too_few() -> Error {
    Error::Keeper("sent too few descriptors".into())
}

fn unexpected(answer: &Answer) -> Error {
    Error::Keeper(format!("answered something else: {answer:?}"))
}
