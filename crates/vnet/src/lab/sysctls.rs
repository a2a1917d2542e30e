//! Sysctls that the file writes are tried out before anything is touched.
//!
//! They are written in a namespace of no lab that goes at once, so a name that the kernel does not
//! have and a value that it does not take are found while nothing has changed. What can't be known
//! there: whether an interface that a name is about will exist, what only some kinds of interfaces
//! have, and what the kernel allows by the state of the lab's own namespace.

use std::collections::BTreeMap;

use rustix::io::Errno;
use vnet_kernel::Realm;
use vnet_kernel::sysctl::Tried;
use vnet_model::apply::LOOPBACK;
use vnet_model::plan::interface_of_sysctl;
use vnet_model::{Change, Step};

use crate::error::Error;

/// What vnet writes of itself: these every kernel has that has IPv6.
const OWN: [&str; 3] = [
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.default.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
];

/// Tries out the sysctls that the steps write, each name and value once.
pub(super) fn check(realm: &Realm, steps: &[Step]) -> Result<(), Error> {
    let mut first: BTreeMap<(String, String), &Step> = BTreeMap::new();
    for step in steps {
        let Change::SetSysctl { key, value } = &step.change else { continue };
        if !OWN.contains(&key.as_str()) {
            first.entry((of_loopback(key), value.clone())).or_insert(step);
        }
    }
    if first.is_empty() {
        return Ok(());
    }
    let pairs: Vec<(String, String)> = first.keys().cloned().collect();
    let tried = realm.try_sysctls(pairs)?;
    for (((_, value), step), tried) in first.into_iter().zip(tried) {
        let step = || Box::new(step.clone());
        match tried {
            Tried::Kept(kept) if kept == value => {}
            Tried::Kept(kept) => return Err(Error::SysctlNotKept { step: step(), kept }),
            Tried::Refused(errno) => {
                let errno = Errno::from_raw_os_error(errno);
                return Err(Error::BadSysctl { step: step(), errno });
            }
        }
    }
    Ok(())
}

/// The same sysctl of `lo`, which every namespace has, where it is one of an interface.
fn of_loopback(key: &str) -> String {
    let Some(name) = interface_of_sysctl(key) else { return key.to_owned() };
    let parts = key.split('.').map(|part| if part == name { LOOPBACK } else { part });
    parts.collect::<Vec<_>>().join(".")
}
