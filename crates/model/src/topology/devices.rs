//! The rules of interfaces that a node makes itself, and of ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::InterfaceOptions;
use super::wiring::{Made, PlaceKind, Wired, Wiring};
use crate::kind::{Device, Form, Lower, Value, uses_one};
use crate::names::IfName;
use crate::problem::{Problem, ProblemKind, TunnelProblem};

/// Finds what is wrong with the interfaces of a kind, and with the options of ports.
pub(super) fn problems(wiring: &Wiring<'_>, problems: &mut Vec<Problem>) {
    for (id, wired) in wiring.interfaces.iter().enumerate() {
        let mut kinds = Vec::new();
        match (wired.device, wired.made) {
            (Some(device), Made::LinkEnd(_)) if device.spec.is_pair() => {
                kinds.extend(of_pair(wiring, id, device));
            }
            (Some(device), Made::LinkEnd(link)) => {
                kinds.extend(of_tunnel(wiring, (id, link), device));
            }
            (Some(device), made)
                if device.spec.is_pair()
                    || device.spec.is_wireguard() && !matches!(made, Made::Tunnel(_)) =>
            {
                let of = if device.spec.is_pair() { "link" } else { "link or segment" };
                let reason = format!("comes with a {of} of this kind");
                let kind = device.spec.name;
                kinds.push(ProblemKind::BadDevice { at: wiring.at(id), kind, reason });
            }
            (Some(device), _) => kinds.extend(of_device(wiring, id, device)),
            (None, _) => {}
        }
        kinds.extend(of_segment(wiring, id));
        kinds.extend(of_port(wiring, wired));
        problems.extend(kinds.into_iter().map(|kind| Problem::new(kind, wired.origin)));
    }
}

/// What must hold between the options of a segment's bridge.
fn of_segment(wiring: &Wiring<'_>, id: usize) -> Option<ProblemKind> {
    let wired = &wiring.interfaces[id];
    let PlaceKind::Segment(segment) = wiring.places[wired.place].kind else { return None };
    let mut bridge = Device::bridge(segment.stp);
    bridge.options.extend(&segment.bridge);
    let bridge = bridge.with("vlan_filtering", Value::Bool(wiring.filters(id)));
    let is_bridge = matches!(wired.made, Made::SegmentBridge(_));
    let reason = (bridge.spec.check)(&bridge.options).err().filter(|_| is_bridge)?.to_owned();
    Some(ProblemKind::BadDevice { at: wiring.at(id), kind: bridge.spec.name, reason })
}

/// An end of a cable that is no veth pair. Only what has a hardware address can be a port of a bridge
/// (`br_add_if`, net/bridge/br_if.c).
fn of_pair(wiring: &Wiring<'_>, id: usize, device: &Device) -> Vec<ProblemKind> {
    let mut kinds = of_device(wiring, id, device);
    if wiring.is_wire(id) && !device.has_own_mac() {
        let (at, kind) = (wiring.at(id), device.spec.name);
        let reason = "needs `mode: l2` to be a port".to_owned();
        kinds.push(ProblemKind::BadDevice { at, kind, reason });
    }
    kinds
}

/// An end of a tunnel: where from and where to is not known yet, but always found.
fn of_tunnel(wiring: &Wiring<'_>, (id, link): (usize, usize), device: &Device) -> Vec<ProblemKind> {
    let wired = &wiring.interfaces[id];
    let place = &wiring.places[wired.place];
    let kind = device.spec.name;
    if let PlaceKind::Segment(_) = place.kind {
        let name = place.name.clone();
        return vec![ProblemKind::NotANode { name, role: "the end of a tunnel" }];
    }
    // What is wrong with the tunnel is said once.
    if wiring.links[link][0] != id {
        return Vec::new();
    }
    let somewhere = match device.spec.option("remote").map(|option| option.form) {
        Some(Form::Ipv6) => IpAddr::from(Ipv6Addr::LOCALHOST),
        _ => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    let full = device.clone().with("local", Value::Ip(somewhere));
    of_device(wiring, id, &full.with("remote", Value::Ip(somewhere)))
        .into_iter()
        .chain((!device.spec.is_tunnel()).then_some(TunnelProblem::NotALink { kind }.into()))
        .collect()
}

fn of_device(wiring: &Wiring<'_>, id: usize, device: &Device) -> Vec<ProblemKind> {
    let wired = &wiring.interfaces[id];
    let spec = device.spec;
    let at = || wiring.at(id);
    let mut kinds = Vec::new();
    for option in spec.options {
        if option.required && device.options.get(option.word).is_none() {
            let reason = format!("needs `{}`", option.key);
            kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
        }
    }
    if let Err(reason) = (spec.check)(&device.options) {
        let reason = reason.to_owned();
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    if spec.lower == Lower::Required && !device.stands() {
        let reason = "needs `link`, the interface that it stands on".to_owned();
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    if spec.lower == Lower::Host && device.host_lower.is_none() {
        let reason = "needs `link: host:NAME`, the interface that is moved".to_owned();
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    let lower = device.host_lower.as_ref().map(IfName::as_str);
    if spec.is_physical() && lower == Some(crate::apply::LOOPBACK) {
        let reason = "can't be `host:lo`: each namespace has a `lo` of its own".to_owned();
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    let said = wired.options.iter().flat_map(|options| kept_of_physical(options));
    for key in said.filter(|_| spec.is_physical()) {
        let reason = format!("keeps its own `{key}`, which it goes back with");
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    if spec.is_tun() && wired.options.iter().any(|options| !options.queues.is_unsaid()) {
        let reason = "has a queue for each program that has it open, with `multi_queue`".to_owned();
        kinds.push(ProblemKind::BadDevice { at: at(), kind: spec.name, reason });
    }
    if !device.has_own_mac() && wired.mac().is_some() {
        kinds.push(ProblemKind::NoMac { at: at(), kind: spec.name });
    }
    for needed in device.needs() {
        match wiring.interface(wired.place, needed) {
            None => kinds.push(wiring.unknown_interface(wired.place, needed)),
            Some(below) if stands_on(wiring, below, id) => {
                kinds.push(ProblemKind::StandsOnItself { at: at() });
            }
            Some(_) => {}
        }
    }
    kinds
}

/// Lists what is said of an interface that one of the host's must not be told: it would not go back as
/// it was.
fn kept_of_physical(options: &InterfaceOptions) -> impl Iterator<Item = &'static str> {
    let said = [
        ("mtu", options.mtu.is_some()),
        ("alias", options.alias.is_some()),
        ("txqueuelen", options.txqueuelen.is_some()),
        ("offload", !options.offload.is_empty()),
        ("rps_cpus", options.rps_cpus.is_some()),
        ("numtxqueues", options.queues.tx.is_some()),
        ("numrxqueues", options.queues.rx.is_some()),
    ];
    said.into_iter().filter_map(|(key, is_said)| is_said.then_some(key))
}

/// Tells whether an interface is another, or stands on it by however many between: as what it needs,
/// or as its port.
fn stands_on(wiring: &Wiring<'_>, from: usize, to: usize) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        if id == to {
            return true;
        }
        if !seen.insert(id) {
            continue;
        }
        let wired = &wiring.interfaces[id];
        let needs = wired.device.into_iter().flat_map(Device::needs);
        next.extend(needs.filter_map(|needed| wiring.interface(wired.place, needed)));
        let is_port = |port: &usize| wiring.interfaces[*port].master == Some(id);
        // What is on a VRF does not hang on its ports.
        if !wired.is_vrf() {
            next.extend(wiring.places[wired.place].interfaces.iter().copied().filter(is_port));
        }
    }
    false
}

fn of_port(wiring: &Wiring<'_>, wired: &Wired<'_>) -> Vec<ProblemKind> {
    let master = wired.master.map(|master| &wiring.interfaces[master]);
    let spec = master.and_then(|master| match master.device {
        Some(device) => Some(device.spec),
        None => master.is_bridge().then_some(&crate::kind::BRIDGE),
    });
    let at = || crate::problem::At {
        node: wiring.places[wired.place].name.clone(),
        interface: wired.name.clone(),
    };
    let words = wired.options.iter().flat_map(|options| options.port.iter());
    let known = |word: &str| spec.is_some_and(|spec| spec.port_option(word).is_some());
    let words: Vec<_> = words.collect();
    let strange = words.iter().copied().filter(|(word, _): &(&str, &Value)| !known(word));
    let mut kinds: Vec<ProblemKind> =
        strange.map(|(word, _)| ProblemKind::PortOption { at: at(), option: word }).collect();
    let mode = master.and_then(|master| master.device?.options.get("mode"));
    if known("prio") && words.iter().any(|(word, _)| *word == "prio") && !uses_one(mode) {
        kinds.push(ProblemKind::NoPriority { at: at() });
    }
    for (_, value) in words {
        let Value::Interface(name) = value else { continue };
        match wiring.interface(wired.place, name) {
            None => kinds.push(wiring.unknown_interface(wired.place, name)),
            Some(other)
                if *name == wired.name || wiring.interfaces[other].master != wired.master =>
            {
                kinds.push(ProblemKind::NoBackup { at: at(), backup: name.clone() });
            }
            Some(_) => {}
        }
    }
    kinds
}
