//! `segments:`.

use vnet_model::NodeName;
use vnet_model::topology::{Endpoint, Segment};

use super::interface::MTU_BYTES;
use super::merge::{Add, Merge};
use super::{At, Entry, Reader};
use crate::syntax::Value;
use crate::vocabulary::SEGMENT;

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
            segment.reserved = self.reserved(value, at);
        }
        segment.gateway =
            fields.get("gateway").and_then(|value| self.node_of(value, "gateway", at));
        segment.mtu = fields.get("mtu").and_then(|value| self.number(value, "mtu", at, MTU_BYTES));
        let stp = fields.get("stp").and_then(|value| self.boolean(value, "stp", at));
        segment.stp = stp.unwrap_or(false);
        segment.cost =
            fields.get("cost").and_then(|value| self.number(value, "cost", at, (1, u32::MAX)));
        segment
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
        pick(&mut self.mtu, other.mtu, wins);
        pick(&mut self.cost, other.cost, wins);
        self.stp |= other.stp;
    }
}
