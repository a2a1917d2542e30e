//! Static routes, and default routes to gateways.

mod entries;
mod fixed;
mod gateways;
mod way;

use std::collections::{BTreeMap, BTreeSet};

use super::network::{Family, Network};
use crate::problem::{Problem, ProblemKind};
use crate::state::{Route, RouteKey, TABLE_MAIN};

pub(super) use entries::of_node as entries;

/// The routes of one place by what the kernel tells them apart by.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those from the file's `routes:` and `gateway:`.
    written: BTreeMap<RouteKey, Route>,
    /// Those from `routing: auto`, none of which is in `written`.
    automatic: Vec<Route>,
}

impl Table {
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.written.values().chain(&self.automatic)
    }

    pub(super) fn into_routes(self) -> BTreeSet<Route> {
        let mut routes: BTreeSet<Route> = self.automatic.into_iter().collect();
        routes.extend(self.written.into_values());
        routes
    }

    /// Adds routes of `routing: auto`, but where the file says something else.
    pub(super) fn add_automatic(&mut self, routes: impl Iterator<Item = Route>) {
        self.automatic.extend(routes.filter(|route| !self.written.contains_key(&route.key())));
    }

    /// Tells whether the main table has a default route of a family.
    fn has_default(&self, family: Family) -> bool {
        let mut keys = self.written.keys();
        keys.any(|(table, dst, _)| *table == TABLE_MAIN && *dst == family.default_dst())
    }
}

/// Makes the routes that the file writes and that its gateways bring, for each place.
pub(super) fn all(network: &Network<'_>, problems: &mut Vec<Problem>) -> Vec<Table> {
    let mut tables: Vec<Table> = network.wiring.places.iter().map(|_| Table::default()).collect();
    for (place, table) in tables.iter_mut().enumerate() {
        let Some(node) = network.node(place) else { continue };
        for route in fixed::of_node(network, place, problems) {
            match table.written.get(&route.key()) {
                None => {
                    table.written.insert(route.key(), route);
                }
                Some(first) => {
                    let (table, dst, metric) = route.key();
                    let node = node.name.clone();
                    let kind = ProblemKind::DuplicateRoute { node, dst, table, metric };
                    let problem = Problem::new(kind, route.origin);
                    problems.push(problem.with(first.origin, "the first is here"));
                }
            }
        }
    }
    gateways::add(network, &mut tables, problems);
    gateways::add_external(network, &mut tables);
    tables
}
