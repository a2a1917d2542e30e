//! What the kernel refuses half-way: the error says it, and the way back leads back.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{Lab, dev, route, settled, shown, states, via};
use vnet_kernel::{Error, Realm, execute};
use vnet_model::kind::{BRIDGE, Options};
use vnet_model::plan::plan_between;
use vnet_model::{Change, Device, LinkSetting, Route, Step};
use vnet_testns::sh;

/// Does the steps, goes back to where it started, and returns how it failed.
fn fail(lab: &Lab, realm: &Realm, steps: &[Step]) -> Error {
    let start = lab.observe(realm);
    let Err(error) = execute(realm, &start, steps) else {
        panic!("not refused: {:#?}", shown(steps));
    };
    let now = lab.observe(realm);
    let back = plan_between(&lab.name, &start.state, &now.state);
    assert_eq!(back.conflicts, []);
    execute(realm, &now, &back.steps).unwrap_or_else(|error| panic!("{error}"));
    let end = lab.observe(realm).state;
    assert_eq!(settled(end), settled(start.state), "after {:#?}", shown(&back.steps));
    error
}

#[test]
fn a_refused_route_is_named_and_all_is_undone() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        let cases = [
            (
                route("10.9.0.0/24", &[via("10.77.0.1", "eth0")]),
                "cannot add route 10.9.0.0/24 via 10.77.0.1 dev eth0 in a: \
                 Nexthop has invalid gateway (ENETUNREACH)",
            ),
            (
                route("10.9.0.0/24", &[via("10.0.0.2", "nowhere")]),
                "cannot add route 10.9.0.0/24 via 10.0.0.2 dev nowhere in a: \
                 there is no interface nowhere in namespace a",
            ),
            (
                Route {
                    src: Some("10.0.0.77".parse().unwrap()),
                    ..route("10.9.0.0/24", &[via("10.0.0.2", "eth0")])
                },
                "cannot add route 10.9.0.0/24 via 10.0.0.2 dev eth0 src 10.0.0.77 in a: \
                 Invalid prefsrc address (EINVAL)",
            ),
            (
                route("2001:db8:9::/48", &[via("2001:db8::2", "eth0")]),
                "cannot add route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a: \
                 No route to host (EHOSTUNREACH)",
            ),
        ];
        for (bad, expected) in cases {
            let lab = states::pair().route("a", bad);
            let empty = Lab::new();
            // From nothing …
            let steps = lab.plan(&realm).steps;
            assert_eq!(fail(&empty, &realm, &steps).to_string(), expected);
            assert_eq!(realm.names().unwrap(), []);
            // … and from another network, which loses a link and gets settings.
            let before = states::router().set("r:a", |i| i.mtu = Some(1400));
            before.build(&realm);
            let steps = lab.plan(&realm).steps;
            let error = fail(&before, &realm, &steps);
            assert_eq!(error.to_string(), expected);
            assert!(matches!(error.step().unwrap().change, Change::AddRoute(_)));
            assert_eq!(shown(&before.plan(&realm).steps), [""; 0]);
            before.remove(&realm);
        }
    });
}

#[test]
fn what_is_refused_is_named() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        lab.build(&realm);
        let set = |set| Change::SetLink { name: dev("eth0"), set };
        let sysctl =
            |key: &str, value: &str| Change::SetSysctl { key: key.into(), value: value.into() };
        let cases = [
            (
                set(LinkSetting::Mtu(70_000)),
                "cannot set a:eth0 mtu 70000: mtu greater than device maximum (EINVAL)",
            ),
            (
                set(LinkSetting::AddAltname("eth0".into())),
                "cannot set a:eth0 altname eth0: File exists (EEXIST)",
            ),
            (
                set(LinkSetting::Options {
                    spec: &BRIDGE,
                    port: false,
                    set: Device::bridge(true).options,
                    rest: Options::new(),
                }),
                "cannot set a:eth0 stp on: Operation not supported (EOPNOTSUPP)",
            ),
            (
                set(LinkSetting::Master(Some(dev("lo")))),
                "cannot set a:eth0 master lo: Operation not supported (EOPNOTSUPP)",
            ),
            (
                Change::DelAddress { dev: dev("eth0"), address: common::address("10.0.0.9/24") },
                "cannot remove address 10.0.0.9/24 on a:eth0: \
                 ipv4: Address not found (EADDRNOTAVAIL)",
            ),
            (
                Change::DelRoute(route("10.9.0.0/24", &[via("10.0.0.2", "eth0")])),
                "cannot remove route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a: No such process (ESRCH)",
            ),
            (
                Change::DelLink { name: dev("lo"), back: None },
                "cannot remove interface a:lo: Operation not supported (EOPNOTSUPP)",
            ),
            (
                sysctl("net.ipv4.nonsense", "1"),
                "cannot set sysctl net.ipv4.nonsense = 1 in a: No such file or directory (ENOENT)",
            ),
            (
                sysctl("net.ipv4.tcp_ecn", "many"),
                "cannot set sysctl net.ipv4.tcp_ecn = many in a: Invalid argument (EINVAL)",
            ),
        ];
        for (change, expected) in cases {
            let steps = [
                Step::new(common::ns("b"), set(LinkSetting::Mtu(1400))),
                Step::new(common::ns("a"), set(LinkSetting::Alias(Some("x".into())))),
                Step::new(common::ns("a"), change),
                Step::new(common::ns("a"), set(LinkSetting::Up(false))),
            ];
            assert_eq!(fail(&lab, &realm, &steps).to_string(), expected);
        }
        lab.remove(&realm);
    });
}

/// The kernel takes its time with the links of a namespace that was removed.
#[test]
fn an_interface_that_went_away_meanwhile_is_gone_as_well() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        lab.build(&realm);
        let smaller = Lab::new().nodes(&["a", "b"]);
        let observed = smaller.observe(&realm);
        let steps = smaller.plan(&realm).steps;
        assert_eq!(shown(&steps), ["- interface a:eth0"]);
        sh("ip -n a link del eth0");
        execute(&realm, &observed, &steps).unwrap();
        assert_eq!(shown(&smaller.plan(&realm).steps), [""; 0]);
        smaller.remove(&realm);
    });
}

#[test]
fn a_namespace_that_went_away_meanwhile_is_told() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        lab.build(&realm);
        let other = lab.clone().set("a:eth0", |i| i.mtu = Some(1400));
        let observed = other.observe(&realm);
        let steps = other.plan(&realm).steps;
        sh("ip netns del a");
        let error = execute(&realm, &observed, &steps).unwrap_err();
        assert_eq!(error.to_string(), "cannot set a:eth0 mtu 1400: namespace a is gone");
        lab.remove(&realm);
    });
}
