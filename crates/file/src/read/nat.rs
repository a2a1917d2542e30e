//! `nat:`.

use std::net::IpAddr;

use vnet_model::IfName;
use vnet_model::topology::firewall::{NatKind, NatRule, Peer};

use super::{At, Fields, Reader};
use crate::report::Diagnostic;
use crate::syntax::{Data, Value};
use crate::vocabulary::NAT;

/// What a translation is: the key that says it, and the keys that it may have beside.
const KINDS: [(&str, &[&str]); 4] = [
    ("masquerade", &["from"]),
    ("snat", &["oif", "to"]),
    ("dnat", &["iif", "dst", "to", "hairpin"]),
    ("binat", &["oif", "to"]),
];

impl Reader<'_> {
    /// Reads a node's `nat:`.
    pub(super) fn nat(&mut self, value: &Value, at: At<'_>) -> Vec<NatRule> {
        let items = match &value.data {
            Data::Empty => return Vec::new(),
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        items.iter().filter_map(|item| self.translation(item, at)).collect()
    }

    fn translation(&mut self, value: &Value, at: At<'_>) -> Option<NatRule> {
        let fields = self.fields(value, &NAT)?;
        let mut kinds = KINDS.iter().filter_map(|(name, _)| fields.find(name));
        let (Some((key, what)), second) = (kinds.next(), kinds.next()) else {
            let message = "the translation does not say what it does";
            let hint = "write `masquerade:`, `snat:`, `dnat:` or `binat:`";
            self.error(Diagnostic::error(message, Some(value.span)).hint(hint));
            return None;
        };
        if let Some((second, _)) = second {
            let message = format!("a translation is `{}` or `{}`, not both", key.text, second.text);
            let error = Diagnostic::error(message, Some(second.span));
            self.error(error.label(key.span, "the other is here"));
            return None;
        }
        self.check_beside(&key.text, &fields);
        let origin = self.origin(key.span);
        let to = match key.text.as_str() {
            "masquerade" => None,
            kind => Some(self.needed(&fields, "to", kind, what)?),
        };
        let kind = match (key.text.as_str(), to) {
            ("masquerade", _) | (_, None) => NatKind::Masquerade {
                oif: self.interfaces_of(Some(what), "masquerade", at),
                from: self.peers_of(fields.get("from"), "from", at)?,
            },
            ("snat", Some(to)) => NatKind::Snat {
                from: self.peers_of(Some(what), "snat", at)?,
                oif: self.interfaces_of(fields.get("oif"), "oif", at),
                to: self.address_of(to, "to", at)?,
            },
            ("dnat", Some(to)) => self.port_forward(&fields, (what, to), at)?,
            (_, Some(to)) => NatKind::Binat {
                addr: self.address_of(what, "binat", at)?,
                to: self.peer_of(to, at)?,
                oif: self.interfaces_of(fields.get("oif"), "oif", at).into_iter().next(),
            },
        };
        let nothing = matches!(&kind, NatKind::Masquerade { oif, .. } if oif.is_empty());
        if nothing {
            self.mismatch(what, "masquerade", "the name of an interface");
        }
        Some(NatRule { kind, origin })
    }

    /// Refuses keys that belong to another kind of translation.
    fn check_beside(&mut self, kind: &str, fields: &Fields<'_>) {
        let beside = KINDS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, list)| list);
        for (key, _) in fields.entries {
            let known = NAT.key(&key.text).is_some();
            if known && key.text != kind && !beside.contains(&key.text.as_str()) {
                let message = format!("a `{kind}` has no `{}`", key.text);
                let hint = format!("it has `{}`", beside.join("`, `"));
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            }
        }
    }

    fn needed<'v>(
        &mut self,
        fields: &Fields<'v>,
        name: &str,
        kind: &str,
        what: &Value,
    ) -> Option<&'v Value> {
        let found = fields.get(name);
        if found.is_none() {
            let message = format!("the `{kind}` has no `{name}`");
            self.error(Diagnostic::error(message, Some(what.span)));
        }
        found
    }

    fn interfaces_of(&mut self, value: Option<&Value>, what: &str, at: At<'_>) -> Vec<IfName> {
        let Some(value) = value else { return Vec::new() };
        let texts = self.texts(value, what, at);
        texts.iter().filter_map(|text| self.if_name(&text.text, text.span)).collect()
    }

    fn peers_of(&mut self, value: Option<&Value>, what: &str, at: At<'_>) -> Option<Vec<Peer>> {
        let Some(value) = value else { return Some(Vec::new()) };
        let texts = self.texts(value, what, at);
        let lists: Option<Vec<_>> = texts.iter().map(|text| self.peers(&text.text, text)).collect();
        lists.map(|lists| lists.into_iter().flatten().collect())
    }

    fn address_of(&mut self, value: &Value, what: &str, at: At<'_>) -> Option<IpAddr> {
        let text = self.text(value, what, at)?;
        self.ip(&text.text, text.span)
    }

    fn peer_of(&mut self, value: &Value, at: At<'_>) -> Option<Peer> {
        let text = self.text(value, "to", at)?;
        self.peer(&text.text, &text)
    }

    fn port_forward(
        &mut self,
        fields: &Fields<'_>,
        (what, to): (&Value, &Value),
        at: At<'_>,
    ) -> Option<NatKind> {
        let text = self.text(what, "dnat", at)?;
        let (protocol, ports) = self.protocol(text.text.trim(), &text)?;
        if ports.len() > 1 {
            let message = "a `dnat` is for one port, or one range of ports";
            let hint = "write one translation for each";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        }
        let (to, port) = self.target(to, protocol, at)?;
        let iif = self.interfaces_of(fields.get("iif"), "iif", at).into_iter().next();
        let dst = match fields.get("dst") {
            Some(value) => Some(self.address_of(value, "dst", at)?),
            None => None,
        };
        let hairpin = match fields.get("hairpin") {
            Some(value) => self.boolean(value, "hairpin", at)?,
            None => false,
        };
        let ports = ports.first().copied();
        let is_range = ports.is_some_and(|(from, to)| from != to);
        if port.is_some() && (ports.is_none() || is_range) {
            let message = "many ports can't become one";
            let hint = "leave out the port behind `to`: each stays what it is";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        }
        Some(NatKind::Dnat { protocol, ports, iif, dst, to, port, hairpin })
    }

    /// Reads `pc1`, `10.0.0.2` or `pc1 tcp/22`.
    fn target(&mut self, value: &Value, protocol: u8, at: At<'_>) -> Option<(Peer, Option<u16>)> {
        let text = self.text(value, "to", at)?;
        let mut words = text.text.split_whitespace();
        let (first, second, more) = (words.next(), words.next(), words.next());
        let Some(first) = first.filter(|_| more.is_none()) else {
            self.mismatch(value, "to", "a node or an address, and a port behind it: `pc1 tcp/22`");
            return None;
        };
        let to = self.peer(first, &text)?;
        let Some(second) = second else { return Some((to, None)) };
        let (same, ports) = self.protocol(second, &text)?;
        let port = match ports.as_slice() {
            [(from, to)] if from == to && same == protocol => Some(*from),
            _ => None,
        };
        if port.is_none() {
            let message = "the new port is one port of the same protocol";
            self.error(Diagnostic::error(message, Some(text.piece(second))));
        }
        port.map(|port| (to, Some(port)))
    }
}
