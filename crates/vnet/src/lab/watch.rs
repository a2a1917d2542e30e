//! `watch`: hears what happens in a lab, tells what differs from what was meant, and mends it.

mod vigil;

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use vnet_kernel::HubOptions;
use vnet_model::plan::{Conflict, Undeclared};
use vnet_model::{NsName, Step};

use super::Lab;
use crate::error::Error;
use vigil::Vigil;

/// How a lab is watched.
#[derive(Debug, Clone)]
pub struct Watching {
    /// Whether what differs is mended.
    pub repair: bool,
    /// How often what the kernel tells nobody of is looked at: sysctls, pins that are missing.
    /// Where that takes long, it is done less often.
    pub poll: Duration,
    /// How events are queued.
    pub hub: HubOptions,
}

impl Default for Watching {
    fn default() -> Self {
        Self { repair: false, poll: Duration::from_secs(1), hub: HubOptions::default() }
    }
}

/// Something that differs from what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// This step would mend it.
    Step(Step),
    /// Something foreign is where the lab wants something of its own, and stays.
    Conflict(Conflict),
    /// An interface that is not declared, and stays.
    Undeclared(Undeclared),
}

impl Difference {
    /// Returns the namespace in which it is.
    #[must_use]
    pub fn ns(&self) -> &NsName {
        match self {
            Self::Step(step) => &step.ns,
            Self::Conflict(conflict) => conflict.ns(),
            Self::Undeclared(it) => it.ns(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "{} {step}", step.sign()),
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Undeclared(it) => write!(f, "{it} is not declared"),
        }
    }
}

/// What whoever watches is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// From now on nothing is missed; what differs already follows.
    Begun {
        /// How many namespaces are watched.
        namespaces: usize,
    },
    /// Something differs since now.
    Drift(&'a Difference),
    /// Something no longer differs, without our doing.
    Gone(&'a Difference),
    /// What differed was mended.
    Mended {
        /// What was done.
        steps: &'a [Step],
        /// How long it took from the kernel's first event of it until it was found to be as it was
        /// meant, waiting for the lab's lock included; never less, but more where it happened while
        /// something else was looked at. Of what the kernel tells nobody (see [`Watching::poll`]),
        /// and after [`NotMended`](Self::NotMended), from when it was looked at.
        elapsed: Duration,
    },
    /// What differs could not be mended. It is tried again, less and less often.
    NotMended {
        /// Why not.
        error: &'a Error,
    },
    /// Events were lost, so everything was read anew.
    Lost,
    /// The lab was told to be something else.
    Changed {
        /// How many namespaces are watched from now on.
        namespaces: usize,
    },
}

/// Why watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The lab was taken down.
    Down,
    /// It was called off by a signal.
    CalledOff(i32),
    /// Whoever was told did not want to hear more.
    Enough,
}

impl Lab {
    /// Watches a lab that is up: hears what happens in its namespaces and tells what differs from
    /// what was meant, until the lab is taken down, or this is called off. What differs is found by
    /// comparing again what was touched, so the order in which things happened does not matter.
    ///
    /// While another process is changing the lab, it waits. With `repair` it mends what differs, and
    /// has the lab's lock meanwhile. CAP_NET_ADMIN and CAP_SYS_ADMIN, or a keeper.
    ///
    /// # Errors
    /// [`Error::NotUp`]; when the kernel can't be read or listened to.
    pub fn watch(
        &mut self,
        how: &Watching,
        mut tell: impl FnMut(Notice<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, Error> {
        Vigil::begin(self, how)?.keep(&mut tell)
    }
}
