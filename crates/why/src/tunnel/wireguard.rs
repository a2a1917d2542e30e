//! WireGuard: the peer is chosen by the addresses that it is allowed, and checked by them
//! (drivers/net/wireguard/).

use std::net::IpAddr;

use vnet_model::End;
use vnet_model::kind::Wireguard;
use vnet_model::kind::wireguard::Peer;

use super::{Broken, Crossed, Fault, Load, Outer, PROTOCOL_UDP, send};
use crate::scene::Scene;
use crate::walk::{Stop, walk};

/// What an outer packet is longer by beside its IP header: UDP, the counter, the tag.
const HEADER_BYTES: u32 = 8 + 16 + 16;

pub(super) fn pass(scene: &Scene<'_>, from: &End, load: &Load<'_>) -> Result<Crossed, Box<Broken>> {
    let fail = |outer: Option<&Outer>, fault| {
        Box::new(Broken { from: from.clone(), outer: outer.cloned(), fault })
    };
    let Some(config) = config(scene, from) else {
        let what = format!("{} was not told anything", scene.port(&from.ns, &from.name));
        return Err(fail(None, Fault::Unknown(what)));
    };
    let (far, peer) = chosen(config, load.dst).ok_or_else(|| fail(None, Fault::NoPeer))?;
    let heard = load.heard.iter().find(|(by, of, _)| by == from && of == far);
    let known = peer.endpoint.map(|at| (at.ip(), at.port())).or(heard.map(|(.., at)| *at));
    let (dst, port) = known.ok_or_else(|| fail(None, Fault::NoEndpoint(far.clone())))?;
    let outer = outer(from, config, (dst, port));
    let walked = send(scene, &outer, load)?;
    let fail = |fault| fail(Some(&outer), fault);
    let interfaces = scene.ns(&walked.at).into_iter().flat_map(|found| &found.interfaces);
    let listens = |wireguard: &Wireguard| Some(wireguard.listen_port) == walked.dport;
    let mut takers =
        interfaces.filter(|(_, it)| it.up && it.wireguard.as_ref().is_some_and(listens));
    let taker = takers.next().map(|(name, _)| End { ns: walked.at.clone(), name: name.clone() });
    let end = taker.ok_or_else(|| fail(Fault::NotTaken(walked.at.clone())))?;
    let theirs = config_of(scene, &end);
    if end != *far || !theirs.is_some_and(|theirs| theirs.peers.contains_key(from)) {
        return Err(fail(Fault::Stranger(end)));
    }
    let is_allowed = |src: IpAddr| {
        theirs.and_then(|theirs| chosen(theirs, src)).is_some_and(|(peer, _)| peer == from)
    };
    if !load.src.is_some_and(is_allowed) {
        return Err(fail(Fault::NotAllowed(end)));
    }
    // Before anything is carried both have to speak with each other.
    let response = response(&outer, (&end, &walked), scene, load);
    match response.and_then(|back| back.stop.is_some().then_some(back)) {
        Some(back) => Err(fail(match &back.stop {
            Some(Stop::Unknown(what)) => Fault::Unknown(what.clone()),
            _ => Fault::Underlay(Box::new(back), true),
        })),
        None => Ok(Crossed { outer, end, walked }),
    }
}

/// The packets that go to those peers of which it is said where they are.
pub(super) fn outers(scene: &Scene<'_>, from: &End) -> Vec<Outer> {
    let of = |config: &Wireguard| {
        let endpoints = config.peers.values().filter_map(|peer| peer.endpoint);
        endpoints.map(|at| outer(from, config, (at.ip(), at.port()))).collect()
    };
    config(scene, from).map(of).unwrap_or_default()
}

fn outer(from: &End, config: &Wireguard, (dst, port): (IpAddr, u16)) -> Outer {
    Outer {
        from: from.clone(),
        src: None,
        dst,
        protocol: PROTOCOL_UDP,
        sport: Some(config.listen_port),
        dport: Some(port),
        extra_bytes: HEADER_BYTES + if dst.is_ipv4() { 20 } else { 40 },
        df: false,
        ttl: None,
        mark: config.fwmark,
        dev: None,
    }
}

/// The way of what answers the first outer packet.
fn response(
    outer: &Outer,
    (end, walked): (&End, &crate::walk::Walked),
    scene: &Scene<'_>,
    load: &Load<'_>,
) -> Option<crate::walk::Walked> {
    if load.is_answer {
        return None;
    }
    let mut sent = outer.sent(scene, load);
    sent.from = walked.at.clone();
    sent.mark = config(scene, end).map_or(0, |config| config.fwmark);
    (sent.src, sent.dst) = (Some(walked.dst), walked.src?);
    (sent.sport, sent.dport) = (outer.dport, outer.sport);
    (sent.is_answer, sent.flows) = (true, walked.flows.clone());
    scene.nested(super::DEPTH_MAX, (end, sent.dst), || walk(scene, &sent, &[]))
}

fn config<'s>(scene: &'s Scene<'_>, end: &End) -> Option<&'s Wireguard> {
    scene.end(end)?.wireguard.as_ref()
}

use config as config_of;

/// Chooses the peer that is allowed an address by the longest prefix (`lookup` in allowedips.c).
pub(crate) fn chosen(config: &Wireguard, addr: IpAddr) -> Option<(&End, &Peer)> {
    let longest = |peer: &Peer| {
        let nets = peer.allowed_ips.iter().filter(|net| net.contains(&addr));
        nets.map(|net| net.prefix_len()).max()
    };
    let peers = config.peers.iter().filter_map(|(end, peer)| Some((longest(peer)?, end, peer)));
    peers.max_by_key(|(length, ..)| *length).map(|(_, end, peer)| (end, peer))
}
