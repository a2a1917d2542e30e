//! Rules, neighbours and nexthop objects, as the kernel tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::facts::PolicyRule;
use vnet_model::ipnet::IpNet;
use vnet_model::{
    Entry, IfName, Mac, Neighbor, NextHop, NexthopKind, NexthopObject, Origin, Rule, RuleAction,
};
use vnet_netlink::attr::Malformed;
use vnet_netlink::{Error, Message, RawMessage, Socket};

use crate::encap;
use crate::nexthop::{
    HEADER_BYTES, NHA_BLACKHOLE, NHA_ENCAP, NHA_ENCAP_TYPE, NHA_FDB, NHA_GATEWAY, NHA_GROUP,
    NHA_ID, NHA_OIF, RTM_GETNEXTHOP, RTNH_F_ONLINK,
};

/// The entries of a namespace.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Those of protocol static, as vnet makes them.
    pub(super) ours: BTreeSet<Entry>,
    /// What others made.
    pub(super) foreign: BTreeSet<Entry>,
    /// The rules that the namespace was born with and has no more.
    pub(super) lost: BTreeSet<Rule>,
}

/// Which entries are asked for: each kind costs a dump, so only where there may be some of ours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) rules: bool,
    /// Whether to look for the kernel's own rules that are missing.
    pub(super) lost: bool,
    pub(super) neighbors: bool,
    pub(super) nexthops: bool,
}

impl Wanted {
    /// Everything that one of these entries is of.
    pub(super) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut wanted = Self::default();
        for entry in entries {
            match entry {
                Entry::Rule(_) => wanted.rules = true,
                Entry::Neighbor(_) => wanted.neighbors = true,
                Entry::Nexthop(_) => wanted.nexthops = true,
                _ => {}
            }
        }
        wanted
    }

    pub(super) const ALL: Self = Self { rules: true, lost: true, neighbors: true, nexthops: true };
}

/// Reads the entries of the socket's namespace.
pub(super) fn read(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
    wanted: Wanted,
) -> Result<Entries, Error> {
    let mut all: Vec<(Entry, bool)> = Vec::new();
    let mut lost = BTreeSet::new();
    if wanted.rules || wanted.lost {
        let rules = dump_rules(socket)?;
        lost = lost_rules(&rules);
        if wanted.rules {
            all.extend(rules.into_iter().filter_map(rule));
        }
    }
    if wanted.neighbors {
        for flags in [NeighbourFlags::empty(), NeighbourFlags::Proxy] {
            let mut message = NeighbourMessage::default();
            message.header.flags = flags;
            let request = RouteNetlinkMessage::GetNeighbour(message);
            all.extend(super::dump(socket, &request, |message| match message {
                RouteNetlinkMessage::NewNeighbour(message) => neighbor(&message, names),
                _ => None,
            })?);
        }
    }
    if wanted.nexthops {
        let request = RawMessage::new(RTM_GETNEXTHOP, |w| {
            w.header(&[0; HEADER_BYTES]);
        })?;
        all.extend(socket.dump(&request, |message| Ok(nexthop(&message, names)?))?);
    }
    let mut entries = Entries { lost, ..Entries::default() };
    for (entry, ours) in all {
        if ours {
            entries.ours.insert(entry)
        } else {
            entries.foreign.insert(entry)
        };
    }
    Ok(entries)
}

/// Reads the nexthop objects of the socket's namespace, whoever made them.
pub(super) fn nexthops(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<NexthopObject>, Error> {
    let entries = read(socket, names, Wanted { nexthops: true, ..Wanted::default() })?;
    let all = entries.ours.into_iter().chain(entries.foreign);
    let object = |entry| match entry {
        Entry::Nexthop(object) => Some(object),
        _ => None,
    };
    Ok(all.filter_map(object).collect())
}

/// Finds the rules that the namespace was born with and has no more. A family without any rule does
/// not run.
fn lost_rules(found: &[ReadRule]) -> BTreeSet<Rule> {
    let runs = |ipv6: bool| found.iter().any(|read| read.policy.rule.ipv6 == ipv6);
    let is_there = |born: &PolicyRule| found.iter().any(|read| read.policy == *born);
    let lost =
        PolicyRule::born().into_iter().filter(|born| runs(born.rule.ipv6) && !is_there(born));
    lost.map(|born| born.rule).collect()
}

/// Tells what a rule is as an entry, and whether it is ours; none of the kernel's own, of which every
/// namespace has three, and one more with a VRF, nor one that was put back in the place of such.
fn rule(read: ReadRule) -> Option<(Entry, bool)> {
    if read.protocol == RouteProtocol::Kernel || PolicyRule::born().contains(&read.policy) {
        return None;
    }
    let PolicyRule { rule, tos, l3mdev, is_unread } = read.policy;
    // What no file can say makes it somebody else's.
    let known = tos == 0 && !l3mdev && !is_unread && !read.has_realm;
    Some(match known {
        true => (Entry::Rule(rule), read.protocol == RouteProtocol::Static),
        false => (Entry::Unknown(format!("rule with priority {}", rule.priority)), false),
    })
}

/// A rule with what does not decide about packets.
struct ReadRule {
    policy: PolicyRule,
    protocol: RouteProtocol,
    has_realm: bool,
}

/// Reads all policy rules of the socket's namespace, in the kernel's order; none where they are those
/// that it is born with.
pub(super) fn policy_rules(socket: &mut Socket) -> Result<Vec<PolicyRule>, Error> {
    let found: Vec<_> = dump_rules(socket)?.into_iter().map(|read| read.policy).collect();
    // Where IPv6 does not run it has no rules either.
    let born = PolicyRule::born();
    let is_of = |ipv6: bool, of: &[PolicyRule]| {
        of.iter().filter(|policy| policy.rule.ipv6 == ipv6).cloned().collect::<Vec<_>>()
    };
    let as_born = |ipv6: bool| {
        let of_family = is_of(ipv6, &found);
        of_family == is_of(ipv6, &born) || (ipv6 || found.is_empty()) && of_family.is_empty()
    };
    Ok(if as_born(false) && as_born(true) { Vec::new() } else { found })
}

fn dump_rules(socket: &mut Socket) -> Result<Vec<ReadRule>, Error> {
    let request = RouteNetlinkMessage::GetRule(RuleMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRule(message) => policy_rule(&message),
        _ => None,
    })
}

fn policy_rule(message: &RuleMessage) -> Option<ReadRule> {
    let header = &message.header;
    let ipv6 = match header.family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        // Multicast routing has rules of its own.
        _ => return None,
    };
    let mut rule = Rule::new(ipv6, 0, RuleAction::Table(header.table.into()));
    rule.not = header.flags.contains(RuleFlags::Invert);
    let any: IpAddr =
        if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let mut from = any;
    let mut to = any;
    let (mut mark, mut mask, mut target) = (0, None, 0);
    let mut protocol = RouteProtocol::Unspec;
    let (mut l3mdev, mut is_unread, mut has_realm) = (false, false, false);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(found) => rule.priority = *found,
            RuleAttribute::Protocol(found) => protocol = *found,
            RuleAttribute::Source(found) => from = *found,
            RuleAttribute::Destination(found) => to = *found,
            RuleAttribute::Iifname(found) => rule.iif = IfName::new(found).ok(),
            RuleAttribute::Oifname(found) => rule.oif = IfName::new(found).ok(),
            RuleAttribute::FwMark(found) => mark = *found,
            RuleAttribute::FwMask(found) => mask = Some(*found),
            RuleAttribute::IpProtocol(found) => rule.ipproto = Some(u8::from(*found)),
            RuleAttribute::SourcePortRange(found) => rule.sport = Some((found.start, found.end)),
            RuleAttribute::DestinationPortRange(found) => {
                rule.dport = Some((found.start, found.end));
            }
            // All bits set where there is no limit.
            RuleAttribute::SuppressPrefixLen(found) => {
                rule.suppress_prefixlength = u8::try_from(*found).ok();
            }
            RuleAttribute::Table(found) => rule.action = RuleAction::Table(*found),
            RuleAttribute::Goto(found) => target = *found,
            RuleAttribute::Realm(_) => has_realm = true,
            RuleAttribute::TunId(_) | RuleAttribute::UidRange(_) => is_unread = true,
            // All bits set where there is none.
            RuleAttribute::SuppressIfGroup(group) => is_unread |= *group != u32::MAX,
            RuleAttribute::L3MDev(on) => l3mdev = *on,
            _ => {}
        }
    }
    rule.from = IpNet::new(from, header.src_len).ok().filter(|net| net.prefix_len() > 0);
    rule.to = IpNet::new(to, header.dst_len).ok().filter(|net| net.prefix_len() > 0);
    rule.fwmark = mask.map(|mask| (mark, mask));
    match header.action {
        Action::ToTable => {}
        Action::Goto => rule.action = RuleAction::Goto(target),
        Action::Blackhole => rule.action = RuleAction::Blackhole,
        Action::Unreachable => rule.action = RuleAction::Unreachable,
        Action::Prohibit => rule.action = RuleAction::Prohibit,
        _ => is_unread = true,
    }
    let policy = PolicyRule { rule, tos: header.tos, l3mdev, is_unread };
    Some(ReadRule { policy, protocol, has_realm })
}

/// Reads whom interfaces of the socket's namespace answer for, whoever wrote that.
pub(super) fn proxied(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<(IfName, IpAddr)>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.flags = NeighbourFlags::Proxy;
    let request = RouteNetlinkMessage::GetNeighbour(message);
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => match neighbor(&message, names)?.0 {
            Entry::Neighbor(found) if found.is_proxy() => Some((found.dev, found.addr)),
            _ => None,
        },
        _ => None,
    })
}

/// Reads a neighbour that somebody wrote, or one that is answered for.
fn neighbor(message: &NeighbourMessage, names: &BTreeMap<u32, IfName>) -> Option<(Entry, bool)> {
    let proxy = message.header.flags.contains(NeighbourFlags::Proxy);
    if !proxy && message.header.state != NeighbourState::Permanent {
        return None;
    }
    let (mut addr, mut lladdr, mut protocol) = (None, None, RouteProtocol::Unspec);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => {
                addr = Some(IpAddr::from(*found));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => {
                addr = Some(IpAddr::from(*found));
            }
            NeighbourAttribute::LinkLayerAddress(found) => {
                lladdr = <[u8; 6]>::try_from(found.as_slice()).ok().map(Mac);
            }
            NeighbourAttribute::Protocol(found) => protocol = *found,
            _ => {}
        }
    }
    let (dev, addr) = (names.get(&message.header.ifindex)?.clone(), addr?);
    let ours = protocol == RouteProtocol::Static;
    if proxy == lladdr.is_some() {
        let text = format!("neighbor {addr} dev {dev}");
        return Some((Entry::Unknown(text), false));
    }
    Some((Entry::Neighbor(Neighbor { dev, addr, lladdr, origin: Origin::NONE }), ours))
}

fn nexthop(
    message: &Message<'_>,
    names: &BTreeMap<u32, IfName>,
) -> Result<Option<(Entry, bool)>, Malformed> {
    const AF_INET6: u8 = 10;
    const RTPROT_STATIC: u8 = 4;
    let attributes = message.attributes(HEADER_BYTES)?;
    let [family, _, protocol, _, flags @ ..] = message.payload else { return Ok(None) };
    let flags = flags.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    let ipv6 = *family == AF_INET6;
    let (mut id, mut dev, mut via, mut group) = (0, None, None, None);
    let (mut blackhole, mut known) = (false, true);
    let (mut tunnel, mut tunnel_kind) = (None, 0);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            NHA_ID => id = attribute.u32()?,
            NHA_OIF => dev = names.get(&attribute.u32()?).cloned(),
            NHA_GATEWAY if ipv6 => via = Some(IpAddr::from(attribute.array::<16>()?)),
            NHA_GATEWAY => via = Some(IpAddr::from(attribute.array::<4>()?)),
            NHA_BLACKHOLE => blackhole = true,
            NHA_GROUP => group = Some(members(attribute.value)),
            NHA_ENCAP_TYPE => tunnel_kind = attribute.u16()?,
            NHA_ENCAP => tunnel = Some(attribute.value),
            NHA_FDB => known = false,
            _ => {}
        }
    }
    let encap = tunnel.map(|bytes| encap::read(tunnel_kind, bytes));
    known &= encap != Some(None);
    let kind = match (group, dev) {
        (Some(members), _) => NexthopKind::Group(members),
        (None, _) if blackhole => NexthopKind::Blackhole,
        (None, Some(dev)) => {
            let onlink = flags & RTNH_F_ONLINK != 0;
            NexthopKind::Leg(NextHop { dev, via, weight: 1, onlink, encap: encap.flatten() })
        }
        (None, None) => return Ok(None),
    };
    // A group is of no family.
    let object = NexthopObject { id, ipv6, kind, origin: Origin::NONE };
    let ours = *protocol == RTPROT_STATIC;
    Ok(Some(match known {
        true => (Entry::Nexthop(object), ours),
        false => (Entry::Unknown(format!("nexthop id {id}")), false),
    }))
}

/// Reads an array of `struct nexthop_grp`.
fn members(bytes: &[u8]) -> Vec<(u32, u16)> {
    let members = bytes.chunks_exact(8);
    let mut members: Vec<(u32, u16)> = members
        .map(|m| {
            let id = u32::from_ne_bytes([m[0], m[1], m[2], m[3]]);
            (id, u16::from_le_bytes([m[4], m[5]]).saturating_add(1))
        })
        .collect();
    members.sort_unstable();
    members
}
