//! `routes:`, in iproute2's words.

use std::net::IpAddr;

use vnet_model::RouteKind;
use vnet_model::ipnet::IpNet;
use vnet_model::topology::{StaticRoute, Via};

use super::{At, Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::syntax::Value;

/// The words before a destination that say what the route does (`ip-route(8)`).
const KINDS: [(&str, RouteKind); 5] = [
    ("unicast", RouteKind::Unicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
];

/// The words of a route that take another after them or stand alone.
const OPTIONS: [&str; 6] = ["via", "dev", "metric", "table", "src", "onlink"];

/// Words that iproute2 knows and this version does not.
const LATER: [&str; 16] = [
    "nexthop",
    "nhid",
    "encap",
    "proto",
    "protocol",
    "scope",
    "tos",
    "mtu",
    "advmss",
    "weight",
    "initcwnd",
    "pref",
    "congctl",
    "quickack",
    "local",
    "multicast",
];

/// The routing tables that have names (`/etc/iproute2/rt_tables`).
const TABLES: [(&str, u32); 3] = [("default", 253), ("main", 254), ("local", 255)];

impl Reader<'_> {
    /// Reads a node's `routes:`.
    pub(super) fn routes(&mut self, value: &Value, at: At<'_>) -> Vec<StaticRoute> {
        let texts = self.texts(value, "routes", at);
        texts.iter().filter_map(|text| self.route(text)).collect()
    }

    fn route(&mut self, text: &Text<'_>) -> Option<StaticRoute> {
        let mut words = text.text.split_whitespace().peekable();
        let kind = words.peek().and_then(|word| KINDS.iter().find(|(name, _)| name == word));
        if kind.is_some() {
            words.next();
        }
        let Some(word) = words.next().filter(|word| !OPTIONS.contains(word)) else {
            let message = "the route has no destination";
            let hint = "write a prefix or `default`, such as `default via r1`";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        };
        let mut route = StaticRoute {
            kind: kind.map_or(RouteKind::Unicast, |(_, kind)| *kind),
            dst: self.destination(word, text)?,
            via: None,
            dev: None,
            src: None,
            metric: None,
            table: None,
            onlink: false,
            origin: self.origin(text.span),
        };
        while let Some(word) = words.next() {
            self.route_option(&mut route, word, &mut words, text)?;
        }
        self.check_route(&route, text).then_some(route)
    }

    /// Reads a prefix, an address, or `default`, which is no destination at all.
    #[expect(clippy::option_option, reason = "outer: whether it could be read")]
    fn destination(&mut self, word: &str, text: &Text<'_>) -> Option<Option<IpNet>> {
        match word {
            "default" | "any" | "all" => Some(None),
            _ if LATER.contains(&word) => {
                self.not_yet(word, text);
                None
            }
            _ if word.contains('/') => self.prefix(word, text).map(Some),
            _ => {
                let addr = self.ip(word, text.piece(word))?;
                Some(Some(IpNet::from(addr)))
            }
        }
    }

    fn route_option<'t>(
        &mut self,
        route: &mut StaticRoute,
        option: &'t str,
        words: &mut impl Iterator<Item = &'t str>,
        text: &Text<'_>,
    ) -> Option<()> {
        if option == "onlink" {
            route.onlink = true;
            return Some(());
        }
        if !OPTIONS.contains(&option) {
            self.unknown_option(option, text);
            return None;
        }
        let Some(word) = words.next() else {
            let message = format!("`{option}` has nothing after it");
            self.error(Diagnostic::error(message, Some(text.piece(option))));
            return None;
        };
        let span = text.piece(word);
        let twice = match option {
            "via" => {
                let via = self.via(word, words, text)?;
                route.via.replace(via).is_some()
            }
            "dev" => route.dev.replace(self.if_name(word, span)?).is_some(),
            "src" => route.src.replace(self.ip(word, span)?).is_some(),
            "metric" => {
                route.metric.replace(self.number_of(word, span, "metric", (0, u32::MAX))?).is_some()
            }
            _ => route.table.replace(self.table(word, text)?).is_some(),
        };
        if twice {
            let message = format!("`{option}` is there twice");
            self.error(Diagnostic::error(message, Some(text.piece(option))));
            return None;
        }
        Some(())
    }

    /// Reads a gateway: an address, one with its family before it, or a node.
    fn via<'t>(
        &mut self,
        word: &'t str,
        words: &mut impl Iterator<Item = &'t str>,
        text: &Text<'_>,
    ) -> Option<Via> {
        if word == "inet" || word == "inet6" {
            let Some(addr) = words.next() else {
                let message = format!("`via {word}` has no address after it");
                self.error(Diagnostic::error(message, Some(text.piece(word))));
                return None;
            };
            let span = text.piece(addr);
            let addr = self.ip(addr, span)?;
            if addr.is_ipv6() != (word == "inet6") {
                let message = format!("`{addr}` is no address of the family `{word}`");
                self.error(Diagnostic::error(message, Some(span)));
                return None;
            }
            return Some(Via::Addr(addr));
        }
        if let Ok(addr) = word.parse::<IpAddr>() {
            return Some(Via::Addr(addr));
        }
        let number = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/');
        if word.contains(':') || (word.contains('.') && word.chars().all(number)) {
            self.ip(word, text.piece(word))?;
        }
        self.node_name(word, text.piece(word)).map(Via::Node)
    }

    fn table(&mut self, word: &str, text: &Text<'_>) -> Option<u32> {
        if let Some((_, table)) = TABLES.iter().find(|(name, _)| *name == word) {
            return Some(*table);
        }
        self.number_of(word, text.piece(word), "table", (1, u32::MAX))
    }

    fn unknown_option(&mut self, word: &str, text: &Text<'_>) {
        if LATER.contains(&word) {
            return self.not_yet(word, text);
        }
        let message = format!("`{}` is no word of a route", shown(word));
        let error = Diagnostic::error(message, Some(text.piece(word)));
        self.error(match vnet_model::problem::nearest(word, OPTIONS) {
            Some(near) => error.hint(format!("a similar word exists: `{near}`")),
            None => error.hint(
                "after the destination come `via`, `dev`, `metric`, `table`, `src`, `onlink`",
            ),
        });
    }

    fn not_yet(&mut self, word: &str, text: &Text<'_>) {
        let message = format!("`{word}` in a route is not supported yet");
        self.error(Diagnostic::error(message, Some(text.piece(word))));
    }

    /// Checks that the words of a route belong together.
    fn check_route(&mut self, route: &StaticRoute, text: &Text<'_>) -> bool {
        let leads = route.via.is_some() || route.dev.is_some();
        let (message, hint) = if route.kind != RouteKind::Unicast && (leads || route.onlink) {
            let message =
                format!("a {} route leads nowhere, so it has no `via` or `dev`", route.kind);
            (message, "leave out the gateway, or the word before the destination")
        } else if route.kind == RouteKind::Unicast && !leads {
            let message = "the route leads nowhere".to_owned();
            (
                message,
                "add `via` and a node or address, `dev` and an interface, or begin with `blackhole`",
            )
        } else if route.onlink && !matches!(route.via, Some(Via::Addr(_))) {
            let message = "`onlink` is about a gateway's address, and there is none".to_owned();
            (message, "write `via ADDRESS dev INTERFACE onlink`")
        } else {
            return true;
        };
        self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
        false
    }
}
