//! What a test may leave behind, read before and after.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long things that are going away may take for it: a namespace's last link, a process that was told to end. The
/// kernel removes namespaces by one worker for the whole machine, which is behind when much goes on beside the test.
const GRACE: Duration = Duration::from_secs(5);

/// What exists at one moment in the calling thread's namespaces: interfaces, pins, mounts, state, processes.
///
/// [`root`](crate::root) and [`user`](crate::user) compare two of them around each body. A test can do the same around a
/// part of it:
/// ```
/// let before = vnet_testns::Snapshot::take();
/// // … `vnet up`, `vnet down` …
/// assert_eq!(before.leaks(), [""; 0]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Counted, since a mount can be there twice.
    things: BTreeMap<String, usize>,
}

impl Snapshot {
    /// Reads what is there now.
    ///
    /// # Panics
    /// If `/proc` cannot be read.
    #[must_use]
    pub fn take() -> Self {
        let mut things = BTreeMap::new();
        let lists = [namespaces(), links(), pins(), mounts(), state(), processes()];
        for thing in lists.into_iter().flatten() {
            *things.entry(thing).or_insert(0) += 1;
        }
        Self { things }
    }

    /// Returns what is there now and was not then, sorted, after waiting up to 500 ms for it to go.
    ///
    /// One mount on `/run/netns` is no leak: iproute2 and vnet make that directory a shared mount of itself, once and for all.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let deadline = Instant::now() + GRACE;
        loop {
            let leaks = Self::take().beyond(self);
            if leaks.is_empty() || Instant::now() >= deadline {
                return leaks;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn beyond(&self, before: &Self) -> Vec<String> {
        let mut leaks = Vec::new();
        for (thing, &count) in &self.things {
            let exempt = usize::from(thing.starts_with("mount /run/netns ("));
            let known = before.things.get(thing).copied().unwrap_or(0).max(exempt);
            leaks.extend((known..count).map(|_| thing.clone()));
        }
        leaks
    }
}

fn namespaces() -> Vec<String> {
    ["net", "mnt", "user", "uts"]
        .iter()
        .map(|kind| {
            let link = fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap_or_default();
            format!("the test's thread in namespace {}", link.display())
        })
        .collect()
}

fn links() -> Vec<String> {
    read("/proc/thread-self/net/dev")
        .lines()
        .skip(2)
        .filter_map(|line| Some(format!("interface {}", line.rsplit_once(':')?.0.trim())))
        .collect()
}

fn pins() -> Vec<String> {
    let mut pins = Vec::new();
    list(Path::new("/run/netns"), "pin", &mut pins);
    pins
}

fn mounts() -> Vec<String> {
    // proc_pid_mountinfo(5): the fifth field is where, what follows the hyphen is the file system.
    read("/proc/thread-self/mountinfo")
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let kind = right.split(' ').next()?;
            Some(format!("mount {} ({kind})", left.split(' ').nth(4)?))
        })
        .collect()
}

fn state() -> Vec<String> {
    let mut files = Vec::new();
    list(Path::new("/run/vnet"), "state", &mut files);
    if let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR") {
        list(&Path::new(&folder).join("vnet"), "state", &mut files);
    }
    files
}

/// Lists the files and folders under `folder`, not itself; none if there is no such folder.
fn list(folder: &Path, what: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(format!("{what} {}", entry.path().display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), what, found);
        }
    }
}

/// Lists the children that have not ended. Orphans of theirs become ours and are seen too.
fn processes() -> Vec<String> {
    let children = children(std::process::id()).into_iter();
    children.map(|(pid, name)| format!("process {pid} {name}")).collect()
}

/// Kills the processes that `parent` started and those that they started; not itself.
///
/// A PID namespace does that by itself, but not every machine has one to offer.
pub(crate) fn kill_descendants(parent: u32) {
    for (pid, _) in children(parent) {
        kill_descendants(pid);
        // SAFETY: takes no pointers. The number was a process of ours a moment ago.
        unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
    }
}

/// Reads the number and name of each living child. A zombie is none: it holds nothing.
fn children(parent: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // proc_pid_stat(5): pid (comm) state ppid …; the process may be gone by now.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let (Some((_, left)), Some((_, rest))) = (stat.split_once(" ("), stat.rsplit_once(") "))
        else {
            continue;
        };
        let name = left.rsplit_once(") ").map_or(left, |(name, _)| name);
        let mut fields = rest.split(' ');
        let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
        if is_alive && fields.next().and_then(|field| field.parse().ok()) == Some(parent) {
            found.push((pid, name.to_owned()));
        }
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}
