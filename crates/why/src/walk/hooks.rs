//! The filters that a walk passes.

use vnet_model::facts::{Listener, Transport};
use vnet_model::nft::Hook;
use vnet_model::{IfName, NextHop, NsName, Packet};

use super::{Stop, Walk};
use crate::By;
use crate::filter::{Filter, Flow, Passed};

impl Walk<'_, '_> {
    /// Passes the filters of one hook.
    pub(super) fn hook(
        &mut self,
        ns: &NsName,
        hook: Hook,
        iif: Option<&IfName>,
        oif: Option<&IfName>,
    ) -> Result<(), Stop> {
        self.hook_as(ns, hook, (iif, oif), false)
    }

    /// As [`Self::hook`]; `is_untracked` where conntrack is passed by.
    pub(super) fn hook_as(
        &mut self,
        ns: &NsName,
        hook: Hook,
        (iif, oif): (Option<&IfName>, Option<&IfName>),
        is_untracked: bool,
    ) -> Result<(), Stop> {
        let came = self.came.clone();
        let mut filter = Filter {
            scene: self.scene,
            ns,
            header: &mut self.header,
            iif,
            oif,
            flows: &self.packet.flows,
            came: &came,
            is_untracked,
            asks: None,
            is_rerouted: false,
        };
        let passed = filter.run(hook);
        self.is_rerouted |= filter.is_rerouted && hook == Hook::Output;
        let header = &self.header;
        (self.walked.src, self.walked.dst) = (header.src, header.dst);
        self.walked.dport = header.dport;
        for text in self.taken(passed)? {
            self.hop(ns, oif.or(iif), By::Filter, text);
        }
        Ok(())
    }

    /// Goes on where filters let it pass; returns what was done to it.
    pub(super) fn taken(&mut self, passed: Passed) -> Result<Vec<String>, Stop> {
        match passed {
            Passed::On(said) => Ok(said),
            Passed::Dropped(dropped) => Err(Stop::ByFilter(dropped)),
            // As if it were let through: what else stops it is certain all the same.
            Passed::Unknown(what) => {
                if !self.walked.unknown.contains(&what) {
                    self.walked.unknown.push(what);
                }
                Ok(Vec::new())
            }
        }
    }

    /// Passes the filters behind the routing decision; tells whether that still holds: a program's own
    /// packet is routed again when its destination was translated.
    pub(super) fn pass_filters(&mut self, ns: &NsName, leg: &NextHop) -> Result<bool, Stop> {
        let dst = self.header.dst;
        let iif = self.came_in.clone();
        match &iif {
            Some(_) => self.hook(ns, Hook::Forward, iif.as_ref(), Some(&leg.dev))?,
            None if self.is_out => {}
            None => {
                self.pass_vrf(ns, &leg.dev)?;
                self.hook(ns, Hook::Output, None, Some(&leg.dev))?;
            }
        }
        let is_rerouted = std::mem::take(&mut self.is_rerouted);
        if iif.is_none() && (self.header.dst != dst || is_rerouted) {
            self.is_out = true;
            return Ok(false);
        }
        self.hook(ns, Hook::Postrouting, iif.as_ref(), Some(&leg.dev))?;
        self.note(ns);
        Ok(true)
    }

    /// Tells whether it is known that nobody listens where it goes.
    pub(super) fn nobody_listens(&self, ns: &NsName) -> bool {
        let (transport, port) = match (self.packet.packet, self.header.dport) {
            (Packet::Tcp(_), Some(port)) => (Transport::Tcp, port),
            (Packet::Udp(_), Some(port)) => (Transport::Udp, port),
            _ => return false,
        };
        let all = self.scene.facts(ns).and_then(|facts| facts.listeners.as_ref());
        all.is_some_and(|all| {
            let mut all = all.iter().filter(|one| one.transport == transport && one.port == port);
            !all.any(|one| one.takes(self.header.dst) && self.hears(one))
        })
    }

    /// Tells whether a program is given what comes in here: one that is bound to an interface, or to
    /// a VRF, only what comes in by that.
    pub(super) fn hears(&self, listener: &Listener) -> bool {
        let came = [self.came_in.as_ref(), self.walked.vrf.as_ref()];
        listener.dev.is_none() || came.contains(&listener.dev.as_ref())
    }

    /// Notes down what a namespace knows of the connection from now on.
    pub(super) fn note(&mut self, ns: &NsName) {
        if !self.packet.is_answer && !self.header.done.is_untracked {
            let (came, left) = (self.came.clone(), self.header.clone());
            self.walked.flows.push(Flow { ns: ns.clone(), came, left });
        }
    }
}
