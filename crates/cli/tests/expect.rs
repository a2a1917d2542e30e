//! `vnet test`: what must hold of a lab that is up, tried for real.

#[macro_use]
mod common;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{line, vnet, write};
use vnet_testns::sh;

/// ```text
///  pc ── r1 ── r2 ── web
///          \  /
///           r3
/// ```
const TRIANGLE: &str = "\
name: demo
routing: auto
nodes:
  r1..3: { forward: true }
  pc:
  web:
links:
  - { endpoints: [ pc, r1 ], prefix: 10.0.1.0/24, gateway: r1 }
  - { endpoints: [ r1..3, r1..3 ], pairs: all, pool: 10.1.0.0/24 }
  - { endpoints: [ r2, web ], prefix: [ 10.0.2.0/24, 2001:db8::/64 ], gateway: r2 }
expect:
  - pc reaches web
  - pc reaches web tcp/80 via r1 via r2 within 2s
  - pc, r* reach web udp/53 ipv4
  - web sees pc as 10.0.1.2
  - pc reaches r2:web if r1--r3 is down
  - pc cannot reach web if r1--r2 is down
";

#[test]
fn what_must_hold_does() {
    vnet_testns::root(|| {
        write("vnet.yaml", TRIANGLE);
        pinned!(
            "vnet test
             vnet test --static
             vnet up -q
             vnet test
             vnet test --live
             vnet test --tap
             vnet plan"
        );
        // Who listens already is asked as it is.
        let run = line("vnet test -l demo --json");
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &json["verdict"]), (0, &"holds".into()), "{json:#}");
        sh("ip netns exec demo-web perl -MIO::Socket::INET -e '
              my $s = IO::Socket::INET->new(Listen=>9, LocalPort=>80) or die; sleep 60' >/dev/null 2>&1 &
            echo $! >$HOME/listener");
        assert_eq!(vnet(&["test", "-q"]).code, 0);
        sh("kill $(cat $HOME/listener)");
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

/// Where somebody listens on the port, but not at the address that is asked, who tries can't listen there
/// in its place: that is the cause.
#[test]
fn who_listens_at_another_address_is_the_cause() {
    vnet_testns::root(|| {
        let file = "name: demo\nnodes: { a: , b: }\nlinks: [ { endpoints: [ a, b ], prefix: 10.0.0.0/30 } ]\n\
                    expect: [ a reaches b tcp/80, a reaches b udp/80 ]\n";
        write("vnet.yaml", file);
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        sh("ip netns exec demo-b perl -MIO::Socket::INET -e '
              my $s = IO::Socket::INET->new(Listen=>9, LocalAddr=>q(127.0.0.1), LocalPort=>80) or die;
              open F, q(>), $ENV{HOME}.q(/listens); close F; sleep 60' >/dev/null 2>&1 &
            echo $! >$HOME/listener
            while [ ! -e $HOME/listens ]; do sleep 0.01; done");
        let run = line("vnet test --json");
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let [tcp, udp] = [0, 1].map(|at| &json["expectations"][at]);
        assert_eq!((run.code, &udp["verdict"]), (1, &"holds".into()), "{json:#}");
        assert_eq!(tcp["verdict"], "fails", "{json:#}");
        assert!(tcp.to_string().contains("listens-elsewhere"), "{json:#}");
        sh("kill $(cat $HOME/listener)");
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

#[test]
fn what_does_not_hold_says_why() {
    vnet_testns::root(|| {
        let more = "  - pc cannot reach r1
  - pc reaches web via r3
  - web sees pc as 192.0.2.1 tcp/8080
  - pc reaches r2:r1 for every single link failure
";
        write("vnet.yaml", format!("{TRIANGLE}{more}"));
        pinned!(
            "vnet up -q
             ip -n demo-r2 route del 10.0.1.0/24
             vnet test -W 0.3 --junit report.xml
             sed 's/time=\"[0-9.]*\"/time=\"\"/' report.xml
             vnet test -W 0.3 --tap --static
             vnet down -q"
        );
    });
}

#[test]
fn who_can_not_be_tried_is_named_in_every_form() {
    vnet_testns::root(|| {
        let lab = "name: demo\nnodes: { a: , b: , bare: }\nlinks: [ { endpoints: [ a, b ], prefix: 10.0.0.0/24 } ]\n";
        write("vnet.yaml", format!("{lab}expect: [ bare reaches a, all reach all ]\n"));
        let tap = line("vnet test --static --tap --junit report.xml");
        let why = "bare has no address that can be tried";
        let lines = ["not ok 2 - bare reaches a", &format!("# {why}"), "ok 3 - all reach all"];
        assert_eq!(tap.code, 3, "{}", tap.stdout);
        assert!(tap.stdout.contains(&lines.join("\n")), "{}", tap.stdout);
        assert!(tap.stdout.ends_with(&format!("# left out: {why}\n")), "{}", tap.stdout);
        let xml = line("cat report.xml").stdout;
        assert!(xml.contains(&format!("<error message=\"{why}\">")), "{xml}");
        let text = line("vnet test --static").stdout;
        assert!(text.contains(&format!("left out: {why}")), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&line("vnet test --static --json").stdout).unwrap();
        assert_eq!(json["expectations"][1]["left_out"][0], why, "{json:#}");
        // Up, it is the same.
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let text = line("vnet test").stdout;
        assert!(text.contains(&format!("         {why}\n")), "{text}");
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

/// What `ip` says of all nodes, without what changes by itself.
fn network() -> String {
    let nodes = "for n in pc r1 r2 r3 web lan; do ip -n demo-$n -br link; ip -n demo-$n -br addr; \
                 ip -n demo-$n route; ip -n demo-$n -6 route; done";
    line(nodes).stdout.lines().filter(|line| !line.contains("fe80")).collect::<Vec<_>>().join("\n")
}

/// The cables of a segment's members are really cut too, from both ends, and put back. Without any
/// link nothing is.
#[test]
fn a_cable_to_a_segment_is_cut() {
    vnet_testns::root(|| {
        let lab = "name: demo\nnodes: [ a, b, c ]\n\
                   segments: { lan: { prefix: 10.0.0.0/24, members: [ a, b, c ] } }\n";
        let expect = "expect: [ a reaches b if c--lan is down, a cannot reach b if b:lan is down, \
                      a reaches b for every single link failure ]\n";
        write("vnet.yaml", format!("{lab}{expect}"));
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let run = line("vnet test --live -W 0.2 --json");
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let [one, other, each] = [0, 1, 2].map(|at| &json["expectations"][at]);
        assert_eq!(
            (&one["verdict"], &other["verdict"]),
            (&"holds".into(), &"holds".into()),
            "{json:#}"
        );
        let cut: Vec<_> = each["misses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["cut"][0].as_str().unwrap())
            .collect();
        assert_eq!((cut, &each["cases"]), (vec!["a--lan", "b--lan"], &3.into()), "{json:#}");
        assert_eq!(vnet(&["plan"]).code, 0);
        assert_eq!(vnet(&["down", "-q"]).code, 0);

        let lab = "name: demo\nnodes: { a: { interfaces: { lo: 10.0.0.1/32 } } }\n";
        write("vnet.yaml", format!("{lab}expect: [ a reaches a for every single link failure ]\n"));
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let run = line("vnet test --live");
        assert_eq!(run.code, 3, "{}", run.stdout);
        assert!(run.stdout.contains("the lab has no link that could fail"), "{}", run.stdout);
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}

/// A signal in the middle, while links are cut, leaves the lab as it was.
#[test]
fn a_link_that_was_cut_is_put_back_after_a_signal() {
    vnet_testns::root(|| {
        // Nobody answers there, which takes three seconds to be sure of.
        let expect = "segments: { lan: { members: [ r1, r2 ] } }\n\
                      expect: pc cannot reach 10.0.2.77 if r2--r3, r1--r3 and lan are down\n";
        let lab = TRIANGLE.split("expect:").next().unwrap();
        write("vnet.yaml", format!("{lab}{expect}"));
        assert_eq!(vnet(&["up", "-q"]).code, 0);
        let before = network();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vnet"))
            .args(["test", "--live", "-W", "5"])
            .current_dir(std::env::var("HOME").unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let is_cut = || line("ip -n demo-r1 -br link show dev lan").stdout.contains("DOWN");
        while !is_cut() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it cut the link");
            std::thread::sleep(Duration::from_millis(20));
        }
        sh(&format!("kill -INT {}", child.id()));
        let status = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!status.success() && said.contains("interrupted"), "{status}: {said}");
        assert_eq!(network(), before);
        assert_eq!(vnet(&["down", "-q"]).code, 0);
    });
}
