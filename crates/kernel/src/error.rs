//! What the kernel refused, with the object and the kernel's own words.

use rustix::io::Errno;
use vnet_model::{Change, LinkSetting, NsName, Step};
use vnet_netlink::{Refusal, errno_name, errno_words};

/// A failure at the border to the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a step by netlink.
    #[error("cannot {} {step}: {refusal}", verb(step))]
    Refused {
        /// The step.
        step: Box<Step>,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// The kernel refused a part of a table of nf_tables; nothing of it was done.
    #[error("cannot {} {step}: {part}: {refusal}", verb(step))]
    Table {
        /// The step.
        step: Box<Step>,
        /// The chain, and the rule where it is one, as nft writes it.
        part: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// A step failed outside of netlink.
    #[error("cannot {} {step}: {source}", verb(step))]
    Step {
        /// The step.
        step: Box<Step>,
        /// What went wrong.
        source: Box<Error>,
    },
    /// The kernel refused a step by errno alone: one that is no netlink message.
    #[error("cannot {} {step}: {} ({})", verb(step), errno_words(*errno), errno_name(*errno))]
    Errno {
        /// The step.
        step: Box<Step>,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A system call failed.
    #[error("cannot {doing} {object}: {} ({})", errno_words(*errno), errno_name(*errno))]
    System {
        /// What was tried: "open", "mount", …
        doing: &'static str,
        /// On what.
        object: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A netlink conversation failed.
    #[error("cannot {doing} in namespace {ns}: {source}")]
    Netlink {
        /// What was tried.
        doing: &'static str,
        /// Where.
        ns: NsName,
        /// What went wrong.
        source: vnet_netlink::Error,
    },
    /// The program `nft` is not there.
    #[error("there is no program `nft`")]
    NoNft,
    /// The program `nft` refused a text.
    #[error("nft: {message}")]
    Nft {
        /// Its words.
        message: String,
    },
    /// A pin is not a network namespace.
    #[error("{path} is not a network namespace")]
    NotANamespace {
        /// The file.
        path: String,
    },
    /// A pin of the name exists.
    #[error("{path} exists")]
    Exists {
        /// The file.
        path: String,
    },
    /// A namespace went away while it was looked at.
    #[error("namespace {ns} is gone")]
    Gone {
        /// The namespace.
        ns: NsName,
    },
    /// A step names an interface that was not there when the kernel was last looked at.
    #[error("there is no interface {name} in namespace {ns}")]
    NoInterface {
        /// The namespace.
        ns: NsName,
        /// The interface.
        name: String,
    },
    /// The steps were stopped before all were done, by whoever had them done.
    #[error("stopped after {done} of {steps} steps")]
    Stopped {
        /// How many were done.
        done: usize,
        /// How many there were.
        steps: usize,
    },
    /// The namespaces were not gone after waiting.
    #[error("namespaces are still there after {seconds} s")]
    StillThere {
        /// How long was waited.
        seconds: u64,
    },
    /// The worker in a keeper's namespaces could not do what it was asked.
    #[error("{text}")]
    Worker {
        /// What it said.
        text: String,
        /// The errno at the root, if there was one.
        errno: Option<Errno>,
    },
    /// The process that keeps the lab's namespaces answered with something else.
    #[error("the keeper {0}")]
    Keeper(String),
    /// The process that leads out of an ordinary user's lab, or the program that it runs, could not do it.
    #[error("there is no way out of the lab: {0}")]
    Outlet(String),
}

impl Error {
    /// Makes the error of a system call.
    pub fn system(doing: &'static str, object: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { doing, object: object.into(), errno }
    }

    /// Returns the errno at the root, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { refusal, .. } | Self::Table { refusal, .. } => Some(refusal.errno),
            Self::System { errno, .. } | Self::Errno { errno, .. } => Some(*errno),
            Self::Worker { errno, .. } => *errno,
            Self::Step { source, .. } => source.errno(),
            _ => None,
        }
    }

    /// Tells whether it may have failed only because somebody else changed something since the
    /// kernel was last looked at: looking again and going on from there may help.
    #[must_use]
    pub fn is_race(&self) -> bool {
        match self {
            Self::Gone { .. } | Self::NoInterface { .. } => true,
            Self::Step { source, .. } => source.is_race(),
            Self::Refused { step, refusal } => match &step.change {
                // EBUSY: another interface has got the index.
                Change::AddLink { .. } => {
                    matches!(refusal.errno, Errno::BUSY | Errno::EXIST | Errno::NODEV)
                }
                Change::DelAddress { .. } => {
                    matches!(refusal.errno, Errno::NODEV | Errno::ADDRNOTAVAIL)
                }
                // Somebody else has made it, or removed it.
                Change::AddTable(_) => refusal.errno == Errno::EXIST,
                Change::DelTable(_) => refusal.errno == Errno::NOENT,
                Change::DelRoute(_) => matches!(refusal.errno, Errno::NODEV | Errno::SRCH),
                _ => refusal.errno == Errno::NODEV || self.is_of_what_goes(),
            },
            _ => false,
        }
    }

    /// Tells whether what is in the way may be the lab's own, in a namespace that is unpinned and still
    /// going: it stands on an interface of the host with the same number (`register_vlan_dev`,
    /// net/8021q/vlan.c) or hardware address (`macvlan_open`, drivers/net/macvlan.c).
    #[must_use]
    pub fn is_of_what_goes(&self) -> bool {
        let Self::Refused { step, refusal } = self else {
            return matches!(self, Self::Step { source, .. } if source.is_of_what_goes());
        };
        match &step.change {
            Change::AddLink { link, .. } => {
                link.host_lower().is_some() && refusal.errno == Errno::EXIST
            }
            Change::SetLink { set: LinkSetting::Up(true), .. } => refusal.errno == Errno::ADDRINUSE,
            _ => false,
        }
    }

    /// Returns the step that failed, if it was one.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        match self {
            Self::Refused { step, .. }
            | Self::Table { step, .. }
            | Self::Step { step, .. }
            | Self::Errno { step, .. } => Some(step),
            _ => None,
        }
    }
}

fn verb(step: &Step) -> &'static str {
    match step.sign() {
        '+' => "add",
        '-' => "remove",
        _ => "set",
    }
}
