//! A lab: one topology that is up, or could be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vnet_kernel::observe::Scope;
use vnet_kernel::probe::MissingKind;
use vnet_kernel::process::{self, Identity, Inhabitant};
use vnet_kernel::{Observed, Realm, execute, observe};
use vnet_model::plan::{Plan, plan, plan_between};
use vnet_model::{Change, Desired, LabName, NewLink, NsName, State, Step};

use crate::error::Error;
use crate::keeper::Place;
use crate::record::Record;
use crate::state_dir::StateDir;
use crate::{Keeper, Settings, exec};

/// How often `up` looks and mends before it says that the kernel does not keep what it is told.
const ROUNDS_MAX: usize = 3;

/// How long a process of the lab has to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long `down` waits until namespaces are really gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(120);

/// A lab of this user.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    /// Where it lives; `None` for a user without privileges while no keeper runs.
    place: Option<Place>,
    keeper: Option<Keeper>,
    pub(crate) dir: StateDir,
    wait: bool,
    /// The file that is written into the record.
    pub file: Option<PathBuf>,
}

/// What `up` is doing, for whoever shows progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reads what exists.
    Observing,
    /// Does this many steps.
    Executing(usize),
    /// Reads again and compares.
    Verifying,
}

/// What `up` did.
#[derive(Debug, Clone)]
pub struct Up {
    /// The steps that were done; none where everything was as wanted.
    pub steps: Vec<Step>,
    /// What exists now.
    pub state: State,
    /// Interfaces that are in the lab's namespaces without being declared.
    pub undeclared: Vec<vnet_model::End>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How to take a lab down.
#[derive(Debug, Clone, Default)]
pub struct Down {
    /// Whether to go on when processes that vnet did not start are inside.
    pub force: bool,
    /// Whether to wait until the kernel has removed all namespaces.
    pub wait: bool,
}

/// What `down` removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The namespaces.
    pub namespaces: Vec<NsName>,
    /// How many processes were ended.
    pub processes: usize,
}

/// A lab as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What is wanted.
    pub desired: Desired,
    /// What exists.
    pub observed: State,
    /// What it takes to make the one the other.
    pub plan: Plan,
}

impl Lab {
    /// Opens a lab, which need not exist: nothing is made yet. CAP_NET_ADMIN and CAP_SYS_ADMIN, or
    /// a keeper.
    ///
    /// # Errors
    /// [`Error::Unprivileged`] with neither.
    pub fn open(settings: &Settings, name: &LabName) -> Result<Self, Error> {
        Ok(Self {
            name: name.clone(),
            place: Place::find(settings.keeper.as_ref(), name)?,
            keeper: settings.keeper.clone(),
            dir: StateDir::new(&settings.state_dir, name),
            wait: settings.wait,
            file: None,
        })
    }

    /// Returns the lab's name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// Returns the place in which the lab lives.
    ///
    /// # Errors
    /// [`Error::NotUp`] where no keeper runs.
    pub fn realm(&self) -> Result<&Realm, Error> {
        let place = self.place.as_ref().ok_or_else(|| Error::NotUp { lab: self.name.clone() })?;
        Ok(&place.realm)
    }

    /// Returns the process id of the lab's keeper, if it has one.
    #[must_use]
    pub fn keeper_pid(&self) -> Option<u32> {
        self.place.as_ref()?.keeper_pid()
    }

    /// Returns the keeper's process id, where this process is outside of its namespaces.
    pub(crate) fn outside_of(&self) -> Option<u32> {
        self.place.as_ref()?.outside_of()
    }

    /// Returns what the lab was last told to be; `None` where it is not known.
    ///
    /// # Errors
    /// When the record can't be read.
    pub fn record(&self) -> Result<Option<Record>, Error> {
        self.dir.record()
    }

    /// Tells whether another process is changing the lab right now, and its process id where it has
    /// said so: then [`Lab::up`] and [`Lab::down`] would wait for it.
    #[must_use]
    pub fn locked_by(&self) -> Option<Option<u32>> {
        self.dir.locked_by()
    }

    /// Compares what is wanted with what exists, and touches nothing.
    ///
    /// # Errors
    /// When the kernel can't be read.
    pub fn plan(&self, desired: &Desired) -> Result<Seen, Error> {
        let (observed, _) = self.look(desired)?;
        let plan = plan(desired, &observed.state);
        Ok(Seen { desired: desired.clone(), observed: observed.state, plan })
    }

    /// Looks at the lab as it was last told to be.
    ///
    /// # Errors
    /// [`Error::NotUp`] where nothing is known of it.
    pub fn show(&self) -> Result<Seen, Error> {
        let record = self.record()?.ok_or_else(|| Error::NotUp { lab: self.name.clone() })?;
        self.plan(&record.desired)
    }

    /// Builds the lab, or changes what differs: afterwards everything is as wanted, or as before.
    ///
    /// # Errors
    /// [`Error::Conflicts`] and [`Error::MissingKind`] before anything is touched; when a step
    /// fails, [`Error::Undone`].
    pub fn up(&mut self, desired: &Desired, progress: impl Fn(Phase)) -> Result<Up, Error> {
        let begin = Instant::now();
        let lock = self.dir.lock(self.wait)?;
        let result = self.up_locked(desired, &progress);
        if result.is_err() && !self.has_remains() {
            // Nothing of the lab exists: neither shall its folder, nor a keeper of nothing.
            let _ = self.dir.remove().and_then(|()| self.leave());
        }
        drop(lock);
        result.map(|up| Up { elapsed: begin.elapsed(), ..up })
    }

    fn up_locked(&mut self, desired: &Desired, progress: &impl Fn(Phase)) -> Result<Up, Error> {
        if self.place.is_none() {
            self.place = Some(Place::start(self.keeper.as_ref(), &self.name)?);
        }
        progress(Phase::Observing);
        let (start, recorded) = self.look(desired)?;
        let first = plan(desired, &start.state);
        if !first.conflicts.is_empty() {
            return Err(Error::Conflicts { conflicts: first.conflicts });
        }
        let previous = recorded.as_ref().map(Record::known);
        let record = Record::new(desired.clone(), None, self.file.clone());
        if first.is_empty() {
            if recorded.as_ref() != Some(&record) {
                self.dir.write_record(&record, false)?;
                exec::write_files(&self.dir, desired)?;
            }
            let (steps, undeclared) = (Vec::new(), first.undeclared);
            return Ok(Up { steps, state: start.state, undeclared, elapsed: Duration::ZERO });
        }
        check_kinds(self.realm()?, &first.steps)?;
        let intent = Record::new(desired.clone(), previous, self.file.clone());
        self.dir.write_record(&intent, true)?;
        exec::write_files(&self.dir, desired)?;
        match self.reach(desired, &start, first, progress) {
            Ok(up) => {
                self.dir.write_record(&record, false)?;
                Ok(up)
            }
            Err(failure) => Err(self.undo(failure, &start, recorded, &intent)),
        }
    }

    /// Does the steps, looks again, and mends what the kernel did differently.
    fn reach(
        &self,
        desired: &Desired,
        start: &Observed,
        first: Plan,
        progress: &impl Fn(Phase),
    ) -> Result<Up, Failure> {
        let realm = self.realm().map_err(Failure::Look)?;
        let mut steps = Vec::new();
        let mut next = first.steps;
        let mut observed = start.clone();
        for _ in 0..ROUNDS_MAX {
            progress(Phase::Executing(next.len()));
            execute(realm, &observed, &next).map_err(Failure::Step)?;
            steps.append(&mut next);
            progress(Phase::Verifying);
            observed = self.look(desired).map_err(Failure::Look)?.0;
            let rest = plan(desired, &observed.state);
            if rest.is_empty() {
                let (state, undeclared) = (observed.state, rest.undeclared);
                return Ok(Up { steps, state, undeclared, elapsed: Duration::ZERO });
            }
            next = rest.steps;
        }
        Err(Failure::NotKept(next))
    }

    /// Brings back the state from before, whatever part of the steps was done.
    fn undo(
        &self,
        failure: Failure,
        start: &Observed,
        recorded: Option<Record>,
        intent: &Record,
    ) -> Error {
        let undone = self.look(&intent.desired).map(|(now, _)| now).and_then(|now| {
            let back = plan_between(&self.name, &start.state, &now.state);
            execute(self.realm()?, &now, &back.steps)?;
            Ok(())
        });
        let kept = match recorded {
            Some(record) => self.dir.write_record(&record, true),
            None if self.has_remains() => Ok(()),
            None => self.dir.remove(),
        };
        match (failure, undone.and(kept)) {
            (Failure::Step(source), Ok(())) => Error::Undone { source },
            (Failure::Step(source), Err(Error::Kernel(undo))) => {
                Error::NotUndone { source, undo: Box::new(undo) }
            }
            (Failure::NotKept(steps), _) => Error::NotKept { steps },
            (Failure::Look(error), _) | (Failure::Step(_), Err(error)) => error,
        }
    }

    /// Takes the lab down: ends what vnet started in it, and removes all namespaces that carry its
    /// mark, whatever else is known of it. Goes on after a failure, and tells all at the end.
    ///
    /// # Errors
    /// [`Error::Inhabited`] when processes that vnet did not start are inside (nothing is removed,
    /// unless forced), [`Error::NotUp`] when there is nothing.
    pub fn down(&mut self, how: &Down) -> Result<Removed, Error> {
        if !self.dir.exists() && !self.has_remains() {
            self.leave()?;
            return Err(Error::NotUp { lab: self.name.clone() });
        }
        let lock = self.dir.lock(self.wait)?;
        let names = self.namespaces()?;
        let processes = self.clear_out(&names, how)?;
        if how.force {
            self.delete_links()?;
        }
        self.unpin(&names)?;
        self.dir.remove()?;
        drop(lock);
        if how.wait
            && let Ok(realm) = self.realm()
        {
            realm.wait_until_gone(GONE_TIMEOUT)?;
        }
        self.leave()?;
        Ok(Removed { namespaces: names, processes })
    }

    /// Lists the pins that carry the lab's mark.
    ///
    /// # Errors
    /// When the folder of pins can't be read.
    pub fn namespaces(&self) -> Result<Vec<NsName>, Error> {
        let Ok(realm) = self.realm() else { return Ok(Vec::new()) };
        let marked = vnet_kernel::observe::list_marked(realm)?;
        Ok(marked.into_iter().filter(|(_, m)| m.lab == self.name).map(|(ns, _)| ns).collect())
    }

    fn unpin(&self, names: &[NsName]) -> Result<(), Error> {
        let Ok(realm) = self.realm() else { return Ok(()) };
        realm.remove(names).map_err(|errors| Error::NotRemoved {
            errors: errors.into_iter().map(|(_, error)| error).collect(),
        })
    }

    /// Ends the keeper, if there is one: the lab no longer needs a place.
    fn leave(&mut self) -> Result<(), Error> {
        match self.place.take_if(|place| place.keeper_pid().is_some()) {
            Some(place) => place.end(),
            None => Ok(()),
        }
    }

    fn has_remains(&self) -> bool {
        self.namespaces().is_ok_and(|names| !names.is_empty())
    }

    /// Ends the processes in the lab that vnet started, and refuses where there are others.
    fn clear_out(&self, names: &[NsName], how: &Down) -> Result<usize, Error> {
        let Ok(realm) = self.realm() else { return Ok(0) };
        let (names, identities): (Vec<NsName>, Vec<Identity>) =
            realm.identities(names)?.into_iter().unzip();
        let inside = process::inhabitants(&identities, &exec::started_line(&self.name));
        let (ours, foreign): (Vec<Inhabitant>, Vec<Inhabitant>) =
            inside.into_iter().partition(|inhabitant| inhabitant.started);
        if !foreign.is_empty() && !how.force {
            let place = |who: Inhabitant| names.get(who.place).map(|name| (name.clone(), who));
            let inhabitants = foreign.into_iter().filter_map(place).collect();
            return Err(Error::Inhabited { inhabitants });
        }
        process::end(&ours, &identities, PATIENCE);
        Ok(ours.len())
    }

    /// Deletes all interfaces of the lab's namespaces, which somebody else may keep alive.
    fn delete_links(&self) -> Result<(), Error> {
        let nothing = State::default();
        let scope = Scope { lab: &self.name, declared: &nothing, recorded: None };
        let Ok(realm) = self.realm() else { return Ok(()) };
        let mut now = observe(realm, scope)?;
        let mut steps = Vec::new();
        let ends: Vec<_> = now
            .state
            .namespaces
            .iter()
            .flat_map(|(ns, found)| found.interfaces.keys().map(|name| (ns.clone(), name.clone())))
            .filter(|(_, name)| name.as_str() != vnet_model::apply::LOOPBACK)
            .collect();
        for (ns, name) in ends {
            let step = Step::new(ns, Change::DelLink { name });
            if step.apply(&mut now.state).is_ok() {
                steps.push(step);
            }
        }
        Ok(execute(realm, &now, &steps)?)
    }

    /// Reads the lab, and the record that says what in it is its own.
    fn look(&self, desired: &Desired) -> Result<(Observed, Option<Record>), Error> {
        let record = self.record()?;
        let Ok(realm) = self.realm() else { return Ok((Observed::default(), record)) };
        let known = record.as_ref().map(Record::known);
        let scope = Scope { lab: &self.name, declared: &desired.state, recorded: known.as_ref() };
        Ok((observe(realm, scope)?, record))
    }
}

/// Why a change has to be undone.
enum Failure {
    Step(vnet_kernel::Error),
    Look(Error),
    NotKept(Vec<Step>),
}

/// Finds out whether the kernel has all kinds of interfaces that the steps make.
fn check_kinds(realm: &Realm, steps: &[Step]) -> Result<(), Error> {
    let mut kinds: Vec<&str> = steps
        .iter()
        .filter_map(|step| match &step.change {
            Change::AddLink { link: NewLink::Veth { .. }, .. } => Some("veth"),
            Change::AddLink { link: NewLink::Bridge { .. }, .. } => Some("bridge"),
            _ => None,
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    match realm.missing_kinds(&kinds)?.into_iter().next() {
        None => Ok(()),
        Some(MissingKind { kind, module, config }) => {
            Err(Error::MissingKind { kind, module, config })
        }
    }
}
