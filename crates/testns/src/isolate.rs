//! Enters the namespaces, between fork and exec.
//!
//! The test binary has threads, so what runs here may only make system calls: everything it needs is laid ready in
//! [`Isolation::new`].
use std::ffi::CStr;
use std::io;
use std::ptr;

use crate::Mode;

/// Which namespaces to enter, and the texts for the kernel.
#[derive(Debug)]
pub(crate) struct Isolation {
    mode: Mode,
    user_namespace: bool,
    pid_namespace: bool,
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
}

impl Isolation {
    pub(crate) fn new(mode: Mode, user_namespace: bool, pid_namespace: bool) -> Self {
        // SAFETY: both calls have no precondition and cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let inner = match mode {
            Mode::Root | Mode::MachineRoot => 0,
            Mode::User => 1000,
        };
        Self {
            mode,
            user_namespace,
            pid_namespace,
            uid_map: format!("{inner} {uid} 1").into_bytes(),
            gid_map: format!("{inner} {gid} 1").into_bytes(),
        }
    }

    /// Moves this process into its namespaces; for `Command::pre_exec`.
    ///
    /// Capabilities in user mode need no dropping: exec by another uid than 0 does that (capabilities(7), "Transformation
    /// of capabilities during execve").
    ///
    /// # Errors
    /// The kernel's. Which step it was is written to stderr, since only the errno travels to the parent.
    pub(crate) fn enter(&self) -> io::Result<()> {
        default_signals()?;
        let user = if self.user_namespace { libc::CLONE_NEWUSER } else { 0 };
        let pid = if self.pid_namespace { libc::CLONE_NEWPID } else { 0 };
        let others =
            libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
        // SAFETY: unshare takes no pointers, and this process has one thread.
        check(c"unshare the namespaces", unsafe { libc::unshare(user | pid | others) })?;
        if self.user_namespace {
            write_file(c"/proc/self/setgroups", b"deny")?;
            write_file(c"/proc/self/uid_map", &self.uid_map)?;
            write_file(c"/proc/self/gid_map", &self.gid_map)?;
        }
        die_with_parent()?;
        if self.pid_namespace {
            become_pid_1()?;
            die_with_parent()?;
        }
        // SAFETY: this option takes one integer.
        check(c"become a reaper", unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1_u64) })?;
        self.mount()
    }

    fn mount(&self) -> io::Result<()> {
        let safe = libc::MS_NOSUID | libc::MS_NODEV;
        mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
        if self.pid_namespace {
            mount(c"proc", c"/proc", Some(c"proc"), safe | libc::MS_NOEXEC, None)?;
        }
        // A kernel that refuses (a container that covers parts of /sys) leaves the old one, which shows the old network.
        let _ = try_mount(c"sysfs", c"/sys", Some(c"sysfs"), safe | libc::MS_NOEXEC, None);
        mount(c"tmpfs", c"/run", Some(c"tmpfs"), safe, Some(c"mode=0755"))?;
        make_directory(c"/run/home")?;
        if self.mode != Mode::User {
            return Ok(());
        }
        // The one uid there is owns the tmpfs, unlike a real user. Read-only, it refuses even a nested namespace's root.
        make_directory(c"/run/user")?;
        make_directory(c"/run/user/1000")?;
        mount(c"tmpfs", c"/run/user/1000", Some(c"tmpfs"), safe, Some(c"mode=0700"))?;
        mount(c"tmpfs", c"/run/home", Some(c"tmpfs"), safe, Some(c"mode=0700"))?;
        let read_only = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        mount(c"none", c"/run", None, read_only | safe, None)
    }
}

/// Returns what gives a probe of the kernel a network of its own, between fork and exec.
///
/// A body that is an ordinary user gets it by a user namespace, in which the probe is root.
pub(crate) fn enter_probe() -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    // SAFETY: both calls have no precondition and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let uid_map = format!("0 {uid} 1").into_bytes();
    let gid_map = format!("0 {gid} 1").into_bytes();
    move || {
        let user = if uid == 0 { 0 } else { libc::CLONE_NEWUSER };
        // SAFETY: unshare takes no pointers, and this process has one thread.
        check(c"unshare a network namespace", unsafe { libc::unshare(user | libc::CLONE_NEWNET) })?;
        if uid != 0 {
            write_file(c"/proc/self/setgroups", b"deny")?;
            write_file(c"/proc/self/uid_map", &uid_map)?;
            write_file(c"/proc/self/gid_map", &gid_map)?;
        }
        Ok(())
    }
}

/// Forks: the new process goes on as PID 1 of the PID namespace, the old one waits for it and ends as it ended.
fn become_pid_1() -> io::Result<()> {
    // SAFETY: a fork without the C library's handlers, which are not safe here. No stack or pointers are passed.
    let pid = check_long(c"fork", unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD), 0, 0, 0, 0)
    })?;
    if pid == 0 {
        return Ok(());
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call. Nothing is used after the descriptors are closed: the parent would wait for
    // this copy of std's own pipe, and the reader of the output for that of stdout.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, libc::c_long::from(u32::MAX), 0);
        while libc::waitpid(pid as libc::pid_t, &raw mut status, 0) < 0 {
            if *libc::__errno_location() != libc::EINTR {
                libc::_exit(1);
            }
        }
        if libc::WIFEXITED(status) {
            libc::_exit(libc::WEXITSTATUS(status));
        }
        libc::_exit(128 + libc::WTERMSIG(status));
    }
}

/// Has the kernel kill this process when the one that started it ends, however that ends.
fn die_with_parent() -> io::Result<()> {
    // SAFETY: this option takes one integer.
    check(c"set the parent death signal", unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
    })
}

fn mount(
    source: &CStr,
    target: &CStr,
    kind: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> io::Result<()> {
    try_mount(source, target, kind, flags, data).inspect_err(|_| {
        tell(c"mount ");
        tell(target);
    })
}

fn try_mount(
    source: &CStr,
    target: &CStr,
    kind: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> io::Result<()> {
    let (kind, data) =
        (kind.map_or(ptr::null(), CStr::as_ptr), data.map_or(ptr::null(), CStr::as_ptr));
    // SAFETY: each pointer is null where mount(2) allows it, or a C string that outlives the call.
    match unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, data.cast()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn make_directory(path: &CStr) -> io::Result<()> {
    // SAFETY: `path` is a C string that outlives the call.
    check(c"make a directory in /run", unsafe { libc::mkdir(path.as_ptr(), 0o755) })
}

fn write_file(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: `path` and `text` outlive the calls, and the descriptor is closed at exec.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(path, fd.min(0))?;
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        check(path, (written.min(0)) as libc::c_int)
    }
}

/// Brings back the default actions of the signals that a runner may have had ignored, by `nohup` or as a
/// job in the background: what is ignored stays so over exec (signal(7)).
fn default_signals() -> io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: no handler of this process is set, only the default action.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn check(step: &CStr, result: libc::c_int) -> io::Result<()> {
    check_long(step, libc::c_long::from(result)).map(drop)
}

fn check_long(step: &CStr, result: libc::c_long) -> io::Result<libc::c_long> {
    if result >= 0 {
        return Ok(result);
    }
    let error = io::Error::last_os_error();
    tell(step);
    Err(error)
}

/// Writes to stderr, the pipe that the parent reads.
fn tell(text: &CStr) {
    // SAFETY: the buffer is valid for its length. A failure to tell must not hide the failure that is told.
    unsafe { libc::write(2, text.as_ptr().cast(), text.count_bytes()) };
}
