//! Ipvlans on an interface of another namespace, as real packets find them: in all modes and with all flags,
//! over IPv4 and IPv6, on an interface of a VRF.
//!
//! ```text
//!  c ── sw ── h:sw, and on it a:mv (10.0.0.11) and b:mv (10.0.0.12)
//! ```

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::time::Duration;

use common::beside::{ask, codes, stand, until};
use common::{desired, down, is_well, mend, replied, shown, up};
use vnet::why::{By, Verdict};
use vnet_testns::sh;

/// Ipvlans of mode `l3` are routed in h, whose filters see what they send; what comes in for them in
/// mode `l3s` alone.
#[test]
fn vm_ipvlans_are_routed_in_the_namespace_below() {
    vnet_testns::root_within(Duration::from_secs(400), || {
        vnet_testns::requires(&["ipvlan", "nft", "nft-ct", "nft-nat"]);
        for mode in ["l3", "l3s"] {
            let lab = up(&desired("hairpin"));
            stand([&format!("ipvlan mode {mode}"), &format!("ipvlan mode {mode}")]);
            for (ns, last) in [("a", 11), ("b", 12)] {
                sh(&format!(
                    "ip -n {ns} addr add 10.1.0.{last}/24 dev mv
                     ip -n {ns} route add default dev mv"
                ));
            }
            // Next to each other, and out; nobody answers for them by ARP.
            until(&lab, ["a", "10.1.0.12"], &[]);
            mend(&until(&lab, ["c", "10.0.0.11"], &["ipvlan-no-arp"]));
            until(&lab, ["c", "10.0.0.11"], &[]);
            until(&lab, ["a", "c"], &[]);
            // From another subnet, by the route that c has.
            until(&lab, ["c", "10.1.0.12"], &[]);
            mend(&until(&lab, ["c", "10.0.0.12"], &["ipvlan-no-arp"]));
            // What they stand on may be reached, but does not find back.
            let told = ask(&lab, ["a", "10.0.0.1"]);
            assert!(!told.disagree() && !replied(&told), "{mode}: {}", shown(&told));
            assert_eq!(codes(&told), ["ipvlan-no-arp"], "{mode}: {}", shown(&told));
            let told = until(&lab, ["h", "10.0.0.11"], &["ipvlan-no-arp"]);
            assert!(told.answer.causes[0].mend.is_empty(), "{mode}: {}", shown(&told));
            sh("ip -n b link set dev mv down");
            mend(&until(&lab, ["c", "10.0.0.12"], &["interface-down"]));
            until(&lab, ["c", "10.0.0.12"], &[]);
            // The filters of the namespace below.
            let table = |chain: &str, rule: &str| {
                sh(&format!(
                    "ip netns exec h nft 'table ip t {{ chain c {{ {chain}; {rule}; }}; }}'"
                ));
            };
            table("type filter hook output priority 0", "ip daddr 10.0.0.2 drop");
            until(&lab, ["a", "c"], &["filter-drop"]);
            sh("ip netns exec h nft delete table ip t");
            table("type filter hook input priority 0", "ip daddr 10.1.0.0/24 drop");
            let dropped: &[&str] = if mode == "l3s" { &["filter-drop"] } else { &[] };
            until(&lab, ["c", "10.1.0.11"], dropped);
            sh("ip netns exec h nft delete table ip t");
            // An answer to what was translated below comes back in mode l3s alone.
            sh("ip -n c route del 10.0.0.11");
            table("type nat hook postrouting priority 100", "ip saddr 10.0.0.0/24 masquerade");
            let told = ask(&lab, ["a", "c"]);
            assert!(!told.disagree(), "{mode}: {}", shown(&told));
            assert_eq!(replied(&told), mode == "l3s", "{mode}: {}", shown(&told));
            assert_eq!(is_well(&told), mode == "l3s", "{mode}: {}", shown(&told));
            down(lab);
        }
    });
}

/// Nobody answers neighbour solicitations for them; by way of h they are reached over IPv6 too, and its
/// routes lead on what they send: by whatever interface.
#[test]
fn vm_ipv6_comes_to_routed_ipvlans_by_way_of_the_interface_below() {
    vnet_testns::root_within(Duration::from_secs(400), || {
        vnet_testns::requires(&["ipvlan", "nft"]);
        for mode in ["l3", "l3s"] {
            let lab = up(&desired("below-v6"));
            stand([&format!("ipvlan mode {mode}"), &format!("ipvlan mode {mode}")]);
            for (ns, addr, dev) in [("a", "2001:db8::11", "mv"), ("b", "2001:db8::12", "mv")] {
                sh(&format!("ip -n {ns} addr add {addr}/64 dev {dev} nodad"));
            }
            sh("ip -n a route add default dev mv
                ip -n a -6 route add default dev mv");
            until(&lab, ["a", "2001:db8::12"], &[]);
            until(&lab, ["b", "2001:db8::2"], &["ipvlan-no-arp"]);
            mend(&until(&lab, ["c", "2001:db8::11"], &["ipvlan-no-arp"]));
            until(&lab, ["c", "2001:db8::11"], &[]);
            until(&lab, ["a", "2001:db8::2"], &[]);
            // By h's other interface: that it stands on this one is only a preference.
            until(&lab, ["a", "2001:db8:1::2"], &[]);
            sh("ip -n h -6 route del 2001:db8:1::/64 dev alt");
            let told = ask(&lab, ["a", "2001:db8:1::2"]);
            assert_eq!(
                (told.answer.verdict, replied(&told)),
                (Verdict::Unreachable, false),
                "{}",
                shown(&told)
            );
            // The filters of the namespace below, which what looks for a neighbour passes too.
            let table = |chain: &str, rule: &str| {
                sh(&format!(
                    "ip netns exec h nft 'table ip6 t {{ chain c {{ {chain}; {rule}; }}; }}'"
                ));
            };
            table(
                "type filter hook output priority 0",
                "ip6 daddr 2001:db8::2 icmpv6 type echo-request drop",
            );
            until(&lab, ["a", "2001:db8::2"], &["filter-drop"]);
            sh("ip netns exec h nft delete table ip6 t");
            table(
                "type filter hook input priority 0",
                "ip6 daddr 2001:db8::11 icmpv6 type echo-request drop",
            );
            let dropped: &[&str] = if mode == "l3s" { &["filter-drop"] } else { &[] };
            until(&lab, ["c", "2001:db8::11"], dropped);
            down(lab);
        }
    });
}

/// What the flags of an interface let pass between its ipvlans, with a switch that sends frames back and
/// with one that does not.
#[test]
fn vm_flags_keep_ipvlans_apart() {
    vnet_testns::root_within(Duration::from_secs(600), || {
        vnet_testns::requires(&["ipvlan"]);
        let lab = up(&desired("hairpin"));
        sh("ip -n c route add 10.0.0.11 via 10.0.0.1
            ip -n c route add 10.0.0.12 via 10.0.0.1");
        stand(["ipvlan mode l2", "ipvlan mode l2"]);
        for hairpin in ["off", "on"] {
            sh(&format!("ip -n sw link set dev h type bridge_slave hairpin {hairpin}"));
            for mode in ["l2", "l3", "l3s"] {
                for flag in ["bridge", "private", "vepa"] {
                    sh(&format!("ip -n a link set dev mv type ipvlan mode {mode} {flag}"));
                    let beside: &[&str] = match (mode, flag, hairpin) {
                        (_, "bridge", _) | ("l2", "vepa", "on") => &[],
                        ("l2", "vepa", _) => &["hairpin-off"],
                        _ => &["ipvlan-apart"],
                    };
                    for ends in [["a", "10.0.0.12"], ["b", "10.0.0.11"]] {
                        let told = until(&lab, ends, beside);
                        if !beside.contains(&"ipvlan-apart") {
                            continue;
                        }
                        mend(&told);
                        until(&lab, ends, &[]);
                        sh(&format!("ip -n a link set dev mv type ipvlan mode {mode} {flag}"));
                    }
                    // The world they reach in any case, what they stand on by such a switch alone.
                    for ends in [["a", "c"], ["c", "10.0.0.12"]] {
                        until(&lab, ends, &[]);
                    }
                    let below: &[&str] = if hairpin == "on" { &[] } else { &["hairpin-off"] };
                    for ends in
                        [["a", "h"], ["h", "10.0.0.11"]].into_iter().filter(|_| mode == "l2")
                    {
                        until(&lab, ends, below);
                    }
                }
            }
        }
        down(lab);
    });
}

/// On a port of a VRF: what stands there shares its wire all the same, what is routed there is routed in the
/// VRF, and what comes in in mode `l3s` is the VRF's.
#[test]
fn vm_what_stands_on_a_port_of_a_vrf_is_told() {
    vnet_testns::root_within(Duration::from_secs(600), || {
        vnet_testns::requires(&["ipvlan", "macvlan", "vrf", "nft", "nft-ct"]);
        for kind in ["macvlan mode bridge", "ipvlan mode l2", "ipvlan mode l3", "ipvlan mode l3s"] {
            let lab = up(&desired("below-vrf"));
            stand([kind, kind]);
            sh("ip -n c addr add 10.9.0.1/32 dev lo
                ip -n a route add 10.9.0.0/24 dev mv");
            if !kind.contains("l3") {
                sh("ip -n c route del 10.0.0.11 via 10.0.0.1");
            }
            until(&lab, ["a", "10.0.0.12"], &[]);
            if kind.ends_with("l3s") {
                for ends in [["a", "10.0.0.2"], ["c", "10.0.0.11"]] {
                    until(&lab, ends, &["ipvlan-vrf"]);
                }
                mend(&ask(&lab, ["c", "10.0.0.11"]));
            }
            until(&lab, ["c", "10.0.0.11"], &[]);
            until(&lab, ["a", "10.0.0.2"], &[]);
            if kind.contains("l3") {
                // Only the VRF's table is asked, and nothing is looked for on the link without a route.
                let told = ask(&lab, ["a", "10.9.0.1"]);
                let stop = told.answer.forth.last().map(|hop| (hop.node.as_str(), hop.by));
                assert_eq!(stop, Some(("h", By::Stop)), "{}", shown(&told));
                assert_eq!(told.answer.verdict, Verdict::Unreachable, "{}", shown(&told));
                assert!(!replied(&told), "{}", shown(&told));
                sh("ip -n h route add 10.9.0.1/32 dev sw table 10");
                until(&lab, ["a", "10.9.0.1"], &[]);
                // What leaves by the VRF passes the filters for that first, and no conntrack.
                for (rule, dropped) in [
                    ("oifname red ct state untracked drop", true),
                    ("oifname red ct state new drop", false),
                    ("oifname sw ct state new drop", true),
                ] {
                    sh(&format!(
                        "ip netns exec h nft 'table ip t {{ chain c {{ \
                            type filter hook output priority 0; {rule}; }}; }}'"
                    ));
                    let wanted: &[&str] = if dropped { &["filter-drop"] } else { &[] };
                    until(&lab, ["a", "10.0.0.2"], wanted);
                    sh("ip netns exec h nft delete table ip t");
                }
            }
            down(lab);
        }
    });
}
