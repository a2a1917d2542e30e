//! `segments:`.

use std::net::IpAddr;
use vnet_model::kind::{self, Options, WIREGUARD};
use vnet_model::topology::{Endpoint, Segment, SegmentKind, Tunnel, Vxlan};
use vnet_model::{Device, NodeName};

use super::interface::{MTU_BYTES, PORTS};
use super::merge::{Add, Merge};
use super::{At, Entry, Fields, Reader};
use crate::report::Diagnostic;
use crate::syntax::Value;
use crate::vocabulary::{SEGMENT, VLAN_MAX, VLAN_MIN, VNI_MAX};

impl Reader<'_> {
    /// Reads `segments:`.
    pub(super) fn segments(&mut self, value: &Value) -> Vec<Segment> {
        let mut segments = Merge::new();
        for entry in self.entries(value, "segments", None) {
            let Some(name) = self.node_name(&entry.name.text, entry.name.span) else {
                self.names_whole = false;
                continue;
            };
            let segment = self.segment(name, &entry);
            segments.push(self, &entry, segment);
        }
        segments.into_items()
    }

    fn segment(&mut self, name: NodeName, entry: &Entry<'_>) -> Segment {
        let mut segment = Segment::new(name);
        segment.origin = self.origin(entry.name.span);
        let at = entry.at();
        let Some(fields) = entry.value.and_then(|value| self.fields(value, &SEGMENT)) else {
            return segment;
        };
        if let Some(value) = fields.get("members") {
            segment.members = self.members(value, at);
        }
        if let Some(value) = fields.get("prefix") {
            segment.prefixes = self.prefixes(value, "prefix", at);
        }
        if let Some(value) = fields.get("reserve") {
            segment.reserved = self.nets(value, "reserve", at);
        }
        segment.gateway =
            fields.get("gateway").and_then(|value| self.node_of(value, "gateway", at));
        let vlans = (VLAN_MIN, VLAN_MAX);
        let vlan = fields.get("vlan").and_then(|value| self.number(value, "vlan", at, vlans));
        segment.vlan = vlan.and_then(|vlan| u16::try_from(vlan).ok());
        segment.kind = self.segment_kind(&fields, entry);
        let external = fields.get("external").and_then(|value| self.boolean(value, "external", at));
        segment.external = external.unwrap_or(false);
        if segment.kind == SegmentKind::Bridge {
            segment.bridge = self.bridge_options(&fields, at);
        }
        segment.mtu = fields.get("mtu").and_then(|value| self.number(value, "mtu", at, MTU_BYTES));
        let stp = fields.get("stp").and_then(|value| self.boolean(value, "stp", at));
        segment.stp = stp.unwrap_or(false);
        segment.cost =
            fields.get("cost").and_then(|value| self.number(value, "cost", at, (1, u32::MAX)));
        segment
    }

    /// Reads the options of the bridge that a segment is.
    fn bridge_options(&mut self, fields: &Fields<'_>, at: At<'_>) -> Options {
        let mut options = Options::new();
        for (key, value) in fields.entries {
            let own = fields.object.key(&key.text).is_some();
            let Some(option) = kind::BRIDGE.option_called(&key.text).filter(|_| !own) else {
                continue;
            };
            if ["vlan_filtering", "vlan_default_pvid"].contains(&option.word) {
                let message = format!("a segment has no `{}`", option.key);
                let hint = "it keeps VLANs apart where one of its ports says something of them";
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            } else if let Some(value) = self.kind_option(option, value, at) {
                options.set(option, value);
            }
        }
        options
    }

    fn members(&mut self, value: &Value, at: At<'_>) -> Vec<Endpoint> {
        let mut members = Merge::new();
        for entry in self.entries(value, "members", at) {
            if let Some(member) = self.endpoint(&entry) {
                members.push(self, &entry, member);
            }
        }
        members.into_items()
    }

    /// Reads what carries the packets of a segment.
    fn segment_kind(&mut self, fields: &Fields<'_>, entry: &Entry<'_>) -> SegmentKind {
        const VXLAN: &[&str] = &["id", "over", "group", "dstport"];
        const WIREGUARD: &[&str] = &["hub", "over", "listen_port", "keepalive", "fwmark"];
        let kinds = [("bridge", ("a bridge", &[][..])), ("vxlan", ("a VXLAN", VXLAN))];
        let kinds = kinds.into_iter().chain([("wireguard", ("a WireGuard tunnel", WIREGUARD))]);
        let kinds: Vec<_> = kinds.collect();
        let kind = fields.get("kind").map(|value| self.word(value, "kind", entry.at(), &kinds));
        // What is wrong with `kind` is said already.
        let Some((whose, own)) = kind.unwrap_or(Some(kinds[0].1)) else {
            return SegmentKind::Bridge;
        };
        for (key, _) in fields.entries {
            let name = key.text.as_str();
            let mut others = kinds.iter().filter(|(_, (_, keys))| keys.contains(&name));
            if let (false, Some((kind, _))) = (own.contains(&name), others.next()) {
                let message = format!("{whose} has no `{name}`");
                let error = Diagnostic::error(message, Some(key.span));
                let hint = match (others.next(), *kind) {
                    (None, "wireguard") => "a WireGuard tunnel has: add `kind: wireguard`",
                    (None, _) => "a VXLAN has: add `kind: vxlan`",
                    (Some(_), _) => "a tunnel has: add `kind: vxlan` or `kind: wireguard`",
                };
                self.error(error.hint(hint));
            }
        }
        let table = if own.is_empty() { kind::BRIDGE.options } else { &[] };
        for (key, _) in fields.entries {
            let name = key.text.as_str();
            let is_option = fields.object.key(name).is_none() && fields.object.knows(name);
            if is_option && !table.iter().any(|option| option.key == name) {
                match own.is_empty() {
                    true => self.no_option("bridge", table, key),
                    false => {
                        let message = format!("{whose} has no `{name}`");
                        self.error(Diagnostic::error(message, Some(key.span)));
                    }
                }
            }
        }
        match own {
            VXLAN => self.vxlan(fields, entry),
            WIREGUARD => self.wireguard(fields, entry.at()),
            _ => SegmentKind::Bridge,
        }
    }

    fn wireguard(&mut self, fields: &Fields<'_>, at: At<'_>) -> SegmentKind {
        let mut device = Device::new(&WIREGUARD);
        for option in WIREGUARD.options {
            let value = fields.get(option.key);
            if let Some(value) = value.and_then(|value| self.kind_option(option, value, at)) {
                device.options.set(option, value);
            }
        }
        let over = fields.get("over").and_then(|value| self.text(value, "over", at));
        let over = over.and_then(|text| self.if_name(&text.text, text.span));
        let hub = fields.get("hub").and_then(|value| self.node_of(value, "hub", at));
        SegmentKind::Wireguard { tunnel: Tunnel { device, over }, hub }
    }

    fn vxlan(&mut self, fields: &Fields<'_>, entry: &Entry<'_>) -> SegmentKind {
        let at = entry.at();
        for name in ["id", "over"] {
            if fields.find(name).is_none() {
                let message = format!("the VXLAN has no `{name}`");
                let hint = "as in `kind: vxlan, id: 100, over: lo`";
                self.error(Diagnostic::error(message, Some(entry.name.span)).hint(hint));
            }
        }
        let id = fields.get("id").and_then(|value| self.number(value, "id", at, (0, VNI_MAX)));
        let over = fields.get("over").and_then(|value| self.text(value, "over", at));
        let over = over.and_then(|text| self.if_name(&text.text, text.span));
        let group = fields.get("group").and_then(|value| self.multicast_group(value, at));
        let port = fields.get("dstport").and_then(|v| self.number(v, "dstport", at, PORTS));
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(Vxlan::PORT);
        match (id, over) {
            (Some(id), Some(over)) => SegmentKind::Vxlan(Vxlan { id, over, group, port }),
            _ => SegmentKind::Bridge,
        }
    }

    fn multicast_group(&mut self, value: &Value, at: At<'_>) -> Option<IpAddr> {
        let text = self.text(value, "group", at)?;
        let group = self.ip(&text.text, text.span)?;
        if !group.is_multicast() {
            let message = format!("`{group}` is not a multicast group");
            let error = Diagnostic::error(message, Some(text.span));
            self.error(error.hint("IPv4 has 239.0.0.0/8 for private ones, IPv6 ff15::/16"));
            return None;
        }
        Some(group)
    }

    /// Reads texts that name segments which are VLANs.
    pub(super) fn vlans(&mut self, value: &Value, at: At<'_>) -> Vec<NodeName> {
        let texts = self.texts(value, "trunk", at);
        texts.iter().filter_map(|text| self.node_name(&text.text, text.span)).collect()
    }

    /// Reads a text that names a node.
    pub(super) fn node_of(&mut self, value: &Value, what: &str, at: At<'_>) -> Option<NodeName> {
        let text = self.text(value, what, at)?;
        self.node_name(&text.text, text.span)
    }
}

impl Add for Segment {
    /// A segment may be added to as a node may.
    fn add(&mut self, other: Self, wins: bool) {
        use super::merge::pick;
        self.prefixes.extend(other.prefixes);
        self.reserved.extend(other.reserved);
        self.members.extend(other.members);
        pick(&mut self.gateway, other.gateway, wins);
        pick(&mut self.vlan, other.vlan, wins);
        pick(&mut self.mtu, other.mtu, wins);
        pick(&mut self.cost, other.cost, wins);
        if other.kind != SegmentKind::Bridge && (wins || self.kind == SegmentKind::Bridge) {
            self.kind = other.kind;
        }
        self.stp |= other.stp;
        super::interface::merge(&mut self.bridge, &other.bridge, wins);
        self.external |= other.external;
    }
}
