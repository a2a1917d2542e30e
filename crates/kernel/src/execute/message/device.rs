//! Interfaces of a kind of the table as netlink messages.
//!
//! Laid out attribute by attribute from the table's rows: no codec knows them all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use vnet_model::kind::{Device, FLOW_INHERIT, Form, KindSpec, OptionSpec, Options, Value, Width};
use vnet_model::{IfName, LinkSetting};
use vnet_netlink::attr::Writer;
use vnet_netlink::{Batch, Flags};

use super::Birth;
use crate::error::Error;

const RTM_NEWLINK: u16 = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

/// The other end of a pair: `VETH_INFO_PEER` (linux/veth.h), `IFLA_NETKIT_PEER_INFO` (linux/if_link.h).
const PEER_INFO: u16 = 1;

/// Key and flags of GRE (linux/if_tunnel.h): what comes in, and what goes out.
const IFLA_GRE_IFLAGS: u16 = 2;
const IFLA_GRE_OFLAGS: u16 = 3;
const GRE_KEY: u16 = 0x2000;

/// Makes an interface of a kind; in another namespace than the socket's where one is given: what it
/// stands on is in the socket's.
///
/// # Errors
/// When `index` does not know an interface that it needs.
pub fn add_device(
    batch: &mut Batch,
    this: &Birth<'_>,
    device: &Device,
    there: Option<&OwnedFd>,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let lower = device.lower.as_ref().or(device.host_lower.as_ref());
    let lower = lower.map(&index).transpose()?;
    let mut options = Resolved::of(device.spec.options, &device.options, index)?;
    options.unsaid = device.spec.unsaid;
    batch.push_raw(RTM_NEWLINK, Flags::CREATE | Flags::EXCL, |writer| {
        born(writer, this);
        if let Some(lower) = lower {
            writer.u32(IFLA_LINK, lower);
        }
        if let Some(ns) = there {
            writer.i32(IFLA_NET_NS_FD, ns.as_raw_fd());
        }
        writer.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, device.spec.name);
            options.write(info, IFLA_INFO_DATA);
        });
    });
    Ok(())
}

/// Makes a pair, both ends born where they live: of veth, where nothing else is said.
pub fn add_pair(
    batch: &mut Batch,
    device: Option<&Device>,
    (this, that): (&Birth<'_>, &Birth<'_>),
    there: &OwnedFd,
) {
    batch.push_raw(RTM_NEWLINK, Flags::CREATE | Flags::EXCL, |writer| {
        born(writer, this);
        writer.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, device.map_or("veth", |device| device.spec.name));
            info.nest(IFLA_INFO_DATA, |data| {
                let options = device.into_iter().flat_map(|it| it.options.of(it.spec.options));
                options.for_each(|(option, value)| write_one(data, option, value, 0));
                data.nest(PEER_INFO, |peer| {
                    born(peer, that);
                    peer.i32(IFLA_NET_NS_FD, there.as_raw_fd());
                });
            });
        });
    });
}

/// What is said of any interface that is made.
fn born(writer: &mut Writer<'_>, this: &Birth<'_>) {
    header(writer, this.index);
    writer.text(IFLA_IFNAME, this.name.as_str());
    if let Some(mac) = this.mac {
        writer.bytes(IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = this.mtu {
        writer.u32(IFLA_MTU, mtu);
    }
    let queues = [(IFLA_NUM_TX_QUEUES, this.queues.tx), (IFLA_NUM_RX_QUEUES, this.queues.rx)];
    for (attr, count) in queues {
        count.map(|count| writer.u32(attr, count));
    }
}

/// Changes options of an interface, or of a port.
///
/// # Errors
/// As [`add_device`].
pub fn set_options(
    batch: &mut Batch,
    this: u32,
    (spec, port): (&'static KindSpec, bool),
    (set, rest): (&Options, &Options),
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    let mut all = rest.clone();
    all.extend(set);
    let mut options = Resolved::of(LinkSetting::table(spec, port), &all, index)?;
    options.unsaid = if port { &[] } else { spec.unsaid };
    let (kind, data) = match port {
        true => (IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA),
        false => (IFLA_INFO_KIND, IFLA_INFO_DATA),
    };
    // RTM_SETLINK takes no notice of what only a kind of interface has (`do_setlink`,
    // net/core/rtnetlink.c).
    batch.push_raw(RTM_NEWLINK, Flags::NONE, |writer| {
        header(writer, this);
        writer.nest(IFLA_LINKINFO, |info| {
            info.text(kind, spec.name);
            options.write(info, data);
        });
    });
    Ok(())
}

/// `struct ifinfomsg` with nothing but an index.
fn header(writer: &mut Writer<'_>, index: u32) {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    writer.header(&header);
}

/// Options whose interfaces are known by index.
struct Resolved<'a> {
    said: Vec<(&'static OptionSpec, &'a Value, u32)>,
    /// [`KindSpec::unsaid`].
    unsaid: &'static [(u16, u8)],
}

impl<'a> Resolved<'a> {
    fn of(
        table: &'static [OptionSpec],
        options: &'a Options,
        index: impl Fn(&IfName) -> Result<u32, Error>,
    ) -> Result<Self, Error> {
        let resolve = |(option, value): (&'static OptionSpec, &'a Value)| {
            let index = match value {
                Value::Interface(name) => index(name)?,
                _ => 0,
            };
            Ok((option, value, index))
        };
        let said = options.of(table).map(resolve).collect::<Result<_, Error>>()?;
        Ok(Self { said, unsaid: &[] })
    }

    /// Writes the nest of options, if there is something to say.
    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        let is_said = |attr: u16| self.said.iter().any(|(option, ..)| option.attr == attr);
        let mut unsaid = self.unsaid.iter().filter(|(attr, _)| !is_said(*attr)).peekable();
        if self.said.is_empty() && unsaid.peek().is_none() {
            return;
        }
        writer.nest(kind, |data| {
            for (attr, value) in unsaid {
                data.u8(*attr, *value);
            }
            let (mut gre, mut v6) = (None, None);
            let mut bits = BTreeMap::new();
            for (option, value, index) in &self.said {
                match (option.form, *value) {
                    (Form::GreFlag(bit), Value::Bool(on)) => {
                        let flags = gre.get_or_insert([0; 2]);
                        flags.iter_mut().for_each(|it| *it |= if *on { bit } else { 0 });
                    }
                    (Form::GreKey, Value::Number(_) | Value::Pair(..)) => {
                        let (Value::Number(ikey) | Value::Pair(ikey, _)) = *value else { continue };
                        let (Value::Number(okey) | Value::Pair(_, okey)) = *value else { continue };
                        let keys = [(option.attr, *ikey), (option.attr + 1, *okey)];
                        for (flags, (attr, key)) in gre.get_or_insert([0; 2]).iter_mut().zip(keys) {
                            // A key of 0 stands for none: with the flag it would be one.
                            *flags |= if key == 0 { 0 } else { GRE_KEY };
                            data.u32_be(attr, key as u32);
                        }
                    }
                    (Form::Bit { bit, .. }, Value::Bool(on)) => {
                        let (flags, mask) = bits.entry(option.attr).or_insert((0, 0));
                        *flags |= if *on { bit } else { 0 };
                        *mask |= bit;
                    }
                    (Form::Flow { shift, flags, inherit, .. }, Value::Number(value)) => {
                        let v6 = v6.get_or_insert(V6 { flags: (flags, 0), flow: None });
                        let flow = v6.flow.get_or_insert((option.attr, 0));
                        match *value {
                            FLOW_INHERIT => v6.flags.1 |= inherit,
                            value => flow.1 |= (value as u32) << shift,
                        }
                    }
                    (Form::EncapLimit { flags, none }, Value::Number(value)) => {
                        let v6 = v6.get_or_insert(V6 { flags: (flags, 0), flow: None });
                        match *value {
                            // As `ip` says it beside.
                            FLOW_INHERIT => {
                                v6.flags.1 |= none;
                                data.u8(option.attr, ENCAP_LIMIT);
                            }
                            value => drop(data.u8(option.attr, value as u8)),
                        }
                    }
                    (_, value) => write_one(data, option, value, *index),
                }
            }
            if let Some(flags) = gre {
                data.u16_be(IFLA_GRE_IFLAGS, flags[0]);
                data.u16_be(IFLA_GRE_OFLAGS, flags[1]);
            }
            for (attr, (flags, mask)) in bits {
                data.bytes(attr, &[flags.to_ne_bytes(), mask.to_ne_bytes()].concat());
            }
            if let Some(V6 { flags: (attr, flags), flow }) = v6 {
                data.u32(attr, flags);
                flow.map(|(attr, flow)| data.u32_be(attr, flow));
            }
        });
    }
}

/// What is said of the header of IPv6, each with its attribute.
struct V6 {
    flags: (u16, u32),
    flow: Option<(u16, u32)>,
}

/// What is done with the addresses of a macvlan (`IFLA_MACVLAN_MACADDR_MODE`).
const MACADDR_MODE: u16 = 3;

/// `IPV6_DEFAULT_TNL_ENCAP_LIMIT` (linux/ip6_tunnel.h).
const ENCAP_LIMIT: u8 = 4;

#[expect(clippy::cast_possible_truncation, reason = "the forms' bounds are within the width")]
fn write_one(data: &mut Writer<'_>, option: &OptionSpec, value: &Value, index: u32) {
    let attr = option.attr;
    match (option.form, value) {
        (Form::Flag, Value::Bool(true)) => {
            data.flag(attr);
        }
        (Form::Switch { width, .. }, Value::Bool(on)) => number(data, attr, width, (*on).into()),
        (Form::Number { width, .. } | Form::Choice { width, .. }, Value::Number(value)) => {
            number(data, attr, width, *value);
        }
        (Form::Tos, Value::Number(value)) => number(data, attr, Width::U8, *value),
        (_, Value::Ip(IpAddr::V4(addr))) => {
            data.bytes(attr, &addr.octets());
        }
        (Form::Address { v6 }, Value::Ip(IpAddr::V6(addr))) => {
            data.bytes(v6, &addr.octets());
        }
        (_, Value::Ip(IpAddr::V6(addr))) => {
            data.bytes(attr, &addr.octets());
        }
        (_, Value::Interface(_)) | (Form::Interface { .. }, Value::Number(0)) => {
            data.u32(attr, index);
        }
        (Form::Ports, Value::Pair(first, last)) => {
            let [first, last] = [*first, *last].map(|port| (port as u16).to_be_bytes());
            data.bytes(attr, &[first, last].concat());
        }
        (Form::Macs, Value::List(items)) if items.is_empty() => {
            // `MACVLAN_MACADDR_FLUSH` (linux/if_link.h).
            data.u32(MACADDR_MODE, 2);
        }
        (Form::Macs, Value::List(items)) => {
            // `IFLA_MACVLAN_MACADDR`, `MACVLAN_MACADDR_SET`.
            const ONE: u16 = 4;
            data.u32(MACADDR_MODE, 3);
            data.nest(attr, |nest| {
                for item in items {
                    if let Value::Mac(mac) = item {
                        nest.bytes(ONE, &mac.0);
                    }
                }
            });
        }
        // Of a map that says nothing.
        (Form::Map { .. }, Value::List(items)) if items.is_empty() => {}
        (_, Value::List(items)) => {
            /// `IFLA_VLAN_QOS_MAPPING`.
            const MAPPING: u16 = 1;
            data.nest(attr, |nest| {
                for (number, item) in (0u16..).zip(items) {
                    match item {
                        Value::Ip(IpAddr::V4(addr)) => drop(nest.bytes(number, &addr.octets())),
                        Value::Pair(from, to) => {
                            let pair = [*from, *to].map(|it| (it as u32).to_ne_bytes());
                            nest.bytes(MAPPING, &pair.concat());
                        }
                        _ => {}
                    }
                }
            });
        }
        (_, Value::Mac(mac)) => {
            data.bytes(attr, &mac.0);
        }
        // An attribute that is not there says that the flag is off.
        _ => {}
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the table's bounds are within the width")]
fn number(data: &mut Writer<'_>, attr: u16, width: Width, value: u64) {
    match width {
        Width::U8 => data.u8(attr, value as u8),
        Width::U16 => data.u16(attr, value as u16),
        Width::U32 => data.u32(attr, value as u32),
        Width::U64 => data.u64(attr, value),
        Width::Be16 => data.u16_be(attr, value as u16),
        Width::Be32 => data.u32_be(attr, value as u32),
    };
}
