//! Programs that are run for the user, and their exit codes.

use std::io::{Error, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::errors::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_VNET_FAILED, Failure, words};

/// Returns the exit code that stands for how a program ended: 128 and its number for a signal.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Says why a program could not be started.
pub(crate) fn not_started(program: &std::ffi::OsStr, error: &Error) -> Failure {
    let program = program.to_string_lossy();
    let is_denied = error.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error());
    let (kind, code, message) = match error.kind() {
        ErrorKind::NotFound => ("not-found", EXIT_NOT_FOUND, format!("cannot find {program}")),
        ErrorKind::PermissionDenied if is_denied => (
            "not-executable",
            EXIT_NOT_EXECUTABLE,
            format!("cannot execute {program}: {}", words(error)),
        ),
        _ => ("failed", EXIT_VNET_FAILED, format!("cannot start {program}: {}", words(error))),
    };
    Failure { code, ..Failure::failed(kind, message) }
}

/// Says why signals can't be held back.
pub(crate) fn no_signals(error: &Error) -> Failure {
    Failure::failed("failed", format!("cannot hold signals back: {}", words(error)))
}

/// The signals that would end this process, held back so that it can clean up first.
#[derive(Debug)]
pub(crate) struct Held(Signals);

impl Held {
    /// Begins to hold them back.
    pub(crate) fn new() -> Result<Self, Failure> {
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD])
            .map(Self)
            .map_err(|error| no_signals(&error))
    }

    /// Returns the signal that has come meanwhile, if one has.
    pub(crate) fn come(&mut self) -> Option<i32> {
        self.0.pending().find(|signal| *signal != SIGCHLD)
    }

    /// Runs a program until it ends, and passes signals on to it.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<ExitStatus, Failure> {
        let program = command.get_program().to_owned();
        let mut child = command.spawn().map_err(|error| not_started(&program, &error))?;
        let failed = |error: Error| {
            Failure::failed("failed", format!("cannot wait for it: {}", words(&error)))
        };
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        for signal in &mut self.0 {
            pass_on(signal, &child);
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
        }
        child.wait().map_err(failed)
    }
}

/// Passes a signal on, unless the program has got it too: a key of the terminal goes to all
/// processes in its foreground.
fn pass_on(signal: i32, child: &Child) {
    let by_key = matches!(signal, SIGINT | SIGQUIT) && is_in_foreground();
    if signal == SIGCHLD || by_key {
        return;
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // It may have ended by itself: then it is found out next.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Tells whether this process is in the foreground of a terminal.
fn is_in_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
