//! Settings of interfaces.

use super::Refused;
use crate::names::IfName;
use crate::state::{Address, Kind, MTU_IPV6_MIN_BYTES, Namespace};
use crate::step::LinkSetting;

impl Namespace {
    pub(super) fn set_link(&mut self, name: &IfName, set: &LinkSetting) -> Result<(), Refused> {
        let is_bridge = |ns: &Self, name: &IfName| {
            matches!(ns.interfaces.get(name).map(|i| &i.kind), Some(Kind::Bridge { .. }))
        };
        match set {
            LinkSetting::Master(Some(master)) if !is_bridge(self, master) => {
                return Err(Refused::Invalid(format!("{master} is not a bridge")));
            }
            LinkSetting::Stp(_) if !is_bridge(self, name) => {
                return Err(Refused::Invalid(format!("{name} is not a bridge")));
            }
            _ => {}
        }
        let interface = self.interface_mut(name)?;
        match set {
            LinkSetting::Up(true) => interface.go_up(),
            LinkSetting::Up(false) => self.go_down(name)?,
            LinkSetting::Mtu(mtu) => self.set_mtu(name, *mtu)?,
            LinkSetting::Mac(mac) => interface.mac = Some(*mac),
            LinkSetting::Alias(alias) => interface.alias.clone_from(alias),
            LinkSetting::Master(master) => {
                interface.master.clone_from(master);
                interface.leave_bridge();
            }
            LinkSetting::AddAltname(name) => {
                interface.altnames.insert(name.clone());
            }
            LinkSetting::DelAltname(name) => {
                interface.altnames.remove(name);
            }
            LinkSetting::ForwardIpv4(on) => interface.forward_ipv4 = Some(*on),
            LinkSetting::Ipv6(on) => self.set_ipv6(name, *on)?,
            LinkSetting::Stp(on) => interface.kind = Kind::Bridge { stp: *on },
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
            }
        }
        Ok(())
    }

    /// Takes a link down: IPv6 loses its addresses (`keep_addr_on_down` is 0), both families the
    /// routes that have no other leg up (`fib_sync_down_dev`, net/ipv4/fib_semantics.c).
    fn go_down(&mut self, name: &IfName) -> Result<(), Refused> {
        self.interface_mut(name)?.up = false;
        self.lose_ipv6_addresses(name)?;
        self.lose_routes(name, |_| true);
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
