//! Firewalls and translations of addresses, each word proved by packets.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

#[path = "../common/mod.rs"]
mod common;
mod drift;
mod packets;
mod text;
mod words;
