//! What is known of a lab that is watched, and how it is kept up to date.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vnet_kernel::{Heard, Hub, Observed, execute};
use vnet_model::plan::{Plan, plan_between};
use vnet_model::state::IPV6_FORWARDING;
use vnet_model::{NsName, Step};

use super::{Difference, Ended, Notice, Watching};
use crate::error::Error;
use crate::lab::up::{RACES_MAX, ROUNDS_MAX};
use crate::lab::{Lab, part};
use crate::record::Record;
use crate::state_dir::Stamp;

/// How long nothing may happen before it is looked whether the lab is still up.
const TICK: Duration = Duration::from_millis(200);

/// How long others may have the lock before it is looked again.
const BUSY_TICK: Duration = Duration::from_millis(20);

/// How long after the first event it is looked what has changed: mostly more follow.
const SETTLE: Duration = Duration::from_millis(5);

/// For how long what goes on happening is heard before it is looked at.
const FLOOD: Duration = Duration::from_millis(20);

/// Polling takes at most this share of the time, as one part in so many.
const POLL_SHARE: u32 = 20;

/// How long after a failure mending is tried again: at first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How whoever watches is told.
type Tell<'t> = &'t mut dyn FnMut(Notice<'_>) -> ControlFlow<()>;

/// What looking has come to.
enum Looked {
    /// All is known as it is.
    Done(ControlFlow<()>),
    /// Somebody else is changing the lab: nothing was told, and it is to be looked at again.
    Busy,
}

pub(super) struct Vigil<'l> {
    lab: &'l mut Lab,
    how: Watching,
    hub: Hub,
    record: Record,
    stamp: Stamp,
    known: Observed,
    /// What differs, by namespace and words.
    differences: BTreeMap<(NsName, String), Difference>,
    /// What something has happened to since it was looked at.
    touched: BTreeSet<NsName>,
    /// Whether that may be everything, since something else is meant now.
    all: bool,
    /// Whether it may be, since events were lost.
    lost: bool,
    /// When the first of it happened, at the earliest.
    since: Option<Instant>,
    /// When there was last no event that waited to be heard.
    quiet: Instant,
    /// What is looked at once more when it is polled: it may have been looked at too early.
    again: BTreeSet<NsName>,
    next_poll: Instant,
    retry: Option<(Instant, Duration)>,
}

impl<'l> Vigil<'l> {
    pub(super) fn begin(lab: &'l mut Lab, how: &Watching) -> Result<Self, Error> {
        let not_up = || Error::NotUp { lab: lab.name.clone() };
        let stamp = lab.dir.record_stamp().ok_or_else(not_up)?;
        let record = lab.record()?.ok_or_else(not_up)?;
        let hub = lab.realm()?.hub(how.hub)?;
        let now = Instant::now();
        Ok(Self {
            lab,
            how: how.clone(),
            hub,
            record,
            stamp,
            known: Observed::default(),
            differences: BTreeMap::new(),
            touched: BTreeSet::new(),
            all: true,
            lost: false,
            since: None,
            quiet: now,
            again: BTreeSet::new(),
            next_poll: now + how.poll,
            retry: None,
        })
    }

    /// Goes on until it ends.
    pub(super) fn keep(mut self, tell: Tell<'_>) -> Result<Ended, Error> {
        let mut begun = false;
        let mut busy = false;
        loop {
            if let Some(signal) = self.lab.settings.cancel.as_ref().and_then(|c| c.signal()) {
                return Ok(Ended::CalledOff(signal));
            }
            if begun {
                self.listen(if busy { BUSY_TICK } else { TICK })?;
            }
            match self.refresh(tell)? {
                None => return Ok(Ended::Down),
                Some(ControlFlow::Break(())) => return Ok(Ended::Enough),
                Some(ControlFlow::Continue(())) => {}
            }
            self.poll();
            if !self.all && !self.lost && self.touched.is_empty() {
                continue;
            }
            busy = match self.look(&mut begun, tell)? {
                Looked::Busy => true,
                Looked::Done(ControlFlow::Continue(())) => false,
                Looked::Done(ControlFlow::Break(())) => return Ok(Ended::Enough),
            };
        }
    }

    /// Waits for something to happen.
    fn listen(&mut self, timeout: Duration) -> Result<(), Error> {
        let timeout = timeout.min(self.next_poll.saturating_duration_since(Instant::now()));
        let (touched, lost) = (&mut self.touched, &mut self.lost);
        let mut take = |heard| match heard {
            Heard::In(name) => drop(touched.insert(name)),
            Heard::Lost => *lost = true,
        };
        // The kernel does not say when an event was. One that waits already came at some time after
        // there was none; the others come while they are waited for.
        let mut first = self.hub.wait(Duration::ZERO, &mut take)?.then_some(self.quiet);
        if first.is_none() {
            self.quiet = Instant::now();
            first = self.hub.wait(timeout, &mut take)?.then(Instant::now);
        }
        if first.is_some() {
            std::thread::sleep(SETTLE);
            let until = Instant::now() + FLOOD;
            loop {
                let now = Instant::now();
                if !self.hub.wait(Duration::ZERO, &mut take)? {
                    self.quiet = now;
                    break;
                }
                if now >= until {
                    break;
                }
            }
        }
        if self.lost || !self.touched.is_empty() {
            self.since.get_or_insert(first.unwrap_or_else(Instant::now));
        }
        Ok(())
    }

    /// Looks whether the lab is still up, and still what it was told to be; `None` where it is not up.
    fn refresh(&mut self, tell: Tell<'_>) -> Result<Option<ControlFlow<()>>, Error> {
        match self.lab.dir.record_stamp() {
            Some(stamp) if stamp == self.stamp => Ok(Some(ControlFlow::Continue(()))),
            Some(stamp) => {
                let Some(record) = self.lab.record()? else { return Ok(None) };
                (self.record, self.stamp, self.all) = (record, stamp, true);
                let namespaces = self.record.desired.state.namespaces.len();
                Ok(Some(tell(Notice::Changed { namespaces })))
            }
            // Whoever is at it may yet bring back what was before.
            None if self.lab.locked_by().is_some() => Ok(Some(ControlFlow::Continue(()))),
            None => Ok(None),
        }
    }

    /// Adds what has to be looked at from time to time.
    fn poll(&mut self) {
        if Instant::now() < self.next_poll {
            return;
        }
        self.next_poll = Instant::now() + self.how.poll;
        self.touched.append(&mut self.again);
        let unheard = self.record.desired.state.namespaces.iter().filter(|(name, wanted)| {
            let found = self.known.state.namespaces.get(*name).map(|found| &found.owner);
            let is_silent = |i: &vnet_model::Interface| {
                i.ipv6 == Some(false) || i.rps_cpus.is_some() || !i.queues.is_unsaid()
            };
            found != Some(&wanted.owner)
                || wanted.sysctls.keys().any(|key| key != IPV6_FORWARDING)
                || wanted.interfaces.values().any(is_silent)
        });
        self.touched.extend(unheard.map(|(name, _)| name.clone()));
        if self.retry.is_some_and(|(when, _)| when <= Instant::now()) {
            self.touched.extend(self.differences.keys().map(|(ns, _)| ns.clone()));
        }
    }

    /// Looks at what was touched, and tells what has come of it.
    fn look(&mut self, begun: &mut bool, tell: Tell<'_>) -> Result<Looked, Error> {
        if self.lab.locked_by().is_some() {
            return Ok(Looked::Busy);
        }
        let begin = Instant::now();
        let (all, touched) = (self.all || self.lost, std::mem::take(&mut self.touched));
        let (part, plan) = self.read(all, &touched)?;
        if self.lab.locked_by().is_some() || self.lab.dir.record_stamp() != Some(self.stamp) {
            self.touched = touched;
            return Ok(Looked::Busy);
        }
        self.all = false;
        let lost = std::mem::take(&mut self.lost);
        self.next_poll = self.next_poll.max(Instant::now() + begin.elapsed() * POLL_SHARE);
        if self.since.is_some() {
            self.again.extend(touched);
        }
        let since = self.since.take().unwrap_or(begin);
        let mut flow = ControlFlow::Continue(());
        if !std::mem::replace(begun, true) {
            flow = tell(Notice::Begun { namespaces: self.record.desired.state.namespaces.len() });
        } else if lost {
            flow = tell(Notice::Lost);
        }
        let steps = plan.steps.clone();
        if flow.is_continue() {
            flow = self.compare(&part, plan, tell);
        }
        if flow.is_continue() && self.how.repair && !steps.is_empty() {
            return self.mend(&part, since, tell);
        }
        Ok(Looked::Done(flow))
    }

    /// Reads everything, or what was touched with its neighbours, and plans what would mend it.
    fn read(
        &mut self,
        all: bool,
        touched: &BTreeSet<NsName>,
    ) -> Result<(BTreeSet<NsName>, Plan), Error> {
        let desired = &self.record.desired;
        let mut part: BTreeSet<NsName> = match all {
            true => self.lab.realm()?.names()?.into_iter().collect(),
            false => part::with_neighbours(touched, &[&desired.state, &self.known.state]),
        };
        loop {
            let names: Vec<NsName> = part.iter().cloned().collect();
            // First: what happens while it is read must be heard.
            self.hub.listen_to(self.lab.realm()?, &names)?;
            let found = self.lab.look_by(desired, Some(&self.record), Some(&names))?;
            part::take(&mut self.known, &part, found);
            if all {
                part.extend(desired.state.namespaces.keys().cloned());
                part.extend(self.known.state.namespaces.keys().cloned());
            }
            let plan = self.plan_part(&part)?;
            let beyond = beyond(&plan.steps, &part);
            if beyond.is_empty() {
                return Ok((part, plan));
            }
            part.extend(beyond);
        }
    }

    /// Plans what would mend a part. What a change that was cut short took out of the file goes back
    /// too.
    fn plan_part(&self, part: &BTreeSet<NsName>) -> Result<Plan, Error> {
        let wanted = self.record.desired.state.only(part);
        let known = self.known.state.only(part);
        let record = Some(&self.record).filter(|record| record.previous.is_some());
        let target = self.lab.target(&wanted, &known, record)?;
        Ok(plan_between(&self.record.desired.lab, &target, &known))
    }

    /// Tells what differs now and did not before, and the other way round.
    fn compare(&mut self, part: &BTreeSet<NsName>, plan: Plan, tell: Tell<'_>) -> ControlFlow<()> {
        let conflicts = plan.conflicts.into_iter().map(Difference::Conflict);
        let undeclared = plan.undeclared.into_iter().map(Difference::Undeclared);
        let steps = plan.steps.into_iter().map(Difference::Step);
        let mut now = BTreeSet::new();
        for difference in steps.chain(conflicts).chain(undeclared) {
            let key = (difference.ns().clone(), difference.to_string());
            now.insert(key.clone());
            if let Entry::Vacant(new) = self.differences.entry(key) {
                tell(Notice::Drift(&difference))?;
                new.insert(difference);
            }
        }
        let is_over = |key: &(NsName, String)| part.contains(&key.0) && !now.contains(key);
        let over: Vec<_> = self.differences.keys().filter(|key| is_over(key)).cloned().collect();
        for key in over {
            let difference = self.differences.remove(&key);
            difference.map_or(ControlFlow::Continue(()), |d| tell(Notice::Gone(&d)))?;
        }
        ControlFlow::Continue(())
    }

    /// Mends what differs in a part, under the lab's lock.
    fn mend(
        &mut self,
        part: &BTreeSet<NsName>,
        since: Instant,
        tell: Tell<'_>,
    ) -> Result<Looked, Error> {
        if self.retry.is_some_and(|(when, _)| when > Instant::now()) {
            return Ok(Looked::Done(ControlFlow::Continue(())));
        }
        let busy = |vigil: &mut Self| {
            vigil.touched.extend(part.iter().cloned());
            vigil.since = Some(since);
            Ok(Looked::Busy)
        };
        let lock = match self.lab.dir.lock(false, None) {
            Err(Error::Locked { .. }) => return busy(self),
            lock => lock?,
        };
        match self.lab.dir.record_stamp() {
            Some(stamp) if stamp == self.stamp => {}
            Some(_) => return busy(self),
            None => {
                // The lab was taken down, and taking the lock has made its folder again.
                self.lab.dir.remove(&lock)?;
                return busy(self);
            }
        }
        self.lab.find_place_again()?;
        let mended = self.go(part);
        drop(lock);
        match mended {
            Ok((steps, part)) => {
                self.retry = None;
                self.differences.retain(|(ns, _), difference| {
                    !part.contains(ns) || !matches!(difference, Difference::Step(_))
                });
                Ok(Looked::Done(tell(Notice::Mended { steps: &steps, elapsed: since.elapsed() })))
            }
            Err(error) => {
                let pause = self.retry.map_or(RETRY_MIN, |(_, pause)| (pause * 2).min(RETRY_MAX));
                self.retry = Some((Instant::now() + pause, pause));
                Ok(Looked::Done(tell(Notice::NotMended { error: &error })))
            }
        }
    }

    /// Does what it takes until nothing in a part differs.
    fn go(&mut self, part: &BTreeSet<NsName>) -> Result<(Vec<Step>, BTreeSet<NsName>), Error> {
        let (mut rounds, mut races) = (0, 0);
        let mut done = Vec::new();
        loop {
            let (part, plan) = self.read(false, part)?;
            if plan.is_empty() {
                return Ok((done, part));
            }
            if !plan.conflicts.is_empty() {
                return Err(Error::Conflicts { conflicts: plan.conflicts });
            }
            if rounds == ROUNDS_MAX {
                return Err(Error::NotKept { steps: plan.steps });
            }
            let observed = part::only(&self.known, &part);
            match execute(self.lab.realm()?, &observed, &plan.steps) {
                Ok(()) => rounds += 1,
                Err(error) if error.is_race() && races < RACES_MAX => races += 1,
                Err(error) => return Err(error.into()),
            }
            done.extend(plan.steps);
        }
    }
}

/// Returns the namespaces beyond a part that its steps reach into.
fn beyond(steps: &[Step], part: &BTreeSet<NsName>) -> BTreeSet<NsName> {
    part::other_ends(steps).filter(|ns| !part.contains(*ns)).cloned().collect()
}
