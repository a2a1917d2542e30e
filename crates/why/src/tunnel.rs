//! What carries packets over an interface, and tunnels: packets in packets, whose way is another walk.

mod wireguard;

use std::net::{IpAddr, Ipv4Addr};

use vnet_model::kind::{KindSpec, Value};
use vnet_model::{End, IfName, NsName, Packet};

use crate::filter::Flow;
use crate::scene::Scene;
use crate::travel::ways as ways_of;
use crate::walk::{Learned, Sent, Stop, Walked, walk};

/// How many tunnels may be in each other before it is taken for a circle (`XMIT_RECURSION_LIMIT`,
/// linux/netdevice.h, lets a little more pass).
const DEPTH_MAX: usize = 6;

const PROTOCOL_UDP: u8 = 17;

/// How a packet leaves by an interface.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Medium {
    /// In frames on a wire, to whom `wire` finds.
    Wire,
    /// By the table of a VRF.
    Vrf,
    /// By the routes of the namespace of the interface below (ipvlan in mode `l3` or `l3s`).
    Below,
    /// In another packet, alone or with its frame.
    Tunnel(&'static Carrier),
    /// In a packet to the peer whose it is.
    Wireguard,
    /// It goes nowhere.
    Nowhere,
    /// That is not modelled.
    Unknown,
}

/// The table of kinds: how packets leave by each.
pub(crate) fn medium(spec: &KindSpec) -> Medium {
    match spec.name {
        "bridge" | "vlan" => Medium::Wire,
        "vrf" => Medium::Vrf,
        "wireguard" => Medium::Wireguard,
        "dummy" => Medium::Nowhere,
        name => match CARRIERS.iter().find(|carrier| carrier.kind == name) {
            Some(carrier) => Medium::Tunnel(carrier),
            None => Medium::Unknown,
        },
    }
}

/// A kind of tunnel.
#[derive(Debug)]
pub(crate) struct Carrier {
    kind: &'static str,
    around: Around,
    /// What the outer packet is longer by beside its IP header, in bytes; with a key 4 more.
    header_bytes: u32,
    /// Whether it carries frames.
    pub(crate) is_ethernet: bool,
    /// The UDP port where none is said.
    port: Option<u64>,
    /// Whether its packets may not be cut into fragments, where nothing is said.
    df: bool,
}

/// The protocol of the outer packet (IANA's "Protocol Numbers").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    /// It is the kind's own.
    Own(u8),
    /// It says what is inside: what goes in where no mode is said, 0 for any.
    Inside(u8),
}

const GRE: Around = Around::Own(47);
const UDP: Around = Around::Own(PROTOCOL_UDP);

const fn carrier(kind: &'static str, around: Around, header_bytes: u32) -> Carrier {
    let (is_ethernet, port, df) = (false, None, true);
    Carrier { kind, around, header_bytes, is_ethernet, port, df }
}

const fn ethernet(kind: &'static str, around: Around, header_bytes: u32) -> Carrier {
    Carrier { is_ethernet: true, ..carrier(kind, around, header_bytes) }
}

static CARRIERS: &[Carrier] = &[
    carrier("ipip", Around::Inside(IPV4_INSIDE), 0),
    carrier("sit", Around::Inside(IPV6_INSIDE), 0),
    carrier("gre", GRE, 4),
    carrier("ip6gre", GRE, 4),
    carrier("ip6tnl", Around::Inside(0), 0),
    ethernet("gretap", GRE, 4 + 14),
    ethernet("ip6gretap", GRE, 4 + 14),
    Carrier { port: Some(8472), df: false, ..ethernet("vxlan", UDP, 8 + 8 + 14) },
    Carrier { port: Some(6081), df: false, ..ethernet("geneve", UDP, 8 + 8 + 14) },
];

/// `IPPROTO_IPIP` and `IPPROTO_IPV6` (linux/in.h).
const IPV4_INSIDE: u8 = 4;
const IPV6_INSIDE: u8 = 41;

impl Carrier {
    /// The protocol of a packet around another.
    fn protocol_around(&self, is_v6: bool) -> u8 {
        match self.around {
            Around::Own(protocol) => protocol,
            Around::Inside(_) if is_v6 => IPV6_INSIDE,
            Around::Inside(_) => IPV4_INSIDE,
        }
    }

    /// Tells whether an interface of this kind sends and takes packets around such of a family (`ipip_tunnel_xmit`,
    /// net/ipv4/ipip.c; `sit_tunnel_xmit`, net/ipv6/sit.c; `ip6_tnl_start_xmit`, net/ipv6/ip6_tunnel.c).
    fn carries(&self, scene: &Scene<'_>, end: &End, is_v6: bool) -> bool {
        let Around::Inside(usual) = self.around else { return true };
        let mode = match scene.option(end, "mode") {
            Some(Value::Number(mode)) => *mode,
            _ => usual.into(),
        };
        match mode {
            0 => self.kind != "ipip" || !is_v6,
            mode => mode == self.protocol_around(is_v6).into(),
        }
    }
}

/// A packet that carries another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outer {
    /// The tunnel that it leaves by.
    pub(crate) from: End,
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: IpAddr,
    protocol: u8,
    pub(crate) sport: Option<u16>,
    dport: Option<u16>,
    pub(crate) extra_bytes: u32,
    df: bool,
    pub(crate) ttl: Option<u32>,
    /// The mark that it is sent with (`fwmark`).
    pub(crate) mark: u32,
    /// The interface that it may leave by alone.
    dev: Option<IfName>,
}

/// What is carried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'l> {
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: IpAddr,
    pub(crate) size_bytes: u32,
    pub(crate) is_answer: bool,
    /// What was noted down of the outer packets, for an answer.
    pub(crate) flows: &'l [Flow],
    /// Which devices have heard from which since, and whence.
    pub(crate) heard: &'l [Heard],
    /// Which legs of routes the outer packet takes; nothing where all are tried.
    pub(crate) legs: Option<&'l [usize]>,
}

/// A device that has heard from another, which it now knows to be there.
pub(crate) type Heard = (End, End, (IpAddr, u16));

/// A tunnel was passed.
#[derive(Debug, Clone)]
pub(crate) struct Crossed {
    pub(crate) outer: Outer,
    /// Where it comes out.
    pub(crate) end: End,
    /// The way of the outer packet.
    pub(crate) walked: Walked,
}

/// A tunnel was not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) from: End,
    /// The outer packet, where there is one.
    pub(crate) outer: Option<Outer>,
    pub(crate) fault: Fault,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The outer packet gets no further, or what answers it: then `true`.
    Underlay(Box<Walked>, bool),
    /// It goes into itself: such a packet is dropped (`ip_tunnel_xmit`, net/ipv4/ip_tunnel.c;
    /// `udp_tunnel_dst_lookup`, net/ipv4/udp_tunnel_core.c).
    Loop,
    /// Such packets don't go in.
    Family,
    /// It arrives, and nobody there takes it.
    NotTaken(NsName),
    /// The device has no peer for the packet.
    NoPeer,
    /// It is not known where that peer is.
    NoEndpoint(End),
    /// It comes to a device with another key than that of the peer, or that does not know the sender.
    Stranger(End),
    /// The peer does not take packets with this source from the sender.
    NotAllowed(End),
    /// Something that is not modelled.
    Unknown(String),
}

impl Broken {
    /// Tells whether it is for a tunnel that is to carry itself: this one, or one that carries it.
    pub(crate) fn is_circle(&self) -> bool {
        match &self.fault {
            Fault::Loop => true,
            Fault::Underlay(walked, _) => {
                matches!(&walked.stop, Some(Stop::Tunnel(inner)) if inner.is_circle())
            }
            _ => false,
        }
    }

    pub(crate) fn text(&self) -> String {
        let from = &self.from.name;
        match (&self.fault, &self.outer) {
            (Fault::Underlay(walked, is_back), Some(outer)) => {
                if let Some(Stop::Tunnel(inner)) = &walked.stop
                    && inner.from == self.from
                {
                    return inner.text();
                }
                let stop = walked.stop.as_ref().map(Stop::text).unwrap_or_default();
                let way = if *is_back { "back from" } else { "to" };
                format!("{from}'s packets {way} {} get no further: {stop}", outer.dst)
            }
            (Fault::Loop, _) => format!("{from}'s own packets would leave by {from}"),
            (Fault::Family, _) => format!("{from} carries no such packets"),
            (Fault::NotTaken(_), _) => format!("nothing at the far end takes {from}'s packets"),
            (Fault::NoPeer, _) => format!("{from} has no peer that is allowed this address"),
            (Fault::NoEndpoint(_), _) => format!("{from} does not know where its peer is"),
            (Fault::Stranger(_), _) => format!("{from} and its peer have other keys"),
            (Fault::NotAllowed(_), _) => {
                "the peer does not allow this source from there".to_owned()
            }
            (Fault::Unknown(what), _) => what.clone(),
            (Fault::Underlay(..), None) => String::new(),
        }
    }
}

impl Outer {
    /// The question that its way is the answer to.
    pub(crate) fn text(&self, scene: &Scene<'_>) -> String {
        let kind = scene.end(&self.from).map(|it| it.kind.name().to_owned()).unwrap_or_default();
        match self.dport {
            Some(port) => format!("in {kind}, to {} udp/{port}", self.dst),
            None => format!("in {kind}, to {}", self.dst),
        }
    }

    pub(crate) fn packet(&self) -> Packet {
        self.dport.map_or(Packet::Icmp, Packet::Udp)
    }

    fn sent(&self, scene: &Scene<'_>, load: &Load<'_>) -> Sent {
        let keeps_flow = self.sport.is_some() || self.dport.is_none();
        let beside = self.dev.as_ref();
        Sent {
            from: self.from.ns.clone(),
            src: self.src,
            dst: self.dst,
            size_bytes: load.size_bytes + self.extra_bytes,
            df: self.df,
            packet: self.packet(),
            prefers: None,
            vrf: beside.and_then(|dev| scene.vrf_of(&self.from.ns, dev)),
            link: None,
            outer: Some((self.protocol, self.ttl)),
            mark: self.mark,
            oif: self.dev.clone(),
            is_answer: load.is_answer && keeps_flow,
            is_error: false,
            sport: self.sport,
            dport: self.dport,
            flows: if keeps_flow { load.flows.to_vec() } else { Vec::new() },
            outer_flows: Vec::new(),
            heard: Vec::new(),
            learned: Learned::default(),
        }
    }
}

/// Sends an outer packet.
fn send(scene: &Scene<'_>, outer: &Outer, load: &Load<'_>) -> Result<Walked, Box<Broken>> {
    let broken =
        |fault| Box::new(Broken { from: outer.from.clone(), outer: Some(outer.clone()), fault });
    let sent = outer.sent(scene, load);
    let walked = scene.nested(DEPTH_MAX, (&outer.from, outer.dst), || match load.legs {
        Some(legs) => Ok(walk(scene, &sent, legs)),
        None => the_one(ways_of(scene, &sent)),
    });
    let walked = walked.ok_or_else(|| broken(Fault::Loop))?;
    let walked = walked.map_err(|what| broken(Fault::Unknown(what)))?;
    match &walked.stop {
        None => Ok(walked),
        Some(Stop::Unknown(what)) => Err(broken(Fault::Unknown(what.clone()))),
        Some(_) => Err(broken(Fault::Underlay(Box::new(walked), false))),
    }
}

/// Of all ways one that stands for them, where they come to the same.
fn the_one(mut ways: Vec<Walked>) -> Result<Walked, String> {
    let fails = |walked: &Walked| walked.stop.is_some();
    if ways.iter().any(fails) && !ways.iter().all(fails) {
        return Err("only some ways of what carries a tunnel lead to its far end".to_owned());
    }
    Ok(ways.swap_remove(0))
}

/// Passes a tunnel with what goes to one far end; of all that flood there the first that is reached.
pub(crate) fn pass(scene: &Scene<'_>, from: &End, load: &Load<'_>) -> Result<Crossed, Box<Broken>> {
    if matches!(scene.medium(from), Medium::Wireguard) {
        return wireguard::pass(scene, from, load);
    }
    let mut ways = ways(scene, from, load);
    ways.truncate(1);
    ways.pop().unwrap_or_else(|| {
        let fault = Fault::Unknown(format!("{} has no far end", scene.port(&from.ns, &from.name)));
        Err(Box::new(Broken { from: from.clone(), outer: None, fault }))
    })
}

/// Finds a far end, of the first so many, to which a tunnel's packets would go by that tunnel.
pub(crate) fn circle(scene: &Scene<'_>, from: &End, most: usize) -> Option<Box<Broken>> {
    let load = Load {
        src: None,
        dst: Ipv4Addr::UNSPECIFIED.into(),
        size_bytes: 0,
        is_answer: false,
        flows: &[],
        heard: &[],
        legs: None,
    };
    let outers = match scene.medium(from) {
        Medium::Tunnel(carrier) => outers(scene, from, carrier, false).unwrap_or_default(),
        Medium::Wireguard => wireguard::outers(scene, from),
        _ => Vec::new(),
    };
    let mut broken = outers.iter().take(most).filter_map(|outer| send(scene, outer, &load).err());
    broken.find(|broken| broken.is_circle())
}

/// Passes a tunnel by all its ways: one that carries frames may flood several far ends.
pub(crate) fn ways(
    scene: &Scene<'_>,
    from: &End,
    load: &Load<'_>,
) -> Vec<Result<Crossed, Box<Broken>>> {
    let fail = |fault| Box::new(Broken { from: from.clone(), outer: None, fault });
    let Medium::Tunnel(carrier) = scene.medium(from) else { return Vec::new() };
    let is_v6 = load.dst.is_ipv6();
    if !carrier.carries(scene, from, is_v6) {
        return vec![Err(fail(Fault::Family))];
    }
    match outers(scene, from, carrier, is_v6) {
        Ok(outers) => outers
            .into_iter()
            .map(|outer| {
                let walked = send(scene, &outer, load)?;
                let there = taker(scene, &outer, &walked);
                let fault = || Fault::NotTaken(walked.at.clone());
                let broken = |fault| Broken { outer: Some(outer.clone()), ..*fail(fault) };
                let end = there.ok_or_else(|| Box::new(broken(fault())))?;
                Ok(Crossed { outer, end, walked })
            })
            .collect(),
        Err(what) => {
            let what = format!("{} {what}", scene.port(&from.ns, &from.name));
            vec![Err(fail(Fault::Unknown(what)))]
        }
    }
}

/// The packets that carry what leaves by a tunnel, one for each far end.
fn outers(
    scene: &Scene<'_>,
    from: &End,
    carrier: &Carrier,
    is_v6: bool,
) -> Result<Vec<Outer>, &'static str> {
    if scene.is_on(from, "external") {
        return Err("is told by routes and filters where packets go, which is not followed");
    }
    let ip = |word: &str| addr(scene, from, word);
    let mut far: Vec<IpAddr> = ip("remote").into_iter().collect();
    if carrier.kind == "vxlan" {
        let flood = scene.end(from).and_then(|it| it.fdb.as_ref()).into_iter().flatten();
        far.extend(flood.filter(|entry| entry.mac.0 == [0; 6]).filter_map(|entry| entry.dst));
        far.dedup();
    } else if far.is_empty() {
        return Err("has no far end of its own, which is not followed");
    }
    if far.iter().any(IpAddr::is_multicast) {
        return Err("sends to a multicast group, which is not followed");
    }
    let dev = match scene.option(from, "dev") {
        Some(Value::Interface(dev)) => Some(dev.clone()),
        _ => None,
    };
    let count = |word: &str| match scene.option(from, word) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let ttl = count("ttl").or_else(|| count("hoplimit")).filter(|ttl| *ttl > 0);
    let has_key = carrier.around == GRE && scene.option(from, "key").is_some();
    let outer = |dst: IpAddr| {
        let header = if dst.is_ipv4() { 20 } else { 40 };
        let df = match scene.option(from, "pmtudisc") {
            Some(Value::Bool(on)) => *on,
            _ => carrier.df,
        };
        Outer {
            from: from.clone(),
            src: ip("local"),
            dst,
            protocol: carrier.protocol_around(is_v6),
            sport: None,
            dport: port(scene, from, carrier),
            extra_bytes: carrier.header_bytes + header + if has_key { 4 } else { 0 },
            df,
            ttl: ttl.and_then(|ttl| u32::try_from(ttl).ok()),
            mark: count("fwmark").and_then(|mark| u32::try_from(mark).ok()).unwrap_or(0),
            dev: dev.clone(),
        }
    };
    Ok(far.into_iter().map(outer).collect())
}

fn addr(scene: &Scene<'_>, end: &End, word: &str) -> Option<IpAddr> {
    match scene.option(end, word) {
        Some(Value::Ip(addr)) if !addr.is_unspecified() => Some(*addr),
        _ => None,
    }
}

fn port(scene: &Scene<'_>, end: &End, carrier: &Carrier) -> Option<u16> {
    let default = carrier.port?;
    match scene.option(end, "dstport") {
        Some(Value::Number(port)) => u16::try_from(*port).ok(),
        _ => u16::try_from(default).ok(),
    }
}

/// Finds who takes an outer packet where it arrives.
fn taker(scene: &Scene<'_>, outer: &Outer, walked: &Walked) -> Option<End> {
    let mut ends = alike(scene, outer, &walked.at);
    ends.retain(|end| {
        let is_up = scene.end(end).is_some_and(|found| found.up);
        is_up && walked.src.is_some_and(|src| takes(scene, outer, end, src, walked.dst).is_none())
    });
    // One that says from whom comes before one that takes all (`ip_tunnel_lookup`).
    ends.sort_by_key(|end| addr(scene, end, "remote").is_none());
    ends.into_iter().next()
}

/// The interfaces of a namespace that are of the same kind as the tunnel.
pub(crate) fn alike(scene: &Scene<'_>, outer: &Outer, ns: &NsName) -> Vec<End> {
    let spec = |end: &End| scene.end(end)?.kind.device().map(|device| device.spec.name);
    let wanted = spec(&outer.from);
    let names = scene.ns(ns).into_iter().flat_map(|found| found.interfaces.keys());
    let mut ends: Vec<End> = names.map(|name| End { ns: ns.clone(), name: name.clone() }).collect();
    ends.retain(|end| *end != outer.from && spec(end) == wanted);
    ends
}

/// The option by which an interface does not take an outer packet from `src` to `dst`; nothing where
/// it does (`ip_tunnel_lookup`, net/ipv4/ip_tunnel.c; `vxlan_rcv`, `geneve_lookup`).
pub(crate) fn takes(
    scene: &Scene<'_>,
    outer: &Outer,
    end: &End,
    src: IpAddr,
    dst: IpAddr,
) -> Option<&'static str> {
    let Medium::Tunnel(carrier) = scene.medium(end) else { return Some("remote") };
    let same = |word: &str| scene.option(end, word) == scene.option(&outer.from, word);
    let fits = |word: &str, is: IpAddr| addr(scene, end, word).is_none_or(|own| own == is);
    let has = |of: &End, word: &str| scene.is_on(of, word);
    let differs = |word: &'static str, fits: bool| (!fits).then_some(word);
    let key = |of: &End| scene.option(of, "key");
    if carrier.port.is_some() {
        let of_family = addr(scene, end, "remote").or(addr(scene, end, "local"));
        return differs("id", same("id"))
            .or(differs("dstport", port(scene, end, carrier) == outer.dport))
            .or(differs("remote", of_family.is_none_or(|own| own.is_ipv4() == dst.is_ipv4())))
            .or(differs("remote", carrier.kind != "geneve" || fits("remote", src)));
    }
    differs("local", fits("local", dst))
        .or(differs("remote", fits("remote", src)))
        .or(differs(
            "key",
            key(end).map(Value::incoming)
                == key(&outer.from).map(|it| it.at_the_other_end().incoming()),
        ))
        .or(differs("csum", has(end, "csum") == has(&outer.from, "csum")))
        .or(differs("seq", !has(end, "seq") || has(&outer.from, "seq")))
        .or(differs("mode", carrier.carries(scene, end, outer.protocol == IPV6_INSIDE)))
}

/// Where it would most likely come out, had it not been broken: an interface of the kind whose
/// namespace has the address that it goes to, or was meant to.
pub(crate) fn likely(scene: &Scene<'_>, broken: &Broken) -> Option<End> {
    let outer = broken.outer.as_ref()?;
    let meant = scene.meant_interface(&outer.from.ns, &outer.from.name);
    let meant = meant.and_then(|meant| match meant.kind.device()?.options.get("remote") {
        Some(Value::Ip(addr)) => Some(*addr),
        _ => None,
    });
    let mut dsts = [Some(outer.dst), meant].into_iter().flatten();
    dsts.find_map(|dst| far_end(scene, &outer.from, dst))
}

/// The interface of the same kind where an address is.
pub(crate) fn far_end(scene: &Scene<'_>, from: &End, dst: IpAddr) -> Option<End> {
    let spec = |end: &End| scene.end(end)?.kind.device().map(|device| device.spec.name);
    let wanted = spec(from);
    scene.owners(dst).into_iter().find_map(|ns| {
        let mut names = scene.ns(&ns)?.interfaces.keys();
        names.find_map(|name| {
            let end = End { ns: ns.clone(), name: name.clone() };
            (end != *from && spec(&end) == wanted).then_some(end)
        })
    })
}
