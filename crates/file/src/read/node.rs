//! `nodes:`.

use std::collections::BTreeMap;

use vnet_model::nft::RawText;
use vnet_model::topology::{
    Firewall, NatRule, Node, NodeInterface, Publish, StaticFdb, StaticNexthop, StaticRoute,
    StaticRule, Sysctl,
};
use vnet_model::{Neighbor, NodeName, Origin};

use super::merge::{Add, Merge, pick};
use super::sysctl::{SysctlsOf, add_sysctls};
use super::{Entry, OBJECTS_MAX, Reader, SWITCH};
use crate::syntax::Value;
use crate::vocabulary::NODE;

/// A node as one entry describes it.
struct Draft {
    name: NodeName,
    forward: Option<bool>,
    ipv6: Option<bool>,
    interfaces: Vec<NodeInterface>,
    routes: Vec<StaticRoute>,
    nexthops: Vec<StaticNexthop>,
    rules: Vec<StaticRule>,
    neighbors: Vec<Neighbor>,
    fdb: Vec<StaticFdb>,
    publish: Vec<Publish>,
    sysctls: BTreeMap<String, Sysctl>,
    firewall: Option<Firewall>,
    nat: Vec<NatRule>,
    nftables: Option<RawText>,
    origin: Origin,
}

impl Reader<'_> {
    /// Reads `nodes:`.
    pub(super) fn nodes(&mut self, value: &Value) -> Vec<Node> {
        let mut nodes = Merge::new();
        for entry in self.entries(value, "nodes", None) {
            let Some(name) = self.node_name(&entry.name.text, entry.name.span) else {
                self.names_whole = false;
                continue;
            };
            let draft = self.node(name, &entry);
            nodes.push(self, &entry, draft);
        }
        debug_assert!(nodes.len() <= OBJECTS_MAX);
        nodes.into_items().into_iter().map(Draft::finish).collect()
    }

    fn node(&mut self, name: NodeName, entry: &Entry<'_>) -> Draft {
        let mut draft = Draft {
            name,
            forward: None,
            ipv6: None,
            interfaces: Vec::new(),
            routes: Vec::new(),
            nexthops: Vec::new(),
            rules: Vec::new(),
            neighbors: Vec::new(),
            fdb: Vec::new(),
            publish: Vec::new(),
            sysctls: BTreeMap::new(),
            firewall: None,
            nat: Vec::new(),
            nftables: None,
            origin: self.origin(entry.name.span),
        };
        let at = entry.at();
        let Some(fields) = entry.value.and_then(|value| self.fields(value, &NODE)) else {
            return draft;
        };
        draft.forward = fields.get("forward").and_then(|value| self.boolean(value, "forward", at));
        draft.ipv6 = fields.get("ipv6").and_then(|value| self.word(value, "ipv6", at, &SWITCH));
        if let Some(value) = fields.get("interfaces") {
            draft.interfaces = self.node_interfaces(value, at);
        }
        if let Some(value) = fields.get("routes") {
            draft.routes = self.routes(value, at);
        }
        if let Some(value) = fields.get("nexthops") {
            draft.nexthops = self.nexthops(value, at);
        }
        if let Some(value) = fields.get("rules") {
            draft.rules = self.rules(value, at);
        }
        if let Some(value) = fields.get("neighbors") {
            draft.neighbors = self.neighbors(value, at);
        }
        if let Some(value) = fields.get("fdb") {
            draft.fdb = self.fdb(value, at);
        }
        if let Some(value) = fields.get("publish") {
            draft.publish = self.publish(value, at);
        }
        if let Some(value) = fields.get("sysctls") {
            draft.sysctls = self.sysctls(value, SysctlsOf::Node, at);
        }
        if let Some((key, value)) = fields.find("firewall") {
            draft.firewall = self.firewall(value, key.span, at);
        }
        if let Some(value) = fields.get("nat") {
            draft.nat = self.nat(value, at);
        }
        if let Some((key, value)) = fields.find("nftables") {
            draft.nftables = self.nftables(value, key.span);
        }
        draft
    }
}

impl Add for Draft {
    fn add(&mut self, other: Self, wins: bool) {
        pick(&mut self.forward, other.forward, wins);
        pick(&mut self.ipv6, other.ipv6, wins);
        for interface in other.interfaces {
            match self.interfaces.iter_mut().find(|mine| mine.name == interface.name) {
                Some(mine) => mine.add(interface, wins),
                None => self.interfaces.push(interface),
            }
        }
        self.routes.extend(other.routes);
        pick(&mut self.firewall, other.firewall, wins);
        self.nat.extend(other.nat);
        self.nexthops.extend(other.nexthops);
        self.rules.extend(other.rules);
        self.neighbors.extend(other.neighbors);
        self.fdb.extend(other.fdb);
        self.publish.extend(other.publish);
        pick(&mut self.nftables, other.nftables, wins);
        add_sysctls(&mut self.sysctls, other.sysctls, wins);
        if wins {
            self.origin = other.origin;
        }
    }
}

impl Draft {
    fn finish(self) -> Node {
        let mut node = Node::new(self.name);
        node.forward = self.forward.unwrap_or(false);
        node.ipv6 = self.ipv6.unwrap_or(true);
        node.interfaces = self.interfaces;
        node.routes = self.routes;
        node.nexthops = self.nexthops;
        node.rules = self.rules;
        node.neighbors = self.neighbors;
        node.fdb = self.fdb;
        node.publish = self.publish;
        node.sysctls = self.sysctls;
        node.firewall = self.firewall;
        node.nat = self.nat;
        node.nftables = self.nftables;
        node.origin = self.origin;
        node
    }
}
