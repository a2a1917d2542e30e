//! Hostile names and places: what somebody has put in the way, and what is not dropped by itself.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

#[macro_use]
mod common;

use std::time::{Duration, Instant};

use common::{PAIR, line, vnet, write};
use vnet_testns::Snapshot;

/// Names that no lab, node, namespace or interface may have, wherever they come from.
#[test]
fn names_that_lead_elsewhere_are_refused() {
    vnet_testns::root(|| {
        let before = Snapshot::take();
        for name in
            ["..", ".", "a/b", "/a", "a\nb", "a\u{1b}[2Jb", "ä", "a b", "-a", "", "a\u{202e}b"]
        {
            let run = vnet(&["-l", name, "down"]);
            assert_eq!(run.code, 2, "{name:?}: {run:?}");
            let places = [
                format!("{{ name: {name:?}, nodes: [ a ] }}"),
                format!("{{ name: t, nodes: [ {name:?} ] }}"),
                format!(
                    "{{ name: t, nodes: [ a ], segments: {{ {name:?}: {{ members: [ a ] }} }} }}"
                ),
            ];
            for text in places {
                write("vnet.yaml", &text);
                let run = vnet(&["up"]);
                assert_eq!(run.code, 2, "{text}: {run:?}");
                assert!(!run.stderr.contains('\u{1b}'), "{text}: {run:?}");
            }
        }
        for name in ["..", ".", "a/b", "a\nb", "a\u{1b}[2Jb"] {
            write("vnet.yaml", format!("{{ name: t, netns: {name:?}, nodes: [ a ] }}"));
            let run = vnet(&["up"]);
            assert_eq!(run.code, 2, "{name:?}: {run:?}");
        }
        for name in ["..", "a/b", "a\nb", "a b", "abcdefghijklmnop", "äöüäöüäö", "a\u{1b}[2Jb"]
        {
            let text = format!(
                "{{ name: t, nodes: [ a, b ], links: [ {{ endpoints: [ a, {:?} ] }} ] }}",
                format!("b:{name}")
            );
            write("vnet.yaml", &text);
            let run = vnet(&["up"]);
            assert_eq!(run.code, 2, "{text}: {run:?}");
            assert!(!run.stderr.contains('\u{1b}'), "{text}: {run:?}");
        }
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// The longest name that the kernel takes, and one that is not ASCII.
#[test]
fn names_up_to_the_limit_are_taken() {
    vnet_testns::root(|| {
        write(
            "vnet.yaml",
            "{ name: t, nodes: [ a, b ], links: [ { endpoints: [ \"a:abcdefghijklmno\", \"b:äöüäöüä\" ], prefix: 10.0.0.0/24 } ] }",
        );
        assert_eq!(vnet(&["up"]).code, 0);
        assert_eq!(vnet(&["plan"]).code, 0);
        assert_eq!(vnet(&["ping"]).code, 0);
        // What a person in a node calls an interface is not obeyed by a terminal.
        let name = "$(printf 'x\\033[2Jy')";
        assert_eq!(line(&format!("ip -n t-a link add \"{name}\" type bridge")).code, 0);
        for command in ["plan", "show", "up", "ls"] {
            let run = vnet(&[command]);
            assert!(!(run.stdout + &run.stderr).contains('\u{1b}'), "{command}");
        }
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

#[test]
fn a_state_folder_that_somebody_has_prepared() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let before = Snapshot::take();
        pinned!(
            "mkdir /run/mine /run/vnet; echo kept > /run/mine/lab.json; ln -s /run/mine /run/vnet/demo
             vnet up
             rm /run/vnet/demo; mkdir /run/vnet/demo; ln -s /run/mine/lab.json /run/vnet/demo/lab.json
             vnet up
             vnet -l demo down
             rm -rf /run/vnet/demo; mkdir /run/vnet/demo; mkfifo /run/vnet/demo/lab.json
             vnet -l demo show
             rm -r /run/vnet/demo; mkdir -p /run/vnet/demo/lock
             vnet up
             rm -r /run/vnet/demo; mkdir /run/vnet/demo; ln -s /run/mine/new /run/vnet/demo/lock
             vnet up
             rm -r /run/vnet; ln -s /run/mine /run/vnet
             vnet up
             rm /run/vnet; cat /run/mine/lab.json; ls /run/mine; rm -r /run/mine"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// Links lead nowhere, pipes are not waited for, and nothing of what they stand for is said or changed.
#[test]
fn files_of_a_lab_that_somebody_has_replaced() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let before = Snapshot::take();
        assert_eq!(line("mkdir /run/mine; echo a-secret > /run/mine/file").code, 0);
        for file in ["lab.json", "lock", "pending.json", "wireguard.json"] {
            let path = format!("/run/vnet/demo/{file}");
            for way in ["ln -s /run/mine/file", "ln -s /run/mine/new", "mkfifo", "mkdir"] {
                let case = format!("rm -f {path}; {way} {path}");
                assert_eq!(vnet(&["up", "-q"]).code, 0, "{case}");
                assert_eq!(line(&case).code, 0, "{case}");
                for command in ["plan", "show", "confirm", "ls", "exec a true", "up", "down"] {
                    let run = line(&format!("timeout 20 vnet {command}"));
                    assert_ne!(run.code, 124, "{case}: {command}");
                    assert!(!(run.stdout + &run.stderr).contains("a-secret"), "{case}: {command}");
                }
                let left = line(&format!("rm -rf {path}; cd /run/mine; head *"));
                assert_eq!(left.stdout, "a-secret\n", "{case}");
                assert_eq!(vnet(&["down"]).code, 0, "{case}");
            }
        }
        assert_eq!(line("rm -r /run/mine").code, 0);
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// What that is called in the folder for what is temporary.
const OF_ANOTHER: &str = "vnet-of-another";

/// Says where there is a folder of another user: only real root can give one away, and what is root's
/// is another's to everybody else.
fn folder_of_another() -> std::path::PathBuf {
    let given = std::env::temp_dir().join(OF_ANOTHER);
    let _ = std::fs::create_dir(&given);
    // In the test's own namespaces it can't be, and was before.
    let _ = std::os::unix::fs::chown(&given, Some(65534), Some(65534));
    let is_others = |path: &std::path::Path| {
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).unwrap());
        uid != rustix::process::geteuid().as_raw()
    };
    [given, "/usr".into()].into_iter().find(|path| is_others(path)).unwrap()
}

/// As `sudo -E`, or somebody's own environment in another way, would have it.
#[test]
fn the_environment_leads_nowhere() {
    // While it can be given away.
    folder_of_another();
    vnet_testns::root(|| {
        let text = "nftables: 'table inet mine { }'";
        write("vnet.yaml", format!("{{ name: demo, nodes: {{ a: {{ {text} }} }} }}"));
        let run = line(&format!("VNET_STATE_DIR={} vnet up", folder_of_another().display()));
        assert!(run.code != 0 && run.stderr.contains("belongs to another user"), "{run:?}");
        assert_eq!(line("ip netns").stdout, "");
        let run = line(
            "mkdir -m 700 /run/evil /run/other
             for program in ip nft sysctl mount; do
               printf '#!/bin/sh\necho $0 >> /run/evil/ran' > /run/evil/$program
               chmod 755 /run/evil/$program
             done
             vnet=$(command -v vnet)
             export XDG_RUNTIME_DIR=/run/other HOME=/run/evil TMPDIR=/run/evil SUDO_USER=x SUDO_UID=1
             PATH=/run/evil:$PATH $vnet up -q && PATH=/run/evil:$PATH $vnet plan
             ls /run/vnet /run/evil && PATH=/run/evil:$PATH $vnet down -q && ls /run/other",
        );
        assert_eq!(run.code, 0, "{run:?}");
        assert!(!run.stdout.contains("ran") && run.stdout.contains("demo"), "{run:?}");
        assert_eq!(line("ls /run/other; rm -r /run/other /run/evil").stdout, "");
    });
    let _ = std::fs::remove_dir(std::env::temp_dir().join(OF_ANOTHER));
}

/// In 256 MB of memory, and at once.
#[test]
fn files_that_are_too_much_are_refused_in_little_memory() {
    vnet_testns::root(|| {
        write("long.yaml", PAIR);
        write("many.yaml", "{ name: demo, nodes: [ a1..1000000000 ] }");
        write(
            "pairs.yaml",
            "{ name: demo, nodes: [ a1..100000 ], links: [ { endpoints: [ a1..1000000000, a1..1000000000 ], pairs: all } ] }",
        );
        write(
            "ports.yaml",
            "{ name: demo, nodes: { a1..100000: { interfaces: { 'b1..1000000000': } } } }",
        );
        assert_eq!(line("yes '# and so on' | head -c 100000000 >> long.yaml").code, 0);
        for file in ["long.yaml", "many.yaml", "pairs.yaml", "ports.yaml"] {
            let begin = Instant::now();
            let run = line(&format!("ulimit -v 262144; vnet up {file}"));
            assert_eq!(run.code, 2, "{file}: {run:?}");
            assert!(run.stderr.len() < 100_000, "{file}: {} bytes are said", run.stderr.len());
            assert!(begin.elapsed() < Duration::from_secs(20), "{file}: {:?}", begin.elapsed());
        }
    });
}

/// What somebody else says a lab is to be counts for nothing.
#[test]
fn a_record_of_another_user_is_not_believed() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet up -q
             stat -c '%a %n' /run/vnet/demo/*
             chmod 666 /run/vnet/demo/lab.json
             vnet -l demo show
             vnet -l demo exec a true
             vnet ls
             chmod 600 /run/vnet/demo/lab.json
             vnet down"
        );
    });
}

/// What lives as long as the lab has nothing of whoever started it.
#[test]
fn a_keeper_drops_environment_and_descriptors() {
    vnet_testns::user(|| {
        write("vnet.yaml", PAIR);
        let begin = Instant::now();
        // With the pipe open in the keeper, `cat` would wait for the end of the lab.
        let run = line("{ SECRET=x vnet up -q --confirm 1h 9>&1 2> /dev/null; } | cat; vnet ls -q");
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(run.stdout.contains("demo"), "{run:?}");
        let mut kept = 0;
        for process in std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
            let words = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            if !matches!(words.split('\0').nth(1), Some("__hold" | "__confirm")) {
                continue;
            }
            kept += 1;
            let environment = std::fs::read_to_string(process.join("environ")).unwrap();
            assert!(matches!(environment.as_str(), "" | "VNET_LAB=demo\0"), "{environment}");
            assert_eq!(std::fs::read_link(process.join("cwd")).unwrap().to_str(), Some("/"));
            for open in std::fs::read_dir(process.join("fd")).unwrap().flatten() {
                let number: u32 = open.file_name().to_str().unwrap().parse().unwrap();
                let what = std::fs::read_link(open.path()).unwrap().display().to_string();
                assert!(
                    what == "/dev/null" || what.starts_with("socket:") || number == 0,
                    "{what}"
                );
            }
        }
        assert_eq!(kept, 2);
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

/// Any user can lock a folder that they can read.
#[test]
fn a_folder_that_somebody_keeps_locked_stops_nobody() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let run = line("mkdir /run/netns; flock /run/netns sh -c 'vnet up -q'");
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(vnet(&["down"]).code, 0);
    });
}

/// Only real root can make a program setuid for another user.
#[test]
fn it_does_not_run_setuid() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can try that");
        return;
    }
    let folder = std::env::temp_dir().join(format!("vnet-setuid-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("vnet");
    std::fs::copy(env!("CARGO_BIN_EXE_vnet"), &program).unwrap();
    for (mode, code) in [(0o755, 0), (0o4755, 3), (0o2755, 3)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&program, permissions).unwrap();
        let run = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program)
            .arg("schema")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{mode:o}: {said}");
        assert_eq!(said.contains("vnet does not run setuid or setgid"), code == 3, "{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A batch of anything ends with what is wrong with its first line.
#[test]
fn a_batch_of_garbage_ends_at_once() {
    vnet_testns::root(|| {
        let mut state = 1u64;
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        })
        .take(1 << 20)
        .collect();
        let one_line =
            garbage.iter().map(|byte| if *byte == b'\n' { b'x' } else { *byte }).collect();
        for garbage in [garbage, one_line] {
            write("garbage", garbage);
            let begin = Instant::now();
            let run = vnet(&["ip", "-batch", "garbage"]);
            assert_eq!(run.code, 1);
            assert_eq!(run.stderr.matches("Command failed garbage:1").count(), 1, "{}", run.stderr);
            assert!(run.stderr.len() < 4 << 20, "{} bytes are said", run.stderr.len());
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
    });
}
