//! `routes:`, in iproute2's words.

use vnet_model::RouteKind;
use vnet_model::ipnet::IpNet;
use vnet_model::state::{Metric, MetricValue, SCOPES};
use vnet_model::topology::{Leg, StaticRoute, Via};

use super::leg::LEG;
use super::words::{Language, Words};
use super::{At, Reader, Text};
use crate::report::Diagnostic;
use crate::syntax::Value;

/// The words of a route (`ip-route(8)`).
const ROUTE: Language = Language {
    of: "a route",
    words: &[
        "via",
        "dev",
        "metric",
        "table",
        "src",
        "onlink",
        "nexthop",
        "weight",
        "nhid",
        "encap",
        "scope",
        "proto",
        "mtu",
        "advmss",
        "window",
        "cwnd",
        "initcwnd",
        "initrwnd",
        "ssthresh",
        "reordering",
        "hoplimit",
        "quickack",
    ],
    later: &[
        "tos",
        "dsfield",
        "pref",
        "congctl",
        "rtt",
        "rttvar",
        "rto_min",
        "features",
        "realms",
        "expires",
        "as",
        "ttl-propagate",
    ],
    hint: "after the destination come `via`, `dev`, `metric`, `table`, `src`, `onlink`",
};

impl Reader<'_> {
    /// Reads a node's `routes:`.
    pub(super) fn routes(&mut self, value: &Value, at: At<'_>) -> Vec<StaticRoute> {
        let texts = self.texts(value, "routes", at);
        texts.iter().filter_map(|text| self.route(text)).collect()
    }

    fn route(&mut self, text: &Text<'_>) -> Option<StaticRoute> {
        let mut words = Words::of(text);
        let kind = words.peek().and_then(|word| RouteKind::ALL.iter().find(|(it, _)| *it == word));
        if kind.is_some() {
            words.next();
        }
        let Some(word) = words.next().filter(|word| !ROUTE.words.contains(word)) else {
            let message = "the route has no destination";
            let hint = "write a prefix or `default`, such as `default via r1`";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        };
        let kind = kind.map_or(RouteKind::Unicast, |(_, kind)| *kind);
        let mut route = StaticRoute::new(kind, self.destination(word, text)?, Vec::new());
        route.origin = self.origin(text.span);
        // The way that is written without `nexthop`.
        let mut only = Leg::default();
        while let Some(word) = words.next() {
            match word {
                "nexthop" => route.legs.push(Leg::default()),
                _ if LEG.contains(&word) => {
                    let leg = route.legs.last_mut().unwrap_or(&mut only);
                    self.leg_option(leg, word, &mut words)?;
                }
                "weight" if !route.legs.is_empty() => {
                    let weight = self.number_after(word, &mut words, (1, 256))?;
                    let leg = route.legs.last_mut().unwrap_or(&mut only);
                    let weight = u16::try_from(weight).unwrap_or(1);
                    self.put(&mut leg.weight, weight, word, text)?;
                }
                "weight" => {
                    let message = "`weight` is the share of one of several ways";
                    let error = Diagnostic::error(message, Some(text.piece(word)));
                    self.error(
                        error.hint("write `nexthop` before each: `nexthop via r1 weight 2`"),
                    );
                    return None;
                }
                _ => self.route_option(&mut route, word, &mut words)?,
            }
        }
        self.check_route(&route, &only, text).then(|| {
            route.legs.extend((only != Leg::default()).then_some(only));
            route
        })
    }

    /// Reads a prefix, an address, or `default`, which is no destination at all.
    #[expect(clippy::option_option, reason = "outer: whether it could be read")]
    fn destination(&mut self, word: &str, text: &Text<'_>) -> Option<Option<IpNet>> {
        match word {
            "default" | "any" | "all" => Some(None),
            _ if ROUTE.later.contains(&word) => {
                self.stray_word(word, text, &ROUTE);
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
        words: &mut Words<'t>,
    ) -> Option<()> {
        let text = words.text;
        if let Some((_, metric, _)) = Metric::ALL.iter().find(|(name, ..)| *name == option) {
            let lock = words.take_word("lock");
            let value = self.number_after(option, words, (1, metric.value_max()))?;
            let value = MetricValue { value, lock };
            if route.metrics.insert(*metric, value).is_some() {
                self.twice(option, text);
                return None;
            }
            return Some(());
        }
        match option {
            "metric" => {
                let metric = self.number_after(option, words, (0, u32::MAX))?;
                self.put(&mut route.metric, metric, option, text)
            }
            "nhid" => {
                let nhid = self.number_after(option, words, (1, u32::MAX))?;
                self.put(&mut route.nhid, nhid, option, text)
            }
            "src" => {
                let word = self.after(option, words)?;
                let src = self.ip(word, text.piece(word))?;
                self.put(&mut route.src, src, option, text)
            }
            "table" => {
                let word = self.after(option, words)?;
                let table = self.table(word, text)?;
                self.put(&mut route.table, table, option, text)
            }
            "scope" => {
                let word = self.after(option, words)?;
                let scope = self.scope(word, text)?;
                self.put(&mut route.scope, scope, option, text)
            }
            "proto" | "protocol" => self.proto_static(option, words),
            _ => {
                self.stray_word(option, text, &ROUTE);
                None
            }
        }
    }

    fn scope(&mut self, word: &str, text: &Text<'_>) -> Option<u8> {
        if let Some((_, scope)) = SCOPES.iter().find(|(name, _)| *name == word) {
            return Some(*scope);
        }
        let number = self.number_of(word, text.piece(word), "scope", (0, 254))?;
        u8::try_from(number).ok()
    }

    /// Checks that the words of a route belong together. `only` is the way without `nexthop`.
    fn check_route(&mut self, route: &StaticRoute, only: &Leg, text: &Text<'_>) -> bool {
        let is_written = *only != Leg::default();
        let ways = [is_written, !route.legs.is_empty(), route.nhid.is_some()];
        let ways = ways.into_iter().filter(|way| *way).count();
        let mut legs = route.legs.iter().chain([only]);
        let stray = |leg: &Leg| leg.onlink && !matches!(leg.via, Some(Via::Addr(_)));
        let aimless = |leg: &Leg| leg.via.is_none() && leg.dev.is_none();
        let is_ipv6 = route.dst.is_some_and(|dst| dst.addr().is_ipv6());
        let doubled = (1..route.legs.len()).any(|at| {
            let same = |other: &Leg| {
                (&other.via, &other.dev) == (&route.legs[at].via, &route.legs[at].dev)
            };
            route.legs[..at].iter().any(same)
        });
        let (message, hint) = if !route.kind.leads() && ways > 0 {
            let message =
                format!("a {} route leads nowhere, so it has no `via` or `dev`", route.kind);
            (message, "leave out the gateway, or the word before the destination")
        } else if route.kind.leads() && ways == 0 {
            (
                "the route leads nowhere".to_owned(),
                "add `via` and a node or address, `dev` and an interface, or begin with `blackhole`",
            )
        } else if ways > 1 {
            (
                "the route says in several ways where it leads".to_owned(),
                "write `via` and `dev`, or `nexthop` for each of several ways, or `nhid`",
            )
        } else if legs.any(stray) {
            (
                "`onlink` is about a gateway's address, and there is none".to_owned(),
                "write `via ADDRESS dev INTERFACE onlink`",
            )
        } else if route.legs.iter().any(aimless) {
            ("a `nexthop` leads nowhere".to_owned(), "add `via` and a node or address, or `dev`")
        } else if doubled {
            ("two of the `nexthop` are the same".to_owned(), "give one of them a `weight` instead")
        } else if is_ipv6 && route.scope.is_some() {
            ("an IPv6 route has no `scope`".to_owned(), "leave it out")
        } else {
            return true;
        };
        self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
        false
    }
}
