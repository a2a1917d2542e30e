//! `down`: removes all that carries a lab's mark.

use std::time::{Duration, Instant};

use vnet_kernel::observe::Scope;
use vnet_kernel::process::{self, Identity, Inhabitant};
use vnet_kernel::{Error as KernelError, Realm, execute, observe};
use vnet_model::{Change, NsName, State, Step};

use super::{Down, Lab, Removed};
use crate::cancel::Cancel;
use crate::confirm::Pending;
use crate::error::Error;
use crate::exec;
use crate::state_dir::Lock;

/// How long a process of the lab has to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a process that vnet did not start may be about to end before `down` refuses: one that
/// was killed is seen until its memory is given back, and so is what a killed `up` had running.
const PASSING: Duration = Duration::from_secs(1);

/// How long it waits before it looks at them again.
const PASSING_INTERVAL: Duration = Duration::from_millis(10);

/// How long `down` waits until namespaces are really gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long it waits before it looks whether it was called off.
const GONE_INTERVAL: Duration = Duration::from_secs(1);

impl Lab {
    /// Takes the lab down: ends what vnet started in it, and removes all namespaces that carry its
    /// mark, whatever else is known of it. Goes on after a failure, and tells all at the end.
    ///
    /// # Errors
    /// [`Error::Inhabited`] when processes that vnet did not start are inside (nothing is removed,
    /// unless forced), [`Error::NotUp`] when there is nothing, [`Error::Interrupted`] when it was
    /// called off before it began.
    pub fn down(&mut self, how: &Down) -> Result<Removed, Error> {
        if !self.dir.exists() && self.keeper_pid().is_none() && self.is_gone() {
            return Err(Error::NotUp { lab: self.name.clone() });
        }
        let lock = self.lock()?;
        self.down_locked(&lock, how)
    }

    /// Takes the lab down by whoever has its lock.
    pub(super) fn down_locked(&mut self, lock: &Lock, how: &Down) -> Result<Removed, Error> {
        Cancel::check(self.settings.cancel.as_ref())?;
        let names = self.namespaces()?;
        if names.is_empty() && self.keeper_pid().is_none() && !self.dir.has_record() {
            // Somebody else was faster, or was killed at the very end.
            self.dir.remove(lock)?;
            return Err(Error::NotUp { lab: self.name.clone() });
        }
        let processes = self.clear_out(&names, how)?;
        let pending = self.dir.pending()?;
        if how.force {
            self.delete_links()?;
        }
        self.say("all is to be removed")?;
        // What the host has goes with the namespaces, but only some time later.
        self.clear_host()?;
        self.unpin(&names)?;
        self.say("all is unpinned")?;
        let gone = if how.wait { self.wait_until_gone() } else { Ok(()) };
        self.leave()?;
        // Last: with it goes the lock.
        self.dir.remove(lock)?;
        pending.iter().for_each(Pending::end_worker);
        gone.map(|()| Removed { namespaces: names, processes })
    }

    fn unpin(&self, names: &[NsName]) -> Result<(), Error> {
        let Some(place) = self.place()? else { return Ok(()) };
        place.realm.remove(names).map_err(|errors| Error::NotRemoved {
            errors: errors.into_iter().map(|(_, error)| error).collect(),
        })
    }

    fn wait_until_gone(&self) -> Result<(), Error> {
        let Some(place) = self.place()? else { return Ok(()) };
        let deadline = Instant::now() + GONE_TIMEOUT;
        loop {
            match place.realm.wait_until_gone(GONE_INTERVAL) {
                Err(KernelError::StillThere { .. }) if Instant::now() < deadline => {}
                result => return Ok(result?),
            }
            if self.settings.cancel.as_ref().is_some_and(|cancel| cancel.signal().is_some()) {
                // What is unpinned goes without being waited for.
                return Ok(());
            }
        }
    }

    /// Ends the processes in the lab that vnet started, and refuses where there are others.
    fn clear_out(&self, names: &[NsName], how: &Down) -> Result<usize, Error> {
        let Some(place) = self.place()? else { return Ok(0) };
        let (names, identities): (Vec<NsName>, Vec<Identity>) =
            place.realm.identities(names)?.into_iter().unzip();
        let deadline = Instant::now() + PASSING;
        let ours = loop {
            let inside = process::inhabitants(&identities, &exec::started_line(&self.name));
            let (ours, foreign): (Vec<Inhabitant>, Vec<Inhabitant>) =
                inside.into_iter().partition(|inhabitant| inhabitant.started);
            if foreign.is_empty() || how.force {
                break ours;
            }
            if Instant::now() >= deadline {
                let place = |who: Inhabitant| names.get(who.place).map(|name| (name.clone(), who));
                let inhabitants = foreign.into_iter().filter_map(place).collect();
                return Err(Error::Inhabited { inhabitants });
            }
            std::thread::sleep(PASSING_INTERVAL);
        };
        process::end(&ours, &identities, PATIENCE);
        Ok(ours.len())
    }

    /// Deletes all interfaces of the lab's namespaces, which somebody else may keep alive.
    fn delete_links(&self) -> Result<(), Error> {
        match self.place()? {
            Some(place) => delete_links(&place.realm, &self.name),
            None => Ok(()),
        }
    }
}

fn delete_links(realm: &Realm, lab: &vnet_model::LabName) -> Result<(), Error> {
    let nothing = State::default();
    let mut now = observe(realm, Scope { lab, declared: &nothing, recorded: None })?;
    let mut steps = Vec::new();
    let ends: Vec<_> = now
        .state
        .namespaces
        .iter()
        .flat_map(|(ns, found)| found.interfaces.iter().map(move |(name, it)| (ns, name, it)))
        .filter(|(_, name, _)| name.as_str() != vnet_model::apply::LOOPBACK)
        .map(|(ns, name, it)| Step::new(ns.clone(), Change::del_link(name.clone(), &it.kind)))
        .collect();
    for step in ends {
        if step.apply(&mut now.state).is_ok() {
            steps.push(step);
        }
    }
    Ok(execute(realm, &now, &steps)?)
}
