//! Ways to where tunnels end, of which none leads into the tunnel that it is to carry.
//!
//! What a tunnel carries goes to its far end in packets of its own, by the route to there. Were that
//! into the tunnel again, nothing would ever leave. So these ways are found layer by layer: first
//! without any tunnel; then, for who found none, by those tunnels too whose ends reach each other by
//! now; and so on. Those whose ends never do are left for the end, and a way to all but their own ends:
//! routes that the file writes may carry them, or the other family.
//!
//! So a tunnel is carried by those of earlier layers alone. No way goes in circles either: who has
//! one of some layer hands on to who is nearer in that, or has one of an earlier layer.
//!
//! It is about the whole prefix that the end of a tunnel is in: routes lead to prefixes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::network::{Family, Network};
use super::super::vxlan;
use super::{Found, Graph, Search, Target};
use crate::kind::Value;

/// Where tunnels end.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// For each domain with a tunnel in it who sends to which target, by the numbers of both; `None`
    /// where there is no such one in the family.
    tunnels: BTreeMap<usize, BTreeSet<(usize, Option<usize>)>>,
    /// The targets that an end is in.
    targets: BTreeSet<usize>,
}

impl Ends {
    /// Finds the ends of all tunnels among the destinations, which are sorted.
    pub(super) fn of(network: &Network<'_>, family: Family, dsts: &[IpNet]) -> Self {
        let mut ends = Self::default();
        let mut known = HashMap::new();
        for (id, remote) in remotes(network) {
            let target = match Family::of(remote) == family {
                true => *known.entry(remote).or_insert_with(|| {
                    let around = around(remote, dsts);
                    ends.targets.extend(&around);
                    around.last().copied()
                }),
                // The ways of the other family are found by themselves.
                false => None,
            };
            // Its packets are in no VRF, but where it says `dev`, whose way is then left for the end.
            let instance = network.wiring.interfaces[id].place;
            ends.tunnels.entry(network.domains.of[id]).or_default().insert((instance, target));
        }
        ends
    }

    /// Tells whether a tunnel ends in this target.
    pub(super) fn has(&self, target: usize) -> bool {
        self.targets.contains(&target)
    }

    /// Finds the next hops of all instances to these targets.
    pub(super) fn find(
        &self,
        graph: &Graph<'_>,
        targets: &[Target],
        search: &mut Search,
        found: &mut [Found],
    ) {
        let mut closed: BTreeSet<usize> = self.tunnels.keys().copied().collect();
        let reached = |&number: &usize| {
            let instances = 0..found.len();
            (number, instances.map(|instance| targets[number].is_at(instance)).collect())
        };
        let mut reached: BTreeMap<usize, Vec<bool>> = self.targets.iter().map(reached).collect();
        let mut look = |graph: &Graph<'_>, number: usize, reached: &mut [bool]| {
            search.run(graph, &targets[number]);
            for (instance, (found, reached)) in found.iter_mut().zip(reached).enumerate() {
                if !*reached {
                    search.hops(graph, instance, &mut found.hops);
                    *reached = !found.hops.is_empty();
                    found.keep(number);
                }
            }
        };
        loop {
            let layer = graph.without(&closed);
            for (&number, reached) in &mut reached {
                look(&layer, number, reached);
            }
            let before = closed.len();
            closed.retain(|domain| {
                let reaches = |&(instance, target): &(usize, Option<usize>)| {
                    target.is_some_and(|number| reached[&number][instance])
                };
                !self.tunnels[domain].iter().all(reaches)
            });
            if closed.len() == before {
                break;
            }
        }
        for (&number, reached) in &mut reached {
            let ends_there = |domain: &usize| {
                self.tunnels[domain].iter().any(|(_, target)| *target == Some(number))
            };
            let own: BTreeSet<usize> = closed.iter().copied().filter(ends_there).collect();
            if own.len() < closed.len() {
                look(&graph.without(&own), number, reached);
            }
        }
    }
}

/// Lists the interfaces that are ends of tunnels, with the addresses that they send to.
fn remotes(network: &Network<'_>) -> Vec<(usize, IpAddr)> {
    let mut remotes = Vec::new();
    for (id, device) in network.tunnels.iter().enumerate() {
        let option = device.as_ref().and_then(|device| device.options.get("remote"));
        if let Some(Value::Ip(addr)) = option {
            remotes.push((id, *addr));
        }
        let peers = network.wireguards[id].iter().flat_map(|config| config.peers.values());
        let endpoints = peers.filter_map(|peer| Some((id, peer.endpoint?.ip())));
        remotes.extend(endpoints);
    }
    for segment in 0..network.topology.segments().len() {
        let ends = vxlan::ends(network, segment);
        for &(id, _) in &ends {
            let others = ends.iter().filter(|(other, _)| *other != id);
            remotes.extend(others.map(|&(_, addr)| (id, addr)));
        }
    }
    remotes
}

/// Lists the destinations that an address is in, the longest prefix last.
fn around(addr: IpAddr, dsts: &[IpNet]) -> Vec<usize> {
    let longest = IpNet::from(addr).prefix_len();
    let prefixes = (0..=longest).filter_map(|length| IpNet::new(addr, length).ok());
    prefixes.filter_map(|net| dsts.binary_search(&net.trunc()).ok()).collect()
}
