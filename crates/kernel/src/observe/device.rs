//! Options of interfaces of a kind, read back by the rows of the table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::Mac;
use vnet_model::kind::{Form, OptionSpec, Options, Value, Width};
use vnet_netlink::attr::{Attribute, Attributes};

/// What an option was found to be.
#[derive(Debug)]
pub(super) enum Found {
    /// This value.
    Value(Value),
    /// The interface with this index.
    Index(u32),
}

/// Reads those options of a table that are declared, from the nest that has them all; all where it
/// does not matter what is declared.
pub(super) fn read(
    table: &'static [OptionSpec],
    declared: Option<&Options>,
    data: Attributes<'_>,
) -> Vec<(&'static OptionSpec, Found)> {
    let wanted = |option: &&OptionSpec| declared.is_none_or(|all| all.get(option.word).is_some());
    let found = |option| Some((option, one(option, data)?));
    table.iter().filter(wanted).filter_map(found).collect()
}

/// Reads an option; `None` where the kernel does not say it, or says something else there.
fn one(option: &OptionSpec, data: Attributes<'_>) -> Option<Found> {
    let attribute = |kind: u16| data.find(kind).ok().flatten();
    let value = match option.form {
        Form::Flag => Value::Bool(attribute(option.attr).is_some()),
        Form::Switch { width, .. } => Value::Bool(number(attribute(option.attr)?, width)? != 0),
        Form::Number { width, .. } | Form::Choice { width, .. } => {
            Value::Number(number(attribute(option.attr)?, width)?)
        }
        Form::Tos => Value::Number(number(attribute(option.attr)?, Width::U8)?),
        Form::GreKey => Value::Number(number(attribute(option.attr)?, Width::Be32)?),
        Form::GreFlag(bit) => {
            let flags = number(attribute(option.attr)?, Width::Be16)?;
            Value::Bool(flags & u64::from(bit) != 0)
        }
        Form::VlanFlag(bit) => {
            let flags = attribute(option.attr)?.value.first_chunk::<4>()?;
            Value::Bool(u32::from_ne_bytes(*flags) & bit != 0)
        }
        Form::Ipv4 => ip(attribute(option.attr)?)?,
        Form::Ipv6 => ip(attribute(option.attr)?)?,
        Form::Address { v6 } => ip(attribute(option.attr).or_else(|| attribute(v6))?)?,
        Form::Interface { .. } => return attribute(option.attr)?.u32().ok().map(Found::Index),
        Form::Mac => Value::Mac(Mac(attribute(option.attr)?.array().ok()?)),
    };
    Some(Found::Value(value))
}

fn ip(attribute: Attribute<'_>) -> Option<Value> {
    let addr = match attribute.value.len() {
        4 => IpAddr::V4(Ipv4Addr::from(attribute.array::<4>().ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(attribute.array::<16>().ok()?)),
    };
    Some(Value::Ip(addr))
}

fn number(attribute: Attribute<'_>, width: Width) -> Option<u64> {
    let number = match width {
        Width::U8 => attribute.u8().map(u64::from),
        Width::U16 => attribute.u16().map(u64::from),
        Width::U32 => attribute.u32().map(u64::from),
        Width::U64 => attribute.u64(),
        Width::Be16 => attribute.u16_be().map(u64::from),
        Width::Be32 => attribute.u32_be().map(u64::from),
    };
    number.ok()
}
