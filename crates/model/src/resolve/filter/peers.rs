//! Who is meant by the ends of a rule.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Context;
use crate::names::{IfName, NodeName};
use crate::nft::build::{Builder, NFPROTO_IPV4, NFPROTO_IPV6, Side};
use crate::origin::Origin;
use crate::problem::{FilterProblem, Problem, nearest};
use crate::state::is_ipv6_link_local;
use crate::topology::Peer;
use crate::topology::wiring::PlaceKind;

/// One way to be at an end: a rule has one condition for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Anywhere.
    Any,
    /// By one of these interfaces.
    Interfaces(Vec<IfName>),
    /// At an address in one of these prefixes, which are of one family.
    Nets(Vec<IpNet>),
}

impl End {
    /// The one family of packets that are there; nothing: both.
    pub(super) fn family(&self) -> Option<u8> {
        match self {
            Self::Nets(nets) => nets.first().map(|net| match net {
                IpNet::V4(_) => NFPROTO_IPV4,
                IpNet::V6(_) => NFPROTO_IPV6,
            }),
            _ => None,
        }
    }

    /// Adds the condition to a rule.
    pub(super) fn when(&self, builder: Builder, side: Side) -> Builder {
        match self {
            Self::Any => builder,
            Self::Interfaces(names) => builder.interfaces(side, names),
            Self::Nets(nets) => builder.prefixes(side, nets),
        }
    }
}

/// Finds out who is meant, as one or more ends.
pub(super) fn ends(
    context: &Context<'_>,
    peers: &[Peer],
    origin: Origin,
    problems: &mut Vec<Problem>,
) -> Vec<End> {
    if peers.is_empty() {
        return vec![End::Any];
    }
    let (mut names, mut v4, mut v6) = (Vec::new(), Vec::new(), Vec::new());
    for peer in peers {
        let nets = match peer {
            Peer::Net(net) => vec![*net],
            Peer::Name(name) => match named(context, name) {
                Ok(Named::Nets(nets)) => nets,
                Ok(Named::Interface(name)) => {
                    names.push(name);
                    continue;
                }
                Err(problem) => {
                    problems.push(Problem::new(problem, origin));
                    continue;
                }
            },
        };
        for net in nets {
            match net {
                IpNet::V4(_) => v4.push(net),
                IpNet::V6(_) => v6.push(net),
            }
        }
    }
    let mut ends = Vec::new();
    if !names.is_empty() {
        ends.push(End::Interfaces(names));
    }
    ends.extend([v4, v6].into_iter().filter(|nets| !nets.is_empty()).map(End::Nets));
    ends
}

/// What a name stands for.
enum Named {
    Nets(Vec<IpNet>),
    Interface(IfName),
}

fn named(context: &Context<'_>, name: &str) -> Result<Named, FilterProblem> {
    let network = context.network;
    let interface = || {
        let name = IfName::new(name).ok()?;
        network.wiring.interface(context.place, &name).map(|_| name)
    };
    let place = NodeName::new(name).ok().and_then(|name| network.wiring.place(&name));
    let nets = match place.map(|place| (place, network.wiring.places[place].kind)) {
        Some((_, PlaceKind::Segment(segment))) => segment.prefixes.clone(),
        Some((place, PlaceKind::Node(_))) => {
            addresses(context, place).into_iter().map(IpNet::from).collect()
        }
        _ => match interface() {
            Some(name) => return Ok(Named::Interface(name)),
            None => return Err(unknown(context, name)),
        },
    };
    match (nets.is_empty(), interface()) {
        (false, _) => Ok(Named::Nets(nets)),
        // A wire without a prefix: whatever comes from there.
        (true, Some(name)) => Ok(Named::Interface(name)),
        (true, None) => Err(FilterProblem::PeerWithoutAddress { name: name.to_owned() }),
    }
}

fn unknown(context: &Context<'_>, name: &str) -> FilterProblem {
    let wiring = &context.network.wiring;
    let places = wiring.places.iter().map(|place| place.name.as_str());
    let ids = wiring.places[context.place].interfaces.iter();
    let interfaces = ids.map(|&id| wiring.interfaces[id].name.as_str());
    FilterProblem::UnknownPeer {
        node: context.node.name.clone(),
        name: name.to_owned(),
        nearest: nearest(name, places.chain(interfaces)).map(str::to_owned),
    }
}

/// The addresses of a node that others may send to, in the order of its interfaces.
pub(super) fn addresses(context: &Context<'_>, place: usize) -> Vec<IpAddr> {
    let ids = context.network.wiring.places[place].interfaces.iter();
    ids.flat_map(|&id| addresses_of(context, id)).collect()
}

/// The addresses of an interface that others may send to.
pub(super) fn addresses_of(context: &Context<'_>, id: usize) -> Vec<IpAddr> {
    let addresses = context.network.addresses[id].iter().map(|address| address.net.addr());
    addresses.filter(|addr| !addr.is_loopback() && !is_ipv6_link_local(*addr)).collect()
}
