//! The holder: the one process that keeps an ordinary user's lab alive.
//!
//! It has a user, a mount and a network namespace of its own, in which `/run/netns` is the lab's
//! alone, and does nothing. A command joins it by pidfd and `setns`, and is root in there; with
//! the holder ends everything.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Pid, Signal, getegid, geteuid};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};
use vnet_model::LabName;
use vnet_netlink::{Batch, Protocol, Socket};

use crate::door::{Door, Listener, give_up, start_detached, tell_starter};
use crate::error::Error;
use crate::execute::message;
use crate::individual::ends_within;
use crate::pins::NETNS_DIR;
use crate::process::{unshare, until_alone, write};

/// A holder that runs.
#[derive(Debug)]
pub struct Holder {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Holder {
    /// Finds the holder of this user's lab.
    ///
    /// # Errors
    /// When somebody else listens under its name.
    pub fn find(lab: &LabName) -> Result<Option<Self>, Error> {
        let listener = Door::of_holder(lab).ask()?;
        Ok(listener.map(|Listener { pid, pidfd, .. }| Self { pid, pidfd }))
    }

    /// Finds the holder, or starts one by `program` with `arguments`, which must lead to [`hold`].
    ///
    /// The new one has the `lock` open until it can be found: so nobody else looks for it before,
    /// even if this process is killed meanwhile.
    ///
    /// # Errors
    /// When the program can't be started, or can't make its namespaces: then with its reason.
    pub fn find_or_start(
        lab: &LabName,
        program: &std::path::Path,
        arguments: &[&str],
        lock: Option<OwnedFd>,
    ) -> Result<Self, Error> {
        if let Some(holder) = Self::find(lab)? {
            return Ok(holder);
        }
        let failed = start_detached(program, arguments, lock)
            .map_err(|error| Error::Keeper(format!("can't be started: {error}")))?;
        match (Self::find(lab)?, failed) {
            // Where it failed, another one may have been faster.
            (Some(holder), _) => Ok(holder),
            (None, Some(reason)) => Err(Error::Keeper(reason)),
            (None, None) => Err(Error::Keeper("is gone".to_owned())),
        }
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        u32::try_from(self.pid.as_raw_nonzero().get()).unwrap_or_default()
    }

    /// Returns what becomes readable when it ends.
    pub(crate) fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Tells whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        is_alive(&self.pidfd)
    }

    /// Takes this process into the holder's namespaces. The process must have one thread only. Its
    /// working directory stays, where it is there too.
    ///
    /// # Errors
    /// EINVAL in a process with threads (`setns(2)`), ESRCH when the holder is gone.
    pub fn join(&self) -> Result<(), Error> {
        let types =
            ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT | ThreadNameSpaceType::NETWORK;
        let working_directory = std::env::current_dir();
        until_alone();
        rustix::thread::move_into_thread_name_spaces(self.pidfd.as_fd(), types)
            .map_err(Error::system("join", "the keeper's namespaces"))?;
        if let Ok(path) = working_directory {
            // A mount namespace takes whoever joins it to its root. A folder that is not there is no
            // reason to fail.
            let _ = std::env::set_current_dir(path);
        }
        Ok(())
    }

    /// Ends the holder and waits until it is gone, and with it all its namespaces.
    ///
    /// # Errors
    /// When it can't be signalled, or is still there after 10 s.
    pub fn end(&self) -> Result<(), Error> {
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(Error::system("end", "the keeper")(errno)),
        }
        wait_for_end(&self.pidfd, "the keeper")
    }
}

/// How long a process that vnet has left behind may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells whether a process has not ended.
pub(crate) fn is_alive(pidfd: &OwnedFd) -> bool {
    ends_within(pidfd, Duration::ZERO) == Ok(false)
}

/// Waits until a process that is to end has.
pub(crate) fn wait_for_end(pidfd: &OwnedFd, who: &str) -> Result<(), Error> {
    match ends_within(pidfd, PATIENCE).map_err(Error::system("wait for", who))? {
        true => Ok(()),
        false => Err(Error::StillThere { seconds: PATIENCE.as_secs() }),
    }
}

/// Is the holder: makes the namespaces, says so on stdout, and stays until it is killed. Returns
/// only on failure, after having said why on stdout.
///
/// # Errors
/// When a namespace or a mount can't be made.
pub fn hold(lab: &LabName) -> Result<std::convert::Infallible, Error> {
    crate::process::drop_inherited();
    let prepared = crate::process::detach().map_err(Error::system("start", "a process"));
    match prepared.and_then(|()| prepare(lab)) {
        Ok(door) => {
            // Whoever has waited for the lock finds us now, should the one who started us be gone.
            give_up(|null| rustix::stdio::dup2_stdin(null));
            // Told: the one who started us goes on.
            tell_starter(Ok(()));
            loop {
                // Whoever asks only wants to know who we are: the kernel has told already.
                let _ = accept_with(&door, SocketFlags::CLOEXEC);
            }
        }
        Err(error) => {
            tell_starter(Err(&error));
            Err(error)
        }
    }
}

fn prepare(lab: &LabName) -> Result<OwnedFd, Error> {
    // Its own session: a terminal that closes must not end the lab.
    let _ = rustix::process::setsid();
    let door = Door::of_holder(lab).open()?;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWNET;
    let forbidden = || Error::system("make", "a user namespace");
    unshare(flags).map_err(forbidden())?;
    let map = |id: u32| CString::new(format!("0 {id} 1")).unwrap_or_default();
    // A container may not have the file: before Linux 3.19 there was none.
    let _ = write(c"/proc/self/setgroups", c"deny");
    write(c"/proc/self/uid_map", &map(uid)).map_err(forbidden())?;
    write(c"/proc/self/gid_map", &map(gid)).map_err(forbidden())?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", slave).map_err(Error::system("change", "mounts"))?;
    own_pins()?;
    let mut batch = Batch::new();
    message::set_lo_up(&mut batch);
    let failed = |source: vnet_netlink::Error| {
        Error::system("set up", "lo")(source.errno().unwrap_or(Errno::IO))
    };
    let outcome = Socket::open(Protocol::Route).and_then(|mut s| s.submit(&mut batch));
    let outcome = outcome.map_err(failed)?;
    outcome.into_result().map_err(|(_, refusal)| failed(refusal.into()))?;
    Ok(door)
}

/// Gives this mount namespace a `/run/netns` of its own.
fn own_pins() -> Result<(), Error> {
    if std::fs::symlink_metadata(NETNS_DIR).is_ok_and(|found| found.is_dir()) {
        return mount_tmpfs(c"/run/netns");
    }
    // An ordinary user can't make it: so `/run` becomes a tmpfs with the old entries bound back.
    let (entries, links) = keep_entries()?;
    mount_tmpfs(c"/run")?;
    for (name, target) in links {
        let path = format!("/run/{name}");
        rustix::fs::symlink(target, path.as_str()).map_err(Error::system("make", &path))?;
    }
    for (name, kind, tree) in entries {
        let path = format!("/run/{name}");
        let made = match kind {
            FileType::Directory => std::fs::create_dir(&path),
            _ => std::fs::File::create(&path).map(drop),
        };
        made.map_err(|e| {
            Error::system("make", &path)(Errno::from_io_error(&e).unwrap_or(Errno::IO))
        })?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", rustix::fs::CWD, path.as_str(), flags)
            .map_err(Error::system("mount", &path))?;
    }
    std::fs::create_dir(NETNS_DIR).map_err(|error| {
        Error::system("make", NETNS_DIR)(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    })
}

/// An entry of `/run` that is bound back: its name, what it is, and a copy of its mounts.
type Kept = (String, FileType, OwnedFd);

/// A symbolic link in `/run` that is made again: its name and its target.
type KeptLink = (String, CString);

/// Takes copies of the mounts below each entry of `/run`, and the targets of its symbolic links;
/// what can't be opened is left out.
fn keep_entries() -> Result<(Vec<Kept>, Vec<KeptLink>), Error> {
    let failed = || Error::system("read", "/run");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let run = rustix::fs::open("/run", flags, Mode::empty()).map_err(failed())?;
    let mut kept = Vec::new();
    let mut links = Vec::new();
    for entry in rustix::fs::Dir::read_from(&run).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") {
            continue;
        }
        if entry.file_type() == FileType::Symlink {
            if let Ok(target) = rustix::fs::readlinkat(&run, name, Vec::new()) {
                links.push((name.to_owned(), target));
            }
            continue;
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        if let Ok(tree) = rustix::mount::open_tree(&run, name, flags) {
            kept.push((name.to_owned(), entry.file_type(), tree));
        }
    }
    Ok((kept, links))
}

fn mount_tmpfs(target: &CStr) -> Result<(), Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(c"vnet", target, c"tmpfs", flags, Some(c"mode=0755"))
        .map_err(Error::system("mount a tmpfs on", target.to_string_lossy()))
}

/// Says what forbids an ordinary user to make user namespaces here, and how to allow it.
#[must_use]
pub fn what_forbids_user_namespaces() -> Option<&'static str> {
    let is = |key: &str, value: &str| {
        let found = std::fs::read_to_string(format!("/proc/sys/{}", key.replace('.', "/")));
        found.is_ok_and(|found| found.trim() == value)
    };
    if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
        return Some(
            "AppArmor keeps ordinary users from making user namespaces here; allow it with \
             `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run vnet as root",
        );
    }
    if is("kernel.unprivileged_userns_clone", "0") {
        return Some(
            "ordinary users may not make user namespaces here; allow it with \
             `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run vnet as root",
        );
    }
    if is("user.max_user_namespaces", "0") {
        return Some(
            "no user namespaces are allowed here; allow them with \
             `sudo sysctl -w user.max_user_namespaces=15000`, or run vnet as root",
        );
    }
    None
}
