//! The test as it runs in its namespaces.
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;

use crate::Snapshot;
use crate::snapshot::kill_descendants;

/// The variable that tells the inner process from the outer one; its value is the test's name.
pub(crate) const MARK: &str = "VNET_TESTNS_INSIDE";

/// Exit codes of the inner process. None is 0: that is libtest, which found no such test.
pub(crate) const PASSED: i32 = 42;
pub(crate) const SKIPPED: i32 = 43;
pub(crate) const SKIPPED_HERE: i32 = 44;
pub(crate) const FAILED: i32 = 101;

/// The name of the test whose body this process runs.
static NAME: OnceLock<String> = OnceLock::new();

/// What `skip` and `requires` unwind with.
pub(crate) struct Skip {
    pub(crate) why: String,
    /// A kernel of the VM tier runs the test.
    pub(crate) runs_elsewhere: bool,
}

impl Skip {
    pub(crate) fn now(self) -> ! {
        panic::resume_unwind(Box::new(self))
    }
}

pub(crate) fn is_here() -> bool {
    std::env::var_os(MARK).is_some()
}

/// The name of the test, in its body.
pub(crate) fn name() -> &'static str {
    NAME.get().expect("kernel features are asked for in the body that `root` or `user` runs")
}

/// Runs the body, looks for leaks, and ends the process: libtest's own verdict would hide which of them it was.
#[expect(clippy::print_stderr, reason = "the outer process passes it on")]
#[expect(clippy::exit, reason = "the exit code is the outcome")]
pub(crate) fn run<F: FnOnce()>(body: F) -> ! {
    NAME.get_or_init(|| std::env::var(MARK).unwrap_or_default());
    // SAFETY: the test runs on the main thread of a process that has no other yet. The programs it starts, which may be
    // test binaries, must not take themselves for it.
    unsafe { std::env::remove_var(MARK) };
    let before = Snapshot::take();
    let code = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(()) => {
            let leaks = before.leaks();
            for leak in &leaks {
                eprintln!("leaked: {leak}");
            }
            if leaks.is_empty() { PASSED } else { FAILED }
        }
        Err(payload) => match payload.downcast::<Skip>() {
            Ok(skip) => {
                eprintln!("{}", skip.why);
                if skip.runs_elsewhere { SKIPPED_HERE } else { SKIPPED }
            }
            Err(_) => FAILED,
        },
    };
    kill_descendants(std::process::id());
    std::process::exit(code)
}
