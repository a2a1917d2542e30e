//! The folder of pinned namespaces, `/run/netns`, as `ip netns` keeps it (`ip-netns(8)`).
//!
//! All work goes through one descriptor of the folder, and what a pin is is asked of the pin's own
//! descriptor: a name that changes its meaning half-way changes nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::thread::Builder;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::process::{Resource, getrlimit};
use vnet_model::{Mark, NsName};

use crate::error::Error;
use crate::process::Identity;
use crate::thread::Walker;
use crate::watch::{self, At, Watch};

/// Where namespaces are pinned by custom.
pub const NETNS_DIR: &str = "/run/netns";

/// The file system type of namespace files (`NSFS_MAGIC`, linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// The folder of pins.
#[derive(Debug)]
pub struct Pins {
    dir: OwnedFd,
}

/// An entry of the folder.
#[derive(Debug)]
pub struct Pin {
    /// The file's name.
    pub name: NsName,
    /// What the file is.
    pub kind: PinKind,
}

/// What a file in the folder of pins is.
#[derive(Debug)]
pub enum PinKind {
    /// A namespace, open.
    Namespace(OwnedFd),
    /// A file of ours with no namespace mounted on it: a creation was cut short.
    Stale(Mark),
    /// Something else.
    Foreign,
}

impl Pins {
    /// Opens the folder if there is one.
    ///
    /// # Errors
    /// When it can't be opened, or is no folder.
    pub fn open() -> Result<Option<Self>, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(NETNS_DIR, flags, Mode::empty()) {
            Ok(dir) => Ok(Some(Self { dir })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::system("open", NETNS_DIR)(errno)),
        }
    }

    /// Opens the folder, making it where needed: a shared bind mount of itself, as iproute2 makes
    /// it. Without that, a later `ip netns add` would copy the mounts of all pins. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When `/run` is read-only, or mounts are forbidden.
    pub fn open_or_make() -> Result<Self, Error> {
        match rustix::fs::mkdir(NETNS_DIR, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("make", NETNS_DIR)(errno)),
        }
        let failed = || Error::system("mount", NETNS_DIR);
        let share = || {
            let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
            rustix::mount::mount_change(NETNS_DIR, shared)
        };
        // EINVAL says: no mount point yet.
        if share() == Err(Errno::INVAL) {
            // Others may be at the same: one of them mounts.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(NETNS_DIR, flags, Mode::empty()).map_err(failed())?;
            lock_for_a_while(&dir);
            if share() == Err(Errno::INVAL) {
                rustix::mount::mount_bind_recursive(NETNS_DIR, NETNS_DIR)
                    .and_then(|()| share())
                    .map_err(failed())?;
            }
        }
        Self::open()?.ok_or_else(|| Error::system("open", NETNS_DIR)(Errno::NOENT))
    }

    /// Lists the names in the folder, sorted; names that no namespace can have are left out.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn names(&self) -> Result<Vec<NsName>, Error> {
        let failed = || Error::system("read", NETNS_DIR);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.dir).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let name = entry.file_name().to_str().ok().and_then(|name| NsName::new(name).ok());
            names.extend(name);
        }
        names.sort();
        Ok(names)
    }

    /// Looks what the file of this name is; `None` where there is none.
    ///
    /// # Errors
    /// When it can't be opened for another reason than being no namespace.
    pub fn get(&self, name: &NsName) -> Result<Option<Pin>, Error> {
        // NOFOLLOW: a link may lead anywhere. NONBLOCK: opening a FIFO would wait.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let found = |kind| Ok(Some(Pin { name: name.clone(), kind }));
        let file = match rustix::fs::openat(&self.dir, name.as_str(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ACCESS) => {
                return found(PinKind::Foreign);
            }
            Err(errno) => return Err(Error::system("open", path(name))(errno)),
        };
        let magic = rustix::fs::fstatfs(&file).map_err(Error::system("look at", path(name)))?;
        if u64::try_from(magic.f_type) == Ok(NSFS_MAGIC) {
            return found(PinKind::Namespace(file));
        }
        found(read_mark(file).map_or(PinKind::Foreign, PinKind::Stale))
    }

    /// Opens the namespace of this name.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none, [`Error::NotANamespace`] for another file.
    pub fn open_namespace(&self, name: &NsName) -> Result<OwnedFd, Error> {
        match self.get(name)?.map(|pin| pin.kind) {
            Some(PinKind::Namespace(fd)) => Ok(fd),
            Some(_) => Err(Error::NotANamespace { path: path(name) }),
            None => Err(Error::Gone { ns: name.clone() }),
        }
    }

    /// Pins the network namespace of the calling thread. CAP_SYS_ADMIN.
    ///
    /// The file appears under its name with the mark already in it, so that a creation that is cut
    /// short between here and the mount leaves a file that says whose it is.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken; when the folder is read-only or full.
    pub fn pin_own_namespace(
        &self,
        name: &NsName,
        mark: &Mark,
        watch: Option<&dyn Watch>,
    ) -> Result<(), Error> {
        let file = self.unnamed_file().map_err(Error::system("make a file in", NETNS_DIR))?;
        rustix::io::write(&file, format!("{mark}\n").as_bytes())
            .map_err(Error::system("write", path(name)))?;
        let source = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
        let flags = AtFlags::SYMLINK_FOLLOW;
        match rustix::fs::linkat(rustix::fs::CWD, source, &self.dir, name.as_str(), flags) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(Error::Exists { path: path(name) }),
            Err(errno) => return Err(Error::system("make", path(name))(errno)),
        }
        let mount = || rustix::mount::mount_bind("/proc/thread-self/ns/net", self.at(name));
        watch::come(watch, At::Named(name)).and_then(|()| mount()).map_err(|errno| {
            // Only a file of ours is left behind: take it away as well as we can.
            let _ = rustix::fs::unlinkat(&self.dir, name.as_str(), AtFlags::empty());
            Error::system("mount a namespace on", path(name))(errno)
        })
    }

    /// Unpins a namespace and removes its file; a file that is not there is no error.
    /// CAP_SYS_ADMIN. The kernel removes the namespace when nothing else holds it, some time later.
    ///
    /// # Errors
    /// EBUSY when another mount namespace holds the pin.
    pub fn remove(&self, name: &NsName, watch: Option<&dyn Watch>) -> Result<(), Error> {
        let target = self.at(name);
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        loop {
            match rustix::mount::unmount(&target, flags) {
                // A pin that was made twice is mounted twice.
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT) => break,
                Err(errno) => return Err(Error::system("unmount", path(name))(errno)),
            }
        }
        let unlink = || rustix::fs::unlinkat(&self.dir, name.as_str(), AtFlags::empty());
        match watch::come(watch, At::Unmounted(name)).and_then(|()| unlink()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::system("remove", path(name))(errno)),
        }
    }

    /// Returns the path of an entry, by way of the folder's descriptor.
    fn at(&self, name: &NsName) -> String {
        format!("/proc/thread-self/fd/{}/{name}", self.dir.as_raw_fd())
    }

    /// Makes a file that has no name yet, in the folder's file system.
    fn unnamed_file(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, ".", flags, Mode::from_raw_mode(0o444))
    }
}

/// Locks a folder, unless somebody keeps it locked: any user may, and must not stop us. Whoever mounts
/// it at the same time then does so once more than needed.
fn lock_for_a_while(dir: &OwnedFd) {
    const TRIES: usize = 200;
    const INTERVAL: std::time::Duration = std::time::Duration::from_millis(5);
    for _ in 0..TRIES {
        match rustix::fs::flock(dir, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(INTERVAL),
            _ => return,
        }
    }
}

/// How many threads unpin: each unmount waits for a grace period of RCU, which several can share, since the kernel lets go of
/// the mounts' lock before (fs/namespace.c, `namespace_unlock`).
const UNPINNERS: usize = 6;

/// Unpins namespaces; those that are not there are passed over. CAP_SYS_ADMIN.
///
/// They are held until none is pinned, and let go of at once: for each that goes the kernel asks all that
/// are left whether they have an id for it (`unhash_nsid`, net/core/net_namespace.c), which takes half of
/// the time where thousands go one by one, and goes on beside the unmounting. Half of the files that may be
/// open are left to others: what would take more is not held.
///
/// # Errors
/// Returns one error for each that could not be removed.
pub fn remove_all(names: &[NsName], watch: Option<&dyn Watch>) -> Result<(), Vec<(NsName, Error)>> {
    let failed = |error| names.first().map(|name| (name.clone(), error)).into_iter().collect();
    let pins = match Pins::open() {
        Ok(Some(pins)) => pins,
        Ok(None) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // Whoever looks on sees one after the other.
    let threads = if watch.is_some() { 1 } else { UNPINNERS.min(names.len()).max(1) };
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let held_max = usize::try_from(descriptors / 2).unwrap_or(usize::MAX) / threads;
    let remove = &|names: &[NsName]| {
        let mut held = Vec::new();
        let mut errors = Vec::new();
        for name in names {
            if held.len() < held_max {
                held.extend(pins.open_namespace(name));
            }
            errors.extend(pins.remove(name, watch).err().map(|error| (name.clone(), error)));
        }
        (held, errors)
    };
    let part = names.len().div_ceil(threads).max(1);
    let (held, errors): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let spawn =
            |part| Builder::new().spawn_scoped(scope, move || remove(part)).map_err(|_| part);
        let others: Vec<_> = names.chunks(part).skip(1).map(spawn).collect();
        let own = remove(&names[..part.min(names.len())]);
        let others = others.into_iter().map(|other| match other {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where there may be no more threads, this one has the time.
            Err(part) => remove(part),
        });
        std::iter::once(own).chain(others).unzip()
    });
    drop(held);
    let errors: Vec<_> = errors.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Does something in each of these namespaces, on a thread that may enter them.
///
/// # Errors
/// When the folder of pins can't be read; for each namespace, when it can't be entered or the job
/// fails there.
pub(crate) fn in_each<T>(
    walker: &Walker,
    names: &[NsName],
    job: impl Fn(&NsName) -> Result<T, Error>,
) -> Result<Vec<Result<T, Error>>, Error> {
    let pins = Pins::open()?;
    let within = |name: &NsName| {
        let ns = open_namespace(pins.as_ref(), name)?;
        walker.enter(&ns).map_err(Error::system("enter", format!("namespace {name}")))?;
        job(name)
    };
    Ok(names.iter().map(within).collect())
}

/// Opens the namespace of this name, be it pinned or the host's.
///
/// # Errors
/// As [`Pins::open_namespace`].
pub(crate) fn open_namespace(pins: Option<&Pins>, name: &NsName) -> Result<OwnedFd, Error> {
    if let Some(opened) = open_elsewhere(name) {
        return opened;
    }
    match pins {
        Some(pins) => pins.open_namespace(name),
        None => Err(Error::Gone { ns: name.clone() }),
    }
}

/// Opens a namespace whose name stands for no pin: the host's, or a process's.
pub(crate) fn open_elsewhere(name: &NsName) -> Option<Result<OwnedFd, Error>> {
    match name.process() {
        Some(pid) => Some(open_process(pid, name)),
        None => name.is_host().then(open_host),
    }
}

/// Opens the namespace that a process is in. CAP_SYS_PTRACE, or the same user (`ptrace(2)`).
fn open_process(pid: u32, name: &NsName) -> Result<OwnedFd, Error> {
    let path = format!("/proc/{pid}/ns/net");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::SRCH) => Err(Error::Gone { ns: name.clone() }),
        opened => opened.map_err(Error::system("open", path)),
    }
}

/// Opens the host's namespace: the one of this process's first thread, which enters no other but a
/// keeper's.
pub(crate) fn open_host() -> Result<OwnedFd, Error> {
    const PATH: &str = "/proc/self/ns/net";
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(PATH, flags, Mode::empty()).map_err(Error::system("open", PATH))
}

/// Returns what tells namespaces from others; those that are not there are left out.
#[must_use]
pub fn identities(names: &[NsName]) -> BTreeMap<NsName, Identity> {
    let identity = |name: &NsName| {
        let path = name.process().map_or_else(|| path(name), |pid| format!("/proc/{pid}/ns/net"));
        let stat = rustix::fs::stat(path).ok()?;
        Some((name.clone(), (stat.st_dev, stat.st_ino)))
    };
    names.iter().filter_map(identity).collect()
}

/// Returns the path of a pin, for people.
#[must_use]
pub fn path(name: &NsName) -> String {
    format!("{NETNS_DIR}/{name}")
}

fn read_mark(file: OwnedFd) -> Option<Mark> {
    let mut text = String::new();
    std::fs::File::from(file).take(256).read_to_string(&mut text).ok()?;
    Mark::parse(text.strip_suffix('\n')?)
}
