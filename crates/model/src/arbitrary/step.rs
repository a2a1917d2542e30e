//! Random steps of the whole vocabulary, each valid by itself.
//!
//! Nothing in them refers to anything else, so they can't be done one after the other: they are for
//! tests of what is made of one step. Interfaces are called by [`DEVS`], among which are the words
//! that a language may take for its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::kind::wireguard::Peer;
use crate::kind::{
    self, ChangeBy, Device, Form, KindSpec, Lower, OptionSpec, Options, Value, Wireguard,
};
use crate::mac::Mac;
use crate::names::{IfName, LabName, Mark, NodeName, NsName};
use crate::nft::{Family, TableId};
use crate::state::{
    Address, Encap, End, Entry, FdbEntry, Metric, MetricValue, Neighbor, NextHop, NexthopKind,
    NexthopObject, Offload, PortVlan, Queues, Route, RouteKind, Rule, RuleAction, Seg6Mode,
    TABLE_MAIN, default_metric,
};
use crate::step::{Change, LinkSetting, NewLink, PairEnd, Step};

/// What interfaces are called.
pub const DEVS: [&str; 16] = [
    "eth0", "eth0.10", "n", "a", "dev", "type", "up", "via", "help", "all0", "x=y", "ä", "it's",
    "-4", "0x1", "nomaster",
];

/// What namespaces are called, besides the host.
pub const NAMESPACES: [&str; 5] = ["demo-r1", "it's", "ä", "add", "1"];

/// Makes random steps.
pub fn step() -> impl Strategy<Value = Step> {
    let steps = (namespace(), change()).prop_map(|(ns, change)| Step::new(ns, change));
    steps.prop_filter("what is the host's is moved to a node", |step| {
        let moves = match &step.change {
            Change::AddLink { link: NewLink::Device { device, .. }, .. } => {
                device.spec.is_physical()
            }
            Change::DelLink { back, .. } => back.is_some(),
            _ => false,
        };
        !(moves && step.ns.is_host())
    })
}

fn change() -> BoxedStrategy<Change> {
    let dev = dev;
    prop_oneof![
        1 => mark().prop_map(|mark| Change::AddNamespace { mark }),
        1 => Just(Change::DelNamespace),
        6 => (dev(), new_link()).prop_map(|(name, link)| Change::AddLink { name, link }),
        1 => (dev(), proptest::option::weighted(0.2, dev()))
            .prop_map(|(name, back)| Change::DelLink { name, back }),
        8 => (dev(), setting()).prop_map(|(name, set)| Change::SetLink { name, set }),
        1 => (dev(), any::<bool>(), 1u16..4095, port_vlan())
            .prop_map(|(dev, itself, vid, vlan)| Change::SetPortVlan { dev, itself, vid, vlan }),
        1 => (dev(), any::<bool>(), 1u16..4095)
            .prop_map(|(dev, itself, vid)| Change::DelPortVlan { dev, itself, vid }),
        1 => (dev(), fdb()).prop_map(|(dev, entry)| Change::AddFdb { dev, entry }),
        1 => (dev(), fdb()).prop_map(|(dev, entry)| Change::DelFdb { dev, entry }),
        1 => (dev(), wireguard()).prop_map(|(name, config)| Change::SetWireguard { name, config }),
        2 => (dev(), address()).prop_map(|(dev, address)| Change::AddAddress { dev, address }),
        2 => (dev(), address()).prop_map(|(dev, address)| Change::DelAddress { dev, address }),
        5 => route().prop_map(Change::AddRoute),
        2 => route().prop_map(Change::ReplaceRoute),
        3 => route().prop_map(Change::DelRoute),
        6 => entry().prop_map(Change::SetEntry),
        4 => entry().prop_map(Change::DelEntry),
        1 => Just(Change::DelTable(TableId { family: Family::Inet, name: "vnet".into() })),
        1 => Just(Change::SetSysctl { key: "net.ipv4.tcp_ecn".into(), value: "1".into() }),
    ]
    .boxed()
}

fn namespace() -> impl Strategy<Value = NsName> {
    let named = select(&NAMESPACES[..]).prop_filter_map("no name", |name| NsName::new(name).ok());
    prop_oneof![9 => named, 1 => Just(NsName::host())]
}

fn dev() -> impl Strategy<Value = IfName> {
    select(&DEVS[..]).prop_filter_map("no name", |name| IfName::new(name).ok())
}

fn mark() -> impl Strategy<Value = Mark> {
    let parts = (select(vec!["demo", "a.b"]), select(vec!["r1", "add", "0"]));
    parts.prop_filter_map("no mark", |(lab, node)| {
        Some(Mark { lab: LabName::new(lab).ok()?, node: NodeName::new(node).ok()? })
    })
}

/// Any hardware address that an interface can have.
fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| Mac([2, a, b, c, d, e]))
}

fn mtu() -> impl Strategy<Value = u32> {
    68u32..65536
}

fn queues() -> impl Strategy<Value = Queues> {
    let count = || weighted(0.3, 1u32..4097);
    (count(), count()).prop_map(|(tx, rx)| Queues { tx, rx })
}

fn new_link() -> impl Strategy<Value = NewLink> {
    let born = || (weighted(0.5, mac()), weighted(0.5, mtu()), queues());
    let veth = (born(), end(), born()).prop_map(|((mac, mtu, queues), end, of_peer)| {
        let peer = PairEnd { end, mac: of_peer.0, mtu: of_peer.1, queues: of_peer.2 };
        NewLink::Pair { device: None, mac, mtu, queues, peer }
    });
    let device = (born(), device(), end(), born());
    let device = device.prop_map(|((mac, mtu, queues), device, end, (of_peer, its_mtu, its))| {
        if device.spec.is_pair() {
            let peer = PairEnd { end, mac: of_peer, mtu: its_mtu, queues: its };
            return NewLink::Pair { device: Some(device), mac, mtu, queues, peer };
        }
        let is_made = !device.spec.is_tun() && !device.spec.is_physical();
        let queues = if is_made { queues } else { Queues::default() };
        NewLink::Device { mac, mtu, queues, device }
    });
    prop_oneof![1 => veth, 4 => device]
}

fn end() -> impl Strategy<Value = End> {
    (namespace(), dev()).prop_map(|(ns, name)| End { ns, name })
}

/// Makes a device of any kind with random options.
fn device() -> impl Strategy<Value = Device> {
    select(kind::ALL).prop_flat_map(|spec| {
        let options = options(spec.options, 0.4);
        (options, dev()).prop_filter_map("options that exclude each other", move |(options, on)| {
            (spec.check)(&options).ok()?;
            let lower = (spec.lower == Lower::Required).then(|| on.clone());
            let host_lower = (spec.lower == Lower::Host).then_some(on);
            // What WireGuard takes is no option of its interface.
            let options = if spec.is_wireguard() { Options::new() } else { options };
            Some(Device { lower, host_lower, options, ..Device::new(spec) })
        })
    })
}

/// Makes some options of a table: those that are required, the ends of tunnels, which mostly are, and
/// others by chance.
fn options(table: &'static [OptionSpec], probability: f64) -> impl Strategy<Value = Options> {
    let one = move |option: &'static OptionSpec| {
        let is_end = ["local", "remote"].contains(&option.word);
        let probability = if is_end { 0.9 } else { probability };
        let value = (value(option.form), prop::bool::weighted(probability));
        value
            .prop_map(move |(value, chosen)| (option.required || chosen).then_some((option, value)))
    };
    let all: Vec<_> = table.iter().map(one).collect();
    all.prop_map(|all| all.into_iter().flatten().collect())
}

fn value(form: Form) -> BoxedStrategy<Value> {
    let word = |words: &'static [(&'static str, u64)]| {
        select(words).prop_map(|(_, number)| Value::Number(number)).boxed()
    };
    match form {
        Form::Switch { .. } | Form::Flag | Form::Bit { .. } | Form::GreFlag(_) => {
            any::<bool>().prop_map(Value::Bool).boxed()
        }
        Form::Number { min, max, words: [], .. } => (min..=max).prop_map(Value::Number).boxed(),
        Form::Number { min, max, words, .. } => {
            prop_oneof![word(words), (min..=max).prop_map(Value::Number)].boxed()
        }
        Form::Choice { words, .. } => word(words),
        Form::Tos => (0..=255u64).prop_map(Value::Number).boxed(),
        Form::GreKey => (any::<u32>(), any::<u32>(), any::<bool>())
            .prop_map(|(ikey, okey, one)| {
                Value::of_keys(ikey.into(), if one { ikey } else { okey }.into())
            })
            .boxed(),
        Form::Ports => (1..=u16::MAX, 0..=u16::MAX)
            .prop_map(|(first, more)| Value::Pair(first.into(), first.saturating_add(more).into()))
            .boxed(),
        Form::Map { from, to } => prop::collection::btree_map(0..=from, 1..=to, 1..4)
            .prop_map(|map| Value::List(map.into_iter().map(|(a, b)| Value::Pair(a, b)).collect()))
            .boxed(),
        Form::Ipv4s => prop::collection::btree_set(ipv4(), 0..4)
            .prop_map(|all| Value::List(all.into_iter().map(|ip| Value::Ip(ip.into())).collect()))
            .boxed(),
        Form::Macs => prop::collection::btree_set(mac(), 0..4)
            .prop_map(|all| Value::List(all.into_iter().map(Value::Mac).collect()))
            .boxed(),
        Form::Flow { max, .. } => {
            prop_oneof![Just(kind::FLOW_INHERIT), 0..=max].prop_map(Value::Number).boxed()
        }
        Form::EncapLimit { .. } => {
            prop_oneof![Just(kind::FLOW_INHERIT), 0..=255u64].prop_map(Value::Number).boxed()
        }
        Form::Ipv4 => ipv4().prop_map(|addr| Value::Ip(addr.into())).boxed(),
        Form::Ipv6 => ipv6().prop_map(|addr| Value::Ip(addr.into())).boxed(),
        Form::Address { .. } => ip().prop_map(Value::Ip).boxed(),
        Form::Interface { .. } => dev().prop_map(Value::Interface).boxed(),
        Form::Mac => mac().prop_map(Value::Mac).boxed(),
    }
}

fn setting() -> BoxedStrategy<LinkSetting> {
    let text = select(vec!["to the uplink", "", "it's", "dev", "ä", "-6"]).prop_map(str::to_owned);
    let altname = select(vec!["uplink", "an-interface-with-a-long-name", "vnet:demo:r1", "dev"]);
    let altname = altname.prop_map(str::to_owned);
    let offload = select(&Offload::ALL[..]).prop_map(|(_, offload)| offload);
    prop_oneof![
        1 => any::<bool>().prop_map(LinkSetting::Up),
        1 => mtu().prop_map(LinkSetting::Mtu),
        1 => mac().prop_map(LinkSetting::Mac),
        1 => weighted(0.7, text).prop_map(LinkSetting::Alias),
        1 => weighted(0.7, dev()).prop_map(LinkSetting::Master),
        1 => altname.clone().prop_map(LinkSetting::AddAltname),
        1 => altname.prop_map(LinkSetting::DelAltname),
        1 => (0u32..i32::MAX.cast_unsigned()).prop_map(LinkSetting::TxQueueLen),
        1 => select(vec!["0", "0-3,40", "none"]).prop_map(|cpus: &str| {
            LinkSetting::RpsCpus(cpus.parse().unwrap_or_default())
        }),
        1 => (offload, any::<bool>()).prop_map(|(offload, on)| LinkSetting::Offload(offload, on)),
        1 => any::<bool>().prop_map(LinkSetting::ForwardIpv4),
        1 => any::<bool>().prop_map(LinkSetting::Ipv6),
        4 => changed_options(),
    ]
    .boxed()
}

/// Options that change, and others that are said again beside them.
fn changed_options() -> impl Strategy<Value = LinkSetting> {
    let tables: Vec<(&'static KindSpec, bool)> = kind::ALL
        .iter()
        .flat_map(|spec| [(*spec, false), (*spec, true)])
        .filter(|(spec, port)| {
            let mut table = LinkSetting::table(spec, *port).iter();
            !spec.is_wireguard() && table.any(|option| option.change != ChangeBy::Rebirth)
        })
        .collect();
    select(tables).prop_flat_map(|(spec, port)| {
        let table = LinkSetting::table(spec, port);
        let parts = (options(table, 0.5), options(table, 0.3));
        parts.prop_filter_map("nothing changes", move |(mut rest, mut set)| {
            for option in table.iter().filter(|option| option.change == ChangeBy::Rebirth) {
                set.forget(option.word);
            }
            table.iter().filter(|option| option.once).for_each(|option| rest.forget(option.word));
            if !spec.says_all {
                rest = Options::new();
            }
            let mut all = rest.clone();
            all.extend(&set);
            let is_valid = port || !spec.says_all || (spec.check)(&all).is_ok();
            let ips = set.of(table).filter_map(|(_, value)| match value {
                Value::Ip(addr) => Some(addr.is_ipv4()),
                _ => None,
            });
            let families: BTreeSet<bool> = ips.collect();
            (is_valid && families.len() < 2 && !set.is_empty()).then_some(LinkSetting::Options {
                spec,
                port,
                set,
                rest,
            })
        })
    })
}

fn port_vlan() -> impl Strategy<Value = PortVlan> {
    any::<(bool, bool)>().prop_map(|(pvid, untagged)| PortVlan { pvid, untagged })
}

fn fdb() -> impl Strategy<Value = FdbEntry> {
    let to_tunnel = (prop_oneof![Just(Mac([0; 6])), mac()], ip().prop_map(Some), Just(None));
    let of_bridge = (mac(), Just(None), weighted(0.5, 1u16..4095));
    let parts = prop_oneof![to_tunnel.boxed(), of_bridge.boxed()];
    parts.prop_map(|(mac, dst, vlan)| FdbEntry { mac, dst, vlan, ..FdbEntry::flood_to(any_ip()) })
}

/// An address that is overwritten.
fn any_ip() -> IpAddr {
    Ipv4Addr::UNSPECIFIED.into()
}

fn wireguard() -> impl Strategy<Value = Wireguard> {
    let allowed = vec(prefix(), 0..3).prop_map(|nets| nets.into_iter().collect());
    let peer = (allowed, any::<u16>()).prop_map(|(allowed_ips, keepalive)| Peer {
        endpoint: None,
        allowed_ips,
        keepalive,
    });
    (1u16.., any::<u32>(), btree_map(end(), peer, 0..3)).prop_map(|(listen_port, fwmark, peers)| {
        Wireguard { listen_port, fwmark, peers, strangers: 0 }
    })
}

/// An IPv4 address that a host can have.
fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (1u8..224, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d))
}

/// An IPv6 address that a host can have.
fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    let begin = select(vec![0x2001_0db8u32, 0xfe80_0000, 0xfd00_0000, 0x0064_ff9b]);
    (begin, any::<u64>())
        .prop_map(|(begin, end)| Ipv6Addr::from_bits(u128::from(begin) << 96 | u128::from(end)))
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![ipv4().prop_map(IpAddr::V4), ipv6().prop_map(IpAddr::V6)]
}

fn ip_of(is_ipv6: bool) -> BoxedStrategy<IpAddr> {
    match is_ipv6 {
        true => ipv6().prop_map(IpAddr::V6).boxed(),
        false => ipv4().prop_map(IpAddr::V4).boxed(),
    }
}

fn address() -> impl Strategy<Value = Address> {
    let v4 = (ipv4(), 1u8..=32)
        .prop_filter_map("too long", |(addr, len)| Ipv4Net::new(addr, len).ok().map(IpNet::V4));
    let v6 = (ipv6(), 1u8..=128)
        .prop_filter_map("too long", |(addr, len)| Ipv6Net::new(addr, len).ok().map(IpNet::V6));
    prop_oneof![v4, v6].prop_map(Address::new)
}

fn prefix() -> impl Strategy<Value = IpNet> {
    let default = select(vec!["0.0.0.0/0", "::/0"]);
    let default = default.prop_filter_map("no prefix", |text| text.parse::<IpNet>().ok());
    let part = address().prop_map(|address| address.net.trunc());
    // Of the form x/0 there is the default route alone.
    prop_oneof![1 => default, 6 => part]
}

fn encap() -> impl Strategy<Value = Encap> {
    let label = prop_oneof![0u32..16, 16u32..1 << 20];
    let mpls = (vec(label, 1..4), weighted(0.5, 1u8..))
        .prop_map(|(labels, ttl)| Encap::Mpls { labels, ttl });
    let mode = select(vec![Seg6Mode::Inline, Seg6Mode::Encap]);
    let seg6 =
        (mode, vec(ipv6(), 1..4)).prop_map(|(mode, segments)| Encap::Seg6 { mode, segments });
    prop_oneof![mpls, seg6]
}

/// A leg of a route of a family; an IPv4 route may have an IPv6 gateway.
fn leg(is_ipv6: bool, of_other_family: bool) -> impl Strategy<Value = NextHop> {
    let own = ip_of(is_ipv6);
    let via = match of_other_family && !is_ipv6 {
        true => prop_oneof![4 => own, 1 => ipv6().prop_map(IpAddr::V6)].boxed(),
        false => own,
    };
    let via = weighted(0.7, via);
    let parts = (dev(), via, 1u16..=256, prop::bool::weighted(0.2), weighted(0.2, encap()));
    parts.prop_map(|(dev, via, weight, onlink, encap)| NextHop {
        onlink: onlink && via.is_some(),
        dev,
        via,
        weight,
        encap,
    })
}

/// A number as large as its type, small, or one that has a name.
fn table() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(TABLE_MAIN), 1 => 1u32..=256, 1 => 1u32..]
}

fn route() -> impl Strategy<Value = Route> {
    let kinds = select(&RouteKind::ALL[..]).prop_map(|(_, kind)| kind);
    let kind = prop_oneof![3 => Just(RouteKind::Unicast), 2 => kinds];
    (prefix(), kind).prop_flat_map(|(dst, kind)| {
        let is_ipv6 = dst.addr().is_ipv6();
        let legs = match kind.leads() {
            true => vec(leg(is_ipv6, true), 1..4).boxed(),
            false => Just(Vec::new()).boxed(),
        };
        let own = ip_of(is_ipv6);
        let scope = weighted(0.3, any::<u8>()).prop_map(move |it| it.filter(|_| !is_ipv6));
        let usual = default_metric(&dst);
        let metric = prop_oneof![2 => Just(usual), 1 => 1u32..];
        let nhid = weighted(0.2, 1u32..);
        let nhid = nhid.prop_map(move |it| it.filter(|_| kind == RouteKind::Unicast));
        let parts = (legs, weighted(0.3, own), scope, metric, metrics(), nhid, table());
        parts.prop_map(move |(mut legs, src, scope, metric, metrics, nhid, table)| {
            // Where there is one leg its weight has no meaning; where there is an object it says all.
            if let [leg] = legs.as_mut_slice() {
                leg.weight = 1;
            }
            let nexthops = if nhid.is_some() { Vec::new() } else { legs };
            let route = Route::unicast(dst, nexthops);
            Route { table, kind, metric, nhid, src, scope, metrics, ..route }
        })
    })
}

fn metrics() -> impl Strategy<Value = std::collections::BTreeMap<Metric, MetricValue>> {
    let metric = select(&Metric::ALL[..]).prop_map(|(_, metric, _)| metric);
    let one = (metric, any::<u32>(), any::<bool>()).prop_map(|(metric, value, lock)| {
        let value = match metric.value_max() {
            u32::MAX => value,
            max => value % (max + 1),
        };
        (metric, MetricValue { value, lock })
    });
    vec(one, 0..4).prop_map(|all| all.into_iter().collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => rule().prop_map(Entry::Rule),
        1 => neighbor().prop_map(Entry::Neighbor),
        2 => nexthop().prop_map(Entry::Nexthop),
    ]
}

fn neighbor() -> impl Strategy<Value = Neighbor> {
    (dev(), ip(), weighted(0.7, mac())).prop_map(|(dev, addr, lladdr)| Neighbor {
        dev,
        addr,
        lladdr,
        origin: crate::origin::Origin::NONE,
    })
}

fn nexthop() -> impl Strategy<Value = NexthopObject> {
    let leg = any::<bool>().prop_flat_map(|ipv6| {
        leg(ipv6, false).prop_map(move |leg| (ipv6, NexthopKind::Leg(NextHop { weight: 1, ..leg })))
    });
    let blackhole = any::<bool>().prop_map(|ipv6| (ipv6, NexthopKind::Blackhole));
    let members = btree_map(1u32.., 1u16..=256, 1..4);
    let group = (any::<bool>(), members)
        .prop_map(|(ipv6, members)| (ipv6, NexthopKind::Group(members.into_iter().collect())));
    let kind = prop_oneof![leg.boxed(), blackhole.boxed(), group.boxed()];
    (1u32.., kind).prop_map(|(id, (ipv6, kind))| NexthopObject {
        id,
        ipv6,
        kind,
        origin: crate::origin::Origin::NONE,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        4 => table().prop_map(RuleAction::Table),
        1 => (1u32..).prop_map(RuleAction::Goto),
        1 => select(vec![RuleAction::Blackhole, RuleAction::Unreachable, RuleAction::Prohibit]),
    ];
    let range = any::<(u16, u16)>().prop_map(|(a, b)| (a.min(b).max(1), a.max(b).max(1)));
    let mark = (any::<u32>(), prop_oneof![Just(u32::MAX), 1u32..]);
    let prefixes = any::<bool>().prop_flat_map(|ipv6| {
        let part = || {
            let of_family = move |net: &IpNet| net.addr().is_ipv6() == ipv6;
            weighted(0.4, prefix().prop_filter("the other family", of_family))
        };
        (Just(ipv6), part(), part())
    });
    let select = (prefixes, weighted(0.3, dev()), weighted(0.3, dev()), weighted(0.3, mark));
    let ports = (weighted(0.3, 1u8..), weighted(0.3, range.clone()), weighted(0.3, range));
    let rest = (1u32.., any::<bool>(), weighted(0.3, 0u8..=32), action);
    (select, ports, rest).prop_map(
        |(((ipv6, from, to), iif, oif, fwmark), (ipproto, sport, dport), rest)| {
            let (priority, not, length, action) = rest;
            // Only where a table is looked into.
            let suppress_prefixlength = length.filter(|_| matches!(action, RuleAction::Table(_)));
            let rule = Rule::new(ipv6, priority, action);
            Rule {
                not,
                from,
                to,
                iif,
                oif,
                fwmark,
                ipproto,
                sport,
                dport,
                suppress_prefixlength,
                ..rule
            }
        },
    )
}
