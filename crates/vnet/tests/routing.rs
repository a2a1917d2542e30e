//! Routes in full, nexthop objects, rules and neighbours: built, compared with what `ip` tells,
//! changed in place, damaged by hand and mended.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, open, planned, signed};
use vnet::{Desired, Down, Lab};
use vnet_testns::sh;

/// ```text
///  a ──10.0.1.0/24── r ──10.0.2.0/24── b      a, b: 10.9.0.1/32 on lo
/// ```
const LAB: &str = "
name: t
netns: $node
nodes:
  r:
    forward: true
    interfaces: { lo: [ 10.255.0.1/32, 2001:db8:ff::1/128 ] }
    nexthops:
      - id 1 via a
      - id 2 via 10.0.2.2 dev b onlink
      - id 3 dev a
      - -6 id 4 via a
      - id 5 blackhole
      - id 6 via a encap seg6 mode encap segs 2001:db8:a::1
      - id 10 group 1/2,3
    routes:
      - 10.1.0.0/16 nexthop via a weight 2 nexthop via 10.0.2.2 dev b
      - 2001:db8:b::/48 nexthop via 2001:db8:1::2 weight 2 nexthop via 2001:db8:1::3 dev a
      - 10.2.0.0/16 nhid 10
      - 2001:db8:2::/48 nhid 4
      - 10.3.0.0/16 via a table 100 metric 5 src 10.255.0.1 mtu lock 1400 advmss 1300 initcwnd 20
      - 10.4.0.0/16 dev a scope host
      - local 10.5.0.0/16 dev lo
      - broadcast 10.5.1.1 dev a table 100
      - multicast 239.1.0.0/16 dev a
      - throw 10.6.0.0/16 table local
      - prohibit 10.6.1.0/24 metric 7
      - unreachable 2001:db8:6::/48
      - 2001:db8:7::/48 via a encap seg6 mode encap segs 2001:db8:a::1,2001:db8:a::2
      - 2001:db8:8::/48 via a encap seg6 mode inline segs 2001:db8:a::1
      - anycast 2001:db8:9::/64 dev a
      - default via inet6 2001:db8:1::2 hoplimit 9 quickack 1 reordering 5
    rules:
      - from 10.255.0.1 table 100
      - not to 10.0.0.0/8 iif a fwmark 0x10/0xff ipproto tcp sport 1000-2000 dport 80 table 100
      - from all table main suppress_prefixlength 0 priority 100
      - -6 iif lo goto 32766 priority 200
      - to 2001:db8:9::/48 prohibit
      - unreachable oif b pref 300
    neighbors:
      - 10.0.1.9 lladdr 02:00:00:00:00:09 dev a
      - 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev a
      - proxy 10.0.1.77 dev a
      - proxy 2001:db8:1::77 dev a
  a:
  b:
links:
  - { endpoints: [ r, a ], prefix: [ 10.0.1.0/24, 2001:db8:1::/64 ] }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
";

const NOTHING: [&str; 0] = [];

/// Runs a test in this lab, and takes it down again.
fn in_lab(text: &str, body: impl FnOnce(&mut Lab, &Desired)) {
    vnet_testns::root(|| {
        let desired = desired(text);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(planned(&lab, &desired), NOTHING);
        body(&mut lab, &desired);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// What a command prints, with single spaces and sorted.
fn lines(command: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = sh(command).lines().map(words).collect();
    lines.sort();
    lines
}

/// Damages the lab, sees that the plan is as expected, mends it, and sees that nothing is left.
#[track_caller]
fn mend(lab: &mut Lab, desired: &Desired, damage: &str, expected: &[&str]) {
    sh(damage);
    assert_eq!(planned(lab, desired), expected, "{damage}");
    lab.up(desired, |_| {}).unwrap_or_else(|error| panic!("{damage}: {error:?}"));
    assert_eq!(planned(lab, desired), NOTHING, "{damage}");
}

/// Changes the file, sees that the steps are as expected, and changes it back.
#[track_caller]
fn change(lab: &mut Lab, before: &Desired, from: &str, to: &str, expected: &[&str]) {
    assert!(LAB.contains(from), "{from}");
    let after = desired(&LAB.replace(from, to));
    let up = lab.up(&after, |_| {}).unwrap_or_else(|error| panic!("{to}: {error:?}"));
    assert_eq!(signed(&up.steps), expected, "{to}");
    assert_eq!(planned(lab, &after), NOTHING);
    lab.up(before, |_| {}).unwrap();
    assert_eq!(planned(lab, before), NOTHING);
}

#[test]
fn ip_tells_what_the_file_says() {
    in_lab(LAB, |_, _| {
        let shown = |command: &str, expected: &[&str]| {
            assert_eq!(lines(&format!("ip -n r {command}")), expected, "{command}");
        };
        shown(
            "route show table all proto static",
            &[
                "10.1.0.0/16",
                "10.2.0.0/16 nhid 10",
                "10.3.0.0/16 via 10.0.1.2 dev a table 100 src 10.255.0.1 metric 5 mtu lock 1400 \
                 advmss 1300 initcwnd 20",
                "10.4.0.0/16 dev a scope host",
                "2001:db8:2::/48 nhid 4 via 2001:db8:1::2 dev a metric 1024 pref medium",
                "2001:db8:7::/48 encap seg6 mode encap segs 2 [ 2001:db8:a::1 2001:db8:a::2 ] via \
                 2001:db8:1::2 dev a metric 1024 pref medium",
                "2001:db8:8::/48 encap seg6 mode inline segs 2 [ 2001:db8:a::1 :: ] via \
                 2001:db8:1::2 dev a metric 1024 pref medium",
                "2001:db8:b::/48 metric 1024 pref medium",
                "anycast 2001:db8:9::/64 dev a table local metric 1024 pref medium",
                "broadcast 10.5.1.1 dev a table 100 scope link",
                "default via 2001:db8:1::2 dev a metric 1024 reordering 5 hoplimit 9 quickack 1 \
                 pref medium",
                "local 10.5.0.0/16 dev lo table local scope host",
                "multicast 239.1.0.0/16 dev a scope link",
                "nexthop via 10.0.1.2 dev a weight 1",
                "nexthop via 10.0.1.2 dev a weight 2",
                "nexthop via 10.0.2.2 dev b weight 1",
                "nexthop via 10.0.2.2 dev b weight 3 onlink",
                "nexthop via 2001:db8:1::2 dev a weight 2",
                "nexthop via 2001:db8:1::3 dev a weight 1",
                "prohibit 10.6.1.0/24 metric 7",
                "throw 10.6.0.0/16 table local",
                "unreachable 2001:db8:6::/48 dev lo metric 1024 pref medium",
            ],
        );
        shown(
            "nexthop",
            &[
                "id 1 via 10.0.1.2 dev a scope link proto static",
                "id 10 group 1/2,3 proto static",
                "id 2 via 10.0.2.2 dev b scope link proto static onlink",
                "id 3 dev a scope host proto static",
                "id 4 via 2001:db8:1::2 dev a scope link proto static",
                "id 5 blackhole proto static",
                "id 6 encap seg6 mode encap segs 1 [ 2001:db8:a::1 ] via 10.0.1.2 dev a scope link \
                 proto static",
            ],
        );
        shown(
            "rule",
            &[
                "0: from all lookup local",
                "100: from all lookup main suppress_prefixlength 0 proto static",
                "20000: from 10.255.0.1 lookup 100 proto static",
                "20001: not from all to 10.0.0.0/8 fwmark 0x10/0xff iif a ipproto tcp sport \
                 1000-2000 dport 80 lookup 100 proto static",
                "300: from all oif b unreachable proto static",
                "32766: from all lookup main",
                "32767: from all lookup default",
            ],
        );
        shown(
            "-6 rule",
            &[
                "0: from all lookup local",
                "20002: from all to 2001:db8:9::/48 prohibit proto static",
                "200: from all iif lo goto 32766 proto static",
                "32766: from all lookup main",
            ],
        );
        shown(
            "neigh show nud permanent",
            &[
                "10.0.1.9 dev a lladdr 02:00:00:00:00:09 PERMANENT proto static",
                "2001:db8:1::9 dev a lladdr 02:00:00:00:00:09 PERMANENT proto static",
            ],
        );
        shown(
            "neigh show proxy",
            &["10.0.1.77 dev a proxy proto static", "2001:db8:1::77 dev a proxy proto static"],
        );
    });
}

#[test]
fn what_is_changed_is_changed_in_place() {
    in_lab(LAB, |lab, before| {
        let mut change = |from: &str, to: &str, expected: &[&str]| {
            change(lab, before, from, to, expected);
        };
        change(
            "mtu lock 1400",
            "mtu 1300",
            &["~ route 10.3.0.0/16 via 10.0.1.2 dev a table 100 src 10.255.0.1 metric 5 mtu 1300 \
               advmss 1300 initcwnd 20 in r"],
        );
        change("scope host", "scope link", &["~ route 10.4.0.0/16 dev a in r"]);
        change(
            "via a weight 2 nexthop via 10.0",
            "via a weight 5 nexthop via 10.0",
            &[
                "~ route 10.1.0.0/16 nexthop via 10.0.1.2 dev a weight 5 nexthop via 10.0.2.2 dev b \
               weight 1 in r",
            ],
        );
        change(
            "segs 2001:db8:a::1,2001:db8:a::2",
            "segs 2001:db8:a::7",
            &[
                "~ route 2001:db8:7::/48 encap seg6 mode encap segs 2001:db8:a::7 via 2001:db8:1::2 \
               dev a in r",
            ],
        );
        change("group 1/2,3", "group 1,2/2/3", &["+ nexthop id 10 group 1,2/2/3 in r"]);
        change("10.2.0.0/16 nhid 10", "10.2.0.0/16 nhid 1", &["~ route 10.2.0.0/16 nhid 1 in r"]);
        change(
            "10.2.0.0/16 nhid 10",
            "10.2.0.0/16 via b",
            &["~ route 10.2.0.0/16 via 10.0.2.2 dev b in r"],
        );
        // A single way can't become a group in place.
        change(
            "id 5 blackhole",
            "id 5 group 3",
            &["- nexthop id 5 blackhole in r", "+ nexthop id 5 group 3 in r"],
        );
        change(
            "suppress_prefixlength 0",
            "suppress_prefixlength 8",
            &[
                "+ rule from all table main suppress_prefixlength 8 priority 100 in r",
                "- rule from all table main suppress_prefixlength 0 priority 100 in r",
            ],
        );
        change(
            "10.0.1.9 lladdr 02:00:00:00:00:09",
            "10.0.1.9 lladdr 02:00:00:00:00:0a",
            &["+ neighbor 10.0.1.9 lladdr 02:00:00:00:00:0a dev a in r"],
        );
        change("      - proxy 10.0.1.77 dev a\n", "", &["- neighbor proxy 10.0.1.77 dev a in r"]);
    });
}

#[test]
fn what_is_damaged_is_mended() {
    in_lab(LAB, |lab, desired| {
        let mut mend = |damage: &str, expected: &[&str]| mend(lab, desired, damage, expected);
        let rule = "rule from 10.255.0.1 table 100 priority 20000 in r";
        mend("ip -n r rule del priority 20000", &[&format!("+ {rule}")]);
        mend(
            "ip -n r neigh del 10.0.1.9 dev a; ip -n r neigh del proxy 2001:db8:1::77 dev a",
            &[
                "+ neighbor 10.0.1.9 lladdr 02:00:00:00:00:09 dev a in r",
                "+ neighbor proxy 2001:db8:1::77 dev a in r",
            ],
        );
        mend(
            "ip -n r neigh replace 10.0.1.9 lladdr 02:00:00:00:00:0b dev a",
            &["+ neighbor 10.0.1.9 lladdr 02:00:00:00:00:09 dev a in r"],
        );
        mend(
            "ip -n r nexthop del id 2",
            &["+ nexthop id 2 via 10.0.2.2 dev b onlink in r", "+ nexthop id 10 group 1/2,3 in r"],
        );
        mend("ip -n r nexthop replace id 5 dev b", &["+ nexthop id 5 blackhole in r"]);
        mend(
            "ip -n r route replace 10.2.0.0/16 via 10.0.2.2",
            &["~ route 10.2.0.0/16 nhid 10 in r"],
        );
        // The far end takes the carrier, and with it the nexthop objects.
        mend(
            "ip -n b link set r down",
            &[
                "~ b:r up",
                "+ nexthop id 2 via 10.0.2.2 dev b onlink in r",
                "+ nexthop id 10 group 1/2,3 in r",
            ],
        );
    });
}

#[test]
fn what_others_made_is_told_and_stays() {
    in_lab(LAB, |lab, before| {
        sh("ip -n r rule add from 10.7.0.0/16 table 7 priority 700
            ip -n r rule add tos 8 table 7 priority 701
            ip -n r neigh add 10.0.1.8 lladdr 02:00:00:00:00:08 dev a
            ip -n r nexthop add id 70 dev b");
        let told = |lab: &Lab, desired: &Desired| -> Vec<String> {
            let plan = lab.plan(desired).unwrap().plan;
            assert_eq!(signed(&plan.steps), NOTHING);
            plan.undeclared.iter().map(ToString::to_string).collect()
        };
        let all = [
            "nexthop id 70 dev b in r",
            "rule from 10.7.0.0/16 table 7 priority 700 in r",
            "neighbor 10.0.1.8 lladdr 02:00:00:00:00:08 dev a in r",
            "rule with priority 701 in r",
        ];
        assert_eq!(told(lab, before), all);
        // A file without any of them takes away what was ours, and only that.
        let cut = LAB.find("    nexthops:").unwrap()..LAB.find("  a:\n").unwrap();
        let after = desired(&LAB.replace(&LAB[cut], ""));
        lab.up(&after, |_| {}).unwrap();
        assert_eq!(planned(lab, &after), NOTHING);
        assert_eq!(
            lines("ip -n r rule; ip -n r nexthop; ip -n r neigh show nud permanent"),
            [
                "0: from all lookup local",
                "10.0.1.8 dev a lladdr 02:00:00:00:00:08 PERMANENT",
                "32766: from all lookup main",
                "32767: from all lookup default",
                "700: from 10.7.0.0/16 lookup 7",
                "701: from all tos 0x08 lookup 7",
                "id 70 dev b scope host",
            ]
        );
    });
}

/// The script that `vnet plan` prints makes the same network.
#[test]
fn the_printed_commands_do_the_same() {
    in_lab(LAB, |lab, desired| {
        let steps = lab.plan(desired).unwrap();
        assert_eq!(signed(&steps.plan.steps), NOTHING);
        let all = vnet::model::plan::plan_between(
            &desired.lab,
            &desired.state,
            &vnet::model::State::default(),
        );
        let by_us =
            lines("ip -n r route show table all; ip -n r rule; ip -n r nexthop; ip -n r neigh");
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        sh(&vnet_iproute::script(&all.steps));
        let by_ip =
            lines("ip -n r route show table all; ip -n r rule; ip -n r nexthop; ip -n r neigh");
        assert_eq!(by_ip, by_us);
        assert_eq!(planned(lab, desired), NOTHING);
    });
}

/// ```text
///        ┌─ m1 ─┐
///   a ───┤      ├─── b      10.9.0.1..16 on the lo of b
///        └─ m2 ─┘
/// ```
const DIAMOND: &str = "
name: t
netns: $node
routing: auto
nodes:
  a:
  m1..2: { forward: true }
  b: { interfaces: { lo: [ 10.9.0.1/32, 10.9.0.2/32, 10.9.0.3/32, 10.9.0.4/32, 10.9.0.5/32,
       10.9.0.6/32, 10.9.0.7/32, 10.9.0.8/32, 10.9.0.9/32, 10.9.0.10/32, 10.9.0.11/32,
       10.9.0.12/32, 10.9.0.13/32, 10.9.0.14/32, 10.9.0.15/32, 10.9.0.16/32 ] } }
links:
  - { endpoints: [ a, m1..2 ], pairs: all, pool: 10.1.0.0/24 }
  - { endpoints: [ m1..2, b ], pairs: all, pool: 10.2.0.0/24 }
";

/// Counts the echo requests that a middle has passed on, and starts again.
fn passed(node: &str) -> u32 {
    let counters = sh(&format!("ip netns exec {node} cat /proc/net/snmp"));
    let mut ip = counters.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
    let (names, values) = (ip.next().unwrap(), ip.next().unwrap());
    let mut pairs = names.zip(values);
    pairs.find(|(name, _)| *name == "ForwDatagrams").unwrap().1.parse().unwrap()
}

/// 16 echo requests and 16 replies are spread by the hash of their addresses.
fn uses_both_ways(text: &str) {
    in_lab(text, |_, _| {
        let before = [passed("m1"), passed("m2")];
        for host in 1..=16 {
            sh(&format!("ip netns exec a ping -c 1 -w 10 -q 10.9.0.{host}"));
        }
        let used = [passed("m1") - before[0], passed("m2") - before[1]];
        assert!(used[0] + used[1] >= 32 && used.iter().all(|count| *count > 4), "{used:?}");
    });
}

#[test]
fn equal_ways_found_by_auto_are_both_used() {
    uses_both_ways(DIAMOND);
}

#[test]
fn both_ways_of_a_group_are_used() {
    let text = DIAMOND.replace("routing: auto", "").replace(
        "  a:\n",
        "  a:
    nexthops: [ id 1 via m1, id 2 via m2, id 10 group 1/2 ]
    routes: [ 10.9.0.0/24 nhid 10 ]\n",
    );
    let back = "  b: { routes: [ 10.1.0.0/24 nexthop via m1 nexthop via m2 ],";
    let text = text.replace("  b: {", back).replace(
        "m1..2: { forward: true }",
        "m1..2: { forward: true, routes: [ 10.9.0.0/24 via b, 10.1.0.0/24 via a ] }",
    );
    uses_both_ways(&text);
}

/// A rule sends by source: a reaches b by m2, though main says m1.
#[test]
fn a_rule_sends_by_another_way() {
    let text = DIAMOND.replace("routing: auto", "").replace(
        "  a:\n",
        "  a:
    interfaces: { lo: 10.8.0.1/32 }
    routes: [ 10.9.0.0/24 via m1, 10.9.0.0/24 via m2 table 100 ]
    rules: [ from 10.8.0.1 table 100 ]\n",
    );
    let back = "  b: { routes: [ 10.1.0.0/24 via m1, 10.8.0.0/24 via m2 ],";
    let text = text.replace("  b: {", back).replace(
        "m1..2: { forward: true }",
        "m1: { forward: true, routes: [ 10.9.0.0/24 via b ] }
  m2: { forward: true, routes: [ 10.9.0.0/24 via b, 10.8.0.0/24 via a ] }",
    );
    in_lab(&text, |_, _| {
        let ping = |from: &str| sh(&format!("ip netns exec a ping -c 1 -W 1 -q {from} 10.9.0.1"));
        let before = [passed("m1"), passed("m2")];
        ping("");
        assert_eq!([passed("m1") - before[0], passed("m2") - before[1]], [2, 0]);
        ping("-I 10.8.0.1");
        assert_eq!([passed("m1") - before[0], passed("m2") - before[1]], [2, 2]);
    });
}

/// `r` answers for addresses behind it, in both families, so that `a` reaches them without a route.
#[test]
fn a_proxy_answers_for_who_is_behind_it() {
    let text = "
name: t
netns: $node
nodes:
  a:
  r:
    forward: true
    neighbors: [ proxy 10.0.0.77 dev a, 'proxy 2001:db8::77 dev a' ]
    routes: [ 10.0.0.77 via b, '2001:db8::77 via b' ]
  b: { interfaces: { lo: [ 10.0.0.77/32, 2001:db8::77/128 ] } }
links:
  - { endpoints: [ a, r ], prefix: [ 10.0.0.0/24, 2001:db8::/64 ] }
  - { endpoints: [ r, b ], prefix: [ 10.0.1.0/24, 2001:db8:1::/64 ], gateway: r }
";
    in_lab(text, |_, _| {
        // The kernel waits up to 0.8 s before it answers for an IPv6 neighbour (RFC 4861,
        // section 7.2.8).
        sh("for far in 10.0.0.77 2001:db8::77; do
              ip netns exec a ping -c 1 -w 10 -q $far
            done");
    });
}

/// Packets to many addresses go by both of two ways of equal cost, and come back.
///
/// ```text
///      ┌─ x ─┐
///  a ──┤     ├── b: 10.9.0.1 to 10.9.0.64 on lo
///      └─ y ─┘
/// ```
#[test]
fn ways_of_equal_cost_are_both_taken() {
    const MANY: usize = 64;
    let lo: Vec<String> = (1..=MANY).map(|n| format!("10.9.0.{n}/32")).collect();
    let text = format!(
        "
name: m
netns: $node
routing: auto
nodes:
  a:
  b: {{ interfaces: {{ lo: [ {} ] }} }}
  x: {{ forward: true }}
  y: {{ forward: true }}
links:
  - {{ endpoints: [ a, x ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ a, y ], prefix: 10.0.2.0/24 }}
  - {{ endpoints: [ x, b ], prefix: 10.0.3.0/24 }}
  - {{ endpoints: [ y, b ], prefix: 10.0.4.0/24 }}
",
        lo.join(", ")
    );
    in_lab(&text, |_, _| {
        let sent = |leg: &str| -> usize {
            let path = format!("/sys/class/net/{leg}/statistics/tx_packets");
            sh(&format!("ip netns exec a cat {path}")).trim().parse().unwrap()
        };
        let before = ["x", "y"].map(sent);
        sh(&format!(
            "for n in $(seq {MANY}); do ip netns exec a ping -q -c 1 -W 2 10.9.0.$n; done"
        ));
        let after = ["x", "y"].map(sent);
        let by = [after[0] - before[0], after[1] - before[1]];
        assert!(by[0] + by[1] >= MANY, "{by:?}");
        // Which way each goes the kernel draws by lot: less than an eighth by one is no accident.
        assert!(by.iter().all(|sent| *sent >= MANY / 8), "{by:?}");
    });
}

/// Its packets to the neighbours would find no way, with all addresses as they should be.
#[test]
fn a_connected_route_that_was_removed_is_mended() {
    const FILE: &str = "
name: t
netns: $node
nodes:
  a: { interfaces: { b: [ 10.0.0.1/24, 10.0.0.7/24, 10.0.1.1/31, 10.0.2.1/32, 2001:db8::1/64, 2001:db8::7/64 ] } }
  b: { interfaces: { a: [ 10.0.0.2/24, 2001:db8::2/64 ] }, routes: [ 10.0.2.0/24 via 10.0.0.1 ] }
links: [ [ a, b ] ]
";
    in_lab(FILE, |lab, desired| {
        assert_eq!(planned(lab, desired), NOTHING);
        let ping =
            "ip netns exec b ping -c 1 -W 2 10.0.0.1 && ip netns exec b ping -c 1 -W 2 2001:db8::1";
        let mut mend = |damage: &str, expected: &[&str]| {
            mend(lab, desired, damage, expected);
            sh(ping);
        };
        // The kernel takes the second address of a subnet away with the first.
        mend(
            "ip -n a route del 10.0.0.0/24 dev b",
            &[
                "- address 10.0.0.1/24 on a:b",
                "+ address 10.0.0.1/24 on a:b",
                "+ address 10.0.0.7/24 on a:b",
            ],
        );
        mend(
            "ip -n a route del 10.0.1.0/31 dev b",
            &["- address 10.0.1.1/31 on a:b", "+ address 10.0.1.1/31 on a:b"],
        );
        mend(
            "ip -n a -6 route del 2001:db8::/64 dev b",
            &[
                "- address 2001:db8::1/64 on a:b",
                "- address 2001:db8::7/64 on a:b",
                "+ address 2001:db8::1/64 on a:b",
                "+ address 2001:db8::7/64 on a:b",
            ],
        );
        // The route by the gateway goes with the last address, and comes back with it.
        mend(
            "ip -n b route flush proto kernel",
            &[
                "- address 10.0.0.2/24 on b:a",
                "+ address 10.0.0.2/24 on b:a",
                "~ route 10.0.2.0/24 via 10.0.0.1 dev a in b",
            ],
        );
        // Without a carrier there is nothing to mend, nor with an interface that is down.
        mend(
            "ip -n b link set dev a down",
            &[
                "~ b:a up",
                "+ address 2001:db8::2/64 on b:a",
                "+ route 10.0.2.0/24 via 10.0.0.1 dev a in b",
            ],
        );
    });
}

/// Labels that packets are given on their way: as `ip` tells them, changed in place, and mended.
#[test]
fn vm_routes_give_packets_labels() {
    const FILE: &str = "
name: t
netns: $node
nodes:
  a: { routes: [ 10.9.0.0/24 via b encap mpls 100/200 ttl 9 ] }
  b:
links: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]
";
    vnet_testns::root(|| {
        vnet_testns::requires(&["mpls"]);
        let wanted = desired(FILE);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        assert_eq!(planned(&lab, &wanted), [""; 0]);
        let told = || lines("ip -n a route show 10.9.0.0/24");
        assert_eq!(
            told(),
            ["10.9.0.0/24 encap mpls 100/200 ttl 9 via 10.0.0.2 dev b proto static"]
        );
        let other = desired(&FILE.replace("mpls 100/200 ttl 9", "mpls 300"));
        let up = lab.up(&other, |_| {}).unwrap();
        let route = "route 10.9.0.0/24 encap mpls 300 via 10.0.0.2 dev b in a";
        assert_eq!(signed(&up.steps), [format!("~ {route}")]);
        assert_eq!(told(), ["10.9.0.0/24 encap mpls 300 via 10.0.0.2 dev b proto static"]);
        mend(&mut lab, &other, "ip -n a route del 10.9.0.0/24", &[&format!("+ {route}")]);
        lab.down(&Down::default()).unwrap();
    });
}
