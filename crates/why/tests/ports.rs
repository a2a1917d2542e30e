//! Who listens on a port, and at which address.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, down, probing, replied, shown, up};
use vnet::model::Packet;
use vnet::why::{Ask, Verdict};
use vnet_testns::sh;

/// Listens with Perl, which every Debian has, until the lab goes down.
fn listen(ns: &str, how: &str) {
    sh(&format!(
        "ip netns exec {ns} perl -MIO::Socket::INET -e '
           my $s = IO::Socket::INET->new({how}) or die $!; open F, q(>), $ENV{{HOME}}.q(/listens); sleep 60' \
           >/dev/null 2>&1 & echo $! >>$HOME/listeners
         while [ ! -e $HOME/listens ]; do sleep 0.01; done; rm $HOME/listens"
    ));
}

#[test]
fn a_port_is_asked_where_it_is() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let ask = |packet: Packet| {
            let told = lab.why("a", "b", &Ask { packet, ..probing() }).unwrap();
            assert!(!told.disagree(), "{}", shown(&told));
            told
        };
        let told = ask(Packet::Tcp(80));
        let cause = &told.answer.causes[0];
        assert_eq!((cause.code, cause.object.as_str()), ("nobody-listens", "tcp/80 on b"));
        listen("r2", "Listen=>1, LocalPort=>80");
        assert_eq!(
            ask(Packet::Tcp(80)).answer.causes[0].evidence,
            "nobody listens on tcp/80 in b; somebody does in r2"
        );
        listen("b", "Listen=>1, LocalAddr=>q(127.0.0.1), LocalPort=>80");
        let cause = ask(Packet::Tcp(80)).answer.causes.remove(0);
        assert_eq!((cause.code, cause.object.as_str()), ("listens-elsewhere", "tcp/80 on b"));
        assert_eq!(cause.evidence, "b listens on tcp/80, but only at 127.0.0.1, not at 10.0.3.2");
        listen("b", "Listen=>1, LocalPort=>81");
        let told = ask(Packet::Tcp(81));
        assert!(told.answer.verdict == Verdict::Reachable && replied(&told), "{}", shown(&told));
        listen("b", "Proto=>q(udp), LocalAddr=>q(10.0.3.2), LocalPort=>53");
        assert_eq!(ask(Packet::Udp(53)).answer.verdict, Verdict::Reachable);
        assert_eq!(ask(Packet::Udp(54)).answer.causes[0].code, "nobody-listens");
        // A filter on the port comes first.
        sh("ip netns exec r1 nft 'table inet f { chain c { type filter hook forward priority 0; \
            tcp dport 81 drop; }; }'");
        assert_eq!(ask(Packet::Tcp(81)).answer.causes[0].code, "filter-drop");
        sh("kill $(cat $HOME/listeners); sleep 0.5");
        down(lab);
    });
}

/// Rules that are for other packets do nothing, and those for these do, source chosen first or not.
#[test]
fn rules_are_asked_in_turn() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        listen("b", "Listen=>1, LocalPort=>80");
        let ask = |packet: Packet| {
            let told = lab.why("a", "b", &Ask { packet, ..probing() }).unwrap();
            assert!(!told.disagree(), "{}", shown(&told));
            told.answer
        };
        // None of these is for a ping, and what finds nothing asks on.
        sh("ip -n r1 rule add ipproto tcp dport 80 pref 1 blackhole
            ip -n r1 rule add fwmark 0x10/0xff pref 2 blackhole
            ip -n r1 rule add iif r2 to 10.0.3.0/24 pref 3 blackhole
            ip -n r1 rule add tos 0x10 pref 4 blackhole
            ip -n r1 rule add not from all pref 5 blackhole
            ip -n r1 rule add pref 6 lookup 77
            ip -n r1 route add throw default table 77
            ip -n r1 rule add pref 7 lookup main suppress_prefixlength 0
            ip -n r1 rule add pref 8 blackhole
            ip -n r2 rule add pref 5 goto 32766
            ip -n r2 rule add pref 6 blackhole");
        assert_eq!(ask(Packet::Icmp).verdict, Verdict::Reachable);
        let answer = ask(Packet::Tcp(80));
        let cause = &answer.causes[0];
        assert_eq!(cause.code, "rule-refuses");
        assert!(cause.object.contains("ipproto 6 dport 80 blackhole"), "{}", cause.object);
        sh("ip -n r1 rule del pref 1");
        assert_eq!(ask(Packet::Tcp(80)).verdict, Verdict::Reachable);
        // Who connects asks again when it knows its source; who pings does not.
        sh("ip -n a rule add from 10.0.1.1 pref 9 blackhole");
        assert_eq!(ask(Packet::Icmp).verdict, Verdict::Reachable);
        assert_eq!(ask(Packet::Tcp(80)).causes[0].code, "rule-refuses");
        sh("kill $(cat $HOME/listeners); sleep 0.5");
        down(lab);
    });
}

/// The kernel is asked too what becomes of the packet wherever it is routed, and what it says otherwise
/// is told.
#[test]
fn the_kernel_is_asked_about_each_decision() {
    vnet_testns::root(|| {
        let desired = desired("chain");
        let lab = up(&desired);
        let told = lab.why("a", "b", &probing()).unwrap();
        // Three routers' tables and the end's, in both directions.
        assert_eq!((told.compared, told.otherwise.len()), (8, 0), "{:?}", told.otherwise);
        let realm = vnet::kernel::Realm::own().unwrap();
        let names: Vec<_> = desired.state.namespaces.keys().cloned().collect();
        let facts = vnet::kernel::observe::survey::survey(&realm, &names).unwrap();
        sh("ip -n r1 route replace 10.0.3.0/24 via 10.0.1.1 dev a
            ip -n b route add blackhole 10.0.1.1");
        let (_, otherwise) = vnet::why::compare(&realm, &facts, &told.answer.routed).unwrap();
        let said: Vec<String> = otherwise.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "a packet from 10.0.1.1 to 10.0.3.2 in r1: the kernel sends it by a to 10.0.1.1, \
                 the model sends it by r2 to 10.0.2.2",
                "a packet from 10.0.3.2 to 10.0.1.1 in b: the kernel drops it, \
                 the model sends it by r2 to 10.0.3.1",
            ]
        );
        down(lab);
    });
}
