//! Nobody on the link answers for the next hop.

use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::kind::{self, Value};
use vnet_model::state::{PortVlans, is_ipv6_link_local};
use vnet_model::{Change, End, IfName, LinkSetting, NsName, Route, Step};

use super::{Case, set};
use crate::fib::{self, Decision};
use crate::scene::conf_keys;
use crate::walk::{self, PROXY_ARP};
use crate::wire::{self, Block, Station, policy};
use crate::{Cause, suggest};

/// The length of a frame when none is asked for, in bytes.
const FRAME_BYTES: u32 = 84;

impl Case<'_, '_> {
    pub(super) fn unresolved(&self, ns: &NsName, dev: &IfName, hop: IpAddr) -> Option<Cause> {
        let scene = self.scene;
        let from = End { ns: ns.clone(), name: dev.clone() };
        let size = self.question.size_bytes.unwrap_or(FRAME_BYTES);
        let mtu = scene.interface(ns, dev).and_then(|i| i.mtu).unwrap_or(size);
        let stations = wire::domain(scene, &from, size.min(mtu), true).stations;
        let mut theirs: Vec<&Station> =
            stations.iter().filter(|station| self.would_answer(&from, station, hop)).collect();
        theirs.sort_by_key(|station| station.blocks.len());
        if let Some(station) = theirs.first() {
            if self.scene.is_unrouted(&station.end.ns, hop) && station.blocks.is_empty() {
                return self.unrouted(&station.end.ns, hop);
            }
            let unusable = self.scene.unusable(&station.end.ns, hop);
            if let (true, Some(failed)) = (station.blocks.is_empty(), unusable) {
                return Some(self.unusable(&station.end.ns, hop, failed));
            }
            let question = walk::asked(&station.end, hop);
            let ruled = || self.by_rules_of(&station.end.ns, &question);
            if let (true, Some(cause)) = (station.blocks.is_empty(), ruled()) {
                return Some(cause);
            }
            let back = || policy::drops_answers(scene, station);
            if let (true, Some(end)) = (station.blocks.is_empty(), back()) {
                return Some(self.policy(&end, Some(hop)));
            }
            return match station.blocks.first() {
                Some(block) => Some(self.blocked(&from, block, hop)),
                None => self.lost_address(&station.end.ns, hop),
            };
        }
        let mut near = stations.iter().filter(|station| station.blocks.is_empty());
        if let Some(cause) = near.find_map(|station| self.no_proxy(&station.end, hop)) {
            return Some(cause);
        }
        // An end that leads nowhere may have led there.
        let loose = stations.iter().find_map(|station| {
            station.blocks.iter().find(|block| matches!(block, Block::NoPeer(_)))
        });
        if let Some(block) = loose {
            return Some(self.blocked(&from, block, hop));
        }
        if let Some(cause) = self.gone_from_link(&from, hop) {
            return Some(cause);
        }
        if is_ipv6_link_local(self.dst) {
            let mut cause = self.no_link(ns);
            cause.evidence =
                format!("nobody on the link of {} has it; {}", scene.port(ns, dev), cause.evidence);
            return Some(cause);
        }
        Some(self.not_here(ns, dev, hop))
    }

    /// Somebody who was meant to answer in the place of whom it would pass packets on to, and does not.
    fn no_proxy(&self, end: &End, hop: IpAddr) -> Option<Cause> {
        let (scene, End { ns, name }) = (self.scene, end);
        let decision = scene.lookup(ns, &walk::asked(end, hop));
        if hop.is_ipv6() || !walk::leads_elsewhere(&decision, end) {
            return None;
        }
        if walk::answers_for_others(scene, end, hop) {
            return Some(self.not_forwarded(ns, name)).filter(|_| !scene.forwards(ns, name, false));
        }
        let meant = &scene.meant(ns)?.sysctls;
        let lost = conf_keys(name, PROXY_ARP)
            .into_iter()
            .filter_map(|key| Some((meant.get(&key)?.clone(), key)));
        let lost = lost.filter(|(value, _)| value != "0");
        let steps: Vec<Step> = lost
            .map(|(value, key)| Step::new(ns.clone(), Change::SetSysctl { key, value }))
            .collect();
        let port = scene.port(ns, name);
        let evidence = format!(
            "{port} was meant to answer for {hop} by ARP, which it would pass packets on to: its \
             {PROXY_ARP} is off"
        );
        (!steps.is_empty()).then(|| self.cause("arp-silent", port, evidence, steps))
    }

    /// What the link was meant to be made of at this end, or at that of who was meant to have an address
    /// on it, and is not there.
    fn gone_from_link(&self, from: &End, hop: IpAddr) -> Option<Cause> {
        let scene = self.scene;
        let all = scene.all_meant().into_iter().flat_map(|meant| &meant.namespaces);
        let holders = all.filter_map(|(ns, meant)| {
            let (dev, _) = fib::holder(meant, hop)?;
            Some(End { ns: ns.clone(), name: dev.clone() })
        });
        let meant = |end: &End| scene.meant_interface(&end.ns, &end.name);
        std::iter::once(from.clone()).chain(holders).find_map(|end| {
            let port = meant(&end)?.kind.peer()?;
            let bridge = meant(port).and_then(|port| port.master.clone());
            let bridge = bridge.map(|name| End { ns: port.ns.clone(), name });
            let parts = std::iter::once(port.clone()).chain(bridge);
            let mut lost = parts.filter(|part| scene.end(part).is_none());
            lost.next().map(|part| self.interface_missing(&part.ns, &part.name))
        })
    }

    /// Tells whether a station has an address, or was meant to; or would get the packet anyway.
    fn would_answer(&self, from: &End, station: &Station, hop: IpAddr) -> bool {
        if policy::asks_nobody(self.scene, from) {
            return true;
        }
        let ns = &station.end.ns;
        let on_it = |net: Option<(&IfName, IpNet)>| {
            net.is_some_and(|(dev, _)| hop.is_ipv4() || *dev == station.end.name)
        };
        let has = self.scene.ns(ns).map(|found| fib::holder(found, hop));
        let meant = self.scene.meant(ns).map(|meant| fib::holder(meant, hop));
        on_it(has.flatten()) || on_it(meant.flatten())
    }

    fn blocked(&self, from: &End, block: &Block, hop: IpAddr) -> Cause {
        let port = |end: &End| self.scene.port(&end.ns, &end.name);
        match block {
            Block::Down(end) => self.interface_down(&end.ns, &end.name),
            Block::PeerDown(end) => {
                let evidence = format!("{}, the other end of the cable, is down", port(end));
                self.cause("peer-down", port(end), evidence, self.restore(&end.ns, &end.name))
            }
            Block::Policy(end) => self.policy(end, None),
            Block::Blocked(end) => self.blocked_port(end, false),
            Block::Isolated(end) => self.blocked_port(end, true),
            Block::NoArp(upper, lower) => self.no_arp(from, upper, lower, hop),
            Block::Hairpin(end) => self.sends_nothing_back(end),
            Block::Beside(sender, other) => self.beside(sender, other),
            Block::PortDown(end) => {
                let evidence = format!("{}, a port of a bridge, is down", port(end));
                self.cause("port-down", port(end), evidence, self.restore(&end.ns, &end.name))
            }
            Block::BridgeDown(end) => {
                let evidence = format!("the bridge {} is down", port(end));
                self.cause("bridge-down", port(end), evidence, self.restore(&end.ns, &end.name))
            }
            Block::NotAPort(end, bridge) => {
                let evidence = format!("{} is not a port of the bridge {bridge}", port(end));
                let step = set(&end.ns, &end.name, LinkSetting::Master(Some(bridge.clone())));
                self.cause("not-a-port", port(end), evidence, vec![step])
            }
            Block::Vlan(end, vid, meant) => {
                let evidence = match self.scene.port_vlans(end) {
                    Some(vlans) => format!(
                        "{}, a port of a bridge, is {}, and not in VLAN {vid}{}",
                        port(end),
                        in_vlans(&vlans),
                        meant.unwrap_or_default()
                    ),
                    None => format!("{} is not in VLAN {vid}", port(end)),
                };
                let itself = self.scene.end(end).is_some_and(|it| it.kind.is_bridge());
                let change =
                    |vlan| Change::SetPortVlan { dev: end.name.clone(), itself, vid: *vid, vlan };
                let step = meant.map(|vlan| Step::new(end.ns.clone(), change(vlan)));
                self.cause("wrong-vlan", port(end), evidence, step.into_iter().collect())
            }
            Block::Apart(bridge, end) => {
                let evidence = format!(
                    "the bridge {} keeps VLANs apart, which it was not meant to, and {} is not in \
                     that of the packet",
                    port(bridge),
                    port(end)
                );
                let spec = &kind::BRIDGE;
                let option =
                    spec.option("vlan_filtering").map(|option| (option, Value::Bool(false)));
                let (set, rest) = (option.into_iter().collect(), kind::Options::new());
                let set = LinkSetting::Options { spec, port: false, set, rest };
                let step = super::set(&bridge.ns, &bridge.name, set);
                self.cause("wrong-vlan", port(end), evidence, vec![step])
            }
            Block::Tunnel(broken) => self.broken(broken).unwrap_or_else(|| {
                self.cause("tunnel-ends", port(from), broken.text(), Vec::new())
            }),
            Block::NoFlood(end, dst) => self.no_flood(end, *dst),
            Block::NoPeer(end) => {
                let evidence = format!("{} has no other end", port(end));
                let missing = self.interface_missing(&end.ns, &end.name);
                Cause { evidence, code: "no-peer", ..missing }
            }
            Block::Mtu(end, mtu) => {
                let sends = self.scene.end(from).and_then(|interface| interface.mtu);
                let evidence = format!(
                    "{} sends up to {} bytes, but {} takes no more than {mtu}",
                    port(from),
                    sends.unwrap_or_default(),
                    port(end)
                );
                let meant = self.scene.meant_interface(&end.ns, &end.name).and_then(|i| i.mtu);
                let wanted = meant.into_iter().chain(sends).max().unwrap_or(*mtu);
                let step = set(&end.ns, &end.name, LinkSetting::Mtu(wanted));
                self.cause("mtu-mismatch", port(end), evidence, vec![step])
            }
        }
    }

    /// A pair's end drops what is sent by it: the packet, or the answer of whom it looks for.
    fn policy(&self, end: &End, answers_for: Option<IpAddr>) -> Cause {
        if let Some(words) = self.scene.losing(end) {
            return self.queue_drops(end, words);
        }
        let port = self.scene.port(&end.ns, &end.name);
        let answer = answers_for.map(|hop| format!(", and so the answer of who has {hop}"));
        let answer = answer.unwrap_or_default();
        let evidence = format!("{port} drops whatever is sent by it (policy blackhole){answer}");
        let step = self.scene.end(end).and_then(|it| it.kind.device()).map(|device| {
            let option = device.spec.option("policy").map(|it| (it, Value::Number(0)));
            let wanted = option.into_iter().collect();
            let rest = kind::Options::new();
            let (by, change) = LinkSetting::options(end.clone(), device, wanted, rest);
            set(&by.ns, &by.name, change)
        });
        self.cause("policy-blackhole", port, evidence, step.into_iter().collect())
    }

    /// Whoever has the address, if anybody, is not on this link.
    fn not_here(&self, ns: &NsName, dev: &IfName, hop: IpAddr) -> Cause {
        let scene = self.scene;
        match scene.lookup_to(ns, self.dst) {
            Decision::Via { route, connected: false, .. } => {
                self.wrong_gateway(ns, &route, dev, hop)
            }
            Decision::Via { route, .. } => match scene.owners(hop).is_empty() {
                true => self.missing(hop),
                false => self.too_wide(ns, &route, dev, hop),
            },
            _ => self.nobody_has(hop),
        }
    }

    /// Nobody has an address that the file may know.
    fn missing(&self, addr: IpAddr) -> Cause {
        let meant = self.scene.all_meant().into_iter().flat_map(|meant| &meant.namespaces);
        let mut owners = meant.filter(|(_, ns)| fib::holder(ns, addr).is_some());
        let lost = owners.find_map(|(ns, _)| self.lost_address(ns, addr));
        lost.unwrap_or_else(|| self.nobody_has(addr))
    }

    fn wrong_gateway(&self, ns: &NsName, route: &Route, dev: &IfName, hop: IpAddr) -> Cause {
        let port = self.scene.port(ns, dev);
        let via = hop != self.dst;
        let what = if via { "the gateway" } else { "the destination" };
        let evidence = format!("`{route}`: nobody on the link of {port} has {hop}, {what}");
        let code = match (route.nexthops.len(), via) {
            (0 | 1, true) => "wrong-gateway",
            (0 | 1, false) => "route-astray",
            _ => "wrong-leg",
        };
        if self.scene.owners(self.dst).is_empty() {
            return self.missing(self.dst);
        }
        let step = suggest::route(self.scene, ns, self.dst, Some(route));
        self.cause(code, self.object(route, ns), evidence, step.into_iter().collect())
    }

    /// A prefix that says that too much is on the link.
    fn too_wide(&self, ns: &NsName, route: &Route, dev: &IfName, hop: IpAddr) -> Cause {
        let scene = self.scene;
        let port = scene.port(ns, dev);
        let own = scene.interface(ns, dev);
        let nets = own.into_iter().flat_map(|interface| &interface.addresses).map(|a| a.net);
        let net = nets.clone().find(|net| net.trunc() == route.dst);
        let evidence = format!(
            "{port} has {}, so {hop} is looked for on its link, but it is not there",
            net.map_or_else(|| route.dst.to_string(), |net| net.to_string())
        );
        let Some(net) = net else {
            return self.cause("wrong-mask", port, evidence, Vec::new());
        };
        // A longer prefix that the others on the link have, and that holds the own address.
        let others = suggest::neighbours(scene, ns).into_iter().filter(|(own, _)| own == dev);
        let lengths = others.flat_map(|(_, far)| {
            let there = scene.end(&far).map(|i| i.addresses.clone()).unwrap_or_default();
            there.into_iter().map(|a| a.net).filter(|other| other.contains(&net.addr()))
        });
        let fits = |len: &u8| {
            IpNet::new(net.addr(), *len)
                .is_ok_and(|new| *len > net.prefix_len() && !new.contains(&hop))
        };
        let length = lengths.map(|other| other.prefix_len()).find(fits);
        let new = length.and_then(|length| IpNet::new(net.addr(), length).ok());
        let steps = match new {
            Some(new) => self.readdress(ns, dev, net, new),
            // A route of its own is more specific than any subnet.
            None => self.host_route(ns, hop),
        };
        self.cause("wrong-mask", format!("{net} on {port}"), evidence, steps)
    }

    fn host_route(&self, ns: &NsName, dst: IpAddr) -> Vec<Step> {
        let step = suggest::route(self.scene, ns, dst, None);
        let narrow = |step: Step| match step.change {
            Change::AddRoute(route) => {
                let dst = IpNet::from(dst);
                Step::new(step.ns, Change::AddRoute(Route { dst, ..route }))
            }
            change => Step::new(step.ns, change),
        };
        step.map(narrow).into_iter().collect()
    }
}

/// Says which VLANs a port is in: "in VLAN 10 pvid untagged and 20".
fn in_vlans(vlans: &PortVlans) -> String {
    let all: Vec<String> = vlans.iter().map(|(vid, vlan)| format!("{vid}{vlan}")).collect();
    match all.is_empty() {
        true => "in no VLAN".to_owned(),
        false => format!("in VLAN {}", all.join(" and ")),
    }
}
