//! Reads the expressions of a rule: one function an expression.

use vnet_model::nft::{
    CmpOp, Counts, Ct, Data, Expr, Limit, Log, Meta, Named, Nat, PayloadBase, Reg, Reject, TableId,
    Verdict,
};
use vnet_netlink::Error;
use vnet_netlink::attr::{Attribute, Attributes, Writer};

use super::numbers::{data, expr, lookup, verdict};
use super::read::{text, u32_be};
use super::read_set::Sets;

/// Reads an expression. One that is not known, or of a form that is not, is [`Expr::Unknown`].
pub(super) fn expr(
    attributes: Attributes<'_>,
    table: &TableId,
    sets: &Sets,
) -> Result<Expr, Error> {
    let name = text(attributes, expr::NAME)?.unwrap_or_default();
    let found = attributes.find(expr::DATA)?;
    let data = found.map(|found| found.value).unwrap_or_default();
    let fields = Fields(Attributes::new(data));
    let known = match name.as_str() {
        "payload" => payload(fields)?,
        "meta" => meta(fields)?,
        "ct" => ct(fields)?,
        "fib" => fib(fields)?,
        "cmp" => cmp(fields)?,
        "range" => range(fields)?,
        "bitwise" => bitwise(fields)?,
        "lookup" => look_up(fields, table, sets)?,
        "immediate" => immediate(fields)?,
        "counter" => counter(fields)?,
        "limit" => limit(fields)?,
        "log" => log(fields)?,
        "reject" => reject(fields)?,
        "nat" => nat(fields)?,
        "masq" => masquerade(fields)?,
        "redir" => redirect(fields)?,
        _ => None,
    };
    Ok(match known {
        Some(known) => known,
        None => Expr::Unknown { data: compared(&name, fields)?, name },
    })
}

/// What of an unknown expression tells whether a rule is the same: what changes as packets pass
/// (`NFTA_QUOTA_CONSUMED`, all of `last`) is left out.
fn compared(name: &str, fields: Fields<'_>) -> Result<Data, Error> {
    const QUOTA_BYTES: u16 = 1;
    const QUOTA_FLAGS: u16 = 2;
    match name {
        "last" => only(fields.0, |_| false),
        "quota" => only(fields.0, |kind| matches!(kind, QUOTA_BYTES | QUOTA_FLAGS)),
        _ => only(fields.0, |_| true),
    }
}

/// The attributes of some kinds.
pub(super) fn only(attributes: Attributes<'_>, kept: impl Fn(u16) -> bool) -> Result<Data, Error> {
    let mut data = Vec::new();
    let mut writer = Writer::new(&mut data);
    for field in attributes {
        let field = field?;
        if kept(field.kind) {
            writer.bytes(field.kind, field.value);
        }
    }
    Ok(data.into())
}

/// The attributes of an expression.
#[derive(Clone, Copy)]
struct Fields<'a>(Attributes<'a>);

impl<'a> Fields<'a> {
    fn find(self, kind: u16) -> Result<Option<Attribute<'a>>, Error> {
        Ok(self.0.find(kind)?)
    }

    fn has(self, kind: u16) -> Result<bool, Error> {
        Ok(self.find(kind)?.is_some())
    }

    fn u32(self, kind: u16) -> Result<Option<u32>, Error> {
        u32_be(self.0, kind)
    }

    fn u64(self, kind: u16) -> Result<Option<u64>, Error> {
        Ok(self.find(kind)?.map(|found| found.u64_be()).transpose()?)
    }

    /// A value inside its own nest (`enum nft_data_attributes`).
    fn data(self, kind: u16) -> Result<Option<Data>, Error> {
        let Some(nest) = self.find(kind)? else { return Ok(None) };
        Ok(nest.nested().find(data::VALUE)?.map(|value| value.value.into()))
    }
}

/// `enum nft_payload_attributes`. One that writes to the packet has a source register.
fn payload(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(reg), Some(base)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    let (Some(offset), Some(len)) = (fields.u32(3)?, fields.u32(4)?) else { return Ok(None) };
    let base = match base {
        0 => PayloadBase::Link,
        1 => PayloadBase::Network,
        2 => PayloadBase::Transport,
        other => PayloadBase::Other(other),
    };
    Ok(Some(Expr::Payload { base, offset, len, reg }))
}

/// `enum nft_meta_attributes`. One that sets something has a source register.
fn meta(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (reg, key) = (fields.u32(1)?, fields.u32(2)?);
    Ok(reg.zip(key).map(|(reg, key)| Expr::Meta { key: Meta::from_number(key), reg }))
}

/// `enum nft_ct_attributes`. One that sets something has a source register.
fn ct(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(reg), Some(key)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    let dir = fields.find(3)?.map(|dir| dir.u8()).transpose()?;
    Ok(Some(Expr::Ct { key: Ct::from_number(key), dir, reg }))
}

/// `enum nft_fib_attributes`.
fn fib(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(reg), Some(result)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    Ok(fields.u32(3)?.map(|flags| Expr::Fib { result, flags, reg }))
}

/// `enum nft_cmp_attributes`.
fn cmp(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(reg), Some(op)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    let op = usize::try_from(op).ok().and_then(|op| CmpOp::ALL.get(op).copied());
    Ok(op.zip(fields.data(3)?).map(|(op, data)| Expr::Cmp { reg, op, data }))
}

/// `enum nft_range_attributes`.
fn range(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(reg), Some(op)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    let ends = fields.data(3)?.zip(fields.data(4)?);
    Ok(ends.map(|(from, to)| Expr::Range { reg, invert: op == 1, from, to }))
}

/// `enum nft_bitwise_attributes`; only `NFT_BITWISE_MASK_XOR` is known.
fn bitwise(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(from), Some(to)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    if fields.u32(6)?.is_some_and(|op| op != 0) {
        return Ok(None);
    }
    let operands = fields.data(4)?.zip(fields.data(5)?);
    Ok(operands.map(|(mask, xor)| Expr::Bitwise { from, to, mask, xor }))
}

/// One that looks up in a map has a destination register, be it that of the verdict.
fn look_up(fields: Fields<'_>, table: &TableId, sets: &Sets) -> Result<Option<Expr>, Error> {
    let Some(reg) = fields.u32(lookup::SREG)? else { return Ok(None) };
    let to = fields.u32(lookup::DREG)?;
    let name = text(fields.0, lookup::SET)?.unwrap_or_default();
    let invert = fields.u32(lookup::FLAGS)?.is_some_and(|flags| flags & 1 != 0);
    Ok(match (sets.get(table, &name), to) {
        (Some(Named::Set(set)), None) => Some(Expr::Lookup { reg, set: set.clone(), invert }),
        (Some(Named::Map(map)), None) => Some(Expr::Lookup { reg, set: map.keys.clone(), invert }),
        (Some(Named::Map(map)), Some(to)) => {
            let to = Some(to).filter(|to| *to != VERDICT_REG);
            Some(Expr::Map { reg, map: map.clone(), to })
        }
        _ => None,
    })
}

/// `NFT_REG_VERDICT`.
const VERDICT_REG: Reg = 0;

/// `enum nft_immediate_attributes`.
fn immediate(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let Some(reg) = fields.u32(1)? else { return Ok(None) };
    if reg != VERDICT_REG {
        return Ok(fields.data(2)?.map(|data| Expr::Immediate { reg, data }));
    }
    let Some(nest) = fields.find(2)? else { return Ok(None) };
    Ok(verdict(nest.nested())?.map(Expr::Verdict))
}

/// `enum nft_verdict_attributes`, inside the nest of a value.
pub(super) fn verdict(nest: Attributes<'_>) -> Result<Option<Verdict>, Error> {
    let Some(found) = nest.find(data::VERDICT)? else { return Ok(None) };
    let Some(code) = u32_be(found.nested(), data::VERDICT_CODE)? else { return Ok(None) };
    let chain = text(found.nested(), data::VERDICT_CHAIN)?.unwrap_or_default();
    Ok(Some(match code.cast_signed() {
        verdict::ACCEPT => Verdict::Accept,
        verdict::DROP => Verdict::Drop,
        verdict::CONTINUE => Verdict::Continue,
        verdict::RETURN => Verdict::Return,
        verdict::JUMP => Verdict::Jump(chain),
        verdict::GOTO => Verdict::Goto(chain),
        other => Verdict::Other(other),
    }))
}

/// `enum nft_counter_attributes`.
fn counter(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (bytes, packets) = (fields.u64(1)?, fields.u64(2)?);
    let (bytes, packets) = (bytes.unwrap_or_default(), packets.unwrap_or_default());
    Ok(Some(Expr::Counter(Counts { packets, bytes })))
}

/// `enum nft_limit_attributes`.
fn limit(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(rate), Some(seconds)) = (fields.u64(1)?, fields.u64(2)?) else { return Ok(None) };
    let burst = fields.u32(3)?.unwrap_or_default();
    let bytes = fields.u32(4)?.is_some_and(|kind| kind == 1);
    let over = fields.u32(5)?.is_some_and(|flags| flags & 1 != 0);
    Ok(Some(Expr::Limit(Limit { rate, seconds, burst, bytes, over })))
}

/// `enum nft_log_attributes`.
fn log(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let group = fields.find(1)?.map(|group| group.u16_be()).transpose()?;
    let prefix = text(fields.0, 2)?.unwrap_or_default();
    Ok(Some(Expr::Log(Log { prefix, group, level: fields.u32(5)? })))
}

/// `enum nft_reject_attributes`.
fn reject(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let code = fields.find(2)?.map(|code| code.u8()).transpose()?.unwrap_or_default();
    Ok(fields.u32(1)?.map(|kind| Expr::Reject(Reject { kind, code })))
}

/// `enum nft_nat_attributes`. The kernel reports the last of each even where none was given.
fn nat(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let (Some(kind), Some(family)) = (fields.u32(1)?, fields.u32(2)?) else { return Ok(None) };
    let (addr, port) = (fields.u32(3)?, fields.u32(5)?);
    let unless = |first: Option<Reg>, last: Option<Reg>| last.filter(|last| Some(*last) != first);
    Ok(Some(Expr::Nat(Nat {
        dnat: kind == 1,
        family,
        addr,
        addr_max: unless(addr, fields.u32(4)?),
        port,
        port_max: unless(port, fields.u32(6)?),
        // `NF_NAT_RANGE_MAP_IPS` and `_PROTO_SPECIFIED` follow from the registers.
        flags: fields.u32(7)?.unwrap_or_default() & !0b11,
    })))
}

/// `enum nft_masq_attributes`; with ports it is of a form that is not known.
fn masquerade(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    if fields.has(2)? {
        return Ok(None);
    }
    Ok(Some(Expr::Masquerade { flags: fields.u32(1)?.unwrap_or_default() }))
}

/// `enum nft_redir_attributes`.
fn redirect(fields: Fields<'_>) -> Result<Option<Expr>, Error> {
    let flags = fields.u32(3)?.unwrap_or_default() & !0b11;
    Ok(Some(Expr::Redirect { port: fields.u32(1)?, flags }))
}
