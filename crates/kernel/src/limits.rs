//! Limits of the machine and of this process, as far as they can be read.

use rustix::process::{Resource, getrlimit};

/// What there is room for. `None` where it can't be read, or is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Network namespaces of this user (`user.max_net_namespaces`), those that exist counted too.
    pub namespaces: Option<u64>,
    /// Files that this process may have open (RLIMIT_NOFILE).
    pub open_files: Option<u64>,
    /// Memory that can be had without swapping, in bytes (`MemAvailable`, `proc_meminfo(5)`).
    pub memory_bytes: Option<u64>,
    /// Memory that the control group may still have, in bytes (`memory.max`, cgroup v2).
    pub cgroup_memory_bytes: Option<u64>,
    /// Tasks that the control group may still have (`pids.max`, cgroup v2).
    pub cgroup_tasks: Option<u64>,
    /// Threads that the machine may still have (`kernel.threads-max`, `proc_sys_kernel(5)`).
    pub threads: Option<u64>,
    /// Process and thread ids that are left (`kernel.pid_max`, `proc_sys_kernel(5)`).
    pub pids: Option<u64>,
    /// IPv4 neighbour entries of the whole machine (`net.ipv4.neigh.default.gc_thresh3`). It can be
    /// read in the first network namespace only.
    pub neighbours: Option<u64>,
    /// Mounts in a mount namespace (`fs.mount-max`), those that exist counted too.
    pub mounts: Option<u64>,
}

impl Limits {
    /// Reads them, as the calling process sees them: in a user namespace of an ordinary user, who is
    /// limited outside of it, some look unlimited.
    #[must_use]
    pub fn read() -> Self {
        let [cgroup_memory_bytes, cgroup_tasks] = cgroup_room();
        // Each thread has an id of its own.
        let running = count_threads().unwrap_or(0);
        let left = |path: &str| number(path).map(|limit| limit.saturating_sub(running));
        Self {
            namespaces: number("/proc/sys/user/max_net_namespaces"),
            open_files: getrlimit(Resource::Nofile).current,
            memory_bytes: available_bytes(),
            cgroup_memory_bytes,
            cgroup_tasks,
            threads: left("/proc/sys/kernel/threads-max"),
            pids: left("/proc/sys/kernel/pid_max"),
            neighbours: number("/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
            mounts: number("/proc/sys/fs/mount-max"),
        }
    }

    /// Returns the lower one of each limit.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            namespaces: least(self.namespaces, other.namespaces),
            open_files: least(self.open_files, other.open_files),
            memory_bytes: least(self.memory_bytes, other.memory_bytes),
            cgroup_memory_bytes: least(self.cgroup_memory_bytes, other.cgroup_memory_bytes),
            cgroup_tasks: least(self.cgroup_tasks, other.cgroup_tasks),
            threads: least(self.threads, other.threads),
            pids: least(self.pids, other.pids),
            neighbours: least(self.neighbours, other.neighbours),
            mounts: least(self.mounts, other.mounts),
        }
    }
}

/// Counts the mounts in this process's mount namespace. That takes 15 ms where there are 5,000.
#[must_use]
pub fn count_mounts() -> u64 {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    mounts.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Returns how many threads the whole machine has (the fourth word of `/proc/loadavg`, `proc_loadavg(5)`).
fn count_threads() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let (_, all) = text.split_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns how many bytes and tasks the control group and those around it may still have
/// (`cgroups(7)`, Documentation/admin-guide/cgroup-v2.rst).
fn cgroup_room() -> [Option<u64>; 2] {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return [None; 2];
    };
    let mut folder = std::path::Path::new("/sys/fs/cgroup").join(path);
    let mut room = [None; 2];
    while folder.starts_with("/sys/fs/cgroup") {
        for (room, what) in room.iter_mut().zip(["memory", "pids"]) {
            let read = |file: &str| number(folder.join(format!("{what}.{file}")).to_str()?);
            let used = |_: &u64| read("current").unwrap_or(0);
            // What is cached of files can be dropped.
            let cached = if what == "memory" { inactive_bytes(&folder) } else { 0 };
            let here = read("max").map(|max| max.saturating_sub(used(&max).saturating_sub(cached)));
            *room = [*room, here].into_iter().flatten().min();
        }
        if !folder.pop() {
            break;
        }
    }
    room
}

fn inactive_bytes(folder: &std::path::Path) -> u64 {
    let text = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("inactive_file "));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_limits() {
        let limits = Limits::read();
        assert!(limits.namespaces.is_some(), "{limits:?}");
        assert!(limits.memory_bytes.is_some_and(|bytes| bytes > 1 << 20), "{limits:?}");
        assert!(limits.mounts.is_some_and(|mounts| mounts >= count_mounts()), "{limits:?}");
        assert!(count_threads().is_some_and(|threads| threads > 0));
        assert!(limits.threads.is_some_and(|left| left > 0), "{limits:?}");
        let pids = number("/proc/sys/kernel/pid_max");
        assert!(limits.pids.is_some_and(|left| left > 0) && limits.pids < pids, "{limits:?}");
        let none = Limits { open_files: Some(3), ..Limits::default() };
        assert_eq!(none.and(limits), Limits { open_files: Some(3), ..limits });
    }
}
