//! Where a lab lives: the namespaces in which its pins are mounted and its namespaces made.
//!
//! Either this process's own, or those of a keeper: then a worker process that has joined them does
//! here what only a process inside can do, and hands out sockets and namespaces as descriptors.
//! Whoever holds such a socket talks to the kernel without the worker.

mod kept;
mod own;
mod serve;
mod wire;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vnet_model::nft::Table;
use vnet_model::{End, Mark, NsName};
use vnet_netlink::Socket;

use crate::error::Error;
use crate::gone;
use crate::hub::{self, Hub, HubOptions};
use crate::nft::{Trial, Unusable};
use crate::pins::{self, Pins};
use crate::probe::{self, MissingKind};
use crate::process::Identity;
use crate::socket::{self, SocketKind};
use crate::sysctl::{self, Tried};
use crate::watch::{self, At, Watch};
use crate::wireguard::{self, Keys, PrivateKey};
use kept::Kept;
use own::Own;

pub use serve::serve;

/// A namespace to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNamespace {
    /// The name to pin it under.
    pub name: NsName,
    /// Whose it is.
    pub mark: Mark,
    /// Sysctls to be written before anything is in it.
    pub sysctls: Vec<(String, String)>,
    /// Whether its `lo` is set up.
    pub lo_up: bool,
}

/// A namespace that can be worked on without entering it.
#[derive(Debug)]
pub struct Opened {
    /// A route socket in it.
    pub socket: Socket,
    /// The namespace itself, to be named in messages.
    pub ns: OwnedFd,
}

/// What became of namespaces that were to be made.
#[derive(Debug, Default)]
pub struct Created {
    /// What was made, in the order in which it was asked for.
    pub made: Vec<Option<Opened>>,
    /// The first error, with the place of the namespace it is about; later ones may have been made.
    pub error: Option<(usize, Error)>,
}

/// What a pin turned out to be when it was opened.
#[derive(Debug)]
pub enum Entry {
    /// A network namespace.
    Namespace(Opened),
    /// A file of ours with no namespace on it.
    Stale(Mark),
    /// Neither.
    Foreign,
    /// There is nothing of that name.
    Gone,
}

/// A sysctl to be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SysctlAccess {
    /// Reads the value.
    Read(String),
    /// Writes the value.
    Write(String, String),
    /// Lists the tables of nftables and iptables, joined by `, `: no sysctl, but asked as one,
    /// since it too takes a process inside the namespace.
    Filters,
    /// Reads counters of what was lost ([`crate::counters`]), a line each: the name, a tab, the value.
    Counters,
    /// Lists all that can be read and written under `net.`, a line each: the name, a tab, the value.
    List,
    /// Reads which processors take what comes in at an interface: in sysfs, which shows the namespace
    /// of who mounts it.
    ReadRps(vnet_model::IfName),
    /// Lists them for all interfaces, a line each: the name, a space, and those processors, or `?`
    /// where its queues differ.
    ListRps,
    /// Sets them.
    WriteRps(vnet_model::IfName, vnet_model::Cpus),
    /// Makes a TUN or TAP device that lasts, and answers its index: as little a sysctl.
    MakeTun {
        /// Its name.
        name: vnet_model::IfName,
        /// What it is (`IFF_…`, linux/if_tun.h).
        flags: u16,
        /// The user who may open it.
        owner: Option<u32>,
        /// The group whose members may.
        group: Option<u32>,
    },
}

/// What to do with the sysctls of one namespace.
pub type SysctlRequest = (NsName, Vec<SysctlAccess>);

/// A place with a folder of pinned namespaces.
#[derive(Debug)]
pub struct Realm {
    place: Place,
    watch: Option<Arc<dyn Watch>>,
    keys: Option<Arc<dyn Keys>>,
}

#[derive(Debug)]
enum Place {
    Own(Own),
    Kept(Kept),
}

impl Realm {
    /// Takes the mount and user namespace of the calling process. CAP_SYS_ADMIN is needed for all
    /// that follows.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn own() -> Result<Self, Error> {
        Ok(Self { place: Place::Own(Own::start()?), watch: None, keys: None })
    }

    /// Takes the namespaces of a keeper, by way of a worker process in them that runs [`serve()`] on
    /// the other end of this socket. This process needs no privileges, and may have threads; it
    /// must be of the user who started the keeper.
    #[must_use]
    pub fn kept(worker: std::os::unix::net::UnixStream) -> Self {
        Self { place: Place::Kept(Kept::new(worker)), watch: None, keys: None }
    }

    /// Lets somebody look on. What a keeper's worker does for this realm is not seen.
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Says who keeps the private keys of WireGuard devices; without anybody each device gets a new one
    /// whenever it is made.
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn Keys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Returns the private key of a WireGuard device.
    pub(crate) fn private_key(&self, end: &End) -> Result<PrivateKey, Error> {
        let failed = |errno| Error::system("make a key for", end.to_string())(errno);
        match &self.keys {
            None => wireguard::random_key().map_err(failed),
            Some(keys) => keys.private_key(end).map_err(|error| {
                failed(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
            }),
        }
    }

    pub(crate) fn watch(&self) -> Option<&dyn Watch> {
        self.watch.as_deref()
    }

    /// Comes to an instant that this realm's user has named.
    ///
    /// # Errors
    /// What whoever looks on wants it to fail with.
    pub fn say(&self, what: &'static str) -> Result<(), Error> {
        watch::come(self.watch(), At::Said(what)).map_err(Error::system("get to", what))
    }

    /// Returns how many batches of work can go on at the same time.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.place {
            Place::Own(own) => own.width(),
            Place::Kept(_) => 1,
        }
    }

    /// Lists the names of all pins, sorted.
    ///
    /// # Errors
    /// When the folder can't be read; that there is none is no error.
    pub fn names(&self) -> Result<Vec<NsName>, Error> {
        match &self.place {
            Place::Own(_) => Pins::open()?.map_or_else(|| Ok(Vec::new()), |pins| pins.names()),
            Place::Kept(kept) => kept.names(),
        }
    }

    /// Makes namespaces, marks and pins them, and the folder of pins where needed.
    #[must_use]
    pub fn create(&self, new: &[NewNamespace]) -> Created {
        match &self.place {
            Place::Own(own) => own.create(new, self.watch.as_ref()),
            Place::Kept(kept) => kept.create(new),
        }
    }

    /// Opens namespaces by name, on the thread with the given number.
    ///
    /// # Errors
    /// When one can't be entered; one that is not there is an [`Entry`].
    pub fn open(&self, thread: usize, names: &[NsName]) -> Result<Vec<Entry>, Error> {
        match &self.place {
            Place::Own(own) => own.open(thread, names),
            Place::Kept(kept) => kept.open(names),
        }
    }

    /// Unpins namespaces; those that are not there are passed over.
    ///
    /// # Errors
    /// Returns one error for each that could not be removed.
    pub fn remove(&self, names: &[NsName]) -> Result<(), Vec<(NsName, Error)>> {
        match &self.place {
            Place::Own(_) => pins::remove_all(names, self.watch()),
            Place::Kept(kept) => kept.remove(names),
        }
    }

    /// Reads and writes sysctls in namespaces, on the thread with the given number.
    ///
    /// Each answer stands where its request stands; a write answers `None`.
    ///
    /// # Errors
    /// The first that failed; what came before it is done.
    pub fn sysctls(
        &self,
        thread: usize,
        requests: Vec<SysctlRequest>,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        match &self.place {
            Place::Own(own) => own.sysctls(thread, requests),
            Place::Kept(kept) => kept.sysctls(requests),
        }
    }

    /// Returns what tells these namespaces from others; those that are not there are left out.
    ///
    /// # Errors
    /// When the worker can't be asked.
    pub fn identities(&self, names: &[NsName]) -> Result<BTreeMap<NsName, Identity>, Error> {
        match &self.place {
            Place::Own(_) => Ok(pins::identities(names)),
            Place::Kept(kept) => kept.identities(names),
        }
    }

    /// Opens the namespace of this name, without entering it.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none, [`Error::NotANamespace`] for another file.
    pub fn descriptor(&self, name: &NsName) -> Result<OwnedFd, Error> {
        match self.open(0, std::slice::from_ref(name))?.pop() {
            Some(Entry::Namespace(opened)) => Ok(opened.ns),
            Some(Entry::Gone) | None => Err(Error::Gone { ns: name.clone() }),
            Some(_) => Err(Error::NotANamespace { path: pins::path(name) }),
        }
    }

    /// Writes sysctls by name and value in a new namespace that is nobody's and goes at once, and
    /// tells what became of each. It has no interface but `lo`.
    ///
    /// # Errors
    /// When no namespace can be made.
    pub fn try_sysctls(&self, pairs: Vec<(String, String)>) -> Result<Vec<Tried>, Error> {
        match &self.place {
            Place::Own(own) => own.thread(0).run(move |walker| {
                let made = walker.enter_new();
                made.map_err(Error::system("make", "a namespace to try out sysctls in"))?;
                Ok(sysctl::try_out(&pairs))
            }),
            Place::Kept(kept) => kept.try_sysctls(pairs),
        }
    }

    /// Lists the sysctls of a new namespace, which is nobody's and goes at once: what they are where
    /// nobody says anything.
    ///
    /// # Errors
    /// When no namespace can be made.
    pub fn born_sysctls(&self) -> Result<BTreeMap<String, String>, Error> {
        match &self.place {
            Place::Own(own) => own.thread(0).run(move |walker| {
                let made = walker.enter_new();
                made.map_err(Error::system("make", "a namespace to compare sysctls with"))?;
                Ok(sysctl::list())
            }),
            Place::Kept(kept) => kept.born_sysctls(),
        }
    }

    /// Lists the sysctls of a namespace.
    ///
    /// # Errors
    /// When it can't be entered.
    pub fn sysctls_of(&self, name: &NsName) -> Result<BTreeMap<String, String>, Error> {
        let answers = self.sysctls(0, vec![(name.clone(), vec![SysctlAccess::List])])?;
        let list = answers.into_iter().flatten().flatten().next().unwrap_or_default();
        let pairs = list.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Finds the kinds of interfaces that the kernel lacks, and loads the modules of those it has.
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn missing_kinds(&self, kinds: &[&str]) -> Result<Vec<MissingKind>, Error> {
        match &self.place {
            Place::Own(_) => probe::missing_kinds(kinds),
            Place::Kept(kept) => kept.missing_kinds(kinds),
        }
    }

    /// Waits until the kernel has removed all namespaces that were unpinned and left by all
    /// processes before this call.
    ///
    /// # Errors
    /// [`Error::StillThere`] after `timeout`.
    pub fn wait_until_gone(&self, timeout: Duration) -> Result<(), Error> {
        match &self.place {
            Place::Own(own) => own.thread(0).run(move |walker| gone::wait(walker, timeout)),
            Place::Kept(kept) => kept.wait_until_gone(timeout),
        }
    }

    /// Makes a place at which the events of many namespaces are heard.
    ///
    /// # Errors
    /// When no namespace or socket can be made; EMFILE at the limit
    /// `fs.inotify.max_user_instances` (`inotify(7)`).
    pub fn hub(&self, options: HubOptions) -> Result<Hub, Error> {
        let parts = match &self.place {
            Place::Own(own) => own.thread(0).run(move |walker| hub::make(walker, options))?,
            Place::Kept(kept) => kept.hub(options)?,
        };
        Ok(Hub::new(parts))
    }

    /// Opens a netfilter socket in each of these namespaces, on the thread with the given number.
    /// What is asked and changed by it takes CAP_NET_ADMIN in the user namespace that owns each.
    ///
    /// # Errors
    /// When the folder of pins can't be read; for each namespace, when it can't be entered.
    pub fn netfilter_sockets(
        &self,
        thread: usize,
        names: &[NsName],
    ) -> Result<Vec<Result<Socket, Error>>, Error> {
        let opened = self.sockets(thread, names, SocketKind::Netfilter)?.into_iter();
        Ok(opened.map(|socket| socket::from_fd(socket?)).collect())
    }

    /// Finds the first part of nf_tables that the kernel lacks for one of these tables, by making them
    /// in a network namespace that goes at once; loads the modules of what it has. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When no namespace can be made.
    pub fn missing_for_tables(&self, tables: &[Table]) -> Result<Option<MissingKind>, Error> {
        match &self.place {
            Place::Own(own) => own.missing_for_tables(tables),
            Place::Kept(kept) => kept.missing_for_tables(tables),
        }
    }

    /// Tries out texts of nft, each in a network namespace of its own that goes at once, and returns
    /// the tables that come of them. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When no namespace can be made; what is wrong with a text is part of the answer.
    pub fn try_nft(&self, trials: &[Trial]) -> Result<Vec<Result<Vec<Table>, Unusable>>, Error> {
        match &self.place {
            Place::Own(own) => own.try_nft(trials),
            Place::Kept(kept) => kept.try_nft(trials),
        }
    }

    /// Has the program `nft` read a text in a namespace. CAP_NET_ADMIN there.
    ///
    /// # Errors
    /// When it can't be entered; that the program says no is part of the answer.
    pub fn run_nft(&self, name: &NsName, text: &str) -> Result<Result<(), Unusable>, Error> {
        match &self.place {
            Place::Own(own) => own.run_nft(name, text),
            Place::Kept(kept) => kept.run_nft(name, text),
        }
    }

    /// Opens a socket in each of these namespaces, on the thread with the given number.
    ///
    /// A socket stays bound to its namespace, whoever uses it. It does not block.
    ///
    /// # Errors
    /// When the folder of pins can't be read; for each namespace, when it can't be entered or lacks
    /// the protocol.
    pub fn sockets(
        &self,
        thread: usize,
        names: &[NsName],
        kind: SocketKind,
    ) -> Result<Vec<Result<OwnedFd, Error>>, Error> {
        match &self.place {
            Place::Own(own) => {
                let names = names.to_vec();
                own.thread(thread).run(move |walker| socket::open_each(walker, &names, kind))
            }
            Place::Kept(kept) => kept.sockets(names, kind),
        }
    }
}
