//! Namespaces that are nobody's: made and pinned as `ip netns add` does, without a mark.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use vnet_model::NsName;

use crate::error::Error;
use crate::pins::{self, Pins};
use crate::thread::NsThread;

/// Makes a namespace and pins it under `name`: on an empty file without access rights, as
/// iproute2's (`netns_add`, ip/ipnetns.c). `thread` makes it, and can make the next. CAP_SYS_ADMIN.
///
/// # Errors
/// [`Error::Exists`] when the name is taken; when namespaces or mounts are forbidden.
pub fn create(name: &NsName, thread: &NsThread) -> Result<(), Error> {
    pin(name, |target| {
        thread.run(move |walker| {
            walker.enter_new()?;
            rustix::mount::mount_bind("/proc/thread-self/ns/net", &target)
        })
    })
}

/// Pins the namespace of a process under `name`, as `ip netns attach` does. CAP_SYS_ADMIN.
///
/// # Errors
/// [`Error::Exists`] when the name is taken; ENOENT when there is no such process.
pub fn attach(name: &NsName, pid: u32) -> Result<(), Error> {
    pin(name, |target| rustix::mount::mount_bind(format!("/proc/{pid}/ns/net"), &target))
}

fn pin(name: &NsName, mount: impl FnOnce(String) -> Result<(), Errno>) -> Result<(), Error> {
    let _folder = Pins::open_or_make()?;
    let path = pins::path(name);
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(_) => {}
        Err(Errno::EXIST) => return Err(Error::Exists { path }),
        Err(errno) => return Err(Error::system("make", path)(errno)),
    }
    mount(path.clone()).map_err(|errno| {
        // Only an empty file is left behind: take it away as well as we can.
        let _ = rustix::fs::unlink(&path);
        Error::system("mount a namespace on", &path)(errno)
    })
}
