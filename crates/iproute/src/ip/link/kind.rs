//! Kinds of interfaces: one file each, and one row of [`KINDS`].

mod bridge;
mod macvlan;
mod tun;
mod veth;
mod vxlan;

pub(crate) use bridge::PORT_STATES;

use super::super::out::Out;
use super::super::wire::{Attr, Attrs};
use super::super::words::{Read, Words};
use super::super::{Context, World};

/// What is particular to a kind of interface.
pub(super) struct Kind {
    /// The kernel's name of it.
    pub(super) name: &'static str,
    /// Reads the words behind `type NAME`.
    pub(super) read: ReadOptions,
    /// Prints what `-d` shows of it.
    pub(super) print: Option<Print>,
    /// Prints what `-d` shows of its ports.
    pub(super) print_port: Option<Print>,
    /// Reads the words behind `type NAME_slave`.
    pub(super) read_port: Option<ReadOptions>,
}

pub(super) type ReadOptions = fn(&mut Words<'_>, &mut Context<'_>) -> Read<Vec<Attr>>;
pub(super) type Print = fn(&mut Out, &Attrs<'_>, &mut dyn World);

/// The kinds that have words of their own or something to show.
const KINDS: &[Kind] = &[
    veth::KIND,
    bridge::KIND,
    macvlan::MACVLAN,
    macvlan::MACVTAP,
    vxlan::KIND,
    tun::KIND,
    plain("dummy"),
    plain("ifb"),
    plain("nlmon"),
];

/// A kind without words of its own.
const fn plain(name: &'static str) -> Kind {
    Kind { name, read: read_nothing, print: None, print_port: None, read_port: None }
}

fn read_nothing(_: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    Ok(Vec::new())
}

/// Finds a kind by name.
pub(super) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
