//! What the sender is told by ICMP, or should have been; and hardware addresses that two have.

use std::net::IpAddr;

use vnet_model::{Change, End, IfName, LinkSetting, Metric, NsName, Packet, Step};

use super::{Case, add_again, set};
use crate::fib::{self, Decision};
use crate::filter::Dropped;
use crate::scene::{TTL_DEFAULT, ttl_key};
use crate::travel::Trip;
use crate::walk::{Sent, Stop, walk};
use crate::{Cause, Effect, Mend, suggest};

/// How often a neighbour is asked for where nobody set that (`neigh_parms`, net/ipv4/arp.c).
const SOLICIT_DEFAULT: &str = "3";

/// The longest ICMP error (RFC 1812, section 4.3.2.3).
const ERROR_BYTES: u32 = 576;

impl Case<'_, '_> {
    /// Its time to live is too small for the way.
    pub(super) fn ttl_over(&self, ttl: u32) -> Cause {
        let sender = match self.is_back {
            false => &self.question.from,
            true => self.walked.decisions.first().map_or(&self.walked.at, |first| &first.ns),
        };
        let label = self.scene.label(sender);
        let evidence = format!(
            "{label} sends packets with a time to live of {ttl}, which ends at {}",
            self.scene.label(&self.walked.at)
        );
        let first = self.walked.decisions.first().map(|first| &first.decision);
        let Some(Decision::Via { route, legs, .. }) = first else {
            return self.cause("ttl-too-small", label, evidence, Vec::new());
        };
        if route.metrics.contains_key(&Metric::Hoplimit) {
            let evidence = format!("{evidence}: `{route}`");
            let steps = self.without(sender, route, Metric::Hoplimit, |meant| meant > ttl);
            return self.cause("ttl-too-small", self.object(route, sender), evidence, steps);
        }
        let Some(leg) = legs.first() else {
            return self.cause("ttl-too-small", label, evidence, Vec::new());
        };
        let key = ttl_key(&leg.dev, self.dst.is_ipv6());
        let value = TTL_DEFAULT.to_string();
        let step = Step::new(sender.clone(), Change::SetSysctl { key, value });
        self.cause("ttl-too-small", label, evidence, vec![step])
    }

    /// Who drops ICMP's word that a packet is too big on its way to the sender.
    pub(super) fn unheard(&self, ns: &NsName) -> Option<(NsName, Box<Dropped>)> {
        if self.walked.decisions.len() < 2 {
            return None;
        }
        let error = Sent {
            from: ns.clone(),
            src: None,
            dst: self.walked.src?,
            size_bytes: ERROR_BYTES,
            df: false,
            packet: Packet::Icmp,
            outer: None,
            mark: 0,
            oif: None,
            prefers: None,
            vrf: self.walked.vrf.clone(),
            link: self.walked.came_by.clone(),
            is_answer: true,
            is_error: true,
            sport: None,
            dport: None,
            flows: self.walked.flows.clone(),
            outer_flows: self.walked.outer_flows.clone(),
            heard: Vec::new(),
            learned: self.walked.learned.clone(),
        };
        let walked = walk(self.scene, &error, &[]);
        match walked.stop {
            Some(Stop::ByFilter(dropped)) if dropped.asks.is_none() => Some((walked.at, dropped)),
            _ => None,
        }
    }

    /// A packet is too big, and its sender never learns.
    pub(super) fn black_hole(&self, at: (NsName, Box<Dropped>), fits: Cause) -> Cause {
        let (ns, dropped) = at;
        let label = self.scene.label(&ns);
        let evidence = format!(
            "{}; ICMP's word of that is {} on {label}, so that the sender never learns",
            fits.evidence,
            dropped.text()
        );
        let mut cause = Cause { code: "mtu-black-hole", evidence, ..fits };
        let Dropped { table, chain: _, base, .. } = &*dropped;
        let kind = match self.dst {
            IpAddr::V4(_) => "icmp type destination-unreachable",
            IpAddr::V6(_) => "icmpv6 type packet-too-big",
        };
        let words = format!("insert rule {table} {base} {kind} accept");
        let commands = vec![vnet_iproute::nft_words(&ns, &words).to_string()];
        let text = format!("~ chain {base} of table {table} on {label}");
        let effect = Effect::LetThrough(ns, table.clone(), base.clone());
        cause.mend.insert(0, Mend::Command { text, commands, effect });
        cause
    }

    /// An interface asks no neighbours and answers none.
    pub(super) fn arp_off(&self, end: &End) -> Cause {
        let port = self.scene.port(&end.ns, &end.name);
        let evidence = format!("{port} neither asks neighbours nor answers them: `arp off`");
        let commands = vec![format!("ip -n {} link set dev {} arp on", end.ns, end.name)];
        let (text, effect) = (format!("~ {port}"), Effect::Resolves(end.clone()));
        self.cause("arp-off", port, evidence, Vec::new()).by(text, commands, effect)
    }

    /// The addresses of an interface are for its link alone, or for the node.
    pub(super) fn narrow_address(
        &self,
        ns: &NsName,
        dev: &IfName,
        evidence: &str,
    ) -> Option<Cause> {
        let scopes = self.scene.known(ns).scopes?;
        let mut own = self.scene.interface(ns, dev)?.addresses.iter().map(|address| address.net);
        let net = own.find(|net| scopes.contains_key(&net.addr()))?;
        let evidence = format!("{evidence}: {net} is not for everywhere (its scope)");
        let object = format!("{net} on {}", self.scene.port(ns, dev));
        let (text, effect) = (format!("~ {object}"), Effect::Widened(ns.clone()));
        let cause = self.cause("no-source-address", object, evidence, Vec::new());
        let mut cause = cause.by(text, add_again(ns, dev, net).to_vec(), effect);
        cause.mend.extend(self.routes_by(ns, dev).into_iter().map(Mend::Step));
        Some(cause)
    }

    /// An interface asks for no neighbour that it does not know.
    pub(super) fn asks_nobody(&self, ns: &NsName, dev: &IfName, key: &str) -> Cause {
        let port = self.scene.port(ns, dev);
        let evidence = format!("{port} asks for no neighbour that it does not know: {key} is 0");
        let (key, value) = (key.to_owned(), SOLICIT_DEFAULT.to_owned());
        let step = Step::new(ns.clone(), Change::SetSysctl { key, value });
        self.cause("neighbours-not-asked", port, evidence, vec![step])
    }

    /// The queue of an interface drops all that is to leave by it.
    pub(super) fn queue_drops(&self, end: &End, words: &str) -> Cause {
        let port = self.scene.port(&end.ns, &end.name);
        let evidence = format!("the queue of {port} drops all that is to leave by it: `{words}`");
        let commands = vec![format!("tc -n {} qdisc del dev {} root", end.ns, end.name)];
        let (text, effect) = (format!("~ queue of {port}"), Effect::Unqueued(end.clone()));
        self.cause("queue-drops", port, evidence, Vec::new()).by(text, commands, effect)
    }

    /// An address that is there, and that no table says to be the namespace's own.
    pub(super) fn unrouted(&self, ns: &NsName, addr: IpAddr) -> Option<Cause> {
        let (dev, _) = self.scene.ns(ns).and_then(|found| fib::holder(found, addr))?;
        let label = self.scene.label(ns);
        let evidence = format!(
            "{label} has {addr} on {dev}, but the route of the table `local` is gone by which what goes there \
             is its own"
        );
        let words = match addr.is_ipv4() {
            true => format!("scope host src {addr}"),
            false => "metric 0".to_owned(),
        };
        let commands = vec![format!(
            "ip -n {ns} route add local {addr} dev {dev} table local proto kernel {words}"
        )];
        let object = format!("{addr} on {label}");
        let cause = self.cause("local-route-missing", object, evidence, Vec::new());
        Some(cause.by(format!("+ local {addr}"), commands, Effect::Owned(ns.clone(), addr)))
    }

    /// The destination is of a link, and it is not said of which.
    pub(super) fn no_link(&self, ns: &NsName) -> Cause {
        let dst = self.dst;
        let near = suggest::neighbours(self.scene, ns).into_iter().find(|(_, far)| {
            let held = self.scene.end(far).into_iter().flat_map(|it| &it.addresses);
            held.map(|address| address.net.addr()).any(|addr| addr == dst)
        });
        let how = match near {
            Some((dev, far)) => {
                let there = self.scene.port(&far.ns, &far.name);
                format!("`{dst}%{dev}` is {there}")
            }
            None => format!("say `{dst}%INTERFACE`"),
        };
        let evidence = format!("{dst} is a link-local address, and every link has its own: {how}");
        self.cause("link-local-scope", dst.to_string(), evidence, Vec::new())
    }

    /// Says that the kernel too has asked for a neighbour in vain.
    pub(super) fn with_silence(&self, cause: Cause) -> Cause {
        let asks = match &self.walked.stop {
            Some(Stop::Unresolved { .. } | Stop::ArpSilent { .. }) => true,
            Some(Stop::ByFilter(dropped)) => dropped.asks.is_some(),
            _ => false,
        };
        let last = self.walked.decisions.last().filter(|_| asks);
        let Some((ns, Decision::Via { legs, .. }, dst)) =
            last.map(|last| (&last.ns, &last.decision, last.packet.dst))
        else {
            return cause;
        };
        let silent = legs.iter().find_map(|leg| {
            let from = End { ns: ns.clone(), name: leg.dev.clone() };
            let hop = leg.via.unwrap_or(dst);
            self.scene.is_silent(&from, hop).then_some((from, hop))
        });
        let Some((from, hop)) = silent else { return cause };
        let port = self.scene.port(&from.ns, &from.name);
        let evidence = format!("{}; {port} has asked for {hop} in vain", cause.evidence);
        Cause { evidence, ..cause }
    }

    /// Two on one link have the same hardware address.
    pub(super) fn twins(&self, trip: &Trip) -> Option<Cause> {
        let back = trip.back.iter().flat_map(|walked| &walked.twins);
        let (mac, ends) = trip.forth.twins.iter().chain(back).next()?;
        let meant =
            |end: &&End| self.scene.meant_interface(&end.ns, &end.name).and_then(|meant| meant.mac);
        let strange = |end: &&End| meant(end).is_some_and(|meant| meant != *mac);
        let stranger = ends.iter().find(strange).unwrap_or(&ends[1]);
        let [one, two] = ends.each_ref().map(|end| self.scene.port(&end.ns, &end.name));
        let what = match self.scene.bridge_of(&ends[1]) {
            Some(bridge) => format!("the bridge {bridge} takes frames for it for its own"),
            None => "the bridge sends frames to who spoke last".to_owned(),
        };
        let evidence = format!("{one} and {two} both have the hardware address {mac}: {what}");
        let object = format!("{mac} on {}", self.scene.port(&stranger.ns, &stranger.name));
        let own = meant(&stranger);
        let step = own.map(|own| set(&stranger.ns, &stranger.name, LinkSetting::Mac(own)));
        Some(self.cause("duplicate-mac", object, evidence, step.into_iter().collect()))
    }
}
