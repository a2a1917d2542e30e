//! `vnet why`, as it is typed.

#[macro_use]
mod common;

use common::{line, vnet, write};
use vnet_testns::{Snapshot, sh};

const CHAIN: &str = "\
name: demo
routing: auto
nodes: { a: , r: { forward: true }, b: }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
";

/// Asks in JSON, and returns the exit code with it.
fn json(args: &str) -> (i32, serde_json::Value) {
    let run = line(&format!("vnet why {args} --json"));
    let value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    (run.code, value)
}

#[test]
fn it_says_where_a_packet_was_last() {
    vnet_testns::root(|| {
        write("vnet.yaml", CHAIN);
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let (code, well) = json("a b");
        assert_eq!((code, &well["verdict"]), (0, &"reachable".into()), "{well:#}");
        let seen = &well["seen"];
        assert_eq!(
            (&seen["last"]["node"], &seen["last"]["heading"]),
            (&"a".into(), &"back".into())
        );
        assert_eq!(seen["places"].as_array().unwrap().len(), 8, "{well:#}");
        sh("ip netns exec demo-r nft 'table inet f { chain c { type filter hook forward \
            priority 0; ip daddr 10.0.2.2 drop; }; }'");
        pinned!(
            "vnet why a b
             vnet why a b tcp/80
             vnet why a b --no-probe
             ip netns exec demo-r nft list tables"
        );
        let (code, cut) = json("a b");
        assert_eq!((code, &cut["seen"]["agrees"]), (1, &true.into()), "{cut:#}");
        let last = &cut["seen"]["last"];
        let place = [&last["ns"], &last["interface"], &last["heading"]];
        assert_eq!(place, ["demo-r", "a", "forth"], "{cut:#}");
        assert_eq!(last["leaves"], false);
        let (_, quiet) = json("a b --no-probe");
        assert_eq!((&quiet["probe"], &quiet["seen"]), (&().into(), &().into()));
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

/// A lab that is up names the lines of its file, as long as that says what it was told.
#[test]
fn it_names_the_lines_of_the_file() {
    vnet_testns::root(|| {
        let lab = |allow: &str| {
            format!(
                "name: demo
nodes:
  a: {{ routes: [ default via r ] }}
  b: {{ routes: [ default via r ] }}
  r:
    forward: true
    firewall:
      forward: accept
      deny:
        - udp/53
        - {allow}
    nftables: |
      table inet own {{
        chain c {{
          type filter hook forward priority 0;
          udp dport 99 counter drop
        }}
      }}
links:
  - {{ endpoints: [ a, r ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ r, b ], prefix: 10.0.2.0/24 }}
expect:
  - a reaches b tcp/80
"
            )
        };
        write("vnet.yaml", lab("tcp/80"));
        let up = vnet(&["up", "-q"]);
        assert_eq!(up.code, 0, "{up:?}");
        let line_of = |json: &serde_json::Value| json["causes"][0]["line"].as_u64();
        let (_, told) = json("a b tcp/80");
        assert_eq!((line_of(&told), &told["file"]), (Some(11), &"vnet.yaml".into()), "{told:#}");
        let hops = told["forth"].as_array().unwrap();
        let lines: Vec<Option<u64>> = hops.iter().map(|hop| hop["line"].as_u64()).collect();
        assert_eq!(lines, [Some(3), Some(20), Some(21), None], "{told:#}");
        assert_eq!(line_of(&json("a b udp/53").1), Some(10));
        // So does what only `nft` reads.
        assert_eq!(line_of(&json("a b udp/99").1), Some(16));
        pinned!("vnet why a b tcp/80 --no-probe");
        let run = line("vnet test");
        assert!(run.stdout.contains("(vnet.yaml:11)"), "{run:?}");
        let other = line("cd / && vnet -l demo test --json").stdout;
        let other: serde_json::Value = serde_json::from_str(&other).unwrap();
        let cause = &other["expectations"][0]["misses"][0]["answer"]["causes"][0];
        assert_eq!((&cause["line"], &other["expectations"][0]["line"]), (&11.into(), &23.into()));

        // What is missing is where the file asks for it; what somebody else did is nowhere.
        write(
            "vnet.yaml",
            lab("tcp/81").replace("  - { endpoints: [ r, b ]", "\n  - { endpoints: [ r, b ]"),
        );
        let (_, told) = json("a b tcp/80");
        assert_eq!((line_of(&told), &told["file"]), (None, &().into()), "{told:#}");
        let run = line("vnet why a b tcp/80");
        assert!(run.stderr.contains("vnet.yaml says something else than `up` was told"), "{run:?}");
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        sh("ip -n demo-b link set dev r down");
        assert_eq!(line_of(&json("a b").1), Some(22));
        sh("ip -n demo-b link set dev r up; ip -n demo-b route add default via 10.0.2.1; \
            ip -n demo-a route add blackhole 10.0.2.2");
        assert_eq!(line_of(&json("a b").1), None);
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

/// An interface that a node does not have is a mistake of who asks, and not an answer.
#[test]
fn an_interface_that_is_not_there_is_named_with_the_nearest() {
    vnet_testns::root(|| {
        write("vnet.yaml", CHAIN);
        for ends in ["a:rr b", "a b:rr"] {
            let (code, found) = json(&format!("{ends} --static=vnet.yaml"));
            assert_eq!((code, &found["error"]), (2, &"no-interface".into()), "{found:#}");
            assert!(found.to_string().contains("a similar name exists: r\""), "{found:#}");
        }
    });
}

#[test]
fn vm_it_says_which_reasons_the_kernel_gave() {
    vnet_testns::machine_root(|| {
        vnet_testns::requires(&["drop-reasons", "nft"]);
        write("vnet.yaml", CHAIN);
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        sh("ip netns exec demo-r nft 'table inet f { chain c { type filter hook forward \
            priority 0; ip daddr 10.0.2.2 drop; }; }'");
        let run = line("vnet why a b");
        let wanted =
            "  while it was sent the kernel dropped: NETFILTER_DROP (dropped by netfilter)\n";
        assert!(run.stdout.contains(wanted), "{run:?}");
        let (code, told) = json("a b");
        let reason = &told["seen"]["reasons"][0];
        assert_eq!((code, &reason["reason"]), (1, &"NETFILTER_DROP".into()), "{told:#}");
        assert_eq!(
            (&reason["means"], &told["seen"]["unheard"]),
            (&"dropped by netfilter".into(), &().into())
        );
        assert!(reason["times"].as_u64() >= Some(1), "{told:#}");
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

#[test]
fn an_ordinary_user_sees_it_too() {
    vnet_testns::user(|| {
        write("vnet.yaml", CHAIN);
        let before = Snapshot::take();
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let (code, well) = json("a b");
        assert_eq!(code, 0, "{well:#}");
        // The kernel does not tell them why it drops packets.
        let unheard = well["seen"]["unheard"].as_str().unwrap_or_else(|| panic!("{well:#}"));
        assert!(unheard.starts_with("cannot open tracefs"), "{unheard}");
        let run = line("vnet exec b -- ip route del 10.0.1.0/24");
        assert_eq!(run.code, 0, "{run:?}");
        pinned!("vnet why a b");
        assert_eq!(vnet(&["down", "-q"]).code, 0);
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// Two namespaces that somebody else made.
const STRANGERS: &str = "
    ip netns add x; ip netns add y
    ip link add e0 netns x type veth peer name e0 netns y
    for n in 1:x 2:y; do ns=${n#*:}; ip -n $ns link set lo up; ip -n $ns link set e0 up
    ip -n $ns addr add 10.7.0.${n%:*}/24 dev e0; done";

#[test]
fn namespaces_of_others_are_ends() {
    vnet_testns::root(|| {
        sh(STRANGERS);
        let (code, told) = json("x y --netns x --netns y");
        assert_eq!((code, &told["verdict"]), (0, &"reachable".into()), "{told:#}");
        assert!(told["probe"].as_str().unwrap().starts_with("reply after"), "{told:#}");
        let (code, told) = json("x 10.7.0.2 tcp/80 --netns x --netns y");
        assert_eq!((code, &told["causes"][0]["code"]), (1, &"nobody-listens".into()), "{told:#}");
        sh("ip netns exec y nft 'table inet f { chain c { type filter hook input priority 0; \
            icmp type echo-request drop; }; }'");
        pinned!(
            "vnet why x y --netns x --netns y
             vnet why x y --netns x --netns y --trace-foreign
             ip netns exec y nft list tables
             vnet why x y
             vnet why x z --netns x --netns y
             vnet why x y --netns x --netns nowhere"
        );
        sh("ip netns del x; ip netns del y");
    });
}

#[test]
fn namespaces_of_processes_are_ends() {
    vnet_testns::root(|| {
        sh(&format!(
            "{STRANGERS}
             for ns in x y; do ip netns exec $ns sleep 60 >/dev/null 2>&1 & echo $! >$HOME/$ns; done"
        ));
        let ends = "$(cat x) $(cat y) --pid $(cat x) --pid $(cat y)";
        // A process that has just been started is still on its way into the namespace.
        sh(
            "for ns in x y; do while [ $(ip netns identify $(cat $HOME/$ns)) != $ns ]; do sleep 0.01; done; done",
        );
        let (code, told) = json(ends);
        assert_eq!((code, &told["verdict"]), (0, &"reachable".into()), "{told:#}");
        // It has no other end in what is looked at.
        let (code, told) = json("$(cat x) 10.7.0.2 --pid $(cat x) --no-probe");
        assert!(code == 1 || code == 3, "{code}: {told:#}");
        sh("ip -n y link set e0 down");
        let (code, told) = json(ends);
        assert_eq!((code, &told["causes"][0]["code"]), (1, &"peer-down".into()), "{told:#}");
        let run = line("vnet why 1 4194305 --pid 4194305");
        assert_eq!(run.code, 3, "{run:?}");
        sh("kill $(cat $HOME/x) $(cat $HOME/y); ip netns del x; ip netns del y");
    });
}

/// Where the tutorial says that `lo` must be up too.
#[test]
fn the_tutorial_before_its_lo_is_up() {
    vnet_testns::root(|| {
        pinned!(
            "vnet ip link add veth0 type veth peer name veth1
             vnet ip netns add vnet0
             vnet ip link set veth0 netns vnet0
             vnet ip -n vnet0 addr add 10.0.1.0/24 dev veth0
             vnet ip -n vnet0 link set veth0 up
             vnet why vnet0 10.0.1.0 --netns vnet0 --no-probe"
        );
        let why = "vnet why vnet0 10.0.1.0 --netns vnet0";
        assert_eq!(line(why).code, 1);
        assert_eq!(line("vnet ip -n vnet0 link set lo up").code, 0);
        assert_eq!(line(why).code, 0);
        sh("ip netns del vnet0");
    });
}

/// A rule that decides is on the way, with its line.
#[test]
fn a_rule_of_the_file_has_its_line() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "name: demo
nodes:
  a:
    routes: [ 10.0.2.0/24 via r table 7 ]
    rules:
      - to 10.0.2.0/24 table 7 priority 100
  r: { forward: true }
  b: { routes: default via r }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
",
        );
        let (code, told) = json("a b --static");
        let first = &told["forth"][0];
        assert_eq!(
            (code, &first["by"], &first["line"]),
            (0, &"rule".into(), &6.into()),
            "{told:#}"
        );
    });
}
