//! Builds virtual networks on Linux from one description, and keeps them as it says.
//!
//! A node is a network namespace, a link is a veth pair, a segment is a bridge. A [`Lab`] is one
//! topology that is up, or could be. What exists is asked of the kernel each time: there is no
//! daemon, and what is kept on disk ([`record`]) only says what was meant.
//!
//! ```
//! use vnet::{Topology, model};
//!
//! // Describe: two nodes and a link. Nothing is touched yet.
//! let topology = Topology::builder("demo")
//!     .node("a")
//!     .node("b")
//!     .link(model::topology::Link::between("a", "b")?.prefixes(["10.0.0.0/24".parse()?]))
//!     .build()
//!     .map_err(|problems| problems[0].to_string())?;
//! let desired = vnet::resolve(&topology).map_err(|problems| problems[0].to_string())?;
//!
//! // Plan it against a kernel in which there is nothing of it.
//! let plan = vnet::plan(&desired, &model::State::default());
//! let veth = plan.steps.iter().find(|step| step.to_string().starts_with("veth"));
//! assert_eq!(veth.map(ToString::to_string).as_deref(), Some("veth demo-a:b -- demo-b:a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To build it, open the lab and bring it up (with CAP_NET_ADMIN and CAP_SYS_ADMIN, or with a
//! [`Keeper`] as any user):
//!
//! ```no_run
//! # fn main() -> Result<(), vnet::Error> {
//! # let desired: vnet::Desired = todo!();
//! let settings = vnet::Settings::new("/run/vnet");
//! let mut lab = vnet::Lab::open(&settings, &desired.lab)?;
//! lab.up(&desired, |_| {})?;
//! lab.down(&vnet::Down::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! The library never prints, reads no environment variables, and may be used from a program with
//! threads, as an ordinary user too.
#![warn(missing_docs)]

mod cancel;
pub mod confirm;
pub mod error;
pub mod exec;
pub mod expect;
mod filter;
pub mod ip;
pub mod keeper;
mod keys;
pub mod lab;
pub mod limits;
pub mod list;
pub mod moved;
mod nft_text;
pub mod ping;
pub mod record;
pub mod snapshot;
mod state_dir;
pub mod target;
pub mod why;

pub use vnet_file as file;
pub use vnet_kernel as kernel;
pub use vnet_model as model;

pub use cancel::Cancel;
pub use confirm::{Confirm, Pending};
pub use error::Error;
pub use exec::Exec;
pub use keeper::OutletChange;
pub use lab::watch::{Difference, Ended, Notice, Watching};
pub use lab::{Down, Lab, Phase, Removed, Seen, Up};
pub use limits::Shortage;
pub use list::{Listed, list};
pub use vnet_kernel::process::Inhabitant;
pub use vnet_model::{Desired, LabName, NodeName, Plan, Topology, plan, resolve};

use std::path::PathBuf;
use std::sync::Arc;

/// Where and how labs are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder under which each lab has one of its own, by custom `/run/vnet` for root and
    /// `$XDG_RUNTIME_DIR/vnet` for others.
    pub state_dir: PathBuf,
    /// What to start for a lab of a user without privileges.
    pub keeper: Option<Keeper>,
    /// Whether to wait for another process that is changing the lab, or to fail at once.
    pub wait: bool,
    /// By which a change can be called off while it is under way.
    pub cancel: Option<Cancel>,
    /// Who looks on, in tests.
    pub watch: Option<Arc<dyn vnet_kernel::Watch>>,
}

impl Settings {
    /// Makes settings without a keeper, that wait for others.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        Self { state_dir, keeper: None, wait: true, cancel: None, watch: None }
    }
}

/// The program that keeps the namespaces of a user without privileges: `vnet`, or one that leads its
/// arguments `__hold LAB` and `__work LAB` to [`keeper::hold`] and [`keeper::work`].
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The path of the program.
    pub program: PathBuf,
    /// Whether this process itself joins the keeper's namespaces, for good. Only a process with a
    /// single thread can; others work through a second process.
    pub join: bool,
}
