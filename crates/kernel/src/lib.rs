//! Namespaces, observing and executing: the only crate that touches the kernel.
//!
//! * [`Realm`]: where a lab lives; makes, opens, lists and removes pinned namespaces.
//! * [`observe()`]: reads a set of namespaces into a `State`.
//! * [`execute()`]: does a list of steps, pipelined by namespace.
//! * [`hub`]: hears what happens in a set of namespaces.
//! * [`lookout`]: where a packet is seen on its way; [`counters`] and [`drops`]: why it got no further.
//! * [`nft`]: packet filters and address translation, by netlink.
//! * [`probe`]: what this kernel and this user can do.
//! * [`watch`]: instants at which the work can be made to fail, for tests.
//!
//! A thread that changes its network namespace is a thread that nothing else runs on: all of
//! `setns` and `unshare` happens on dedicated threads ([`thread`]), which come home after each job.
//! A socket stays bound to the namespace it was opened in, so a namespace is entered once and then
//! served from anywhere. The number of threads is fixed and that of descriptors bounded, whatever
//! the size of the lab.
//!
//! It refuses to know files of the user's, topologies, and what a lab is beyond its mark.
#![warn(missing_docs)]

pub mod clock;
pub mod connect;
pub mod counters;
mod door;
pub mod drops;
pub mod echo;
mod encap;
pub mod error;
mod ethtool;
pub mod execute;
#[cfg(fuzzing)]
pub mod fuzz;
mod gone;
pub mod holder;
pub mod hosts;
pub mod hub;
pub mod individual;
pub mod ioctl;
pub mod limits;
pub mod lookout;
mod nexthop;
pub mod nft;
pub mod observe;
pub mod outlet;
pub mod pins;
pub mod probe;
pub mod process;
pub mod realm;
mod rps;
pub mod socket;
pub mod sysctl;
pub mod thread;
pub mod unmarked;
pub mod watch;
pub mod wireguard;

pub use error::Error;
pub use execute::{execute, execute_while};
pub use hub::{Heard, Hub, HubOptions};
pub use individual::Individual;
pub use observe::{Observed, Scope, observe, observe_some};
pub use pins::{Pin, PinKind};
pub use realm::{NewNamespace, Opened, Realm, serve};
pub use socket::SocketKind;
pub use watch::{At, Watch};
