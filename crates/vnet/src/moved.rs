//! Addresses that a change of the file shifts: those that are not written but handed out by a
//! prefix move when something is inserted before them.

use std::collections::BTreeMap;
use std::fmt;

use vnet_model::ipnet::IpNet;
use vnet_model::{Desired, End};

/// An interface whose handed-out addresses would be others than they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The interface.
    pub end: End,
    /// What it has.
    pub from: Vec<IpNet>,
    /// What it would get.
    pub to: Vec<IpNet>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nets: &[IpNet]| {
            nets.iter().map(|net| net.addr().to_string()).collect::<Vec<_>>().join(", ")
        };
        write!(f, "{} from {} to {}", self.end, list(&self.from), list(&self.to))
    }
}

/// Finds the interfaces that are in both, and to which a prefix hands out other addresses.
#[must_use]
pub fn moved(before: &Desired, after: &Desired) -> Vec<Moved> {
    let (before, mut after) = (by_end(before), by_end(after));
    let pairs = before.into_iter().filter_map(|(end, from)| Some((after.remove(end)?, end, from)));
    pairs
        .filter(|(to, _, from)| from != to)
        .map(|(to, end, from)| Moved { end: end.clone(), from, to })
        .collect()
}

fn by_end(desired: &Desired) -> BTreeMap<&End, Vec<IpNet>> {
    let mut ends: BTreeMap<&End, Vec<IpNet>> = BTreeMap::new();
    for (end, net) in &desired.handed_out {
        ends.entry(end).or_default().push(*net);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(members: &str) -> Desired {
        let text = format!(
            "{{ name: demo, nodes: [ a, b, c ], \
             segments: {{ lan: {{ prefix: 10.0.0.0/24, members: {members} }} }} }}"
        );
        let source = vnet_file::Source::new("t", text);
        vnet_file::parse(&source, &[]).unwrap().resolve().unwrap()
    }

    #[test]
    fn an_insertion_moves_what_comes_after_it() {
        let before = desired("[ a, c ]");
        let shown = |after: &Desired| -> Vec<String> {
            moved(&before, after).iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown(&desired("[ a, c, b ]")), [""; 0]);
        assert_eq!(shown(&desired("[ a, b, c ]")), ["demo-c:lan from 10.0.0.2 to 10.0.0.3"]);
        assert_eq!(shown(&desired("{ a: , b: , c: 10.0.0.2 }")), [""; 0]);
    }
}
