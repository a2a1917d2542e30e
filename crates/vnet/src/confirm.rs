//! Changes that go back by themselves unless they are confirmed in time.
//!
//! What was before is written down before the first step, and a *worker* process waits for the
//! confirmation: so the change goes back also if whoever made it is cut off from the machine, or is
//! killed. The worker is started before the change, outside of a keeper's namespaces, and ends with
//! the lab.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use vnet_kernel::Individual;
use vnet_model::{LabName, State};

use crate::Settings;
use crate::error::Error;
use crate::exec::ENV_LAB;
use crate::lab::Lab;
use crate::record::Record;

/// The argument that makes a program a worker that waits for a confirmation.
pub const CONFIRM: &str = "__confirm";

/// What the worker writes, with its process id, when a closing terminal can no longer end it.
const READY: &str = "ready ";

/// How often the worker looks whether it is still needed.
const INTERVAL: Duration = Duration::from_millis(100);

/// How often, and how long after a failure, going back is tried.
const TRIES: usize = 5;
const RETRY: Duration = Duration::from_secs(2);

/// How long a worker has to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The version of the file's form.
const VERSION: u32 = 1;

/// How a change is to be confirmed.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// How long after the change is done it goes back.
    pub within: Duration,
    /// The program of the worker: `vnet`, or one that leads its arguments
    /// `__confirm LAB STATE_DIR ID` to [`wait`].
    pub program: PathBuf,
}

/// A change that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    version: u32,
    /// What tells this change from others.
    pub(crate) id: String,
    worker: Individual,
    /// When it goes back: milliseconds since boot (`CLOCK_BOOTTIME`).
    deadline_ms: u64,
    /// The boot in which that is.
    boot: String,
    /// What the lab was told to be before; `None` where it was not up.
    pub(crate) record: Option<Record>,
    /// What was there before.
    pub(crate) before: State,
    /// Why going back has failed.
    pub failure: Option<String>,
}

impl Pending {
    /// Reads it; `None` where it is cut short or of another version.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let pending: Self = serde_json::from_slice(text).ok()?;
        (pending.version == VERSION).then_some(pending)
    }

    pub(crate) fn to_text(&self) -> Vec<u8> {
        // Only maps with keys that are no text can't be written, and there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns how long it takes until it goes back; zero when it should have.
    #[must_use]
    pub fn left(&self) -> Duration {
        match boot() == self.boot {
            true => Duration::from_millis(self.deadline_ms.saturating_sub(now_ms())),
            false => Duration::ZERO,
        }
    }

    /// Tells whether somebody waits to go back: the worker may have been killed.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.worker.is_alive()
    }

    pub(crate) fn end_worker(&self) {
        if self.worker.pid != std::process::id() {
            self.worker.end(PATIENCE);
        }
    }

    /// Has the time begin anew.
    pub(crate) fn begin(&mut self, within: Duration) {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.deadline_ms = now_ms().saturating_add(within);
        self.boot = boot();
    }
}

/// A worker that was started for a change that has not begun yet. Dropping it without
/// [`Guard::pending`] ends it.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) id: String,
    worker: Individual,
    /// While it is open the worker waits for the note of the change.
    _stdin: Option<ChildStdin>,
    within: Duration,
}

impl Guard {
    /// Starts the worker, and waits until nothing but a kill ends it.
    pub(crate) fn start(
        settings: &Settings,
        lab: &LabName,
        confirm: &Confirm,
    ) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            vnet_kernel::Error::Keeper(format!("can't have a worker started: {error}"))
        };
        let id = format!("{}-{}", std::process::id(), now_ms());
        let mut first = Command::new(&confirm.program)
            .args([CONFIRM, lab.as_str()])
            .arg(&settings.state_dir)
            .arg(&id)
            .env_clear()
            // Started in a node, it is known there as ours.
            .env(ENV_LAB, lab.as_str())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&error))?;
        let mut answer = String::new();
        let stdin = first.stdin.take();
        if let Some(mut stdout) = first.stdout.take() {
            stdout.read_to_string(&mut answer).map_err(|error| failed(&error))?;
        }
        // It has gone on as a process of its own.
        first.wait().map_err(|error| failed(&error))?;
        let pid = answer.trim_end().strip_prefix(READY).and_then(|pid| pid.parse().ok());
        let worker = pid.and_then(Individual::of);
        let worker = worker.ok_or_else(|| failed(&"it ended without a word"))?;
        Ok(Self { id, worker, _stdin: stdin, within: confirm.within })
    }

    /// Makes the note by which the change goes back.
    pub(crate) fn pending(&self, record: Option<Record>, before: State) -> Result<Pending, Error> {
        if !self.worker.is_alive() {
            return Err(vnet_kernel::Error::Keeper("has lost its worker".into()).into());
        }
        let mut pending = Pending {
            version: VERSION,
            id: self.id.clone(),
            worker: self.worker,
            deadline_ms: 0,
            boot: String::new(),
            record,
            before,
            failure: None,
        };
        pending.begin(self.within);
        Ok(pending)
    }

    /// Returns how long after the change is done it goes back.
    pub(crate) fn within(&self) -> Duration {
        self.within
    }

    /// Ends the worker of a change that is not to wait.
    pub(crate) fn dismiss(self) {
        self.worker.end(PATIENCE);
    }
}

/// Is the worker that waits for a confirmation: goes back when it does not come in time. To be
/// called by a program with a single thread, for the arguments `__confirm LAB STATE_DIR ID`.
///
/// # Errors
/// When going back has failed again and again; the note of the change then says why.
pub fn wait(settings: &Settings, lab: &LabName, id: &str) -> Result<(), Error> {
    vnet_kernel::process::drop_inherited();
    vnet_kernel::process::detach().map_err(|errno| {
        vnet_kernel::Error::Keeper(format!("can't have a worker started: {errno}"))
    })?;
    // Its own session: a terminal that closes must not end it.
    let _ = rustix::process::setsid();
    // Whoever started us may be gone already.
    let _ = writeln!(std::io::stdout(), "{READY}{}", std::process::id());
    give_up_stdout();
    let mut lab = Lab::open(settings, lab)?;
    if !wait_for_deadline(&lab, id)? {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        match lab.take_back(id) {
            Ok(()) | Err(Error::NothingPending { .. }) => return Ok(()),
            Err(error) if tries + 1 == TRIES => {
                lab.dir.note_failure(id, &error.to_string())?;
                return Err(error);
            }
            Err(_) => tries += 1,
        }
        std::thread::sleep(RETRY);
    }
}

/// Waits until a change is to go back, and says whether it is.
fn wait_for_deadline(lab: &Lab, id: &str) -> Result<bool, Error> {
    let (mut stamp, mut pending, mut was_there) = (None, None, false);
    loop {
        // Asked before the note is looked for: whoever makes the change writes it before it ends.
        let is_alone = is_alone();
        let now = lab.dir.pending_stamp();
        if now != stamp || now.is_none() {
            (stamp, pending) = (now, lab.dir.pending()?);
        }
        match &pending {
            Some(pending) if pending.id == id && pending.left().is_zero() => return Ok(true),
            Some(pending) if pending.id == id => {
                was_there = true;
                std::thread::sleep(pending.left().min(INTERVAL));
            }
            // Another change is being made, maybe before this one's note was ever seen here. Where it
            // succeeds it ends this process; where it fails, this one waits again.
            Some(_) => std::thread::sleep(INTERVAL),
            // It was confirmed, or the lab was taken down; or it has not begun, and never will.
            None if was_there || is_alone => return Ok(false),
            None => std::thread::sleep(INTERVAL),
        }
    }
}

/// Tells whether whoever started this process has ended, or needs it no more: then its end of our
/// stdin is closed.
fn is_alone() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut ready = [rustix::event::PollFd::new(&stdin, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ready, Some(&rustix::event::Timespec::default())) != Ok(0)
}

/// Closes stdout, so that whoever reads it sees the end.
fn give_up_stdout() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        // Where it fails, the reader waits for the end of this process.
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Returns the time since boot, sleep included, in milliseconds.
fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let [seconds, nanos] = [now.tv_sec, now.tv_nsec].map(|n| u64::try_from(n).unwrap_or(0));
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

/// Returns what tells this boot from others.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
