//! Who on a link answers for the next hop.

use std::net::IpAddr;

use vnet_model::facts::BridgeEntry;
use vnet_model::ipnet::IpNet;
use vnet_model::kind::Value;
use vnet_model::{End, IfName, Mac, NsName};

use super::{Stop, Walk};
use crate::fib::{self, Decision, Flowi};
use crate::scene::Scene;
use crate::wire::{self, Block, Station, policy};

/// The setting by which an interface answers ARP for whom it would pass packets on to.
pub(crate) const PROXY_ARP: &str = "proxy_arp";

/// A packet so short that it fits any wire, in bytes.
const SHORT_BYTES: u32 = 84;

/// A neighbour entry by which a packet went to somebody else than the next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misled {
    /// Whose entry it is.
    pub(crate) from: End,
    /// Of whom it is.
    pub(crate) hop: IpAddr,
    /// What it says.
    pub(crate) mac: Mac,
    /// Who has that.
    pub(crate) there: End,
}

impl Walk<'_, '_> {
    /// Finds who on the link answers for an address: by ARP whoever has it on any interface
    /// (`arp_process`, net/ipv4/arp.c), by neighbour discovery whoever has it on this one
    /// (`ndisc_recv_ns`, net/ipv6/ndisc.c).
    pub(super) fn resolve(
        &mut self,
        ns: &NsName,
        dev: &IfName,
        hop: IpAddr,
        size_bytes: u32,
    ) -> Result<Station, Stop> {
        let from = End { ns: ns.clone(), name: dev.clone() };
        if self.scene.is_arp_off(&from) {
            return Err(Stop::ArpOff(dev.clone()));
        }
        let domain = wire::domain(self.scene, &from, size_bytes, false);
        if policy::asks_nobody(self.scene, &from) {
            let there = domain.stations.into_iter().find(|station| station.end.ns != *ns);
            return there.ok_or_else(|| Stop::Unresolved { dev: dev.clone(), hop });
        }
        let all = domain.stations.clone();
        let asker = self.asker(ns, dev, hop);
        let mut found: Vec<Station> = domain.stations;
        found.retain(|station| station.end.ns != *ns);
        if let Some(mac) = self.scene.written(&from, hop) {
            // Nobody is asked.
            return self.believe(&from, hop, mac, &all);
        }
        if let Some(key) = self.asks_for_none(&from, hop) {
            return Err(Stop::AsksNobody { dev: dev.clone(), key });
        }
        found.retain(|station| answers(self.scene, &station.end, hop) && !self.keeps(station, hop));
        found.retain(|station| policy::drops_answers(self.scene, station).is_none());
        let (mut found, mut refused) = self.ask(&from, found, hop, asker);
        found.retain(|station| match asker {
            Some(asker) if hop.is_ipv4() => {
                let checked = accepts(self.scene, &station.end.ns, &station.end.name, asker)
                    .and_then(|()| speaks(self.scene, &station.end, hop, asker));
                let stop = checked.err().map(|stop| (station.end.ns.clone(), stop));
                refused = refused.take().or_else(|| stop.clone());
                stop.is_none()
            }
            _ if self.scene.is_arp_off(&station.end) => {
                let stop = silent(&station.end, "arp off");
                refused = refused.take().or_else(|| Some((station.end.ns.clone(), stop)));
                false
            }
            _ => true,
        });
        if let Some(mac) = self.outdated(&from, hop, &found) {
            return self.believe(&from, hop, mac, &all);
        }
        let mut ends: Vec<End> = found.iter().map(|station| station.end.clone()).collect();
        ends.dedup_by(|a, b| a.ns == b.ns);
        if ends.len() > 1 {
            self.walked.doubts.push((hop, ends));
        }
        // Whichever is heard first of the interfaces of one is what it goes to.
        found.iter().for_each(|station| self.note_twins(&from, station, &all));
        self.doubt_room(&from, hop, size_bytes, &found);
        match found.into_iter().next() {
            Some(station) => {
                self.note_lost_answer(&from, &station);
                self.note_asker(&from, &station.end, hop, asker);
                Ok(station)
            }
            None => match (domain.unknown.first(), refused) {
                (_, Some((there, stop))) => {
                    self.walked.waits = Some(ns.clone());
                    self.walked.at = there;
                    Err(stop)
                }
                (Some(end), _) => {
                    let port = self.scene.port(&end.ns, &end.name);
                    Err(Stop::Unknown(format!("what is behind {port} is not known")))
                }
                _ => match (self.learned(&from, hop, size_bytes), domain.circle) {
                    (Some(station), _) => Ok(station),
                    (None, Some(broken)) => Err(self.stuck(broken)),
                    (None, None) => Err(Stop::Unresolved { dev: dev.clone(), hop }),
                },
            },
        }
    }

    /// The setting by which an interface asks for no neighbour that it does not know (`__neigh_event_send`,
    /// net/core/neighbour.c), where it has that.
    fn asks_for_none(&self, from: &End, hop: IpAddr) -> Option<String> {
        let family = if hop.is_ipv6() { "ipv6" } else { "ipv4" };
        let dev = from.name.in_sysctls();
        let key = format!("net.{family}.neigh.{dev}.mcast_solicit");
        let mut heard = self.packet.learned.neighbours.iter();
        let is_known = self.scene.learned(from, hop).is_some()
            || heard.any(|(end, addr)| end == from && *addr == hop);
        let is_off = self.scene.sysctl(&from.ns, &key) == Some("0");
        (is_off && !is_known).then_some(key)
    }

    /// Sends to the hardware address that a neighbour entry says, whosever it is.
    fn believe(
        &mut self,
        from: &End,
        hop: IpAddr,
        mac: Mac,
        all: &[Station],
    ) -> Result<Station, Stop> {
        let mac_of = |end: &End| self.scene.end(end).and_then(|interface| interface.mac);
        let has = |it: &&Station| it.end.ns != from.ns && mac_of(&it.end) == Some(mac);
        let owns = |it: &&Station| answers(self.scene, &it.end, hop);
        let mut they = all.iter().filter(has);
        let Some(there) = they.clone().find(owns).or_else(|| they.next()).cloned() else {
            return Err(Stop::WrongNeighbour { dev: from.name.clone(), hop, mac });
        };
        if !owns(&&there) {
            let (from, there) = (from.clone(), there.end.clone());
            self.walked.misled.push(Misled { from, hop, mac, there });
        }
        self.note_twins(from, &there, all);
        Ok(there)
    }

    /// The hardware address that was learned of a neighbour, where none of those who answer for it has
    /// that. Who has just been asked by it is known anew.
    fn outdated(&self, from: &End, hop: IpAddr, found: &[Station]) -> Option<Mac> {
        let mac = self.scene.learned(from, hop)?;
        let mut asked = self.packet.learned.neighbours.iter();
        if asked.any(|(end, addr)| end == from && *addr == hop) {
            return None;
        }
        let is_another = |station: &Station| {
            let own = self.scene.end(&station.end).and_then(|interface| interface.mac);
            own.is_some_and(|own| own != mac) && !self.scene.is_mended(&station.end.ns)
        };
        (!found.is_empty() && found.iter().all(is_another)).then_some(mac)
    }

    /// Tells whether a request by ARP for an address goes to an ipvlan of mode `l3` on the interface that
    /// it came to, which answers none: the namespace does not see it (`ipvlan_handle_mode_l3`,
    /// drivers/net/ipvlan/ipvlan_core.c). Neighbour discovery asks all, and is not taken.
    fn keeps(&self, station: &Station, addr: IpAddr) -> bool {
        let upper = self.routed(std::slice::from_ref(station), addr);
        let is_l3 = |upper: End| wire::ipvlan_mode(self.scene, &upper) == Some(wire::IPVLAN_L3);
        addr.is_ipv4() && upper.is_some_and(is_l3)
    }

    /// Finds an ipvlan that is routed and has an address, on an interface that hears.
    fn routed(&self, all: &[Station], addr: IpAddr) -> Option<End> {
        let uppers = all.iter().flat_map(|station| self.scene.uppers(&station.end));
        let mut routed = uppers.filter(|upper| wire::is_routed_below(self.scene, upper));
        routed.find(|upper| {
            let found = self.scene.end(upper).into_iter().flat_map(|it| &it.addresses);
            found.into_iter().any(|own| own.net.addr() == addr)
        })
    }

    /// Finds who has just been heard of, where what goes to all would not get there: a VXLAN has
    /// learned where to answer (`vxlan_snoop`, drivers/net/vxlan/vxlan_core.c).
    fn learned(&self, from: &End, hop: IpAddr, size_bytes: u32) -> Option<Station> {
        if !self.packet.is_answer {
            return None;
        }
        let is_learned = |block: &Block| match block {
            Block::NoFlood(end, _) => {
                self.scene.option(end, "learning") != Some(&Value::Bool(false))
            }
            _ => false,
        };
        let stations = wire::domain(self.scene, from, size_bytes, true).stations;
        let mut learned = stations.into_iter().filter(|it| it.blocks.iter().all(is_learned));
        learned.find(|station| answers(self.scene, &station.end, hop))
    }

    /// Notes who else has the hardware address that frames go to behind the same bridges, or is a port of
    /// these: such frames they take for their own (`br_handle_frame_finish`, net/bridge/br_input.c).
    fn note_twins(&mut self, from: &End, to: &Station, all: &[Station]) {
        let mac = |end: &End| self.scene.end(end).and_then(|interface| interface.mac);
        let Some(own) = mac(&to.end).filter(|_| !to.ports.is_empty()) else { return };
        // What stands on one interface is told apart there, by IP address too (ipvlan).
        let wire = |end: &End| self.scene.below(end).unwrap_or_else(|| end.clone());
        let is_other = |other: &&Station| other.end.ns != to.end.ns;
        let others = all.iter().filter(is_other).map(|other| other.end.clone());
        let asker = [from.clone()];
        let ports = self.ports_between(to, &to.end.ns).into_iter();
        let mut all = ports.chain(others).chain(asker);
        let is_twin = |other: &End| mac(other) == Some(own) && wire(other) != wire(&to.end);
        if let Some(twin) = all.find(is_twin) {
            self.walked.twins.push((own, [to.end.clone(), twin]));
        }
    }

    /// Notes a port of the bridges between that has the asker's own hardware address: what a neighbour answers
    /// to that they take for their own.
    fn note_lost_answer(&mut self, from: &End, to: &Station) {
        let mac = |end: &End| self.scene.end(end).and_then(|interface| interface.mac);
        let Some(own) = mac(from) else { return };
        let twin = self.ports_between(to, &from.ns).into_iter().find(|port| mac(port) == Some(own));
        self.walked.twins.extend(twin.map(|twin| (own, [from.clone(), twin])));
    }

    /// The ports of the bridges by which a station is heard, but for those of a namespace.
    fn ports_between(&self, to: &Station, but: &NsName) -> Vec<End> {
        let bridges = to
            .ports
            .iter()
            .filter(|port| port.ns != *but)
            .filter_map(|port| Some((port.ns.clone(), self.scene.bridge_of(port)?)));
        let ports = bridges.flat_map(|(ns, bridge)| {
            let ports = self.scene.ports(&ns, &bridge);
            ports.into_iter().map(move |name| End { ns: ns.clone(), name })
        });
        ports.collect()
    }

    /// Notes that who has an address may answer for it by another of its interfaces too, to which what is long
    /// does not get: all that an IPv4 address is on hear of it (`arp_process`, net/ipv4/arp.c).
    fn doubt_room(&mut self, from: &End, hop: IpAddr, size_bytes: u32, found: &[Station]) {
        let Some(first) = found.first().filter(|_| hop.is_ipv4() && size_bytes > SHORT_BYTES)
        else {
            return;
        };
        let short = wire::domain(self.scene, from, SHORT_BYTES, false).stations;
        let is_other = |station: &&Station| {
            station.end.ns == first.end.ns
                && answers(self.scene, &station.end, hop)
                && !found.iter().any(|other| other.end == station.end)
        };
        if let Some(other) = short.iter().find(is_other) {
            let [one, other] =
                [&first.end, &other.end].map(|end| self.scene.port(&end.ns, &end.name));
            let text = format!(
                "{hop} is answered for by {one} and {other}, and {size_bytes} bytes get to the first alone"
            );
            self.walked.unknown.push(text);
        }
    }

    /// Notes what bridges on the way are set to that is not evaluated.
    pub(super) fn doubt_bridges(&mut self, station: &Station) {
        let mut met: Vec<String> =
            station.doubts(self.header.dst.is_ipv6()).map(str::to_owned).collect();
        if let Some(mac) = self.scene.end(&station.end).and_then(|interface| interface.mac) {
            for out in station.ports.iter().skip(1).step_by(2) {
                let entries = self.scene.bridge_entries(&out.ns, mac);
                let strange = |entry: &&&BridgeEntry| entry.is_local || entry.dev != out.name;
                met.extend(entries.iter().filter(strange).map(|entry| {
                    let port = self.scene.port(&out.ns, &entry.dev);
                    format!("a forwarding entry that somebody wrote says that {mac} is at {port}")
                }));
            }
        }
        met.retain(|what| !self.walked.unknown.contains(what));
        self.walked.unknown.extend(met);
    }

    /// The address that a neighbour is asked from: the packet's where it is the namespace's own
    /// (`arp_solicit`, net/ipv4/arp.c).
    fn asker(&self, ns: &NsName, dev: &IfName, hop: IpAddr) -> Option<IpAddr> {
        let own = self.walked.src.filter(|src| self.scene.owns(ns, *src));
        let known = self.scene.known(ns);
        own.or_else(|| fib::source_ipv4(self.scene.ns(ns)?, known, dev, Some(hop)))
    }
}

/// Tells whether a station answers for an address: it has it, or answers in the place of whom it
/// would pass the packet on to (`arp_fwd_proxy`, net/ipv4/arp.c).
pub(crate) fn answers(scene: &Scene<'_>, station: &End, addr: IpAddr) -> bool {
    match addr.is_ipv4() {
        true => match scene.lookup(&station.ns, &asked(station, addr)) {
            Decision::Local => true,
            decision => {
                leads_elsewhere(&decision, station)
                    && answers_for_others(scene, station, addr)
                    && scene.forwards(&station.ns, &station.name, false)
            }
        },
        false => scene.end(station).is_some_and(|interface| {
            let own = |net: IpNet| net.addr() == addr;
            let has = interface.addresses.iter().any(|a| own(a.net))
                && scene.unusable(&station.ns, addr).is_none();
            fib::has_ipv6(interface) && (has || proxies_ipv6(scene, station, addr))
        }),
    }
}

/// Tells whether packets that come in by an interface leave by others.
pub(crate) fn leads_elsewhere(decision: &Decision, station: &End) -> bool {
    match decision {
        Decision::Via { legs, .. } => !legs.iter().any(|leg| leg.dev == station.name),
        _ => false,
    }
}

/// Tells whether a station is set to answer ARP for others.
pub(crate) fn answers_for_others(scene: &Scene<'_>, station: &End, addr: IpAddr) -> bool {
    scene.conf(&station.ns, &station.name, PROXY_ARP) != 0 || scene.proxies(station, addr)
}

/// Tells whether an interface answers for another's IPv6 address (`ndisc_recv_ns`, net/ipv6/ndisc.c).
fn proxies_ipv6(scene: &Scene<'_>, station: &End, addr: IpAddr) -> bool {
    let End { ns, name } = station;
    let is_set =
        |dev: String| scene.sysctl_number(ns, &format!("net.ipv6.conf.{dev}.proxy_ndp")) != 0;
    scene.proxies(station, addr)
        && scene.forwards(ns, name, true)
        && ["all".to_owned(), name.in_sysctls()].into_iter().any(is_set)
}

/// What a station looks up when it is asked for an address.
pub(crate) fn asked(station: &End, addr: IpAddr) -> Flowi {
    Flowi { iif: Some(station.name.clone()), ..Flowi::to(addr) }
}

fn silent(end: &End, key: &'static str) -> Stop {
    Stop::ArpSilent { end: end.clone(), key }
}

/// Checks whether a station may answer for an address of its own on this interface
/// (`arp_ignore` and `arp_filter`, net/ipv4/arp.c).
fn speaks(scene: &Scene<'_>, station: &End, addr: IpAddr, asker: IpAddr) -> Result<(), Stop> {
    let End { ns, name } = station;
    let silent = |key| Err(silent(station, key));
    if scene.is_arp_off(station) {
        return silent("arp off");
    }
    let on_it = scene.end(station).and_then(|interface| {
        let mut nets = interface.addresses.iter().map(|address| address.net);
        nets.find(|net| net.addr() == addr)
    });
    match (scene.conf(ns, name, "arp_ignore"), on_it) {
        (0, _) => {}
        (1, Some(_)) => {}
        (2, Some(net)) if net.contains(&asker) => {}
        (3..=7, _) => {}
        _ => return silent("arp_ignore"),
    }
    let filters = scene.conf(ns, name, "arp_filter") != 0;
    let back = match scene.lookup_beside(ns, name, asker) {
        Decision::Via { legs, .. } => legs.iter().any(|leg| leg.dev == *name),
        _ => false,
    };
    if filters && !back { silent("arp_filter") } else { Ok(()) }
}

/// Checks whether a namespace takes packets from `src` that come in by `dev`.
pub(super) fn accepts(
    scene: &Scene<'_>,
    ns: &NsName,
    dev: &IfName,
    src: IpAddr,
) -> Result<(), Stop> {
    // With rules of somebody's they say what is an own address (`fib_validate_source`,
    // net/ipv4/fib_frontend.c).
    let own = match scene.rules(ns).is_empty() {
        true => scene.owns(ns, src),
        false => {
            let found = scene.lookup_beside(ns, dev, src);
            matches!(found, Decision::Local | Decision::Broadcast { .. })
        }
    };
    if own {
        return Err(Stop::Martian(End { ns: ns.clone(), name: dev.clone() }));
    }
    let filtered = match scene.conf(ns, dev, "rp_filter") {
        0 => false,
        mode => match scene.lookup_beside(ns, dev, src) {
            Decision::Via { legs, .. } => mode == 1 && !legs.iter().any(|leg| leg.dev == *dev),
            _ => true,
        },
    };
    if filtered { Err(Stop::Filtered(dev.clone())) } else { Ok(()) }
}
