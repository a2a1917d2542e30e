//! Single changes: what they name is looked at and changed, and nothing else, whatever the size of the
//! lab.

use std::collections::BTreeSet;

use vnet_kernel::observe::Scope;
use vnet_kernel::{Observed, execute, observe_some};
use vnet_model::apply::Refused;
use vnet_model::plan::plan_between;
use vnet_model::{Change, Desired, End, IfName, LinkSetting, NodeName, NsName, State, Step};

use super::Lab;
use crate::error::Error;

impl Lab {
    /// Does some steps to a lab that is up as `desired`, and looks only at the namespaces that they
    /// name. What is so already is left out; the steps that were done are returned. Where one fails,
    /// what was done before it is undone.
    ///
    /// The record is neither read nor changed: it goes on to say what the lab was told to be, so
    /// `plan` shows the change as something that differs, and `up` takes it back. It takes
    /// milliseconds in a lab of 10,000 nodes too. CAP_NET_ADMIN and CAP_SYS_ADMIN, or a keeper.
    ///
    /// ```no_run
    /// # fn f(lab: &mut vnet::Lab, desired: &vnet::Desired) -> Result<(), vnet::Error> {
    /// use vnet::model::{Address, Change, Step};
    ///
    /// let end = desired.end_of("r1", "eth0").expect("the file has it");
    /// let address = Address::new("10.9.0.1/24".parse().expect("it is one"));
    /// let step = Step::new(end.ns, Change::AddAddress { dev: end.name, address });
    /// lab.apply(desired, &[step])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotUp`] where a namespace that they name is not there as the lab's;
    /// [`Error::Undone`] when a step fails.
    pub fn apply(&mut self, desired: &Desired, steps: &[Step]) -> Result<Vec<Step>, Error> {
        let part = super::part::of_steps(steps);
        let _lock = self.lock_if_up()?;
        let before = self.look_at(desired, &part)?;
        // On paper first: what is so already needs no step.
        let mut state = before.state.clone();
        let changes = |step: &&Step| {
            let was = state.clone();
            match step.apply(&mut state) {
                Ok(()) => state != was,
                Err(Refused::Exists(_)) => !matches!(step.change, Change::AddAddress { .. }),
                // What the paper refuses the kernel shall refuse, in its own words.
                Err(_) => true,
            }
        };
        let steps: Vec<Step> = steps.iter().filter(changes).cloned().collect();
        self.do_or_undo(desired, &part, &before, &steps)?;
        Ok(steps)
    }

    /// Takes a link down, or puts it up again with all that went with it: routes, and addresses of
    /// IPv6. It is named as in the file, else `a--b`. The steps that were done are returned.
    ///
    /// # Errors
    /// [`Error::NoLink`], and those of [`Lab::apply`].
    pub fn set_link(
        &mut self,
        desired: &Desired,
        link: &str,
        up: bool,
    ) -> Result<Vec<Step>, Error> {
        let found = desired.links.iter().find(|found| found.name == link);
        let found =
            found.ok_or_else(|| Error::NoLink { lab: self.name.clone(), link: link.to_owned() })?;
        let end = |(node, name): &_| desired.end_of(NodeName::as_str(node), IfName::as_str(name));
        let ends: Vec<End> = found.ends.iter().filter_map(end).collect();
        if !up {
            let down = |End { ns, name }| {
                Step::new(ns, Change::SetLink { name, set: LinkSetting::Up(false) })
            };
            return self.apply(desired, &ends.into_iter().map(down).collect::<Vec<_>>());
        }
        let part: BTreeSet<NsName> = ends.into_iter().map(|end| end.ns).collect();
        let _lock = self.lock_if_up()?;
        let before = self.look_at(desired, &part)?;
        let steps = steps_to(desired, &desired.state.only(&part), &before.state);
        self.do_or_undo(desired, &part, &before, &steps)?;
        Ok(steps)
    }

    /// Takes the lock of a lab that has a folder: taking it would make one.
    fn lock_if_up(&mut self) -> Result<crate::state_dir::Lock, Error> {
        match self.dir.exists() {
            true => self.lock(),
            false => Err(Error::NotUp { lab: self.name.clone() }),
        }
    }

    /// Reads namespaces, which must all be the lab's. Where a veth leads beyond them is taken from
    /// what is wanted: nobody looks.
    fn look_at(&self, desired: &Desired, part: &BTreeSet<NsName>) -> Result<Observed, Error> {
        let names: Vec<NsName> = part.iter().cloned().collect();
        let wanted = desired.state.only(part);
        let recorded = [&wanted];
        let scope = Scope { lab: &self.name, declared: &wanted, recorded: Some(&recorded) };
        let mut found = observe_some(self.realm()?, scope, &names)?;
        let is_ours = |ns: &NsName| {
            let owner = found.state.namespaces.get(ns).map(|ns| &ns.owner);
            owner.is_some() && owner == desired.state.namespaces.get(ns).map(|ns| &ns.owner)
        };
        if let Some(ns) = names.iter().find(|ns| !is_ours(ns)) {
            return Err(vnet_kernel::Error::Gone { ns: ns.clone() }.into());
        }
        for (name, ns) in found.state.namespaces.iter_mut() {
            for (interface, there) in ns.interfaces.iter_mut() {
                let wanted =
                    wanted.namespaces.get(name).and_then(|ns| ns.interfaces.get(interface));
                if let Some(wanted) = wanted {
                    there.kind.lead_as(&wanted.kind);
                }
            }
        }
        Ok(found)
    }

    fn do_or_undo(
        &self,
        desired: &Desired,
        part: &BTreeSet<NsName>,
        before: &Observed,
        steps: &[Step],
    ) -> Result<(), Error> {
        let Err(source) = execute(self.realm()?, before, steps) else { return Ok(()) };
        let undo = || -> Result<(), Error> {
            let now = self.look_at(desired, part)?;
            let back = steps_to(desired, &before.state, &now.state);
            Ok(execute(self.realm()?, &now, &back)?)
        };
        Err(match undo() {
            Ok(()) => Error::Undone { source },
            Err(undo) => Error::NotUndone { source: Box::new(source.into()), undo: Box::new(undo) },
        })
    }
}

fn steps_to(desired: &Desired, target: &State, there: &State) -> Vec<Step> {
    plan_between(&desired.lab, target, there).steps
}
