//! Lays out the expressions of a rule: one function an expression, by the same numbers by which
//! [`read_expr`](super::read_expr) reads them.

use vnet_model::nft::{CmpOp, Counts, Data, Expr, Limit, Log, Nat, PayloadBase, Reg, Verdict};
use vnet_netlink::attr::Writer;

use super::numbers::{data, expr, verdict};

/// What a set without a name is called in a transaction: the kernel puts a number for the last part.
pub(super) const SET_NAME: &str = "__set%d";

/// Lays out an expression. Each lookup takes the next number of a set.
pub(super) fn expr(writer: &mut Writer<'_>, wanted: &Expr, sets: &mut impl Iterator<Item = u32>) {
    let name = name(wanted);
    let set = match wanted {
        Expr::Lookup { .. } => sets.next().unwrap_or_default(),
        _ => 0,
    };
    writer.text(expr::NAME, name).nest(expr::DATA, |fields| match wanted {
        Expr::Payload { base, offset, len, reg } => payload(fields, *base, *offset, *len, *reg),
        // `enum nft_meta_attributes`.
        Expr::Meta { key, reg } => numbers(fields, &[(1, *reg), (2, key.number())]),
        Expr::Ct { key, dir, reg } => {
            numbers(fields, &[(1, *reg), (2, key.number())]);
            if let Some(dir) = dir {
                fields.u8(3, *dir);
            }
        }
        Expr::Fib { result, flags, reg } => {
            numbers(fields, &[(1, *reg), (2, *result), (3, *flags)])
        }
        Expr::Cmp { reg, op, data } => cmp(fields, *reg, *op, data),
        Expr::Range { reg, invert, from, to } => {
            numbers(fields, &[(1, *reg), (2, u32::from(*invert))]);
            value(fields, 3, from);
            value(fields, 4, to);
        }
        Expr::Bitwise { from, to, mask, xor } => bitwise(fields, *from, *to, mask, xor),
        Expr::Lookup { reg, invert, .. } => {
            fields.text(1, SET_NAME);
            numbers(fields, &[(2, *reg), (4, set), (5, u32::from(*invert))]);
        }
        Expr::Immediate { reg, data } => {
            fields.u32_be(1, *reg);
            value(fields, 2, data);
        }
        Expr::Verdict(verdict) => decide(fields, verdict),
        Expr::Counter(Counts { packets, bytes }) => {
            fields.u64_be(1, *bytes).u64_be(2, *packets);
        }
        Expr::Limit(limit) => self::limit(fields, limit),
        Expr::Log(log) => self::log(fields, log),
        Expr::Reject(reject) => {
            fields.u32_be(1, reject.kind).u8(2, reject.code);
        }
        Expr::Nat(nat) => self::nat(fields, nat),
        Expr::Masquerade { flags } => optional(fields, 1, Some(*flags).filter(|flags| *flags != 0)),
        Expr::Redirect { port, flags } => {
            optional(fields, 1, *port);
            optional(fields, 3, Some(*flags).filter(|flags| *flags != 0));
        }
        // Maps come from texts alone, which the program `nft` writes: one has its name, or is refused.
        Expr::Map { reg, map, to } => {
            fields.text(1, map.keys.name.as_deref().unwrap_or_default());
            numbers(fields, &[(2, *reg), (3, to.unwrap_or_default())]);
        }
        Expr::Unknown { data, .. } => {
            // Attributes as they came.
            fields.header(data);
        }
        _ => {}
    });
}

/// The kernel's name of an expression.
pub(super) fn name(expr: &Expr) -> &str {
    match expr {
        Expr::Payload { .. } => "payload",
        Expr::Meta { .. } => "meta",
        Expr::Ct { .. } => "ct",
        Expr::Fib { .. } => "fib",
        Expr::Cmp { .. } => "cmp",
        Expr::Range { .. } => "range",
        Expr::Bitwise { .. } => "bitwise",
        Expr::Lookup { .. } | Expr::Map { .. } => "lookup",
        Expr::Immediate { .. } | Expr::Verdict(_) => "immediate",
        Expr::Counter(_) => "counter",
        Expr::Limit(_) => "limit",
        Expr::Log(_) => "log",
        Expr::Reject(_) => "reject",
        Expr::Nat(_) => "nat",
        Expr::Masquerade { .. } => "masq",
        Expr::Redirect { .. } => "redir",
        Expr::Unknown { name, .. } => name,
        _ => "",
    }
}

fn numbers(fields: &mut Writer<'_>, list: &[(u16, u32)]) {
    for (kind, number) in list {
        fields.u32_be(*kind, *number);
    }
}

fn optional(fields: &mut Writer<'_>, kind: u16, number: Option<u32>) {
    if let Some(number) = number {
        fields.u32_be(kind, number);
    }
}

fn value(fields: &mut Writer<'_>, kind: u16, bytes: &Data) {
    fields.nest(kind, |nest| {
        nest.bytes(data::VALUE, bytes);
    });
}

fn payload(fields: &mut Writer<'_>, base: PayloadBase, offset: u32, len: u32, reg: Reg) {
    let base = match base {
        PayloadBase::Link => 0,
        PayloadBase::Network => 1,
        PayloadBase::Transport => 2,
        PayloadBase::Other(other) => other,
    };
    numbers(fields, &[(1, reg), (2, base), (3, offset), (4, len)]);
}

fn cmp(fields: &mut Writer<'_>, reg: Reg, op: CmpOp, data: &Data) {
    let number = CmpOp::ALL.iter().zip(0..).find(|(known, _)| **known == op);
    numbers(fields, &[(1, reg), (2, number.map_or(0, |(_, number)| number))]);
    value(fields, 3, data);
}

fn bitwise(fields: &mut Writer<'_>, from: Reg, to: Reg, mask: &Data, xor: &Data) {
    let len = u32::try_from(mask.len()).unwrap_or(u32::MAX);
    numbers(fields, &[(1, from), (2, to), (3, len)]);
    value(fields, 4, mask);
    value(fields, 5, xor);
}

fn decide(fields: &mut Writer<'_>, wanted: &Verdict) {
    let (code, chain) = match wanted {
        Verdict::Accept => (verdict::ACCEPT, None),
        Verdict::Drop => (verdict::DROP, None),
        Verdict::Continue => (verdict::CONTINUE, None),
        Verdict::Return => (verdict::RETURN, None),
        Verdict::Jump(chain) => (verdict::JUMP, Some(chain)),
        Verdict::Goto(chain) => (verdict::GOTO, Some(chain)),
        Verdict::Other(code) => (*code, None),
    };
    fields.u32_be(1, 0).nest(2, |nest| {
        nest.nest(data::VERDICT, |verdict| {
            verdict.u32_be(data::VERDICT_CODE, code.cast_unsigned());
            if let Some(chain) = chain {
                verdict.text(data::VERDICT_CHAIN, chain);
            }
        });
    });
}

fn limit(fields: &mut Writer<'_>, limit: &Limit) {
    fields.u64_be(1, limit.rate).u64_be(2, limit.seconds);
    numbers(fields, &[(3, limit.burst), (4, u32::from(limit.bytes)), (5, u32::from(limit.over))]);
}

fn log(fields: &mut Writer<'_>, log: &Log) {
    if let Some(group) = log.group {
        fields.u16_be(1, group);
    }
    if !log.prefix.is_empty() {
        fields.text(2, &log.prefix);
    }
    optional(fields, 5, log.level);
}

fn nat(fields: &mut Writer<'_>, nat: &Nat) {
    numbers(fields, &[(1, u32::from(nat.dnat)), (2, nat.family)]);
    optional(fields, 3, nat.addr);
    optional(fields, 4, nat.addr_max);
    optional(fields, 5, nat.port);
    optional(fields, 6, nat.port_max);
    optional(fields, 7, Some(nat.flags).filter(|flags| *flags != 0));
}
