//! QEMU: boots a kernel into an image, and listens to what `init.sh` tells.
//!
//! There are two serial lines: the kernel's console, which goes to a file and is shown when something is wrong, and the
//! tests' output. On that, lines that begin with `@@` are `init.sh`'s own.
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::image::Image;
use super::kernel::Kernel;
use super::suites::Suite;
use super::workspace;

/// How long a machine under KVM may take to boot: it takes one second where KVM works.
const KVM_LIMIT: Duration = Duration::from_secs(10);

/// How long one test binary may take, in seconds.
const JOB_LIMIT: u32 = 900;

/// How many lines of a dying kernel are shown: its report of an oops has about 60.
const LAST_WORDS: usize = 80;

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) boot: Duration,
    pub(super) all: Duration,
}

/// A program to run in there.
#[derive(Debug)]
pub(super) struct Job {
    name: String,
    folder: String,
    command: Vec<String>,
}

impl Job {
    pub(super) fn tests(suite: &Suite) -> Self {
        let mut command = vec![suite.binary.to_string_lossy().into_owned()];
        command.push("--exact".to_owned());
        command.extend(suite.tests.iter().cloned());
        Self {
            name: suite.name.clone(),
            folder: suite.folder.to_string_lossy().into_owned(),
            command,
        }
    }

    pub(super) fn shell(line: &str) -> Self {
        let command = ["sh", "-c", line].map(str::to_owned).to_vec();
        Self {
            name: "shell".to_owned(),
            folder: workspace().to_string_lossy().into_owned(),
            command,
        }
    }

    fn line(&self) -> String {
        let words: Vec<_> = [&self.name, &self.folder]
            .into_iter()
            .chain(&self.command)
            .map(|word| quoted(word))
            .collect();
        format!("job {}\n", words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Adds what runs first in there, and what it runs.
pub(super) fn add_jobs(image: &mut Image, jobs: &[Job], fallback_tunnels: bool) {
    let settings = format!(
        "JOB_LIMIT={JOB_LIMIT}\nWORKSPACE={}\nFALLBACK_TUNNELS={}\n",
        quoted(&workspace().to_string_lossy()),
        // Documentation/admin-guide/sysctl/net.rst: 0 is every namespace, 2 none.
        if fallback_tunnels { 0 } else { 2 }
    );
    image.add_script("init", include_str!("init.sh"));
    image.add_text("settings", &settings);
    image.add_text("jobs", &jobs.iter().map(Job::line).collect::<String>());
}

/// How a job ended: libtest says 101 for a failure, `timeout` says 124 or 137.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) job: String,
    pub(super) code: i32,
}

/// What came of a boot.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) boot: Duration,
    pub(super) ends: Vec<End>,
    /// Tests skipped for want of a feature that another kernel has.
    pub(super) skipped: BTreeSet<String>,
    job_start: Option<Instant>,
    passed: usize,
    failed: usize,
}

impl Outcome {
    pub(super) fn summary(&self) -> String {
        let passed = self.passed - self.skipped.len().min(self.passed);
        format!("{passed} tests passed, {} failed, {} skipped", self.failed, self.skipped.len())
    }

    /// Takes in a line of the machine's, and tells of it; `true` if it was the last one.
    fn take(&mut self, line: &str, listener: &mut dyn Write) -> anyhow::Result<bool> {
        if let Some(rest) = line.strip_prefix("@@end ") {
            let (code, job) = rest.split_once(' ').context("a job has a name")?;
            self.ends.push(End { job: job.to_owned(), code: code.parse()? });
            if self.job_start.is_some_and(|start| start.elapsed().as_secs() >= JOB_LIMIT.into()) {
                writeln!(listener, "{job} took longer than {JOB_LIMIT} s and was ended")?;
            }
        } else if let Some(job) = line.strip_prefix("@@begin ") {
            self.job_start = Some(Instant::now());
            writeln!(listener, "\n   Running {job}")?;
        } else if let Some(skip) = line.strip_prefix("@@skip ") {
            self.skipped.insert(skip.split(": ").next().unwrap_or(skip).to_owned());
        } else if !line.starts_with("@@") {
            writeln!(listener, "{line}")?;
            self.count(line);
        }
        Ok(line == "@@done")
    }

    /// Reads libtest's closing line: `test result: ok. 3 passed; 0 failed; …`.
    fn count(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            let word = rest.split(what).next().unwrap_or_default().split_whitespace().last();
            word.and_then(|word| word.parse::<usize>().ok()).unwrap_or(0)
        };
        self.passed += number(" passed;");
        self.failed += number(" failed;");
    }
}

/// An accelerator of QEMU's, and how many processors the machine has with it.
type Processors = (&'static str, &'static str);

const KVM: Processors = ("kvm", "2");

/// One processor: QEMU before 8.1 may run an instruction that another processor has just replaced, and the kernel, which
/// patches its own code when a static key changes, dies of a breakpoint that it had already removed
/// (lore.kernel.org, "qemu-x86_64 booting with 8.0.0 stil see int3", July 2023). The other cores here have other kernels to run.
const EMULATED: Processors = ("tcg,thread=single", "1");

/// Boots the kernel, tells the listener what the jobs print, and returns how they ended.
///
/// # Errors
/// If the kernel does not come up, falls silent or takes too long; with its last words.
pub(super) fn boot(
    kernel: &Kernel,
    image: &Path,
    folder: &Path,
    limits: &Limits,
    listener: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let console = folder.join(format!("{}.console", kernel.release));
    if kvm_is_worth_a_try(folder) {
        let machine = Machine::start(KVM, kernel, image, &console)?;
        match machine.wait_for_boot(KVM_LIMIT) {
            Ok(outcome) => return machine.run(outcome, limits.all, listener),
            Err(error) => {
                eprintln!(
                    "KVM does not work here ({}): software emulates the processor",
                    error.to_string().lines().next().unwrap_or_default()
                );
                fs::write(folder.join(KVM_MARK), boot_id())?;
            }
        }
    }
    let machine = Machine::start(EMULATED, kernel, image, &console)?;
    let outcome = machine.wait_for_boot(limits.boot)?;
    machine.run(outcome, limits.all, listener)
}

/// A file that says in which boot of this machine KVM was found not to work.
const KVM_MARK: &str = "kvm-failed";

fn kvm_is_worth_a_try(folder: &Path) -> bool {
    let can_open = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    can_open
        && fs::read_to_string(folder.join(KVM_MARK)).is_ok_and(|text| text == boot_id()).eq(&false)
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// A running QEMU, which ends with this.
struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    console: std::path::PathBuf,
    start: Instant,
}

impl Machine {
    fn start(
        (accelerator, processors): Processors,
        kernel: &Kernel,
        image: &Path,
        console: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-accel", accelerator, "-smp", processors])
            .args(["-machine", "q35", "-cpu", "max", "-m", "2048"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
            .arg("-kernel")
            .arg(&kernel.vmlinuz)
            .arg("-initrd")
            .arg(image)
            // Nobody needs the mitigations here, and waiting for all processors is what most deletions of links consist of.
            .args([
                "-append",
                "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off rcupdate.rcu_expedited=1",
            ])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let start = Instant::now();
        let mut qemu = command
            .spawn()
            .context("cannot run qemu-system-x86_64: apt-get install qemu-system-x86")?;
        let output = qemu.stdout.take().context("QEMU has an output")?;
        let (sender, lines) = channel();
        // Ends with QEMU.
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line);
                if sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { qemu, lines, console: console.to_path_buf(), start })
    }

    fn wait_for_boot(&self, limit: Duration) -> anyhow::Result<Outcome> {
        while let Some(line) = self.line(limit, "did not boot")? {
            if line == "@@ready" {
                return Ok(Outcome { boot: self.start.elapsed(), ..Outcome::default() });
            }
        }
        bail!("the virtual machine ended before it had booted{}", self.last_words())
    }

    fn run(
        mut self,
        mut outcome: Outcome,
        limit: Duration,
        listener: &mut dyn Write,
    ) -> anyhow::Result<Outcome> {
        while let Some(line) = self.line(limit, "did not finish")? {
            if outcome.take(&line, listener)? {
                self.qemu.wait()?;
                return Ok(outcome);
            }
        }
        bail!("the virtual machine ended in the middle of the tests{}", self.last_words())
    }

    /// Returns the next line; `None` if there will be none.
    fn line(&self, limit: Duration, failure: &str) -> anyhow::Result<Option<String>> {
        match self.lines.recv_timeout(limit.saturating_sub(self.start.elapsed())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "the virtual machine {failure} within {} s{}",
                    limit.as_secs(),
                    self.last_words()
                )
            }
        }
    }

    /// The end of what the kernel said.
    fn last_words(&self) -> String {
        let bytes = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        match &lines[lines.len().saturating_sub(LAST_WORDS)..] {
            [] => "; its kernel said nothing".to_owned(),
            last => format!("; its kernel's last words were:\n  {}", last.join("\n  ")),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_shell() {
        let job = Job {
            name: "a".into(),
            folder: "/b c".into(),
            command: vec!["echo".into(), "it's".into()],
        };
        assert_eq!(job.line(), "job 'a' '/b c' 'echo' 'it'\\''s'\n");
    }

    #[test]
    fn what_the_machine_tells_is_counted() {
        let mut outcome = Outcome::default();
        let mut told = Vec::new();
        for line in [
            "@@begin k",
            "test a ... ok",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored;",
            "@@end 101 k",
        ] {
            assert!(!outcome.take(line, &mut told).unwrap());
        }
        assert!(!outcome.take("@@skip a: this kernel lacks netkit: no", &mut told).unwrap());
        assert!(outcome.take("@@done", &mut told).unwrap());
        assert_eq!(outcome.ends, [End { job: "k".into(), code: 101 }]);
        assert_eq!(outcome.summary(), "2 tests passed, 1 failed, 1 skipped");
    }
}
