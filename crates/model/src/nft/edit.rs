//! What stays of a table that becomes another: rules that stay keep their counters, limits and
//! places, and packets never meet a half of either.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Base, Chain, Rule, Table};

/// How many comparisons the search for what stays in the middle of a chain may take; where it would
/// be more, only what both chains begin and end with stays.
const COMPARISONS_MAX: usize = 1_000_000;

/// How many rules a change of a table is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// How many are new.
    pub new: usize,
    /// How many are gone.
    pub gone: usize,
}

impl Edit {
    /// Counts what is new and what is gone when one table becomes the other.
    #[must_use]
    pub fn between(found: &Table, wanted: &Table) -> Self {
        let rules = |table: &Table| table.chains.iter().map(|chain| chain.rules.len()).sum();
        let (before, after): (usize, usize) = (rules(found), rules(wanted));
        let pairs =
            wanted.chains.iter().filter_map(|chain| Some((found.chain(&chain.name)?, chain)));
        let stay: usize = match can_stay(found, wanted) {
            true => {
                pairs.map(|(found, wanted)| staying(found, wanted).iter().flatten().count()).sum()
            }
            false => 0,
        };
        Self { new: after - stay, gone: before - stay }
    }
}

impl fmt::Display for Edit {
    /// Writes `1 new, 2 gone`, without what is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.new, self.gone) {
            (new, 0) => write!(f, "{new} new"),
            (0, gone) => write!(f, "{gone} gone"),
            (new, gone) => write!(f, "{new} new, {gone} gone"),
        }
    }
}

/// Tells whether a table can become another without being made anew: its mark, what it has beside chains,
/// and where packets come to the chains that stay are settled once; the policy alone is not.
#[must_use]
pub fn can_stay(found: &Table, wanted: &Table) -> bool {
    let settled = |chain: &Chain| chain.base.clone().map(|base| Base { accepts: true, ..base });
    found.id == wanted.id
        && found.mark == wanted.mark
        && found.named == wanted.named
        && wanted.chains.iter().all(|chain| {
            found.chain(&chain.name).is_none_or(|found| settled(found) == settled(chain))
        })
}

/// Finds the rules of a chain that stay when it becomes another: for each that is wanted the place
/// of the found one that it is, in rising order. As many stay as can.
#[must_use]
pub fn staying(found: &Chain, wanted: &Chain) -> Vec<Option<usize>> {
    let (found, wanted) = (found.rules.as_slice(), wanted.rules.as_slice());
    let same = |(a, b): &(&Rule, &Rule)| a == b;
    let first = found.iter().zip(wanted).take_while(same).count();
    let (found_rest, wanted_rest) = (&found[first..], &wanted[first..]);
    let last = found_rest.iter().rev().zip(wanted_rest.iter().rev()).take_while(same).count();
    let middle_found = &found_rest[..found_rest.len() - last];
    let middle_wanted = &wanted_rest[..wanted_rest.len() - last];
    let middle = longest(middle_found, middle_wanted).into_iter();
    let middle = middle.map(|at| at.map(|at| first + at));
    let head = (0..first).map(Some);
    let tail = (found.len() - last..found.len()).map(Some);
    head.chain(middle).chain(tail).collect()
}

/// The longest common subsequence, by the table of what is longest from each pair of places on.
fn longest(found: &[Rule], wanted: &[Rule]) -> Vec<Option<usize>> {
    let mut stay = vec![None; wanted.len()];
    if found.len().saturating_mul(wanted.len()) > COMPARISONS_MAX {
        return stay;
    }
    let width = wanted.len() + 1;
    let mut lengths = vec![0_u32; (found.len() + 1) * width];
    for (i, a) in found.iter().enumerate().rev() {
        for (j, b) in wanted.iter().enumerate().rev() {
            let here = i * width + j;
            lengths[here] = match a == b {
                true => lengths[here + width + 1] + 1,
                false => lengths[here + width].max(lengths[here + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (found.get(i), wanted.get(j)) {
        let here = i * width + j;
        if a == b {
            stay[j] = Some(i);
            (i, j) = (i + 1, j + 1);
        } else if lengths[here + width] >= lengths[here + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    stay
}

#[cfg(test)]
mod tests {
    use super::super::build::{Builder, TCP};
    use super::super::{ChainKind, Family, Hook, TableId};
    use super::*;
    use crate::origin::Origin;

    fn chain(ports: &[u16]) -> Chain {
        let rules = ports.iter().map(|port| {
            let rule = Builder::new().protocols(&[TCP]).ports(&[(*port, *port)]);
            rule.counter().accept().rule(Origin::NONE)
        });
        Chain { name: "input".into(), base: None, rules: rules.collect() }
    }

    fn table(chains: Vec<Chain>) -> Table {
        let id = TableId { family: Family::Inet, name: "vnet".into() };
        Table { chains, ..Table::new(id, None) }
    }

    #[test]
    fn as_many_rules_stay_as_can() {
        let stay = |found: &[u16], wanted: &[u16]| staying(&chain(found), &chain(wanted));
        assert_eq!(stay(&[], &[]), []);
        assert_eq!(stay(&[], &[1]), [None]);
        assert_eq!(stay(&[1, 2], &[]), []);
        assert_eq!(stay(&[1, 2, 3], &[1, 2, 3]), [Some(0), Some(1), Some(2)]);
        assert_eq!(stay(&[1, 2, 3], &[1, 9, 3]), [Some(0), None, Some(2)]);
        assert_eq!(stay(&[1, 2, 3], &[1, 3]), [Some(0), Some(2)]);
        assert_eq!(stay(&[1, 3], &[0, 1, 2, 3, 4]), [None, Some(0), None, Some(1), None]);
        assert_eq!(stay(&[1, 2, 3, 4], &[2, 1, 3, 4]).iter().flatten().count(), 3);
        // The same rule twice: each stays for one.
        assert_eq!(stay(&[1, 1], &[1, 2, 1, 1]).iter().flatten().count(), 2);
    }

    /// Against the definition: what stays is the same rule, in rising order, and no longer choice is.
    #[test]
    fn what_stays_is_a_longest_common_subsequence() {
        let mut seed = 7_u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..300 {
            let mut list = || -> Vec<u16> {
                (0..random(8)).map(|_| u16::try_from(random(4)).unwrap()).collect()
            };
            let (found, wanted) = (list(), list());
            let stay = staying(&chain(&found), &chain(&wanted));
            let pairs = stay.iter().enumerate().filter_map(|(at, place)| Some((at, (*place)?)));
            let pairs: Vec<(usize, usize)> = pairs.collect();
            assert!(
                pairs.iter().all(|(at, place)| found[*place] == wanted[*at]),
                "{found:?} {wanted:?}"
            );
            assert!(pairs.is_sorted_by(|a, b| a.1 < b.1), "{found:?} {wanted:?}");
            let subsequences = (0..1_u32 << found.len()).filter(|chosen| {
                let chosen = (0..found.len()).filter(|at| chosen & 1 << at != 0);
                let mut rest = wanted.iter();
                chosen.map(|at| found[at]).all(|port| rest.any(|other| *other == port))
            });
            let most = subsequences.map(u32::count_ones).max().unwrap();
            assert_eq!(pairs.len(), most as usize, "{found:?} {wanted:?}");
        }
    }

    #[test]
    fn a_chain_too_long_to_search_keeps_its_ends() {
        let long: Vec<u16> = (0..3_000).collect();
        let mut other: Vec<u16> = long.iter().rev().copied().collect();
        other.insert(0, 0);
        other.push(2_999);
        let stay = staying(&chain(&long), &chain(&other));
        assert_eq!(stay.iter().flatten().copied().collect::<Vec<_>>(), [0, 2_999]);
    }

    #[test]
    fn a_table_is_made_anew_where_its_chains_are_elsewhere() {
        let base = |priority, accepts| {
            let devices = Vec::new();
            Some(Base { kind: ChainKind::Filter, hook: Hook::Input, priority, accepts, devices })
        };
        let at = |priority, accepts, ports: &[u16]| {
            table(vec![Chain { base: base(priority, accepts), ..chain(ports) }])
        };
        let edit = |found: &Table, wanted: &Table| Edit::between(found, wanted).to_string();
        let found = at(0, true, &[1, 2, 3]);
        assert_eq!(edit(&found, &at(0, false, &[1, 3, 4])), "1 new, 1 gone");
        assert_eq!(edit(&found, &at(5, true, &[1, 2, 3])), "3 new, 3 gone");
        assert_eq!(edit(&found, &table(Vec::new())), "3 gone");
        assert_eq!(edit(&table(Vec::new()), &found), "3 new");
        assert!(can_stay(&found, &at(0, false, &[])) && !can_stay(&found, &at(5, true, &[])));
    }
}
