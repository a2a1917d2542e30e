//! `up`: builds a lab or changes it, and goes back where that fails.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vnet_kernel::limits::Limits;
use vnet_kernel::probe::{BRIDGE_VLAN, MissingKind};
use vnet_kernel::{Observed, Realm, execute_while};
use vnet_model::kind::{KindSpec, Options};
use vnet_model::nft::Table;
use vnet_model::plan::{Plan, plan_between};
use vnet_model::{Change, Desired, LinkSetting, NewLink, NsName, Owner, State, Step};

use super::{Lab, Phase, Up, host, part, sysctls};
use crate::cancel::Cancel;
use crate::confirm::{Guard, Pending};
use crate::error::Error;
use crate::exec;
use crate::filter;
use crate::keeper::Place;
use crate::limits;
use crate::nft_text;
use crate::record::{Record, Written};
use crate::state_dir::Lock;

/// How often the way to a state is gone, and what the kernel did differently is mended, before it is
/// said that the kernel does not keep what it is told.
pub(super) const ROUNDS_MAX: usize = 3;

/// How often somebody else may get in the way meanwhile.
pub(super) const RACES_MAX: usize = 5;

/// How long what is in the way may take to go, each time.
const WHAT_GOES: Duration = Duration::from_secs(2);

/// How many indexes are left to somebody who makes interfaces at the same time.
const ROOM_FOR_OTHERS: u32 = 1024;

/// What going to a state has come to.
pub(super) struct Reached {
    observed: Observed,
    plan: Plan,
    steps: Vec<Step>,
}

impl Lab {
    /// Builds the lab, or changes what differs: afterwards everything is as wanted, or as before.
    ///
    /// # Errors
    /// [`Error::Conflicts`] and [`Error::MissingKind`] before anything is touched; when a step
    /// fails, [`Error::Undone`]; [`Error::Interrupted`] when it was called off.
    pub fn up(&mut self, desired: &Desired, progress: impl Fn(Phase)) -> Result<Up, Error> {
        self.up_guarded(desired, None, &progress)
    }

    /// Does what `up` does; a guard stands by to take it back.
    pub(super) fn up_guarded(
        &mut self,
        desired: &Desired,
        guard: Option<&Guard>,
        progress: &impl Fn(Phase),
    ) -> Result<Up, Error> {
        let begin = Instant::now();
        // Before a keeper is joined: what limits its user is not seen in there.
        let limits = Limits::read();
        self.wanted = host::wanted(desired);
        let lock = self.lock()?;
        let earlier = self.dir.pending()?;
        let result = self.up_locked(desired, &lock, limits, (guard, earlier.as_ref()), progress);
        if let (Ok(_), Some(earlier)) = (&result, &earlier) {
            earlier.end_worker();
        }
        if result.is_err() {
            let wanted = |record: Record| host::wanted(&record.desired);
            self.wanted = self.record().ok().flatten().and_then(wanted);
        }
        if self.wanted.is_none() && guard.is_none() {
            self.close_outlet();
        }
        if result.is_err() && self.is_gone() {
            // Nothing of the lab exists: neither shall a keeper of nothing, nor its folder, which
            // goes last, since with it goes the lock.
            let _ = self.leave().and_then(|()| self.dir.remove(&lock));
        }
        drop(lock);
        result.map(|up| Up { elapsed: begin.elapsed(), ..up })
    }

    fn up_locked(
        &mut self,
        desired: &Desired,
        lock: &Lock,
        limits: Limits,
        (guard, earlier): (Option<&Guard>, Option<&Pending>),
        progress: &impl Fn(Phase),
    ) -> Result<Up, Error> {
        Cancel::check(self.settings.cancel.as_ref())?;
        if self.place()?.is_none() {
            self.place =
                Some(Place::start(&self.settings, &self.name, self.wanted.as_ref(), lock)?).into();
        }
        progress(Phase::Observing);
        let tried = nft_text::try_out(self.realm()?, desired)?;
        let desired = tried.as_ref();
        let written = Written::of(desired);
        let (start, recorded) = self.look_as(&written)?;
        let target = self.target(&desired.state, &start.state, recorded.as_ref())?;
        let first = plan_between(&self.name, &target, &start.state);
        if !first.conflicts.is_empty() {
            return Err(Error::Conflicts { conflicts: first.conflicts });
        }
        if first.is_empty() {
            let file = self.file.as_deref();
            let is_same = |record: &Record| record.is_settled_as(desired, file);
            if !recorded.as_ref().is_some_and(is_same) {
                self.dir.write_record_text(&written.record(None, file), false)?;
                exec::write_files(&self.dir, desired)?;
            }
            self.hold_over(guard, earlier)?;
            return Ok(up(Reached { observed: start, plan: first, steps: Vec::new() }));
        }
        self.check_host(desired, &start)?;
        check_kinds(self.realm()?, &first.steps)?;
        filter::check(self.realm()?, &first.steps)?;
        sysctls::check(self.realm()?, &first.steps)?;
        self.check_limits(&first.steps, desired, limits, progress)?;
        // Where the record is lost, what was there says what must be looked at to undo this.
        let (before, previous) = match &recorded {
            Some(record) => (Cow::Borrowed(&start), record.known()),
            None => self.look_at_all(desired, &start)?,
        };
        let previous = (!previous.namespaces.is_empty()).then_some(previous);
        let intent = Record::new(desired.clone(), previous, self.file.clone());
        let pending = self.prepare_to_go_back(guard, earlier, recorded.as_ref(), &before)?;
        let change = self.change(&intent, &written, &target, (&start, first), progress);
        let done = change.and_then(|reached| {
            let settled = written.record(None, intent.file.as_deref());
            self.dir.write_record_text(&settled, false)?;
            match (pending, guard) {
                // The time begins now.
                (Some(mut pending), Some(guard)) => {
                    pending.begin(guard.within());
                    self.dir.write_pending(&pending)?;
                }
                _ => self.dir.settle()?,
            }
            Ok(reached)
        });
        match done {
            Ok(reached) => Ok(up(reached)),
            Err(error) => {
                let error = self.undo(error, &before, recorded.as_ref(), &intent);
                Err(self.as_it_was_pending(earlier, error))
            }
        }
    }

    /// Looks again where no record says what was declared: all that the lab's own interfaces are may
    /// have to come back. Returns what is there, and what of it is the lab's own.
    fn look_at_all<'o>(
        &self,
        desired: &Desired,
        start: &'o Observed,
    ) -> Result<(Cow<'o, Observed>, State), Error> {
        let own_of_start = own(&start.state);
        if own_of_start.namespaces.is_empty() {
            return Ok((Cow::Borrowed(start), own_of_start));
        }
        let asking = Record::new(desired.clone(), Some(own_of_start.asking_for_all()), None);
        let mut before = self.look_by(desired, Some(&asking), None)?;
        before.state.keep_telling(&desired.state);
        let own = own(&before.state);
        Ok((Cow::Owned(before), own))
    }

    /// Finds out whether there is room for what is to be made.
    fn check_limits(
        &self,
        steps: &[Step],
        desired: &Desired,
        limits: Limits,
        progress: &impl Fn(Phase),
    ) -> Result<(), Error> {
        let new = steps.iter().filter(|s| matches!(s.change, Change::AddNamespace { .. })).count();
        let is_many = new as u64 >= limits::FEW_NAMESPACES;
        let is_kept = self.keeper_pid().is_some();
        let there = limits::There {
            // A keeper has one of its own.
            namespaces: self.realm()?.names()?.len() as u64 + u64::from(is_kept),
            mounts: is_many.then(vnet_kernel::limits::count_mounts),
        };
        let limits = if is_kept { limits.and(Limits::read()) } else { limits };
        let check = limits::check(steps, &desired.state, there, limits);
        if !check.refused.is_empty() {
            return Err(Error::TooLittle { shortages: check.refused });
        }
        check.doubtful.into_iter().for_each(|shortage| progress(Phase::Doubting(shortage)));
        Ok(())
    }

    /// Writes down what was before, where a guard stands by.
    fn prepare_to_go_back(
        &self,
        guard: Option<&Guard>,
        earlier: Option<&Pending>,
        recorded: Option<&Record>,
        start: &Observed,
    ) -> Result<Option<Pending>, Error> {
        let Some(guard) = guard else { return Ok(None) };
        let pending = match earlier {
            // What was not confirmed goes back too.
            Some(earlier) => guard.pending(earlier.record.clone(), earlier.before.clone()),
            None => {
                let known = recorded.map(|record| &record.desired.state);
                guard.pending(recorded.cloned(), to_go_back_to(start, known))
            }
        }?;
        self.dir.write_pending(&pending)?;
        Ok(Some(pending))
    }

    /// Does what an `up` that changes nothing means for an earlier change that waits: it is confirmed,
    /// or its time begins anew.
    fn hold_over(&self, guard: Option<&Guard>, earlier: Option<&Pending>) -> Result<(), Error> {
        match (guard, earlier) {
            (_, None) => Ok(()),
            (None, Some(_)) => self.dir.settle(),
            (Some(guard), Some(earlier)) => {
                let pending = guard.pending(earlier.record.clone(), earlier.before.clone())?;
                self.dir.write_pending(&pending)
            }
        }
    }

    /// Lets an earlier change wait again after a later one has failed.
    fn as_it_was_pending(&self, earlier: Option<&Pending>, error: Error) -> Error {
        let restored = match earlier {
            // What could not be undone now may be later.
            _ if matches!(error, Error::NotUndone { .. }) => return error,
            Some(earlier) => self.dir.write_pending(earlier),
            None => self.dir.settle(),
        };
        match restored {
            Ok(()) => error,
            Err(undo) => Error::NotUndone { source: error.into(), undo: undo.into() },
        }
    }

    /// Writes down what is meant, and does it.
    fn change(
        &self,
        intent: &Record,
        written: &Written<'_>,
        target: &State,
        (start, first): (&Observed, Plan),
        progress: &impl Fn(Phase),
    ) -> Result<Reached, Error> {
        self.say("the intent is to be written")?;
        let text = written.record(intent.previous.as_ref(), intent.file.as_deref());
        self.dir.write_record_text(&text, true)?;
        exec::write_files(&self.dir, &intent.desired)?;
        self.say("the intent is written")?;
        let seen = Some((start.clone(), first));
        let to = |now: &State| plan_between(&self.name, target, now);
        let reached = self.go(intent, &to, seen, self.settings.cancel.as_ref(), progress)?;
        self.say("all is as wanted")?;
        Cancel::check(self.settings.cancel.as_ref())?;
        Ok(reached)
    }

    /// Goes to a state: does the steps, looks again at what they touched, and mends what the kernel
    /// did differently, or somebody else meanwhile.
    pub(super) fn go(
        &self,
        intent: &Record,
        to: &dyn Fn(&State) -> Plan,
        mut seen: Option<(Observed, Plan)>,
        cancel: Option<&Cancel>,
        progress: &impl Fn(Phase),
    ) -> Result<Reached, Error> {
        let (mut rounds, mut races) = (0, 0);
        let mut steps = Vec::new();
        let mut touched = None;
        loop {
            let (mut observed, plan) = match seen.take() {
                Some(seen) => seen,
                None => {
                    progress(Phase::Verifying);
                    let observed = self.look_after(intent, touched.take())?;
                    let plan = to(&observed.state);
                    (observed, plan)
                }
            };
            if !plan.conflicts.is_empty() {
                return Err(Error::Conflicts { conflicts: plan.conflicts });
            }
            if plan.is_empty() {
                return Ok(Reached { observed, plan, steps });
            }
            if rounds == ROUNDS_MAX {
                return Err(Error::NotKept { steps: plan.steps });
            }
            if races > 0 {
                let indexes = observed.indexes.values_mut();
                indexes.for_each(|indexes| indexes.leave_room(ROOM_FOR_OTHERS));
            }
            progress(Phase::Executing(plan.steps.len()));
            let go_on = || Cancel::check(cancel).is_ok();
            match execute_while(self.realm()?, &observed, &plan.steps, &go_on) {
                Ok(()) => {
                    rounds += 1;
                    touched = Some((observed, part::of_steps(&plan.steps)));
                }
                Err(error) if error.is_race() && races < RACES_MAX => {
                    races += 1;
                    if error.is_of_what_goes() {
                        // Where it takes longer, the next attempt tells.
                        let _ = self.realm()?.wait_until_gone(WHAT_GOES);
                    }
                }
                Err(error) => {
                    Cancel::check(cancel)?;
                    return Err(error.into());
                }
            }
            steps.extend(plan.steps);
        }
    }

    /// Reads what steps have touched, or everything where that is not known.
    fn look_after(
        &self,
        intent: &Record,
        touched: Option<(Observed, BTreeSet<NsName>)>,
    ) -> Result<Observed, Error> {
        let desired = &intent.desired;
        let Some((mut known, touched)) = touched else {
            return self.look_by(desired, Some(intent), None);
        };
        let part = part::with_neighbours(&touched, &[&desired.state, &known.state]);
        let names: Vec<NsName> = part.iter().cloned().collect();
        let found = self.look_by(desired, Some(intent), Some(&names))?;
        part::take(&mut known, &part, found);
        Ok(known)
    }

    /// Brings back the state from before, whatever part of the steps was done.
    fn undo(
        &mut self,
        error: Error,
        start: &Observed,
        recorded: Option<&Record>,
        intent: &Record,
    ) -> Error {
        let undone = self.go_back(start, intent).and_then(|()| match recorded {
            Some(record) => {
                exec::write_files(&self.dir, &record.desired)?;
                self.dir.write_record(record, true)
            }
            None => self.dir.clear(),
        });
        match (error, undone) {
            (Error::Kernel(source), Ok(())) => Error::Undone { source },
            (error, Ok(())) => error,
            // The record goes on to say what was meant, and what was before.
            (error, Err(undo)) => Error::NotUndone { source: error.into(), undo: undo.into() },
        }
    }

    fn go_back(&mut self, start: &Observed, intent: &Record) -> Result<(), Error> {
        // It may be for want of a worker that there is something to undo.
        self.find_place_again()?;
        self.say("all is to be undone")?;
        let before = to_go_back_to(start, intent.previous.as_ref());
        let back = |now: &State| plan_between(&self.name, &before, now);
        self.go(intent, &back, None, None, &|_| {})?;
        self.say("all is undone")
    }
}

/// Returns what is surely the lab's own in a state: what others have made must not look like it.
fn own(state: &State) -> State {
    let mut own = state.clone();
    own.namespaces.retain(|_, ns| matches!(ns.owner, Owner::Lab(_)) && !ns.interfaces.is_empty());
    for ns in own.namespaces.values_mut() {
        ns.interfaces.retain(|_, interface| interface.ours);
        for interface in ns.interfaces.values_mut() {
            // These are seen of each interface, whether or not they were ever said: they must not go back.
            (interface.txqueuelen, interface.ipv6) = (None, None);
        }
    }
    own
}

/// Returns what was there, but for what is left of a creation that was cut short: that can't be made
/// again, and nobody misses it. Tables that a text made are made again by that text, since not all
/// that is in them is known here.
fn to_go_back_to(start: &Observed, known: Option<&State>) -> State {
    let mut before = start.state.clone();
    before.namespaces.retain(|_, ns| !matches!(ns.owner, Owner::Stale(_)));
    let known = known.into_iter().flat_map(|known| &known.namespaces);
    for (name, raw) in known.filter_map(|(name, ns)| Some((name, ns.nft_text.as_ref()?))) {
        let Some(ns) = before.namespaces.get_mut(name) else { continue };
        let is_there = |table: &Table| ns.tables.get(&table.id) == Some(table);
        if raw.tables.iter().flatten().all(is_there) {
            ns.tables.retain(|id, _| !raw.tables.iter().flatten().any(|table| table.id == *id));
            ns.nft_text = Some(raw.clone());
        }
    }
    before
}

fn up(reached: Reached) -> Up {
    let Reached { observed, plan, steps } = reached;
    Up { steps, state: observed.state, undeclared: plan.undeclared, elapsed: Duration::ZERO }
}

/// Finds out whether the kernel has all kinds of interfaces that the steps make, and bridges that
/// keep VLANs apart where one is to.
fn check_kinds(realm: &Realm, steps: &[Step]) -> Result<(), Error> {
    let keeps_vlans = |step: &&Step| match &step.change {
        Change::SetPortVlan { .. } => true,
        Change::AddLink { link: NewLink::Device { device, .. }, .. } => {
            says_vlans(device.spec, &device.options)
        }
        Change::SetLink { set: LinkSetting::Options { spec, port: false, set, .. }, .. } => {
            says_vlans(spec, set)
        }
        _ => false,
    };
    let made = steps.iter().filter_map(|step| match &step.change {
        // Whatever it is, it is there.
        Change::AddLink { link: NewLink::Device { device, .. }, .. }
            if device.spec.is_physical() =>
        {
            None
        }
        Change::AddLink { link, .. } => Some(link.kind()),
        _ => None,
    });
    let mut kinds: Vec<&str> = made.collect();
    kinds.extend(steps.iter().find(keeps_vlans).map(|_| BRIDGE_VLAN));
    kinds.sort_unstable();
    kinds.dedup();
    match realm.missing_kinds(&kinds)?.into_iter().next() {
        None => Ok(()),
        Some(MissingKind { kind, module, config }) => {
            Err(Error::MissingKind { kind, module, config })
        }
    }
}

/// Tells whether options of a bridge are about VLANs: without them the kernel refuses some, and takes no
/// notice of others (`br_changelink`, net/bridge/br_netlink.c).
fn says_vlans(spec: &KindSpec, options: &Options) -> bool {
    spec.is_bridge() && options.of(spec.options).any(|(option, _)| option.word.starts_with("vlan_"))
}
