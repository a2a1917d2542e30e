//! A process that is known for certain, although its number may be another's one day.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// What tells a process from all others until the next boot: its number and when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Individual {
    /// The process id.
    pub pid: u32,
    /// When it began, in clock ticks since boot (field 22 of `/proc/PID/stat`, `proc_pid_stat(5)`).
    began: u64,
}

impl Individual {
    /// Takes note of a process; `None` where there is none of this number.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may have anything in it.
        let (_, fields) = stat.rsplit_once(") ")?;
        let began = fields.split(' ').nth(22 - 3)?.parse().ok()?;
        Some(Self { pid, began })
    }

    /// Tells whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.open().is_some_and(|pidfd| ends_within(&pidfd, Duration::ZERO) != Ok(true))
    }

    /// Has it end by SIGTERM, by SIGKILL where it does not within `patience`, and waits for that.
    pub fn end(&self, patience: Duration) {
        let Some(pidfd) = self.open() else { return };
        for signal in [Signal::TERM, Signal::KILL] {
            // It may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
            if ends_within(&pidfd, patience) == Ok(true) {
                return;
            }
        }
    }

    /// Opens it, unless it is gone: the number may be another's by now.
    fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        (Self::of(self.pid) == Some(*self)).then_some(pidfd)
    }
}

/// Waits at most so long for the end of a process, and tells whether it came.
pub(crate) fn ends_within(pidfd: &OwnedFd, within: Duration) -> Result<bool, Errno> {
    let limit = Timespec::try_from(within).ok();
    let ended = rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], limit.as_ref())?;
    Ok(ended > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_no_other() {
        let own = Individual::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let other = Individual { began: own.began + 1, ..own };
        assert!(!other.is_alive());
        // It would end us.
        other.end(Duration::ZERO);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let child_process = Individual::of(child.id()).unwrap();
        child_process.end(Duration::from_secs(5));
        assert!(!child_process.is_alive());
        assert!(!child.wait().unwrap().success());
    }
}
