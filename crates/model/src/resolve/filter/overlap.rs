//! Translations that are for the same packets: only the first would ever be asked.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Context;
use super::nat::{list, target};
use super::peers::{self, End};
use crate::names::IfName;
use crate::nft::build::{ICMP, ICMPV6, TCP, UDP};
use crate::problem::{FilterProblem, Problem};
use crate::resolve::network::Family;
use crate::topology::{NatKind, NatRule};

/// Finds pairs of translations of which the second is for packets that the first is for.
pub(super) fn find(context: &Context<'_>, problems: &mut Vec<Problem>) {
    let nat = &context.node.nat;
    for (at, second) in nat.iter().enumerate() {
        let Some(first) = nat[..at].iter().find(|first| overlap(context, first, second)) else {
            continue;
        };
        let problem = FilterProblem::NatOverlap {
            node: context.node.name.clone(),
            first: shown(&first.kind),
            second: shown(&second.kind),
        };
        let problem = Problem::new(problem, second.origin);
        problems.push(problem.with(first.origin, "the first one is here"));
    }
}

fn overlap(context: &Context<'_>, first: &NatRule, second: &NatRule) -> bool {
    use NatKind::{Binat, Dnat};
    match (&first.kind, &second.kind) {
        (Dnat { .. }, Dnat { .. }) => forwards(context, &first.kind, &second.kind),
        (Binat { addr: a, to: x, oif: i }, Binat { addr: b, to: y, oif: j }) => {
            let target = |addr: &IpAddr, to| target(context, to, Family::of(*addr)).ok().flatten();
            let targets =
                target(a, x).map(|net| net.addr()).zip(target(b, y).map(|net| net.addr()));
            let same_target = targets.is_some_and(|(x, y)| x == y);
            (a == b || same_target) && (i.is_none() || j.is_none() || i == j)
        }
        // All ports go another way; the other way round, the special comes before the general.
        (Binat { addr, oif, .. }, Dnat { .. }) => {
            let forward = Forward::of(context, &second.kind);
            forward.is_some_and(|it| it.is_all_to(*addr) && it.comes_in(oif))
        }
        (a, b) => match (sources(context, a), sources(context, b)) {
            (Some(a), Some(b)) => a.meets(&b),
            _ => false,
        },
    }
}

/// The packets whose source is translated.
struct Sources<'n> {
    oif: &'n [IfName],
    from: Vec<End>,
    /// The one family, where there is one.
    ipv4: Option<bool>,
}

fn sources<'n>(context: &Context<'_>, kind: &'n NatKind) -> Option<Sources<'n>> {
    let (from, oif, ipv4) = match kind {
        NatKind::Masquerade { oif, from } => (from, oif, None),
        NatKind::Snat { from, oif, to } => (from, oif, Some(to.is_ipv4())),
        _ => return None,
    };
    // What is wrong with the names is said elsewhere.
    let from = peers::ends(context, from, crate::Origin::NONE, &mut Vec::new());
    Some(Sources { oif, from, ipv4 })
}

impl Sources<'_> {
    fn meets(&self, other: &Self) -> bool {
        let none = self.oif.is_empty() || other.oif.is_empty();
        let same_way = none || self.oif.iter().any(|name| other.oif.contains(name));
        let same_family = self.ipv4.is_none() || other.ipv4.is_none() || self.ipv4 == other.ipv4;
        let mut pairs = self.from.iter().flat_map(|a| other.from.iter().map(move |b| (a, b)));
        same_way && same_family && pairs.any(|(a, b)| ends_meet(a, b))
    }
}

fn ends_meet(a: &End, b: &End) -> bool {
    let touch = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    match (a, b) {
        (End::Nets(a), End::Nets(b)) => a.iter().any(|a| b.iter().any(|b| touch(a, b))),
        (End::Interfaces(a), End::Interfaces(b)) => a.iter().any(|name| b.contains(name)),
        _ => true,
    }
}

/// Tells whether two port forwards are for the same packets.
fn forwards(context: &Context<'_>, first: &NatKind, second: &NatKind) -> bool {
    let (Some(a), Some(b)) = (Forward::of(context, first), Forward::of(context, second)) else {
        return false;
    };
    let ports = match (a.ports, b.ports) {
        (Some((a_from, a_to)), Some((b_from, b_to))) => a_from <= b_to && b_from <= a_to,
        _ => true,
    };
    a.protocol == b.protocol && ports && a.comes_in(&b.iif) && a.goes_where(&b)
}

struct Forward {
    protocol: u8,
    ports: Option<(u16, u16)>,
    iif: Option<IfName>,
    /// Those in which the target has an address: it is for packets of these alone.
    families: Vec<Family>,
    /// Of these families.
    dsts: Option<Vec<IpAddr>>,
}

impl Forward {
    fn of(context: &Context<'_>, kind: &NatKind) -> Option<Self> {
        let NatKind::Dnat { protocol, ports, iif, dst, to, hairpin, .. } = kind else {
            return None;
        };
        let wiring = &context.network.wiring;
        let id = iif.as_ref().and_then(|name| wiring.interface(context.place, name));
        let dsts = match (dst, id) {
            (Some(dst), _) => Some(vec![*dst]),
            (None, Some(id)) => Some(peers::addresses_of(context, id)),
            (None, None) => None,
        };
        let leads = |family: &Family| matches!(target(context, to, *family), Ok(Some(_)));
        let families: Vec<Family> = Family::BOTH.into_iter().filter(leads).collect();
        let dsts = dsts.map(|mut dsts| {
            dsts.retain(|dst| families.contains(&Family::of(*dst)));
            dsts
        });
        let iif = iif.clone().filter(|_| !hairpin);
        Some(Self { protocol: *protocol, ports: *ports, iif, families, dsts })
    }

    fn comes_in(&self, iif: &Option<IfName>) -> bool {
        self.iif.is_none() || iif.is_none() || self.iif == *iif
    }

    fn goes_where(&self, other: &Self) -> bool {
        match (&self.dsts, &other.dsts) {
            (Some(a), Some(b)) => a.iter().any(|dst| b.contains(dst)),
            (Some(dsts), None) => dsts.iter().any(|dst| other.families.contains(&Family::of(*dst))),
            (None, Some(_)) => other.goes_where(self),
            (None, None) => self.families.iter().any(|family| other.families.contains(family)),
        }
    }

    /// Tells whether this address is the only one that it is for.
    fn is_all_to(&self, addr: IpAddr) -> bool {
        let dsts = self.dsts.as_deref().unwrap_or_default();
        !dsts.is_empty() && dsts.iter().all(|dst| *dst == addr)
    }
}

/// A protocol with its ports as the file has them: `tcp/80`.
pub(super) struct Protocol(pub(super) u8, pub(super) Option<(u16, u16)>);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TCP => f.write_str("tcp")?,
            UDP => f.write_str("udp")?,
            ICMP => f.write_str("icmp")?,
            ICMPV6 => f.write_str("icmpv6")?,
            132 => f.write_str("sctp")?,
            other => write!(f, "{other}")?,
        }
        match self.1 {
            Some((from, to)) if from == to => write!(f, "/{from}"),
            Some((from, to)) => write!(f, "/{from}-{to}"),
            None => Ok(()),
        }
    }
}

fn shown(kind: &NatKind) -> String {
    let names =
        |names: &[IfName]| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    match kind {
        NatKind::Masquerade { oif, .. } => format!("masquerade: {}", names(oif)),
        NatKind::Snat { from, .. } if from.is_empty() => "snat: any".to_owned(),
        NatKind::Snat { from, .. } => format!("snat: {}", list(from)),
        NatKind::Dnat { protocol, ports, .. } => format!("dnat: {}", Protocol(*protocol, *ports)),
        NatKind::Binat { addr, .. } => format!("binat: {addr}"),
    }
}
