//! With which reasons the kernel drops packets: what it says itself where it frees them.
//!
//! The tracepoint `skb:kfree_skb` tells of each dropped packet why (`enum skb_drop_reason`,
//! include/net/dropreason-core.h; Linux 5.17), but not which it was. So it is heard for one thread
//! alone, the one that sends: a packet that crosses veth pairs, bridges and routers is handled by the
//! kernel in the name of its sender, until it is delivered, dropped, or has to wait. What is dropped
//! later (by a timer, `ksoftirqd`, or the worker of a WireGuard device) is not heard; what the kernel handles in
//! this thread's name for others is.
//!
//! # What it takes, and what remains
//! CAP_PERFMON, or CAP_SYS_ADMIN, in the *initial* user namespace (`perf_event_open(2)`); nobody else may look
//! into the kernel. The numbers of reasons differ from kernel to kernel, so their names are read in tracefs:
//! where that is mounted nowhere, from a mount of our own that is part of no tree of files
//! (`fsmount(2)`). All of it is a matter of open descriptors, and gone with them.

mod format;
mod ring;
mod words;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::Error;
use format::Format;
use ring::Ring;

/// The tracepoint, in tracefs.
const EVENT: &str = "events/skb/kfree_skb";

/// Where tracefs is mounted, if it is.
const MOUNTED: &str = "/sys/kernel/tracing/events/skb/kfree_skb";

/// What a packet of ours may be at any place of its way: IPv4, IPv6, in a VLAN (802.1Q, 802.1ad), in
/// MPLS, in a tunnel of frames (`ETH_P_*`, linux/if_ether.h). Not ARP.
const PROTOCOLS: [u32; 7] = [0x0800, 0x86DD, 0x8100, 0x88A8, 0x8847, 0x8848, 0x6558];

/// Reasons that say nothing: none was given; a socket was closed, or a queue emptied, with packets in it.
const SILENT: [&str; 2] = ["NOT_SPECIFIED", "QUEUE_PURGE"];

/// How the reasons begin that only neighbour discovery has: nobody's probe is that.
const OF_NEIGHBOURS: &str = "IPV6_NDISC_";

/// Packets that were dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The kernel's name of the reason, `NETFILTER_DROP`; the number of one that it names nowhere.
    pub reason: String,
    /// How many.
    pub times: usize,
}

impl Loss {
    /// Says what the reason means, where it is one of the common ones.
    #[must_use]
    pub fn means(&self) -> Option<&'static str> {
        words::of(&self.reason)
    }
}

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// By reason, in the order in which they first came.
    pub losses: Vec<Loss>,
    /// Whether there was more than could be kept.
    pub overrun: bool,
}

/// Hears with which reasons packets are dropped in the name of one thread.
#[derive(Debug)]
pub struct Listener {
    ring: Ring,
    format: Format,
}

impl Listener {
    /// Begins to listen to the calling thread.
    ///
    /// # Errors
    /// EPERM or EACCES to whom the kernel does not tell it; ENOENT where it has no such tracepoint,
    /// EOPNOTSUPP where that gives no reasons (before Linux 5.17).
    pub fn start() -> Result<Self, Error> {
        let folder = open_folder().map_err(Error::system("open", format!("tracefs, {EVENT}")))?;
        let read = |name: &str| {
            read(&folder, name).map_err(Error::system("read", format!("tracefs, {EVENT}/{name}")))
        };
        let unusable = || Error::system("find reasons in", format!("tracefs, {EVENT}"));
        let format = Format::parse(&read("format")?);
        let format = format.ok_or(Errno::OPNOTSUPP).map_err(unusable())?;
        let id = read("id")?.trim().parse().map_err(|_| Errno::OPNOTSUPP).map_err(unusable())?;
        let ring = Ring::open(id).map_err(Error::system("trace", "skb:kfree_skb"))?;
        Ok(Self { ring, format })
    }

    /// Ends it, and tells what was heard.
    #[must_use]
    pub fn finish(self) -> Heard {
        let Self { ring, format } = self;
        let (bytes, overrun) = ring.read();
        let mut losses: Vec<Loss> = Vec::new();
        for reason in ring::samples(&bytes).filter_map(|sample| reason(&format, sample)) {
            match losses.iter_mut().find(|loss| loss.reason == reason) {
                Some(loss) => loss.times += 1,
                None => losses.push(Loss { reason, times: 1 }),
            }
        }
        Heard { losses, overrun }
    }
}

/// Why a packet was dropped that may have been ours.
fn reason(format: &Format, sample: &[u8]) -> Option<String> {
    let reason = format.reason(sample)?;
    let is_told = !SILENT.contains(&reason.as_str()) && !reason.starts_with(OF_NEIGHBOURS);
    (is_told && PROTOCOLS.contains(&format.protocol(sample)?)).then_some(reason)
}

/// Opens what tracefs says of the tracepoint. Mounting takes CAP_SYS_ADMIN in the initial user namespace.
fn open_folder() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, MOUNTED, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    let context = rustix::mount::fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    rustix::fs::openat(&mount, EVENT, flags, Mode::empty())
}

fn read(folder: &OwnedFd, name: &str) -> Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_ours_and_says_something_is_told() {
        let format = Format::parse(format::tests::LINUX_6_18).unwrap();
        let told =
            |protocol: u16, number: u32| reason(&format, &format::tests::sample(protocol, number));
        assert_eq!(told(0x0800, 12).as_deref(), Some("NETFILTER_DROP"));
        assert_eq!(told(0x86DD, 3).as_deref(), Some("NO_SOCKET"));
        // ARP; what says nothing; what was consumed; of neighbours; of a part of the kernel with its own numbers.
        assert_eq!(told(0x0806, 12), None);
        assert_eq!(told(0x0800, 2), None);
        assert_eq!(told(0x0800, 1), None);
        assert_eq!(told(0x86DD, 103), None);
        assert_eq!(told(0x0800, 0x3_0005).as_deref(), Some("196613"));
    }
}
