//! The places on a frame's way at which rules may drop it.

use vnet_model::nft::{Family, Hook};
use vnet_model::{End, IfName, NsName};

use super::{Search, Station};
use crate::filter::Point;

impl Search<'_, '_> {
    /// Notes that a frame comes in by the interface where it is.
    pub(super) fn comes_in(&self, at: &mut Station) {
        self.meets(at, Hook::Ingress);
    }

    /// Notes that a frame leaves by the interface where it is.
    pub(super) fn goes_out(&self, at: &mut Station) {
        self.meets(at, Hook::Egress);
    }

    fn meets(&self, at: &mut Station, hook: Hook) {
        if self.scene.filters_frames(&at.end.ns) {
            at.trail.push(Point::at(&at.end, hook, at.vlan));
        }
    }

    /// Notes that a bridge takes a frame in by a port (`nf_hook_bridge_pre`, net/bridge/br_input.c).
    pub(super) fn is_taken_in(&self, at: &mut Station, port: &End) {
        self.bridged(at, &port.ns, &[(Hook::Prerouting, Some(&port.name), None)]);
    }

    /// Notes that a bridge gives a frame that came in by a port to its own interface
    /// (`br_pass_frame_up`).
    pub(super) fn is_handed_up(&self, at: &mut Station, port: &End) {
        self.bridged(at, &port.ns, &[(Hook::Input, Some(&port.name), None)]);
    }

    /// Notes that a bridge sends a frame by a port, be it one that came in by another or its own
    /// (`__br_forward`, net/bridge/br_forward.c).
    pub(super) fn is_passed_on(&self, at: &mut Station, came_in: Option<&IfName>) {
        let port = at.end.clone();
        let hook = if came_in.is_some() { Hook::Forward } else { Hook::Output };
        let hooks =
            [(hook, came_in, Some(&port.name)), (Hook::Postrouting, None, Some(&port.name))];
        self.bridged(at, &port.ns, &hooks);
    }

    /// Tells whether the same rules look at frames on two ways.
    pub(super) fn meets_the_same(&self, one: &Station, other: &Station) -> bool {
        let is_watched = |point: &&Point| point.is_watched(self.scene);
        let [one, other] = [one, other].map(|at| at.trail.iter().filter(is_watched));
        one.eq(other)
    }

    fn bridged(
        &self,
        at: &mut Station,
        ns: &NsName,
        hooks: &[(Hook, Option<&IfName>, Option<&IfName>)],
    ) {
        if !self.scene.filters_frames(ns) && !self.scene.hands_frames_on(ns) {
            return;
        }
        let vlan = at.vlan;
        at.trail.extend(hooks.iter().map(|(hook, iif, oif)| Point {
            ns: ns.clone(),
            of: Family::Bridge,
            hook: *hook,
            iif: iif.cloned(),
            oif: oif.cloned(),
            vlan,
        }));
    }
}
