//! `links:`.

use vnet_model::topology::{Addressing, Endpoint, Link, Pool, Tunnel};

use super::interface::MTU_BYTES;
use super::{At, Beside, Entry, Fields, OBJECTS_MAX, Reader};
use crate::report::{Diagnostic, thousands};
use crate::source::Span;
use crate::syntax::{Data, Value};
use crate::vocabulary::LINK;

/// The links of a file, and the pools that they refer to by index.
#[derive(Default)]
pub(super) struct Links {
    pub(super) links: Vec<Link>,
    pub(super) pools: Vec<Pool>,
}

/// One end of an entry: one endpoint, or those of a range.
struct End {
    endpoints: Vec<Endpoint>,
    ranged: bool,
    span: Span,
}

/// How two ends meet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pairs {
    Each,
    All,
}

impl Reader<'_> {
    /// Reads `links:`.
    pub(super) fn links(&mut self, value: &Value) -> Links {
        let mut links = Links::default();
        match &value.data {
            Data::Empty => {}
            Data::List(entries) => {
                for entry in entries {
                    self.link_entry(entry, &mut links);
                }
            }
            _ => {
                let message = format!("`links` is a list, this is {}", value.kind());
                let hint = "begin each link with a dash: `- { endpoints: [ r1, r2 ] }`";
                self.error(Diagnostic::error(message, Some(value.span)).hint(hint));
            }
        }
        links
    }

    /// Reads an entry: a map with `endpoints`, or just the list of its two ends.
    fn link_entry(&mut self, value: &Value, links: &mut Links) {
        match &value.data {
            Data::List(_) => {
                let fields = Fields { object: &LINK, entries: &[] };
                self.link_fields(&fields, value, value.span, links);
            }
            Data::Map(_) => {
                let Some(fields) = self.fields(value, &LINK) else { return };
                match fields.find("endpoints") {
                    Some((key, ends)) => self.link_fields(&fields, ends, key.span, links),
                    None => {
                        let error =
                            Diagnostic::error("the link has no `endpoints`", Some(value.span));
                        self.error(error.hint("add its two ends: `endpoints: [ r1, r2 ]`"));
                    }
                }
            }
            _ => {
                let message =
                    format!("a link is a map or a list of two ends, this is {}", value.kind());
                let error = Diagnostic::error(message, Some(value.span));
                self.error(error.hint("write `- { endpoints: [ r1, r2 ] }` or `- [ r1, r2 ]`"));
            }
        }
    }

    fn link_fields(&mut self, fields: &Fields<'_>, ends: &Value, span: Span, links: &mut Links) {
        let pairs = fields.get("pairs").and_then(|value| {
            self.word(value, "pairs", None, &[("each", Pairs::Each), ("all", Pairs::All)])
        });
        let whole = ends.span;
        let Some(ends) = self.ends(ends) else { return };
        let [a, b] = &ends;
        let Some(pairs) = self.pairs(a, b, pairs, fields) else { return };
        if links.links.len() + pairs.len() > OBJECTS_MAX {
            let message = format!("the file describes more than {} links", thousands(OBJECTS_MAX));
            return self.error(Diagnostic::error(message, Some(span)));
        }
        let many = a.ranged || b.ranged;
        self.check_shared(fields, pairs.len());
        let pool = self.pool(fields, links);
        for (index, (a, b)) in pairs.iter().enumerate() {
            let beside = Beside { index, count: pairs.len(), range: "endpoints", span };
            let at = many.then_some(beside);
            let ends = [(*a).clone(), (*b).clone()];
            let link = self.link(fields, ends, pool, (at, whole));
            links.links.push(link);
        }
    }

    /// Reads the two ends.
    fn ends(&mut self, value: &Value) -> Option<[End; 2]> {
        let entries = self.entries(value, "endpoints", None);
        // Names of one range stand one after the other and share its span.
        let groups: Vec<&[Entry<'_>]> = entries
            .chunk_by(|a, b| a.ranged && b.ranged && a.name.span == b.name.span && next(a, b))
            .collect();
        let &[a, b] = groups.as_slice() else {
            let message = format!("a link has two ends, this has {}", groups.len());
            let hint = "more than two nodes share a segment: see `segments`";
            let error = Diagnostic::error(message, Some(value.span));
            self.error(if groups.len() > 2 { error.hint(hint) } else { error });
            return None;
        };
        let mut whole = true;
        let ends = [a, b].map(|group| {
            let endpoints: Vec<_> = group.iter().filter_map(|entry| self.endpoint(entry)).collect();
            whole &= endpoints.len() == group.len();
            End { endpoints, ranged: group[0].ranged, span: group[0].name.span }
        });
        whole.then_some(ends)
    }

    /// Pairs the endpoints of two ends.
    fn pairs<'e>(
        &mut self,
        a: &'e End,
        b: &'e End,
        pairs: Option<Pairs>,
        fields: &Fields<'_>,
    ) -> Option<Vec<(&'e Endpoint, &'e Endpoint)>> {
        let (len_a, len_b) = (a.endpoints.len(), b.endpoints.len());
        let pairs = match pairs {
            Some(pairs) => pairs,
            None if !(a.ranged && b.ranged) => Pairs::All,
            None if fields.find("pairs").is_some() => return None,
            None => {
                let error =
                    Diagnostic::error("both ends are ranges, and `pairs` is missing", Some(b.span));
                let hint =
                    "add `pairs: each` (first with first, second with second) or `pairs: all`";
                self.error(error.label(a.span, "the other range").hint(hint));
                return None;
            }
        };
        if pairs == Pairs::Each {
            if len_a != len_b {
                let message = format!(
                    "`pairs: each` needs ranges of one length, these have {len_a} and {len_b}"
                );
                self.error(
                    Diagnostic::error(message, Some(b.span)).label(a.span, "the other range"),
                );
                return None;
            }
            return Some(a.endpoints.iter().zip(&b.endpoints).collect());
        }
        if len_a * len_b > OBJECTS_MAX {
            let message = format!(
                "`pairs: all` of {len_a} and {len_b} ends makes more than {} links",
                thousands(OBJECTS_MAX)
            );
            self.error(Diagnostic::error(message, Some(b.span)));
            return None;
        }
        let mesh = a.ranged && b.ranged && same(&a.endpoints, &b.endpoints);
        let ends_of = |index: usize| &b.endpoints[if mesh { index + 1 } else { 0 }..];
        let product = a.endpoints.iter().enumerate();
        Some(product.flat_map(|(index, a)| ends_of(index).iter().map(move |b| (a, b))).collect())
    }

    /// Refuses what many links can't share: a name, a prefix.
    fn check_shared(&mut self, fields: &Fields<'_>, count: usize) {
        if count < 2 {
            return;
        }
        let hints = [
            ("name", "write a range as long, such as `uplink1..4`, or no name".to_owned()),
            (
                "prefix",
                format!(
                    "use `pool`, or a range of {count} prefixes, such as `10.0.1..{count}.0/24`"
                ),
            ),
        ];
        for (name, hint) in hints {
            let Some((_, value)) = fields.find(name) else { continue };
            if !has_range(value) {
                let message = format!("one `{name}` can't be that of {count} links");
                self.error(Diagnostic::error(message, Some(value.span)).hint(hint));
            }
        }
    }

    /// Reads the pool that the links of an entry share, and returns its index.
    fn pool(&mut self, fields: &Fields<'_>, links: &mut Links) -> Option<usize> {
        let (key, value) = fields.find("pool")?;
        if let Some((prefix, _)) = fields.find("prefix") {
            let error =
                Diagnostic::error("a link has a `prefix` or a `pool`, not both", Some(key.span));
            self.error(error.label(prefix.span, "the prefix"));
        }
        let prefixes = self.prefixes(value, "pool", None);
        if let [a, b, ..] = prefixes.as_slice()
            && (prefixes.len() > 2 || a.addr().is_ipv4() == b.addr().is_ipv4())
        {
            let message = "a pool has one prefix of each family at most";
            self.error(Diagnostic::error(message, Some(value.span)));
        }
        let origin = self.origin(key.span);
        links.pools.push(Pool { prefixes, origin });
        Some(links.pools.len() - 1)
    }

    fn link(
        &mut self,
        fields: &Fields<'_>,
        ends: [Endpoint; 2],
        pool: Option<usize>,
        (at, span): (At<'_>, Span),
    ) -> Link {
        let prefixes = fields.get("prefix").map(|value| self.prefixes(value, "prefix", at));
        let addressing = match (pool, prefixes) {
            (Some(pool), _) => Addressing::Pool(pool),
            (None, Some(prefixes)) => Addressing::Prefixes(prefixes),
            (None, None) => Addressing::Given,
        };
        let name = fields.get("name").and_then(|value| self.link_name(value, at));
        let gateway = fields.get("gateway").and_then(|value| self.node_of(value, "gateway", at));
        let trunk = fields.get("trunk").map(|value| self.vlans(value, at)).unwrap_or_default();
        let mtu = fields.get("mtu").and_then(|value| self.number(value, "mtu", at, MTU_BYTES));
        let cost =
            fields.get("cost").and_then(|value| self.number(value, "cost", at, (1, u32::MAX)));
        let named = fields.find("name").filter(|_| name.is_some());
        let origin = self.origin(named.map_or(span, |(_, value)| value.span));
        let (cable, tunnel) = match self.kind_of_link(fields, at) {
            Some(Tunnel { device, .. }) if device.spec.is_pair() => (Some(device), None),
            tunnel => (None, tunnel),
        };
        Link { name, ends, addressing, trunk, gateway, mtu, cost, cable, tunnel, origin }
    }

    /// Reads what a link is, where it is no veth pair.
    fn kind_of_link(&mut self, fields: &Fields<'_>, at: At<'_>) -> Option<Tunnel> {
        let Some((_, value)) = fields.find("kind") else {
            self.refuse_options(fields);
            if let Some((key, _)) = fields.find("over") {
                let error = Diagnostic::error("only a tunnel has `over`", Some(key.span));
                self.error(error.hint("add its `kind`"));
            }
            return None;
        };
        let spec = self.kind(value, at)?;
        if spec.is_pair() {
            if let Some((key, _)) = fields.find("over") {
                let error = Diagnostic::error("only a tunnel has `over`", Some(key.span));
                self.error(error.hint(format!("a {} is a cable of its own", spec.name)));
            }
            return Some(Tunnel { device: self.device(spec, fields, at), over: None });
        }
        for name in ["local", "remote", "dev"] {
            if let Some((key, _)) = fields.entries.iter().find(|(key, _)| key.text == name) {
                let message = format!("`{name}` follows from the nodes of the link");
                let hint = "`over` names the interface whose addresses it goes between";
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            }
        }
        let device = self.device(spec, fields, at);
        let over = fields.get("over").and_then(|value| self.text(value, "over", at));
        let over = over.and_then(|text| self.if_name(&text.text, text.span));
        Some(Tunnel { device, over })
    }

    fn link_name(&mut self, value: &Value, at: At<'_>) -> Option<String> {
        if at.is_some_and(|at| at.count > 1) && !has_range(value) {
            return None; // Reported by `check_shared`.
        }
        let text = self.text(value, "name", at)?;
        // A link's name stands where a node's may stand, in targets such as `vnet cut uplink`.
        self.node_name(&text.text, text.span).map(|name| name.to_string())
    }
}

/// Tells whether `b` is the next name of the range that `a` is of.
fn next(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let index = |entry: &Entry<'_>| entry.at().map(|at| at.index);
    index(b) == index(a).map(|index| index + 1)
}

/// Tells whether two ranges of ends are the same nodes.
fn same(a: &[Endpoint], b: &[Endpoint]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.node == b.node)
}

fn has_range(value: &Value) -> bool {
    match &value.data {
        Data::Text(text) => text.contains(".."),
        Data::List(items) => items.iter().all(has_range),
        _ => true,
    }
}
