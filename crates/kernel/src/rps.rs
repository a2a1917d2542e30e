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
    let mut found = None;
    for queue in queues(name).ok()? {
        let cpus = read_queue(&queue)?;
        if found.get_or_insert_with(|| cpus.clone()) != &cpus {
            return None;
        }
    }
    found
}

/// Sets the processors of all queues of an interface. CAP_NET_ADMIN in the first user namespace
/// (`store_rps_map`, net/core/net-sysfs.c).
///
/// # Errors
/// EPERM without the capability, EOVERFLOW for a processor that no such machine has, ENOENT where the
/// interface or, in the kernel, CONFIG_RPS is missing.
pub(crate) fn write(name: &IfName, cpus: &Cpus) -> Result<(), Error> {
    let write = || {
        for queue in queues(name)? {
            let file = open(&queue, c"rps_cpus", OFlags::WRONLY)?;
            rustix::io::write(&file, cpus.mask().as_bytes())?;
        }
        Ok(())
    };
    write().map_err(Error::system("set", format!("rps_cpus of {name}")))
}

/// Opens the folders of the queues by which an interface receives.
fn queues(name: &IfName) -> Result<Vec<OwnedFd>, Errno> {
    let sysfs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&sysfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(&sysfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = format!("class/net/{name}/queues");
    let all = rustix::fs::openat(&root, path.as_str(), folder, Mode::empty())?;
    let mut queues = Vec::new();
    for entry in Dir::read_from(&all)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b"rx-") {
            queues.push(rustix::fs::openat(&all, entry.file_name(), folder, Mode::empty())?);
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
