//! A kernel on paper: what a step does to a state, side effects too.
//!
//! The planner tries its steps out here before they go to the kernel, so it knows what else each of
//! them takes away: the secondary addresses behind a primary one, the routes of an interface that
//! goes down. Tests use it as the kernel itself. Where the real one turns out to differ (it has
//! settings that change these rules), `up` sees that when it looks again and mends it in another
//! round.

mod address;
pub(crate) mod bridging;
mod entry;
mod link;
mod route;
mod sysctl;

use crate::kind::{self, Device};
use crate::mac::Mac;
use crate::names::{IfName, NsName};
use crate::state::{
    End, Interface, Interfaces, Kind, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, MTU_LOOPBACK_BYTES,
    Namespace, Owner, Queues, State,
};
use crate::step::{Change, NewLink, Step};

/// Why the kernel on paper refuses a step; the real one would too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// What is to be made exists already (EEXIST).
    #[error("{0} exists")]
    Exists(String),
    /// What is to be changed or removed does not exist (ENODEV, ENOENT, EADDRNOTAVAIL, ESRCH).
    #[error("{0} does not exist")]
    Missing(String),
    /// The interface can't have this setting (EOPNOTSUPP, EACCES, EINVAL).
    #[error("{0}")]
    Invalid(String),
    /// A route's interface is down (ENETDOWN) or its gateway is not on the link (ENETUNREACH).
    #[error("{0} is not reachable")]
    Unreachable(String),
}

/// The name of the loopback interface.
pub const LOOPBACK: &str = "lo";

impl Step {
    /// Does the step to a state, with all that the kernel does of itself.
    ///
    /// # Errors
    /// Where the kernel would refuse; the state is then as before.
    pub fn apply(&self, state: &mut State) -> Result<(), Refused> {
        match &self.change {
            Change::AddNamespace { mark } => {
                let new = Namespace::new(Owner::Lab(mark.clone()));
                if state.namespaces.contains_key(&self.ns) {
                    return Err(Refused::Exists(self.to_string()));
                }
                state.namespaces.insert(self.ns.clone(), new);
                Ok(())
            }
            Change::DelNamespace => state.remove_namespace(&self.ns),
            Change::AddLink { name, link } => state.add_link(&self.ns, name, link),
            Change::DelLink { name, .. } => state.remove_link(&self.ns, name),
            Change::SetWireguard { name, config } => {
                state.namespace_mut(&self.ns)?.set_wireguard(name, config)
            }
            Change::SetPortVlan { dev, itself, vid, vlan } => {
                state.namespace_mut(&self.ns)?.set_port_vlan((dev, *itself), *vid, *vlan)
            }
            Change::DelPortVlan { dev, itself, vid } => {
                state.namespace_mut(&self.ns)?.remove_port_vlan((dev, *itself), *vid)
            }
            Change::AddFdb { dev, entry } => {
                state.namespace_mut(&self.ns)?.interface_mut(dev)?.add_fdb(*entry)
            }
            Change::DelFdb { dev, entry } => {
                state.namespace_mut(&self.ns)?.interface_mut(dev)?.remove_fdb(entry)
            }
            Change::SetLink { name, set } => {
                state.namespace_mut(&self.ns)?.set_link(name, set)?;
                state.carrier_follows(&self.ns, name);
                state.options_follow(&self.ns, name);
                Ok(())
            }
            Change::AddAddress { dev, address } => {
                state.namespace_mut(&self.ns)?.interface_mut(dev)?.add_address(*address)
            }
            Change::DelAddress { dev, address } => {
                state.namespace_mut(&self.ns)?.remove_address(dev, address)
            }
            Change::AddRoute(route) => state.namespace_mut(&self.ns)?.add_route(route),
            Change::ReplaceRoute(route) => {
                let ns = state.namespace_mut(&self.ns)?;
                ns.check_route(route)?;
                ns.routes.retain(|other| other.key() != route.key());
                ns.routes.insert(route.clone());
                Ok(())
            }
            Change::DelRoute(route) => match state.namespace_mut(&self.ns)?.routes.remove(route) {
                true => Ok(()),
                false => Err(Refused::Missing(self.to_string())),
            },
            Change::AddTable(table) => {
                let tables = &mut state.namespace_mut(&self.ns)?.tables;
                if tables.contains_key(&table.id) {
                    return Err(Refused::Exists(self.to_string()));
                }
                tables.insert(table.id.clone(), (**table).clone());
                Ok(())
            }
            Change::ChangeTable { table, .. } => {
                let tables = &mut state.namespace_mut(&self.ns)?.tables;
                tables.insert(table.id.clone(), (**table).clone());
                Ok(())
            }
            Change::RunNft(raw) => {
                let tables = &mut state.namespace_mut(&self.ns)?.tables;
                let made = raw.tables.iter().flatten();
                tables.extend(made.map(|table| (table.id.clone(), table.clone())));
                Ok(())
            }
            Change::DelTable(id) => match state.namespace_mut(&self.ns)?.tables.remove(id) {
                Some(_) => Ok(()),
                None => Err(Refused::Missing(self.to_string())),
            },
            Change::SetEntry(entry) => state.set_entry(&self.ns, entry),
            Change::DelEntry(entry) => state.namespace_mut(&self.ns)?.del_entry(entry),
            Change::SetSysctl { key, value } => {
                state.namespace_mut(&self.ns)?.set_sysctl(key, value);
                Ok(())
            }
        }
    }
}

impl State {
    fn namespace_mut(&mut self, ns: &NsName) -> Result<&mut Namespace, Refused> {
        self.namespaces.get_mut(ns).ok_or_else(|| Refused::Missing(format!("namespace {ns}")))
    }

    fn remove_namespace(&mut self, ns: &NsName) -> Result<(), Refused> {
        let interfaces: Vec<IfName> =
            self.namespace_mut(ns)?.interfaces.keys().filter(|n| !is_lo(n)).cloned().collect();
        for name in interfaces {
            // A pair with both ends in here is gone after its first end.
            let _ = self.remove_link(ns, &name);
        }
        self.namespaces.remove(ns);
        Ok(())
    }

    fn add_link(&mut self, ns: &NsName, name: &IfName, link: &NewLink) -> Result<(), Refused> {
        let here = End { ns: ns.clone(), name: name.clone() };
        self.check_free(&here)?;
        match link {
            NewLink::Device { mac, mtu, queues, device } => {
                let there = &self.namespace_mut(ns)?.interfaces;
                if let Some(missing) = device.needs().find(|needed| !there.contains_key(*needed)) {
                    return Err(Refused::Missing(format!("interface {missing}")));
                }
                self.insert_link(&here, Kind::Device(device.clone()), (*mac, *mtu, *queues))
            }
            NewLink::Pair { device, mac, mtu, queues, peer } => {
                self.check_free(&peer.end)?;
                if peer.end == here {
                    return Err(Refused::Exists(here.to_string()));
                }
                let kind = |peer: &End, came_along| match device {
                    None => Kind::Veth { peer: Some(peer.clone()) },
                    Some(device) => {
                        let end = match came_along {
                            true => device.from_the_other_end(),
                            false => device.clone(),
                        };
                        Kind::Device(Device { came_along, peer: Some(peer.clone()), ..end })
                    }
                };
                let that = kind(&here, true);
                self.insert_link(&here, kind(&peer.end, false), (*mac, *mtu, *queues))?;
                self.insert_link(&peer.end, that, (peer.mac, peer.mtu, peer.queues))
            }
        }
    }

    fn check_free(&mut self, end: &End) -> Result<(), Refused> {
        match self.namespace_mut(&end.ns)?.interfaces.contains_key(&end.name) {
            true => Err(Refused::Exists(format!("interface {end}"))),
            false => Ok(()),
        }
    }

    fn insert_link(
        &mut self,
        end: &End,
        kind: Kind,
        (mac, mtu, queues): (Option<Mac>, Option<u32>, Queues),
    ) -> Result<(), Refused> {
        let ns = self.namespace_mut(&end.ns)?;
        let forward = ns.sysctl_is("net.ipv4.conf.default.forwarding", "1");
        let interface = Interface {
            mac,
            // Others have it from their ports, or from what is below them.
            mtu: mtu.or(kind.is_pair().then_some(MTU_DEFAULT_BYTES)),
            queues,
            forward_ipv4: Some(forward),
            ipv6: Some(ns.default_ipv6() && mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES)),
            ..Interface::new(kind)
        };
        ns.interfaces.insert(end.name.clone(), interface);
        Ok(())
    }

    /// Changes the options of the other end of a pair with those of this one, which say both.
    fn options_follow(&mut self, ns: &NsName, name: &IfName) {
        let kind = self.namespaces.get(ns).and_then(|ns| Some(&ns.interfaces.get(name)?.kind));
        let Some(Kind::Device(Device { peer: Some(peer), options, .. })) = kind else { return };
        let (peer, options) = (peer.clone(), kind::from_the_other_end(options));
        let there = self.namespaces.get_mut(&peer.ns);
        let there = there.and_then(|there| there.interfaces.get_mut(&peer.name));
        if let Some(Kind::Device(device)) = there.map(|there| &mut there.kind) {
            device.options.extend(&options);
        }
    }

    /// Removes an interface, and first what stands on it.
    fn remove_link(&mut self, ns: &NsName, name: &IfName) -> Result<(), Refused> {
        for upper in self.namespace_mut(ns)?.going_with(name) {
            self.remove_link(ns, &upper)?;
        }
        let removed = self.namespace_mut(ns)?.remove_interface(name)?;
        if let Some(peer) = removed.kind.peer() {
            // The peer may have lost its namespace, or the two may not agree about each other.
            let _ = self.remove_link(&peer.ns, &peer.name);
        }
        Ok(())
    }
}

impl Namespace {
    /// Makes a namespace as the kernel makes it: nothing but a `lo` that is down.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        let lo = Interface {
            mtu: Some(MTU_LOOPBACK_BYTES),
            forward_ipv4: Some(false),
            ipv6: Some(true),
            ..Interface::new(Kind::Loopback)
        };
        #[expect(clippy::unwrap_used, reason = "`lo` is a valid interface name")]
        let name = IfName::new(LOOPBACK).unwrap();
        Self {
            owner,
            interfaces: Interfaces::from_iter([(name, lo)]),
            routes: Default::default(),
            entries: Default::default(),
            foreign: Default::default(),
            lost_rules: Default::default(),
            sysctls: Default::default(),
            sysctl_origins: Default::default(),
            tables: Default::default(),
            nft_text: None,
            origin: Default::default(),
        }
    }

    fn interface_mut(&mut self, name: &IfName) -> Result<&mut Interface, Refused> {
        self.interfaces.get_mut(name).ok_or_else(|| Refused::Missing(format!("interface {name}")))
    }

    fn remove_interface(&mut self, name: &IfName) -> Result<Interface, Refused> {
        if is_lo(name) {
            return Err(Refused::Invalid("lo can't be removed".into()));
        }
        let missing = || Refused::Missing(format!("interface {name}"));
        let removed = self.interfaces.remove(name).ok_or_else(missing)?;
        self.lose_entries(name, |_| true);
        self.routes.retain(|route| !route.uses(name));
        for address in &removed.addresses {
            self.forget_source(address);
        }
        let is_port = |(_, other): &(&IfName, &Interface)| other.master.as_ref() == Some(name);
        let ports: Vec<IfName> =
            self.interfaces.iter().filter(is_port).map(|(port, _)| port.clone()).collect();
        for port in ports {
            self.leave(&port, &removed.kind)?;
        }
        Ok(removed)
    }
}

fn is_lo(name: &IfName) -> bool {
    name.as_str() == LOOPBACK
}
