//! A blocking, pipelined netlink socket with extended acknowledgements.
//!
//! The crate carries messages to the kernel and brings back what the kernel says to each of them. It knows the framing
//! that all netlink protocols share (header, attributes, acknowledgements, dumps, events), and nothing of what the
//! messages mean: it never decides, retries a change, or looks anything up. Whoever changes the network with it decides.
//!
//! # Layers, from the bytes up
//!
//! **[`attr`]** writes and reads attributes (type, length, value), for the messages that `netlink-packet-route` does not
//! cover: options of tc, nf_tables, nexthop objects. The reader never panics, whatever the bytes.
//!
//! **[`Message`]** is a borrowed view of one message in a receive buffer: its type and its payload. A caller that wants
//! speed reads the payload with [`attr`], one that wants comfort calls [`Message::decode`]. [`RawMessage`] is the owned
//! counterpart, for requests that no codec covers.
//!
//! **[`Batch`]** is one reused buffer of requests laid out one after the other. Nothing is sent while it is filled.
//!
//! **[`Socket`]** is bound to the network namespace in which it was opened, for life: there is no `setns` per operation,
//! one socket per namespace is kept. It sends in four ways:
//!
//! | method | for | waits |
//! | --- | --- | --- |
//! | [`Socket::submit`] | many changes, fast | once per window of messages |
//! | [`Socket::submit_in_order`] | changes of which none must happen after one failed | for each message |
//! | [`Socket::submit_transaction`] | nf_tables, all or nothing | once |
//! | [`Socket::dump`], [`Socket::get`] | questions | until the answer is complete |
//!
//! and listens with [`Socket::subscribe`] and [`Socket::receive_event`].
//!
//! **[`Outcome`]** tells for each message of a batch, by its index, whether it is done. A message that the kernel refused
//! has a [`Refusal`]: the errno, the kernel's own words, and the attribute that is at fault.
//!
//! # Why nothing hangs, and nothing overflows
//!
//! The kernel handles a request inside the `send` call (`netlink_unicast_kernel`, net/netlink/af_netlink.c), so when
//! `send` returns, each answer is already queued; a dump queues its next part inside each `recv`. The socket therefore
//! never waits for an answer: an empty queue means that an answer is missing, which is an [`Error`], not a hang. Only
//! [`Socket::receive_event`] waits, up to its timeout.
//!
//! Each acknowledgement is one queued buffer, and those beyond the receive buffer are dropped. A batch is therefore sent
//! in windows whose acknowledgements fit, whatever happens, and whose bytes fit the send buffer. The kernel goes on after
//! a message that fails, so all messages of a window are tried.
//!
//! The socket is connected to the kernel, so that no other process can answer in its place.
//!
//! # What it does not do
//!
//! No async, no threads, no sharing of a socket between threads. One socket should not both be subscribed to events and
//! used for requests: the events take the room of the answers.
#![warn(missing_docs)]

pub mod attr;
pub mod generic;

mod ack;
mod batch;
mod dump;
mod errno;
mod error;
mod event;
mod flags;
#[cfg(fuzzing)]
pub mod fuzz;
mod message;
mod options;
mod outcome;
mod path;
mod protocol;
mod refusal;
mod socket;
mod submit;

pub use batch::Batch;
pub use errno::{errno_name, errno_words};
pub use error::Error;
pub use event::Event;
pub use flags::Flags;
pub use message::{Message, RawMessage};
pub use outcome::{Outcome, Status};
pub use path::AttributePath;
pub use protocol::Protocol;
pub use refusal::Refusal;
pub use socket::{Features, Socket};
pub use submit::Mode;
