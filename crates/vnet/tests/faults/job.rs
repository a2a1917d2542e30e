//! What is done to a lab, and how it is made to go wrong: here, or in a child process that dies.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use vnet::kernel::{At, Watch};
use vnet::model::{Change, LinkSetting, NewLink, Step};
use vnet::{Desired, Down, Error, Lab, Settings};

use crate::common::{STATE_DIR, desired};

/// The variable that a child process finds its job in.
const ENV_JOB: &str = "VNET_FAULTS_JOB";

/// What is said before anything is undone.
pub(crate) const UNDOING: &str = "all is to be undone";

/// What is done to the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// It is built from nothing.
    Build,
    /// It is changed from what it was.
    Change,
    /// It is taken down.
    Down,
}

/// An instant of the work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum When {
    Step(usize),
    Marked(String),
    Named(String),
    Unmounted(String),
    Said(String),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// The process is killed.
    Die,
    /// What was going to be done next fails.
    Fail,
    /// The kernel refuses a step, but not those that were sent with it.
    Refuse,
}

/// One thing that goes wrong, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) when: When,
    pub(crate) what: What,
    /// Whether it is while undoing that it goes wrong.
    pub(crate) undoing: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    which: Which,
    operation: Operation,
    faults: Vec<Fault>,
}

/// Which lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Which {
    /// One of the whole vocabulary, as far as every kernel has it.
    Whole,
    /// One of what some kernels lack.
    Vm,
    /// One of what only newer kernels have.
    Newer,
    /// One of little.
    Small,
}

/// Leaves `tun` and `tap` out of a lab's file where the user may not open what makes them: on some
/// machines only root may.
#[expect(clippy::print_stderr, reason = "what a test leaves out is said")]
fn as_far_as_allowed(text: &str) -> String {
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    let Err(error) = file else { return text.to_owned() };
    eprintln!("without tun and tap: /dev/net/tun: {error}");
    let is_other = |line: &&str| !line.contains("kind: tun,") && !line.contains("kind: tap,");
    text.lines().filter(is_other).map(|line| format!("{line}\n")).collect()
}

/// A lab as it was, and as it is to be.
#[derive(Debug)]
pub(crate) struct Labs {
    which: Which,
    pub(crate) before: Desired,
    pub(crate) after: Desired,
}

impl Labs {
    /// Reads the files, which are a part of the binary: in the virtual machine there are none.
    pub(crate) fn read(which: Which) -> Self {
        let [before, after] = Self::texts(which).map(as_far_as_allowed);
        Self { which, before: desired(&before), after: desired(&after) }
    }

    /// Reads them with what only some users may make.
    pub(crate) fn read_all(which: Which) -> Self {
        let [before, after] = Self::texts(which).map(desired);
        Self { which, before, after }
    }

    fn texts(which: Which) -> [&'static str; 2] {
        match which {
            Which::Whole => [include_str!("labs/before.yaml"), include_str!("labs/after.yaml")],
            Which::Vm => [include_str!("labs/vm-before.yaml"), include_str!("labs/vm-after.yaml")],
            Which::Newer => {
                [include_str!("labs/newer-before.yaml"), include_str!("labs/newer-after.yaml")]
            }
            Which::Small => {
                [include_str!("labs/small-before.yaml"), include_str!("labs/small-after.yaml")]
            }
        }
    }

    pub(crate) fn open(&self, watch: Option<Arc<Watcher>>) -> Lab {
        let watch = watch.map(|watch| watch as Arc<dyn Watch>);
        let settings = Settings { watch, ..Settings::new(STATE_DIR) };
        Lab::open(&settings, &self.after.lab).unwrap()
    }

    /// Does it, while somebody looks on.
    pub(crate) fn act(&self, operation: Operation, watch: Arc<Watcher>) -> Result<(), Error> {
        let mut lab = self.open(Some(watch));
        match operation {
            Operation::Build | Operation::Change => lab.up(&self.after, |_| {}).map(drop),
            Operation::Down => lab.down(&Down::default()).map(drop),
        }
    }
}

/// Does it in a child process, which is to be killed at it; says what came of it if it was not.
pub(crate) fn die_elsewhere(
    labs: &Labs,
    operation: Operation,
    faults: &[Fault],
) -> Result<(), String> {
    let output = start_elsewhere(labs, operation, faults).output().unwrap();
    if output.status.signal() == Some(Signal::KILL.as_raw()) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("was not killed: {}: {}", output.status, said.trim()))
}

/// Prepares a child process that does it.
pub(crate) fn start_elsewhere(labs: &Labs, operation: Operation, faults: &[Fault]) -> Command {
    let job = Job { which: labs.which, operation, faults: faults.to_vec() };
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["child", "--exact", "--ignored", "--quiet", "--test-threads=1"])
        .env(ENV_JOB, serde_json::to_string(&job).unwrap())
        .stdout(std::process::Stdio::null());
    command
}

/// Does what a child process is for.
pub(crate) fn be_child() {
    let Some(job) = std::env::var_os(ENV_JOB) else { return };
    let job: Job = serde_json::from_str(job.to_str().unwrap()).unwrap();
    let is_to_die = !job.faults.is_empty();
    let watcher = Watcher::new(job.faults);
    let outcome = Labs::read(job.which).act(job.operation, watcher.clone());
    // What comes of it shows in the kernel, if this process is not killed before. Where it was to be, it
    // says why it lives; what is said by `eprintln!` libtest would keep to itself.
    if is_to_die {
        let seen = [false, true].map(|undoing| watcher.seen(undoing).pop());
        let _ = writeln!(std::io::stderr(), "{outcome:?}, last at {seen:?}");
    }
}

/// Looks on, notes each instant, and makes things go wrong.
#[derive(Debug)]
pub(crate) struct Watcher {
    faults: Vec<(Fault, AtomicBool)>,
    /// Whether all steps are done one by one, so that every instant comes.
    traces: bool,
    undoing: AtomicBool,
    /// Each instant that came, with whether it was while undoing.
    seen: Mutex<Vec<(bool, When)>>,
}

impl Watcher {
    pub(crate) fn new(faults: Vec<Fault>) -> Arc<Self> {
        Arc::new(Self::from(faults, false))
    }

    pub(crate) fn tracing(faults: Vec<Fault>) -> Arc<Self> {
        Arc::new(Self::from(faults, true))
    }

    fn from(faults: Vec<Fault>, traces: bool) -> Self {
        Self {
            faults: faults.into_iter().map(|fault| (fault, AtomicBool::new(false))).collect(),
            traces,
            undoing: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Returns each instant that came, once, in the order in which they first came.
    pub(crate) fn seen(&self, undoing: bool) -> Vec<When> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut once = Vec::new();
        for (_, when) in seen.iter().filter(|(was, _)| *was == undoing) {
            if !once.contains(when) {
                once.push(when.clone());
            }
        }
        once
    }

    /// Takes the faults that are due while this is done, or undone.
    fn due(&self) -> impl Iterator<Item = &(Fault, AtomicBool)> {
        let undoing = self.undoing.load(Ordering::Relaxed);
        let is_due = move |(fault, over): &&(Fault, AtomicBool)| {
            fault.undoing == undoing && !over.load(Ordering::Relaxed)
        };
        self.faults.iter().filter(is_due)
    }
}

impl Watch for Watcher {
    fn at(&self, at: At<'_>) -> Result<(), Errno> {
        let when = match at {
            At::Step(done) => When::Step(done),
            At::Marked(ns) => When::Marked(ns.to_string()),
            At::Named(ns) => When::Named(ns.to_string()),
            At::Unmounted(ns) => When::Unmounted(ns.to_string()),
            At::Said(what) => When::Said(what.to_owned()),
            other => panic!("an instant that no test knows: {other:?}"),
        };
        if when == When::Said(UNDOING.to_owned()) {
            self.undoing.store(true, Ordering::Relaxed);
        }
        let undoing = self.undoing.load(Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push((undoing, when.clone()));
        drop(seen);
        let here = |(fault, _): &&(Fault, AtomicBool)| fault.when == when;
        let Some((fault, over)) = self.due().find(here) else { return Ok(()) };
        match fault.what {
            What::Die => {
                kill_process(getpid(), Signal::KILL).unwrap();
                unreachable!("somebody survives SIGKILL");
            }
            What::Fail => {
                over.store(true, Ordering::Relaxed);
                Err(Errno::IO)
            }
            What::Refuse => Ok(()),
        }
    }

    fn steps_until(&self, done: usize) -> usize {
        if self.traces {
            return done + 1;
        }
        let cut = |(fault, _): &(Fault, AtomicBool)| match fault.when {
            When::Step(step) if step > done && fault.what != What::Refuse => Some(step),
            _ => None,
        };
        self.due().filter_map(cut).min().unwrap_or(usize::MAX)
    }

    fn replace(&self, steps: &[Step]) -> Option<Vec<Step>> {
        let mut steps = steps.to_vec();
        let mut is_new = false;
        for (fault, over) in self.due().filter(|(fault, _)| fault.what == What::Refuse) {
            let When::Step(at) = fault.when else { continue };
            if let Some(refused) = steps.get(at).and_then(|step| refusable(step, &steps)) {
                steps[at] = refused;
                is_new = true;
            }
            over.store(true, Ordering::Relaxed);
        }
        is_new.then_some(steps)
    }
}

/// Turns a step into one of its kind that the kernel refuses; `None` where there is none.
pub(crate) fn refusable(step: &Step, steps: &[Step]) -> Option<Step> {
    let change = match &step.change {
        // Of a namespace that is there already.
        Change::AddNamespace { .. } => {
            let first = steps.iter().find(|s| matches!(s.change, Change::AddNamespace { .. }))?;
            return (first.ns != step.ns).then(|| first.clone());
        }
        Change::DelNamespace => return None,
        Change::SetSysctl { .. } => {
            Change::SetSysctl { key: "net.ipv4.no_such".into(), value: "1".into() }
        }
        Change::SetLink { set: LinkSetting::Ipv6(_), .. } => {
            Change::SetSysctl { key: "net.ipv6.conf.none.disable_ipv6".into(), value: "1".into() }
        }
        // Too small an MTU: what follows knows the interface, but there is none.
        Change::AddLink { name, link } => {
            let mut link = link.clone();
            match &mut link {
                NewLink::Pair { mtu, .. } | NewLink::Device { mtu, .. } => *mtu = Some(1),
                other => panic!("a link that no test knows: {other:?}"),
            }
            Change::AddLink { name: name.clone(), link }
        }
        _ => {
            let lo = vnet::model::IfName::new("lo").unwrap();
            let set = LinkSetting::Master(Some(lo.clone()));
            Change::SetLink { name: lo, set }
        }
    };
    Some(Step { change, ..step.clone() })
}
