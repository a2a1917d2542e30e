//! Labs of a user without privileges: the keeper's processes, and how to reach them.
//!
//! The *holder* keeps the lab's namespaces alive and does nothing else. A command with a single
//! thread joins it, for good, and goes on as root would. A program with threads can't join a user
//! namespace (EINVAL, `setns(2)`): for it a *worker* joins, does what only a process inside can do,
//! and hands out sockets. A worker that is killed loses no network. Where a segment is external or a
//! port published, an *outlet* stays outside and leads there.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use vnet_kernel::holder::{self, Holder};
use vnet_kernel::outlet::{self, Outlet};
use vnet_kernel::{Realm, probe, process};
use vnet_model::{LabName, Origin};

use crate::Settings;
use crate::error::Error;
use crate::keys::LabKeys;
use crate::state_dir::{Lock, StateDir};

/// The argument that makes the keeper's program a holder.
pub const HOLD: &str = "__hold";

/// The argument that makes the keeper's program a worker.
pub const WORK: &str = "__work";

/// The argument that makes the keeper's program an outlet.
pub const LEAD_OUT: &str = "__lead-out";

/// What ENOSPC means to whoever makes namespaces (`namespaces(7)`).
const LIMITS: &str = "a limit of namespaces is reached: see `sysctl user.max_user_namespaces \
                      user.max_net_namespaces user.max_mnt_namespaces`";

/// Is the holder of a lab, until it is killed. To be called by a program with a single thread, for
/// the arguments `__hold LAB`; it tells its starter on stdout how it went.
///
/// # Errors
/// When namespaces can't be made.
pub fn hold(lab: &LabName) -> Result<Infallible, Error> {
    Ok(holder::hold(lab)?)
}

/// Is a worker of a lab, until its starter closes the socket that is this process's stdin. To be
/// called by a program with a single thread, for the arguments `__work LAB`.
///
/// # Errors
/// When there is no holder, or the line breaks.
pub fn work(lab: &LabName) -> Result<(), Error> {
    process::drop_inherited();
    let not_up = || Error::NotUp { lab: lab.clone() };
    Holder::find(lab)?.ok_or_else(not_up)?.join()?;
    let stdin = rustix::io::dup(std::io::stdin())
        .map_err(vnet_kernel::Error::system("duplicate", "stdin"))?;
    Ok(vnet_kernel::serve(&UnixStream::from(stdin))?)
}

/// Is the outlet of a lab, until its holder ends. To be called by a program with a single thread, for
/// the arguments `__lead-out LAB PROGRAM PORT…`, such as `tcp/8080`; it tells its starter on stdout how it went.
///
/// # Errors
/// When there is no holder, or the program makes no way out.
pub fn lead_out(lab: &LabName, program: &Path, ports: &[String]) -> Result<(), Error> {
    Ok(outlet::lead_out(lab, program, ports)?)
}

/// Where a lab lives.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) realm: Realm,
    keeping: Option<Keeping>,
}

/// The processes behind a lab of a user without privileges.
#[derive(Debug)]
struct Keeping {
    holder: Holder,
    /// The way to the world, where there is one.
    outlet: Option<Outlet>,
    /// `None` where this process has joined the holder itself.
    worker: Option<Child>,
}

impl Place {
    /// Finds the place of a lab; `None` where a keeper would have to be started. What is wanted of the
    /// machine, if anything, makes it have an outlet.
    pub(crate) fn find(
        settings: &Settings,
        lab: &LabName,
        wanted: Option<&Wanted>,
    ) -> Result<Option<Self>, Error> {
        if probe::is_privileged() {
            return Ok(Some(Self::new(Realm::own()?, None, settings, lab)));
        }
        let holder = Holder::find(lab)?;
        holder.map(|holder| Self::kept(settings, holder, lab, wanted)).transpose()
    }

    /// Starts a keeper for a lab.
    pub(crate) fn start(
        settings: &Settings,
        lab: &LabName,
        wanted: Option<&Wanted>,
        lock: &Lock,
    ) -> Result<Self, Error> {
        let keeper = settings.keeper.as_ref().ok_or(Error::Unprivileged)?;
        let arguments = [HOLD, lab.as_str()];
        let lock = lock.share().map_err(|error| {
            vnet_kernel::Error::Keeper(format!("can't be given the lock: {error}"))
        })?;
        let holder = Holder::find_or_start(lab, &keeper.program, &arguments, Some(lock.into()))
            .map_err(|error| Error::NoUserNamespaces {
                lab: lab.clone(),
                hint: holder::what_forbids_user_namespaces()
                    .or_else(|| error.to_string().contains("ENOSPC").then_some(LIMITS)),
                reason: error.to_string(),
            })?;
        Self::kept(settings, holder, lab, wanted).or_else(|error| {
            // Nothing is in it yet, and it shall not stay.
            Holder::find(lab)?.map_or(Ok(()), |holder| holder.end())?;
            Err(error)
        })
    }

    fn new(realm: Realm, keeping: Option<Keeping>, settings: &Settings, lab: &LabName) -> Self {
        let keys = LabKeys::new(StateDir::new(&settings.state_dir, lab));
        let realm = realm.with_keys(Arc::new(keys));
        let realm = match &settings.watch {
            Some(watch) => realm.watched(watch.clone()),
            None => realm,
        };
        Self { realm, keeping }
    }

    fn kept(
        settings: &Settings,
        holder: Holder,
        lab: &LabName,
        wanted: Option<&Wanted>,
    ) -> Result<Self, Error> {
        let keeper = settings.keeper.as_ref().ok_or(Error::Unprivileged)?;
        // Neither is possible once the holder's network is entered.
        let outlet = match (Outlet::find(lab)?, wanted) {
            (Some(found), Some(wanted)) if wanted.is_met_by(&found) => Some(found),
            (found, Some(wanted)) => {
                found.map_or(Ok(()), |found| found.end())?;
                Some(wanted.start(&keeper.program, lab)?)
            }
            (found, None) => found,
        };
        if keeper.join {
            holder.join()?;
            let keeping = Some(Keeping { holder, outlet, worker: None });
            return Ok(Self::new(Realm::own()?, keeping, settings, lab));
        }
        let failed = |error: std::io::Error| {
            vnet_kernel::Error::Keeper(format!("can't have a worker started: {error}"))
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let worker = Command::new(&keeper.program)
            .args([WORK, lab.as_str()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let keeping = Some(Keeping { holder, outlet, worker: Some(worker) });
        Ok(Self::new(Realm::kept(ours), keeping, settings, lab))
    }

    /// Tells whether what keeps it is still there: the holder, and the worker where there is one,
    /// which must answer: one that was just killed can't be waited for at once.
    pub(crate) fn is_well(&self) -> bool {
        self.keeping.as_ref().is_none_or(|keeping| {
            keeping.holder.is_alive() && (keeping.worker.is_none() || self.realm.names().is_ok())
        })
    }

    /// Tells whether this process has joined the holder, and can't leave it.
    pub(crate) fn is_joined(&self) -> bool {
        self.keeping.as_ref().is_some_and(|keeping| keeping.worker.is_none())
    }

    pub(crate) fn keeper_pid(&self) -> Option<u32> {
        self.keeping.as_ref().map(|keeping| keeping.holder.pid())
    }

    /// Finds what has to become of the outlet for there to be what is wanted of the machine. There is
    /// none where the lab is on the machine itself.
    pub(crate) fn outlet_change(&self, wanted: Option<&Wanted>) -> Option<OutletChange> {
        let outlet = self.keeping.as_ref()?.outlet.as_ref().filter(|outlet| outlet.is_alive());
        match (outlet, wanted) {
            (None, Some(_)) => Some(OutletChange::Starts),
            (Some(outlet), Some(wanted)) if !wanted.is_met_by(outlet) => {
                Some(OutletChange::StartsAnew)
            }
            (Some(_), None) => Some(OutletChange::Ends),
            _ => None,
        }
    }

    /// Ends the way out, which nothing needs any more.
    pub(crate) fn close_outlet(&mut self) -> Result<(), Error> {
        let outlet = self.keeping.as_mut().and_then(|keeping| keeping.outlet.take());
        Ok(outlet.map_or(Ok(()), |outlet| outlet.end())?)
    }

    /// Returns the holder's process id where this process has not joined it.
    pub(crate) fn outside_of(&self) -> Option<u32> {
        let keeping = self.keeping.as_ref()?;
        keeping.worker.as_ref().map(|_| keeping.holder.pid())
    }

    /// Ends the keeper, and with it all its namespaces.
    pub(crate) fn end(self) -> Result<(), Error> {
        let Some(mut keeping) = self.keeping else { return Ok(()) };
        keeping.reap_worker();
        keeping.holder.end()?;
        // It ends by itself then.
        Ok(keeping.outlet.as_ref().map_or(Ok(()), Outlet::wait)?)
    }
}

/// What `up` does about the outlet of an ordinary user's lab: the program that leads to the machine
/// and the world around it, and from published ports inwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutletChange {
    /// There is none that runs, and the lab needs one.
    Starts,
    /// Other ports of the machine's are to lead inwards: it is ended and started again.
    StartsAnew,
    /// Nothing of the lab needs it any more.
    Ends,
}

impl OutletChange {
    /// Returns its sign in the plan: `+`, `~` or `-`.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Starts => '+',
            Self::StartsAnew => '~',
            Self::Ends => '-',
        }
    }
}

/// What of a lab needs a way between it and the machine.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What asked for it.
    pub(crate) origin: Origin,
    /// The machine's ports that lead inwards: `tcp/8080`.
    pub(crate) published: BTreeSet<String>,
}

impl Wanted {
    fn is_met_by(&self, outlet: &Outlet) -> bool {
        self.published.iter().eq(outlet.published())
    }

    fn start(&self, keeper: &Path, lab: &LabName) -> Result<Outlet, Error> {
        let origin = self.origin;
        let publishes = !self.published.is_empty();
        let program = outlet::program(publishes).ok_or(Error::NoOutlet { publishes, origin })?;
        let program = program.to_string_lossy();
        let words = [LEAD_OUT, lab.as_str(), &program].into_iter();
        let words: Vec<&str> = words.chain(self.published.iter().map(String::as_str)).collect();
        Outlet::start(lab, keeper, &words)
            .map_err(|error| Error::Outlet { reason: error.to_string(), origin })
    }
}

impl Keeping {
    /// Ends the worker: it holds nothing that must last, and must not be left as a zombie.
    fn reap_worker(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.kill().and_then(|()| worker.wait());
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.reap_worker();
    }
}
