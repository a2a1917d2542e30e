//! The filters that frames pass: those of bridges, and of single interfaces.

use std::net::{IpAddr, Ipv4Addr};

use vnet_model::nft::{Family, Hook};
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{End, IfName, Kind, Mac, NsName, Packet};

use super::{Stop, Walk};
use crate::filter::{self, Asks, Body, Done, Filter, Flow, Frame, Header, Passed, Point};
use crate::tunnel::Medium;
use crate::wire::{self, Station, policy};

/// The length of what looks for a neighbour in its frame, in bytes; it fits any wire.
const ASKS_BYTES: u32 = 68;

/// What a neighbour solicitation and an advertisement are of ICMPv6 (RFC 4861, sections 4.3 and 4.4).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// What a packet has left behind on links, which counts for its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// Interfaces that have heard from a neighbour who looked for them, with its address.
    pub(crate) neighbours: Vec<(End, IpAddr)>,
    /// Namespaces whose bridges it has passed.
    pub(crate) bridges: Vec<NsName>,
}

impl Walk<'_, '_> {
    /// Passes the filters on the way to a station.
    pub(super) fn pass_trail(&mut self, from: &End, station: &Station) -> Result<(), Stop> {
        let carries_frames = !policy::asks_nobody(self.scene, from);
        let link = carries_frames.then(|| [&station.end, from].map(|end| self.mac(end)));
        let mut frame = self.frame(link);
        let mut at = &from.ns;
        for point in &station.trail {
            // What a rule set is not kept from one namespace to the next (`skb_scrub_packet`,
            // net/core/skbuff.c), or by some interfaces only.
            frame.mark = frame.mark.filter(|mark| *mark == 0 || *at == point.ns);
            at = &point.ns;
            if let Err(stop) = self.pass_point(&mut frame, point) {
                self.walked.framed_by = self.is_only_passed_on(point).then(|| from.ns.clone());
                return Err(stop);
            }
            let bridges = &mut self.walked.learned.bridges;
            if point.of == Family::Bridge && !bridges.contains(&point.ns) {
                bridges.push(point.ns.clone());
            }
        }
        self.header.mark = frame.mark.filter(|mark| *mark == 0 || *at == station.end.ns);
        Ok(())
    }

    /// Passes the filters at an interface that packets leave by, or come in by, on no wire.
    pub(super) fn pass_interface(&mut self, end: &End, hook: Hook) -> Result<(), Stop> {
        if !self.scene.filters_frames(&end.ns) {
            return Ok(());
        }
        let is_lo = self.scene.end(end).is_some_and(|found| found.kind == Kind::Loopback);
        let link = match self.scene.medium(end) {
            Medium::Tunnel(_) | Medium::Wireguard => None,
            _ if is_lo => Some([Some(Mac([0; 6])); 2]),
            _ => Some([None; 2]),
        };
        let mut frame = self.frame(link);
        self.pass_point(&mut frame, &Point::at(end, hook, None))?;
        self.header.mark = frame.mark;
        Ok(())
    }

    /// Says that chains at an interface are not followed, where there are any for what leaves by it.
    pub(super) fn doubt_egress(&mut self, end: &End) {
        if Point::at(end, Hook::Egress, None).is_watched(self.scene) {
            let port = self.scene.port(&end.ns, &end.name);
            let text = format!("{port} is a VRF, and chains at its egress are not followed");
            self.walked.unknown.push(text);
        }
    }

    /// Asks those on a link who may answer for an address; returns who is heard, and what keeps the
    /// first of the others from it, with where.
    pub(super) fn ask(
        &mut self,
        from: &End,
        stations: Vec<Station>,
        hop: IpAddr,
        asker: Option<IpAddr>,
    ) -> (Vec<Station>, Option<(NsName, Stop)>) {
        // Who was asked by it knows it already.
        let is_it = |known: &(End, IpAddr)| known.0 == *from && known.1 == hop;
        if self.packet.learned.neighbours.iter().any(is_it) {
            return (stations, None);
        }
        let (mut heard, mut refused) = (Vec::new(), None);
        for station in stations {
            match self.ask_one(from, &station, hop, asker) {
                Ok(()) => heard.push(station),
                Err(stop) => refused = refused.or_else(|| Some((self.walked.at.clone(), stop))),
            }
            self.walked.at = from.ns.clone();
        }
        (heard, refused)
    }

    fn ask_one(
        &mut self,
        from: &End,
        station: &Station,
        hop: IpAddr,
        asker: Option<IpAddr>,
    ) -> Result<(), Stop> {
        let there = &station.end;
        let filters = |end: &End| self.scene.tables(&end.ns).into_iter().any(filter::sees_packets);
        let is_packet = hop.is_ipv6() && (filters(from) || filters(there));
        if station.trail.is_empty() && !is_packet {
            return Ok(());
        }
        let asker = self.asks_as(from, hop, asker);
        if hop.is_ipv6() && asker.is_none() && !station.trail.is_empty() {
            let port = self.scene.port(&from.ns, &from.name);
            let text = format!("it is not known by which address {port} asks for {hop}");
            self.walked.unknown.push(text);
            return Ok(());
        }
        let mut request = self.asking(hop, asker, [there, from], false);
        let mut points = station.trail.clone();
        if hop.is_ipv4() {
            points.insert(0, Point::of_arp(from, Hook::Output));
            points.push(Point::of_arp(there, Hook::Input));
        }
        self.leave_as_packet(&mut request, from)?;
        self.pass_points(&mut request, &points)?;
        self.arrive_as_packet(&mut request, there)?;
        let back = wire::domain(self.scene, there, ASKS_BYTES, false).stations;
        let Some(back) = back.into_iter().find(|station| station.end == *from) else {
            return Ok(());
        };
        let mut reply = self.asking(hop, asker, [there, from], true);
        let mut points = back.trail;
        if hop.is_ipv4() {
            points.insert(0, Point::of_arp(there, Hook::Output));
            points.push(Point::of_arp(from, Hook::Input));
        }
        self.leave_as_packet(&mut reply, there)?;
        self.pass_points(&mut reply, &points)?;
        self.arrive_as_packet(&mut reply, from)
    }

    /// Passes the chains of IP of who sends it, where what looks for a neighbour is a packet: of ICMPv6, with
    /// which conntrack has nothing to do (`nf_conntrack_icmpv6_error`,
    /// net/netfilter/nf_conntrack_proto_icmpv6.c).
    fn leave_as_packet(&mut self, frame: &mut Frame, from: &End) -> Result<(), Stop> {
        let oif = Some(&from.name);
        self.pass_as_packet(frame, &from.ns, Hook::Output, [None, oif])?;
        self.pass_as_packet(frame, &from.ns, Hook::Postrouting, [None, oif])
    }

    /// As [`Self::leave_as_packet`], of whom it is for.
    fn arrive_as_packet(&mut self, frame: &mut Frame, there: &End) -> Result<(), Stop> {
        let iif = Some(&there.name);
        self.pass_as_packet(frame, &there.ns, Hook::Prerouting, [iif, None])?;
        self.pass_as_packet(frame, &there.ns, Hook::Input, [iif, None])
    }

    fn pass_as_packet(
        &mut self,
        frame: &mut Frame,
        ns: &NsName,
        hook: Hook,
        [iif, oif]: [Option<&IfName>; 2],
    ) -> Result<(), Stop> {
        let Body::Packet(came) = &frame.body else { return Ok(()) };
        let came = came.clone();
        let mut header = Header { mark: frame.mark, ..came.clone() };
        self.pass_chains(ns, (hook, iif, oif), frame.asks, &came, &mut header)
            .inspect_err(|_| self.walked.at = ns.clone())?;
        frame.mark = header.mark;
        Ok(())
    }

    /// Passes the chains of IP that see what a frame carries: conntrack passes by what looks for a
    /// neighbour.
    fn pass_chains(
        &mut self,
        ns: &NsName,
        (hook, iif, oif): (Hook, Option<&IfName>, Option<&IfName>),
        asks: Option<Asks>,
        came: &Header,
        header: &mut Header,
    ) -> Result<(), Stop> {
        let mut filter = Filter {
            scene: self.scene,
            ns,
            header,
            iif,
            oif,
            flows: &self.packet.flows,
            came,
            is_untracked: asks.is_some(),
            asks,
            is_rerouted: false,
        };
        let passed = filter.run(hook);
        self.taken(passed)?;
        Ok(())
    }

    /// Notes that a neighbour knows who has asked for it (`arp_process`, net/ipv4/arp.c; `ndisc_recv_ns`,
    /// net/ipv6/ndisc.c).
    pub(super) fn note_asker(
        &mut self,
        from: &End,
        there: &End,
        hop: IpAddr,
        asker: Option<IpAddr>,
    ) {
        if let Some(asker) = self.asks_as(from, hop, asker) {
            self.walked.learned.neighbours.push((there.clone(), asker));
        }
    }

    /// The address that a neighbour is asked by: of IPv6 one that the interface itself has
    /// (`ndisc_solicit`).
    fn asks_as(&self, from: &End, hop: IpAddr, asker: Option<IpAddr>) -> Option<IpAddr> {
        if hop.is_ipv4() {
            return asker.filter(IpAddr::is_ipv4);
        }
        let own = self.scene.end(from).into_iter().flat_map(|found| &found.addresses);
        let mut own = own.map(|address| address.net.addr());
        match asker {
            Some(asker) if own.clone().any(|addr| addr == asker) => Some(asker),
            _ => own.find(|addr| is_ipv6_link_local(*addr)),
        }
    }

    /// A message that asks for a neighbour, or its answer.
    fn asking(
        &self,
        hop: IpAddr,
        asker: Option<IpAddr>,
        [there, from]: [&End; 2],
        is_reply: bool,
    ) -> Frame {
        let [theirs, own] = [there, from].map(|end| self.mac(end));
        let asks = Some(Asks { addr: hop, is_reply });
        let (to_all, body) = match hop {
            IpAddr::V4(hop) => {
                let v4 = |addr: Option<IpAddr>| match addr {
                    Some(IpAddr::V4(addr)) => Some(addr),
                    _ => None,
                };
                let asker: (_, Option<Ipv4Addr>) = (own, v4(asker));
                let (sender, target) = match is_reply {
                    true => ((theirs, Some(hop)), asker),
                    false => (asker, (Some(Mac([0; 6])), Some(hop))),
                };
                (Mac([0xff; 6]), Body::Arp { is_reply, sender, target })
            }
            IpAddr::V6(addr) => {
                let (group, mac) = filter::group_of(addr);
                let (src, dst) = match is_reply {
                    true => (Some(hop), asker.unwrap_or(group)),
                    false => (asker, group),
                };
                let header = Header {
                    src,
                    dst,
                    packet: Packet::Icmp,
                    is_answer: false,
                    is_error: false,
                    icmp: Some(if is_reply { ADVERTISEMENT } else { SOLICITATION }),
                    sport: None,
                    dport: None,
                    len: None,
                    // RFC 4861, section 4.3.
                    ttl: Some(255),
                    outer: None,
                    mark: Some(0),
                    done: Done::default(),
                };
                (mac, Body::Packet(header))
            }
        };
        let link = if is_reply { [own, theirs] } else { [Some(to_all), own] };
        Frame { link: Some(link), body, asks, mark: Some(0), done: Done::default() }
    }

    /// The frame that carries the packet as it is.
    fn frame(&self, link: Option<[Option<Mac>; 2]>) -> Frame {
        let body = Body::Packet(self.header.clone());
        Frame { link, body, asks: None, mark: self.header.mark, done: Done::default() }
    }

    fn pass_points(&mut self, frame: &mut Frame, points: &[Point]) -> Result<(), Stop> {
        points.iter().try_for_each(|point| self.pass_point(frame, point))
    }

    /// Passes the filters at a point; where they drop it, it is there.
    fn pass_point(&mut self, frame: &mut Frame, point: &Point) -> Result<(), Stop> {
        let is_known = self.packet.learned.bridges.contains(&point.ns)
            || self.packet.flows.iter().any(|flow| flow.ns == point.ns);
        let passed = filter::pass(self.scene, frame, point, is_known);
        let passed = self.taken(passed).and_then(|_| self.pass_handed_on(frame, point));
        passed.inspect_err(|_| self.walked.at = point.ns.clone())
    }

    /// Passes the chains of IP that a bridge hands to what it passes on: they see it come in and leave by
    /// the bridge (`br_nf_pre_routing`, `br_nf_forward`, `br_nf_post_routing`). What it gives to its own
    /// interface comes to them anyway.
    fn pass_handed_on(&mut self, frame: &mut Frame, point: &Point) -> Result<(), Stop> {
        let (Body::Packet(came), Some(port), true) =
            (&frame.body, &point.iif, point.is_passed_on())
        else {
            return Ok(());
        };
        let Point { ns, vlan, .. } = point;
        let is_handed_on = self.scene.hands_on(ns, came.dst.is_ipv6())
            && (vlan.is_none() || self.scene.hands_on_tagged(ns));
        let end = End { ns: ns.clone(), name: port.clone() };
        let Some(bridge) = self.scene.bridge_of(&end).filter(|_| is_handed_on) else {
            return Ok(());
        };
        let (came, bridge) = (came.clone(), Some(&bridge));
        let mut header = Header { mark: frame.mark, ..came.clone() };
        for hook in [
            (Hook::Prerouting, bridge, None),
            (Hook::Forward, bridge, bridge),
            (Hook::Postrouting, None, bridge),
        ] {
            self.pass_chains(ns, hook, frame.asks, &came, &mut header)?;
        }
        frame.mark = header.mark;
        (header.mark, header.done) = (came.mark, came.done.clone());
        if header != came {
            let label = self.scene.label(ns);
            let text =
                format!("{label} translates what its bridge passes on, which is not followed");
            self.taken(Passed::Unknown(text))?;
        }
        if !came.is_answer && frame.asks.is_none() {
            self.walked.flows.push(Flow { ns: ns.clone(), left: came.clone(), came });
        }
        Ok(())
    }

    /// Tells whether a frame that is dropped at a point has not come to that namespace itself: it is in
    /// a bridge there, or would only have left.
    fn is_only_passed_on(&self, point: &Point) -> bool {
        let dev = point.iif.as_ref().or(point.oif.as_ref());
        let end = dev.map(|dev| End { ns: point.ns.clone(), name: dev.clone() });
        point.of == Family::Bridge
            || point.hook == Hook::Egress
            || end.is_some_and(|end| self.scene.bridge_of(&end).is_some())
    }

    fn mac(&self, end: &End) -> Option<Mac> {
        self.scene.end(end).and_then(|found| found.mac)
    }
}
