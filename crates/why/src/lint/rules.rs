//! Rules of packet filters that are never reached: an earlier one decides about all their packets.

use vnet_model::nft::{CmpOp, Expr, PayloadBase, Rule, Verdict};

use super::Linter;

impl Linter<'_, '_> {
    pub(super) fn filters(&mut self) {
        for (ns, namespace) in &self.desired.state.namespaces {
            for chain in namespace.tables.values().flat_map(|table| &table.chains) {
                for (at, rule) in chain.rules.iter().enumerate() {
                    let earlier = chain.rules[..at].iter().find(|first| hides(first, rule));
                    let Some(first) =
                        earlier.filter(|first| first.origin.index() != rule.origin.index())
                    else {
                        continue;
                    };
                    let label = self.scene.label(ns);
                    let message = format!(
                        "no packet reaches this rule of {label}: one before it decides about all \
                         that it is for"
                    );
                    let lint = self.say("rule-never-reached", rule.origin, message);
                    lint.related = Some((first.origin, "this one decides".to_owned()));
                    lint.hint = Some("put the narrower rule first, or remove it".to_owned());
                }
            }
        }
    }
}

/// A test of a packet: what is loaded for it, and what that must be.
type Test<'r> = (Vec<&'r Expr>, &'r Expr);

/// Splits a rule into its tests; `None` where it does something that is not understood.
fn tests(rule: &Rule) -> Option<Vec<Test<'_>>> {
    let mut tests: Vec<Test<'_>> = Vec::new();
    let mut loads = Vec::new();
    for expr in &rule.exprs {
        match expr {
            Expr::Payload { .. }
            | Expr::Meta { .. }
            | Expr::Ct { .. }
            | Expr::Fib { .. }
            | Expr::Bitwise { .. } => loads.push(expr),
            Expr::Cmp { .. } | Expr::Range { .. } | Expr::Lookup { .. } => {
                // Two may test what was loaded once: both ends of a range.
                let loaded = match (loads.is_empty(), tests.last()) {
                    (true, Some((last, _))) => last.clone(),
                    _ => std::mem::take(&mut loads),
                };
                tests.push((loaded, expr));
            }
            Expr::Unknown { .. } | Expr::Map { .. } => return None,
            _ => {}
        }
    }
    Some(tests)
}

/// Tells whether the first rule decides about every packet that the second is for.
fn hides(first: &Rule, second: &Rule) -> bool {
    let decides = first.exprs.iter().any(|expr| match expr {
        Expr::Verdict(verdict) => matches!(verdict, Verdict::Accept | Verdict::Drop),
        Expr::Reject(_) | Expr::Nat(_) | Expr::Masquerade { .. } | Expr::Redirect { .. } => true,
        _ => false,
    });
    let is_limited = first.exprs.iter().any(|expr| matches!(expr, Expr::Limit(_)));
    let (Some(wide), Some(narrow)) = (tests(first), tests(second)) else { return false };
    let holds = |test: &Test<'_>| narrow.iter().any(|other| covers(test, other));
    decides && !is_limited && wide.iter().all(holds)
}

/// Tells whether a test holds wherever another does.
fn covers(wide: &Test<'_>, narrow: &Test<'_>) -> bool {
    if wide == narrow {
        return true;
    }
    if let (Some(wide), Some(narrow)) = (bits(wide), bits(narrow)) {
        return wide.covers(&narrow);
    }
    let Expr::Cmp { op: CmpOp::Eq, data: value, .. } = narrow.1 else { return false };
    wide.0 == narrow.0
        && match wide.1 {
            Expr::Cmp { op, data, .. } => op.holds(value, data),
            Expr::Range { invert, from, to, .. } => {
                (**from <= **value && **value <= **to) != *invert
            }
            Expr::Lookup { set, invert, .. } => set.contains(value) != *invert,
            _ => false,
        }
}

/// Bits of a packet that must have a value: a prefix of an address, say.
struct Bits {
    base: PayloadBase,
    offset: u32,
    mask: Vec<u8>,
    value: Vec<u8>,
}

fn bits((loads, test): &Test<'_>) -> Option<Bits> {
    let Expr::Cmp { op: CmpOp::Eq, data, .. } = test else { return None };
    let (base, offset, mask) = match loads.as_slice() {
        [Expr::Payload { base, offset, len, .. }] => (base, offset, vec![0xff; *len as usize]),
        [Expr::Payload { base, offset, .. }, Expr::Bitwise { mask, xor, .. }] => {
            let is_plain = xor.iter().all(|byte| *byte == 0);
            (base, offset, is_plain.then(|| mask.to_vec())?)
        }
        _ => return None,
    };
    let value = data.to_vec();
    (value.len() == mask.len()).then_some(Bits { base: *base, offset: *offset, mask, value })
}

impl Bits {
    fn covers(&self, narrow: &Self) -> bool {
        let same_place = self.base == narrow.base && self.offset == narrow.offset;
        let bytes = self.mask.iter().zip(&self.value).enumerate();
        same_place
            && bytes.into_iter().all(|(at, (mask, value))| {
                let known = narrow.mask.get(at).copied().unwrap_or(0);
                let byte = narrow.value.get(at).copied().unwrap_or(0);
                mask & known == *mask && byte & mask == *value
            })
    }
}
