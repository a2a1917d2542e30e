//! Addresses.

use super::Refused;
use crate::names::IfName;
use crate::state::{Address, Interface, Kind, MTU_IPV6_MIN_BYTES, Namespace};

impl Namespace {
    /// Removes an address and what hangs on it: the secondary addresses of its IPv4 subnet when it
    /// was the primary one (`promote_secondaries` is 0), the IPv4 routes of the interface when it was
    /// the last (`fib_disable_ip`), and routes that prefer it as their source.
    pub(super) fn remove_address(
        &mut self,
        dev: &IfName,
        address: &Address,
    ) -> Result<(), Refused> {
        let interface = self.interface_mut(dev)?;
        let Some(at) = interface.addresses.iter().position(|other| other == address) else {
            return Err(Refused::Missing(format!("address {address} on {dev}")));
        };
        let mut removed = vec![interface.addresses.remove(at)];
        if address.net.addr().is_ipv4() {
            let subnet = address.net.trunc();
            let same = |other: &&Address| other.net.trunc() == subnet;
            if !interface.addresses[..at].iter().any(|other| same(&other)) {
                removed.extend(interface.addresses.iter().filter(same));
                interface.addresses.retain(|other| !same(&other));
            }
            if !interface.addresses.iter().any(|other| other.net.addr().is_ipv4()) {
                self.lose_routes(dev, |route| route.dst.addr().is_ipv4());
                self.lose_entries(dev, |entry| !entry.is_ipv6());
            }
        }
        let interface = self.interface_mut(dev)?;
        interface.cut_off.retain(|address| !removed.contains(address));
        removed.iter().for_each(|address| self.forget_source(address));
        Ok(())
    }
}

impl Interface {
    pub(super) fn has_addr(&self, addr: std::net::IpAddr) -> bool {
        self.addresses.iter().any(|address| address.net.addr() == addr)
    }

    /// Brings a link up; `lo` gets its addresses if it has none (`inetdev_event`, net/ipv4/
    /// devinet.c; `init_loopback`, net/ipv6/addrconf.c).
    pub(super) fn go_up(&mut self) {
        self.up = true;
        if self.kind == Kind::Loopback {
            if !self.addresses.iter().any(|address| address.net.addr().is_ipv4()) {
                self.addresses.insert(0, Address::loopback_ipv4());
            }
            self.add_loopback_ipv6();
        }
    }

    pub(super) fn add_loopback_ipv6(&mut self) {
        let address = Address::loopback_ipv6();
        let wanted = self.kind == Kind::Loopback && self.up && self.ipv6 != Some(false);
        if wanted && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    pub(super) fn add_address(&mut self, address: Address) -> Result<(), Refused> {
        let addr = address.net.addr();
        // IPv4 tells addresses apart by their prefix length too, IPv6 does not.
        let clash = |other: &&Address| match addr.is_ipv4() {
            true => **other == address,
            false => other.net.addr() == addr,
        };
        if let Some(other) = self.addresses.iter().find(clash) {
            return Err(Refused::Exists(format!("address {other}")));
        }
        let too_small = self.mtu.is_some_and(|mtu| mtu < MTU_IPV6_MIN_BYTES);
        if addr.is_ipv6() && (self.ipv6 == Some(false) || too_small) {
            return Err(Refused::Invalid("IPv6 is disabled on this device".into()));
        }
        self.addresses.push(address);
        Ok(())
    }
}

impl Address {
    /// Returns 127.0.0.1/8, which the kernel puts on `lo`.
    #[must_use]
    pub fn loopback_ipv4() -> Self {
        Self::new(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 8).into())
    }

    /// Returns `::1/128`, which the kernel puts on `lo`.
    #[must_use]
    pub fn loopback_ipv6() -> Self {
        Self::new(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128).into())
    }
}
