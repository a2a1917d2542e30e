//! `firewall:` and `nat:` as they are read.

use std::net::IpAddr;

use vnet_model::IfName;
use vnet_model::nft::Limit;
use vnet_model::topology::Peer;
use vnet_model::topology::firewall::{Firewall, FirewallRule, NatKind, Verdict, Way};

use super::{Writer, flow_map, scalar};

impl Writer<'_> {
    /// Writes what a node lets in, out and through; all rules in one list, in order.
    pub(super) fn firewall(&mut self, firewall: &Firewall) {
        self.line(4, "firewall", "");
        for way in Way::ALL {
            if let Some(policy) = firewall.policy(way) {
                let word = match policy {
                    Verdict::Accept => "accept",
                    Verdict::Drop => "drop",
                    Verdict::Reject => "reject",
                };
                self.line(6, way.name(), word);
            }
        }
        self.line(6, "established", if firewall.established { "true" } else { "false" });
        self.heading_at(6, "rules", firewall.rules.is_empty());
        for rule in &firewall.rules {
            self.item(8, &scalar(&words(rule)));
        }
    }

    pub(super) fn translation(&mut self, kind: &NatKind) {
        self.item(6, &flow_map(&keys(kind)));
    }
}

/// Writes a rule as it is read.
fn words(rule: &FirewallRule) -> String {
    let mut words = vec![match rule.verdict {
        Some(Verdict::Accept) => "allow".to_owned(),
        Some(Verdict::Drop) => "deny".to_owned(),
        Some(Verdict::Reject) => "reject".to_owned(),
        None => "count".to_owned(),
    }];
    words.extend(rule.way.map(|way| way.name().to_owned()));
    words.extend(rule.protocols.iter().map(|number| protocol(*number, &rule.ports)));
    let mut add = |word: &str, list: String| {
        if !list.is_empty() {
            words.extend([word.to_owned(), list]);
        }
    };
    add("from", peers(&rule.from));
    add("to", peers(&rule.to));
    add("iif", names(&rule.iif));
    add("oif", names(&rule.oif));
    add("state", list(rule.states.iter().map(|state| state.name())));
    if let Some(Limit { rate, seconds, burst, .. }) = rule.limit {
        let unit = match seconds {
            1 => "second",
            60 => "minute",
            3600 => "hour",
            _ => "day",
        };
        add("limit", format!("{rate}/{unit}"));
        add("burst", burst.to_string());
    }
    match rule.log.as_deref().map(str::trim_end) {
        Some("") => words.push("log".to_owned()),
        Some(prefix) => words.push(format!("log prefix {prefix}")),
        None => {}
    }
    if rule.counter && rule.verdict.is_some() {
        words.push("counter".to_owned());
    }
    words.join(" ")
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

fn names(names: &[IfName]) -> String {
    list(names.iter())
}

fn peers(peers: &[Peer]) -> String {
    list(peers.iter())
}

fn protocol(number: u8, ports: &[(u16, u16)]) -> String {
    let known = crate::read::PROTOCOLS.iter().find(|(_, known)| *known == number);
    let name = known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned());
    let port = |(from, to): &(u16, u16)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    match ports.is_empty() {
        true => name,
        false => format!("{name}/{}", list(ports.iter().map(port))),
    }
}

/// Writes a translation as its keys.
fn keys(kind: &NatKind) -> Vec<(&'static str, String)> {
    let mut keys = Vec::new();
    let mut add = |key, value: String| {
        if !value.is_empty() {
            keys.push((key, scalar(&value)));
        }
    };
    let address = |addr: &Option<IpAddr>| addr.map(|addr| addr.to_string()).unwrap_or_default();
    match kind {
        NatKind::Masquerade { oif, from } => {
            keys.push((
                "masquerade",
                super::flow_list(oif.iter().map(|name| scalar(name.as_str()))),
            ));
            if !from.is_empty() {
                keys.push(("from", scalar(&peers(from))));
            }
        }
        NatKind::Snat { from, oif, to } => {
            add("snat", if from.is_empty() { "any".to_owned() } else { peers(from) });
            if !oif.is_empty() {
                keys.push(("oif", super::flow_list(oif.iter().map(|name| scalar(name.as_str())))));
            }
            keys.push(("to", scalar(&to.to_string())));
        }
        NatKind::Dnat { protocol: number, ports, iif, dst, to, port, hairpin } => {
            add("dnat", protocol(*number, ports.as_slice()));
            add("iif", names(iif.as_slice()));
            add("dst", address(dst));
            let port = port.map(|port| format!(" {}", protocol(*number, &[(port, port)])));
            add("to", format!("{to}{}", port.unwrap_or_default()));
            add("hairpin", if *hairpin { "true".to_owned() } else { String::new() });
        }
        NatKind::Binat { addr, to, oif } => {
            add("binat", addr.to_string());
            add("to", to.to_string());
            add("oif", names(oif.as_slice()));
        }
    }
    keys
}
