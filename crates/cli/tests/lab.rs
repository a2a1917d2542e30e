//! Labs from end to end, as root, each session in namespaces of its own.

#[macro_use]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{PAIR, TUTORIAL, line, vnet, write};
use vnet_testns::{Snapshot, sh};

#[test]
fn the_tutorial() {
    vnet_testns::root(|| {
        write("vnet.yaml", TUTORIAL);
        pinned!(
            "vnet plan
             vnet plan --as ip
             vnet up
             vnet up
             vnet plan
             vnet ls
             vnet show
             vnet show vnet0
             vnet ping
             vnet ping vnet0 10.0.2.0
             vnet exec vnet0 -- ip -br route
             vnet down
             vnet down
             vnet ls"
        );
    });
}

#[test]
fn drift_is_seen_and_mended() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet up -q
             ip -n demo-a link set dev b down
             ip -n demo-a link add other type bridge
             ip -n demo-b addr add 10.9.9.9/32 dev a
             vnet plan
             vnet show
             vnet ping -W 0.5
             vnet ping -W 0.5 b a
             vnet up
             vnet ping -q
             ip netns del demo-b; while ip -n demo-a link show dev b; do sleep 0.01; done 1>&- 2>&-
             vnet ls
             vnet show b
             vnet up
             vnet down -q --wait"
        );
    });
}

#[test]
fn a_lab_that_is_up_needs_no_file() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet up -q; mkdir elsewhere; cd elsewhere; vnet plan
             vnet -l demo plan; ip -n demo-a link set dev b down
             cd elsewhere; vnet -l demo plan
             cd elsewhere; vnet -l other plan
             cd elsewhere; vnet -l demo down"
        );
    });
}

#[test]
fn ping_draws_who_reaches_whom() {
    vnet_testns::root(|| {
        write("vnet.yaml", include_str!("../../../examples/dual-stack.yaml"));
        pinned!(
            "vnet up
             vnet ping
             ip -n dual-stack-client -6 addr flush dev lan
             vnet ping -W 0.5
             vnet ping -4
             vnet ping -6 router server
             vnet ping lan server
             vnet ping client 203.0.113.1
             vnet ping client client
             vnet ping nobody
             vnet down -q"
        );
    });
}

#[test]
fn ping_of_a_large_lab_lists_what_fails() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "name: big\nnodes: [ r1..32 ]\nsegments:\n  lan: { prefix: 10.0.0.0/24, members: [ r1..32 ] }\n",
        );
        pinned!(
            "vnet up
             vnet ping
             ip -n big-lan link set dev r7 down
             vnet ping -W 0.5
             vnet ping -W 0.5 r1
             vnet down"
        );
    });
}

#[test]
fn a_changed_file_changes_the_lab() {
    vnet_testns::root(|| {
        let file = |members: &str| {
            format!(
                "name: demo\nnodes: [ a, b, c ]\nsegments:\n  lan:\n    prefix: 10.0.0.0/24\n    members: {members}\n"
            )
        };
        write("vnet.yaml", file("[ a, c ]"));
        write("more.yaml", file("[ a, b, c ]"));
        write("pinned.yaml", file("{ a: , b: , c: 10.0.0.2 }"));
        pinned!(
            "vnet up
             vnet plan more.yaml
             vnet plan pinned.yaml
             vnet up pinned.yaml
             vnet exec lan hostname
             vnet config pinned.yaml
             vnet -v down"
        );
    });
}

#[test]
fn labs_by_name() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        write("vars.yaml", "vars: { n: 2 }\nname: many\nnodes: [ 'pc1..$n' ]\n");
        pinned!(
            "vnet -l ci-7 up
             vnet up -l ci-8 -f vnet.yaml
             cat vars.yaml | vnet up - --var n=25
             vnet ls
             cd / && vnet exec a hostname
             cd / && vnet exec -l ci-8 a hostname
             VNET_LAB=ci-7 vnet show a
             vnet down --all
             vnet down --all
             ls /run/vnet /run/netns"
        );
    });
}

#[test]
fn exec_passes_codes_on() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet exec a true
             vnet up -q
             vnet exec a -- sh -c 'hostname; echo $VNET_LAB $VNET_NODE; pwd; cat /etc/hosts; exit 7'
             vnet exec --as-me a id -u
             vnet exec a -- sh -c 'kill -TERM $$'
             vnet exec a nothing
             vnet exec a /etc/passwd
             vnet exec c true
             vnet exec a
             vnet exec --no-such a true
             echo $(vnet exec a..b true)
             vnet exec b1..2 true
             echo hostname | vnet shell b
             vnet shell
             vnet down -q"
        );
    });
}

#[test]
fn exec_in_many_nodes_goes_on_after_a_failure() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "name: demo\nnodes: [ r1..3 ]\nsegments: { lan: { members: [ r1..2 ] } }\n",
        );
        pinned!(
            "vnet up -q
             vnet exec r1..3 -- sh -c 'test $(hostname) != r2 || exit 5'
             vnet exec lan hostname
             vnet exec r2..1 hostname
             vnet down -q"
        );
    });
}

#[test]
fn up_with_a_command_always_takes_down() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let before = Snapshot::take();
        pinned!(
            "vnet up -- sh -c 'echo $VNET_LAB; pwd; vnet exec a hostname; exit 9'
             vnet up -l ci -- vnet exec a -- sh -c 'echo $VNET_LAB'
             vnet up -- sh -c 'kill -KILL $$'
             vnet up -- nothing
             vnet up -f nothing.yaml -- true
             vnet up --nothing -- true
             vnet up -- sh -c 'vnet exec a sleep 9 & ip netns exec demo-b sleep 9 & until ip netns pids demo-a | grep -q . && ip netns pids demo-b | grep -q .; do sleep 0.02; done'
             vnet ls"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

#[test]
fn a_signal_to_up_reaches_the_command_and_the_lab_is_taken_down() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        for signal in ["TERM", "INT", "HUP"] {
            let script =
                format!("trap 'exit 33' {signal}; touch ready; while :; do sleep 0.05; done");
            let mut child = Command::new(env!("CARGO_BIN_EXE_vnet"))
                .args(["up", "--", "sh", "-c", &script])
                .current_dir("/run/home")
                .spawn()
                .unwrap();
            wait_for(|| std::fs::exists("/run/home/ready").unwrap());
            sh(&format!("rm /run/home/ready; kill -{signal} {}", child.id()));
            assert_eq!(child.wait().unwrap().code(), Some(33), "{signal}");
            assert_eq!(sh("ls /run/netns"), "", "{signal}");
        }
    });
}

#[test]
fn down_names_who_is_inside() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        assert_eq!(vnet(&["up"]).code, 0);
        let mut foreign =
            Command::new("ip").args(["netns", "exec", "demo-b", "sleep", "100"]).spawn().unwrap();
        let name = format!("/proc/{}/comm", foreign.id());
        wait_for(|| std::fs::read_to_string(&name).unwrap() == "sleep\n");
        pinned!(
            "vnet down
             ip netns | sort
             vnet down --force"
        );
        foreign.kill().unwrap();
        foreign.wait().unwrap();
    });
}

#[test]
fn a_lab_that_is_being_changed_is_not_touched() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "mkdir -p /run/vnet/demo && echo 4711 > /run/vnet/demo/lock
             flock /run/vnet/demo/lock vnet --no-wait up
             flock /run/vnet/demo/lock sleep 0.3 & sleep 0.1; vnet up -v
             vnet down"
        );
    });
}

#[test]
fn what_a_terminal_would_obey_never_gets_there() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        assert_eq!(vnet(&["up"]).code, 0);
        sh("ip -n demo-a link add name \"$(printf 'x\\033[31m')\" type bridge");
        for args in [["show", "-q"], ["plan", "-v"], ["up", "-v"], ["show", "--json"]] {
            let run = vnet(&args);
            assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run:?}");
        }
        assert!(line("vnet show --color always").stdout.contains('\u{1b}'));
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn graph_draws_the_file_and_what_exists() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet graph --format mermaid
             vnet graph -o pair.dot; head -n 1 pair.dot
             vnet graph -o pair.svg; head -c 4 pair.svg; echo
             vnet graph -o no/such.svg
             vnet graph no.yaml
             vnet up -q
             vnet graph --live --format mermaid | head -n 4
             ip -n demo-a link del dev b
             vnet graph --live --format mermaid | tail -n 1
             mv vnet.yaml elsewhere; vnet graph -l demo | grep -c 'line wrong'
             vnet -l demo down -q"
        );
    });
}
