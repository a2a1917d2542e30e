//! A lab as it is shown: the JSON of it, whose form is a promise, and tables for people.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use vnet::model::apply::LOOPBACK;
use vnet::model::nft;
use vnet::model::{End, Interface, Namespace, NsName, State, Step};
use vnet::target::by_number;
use vnet::{Desired, NodeName, OutletChange, Seen};

use crate::printer::{columns, count, plain};

/// A lab with more nodes is summed up instead of listed.
const NODES_SHOWN_MAX: usize = 20;

/// What a plan calls the program that leads between an ordinary user's lab and the machine.
pub(crate) const OUTLET: &str = "outlet";

/// How many interfaces of a node a summary lists.
const PORTS_SHOWN_MAX: usize = 4;

/// A lab.
#[derive(Debug, Serialize)]
pub(crate) struct Lab {
    lab: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) segments: Vec<Node>,
    links: Vec<Link>,
}

/// A node or segment.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    namespace: String,
    exists: bool,
    interfaces: Vec<Port>,
    pub(crate) routes: Vec<String>,
    sysctls: BTreeMap<String, String>,
    pub(crate) tables: Vec<Table>,
}

/// A table of nf_tables that the lab made.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Family and name.
    pub(crate) name: String,
    pub(crate) chains: Vec<Chain>,
}

/// A chain of rules.
#[derive(Debug, Serialize)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// Where packets come to it: type, hook, priority and policy in nft's words.
    pub(crate) base: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    /// As nft lists it, with what its counters have counted.
    pub(crate) text: String,
    /// How many packets it has counted, if it counts.
    packets: Option<u64>,
    /// How many bytes.
    bytes: Option<u64>,
}

impl Table {
    fn of(table: &nft::Table) -> Self {
        let chain = |chain: &nft::Chain| Chain {
            name: chain.name.clone(),
            base: chain.base.as_ref().map(nft::text::base),
            rules: chain.rules.iter().map(|rule| Rule::of(rule, table.id.family)).collect(),
        };
        Self { name: table.id.to_string(), chains: table.chains.iter().map(chain).collect() }
    }
}

impl Rule {
    fn of(rule: &nft::Rule, family: nft::Family) -> Self {
        let counts = rule.exprs.iter().find_map(|expr| match expr {
            nft::Expr::Counter(counts) => Some(counts),
            _ => None,
        });
        Self {
            text: nft::text::rule_counted(rule, family),
            packets: counts.map(|counts| counts.packets),
            bytes: counts.map(|counts| counts.bytes),
        }
    }
}

/// An interface.
#[derive(Debug, Serialize)]
pub(crate) struct Port {
    name: String,
    kind: String,
    up: bool,
    mtu: Option<u32>,
    mac: Option<String>,
    master: Option<String>,
    /// The other end, as `node:interface`.
    peer: Option<String>,
    addresses: Vec<String>,
}

/// A link.
#[derive(Debug, Serialize)]
pub(crate) struct Link {
    name: String,
    ends: [String; 2],
}

/// A step of a plan.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// `add`, `remove` or `set`.
    action: &'static str,
    namespace: String,
    object: String,
}

impl Change {
    pub(crate) fn of(step: &Step) -> Self {
        Self::signed(step.sign(), &step.ns, step.to_string())
    }

    /// Lists the steps to what was meant, and what becomes of the outlet.
    pub(crate) fn all_of(seen: &Seen) -> Vec<Self> {
        let steps = seen.plan.steps.iter().map(Self::of);
        let outlet =
            |change: OutletChange| Self::signed(change.sign(), &NsName::host(), OUTLET.to_owned());
        steps.chain(seen.outlet.map(outlet)).collect()
    }

    fn signed(sign: char, ns: &NsName, object: String) -> Self {
        let action = match sign {
            '+' => "add",
            '-' => "remove",
            _ => "set",
        };
        Self { action, namespace: ns.to_string(), object }
    }
}

impl Lab {
    /// Shows a state by the names of the lab.
    pub(crate) fn of(desired: &Desired, state: &State) -> Self {
        let names: BTreeMap<&NsName, &NodeName> =
            desired.nodes.iter().chain(&desired.segments).map(|(name, ns)| (ns, name)).collect();
        let end = |end: &End| match names.get(&end.ns) {
            Some(node) => format!("{node}:{}", end.name),
            None => end.to_string(),
        };
        let node = |(name, ns): (&NodeName, &NsName)| {
            let found = state.namespaces.get(ns).filter(|found| found.owner.mark().is_some());
            Node::of(name, ns, found, &end)
        };
        let link = |link: &vnet::model::resolve::DesiredLink| Link {
            name: link.name.clone(),
            ends: link.ends.each_ref().map(|(node, interface)| format!("{node}:{interface}")),
        };
        let sorted = |mut nodes: Vec<Node>| {
            nodes.sort_by(|a, b| by_number(&a.name, &b.name));
            nodes
        };
        Self {
            lab: desired.lab.to_string(),
            nodes: sorted(desired.nodes.iter().map(node).collect()),
            segments: sorted(desired.segments.iter().map(node).collect()),
            links: desired.links.iter().map(link).collect(),
        }
    }

    /// Keeps only these nodes and segments.
    pub(crate) fn keep(&mut self, names: &[NodeName]) {
        let wanted = |node: &Node| names.iter().any(|name| name.as_str() == node.name);
        self.nodes.retain(wanted);
        self.segments.retain(wanted);
    }

    /// Counts what there is: `20 nodes, 1 segment, 3 links`.
    pub(crate) fn counts(&self) -> String {
        count_all(self.nodes.len(), self.segments.len(), self.links.len())
    }

    /// Lists nodes and segments with all interfaces.
    pub(crate) fn table(&self) -> String {
        let header = ["NODE", "INTERFACE", "STATE", "ADDRESSES", "TO"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(self.nodes.iter().chain(&self.segments).flat_map(Node::rows));
        columns(&rows)
    }
}

/// Counts what a lab is to have: `20 nodes, 1 segment, 3 links`.
pub(crate) fn counts(desired: &Desired) -> String {
    count_all(desired.nodes.len(), desired.segments.len(), desired.links.len())
}

fn count_all(nodes: usize, segments: usize, links: usize) -> String {
    let mut counts = vec![count(nodes, "node")];
    let others = [(segments, "segment"), (links, "link")];
    counts.extend(others.iter().filter(|(many, _)| *many > 0).map(|(n, noun)| count(*n, noun)));
    counts.join(", ")
}

/// Lists the nodes of a small lab with interfaces and addresses, one line for each.
pub(crate) fn brief(desired: &Desired, state: &State) -> String {
    if desired.nodes.len() > NODES_SHOWN_MAX {
        return String::new();
    }
    let rows: Vec<Vec<String>> = Lab::of(desired, state).nodes.iter().map(brief_row).collect();
    columns(&rows)
}

/// Returns a node's row for a summary: its name, and interfaces with their addresses.
fn brief_row(node: &Node) -> Vec<String> {
    let worth = |port: &&Port| port.name != LOOPBACK || !port.global_addresses().is_empty();
    let ports: Vec<&Port> = node.interfaces.iter().filter(worth).collect();
    let port = |port: &&Port| {
        let addresses = port.global_addresses().into_iter();
        std::iter::once(plain(&port.name).as_str()).chain(addresses).collect::<Vec<_>>().join(" ")
    };
    let mut shown: Vec<String> = ports.iter().take(PORTS_SHOWN_MAX).map(port).collect();
    if ports.len() > PORTS_SHOWN_MAX {
        shown.push(format!("and {} more", ports.len() - PORTS_SHOWN_MAX));
    }
    vec![format!("  {}", node.name), shown.join(", ")]
}

impl Node {
    fn of(
        name: &NodeName,
        ns: &NsName,
        found: Option<&Namespace>,
        end: &impl Fn(&End) -> String,
    ) -> Self {
        let port = |(name, interface): (&vnet::model::IfName, &Interface)| Port {
            name: name.to_string(),
            kind: interface.kind.name().to_owned(),
            up: interface.up,
            mtu: interface.mtu,
            mac: interface.mac.map(|mac| mac.to_string()),
            master: interface.master.as_ref().map(ToString::to_string),
            peer: interface.kind.peer().map(end),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        };
        Self {
            name: name.to_string(),
            namespace: ns.to_string(),
            exists: found.is_some(),
            interfaces: found.into_iter().flat_map(|ns| &ns.interfaces).map(port).collect(),
            routes: found.into_iter().flat_map(|ns| &ns.routes).map(ToString::to_string).collect(),
            sysctls: found.map(|ns| ns.sysctls.clone()).unwrap_or_default(),
            tables: found
                .into_iter()
                .flat_map(|ns| ns.tables.values())
                .filter(|table| table.mark.is_some())
                .map(Table::of)
                .collect(),
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self.interfaces.iter().map(Port::row).collect();
        if rows.is_empty() {
            rows.push(["", "-", "missing"].map(str::to_owned).to_vec());
        }
        rows[0][0].clone_from(&self.name);
        rows
    }
}

impl Port {
    /// Returns the addresses that say something: not those that every `lo` has, nor those that
    /// every interface with IPv6 has.
    fn global_addresses(&self) -> Vec<&str> {
        let is_usual = |text: &&str| ["127.", "::1/", "fe80:"].iter().any(|p| text.starts_with(p));
        self.addresses.iter().map(String::as_str).filter(|text| !is_usual(text)).collect()
    }

    fn row(&self) -> Vec<String> {
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let to = match (&self.peer, &self.master) {
            (Some(peer), Some(master)) => format!("{peer}, port of {master}"),
            (Some(to), None) => to.clone(),
            (None, Some(master)) => format!("port of {master}"),
            (None, None) => String::new(),
        };
        let state = if self.up { "up" } else { "down" };
        let addresses = dash(self.global_addresses().join(" "));
        vec![String::new(), plain(&self.name), state.to_owned(), addresses, plain(&to)]
    }
}

/// Returns a time in milliseconds, to the microsecond.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Writes a time as a person reads it: `3.3 ms`, `340 ms`, `1.24 s`.
pub(crate) fn time(elapsed: Duration) -> String {
    let ms = elapsed.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_or_three_digits() {
        let cases = [(3_312, "3.3 ms"), (340_400, "340 ms"), (1_240_000, "1.24 s")];
        for (micros, shown) in cases {
            assert_eq!(time(Duration::from_micros(micros)), shown);
        }
    }
}
