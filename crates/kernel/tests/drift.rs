//! Damages a lab by hand, as `ip` would: the plan says exactly what is to be mended, and mends it.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::collections::BTreeMap;

use common::{Lab, end, ns, route, shown, via};
use vnet_kernel::Realm;
use vnet_model::kind::{VXLAN, Value};
use vnet_model::plan::{Undeclared, plan_between};
use vnet_model::{Device, End, NextHop, State};
use vnet_testns::sh;

/// ```text
///  a:eth0 ────── b:eth0      10.0.0.0/24, 2001:db8::/64
///  a:lan ─┐    ┌─ b:lan      10.1.0.0/24
///       s:a    s:b
///        └─lan─┘
/// ```
fn lab() -> Lab {
    let lab = Lab::new().nodes(&["a", "b", "s"]).veth("a:eth0", "b:eth0").bridge("s:lan", false);
    let lab = ["a", "b"].iter().fold(lab, |lab, node| {
        let port = format!("s:{node}");
        lab.veth(&format!("{node}:lan"), &port).port(&port, "lan")
    });
    lab.addresses("a:eth0", &["10.0.0.1/24", "10.0.0.11/24", "2001:db8::1/64"])
        .addresses("b:eth0", &["10.0.0.2/24", "2001:db8::2/64"])
        .addresses("a:lan", &["10.1.0.1/24"])
        .addresses("b:lan", &["10.1.0.2/24"])
        .set("a:eth0", |i| (i.mtu, i.alias) = (Some(1400), Some("to b".into())))
        .set("a:eth0", |i| (i.altnames, i.forward_ipv4) = (["uplink".into()].into(), Some(true)))
        .sysctl("a", "net.ipv4.tcp_ecn", "1")
        .route("a", route("10.9.0.0/24", &[via("10.0.0.2", "eth0")]))
        .route("a", route("2001:db8:9::/48", &[via("2001:db8::2", "eth0")]))
}

/// The index of every interface that is there.
fn indexes(lab: &Lab, realm: &Realm) -> BTreeMap<End, u32> {
    let observed = lab.observe(realm);
    let ends = observed.state.namespaces.iter().flat_map(|(ns, namespace)| {
        let name = |name: &vnet_model::IfName| End { ns: ns.clone(), name: name.clone() };
        namespace.interfaces.keys().map(name).collect::<Vec<_>>()
    });
    ends.map(|end| (end.clone(), observed.indexes[&end.ns].get(&end.name).unwrap())).collect()
}

/// Runs a test in a lab that is up.
fn in_lab(body: impl FnOnce(&Lab, &Realm)) {
    vnet_testns::root(|| {
        let (lab, realm) = (lab(), Realm::own().unwrap());
        lab.build(&realm);
        body(&lab, &realm);
        sh("for ns in $(ls /run/netns); do ip netns del $ns; done");
    });
}

/// Damages the lab, sees that the plan is what is expected and mends it, and that no interface is
/// made again but `renewed` ones.
#[track_caller]
fn mend(damage: &str, expected: &[&str], renewed: &[&str]) {
    let (lab, realm) = (lab(), Realm::own().unwrap());
    let before = indexes(&lab, &realm);
    sh(damage);
    assert_eq!(shown(&lab.plan(&realm).steps), expected, "{damage}");
    lab.build(&realm);
    let after = indexes(&lab, &realm);
    for (at, index) in &before {
        let same = after.get(at) == Some(index);
        let may_differ = renewed.iter().any(|renewed| end(renewed) == *at);
        assert!(
            same || may_differ,
            "{at} is another after `{damage}`: {index}, {:?}",
            after.get(at)
        );
    }
}

#[test]
fn addresses_are_mended() {
    in_lab(|_, _| {
        mend("ip -n b address del 10.0.0.2/24 dev eth0", &["+ address 10.0.0.2/24 on b:eth0"], &[]);
        // The first of a subnet takes the second along, and the route through it goes too, though
        // the second's prefix covers its gateway.
        mend(
            "ip -n a address del 10.0.0.1/24 dev eth0",
            &[
                "+ address 10.0.0.1/24 on a:eth0",
                "+ address 10.0.0.11/24 on a:eth0",
                "+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
            ],
            &[],
        );
        mend(
            "ip -n a address add 10.0.0.12/24 dev eth0; ip -n a address add 2001:db8::3/64 dev eth0",
            &["- address 10.0.0.12/24 on a:eth0", "- address 2001:db8::3/64 on a:eth0"],
            &[],
        );
        mend(
            "ip -n a -6 address del 2001:db8::1/64 dev eth0",
            &["+ address 2001:db8::1/64 on a:eth0"],
            &[],
        );
        mend(
            "ip -n a address flush dev lo",
            &["+ address 127.0.0.1/8 on a:lo", "+ address ::1/128 on a:lo"],
            &[],
        );
    });
}

/// The first address of an IPv4 subnet is the one that packets are sent from.
#[test]
fn the_order_of_addresses_is_mended() {
    in_lab(|_, _| {
        mend(
            "ip netns exec a sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1
             ip -n a address del 10.0.0.1/24 dev eth0
             ip -n a address add 10.0.0.1/24 brd + dev eth0
             ip netns exec a sysctl -qw net.ipv4.conf.eth0.promote_secondaries=0",
            &[
                "- address 10.0.0.11/24 on a:eth0",
                "+ address 10.0.0.1/24 on a:eth0",
                "+ address 10.0.0.11/24 on a:eth0",
                "~ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
            ],
            &[],
        );
        assert!(
            sh("ip -n b route get 10.0.0.1; ip -n a route get 10.0.0.2").contains("src 10.0.0.1 ")
        );
    });
}

#[test]
fn settings_are_mended() {
    in_lab(|_, _| {
        mend("ip -n a link set eth0 mtu 1500", &["~ a:eth0 mtu 1400"], &[]);
        let mac = lab().state.namespaces[&ns("a")].interfaces[&end("a:eth0").name].mac.unwrap();
        mend(
            "ip -n a link set eth0 address 02:00:00:00:00:99",
            &[&format!("~ a:eth0 mac {mac}")],
            &[],
        );
        mend("ip -n a link set eth0 alias x", &["~ a:eth0 alias `to b`"], &[]);
        mend("ip -n b link set eth0 alias x", &["~ b:eth0 no alias"], &[]);
        mend(
            "ip -n a link property del dev eth0 altname uplink",
            &["~ a:eth0 altname uplink"],
            &[],
        );
        mend("ip -n a link property add dev eth0 altname x", &["~ a:eth0 no altname x"], &[]);
        mend("ip -n s link set dev a nomaster", &["~ s:a master lan"], &[]);
        mend("ip -n s link set lan type bridge stp_state 1", &["~ s:lan stp off"], &[]);
        mend(
            "ip netns exec a sysctl -qw net.ipv4.conf.eth0.forwarding=0",
            &["~ a:eth0 ipv4 forwarding on"],
            &[],
        );
        mend(
            "ip netns exec a sysctl -qw net.ipv4.ip_forward=1",
            &["~ a:lan ipv4 forwarding off"],
            &[],
        );
        mend(
            "ip netns exec a sysctl -qw net.ipv4.tcp_ecn=2",
            &["~ sysctl net.ipv4.tcp_ecn = 1 in a"],
            &[],
        );
        mend("ip netns exec s sysctl -qw net.ipv6.conf.a.disable_ipv6=0", &["~ s:a ipv6 off"], &[]);
        mend("ip -n s link set lan down", &["~ s:lan up"], &[]);
        mend("ip -n a link set lo down", &["~ a:lo up"], &[]);
    });
}

#[test]
fn a_link_that_went_down_gets_back_what_it_lost() {
    in_lab(|_, _| {
        mend(
            "ip -n a link set eth0 down",
            &[
                "~ a:eth0 up",
                "+ address 2001:db8::1/64 on a:eth0",
                "+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
                "+ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
            ],
            &[],
        );
        mend(
            "ip netns exec a sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
            &[
                "~ a:eth0 ipv6 on",
                "+ address 2001:db8::1/64 on a:eth0",
                "+ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
            ],
            &[],
        );
        mend(
            "ip -n a link set eth0 mtu 1000",
            &[
                "~ a:eth0 mtu 1400",
                "+ address 2001:db8::1/64 on a:eth0",
                "+ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
            ],
            &[],
        );
    });
}

#[test]
fn routes_are_mended() {
    in_lab(|_, _| {
        mend(
            "ip -n a route del 10.9.0.0/24",
            &["+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a"],
            &[],
        );
        mend(
            "ip -n a route change 10.9.0.0/24 via 10.1.0.2",
            &["~ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a"],
            &[],
        );
        mend(
            "ip -n a -6 route replace 2001:db8:9::/48 via 2001:db8::3 dev eth0",
            &["~ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a"],
            &[],
        );
        // Of protocol boot and of protocol static, of any scope.
        mend(
            "ip -n a route add 10.8.0.0/24 via 10.0.0.2",
            &["- route 10.8.0.0/24 via 10.0.0.2 dev eth0 in a"],
            &[],
        );
        mend(
            "ip -n a route add 10.8.0.0/24 proto static nexthop dev eth0 nexthop dev lan",
            &[
                "- route 10.8.0.0/24 scope global nexthop dev eth0 weight 1 nexthop dev lan weight 1 in a",
            ],
            &[],
        );
        mend(
            "ip -n a route add 10.8.0.0/24 dev lan scope host",
            &["- route 10.8.0.0/24 dev lan scope host in a"],
            &[],
        );
        mend(
            "ip -n a -6 route add unreachable 2001:db8:8::/48 table 9",
            &["- route unreachable 2001:db8:8::/48 table 9 in a"],
            &[],
        );
        // A routing daemon's are its own.
        mend("ip -n a route add 10.8.0.0/24 via 10.0.0.2 proto bird", &[], &[]);
        assert!(sh("ip -n a route").contains("10.8.0.0/24 via 10.0.0.2 dev eth0 proto bird"));
    });
}

/// Without the rule for the table main no gateway is found: so it is back before the route.
#[test]
fn rules_of_the_kernels_own_are_mended() {
    in_lab(|_, _| {
        mend(
            "ip -n a route del 10.9.0.0/24; ip -n a rule flush",
            &[
                "+ rule from all table main priority 32766 in a",
                "+ rule from all table default priority 32767 in a",
                "+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
            ],
            &[],
        );
        mend(
            "ip -n a -6 rule del priority 32766",
            &["+ rule -6 from all table main priority 32766 in a"],
            &[],
        );
    });
}

#[test]
fn links_and_namespaces_are_made_again() {
    in_lab(|_, _| {
        let veth = [
            "+ veth a:eth0 -- b:eth0",
            "~ a:eth0 alias `to b`",
            "~ a:eth0 altname uplink",
            "~ a:eth0 ipv4 forwarding on",
            "~ a:eth0 up",
            "+ address 10.0.0.1/24 on a:eth0",
            "+ address 10.0.0.11/24 on a:eth0",
            "+ address 2001:db8::1/64 on a:eth0",
            "+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
            "+ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
            "~ b:eth0 up",
            "+ address 10.0.0.2/24 on b:eth0",
            "+ address 2001:db8::2/64 on b:eth0",
        ];
        mend("ip -n a link del eth0", &veth, &["a:eth0", "b:eth0"]);
        mend(
            "ip -n s link del lan",
            &[
                "+ bridge s:lan",
                "~ s:lan ipv6 off",
                "~ s:lan up",
                "~ s:a master lan",
                "~ s:b master lan",
            ],
            &["s:lan"],
        );
        mend(
            "ip netns del b; until ! ip -n a link show eth0 > /dev/null 2>&1; do :; done
             until ! ip -n s link show b > /dev/null 2>&1; do :; done",
            &[
                "+ namespace b",
                "~ b:lo up",
                "+ veth a:eth0 -- b:eth0",
                "+ veth b:lan -- s:b",
                "~ a:eth0 alias `to b`",
                "~ a:eth0 altname uplink",
                "~ a:eth0 ipv4 forwarding on",
                "~ a:eth0 up",
                "+ address 10.0.0.1/24 on a:eth0",
                "+ address 10.0.0.11/24 on a:eth0",
                "+ address 2001:db8::1/64 on a:eth0",
                "+ route 10.9.0.0/24 via 10.0.0.2 dev eth0 in a",
                "+ route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
                "~ b:eth0 up",
                "+ address 10.0.0.2/24 on b:eth0",
                "+ address 2001:db8::2/64 on b:eth0",
                "~ b:lan up",
                "+ address 10.1.0.2/24 on b:lan",
                "~ s:b ipv6 off",
                "~ s:b master lan",
                "~ s:b up",
            ],
            &["a:eth0", "b:eth0", "b:lan", "s:b", "b:lo"],
        );
    });
}

/// A namespace that is unpinned may live on for a while, and what is left of its veths with it.
#[test]
fn a_namespace_that_something_keeps_alive_is_replaced_whole() {
    in_lab(|lab, realm| {
        let keeper = std::fs::File::open("/run/netns/b").unwrap();
        sh("ip netns del b");
        let steps = lab.apply(realm).unwrap();
        let first = ["- interface a:eth0", "- interface s:b", "+ namespace b", "~ b:lo up"];
        assert_eq!(shown(&steps)[..4], first);
        assert_eq!(shown(&lab.plan(realm).steps), [""; 0]);
        drop(keeper);
        lab.remove(realm);
    });
}

#[test]
fn what_others_made_stays() {
    in_lab(|lab, realm| {
        sh("ip -n a link add mine type veth peer name yours netns b; ip -n a link set mine up
            ip -n a address add 10.3.0.1/24 dev mine; ip -n s link set lan down; ip netns add x");
        let plan = lab.plan(realm);
        assert_eq!(shown(&plan.steps), ["~ s:lan up"]);
        assert_eq!(plan.undeclared, ["a:mine", "b:yours"].map(|at| Undeclared::Interface(end(at))));
        lab.build(realm);
        assert!(sh("ip -n a address show mine").contains("10.3.0.1/24"));
        lab.remove(realm);
        assert_eq!(realm.names().unwrap(), [ns("x")]);
    });
}

#[test]
fn what_others_made_is_in_the_way() {
    in_lab(|lab, realm| {
        sh("ip netns del b; ip netns add b; ip netns del s; ip netns add s
            ip -n s link set lo alias vnet:other/s; until ! ip -n a link show lan > /dev/null 2>&1; do :; done
            ip -n a link add lan type bridge");
        let plan = lab.plan(realm);
        let conflicts: Vec<String> = plan.conflicts.iter().map(ToString::to_string).collect();
        assert_eq!(
            conflicts,
            [
                "a:lan exists, is a bridge and was not made by vnet",
                "namespace b exists and was not made by vnet",
                "namespace s belongs to lab other (node s)",
            ]
        );
        assert_eq!(plan.steps, []);
        // What is the lab's goes, what is not stays.
        lab.remove(realm);
        assert_eq!(realm.names().unwrap(), [ns("b"), ns("s")]);
    });
}

#[test]
fn what_is_no_longer_declared_goes() {
    in_lab(|lab, realm| {
        let smaller = Lab::new().nodes(&["a", "b"]).veth("a:eth0", "b:eth0");
        let steps = smaller.apply(realm).unwrap();
        assert_eq!(
            shown(&steps),
            [
                "~ a:eth0 no alias",
                "~ a:eth0 no altname uplink",
                "~ a:eth0 ipv4 forwarding off",
                "- address 10.0.0.1/24 on a:eth0",
                "- address 2001:db8::1/64 on a:eth0",
                "- route 2001:db8:9::/48 via 2001:db8::2 dev eth0 in a",
                "- address 10.0.0.2/24 on b:eth0",
                "- address 2001:db8::2/64 on b:eth0",
                "- interface a:lan",
                "- interface b:lan",
                "- namespace s",
            ]
        );
        assert_eq!(shown(&smaller.plan(realm).steps), [""; 0]);
        let empty = plan_between(&lab.name, &State::default(), &lab.observe(realm).state);
        assert_eq!(shown(&empty.steps), ["- namespace a", "- namespace b"]);
    });
}

#[test]
fn a_leg_that_is_down_is_part_of_its_route() {
    in_lab(|lab, realm| {
        let legs = [via("10.0.0.2", "eth0"), NextHop { weight: 2, ..via("10.1.0.2", "lan") }];
        let lab = lab.clone().route("a", route("10.7.0.0/24", &legs));
        lab.build(realm);
        sh("ip -n a link set lan down");
        assert_eq!(shown(&lab.plan(realm).steps), ["~ a:lan up"]);
        lab.build(realm);
    });
}

/// What was renamed or moved has its hardware address and its kind still. A tunnel's end also has its
/// number still, in the namespace where it was made, so it goes before the new one comes.
#[test]
fn what_somebody_renamed_or_moved_is_made_again() {
    in_lab(|lab, realm| {
        let vxlan = Device::new(&VXLAN)
            .with("id", Value::Number(100))
            .with("remote", Value::Ip("10.0.0.2".parse().unwrap()))
            .with("dstport", Value::Number(4789));
        let lab = lab.clone().device("a:vx0", vxlan);
        lab.build(realm);
        let mended = |damage: &str, expected: &[&str]| {
            sh(damage);
            let plan = lab.plan(realm);
            assert_eq!(
                (shown(&plan.steps), plan.undeclared),
                (texts(expected), vec![]),
                "{damage}"
            );
            lab.build(realm);
        };
        let again = ["+ vxlan a:vx0 (id 100, remote 10.0.0.2, dstport 4789)", "~ a:vx0 up"];
        mended(
            "ip -n a link set vx0 down; ip -n a link set vx0 name other",
            &[&["- interface a:other"], &again[..]].concat(),
        );
        mended("ip -n a link set vx0 netns b", &[&["- interface b:vx0"], &again[..]].concat());
        mended(
            "ip -n s link set lan down; ip -n s link set lan name other",
            &[
                "+ bridge s:lan",
                "~ s:lan ipv6 off",
                "~ s:lan up",
                "~ s:a master lan",
                "~ s:b master lan",
                "- interface s:other",
            ],
        );
        // What stands on it or copies its address is a person's.
        sh(
            "ip -n a link add copy type bridge; ip -n a link set copy address $(ip -n s -br link show lan | awk '{ print $3 }')",
        );
        assert_eq!(lab.plan(realm).undeclared, [Undeclared::Interface(end("a:copy"))]);
        sh("ip -n a link del copy; ip -n a link del vx0
            ip -n a link add theirs type vxlan id 100 remote 10.0.0.3 dstport 4789");
        let conflicts = lab.plan(realm).conflicts;
        let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        let theirs = "a:theirs exists, is a vxlan (id 100, dstport 4789) and was not made by vnet";
        assert_eq!(conflicts, [theirs]);
        sh("ip -n a link del theirs");
    });
}

/// The hardware address of one end may be said by a record alone, that of the other follows from its
/// name: they were made as one.
#[test]
fn both_ends_of_a_pair_are_the_labs_own_where_one_is() {
    in_lab(|lab, realm| {
        let mac = "02:00:00:00:00:07".parse().unwrap();
        let larger = lab.clone().nodes(&["c"]).veth("a:c", "c:a").set("a:c", |i| i.mac = Some(mac));
        larger.build(realm);
        let again = lab.clone().nodes(&["c"]);
        assert_eq!(shown(&again.plan(realm).steps)[0], "- interface a:c");
        assert_eq!(again.plan(realm).undeclared, []);
        lab.remove(realm);
    });
}

fn texts(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
