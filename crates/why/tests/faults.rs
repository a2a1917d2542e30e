//! A catalogue of faults: each is done to a lab on the real kernel, must be named, and what is
//! suggested must mend it.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::time::{Duration, Instant};

use common::catalogue::{self, Catalogue, Fault};
use common::{desired, down, is_well, mend, probing, replied, run_command, shown, up};
use vnet::Lab;
use vnet::why::{Ask, By, Mend, Told, Verdict};
use vnet_model::NsName;
use vnet_testns::sh;

/// What damages are written in beside commands: a table with one chain `c` and a rule in it; a tunnel
/// of r3 anew, with its hardware address and these options; a macvlan or ipvlan in a node, on h's interface; a
/// listener (Perl, which every Debian has).
const SHELL: &str = r#"
chain() { ip netns exec $1 nft "table $2 { chain c { $3; $4; }; }"; }
anew() {
    M=$(ip netns exec r3 cat /sys/class/net/$1/address)
    ip -n r3 link del $1; ip -n r3 link add $1 address $M $3
    ip -n r3 addr add $2 dev $1; ip -n r3 link set dev $1 up
}
stand() { on_h $1 $2 "macvlan mode $3"; }
below() { on_h $1 $2 "ipvlan mode $3"; }
on_h() {
    ip -n h link add mv link sw type $3; ip -n h link set dev mv netns $1
    ip -n $1 addr add 10.0.0.$2/24 dev mv; ip -n $1 link set dev mv up
}
listen() {
    ip netns exec $1 perl -MIO::Socket::INET -e "
        my \$s = IO::Socket::INET->new($2) or die \$!; open F, '>', \$ENV{HOME}.'/listens'; sleep 60
    " >/dev/null 2>&1 & echo $! >>$HOME/listeners
    while [ ! -e $HOME/listens ]; do sleep 0.01; done; rm $HOME/listens
}
"#;

/// In how many parts the catalogue is worked off at the same time: most of it is waiting.
const PARTS: usize = 4;

/// What needs more of the kernel, each with a test of its own.
const VM: [&str; 15] = [
    "below",
    "below-vrf",
    "beside",
    "bonds",
    "hairpin",
    "lan-bridge",
    "lan-vlans",
    "netkit",
    "netkit-l2",
    "queues",
    "tunnels",
    "vlans",
    "vpn",
    "vrfs",
    "vxlans",
];

/// How long is waited for what is certain to come, on a slow machine too: keys that are agreed upon,
/// IPv6 addresses that are known to be unique.
const PATIENCE: Duration = Duration::from_secs(30);

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

#[test]
fn vm_each_fault_of_filters_of_bridges_is_named_and_its_mend_mends_it() {
    whole("lan-bridge");
}

#[test]
fn vm_each_fault_of_queues_is_named_and_its_mend_mends_it() {
    whole("queues");
}

#[test]
fn vm_each_fault_of_vlans_on_a_plain_bridge_is_named_and_its_mend_mends_it() {
    whole("lan-vlans");
}

#[test]
fn vm_each_fault_of_macvlans_and_ipvlans_is_named_and_its_mend_mends_it() {
    whole("beside");
}

#[test]
fn vm_each_fault_of_routed_ipvlans_is_named_and_its_mend_mends_it() {
    whole("below");
}

#[test]
fn vm_each_fault_of_ipvlans_on_a_port_of_a_vrf_is_named_and_its_mend_mends_it() {
    whole("below-vrf");
}

#[test]
fn vm_each_fault_of_bonds_is_named_and_its_mend_mends_it() {
    whole("bonds");
}

#[test]
fn vm_each_fault_of_hairpins_is_named_and_its_mend_mends_it() {
    whole("hairpin");
}

#[test]
fn vm_each_fault_of_netkits_is_named_and_its_mend_mends_it() {
    whole("netkit");
}

#[test]
fn vm_each_fault_of_netkits_with_hardware_addresses_is_named_and_its_mend_mends_it() {
    whole("netkit-l2");
}

#[test]
fn vm_each_fault_of_tunnels_is_named_and_its_mend_mends_it() {
    whole("tunnels");
}

#[test]
fn vm_each_fault_of_vlans_is_named_and_its_mend_mends_it() {
    whole("vlans");
}

#[test]
fn vm_each_fault_of_wireguard_is_named_and_its_mend_mends_it() {
    whole("vpn");
}

#[test]
fn vm_each_fault_of_vrfs_is_named_and_its_mend_mends_it() {
    whole("vrfs");
}

#[test]
fn vm_each_fault_of_vxlans_is_named_and_its_mend_mends_it() {
    whole("vxlans");
}

#[test]
fn each_file_of_the_catalogue_has_its_test() {
    let needy = |name: &String| !catalogue::read(name).needs.is_empty();
    let needy: Vec<String> = catalogue::names().into_iter().filter(needy).collect();
    assert_eq!(needy, VM);
}

/// Works off a part of what every kernel can do.
fn part(number: usize) {
    vnet_testns::root_within(Duration::from_secs(300), || {
        let all = catalogue::names().into_iter().filter(|name| !VM.contains(&name.as_str()));
        let all: Vec<Catalogue> = all.map(|name| catalogue::read(&name)).collect();
        for catalogue in all.iter().skip(number).step_by(PARTS) {
            nothing_is_wrong(catalogue);
        }
        let faults = all.iter().flat_map(|it| it.faults.iter().map(|fault| (&it.lab, fault)));
        try_all(faults.skip(number).step_by(PARTS));
    });
}

/// Works off a file that needs more.
fn whole(name: &str) {
    let catalogue = catalogue::read(name);
    vnet_testns::root_within(Duration::from_secs(800), || {
        let needs: Vec<&str> = catalogue.needs.iter().map(String::as_str).collect();
        vnet_testns::requires(&needs);
        nothing_is_wrong(&catalogue);
        try_all(catalogue.faults.iter().map(|fault| (&catalogue.lab, fault)));
    });
}

fn try_all<'c>(faults: impl Iterator<Item = (&'c String, &'c Fault)>) {
    let failures: Vec<String> = faults.filter_map(|(lab, fault)| run(lab, fault).err()).collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Where nothing is wrong nothing is said to be.
fn nothing_is_wrong(catalogue: &Catalogue) {
    let lab = up(&desired(&catalogue.lab));
    for why in &catalogue.well {
        let told = until_well(&lab, why, None);
        assert!(is_well(&told) && replied(&told), "{}, {why}: {}", catalogue.lab, shown(&told));
    }
    down(lab);
}

/// Asks what a row says: two ends, and a port where there is one.
fn ask(lab: &Lab, why: &str, size_bytes: Option<u32>, timeout: Option<Duration>) -> Told {
    let words: Vec<&str> = why.split_whitespace().collect();
    let packet = words.get(2).map(|packet| packet.parse().unwrap()).unwrap_or_default();
    let ask = Ask { size_bytes, packet, timeout, ..probing() };
    lab.why(words[0], words[1], &ask).unwrap_or_else(|error| panic!("{why}: {error}"))
}

/// Asks until all is well, or patience is over.
fn until_well(lab: &Lab, why: &str, size_bytes: Option<u32>) -> Told {
    let begun = Instant::now();
    loop {
        let told = ask(lab, why, size_bytes, None);
        let is_over = is_well(&told) && replied(&told);
        if is_over || (begun.elapsed() > PATIENCE) || !may_pass(&told) {
            return told;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Tells whether what is wrong may pass by itself: an answer that only does not come yet, or an address
/// that is not ready, for which the mend is to wait.
fn may_pass(told: &Told) -> bool {
    let waits = |mend: &Mend| mend.commands().iter().all(|command| command.starts_with("sleep "));
    told.answer.causes.iter().all(|cause| !cause.mend.is_empty() && cause.mend.iter().all(waits))
}

fn run(lab: &str, fault: &Fault) -> Result<(), String> {
    let lab = up(&desired(lab));
    match fault.damage.starts_with("vnet ip ") {
        true => run_command(&fault.damage),
        false => drop(sh(&format!("{SHELL}{}", fault.damage))),
    }
    let mut told = ask(&lab, &fault.why, fault.size, probing().timeout);
    if told.spotted.as_ref().is_some_and(|spotted| spotted.agrees == Some(false)) {
        // On a busy machine a neighbour may take longer than that to answer.
        told = ask(&lab, &fault.why, fault.size, None);
    }
    let complain = |what: &str| Err(format!("{}\n  {what}: {}", fault.damage, shown(&told)));
    let causes = &told.answer.causes;
    let is_it = |(cause, wanted): (&vnet::why::Cause, &String)| {
        let (code, object) = wanted.split_once(' ').unwrap();
        cause.code == code && cause.object.contains(object)
    };
    let named = causes.len() == fault.causes.len() && causes.iter().zip(&fault.causes).all(is_it);
    let well = matches!(told.answer.verdict, Verdict::Reachable | Verdict::Unknown);
    let answered = replied(&told);
    let result = if !named || well {
        complain("not named")
    } else if fault.partly && told.answer.verdict != Verdict::Partly {
        complain("some packets pass")
    } else if answered && !fault.answered && told.answer.verdict == Verdict::Unreachable {
        complain("but it answers")
    } else if told.spotted.as_ref().is_some_and(|spotted| spotted.agrees == Some(false)) {
        complain("last seen elsewhere")
    } else if fault.then.as_deref() == Some("nothing") {
        let has_mend = causes.iter().any(|cause| !cause.mend.is_empty());
        if has_mend { complain("there is a mend") } else { Ok(()) }
    } else {
        mend(&told);
        let again = until_well(&lab, fault.then.as_deref().unwrap_or(&fault.why), fault.size);
        match is_well(&again) && replied(&again) {
            true => Ok(()),
            false => complain(&format!("not mended: {}\n  before", shown(&again))),
        }
    };
    sh(
        "if [ -e $HOME/listeners ]; then kill $(cat $HOME/listeners); rm $HOME/listeners; sleep 0.2; fi",
    );
    down(lab);
    result
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

/// The kernel makes no difference between addresses that stay and those that have a lifetime; IPv6 leaves
/// from one whose preferred lifetime is over only where there is no other.
#[test]
fn addresses_with_a_lifetime_are_addresses() {
    vnet_testns::root(|| {
        let desired = desired("chain");
        let lab = up(&desired);
        sh("lft='valid_lft 1000 preferred_lft 1000'
            ip -n a addr change 10.0.1.1/24 dev r1 $lft
            ip -n b addr change 10.0.3.2/24 dev r2 $lft
            ip -n a addr change 2001:db8:1::1/64 dev r1 $lft
            ip -n b addr change 2001:db8:3::2/64 dev r2 $lft
            ip netns add x; ip -n b link add x type veth peer name b netns x
            ip -n b addr add 10.0.9.1/24 dev x; ip -n b link set dev x up
            ip -n x addr add 10.0.9.2/24 dev b $lft; ip -n x link set dev b up
            ip -n a addr add 2001:db8:1::9/64 dev r1 nodad valid_lft 1000 preferred_lft 0");
        for why in ["a b", "a 2001:db8:3::2"] {
            let told = until_well(&lab, why, None);
            assert!(is_well(&told) && replied(&told), "{why}: {}", shown(&told));
            let chosen = format!("src {} ", told.answer.src.unwrap());
            let kernel = sh(&format!("ip -n a route get {}", told.question.dst));
            assert!(kernel.contains(&chosen), "{chosen}: {kernel}");
        }
        let beside = vec![NsName::new("x").unwrap()];
        let told = lab.why("b", "x", &Ask { beside, ..probing() }).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        // They are nobody's declared ones all the same.
        assert!(!lab.plan(&desired).unwrap().plan.steps.is_empty());
        sh("ip netns del x");
        down(lab);
    });
}

/// What of routes and settings the kernel takes into account leads as it does there.
#[test]
fn what_routes_and_settings_do_otherwise_is_followed() {
    let ways: &[(&str, [&str; 2], &str)] = &[
        ("a tos route is for others", ["a", "b"], "ip -n r1 route add 10.0.3.0/24 tos 0x10 via 10.0.1.1 dev a"),
        ("a route's hop limit comes first", ["a", "b"], "ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv4/ip_default_ttl'
            ip -n a route change 10.0.3.0/24 via 10.0.1.2 dev r1 proto static hoplimit 9"),
        ("IPv6 may be forwarded by one interface alone", ["a", "2001:db8:3::2"],
            "[ ! -e /proc/sys/net/ipv6/conf/lo/force_forwarding ] || for n in r1 r2; do ip netns exec $n sh -c '
            echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
            for i in a b r1 r2; do f=/proc/sys/net/ipv6/conf/$i/force_forwarding; [ ! -e $f ] || echo 1 >$f; done'; done"),
        ("a source of a link is for the link", ["a", "10.0.1.2"],
            "ip -n a addr del 10.0.1.1/24 dev r1; ip -n a addr add 10.0.1.1/24 scope link dev r1"),
        ("a source of a link is not for further away", ["a", "b"],
            "ip -n a addr del 10.0.1.1/24 dev r1; ip -n a addr add 10.0.1.1/24 scope link dev r1
             ip -n a addr add 10.0.1.9/25 dev r1
             ip -n a route replace 10.0.3.0/24 via 10.0.1.2 dev r1 proto static"),
    ];
    vnet_testns::root(|| {
        for (what, [from, to], set) in ways {
            let lab = up(&desired("chain"));
            sh(set);
            let told = until_well(&lab, &format!("{from} {to}"), None);
            assert!(is_well(&told) && replied(&told), "{what}: {}", shown(&told));
            assert!(told.otherwise.is_empty(), "{what}: {:?}", told.otherwise);
            let chosen = format!("src {} ", told.answer.src.unwrap());
            let kernel = sh(&format!("ip -n {from} route get {}", told.question.dst));
            assert!(kernel.contains(&chosen), "{what}: {chosen}: {kernel}");
            down(lab);
        }
    });
}

/// Routes by a cable that nobody is at the other end of are passed over, where that is set.
#[test]
fn routes_by_a_dead_cable_are_passed_over_where_that_is_set() {
    vnet_testns::root(|| {
        let lab = up(&desired("square"));
        let mut told = Vec::new();
        sh(
            "ip -n a route add 10.77.0.1 via 10.1.1.2 metric 1; ip -n a route add 10.77.0.1 via 10.1.2.2 metric 2
             ip -n b addr add 10.77.0.1/32 dev lo
             ip -n l route add 10.77.0.1 via 10.1.3.2; ip -n r route add 10.77.0.1 via 10.1.4.2
             ip -n l link set dev a down",
        );
        for is_set in [0, 1] {
            sh(&format!(
                "ip netns exec a sh -c 'for i in /proc/sys/net/ipv4/conf/*; do
                echo {is_set} >$i/ignore_routes_with_linkdown; done'"
            ));
            let one = lab.why("a", "10.77.0.1", &probing()).unwrap();
            assert_eq!(one.otherwise, [], "{}", shown(&one));
            told.push((is_well(&one), replied(&one)));
        }
        assert_eq!(told, [(false, false), (true, true)]);
        down(lab);
    });
}

/// What may decide about packets and is not evaluated is said.
#[test]
fn what_is_not_evaluated_of_routing_is_said() {
    vnet_testns::root(|| {
        for (to, set, said) in [
            (
                "2001:db8:3::2",
                "ip -n r1 -6 route add 2001:db8:3::/64 from 2001:db8:1::/64 via 2001:db8:1::1 dev a metric 1",
                "r1 has a route for what comes from 2001:db8:1::/64 alone",
            ),
            (
                "b",
                "ip -n r1 xfrm policy add src 10.0.1.0/24 dst 10.0.3.0/24 dir fwd action block",
                "r1 has 1 policy of xfrm",
            ),
        ] {
            let lab = up(&desired("chain"));
            sh(set);
            let told = lab.why("a", to, &Ask { probe: false, ..probing() }).unwrap();
            let unknown = told.answer.unknown.join("; ");
            let is_said = told.answer.verdict == Verdict::Unknown && unknown.contains(said);
            assert!(is_said, "{set}: {}", shown(&told));
            down(lab);
        }
    });
}

/// A connected route comes behind an older one of the same prefix and metric.
#[test]
fn an_older_route_stays_before_a_connected_one() {
    vnet_testns::root(|| {
        let lab = up(&desired("square"));
        sh("ip -n a link add vv type veth peer name ww; ip -n a link set dev vv up
            ip -n a link set dev ww up; ip -n a addr add 10.1.3.9/24 dev vv");
        let told = until_well(&lab, "a 10.1.3.2", None);
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        assert!(told.otherwise.is_empty(), "{:?}", told.otherwise);
        down(lab);
    });
}

/// What was learned of a neighbour is no fault while it holds; nor is an entry by which it gets there.
#[test]
fn neighbour_entries_that_do_no_harm_are_no_cause() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        sh("ip netns exec pc1 ping -c 1 -W 2 10.0.0.3 >/dev/null
            ip netns exec pc1 ping -c 1 -W 2 10.0.8.2 >/dev/null
            ip -n pc1 neigh show | grep -q REACHABLE
            mac=$(ip netns exec gw cat /sys/class/net/lan/address)
            ip -n pc1 neigh replace 10.0.0.4 dev lan nud permanent lladdr $mac");
        for why in ["pc1 pc2", "pc1 pc3", "pc1 srv", "pc2 pc1"] {
            let told = until_well(&lab, why, None);
            assert!(is_well(&told) && replied(&told), "{why}: {}", shown(&told));
        }
        down(lab);
    });
}

/// The answer to an echo of IPv6 leaves by the interface that was asked, where two routes are alike.
#[test]
fn an_echo_is_answered_by_where_it_came_in() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        sh("ip -n pc3 link add two type veth peer name pc3-two netns lan
            bridge=$(ip -n lan -br link show type bridge | cut -d' ' -f1)
            ip -n lan link set dev pc3-two up master $bridge
            ip -n pc3 link set dev two up; ip -n pc3 addr add 2001:db8::33/64 dev two nodad
            ip -n lan link set dev pc3 down");
        let told = lab.why("pc1", "2001:db8::33", &probing()).unwrap();
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

/// Programs that are in no VRF are given nothing of one, unless they may be; and a VRF whose table ends
/// in no default goes on to the main table.
#[test]
fn vm_what_is_in_no_vrf_is_told_apart() {
    vnet_testns::root_within(Duration::from_secs(240), || {
        vnet_testns::requires(&["vrf"]);
        let lab = up(&desired("vrfs"));
        let codes = |told: &Told| -> Vec<&str> {
            told.answer.causes.iter().map(|cause| cause.code).collect()
        };
        sh("ip netns exec pe sh -c 'nc -l -p 7 >/dev/null 2>&1 & echo $! >$HOME/nc'; sleep 1");
        let told = ask(&lab, "ce1 pe:r tcp/7", None, None);
        assert_eq!(
            (codes(&told), replied(&told)),
            (vec!["outside-vrf"], false),
            "{}",
            shown(&told)
        );
        mend(&told);
        let told = until_well(&lab, "ce1 pe:r tcp/7", None);
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        sh("kill $(cat $HOME/nc) 2>/dev/null; true");
        let told = ask(&lab, "ce1 10.9.9.9", None, probing().timeout);
        assert_eq!(
            (codes(&told), replied(&told)),
            (vec!["unreachable-route"], false),
            "{}",
            shown(&told)
        );
        sh("ip -n pe route del unreachable default metric 4278198272 table 10");
        let told = until_well(&lab, "ce1 10.9.9.9", None);
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}

/// Where each end of a VXLAN is the others learn of whom they hear.
#[test]
fn vm_what_a_vxlan_has_learned_is_no_fault() {
    vnet_testns::root_within(Duration::from_secs(240), || {
        vnet_testns::requires(&["vxlan"]);
        let lab = up(&desired("vxlans"));
        sh("bridge -n leaf2 fdb del 00:00:00:00:00:00 dev vx100 dst 10.1.0.1");
        let told = until_well(&lab, "h1 h2", None);
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}

/// A policy rule by which another table is asked is on the way; those that each namespace has are not.
#[test]
fn a_rule_that_decides_is_on_the_way() {
    vnet_testns::root(|| {
        let text = "
name: t
netns: $node
nodes:
  a:
    routes: [ 10.0.2.0/24 via r table 7 ]
    rules: [ to 10.0.2.0/24 table 7 priority 100 ]
  r: { forward: true }
  b: { routes: default via r }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
";
        let lab = up(&common::of_text(text));
        let told = lab.why("a", "b", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        let ways = [&told.answer.forth, &told.answer.back];
        let rules = ways.map(|hops| {
            let rules = hops.iter().filter(|hop| hop.by == By::Rule);
            rules.map(|hop| (hop.node.as_str(), hop.text.as_str())).collect::<Vec<_>>()
        });
        assert_eq!(
            rules[0],
            [("a", "from all to 10.0.2.0/24 table 7 priority 100")],
            "{}",
            shown(&told)
        );
        assert_eq!(rules[1], [], "{}", shown(&told));
        down(lab);
    });
}
