//! Which processors take what comes in at an interface (receive packet steering,
//! Documentation/networking/scaling.rst): a file for each of its queues in sysfs.
//!
//! A mount of sysfs shows the interfaces of the namespace of who made it, so it is made here by a
//! thread in that namespace, where nobody else sees it: it is nowhere in the tree of files.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use vnet_model::{Cpus, IfName};

use crate::error::Error;

/// Reads the processors of an interface of the namespace of the calling thread. `None` where its
/// queues differ, there is no such interface, or the kernel shows no sysfs: in a user namespace it
/// does only where all of it was to be seen before (`mount_too_revealing`, fs/namespace.c).
pub(crate) fn read(name: &IfName) -> Option<Cpus> {
    match common(&sysfs().ok()?, name.as_str())? {
        Common::Same(cpus) => Some(cpus),
        Common::Differ => None,
    }
}

/// Lists the interfaces of the namespace of the calling thread, a line each: the name, a space, and the
/// processors, or `?` where its queues differ. `None` where the kernel shows no sysfs, as [`read`].
pub(crate) fn list() -> Option<String> {
    let root = sysfs().ok()?;
    let all = rustix::fs::openat(&root, c"class/net", FOLDER, Mode::empty()).ok()?;
    let mut list = String::new();
    for entry in Dir::read_from(&all).ok()? {
        let entry = entry.ok()?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        // Those of bonds are listed in a file beside them.
        match common(&root, name).filter(|_| !name.starts_with('.')) {
            Some(Common::Same(cpus)) => list.push_str(&format!("{name} {cpus}\n")),
            Some(Common::Differ) => list.push_str(&format!("{name} ?\n")),
            None => {}
        }
    }
    Some(list)
}

/// What the queues of an interface have.
enum Common {
    /// All the same.
    Same(Cpus),
    /// Not all the same.
    Differ,
}

fn common(root: &OwnedFd, name: &str) -> Option<Common> {
    let mut found = None;
    for queue in queues(root, name).ok()? {
        let cpus = read_queue(&queue)?;
        if found.get_or_insert_with(|| cpus.clone()) != &cpus {
            return Some(Common::Differ);
        }
    }
    found.map(Common::Same)
}

/// Sets the processors of all queues of an interface. CAP_NET_ADMIN in the first user namespace
/// (`store_rps_map`, net/core/net-sysfs.c).
///
/// # Errors
/// EPERM without the capability, EOVERFLOW for a processor that no such machine has, ENOENT where the
/// interface or, in the kernel, CONFIG_RPS is missing.
pub(crate) fn write(name: &IfName, cpus: &Cpus) -> Result<(), Error> {
    let write = || {
        for queue in queues(&sysfs()?, name.as_str())? {
            let file = open(&queue, c"rps_cpus", OFlags::WRONLY)?;
            rustix::io::write(&file, cpus.mask().as_bytes())?;
        }
        Ok(())
    };
    write().map_err(Error::system("set", format!("rps_cpus of {name}")))
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Mounts sysfs for the namespace of the calling thread.
fn sysfs() -> Result<OwnedFd, Errno> {
    let sysfs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&sysfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&sysfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Opens the folders of the queues by which an interface receives.
fn queues(root: &OwnedFd, name: &str) -> Result<Vec<OwnedFd>, Errno> {
    let path = format!("class/net/{name}/queues");
    let all = rustix::fs::openat(root, path.as_str(), FOLDER, Mode::empty())?;
    let mut queues = Vec::new();
    for entry in Dir::read_from(&all)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b"rx-") {
            queues.push(rustix::fs::openat(&all, entry.file_name(), FOLDER, Mode::empty())?);
        }
    }
    Ok(queues)
}

fn read_queue(queue: &OwnedFd) -> Option<Cpus> {
    /// The mask of 8192 processors, with its commas.
    const LENGTH_MAX: usize = 9 * 8192 / 32;
    let file = open(queue, c"rps_cpus", OFlags::RDONLY).ok()?;
    let mut mask = [0; LENGTH_MAX];
    let length = rustix::io::read(&file, &mut mask).ok()?;
    Cpus::from_mask(str::from_utf8(&mask[..length]).ok()?)
}

fn open(folder: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty())
}
