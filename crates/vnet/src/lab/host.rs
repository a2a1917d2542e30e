//! What a lab has in its host: what must hold there before anything is made, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use vnet_kernel::observe::survey::listeners;
use vnet_kernel::observe::{Indexes, Scope, host_addresses};
use vnet_kernel::realm::SysctlAccess;
use vnet_kernel::{Observed, execute, nft, observe_some};
use vnet_model::apply::LOOPBACK;
use vnet_model::facts::{Listener, Transport};
use vnet_model::ipnet::IpNet;
use vnet_model::nft::Table;
use vnet_model::plan::plan_between;
use vnet_model::resolve::{DesiredLink, rule_of_published};
use vnet_model::{
    Change, Desired, Facts, IfName, Interface, Namespace, NamespaceFacts, NsName, Origin, State,
    Step,
};

use super::Lab;
use crate::error::Error;
use crate::keeper::{Place, Wanted};

impl Lab {
    /// Finds out whether the host can be the way to the world for the segments that it is on, and
    /// from it to published ports.
    ///
    /// # Errors
    /// [`Error::ExternalRootless`] in a keeper's namespaces, for what only the machine's own host has;
    /// [`Error::HostInterfaceInUse`] where one is to be moved that has addresses there;
    /// [`Error::HostForwarding`] where the host passes nothing on: that is a setting of the whole
    /// host, so it is not changed here; [`Error::NoHostInterface`] where something is to stand on an
    /// interface that it lacks; [`Error::HostAddressInUse`] where others have addresses in a network
    /// that the lab wants to have there; [`Error::HostPortInUse`] where a port that it publishes is
    /// another lab's, or somebody listens on it.
    pub(super) fn check_host(&self, desired: &Desired, now: &Observed) -> Result<(), Error> {
        let host = NsName::host();
        let Some(wanted) = desired.state.namespaces.get(&host) else { return Ok(()) };
        let Some(place) = self.place()? else { return Ok(()) };
        if place.keeper_pid().is_some() {
            refuse_rootless(desired)?;
        }
        check_lowers(place, desired, now)?;
        check_forwarding(place, wanted)?;
        self.check_ports(place, desired, now)?;
        if wanted.interfaces.values().all(|it| it.addresses.is_empty()) {
            return Ok(());
        }
        let there = now.state.namespaces.get(&host).into_iter().flat_map(|ns| &ns.interfaces);
        let ours = there.filter(|(_, interface)| interface.ours).map(|(name, _)| name.clone());
        check_addresses(wanted, ours.collect(), &host_addresses(&place.realm)?)
    }

    /// Finds out whether a port to publish is another's. An ordinary user's lab has a host of its own,
    /// and its outlet tells what is in use outside.
    fn check_ports(&self, place: &Place, desired: &Desired, now: &Observed) -> Result<(), Error> {
        let host = NsName::host();
        let tables = |state: &'_ State| -> Vec<Table> {
            let host = state.namespaces.get(&host);
            host.into_iter().flat_map(|ns| ns.tables.values().cloned()).collect()
        };
        let leads = |tables: &[Table], port: &String| {
            let mut rules = tables.iter().filter_map(|table| rule_of_published(table, port));
            rules.next().map(|rule| rule.origin)
        };
        let is_ours = |table: &Table| table.mark.as_ref().is_some_and(|mark| mark.lab == self.name);
        let (wanted, mut there) = (tables(&desired.state), tables(&now.state));
        there.retain(is_ours);
        let new = desired.published.iter().filter(|port| leads(&there, port).is_none());
        let new: Vec<(&String, Origin)> =
            new.filter_map(|port| Some((port, leads(&wanted, port)?))).collect();
        if new.is_empty() || place.keeper_pid().is_some() {
            return Ok(());
        }
        let others = marked_tables(place)?;
        let listeners = host_listeners(place, now)?;
        for (port, origin) in new {
            let lab = others.iter().filter(|table| rule_of_published(table, port).is_some());
            let lab =
                lab.filter_map(|table| table.mark.as_ref()).find(|mark| mark.lab != self.name);
            let by = match (lab, listeners.iter().find(|one| takes(one, port))) {
                (Some(mark), _) => format!("lab {} publishes it", mark.lab),
                (None, Some(one)) => {
                    format!("somebody listens on {}", SocketAddr::new(one.addr, one.port))
                }
                (None, None) => continue,
            };
            return Err(Error::HostPortInUse { port: port.clone(), by, origin });
        }
        Ok(())
    }

    /// Removes what the lab has in its host, and what stands on interfaces there: with its namespace
    /// that would go too, but some time later, and keep others from standing there meanwhile.
    pub(super) fn clear_host(&self) -> Result<(), Error> {
        let Some(place) = self.place()? else { return Ok(()) };
        let host = NsName::host();
        let known = self.record()?.map(|record| record.known());
        if known.as_ref().is_some_and(|known| !known.namespaces.contains_key(&host)) {
            return Ok(());
        }
        let stands = |ns: &Namespace| ns.interfaces.values().any(stands_on_host);
        let mut names: Vec<NsName> = self.namespaces()?;
        if let Some(known) = &known {
            names.retain(|name| known.namespaces.get(name).is_some_and(stands));
        }
        names.push(host.clone());
        let nothing = State::default();
        let known: Option<[&State; 1]> = known.as_ref().map(|known| [known]);
        let recorded = known.as_ref().map(<[_; 1]>::as_slice);
        let scope = Scope { lab: &self.name, declared: &nothing, recorded };
        let now = observe_some(&place.realm, scope, &names)?;
        let uppers = now.state.namespaces.iter().flat_map(|(ns, found)| {
            let ours = |it: &Interface| it.ours && stands_on_host(it);
            let found = found.interfaces.iter().filter(move |(_, it)| ours(it));
            let gone = |(name, it): (&IfName, &Interface)| Change::del_link(name.clone(), &it.kind);
            found.map(move |of| Step::new(ns.clone(), gone(of)))
        });
        let mut steps: Vec<Step> = uppers.collect();
        let in_host = now.state.only(&BTreeSet::from([host]));
        steps.extend(plan_between(&self.name, &nothing, &in_host).steps);
        Ok(execute(&place.realm, &now, &steps)?)
    }
}

/// Returns what a lab wants of the machine around it, where it is an ordinary user's: a way to the world
/// for external segments, and one inwards for published ports.
pub(super) fn wanted(desired: &Desired) -> Option<Wanted> {
    let host = desired.state.namespaces.get(&NsName::host())?;
    let cable = || host.interfaces.values().next().filter(|_| !desired.published.is_empty());
    let origin = external_ends(host).next().or_else(cable)?.origin;
    Some(Wanted { origin, published: desired.published.clone() })
}

/// Lists the interfaces in the host that pass on what the lab sends. The cables of published ports lead
/// into the lab alone.
fn external_ends(host: &Namespace) -> impl Iterator<Item = &Interface> {
    host.interfaces.values().filter(|it| it.forward_ipv4 == Some(true))
}

/// Refuses what the host of an ordinary user's lab can't have.
fn refuse_rootless(desired: &Desired) -> Result<(), Error> {
    let to_host = |link: &&DesiredLink| link.ends.iter().any(|(node, _)| node.is_host());
    let link = desired.links.iter().find(to_host).map(|link| link.origin);
    let upper = on_host(desired).next().map(|(_, upper)| upper.origin);
    let asked = [("a link to the host", link), ("an interface on one of the host's", upper)];
    match asked.into_iter().find_map(|(what, at)| Some((what, at?))) {
        Some((what, origin)) => Err(Error::ExternalRootless { what, origin }),
        None => Ok(()),
    }
}

/// Finds out whether the host passes on what external segments send. An ordinary user's lab has a host
/// of its own, which is told to.
fn check_forwarding(place: &Place, wanted: &Namespace) -> Result<(), Error> {
    let addresses =
        external_ends(wanted).flat_map(|it| it.addresses.iter().map(|a| (a, it.origin)));
    let families: BTreeMap<bool, Origin> =
        addresses.map(|(address, origin)| (address.net.addr().is_ipv4(), origin)).collect();
    for (is_ipv4, origin) in families {
        let key = if is_ipv4 { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" };
        let access = match place.keeper_pid() {
            Some(_) => SysctlAccess::Write(key.to_owned(), "1".to_owned()),
            None => SysctlAccess::Read(key.to_owned()),
        };
        let answers = place.realm.sysctls(0, vec![(NsName::host(), vec![access])])?;
        if answers.into_iter().flatten().flatten().next().as_deref() == Some("0") {
            return Err(Error::HostForwarding { key, origin });
        }
    }
    Ok(())
}

/// Reads the tables of all labs in the host.
fn marked_tables(place: &Place) -> Result<Vec<Table>, Error> {
    let host = NsName::host();
    let mut tables = Vec::new();
    for socket in place.realm.netfilter_sockets(0, std::slice::from_ref(&host))? {
        let doing = "read tables";
        let failed = |source| vnet_kernel::Error::Netlink { doing, ns: host.clone(), source };
        tables.extend(nft::tables(&mut socket?, nft::Which::Marked(&[])).map_err(failed)?);
    }
    Ok(tables)
}

/// Lists who listens in the host.
fn host_listeners(place: &Place, now: &Observed) -> Result<Vec<Listener>, Error> {
    let host = NsName::host();
    let indexes = now.indexes.get(&host).into_iter().flat_map(Indexes::iter);
    let indexes = indexes.map(|(name, index)| (name.clone(), index)).collect();
    let of_host = NamespaceFacts { indexes, ..NamespaceFacts::default() };
    let mut facts = Facts::default();
    facts.namespaces.insert(host.clone(), of_host);
    listeners(&place.realm, std::slice::from_ref(&host), &mut facts)?;
    Ok(facts.namespaces.remove(&host).and_then(|found| found.listeners).unwrap_or_default())
}

/// Tells whether a socket gets what goes to a port of 127.0.0.1 (`tcp/8080`).
fn takes(listener: &Listener, port: &str) -> bool {
    let protocol = match listener.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let is_there = listener.dev.as_ref().is_none_or(|dev| dev.as_str() == LOOPBACK);
    let hears = listener.takes(Ipv4Addr::LOCALHOST.into());
    hears && is_there && format!("{protocol}/{}", listener.port) == port
}

fn stands_on_host(interface: &Interface) -> bool {
    interface.kind.host_lower().is_some()
}

/// Lists what stands on interfaces of the host, or is one, each after that.
fn on_host(desired: &Desired) -> impl Iterator<Item = (&IfName, &Interface)> {
    let interfaces = desired.state.namespaces.values().flat_map(|ns| ns.interfaces.values());
    interfaces.filter_map(|interface| Some((interface.kind.host_lower()?, interface)))
}

/// Finds out whether the host has what interfaces stand on, or what is to be moved: the latter while
/// nobody uses it there.
fn check_lowers(place: &Place, desired: &Desired, now: &Observed) -> Result<(), Error> {
    let host = NsName::host();
    let mut addresses = None;
    let found = now.state.namespaces.values().flat_map(|ns| ns.interfaces.values());
    let moved: BTreeSet<&IfName> = found.filter_map(|it| it.kind.moved_from()).collect();
    for (lower, upper) in on_host(desired) {
        if moved.contains(lower) {
            continue;
        }
        let (name, origin) = (lower.clone(), upper.origin);
        let indexes = now.indexes.get(&host);
        if indexes.and_then(|indexes| indexes.get(lower)).is_none() {
            return Err(Error::NoHostInterface { name, origin });
        }
        if upper.kind.moved_from().is_none() {
            continue;
        }
        let addresses = match &mut addresses {
            Some(addresses) => addresses,
            None => addresses.insert(host_addresses(&place.realm)?),
        };
        let used = addresses.iter().find(|(of, it)| of == lower && !is_link_local(it.addr()));
        if let Some((_, address)) = used {
            return Err(Error::HostInterfaceInUse { name, address: *address, origin });
        }
    }
    Ok(())
}

/// Addresses that interfaces have of themselves.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Finds out whether others have addresses in a network that is to be the lab's.
fn check_addresses(
    wanted: &Namespace,
    ours: BTreeSet<IfName>,
    there: &[(IfName, IpNet)],
) -> Result<(), Error> {
    let others = || there.iter().filter(|(name, _)| !ours.contains(name));
    for (interface, it) in &wanted.interfaces {
        for address in &it.addresses {
            let mut in_it = others()
                .filter(|(name, other)| name != interface && address.net.contains(&other.addr()));
            if let Some((other, in_use)) = in_it.next() {
                return Err(Error::HostAddressInUse {
                    interface: interface.clone(),
                    wanted: address.net,
                    other: other.clone(),
                    address: *in_use,
                    origin: address.origin.or(it.origin),
                });
            }
        }
    }
    Ok(())
}
