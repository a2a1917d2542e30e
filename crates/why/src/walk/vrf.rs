//! Packets in VRFs.

use vnet_model::facts::{Listener, Transport};
use vnet_model::nft::Hook;
use vnet_model::{End, IfName, NextHop, NsName, Packet, Route};

use super::{Stop, Walk};

impl Walk<'_, '_> {
    /// Checks that a namespace can send in a VRF (`ip_route_output_key_hash_rcu`, net/ipv4/route.c).
    pub(super) fn enter_vrf(&self, ns: &NsName, vrf: &IfName) -> Result<(), Stop> {
        match self.scene.interface(ns, vrf).is_some_and(|found| found.up) {
            true => Ok(()),
            false => Err(Stop::VrfDown(vrf.clone())),
        }
    }

    /// Leaves by a VRF: its table is asked as if the packet were the namespace's own
    /// (`vrf_process_v4_outbound`, drivers/net/vrf.c). Tells that it is still here.
    pub(super) fn leave_by_vrf(
        &mut self,
        ns: &NsName,
        route: &Route,
        leg: &NextHop,
    ) -> Result<bool, Stop> {
        self.choose_source(ns, route, leg)?;
        let dst = self.header.dst;
        // What a VRF's own table sends to it again is dropped, at last.
        if self.entered.contains(&leg.dev) {
            return Err(Stop::Unresolved { dev: leg.dev.clone(), hop: dst });
        }
        self.entered.push(leg.dev.clone());
        self.doubt_egress(&End { ns: ns.clone(), name: leg.dev.clone() });
        match self.came_in.clone() {
            Some(dev) => self.hook(ns, Hook::Forward, Some(&dev), Some(&leg.dev))?,
            None => self.hook(ns, Hook::Output, None, Some(&leg.dev))?,
        }
        if self.header.dst == dst {
            self.hook(ns, Hook::Postrouting, None, Some(&leg.dev))?;
            self.note(ns);
            self.walked.touched.push(End { ns: ns.clone(), name: leg.dev.clone() });
            self.walked.vrf = Some(leg.dev.clone());
        }
        self.came_in = None;
        self.is_out = true;
        Ok(false)
    }

    /// Passes, with what a namespace sends by a port of a VRF, the filters for what leaves by the VRF, past
    /// conntrack: those for the port come after (`vrf_ip_out_direct`, drivers/net/vrf.c).
    pub(super) fn pass_vrf(&mut self, ns: &NsName, dev: &IfName) -> Result<(), Stop> {
        let Some(vrf) = self.scene.vrf_of(ns, dev).filter(|vrf| vrf != dev) else { return Ok(()) };
        for hook in [Hook::Output, Hook::Postrouting] {
            self.hook_as(ns, hook, (None, Some(&vrf)), true)?;
        }
        Ok(())
    }

    /// The setting that keeps what came in by a VRF from programs that are in none
    /// (`inet_bound_dev_eq`, net/inet_sock.h).
    pub(super) fn is_kept_from_programs(&self, ns: &NsName) -> Option<Stop> {
        let vrf = self.walked.vrf.clone()?;
        let (key, transport) = match self.packet.packet {
            Packet::Tcp(_) => ("net.ipv4.tcp_l3mdev_accept", Transport::Tcp),
            Packet::Udp(_) => ("net.ipv4.udp_l3mdev_accept", Transport::Udp),
            Packet::Icmp => return None,
        };
        if self.scene.sysctl_number(ns, key) != 0 {
            return None;
        }
        // Whoever asked is in no VRF; of who listens it is told.
        let listeners = self.scene.facts(ns).and_then(|facts| facts.listeners.as_ref());
        let is_one = |of: &&Listener| {
            of.transport == transport && Some(of.port) == self.header.dport && self.hears(of)
        };
        let is_outside = self.packet.is_answer
            || listeners.is_some_and(|all| {
                let mut all = all.iter().filter(is_one).peekable();
                all.peek().is_some() && all.all(|of| of.dev.is_none())
            });
        is_outside.then_some(Stop::OutsideVrf { vrf, key })
    }
}
