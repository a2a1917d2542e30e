//! Every kind of interface is one that the walk follows, or one of which it says that it does not.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use vnet_model::kind::{self, Device, KindSpec, Value};
use vnet_model::state::Owner;
use vnet_model::{Address, IfName, Interface, Interfaces, Kind, Namespace, NsName, State};
use vnet_why::{Question, Verdict, World, why};

/// The kinds that are followed.
const FOLLOWED: &[&str] = &[
    "bridge",
    "bond",
    "ipvlan",
    "macvlan",
    "vlan",
    "vrf",
    "vxlan",
    "dummy",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "ipip",
    "sit",
    "ip6tnl",
    "geneve",
    "wireguard",
    "netkit",
];

fn dev(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

/// A namespace whose way to 10.0.0.2 is by an interface of a kind.
fn state(spec: &'static KindSpec) -> State {
    let (id, addr) = (Value::Number(7), |addr: &str| Value::Ip(addr.parse().unwrap()));
    let ends = match spec.name.starts_with("ip6") {
        true => ["2001:db8::1", "2001:db8::2"],
        false => ["192.0.2.1", "192.0.2.2"],
    };
    let device = Device::new(spec).on(dev("eth0")).with("id", id.clone()).with("table", id);
    let device = device.with("local", addr(ends[0])).with("remote", addr(ends[1]));
    let mut interfaces = Interfaces::new();
    let mut add = |name: &str, kind: Kind, net: &str| {
        let mut interface = Interface::new(kind);
        interface.up = true;
        interface.addresses = vec![Address::new(net.parse().unwrap())];
        interfaces.insert(dev(name), interface);
    };
    add("lo", Kind::Loopback, "127.0.0.1/8");
    add("eth0", Kind::Veth { peer: None }, "198.51.100.1/24");
    add("it", Kind::Device(device), "10.0.0.1/24");
    let namespace = Namespace { interfaces, ..Namespace::new(Owner::Foreign) };
    State { namespaces: [(NsName::new("a").unwrap(), namespace)].into() }
}

#[test]
fn each_kind_is_followed_or_said_not_to_be() {
    for spec in kind::ALL {
        let state = state(spec);
        let world = World { state: &state, facts: None, intent: None, assumed: &[] };
        let question = Question::new(NsName::new("a").unwrap(), "10.0.0.2".parse().unwrap());
        let answer = why(&world, &question);
        assert_ne!(answer.verdict, Verdict::Reachable, "{}", spec.name);
        let says = format!("a:it is {}, which is not followed", spec.name);
        let is_said = answer.unknown.contains(&says);
        assert_eq!(is_said, !FOLLOWED.contains(&spec.name), "{}: {answer:?}", spec.name);
        let is_unknown = answer.verdict == Verdict::Unknown;
        assert!(!is_said || (is_unknown && answer.causes.is_empty()), "{}", spec.name);
    }
}

#[test]
fn a_kind_that_no_table_has_is_said_not_to_be_followed() {
    let mut state = state(&kind::VRF);
    let found = state.namespaces.values_mut().next().unwrap();
    let it = found.interfaces.get_mut(&dev("it")).unwrap();
    it.kind = Kind::Other("ipoib".to_owned());
    let world = World { state: &state, facts: None, intent: None, assumed: &[] };
    let question = Question::new(NsName::new("a").unwrap(), "10.0.0.2".parse().unwrap());
    let answer = why(&world, &question);
    assert_eq!(answer.verdict, Verdict::Unknown);
    assert_eq!(answer.unknown, ["a:it is ipoib, which is not followed"]);
}
