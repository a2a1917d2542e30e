//! Rules, neighbours and nexthop objects as netlink messages.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange,
};
use vnet_model::{Entry, IfName, Neighbor, NexthopKind, NexthopObject, Rule, RuleAction};
use vnet_netlink::attr::Writer;
use vnet_netlink::{Batch, Flags, RawMessage};

use super::family;
use crate::encap;
use crate::error::Error;
use crate::nexthop::{
    NHA_BLACKHOLE, NHA_ENCAP, NHA_ENCAP_TYPE, NHA_GATEWAY, NHA_GROUP, NHA_ID, NHA_OIF,
    RTM_DELNEXTHOP, RTM_NEWNEXTHOP, RTNH_F_ONLINK,
};

/// Adds an entry, or puts it in the place of the one with its key.
///
/// # Errors
/// When `index` does not know an interface.
pub fn set_entry(
    batch: &mut Batch,
    entry: &Entry,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    match entry {
        Entry::Rule(rule) => {
            let message = RouteNetlinkMessage::NewRule(rule_message(rule));
            batch.push(&message, Flags::CREATE | Flags::EXCL);
        }
        Entry::Neighbor(neighbor) => {
            let message = neighbor_message(neighbor, index(&neighbor.dev)?);
            let message = RouteNetlinkMessage::NewNeighbour(message);
            batch.push(&message, Flags::CREATE | Flags::REPLACE);
        }
        Entry::Nexthop(object) => {
            let dev = object.dev().map(index).transpose()?;
            let message = nexthop(RTM_NEWNEXTHOP, |w| write_nexthop(w, object, dev));
            batch.push(&message, Flags::CREATE | Flags::REPLACE);
        }
        _ => {}
    }
    Ok(())
}

/// Removes an entry.
///
/// # Errors
/// As [`set_entry`].
pub fn del_entry(
    batch: &mut Batch,
    entry: &Entry,
    index: impl Fn(&IfName) -> Result<u32, Error>,
) -> Result<(), Error> {
    match entry {
        Entry::Rule(rule) => {
            batch.push(&RouteNetlinkMessage::DelRule(rule_message(rule)), Flags::NONE);
        }
        Entry::Neighbor(neighbor) => {
            let message = neighbor_message(neighbor, index(&neighbor.dev)?);
            batch.push(&RouteNetlinkMessage::DelNeighbour(message), Flags::NONE);
        }
        Entry::Nexthop(object) => {
            let message = nexthop(RTM_DELNEXTHOP, |w| {
                w.header(&[0; 8]).u32(NHA_ID, object.id);
            });
            batch.push(&message, Flags::NONE);
        }
        _ => {}
    }
    Ok(())
}

/// Ours are known by the protocol static: what a person adds with `ip rule` has boot.
fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let any: IpAddr = if rule.ipv6 {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    };
    message.header.family = family(any);
    message.header.action = match rule.action {
        RuleAction::Goto(_) => Action::Goto,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
        _ => Action::ToTable,
    };
    if rule.not {
        message.header.flags = RuleFlags::Invert;
    }
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::Static));
    if let Some(from) = rule.from {
        message.header.src_len = from.prefix_len();
        attributes.push(RuleAttribute::Source(from.addr()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        attributes.push(RuleAttribute::Destination(to.addr()));
    }
    attributes.extend(rule.iif.as_ref().map(|dev| RuleAttribute::Iifname(dev.to_string())));
    attributes.extend(rule.oif.as_ref().map(|dev| RuleAttribute::Oifname(dev.to_string())));
    if let Some((mark, mask)) = rule.fwmark {
        attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
    }
    attributes.extend(rule.ipproto.map(|number| RuleAttribute::IpProtocol(number.into())));
    let range = |(start, end)| RulePortRange { start, end };
    attributes.extend(rule.sport.map(|it| RuleAttribute::SourcePortRange(range(it))));
    attributes.extend(rule.dport.map(|it| RuleAttribute::DestinationPortRange(range(it))));
    let length = rule.suppress_prefixlength.map(u32::from);
    attributes.extend(length.map(RuleAttribute::SuppressPrefixLen));
    match rule.action {
        RuleAction::Table(table) => attributes.push(RuleAttribute::Table(table)),
        RuleAction::Goto(target) => attributes.push(RuleAttribute::Goto(target)),
        _ => {}
    }
    message
}

fn neighbor_message(neighbor: &Neighbor, index: u32) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(neighbor.addr);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    if neighbor.is_proxy() {
        message.header.flags = NeighbourFlags::Proxy;
    }
    message.attributes.push(NeighbourAttribute::Destination(neighbor.addr.into()));
    let lladdr = neighbor.lladdr.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.0.into()));
    message.attributes.extend(lladdr);
    message.attributes.push(NeighbourAttribute::Protocol(RouteProtocol::Static));
    message
}

fn nexthop(kind: u16, write: impl FnOnce(&mut Writer<'_>)) -> RawMessage {
    // 256 members take 2 kB, and nothing else is long.
    #[expect(clippy::unwrap_used, reason = "no attribute reaches 64 KiB")]
    RawMessage::new(kind, write).unwrap()
}

fn write_nexthop(writer: &mut Writer<'_>, object: &NexthopObject, dev: Option<u32>) {
    const AF_UNSPEC: u8 = 0;
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const RTPROT_STATIC: u8 = 4;
    let onlink = matches!(&object.kind, NexthopKind::Leg(leg) if leg.onlink);
    let family = match (&object.kind, object.ipv6) {
        (NexthopKind::Group(_), _) => AF_UNSPEC,
        (_, true) => AF_INET6,
        (_, false) => AF_INET,
    };
    let flags = if onlink { RTNH_F_ONLINK } else { 0 };
    // `struct nhmsg`, linux/nexthop.h.
    writer.header(&[family, 0, RTPROT_STATIC, 0]).header(&flags.to_ne_bytes());
    writer.u32(NHA_ID, object.id);
    match &object.kind {
        NexthopKind::Blackhole => drop(writer.flag(NHA_BLACKHOLE)),
        NexthopKind::Group(members) => {
            // `struct nexthop_grp`: the id, the weight less one, its high byte, two bytes of nothing.
            let member = |&(id, weight): &(u32, u16)| {
                let [low, high, ..] = u32::from(weight.saturating_sub(1)).to_le_bytes();
                let [a, b, c, d] = id.to_ne_bytes();
                [a, b, c, d, low, high, 0, 0]
            };
            let members: Vec<u8> = members.iter().flat_map(member).collect();
            writer.bytes(NHA_GROUP, &members);
        }
        NexthopKind::Leg(leg) => {
            if let Some(dev) = dev {
                writer.u32(NHA_OIF, dev);
            }
            match leg.via {
                Some(IpAddr::V4(via)) => drop(writer.bytes(NHA_GATEWAY, &via.octets())),
                Some(IpAddr::V6(via)) => drop(writer.bytes(NHA_GATEWAY, &via.octets())),
                None => {}
            }
            if let Some(tunnel) = &leg.encap {
                let (kind, value) = encap::write(tunnel);
                writer.u16(NHA_ENCAP_TYPE, kind);
                writer.bytes(NHA_ENCAP | vnet_netlink::attr::NESTED, &value);
            }
        }
    }
}
