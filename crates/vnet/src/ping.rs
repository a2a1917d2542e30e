//! Who reaches whom: echo requests from nodes to nodes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use vnet_kernel::echo::{self, Options, Outcome, Probe};
use vnet_model::expect::first_address;
use vnet_model::{Desired, Namespace, NodeName};

use crate::error::Error;
use crate::expect::Found;
use crate::lab::Lab;
use crate::target::by_number;
use vnet_why::{Question, why};

/// What is asked whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// A node, by its first address of each family that both sides have.
    Node(NodeName),
    /// An address, whoever has it.
    Address(IpAddr),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => name.fmt(f),
            Self::Address(addr) => addr.fmt(f),
        }
    }
}

/// Which families of addresses are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// Both, where both sides have an address.
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Families {
    fn has(self, is_ipv6: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Ipv4 => !is_ipv6,
            Self::Ipv6 => is_ipv6,
        }
    }
}

/// A question and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinged {
    /// Who asked.
    pub from: NodeName,
    /// Who was asked.
    pub to: Goal,
    /// The address that was asked and what came of it; `None` where the two have no address of the
    /// same family.
    pub answer: Option<(IpAddr, Outcome)>,
}

impl Pinged {
    /// Tells whether the answer came.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        matches!(self.answer, Some((_, Outcome::Reply { .. })))
    }
}

impl Lab {
    /// Asks each goal from each node, but no node from itself, all at the same time.
    ///
    /// `progress` is told how many answers there are as soon as there is one more.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::NoNode`], and when a namespace is gone or can't be entered.
    pub fn ping(
        &self,
        from: &[NodeName],
        to: &[Goal],
        families: Families,
        options: &Options,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Pinged>, Error> {
        let not_up = || Error::NotUp { lab: self.name().clone() };
        let desired = self.record()?.ok_or_else(not_up)?.desired;
        let mut pinged = Vec::new();
        let mut probes = Vec::new();
        for from in from {
            let ns = self.namespace_of(from.as_str())?;
            for to in to.iter().filter(|to| **to != Goal::Node(from.clone())) {
                let addresses = addresses(&desired, from, to, families);
                if addresses.is_empty() {
                    pinged
                        .push((Pinged { from: from.clone(), to: to.clone(), answer: None }, None));
                }
                for addr in addresses {
                    let question = Pinged { from: from.clone(), to: to.clone(), answer: None };
                    pinged.push((question, Some(probes.len())));
                    probes.push(Probe::new(ns.clone(), addr));
                }
            }
        }
        let watched = desired.state.namespaces.keys().cloned().collect();
        let options = Options { watched, ..options.clone() };
        let mut known = 0;
        let outcomes = echo::echo(self.realm()?, &probes, &options, |_, _| {
            known += 1;
            progress(known);
        })?;
        let answer = |probe: usize| Some((probes.get(probe)?.dst, *outcomes.get(probe)?));
        let answered = |(pinged, probe): (Pinged, Option<usize>)| Pinged {
            answer: probe.and_then(answer),
            ..pinged
        };
        Ok(pinged.into_iter().map(answered).collect())
    }

    /// Says of each of these that did not reach, on paper, what is at fault in the first place.
    ///
    /// # Errors
    /// [`Error::NotUp`], and when the kernel can't be read.
    pub fn explain(&self, pinged: &[&Pinged]) -> Result<Vec<Option<String>>, Error> {
        let not_up = || Error::NotUp { lab: self.name().clone() };
        let desired = self.record()?.ok_or_else(not_up)?.desired;
        let state = self.look(&desired)?.state;
        let facts = self.survey(&state)?;
        let found = Found { desired: &desired, state: &state, facts: Some(&facts), cut: &[] };
        let explain = |one: &&Pinged| {
            let (dst, _) = one.answer.filter(|_| !one.is_reached())?;
            let from = desired.nodes.get(&one.from)?.clone();
            let to = match &one.to {
                Goal::Node(to) => desired.nodes.get(to).cloned(),
                Goal::Address(_) => None,
            };
            let answer = why(&found.world(), &Question { to, ..Question::new(from, dst) });
            Some(answer.causes.first()?.evidence.clone())
        };
        Ok(pinged.iter().map(explain).collect())
    }

    /// Finds what is asked for a word: an address, or nodes as [`Lab::nodes_of`] finds them.
    ///
    /// # Errors
    /// As [`Lab::nodes_of`].
    pub fn goals_of(&self, target: &str) -> Result<Vec<Goal>, Error> {
        match IpAddr::from_str(target) {
            Ok(addr) => Ok(vec![Goal::Address(addr)]),
            Err(_) => Ok(self.nodes_of(target)?.into_iter().map(Goal::Node).collect()),
        }
    }
}

/// Finds all nodes that have an address of one of these families, in the order of a person.
#[must_use]
pub fn with_address(desired: &Desired, families: Families) -> Vec<NodeName> {
    let has = |name: &&NodeName| {
        [false, true]
            .into_iter()
            .any(|is_ipv6| families.has(is_ipv6) && address(desired, name, is_ipv6).is_some())
    };
    let mut nodes: Vec<NodeName> = desired.nodes.keys().filter(has).cloned().collect();
    nodes.sort_by(|a, b| by_number(a.as_str(), b.as_str()));
    nodes
}

/// Returns the addresses of a goal that a node can ask: of families in which both have one.
fn addresses(desired: &Desired, from: &NodeName, to: &Goal, families: Families) -> Vec<IpAddr> {
    match to {
        Goal::Address(addr) => vec![*addr],
        Goal::Node(to) => [false, true]
            .into_iter()
            .filter(|is_ipv6| families.has(*is_ipv6) && address(desired, from, *is_ipv6).is_some())
            .filter_map(|is_ipv6| address(desired, to, is_ipv6))
            .collect(),
    }
}

fn address(desired: &Desired, node: &NodeName, is_ipv6: bool) -> Option<IpAddr> {
    let namespace: &Namespace = desired.state.namespaces.get(desired.nodes.get(node)?)?;
    first_address(namespace, is_ipv6)
}
