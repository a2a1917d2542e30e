//! What in the file asked for what a packet meets: its own words there, where it has some.
//!
//! Only what was meant knows: what is observed was asked for by nobody, as far as the kernel can tell.

use std::net::IpAddr;

use vnet_model::nft::{RawText, TableId, text};
use vnet_model::{Change, Entry, IfName, NsName, Origin, Route, Step};

use crate::scene::Scene;
use crate::walk::described;
use crate::{By, Cause, Hop, Mend, fib};

impl Scene<'_> {
    /// Finds what asked for a hop: a route, an address, a link, a rule.
    pub(crate) fn origin_of_hop(&self, hop: &Hop) -> Origin {
        let ns = &hop.ns;
        let found = match (hop.by, &hop.interface) {
            (By::Stop, _) => None,
            (By::Rule, _) => self.meant(ns).and_then(|meant| {
                let is_it = |entry: &&Entry| match entry {
                    Entry::Rule(rule) => rule.to_string() == hop.text,
                    _ => false,
                };
                meant.entries.iter().find(is_it).map(Entry::origin)
            }),
            (By::Local, _) => {
                let addr = hop.text.split(' ').next().and_then(|word| word.parse().ok());
                addr.map(|addr| self.origin_of_address(ns, addr))
            }
            (By::Filter, _) => {
                // What a translation says ends with its rule.
                let rule =
                    hop.text.split_once(", by `").map(|(_, rule)| rule.trim_end_matches('`'));
                rule.map(|rule| self.origin_of_translation(ns, rule))
            }
            (By::Route, _) => self.meant(ns).and_then(|meant| {
                let is_it = |route: &&Route| {
                    let legs = meant.legs(route);
                    legs.iter().any(|leg| described(route, false, leg) == hop.text)
                };
                meant.routes.iter().find(is_it).map(|route| route.origin)
            }),
            (By::Connected, Some(dev)) => self.meant_interface(ns, dev).map(|interface| {
                let prefix = |net: &vnet_model::ipnet::IpNet| format!("{} ", net.trunc());
                let of = |a: &&vnet_model::Address| hop.text.starts_with(&prefix(&a.net));
                let address = interface.addresses.iter().find(of);
                address.map_or(interface.origin, |address| address.origin.or(interface.origin))
            }),
            (By::Neighbour | By::Port | By::Tunnel, Some(dev)) => {
                Some(self.origin_of_interface(ns, dev))
            }
            (By::Connected | By::Neighbour | By::Port | By::Tunnel, None) => None,
        };
        found.unwrap_or_default()
    }

    /// Finds what asked for what is at fault: for that itself, or for what should be there instead.
    pub(crate) fn origin_of_cause(&self, cause: &Cause) -> Origin {
        let of_mend = |mend: &Mend| match mend {
            Mend::Step(step) => self.origin_of_step(step),
            Mend::Line { origin, .. } => *origin,
            Mend::Command { .. } => Origin::NONE,
        };
        let all = cause.mend.iter().map(of_mend);
        all.fold(cause.origin, Origin::or)
    }

    /// Finds what asked for what a step is about. What nobody asked for and is to go has no place; what
    /// is to be added has, where the file could say it.
    fn origin_of_step(&self, step: &Step) -> Origin {
        let Some(meant) = self.meant(&step.ns) else { return step.origin };
        let of_address = |addr: IpAddr| self.origin_of_address(&step.ns, addr);
        let of_route = |route: &Route| {
            let same = |other: &&Route| other.key() == route.key();
            meant.routes.iter().find(same).map_or(Origin::NONE, |route| route.origin)
        };
        let of_entry = |entry: &Entry| meant.entries.get(entry).map_or(Origin::NONE, Entry::origin);
        let found = match &step.change {
            Change::AddLink { name, .. }
            | Change::SetLink { name, .. }
            | Change::SetPortVlan { dev: name, .. }
            | Change::DelPortVlan { dev: name, .. }
            | Change::AddFdb { dev: name, .. }
            | Change::SetWireguard { name, .. } => self.origin_of_interface(&step.ns, name),
            Change::AddAddress { dev, address } => {
                of_address(address.net.addr()).or(self.origin_of_interface(&step.ns, dev))
            }
            Change::DelAddress { address, .. } => of_address(address.net.addr()),
            Change::AddRoute(route) | Change::ReplaceRoute(route) => {
                of_route(route).or(meant.origin)
            }
            Change::DelRoute(route) => of_route(route),
            Change::SetEntry(entry) => of_entry(entry).or(meant.origin),
            Change::DelEntry(entry) => of_entry(entry),
            Change::SetSysctl { key, .. } => meant.sysctl_origins.get(key).or(meant.origin),
            _ => Origin::NONE,
        };
        step.origin.or(found)
    }

    fn origin_of_interface(&self, ns: &NsName, dev: &IfName) -> Origin {
        self.meant_interface(ns, dev).map(|interface| interface.origin).unwrap_or_default()
    }

    fn origin_of_address(&self, ns: &NsName, addr: IpAddr) -> Origin {
        let holder = self.meant(ns).and_then(|meant| fib::holder(meant, addr));
        let Some((dev, net)) = holder else { return Origin::NONE };
        let interface = self.meant_interface(ns, dev);
        let address = interface.and_then(|found| found.addresses.iter().find(|a| a.net == net));
        let origin = address.map(|address| address.origin).unwrap_or_default();
        origin.or(self.origin_of_interface(ns, dev))
    }

    /// Finds what asked for a rule of a packet filter, or for the policy of a chain.
    pub(crate) fn origin_of_rule(
        &self,
        ns: &NsName,
        id: &TableId,
        chain: &str,
        rule: Option<&str>,
    ) -> Origin {
        let Some(meant) = self.meant(ns) else { return Origin::NONE };
        if let Some(table) = meant.tables.get(id) {
            let rules = table.chain(chain).into_iter().flat_map(|chain| &chain.rules);
            let mut rules = rules.filter(|it| Some(text::rule(it, id.family).as_str()) == rule);
            return rules.next().map(|rule| rule.origin).unwrap_or_default().or(table.origin);
        }
        let raw = meant.nft_text.as_ref();
        let raw = raw.filter(|raw| raw.tables.iter().flatten().any(|table| table.id == *id));
        raw.map(|raw| line_of(raw, chain, rule)).unwrap_or_default()
    }

    fn origin_of_translation(&self, ns: &NsName, rule: &str) -> Origin {
        let all = self.tables(ns).into_iter().flat_map(|table| {
            let chains = table.chains.iter();
            chains.map(move |chain| self.origin_of_rule(ns, &table.id, &chain.name, Some(rule)))
        });
        all.fold(Origin::NONE, Origin::or)
    }
}

/// Finds the line of a text that says a rule of a chain; else the one at which the chain begins. Which
/// of several chains of that name, one for each table, is not looked at.
fn line_of(raw: &RawText, chain: &str, rule: Option<&str>) -> Origin {
    let plain = |line: &str| {
        let words = line.split(['#', ';']).next().unwrap_or("").split_whitespace();
        words.filter(|word| *word != "counter").collect::<Vec<_>>().join(" ")
    };
    let begins = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "chain").skip(1);
        words.next().is_some_and(|word| word.trim_end_matches('{') == chain)
    };
    let lines = || raw.text.lines().zip(1..);
    let Some((_, first)) = lines().find(|(line, _)| begins(line)) else { return raw.origin };
    let rest = lines().skip(first).take_while(|(line, _)| !line.contains("chain "));
    let rule = rule.map(plain);
    let own = rest.into_iter().find(|(line, _)| Some(plain(line)) == rule);
    raw.line(own.map_or(first, |(_, number)| number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_stands_on_its_line_of_a_text() {
        let text = "table inet f {\n chain in {\n  tcp dport 80  counter drop; # web\n }\n chain out {\n  \
                    tcp dport 80 drop\n }\n}";
        let mut raw = RawText::new(text);
        raw.lines = (1..=8).map(Origin::new).collect();
        let line = |chain, rule| line_of(&raw, chain, rule).index();
        assert_eq!(line("in", Some("tcp dport 80 drop")), Some(3));
        assert_eq!(line("out", Some("tcp dport 80 drop")), Some(6));
        assert_eq!((line("in", None), line("in", Some("drop"))), (Some(2), Some(2)));
        assert_eq!(line("none", None), None);
    }
}
