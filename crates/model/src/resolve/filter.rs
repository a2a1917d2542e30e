//! Firewalls and translations of addresses to tables of nf_tables: one table a node.
//!
//! ```text
//!  firewall:  in, out, forward ──▶ chains input, output, forward (filter)
//!  nat:       dnat, binat      ──▶ chain prerouting, and output-nat for what the node sends itself
//!             binat, snat, masquerade ──▶ chain postrouting
//! ```
//! Chains that would say nothing are left out, and so is the table. In each chain of the firewall
//! first comes what keeps a network alive: packets of established connections (unless the file
//! says otherwise), those that a node sends to itself, and the neighbour discovery of IPv6.

mod chains;
mod nat;
mod overlap;
mod peers;

use super::network::Network;
use crate::names::Mark;
use crate::nft::{Chain, Family, Table, TableId};
use crate::problem::Problem;
use crate::topology::Node;

/// The name of a lab's table.
const TABLE: &str = "vnet";

/// A lab's table, as family and name.
pub const TABLE_ID: &str = "inet vnet";

/// Makes the table of each place that has a firewall or translates.
pub(super) fn tables(network: &Network<'_>, problems: &mut Vec<Problem>) -> Vec<Option<Table>> {
    let places = 0..network.wiring.places.len();
    places
        .map(|place| {
            let node = network.node(place)?;
            table(&Context { network, place, node }, problems)
        })
        .collect()
}

/// The node whose table is made.
#[derive(Debug, Clone, Copy)]
struct Context<'c> {
    network: &'c Network<'c>,
    place: usize,
    node: &'c Node,
}

fn table(context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<Table> {
    let node = context.node;
    let mut chains: Vec<Chain> = chains::firewall(context, problems);
    let before = problems.len();
    chains.extend(nat::chains(context, problems));
    if problems.len() == before {
        overlap::find(context, problems);
    }
    let origin = node.firewall.as_ref().map(|firewall| firewall.origin);
    let origin = origin.or_else(|| node.nat.first().map(|rule| rule.origin));
    let origin = origin.unwrap_or(node.origin);
    let id = TableId { family: Family::Inet, name: TABLE.to_owned() };
    let mark = Mark { lab: context.network.topology.name().clone(), node: node.name.clone() };
    (!chains.is_empty()).then(|| Table { chains, origin, ..Table::new(id, Some(mark)) })
}
