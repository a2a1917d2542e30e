//! From where a packet stopped to what is at fault.
//!
//! First the decisions on its way are held against what was meant: the first that differs is the
//! fault (`meant`). Where all are as meant, or nobody knows what was, the stop itself is looked at
//! (here, and `link` for what nobody on a link answers for).

mod answers;
mod beside;
mod errors;
mod filter;
mod link;
mod meant;
mod mends;
mod mtu;
mod rules;
mod tunnel;
mod vrf;

use std::net::IpAddr;

use vnet_model::apply::LOOPBACK;
use vnet_model::ipnet::IpNet;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Change, End, IfName, LinkSetting, NsName, Origin, Route, RouteKind, Step};

use crate::fib::{self, Decision};
use crate::filter::{Dropped, base_of};
use crate::scene::{Scene, conf_key, conf_keys};
use crate::travel::Trip;
use crate::walk::{ROUTE_LOCALNET, Stop, Walked};
use crate::{Cause, DroppedBy, Effect, Mend, Question, suggest};

/// What is looked at to find a cause.
pub(crate) struct Case<'c, 'a> {
    pub(crate) scene: &'c Scene<'a>,
    pub(crate) question: &'c Question,
    /// The direction that fails.
    pub(crate) walked: &'c Walked,
    pub(crate) is_back: bool,
    /// Where the packet of that direction goes.
    pub(crate) dst: IpAddr,
}

/// Finds what is at fault with a trip that fails or is in doubt.
pub(crate) fn diagnose(scene: &Scene<'_>, question: &Question, trip: &Trip) -> Option<Cause> {
    let walked = trip.failed().unwrap_or(&trip.forth);
    let is_back = trip.is_back() && trip.failed().is_some();
    let dst = walked.dst;
    let case = Case { scene, question, walked, is_back, dst };
    // Whatever came of it there, it should not have gone there.
    if let Some(misled) = walked.misled.first().filter(|_| trip.failed().is_some()) {
        return Some(case.misled(misled));
    }
    if !is_back && let Some(cause) = case.dead_translation() {
        return Some(cause);
    }
    if let Some(cause) = case.lost_translation(&trip.forth) {
        return Some(cause);
    }
    if is_back && let Some(cause) = case.wrong_source(&trip.forth) {
        return Some(cause);
    }
    // A port that was not meant to be one explains itself, whatever else differs.
    let stray_port = match &walked.stop {
        Some(Stop::ByPort(dev)) => {
            scene.meant_interface(&walked.at, dev).is_none_or(|meant| meant.master.is_none())
        }
        _ => false,
    };
    if stray_port || case.is_by_way() {
        return case.stopped();
    }
    case.doubt(trip)
        .or_else(|| case.twins(trip))
        .or_else(|| case.wrong_vrf())
        .or_else(|| case.by_rules())
        .or_else(|| case.as_meant())
        .or_else(|| case.stopped())
        .map(|cause| case.with_silence(cause))
}

/// The cause where a rule dropped what was really sent, and it could not be told on paper.
pub(crate) fn by_rule(
    scene: &Scene<'_>,
    question: &Question,
    walked: &Walked,
    is_back: bool,
    by: &DroppedBy,
) -> Option<Cause> {
    let tables = scene.tables(&by.ns);
    let table = tables.into_iter().find(|table| table.id == by.table)?;
    let base = base_of(table, &by.chain)?;
    let dropped = Dropped {
        table: by.table.clone(),
        chain: by.chain.clone(),
        hook: base.base.as_ref()?.hook,
        base: base.name.clone(),
        rule: by.rule.clone(),
        rejects: false,
        state: None,
        asks: None,
    };
    let case = Case { scene, question, walked, is_back, dst: walked.dst };
    Some(case.by_filter(&by.ns, &dropped))
}

/// The cause where a namespace has no address that could be asked.
pub(crate) fn no_address(
    scene: &Scene<'_>,
    question: &Question,
    walked: &Walked,
    of: &NsName,
) -> Cause {
    Case { scene, question, walked, is_back: false, dst: question.dst }.no_address(of)
}

impl Case<'_, '_> {
    pub(crate) fn cause(
        &self,
        code: &'static str,
        object: impl Into<String>,
        evidence: impl Into<String>,
        steps: Vec<Step>,
    ) -> Cause {
        let mend = steps.into_iter().map(Mend::Step).collect();
        let (object, evidence) = (object.into(), evidence.into());
        let mut cause = Cause { code, object, evidence, mend, origin: Origin::NONE, line: None };
        cause.origin = self.scene.origin_of_cause(&cause);
        cause
    }

    pub(crate) fn object(&self, route: &Route, ns: &NsName) -> String {
        format!("route {route} in {}", self.scene.label(ns))
    }

    /// Several answer for one address.
    fn doubt(&self, trip: &Trip) -> Option<Cause> {
        let back = trip.back.iter().flat_map(|walked| &walked.doubts);
        let (addr, ends) = trip.forth.doubts.iter().chain(back).next()?;
        let scene = self.scene;
        let names: Vec<String> = ends.iter().map(|end| scene.label(&end.ns)).collect();
        let evidence = format!("{addr} is answered for by {}", names.join(" and by "));
        let meant = |ns: &NsName| scene.meant(ns).is_some_and(|meant| fib::owns(meant, *addr));
        let asked = self.question.to.as_ref();
        let mut strangers = ends.iter().filter(|end| match scene.all_meant() {
            Some(_) => !meant(&end.ns),
            None => Some(&end.ns) != asked,
        });
        let stranger = strangers.next_back().or(ends.last())?;
        let object = format!("{addr} on {}", scene.label(&stranger.ns));
        let steps = self.without_address(&stranger.ns, *addr);
        Some(self.cause("duplicate-address", object, evidence, steps))
    }

    /// What the stop itself says.
    fn stopped(&self) -> Option<Cause> {
        let ns = &self.walked.at;
        match self.walked.stop.as_ref() {
            None => self.wrong_place(ns),
            Some(Stop::Unknown(_)) => None,
            Some(Stop::NoRoute) => Some(self.no_route(ns)),
            Some(Stop::Dropped(route)) => Some(self.dropped(ns, route)),
            Some(Stop::Refused(rule)) => Some(self.refused(ns, rule)),
            Some(Stop::ByFilter(dropped)) => Some(self.by_filter(ns, dropped)),
            Some(Stop::Broadcast(dev)) => Some(self.broadcast(ns, dev)),
            Some(Stop::LoDown) => Some(self.lo_down(ns)),
            Some(Stop::NoSource(dev)) => Some(self.no_source(ns, dev)),
            Some(Stop::NotOwn(src)) => {
                let label = self.scene.label(ns);
                let evidence = format!("{label} has no address {src}");
                Some(self.cause("not-own-address", src.to_string(), evidence, Vec::new()))
            }
            Some(Stop::ByPort(dev)) => Some(self.by_port(ns, dev)),
            Some(Stop::Unresolved { dev, hop }) => self.unresolved(ns, dev, *hop),
            Some(Stop::TooBig { dev, mtu, by }) => Some(self.too_big(ns, dev, *mtu, by)),
            Some(Stop::TooWide { dev, mtu, room }) => self.too_wide_way(ns, dev, *mtu, *room),
            Some(Stop::Learned(mtu)) => Some(self.learned_mtu(ns, *mtu)),
            Some(Stop::UpperDown(end)) => Some(self.interface_down(&end.ns, &end.name)),
            Some(Stop::KeptApart(from, to)) => Some(self.kept_apart(from, to)),
            Some(Stop::VrfTakes { upper, vrf }) => Some(self.taken_by_vrf(upper, vrf)),
            Some(Stop::NotForwarded(dev)) => Some(self.not_forwarded(ns, dev)),
            Some(Stop::Martian(end)) => {
                let src = self.walked.src?;
                let evidence = format!(
                    "{} drops what comes from {src}, which is an address of its own",
                    self.scene.label(&end.ns)
                );
                let object = format!("{src} on {}", self.scene.label(&end.ns));
                let steps = self.without_address(&end.ns, src);
                Some(self.cause("duplicate-address", object, evidence, steps))
            }
            Some(Stop::TtlOver(ttl)) => Some(self.ttl_over(*ttl)),
            Some(Stop::ArpOff(dev)) => {
                Some(self.arp_off(&End { ns: ns.clone(), name: dev.clone() }))
            }
            Some(Stop::AsksNobody { dev, key }) => Some(self.asks_nobody(ns, dev, key)),
            Some(Stop::NoLink) => Some(self.no_link(ns)),
            Some(Stop::ArpSilent { end, key: "arp off" }) => Some(self.arp_off(end)),
            Some(Stop::ArpSilent { end, key }) => Some(self.arp_silent(end, key)),
            Some(Stop::WrongNeighbour { dev, hop, mac }) => {
                Some(self.wrong_neighbour(ns, dev, *hop, *mac))
            }
            Some(Stop::NobodyListens) => Some(self.nobody_listens(ns)),
            Some(Stop::Filtered(dev)) => Some(self.filtered(ns, dev)),
            Some(Stop::Loopback(dev)) => Some(self.loopback(ns, dev)),
            Some(Stop::Loop(circle)) => Some(self.circle(circle)),
            Some(Stop::OutsideVrf { vrf, key }) => Some(self.outside_vrf(ns, vrf, key)),
            Some(Stop::Tunnel(broken)) => self.broken(broken),
            Some(Stop::Nowhere(dev)) => Some(self.nowhere(ns, dev)),
            Some(Stop::VrfDown(vrf)) => Some(self.interface_down(ns, vrf)),
            Some(Stop::Ignored(key)) => {
                let label = self.scene.label(ns);
                let evidence = format!("{label} has {key} set");
                let (key, value) = ((*key).to_owned(), "0".to_owned());
                let step = Step::new(ns.clone(), Change::SetSysctl { key, value });
                Some(self.cause("echo-ignored", label, evidence, vec![step]))
            }
        }
    }

    /// It arrived at somebody who also has the address.
    fn wrong_place(&self, ns: &NsName) -> Option<Cause> {
        let label = self.scene.label(ns);
        let evidence = format!("{} is delivered at {label}, which has that address too", self.dst);
        let object = format!("{} on {label}", self.dst);
        let steps = self.without_address(ns, self.dst);
        Some(self.cause("duplicate-address", object, evidence, steps))
    }

    pub(crate) fn no_route(&self, ns: &NsName) -> Cause {
        let (scene, dst) = (self.scene, self.dst);
        let label = scene.label(ns);
        let link = self.question.link.as_ref().filter(|_| is_ipv6_link_local(dst));
        let is_down = |dev: &&IfName| scene.interface(ns, dev).is_some_and(|found| !found.up);
        if let Some(dev) = link.filter(is_down) {
            return self.interface_down(ns, dev);
        }
        if let Some(cause) = self.down_subnet(ns) {
            return cause;
        }
        let found = scene.ns(ns);
        let has_address = found.is_some_and(|found| {
            let all = found.interfaces.values().flat_map(|interface| &interface.addresses);
            all.map(|address| address.net.addr()).any(|addr| {
                addr.is_ipv4() == dst.is_ipv4() && !addr.is_loopback() && !link_local(addr)
            })
        });
        if !has_address {
            return self.no_address(ns);
        }
        let code = if self.is_back { "no-route-back" } else { "no-route" };
        let owners = scene.owners(dst);
        if owners.is_empty() {
            return self.nobody_has(dst);
        }
        if let Some(cause) = self.no_leak(ns) {
            return cause;
        }
        let near = suggest::neighbours(scene, ns)
            .into_iter()
            .find(|(_, far)| crate::walk::answers(scene, far, dst));
        let steps: Vec<Step> = suggest::route(scene, ns, dst, None).into_iter().collect();
        if let Some((dev, far)) = near {
            let own = scene.interface(ns, &dev).map(|i| i.addresses.clone()).unwrap_or_default();
            let own = own.iter().filter(|a| a.net.addr().is_ipv4() == dst.is_ipv4());
            let own: Vec<String> = own.map(ToString::to_string).collect();
            let evidence = format!(
                "{dst} is on the same link, at {}, but {label}:{dev} has {}, and no route of \
                 {label} says that {dst} is there",
                scene.port(&far.ns, &far.name),
                if own.is_empty() { "no address".to_owned() } else { own.join(", ") },
            );
            return self.cause("different-subnets", scene.port(ns, &dev), evidence, steps);
        }
        let evidence = format!("no route of {label} holds {dst}");
        self.cause(code, format!("route to {dst} in {label}"), evidence, steps)
    }

    /// An interface is down whose subnet holds the destination.
    fn down_subnet(&self, ns: &NsName) -> Option<Cause> {
        let found = self.scene.ns(ns)?;
        let (dev, _) = found.interfaces.iter().find(|(_, interface)| {
            let holds = |net: vnet_model::ipnet::IpNet| net.contains(&self.dst);
            !interface.up && interface.addresses.iter().any(|address| holds(address.net))
        })?;
        Some(self.interface_down(ns, dev))
    }

    pub(crate) fn interface_down(&self, ns: &NsName, dev: &IfName) -> Cause {
        let port = self.scene.port(ns, dev);
        let evidence = format!("{port} is down");
        self.cause("interface-down", port, evidence, self.restore(ns, dev))
    }

    fn no_address(&self, ns: &NsName) -> Cause {
        let label = self.scene.label(ns);
        let family = if self.dst.is_ipv4() { "IPv4" } else { "IPv6" };
        let evidence = format!("{label} has no {family} address but those of lo");
        self.cause("no-address", label, evidence, self.free_address(ns))
    }

    pub(crate) fn nobody_has(&self, addr: IpAddr) -> Cause {
        let evidence = format!("nobody has {addr}");
        self.cause("no-such-address", addr.to_string(), evidence, Vec::new())
    }

    pub(crate) fn dropped(&self, ns: &NsName, route: &Route) -> Cause {
        let code = match route.kind {
            RouteKind::Blackhole => "blackhole-route",
            RouteKind::Prohibit => "prohibit-route",
            _ => "unreachable-route",
        };
        let evidence = format!("{} drops packets to {}: `{route}`", self.scene.label(ns), self.dst);
        let step = Step::new(ns.clone(), Change::DelRoute(route.clone()));
        let mut cause = self.cause(code, self.object(route, ns), evidence, vec![step]);
        if let Some(meant) = self.scene.meant(ns).and_then(|meant| meant.routes.get(route)) {
            self.add_line(&mut cause, meant.origin, format!("the file asks for `{route}`"));
        }
        cause
    }

    pub(crate) fn add_line(&self, cause: &mut Cause, origin: Origin, text: String) {
        if origin.index().is_some() {
            cause.origin = cause.origin.or(origin);
            cause.mend.push(Mend::Line { origin, text });
        }
    }

    fn broadcast(&self, ns: &NsName, dev: &IfName) -> Cause {
        let dst = self.dst;
        let port = self.scene.port(ns, dev);
        let evidence = format!("{dst} is the broadcast address of {port}'s subnet");
        let owner = self.scene.owners(dst).into_iter().next();
        if owner.is_none() {
            let evidence = format!(
                "{evidence}: nobody has it, and hosts don't answer what goes to all \
                 (icmp_echo_ignore_broadcasts)"
            );
            return self.cause("broadcast-refused", dst.to_string(), evidence, Vec::new());
        }
        let object = match &owner {
            Some(owner) => format!("{dst} on {}", self.scene.label(owner)),
            None => dst.to_string(),
        };
        let steps = owner.map(|owner| self.other_address(&owner, dst)).unwrap_or_default();
        self.cause("broadcast-address", object, evidence, steps)
    }

    fn lo_down(&self, ns: &NsName) -> Cause {
        let label = self.scene.label(ns);
        let evidence = format!(
            "{} is an address of {label} itself: packets to it go through the `local` table and \
             leave by lo, which is down",
            self.dst
        );
        let lo = self
            .scene
            .ns(ns)
            .and_then(|found| found.interfaces.keys().find(|n| n.as_str() == LOOPBACK));
        let up = |lo: &IfName| set(ns, lo, LinkSetting::Up(true));
        self.cause("lo-down", format!("{label}:lo"), evidence, lo.map(up).into_iter().collect())
    }

    fn no_source(&self, ns: &NsName, dev: &IfName) -> Cause {
        let label = self.scene.label(ns);
        let evidence = format!("{label} has no address that packets by {dev} could come from");
        if let Some(cause) = self.narrow_address(ns, dev, &evidence) {
            return cause;
        }
        self.cause("no-source-address", label, evidence, self.free_address(ns))
    }

    fn by_port(&self, ns: &NsName, dev: &IfName) -> Cause {
        let port = self.scene.port(ns, dev);
        let master = self.scene.interface(ns, dev).and_then(|i| i.master.clone());
        let bridge = master.map(|bridge| bridge.to_string()).unwrap_or_default();
        let evidence = format!(
            "{port} is a port of the bridge {bridge}, so that answers go to the bridge and never \
             to {port}"
        );
        let meant = self.scene.meant_interface(ns, dev).is_some_and(|meant| meant.master.is_some());
        let mut steps = Vec::new();
        if !meant {
            steps.push(set(ns, dev, LinkSetting::Master(None)));
        }
        self.cause("address-on-port", port, evidence, steps)
    }

    /// A route leads to an interface that sends nothing.
    fn nowhere(&self, ns: &NsName, dev: &IfName) -> Cause {
        if self.scene.owners(self.dst).is_empty() {
            return self.nobody_has(self.dst);
        }
        let port = self.scene.port(ns, dev);
        let evidence = format!("{} is looked for by {port}, which sends nothing", self.dst);
        let last = self.walked.decisions.last().map(|decided| &decided.decision);
        let Some(Decision::Via { route, connected, .. }) = last else {
            return self.cause("route-astray", port, evidence, Vec::new());
        };
        let replaced = Some(route).filter(|_| !connected);
        let step = suggest::route(self.scene, ns, self.dst, replaced);
        self.cause("route-astray", self.object(route, ns), evidence, step.into_iter().collect())
    }

    pub(super) fn not_forwarded(&self, ns: &NsName, dev: &IfName) -> Cause {
        if self.scene.owners(self.dst).is_empty() {
            return self.nobody_has(self.dst);
        }
        let port = self.scene.port(ns, dev);
        let label = self.scene.label(ns);
        let ipv6 = self.dst.is_ipv6();
        let family = if ipv6 { "IPv6" } else { "IPv4" };
        let evidence = format!("{label} does not forward {family} packets that come in by {port}");
        let step = match ipv6 {
            true => Step::new(
                ns.clone(),
                Change::SetSysctl {
                    key: "net.ipv6.conf.all.forwarding".to_owned(),
                    value: "1".to_owned(),
                },
            ),
            false => set(ns, dev, LinkSetting::ForwardIpv4(true)),
        };
        let mut cause = self.cause("forwarding-off", port, evidence, vec![step]);
        if let Some(meant) = self.scene.meant(ns)
            && meant.interfaces.get(dev).is_some_and(|meant| meant.forward_ipv4 == Some(false))
        {
            self.add_line(&mut cause, meant.origin, format!("give {label} `forward: true`"));
        }
        cause
    }

    fn filtered(&self, ns: &NsName, dev: &IfName) -> Cause {
        let port = self.scene.port(ns, dev);
        let src = self.walked.src.map(|src| src.to_string()).unwrap_or_default();
        let evidence = format!("{port} checks sources, and the way back to {src} is not by it");
        self.cause("rp-filter", port, evidence, self.conf_off(ns, dev, "rp_filter"))
    }

    fn loopback(&self, ns: &NsName, dev: &IfName) -> Cause {
        let port = self.scene.port(ns, dev);
        let evidence = format!("{port} lets no address of 127.0.0.0/8 in or out");
        let key = conf_key(dev, ROUTE_LOCALNET);
        // Nobody else is better off for it.
        let meant = self.scene.meant(ns).and_then(|meant| meant.sysctls.get(&key)).cloned();
        let step = meant.map(|value| Step::new(ns.clone(), Change::SetSysctl { key, value }));
        self.cause("loopback-kept-in", port, evidence, step.into_iter().collect())
    }

    /// Sets a setting of IPv4 to 0, on an interface and on all.
    pub(crate) fn conf_off(&self, ns: &NsName, dev: &IfName, key: &str) -> Vec<Step> {
        let on =
            conf_keys(dev, key).into_iter().filter(|key| self.scene.sysctl_number(ns, key) != 0);
        let off = |key| Step::new(ns.clone(), Change::SetSysctl { key, value: "0".to_owned() });
        on.map(off).collect()
    }

    /// Finds the first in the circle that would have to send it elsewhere.
    fn circle(&self, circle: &[NsName]) -> Cause {
        if self.scene.owners(self.dst).is_empty() {
            return self.nobody_has(self.dst);
        }
        let names: Vec<String> = circle.iter().map(|ns| self.scene.label(ns)).collect();
        let evidence = format!(
            "packets to {} go round: {} -> {}",
            self.dst,
            names.join(" -> "),
            names.first().map(String::as_str).unwrap_or_default()
        );
        for ns in circle {
            let Decision::Via { route, connected: false, legs } =
                self.scene.lookup_to(ns, self.dst)
            else {
                continue;
            };
            let (Some((dev, _)), Some(step)) = (
                suggest::first_hop(self.scene, ns, self.dst),
                suggest::route(self.scene, ns, self.dst, Some(&route)),
            ) else {
                continue;
            };
            let better = match &step.change {
                Change::ReplaceRoute(new) => new.nexthops != route.nexthops,
                _ => false,
            };
            if better || !legs.iter().any(|leg| leg.dev == dev) {
                return self.cause("routing-loop", self.object(&route, ns), evidence, vec![step]);
            }
        }
        self.cause("routing-loop", names.join(", "), evidence, Vec::new())
    }
}

/// Makes a step that sets something of an interface.
pub(crate) fn set(ns: &NsName, dev: &IfName, set: LinkSetting) -> Step {
    Step::new(ns.clone(), Change::SetLink { name: dev.clone(), set })
}

/// Takes an address away and adds it anew, as the kernel then has one.
fn add_again(ns: &NsName, dev: &IfName, net: IpNet) -> [String; 2] {
    ["del", "add"].map(|verb| format!("ip -n {ns} addr {verb} {net} dev {dev}"))
}

impl Cause {
    /// Says that these commands mend it, at the end of what does.
    fn by(mut self, text: impl Into<String>, commands: Vec<String>, effect: Effect) -> Self {
        self.mend.push(Mend::Command { text: text.into(), commands, effect });
        self
    }
}

pub(crate) fn link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}
