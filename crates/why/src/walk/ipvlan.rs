//! Ipvlans (drivers/net/ipvlan/ipvlan_core.c): what stands behind the hardware address of another
//! interface, whose namespace routes what they send in mode `l3` and `l3s`, and whose filters see what
//! comes in in mode `l3s`.

use vnet_model::facts::{Apart, PolicyRule};
use vnet_model::nft::Hook;
use vnet_model::{End, IfName, NextHop, NsName, Route};

use super::neighbour::{accepts, answers};
use super::{Stop, Walk};
use crate::By;
use crate::fib::{self, Decision};
use crate::wire::{self, IPVLAN_L2, IPVLAN_L3, IPVLAN_L3S, ipvlan_mode};

impl Walk<'_, '_> {
    /// Leaves by an ipvlan that is routed: to one that stands on the same interface, or into the
    /// namespace of that, which sends it on by that interface alone (`ipvlan_xmit_mode_l3`,
    /// `ipvlan_process_v4_outbound`). Tells whether it came to another namespace's interface.
    pub(super) fn leave_by_ipvlan(
        &mut self,
        ns: &NsName,
        route: &Route,
        leg: &NextHop,
    ) -> Result<bool, Stop> {
        let out = End { ns: ns.clone(), name: leg.dev.clone() };
        let mtu = self.scene.interface(ns, &leg.dev).and_then(|found| found.mtu);
        if !self.pass_out(ns, route, leg, mtu)? {
            return Ok(false);
        }
        self.is_followed(&out)?;
        let Some(lower) = self.scene.below(&out) else {
            return Err(Stop::Unknown(format!("what {} stands on is not known", self.label(&out))));
        };
        self.pass_interface(&out, Hook::Egress)?;
        self.walked.touched.push(out.clone());
        let near = self.holder_on(&lower)?.filter(|upper| *upper != out);
        let apart = near.as_ref().and_then(|_| self.scene.apart(&out));
        match (apart, &near) {
            (Some(Apart::Private), Some(upper)) => {
                return Err(Stop::KeptApart(out, upper.clone()));
            }
            (Some(Apart::Other), Some(upper)) => {
                let names = [self.label(&out), self.label(upper)].join(" and ");
                let text = format!("{names} stand on one interface, and may not reach each other");
                return Err(Stop::Unknown(text));
            }
            _ => {}
        }
        if apart.is_none()
            && let Some(upper) = near
        {
            let text = format!(
                "{} is at {}, on {}",
                self.header.dst,
                self.label(&upper),
                self.label(&lower)
            );
            self.hop(ns, Some(&leg.dev), By::Port, text);
            self.walked.touched.push(upper.clone());
            self.come_in(upper.clone());
            self.pass_interface(&upper, Hook::Ingress)?;
            return Ok(true);
        }
        let text = format!("{} is routed in {}", self.label(&out), self.scene.label(&lower.ns));
        self.hop(ns, Some(&leg.dev), By::Port, text);
        self.entered.clear();
        self.walked.vrf = self.scene.vrf_of(&lower.ns, &lower.name);
        self.turned_out = near.map(|upper| (out, upper));
        self.walked.sent_by = Some(ns.clone());
        self.walked.at = lower.ns;
        (self.came_in, self.is_out, self.bound) = (None, false, Some(lower.name));
        Ok(false)
    }

    /// Has what comes in by an interface taken by an ipvlan on it, before anything else sees it
    /// (`ipvlan_handle_frame`). In mode `l3s` it comes to the namespace below first.
    pub(super) fn is_taken(&mut self) -> Result<bool, Stop> {
        let Some(end) = self.came_in_by() else { return Ok(false) };
        let Some(upper) = self.holder_on(&end)? else { return Ok(false) };
        self.is_followed(&upper)?;
        if ipvlan_mode(self.scene, &upper) == Some(IPVLAN_L3S) {
            return Ok(false);
        }
        self.told_of(&end, &upper);
        self.come_in(upper.clone());
        self.pass_interface(&upper, Hook::Ingress)?;
        Ok(true)
    }

    /// Gives what has passed the first filters of the namespace below to an ipvlan of mode `l3s`: by
    /// the route there, and the last filters here (`ipvlan_l3_rcv` and `ipvlan_nf_input`,
    /// drivers/net/ipvlan/ipvlan_l3s.c). Those of its own namespace never see it.
    pub(super) fn is_taken_by_l3s(&mut self) -> Result<bool, Stop> {
        let Some(end) = self.came_in_by() else { return Ok(false) };
        let Some(upper) = self.holder_on(&end)? else { return Ok(false) };
        self.is_followed(&upper)?;
        if ipvlan_mode(self.scene, &upper) != Some(IPVLAN_L3S) {
            // It was not for that when it came in; behind a translation nobody gives it to it.
            return Ok(false);
        }
        if let Some(vrf) = self.scene.vrf_of(&end.ns, &end.name) {
            return Err(Stop::VrfTakes { upper, vrf });
        }
        let src = self.header.src.filter(std::net::IpAddr::is_ipv4);
        if let Some(src) = src
            && let Err(stop) = accepts(self.scene, &upper.ns, &upper.name, src)
        {
            self.walked.at = upper.ns;
            return Err(stop);
        }
        self.hook(&end.ns, Hook::Input, Some(&end.name), None)?;
        self.note(&end.ns);
        self.told_of(&end, &upper);
        self.come_in(upper);
        Ok(true)
    }

    /// What an ipvlan's namespace sends by the interface below is routed by that alone; where no route
    /// leads there, it is looked for on its link, but for that of a VRF (`ip_route_output_key_hash_rcu`,
    /// net/ipv4/route.c). IPv6 only prefers that interface, among routes that are alike
    /// (`rt6_score_route`, net/ipv6/route.c), and looks for nothing that no route leads to.
    pub(super) fn by_bound(&self, dev: &IfName, decision: Decision) -> Result<Decision, Stop> {
        let ns = &self.walked.at;
        let ipv6 = self.header.dst.is_ipv6();
        let names_it =
            |policy: &PolicyRule| policy.rule.ipv6 == ipv6 && policy.rule.oif.as_ref() == Some(dev);
        if let Some(policy) = self.scene.rules(ns).iter().find(|policy| names_it(policy)) {
            return Ok(Decision::Untold { rule: policy.rule.clone() });
        }
        match decision {
            Decision::Via { ref route, ref legs, .. } if ipv6 => {
                let is_apart = legs.len() == 1 && legs[0].dev != *dev;
                match is_apart && self.alike_by(route, dev).is_some() {
                    true => {
                        let text = format!("{} leads there by {dev} too", route.dst);
                        Err(Stop::Unknown(text))
                    }
                    false => Ok(decision),
                }
            }
            Decision::None if ipv6 || self.walked.vrf.is_some() => Ok(Decision::None),
            Decision::Via { ref legs, .. } if legs.iter().any(|leg| leg.dev != *dev) => {
                let text = format!("it may leave by {dev} alone, and its route leads elsewhere");
                Err(Stop::Unknown(text))
            }
            Decision::Broadcast { .. } => {
                Err(Stop::Unknown(format!("what an ipvlan sends to all by {dev} is not followed")))
            }
            Decision::None => {
                let from = End { ns: self.walked.at.clone(), name: dev.clone() };
                let heard = wire::domain(self.scene, &from, self.packet.size_bytes, false);
                let dst = self.header.dst;
                let is_there = |end: &End| answers(self.scene, end, dst);
                match heard.stations.iter().any(|there| is_there(&there.end)) {
                    true => {
                        let text =
                            format!("no route leads to {dst}, which is looked for on {dev} then");
                        Err(Stop::Unknown(text))
                    }
                    false => Ok(Decision::None),
                }
            }
            decision => Ok(decision),
        }
    }

    /// Says why nobody answers for what an ipvlan sends to another on the same interface: its flag
    /// `vepa` has it leave by that.
    pub(super) fn not_turned_back(&self, stop: Stop) -> Stop {
        match (&stop, &self.turned_out) {
            (Stop::Unresolved { hop, .. }, Some((out, upper))) if *hop == self.header.dst => {
                Stop::KeptApart(out.clone(), upper.clone())
            }
            _ => stop,
        }
    }

    /// Drops what an ipvlan of mode `l2` sends by way of the interface below to another on that, where
    /// they are kept apart (`ipvlan_xmit_mode_l2`).
    pub(super) fn keep_apart(&self, out: &End, station: &End) -> Result<(), Stop> {
        let is_below = self.scene.apart(out) == Some(Apart::Private)
            && self.scene.below(out).as_ref() == Some(station);
        if !is_below {
            return Ok(());
        }
        match self.holder_on(station)?.filter(|upper| upper != out) {
            Some(upper) => Err(Stop::KeptApart(out.clone(), upper)),
            None => Ok(()),
        }
    }

    fn came_in_by(&self) -> Option<End> {
        let name = self.came_in.clone()?;
        Some(End { ns: self.walked.at.clone(), name })
    }

    /// Finds the ipvlan on an interface that has the packet's destination. One that is down takes
    /// nothing (`ipvlan_stop`).
    fn holder_on(&self, lower: &End) -> Result<Option<End>, Stop> {
        let dst = self.header.dst;
        let is_it = |upper: &End| {
            self.scene.end(upper).is_some_and(|it| {
                it.kind.name() == "ipvlan"
                    && it.addresses.iter().any(|own| own.net.addr() == dst)
                    && (dst.is_ipv4() || fib::has_ipv6(it))
            })
        };
        let Some(upper) = self.scene.uppers(lower).into_iter().find(is_it) else { return Ok(None) };
        match self.scene.end(&upper).is_some_and(|it| it.up) {
            true => Ok(Some(upper)),
            false => Err(Stop::UpperDown(upper)),
        }
    }

    /// Tells of what is not evaluated: modes that are not known.
    fn is_followed(&self, upper: &End) -> Result<(), Stop> {
        match ipvlan_mode(self.scene, upper) {
            Some(IPVLAN_L2 | IPVLAN_L3 | IPVLAN_L3S) => Ok(()),
            _ => {
                let text = format!("{} is an ipvlan whose mode is not known", self.label(upper));
                Err(Stop::Unknown(text))
            }
        }
    }

    fn told_of(&mut self, end: &End, upper: &End) {
        let text =
            format!("{} is at {}, on {}", self.header.dst, self.label(upper), self.label(end));
        self.hop(&end.ns, Some(&end.name), By::Port, text);
        self.walked.touched.push(upper.clone());
    }

    fn label(&self, end: &End) -> String {
        self.scene.port(&end.ns, &end.name)
    }
}
