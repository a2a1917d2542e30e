//! Sysctls of the network namespace that the calling thread is in.
//!
//! `/proc/sys/net` shows the namespace of whoever opens it, so these run on a thread in that
//! namespace. The first access in a namespace costs up to a millisecond when there are thousands:
//! what netlink can say is asked there instead.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Reads a sysctl by its dotted name; `None` where this kernel has none of that name.
///
/// # Errors
/// EACCES for one that can only be written.
pub fn read(key: &str) -> Result<Option<String>, Error> {
    let path = path(key);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(normal(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", key)(error)),
    }
}

/// Writes a sysctl by its dotted name. CAP_NET_ADMIN.
///
/// # Errors
/// ENOENT for a name this kernel does not have, EINVAL for a value it does not take, EPERM for one
/// that may not be set in a namespace.
pub fn write(key: &str, value: &str) -> Result<(), Error> {
    // Of nothing no word would be sent at all.
    let value = if value.is_empty() { "\n" } else { value };
    std::fs::write(path(key), value).map_err(failed("set", key))
}

/// Lists the sysctls under `net.` that can be read and written, by their dotted names.
///
/// One that the kernel shows to nobody yet (a secret that was not set) is left out.
pub(crate) fn list() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(PathBuf::from("/proc/sys/net"), "net".to_owned())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = format!("{prefix}.{}", name.replace('.', "/"));
            if meta.is_dir() {
                folders.push((entry.path(), key));
            } else if meta.mode() & 0o600 == 0o600
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                found.insert(key, normal(&text));
            }
        }
    }
    found
}

/// What became of a sysctl that was tried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tried {
    /// It was written, and is now this.
    Kept(String),
    /// The kernel refused it, with this error number: ENOENT for a name it does not have, EINVAL for
    /// a value it does not take, EACCES for what it shows to nobody.
    Refused(i32),
}

/// Writes sysctls in the namespace of the calling thread, and reads them again.
pub(crate) fn try_out(pairs: &[(String, String)]) -> Vec<Tried> {
    let one = |key: &str, value: &str| {
        write(key, value)?;
        Ok(read(key)?.unwrap_or_default())
    };
    let number = |error: Error| error.errno().unwrap_or(Errno::IO).raw_os_error();
    let tried = pairs.iter().map(|(key, value)| one(key, value));
    tried
        .map(|result: Result<String, Error>| match result {
            Ok(kept) => Tried::Kept(kept),
            Err(error) => Tried::Refused(number(error)),
        })
        .collect()
}

/// Returns the value as vnet compares it: fields apart by single spaces.
#[must_use]
pub fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Turns `net.ipv4.conf.eth0.rp_filter` into a path.
///
/// A dot inside of an interface's name is written as `/`, as `sysctl(8)` has it.
fn path(key: &str) -> String {
    let parts: Vec<String> = key.split('.').map(|part| part.replace('/', ".")).collect();
    format!("/proc/sys/{}", parts.join("/"))
}

fn failed(doing: &'static str, key: &str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::system(doing, format!("sysctl {key}"))(errno)
    }
}
