//! What is wrong is said clearly, with the right code, and nothing is made.

#[macro_use]
mod common;

use common::{PAIR, TUTORIAL, line, vnet, write};
use vnet_testns::Snapshot;

/// Files that can't be used, each with one thing wrong.
const BAD: [(&str, &str); 10] = [
    ("broken.yaml", "name: demo\nnodes: [ a, b\nlinks: ]"),
    ("empty.yaml", ""),
    (
        "long-name.yaml",
        "name: demo\nnodes: { a: { interfaces: { sixteen-bytes-xx: 10.0.0.1/24 } } }\n",
    ),
    ("unknown-node.yaml", "name: demo\nnodes: [ router1 ]\nlinks: [ [ router1, router2 ] ]\n"),
    ("twice.yaml", "name: demo\nnodes: [ a, b, a ]\n"),
    (
        "same-address.yaml",
        "name: demo\nnodes: [ a, b ]\nlinks:\n  - endpoints: { a: 10.0.0.1/24, b: 10.0.0.1/24 }\n",
    ),
    (
        "overlap.yaml",
        "name: demo\nnodes: [ a, b ]\nrouting: auto\nlinks:\n  - { endpoints: [ a, b ], prefix: 10.0.0.0/24 }\n  - { endpoints: [ a, b ], prefix: 10.0.0.0/16 }\n",
    ),
    ("reversed.yaml", "name: demo\nnodes: [ r3..1 ]\n"),
    ("not-yet.yaml", "name: demo\nnodes: { a: { services: [ x ] } }\n"),
    ("escape.yaml", "name: demo\nnodes: [ \"a\\e[31m\" ]\n"),
];

#[test]
fn bad_files_touch_nothing() {
    vnet_testns::root(|| {
        let before = Snapshot::take();
        let mut lines = String::new();
        for (name, text) in BAD {
            write(name, text);
            lines.push_str(&format!("vnet up {name}\n"));
        }
        pinned!(&lines);
        for (name, _) in BAD {
            assert_eq!(vnet(&["up", name]).code, 2, "{name}");
            assert_eq!(vnet(&["up", name, "--", "true"]).code, 125, "{name}");
        }
        assert_eq!(before.leaks(), [""; 0]);
        assert!(!std::fs::exists("/run/vnet").unwrap());
    });
}

#[test]
fn what_is_no_file_of_ours_is_refused_quickly() {
    vnet_testns::root(|| {
        let begin = std::time::Instant::now();
        pinned!(
            "vnet up
             vnet up nothing.yaml
             vnet up .
             vnet -f nothing.yaml up nothing.yaml
             head -c 10000000 /dev/zero | tr '\\0' '\\377' > garbage.yaml; vnet plan garbage.yaml
             yes 'a: b' | head -c 10000000 > long.yaml; vnet plan long.yaml
             vnet plan /dev/zero"
        );
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    });
}

#[test]
fn usage() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet
             vnet upp
             vnet up --var x
             vnet up --var n=1
             vnet -l 'a b' up
             vnet down --all -l demo
             vnet show
             vnet ping a
             vnet exec
             vnet shell a
             vnet completions tcsh"
        );
    });
}

#[test]
fn a_foreign_namespace_is_left_alone() {
    vnet_testns::root(|| {
        write("vnet.yaml", TUTORIAL);
        write("other.yaml", TUTORIAL.replace("name: tutorial", "name: other"));
        pinned!(
            "ip netns add vnet1
             vnet plan
             vnet up
             vnet up --json
             ip netns
             ip netns del vnet1
             vnet up other.yaml -q
             vnet up
             vnet down other.yaml -q
             ls /run/vnet"
        );
    });
}

#[test]
fn a_read_only_run_is_named() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "mount -t tmpfs none /run/home && mkdir /run/home/state
             echo '{ name: demo, nodes: [ a ] }' > /run/home/vnet.yaml
             mount -o remount,bind,ro /run
             vnet up
             VNET_STATE_DIR=/run/home/state vnet up
             ls /run/home/state
             mount -o remount,bind,rw /run && cd / && umount /run/home"
        );
    });
}

#[test]
fn a_kernel_that_refuses_is_shown_under_the_line_that_asked() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "name: demo\nnodes: [ a, b ]\nlinks:\n  - endpoints:\n      a:eth0: \"2001:db8::1/64\"\n      \
             b:\n        sysctls:\n          ipv6.mtu: 9000\n",
        );
        let before = Snapshot::take();
        pinned!("vnet up");
        assert_eq!(before.leaks(), [""; 0]);
    });
}

#[test]
fn a_state_folder_of_another_is_refused() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "mkdir -m 777 /run/open
             VNET_STATE_DIR=/run/open vnet up
             ip netns"
        );
    });
}

/// Written in pieces, the lines of programs that write to the same place at once would mingle: here
/// each piece arrives by itself.
#[test]
fn what_is_said_is_said_in_one_go() {
    vnet_testns::root(|| {
        for (words, pieces) in [
            (&["confirm", "--lab", "none"][..], &["hint: "][..]),
            (&["--color", "always", "confirm", "--lab", "none"], &["hint"]),
            // What iproute2 says, and what helps.
            (&["ip", "link", "show", "none"], &["\"none\" does not exist.\n", ""]),
        ] {
            let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let status = std::process::Command::new(env!("CARGO_BIN_EXE_vnet"))
                .args(words)
                .stderr(std::os::fd::OwnedFd::from(theirs))
                .status()
                .unwrap();
            assert!(!status.success());
            for part in pieces {
                let mut piece = [0; 4096];
                let length = ours.recv(&mut piece).unwrap();
                let said = std::str::from_utf8(&piece[..length]).unwrap();
                assert!(said.contains(part) && said.ends_with('\n'), "{words:?}: {said:?}");
            }
            assert!(ours.recv(&mut [0; 64]).is_err(), "{words:?}: more than {pieces:?}");
        }
    });
}

#[test]
fn what_the_host_lacks_or_has_already_is_named_and_nothing_is_made() {
    vnet_testns::root(|| {
        let on = "{ name: o, nodes: { a: { interfaces: { x: { kind: macvlan, link: 'host:eth9' } } } } }";
        write("on.yaml", on);
        write("link.yaml", "{ name: l, nodes: [ a ], links: [ { endpoints: [ a, 'host:l0' ] } ] }");
        let before = Snapshot::take();
        pinned!(
            "vnet up on.yaml
             ip link add l0 type bridge
             vnet up link.yaml
             ip link del l0
             vnet ls"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// A node with a text for `nft`, whose rule stands on line 8.
fn with_text(rule: &str) -> String {
    format!(
        "name: demo
nodes:
  a:
    nftables: |
      table inet own {{
        chain c {{
          type filter hook input priority 0;
          {rule}
        }}
      }}
  b:
links: [ {{ endpoints: [ a, b ], prefix: 10.0.0.0/24 }} ]
"
    )
}

/// What only `nft` understands is read by it at `check` too.
#[test]
fn check_has_nft_read_its_texts() {
    vnet_testns::root(|| {
        write("vnet.yaml", with_text("tcp dprot 80 drop"));
        let run = line("vnet check");
        assert_eq!(run.code, 1, "{run:?}");
        assert!(
            run.stdout.contains("vnet.yaml:8:") && run.stdout.contains("(nft-text)"),
            "{run:?}"
        );
        assert_eq!(line("ip netns list").stdout, "");
        write("vnet.yaml", with_text("tcp dport 80 drop"));
        assert_eq!(line("vnet check").code, 0);
        write("vnet.yaml", format!("allow: nft-text\n{}", with_text("tcp dprot 80 drop")));
        assert_eq!(line("vnet check").code, 0);
        assert_eq!(line("vnet explain nft-text").code, 0);
    });
}

/// Where nobody can read them, that is said.
#[test]
fn check_says_that_texts_were_not_read() {
    vnet_testns::user(|| {
        write("vnet.yaml", with_text("tcp dprot 80 drop"));
        let run = line("vnet check");
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("`nftables:` was not read: that takes root"), "{run:?}");
    });
}

/// What the kernel lacks is named with its module and option before anything is touched. (One that has it
/// can't tell: of the kernels of the VM tier the first has none.)
#[test]
fn a_kind_that_the_kernel_lacks_is_named() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "name: demo\nlinks: [ { kind: netkit, endpoints: [ a, b ] } ]\nnodes: [ a, b ]\n",
        );
        let before = Snapshot::take();
        let run = vnet(&["up"]);
        if run.code == 0 {
            assert_eq!(vnet(&["down"]).code, 0);
            return;
        }
        assert_eq!(run.code, 3, "{}", run.stderr);
        for word in ["module `netkit`", "CONFIG_NETKIT"] {
            assert!(run.stderr.contains(word), "no {word} in {}", run.stderr);
        }
        assert_eq!(before.leaks(), [""; 0]);
    });
}
