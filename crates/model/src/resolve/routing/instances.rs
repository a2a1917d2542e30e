//! Where routes are looked up by themselves: each node, and each VRF in one.

use std::collections::HashMap;

use super::super::network::Network;
use crate::state::TABLE_MAIN;

/// The routing instances of a network.
#[derive(Debug)]
pub(super) struct Instances {
    /// The place of each and the table that its routes are in. First comes what is in no VRF, which has the
    /// number of its place.
    pub(super) all: Vec<(usize, u32)>,
    /// The instance of each interface: that of the VRF that it is, or is a port of.
    pub(super) of: Vec<usize>,
}

impl Instances {
    pub(super) fn of(network: &Network<'_>) -> Self {
        let places = 0..network.wiring.places.len();
        let mut all: Vec<(usize, u32)> = places.map(|place| (place, TABLE_MAIN)).collect();
        let mut in_vrfs = HashMap::new();
        let interfaces = network.wiring.interfaces.iter().enumerate();
        let of = interfaces
            .map(|(id, wired)| match network.table_of_prefixes(id) {
                TABLE_MAIN => wired.place,
                table => *in_vrfs.entry((wired.place, table)).or_insert_with(|| {
                    all.push((wired.place, table));
                    all.len() - 1
                }),
            })
            .collect();
        Self { all, of }
    }
}
