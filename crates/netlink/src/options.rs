//! The socket options of netlink (man 7 netlink), which rustix does not have.

use nix::sys::socket::{GetSockOpt, SetSockOpt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use rustix::io::Errno;

use crate::errno::from_nix;

sockopt_impl!(ExtAck, Both, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, bool);
sockopt_impl!(CapAck, Both, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, bool);
sockopt_impl!(StrictCheck, Both, libc::SOL_NETLINK, NETLINK_GET_STRICT_CHK, bool);
sockopt_impl!(ListenAllNsid, SetOnly, libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID, bool);
sockopt_impl!(AddMembership, SetOnly, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, u32);
sockopt_impl!(DropMembership, SetOnly, libc::SOL_NETLINK, libc::NETLINK_DROP_MEMBERSHIP, u32);

/// include/uapi/linux/netlink.h, Linux 4.20; the libc crate does not have it for GNU.
const NETLINK_GET_STRICT_CHK: libc::c_int = 12;

/// Sets an option that an old kernel may lack. Returns whether it is set.
pub(crate) fn enable<O>(fd: &impl std::os::fd::AsFd, option: O) -> Result<bool, Errno>
where
    O: SetSockOpt<Val = bool>,
{
    match option.set(fd, &true) {
        Ok(()) => Ok(true),
        Err(nix::errno::Errno::ENOPROTOOPT) => Ok(false),
        Err(errno) => Err(from_nix(errno)),
    }
}

/// Whether an option is set. An option that the kernel lacks is not.
pub(crate) fn is_enabled<O>(fd: &impl std::os::fd::AsFd, option: O) -> bool
where
    O: GetSockOpt<Val = bool>,
{
    option.get(fd).unwrap_or(false)
}

/// Sets an option that must work.
pub(crate) fn set<O: SetSockOpt>(
    fd: &impl std::os::fd::AsFd,
    option: O,
    value: &O::Val,
) -> Result<(), Errno> {
    option.set(fd, value).map_err(from_nix)
}
