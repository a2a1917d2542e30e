//! One direction of a packet's way, hop by hop, as the kernel would take it.

mod frames;
mod hooks;
mod ipvlan;
mod neighbour;
mod stop;
mod tunnel;
mod vrf;
mod way;

use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::nft::Hook;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{End, IfName, Mac, NextHop, NsName, Origin, Packet, Route, Rule};

use crate::fib::{self, Decision, Flowi};
use crate::filter::{Done, Flow, Header};
use crate::scene::Scene;
use crate::tunnel::{Heard, Medium};
use crate::{By, Hop};

pub(crate) use frames::Learned;
use neighbour::accepts;
pub(crate) use neighbour::{
    Misled, PROXY_ARP, answers, answers_for_others, asked, leads_elsewhere,
};
pub(crate) use stop::{Limit, Stop};

/// The setting that lets addresses of loopback leave and come in.
pub(crate) const ROUTE_LOCALNET: &str = "route_localnet";

/// After how many namespaces a packet goes round in circles for sure.
const HOPS_MAX: usize = 256;

/// A packet to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) from: NsName,
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: IpAddr,
    /// The length of the IP packet in bytes.
    pub(crate) size_bytes: u32,
    /// Whether it must not be fragmented.
    pub(crate) df: bool,
    /// What is asked.
    pub(crate) packet: Packet,
    /// Whether it is the answer to that.
    pub(crate) is_answer: bool,
    /// Whether it is ICMP's word that a packet could not get further.
    pub(crate) is_error: bool,
    /// The port it comes from, where it is known.
    pub(crate) sport: Option<u16>,
    /// The port it goes to, where it is known.
    pub(crate) dport: Option<u16>,
    /// The protocol of a packet that carries another, with its time to live where that is said.
    pub(crate) outer: Option<(u8, Option<u32>)>,
    /// The mark that it is sent with.
    pub(crate) mark: u32,
    /// The interface that it may leave by alone.
    pub(crate) oif: Option<IfName>,
    /// The interface that it leaves by where two routes are alike.
    pub(crate) prefers: Option<IfName>,
    /// The VRF that it is sent in.
    pub(crate) vrf: Option<IfName>,
    /// The interface on whose link a link-local destination is.
    pub(crate) link: Option<IfName>,
    /// What the way there has noted down, for an answer.
    pub(crate) flows: Vec<Flow>,
    /// The same of the packets that carried it.
    pub(crate) outer_flows: Vec<Flow>,
    /// Which devices have heard from which on the way there.
    pub(crate) heard: Vec<Heard>,
    /// What it has left behind on links.
    pub(crate) learned: Learned,
}

/// A routing decision on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) ns: NsName,
    /// The packet as it was there.
    pub(crate) packet: Flowi,
    pub(crate) decision: Decision,
}

/// How far a packet got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) hops: Vec<Hop>,
    pub(crate) decisions: Vec<Decided>,
    /// The source it left with.
    pub(crate) left_with: Option<IpAddr>,
    /// Its source where it is: translation changes it.
    pub(crate) src: Option<IpAddr>,
    /// Its destination where it is.
    pub(crate) dst: IpAddr,
    /// The port it goes to.
    pub(crate) dport: Option<u16>,
    /// What namespaces have noted down of it.
    pub(crate) flows: Vec<Flow>,
    /// The same of the packets that carried it.
    pub(crate) outer_flows: Vec<Flow>,
    /// Which devices have heard from which.
    pub(crate) heard: Vec<Heard>,
    /// What it has left behind on links.
    pub(crate) learned: Learned,
    /// The VRF that it is in where it is, and so its answer.
    pub(crate) vrf: Option<IfName>,
    /// The interface by which it came where it is; none where it began.
    pub(crate) came_by: Option<IfName>,
    /// Where it is: delivered, or stopped.
    pub(crate) at: NsName,
    pub(crate) stop: Option<Stop>,
    /// How many legs there were to choose from, wherever there were several.
    pub(crate) choices: Vec<usize>,
    /// Which it took there.
    pub(crate) picked: Vec<usize>,
    /// Addresses for which several answer, with those.
    pub(crate) doubts: Vec<(IpAddr, Vec<End>)>,
    /// Who has the same hardware address on a link.
    pub(crate) twins: Vec<(Mac, [End; 2])>,
    /// Neighbour entries by which it went to somebody else than the next hop.
    pub(crate) misled: Vec<Misled>,
    /// What it met that is not modelled.
    pub(crate) unknown: Vec<String>,
    /// The interfaces that it passed, ports of bridges too.
    pub(crate) touched: Vec<End>,
    /// Who still has it: it waits for a neighbour that does not answer, or has learned that it is too long.
    pub(crate) waits: Option<NsName>,
    /// Who has sent the frame that is dropped where it is, by who only passes it on.
    pub(crate) framed_by: Option<NsName>,
    /// Whose ipvlan sent it into the namespace where it is, by no interface of that.
    pub(crate) sent_by: Option<NsName>,
}

/// Sends a packet. `legs` says which leg to take at each route with several; the first where it
/// says nothing.
pub(crate) fn walk(scene: &Scene<'_>, packet: &Sent, legs: &[usize]) -> Walked {
    let walked = Walked {
        hops: Vec::new(),
        decisions: Vec::new(),
        left_with: packet.src,
        src: packet.src,
        dst: packet.dst,
        dport: packet.dport,
        flows: Vec::new(),
        outer_flows: Vec::new(),
        heard: Vec::new(),
        learned: Learned::default(),
        vrf: packet.vrf.clone(),
        came_by: None,
        at: packet.from.clone(),
        stop: None,
        choices: Vec::new(),
        picked: Vec::new(),
        doubts: Vec::new(),
        twins: Vec::new(),
        misled: Vec::new(),
        unknown: Vec::new(),
        touched: Vec::new(),
        waits: None,
        framed_by: None,
        sent_by: None,
    };
    let header = Header {
        src: packet.src,
        dst: packet.dst,
        packet: packet.packet,
        is_answer: packet.is_answer,
        is_error: packet.is_error,
        icmp: None,
        sport: packet.sport,
        dport: packet.dport,
        len: packet.df.then_some(packet.size_bytes),
        ttl: None,
        outer: packet.outer.map(|(protocol, _)| protocol),
        mark: Some(packet.mark),
        done: Done::default(),
    };
    let came = header.clone();
    let mut walk = Walk {
        scene,
        packet,
        legs,
        walked,
        came_in: None,
        bound: None,
        turned_out: None,
        header,
        came,
        is_out: false,
        is_rerouted: false,
        entered: Vec::new(),
    };
    walk.walked.stop = walk.run().err();
    walk.walked.came_by = walk.came_in.take();
    walk.unlearned();
    walk.walked
}

struct Walk<'s, 'a> {
    scene: &'s Scene<'a>,
    packet: &'s Sent,
    legs: &'s [usize],
    walked: Walked,
    /// The interface that it came in by; none where it begins.
    came_in: Option<IfName>,
    /// The interface that it may leave by alone, where an ipvlan on that sent it.
    bound: Option<IfName>,
    /// The ipvlan that sent it there, with the one beside it that it is for: it is to come back to that.
    turned_out: Option<(End, End)>,
    /// The packet as it is, and as it came to the namespace where it is.
    header: Header,
    came: Header,
    /// Whether it has passed the filters of its own namespace, and is only routed again.
    is_out: bool,
    /// Whether rules that its own namespace ran on it have changed by what it is routed.
    is_rerouted: bool,
    /// The VRFs that it was sent into since it came in.
    entered: Vec<IfName>,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> Result<(), Stop> {
        if is_ipv6_link_local(self.packet.dst) && self.packet.link.is_none() {
            return Err(Stop::NoLink);
        }
        if let Some(src) = self.packet.src
            && !self.scene.is_local(&self.packet.from, self.packet.vrf.as_ref(), src)
        {
            return Err(Stop::NotOwn(src));
        }
        if self.packet.dst.is_multicast() {
            let text = format!("{} is a group, and who joined it is not known", self.packet.dst);
            return Err(Stop::Unknown(text));
        }
        let mut passed = Vec::new();
        let mut ttl = self.packet.outer.and_then(|(_, ttl)| ttl);
        loop {
            if self.is_taken()? {
                continue;
            }
            let ns = self.walked.at.clone();
            if !self.is_out {
                self.meet(&ns);
                self.came = self.header.clone();
            }
            if let Some(dev) = self.came_in.clone() {
                self.hook(&ns, Hook::Prerouting, Some(&dev), None)?;
                for addr in [Some(self.header.dst), self.header.src] {
                    self.keep_in(&ns, &dev, addr)?;
                }
                if self.is_taken_by_l3s()? {
                    let (ns, dst) = (self.walked.at.clone(), self.header.dst);
                    self.hop(&ns, None, By::Local, format!("{dst} is its own address: delivered"));
                    return self.reach_programs(&ns);
                }
            }
            if let Some(vrf) = self.walked.vrf.clone().filter(|_| self.came_in.is_none()) {
                self.enter_vrf(&ns, &vrf)?;
            }
            let (packet, (decision, rule)) = self.decide(&ns);
            let decision = match self.bound.clone() {
                Some(dev) => self.by_bound(&dev, decision)?,
                None => decision,
            };
            if let Some(rule) = rule {
                self.hop(&ns, None, By::Rule, rule.to_string());
            }
            self.walked.decisions.push(Decided {
                ns: ns.clone(),
                packet,
                decision: decision.clone(),
            });
            let (route, connected, legs) = match decision {
                Decision::Local => match self.deliver(&ns)? {
                    true => return Ok(()),
                    false => continue,
                },
                Decision::Broadcast { dev } => return Err(Stop::Broadcast(dev)),
                Decision::Dropped { route } => return Err(Stop::Dropped(route)),
                Decision::Refused { rule } => return Err(Stop::Refused(Box::new(rule))),
                Decision::Untold { rule } => {
                    let label = self.scene.label(&ns);
                    let text = format!("{label} has a policy rule that can't be evaluated: {rule}");
                    return Err(Stop::Unknown(text));
                }
                Decision::None => return Err(Stop::NoRoute),
                Decision::Via { route, connected, legs } => match &self.packet.prefers {
                    Some(dev) if passed.is_empty() => self.preferred(dev, (route, connected, legs)),
                    _ => (route, connected, legs),
                },
            };
            let oif = self.packet.oif.as_ref().filter(|_| passed.is_empty());
            if let Some(oif) = oif.filter(|oif| legs.iter().any(|leg| leg.dev != **oif)) {
                let text = format!("it may leave by {oif} alone, and its route leads elsewhere");
                return Err(Stop::Unknown(text));
            }
            let here = (ns.clone(), self.walked.vrf.clone());
            if passed.contains(&here) || passed.len() > HOPS_MAX {
                let start = passed.iter().position(|known| *known == here).unwrap_or(0);
                let circle = passed.split_off(start).into_iter().map(|(ns, _)| ns);
                return Err(Stop::Loop(circle.collect()));
            }
            if let Some(dev) = self.came_in.clone() {
                self.check_source(&ns, &dev)?;
                if !self.scene.forwards(&ns, &dev, self.header.dst.is_ipv6()) {
                    return Err(Stop::NotForwarded(dev));
                }
                if let Some(ttl) = ttl.filter(|ttl| passed.len() >= *ttl as usize) {
                    return Err(Stop::TtlOver(ttl));
                }
            }
            let leg = self.choose(&legs);
            ttl = ttl.or_else(|| Some(self.ttl(&ns, &route, &leg)));
            self.count_down(ttl);
            if self.leave(&ns, &route, connected, &leg)? {
                self.is_out = false;
                passed.push(here);
            }
        }
    }

    /// Writes into the packet how many nodes it may still pass: what it begins with, and one less where
    /// it is passed on (`ip_forward`, net/ipv4/ip_forward.c, before it comes to filters).
    fn count_down(&mut self, begins_with: Option<u32>) {
        // What an outer packet takes from the inner one is not followed.
        let is_known = self.packet.outer.is_none_or(|(_, ttl)| ttl.is_some());
        self.header.ttl = match (&self.came_in, self.entered.is_empty()) {
            (None, _) => begins_with.filter(|_| is_known),
            (Some(_), true) => self.header.ttl.and_then(|ttl| ttl.checked_sub(1)),
            (Some(_), false) => self.header.ttl,
        };
    }

    /// Notes what stands in a namespace that is not evaluated.
    fn meet(&mut self, ns: &NsName) {
        let label = self.scene.label(ns);
        if self.scene.has_untried_text(ns) {
            let what = "`nftables:`, which only a kernel can tell the rules of";
            self.walked.unknown.push(format!("{label} filters packets by {what}"));
        }
        let Some(facts) = self.scene.facts(ns) else { return };
        self.walked.unknown.extend(facts.ipsec.iter().map(|what| format!("{label} has {what}")));
        let src = self.header.src;
        let is_for_it = |(dst, from): &&(IpNet, IpNet)| {
            dst.contains(&self.header.dst) && src.is_none_or(|src| from.contains(&src))
        };
        let sourced = facts.sourced.iter().filter(is_for_it);
        let what = "a route for what comes from";
        let sourced = sourced.map(|(dst, from)| format!("{label} has {what} {from} alone: {dst}"));
        self.walked.unknown.extend(sourced);
        let is_read =
            |name: &String| facts.tables.iter().any(|table| table.id.to_string() == *name);
        let unread: Vec<&str> =
            facts.filters.iter().filter(|name| !is_read(name)).map(String::as_str).collect();
        if !unread.is_empty() {
            self.walked.unknown.push(format!("{label} filters packets: {}", unread.join(", ")));
        }
    }

    /// Asks the tables what becomes of it here.
    fn decide(&self, ns: &NsName) -> (Flowi, (Decision, Option<Rule>)) {
        let header = &self.header;
        let mut packet = Flowi {
            src: header.src,
            dst: header.dst,
            iif: self.came_in.clone(),
            vrf: self.walked.vrf.clone().filter(|_| self.came_in.is_none()),
            link: self.packet.link.clone().filter(|_| self.came_in.is_none()),
            mark: header.mark,
            protocol: Some(header.protocol()),
            sport: header.sport,
            dport: header.dport,
        };
        let decided = self.scene.decide(ns, &packet);
        let by_port = self.packet.packet != Packet::Icmp && packet.dst.is_ipv4();
        if let Decision::Via { route, legs, .. } = &decided.0
            && packet.src.is_none()
            && by_port
            && !self.scene.rules(ns).is_empty()
            && let (Some(found), Some(leg)) = (self.scene.ns(ns), legs.first())
        {
            // Who connects asks again when it has a source (`ip_route_connect`, net/route.h).
            let known = self.scene.known(ns);
            packet.src = fib::source(found, known, route, leg, packet.dst);
            return (packet.clone(), self.scene.decide(ns, &packet));
        }
        (packet, decided)
    }

    /// Takes a route by an interface where one is like that which was found.
    fn preferred(
        &self,
        dev: &IfName,
        (route, connected, legs): (Route, bool, Vec<NextHop>),
    ) -> (Route, bool, Vec<NextHop>) {
        if legs.iter().any(|leg| leg.dev == *dev) {
            return (route, connected, legs);
        }
        let alike = self.alike_by(&route, dev).filter(|(alike, _)| alike.metric == route.metric);
        alike.map_or((route, connected, legs), |(alike, legs)| (alike, connected, legs))
    }

    /// Finds another route of the same prefix by an interface, with its legs that are alive.
    fn alike_by(&self, route: &Route, dev: &IfName) -> Option<(Route, Vec<NextHop>)> {
        let ns = &self.walked.at;
        let found = self.scene.ns(ns)?;
        let derived = self.scene.kernel_routes(ns).map_or_else(|| fib::connected(found), Vec::from);
        let is_like = |other: &&Route| other.dst == route.dst && other.table == route.table;
        let mut all = derived.iter().chain(&found.routes).filter(is_like);
        all.find_map(|other| {
            let legs = fib::alive(found, other);
            legs.iter().any(|leg| leg.dev == *dev).then(|| (other.clone(), legs))
        })
    }

    fn choose(&mut self, legs: &[NextHop]) -> NextHop {
        if legs.len() == 1 {
            return legs[0].clone();
        }
        let wanted = self.legs.get(self.walked.choices.len()).copied().unwrap_or(0);
        let wanted = wanted.min(legs.len() - 1);
        self.walked.choices.push(legs.len());
        self.walked.picked.push(wanted);
        legs[wanted].clone()
    }

    fn hop(&mut self, ns: &NsName, interface: Option<&IfName>, by: By, text: String) {
        let node = self.scene.label(ns);
        self.walked.hops.push(Hop {
            ns: ns.clone(),
            node,
            interface: interface.cloned(),
            by,
            text,
            origin: Origin::NONE,
            line: None,
        });
    }

    /// Delivers a packet here; tells whether it did: a translation may have sent it elsewhere.
    fn deliver(&mut self, ns: &NsName) -> Result<bool, Stop> {
        let dst = self.header.dst;
        match self.came_in.clone() {
            None => {
                if !self.loop_back(ns)? {
                    return Ok(false);
                }
            }
            Some(dev) => {
                self.check_source(ns, &dev)?;
                self.hook(ns, Hook::Input, Some(&dev), None)?;
                self.note(ns);
                self.hop(ns, None, By::Local, format!("{dst} is its own address: delivered"));
            }
        }
        self.reach_programs(ns).map(|()| true)
    }

    /// Gives a packet to the programs of the namespace that it is for, or to the kernel there.
    fn reach_programs(&mut self, ns: &NsName) -> Result<(), Stop> {
        let dst = self.header.dst;
        if self.header.outer.is_some() {
            return Ok(());
        }
        if let Some(stop) = self.is_kept_from_programs(ns) {
            return Err(stop);
        }
        if !self.packet.is_answer && self.nobody_listens(ns) {
            return Err(Stop::NobodyListens);
        }
        let key = match dst.is_ipv4() {
            true => "net.ipv4.icmp_echo_ignore_all",
            false => "net.ipv6.icmp.echo_ignore_all",
        };
        let is_echo = self.packet.packet == Packet::Icmp && !self.packet.is_answer;
        match is_echo && self.scene.sysctl_number(ns, key) != 0 {
            true => Err(Stop::Ignored(key)),
            false => Ok(()),
        }
    }

    /// Sends a packet by `lo`, or by the VRF that it is in (`ip_route_output_key_hash_rcu`,
    /// `ip6_route_output`), and takes it in again; tells whether it still goes there.
    fn loop_back(&mut self, ns: &NsName) -> Result<bool, Stop> {
        let dst = self.header.dst;
        let lo = self.walked.vrf.as_ref().map_or(vnet_model::apply::LOOPBACK, IfName::as_str);
        let lo = self.scene.ns(ns).and_then(|found| found.interfaces.get_key_value(lo));
        if lo.is_some_and(|(_, lo)| !lo.up) {
            return Err(Stop::LoDown);
        }
        self.come_from(dst);
        if let Some((lo, _)) = lo {
            if !self.is_out {
                self.hook(ns, Hook::Output, None, Some(lo))?;
            }
            if self.header.dst != dst || std::mem::take(&mut self.is_rerouted) {
                self.is_out = true;
                return Ok(false);
            }
            self.hook(ns, Hook::Postrouting, None, Some(lo))?;
            self.note(ns);
            let end = End { ns: ns.clone(), name: lo.clone() };
            self.pass_interface(&end, Hook::Egress)?;
            self.pass_interface(&end, Hook::Ingress)?;
            self.hook(ns, Hook::Prerouting, Some(lo), None)?;
            self.hook(ns, Hook::Input, Some(lo), None)?;
        }
        if let Some((lo, _)) = lo {
            self.known_by(ns, lo)?;
        }
        let by = lo.map_or("lo", |(lo, _)| lo.as_str());
        self.hop(ns, None, By::Local, format!("{dst} is its own address: by {by}"));
        Ok(true)
    }

    /// Gives it a source, where it has none yet.
    fn come_from(&mut self, src: IpAddr) {
        if self.header.src.is_none() {
            // It began with that: nothing was translated.
            (self.header.src, self.came.src) = (Some(src), Some(src));
            (self.walked.src, self.walked.left_with) = (Some(src), Some(src));
        }
    }

    /// Checks where a packet that came in says that it comes from (`fib_validate_source`,
    /// net/ipv4/fib_frontend.c). IPv6 has no such check.
    fn check_source(&self, ns: &NsName, dev: &IfName) -> Result<(), Stop> {
        let Some(src @ IpAddr::V4(_)) = self.walked.src else { return Ok(()) };
        accepts(self.scene, ns, dev, src)
    }

    fn leave(
        &mut self,
        ns: &NsName,
        route: &Route,
        connected: bool,
        leg: &NextHop,
    ) -> Result<bool, Stop> {
        let dst = self.header.dst;
        let by = if connected { By::Connected } else { By::Route };
        self.hop(ns, Some(&leg.dev), by, described(route, connected, leg));
        let Some(interface) = self.scene.interface(ns, &leg.dev) else {
            return Err(Stop::NoRoute);
        };
        let out = End { ns: ns.clone(), name: leg.dev.clone() };
        match self.scene.medium(&out) {
            Medium::Vrf => return self.leave_by_vrf(ns, route, leg),
            Medium::Below => return self.leave_by_ipvlan(ns, route, leg),
            Medium::Tunnel(carrier) if carrier.is_ethernet => {}
            Medium::Tunnel(_) | Medium::Wireguard => return self.leave_by_tunnel(ns, route, leg),
            Medium::Nowhere => return Err(Stop::Nowhere(leg.dev.clone())),
            Medium::Wire => {}
            Medium::Unknown => {
                let kind = match interface.kind.name() {
                    "" => "of an unknown kind",
                    kind => kind,
                };
                let port = self.scene.port(ns, &leg.dev);
                let unseen = self.scene.unseen_below(&out);
                let text =
                    unseen.unwrap_or_else(|| format!("{port} is {kind}, which is not followed"));
                return Err(Stop::Unknown(text));
            }
        }
        if self.scene.bridge_of(&out).is_some() {
            return Err(Stop::ByPort(leg.dev.clone()));
        }
        let mtu = interface.mtu.unwrap_or(vnet_model::state::MTU_DEFAULT_BYTES);
        if !self.pass_out(ns, route, leg, Some(mtu))? {
            return Ok(false);
        }
        let hop = leg.via.unwrap_or(dst);
        let (room, _) = self.room(ns, route, leg, mtu);
        let size = self.packet.size_bytes.min(room);
        let station = self.resolve(ns, &leg.dev, hop, size).map_err(|stop| match stop {
            Stop::Unresolved { dev, .. } if size > mtu => Stop::TooWide { dev, mtu, room },
            stop => stop,
        });
        let station = station.map_err(|stop| self.not_turned_back(stop))?;
        self.keep_apart(&out, &station.end)?;
        self.pass_trail(&out, &station)?;
        self.doubt_bridges(&station);
        let there = self.scene.port(&station.end.ns, &station.end.name);
        for crossed in &station.crossed {
            self.cross(crossed);
        }
        for ports in station.ports.chunks(2) {
            let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            let text = format!("bridge, port {}", names.join(" to port "));
            self.hop(&ports[0].ns, ports.last().map(|port| &port.name), By::Port, text);
        }
        self.hop(ns, Some(&leg.dev), By::Neighbour, format!("{hop} is at {there}"));
        self.walked.touched.push(End { ns: ns.clone(), name: leg.dev.clone() });
        self.walked.touched.extend(station.ports.iter().chain([&station.end]).cloned());
        self.come_in(station.end);
        Ok(true)
    }

    /// Gets as far as the interface it leaves by: has a source, passes the filters, and fits. Tells
    /// whether it still goes that way: a translation may have sent it another.
    fn pass_out(
        &mut self,
        ns: &NsName,
        route: &Route,
        leg: &NextHop,
        mtu: Option<u32>,
    ) -> Result<bool, Stop> {
        self.choose_source(ns, route, leg)?;
        self.keep_in(ns, &leg.dev, self.header.src)?;
        if !self.pass_filters(ns, leg)? {
            return Ok(false);
        }
        let room = mtu.map(|mtu| self.room(ns, route, leg, mtu));
        match room.filter(|(room, _)| self.packet.df && self.packet.size_bytes > *room) {
            Some((mtu, by)) => Err(Stop::TooBig { dev: leg.dev.clone(), mtu, by }),
            None => Ok(true),
        }
    }

    /// Gives it a source where it has none yet.
    fn choose_source(&mut self, ns: &NsName, route: &Route, leg: &NextHop) -> Result<(), Stop> {
        if self.header.src.is_none() {
            let found = self.scene.ns(ns);
            let (known, dst) = (self.scene.known(ns), self.header.dst);
            let src = found.and_then(|found| fib::source(found, known, route, leg, dst));
            self.come_from(src.ok_or_else(|| Stop::NoSource(leg.dev.clone()))?);
        }
        Ok(())
    }

    /// Keeps addresses of loopback from a wire (`__mkroute_output` and `ip_route_input_slow`,
    /// net/ipv4/route.c): by none do they leave, or come in, unless it is set to let them.
    fn keep_in(&self, ns: &NsName, dev: &IfName, addr: Option<IpAddr>) -> Result<(), Stop> {
        let is_kept = matches!(addr, Some(IpAddr::V4(addr)) if addr.is_loopback())
            && dev.as_str() != vnet_model::apply::LOOPBACK
            && self.scene.conf(ns, dev, ROUTE_LOCALNET) == 0;
        if is_kept { Err(Stop::Loopback(dev.clone())) } else { Ok(()) }
    }

    /// Comes to a namespace by an interface of it.
    fn come_in(&mut self, end: End) {
        self.entered.clear();
        (self.bound, self.turned_out, self.walked.sent_by) = (None, None, None);
        self.header.done.is_untracked = false;
        let is_here = self.walked.at == end.ns;
        self.header.mark = self.header.mark.filter(|mark| *mark == 0 || is_here);
        self.walked.vrf = self.scene.vrf_of(&end.ns, &end.name);
        self.walked.at = end.ns;
        self.came_in = Some(end.name);
    }
}

/// Says what a route does, in the words of `ip route`.
pub(crate) fn described(route: &Route, connected: bool, leg: &NextHop) -> String {
    let shown = Route { src: if connected { None } else { route.src }, ..route.clone() };
    match (connected, route.nexthops.len()) {
        (true, _) => format!("{} dev {} (connected)", route.dst, leg.dev),
        (_, 0 | 1) => shown.to_string(),
        (_, count) => {
            let via = leg.via.map(|via| format!(" via {via}")).unwrap_or_default();
            format!("{}{via} dev {} (one of {count} legs)", route.dst, leg.dev)
        }
    }
}
