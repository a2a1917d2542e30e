//! What a body finds in its namespaces, and that nothing of it is seen outside.
use std::fs;
use std::process::Command;

use vnet_testns::{root, sh, user};

/// Reads one field of the thread's `status`.
fn status(field: &str) -> String {
    sh(&format!("sed -n 's/^{field}:[[:space:]]*//p' /proc/$PPID/status")).trim().to_owned()
}

fn interfaces() -> String {
    sh("sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/self/net/dev | sort | tr '\\n' ' '")
}

#[test]
fn root_is_uid_0_alone_and_with_all_capabilities() {
    root(|| {
        assert_eq!(sh("id -u; id -g"), "0\n0\n");
        assert!(status("CapEff").trim_start_matches('0').starts_with("1ff"));
        assert_eq!(interfaces(), "lo ");
        assert!(sh("ip -br link show lo").contains("DOWN"));
        assert_eq!(sh("ls /sys/class/net"), "lo\n");
        assert_eq!(sh("ls -A /run"), "home\n");
        assert_eq!(sh("stat -c %a,%u /run"), "755,0\n");
    });
}

#[test]
fn root_can_make_namespaces_as_iproute2_does() {
    root(|| {
        sh("ip netns add a; ip link add v0 type veth peer name v1 netns a; ip -n a link set v1 up");
        assert_eq!(interfaces(), "lo v0 ");
        sh("ip link del v0; ip netns del a");
    });
}

#[test]
fn what_is_made_inside_is_not_seen_by_another_body() {
    // Runs beside the test above, which makes the same names.
    root(|| {
        sh("ip netns add a; ip link add v0 type veth peer name v1 netns a");
        sh("hostname testns; touch /run/mine");
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(sh("hostname; ls /run/netns"), "testns\na\n");
        sh("ip link del v0; ip netns del a");
    });
}

#[test]
fn user_is_uid_1000_without_capabilities() {
    user(|| {
        assert_eq!(sh("id -u; id -g"), "1000\n1000\n");
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(status(set), "0000000000000000", "{set}");
        }
        let refused =
            Command::new("ip").args(["link", "add", "v0", "type", "veth"]).output().unwrap();
        assert!(!refused.status.success());
        assert_eq!(std::env::var("XDG_RUNTIME_DIR").unwrap(), "/run/user/1000");
        assert_eq!(sh("stat -c %a,%u /run/user/1000"), "700,1000\n");
        assert!(fs::create_dir("/run/vnet").is_err());
        fs::create_dir("/run/user/1000/made").unwrap();
        fs::write(format!("{}/made", std::env::var("HOME").unwrap()), "").unwrap();
    });
}

#[test]
fn user_can_make_a_user_namespace_of_its_own() {
    user(|| {
        let links = sh(
            "unshare -U -r -n sh -ec 'ip link add v0 type veth peer name v1; ip -br link; id -u'",
        );
        assert!(links.contains("v1@v0") && links.ends_with("\n0\n"), "{links}");
    });
}

#[test]
fn programs_started_by_a_body_do_not_take_themselves_for_it() {
    root(|| assert_eq!(sh("env | grep -c VNET_TESTNS_INSIDE || true"), "0\n"));
}
