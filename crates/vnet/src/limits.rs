//! Whether what a change makes fits into the machine: said before anything is touched.

use std::fmt;

use vnet_kernel::limits::Limits;
use vnet_model::{Change, NewLink, NsName, State, Step};

/// The kernel's memory for a namespace and a pair of interfaces, in bytes: 430 kB together, measured
/// on Linux 6.18.
const NAMESPACE_BYTES: u64 = 300_000;
const LINK_BYTES: u64 = 130_000;

/// Files that are open at most while a lab is looked at and changed: that works in lots.
const OPEN_FILES: u64 = 160;

/// Threads and processes that `up` starts at most: threads that enter namespaces, a keeper, a worker
/// that waits for a confirmation.
const TASKS: u64 = 12;

/// Fewer new namespaces than this can't be too many mounts, and need not be counted.
pub(crate) const FEW_NAMESPACES: u64 = 256;

/// Something that there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What it is.
    pub what: Resource,
    /// How much is wanted, all in all.
    pub wanted: u64,
    /// How much there can be.
    pub limit: u64,
}

/// Something that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Network namespaces.
    Namespaces,
    /// Open files.
    OpenFiles,
    /// The kernel's memory, in bytes.
    Memory,
    /// Memory of the control group, in bytes.
    CgroupMemory,
    /// Threads and processes of the control group.
    CgroupTasks,
    /// Threads of the whole machine.
    Threads,
    /// Process and thread ids.
    Pids,
    /// Entries of the neighbour table.
    Neighbours,
    /// Mounts.
    Mounts,
}

impl Resource {
    /// Returns the name of the setting that limits it.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Namespaces => "user.max_net_namespaces",
            Self::OpenFiles => "RLIMIT_NOFILE",
            Self::Memory => "MemAvailable",
            Self::CgroupMemory => "memory.max",
            Self::CgroupTasks => "pids.max",
            Self::Threads => "kernel.threads-max",
            Self::Pids => "kernel.pid_max",
            Self::Neighbours => "net.ipv4.neigh.default.gc_thresh3",
            Self::Mounts => "fs.mount-max",
        }
    }
}

impl Shortage {
    /// Returns how to mend it.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { what, wanted, .. } = self;
        match what {
            Resource::Namespaces | Resource::Mounts => {
                format!("allow more with `sudo sysctl -w {}={}`", what.setting(), roomy(*wanted))
            }
            Resource::Neighbours => {
                let setting = what.setting();
                let wanted = roomy(*wanted);
                format!("on the host: `sudo sysctl -w {setting}={wanted}`, and gc_thresh2 below it")
            }
            Resource::Threads | Resource::Pids => {
                format!("end some, or allow more with `sudo sysctl -w {}=…`", what.setting())
            }
            Resource::OpenFiles => format!("raise it with `ulimit -n {wanted}`"),
            Resource::Memory => "use fewer nodes, or a machine with more memory".to_owned(),
            Resource::CgroupMemory | Resource::CgroupTasks => {
                format!("raise {} of the control group, a container's limit say", what.setting())
            }
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, limit } = self;
        let mib = |bytes: &u64| bytes.div_ceil(1 << 20);
        let setting = what.setting();
        match what {
            Resource::Namespaces => {
                write!(f, "{wanted} network namespaces, of which {limit} are allowed ({setting})")
            }
            Resource::Mounts => {
                write!(f, "{wanted} mounts, of which {limit} are allowed ({setting})")
            }
            Resource::OpenFiles => {
                write!(f, "{wanted} open files, of which {limit} are allowed ({setting})")
            }
            Resource::CgroupTasks | Resource::Threads | Resource::Pids => {
                write!(f, "{wanted} threads and processes, of which {limit} are left ({setting})")
            }
            Resource::Memory | Resource::CgroupMemory => {
                let (wanted, limit) = (mib(wanted), mib(limit));
                write!(
                    f,
                    "{wanted} MiB of the kernel's memory, of which {limit} are left ({setting})"
                )
            }
            Resource::Neighbours => write!(
                f,
                "{wanted} entries of the neighbour table if all neighbours talk to each other, of \
                 which {limit} are allowed in the whole machine ({setting})"
            ),
        }
    }
}

/// What is too little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Check {
    /// What can't be: the change would fail half-way.
    pub(crate) refused: Vec<Shortage>,
    /// What may go wrong.
    pub(crate) doubtful: Vec<Shortage>,
}

/// What exists in the machine already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct There {
    /// Pinned namespaces, whoever made them.
    pub(crate) namespaces: u64,
    /// Mounts; `None` where they were not counted.
    pub(crate) mounts: Option<u64>,
}

/// Compares what steps make with what there is room for.
pub(crate) fn check(steps: &[Step], target: &State, there: There, limits: Limits) -> Check {
    let count =
        |is: fn(&Change) -> bool| steps.iter().filter(|step| is(&step.change)).count() as u64;
    let namespaces = count(|change| matches!(change, Change::AddNamespace { .. }));
    let links =
        count(|change| matches!(change, Change::AddLink { link: NewLink::Pair { .. }, .. }));
    let memory = namespaces * NAMESPACE_BYTES + links * LINK_BYTES;
    let mut check = Check::default();
    let mut add = |what, is_sure: bool, wanted: u64, limit: Option<u64>| {
        if let Some(limit) = limit.filter(|limit| wanted > *limit) {
            let list = if is_sure { &mut check.refused } else { &mut check.doubtful };
            list.push(Shortage { what, wanted, limit });
        }
    };
    let all = there.namespaces + namespaces;
    // Those that exist may be another user's, and not count.
    let is_sure = limits.namespaces.is_some_and(|limit| namespaces > limit);
    if namespaces > 0 {
        add(Resource::Namespaces, is_sure, all, limits.namespaces);
        let mounts = there.mounts.map(|mounts| mounts + namespaces);
        add(Resource::Mounts, true, mounts.unwrap_or(0), limits.mounts);
    }
    add(Resource::OpenFiles, true, OPEN_FILES, limits.open_files);
    add(Resource::Memory, true, memory, limits.memory_bytes);
    add(Resource::CgroupMemory, false, memory, limits.cgroup_memory_bytes);
    // Of nodes none has a process: it does not matter how many there are.
    add(Resource::CgroupTasks, true, TASKS, limits.cgroup_tasks);
    add(Resource::Threads, true, TASKS, limits.threads);
    add(Resource::Pids, true, TASKS, limits.pids);
    if links > 0 {
        add(Resource::Neighbours, false, neighbours(target), limits.neighbours);
    }
    check
}

/// Counts the neighbour entries that there are when all that are on one link have talked to each
/// other: `n × (n - 1)` in a segment of `n`, two for a link.
fn neighbours(target: &State) -> u64 {
    let is_host = |ns: &NsName, name: &vnet_model::IfName| {
        let interface = target.namespaces.get(ns).and_then(|ns| ns.interfaces.get(name));
        interface.is_some_and(|interface| interface.master.is_none())
    };
    let mut entries = 0;
    for (ns, namespace) in &target.namespaces {
        let mut ports: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
        for (name, interface) in &namespace.interfaces {
            match (interface.kind.peer(), &interface.master) {
                (_, Some(bridge)) if interface.kind.is_pair() => {
                    *ports.entry(bridge.as_str()).or_default() += 1
                }
                (Some(peer), None) => {
                    entries += u64::from(is_host(ns, name) && is_host(&peer.ns, &peer.name));
                }
                _ => {}
            }
        }
        entries += ports.values().map(|ports| ports * (ports - 1)).sum::<u64>();
    }
    entries
}

/// Returns a number that has room for more, to be set.
fn roomy(wanted: u64) -> u64 {
    wanted.saturating_mul(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans a lab from nothing, and checks it.
    fn checked(text: &str, there: There, limits: Limits) -> [Vec<String>; 2] {
        let source = vnet_file::Source::new("t", text);
        let desired = vnet_file::parse(&source, &[]).unwrap().resolve().unwrap();
        let steps = vnet_model::plan(&desired, &State::default()).steps;
        let check = check(&steps, &desired.state, there, limits);
        let words = |list: Vec<Shortage>| list.iter().map(ToString::to_string).collect();
        [words(check.refused), words(check.doubtful)]
    }

    const RING: &str = "{ name: t, nodes: [ n1..10 ], links: [ { endpoints: [ n1..9, n2..10 ], \
                        pairs: each, pool: 10.0.0.0/24 } ] }";

    #[test]
    fn what_does_not_fit_is_named_with_its_setting() {
        let limits = Limits {
            namespaces: Some(9),
            open_files: Some(100),
            memory_bytes: Some(4_000_000),
            cgroup_memory_bytes: Some(4_000_000),
            cgroup_tasks: Some(5),
            threads: Some(6),
            pids: Some(7),
            neighbours: Some(17),
            mounts: Some(30),
        };
        let there = There { namespaces: 4, mounts: Some(25) };
        let [refused, doubtful] = checked(RING, there, limits);
        assert_eq!(
            refused,
            [
                "14 network namespaces, of which 9 are allowed (user.max_net_namespaces)",
                "35 mounts, of which 30 are allowed (fs.mount-max)",
                "160 open files, of which 100 are allowed (RLIMIT_NOFILE)",
                "4 MiB of the kernel's memory, of which 4 are left (MemAvailable)",
                "12 threads and processes, of which 5 are left (pids.max)",
                "12 threads and processes, of which 6 are left (kernel.threads-max)",
                "12 threads and processes, of which 7 are left (kernel.pid_max)",
            ]
        );
        assert_eq!(
            doubtful,
            [
                "4 MiB of the kernel's memory, of which 4 are left (memory.max)",
                "18 entries of the neighbour table if all neighbours talk to each other, of which 17 \
                 are allowed in the whole machine (net.ipv4.neigh.default.gc_thresh3)",
            ]
        );
    }

    #[test]
    fn what_may_be_anothers_is_a_doubt() {
        let limits = Limits { namespaces: Some(12), ..Limits::default() };
        let there = There { namespaces: 4, mounts: None };
        let [refused, doubtful] = checked(RING, there, limits);
        assert_eq!(refused, [""; 0]);
        assert!(doubtful[0].starts_with("14 network namespaces"), "{doubtful:?}");
        assert_eq!(checked(RING, There::default(), limits), [vec![], Vec::<String>::new()]);
    }

    #[test]
    fn a_segment_has_neighbours_by_the_square() {
        let text = "{ name: t, nodes: [ n1..40 ], segments: { lan: { prefix: 10.0.0.0/24, members: \
                    [ n1..40 ] } } }";
        let limits = Limits { neighbours: Some(1024), ..Limits::default() };
        let [_, doubtful] = checked(text, There::default(), limits);
        assert!(doubtful[0].starts_with("1560 entries"), "{doubtful:?}");
    }

    #[test]
    fn hints_name_what_to_do() {
        let of = |what| Shortage { what, wanted: 1000, limit: 1 }.hint();
        assert_eq!(
            of(Resource::Namespaces),
            "allow more with `sudo sysctl -w user.max_net_namespaces=2048`"
        );
        assert_eq!(of(Resource::OpenFiles), "raise it with `ulimit -n 1000`");
    }
}
