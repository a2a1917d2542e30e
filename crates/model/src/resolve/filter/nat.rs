//! The chains of translations.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Context;
use super::chains::known;
use super::peers::{self, End};
use crate::names::{IfName, NodeName};
use crate::nft::build::{Builder, Side};
use crate::nft::{Base, Chain, ChainKind, Hook, Rule};
use crate::origin::Origin;
use crate::problem::{FilterProblem, Problem, nearest};
use crate::resolve::network::Family;
use crate::topology::{NatKind, NatRule, Peer};

/// When translations of destinations happen (`NF_IP_PRI_NAT_DST`, linux/netfilter_ipv4.h).
const PRIORITY_DESTINATION: i32 = -100;
/// When translations of sources happen (`NF_IP_PRI_NAT_SRC`).
const PRIORITY_SOURCE: i32 = 100;

/// The rules of the chains while they are collected.
#[derive(Default)]
struct Rules {
    prerouting: Vec<Rule>,
    output: Vec<Rule>,
    /// Binats, then what makes hairpins, then the rest: a packet meets the special before the
    /// general.
    postrouting: [Vec<Rule>; 3],
}

pub(super) fn chains(context: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<Chain> {
    let mut rules = Rules::default();
    for rule in &context.node.nat {
        let made = match &rule.kind {
            NatKind::Masquerade { oif, from } => {
                masquerade(context, rule, (oif, from), &mut rules, problems)
            }
            NatKind::Snat { from, oif, to } => {
                snat(context, rule, (from, oif, *to), &mut rules, problems)
            }
            NatKind::Dnat { .. } => dnat(context, rule, &mut rules, problems),
            NatKind::Binat { addr, to, oif } => {
                binat(context, rule, (*addr, to, oif.as_ref()), &mut rules, problems)
            }
        };
        if let Err(problem) = made {
            problems.push(Problem::new(problem, rule.origin));
        }
    }
    let source = rules.postrouting.into_iter().flatten().collect();
    let chains = [
        ("prerouting", Hook::Prerouting, PRIORITY_DESTINATION, rules.prerouting),
        ("output-nat", Hook::Output, PRIORITY_DESTINATION, rules.output),
        ("postrouting", Hook::Postrouting, PRIORITY_SOURCE, source),
    ];
    let filled = chains.into_iter().filter(|(_, _, _, rules)| !rules.is_empty());
    filled
        .map(|(name, hook, priority, rules)| {
            let base =
                Base { kind: ChainKind::Nat, hook, priority, accepts: true, devices: Vec::new() };
            Chain { name: name.to_owned(), base: Some(base), rules }
        })
        .collect()
}

fn leaving(context: &Context<'_>, names: &[IfName], origin: Origin, found: &mut Vec<Problem>) {
    for name in names {
        known(context, name, origin, found);
    }
}

fn masquerade(
    context: &Context<'_>,
    rule: &NatRule,
    (oif, from): (&[IfName], &[Peer]),
    rules: &mut Rules,
    problems: &mut Vec<Problem>,
) -> Result<(), FilterProblem> {
    leaving(context, oif, rule.origin, problems);
    for from in peers::ends(context, from, rule.origin, problems) {
        let builder = from.when(Builder::new(), Side::Source);
        let builder = builder.interfaces(Side::Destination, oif);
        rules.postrouting[2].push(builder.masquerade().rule(rule.origin));
    }
    Ok(())
}

fn snat(
    context: &Context<'_>,
    rule: &NatRule,
    (from, oif, to): (&[Peer], &[IfName], IpAddr),
    rules: &mut Rules,
    problems: &mut Vec<Problem>,
) -> Result<(), FilterProblem> {
    leaving(context, oif, rule.origin, problems);
    let before = rules.postrouting[2].len();
    let ends = peers::ends(context, from, rule.origin, problems);
    let of_family = |end: &&End| match end {
        End::Nets(nets) => nets.iter().all(|net| net.addr().is_ipv4() == to.is_ipv4()),
        _ => true,
    };
    for from in ends.iter().filter(of_family) {
        let builder = from.when(Builder::new(), Side::Source);
        let builder = builder.interfaces(Side::Destination, oif);
        rules.postrouting[2].push(builder.snat(to).rule(rule.origin));
    }
    match rules.postrouting[2].len() > before || ends.is_empty() {
        true => Ok(()),
        false => Err(FilterProblem::OtherFamily { addr: list(from), to }),
    }
}

pub(super) fn list(peers: &[Peer]) -> String {
    peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The addresses that a port forward is for, and the interface that packets must come in by.
struct Outer {
    /// None where it is any address of the node.
    dsts: Option<Vec<IpAddr>>,
    iif: Option<IfName>,
}

fn dnat(
    context: &Context<'_>,
    rule: &NatRule,
    rules: &mut Rules,
    problems: &mut Vec<Problem>,
) -> Result<(), FilterProblem> {
    let NatKind::Dnat { protocol, ports, iif, dst, to, port, hairpin } = &rule.kind else {
        return Ok(());
    };
    let id = match iif {
        Some(name) => known(context, name, rule.origin, problems),
        None => None,
    };
    let dsts = match (dst, id) {
        (Some(dst), _) => Some(vec![*dst]),
        (None, Some(id)) => Some(peers::addresses_of(context, id)),
        (None, None) => None,
    };
    let outer = Outer { dsts, iif: iif.clone().filter(|_| !hairpin) };
    if let (Some(dsts), Some(interface)) = (&outer.dsts, iif)
        && dsts.is_empty()
    {
        let (node, interface) = (context.node.name.clone(), interface.clone());
        return Err(FilterProblem::NoOuterAddress { node, interface });
    }
    let what = format!("{}", super::overlap::Protocol(*protocol, *ports));
    let mut made = 0;
    for family in Family::BOTH {
        let is_of = |addr: &&IpAddr| Family::of(**addr) == family;
        let dsts: Option<Vec<IpNet>> = outer
            .dsts
            .as_ref()
            .map(|dsts| dsts.iter().filter(is_of).map(|addr| IpNet::from(*addr)).collect());
        let Some(target) = target(context, to, family)? else { continue };
        if dsts.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        made += 1;
        let to_outer = |iif: Option<&IfName>| {
            let ports: Vec<(u16, u16)> = ports.iter().copied().collect();
            let names: Vec<IfName> = iif.into_iter().cloned().collect();
            let builder = Builder::new().interfaces(Side::Source, &names);
            let builder = match &dsts {
                Some(dsts) => builder.prefixes(Side::Destination, dsts),
                None => builder.family(nfproto(family)).to_local(),
            };
            builder.protocols(&[*protocol]).ports(&ports).dnat(target.addr(), *port)
        };
        rules.prerouting.push(to_outer(outer.iif.as_ref()).rule(rule.origin));
        if *hairpin {
            rules.output.push(to_outer(None).rule(rule.origin));
            let inner: Vec<(u16, u16)> = match port {
                Some(port) => vec![(*port, *port)],
                None => ports.iter().copied().collect(),
            };
            // Else the answer would go from the one neighbour to the other, past this node.
            let builder = Builder::new()
                .prefixes(Side::Source, &[target.trunc()])
                .prefixes(Side::Destination, &[target.addr().into()])
                .protocols(&[*protocol])
                .ports(&inner)
                .translated()
                .masquerade();
            rules.postrouting[1].push(builder.rule(rule.origin));
        }
    }
    match made {
        0 => Err(no_target(to, what, outer.dsts.as_deref())),
        _ => Ok(()),
    }
}

fn nfproto(family: Family) -> u8 {
    match family {
        Family::V4 => crate::nft::build::NFPROTO_IPV4,
        Family::V6 => crate::nft::build::NFPROTO_IPV6,
    }
}

fn no_target(to: &Peer, what: String, dsts: Option<&[IpAddr]>) -> FilterProblem {
    if let (Peer::Net(net), Some([dst, ..])) = (to, dsts) {
        return FilterProblem::OtherFamily { addr: dst.to_string(), to: net.addr() };
    }
    let has = |family| dsts.is_none_or(|dsts| dsts.iter().any(|dst| Family::of(*dst) == family));
    let family = match (has(Family::V4), has(Family::V6)) {
        (true, true) => "IPv4 or IPv6",
        (false, _) => "IPv6",
        (true, false) => "IPv4",
    };
    FilterProblem::NoTarget { to: to.to_string(), family, what }
}

/// Finds the address that a translation leads to, with the length of its prefix. Of a node's
/// addresses it is the first of the family that is on a wire with the translating node, else the
/// first.
pub(super) fn target(
    context: &Context<'_>,
    to: &Peer,
    family: Family,
) -> Result<Option<IpNet>, FilterProblem> {
    let network = context.network;
    let name = match to {
        Peer::Net(net) => {
            let of_family = Family::of(net.addr()) == family;
            let assigned = network.addresses.iter().flatten().map(|assigned| assigned.net);
            let mut same = assigned.filter(|own| own.addr() == net.addr());
            return Ok(of_family.then(|| same.next().unwrap_or(*net)));
        }
        Peer::Name(name) => name,
    };
    let place = NodeName::new(name).ok().and_then(|name| network.wiring.place(&name));
    let Some(place) = place.filter(|place| network.node(*place).is_some()) else {
        let names = network.topology.nodes().iter().map(|node| node.name.as_str());
        let nearest = nearest(name, names).map(str::to_owned);
        return Err(FilterProblem::UnknownTarget { name: name.clone(), nearest });
    };
    let nets = |id: usize| {
        let usable = peers::addresses_of(context, id);
        let assigned = network.addresses_of(id, family).into_iter().map(|assigned| assigned.net);
        assigned.filter(move |net| usable.contains(&net.addr()))
    };
    let own: Vec<usize> = network.wiring.places[context.place]
        .interfaces
        .iter()
        .map(|&id| network.domains.of[id])
        .collect();
    let ids = &network.wiring.places[place].interfaces;
    let near = ids.iter().filter(|&&id| own.contains(&network.domains.of[id]));
    Ok(near.chain(ids).flat_map(|&id| nets(id)).next())
}

fn binat(
    context: &Context<'_>,
    rule: &NatRule,
    (addr, to, oif): (IpAddr, &Peer, Option<&IfName>),
    rules: &mut Rules,
    problems: &mut Vec<Problem>,
) -> Result<(), FilterProblem> {
    let names: Vec<IfName> = oif.into_iter().cloned().collect();
    leaving(context, &names, rule.origin, problems);
    let family = Family::of(addr);
    let Some(target) = target(context, to, family)? else {
        return Err(no_target(to, addr.to_string(), Some(&[addr])));
    };
    let target = target.addr();
    let inward = Builder::new()
        .interfaces(Side::Source, &names)
        .prefixes(Side::Destination, &[addr.into()])
        .dnat(target, None);
    rules.prerouting.push(inward.rule(rule.origin));
    let outward = Builder::new()
        .interfaces(Side::Destination, &names)
        .prefixes(Side::Source, &[target.into()])
        .snat(addr);
    rules.postrouting[0].push(outward.rule(rule.origin));
    Ok(())
}
