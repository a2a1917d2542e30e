//! Interfaces in another VRF than was meant, and routes from one to another that are missing.

use vnet_model::{Change, IfName, NsName, Route, Step};

use super::Case;
use crate::fib::{self, Decision};
use crate::{Cause, suggest};

impl Case<'_, '_> {
    /// Finds the first interface on the way that is in another VRF than was meant.
    pub(super) fn wrong_vrf(&self) -> Option<Cause> {
        self.walked.decisions.iter().find_map(|decided| {
            let legs = match self.scene.meant_lookup(&decided.ns, &decided.packet)? {
                Decision::Via { legs, .. } => legs,
                _ => Vec::new(),
            };
            let devs = decided.packet.iif.iter().chain(legs.iter().map(|leg| &leg.dev));
            devs.into_iter().find_map(|dev| self.in_wrong_vrf(&decided.ns, dev))
        })
    }

    fn in_wrong_vrf(&self, ns: &NsName, dev: &IfName) -> Option<Cause> {
        let scene = self.scene;
        let wanted = fib::vrf_of(scene.meant(ns)?, dev);
        let meant = scene.meant_interface(ns, dev)?;
        let found = scene.interface(ns, dev)?;
        if scene.vrf_of(ns, dev).as_ref() == wanted || meant.master == found.master {
            return None;
        }
        let port = scene.port(ns, dev);
        let is_in = |vrf: Option<&IfName>| match vrf {
            Some(vrf) => format!("in the VRF {vrf}"),
            None => "in no VRF".to_owned(),
        };
        let (found, wanted) = (is_in(scene.vrf_of(ns, dev).as_ref()), is_in(wanted));
        let evidence = format!("{port} is {found}, and was meant to be {wanted}");
        let mut steps = scene.plan();
        steps.retain(|step| self.is_about(step, ns, dev));
        Some(self.cause("wrong-vrf", port, evidence, steps))
    }

    /// Tells whether a route leads from a VRF to another, or from or to none.
    pub(super) fn is_leak(&self, ns: &NsName, route: &Route) -> bool {
        let Some(meant) = self.scene.meant(ns) else { return false };
        let table = |dev: &IfName| fib::table_of(meant, fib::vrf_of(meant, dev));
        route.nexthops.iter().any(|leg| table(&leg.dev) != route.table)
            && meant.interfaces.keys().any(|dev| table(dev) == route.table)
    }

    /// The packet would have to leave its VRF, or to enter one, and no route says so.
    pub(super) fn no_leak(&self, ns: &NsName) -> Option<Cause> {
        let scene = self.scene;
        let (dev, _) = suggest::first_hop(scene, ns, self.dst)?;
        let (from, to) = (self.walked.vrf.clone(), scene.vrf_of(ns, &dev));
        if from.is_none() && to.is_none() {
            return None;
        }
        let table = fib::table_of(scene.ns(ns)?, from.as_ref());
        let step = suggest::route(scene, ns, self.dst, None).map(|step| match step.change {
            Change::AddRoute(route) => {
                Step::new(step.ns, Change::AddRoute(Route { table, ..route }))
            }
            change => Step::new(step.ns, change),
        });
        let label = scene.label(ns);
        if from == to {
            let code = if self.is_back { "no-route-back" } else { "no-route" };
            let vrf = from.map(|vrf| vrf.to_string()).unwrap_or_default();
            let evidence = format!("no route of the VRF {vrf} in {label} holds {}", self.dst);
            let object = format!("route to {} in {label}", self.dst);
            return Some(self.cause(code, object, evidence, step.into_iter().collect()));
        }
        let asked = match &from {
            Some(vrf) => format!("the VRF {vrf} in {label} is asked for {}", self.dst),
            None => format!(
                "the main table of {label} is asked for {}, as for all that is in no VRF",
                self.dst
            ),
        };
        let there = match &to {
            Some(vrf) => format!("in the VRF {vrf}"),
            None => "in no VRF".to_owned(),
        };
        let evidence = format!("{asked}, but it is behind {}, {there}", scene.port(ns, &dev));
        let object = format!("route to {} in {label}", self.dst);
        Some(self.cause("vrf-leak-missing", object, evidence, step.into_iter().collect()))
    }

    /// Programs that are in no VRF are not given what came in by one.
    pub(super) fn outside_vrf(&self, ns: &NsName, vrf: &IfName, key: &'static str) -> Cause {
        let label = self.scene.label(ns);
        let evidence = format!(
            "it comes in by the VRF {vrf}, and the program at {label} is not bound to that \
             (`ip vrf exec {vrf}`)"
        );
        let (name, value) = (key.to_owned(), "1".to_owned());
        let step = Step::new(ns.clone(), Change::SetSysctl { key: name, value });
        self.cause("outside-vrf", format!("{key} in {label}"), evidence, vec![step])
    }
}
