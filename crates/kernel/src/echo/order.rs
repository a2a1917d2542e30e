//! In which order probes are sent, and which namespaces are open meanwhile.

use std::collections::{BTreeMap, HashMap};

use super::Probe;
use super::field::Field;

/// Probes that are sent while the same namespaces are open.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The namespaces.
    pub(super) places: Vec<usize>,
    /// The probes, by index.
    pub(super) probes: Vec<usize>,
}

/// Divides probes into blocks and orders them.
///
/// The two directions between two namespaces stand side by side: they need the same neighbour
/// entries. Otherwise neighbours in the order are probes from different namespaces, so that no
/// router has to send many errors to one place in a short time.
pub(super) fn blocks(probes: &[Probe], field: &Field<'_>) -> Vec<Block> {
    let group_size = field.group_size();
    let mut stray: HashMap<usize, usize> = HashMap::new();
    let mut blocks: BTreeMap<[usize; 2], Block> = BTreeMap::new();
    let mut ranks: Vec<[usize; 3]> = Vec::with_capacity(probes.len());
    for (index, probe) in probes.iter().enumerate() {
        let src = field.place(&probe.ns);
        let owner = field.owner(probe.dst);
        let (low, high) = owner.map_or((src, src), |owner| (src.min(owner), src.max(owner)));
        let round = if owner.is_some() {
            high - low
        } else {
            let count = stray.entry(src).or_default();
            *count += 1;
            *count
        };
        let block = blocks.entry([low / group_size, high / group_size]).or_default();
        block.places.extend([low, high]);
        block.probes.push(index);
        ranks.push([round, low, src]);
    }
    let mut blocks: Vec<Block> = blocks.into_values().collect();
    for block in &mut blocks {
        block.places.sort_unstable();
        block.places.dedup();
        block.probes.sort_by_key(|index| ranks[*index]);
    }
    blocks
}
