//! Threads that enter namespaces, so that no other thread has to.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::Error;

type Job = Box<dyn FnOnce(&Walker) + Send>;

/// A thread of its own that enters network namespaces for others, one job after the other.
///
/// After each job it is back in the namespace in which it began: a thread that stays keeps a
/// namespace alive.
#[derive(Debug)]
pub struct NsThread {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// The right to change the namespace of the current thread: only jobs of an [`NsThread`] have it.
#[derive(Debug)]
pub struct Walker {
    home: OwnedFd,
    /// Whether it is elsewhere: who may go nowhere may not go home either.
    away: Cell<bool>,
}

impl NsThread {
    /// Starts the thread in the network namespace of the caller.
    ///
    /// # Errors
    /// When no thread can be made, or /proc is not mounted.
    pub fn start() -> Result<Self, Error> {
        // Opened by the caller: a thread that starts later could start elsewhere.
        let home = open_own_namespace()?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("vnet-namespaces".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                let walker = Walker { home, away: Cell::new(false) };
                for job in inbox {
                    job(&walker);
                }
            })
            .map_err(|error| {
                let errno = rustix::io::Errno::from_io_error(&error);
                Error::system("start", "a thread")(errno.unwrap_or(rustix::io::Errno::AGAIN))
            })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a job on the thread and waits for what it returns.
    ///
    /// # Panics
    /// When the job panicked.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce(&Walker) -> T + Send + 'static) -> T {
        self.begin(job).wait()
    }

    /// Begins a job on the thread without waiting.
    pub fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Walker) -> T + Send + 'static,
    ) -> Pending<T> {
        let (answer, inbox) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |walker| {
            let result = job(walker);
            if walker.go_home().is_ok() {
                // Nobody waits any more: nothing to tell.
                let _ = answer.send(result);
            }
        });
        if let Some(jobs) = &self.jobs {
            // A thread that is gone shows when the answer does not come.
            let _ = jobs.send(job);
        }
        Pending(inbox)
    }
}

impl NsThread {
    /// Lets the thread end, without waiting until it has.
    pub(crate) fn dismiss(&mut self) {
        drop(self.jobs.take());
    }
}

impl Drop for NsThread {
    fn drop(&mut self) {
        self.dismiss();
        if let Some(thread) = self.thread.take() {
            // A panic in a job has been told to whoever waited for it.
            let _ = thread.join();
        }
    }
}

/// A job that is under way.
#[derive(Debug)]
pub struct Pending<T>(mpsc::Receiver<T>);

impl<T> Pending<T> {
    /// Waits for the job's result.
    ///
    /// # Panics
    /// When the job panicked, or the thread could not return to its own namespace.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a job that died has no result to hand out")]
    pub fn wait(self) -> T {
        self.0.recv().expect("a job on a namespace thread died")
    }
}

impl Walker {
    /// Enters the network namespace that `ns` refers to. CAP_SYS_ADMIN there and here.
    ///
    /// # Errors
    /// EINVAL when it is not a network namespace, EPERM without the capability (`setns(2)`).
    pub fn enter(&self, ns: impl AsFd) -> Result<(), rustix::io::Errno> {
        rustix::thread::move_into_link_name_space(ns.as_fd(), Some(LinkNameSpaceType::Network))?;
        self.away.set(true);
        Ok(())
    }

    /// Enters a new network namespace. CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// ENOSPC at the limit `user.max_net_namespaces`, ENOMEM (`unshare(2)`).
    pub fn enter_new(&self) -> Result<(), rustix::io::Errno> {
        #[expect(unsafe_code, reason = "rustix marks all of unshare as unsafe")]
        // SAFETY: only CLONE_FILES is dangerous: descriptors stay shared here.
        unsafe {
            rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)?;
        }
        self.away.set(true);
        Ok(())
    }

    fn go_home(&self) -> Result<(), rustix::io::Errno> {
        if self.away.get() {
            self.enter(&self.home)?;
            self.away.set(false);
        }
        Ok(())
    }
}

/// Opens the network namespace of the calling thread.
///
/// # Errors
/// When /proc is not mounted.
pub fn open_own_namespace() -> Result<OwnedFd, Error> {
    const PATH: &str = "/proc/thread-self/ns/net";
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(PATH, flags, Mode::empty()).map_err(Error::system("open", PATH))
}
