//! Each word of `firewall:` and `nat:`, proved by packets.

use vnet::{Down, Lab};
use vnet_testns::sh;

use crate::common::{desired, open};
use crate::packets::Net;
use crate::packets::Outcome::{self, From, Lost, Refused};

/// `pc1`, `pc2` — lan — gw — wan — isp, with room for the options of `gw`.
///
/// ```text
///  pc1 10.0.0.11 ┐            gw            ┌ isp 192.0.2.1
///  pc2 10.0.0.12 ┴ 10.0.0.1 ┄┄┄┄ 192.0.2.2 ─┘ (knows the way back)
/// ```
fn lab(options: &str) -> String {
    format!(
        "
name: demo
nodes:
  gw: {{ forward: true, {options} }}
  pc1:
  pc2:
  isp: {{ routes: [ 10.0.0.0/24 via gw, 2001:db8:0::/64 via gw ] }}
segments:
  lan:
    prefix: [ 10.0.0.0/24, 2001:db8:0::/64 ]
    gateway: gw
    members:
      gw: [ 10.0.0.1/24, 2001:db8::1/64 ]
      pc1: [ 10.0.0.11/24, 2001:db8::11/64 ]
      pc2: [ 10.0.0.12/24, 2001:db8::12/64 ]
links:
  - endpoints:
      gw:wan: [ 192.0.2.2/24, 192.0.2.10/24, 2001:db8:2::2/64 ]
      isp: [ 192.0.2.1/24, 2001:db8:2::1/64 ]
"
    )
}

/// Takes a lab through changes of its `gw`, and sends packets after each.
struct Tries {
    lab: Option<Lab>,
}

impl Tries {
    fn with(&mut self, options: &str, tries: &[(&str, &str, Outcome)]) {
        let wanted = desired(&lab(options));
        let first = self.lab.is_none();
        let lab = self.lab.get_or_insert_with(|| open(&wanted));
        lab.up(&wanted, |_| {}).unwrap();
        let net = Net::new(&wanted);
        if first {
            for node in ["gw", "pc1", "pc2", "isp"] {
                net.serve(node, &[22, 25, 53, 80]);
            }
        }
        for (from, to, expected) in tries {
            net.check(from, to, expected, options);
        }
    }

    fn end(self) {
        if let Some(mut lab) = self.lab {
            lab.down(&Down::default()).unwrap();
        }
    }
}

fn from(addr: &str) -> Outcome {
    From(addr.parse().unwrap())
}

const PC1: &str = "10.0.0.11";
const PC2: &str = "10.0.0.12";
const ISP: &str = "192.0.2.1";

#[test]
fn each_word_of_a_firewall_does_what_it_says() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        let web = "tcp/192.0.2.1:80";
        tries.with("", &[("pc1", web, from(PC1)), ("isp", "tcp/10.0.0.12:80", from(ISP))]);
        // Policies of the three ways, and that what was let through may be answered.
        tries.with(
            "firewall: { forward: drop, allow: from lan to wan }",
            &[
                ("pc1", web, from(PC1)),
                ("pc1", "udp/192.0.2.1:53", from(PC1)),
                ("pc1", "tcp/[2001:db8:2::1]:80", from("2001:db8::11")),
                ("isp", "tcp/10.0.0.11:80", Lost),
                ("isp", "tcp/[2001:db8::11]:80", Lost),
                ("isp", "tcp/192.0.2.2:80", from(ISP)),
                ("gw", web, from("192.0.2.2")),
            ],
        );
        tries.with(
            "firewall: { forward: drop, established: false, allow: from lan to wan }",
            &[("pc1", web, Lost)],
        );
        tries.with(
            "firewall: { in: drop, allow: in tcp/22 from pc1 }",
            &[
                ("pc1", "tcp/10.0.0.1:22", from(PC1)),
                ("pc1", "tcp/[2001:db8::1]:22", from("2001:db8::11")),
                ("pc2", "tcp/10.0.0.1:22", Lost),
                ("pc1", "tcp/10.0.0.1:80", Lost),
                ("pc1", web, from(PC1)),
                // The node itself still hears answers, and itself.
                ("gw", web, from("192.0.2.2")),
                ("gw", "tcp/127.0.0.1:80", from("127.0.0.1")),
            ],
        );
        tries.with(
            "firewall: { out: drop, allow: out udp/53 }",
            &[
                ("gw", "udp/192.0.2.1:53", from("192.0.2.2")),
                ("gw", web, Lost),
                ("gw", "tcp/10.0.0.1:80", from("10.0.0.1")),
                ("pc1", "tcp/10.0.0.1:80", from(PC1)),
            ],
        );
        tries.end();
    });
}

#[test]
fn each_selector_of_a_rule_selects() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        let deny = |rule: &str| format!("firewall: {{ deny: {rule} }}");
        let web = "tcp/192.0.2.1:80";
        let mail = "tcp/192.0.2.1:25";
        for (rule, lost, kept) in [
            ("from pc1", ("pc1", web), ("pc2", web)),
            ("from 10.0.0.12", ("pc2", web), ("pc1", web)),
            ("from 10.0.0.8/30", ("pc1", web), ("pc2", web)),
            ("'from pc1,10.0.0.14'", ("pc1", web), ("pc2", web)),
            ("to isp", ("pc1", web), ("isp", "tcp/10.0.0.11:80")),
            ("to lan", ("isp", "tcp/10.0.0.11:80"), ("pc1", web)),
            ("to wan", ("pc1", web), ("isp", "tcp/10.0.0.11:80")),
            ("from wan", ("isp", "tcp/10.0.0.11:80"), ("pc1", web)),
            ("iif wan", ("isp", "tcp/10.0.0.11:80"), ("pc1", web)),
            ("oif wan", ("pc1", web), ("isp", "tcp/10.0.0.11:80")),
            ("from lan to isp", ("pc1", web), ("isp", "tcp/10.0.0.11:80")),
            ("tcp/25", ("pc1", mail), ("pc1", web)),
            ("'tcp/22,25'", ("pc1", mail), ("pc1", web)),
            ("tcp/22-25", ("pc1", mail), ("pc1", web)),
            ("'tcp/1-5,20-26'", ("pc1", mail), ("pc1", web)),
            ("tcp", ("pc1", web), ("pc1", "udp/192.0.2.1:53")),
            ("udp", ("pc1", "udp/192.0.2.1:53"), ("pc1", web)),
            ("from 2001:db8::11", ("pc1", "tcp/[2001:db8:2::1]:80"), ("pc1", web)),
            ("from pc1 to 2001:db8:2::/64", ("pc1", "udp/[2001:db8:2::1]:53"), ("pc1", web)),
            ("state new", ("pc1", web), ("pc1", "tcp/10.0.0.12:80")),
        ] {
            let answer = match kept.0 {
                "pc1" => from(PC1),
                "pc2" => from(PC2),
                _ => from(ISP),
            };
            tries.with(&deny(rule), &[(lost.0, lost.1, Lost), (kept.0, kept.1, answer)]);
        }
        tries.end();
    });
}

/// Tells whether an echo comes back to a node.
fn echoes(node: &str, to: &str) -> bool {
    sh(&format!("ip netns exec demo-{node} ping -q -c 1 -W 1 {to} >/dev/null && echo yes || true"))
        == "yes\n"
}

#[test]
fn echoes_and_states_are_told_apart() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        let (web, closed) = ("tcp/192.0.2.1:80", "udp/192.0.2.1:9999");
        let isp = ["192.0.2.1", "2001:db8:2::1"];
        for (options, both, answer) in [
            ("", [true, true], from(PC1)),
            ("firewall: { deny: icmp }", [false, true], from(PC1)),
            ("firewall: { deny: icmpv6 }", [true, false], from(PC1)),
            ("firewall: { forward: drop, allow: [ icmp, icmpv6 ] }", [true, true], Lost),
        ] {
            tries.with(options, &[("pc1", web, answer)]);
            assert_eq!(isp.map(|to| echoes("pc1", to)), both, "{options}");
        }
        let only = |allow: &str| {
            format!("firewall: {{ forward: drop, established: false, allow: [ {allow} ] }}")
        };
        tries.with(
            &only("from pc1 state new, state established"),
            &[
                ("pc1", web, from(PC1)),
                ("isp", "tcp/10.0.0.11:80", Lost),
                // Nobody listens, and the word of that is related.
                ("pc1", closed, Lost),
            ],
        );
        tries.with(&only("from pc1 state new, state related"), &[("pc1", closed, Refused)]);
        // An answer to what never came by begins nothing.
        let astray = "ip netns exec demo-pc1 perl -e 'use Socket; socket S, AF_INET, SOCK_RAW, 1; \
             send S, pack(\"CCnnn\", 0, 0, 0xffff, 0, 0), 0, sockaddr_in(0, inet_aton(\"192.0.2.1\"))'";
        let seen = || {
            let text = sh("ip netns exec demo-isp nft list chain inet t c");
            text.split("packets ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
        };
        sh("ip netns exec demo-isp nft 'table inet t { chain c { type filter hook prerouting \
            priority raw; icmp type echo-reply counter; }; }'");
        for (options, count) in [("firewall: { deny: state invalid }", "0"), ("", "1")] {
            tries.with(options, &[]);
            sh(astray);
            assert_eq!(seen(), count, "{options}");
        }
        sh("ip netns exec demo-isp nft delete table inet t");
        tries.end();
    });
}

#[test]
fn verdicts_order_and_limits_hold() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        let (web, dns) = ("tcp/192.0.2.1:80", "udp/192.0.2.1:53");
        tries.with(
            "firewall: { reject: [ tcp/80, udp/53, 'in tcp/22' ] }",
            &[
                ("pc1", web, Refused),
                ("pc1", dns, Refused),
                ("pc1", "tcp/10.0.0.1:22", Refused),
                ("pc1", "tcp/192.0.2.1:22", from(PC1)),
            ],
        );
        tries.with(
            "firewall: { forward: reject, allow: tcp/80 }",
            &[("pc1", web, from(PC1)), ("pc1", dns, Refused)],
        );
        // The first that decides does.
        tries.with(
            "firewall: { rules: [ allow from pc1, deny tcp/80 ] }",
            &[("pc1", web, from(PC1)), ("pc2", web, Lost)],
        );
        tries.with(
            "firewall: { rules: [ deny tcp/80, allow from pc1 ] }",
            &[("pc1", web, Lost), ("pc2", "tcp/192.0.2.1:22", from(PC2))],
        );
        // `deny` comes before `allow`, wherever it is written.
        tries.with(
            "firewall: { allow: from pc1, deny: tcp/80 }",
            &[("pc1", web, Lost), ("pc1", dns, from(PC1))],
        );
        // Two at once, and no more for an hour.
        tries.with(
            "firewall: { forward: drop, allow: udp/53 limit 1/hour burst 2 }",
            &[("pc1", dns, from(PC1)), ("pc1", dns, from(PC1)), ("pc1", dns, Lost)],
        );
        tries.end();
    });
}

#[test]
fn each_translation_does_what_it_says() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        let (web, outer) = ("tcp/192.0.2.1:80", "192.0.2.2");
        tries.with(
            "nat: [ { masquerade: wan } ]",
            &[
                ("pc1", web, from(outer)),
                ("pc1", "udp/192.0.2.1:53", from(outer)),
                ("pc1", "tcp/[2001:db8:2::1]:80", from("2001:db8:2::2")),
                ("pc1", "tcp/10.0.0.1:80", from(PC1)),
            ],
        );
        tries.with(
            "nat: [ { masquerade: wan, from: pc1 } ]",
            &[("pc1", web, from(outer)), ("pc2", web, from(PC2))],
        );
        tries.with(
            "nat: [ { snat: pc1, oif: wan, to: 192.0.2.10 }, { snat: 10.0.0.12, to: 192.0.2.2 } ]",
            &[("pc1", web, from("192.0.2.10")), ("pc2", web, from(outer))],
        );
        tries.with(
            "nat: [ { dnat: tcp/2222, iif: wan, to: pc1 tcp/22 }, { dnat: udp/53, iif: wan, to: 10.0.0.12 } ]",
            &[
                ("isp", "tcp/192.0.2.2:2222", from(ISP)),
                ("isp", "tcp/[2001:db8:2::2]:2222", from("2001:db8:2::1")),
                ("isp", "udp/192.0.2.2:53", from(ISP)),
                // Only what comes to the outer address, by the outer interface.
                ("isp", "tcp/10.0.0.12:2222", Refused),
                ("pc2", "tcp/192.0.2.2:2222", Refused),
            ],
        );
        tries.with(
            "nat: [ { dnat: tcp/20-90, dst: 192.0.2.10, to: pc2 } ]",
            &[
                ("isp", "tcp/192.0.2.10:22", from(ISP)),
                ("isp", "tcp/192.0.2.10:80", from(ISP)),
                ("isp", "tcp/192.0.2.10:53", from(ISP)),
            ],
        );
        tries.with(
            "nat: [ { dnat: tcp/8080, to: pc2 tcp/80 } ]",
            &[
                ("isp", "tcp/192.0.2.2:8080", from(ISP)),
                ("isp", "tcp/10.0.0.1:8080", from(ISP)),
                // Not a hairpin: the answer goes past the gateway, and is no answer to this.
                ("pc1", "tcp/10.0.0.1:8080", Lost),
            ],
        );
        tries.end();
    });
}

#[test]
fn a_hairpin_and_one_address_for_another() {
    vnet_testns::root(|| {
        let mut tries = Tries { lab: None };
        tries.with(
            "nat: [ { dnat: tcp/2222, iif: wan, to: pc1 tcp/22, hairpin: true }, { masquerade: wan } ]",
            &[
                ("isp", "tcp/192.0.2.2:2222", from(ISP)),
                // From beside it: seen as coming from the gateway, else the answer would go past it.
                ("pc2", "tcp/192.0.2.2:2222", from("10.0.0.1")),
                ("pc1", "tcp/192.0.2.2:2222", from("10.0.0.1")),
                ("gw", "tcp/192.0.2.2:2222", from("192.0.2.2")),
                ("pc2", "tcp/10.0.0.11:22", from(PC2)),
            ],
        );
        tries.with(
            "nat: [ { binat: 192.0.2.10, to: pc1, oif: wan }, { masquerade: wan } ]",
            &[
                ("pc1", "tcp/192.0.2.1:80", from("192.0.2.10")),
                ("pc2", "tcp/192.0.2.1:80", from("192.0.2.2")),
                ("isp", "tcp/192.0.2.10:22", from(ISP)),
                ("isp", "udp/192.0.2.10:53", from(ISP)),
            ],
        );
        // A port forward passes a firewall that lets nothing through, unless a rule says no.
        tries.with(
            "firewall: { forward: drop }, nat: [ { dnat: tcp/2222, iif: wan, to: pc1 tcp/22 } ]",
            &[("isp", "tcp/192.0.2.2:2222", from(ISP)), ("isp", "tcp/10.0.0.11:22", Lost)],
        );
        tries.with(
            "firewall: { forward: drop, deny: from isp }, nat: [ { dnat: tcp/2222, iif: wan, to: pc1 tcp/22 } ]",
            &[("isp", "tcp/192.0.2.2:2222", Lost)],
        );
        tries.end();
    });
}

/// A node out there knows nothing of what a masquerade hides, and needs not to.
#[test]
fn routes_stop_at_a_masquerade() {
    vnet_testns::root(|| {
        let wanted = desired(include_str!("../../../../examples/firewall.yaml"));
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let isp = &wanted.state.namespaces[&wanted.nodes["isp"]];
        assert!(isp.routes.is_empty(), "{:?}", isp.routes);
        let net = Net::new(&wanted);
        net.serve("isp", &[80]);
        net.serve("web", &[22]);
        net.serve("gw", &[22]);
        let outer = from("192.0.2.2");
        for (from, to, expected) in [
            ("alice", "tcp/192.0.2.1:80", &outer),
            ("guest1", "tcp/192.0.2.1:80", &outer),
            ("guest1", "tcp/10.0.10.11:22", &Refused),
            ("isp", "tcp/192.0.2.2:2222", &from(ISP)),
            ("alice", "tcp/192.0.2.2:2222", &from("10.0.10.1")),
            ("alice", "tcp/10.0.10.1:22", &from("10.0.10.11")),
            ("guest1", "tcp/10.0.20.1:22", &Lost),
        ] {
            net.check(from, to, expected, "the example");
        }
        lab.down(&Down::default()).unwrap();
    });
}
