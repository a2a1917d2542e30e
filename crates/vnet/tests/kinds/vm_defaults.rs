//! An option that the file no longer says goes back to what the kernel makes of it where nothing is
//! said: the default that the table has is the kernel's own.

use std::net::Ipv4Addr;

use serde_json::Value;
use vnet::Down;
use vnet_testns::sh;

use super::common::{open, planned, signed};
use super::{lab, link};

/// What passes by itself, or by chance.
const PASSING: [&str; 11] = [
    "forward_delay_timer",
    "hold_timer",
    "message_age_timer",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
    "bridge_id",
    "root_id",
    "designated_bridge",
    "designated_root",
];

/// What `ip` says of the kind of an interface of node `a`, and of it as a port.
fn info(dev: &str) -> Value {
    let mut info = link(dev)["linkinfo"].clone();
    for part in ["info_data", "info_slave_data"] {
        if let Some(part) = info[part].as_object_mut() {
            PASSING.iter().for_each(|key| drop(part.remove(*key)));
        }
    }
    info
}

/// Words of the file that `ip` has others for in its JSON.
const TOLD_AS: [(&str, &str); 24] = [
    ("stp", "stp_state"),
    ("lacp_rate", "ad_lacp_rate"),
    ("lacp_active", "ad_lacp_active"),
    ("num_grat_arp", "num_peer_notif"),
    ("hoplimit", "ttl"),
    ("reorder_hdr", "flags"),
    ("gvrp", "flags"),
    ("mvrp", "flags"),
    ("loose_binding", "flags"),
    ("bridge_binding", "flags"),
    ("dstport", "port"),
    ("maxaddress", "limit"),
    ("dev", "link"),
    ("key", "ikey"),
    ("ignore-df", "ignore_df"),
    ("encaplimit", "encap_limit"),
    ("ingress-qos-map", "ingress_qos"),
    ("egress-qos-map", "egress_qos"),
    ("macaddr", "macaddr_data"),
    ("csum", "icsum"),
    ("seq", "iseq"),
    ("udpcsum", "udp_csum"),
    ("udp6zerocsumtx", "udp_zero_csum6_tx"),
    ("udp6zerocsumrx", "udp_zero_csum6_rx"),
];

/// Holds what `ip` tells of a kind against options as the file has them, `key: value, …`, and returns those
/// that it tells otherwise.
fn unsaid(told: &Value, options: &str) -> Vec<String> {
    let is_told = |option: &&str| {
        let (key, said) = option.split_once(": ").unwrap();
        let name = TOLD_AS.iter().find(|(word, _)| *word == key).map_or(key, |(_, name)| name);
        let name = match key.starts_with("mcast_") {
            true => name.replace("interval", "intvl").replace("count", "cnt"),
            // Of an ip6tnl.
            false if key == "mode" && told["mode"].is_null() => "proto".to_owned(),
            // Of a VXLAN.
            false if key == "flowlabel" && told[name].is_null() => "label".to_owned(),
            // Of a geneve: it is told of no number.
            false if key == "ttl_inherit" => return !told["ttl"].is_null(),
            // It is told by its own name.
            false if key == "mode_flag" => return told[said].is_null(),
            false => (*name).to_owned(),
        };
        let is_on = ["on", "true"].contains(&said);
        let as_address = said.parse::<u32>().map(|key| Ipv4Addr::from(key).to_string());
        !match &told[name] {
            // As `ip` writes it of ARP by a bond.
            Value::Null if key == "arp_validate" => said == "none",
            Value::Bool(on) => *on == is_on,
            Value::Number(number) => {
                number.to_string() == said || (said != "0" && number.as_u64() == Some(is_on.into()))
            }
            Value::Array(pairs) if said.split_once(':').is_some() && pairs[0].is_object() => {
                let shown = |pair: &Value| format!("{}:{}", pair["from"], pair["to"]);
                pairs.iter().map(shown).eq([said])
            }
            Value::Array(items) if items.contains(&said.into()) => true,
            Value::Array(flags) => flags.contains(&key.to_uppercase().into()) == is_on,
            Value::String(text) => {
                let hex = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
                text == said
                    || Ok(text) == as_address.as_ref()
                    || hex.is_some_and(|number| number.to_string() == said)
            }
            _ => false,
        }
    };
    let others: Vec<&str> = options.split(", ").map(str::trim).filter(is_told).collect();
    others.into_iter().map(|option| format!("{option} in {told}")).collect()
}

/// Builds an interface `x` with the least that can be said, says more, and takes that back.
fn goes_back(needs: &[&str], seen: &str, least: &str, more: &str) {
    vnet_testns::root(|| {
        vnet_testns::requires(needs);
        let bare = super::lab(&format!("{{ {least} }}"));
        let full = lab(&format!("{{ {least}, {more} }}"));
        let mut lab = open(&bare);
        lab.up(&bare, |_| {}).unwrap();
        let (usual, index) = (info(seen), link("x")["ifindex"].clone());
        lab.up(&full, |_| {}).unwrap();
        assert_ne!(info(seen), usual);
        assert_eq!(unsaid(&info(seen)["info_data"], more), Vec::<String>::new());
        assert_eq!(planned(&lab, &full), Vec::<String>::new());

        assert_ne!(planned(&lab, &bare), Vec::<String>::new());
        let up = lab.up(&bare, |_| {}).unwrap();
        assert_eq!(info(seen), usual, "after {:?}", signed(&up.steps));
        assert_eq!(link("x")["ifindex"], index, "made again by {:?}", signed(&up.steps));
        assert_eq!(planned(&lab, &bare), Vec::<String>::new());
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

macro_rules! goes_back {
    ($($name:ident: $needs:expr, $least:expr, $more:expr;)*) => { $(
        #[test]
        fn $name() {
            goes_back(&$needs, "x", $least, $more);
        }
    )* };
}

goes_back! {
    bridge: ["bridge"], "kind: bridge",
        "forward_delay: 500, hello_time: 150, max_age: 900, ageing_time: 100, stp: true, \
         priority: 4096, group_fwd_mask: 8, mcast_router: 2, mcast_snooping: off, \
         mcast_query_use_ifaddr: on, mcast_hash_max: 1024, mcast_stats_enabled: on, \
         mcast_igmp_version: 3, mcast_mld_version: 2, mcast_querier: on, \
         mcast_last_member_count: 3, mcast_startup_query_count: 4, \
         mcast_last_member_interval: 200, mcast_membership_interval: 27000, \
         mcast_querier_interval: 26000, mcast_query_interval: 13000, \
         mcast_query_response_interval: 900, mcast_startup_query_interval: 5000, \
         no_linklocal_learn: on";
    bridge_groups_of_vlans: ["bridge-vlan", "bridge-snooping"], "kind: bridge, vlan_filtering: on",
        "mcast_vlan_snooping: on";
    bridge_netfilter: ["nft-bridge"], "kind: bridge",
        "nf_call_iptables: on, nf_call_ip6tables: on, nf_call_arptables: on";
    bridge_vlans: ["bridge-vlan"], "kind: bridge",
        "vlan_filtering: on, vlan_protocol: 802.1ad, vlan_default_pvid: 7, vlan_stats_enabled: on, \
         vlan_stats_per_port: on";
    bond_turns: ["bond"], "kind: bond, miimon: 100", "packets_per_slave: 4, num_grat_arp: 3";
    bond_loads: ["bond"], "kind: bond, mode: balance-tlb, miimon: 100",
        "tlb_dynamic_lb: off, peer_notify_delay: 200";
    bond_arp: ["bond"], "kind: bond, mode: active-backup",
        "arp_interval: 500, arp_ip_target: 10.0.0.2, arp_validate: active, arp_all_targets: all, \
         arp_missed_max: 5";
    bond: ["bond"], "kind: bond, mode: 802.3ad, miimon: 100",
        "updelay: 200, downdelay: 200, xmit_hash_policy: layer3+4, primary_reselect: better, \
         min_links: 1, lacp_rate: fast, ad_select: count, all_slaves_active: on, lp_interval: 5, \
         resend_igmp: 3, lacp_active: off";
    vlan: ["vlan"], "kind: vlan, link: eth0, id: 10",
        "reorder_hdr: off, gvrp: on, loose_binding: on, mvrp: on, bridge_binding: on, ingress-qos-map: 2:3, \
         egress-qos-map: 4:5";
    vxlan: ["vxlan"], "kind: vxlan, id: 100, local: 10.0.0.1, remote: 10.0.0.2, dstport: 4789",
        "ttl: 5, tos: 4, learning: off, ageing: 60, df: set";
    vxlan_over_ipv6: ["vxlan"],
        "kind: vxlan, id: 100, local: \"2001:db8::1\", remote: \"2001:db8::2\", dstport: 4789",
        "flowlabel: 74565";
    geneve: ["geneve"], "kind: geneve, id: 5, remote: 10.0.0.2", "ttl: 9, tos: 4, df: inherit";
    geneve_as_inside: ["geneve"], "kind: geneve, id: 5, remote: 10.0.0.2", "ttl_inherit: on";
    geneve_over_ipv6: ["geneve"], "kind: geneve, id: 5, remote: \"2001:db8::2\"",
        "flowlabel: 74565";
    macvlan: ["macvlan"], "kind: macvlan, link: eth0", "mode: bridge, bcqueuelen: 10";
    macvlan_by_source: ["macvlan"], "kind: macvlan, link: eth0",
        "mode: source, macaddr: 02:00:00:00:00:aa";
    macvtap: ["macvtap"], "kind: macvtap, link: eth0", "mode: bridge, bcqueuelen: 10";
    macvtap_by_source: ["macvtap"], "kind: macvtap, link: eth0",
        "mode: source, macaddr: 02:00:00:00:00:aa";
    ipvlan: ["ipvlan"], "kind: ipvlan, link: eth0", "mode: l2, mode_flag: private";
    gre: ["gre"], "kind: gre, local: 10.0.0.1, remote: 10.0.0.2", "ttl: 5, tos: 4, fwmark: 7";
    gre_cut: ["gre"], "kind: gre, local: 10.0.0.1, remote: 10.0.0.2",
        "pmtudisc: off, ignore-df: on";
    gretap: ["gretap"], "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2",
        "ttl: 5, tos: 4, fwmark: 7";
    gretap_cut: ["gretap"], "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2",
        "pmtudisc: off, ignore-df: on";
    ip6gretap: ["ip6gretap"],
        "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "hoplimit: 5, encaplimit: 7, tclass: 8, flowlabel: 9, fwmark: 3";
    ip6gre: ["ip6gre"], "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "hoplimit: 5, encaplimit: 7, tclass: 8, flowlabel: 9, fwmark: 3";
    ipip: ["ipip"], "kind: ipip, local: 10.0.0.1, remote: 10.0.0.2", "ttl: 5, tos: 4, fwmark: 7";
    ipip_cut: ["ipip"], "kind: ipip, local: 10.0.0.1, remote: 10.0.0.2", "pmtudisc: off";
    sit: ["sit"], "kind: sit, local: 10.0.0.1, remote: 10.0.0.2", "ttl: 5, tos: 4, fwmark: 7";
    sit_cut: ["sit"], "kind: sit, local: 10.0.0.1, remote: 10.0.0.2", "pmtudisc: off";
    ip6tnl: ["ip6tnl"], "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "hoplimit: 5, encaplimit: 7, tclass: 8, flowlabel: 9, fwmark: 3";
}

/// What no message changes takes a new interface, which is as if nothing had been said.
#[test]
fn what_can_not_be_changed_is_made_again() {
    const CASES: [(&str, &str, &str); 17] = [
        ("bond", "kind: bond", "mode: active-backup, fail_over_mac: active"),
        ("bond", "kind: bond, mode: active-backup, miimon: 100, ports: m0", "primary: m0"),
        ("tun", "kind: tun", "multi_queue: on, pi: on, vnet_hdr: on"),
        ("tap", "kind: tap", "multi_queue: on, pi: on, vnet_hdr: on"),
        ("macvlan", "kind: macvlan, link: eth0, mode: passthru", "nopromisc: on"),
        ("macvtap", "kind: macvtap, link: eth0, mode: passthru", "nopromisc: on"),
        ("ipip", "kind: ipip, local: 10.0.0.1, remote: 10.0.0.2", "mode: any, dev: eth0"),
        ("sit", "kind: sit, local: 10.0.0.1, remote: 10.0.0.2", "mode: ipip"),
        (
            "geneve",
            "kind: geneve, id: 5, remote: \"2001:db8::2\"",
            "udp6zerocsumtx: on, udp6zerocsumrx: on",
        ),
        ("vlan-ad", "kind: vlan, link: eth0, id: 10", "protocol: 802.1ad"),
        (
            "vxlan",
            "kind: vxlan, id: 100",
            "local: 10.0.0.1, remote: 10.0.0.2, dev: eth0, dstport: 4789, maxaddress: 9, \
             proxy: on, rsc: on, l2miss: on, l3miss: on, udpcsum: off, \
             udp6zerocsumtx: on, udp6zerocsumrx: on, gbp: on",
        ),
        ("geneve", "kind: geneve, id: 5, remote: 10.0.0.2", "dstport: 7000, udpcsum: on"),
        (
            "gre",
            "kind: gre, local: 10.0.0.1, remote: 10.0.0.2",
            "key: 7, csum: on, seq: on, dev: eth0",
        ),
        (
            "gretap",
            "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2",
            "key: 7, csum: on, seq: on, dev: eth0",
        ),
        (
            "ip6gre",
            "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
            "key: 7, csum: on, seq: on, dev: eth0",
        ),
        (
            "ip6gretap",
            "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
            "key: 7, csum: on, seq: on, dev: eth0",
        ),
        (
            "ip6tnl",
            "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
            "mode: ipip6, dev: eth0",
        ),
    ];
    vnet_testns::root(|| {
        for (needs, least, more) in CASES {
            vnet_testns::requires(&[needs]);
            let bare = lab(&format!("{{ {least} }}"));
            let full = super::lab(&format!("{{ {least}, {more} }}"));
            let mut lab = open(&bare);
            lab.up(&bare, |_| {}).unwrap();
            let usual = info("x");
            lab.up(&full, |_| {}).unwrap();
            assert_ne!(info("x"), usual);
            assert_eq!(unsaid(&info("x")["info_data"], more), Vec::<String>::new());
            assert_eq!(planned(&lab, &full), Vec::<String>::new());
            lab.up(&bare, |_| {}).unwrap();
            assert_eq!(info("x"), usual);
            assert_eq!(planned(&lab, &bare), Vec::<String>::new());
            lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        }
    });
}

/// Builds an interface `x` of one sort, makes each of the others of it, and the first again: it is always the
/// same one, and as if it was born so.
fn is_changed_in_place(needs: &str, all: &[&str]) {
    vnet_testns::root(|| {
        vnet_testns::requires(&[needs]);
        let first = lab(&format!("{{ {} }}", all[0]));
        let mut lab = open(&first);
        let down = || Down { wait: true, ..Down::default() };
        let mut born = Vec::new();
        for text in all {
            lab.up(&super::lab(&format!("{{ {text} }}")), |_| {}).unwrap();
            born.push((info("x"), link("x")["mtu"].clone()));
            lab.down(&down()).unwrap();
        }
        lab.up(&first, |_| {}).unwrap();
        let index = link("x")["ifindex"].clone();
        let ways = all.iter().zip(&born).chain(all.iter().zip(&born).rev());
        for (text, born) in ways {
            let wanted = super::lab(&format!("{{ {text} }}"));
            let up = lab.up(&wanted, |_| {}).unwrap();
            assert_eq!(link("x")["ifindex"], index, "{text} by {:?}", signed(&up.steps));
            assert_eq!((info("x"), link("x")["mtu"].clone()), *born, "{text}");
            assert_eq!(planned(&lab, &wanted), Vec::<String>::new());
        }
        lab.down(&down()).unwrap();
    });
}

macro_rules! is_changed_in_place {
    ($($name:ident: $needs:expr, $all:expr;)*) => {
        mod in_place { $(
            #[test]
            fn $name() {
                super::is_changed_in_place($needs, &$all);
            }
        )* }
    };
}

is_changed_in_place! {
    vxlan: "vxlan", [
        "kind: vxlan, id: 100, dstport: 4789",
        "kind: vxlan, id: 100, dstport: 4789, local: 10.0.0.1, remote: 10.0.0.2",
        "kind: vxlan, id: 100, dstport: 4789, local: 10.0.0.9, remote: 10.0.0.3",
        "kind: vxlan, id: 100, dstport: 4789, remote: 10.0.0.3",
    ];
    // What the kernel takes for its MTU depends on the routes there are when it is made or changed.
    geneve: "geneve", [
        "kind: geneve, id: 5, remote: 10.0.0.2, mtu: 1400",
        "kind: geneve, id: 5, remote: 10.0.0.3, mtu: 1400",
    ];
    gre: "gre", [
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2",
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: 7, csum: on, seq: on",
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: 8",
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: ikey 8 okey 9",
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2, key: okey 9",
        "kind: gre, local: 10.0.0.1, remote: 10.0.0.2, csum: on",
    ];
    vlan: "vlan", [
        "kind: vlan, link: eth0, id: 10",
        "kind: vlan, link: eth0, id: 10, ingress-qos-map: [ \"0:1\", \"2:3\" ], egress-qos-map: [ \"1:7\" ]",
        "kind: vlan, link: eth0, id: 10, ingress-qos-map: [ \"2:4\", \"5:6\" ], egress-qos-map: [ \"2:7\" ]",
    ];
    bond: "bond", [
        "kind: bond, mode: active-backup, arp_interval: 100, arp_ip_target: 10.0.0.2",
        "kind: bond, mode: active-backup, arp_interval: 100, arp_ip_target: [ 10.0.0.9, 10.0.0.2 ]",
        "kind: bond, mode: active-backup, arp_interval: 100, arp_ip_target: [ 10.0.0.9, 10.0.0.3 ]",
    ];
    macvlan: "macvlan", [
        "kind: macvlan, link: eth0, mode: source, macaddr: [ 02:00:00:00:00:aa, 02:00:00:00:00:bb ]",
        "kind: macvlan, link: eth0, mode: source, macaddr: 02:00:00:00:00:cc",
        "kind: macvlan, link: eth0, mode: bridge",
        "kind: macvlan, link: eth0, mode: source",
    ];
    gretap: "gretap", [
        "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2",
        "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2, key: 7, csum: on, seq: on",
        "kind: gretap, local: 10.0.0.1, remote: 10.0.0.2, key: 8",
    ];
    ip6gre: "ip6gre", [
        "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\", key: 7, csum: on, seq: on",
        "kind: ip6gre, local: \"2001:db8::1\", remote: \"2001:db8::2\", key: 8",
    ];
    ip6gretap: "ip6gretap", [
        "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\", key: 7, csum: on, seq: on",
        "kind: ip6gretap, local: \"2001:db8::1\", remote: \"2001:db8::2\", key: 8",
    ];
    ip6tnl: "ip6tnl", [
        "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\"",
        "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", mode: ipip6",
        "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", mode: ip6ip6",
        "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", tclass: inherit, flowlabel: 5",
        "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\", tclass: 3, flowlabel: inherit, \
         encaplimit: none",
    ];
}

/// What could be changed, but not into that.
#[test]
fn what_can_not_become_the_other_is_made_again() {
    const CASES: [(&str, &str, &str); 6] = [
        ("vxlan", "kind: vxlan, id: 100", "kind: vxlan, external: on"),
        ("geneve", "kind: geneve, id: 5, remote: 10.0.0.2", "kind: geneve, external: on"),
        (
            "macvlan",
            "kind: macvlan, link: eth0, mode: bridge",
            "kind: macvlan, link: eth0, mode: passthru",
        ),
        ("macvtap", "kind: macvtap, link: eth0", "kind: macvtap, link: eth0, mode: passthru"),
        (
            "vxlan",
            "kind: vxlan, id: 100, remote: 10.0.0.2",
            "kind: vxlan, id: 100, remote: \"2001:db8::2\"",
        ),
        (
            "vxlan",
            "kind: vxlan, id: 100, dev: eth0, remote: 10.0.0.2",
            "kind: vxlan, id: 100, dev: eth0, remote: 239.1.1.1",
        ),
    ];
    vnet_testns::root(|| {
        for (needs, from, to) in CASES {
            vnet_testns::requires(&[needs]);
            let both = [lab(&format!("{{ {from} }}")), lab(&format!("{{ {to} }}"))];
            let mut lab = open(&both[0]);
            lab.up(&both[0], |_| {}).unwrap();
            for (wanted, text) in both.iter().zip([from, to]).rev() {
                let index = link("x")["ifindex"].clone();
                lab.up(wanted, |_| {}).unwrap_or_else(|error| panic!("{from}, {to}: {error}"));
                assert_ne!(link("x")["ifindex"], index, "{from}, {to}");
                assert_eq!(planned(&lab, wanted), Vec::<String>::new());
                let told = sh("ip -n k-a -d link show dev x");
                assert_eq!(told.contains(" external "), text.contains("external"), "{told}");
            }
            lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        }
    });
}

/// All options of a bridge's ports: what the bridge program says of them, a change in place, the way
/// back, and a port that somebody takes out.
#[test]
fn ports_of_a_bridge() {
    const MORE: &str = "priority: 8, hairpin: on, guard: on, root_block: on, fastleave: on, \
        learning: off, flood: off, proxy_arp: on, mcast_router: 2, mcast_flood: off, \
        mcast_to_unicast: on, bcast_flood: off, neigh_suppress: on, isolated: on, \
        proxy_arp_wifi: on, vlan_tunnel: on, group_fwd_mask: 8, locked: on";
    let file = |port: &str| {
        super::desired(&format!(
            "{{ name: k, nodes: {{ a: {{ interfaces: {{ x: {{ kind: bridge, ports: m0 }} }} }}, b: }}, \
             links: [ {{ endpoints: {{ a:m0: {{ port: {{ {port} }} }}, b:m0: }} }} ] }}"
        ))
    };
    vnet_testns::root(|| {
        vnet_testns::requires(&["bridge"]);
        let (bare, full) = (file("cost: 7"), file(&format!("cost: 7, {MORE}")));
        let mut lab = open(&bare);
        lab.up(&bare, |_| {}).unwrap();
        let usual = info("m0");
        let up = lab.up(&full, |_| {}).unwrap();
        assert_eq!(up.steps.len(), 1, "{:?}", signed(&up.steps));
        assert_eq!(planned(&lab, &full), Vec::<String>::new());
        let port = || {
            let json = sh("bridge -n k-a -d -j link show dev m0");
            serde_json::from_str::<Value>(&json).unwrap()[0].clone()
        };
        let shows = |on: &[&str], off: &[&str]| {
            let port = port();
            on.iter().for_each(|key| assert_eq!(port[*key], true, "{key} of {port:#}"));
            off.iter().for_each(|key| assert_eq!(port[*key], false, "{key} of {port:#}"));
            port
        };
        let turned_on = [
            "hairpin",
            "guard",
            "root_block",
            "fastleave",
            "mcast_to_unicast",
            "neigh_suppress",
            "isolated",
        ];
        let turned_off = ["learning", "flood", "mcast_flood", "bcast_flood"];
        let port = shows(&turned_on, &turned_off);
        assert_eq!((&port["priority"], &port["cost"]), (&Value::from(8), &Value::from(7)));
        assert_eq!(port["mcast_router"], 2, "{port:#}");
        assert_eq!((&port["vlan_tunnel"], &port["locked"]), (&true.into(), &true.into()));
        let told = &info("m0")["info_slave_data"];
        assert_eq!(unsaid(told, "proxy_arp_wifi: on, group_fwd_mask: 8"), Vec::<String>::new());
        // `bridge` says nothing of this one.
        let proxy_arp = || info("m0")["info_slave_data"]["proxy_arp"].clone();
        assert_eq!(proxy_arp(), true);

        sh("ip -n k-a link set dev m0 nomaster");
        assert_ne!(planned(&lab, &full), Vec::<String>::new());
        lab.up(&full, |_| {}).unwrap();
        assert_eq!(planned(&lab, &full), Vec::<String>::new());
        shows(&turned_on, &turned_off);

        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((info("m0"), proxy_arp()), (usual, false.into()));
        assert_eq!(shows(&turned_off, &turned_on)["mcast_router"], 1);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// From which ports a VXLAN sends, and whether its time to live is that of what is inside.
#[test]
fn flows_of_a_vxlan() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vxlan"]);
        let with = |more: &str| lab(&format!("{{ kind: vxlan, id: 100, remote: 10.0.0.2{more} }}"));
        let (bare, full) = (with(""), with(", srcport: 40000-50000, ttl_inherit: on"));
        let mut lab = open(&bare);
        lab.up(&bare, |_| {}).unwrap();
        let usual = info("x");
        lab.up(&full, |_| {}).unwrap();
        let told = sh("ip -n k-a -d link show dev x");
        for words in ["srcport 40000 50000 ", "ttl inherit "] {
            assert!(told.contains(words), "no {words}in {told}");
        }
        assert_eq!(planned(&lab, &full), Vec::<String>::new());
        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((info("x"), planned(&lab, &bare)), (usual, Vec::new()));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// What a kernel whose ticks are 1/250 s can't keep is no difference for ever.
#[test]
fn odd_times_of_a_bridge() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["bridge"]);
        let odd = lab(
            "{ kind: bridge, ageing_time: 30001, hello_time: 301, mcast_query_interval: 12501 }",
        );
        let mut lab = open(&odd);
        lab.up(&odd, |_| {}).unwrap();
        assert_eq!(planned(&lab, &odd), Vec::<String>::new());
        sh("ip -n k-a link set dev x type bridge ageing_time 29998");
        assert_eq!(planned(&lab, &odd), ["~ k-a:x ageing_time 30001"]);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// The port that takes over from another: said before that is one, changed, taken away.
#[test]
fn backup_of_a_port() {
    let file = |port: &str| {
        super::desired(&format!(
            "{{ name: k, nodes: {{ a: {{ interfaces: {{ x: {{ kind: bridge, ports: [ m0, m1, m2 ] }} }} }}, b: }}, \
             links: [ {{ endpoints: {{ a:m0: {{ port: {{ {port} }} }}, b:m0: }} }}, [ a:m1, b:m1 ], [ a:m2, b:m2 ] ] }}"
        ))
    };
    vnet_testns::root(|| {
        vnet_testns::requires(&["bridge"]);
        let [first, second, bare] = ["backup_port: m1", "backup_port: m2", ""].map(file);
        let told = || info("m0")["info_slave_data"]["backup_port"].clone();
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!((told(), planned(&lab, &first)), ("m1".into(), Vec::new()));
        let up = lab.up(&second, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:m0 port backup_port m2"]);
        assert_eq!(told(), "m2");
        sh("ip -n k-a link set dev m0 type bridge_slave nobackup_port");
        assert_eq!(planned(&lab, &second), ["~ k-a:m0 port backup_port m2"]);
        lab.up(&second, |_| {}).unwrap();
        let up = lab.up(&bare, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:m0 port backup_port none"]);
        assert_eq!((told(), planned(&lab, &bare)), (Value::Null, Vec::new()));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// Each word that an option takes is told by `ip` as such.
#[test]
fn each_word_is_what_it_says() {
    const ASKS: &str =
        "kind: bond, mode: active-backup, arp_interval: 100, arp_ip_target: 10.0.0.2";
    const CASES: [(&str, &str, &str); 17] = [
        ("macvlan", "kind: macvlan, link: eth0", "mode"),
        ("macvtap", "kind: macvtap, link: eth0", "mode"),
        ("ipvlan", "kind: ipvlan, link: eth0", "mode"),
        ("bond", "kind: bond", "mode"),
        ("bond", "kind: bond", "xmit_hash_policy"),
        ("bond", "kind: bond, mode: active-backup", "fail_over_mac"),
        ("bond", "kind: bond, mode: active-backup", "primary_reselect"),
        ("bond", "kind: bond, mode: 802.3ad", "ad_select"),
        ("bond", "kind: bond, mode: 802.3ad", "lacp_rate"),
        ("bond", ASKS, "arp_validate"),
        ("bond", ASKS, "arp_all_targets"),
        ("vxlan", "kind: vxlan, id: 100, remote: 10.0.0.2", "df"),
        ("geneve", "kind: geneve, id: 5, remote: 10.0.0.2", "df"),
        ("ipip", "kind: ipip, local: 10.0.0.1, remote: 10.0.0.2", "mode"),
        ("sit", "kind: sit, local: 10.0.0.1, remote: 10.0.0.2", "mode"),
        ("ip6tnl", "kind: ip6tnl, local: \"2001:db8::1\", remote: \"2001:db8::2\"", "mode"),
        ("vlan-ad", "kind: vlan, link: eth0, id: 10", "protocol"),
    ];
    vnet_testns::root(|| {
        for (needs, least, key) in CASES {
            vnet_testns::requires(&[needs]);
            let kind = least.trim_start_matches("kind: ").split(',').next().unwrap();
            let option = vnet::model::kind::find(kind).unwrap().option_called(key).unwrap();
            let with = |word: &str| super::lab(&format!("{{ {least}, {key}: {word} }}"));
            let words: Vec<&str> = option.form.words().collect();
            let mut lab = open(&with(words[0]));
            for word in words {
                let wanted = with(word);
                lab.up(&wanted, |_| {}).unwrap_or_else(|error| panic!("{least}, {word}: {error}"));
                let said = format!("{key}: {word}");
                assert_eq!(unsaid(&info("x")["info_data"], &said), Vec::<String>::new());
                assert_eq!(planned(&lab, &wanted), Vec::<String>::new(), "{least}, {word}");
            }
            lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        }
    });
}

/// Which port of a bond is preferred, and the packets of which queue take it.
#[test]
fn ports_of_a_bond() {
    let file = |port: &str| {
        super::desired(&format!(
            "{{ name: k, nodes: {{ a: {{ interfaces: {{ x: {{ kind: bond, mode: active-backup, miimon: 100, \
             ports: [ m0, m1 ] }} }} }}, b: }}, \
             links: [ {{ endpoints: {{ a:m0: {{ port: {{ {port} }} }}, b:m0: }} }}, [ a:m1, b:m1 ] ] }}"
        ))
    };
    vnet_testns::root(|| {
        vnet_testns::requires(&["bond"]);
        let (bare, full) = (file("queue_id: 1"), file("queue_id: 1, prio: 10"));
        let of = |key: &str| info("m0")["info_slave_data"][key].clone();
        let told = || of("prio");
        let mut lab = open(&bare);
        let none = file("queue_id: 0");
        lab.up(&none, |_| {}).unwrap();
        let up = lab.up(&bare, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:m0 port queue_id 1"]);
        assert_eq!(of("queue_id"), 1);
        let up = lab.up(&full, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:m0 port prio 10"]);
        assert_eq!((told(), planned(&lab, &full)), (10.into(), Vec::new()));
        lab.up(&bare, |_| {}).unwrap();
        assert_eq!((told(), planned(&lab, &bare)), (0.into(), Vec::new()));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
