//! Reads what decides about packets and is in no file: routes that nobody configured, policy rules,
//! filters, neighbours that somebody wrote, some sysctls.

use std::collections::BTreeMap;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::{Facts, IfName, NamespaceFacts, NsName};
use vnet_netlink::{Error as NetlinkError, Socket};

use super::{CHUNK, IPV6_FORWARDING, link, route};
use crate::error::Error;
use crate::nft;
use crate::realm::{Entry, Realm, SysctlAccess};

/// The rules that every namespace is born with, as priority and table (`fib_default_rules_init`,
/// net/ipv4/fib_rules.c; `fib6_rules_net_init`, net/ipv6/fib6_rules.c).
const BORN_RULES: [(u32, u32); 3] = [(0, 255), (32766, 254), (32767, 253)];

/// Sysctls of a namespace as a whole that decide about packets.
const KEYS: [&str; 4] = [
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv6.icmp.echo_ignore_all",
];

/// Reads facts about namespaces. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// It opens `/proc/sys` in each, which takes up to a millisecond where there are thousands.
///
/// # Errors
/// When a namespace can't be read; one that is not there is left out.
pub fn survey(realm: &Realm, names: &[NsName]) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    for chunk in names.chunks(CHUNK) {
        let mut requests = Vec::new();
        for (name, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
            let Entry::Namespace(mut opened) = entry else { continue };
            let failed = |source| Error::Netlink { doing: "survey", ns: name.clone(), source };
            let (found, names) = read(&mut opened.socket).map_err(failed)?;
            let own = names
                .values()
                .map(|dev| format!("net.ipv4.conf.{}.rp_filter", dev.as_str().replace('.', "/")));
            let keys = KEYS.iter().map(|key| (*key).to_owned()).chain(own);
            let mut accesses: Vec<SysctlAccess> = keys.map(SysctlAccess::Read).collect();
            accesses.push(SysctlAccess::Filters);
            requests.push((name.clone(), accesses));
            facts.namespaces.insert(name.clone(), found);
        }
        filters(realm, chunk, &mut facts)?;
        let answers = realm.sysctls(0, requests.clone())?;
        for ((name, accesses), values) in requests.into_iter().zip(answers) {
            let Some(found) = facts.namespaces.get_mut(&name) else { continue };
            for (access, value) in accesses.into_iter().zip(values) {
                match (access, value) {
                    (SysctlAccess::Read(key), Some(value)) => {
                        found.sysctls.insert(key, value);
                    }
                    (SysctlAccess::Filters, Some(list)) => {
                        found.filters = list.split(", ").map(str::to_owned).collect();
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(facts)
}

/// Reads the tables of nf_tables, whoever made them.
fn filters(realm: &Realm, names: &[NsName], facts: &mut Facts) -> Result<(), Error> {
    for (name, socket) in names.iter().zip(realm.netfilter_sockets(0, names)?) {
        let (Some(found), Ok(mut socket)) = (facts.namespaces.get_mut(name), socket) else {
            continue;
        };
        let failed = |source| Error::Netlink { doing: "read tables", ns: name.clone(), source };
        found.tables = nft::tables(&mut socket, nft::Which::All).map_err(failed)?;
    }
    Ok(())
}

fn read(socket: &mut Socket) -> Result<(NamespaceFacts, BTreeMap<u32, IfName>), NetlinkError> {
    let links = link::dump(socket, &|_| Vec::new())?;
    let names: BTreeMap<u32, IfName> =
        links.into_iter().map(|link| (link.index, link.name)).collect();
    let forwarding = if link::ipv6_forwarding(socket)? { "1" } else { "0" };
    let facts = NamespaceFacts {
        routes: route::derived(socket, &names)?,
        rules: rules(socket)?,
        neighbours: neighbours(socket, &names)?,
        filters: Vec::new(),
        tables: Vec::new(),
        indexes: names.iter().map(|(index, name)| (name.clone(), *index)).collect(),
        sysctls: [(IPV6_FORWARDING.to_owned(), forwarding.to_owned())].into(),
    };
    Ok((facts, names))
}

fn rules(socket: &mut Socket) -> Result<Vec<String>, NetlinkError> {
    let request = RouteNetlinkMessage::GetRule(RuleMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewRule(message) => rule(&message),
        _ => None,
    })
}

/// Says what a rule is, unless it is one that every namespace has.
fn rule(message: &RuleMessage) -> Option<String> {
    // Multicast routing has rules of its own.
    if !matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return None;
    }
    let mut table = u32::from(message.header.table);
    let mut priority = 0;
    let mut selects = message.header.src_len > 0 || message.header.dst_len > 0;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Table(found) => table = *found,
            RuleAttribute::Priority(found) => priority = *found,
            RuleAttribute::Source(_)
            | RuleAttribute::Destination(_)
            | RuleAttribute::Iifname(_)
            | RuleAttribute::Oifname(_)
            | RuleAttribute::FwMark(_) => selects = true,
            _ => {}
        }
    }
    let born = !selects && BORN_RULES.contains(&(priority, table));
    (!born).then(|| format!("{priority}: lookup {table}"))
}

/// Finds the neighbour entries that somebody wrote (NUD_PERMANENT).
fn neighbours(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<String>, NetlinkError> {
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => neighbour(&message, names),
        _ => None,
    })
}

fn neighbour(message: &NeighbourMessage, names: &BTreeMap<u32, IfName>) -> Option<String> {
    if message.header.state != NeighbourState::Permanent {
        return None;
    }
    let addr = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(addr)) => Some(addr.to_string()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(addr)) => Some(addr.to_string()),
        _ => None,
    })?;
    let dev = names.get(&message.header.ifindex)?;
    Some(format!("{addr} dev {dev}"))
}
