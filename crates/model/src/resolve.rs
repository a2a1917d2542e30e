//! Derives everything that is not written, deterministically: the same topology gives the same
//! state, everywhere and always.
//!
//! * names, MTUs and hardware addresses of interfaces, each from its own line alone;
//! * addresses, from the prefixes of links and segments in written order;
//! * settings: forwarding, and where IPv6 runs;
//! * routes: as written, by `gateway`, and by `routing: auto`.

mod addresses;
mod conflicts;
mod domains;
mod expect;
mod external;
mod fdb;
mod filter;
pub(crate) mod namespaces;
mod network;
mod prefix;
mod publish;
mod routes;
mod routing;
pub(crate) mod sysctls;
mod tunnels;
mod vxlan;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::expect::Expectation;
use crate::names::{IfName, LabName, NodeName, NsName};
use crate::nft::Table;
use crate::origin::Origin;
use crate::problem::{Problem, sorted};
use crate::state::{End, Entry, Namespace, State};
use crate::topology::wiring::PlaceKind;
use crate::topology::{Routing, Topology, check};
use network::Network;

pub use filter::TABLE_ID;
pub use publish::rule_of_published;

/// A topology with nothing left open: what `up` builds and `plan` compares the kernel with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The lab.
    pub lab: LabName,
    /// All that shall exist.
    pub state: State,
    /// The namespace of each node.
    pub nodes: BTreeMap<NodeName, NsName>,
    /// The namespace of each segment.
    pub segments: BTreeMap<NodeName, NsName>,
    /// The links by name, each with its two ends, in written order.
    pub links: Vec<DesiredLink>,
    /// The addresses that are not written but handed out by a prefix or pool: an insertion in the
    /// file can move them.
    pub handed_out: BTreeSet<(End, IpNet)>,
    /// The ports of the host that lead to nodes: `tcp/8080`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub published: BTreeSet<String>,
    /// What must hold of it.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

impl Desired {
    /// Makes what is desired of a lab with nothing in it.
    #[must_use]
    pub fn nothing(lab: LabName) -> Self {
        let (nodes, segments, links) = Default::default();
        let (handed_out, published, expect) = Default::default();
        Self { lab, state: State::default(), nodes, segments, links, handed_out, published, expect }
    }

    /// Returns what was read anew in place of this one, where it is the same: of that it is known what
    /// asked for it. What came of texts that were tried out stays.
    ///
    /// ```
    /// # use vnet_model::topology::Topology;
    /// # let topology = |node: &str| Topology::builder("demo").node(node).build().unwrap();
    /// # let desired = |node| vnet_model::resolve(&topology(node)).unwrap();
    /// let recorded = desired("a");
    /// assert!(recorded.read_again(desired("a")).is_some());
    /// assert!(recorded.read_again(desired("b")).is_none());
    /// ```
    #[must_use]
    pub fn read_again(&self, mut read: Self) -> Option<Self> {
        let texts =
            self.state.namespaces.iter().filter_map(|(ns, it)| Some((ns, it.nft_text.as_ref()?)));
        for (ns, tried) in texts {
            let again = read.state.namespaces.get_mut(ns)?.nft_text.as_mut()?;
            if again.text == tried.text {
                let origin = again.origin;
                let named = |table: &Table| Table { origin, ..table.clone() };
                again.tables = tried.tables.as_ref().map(|all| all.iter().map(named).collect());
            }
        }
        // What must hold is no part of what is there.
        if read.expect != self.expect {
            read.expect.clone_from(&self.expect);
        }
        (read == *self).then_some(read)
    }

    /// Returns the interface of a node or segment, or of the lab's host; `None` where there is no such
    /// one.
    #[must_use]
    pub fn end_of(&self, node: &str, interface: &str) -> Option<End> {
        let ns = self.ns_of(node)?;
        let (name, _) = self.state.namespaces.get(&ns)?.interfaces.get_key_value(interface)?;
        Some(End { name: name.clone(), ns })
    }

    /// Returns the namespace of a node or segment; of the lab's host for [`NodeName::host`].
    #[must_use]
    pub fn ns_of(&self, node: &str) -> Option<NsName> {
        let inside = self.nodes.get(node).or_else(|| self.segments.get(node));
        inside.cloned().or_else(|| (node == NodeName::host().as_str()).then(NsName::host))
    }
}

/// A link with its name and the interfaces it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredLink {
    /// The name: as written, else `a--b`; parallels `a--b-2`.
    pub name: String,
    /// Node (or segment) and interface of each end.
    pub ends: [(NodeName, IfName); 2],
    /// What asked for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Derives names, hardware addresses, addresses and routes.
///
/// ```
/// use vnet_model::topology::{Link, Routing, Topology};
///
/// let net = "10.0.12.0/24".parse()?;
/// let topology = Topology::builder("demo")
///     .node("r1")
///     .node("r2")
///     .link(Link::between("r1", "r2:eth0")?.prefixes([net]))
///     .routing(Routing::Auto)
///     .build()
///     .map_err(|problems| problems[0].to_string())?;
/// let desired = vnet_model::resolve(&topology).map_err(|problems| problems[0].to_string())?;
/// let r2 = &desired.state.namespaces["demo-r2"];
/// assert_eq!(r2.interfaces["eth0"].addresses[0].to_string(), "10.0.12.2/24");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns all problems, sorted by the place that caused them.
pub fn resolve(topology: &Topology) -> Result<Desired, Vec<Problem>> {
    let namespaces = check::namespaces(topology).map_err(sorted)?;
    let mut network = Network::of(topology, namespaces);
    let mut problems = Vec::new();
    addresses::assign(&mut network, &mut problems);
    tunnels::assign(&mut network, &mut problems);
    conflicts::find(&network, &mut problems);
    vxlan::check(&network, &mut problems);
    fdb::check(&network, &mut problems);
    publish::check(&network, &mut problems);
    let mut routes = routes::all(&network, &mut problems);
    let tables = filter::tables(&network, &mut problems);
    let places = 0..network.wiring.places.len();
    let entries: Vec<BTreeSet<Entry>> =
        places.map(|place| routes::entries(&network, place, &mut problems)).collect();
    problems.retain(|problem| !problem.kind.is_allowed(topology.allowed()));
    if !problems.is_empty() {
        return Err(sorted(problems));
    }
    if topology.routing() == Routing::Auto {
        routing::add(&network, &mut routes);
    }
    wireguard::allow(&mut network, &routes, &entries);
    let desired = desired(&network, routes, tables, entries);
    let mut problems = expect::problems(&desired);
    problems.extend(sysctls::problems(topology, &desired));
    if problems.is_empty() { Ok(desired) } else { Err(sorted(problems)) }
}

fn desired(
    network: &Network<'_>,
    routes: Vec<routes::Table>,
    tables: Vec<Option<crate::nft::Table>>,
    entries: Vec<BTreeSet<Entry>>,
) -> Desired {
    let mut desired = Desired {
        lab: network.topology.name().clone(),
        state: State::default(),
        nodes: BTreeMap::new(),
        segments: BTreeMap::new(),
        links: links(network),
        handed_out: handed_out(network),
        published: publish::ports(network.topology),
        expect: network.topology.expect().to_vec(),
    };
    let lab_has_ipv6 = namespaces::has_ipv6(network);
    let parts = routes.into_iter().zip(tables).zip(entries);
    for (place, ((routes, table), entries)) in parts.enumerate() {
        if let PlaceKind::Segment(segment) = network.wiring.places[place].kind
            && segment.without_bridge().is_some()
        {
            continue;
        }
        let ns = network.namespaces[place].clone();
        if let PlaceKind::Host = network.wiring.places[place].kind {
            desired.state.namespaces.insert(ns, namespaces::host(network, place));
            continue;
        }
        let name = network.wiring.places[place].name.clone();
        match network.wiring.places[place].kind {
            PlaceKind::Segment(_) => desired.segments.insert(name, ns.clone()),
            _ => desired.nodes.insert(name, ns.clone()),
        };
        let mut namespace = namespaces::namespace(network, place, lab_has_ipv6);
        namespace.routes = routes.into_routes();
        namespace.tables = table.into_iter().map(|table| (table.id.clone(), table)).collect();
        namespace.entries = entries;
        desired.state.namespaces.insert(ns, namespace);
    }
    external::add(network, &mut desired.state);
    // So that it is looked at.
    if desired.state.namespaces.values().any(stands_on_host) {
        desired.state.namespaces.get_or_insert_with(NsName::host(), external::empty_host);
    }
    desired
}

fn stands_on_host(ns: &Namespace) -> bool {
    ns.interfaces.values().any(|interface| interface.kind.host_lower().is_some())
}

fn links(network: &Network<'_>) -> Vec<DesiredLink> {
    let wiring = &network.wiring;
    let end = |id: usize| {
        let at = wiring.at(id);
        (at.node, at.interface)
    };
    let links = wiring.links.iter().zip(&wiring.link_names).zip(network.topology.links());
    links
        .map(|((ends, name), link)| DesiredLink {
            name: name.clone(),
            ends: ends.map(end),
            origin: link.origin,
        })
        .collect()
}

fn handed_out(network: &Network<'_>) -> BTreeSet<(End, IpNet)> {
    let of = |(id, addresses): (usize, &Vec<network::Assigned>)| -> Vec<(End, IpNet)> {
        let addresses = addresses.iter().filter(|address| address.handed_out);
        addresses.map(|address| (namespaces::end(network, id), address.net)).collect()
    };
    network.addresses.iter().enumerate().flat_map(of).collect()
}

#[cfg(test)]
mod tests;
