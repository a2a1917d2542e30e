//! The model against the kernel: random labs, healthy and with random damage.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]
#![allow(clippy::print_stdout, reason = "what a run came to is shown where it fails, or on demand")]

mod common;

use std::io::Read;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{down, pairs, runner, shown, up};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use vnet::Desired;
use vnet::kernel::Realm;
use vnet::kernel::connect::{self, Attempt};
use vnet::kernel::echo::{self, Options, Probe};
use vnet::kernel::observe::survey::{listeners, survey};
use vnet::kernel::observe::{Scope, observe};
use vnet::why::{Probed, Told};
use vnet_model::{Facts, IfName, NsName, Packet, State};
use vnet_testns::sh;
use vnet_why::{Question, Routed, Verdict, World, why};

/// How many labs are damaged and asked in one run, where `VNET_WHY_LABS` does not say.
const LABS: usize = 300;

/// How many healthy labs are built.
const HEALTHY: usize = 15;

fn ask(
    desired: &Desired,
    state: &State,
    facts: Option<&Facts>,
    from: &NsName,
    dst: IpAddr,
) -> vnet_why::Answer {
    let world = World { state, facts, intent: Some(desired), assumed: &[] };
    why(&world, &Question::new(from.clone(), dst))
}

/// No cause is invented: where a packet arrives there is none, and where it does not there is one.
#[test]
fn healthy_labs_have_no_causes() {
    let mut runner = runner(7);
    let strategy = vnet_model::arbitrary::desired();
    let (mut asked, mut reached) = (0, 0);
    for _ in 0..200 {
        let (_, desired) = strategy.new_tree(&mut runner).unwrap().current();
        for (from, dst) in pairs(&desired) {
            let answer = ask(&desired, &desired.state, None, &from, dst);
            asked += 1;
            match answer.verdict {
                Verdict::Reachable => {
                    reached += 1;
                    assert!(answer.causes.is_empty(), "{from} to {dst}: {:?}", answer.causes);
                }
                _ => {
                    // What the file says is there; only routes and forwarding can be wanting.
                    let wanting = [
                        "no-route",
                        "no-route-back",
                        "different-subnets",
                        "forwarding-off",
                        "routing-loop",
                        "no-address",
                        "wrong-gateway",
                        "no-such-address",
                        "blackhole-route",
                        "route-astray",
                        "mtu-mismatch",
                        "address-on-port",
                        "wrong-mask",
                        "wrong-leg",
                    ];
                    for cause in &answer.causes {
                        assert!(wanting.contains(&cause.code), "{from} to {dst}: {answer:#?}");
                    }
                }
            }
        }
    }
    assert!(asked > 2000 && reached * 3 > asked, "{reached} of {asked}");
}

/// A sample of them is built: what is said on paper is said of what the kernel shows too, by the same
/// causes, and it is what the kernel does.
#[test]
fn healthy_labs_are_on_paper_what_they_are_in_the_kernel() {
    vnet_testns::root_within(Duration::from_secs(300), || {
        let mut runner = runner(7);
        let strategy = vnet_model::arbitrary::desired();
        let (mut asked, mut wrong) = (0, Vec::new());
        for lab in 0..HEALTHY {
            let (_, desired) = strategy.new_tree(&mut runner).unwrap().current();
            let built = up(&desired);
            let listeners = Listeners::start(&desired);
            asked += compare(&desired, &[], &mut wrong).0;
            drop(listeners);
            let realm = Realm::own().unwrap();
            let scope = Scope { lab: &desired.lab, declared: &desired.state, recorded: None };
            let state = observe(&realm, scope).unwrap().state;
            let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
            // IPv6 addresses can be used only after a second or two.
            let is_settled =
                |facts: &Facts| facts.namespaces.values().all(|it| it.unusable.is_empty());
            let surveyed = (0..25).map(|_| {
                std::thread::sleep(Duration::from_millis(100));
                survey(&realm, &names).unwrap()
            });
            let facts =
                surveyed.enumerate().find(|(at, facts)| *at == 24 || is_settled(facts)).unwrap().1;
            for (from, dst) in pairs(&desired) {
                let said = |answer: vnet_why::Answer| {
                    let codes: Vec<_> = answer.causes.iter().map(|cause| cause.code).collect();
                    (answer.verdict, codes)
                };
                let paper = said(ask(&desired, &desired.state, None, &from, dst));
                let real = said(ask(&desired, &state, Some(&facts), &from, dst));
                // The kernel's link-local addresses make more mends possible, behind which more is seen.
                if paper.0 != real.0 || !real.1.starts_with(&paper.1) {
                    wrong.push(format!("lab {lab}, {from} to {dst}: {paper:?}, really {real:?}"));
                }
            }
            down(built);
        }
        assert!(asked > 500, "{asked}");
        assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// Something that goes wrong, as a command.
fn damage(desired: &Desired, number: usize, kind: usize) -> Option<String> {
    let mut things: Vec<(&NsName, String)> = Vec::new();
    for (ns, namespace) in &desired.state.namespaces {
        let links = namespace.interfaces.keys().filter(|name| name.as_str() != "lo");
        match kind {
            0 => things.extend(links.map(|dev| (ns, format!("link set dev {dev} down")))),
            1 => things.extend(links.map(|dev| (ns, format!("link set dev {dev} nomaster")))),
            2 => {
                for (dev, interface) in &namespace.interfaces {
                    let nets = interface.addresses.iter().map(|a| a.net);
                    let nets = nets.filter(|net| !net.addr().is_loopback());
                    things.extend(nets.map(|net| (ns, format!("address del {net} dev {dev}"))));
                }
            }
            3 => {
                for route in &namespace.routes {
                    let six = if route.dst.addr().is_ipv6() { "-6 " } else { "" };
                    things.push((
                        ns,
                        format!("{six}route del {} metric {}", route.dst, route.metric),
                    ));
                }
            }
            4 => {
                for route in &namespace.routes {
                    let six = if route.dst.addr().is_ipv6() { "-6 " } else { "" };
                    things.push((ns, format!("{six}route add blackhole {} metric 1", route.dst)));
                }
            }
            5 => things.push((ns, "link set dev lo down".to_owned())),
            6 => {
                for (dev, interface) in &namespace.interfaces {
                    let nets = interface.addresses.iter().map(|a| a.net);
                    let nets = nets.filter(|net| !net.addr().is_loopback());
                    for net in nets.filter(|net| net.addr().is_ipv4()) {
                        for length in [8, 15, 32] {
                            let wrong = format!("{}/{length}", net.addr());
                            let add = format!("address add {wrong} dev {dev}");
                            things.push((
                                ns,
                                format!("address del {net} dev {dev}; ip -n {ns} {add}"),
                            ));
                        }
                    }
                }
            }
            7 => things.extend(
                links.map(|dev| (ns, sysctl(ns, &format!("ipv4/conf/{dev}/forwarding"), 0))),
            ),
            8 => things.extend(
                links.map(|dev| (ns, sysctl(ns, &format!("ipv6/conf/{dev}/disable_ipv6"), 1))),
            ),
            9 => things.extend(
                links.map(|dev| (ns, sysctl(ns, &format!("ipv4/conf/{dev}/rp_filter"), 1))),
            ),
            10 => {
                let gateways = namespace.routes.iter().flat_map(|route| &route.nexthops);
                let gateways: Vec<_> =
                    gateways.filter_map(|leg| Some((leg.via?, &leg.dev))).collect();
                for route in &namespace.routes {
                    for (via, dev) in &gateways {
                        if via.is_ipv4() == route.dst.addr().is_ipv4() && route.dst.prefix_len() > 0
                        {
                            let six = if via.is_ipv6() { "-6 " } else { "" };
                            let dst = route.dst;
                            things.push((
                                ns,
                                format!("{six}route add {dst} via {via} dev {dev} metric 3"),
                            ));
                        }
                    }
                }
            }
            11 => things.push((ns, sysctl(ns, "ipv6/conf/all/forwarding", 0))),
            12 => things.push((ns, sysctl(ns, "ipv4/conf/all/rp_filter", 1))),
            13 => things.extend(links.map(|dev| (ns, format!("link del dev {dev}")))),
            14 => {
                let bridges = namespace.interfaces.values().filter(|it| it.kind.is_bridge());
                for port in links.filter(|_| bridges.clone().next().is_some()) {
                    things
                        .extend(BRIDGED.map(|chain| (ns, nft(ns, "bridge", chain, port.as_str()))));
                }
            }
            15 => {
                let all = namespace.interfaces.iter();
                for (bridge, _) in all.filter(|(_, it)| it.kind.is_bridge()) {
                    things.extend(
                        HANDED_ON.map(|chain| (ns, nft(ns, "inet", chain, bridge.as_str()))),
                    );
                }
            }
            17 => things.extend(links.flat_map(|dev| translations(desired, ns, dev.as_str()))),
            18 => things.extend(rules(desired, namespace).into_iter().map(|rule| (ns, rule))),
            19 => {
                for (dev, addr) in neighbours(desired, ns) {
                    let six = if addr.is_ipv6() { "-6 " } else { "" };
                    let mac = "lladdr 02:00:00:00:00:01 nud permanent";
                    things.push((ns, format!("{six}neigh replace {addr} dev {dev} {mac}")));
                }
            }
            20 => {
                for (there, other) in desired.state.namespaces.iter().filter(|(it, _)| *it != ns) {
                    let theirs = other.interfaces.keys().filter(|name| name.as_str() != "lo");
                    let own: Vec<&IfName> = links.clone().collect();
                    things.extend(theirs.flat_map(|theirs| {
                        let mac =
                            format!("$(ip netns exec {there} cat /sys/class/net/{theirs}/address)");
                        let set = move |dev: &&IfName| format!("link set dev {dev} address {mac}");
                        own.iter().map(set).map(|it| (ns, it)).collect::<Vec<_>>()
                    }));
                }
            }
            21 => {
                let at = |chain: &&str| (ns, nft(ns, "inet", chain, "lo"));
                things.extend(OF_IP.iter().map(at));
            }
            22 => {
                for (_, addr) in pairs(desired).iter().filter(|(from, _)| from == ns) {
                    let six = if addr.is_ipv6() { "-6 " } else { "" };
                    let kinds = ["blackhole", "unreachable", "prohibit", "throw"];
                    let add = |kind| (ns, format!("{six}route add {kind} {addr} metric 1"));
                    things.extend(kinds.map(add));
                }
            }
            MTUS => {
                for dev in links {
                    let sizes = [600, 1280, 1300];
                    things.extend(sizes.map(|mtu| (ns, format!("link set dev {dev} mtu {mtu}"))));
                }
                for route in namespace.routes.iter().filter(|route| !route.nexthops.is_empty()) {
                    let six = if route.dst.addr().is_ipv6() { "-6 " } else { "" };
                    for lock in ["", "lock "] {
                        things.push((
                            ns,
                            format!("{six}route change {route} proto static mtu {lock}1300"),
                        ));
                    }
                }
            }
            _ => {
                for dev in namespace.interfaces.keys() {
                    let at = |(family, chain)| (ns, nft(ns, family, chain, dev.as_str()));
                    things.extend(AT_INTERFACES.map(at));
                }
            }
        }
    }
    (!things.is_empty()).then(|| {
        let (ns, what) = &things[number % things.len()];
        format!("ip -n {ns} {what}")
    })
}

/// How many kinds of damage there are; the last but one makes ways narrow.
const KINDS: usize = 25;
const MTUS: usize = 23;

/// Chains that translate what comes to an address to another, or what leaves by an interface.
fn translations<'d>(desired: &'d Desired, ns: &'d NsName, dev: &str) -> Vec<(&'d NsName, String)> {
    let all = pairs(desired).into_iter().filter(|(from, _)| from == ns).map(|(_, addr)| addr);
    let all: Vec<IpAddr> = all.collect();
    let mut found = Vec::new();
    for two in all.windows(2).filter(|two| two[0].is_ipv4() == two[1].is_ipv4()) {
        let family = if two[0].is_ipv4() { "ip" } else { "ip6" };
        let rule = format!("{family} daddr {} dnat to {}", two[0], two[1]);
        let nat = format!("type nat hook prerouting priority -100; {rule};");
        found.push((ns, nft(ns, family, &nat, dev)));
    }
    let leaving = "type nat hook postrouting priority 100; oifname PORT masquerade;";
    found.extend(["ip", "ip6"].map(|family| (ns, nft(ns, family, leaving, dev))));
    found
}

/// Policy rules: by prefixes, interfaces and ports, that drop, or lead to another table.
fn rules(desired: &Desired, namespace: &vnet_model::Namespace) -> Vec<String> {
    let all = desired.state.namespaces.values().flat_map(|other| other.interfaces.values());
    let nets = all.flat_map(|interface| &interface.addresses).map(|address| address.net.trunc());
    let nets = nets.filter(|net| !net.addr().is_loopback());
    let mut rules = Vec::new();
    for net in nets {
        let six = if net.addr().is_ipv6() { "-6 " } else { "" };
        for what in ["to", "from", "not to"] {
            for action in ["prohibit", "lookup 77", "lookup local", "goto 32766"] {
                rules.push(format!("{six}rule add {what} {net} priority 99 {action}"));
            }
        }
    }
    for dev in namespace.interfaces.keys() {
        rules.push(format!("rule add iif {dev} priority 98 blackhole"));
        rules.push(format!("-6 rule add iif {dev} ipproto tcp priority 98 unreachable"));
    }
    rules.push("rule add ipproto tcp dport 8080 priority 97 prohibit".to_owned());
    rules.push("rule del priority 0; true".to_owned());
    rules
}

/// Whom a namespace may have for neighbours: the addresses in its subnets that others have.
fn neighbours(desired: &Desired, ns: &NsName) -> Vec<(IfName, IpAddr)> {
    let addrs = pairs(desired).into_iter().filter(|(from, _)| from == ns).map(|(_, addr)| addr);
    let addrs: Vec<IpAddr> = addrs.collect();
    let own = desired.state.namespaces[ns].interfaces.iter();
    own.flat_map(|(dev, interface)| {
        let nets = interface.addresses.iter().map(|address| address.net);
        let near = nets.flat_map(|net| addrs.iter().filter(move |addr| net.contains(*addr)));
        near.map(|addr| (dev.clone(), *addr)).collect::<Vec<_>>()
    })
    .collect()
}

/// Chains of IP on whoever.
const OF_IP: [&str; 12] = [
    "type filter hook forward priority 0; policy drop; ct state established accept; meta l4proto tcp accept;",
    "type filter hook forward priority 0; policy drop; ct state new accept;",
    "type filter hook input priority 0; policy drop; ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept;",
    "type filter hook output priority 0; ip daddr 10.0.0.0/9 reject;",
    "type filter hook prerouting priority raw; tcp dport 8080 notrack;",
    "type filter hook postrouting priority 0; meta nfproto ipv6 icmpv6 type echo-request drop;",
    "type filter hook prerouting priority mangle; meta l4proto tcp meta mark set 7;",
    "type filter hook forward priority 0; ct state vmap { established : accept, related : accept, new : drop };",
    "type filter hook input priority 0; meta l4proto . ct state vmap { tcp . new : drop, icmp . new : accept };",
    "type filter hook prerouting priority 0; ip protocol . ip daddr { tcp . 10.0.0.0-10.127.255.255 } drop;",
    "type filter hook forward priority 0; ip ttl < 63 drop;",
    "type filter hook postrouting priority 0; ip6 hoplimit < 63 tcp dport { 80, 8000-9000 } drop;",
];

/// Chains of a bridge, with `PORT` for one of its ports. What they drop of ARP and neighbour discovery
/// they drop for good, whoever has asked before.
const BRIDGED: [&str; 7] = [
    "type filter hook forward priority 0; oifname PORT drop;",
    "type filter hook forward priority 0; policy drop; ether type arp accept; oifname PORT accept;",
    "type filter hook forward priority 0; policy drop; ether type { ip, ip6 } accept;",
    "type filter hook prerouting priority 0; iifname PORT meta l4proto tcp drop;",
    "type filter hook prerouting priority -300; iifname PORT ether type arp drop;",
    "type filter hook postrouting priority 0; oifname PORT ip saddr 10.0.0.0/9 drop;",
    "type filter hook input priority 0; iifname PORT drop;",
];

/// Chains of IP, to which bridges hand what they pass on where the kernel has `br_netfilter`.
const HANDED_ON: [&str; 3] = [
    "type filter hook forward priority 0; policy drop; ct state established,related accept; tcp dport 8080 accept;",
    "type filter hook forward priority 0; meta l4proto icmp ip daddr 10.0.0.0/9 drop;",
    "type filter hook prerouting priority 0; iifname PORT drop; meta l4proto tcp drop;",
];

/// Chains at an interface, `PORT`.
const AT_INTERFACES: [(&str, &str); 6] = [
    (
        "netdev",
        "type filter hook ingress device PORT priority 0; policy drop; meta protocol ip accept;",
    ),
    ("netdev", "type filter hook ingress device PORT priority 0; icmp type echo-reply drop;"),
    (
        "netdev",
        "type filter hook ingress device PORT priority 0; ip6 daddr fd00::/8 tcp dport 8080 drop;",
    ),
    ("netdev", "type filter hook egress device PORT priority 0; tcp flags syn / syn,ack drop;"),
    ("netdev", "type filter hook egress device PORT priority 0; ether type arp drop;"),
    (
        "inet",
        "type filter hook ingress device PORT priority 0; policy drop; tcp dport 8080 accept; meta l4proto != { tcp, icmp } accept;",
    ),
];

/// Adds a chain, behind an `ip` command that does nothing.
fn nft(ns: &NsName, family: &str, chain: &str, port: &str) -> String {
    let chain = chain.replace("PORT", &format!("\"{port}\""));
    let table = format!("table {family} random {{ chain c {{ {chain} }}; }}");
    format!("link show lo >/dev/null; ip netns exec {ns} nft '{table}'")
}

/// Writes a sysctl, behind an `ip` command that does nothing.
fn sysctl(ns: &NsName, key: &str, value: u8) -> String {
    format!("link show lo >/dev/null; ip netns exec {ns} sh -c 'echo {value} >/proc/sys/net/{key}'")
}

/// Makes a test of each part of the labs: most of the time they wait.
macro_rules! parts {
    ($($name:ident $part:literal)*) => {$(
        #[test]
        fn $name() {
            part($part);
        }
    )*};
}

parts! {
    the_model_says_what_the_kernel_does_1 0
    the_model_says_what_the_kernel_does_2 1
    the_model_says_what_the_kernel_does_3 2
    the_model_says_what_the_kernel_does_4 3
}

/// In how many parts the labs are worked off.
const PARTS: usize = 4;

/// For every pair the model's yes or no is the kernel's, to a ping and to a connection.
///
/// `VNET_WHY_LABS` and `VNET_WHY_SEED` (0 to 255) say how many labs, and which.
fn part(part: usize) {
    vnet_testns::root_within(std::time::Duration::from_secs(600), || {
        let labs = std::env::var("VNET_WHY_LABS").ok().and_then(|n| n.parse().ok()).unwrap_or(LABS);
        let mut runner = runner(std::env::var("VNET_WHY_SEED").map_or(1, |n| n.parse().unwrap()));
        let damages = prop::collection::vec((any::<usize>(), 0..KINDS), 0..4);
        let strategy = (vnet_model::arbitrary::desired(), damages);
        let (mut asked, mut reached, mut untold) = (0, 0, 0);
        let mut wrong = Vec::new();
        for number in 0..labs {
            let ((_, desired), damages) = strategy.new_tree(&mut runner).unwrap().current();
            if number % PARTS != part {
                continue;
            }
            let lab = up(&desired);
            let listeners = Listeners::start(&desired);
            let mut done = Vec::new();
            for (number, kind) in damages {
                if let Some(command) = damage(&desired, number, kind) {
                    sh(&format!("({command}) 2>/dev/null || true"));
                    done.push(command);
                }
            }
            let (all, good, none) = compare(&desired, &done, &mut wrong);
            (asked, reached, untold) = (asked + all, reached + good, untold + none);
            drop(listeners);
            down(lab);
        }
        let disagree = wrong.len();
        println!(
            "{labs} labs, {asked} pairs, {reached} reached, {untold} untold, {disagree} wrong"
        );
        // What it does not tell must be the exception: equal legs of which one is broken.
        assert!(untold * 20 <= asked, "{untold} of {asked} are not told");
        assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// How long what is asked in a batch may take; what was lost is asked for again, with more patience.
const WITHIN: Duration = Duration::from_millis(150);

/// The length of long packets.
const LONG_BYTES: u32 = 1400;

/// The port that every other node listens on.
const PORT: u16 = 8080;

/// Programs that listen on all addresses of every other node; they end with this.
struct Listeners(Vec<Child>);

impl Listeners {
    /// Starts them, in Perl, which every Debian has, and waits until they listen.
    fn start(desired: &Desired) -> Self {
        let script = format!(
            "use IO::Socket::IP; $| = 1; my $s = IO::Socket::IP->new(Listen => 1024, LocalHost => '::', \
             LocalPort => {PORT}, V6Only => 0, GetAddrInfoFlags => 0) or die $@; print 'x'; sleep 60"
        );
        let start = |ns: &NsName| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", ns.as_str(), "perl", "-e", &script]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
        };
        let mut children: Vec<Child> = desired.nodes.values().step_by(2).map(start).collect();
        for child in &mut children {
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        }
        Self(children)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().and_then(|()| child.wait()).unwrap();
        }
    }
}

/// Asks the kernel: by echo requests, or by connections.
fn tried(realm: &Realm, asked: &[Question], watched: &[NsName], within: Duration) -> Vec<Probed> {
    if asked[0].packet == Packet::Icmp {
        let probe = |question: &Question| Probe::new(question.from.clone(), question.dst);
        let probes: Vec<Probe> = asked.iter().map(probe).collect();
        let mut options =
            Options { timeout: within, watched: watched.to_vec(), ..Options::default() };
        if let Some(size) = asked[0].size_bytes {
            let headers = if asked[0].dst.is_ipv4() { 28 } else { 48 };
            (options.payload_bytes, options.whole) = (size as usize - headers, true);
        }
        let outcomes = echo::echo(realm, &probes, &options, |_, _| {}).unwrap();
        return outcomes.into_iter().map(Probed::Echo).collect();
    }
    let attempt = |question: &Question| Attempt {
        from: question.from.clone(),
        src: None,
        dst: question.dst,
        scope: 0,
        packet: question.packet,
        at: None,
    };
    let attempts: Vec<Attempt> = asked.iter().map(attempt).collect();
    let outcomes = connect::connect(realm, &attempts, within).unwrap();
    outcomes.into_iter().map(Probed::Port).collect()
}

fn compare(desired: &Desired, damage: &[String], wrong: &mut Vec<String>) -> (usize, usize, usize) {
    let realm = Realm::own().unwrap();
    let scope = Scope { lab: &desired.lab, declared: &desired.state, recorded: None };
    let state = observe(&realm, scope).unwrap().state;
    let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
    let mut facts = survey(&realm, &names).unwrap();
    listeners(&realm, &names, &mut facts).unwrap();
    let world = World { state: &state, facts: Some(&facts), intent: Some(desired), assumed: &[] };
    let (mut asked, mut reached, mut untold) = (0, 0, 0);
    let mut routed: Vec<Routed> = Vec::new();
    // Long packets of each family where ways are narrow: they are sent as the first of them is.
    let is_narrow = damage.iter().any(|command| command.contains(" mtu "));
    let long = [false, true].map(|ipv6| (Packet::Icmp, Some((LONG_BYTES, ipv6))));
    let short = [Packet::Icmp, Packet::Tcp(PORT)].map(|packet| (packet, None));
    for (packet, size) in short.into_iter().chain(long.into_iter().filter(|_| is_narrow)) {
        let question = |(from, dst)| Question {
            packet,
            size_bytes: size.map(|(size, _)| size),
            ..Question::new(from, dst)
        };
        let is_asked =
            |(_, dst): &(NsName, IpAddr)| size.is_none_or(|(_, six)| six == dst.is_ipv6());
        let questions = pairs(desired).into_iter().filter(is_asked).map(question);
        let questions: Vec<Question> = questions.collect();
        if questions.is_empty() {
            continue;
        }
        asked += questions.len();
        let outcomes = tried(&realm, &questions, &names, WITHIN);
        for (question, mut probed) in questions.into_iter().zip(outcomes) {
            let answer = why(&world, &question);
            routed.extend(answer.routed.iter().cloned());
            let replied = probed.replied() == Some(true);
            reached += usize::from(replied);
            untold += usize::from(matches!(answer.verdict, Verdict::Partly | Verdict::Unknown));
            let agrees = |replied: bool| match answer.verdict {
                // Where nothing was damaged nothing is said against it.
                Verdict::Reachable => replied && (!damage.is_empty() || answer.causes.is_empty()),
                Verdict::Unreachable => !replied && !answer.causes.is_empty(),
                // It says itself that it can't tell.
                Verdict::Partly | Verdict::Unknown => true,
            };
            // What was just changed may not have settled.
            let mut again = || {
                let within = Duration::from_millis(1500);
                probed = tried(&realm, std::slice::from_ref(&question), &names, within)[0];
                agrees(probed.replied() == Some(true))
            };
            if !agrees(replied) && !(0..3).any(|_| again()) {
                let size = question.size_bytes;
                let what = format!("{} to {packet:?} {size:?} of {}", question.from, question.dst);
                let told = Told {
                    question,
                    answer,
                    probed: Some(probed),
                    spotted: None,
                    compared: 0,
                    otherwise: Vec::new(),
                    is_read_otherwise: false,
                };
                wrong.push(format!("{what} after {damage:?}: {}", shown(&told)));
            }
        }
    }
    let otherwise = vnet::why::compare(&realm, &facts, &routed).unwrap().1;
    wrong.extend(otherwise.iter().map(|it| format!("after {damage:?}: {it}: {:?}", it.lookup)));
    (asked, reached, untold)
}
