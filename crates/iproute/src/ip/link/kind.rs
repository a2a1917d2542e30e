//! Kinds of interfaces: one file each, and one row of [`KINDS`].

mod bond;
mod bridge;
mod geneve;
mod gre;
mod iptun;
mod ipvlan;
mod macvlan;
mod netkit;
mod tun;
mod tunnel;
mod veth;
mod vlan;
mod vrf;
mod vxlan;

pub(crate) use bridge::PORT_STATES;

use super::super::failure::Failure;
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
static KINDS: &[Kind] = &[
    veth::KIND,
    netkit::KIND,
    bridge::KIND,
    macvlan::MACVLAN,
    macvlan::MACVTAP,
    vxlan::KIND,
    tun::KIND,
    vlan::KIND,
    vrf::KIND,
    bond::KIND,
    ipvlan::IPVLAN,
    ipvlan::IPVTAP,
    geneve::KIND,
    plain("dummy"),
    plain("ifb"),
    plain("nlmon"),
];

/// A kind without words of its own.
const fn plain(name: &'static str) -> Kind {
    Kind { name, read: read_past, print: None, print_port: None, read_port: None }
}

/// Says that a kind has no such option; iproute2 shows its help then.
fn unknown(words: &Words<'_>, complaint: &str, word: &str) -> Failure {
    if word == "help" {
        return usage(words);
    }
    words.blame(Failure::command(1, format!("{complaint} \"{word}\"?")))
}

/// Stands for the help that iproute2 shows where it does not know a word.
fn usage(words: &Words<'_>) -> Failure {
    let line = "Usage: see the options of this kind of link in ip-link(8)";
    words.blame(Failure::command(1, line))
}

/// Passes over whatever is said, as iproute2 does for kinds without words.
fn read_past(words: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    while words.take().is_some() {}
    Ok(Vec::new())
}

fn read_nothing(_: &mut Words<'_>, _: &mut Context<'_>) -> Read<Vec<Attr>> {
    Ok(Vec::new())
}

/// Finds a kind by name.
pub(super) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().chain(&gre::KINDS).chain(&iptun::KINDS).find(|kind| kind.name == name)
}
