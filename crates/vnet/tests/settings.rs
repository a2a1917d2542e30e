//! Sysctls of nodes and interfaces, offloads and queues: set, compared with what the system tells,
//! changed in place, damaged by hand, mended, and found to be wrong before anything is touched.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, open, planned, signed};
use vnet::model::Cpus;
use vnet::{Desired, Down, Error, Lab};
use vnet_testns::sh;

const LAB: &str = "
name: t
netns: $node
nodes:
  a: { sysctls: { net.ipv4.tcp_ecn: 1, net.core.rps_default_mask: 1 } }
  r: { forward: true }
links:
  - endpoints:
      a:eth.1:
        addresses: [ 10.0.0.1/24, 2001:db8::1/64 ]
        txqueuelen: 77
        offload: { tx: off, tso: off, gro: on }
        accept_ra: false
        sysctls: { ipv4.rp_filter: 2, ipv6.dad_transmits: 0, ipv4.neigh.delay_first_probe_time: 3 }
      r:
        addresses: [ 10.0.0.2/24, 2001:db8::2/64 ]
        accept_ra: true
";

const NOTHING: [&str; 0] = [];

fn in_lab(body: impl FnOnce(&mut Lab, &Desired)) {
    vnet_testns::root(|| {
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(planned(&lab, &desired), NOTHING);
        body(&mut lab, &desired);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

fn sysctl(ns: &str, key: &str) -> String {
    sh(&format!("ip netns exec {ns} sysctl -n {key}")).trim().to_owned()
}

#[test]
fn the_system_tells_what_the_file_says() {
    in_lab(|_, _| {
        let told = [
            ("a", "net.ipv4.tcp_ecn", "1"),
            ("a", "net.ipv4.conf.eth/1.rp_filter", "2"),
            ("a", "net.ipv6.conf.eth/1.dad_transmits", "0"),
            ("a", "net.ipv4.neigh.eth/1.delay_first_probe_time", "3"),
            ("a", "net.ipv6.conf.eth/1.accept_ra", "0"),
            // A router listens only where it is told twice.
            ("r", "net.ipv6.conf.a.accept_ra", "2"),
            ("r", "net.ipv6.conf.a.forwarding", "1"),
        ];
        for (ns, key, value) in told {
            assert_eq!(sysctl(ns, key), value, "{key} in {ns}");
        }
        assert!(sh("ip -n a link show eth.1").contains("qlen 77"));
        // Receive queues are born with the mask that the namespace has for them.
        let mask = sh("ip netns exec a cat /sys/class/net/eth.1/queues/rx-0/rps_cpus");
        assert_eq!(mask.trim_matches(['0', '\n', ',']), "1");
    });
}

#[test]
fn what_is_changed_is_changed_in_place_and_damage_is_mended() {
    in_lab(|lab, before| {
        let change = |lab: &mut Lab, from: &str, to: &str, expected: &[&str]| {
            assert!(LAB.contains(from), "{from}");
            let after = desired(&LAB.replace(from, to));
            let up = lab.up(&after, |_| {}).unwrap_or_else(|error| panic!("{to}: {error:?}"));
            assert_eq!(signed(&up.steps), expected, "{to}");
            assert_eq!(planned(lab, &after), NOTHING);
            lab.up(before, |_| {}).unwrap();
            assert_eq!(planned(lab, before), NOTHING);
        };
        change(lab, "txqueuelen: 77", "txqueuelen: 78", &["~ a:eth.1 txqueuelen 78"]);
        change(lab, "gro: on", "gro: off", &["~ a:eth.1 offload gro off"]);
        change(
            lab,
            "tx: off, tso: off",
            "tx: on, tso: on",
            &["~ a:eth.1 offload tx on", "~ a:eth.1 offload tso on"],
        );
        change(
            lab,
            "ipv4.rp_filter: 2",
            "ipv4.rp_filter: 1",
            &["~ sysctl net.ipv4.conf.eth/1.rp_filter = 1 in a"],
        );
        sh("ip -n a link set eth.1 txqueuelen 5
            ip netns exec a sysctl -qw net.ipv4.conf.eth/1.rp_filter=0");
        assert_eq!(
            planned(lab, before),
            ["~ sysctl net.ipv4.conf.eth/1.rp_filter = 2 in a", "~ a:eth.1 txqueuelen 77",]
        );
        lab.up(before, |_| {}).unwrap();
        assert_eq!(planned(lab, before), NOTHING);
    });
}

/// The same lab, of which nothing is said.
const BARE: &str = "
name: t
netns: $node
nodes: { a: , r: { forward: true } }
links:
  - endpoints:
      a:eth.1: [ 10.0.0.1/24, 2001:db8::1/64 ]
      r: [ 10.0.0.2/24, 2001:db8::2/64 ]
";

/// What the system tells of all that the file can say.
fn told() -> String {
    let sysctls = [
        ("a", "net.ipv4.tcp_ecn"),
        ("a", "net.core.rps_default_mask"),
        ("a", "net.ipv4.conf.eth/1.rp_filter"),
        ("a", "net.ipv6.conf.eth/1.dad_transmits"),
        ("a", "net.ipv4.neigh.eth/1.delay_first_probe_time"),
        ("a", "net.ipv6.conf.eth/1.accept_ra"),
        ("r", "net.ipv6.conf.a.accept_ra"),
        ("r", "net.ipv6.conf.a.disable_ipv6"),
    ];
    let sysctls = sysctls.map(|(ns, key)| format!("{key} = {} in {ns}\n", sysctl(ns, key)));
    let links = sh("ip -n a -o link show eth.1 | sed 's/link-netns.*//; s/^.*mtu/mtu/'");
    sysctls.concat() + &links + &sh("ip netns exec a ethtool -k eth.1")
}

/// What was said goes back to what it is in a lab that never heard of it; what nobody ever said stays.
#[test]
fn what_is_taken_out_of_the_file_goes_back() {
    vnet_testns::root(|| {
        let (full, bare) = (desired(LAB), desired(BARE));
        let mut lab = open(&bare);
        lab.up(&bare, |_| {}).unwrap();
        let born = told();
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();

        lab.up(&full, |_| {}).unwrap();
        sh("ip netns exec a sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.conf.eth/1.log_martians=1");
        let back = planned(&lab, &bare);
        for step in [
            "~ sysctl net.ipv4.conf.eth/1.rp_filter = 0 in a",
            "~ sysctl net.ipv6.conf.eth/1.accept_ra = 1 in a",
            "~ sysctl net.ipv6.conf.a.accept_ra = 1 in r",
            "~ a:eth.1 txqueuelen 1000",
            "~ a:eth.1 offload gro off",
            "~ a:eth.1 offload tx on",
        ] {
            assert!(back.iter().any(|it| it == step), "{step} is not in {back:#?}");
        }
        let is_back = |lab: &Lab| {
            assert_eq!(told(), born);
            assert_eq!(planned(lab, &bare), NOTHING);
            assert_eq!(sysctl("a", "net.ipv4.tcp_sack"), "0");
            assert_eq!(sysctl("a", "net.ipv4.conf.eth/1.log_martians"), "1");
        };
        assert_eq!(signed(&lab.up(&bare, |_| {}).unwrap().steps), back);
        is_back(&lab);

        // So it is where an `up` was killed before it did anything, and where another follows that.
        for killed_again in [false, true] {
            lab.up(&full, |_| {}).unwrap();
            let previous = Some(full.state.clone());
            let record = vnet::record::Record::new(bare.clone(), previous, None);
            std::fs::write("/run/vnet/t/lab.json", record.to_text()).unwrap();
            assert_eq!(planned(&lab, &bare), back);
            if killed_again {
                let record = vnet::record::Record::new(bare.clone(), Some(record.known()), None);
                std::fs::write("/run/vnet/t/lab.json", record.to_text()).unwrap();
                assert_eq!(planned(&lab, &bare), back);
            }
            lab.up(&bare, |_| {}).unwrap();
            is_back(&lab);
        }
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// The MTU of what is no cable goes back too: to that of Ethernet.
#[test]
fn an_mtu_that_is_no_longer_said_goes_back() {
    let file = |mtu: &str| {
        desired(&format!(
            "{{ name: t, netns: $node, nodes: {{ a: {{ interfaces: {{ br0: {{ kind: bridge, {mtu} }} }} }}, b: }},
               segments: {{ lan: {{ members: [ a, b ], {mtu} }} }} }}"
        ))
    };
    vnet_testns::root(|| {
        let (said, bare) = (file("mtu: 1400"), file(""));
        let mut lab = open(&said);
        lab.up(&said, |_| {}).unwrap();
        let back = planned(&lab, &bare);
        for step in ["~ a:br0 mtu 1500", "~ lan:lan mtu 1500", "~ a:lan mtu 1500"] {
            assert!(back.iter().any(|it| it == step), "{step} is not in {back:#?}");
        }
        lab.up(&bare, |_| {}).unwrap();
        assert_eq!(planned(&lab, &bare), NOTHING);
        assert_eq!(sh("ip -n a -o link show br0 | grep -o 'mtu [0-9]*'"), "mtu 1500\n");
        // What somebody sets by hand and no file ever said is left alone.
        sh("ip -n a link set br0 mtu 1300");
        assert_eq!(planned(&lab, &bare), NOTHING);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// IPv6 comes back where it was off: on an interface, in a node, and with its last IPv6 address no node
/// forwards it.
#[test]
fn ipv6_that_is_no_longer_off_comes_back() {
    let file = |a: &str, end: &str| {
        desired(&format!(
            "{{ name: t, netns: $node, nodes: {{ a: {{ {a} }}, b: }}, links: [ {{ endpoints: \
             {{ a:eth0: {{ {end} }}, b: }} }} ] }}"
        ))
    };
    vnet_testns::root(|| {
        let bare = file("", "");
        let mut lab = open(&bare);
        for (a, end, said) in [
            ("", "ipv6: off", "~ a:eth0 ipv6 on"),
            ("ipv6: off", "", "~ sysctl net.ipv6.conf.all.disable_ipv6 = 0 in a"),
            (
                "forward: true",
                "addresses: \"2001:db8::1/64\"",
                "~ sysctl net.ipv6.conf.all.forwarding = 0 in a",
            ),
        ] {
            lab.up(&file(a, end), |_| {}).unwrap();
            let steps = signed(&lab.up(&bare, |_| {}).unwrap().steps);
            assert!(steps.iter().any(|step| step == said), "{said} is not in {steps:?}");
            assert_eq!(planned(&lab, &bare), NOTHING);
            for key in
                ["all.disable_ipv6", "eth0.disable_ipv6", "default.disable_ipv6", "all.forwarding"]
            {
                assert_eq!(sysctl("a", &format!("net.ipv6.conf.{key}")), "0", "{key}");
            }
        }
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// Both families forward as the file says, whoever changes it.
#[test]
fn who_no_longer_forwards_does_so_in_neither_family() {
    in_lab(|lab, before| {
        let off = ["net.ipv6.conf.all.forwarding = 0 in r", "r:a ipv4 forwarding off"];
        let off =
            off.map(|what| format!("~ {}{what}", if what.contains('=') { "sysctl " } else { "" }));
        for to in ["r: { forward: false }", "r:"] {
            let after = desired(
                &LAB.replace("r: { forward: true }", to)
                    .replace("accept_ra: true", "accept_ra: false"),
            );
            let steps = signed(&lab.up(&after, |_| {}).unwrap().steps);
            assert!(off.iter().all(|step| steps.contains(step)), "{steps:?}");
            for key in [
                "net.ipv4.conf.a.forwarding",
                "net.ipv6.conf.all.forwarding",
                "net.ipv6.conf.a.forwarding",
            ] {
                assert_eq!(sysctl("r", key), "0", "{key}");
            }
            assert_eq!(planned(lab, &after), NOTHING);
            sh(
                "ip netns exec r sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.conf.a.forwarding=1",
            );
            assert_eq!(planned(lab, &after), off);
            lab.up(&after, |_| {}).unwrap();
            assert_eq!(planned(lab, &after), NOTHING);
            lab.up(before, |_| {}).unwrap();
        }
    });
}

/// Nothing is made for a sysctl that the kernel refuses: not even the lab's folder.
#[test]
fn what_the_kernel_refuses_is_found_before_anything_is_touched() {
    vnet_testns::root(|| {
        let refused = |from: &str, to: &str| {
            let wanted = desired(&LAB.replace(from, to));
            let mut lab = open(&wanted);
            let error = lab.up(&wanted, |_| {}).unwrap_err();
            assert!(
                matches!(error, Error::BadSysctl { .. } | Error::SysctlNotKept { .. }),
                "{error:?}"
            );
            assert_eq!(sh("ls /run/netns 2>/dev/null || true"), "");
            error.to_string()
        };
        assert_eq!(
            refused("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecm: 1"),
            "the kernel refuses sysctl net.ipv4.tcp_ecm = 1 in a: No such file or directory (ENOENT)"
        );
        assert_eq!(
            refused("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecn: lots"),
            "the kernel refuses sysctl net.ipv4.tcp_ecn = lots in a: Invalid argument (EINVAL)"
        );
        assert_eq!(
            refused("ipv4.rp_filter: 2", "ipv4.no_such: 2"),
            "the kernel refuses sysctl net.ipv4.conf.eth/1.no_such = 2 in a: No such file or \
             directory (ENOENT)"
        );
        assert_eq!(
            refused("net.ipv4.tcp_ecn: 1", "net.ipv4.tcp_ecn: '01'"),
            "the kernel makes something else of sysctl net.ipv4.tcp_ecn = 01 in a: `1`"
        );
    });
}

/// Each word, off and on again: `ethtool` says the same.
#[test]
fn ethtool_tells_the_offloads_that_the_file_says() {
    const TOLD: [(&str, &str); 6] = [
        ("rx", "rx-checksumming"),
        ("tx", "tx-checksumming"),
        ("sg", "scatter-gather"),
        ("tso", "tcp-segmentation-offload"),
        ("gso", "generic-segmentation-offload"),
        ("gro", "generic-receive-offload"),
    ];
    assert_eq!(TOLD.map(|(word, _)| word), vnet::model::Offload::ALL.map(|(word, _)| word));
    in_lab(|lab, _| {
        for (word, feature) in TOLD {
            for state in ["off", "on"] {
                let offload = format!("offload: {{ {word}: {state} }}");
                let wanted =
                    desired(&LAB.replace("offload: { tx: off, tso: off, gro: on }", &offload));
                lab.up(&wanted, |_| {}).unwrap_or_else(|error| panic!("{offload}: {error:?}"));
                assert_eq!(planned(lab, &wanted), NOTHING);
                let told = sh("ip netns exec a ethtool -k eth.1");
                assert!(told.contains(&format!("\n{feature}: {state}\n")), "{offload}: {told}");
                let of_tcp = |line: &&str| line.starts_with("\ttx-tcp");
                let others = told.lines().filter(of_tcp).filter(|line| !line.ends_with(state));
                assert!(word != "tso" || others.count() == 0, "{offload}: {told}");
            }
        }
    });
}

/// Which processors take what comes in: of each queue, set, changed, damaged and mended.
#[test]
fn vm_packets_are_steered_to_the_processors_that_the_file_says() {
    let file = |cpus: &str| {
        desired(&format!(
            "{{ name: t, netns: $node, nodes: [ a, b ], links: [ {{ endpoints: \
             {{ a:eth.1: {{ numrxqueues: 2{cpus} }}, b: }} }} ] }}"
        ))
    };
    let told = || {
        let queues = "/sys/class/net/eth.1/queues/rx-*/rps_cpus";
        let masks = sh(&format!("ip netns exec a sh -c 'cat {queues}'"));
        masks.lines().map(|mask| Cpus::from_mask(mask).unwrap().to_string()).collect::<Vec<_>>()
    };
    vnet_testns::machine_root(|| {
        vnet_testns::requires(&["rps"]);
        let (first, none) = (file(", rps_cpus: 0"), file(", rps_cpus: none"));
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!((planned(&lab, &first), told()), (vec![], vec!["0".to_owned(); 2]));

        sh("ip netns exec a sh -c 'echo 0 >/sys/class/net/eth.1/queues/rx-1/rps_cpus'");
        assert_eq!(planned(&lab, &first), ["~ a:eth.1 rps_cpus 0"]);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!((planned(&lab, &first), told()), (vec![], vec!["0".to_owned(); 2]));

        let up = lab.up(&none, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ a:eth.1 rps_cpus none"]);
        assert_eq!((planned(&lab, &none), told()), (vec![], vec!["none".to_owned(); 2]));

        // Set by hand it is in a snapshot, unless the queues differ.
        let steer = |queue: &str| {
            let queues = format!("/sys/class/net/eth.1/queues/{queue}/rps_cpus");
            sh(&format!("ip netns exec a sh -c 'for it in {queues}; do echo 1 >$it; done'"));
            lab.snapshot("?", &[]).unwrap()
        };
        let seen = steer("rx-0");
        assert_eq!(seen.left_out, ["different rps_cpus of the queues of eth.1 in a"]);
        let seen = steer("rx-*");
        assert_eq!((seen.left_out, signed(&seen.differs)), (vec![], vec![]));
        let text = vnet::file::write_short(&seen.topology, &seen.desired);
        assert_eq!(text.matches("rps_cpus: 0").count(), 1, "{text}");
        assert_eq!(planned(&lab, &first), [""; 0]);
        lab.up(&none, |_| {}).unwrap();

        // There is no such processor: all is as it was.
        let far = file(", rps_cpus: 0-8191");
        let error = lab.up(&far, |_| {}).unwrap_err();
        assert!(error.to_string().contains("rps_cpus 0-8191"), "{error}");
        assert_eq!((planned(&lab, &none), told()), (vec![], vec!["none".to_owned(); 2]));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
