//! How a body's end becomes the outcome of its test.
//!
//! The tests of `fixture` misbehave. They do so only when one of the tests above runs this binary for them.
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

struct Outcome {
    passed: bool,
    text: String,
}

/// Runs one test of `fixture` as `cargo test` would.
fn outcome(fixture: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let Output { status, stdout, stderr } = Command::new("/proc/self/exe")
        .args([&format!("fixture::{fixture}"), "--exact"])
        .args(arguments)
        .env("VNET_TESTNS_FIXTURE", "1")
        .env_remove("VNET_TESTNS_NO_SKIP")
        .env_remove("VNET_TESTNS_SKIPS")
        .env_remove("VNET_TESTNS_VM")
        .env_remove("VNET_TESTNS_LACKS")
        .envs(environment.iter().copied())
        .output()
        .expect("the test binary runs");
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Outcome { passed: status.success(), text }
}

#[track_caller]
fn fails_saying(fixture: &str, words: &[&str]) {
    let outcome = outcome(fixture, &[], &[]);
    assert!(!outcome.passed, "{}", outcome.text);
    for word in words {
        assert!(outcome.text.contains(word), "no {word:?} in:\n{}", outcome.text);
    }
}

#[test]
fn a_panic_is_shown() {
    fails_saying("panics", &["the body's own words", "failed in its namespaces"]);
}

#[test]
fn a_failing_command_is_shown() {
    fails_saying("runs_a_failing_command", &["`ip link del nothere` failed", "Cannot find device"]);
}

#[test]
fn each_kind_of_leak_is_named() {
    fails_saying("leaks_a_link", &["leaked: interface v0\n", "leaked: interface v1\n"]);
    fails_saying("leaks_a_pin", &["leaked: pin /run/netns/a", "leaked: mount /run/netns/a (nsfs)"]);
    fails_saying("leaks_a_mount", &["leaked: mount /mnt (tmpfs)"]);
    fails_saying(
        "leaks_state",
        &["leaked: state /run/vnet/lab\n", "leaked: state /run/vnet/lab/lock\n"],
    );
    fails_saying("leaks_rootless_state", &["leaked: state /run/user/1000/vnet/lab\n"]);
    fails_saying("leaks_a_daemon", &["leaked: process ", " sleep\n"]);
}

#[test]
fn a_body_that_hangs_is_killed_with_all_it_started() {
    let start = Instant::now();
    let outcome = outcome("hangs", &[], &[("VNET_TESTNS_TIMEOUT", "1")]);
    assert!(!outcome.passed);
    assert!(outcome.text.contains("took longer than 1s"), "{}", outcome.text);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_skip_is_announced_counted_and_refused_where_it_must_not_be() {
    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("skips-{}", std::process::id()));
    let skipped = outcome("skips", &[], &[("VNET_TESTNS_SKIPS", file.to_str().unwrap())]);
    assert!(skipped.passed, "{}", skipped.text);
    assert!(skipped.text.contains("skipped: fixture::skips: no flux here"), "{}", skipped.text);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "fixture::skips: no flux here\n");
    std::fs::remove_file(&file).unwrap();
    assert!(!outcome("skips", &[], &[("VNET_TESTNS_NO_SKIP", "1")]).passed);
}

#[test]
fn a_missing_feature_skips_even_where_skips_are_forbidden() {
    let missing = ("VNET_TESTNS_LACKS", "netem,veth");
    let no_skip = ("VNET_TESTNS_NO_SKIP", "1");
    let ordinary = outcome("vm_needs_veth", &[], &[missing, no_skip]);
    assert!(ordinary.passed, "{}", ordinary.text);
    let words =
        "skipped: fixture::vm_needs_veth: this kernel lacks veth: VNET_TESTNS_LACKS says so";
    assert!(ordinary.text.contains(words), "{}", ordinary.text);

    let there = outcome("vm_needs_veth", &[], &[no_skip]);
    assert!(there.passed && !there.text.contains("skipped"), "{}", there.text);
    let as_user = outcome("vm_user_needs_veth", &[], &[no_skip]);
    assert!(as_user.passed && !as_user.text.contains("skipped"), "{}", as_user.text);
}

#[test]
fn the_vm_tier_believes_its_promises() {
    let lacks = ("VNET_TESTNS_LACKS", "veth");
    let believed = outcome("vm_needs_veth", &[], &[lacks, ("VNET_TESTNS_VM", "1")]);
    assert!(believed.passed && !believed.text.contains("skipped"), "{}", believed.text);
}

#[test]
fn a_feature_that_no_kernel_promises_is_refused() {
    fails_saying("vm_needs_flux", &["no kernel feature is called \"flux\"", "features.rs"]);
}

#[test]
fn a_test_that_the_vm_tier_would_not_find_is_refused() {
    fails_saying("needs_veth_unseen", &["begin its name, or its module's, with `vm_`"]);
}

#[test]
fn the_main_thread_finds_its_tests_name() {
    let outcome = outcome("panics", &["--test-threads=1"], &[]);
    assert!(outcome.text.contains("the body's own words"), "{}", outcome.text);
}

#[test]
fn a_second_body_is_refused() {
    fails_saying("calls_twice", &["only one body a test"]);
}

mod fixture {
    use vnet_testns::{requires, root, sh, skip, user};

    /// Tells whether a test above asked for this one.
    fn asked() -> bool {
        std::env::var_os("VNET_TESTNS_FIXTURE").is_some()
    }

    fn root_if_asked(body: impl FnOnce()) {
        if asked() {
            root(body);
        }
    }

    #[test]
    fn panics() {
        root_if_asked(|| panic!("the body's own words"));
    }

    #[test]
    fn runs_a_failing_command() {
        root_if_asked(|| drop(sh("ip link del nothere")));
    }

    #[test]
    fn leaks_a_link() {
        root_if_asked(|| drop(sh("ip link add v0 type veth peer name v1")));
    }

    #[test]
    fn leaks_a_pin() {
        root_if_asked(|| drop(sh("ip netns add a")));
    }

    #[test]
    fn leaks_a_mount() {
        root_if_asked(|| drop(sh("mount -t tmpfs none /mnt")));
    }

    #[test]
    fn leaks_state() {
        root_if_asked(|| drop(sh("mkdir -p /run/vnet/lab; touch /run/vnet/lab/lock")));
    }

    #[test]
    fn leaks_rootless_state() {
        if asked() {
            user(|| drop(sh("mkdir -p $XDG_RUNTIME_DIR/vnet/lab")));
        }
    }

    #[test]
    fn leaks_a_daemon() {
        root_if_asked(|| drop(sh("setsid sleep 1000 >/dev/null 2>&1 &")));
    }

    #[test]
    fn hangs() {
        root_if_asked(|| drop(sh("setsid sleep 1000")));
    }

    #[test]
    fn skips() {
        root_if_asked(|| skip("no flux here"));
    }

    #[test]
    fn vm_needs_veth() {
        root_if_asked(|| requires(&["veth"]));
    }

    #[test]
    fn vm_user_needs_veth() {
        if asked() {
            user(|| requires(&["veth"]));
        }
    }

    #[test]
    fn vm_needs_flux() {
        root_if_asked(|| requires(&["flux"]));
    }

    #[test]
    fn needs_veth_unseen() {
        root_if_asked(|| requires(&["veth"]));
    }

    #[test]
    fn calls_twice() {
        root_if_asked(|| {});
        root_if_asked(|| {});
    }
}
