//! Segments that the lab's host is on: its end of the cable, and what it does there.

use std::collections::BTreeSet;

use super::network::Network;
use super::publish;
use crate::mac::Mac;
use crate::names::{IfName, Mark, NsName};
use crate::nft::build::{Builder, Side};
use crate::nft::{Base, Chain, ChainKind, Family, Hook, Table, TableId};
use crate::origin::Origin;
use crate::state::{
    Address, End, Interface, Interfaces, Kind, MTU_DEFAULT_BYTES, Namespace, Owner, State,
};
use crate::topology::Segment;
use crate::topology::wiring::derived_name;

/// When source addresses are translated (`NF_IP_PRI_NAT_SRC`, linux/netfilter_ipv4.h).
const PRIORITY_SRCNAT: i32 = 100;

/// Plugs the host into the segments that it is on.
///
/// Its end is named after lab and segment; the port of the segment is called `host`, as no node can
/// be. So that it is known for the lab's whatever happens to the record, the host's end has the
/// lab's mark as a further name.
pub(super) fn add(network: &Network<'_>, state: &mut State) {
    let mut host = state.namespaces.remove(&NsName::host());
    let first = network.topology.nodes().len();
    for (index, segment) in network.topology.segments().iter().enumerate() {
        if !segment.external {
            continue;
        }
        let lab = network.topology.name();
        let mark = Mark { lab: lab.clone(), node: segment.name.clone() };
        let name = derived_name(format!("{lab}-{}", segment.name), 1).name;
        let port = End { ns: network.namespaces[first + index].clone(), name: port_name() };
        let end = End { ns: NsName::host(), name };
        let Some(namespace) = state.namespaces.get_mut(&port.ns) else { continue };
        let cable = |peer: &End, at: &End| Interface {
            up: true,
            mtu: Some(segment.mtu.unwrap_or(MTU_DEFAULT_BYTES)),
            mac: Some(Mac::derive(lab, &segment.name, &at.name)),
            origin: segment.origin,
            ..Interface::new(Kind::Veth { peer: Some(peer.clone()) })
        };
        let mut inside = cable(&end, &port);
        inside.master = Some(bridge_name(segment));
        inside.ipv6 = Some(false);
        namespace.interfaces.insert(port.name.clone(), inside);
        let mut outside = cable(&port, &end);
        outside.altnames = BTreeSet::from([mark.altname()]);
        outside.forward_ipv4 = Some(true);
        let own = |net: &ipnet::IpNet| Address { net: *net, origin: segment.origin };
        outside.addresses = network.host_addresses[index].iter().map(own).collect();
        host.get_or_insert_with(empty_host).interfaces.insert(end.name, outside);
    }
    let mut published = publish::Rules::default();
    for cable in publish::cables(network) {
        let Some(namespace) = state.namespaces.get_mut(&cable.ns) else { continue };
        let host = host.get_or_insert_with(empty_host);
        cable.add(network, namespace, host, &mut published);
    }
    if let Some(host) = &mut host {
        let table = table(network, published);
        host.tables.extend(table.map(|table| (table.id.clone(), table)));
    }
    state.namespaces.extend(host.map(|host| (NsName::host(), host)));
}

/// Hides the members of these segments behind the addresses that the host has elsewhere, and leads
/// to the ports that nodes publish.
fn table(network: &Network<'_>, published: publish::Rules) -> Option<Table> {
    let topology = network.topology;
    let segments = topology.segments().iter().filter(|segment| segment.external);
    let nodes = topology.nodes().iter().filter(|node| !node.publish.is_empty());
    let places = segments.clone().map(|segment| (&segment.name, segment.origin));
    let mut places = places.chain(nodes.map(|node| (&node.name, node.origin)));
    let (name, origin) = places.next()?;
    let lab = topology.name();
    let mut rules = Vec::new();
    for segment in segments {
        rules.extend(segment.prefixes.iter().map(|prefix| {
            let from = Builder::new().prefixes(Side::Source, &[prefix.trunc()]);
            from.masquerade().rule(segment.origin)
        }));
    }
    let base = Base {
        kind: ChainKind::Nat,
        hook: Hook::Postrouting,
        priority: PRIORITY_SRCNAT,
        accepts: true,
        devices: Vec::new(),
    };
    let mut published = published;
    rules.append(&mut published.postrouting);
    let mut chains = published.chains();
    if !rules.is_empty() {
        chains.push(Chain { name: "postrouting".to_owned(), base: Some(base), rules });
    }
    let id = TableId { family: Family::Inet, name: format!("vnet-{lab}") };
    let mark = Mark { lab: lab.clone(), node: name.clone() };
    (!chains.is_empty()).then(|| Table { chains, origin, ..Table::new(id, Some(mark)) })
}

/// The host with nothing of the lab in it.
pub(super) fn empty_host() -> Namespace {
    Namespace { interfaces: Interfaces::new(), origin: Origin::NONE, ..Namespace::new(Owner::Host) }
}

fn port_name() -> IfName {
    IfName::new("host").expect("`host` is a name")
}

fn bridge_name(segment: &Segment) -> IfName {
    derived_name(&segment.name, 1).name
}
