//! `up` that waits for a confirmation, the confirmation, and going back.

use vnet_model::Desired;
use vnet_model::plan::plan_between;

use super::{Down, Lab, Phase, Up};
use crate::confirm::{Confirm, Guard, Pending};
use crate::error::Error;
use crate::exec;
use crate::record::Record;

impl Lab {
    /// Builds the lab, or changes what differs, as [`Lab::up`] does; the change goes back by itself
    /// unless it is confirmed in time. Where an earlier change waits already, both go back.
    ///
    /// Without privileges, this lab must not have joined its keeper yet.
    ///
    /// # Errors
    /// As [`Lab::up`]; when the worker that waits can't be started, before anything is touched.
    pub fn up_to_confirm(
        &mut self,
        desired: &Desired,
        confirm: &Confirm,
        progress: impl Fn(Phase),
    ) -> Result<Up, Error> {
        let guard = Guard::start(&self.settings, &self.name, confirm)?;
        let result = self.up_guarded(desired, Some(&guard), &progress);
        let is_pending = self.dir.pending_of(&guard.id).is_ok_and(|pending| pending.is_some());
        if !is_pending {
            guard.dismiss();
        }
        result
    }

    /// Returns the change that waits for its confirmation, if there is one.
    ///
    /// # Errors
    /// When the note of it can't be read.
    pub fn pending(&self) -> Result<Option<Pending>, Error> {
        self.dir.pending()
    }

    /// Confirms the change that waits for it: it stays.
    ///
    /// # Errors
    /// [`Error::NothingPending`], [`Error::NotUp`].
    pub fn confirm(&mut self) -> Result<(), Error> {
        let pending = self.expect_pending()?;
        // Under the lock: it may be going back just now.
        let lock = self.dir.lock(self.settings.wait, self.settings.cancel.as_ref())?;
        let result = match self.dir.pending()? {
            Some(_) => self.dir.settle(),
            None => Err(self.nothing_pending()),
        };
        drop(lock);
        if result.is_ok() {
            pending.end_worker();
        }
        result
    }

    /// Takes back the change that waits for its confirmation, now.
    ///
    /// # Errors
    /// [`Error::NothingPending`], [`Error::NotUp`], and those of [`Lab::up`].
    pub fn revert(&mut self) -> Result<(), Error> {
        let pending = self.expect_pending()?;
        self.take_back(&pending.id)?;
        pending.end_worker();
        Ok(())
    }

    fn expect_pending(&self) -> Result<Pending, Error> {
        if !self.dir.exists() {
            return Err(Error::NotUp { lab: self.name.clone() });
        }
        self.dir.pending()?.ok_or_else(|| self.nothing_pending())
    }

    fn nothing_pending(&self) -> Error {
        Error::NothingPending { lab: self.name.clone() }
    }

    /// Goes back to what was before a change, if that still waits.
    pub(crate) fn take_back(&mut self, id: &str) -> Result<(), Error> {
        if !self.dir.exists() {
            return Err(self.nothing_pending());
        }
        let lock = self.lock()?;
        let Some(pending) = self.dir.pending_of(id)? else {
            if !self.dir.has_record() && self.is_gone() {
                // Taken down meanwhile: taking the lock has made the folder again.
                self.dir.remove(&lock)?;
            }
            return Err(self.nothing_pending());
        };
        let Some(before) = pending.record.clone() else {
            // There was no lab: there shall be none, whoever is inside.
            return self.down_locked(&lock, &Down { force: true, wait: false }).map(drop);
        };
        let known = self.record()?.as_ref().map(Record::known);
        let intent = Record::new(before.desired.clone(), known, before.file.clone());
        self.dir.write_record(&intent, true)?;
        let to = |now: &vnet_model::State| plan_between(&self.name, &pending.before, now);
        self.go(&intent, &to, None, None, &|_| {})?;
        exec::write_files(&self.dir, &before.desired)?;
        self.dir.write_record(&before, true)?;
        self.dir.settle()
    }
}
