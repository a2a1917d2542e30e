//! The pure middle of vnet: nothing here does I/O.
//!
//! ```text
//!  Topology ──resolve──▶ Desired (a State, all explicit) ─┐
//!                                                         ├─ plan ─▶ [Step]
//!  kernel ──observe────▶ observed State ──────────────────┘
//! ```
//!
//! * [`topology`]: the network as it is meant. Valid by construction.
//! * [`mod@resolve`]: derives everything that is not written, deterministically.
//! * [`state`]: what exists or should, all explicit. One type for both.
//! * [`nft`]: packet filters and address translation, as the kernel has them.
//! * [`expect`]: what must hold of a network, as the file says it.
//! * [`facts`]: what else was observed, which no file declares.
//! * [`kind`]: the kinds of interfaces and their options, as one table.
//! * [`step`]: one change to the kernel, and its inverse.
//! * [`apply`]: a kernel on paper: what a step does to a state, side effects too.
//! * [`mod@plan`]: the steps from one state to another.
//!
//! It refuses to know files, sockets, privileges and time.
#![warn(missing_docs)]

pub mod apply;
#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
mod by_text;
pub mod expect;
pub mod facts;
pub mod kind;
pub mod mac;
pub mod names;
pub mod nft;
pub mod origin;
pub mod plan;
pub mod problem;
pub mod resolve;
pub mod sighting;
pub mod snapshot;
pub mod state;
pub mod step;
pub mod topology;

pub use expect::{Expectation, Packet};
pub use facts::{Facts, NamespaceFacts};
pub use ipnet;
pub use kind::Device;
pub use mac::Mac;
pub use names::{IfName, LabName, Mark, NameError, NodeName, NsName};
pub use origin::Origin;
pub use plan::{Plan, plan};
pub use problem::{Problem, ProblemKind};
pub use resolve::{Desired, resolve};
pub use state::{
    Address, Cpus, Encap, End, Entry, FdbEntry, Interface, Interfaces, Kind, Metric, MetricValue,
    Namespace, Neighbor, NextHop, NexthopKind, NexthopObject, Offload, Owner, PortVlan, Queues,
    Route, RouteKind, Rule, RuleAction, Seg6Mode, State,
};
pub use step::{Change, LinkSetting, NewLink, PairEnd, Step};
pub use topology::{Topology, TopologyBuilder};
