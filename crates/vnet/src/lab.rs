//! A lab: one topology that is up, or could be.

mod confirm;
mod cut;
mod down;
mod host;
mod part;
mod single;
mod sysctls;
mod up;
pub mod watch;

use std::borrow::Cow;
use std::iter;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use vnet_kernel::observe::Scope;
use vnet_kernel::{Observed, Realm, observe, observe_some, probe};
use vnet_model::plan::{Plan, plan_between, with_what_goes_back};
use vnet_model::{Desired, LabName, Namespace, NsName, State, Step};

use crate::Settings;
use crate::error::Error;
use crate::keeper::{OutletChange, Place, Wanted};
use crate::limits::Shortage;
use crate::nft_text;
use crate::record::{Record, Written};
use crate::state_dir::{Lock, StateDir};

/// A lab of this user.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    settings: Settings,
    /// Where it lives, as soon as somebody wants to know; `None` for a user without privileges while
    /// no keeper runs. A change looks for it under the lock: before, others may end the keeper.
    place: OnceLock<Option<Place>>,
    /// What the change under way wants of the machine around an ordinary user's lab.
    wanted: Option<Wanted>,
    pub(crate) dir: StateDir,
    /// The file that is written into the record.
    pub file: Option<PathBuf>,
}

/// What `up` is doing, for whoever shows progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reads what exists.
    Observing,
    /// Finds that there may be too little of something, and goes on.
    Doubting(Shortage),
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
    /// What is in the lab's namespaces without being declared.
    pub undeclared: Vec<vnet_model::plan::Undeclared>,
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
    /// What it takes beside that, where the lab is an ordinary user's.
    pub outlet: Option<OutletChange>,
    /// What the lab was last told to be, where that is known.
    pub recorded: Option<Record>,
}

impl Lab {
    /// Opens a lab, which need not exist: nothing is made yet. CAP_NET_ADMIN and CAP_SYS_ADMIN, or
    /// a keeper.
    ///
    /// # Errors
    /// [`Error::Unprivileged`] with neither.
    pub fn open(settings: &Settings, name: &LabName) -> Result<Self, Error> {
        if settings.keeper.is_none() && !probe::is_privileged() {
            return Err(Error::Unprivileged);
        }
        Ok(Self {
            name: name.clone(),
            settings: settings.clone(),
            place: OnceLock::new(),
            dir: StateDir::new(&settings.state_dir, name),
            wanted: None,
            file: None,
        })
    }

    /// Makes whatever follows heed no [`Cancel`](crate::Cancel), such as a teardown that was promised.
    pub fn insist(&mut self) {
        self.settings.cancel = None;
    }

    /// Fails once a [`Cancel`](crate::Cancel) is raised.
    pub(crate) fn check_cancel(&self) -> Result<(), Error> {
        crate::Cancel::check(self.settings.cancel.as_ref())
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
        let place = self.place()?.ok_or_else(|| Error::NotUp { lab: self.name.clone() })?;
        Ok(&place.realm)
    }

    /// Returns the process id of the lab's keeper, if it has one.
    #[must_use]
    pub fn keeper_pid(&self) -> Option<u32> {
        self.place().ok()??.keeper_pid()
    }

    /// Returns the keeper's process id, where this process is outside of its namespaces.
    pub(crate) fn outside_of(&self) -> Option<u32> {
        self.place().ok()??.outside_of()
    }

    /// Finds the place in which the lab lives, if there is one yet.
    fn place(&self) -> Result<Option<&Place>, Error> {
        if self.place.get().is_none() {
            let found = Place::find(&self.settings, &self.name, self.wanted.as_ref())?;
            // Where another thread was faster, it found the same.
            let _ = self.place.set(found);
        }
        Ok(self.place.get().and_then(Option::as_ref))
    }

    /// Takes the lock, and then looks again for the place: whoever had the lock before may have
    /// ended the keeper, or started one.
    pub(crate) fn lock(&mut self) -> Result<Lock, Error> {
        let lock = self.dir.lock(self.settings.wait, self.settings.cancel.as_ref())?;
        self.find_place_again()?;
        Ok(lock)
    }

    /// Forgets a place that is no more, or has lost its worker.
    fn find_place_again(&mut self) -> Result<(), Error> {
        if let Some(Some(place)) = self.place.get() {
            if place.is_well()
                && self.wanted.as_ref().is_none_or(|it| place.outlet_change(Some(it)).is_none())
            {
                return Ok(());
            }
            if place.is_joined() {
                let why = format!("of lab {} has ended meanwhile", self.name);
                return Err(vnet_kernel::Error::Keeper(why).into());
            }
        }
        self.place.take();
        Ok(())
    }

    /// Ends the keeper, if there is one: the lab no longer needs a place.
    fn leave(&mut self) -> Result<(), Error> {
        if self.keeper_pid().is_none() {
            return Ok(());
        }
        match self.place.take().flatten() {
            Some(place) => place.end(),
            None => Ok(()),
        }
    }

    /// Ends the way to the world that the lab no longer needs.
    fn close_outlet(&mut self) {
        if let Some(Some(place)) = self.place.get_mut() {
            // One that does not end leads nobody out: no node is linked to its host.
            let _ = place.close_outlet();
        }
    }

    /// Tells whether it is certain that no namespace of the lab is left, and in a keeper's realm
    /// none of the user's own making either.
    fn is_gone(&self) -> bool {
        match self.place() {
            Ok(None) => true,
            Ok(Some(place)) if place.keeper_pid().is_some() => {
                place.realm.names().is_ok_and(|names| names.is_empty())
            }
            Ok(Some(_)) => self.namespaces().is_ok_and(|names| names.is_empty()),
            Err(_) => false,
        }
    }

    /// Lets whoever looks on know where a change is.
    fn say(&self, what: &'static str) -> Result<(), Error> {
        match self.place()? {
            Some(place) => Ok(place.realm.say(what)?),
            None => Ok(()),
        }
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
        let desired = match self.place()? {
            Some(place) => nft_text::try_out(&place.realm, desired)?,
            None => Cow::Borrowed(desired),
        };
        let (observed, recorded) = self.look_as(&Written::of(&desired))?;
        let target = self.target(&desired.state, &observed.state, recorded.as_ref())?;
        let plan = plan_between(&self.name, &target, &observed.state);
        let wanted = host::wanted(&desired);
        let outlet = match self.place()? {
            Some(place) => place.outlet_change(wanted.as_ref()),
            // There is no keeper yet, and so none that it would lead out of.
            None => wanted.map(|_| OutletChange::Starts),
        };
        let desired = desired.into_owned();
        Ok(Seen { desired, observed: observed.state, plan, outlet, recorded })
    }

    /// Has the program `nft` read the `nftables:` texts of what is wanted, in a namespace that goes at
    /// once: returns for each what is wrong with it first, [`Error::NftText`] or
    /// [`Error::MissingProgram`]. `None` where there is no place for that: for an ordinary user before
    /// `up`.
    ///
    /// # Errors
    /// When such a namespace can't be made.
    pub fn try_texts(&self, desired: &Desired) -> Result<Option<Vec<Error>>, Error> {
        self.place()?.map(|place| nft_text::mistakes(&place.realm, desired)).transpose()
    }

    /// Looks at the lab as it was last told to be.
    ///
    /// # Errors
    /// [`Error::NotUp`] where nothing is known of it.
    pub fn show(&self) -> Result<Seen, Error> {
        let record = self.record()?.ok_or_else(|| Error::NotUp { lab: self.name.clone() })?;
        self.plan(&record.desired)
    }

    /// Lists the pins that carry the lab's mark.
    ///
    /// # Errors
    /// When the folder of pins can't be read.
    pub fn namespaces(&self) -> Result<Vec<NsName>, Error> {
        let Some(place) = self.place()? else { return Ok(Vec::new()) };
        let marked = vnet_kernel::observe::list_marked(&place.realm)?;
        Ok(marked.into_iter().filter(|(_, m)| m.lab == self.name).map(|(ns, _)| ns).collect())
    }

    /// Reads the lab, by the record that says what in it is its own.
    pub(crate) fn look(&self, desired: &Desired) -> Result<Observed, Error> {
        Ok(self.look_as(&Written::of(desired))?.0)
    }

    /// Reads the lab and its record.
    fn look_as(&self, wanted: &Written<'_>) -> Result<(Observed, Option<Record>), Error> {
        let record = self.dir.record_as(wanted)?;
        Ok((self.look_by(wanted.desired, record.as_ref(), None)?, record))
    }

    /// Returns what is wanted, and with it what goes back: what the record says was meant before, and is
    /// no longer.
    fn target<'d>(
        &self,
        wanted: &'d State,
        observed: &State,
        record: Option<&Record>,
    ) -> Result<Cow<'d, State>, Error> {
        let known: Vec<&State> = record
            .into_iter()
            .flat_map(|r| iter::once(&r.desired.state).chain(&r.previous))
            .collect();
        with_what_goes_back(wanted, &known, observed, |ns| match ns.is_host() {
            false => Ok(self.realm()?.born_sysctls()?),
            true => Ok(self.realm()?.sysctls_of(ns)?),
        })
    }

    /// Reads the lab, or those of its namespaces that have one of some names, by a record that is
    /// known.
    fn look_by(
        &self,
        desired: &Desired,
        record: Option<&Record>,
        names: Option<&[NsName]>,
    ) -> Result<Observed, Error> {
        let Some(place) = self.place()? else { return Ok(Observed::default()) };
        // Each for itself: while a change is under way, an interface may have either address.
        let recorded: Option<Vec<&State>> =
            record.map(|r| iter::once(&r.desired.state).chain(&r.previous).collect());
        let recorded = recorded.as_deref();
        let declared = declared(&desired.state, recorded.unwrap_or_default());
        let scope = Scope { lab: &self.name, declared: &declared, recorded };
        Ok(match names {
            Some(names) => observe_some(&place.realm, scope, names)?,
            None => observe(&place.realm, scope)?,
        })
    }
}

/// Adds the sysctls that were declared before: what is undone must know their values.
fn declared<'a>(desired: &'a State, known: &[&State]) -> Cow<'a, State> {
    let mut declared = Cow::Borrowed(desired);
    let known = known.iter().flat_map(|known| &known.namespaces);
    for (name, ns) in known.filter(|(_, ns)| !ns.sysctls.is_empty()) {
        let there = declared.namespaces.get(name);
        let is_there = |key: &String| there.is_some_and(|there| there.sysctls.contains_key(key));
        if ns.sysctls.keys().all(is_there) {
            continue;
        }
        let there = &mut declared.to_mut().namespaces;
        let there = there.get_or_insert_with(name.clone(), || Namespace::new(ns.owner.clone()));
        for (key, value) in &ns.sysctls {
            there.sysctls.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    declared
}
