//! Packets in tunnels.

use vnet_model::nft::Hook;
use vnet_model::{End, NextHop, NsName, Route};

use super::{Stop, Walk};
use crate::By;
use crate::tunnel::{self, Broken, Crossed, Fault, Load};

impl Walk<'_, '_> {
    /// Leaves in another packet, whose way is walked first, and comes out where that arrives.
    pub(super) fn leave_by_tunnel(
        &mut self,
        ns: &NsName,
        route: &Route,
        leg: &NextHop,
    ) -> Result<bool, Stop> {
        let mtu = self.scene.interface(ns, &leg.dev).and_then(|found| found.mtu);
        if !self.pass_out(ns, route, leg, mtu)? {
            return Ok(false);
        }
        let end = End { ns: ns.clone(), name: leg.dev.clone() };
        self.pass_interface(&end, Hook::Egress)?;
        let load = Load {
            src: self.header.src,
            dst: self.header.dst,
            size_bytes: self.packet.size_bytes,
            is_answer: self.packet.is_answer,
            flows: &self.packet.outer_flows,
            heard: &self.packet.heard,
            legs: Some(self.legs.get(self.walked.choices.len()..).unwrap_or_default()),
        };
        match tunnel::pass(self.scene, &end, &load) {
            Ok(crossed) => {
                self.walked.touched.push(end);
                self.walked.choices.extend(&crossed.walked.choices);
                self.walked.picked.extend(&crossed.walked.picked);
                self.cross(&crossed);
                self.walked.touched.push(crossed.end.clone());
                self.come_in(crossed.end.clone());
                self.pass_interface(&crossed.end, Hook::Ingress)?;
                Ok(true)
            }
            Err(broken) => Err(self.stuck(broken)),
        }
    }

    /// Notes the way of what carries it.
    pub(super) fn cross(&mut self, crossed: &Crossed) {
        let Crossed { outer, end, walked } = crossed;
        self.hop(&outer.from.ns, Some(&outer.from.name), By::Tunnel, outer.text(self.scene));
        let port = self.scene.port(&end.ns, &end.name);
        self.walked.hops.extend(walked.hops.iter().cloned());
        self.hop(&end.ns, Some(&end.name), By::Tunnel, format!("comes out of {port}"));
        self.walked.doubts.extend(walked.doubts.iter().cloned());
        self.walked.twins.extend(walked.twins.iter().cloned());
        self.walked.unknown.extend(walked.unknown.iter().cloned());
        self.walked.touched.extend(walked.touched.iter().cloned());
        let flows = walked.flows.iter().chain(&walked.outer_flows);
        self.walked.outer_flows.extend(flows.cloned());
        let whence = walked.src.zip(outer.sport);
        self.walked.heard.extend(whence.map(|at| (end.clone(), outer.from.clone(), at)));
    }

    pub(super) fn stuck(&mut self, broken: Box<Broken>) -> Stop {
        match broken.fault {
            Fault::Unknown(what) => Stop::Unknown(what),
            Fault::Underlay(ref walked, is_back) => {
                if !is_back {
                    self.walked.choices.extend(&walked.choices);
                    self.walked.picked.extend(&walked.picked);
                }
                self.walked.hops.extend(walked.hops.iter().cloned());
                Stop::Tunnel(broken)
            }
            _ => Stop::Tunnel(broken),
        }
    }
}
