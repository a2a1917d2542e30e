//! Why a packet gets no further.

use std::net::IpAddr;

use vnet_model::{End, IfName, Mac, NsName, Route, Rule};

use super::ROUTE_LOCALNET;
use crate::filter::Dropped;
use crate::tunnel::Broken;

/// Why a packet gets no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing leads to the destination.
    NoRoute,
    /// A route drops it.
    Dropped(Route),
    /// A policy rule drops it.
    Refused(Box<Rule>),
    /// A packet filter drops it.
    ByFilter(Box<Dropped>),
    /// The destination is the broadcast address of this interface's subnet.
    Broadcast(IfName),
    /// It is the namespace's own address, and `lo` is down.
    LoDown,
    /// There is no address to send it from.
    NoSource(IfName),
    /// The source that was asked for is not an address of the namespace.
    NotOwn(IpAddr),
    /// It would leave by a port of a bridge, where no answer comes in.
    ByPort(IfName),
    /// Nobody on the link answers for the next hop.
    Unresolved { dev: IfName, hop: IpAddr },
    /// Who has the address does not answer for it, because of this setting.
    ArpSilent { end: End, key: &'static str },
    /// Somebody wrote down a hardware address that nobody on the link has.
    WrongNeighbour { dev: IfName, hop: IpAddr, mac: Mac },
    /// Nobody listens on the port.
    NobodyListens,
    /// It is too long for this interface, or for the route by it.
    TooBig { dev: IfName, mtu: u32, by: Limit },
    /// The route says that more fits than this interface takes.
    TooWide { dev: IfName, mtu: u32, room: u32 },
    /// It is longer than its sender has learned that its way takes, and would get there.
    Learned(u32),
    /// An ipvlan has its address, and is down.
    UpperDown(End),
    /// It is between two ipvlans on one interface, whose flag keeps them apart.
    KeptApart(End, End),
    /// An ipvlan of mode `l3s` has its address, and stands on a port of a VRF, which is given it.
    VrfTakes { upper: End, vrf: IfName },
    /// It came in here and is not passed on.
    NotForwarded(IfName),
    /// It passed as many routers as its time to live allows.
    TtlOver(u32),
    /// The interface that it would leave by asks no neighbours.
    ArpOff(IfName),
    /// The interface that it would leave by asks for no neighbour that it does not know, by this setting.
    AsksNobody { dev: IfName, key: String },
    /// The destination is a link-local address, and nothing says on which link.
    NoLink,
    /// It says it comes from an address of the namespace that it came to.
    Martian(End),
    /// The way back to its source is not the one it came by.
    Filtered(IfName),
    /// It has an address of 127.0.0.0/8, which this interface lets neither in nor out.
    Loopback(IfName),
    /// It goes round in circles.
    Loop(Vec<NsName>),
    /// It came in by an interface of a VRF, and programs outside of that are not given such.
    OutsideVrf { vrf: IfName, key: &'static str },
    /// A tunnel that it leaves by is not passed.
    Tunnel(Box<Broken>),
    /// What leaves by this interface goes nowhere.
    Nowhere(IfName),
    /// The VRF that it is sent in is down.
    VrfDown(IfName),
    /// It is an echo request, and this sysctl says to ignore those.
    Ignored(&'static str),
    /// It goes to an interface of a kind that is not modelled, or to rules that are not.
    Unknown(String),
}

/// What says how long a packet may be that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The interface.
    Interface,
    /// The interface, for IPv6 alone.
    Ipv6,
    /// The route.
    Route(Box<Route>),
}

impl Stop {
    /// Says it in a line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::NoRoute => "no route leads there".to_owned(),
            Self::ByFilter(dropped) => dropped.text(),
            Self::Dropped(route) => format!("dropped by the route `{route}`"),
            Self::Refused(rule) => format!("dropped by the policy rule `{rule}`"),
            Self::Broadcast(dev) => format!("it is the broadcast address of {dev}'s subnet"),
            Self::LoDown => "it is its own address, and lo is down".to_owned(),
            Self::NoSource(_) => "there is no address to send from".to_owned(),
            Self::NotOwn(src) => format!("{src} is not an address of it"),
            Self::ByPort(dev) => {
                format!("{dev} is a port of a bridge: answers don't come in by it")
            }
            Self::Unresolved { dev, hop } => format!("nobody on {dev} answers for {hop}"),
            Self::ArpSilent { key, .. } => format!("not answered for by ARP: {key}"),
            Self::WrongNeighbour { hop, mac, .. } => {
                format!("somebody wrote down that {hop} is at {mac}, which nobody there has")
            }
            Self::NobodyListens => "nobody listens on this port and address".to_owned(),
            Self::TooBig { dev, mtu, by: Limit::Interface } => {
                format!("too long for {dev}, whose MTU is {mtu} bytes")
            }
            Self::TooBig { dev, mtu, by: Limit::Ipv6 } => {
                format!("too long for {dev}, whose MTU for IPv6 is {mtu} bytes")
            }
            Self::TooBig { mtu, by: Limit::Route(_), .. } => {
                format!("too long for the route, whose MTU is {mtu} bytes")
            }
            Self::TooWide { dev, mtu, room } => {
                format!("the route says {room} bytes, and {dev} takes {mtu}")
            }
            Self::Learned(mtu) => format!("it has learned that {mtu} bytes fit the way there"),
            Self::UpperDown(end) => format!("{} has its address, and is down", end.name),
            Self::KeptApart(from, to) => {
                format!("{} and {} are kept apart on the interface below", from.name, to.name)
            }
            Self::VrfTakes { upper, vrf } => {
                format!("{} has its address, and the VRF {vrf} is given it", upper.name)
            }
            Self::NotForwarded(dev) => format!("what comes in by {dev} is not forwarded"),
            Self::TtlOver(ttl) => {
                format!("it has passed {ttl} nodes, and its time to live is over")
            }
            Self::ArpOff(dev) => format!("{dev} asks no neighbours: `arp off`"),
            Self::AsksNobody { dev, key } => format!("{dev} asks for no neighbours: {key}"),
            Self::NoLink => "it is a link-local address, and no link is said".to_owned(),
            Self::Martian(_) => "dropped: it seems to come from an own address".to_owned(),
            Self::Filtered(dev) => format!("dropped by rp_filter: {dev} is not the way back"),
            Self::Loopback(dev) => {
                format!("{dev} passes no addresses of loopback: {ROUTE_LOCALNET}")
            }
            Self::Loop(_) => "it was here before: it goes round in circles".to_owned(),
            Self::Ignored(key) => format!("echo requests are ignored: {key}"),
            Self::OutsideVrf { vrf, key } => {
                format!("only programs in the VRF {vrf} are given it: {key}")
            }
            Self::Tunnel(broken) => broken.text(),
            Self::Nowhere(dev) => format!("what leaves by {dev} goes nowhere"),
            Self::VrfDown(vrf) => format!("the VRF {vrf}, which it would be sent in, is down"),
            Self::Unknown(what) => what.clone(),
        }
    }
}
