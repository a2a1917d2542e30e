//! Links that are down for a while.

use vnet_kernel::{Observed, execute};
use vnet_model::plan::plan_between;
use vnet_model::{State, Step};

use super::Lab;
use crate::cancel::Cancel;
use crate::error::Error;

impl Lab {
    /// Takes links down, does some work, and puts back what went with them, also after a failure and
    /// when a [`Cancel`] is raised. A kill in between leaves them down: then the next `up` does it.
    ///
    /// # Errors
    /// Those of the work, else those of the change. [`Error::NotUndone`] where it could not be put
    /// back.
    pub(crate) fn while_cut<T>(
        &mut self,
        cut: &[Step],
        work: impl FnOnce(&Self, &State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _lock = self.lock()?;
        Cancel::check(self.settings.cancel.as_ref())?;
        let not_up = || Error::NotUp { lab: self.name.clone() };
        let record = self.record()?.ok_or_else(not_up)?;
        let before = self.look(&record.desired)?;
        self.say("links are to be cut")?;
        let worked = self.cut(&before, cut).and_then(|()| {
            self.say("links are cut")?;
            let now = self.look(&record.desired)?;
            let worked = work(self, &now.state)?;
            Cancel::check(self.settings.cancel.as_ref())?;
            Ok(worked)
        });
        let back = |now: &State| plan_between(&self.name, &before.state, now);
        let put_back = self.go(&record, &back, None, None, &|_| {});
        match (worked, put_back) {
            (worked, Ok(_)) => worked,
            (Ok(_), Err(undo)) => Err(undo),
            (Err(error), Err(undo)) => {
                Err(Error::NotUndone { source: error.into(), undo: undo.into() })
            }
        }
    }

    fn cut(&self, before: &Observed, cut: &[Step]) -> Result<(), Error> {
        // On paper first: what is down already, or not there, needs no step.
        let mut state = before.state.clone();
        let steps: Vec<Step> = cut
            .iter()
            .filter(|step| {
                let was = state.clone();
                step.apply(&mut state).is_ok() && state != was
            })
            .cloned()
            .collect();
        Ok(execute(self.realm()?, before, &steps)?)
    }
}
