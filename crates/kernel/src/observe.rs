//! Reads namespaces into a `State`: what exists is what the kernel says exists.

mod address;
mod beyond;
mod bridging;
mod device;
mod entry;
pub mod fates;
mod features;
pub(crate) mod filters;
mod host;
mod link;
mod own;
mod peers;
mod route;
pub mod survey;
mod tables;
mod whole;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::NetlinkSerializable;
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use vnet_model::{
    IfName, Interface, Interfaces, Kind, LabName, Mac, Mark, Namespace, NsName, Owner, State,
};
use vnet_netlink::{Error as NetlinkError, Message, Socket};

use crate::error::Error;
use crate::realm::{Entry, Opened, Realm, SysctlAccess};
use crate::socket::SocketKind;
use link::{Link, Place};

/// How many namespaces are open at a time in each thread.
const CHUNK: usize = 32;

/// Fewer namespaces than this are read sooner by one thread than another one is started: reading one
/// takes 0.2 ms.
const WORTH_A_THREAD: usize = 3;

/// The sysctl that netlink can tell, so that `/proc/sys` need not be asked.
const IPV6_FORWARDING: &str = "net.ipv6.conf.all.forwarding";

/// What to look at, and what is known before.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The lab whose namespaces are read whole; of others only the owner is told.
    pub lab: &'a LabName,
    /// What is declared: says which sysctls to read. An interface of a declared hardware address is
    /// the lab's own too, in a namespace that is: so a file that writes addresses does without the
    /// record.
    pub declared: &'a State,
    /// What was declared when the lab was last changed, and before: interfaces in it are the lab's
    /// own, even where their hardware address does not say so.
    pub recorded: Option<&'a [&'a State]>,
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The namespaces of the lab, whole; every other pin with its owner alone, where its name is
    /// one that the lab declares.
    pub state: State,
    /// The index of each interface.
    pub indexes: BTreeMap<NsName, Indexes>,
}

/// The interface indexes of one namespace.
#[derive(Debug, Clone, Default)]
pub struct Indexes {
    by_name: BTreeMap<IfName, u32>,
    highest: u32,
}

impl Indexes {
    /// Makes the table of a new namespace, where `lo` has index 1 (`LOOPBACK_IFINDEX`).
    #[must_use]
    pub fn of_new_namespace() -> Self {
        Self { by_name: BTreeMap::new(), highest: 1 }
    }

    /// Returns the index of an interface.
    #[must_use]
    pub fn get(&self, name: &IfName) -> Option<u32> {
        match name.as_str() {
            vnet_model::apply::LOOPBACK => Some(1),
            _ => self.by_name.get(name).copied(),
        }
    }

    /// Lists the interfaces with their indexes.
    pub fn iter(&self) -> impl Iterator<Item = (&IfName, u32)> {
        self.by_name.iter().map(|(name, index)| (name, *index))
    }

    /// Notes the index of an interface.
    pub fn insert(&mut self, name: IfName, index: u32) {
        self.highest = self.highest.max(index);
        self.by_name.insert(name, index);
    }

    /// Chooses an index for a new interface: one above all that were ever seen here.
    pub fn assign(&mut self, name: IfName) -> u32 {
        self.insert(name, self.highest + 1);
        self.highest
    }

    /// Leaves this many indexes to others, who make interfaces here at the same time.
    pub fn leave_room(&mut self, count: u32) {
        self.highest += count;
    }

    /// Forgets an interface that is gone.
    pub fn remove(&mut self, name: &IfName) {
        self.by_name.remove(name);
    }
}

/// Reads all namespaces of a lab. CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// # Errors
/// When the folder of pins or a namespace can't be read. A namespace that goes away meanwhile is
/// no error: it is not there.
pub fn observe(realm: &Realm, scope: Scope<'_>) -> Result<Observed, Error> {
    let mut names = realm.names()?;
    if host::is_asked_for(scope) {
        names.push(NsName::host());
    }
    observe_some(realm, scope, &names)
}

/// Reads those of a lab's namespaces that have one of these names. Of a veth that leads to a
/// namespace beyond them the other end is not told.
///
/// # Errors
/// As [`observe`].
pub fn observe_some(realm: &Realm, scope: Scope<'_>, names: &[NsName]) -> Result<Observed, Error> {
    let share = names.len().div_ceil(realm.width().max(1)).clamp(WORTH_A_THREAD, CHUNK);
    let chunks: Vec<&[NsName]> = names.chunks(share).collect();
    let width = realm.width().min(chunks.len());
    let work = |worker: usize| {
        let mut found = Vec::new();
        for chunk in chunks.iter().skip(worker).step_by(width.max(1)) {
            found.extend(observe_chunk(realm, worker, chunk, scope)?);
        }
        Ok::<_, Error>(found)
    };
    let mut found: Vec<Found> = std::thread::scope(|threads| {
        let work = &work;
        let others: Vec<_> = (1..width).map(|worker| threads.spawn(move || work(worker))).collect();
        // This thread is one of them.
        let mut all = work(0)?;
        for other in others {
            all.extend(join(other)?);
        }
        Ok::<_, Error>(all)
    })?;
    peers::connect(&mut found);
    own::claim(&mut found, scope);
    host::forget_strangers(&mut found, scope);
    wireguard::connect(&mut found);
    let mut observed = Observed::default();
    for found in found {
        observed.indexes.insert(found.name.clone(), found.indexes);
        observed.state.namespaces.insert(found.name, found.namespace);
    }
    Ok(observed)
}

pub use beyond::beyond;
pub use host::host_addresses;
pub use whole::{alias_of_lo, observe_whole};

/// Lists all namespaces that carry a mark, of every lab. CAP_SYS_ADMIN.
///
/// # Errors
/// When the folder of pins or a namespace can't be read.
pub fn list_marked(realm: &Realm) -> Result<BTreeMap<NsName, Mark>, Error> {
    let mut marked = BTreeMap::new();
    for chunk in realm.names()?.chunks(CHUNK) {
        for (name, entry) in chunk.iter().zip(realm.open(0, chunk)?) {
            let mark = match entry {
                Entry::Namespace(mut opened) => mark_of(&mut opened, name)?,
                Entry::Stale(mark) => Some(mark),
                Entry::Foreign | Entry::Gone => None,
            };
            marked.extend(mark.map(|mark| (name.clone(), mark)));
        }
    }
    Ok(marked)
}

fn join<T>(worker: std::thread::ScopedJoinHandle<'_, T>) -> T {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A namespace that was read, with what is needed to find out where its veths lead.
struct Found {
    name: NsName,
    namespace: Namespace,
    indexes: Indexes,
    /// For each veth: the place of its other end. For what stands on an interface of another
    /// namespace: the place of that.
    peers: Vec<(IfName, Place)>,
    /// The marks of the namespaces that its nsids stand for.
    neighbours: BTreeMap<i32, Option<Mark>>,
    /// What WireGuard devices do, peers by their keys.
    wireguards: BTreeMap<IfName, crate::wireguard::Found>,
}

fn observe_chunk(
    realm: &Realm,
    thread: usize,
    names: &[NsName],
    scope: Scope<'_>,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::with_capacity(names.len());
    let mut kept = BTreeMap::new();
    for (name, entry) in names.iter().zip(realm.open(thread, names)?) {
        let declared = scope.declared.namespaces.contains_key(name);
        let owner = match entry {
            Entry::Gone => continue,
            Entry::Foreign => Owner::Foreign,
            Entry::Stale(mark) => Owner::Stale(mark),
            Entry::Namespace(mut opened) if name.is_host() => {
                found.push(host::read(&mut opened, scope)?);
                continue;
            }
            Entry::Namespace(mut opened) => {
                // One that is expected is most likely the lab's: then its mark is among what is read.
                let links = match known(name, scope).is_empty() {
                    true => None,
                    false => Some(read_links(&mut opened, name, scope)?),
                };
                let mark = match &links {
                    Some(links) => links.iter().find_map(Link::mark),
                    None => mark_of(&mut opened, name)?,
                };
                match mark {
                    Some(mark) if mark.lab == *scope.lab => {
                        let links = match links {
                            Some(links) => links,
                            None => read_links(&mut opened, name, scope)?,
                        };
                        found.push(read_namespace(&mut opened, name, (mark, links), scope)?);
                        kept.insert(name.clone(), opened);
                        continue;
                    }
                    Some(mark) => Owner::Lab(mark),
                    None => Owner::Foreign,
                }
            }
        };
        let ours = owner.mark().is_some_and(|mark| mark.lab == *scope.lab);
        if declared || ours {
            found.push(Found::unread(name, owner));
        }
    }
    peers::identify(&mut found, &mut kept, scope)?;
    drop(kept);
    read_sysctls(realm, thread, &mut found, scope)?;
    features::read(realm, thread, &mut found, scope)?;
    tables::read(realm, thread, &mut found, scope)?;
    wireguard::read(realm, thread, &mut found)?;
    Ok(found)
}

impl Found {
    fn unread(name: &NsName, owner: Owner) -> Self {
        Self {
            name: name.clone(),
            namespace: Namespace { interfaces: Interfaces::new(), ..Namespace::new(owner) },
            indexes: Indexes::default(),
            peers: Vec::new(),
            neighbours: BTreeMap::new(),
            wireguards: BTreeMap::new(),
        }
    }

    /// Forgets an interface that has gone away since it was read.
    fn forget(&mut self, name: &IfName) {
        self.namespace.interfaces.remove(name);
        self.indexes.remove(name);
        self.peers.retain(|(veth, _)| veth != name);
    }
}

/// Tells whether an interface that was asked about has gone away since it was listed: what is in a
/// namespace that somebody deletes, or a veth whose other end is.
fn is_gone(error: &NetlinkError) -> bool {
    matches!(error, NetlinkError::Refused(refusal) if refusal.errno == Errno::NODEV)
}

fn mark_of(opened: &mut Opened, name: &NsName) -> Result<Option<Mark>, Error> {
    let failed = |source| Error::Netlink { doing: "read lo", ns: name.clone(), source };
    link::mark(&mut opened.socket, None).map_err(failed)
}

/// Returns what is declared of a namespace, and was.
fn known<'s>(name: &NsName, scope: Scope<'s>) -> Vec<&'s Namespace> {
    let recorded = scope.recorded.into_iter().flatten().copied();
    let states = [scope.declared].into_iter().chain(recorded);
    states.filter_map(|state| state.namespaces.get(name)).collect()
}

fn read_links(opened: &mut Opened, name: &NsName, scope: Scope<'_>) -> Result<Vec<Link>, Error> {
    let failed = |source| Error::Netlink { doing: "read interfaces", ns: name.clone(), source };
    let known = known(name, scope);
    let declared = |name: &IfName| {
        known.iter().filter_map(|known| known.interfaces.get(name)).collect::<Vec<_>>()
    };
    link::dump(&mut opened.socket, Some(&declared)).map_err(failed)
}

fn read_namespace(
    opened: &mut Opened,
    name: &NsName,
    (mark, links): (Mark, Vec<Link>),
    scope: Scope<'_>,
) -> Result<Found, Error> {
    let failed = |source| Error::Netlink { doing: "read interfaces", ns: name.clone(), source };
    let socket = &mut opened.socket;
    let known = known(name, scope);
    let names: BTreeMap<u32, IfName> =
        links.iter().map(|link| (link.index, link.name.clone())).collect();
    let mut found = Found::unread(name, Owner::Lab(mark.clone()));
    for link in links {
        take_link(&mut found, link, &names, &mark, scope);
    }
    let wanted = scope.declared.namespaces.get(name);
    let declares = |what: fn(&Interface) -> bool| {
        wanted.is_some_and(|wanted| wanted.interfaces.values().any(what))
    };
    if declares(|interface| interface.vlans.is_some()) {
        let ports = bridging::read_vlans(socket, &names).map_err(failed)?;
        bridging::take_vlans(ports, wanted, &mut found.namespace);
    }
    let is_tunnel = |interface: &Interface| interface.kind.name() == "vxlan";
    let has_tunnel = found.namespace.interfaces.values().any(is_tunnel);
    // Those that are declared, or were: what others wrote elsewhere is theirs.
    let known_fdb = known.iter().flat_map(|ns| &ns.interfaces);
    let known_fdb: BTreeSet<&IfName> =
        known_fdb.filter(|(_, it)| it.fdb.is_some()).map(|(name, _)| name).collect();
    let of = (!known.is_empty()).then_some(&known_fdb);
    if of.map_or(has_tunnel, |of| !of.is_empty()) {
        bridging::read_fdb(socket, &names, &mut found.namespace, of).map_err(failed)?;
    }
    let mut addresses = address::dump(socket).map_err(failed)?;
    // The kernel lists IPv4 addresses as they were added, IPv6 ones the last first
    // (`ipv6_link_dev_addr`, net/ipv6/addrconf.c).
    let ipv4 = addresses.partition_point(|found| found.address.net.addr().is_ipv4());
    addresses[ipv4..].reverse();
    let routes = route::dump(socket, &names).map_err(failed)?;
    for one in addresses {
        let Some(name) = names.get(&one.index) else { continue };
        let connects = one.connects && connects(&found.namespace, name);
        let Some(interface) = found.namespace.interfaces.get_mut(name) else { continue };
        interface.addresses.push(one.address);
        if connects && !routes.connected.contains(&(one.index, one.address.net.trunc())) {
            interface.cut_off.push(one.address);
        }
    }
    found.namespace.routes = routes.configured.into_iter().collect();
    let entries = entry::read(socket, &names, wanted_entries(name, scope)).map_err(failed)?;
    (found.namespace.entries, found.namespace.foreign) = (entries.ours, entries.foreign);
    found.namespace.lost_rules = entries.lost;
    let declared = scope.declared.namespaces.get(name);
    if declared.is_some_and(|ns| ns.sysctls.contains_key(IPV6_FORWARDING)) {
        let on = link::ipv6_forwarding(socket).map_err(failed)?;
        let value = if on { "1" } else { "0" };
        found.namespace.sysctls.insert(IPV6_FORWARDING.into(), value.into());
    }
    Ok(found)
}

/// Tells whether the kernel makes connected routes by an interface: none by one that is down, and none
/// of IPv6 by the port of a bond. Those of `lo` and of a VRF are not like others.
fn connects(ns: &Namespace, name: &IfName) -> bool {
    let is_vrf = |interface: &Interface| interface.kind.name() == "vrf";
    let Some(interface) = ns.interfaces.get(name) else { return false };
    let master = interface.master.as_ref().map(|master| ns.interfaces.get(master));
    interface.up
        && interface.kind != Kind::Loopback
        && !is_vrf(interface)
        && master.is_none_or(|master| master.is_some_and(is_vrf))
}

/// Which entries to ask for: those of kinds that are declared or were before, and all where it is
/// not known what was.
fn wanted_entries(name: &NsName, scope: Scope<'_>) -> entry::Wanted {
    let lost = !name.is_host();
    let Some(recorded) = scope.recorded else {
        return entry::Wanted { lost, ..entry::Wanted::ALL };
    };
    let states = recorded.iter().copied().chain([scope.declared]);
    let namespaces = states.filter_map(|state| state.namespaces.get(name));
    let wanted = entry::Wanted::of(namespaces.flat_map(|ns| ns.entries.iter().chain(&ns.foreign)));
    // Without the rule for the table main the kernel finds no gateway, and no packet a route.
    entry::Wanted { lost, ..wanted }
}

fn declared_in<'s>(state: &'s State, ns: &NsName, name: &IfName) -> Option<&'s Interface> {
    state.namespaces.get(ns)?.interfaces.get(name)
}

fn take_link(
    found: &mut Found,
    link: Link,
    names: &BTreeMap<u32, IfName>,
    mark: &Mark,
    scope: Scope<'_>,
) {
    let (index, name, place) = (link.index, link.name.clone(), link.place);
    let mut interface = link.into_interface(names);
    let spec = interface.kind.device().map(|device| device.spec);
    let has_address_of = |known: &Interface| known.mac.is_some() && known.mac == interface.mac;
    let is_recorded = |state: &&State| {
        declared_in(state, &found.name, &name).is_some_and(|known| match known.mac {
            Some(_) => has_address_of(known),
            // Of a kind that has none of its own: the record alone knows it.
            None => spec.is_some() && known.kind.device().map(|device| device.spec) == spec,
        })
    };
    let ours = interface.kind == Kind::Loopback
        || interface.kind.moved_from().is_some()
        || interface.mac == Some(Mac::derive(&mark.lab, &mark.node, &name))
        || scope.recorded.is_some_and(|recorded| recorded.iter().any(is_recorded))
        || declared_in(scope.declared, &found.name, &name).is_some_and(has_address_of);
    interface.ours = ours;
    if interface.kind == Kind::Loopback {
        // The mark is ours, not the user's alias.
        interface.alias = None;
    }
    found.peers.extend(place.map(|place| (name.clone(), place)));
    found.indexes.insert(name.clone(), index);
    found.namespace.interfaces.insert(name, interface);
}

/// Opens a generic netlink socket in a namespace.
pub(crate) fn generic_socket(realm: &Realm, thread: usize, ns: &NsName) -> Result<Socket, Error> {
    netlink_socket(realm, thread, ns, SocketKind::Generic)
}

/// Opens a netlink socket in a namespace.
fn netlink_socket(
    realm: &Realm,
    thread: usize,
    ns: &NsName,
    kind: SocketKind,
) -> Result<Socket, Error> {
    let opened = realm.sockets(thread, std::slice::from_ref(ns), kind)?.pop();
    crate::socket::from_fd(opened.ok_or_else(|| Error::Gone { ns: ns.clone() })??)
}

/// Reads the declared sysctls, and processors of interfaces, that netlink could not tell.
fn read_sysctls(
    realm: &Realm,
    thread: usize,
    found: &mut [Found],
    scope: Scope<'_>,
) -> Result<(), Error> {
    let wanted = |found: &Found| {
        let declared = scope.declared.namespaces.get(&found.name);
        let is_read = !found.namespace.interfaces.is_empty();
        let declared = declared.filter(|_| is_read);
        let keys = declared.into_iter().flat_map(|ns| ns.sysctls.keys());
        let keys = keys.filter(|key| key.as_str() != IPV6_FORWARDING).cloned();
        let known = known(&found.name, scope);
        let interfaces = known.into_iter().filter(|_| is_read).flat_map(|ns| &ns.interfaces);
        let steered = interfaces.filter(|(name, interface)| {
            interface.rps_cpus.is_some() && found.namespace.interfaces.contains_key(*name)
        });
        let steered: BTreeSet<&IfName> = steered.map(|(name, _)| name).collect();
        let steered = steered.into_iter().map(|name| SysctlAccess::ReadRps(name.clone()));
        keys.map(SysctlAccess::Read).chain(steered).collect::<Vec<_>>()
    };
    let requests: Vec<(NsName, Vec<SysctlAccess>)> = found
        .iter()
        .map(|found| (found.name.clone(), wanted(found)))
        .filter(|(_, keys)| !keys.is_empty())
        .collect();
    if requests.is_empty() {
        return Ok(());
    }
    let answers = realm.sysctls(thread, requests.clone())?;
    for ((name, accesses), values) in requests.into_iter().zip(answers) {
        let Some(found) = found.iter_mut().find(|found| found.name == name) else { continue };
        for (access, value) in accesses.into_iter().zip(values) {
            match (access, value) {
                (SysctlAccess::Read(key), Some(value)) => {
                    found.namespace.sysctls.insert(key, value);
                }
                (SysctlAccess::ReadRps(name), Some(cpus)) => {
                    if let Some(interface) = found.namespace.interfaces.get_mut(&name) {
                        interface.rps_cpus = cpus.parse().ok();
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Dumps one kind of object and decodes it.
fn dump<T>(
    socket: &mut Socket,
    request: &impl NetlinkSerializable,
    mut take: impl FnMut(RouteNetlinkMessage) -> Option<T>,
) -> Result<Vec<T>, NetlinkError> {
    socket.dump(request, |message: Message<'_>| Ok(take(message.decode()?)))
}

/// Reads a message as the answer to each question.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: Message<'_>) {
    drop(link::link(message, None));
    let _ = address::address(message);
    bridging::fuzz(message);
    if let Ok(RouteNetlinkMessage::NewRoute(message)) = message.decode() {
        let names = IfName::new("eth0").map(|name| (2, name)).into_iter().collect();
        drop(route::route(&message, &names));
    }
}
