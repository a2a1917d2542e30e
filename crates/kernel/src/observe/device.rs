//! Options of interfaces of a kind, read back by the rows of the table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::Mac;
use vnet_model::kind::{FLOW_INHERIT, Form, OptionSpec, Options, Value, Width};
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
        Form::Flag => Value::Bool(attribute(option.attr).is_some_and(|found| found.value != [0])),
        Form::Switch { width, .. } => Value::Bool(number(attribute(option.attr)?, width)? != 0),
        Form::Number { width, .. } | Form::Choice { width, .. } => {
            Value::Number(number(attribute(option.attr)?, width)?)
        }
        Form::Tos => Value::Number(number(attribute(option.attr)?, Width::U8)?),
        Form::GreKey => {
            let key = |attr| number(attribute(attr)?, Width::Be32);
            Value::of_keys(key(option.attr)?, key(option.attr + 1)?)
        }
        Form::GreFlag(bit) => {
            let flags = number(attribute(option.attr)?, Width::Be16)?;
            Value::Bool(flags & u64::from(bit) != 0)
        }
        Form::Bit { bit, .. } => {
            // A VLAN with none of its flags does not say them (`vlan_fill_info`, net/8021q/vlan_netlink.c).
            let flags =
                attribute(option.attr).map_or(Some(&[0; 4]), |it| it.value.first_chunk())?;
            Value::Bool(u32::from_ne_bytes(*flags) & bit != 0)
        }
        Form::Ipv4 => ip(attribute(option.attr)?)?,
        Form::Ipv6 => ip(attribute(option.attr)?)?,
        Form::Address { v6 } => ip(attribute(option.attr).or_else(|| attribute(v6))?)?,
        Form::Interface { .. } => return attribute(option.attr)?.u32().ok().map(Found::Index),
        Form::Ports => {
            let [a, b, c, d] = attribute(option.attr)?.array().ok()?;
            let (first, last) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            // None are said: those of the machine.
            (last != 0).then(|| Value::Pair(first.into(), last.into()))?
        }
        Form::Flow { shift, max, flags, inherit } => {
            let is_inherited = number(attribute(flags)?, Width::U32)? & u64::from(inherit) != 0;
            let flow = number(attribute(option.attr)?, Width::Be32)?;
            Value::Number(if is_inherited { FLOW_INHERIT } else { flow >> shift & max })
        }
        Form::EncapLimit { flags, none } => {
            let is_none = number(attribute(flags)?, Width::U32)? & u64::from(none) != 0;
            let limit = number(attribute(option.attr)?, Width::U8)?;
            Value::Number(if is_none { FLOW_INHERIT } else { limit })
        }
        Form::Map { .. } | Form::Ipv4s | Form::Macs => {
            let nested = attribute(option.attr).map(|found| found.nested());
            let items = nested.into_iter().flatten().filter_map(|item| {
                let item = item.ok()?;
                match option.form {
                    Form::Ipv4s => ip(item),
                    Form::Macs => item.array().ok().map(|mac| Value::Mac(Mac(mac))),
                    _ => {
                        let [a, b, c, d, e, f, g, h] = item.array().ok()?;
                        let pair = [[a, b, c, d], [e, f, g, h]];
                        let [from, to] = pair.map(|it| u64::from(u32::from_ne_bytes(it)));
                        Some(Value::Pair(from, to))
                    }
                }
            });
            Value::List(items.collect())
        }
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
