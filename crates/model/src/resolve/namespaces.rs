//! Namespaces and interfaces with their settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::network::Network;
use super::{external, fdb, vxlan};
use crate::kind::{self, Device, OptionSpec, Options, Value};
use crate::names::{IfName, Mark};
use crate::origin::{Origin, Origins};
use crate::state::{Address, End, IPV6_FORWARDING, Interface, Kind, Namespace, Owner, Queues};
use crate::topology::Node;
use crate::topology::wiring::{Made, PlaceKind, Wired};

/// Takes IPv6 off the interfaces that a namespace gets from now on.
const IPV6_OFF_DEFAULT: &str = "net.ipv6.conf.default.disable_ipv6";
/// Takes IPv6 off all interfaces that are there.
const IPV6_OFF_ALL: &str = "net.ipv6.conf.all.disable_ipv6";

/// Makes a namespace with its interfaces; routes come later.
pub(super) fn namespace(network: &Network<'_>, place: usize, lab_has_ipv6: bool) -> Namespace {
    let (name, origin) = match network.wiring.places[place].kind {
        PlaceKind::Node(node) => (&node.name, node.origin),
        PlaceKind::Segment(segment) => (&segment.name, segment.origin),
        PlaceKind::Host | PlaceKind::Unknown => (&network.wiring.places[place].name, Origin::NONE),
    };
    let ids = &network.wiring.places[place].interfaces;
    let interfaces = ids.iter().map(|&id| {
        let wired = &network.wiring.interfaces[id];
        (wired.name.clone(), interface(network, id))
    });
    Namespace {
        owner: Owner::Lab(Mark { lab: network.topology.name().clone(), node: name.clone() }),
        interfaces: interfaces.collect(),
        routes: BTreeSet::new(),
        entries: BTreeSet::new(),
        foreign: BTreeSet::new(),
        lost_rules: BTreeSet::new(),
        sysctls: sysctls(network, place, lab_has_ipv6),
        sysctl_origins: sysctl_origins(network, place),
        tables: BTreeMap::new(),
        nft_text: network.node(place).and_then(|node| node.nftables.clone()),
        origin,
    }
}

/// Makes what the links that end in the host have there. That it is the lab's, a further name says,
/// whatever happens to the record.
pub(super) fn host(network: &Network<'_>, place: usize) -> Namespace {
    let ids = network.wiring.places[place].interfaces.iter();
    let ids = ids.filter(|&&id| !network.wiring.interfaces[id].is_loopback());
    let interfaces = ids.map(|&id| {
        let mut end = interface(network, id);
        let name = &network.wiring.interfaces[id].name;
        end.altnames.insert(Mark::altname_of_end(network.topology.name(), name));
        (name.clone(), end)
    });
    Namespace {
        interfaces: interfaces.collect(),
        sysctls: interface_sysctls(network, place),
        sysctl_origins: sysctl_origins(network, place),
        ..external::empty_host()
    }
}

/// The sysctls of a namespace: what follows from its options, and over that what the file writes.
///
/// Few, because the first access to `/proc/sys` in a namespace is dear (28 µs in a lab of 100,
/// 807 µs in one of 4,000). IPv4 forwarding is set per interface by netlink for that reason; for
/// IPv6 there is no such way, so it is said only where the lab has any IPv6 address beside `::1`. That
/// it is off costs nothing: netlink tells it, and so it is in a new namespace.
fn sysctls(network: &Network<'_>, place: usize, lab_has_ipv6: bool) -> BTreeMap<String, String> {
    let mut sysctls = interface_sysctls(network, place);
    let mut say = |key: &str, value: &str| sysctls.insert(key.to_owned(), value.to_owned());
    match network.wiring.places[place].kind {
        PlaceKind::Node(node) => {
            if !node.ipv6 {
                say(IPV6_OFF_ALL, "1");
                say(IPV6_OFF_DEFAULT, "1");
            } else if lab_has_ipv6 {
                say(IPV6_FORWARDING, if network.forwards[place] { "1" } else { "0" });
            }
            // The kernel answers for IPv6 neighbours only where it is told to (`ndisc_recv_ns`,
            // net/ipv6/ndisc.c).
            let proxies = node.neighbors.iter().filter(|it| it.is_proxy() && it.addr.is_ipv6());
            for proxy in proxies {
                say(&format!("net.ipv6.conf.{}.proxy_ndp", proxy.dev.in_sysctls()), "1");
            }
            let written = node.sysctls.iter();
            sysctls.extend(written.map(|(key, sysctl)| (key.clone(), sysctl.value.clone())));
        }
        // Bridge and ports are wires: born without IPv6, they never speak for themselves.
        PlaceKind::Segment(_) => {
            say(IPV6_OFF_DEFAULT, "1");
        }
        PlaceKind::Host | PlaceKind::Unknown => {}
    }
    sysctls
}

fn interface(network: &Network<'_>, id: usize) -> Interface {
    let wired = &network.wiring.interfaces[id];
    let mut interface = Interface::new(kind_of(network, id));
    interface.up = wired.up();
    interface.mtu = network.mtus[id];
    interface.mac = network.macs[id];
    interface.alias = wired.alias().map(str::to_owned);
    interface.altnames = wired.full_name.iter().cloned().collect();
    interface.master = wired.master.map(|master| network.wiring.interfaces[master].name.clone());
    for options in &wired.options {
        interface.port.extend(&options.port);
    }
    interface.wireguard = network.wireguards[id].clone();
    interface.txqueuelen = wired.options.iter().find_map(|options| options.txqueuelen);
    interface.rps_cpus = wired.options.iter().find_map(|options| options.rps_cpus.clone());
    let queues = |of: fn(&Queues) -> Option<u32>| {
        wired.options.iter().find_map(|options| of(&options.queues))
    };
    interface.queues = Queues { tx: queues(|queues| queues.tx), rx: queues(|queues| queues.rx) };
    for options in wired.options.iter().rev() {
        interface.offload.extend(&options.offload);
    }
    interface.addresses = addresses(network, id);
    interface.origin = wired.origin;
    if let (false, Some(node)) = (wired.is_loopback(), network.node(wired.place)) {
        interface.forward_ipv4 = forward_ipv4(node, wired, network.forwards[wired.place]);
    }
    interface.ipv6 = ipv6(network, id);
    as_port(network, id, &mut interface);
    if let (Made::Tunnel(segment), None) = (wired.made, wired.device) {
        interface.fdb = Some(vxlan::fdb(network, segment, id));
    }
    let written = fdb::of(network, id);
    if !written.is_empty() {
        interface.fdb.get_or_insert_default().extend(written);
    }
    interface
}

/// Says what a port of a segment may do, and the VLANs of any bridge and its ports.
fn as_port(network: &Network<'_>, id: usize, interface: &mut Interface) {
    let wired = &network.wiring.interfaces[id];
    interface.vlans.clone_from(&wired.vlans);
    if let Some(option) = kind::BRIDGE.port_option("isolated").filter(|_| wired.isolated) {
        interface.port.set(option, Value::Bool(true));
    }
    if wired.master.is_some_and(|bridge| network.wiring.filters(bridge)) {
        interface.vlans = Some(network.wiring.port_vlans(id));
    }
}

fn kind_of(network: &Network<'_>, id: usize) -> Kind {
    if let Some(device) = &network.tunnels[id] {
        return Kind::Device(device.clone());
    }
    match network.wiring.interfaces[id].made {
        Made::Loopback => Kind::Loopback,
        Made::SegmentBridge(index) => {
            let segment = &network.topology.segments()[index];
            let mut bridge = Device::bridge(segment.stp);
            bridge.options.extend(&segment.bridge);
            Kind::Device(match network.wiring.filters(id) {
                true => bridge.with("vlan_filtering", Value::Bool(true)),
                false => bridge,
            })
        }
        // That nothing is known of one is a problem of its own, and reported.
        Made::NodeDevice => Kind::Device(
            network.wiring.interfaces[id].device.cloned().unwrap_or(Device::bridge(false)),
        ),
        Made::Vlan { segment, parent } => {
            let vid = Value::Number(network.wiring.vid(segment).into());
            let parent = network.wiring.interfaces[parent].name.clone();
            Kind::Device(Device::new(&kind::VLAN).with("id", vid).on(parent))
        }
        Made::Tunnel(segment) => Kind::Device(vxlan::device(network, segment, id)),
        Made::LinkEnd(_) | Made::Member(_) | Made::Port(_) => {
            let peer = network.peers[id].map(|peer| end(network, peer));
            match cable(network, id) {
                None => Kind::Veth { peer },
                Some(device) => Kind::Device(Device { peer, ..device }),
            }
        }
    }
}

/// Returns what an end of a link is whose cable is no veth pair. All options are said, so that it is
/// seen when somebody changes one.
fn cable(network: &Network<'_>, id: usize) -> Option<Device> {
    let Made::LinkEnd(link) = network.wiring.interfaces[id].made else { return None };
    let said = network.topology.links()[link].cable.as_ref()?;
    let default = |option: &'static OptionSpec| Some((option, option.default_value()?));
    let mut options: Options = said.spec.options.iter().filter_map(default).collect();
    options.extend(&said.options);
    if network.wiring.links[link][0] != id {
        options = kind::from_the_other_end(&options);
    }
    Some(Device { options, ..said.clone() })
}

/// Returns an interface as the kernel knows it.
pub(super) fn end(network: &Network<'_>, id: usize) -> End {
    let wired = &network.wiring.interfaces[id];
    End { ns: network.namespaces[wired.place].clone(), name: wired.name.clone() }
}

fn addresses(network: &Network<'_>, id: usize) -> Vec<Address> {
    let wired = &network.wiring.interfaces[id];
    let mut addresses = Vec::new();
    // The kernel gives them to it when it goes up.
    if wired.is_loopback() && wired.up() {
        addresses.push(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8)));
        if network.node(wired.place).is_none_or(loopback_has_ipv6) {
            addresses.push(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)));
        }
    }
    let mut addresses: Vec<Address> =
        addresses.into_iter().map(|net| Address { net, origin: wired.origin }).collect();
    for assigned in &network.addresses[id] {
        // The file may write the addresses that `lo` has anyway.
        if !addresses.iter().any(|address| address.net == assigned.net) {
            addresses.push(Address { net: assigned.net, origin: assigned.origin });
        }
    }
    addresses
}

/// Tells whether the kernel gives `lo` its `::1`: not where IPv6 is off, by option or sysctl.
fn loopback_has_ipv6(node: &Node) -> bool {
    let off = |key: &str| node.sysctls.get(key).is_some_and(|sysctl| sysctl.value == "1");
    node.ipv6 && !off(IPV6_OFF_ALL) && !off("net.ipv6.conf.lo.disable_ipv6")
}

/// Whether an interface forwards IPv4. It is always said, since the kernel lets a new namespace
/// inherit what the host does (`devinet_init_net`, net/ipv4/devinet.c); unless the file sets the
/// sysctl that says so.
fn forward_ipv4(node: &Node, wired: &Wired<'_>, forwards: bool) -> Option<bool> {
    let own = format!("net.ipv4.conf.{}.forwarding", wired.name.in_sysctls());
    let keys = [
        "net.ipv4.ip_forward",
        "net.ipv4.conf.all.forwarding",
        "net.ipv4.conf.default.forwarding",
        own.as_str(),
    ];
    let written = keys.iter().any(|key| node.sysctls.contains_key(*key))
        || wired.options.iter().any(|options| options.sysctls.contains_key("ipv4.forwarding"));
    (!written).then_some(forwards)
}

/// Whether IPv6 runs on an interface, where it is not left to the kernel: a bridge and its ports
/// are wires, not hosts, unless the file gives them an address.
fn ipv6(network: &Network<'_>, id: usize) -> Option<bool> {
    let wired = &network.wiring.interfaces[id];
    match network.node(wired.place) {
        _ if wired.is_loopback() => None,
        None if network.is_in_host(id) => wired.ipv6(),
        None => Some(false),
        Some(node) if !node.ipv6 => Some(false),
        Some(_) if wired.ipv6().is_some() => wired.ipv6(),
        Some(_) if wired.is_bridge() || network.is_wire(id) => {
            Some(!network.addresses[id].is_empty())
        }
        Some(_) => None,
    }
}

/// The sysctls that are said of interfaces, by their whole names.
fn interface_sysctls(network: &Network<'_>, place: usize) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for &id in &network.wiring.places[place].interfaces {
        let wired = &network.wiring.interfaces[id];
        for options in wired.options.iter().rev() {
            if let Some(on) = options.accept_ra {
                // Who forwards listens to others' advertisements only where told twice
                // (Documentation/networking/ip-sysctl.rst, "accept_ra").
                let value = match (on, network.forwards[place]) {
                    (false, _) => "0",
                    (true, false) => "1",
                    (true, true) => "2",
                };
                sysctls.insert(whole_name("ipv6.accept_ra", &wired.name), value.to_owned());
            }
            let written = options.sysctls.iter();
            let written = written.map(|(key, it)| (whole_name(key, &wired.name), it.value.clone()));
            sysctls.extend(written);
        }
    }
    sysctls
}

/// Notes which line of the file wrote each sysctl.
fn sysctl_origins(network: &Network<'_>, place: usize) -> Origins {
    let mut origins = Origins::default();
    for &id in &network.wiring.places[place].interfaces {
        let wired = &network.wiring.interfaces[id];
        for options in wired.options.iter().rev() {
            let written = options.sysctls.iter();
            written.for_each(|(key, it)| origins.insert(whole_name(key, &wired.name), it.origin));
        }
    }
    let of_node = network.node(place).into_iter().flat_map(|node| &node.sysctls);
    of_node.for_each(|(key, sysctl)| origins.insert(key.clone(), sysctl.origin));
    origins
}

/// Returns the whole name of a sysctl of an interface: `net.ipv4.conf.eth0.rp_filter` for
/// `ipv4.rp_filter`, `net.ipv4.neigh.eth0.delay_first_probe_time` for
/// `ipv4.neigh.delay_first_probe_time`.
pub(crate) fn whole_name(key: &str, dev: &IfName) -> String {
    let (protocol, rest) = key.split_once('.').unwrap_or((key, ""));
    let (folder, rest) = match rest.strip_prefix("neigh.") {
        Some(rest) => ("neigh", rest),
        None => ("conf", rest),
    };
    format!("net.{protocol}.{folder}.{}.{rest}", dev.in_sysctls())
}

/// Tells whether the lab has IPv6 addresses, beside `::1`.
pub(super) fn has_ipv6(network: &Network<'_>) -> bool {
    let mut addresses = network.addresses.iter().flatten().map(|address| address.net.addr());
    addresses.any(|addr| matches!(addr, IpAddr::V6(addr) if !addr.is_loopback()))
}
