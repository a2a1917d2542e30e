//! What netlink can't say: TUN and TAP devices that last, and groups of the link layer.
//!
//! All of it happens in the namespace of the calling thread.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode, Setter, Updater, ioctl};
use rustix::net::{AddressFamily, SocketType, socket};

const TUNSETIFF: Opcode = 0x4004_54ca;
const TUNSETPERSIST: Opcode = 0x4004_54cb;
const TUNSETOWNER: Opcode = 0x4004_54cc;
const TUNSETGROUP: Opcode = 0x4004_54ce;
const SIOCADDMULTI: Opcode = 0x8931;
const SIOCDELMULTI: Opcode = 0x8932;

/// Only a device that is not there yet is taken (linux/if_tun.h).
const IFF_TUN_EXCL: u16 = 0x8000;

/// `struct ifreq`: a name, and 24 bytes of whatever the request is about (linux/if.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    name: [u8; 16],
    value: [u8; 24],
}

impl Request {
    fn new(name: &str) -> Result<Self, Errno> {
        let mut request = Self { name: [0; 16], value: [0; 24] };
        let bytes = name.as_bytes();
        if bytes.len() > 15 {
            return Err(Errno::INVAL);
        }
        request.name[..bytes.len()].copy_from_slice(bytes);
        Ok(request)
    }
}

/// A TUN or TAP device that is to last.
#[derive(Debug, Clone, Copy)]
pub struct Tun<'a> {
    /// Its name; where it is empty the kernel finds one.
    pub name: &'a str,
    /// What it is (`IFF_*`, linux/if_tun.h).
    pub flags: u16,
    /// Who may open it.
    pub owner: Option<u32>,
    /// Whose members may open it.
    pub group: Option<u32>,
}

/// Where making or removing a device failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunFailure {
    /// The call that failed: `open`, `ioctl(TUNSETIFF)`, …
    pub call: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

fn at(call: &'static str) -> impl Fn(Errno) -> TunFailure {
    move |errno| TunFailure { call, errno }
}

impl Tun<'_> {
    /// Makes the device. CAP_NET_ADMIN.
    ///
    /// # Errors
    /// EBUSY when the name is taken, EPERM without the capability, ENOENT or ENODEV where the kernel
    /// has no TUN devices.
    pub fn create(&self) -> Result<(), TunFailure> {
        let device = self.attach(self.flags | IFF_TUN_EXCL)?;
        set_number(&device, TunCall::Owner, self.owner)?;
        set_number(&device, TunCall::Group, self.group)?;
        set_number(&device, TunCall::Persist, Some(1))
    }

    /// Removes the device once nobody has it open. CAP_NET_ADMIN, or its owner.
    ///
    /// # Errors
    /// EINVAL when the device is of another mode.
    pub fn remove(&self) -> Result<(), TunFailure> {
        let device = self.attach(self.flags)?;
        set_number(&device, TunCall::Persist, Some(0))
    }

    fn attach(&self, flags: u16) -> Result<OwnedFd, TunFailure> {
        let open = OFlags::RDWR | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/net/tun", open, Mode::empty()).map_err(at("open"))?;
        let mut request = Request::new(self.name).map_err(at("ioctl(TUNSETIFF)"))?;
        request.value[..2].copy_from_slice(&flags.to_ne_bytes());
        #[expect(unsafe_code, reason = "rustix marks all of ioctl as unsafe")]
        // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which the request is.
        unsafe { ioctl(&device, Updater::<TUNSETIFF, Request>::new(&mut request)) }
            .map_err(at("ioctl(TUNSETIFF)"))?;
        Ok(device)
    }
}

#[derive(Clone, Copy)]
enum TunCall {
    Owner,
    Group,
    Persist,
}

fn set_number(device: &OwnedFd, call: TunCall, number: Option<u32>) -> Result<(), TunFailure> {
    let Some(number) = number else { return Ok(()) };
    let number = number as usize;
    #[expect(unsafe_code, reason = "rustix marks all of ioctl as unsafe")]
    // SAFETY: these take a number, and no memory.
    let result = unsafe {
        match call {
            TunCall::Owner => ioctl(device, IntegerSetter::<TUNSETOWNER>::new_usize(number))
                .map_err(at("ioctl(TUNSETOWNER)")),
            TunCall::Group => ioctl(device, IntegerSetter::<TUNSETGROUP>::new_usize(number))
                .map_err(at("ioctl(TUNSETGROUP)")),
            TunCall::Persist => ioctl(device, IntegerSetter::<TUNSETPERSIST>::new_usize(number))
                .map_err(at("ioctl(TUNSETPERSIST)")),
        }
    };
    result
}

/// Has an interface listen to a group of the link layer, or no longer. CAP_NET_ADMIN.
///
/// # Errors
/// ENODEV when there is no such interface, EINVAL for an address that is no group's, ENOENT where
/// it did not listen.
pub fn set_multicast(add: bool, dev: &str, mac: [u8; 6]) -> Result<(), Errno> {
    let mut request = Request::new(dev)?;
    // A `struct sockaddr` of family AF_UNSPEC holds the address.
    request.value[2..8].copy_from_slice(&mac);
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let socket = socket.as_fd();
    #[expect(unsafe_code, reason = "rustix marks all of ioctl as unsafe")]
    // SAFETY: both read a `struct ifreq`, which the request is.
    unsafe {
        match add {
            true => ioctl(socket, Setter::<SIOCADDMULTI, Request>::new(request)),
            false => ioctl(socket, Setter::<SIOCDELMULTI, Request>::new(request)),
        }
    }
}
