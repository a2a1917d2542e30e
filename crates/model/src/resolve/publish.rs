//! Ports of nodes that are reached from outside: a cable from the host to the node, and in the host
//! the translations that lead into it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::network::Network;
use crate::mac::{Mac, stable_hash};
use crate::names::{IfName, Mark, NodeName, NsName};
use crate::nft::build::{Builder, Side, TCP, UDP};
use crate::nft::{Base, Chain, ChainKind, CtState, Hook, Rule, Table};
use crate::origin::Origin;
use crate::problem::{Problem, ProblemKind};
use crate::state::{Address, End, Interface, Kind, MTU_DEFAULT_BYTES, Namespace};
use crate::topology::wiring::derived_name;
use crate::topology::{Node, Publish, Topology};

/// When translations of destinations happen (`NF_IP_PRI_NAT_DST`, linux/netfilter_ipv4.h).
const PRIORITY_DESTINATION: i32 = -100;
/// When packets are filtered (`NF_IP_PRI_FILTER`).
const PRIORITY_FILTER: i32 = 0;

/// What the node's end of the cable is called: after its far end, as no node can be.
const NODE_END: &str = "host";

/// The chain of the rules that lead from ports of the host's into nodes.
const OUTPUT: &str = "output";

/// How many pairs of link-local addresses there are to choose from (see [`pair`]).
const PAIRS: u32 = 253 * 128;

/// The rules of the host's table by what they are for.
#[derive(Default)]
pub(super) struct Rules {
    /// What goes to a published port.
    pub(super) output: Vec<Rule>,
    /// What then leaves by a cable gets an address that the node can answer to.
    pub(super) postrouting: Vec<Rule>,
    /// A node answers by its cable, and begins nothing.
    pub(super) input: Vec<Rule>,
}

impl Rules {
    /// Returns the chains that only published ports need.
    pub(super) fn chains(self) -> Vec<Chain> {
        let chains = [
            ("input", ChainKind::Filter, Hook::Input, PRIORITY_FILTER, self.input),
            (OUTPUT, ChainKind::Nat, Hook::Output, PRIORITY_DESTINATION, self.output),
        ];
        let filled = chains.into_iter().filter(|(.., rules)| !rules.is_empty());
        filled
            .map(|(name, kind, hook, priority, rules)| {
                let base = Base { kind, hook, priority, accepts: true, devices: Vec::new() };
                Chain { name: name.to_owned(), base: Some(base), rules }
            })
            .collect()
    }
}

/// Finds ports that are published twice, and nodes where the cable's name is taken.
pub(super) fn check(network: &Network<'_>, problems: &mut Vec<Problem>) {
    let mut first: BTreeMap<(u8, u16), Origin> = BTreeMap::new();
    for (place, node) in network.topology.nodes().iter().enumerate() {
        for port in &node.publish {
            let origin = port.origin.or(node.origin);
            if let Some(first) = first.insert((port.protocol, port.outside), origin) {
                let kind = ProblemKind::PublishedTwice { port: port.outer() };
                problems.push(Problem::new(kind, origin).with(first, "the first is here"));
            }
        }
        let taken = network.wiring.interface(place, &node_end());
        if let (Some(taken), Some(port)) = (taken, node.publish.first()) {
            let (node, interface) = (node.name.clone(), node_end());
            let kind = ProblemKind::DuplicateInterface { node, interface, derived: true };
            let problem = Problem::new(kind, network.wiring.interfaces[taken].origin);
            problems.push(problem.with(port.origin, "the published ports need it"));
        }
    }
}

/// Lists the ports of the host that lead to nodes.
pub(super) fn ports(topology: &Topology) -> BTreeSet<String> {
    topology.nodes().iter().flat_map(|node| &node.publish).map(Publish::outer).collect()
}

/// A cable from the host to a node.
pub(super) struct Cable<'t> {
    node: &'t Node,
    /// The node's namespace.
    pub(super) ns: NsName,
    /// The end in the host.
    end: IfName,
    /// The addresses of the host's end and of the node's.
    addresses: [Ipv4Addr; 2],
}

/// Lists the cables to the nodes that publish something.
pub(super) fn cables<'t>(network: &Network<'t>) -> Vec<Cable<'t>> {
    let lab = network.topology.name();
    let mut taken = BTreeSet::new();
    let nodes = network.topology.nodes().iter().zip(&network.namespaces);
    nodes
        .filter(|(node, _)| !node.publish.is_empty())
        .map(|(node, ns)| {
            let mut number = number(lab.as_str(), &node.name);
            while !taken.insert(number) && taken.len() < PAIRS as usize {
                number = (number + 1) % PAIRS;
            }
            let end = derived_name(format!("{lab}-{}", node.name), 1).name;
            Cable { node, ns: ns.clone(), end, addresses: pair(number) }
        })
        .collect()
}

/// Chooses a pair of addresses by the names of lab and node: labs that are up at the same time
/// mostly get different ones, and a node keeps its own.
fn number(lab: &str, node: &NodeName) -> u32 {
    u32::try_from(stable_hash(&[lab, node.as_str(), "publish"]) % u64::from(PAIRS)).unwrap_or(0)
}

/// Returns two neighbouring link-local addresses: of those that nobody has by custom. The first and
/// the last 256 are reserved (RFC 3927, section 2.1), 169.254.169.0/24 is where clouds tell of
/// themselves.
fn pair(number: u32) -> [Ipv4Addr; 2] {
    const CLOUDS: u32 = 169;
    let third = number / 128 + 1;
    let third = if third >= CLOUDS { third + 1 } else { third };
    let fourth = number % 128 * 2;
    [0, 1].map(|end| Ipv4Addr::from((169 << 24) | (254 << 16) | (third << 8) | (fourth + end)))
}

fn node_end() -> IfName {
    IfName::new(NODE_END).expect("`host` is a name")
}

impl Cable<'_> {
    /// Plugs it into both, and adds what leads into it.
    pub(super) fn add(
        &self,
        network: &Network<'_>,
        namespace: &mut Namespace,
        host: &mut Namespace,
        rules: &mut Rules,
    ) {
        let lab = network.topology.name();
        let origin = self.node.publish.first().map(|port| port.origin).unwrap_or_default();
        let origin = origin.or(self.node.origin);
        let outside = End { ns: NsName::host(), name: self.end.clone() };
        let inside = End { ns: self.ns.clone(), name: node_end() };
        let end = |peer: &End, name: &IfName, addr: Ipv4Addr| Interface {
            up: true,
            mtu: Some(MTU_DEFAULT_BYTES),
            mac: Some(Mac::derive(lab, &self.node.name, name)),
            // It leads to the node and no further.
            forward_ipv4: Some(false),
            ipv6: Some(false),
            addresses: vec![Address { net: net(addr, 31), origin }],
            origin,
            ..Interface::new(Kind::Veth { peer: Some(peer.clone()) })
        };
        let near = end(&outside, &inside.name, self.addresses[1]);
        namespace.interfaces.insert(inside.name.clone(), near);
        let mut far = end(&inside, &outside.name, self.addresses[0]);
        let mark = Mark { lab: lab.clone(), node: self.node.name.clone() };
        far.altnames = BTreeSet::from([mark.altname()]);
        host.interfaces.insert(outside.name.clone(), far);
        // What comes from 127.0.0.1 may leave by it (Documentation/networking/ip-sysctl.rst).
        let name = outside.name.in_sysctls();
        host.sysctls.insert(format!("net.ipv4.conf.{name}.route_localnet"), "1".to_owned());
        self.translate(rules);
    }

    fn translate(&self, rules: &mut Rules) {
        let end = std::slice::from_ref(&self.end);
        for port in &self.node.publish {
            let origin = port.origin.or(self.node.origin);
            let to = IpAddr::V4(self.addresses[1]);
            let builder = to_port(port.protocol, port.outside);
            rules.output.push(builder.dnat(to, Some(port.inside)).rule(origin));
        }
        let origin = self.node.origin;
        let from = [net(Ipv4Addr::LOCALHOST, 8).trunc()];
        let leaving = Builder::new().interfaces(Side::Destination, end);
        let leaving = leaving.prefixes(Side::Source, &from).masquerade();
        rules.postrouting.push(leaving.rule(origin));
        let new = [CtState::New, CtState::Invalid, CtState::Untracked];
        let coming = Builder::new().interfaces(Side::Source, end).states(&new);
        rules.input.push(coming.drop().rule(origin));
    }
}

/// What comes to a port of the host's 127.0.0.1.
fn to_port(protocol: u8, port: u16) -> Builder {
    let loopback = [net(Ipv4Addr::LOCALHOST, 32)];
    let builder = Builder::new().prefixes(Side::Destination, &loopback);
    builder.protocols(&[protocol]).ports(&[(port, port)])
}

/// Finds the rule of a lab's table in the host that leads from a port there into a node; the port as
/// [`Desired::published`](super::Desired::published) has it.
#[must_use]
pub fn rule_of_published<'t>(table: &'t Table, port: &str) -> Option<&'t Rule> {
    let (protocol, port) = port.split_once('/')?;
    let protocol = if protocol == "udp" { UDP } else { TCP };
    let leading = to_port(protocol, port.parse().ok()?).rule(Origin::NONE).exprs;
    let output = table.chain(OUTPUT)?;
    output.rules.iter().find(|rule| rule.exprs.starts_with(&leading))
}

fn net(addr: Ipv4Addr, len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(addr, len))
}

impl Publish {
    /// The port outside as the file writes it: `tcp/8080`.
    fn outer(&self) -> String {
        format!("{}/{}", self.protocol_name(), self.outside)
    }
}
