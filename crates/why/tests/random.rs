//! The model against the kernel: random labs, healthy and with random damage.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::net::IpAddr;

use common::{down, shown, up};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vnet::Desired;
use vnet::kernel::echo::{self, Options, Outcome, Probe};
use vnet::kernel::observe::survey::survey;
use vnet::kernel::observe::{Scope, observe};
use vnet_model::{Facts, NsName, State};
use vnet_testns::sh;
use vnet_why::{Question, Verdict, World, why};

/// How many labs are damaged and asked in one run.
const LABS: usize = 60;

/// A runner that makes the same labs each time.
fn runner(seed: u8) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// All pairs of a node and an address of another.
fn pairs(desired: &Desired) -> Vec<(NsName, IpAddr)> {
    let mut pairs = Vec::new();
    for from in desired.nodes.values() {
        for to in desired.nodes.values() {
            for interface in desired.state.namespaces[to].interfaces.values() {
                let addrs = interface.addresses.iter().map(|address| address.net.addr());
                pairs.extend(addrs.filter(|a| !a.is_loopback()).map(|a| (from.clone(), a)));
            }
        }
    }
    pairs
}

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
            _ => things.extend(links.map(|dev| (ns, format!("link del dev {dev}")))),
        }
    }
    (!things.is_empty()).then(|| {
        let (ns, what) = &things[number % things.len()];
        format!("ip -n {ns} {what}")
    })
}

/// Writes a sysctl, behind an `ip` command that does nothing.
fn sysctl(ns: &NsName, key: &str, value: u8) -> String {
    format!("link show lo >/dev/null; ip netns exec {ns} sh -c 'echo {value} >/proc/sys/net/{key}'")
}

/// For every pair the model's yes or no is the kernel's.
#[test]
fn the_model_says_what_the_kernel_does() {
    vnet_testns::root_within(std::time::Duration::from_secs(240), || {
        let labs = std::env::var("VNET_WHY_LABS").ok().and_then(|n| n.parse().ok()).unwrap_or(LABS);
        let mut runner = runner(std::env::var("VNET_WHY_SEED").map_or(1, |n| n.parse().unwrap()));
        let damages = prop::collection::vec((any::<usize>(), 0_usize..14), 0..4);
        let strategy = (vnet_model::arbitrary::desired(), damages);
        let (mut asked, mut reached, mut untold) = (0, 0, 0);
        let mut wrong = Vec::new();
        for _ in 0..labs {
            let ((_, desired), damages) = strategy.new_tree(&mut runner).unwrap().current();
            let lab = up(&desired);
            let mut done = Vec::new();
            for (number, kind) in damages {
                if let Some(command) = damage(&desired, number, kind) {
                    sh(&format!("({command}) 2>/dev/null || true"));
                    done.push(command);
                }
            }
            let (all, good, none) = compare(&desired, &done, &mut wrong);
            (asked, reached, untold) = (asked + all, reached + good, untold + none);
            down(lab);
        }
        let disagree = wrong.len();
        println!(
            "{labs} labs, {asked} pairs, {reached} reached, {untold} untold, {disagree} wrong"
        );
        // What it does not tell must be the exception: equal legs of which one is broken.
        assert!(untold * 20 < asked, "{untold} of {asked} are not told");
        assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

fn compare(desired: &Desired, damage: &[String], wrong: &mut Vec<String>) -> (usize, usize, usize) {
    let realm = vnet::kernel::Realm::own().unwrap();
    let scope = Scope { lab: &desired.lab, declared: &desired.state, recorded: None };
    let state = observe(&realm, scope).unwrap().state;
    let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
    let facts = survey(&realm, &names).unwrap();
    let pairs = pairs(desired);
    let probes: Vec<Probe> =
        pairs.iter().map(|(from, dst)| Probe::new(from.clone(), *dst)).collect();
    let timeout = std::time::Duration::from_millis(300);
    let options = Options { timeout, watched: names, ..Options::default() };
    let outcomes = echo::echo(&realm, &probes, &options, |_, _| {}).unwrap();
    let (mut reached, mut untold) = (0, 0);
    for ((from, dst), outcome) in pairs.iter().zip(outcomes) {
        let answer = ask(desired, &state, Some(&facts), from, *dst);
        let replied = matches!(outcome, Outcome::Reply { .. });
        reached += usize::from(replied);
        untold += usize::from(matches!(answer.verdict, Verdict::Partly | Verdict::Unknown));
        let agrees = |replied: bool| match answer.verdict {
            Verdict::Reachable => replied,
            Verdict::Unreachable => !replied && !answer.causes.is_empty(),
            // It says itself that it can't tell.
            Verdict::Partly | Verdict::Unknown => true,
        };
        // What was just changed may not have settled: a lost reply is asked for again.
        let again = || {
            let probe = Probe::new(from.clone(), *dst);
            let outcome = echo::echo(&realm, &[probe], &Options::default(), |_, _| {}).unwrap();
            matches!(outcome[0], Outcome::Reply { .. })
        };
        let agrees = agrees(replied) || (0..3).any(|_| agrees(again()));
        if !agrees {
            let question = Question::new(from.clone(), *dst);
            let told = vnet::why::Told {
                question,
                answer,
                probed: Some(vnet::why::Probed::Echo(outcome)),
            };
            wrong.push(format!("{from} to {dst} after {damage:?}: {}", shown(&told)));
        }
    }
    (pairs.len(), reached, untold)
}
