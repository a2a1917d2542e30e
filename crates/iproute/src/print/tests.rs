use vnet_model::kind::wireguard::Peer;
use vnet_model::kind::{BRIDGE, NETKIT, Options, VXLAN, Value, Wireguard};
use vnet_model::{
    Address, Change, Device, End, FdbEntry, IfName, LabName, LinkSetting, Mac, Mark, NewLink,
    NextHop, NodeName, NsName, PairEnd, PortVlan, Queues, Route, RouteKind, Step,
};

use super::*;

fn shown(change: Change) -> String {
    let step = Step::new(NsName::new("demo-r1").unwrap(), change);
    commands(&step).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn stp(on: bool) -> LinkSetting {
    let set = Device::bridge(on).options;
    LinkSetting::Options { spec: &BRIDGE, port: false, set, rest: Options::new() }
}

fn dev(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

fn net(text: &str) -> vnet_model::ipnet::IpNet {
    text.parse().unwrap()
}

fn mac(last: u8) -> Option<Mac> {
    Some(Mac([2, 0, 0, 0, 0, last]))
}

fn set(name: &str, set: LinkSetting) -> String {
    shown(Change::SetLink { name: dev(name), set })
}

fn address(text: &str, name: &str) -> String {
    shown(Change::AddAddress { dev: dev(name), address: Address::new(net(text)) })
}

fn via(gateway: &str, name: &str) -> NextHop {
    NextHop::via(gateway.parse().unwrap(), dev(name))
}

#[test]
fn namespaces() {
    let mark = Mark { lab: LabName::new("demo").unwrap(), node: NodeName::new("r1").unwrap() };
    assert_eq!(
        shown(Change::AddNamespace { mark }),
        "ip netns add demo-r1\n\
         ip -n demo-r1 link set dev lo alias vnet:demo/r1"
    );
    assert_eq!(shown(Change::DelNamespace), "ip netns del demo-r1");
}

#[test]
fn links() {
    let end = End { ns: NsName::new("demo-r2").unwrap(), name: dev("r1") };
    let said = |tx, rx| Queues { tx, rx };
    let veth = |mac, mtu, queues, peer| {
        let link = NewLink::Pair { device: None, mac, mtu, queues, peer };
        shown(Change::AddLink { name: dev("r2"), link })
    };
    let peer = |mac, mtu, queues| PairEnd { end: end.clone(), mac, mtu, queues };
    assert_eq!(
        veth(None, None, said(None, None), peer(None, None, said(None, None))),
        "ip -n demo-r1 link add name r2 type veth peer name r1 netns demo-r2"
    );
    assert_eq!(
        veth(
            mac(1),
            Some(1400),
            said(Some(4), None),
            peer(mac(2), Some(1300), said(Some(2), Some(3)))
        ),
        "ip -n demo-r1 link add name r2 address 02:00:00:00:00:01 mtu 1400 numtxqueues 4 \
         type veth peer name r1 netns demo-r2 address 02:00:00:00:00:02 mtu 1300 numtxqueues 2 \
         numrxqueues 3"
    );
    let netkit = |device: Device| {
        let (mac, mtu, queues) = (None, None, said(None, None));
        let peer = peer(None, None, said(None, None));
        let link = NewLink::Pair { device: Some(device), mac, mtu, queues, peer };
        shown(Change::AddLink { name: dev("r2"), link })
    };
    let plain = Device::new(&NETKIT);
    assert_eq!(
        netkit(plain.clone()),
        "ip -n demo-r1 link add name r2 type netkit peer name r1 netns demo-r2"
    );
    let full = plain.with("mode", Value::Number(0)).with("policy", Value::Number(2));
    assert_eq!(
        netkit(full.with("peer", Value::Number(0))),
        "ip -n demo-r1 link add name r2 type netkit mode l2 blackhole peer forward name r1 netns demo-r2"
    );
    let (mac, mtu, queues) = (mac(3), Some(1400), said(None, Some(5)));
    let link = NewLink::Device { mac, mtu, queues, device: Device::bridge(true) };
    assert_eq!(
        shown(Change::AddLink { name: dev("br"), link }),
        "ip -n demo-r1 link add name br address 02:00:00:00:00:03 mtu 1400 numrxqueues 5 \
         type bridge stp_state 1"
    );
    assert_eq!(
        shown(Change::DelLink { name: dev("br"), back: None }),
        "ip -n demo-r1 link del dev br"
    );
    // What is off is not said where `ip` has no word for that, and what `ip` would turn off is.
    let vxlan = Device::new(&VXLAN).with("external", Value::Bool(true));
    let vxlan = vxlan.with("gbp", Value::Bool(false));
    let (mac, mtu, queues) = (None, None, said(None, None));
    let link = NewLink::Device { mac, mtu, queues, device: vxlan };
    assert_eq!(
        shown(Change::AddLink { name: dev("vx"), link }),
        "ip -n demo-r1 link add name vx type vxlan external learning"
    );
}

#[test]
fn settings() {
    let cases = [
        (LinkSetting::Up(true), "link set dev eth0 up"),
        (LinkSetting::Up(false), "link set dev eth0 down"),
        (LinkSetting::Mtu(9000), "link set dev eth0 mtu 9000"),
        (LinkSetting::Mac(Mac([2, 0, 0, 0, 0, 9])), "link set dev eth0 address 02:00:00:00:00:09"),
        (LinkSetting::Alias(Some("to a".into())), "link set dev eth0 alias 'to a'"),
        (LinkSetting::Alias(None), "link set dev eth0 alias ''"),
        (LinkSetting::Master(Some(dev("br"))), "link set dev eth0 master br"),
        (LinkSetting::Master(None), "link set dev eth0 nomaster"),
        (LinkSetting::AddAltname("uplink".into()), "link property add dev eth0 altname uplink"),
        (LinkSetting::DelAltname("uplink".into()), "link property del dev eth0 altname uplink"),
        (stp(false), "link set dev eth0 type bridge stp_state 0"),
    ];
    for (setting, words) in cases {
        assert_eq!(set("eth0", setting), format!("ip -n demo-r1 {words}"));
    }
}

/// `ip` sends no address that is none.
#[test]
fn an_end_that_is_taken_away_has_no_command() {
    let none = "0.0.0.0".parse().unwrap();
    let option = |word| vnet_model::kind::VXLAN.option(word).unwrap();
    for word in ["local", "remote"] {
        let setting = LinkSetting::Options {
            spec: &vnet_model::kind::VXLAN,
            port: false,
            set: [(option(word), Value::Ip(none))].into_iter().collect(),
            rest: Options::new(),
        };
        let shown = set("vx0", setting);
        assert!(
            shown.contains("no iproute2 command for: demo-r1:vx0") && shown.contains(word),
            "{shown}"
        );
    }
}

#[test]
fn bridging() {
    let (dev, vid) = (dev("eth0"), 10);
    let set = |vlan| shown(Change::SetPortVlan { dev: dev.clone(), itself: false, vid, vlan });
    assert_eq!(set(PortVlan::TAGGED), "bridge -n demo-r1 vlan add dev eth0 vid 10");
    assert_eq!(set(PortVlan::UNTAGGED), "bridge -n demo-r1 vlan add dev eth0 vid 10 pvid untagged");
    let del = |itself| shown(Change::DelPortVlan { dev: dev.clone(), itself, vid });
    assert_eq!(del(false), "bridge -n demo-r1 vlan del dev eth0 vid 10");
    assert_eq!(del(true), "bridge -n demo-r1 vlan del dev eth0 vid 10 self");
    let add = |entry| shown(Change::AddFdb { dev: dev.clone(), entry });
    let flood = FdbEntry::flood_to("10.0.0.2".parse().unwrap());
    let one = FdbEntry { mac: mac(1).unwrap(), ..flood };
    let here = FdbEntry { dst: None, vlan: Some(10), ..one };
    let fdb = "bridge -n demo-r1 fdb";
    assert_eq!(
        add(flood),
        format!("{fdb} append 00:00:00:00:00:00 dev eth0 dst 10.0.0.2 self permanent")
    );
    assert_eq!(
        add(one),
        format!("{fdb} replace 02:00:00:00:00:01 dev eth0 dst 10.0.0.2 self permanent")
    );
    assert_eq!(
        add(here),
        format!("{fdb} replace 02:00:00:00:00:01 dev eth0 vlan 10 master static")
    );
    let del = shown(Change::DelFdb { dev: dev.clone(), entry: flood });
    assert_eq!(del, format!("{fdb} del 00:00:00:00:00:00 dev eth0 dst 10.0.0.2 self permanent"));
}

#[test]
fn sysctls() {
    assert_eq!(
        set("eth0", LinkSetting::ForwardIpv4(true)),
        "ip netns exec demo-r1 sysctl -qw net.ipv4.conf.eth0.forwarding=1"
    );
    assert_eq!(
        set("eth0.10", LinkSetting::Ipv6(false)),
        "ip netns exec demo-r1 sysctl -qw net.ipv6.conf.eth0/10.disable_ipv6=1"
    );
    assert_eq!(
        set("a=b.1", LinkSetting::Ipv6(true)),
        "ip netns exec demo-r1 sh -c 'echo \"$1\" >\"$0\"' /proc/sys/net/ipv6/conf/a=b.1/disable_ipv6 0"
    );
    let key = "net.ipv4.ip_local_port_range".to_owned();
    assert_eq!(
        shown(Change::SetSysctl { key, value: "2000 3000".into() }),
        "ip netns exec demo-r1 sysctl -qw 'net.ipv4.ip_local_port_range=2000 3000'"
    );
}

#[test]
fn addresses() {
    let cases = [
        (address("10.0.0.1/24", "eth0"), "add 10.0.0.1/24 brd + dev eth0"),
        (address("10.0.0.0/31", "eth0"), "add 10.0.0.0/31 dev eth0"),
        (address("10.0.0.1/32", "eth0"), "add 10.0.0.1/32 dev eth0"),
        (address("127.0.0.2/8", "lo"), "add 127.0.0.2/8 dev lo"),
        (address("2001:db8::1/64", "eth0"), "add 2001:db8::1/64 dev eth0 nodad"),
    ];
    for (shown, words) in cases {
        assert_eq!(shown, format!("ip -n demo-r1 address {words}"));
    }
    let address = Address::new(net("10.0.0.1/24"));
    assert_eq!(
        shown(Change::DelAddress { dev: dev("eth0"), address }),
        "ip -n demo-r1 address del 10.0.0.1/24 dev eth0"
    );
}

#[test]
fn routes() {
    let add = |route: Route| shown(Change::AddRoute(route));
    let one = |dst: &str, hop: NextHop| Route::unicast(net(dst), vec![hop]);
    assert_eq!(
        add(one("10.9.0.0/24", via("10.0.0.2", "eth0"))),
        "ip -n demo-r1 route add 10.9.0.0/24 via 10.0.0.2 dev eth0 proto static"
    );
    assert_eq!(
        add(one("::/0", via("2001:db8::2", "eth0"))),
        "ip -n demo-r1 -6 route add default via 2001:db8::2 dev eth0 proto static metric 1024"
    );
    assert_eq!(
        add(one("10.9.0.0/24", via("fe80::2", "eth0"))),
        "ip -n demo-r1 route add 10.9.0.0/24 via inet6 fe80::2 dev eth0 proto static"
    );
    // Else `default` would be of the family of the gateway.
    assert_eq!(
        add(one("0.0.0.0/0", via("fe80::2", "eth0"))),
        "ip -n demo-r1 -4 route add default via inet6 fe80::2 dev eth0 proto static"
    );
    let all = Route {
        table: 100,
        metric: 50,
        src: Some("10.0.0.1".parse().unwrap()),
        ..one("0.0.0.0/0", NextHop { onlink: true, ..via("10.5.0.2", "eth0") })
    };
    let words =
        "default via 10.5.0.2 dev eth0 onlink proto static metric 50 table 100 src 10.0.0.1";
    assert_eq!(add(all.clone()), format!("ip -n demo-r1 route add {words}"));
    assert_eq!(
        shown(Change::ReplaceRoute(all.clone())),
        format!("ip -n demo-r1 route replace {words}")
    );
    assert_eq!(
        shown(Change::DelRoute(all)),
        format!("ip -n demo-r1 route del {}", words.replace("proto static ", ""))
    );
    let legs = vec![via("10.0.0.2", "eth0"), NextHop { weight: 3, ..via("10.1.0.2", "eth1") }];
    assert_eq!(
        add(Route::unicast(net("10.9.0.0/24"), legs)),
        "ip -n demo-r1 route add 10.9.0.0/24 proto static \
         nexthop via 10.0.0.2 dev eth0 weight 1 nexthop via 10.1.0.2 dev eth1 weight 3"
    );
    let blackhole =
        Route { kind: RouteKind::Blackhole, ..Route::unicast(net("10.7.0.0/16"), vec![]) };
    assert_eq!(add(blackhole), "ip -n demo-r1 route add blackhole 10.7.0.0/16 proto static");
}

#[test]
fn a_script_runs_under_sh() {
    let step = Step::new(NsName::new("it's").unwrap(), Change::DelNamespace);
    assert_eq!(script(&[step]), "#!/bin/sh\nset -e\nip netns del 'it'\\''s'\n");
}

/// No key is in the words, neither private nor public.
#[test]
fn wireguard() {
    let end = |ns: &str| End { ns: NsName::new(ns).unwrap(), name: dev("wg0") };
    let peer = Peer {
        endpoint: Some("10.0.0.2:51820".parse().unwrap()),
        allowed_ips: [net("0.0.0.0/0"), net("::/0")].into(),
        keepalive: 25,
    };
    let peers = [(end("demo-r2"), peer)].into();
    let config = Wireguard { listen_port: 51821, fwmark: 9, peers, strangers: 0 };
    let text = shown(Change::SetWireguard { name: dev("wg0"), config });
    let lines: Vec<&str> = text.lines().collect();
    let [own, theirs, port, peer, others] = lines.as_slice() else { panic!("{text}") };
    assert!(own.ends_with("demo-r1 wg0") && theirs.ends_with("demo-r2 wg0"), "{text}");
    assert_eq!(*port, "ip netns exec demo-r1 wg set wg0 listen-port 51821 fwmark 9");
    let words = "demo-r1 wg0 demo-r2 wg0 endpoint 10.0.0.2:51820 allowed-ips 0.0.0.0/0,::/0 \
                 persistent-keepalive 25";
    assert!(peer.ends_with(words), "{peer}");
    assert!(others.ends_with("demo-r1 wg0 demo-r2 wg0"), "{others}");
}
