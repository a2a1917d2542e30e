//! What a lab promises: untouched things stay, failures leave what was before, nothing foreign is
//! taken, and nothing is left.

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{STATE_DIR, desired, indexes, open, planned, signed};
use vnet::kernel::process::Entrance;
use vnet::{Down, Error, Exec};
use vnet_testns::sh;

const PAIR: &str = "
name: pair
nodes: [ a, b ]
links: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]
";

const NOTHING: [String; 0] = [];

#[test]
fn a_connection_survives_a_change_beside_it() {
    vnet_testns::root(|| {
        let before = desired(PAIR);
        let mut lab = open(&before);
        lab.up(&before, |_| {}).unwrap();
        let realm = vnet::kernel::Realm::own().unwrap();
        let ns = |node: &str| realm.descriptor(&before.nodes[node]).unwrap();
        // Sockets stay bound to the namespace they were made in.
        let within = |node: &str, job: fn() -> std::net::TcpListener| {
            let entrance = Entrance::new(ns(node), "");
            std::thread::spawn(move || entrance.enter().map(|()| job()).unwrap()).join().unwrap()
        };
        let listener = within("b", || std::net::TcpListener::bind("10.0.0.2:7").unwrap());
        let entrance = Entrance::new(ns("a"), "");
        let connect = move || {
            entrance.enter().unwrap();
            std::net::TcpStream::connect("10.0.0.2:7").unwrap()
        };
        let mut client = std::thread::spawn(connect).join().unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let index = indexes("pair-a");

        let after = desired(
            "
name: pair
nodes: [ a, b, c ]
links:
  - { endpoints: [ a, b ], prefix: 10.0.0.0/24 }
  - { endpoints: [ b, c ], prefix: 10.0.1.0/24 }
",
        );
        lab.up(&after, |_| {}).unwrap();
        let mut answer = [0; 5];
        client.write_all(b"still").unwrap();
        server.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still");
        assert_eq!(indexes("pair-a"), index);
        drop((client, server, listener));
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

#[test]
fn a_step_that_fails_leaves_nothing_of_a_new_lab() {
    vnet_testns::root(|| {
        // Whether there is one of the interfaces that the kernel makes by itself, only it can tell.
        let broken = desired(&PAIR.replace(
            "nodes: [ a, b ]",
            "nodes: { a: , b: { sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 } } }",
        ));
        let mut lab = open(&broken);
        let error = lab.up(&broken, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("net.ipv4.conf.ip6_vti0.rp_filter") && text.contains("ENOENT"),
            "{text}"
        );
        lab.realm().unwrap().wait_until_gone(Duration::from_secs(30)).unwrap();
        assert_eq!(sh("ip netns list"), "");
        assert!(!std::path::Path::new(STATE_DIR).join("pair").exists());
    });
}

#[test]
fn a_step_that_fails_leaves_a_lab_that_was_up_as_it_was() {
    vnet_testns::root(|| {
        let before = desired(PAIR);
        let mut lab = open(&before);
        lab.up(&before, |_| {}).unwrap();
        let index = indexes("pair-a");
        let broken = desired(
            "
name: pair
nodes: { a: , b: , c: { sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 } } }
links:
  - { endpoints: [ a, b ], prefix: 10.9.0.0/24, mtu: 1400 }
  - { endpoints: [ a, c ], prefix: 10.0.1.0/24 }
",
        );
        let error = lab.up(&broken, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        assert_eq!(planned(&lab, &before), NOTHING);
        assert_eq!(lab.record().unwrap().unwrap().desired, before);
        assert_eq!(indexes("pair-a"), index);
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn a_namespace_of_somebody_else_is_never_taken() {
    vnet_testns::root(|| {
        sh("ip netns add pair-b; ip -n pair-b link add keep type bridge");
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        let error = lab.up(&wanted, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "namespace pair-b exists and was not made by vnet");
        assert!(wanted.nodes.contains_key("a") && error.origin().index().is_some());
        // Neither is it by another lab, nor by a teardown.
        assert!(matches!(lab.down(&Down::default()), Err(Error::NotUp { .. })));
        assert_eq!(sh("ip netns list").trim(), "pair-b");
        assert!(sh("ip -n pair-b -br link").contains("keep"));
        sh("ip netns del pair-b");
    });
}

#[test]
fn a_namespace_of_another_lab_is_named_with_its_lab() {
    vnet_testns::root(|| {
        let one = desired(&PAIR.replace("name: pair", "name: one\nnetns: $node"));
        let other = desired(&PAIR.replace("name: pair", "name: other\nnetns: $node"));
        let (mut one_lab, mut other_lab) = (open(&one), open(&other));
        one_lab.up(&one, |_| {}).unwrap();
        let error = other_lab.up(&other, |_| {}).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("namespace a belongs to lab one (node a)"), "{text}");
        one_lab.down(&Down::default()).unwrap();
        other_lab.up(&other, |_| {}).unwrap();
        other_lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

#[test]
fn a_lab_is_taken_down_without_its_record() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        sh(&format!("rm -r {STATE_DIR}"));
        // Nothing on disk is needed to see that all is as wanted, …
        assert_eq!(planned(&lab, &wanted), NOTHING);
        // … nor to remove it.
        let removed = lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        assert_eq!(removed.namespaces.len(), 2);
    });
}

#[test]
fn vm_a_change_without_a_record_is_undone_to_what_no_file_says_any_more() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["vxlan"]);
        let file = |vxlan: &str, rest: &str| {
            let a = format!("a: {{ interfaces: {{ {vxlan} }} }}");
            desired(&format!("{{ name: pair, nodes: {{ {a}, b: {rest} }}, links: [ [ a, b ] ] }}"))
        };
        let first = "vx0: { kind: vxlan, id: 7, remote: 10.0.1.2, dstport: 4789, ttl: 5 }";
        let before = file(first, "");
        let mut lab = open(&before);
        lab.up(&before, |_| {}).unwrap();
        let others = ["", "vx0: { kind: vxlan, id: 8, dstport: 4789, ttl: 6 }"];
        for other in others {
            sh(&format!("rm -r {STATE_DIR}"));
            let broken = file(other, "{ sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 } }");
            let error = lab.up(&broken, |_| {}).unwrap_err();
            assert!(matches!(error, Error::Undone { .. }), "{other:?}: {error:?}");
            assert_eq!(planned(&lab, &before), NOTHING, "{other:?}");
            let shown = sh("ip -n pair-a -d link show vx0");
            assert!(shown.contains("remote 10.0.1.2") && shown.contains("ttl 5"), "{shown}");
        }
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn a_record_that_is_cut_short_is_as_none() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let path = format!("{STATE_DIR}/pair/lab.json");
        let text = std::fs::read(&path).unwrap();
        for end in (0..text.len()).step_by(97) {
            std::fs::write(&path, &text[..end]).unwrap();
            assert_eq!(planned(&lab, &wanted), NOTHING);
        }
        lab.up(&wanted, |_| {}).unwrap();
        assert_eq!(lab.record().unwrap().unwrap().desired, wanted);
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn what_vnet_started_is_ended_and_what_others_started_is_named() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let mut ours =
            lab.command("a", "sleep", Exec::default()).unwrap().arg("600").spawn().unwrap();
        let mut theirs =
            Command::new("ip").args("netns exec pair-b sleep 600".split(' ')).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let error = lab.down(&Down::default()).unwrap_err();
        let Error::Inhabited { inhabitants } = &error else { panic!("{error:?}") };
        assert_eq!(inhabitants.len(), 1);
        assert_eq!(inhabitants[0].1.pid, theirs.id());
        assert_eq!(sh("ip netns list | wc -l").trim(), "2");
        assert!(ours.try_wait().unwrap().is_none(), "nothing is ended where `down` refuses");
        let removed = lab.down(&Down { force: true, wait: false }).unwrap();
        assert_eq!(removed.processes, 1);
        ours.wait().unwrap();
        // Its namespace lives on, without a link that leads anywhere.
        let links = format!("nsenter -t {} -n ip -o link | wc -l", theirs.id());
        assert_eq!(sh(&links).trim(), "1");
        theirs.kill().unwrap();
        theirs.wait().unwrap();
    });
}

#[test]
fn who_is_about_to_leave_does_not_keep_a_lab_up() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let here = format!("{}/here", std::env::var("HOME").unwrap());
        let mut theirs = Command::new("ip")
            .args("netns exec pair-b sh -c".split(' '))
            .arg("touch $HOME/here; exec sleep 0.2")
            .spawn()
            .unwrap();
        while !Path::new(&here).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        lab.down(&Down::default()).unwrap();
        assert!(theirs.try_wait().unwrap().is_some());
    });
}

#[test]
fn a_program_sees_its_node() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let hosts_before = std::fs::read("/etc/hosts").unwrap();
        let run = |script: &str, how| {
            let mut command = lab.command("a", "sh", how).unwrap();
            let output = command.args(["-c", script]).stdin(Stdio::null()).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let default = Exec::default();
        assert_eq!(run("hostname; echo $VNET_LAB $VNET_NODE", default), "a\npair a");
        assert_eq!(run("ls /sys/class/net", default), "b\nlo");
        assert_eq!(run("getent hosts b | tr -s ' '", default), "10.0.0.2 b");
        assert_eq!(run("id -u", default), "0");
        let me = Exec { as_user: Some((1234, 1235)) };
        assert_eq!(
            run("id -u; id -g; ip link set dev b down 2>&1 | grep -ciE 'denied|permitted'", me),
            "1234\n1235\n1"
        );
        assert_eq!(run("exit 7; echo not", default), "");
        assert_eq!(
            lab.command("a", "sh", default)
                .unwrap()
                .args(["-c", "exit 7"])
                .status()
                .unwrap()
                .code(),
            Some(7)
        );
        assert_eq!(std::fs::read("/etc/hosts").unwrap(), hosts_before);
        let error = lab.command("c", "sh", default).unwrap_err();
        assert_eq!(error.to_string(), "lab pair has no node c");
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn few_descriptors_are_enough_for_many_nodes() {
    vnet_testns::root(|| {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let few = Some(160);
        setrlimit(Resource::Nofile, Rlimit { current: few, maximum: few }).unwrap();
        let ring = desired(
            "
name: ring
nodes: [ n1..300 ]
links:
  - { endpoints: [ n1..299, n2..300 ], pairs: each, pool: 10.0.0.0/16 }
  - { endpoints: [ n300, n1 ], prefix: 10.1.0.0/31 }
",
        );
        let mut lab = open(&ring);
        lab.up(&ring, |_| {}).unwrap();
        assert_eq!(planned(&lab, &ring), NOTHING);
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        assert!(threads <= 8, "{threads} threads");
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

#[test]
fn one_process_at_a_time_changes_a_lab() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let lock = std::fs::File::open(format!("{STATE_DIR}/pair/lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let settings = vnet::Settings { wait: false, ..vnet::Settings::new(STATE_DIR) };
        let mut second = vnet::Lab::open(&settings, &wanted.lab).unwrap();
        assert!(matches!(second.up(&wanted, |_| {}), Err(Error::Locked { .. })));
        assert!(matches!(second.down(&Down::default()), Err(Error::Locked { .. })));
        drop(lock);
        second.down(&Down::default()).unwrap();
    });
}

#[test]
fn a_state_folder_that_others_may_write_to_is_refused() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        sh(&format!("mkdir -m 777 {STATE_DIR}"));
        let error = open(&wanted).up(&wanted, |_| {}).unwrap_err();
        assert!(error.to_string().contains("can be written to by others"), "{error}");
        assert_eq!(sh("ip netns list"), "");
        sh(&format!("rmdir {STATE_DIR}; ln -s /tmp {STATE_DIR}"));
        let error = open(&wanted).up(&wanted, |_| {}).unwrap_err();
        assert!(error.to_string().contains("is not a folder"), "{error}");
        sh(&format!("rm {STATE_DIR}"));
    });
}

#[test]
fn damage_of_every_kind_is_planned_and_mended() {
    vnet_testns::root(|| {
        let wanted = desired(PAIR);
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let cases: [(&str, &[&str]); 6] = [
            ("ip -n pair-a addr del 10.0.0.1/24 dev b", &["+ address 10.0.0.1/24 on pair-a:b"]),
            ("ip -n pair-a link set dev b down", &["~ pair-a:b up"]),
            ("ip -n pair-a addr add 10.9.9.9/32 dev b", &["- address 10.9.9.9/32 on pair-a:b"]),
            (
                "ip -n pair-b route add 10.8.0.0/16 via 10.0.0.1",
                &["- route 10.8.0.0/16 via 10.0.0.1 dev a in pair-b"],
            ),
            (
                "ip -n pair-a route del 10.0.0.0/24 dev b",
                &["- address 10.0.0.1/24 on pair-a:b", "+ address 10.0.0.1/24 on pair-a:b"],
            ),
            (
                "ip -n pair-b link set lo down",
                &["~ pair-b:lo up", "+ address ::1/128 on pair-b:lo"],
            ),
        ];
        for (damage, steps) in cases {
            sh(damage);
            let planned = planned(&lab, &wanted);
            assert!(planned.iter().zip(steps).all(|(a, b)| a == b), "{damage}: {planned:?}");
            let up = lab.up(&wanted, |_| {}).unwrap();
            assert_eq!(signed(&up.steps), planned, "{damage}");
            assert_eq!(common::planned(&lab, &wanted), NOTHING, "{damage}");
        }
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
