//! Instants in the work on a realm at which somebody may look on: to make it fail there, or to be
//! killed there. That is how it is shown that a lab survives both.
//!
//! Without a watch an instant costs one comparison.

use rustix::io::Errno;
use vnet_model::{NsName, Step};

/// An instant in the work on a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum At<'a> {
    /// This many of the steps are done, and no other one has been begun.
    Step(usize),
    /// A namespace is made and carries its mark, but has no name yet.
    Marked(&'a NsName),
    /// A pin's file has its name, but no namespace is mounted on it yet.
    Named(&'a NsName),
    /// No namespace is mounted on a pin's file any more, which is still there.
    Unmounted(&'a NsName),
    /// An instant that whoever uses the realm has named.
    Said(&'static str),
}

/// Somebody who looks on. Called on several threads.
pub trait Watch: std::fmt::Debug + Send + Sync {
    /// Comes to an instant; an error makes what was going to be done next fail with it.
    ///
    /// # Errors
    /// What to fail with.
    fn at(&self, at: At<'_>) -> Result<(), Errno>;

    /// Says how many steps may be done by now before [`At::Step`] comes again: fewer than would be
    /// sent in one go.
    fn steps_until(&self, _done: usize) -> usize {
        usize::MAX
    }

    /// Takes other steps for those that were to be done, such as one that the kernel refuses.
    fn replace(&self, _steps: &[Step]) -> Option<Vec<Step>> {
        None
    }
}

/// Comes to an instant, where somebody looks on.
pub(crate) fn come(watch: Option<&dyn Watch>, at: At<'_>) -> Result<(), Errno> {
    watch.map_or(Ok(()), |watch| watch.at(at))
}
