//! Where a packet that does not arrive is seen last, on the real kernel.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, down, probing, replied, shown, up};
use vnet::Lab;
use vnet::model::Packet;
use vnet::model::sighting::Heading;
use vnet::why::{Ask, Dropped, Told, Verdict};
use vnet_testns::sh;

/// What `why` leaves behind would be seen in here: tables of filters and packet sockets.
fn remains() -> String {
    let file = "$HOME/remains";
    sh(&format!(
        "for ns in $(ip netns | cut -d' ' -f1); do
           ip netns exec $ns nft list tables; ip netns exec $ns tail -n +2 /proc/net/packet
         done >{file}"
    ));
    std::fs::read_to_string(std::env::var("HOME").unwrap() + "/remains").unwrap()
}

/// Asks, and sees that the model agrees and nothing remains.
fn ask(lab: &Lab, from: &str, to: &str, packet: Packet) -> Told {
    let told = leaving_nothing(lab, from, to, packet);
    let spotted = told.spotted.as_ref().unwrap();
    assert_eq!(spotted.blind, [], "{}", shown(&told));
    told
}

fn leaving_nothing(lab: &Lab, from: &str, to: &str, packet: Packet) -> Told {
    let before = remains();
    let told = lab.why(from, to, &Ask { packet, ..probing() }).unwrap();
    assert_eq!(remains(), before);
    told
}

fn last(told: &Told) -> String {
    assert_eq!(told.answer.verdict, Verdict::Unreachable, "{}", shown(told));
    let spotted = told.spotted.as_ref().unwrap();
    assert!(!replied(told) && spotted.agrees == Some(true), "{}", shown(told));
    spotted.last.to_string()
}

#[test]
fn a_packet_is_seen_all_the_way_and_back() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let ways = |told: &Told, heading: Heading| -> Vec<String> {
            let spotted = told.spotted.as_ref().unwrap();
            let seen = spotted.sightings.iter().filter(|seen| seen.heading == heading);
            let mut all: Vec<String> = seen
                .map(|seen| format!("{} {}:{}", u8::from(seen.leaves), seen.ns, seen.dev))
                .collect();
            all.dedup();
            all
        };
        let there = ["1 a:r1", "0 r1:a", "1 r1:r2", "0 r2:r1", "1 r2:b", "0 b:r2"];
        let back = ["1 b:r2", "0 r2:b", "1 r2:r1", "0 r1:r2", "1 r1:a", "0 a:r1"];
        let told = ask(&lab, "a", "b", Packet::Icmp);
        assert!(replied(&told), "{}", shown(&told));
        assert_eq!(told.spotted.as_ref().unwrap().agrees, None);
        assert_eq!(ways(&told, Heading::Forth), there);
        assert_eq!(ways(&told, Heading::Back), back);
        // Nobody listens: the refusal comes back, from where it was last seen.
        for packet in [Packet::Tcp(80), Packet::Udp(53)] {
            let told = ask(&lab, "a", "b", packet);
            assert_eq!(last(&told), "last seen entering b by r2");
            assert_eq!(ways(&told, Heading::Forth), there, "{packet}");
            assert_eq!(ways(&told, Heading::Refusal), back, "{packet}");
        }
        // Seen in an address translation too: the number of a connection stays as it is.
        sh("ip netns exec r1 nft 'table ip n { chain c { type nat hook postrouting priority 100; \
            oif r2 masquerade; }; }'
            ip netns exec b perl -MIO::Socket::INET -e '
              my $s = IO::Socket::INET->new(Listen=>1, LocalPort=>80) or die; sleep 20' \
              >/dev/null 2>&1 & echo $! >$HOME/listener; sleep 0.5");
        let told = ask(&lab, "a", "b", Packet::Tcp(80));
        assert!(replied(&told), "{}", shown(&told));
        assert_eq!(ways(&told, Heading::Forth), there);
        assert_eq!(ways(&told, Heading::Back), back);
        sh("kill $(cat $HOME/listener); sleep 0.1");
        down(lab);
    });
}

#[test]
fn where_it_gets_lost_it_was_seen_last() {
    const DROP: &str = "ip netns exec r1 nft 'table inet f { chain c { type filter hook";
    let damages = [
        (format!("{DROP} forward priority 0; drop; }}; }}'"), "entering r1 by a"),
        (format!("{DROP} postrouting priority 0; oifname r2 drop; }}; }}'"), "entering r1 by a"),
        ("ip -n b route del 10.0.1.0/24".into(), "entering b by r2"),
        ("ip -n r2 route del 10.0.1.0/24".into(), "entering r2 by b, on the way back"),
        ("ip -n r1 route del 10.0.3.0/24".into(), "entering r1 by a"),
        (
            "ip -n r1 neigh replace 10.0.2.2 dev r2 lladdr 02:00:00:00:00:01 nud permanent".into(),
            "leaving r1 by r2 (to r2:r1, whose hardware address is another)",
        ),
        (
            "ip netns exec r2 sh -c 'echo 0 >/proc/sys/net/ipv4/conf/r1/forwarding'".into(),
            "entering r2 by r1",
        ),
        ("ip -n r2 link set dev r1 down".into(), "entering r1 by a"),
        (
            "ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'".into(),
            "entering b by r2",
        ),
    ];
    vnet_testns::root(|| {
        for (damage, wanted) in damages {
            let lab = up(&desired("chain"));
            sh(&damage);
            let told = ask(&lab, "a", "b", Packet::Icmp);
            assert_eq!(last(&told), format!("last seen {wanted}"), "{damage}: {}", shown(&told));
            // Who filters says so itself.
            let spotted = told.spotted.unwrap();
            let dropped =
                spotted.dropped.iter().map(|it| format!("{} {} {:?}", it.ns, it.table, it.rule));
            let drop = match damage.find("nft").map(|_| damage.contains("oif")) {
                None => vec![],
                Some(false) => vec!["r1 inet f Some(\"drop\")".to_owned()],
                Some(true) => vec![format!("r1 inet f {:?}", Some("oifname \"r2\" drop"))],
            };
            assert_eq!(dropped.collect::<Vec<_>>(), drop, "{damage}");
            assert_eq!(spotted.untraced, []);
            down(lab);
        }
        let lab = up(&desired("chain"));
        sh("ip -n a route del 10.0.3.0/24");
        assert_eq!(last(&ask(&lab, "a", "b", Packet::Icmp)), "it never left a");
        sh("ip -n a route add 10.0.3.0/24 via 10.0.1.2
            ip netns exec b nft 'table inet f { chain c { type filter hook input priority 0; \
            tcp dport 80 drop; }; }'");
        let told = ask(&lab, "a", "b", Packet::Tcp(80));
        assert_eq!(last(&told), "last seen entering b by r2");
        let dropped = &told.spotted.unwrap().dropped[0];
        assert_eq!(dropped.rule.as_deref(), Some("tcp dport 80 drop"));
        // The policy of a chain, on the way back.
        sh("ip netns exec r2 nft 'table inet f { chain c { type filter hook forward priority 0; \
            policy drop; iif r1 accept; }; }'");
        let told = ask(&lab, "a", "b", Packet::Icmp);
        assert_eq!(last(&told), "last seen entering r2 by b, on the way back");
        let dropped = &told.spotted.unwrap().dropped[0];
        assert_eq!((dropped.ns.as_str(), &dropped.rule), ("r2", &None));
        down(lab);
    });
}

#[test]
fn a_source_that_is_not_believed_is_seen_where_it_comes_in() {
    vnet_testns::root(|| {
        let lab = up(&desired("asymmetric"));
        sh("for key in all b; do ip netns exec l sh -c \"echo 1 >/proc/sys/net/ipv4/conf/$key/rp_filter\"; done
            ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter'");
        let told = ask(&lab, "a", "10.1.3.2", Packet::Icmp);
        assert_eq!(last(&told), "last seen entering b by l", "{}", shown(&told));
        assert_eq!(told.answer.causes[0].code, "rp-filter", "{}", shown(&told));
        assert!(has_grown(&told, "b", "TcpExt IPReversePathFilter"), "{:?}", told.spotted);
        down(lab);
    });
}

fn has_grown(told: &Told, ns: &str, counter: &str) -> bool {
    let mut all = told.spotted.iter().flat_map(|spotted| &spotted.grown);
    all.any(|it| it.ns.as_str() == ns && it.counter == counter && it.by > 0)
}

/// Counters say where something was lost, and only there.
#[test]
fn what_is_counted_where_a_packet_is_lost_is_told() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let told = ask(&lab, "a", "b", Packet::Icmp);
        assert!(replied(&told) && told.spotted.unwrap().grown.is_empty());
        let told = ask(&lab, "a", "b", Packet::Udp(53));
        assert!(has_grown(&told, "b", "Udp NoPorts"), "{:?}", told.spotted);
        sh("ip -n r2 route add unreachable 10.0.3.2/32
            ip -n r1 route del 10.0.3.0/24");
        let told = ask(&lab, "a", "b", Packet::Icmp);
        assert_eq!(last(&told), "last seen entering r1 by a");
        let spotted = told.spotted.as_ref().unwrap();
        assert!(has_grown(&told, "r1", "IpExt InNoRoutes"), "{spotted:?}");
        assert!(spotted.grown.iter().all(|it| it.ns.as_str() == "r1"), "{spotted:?}");
        down(lab);
    });
}

/// What the kernel itself gives as reasons. It tells them to the machine's root only.
#[test]
fn vm_the_kernels_own_reasons_are_told() {
    vnet_testns::machine_root(|| {
        vnet_testns::requires(&["drop-reasons", "nft"]);
        let lab = up(&desired("chain"));
        let told = ask(&lab, "a", "b", Packet::Icmp);
        assert!(replied(&told), "{}", shown(&told));
        let spotted = told.spotted.unwrap();
        assert_eq!((spotted.reasons, spotted.unheard), (vec![], None));
        for packet in [Packet::Udp(53), Packet::Tcp(80)] {
            is_reason(&ask(&lab, "a", "b", packet), "NO_SOCKET");
        }
        let r1 = "ip netns exec r1";
        let damages = [
            (
                format!(
                    "{r1} nft 'table ip f {{ chain c {{ type filter hook forward priority 0; drop; }}; }}'"
                ),
                format!("{r1} nft delete table ip f"),
                "NETFILTER_DROP",
            ),
            (
                "ip -n r1 route del 10.0.3.0/24".to_owned(),
                "ip -n r1 route add 10.0.3.0/24 via 10.0.2.2".to_owned(),
                "IP_INNOROUTES",
            ),
            (
                "ip -n r1 neigh replace 10.0.2.2 dev r2 lladdr 02:00:00:00:00:01 nud permanent"
                    .to_owned(),
                "ip -n r1 neigh del 10.0.2.2 dev r2".to_owned(),
                "OTHERHOST",
            ),
        ];
        for (damage, mend, reason) in damages {
            sh(&damage);
            is_reason(&ask(&lab, "a", "b", Packet::Icmp), reason);
            sh(&mend);
        }
        down(lab);
        let lab = up(&desired("asymmetric"));
        sh("for key in all b; do ip netns exec l sh -c \"echo 1 >/proc/sys/net/ipv4/conf/$key/rp_filter\"; done
            ip netns exec b sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter'");
        is_reason(&ask(&lab, "a", "10.1.3.2", Packet::Icmp), "IP_RPFILTER");
        down(lab);
    });
}

fn is_reason(told: &Told, reason: &str) {
    let spotted = told.spotted.as_ref().unwrap();
    assert_eq!(spotted.unheard, None);
    let reasons = &spotted.reasons;
    let is_one = reasons.iter().any(|loss| loss.reason == reason && loss.means().is_some());
    assert!(is_one && !replied(told), "{reason} is not in {reasons:?}: {}", shown(told));
}

/// A port of a bridge passes on what is for others: who has it is looked for behind it.
#[test]
fn a_bridge_is_looked_into() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        let told = ask(&lab, "pc1", "pc2", Packet::Icmp);
        assert!(replied(&told), "{}", shown(&told));
        let on_bridge = told.spotted.as_ref().unwrap().sightings.iter();
        let on_bridge = on_bridge.filter(|seen| seen.ns.as_str() == "lan").count();
        assert!(on_bridge >= 4, "{}", shown(&told));
        sh(
            "ip netns exec lan nft 'table bridge f { chain c { type filter hook forward priority 0; \
            ether type ip drop; }; }'",
        );
        let told = ask(&lab, "pc1", "pc2", Packet::Icmp);
        let spotted = told.spotted.as_ref().unwrap();
        assert_eq!(spotted.last.to_string(), "last seen entering lan by pc1", "{}", shown(&told));
        assert_eq!(told.answer.causes[0].code, "filter-drop", "{}", shown(&told));
        assert!(!replied(&told) && spotted.agrees == Some(true), "{}", shown(&told));
        assert_eq!(dropped(&told), ["lan bridge f c ether type ip drop"]);
        down(lab);
    });
}

fn dropped(told: &Told) -> Vec<String> {
    let spotted = told.spotted.as_ref().unwrap();
    assert_eq!(spotted.untraced, [], "{}", shown(told));
    let text = |it: &Dropped| {
        let rule = it.rule.as_deref().unwrap_or("by its policy");
        format!("{} {} {} {rule}", it.ns, it.table, it.chain)
    };
    spotted.dropped.iter().map(text).collect()
}

/// Chains of bridges and of single interfaces are traced as those of packets are, by whatever they drop it.
#[test]
fn what_a_bridge_or_an_interface_drops_is_traced() {
    vnet_testns::root(|| {
        let chains = [
            ("lan", "bridge f", "hook prerouting priority 0", "meta mark 0 drop"),
            ("lan", "bridge f", "hook output priority 0; policy drop", ""),
            ("lan", "bridge f", "hook postrouting priority 0", "oifname \"pc2\" drop"),
            ("lan", "bridge f", "hook forward priority 0; policy drop", ""),
            ("lan", "netdev f", "hook ingress device pc1 priority 0", "meta l4proto icmp drop"),
            ("lan", "netdev f", "hook ingress device pc2 priority 0; policy drop", ""),
            ("lan", "netdev f", "hook egress device pc2 priority 0", "drop"),
            ("pc2", "inet f", "hook ingress device lan priority 0", "drop"),
            ("pc1", "netdev f", "hook egress device lan priority 0", "meta l4proto icmp drop"),
        ];
        let lab = up(&desired("lan"));
        // They know each other: ARP would be dropped too.
        for (ns, other, addr) in [("pc1", "pc2", "10.0.0.3"), ("pc2", "pc1", "10.0.0.2")] {
            sh(&format!(
                "ip -n {ns} neigh replace {addr} dev lan nud permanent \
                    lladdr $(ip netns exec {other} cat /sys/class/net/lan/address)"
            ));
        }
        assert!(replied(&leaving_nothing(&lab, "pc1", "pc2", Packet::Icmp)));
        for (ns, table, hook, rule) in chains {
            sh(&format!(
                "ip netns exec {ns} nft 'table {table} {{ chain c {{ type filter {hook}; {rule}; }}; }}'"
            ));
            let told = leaving_nothing(&lab, "pc1", "pc2", Packet::Icmp);
            // The bridge itself sends nothing.
            let is_met = !hook.contains("output");
            assert_eq!(replied(&told), !is_met, "{table} {hook}: {}", shown(&told));
            let rule = if rule.is_empty() { "by its policy" } else { rule };
            let wanted = is_met.then(|| format!("{ns} {table} c {rule}"));
            assert_eq!(dropped(&told), Vec::from_iter(wanted), "{hook}: {}", shown(&told));
            // On paper it is the same one.
            let named = told.answer.causes.first().map(|cause| cause.object.as_str());
            let object = format!("in chain c of table {table} on {ns}");
            let policy = format!("chain c of table {table} on {ns}");
            let is_it = |named: &str| named.ends_with(&object) || named == policy;
            assert_eq!(named.is_some_and(is_it), is_met, "{hook}: {}", shown(&told));
            assert_eq!(
                told.spotted.as_ref().unwrap().agrees,
                is_met.then_some(true),
                "{hook}: {}",
                shown(&told)
            );
            // And a connection, by its port.
            let told = leaving_nothing(&lab, "pc1", "pc2", Packet::Tcp(80));
            let is_met = is_met && !rule.contains("icmp");
            assert_eq!(dropped(&told).is_empty(), !is_met, "{hook}: {}", shown(&told));
            sh(&format!("ip netns exec {ns} nft delete table {table}"));
        }
        down(lab);
    });
}
