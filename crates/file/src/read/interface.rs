//! The one interface object: of a node's `interfaces:`, a link's `endpoints:`, a segment's
//! `members:`.

use vnet_model::topology::{Endpoint, InterfaceOptions, NodeInterface, NodeInterfaceKind};

use super::merge::{Add, Merge, pick};
use super::{At, Entry, Fields, Reader};
use crate::report::Diagnostic;
use crate::syntax::{Data, Value};
use crate::vocabulary::{INTERFACE, MTU_MAX_BYTES, MTU_MIN_BYTES};

/// The bounds of an MTU, in bytes.
pub(super) const MTU_BYTES: (u32, u32) = (MTU_MIN_BYTES, MTU_MAX_BYTES);

impl Reader<'_> {
    /// Reads a node's `interfaces:`.
    pub(super) fn node_interfaces(&mut self, value: &Value, at: At<'_>) -> Vec<NodeInterface> {
        let mut interfaces = Merge::new();
        for entry in self.entries(value, "interfaces", at) {
            if let Some(interface) = self.node_interface(&entry) {
                interfaces.push(self, &entry, interface);
            }
        }
        interfaces.into_items()
    }

    fn node_interface(&mut self, entry: &Entry<'_>) -> Option<NodeInterface> {
        let name = self.if_name(&entry.name.text, entry.name.span)?;
        let options = self.interface_options(entry);
        let kind = match self.interface_fields(entry) {
            Some(fields) => self.interface_kind(&fields, entry.at()),
            None => NodeInterfaceKind::Existing,
        };
        Some(NodeInterface { name, kind, options })
    }

    fn interface_kind(&mut self, fields: &Fields<'_>, at: At<'_>) -> NodeInterfaceKind {
        let kind = fields.find("kind");
        let is_bridge = kind.is_some_and(|(_, value)| self.is_bridge(value, at));
        if kind.is_none() {
            for name in ["ports", "stp"] {
                if let Some((key, _)) = fields.find(name) {
                    let message = format!("only a bridge has `{name}`");
                    let error = Diagnostic::error(message, Some(key.span));
                    self.error(error.hint("add `kind: bridge`"));
                }
            }
        }
        if kind.is_none() {
            return NodeInterfaceKind::Existing;
        }
        if !is_bridge {
            // What it is is reported; that nothing makes it would be said beside the point.
            return NodeInterfaceKind::Bridge { ports: Vec::new(), stp: false };
        }
        let texts = fields.get("ports").map(|value| self.texts(value, "ports", at));
        let ports = texts.unwrap_or_default();
        let ports = ports.iter().filter_map(|text| self.if_name(&text.text, text.span)).collect();
        let stp = fields.get("stp").and_then(|value| self.boolean(value, "stp", at));
        NodeInterfaceKind::Bridge { ports, stp: stp.unwrap_or(false) }
    }

    fn is_bridge(&mut self, value: &Value, at: At<'_>) -> bool {
        /// The kinds of the language that this version does not know.
        const LATER: [&str; 7] = ["vrf", "vxlan", "vlan", "dummy", "wireguard", "macvlan", "bond"];
        if let Data::Text(text) = &value.data
            && LATER.contains(&text.as_str())
        {
            let message = format!("`kind: {text}` is not supported yet");
            self.error(Diagnostic::error(message, Some(value.span)));
            return false;
        }
        self.word(value, "kind", at, &[("bridge", ())]).is_some()
    }

    /// Reads an end of a link or a member of a segment: `node` or `node:interface`.
    pub(super) fn endpoint(&mut self, entry: &Entry<'_>) -> Option<Endpoint> {
        let name = &entry.name;
        let (node, interface) = match name.text.split_once(':') {
            None => (name.text.as_ref(), None),
            Some((node, interface)) => (node, Some(interface)),
        };
        let node = self.node_name(node, name.piece(node));
        let interface = match interface {
            Some(word) => Some(self.if_name(word, name.piece(word))?),
            None => None,
        };
        let mut endpoint = Endpoint::new(node?, interface);
        endpoint.options = self.interface_options(entry);
        endpoint.origin = endpoint.options.origin;
        if let Some(fields) = self.interface_fields(entry) {
            for name in ["kind", "ports", "stp"] {
                if let Some((key, _)) = fields.find(name) {
                    let message = format!("`{name}` is for a node's `interfaces`");
                    let hint = "here the link or segment makes the interface";
                    self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
                }
            }
        }
        Some(endpoint)
    }

    /// Returns the keys of an entry that has some; they are checked already.
    fn interface_fields<'v>(&mut self, entry: &Entry<'v>) -> Option<Fields<'v>> {
        match &entry.value?.data {
            Data::Map(entries) => Some(Fields { object: &INTERFACE, entries }),
            _ => None,
        }
    }

    /// Reads what stands behind an interface's name: nothing, addresses, or options.
    fn interface_options(&mut self, entry: &Entry<'_>) -> InterfaceOptions {
        let mut options = InterfaceOptions {
            origin: self.origin(entry.name.span),
            ..InterfaceOptions::default()
        };
        let at = entry.at();
        let Some(value) = entry.value else { return options };
        if !matches!(value.data, Data::Map(_)) {
            options.addresses = self.addresses(value, at);
            return options;
        }
        let Some(fields) = self.fields(value, &INTERFACE) else { return options };
        if let Some(value) = fields.get("addresses") {
            options.addresses = self.addresses(value, at);
        }
        options.mtu = fields.get("mtu").and_then(|value| self.number(value, "mtu", at, MTU_BYTES));
        options.mac = fields.get("mac").and_then(|value| self.mac(value, at));
        options.up = fields.get("up").and_then(|value| self.boolean(value, "up", at));
        let alias = fields.get("alias").and_then(|value| self.text(value, "alias", at));
        options.alias = alias.map(|alias| alias.text.into_owned());
        options
    }
}

impl Add for InterfaceOptions {
    fn add(&mut self, other: Self, wins: bool) {
        self.addresses.extend(other.addresses);
        pick(&mut self.mtu, other.mtu, wins);
        pick(&mut self.mac, other.mac, wins);
        pick(&mut self.alias, other.alias, wins);
        pick(&mut self.up, other.up, wins);
    }
}

impl Add for NodeInterface {
    fn add(&mut self, other: Self, wins: bool) {
        self.options.add(other.options, wins);
        match (&mut self.kind, other.kind) {
            (_, NodeInterfaceKind::Existing) => {}
            (mine @ NodeInterfaceKind::Existing, kind) => *mine = kind,
            (
                NodeInterfaceKind::Bridge { ports, stp },
                NodeInterfaceKind::Bridge { ports: more, stp: other },
            ) => {
                ports.extend(more);
                *stp |= other;
            }
        }
    }
}

impl Add for Endpoint {
    fn add(&mut self, other: Self, wins: bool) {
        self.options.add(other.options, wins);
    }
}
