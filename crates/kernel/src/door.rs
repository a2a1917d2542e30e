//! Doors: abstract sockets by which the processes that vnet leaves behind are found.
//!
//! Anybody could take such a name: so the kernel's word for who listens (SO_PEERCRED, `unix(7)`) must
//! say that it is the same user. An abstract name is of one network namespace: who has entered
//! another finds nobody there.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    sockopt,
};
use rustix::process::{Pid, PidfdFlags, geteuid};
use vnet_model::LabName;

use crate::error::Error;

/// What a process left behind writes when all is ready.
const READY: &str = "ready";

/// How many may wait to be let in.
const QUEUE: i32 = 64;

/// The name of a door.
#[derive(Debug)]
pub(crate) struct Door {
    name: String,
    /// What is behind it, in the words of an error.
    of: String,
}

/// Who listens behind a door.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// The way in.
    pub(crate) line: OwnedFd,
}

impl Door {
    /// Names the door of a lab's holder.
    pub(crate) fn of_holder(lab: &LabName) -> Self {
        let name = format!("vnet/{}/{lab}", geteuid().as_raw());
        Self { name, of: format!("of lab {lab}") }
    }

    /// Names the door of a lab's outlet. No lab has a `/` in its name.
    pub(crate) fn of_outlet(lab: &LabName) -> Self {
        let name = format!("vnet/{}/{lab}/outlet", geteuid().as_raw());
        Self { name, of: format!("of the outlet of lab {lab}") }
    }

    fn address(&self) -> Result<SocketAddrUnix, Error> {
        SocketAddrUnix::new_abstract_name(self.name.as_bytes())
            .map_err(Error::system("name the socket", &self.of))
    }

    /// Opens it.
    ///
    /// # Errors
    /// EADDRINUSE where somebody listens there.
    pub(crate) fn open(&self) -> Result<OwnedFd, Error> {
        let address = self.address()?;
        let failed = || Error::system("open the door", &self.of);
        let door = unix_socket().map_err(failed())?;
        bind(&door, &address).map_err(failed())?;
        listen(&door, QUEUE).map_err(failed())?;
        Ok(door)
    }

    /// Finds who listens behind it; `None` where nobody does.
    ///
    /// # Errors
    /// When another user does.
    pub(crate) fn ask(&self) -> Result<Option<Listener>, Error> {
        let address = self.address()?;
        let failed = || Error::system("ask for the keeper", &self.of);
        let Some((line, pid)) = self.knock(&address)? else { return Ok(None) };
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(failed()(errno)),
        };
        // Its pid may have become another's before it was opened: ask once more.
        match self.knock(&address)? {
            Some((_, again)) if again == pid => Ok(Some(Listener { pid, pidfd, line })),
            _ => Ok(None),
        }
    }

    fn knock(&self, address: &SocketAddrUnix) -> Result<Option<(OwnedFd, Pid)>, Error> {
        let failed = || Error::system("ask for the keeper", &self.of);
        let line = unix_socket().map_err(failed())?;
        match connect(&line, address) {
            Ok(()) => {}
            Err(Errno::CONNREFUSED) => return Ok(None),
            Err(errno) => return Err(failed()(errno)),
        }
        let who = sockopt::socket_peercred(&line).map_err(failed())?;
        if who.uid != geteuid() {
            let (of, uid) = (&self.of, who.uid.as_raw());
            let why = format!("{of} belongs to user {uid}: somebody has taken its name");
            return Err(Error::Keeper(why));
        }
        Ok(Some((line, who.pid)))
    }
}

fn unix_socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// Starts a program that goes on as a process of its own, and returns what kept it from that; `None`
/// where all is ready.
///
/// # Errors
/// When the program can't be started.
pub(crate) fn start_detached(
    program: &Path,
    arguments: &[&str],
    stdin: Option<OwnedFd>,
) -> Result<Option<String>, std::io::Error> {
    let mut child = Command::new(program)
        .args(arguments)
        // It needs nothing of it, and lives longer than whoever has set it.
        .env_clear()
        .current_dir("/")
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut answer = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        // What it says is short, and then it closes; a broken pipe reads as no answer.
        let _ = stdout.read_to_string(&mut answer);
    }
    // It has gone on as a process of its own.
    let _ = child.wait();
    Ok(match answer.trim_end() {
        READY => None,
        "" => Some("ended without a word".to_owned()),
        reason => Some(reason.to_owned()),
    })
}

/// Tells who has started this process how it went, and lets them go on.
pub(crate) fn tell_starter(how: Result<(), &Error>) {
    let _ = match how {
        Ok(()) => writeln!(std::io::stdout(), "{READY}"),
        Err(error) => writeln!(std::io::stdout(), "{error}"),
    };
    give_up(|null| rustix::stdio::dup2_stdout(null));
}

/// Puts `/dev/null` in the place of one of the three descriptors that everybody has. Where that fails it
/// stays open: a wait for the end of this process is better than a leak.
pub(crate) fn give_up(replace: impl FnOnce(&OwnedFd) -> Result<(), Errno>) {
    use rustix::fs::{Mode, OFlags};
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = replace(&null);
    }
}
