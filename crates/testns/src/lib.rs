//! Runs each test that touches the kernel in namespaces of its own.
//!
//! ```no_run
//! # // A doc test has no libtest to be re-run by, so this one is only compiled.
//! vnet_testns::root(|| {
//!     vnet_testns::sh("ip link add a type veth peer name b");
//!     assert!(vnet_testns::sh("ip -br link").contains("b@a"));
//!     vnet_testns::sh("ip link del a");
//! });
//! ```
//!
//! # How it works
//! A test's process has threads and so cannot enter a user namespace. [`root`] and [`user`] therefore run the test binary
//! again for that one test (`NAME --exact`), between fork and exec of which the new process enters fresh user, mount,
//! network, UTS, IPC and PID namespaces. There the same call runs its body. What the body prints is passed on, what it
//! returns or panics with becomes the outcome of the outer test.
//!
//! Inside: no interface but `lo`, which is down; an empty tmpfs on `/run`; `/proc` and `/sys` of the new namespaces;
//! `HOME` empty and new; `/tmp` is the machine's. When the body ends everything it left dies with PID 1.
//!
//! # What a body must not leave behind
//! After the body a [`Snapshot`] taken before it is compared with what is there now. Interfaces, pins in `/run/netns`,
//! mounts, files of the product's state and processes that are new fail the test and are named.
//!
//! # Rules for a test
//! One call a test, and all of the test inside the call: what stands outside of it runs twice. `#[should_panic]` sees the
//! outer test's panic, whose message is not the body's.
//!
//! # What not every kernel has
//! A test that needs more of the kernel than namespaces, veth pairs and bridges says so first thing in its body:
//! ```no_run
//! fn vm_a_vlan_is_kept_apart() {
//!     vnet_testns::root(|| {
//!         vnet_testns::requires(&["vlan", "bridge-vlan"]);
//!         // …
//!     });
//! }
//! ```
//! [`requires`] looks whether the running kernel has them, in a network namespace made for that. Where one is missing the
//! test is skipped and counted, naming it. `cargo xtask vm` boots kernels that have them all and runs the tests there
//! whose name, or a module's, begins with `vm_` (and [`requires`] refuses to work in any other). One table says
//! which features there are and from which kernel on the VM tier promises them; in there the promises are believed, and one
//! test holds them against the kernel.
//!
//! # Environment
//! - `VNET_TESTNS_TIMEOUT`: seconds a body may take, 120 if unset.
//! - `VNET_TESTNS_NO_SKIP=1`: a test that cannot run here fails instead of being skipped. For CI. A test that the VM
//!   tier runs may still be skipped for want of a kernel feature.
//! - `VNET_TESTNS_SKIPS`: a file to which each skipped test appends a line `NAME: WHY`.
//! - `VNET_TESTNS_VM=1`: this is the VM tier, whose promises hold.
//! - `VNET_TESTNS_LACKS`: features, with commas between, to take for missing: to see what a test does on a lesser kernel.
#![expect(
    unsafe_code,
    reason = "namespaces are entered between fork and exec, which std offers only as unsafe"
)]

mod features;
mod inside;
mod isolate;
mod outside;
mod snapshot;

use std::fmt::Display;
use std::process::Command;
use std::time::Duration;

pub use features::requires;
pub use snapshot::Snapshot;

/// Who the body is in its namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Root,
    /// Root without a user namespace, where that is who runs the tests.
    MachineRoot,
    User,
}

/// Runs `body` as uid 0 with all capabilities in namespaces of its own.
///
/// # Panics
/// If the body panics, leaks or takes too long; see the crate's page.
pub fn root<F: FnOnce()>(body: F) {
    run(Mode::Root, None, body);
}

/// Runs `body` as uid 1000 without any capability in namespaces of its own: an ordinary user.
///
/// `/run` is read-only but for `/run/user/1000`, which `XDG_RUNTIME_DIR` names. New user namespaces can be made from here.
///
/// # Panics
/// As [`root`] does.
pub fn user<F: FnOnce()>(body: F) {
    run(Mode::User, None, body);
}

/// Like [`root`], with a limit of its own for a body that is known to be slow.
///
/// # Panics
/// As [`root`] does.
pub fn root_within<F: FnOnce()>(limit: Duration, body: F) {
    run(Mode::Root, Some(limit), body);
}

/// Like [`root`], without a user namespace where the machine's root runs the tests: for what the kernel lets
/// nobody else do. Elsewhere the kernel refuses that, so the body says by [`requires`] what it is.
///
/// # Panics
/// As [`root`] does.
pub fn machine_root<F: FnOnce()>(body: F) {
    run(Mode::MachineRoot, None, body);
}

/// Ends the body here: the test cannot run on this machine, and `why` says for want of what.
///
/// A skipped test passes, is announced on stderr and is counted; see the crate's page. Only inside of a body.
pub fn skip(why: impl Display) -> ! {
    inside::Skip { why: why.to_string(), runs_elsewhere: false }.now()
}

/// Runs a shell command with `sh -ec` and returns what it wrote to stdout.
///
/// # Panics
/// If the command fails, with what it wrote to stderr.
pub fn sh(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", command])
        .output()
        .unwrap_or_else(|error| panic!("cannot run sh: {error}"));
    assert!(
        output.status.success(),
        "`{command}` failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run<F: FnOnce()>(mode: Mode, limit: Option<Duration>, body: F) {
    if inside::is_here() {
        inside::run(body);
    }
    let name = test_name::<F>();
    outside::run(&name, mode, limit.unwrap_or_else(outside::default_limit));
}

/// Finds the name by which libtest knows the test that is running.
///
/// libtest names the thread after the test, unless `--test-threads=1` made it use the main thread. Then the path of the
/// closure's function tells, even through generic helpers, whose own path encloses it in angle brackets.
fn test_name<F>() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => name_from_type(std::any::type_name::<F>()),
    }
}

fn name_from_type(type_name: &str) -> String {
    let innermost = type_name.rsplit('<').next().unwrap_or(type_name);
    let path = innermost.split('>').next().unwrap_or(innermost);
    path.split("::")
        .skip(1)
        .take_while(|part| *part != "{{closure}}")
        .collect::<Vec<_>>()
        .join("::")
}

#[cfg(test)]
mod tests {
    use super::name_from_type;

    #[test]
    fn a_name_is_found_in_a_closures_path() {
        let cases = [
            ("up::rolls_back::{{closure}}", "rolls_back"),
            ("vnet::lab::tests::up::{{closure}}", "lab::tests::up"),
            ("vnet::t::up::{{closure}}::{{closure}}", "t::up"),
            ("cli::with_lab<cli::t::up::{{closure}}>::{{closure}}", "t::up"),
            ("up::plain_function", "plain_function"),
        ];
        for (type_name, name) in cases {
            assert_eq!(name_from_type(type_name), name, "{type_name}");
        }
    }
}
