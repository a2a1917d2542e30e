//! The iproute2 language: steps as the commands that a person would type.
//!
//! * [`commands`]: what a [`Step`](vnet_model::Step) is in `ip` and `sysctl` words.
//! * [`script`]: many of them as a script for `sh`.
//! * [`Command`]: the words of one command line, quoted for a shell when shown.
//! * [`ip`]: the other way: what a person types, and what they read.
//!
//! The words are those of Debian's iproute2 6.1 and procps 4.0. Keywords are written out where
//! iproute2 would guess: an interface may be called `n`, which it takes for `name`.
//!
//! It refuses to run anything: no sockets, no files, no processes.
#![warn(missing_docs)]

mod command;
pub mod ip;
mod print;

pub use command::Command;
pub use print::{commands, del_rule, nft_words, script};
