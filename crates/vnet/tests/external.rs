//! A segment that the host is on leads to the world, and nothing of it is left behind.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use common::{desired, open, planned, signed};
use vnet::why::{Ask, Told, Verdict};
use vnet::{Desired, Down, Error, Lab};
use vnet_model::{NsName, Packet};
use vnet_testns::sh;

/// ```text
///  pc ── isp ──[ world ]── host ── eth0:inet      198.51.100.0/24
///                172.30.0.0/24
/// ```
const LAB: &str = "
name: out
nodes: { isp: { forward: true, nat: [ { masquerade: world } ] }, pc: }
segments:
  world: { external: true, prefix: [ 172.30.0.0/24, 2001:db8:30::/64 ], members: [ isp ] }
links: [ { endpoints: [ isp, pc ], prefix: 10.0.0.0/24, gateway: isp } ]
";

const NOTHING: [String; 0] = [];

/// Puts the test's own namespace, which is the host here, on a network of others'.
fn world() {
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip link set lo up
        ip netns add inet
        ip link add up0 type veth peer name eth0 netns inet
        ip address add 198.51.100.1/24 dev up0
        ip link set up0 up
        ip -n inet address add 198.51.100.2/24 dev eth0
        ip -n inet link set eth0 up
        for _ in $(seq 500); do ip link show up0 | grep -q 'state UP' && exit; sleep 0.01; done
        exit 1");
}

fn end_of_the_world() {
    sh("ip link del up0; ip netns del inet");
}

/// All that is in the host, but what its own settings bring of themselves, and how far links have come.
fn host() -> String {
    sh(
        "ip -o link | sed 's/^[0-9]*: //; s/ state [A-Z]* / /'; ip -o address | grep -v fe80; nft list ruleset",
    )
}

#[test]
fn a_member_reaches_a_server_in_the_host_and_beyond() {
    vnet_testns::root(|| {
        world();
        let before = host();
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        assert_eq!(planned(&lab, &desired), NOTHING);
        sh("ip netns exec out-isp ping -q -c 1 -W 2 172.30.0.1");
        sh("ip netns exec out-isp ping -q -c 1 -W 2 2001:db8:30::1");
        // The far end knows the way to nobody but the host.
        sh("ip netns exec out-isp ping -q -c 1 -W 2 198.51.100.2");
        sh("ip netns exec out-pc ping -q -c 1 -W 2 198.51.100.2");

        assert!(sh("nft list ruleset").contains("ip saddr 172.30.0.0/24 masquerade"));

        for damage in [
            "ip link del out-world",
            "nft delete table inet vnet-out",
            "ip address del 172.30.0.1/24 dev out-world",
            "ip link property del dev out-world altname vnet:out:world",
            "ip -n out-world link set dev host nomaster",
        ] {
            sh(damage);
            assert!(!planned(&lab, &desired).is_empty(), "{damage}");
            lab.up(&desired, |_| {}).unwrap();
            assert_eq!(planned(&lab, &desired), NOTHING, "{damage}");
        }
        sh("ip netns exec out-isp ping -q -c 1 -W 2 198.51.100.2");
        // Nothing of the host's own was touched by all that.
        sh("nft flush ruleset; nft add table inet mine; ip link add mine0 type bridge");
        lab.up(&desired, |_| {}).unwrap();
        down(&mut lab);
        assert!(
            sh("nft list ruleset").contains("inet mine")
                && !sh("nft list ruleset").contains("vnet")
        );
        sh("nft delete table inet mine; ip link del mine0");
        assert_eq!(host(), before);
        end_of_the_world();
    });
}

#[test]
fn what_is_no_longer_external_leaves_the_host() {
    vnet_testns::root(|| {
        world();
        let before = host();
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        let without = common::desired(&LAB.replace("external: true, ", ""));
        let done = lab.up(&without, |_| {}).unwrap();
        let steps = signed(&done.steps);
        assert!(steps.iter().any(|step| step.starts_with("- nftables inet vnet-out")), "{steps:?}");
        assert_eq!(planned(&lab, &without), NOTHING);
        assert_eq!(host(), before);
        // Without a record, the marks alone say what is the lab's.
        lab.up(&desired, |_| {}).unwrap();
        sh("rm /run/vnet/out/lab.json");
        down(&mut lab);
        assert_eq!(host(), before);
        end_of_the_world();
    });
}

#[test]
fn a_host_that_can_not_serve_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        let desired = desired(LAB);
        let mut lab = open(&desired);
        sh("sysctl -qw net.ipv4.ip_forward=0");
        let error = lab.up(&desired, |_| {}).unwrap_err();
        assert!(matches!(error, Error::HostForwarding { .. }), "{error}");
        sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        sh("ip link add out-world type bridge");
        let error = lab.up(&desired, |_| {}).unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "host:out-world exists, is a bridge and was not made by vnet");
        assert_eq!(sh("ip netns list"), "");
        sh("ip link del out-world; nft add table inet vnet-out");
        let error = lab.up(&desired, |_| {}).unwrap_err().to_string();
        assert!(error.contains("inet vnet-out"), "{error}");
        sh("nft delete table inet vnet-out");
        sh("ip link add mine0 type dummy 2>/dev/null || ip link add mine0 type bridge
            ip address add 172.30.0.77/16 dev mine0");
        let error = lab.up(&desired, |_| {}).unwrap_err().to_string();
        let said = "172.30.0.1/24 of the lab's out-world is in use in the host: mine0 has \
                    172.30.0.77/16";
        assert_eq!(error, said);
        assert_eq!(sh("ip netns list"), "");
        // A larger network in which the lab's lies is none of its business.
        sh("ip address flush dev mine0; ip address add 172.30.1.77/16 dev mine0");
        lab.up(&desired, |_| {}).unwrap();
        down(&mut lab);
        sh("ip link del mine0");
    });
}

/// ```text
///  127.0.0.1:8080 ── host ──(169.254.x.y/31)── web:80
/// ```
fn published(ports: &str) -> Desired {
    desired(&format!(
        "{{ name: pub, nodes: {{ web: {{ publish: [ {ports} ] }}, pc: }},
           links: [ {{ endpoints: [ web, pc ], prefix: 10.0.0.0/24 }} ] }}"
    ))
}

/// Answers TCP on port 80 of the node, and UDP on port 53.
const SERVER: &str = "ip netns exec pub-web perl -MIO::Socket -e '
    my $t = IO::Socket::INET->new(Listen => 9, LocalPort => 80, ReuseAddr => 1) or die $!;
    my $u = IO::Socket::INET->new(Proto => q(udp), LocalPort => 53) or die $!;
    open F, q(>), $ENV{HOME}.q(/listens); close F;
    if (fork) { while (my $c = $t->accept) { print $c q(tcp); close $c } }
    else { while ($u->recv(my $b, 9)) { $u->send(q(udp)) } }' >/dev/null 2>&1 &
    while [ ! -e $HOME/listens ]; do sleep 0.01; done";

/// Asks a TCP port of the host's 127.0.0.1, where this test is.
fn tcp(port: u16) -> Result<String, std::io::Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn udp(port: u16) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.send_to(b"?", ("127.0.0.1", port)).unwrap();
    let mut bytes = [0; 9];
    let (len, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!(from.to_string(), format!("127.0.0.1:{port}"));
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

#[test]
fn a_published_port_is_reached_from_the_host_and_from_nowhere_else() {
    vnet_testns::root(|| {
        sh("ip link set lo up");
        let before = host();
        let first = published("tcp/8080:80, udp/5353:53");
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!(planned(&lab, &first), NOTHING);
        assert!(tcp(8080).is_err(), "nobody listens yet");
        told(&lab, &[("nobody-listens", "tcp/80 on web")], false);
        sh(SERVER);
        assert_eq!((tcp(8080).unwrap(), udp(5353)), ("tcp".to_owned(), "udp".to_owned()));
        told(&lab, &[], true);
        // The node answers by that cable, and begins nothing.
        let near = "$(ip -n pub-web -o route show dev host | cut -d/ -f1)";
        sh(&format!("! ip netns exec pub-web ping -q -c 1 -W 1 {near}"));
        // No other address of the host leads there.
        assert!(TcpStream::connect("127.0.0.2:8080").is_err());

        for damage in [
            "ip link del pub-web",
            "nft delete table inet vnet-pub",
            "sysctl -qw net.ipv4.conf.pub-web.route_localnet=0",
            "ip -n pub-web address flush dev host",
            "ip -n pub-web link set host down",
        ] {
            sh(damage);
            assert!(!planned(&lab, &first).is_empty(), "{damage}");
            lab.up(&first, |_| {}).unwrap();
            assert_eq!(planned(&lab, &first), NOTHING, "{damage}");
            assert_eq!(tcp(8080).unwrap(), "tcp", "{damage}");
        }
        for (damage, cause) in [
            (
                "nft delete table inet vnet-pub",
                ("translation-missing", "table inet vnet-pub on host"),
            ),
            (
                "sysctl -qw net.ipv4.conf.pub-web.route_localnet=0",
                ("loopback-kept-in", "host:pub-web"),
            ),
            ("ip -n pub-web link set host down", ("peer-down", "web:host")),
        ] {
            sh(damage);
            let told_of = told(&lab, &[cause], false);
            for mend in told_of.answer.causes.iter().flat_map(|cause| &cause.mend) {
                mend.commands().iter().for_each(|command| drop(sh(command)));
            }
            told(&lab, &[], true);
        }
        // Another port is a change of the table alone.
        let second = published("tcp/8081:80, udp/5353:53");
        let done = lab.up(&second, |_| {}).unwrap();
        assert_eq!(signed(&done.steps).len(), 1, "{:?}", signed(&done.steps));
        assert_eq!(tcp(8081).unwrap(), "tcp");
        assert!(tcp(8080).is_err());
        sh("ip netns pids pub-web | xargs kill
            while ip netns pids pub-web | grep -q .; do sleep 0.02; done");
        let none = published("");
        lab.up(&none, |_| {}).unwrap();
        assert_eq!(planned(&lab, &none), NOTHING);
        assert_eq!(host(), before);
        lab.up(&first, |_| {}).unwrap();
        down(&mut lab);
        assert_eq!(host(), before);
    });
}

#[test]
fn a_port_that_is_somebody_elses_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        sh("ip link set lo up");
        let wanted = published("tcp/8080:80, udp/5353:53");
        let mut lab = open(&wanted);
        let refused = |lab: &mut Lab, by: &str| {
            let before = host() + &sh("ip netns list");
            let error = lab.up(&wanted, |_| {}).unwrap_err();
            assert!(matches!(error, Error::HostPortInUse { .. }), "{error:?}");
            assert_eq!(error.to_string(), by);
            assert!(error.origin().index().is_some(), "the line of the port is known");
            assert_eq!(host() + &sh("ip netns list"), before);
        };
        // Another lab's.
        let other = desired("{ name: first, nodes: { web: { publish: udp/5353 } } }");
        let mut first = open(&other);
        first.up(&other, |_| {}).unwrap();
        refused(&mut lab, "udp/5353 of the host is in use: lab first publishes it");
        first.up(&other, |_| {}).unwrap();
        down(&mut first);
        // A program's.
        for (address, takes) in [
            ("127.0.0.1:8080", true),
            ("0.0.0.0:8080", true),
            ("[::]:8080", true),
            ("127.0.0.2:8080", false),
            ("[::1]:8080", false),
            ("0.0.0.0:8081", false),
            ("127.0.0.1:5353", false),
        ] {
            let listener = TcpListener::bind(address).unwrap();
            if takes {
                let by = format!("tcp/8080 of the host is in use: somebody listens on {address}");
                refused(&mut lab, &by);
            } else {
                lab.up(&wanted, |_| {}).unwrap();
                down(&mut lab);
            }
            drop(listener);
        }
        let socket = UdpSocket::bind("0.0.0.0:5353").unwrap();
        refused(&mut lab, "udp/5353 of the host is in use: somebody listens on 0.0.0.0:5353");
        drop(socket);
        // Who comes later takes nothing from it, and keeps it from no change.
        lab.up(&wanted, |_| {}).unwrap();
        let later = TcpListener::bind("0.0.0.0:8080").unwrap();
        sh("ip link del pub-web");
        lab.up(&wanted, |_| {}).unwrap();
        assert_eq!(planned(&lab, &wanted), NOTHING);
        down(&mut lab);
        drop(later);
    });
}

/// Asks why the published port is not reached, and checks what is said against what the kernel does.
fn told(lab: &Lab, causes: &[(&str, &str)], answers: bool) -> Told {
    let (packet, beside) = (Packet::Tcp(8080), vec![NsName::host()]);
    let ask = Ask { packet, beside, probe: true, ..Ask::default() };
    let told = lab.why("host", "127.0.0.1", &ask).unwrap();
    let found = told.answer.causes.iter().map(|cause| (cause.code, cause.object.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), causes, "{told:#?}");
    let verdict = if answers { Verdict::Reachable } else { Verdict::Unreachable };
    let replied = told.probed.and_then(|probed| probed.replied());
    assert_eq!((told.answer.verdict, replied), (verdict, Some(answers)), "{told:#?}");
    assert_eq!(told.otherwise, [], "{told:#?}");
    told
}

fn down(lab: &mut Lab) {
    lab.down(&Down { wait: true, ..Down::default() }).unwrap();
}
