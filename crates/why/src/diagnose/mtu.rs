//! Packets that are too long for their way, and must not be fragmented.

use std::net::IpAddr;

use vnet_model::{Change, IfName, LinkSetting, Metric, NsName, Route, Step};

use super::{Case, set};
use crate::fib::Decision;
use crate::scene::mtu_ipv6_key;
use crate::walk::{Limit, Stop};
use crate::{Cause, Effect, Mend};

impl Case<'_, '_> {
    /// Tells whether it is what a route says of the way that stops it, or what was learned of that: whatever
    /// else differs from what was meant.
    pub(super) fn is_by_way(&self) -> bool {
        match &self.walked.stop {
            Some(Stop::TooBig { by, .. }) => *by != Limit::Interface,
            Some(Stop::TooWide { .. } | Stop::Learned(_)) => true,
            _ => false,
        }
    }

    pub(super) fn too_big(&self, ns: &NsName, dev: &IfName, mtu: u32, by: &Limit) -> Cause {
        let fits = match by {
            Limit::Interface => self.small_mtu(ns, dev, mtu),
            Limit::Ipv6 => self.small_mtu_ipv6(ns, dev, mtu),
            Limit::Route(route) => self.small_way(ns, route, mtu),
        };
        match self.unheard(ns) {
            Some(cause) => self.black_hole(cause, fits),
            None => self.relearned(fits),
        }
    }

    fn size_bytes(&self, mtu: u32) -> u32 {
        self.question.size_bytes.unwrap_or(mtu)
    }

    fn small_mtu(&self, ns: &NsName, dev: &IfName, mtu: u32) -> Cause {
        let port = self.scene.port(ns, dev);
        let size = self.size_bytes(mtu);
        let evidence =
            format!("a packet of {size} bytes does not fit {port}, whose MTU is {mtu} bytes");
        let meant = self.scene.meant_interface(ns, dev).and_then(|meant| meant.mtu);
        let wanted = meant.unwrap_or(size).max(size);
        let mut cause = self.cause(
            "mtu-too-small",
            port,
            evidence,
            vec![set(ns, dev, LinkSetting::Mtu(wanted))],
        );
        if let Some(meant) = self.scene.meant_interface(ns, dev) {
            self.add_line(&mut cause, meant.origin, format!("give it `mtu: {wanted}`"));
        }
        cause
    }

    /// The MTU of IPv6 on an interface: a router's word, or somebody's.
    fn small_mtu_ipv6(&self, ns: &NsName, dev: &IfName, mtu: u32) -> Cause {
        let port = self.scene.port(ns, dev);
        let (size, key) = (self.size_bytes(mtu), mtu_ipv6_key(dev));
        let evidence = format!(
            "a packet of {size} bytes does not fit {port}, whose MTU for IPv6 is {mtu} bytes ({key})"
        );
        let link = self.scene.interface(ns, dev).and_then(|found| found.mtu);
        let value = link.unwrap_or(size).to_string();
        let step = Step::new(ns.clone(), Change::SetSysctl { key, value });
        self.cause("mtu-too-small", port, evidence, vec![step])
    }

    /// A route that says that less fits.
    fn small_way(&self, ns: &NsName, route: &Route, mtu: u32) -> Cause {
        let evidence = format!(
            "a packet of {} bytes does not fit `{route}`, which says that {mtu} bytes do",
            self.size_bytes(mtu)
        );
        let steps = self.without(ns, route, Metric::Mtu, |meant| meant >= self.size_bytes(mtu));
        let mut cause = self.cause("mtu-too-small", self.object(route, ns), evidence, steps);
        if let Some(meant) = self.scene.meant(ns).and_then(|meant| meant.routes.get(route)) {
            self.add_line(&mut cause, meant.origin, "let it say no `mtu`".to_owned());
        }
        cause
    }

    /// A route that says that more fits than its interface takes: what is longer is lost in silence.
    pub(super) fn too_wide_way(
        &self,
        ns: &NsName,
        dev: &IfName,
        mtu: u32,
        room: u32,
    ) -> Option<Cause> {
        let last = self.walked.decisions.last().map(|decided| &decided.decision);
        let Some(Decision::Via { route, .. }) = last else { return None };
        let port = self.scene.port(ns, dev);
        let evidence =
            format!("`{route}` says that {room} bytes fit, and {port} takes no more than {mtu}");
        let steps = self.without(ns, route, Metric::Mtu, |meant| meant <= mtu);
        Some(self.cause("mtu-mismatch", self.object(route, ns), evidence, steps))
    }

    /// Has a route say of the way what was meant, where that helps; else nothing.
    pub(super) fn without(
        &self,
        ns: &NsName,
        route: &Route,
        metric: Metric,
        helps: impl Fn(u32) -> bool,
    ) -> Vec<Step> {
        let meant = self.scene.meant(ns).into_iter().flat_map(|meant| &meant.routes);
        let meant = meant.filter(|meant| meant.key() == route.key()).find(|meant| {
            let said = meant.metrics.get(&metric);
            meant.nexthops == route.nexthops && said.is_none_or(|said| helps(said.value))
        });
        let wanted = meant.cloned().unwrap_or_else(|| {
            let mut wanted = route.clone();
            wanted.metrics.remove(&metric);
            wanted
        });
        vec![Step::new(ns.clone(), Change::ReplaceRoute(wanted))]
    }

    /// A sender that still takes a way to be narrower than it is.
    pub(super) fn learned_mtu(&self, ns: &NsName, mtu: u32) -> Cause {
        let label = self.scene.label(ns);
        let evidence = format!(
            "{label} was told that no more than {mtu} bytes fit the way to {}, which no longer holds; it is \
             forgotten after ten minutes (mtu_expires)",
            self.dst
        );
        let mut cause = self.cause("mtu-outdated", label, evidence, Vec::new());
        self.relearn(&mut cause, ns, self.dst);
        cause
    }

    /// Has the sender of what was too long for somebody else forget what that one told it.
    fn relearned(&self, mut cause: Cause) -> Cause {
        let sender = self.walked.decisions.first().map(|first| &first.ns);
        let sender = sender.filter(|_| self.walked.decisions.len() > 1 && !cause.mend.is_empty());
        if let Some(sender) = sender {
            self.relearn(&mut cause, sender, self.dst);
        }
        cause
    }

    /// Has a namespace forget the MTUs that it has learned of ways: it would refuse what is larger for ten
    /// minutes more (`mtu_expires`, ip-sysctl).
    pub(super) fn relearn(&self, cause: &mut Cause, ns: &NsName, dst: IpAddr) {
        let family = if dst.is_ipv6() { "-6 " } else { "" };
        let commands = vec![format!("ip -n {ns} {family}route flush cache")];
        if cause.mend.iter().any(|mend| mend.commands() == commands) {
            return;
        }
        let text = format!("~ what {} has learned of MTUs", self.scene.label(ns));
        cause.mend.push(Mend::Command { text, commands, effect: Effect::Relearns(ns.clone()) });
    }
}
