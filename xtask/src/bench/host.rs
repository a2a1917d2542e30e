//! A host of the benchmark's own, and what is known about the kernel from there.
#![expect(
    unsafe_code,
    reason = "std and rustix offer unshare and wait4 only as unsafe or not at all"
)]

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::wire::{
    End, Messages, RTM_DELLINK, RTM_GETADDR, RTM_GETLINK, RTMGRP_LINK, Socket, number,
};

/// How long the kernel may take to remove what was released.
const PATIENCE: Duration = Duration::from_secs(300);

/// Leaves the machine: a new mount namespace with an empty tmpfs on `/run`, a new network namespace. An ordinary user gets
/// a user namespace too.
///
/// `/run/netns` is made a shared mount of itself as iproute2 and vnet would, so that no contender does it within its time.
/// Called before there are threads.
pub(super) fn leave_machine() -> anyhow::Result<()> {
    raise_open_files();
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let user = if uid.is_root() { UnshareFlags::empty() } else { UnshareFlags::NEWUSER };
    // SAFETY: no file descriptor table is unshared.
    unsafe { unshare_unsafe(user | UnshareFlags::NEWNS | UnshareFlags::NEWNET) }
        .context("cannot make namespaces: run this as root")?;
    if !uid.is_root() {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tmpfs", "/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755")?;
    fs::create_dir("/run/netns")?;
    mount_bind("/run/netns", "/run/netns")?;
    mount_change("/run/netns", MountPropagationFlags::SHARED)?;
    let mut messages = Messages::default();
    messages.set_up(1);
    messages.send(&Socket::open()?).context("set the host's lo up")
}

/// Lets programs open as many files as 10,000 nodes take: `ip -batch` keeps one open each time that a line names a
/// namespace. Who may not raise the limit goes as far as it lets them.
fn raise_open_files() {
    const FILES: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.map(|files| files.max(FILES));
    let raised = Rlimit { current: enough(limit.current), maximum: enough(limit.maximum) };
    let as_far = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised).or_else(|_| setrlimit(Resource::Nofile, as_far));
}

/// Moves the calling thread into a new network namespace.
pub(super) fn enter_new_network() -> anyhow::Result<()> {
    // SAFETY: no file descriptor table is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("cannot make a network namespace")
}

/// Two namespaces that only a veth end of ours tells of, for knowing when the kernel has done with others.
///
/// The kernel's worker (`cleanup_net`, net/core/net_namespace.c) takes all that wait as one lot, and announces the links
/// of a lot early in it. So the first one's end tells that its lot is being worked on, and the second one's, which must be
/// in a later lot, that the first lot is done.
pub(super) struct Sentinels {
    namespaces: [OwnedFd; 2],
    events: Socket,
}

impl Sentinels {
    const INDICES: [u32; 2] = [1000, 1001];

    pub(super) fn new() -> anyhow::Result<Self> {
        let namespaces = [make_sentinel(Self::INDICES[0])?, make_sentinel(Self::INDICES[1])?];
        Ok(Self { namespaces, events: Socket::listen(RTMGRP_LINK, PATIENCE)? })
    }

    /// Returns when all namespaces that were released before are gone.
    pub(super) fn wait(self) -> anyhow::Result<()> {
        for (index, namespace) in Self::INDICES.into_iter().zip(self.namespaces) {
            drop(namespace);
            self.events.wait_for(RTM_DELLINK, index)?;
        }
        Ok(())
    }
}

fn make_sentinel(index: u32) -> anyhow::Result<OwnedFd> {
    let enter = || -> anyhow::Result<OwnedFd> {
        enter_new_network()?;
        Ok(File::open("/proc/thread-self/ns/net")?.into())
    };
    let namespace = thread::spawn(enter).join().map_err(|_| anyhow!("a thread panicked"))??;
    let name = format!("sentinel{index}");
    let mac = |side| [0x02, 0xff, 0, 0, index as u8, side];
    let ours = End { name: &name, index, mac: mac(0) };
    let theirs = End { name: &name, index, mac: mac(1) };
    let mut messages = Messages::default();
    messages.add_veth(&ours, &theirs, namespace.as_fd());
    messages.send(&Socket::open()?).context("make a sentinel")?;
    Ok(namespace)
}

/// Checks that there are `count` namespaces, each with three interfaces that are up and have an IPv4 address.
pub(super) fn verify(count: u32) -> anyhow::Result<()> {
    let pins = fs::read_dir("/run/netns")?.collect::<Result<Vec<_>, _>>()?;
    ensure!(pins.len() == count as usize, "{} namespaces instead of {count}", pins.len());
    let look = move || {
        for pin in pins {
            let namespace = File::open(pin.path())?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let socket = Socket::open()?;
            let (mut up, mut addressed) = (0, 0);
            socket.dump(RTM_GETLINK, |link| up += number(link, 8) & 1)?;
            socket.dump(RTM_GETADDR, |address| addressed += u32::from(address[0] == 2))?;
            let path = pin.path();
            ensure!(
                (up, addressed) == (3, 3),
                "{}: {up} up, {addressed} addresses",
                path.display()
            );
        }
        Ok(())
    };
    thread::spawn(look).join().map_err(|_| anyhow!("a thread panicked"))?
}

/// What a process needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) peak_bytes: u64,
    /// Only when `watch` was asked for.
    pub(super) threads: Option<u32>,
}

/// Runs a program to its end. With `watch`, its threads are counted every half millisecond, which costs time.
pub(super) fn run(command: &mut Command, watch: bool) -> anyhow::Result<Usage> {
    let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let pid = child.id();
    let watcher = watch.then(|| thread::spawn(move || count_threads(pid)));
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both out-pointers are valid. The child is waited for nowhere else.
    let waited = unsafe { libc::wait4(pid.cast_signed(), &raw mut status, 0, &raw mut usage) };
    ensure!(waited == pid.cast_signed(), "cannot wait: {}", std::io::Error::last_os_error());
    let threads = watcher.map(|watcher| watcher.join().unwrap_or(0));
    if status != 0 {
        bail!("{command:?} failed with wait status {status:#x}");
    }
    let peak_bytes = usage.ru_maxrss.cast_unsigned() * 1024;
    Ok(Usage { peak_bytes, threads })
}

/// Returns the most threads seen until the process has ended.
fn count_threads(pid: u32) -> u32 {
    let mut most = 0;
    while let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        match threads.and_then(|threads| threads.trim().parse().ok()) {
            Some(threads) => most = most.max(threads),
            None => break, // a zombie has none
        }
        if status.contains("\nState:\tZ") {
            break;
        }
        thread::sleep(Duration::from_micros(500));
    }
    most
}
