//! Each rule of [`resolve`], on the smallest topology that shows it.

mod addresses;
mod filter;
mod names;
mod properties;
mod routes;
mod routing;
mod settings;
mod vlans;
mod wireguard;

use super::*;
use crate::state::{Interface, Namespace};
use crate::topology::TopologyBuilder;

#[track_caller]
fn resolved(lab: TopologyBuilder) -> Desired {
    let topology = lab.build().unwrap_or_else(|problems| panic!("{problems:?}"));
    resolve(&topology).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What [`resolve`] says against a topology that is fine by itself.
#[track_caller]
fn problems(lab: TopologyBuilder) -> Vec<String> {
    let topology = lab.build().unwrap_or_else(|problems| panic!("{problems:?}"));
    resolve(&topology).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(lab: TopologyBuilder, problem: &str) {
    assert_eq!(problems(lab), [problem]);
}

/// The namespace of a node of the lab `lab`.
#[track_caller]
fn ns<'d>(desired: &'d Desired, node: &str) -> &'d Namespace {
    &desired.state.namespaces[format!("lab-{node}").as_str()]
}

/// The interface `node:name`.
#[track_caller]
fn interface<'d>(desired: &'d Desired, at: &str) -> &'d Interface {
    let (node, name) = at.split_once(':').unwrap();
    ns(desired, node).interfaces.get(name).unwrap_or_else(|| panic!("no {at}"))
}

/// The addresses of `node:name` in order.
#[track_caller]
fn addresses(desired: &Desired, at: &str) -> Vec<String> {
    interface(desired, at).addresses.iter().map(ToString::to_string).collect()
}

/// The routes of a node in iproute2's words.
#[track_caller]
fn routes(desired: &Desired, node: &str) -> Vec<String> {
    ns(desired, node).routes.iter().map(ToString::to_string).collect()
}

/// The names of the interfaces of a node.
#[track_caller]
fn interfaces(desired: &Desired, node: &str) -> Vec<String> {
    ns(desired, node).interfaces.keys().map(ToString::to_string).collect()
}
