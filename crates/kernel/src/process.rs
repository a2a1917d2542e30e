//! Programs in a node: its network, its name, its `/sys`, `/etc/hosts` and `/etc/resolv.conf`.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::Error;
use crate::individual::ends_within;

/// The way into a node, with everything prepared, so that taking it is system calls alone and may
/// happen between fork and exec.
#[derive(Debug)]
pub struct Entrance {
    join: Vec<(OwnedFd, LinkNameSpaceType)>,
    hostname: CString,
    binds: Vec<(CString, CString)>,
    own_user: Option<[CString; 2]>,
}

impl Entrance {
    /// Prepares the way into a network namespace, under a hostname; an empty one stays as it is.
    #[must_use]
    pub fn new(net: OwnedFd, hostname: &str) -> Self {
        let hostname = CString::new(hostname.replace('\0', "")).unwrap_or_default();
        let join = vec![(net, LinkNameSpaceType::Network)];
        Self { join, hostname, binds: Vec::new(), own_user: None }
    }

    /// Prepares the way into the network namespace of a process, under its hostname.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of_process(pid: u32) -> Result<Self, Error> {
        Ok(Self::new(open_namespace_of(pid, "net")?, ""))
    }

    /// Shows the file `source` in the place of `target`, where that exists.
    #[must_use]
    pub fn bind(mut self, source: &Path, target: &Path) -> Self {
        let c_string = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).ok();
        // A file that is not there can't be covered, and making it would change the host.
        if target.exists()
            && let (Some(source), Some(target)) = (c_string(source), c_string(target))
        {
            self.binds.push((source, target));
        }
        self
    }

    /// Enters the user and mount namespace of this process first: a keeper's. The working directory
    /// stays, where it is there too.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn through(mut self, pid: u32) -> Result<Self, Error> {
        let types = [(LinkNameSpaceType::User, "user"), (LinkNameSpaceType::Mount, "mnt")];
        for (at, (kind, name)) in types.into_iter().enumerate() {
            self.join.insert(at, (open_namespace_of(pid, name)?, kind));
        }
        Ok(self)
    }

    /// Lets the program have this user and group id instead of root's, in a user namespace of its
    /// own within the node's: it can change nothing there.
    #[must_use]
    pub fn as_user(mut self, uid: u32, gid: u32) -> Self {
        let map = |id: u32| CString::new(format!("{id} 0 1")).unwrap_or_default();
        self.own_user = Some([map(uid), map(gid)]);
        self
    }

    /// Takes the calling thread, the only one of its process, into the node. CAP_SYS_ADMIN.
    ///
    /// Allocates nothing and takes no locks.
    ///
    /// # Errors
    /// When a namespace can't be entered or a mount can't be made.
    pub fn enter(&self) -> Result<(), Errno> {
        until_alone();
        let mut path = [MaybeUninit::uninit(); PATH_MAX_BYTES];
        let working_directory = working_directory(&mut path).ok();
        for (ns, kind) in &self.join {
            rustix::thread::move_into_link_name_space(ns.as_fd(), Some(*kind))?;
        }
        // A mount namespace takes whoever joins it to its root (`mntns_install`, fs/namespace.c).
        // A folder that is not there is no reason to fail: then it is the root.
        let _ = working_directory.map(rustix::process::chdir);
        unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUTS)?;
        // Slave: what is unmounted outside must vanish here too, or pins would live on in here.
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", slave)?;
        show_sys()?;
        for (source, target) in &self.binds {
            rustix::mount::mount_bind(source.as_c_str(), target.as_c_str())?;
        }
        if !self.hostname.is_empty() {
            rustix::system::sethostname(self.hostname.as_bytes())?;
        }
        match &self.own_user {
            Some([uid_map, gid_map]) => become_user(uid_map, gid_map),
            None => Ok(()),
        }
    }

    /// Makes the command start in the node.
    pub fn apply_to(self, command: &mut Command) {
        #[expect(unsafe_code, reason = "std offers no safe way to act between fork and exec")]
        // SAFETY: `enter` is system calls on data prepared before the fork: it neither allocates
        // nor takes a lock that another thread may have held.
        unsafe {
            command.pre_exec(move || self.enter().map_err(Into::into));
        }
    }
}

/// The longest path, in bytes (`PATH_MAX`, linux/limits.h).
const PATH_MAX_BYTES: usize = 4096;

/// Returns the path of the working directory without allocating.
fn working_directory(buffer: &mut [MaybeUninit<u8>]) -> Result<&[u8], Errno> {
    let (path, _) = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self/cwd", buffer)?;
    Ok(path)
}

fn open_namespace_of(pid: u32, kind: &str) -> Result<OwnedFd, Error> {
    let path = format!("/proc/{pid}/ns/{kind}");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, Mode::empty()).map_err(Error::system("open", &path))
}

/// Mounts the `/sys` of the network namespace, as `ip netns exec` does.
fn show_sys() -> Result<(), Errno> {
    const SYS: &CStr = c"/sys";
    // In a container the old one may not be ours to unmount: then it is only covered.
    let _ = rustix::mount::unmount(SYS, UnmountFlags::DETACH);
    match rustix::mount::mount(c"sysfs", SYS, c"sysfs", MountFlags::empty(), None) {
        // Parts of the outer /sys are hidden, so the kernel shows none (mount_too_revealing,
        // fs/namespace.c): a program without /sys/class/net is better than none at all.
        Ok(()) | Err(Errno::PERM | Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Enters a user namespace of its own, in which the ids are the given ones.
fn become_user(uid_map: &CStr, gid_map: &CStr) -> Result<(), Errno> {
    unshare(UnshareFlags::NEWUSER)?;
    write(c"/proc/self/setgroups", c"deny")?;
    write(c"/proc/self/gid_map", gid_map)?;
    write(c"/proc/self/uid_map", uid_map)
}

pub(crate) fn write(path: &CStr, text: &CStr) -> Result<(), Errno> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.to_bytes()).map(drop)
}

/// Closes all descriptors but stdin, stdout and stderr: what whoever started this process had open,
/// such as the other end of a pipe, must not stay open as long as the lab exists. To be called first
/// thing in a process that vnet starts itself as, while it has opened nothing of its own.
///
/// Before Linux 5.9 they stay open.
pub fn drop_inherited() {
    const FIRST: libc::c_uint = 3;
    #[expect(unsafe_code, reason = "neither std nor rustix closes what they did not open")]
    // SAFETY: nothing in this process owns a descriptor yet, so none is closed under its owner.
    unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0);
    }
}

/// Makes the command end, by SIGKILL, with the thread that starts it (`PR_SET_PDEATHSIG`, `prctl(2)`):
/// what only helps this process must not outlive it.
///
/// A program that changes its user or its capabilities loses this again.
pub(crate) fn end_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    #[expect(unsafe_code, reason = "std offers no safe way to act between fork and exec")]
    // SAFETY: two system calls, which neither allocate nor take a lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            match rustix::process::getppid() {
                // The parent has ended since the fork, and nobody sends the signal any more.
                now if now != Some(parent) => Err(Errno::SRCH.into()),
                _ => Ok(()),
            }
        });
    }
}

/// Goes on as a process of its own: the one that was started ends at once and well, so whoever has
/// started it can wait for that, and never has a zombie of what lives longer than a command. To be
/// called by a process with a single thread.
///
/// # Errors
/// When there can't be another process: then this one is as it was.
pub fn detach() -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "rustix and std offer no fork")]
    // SAFETY: there is one thread, so no lock is held by another that the new process lacks, and it
    // may do whatever this one could.
    match unsafe { libc::fork() } {
        0 => Ok(()),
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
        // SAFETY: it runs nothing of this process's, which goes on in the other one.
        _ => unsafe { libc::_exit(0) },
    }
}

/// Waits until this thread is the only one of its process, but not long.
///
/// A user namespace is entered by a process with one thread, or not at all (EINVAL, `setns(2)`,
/// `unshare(2)`). A thread that has been joined may still be one: it tells whoever joins it first
/// (`mm_release`), and leaves its process after that (`release_task`, kernel/exit.c). Allocates
/// nothing.
pub(crate) fn until_alone() {
    const TRIES: usize = 1000;
    const BETWEEN: Duration = Duration::from_millis(1);
    for _ in 0..TRIES {
        match rustix::fs::stat(c"/proc/self/task") {
            // A folder has two links, and one for each folder in it: here each thread has one
            // (`proc_task_getattr`, fs/proc/base.c).
            Ok(stat) if stat.st_nlink > 3 => std::thread::sleep(BETWEEN),
            // Without /proc nothing is known, and entering tells.
            Ok(_) | Err(_) => return,
        }
    }
}

pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "rustix marks all of unshare as unsafe")]
    // SAFETY: only CLONE_FILES is dangerous, and nobody passes it: descriptors stay shared.
    unsafe {
        rustix::thread::unshare_unsafe(flags)
    }
}

/// A process and the network namespace it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhabitant {
    /// The process.
    pub pid: u32,
    /// Its name (`/proc/PID/comm`).
    pub command: String,
    /// Which of the namespaces asked for, by its place in the list.
    pub place: usize,
    /// Whether it has the given line in its environment: vnet started it.
    pub started: bool,
}

/// What tells one namespace from another while it exists: device and inode of its file.
pub type Identity = (u64, u64);

/// Finds the processes that are in any of these network namespaces, but for this one.
///
/// `started` is a line `NAME=value` of the environment by which vnet's own are known. Processes
/// of other users may not be visible; they are left out.
#[must_use]
pub fn inhabitants(namespaces: &[Identity], started: &str) -> Vec<Inhabitant> {
    let places: BTreeMap<Identity, usize> = namespaces.iter().copied().zip(0..).collect();
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Inhabitant> = pids
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let stat = rustix::fs::stat(format!("/proc/{pid}/ns/net")).ok()?;
            let place = *places.get(&(stat.st_dev, stat.st_ino))?;
            let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let environ = environ(pid);
            let started = environ.split(|byte| *byte == 0).any(|line| line == started.as_bytes());
            Some(Inhabitant { pid, command: command.trim_end().to_owned(), place, started })
        })
        .collect();
    found.sort_by_key(|inhabitant| inhabitant.pid);
    found
}

/// Reads the environment of a process. One that is just being executed shows none for a moment,
/// until its stack is laid out (`environ_read`, fs/proc/base.c), and must not be taken for a
/// stranger.
fn environ(pid: u32) -> Vec<u8> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        match std::fs::read(format!("/proc/{pid}/environ")) {
            Ok(environ) if environ.is_empty() => std::thread::sleep(Duration::from_millis(1)),
            Ok(environ) => return environ,
            Err(_) => break,
        }
    }
    Vec::new()
}

/// Ends processes: SIGTERM, and SIGKILL for those that are still there after `patience`.
///
/// A process that is gone, or became another, is left alone: each is signalled by a descriptor
/// opened while it was seen in its namespace.
pub fn end(inhabitants: &[Inhabitant], namespaces: &[Identity], patience: Duration) {
    let still = |inhabitant: &Inhabitant| {
        let stat = rustix::fs::stat(format!("/proc/{}/ns/net", inhabitant.pid)).ok()?;
        namespaces.contains(&(stat.st_dev, stat.st_ino)).then_some(())
    };
    let opened: Vec<OwnedFd> = inhabitants
        .iter()
        .filter_map(|inhabitant| {
            let pid = Pid::from_raw(i32::try_from(inhabitant.pid).ok()?)?;
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
            still(inhabitant).map(|()| pidfd)
        })
        .collect();
    for signal in [Signal::TERM, Signal::KILL] {
        for pidfd in &opened {
            // It may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(pidfd, signal);
        }
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        if opened.iter().all(|pidfd| ends_within(pidfd, left()) == Ok(true)) {
            return;
        }
    }
}
