//! The test as libtest started it: starts the test binary again and reports how that went.
use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::isolate::Isolation;
use crate::snapshot::kill_descendants;
use crate::{Mode, inside};

/// Ways to isolate, best first: (user namespace, PID namespace).
///
/// A container that covers parts of `/proc` refuses a new one, and so a PID namespace. Without user namespaces the
/// machine's root can still do with the others.
const WAYS: [(bool, bool); 3] = [(true, true), (true, false), (false, true)];

/// The first of `WAYS` that has not failed yet, so that each test need not find that out again.
static WAY: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn default_limit() -> Duration {
    let seconds = match std::env::var("VNET_TESTNS_TIMEOUT") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("VNET_TESTNS_TIMEOUT is not a number of seconds: {text}")),
        Err(_) => 120,
    };
    Duration::from_secs(seconds)
}

pub(crate) fn run(name: &str, mode: Mode, limit: Duration) {
    refuse_second_call(name);
    let (child, output) = match start(name, mode) {
        Ok(started) => started,
        Err(why) => return skip(name, &why),
    };
    let mut child = Started(child);
    let Some(text) = pass_on(output, limit) else {
        panic!("{name} took longer than {limit:?} in its namespaces and was killed");
    };
    let status = child.0.wait().unwrap_or_else(|error| panic!("cannot wait for {name}: {error}"));
    match status.code() {
        Some(inside::PASSED) => {}
        Some(inside::SKIPPED) => skip(name, text.lines().last().unwrap_or_default()),
        Some(inside::SKIPPED_HERE) => announce_skip(name, text.lines().last().unwrap_or_default()),
        Some(inside::FAILED) => panic!("{name} failed in its namespaces, see its output above"),
        Some(0) => panic!(
            "the test binary knows no test {name}: is the closure made outside of the test's function?"
        ),
        _ => panic!("{name} ended with {status} in its namespaces, see its output above"),
    }
}

/// The inner process can tell only one body a test: a second call would run the first one's again and pass.
fn refuse_second_call(name: &str) {
    thread_local!(static LAST: RefCell<String> = const { RefCell::new(String::new()) });
    let last = LAST.replace(name.to_owned());
    assert!(last != name, "{name} calls vnet_testns twice: only one body a test");
}

/// Kills the inner process and all it started if the test unwinds before it has ended.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // Its orphans are its children, so that all are found as long as it lives.
            kill_descendants(self.0.id());
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Starts the test again inside; the error says why this machine cannot.
fn start(name: &str, mode: Mode) -> Result<(Child, PipeReader), String> {
    // SAFETY: no precondition, cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut refusal = None;
    let first = WAY.load(Ordering::Relaxed);
    for (way, &(user_namespace, pid_namespace)) in WAYS.iter().enumerate().skip(first) {
        if !user_namespace && (!is_root || mode == Mode::User) {
            continue;
        }
        let own = mode == Mode::MachineRoot && is_root;
        if own && user_namespace {
            continue;
        }
        let isolation = Isolation::new(mode, user_namespace, pid_namespace);
        match spawn(name, mode, isolation) {
            Ok(started) => {
                if !own {
                    WAY.store(way, Ordering::Relaxed);
                }
                return Ok(started);
            }
            Err((step, error)) if is_refusal(&error) => {
                refusal.get_or_insert(format!("cannot {step}: {error}"))
            }
            Err((step, error)) => panic!("cannot {step} for {name}: {error}"),
        };
    }
    Err(refusal.unwrap_or_else(|| "user namespaces are forbidden here".to_owned()))
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EPERM
                | libc::EACCES
                | libc::ENOSPC
                | libc::EUSERS
                | libc::EINVAL
                | libc::ENOSYS
                | libc::ENOENT
        )
    )
}

fn spawn(
    name: &str,
    mode: Mode,
    isolation: Isolation,
) -> Result<(Child, PipeReader), (String, io::Error)> {
    let setup = |error| ("make a pipe".to_owned(), error);
    let (mut reader, writer) = io::pipe().map_err(setup)?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args([name, "--exact", "--include-ignored", "--nocapture", "--quiet", "--test-threads=1"])
        .env(inside::MARK, name)
        .env("HOME", "/run/home")
        .env("USER", if mode == Mode::User { "user" } else { "root" })
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("VNET_TESTNS_SKIPS")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(setup)?)
        .stderr(writer);
    if let Some(program) = std::env::args_os().next() {
        command.arg0(program);
    }
    if mode == Mode::User {
        command.env("XDG_RUNTIME_DIR", "/run/user/1000");
    }
    // SAFETY: `enter` makes system calls only, on memory that was laid ready before.
    unsafe { command.pre_exec(move || isolation.enter()) };
    let spawned = command.spawn();
    drop(command); // it holds the pipe's writing end
    match spawned {
        Ok(child) => Ok((child, reader)),
        Err(error) => {
            let mut step = String::new();
            let _ = reader.read_to_string(&mut step);
            Err((if step.is_empty() { "start the test again".to_owned() } else { step }, error))
        }
    }
}

/// Prints what the test prints, so that libtest captures it, until the test has ended; `None` if that took too long.
#[expect(clippy::print_stdout, reason = "libtest captures what its macro prints")]
fn pass_on(mut output: PipeReader, limit: Duration) -> Option<String> {
    let deadline = Instant::now() + limit;
    let mut text = String::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd: output.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let milliseconds = left.as_millis().try_into().unwrap_or(i32::MAX);
        // SAFETY: one pollfd, which outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        if ready == 0 {
            return None;
        }
        match output.read(&mut buffer) {
            Ok(0) => return Some(text),
            Ok(length) => {
                let chunk = String::from_utf8_lossy(&buffer[..length]);
                print!("{chunk}");
                text.push_str(&chunk);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("cannot read the test's output: {error}"),
        }
    }
}

/// Says and counts that a test was skipped, or fails it where it runs nowhere else and skips are forbidden.
fn skip(name: &str, why: &str) {
    assert!(
        std::env::var_os("VNET_TESTNS_NO_SKIP").is_none_or(|value| value != "1"),
        "{name} cannot run here: {why}"
    );
    announce_skip(name, why);
}

fn announce_skip(name: &str, why: &str) {
    // Not by a macro: those are captured and shown only for tests that fail.
    let _ = writeln!(io::stderr(), "skipped: {name}: {why}");
    if let Some(path) = std::env::var_os("VNET_TESTNS_SKIPS") {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{name}: {why}\n").as_bytes()))
            .unwrap_or_else(|error| panic!("cannot count a skip in {}: {error}", path.display()));
    }
}
