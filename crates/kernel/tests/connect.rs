//! Connections and datagrams between real namespaces, made with the `ip` command.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::time::Duration;

use rustix::io::Errno;
use vnet_kernel::Realm;
use vnet_kernel::connect::{Attempt, Outcome, connect};
use vnet_model::{NsName, Packet};
use vnet_testns::sh;

/// a:e0 10.0.1.1, 2001:db8::1 --- b:e0 10.0.1.2, 2001:db8::2
fn pair() {
    sh("ip netns add a; ip netns add b
        ip link add e0 netns a type veth peer name e0 netns b
        for n in 1:a 2:b; do ns=${n#*:}; ip -n $ns link set lo up; ip -n $ns link set e0 up
        ip -n $ns addr add 10.0.1.${n%:*}/24 dev e0
        ip -n $ns addr add 2001:db8::${n%:*}/64 dev e0 nodad; done");
}

fn unpair() {
    sh("ip netns del a; ip netns del b");
}

fn attempt(dst: &str, packet: &str) -> Attempt {
    let packet: Packet = packet.parse().unwrap();
    let at = Some((NsName::new("b").unwrap(), packet.port().unwrap()));
    let dst = dst.parse().unwrap();
    Attempt { from: NsName::new("a").unwrap(), src: None, dst, scope: 0, packet, at }
}

fn ask(attempts: &[Attempt]) -> Vec<Outcome> {
    connect(&Realm::own().unwrap(), attempts, Duration::from_millis(1500)).unwrap()
}

/// Listens in `b` from here on with Perl, which every Debian has.
fn listen(how: &str) {
    sh(&format!(
        "ip netns exec b perl -MIO::Socket::INET -e '
           my $s = IO::Socket::INET->new({how}) or die $!; open F, q(>), $ENV{{HOME}}.q(/listens); sleep 60' >/dev/null 2>&1 &
         echo $! >$HOME/listener; while [ ! -e $HOME/listens ]; do sleep 0.01; done; rm $HOME/listens"
    ));
}

fn stop_listening() {
    sh("kill $(cat $HOME/listener)");
}

#[test]
fn where_nobody_listens_the_probe_does() {
    vnet_testns::root(|| {
        pair();
        let all = ["10.0.1.2", "2001:db8::2"];
        let attempts: Vec<Attempt> = all
            .iter()
            .flat_map(|dst| ["tcp/80", "udp/53", "tcp/80"].map(|packet| attempt(dst, packet)))
            .collect();
        for (attempt, outcome) in attempts.iter().zip(ask(&attempts)) {
            let from = if attempt.dst.is_ipv4() { "10.0.1.1" } else { "2001:db8::1" };
            let seen = Some(from.parse().unwrap());
            assert!(
                matches!(outcome, Outcome::Reached { seen: s, .. } if s == seen),
                "{attempt:?}: {outcome:?}"
            );
        }
        // Nothing is left, not even a connection that waits for its end.
        let left = sh("ip netns exec a cat /proc/net/tcp /proc/net/udp | grep -vc local || true;
                       ip netns exec b cat /proc/net/tcp /proc/net/udp | grep -vc local || true");
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
        unpair();
    });
}

#[test]
fn who_listens_already_is_asked_as_it_is() {
    vnet_testns::root(|| {
        pair();
        listen("Listen=>1, LocalAddr=>q(10.0.1.2), LocalPort=>80");
        let outcome = ask(&[attempt("10.0.1.2", "tcp/80")]);
        assert!(matches!(outcome[0], Outcome::Reached { seen: None, .. }), "{outcome:?}");
        stop_listening();
        // Somebody is on the port, if for itself alone: that is not replaced by the probe.
        listen("Listen=>1, LocalAddr=>q(127.0.0.1), LocalPort=>81");
        let refused = Outcome::Refused { errno: Errno::CONNREFUSED };
        assert_eq!(ask(&[attempt("10.0.1.2", "tcp/81")]), [refused]);
        stop_listening();
        listen("Proto=>q(udp), LocalAddr=>q(10.0.1.2), LocalPort=>53");
        assert_eq!(ask(&[attempt("10.0.1.2", "udp/53")]), [Outcome::Untold]);
        stop_listening();
        unpair();
    });
}

#[test]
fn what_does_not_answer_is_told_apart() {
    vnet_testns::root(|| {
        pair();
        let nobody = attempt("10.0.1.2", "tcp/82");
        let nobody = Attempt { at: None, ..nobody };
        let no_route = attempt("10.9.9.9", "tcp/80");
        let foreign = Attempt { src: Some("10.7.7.7".parse().unwrap()), ..nobody.clone() };
        let silent = attempt("10.0.1.77", "udp/9");
        let outcomes = ask(&[nobody, no_route, foreign, silent]);
        assert_eq!(
            outcomes,
            [
                Outcome::Refused { errno: Errno::CONNREFUSED },
                Outcome::Refused { errno: Errno::NETUNREACH },
                Outcome::Refused { errno: Errno::ADDRNOTAVAIL },
                Outcome::NoAnswer,
            ]
        );
        unpair();
    });
}
