//! Calling off what is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;

/// A flag by which `up` and `down` are called off: it is looked at before each batch of steps, and
/// while waiting. `up` then undoes what it has done; `down` ends before it has begun, or is finished.
///
/// A signal's handler may raise it, since that is one atomic write.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicUsize>);

impl Cancel {
    /// Makes a flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls off what is under way because of a signal; its number must not be 0.
    pub fn raise(&self, signal: i32) {
        self.0.store(usize::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Returns the flag itself, which holds the signal's number, or 0 while there is none.
    #[must_use]
    pub fn flag(&self) -> &Arc<AtomicUsize> {
        &self.0
    }

    /// Returns the signal that it was raised for.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }

    /// Fails once the flag is raised.
    pub(crate) fn check(cancel: Option<&Self>) -> Result<(), Error> {
        match cancel.and_then(Self::signal) {
            Some(signal) => Err(Error::Interrupted { signal }),
            None => Ok(()),
        }
    }
}
