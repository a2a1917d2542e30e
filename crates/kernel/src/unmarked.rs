//! Namespaces that are nobody's: made and pinned as `ip netns add` does, without a mark.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use vnet_model::NsName;

use crate::error::Error;
use crate::pins::{self, Pins};
use crate::thread::NsThread;

/// Makes a namespace and pins it under `name`: on an empty file without access rights, as
/// iproute2's (`netns_add`, ip/ipnetns.c). CAP_SYS_ADMIN.
///
/// # Errors
/// [`Error::Exists`] when the name is taken; when namespaces or mounts are forbidden.
pub fn create(name: &NsName) -> Result<(), Error> {
    pin(name, |target| {
        NsThread::start().map(|thread| {
            thread.run(move |walker| {
                walker.enter_new()?;
                rustix::mount::mount_bind("/proc/thread-self/ns/net", &target)
            })
        })
    })
}

/// Pins the namespace of a process under `name`, as `ip netns attach` does. CAP_SYS_ADMIN.
///
/// # Errors
/// [`Error::Exists`] when the name is taken; ENOENT when there is no such process.
pub fn attach(name: &NsName, pid: u32) -> Result<(), Error> {
    pin(name, |target| Ok(rustix::mount::mount_bind(format!("/proc/{pid}/ns/net"), &target)))
}

fn pin(
    name: &NsName,
    mount: impl FnOnce(String) -> Result<Result<(), Errno>, Error>,
) -> Result<(), Error> {
    let _folder = Pins::open_or_make()?;
    let path = pins::path(name);
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(_) => {}
        Err(Errno::EXIST) => return Err(Error::Exists { path }),
        Err(errno) => return Err(Error::system("make", path)(errno)),
    }
    let made = match mount(path.clone()) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(errno)) => Error::system("mount a namespace on", &path)(errno),
        Err(error) => error,
    };
    // Only an empty file is left behind: take it away as well as we can.
    let _ = rustix::fs::unlink(&path);
    Err(made)
}
