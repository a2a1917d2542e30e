//! Settings of interfaces.

use super::Refused;
use super::bridging::default_pvid;
use crate::kind::{self, ChangeBy, Device, KindSpec, OptionSpec, Options, Wireguard};
use crate::names::IfName;
use crate::state::{Address, Entry, Interface, Kind, MTU_IPV6_MIN_BYTES, Namespace, Offload};
use crate::step::LinkSetting;

impl Namespace {
    pub(super) fn set_link(&mut self, name: &IfName, set: &LinkSetting) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        match set {
            LinkSetting::Up(true) => self.go_up(name)?,
            LinkSetting::Up(false) => self.go_down(name)?,
            LinkSetting::Mtu(mtu) => self.set_mtu(name, *mtu)?,
            LinkSetting::Mac(mac) => {
                interface.mac = Some(*mac);
                // `neigh_changeaddr`, net/core/neighbour.c.
                self.lose_entries(name, |e| matches!(e, Entry::Neighbor(it) if !it.is_proxy()));
            }
            LinkSetting::Alias(alias) => interface.alias.clone_from(alias),
            LinkSetting::Master(master) => self.set_master(name, master.as_ref())?,
            LinkSetting::AddAltname(name) => {
                interface.altnames.insert(name.clone());
            }
            LinkSetting::DelAltname(name) => {
                interface.altnames.remove(name);
            }
            LinkSetting::TxQueueLen(len) => interface.txqueuelen = Some(*len),
            LinkSetting::RpsCpus(cpus) => interface.rps_cpus = Some(cpus.clone()),
            LinkSetting::Offload(offload, on) => interface.set_offload(*offload, *on),
            LinkSetting::ForwardIpv4(on) => interface.forward_ipv4 = Some(*on),
            LinkSetting::Ipv6(on) => self.set_ipv6(name, *on)?,
            LinkSetting::Options { spec, port, set, .. } => {
                self.set_options(name, (spec, *port), set)?;
            }
        }
        Ok(())
    }

    pub(super) fn set_wireguard(
        &mut self,
        name: &IfName,
        config: &Wireguard,
    ) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        if !interface.kind.device().is_some_and(|device| device.spec.is_wireguard()) {
            return Err(Refused::Invalid(format!("{name} is not a WireGuard device")));
        }
        interface.wireguard = Some(Wireguard { strangers: 0, ..config.clone() });
        Ok(())
    }

    fn set_options(
        &mut self,
        name: &IfName,
        (spec, port): (&'static KindSpec, bool),
        set: &Options,
    ) -> Result<(), Refused> {
        let master = self.interface_mut(name)?.master.clone();
        let has_kind = |interface: &Interface| {
            interface.kind.device().is_some_and(|device| device.spec == spec)
        };
        let of = if port { master } else { Some(name.clone()) };
        if !of.and_then(|of| self.interfaces.get(&of)).is_some_and(has_kind) {
            let what = if port { "a port of a" } else { "a" };
            return Err(Refused::Invalid(format!("{name} is not {what} {}", spec.name)));
        }
        let interface = self.interface_mut(name)?;
        let up = interface.up;
        match (port, &mut interface.kind) {
            (true, _) => interface.port.extend(set),
            (false, Kind::Device(device)) => {
                let down = |option: &OptionSpec| option.change == ChangeBy::MessageWhileDown;
                if up && set.of(spec.options).any(|(option, _)| down(option)) {
                    return Err(Refused::Invalid(format!("{name} is up")));
                }
                let pvid = default_pvid(Some(&device.options));
                device.options.extend(set);
                if spec.forgets_sources(set) {
                    device.options.forget("macaddr");
                }
                if spec.is_bridge() {
                    self.default_pvid_follows(name, pvid, set);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes an interface a port, or takes it out: first of where it is.
    fn set_master(&mut self, name: &IfName, master: Option<&IfName>) -> Result<(), Refused> {
        let kind_of = |ns: &Self, name: &IfName| ns.interfaces.get(name).map(|i| i.kind.clone());
        let has_ports = |kind: &Kind| kind.device().is_some_and(|device| device.spec.has_ports);
        let new = match master {
            Some(master) => match kind_of(self, master) {
                Some(kind) if has_ports(&kind) => Some(kind),
                _ => return Err(Refused::Invalid(format!("{master} can't have ports"))),
            },
            None => None,
        };
        let interface = self.interface_mut(name)?;
        let is_bond = |kind: &Kind| kind.device().is_some_and(|device| device.spec.is_bond());
        if interface.up && new.as_ref().is_some_and(is_bond) {
            return Err(Refused::Invalid(format!("{name} is up")));
        }
        if let Some(old) = interface.master.clone()
            && let Some(old) = kind_of(self, &old)
        {
            self.leave(name, &old)?;
        }
        let interface = self.interface_mut(name)?;
        interface.master = master.cloned();
        interface.port = Options::new();
        interface.leave_bridge();
        match new {
            // It is opened (`bond_enslave`, drivers/net/bonding/bond_main.c).
            Some(kind) if is_bond(&kind) => self.go_up(name),
            Some(kind) => self.cycle(name, &kind),
            None => Ok(()),
        }
    }

    /// Takes a port out of its master, which may be gone already.
    pub(super) fn leave(&mut self, name: &IfName, master: &Kind) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        interface.master = None;
        interface.port = Options::new();
        interface.leave_bridge();
        match master.device() {
            // It is closed (`__bond_release_one`, drivers/net/bonding/bond_main.c).
            Some(device) if device.spec.is_bond() => self.go_down(name),
            _ => self.cycle(name, master),
        }
    }

    /// Whoever comes to a VRF or leaves it is taken down and up again, so that its routes move
    /// (`cycle_netdev`, drivers/net/vrf.c).
    fn cycle(&mut self, name: &IfName, master: &Kind) -> Result<(), Refused> {
        let is_vrf = master.device().is_some_and(|device| device.spec.is_vrf());
        if is_vrf && self.interface_mut(name)?.up {
            self.go_down(name)?;
            self.go_up(name)?;
        }
        Ok(())
    }

    /// Lists the interfaces that go when this one goes.
    pub(super) fn going_with(&self, name: &IfName) -> Vec<IfName> {
        let goes = |kind: &Kind| kind.device().is_some_and(|device| device.goes_with(name));
        let interfaces = self.interfaces.iter();
        interfaces.filter(|(_, i)| goes(&i.kind)).map(|(name, _)| name.clone()).collect()
    }

    /// Lists the VLANs on an interface, which go up and down with it (`vlan_device_event`,
    /// net/8021q/vlan.c).
    fn vlans_on(&self, name: &IfName) -> Vec<IfName> {
        let is_vlan = |kind: &Kind| {
            let on = |device: &Device| {
                *device.spec == kind::VLAN
                    && device.lower.as_ref() == Some(name)
                    && !device.is_on("loose_binding")
            };
            kind.device().is_some_and(on)
        };
        let interfaces = self.interfaces.iter();
        interfaces.filter(|(_, i)| is_vlan(&i.kind)).map(|(name, _)| name.clone()).collect()
    }

    fn go_up(&mut self, name: &IfName) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        let was_up = interface.up;
        interface.go_up();
        if !was_up {
            for vlan in self.vlans_on(name) {
                self.go_up(&vlan)?;
            }
        }
        Ok(())
    }

    /// Changes an MTU; IPv6 leaves an interface that is too small for it, and comes back to one that
    /// has grown (`addrconf_notify`, net/ipv6/addrconf.c).
    fn set_mtu(&mut self, name: &IfName, mtu: u32) -> Result<(), Refused> {
        let default_ipv6 = self.default_ipv6();
        let interface = self.interface_mut(name)?;
        let fits = |mtu: u32| mtu >= MTU_IPV6_MIN_BYTES;
        let before = interface.mtu.replace(mtu);
        if !fits(mtu) {
            interface.ipv6 = Some(false);
            self.lose_ipv6_addresses(name)?;
            // As if the interface were gone: other legs save nothing.
            self.routes.retain(|route| route.dst.addr().is_ipv4() || !route.uses(name));
            self.lose_entries(name, Entry::is_ipv6);
        } else if before.is_some_and(|mtu| !fits(mtu)) {
            interface.ipv6 = Some(default_ipv6);
        }
        Ok(())
    }

    fn set_ipv6(&mut self, name: &IfName, on: bool) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        interface.ipv6 = Some(on);
        match on {
            true => interface.add_loopback_ipv6(),
            false => {
                self.lose_ipv6_addresses(name)?;
                self.lose_routes(name, |route| route.dst.addr().is_ipv6());
                self.lose_entries(name, Entry::is_ipv6);
            }
        }
        Ok(())
    }

    /// Takes a link down: IPv6 loses its addresses (`keep_addr_on_down` is 0), both families the
    /// routes that have no other leg up (`fib_sync_down_dev`, net/ipv4/fib_semantics.c).
    fn go_down(&mut self, name: &IfName) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        let was_up = std::mem::take(&mut interface.up);
        // The next time it goes up, the kernel makes the connected routes anew.
        interface.cut_off.clear();
        self.lose_ipv6_addresses(name)?;
        self.lose_routes(name, |_| true);
        if was_up {
            for vlan in self.vlans_on(name) {
                self.go_down(&vlan)?;
            }
        }
        self.lose_entries(name, |_| true);
        Ok(())
    }

    fn lose_ipv6_addresses(&mut self, name: &IfName) -> Result<(), Refused> {
        let interface = self.interface_mut(name)?;
        let (lost, kept) = interface.addresses.iter().partition(|a| a.net.addr().is_ipv6());
        interface.addresses = kept;
        let lost: Vec<Address> = lost;
        lost.iter().for_each(|address| self.forget_source(address));
        Ok(())
    }
}

impl Interface {
    /// Turns work on or off. Segments can't be cut late without checksums and memory in pieces, and
    /// what can't be done is off until it can be again (`netdev_fix_features`, net/core/dev.c).
    fn set_offload(&mut self, offload: Offload, on: bool) {
        self.offload.insert(offload, on);
        let needs: &[Offload] = match offload {
            Offload::Tx => &[Offload::Tso],
            Offload::Sg => &[Offload::Tso, Offload::Gso],
            _ => &[],
        };
        for needing in needs.iter().filter(|_| !on) {
            if let Some(other) = self.offload.get_mut(needing) {
                *other = false;
            }
        }
    }
}
