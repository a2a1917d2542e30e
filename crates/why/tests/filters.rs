//! Packet filters and address translation on paper, held against the kernel's.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::Lab;
use vnet::why::{Ask, Verdict};
use vnet_testns::sh;

fn nft(ns: &str, text: &str) {
    let text = text.replace(" }", "\n}");
    sh(&format!("ip netns exec {ns} nft -f - <<'END'\n{text}\nEND"));
}

/// Asks, and checks that the kernel says the same.
fn verdict(lab: &Lab, from: &str, to: &str) -> Verdict {
    let told = lab.why(from, to, &probing()).unwrap();
    assert!(!told.disagree(), "{}", shown(&told));
    assert_eq!(told.answer.verdict == Verdict::Reachable, replied(&told), "{}", shown(&told));
    assert_eq!(told.answer.causes.is_empty(), replied(&told), "{}", shown(&told));
    told.answer.verdict
}

/// What lets packets through is no cause of anything.
#[test]
fn filters_that_let_it_through_are_no_causes() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        nft(
            "r1",
            "table inet f {
               set good { type ipv4_addr; flags interval; elements = { 10.0.1.0/24, 10.7.0.1 }; }
               chain known { ip saddr @good accept; }
               chain c { type filter hook forward priority 0; policy drop;
                 ct state invalid drop
                 ct state established,related counter accept
                 iifname a oifname r2 meta l4proto icmp limit rate 10/second jump known }
               chain raw { type filter hook prerouting priority raw;
                 fib daddr type local counter accept; tcp dport 22 drop }
             }",
        );
        nft(
            "b",
            "table ip f { chain i { type filter hook input priority 0; policy drop;
               iif lo accept
               icmp type echo-request ip saddr 10.0.1.0/24 accept
               meta mark 7 drop }
               chain o { type filter hook output priority 0; ct direction original drop; } }",
        );
        assert_eq!(verdict(&lab, "a", "b"), Verdict::Reachable);
        // From there nothing may begin.
        assert_eq!(verdict(&lab, "b", "a"), Verdict::Unreachable);
        sh("ip netns exec b nft flush chain ip f o");
        assert_eq!(verdict(&lab, "b", "a"), Verdict::Unreachable);
        down(lab);
    });
}

/// Translation is done, and undone on the answer.
#[test]
fn addresses_are_translated_forth_and_back() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        // Nobody but r2 knows where a is.
        sh("ip -n b route del 10.0.1.0/24");
        assert_eq!(verdict(&lab, "a", "b"), Verdict::Unreachable);
        nft(
            "r1",
            "table ip n { chain p { type nat hook postrouting priority srcnat;
                            oifname r2 masquerade; } }
             table ip f { chain f { type filter hook forward priority 0; policy drop;
                            ip saddr 10.0.1.1 accept; ip daddr 10.0.1.1 accept; } }",
        );
        assert_eq!(verdict(&lab, "a", "b"), Verdict::Reachable);
        let told = lab.why("a", "b", &probing()).unwrap();
        let said = shown(&told);
        assert!(said.contains("its source becomes 10.0.2.1, by"), "{said}");
        assert!(said.contains("its destination becomes 10.0.1.1 again"), "{said}");
        // A server that has its address from a translation on the way.
        nft(
            "r2",
            "table ip n { chain p { type nat hook prerouting priority dstnat;
                            ip daddr 10.0.2.2 dnat to 10.0.3.2; } }",
        );
        assert_eq!(verdict(&lab, "a", "10.0.2.2"), Verdict::Reachable);
        // And one that a program's own packets are led to.
        nft(
            "a",
            "table ip n { chain o { type nat hook output priority -100;
                            ip daddr 192.0.2.1 dnat to 10.0.3.2; } }",
        );
        sh("ip -n a route add 192.0.2.0/24 via 10.0.1.2");
        assert_eq!(verdict(&lab, "a", "192.0.2.1"), Verdict::Reachable);
        down(lab);
    });
}

/// What is not modelled is said, and only where it could decide.
#[test]
fn what_can_not_be_evaluated_is_said() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let rule = "table ip f { chain f { type filter hook forward priority 0; ip id 3 drop; } }";
        nft("r1", rule);
        let told = lab.why("a", "b", &probing()).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
        assert_eq!(
            told.answer.unknown,
            [
                "r1, table ip f, chain f: a comparison with what is not known of the packet in `@nh,32,16 0x0003 drop`"
            ]
        );
        let map = "ip saddr . ip id vmap { 10.0.1.1 . 3 : drop }";
        nft("r1", &format!("flush chain ip f f\nadd rule ip f f {map}"));
        let told = lab.why("a", "b", &Ask::default()).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
        assert_eq!(
            told.answer.unknown,
            [
                "r1, table ip f, chain f: a map of verdicts with what is not known of the packet in `ip saddr . @nh,32,16 vmap { 10.0.1.1 . 0x00030000 : drop }`"
            ]
        );
        nft("r1", "flush chain ip f f\nadd rule ip f f ip id 3 counter");
        let told = lab.why("a", "b", &Ask::default()).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Reachable, "{}", shown(&told));
        down(lab);
    });
}

/// What statements without a verdict change counts for what is decided after them: as the kernel does it,
/// or it is said that it can't be told.
#[test]
fn what_statements_change_is_evaluated_or_said() {
    const RAW: &str = "chain p { type filter hook prerouting priority raw; notrack; };";
    let untold = |ns: &'static str, hook: &str, rules: &str| {
        (ns, format!("chain c {{ type filter hook {hook}; {rules}; }};"), None)
    };
    let told = |ns: &'static str, text: String, reached: bool| (ns, text, Some(reached));
    let hook = "chain c { type filter hook";
    let set = "set s { type ipv4_addr; flags dynamic; size 9; };";
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        let lab = up(&desired("chain"));
        let forward = format!("{hook} forward priority 0");
        let by_state = |addr: &str| {
            format!(
                "chain other {{ ip saddr {addr} drop; }}; {forward}; \
                 ct state vmap {{ established : accept, new : jump other }}; }};"
            )
        };
        for (ns, text, reached) in [
            told("r1", format!("{RAW} {forward}; ct state untracked drop; }};"), false),
            told(
                "r1",
                format!("{RAW} {forward}; ct state established,related,new drop; }};"),
                true,
            ),
            // Too late: it is tracked already.
            told("r1", format!("{forward}; notrack; ct state untracked drop; }};"), true),
            untold("r1", "prerouting priority 0", "ip ttl set 1"),
            untold("r1", "prerouting priority 0", "ip daddr set 10.1.4.2"),
            told("r1", format!("{forward}; ip dscp set cs1; ip daddr 10.0.9.9 drop; }};"), true),
            untold("r1", "forward priority 0; ip dscp set cs1", "ip dscp cs1 drop"),
            untold("b", "input priority 0", "limit rate 1/minute burst 1 packets accept; drop"),
            untold("b", "input priority 0", "limit rate over 1/minute burst 1 packets drop"),
            told(
                "b",
                format!(
                    "{set} {hook} input priority 0; add @s {{ ip saddr }}; ip saddr @s drop; }};"
                ),
                false,
            ),
            told(
                "b",
                format!(
                    "{set} {hook} input priority 0; add @s {{ ip saddr }}; ip daddr @s drop; }};"
                ),
                true,
            ),
            told(
                "r1",
                format!(
                    "{set} {forward}; add @s {{ ip daddr }}; ip saddr @s icmp type echo-reply drop; }};"
                ),
                false,
            ),
            told("r1", format!("{forward}; meta mark set 7; meta mark 7 drop; }};"), false),
            told("r1", format!("{forward}; meta mark set 7; meta mark 8 drop; }};"), true),
            told("b", format!("flags dormant; {hook} input priority 0; drop; }};"), true),
            // One less than it began with, and then two.
            told("r1", format!("{forward}; ip ttl 63 drop; }};"), false),
            told("r1", format!("{forward}; ip ttl != {{ 62, 63 }} drop; }};"), true),
            told("b", format!("{hook} input priority 0; ip ttl < 63 drop; }};"), false),
            told("b", format!("{hook} input priority 0; ip ttl < 62 drop; }};"), true),
            told(
                "r1",
                format!("{forward}; icmp type vmap {{ 8 : accept, 0 : drop }}; drop; }};"),
                false,
            ),
            told("r1", by_state("10.0.1.1"), false),
            told("r1", by_state("10.0.1.2"), true),
            told(
                "r1",
                format!(
                    "{forward}; ip saddr . ip daddr {{ 10.0.1.1 . 10.0.3.1-10.0.3.9 }} drop; }};"
                ),
                false,
            ),
            told(
                "r1",
                format!(
                    "{forward}; ip saddr . ip daddr {{ 10.0.1.2-10.0.1.9 . 10.0.3.0/24 }} drop; }};"
                ),
                true,
            ),
            told(
                "r1",
                format!(
                    "{forward}; meta l4proto . ip saddr vmap {{ icmp . 10.0.1.1 : drop }}; }};"
                ),
                false,
            ),
            told(
                "r1",
                format!(
                    "map m {{ type ipv4_addr : verdict; flags interval; elements = {{ 10.0.1.0/24 : accept, * : drop }}; }}; \
                     {forward}; ip saddr vmap @m; }};"
                ),
                false,
            ),
            told(
                "r1",
                format!(
                    "{forward}; meta mark set ip saddr map {{ 10.0.1.1 : 7, 10.0.1.2 : 8 }}; meta mark 7 drop; }};"
                ),
                false,
            ),
            told(
                "r1",
                                "chain n { type nat hook prerouting priority -100; dnat to ip daddr map { 10.0.3.9 : 10.0.3.2, 10.0.3.1 : 10.0.3.1 }; };"
                .to_owned(),
                true,
            ),
        ] {
            sh(&format!("ip netns exec {ns} nft 'table ip t {{ {text} }}'"));
            let shown = |told: &vnet::why::Told| format!("{text}: {}", shown(told));
            let told = lab.why("a", "b", &Ask { probe: reached.is_some(), ..probing() }).unwrap();
            match reached {
                None => assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told)),
                Some(reached) => {
                    assert_eq!(
                        (
                            is_well(&told),
                            replied(&told),
                            told.answer.verdict == Verdict::Unreachable
                        ),
                        (reached, reached, !reached),
                        "{}",
                        shown(&told)
                    );
                }
            }
            sh(&format!("ip netns exec {ns} nft delete table ip t"));
        }
        // What a program sends is routed again where a chain of that type marks it, and else it is not.
        sh("ip -n a rule add fwmark 7 prohibit");
        for (kind, reached) in [("route", false), ("filter", true)] {
            let chain =
                format!("chain c {{ type {kind} hook output priority -150; meta mark set 7; }};");
            sh(&format!("ip netns exec a nft 'table ip t {{ {chain} }}'"));
            let told = lab.why("a", "b", &probing()).unwrap();
            assert_eq!((is_well(&told), replied(&told)), (reached, reached), "{}", shown(&told));
            sh("ip netns exec a nft delete table ip t");
        }
        down(lab);
    });
}

/// What can't be told on paper the packet that is sent may tell: who drops it is at fault, and what was
/// only in doubt is not where the answer comes.
#[test]
fn the_packet_that_is_sent_settles_what_can_not_be_told() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let chain = "chain d { meta pkttype host drop; }; \
                     chain c { type filter hook input priority 0; jump d; };";
        sh(&format!("ip netns exec b nft 'table inet f {{ {chain} }}'"));
        let told = lab.why("a", "b", &probing()).unwrap();
        let [cause] = &told.answer.causes[..] else { panic!("{}", shown(&told)) };
        assert_eq!((told.answer.verdict, cause.code), (Verdict::Unreachable, "filter-drop"));
        assert!(cause.object.contains("chain d of table inet f on b"), "{}", shown(&told));
        mend(&told);
        let told = lab.why("a", "b", &probing()).unwrap();
        assert!(replied(&told) && told.answer.causes.is_empty(), "{}", shown(&told));
        sh("ip netns exec b nft delete table inet f; ip -n a rule add tun_id 5 prohibit");
        let told = lab.why("a", "b", &probing()).unwrap();
        assert!(replied(&told) && told.answer.causes.is_empty(), "{}", shown(&told));
        assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
        down(lab);
    });
}

/// Without a kernel nobody knows which rules a text of nft's makes.
#[test]
fn what_a_text_of_nfts_does_is_not_known_without_a_kernel() {
    let file = "name: raw\nnetns: $node\nnodes:\n  a:\n  b: { nftables: \"table inet q { chain c { \
                type filter hook input priority 0; icmp type echo-request drop; }; }\" }\nlinks:\n  \
                - { endpoints: { a: 10.0.1.1/24, b: 10.0.1.2/24 } }\n";
    let desired = common::of_text(file);
    let told = vnet::why::on_paper(&desired, "a", "b", &Ask::default()).unwrap();
    assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
    assert!(told.answer.unknown[0].starts_with("b filters packets by `nftables:`"));
}

/// What a node's own text of nft's drops is mended in that text, and no table is taken away for it.
#[test]
fn what_a_text_of_nfts_drops_is_no_table_to_take_away() {
    vnet_testns::root(|| {
        let text = |rule: &str, policy: &str| {
            common::of_text(&format!(
                "name: raw\nnetns: $node\nnodes:\n  a:\n  b:\n    nftables: |\n      table inet q {{\n        \
                 chain c {{\n          type filter hook input priority 0; {policy}\n          {rule}\n        \
                 }}\n      }}\nlinks:\n  - {{ endpoints: {{ a: 10.0.1.1/24, b: 10.0.1.2/24 }} }}\n"
            ))
        };
        let lines = [
            ("icmp type echo-request drop", "policy accept;"),
            ("tcp dport 80 accept", "policy drop;"),
        ];
        for (rule, policy) in lines {
            let lab = up(&text(rule, policy));
            // The policy drops ARP of neither family here.
            let told = lab.why("a", "b", &probing()).unwrap();
            let cause = &told.answer.causes[0];
            let text = shown(&told);
            assert!(cause.object.contains("table inet q on b"), "{text}");
            assert!(!text.contains("delete table"), "{text}");
            mend(&told);
            let told = lab.why("a", "b", &probing()).unwrap();
            assert!(replied(&told) && told.answer.causes.is_empty(), "{}", shown(&told));
            down(lab);
        }
    });
}

/// Where nothing is sent, a rule that can't be evaluated hides no filter behind it.
#[test]
fn what_can_t_be_evaluated_hides_no_filter() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        sh("ip -n a rule add tun_id 5 prohibit
            ip netns exec r1 nft 'table inet f { chain c { type filter hook forward priority 0; ip daddr 10.0.3.2 drop; }; }'");
        let told = lab.why("a", "b", &Ask { probe: false, ..probing() }).unwrap();
        let codes: Vec<&str> = told.answer.causes.iter().map(|cause| cause.code).collect();
        assert_eq!(codes, ["rule-astray", "filter-drop"], "{}", shown(&told));
        assert!(told.answer.unknown[0].contains("policy rule that can't be evaluated"));
        down(lab);
    });
}

/// What bridges and single interfaces let through is no cause of anything.
#[test]
fn filters_of_frames_that_let_it_through_are_no_causes() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        let mac = "ip netns exec pc1 cat /sys/class/net/lan/address";
        sh(&format!(
            "ip netns exec lan nft -f - <<END
             table bridge f {{
               set macs {{ type ether_addr; elements = {{ $({mac}), 02:00:00:00:00:99 }}
               }}
               chain ours {{ ether saddr @macs counter return
                 iifname {{ pc2, pc3 }} accept
                 drop
               }}
               chain p {{ type filter hook prerouting priority -300; policy drop
                 # Whoever was asked by it need not ask.
                 iifname pc2 arp operation request drop
                 meta protocol arp arp htype 1 arp operation {{ request, reply }} accept
                 ether daddr ff:ff:ff:ff:ff:ff drop
                 meta pkttype != other drop
                 vlan id 5 drop
                 jump ours
                 meta mark 0 meta l4proto icmp accept
               }}
               chain f {{ type filter hook forward priority 0; policy drop
                 icmp type echo-request ip saddr 10.0.0.2 oifname pc2 log limit rate 9/second accept
                 icmp type echo-reply oifname pc1 accept
                 arp daddr ip 10.0.0.0/24 accept
               }}
               chain i {{ type filter hook input priority 0; policy drop
               }}
             }}
             table netdev d {{
               chain i {{ type filter hook ingress devices = {{ pc1, pc2 }} priority 0; policy drop
                 iifname pc1 ip daddr 10.0.0.3 accept
                 iifname pc2 ether type ip accept
                 ether type arp accept
               }}
               chain e {{ type filter hook egress device pc2 priority 0
                 iifname pc1 drop
                 oifname pc2 meta protocol ip6 drop
               }}
             }}
END"
        ));
        assert_eq!(verdict(&lab, "pc1", "pc2"), Verdict::Reachable);
        // Who is in no rule of theirs.
        assert_eq!(verdict(&lab, "pc3", "pc1"), Verdict::Unreachable);
        assert_eq!(verdict(&lab, "pc1", "2001:db8::3"), Verdict::Unreachable);
        down(lab);
    });
}

/// What bridges pass on comes to chains of IP too where the kernel has `br_netfilter`, as a machine with
/// Docker does: as by the bridge, of IPv6 with what looks for neighbours, and once where it is for the
/// bridge's own namespace.
#[test]
fn what_bridges_hand_to_chains_of_ip_is_evaluated() {
    vnet_testns::root(|| {
        if !std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
            vnet_testns::skip("the kernel has no br_netfilter");
        }
        let lab = up(&desired("lan"));
        let rules = |hook: &str, rules: &str| {
            let chain = format!("chain c {{ type filter hook {hook} priority 0; {rules}; }};");
            sh(&format!(
                "ip netns exec lan nft 'add table inet f; delete table inet f; table inet f {{ {chain} }}'"
            ));
        };
        for (hook, text, [v4, v6]) in [
            ("forward", "icmp type echo-request drop", [false, true]),
            ("forward", "iifname lan oifname lan meta l4proto ipv6-icmp drop", [true, false]),
            ("forward", "iifname { pc1, pc2 } drop", [true, true]),
            ("forward", "icmpv6 type nd-neighbor-solicit drop", [true, false]),
            (
                "forward",
                "policy drop; ct state established accept; ip saddr 10.0.0.2 accept",
                [true, false],
            ),
            ("prerouting", "iifname lan ip daddr 10.0.0.3 drop", [false, true]),
            ("postrouting", "oifname lan iifname != lan icmp type echo-reply drop", [false, true]),
            ("input", "drop", [true, true]),
        ] {
            rules(hook, text);
            for (to, reached) in [("10.0.0.3", v4), ("2001:db8::3", v6)] {
                // Who was asked before need not be asked.
                sh("for it in pc1 pc2; do ip -n $it neigh flush all; done");
                let told = lab.why("pc1", to, &probing()).unwrap();
                assert_eq!(
                    (is_well(&told), replied(&told)),
                    (reached, reached),
                    "{text}: {}",
                    shown(&told)
                );
                if !reached {
                    assert!(told.answer.causes[0].object.contains("on lan"), "{}", shown(&told));
                    mend(&told);
                    let told = lab.why("pc1", to, &probing()).unwrap();
                    assert!(is_well(&told) && replied(&told), "{text}, mended: {}", shown(&told));
                }
            }
        }
        // Nothing is handed to them where that is off.
        rules("forward", "policy drop");
        sh(
            "ip netns exec lan sh -c 'cd /proc/sys/net/bridge; echo 0 >bridge-nf-call-iptables; echo 0 >bridge-nf-call-ip6tables'",
        );
        for to in ["10.0.0.3", "2001:db8::3"] {
            let told = lab.why("pc1", to, &probing()).unwrap();
            assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        }
        down(lab);
    });
}

/// What rules of frames load that is not known makes a doubt, and no verdict.
#[test]
fn what_can_not_be_evaluated_of_frames_is_said() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        let cases = [
            ("forward priority 0", "ip id 3 drop", "a comparison with what is not known"),
            ("prerouting priority 0", "ip id vmap { 3 : accept }", "a map of verdicts"),
            ("prerouting priority 0", "notrack", "`notrack`"),
            ("forward priority 0", "ether daddr set 02:00:00:00:00:09", "`payload`"),
        ];
        for (hook, rule, said) in cases {
            let chain = format!("chain c {{ type filter hook {hook}; {rule}; }};");
            sh(&format!("ip netns exec lan nft 'table bridge f {{ {chain} }}'"));
            let told = lab.why("pc1", "pc2", &Ask::default()).unwrap();
            let unknown = told.answer.unknown.join("; ");
            assert_eq!(told.answer.verdict, Verdict::Unknown, "{rule}: {}", shown(&told));
            assert!(unknown.contains(said), "{rule}: {unknown}");
            sh("ip netns exec lan nft delete table bridge f");
        }
        down(lab);
    });
}
