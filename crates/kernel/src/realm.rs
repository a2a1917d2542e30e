//! Where a lab lives: the namespaces in which its pins are mounted and its namespaces made.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vnet_model::{Mark, NsName};
use vnet_netlink::{Batch, Protocol, Socket};

use crate::error::Error;
use crate::execute::message;
use crate::pins::{PinKind, Pins};
use crate::process::Identity;
use crate::sysctl;
use crate::thread::{NsThread, Pending, Walker};

/// How many threads enter namespaces: namespaces are made 1.3 times as fast by two, and no faster
/// by more, since the kernel serves them one by one.
const THREADS: usize = 2;

/// A namespace to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SysctlAccess {
    /// Reads the value.
    Read(String),
    /// Writes the value.
    Write(String, String),
}

/// A place with a folder of pinned namespaces, and the threads that enter them.
#[derive(Debug)]
pub struct Realm {
    threads: Vec<NsThread>,
}

impl Realm {
    /// Takes the mount and user namespace of the calling process.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn own() -> Result<Self, Error> {
        let threads = (0..THREADS).map(|_| NsThread::start()).collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    /// Returns how many batches of work can go on at the same time.
    #[must_use]
    pub fn width(&self) -> usize {
        self.threads.len()
    }

    /// Lists the names of all pins, sorted.
    ///
    /// # Errors
    /// When the folder can't be read; that there is none is no error.
    pub fn names(&self) -> Result<Vec<NsName>, Error> {
        Pins::open()?.map_or_else(|| Ok(Vec::new()), |pins| pins.names())
    }

    /// Makes the folder of pins where needed. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When `/run` is read-only, or mounts are forbidden.
    pub fn prepare(&self) -> Result<(), Error> {
        Pins::open_or_make().map(drop)
    }

    /// Makes namespaces, marks and pins them. CAP_SYS_ADMIN.
    ///
    /// They are divided among the threads. Returns what was made, in the given order, and the first
    /// error with the index of the namespace it is about; namespaces after that one may have been
    /// made too.
    #[must_use]
    pub fn create(&self, new: &[NewNamespace]) -> (Vec<Option<Opened>>, Option<(usize, Error)>) {
        let share = new.len().div_ceil(self.threads.len()).max(1);
        let pending: Vec<_> = new
            .chunks(share)
            .zip(&self.threads)
            .map(|(part, thread)| {
                let part = part.to_vec();
                thread.begin(move |walker| create_here(walker, &part))
            })
            .collect();
        let mut made = Vec::with_capacity(new.len());
        let mut first_error = None;
        for (index, results) in pending.into_iter().map(Pending::wait).enumerate() {
            for result in results {
                let at = made.len();
                made.push(result.map_err(|e| first_error.get_or_insert((at, e)).0).ok());
            }
            // After an error the rest of a share was not tried.
            made.resize_with(((index + 1) * share).min(new.len()), || None);
        }
        (made, first_error)
    }

    /// Opens namespaces by name, on the thread with the given number. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When one can't be entered; one that is not there is an [`Entry`].
    pub fn open(&self, thread: usize, names: &[NsName]) -> Result<Vec<Entry>, Error> {
        let names = names.to_vec();
        self.thread(thread).run(move |walker| {
            let Some(pins) = Pins::open()? else {
                return Ok(names.iter().map(|_| Entry::Gone).collect());
            };
            names.iter().map(|name| open_here(walker, &pins, name)).collect()
        })
    }

    /// Unpins namespaces; those that are not there are passed over. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// Returns one error for each that could not be removed.
    pub fn remove(&self, names: &[NsName]) -> Result<(), Vec<(NsName, Error)>> {
        let failed = |error| names.first().map(|name| (name.clone(), error)).into_iter().collect();
        let pins = match Pins::open() {
            Ok(Some(pins)) => pins,
            Ok(None) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let errors: Vec<_> = names
            .iter()
            .filter_map(|name| pins.remove(name).err().map(|error| (name.clone(), error)))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
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
        requests: Vec<(NsName, Vec<SysctlAccess>)>,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.thread(thread).run(move |walker| {
            let Some(pins) = Pins::open()? else { return Ok(Vec::new()) };
            let mut answers = Vec::with_capacity(requests.len());
            for (name, accesses) in &requests {
                enter(walker, &pins, name)?;
                answers.push(accesses.iter().map(access).collect::<Result<_, _>>()?);
            }
            Ok(answers)
        })
    }

    /// Returns what tells the namespace of this name from others; `None` where there is none.
    #[must_use]
    pub fn identity(&self, name: &NsName) -> Option<Identity> {
        let stat = rustix::fs::stat(crate::pins::path(name)).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    /// Opens the namespace of this name, without entering it.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none, [`Error::NotANamespace`] for another file.
    pub fn descriptor(&self, name: &NsName) -> Result<OwnedFd, Error> {
        let pins = Pins::open()?.ok_or_else(|| Error::Gone { ns: name.clone() })?;
        pins.open_namespace(name)
    }

    /// Runs a job in the namespace of this name, on a thread of its own.
    ///
    /// # Errors
    /// When it can't be entered.
    pub fn within<T: Send + 'static>(
        &self,
        name: &NsName,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let name = name.clone();
        self.thread(0).run(move |walker| {
            let pins = Pins::open()?.ok_or_else(|| Error::Gone { ns: name.clone() })?;
            enter(walker, &pins, &name)?;
            Ok(job())
        })
    }

    /// Runs a job on one of the threads.
    pub(crate) fn thread(&self, number: usize) -> &NsThread {
        &self.threads[number % self.threads.len()]
    }
}

fn enter(walker: &Walker, pins: &Pins, name: &NsName) -> Result<(), Error> {
    let ns = pins.open_namespace(name)?;
    walker.enter(&ns).map_err(Error::system("enter", format!("namespace {name}")))
}

fn access(access: &SysctlAccess) -> Result<Option<String>, Error> {
    match access {
        SysctlAccess::Read(key) => sysctl::read(key),
        SysctlAccess::Write(key, value) => sysctl::write(key, value).map(|()| None),
    }
}

fn open_here(walker: &Walker, pins: &Pins, name: &NsName) -> Result<Entry, Error> {
    let Some(pin) = pins.get(name)? else { return Ok(Entry::Gone) };
    let ns = match pin.kind {
        PinKind::Namespace(ns) => ns,
        PinKind::Stale(mark) => return Ok(Entry::Stale(mark)),
        PinKind::Foreign => return Ok(Entry::Foreign),
    };
    match walker.enter(&ns) {
        Ok(()) => Ok(Entry::Namespace(Opened { socket: open_socket(name)?, ns })),
        // A namespace, but not a network namespace; or one of another user's.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => Ok(Entry::Foreign),
        Err(errno) => Err(Error::system("enter", format!("namespace {name}"))(errno)),
    }
}

fn open_socket(name: &NsName) -> Result<Socket, Error> {
    let failed = |source| Error::Netlink { doing: "open a socket", ns: name.clone(), source };
    Socket::open(Protocol::Route).map_err(failed)
}

/// Makes namespaces one after the other and stops at the first error.
fn create_here(walker: &Walker, new: &[NewNamespace]) -> Vec<Result<Opened, Error>> {
    let pins = match Pins::open_or_make() {
        Ok(pins) => Arc::new(pins),
        Err(error) => return vec![Err(error)],
    };
    let mut batch = Batch::new();
    let mut made = Vec::with_capacity(new.len());
    for new in new {
        let result = create_one(walker, &pins, new, &mut batch);
        let failed = result.is_err();
        made.push(result);
        if failed {
            break;
        }
    }
    made
}

/// Makes one namespace. The mark is on its `lo` before it has a name.
fn create_one(
    walker: &Walker,
    pins: &Pins,
    new: &NewNamespace,
    batch: &mut Batch,
) -> Result<Opened, Error> {
    walker.enter_new().map_err(Error::system("make", format!("namespace {}", new.name)))?;
    for (key, value) in &new.sysctls {
        sysctl::write(key, value)?;
    }
    let mut socket = open_socket(&new.name)?;
    let failed = |source| Error::Netlink { doing: "mark lo", ns: new.name.clone(), source };
    batch.clear();
    message::mark_lo(batch, &new.mark, new.lo_up);
    let outcome = socket.submit(batch).map_err(failed)?;
    outcome.into_result().map_err(|(_, refusal)| failed(refusal.into()))?;
    pins.pin_own_namespace(&new.name, &new.mark)?;
    Ok(Opened { socket, ns: crate::thread::open_own_namespace()? })
}
