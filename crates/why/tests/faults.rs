//! A catalogue of faults: each is done to a lab on the real kernel, must be named, and what is
//! suggested must mend it.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::why::{Ask, Verdict};
use vnet_testns::sh;

/// A fault: the lab, who asks whom, what is done, and which causes must be named, in this order.
struct Fault {
    lab: &'static str,
    ends: [&'static str; 2],
    size_bytes: Option<u32>,
    damage: &'static str,
    causes: &'static [(&'static str, &'static str)],
}

const fn fault(
    lab: &'static str,
    ends: [&'static str; 2],
    damage: &'static str,
    causes: &'static [(&'static str, &'static str)],
) -> Fault {
    Fault { lab, ends, size_bytes: None, damage, causes }
}

const fn sized(
    lab: &'static str,
    ends: [&'static str; 2],
    size: u32,
    damage: &'static str,
    causes: &'static [(&'static str, &'static str)],
) -> Fault {
    Fault { size_bytes: Some(size), ..fault(lab, ends, damage, causes) }
}

/// The command that makes a table with one chain `c` and a rule in it: the namespace, the table, what
/// else is in the table, the chain's kind, the rule.
macro_rules! nft {
    ($ns:literal, $table:literal, $chain:literal, $rule:literal) => {
        nft!($ns, $table, "", $chain, $rule)
    };
    ($ns:literal, $table:literal, $more:literal, $chain:literal, $rule:literal) => {
        concat!(
            "ip netns exec ",
            $ns,
            " nft 'table ",
            $table,
            " { ",
            $more,
            " chain c { ",
            $chain,
            " ",
            $rule,
            "; }; }'; "
        )
    };
}

const V6B: &str = "2001:db8:3::2";

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    // Links and interfaces.
    fault("chain", ["a", "a"], "ip -n a link set dev lo down", &[("lo-down", "a:lo")]),
    fault("chain", ["a", "2001:db8:1::1"], "ip -n a link set dev lo down", &[("lo-down", "a:lo")]),
    fault("chain", ["a", "b"], "ip -n a link set dev r1 down", &[("interface-down", "a:r1")]),
    fault("chain", ["a", V6B], "ip -n a link set dev r1 down", &[("interface-down", "a:r1")]),
    fault("chain", ["a", "b"], "ip -n r1 link set dev a down", &[("peer-down", "r1:a")]),
    fault("chain", ["a", V6B], "ip -n r1 link set dev a down", &[("peer-down", "r1:a")]),
    fault("chain", ["a", "b"], "ip -n r1 link set dev r2 down", &[("interface-down", "r1:r2")]),
    fault("chain", ["a", "b"], "ip -n b link set dev r2 down", &[("peer-down", "b:r2")]),
    fault("chain", ["a", V6B], "ip -n b link set dev r2 down", &[("peer-down", "b:r2")]),
    fault("chain", ["a", "b"], "ip -n r1 link del dev r2", &[("interface-missing", "r1:r2")]),
    fault("chain", ["a", "b"], "ip -n a link del dev r1", &[("interface-missing", "a:r1")]),
    fault("chain", ["a", "b"], "ip -n b link set dev r2 netns a", &[("interface-missing", "b:r2")]),
    // Bridges.
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev pc2 nomaster", &[("not-a-port", "lan:pc2")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev pc1 nomaster", &[("not-a-port", "lan:pc1")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev pc2 down", &[("port-down", "lan:pc2")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev pc1 down", &[("port-down", "lan:pc1")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev lan down", &[("bridge-down", "lan:lan")]),
    fault("lan", ["pc1", "pc2"], "ip -n pc2 link set dev lan down", &[("peer-down", "pc2:lan")]),
    fault("lan", ["pc1", "2001:db8::3"], "ip -n lan link set dev lan down", &[("bridge-down", "lan:lan")]),
    fault("plain", ["a", "b"],
        "ip -n a addr add 10.0.2.9/24 dev eth0; ip -n b route add 10.0.1.0/24 dev eth0;
         ip -n a link add br0 type bridge; ip -n a link set dev br0 up; ip -n a link set dev eth0 master br0",
        &[("address-on-port", "a:eth0")]),
    // Addresses.
    fault("chain", ["a", "b"], "ip -n a addr del 10.0.1.1/24 dev r1", &[("address-missing", "10.0.1.1/24 on a:r1")]),
    fault("chain", ["a", "b"], "ip -n b addr del 10.0.3.2/24 dev r2", &[("address-missing", "10.0.3.2/24 on b:r2")]),
    fault("chain", ["a", V6B], "ip -n b addr del 2001:db8:3::2/64 dev r2", &[("address-missing", "2001:db8:3::2/64 on b:r2")]),
    fault("chain", ["a", "b"], "ip -n r1 addr del 10.0.1.2/24 dev a", &[("address-missing", "10.0.1.2/24 on r1:a")]),
    fault("chain", ["a", "b"], "ip -n a addr add 10.0.3.2/32 dev lo", &[("duplicate-address", "10.0.3.2 on a")]),
    fault("chain", ["a", "b"], "ip -n r1 addr add 10.0.3.2/32 dev lo", &[("duplicate-address", "10.0.3.2 on r1")]),
    fault("chain", ["a", "b"], "ip -n b addr add 10.0.1.1/32 dev lo", &[("duplicate-address", "10.0.1.1 on b")]),
    fault("lan", ["pc1", "pc2"], "ip -n pc3 addr add 10.0.0.3/24 dev lan", &[("duplicate-address", "10.0.0.3 on pc3")]),
    fault("chain", ["a", "b"], "ip -n a addr add 10.0.1.1/8 dev r1; ip -n a route del 10.0.3.0/24", &[("no-route", "10.0.3.0/24")]),
    fault("lan", ["pc1", "pc2"], "ip -n pc1 addr del 10.0.0.2/24 dev lan; ip -n pc1 addr add 10.0.0.2/32 dev lan",
        &[("wrong-mask", "10.0.0.2/32 on pc1:lan")]),
    fault("lan", ["srv", "pc1"], "ip -n pc1 addr del 10.0.0.2/24 dev lan; ip -n pc1 addr add 10.0.0.2/8 dev lan",
        &[("wrong-mask", "10.0.0.2/8 on pc1:lan")]),
    fault("bare", ["b", "a"], "true", &[("no-address", "b")]),
    fault("plain", ["a", "b"], "true", &[("different-subnets", "a:eth0"), ("different-subnets", "b:eth0")]),
    fault("plain", ["a", "b"], "ip -n a route add 10.0.2.0/24 dev eth0", &[("different-subnets", "b:eth0")]),
    fault("lan", ["pc1", "10.0.0.255"], "ip -n pc2 addr add 10.0.0.255/24 dev lan", &[("broadcast-address", "10.0.0.255 on pc2")]),
    fault("lan", ["pc1", "10.0.0.77"], "true", &[("no-such-address", "10.0.0.77")]),
    fault("chain", ["a", V6B], "sysctl -qw net.ipv6.conf.r1.disable_ipv6=1 2>/dev/null || true; ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv6/conf/r1/disable_ipv6'",
        &[("ipv6-off", "a:r1")]),
    fault("chain", ["a", V6B], "ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv6/conf/r2/disable_ipv6'", &[("ipv6-off", "b:r2")]),
    fault("chain", ["a", V6B], "ip -n r1 link set dev r2 mtu 1000", &[("ipv6-off", "r1:r2")]),
    // Routes.
    fault("chain", ["a", "b"], "ip -n a route del 10.0.3.0/24", &[("no-route", "10.0.3.0/24 via 10.0.1.2 dev r1 in a")]),
    fault("chain", ["a", "b"], "ip -n r1 route del 10.0.3.0/24", &[("no-route", "10.0.3.0/24 via 10.0.2.2 dev r2 in r1")]),
    fault("chain", ["a", "b"], "ip -n b route del 10.0.1.0/24", &[("no-route-back", "10.0.1.0/24 via 10.0.3.1 dev r2 in b")]),
    fault("chain", ["a", "b"], "ip -n r2 route del 10.0.1.0/24", &[("no-route-back", "10.0.1.0/24 via 10.0.2.1 dev r1 in r2")]),
    fault("chain", ["a", V6B], "ip -n b -6 route del 2001:db8:1::/64", &[("no-route-back", "2001:db8:1::/64")]),
    fault("lan", ["srv", "10.9.1.1"], "true", &[("no-such-address", "10.9.1.1")]),
    fault("chain", ["a", "b"], "ip -n a route replace 10.0.3.0/24 via 10.0.1.77 dev r1 proto static", &[("wrong-gateway", "10.0.1.77")]),
    fault("lan", ["pc1", "srv"], "ip -n pc1 route replace default via 10.0.0.4 dev lan proto static", &[("wrong-gateway", "via 10.0.0.4")]),
    fault("lan", ["pc1", "srv"], "ip -n pc1 route replace default via 10.66.0.1 dev lan onlink proto static", &[("wrong-gateway", "10.66.0.1")]),
    fault("chain", ["a", "b"], "ip -n r1 route replace blackhole 10.0.3.0/24", &[("blackhole-route", "in r1")]),
    fault("chain", ["a", "b"], "ip -n r1 route add blackhole 10.0.3.2", &[("blackhole-route", "10.0.3.2 in r1")]),
    fault("chain", ["a", "b"], "ip -n a route add prohibit 10.0.3.0/25", &[("prohibit-route", "10.0.3.0/25 in a")]),
    fault("chain", ["a", "b"], "ip -n r2 route add unreachable 10.0.1.1", &[("unreachable-route", "10.0.1.1 in r2")]),
    fault("chain", ["a", "b"], "ip -n a route replace throw 10.0.3.0/24", &[("throw-route", "in a")]),
    fault("chain", ["a", V6B], "ip -n r1 -6 route add blackhole 2001:db8:3::2/128", &[("blackhole-route", "in r1")]),
    fault("chain", ["a", "b"], "ip -n r1 route add 10.0.3.2/32 via 10.0.1.1 dev a", &[("route-astray", "10.0.3.2 via 10.0.1.1 dev a in r1")]),
    fault("square", ["a", "10.1.3.2"], "ip -n a route add 10.1.3.2/32 via 10.1.2.2 dev r; ip -n r route add 10.1.3.0/24 via 10.1.2.1", &[("route-astray", "10.1.3.2 via 10.1.2.2 dev r in a")]),
    fault("square", ["a", "10.1.3.2"],
        "ip -n a route replace 10.1.3.0/24 proto static nexthop via 10.1.1.2 dev l nexthop via 10.1.2.9 dev r",
        &[("wrong-leg", "in a")]),
    fault("chain", ["a", "b"], "ip -n a addr add 10.5.5.5/32 dev lo; ip -n a route replace 10.0.3.0/24 via 10.0.1.2 dev r1 proto static src 10.5.5.5", &[("wrong-source", "src 10.5.5.5 in a")]),
    fault("chain", ["a", "10.0.1.2"], "ip -n a route del 10.0.1.0/24", &[("connected-route-missing", "10.0.1.0/24")]),
    // Policy rules.
    fault("chain", ["a", "b"], "ip -n r1 rule del pref 32766; ip -n r1 rule add pref 32766 lookup 77", &[("rule-to-empty-table", "table 77 priority 32766 in r1")]),
    fault("chain", ["a", "b"], "ip -n r1 rule add pref 100 goto 32767", &[("rule-to-empty-table", "goto 32767 priority 100 in r1")]),
    fault("chain", ["a", "b"], "ip -n r2 rule add from 10.0.3.2 pref 100 goto 32767", &[("rule-to-empty-table", "from 10.0.3.2 goto 32767 priority 100 in r2")]),
    fault("chain", ["a", "b"], "ip -n a rule add to 10.0.3.0/24 pref 50 prohibit", &[("rule-refuses", "to 10.0.3.0/24 prohibit priority 50 in a")]),
    fault("chain", ["a", "b"], "ip -n r2 rule add from 10.0.3.2 blackhole", &[("rule-refuses", "from 10.0.3.2 blackhole")]),
    fault("chain", ["a", "b"], "ip -n r1 rule add iif a ipproto icmp pref 9 unreachable", &[("rule-refuses", "iif a ipproto 1 unreachable priority 9 in r1")]),
    fault("chain", ["a", "b"], "ip -n a rule add not from 10.9.0.0/16 pref 10 blackhole", &[("rule-refuses", "not from 10.9.0.0/16 blackhole priority 10 in a")]),
    fault("chain", ["a", V6B], "ip -n r1 -6 rule add to 2001:db8:3::/64 pref 10 prohibit", &[("rule-refuses", "to 2001:db8:3::/64 prohibit priority 10 in r1")]),
    fault("chain", ["a", "b"], "ip -n r1 rule add pref 10 lookup 77; ip -n r1 route add 10.0.3.0/24 via 10.0.1.1 dev a table 77", &[("rule-astray", "table 77 priority 10 in r1")]),
    fault("chain", ["a", "b"], "ip -n r1 rule add iif a pref 10 lookup 77; ip -n r1 route add blackhole default table 77", &[("rule-astray", "iif a table 77 priority 10 in r1")]),
    fault("chain", ["a", "b"], "ip -n b rule del pref 0", &[("rule-missing", "table local priority 0 in b")]),
    fault("chain", ["a", "b"], "ip -n r2 rule del pref 32766", &[("rule-missing", "table main priority 32766 in r2")]),
    // Routers.
    fault("chain", ["a", "b"], "ip netns exec r1 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/a/forwarding'", &[("forwarding-off", "r1:a")]),
    fault("chain", ["a", "b"], "ip netns exec r2 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/b/forwarding'", &[("forwarding-off", "r2:b")]),
    fault("chain", ["a", V6B], "ip netns exec r1 sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'", &[("forwarding-off", "r1:a")]),
    fault("asymmetric", ["a:l", "10.1.3.2"], "ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter'", &[("rp-filter", "a:r")]),
    fault("asymmetric", ["a:l", "10.1.3.2"], "ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv4/conf/r/rp_filter'; ip -n r route del 10.1.1.0/24",
        &[("no-route-back", "in r"), ("rp-filter", "a:r")]),
    fault("chain", ["a", "b"], "ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'", &[("echo-ignored", "b")]),
    fault("chain", ["a", "b"], "ip netns exec a sh -c 'echo 2 >/proc/sys/net/ipv4/ip_default_ttl'", &[("ttl-too-small", "a")]),
    fault("chain", ["a", "b"], "ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/ip_default_ttl'", &[("ttl-too-small", "b")]),
    fault("chain", ["a", "b"], "ip -n a nexthop add id 7 via 10.0.1.77 dev r1; ip -n a route replace 10.0.3.0/24 nhid 7 proto static", &[("wrong-gateway", "nhid 7")]),
    fault("lan", ["pc1", "10.0.0.255"], "true", &[("broadcast-refused", "10.0.0.255")]),
    // Sizes.
    sized("chain", ["a", "b"], 1400, concat!("ip -n r1 link set dev r2 mtu 1300;", nft!("a", "inet f", "type filter hook input priority 0;", "icmp type destination-unreachable drop")), &[("mtu-black-hole", "r1:r2")]),
    sized("chain", ["a", "b"], 1400, concat!("ip -n r2 link set dev b mtu 1300;", nft!("r1", "inet f", "type filter hook forward priority 0; policy drop;", "icmp type { echo-request, echo-reply } accept")), &[("mtu-black-hole", "r2:b")]),
    sized("chain", ["a", "b"], 1400, "ip -n r1 link set dev r2 mtu 1300", &[("mtu-too-small", "r1:r2")]),
    sized("chain", ["a", "b"], 1400, "ip -n a link set dev r1 mtu 1300", &[("mtu-too-small", "a:r1")]),
    sized("chain", ["a", "b"], 1400, "ip -n r1 link set dev a mtu 1300", &[("mtu-mismatch", "r1:a")]),
    sized("lan", ["pc1", "pc2"], 1400, "ip -n lan link set dev pc2 mtu 1300", &[("mtu-mismatch", "lan:pc2")]),
    // Who does not answer although it is there.
    fault("chain", ["a", "b"], "ip -n r2 neigh replace 10.0.3.2 dev b lladdr 02:00:00:00:00:01 nud permanent", &[("wrong-neighbour", "10.0.3.2 on r2:b")]),
    fault("chain", ["a", V6B], "ip -n r2 neigh replace 2001:db8:3::2 dev b lladdr 02:00:00:00:00:01 nud permanent", &[("wrong-neighbour", "2001:db8:3::2 on r2:b")]),
    fault("lan", ["pc1", "pc2"], "ip -n pc2 neigh replace 10.0.0.2 dev lan lladdr 02:00:00:00:00:01 nud permanent", &[("wrong-neighbour", "10.0.0.2 on pc2:lan")]),
    fault("chain", ["a", "b"], "ip netns exec b sh -c 'echo 8 >/proc/sys/net/ipv4/conf/r2/arp_ignore'", &[("arp-silent", "b:r2")]),
    fault("lan", ["pc1", "10.8.8.8"], "ip -n pc2 addr add 10.8.8.8/32 dev lo; ip -n pc1 route add 10.8.8.8 dev lan; ip netns exec pc2 sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore'", &[("arp-silent", "pc2:lan")]),
    fault("chain", ["a", "b"], "ip -n b route add 10.0.3.1 dev lo; ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/conf/r2/arp_filter'", &[("arp-silent", "b:r2")]),
    fault("lan", ["pc1", "srv"], "ip -n pc1 route replace default dev lan proto static", &[("wrong-gateway", "default dev lan in pc1")]),
    fault("chain", ["a", "b"], "ip -n b link set dev r2 arp off", &[("arp-off", "b:r2")]),
    fault("chain", ["a", "b"], "ip -n r2 link set dev b arp off", &[("arp-off", "r2:b")]),
    fault("chain", ["a", V6B], "ip -n b link set dev r2 arp off", &[("arp-off", "b:r2")]),
    fault("lan", ["pc1", "pc2"], "ip -n pc3 link set dev lan address $(ip netns exec pc2 cat /sys/class/net/lan/address)", &[("duplicate-mac", "on pc3:lan")]),
    fault("lan", ["pc1", "2001:db8::99"], "ip netns exec pc2 sh -c 'echo 4 >/proc/sys/net/ipv6/conf/lan/dad_transmits'; ip -n pc2 addr add 2001:db8::99/64 dev lan", &[("address-tentative", "2001:db8::99 on pc2")]),
    fault("lan", ["pc1", "fe80::99"], "ip -n pc2 addr add fe80::99/64 dev lan nodad", &[("link-local-scope", "fe80::99")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev lan type bridge stp_state 1; ip -n lan link set dev pc2 down; ip -n lan link set dev pc2 up; sleep 0.5", &[("port-blocked", "lan:pc2")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev lan type bridge stp_state 1; ip -n lan link set dev pc1 down; ip -n lan link set dev pc1 up; sleep 0.5", &[("port-blocked", "lan:pc1")]),
    fault("lan", ["pc1", "pc2"], "for p in pc1 pc2; do ip -n lan link set dev $p type bridge_slave isolated on; done", &[("port-isolated", "lan:pc2")]),
    fault("lan", ["pc1", "2001:db8::3"], "ip -n pc2 addr del 2001:db8::3/64 dev lan; ip -n pc3 addr add 2001:db8::3/64 dev lan nodad; ip -n pc2 addr add 2001:db8::3/64 dev lan; sleep 3", &[("duplicate-address", "2001:db8::3 on pc3"), ("dad-failed", "2001:db8::3 on pc2")]),
    // Packet filters.
    fault("chain", ["a", "b"], nft!("b", "inet f", "type filter hook input priority 0;", "icmp type echo-request drop"), &[("filter-drop", "icmp type 8 drop")]),
    fault("chain", ["a", "b"], nft!("a", "ip f", "type filter hook output priority 0;", "ip daddr 10.0.3.0/24 drop"), &[("filter-drop", "on a")]),
    fault("chain", ["a", "b"], nft!("r1", "inet f", "type filter hook forward priority 0;", "iifname a oifname r2 counter reject"), &[("filter-drop", "on r1")]),
    fault("chain", ["a", "b"], nft!("r1", "inet f", "type filter hook prerouting priority raw;", "ip saddr 10.0.1.1 drop"), &[("filter-drop", "on r1")]),
    fault("chain", ["a", "b"], nft!("r2", "inet f", "type filter hook postrouting priority 0;", "oifname b drop"), &[("filter-drop", "on r2")]),
    fault("chain", ["a", "b"], nft!("r2", "inet f", "type filter hook forward priority 0;", "ip saddr 10.0.3.2 icmp type echo-reply drop"), &[("filter-drop", "on r2")]),
    fault("chain", ["a", "b"], nft!("r1", "inet f", "type filter hook forward priority 0;", "ip saddr { 10.0.1.0/28, 10.9.9.9 } drop"), &[("filter-drop", "on r1")]),
    fault("chain", ["a", "b"], nft!("r1", "inet f", "set s { type ipv4_addr; elements = { 10.0.1.1 }; }; chain d { ip saddr @s drop; };", "type filter hook forward priority 0;", "jump d"), &[("filter-drop", "chain d of table inet f on r1")]),
    fault("chain", ["a", "b"], nft!("r1", "inet f", "type filter hook forward priority 0; policy drop;", "tcp dport 80 accept"), &[("filter-policy", "chain c of table inet f on r1")]),
    fault("chain", ["a", "b"], nft!("b", "ip f", "type filter hook input priority 0; policy drop;", "ip protocol tcp accept"), &[("filter-policy", "on b")]),
    fault("chain", ["a", "b"], nft!("a", "inet f", "type filter hook input priority 0; policy drop;", "ct state new accept"), &[("filter-policy", "on a")]),
    fault("chain", ["a", V6B], nft!("r2", "ip6 f", "type filter hook forward priority 0;", "ip6 daddr 2001:db8:3::/64 drop"), &[("filter-drop", "on r2")]),
    fault("chain", ["a", V6B], nft!("r1", "inet f", "type filter hook forward priority 0; policy drop;", "meta nfproto ipv4 accept"), &[("filter-policy", "on r1")]),
    fault("asymmetric", ["a:l", "10.1.3.2"], nft!("r", "inet f", "type filter hook forward priority 0;", "ct state invalid drop"), &[("conntrack-invalid", "on r")]),
    fault("chain", ["a", "b"], nft!("r1", "ip f", "type nat hook prerouting priority dstnat;", "ip daddr 10.0.3.2 dnat to 10.0.3.99"), &[("dead-translation", "10.0.3.2 to 10.0.3.99 on r1")]),
    fault("chain", ["a", "b"], nft!("a", "ip f", "type nat hook output priority -100;", "ip daddr 10.0.3.2 dnat to 10.0.1.99"), &[("dead-translation", "10.0.3.2 to 10.0.1.99 on a")]),
    fault("nat", ["pc", "isp"], "ip netns exec gw nft flush ruleset", &[("translation-missing", "table inet vnet on gw")]),
    fault("nat", ["pc", "isp"], "ip netns exec gw nft insert rule inet vnet forward drop", &[("translation-missing", "table inet vnet on gw")]),
    // Two at once.
    fault("chain", ["a", "b"], concat!("ip -n r1 route del 10.0.3.0/24;", nft!("b", "inet f", "type filter hook input priority 0; policy drop;", "ct state established accept")),
        &[("no-route", "in r1"), ("filter-policy", "on b")]),
    fault("chain", ["a", "b"], concat!(nft!("r1", "inet f", "type filter hook forward priority 0;", "ip daddr 10.0.3.2 drop"), nft!("b", "inet f", "type filter hook output priority 0; policy drop;", "ct state new accept")),
        &[("filter-drop", "on r1"), ("filter-policy", "on b")]),
    fault("chain", ["a", "b"], "ip -n a link set dev r1 down; ip -n b route del 10.0.1.0/24", &[("interface-down", "a:r1"), ("no-route-back", "in b")]),
    fault("chain", ["a", "b"], "ip -n r1 route del 10.0.3.0/24; ip netns exec r2 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/b/forwarding'",
        &[("no-route", "in r1"), ("forwarding-off", "r2:b")]),
    fault("lan", ["pc1", "srv"], "ip -n lan link set dev lan down; ip -n srv route del default", &[("bridge-down", "lan:lan"), ("no-route-back", "in srv")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev pc1 nomaster; ip -n lan link set dev pc2 down", &[("not-a-port", "lan:pc1"), ("port-down", "lan:pc2")]),
];

/// Faults that no change of the network mends: nobody has what is asked for.
const WITHOUT_MEND: [&str; 4] =
    ["no-such-address", "dead-translation", "broadcast-refused", "link-local-scope"];

/// Faults under which an echo is answered all the same: by the other who has the address, or because
/// a raw socket guesses the link where `connect(2)` refuses to.
const ANSWERED: [&str; 2] = ["duplicate-address", "link-local-scope"];

/// In how many parts the catalogue is worked off at the same time: most of it is waiting.
const PARTS: usize = 4;

#[test]
fn each_fault_is_named_and_its_mend_mends_it_1() {
    part(0);
}

#[test]
fn each_fault_is_named_and_its_mend_mends_it_2() {
    part(1);
}

#[test]
fn each_fault_is_named_and_its_mend_mends_it_3() {
    part(2);
}

#[test]
fn each_fault_is_named_and_its_mend_mends_it_4() {
    part(3);
}

fn part(number: usize) {
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        let faults = FAULTS.iter().skip(number).step_by(PARTS);
        let failures: Vec<String> = faults.filter_map(|fault| run(fault).err()).collect();
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    });
}

/// What is set by hand at things that the lab does not speak of, and what is said of it: the model
/// knows that it does not know.
#[rustfmt::skip]
const UNTOLD: &[([&str; 2], &str, &str)] = &[
    (["pc1", "pc2"], "ip -n lan link set dev pc2 type bridge_slave learning off flood off", "lan:pc2, a port of a bridge, neither learns"),
    (["pc1", "pc2"], "ip -n lan link set dev pc2 type bridge_slave bcast_flood off", "bcast_flood off"),
    (["pc1", "2001:db8::3"], "ip -n lan link set dev pc2 type bridge_slave mcast_flood off", "mcast_flood off"),
    (["pc1", "pc2"], "ip -n lan link set dev pc1 type bridge_slave neigh_suppress on", "lan:pc1, a port of a bridge, has neigh_suppress on"),
    (["pc1", "pc2"], "bridge -n lan fdb replace $(cat /proc/self/fd/3) dev pc3 master static sticky", "forwarding entry"),
    (["pc1", "pc2"], "bridge -n lan fdb replace $(cat /proc/self/fd/3) dev pc2 master", "forwarding entry"),
];

#[test]
fn what_is_set_by_hand_and_not_modelled_is_said() {
    vnet_testns::root(|| {
        let desired = desired("lan");
        for ([from, to], damage, said) in UNTOLD {
            let lab = up(&desired);
            let mac = "exec 3<<END\n$(ip netns exec pc2 cat /sys/class/net/lan/address)\nEND\n";
            sh(&format!("{mac}{damage}"));
            let told = lab.why(from, to, &Ask { probe: false, ..probing() }).unwrap();
            let unknown = told.answer.unknown.join("; ");
            assert!(
                told.answer.verdict == Verdict::Unknown && unknown.contains(said),
                "{damage}: {}",
                shown(&told)
            );
            // Nobody declared it, so nothing is done about it.
            assert_eq!(lab.plan(&desired).unwrap().plan.steps, [], "{damage}");
            down(lab);
        }
        // What does no harm makes no doubt.
        let lab = up(&desired);
        sh("ip -n lan link set dev pc2 type bridge_slave learning off; \
            ip -n lan link set dev pc1 type bridge_slave flood off");
        let told = lab.why("pc1", "pc2", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}

/// What somebody set up otherwise than the file and does no harm is no cause.
#[test]
fn what_works_otherwise_is_no_cause() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        sh("ip -n pc1 route replace default dev lan proto static
            ip netns exec gw sh -c 'echo 1 >/proc/sys/net/ipv4/conf/lan/proxy_arp'
            ip netns exec gw sh -c 'echo 0 >/proc/sys/net/ipv4/neigh/lan/proxy_delay'
            ip -n srv nexthop add id 7 via 10.0.8.1 dev gw
            ip -n srv route replace default nhid 7 proto static");
        let told = lab.why("pc1", "srv", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}

/// That the kernel has asked in vain is said too.
#[test]
fn a_neighbour_that_does_not_answer_is_evidence() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        sh("ip -n b link set dev r2 arp off
            ip netns exec a ping -c 1 -W 1 10.0.3.2 >/dev/null && exit 1
            ip -n r2 neigh show dev b | grep -q -e FAILED -e INCOMPLETE");
        let told = lab.why("a", "b", &Ask { probe: false, ..probing() }).unwrap();
        let evidence = &told.answer.causes[0].evidence;
        assert!(evidence.contains("r2:b has asked for 10.0.3.2 in vain"), "{}", shown(&told));
        down(lab);
    });
}

/// What is known of interfaces beside what is declared changes no plan.
#[test]
fn facts_of_interfaces_are_no_difference() {
    vnet_testns::root(|| {
        let desired = desired("lan");
        let lab = up(&desired);
        let realm = vnet::kernel::Realm::own().unwrap();
        let scope = vnet::kernel::observe::Scope {
            lab: &desired.lab,
            declared: &desired.state,
            recorded: None,
        };
        let mut state = vnet::kernel::observe::observe(&realm, scope).unwrap().state;
        let names: Vec<_> = state.namespaces.keys().cloned().collect();
        let facts = vnet::kernel::observe::survey::survey(&realm, &names).unwrap();
        let mut filled = 0;
        for (ns, facts) in &facts.namespaces {
            let interfaces = &mut state.namespaces.get_mut(ns).unwrap().interfaces;
            for (name, facts) in &facts.interfaces {
                facts.complete(interfaces.get_mut(name).unwrap());
                filled += facts.options.iter().count() + facts.port.iter().count();
            }
        }
        assert!(filled > 40, "{filled}");
        let plan = vnet_model::plan::plan_between(&desired.lab, &desired.state, &state);
        assert_eq!(plan.steps, []);
        down(lab);
    });
}

#[rustfmt::skip]
const VLAN_FAULTS: &[Fault] = &[
    fault("vlans", ["pc1", "pc2"], "bridge -n sw1 vlan add dev pc2 vid 20 pvid untagged; bridge -n sw1 vlan del dev pc2 vid 10", &[("wrong-vlan", "sw1:pc2")]),
    fault("vlans", ["pc1", "pc2"], "bridge -n sw1 vlan add dev pc1 vid 20 pvid untagged; bridge -n sw1 vlan del dev pc1 vid 10", &[("wrong-vlan", "sw1:pc1")]),
    fault("vlans", ["pc1", "web"], "bridge -n sw1 vlan del dev sw2 vid 10", &[("wrong-vlan", "sw1:sw2")]),
    fault("vlans", ["pc1", "web"], "bridge -n sw2 vlan del dev sw1 vid 10", &[("wrong-vlan", "sw2:sw1")]),
    fault("vlans", ["pc1", "web"], "bridge -n sw2 vlan add dev web vid 10 pvid", &[("wrong-vlan", "sw2:web")]),
    fault("vlans", ["pc1", "guest"], "bridge -n sw1 vlan del dev gw vid 20", &[("wrong-vlan", "sw1:gw")]),
    fault("vlans", ["pc1", "guest"], "ip -n gw link set dev visitors down", &[("interface-down", "gw:visitors")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev lan type bridge vlan_filtering 1; bridge -n lan vlan del dev pc2 vid 1", &[("wrong-vlan", "lan:pc2")]),
    fault("lan", ["pc1", "pc2"], "ip -n lan link set dev lan type bridge vlan_filtering 1; bridge -n lan vlan del dev pc1 vid 1", &[("wrong-vlan", "lan:pc1")]),
    fault("lan", ["srv", "pc1"], "ip -n lan link set dev lan type bridge vlan_filtering 1; bridge -n lan vlan add dev pc1 vid 7 pvid untagged", &[("wrong-vlan", "lan:gw")]),
    fault("vlans", ["guest", "gw:visitors"], "ip -n gw link set dev visitors down", &[("peer-down", "gw:visitors")]),
];

#[test]
fn vm_each_fault_of_vlans_is_named_and_its_mend_mends_it() {
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        vnet_testns::requires(&["vlan", "bridge-vlan"]);
        let lab = up(&desired("vlans"));
        for ends in [["pc1", "pc2"], ["pc1", "web"], ["web", "guest"], ["guest", "gw:staff"]] {
            let told = lab.why(ends[0], ends[1], &probing()).unwrap();
            assert!(is_well(&told) && replied(&told), "{ends:?}: {}", shown(&told));
        }
        down(lab);
        let failures: Vec<String> =
            VLAN_FAULTS.iter().filter_map(|fault| run(fault).err()).collect();
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    });
}

#[rustfmt::skip]
const VRF_FAULTS: &[Fault] = &[
    fault("vrfs", ["ce1", "ce2"], "ip -n pe route del 10.0.2.0/30 table 10", &[("vrf-leak-missing", "10.0.2.0/30 dev b table 10 in pe")]),
    fault("vrfs", ["ce1", "ce2"], "ip -n pe route del 10.0.1.0/30 table 20; ip -n pe route del 10.0.1.2 dev red", &[("vrf-leak-missing", "10.0.1.0/30 dev r table 20 in pe")]),
    fault("vrfs", ["srv", "ce1"], "ip -n pe route del 10.0.1.2 dev red", &[("vrf-leak-missing", "10.0.1.2 dev red in pe")]),
    fault("vrfs", ["ce1", "srv"], "ip -n pe link set dev r master blue", &[("wrong-vrf", "pe:r")]),
    fault("vrfs", ["ce1", "srv"], "ip -n pe link set dev r nomaster", &[("wrong-vrf", "pe:r")]),
    fault("vrfs", ["srv", "ce1"], "ip -n pe link set dev m master blue", &[("wrong-vrf", "pe:m")]),
    fault("vrfs", ["ce1", "pe:r"], "ip -n pe link set dev red down", &[("interface-down", "pe:red")]),
    fault("vrfs", ["pe", "ce2"], "true", &[("vrf-leak-missing", "10.0.2.2 in pe")]),
    fault("vrfs", ["ce2", "srv"], "true", &[("vrf-leak-missing", "10.0.2.2 in pe")]),
    fault("vrfs", ["ce1", "ce2"], "ip -n pe route add prohibit 10.0.2.2 table 10", &[("prohibit-route", "10.0.2.2 table 10")]),
    fault("vrfs", ["ce1", "srv"], "ip -n pe link set dev m down", &[("interface-down", "pe:m")]),
    fault("vrfs", ["ce1", "2001:db8:1::1"], "ip -n pe -6 addr del 2001:db8:1::1/64 dev r", &[("address-missing", "2001:db8:1::1/64 on pe:r")]),
];

#[test]
fn vm_each_fault_of_vrfs_is_named_and_its_mend_mends_it() {
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        vnet_testns::requires(&["vrf"]);
        let lab = up(&desired("vrfs"));
        let pairs = [["ce1", "ce2"], ["ce1", "srv"], ["srv", "ce1"], ["pe", "ce1"]];
        for ends in pairs.into_iter().chain([["ce2", "pe:b"], ["ce1", "2001:db8:1::1"]]) {
            let told = lab.why(ends[0], ends[1], &probing()).unwrap();
            assert!(is_well(&told) && replied(&told), "{ends:?}: {}", shown(&told));
        }
        // Programs that are in no VRF are given nothing of one, unless they may be.
        let ask = Ask { packet: vnet_model::Packet::Tcp(7), timeout: None, ..probing() };
        sh("ip netns exec pe sh -c 'nc -l -p 7 >/dev/null 2>&1 & echo $! >$HOME/nc'; sleep 1");
        let told = lab.why("ce1", "pe:r", &ask).unwrap();
        let codes: Vec<&str> = told.answer.causes.iter().map(|cause| cause.code).collect();
        assert_eq!((codes, replied(&told)), (vec!["outside-vrf"], false), "{}", shown(&told));
        mend(&told);
        let told = lab.why("ce1", "pe:r", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        sh("kill $(cat $HOME/nc) 2>/dev/null; true");
        // A VRF whose table ends in no default goes on to the main table.
        let told = lab.why("ce1", "10.9.9.9", &probing()).unwrap();
        let codes: Vec<&str> = told.answer.causes.iter().map(|cause| cause.code).collect();
        assert_eq!((codes, replied(&told)), (vec!["unreachable-route"], false), "{}", shown(&told));
        sh("ip -n pe route del unreachable default metric 4278198272 table 10");
        let told = lab.why("ce1", "10.9.9.9", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
        let failures: Vec<String> =
            VRF_FAULTS.iter().filter_map(|fault| run(fault).err()).collect();
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    });
}

/// The command that makes a tunnel of r3 anew, with its hardware address and these options.
macro_rules! anew {
    ($dev:literal, $net:literal, $options:literal) => {
        concat!(
            "M=$(ip netns exec r3 cat /sys/class/net/",
            $dev,
            "/address); ip -n r3 link del ",
            $dev,
            "; ip -n r3 link add ",
            $dev,
            " address $M ",
            $options,
            "; ip -n r3 addr add ",
            $net,
            " dev ",
            $dev,
            "; ip -n r3 link set dev ",
            $dev,
            " up"
        )
    };
}

#[rustfmt::skip]
const TUNNEL_FAULTS: &[Fault] = &[
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r2 route del 10.255.0.3", &[("no-route", "10.255.0.3 via 10.0.23.2 dev r3 in r2")]),
    fault("tunnels", ["r1", "172.16.4.2"], "ip -n r2 route del 10.255.0.1", &[("no-route", "10.255.0.1 via 10.0.12.1 dev r1 in r2")]),
    fault("tunnels", ["r1", "172.16.2.2"], "ip -n r1 link set dev r2 down", &[("interface-down", "r1:r2")]),
    fault("tunnels", ["r1", "172.16.3.2"], "ip -n r2 -6 route del 2001:db8:fe::3", &[("no-route", "2001:db8:fe::3 via 2001:db8:23::2 dev r3 in r2")]),
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r3 link set dev gre1 type gre local 10.255.0.3 remote 10.255.0.1 ttl 64 key 6", &[("tunnel-key", "r3:gre1")]),
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r1 link set dev gre1 type gre local 10.255.0.1 remote 10.255.0.3 ttl 1 key 5", &[("ttl-too-small", "r1:gre1")]),
    fault("tunnels", ["r1", "172.16.2.2"], "ip -n r1 link set dev tun1 type ipip local 10.255.0.1 remote 10.0.23.2", &[("tunnel-ends", "r1:tun1")]),
    fault("tunnels", ["r1", "172.16.2.2"], "ip -n r3 link set dev tun1 type ipip local 10.255.0.3 remote 10.0.12.1", &[("tunnel-ends", "r3:tun1")]),
    fault("tunnels", ["r1", "2001:db8:f::2"], "ip -n r3 link set dev sit1 type sit local 10.255.0.3 remote 10.0.12.1", &[("tunnel-ends", "r3:sit1")]),
    fault("tunnels", ["r1", "172.16.3.2"], "ip -n r3 link set dev six1 down", &[("peer-down", "r3:six1")]),
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r1 link set dev gre1 down", &[("interface-down", "r1:gre1")]),
    fault("tunnels", ["r1", "172.16.4.2"], "ip -n r3 link set dev vx1 down", &[("peer-down", "r3:vx1")]),
    fault("tunnels", ["r1", "172.16.4.2"], anew!("vx1", "172.16.4.2/24", "type vxlan id 8 local 10.255.0.3 remote 10.255.0.1 dstport 4789"), &[("tunnel-key", "r3:vx1")]),
    fault("tunnels", ["r1", "172.16.4.2"], anew!("vx1", "172.16.4.2/24", "type vxlan id 7 local 10.255.0.3 remote 10.255.0.1 dstport 4790"), &[("tunnel-port", "r3:vx1")]),
    fault("tunnels", ["r1", "172.16.5.2"], anew!("gnv1", "172.16.5.2/24", "mtu 1300 type geneve id 8 remote 10.255.0.1"), &[("tunnel-key", "r3:gnv1")]),
    fault("tunnels", ["r1", "172.16.6.2"], "ip -n r3 link set dev tap1 type gretap local 10.255.0.3 remote 10.0.12.1", &[("tunnel-ends", "r3:tap1")]),
    fault("tunnels", ["r1", "172.16.1.2"], nft!("r2", "inet f", "type filter hook forward priority 0;", "ip protocol gre drop"), &[("filter-drop", "on r2")]),
    fault("tunnels", ["r1", "172.16.4.2"], nft!("r3", "inet f", "type filter hook input priority 0;", "udp dport 4789 drop"), &[("filter-drop", "on r3")]),
    fault("tunnels", ["r1", "172.16.2.2"], nft!("r3", "inet f", "type filter hook output priority 0; policy drop;", "ip protocol != 4 accept"), &[("filter-policy", "on r3")]),
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r1 route replace 10.255.0.3 dev gre1 proto static", &[("wrong-gateway", "10.255.0.3 dev gre1 in r1")]),
    fault("tunnels", ["r1", "172.16.1.2"], "ip -n r3 addr del 10.255.0.3/32 dev lo", &[("address-missing", "10.255.0.3/32 on r3:lo"), ("no-route", "src 10.255.0.3 in r3")]),
    sized("tunnels", ["r1", "172.16.1.2"], 1400, "ip -n r2 link set dev r3 mtu 1300", &[("mtu-too-small", "r2:r3")]),
    sized("tunnels", ["r1", "172.16.1.2"], 1400, "ip -n r1 link set dev gre1 mtu 1300", &[("mtu-too-small", "r1:gre1")]),
    fault("vxlans", ["h1", "h2"], "bridge -n leaf1 fdb del 00:00:00:00:00:00 dev vx100 dst 10.1.0.2", &[("fdb-missing", "10.1.0.2 at leaf1:vx100")]),
    fault("vxlans", ["h1", "h2"], "ip -n leaf2 link set dev vx100 nomaster", &[("not-a-port", "leaf2:vx100")]),
    fault("vxlans", ["h1", "h2"], "ip -n under link set dev leaf2 down", &[("port-down", "under:leaf2")]),
];

#[test]
fn vm_each_fault_of_tunnels_is_named_and_its_mend_mends_it() {
    vnet_testns::root_within(std::time::Duration::from_secs(400), || {
        vnet_testns::requires(&["gre", "ipip", "sit", "ip6tnl", "vxlan", "geneve", "gretap"]);
        let lab = up(&desired("tunnels"));
        for to in [
            "172.16.1.2",
            "172.16.2.2",
            "2001:db8:f::2",
            "172.16.3.2",
            "172.16.4.2",
            "172.16.5.2",
            "172.16.6.2",
        ] {
            let told = lab.why("r1", to, &probing()).unwrap();
            assert!(is_well(&told) && replied(&told), "{to}: {}", shown(&told));
        }
        down(lab);
        let lab = up(&desired("vxlans"));
        // Where each is the others learn of whom they hear.
        for damage in ["true", "bridge -n leaf2 fdb del 00:00:00:00:00:00 dev vx100 dst 10.1.0.1"] {
            sh(damage);
            let told = lab.why("h1", "h2", &probing()).unwrap();
            assert!(is_well(&told) && replied(&told), "{damage}: {}", shown(&told));
        }
        down(lab);
        let failures: Vec<String> =
            TUNNEL_FAULTS.iter().filter_map(|fault| run(fault).err()).collect();
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    });
}

#[rustfmt::skip]
const WIREGUARD_FAULTS: &[Fault] = &[
    fault("vpn", ["spoke1", "10.99.0.1"], "ip netns exec spoke1 wg set wg0 peer $(ip netns exec hub wg show wg0 public-key) remove", &[("wireguard-key", "spoke1:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "K=$(wg genkey | wg pubkey); ip netns exec spoke1 wg set wg0 peer $(ip netns exec hub wg show wg0 public-key) remove; ip netns exec spoke1 wg set wg0 peer $K endpoint 203.0.113.2:51820 allowed-ips 0.0.0.0/0,::/0", &[("wireguard-key", "spoke1:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "K=$(wg genkey | wg pubkey); ip netns exec hub wg set wg0 peer $(ip netns exec spoke1 wg show wg0 public-key) remove; ip netns exec hub wg set wg0 peer $K allowed-ips 10.99.0.2/32", &[("wireguard-key", "hub:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "ip netns exec spoke1 wg set wg0 peer $(ip netns exec hub wg show wg0 public-key) allowed-ips 10.98.0.0/24", &[("allowed-ips", "spoke1:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "ip netns exec hub wg set wg0 peer $(ip netns exec spoke1 wg show wg0 public-key) allowed-ips 10.98.0.2/32", &[("allowed-ips", "hub:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "ip netns exec hub wg set wg0 listen-port 7000", &[("tunnel-port", "hub:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.1"], nft!("hub", "inet f", "type filter hook input priority 0;", "udp dport 51820 drop"), &[("filter-drop", "on hub")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "ip -n net link set dev spoke1 down", &[("port-down", "net:spoke1")]),
    fault("vpn", ["spoke1", "10.99.0.1"], "ip -n hub link set dev wg0 down", &[("peer-down", "hub:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.3"], "ip netns exec hub sh -c 'echo 0 >/proc/sys/net/ipv4/conf/wg0/forwarding'", &[("forwarding-off", "hub:wg0")]),
    fault("vpn", ["spoke1", "10.99.0.3"], "ip netns exec spoke2 wg set wg0 peer $(ip netns exec hub wg show wg0 public-key) allowed-ips 10.99.0.1/32", &[("allowed-ips", "spoke2:wg0")]),
];

#[test]
fn vm_each_fault_of_wireguard_is_named_and_its_mend_mends_it() {
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        vnet_testns::requires(&["wireguard"]);
        let lab = up(&desired("vpn"));
        for ends in [["spoke1", "10.99.0.1"], ["spoke1", "10.99.0.3"]] {
            let mut told = lab.why(ends[0], ends[1], &Ask { timeout: None, ..probing() }).unwrap();
            // What is sent while keys are agreed upon may be lost.
            if !replied(&told) {
                told = lab.why(ends[0], ends[1], &Ask { timeout: None, ..probing() }).unwrap();
            }
            assert!(is_well(&told) && replied(&told), "{ends:?}: {}", shown(&told));
        }
        down(lab);
        let failures: Vec<String> =
            WIREGUARD_FAULTS.iter().filter_map(|fault| run(fault).err()).collect();
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    });
}

fn run(fault: &Fault) -> Result<(), String> {
    let desired = desired(fault.lab);
    let lab = up(&desired);
    let [from, to] = fault.ends;
    let ask = Ask { size_bytes: fault.size_bytes, ..probing() };
    let is_sized = fault.size_bytes.is_some();
    sh(fault.damage);
    let told = lab.why(from, to, &ask).map_err(|error| format!("{}: {error}", fault.damage))?;
    let complain = |what: &str| Err(format!("{}\n  {what}: {}", fault.damage, shown(&told)));
    let found: Vec<_> = told.answer.causes.iter().map(|c| (c.code, c.object.as_str())).collect();
    let named = found.len() == fault.causes.len()
        && found
            .iter()
            .zip(fault.causes)
            .all(|((code, object), (wanted, part))| code == wanted && object.contains(part));
    let well = matches!(told.answer.verdict, Verdict::Reachable | Verdict::Unknown);
    let result = if !named || well {
        complain("not named")
    } else if !is_sized
        && !ANSWERED.contains(&found[0].0)
        && replied(&told)
        && told.answer.verdict == Verdict::Unreachable
    {
        complain("but it answers")
    } else if WITHOUT_MEND.contains(&found[0].0) {
        Ok(())
    } else {
        mend(&told);
        // The mend of an address that can't be a host's is another address.
        let to = if found[0].0 == "broadcast-address" { "10.0.0.5" } else { to };
        let ask = Ask { timeout: None, ..ask.clone() };
        let mut again = lab.why(from, to, &ask).unwrap();
        // It takes a second for each time that others are asked, and some were added.
        for _ in 0..5 {
            if found[0].0 == "address-tentative" && !is_well(&again) {
                mend(&told);
                again = lab.why(from, to, &ask).unwrap();
            }
        }
        // A link that came up is not ready for IPv6 before its addresses are known to be unique.
        for _ in 0..3 {
            if !is_sized && is_well(&again) && !replied(&again) {
                again = lab.why(from, to, &ask).unwrap();
            }
        }
        match is_well(&again) && (is_sized || replied(&again)) {
            true => Ok(()),
            false => complain(&format!("not mended: {}\n  before", shown(&again))),
        }
    };
    down(lab);
    result
}
