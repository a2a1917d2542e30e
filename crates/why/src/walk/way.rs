//! What is known of a way: how long what takes it may be, how far that goes, and who is at its end.

use std::net::{IpAddr, Ipv4Addr};

use vnet_model::{End, IfName, Mac, Metric, NextHop, NsName, Route};

use super::{Limit, Sent, Stop, Walk};
use crate::By;

impl Walk<'_, '_> {
    /// How long a packet may be that leaves by a route and an interface, and what says so: the route first,
    /// though it say more than the interface takes (`ip_dst_mtu_maybe_forward`, net/ip.h;
    /// `ip6_dst_mtu_maybe_forward`, net/ip6_route.h: routers ask it since Linux 5.12).
    pub(super) fn room(&self, ns: &NsName, route: &Route, leg: &NextHop, mtu: u32) -> (u32, Limit) {
        if let Some(way) = route.metrics.get(&Metric::Mtu) {
            return (way.value, Limit::Route(Box::new(route.clone())));
        }
        let own = self.scene.mtu_ipv6(ns, &leg.dev).filter(|_| self.header.dst.is_ipv6());
        match own.filter(|own| *own < mtu) {
            Some(own) => (own, Limit::Ipv6),
            None => (mtu, Limit::Interface),
        }
    }

    /// How many routers what leaves by a route may pass, and one more.
    pub(super) fn ttl(&self, ns: &NsName, route: &Route, leg: &NextHop) -> u32 {
        let way = route.metrics.get(&Metric::Hoplimit).map(|limit| limit.value);
        let ipv6 = self.header.dst.is_ipv6();
        way.filter(|way| *way != 0).unwrap_or_else(|| self.scene.ttl(ns, &leg.dev, ipv6))
    }

    /// Sees that what its sender has learned of the way keeps from being sent what would get there.
    pub(super) fn unlearned(&mut self) {
        let Sent { from, dst, df, size_bytes, .. } = self.packet;
        let learned = self.scene.learned_mtu(from, *dst).filter(|mtu| *df && size_bytes > mtu);
        match (learned, &self.walked.stop) {
            (Some(mtu), None) => {
                self.walked.stop = Some(Stop::Learned(mtu));
                self.walked.at = from.clone();
                let first = self.walked.hops.iter().position(|hop| hop.by != By::Rule);
                self.walked.hops.truncate(first.map_or(0, |first| first + 1));
            }
            (Some(_), Some(_)) => self.walked.waits = Some(from.clone()),
            (None, _) => {}
        }
    }

    /// Sees what somebody wrote of neighbours by `lo`: what goes to another hardware address than its own is
    /// for others there. Of IPv4 all have one entry (`arp_constructor`, net/ipv4/arp.c).
    pub(super) fn known_by(&self, ns: &NsName, lo: &IfName) -> Result<(), Stop> {
        let hop = match self.header.dst {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            dst => dst,
        };
        let end = End { ns: ns.clone(), name: lo.clone() };
        match self.scene.written(&end, hop).filter(|mac| *mac != Mac([0; 6])) {
            Some(mac) => Err(Stop::WrongNeighbour { dev: lo.clone(), hop, mac }),
            None => Ok(()),
        }
    }
}
