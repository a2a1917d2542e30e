//! Echo probes on real networks, made with the `ip` command.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};
use vnet_kernel::Realm;
use vnet_kernel::echo::{Options, Outcome, Probe, Reason, echo};
use vnet_model::{IfName, NsName};
use vnet_testns::sh;

fn probe(ns: &str, dst: &str) -> Probe {
    Probe::new(NsName::new(ns).unwrap(), dst.parse().unwrap())
}

fn ask(probes: &[Probe]) -> Vec<Outcome> {
    ask_with(probes, &Options::default())
}

fn ask_with(probes: &[Probe], options: &Options) -> Vec<Outcome> {
    let mut told = vec![None; probes.len()];
    let realm = Realm::own().unwrap();
    let outcomes = echo(&realm, probes, options, |index, outcome| {
        assert_eq!(told[index].replace(*outcome), None, "probe {index} is told twice");
    });
    let outcomes = outcomes.unwrap();
    assert!(told.iter().zip(&outcomes).all(|(told, outcome)| *told == Some(*outcome)));
    outcomes
}

fn is_reply(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reply { .. })
}

fn unreachable(from: &str, reason: Reason) -> Outcome {
    Outcome::Unreachable { from: from.parse().unwrap(), reason }
}

/// Runs `ip` commands, in a namespace if one is named.
fn ip(ns: Option<&str>, commands: &str) {
    let ns = ns.map_or(String::new(), |ns| format!("-n {ns}"));
    sh(&format!("ip {ns} -batch - <<'END'\n{commands}\nEND"));
}

fn forward(ns: &str) {
    sh(&format!(
        "ip netns exec {ns} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'"
    ));
}

/// a:e0 10.0.1.2, 2001:db8:1::2 --- r:ra, r:rb --- b:e0 10.0.2.2, 2001:db8:2::2
/// The router has .1 and ::1.
fn routed() {
    ip(
        None,
        "netns add a\nnetns add r\nnetns add b
         link add e0 netns a type veth peer name ra netns r
         link add e0 netns b type veth peer name rb netns r",
    );
    let common = "link set lo up\nlink set e0 up";
    for (ns, net) in [("a", 1), ("b", 2)] {
        ip(
            Some(ns),
            &format!(
                "{common}\naddr add 10.0.{net}.2/24 dev e0
                 addr add 2001:db8:{net}::2/64 dev e0 nodad"
            ),
        );
    }
    ip(
        Some("r"),
        "link set lo up\nlink set ra up\nlink set rb up
         addr add 10.0.1.1/24 dev ra\naddr add 2001:db8:1::1/64 dev ra nodad
         addr add 10.0.2.1/24 dev rb\naddr add 2001:db8:2::1/64 dev rb nodad",
    );
    for (ns, net) in [("a", 1), ("b", 2)] {
        ip(
            Some(ns),
            &format!("route add default via 10.0.{net}.1\nroute add default via 2001:db8:{net}::1"),
        );
    }
    forward("r");
}

fn neighbours(namespaces: &[&str]) -> String {
    let mut all = String::new();
    for ns in namespaces {
        all += &sh(&format!("ip -n {ns} neigh show nud all | grep -v ' ff02:\\|^ff02:' || true"));
    }
    all.lines().filter(|line| !line.contains("NOARP")).fold(String::new(), |mut all, line| {
        writeln!(all, "{line}").unwrap();
        all
    })
}

fn end() {
    sh("ip -all netns del");
}

#[test]
fn both_families_are_answered_and_nothing_remains() {
    vnet_testns::root(|| {
        routed();
        // Neighbours that are not the probes': one learned, one configured.
        ip(Some("a"), "neigh add 10.0.1.77 lladdr 02:00:00:00:00:77 dev e0 nud stale");
        ip(Some("a"), "neigh add 10.0.1.1 lladdr 02:00:00:00:00:99 dev e0 nud stale");
        let mac = sh("ip -n r -br link show ra | awk '{print $3}'");
        ip(Some("a"), &format!("neigh replace 10.0.1.1 lladdr {} dev e0", mac.trim()));
        let before = neighbours(&["a", "r", "b"]);
        assert_eq!(before.lines().count(), 2, "{before}");

        let mut with_src = probe("a", "10.0.2.2");
        with_src.src = Some("10.0.1.2".parse().unwrap());
        let probes = [
            probe("a", "10.0.2.2"),
            probe("b", "10.0.1.2"),
            probe("a", "2001:db8:2::2"),
            probe("b", "2001:db8:1::2"),
            probe("a", "127.0.0.1"),
            probe("a", "::1"),
            probe("a", "10.0.1.1"),
            with_src,
        ];
        let watched = vec![NsName::new("r").unwrap(), NsName::new("gone").unwrap()];
        let outcomes = ask_with(&probes, &Options { watched, ..Options::default() });
        for outcome in &outcomes {
            let Outcome::Reply { rtt } = outcome else { panic!("{outcomes:?}") };
            assert!(*rtt > Duration::ZERO && *rtt < Duration::from_millis(500));
        }
        assert_eq!(neighbours(&["a", "r", "b"]), before);
        end();
    });
}

#[test]
fn what_the_kernel_does_not_send_has_its_errno() {
    vnet_testns::root(|| {
        ip(None, "netns add a");
        ip(
            Some("a"),
            "link set lo up\nlink add e0 type veth peer name e1
             route add prohibit 10.1.0.0/16\nroute add unreachable 10.2.0.0/16
             route add blackhole 10.3.0.0/16",
        );
        let mut no_dev = probe("a", "fe80::1");
        no_dev.dst_dev = Some(IfName::new("nope").unwrap());
        let mut no_src = probe("a", "127.0.0.1");
        no_src.src = Some("10.9.9.9".parse().unwrap());
        let mut mixed = probe("a", "127.0.0.1");
        mixed.src = Some("::1".parse().unwrap());
        let cases = [
            (probe("a", "10.0.0.1"), Errno::NETUNREACH),
            (probe("a", "2001:db8::1"), Errno::NETUNREACH),
            (probe("a", "10.1.0.1"), Errno::ACCESS),
            (probe("a", "10.2.0.1"), Errno::HOSTUNREACH),
            (probe("a", "10.3.0.1"), Errno::INVAL),
            (no_dev, Errno::NODEV),
            (no_src, Errno::NETUNREACH),
            (mixed, Errno::AFNOSUPPORT),
        ];
        let probes: Vec<Probe> = cases.iter().map(|(probe, _)| probe.clone()).collect();
        for (outcome, (probe, errno)) in ask(&probes).into_iter().zip(cases) {
            assert_eq!(outcome, Outcome::CannotSend { errno }, "{probe:?}");
        }
        end();
    });
}

#[test]
fn a_source_that_is_tentative_cannot_send() {
    vnet_testns::root(|| {
        ip(None, "netns add a");
        ip(
            Some("a"),
            "link set lo up\nlink add e0 type veth peer name e1\nlink set e1 up\nlink set e0 up
             addr add 2001:db8::1/64 dev e0",
        );
        let mut from = probe("a", "2001:db8::2");
        from.src = Some("2001:db8::1".parse().unwrap());
        assert_eq!(ask(&[from]), [Outcome::CannotSend { errno: Errno::INVAL }]);
        end();
    });
}

#[test]
fn a_router_says_why_and_silence_is_silence() {
    vnet_testns::root(|| {
        routed();
        ip(
            Some("r"),
            "route add prohibit 10.1.0.0/16\nroute add unreachable 10.2.0.0/16
             route add blackhole 10.3.0.0/16\nroute add prohibit 2001:db8:a::/48
             route add blackhole 2001:db8:b::/48\nlink set rb mtu 1400",
        );
        ip(Some("b"), "link set e0 mtu 1400");
        sh("ip netns exec b sh -c 'echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all'");
        let probes = [
            probe("a", "10.1.0.1"),
            probe("a", "10.2.0.1"),
            probe("a", "10.3.0.1"),
            // From elsewhere: a Linux router sends two errors of IPv4 in a row to one place.
            probe("b", "10.4.0.1"),
            probe("a", "10.0.2.2"),
            probe("a", "2001:db8:a::1"),
            probe("a", "2001:db8:b::1"),
            probe("a", "2001:db8:c::1"),
        ];
        let expected = [
            unreachable("10.0.1.1", Reason::Prohibited),
            unreachable("10.0.1.1", Reason::HostUnreachable),
            Outcome::NoAnswer,
            unreachable("10.0.2.1", Reason::NetworkUnreachable),
            Outcome::NoAnswer,
            unreachable("2001:db8:1::1", Reason::Prohibited),
            Outcome::NoAnswer,
            unreachable("2001:db8:1::1", Reason::NetworkUnreachable),
        ];
        assert_eq!(ask(&probes), expected);

        let long = Options { payload_bytes: 1440, ..Options::default() };
        let too_big = Reason::PacketTooBig { mtu_bytes: 1400 };
        let probes = [probe("a", "10.0.2.2"), probe("a", "2001:db8:2::2")];
        let outcomes = ask_with(&probes, &long);
        let expected = [unreachable("10.0.1.1", too_big), unreachable("2001:db8:1::1", too_big)];
        assert_eq!(outcomes, expected);
        end();
    });
}

#[test]
fn a_neighbour_that_is_not_there_is_told_by_the_kernel_when_waited_for() {
    vnet_testns::root(|| {
        routed();
        let options = Options { timeout: Duration::from_secs(4), ..Options::default() };
        let outcomes = ask_with(&[probe("a", "10.0.1.9")], &options);
        assert_eq!(outcomes, [unreachable("10.0.1.2", Reason::HostUnreachable)]);
        assert_eq!(ask(&[probe("a", "10.0.1.9")]), [Outcome::NoAnswer]);
        assert_eq!(neighbours(&["a"]), "");
        end();
    });
}

#[test]
fn link_local_destinations_take_an_interface() {
    vnet_testns::root(|| {
        routed();
        ip(Some("r"), "addr add fe80::1/64 dev ra nodad");
        ip(Some("a"), "addr add fe80::2/64 dev e0 nodad");
        let mut near = probe("a", "fe80::1");
        near.dst_dev = Some(IfName::new("e0").unwrap());
        assert!(is_reply(&ask(&[near])[0]));
        end();
    });
}

#[test]
fn a_namespace_that_is_not_there_is_an_error() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        let error = echo(&realm, &[probe("a", "10.0.0.1")], &Options::default(), |_, _| {});
        assert_eq!(error.unwrap_err().to_string(), "namespace a is gone");
    });
}

/// All on one bridge: n0..n99 with 10.0.0.1..100 and 2001:db8::1..64.
fn flat(count: usize) -> Vec<(String, [IpAddr; 2])> {
    let mut commands = String::from("netns add sw\n");
    for i in 0..count {
        write!(
            commands,
            "netns add n{i}\nlink add p{i} netns sw type veth peer name e0 netns n{i}\n"
        )
        .unwrap();
    }
    ip(None, &commands);
    sh("ip netns exec sw sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
        for f in /proc/sys/net/ipv6/conf/p*/disable_ipv6; do echo 1 > $f; done'");
    let mut commands = String::from("link add br0 type bridge\nlink set br0 up\n");
    for i in 0..count {
        writeln!(commands, "link set p{i} master br0 up").unwrap();
    }
    ip(Some("sw"), &commands);
    let node = |i: usize| {
        let host = i + 1;
        let name = format!("n{i}");
        ip(
            Some(&name),
            &format!(
                "link set lo up\nlink set e0 up\naddr add 10.0.0.{host}/24 dev e0
                 addr add 2001:db8::{host:x}/64 dev e0 nodad"
            ),
        );
        let v4 = format!("10.0.0.{host}").parse().unwrap();
        (name, [v4, format!("2001:db8::{host:x}").parse().unwrap()])
    };
    (0..count).map(node).collect()
}

fn all_pairs(nodes: &[(String, [IpAddr; 2])], family: usize) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (src, _) in nodes {
        for (dst, addrs) in nodes {
            if src != dst {
                probes.push(Probe::new(NsName::new(src).unwrap(), addrs[family]));
            }
        }
    }
    probes
}

fn assert_all_reply(probes: &[Probe], outcomes: &[Outcome]) {
    let wrong: Vec<_> = probes.iter().zip(outcomes).filter(|(_, o)| !is_reply(o)).collect();
    let some = &wrong[..wrong.len().min(5)];
    assert!(wrong.is_empty(), "{} of {} wrong: {some:?}", wrong.len(), probes.len());
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
fn timed(what: &str, probes: &[Probe]) -> Vec<Outcome> {
    let started = Instant::now();
    let outcomes = ask(probes);
    let took = started.elapsed();
    let mut rtts: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| if let Outcome::Reply { rtt } = outcome { Some(*rtt) } else { None })
        .collect();
    rtts.sort_unstable();
    let rtt = |at: usize| rtts.get(at).copied().unwrap_or_default();
    let (median, max) = (rtt(rtts.len() / 2), rtt(rtts.len().saturating_sub(1)));
    let (all, answered) = (probes.len(), rtts.len());
    println!("{what}: {answered} of {all} in {took:.2?}, RTT median {median:.2?}, max {max:.2?}");
    outcomes
}

#[test]
fn all_pairs_of_a_large_segment_answer() {
    vnet_testns::root(|| {
        let nodes = flat(100);
        let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
        for family in [0, 1] {
            let probes = all_pairs(&nodes, family);
            let outcomes = timed(["flat, IPv4", "flat, IPv6"][family], &probes);
            assert_all_reply(&probes, &outcomes);
            assert_eq!(neighbours(&names), "");
        }
        end();
    });
}

#[test]
fn few_descriptors_and_many_static_neighbours_do_no_harm() {
    vnet_testns::root(|| {
        let nodes = flat(30);
        let mut commands = String::new();
        for i in 0..1_100 {
            let (high, low) = (i / 250, i % 250);
            writeln!(commands, "neigh add 10.1.{high}.{low} lladdr 02:00:00:00:00:01 dev e0")
                .unwrap();
        }
        ip(Some("n0"), &commands);
        let limit = Rlimit { current: Some(256), maximum: Some(256) };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut probes = all_pairs(&nodes, 0);
        probes.extend(all_pairs(&nodes, 1));
        let outcomes = timed("flat, 21 namespaces open", &probes);
        assert_all_reply(&probes, &outcomes);
        let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(neighbours(&names).lines().count(), 1_100);
        end();
    });
}

#[test]
fn all_pairs_of_a_routed_lab_answer() {
    vnet_testns::root(|| {
        let mut commands = String::from("netns add hub\n");
        for i in 0..99 {
            write!(
                commands,
                "netns add n{i}\nlink add e{i} netns hub type veth peer name e0 netns n{i}\n"
            )
            .unwrap();
        }
        ip(None, &commands);
        forward("hub");
        let mut hub = String::from("link set lo up\naddr add 10.255.0.1/32 dev lo\n");
        for i in 0..99 {
            write!(hub, "link set e{i} up\naddr add 10.0.{i}.1/24 dev e{i}\n").unwrap();
        }
        ip(Some("hub"), &hub);
        let mut nodes = vec![("hub".to_owned(), ["10.255.0.1".parse().unwrap(); 2])];
        for i in 0..99 {
            let name = format!("n{i}");
            ip(
                Some(&name),
                &format!(
                    "link set lo up\nlink set e0 up\naddr add 10.0.{i}.2/24 dev e0
                     route add default via 10.0.{i}.1"
                ),
            );
            nodes.push((name, [format!("10.0.{i}.2").parse().unwrap(); 2]));
        }
        let probes = all_pairs(&nodes, 0);
        assert_eq!(probes.len(), 9_900);
        let outcomes = timed("routed", &probes);
        assert_all_reply(&probes, &outcomes);

        // Everything is lost: the end comes after a few timeouts all the same.
        ip(Some("hub"), "route add blackhole 10.0.0.0/8");
        let mut cut = String::new();
        for i in 0..99 {
            writeln!(cut, "addr del 10.0.{i}.1/24 dev e{i}").unwrap();
        }
        ip(Some("hub"), &cut);
        for (name, _) in &nodes[1..] {
            let i = &name[1..];
            let mac = sh(&format!("ip -n hub -br link show e{i} | awk '{{print $3}}'"));
            ip(Some(name), &format!("neigh replace 10.0.{i}.1 lladdr {} dev e0", mac.trim()));
        }
        let outcomes = timed("routed, cut", &probes);
        let from_leaf =
            probes.iter().zip(&outcomes).filter(|(probe, _)| probe.ns.as_str() != "hub");
        let silent = from_leaf.filter(|(_, outcome)| **outcome == Outcome::NoAnswer).count();
        assert_eq!(silent, 99 * 99);
        end();
    });
}
