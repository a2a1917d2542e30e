//! What was observed of namespaces beside their state and decides about their packets: of addresses, of ways
//! and of queues.

use std::net::IpAddr;

use vnet_model::{End, IfName, Interface, Namespace, NsName};

use super::{Scene, TTL_DEFAULT, mtu_ipv6_key, ttl_key};
use crate::Effect;
use crate::fib::Known;

impl Scene<'_> {
    /// How many routers a packet that a namespace sends by an interface may pass, and one more
    /// (`ip_select_ttl`, net/ipv4/ip_output.c; `ip6_dst_hoplimit`, net/ipv6/output_core.c).
    pub(crate) fn ttl(&self, ns: &NsName, dev: &IfName, ipv6: bool) -> u32 {
        let key = ttl_key(dev, ipv6);
        let set = self.sysctl(ns, &key).and_then(|value| value.parse().ok());
        set.unwrap_or(TTL_DEFAULT)
    }

    /// The MTU of an interface for IPv6, where that is known.
    pub(crate) fn mtu_ipv6(&self, ns: &NsName, dev: &IfName) -> Option<u32> {
        self.sysctl(ns, &mtu_ipv6_key(dev)).and_then(|value| value.parse().ok())
    }

    /// What a namespace has learned of the MTU of the way to an address.
    pub(crate) fn learned_mtu(&self, ns: &NsName, dst: IpAddr) -> Option<u32> {
        let learned = self.facts(ns)?.learned_mtus.get(&dst);
        learned.filter(|_| !self.effects.contains(&Effect::Relearns(ns.clone()))).copied()
    }

    /// What is known of the addresses of a namespace beside that they are there.
    pub(crate) fn known(&self, ns: &NsName) -> Known<'_> {
        let Some(facts) = self.facts(ns) else { return Known::default() };
        let is_widened = self.effects.contains(&Effect::Widened(ns.clone()));
        let scopes = (!is_widened).then_some(&facts.scopes);
        Known { deprecated: &facts.deprecated, unusable: &facts.unusable, scopes }
    }

    /// Tells whether an address is there, and nothing in the tables makes it the namespace's own.
    pub(crate) fn is_unrouted(&self, ns: &NsName, addr: IpAddr) -> bool {
        self.facts(ns).is_some_and(|facts| facts.unrouted.contains(&addr))
            && !self.effects.contains(&Effect::Owned(ns.clone(), addr))
    }

    /// The words of the queue of an interface that drops all.
    pub(crate) fn losing(&self, end: &End) -> Option<&str> {
        let words = self.facts(&end.ns)?.losing.get(&end.name)?;
        (!self.effects.contains(&Effect::Unqueued(end.clone()))).then_some(words)
    }

    /// Tells whether an interface answers for an address because somebody wrote that.
    pub(crate) fn proxies(&self, end: &End, addr: IpAddr) -> bool {
        let is_it = |(dev, other): &(IfName, IpAddr)| *dev == end.name && *other == addr;
        self.facts(&end.ns).is_some_and(|facts| facts.proxied.iter().any(is_it))
    }

    /// The interfaces whose routes are passed over while nobody is at the other end of their cables
    /// (`ip_ignore_linkdown`, linux/inetdevice.h).
    fn passed_over(&self, ns: &NsName, ipv6: bool) -> Vec<IfName> {
        let Some(found) = self.ns(ns) else { return Vec::new() };
        let family = if ipv6 { "ipv6" } else { "ipv4" };
        let is_set = |dev: &IfName| {
            let dev = dev.in_sysctls();
            let key = format!("net.{family}.conf.{dev}.ignore_routes_with_linkdown");
            self.sysctl(ns, &key).is_some_and(|value| value != "0")
        };
        let is_cut = |interface: &Interface| {
            let peer = interface.kind.peer().and_then(|peer| self.end(peer));
            interface.kind.is_pair() && peer.is_none_or(|peer| !peer.up)
        };
        let all = found.interfaces.iter().filter(|(dev, it)| it.up && is_cut(it) && is_set(dev));
        all.map(|(dev, _)| dev.clone()).collect()
    }

    /// A namespace as its tables have it, where that is not as its addresses and interfaces say.
    pub(super) fn tabled(&self, ns: &NsName, found: &Namespace, dst: IpAddr) -> Option<Namespace> {
        let passed_over = self.passed_over(ns, dst.is_ipv6());
        let is_unrouted = self.is_unrouted(ns, dst);
        if passed_over.is_empty() && !is_unrouted {
            return None;
        }
        let mut found = found.clone();
        for (dev, interface) in found.interfaces.iter_mut() {
            interface.up &= !passed_over.contains(dev);
            interface.addresses.retain(|address| !is_unrouted || address.net.addr() != dst);
        }
        Some(found)
    }
}
