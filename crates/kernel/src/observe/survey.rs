//! Reads what decides about packets and is in no file: routes that nobody configured, policy rules,
//! filters, neighbours that somebody wrote, some sysctls.

mod below;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use vnet_model::apply::LOOPBACK;
use vnet_model::facts::{Apart, InterfaceFacts, Neighbour, Port};
use vnet_model::ipnet::IpNet;
use vnet_model::kind::Options;
use vnet_model::state::PortVlans;
use vnet_model::{Device, Facts, IfName, Interface, Kind, Mac, NamespaceFacts, NsName};
use vnet_netlink::{Error as NetlinkError, Socket};

use super::beyond::{ipsec_policies, traffic};
use super::link::Link;
use super::{CHUNK, IPV6_FORWARDING, address, bridging, entry, link, route};
use crate::error::Error;
use crate::nft;
use crate::realm::{Entry, Realm, SysctlAccess};

/// Sysctls of a namespace as a whole that decide about packets.
const KEYS: [&str; 3] =
    ["net.ipv4.ip_default_ttl", "net.ipv4.icmp_echo_ignore_all", "net.ipv6.icmp.echo_ignore_all"];

/// Sysctls that decide about packets in VRFs.
const VRF_KEYS: [&str; 2] = ["net.ipv4.tcp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept"];

/// Sysctls that say whether bridges hand what they pass on to chains of IP; there where the kernel has
/// `br_netfilter` (net/bridge/br_netfilter_hooks.c).
const BRIDGE_KEYS: [&str; 3] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-filter-vlan-tagged",
];

/// Sysctls of IPv4 on one interface, or on all.
const CONF_KEYS: [&str; 6] = [
    "rp_filter",
    "arp_ignore",
    "arp_filter",
    "proxy_arp",
    "route_localnet",
    "ignore_routes_with_linkdown",
];

/// Sysctls of IPv6 on one interface, or on all.
const CONF6_KEYS: [&str; 5] =
    ["mtu", "hop_limit", "force_forwarding", "proxy_ndp", "ignore_routes_with_linkdown"];

/// How often neighbours that are not known are asked for.
const SOLICIT: &str = "mcast_solicit";

pub use sockets::listeners;

/// Reads facts about namespaces. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// It opens `/proc/sys` in each, which takes up to a millisecond where there are thousands.
///
/// # Errors
/// When a namespace can't be read; one that is not there is left out.
pub fn survey(realm: &Realm, names: &[NsName]) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let mut standing = below::Standing::default();
    for chunk in names.chunks(CHUNK) {
        let mut requests = Vec::new();
        for (name, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
            let Entry::Namespace(mut opened) = entry else { continue };
            let failed = |source| Error::Netlink { doing: "survey", ns: name.clone(), source };
            let links = link::dump(&mut opened.socket, None).map_err(failed)?;
            standing.note(name, &links);
            let has_bridge = links.iter().any(Link::is_bridge);
            let (found, names) = read(&mut opened.socket, links).map_err(failed)?;
            let devs = || names.values().map(IfName::in_sysctls);
            let with_all = || devs().chain(["all".to_owned()]);
            let own = with_all()
                .flat_map(|dev| CONF_KEYS.map(|key| format!("net.ipv4.conf.{dev}.{key}")));
            let own_ipv6 = with_all()
                .flat_map(|dev| CONF6_KEYS.map(|key| format!("net.ipv6.conf.{dev}.{key}")));
            let solicit = devs().flat_map(|dev| {
                ["ipv4", "ipv6"].map(|family| format!("net.{family}.neigh.{dev}.{SOLICIT}"))
            });
            let of_vrfs = found.rules.iter().any(|policy| policy.l3mdev);
            let of_vrfs = VRF_KEYS.iter().filter(|_| of_vrfs);
            let of_bridges = BRIDGE_KEYS.iter().filter(|_| has_bridge);
            let keys = KEYS.iter().chain(of_vrfs).chain(of_bridges);
            let keys = keys.map(|key| (*key).to_owned()).chain(own).chain(own_ipv6).chain(solicit);
            let mut accesses: Vec<SysctlAccess> = keys.map(SysctlAccess::Read).collect();
            accesses.push(SysctlAccess::Filters);
            requests.push((name.clone(), accesses));
            facts.namespaces.insert(name.clone(), found);
        }
        filters(realm, chunk, &mut facts)?;
        for name in chunk {
            if let Some(found) = facts.namespaces.get_mut(name) {
                found.ipsec = ipsec_policies(realm, name)?;
            }
        }
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
    standing.find(realm, &mut facts)?;
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

/// How often the routes are looked at again of IPv6 addresses that have none, and how long lies between.
const UNROUTED_LOOKS: usize = 10;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(30);

fn read(
    socket: &mut Socket,
    links: Vec<Link>,
) -> Result<(NamespaceFacts, BTreeMap<u32, IfName>), NetlinkError> {
    let names: BTreeMap<u32, IfName> =
        links.iter().map(|link| (link.index, link.name.clone())).collect();
    let named = |is: fn(&Link) -> bool| -> BTreeSet<IfName> {
        links.iter().filter(|link| is(link)).map(|link| link.name.clone()).collect()
    };
    let quiet = named(|link| link.no_arp);
    let apart = links.iter().filter_map(|link| Some((link.name.clone(), link.apart?))).collect();
    let read = links.into_iter().map(|link| (link.name.clone(), link.into_interface(&names)));
    let read: BTreeMap<IfName, Interface> = read.collect();
    let has_bridge = read.values().any(|interface| interface.kind.is_bridge());
    let macs = read.values().filter_map(|interface| interface.mac).collect();
    let fdb = match has_bridge {
        true => bridging::bridge_entries(socket, &names, &macs)?,
        false => Vec::new(),
    };
    let forwarding = if link::ipv6_forwarding(socket)? { "1" } else { "0" };
    let Neighbours { written, learned, silent } = neighbours(socket, &names, &quiet)?;
    let Addresses { addresses, deprecated, scopes, all } = addresses(socket, &names)?;
    // Before the routes: that of an address comes when it may be used.
    let unusable = unusable(socket, &names)?;
    let derived = route::derived(socket, &names)?;
    let has =
        |derived: &route::Derived, addr: IpAddr| derived.own.iter().any(|own| own.contains(&addr));
    let is_used = |dev: &IfName, net: &IpNet| {
        let waits = unusable.iter().any(|(_, addr, _)| *addr == net.addr());
        read.get(dev).is_some_and(|interface| interface.up) && !waits
    };
    let used = all.iter().filter(|(dev, net)| is_used(dev, net)).map(|(_, net)| net.addr());
    let mut unrouted: Vec<IpAddr> = used.filter(|addr| !has(&derived, *addr)).collect();
    for _ in 0..UNROUTED_LOOKS {
        if !unrouted.iter().any(IpAddr::is_ipv6) {
            break;
        }
        // A moment after it may be, to be exact: when a worker gets to it (`addrconf_dad_work`,
        // net/ipv6/addrconf.c).
        std::thread::sleep(BETWEEN_LOOKS);
        let again = route::derived(socket, &names)?;
        unrouted.retain(|addr| !has(&again, *addr));
    }
    let facts = NamespaceFacts {
        routes: derived.routes,
        unrouted,
        scopes,
        sourced: derived.sourced,
        proxied: entry::proxied(socket, &names)?,
        losing: traffic::losing(socket, &names)?,
        ipsec: None,
        rules: entry::policy_rules(socket)?,
        neighbours: written,
        learned,
        addresses,
        deprecated,
        silent,
        learned_mtus: BTreeMap::new(),
        nexthops: entry::nexthops(socket, &names)?,
        unusable,
        ports: ports(socket, &names)?,
        interfaces: interfaces(socket, &names, read, (&quiet, &apart))?,
        fdb,
        listeners: None,
        filters: Vec::new(),
        tables: Vec::new(),
        indexes: names.iter().map(|(index, name)| (name.clone(), *index)).collect(),
        sysctls: [(IPV6_FORWARDING.to_owned(), forwarding.to_owned())].into(),
    };
    Ok((facts, names))
}

/// Finds what interfaces are set to: options of their kind and as ports, VLANs where a bridge keeps
/// them apart.
fn interfaces(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
    read: BTreeMap<IfName, Interface>,
    (quiet, apart): (&BTreeSet<IfName>, &BTreeMap<IfName, Apart>),
) -> Result<BTreeMap<IfName, InterfaceFacts>, NetlinkError> {
    let filters = |interface: &Interface| {
        interface.kind.device().is_some_and(|device| device.is_on("vlan_filtering"))
    };
    let mut vlans: BTreeMap<IfName, PortVlans> = match read.values().any(filters) {
        true => bridging::read_vlans(socket, names)?.into_iter().collect(),
        false => BTreeMap::new(),
    };
    let facts = |(name, interface): (IfName, Interface)| {
        // That of a pair without hardware addresses says nothing.
        let has_mac = |device: &Device| device.spec.is_pair() && device.has_own_mac();
        let may_ask = match &interface.kind {
            Kind::Device(device) => has_mac(device),
            kind => kind.is_pair(),
        };
        let no_arp = may_ask && quiet.contains(&name);
        let apart = apart.get(&name).copied();
        let options = match interface.kind {
            Kind::Device(device) => device.options,
            _ => Options::new(),
        };
        let (port, vlans) = (interface.port, vlans.remove(&name));
        let below = None;
        let facts = InterfaceFacts { options, port, vlans, no_arp, below, apart };
        (!facts.is_empty()).then_some((name, facts))
    };
    Ok(read.into_iter().filter_map(facts).collect())
}

/// The neighbour entries of a namespace.
#[derive(Default)]
struct Neighbours {
    written: Vec<Neighbour>,
    learned: Vec<Neighbour>,
    silent: Vec<(IfName, IpAddr)>,
}

/// Finds the neighbour entries that stay as somebody wrote them (NUD_PERMANENT, NUD_NOARP), those that were
/// learned, and those of neighbours that have not answered.
fn neighbours(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
    quiet: &BTreeSet<IfName>,
) -> Result<Neighbours, NetlinkError> {
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let all = super::dump(socket, &request, |message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => {
            Some((message.header.state, neighbour(&message, names)?))
        }
        _ => None,
    })?;
    let mut found = Neighbours::default();
    for (state, neighbour) in all {
        // Where nobody is asked the kernel makes such by itself (`arp_constructor`, net/ipv4/arp.c).
        let is_by_kernel = || quiet.contains(&neighbour.dev) || neighbour.dev.as_str() == LOOPBACK;
        match state {
            NeighbourState::Permanent => found.written.push(neighbour),
            NeighbourState::Noarp if !is_by_kernel() => found.written.push(neighbour),
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe => found.learned.push(neighbour),
            NeighbourState::Failed | NeighbourState::Incomplete => {
                found.silent.push((neighbour.dev, neighbour.addr));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The addresses of a namespace.
#[derive(Default)]
struct Addresses {
    /// Those of interfaces that have one with a lifetime.
    addresses: BTreeMap<IfName, Vec<IpNet>>,
    deprecated: Vec<IpAddr>,
    scopes: BTreeMap<IpAddr, u8>,
    all: Vec<(IfName, IpNet)>,
}

fn addresses(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Addresses, NetlinkError> {
    let all = address::dump_all(socket)?;
    let lasting: BTreeSet<u32> =
        all.iter().filter(|found| !found.is_permanent).map(|found| found.index).collect();
    let mut read = Addresses::default();
    for found in all {
        let net = found.address.net;
        if found.is_deprecated {
            read.deprecated.push(net.addr());
        }
        if net.addr().is_ipv4() && !net.addr().is_loopback() && found.scope != 0 {
            read.scopes.insert(net.addr(), found.scope);
        }
        let Some(name) = names.get(&found.index) else { continue };
        if lasting.contains(&found.index) {
            read.addresses.entry(name.clone()).or_default().push(net);
        }
        read.all.push((name.clone(), net));
    }
    Ok(read)
}

fn neighbour(message: &NeighbourMessage, names: &BTreeMap<u32, IfName>) -> Option<Neighbour> {
    let mut mac = None;
    let mut addr: Option<IpAddr> = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => {
                addr = Some((*found).into());
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => {
                addr = Some((*found).into());
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            _ => {}
        }
    }
    let dev = names.get(&message.header.ifindex)?.clone();
    Some(Neighbour { dev, addr: addr?, mac })
}

/// Finds the IPv6 addresses that another has too, or of which that is not known yet.
fn unusable(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<Vec<(IfName, IpAddr, bool)>, NetlinkError> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    super::dump(socket, &request, |message| {
        let RouteNetlinkMessage::NewAddress(message) = message else { return None };
        let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
        let mut addr = None;
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(found) => addr = Some(*found),
                AddressAttribute::Flags(found) => flags = *found,
                _ => {}
            }
        }
        // An optimistic address is used while it is tentative (RFC 4429).
        let failed = flags.contains(AddressFlags::Dadfailed);
        let waits =
            flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
        let dev = names.get(&message.header.index)?.clone();
        (failed || waits).then_some((dev, addr?, failed))
    })
}

/// Finds the ports of bridges that are blocked or isolated.
fn ports(
    socket: &mut Socket,
    names: &BTreeMap<u32, IfName>,
) -> Result<BTreeMap<IfName, Port>, NetlinkError> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let found = super::dump(socket, &request, |message| {
        let RouteNetlinkMessage::NewLink(message) = message else { return None };
        let name = names.get(&message.header.index)?.clone();
        let infos = message.attributes.iter().filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
        let mut data = infos.flatten().filter_map(|info| match info {
            LinkInfo::PortData(InfoPortData::BridgePort(data)) => Some(data),
            _ => None,
        });
        let mut port = Port { forwards: true, isolated: false };
        for option in data.next()? {
            match option {
                // A port that is down is disabled; when it comes up it learns for a while.
                InfoBridgePort::State(state) => {
                    port.forwards =
                        matches!(state, BridgePortState::Forwarding | BridgePortState::Disabled);
                }
                InfoBridgePort::Isolated(isolated) => port.isolated = *isolated,
                _ => {}
            }
        }
        (!port.forwards || port.isolated).then_some((name, port))
    })?;
    Ok(found.into_iter().collect())
}
