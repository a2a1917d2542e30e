//! The order of the interfaces of one namespace: what others need comes first.

use std::collections::BTreeMap;

use crate::names::IfName;
use crate::state::{Interface, Namespace};

/// What must be there, or be set, before an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// What it stands on.
    Lower,
    /// What it stands on, and what it is a port of.
    MasterAndLower,
}

/// Returns the interfaces, those that others need first, by name where nothing else says.
pub(super) fn ordered(namespace: &Namespace, by: By) -> Vec<(&IfName, &Interface)> {
    let mut order: Vec<_> = namespace.interfaces.iter().collect();
    let mut depths = BTreeMap::new();
    for (name, interface) in &order {
        if needs(interface, by).next().is_some() {
            depth(namespace, name, by, &mut depths);
        }
    }
    if !depths.is_empty() {
        order.sort_by_key(|(name, _)| depths.get(*name).copied().unwrap_or(0));
    }
    order
}

fn needs(interface: &Interface, by: By) -> impl Iterator<Item = &IfName> {
    let master = interface.master.as_ref().filter(|_| by == By::MasterAndLower);
    let device = interface.kind.device();
    device.into_iter().flat_map(|device| device.needs()).chain(master)
}

/// Counts how many interfaces must come before one, at the longest. A circle, which only a state
/// that nobody could build has, ends where it began.
fn depth<'a>(
    namespace: &'a Namespace,
    name: &'a IfName,
    by: By,
    depths: &mut BTreeMap<&'a IfName, usize>,
) -> usize {
    if let Some(known) = depths.get(name) {
        return *known;
    }
    depths.insert(name, 0);
    let Some(interface) = namespace.interfaces.get(name) else { return 0 };
    let below = needs(interface, by).map(|below| depth(namespace, below, by, depths) + 1).max();
    let depth = below.unwrap_or(0);
    depths.insert(name, depth);
    depth
}
