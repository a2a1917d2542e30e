//! What belongs to somebody else and stands in the way.

use std::fmt;

use super::routes::is_in_the_way;
use super::{Planner, can_become};
use crate::names::{IfName, NsName};
use crate::nft::TableId;
use crate::origin::Origin;
use crate::state::{Address, End, Interface, Namespace, Owner};

/// Something foreign where the lab wants something of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// A namespace of the wanted name that the lab did not make.
    Namespace {
        /// The namespace.
        ns: NsName,
        /// Whose it is.
        owner: Owner,
        /// What asked for a namespace of this name.
        origin: Origin,
    },
    /// An interface of the wanted name, but of another kind, that vnet did not make.
    Interface {
        /// The interface.
        end: End,
        /// The kind it has.
        kind: String,
        /// What asked for an interface of this name.
        origin: Origin,
    },
    /// An address on an interface that vnet did not make, whose prefix or whose own place a wanted
    /// route has.
    Address {
        /// The interface.
        end: End,
        /// Its address.
        address: Address,
        /// What asked for the route.
        origin: Origin,
    },
    /// A table of the wanted name that the lab did not make.
    Table {
        /// Its namespace.
        ns: NsName,
        /// The table.
        id: TableId,
        /// What asked for a table of this name.
        origin: Origin,
    },
}

impl Conflict {
    /// Returns what asked for the thing that is in the way.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Namespace { origin, .. }
            | Self::Interface { origin, .. }
            | Self::Address { origin, .. }
            | Self::Table { origin, .. } => *origin,
        }
    }
}

impl Conflict {
    /// Returns the namespace that it is, or that it is in.
    #[must_use]
    pub fn ns(&self) -> &NsName {
        match self {
            Self::Namespace { ns, .. } | Self::Table { ns, .. } => ns,
            Self::Interface { end, .. } | Self::Address { end, .. } => &end.ns,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { ns, owner: Owner::Foreign, .. } => {
                write!(f, "namespace {ns} exists and was not made by vnet")
            }
            Self::Namespace { ns, owner: Owner::Lab(mark) | Owner::Stale(mark), .. } => {
                write!(f, "namespace {ns} belongs to lab {} (node {})", mark.lab, mark.node)
            }
            Self::Table { ns, id, .. } => {
                write!(f, "the nftables table `{id}` in {ns} exists and was not made by vnet")
            }
            Self::Address { end, address, .. } => {
                write!(f, "{address} on {end} is in the way of a route, and was not made by vnet")
            }
            Self::Namespace { ns, owner: Owner::Host, .. } => write!(f, "{ns} is the lab's host"),
            Self::Interface { end, kind, .. } => {
                write!(f, "{end} exists, is a {kind} and was not made by vnet")
            }
        }
    }
}

impl Planner<'_> {
    pub(super) fn find_conflicts(&mut self) {
        for (ns, wanted) in &self.target.namespaces {
            let Some(found) = self.observed.namespaces.get(ns) else { continue };
            let is_host = wanted.owner == Owner::Host && found.owner == Owner::Host;
            if !is_host && found.owner.mark().is_none_or(|mark| mark.lab != *self.lab) {
                self.plan.conflicts.push(Conflict::Namespace {
                    ns: ns.clone(),
                    owner: found.owner.clone(),
                    origin: wanted.origin,
                });
                continue;
            }
            for table in wanted.declared_tables() {
                let id = &table.id;
                let there = found.tables.get(id);
                if there.is_some_and(|there| there.mark != table.mark) {
                    self.plan.conflicts.push(Conflict::Table {
                        ns: ns.clone(),
                        id: id.clone(),
                        origin: table.origin,
                    });
                }
            }
            self.conflicts_of_interfaces(ns, wanted, found);
            self.conflicts_of_routes(ns, wanted, found);
        }
    }

    fn conflicts_of_interfaces(&mut self, ns: &NsName, wanted: &Namespace, found: &Namespace) {
        let is_host = wanted.owner == Owner::Host;
        for (name, interface) in &wanted.interfaces {
            let origin = interface.origin;
            if let Some((end, device)) = self.stranger_with_key(ns, name, interface) {
                let kind = device.to_string();
                self.plan.conflicts.push(Conflict::Interface { end, kind, origin });
                continue;
            }
            let Some(there) = found.interfaces.get(name) else { continue };
            // In the lab's own namespaces what is alike may have been made again by a person.
            if !there.ours && (is_host || !can_become(there, interface)) {
                let end = End { ns: ns.clone(), name: name.clone() };
                let kind = there.kind.name().to_owned();
                self.plan.conflicts.push(Conflict::Interface { end, kind, origin });
            }
        }
    }

    /// Finds the addresses that the lab would take away if they were on interfaces of its own.
    fn conflicts_of_routes(&mut self, ns: &NsName, wanted: &Namespace, found: &Namespace) {
        let is_stranger = |(name, interface): &(&IfName, &Interface)| {
            !interface.ours && interface.up && !wanted.interfaces.contains_key(*name)
        };
        let strangers: Vec<_> = found.interfaces.iter().filter(is_stranger).collect();
        if strangers.is_empty() {
            return;
        }
        for route in wanted.routes.difference(&found.routes) {
            for (name, interface) in &strangers {
                let mut addresses = interface.addresses.iter();
                if let Some(address) = addresses.find(|address| is_in_the_way(address, route)) {
                    let end = End { ns: ns.clone(), name: (*name).clone() };
                    let (address, origin) = (*address, route.origin);
                    self.plan.conflicts.push(Conflict::Address { end, address, origin });
                }
            }
        }
    }
}
