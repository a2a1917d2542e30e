//! What the sender is told by ICMP, or should have been; and hardware addresses that two have.

use std::net::IpAddr;

use vnet_model::{Change, End, LinkSetting, NsName, Packet, Step};

use super::{Case, set};
use crate::fib::Decision;
use crate::filter::Dropped;
use crate::scene::{TTL_DEFAULT, TTL_KEY};
use crate::travel::Trip;
use crate::walk::{Sent, Stop, walk};
use crate::{Cause, Effect, Mend, suggest};

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
        let (key, value) = (TTL_KEY.to_owned(), TTL_DEFAULT.to_string());
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
        let mut cause = self.cause("arp-off", port.clone(), evidence, Vec::new());
        let commands = vec![format!("ip -n {} link set dev {} arp on", end.ns, end.name)];
        let effect = Effect::Resolves(end.clone());
        cause.mend.push(Mend::Command { text: format!("~ {port}"), commands, effect });
        cause
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
