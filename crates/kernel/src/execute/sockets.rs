//! The open namespaces of an execution: as many as the limit of descriptors allows.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use vnet_model::NsName;
use vnet_netlink::Socket;

use crate::error::Error;
use crate::realm::{Entry, Opened, Realm};

/// Descriptors left to the rest of the process.
const SPARE_DESCRIPTORS: u64 = 128;

/// How many netfilter sockets are opened at a time, out of the descriptors that are spared.
const NETFILTER_AHEAD: usize = 32;

/// No more than this many namespaces are held open: a socket costs kernel memory too.
const OPEN_MAX: u64 = 4096;

/// Namespaces that are open, the longest open one closed first when there are too many.
pub(super) struct Sockets<'a> {
    realm: &'a Realm,
    open: BTreeMap<NsName, Opened>,
    order: VecDeque<NsName>,
    limit: usize,
    /// Netfilter sockets, opened some ahead of their use.
    netfilter: BTreeMap<NsName, Socket>,
}

impl<'a> Sockets<'a> {
    pub(super) fn new(realm: &'a Realm) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(1024);
        // Two for each: the socket and the namespace.
        let limit = (descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2).clamp(8, OPEN_MAX);
        let limit = usize::try_from(limit).unwrap_or(8);
        Self {
            realm,
            open: BTreeMap::new(),
            order: VecDeque::new(),
            limit,
            netfilter: BTreeMap::new(),
        }
    }

    /// Returns an open namespace, opening it where needed.
    pub(super) fn get(&mut self, name: &NsName) -> Result<&mut Opened, Error> {
        if !self.open.contains_key(name) {
            match self.realm.open(0, std::slice::from_ref(name))?.pop() {
                Some(Entry::Namespace(opened)) => self.insert(name.clone(), opened),
                Some(Entry::Stale(_) | Entry::Foreign) => {
                    return Err(Error::NotANamespace { path: crate::pins::path(name) });
                }
                Some(Entry::Gone) | None => {}
            }
        }
        self.open.get_mut(name).ok_or_else(|| Error::Gone { ns: name.clone() })
    }

    /// Returns a namespace to be named in messages, however long it stays open here.
    pub(super) fn keep(&mut self, name: &NsName) -> Result<OwnedFd, Error> {
        self.get(name)?.ns.try_clone().map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::MFILE);
            Error::system("keep", name.to_string())(errno)
        })
    }

    /// Takes the netfilter socket of a namespace. Where there is none yet, those of the namespaces
    /// that come `next` are opened along with it: each visit of a namespace's thread takes time.
    pub(super) fn netfilter<'n>(
        &mut self,
        name: &NsName,
        next: impl Iterator<Item = &'n NsName>,
    ) -> Result<Socket, Error> {
        if let Some(socket) = self.netfilter.remove(name) {
            return Ok(socket);
        }
        self.netfilter.clear();
        let mut names = vec![name.clone()];
        for next in next {
            if names.len() == NETFILTER_AHEAD {
                break;
            }
            if !names.contains(next) {
                names.push(next.clone());
            }
        }
        let mut sockets = self.realm.netfilter_sockets(0, &names)?.into_iter();
        let first = sockets.next().unwrap_or_else(|| Err(Error::Gone { ns: name.clone() }));
        // One that can't be opened ahead is asked for again when its time comes: it may not exist yet.
        let ahead = names.into_iter().skip(1).zip(sockets);
        self.netfilter.extend(ahead.filter_map(|(name, socket)| Some((name, socket.ok()?))));
        first
    }

    /// Closes namespaces until this many more can be opened at once, and says how many can.
    pub(super) fn make_room(&mut self, wanted: usize) -> usize {
        let wanted = wanted.min(self.limit);
        self.close_down_to(self.limit - wanted);
        wanted
    }

    fn close_down_to(&mut self, count: usize) {
        while self.open.len() > count {
            let Some(oldest) = self.order.pop_front() else { break };
            self.open.remove(&oldest);
        }
    }

    pub(super) fn insert(&mut self, name: NsName, opened: Opened) {
        self.close_down_to(self.limit - 1);
        self.order.push_back(name.clone());
        self.open.insert(name, opened);
    }

    pub(super) fn remove(&mut self, name: &NsName) {
        self.netfilter.remove(name);
        self.open.remove(name);
    }
}
